"""The mutants: one seeded fault each in the lock-free core. See mutants.py.

`old` stands in the file exactly once, whatever its line breaks, and `new` takes its place. `model` names the shapes of the
model checker that look at it. `layers` are those that are known to catch it; lint is the check of
the memory orders, which catches an order that no longer is what its tag says. On x86 a weakened
order changes little: what running programs can't show, the model and the lint do."""
from dataclasses import dataclass, field


@dataclass
class Mutant:
    name: str
    file: str
    old: str
    new: str
    breaks: str
    area: str
    layers: str
    model: list = field(default_factory=list)


MUTANTS = [
    # ---- the deque ----
    Mutant("deque-pop-fence", "deque.c",
           "fence_seq_cst();                       /* D3 <-> D4 */", "/* D3 <-> D4 */",
           "pop's store to bottom and its look at top may pass each other: the last job twice",
           "deque", "lint model stress", ["deque/thief-heavy"]),
    Mutant("deque-steal-fence", "deque.c",
           "fence_seq_cst();                               /* D4 <-> D3 */", "/* D4 <-> D3 */",
           "a thief's looks at top and bottom may pass each other", "deque", "lint model", ["deque/thief-heavy"]),
    Mutant("deque-push-relaxed", "deque.c",
           "store_release(&deque->bottom, index_add(bottom, 1)); /* D1 -> D5; LP: push */",
           "store_relaxed(&deque->bottom, index_add(bottom, 1)); /* D1 -> D5; LP: push */",
           "a thief sees the job's index before the slot", "deque", "lint model tsan", ["deque/owner-heavy"]),
    Mutant("deque-pop-relaxed", "deque.c",
           "store_release(&deque->bottom, newest); /* D1 -> D5; LP: of the newest job, whoever gets it */",
           "store_relaxed(&deque->bottom, newest); /* D1 -> D5; LP: of the newest job, whoever gets it */",
           "a thief that reads pop's store does not see the slot: beyond running programs on x86, and "
           "beyond checkers with the release sequences of C++11", "deque", "lint", ["deque/last-job"]),
    Mutant("deque-array-relaxed", "deque.c",
           "store_release(&deque->array, array); /* D8 -> D9 */",
           "store_relaxed(&deque->array, array); /* D8 -> D9 */",
           "a thief sees the new array before what was copied into it", "deque", "lint model tsan",
           ["deque/growth"]),
    Mutant("deque-slot-after-cas", "deque.c",
           "    *job = found;\n", "    (void)found;\n    *job = load_relaxed(slot(array, top)); /* relaxed: late */\n",
           "the slot is read when the owner may have written it again", "deque", "model", ["deque/wrap"]),
    Mutant("deque-unsigned", "deque.c",
           "    int64_t left = index_distance(newest, top); /* jobs that are older than the one claimed */\n"
           "    if (left >= 0) {",
           "    uint64_t left = (uint64_t)index_distance(newest, top);\n    if (left != UINT64_MAX - 1) {",
           "pop does not see that the deque became empty under it", "deque", "model stress", ["deque/last-job", "deque/owner-heavy"]),
    Mutant("deque-last-without-cas", "deque.c",
           "if (left == 0 && !cas_seq_cst(&deque->top, &top, index_add(top, 1))) { /* D7 -> D2, D6 */",
           "if (left == 0 && (store_seq_cst(&deque->top, index_add(top, 1)), false)) { /* D7 -> D2, D6 */",
           "the owner takes the last job without asking", "deque", "model stress", ["deque/last-job"]),
    Mutant("deque-grow-short", "deque.c",
           "    for (int64_t i = top; i != bottom; i = index_add(i, 1)) {",
           "    for (int64_t i = index_add(top, 1); i != bottom; i = index_add(i, 1)) {",
           "the oldest job is not in the new array", "deque", "model unit stress", ["deque/growth"]),
    # ---- the queue ----
    Mutant("queue-publish-relaxed", "queue.c",
           "return cas_release(&slot_at(segment, index)->state, &pending, state); /* U1 -> U2. LP: put */",
           "return cas_relaxed(&slot_at(segment, index)->state, &pending, state); /* U1 -> U2. LP: put */",
           "a reader sees the slot before what is in it", "queue", "lint model tsan", ["queue/one-and-one"]),
    Mutant("queue-publish-blindly", "queue.c",
           "return cas_release(&slot_at(segment, index)->state, &pending, state); /* U1 -> U2. LP: put */",
           "(void)pending;\n    store_release(&slot_at(segment, index)->state, state); /* U1 -> U2 */\n"
           "    return true;",
           "an item goes into a slot that a reader has given up: lost", "queue", "model history",
           ["queue/close-races-write"]),
    Mutant("queue-closed-flag", "queue.c",
           "while ((tickets & CLOSED) == 0) {", "while (false && (tickets & CLOSED) == 0) {",
           "the close is not in the tickets, only in a flag beside them", "queue", "model history",
           ["queue/close-races-write"]),
    Mutant("queue-pending-is-empty", "queue_read.c",
           "if (unlikely(state == PENDING)) { state = slot_wait(queue, slot, &spins); }",
           "if (unlikely(state == PENDING)) {\n                (void)slot_wait;\n                (void)spins;\n"
           "                *end = queue_closed(queue);\n                return 0;\n            }",
           "a slot whose ticket is out is taken for the end: what is put there after a close is lost",
           "queue", "model history", ["queue/close-races-write"]),
    Mutant("queue-tail-behind", "queue_read.c",
           "    if (load_seq_cst(&queue->tail) == segment) { tail_move(queue, segment, next); }",
           "    (void)tail_move;",
           "a segment is retired while `tail` still leads to it", "queue", "model", ["queue/growth"]),
    Mutant("queue-claim-uncounted", "queue_read.c",
           "                if (more != 0) { add_seq_cst(&queue->more_taken, more); } /* U14 -> U13 */",
           "                (void)more;",
           "what was taken of a run still counts as there", "queue", "unit history", ["queue/counted"]),
    # ---- reclamation ----
    Mutant("reclaim-hold-release", "reclaim.h",
           "store_seq_cst(&record->hazards[slot], object); /* H1 -> H3 */",
           "store_release(&record->hazards[slot], object); /* H1 -> H3 */",
           "the hazard is seen after the look that follows it", "reclaim", "lint model", ["reclaim/one-and-one"]),
    Mutant("reclaim-hold-ignored", "reclaim.c",
           "            if (retired->held) {\n", "            if (retired->held && retired->next == retired) {\n",
           "what somebody holds is freed", "reclaim", "unit model", ["reclaim/one-and-one"]),
    # ---- waiting ----
    Mutant("event-notify-fence", "event.c",
           "    fence_seq_cst(); /* E2 <-> E1 */\n", "    /* E2 <-> E1 */\n",
           "the notifier's look may come before its change: a lost wake-up", "event", "lint model",
           ["event/one-and-one"]),
    Mutant("event-prepare-fence", "event.c",
           "    fence_seq_cst();                 /* E1 <-> E2 */\n", "    /* E1 <-> E2 */\n",
           "the waiter's second look may come before its announcement", "event", "lint model", ["event/one-and-one"]),
    Mutant("event-no-epoch", "event.c",
           "    add_release(&event->epoch, 1); /* E3 -> E4, E5; LP: from here on no older key sleeps */\n",
           "",
           "who has announced itself and not slept yet is not stopped", "event", "model unit stress",
           ["event/one-and-one"]),
    Mutant("worker-no-second-look", "worker.c",
           "        if (retired(worker) || work_visible(pool)) {", "        if (retired(worker)) {",
           "a worker sleeps with no look after its announcement", "pool", "stress", ["worker/park-races-push"]),
    Mutant("waitlist-no-second-look", "waitlist.c",
           "cas_release(&list->arriving, &newest, waiter));\n    waitlist_serve_slow(list);\n",
           "cas_release(&list->arriving, &newest, waiter));\n",
           "a waiter sleeps with no look after its announcement", "channel", "model history unit",
           ["waitlist/one-and-one"]),
    Mutant("waitlist-touch-late", "waitlist.c",
           "    os_futex_wake(told, 1); /* by its address only */",
           "    os_futex_wake(told, 1);\n    waiter->place = 0;",
           "the waker touches a waiter that may be gone", "channel", "model tsan", ["waitlist/one-and-one", "waitlist/timeout", "channel/freed"]),
    Mutant("waitlist-tells-one", "waitlist.c",
           "        if (!all && !list->met(list->context, sum)) { break; }",
           "        if (!all && !list->met(list->context, sum)) { break; }\n        all = false;",
           "who is to be told whatever it needs is not, but for the first", "channel", "model",
           ["waitlist/tell-all", "waitlist/alarm"]),
    Mutant("turn-mark-ignored", "turn.h",
           "return exchange_acq_rel(turn, TURN_FREE) == TURN_AGAIN; /* T3 -> T1, <- T2. LP */",
           "(void)exchange_acq_rel(turn, TURN_FREE); /* T3 -> T1, <- T2. LP */\n    return false;",
           "who found the turn taken is forgotten", "channel", "model history", ["waitlist/one-and-one", "waitlist/two-give"]),
    # ---- the channel ----
    Mutant("channel-close-wakes-readers", "channel.c",
           "    waitlist_tell_all(&channel->readers);\n    waitlist_tell_all(&channel->writers);\n",
           "    waitlist_tell_all(&channel->readers);\n",
           "a close leaves the writers that wait for room asleep", "channel",
           "history conformance model", ["channel/close-on-full"]),
    Mutant("channel-room-one-more", "writer.c",
           "        size_t room = min_size(count, channel->capacity - (size_t)used);",
           "        size_t room = min_size(count, channel->capacity + 1 - (size_t)used);",
           "a channel that is not full yet takes one more than it has room for", "channel",
           "history unit conformance", ["channel/writer-heavy-1"]),
    Mutant("channel-room-unserved", "channel.h",
           "        waitlist_serve(&channel->writers);\n", "",
           "a take makes room and tells nobody", "channel", "history conformance", ["channel/writer-heavy-1"]),
    Mutant("channel-flag-first", "writer.c",
           "        if (room == 0) { return queue_closed(&channel->queue) ? ASYNC_CLOSED : ASYNC_TIMEOUT; }",
           "        if (room == 0) { return ASYNC_TIMEOUT; }",
           "a full channel that is closed says that it is full", "channel", "history regress", []),
    Mutant("channel-cancel-late", "channel.c",
           "if (seen != ASYNC_OK && (seen != ASYNC_END || status != ASYNC_CANCELLED)) { return false; }",
           "if (seen != ASYNC_OK) { return false; }",
           "a cancel at the end discards what there is, and readers are told END", "channel", "model conformance",
           ["task/cancelled-at-end"]),
    Mutant("task-abort-relaxed", "execute.c",
           "    (void)load_acquire(&task->abort_from); /* X10 <- X9 of task.c */\n", "",
           "a run that ends early for a cancel does not know of it: END for a task that dropped its items",
           "pool", "lint model", ["task/half-cancelled"]),
    # ---- blocks and order ----
    Mutant("block-count-relaxed", "block.c",
           "        uint64_t before = sub_acq_rel(&block->refs, count); /* B3 -> B3, B4 */",
           "        uint64_t before = sub_relaxed(&block->refs, count); /* B3 -> B3, B4 */",
           "a block is used again before its last reader is done", "queue", "lint model tsan",
           ["block/releases"]),
    Mutant("order-place-relaxed", "order.c",
           "    store_release(&place->filled, 1); /* R1 -> R2 */",
           "    store_relaxed(&place->filled, 1); /* R1 -> R2 */",
           "a run is passed on before its pieces are there", "pool", "lint model", ["order/two-finish"]),
]
