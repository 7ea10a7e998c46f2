package a.b
p.q[x].r contains y if some x, y in input
p.q.z := 1 if false
else := 2
f(x, [y, {"k": z}]) := x + y * z % 2 - -1
t contains $"{x} \{y" if some x in numbers.range(1, 3)
data_ref[k] := v if data.a.b[k] = v with input as {"a": 1} with count as 3
