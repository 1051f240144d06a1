#!/usr/bin/env python3
"""Runs the stress programs together for a long time and looks at what they hold.

soak.py FOLDER MINUTES [SEED]: FOLDER has the programs. Each runs for the whole time, all of them
together with at least eight threads a CPU; for the third quarter of every minute all of their
threads share one CPU. Between two rounds, when nothing of the library's runs, a program says what
its process holds (see stress.h). The run has passed when every program ended well and

  - threads and descriptors at rest are the same at every look,
  - memory at rest is flat after the first third of the time: of what is allocated, by malloc's own
    account, all but the free blocks that are kept to be used again. The median of the last third
    is at most a twentieth and 64 KiB above that of the third before it,
  - those blocks are at most BLOCKS_KIB: they have a bound for each class of sizes, and fill slowly,
  - all programs together had eight threads a CPU or more, on average.

Prints a line a minute and a verdict."""
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

PROGRAMS = ("churn", "graph", "meeting", "mixed", "pipeline", "steady")
OVERSUBSCRIBED = 8
REPORT_SECONDS = 2
BLOCKS_KIB = 56 * 1024  # block.c: 1 MiB and two magazines for each of 52 classes
PIN_FROM, PIN_TO = 30, 45  # of each minute
REST = re.compile(r"rest: (\d+) rounds, (\d+) moves, (\d+) KiB resident, (\d+) allocated, (\d+) of them blocks, (\d+) threads, (\d+) descriptors")


class Program:
    def __init__(self, folder, name, seconds, threads, seed):
        self.name, self.looks, self.output, self.began = name, [], [], time.monotonic()
        command = [str(folder / f"stress_{name}_stress"), str(seconds), str(threads), str(seed), str(REPORT_SECONDS)]
        self.command = " ".join(command)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            look = REST.match(line)
            if look:
                self.looks.append((time.monotonic() - self.began, *map(int, look.groups())))
            else:
                self.output.append(line)

    def threads(self):
        """The ids of its threads now."""
        try:
            return [int(entry) for entry in os.listdir(f"/proc/{self.process.pid}/task")]
        except OSError:
            return []

    def pin(self, cpus):
        """Twice: a thread may be made by one that was not moved yet."""
        for thread in self.threads() + self.threads():
            try:
                os.sched_setaffinity(thread, cpus)
            except OSError:
                pass  # it has ended

    def last(self):
        return self.looks[-1] if self.looks else (0, 0, 0, 0, 0, 0, 0, 0)

    def problems(self, seconds):
        found = []
        if self.process.returncode != 0:
            found.append(f"ended with {self.process.returncode}:\n{''.join(self.output[-40:])}")
        looks = self.looks[1:]  # before the first round a pool's workers may not all be there
        if len(looks) < 6:
            return [*found, f"only {len(looks)} looks at it at rest"]
        for at, what in ((6, "threads"), (7, "descriptors")):
            seen = sorted({look[at] for look in looks})
            if len(seen) > 1:
                found.append(f"{what} at rest: {seen[0]} to {seen[-1]}")
        third, medians = len(looks) // 3, []
        for what, memory in (("resident", [look[3] for look in looks]), ("blocks", [look[5] for look in looks]),
                             ("other memory", [look[4] - look[5] for look in looks])):
            before, last = statistics.median(memory[third:-third]), statistics.median(memory[-third:])
            medians += [before, last, max(memory)]
            if what == "other memory" and last > before * 1.05 + 64:
                found.append(f"{what} at rest grew from {before:.0f} to {last:.0f} KiB (medians of the thirds)")
            if what == "blocks" and max(memory) > BLOCKS_KIB:
                found.append(f"{what} at rest: {max(memory)} KiB, more than {BLOCKS_KIB}")
        self.summary = ("{} rounds, {:.0f} M moves; KiB at rest in the second and last third, and at most: resident "
                        "{:.0f} {:.0f} {:.0f}, blocks {:.0f} {:.0f} {:.0f}, other {:.0f} {:.0f} {:.0f}; {} threads, {} descriptors; {} looks").format(
            self.last()[1], self.last()[2] / 1e6, *medians, looks[-1][6], looks[-1][7], len(looks))
        return found


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2]) * 60
    seed = int(sys.argv[3]) if len(sys.argv) == 4 else time.time_ns()
    cpus = os.sched_getaffinity(0)
    threads = max(4, OVERSUBSCRIBED * len(cpus) // 4)
    print(f"{seconds / 60:g} minutes, {len(cpus)} CPUs, {', '.join(PROGRAMS)} with {threads} threads each, seed {seed}", flush=True)
    programs = [Program(folder, name, seconds, threads, seed) for name in PROGRAMS]
    start, next_line, pinned, counts = time.monotonic(), 60, False, []
    try:
        while any(program.process.poll() is None for program in programs):
            time.sleep(0.25)
            now = time.monotonic() - start
            if now < seconds and all(program.process.poll() is None for program in programs):
                counts.append(sum(len(program.threads()) for program in programs))
            pin = PIN_FROM <= now % 60 < PIN_TO
            if pin != pinned or pin:
                for program in programs:
                    program.pin({min(cpus)} if pin else cpus)
                pinned = pin
            if now >= next_line:
                parts = [f"{p.name} {p.last()[1]} rounds {p.last()[3] / 1024:.1f} MiB {p.last()[6]}t {p.last()[7]}d"
                         for p in programs]
                print(f"minute {next_line // 60}: {'; '.join(parts)}; {counts[-1]} threads in all", flush=True)
                next_line += 60
            if now > seconds + 180:
                raise TimeoutError
    except TimeoutError:
        print("some did not end in time")
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
            program.process.wait()
            program.reader.join(10)
    failed = False
    for program in programs:
        program.summary = ""
        problems = program.problems(seconds)
        print(f"{program.name}: {program.summary}")
        for problem in problems:
            failed = True
            print(f"{program.name}: FAILED: {problem}\n  {program.command}")
    mean = statistics.mean(counts) if counts else 0
    print(f"threads: {mean:.0f} on average, {mean / len(cpus):.1f} a CPU")
    if mean < OVERSUBSCRIBED * len(cpus):
        failed = True
        print(f"FAILED: fewer than {OVERSUBSCRIBED} threads a CPU")
    print("verdict: FAILED" if failed else "verdict: flat, every check passed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
