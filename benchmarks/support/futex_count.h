// futex_count.h: counts the futex calls of the runtime, in programs that are linked with
// --wrap=syscall. One source file of a program includes it.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>

inline std::atomic<std::uint64_t> futex_calls{0};
inline std::atomic<std::uint64_t> futex_wakes{0};

extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...);

// All that a system call may take is passed on: the ABI has six registers for them.
extern "C" long __wrap_syscall(long number, ...)
{
    long    arguments[6];
    va_list list;
    va_start(list, number);
    for (long &argument : arguments) argument = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex) {
        futex_calls.fetch_add(1, std::memory_order_relaxed);
        if ((arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAKE)
            futex_wakes.fetch_add(1, std::memory_order_relaxed);
    }
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}
