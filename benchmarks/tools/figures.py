"""The figures: for each workload its contests, who takes part, and what has to come out."""

from running import Entry, Figure

# The implementations of a pipeline: label → program of a workload. Rayon, crossbeam and Go have
# all their workloads in one program each.
COMPOSED = {"TBB pipeline": "tbb", "TBB flow graph": "flow", "mutex + condvar": "mutex"}
ELSEWHERE = {"Rayon": ("peers_rust", "rayon"), "crossbeam": ("peers_rust", "crossbeam"), "Go": ("peers_go", "go")}


def cpus_text(cpus):
    return f"{cpus} CPU{'s' if cpus > 1 else ''}"


def shape(workload, k):
    return workload if workload == "power" else f"{workload} k={k}"


def ours(workload, cpus, prefix, crew="", label="async", **more):
    """Our side: `crew` is a pattern for what comes behind the prefix."""
    return Entry(label, f"{workload}_async", cpus, prefix + crew, **more)


def composed(workload, cpus, prefix, skip=()):
    """Every pipeline that is composed at run time."""
    found = [Entry(label, f"{workload}_{name}", cpus, prefix) for label, name in COMPOSED.items()]
    found += [Entry(label, program, cpus, prefix + f".*{name}") for label, (program, name) in ELSEWHERE.items()]
    return [entry for entry in found if entry.label not in skip]


def labels(entries):
    return [entry.label for entry in entries]


def prefix_of(workload, k, cpus, chunk=None):
    return f"^{workload}/k:{k}/cpus:{cpus}/" + (f"chunk:{chunk}/" if chunk else "")


NOT_SPECIAL = r"workers:[0-2]/.*by:each[^d]*$"   # no crews of 8 × the CPUs, not read, not ordered


def token(bench):
    for k in (1, 4):
        for cpus in (1, 2):
            prefix = prefix_of("token", k, cpus)
            title = f"token k={k}, {cpus_text(cpus)}"
            peers = composed("token", cpus, prefix)
            mine = ours("token", cpus, prefix, "workers:[01]/")   # and the reader, which sums
            openmp = Entry("OpenMP", "token_openmp", cpus, prefix)
            if cpus == 1:
                plain = Entry("plain loop", "token_plain", 1, prefix)
                bench.contest("token", [mine, plain, openmp] + peers, [
                    Figure(f"{title}, against the plain loop", ["plain loop"], 0.5),
                    Figure(f"{title}, against the best pipeline", labels(peers))])
            else:
                one = ours("token", 1, prefix_of("token", k, 1), "workers:[01]/", label="async on 1 CPU")
                best = ["TBB pipeline", "TBB flow graph", "Go", "crossbeam"]
                bench.contest("token", [mine, one, openmp] + peers, [
                    Figure(f"{title}, against OpenMP's schedule(dynamic)", ["OpenMP"], 1.0),
                    Figure(f"{title}, against oneTBB, Go, crossbeam", best, 5.0),
                    Figure(f"{title}, against every pipeline", labels(peers)),
                    Figure(f"{title}, against itself on 1 CPU", ["async on 1 CPU"], 1.0)])


def read(bench):
    floor = Entry("fetch-add", "micro_floors", 1, "^floors/fetch_add/")
    mine = Entry("async", "micro_read", 1, "^micro/read_one/workers:0/k:1/")
    bench.contest("read", [mine, floor], [
        Figure("read(1), 0 workers: time in fetch-adds", ["fetch-add"], 8.0, at_most=True)], unit="ns")
    floor = Entry("two cache lines", "micro_floors", 2, "^floors/spinning/")
    mine = Entry("async", "micro_read", 2, "^micro/read_one/workers:1/k:1/")
    states = bench.contest("read", [mine, floor], [
        Figure("read(1), 1 worker: time in round trips", ["two cache lines"], 2.0, at_most=True)], unit="ns")
    last = states["async"].get("last")
    row = {"workload": "read", "figure": "read(1), 1 worker: futex calls in 1000 reads", "unit": "", "limit": "< 1"}
    if last is None:
        bench.add({**row, "failure": states["async"].get("failure", "not run"), "holds": False})
    else:
        calls = 1000.0 * last["futex_calls"] / last["iterations"]
        bench.add({**row, "ours": calls, "holds": calls < 1})


def small(bench):
    """Chunks at which a runtime shows."""
    for cpus in (1, 2):
        for chunk in (64, 256):
            prefix = prefix_of("chain", 4, cpus, chunk)
            peers = composed("chain", cpus, prefix)
            bounds = [Entry("OpenMP", "chain_openmp", cpus, prefix)]
            bounds += [Entry("plain loop", "chain_plain", 1, prefix)] if cpus == 1 else []
            title = f"chain k=4, chunk {chunk}, {cpus_text(cpus)}"
            bench.contest("small", [ours("chain", cpus, prefix, NOT_SPECIAL)] + bounds + peers, [
                Figure(f"{title}, against oneTBB", ["TBB pipeline", "TBB flow graph"], 3.0),
                Figure(f"{title}, against every pipeline", labels(peers)),
                Figure(f"{title}, against OpenMP{' or plain' if cpus == 1 else ''}", labels(bounds))])
    for chunk in (256, 1024):
        prefix = prefix_of("power", 1, 2, chunk)
        plain = Entry("plain loop", "power_plain", 1, prefix_of("power", 1, 1, chunk))
        peers = composed("power", 2, prefix)
        for way, pattern, target in (("for_each", "workers:[12]/.*by:each[^d]*$", 1.7),
                                     ("reads that help", "workers:1/help:1/.*by:read/", 1.3)):
            title = f"power, chunk {chunk}, 2 CPUs, {way}"
            bench.contest("small", [ours("power", 2, prefix, pattern), plain] + (peers if way == "for_each" else []), [
                Figure(f"{title}, against the plain loop on 1", ["plain loop"], target)] + ([
                    Figure(f"{title}, against every pipeline", labels(peers))] if way == "for_each" else []))


def stream(bench):
    """The best chunk of each."""
    for workload, k in (("power", 1), ("chain", 8)):
        for cpus in (1, 2):
            prefix = prefix_of(workload, k, cpus)
            title = f"{shape(workload, k)}, best chunk, {cpus_text(cpus)}"
            peers = composed(workload, cpus, prefix)
            mine = ours(workload, cpus, prefix, f"chunk:[0-9]*/{NOT_SPECIAL}")
            ordered = ours(workload, cpus, prefix, "chunk:[0-9]*/workers:[0-2]/.*by:each.*/ordered", label="async, ordered")
            openmp = Entry("OpenMP", f"{workload}_openmp", cpus, prefix)
            entries = [mine, ordered, openmp] + peers
            figures = [Figure(f"{title}, against every pipeline", labels(peers), 1.25 if cpus == 2 else None),
                       Figure(f"{title}, against OpenMP", ["OpenMP"], 0.95 if cpus == 2 else None)]
            if cpus == 1:
                entries.append(Entry("plain loop", f"{workload}_plain", 1, prefix))
                figures.append(Figure(f"{title}, against the plain loop", ["plain loop"], 0.97))
            figures.append(Figure(f"{title}, ordered against unordered", ["async"], 0.97, ours="async, ordered"))
            bench.contest("stream", entries, figures)


def plain(bench):
    """No workers."""
    for workload, k in (("power", 1), ("chain", 4), ("chain", 8)):
        for chunk in (1024, 4096, 16384):
            prefix = prefix_of(workload, k, 1, chunk)
            bench.contest("plain", [ours(workload, 1, prefix, "workers:0/.*by:each[^d]*$"),
                                    Entry("plain loop", f"{workload}_plain", 1, prefix)], [
                Figure(f"{shape(workload, k)}, chunk {chunk}, 0 workers", ["plain loop"], 0.97)])


def skew(bench):
    for chunk in (1, 16):
        prefix = f"^skew/cpus:2/chunk:{chunk}/"
        peers = composed("skew", 2, prefix)
        bench.contest("skew", [ours("skew", 2, prefix, "workers:[12]/"), Entry("OpenMP", "skew_openmp", 2, prefix),
                               Entry("serial loop", "skew_plain", 1, "^skew/")] + peers, [
            Figure(f"skew, chunk {chunk}, 2 CPUs, against OpenMP dynamic", ["OpenMP"], 0.99),
            Figure(f"skew, chunk {chunk}, 2 CPUs, against every pipeline", labels(peers)),
            Figure(f"skew, chunk {chunk}, 2 CPUs, speed-up", ["serial loop"])])


# label → (program, part of the name). The first ones are lock-free.
LOCK_FREE = {"xenium ramalhete": ("queue_xenium", "ramalhete"), "xenium michael-scott": ("queue_xenium", "michael_scott"),
             "ck_fifo": ("queue_ck", "fifo")}
OTHERS = {"moodycamel": ("queue_moodycamel", "moodycamel"), "xenium vyukov": ("queue_xenium", "vyukov"),
          "atomic_queue": ("queue_atomic_queue", "atomic_queue"), "ck_ring": ("queue_ck", "ring"),
          "tbb concurrent_queue": ("queue_tbb", "concurrent_queue"), "tbb bounded": ("queue_tbb", "bounded"),
          "mutex + condvar": ("queue_mutex", "mutex"), "crossbeam SegQueue": ("peers_rust", "seg_queue"),
          "crossbeam ArrayQueue": ("peers_rust", "array_queue"), "crossbeam channel": ("peers_rust", "channel"),
          "Go channel": ("peers_go", "go")}


def queue(bench):
    for threads in (1, 2, 4):
        prefix = f"^queue/{threads}p{threads}c/batch:1/cpus:2/"
        peers = [Entry(label, program, 2, f"{prefix}{name}/")
                 for label, (program, name) in {**LOCK_FREE, **OTHERS}.items()]
        title = f"channel {threads}P{threads}C, single items"
        bench.contest("queue", [Entry("async", "queue_async", 2, prefix + "async/capacity:0/"),
                                Entry("async, room for 4096", "queue_async", 2, prefix + "async/capacity:4096/")] + peers, [
            Figure(f"{title}, against the best lock-free", list(LOCK_FREE), 1.5),
            Figure(f"{title}, against the best of all", labels(peers)),
            Figure(f"{title}, with room for 4096", labels(peers), ours="async, room for 4096")])
    for threads in (1, 2, 4):
        prefix = f"^queue/{threads}p{threads}c/batch:64/cpus:2/"
        bench.contest("queue", [Entry("async", "queue_async", 2, prefix + "async/capacity:0/"),
                                Entry("moodycamel", "queue_moodycamel", 2, prefix)], [
            Figure(f"channel {threads}P{threads}C, batches of 64, against moodycamel", ["moodycamel"], 1.5)])


def pingpong(bench):
    for title, cpus, threads in (("across CPUs", 2, "across"), ("on one CPU", 1, "free"), ("free", 2, "free")):
        prefix = f"^pingpong/cpus:{cpus}/threads:{threads}/"
        own = [Entry("async, polled only", "pingpong_async", cpus, prefix + "polled/"),
               Entry("async, parking at once", "pingpong_async_parks", cpus, prefix + "parks/")]
        peers = [Entry("mutex + condvar", "pingpong_mutex", cpus, prefix),
                 Entry("tbb bounded", "pingpong_tbb", cpus, prefix),
                 Entry("crossbeam bounded(1)", "peers_rust", cpus, prefix + "crossbeam/"),
                 Entry("Go channel", "peers_go", cpus, prefix + "go/")]
        bench.contest("pingpong", [Entry("async", "pingpong_async", cpus, prefix + "waits/")] + own + peers, [
            Figure(f"ping-pong, {title}: time in the better way's", labels(own), 1.2, at_most=True),
            Figure(f"ping-pong, {title}: time in the best peer's", labels(peers), at_most=True)], unit="µs")


def oversubscribed(bench):
    """Eight times as many workers as CPUs; and eight workers pinned to one CPU."""
    rows = [("token k=1", "token", "^token/k:1/cpus:{cpus}/workers:{workers}/help:0/"),
            ("token k=4", "token", "^token/k:4/cpus:{cpus}/workers:{workers}/help:0/"),
            ("power, best chunk", "power", "^power/k:1/cpus:{cpus}/chunk:[0-9]*/workers:{workers}/help:0/.*by:each[^d]*$"),
            ("chain k=8, best chunk", "chain", "^chain/k:8/cpus:{cpus}/chunk:[0-9]*/workers:{workers}/help:0/.*by:each[^d]*$"),
            ("skew, chunk 1", "skew", "^skew/cpus:{cpus}/chunk:1/workers:{workers}/help:0/")]
    for title, workload, pattern in rows:
        for cpus, what in ((2, "16 workers against 2"), (1, "8 workers on one CPU against 1")):
            many, few = (Entry(label, f"{workload}_async", cpus, pattern.format(cpus=cpus, workers=workers))
                         for label, workers in (("async", 8 * cpus), (f"async, {cpus} workers", cpus)))
            bench.contest("oversubscribed", [many, few], [Figure(f"{title}, {what}", [few.label], 0.9)])


def growth(bench):
    """The cost of an item in long runs: at 10⁶ items, and up to 10⁹."""
    if bench.quick:
        bench.too_long("growth", "10⁸ and 10⁹ items of token, 10⁹ of power")
    for workload, title, few, cpus, pattern, most in (
            ("token", "token k=1, no workers", 6, 1, "^token/k:1/cpus:1/workers:0/", 7 if bench.quick else 9),
            ("power", "power, chunk 4096, 2 workers", 7, 2, "^power/k:1/cpus:2/chunk:4096/workers:2/help:0/by:each[^d]*$",
             8 if bench.quick else 9)):
        sizes = [few, most] if bench.quick else list(range(few, most + 1))
        entries = [Entry("async" if size == most else f"10^{size} items", f"{workload}_async", cpus, pattern,
                         items=10 ** size, rounds=min(bench.rounds, 5) if size >= 9 else 0) for size in sizes]
        bench.contest("growth", entries, [
            Figure(f"{title}: 10^{most} items against 10^{size}", [f"10^{size} items"], 0.9) for size in sizes[:-1]])
