/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_TRAPNR_H
#define SHIM_ASM_TRAPNR_H

/* The kernel's own header: see KHDR in selftests/host/Makefile. */
#include <arch/x86/include/asm/trapnr.h>

#endif
