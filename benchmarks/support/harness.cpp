// harness.cpp: main() of all benchmark programs.
#include "harness.h"

#include <sched.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace
{

std::uint64_t items_wanted; // 0: as many as is usual

// The number behind "--name=", where `argument` is that option.
template <class Number>
bool option(const char *argument, const char *name, Number &number)
{
    std::size_t length = std::strlen(name);
    if (std::strncmp(argument, name, length) != 0) return false;
    const char *text = argument + length;
    const char *end = text + std::strlen(text);
    auto        parsed = std::from_chars(text, end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || number == 0) {
        std::fprintf(stderr, "%s takes a number from 1\n", name);
        std::exit(2);
    }
    return true;
}

// Pins the calling thread, and all it starts from now on, to the first `cpus` of the CPUs it may
// use.
bool pin(unsigned cpus)
{
    cpu_set_t allowed;
    cpu_set_t chosen;
    CPU_ZERO(&chosen);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    unsigned found = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < cpus; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &chosen);
            found++;
        }
    }
    return found == cpus && sched_setaffinity(0, sizeof chosen, &chosen) == 0;
}

} // namespace

std::uint64_t harness::items(std::uint64_t usual)
{
    return items_wanted != 0 ? items_wanted : usual;
}

int main(int argc, char **argv)
{
    unsigned cpus = 1;
    unsigned pinned = 0;
    int      kept = 1;
    for (int i = 1; i < argc; i++) {
        if (!option(argv[i], "--cpus=", cpus) && !option(argv[i], "--pinned-to=", pinned) &&
            !option(argv[i], "--items=", items_wanted))
            argv[kept++] = argv[i];
    }
    argc = kept;
    argv[kept] = nullptr;
    if (pinned == 0) pinned = cpus;
    if (!pin(pinned)) {
        std::fprintf(stderr, "%s: fewer than %u CPUs to run on\n", argv[0], pinned);
        return 2;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::AddCustomContext("cpus", std::to_string(cpus));
    harness::register_benchmarks(cpus);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
