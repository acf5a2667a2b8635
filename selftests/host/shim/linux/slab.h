/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <stdlib.h>

#ifdef SHIM_NOWAIT_FAILS
#include <stdbool.h>

/* While a test sets this, there is no memory for those who cannot wait (GFP_NOWAIT). */
extern bool shim_nowait_fails;
#define kzalloc(size, gfp) \
	(shim_nowait_fails && ((gfp) & GFP_NOWAIT) ? NULL : calloc(1, size))
#else
#define kzalloc(size, gfp) ((void)(gfp), calloc(1, size))
#endif
#define kvzalloc(size, gfp) kzalloc(size, gfp)
#define kcalloc(n, size, gfp) ((void)(gfp), calloc(n, size))
#define kfree(p) free((void *)(p))
#define kfree_rcu(p, field) free((void *)(p))
#define kvfree(p) free((void *)(p))

#endif
