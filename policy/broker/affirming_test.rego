package policy_test

import data.policy

affirming := {"ear.status": "affirming"}

warning := {"ear.status": "warning"}

test_every_part_must_be_affirming if {
	policy.allow with input as {"submods": {"cpu0": affirming, "gpu0": affirming}}
	not policy.allow with input as {"submods": {"cpu0": affirming, "gpu0": warning}}
}

test_no_part_at_all_is_denied if {
	not policy.allow with input as {"submods": {}}
	not policy.allow with input as {}
}

test_submods_that_are_no_object_are_denied if {
	not policy.allow with input as {"submods": "affirming"}
	not policy.allow with input as {"submods": 7}
}
