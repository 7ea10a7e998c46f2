# Releases resources to anything but the sample attester, which anyone can imitate.
package policy

default allow := false

allow if {
	data.plugin == "resource"
	not input.submods.cpu0["ear.veraison.annotated-evidence"].sample
}
