/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that are given out and taken back, the lowest first. */
#ifndef SHIM_LINUX_IDR_H
#define SHIM_LINUX_IDR_H

#include <linux/errno.h>
#include <linux/types.h>

#define SHIM_IDA_MAX	4096

struct ida {
	bool taken[SHIM_IDA_MAX];
};

static inline void ida_init(struct ida *ida)
{
	__builtin_memset(ida, 0, sizeof(*ida));
}

static inline void ida_destroy(struct ida *ida)
{
}

static inline int ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp)
{
	unsigned int id;

	for (id = min; id <= max && id < SHIM_IDA_MAX; id++) {
		if (!ida->taken[id]) {
			ida->taken[id] = true;
			return id;
		}
	}
	return -ENOSPC;
}

static inline void ida_free(struct ida *ida, unsigned int id)
{
	ida->taken[id] = false;
}

#endif
