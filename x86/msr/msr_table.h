/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of a guest's MSRs, and functions that decide whether an access by the guest or by
 * KVM_GET/SET_MSRS is legal.
 */
#ifndef OKVM_X86_MSR_TABLE_H
#define OKVM_X86_MSR_TABLE_H

#include <linux/types.h>

/** enum msr_id - where the values of a row's MSRs are stored; used by x86/msr/msr.c */
enum msr_id {
	/* Not stored: reads return the row's @value, writes are ignored. */
	MSR_ID_CONST,
	/* A member of struct okvm_arch_vcpu. */
	MSR_ID_UCODE_REV,
	MSR_ID_PLATFORM_INFO,
	MSR_ID_ARCH_CAP,
	MSR_ID_TSX_CTRL,
	MSR_ID_MISC_FEATURES,
	MSR_ID_PERF_CAP,
	MSR_ID_FEAT_CTL,
	MSR_ID_UMWAIT,
	MSR_ID_POWER_CTL,
	MSR_ID_HWCR,
	MSR_ID_DE_CFG,
	MSR_ID_XSS,
	MSR_ID_SPEC_CTRL,
	/*
	 * A member of struct okvm_arch_vcpu, but the current value may be in the backend's
	 * registers.
	 */
	MSR_ID_PAT,
	MSR_ID_STAR,
	MSR_ID_LSTAR,
	MSR_ID_CSTAR,
	MSR_ID_SFMASK,
	MSR_ID_KERNEL_GS_BASE,
	MSR_ID_TSC_AUX,
	/* Always stored by the backend. */
	MSR_ID_BACKEND,
	/* x86/msr/msr.c has code of its own for each of the following. */
	MSR_ID_DEBUGCTL,
	MSR_ID_EFER,
	MSR_ID_APIC_BASE,
	MSR_ID_X2APIC,
	MSR_ID_TSC,
	MSR_ID_TSC_ADJUST,
	MSR_ID_TSC_DEADLINE,
	MSR_ID_MISC_ENABLE,
	MSR_ID_PRED_CMD,
	MSR_ID_FLUSH_CMD,
	MSR_ID_MTRR,
	MSR_ID_MCE,
	MSR_ID_PV,
	MSR_NR_IDS,
};

/** enum msr_flag - which accesses a row allows */
enum msr_flag {
	MSR_F_LIST	= 1 << 0,	/* KVM_GET_MSR_INDEX_LIST lists it */
	MSR_F_NO_READ	= 1 << 1,	/* reads fail as for unknown MSRs */
	MSR_F_NO_WRITE	= 1 << 2,	/* writes fail as for unknown MSRs */
	MSR_F_HOST_WRITE = 1 << 3,	/* guest's writes raise #GP, userspace's succeed */
	MSR_F_CANONICAL	= 1 << 4,	/* a non-canonical value raises #GP */
	MSR_F_SIGN	= 1 << 5,	/* a written value is made canonical */
	MSR_F_NEED_READ	= 1 << 6,	/* @need applies to reads only */
	MSR_F_GUEST_WIGN = 1 << 7,	/* the guest's writes are ignored */
	MSR_F_NEED_WRITE = 1 << 8,	/* @need applies to writes only */
	/* both flags: @need applies only to the list of KVM_GET_MSR_INDEX_LIST, not to accesses */
	MSR_F_NEED_LIST	= MSR_F_NEED_READ | MSR_F_NEED_WRITE,
};

/** enum msr_need - features that MSRs depend on; the values are bit numbers */
enum msr_need {
	MSR_NEED_NONE,
	MSR_NEED_TSC_AUX,	/* RDTSCP or RDPID */
	MSR_NEED_SPEC_CTRL,
	MSR_NEED_IBPB,
	MSR_NEED_L1D_FLUSH,
	MSR_NEED_ARCH_CAP,
	MSR_NEED_TSX_CTRL,
	MSR_NEED_UMWAIT,
	MSR_NEED_XSAVES,
	MSR_NEED_PDCM,
	MSR_NEED_INTEL,		/* guests have the MSR on Intel hosts only */
	MSR_NEED_AMD,		/* guests have the MSR on AMD hosts only */
	/* The feature is never in a guest's CPUID. Userspace may read and write the MSR. */
	MSR_NEED_TSC_RATIO,
	MSR_NEED_LBR,
	MSR_NEED_OSVW,
	/*
	 * No guest has the feature. On Intel hosts a failed access counts as "invalid", not
	 * "unknown".
	 */
	MSR_NEED_NEVER,
};

/**
 * struct msr_row - one MSR or a range of similar MSRs
 * @first, @last: numbers, inclusive
 * @id: enum msr_id
 * @flags: enum msr_flag
 * @need: enum msr_need
 * @writable: bits that may be 1 in a written value; other bits raise #GP
 * @value: value that a read returns, if @id is MSR_ID_CONST
 */
struct msr_row {
	u32 first, last;
	u8 id;
	u8 need;
	u16 flags;
	u64 writable;
	u64 value;
};

/**
 * struct msr_env - who makes an access, and which features exist
 * @host: userspace accesses the MSR, not the guest
 * @intel: the CPU is Intel's
 * @cpu: BIT(enum msr_need) of the features that CPU and backend have
 * @guest: BIT(enum msr_need) of the features in the guest's CPUID
 * @linear_bits: width of linear addresses, 48 or 57
 */
struct msr_env {
	bool host, intel;
	u32 cpu, guest;
	u8 linear_bits;
};

/** enum msr_verdict - result of msr_check_read() and msr_check_write() */
enum msr_verdict {
	MSR_LEGAL,
	MSR_FAULT,	/* #GP */
	MSR_ABSENT,	/* there is no such MSR */
	MSR_IGNORE,	/* succeeds without effect */
};

extern const struct msr_row msr_rows[];
extern const unsigned int msr_nr_rows;

/** msr_find() - Return the row of @msr, or NULL */
const struct msr_row *msr_find(u32 msr);

/**
 * msr_spec_needs() - Return BIT(enum msr_need) of the speculation-control MSRs that exist
 * @leaf7_edx: EDX of leaf 7 (Intel's bits)
 * @ext8_ebx: EBX of leaf 80000008h (AMD's bits)
 */
u32 msr_spec_needs(u32 leaf7_edx, u32 ext8_ebx);

/**
 * msr_spec_ctrl_legal() - Return the bits that are legal in SPEC_CTRL
 * @leaf7_edx: EDX of leaf 7, sub-leaf 0
 * @leaf7_2_edx: EDX of leaf 7, sub-leaf 2
 * @ext8_ebx: EBX of leaf 80000008h
 */
u64 msr_spec_ctrl_legal(u32 leaf7_edx, u32 leaf7_2_edx, u32 ext8_ebx);

/** msr_check_read() - Decide whether the MSRs of @row may be read */
enum msr_verdict msr_check_read(const struct msr_row *row, const struct msr_env *env);

/**
 * msr_check_write() - Decide whether *@val may be written to the MSRs of @row
 * @val: changed to the value to be stored
 */
enum msr_verdict msr_check_write(const struct msr_row *row, const struct msr_env *env, u64 *val);

/** msr_canonical() - Return true if @addr is a sign-extended number of @bits bits */
static inline bool msr_canonical(u64 addr, u8 bits)
{
	return (u64)((s64)(addr << (64 - bits)) >> (64 - bits)) == addr;
}

/** msr_pat_valid() - Return true if each byte of the IA32_PAT value @pat is a valid memory type */
bool msr_pat_valid(u64 pat);
/** msr_mtrr_type_valid() - Return true if @type is UC, WC, WT, WP or WB */
bool msr_mtrr_type_valid(u8 type);

#endif /* OKVM_X86_MSR_TABLE_H */
