"""Figures that are counted or taken from whole programs, not from contests."""

import json
import os
import re
import shutil

from running import Failure, run


# ── Instructions ──────────────────────────────────────────────────────────────────────────────────

def instructions(text):
    """From a file of callgrind's: function → instructions of its own."""
    names, own, current, skip = {}, {}, None, False
    for line in text.splitlines():
        if line.startswith("fn="):
            found = re.match(r"fn=\((\d+)\)(?: (.*))?$", line)
            if found.group(2):
                names[found.group(1)] = found.group(2)
            current = found.group(1)
        elif line.startswith("cfn="):
            found = re.match(r"cfn=\((\d+)\)(?: (.*))?$", line)
            if found.group(2):
                names[found.group(1)] = found.group(2)
        elif line.startswith("calls="):
            skip = True      # the next line is what the callee took
        elif current is not None and re.match(r"[0-9+*-]", line):
            if not skip:
                own[current] = own.get(current, 0) + int(line.split()[1])
            skip = False
    total = {}
    for key, count in own.items():
        name = re.sub(r"(\.constprop|\.isra|\.part|'\d+).*$", "", names.get(key, key))
        total[name] = total.get(name, 0) + count
    return total


def steps(bench):
    """Instructions of each stage and chunk: two numbers of items subtracted."""
    stages = 4
    row = {"workload": "steps", "unit": "", "holds": False, "limit": "≤ 40",
           "figure": f"instructions a stage and chunk, chain k={stages}, chunk 1"}
    try:
        if shutil.which("valgrind") is None:
            raise Failure("valgrind is not installed")
        numbers = (20_000, 60_000)
        counted = []
        for items in numbers:
            out = os.path.join(bench.scratch, "callgrind.out")
            run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", bench.path("steps"), str(items),
                 str(stages)], 120)
            with open(out, encoding="utf-8") as file:
                counted.append(instructions(file.read()))
        chunks = (numbers[1] - numbers[0]) * stages
        by_function = {name: (count - counted[0].get(name, 0)) / chunks for name, count in counted[1].items()}
        ours = {name: count for name, count in by_function.items() if abs(count) >= 0.005
                and not name.startswith("user_") and name != "main"}
        listed = sorted(ours.items(), key=lambda pair: -pair[1])
        total = sum(ours.values())
        bench.add({**row, "ours": total, "holds": total <= 40, "by_function": dict(listed),
                   "note": ", ".join(f"{name} {count:.2f}" for name, count in listed if count >= 0.05)})
    except (Failure, OSError) as failure:
        bench.add({**row, "failure": str(failure)})


# ── Memory and idleness ───────────────────────────────────────────────────────────────────────────

def memory(bench):
    for workers in (0, 1, 2, 4):
        row = {"workload": "memory", "figure": f"for_each over 10⁸ items, {workers} workers: growth of the peak",
               "unit": "MiB", "limit": "< 8", "holds": False}
        try:
            out = run([bench.path("footprint"), str(workers), "100000000"], 300)
            growth = json.loads(out)["growth_kib"] / 1024
            bench.add({**row, "ours": growth, "holds": growth < 8})
        except Failure as failure:
            bench.add({**row, "failure": str(failure)})


def idle(bench):
    row = {"workload": "idle", "figure": "an idle pool of 16 workers, 2 s: voluntary context switches",
           "unit": "", "limit": "0", "holds": False}
    try:
        result = json.loads(run([bench.path("idle"), "16", "2000"], 60))
        if result["threads"] != 16:
            raise Failure(f"{result['threads']} threads")
        bench.add({**row, "ours": result["switches"], "cpu_ms": result["cpu_ms"], "holds": result["switches"] == 0})
    except Failure as failure:
        bench.add({**row, "failure": str(failure)})
