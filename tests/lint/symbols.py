#!/usr/bin/env python3
"""The public headers, runtime/async.map and what the libraries export name the same functions."""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def declared():
    names = set()
    for header in sorted((ROOT / "include/async").glob("*.h")):
        for declaration in re.findall(r"\bASYNC_API\b([^;]*);", without_comments(header.read_text())):
            names.add(re.search(r"\b(async_\w+)\s*\(", declaration).group(1))
    return names


def mapped():
    text = without_comments((ROOT / "runtime/async.map").read_text())
    return set(re.findall(r"\b(async_\w+)\s*;", text))


def exported(nm, library):
    """Shared: the dynamic symbols, with their version. Static: the global ones."""
    options = ["--dynamic"] if ".so" in library.name else ["--extern-only"]
    lines = subprocess.run([nm, *options, "--defined-only", "--format=posix", library],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = (line.split() for line in lines if len(line.split()) >= 3)
    return {name.split("@")[0] for name, kind, *_ in symbols if kind != "A"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("libraries", nargs="*", type=Path)
    arguments = parser.parse_args()

    wanted = declared()
    found = {"runtime/async.map": mapped()}
    found.update({each.name: exported(arguments.nm, each) for each in arguments.libraries})
    failed = False
    for where, names in found.items():
        for name in sorted(wanted - names):
            print(f"{where}: lacks {name}, which the public headers declare")
        for name in sorted(names - wanted):
            print(f"{where}: has {name}, which no public header declares")
        failed = failed or names != wanted
    print(f"{len(wanted)} public functions, compared with {', '.join(found)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
