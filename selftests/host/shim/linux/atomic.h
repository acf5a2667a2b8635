/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>

#define smp_mb__after_atomic() barrier()
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_wmb() barrier()
#define smp_rmb() barrier()
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define xchg(ptr, v) __atomic_exchange_n(ptr, v, __ATOMIC_SEQ_CST)
#define try_cmpxchg(ptr, old, new)						\
	__atomic_compare_exchange_n(ptr, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

typedef struct {
	s64 counter;
} atomic64_t;

#define atomic64_read(v) __atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_set(v, n) __atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic64_inc(v) atomic64_add(1, v)
#define atomic64_or(n, v) ((void)__atomic_fetch_or(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic64_andnot(n, v) ((void)__atomic_fetch_and(&(v)->counter, ~(n), __ATOMIC_RELAXED))
#define atomic64_xchg(v, n) __atomic_exchange_n(&(v)->counter, n, __ATOMIC_SEQ_CST)
#define atomic64_add(n, v) ((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))

#endif
