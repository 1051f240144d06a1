/* async.h: everything. */
#ifndef ASYNC_ASYNC_H
#define ASYNC_ASYNC_H

#include <async/channel.h>
#include <async/export.h>
#include <async/pool.h>
#include <async/status.h>
#include <async/task.h>
#include <async/trace.h>
#include <async/version.h>
#include <async/wait.h>

#endif
