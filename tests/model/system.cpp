// system.cpp: what the sources call of the C library and of os.h, and the threads of an execution.
#include "engine.hpp"

using namespace model;

extern "C" {

void model_init(volatile void *p, size_t size, uint64_t value); // atomic.h's

unsigned model_cpus = 1;
uint64_t model_tick_ns = 1000000;
bool     model_spurious = true;
unsigned model_keys_failing;

// ---- the C library's, as the sources see it ----

void *model_calloc(size_t count, size_t size)
{
    resumed();
    return allocate(count * size, 16, true);
}

void *model_aligned_alloc(size_t alignment, size_t size)
{
    resumed();
    return allocate(size, alignment, false);
}

void model_free(void *memory)
{
    if (memory == NULL) { return; }
    resumed();
    give_back(memory);
}

int model_malloc_trim(size_t) { return 0; }

static unsigned const keys_most = 8;
static unsigned       key_count;
static void (*key_ends[keys_most])(void *);
static void *key_values[MODEL_THREADS + 1][keys_most];

int model_pthread_key_create(unsigned *key, void (*end)(void *))
{
    resumed();
    if (model_keys_failing > 0) {
        model_keys_failing--;
        return 11; // EAGAIN
    }
    *key = key_count;
    key_ends[key_count++] = end;
    return 0;
}

int model_pthread_setspecific(unsigned key, const void *value)
{
    resumed();
    key_values[tls_owner][key] = (void *)(uintptr_t)value;
    return 0;
}

int model_pthread_once(int *once, void (*function)(void))
{
    resumed();
    cell *c = cell_at((uintptr_t)once, sizeof *once, "pthread_once", 0);
    current->acquire(c->record);
    if (c->value == 0) {
        c->value = 1;
        function();
        current->release(c->record);
    }
    return 0;
}

static void end_thread(void)
{
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < key_count; i++) {
            int   me = is_alone ? alone : self().index_;
            void *value = key_values[me][i];
            key_values[me][i] = NULL;
            if (value != NULL) {
                again = true;
                key_ends[i](value);
            }
        }
    }
}

// ---- os.h ----

static uint64_t now_ns;

uint64_t os_now_ns(void) { return now_ns += model_tick_ns; }

// The kernel looks at the word with a lock held that whoever wakes takes too, before it lets a
// thread sleep; a sleeper that was woken has seen what the waker did before.
bool os_futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    rl::context &c = rl::ctx();
    c.atomic_thread_fence_seq_cst();
    resumed();
    cell    *at = cell_at((uintptr_t)word, sizeof *word, "os_futex_wait", 0);
    unsigned index = self().atomic_load_relaxed(at->data());
    if (index == (unsigned)-1) {
        fail_at("os_futex_wait", 0, rl::test_result_unitialized_access,
                "a load before the initialization");
    }
    note("sleep", (uintptr_t)word, at->history[index], expected, "", "os_futex_wait", 0);
    if (at->history[index] != expected) { return true; }
    if (deadline_ns <= now_ns) { return false; }
    // Without a reason in random search only: a bounded one would take that way for ever.
    rl::unpark_reason why = current->park(at->record, deadline_ns != UINT64_MAX,
                                          model_spurious && c.is_random_sched());
    resumed();
    if (why == rl::unpark_reason_normal) { current->acquire(at->record); }
    note(why == rl::unpark_reason_timeout ? "timed out" : "woken", (uintptr_t)word, 0, 0, "",
         "os_futex_wait", 0);
    return why != rl::unpark_reason_timeout;
}

void os_futex_wake(uint32_t *word, unsigned count)
{
    rl::ctx().atomic_thread_fence_seq_cst();
    resumed();
    note("wake", (uintptr_t)word, count, 0, "", "os_futex_wake", 0);
    model::word *at = find((uintptr_t)word, false); // by its address: it may be gone
    if (at != NULL && at->atomic != NULL) {
        current->release(at->atomic->record);
        current->wake(at->atomic->record, count);
    }
}

void os_pause(unsigned *looks)
{
    ++*looks;
    rl::ctx().yield(1, rl::debug_info("os_pause", "", 0));
    resumed();
}

void os_sleep_ns(uint64_t ns)
{
    now_ns += ns;
    rl::ctx().yield(1, rl::debug_info("os_sleep_ns", "", 0));
    resumed();
}

uintptr_t os_stack_end(void) { return 0; }

bool os_thread_alone(void) { return false; }

// Called once, by a constructor. Nobody forks here.
void os_at_fork(void (*)(void), void (*)(void), void (*)(void)) {}

void os_yield(void)
{
    rl::ctx().yield(1, rl::debug_info("os_yield", "", 0));
    resumed();
}

unsigned os_cpu_count(void) { return model_cpus; }
unsigned os_cpu_affinity(void) { return model_cpus; }
unsigned os_cpus_shared(void) { return model_cpus; }

// A mutex is a cell whose value says whether it is locked.
static cell *mutex_cell(void *mutex) { return cell_at((uintptr_t)mutex, 4, "mutex", 0); }

void os_mutex_init(void *mutex) { model_init(mutex, 4, 0); }

void os_mutex_destroy(void *) {}

void os_mutex_lock(void *mutex)
{
    step();
    for (;;) {
        cell *c = mutex_cell(mutex);
        if (c->value == 0) {
            c->value = 1;
            current->acquire(c->record);
            return;
        }
        current->park(c->record, false, false);
        resumed();
    }
}

void os_mutex_unlock(void *mutex)
{
    step();
    cell *c = mutex_cell(mutex);
    if (c->value != 1) {
        fail_at("os_mutex_unlock", 0, rl::test_result_unlocking_mutex_wo_ownership, "not locked");
    }
    c->value = 0;
    current->release(c->record);
    current->wake(c->record, 1);
}

struct started {
    void (*run)(void *);
    void *argument;
};
static started  starts[MODEL_THREADS];
static unsigned start_count;

static void *run_started(void *argument)
{
    resumed();
    started *s = (started *)argument;
    s->run(s->argument);
    end_thread();
    return NULL;
}

bool os_thread_start(rl::win_waitable_object **thread, void (*run)(void *), void *argument, size_t,
                     const char *)
{
    step();
    if (start_count == shape->started) { return false; }
    starts[start_count] = {run, argument};
    *thread = rl::ctx().create_thread(run_started, &starts[start_count]);
    start_count++;
    return true;
}

void os_thread_join(rl::win_waitable_object *thread)
{
    step();
    thread->wait(false, false, rl::debug_info("os_thread_join", "", 0));
    resumed();
}
}

namespace model
{

void before()
{
    reset_words();
    reset_heap();
    reset_statics();
    key_count = start_count = 0;
    memset(key_values, 0, sizeof key_values);
    now_ns = 1;
    model_cpus = 1;
    model_tick_ns = 1000000;
    model_keys_failing = 0;
    model_spurious = true;
    failure[0] = '\0';
    is_alone = true;
    if (shape->before != NULL) { shape->before(); }
    is_alone = false;
}

void thread(unsigned number)
{
    resumed();
    shape->thread(number);
    end_thread();
}

void after()
{
    is_alone = true;
    resumed();
    if (shape->after != NULL) { shape->after(); }
    end_thread();
    is_alone = false;
}

} // namespace model
