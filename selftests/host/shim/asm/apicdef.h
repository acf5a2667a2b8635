/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_APICDEF_H
#define SHIM_ASM_APICDEF_H

/* The kernel's own header: see KHDR in selftests/host/Makefile. */
#include <linux/types.h>
#include <linux/bitops.h>
#include <arch/x86/include/asm/apicdef.h>

#endif
