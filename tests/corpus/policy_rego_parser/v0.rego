package v0
p[x] { x = input.a[_] }
q[k] = v { v := input[k]; not v == 1 }
default r = {y | y = 1}
r = false { true } else = 3 { every }

