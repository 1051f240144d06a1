/* machine.h: where and when it was measured. */
#ifndef SCALE_MACHINE_H
#define SCALE_MACHINE_H

/* "model name, Linux 6.1.0 x86_64"; the time in UTC. For free; NULL: no memory. */
char *machine_name(void);
char *machine_date(void);

/* CPUs that this program may use: affinity mask and cgroup quota, as the library counts them. */
unsigned machine_cpus(void);

#endif
