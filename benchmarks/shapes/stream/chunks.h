// chunks.h: chunks as jobs of a pipeline, each with a buffer, for the implementations that hand
// pointers to them on. Stage 0 fills the chunk and runs the first of the workload's stages; the
// last one makes the partial sum too.
#pragma once

#include "stream.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

namespace stream
{

struct Chunk {
    std::uint64_t *items;
    std::uint64_t  first;
    std::size_t    count;
    std::uint64_t  sum;
};

// Chunks that go round: drawn by one thread at a time, given back by one thread at a time.
class Chunks
{
  public:
    // As many as may be on their way at once, at least.
    Chunks(std::size_t most, std::size_t chunk) : chunk_(chunk), chunks_(most), free_(most)
    {
        for (std::size_t i = 0; i < most; i++) {
            buffers_.emplace_back(chunk);
            chunks_[i].items = buffers_[i].items();
            free_[i] = &chunks_[i];
        }
        back_ = most;
    }

    void begin()
    {
        next_ = 0;
        total_ = 0;
    }
    std::uint64_t total() const { return total_; }

    bool draw(Chunk *&chunk)
    {
        if (next_ == config::items()) return false;
        std::size_t taken = taken_;
        if (back_.load(std::memory_order_acquire) == taken) std::abort(); // more than most
        chunk = free_[taken % free_.size()];
        taken_ = taken + 1;
        chunk->first = next_;
        chunk->count = std::min<std::uint64_t>(chunk_, config::items() - next_);
        next_ += chunk->count;
        return true;
    }

    static Chunk *stage(unsigned index, unsigned stages, Chunk *chunk)
    {
        if (index == 0) kernel_fill(chunk->items, chunk->first, chunk->count);
        config::stage(chunk->items, chunk->items, chunk->count);
        if (index + 1 == stages) chunk->sum = kernel_sum(chunk->items, chunk->count);
        return chunk;
    }

    void give_back(Chunk *chunk)
    {
        total_ += chunk->sum;
        std::size_t back = back_.load(std::memory_order_relaxed);
        free_[back % free_.size()] = chunk;
        back_.store(back + 1, std::memory_order_release);
    }

  private:
    std::size_t                  chunk_;
    std::vector<harness::Buffer> buffers_;
    std::vector<Chunk>           chunks_;
    std::vector<Chunk *>         free_;
    std::size_t                  taken_ = 0;
    std::atomic<std::size_t>     back_{0};
    std::uint64_t                next_ = 0;
    std::uint64_t                total_ = 0;
};

} // namespace stream
