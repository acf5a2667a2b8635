/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MSRs of a guest as a table, and the one function that says whether an
 * access is legal, for the guest and for KVM_GET/SET_MSRS alike.
 */
#ifndef OKVM_X86_MSR_TABLE_H
#define OKVM_X86_MSR_TABLE_H

#include <linux/types.h>

/** enum msr_id - which state the MSRs of a row access; x86/msr/msr.c finds that state */
enum msr_id {
	/* No state: reads give the row's @value, writes are ignored. */
	MSR_ID_CONST,
	/* A field of the vCPU. */
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
	/* A field, unless the backend holds it. */
	MSR_ID_PAT,
	MSR_ID_STAR,
	MSR_ID_LSTAR,
	MSR_ID_CSTAR,
	MSR_ID_SFMASK,
	MSR_ID_KERNEL_GS_BASE,
	MSR_ID_TSC_AUX,
	/* Always held by the backend. */
	MSR_ID_BACKEND,
	/* Everything else has code of its own. */
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

/** enum msr_flag - how a row may be accessed */
enum msr_flag {
	MSR_F_LIST	= 1 << 0,	/* KVM_GET_MSR_INDEX_LIST names it */
	MSR_F_NO_READ	= 1 << 1,	/* reads are as of an unknown MSR */
	MSR_F_NO_WRITE	= 1 << 2,	/* writes are as of an unknown MSR */
	MSR_F_HOST_WRITE = 1 << 3,	/* the guest's writes #GP, userspace's do not */
	MSR_F_CANONICAL	= 1 << 4,	/* holds a linear address: else #GP */
	MSR_F_SIGN	= 1 << 5,	/* holds a linear address: made canonical */
	MSR_F_NEED_READ	= 1 << 6,	/* the row's need concerns reads only */
	MSR_F_GUEST_WIGN = 1 << 7,	/* the guest's writes are ignored */
};

/** enum msr_need - what the CPU and the guest's CPUID must have; bit numbers */
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
	MSR_NEED_INTEL,		/* not known on CPUs of AMD's, ... */
	MSR_NEED_AMD,		/* ... nor these on Intel's */
	MSR_NEED_TSC_RATIO,	/* no guest has it; userspace may save and restore it */
	MSR_NEED_OSVW,
	MSR_NEED_NEVER,		/* of features that no guest has, but KVM knows on Intel's CPUs */
};

/**
 * struct msr_row - one MSR or a range of alike ones
 * @first, @last: inclusive
 * @id: enum msr_id
 * @flags: enum msr_flag
 * @need: enum msr_need
 * @writable: bits that may be set; others #GP
 * @value: of MSR_ID_CONST
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
 * struct msr_env - who accesses, and what exists
 * @host: userspace, not the guest
 * @cpu: BIT(enum msr_need) of what the CPU and backend can do
 * @guest: ... of what the guest's CPUID says
 * @intel: it is Intel's, of whose MSRs KVM knows some that it has not
 * @linear_bits: width of linear addresses, 48 or 57
 */
struct msr_env {
	bool host, intel;
	u32 cpu, guest;
	u8 linear_bits;
};

/** enum msr_verdict - what msr_check_read() and msr_check_write() find */
enum msr_verdict {
	MSR_LEGAL,
	MSR_FAULT,	/* #GP */
	MSR_ABSENT,	/* there is no such MSR */
	MSR_IGNORE,	/* succeeds without effect */
};

extern const struct msr_row msr_rows[];
extern const unsigned int msr_nr_rows;

/** msr_find() - the row of @msr, or NULL */
const struct msr_row *msr_find(u32 msr);

/**
 * msr_spec_needs() - BIT(enum msr_need) of the speculation controls that CPUID tells of
 * @leaf7_edx, @ext8_ebx: EDX of leaf 7 (Intel's bits), EBX of leaf 80000008h (AMD's)
 */
u32 msr_spec_needs(u32 leaf7_edx, u32 ext8_ebx);

/**
 * msr_spec_ctrl_legal() - bits of SPEC_CTRL that CPUID tells of
 * @leaf7_2_edx: EDX of leaf 7, sub-leaf 2; the others as above
 */
u64 msr_spec_ctrl_legal(u32 leaf7_edx, u32 leaf7_2_edx, u32 ext8_ebx);

/** msr_check_read() - may @row be read? */
enum msr_verdict msr_check_read(const struct msr_row *row, const struct msr_env *env);

/** msr_check_write() - may *@val be written? May change it to what is to be stored */
enum msr_verdict msr_check_write(const struct msr_row *row, const struct msr_env *env, u64 *val);

/** msr_canonical() - is @addr a sign-extended @bits-wide number? */
static inline bool msr_canonical(u64 addr, u8 bits)
{
	return (u64)((s64)(addr << (64 - bits)) >> (64 - bits)) == addr;
}

/** msr_pat_valid() - each byte of a PAT value is a memory type that exists */
bool msr_pat_valid(u64 pat);
/** msr_mtrr_type_valid() - UC, WC, WT, WP or WB */
bool msr_mtrr_type_valid(u8 type);

#endif /* OKVM_X86_MSR_TABLE_H */
