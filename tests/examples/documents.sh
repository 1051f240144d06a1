#!/bin/bash
# The small programs of the documents print what the documents say, and each C block of README.md,
# docs/tutorial/ and docs/howto/ stands in one of the programs of docs/examples/.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/tests/examples/lib.bash"

prints() { # PROGRAM OUTPUT
    expect 0 '' "$bin/$1"
    check "$1: what it prints" cmp "$scratch/stdout" <(printf '%s\n' "$2")
}

for _ in {1..20}; do
    prints power '0 2 8 18 32 50 72 98 128 162'
    prints sum '333332833333500000'
    prints channels '665667000'
    prints primes '2 3 5 7 11 13 17 19 23 29'
    prints errors "2
40
600
task 'parse', item 3, code 1: '4x' is not a number"
done

if command -v python3 >/dev/null; then
    check 'blocks of the documents' python3 - "$root" <<'PYTHON' >&3
import re, sys
from pathlib import Path

root = Path(sys.argv[1])
sources = [path.read_text() for path in (root / "docs/examples").rglob("*.c")]
documents = [root / "README.md", *(root / "docs/tutorial").glob("*.md"), *(root / "docs/howto").glob("*.md")]
strange = [f"{path.relative_to(root)}: in no program of docs/examples:\n{block}"
           for path in documents
           for block in re.findall(r"^```c\n(.*?)^```", path.read_text(), flags=re.S | re.M)
           if not any(block in source for source in sources)]
print(*strange, sep="\n", end="")
sys.exit(bool(strange))
PYTHON
fi

finish
