/* SPDX-License-Identifier: GPL-2.0-only */
/* Userspace has one version only. */
#ifndef OKVM_CORE_COMPAT_H
#define OKVM_CORE_COMPAT_H

#include <linux/atomic.h>

/* Of the host's CPU. */
static const struct {
	int x86_phys_bits;
} boot_cpu_data __maybe_unused = { .x86_phys_bits = 46 };

#endif
