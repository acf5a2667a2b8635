/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <assert.h>

typedef struct {
	int held;
} spinlock_t;

#define spin_lock_init(l) ((void)((l)->held = 0))
#define spin_lock(l) assert(!(l)->held++)
#define spin_unlock(l) assert(!--(l)->held)

#endif
