/* SPDX-License-Identifier: GPL-2.0-only */
/* One thread: a mutex is never waited for. */
#ifndef SHIM_LINUX_MUTEX_H
#define SHIM_LINUX_MUTEX_H

#include <assert.h>

#include <linux/types.h>

struct mutex {
	bool held;
};

#define DEFINE_MUTEX(name) struct mutex name

static inline bool mutex_trylock(struct mutex *lock)
{
	if (lock->held)
		return false;
	lock->held = true;
	return true;
}

static inline void mutex_lock(struct mutex *lock)
{
	assert(mutex_trylock(lock));
}

static inline void mutex_unlock(struct mutex *lock)
{
	lock->held = false;
}

#endif
