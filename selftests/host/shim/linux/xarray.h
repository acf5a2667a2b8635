/* SPDX-License-Identifier: GPL-2.0-only */
/* An array of pointers by small numbers. */
#ifndef SHIM_LINUX_XARRAY_H
#define SHIM_LINUX_XARRAY_H

#include <linux/types.h>

#define SHIM_XA_MAX	4096

struct xarray {
	void *at[SHIM_XA_MAX];
};

#define xa_init(xa) __builtin_memset(xa, 0, sizeof(struct xarray))
#define xa_destroy(xa) ((void)(xa))
#define xa_is_err(p) ((void)(p), false)
#define xa_load(xa, i) ((i) < SHIM_XA_MAX ? (xa)->at[i] : NULL)

static inline void *xa_erase(struct xarray *xa, unsigned long i)
{
	void *was = xa->at[i];

	xa->at[i] = NULL;
	return was;
}

static inline void *xa_cmpxchg(struct xarray *xa, unsigned long i, void *old, void *new, gfp_t gfp)
{
	void *was = xa->at[i];

	if (was == old)
		xa->at[i] = new;
	return was;
}

static inline bool shim_xa_there(void **p, void *entry)
{
	*p = entry;
	return entry;
}

#define xa_for_each_range(xa, i, p, first, last)					\
	for ((i) = (first); (i) <= (unsigned long)(last) && (i) < SHIM_XA_MAX; (i)++)	\
		if (shim_xa_there((void **)&(p), (xa)->at[i]))
#define xa_for_each(xa, i, p) xa_for_each_range(xa, i, p, 0, SHIM_XA_MAX - 1)

#endif
