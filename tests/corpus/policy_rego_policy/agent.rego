package agent_policy

import future.keywords.in
import future.keywords.every
import input

default CreateContainerRequest := false

CreateContainerRequest := {"ops": ops, "allowed": true} if {
	some i, c in policy_data.containers
	print("container", i)
	every arg in input.OCI.Process.Args { regex.match(c.args, arg) }
	not c.denied in {x | x := input.names[_]}
	ops := [{"op": "add", "path": concat("/", ["", "pstate", input.id]), "value": i}]
}

policy_data := {"containers": [{"args": "^[a-z]+$", "denied": "x"}]}
