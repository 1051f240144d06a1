"""Benchmark programs: running them, finding each side's best configuration, and interleaved rounds.

Every program speaks one protocol, that of Google Benchmark: --benchmark_list_tests,
--benchmark_filter=REGEX, --benchmark_min_time=SECONDS, --benchmark_format=json; beside it
--cpus=N, --pinned-to=M and --items=N. See docs/benchmarks.md.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field

import stats

# The usual number of items of a workload, and how many it has in a sweep over configurations.
USUAL = {"power": (20_000_000, 1_000_000), "chain": (20_000_000, 1_000_000), "token": (1_000_000, 32_768),
         "skew": (20_000, 2_000), "queue": (1 << 20, 1 << 15), "queue batched": (1 << 23, 1 << 18)}
ALSO_RANS = 0.6    # peers below this share of the best peer's speed get few rounds


class Failure(Exception):
    """A benchmark that could not be run, or that gave a wrong answer."""


def run(command, timeout, environment=None):
    """What a command wrote; Failure where it fails, crashes or does not end."""
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              check=False, text=True, env=environment)
    except subprocess.TimeoutExpired:
        raise Failure(f"{name}: no end after {timeout:.0f} s") from None
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        raise Failure(f"{name} {how}: {last}")
    return done.stdout


def results(text):
    """From a program's JSON: name → its entry. A benchmark with an error has 'error_message' only."""
    try:
        entries = json.loads(text)["benchmarks"]
        found = {}
        for entry in entries:
            if entry.get("error_occurred"):
                found[entry["name"]] = {"error_message": entry.get("error_message") or "failed"}
            elif entry.get("run_type", "iteration") == "iteration":
                if not entry["items_per_second"] > 0:
                    raise ValueError("no speed")
                found[entry["name"]] = entry
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"the output is not a benchmark's: {error}") from None


@dataclass
class Entry:
    """One side of a contest: the benchmarks of one program whose names match a pattern."""
    label: str
    program: str
    cpus: int
    pattern: str
    pinned: int = 0                   # to so many CPUs, where that is not `cpus`
    items: int = 0                    # so many, always
    rounds: int = 0                   # at most so many; 0: all
    environment: dict = field(default_factory=dict)

    def key(self):
        return (self.program, self.cpus, self.pattern, self.pinned)

    def workload(self):
        name = self.pattern.lstrip("^").split("/")[0]
        return f"{name} batched" if "/batch:64/" in self.pattern else name


@dataclass
class Figure:
    """What a contest is to show: ours against the best of `against`."""
    title: str
    against: list
    target: float = None
    at_most: bool = False             # the target is a limit of the *time* of ours in that of the peer
    ours: str = "async"


class Runner:
    """Runs programs of one folder, for so many rounds of so many seconds."""

    def __init__(self, folder, rounds, seconds, quick):
        self.folder, self.rounds, self.seconds, self.quick = folder, rounds, seconds, quick
        self.finalists = 2 if quick else 3   # configurations that are looked at again
        self.few_rounds = 2 if quick else 3
        self.timeout = 10 if quick else 40   # of one process
        self.known = {}               # calibrated entries: key → (name, speed, sweep)

    def timeout_of(self, _entry):
        return self.timeout

    def path(self, program):
        return os.path.join(self.folder, program)

    def command(self, entry, pattern, seconds, items):
        command = [self.path(entry.program), f"--cpus={entry.cpus}", f"--benchmark_filter={pattern}",
                   f"--benchmark_min_time={seconds}", "--benchmark_format=json"]
        if entry.pinned:
            command.append(f"--pinned-to={entry.pinned}")
        if items:
            command.append(f"--items={items}")
        return command

    def execute(self, entry, pattern, seconds, items):
        if not os.path.exists(self.path(entry.program)):
            raise Failure(f"{entry.program} is not built")
        environment = {**os.environ, **entry.environment} if entry.environment else None
        return results(run(self.command(entry, pattern, seconds, items), self.timeout_of(entry), environment))

    def once(self, entry, name, seconds, items):
        """One run of one benchmark, in a process of its own."""
        found = self.execute(entry, f"^{re.escape(name)}$", seconds, items)
        if name not in found:
            raise Failure(f"{entry.program} has no benchmark {name}")
        if "error_message" in found[name]:
            raise Failure(f"{name}: {found[name]['error_message']}")
        return found[name]

    def items_for(self, entry, speed):
        """As many as take about as long as one run is to last, but not more than is usual."""
        if entry.items:
            return entry.items
        usual = USUAL.get(entry.workload(), (0, 0))[0]
        wanted = int(speed * self.seconds)
        if usual == 0 or wanted >= usual * 2 // 3:
            return 0
        return max(usual // 64, wanted) // 1024 * 1024 or 1024

    def calibrate(self, entry):
        """(the fastest benchmark of an entry, its speed, the speeds of all): all in one process with few items,
        twice, then the fastest of them again."""
        key = entry.key()
        if key in self.known:
            return self.known[key]
        items = USUAL.get(entry.workload(), (0, 0))[1]
        seen, errors = {}, {}
        for _ in range(2):
            for name, result in self.execute(entry, entry.pattern, 0.002, items).items():
                if "error_message" in result:
                    errors[name] = result["error_message"]
                else:
                    seen[name] = max(seen.get(name, 0), result["items_per_second"])
        seen = {name: speed for name, speed in seen.items() if name not in errors}
        if not seen:
            what = f"{next(iter(errors))}: {next(iter(errors.values()))}" if errors else f"no benchmark {entry.pattern}"
            raise Failure(what)
        finalists = sorted(seen, key=lambda n: -seen[n])[:self.finalists]
        speeds = {name: [] for name in finalists}
        for _ in range(2):
            for name in finalists:
                if len(finalists) == 1:
                    speeds[name].append(seen[name])
                    continue
                speeds[name].append(self.once(entry, name, self.seconds / 2, self.items_for(entry, seen[name]))
                                    ["items_per_second"])
        winner = max(finalists, key=lambda n: stats.median(speeds[n]))
        self.known[key] = winner, stats.median(speeds[winner]), seen
        return self.known[key]

    def contest(self, entries, figures):
        """Interleaved rounds of all entries at their best: {label: state}, where a state has a config, the
        speeds of its rounds, or a failure. Ours run twice a round: 'again' is what noise does."""
        states = {}
        for entry in entries:
            state = states[entry.label] = {"entry": entry, "samples": [], "again": []}
            try:
                state["config"], state["calibrated"], state["sweep"] = self.calibrate(entry)
                state["items"] = self.items_for(entry, state["calibrated"])
            except Failure as failure:
                state["failure"] = str(failure)
        few = self.also_rans(states, figures)
        ours = {figure.ours for figure in figures}
        for number in range(self.rounds):
            turns = [(label, "samples") for label in states] + [(label, "again") for label in ours]
            shift = number * 2 % len(turns)
            for label, into in turns[shift:] + turns[:shift]:
                state = states[label]
                limit = state["entry"].rounds or (self.few_rounds if label in few else self.rounds)
                if "failure" in state or number >= limit:
                    continue
                try:
                    result = self.once(state["entry"], state["config"], self.seconds, state["items"])
                    state[into].append(result["items_per_second"])
                    state["last"] = result
                except Failure as failure:
                    state["failure"] = str(failure)
        return states

    @staticmethod
    def also_rans(states, figures):
        """Peers that are far from being the best in every figure."""
        speeds = {label: state["calibrated"] for label, state in states.items() if "failure" not in state}
        near = {figure.ours for figure in figures}
        for figure in figures:
            first = stats.best(speeds, figure.against)
            near |= {label for label in figure.against
                     if first is not None and speeds.get(label, 0) >= ALSO_RANS * speeds[first]}
        return set(states) - near


def judge(workload, figure, states, unit="M/s"):
    """The row of a figure, from the states of its contest."""
    row = {"workload": workload, "figure": figure.title, "target": figure.target, "at_most": figure.at_most,
           "unit": unit, "peers": {}}
    ours = states[figure.ours]
    if ours.get("failure"):
        row["failure"] = ours["failure"]
    row["ours_config"] = ours.get("config")
    speeds = {}
    for label in figure.against:
        state = states[label]
        peer = row["peers"][label] = {"config": state.get("config"), "samples": state["samples"]}
        compared = stats.compare(ours["samples"], state["samples"])
        if state.get("failure"):
            peer["failure"] = state["failure"]
        elif compared:
            speeds[label] = peer["speed"] = stats.median(state["samples"])
            if figure.at_most:
                compared = stats.compare(state["samples"], ours["samples"])
            peer.update(compared)
    if ours["samples"]:
        row["ours"] = stats.median(ours["samples"])
        row["ours_samples"], row["again_samples"] = ours["samples"], ours["again"]
        row["tolerance"] = stats.tolerance(ours["samples"], ours["again"])
    best = stats.best(speeds, figure.against)
    if best is None:
        row.setdefault("failure", "; ".join(f"{label}: {peer.get('failure', 'not run')}"
                                            for label, peer in row["peers"].items()))
    else:
        peer = row["peers"][best]
        row.update({"best": best, "peer": peer["speed"], "peer_config": peer["config"], "ratio": peer["ratio"],
                    "iqr": peer["iqr"], "pairs": peer["pairs"]})
    if figure.target is not None:
        row["holds"] = "failure" not in row and stats.holds(row["ratio"], figure.target, row["tolerance"],
                                                            figure.at_most)
    return row
