package agent_policy_test

import data.agent_policy

test_status_and_shutdown_are_allowed if {
	agent_policy.GetStatusRequest
	agent_policy.ShutdownRequest
}

test_everything_else_is_denied if {
	every name, allowed in agent_policy {
		allowed == (name in {"GetStatusRequest", "ShutdownRequest"})
	}
}
