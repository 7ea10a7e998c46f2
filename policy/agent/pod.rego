# The rules that come with policy.json, which is `data` here. The agent itself compares each field of a container with
# its entry in policy.json; these rules say which requests may be made at all. Add to them to deny more.
package agent_policy

default ConfigureNetworkRequest := false

default CreateContainerRequest := false

default ExecProcessRequest := false

default ExecProcessAsRequest := false

default GetEvidenceRequest := false

default ExtendRuntimeMeasurementRequest := false

default GetResourceRequest := false

default GetTokenRequest := false

default GetReceiptRequest := false

default HidePathRequest := false

default ReadOutputRequest := false

default ResizeTerminalRequest := false

default SetSysctlRequest := false

default ShareProcessesRequest := false

default UnsealSecretRequest := false

default UpdateContainerRequest := false

default UpdateVolumeRequest := false

default WriteInputRequest := false

# What tells nothing of a workload, or ends it.
DeleteContainerRequest := true

GetStatusRequest := true

GetTimelineRequest := true

ShutdownRequest := true

SignalContainerRequest := true

StartContainerRequest := true

StatsContainerRequest := true

WaitContainerRequest := true

ConfigureNetworkRequest if data.network == true

CreateContainerRequest if some _ in entries

ExecProcessRequest if {
	some entry in entries
	input.args in entry.exec
}

ExecProcessRequest if {
	some entry in entries
	some row in entry.exec
	row.args == input.args
}

# Asked besides, when a process is to have another user, directory or environment than its container: row by row the agent compares.
ExecProcessAsRequest if {
	some entry in entries
	some row in entry.exec
	object.get(row, "user", "") == input.user
	object.get(row, "cwd", "") == input.cwd
}

GetEvidenceRequest if some_entry_has("evidence")

ExtendRuntimeMeasurementRequest if some_entry_has("measure")

GetResourceRequest if {
	some entry in entries
	input.resource in entry.resources
}

GetTokenRequest if some_entry_has("token")

GetReceiptRequest if some_entry_has("output")

ReadOutputRequest if some_entry_has("output")

ResizeTerminalRequest if some_entry_has("terminal")

# Asked besides CreateContainerRequest, when a container is to share the PID namespace of its pod; when it is not to see a
# path, or not to write it, outside of /proc and /sys; and for each setting of the kernel but those that every pod has.
HidePathRequest if {
	some entry in entries
	input.path in object.get(entry, "masked_paths", [])
}

HidePathRequest if {
	some entry in entries
	input.path in object.get(entry, "readonly_paths", [])
}

SetSysctlRequest if {
	some entry in entries
	entry.sysctls[input.name] == input.value
}

ShareProcessesRequest if some_entry_has("share_processes")

UnsealSecretRequest if {
	some entry in entries
	input.signer in entry.sealed
}

# One that nobody signed names what the container may have in any case.
UnsealSecretRequest if {
	some entry in entries
	entry.sealed_unsigned == true
	input.signer == ""
	input.resource in entry.resources
}

UpdateContainerRequest if some_entry_has("update")

UpdateVolumeRequest if {
	some entry in entries
	some file in entry.files
	file.directory == input.volume.path
	file.update == true
}

WriteInputRequest if some_entry_has("input")

# Those of the container's image.
entries contains entry if {
	some entry in data.containers
	entry.image == input.image
}

some_entry_has(name) if {
	some entry in entries
	entry[name] == true
}
