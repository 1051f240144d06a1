#!/usr/bin/env python3
"""Plots of what bench.py wrote, as small SVG files.

usage: plots.py RESULTS.json FOLDER

Needs matplotlib (Debian: python3-matplotlib, for /usr/bin/python3). Prints the names of the files, each with
the workload that it belongs to and a text for those who don't see it.
"""

import json
import os
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "async", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False, "font.family": "sans-serif", "figure.facecolor": "white"})
from matplotlib import pyplot  # noqa: E402

OURS, PEER, BOUND, MISSED = "#1b6ca8", "#b9c2cc", "#e0a458", "#c0392b"
BOUNDS = ("OpenMP", "plain loop", "serial loop")


def save(figure, folder, name):
    path = os.path.join(folder, name)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def targets(rows, folder):
    """Every figure with a target: how far it is reached. 1 is the target; times are turned round."""
    shown = [row for row in rows if row.get("target") is not None and row.get("ratio")]
    if not shown:
        return None
    reached = [row["target"] / row["ratio"] if row["at_most"] else row["ratio"] / row["target"] for row in shown]
    figure, axes = pyplot.subplots(figsize=(8, 0.19 * len(shown) + 0.8))
    places = range(len(shown))
    axes.hlines(places, 1, reached, color=PEER, linewidth=1)
    axes.scatter(reached, places, s=18, color=[OURS if row["holds"] else MISSED for row in shown], zorder=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(list(places), [row["figure"] for row in shown], fontsize=7)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("ratio in its target (logarithmic); red: does not hold")
    save(figure, folder, "targets.svg")
    return "all", "Each figure's ratio in its target, on a logarithmic axis", "targets.svg"


def sides(row):
    """(label, speed) of ours and of all that it was compared with."""
    found = {"async": row["ours"]} if row.get("ours") else {}
    found.update({label: peer["speed"] for label, peer in row["peers"].items() if peer.get("speed")})
    return found


def bars(rows, wanted, unit, folder, name, workload, alt):
    """One panel for each title, with the speeds of every side in it."""
    panels = []
    for title, select in wanted:
        found = {}
        for row in rows:
            if row["workload"] == workload and row["figure"].startswith(select) and row.get("peers"):
                found = {**sides(row), **found}
        if found:
            panels.append((title, sorted(found.items(), key=lambda pair: -pair[1])))
    if not panels:
        return None
    most = max(len(speeds) for _, speeds in panels)
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=(3.4 * len(panels), 0.24 * most + 0.9), squeeze=False)
    for axes, (title, speeds) in zip(all_axes[0], panels):
        names = [label for label, _ in speeds]
        colours = [OURS if label.startswith("async") else BOUND if label in BOUNDS else PEER for label in names]
        axes.barh(names, [speed / 1e6 for _, speed in speeds], color=colours)
        axes.invert_yaxis()
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(unit)
        axes.tick_params(axis="y", labelsize=7)
    figure.tight_layout()
    save(figure, folder, name)
    return workload, alt, name


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    folder = sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    items = "million items a second"
    made = [
        targets(rows, folder),
        bars(rows, [(f"k={k}, {cpus}", f"token k={k}, {cpus}") for k in (1, 4) for cpus in ("1 CPU", "2 CPUs")], items,
             folder, "token.svg", "token", "Speeds of token by implementation, on 1 and 2 CPUs"),
        bars(rows, [(f"{shape}, {cpus}", f"{shape}, best chunk, {cpus}") for shape in ("power", "chain k=8")
                    for cpus in ("1 CPU", "2 CPUs")], items,
             folder, "stream.svg", "stream", "Speeds of power and chain by implementation, on 1 and 2 CPUs"),
        bars(rows, [(f"chunk {chunk}, {cpus}", f"chain k=4, chunk {chunk}, {cpus}") for chunk in (64, 256)
                    for cpus in ("1 CPU", "2 CPUs")], items,
             folder, "small.svg", "small", "Speeds of chain k=4 in small chunks by implementation"),
        bars(rows, [(f"{n}P{n}C", f"channel {n}P{n}C, single") for n in (1, 2, 4)], items,
             folder, "queue.svg", "queue", "Speeds of queues of single items by implementation"),
    ]
    print(json.dumps([one for one in made if one], ensure_ascii=False))


if __name__ == "__main__":
    main()
