// SPDX-License-Identifier: GPL-2.0-only
/* SVM's capabilities, see caps.h. Pure. */
#include "svm/caps.h"

#define CPUID_SVM	BIT(2)		/* of leaf 80000001h, ECX */
#define LEAF_SVM	0x8000000au
/* APM "VM_CR MSR": SVMDIS switches EFER.SVME off, LOCK makes that last until a reset. */
#define VM_CR_LOCK	BIT(3)
#define VM_CR_SVMDIS	BIT(4)

static enum svm_caps_err caps_check(const struct svm_cpuid *cpu, const struct svm_caps *caps)
{
	if (cpu->ext_max < LEAF_SVM || !(cpu->ext_ecx & CPUID_SVM))
		return SVM_CAPS_NONE;
	if (cpu->vm_cr & VM_CR_SVMDIS)
		return cpu->vm_cr & VM_CR_LOCK ? SVM_CAPS_DISABLED : SVM_CAPS_UNLOCKED;
	/* The host's and one for guests. */
	if (caps->asids < 2)
		return SVM_CAPS_ASIDS;
	return caps->feats & SVM_FEAT_NPT ? SVM_CAPS_OK : SVM_CAPS_NO_NPT;
}

enum svm_caps_err svm_caps_adjust(const struct svm_cpuid *cpu, u32 allowed, struct svm_caps *caps)
{
	bool has_leaf = cpu->ext_max >= LEAF_SVM;

	caps->signature = cpu->leaf1_eax;
	caps->asids = has_leaf ? cpu->svm_ebx : 0;
	caps->feats = has_leaf ? cpu->svm_edx & SVM_FEAT_USED & allowed : 0;
	/* The threshold has no meaning without the filter. */
	if (!(caps->feats & SVM_FEAT_PAUSE))
		caps->feats &= ~SVM_FEAT_PAUSE_GAP;
	return caps_check(cpu, caps);
}
