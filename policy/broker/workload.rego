# Ties resources to one workload: its initdata names the policy and the images that it may run, and the digest of
# its initdata is in the evidence. `data.workloads` maps that digest (hex) to the paths it may read.
package policy

default allow := false

allow if {
	data.plugin == "resource"
	cpu := input.submods.cpu0
	cpu["ear.status"] == "affirming"
	some path in data.workloads[cpu["ear.veraison.annotated-evidence"].init_data]
	path == concat("/", data["resource-path"])
}
