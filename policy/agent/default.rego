# What a guest allows the host to ask when its owner says nothing: asking for status and for the end.
package agent_policy

default CreateContainerRequest := false

default StartContainerRequest := false

default SignalContainerRequest := false

default ExecProcessRequest := false

default ReadOutputRequest := false

default WriteInputRequest := false

default DeleteContainerRequest := false

GetStatusRequest := true

ShutdownRequest := true
