"""Figures that are counted or taken from whole programs, not from contests."""

import json
import os
import re
import shutil
import subprocess
import zlib

import stats
from running import Failure, Figure, judge, run


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
            growth = bench.program("footprint", str(workers), "100000000")["growth_kib"] / 1024
            bench.add({**row, "ours": growth, "holds": growth < 8})
        except Failure as failure:
            bench.add({**row, "failure": str(failure)})
    for workers in (0, 1):
        row = {"workload": "memory", "figure": f"token of 10⁸ items, {workers} workers", "unit": "MiB", "limit": "< 16",
               "holds": False}
        try:
            result = bench.program("footprint", str(workers), "100000000", "1")
            peak = result["after_kib"] / 1024
            bench.add({**row, "figure": row["figure"] + ": peak", "ours": peak, "holds": peak < 16})
            bench.add({**row, "figure": row["figure"] + ": allocations after the first tenth", "unit": "", "limit": "0",
                       "ours": result["allocations"], "holds": result["allocations"] == 0})
        except Failure as failure:
            bench.add({**row, "failure": str(failure)})


def idle(bench):
    row = {"workload": "idle", "figure": "an idle pool of 16 workers, 2 s: voluntary context switches",
           "unit": "", "limit": "0", "holds": False}
    try:
        result = bench.program("idle", "16", "2000")
        if result["threads"] != 16:
            raise Failure(f"{result['threads']} threads")
        bench.add({**row, "ours": result["switches"], "cpu_ms": result["cpu_ms"], "holds": result["switches"] == 0,
                   "note": f"CPU time: {result['cpu_ms']:.2f} ms"})
    except Failure as failure:
        bench.add({**row, "failure": str(failure)})


# ── Single events, measured in turns within one process ───────────────────────────────────────────

def in_turns(bench, row, target, first, second):
    """A row of times: the first of each pair in the second, at most `target`."""
    compared = stats.compare(first, second)
    allowed = stats.tolerance(first[::2], first[1::2])
    bench.add({**row, **compared, "at_most": True, "target": target, "tolerance": allowed,
               "holds": stats.holds(compared["ratio"], target, allowed, at_most=True)})


def wakeup(bench):
    row = {"workload": "wakeup", "unit": "µs"}
    try:
        result = bench.program("wakeup", "32", str(max(40, 4 * bench.rounds)))
        wakes = stats.median(result["wakes"])
        bench.add({**row, "figure": "one chunk for 32 parked workers: futex wakes, the reader's too", "unit": "",
                   "ours": wakes, "limit": "≤ 2", "holds": wakes <= 2, "most": max(result["wakes"])})
        ours, bare = result["ours_ns"], result["bare_ns"]
        in_turns(bench, {**row, "figure": "one chunk for 32 parked workers: time in a bare round trip",
                         "best": "bare futex", "ours": 1e9 / stats.median(ours), "peer": 1e9 / stats.median(bare)},
                 1.2, ours, bare)
    except Failure as failure:
        bench.add({**row, "figure": "one chunk for 32 parked workers", "failure": str(failure), "holds": False})


def stages(bench):
    for chunk in (1, 64):
        row = {"workload": "stages", "unit": "ns", "figure": f"one more stage, chunk {chunk}: between 32 and 64 against 4 to 8"}
        try:
            rounds = bench.program("stages", str(chunk), str(2 * bench.rounds + 1))["rounds"]
            many = [(r[3] - r[2]) / 32 for r in rounds]
            few = [(r[1] - r[0]) / 4 for r in rounds]
            if stats.median(few) <= 0 or stats.median(many) <= 0:
                raise Failure("a stage costs nothing: measure on a quieter machine")
            # Differences of short times are noisy: the medians are compared, not the pairs.
            ratio = stats.median(many) / stats.median(few)
            bench.add({**row, "ours": 1e9 / stats.median(many), "peer": 1e9 / stats.median(few), "best": "4 to 8 stages",
                       "ratio": ratio, "at_most": True, "target": 1.1, "holds": stats.holds(ratio, 1.1, 0.0, True)})
        except Failure as failure:
            bench.add({**row, "failure": str(failure), "holds": False})


def graph(bench):
    row = {"workload": "graph", "unit": "µs", "figure": "adding, reading once, removing: 10⁴ tasks against 10"}
    try:
        rounds = bench.program("graph", "10", "10000", str(2 * bench.rounds + 1))["rounds"]
        few, many = [r[0] for r in rounds], [r[1] for r in rounds]
        in_turns(bench, {**row, "ours": 1e9 / stats.median(many), "peer": 1e9 / stats.median(few), "best": "10 tasks"},
                 3.0, many, few)
    except Failure as failure:
        bench.add({**row, "failure": str(failure), "holds": False})


# ── gzip ──────────────────────────────────────────────────────────────────────────────────────────

class Compressors:
    """pgzip, pigz and plain loops of zlib, as commands over one text."""

    def __init__(self, bench, mib):
        self.bench, self.bytes = bench, mib << 20
        self.path = os.path.join(bench.scratch, f"words-{mib}.txt")
        if not os.path.exists(self.path) or os.path.getsize(self.path) != self.bytes:
            with open(self.path, "wb") as file:
                subprocess.run([bench.path("words"), str(mib)], stdout=file, check=True, timeout=600)
        pgzip = bench.find("pgzip")
        commands = {"async": pgzip and [pgzip, "-p", "2", "-6", "-c", "-k"],
                    "async, 16 workers": pgzip and [pgzip, "-p", "16", "-6", "-c", "-k"],
                    "zlib loops": [bench.path("gzip_plain"), "2"],
                    "pigz": shutil.which("pigz") and [shutil.which("pigz"), "-p", "2", "-6", "-c", "-k"]}
        self.commands = {label: command + [self.path] for label, command in commands.items() if command}

    def measure(self, label, out=os.devnull):
        """Runs it with its output in a file; what the measuring program wrote of it."""
        result = os.path.join(self.bench.scratch, "measured.json")
        if label not in self.commands or not os.path.exists(self.commands[label][0]):
            raise Failure(f"{label} is not there")
        with open(out, "wb") as file:
            try:
                done = subprocess.run([self.bench.path("measure"), result] + self.commands[label], stdout=file,
                                      stderr=subprocess.PIPE, check=False, timeout=1200)
            except subprocess.TimeoutExpired:
                raise Failure(f"{label}: no end") from None
        if done.returncode != 0:
            raise Failure(f"measure: {done.stderr.decode().strip()}")
        with open(result, encoding="utf-8") as file:
            measured = json.load(file)
        if measured["exit"] != 0:
            raise Failure(f"{label} ended with {measured['exit']}: {done.stderr.decode().strip()}")
        return measured

    def check(self, label):
        """What it packs unpacks to the input; its size."""
        packed = os.path.join(self.bench.scratch, "packed.gz")
        self.measure(label, packed)
        try:
            if label == "zlib loops":
                with open(packed, encoding="utf-8") as file:
                    said = json.load(file)
                crc = 0
                with open(self.path, "rb") as file:
                    while piece := file.read(1 << 20):
                        crc = zlib.crc32(piece, crc)
                if said["crc"] != crc:
                    raise Failure(f"{label}: wrong check sum")
                return said["packed"]
            run(["sh", "-c", 'gzip -dc "$1" | cmp - "$2"', "sh", packed, self.path], 600)
            return os.path.getsize(packed)
        finally:
            os.unlink(packed)


def gzip(bench):
    mib = 16 if bench.quick else 128
    rounds = bench.rounds if bench.quick else 15
    try:
        programs = Compressors(bench, mib)
    except (subprocess.SubprocessError, OSError) as error:
        bench.add({"workload": "gzip", "figure": "pgzip", "failure": str(error), "holds": False})
        return
    states, peaks, sizes = {}, {}, {}
    for label in ("async", "async, 16 workers", "zlib loops", "pigz"):
        states[label] = {"samples": [], "again": [], "config": None}
        try:
            sizes[label] = programs.check(label)
        except Failure as failure:
            states[label]["failure"] = str(failure)
    turns = [(label, "samples") for label in states] + [("async", "again")]
    for number in range(rounds):
        for label, into in turns if number % 2 == 0 else reversed(turns):
            if "failure" in states[label]:
                continue
            try:
                measured = programs.measure(label)
                states[label][into].append(programs.bytes / measured["seconds"])
                peaks[label] = max(peaks.get(label, 0), measured["peak_kib"])
            except Failure as failure:
                states[label]["failure"] = str(failure)
    title = f"pgzip -p 2, {mib} MiB"
    for figure in (Figure(f"{title}, against 2 zlib loops side by side", ["zlib loops"], 0.97),
                   Figure(f"{title}, against pigz -p 2", ["pigz"], 1.03),
                   Figure(f"pgzip -p 16 against -p 2, {mib} MiB", ["async"], 0.9, ours="async, 16 workers")):
        bench.add(judge("gzip", figure, states, "MB/s"))
    if "async" in sizes and "pigz" in sizes:
        ratio = sizes["async"] / sizes["pigz"]
        bench.add({"workload": "gzip", "figure": f"{title}: size of the output", "unit": "MB", "best": "pigz",
                   "ours": sizes["async"] / 1e6, "peer": sizes["pigz"] / 1e6, "ratio": ratio, "limit": "≤ 1.005",
                   "holds": ratio <= 1.005})
    if "async" in peaks and "pigz" in peaks:
        peak(bench, title, peaks["async"], peaks["pigz"])
    if bench.quick:
        bench.too_long("gzip", "peak memory with 2 GiB")
        return
    try:
        large = Compressors(bench, 2048)
        peak(bench, "pgzip -p 2, 2 GiB", large.measure("async")["peak_kib"], large.measure("pigz")["peak_kib"])
        os.unlink(large.path)
    except (Failure, subprocess.SubprocessError, OSError) as error:
        bench.add({"workload": "gzip", "figure": "pgzip -p 2, 2 GiB: peak memory", "failure": str(error), "holds": False})


def peak(bench, title, ours, peer):
    bench.add({"workload": "gzip", "figure": f"{title}: peak memory", "unit": "MiB", "ours": ours / 1024, "best": "pigz",
               "peer": peer / 1024, "limit": "≤ +8 MiB", "holds": ours <= peer + 8 * 1024})
