#!/usr/bin/env python3
"""The comment of each public function ends with four lines: Threads, Progress, Errors, Since. One
comment may stand above several functions in a row."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAST = ("Threads", "Progress", "Errors", "Since")
PIECE = re.compile(r"\s*(/\*.*?\*/|#(?:[^\n]*\\\n)*[^\n]*|ASYNC_EXTERN_(?:BEGIN|END)|[^\s;{}][^;{}]*[;{}]|[;{}])",
                   flags=re.S)


def contract(comment):
    """What is wrong with the end of this comment, or None."""
    lines = [re.sub(r"^\s*/?\*+ ?|\s*\*/$", "", line).rstrip() for line in comment.splitlines()]
    heads = [(at, match.group(1)) for at, line in enumerate(lines)
             if (match := re.match(r"([A-Z][a-z]+): \S", line)) and match.group(1) in LAST]
    if tuple(name for _, name in heads) != LAST:
        return f"has {', '.join(name for _, name in heads) or 'none'} of {', '.join(LAST)}, in this order"
    rest = lines[heads[0][0]:]
    if any(line and not line.startswith("  ") and not re.match(rf"({'|'.join(LAST)}): ", line) for line in rest):
        return "goes on after them (what continues a line is indented)"
    if not re.search(r"^Since: \d+\.\d+$", "\n".join(rest), flags=re.M):
        return "names no version"
    return None


def main():
    problems, count = [], 0
    headers = sorted((ROOT / "include/async").glob("*.h"))
    for header in headers:
        text, comment, fits = header.read_text(), "", False
        for match in PIECE.finditer(text):
            piece = match.group(1)
            line = text.count("\n", 0, match.end()) + 1
            if piece.startswith("/*"):
                comment, fits = piece, True
                continue
            name = re.search(r"\b(async_\w+)\s*\(", piece)
            if piece.startswith("ASYNC_API") and name:
                count += 1
                wrong = contract(comment) if fits else "is missing"
                if wrong:
                    problems.append(f"include/async/{header.name}:{line}: {name.group(1)}: its comment {wrong}")
            else:
                fits = False
    print(*problems, f"{count} public functions in {len(headers)} headers: {len(problems)} problems", sep="\n")
    return bool(problems) or count == 0


if __name__ == "__main__":
    sys.exit(main())
