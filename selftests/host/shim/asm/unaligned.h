/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_UNALIGNED_H
#define SHIM_ASM_UNALIGNED_H

#include <string.h>
#include <linux/types.h>

#define get_unaligned(p) ({ __typeof__(*(p)) _u; memcpy(&_u, (p), sizeof(_u)); _u; })
#define put_unaligned(v, p)						\
	do {								\
		__typeof__(*(p)) _u = (v);				\
									\
		memcpy((p), &_u, sizeof(_u));				\
	} while (0)

#endif
