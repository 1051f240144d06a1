/* status.c: the names and texts of the statuses, from the list in async/status.h.
 * Layer: 4 */
#include <async/status.h>

static const struct {
    const char *name, *text;
} statuses[] = {
#define ENTRY(name, text) {#name, text},
    ASYNC_STATUS_MAP(ENTRY)
#undef ENTRY
};

/* An enum may hold any number of its type, negative ones too: as unsigned they are too large. */
static int known(async_status status)
{
    return (unsigned)status < sizeof statuses / sizeof *statuses;
}

const char *async_status_name(async_status status)
{
    return known(status) ? statuses[status].name : "UNKNOWN";
}

const char *async_status_text(async_status status)
{
    return known(status) ? statuses[status].text : "unknown status";
}
