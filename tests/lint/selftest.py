#!/usr/bin/env python3
"""The checks of this folder find what they are for: each is given a copy of the tree with one thing
made wrong in it, and must fail and say so; of the copy as it is they must say nothing new.

selftest.py [--nm NM] [--cc CC]"""
import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("include", "runtime", "docs", "tests", "benchmarks", "README.md", "CHANGELOG.md", "LICENSE")

# A file of our own, so that no case depends on how a line of the runtime is written today.
WRONG_C = """/* wrong.c: a file for the checks.
 *
 * Orders
 *   Z91 set, flag (release) -> Z92 look, flag (acquire): what was made before.
 *   Z92 look, flag (acquire) <- Z91.
 * Layer: 1 */
#include "atomic.h"
#include "os.h"

static shared_u32 wrong_flag;

void wrong_set(void);
void wrong_set(void)
{
    store_release(&wrong_flag, 1); /* Z91 -> Z92 */
}

bool wrong_look(void);
bool wrong_look(void)
{
    return load_acquire(&wrong_flag) != 0; /* Z92 <- Z91 */
}

bool wrong_peek(void);
bool wrong_peek(void)
{
    return load_relaxed(&wrong_flag) != 0; /* relaxed: a hint */
}
"""
WRONG_H = """/* wrong.h: a header for the checks. */
#ifndef ASYNC_WRONG_H
#define ASYNC_WRONG_H

#include <async/export.h>

#include <stdint.h>

ASYNC_EXTERN_BEGIN

/* Does nothing.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API uint64_t async_wrong(void);

ASYNC_EXTERN_END

#endif
"""
C, H = "runtime/wrong.c", "include/async/wrong.h"

# (check, what is wrong, file, text, its replacement, what the check must say)
CASES = [
    ("orders", "a release with no tag", C, " /* Z91 -> Z92 */", "", "release, and no tag of that order"),
    ("orders", "a tag that stands in no table", C, "/* Z91 -> Z92 */", "/* Z999 -> Z92 */", "Z999 stands in no Orders table"),
    ("orders", "a tag at an operation of another order", C, "store_release(&wrong_flag, 1)",
     "store_seq_cst(&wrong_flag, 1)", "Z91 is release in the Orders table, seq_cst here"),
    ("orders", "a tag that is used nowhere", C, "return load_acquire(&wrong_flag) != 0; /* Z92 <- Z91 */",
     "return true;", "Z92 of the Orders table is at no operation"),
    ("orders", "a partner that does not answer", C, "(acquire) <- Z91.", "(acquire) <- Q1.",
     "Z92 names Q1, which does not name it in turn"),
    ("orders", "a partner that is not there", C, " *   Z92 look, flag (acquire) <- Z91.\n", " *   Z93 look, flag (acquire) <- Z99.\n",
     "Z93 names Z99, which stands in no Orders table"),
    ("orders", "a relaxed operation with no reason", C, " /* relaxed: a hint */", "", "relaxed, and no comment says why"),
    ("layers", "an include of a higher layer", C, '#include "os.h"', '#include "os.h"\n#include "pool.h"', "layer 1 includes pool.h"),
    ("layers", "a file of no layer", C, " * Layer: 1 */", " */", "does not say `Layer: n`"),
    ("layers", "an include from elsewhere", C, '#include "os.h"', '#include "../tests/support/stress.h"', "not in runtime/"),
    ("atomics", "an atomic of C11's own", C, "store_release(&wrong_flag, 1)", "atomic_store(&wrong_flag, 1)",
     "atomic_store is not of atomic.h's list"),
    ("atomics", "a plain store to an atomic field", C, "store_release(&wrong_flag, 1);", "wrong_flag = 1;",
     "implicit use of sequentially-consistent"),
    ("atomics", "an operation that orders.py does not know", "runtime/atomic.h", "#define load_relaxed(p)",
     "#define flip_acquire(p) ((void)(p))\n#define load_relaxed(p)", "does not know flip_acquire"),
    ("headers", "a header that needs another", H, "#include <stdint.h>\n", "", "wrong.h alone"),
    ("headers", "a header that is no C++", H, "async_wrong(void);", "async_wrong(void);\nint class(void);", "wrong.h alone, g++ -std=c++17"),
    ("headers", "a header that includes more than it may", H, "#include <stdint.h>", "#include <pthread.h>\n#include <stdint.h>",
     "includes <pthread.h>"),
    ("contracts", "a public function with no comment", H, WRONG_H[WRONG_H.index("/* Does"):WRONG_H.index("ASYNC_API")], "",
     "async_wrong: its comment is missing"),
    ("contracts", "one of the four lines is missing", H, " * Progress: wait-free.\n", "", "has Threads, Errors, Since of"),
    ("contracts", "two of them in the wrong order", H, " * Threads: any.\n * Progress: wait-free.\n",
     " * Progress: wait-free.\n * Threads: any.\n", "in this order"),
    ("contracts", "text behind them", H, "Since: 0.1 */", "Since: 0.1\n * It does it well. */", "goes on after them"),
    ("sizes", "a file that is too long", C, "static shared_u32 wrong_flag;\n", "static shared_u32 wrong_flag;\n" + "\n" * 540,
     "wrong.c: 568 lines"),
    ("sizes", "a line that is too long", C, "/* relaxed: a hint */", "/* relaxed: a hint " + "x" * 60 + " */", "wrong.c:27: "),
    ("symbols", "a function that the map lacks", H, "", "", "runtime/async.map: lacks async_wrong"),
    ("symbols", "a function that the map has, and no header", "runtime/async.map", "async_pool_create;",
     "async_pool_create;\n        async_nowhere;", "has async_nowhere, which no public header declares"),
    ("links", "a link to nowhere", "README.md", "# ", "# [x](nowhere.md) ", "nowhere.md: no such file"),
    ("promises", "a promise that no test names", "docs/reference/promises.md", "- **C1**", "- **C99** x\n- **C1**", "C99: no test"),
]


def run(tree, check, arguments=()):
    result = subprocess.run([sys.executable, tree / f"tests/lint/{check}.py", *arguments], capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def export_case(tree, nm, cc):
    """A library that exports what the map does not name."""
    library = tree / "libwrong.so"
    subprocess.run([cc, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input="int stray(void); int stray(void) { return 1; }",
                   text=True, check=True)
    code, text = run(tree, "symbols", ["--nm", nm, library])
    library.unlink()
    return code != 0 and "has stray, which no public header declares" in text, text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--cc", default="cc")
    arguments = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory(prefix="async-lint-") as scratch:
        tree = Path(scratch)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).is_file():
                shutil.copy(ROOT / name, tree / name)
        before = {check: run(tree, check) for check in sorted({case[0] for case in CASES})}
        for check, what, file, text, replacement, expected in CASES:
            own = {C: WRONG_C, H: WRONG_H}.get(file)
            path = tree / file
            original = None if own else path.read_text()
            content = own or original
            if text not in content:
                missed.append(f"{check}: {what}: {file} has no {text!r} any more: mend this test")
                continue
            if own:  # what is not wrong yet must pass
                path.write_text(own)
                code, said = run(tree, check)
                extra = set(said.splitlines()[:-1]) - set(before[check][1].splitlines()[:-1])
                if text and extra:
                    missed.append(f"{check}: complains of a file that is right:\n  " + "\n  ".join(sorted(extra)))
            path.write_text(content.replace(text, replacement, 1))
            code, said = run(tree, check)
            if code == 0 or expected not in said or expected in before[check][1]:
                missed.append(f"{check}: did not find {what}: answered {code} with\n{said[-1500:]}")
            if own:
                path.unlink()
            else:
                path.write_text(original)
        found, said = export_case(tree, arguments.nm, arguments.cc)
        if not found:
            missed.append(f"symbols: did not find a symbol that is exported beside the map:\n{said[-1500:]}")
    print(*missed, f"{len(CASES) + 1} wrong trees, {len(missed)} not found", sep="\n")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
