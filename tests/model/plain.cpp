// plain.cpp: what the compiler lets the sources call before they touch plain memory: data races,
// and memory that is nobody's.
#include "engine.hpp"

namespace model
{

// Within the compiler's calls there is only the address of the code.
static void fail_in(void *code, rl::test_result_e result, const char *what, uintptr_t address)
{
    snprintf(failure, sizeof failure, "code at %p: %s at %#lx", code, what, (unsigned long)address);
    rl::ctx().fail_test(failure, result, rl::debug_info("", "", 0));
    abort(); // not reached
}

} // namespace model

using namespace model;

extern "C" {

static void plain_access(uintptr_t address, size_t size, bool store, void *code)
{
    if (thread_local_at(address)) { return; }
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
            fail_in(code, rl::test_result_data_race,
                    store ? "a store that races" : "a load that races", address);
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
