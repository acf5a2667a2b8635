/* SPDX-License-Identifier: GPL-2.0-only */
/* What memory type a frame gets that the guest sees. */
#ifndef OKVM_MMU_MEMTYPE_H
#define OKVM_MMU_MEMTYPE_H

#include <linux/mm.h>
#include <linux/pfn.h>

#include "core/compat.h"

/**
 * memtype_is_device() - a device's memory, or memory the kernel knows nothing about: uncacheable
 *
 * A reserved page may be either: those of persistent memory (DAX) and of the firmware are memory.
 * The host's own type decides, as nobody else knows.
 */
static inline bool memtype_is_device(u64 pfn)
{
	if (pfn_valid(pfn))
		return PageReserved(pfn_to_page(pfn)) && !is_zero_pfn(pfn) &&
		       okvm_pfn_uncached(pfn);
	return !okvm_pfn_is_ram(pfn);
}

#endif /* OKVM_MMU_MEMTYPE_H */
