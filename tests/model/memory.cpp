// memory.cpp: what the sources call instead of C11's atomics, the allocator and the system.
#include "engine.hpp"

#include <cstdarg>

namespace model
{

backend *current;
const model_shape *shape;
char failure[512];

// ---- an execution's threads and their variables ----

// In these the linker puts the sources' statics, and their thread-local variables.
extern "C" char __start_model_data[], __stop_model_data[];
extern "C" char __start_model_bss[], __stop_model_bss[];
extern "C" char __start_model_tls[], __stop_model_tls[];

static char *data_kept;
static size_t const tls_most = 4096;
static int const alone = MODEL_THREADS; // before and after the threads
static char tls[MODEL_THREADS + 1][tls_most];
static char tls_first[tls_most];
static int tls_owner;
static bool is_alone;

static size_t data_bytes() { return (size_t)(__stop_model_data - __start_model_data); }
static size_t bss_bytes() { return (size_t)(__stop_model_bss - __start_model_bss); }
static size_t tls_bytes() { return (size_t)(__stop_model_tls - __start_model_tls); }

static rl::thread_info_base &self() { return *rl::ctx().threadx_; }

// The running thread may be another one than at the last call of anything here.
static void resumed()
{
    int me = is_alone ? alone : self().index_;
    if (me == tls_owner) { return; }
    memcpy(tls[tls_owner], __start_model_tls, tls_bytes());
    memcpy(__start_model_tls, tls[me], tls_bytes());
    tls_owner = me;
}

void keep_statics()
{
    data_kept = (char *)::malloc(data_bytes());
    memcpy(data_kept, __start_model_data, data_bytes());
    memcpy(tls_first, __start_model_tls, tls_bytes());
    if (tls_bytes() > tls_most) {
        fprintf(stderr, "model: %zu bytes of thread-local variables\n", tls_bytes());
        abort();
    }
}

static void reset_statics()
{
    memcpy(__start_model_data, data_kept, data_bytes());
    memset(__start_model_bss, 0, bss_bytes());
    for (char *each : tls) { memcpy(each, tls_first, tls_bytes()); }
    memcpy(__start_model_tls, tls_first, tls_bytes());
    tls_owner = alone;
}

// ---- failure ----

static void fail_at(const char *file, int line, rl::test_result_e result, const char *what)
{
    const char *slash = strrchr(file, '/');
    snprintf(failure, sizeof failure, "%s:%d: %s", slash != NULL ? slash + 1 : file, line, what);
    rl::ctx().fail_test(failure, result, rl::debug_info("", file, (unsigned)line));
    abort(); // not reached
}

// Within the compiler's calls there is only the address of the code.
static void fail_in(void *code, rl::test_result_e result, const char *what, uintptr_t address)
{
    snprintf(failure, sizeof failure, "code at %p: %s at %#lx", code, what, (unsigned long)address);
    rl::ctx().fail_test(failure, result, rl::debug_info("", "", 0));
    abort(); // not reached
}

// ---- the heap: never used twice in one execution, so that what was freed is known ----

static size_t const heap_bytes = (size_t)4 << 20, grain = 16;

struct allocation {
    uintptr_t       base;
    size_t          size;
    bool            freed;
    rl::thread_id_t by;
    rl::timestamp_t at;
};

alignas(4096) static char heap[heap_bytes];
static size_t heap_used, allocation_count, allocations_live;
static allocation allocations[16384];
static uint16_t allocation_at[heap_bytes / grain]; // index + 1

static bool in_heap(uintptr_t address)
{
    return address - (uintptr_t)heap < heap_bytes;
}

static allocation *allocation_of(uintptr_t address)
{
    unsigned index = allocation_at[(address - (uintptr_t)heap) / grain];
    return index == 0 ? NULL : &allocations[index - 1];
}

static void *allocate(size_t size, size_t alignment, bool zeroed)
{
    size_t start = (heap_used + alignment - 1) & ~(alignment - 1);
    size_t taken = (size + grain) & ~(grain - 1); // at least a byte that is nobody's
    if (start + taken > heap_bytes || allocation_count == sizeof allocations / sizeof *allocations) {
        fail_at("memory.cpp", __LINE__, rl::test_result_memory_leak, "the heap of an execution is used up");
    }
    heap_used = start + taken;
    self().own_acq_rel_order_ += 1;
    allocations[allocation_count++] = { (uintptr_t)heap + start, size, false, self().index_,
                                        self().own_acq_rel_order_ };
    for (size_t i = 0; i < (size + grain - 1) / grain; i++) {
        allocation_at[start / grain + i] = (uint16_t)allocation_count;
    }
    allocations_live++;
    memset(heap + start, zeroed ? 0 : 0xa5, size);
    return heap + start;
}

static void reset_heap()
{
    memset(allocation_at, 0, (heap_used + grain - 1) / grain * sizeof *allocation_at);
    heap_used = allocation_count = allocations_live = 0;
}

// ---- words ----

struct cell {
    uint64_t value;
    uint64_t history[rl::atomic_history_size];
    size_t   size;
    alignas(16) char record[record_bytes];

    rl::atomic_data *data() { return (rl::atomic_data *)(void *)record; }
};

// What is known of the memory at an address: an atomic, or plain accesses that began there.
struct word {
    uintptr_t       address;
    unsigned        execution;
    bool            plain;
    cell           *atomic;
    rl::timestamp_t stored[MODEL_THREADS], loaded[MODEL_THREADS];
};

static size_t const words_most = 1 << 17, cells_most = 1 << 14;
static word words[words_most];
static cell cells[cells_most];
static size_t cell_count, word_count;
static unsigned execution;

static word *find(uintptr_t address, bool make)
{
    for (size_t at = (address * 0x9e3779b97f4a7c15u) >> 47;; at = (at + 1) % words_most) {
        word &w = words[at];
        if (w.execution != execution) {
            if (!make) { return NULL; }
            if (++word_count > words_most / 2) {
                fail_at("memory.cpp", __LINE__, rl::test_result_memory_leak, "too many words");
            }
            w.address = address;
            w.execution = execution;
            w.plain = false;
            w.atomic = NULL;
            return &w;
        }
        if (w.address == address) { return &w; }
    }
}

static void check_alive(uintptr_t address, const char *file, int line)
{
    if (!in_heap(address)) { return; }
    allocation *a = allocation_of(address);
    if (a == NULL || a->freed) {
        fail_at(file, line, rl::test_result_access_to_freed_memory,
                a == NULL ? "memory that is nobody's" : "memory that was freed");
    }
}

static uint64_t peek(uintptr_t address, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, size);
    return value;
}

static cell *cell_new(uintptr_t address, size_t size, uint64_t value, rl::thread_id_t by,
                      rl::timestamp_t at)
{
    if (cell_count == cells_most) {
        fail_at("memory.cpp", __LINE__, rl::test_result_memory_leak, "too many atomics");
    }
    cell *c = &cells[cell_count++];
    current->make(c->record, by, at);
    c->value = value;
    c->history[1] = value;
    c->size = size;
    find(address, true)->atomic = c;
    return c;
}

// The atomic at the address; its first value is from whoever wrote the memory last.
static cell *cell_at(uintptr_t address, size_t size, const char *file, int line)
{
    check_alive(address, file, line);
    word *w = find(address, true);
    if (w->atomic != NULL) {
        if (w->atomic->size != size) {
            fail_at(file, line, rl::test_result_inconsistent_test_suite, "an atomic of two sizes");
        }
        return w->atomic;
    }
    rl::thread_id_t by = 0;
    rl::timestamp_t at = 0;
    const word *written = w->plain ? w : find(address & ~(uintptr_t)7, false);
    if (written != NULL && written->plain) {
        for (int i = 0; i < MODEL_THREADS; i++) {
            if (written->stored[i] > at) {
                by = i;
                at = written->stored[i];
            }
        }
    } else if (in_heap(address)) {
        const allocation *a = allocation_of(address);
        by = a->by;
        at = a->at;
    }
    return cell_new(address, size, peek(address, size), by, at);
}

struct event {
    const char *what;
    uintptr_t   address;
    uint64_t    value, second;
    const char *result;

    void output(std::ostream &s) const
    {
        s << what << " <" << std::hex << address << "> " << value;
        if (second != 0) { s << ", " << second; }
        s << std::dec << result;
    }
};

static void note(const char *what, uintptr_t address, uint64_t value, uint64_t second,
                 const char *result, const char *file, int line)
{
    rl::context &c = rl::ctx();
    if (!c.collecting_history()) { return; }
    const char *slash = strrchr(file, '/');
    event e = { what, address, value, second, result };
    c.exec_log(rl::debug_info("", slash != NULL ? slash + 1 : file, (unsigned)line), e);
}

static void step()
{
    rl::ctx().sched();
    resumed();
}

static void set(cell *c, unsigned index, uintptr_t address, uint64_t value)
{
    c->value = value;
    c->history[index] = value;
    memcpy((void *)address, &value, c->size);
}

static uint64_t cut(uint64_t value, size_t size)
{
    return size == 8 ? value : value & (((uint64_t)1 << size * 8) - 1);
}

static unsigned rmw_index(cell *c, int order)
{
    bool aba;
    switch (order) {
    case __ATOMIC_RELAXED: return self().atomic_rmw_relaxed(c->data(), aba);
    case __ATOMIC_ACQUIRE: return self().atomic_rmw_acquire(c->data(), aba);
    case __ATOMIC_RELEASE: return self().atomic_rmw_release(c->data(), aba);
    case __ATOMIC_ACQ_REL: return self().atomic_rmw_acq_rel(c->data(), aba);
    default: return self().atomic_rmw_seq_cst(c->data(), aba);
    }
}

}

using namespace model;

extern "C" {

unsigned model_cpus = 1;
uint64_t model_tick_ns = 1000000;
bool model_spurious = true;

uint64_t model_load(const volatile void *p, size_t size, int order, const char *file, int line)
{
    step();
    uintptr_t address = (uintptr_t)p;
    cell *c = cell_at(address, size, file, line);
    unsigned index = order == __ATOMIC_RELAXED   ? self().atomic_load_relaxed(c->data())
                     : order == __ATOMIC_ACQUIRE ? self().atomic_load_acquire(c->data())
                                                 : self().atomic_load_seq_cst(c->data());
    if (index == (unsigned)-1) {
        fail_at(file, line, rl::test_result_unitialized_access, "a load before the initialization");
    }
    note("load", address, c->history[index], 0, c->history[index] != c->value ? " (old)" : "", file,
         line);
    return c->history[index];
}

void model_store(volatile void *p, size_t size, uint64_t value, int order, const char *file, int line)
{
    step();
    uintptr_t address = (uintptr_t)p;
    cell *c = cell_at(address, size, file, line);
    unsigned index = order == __ATOMIC_RELAXED   ? self().atomic_store_relaxed(c->data())
                     : order == __ATOMIC_RELEASE ? self().atomic_store_release(c->data())
                                                 : self().atomic_store_seq_cst(c->data());
    set(c, index, address, cut(value, size));
    note("store", address, value, 0, "", file, line);
}

uint64_t model_rmw(int operation, volatile void *p, size_t size, uint64_t operand, int order,
                   const char *file, int line)
{
    static const char *const names[] = { "exchange", "add", "sub", "or", "and" };
    step();
    uintptr_t address = (uintptr_t)p;
    cell *c = cell_at(address, size, file, line);
    uint64_t old = c->value, fresh = operand;
    switch (operation) {
    case 1: fresh = old + operand; break;
    case 2: fresh = old - operand; break;
    case 3: fresh = old | operand; break;
    case 4: fresh = old & operand; break;
    default: break;
    }
    set(c, rmw_index(c, order), address, cut(fresh, size));
    note(names[operation], address, operand, old, " was there", file, line);
    return old;
}

bool model_cas(volatile void *p, size_t size, void *expected, uint64_t value, int success,
               int failure_order, const char *file, int line)
{
    step();
    uintptr_t address = (uintptr_t)p;
    cell *c = cell_at(address, size, file, line);
    uint64_t old = c->value, wanted = peek((uintptr_t)expected, size);
    bool ok = old == wanted;
    if (ok) {
        set(c, rmw_index(c, success), address, cut(value, size));
    } else {
        if (failure_order == __ATOMIC_RELAXED) {
            self().atomic_load_relaxed_rmw(c->data());
        } else if (failure_order == __ATOMIC_ACQUIRE) {
            self().atomic_load_acquire_rmw(c->data());
        } else {
            self().atomic_load_seq_cst_rmw(c->data());
        }
        memcpy(expected, &old, size);
    }
    note("cas", address, wanted, value, ok ? "" : " (failed)", file, line);
    return ok;
}

void model_init(volatile void *p, size_t size, uint64_t value)
{
    resumed();
    uintptr_t address = (uintptr_t)p;
    check_alive(address, "atomic_init", 0);
    value = cut(value, size);
    memcpy((void *)address, &value, size);
    self().own_acq_rel_order_ += 1;
    cell_new(address, size, value, self().index_, self().own_acq_rel_order_);
}

void model_fence(const char *file, int line)
{
    rl::ctx().atomic_thread_fence_seq_cst(); // a step
    resumed();
    note("fence", 0, 0, 0, "", file, line);
}

void model_relax(void)
{
}

unsigned model_choose(unsigned limit)
{
    return rl::ctx().rand(limit, rl::sched_type_user);
}

unsigned model_thread(void)
{
    return is_alone ? MODEL_THREADS - 1 : (unsigned)self().index_;
}

void model_failed(const char *file, int line, const char *what)
{
    fail_at(file, line, rl::test_result_user_assert_failed, what);
    abort(); // not reached
}

size_t model_allocations(void)
{
    return allocations_live;
}

void panic_at(const char *file, int line, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    model_failed(file, line, text);
}

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
    uintptr_t address = (uintptr_t)memory;
    allocation *a = in_heap(address) ? allocation_of(address) : NULL;
    if (a == NULL || a->base != address || a->freed) {
        fail_at("free", 0, rl::test_result_double_free, a != NULL && a->freed ? "twice" : "no such memory");
    }
    a->freed = true;
    allocations_live--;
}

int model_malloc_trim(size_t)
{
    return 0;
}

int model_nanosleep(const void *, void *)
{
    rl::ctx().yield(1, rl::debug_info("nanosleep", "", 0));
    resumed();
    return 0;
}

static unsigned const keys_most = 8;
static unsigned key_count;
static void (*key_ends[keys_most])(void *);
static void *key_values[MODEL_THREADS + 1][keys_most];

int model_pthread_key_create(unsigned *key, void (*end)(void *))
{
    resumed();
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
            int me = is_alone ? alone : self().index_;
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

uint64_t os_now_ns(void)
{
    return now_ns += model_tick_ns;
}

// The kernel looks at the word with a lock held that whoever wakes takes too, before it lets a
// thread sleep; a sleeper that was woken has seen what the waker did before.
bool os_futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    rl::context &c = rl::ctx();
    c.atomic_thread_fence_seq_cst();
    resumed();
    cell *at = cell_at((uintptr_t)word, sizeof *word, "os_futex_wait", 0);
    unsigned index = self().atomic_load_relaxed(at->data());
    if (index == (unsigned)-1) {
        fail_at("os_futex_wait", 0, rl::test_result_unitialized_access, "a load before the initialization");
    }
    note("sleep", (uintptr_t)word, at->history[index], expected, "", "os_futex_wait", 0);
    if (at->history[index] != expected) { return true; }
    if (deadline_ns <= now_ns) { return false; }
    // Without a reason in random search only: a bounded one would take that way for ever.
    rl::unpark_reason why =
        current->park(at->record, deadline_ns != UINT64_MAX, model_spurious && c.is_random_sched());
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

void os_yield(void)
{
    rl::ctx().yield(1, rl::debug_info("os_yield", "", 0));
    resumed();
}

unsigned os_cpu_count(void) { return model_cpus; }
unsigned os_cpu_affinity(void) { return model_cpus; }
unsigned os_cpu_affinity_cached(void) { return model_cpus; }

// A mutex is a cell whose value says whether it is locked.
static cell *mutex_cell(void *mutex)
{
    return cell_at((uintptr_t)mutex, 4, "mutex", 0);
}

void os_mutex_init(void *mutex)
{
    model_init(mutex, 4, 0);
}

void os_mutex_destroy(void *)
{
}

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
    void  *argument;
};
static started starts[MODEL_THREADS];
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
    starts[start_count] = { run, argument };
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

// ---- plain memory ----

static void plain_access(uintptr_t address, size_t size, bool store, void *code)
{
    if (address - (uintptr_t)__start_model_tls < tls_bytes()) { return; }
    resumed();
    rl::thread_info_base &me = self();
    if (in_heap(address)) {
        allocation *a = allocation_of(address);
        if (a == NULL || a->freed) {
            fail_in(code, rl::test_result_access_to_freed_memory,
                    a == NULL ? "memory that is nobody's" : "memory that was freed", address);
        }
        if (me.acq_rel_order_[a->by] < a->at) {
            fail_in(code, rl::test_result_data_race, "an access before the allocation", address);
        }
    }
    if (is_alone) { // all that was before has happened before
        if (store) {
            for (size_t i = 0; i < size; i += 4) {
                model::word *w = find(address + i, false);
                if (w != NULL) { w->atomic = NULL; }
            }
        }
        return;
    }
    model::word *w = find(address, true);
    if (store) {
        w->atomic = NULL; // an initialization by plain means
        model::word *second = size == 8 ? find(address + 4, false) : NULL;
        if (second != NULL) { second->atomic = NULL; }
    }
    if (!w->plain) {
        w->plain = true;
        memset(w->stored, 0, sizeof w->stored);
        memset(w->loaded, 0, sizeof w->loaded);
    }
    rl::thread_id_t threads = rl::ctx().get_thread_count();
    for (rl::thread_id_t i = 0; i < threads; i++) {
        if (me.acq_rel_order_[i] < w->stored[i] || (store && me.acq_rel_order_[i] < w->loaded[i])) {
            fail_in(code, rl::test_result_data_race, store ? "a store that races" : "a load that races",
                    address);
        }
    }
    me.own_acq_rel_order_ += 1;
    (store ? w->stored : w->loaded)[me.index_] = me.own_acq_rel_order_;
}

static void plain_range(uintptr_t address, size_t size, bool store, void *code)
{
    for (; size >= 8; address += 8, size -= 8) { plain_access(address, 8, store, code); }
    if (size > 0) { plain_access(address, size, store, code); }
}

#define PLAIN(bytes)                                                                               \
    void __tsan_read##bytes(void *p)                                                               \
    {                                                                                              \
        plain_range((uintptr_t)p, bytes, false, __builtin_return_address(0));                      \
    }                                                                                              \
    void __tsan_write##bytes(void *p)                                                              \
    {                                                                                              \
        plain_range((uintptr_t)p, bytes, true, __builtin_return_address(0));                       \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(void *p)                                                     \
    {                                                                                              \
        plain_range((uintptr_t)p, bytes, false, __builtin_return_address(0));                      \
    }                                                                                              \
    void __tsan_unaligned_write##bytes(void *p)                                                    \
    {                                                                                              \
        plain_range((uintptr_t)p, bytes, true, __builtin_return_address(0));                       \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *p, size_t size)
{
    plain_range((uintptr_t)p, size, false, __builtin_return_address(0));
}
void __tsan_write_range(void *p, size_t size)
{
    plain_range((uintptr_t)p, size, true, __builtin_return_address(0));
}
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    plain_range((uintptr_t)from, size, false, __builtin_return_address(0));
    plain_range((uintptr_t)to, size, true, __builtin_return_address(0));
    return memcpy(to, from, size);
}
void *__tsan_memmove(void *to, const void *from, size_t size)
{
    plain_range((uintptr_t)from, size, false, __builtin_return_address(0));
    plain_range((uintptr_t)to, size, true, __builtin_return_address(0));
    return memmove(to, from, size);
}
void *__tsan_memset(void *to, int value, size_t size)
{
    plain_range((uintptr_t)to, size, true, __builtin_return_address(0));
    return memset(to, value, size);
}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_init(void) {}
}

namespace model
{

void before()
{
    execution++;
    cell_count = word_count = 0;
    reset_heap();
    reset_statics();
    key_count = start_count = 0;
    memset(key_values, 0, sizeof key_values);
    now_ns = 1;
    model_cpus = 1;
    model_tick_ns = 1000000;
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

}
