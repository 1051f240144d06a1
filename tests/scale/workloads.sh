#!/bin/bash
# Each built-in workload at 10^4 items, and the plug-in of docs/examples: every run checks its result; the
# outputs are what they should be.
source "$(dirname "${BASH_SOURCE[0]}")/../examples/lib.bash"
scale=$1/benchmarks/scale/async-scale
primes=$1/docs/examples/scale_primes.so

# well_formed WORKLOAD ROUNDS: out.json, out.csv, out.html and plots/ hold what was asked for.
well_formed() {
    python3 - "$@" <<'PYTHON' >&3
import csv, json, math, sys
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from pathlib import Path

workload, rounds = sys.argv[1], int(sys.argv[2])
results = json.load(open("out.json"))
assert results["format"] == "async-scale" and results["workload"].startswith(workload), results["workload"]
assert results["items"] == 10000 and not results["interrupted"]
assert [(p["workers"], p["chunk"]) for p in results["points"]] == [(w, c) for c in (16, 256) for w in (0, 1, 2)]
for point in results["points"]:
    assert len(point["seconds"]) == rounds and min(point["seconds"]) > 0
    rate = point["items_per_second"]
    assert rate["low"] <= rate["median"] <= rate["high"]
    # A call for each chunk of each stage; a last, empty look for more counts, too.
    assert point["chunks"] >= 10000 // point["chunk"], point
    assert point["steals"] >= 0 and point["parks"] >= 0
    shares = point["shares"]
    assert abs(shares["functions"] + shares["idle"] + shares["runtime"] - 1) < 1e-6, shares
    assert shares["functions"] > 0, shares
for chunk in results["chunk_sizes"]:
    p = chunk["prediction"]
    assert 0 < p["critical_path_seconds"] <= p["work_seconds"] * 1.000001, p
    at = {a["workers"]: a for a in p["at"]}
    assert at[1]["speedup"] == 1 and 64 in at and max(at) == 64
    # One worker that waits for items from outside has to be woken for them; several are awake.
    spared = 1.5 if workload == "channel" else 1.0001
    for a in at.values():
        assert a["speedup"] <= a["workers"] * spared and a["limit"], a
    assert sum(s["chunks"] for s in p["stages"]) > 0
rows = list(csv.DictReader(open("out.csv")))
assert len(rows) == 6 and all(float(r["items_per_second"]) > 0 for r in rows)
for row, point in zip(rows, results["points"]):
    assert math.isclose(float(row["seconds"]), point["time"]["median"], rel_tol=1e-6)
for plot in ("throughput", "speedup", "chunks", "time", "prediction"):
    root = xml.parse(f"plots/{plot}.svg").getroot()
    assert root.tag.endswith("svg") and "nan" not in Path(f"plots/{plot}.svg").read_text(), plot

class Page(HTMLParser):
    svgs = 0
    def handle_starttag(self, tag, attributes):
        self.svgs += tag == "svg"
        for name, value in attributes:
            # It opens offline: nothing is loaded from anywhere.
            assert name not in ("src", "href"), (tag, name, value)
page = Page()
page.feed(Path("out.html").read_text())
assert page.svgs == 5, page.svgs
PYTHON
}

one() { # NAME WORKLOAD ROUNDS
    fresh
    expect 0 '' "$scale" "$2" --items 10000 --workers 0-2 --chunks 16,256 --repeat "$3" --warm-up $(($3 - 1)) --predict 64 \
        --json out.json --csv out.csv --html out.html --svg plots
    check "$1: the table" grep -q '^ *workers  *chunk  *items/s' "$scratch/stdout"
    check "$1: in words" grep -q '^What limits it\|^No speed-up' "$scratch/stdout"
    check "$1: the prediction" grep -q '^Predicted from a recorded run' "$scratch/stdout"
    only out.csv out.html out.json plots
    if command -v python3 >/dev/null; then check "$1: outputs" well_formed "$1" "$3"; fi
}

for workload in memory skewed gzip channel; do one "$workload" "$workload" 1; done
for workload in compute chain; do one "$workload" "$workload" 3; done
if [[ -f $primes ]]; then one scale_primes "$primes" 2; fi

# The defaults, but for the time: all of the grid.
fresh
expect 0 '' "$scale" compute -n 10000 -r 1 --warm-up 0 --pin
check 'defaults: three chunk sizes' [ "$(grep -cE '^ +1\*? +(1|64|4096) ' "$scratch/stdout")" -eq 3 ]
only

# What is not asked for isn't done.
expect 0 '' "$scale" chain -n 10000 -r 1 -w 2 -c 64 --predict 0
check 'no prediction' [ "$(grep -c Predicted "$scratch/stdout")" -eq 0 ]

finish
