/* model.h: what a shape of the model tests is made of, and what it may call.
 *
 * A shape is a small program of a few threads over the runtime's own sources. An engine on top of
 * Relacy runs it again and again; each operation of atomic.h is a step at which another thread may
 * go on, loads may give old values where the memory orders allow it, and the plain memory that the
 * sources touch is watched for data races, use after free and reads before initialization. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_THREADS 5 /* of a shape, at most */

struct model_shape {
    const char *name;     /* structure/shape */
    unsigned    threads;  /* that are there from the start: 1 to 4 */
    unsigned    started;  /* that os_thread_start may start besides */
    void (*before)(void); /* alone; everything that is static has its first value again */
    void (*thread)(unsigned number);
    void (*after)(void); /* alone; all threads have ended */
};

/* Shapes, up to one without a name. */
extern const struct model_shape deque_shapes[], event_shapes[], queue_shapes[], channel_shapes[],
    waitlist_shapes[], reclaim_shapes[], block_shapes[], order_shapes[], task_shapes[],
    worker_shapes[], pool_shapes[], trace_shapes[];

/* Ends the execution: it is the one that is looked for. */
void model_failed(const char *file, int line, const char *what) __attribute__((noreturn));
#define EXPECT(condition) ((condition) ? (void)0 : model_failed(__FILE__, __LINE__, #condition))

/* 0 ... limit - 1, chosen by the search. */
unsigned model_choose(unsigned limit);

/* The number of the calling thread; MODEL_THREADS - 1 where it is alone. */
unsigned model_thread(void);

/* How many CPUs a thread thinks there are (1), and by how much a look moves the clock (1 ms). */
extern unsigned model_cpus;
extern uint64_t model_tick_ns;
/* So many of the first calls of pthread_key_create fail (0). The first one is of block.c, which
 * keeps no lists of threads then: a block that is freed is anybody's at once. */
extern unsigned model_keys_failing;
/* Whether sleepers may wake for no reason (true; never in a bounded search). */
extern bool model_spurious;

/* Pieces of memory that the sources asked for and did not give back yet. */
size_t model_allocations(void);

#ifdef __cplusplus
}
#endif

#endif
