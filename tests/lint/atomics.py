#!/usr/bin/env python3
"""Shared memory is reached through the closed list of runtime/atomic.h only, whose names say the
order: no other atomic operation in runtime/, no plain access to an atomic field (clang finds those,
which would be sequentially consistent), and no name in the list that orders.py does not know."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import orders

ROOT = Path(__file__).resolve().parents[2]
RAW = re.compile(r"\b(atomic_(?!init\b)\w+_explicit|atomic_(?:load|store|exchange|compare_exchange|fetch|flag|thread_fence|"
                 r"signal_fence)\w*|__atomic_\w+|__sync_\w+|memory_order_\w+)\b")


def main():
    files = sorted((ROOT / "runtime").glob("*.[ch]"))
    problems = []
    for file in files:
        if file.stem.startswith("atomic"):
            continue
        text = orders.COMMENT.sub(orders.blank, file.read_text())
        for number, line in enumerate(text.split("\n"), 1):
            problems += [f"runtime/{file.name}:{number}: {name} is not of atomic.h's list" for name in RAW.findall(line)]
    for file in files:
        if not file.stem.startswith("atomic"):
            continue
        for name in re.findall(rf"^\s*#\s*define (\w+_(?:{orders.ORDER}))\(", file.read_text(), flags=re.M):
            if not orders.OPERATION.search(f"{name}("):
                problems.append(f"runtime/{file.name}: orders.py does not know {name}")
    clang = shutil.which("clang")
    if clang:
        for file in files:
            if file.suffix != ".c":
                continue
            result = subprocess.run([clang, "-std=c11", "-fsyntax-only", "-Wno-everything", "-Watomic-implicit-seq-cst",
                                     "-D_GNU_SOURCE", "-DASYNC_STATIC", f"-I{ROOT}/include",
                                     f"-I{ROOT}/runtime", file], capture_output=True, text=True)
            if result.stderr:
                problems.append(f"runtime/{file.name}: {clang} says\n{result.stderr}")
    print(*problems, f"{len(files)} files of runtime/{'' if clang else ' (no clang: not looked for plain accesses)'}: "
          f"{len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
