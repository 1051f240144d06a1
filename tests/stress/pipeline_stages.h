/* pipeline_stages.h: what a round of pipeline_stress.c is made of: the chain, the functions of its
 * stages, and what they count. */
#ifndef STRESS_PIPELINE_STAGES_H
#define STRESS_PIPELINE_STAGES_H

#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 6, ITEMS = 30000 };

typedef enum work { PASS, EACH, BATCH, FILTER, PAIR, BURST, WORKS } work;
static const char *const work_names[] = {"pass", "each", "batch", "filter", "pair", "burst"};
typedef enum origin { RANGE, ARRAY, NEXT, CHANNEL, ORIGINS_COUNT } origin;
static const char *const origin_names[] = {"range", "array", "next", "channel"};

typedef struct stage {
    work                 kind;
    size_t               in_size, out_size, chunk, min;
    bool                 ordered, in_place, discards;
    unsigned             parallel;
    atomic_uint_fast64_t taken, made, discarded;
    atomic_uint          released, running;
} stage;

/* Reads of all threads together. */
typedef struct client {
    thread    thread;
    dice      dice;
    uint64_t *seen;
    size_t    count, room;
    size_t    budget; /* stops for each that are left */
} client;

static struct {
    stage                stages[STAGES];
    unsigned             count;
    origin               origin;
    size_t               first_size, items;
    unsigned char       *array;
    uint64_t             next;    /* of the source's function */
    atomic_uint          drawing; /* in it */
    bool                 ended;   /* it gave fewer than it was asked for */
    async_writer        *writer;
    atomic_uint_fast64_t accepted, discarded;
    atomic_uint          released;
    thread               writing;
    dice                 dice; /* of the writer */
    async_reader        *reader;
    size_t               size;       /* of the last stage's items */
    bool                 to_the_end; /* else the clients leave early */
    atomic_bool          lossy;      /* a for_each was stopped: what it had drawn is discarded */
    atomic_uint_fast64_t budget;     /* items read after which the clients leave */
} world;

/* ---- items ---- */

#define KEY UINT64_C(0x5bd1e9955bd1e995)

static void put(void *to, size_t size, uint64_t value)
{
    uint32_t small = (uint32_t)value;
    uint64_t wide[3] = {value, ~value, value * KEY};
    memcpy(to, size == 4 ? (void *)&small : (void *)wide, size);
}

static uint64_t get(const void *from, size_t size)
{
    if (size == 4) {
        uint32_t small;
        memcpy(&small, from, 4);
        return small;
    }
    uint64_t wide[3] = {0};
    memcpy(wide, from, size);
    MUST(size == 8 || (wide[1] == ~wide[0] && wide[2] == wide[0] * KEY));
    return wide[0];
}

/* ---- functions ---- */

static void enter(stage *s, size_t count)
{
    atomic_fetch_add(&s->taken, count);
    unsigned others = atomic_fetch_add(&s->running, 1);
    MUST(s->parallel == 0 || others < s->parallel);
}

static void leave(stage *s, size_t made)
{
    atomic_fetch_sub(&s->running, 1);
    atomic_fetch_add(&s->made, made);
}

static int do_each(const void *in, void *out, void *context)
{
    stage *s = context;
    enter(s, 1);
    put(out, s->out_size, get(in, s->in_size) + 1);
    leave(s, 1);
    return 0;
}

static int do_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    stage *s = context;
    (void)done;
    MUST(count > 0 && (s->chunk == 0 || count <= s->chunk));
    enter(s, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t value = get((const char *)in + i * s->in_size, s->in_size);
        put((char *)out + i * s->out_size, s->out_size, value + 2);
    }
    leave(s, count);
    return 0;
}

/* How many outputs an input has. */
static size_t outputs(const stage *s, uint64_t value)
{
    switch (s->kind) {
    case FILTER:
        return value % 3 == 0 ? 0 : 1;
    case PAIR:
        return value % 4;
    case BURST:
        return value % 500 == 7 ? 900 : value % 5 == 0 ? 1 : 0;
    default:
        return 1;
    }
}

static uint64_t changed(const stage *s, uint64_t value)
{
    return s->kind == EACH ? value + 1 : s->kind == BATCH ? value + 2 : value;
}

static int do_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    stage *s = context;
    (void)done;
    MUST(count > 0 && (s->chunk == 0 || count <= s->chunk));
    enter(s, count);
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t      value = get((const char *)in + i * s->in_size, s->in_size);
        size_t        copies = outputs(s, value);
        unsigned char block[10 * 24];
        for (size_t c = 0; c < 10; c++) { put(block + c * s->out_size, s->out_size, value); }
        made += copies;
        while (copies > 0) {
            size_t part = copies < 10 ? copies : 10;
            MUST_STATUS(async_emit(out, block, part), ASYNC_OK);
            copies -= part;
        }
    }
    leave(s, made);
    return 0;
}

static void discard(void *items, size_t count, void *context)
{
    stage *s = context;
    for (size_t i = 0; i < count; i++) { (void)get((char *)items + i * s->out_size, s->out_size); }
    atomic_fetch_add(&s->discarded, count);
}

static void release(void *context)
{
    stage *s = context;
    atomic_fetch_add(&s->released, 1);
}

static void channel_discard(void *items, size_t count, void *context)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        (void)get((char *)items + i * world.first_size, world.first_size);
    }
    atomic_fetch_add(&world.discarded, count);
}

static void channel_release(void *context)
{
    (void)context;
    atomic_fetch_add(&world.released, 1);
}

static int next(void *items, size_t count, size_t *got, void *context)
{
    (void)context;
    MUST(atomic_fetch_add(&world.drawing, 1) == 0);
    MUST(!world.ended);
    while (*got < count && world.next < world.items) {
        put((char *)items + *got * world.first_size, world.first_size, world.next++);
        ++*got;
    }
    world.ended = *got < count;
    atomic_fetch_sub(&world.drawing, 1);
    return 0;
}

static void write_items(void *arg)
{
    (void)arg;
    dice         *d = &world.dice;
    unsigned char items[100 * 24];
    uint64_t      at = 0;
    while (at < world.items) {
        size_t count = 1 + roll(d, one_in(d, 3) ? 100 : 5), written = 0;
        if (count > world.items - at) { count = world.items - at; }
        for (size_t i = 0; i < count; i++) {
            put(items + i * world.first_size, world.first_size, at + i);
        }
        async_status status = async_writer_write(world.writer, items, count, &written,
                                                 any_wait(d, 5));
        at += written;
        atomic_fetch_add(&world.accepted, written);
        stress_moves(written);
        if (status == ASYNC_CLOSED) { break; }
        MUST(status == ASYNC_TIMEOUT || (status == ASYNC_OK && written == count));
        if (status == ASYNC_TIMEOUT) { sleep_us(20); }
    }
    async_writer_release(world.writer);
}

#endif
