#!/usr/bin/env python3
"""Every relative link in the Markdown files leads to a file that is there, and to a heading that it
has."""
import re
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]


def prose(text):
    """Without code blocks and code spans, where brackets mean something else."""
    return re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", text, flags=re.S | re.M)


def anchors(file):
    """The names that forges give headings: lower case, blanks to dashes, punctuation dropped."""
    text = re.sub(r"^(```|~~~).*?^\1", "", file.read_text(), flags=re.S | re.M)
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*#*\s*$", text, flags=re.M)
    names = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    names = {name if names[:i].count(name) == 0 else f"{name}-{names[:i].count(name)}"
             for i, name in enumerate(names)}
    return names | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def main():
    problems, count = [], 0
    files = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md"),
                    *(ROOT / "benchmarks").rglob("*.md"), *(ROOT / "runtime").rglob("*.md")])
    for file in files:
        text = prose(file.read_text())
        targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"^\s*\[[^\]]+\]:\s*(\S+)", text, flags=re.M)
        for target in targets:
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            to = (file.parent / unquote(path)).resolve() if path else file
            if not to.exists():
                problems.append(f"{file.relative_to(ROOT)}: {target}: no such file")
            elif anchor and to.suffix == ".md" and anchor not in anchors(to):
                problems.append(f"{file.relative_to(ROOT)}: {target}: no such heading")
    print(*problems, f"{count} links in {len(files)} files: {len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
