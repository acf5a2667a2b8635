/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SCHED_H
#define SHIM_LINUX_SCHED_H

/* The test's. */
int need_resched(void);
static inline int cond_resched(void)
{
	return 0;
}

#endif
