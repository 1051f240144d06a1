#!/usr/bin/env python3
"""Each row of docs/reference/promises.md (`- **C1** ...`) is named by a test under
tests/conformance/, and the tests name no row that is not there."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "CRPOKEXMT"
LATER = {"X9"}  # listed, but not promised by this version


def main():
    promises = ROOT / "docs/reference/promises.md"
    if not promises.is_file():
        sys.exit("docs/reference/promises.md is not there")
    rows = re.findall(r"^- \*\*([A-Z]\d+)\*\*", promises.read_text(), flags=re.M)
    tests = {}
    for file in sorted((ROOT / "tests/conformance").glob("*.c")):
        for name in re.findall(r"^\s*(?:Parameterized|Theory)?Test\w*\s*\(([^)]*)\)", file.read_text(), flags=re.M):
            for row in re.findall(rf"(?<![A-Za-z0-9])([{LETTERS}]\d+)(?![A-Za-z0-9])", name.replace("_", " ")):
                tests.setdefault(row, []).append(file.name)

    problems = [f"promises.md: {row} stands there twice" for row in sorted(set(rows)) if rows.count(row) > 1]
    for letter in LETTERS:
        numbers = {int(row[1:]) for row in rows if row[0] == letter}
        problems += [f"promises.md: {letter}{n} is missing" for n in range(1, max(numbers, default=1) + 1)
                     if n not in numbers]
    problems += [f"{row}: no test in tests/conformance/ names it" for row in rows
                 if row not in tests and row not in LATER]
    problems += [f"{row}: named in {', '.join(sorted(set(tests[row])))}, but not in promises.md"
                 for row in sorted(tests) if row not in rows]
    print(*problems, f"{len(rows)} rows, {len(tests)} of them named by tests: {len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
