// graph.cpp: what it costs to add a task, read from it once and remove it, in a graph of few tasks
// and in one of many. The tasks are chains of ten; the new one reads from the first of them.
// Usage: graph FEW MANY ROUNDS; prints a line of JSON with the nanoseconds, by round.
#include "../support/pipeline.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

namespace
{

constexpr unsigned      chain = 10;
constexpr std::uint64_t endless = UINT64_MAX / 2;

int increment_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    auto *from = static_cast<const std::uint64_t *>(in);
    auto *to = static_cast<std::uint64_t *>(out);
    for (std::size_t i = 0; i < count; i++) to[i] = from[i] + 1;
    return 0;
}

class Graph
{
  public:
    explicit Graph(std::size_t tasks)
        : pool_(std::make_unique<pipeline::Pool>(pipeline::Crew{0, false}))
    {
        for (std::size_t i = 0; i < tasks; i += chain)
            readers_.push_back(pool_->add_chain(endless, chain, 0, increment_task));
    }
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;
    ~Graph()
    {
        for (async_reader *reader : readers_) async_reader_release(reader);
    }

    double ns_once()
    {
        constexpr unsigned times = 200;
        auto               begin = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < times; i++) {
            async_task_options options{};
            options.input = readers_.front();
            options.batch = increment_task;
            async_reader *reader = pool_->add(options);
            std::uint64_t item = 0;
            pipeline::must(async_reader_read(reader, &item, 1, nullptr, async_forever()),
                           "async_reader_read");
            if (item != chain + 1 + next_++) {
                std::fprintf(stderr, "graph: wrong item\n");
                std::exit(1);
            }
            async_reader_release(reader);
        }
        auto end = std::chrono::steady_clock::now();
        return std::chrono::duration<double, std::nano>(end - begin).count() / times;
    }

  private:
    std::unique_ptr<pipeline::Pool> pool_;
    std::vector<async_reader *>     readers_;
    std::uint64_t                   next_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4) {
        std::fprintf(stderr, "usage: graph FEW MANY ROUNDS\n");
        return 2;
    }
    Graph         few(std::strtoul(argv[1], nullptr, 10));
    Graph         many(std::strtoul(argv[2], nullptr, 10));
    unsigned long rounds = std::strtoul(argv[3], nullptr, 10);
    std::printf("{\"rounds\": [");
    for (unsigned long round = 0; round < rounds; round++) {
        double first = few.ns_once();
        std::printf("%s[%.1f, %.1f]", round == 0 ? "" : ", ", first, many.ns_once());
    }
    std::printf("]}\n");
    return 0;
}
