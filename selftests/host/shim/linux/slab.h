/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <stdlib.h>

#define kzalloc(size, gfp) ((void)(gfp), calloc(1, size))
#define kvzalloc(size, gfp) kzalloc(size, gfp)
#define kcalloc(n, size, gfp) ((void)(gfp), calloc(n, size))
#define kfree(p) free((void *)(p))
#define kfree_rcu(p, field) free((void *)(p))
#define kvfree(p) free((void *)(p))

#endif
