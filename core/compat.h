/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between the supported kernels, in one place. Nothing else
 * tests LINUX_VERSION_CODE.
 */
#ifndef OKVM_CORE_COMPAT_H
#define OKVM_CORE_COMPAT_H

#include <linux/version.h>

/* Lazy rescheduling has a flag of its own since 6.13. */
#ifdef _TIF_NEED_RESCHED_LAZY
#define OKVM_TIF_RESCHED	(_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#else
#define OKVM_TIF_RESCHED	_TIF_NEED_RESCHED
#endif

/* eventfd_signal() always added 1 and lost its count in 6.8. */
#include <linux/eventfd.h>
static inline void okvm_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* The priority entry of a wait queue is exclusive under a name of its own since 6.17. */
#include <linux/wait.h>
static inline void okvm_add_wait_queue_priority(struct wait_queue_head *head,
						struct wait_queue_entry *entry)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	add_wait_queue_priority(head, entry);
#else
	add_wait_queue_priority_exclusive(head, entry);
#endif
}

/* hrtimer_setup() came in 6.13 and hrtimer_init() went in 6.15. */
#include <linux/hrtimer.h>
static inline void okvm_hrtimer_setup(struct hrtimer *timer,
				      enum hrtimer_restart (*fn)(struct hrtimer *timer),
				      clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#else
	hrtimer_setup(timer, fn, clock, mode);
#endif
}

#endif /* OKVM_CORE_COMPAT_H */
