// memory.cpp: what the sources call instead of C11's atomics; statics, and the heap.
#include "engine.hpp"

#include <cstdarg>

namespace model
{

backend           *current;
const model_shape *shape;
uint64_t           execution_number;
char               failure[512];

// ---- an execution's threads and their variables ----

// In these the linker puts the sources' statics, and their thread-local variables.
extern "C" char __start_model_data[], __stop_model_data[];
extern "C" char __start_model_bss[], __stop_model_bss[];
extern "C" char __start_model_tls[], __stop_model_tls[];

static char        *data_kept;
static size_t const tls_most = 4096;
static char         tls[MODEL_THREADS + 1][tls_most];
static char         tls_first[tls_most];
int                 tls_owner;
bool                is_alone;

static size_t data_bytes() { return (size_t)(__stop_model_data - __start_model_data); }
static size_t bss_bytes() { return (size_t)(__stop_model_bss - __start_model_bss); }
bool          thread_local_at(uintptr_t address)
{
    return address - (uintptr_t)__start_model_tls < (size_t)(__stop_model_tls - __start_model_tls);
}

static size_t tls_bytes() { return (size_t)(__stop_model_tls - __start_model_tls); }

rl::thread_info_base &self() { return *rl::ctx().threadx_; }

// The running thread may be another one than at the last call of anything here.
void resumed()
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

void reset_statics()
{
    memcpy(__start_model_data, data_kept, data_bytes());
    memset(__start_model_bss, 0, bss_bytes());
    for (char *each : tls) { memcpy(each, tls_first, tls_bytes()); }
    memcpy(__start_model_tls, tls_first, tls_bytes());
    tls_owner = alone;
}

// ---- failure ----

void fail_at(const char *file, int line, rl::test_result_e result, const char *what)
{
    const char *slash = strrchr(file, '/');
    snprintf(failure, sizeof failure, "%s:%d: %s", slash != NULL ? slash + 1 : file, line, what);
    rl::ctx().fail_test(failure, result, rl::debug_info("", file, (unsigned)line));
    abort(); // not reached
}

// ---- the heap: never used twice in one execution, so that what was freed is known ----

static size_t const heap_bytes = (size_t)4 << 20, grain = 16;

alignas(4096) static char heap[heap_bytes];
static size_t     heap_used, allocation_count, allocations_live;
static allocation allocations[16384];
static uint16_t   allocation_at[heap_bytes / grain]; // index + 1

bool in_heap(uintptr_t address) { return address - (uintptr_t)heap < heap_bytes; }

allocation *allocation_of(uintptr_t address)
{
    unsigned index = allocation_at[(address - (uintptr_t)heap) / grain];
    return index == 0 ? NULL : &allocations[index - 1];
}

void *allocate(size_t size, size_t alignment, bool zeroed)
{
    size_t start = (heap_used + alignment - 1) & ~(alignment - 1);
    size_t taken = (size + grain) & ~(grain - 1); // at least a byte that is nobody's
    if (start + taken > heap_bytes ||
        allocation_count == sizeof allocations / sizeof *allocations) {
        fail_at("memory.cpp", __LINE__, rl::test_result_memory_leak,
                "the heap of an execution is used up");
    }
    heap_used = start + taken;
    self().own_acq_rel_order_ += 1;
    allocations[allocation_count++] = {(uintptr_t)heap + start, size, false, self().index_,
                                       self().own_acq_rel_order_};
    for (size_t i = 0; i < (size + grain - 1) / grain; i++) {
        allocation_at[start / grain + i] = (uint16_t)allocation_count;
    }
    allocations_live++;
    memset(heap + start, zeroed ? 0 : 0xa5, size);
    return heap + start;
}

void give_back(void *memory)
{
    uintptr_t   address = (uintptr_t)memory;
    allocation *a = in_heap(address) ? allocation_of(address) : NULL;
    if (a == NULL || a->base != address || a->freed) {
        fail_at("free", 0, rl::test_result_double_free,
                a != NULL && a->freed ? "twice" : "no such memory");
    }
    a->freed = true;
    allocations_live--;
}

void reset_heap()
{
    memset(allocation_at, 0, (heap_used + grain - 1) / grain * sizeof *allocation_at);
    heap_used = allocation_count = allocations_live = 0;
}

// ---- words ----

static size_t const words_most = 1 << 17, cells_most = 1 << 14;
static word         words[words_most];
static cell         cells[cells_most];
static size_t       cell_count, word_count;
static unsigned     execution;

word *find(uintptr_t address, bool make)
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

void reset_words()
{
    execution++;
    execution_number++;
    cell_count = word_count = 0;
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
cell *cell_at(uintptr_t address, size_t size, const char *file, int line)
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
    const word     *written = w->plain ? w : find(address & ~(uintptr_t)7, false);
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

void note(const char *what, uintptr_t address, uint64_t value, uint64_t second, const char *result,
          const char *file, int line)
{
    rl::context &c = rl::ctx();
    if (!c.collecting_history()) { return; }
    const char *slash = strrchr(file, '/');
    event       e = {what, address, value, second, result};
    c.exec_log(rl::debug_info("", slash != NULL ? slash + 1 : file, (unsigned)line), e);
}

void step()
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
    case __ATOMIC_RELAXED:
        return self().atomic_rmw_relaxed(c->data(), aba);
    case __ATOMIC_ACQUIRE:
        return self().atomic_rmw_acquire(c->data(), aba);
    case __ATOMIC_RELEASE:
        return self().atomic_rmw_release(c->data(), aba);
    case __ATOMIC_ACQ_REL:
        return self().atomic_rmw_acq_rel(c->data(), aba);
    default:
        return self().atomic_rmw_seq_cst(c->data(), aba);
    }
}

} // namespace model

using namespace model;

extern "C" {

uint64_t model_load(const volatile void *p, size_t size, int order, const char *file, int line)
{
    step();
    uintptr_t address = (uintptr_t)p;
    cell     *c = cell_at(address, size, file, line);
    unsigned  index = order == __ATOMIC_RELAXED   ? self().atomic_load_relaxed(c->data())
                      : order == __ATOMIC_ACQUIRE ? self().atomic_load_acquire(c->data())
                                                  : self().atomic_load_seq_cst(c->data());
    if (index == (unsigned)-1) {
        fail_at(file, line, rl::test_result_unitialized_access, "a load before the initialization");
    }
    note("load", address, c->history[index], 0, c->history[index] != c->value ? " (old)" : "", file,
         line);
    return c->history[index];
}

void model_store(volatile void *p, size_t size, uint64_t value, int order, const char *file,
                 int line)
{
    step();
    uintptr_t address = (uintptr_t)p;
    cell     *c = cell_at(address, size, file, line);
    unsigned  index = order == __ATOMIC_RELAXED   ? self().atomic_store_relaxed(c->data())
                      : order == __ATOMIC_RELEASE ? self().atomic_store_release(c->data())
                                                  : self().atomic_store_seq_cst(c->data());
    set(c, index, address, cut(value, size));
    note("store", address, value, 0, "", file, line);
}

uint64_t model_rmw(int operation, volatile void *p, size_t size, uint64_t operand, int order,
                   const char *file, int line)
{
    static const char *const names[] = {"exchange", "add", "sub", "or", "and"};
    step();
    uintptr_t address = (uintptr_t)p;
    cell     *c = cell_at(address, size, file, line);
    uint64_t  old = c->value, fresh = operand;
    switch (operation) {
    case 1:
        fresh = old + operand;
        break;
    case 2:
        fresh = old - operand;
        break;
    case 3:
        fresh = old | operand;
        break;
    case 4:
        fresh = old & operand;
        break;
    default:
        break;
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
    cell     *c = cell_at(address, size, file, line);
    uint64_t  old = c->value, wanted = peek((uintptr_t)expected, size);
    bool      ok = old == wanted;
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

void model_relax(void) {}

unsigned model_choose(unsigned limit) { return rl::ctx().rand(limit, rl::sched_type_user); }

unsigned model_thread(void) { return is_alone ? MODEL_THREADS - 1 : (unsigned)self().index_; }

void model_failed(const char *file, int line, const char *what)
{
    fail_at(file, line, rl::test_result_user_assert_failed, what);
    abort(); // not reached
}

size_t model_allocations(void) { return allocations_live; }

void panic_at(const char *file, int line, const char *format, ...)
{
    char    text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    model_failed(file, line, text);
}
}
