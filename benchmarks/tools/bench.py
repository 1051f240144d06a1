#!/usr/bin/env python3
"""Runs the benchmarks and their peers in interleaved pairs, and prints a table of ratios.

usage: bench.py BUILD_DIR [options] [WORKLOAD...]

WORKLOAD: token, stream (power and chain), plain, queue, gzip, memory, idle, skew, bounds; without one,
all but the last two. How a figure is made is said in docs/benchmarks.md.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

WORKLOADS = ["token", "stream", "plain", "queue", "gzip", "memory", "idle", "skew", "bounds"]
DEFAULT_WORKLOADS = WORKLOADS[:-2]
LARGEST_TOLERANCE = 0.03
SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = "<!-- results -->", "<!-- /results -->"


class Failure(Exception):
    """A benchmark that could not be run, or that gave a wrong answer."""


# ── Statistics ────────────────────────────────────────────────────────────────────────────────────

def spread(values):
    """The interquartile range, inclusive."""
    if len(values) < 2:
        return 0.0
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return quartiles[2] - quartiles[0]


def compare(ours, again, peer):
    """Ratios of pairs, and what the same benchmark against itself says of the noise."""
    ratios = [a / b for a, b in zip(ours, peer)]
    selves = [a / b for a, b in zip(again, ours)]
    return {
        "ratio": statistics.median(ratios),
        "iqr": spread(ratios),
        "self_iqr": spread(selves),
        "tolerance": min(spread(selves) / 2, LARGEST_TOLERANCE),
        "ours_samples": ours, "again_samples": again, "peer_samples": peer,
    }


# ── Running ───────────────────────────────────────────────────────────────────────────────────────

class Side:
    """The benchmarks of one program, for so many CPUs, whose names match a pattern."""

    def __init__(self, program, cpus, pattern):
        self.program, self.cpus, self.pattern = program, cpus, pattern

    def __str__(self):
        return f"{os.path.basename(self.program)} --cpus={self.cpus} '{self.pattern}'"

    def names(self):
        if not os.path.exists(self.program):
            raise Failure(f"{os.path.basename(self.program)} is not built")
        out = run([self.program, f"--cpus={self.cpus}", "--benchmark_list_tests",
                   f"--benchmark_filter={self.pattern}"], 60)
        names = [line for line in out.splitlines() if line.endswith("/real_time")]
        if not names:
            raise Failure(f"no benchmark: {self}")
        return names

    def once(self, name, seconds):
        """Items per second of one run of one benchmark, in a process of its own."""
        out = run([self.program, f"--cpus={self.cpus}", f"--benchmark_filter=^{re.escape(name)}$",
                   f"--benchmark_min_time={seconds}", "--benchmark_format=json"], 120)
        result = json.loads(out)["benchmarks"][0]
        if result.get("error_occurred"):
            raise Failure(f"{name}: {result.get('error_message', 'failed')}")
        return result["items_per_second"]


def run(command, timeout):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              check=False, text=True)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(map(os.path.basename, command[:4]))}: no end after {timeout} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise Failure(f"{os.path.basename(command[0])} ended with {done.returncode}: {last}")
    return done.stdout


class Bench:
    def __init__(self, args):
        self.args = args
        self.folder = os.path.join(args.build_dir, "benchmarks")
        self.best_of = {}
        self.rows = []

    def side(self, program, cpus, pattern):
        return Side(os.path.join(self.folder, program), cpus, pattern)

    # One figure: find the best configuration of each side, then run pairs.

    def best(self, side):
        """The name of the fastest benchmark of a side: all are run in turns, and the best again."""
        key = (side.program, side.cpus, side.pattern)
        if key in self.best_of:
            return self.best_of[key]
        names = side.names()
        for keep, rounds, seconds in ((6, 2, 0.04), (3, 3, 0.1), (1, 5, 0.1)):
            if len(names) <= keep:
                continue
            if self.args.quick:
                rounds = max(1, rounds // 2)
            speeds = {name: [] for name in names}
            for _ in range(rounds):
                for name in names:
                    speeds[name].append(side.once(name, seconds))
            names = sorted(names, key=lambda n: -statistics.median(speeds[n]))[:keep]
        self.best_of[key] = names[0]
        return names[0]

    def pairs(self, ours, ours_name, peer, peer_name):
        """A B A', A' B A, …: each pair is ours next to the peer; A' against A is the noise."""
        first, again, other = [], [], []
        for i in range(self.args.pairs):
            mine = [ours.once(ours_name, self.args.seconds)]
            other.append(peer.once(peer_name, self.args.seconds))
            mine.append(ours.once(ours_name, self.args.seconds))
            first.append(mine[i % 2])
            again.append(mine[1 - i % 2])
        return compare(first, again, other)

    def figure(self, workload, title, ours, peer, target=None, ours_name=None, scale=1.0, unit="M/s"):
        row = {"workload": workload, "figure": title, "target": target, "unit": unit}
        try:
            row["ours_config"] = ours_name or self.best(ours)
            row["peer_config"] = self.best(peer)
            result = self.pairs(ours, row["ours_config"], peer, row["peer_config"])
            row.update(result)
            row["ratio"] *= scale
            row["iqr"] *= scale
            row["ours"] = statistics.median(result["ours_samples"]) / 1e6
            row["peer"] = statistics.median(result["peer_samples"]) / 1e6
            if target is not None:
                row["holds"] = row["ratio"] >= target * (1 - row["tolerance"])
        except Failure as failure:
            row["failure"] = str(failure)
            if target is not None:
                row["holds"] = False
        self.add(row)
        return row

    def add(self, row):
        self.rows.append(row)
        print(text_row(row), flush=True)

    # The workloads.

    def token(self):
        for cpus in (1, 2):
            for k in (1, 4):
                prefix = f"^token/k:{k}/"
                peer = self.side("token_tbb", cpus, prefix)
                title = f"token k={k}, {cpus} CPU{'s' if cpus > 1 else ''}, against TBB"
                self.with_crews("token", title, "token_async", cpus, prefix, peer, 2.0)

    def stream(self):
        for cpus in (1, 2):
            for workload, k in (("power", 1), ("chain", 8)):
                prefix = f"^{workload}/k:{k}/"
                peer = self.side(f"{workload}_tbb", cpus, prefix)
                name = workload if workload == "power" else f"{workload} k={k}"
                title = f"{name}, {cpus} CPU{'s' if cpus > 1 else ''}, against TBB"
                self.with_crews("stream", title, f"{workload}_async", cpus, prefix, peer, 1.0)

    def with_crews(self, workload, title, program, cpus, prefix, peer, target):
        """The figure with the best crew; then, on one CPU, the best of the other crew."""
        row = self.figure(workload, title, self.side(program, cpus, prefix), peer, target)
        if cpus != 1 or "failure" in row:
            return
        other = "workers:1" if "/workers:0/" in row["ours_config"] else "workers:0"
        self.figure(workload, f"— with {other[-1]} worker{'' if other[-1] == '1' else 's'}",
                    self.side(program, cpus, prefix + f".*/{other}/"), peer)

    def plain(self):
        for workload, k in (("power", 1), ("chain", 8)):
            for chunk in (1024, 4096, 16384):
                prefix = f"^{workload}/k:{k}/cpus:1/chunk:{chunk}/"
                name = workload if workload == "power" else f"{workload} k={k}"
                self.figure("plain", f"{name}, chunk {chunk}, 0 workers, against the plain loop",
                            self.side(f"{workload}_async", 1, prefix + "workers:0/"),
                            self.side(f"{workload}_plain", 1, prefix), 0.95)

    def queue(self):
        for shape in ("1p1c", "2p2c"):
            for capacity, target in ((0, 1.3), (4096, None)):
                title = f"queue {shape} singly, against ramalhete" if capacity == 0 else \
                    f"— with room for {capacity} items"
                self.figure("queue", title,
                            self.side("queue_async", 2, f"^queue/{shape}/batch:1/.*/capacity:{capacity}/"),
                            self.side("queue_ramalhete", 2, f"^queue/{shape}/batch:1/"), target)
        for shape in ("1p1c", "2p2c"):
            for capacity, target in ((0, 1.0), (4096, None)):
                title = f"queue {shape} batches of 64, against moodycamel's bulk" if capacity == 0 else \
                    f"— with room for {capacity} items"
                self.figure("queue", title,
                            self.side("queue_async", 2, f"^queue/{shape}/batch:64/.*/capacity:{capacity}/"),
                            self.side("queue_moodycamel", 2, f"^queue/{shape}/batch:64/"), target)

    def skew(self):
        for chunk in (1, 16):
            pattern = f"^skew/.*/chunk:{chunk}/"
            self.figure("skew", f"skew chunk {chunk}, 2 CPUs, efficiency (against 2 × the serial loop)",
                        self.side("skew_async", 2, pattern), self.side("skew_plain", 1, "^skew/"), scale=0.5)
            self.figure("skew", f"skew chunk {chunk}, 2 CPUs, against TBB",
                        self.side("skew_async", 2, pattern), self.side("skew_tbb", 2, pattern))

    def bounds(self):
        for cpus in (1, 2):
            for workload, k in (("token", 1), ("token", 4), ("power", 1), ("chain", 8)):
                pattern = f"^{workload}/k:{k}/"
                self.figure("bounds", f"{workload} k={k}, {cpus} CPU{'s' if cpus > 1 else ''}, against OpenMP",
                            self.side(f"{workload}_async", cpus, pattern),
                            self.side(f"{workload}_openmp", cpus, pattern))
        for k in (1, 4):
            self.figure("bounds", f"token k={k}, 1 CPU, against the plain loop",
                        self.side("token_async", 1, f"^token/k:{k}/"),
                        self.side("token_plain", 1, f"^token/k:{k}/"))

    # Whole programs.

    def measure(self, command, out=os.devnull):
        """Runs a command with its output in a file; what the measuring program wrote of it."""
        result = os.path.join(self.args.scratch, "measured.json")
        with open(out, "wb") as file:
            done = subprocess.run([os.path.join(self.folder, "measure"), result] + command, stdout=file,
                                  stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Failure(f"measure: {done.stderr.decode().strip()}")
        with open(result, encoding="utf-8") as file:
            measured = json.load(file)
        if measured["exit"] != 0:
            raise Failure(f"{os.path.basename(command[0])} ended with {measured['exit']}: "
                          f"{done.stderr.decode().strip()}")
        return measured

    def text(self, mib):
        path = os.path.join(self.args.scratch, f"words-{mib}.txt")
        if not os.path.exists(path) or os.path.getsize(path) != mib << 20:
            with open(path, "wb") as file:
                subprocess.run([os.path.join(self.folder, "words"), str(mib)], stdout=file, check=True)
        return path

    def gzip(self):
        mib = 32 if self.args.quick else 256
        title = f"pgzip -p 2 against pigz -p 2, {mib} MiB"
        row = {"workload": "gzip", "figure": f"{title}: time", "target": 1.0, "unit": "MB/s", "holds": False}
        pgzip, pigz = self.find("pgzip"), shutil.which("pigz")
        for name, path in (("pgzip", pgzip), ("pigz", pigz)):
            if path is None:
                self.add({**row, "failure": f"there is no {name}"})
                return
        try:
            path = self.text(mib)
            ours = [pgzip, "-p", "2", "-6", "-c", "-k", path]
            peer = [pigz, "-p", "2", "-6", "-c", "-k", path]
            speeds, peaks = {"ours": [], "again": [], "peer": []}, {"ours": 0, "peer": 0}
            for i in range(self.args.pairs):
                order = (("ours", ours), ("peer", peer), ("again", ours))
                for key, command in order if i % 2 == 0 else reversed(order):
                    measured = self.measure(command)
                    speeds[key].append((mib << 20) / 1e6 / measured["seconds"])
                    side = "peer" if key == "peer" else "ours"
                    peaks[side] = max(peaks[side], measured["peak_kib"])
            row.update(compare(speeds["ours"], speeds["again"], speeds["peer"]))
            row["ours"] = statistics.median(speeds["ours"])
            row["peer"] = statistics.median(speeds["peer"])
            row["holds"] = row["ratio"] >= 1.0 - row["tolerance"]
            self.add(row)

            packed = os.path.join(self.args.scratch, "packed.gz")
            sizes = {}
            for key, command in (("ours", ours), ("peer", peer)):
                self.measure(command, packed)
                sizes[key] = os.path.getsize(packed)
                run(["gzip", "-t", packed], 600)
            os.unlink(packed)
            ratio = sizes["ours"] / sizes["peer"]
            self.add({"workload": "gzip", "figure": f"{title}: size of the output", "unit": "MB",
                      "ours": sizes["ours"] / 1e6, "peer": sizes["peer"] / 1e6, "ratio": ratio,
                      "limit": "≤ 1.005", "holds": ratio <= 1.005})
            self.peak(title, peaks["ours"], peaks["peer"])
            if not self.args.quick:
                path = self.text(2048)
                try:
                    ours[-1] = peer[-1] = path
                    self.peak(title.replace(f"{mib} MiB", "2 GiB"), self.measure(ours)["peak_kib"],
                              self.measure(peer)["peak_kib"])
                finally:
                    os.unlink(path)
        except Failure as failure:
            self.add({**row, "failure": str(failure)})

    def peak(self, title, ours, peer):
        self.add({"workload": "gzip", "figure": f"{title}: peak memory", "unit": "MiB", "ours": ours / 1024,
                  "peer": peer / 1024, "limit": "≤ pigz + 8 MiB", "holds": ours <= peer + 8 * 1024})

    def find(self, program):
        for folder, folders, files in os.walk(self.args.build_dir):
            folders[:] = [f for f in folders if f != "CMakeFiles"]
            path = os.path.join(folder, program)
            if program in files and os.access(path, os.X_OK):
                return path
        return None

    def memory(self):
        for workers in (0, 1, 2, 4):
            row = {"workload": "memory", "figure": f"for_each over 10⁸ items, {workers} workers: growth of the peak",
                   "unit": "MiB", "limit": "< 8 MiB", "holds": False}
            try:
                out = run([os.path.join(self.folder, "footprint"), str(workers), "100000000"], 300)
                growth = json.loads(out)["growth_kib"] / 1024
                self.add({**row, "ours": growth, "holds": growth < 8})
            except (Failure, OSError) as failure:
                self.add({**row, "failure": str(failure)})

    def idle(self):
        row = {"workload": "idle", "figure": "an idle pool of 16 workers, 2 s: voluntary context switches",
               "unit": "", "limit": "0", "holds": False}
        try:
            result = json.loads(run([os.path.join(self.folder, "idle"), "16", "2000"], 60))
            if result["threads"] != 16:
                raise Failure(f"{result['threads']} threads")
            self.add({**row, "ours": result["switches"], "cpu_ms": result["cpu_ms"],
                      "holds": result["switches"] == 0})
        except (Failure, OSError) as failure:
            self.add({**row, "failure": str(failure)})


# ── Printing ──────────────────────────────────────────────────────────────────────────────────────

def number(value):
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cells(row):
    """figure, ours, peer, ratio, spread, tolerance, target, holds"""
    unit = f" {row['unit']}" if row.get("unit") else ""
    ours = number(row.get("ours")) + unit if "ours" in row else "–"
    peer = number(row.get("peer")) + unit if "peer" in row else "–"
    ratio = f"{row['ratio']:.3f}" if "ratio" in row else "–"
    iqr = f"{row['iqr']:.3f}" if "iqr" in row else "–"
    tolerance = f"{100 * row['tolerance']:.1f} %" if "tolerance" in row else "–"
    target = row.get("limit") or (f"≥ {row['target']}" if row.get("target") is not None else "–")
    holds = {True: "yes", False: "no", None: "–"}[row.get("holds")]
    if "failure" in row:
        ours = row["failure"]
    return [row["figure"], ours, peer, ratio, iqr, tolerance, target, holds]


HEADS = ["figure", "async", "peer", "ratio", "spread", "tolerance", "target", "holds"]
WIDTHS = [62, 12, 12, 7, 7, 9, 14, 5]


def text_row(row):
    line = "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                     for i, (cell, w) in enumerate(zip(cells(row), WIDTHS)))
    configs = [row[key] for key in ("ours_config", "peer_config") if key in row]
    return line + "".join(f"\n    {c.removesuffix('/real_time')}" for c in configs)


def short(config):
    """The configuration without what the figure's name says already."""
    parts = config.removesuffix("/real_time").split("/")
    said = ("k:", "cpus:", "batch:")
    kept = [p for p in parts[1:] if not p.startswith(said) and not re.fullmatch(r"\dp\dc", p)]
    return ", ".join(p.replace(":", " ") for p in kept if p not in ("async", "ramalhete", "moodycamel"))


def markdown(rows, facts):
    lines = [f"{key}: {value}  " for key, value in facts.items()]
    lines += ["", "| " + " | ".join(HEADS) + " |", "|---|" + "---:|" * (len(HEADS) - 1)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    lines += ["", "The configurations that were the best of each side:", "",
              "| figure | async | peer |", "|---|---|---|"]
    for row in rows:
        if "ours_config" in row and "peer_config" in row:
            lines.append(f"| {row['figure']} | {short(row['ours_config'])} | {short(row['peer_config'])} |")
    return "\n".join(lines) + "\n"


def write_markdown(path, text):
    """To standard output, or between the two marks of a file."""
    if path == "-":
        print("\n" + text)
        return
    with open(path, encoding="utf-8") as file:
        page = file.read()
    if BEGIN not in page or END not in page:
        sys.exit(f"{path} has no lines '{BEGIN}' and '{END}' to put the table between")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}{END}{after}")


# ── The machine ───────────────────────────────────────────────────────────────────────────────────

def first_line(command):
    try:
        return run(command, 10).splitlines()[0].strip()
    except (Failure, OSError, IndexError):
        return ""


def cache(build_dir, name):
    try:
        with open(os.path.join(build_dir, "CMakeCache.txt"), encoding="utf-8") as file:
            found = re.search(rf"^{name}:\w+=(.*)$", file.read(), re.M)
            return found.group(1) if found else ""
    except OSError:
        return ""


def busy():
    """The share of the machine's CPU time that is used now, while this program sleeps."""
    def sample():
        with open("/proc/stat", encoding="utf-8") as file:
            values = list(map(int, file.readline().split()[1:9]))
        return sum(values), values[3] + values[4]
    total, idle = sample()
    time.sleep(1)
    total_later, idle_later = sample()
    return 1 - (idle_later - idle) / max(1, total_later - total)


def facts(args):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    release = {}
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as file:
            release = dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.M))
    compilers = [first_line([cache(args.build_dir, f"CMAKE_{c}_COMPILER") or "cc", "--version"]) for c in ("C", "CXX")]
    commit = first_line(["git", "-C", SOURCE_DIR, "rev-parse", "--short=12", "HEAD"]) or "none"
    try:
        if run(["git", "-C", SOURCE_DIR, "status", "--porcelain", "--untracked-files=no"], 30).strip():
            commit += ", with changes"
    except (Failure, OSError):
        pass
    peers = []
    if shutil.which("dpkg-query"):
        for package in ("libtbb-dev", "libxenium-dev", "libconcurrentqueue-dev", "pigz", "libbenchmark-dev"):
            version = first_line(["dpkg-query", "-W", "-f", "${Version}\n", package])
            peers += [f"{package} {version}"] if version else []
    words = [os.path.relpath(w, SOURCE_DIR) if os.path.abspath(w).startswith(SOURCE_DIR + os.sep) and os.path.exists(w)
             else w for w in sys.argv]
    return {
        "Machine": f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs",
        "System": f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        "Compilers": "; ".join(dict.fromkeys(compilers)),
        "Build": f"{cache(args.build_dir, 'CMAKE_BUILD_TYPE')} {cache(args.build_dir, 'CMAKE_C_FLAGS_RELEASE')}",
        "Peers": ", ".join(peers) or "unknown",
        "Commit": commit,
        "Date": datetime.date.today().isoformat(),
        "Method": f"{args.pairs} interleaved pairs of {args.seconds} s each",
        "Command": "`" + " ".join(words) + "`",
    }


# ── Main ──────────────────────────────────────────────────────────────────────────────────────────

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="Workloads: " + ", ".join(WORKLOADS))
    parser.add_argument("build_dir", metavar="BUILD_DIR", help="a Release build with ASYNC_BUILD_BENCHMARKS=ON")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="all but skew and bounds, if none is named")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: for a first look only")
    parser.add_argument("--pairs", type=int, help="pairs a figure (default 15; with --quick 5)")
    parser.add_argument("--seconds", type=float, help="of each run of a pair (default 0.2; with --quick 0.1)")
    parser.add_argument("--json", metavar="FILE", help="write everything, every run's speed too, to FILE")
    parser.add_argument("--markdown", metavar="FILE", help=f"write the table between {BEGIN} and {END} of FILE, "
                        "or to standard output for -")
    parser.add_argument("--scratch", metavar="DIR", help="for texts and outputs (default: in BUILD_DIR)")
    args = parser.parse_intermixed_args()
    unknown = set(args.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    if not os.path.isdir(os.path.join(args.build_dir, "benchmarks")):
        parser.error(f"{args.build_dir} has no benchmarks: configure it with -DASYNC_BUILD_BENCHMARKS=ON and build it")
    args.build_dir = os.path.abspath(args.build_dir)
    args.pairs = args.pairs or (5 if args.quick else 15)
    args.seconds = args.seconds or (0.1 if args.quick else 0.2)
    args.scratch = args.scratch or os.path.join(args.build_dir, "benchmarks", "scratch")
    os.makedirs(args.scratch, exist_ok=True)

    build_type = cache(args.build_dir, "CMAKE_BUILD_TYPE")
    if build_type != "Release":
        print(f"warning: this is a {build_type or 'nameless'} build, not a Release build", file=sys.stderr)
    cpus = len(os.sched_getaffinity(0))
    if cpus < 2:
        print("warning: fewer than 2 CPUs: the figures of 2 CPUs can't be measured", file=sys.stderr)
    before = busy()
    if before > 0.05:
        print(f"warning: {100 * before:.0f} % of the machine are in use by others: measure again when it is quiet",
              file=sys.stderr)

    known = facts(args)
    for key, value in known.items():
        print(f"{key}: {value}")
    print("\n" + "  ".join(h.ljust(w) if i == 0 else h.rjust(w) for i, (h, w) in enumerate(zip(HEADS, WIDTHS))))
    bench = Bench(args)
    for workload in args.workloads or DEFAULT_WORKLOADS:
        getattr(bench, workload)()

    missed = [row for row in bench.rows if row.get("holds") is False]
    count = sum(row.get("holds") is not None for row in bench.rows)
    print(f"\n{count - len(missed)} of {count} figures hold.")
    if args.json:
        os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"facts": known, "busy_before": before, "rows": bench.rows}, file, indent=1, ensure_ascii=False)
            file.write("\n")
    if args.markdown:
        write_markdown(args.markdown, markdown(bench.rows, known))


if __name__ == "__main__":
    main()
