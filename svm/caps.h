/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct svm_caps contains the SVM features that okvm uses. A pure function computes it from CPUID,
 * the MSR VM_CR and the module parameters. Two CPUs have the same features if their structures are
 * equal. The structure does not contain the stepping, which may differ between sockets.
 */
#ifndef OKVM_SVM_CAPS_H
#define OKVM_SVM_CAPS_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * struct svm_cpuid - CPUID and VM_CR of a CPU
 * @leaf1_eax: CPUID 1 EAX: family, model, stepping
 * @ext_max: CPUID 80000000h EAX: the highest extended leaf
 * @ext_ecx: CPUID 80000001h ECX
 * @svm_ebx, @svm_edx: CPUID 8000000Ah: number of ASIDs, SVM features
 * @sev_eax, @sev_ecx: CPUID 8000001Fh: SEV features, number of ASIDs for encrypted guests
 * @vm_cr: the MSR VM_CR; 0 if the CPU does not have it
 * @encrypted: the kernel's memory is encrypted (SME, SEV), or SNP is enabled
 */
struct svm_cpuid {
	u32 leaf1_eax;
	u32 ext_max, ext_ecx;
	u32 svm_ebx, svm_edx;
	u32 sev_eax, sev_ecx;
	u64 vm_cr;
	bool encrypted;
};

/** enum svm_feat - bits of CPUID 8000000Ah EDX (APM "SVM Revision and Feature Identification") */
enum svm_feat {
	SVM_FEAT_NPT		= BIT(0),	/* nested paging */
	SVM_FEAT_LBRV		= BIT(1),	/* VMRUN can switch the last-branch MSRs */
	SVM_FEAT_NRIPS		= BIT(3),	/* exits report the next RIP */
	SVM_FEAT_TSC_RATIO	= BIT(4),	/* the CPU scales the guest's TSC */
	SVM_FEAT_CLEAN		= BIT(5),	/* clean bits: the CPU may cache VMCB fields */
	SVM_FEAT_FLUSH_ASID	= BIT(6),
	SVM_FEAT_DECODE		= BIT(7),	/* exits report operands, instruction bytes */
	SVM_FEAT_PAUSE		= BIT(10),	/* pause filter */
	SVM_FEAT_PAUSE_GAP	= BIT(12),	/* pause-filter threshold */
	SVM_FEAT_SPEC_CTRL	= BIT(20),	/* VMRUN and #VMEXIT switch SPEC_CTRL */
	SVM_FEAT_VNMI		= BIT(25),	/* virtual NMIs: masked and delivered by the CPU */
};

/* The features that okvm can use. */
#define SVM_FEAT_USED	(SVM_FEAT_NPT | SVM_FEAT_NRIPS | SVM_FEAT_CLEAN | \
			 SVM_FEAT_FLUSH_ASID | SVM_FEAT_DECODE | SVM_FEAT_PAUSE | \
			 SVM_FEAT_PAUSE_GAP | SVM_FEAT_SPEC_CTRL | SVM_FEAT_TSC_RATIO | \
			 SVM_FEAT_VNMI | SVM_FEAT_LBRV)

/**
 * struct svm_caps - the SVM features that okvm uses
 * @feats: enum svm_feat
 * @asid_first, @asids: guests use the ASIDs from @asid_first to @asids - 1
 */
struct svm_caps {
	u32 feats;
	u32 asid_first, asids;
};

/** enum svm_caps_err - why okvm cannot use a CPU */
enum svm_caps_err {
	SVM_CAPS_OK,
	SVM_CAPS_NONE,		/* the CPU has no SVM */
	SVM_CAPS_DISABLED,	/* firmware has disabled SVM and locked this setting */
	SVM_CAPS_UNLOCKED,	/* SVM is disabled, but not locked */
	SVM_CAPS_ASIDS,		/* the CPU has no ASID for guests */
	SVM_CAPS_ENCRYPTED,	/* host memory is encrypted, which okvm does not support */
	SVM_CAPS_ERRATUM,	/* an erratum lets a guest crash the host */
};

/**
 * svm_caps_adjust() - compute struct svm_caps
 * @allowed: the features that the module parameters allow (enum svm_feat)
 * @caps: output, also set if the CPU cannot be used
 */
enum svm_caps_err svm_caps_adjust(const struct svm_cpuid *cpu, u32 allowed, struct svm_caps *caps);

static inline bool svm_has(const struct svm_caps *caps, u32 feats)
{
	return !(feats & ~caps->feats);
}

#endif /* OKVM_SVM_CAPS_H */
