/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUID of the CPU that a test describes by its host_cpuid(). */
#ifndef SHIM_ASM_PROCESSOR_H
#define SHIM_ASM_PROCESSOR_H

#include <linux/types.h>

/* Store EAX, EBX, ECX and EDX of the leaf in @regs. */
static void host_cpuid(u32 leaf, u32 subleaf, u32 *regs);

static inline void cpuid_count(u32 leaf, u32 subleaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 regs[4] = {};

	host_cpuid(leaf, subleaf, regs);
	*eax = regs[0];
	*ebx = regs[1];
	*ecx = regs[2];
	*edx = regs[3];
}

static inline u32 cpuid_eax(u32 leaf)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx);
	return eax;
}

#endif
