/* delays.c: linked to a stress program and a runtime with STEP points, makes each of its threads
 * yield, spin or sleep at some of its steps, from the first one on (schedule.h). */
#include "schedule.h"

#include <stdlib.h>

/* [seconds] [threads] [seed], as the program's own. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
    schedule_delays(argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
}
