// harness.cpp: main() of all benchmark programs.
#include "harness.h"

#include <sched.h>

#include <charconv>
#include <cstdio>
#include <cstring>

namespace
{

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

int main(int argc, char **argv)
{
    unsigned cpus = 1;
    int      kept = 1;
    for (int i = 1; i < argc; i++) {
        if (std::strncmp(argv[i], "--cpus=", 7) == 0) {
            const char *text = argv[i] + 7;
            const char *end = text + std::strlen(text);
            auto        parsed = std::from_chars(text, end, cpus);
            if (parsed.ec != std::errc() || parsed.ptr != end || cpus == 0) {
                std::fprintf(stderr, "%s: --cpus takes a number from 1\n", argv[0]);
                return 2;
            }
        } else {
            argv[kept++] = argv[i];
        }
    }
    argc = kept;
    argv[kept] = nullptr;
    if (!pin(cpus)) {
        std::fprintf(stderr, "%s: fewer than %u CPUs to run on\n", argv[0], cpus);
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
