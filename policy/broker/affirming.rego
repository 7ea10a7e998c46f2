# Releases to workloads of which every part was appraised as affirming, and of which there is at least one part.
package policy

default allow := false

allow if {
	count(input.submods) > 0
	every part in input.submods {
		part["ear.status"] == "affirming"
	}
}
