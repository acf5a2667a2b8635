/* SPDX-License-Identifier: GPL-2.0-only */
/* Which memory type okvm uses when it maps a host frame into a guest. */
#ifndef OKVM_MMU_MEMTYPE_H
#define OKVM_MMU_MEMTYPE_H

#include <linux/mm.h>
#include <linux/pfn.h>

#include "core/compat.h"

/**
 * memtype_is_device() - return true if a host frame is device memory, to be mapped uncacheable
 *
 * A frame without a struct page is device memory if the e820 table does not list it as RAM. A
 * reserved page may be RAM (persistent memory with DAX, firmware) or device memory: the memory type
 * of the host's own mapping tells which.
 */
static inline bool memtype_is_device(u64 pfn)
{
	if (pfn_valid(pfn))
		return PageReserved(pfn_to_page(pfn)) && !is_zero_pfn(pfn) &&
		       okvm_pfn_uncached(pfn);
	return !okvm_pfn_is_ram(pfn);
}

#endif /* OKVM_MMU_MEMTYPE_H */
