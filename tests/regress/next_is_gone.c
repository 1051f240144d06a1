/* next_is_gone.c: a reader that stands still before it moves the head of a queue on knows the next
 * segment, and does not protect it: when it goes on, the segment may be others' memory. It wrote
 * two hints there. Where that memory had become other segments, at other addresses, it hit the
 * state of a slot now and then, and the item in it was lost. */
#include "../unit/freezer.h"

#include "../../runtime/block.h"
#include "../../runtime/queue_read.c"

#include <stdio.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static struct queue queue;
static uint64_t     late_item;
static size_t       late_got;

static void read_one(void *nothing)
{
    (void)nothing;
    late_got = queue_read_word(&queue, &late_item, NULL);
}

static size_t read_words(size_t count)
{
    size_t got = 0;
    for (uint64_t item; got < count && queue_read_word(&queue, &item, NULL) == 1; got++) {}
    return got;
}

int main(void)
{
    size_t items = 4 * (size_t)SEGMENT_SLOTS, read = 0;
    MUST(queue_init(&queue, sizeof(uint64_t)));
    for (uint64_t i = 0; i < items; i++) { MUST(queue_put_word(&queue, i) == QUEUE_OK); }
    read += read_words(SEGMENT_SLOTS);
    struct queue_segment *next = load_acquire(&load_acquire(&queue.head)->next);

    static struct freezer freezer;
    MUST(freezer_start(&freezer, "queue_take: next", read_one, NULL));
    read += read_words(SEGMENT_SLOTS + 1); /* and past it */
    reclaim_scan(reclaim_enter());
    struct block *block = block_new(store_default(), sizeof(struct queue_segment));
    MUST(block != NULL);
    MUST((void *)block->data == (void *)next); /* or nothing is shown */
    memset(block->data, 0xa5, sizeof(struct queue_segment));
    freezer_thaw(&freezer);
    for (size_t i = 0; i < sizeof(struct queue_segment); i++) { MUST(block->data[i] == 0xa5); }
    MUST(late_got == 1 && late_item == read);
    block_release(block, 1);
    MUST(read_words(items) == items - read - 1);
    queue_destroy(&queue);
    return 0;
}
