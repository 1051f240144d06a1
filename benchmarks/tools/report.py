"""Rows as text, and as the table and lists of docs/benchmarks.md."""

import re
import sys

BEGIN, END = "<!-- results -->", "<!-- /results -->"
HEADS = ["figure", "async", "best peer", "", "ratio", "spread", "±", "target", "holds"]
WIDTHS = [66, 11, 24, 11, 7, 6, 5, 9, 5]


def number(value):
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quantity(row, key):
    """Speeds are items per second; 'ns' and 'µs' show the time of one."""
    value = row.get(key)
    if value is None:
        return "–"
    unit = row.get("unit", "")
    if unit == "M/s" and value < 1e6:
        return f"{number(value / 1e3)} k/s"
    per = {"M/s": 1e-6, "MB/s": 1e-6, "ns": 1e9, "µs": 1e6}.get(unit)
    if per is not None:
        value = per / value if unit in ("ns", "µs") else value * per
    return f"{number(value)} {unit}".strip()


def cells(row):
    ratio = f"{row['ratio']:.3f}" if row.get("ratio") is not None else "–"
    iqr = f"{row['iqr']:.2f}" if row.get("iqr") is not None else "–"
    allowed = f"{100 * row['tolerance']:.1f}%" if row.get("tolerance") is not None else "–"
    sign = "≤" if row.get("at_most") else "≥"
    target = row.get("limit") or (f"{sign} {row['target']:g}" if row.get("target") is not None else "–")
    holds = {True: "yes", False: "no", None: "–"}[row.get("holds")]
    return [row["figure"], quantity(row, "ours"), row.get("best") or "–", quantity(row, "peer"), ratio, iqr, allowed,
            target, holds]


def line(texts):
    return "  ".join(t.ljust(w) if i in (0, 2) else t.rjust(w) for i, (t, w) in enumerate(zip(texts, WIDTHS)))


def notes(row):
    """What stands below a row of the text: failures."""
    if "failure" in row:
        yield row["failure"]
    for label, peer in row.get("peers", {}).items():
        if "failure" in peer and peer["failure"] not in row.get("failure", "") and "not built" not in peer["failure"]:
            yield f"{label}: {peer['failure']}"
    if row.get("note"):
        yield row["note"]


def text(row, verbose=False):
    lines = [line(cells(row))]
    lines += [f"      {note}" for note in notes(row)]
    if verbose:
        lines += [f"      {row[key].removesuffix('/real_time')}" for key in ("ours_config", "peer_config") if row.get(key)]
        for label, peer in sorted(row.get("peers", {}).items(), key=lambda p: p[1].get("ratio") or 1e9):
            if peer.get("ratio") is not None:
                lines.append(f"        {peer['ratio']:8.3f} × {label} ({short(peer['config'])})")
    return "\n".join(lines)


def short(config):
    """The configuration without what the figure's name says already."""
    if not config:
        return "–"
    parts = config.removesuffix("/real_time").split("/")
    said = ("k:", "cpus:", "batch:")
    kept = [p for p in parts[1:] if not p.startswith(said) and not re.fullmatch(r"\dp\dc", p)]
    return ", ".join(p.replace(":", " ") for p in kept) or "–"


def table(rows):
    heads = [head or "speed" for head in HEADS]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return lines


def markdown(rows, facts, pictures=()):
    lines = [f"{key}: {value}  " for key, value in facts.items()]
    lines += ["", *(f"![{alt}]({path})" for name, alt, path in pictures if name == "all")]
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    for workload in workloads:
        mine = [row for row in rows if row["workload"] == workload]
        lines += ["", f"### {workload}", ""] + table(mine)
        noted = [f"- {row['figure']}: {note}" for row in mine for note in notes(row)]
        mine_pictures = [f"![{alt}]({path})" for name, alt, path in pictures if name == workload]
        for more in (noted, mine_pictures):
            lines += ["", *more] if more else []
    lines += ["", "### Every peer", "",
              "Ours in the peer's speed (or, in rows of times, its time), with the configuration that was each "
              "side's best.", "", "| figure | side | ratio | configuration |", "|---|---|---:|---|"]
    for row in rows:
        if not row.get("peers"):
            continue
        lines.append(f"| {row['figure']} | async | 1 | {short(row.get('ours_config'))} |")
        for label, peer in row["peers"].items():
            ratio = f"{peer['ratio']:.3f}" if peer.get("ratio") is not None else "–"
            lines.append(f"| | {label} | {ratio} | {peer.get('failure') or short(peer.get('config'))} |")
    return "\n".join(lines) + "\n"


def write_markdown(path, page_text):
    """To standard output, or between the two marks of a file."""
    if path == "-":
        print("\n" + page_text)
        return
    with open(path, encoding="utf-8") as file:
        page = file.read()
    if BEGIN not in page or END not in page:
        sys.exit(f"{path} has no lines '{BEGIN}' and '{END}' to put the table between")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{page_text}{END}{after}")
