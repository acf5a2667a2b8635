// SPDX-License-Identifier: GPL-2.0-only
/*
 * Store the guest's memory-type range registers (MTRRs). They have no effect: guest memory is
 * write-back, as the host maps it. SDM "Memory Type Range Registers".
 */
#include <linux/nospec.h>

#include "x86/msr/msr_table.h"
#include "x86/msr/mtrr.h"

/* MTRRcap: 8 variable ranges, fixed ranges, write-combining. */
#define MTRR_CAP	(8ULL | BIT_ULL(8) | BIT_ULL(10))

/* Return the stored value of MTRR @msr, or NULL if there is no such MTRR. */
static u64 *mtrr_field(struct okvm_mtrr *mtrr, u32 msr)
{
	switch (msr) {
	case 0x200 ... 0x20f:
		return &mtrr->var[array_index_nospec(msr - 0x200, ARRAY_SIZE(mtrr->var))];
	case MSR_MTRRfix64K_00000:
		return &mtrr->fixed[0];
	case MSR_MTRRfix16K_80000:
	case MSR_MTRRfix16K_A0000:
		return &mtrr->fixed[array_index_nospec(1 + msr - MSR_MTRRfix16K_80000, 3)];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &mtrr->fixed[array_index_nospec(3 + msr - MSR_MTRRfix4K_C0000,
						       ARRAY_SIZE(mtrr->fixed))];
	case MSR_MTRRdefType:
		return &mtrr->deftype;
	default:
		return NULL;
	}
}

static bool mtrr_valid(const struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	u64 reserved = vcpu->arch->feat.gpa_reserved;
	int i;

	if (msr == MSR_MTRRdefType)
		return !(val & ~0xcffULL) && msr_mtrr_type_valid(val);
	if (msr >= 0x200 && msr <= 0x20f) {
		if (msr & 1)
			return !(val & (reserved | 0x7ff));
		return !(val & (reserved | 0xf00)) && msr_mtrr_type_valid(val);
	}
	for (i = 0; i < 64; i += 8)
		if (!msr_mtrr_type_valid(val >> i))
			return false;
	return true;
}

int okvm_mtrr_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	const u64 *field = mtrr_field(&vcpu->arch->mtrr, msr);

	if (msr == MSR_MTRRcap)
		*val = MTRR_CAP;
	else if (field)
		*val = *field;
	else
		return OKVM_MSR_UNKNOWN;
	return OKVM_MSR_OK;
}

int okvm_mtrr_set(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	u64 *field = mtrr_field(&vcpu->arch->mtrr, msr);

	if (!field)
		return OKVM_MSR_UNKNOWN;
	if (!mtrr_valid(vcpu, msr, val))
		return OKVM_MSR_GP;
	*field = val;
	return OKVM_MSR_OK;
}

void okvm_mtrr_reset(struct okvm_vcpu *vcpu)
{
	memset(&vcpu->arch->mtrr, 0, sizeof(vcpu->arch->mtrr));
}
