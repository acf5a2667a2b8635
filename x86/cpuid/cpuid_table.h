/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID as tables and pure functions: which bits a guest may be offered, and
 * an index that answers the CPUID instruction without a search.
 */
#ifndef OKVM_X86_CPUID_TABLE_H
#define OKVM_X86_CPUID_TABLE_H

#include <linux/types.h>
#include <linux/kvm.h>

/** enum cpuid_reg - the four results, in the order of struct kvm_cpuid_entry2 */
enum cpuid_reg {
	CPUID_REG_EAX,
	CPUID_REG_EBX,
	CPUID_REG_ECX,
	CPUID_REG_EDX,
	CPUID_NR_REGS,
};

/**
 * struct cpuid_env - what the supported CPUID is made from
 * @host: the CPU's own answer
 * @kernel: bits of a feature register that the host kernel has not switched off; ~0 if it
 *	keeps no copy of that register
 * @xcr0, @xss: state components guests may enable
 * @pv: EAX of the paravirtual feature leaf 0x40000001
 * @invpcid, @rdtscp, @xsaves, @waitpkg: the backend lets guests use the instruction
 * @umip: natively or emulated
 * @pku: protection keys work for guests
 * @gbpages: guests have 1 GiB pages whatever the CPU has: shadow tables map them by smaller ones
 * @ibpb, @ibrs, @stibp, @ssbd: the kernel found the speculation controls, by whatever vendor's bit
 * @amd_ssbd: ... SSBD by AMD's
 * @ssb_no: stores are not bypassed, whether or not CPUID tells
 * @ext21_eax, @ext21_ecx: bits of leaf 80000021h that the kernel knows though CPUID may not tell
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
 * cpuid_supported() - everything a guest can be offered, in the form of KVM_GET_SUPPORTED_CPUID
 * Return: number of entries, or -E2BIG if @max are not enough
 */
int cpuid_supported(const struct cpuid_env *env, struct kvm_cpuid_entry2 *out, int max);

#define CPUID_NR_XSTATES	64

/** struct cpuid_xstate - one state component, from leaf 0xD */
struct cpuid_xstate {
	u32 size;
	u32 offset;		/* in the standard format */
	bool aligned;		/* to 64 bytes in the compacted format */
};

/** cpuid_xstate_read() - fill @xs for all components */
void cpuid_xstate_read(const struct cpuid_env *env, struct cpuid_xstate xs[CPUID_NR_XSTATES]);
/** cpuid_xstate_size() - bytes that XSAVE (XSAVEC if @compact) needs for @components */
u32 cpuid_xstate_size(const struct cpuid_xstate xs[CPUID_NR_XSTATES], u64 components,
		      bool compact);

#define CPUID_NR_BASIC		0x40	/* 0x00000000.. */
#define CPUID_NR_HYPER		0x10	/* 0x40000000.. and 0x40000100.. */
#define CPUID_NR_EXT		0x40	/* 0x80000000.. */

/**
 * struct cpuid_index - where a leaf's entries are
 *
 * Numbers are positions in the entry array plus one; 0 is none. @next chains
 * entries of one leaf in the array's order.
 */
struct cpuid_index {
	u16 basic[CPUID_NR_BASIC];
	u16 hyper[2][CPUID_NR_HYPER];
	u16 ext[CPUID_NR_EXT];
	u16 far;			/* first entry of no such leaf; chained too */
	bool amd;			/* AMD and Hygon: out of range gives zeros */
	u16 next[];
};

/** cpuid_index_build() - index @e; @idx has room for @n links of a chain */
void cpuid_index_build(struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, int n);

/** cpuid_lookup() - position of the entry of @leaf and @sub, or -1 */
int cpuid_lookup(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, u32 leaf,
		 u32 sub);

/**
 * cpuid_plain() - the one entry of a basic @leaf that has no sub-leaves, or NULL: ask
 * cpuid_answer()
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
 * cpuid_answer() - what the CPUID instruction returns
 * @r: EAX and ECX in, all four out
 * Return: the position of the entry used, or -1 if zeros were answered
 *
 * SDM "CPUID—CPU Identification": beyond the highest leaf of its class a leaf
 * gives the data of the highest basic leaf.
 */
int cpuid_answer(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e,
		 u32 r[CPUID_NR_REGS]);

#endif /* OKVM_X86_CPUID_TABLE_H */
