/* SPDX-License-Identifier: GPL-2.0-only */
/* A test's addresses are its physical addresses. */
#ifndef SHIM_ASM_PAGE_H
#define SHIM_ASM_PAGE_H

#include <linux/types.h>

#include <asm/page_types.h>

#define __va(pa) ((void *)(uintptr_t)(pa))
#define __pa(va) ((u64)(uintptr_t)(va))

#endif
