# Releases every resource to whoever attested, whatever the result. For trials: the evidence is not judged.
package policy

default allow := false

allow if data.plugin == "resource"
