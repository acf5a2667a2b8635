// SPDX-License-Identifier: GPL-2.0-only
/* Compute struct svm_caps from CPUID, VM_CR and the module parameters. All functions are pure. */
#include "svm/caps.h"

#define CPUID_SVM	BIT(2)		/* in leaf 80000001h, ECX */
#define LEAF_SVM	0x8000000au
#define LEAF_SEV	0x8000001fu
#define CPUID_SEV	BIT(1)		/* in leaf 8000001Fh, EAX */
/* APM "VM_CR MSR": SVMDIS forces EFER.SVME to 0, and LOCK locks SVMDIS until a reset. */
#define VM_CR_LOCK	BIT(3)
#define VM_CR_SVMDIS	BIT(4)

/*
 * Return a CPU's family. The extended family is added if the base family is 0Fh (APM vol. 3 "CPUID
 * Fn0000_0001_EAX").
 */
static u32 family(u32 signature)
{
	u32 base = signature >> 8 & 0xf;

	return base == 0xf ? base + (signature >> 20 & 0xff) : base;
}

/*
 * Return the lowest ASID for guests. ASID 0 is the host's. On a CPU with SEV, the lowest ASIDs are
 * for encrypted guests. Do not use these, because the TLB may still have translations of an
 * encrypted guest that has ended: kvm_amd flushes them only before another encrypted guest uses the
 * ASID. But if half of all ASIDs or more are for encrypted guests, use these ASIDs, too.
 */
static u32 asid_first(const struct svm_cpuid *cpu, u32 asids)
{
	if (cpu->ext_max < LEAF_SEV || !(cpu->sev_eax & CPUID_SEV) || cpu->sev_ecx >= asids / 2)
		return 1;
	return cpu->sev_ecx + 1;
}

/*
 * Return why the CPU cannot be used, or SVM_CAPS_OK if it can be used. The reason for
 * SVM_CAPS_ERRATUM is erratum 383 of family 10h: a guest can make the TLB hold two entries for one
 * address, which causes a machine check. Upstream recognizes this machine check and kills only the
 * guest. okvm does not recognize it, so the machine check would kill the host.
 */
static enum svm_caps_err caps_check(const struct svm_cpuid *cpu, const struct svm_caps *caps)
{
	if (cpu->ext_max < LEAF_SVM || !(cpu->ext_ecx & CPUID_SVM))
		return SVM_CAPS_NONE;
	if (cpu->vm_cr & VM_CR_SVMDIS)
		return cpu->vm_cr & VM_CR_LOCK ? SVM_CAPS_DISABLED : SVM_CAPS_UNLOCKED;
	if (cpu->encrypted)
		return SVM_CAPS_ENCRYPTED;
	if (family(cpu->leaf1_eax) == 0x10)
		return SVM_CAPS_ERRATUM;
	/* ASID 0 is the host's: guests need at least one more. */
	return caps->asids < 2 ? SVM_CAPS_ASIDS : SVM_CAPS_OK;
}

enum svm_caps_err svm_caps_adjust(const struct svm_cpuid *cpu, u32 allowed, struct svm_caps *caps)
{
	bool has_leaf = cpu->ext_max >= LEAF_SVM;

	caps->asids = has_leaf ? cpu->svm_ebx : 0;
	caps->asid_first = asid_first(cpu, caps->asids);
	caps->feats = has_leaf ? cpu->svm_edx & SVM_FEAT_USED & allowed : 0;
	/* The pause-filter threshold has no effect without the pause filter. */
	if (!(caps->feats & SVM_FEAT_PAUSE))
		caps->feats &= ~SVM_FEAT_PAUSE_GAP;
	return caps_check(cpu, caps);
}
