// mutex.h: threads and rings behind a mutex: a farm of as many workers as CPUs, or a thread for
// each stage.
#pragma once

#include "../../support/farm.h"
#include "chunks.h"

namespace stream
{

inline void register_mutex(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (bool staged : {false, true}) {
                std::string full = name(stages, cpus, chunk) +
                                   harness::part("threads", staged ? "stages" : "farm");
                harness::add(full, [=](benchmark::State &state) {
                    Chunks round((stages + 2) * 2 * farm::room, chunk);
                    run(state, stages, chunk, [&] {
                        auto draw = [&](Chunk *&c) { return round.draw(c); };
                        auto stage = [=](unsigned i, Chunk *c) {
                            return Chunks::stage(i, stages, c);
                        };
                        auto sink = [&](Chunk *c) { round.give_back(c); };
                        round.begin();
                        if (staged)
                            farm::run_staged<Chunk *>(stages, draw, stage, sink);
                        else
                            farm::run<Chunk *>(cpus, stages, draw, stage, sink);
                        return round.total();
                    });
                });
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_mutex(cpus); }
