#!/usr/bin/env python3
"""Memory orders in runtime/ say why, and what they say is what the code does.

An operation of atomic.h that is not relaxed carries a tag in its comment (`/* D1 -> D5 */`), and
the tag stands in the Orders table at the head of its file (or of the .h or .c of the same name, or,
where neither has it, of one other file). An entry of a table

     *   D1 push, bottom (release)  -> D5 steal, bottom (acquire): the slot.

names the tag, the order of its operations, and its partners, which name it in turn: in the same
entry, as here, or in entries of their own, and `D5 of deque.c` where the partner is another file's.
Each tag of a table is at an operation of that order at least. A relaxed operation says `relaxed`
and why that is enough. Comments count on the lines of the statement, alone on those above it, and
behind the brace that closes a short block;
`relaxed (both): ...`, `relaxed (all): ...` count down to the next empty line.

orders.py [folder]"""
import re
import sys
from pathlib import Path

ORDER = r"relaxed|acquire|release|acq_rel|seq_cst"
OPERATION = re.compile(rf"\b(?:load|store|exchange|add|sub|or|and|cas|fence)_({ORDER})\s*\(")
TAG = r"\b(?!C11\b)[A-HJ-Z]\d+\b"  # I1, I2 … are invariants, C11 is the language
TAGS = rf"{TAG}(?:\s*(?:,|and)\s*{TAG})*"
ARROW = r"<->|->|<-"
ENTRY = re.compile(rf"^ \*   ({TAGS})", flags=re.M)
FOREIGN = re.compile(r"\b(\w+)\.[ch]\b")
LASTING = re.compile(r"\brelaxed \(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", flags=re.S)
SKIPPED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*',
                     flags=re.M)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


class Tag:
    """What the tables of one file say of a tag."""

    def __init__(self):
        self.orders, self.partners, self.used = set(), set(), False


def read_table(comment, stem, tags, problems, where):
    """Adds the entries of the table in this comment to tags."""
    table = re.search(r"^ \* Orders\b.*?\n(.*?)(?=^ \*[ \t]*$|\*/)", comment, flags=re.S | re.M)
    if not table:
        return
    starts = [match.start() for match in ENTRY.finditer(table.group(1))]
    for start, end in zip(starts, starts[1:] + [None]):
        text = re.sub(r"\n \*\s*", " ", table.group(1)[start:end])
        head = re.split(r":(?:\s|$)", re.sub(r"^ \*\s*", "", text), maxsplit=1)[0]
        sides = []  # [tags, orders, file]
        for side in re.split(ARROW, head):
            names = re.match(rf"\s*({TAGS})", side)
            if names:
                orders = {order for inside in re.findall(r"\(([^)]*)\)", side)
                          for order in re.findall(rf"\b(?:{ORDER})\b", inside)}
                file = FOREIGN.search(side)
                file = file.group(1) if file else stem
                sides.append((re.findall(TAG, names.group(1)), orders, file))
        here, there = sides[0], sides[1:]
        if not there:
            problems.append(f"{where}: {', '.join(here[0])} names no partner's tag in the table")
        if not here[1]:
            problems.append(f"{where}: {', '.join(here[0])} names no order in the table")
        for name in here[0]:
            tag = tags.setdefault((stem, name), Tag())
            tag.orders |= here[1]
            tag.partners |= {(side[2], partner) for side in there for partner in side[0]}
        for names, orders, file in there:
            if orders and file == stem:  # said in full: needs no entry of its own
                for name in names:
                    tag = tags.setdefault((stem, name), Tag())
                    tag.orders |= orders
                    tag.partners |= {(stem, partner) for partner in here[0]}


SHORT = 5  # lines of a block behind whose closing brace a comment counts for all that is in it


def statements(text):
    """[first line, code, comment, reason that lasts] of each statement that has an operation."""
    found, blocks = [], []  # blocks: (first line, statements found before it) of each that is open
    code = COMMENT.sub(blank, text)
    lines = SKIPPED.sub(blank, code).split("\n")
    notes = {}  # line: comments that begin there
    for match in COMMENT.finditer(text):
        notes.setdefault(text.count("\n", 0, match.start()), []).append(match.group(0))

    above, pending, lasting, depth, first, before, part = "", "", "", 0, 0, 0, []
    busy_until = -1  # last line of a comment that began before
    for number, line in enumerate(lines):
        comments = " ".join(notes.get(number, []))
        if notes.get(number):
            busy_until = number + notes[number][-1].count("\n")
        if LASTING.search(comments):
            lasting = comments
        elif line.startswith("}") or not line.strip() and not comments and number > busy_until:
            lasting = ""
        if not line.strip() and not part:
            if comments:
                above += comments  # alone, above what follows
            elif number > busy_until:
                above = ""         # an empty line
            continue
        if not part:
            first, pending, before = number, above, len(found)
        part.append(line)
        pending += comments
        depth += line.count("(") - line.count(")")
        if depth <= 0 and re.search(r"[;{}:,]\s*$", line):
            whole = "\n".join(part)
            if OPERATION.search(whole):
                found.append([first + 1, whole, pending, lasting])
            above, pending, depth, part = "", "", 0, []
        for brace in re.findall(r"[{}]", line):
            if brace == "{":
                blocks.append((first, before))
            elif blocks:
                begin, inside = blocks.pop()
                if number - begin < SHORT and line.strip() == "}":
                    for statement in found[inside:]:
                        statement[2] += comments
    return found


def resolve(tags, stem, name):
    """The tag of that name of this file, or else of the only other file that has one."""
    if (stem, name) in tags:
        return tags[stem, name]
    others = [tag for (file, other), tag in tags.items() if other == name]
    return others[0] if len(others) == 1 else None


def main():
    here = Path(__file__).resolve()
    root = Path(sys.argv[1] if len(sys.argv) > 1 else here.parents[2] / "runtime")
    files = sorted(set(root.glob("*.[ch]")) - {root / "atomic.h"})
    tags, problems, count = {}, [], 0
    for file in files:
        for comment in COMMENT.findall(file.read_text()):
            read_table(comment, file.stem, tags, problems, file.name)

    for file in files:
        for number, code, comment, lasting in statements(file.read_text()):
            where, orders = f"{file.name}:{number}", OPERATION.findall(code)
            count += len(orders)
            names = set(re.findall(TAG, comment))
            own = {name for left in re.findall(rf"({TAGS})\s*(?:{ARROW})", comment)
                   for name in re.findall(TAG, left)}
            known = {name: tag for name in names if (tag := resolve(tags, file.stem, name))}
            for name in sorted(own - known.keys()):
                problems.append(f"{where}: {name} stands in no Orders table, or in several others'")
            for name in sorted(own & known.keys()):
                if not known[name].orders & set(orders):
                    says, does = sorted(known[name].orders), sorted(set(orders))
                    problems.append(f"{where}: {name} is {', '.join(says)} in the Orders table, "
                                    f"{', '.join(does)} here")
            for order in orders:
                if order == "relaxed":
                    if "relaxed" not in comment + lasting:
                        problems.append(f"{where}: relaxed, and no comment says why that is enough")
                    continue
                fits = [tag for name, tag in known.items()
                        if order in tag.orders and (name in own or not own)]
                for tag in fits:
                    tag.used = True
                if not fits:
                    problems.append(f"{where}: {order}, and no tag of that order names its partner")

    for (stem, name), tag in sorted(tags.items()):
        if not tag.used:
            problems.append(f"{stem}: {name} of the Orders table is at no operation")
        for file, partner in sorted(tag.partners):
            other = tags.get((file, partner)) or resolve(tags, stem, partner)
            if other is None:
                problems.append(f"{stem}: {name} names {partner}, which stands in no Orders table")
            elif name not in {back for _, back in other.partners}:
                problems.append(f"{stem}: {name} names {partner}, which does not name it in turn")
    print(*problems, f"{count} operations, {len(tags)} tags: {len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
