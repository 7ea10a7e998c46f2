#!/usr/bin/env python3
"""Writes C that holds texts: stock_policies.py OUT.c FOLDER NAME... makes STOCK_<NAME> of each FOLDER/<name>.rego."""
import pathlib, sys

out, folder, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
text = '#include "keys/broker/stock_policies.h"\n'
for name in names:
    data = (folder / f"{name}.rego").read_bytes() + b"\0"
    if not data.isascii():
        sys.exit(f"{name}.rego is not ASCII")
    rows = [", ".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24)]
    text += f"\nconst char STOCK_{name.upper()}[] = {{\n    " + ",\n    ".join(rows) + "\n};\n"
out.write_text(text)
