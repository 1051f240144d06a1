/* channel_scenes.h: what channel.c plays; its last part. */
#ifndef PROGRESS_CHANNEL_SCENES_H
#define PROGRESS_CHANNEL_SCENES_H

#define WRITE  .prepare = prepare_write, .call = call_write, .other = other, .finish = finish_write
#define READ   .prepare = prepare, .call = call_read, .other = other, .finish = finish_read
#define BORROW .prepare = prepare, .call = call_borrow, .other = other, .finish = finish_read

/* Slots of a segment. An entry takes one, be it a single item or a block of them; those before the
 * entries that a scene is about are filled with single items. */
#define S SEGMENT_SLOTS
#define PUT(n, name, ...)                                                                          \
    {                                                                                              \
        .operation = "write " #n ", unbounded", .variant = name, WRITE, .batch = n, __VA_ARGS__    \
    }
#define GET(n, name, ...)                                                                          \
    {                                                                                              \
        .operation = "read " #n ", unbounded", .variant = name, READ, .batch = n, __VA_ARGS__      \
    }
#define PUT_BOUNDED(n, name, ...)                                                                  \
    {                                                                                              \
        .operation = "write " #n ", bounded", .variant = name, WRITE, .batch = n,                  \
        .capacity = 16 * n, __VA_ARGS__                                                            \
    }
#define GET_BOUNDED(n, name, ...)                                                                  \
    {                                                                                              \
        .operation = "read " #n ", bounded", .variant = name, READ, .batch = n,                    \
        .capacity = 16 * n, __VA_ARGS__                                                            \
    }

/* Three threads need room for 3 n items: nearly full leaves twice that. */
#define WRITES(n)                                                                                  \
    PUT(n, "empty", .filled = 0, .flags = THEN_CLOSE), PUT(n, "half", .slots = S / 2),             \
        PUT(n, "the segment's last slot", .slots = S - 1),                                         \
        PUT(n, "behind the segment's last slot", .slots = S, .flags = THEN_CLOSE),                 \
        PUT(n, "a reader waits", .flags = READER_WAITS),                                           \
        PUT(n, "others close at once", .row = "F4", .filled = 4 * n, .flags = FIRST_CLOSE),        \
        PUT(n, "others close, segment's last slot", .row = "F4", .slots = S - 1,                   \
            .flags = FIRST_CLOSE),                                                                 \
        PUT_BOUNDED(n, "empty", .flags = THEN_CLOSE), PUT_BOUNDED(n, "half", .filled = 8 * n),     \
        PUT_BOUNDED(n, "nearly full", .filled = 10 * n),                                           \
        PUT_BOUNDED(n, "full", .filled = 16 * n, .flags = READ_FIRST),                             \
        PUT_BOUNDED(n, "others close at once", .row = "F4", .filled = 4 * n, .flags = FIRST_CLOSE)

#define READS(n)                                                                                   \
    GET(n, "empty", .filled = 0, .flags = THEN_CLOSE),                                             \
        GET(n, "half", .slots = S / 2, .slots_taken = S / 2, .filled = 8 * n),                     \
        GET(n, "the segment's last slot", .slots = S - 1, .slots_taken = S - 1, .filled = n),      \
        GET(n, "on to the next segment", .slots = S, .slots_taken = S, .filled = 4 * n,            \
            .flags = THEN_CLOSE),                                                                  \
        GET(n, "spoils a slot, empty", .lost = 1),                                                 \
        GET(n, "spoils a slot, then items", .lost = 1, .filled = 4 * n, .flags = THEN_CLOSE),      \
        GET_BOUNDED(n, "empty", .flags = THEN_CLOSE), GET_BOUNDED(n, "half", .filled = 8 * n),     \
        GET_BOUNDED(n, "nearly full", .filled = 10 * n),                                           \
        GET_BOUNDED(n, "full", .filled = 16 * n, .flags = READ_FIRST),                             \
        GET_BOUNDED(n, "a writer waits", .filled = 16 * n, .flags = READ_FIRST | WRITER_WAITS)

#define CLOSING .prepare = prepare, .call = call_close, .other = other, .finish = finish, .batch = 1
#define LEAVING                                                                                    \
    .prepare = prepare, .call = call_writer_release, .other = other, .finish = finish, .batch = 1
#define ABANDONING                                                                                 \
    .prepare = prepare, .call = call_reader_release, .other = other_writes, .finish = finish,      \
    .batch = 1
/* What the others read while nobody can write. */
#define ENOUGH ((OTHERS * SUCCESSES) + 8)

static const struct scene scenes[] = {
    WRITES(1),
    WRITES(8),
    WRITES(64),
    {.operation = "write 3, unbounded", .variant = "half", WRITE, .batch = 3, .filled = 120},
    {.operation = "write 3, unbounded",
     .variant = "does not fit into the segment",
     WRITE,
     .batch = 3,
     .filled = S - 1 - (S - 1) % 3},
    {.operation = "write 1 of 48 bytes",
     .variant = "half",
     WRITE,
     .batch = 1,
     .filled = 100,
     .item_size = 48},
    READS(1),
    READS(8),
    READS(64),
    GET(1, "on to the next segment, and a scan", .slots = S, .slots_taken = S, .filled = 4,
        .flags = SCANS),
    GET(8, "part of a run", .filled = 32, .flags = BY_PARTS),
    GET(64, "part of a run", .filled = 256, .flags = BY_PARTS),
    {.operation = "read 3, unbounded", .variant = "half", READ, .batch = 3, .filled = 120},
    {.operation = "read 1 of 48 bytes",
     .variant = "half",
     READ,
     .batch = 1,
     .filled = 100,
     .item_size = 48},
    {.operation = "borrow 1", .variant = "half", BORROW, .batch = 1, .filled = 100},
    {.operation = "borrow 8", .variant = "half", BORROW, .batch = 8, .filled = 80},
    {.operation = "borrow 8",
     .variant = "on to the next segment",
     BORROW,
     .batch = 8,
     .slots = S,
     .slots_taken = S,
     .filled = 32},
    {.operation = "borrow 8",
     .variant = "spoils a slot, then items",
     BORROW,
     .batch = 8,
     .lost = 1,
     .filled = 32},
    {.operation = "borrow 8",
     .variant = "bounded, part of a run",
     BORROW,
     .batch = 8,
     .capacity = 128,
     .filled = 64,
     .flags = BY_PARTS},
    {.operation = "close",
     .variant = "items",
     CLOSING,
     .filled = ENOUGH,
     .flags = MAY_CLOSE | THEN_CLOSE},
    {.operation = "close", .variant = "empty", CLOSING, .flags = MAY_CLOSE | THEN_CLOSE},
    {.operation = "close",
     .variant = "segment full",
     CLOSING,
     .filled = 2 * S,
     .flags = MAY_CLOSE | THEN_CLOSE},
    {.operation = "close",
     .variant = "a lost ticket",
     CLOSING,
     .lost = 1,
     .filled = ENOUGH,
     .flags = MAY_CLOSE | THEN_CLOSE},
    {.operation = "close",
     .variant = "others close at once",
     CLOSING,
     .filled = ENOUGH,
     .flags = MAY_CLOSE | FIRST_CLOSE},
    {.operation = "close",
     .variant = "bounded, items",
     CLOSING,
     .capacity = 2 * ENOUGH,
     .filled = ENOUGH,
     .flags = MAY_CLOSE | THEN_CLOSE},
    {.operation = "close",
     .variant = "a reader waits",
     CLOSING,
     .flags = MAY_CLOSE | THEN_CLOSE | READER_WAITS},
    {.operation = "close",
     .variant = "a writer waits",
     CLOSING,
     .capacity = ENOUGH,
     .filled = ENOUGH,
     .flags = MAY_CLOSE | THEN_CLOSE | READ_FIRST | WRITER_WAITS},
    {.operation = "last writer's release",
     .variant = "items",
     LEAVING,
     .filled = ENOUGH,
     .flags = NO_WRITES | MAY_CLOSE},
    {.operation = "last writer's release",
     .variant = "bounded, items",
     LEAVING,
     .capacity = ENOUGH,
     .filled = ENOUGH,
     .flags = NO_WRITES | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "empty",
     ABANDONING,
     .flags = NO_READS | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "items",
     ABANDONING,
     .filled = 3,
     .flags = NO_READS | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "a lost ticket, items",
     ABANDONING,
     .lost = 1,
     .filled = 2,
     .flags = NO_READS | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "on to the next segment",
     ABANDONING,
     .slots = S - 1,
     .slots_taken = S - 1,
     .filled = 2,
     .flags = NO_READS | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "bounded, nearly full",
     ABANDONING,
     .capacity = 8,
     .filled = 2,
     .flags = NO_READS | MAY_CLOSE},
    {.operation = "last reader's release",
     .variant = "full, a writer waits",
     ABANDONING,
     .capacity = 2,
     .filled = 2,
     .flags = NO_READS | MAY_CLOSE | WRITER_WAITS},
};

#endif
