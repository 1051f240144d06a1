// main.cpp: explores the shapes whose names begin with one of the arguments (all: every one).
//
//     model_check [-n EXECUTIONS] [-s random|bounded] [-b SWITCHES] [-l] [-r STATE] [NAME...]
//
// Each shape is searched EXECUTIONS times (100000): up to half of them in order: all executions
// with no switch of a thread that could have gone on, then those with one, and so on up to SWITCHES
// (3), with as many loads of old values; the rest at random. A failure prints why, and the
// arguments that replay it with its history. -l lists the shapes, -x ends with the first failure.
// Exit status: 0, 1 a failure, 2 usage.
#include "engine.hpp"

#include <csignal>
#include <unistd.h>

namespace model
{

template <rl::thread_id_t from_start, rl::thread_id_t started>
struct suite : rl::test_suite<suite<from_start, started>, from_start> {
    static rl::thread_id_t const dynamic_thread_count = started;

    void before() { model::before(); }
    void thread(unsigned number) { model::thread(number); }
    void after() { model::after(); }
};

// Relacy's bounded search has no end but its own, and takes every old value at every load; here
// both are limited, so that the switches get their share.
template <rl::thread_id_t threads>
struct bounded : rl::context_bound_scheduler<threads> {
    typedef rl::context_bound_scheduler<threads> base_t;
    typedef typename base_t::shared_context_t    shared_context_t;

    unsigned old_values;

    bounded(rl::test_params &params, shared_context_t &shared, rl::thread_id_t started)
        : base_t(params, shared, started)
    {
    }

    rl::thread_id_t iteration_begin(rl::iteration_t iteration)
    {
        old_values = this->params_.context_bound;
        return base_t::iteration_begin(iteration);
    }

    bool iteration_end()
    {
        return base_t::iteration_end() || this->iter_ >= this->params_.iteration_count;
    }

    unsigned rand(unsigned limit, rl::sched_type type)
    {
        if (type != rl::sched_type_atomic_load) { return base_t::rand(limit, type); }
        if (old_values == 0) { return 0; }
        unsigned value = base_t::rand(limit, type);
        old_values -= value;
        return value;
    }
};

struct nothing : std::streambuf {
    int overflow(int c) override { return c; }
};

template <rl::thread_id_t from_start, rl::thread_id_t started>
static outcome explore_with(const options &o)
{
    typedef suite<from_start, started> suite_t;
    backend_of<from_start + started>   backend;
    current = &backend;
    nothing         no_buffer;
    std::ostream    no_stream(&no_buffer);
    rl::test_params params;
    params.progress_stream = &no_stream;
    params.output_stream = o.replay.empty() ? &no_stream : &std::cout;
    params.collect_history = !o.replay.empty();
    params.iteration_count = o.replay.empty()
                                 ? o.executions
                                 : strtoull(o.replay.c_str(), NULL, 10); // that one alone
    params.context_bound = o.bound;
    params.execution_depth_limit = 20000;
    params.initial_state = rl::string(o.replay.begin(), o.replay.end());
    params.search_type = o.bounded ? rl::sched_bound : rl::sched_random;
    rl::ostringstream state;
    rl::test_result_e result;
    outcome           out = {};
    if (o.bounded) {
        result = rl::run_test<suite_t, bounded<from_start + started>>(params, state, false);
    } else {
        result = rl::run_test<suite_t, rl::random_scheduler<from_start + started>>(params, state,
                                                                                   false);
    }
    out.executions = params.stop_iteration;
    out.ok = result == rl::test_result_success;
    out.complete = o.bounded && out.executions < o.executions;
    out.state = std::string(state.str().c_str());
    if (!out.ok) {
        out.why = rl::test_result_str(result);
        if (failure[0] != '\0') { out.why += std::string(": ") + failure; }
    }
    return out;
}

outcome explore(const model_shape &s, const options &o)
{
    shape = &s;
    execution_number = o.replay.empty() ? 0 : strtoull(o.replay.c_str(), NULL, 10) - 1;
    switch (s.threads * 10 + s.started) {
    case 10:
        return explore_with<1, 0>(o);
    case 11:
        return explore_with<1, 1>(o);
    case 12:
        return explore_with<1, 2>(o);
    case 13:
        return explore_with<1, 3>(o);
    case 20:
        return explore_with<2, 0>(o);
    case 21:
        return explore_with<2, 1>(o);
    case 22:
        return explore_with<2, 2>(o);
    case 30:
        return explore_with<3, 0>(o);
    case 31:
        return explore_with<3, 1>(o);
    case 40:
        return explore_with<4, 0>(o);
    default:
        fprintf(stderr, "%s: no such number of threads\n", s.name);
        exit(2);
    }
}

static const model_shape *const groups[] = {
    deque_shapes, event_shapes, queue_shapes, channel_shapes, waitlist_shapes, reclaim_shapes,
    block_shapes, order_shapes, task_shapes,  worker_shapes,  pool_shapes,     trace_shapes,
};

static double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

static void explain(const model_shape &s, const options &o, const outcome &out)
{
    printf("%s FAILED in execution %llu\n  %s\n", s.name, (unsigned long long)out.executions,
           out.why.c_str());
    size_t code = out.why.find("code at 0x");
    if (code != std::string::npos) { // where that is, if there is a tool that knows
        char command[256];
        snprintf(command, sizeof command,
                 "addr2line -f -i -s -e /proc/%d/exe %#lx 2>/dev/null | paste -sd ' '",
                 (int)getpid(), strtoul(out.why.c_str() + code + 8, NULL, 16) - 1);
        fflush(stdout);
        if (system(command) != 0) {}
    }
    std::string state = out.state;
    if (o.bounded) {
        std::string file = s.name;
        for (char &c : file) { c = c == '/' ? '-' : c; }
        file = "model-" + file + ".state";
        std::ofstream(file.c_str()) << out.state << "\n";
        state = file;
    } else {
        state = std::to_string(out.executions);
    }
    printf("  again, with its history: model_check -s %s -b %u -r %s %s\n",
           o.bounded ? "bounded" : "random", o.bound, state.c_str(), s.name);
    fflush(stdout);
}

static const char *searching = "";

// A crash is a failure too: of a pointer that was read before it was there, mostly.
static void crashed(int signal)
{
    char text[256];
    int  length = snprintf(
         text, sizeof text,
         "%s FAILED in execution %llu of a search %s: %s\n  again: -r %llu, or the same "
          "search, in a debugger\n",
         shape->name, (unsigned long long)execution_number, searching, strsignal(signal),
         (unsigned long long)execution_number);
    if (write(STDOUT_FILENO, text, (size_t)length) < 0) {}
    _exit(1);
}

static void tell_of_crashes()
{
    static char stack[65536];
    stack_t     other = {};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, NULL);
    struct sigaction action = {};
    action.sa_handler = crashed;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

// True: nothing was found, and *made is how many executions there were.
static bool search(const model_shape &s, uint64_t executions, bool in_order, unsigned switches,
                   uint64_t *made)
{
    double   start = now();
    uint64_t sum = 0;
    searching = in_order ? "in order" : "at random";
    std::string up_to;
    for (unsigned bound = in_order ? 0 : switches; bound <= switches && sum < executions; bound++) {
        options o = {executions - sum, in_order, bound, ""};
        outcome out = explore(s, o);
        sum += out.executions;
        *made = sum;
        if (!out.ok) {
            explain(s, o, out);
            return false;
        }
        if (out.complete) { up_to = ", all with up to " + std::to_string(bound) + " switches"; }
    }
    printf("  %-32s %-8s %9llu executions %6.1f s%s\n", s.name, in_order ? "in order" : "random",
           (unsigned long long)sum, now() - start, up_to.c_str());
    fflush(stdout);
    return true;
}

static bool search_both(const model_shape &s, uint64_t executions, bool random, bool in_order,
                        unsigned switches)
{
    uint64_t ordered = 0, free = 0;
    if (in_order && !search(s, random ? executions / 2 : executions, true, switches, &ordered)) {
        return false;
    }
    return !random || search(s, executions - ordered, false, switches, &free);
}

static bool replay(const model_shape &s, bool in_order, unsigned switches, const std::string &from)
{
    std::string state = from;
    if (in_order) {
        std::ifstream file(from.c_str());
        if (!std::getline(file, state)) {
            fprintf(stderr, "%s: cannot be read\n", from.c_str());
            exit(2);
        }
    }
    options o = {0, in_order, switches, state};
    outcome out = explore(s, o);
    printf("%s: %s\n", s.name, out.why.c_str());
    return out.ok;
}

} // namespace model

int main(int argc, char **argv)
{
    using namespace model;
    uint64_t    executions = 100000;
    unsigned    switches = 3;
    bool        random = true, in_order = true, list = false, stop = false;
    std::string from;
    for (int c; (c = getopt(argc, argv, "n:s:b:r:lx")) != -1;) {
        switch (c) {
        case 'n':
            executions = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            switches = (unsigned)atoi(optarg);
            break;
        case 's':
            random = strcmp(optarg, "random") == 0;
            in_order = !random;
            break;
        case 'r':
            from = optarg;
            break;
        case 'l':
            list = true;
            break;
        case 'x':
            stop = true;
            break;
        default:
            fprintf(
                stderr,
                "usage: model_check [-n executions] [-s random|bounded] [-b switches] [-l] [-x] "
                "[-r state] [name...]\n");
            return 2;
        }
    }
    keep_statics();
    tell_of_crashes();
    unsigned tried = 0, failed = 0;
    for (const model_shape *group : groups) {
        for (const model_shape *s = group; s->name != NULL; s++) {
            bool wanted = optind == argc;
            for (int i = optind; i < argc; i++) {
                wanted = wanted || strncmp(s->name, argv[i], strlen(argv[i])) == 0;
            }
            if (!wanted || (stop && failed != 0)) { continue; }
            tried++;
            if (list) {
                printf("%s\n", s->name);
            } else if (!from.empty()) {
                failed += !replay(*s, in_order, switches, from);
            } else {
                failed += !search_both(*s, executions, random, in_order, switches);
            }
        }
    }
    if (tried == 0) {
        fprintf(stderr, "no such shape\n");
        return 2;
    }
    if (!list) { printf("%u shapes, %u failed\n", tried, failed); }
    return failed != 0;
}
