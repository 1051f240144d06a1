// tbb.h: oneTBB's parallel_pipeline, as its documentation has it: a serial in-order source,
// parallel filters, a serial in-order sink, and a ring of as many buffers as tokens may be in
// flight.
//
// fill:serial writes the items in the source; fill:parallel only counts there and writes them in
// the first parallel filter. The better one is the peer's figure.
#pragma once

#include "stream.h"

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <vector>

namespace stream
{

struct Chunk {
    std::uint64_t *items;
    std::uint64_t  first;
    std::size_t    count;
};

struct Ring {
    std::vector<harness::Buffer> buffers;
    std::vector<Chunk>           chunks;

    Ring(std::size_t tokens, std::size_t chunk) : chunks(tokens)
    {
        for (std::size_t i = 0; i < tokens; i++) {
            buffers.emplace_back(chunk);
            chunks[i].items = buffers[i].items();
        }
    }
};

inline std::uint64_t tbb_pipeline(unsigned stages, std::size_t chunk, bool parallel_fill,
                                  Ring &ring)
{
    std::uint64_t next = 0;
    std::size_t   token = 0;
    std::uint64_t total = 0;
    using mode = tbb::filter_mode;

    auto filters = tbb::make_filter<void, Chunk *>(
        mode::serial_in_order, [&, chunk, parallel_fill](tbb::flow_control &control) -> Chunk * {
            if (next == config::items()) {
                control.stop();
                return nullptr;
            }
            Chunk *c = &ring.chunks[token];
            token = token + 1 == ring.chunks.size() ? 0 : token + 1;
            c->first = next;
            c->count = std::min<std::uint64_t>(chunk, config::items() - next);
            next += c->count;
            if (!parallel_fill) kernel_fill(c->items, c->first, c->count);
            return c;
        });
    for (unsigned i = 0; i < stages; i++) {
        bool fill = parallel_fill && i == 0;
        filters = filters & tbb::make_filter<Chunk *, Chunk *>(mode::parallel, [fill](Chunk *c) {
                      if (fill) kernel_fill(c->items, c->first, c->count);
                      config::stage(c->items, c->items, c->count);
                      return c;
                  });
    }
    auto sum = tbb::make_filter<Chunk *, std::uint64_t>(
        mode::parallel, [](Chunk *c) { return kernel_sum(c->items, c->count); });
    auto add = tbb::make_filter<std::uint64_t, void>(
        mode::serial_in_order, [&](std::uint64_t partial) { total += partial; });
    tbb::parallel_pipeline(ring.chunks.size(), filters & sum & add);
    return total;
}

inline void register_tbb(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (std::size_t tokens : {4ul, 16ul}) {
                for (bool parallel_fill : {false, true}) {
                    std::string full = name(stages, cpus, chunk) + harness::part("tokens", tokens) +
                                       harness::part("fill", parallel_fill ? "parallel" : "serial");
                    harness::add(full, [=](benchmark::State &state) {
                        tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                                  cpus);
                        tbb::task_arena     arena(static_cast<int>(cpus));
                        Ring                ring(tokens, chunk);
                        arena.execute([&] {
                            run(state, stages, chunk,
                                [&] { return tbb_pipeline(stages, chunk, parallel_fill, ring); });
                        });
                    });
                }
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_tbb(cpus); }
