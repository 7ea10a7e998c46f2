package agent_policy_test

import data.agent_policy

web := "sha256:aa"

other := "sha256:bb"

containers := [
	{"image": web, "args": null, "env": [], "output": true, "exec": [["cat", "/ready"], {"args": ["id"], "user": "1:1"}], "resources": ["kbs:///a/b/c"], "token": true, "sealed": ["kbs:///a/b/signer"], "masked_paths": ["/etc/masked"], "readonly_paths": ["/etc/fixed"], "sysctls": {"net.core.somaxconn": "1024"}, "files": [{"directory": "/etc/fixed"}, {"directory": "/etc/changing", "update": true}]},
	{"image": other, "args": null, "env": [], "output": false, "input": true, "terminal": true, "update": true, "measure": true, "share_processes": true, "resources": ["kbs:///d/e/f"], "sealed_unsigned": true},
]

ask(rule, asked) if agent_policy[rule] with input as asked with data.containers as containers

test_only_listed_images_are_created if {
	ask("CreateContainerRequest", {"image": web})
	not ask("CreateContainerRequest", {"image": "sha256:cc"})
	not ask("CreateContainerRequest", {})
}

test_only_listed_argvs_are_run if {
	ask("ExecProcessRequest", {"image": web, "args": ["cat", "/ready"]})
	not ask("ExecProcessRequest", {"image": web, "args": ["cat", "/secret"]})
	not ask("ExecProcessRequest", {"image": web, "args": []})
	not ask("ExecProcessRequest", {"image": other, "args": ["cat", "/ready"]})
	not ask("ExecProcessRequest", {"args": ["cat", "/ready"]})
}

test_another_user_is_one_of_a_row if {
	ask("ExecProcessRequest", {"image": web, "args": ["id"]})
	ask("ExecProcessAsRequest", {"image": web, "user": "1:1", "cwd": "", "variable": ""})
	not ask("ExecProcessAsRequest", {"image": web, "user": "0:0", "cwd": "", "variable": ""})
	not ask("ExecProcessAsRequest", {"image": web, "user": "1:1", "cwd": "/srv", "variable": ""})
	not ask("ExecProcessAsRequest", {"image": other, "user": "1:1", "cwd": "", "variable": ""})
}

test_streams_follow_the_entry if {
	ask("ReadOutputRequest", {"image": web})
	not ask("ReadOutputRequest", {"image": other})
	ask("GetReceiptRequest", {"image": web})
	not ask("GetReceiptRequest", {"image": other})
	ask("WriteInputRequest", {"image": other})
	not ask("WriteInputRequest", {"image": web})
	ask("ResizeTerminalRequest", {"image": other})
	not ask("ResizeTerminalRequest", {"image": web})
	ask("UpdateContainerRequest", {"image": other})
	not ask("UpdateContainerRequest", {"image": web})
}

test_processes_are_shared_where_the_entry_says_so if {
	ask("ShareProcessesRequest", {"image": other})
	not ask("ShareProcessesRequest", {"image": web})
	not ask("ShareProcessesRequest", {})
}

test_paths_are_hidden_where_the_entry_lists_them if {
	ask("HidePathRequest", {"image": web, "path": "/etc/masked"})
	ask("HidePathRequest", {"image": web, "path": "/etc/fixed"})
	not ask("HidePathRequest", {"image": web, "path": "/etc"})
	not ask("HidePathRequest", {"image": other, "path": "/etc/masked"})
}

test_sysctls_are_set_as_the_entry_says if {
	ask("SetSysctlRequest", {"image": web, "name": "net.core.somaxconn", "value": "1024"})
	not ask("SetSysctlRequest", {"image": web, "name": "net.core.somaxconn", "value": "1"})
	not ask("SetSysctlRequest", {"image": web, "name": "net.ipv4.ip_forward", "value": "1"})
	not ask("SetSysctlRequest", {"image": other, "name": "net.core.somaxconn", "value": "1024"})
}

test_the_network_is_granted_by_name if {
	agent_policy.ConfigureNetworkRequest with data.network as true
	not agent_policy.ConfigureNetworkRequest with data.network as false
	not agent_policy.ConfigureNetworkRequest with data.network as "yes"
}

test_volumes_change_where_the_entry_lets_them if {
	ask("UpdateVolumeRequest", {"image": web, "volume": {"path": "/etc/changing"}})
	not ask("UpdateVolumeRequest", {"image": web, "volume": {"path": "/etc/fixed"}})
	not ask("UpdateVolumeRequest", {"image": other, "volume": {"path": "/etc/changing"}})
	not ask("UpdateVolumeRequest", {"image": web})
}

test_sealed_secrets_are_their_signers if {
	ask("UnsealSecretRequest", {"image": web, "signer": "kbs:///a/b/signer", "resource": "kbs:///any/thing/else"})
	not ask("UnsealSecretRequest", {"image": other, "signer": "kbs:///a/b/signer", "resource": "kbs:///d/e/f"})
	not ask("UnsealSecretRequest", {"image": web, "signer": "", "resource": "kbs:///a/b/c"})
	ask("UnsealSecretRequest", {"image": other, "signer": "", "resource": "kbs:///d/e/f"})
	not ask("UnsealSecretRequest", {"image": other, "signer": "", "resource": "kbs:///d/e/g"})
}

test_the_rest_tells_nothing if {
	every rule in ["GetStatusRequest", "ShutdownRequest", "StartContainerRequest", "DeleteContainerRequest", "WaitContainerRequest"] {
		ask(rule, {})
	}
}

test_workloads_get_what_their_entry_lists if {
	ask("GetResourceRequest", {"image": web, "resource": "kbs:///a/b/c"})
	not ask("GetResourceRequest", {"image": web, "resource": "kbs:///a/b/d"})
	not ask("GetResourceRequest", {"image": other, "resource": "kbs:///a/b/c"})
	ask("GetTokenRequest", {"image": web})
	not ask("GetTokenRequest", {"image": other})
	not ask("GetEvidenceRequest", {"image": web})
	not ask("ExtendRuntimeMeasurementRequest", {"image": web})
	ask("ExtendRuntimeMeasurementRequest", {"image": other})
}
