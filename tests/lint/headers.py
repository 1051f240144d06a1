#!/usr/bin/env python3
"""Each public header compiles alone, as C11 and as C++17, by gcc and clang and by the cross compilers
that are there, without a warning, and includes nothing but the public headers and plain libc ones."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
FOLDERS = ("include", "benchmarks/scale/include")
LIBC = {"stdbool.h", "stddef.h", "stdint.h"}
INCLUDES = [f"-I{ROOT / folder}" for folder in FOLDERS]
CROSS = ("aarch64-linux-gnu-", "riscv64-linux-gnu-")
COMPILERS = [(c, "c", "c11") for c in ("gcc", "clang", *(f"{prefix}gcc" for prefix in CROSS))]
COMPILERS += [(c, "c++", "c++17") for c in ("g++", "clang++", *(f"{prefix}g++" for prefix in CROSS))]


def main():
    failed = 0
    headers = [header for folder in FOLDERS for header in sorted((ROOT / folder / "async").glob("*.h"))]
    for header in headers:
        for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", header.read_text(), flags=re.M):
            if name not in LIBC and not any((ROOT / folder / name).is_file() for folder in FOLDERS):
                print(f"{header.relative_to(ROOT)}: includes <{name}>")
                failed += 1
        for compiler, language, standard in COMPILERS:
            if not shutil.which(compiler):
                continue
            # Twice: what is included again must not declare anything again.
            source = f"#include <async/{header.name}>\n" * 2 + "extern int alone;\n"
            result = subprocess.run([compiler, f"-std={standard}", *WARNINGS, *INCLUDES, "-fsyntax-only", "-x", language, "-"],
                                    input=source, capture_output=True, text=True)
            if result.returncode != 0:
                print(f"async/{header.name} alone, {compiler} -std={standard}:\n{result.stderr}")
                failed += 1
    tried = [f"{compiler} {standard}" for compiler, _, standard in COMPILERS if shutil.which(compiler)]
    print(f"{len(headers)} headers alone with {', '.join(tried)}: {failed} failures")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
