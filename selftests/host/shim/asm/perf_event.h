/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_PERF_EVENT_H
#define SHIM_ASM_PERF_EVENT_H

#include <linux/types.h>

/* What perf_guest_get_msrs() gives; the kernel's header needs more of the kernel than there is. */
struct perf_guest_switch_msr {
	unsigned int msr;
	u64 host, guest;
};

#endif
