"""What the figures depend on: the machine, the compilers, the commit, and who else uses the CPUs."""

import datetime
import os
import platform
import re
import shutil
import sys
import time

from running import Failure, run

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = ["libtbb-dev", "libxenium-dev", "libconcurrentqueue-dev", "libatomic-queue-dev", "libck-dev", "pigz",
            "librust-rayon-dev", "librust-crossbeam-dev", "libbenchmark-dev"]


def first_line(command):
    try:
        return run(command, 10).splitlines()[0].strip()
    except (Failure, IndexError):
        return ""


def cache(build_dir, name):
    """A value of CMake's cache."""
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


def commit():
    name = first_line(["git", "-C", SOURCE_DIR, "rev-parse", "--short=12", "HEAD"]) or "none"
    try:
        changed = run(["git", "-C", SOURCE_DIR, "status", "--porcelain", "--untracked-files=no"], 30).strip()
    except Failure:
        changed = ""
    return name + (", with changes" if changed else "")


def versions():
    if not shutil.which("dpkg-query"):
        return ""
    found = []
    for package in PACKAGES:
        version = first_line(["dpkg-query", "-W", "-f", "${Version}\n", package])
        found += [f"{package} {version}"] if version else []
    return ", ".join(found)


def facts(args):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    release = {}
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as file:
            release = dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.M))
    compilers = [first_line([cache(args.build_dir, f"CMAKE_{c}_COMPILER") or "cc", "--version"]) for c in ("C", "CXX")]
    compilers += [first_line(command) for command in (["/usr/bin/rustc", "--version"], ["go", "version"])]
    words = [os.path.relpath(w, SOURCE_DIR) if os.path.abspath(w).startswith(SOURCE_DIR + os.sep) and os.path.exists(w)
             else w for w in sys.argv]
    return {
        "Machine": f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs",
        "System": f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        "Compilers": "; ".join(c for c in dict.fromkeys(compilers) if c),
        "Build": f"{cache(args.build_dir, 'CMAKE_BUILD_TYPE')} {cache(args.build_dir, 'CMAKE_C_FLAGS_RELEASE')}",
        "Peers": versions() or "unknown",
        "Commit": commit(),
        "Date": datetime.date.today().isoformat(),
        "Method": f"{args.rounds} interleaved rounds, {args.seconds} s a run",
        "Command": "`" + " ".join(words) + "`",
    }
