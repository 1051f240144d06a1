// stages.cpp: what one more stage costs, in pipelines of few and of many: the time of an item and
// stage between 4 and 8 stages, and between 32 and 64, chunk CHUNK, no workers, measured in turns.
// Usage: stages CHUNK ROUNDS; prints a line of JSON with the nanoseconds of an item, by round.
#include "../support/kernels.h"
#include "../support/pipeline.h"

#include <chrono>
#include <cstdlib>
#include <vector>

namespace
{

int increment_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    kernel_increment(static_cast<const std::uint64_t *>(in), static_cast<std::uint64_t *>(out),
                     count);
    return 0;
}

double ns_an_item(pipeline::Pool &pool, std::uint64_t items, unsigned stages, std::size_t chunk)
{
    static std::vector<std::uint64_t> buffer(16384);
    auto                              begin = std::chrono::steady_clock::now();
    async_reader                     *reader = pool.add_chain(items, stages, chunk, increment_task);
    std::uint64_t                     total = 0;
    std::size_t                       got = 0;
    async_status                      status;
    do {
        status = async_reader_read(reader, buffer.data(), buffer.size(), &got, async_forever());
        for (std::size_t i = 0; i < got; i++) total += buffer[i];
    } while (status == ASYNC_OK);
    async_reader_release(reader);
    auto end = std::chrono::steady_clock::now();
    if (status != ASYNC_END || total != items / 2 * (items - 1) + stages * items) {
        std::fprintf(stderr, "stages: wrong sum\n");
        std::exit(1);
    }
    return std::chrono::duration<double, std::nano>(end - begin).count() /
           static_cast<double>(items);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: stages CHUNK ROUNDS\n");
        return 2;
    }
    std::size_t    chunk = std::strtoul(argv[1], nullptr, 10);
    unsigned long  rounds = std::strtoul(argv[2], nullptr, 10);
    std::uint64_t  items = chunk == 1 ? 200'000 : 4'000'000;
    const unsigned depths[] = {4, 8, 32, 64};
    pipeline::Pool pool({0, false});
    std::printf("{\"chunk\": %zu, \"rounds\": [", chunk);
    for (unsigned long round = 0; round < rounds; round++) {
        double ns[4];
        for (std::size_t i = 0; i < 4; i++)
            ns[i] = ns_an_item(pool, items / depths[i] * 8 / 2 * 2, depths[i], chunk);
        std::printf("%s[%.3f, %.3f, %.3f, %.3f]", round == 0 ? "" : ", ", ns[0], ns[1], ns[2],
                    ns[3]);
    }
    std::printf("]}\n");
    return 0;
}
