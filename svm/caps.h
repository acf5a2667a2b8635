/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a CPU's SVM offers and the module's parameters leave of it: one structure, computed by a
 * pure function from CPUID and an MSR. Two CPUs are equal if their structures are: the stepping,
 * which may differ between sockets, is not in it.
 */
#ifndef OKVM_SVM_CAPS_H
#define OKVM_SVM_CAPS_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * struct svm_cpuid - what is read of a CPU
 * @leaf1_eax: CPUID 1 EAX: family, model, stepping
 * @ext_max: CPUID 80000000h EAX: the last extended leaf
 * @ext_ecx: CPUID 80000001h ECX
 * @svm_ebx, @svm_edx: CPUID 8000000Ah: number of ASIDs, features
 * @sev_eax, @sev_ecx: CPUID 8000001Fh: encryption of guests, and how many ASIDs it may have
 * @vm_cr: the VM_CR MSR; 0 if there is none
 * @encrypted: the kernel's memory is (SME, SEV), or the CPU guards it for guests (SNP)
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
	SVM_FEAT_NRIPS		= BIT(3),	/* exits tell the next RIP */
	SVM_FEAT_CLEAN		= BIT(5),	/* clean bits: parts of the VMCB may be cached */
	SVM_FEAT_FLUSH_ASID	= BIT(6),
	SVM_FEAT_DECODE		= BIT(7),	/* exits tell operands and instruction bytes */
	SVM_FEAT_PAUSE		= BIT(10),	/* pause filter */
	SVM_FEAT_PAUSE_GAP	= BIT(12),	/* ... with a threshold */
	SVM_FEAT_SPEC_CTRL	= BIT(20),	/* SPEC_CTRL is switched */
};

/* What okvm makes use of. */
#define SVM_FEAT_USED	(SVM_FEAT_NPT | SVM_FEAT_NRIPS | SVM_FEAT_CLEAN | \
			 SVM_FEAT_FLUSH_ASID | SVM_FEAT_DECODE | SVM_FEAT_PAUSE | \
			 SVM_FEAT_PAUSE_GAP | SVM_FEAT_SPEC_CTRL)

/**
 * struct svm_caps - what there is to use
 * @feats: enum svm_feat
 * @asid_first, @asids: the first ASID that guests get, and the first that there is not
 */
struct svm_caps {
	u32 feats;
	u32 asid_first, asids;
};

/** enum svm_caps_err - why a CPU cannot be used */
enum svm_caps_err {
	SVM_CAPS_OK,
	SVM_CAPS_NONE,		/* no SVM */
	SVM_CAPS_DISABLED,	/* by firmware, for good */
	SVM_CAPS_UNLOCKED,	/* switched off, but not for good */
	SVM_CAPS_ASIDS,		/* too few */
	SVM_CAPS_NO_NPT,	/* missing, or not allowed */
	SVM_CAPS_ENCRYPTED,	/* addresses would need the encryption bit */
	SVM_CAPS_ERRATUM,	/* a guest can stop the host */
};

/** svm_caps_adjust() - @allowed: enum svm_feat that parameters leave. @caps is set in any case */
enum svm_caps_err svm_caps_adjust(const struct svm_cpuid *cpu, u32 allowed, struct svm_caps *caps);

static inline bool svm_has(const struct svm_caps *caps, u32 feats)
{
	return !(feats & ~caps->feats);
}

#endif /* OKVM_SVM_CAPS_H */
