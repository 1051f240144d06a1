/* json_read.c: see json.h. */
#define _GNU_SOURCE

#include "json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* As many as a command line can ask for: 64 worker counts, 64 chunk sizes. */
enum { MOST_POINTS = 64 * 64 };

/* Each list of worker counts and chunk sizes as the points have them, in their order. */
static bool collect_axes(const json_t *points, unsigned *workers, size_t *worker_count,
                         size_t *chunks, size_t *chunk_count)
{
    size_t        index;
    const json_t *point;
    *worker_count = *chunk_count = 0;
    if (json_array_size(points) > MOST_POINTS) return false;
    json_array_foreach(points, index, point)
    {
        json_int_t w = json_integer_value(json_object_get(point, "workers"));
        json_int_t c = json_integer_value(json_object_get(point, "chunk"));
        if (!json_is_integer(json_object_get(point, "workers")) || w < 0 || w > UINT32_MAX || c < 1)
            return false;
        size_t at = 0;
        while (at < *worker_count && workers[at] != (unsigned)w) at++;
        if (at == *worker_count) workers[(*worker_count)++] = (unsigned)w;
        at = 0;
        while (at < *chunk_count && chunks[at] != (size_t)c) at++;
        if (at == *chunk_count) chunks[(*chunk_count)++] = (size_t)c;
    }
    return index > 0 && *worker_count * *chunk_count <= MOST_POINTS;
}

static bool read_seconds(const json_t *array, double *out, size_t most, size_t *count)
{
    size_t        index;
    const json_t *value;
    if (!json_is_array(array) || json_array_size(array) > most) return false;
    *count = 0;
    json_array_foreach(array, index, value)
    {
        if (!json_is_number(value) || json_number_value(value) <= 0) return false;
        out[(*count)++] = json_number_value(value);
    }
    return true;
}

static size_t longest(const json_t *root, const json_t *points)
{
    size_t        index, most = json_array_size(json_object_get(root, "reference_seconds"));
    const json_t *point;
    json_array_foreach(points, index, point)
    {
        size_t size = json_array_size(json_object_get(point, "seconds"));
        if (size > most) most = size;
    }
    return most;
}

static const char *read_points(const json_t *root, struct results *r)
{
    const json_t *points = json_object_get(root, "points"), *point;
    size_t        count = json_array_size(points), worker_count, chunk_count, index;
    unsigned     *workers = calloc(count + 1, sizeof *workers);
    size_t       *chunks = calloc(count + 1, sizeof *chunks);
    const char   *wrong = NULL;
    if (workers == NULL || chunks == NULL)
        wrong = "out of memory";
    else if (!collect_axes(points, workers, &worker_count, chunks, &chunk_count))
        wrong = "its points are not what async-scale writes";
    else if (!results_init(r, workers, worker_count, chunks, chunk_count, longest(root, points)))
        wrong = "out of memory";
    free(workers);
    free(chunks);
    if (wrong != NULL) return wrong;
    json_array_foreach(points, index, point)
    {
        size_t w = 0, c = 0;
        while (r->workers[w] != (unsigned)json_integer_value(json_object_get(point, "workers")))
            w++;
        while (r->chunks[c] != (size_t)json_integer_value(json_object_get(point, "chunk"))) c++;
        struct point *to = results_point(r, c, w);
        if (!read_seconds(json_object_get(point, "seconds"), to->seconds, r->repetitions,
                          &to->count))
            return "its points are not what async-scale writes";
    }
    if (!read_seconds(json_object_get(root, "reference_seconds"), r->reference, r->repetitions,
                      &r->reference_count))
        return "it has no reference_seconds";
    return NULL;
}

static const char *read_root(const json_t *root, struct results *r)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    if (format == NULL || strcmp(format, "async-scale") != 0)
        return "it is JSON, but was not written by async-scale --json";
    const char *version = json_string_value(json_object_get(root, "version"));
    const char *workload = json_string_value(json_object_get(root, "workload"));
    const char *argument = json_string_value(json_object_get(root, "argument"));
    const char *machine = json_string_value(json_object_get(root, "machine"));
    const char *date = json_string_value(json_object_get(root, "date"));
    json_int_t  number = json_integer_value(json_object_get(root, "format_version"));
    json_int_t  items = json_integer_value(json_object_get(root, "items"));
    if (number != JSON_FORMAT)
        return "its format has another version than this program's: measure again with one of them";
    if (workload == NULL || machine == NULL || version == NULL || date == NULL || items <= 0)
        return "it is not complete";
    r->version = strdup(version);
    r->workload = strdup(workload);
    r->machine = strdup(machine);
    r->date = strdup(date);
    if (argument != NULL) r->argument = strdup(argument);
    r->items = (uint64_t)items;
    r->cpus = (unsigned)json_integer_value(json_object_get(root, "cpus"));
    r->threads_per_worker = 1;
    r->seed = (uint64_t)json_integer_value(json_object_get(root, "seed"));
    r->pinned = json_is_true(json_object_get(root, "pinned"));
    if (r->version == NULL || r->workload == NULL || r->machine == NULL || r->date == NULL)
        return "out of memory";
    return read_points(root, r);
}

bool json_read(const char *path, struct results *out, char *message, size_t size)
{
    *out = (struct results){0};
    json_error_t error;
    json_t      *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        if (error.line > 0)
            snprintf(message, size, "%s:%d: no JSON: %s", path, error.line, error.text);
        else
            snprintf(message, size, "%s", error.text);
        return false;
    }
    const char *wrong = read_root(root, out);
    if (wrong != NULL) {
        snprintf(message, size, "%s: %s", path, wrong);
        results_free(out);
    }
    json_decref(root);
    return wrong == NULL;
}
