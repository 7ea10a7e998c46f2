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

test_a_development_root_is_never_affirmed if {
	evidence := {"snp": snp, "endorsement": {"root": "development"}}
	claims := policy.trust_claims with input as evidence with query_reference_value as registered
	claims.hardware == 32
}

only_measurement(name) := object.get({"snp_launch_measurement": ["m0"]}, name, null)

test_the_vendors_root_stands_alone_when_no_tcb_is_registered if {
	evidence := {"snp": snp, "endorsement": {"root": "vendor"}}
	claims := policy.trust_claims with input as evidence with query_reference_value as only_measurement
	claims.hardware == 2
}

other_tcb(name) := object.get(object.union(reference_values, {"snp_snp_svn": [24]}), name, null)

test_a_registered_tcb_is_binding_under_the_vendors_root_too if {
	evidence := {"snp": snp, "endorsement": {"root": "vendor"}}
	claims := policy.trust_claims with input as evidence with query_reference_value as other_tcb
	claims.hardware == 97
}

test_images_of_our_own_policy_are_identities if {
	initdata := {"policy.json": `{"containers": [{"image": "sha256:aa"}]}`}
	[extension] := policy.extensions with input as {"snp": snp, "init_data_claims": initdata}
	extension.value.validated.container_images == ["sha256:aa"]
}

test_a_tpm_is_recognised_when_somebody_vouches_for_its_key if {
	registered_key := {"tpm": {"pcr11": "p"}, "endorsement": {"root": "operator"}}
	any_key := {"tpm": {"pcr11": "p"}, "endorsement": {"root": "nobody"}}
	policy.trust_claims.hardware == 2 with input as registered_key
	policy.trust_claims.hardware == 97 with input as any_key
}

stage0_registers := {"tpm_pcr00": ["f"], "tpm_pcr04": ["k"], "tpm_pcr09": ["i"], "tpm_pcr12": ["c"], "trusted_aks": ["a"]}

registered_boot(name) := object.get(stage0_registers, name, null)

stage0_boot := {"pcr00": "f", "pcr04": "k", "pcr09": "i", "pcr12": "c", "ak_public": "a"}

test_a_boot_by_stage0_is_affirmed_by_its_four_registers if {
	claims := policy.trust_claims with input as {"tpm": stage0_boot} with query_reference_value as registered_boot
	claims.executables == 3
}

test_one_other_register_or_key_is_another_boot if {
	every name in ["pcr00", "pcr04", "pcr09", "pcr12", "ak_public"] {
		other := object.union(stage0_boot, {name: "x"})
		claims := policy.trust_claims with input as {"tpm": other} with query_reference_value as registered_boot
		claims.executables == 33
	}
}
