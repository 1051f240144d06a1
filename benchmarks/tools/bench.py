#!/usr/bin/env python3
"""Runs the benchmarks beside their peers, in interleaved rounds, and prints a table of ratios.

How a figure is made is said in docs/benchmarks.md.
"""

import argparse
import json
import os
import sys
import time

import counts
import figures
import machine
import report
from running import Failure, Runner, judge, run

# Workload → how it is measured. The order is that of the table.
WORKLOADS = {
    "token": figures.token, "read": figures.read, "small": figures.small, "stream": figures.stream,
    "plain": figures.plain, "skew": figures.skew, "queue": figures.queue, "pingpong": figures.pingpong,
    "wakeup": counts.wakeup, "gzip": counts.gzip, "oversubscribed": figures.oversubscribed, "steps": counts.steps,
    "growth": figures.growth, "stages": counts.stages, "graph": counts.graph, "memory": counts.memory,
    "idle": counts.idle,
}


class Bench(Runner):
    """A run of the tool: the rows so far."""

    def __init__(self, args):
        super().__init__(os.path.join(args.build_dir, "benchmarks"), args.rounds, args.seconds, args.quick)
        self.build_dir, self.scratch, self.verbose = args.build_dir, args.scratch, args.verbose
        self.rows, self.seconds_of, self.left_out = [], {}, []

    def contest(self, workload, entries, wanted, unit="M/s"):
        states = super().contest(entries, wanted)
        for figure in wanted:
            self.add(judge(workload, figure, states, unit))
        return states

    def add(self, row):
        self.rows.append(row)
        print(report.text(row, self.verbose), flush=True)

    def program(self, name, *arguments):
        """The JSON that one of the small programs prints."""
        try:
            return json.loads(run([self.path(name), *arguments], 300))
        except ValueError:
            raise Failure(f"{name}: the output is not JSON") from None

    def find(self, program):
        """A program anywhere in the build."""
        for folder, folders, files in os.walk(self.build_dir):
            folders[:] = [f for f in folders if f != "CMakeFiles"]
            path = os.path.join(folder, program)
            if program in files and os.access(path, os.X_OK):
                return path
        return None

    def too_long(self, workload, what):
        """A row that --quick leaves out, by name."""
        self.left_out.append(f"{workload}: {what}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="Workloads: " + ", ".join(WORKLOADS) + ". None named: all.")
    parser.add_argument("build_dir", metavar="BUILD_DIR", help="a Release build with ASYNC_BUILD_BENCHMARKS=ON")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--quick", action="store_true",
                        help="under 5 minutes: few and short rounds, without the rows that need a long run (it names them)")
    parser.add_argument("--rounds", type=int, help="of each contest (default 15; with --quick 5)")
    parser.add_argument("--seconds", type=float, help="of each run in a round (default 0.1; with --quick 0.03)")
    parser.add_argument("--verbose", action="store_true", help="show the configurations and every peer's ratio")
    parser.add_argument("--json", metavar="FILE", help="everything, every run's speed too, to FILE "
                        "(default: bench.json in BUILD_DIR)")
    parser.add_argument("--markdown", metavar="FILE", help=f"write the tables between {report.BEGIN} and {report.END} of "
                        "FILE, with plots in a folder of its name beside it; or to standard output for -")
    parser.add_argument("--from-json", metavar="FILE", help="measure nothing: print, and write, what an earlier run found")
    parser.add_argument("--scratch", metavar="DIR", help="for texts and outputs (default: in BUILD_DIR)")
    args = parser.parse_intermixed_args()
    unknown = set(args.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    if not os.path.isdir(os.path.join(args.build_dir, "benchmarks")):
        parser.error(f"{args.build_dir} has no benchmarks: configure it with -DASYNC_BUILD_BENCHMARKS=ON and build it")
    args.build_dir = os.path.abspath(args.build_dir)
    args.rounds = args.rounds or (5 if args.quick else 15)
    args.seconds = args.seconds or (0.03 if args.quick else 0.1)
    args.json = args.json or os.path.join(args.build_dir, "bench.json")
    args.scratch = args.scratch or os.path.join(args.build_dir, "benchmarks", "scratch")
    os.makedirs(args.scratch, exist_ok=True)
    return args


def warn(args, before):
    build_type = machine.cache(args.build_dir, "CMAKE_BUILD_TYPE")
    if build_type != "Release":
        print(f"warning: this is a {build_type or 'nameless'} build, not a Release build", file=sys.stderr)
    if len(os.sched_getaffinity(0)) < 2:
        print("warning: fewer than 2 CPUs: the figures of 2 CPUs can't be measured", file=sys.stderr)
    if before > 0.05:
        print(f"warning: {100 * before:.0f} % of the machine are in use by others: measure again when it is quiet",
              file=sys.stderr)


def again(args):
    with open(args.from_json, encoding="utf-8") as file:
        found = json.load(file)
    print("\n".join([f"{key}: {value}" for key, value in found["facts"].items()] + ["", report.line(report.HEADS)]
                    + [report.text(row, args.verbose) for row in found["rows"]]))
    if args.markdown:
        args.json = args.from_json
        write_page(args, found["rows"], found["facts"])


def write_page(args, rows, known):
    """The tables; and for a file, the plots in a folder of the same name beside it."""
    pictures = []
    if args.markdown != "-":
        folder = os.path.splitext(args.markdown)[0]
        try:
            plots = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plots.py")
            made = json.loads(run(["/usr/bin/python3", plots, args.json, folder], 120))
            pictures = [(workload, alt, f"{os.path.basename(folder)}/{name}") for workload, alt, name in made]
        except (Failure, ValueError) as failure:
            print(f"warning: no plots: {failure}", file=sys.stderr)
    report.write_markdown(args.markdown, report.markdown(rows, known, pictures))


def main():
    args = arguments()
    if args.from_json:
        again(args)
        return
    before = machine.busy()
    warn(args, before)
    known = machine.facts(args)
    for key, value in known.items():
        print(f"{key}: {value}")
    print("\n" + report.line(report.HEADS), flush=True)

    bench = Bench(args)
    begin = time.monotonic()
    for workload in args.workloads or WORKLOADS:
        started = time.monotonic()
        WORKLOADS[workload](bench)
        bench.seconds_of[workload] = round(time.monotonic() - started, 1)
    seconds = time.monotonic() - begin
    known["Time"] = f"{seconds / 60:.1f} minutes"

    held = [row["holds"] for row in bench.rows if row.get("holds") is not None]
    print(f"\n{sum(held)} of {len(held)} figures hold; {seconds:.0f} s.")
    if bench.left_out:
        print("Left out, as they need the long run:\n" + "\n".join(f"  {what}" for what in bench.left_out))
    os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump({"facts": known, "busy_before": before, "seconds": bench.seconds_of, "left_out": bench.left_out,
                   "rows": bench.rows}, file, indent=1, ensure_ascii=False)
        file.write("\n")
    if args.markdown:
        write_page(args, bench.rows, known)


if __name__ == "__main__":
    main()
