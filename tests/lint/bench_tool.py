#!/usr/bin/env python3
"""The benchmarks' tool: its statistics, what it reads, and what it does about a peer that crashes, hangs
or answers wrongly. The peers are small scripts that speak the programs' protocol."""
import os
import stat
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "tools"))

import counts                                                          # noqa: E402
import figures                                                         # noqa: E402
import report                                                          # noqa: E402
import stats                                                           # noqa: E402
from running import Entry, Failure, Figure, Runner, judge, results, run  # noqa: E402

PROGRAM = """#!/usr/bin/env python3
import json, re, sys, time, os, signal
options = dict(a.lstrip("-").partition("=")[::2] for a in sys.argv[1:])
speeds = {speeds}
kind = {kind!r}
found = [n for n in speeds if re.search(options["benchmark_filter"], n)]
if kind == "hang":
    time.sleep(60)
if kind == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if kind == "garbage":
    print("no JSON"); sys.exit(0)
entries = []
for name in found:
    entry = {{"name": name, "run_type": "iteration", "iterations": 1, "items_per_second": speeds[name]}}
    if kind == "wrong":
        entry = {{"name": name, "error_occurred": True, "error_message": "wrong sum"}}
    entries.append(entry)
print(json.dumps({{"benchmarks": entries}}))
"""


class Statistics(unittest.TestCase):
    def test_spread_is_the_interquartile_range(self):
        self.assertEqual(stats.spread([1, 2, 3, 4, 5]), 2)
        self.assertEqual(stats.spread([7]), 0)
        self.assertEqual(stats.spread([5, 1, 4, 2, 3]), 2)

    def test_ratios_are_of_pairs_and_not_of_medians(self):
        compared = stats.compare([2, 20, 200], [1, 20, 100])
        self.assertEqual((compared["ratio"], compared["pairs"]), (2, 3))

    def test_a_missing_sample_takes_its_pair_along(self):
        self.assertEqual(stats.ratios([2, None, 6], [1, 5, 2]), [2, 3])
        self.assertIsNone(stats.compare([None], [1]))
        self.assertIsNone(stats.compare([], []))

    def test_peers_of_few_rounds_have_few_pairs(self):
        self.assertEqual(stats.compare([4, 4, 4, 4], [1, 2])["pairs"], 2)

    def test_tolerance_is_half_the_noise_and_bounded(self):
        steady = [100.0, 101.0, 99.0, 100.0, 100.0]
        self.assertLess(stats.tolerance(steady, list(reversed(steady))), stats.LARGEST_TOLERANCE)
        self.assertEqual(stats.tolerance([1, 1, 1, 1], [1, 2, 3, 4]), stats.LARGEST_TOLERANCE)
        self.assertEqual(stats.tolerance([3, 3, 3], [3, 3, 3]), 0)

    def test_holds(self):
        self.assertTrue(stats.holds(0.97, 1.0, 0.03))
        self.assertFalse(stats.holds(0.96, 1.0, 0.03))
        self.assertTrue(stats.holds(8.2, 8.0, 0.03, at_most=True))
        self.assertFalse(stats.holds(8.3, 8.0, 0.03, at_most=True))
        self.assertTrue(stats.holds(0.1 + 0.2, 0.3, 0.0, at_most=True))

    def test_best(self):
        self.assertEqual(stats.best({"a": 1, "b": 3, "c": 9}, ["a", "b"]), "b")
        self.assertIsNone(stats.best({"a": None}, ["a", "b"]))


class Reading(unittest.TestCase):
    def test_results(self):
        found = results('{"benchmarks": [{"name": "a", "run_type": "iteration", "items_per_second": 5.0},'
                        '{"name": "b", "error_occurred": true, "error_message": "wrong sum"},'
                        '{"name": "a_mean", "run_type": "aggregate", "items_per_second": 5.0}]}')
        self.assertEqual(found["a"]["items_per_second"], 5.0)
        self.assertEqual(found["b"], {"error_message": "wrong sum"})
        self.assertEqual(set(found), {"a", "b"})

    def test_what_is_no_result(self):
        for text in ("", "[1]", "{}", '{"benchmarks": [{"name": "a"}]}',
                     '{"benchmarks": [{"name": "a", "items_per_second": 0}]}'):
            with self.assertRaises(Failure, msg=text):
                results(text)

    def test_processes_that_fail(self):
        for command, said in ((["sh", "-c", "echo why >&2; exit 3"], "sh ended with 3: why"),
                              (["sh", "-c", "kill -SEGV $$"], "signal 11"),
                              (["/no/such/program"], "No such file"), (["sleep", "60"], "no end")):
            with self.assertRaises(Failure) as caught:
                run(command, 0.3)
            self.assertIn(said, str(caught.exception))

    def test_instructions_of_callgrind(self):
        text = ("events: Ir\nfn=(1) main\n10 5\n+2 7\ncfn=(2) work.constprop.0\ncalls=3 20\n11 900\n12 1\n"
                "fn=(2)\n20 30\n* 40\nfn=(3) work\n-3 2\n")
        self.assertEqual(counts.instructions(text), {"main": 13, "work": 72})


class Contests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.runner = Runner(self.folder.name, rounds=3, seconds=0.01, quick=True)
        self.runner.timeout_of = lambda entry: 1 if entry.label == "hang" else 60
        self.program("ours", {"w/x:1": 50.0, "w/x:2": 100.0})

    def tearDown(self):
        self.folder.cleanup()

    def program(self, name, speeds, kind="right"):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROGRAM.format(speeds=speeds, kind=kind))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)

    def row(self, peers, target=None, at_most=False):
        entries = [Entry("async", "ours", 1, "^w/")] + [Entry(peer, peer, 1, "^w/") for peer in peers]
        figure = Figure("a figure", peers, target, at_most)
        return judge("w", figure, self.runner.contest(entries, [figure]))

    def test_the_best_configuration_and_the_best_peer_count(self):
        self.program("slow", {"w/a": 40.0})
        self.program("fast", {"w/a": 10.0, "w/b": 80.0})
        row = self.row(["slow", "fast"], 1.25)
        self.assertEqual((row["ours_config"], row["best"], row["peer_config"]), ("w/x:2", "fast", "w/b"))
        self.assertEqual((row["ratio"], row["holds"], row["pairs"]), (1.25, True, 3))
        self.assertEqual(row["peers"]["slow"]["ratio"], 2.5)

    def test_a_target_that_is_missed(self):
        self.program("fast", {"w/a": 80.0})
        self.assertFalse(self.row(["fast"], 1.26)["holds"])

    def test_at_most_is_about_times(self):
        self.program("floor", {"w/a": 400.0})
        self.assertEqual(self.row(["floor"], 4.0, at_most=True)["ratio"], 4.0)
        self.assertTrue(self.row(["floor"], 4.0, at_most=True)["holds"])
        self.assertFalse(self.row(["floor"], 3.9, at_most=True)["holds"])

    def test_peers_that_fail_are_told_and_do_not_count(self):
        for kind, said in (("crash", "signal 11"), ("hang", "no end"), ("wrong", "wrong sum"),
                           ("garbage", "not a benchmark's")):
            self.program(kind, {"w/a": 1000.0}, kind)
        self.program("right", {"w/a": 50.0})
        row = self.row(["crash", "hang", "wrong", "garbage", "right", "absent"], 2.0)
        self.assertEqual((row["best"], row["ratio"], row["holds"]), ("right", 2.0, True))
        for kind, said in (("crash", "signal 11"), ("hang", "no end"), ("wrong", "wrong sum"),
                           ("garbage", "not a benchmark's"), ("absent", "not built")):
            self.assertIn(said, row["peers"][kind]["failure"])
        self.assertIn("no end", report.text(row))
        self.assertNotIn("absent", report.text(row))

    def test_without_a_peer_nothing_holds(self):
        row = self.row(["absent"], 1.0)
        self.assertFalse(row["holds"])
        self.assertIn("absent is not built", row["failure"])

    def test_ours_that_fails_is_a_row_too(self):
        self.program("ours", {"w/x:1": 1.0}, "wrong")
        self.program("peer", {"w/a": 1.0})
        row = self.row(["peer"], 1.0)
        self.assertIn("wrong sum", row["failure"])
        self.assertFalse(row["holds"])
        self.assertIn("wrong sum", report.text(row))

    def test_peers_far_behind_get_few_rounds(self):
        self.runner.rounds = 6
        self.program("slow", {"w/a": 10.0})
        self.program("fast", {"w/a": 80.0})
        row = self.row(["slow", "fast"])
        self.assertEqual((row["peers"]["slow"]["pairs"], row["peers"]["fast"]["pairs"]), (2, 6))

    def test_slow_sides_get_fewer_items(self):
        entry = Entry("a", "a", 1, "^token/k:1/")
        self.assertEqual(self.runner.items_for(entry, 1e9), 0)
        self.assertEqual(self.runner.items_for(entry, 1e7) % 1024, 0)
        self.assertGreater(self.runner.items_for(entry, 1.0), 1024)
        entry.items = 77
        self.assertEqual(self.runner.items_for(entry, 1e9), 77)


class Printing(unittest.TestCase):
    def test_quantities(self):
        self.assertEqual(report.quantity({"ours": 2.5e6, "unit": "M/s"}, "ours"), "2.50 M/s")
        self.assertEqual(report.quantity({"ours": 13e4, "unit": "M/s"}, "ours"), "130 k/s")
        self.assertEqual(report.quantity({"ours": 2e7, "unit": "ns"}, "ours"), "50.0 ns")
        self.assertEqual(report.quantity({"ours": 0, "unit": ""}, "ours"), "0")
        self.assertEqual(report.quantity({}, "ours"), "–")

    def test_a_configuration_says_what_the_title_does_not(self):
        self.assertEqual(report.short("power/k:1/cpus:2/chunk:256/tokens:4/real_time"), "chunk 256, tokens 4")

    def test_a_table_goes_between_the_marks(self):
        with tempfile.NamedTemporaryFile("w+", suffix=".md") as file:
            file.write(f"before\n{report.BEGIN}\nstale\n{report.END}\nafter\n")
            file.flush()
            rows = [{"workload": "w", "figure": "f", "ours": 1e6, "unit": "M/s", "target": 2.0, "holds": False}]
            report.write_markdown(file.name, report.markdown(rows, {"Machine": "this"}))
            text = Path(file.name).read_text()
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertIn("| f | 1.00 M/s |", text)
        self.assertNotIn("stale", text)

    def test_every_pattern_of_a_crew_is_a_regular_expression(self):
        import re
        kept = re.compile(figures.prefix_of("power", 1, 2, 256) + figures.NOT_SPECIAL)
        base = "power/k:1/cpus:2/chunk:256/"
        self.assertTrue(kept.search(base + "workers:1/help:1/window:64/by:each/real_time"))
        for other in ("workers:16/help:0/by:each/real_time", "workers:1/help:1/by:each/ordered/real_time",
                      "workers:1/help:1/by:read/count:64/real_time"):
            self.assertIsNone(kept.search(base + other), other)


if __name__ == "__main__":
    unittest.main()
