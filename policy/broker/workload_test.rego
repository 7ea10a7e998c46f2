package policy_test

import data.policy

request := {"submods": {"cpu0": {"ear.status": "affirming", "ear.veraison.annotated-evidence": {"init_data": "aa"}}}}

test_the_workload_reads_its_own_paths if {
	policy.allow with input as request
		with data.plugin as "resource"
		with data["resource-path"] as ["default", "key", "1"]
		with data.workloads as {"aa": ["default/key/1"]}
}

test_another_workload_does_not if {
	not policy.allow with input as request
		with data.plugin as "resource"
		with data["resource-path"] as ["default", "key", "1"]
		with data.workloads as {"bb": ["default/key/1"]}
}

test_another_path_is_denied if {
	not policy.allow with input as request
		with data.plugin as "resource"
		with data["resource-path"] as ["default", "key", "2"]
		with data.workloads as {"aa": ["default/key/1"]}
}
