/* source.c: where iterator tasks take their items from.
 * Layer: 4 */
#include <async/task.h>

async_source async_source_from(async_next_fn *next, void *context, size_t item_size)
{
    async_source source = {
        .kind = ASYNC_SOURCE_NEXT, .item_size = item_size, .next = next, .context = context};
    return source;
}

async_source async_source_array(const void *items, size_t count, size_t item_size)
{
    async_source source = {
        .kind = ASYNC_SOURCE_ARRAY, .item_size = item_size, .items = items, .count = count};
    return source;
}

async_source async_source_range(uint64_t first, uint64_t count)
{
    async_source source = {
        .kind = ASYNC_SOURCE_RANGE, .item_size = sizeof(uint64_t), .first = first, .count = count};
    return source;
}
