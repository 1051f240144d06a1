#!/usr/bin/env python3
"""Seeded faults in a copy of the runtime, and which layer of tests catches which.

mutants.py apply                  every mutant of table.py still applies to runtime/
mutants.py show NAME FILE         writes the file of runtime/ with this fault in it into FILE
mutants.py run [options] [NAME…]  builds each (all, or those named) and runs the layers; prints a line
                                  each: what caught it

A mutant that a layer catches fails there: a wrong result, a sanitizer's report, a crash, or a hang.
One that no layer catches has survived, and `run` fails; so has one that only the lint catches, though
the table names others. `run` fails, too, where a layer fails without any mutant: it would catch
everything."""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from table import MUTANTS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["lint", "model", "unit", "regress", "history", "stress", "conformance", "tsan"]

# Each layer's build, and its programs for each area: a target and its arguments.
BUILDS = {"model": "model", "unit": "plain", "regress": "plain", "history": "plain", "stress": "plain",
          "conformance": "plain", "tsan": "tsan"}
PRESETS = {
    "plain": ["--preset", "release", "-DASYNC_TESTS=unit;regress;history;stress;conformance"],
    "tsan": ["--preset", "tsan", "-DASYNC_TESTS=stress"],
    "model": ["--preset", "release", "-DASYNC_TESTS=model"],
}
HISTORY = [("channel_history", "serial 4000 1"), ("channel_history", "parallel 300 1")]
CHANNELS = [("conformance_channels", ""), ("conformance_channels_ends", ""),
            ("conformance_channels_capacity", ""), ("conformance_channels_waits", ""),
            ("conformance_cancel", "")]
PROGRAMS = {
    "unit": {"deque": [("unit_test_deque", "")], "event": [("unit_test_event", "")],
             "queue": [("unit_test_queue", ""), ("unit_test_block", "")],
             "reclaim": [("unit_test_reclaim", ""), ("unit_test_queue", "")],
             "channel": [("unit_test_waitlist", ""), ("unit_test_channel", "")],
             "trace": [("unit_test_trace_ring", "")]},
    "regress": {"channel": [("regress_closed_full", ""), ("regress_closed_then_written", ""),
                            ("regress_ended_yet_open", ""), ("regress_told_in_vain", "")]},
    "history": {"queue": HISTORY, "reclaim": HISTORY, "channel": HISTORY},
    "stress": {"deque": [("stress_deque_stress", "5 4 1")], "event": [("stress_event_stress", "4 4 1")],
               "queue": [("stress_queue_stress", "4 4 1"), ("history_queue_stress", "3 4 1")],
               "reclaim": [("stress_queue_stress", "4 4 1"), ("history_queue_stress", "3 4 1")],
               "channel": [("stress_channel_stress", "4 4 1"), ("history_channel_stress", "3 4 1")],
               "pool": [("stress_meeting_stress", "6 4 1"), ("stress_pipeline_stress", "4 4 1")],
               "trace": [("stress_trace_stress", "6 4 1")]},
    "conformance": {"queue": CHANNELS, "channel": CHANNELS,
                    "pool": [("conformance_pools", ""), ("conformance_order", "")]},
    "tsan": {"deque": [("stress_deque_stress", "5 4 1")], "event": [("stress_event_stress", "4 4 1")],
             "queue": [("stress_queue_stress", "5 4 1"), ("stress_channel_stress", "5 4 1")],
             "reclaim": [("stress_queue_stress", "5 4 1")],
             "channel": [("stress_channel_stress", "5 4 1")],
             "pool": [("stress_pipeline_stress", "5 4 1")],
             "trace": [("stress_trace_stress", "5 4 1")]},
}
PATIENCE_S = 120  # of one program: whoever takes longer hangs


def mutated(mutant, text):
    """The text with the fault in it; a message where it does not apply."""
    pattern = r"\s+".join(re.escape(word) for word in mutant.old.split())
    count = len(re.findall(pattern, text))
    if count != 1:
        return None, f"{mutant.name}: its text stands {count} times in runtime/{mutant.file}"
    if mutant.old == mutant.new:
        return None, f"{mutant.name}: it changes nothing"
    return re.sub(pattern, lambda _: mutant.new.strip(), text), None


def apply_all():
    problems = []
    for mutant in MUTANTS:
        file = ROOT / "runtime" / mutant.file
        problem = None if file.is_file() else f"{mutant.name}: no runtime/{mutant.file}"
        if problem is None:
            _, problem = mutated(mutant, file.read_text())
        unknown = set(mutant.layers.split()) - set(LAYERS)
        if problem is None and (unknown or not mutant.layers):
            problem = f"{mutant.name}: layers {unknown or 'missing'}"
        if problem:
            problems.append(problem)
    names = [mutant.name for mutant in MUTANTS]
    problems += [f"{name} stands there twice" for name in sorted(set(names)) if names.count(name) > 1]
    print(*problems, f"{len(MUTANTS)} mutants: {len(problems)} problems", sep="\n")
    return bool(problems)


def run(command, patience, cwd=None):
    """(exit status or None for a hang, output)"""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True, text=True, errors="replace")
    try:
        output, _ = process.communicate(timeout=patience)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session
        output, _ = process.communicate()
        return None, output


def show(names):
    for mutant in MUTANTS:
        if len(names) == 2 and mutant.name == names[0]:
            text, problem = mutated(mutant, (ROOT / "runtime" / mutant.file).read_text())
            if problem:
                sys.exit(problem)
            Path(names[1]).write_text(text)
            return 0
    sys.exit("the name of a mutant, and a file")


class Workshop:
    """A copy of the tree, whose runtime gets one fault at a time, and its builds."""

    def __init__(self, folder, executions):
        self.folder, self.executions = folder, executions
        self.source = folder / "source"
        self.configured = set()
        # Copied anew, but a file that is the same keeps its time: what was built of it stays.
        self.source.mkdir(parents=True, exist_ok=True)
        for part in ("CMakeLists.txt", "CMakePresets.json", "cmake", "include", "runtime", "tests", "docs"):
            self.copy(ROOT / part, self.source / part)

    def copy(self, origin, target):
        if origin.is_dir():
            target.mkdir(exist_ok=True)
            names = {path.name for path in origin.iterdir()}
            for old in target.iterdir():
                if old.name not in names:
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
            for path in origin.iterdir():
                self.copy(path, target / path.name)
        elif origin.is_file():
            if not target.is_file() or target.read_bytes() != origin.read_bytes():
                shutil.copyfile(origin, target)
                shutil.copymode(origin, target)

    def set_mutant(self, mutant):
        for path in (ROOT / "runtime").iterdir():
            self.copy(path, self.source / "runtime" / path.name)
        if mutant is not None:
            file = self.source / "runtime" / mutant.file
            text, problem = mutated(mutant, file.read_text())
            if problem:
                sys.exit(problem)
            file.write_text(text)

    def build(self, name, targets):
        """The build's folder, or None: it does not compile."""
        folder = self.folder / name
        if name not in self.configured:
            command = ["cmake", *PRESETS[name], "-S", str(self.source), "-B", str(folder),
                       "-DASYNC_BUILD_EXAMPLES=OFF", "-DASYNC_BUILD_SCALE=OFF",
                       "-DASYNC_WERROR=OFF"]
            status, output = run(command, 300, cwd=self.source)
            if status != 0:
                sys.exit(f"the {name} build can't be configured:\n{output}")
            self.configured.add(name)
        status, output = run(["cmake", "--build", str(folder), "-j", str(os.cpu_count()),
                              "--target", *targets], 900)
        if status != 0:
            print(output[-3000:])
            return None
        return folder

    def programs(self, layer, areas, shapes):
        if layer == "model":
            arguments = ["-x", "-n", str(self.executions), *shapes]
            return [("model_check", " ".join(arguments))] if shapes else []
        found = []
        for area in areas:
            found += [p for p in PROGRAMS[layer].get(area, []) if p not in found]
        return found

    def layer(self, layer, areas, shapes):
        """None: nothing to run there; else what caught it, or ""."""
        if layer == "lint":
            status, output = run([sys.executable, str(ROOT / "tests/lint/orders.py"),
                                  str(self.source / "runtime")], 60)
            return "orders" if status != 0 else ""
        programs = self.programs(layer, areas, shapes)
        if not programs:
            return None
        folder = self.build(BUILDS[layer], sorted({target for target, _ in programs}))
        if folder is None:
            sys.exit("a mutant has to compile")
        for target, arguments in programs:
            found = sorted(folder.glob(f"tests/**/{target}")) or sorted(folder.glob(f"tests/{target}"))
            command = [str(found[0]), *arguments.split()]
            if target.startswith(("unit_", "conformance_")):
                command += ["--jobs", "1", "--timeout", "30"]
            if layer == "tsan" and shutil.which("setarch"):
                command = ["setarch", "-R", *command]
            patience = 900 if layer == "model" else PATIENCE_S
            status, output = run(command, patience, cwd=self.folder)
            if status is None:
                return f"{target}: hangs"
            if status != 0:
                return target
            if "Sanitizer" in output and "WARNING" in output:
                return target
        return ""


def run_all(arguments):
    mutants = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    missing = set(arguments.names) - {m.name for m in mutants}
    if missing:
        sys.exit(f"no such mutant: {', '.join(sorted(missing))}")
    layers = arguments.layers.split(",") if arguments.layers else list(LAYERS)
    if "model" in layers and not (ROOT / "tests/model").is_dir():
        layers.remove("model")
    workshop = Workshop(Path(arguments.work).resolve(), arguments.executions)
    failed = False

    workshop.set_mutant(None)
    areas = sorted({m.area for m in mutants})
    if not arguments.no_baseline:
        print("without any mutant:", flush=True)
    for layer in [] if arguments.no_baseline else layers:
        shapes = sorted({shape for m in mutants for shape in m.model if layer in m.layers.split()})
        caught = workshop.layer(layer, areas, shapes)
        if caught:
            print(f"  {layer} fails at once: {caught}")
            return 1
        if caught is not None:
            print(f"  {layer}: passes", flush=True)

    killed_by = {layer: 0 for layer in layers}
    for mutant in mutants:
        start, kills = time.monotonic(), []
        if arguments.expected and not set(layers) & set(mutant.layers.split()):
            continue
        workshop.set_mutant(mutant)
        for layer in layers:
            if arguments.expected and layer not in mutant.layers.split():
                continue
            caught = workshop.layer(layer, [mutant.area], mutant.model)
            if caught:
                kills.append(f"{layer} ({caught})")
                killed_by[layer] += 1
                if arguments.first:
                    break
        verdict = ", ".join(kills) if kills else "SURVIVED"
        survived = not kills
        if len(kills) == 1 and kills[0].startswith("lint") and not arguments.first:
            # The table says whether that is all there can be.
            survived = bool((set(mutant.layers.split()) - {"lint"}) & set(layers))
            verdict += ": SURVIVED the layers that should have caught it" if survived else ""
        failed |= survived
        print(f"{mutant.name:24} {verdict}  [{time.monotonic() - start:.0f} s]", flush=True)
        if survived:
            print(f"{'':24} {mutant.breaks}")
    workshop.set_mutant(None)
    print("caught by " + ", ".join(f"{layer}: {count}" for layer, count in killed_by.items()))
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=["apply", "show", "run"])
    parser.add_argument("--layers", default="", help="only these, as a,b")
    parser.add_argument("--first", action="store_true",
                        help="the first layer that catches a mutant is enough")
    parser.add_argument("--expected", action="store_true",
                        help="each mutant by those layers only that the table expects to catch it")
    parser.add_argument("--work", default=str(ROOT / "build/mutants"))
    parser.add_argument("--no-baseline", action="store_true",
                        help="the layers are known to pass without a mutant")
    parser.add_argument("--executions", type=int, default=100000)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_intermixed_args()
    if arguments.command == "apply":
        return apply_all()
    return show(arguments.names) if arguments.command == "show" else run_all(arguments)


if __name__ == "__main__":
    sys.exit(main())
