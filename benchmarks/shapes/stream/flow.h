// flow.h: a flow graph of oneTBB.
#pragma once

#include "../../support/flow.h"
#include "chunks.h"

namespace stream
{

inline void register_flow(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (std::size_t tokens : {4ul, 16ul}) {
                for (bool light : {false, true}) {
                    if (light && stages == 1) continue;
                    std::string full = name(stages, cpus, chunk) + harness::part("tokens", tokens) +
                                       harness::part("light", light);
                    harness::add(full, [=](benchmark::State &state) {
                        Chunks round(tokens + 2, chunk); // the source is one ahead
                        auto   once = [&] {
                            round.begin();
                            flow::run<Chunk *>(
                                stages, tokens, light, [&](Chunk *&c) { return round.draw(c); },
                                [=](unsigned i, Chunk *c) { return Chunks::stage(i, stages, c); },
                                [&](Chunk *c) { round.give_back(c); });
                            return round.total();
                        };
                        flow::with_cpus(cpus, [&] { run(state, stages, chunk, once); });
                    });
                }
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_flow(cpus); }
