/* other_version.c: a plug-in that was made for another version of the header. */
#include <async/scale.h>

int async_scale_workload(const async_scale_build *build, async_scale_pipeline *out)
{
    async_source             source = async_source_range(0, build->items);
    const async_task_options task = {.source = &source};
    out->version = ASYNC_SCALE_VERSION + 1;
    return build->add_task(build, &out->reader, &task) == ASYNC_OK ? 0 : 1;
}
