/* fork.h: what the child of a fork() has to put in order: see fork.c.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_FORK_H
#define ASYNC_RUNTIME_FORK_H

struct async_pool;
struct channel;

/* From its making, while nobody else knows it, until it is freed. Take a lock; not under another.
 */
void fork_mind_channel(struct channel *channel);
void fork_forget_channel(struct channel *channel);
void fork_mind_pool(struct async_pool *pool);
void fork_forget_pool(struct async_pool *pool);

#endif
