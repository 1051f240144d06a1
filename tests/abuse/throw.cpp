// throw.cpp: a task's functions that throw, for life_ends.c.
#include <async/async.h>

#include <stdexcept>

extern "C" {
async_each_fn throwing_each;
async_next_fn throwing_next;
async_each_fn catching_each;
void          calling(void (*body)(void *), void *argument);
}

// A caller that would catch anything, so that an exception is on its way to somebody.
void calling(void (*body)(void *), void *argument)
{
    try {
        body(argument);
    } catch (const std::exception &) {
    } catch (int) {
    }
}

int throwing_each(const void *, void *, void *) { throw std::runtime_error("out of a task"); }

int throwing_next(void *, size_t, size_t *, void *) { throw 7; }

// What is caught inside the function is its own affair.
int catching_each(const void *in, void *out, void *)
{
    try {
        throw 7;
    } catch (int) {
        *static_cast<uint64_t *>(out) = *static_cast<const uint64_t *>(in);
    }
    return 0;
}
