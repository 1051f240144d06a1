#!/usr/bin/env python3
"""Each file of runtime/ says `Layer: n` in its first comment, and includes only files of the same
or a lower layer. The public headers are below all of them."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main():
    files = sorted([*(ROOT / "runtime").glob("*.c"), *(ROOT / "runtime").glob("*.h")])
    layer, problems = {}, []
    for file in files:
        comment = re.match(r"\s*/\*.*?\*/", file.read_text(), flags=re.S)
        says = comment and re.search(r"\bLayer: (\d+)\b", comment.group(0))
        if says:
            layer[file.name] = int(says.group(1))
        else:
            problems.append(f"runtime/{file.name}: its first comment does not say `Layer: n`")
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not include:
                continue
            name, where = include.group(1), f"runtime/{file.name}:{number}"
            if "/" in name or not (ROOT / "runtime" / name).is_file():
                problems.append(f"{where}: includes {name}, which is not in runtime/")
            elif layer.get(name, 0) > layer.get(file.name, 99):
                problems.append(f"{where}: layer {layer[file.name]} includes {name} of layer {layer[name]}")
    print(*problems, f"{len(files)} files of runtime/: {len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
