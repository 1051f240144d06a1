// engine.hpp: the memory that the shapes see, on top of Relacy's clocks and scheduler.
//
// An atomic is known by its address: at the first operation on it in an execution it gets a cell,
// which holds Relacy's record of who stored what and who may still see it. So the sources' types
// and sizes stay as they are, and memory may come from anywhere. Its first value is what the memory
// holds, stored by whoever allocated or last wrote that memory: a thread that this did not happen
// before may not look at it.
//
// Plain memory: the sources are compiled with -fsanitize=thread, and the calls that the compiler
// puts before each access end here: vector clocks, as of an rl::var.
#pragma once

#include "model.h"

// Before Relacy, which defines malloc and errno, among others.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace model
{

// Of what depends on the number of threads, which is a template argument in Relacy.
struct backend {
    virtual void              make(void *record, rl::thread_id_t by, rl::timestamp_t at) = 0;
    virtual rl::unpark_reason park(void *record, bool timed, bool spurious) = 0;
    virtual void              wake(void *record, unsigned count) = 0;
    virtual void              acquire(void *record) = 0;
    virtual void              release(void *record) = 0;
};

size_t const record_bytes = sizeof(rl::atomic_data_impl<MODEL_THREADS>);

template <rl::thread_id_t threads>
struct backend_of : backend {
    typedef rl::atomic_data_impl<threads> record_t;

    static record_t &get(void *record) { return *static_cast<record_t *>(record); }

    void make(void *memory, rl::thread_id_t by, rl::timestamp_t at) override
    {
        record_t &record = *::new (memory) record_t();
        record.current_index_ = 1; // a load that goes back past this one is of uninitialized memory
        record.history_[2].busy_ = false;
        typename record_t::history_record &first = record.history_[1];
        first.busy_ = true;
        first.seq_cst_ = false;
        first.thread_id_ = by;
        first.acq_rel_timestamp_ = at;
        for (rl::thread_id_t i = 0; i < threads; i++) {
            first.acq_rel_order_[i] = 0;
            first.first_seen_order_[i] = (rl::timestamp_t)-1;
        }
        if (at != 0) { first.first_seen_order_[by] = at; } // 0: known to all
    }

    rl::unpark_reason park(void *record, bool timed, bool spurious) override
    {
        rl::debug_info info("sleep", "", 0);
        return get(record).futex_ws_.park_current(rl::ctx(), timed, spurious, false, info);
    }

    void wake(void *record, unsigned count) override
    {
        rl::debug_info info("wake", "", 0);
        while (count-- > 0 && get(record).futex_ws_.unpark_one(rl::ctx(), info)) {}
    }

    void acquire(void *record) override { get(record).futex_sync_.acquire(rl::ctx().threadx_); }
    void release(void *record) override { get(record).futex_sync_.release(rl::ctx().threadx_); }
};

extern backend           *current; // of the shape that runs
extern const model_shape *shape;
extern uint64_t           execution_number; // from 1, within a search

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

struct allocation {
    uintptr_t       base;
    size_t          size;
    bool            freed;
    rl::thread_id_t by;
    rl::timestamp_t at;
};

// memory.cpp
extern int  tls_owner; // whose thread-local variables are in place
extern bool is_alone;  // before and after the threads
int const   alone = MODEL_THREADS;

rl::thread_info_base &self();
// The running thread may be another one than at the last call: its variables come in.
void              resumed();
void              step(); // another thread may go on
[[noreturn]] void fail_at(const char *file, int line, rl::test_result_e result, const char *what);
bool              thread_local_at(uintptr_t address);
bool              in_heap(uintptr_t address);
allocation       *allocation_of(uintptr_t address); // NULL: nobody's
void             *allocate(size_t size, size_t alignment, bool zeroed);
void              give_back(void *memory);
word             *find(uintptr_t address, bool make);
// The atomic at the address; its first value is from whoever wrote the memory last.
cell *cell_at(uintptr_t address, size_t size, const char *file, int line);
// For the history of a replay.
void note(const char *what, uintptr_t address, uint64_t value, uint64_t second, const char *result,
          const char *file, int line);
void reset_statics();
void reset_heap();
void reset_words();

// system.cpp
void before(); // of an execution
void after();
void thread(unsigned number);

void keep_statics(); // once: what they are before the first execution

// Why the last execution failed. (Strings would take Relacy's memory, which ends with its context.)
extern char failure[512];

struct options {
    uint64_t    executions;
    bool        bounded;
    unsigned    bound;
    std::string replay; // Relacy's state; empty: from the start
};

struct outcome {
    bool            ok;
    bool            complete; // bounded: there are no more
    rl::iteration_t executions;
    std::string     why, state;
};

// One search of one shape.
outcome explore(const model_shape &shape, const options &options);

} // namespace model
