#include "history.h"

#include <inttypes.h>

static const char *const names[] = {"write",  "read",        "borrow",      "close",
                                    "closed", "drop writer", "drop reader", "stuck"};

static void print_items(const unsigned char *items, unsigned count, FILE *out)
{
    fputs(" [", out);
    for (unsigned i = 0; i < count; i++) { fprintf(out, "%s%u", i == 0 ? "" : " ", items[i]); }
    fputc(']', out);
}

static void print_wait(async_wait wait, FILE *out)
{
    switch (wait.kind) {
    case ASYNC_WAIT_NOW:
        fputs(" now", out);
        break;
    case ASYNC_WAIT_FOREVER:
        fputs(" forever", out);
        break;
    case ASYNC_WAIT_PER_ITEM:
        fprintf(out, " %" PRIu64 " ms an item", wait.value);
        break;
    case ASYNC_WAIT_UNTIL:
        fprintf(out, " until %" PRIu64, wait.value);
        break;
    }
}

static void print_operation(const operation *op, FILE *out)
{
    fprintf(out, "  %4" PRIu64 " .. %4" PRIu64 "  thread %u  %*s%s", op->begin, op->end, op->thread,
            (int)op->thread * 4, "", names[op->kind]);
    switch (op->kind) {
    case OP_WRITE:
    case OP_READ:
    case OP_BORROW:
        fprintf(out, " %u", op->count);
        print_wait(op->wait, out);
        if (op->kind == OP_WRITE) {
            print_items(op->items, op->count, out);
            fprintf(out, " -> %u", op->done);
        } else {
            fputs(" ->", out);
            print_items(op->items, op->done, out);
        }
        fprintf(out, " %s", async_status_name(op->status));
        break;
    case OP_CLOSED:
        fprintf(out, " -> %s", op->answer ? "yes" : "no");
        break;
    default:
        break;
    }
    if (op->discarded > 0) {
        fputs(" discarding", out);
        print_items(op->discards, op->discarded, out);
    }
    fputc('\n', out);
}

void history_print(const history *h, FILE *out)
{
    fprintf(out, "capacity %zu, %u holds of the write end, %u of the read end\n", h->capacity,
            h->writers, h->readers);
    bool printed[HISTORY_OPERATIONS] = {false};
    for (unsigned n = 0; n < h->count; n++) {
        unsigned least = h->count;
        for (unsigned i = 0; i < h->count; i++) {
            if (!printed[i] &&
                (least == h->count || h->operations[i].begin < h->operations[least].begin)) {
                least = i;
            }
        }
        printed[least] = true;
        print_operation(&h->operations[least], out);
    }
}

static void mix(uint64_t *digest, uint64_t value)
{
    *digest = (*digest ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    *digest ^= *digest >> 29;
}

uint64_t history_digest(const history *h)
{
    uint64_t digest = h->capacity;
    for (unsigned i = 0; i < h->count; i++) {
        const operation *op = &h->operations[i];
        mix(&digest, (uint64_t)op->kind << 48 | (uint64_t)op->thread << 40 |
                         (uint64_t)op->count << 24 | (uint64_t)op->done << 8 | op->answer);
        mix(&digest, (uint64_t)op->status);
        for (unsigned k = 0; k < op->done; k++) { mix(&digest, op->items[k]); }
        for (unsigned k = 0; k < op->discarded; k++) { mix(&digest, op->discards[k]); }
        mix(&digest, op->begin);
        mix(&digest, op->end);
    }
    return digest;
}
