package policy_test

import data.policy

reference_values := {
	"snp_launch_measurement": ["m0"],
	"snp_bootloader": [4],
	"snp_microcode": [72],
	"snp_snp_svn": [23],
	"snp_tee_svn": [0],
}

registered(name) := object.get(reference_values, name, null)

snp := {
	"measurement": "m0",
	"reported_tcb_bootloader": 4,
	"reported_tcb_microcode": 72,
	"reported_tcb_snp": 23,
	"reported_tcb_tee": 0,
	"policy_debug_allowed": false,
	"policy_migrate_ma": false,
}

test_known_snp_is_affirmed if {
	claims := policy.trust_claims with input as {"snp": snp} with query_reference_value as registered
	claims.hardware == 2
	claims.executables == 3
	claims.configuration == 3
}

test_unknown_measurement_is_not if {
	evidence := object.union(snp, {"measurement": "other"})
	claims := policy.trust_claims with input as {"snp": evidence} with query_reference_value as registered
	claims.executables == 33
}

test_debugging_is_not if {
	evidence := object.union(snp, {"policy_debug_allowed": true})
	claims := policy.trust_claims with input as {"snp": evidence} with query_reference_value as registered
	claims.configuration == 36
}

test_nothing_registered_is_contraindicated if {
	policy.trust_claims.hardware == 97 with input as {"snp": snp}
}
