/* SPDX-License-Identifier: GPL-2.0-only */
/* A lock that knows who holds it; the test says whether others wait. */
#ifndef SHIM_LINUX_RWLOCK_H
#define SHIM_LINUX_RWLOCK_H

#include <linux/types.h>

typedef struct {
	int readers;
	bool writer;
} rwlock_t;

void read_lock(rwlock_t *lock);
void read_unlock(rwlock_t *lock);
bool read_trylock(rwlock_t *lock);
bool write_trylock(rwlock_t *lock);
void write_lock(rwlock_t *lock);
void write_unlock(rwlock_t *lock);
int rwlock_needbreak(rwlock_t *lock);
int cond_resched_rwlock_read(rwlock_t *lock);
int cond_resched_rwlock_write(rwlock_t *lock);

#define lockdep_assert_held(lock) assert((lock)->writer || (lock)->readers)
#define lockdep_assert_held_read(lock) assert((lock)->readers)
#define lockdep_assert_held_write(lock) assert((lock)->writer)

#endif
