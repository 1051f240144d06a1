#!/usr/bin/env python3
"""No C or C++ file has more than 550 lines, none of their lines more than 100 columns."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("include", "runtime", "tests", "benchmarks", "docs/examples")
LINES, COLUMNS = 550, 100


def main():
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*")
                   if file.suffix in (".c", ".h", ".cpp", ".hpp"))
    problems = []
    for file in files:
        lines, name = file.read_text().splitlines(), file.relative_to(ROOT)
        if len(lines) > LINES:
            problems.append(f"{name}: {len(lines)} lines, more than {LINES}")
        problems += [f"{name}:{number}: {len(line)} columns, more than {COLUMNS}"
                     for number, line in enumerate(lines, 1) if len(line.expandtabs(4)) > COLUMNS]
    print(*problems, f"{len(files)} files: {len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
