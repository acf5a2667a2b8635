/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svm_entry_read() reads a VMCB and the features of the CPU that the rules of entry_check.h need.
 *
 * It reads CPUID directly. The kernel's feature flags lack the features that the kernel's command
 * line has switched off, but VMRUN still has these features.
 */
#ifndef OKVM_SVM_ENTRY_READ_H
#define OKVM_SVM_ENTRY_READ_H

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/msr-index.h>

#include "core/compat.h"
#include "svm/entry_check.h"

enum svm_cpuid_reg { SVM_CPUID_EAX, SVM_CPUID_EBX, SVM_CPUID_ECX, SVM_CPUID_EDX };

/* A bit of a control register, and the CPUID bit of the feature that makes it exist. */
struct svm_entry_bit {
	u8 bit;
	u8 reg;			/* enum svm_cpuid_reg */
	u8 cpuid_bit;
	u32 leaf;
};

static inline bool svm_cpuid_has(u32 leaf, enum svm_cpuid_reg reg, u8 bit)
{
	u32 regs[4];

	/* For a leaf above the maximum, CPUID may return the data of another leaf. */
	if (cpuid_eax(leaf & BIT(31)) < leaf)
		return false;
	cpuid_count(leaf, 0, &regs[0], &regs[1], &regs[2], &regs[3]);
	return regs[reg] & BIT(bit);
}

/* Return a mask of the register bits in @bits that this CPU has. @nr: number of @bits */
static inline u64 svm_entry_bits(const struct svm_entry_bit *bits, unsigned int nr)
{
	u64 exist = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (svm_cpuid_has(bits[i].leaf, bits[i].reg, bits[i].cpuid_bit))
			exist |= BIT_ULL(bits[i].bit);
	return exist;
}

/*
 * Return the bits of CR4 that are reserved on this CPU. Each CPU with SVM has bits 10:0 (APM "CR4
 * Register").
 */
static inline u64 svm_cr4_reserved(void)
{
	static const struct svm_entry_bit bits[] = {
		{ 11, SVM_CPUID_ECX, 2, 7 },	/* UMIP */
		{ 12, SVM_CPUID_ECX, 16, 7 },	/* LA57 */
		{ 16, SVM_CPUID_EBX, 0, 7 },	/* FSGSBASE */
		{ 17, SVM_CPUID_ECX, 17, 1 },	/* PCIDE */
		{ 18, SVM_CPUID_ECX, 26, 1 },	/* OSXSAVE */
		{ 20, SVM_CPUID_EBX, 7, 7 },	/* SMEP */
		{ 21, SVM_CPUID_EBX, 20, 7 },	/* SMAP */
		{ 22, SVM_CPUID_ECX, 3, 7 },	/* PKE */
		{ 23, SVM_CPUID_ECX, 7, 7 },	/* CET */
	};

	return ~(GENMASK_ULL(10, 0) | svm_entry_bits(bits, ARRAY_SIZE(bits)));
}

/*
 * Return the bits of EFER that are reserved on this CPU. SCE, LME, LMA and SVME always exist (APM
 * "Extended Feature Enable Register (EFER)").
 */
static inline u64 svm_efer_reserved(void)
{
	static const struct svm_entry_bit bits[] = {
		{ 11, SVM_CPUID_EDX, 20, 0x80000001 },	/* NXE */
		{ 14, SVM_CPUID_EDX, 25, 0x80000001 },	/* FFXSR */
		{ 15, SVM_CPUID_ECX, 17, 0x80000001 },	/* TCE */
		{ 17, SVM_CPUID_EBX, 8, 0x80000008 },	/* MCOMMIT */
		{ 18, SVM_CPUID_EBX, 13, 0x80000008 },	/* INTWB */
		{ 20, SVM_CPUID_EAX, 7, 0x80000021 },	/* UAIE */
		{ 21, SVM_CPUID_EAX, 8, 0x80000021 },	/* AIBRSE */
	};
	u64 exist = EFER_SCE | EFER_LME | EFER_LMA | EFER_SVME;

	/* This CPUID bit is 1 if LMSLE does not exist. */
	if (!svm_cpuid_has(0x80000008, SVM_CPUID_EBX, 20))
		exist |= EFER_LMSLE;
	return ~(exist | svm_entry_bits(bits, ARRAY_SIZE(bits)));
}

/* Return the vectors of exceptions that only some CPUs have: #CP with CET, #VC with SEV-ES. */
static inline u32 svm_more_exceptions(void)
{
	return (svm_cpuid_has(7, SVM_CPUID_ECX, 7) ? BIT(21) : 0) |
	       (svm_cpuid_has(0x8000001f, SVM_CPUID_EAX, 3) ? BIT(29) : 0);
}

/** svm_entry_read() - fill @e with the fields of the VMCB at @vmcb, and the features of this CPU */
static inline void svm_entry_read(const void *vmcb, struct svm_entry *e)
{
	unsigned int i;

	for (i = 0; i < SVM_NR_F; i++) {
		const struct svm_entry_field_info *info = &svm_entry_fields[i];

		e->f[i] = 0;
		memcpy(&e->f[i], vmcb + info->offset, info->size);
	}
	e->cr4_reserved = svm_cr4_reserved();
	e->efer_reserved = svm_efer_reserved();
	e->exceptions = svm_more_exceptions();
	e->vnmi = svm_cpuid_has(0x8000000a, SVM_CPUID_EDX, 25);
	e->phys_bits = cpuid_eax(0x80000008) & 0xff;
}

#endif /* OKVM_SVM_ENTRY_READ_H */
