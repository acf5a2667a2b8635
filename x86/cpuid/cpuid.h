/* SPDX-License-Identifier: GPL-2.0-only */
/* The CPUID of one vCPU, as KVM_SET_CPUID2 gave it, with its index. */
#ifndef OKVM_X86_CPUID_H
#define OKVM_X86_CPUID_H

#include <linux/types.h>

#include "x86/cpuid/cpuid_table.h"

/**
 * struct okvm_cpuid_table - the guest's CPUID
 * @e1, @e7, @ed0, @ed1, @epv: positions of the entries with bits that change at run time, or -1
 * @index: must be last
 */
struct okvm_cpuid_table {
	int nent;
	struct kvm_cpuid_entry2 *entries;
	s16 e1, e7, ed0, ed1, epv;
	struct cpuid_index index;
};

#endif /* OKVM_X86_CPUID_H */
