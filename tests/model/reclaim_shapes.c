/* reclaim_shapes.c: hazard pointers. Who protects an object may read it: the model knows what is
 * freed. Everything is freed in the end, once. */
#include "mem.h"
#include "model.h"
#include "reclaim.h"

struct object {
    struct retired retired;
    uint64_t       value; /* set before it is shared */
};

static SHARED(struct object *) source;
static unsigned                made[MODEL_THREADS], freed[MODEL_THREADS];

static void object_free(struct retired *retired)
{
    freed[model_thread()]++;
    mem_free(container_of(retired, struct object, retired));
}

static struct object *object_new(void)
{
    struct object *object = (struct object *)mem_zalloc(sizeof *object, alignof(struct object));
    EXPECT(object != NULL);
    object->retired.object = object;
    object->retired.free = object_free;
    object->value = 42;
    made[model_thread()]++;
    return object;
}

static void start(void) { atomic_init(&source, object_new()); }

static void look(enum reclaim_slot slot)
{
    struct reclaim_record *record = reclaim_enter();
    struct object         *object = load_seq_cst(&source);
    while (!reclaim_holds(record, slot, object)) {
        reclaim_hold(record, slot, object);
        object = load_seq_cst(&source);
    }
    EXPECT(object->value == 42);
    reclaim_leave(record);
}

static void replace(bool scan)
{
    struct object         *fresh = object_new();
    struct object         *old = exchange_seq_cst(&source, fresh);
    struct reclaim_record *record = reclaim_enter();
    reclaim_retire(record, &old->retired);
    if (scan) { reclaim_scan(record); }
    reclaim_leave(record);
}

static void one_and_one(unsigned thread)
{
    if (thread == 0) {
        look(RECLAIM_HEAD);
        look(RECLAIM_HEAD); /* the slot may hold it still: no store, no second look */
    } else {
        replace(true);
    }
}

static void two_look(unsigned thread)
{
    if (thread < 2) {
        look(thread == 0 ? RECLAIM_HEAD : RECLAIM_TAIL);
    } else {
        replace(true);
        replace(true);
    }
}

/* What one could not free yet, the next owner of the record frees. */
static void two_replace(unsigned thread)
{
    if (thread == 0) {
        look(RECLAIM_TAIL);
    } else {
        replace(false);
    }
}

/* Records are given back and taken again. */
static void come_and_go(unsigned thread)
{
    (void)thread;
    look(RECLAIM_HEAD);
    replace(true);
}

static void all_freed(void)
{
    struct reclaim_record *record;
    for (unsigned i = 0; i < MODEL_THREADS; i++) { /* every record, one after the other */
        reclaim_own = NULL;
        record = reclaim_enter();
        reclaim_scan(record);
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < MODEL_THREADS; i++) { sum += made[i] - freed[i]; }
    EXPECT(sum == 1);
}

const struct model_shape reclaim_shapes[] = {
    {"reclaim/one-and-one", 2, 0, start, one_and_one, all_freed},
    {"reclaim/two-look", 3, 0, start, two_look, all_freed},
    {"reclaim/two-replace", 3, 0, start, two_replace, all_freed},
    {"reclaim/come-and-go", 2, 0, start, come_and_go, all_freed},
    {0},
};
