// Uses the installed library from C++17: sums the squares of 0..999 on one worker.
#include <async/async.h>

#include <cstdio>
#include <cstring>
#include <vector>

ASYNC_EACH(square, uint64_t, in, uint64_t, out)
{
    *out = *in * *in;
    return 0;
}

int main()
{
    async_pool   *pool = nullptr;
    async_reader *squares = nullptr;
    async_source  numbers = async_source_range(0, 1000);

    async_task_options task = {};
    task.name = "square";
    task.source = &numbers;
    task.batch = square;
    task.item_size = sizeof(uint64_t);

    if (std::strcmp(async_version(), ASYNC_VERSION_STRING) != 0) return 1;
    if (async_pool_create(&pool, 1, nullptr) != ASYNC_OK) return 2;
    if (async_pool_add_task(pool, &squares, &task) != ASYNC_OK) return 3;
    std::vector<uint64_t> items(1000);
    std::size_t           got = 0;
    if (async_reader_read(squares, items.data(), items.size(), &got, async_forever()) != ASYNC_OK)
        return 4;
    uint64_t sum = 0;
    for (std::size_t i = 0; i < got; i++) sum += items[i];
    async_reader_release(squares);
    if (async_pool_destroy(pool, ASYNC_DROP) != ASYNC_OK) return 5;
    std::printf("%llu\n", static_cast<unsigned long long>(sum));
    return sum == 332833500 ? 0 : 6;
}
