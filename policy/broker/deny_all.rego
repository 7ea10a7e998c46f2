# Releases nothing: what a broker starts with.
package policy

default allow := false
