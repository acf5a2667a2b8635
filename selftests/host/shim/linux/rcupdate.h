/* SPDX-License-Identifier: GPL-2.0-only */
/* The test decides when a grace period is over. */
#ifndef SHIM_LINUX_RCUPDATE_H
#define SHIM_LINUX_RCUPDATE_H

struct rcu_head {
	void (*func)(struct rcu_head *head);
};

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
static inline void synchronize_rcu(void)
{
}

#endif
