/* turn.h: a turn at something that one thread does at a time: tried for, never waited for.
 *
 * Who finds the turn taken leaves a mark and goes away; who has it learns of the mark when it gives
 * the turn back, and looks again for what the others wanted.
 *
 * States: FREE -> TAKEN (turn_take) -> AGAIN (turn_take that came second) -> FREE (turn_give).
 *
 * Orders
 *   T1 take, success (acq_rel) <- T3 give (acq_rel): what the last holder did is visible.
 *   T2 take, mark (acq_rel)    -> T3 give (acq_rel): what the comer wants is visible to who looks
 *      again.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_TURN_H
#define ASYNC_RUNTIME_TURN_H

#include "atomic.h"

enum { TURN_FREE, TURN_TAKEN, TURN_AGAIN };

/* True: the caller has the turn. False: whoever has it will look again. Lock-free. */
static inline bool turn_take(shared_u32 *turn)
{
    for (;;) {
        uint32_t seen = load_relaxed(turn); /* relaxed: the CAS below decides */
        if (seen == TURN_FREE) {
            if (cas_acq_rel(turn, &seen, TURN_TAKEN)) { return true; } /* T1 <- T3. LP */
        } else if (cas_acq_rel(turn, &seen, TURN_AGAIN)) {             /* T2 -> T3. LP */
            return false;
        }
    }
}

/* Gives the turn back. True: somebody came by in the meantime, look again. Wait-free. */
static inline bool turn_give(shared_u32 *turn)
{
    return exchange_acq_rel(turn, TURN_FREE) == TURN_AGAIN; /* T3 -> T1, <- T2. LP */
}

#endif
