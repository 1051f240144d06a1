/* test_queue.c: the queue of runtime/queue.c and queue_read.c, with threads stopped in it. */
#include "freezer.h"

#include "../../runtime/queue.c"
#include "../../runtime/queue_read.c"

#include <criterion/criterion.h>

static struct queue queue;

static void make(void) { cr_assert(queue_init(&queue, sizeof(uint64_t))); }

static enum queue_result put_item(uint64_t item) { return queue_put_word(&queue, item); }

static void put_run(uint64_t first, size_t count)
{
    struct run run = {block_new(store_default(), (count + 1) * 8), NULL, count};
    cr_assert(run.block != NULL);
    run.items = run.block->data + 8;
    for (size_t i = 0; i < count; i++) {
        uint64_t item = first + i;
        memcpy(run.items + i * 8, &item, 8);
    }
    cr_assert_eq(queue_put(&queue, &run), QUEUE_OK);
}

/* The next item; UINT64_MAX: empty, UINT64_MAX - 1: the end. */
#define EMPTY UINT64_MAX
#define END   (UINT64_MAX - 1)
static uint64_t next_item(void)
{
    uint64_t item;
    bool     end = false;
    if (queue_read(&queue, &item, 1, &end) == 1) { return item; }
    return end ? END : EMPTY;
}

Test(queue, first_in_first_out_whatever_the_slot)
{
    make();
    uint64_t item = 0, many[3];
    for (int round = 0; round < 100; round++) {
        cr_assert_eq(put_item(item++), QUEUE_OK);
        for (size_t i = 0; i < 3; i++) { many[i] = item++; }
        cr_assert_eq(queue_put_inline(&queue, many, 3), QUEUE_OK);
        put_run(item, 17);
        item += 17;
        cr_assert_eq(queue_available(&queue), item);
    }
    for (uint64_t i = 0; i < item;) {
        uint64_t got[7];
        size_t   count = queue_read(&queue, got, 1 + i % 7, NULL);
        cr_assert_eq(count, min_size(1 + i % 7, item - i));
        for (size_t k = 0; k < count; k++) { cr_assert_eq(got[k], i++); }
        cr_assert_eq(queue_available(&queue), item - i);
    }
    cr_assert_eq(next_item(), EMPTY);
    queue_destroy(&queue);
}

/* An entry of three slots does not fit behind the 238th: the last two of the segment are given
 * up. */
Test(queue, slots_that_are_given_up_are_no_items)
{
    make();
    uint64_t item = 0, many[3];
    cr_assert_eq(put_item(item++), QUEUE_OK);
    for (int round = 0; round < 400; round++) {
        for (size_t i = 0; i < 3; i++) { many[i] = item++; }
        cr_assert_eq(queue_put_inline(&queue, many, 3), QUEUE_OK);
        cr_assert_eq(queue_available(&queue), item);
    }
    for (uint64_t i = 0; i < item; i++) {
        cr_assert_eq(next_item(), i);
        cr_assert_eq(queue_available(&queue), item - i - 1);
    }
    cr_assert_eq(next_item(), EMPTY);
    queue_destroy(&queue);
}

Test(queue, odd_item_sizes_fit_inline)
{
    for (size_t size = 1; size <= QUEUE_INLINE; size++) {
        cr_assert(queue_init(&queue, size));
        unsigned char items[QUEUE_INLINE], got[QUEUE_INLINE];
        size_t        count = QUEUE_INLINE / size;
        for (size_t i = 0; i < sizeof items; i++) { items[i] = (unsigned char)(i + size); }
        cr_assert_eq(queue_put_inline(&queue, items, count), QUEUE_OK);
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(queue_read(&queue, got + i * size, 1, NULL), 1);
        }
        cr_assert_eq(memcmp(items, got, count * size), 0);
        queue_destroy(&queue);
    }
}

Test(queue, a_take_gives_multiples_of_its_unit_while_it_can)
{
    make();
    put_run(0, 10);
    struct run                run;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    cr_assert_eq(queue_take(&queue, 8, 4, &run, bounce, NULL), 8);
    block_release(run.block, 1);
    cr_assert_eq(queue_take(&queue, 8, 4, &run, bounce, NULL), 2);
    block_release(run.block, 1);
    put_run(0, 10);
    cr_assert_eq(queue_take(&queue, 12, 4, &run, bounce, NULL), 8);
    block_release(run.block, 1);
    cr_assert_eq(queue_take(&queue, 1, 1, &run, bounce, NULL), 1);
    cr_assert_eq(*(uint64_t *)(void *)run.items, 8);
    cr_assert_eq(next_item(), 9);
    cr_assert_eq(*(uint64_t *)(void *)run.items, 8, "a run's count keeps its block");
    block_release(run.block, 1);
    queue_destroy(&queue);
}

Test(queue, every_count_of_a_block_is_given_back)
{
    make();
    put_run(0, 100);
    struct run                parts[100];
    struct block             *block = NULL;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    size_t                    count = 0;
    for (size_t left = 100; left > 0; count++) {
        size_t got = queue_take(&queue, 1 + count % 9, 1, &parts[count], bounce, NULL);
        cr_assert(got > 0);
        left -= got;
        block = parts[count].block;
    }
    cr_assert_eq(load_relaxed(&block->refs), count);
    for (size_t i = 0; i + 1 < count; i++) { block_release(parts[i].block, 1); }
    cr_assert_eq(load_relaxed(&block->refs), 1);
    block_release(block, 1);
    queue_destroy(&queue);
}

/* C5, C6, F5, F6 */
Test(queue, close_keeps_what_is_there_and_refuses_the_rest)
{
    for (uint64_t before = 0; before < 2 * SEGMENT_SLOTS + 10; before++) {
        make();
        for (uint64_t i = 0; i < before; i++) { put_item(i); }
        queue_close(&queue);
        queue_close(&queue);
        cr_assert(queue_closed(&queue));
        for (int i = 0; i < 200; i++) { cr_assert_eq(put_item(7), QUEUE_CLOSED); }
        cr_assert_eq(queue_available(&queue), before);
        for (uint64_t i = 0; i < before; i++) { cr_assert_eq(next_item(), i); }
        for (int i = 0; i < 3; i++) { cr_assert_eq(next_item(), END); }
        cr_assert_eq(queue_available(&queue), 0);
        queue_destroy(&queue);
    }
}

static enum queue_result frozen_result;

static void put_frozen(void *argument)
{
    (void)argument;
    frozen_result = put_item(1000);
}
static void close_frozen(void *argument)
{
    (void)argument;
    queue_close(&queue);
}
static void take_frozen(void *argument) { *(uint64_t *)argument = next_item(); }

/* C17: with a ticket out a read still finds what was written after it. */
Test(queue, a_frozen_writer_hides_nothing)
{
    for (uint64_t before = 0; before < SEGMENT_SLOTS + 2; before++) {
        make();
        struct freezer freezer;
        for (uint64_t i = 0; i < before; i++) { put_item(i); }
        cr_assert(freezer_start(&freezer, "queue_put: ticket", put_frozen, NULL));
        cr_assert_eq(put_item(2000), QUEUE_OK);
        for (uint64_t i = 0; i < before; i++) { cr_assert_eq(next_item(), i); }
        cr_assert_eq(next_item(), 2000);
        cr_assert_eq(next_item(), EMPTY);
        freezer_thaw(&freezer);
        cr_assert_eq(frozen_result, QUEUE_OK);
        cr_assert_eq(next_item(), 1000);
        cr_assert_eq(next_item(), EMPTY);
        cr_assert_eq(queue_available(&queue), 0);
        queue_destroy(&queue);
    }
}

/* F4 */
Test(queue, a_frozen_writer_is_refused_once_the_end_was_seen)
{
    for (uint64_t before = 0; before < SEGMENT_SLOTS + 2; before++) {
        make();
        struct freezer freezer;
        for (uint64_t i = 0; i < before; i++) { put_item(i); }
        cr_assert(freezer_start(&freezer, "queue_put: ticket", put_frozen, NULL));
        queue_close(&queue);
        for (uint64_t i = 0; i < before; i++) { cr_assert_eq(next_item(), i); }
        cr_assert_eq(next_item(), END);
        freezer_thaw(&freezer);
        cr_assert_eq(frozen_result, QUEUE_CLOSED);
        cr_assert_eq(next_item(), END);
        queue_destroy(&queue);
    }
}

Test(queue, a_frozen_writer_that_publishes_before_the_end_is_accepted)
{
    make();
    struct freezer freezer;
    cr_assert(freezer_start(&freezer, "queue_put: ticket", put_frozen, NULL));
    queue_close(&queue);
    freezer_thaw(&freezer);
    cr_assert_eq(frozen_result, QUEUE_OK);
    cr_assert_eq(next_item(), 1000);
    cr_assert_eq(next_item(), END);
    queue_destroy(&queue);
}

Test(queue, who_is_frozen_after_appending_holds_nobody_up)
{
    make();
    struct freezer freezer;
    for (uint64_t i = 0; i < SEGMENT_SLOTS; i++) { put_item(i); }
    cr_assert(freezer_start(&freezer, "queue_put: appended", put_frozen, NULL));
    for (uint64_t i = 0; i < SEGMENT_SLOTS; i++) { cr_assert_eq(next_item(), i); }
    cr_assert_eq(next_item(), 1000);
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert_eq(put_item(i), QUEUE_OK);
        cr_assert_eq(next_item(), i);
    }
    queue_close(&queue);
    cr_assert_eq(next_item(), END);
    freezer_thaw(&freezer);
    cr_assert_eq(frozen_result, QUEUE_OK);
    queue_destroy(&queue);
}

Test(queue, a_close_that_is_frozen_is_finished_by_others)
{
    for (uint64_t before = 0; before < 2 * SEGMENT_SLOTS + 10; before++) {
        make();
        struct freezer freezer;
        for (uint64_t i = 0; i < before; i++) { put_item(i); }
        cr_assert(freezer_start(&freezer, "queue_close: bit", close_frozen, NULL));
        if (before % 2 == 0) {
            queue_close(&queue);
            cr_assert(queue_closed(&queue));
        }
        enum queue_result first = put_item(3000), second = put_item(3001);
        cr_assert(first == QUEUE_OK || second == QUEUE_CLOSED, "accepted after it was refused");
        for (uint64_t i = 0; i < before; i++) { cr_assert_eq(next_item(), i); }
        if (first == QUEUE_OK) { cr_assert_eq(next_item(), 3000); }
        if (second == QUEUE_OK) { cr_assert_eq(next_item(), 3001); }
        freezer_thaw(&freezer);
        cr_assert(queue_closed(&queue));
        cr_assert_eq(next_item(), END);
        cr_assert_eq(put_item(1), QUEUE_CLOSED);
        queue_destroy(&queue);
    }
}

Test(queue, a_frozen_reader_keeps_its_segment_and_nothing_else)
{
    make();
    struct freezer freezer;
    uint64_t       got = 0;
    for (uint64_t i = 0; i < SEGMENT_SLOTS + 1; i++) { put_item(i); }
    for (uint64_t i = 0; i < SEGMENT_SLOTS; i++) { cr_assert_eq(next_item(), i); }
    cr_assert(freezer_start(&freezer, "queue_take: moved", take_frozen, &got));
    for (uint64_t i = 0; i < 5000; i++) {
        put_item(i);
        cr_assert_eq(next_item(), i == 0 ? SEGMENT_SLOTS : i - 1);
    }
    freezer_thaw(&freezer);
    cr_assert_eq(got, 4999);
    queue_destroy(&queue);
}
