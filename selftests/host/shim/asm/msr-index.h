/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_MSR_INDEX_H
#define SHIM_ASM_MSR_INDEX_H

/* The kernel's own header: see KHDR in selftests/host/Makefile. */
#include <linux/types.h>
#include <linux/bitops.h>
#include <arch/x86/include/asm/msr-index.h>

#endif
