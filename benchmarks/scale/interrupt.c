/* interrupt.c: see interrupt.h. */
#include "interrupt.h"

#include "clock.h"

#include <string.h>
#include <unistd.h>

/* A second signal within this time is the same one: some programs send it to a process and to its
 * group. */
static const double same_seconds = 0.3;

static void *wait_for_signals(void *argument)
{
    struct interrupt *interrupt = argument;
    double            first = 0;
    for (;;) {
        int signal;
        if (sigwait(&interrupt->signals, &signal) != 0) continue;
        pthread_mutex_lock(&interrupt->lock);
        bool over = interrupt->over, again = interrupt->asked != 0;
        if (!over) {
            interrupt->asked = signal;
            if (interrupt->reader != NULL) (void)async_reader_cancel(interrupt->reader);
        }
        pthread_mutex_unlock(&interrupt->lock);
        if (over) return NULL;
        if (again && clock_seconds() - first < same_seconds) continue;
        if (again) _exit(128 + signal);
        first = clock_seconds();
        static const char text[] = "\nasync-scale: interrupted; once more ends it at once\n";
        ssize_t           written = write(STDERR_FILENO, text, sizeof text - 1);
        (void)written;
    }
}

bool interrupt_start(struct interrupt *interrupt)
{
    memset(interrupt, 0, sizeof *interrupt);
    if (pthread_mutex_init(&interrupt->lock, NULL) != 0) return false;
    sigemptyset(&interrupt->signals);
    sigaddset(&interrupt->signals, SIGINT);
    sigaddset(&interrupt->signals, SIGTERM);
    sigaddset(&interrupt->signals, SIGHUP);
    /* All threads that are started from here on block them, too. */
    pthread_sigmask(SIG_BLOCK, &interrupt->signals, NULL);
    return pthread_create(&interrupt->thread, NULL, wait_for_signals, interrupt) == 0;
}

void interrupt_stop(struct interrupt *interrupt)
{
    pthread_mutex_lock(&interrupt->lock);
    interrupt->over = true;
    pthread_mutex_unlock(&interrupt->lock);
    pthread_kill(interrupt->thread, SIGTERM);
    pthread_join(interrupt->thread, NULL);
    pthread_mutex_destroy(&interrupt->lock);
}

bool interrupt_watch(struct interrupt *interrupt, async_reader *reader)
{
    pthread_mutex_lock(&interrupt->lock);
    interrupt->reader = reader;
    bool go_on = interrupt->asked == 0;
    pthread_mutex_unlock(&interrupt->lock);
    return go_on;
}

int interrupt_asked(struct interrupt *interrupt)
{
    pthread_mutex_lock(&interrupt->lock);
    int asked = interrupt->asked;
    pthread_mutex_unlock(&interrupt->lock);
    return asked;
}
