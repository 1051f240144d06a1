/* errors.c: reads numbers from texts, of which one is no number, and says which. */
#include <async/async.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int parse(const void *in, void *out, void *context)
{
    (void)context;
    const char *text = *(const char *const *)in;
    char       *end;
    long        value = strtol(text, &end, 10);
    if (end == text || *end != '\0') return async_fail(1, "'%s' is not a number", text);
    *(long *)out = value;
    return 0;
}

static int twice(const void *in, void *out, void *context)
{
    (void)context;
    *(long *)out = *(const long *)in * 2;
    return 0;
}

static void check(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "errors: %s: %s\n", what, async_status_text(status));
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    static const char *const texts[] = {"1", "20", "300", "4x", "5"};
    async_source             source = async_source_array(texts, 5, sizeof *texts);

    async_pool *pool;
    check(async_pool_create(&pool, 2, NULL), "cannot make a pool");
    async_reader            *numbers, *doubles;
    const async_task_options parse_task = {.name = "parse",
                                           .source = &source,
                                           .item_size = sizeof(long),
                                           .each = parse,
                                           .order = ASYNC_ORDERED};
    check(async_pool_add_task(pool, &numbers, &parse_task), "cannot add 'parse'");
    const async_task_options twice_task = {
        .name = "twice", .input = numbers, .each = twice, .order = ASYNC_ORDERED};
    check(async_pool_add_task(pool, &doubles, &twice_task), "cannot add 'twice'");

    /* What was computed before the failure arrives; then the status says why there is no more. */
    long         items[5];
    size_t       got;
    async_status status = async_reader_read(doubles, items, 5, &got, async_forever());
    for (size_t i = 0; i < got; i++) printf("%ld\n", items[i]);
    if (status == ASYNC_FAILED) {
        async_error error;
        check(async_reader_error(doubles, &error), "cannot ask for the error");
        printf("task '%s', item %" PRIu64 ", code %d: %s\n", error.task, error.item, error.code,
               error.message);
    }

    async_reader_release(numbers);
    async_reader_release(doubles);
    check(async_pool_destroy(pool, ASYNC_DROP), "cannot end the pool");
    return EXIT_SUCCESS;
}
