/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest page-table walker: pure, one loop for every paging mode. */
#ifndef OKVM_MMU_WALK_H
#define OKVM_MMU_WALK_H

#include <linux/types.h>

/**
 * struct walk_mode - how the guest translates, derived from CR0, CR4, EFER once per change
 * @levels: 0 paging off, 2 32-bit, 3 PAE, 4 or 5 long mode
 * @wp: CR0.WP; @nx: EFER.NXE; @smep, @smap, @pse, @pke, @pks: CR4 (pse is implied beyond 2 levels)
 * @gbpages: CPUID says 1 GiB pages
 * @maxphyaddr: guest's physical address width in bits
 */
struct walk_mode {
	u8 levels;
	u8 maxphyaddr;
	bool wp, nx, smep, smap, pse, pke, gbpages;
};

/** struct walk_fault - the #PF that a failed walk means for the guest */
struct walk_fault {
	u32 error_code;		/* SDM "Page-Fault Exceptions" */
	bool memory_error;	/* a table could not be read: not a guest #PF */
};

#endif /* OKVM_MMU_WALK_H */
