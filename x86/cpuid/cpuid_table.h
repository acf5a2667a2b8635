/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that compute which CPUID bits guests may have, and an index that finds the entry of a
 * CPUID leaf without a search.
 */
#ifndef OKVM_X86_CPUID_TABLE_H
#define OKVM_X86_CPUID_TABLE_H

#include <linux/types.h>
#include <linux/kvm.h>

/** enum cpuid_reg - the four result registers, in the order of struct kvm_cpuid_entry2 */
enum cpuid_reg {
	CPUID_REG_EAX,
	CPUID_REG_EBX,
	CPUID_REG_ECX,
	CPUID_REG_EDX,
	CPUID_NR_REGS,
};

/**
 * struct cpuid_env - input of cpuid_supported()
 * @host: executes CPUID on the CPU
 * @kernel: returns the kernel's copy of a CPUID register, which lacks the features that the kernel
 *	has disabled; ~0 if the kernel keeps no copy
 * @xcr0, @xss: state components that guests may enable
 * @pv: EAX of the paravirtual feature leaf 0x40000001
 * @invpcid, @rdtscp, @xsaves, @waitpkg: the backend lets guests use the instruction
 * @umip: guests can have UMIP, native or emulated
 * @pku: guests can use protection keys
 * @gbpages: guests can have 1 GiB pages even if the CPU has none, because shadow paging is used
 * @ibpb, @ibrs, @stibp, @ssbd: the kernel has found that the CPU has this speculation control
 * @amd_ssbd: the kernel has found SSBD by AMD's CPUID bit
 * @ssb_no: the CPU is not vulnerable to speculative store bypass, even if CPUID does not say so
 * @ext21_eax, @ext21_ecx: bits of leaf 80000021h that the kernel knows even if CPUID lacks them
 */
struct cpuid_env {
	void (*host)(u32 leaf, u32 sub, u32 r[CPUID_NR_REGS]);
	u32 (*kernel)(u32 leaf, u32 sub, enum cpuid_reg reg);
	u64 xcr0, xss;
	u32 pv;
	bool invpcid, rdtscp, xsaves, waitpkg, umip, pku, gbpages;
	bool ibpb, ibrs, stibp, ssbd, amd_ssbd, ssb_no;
	u32 ext21_eax, ext21_ecx;
};

/**
 * cpuid_supported() - Compute the result of KVM_GET_SUPPORTED_CPUID in @out, which has @max entries
 * Return: number of entries filled, or -E2BIG if @max is too small
 */
int cpuid_supported(const struct cpuid_env *env, struct kvm_cpuid_entry2 *out, int max);

#define CPUID_NR_XSTATES	64

/** struct cpuid_xstate - size and place of one XSAVE state component, from leaf 0xD */
struct cpuid_xstate {
	u32 size;
	u32 offset;		/* bytes from the start of the area in the standard format */
	bool aligned;		/* aligned to 64 bytes in the compacted format */
};

/** cpuid_xstate_read() - Fill @xs for all state components */
void cpuid_xstate_read(const struct cpuid_env *env, struct cpuid_xstate xs[CPUID_NR_XSTATES]);
/**
 * cpuid_xstate_size() - Return the size in bytes of an XSAVE area that has @components
 * @compact: true for the compacted format (XSAVEC), false for the standard format (XSAVE)
 */
u32 cpuid_xstate_size(const struct cpuid_xstate xs[CPUID_NR_XSTATES], u64 components,
		      bool compact);

#define CPUID_NR_BASIC		0x40	/* 0x00000000.. */
#define CPUID_NR_HYPER		0x10	/* 0x40000000.. and 0x40000100.. */
#define CPUID_NR_EXT		0x40	/* 0x80000000.. */

/**
 * struct cpuid_index - chains of entries, one chain for each leaf
 *
 * Each u16 stands for an entry of the array of entries: it is 1 plus the entry's index, or 0 for
 * "no entry". @basic, @hyper and @ext have the first entry of each leaf. All other leaves share one
 * chain, whose first entry is @far. next[i] is the entry that follows entry i in its chain. A chain
 * has the array's order.
 */
struct cpuid_index {
	u16 basic[CPUID_NR_BASIC];
	u16 hyper[2][CPUID_NR_HYPER];
	u16 ext[CPUID_NR_EXT];
	u16 far;			/* first entry of leaves outside @basic, @hyper and @ext */
	bool amd;			/* AMD, Hygon: leaves out of range read as 0 */
	u16 next[];
};

/** cpuid_index_build() - Build the index of the @n entries @e; idx->next has room for @n */
void cpuid_index_build(struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, int n);

/** cpuid_lookup() - Return the index of the entry of @leaf and @sub, or -1 */
int cpuid_lookup(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, u32 leaf,
		 u32 sub);

/**
 * cpuid_plain() - Find the entry of @leaf, if it is a basic leaf without sub-leaves
 * Return: the entry; NULL if there is none (the caller then calls cpuid_answer())
 */
static inline const struct kvm_cpuid_entry2 *cpuid_plain(const struct cpuid_index *idx,
							 const struct kvm_cpuid_entry2 *e, u32 leaf)
{
	u16 i;

	if (leaf >= CPUID_NR_BASIC)
		return NULL;
	i = idx->basic[leaf];
	if (!i || e[i - 1].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)
		return NULL;
	return &e[i - 1];
}

/**
 * cpuid_answer() - Answer the CPUID instruction
 * @r: EAX and ECX on input, all four registers on output
 * Return: index of the entry whose data @r has, or -1 if there is no such entry
 *
 * For a leaf above the highest leaf of its range, CPUID returns the data of the highest basic leaf
 * (SDM "CPUID—CPU Identification"). With the vendor AMD or Hygon it returns zeros.
 */
int cpuid_answer(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e,
		 u32 r[CPUID_NR_REGS]);

#endif /* OKVM_X86_CPUID_TABLE_H */
