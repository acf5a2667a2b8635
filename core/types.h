/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of addresses and guest frame numbers; do not mix them. */
#ifndef OKVM_CORE_TYPES_H
#define OKVM_CORE_TYPES_H

#include <linux/types.h>

typedef unsigned long gva_t;	/* guest virtual (linear) */
typedef u64 gpa_t;		/* guest physical */
typedef u64 gfn_t;		/* guest physical >> PAGE_SHIFT */
typedef unsigned long hva_t;	/* host virtual, in the VMM's address space */
typedef u64 hpa_t;		/* host physical */

#define OKVM_INVALID_GPA	(~(gpa_t)0)
#define OKVM_INVALID_HPA	(~(hpa_t)0)

#endif /* OKVM_CORE_TYPES_H */
