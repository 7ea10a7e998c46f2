#!/usr/bin/env python3
"""Writes C that holds texts: stock_policies.py OUT.c HEADER FOLDER NAME... makes STOCK_<NAME>, which HEADER declares, of
each FOLDER/<name>.rego."""
import pathlib, sys

out, header, folder, names = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:]
text = f'#include "{header}"\n'
for name in names:
    data = (folder / f"{name}.rego").read_bytes() + b"\0"
    if not data.isascii():
        sys.exit(f"{name}.rego is not ASCII")
    rows = [", ".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24)]
    text += f"\nconst char STOCK_{name.upper()}[] = {{\n    " + ",\n    ".join(rows) + "\n};\n"
out.write_text(text)
