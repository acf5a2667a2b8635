// SPDX-License-Identifier: GPL-2.0-only
/*
 * Store the guest's machine-check banks. Userspace injects errors into them by KVM_X86_SET_MCE. SDM
 * "Machine-Check Architecture".
 */
#include <linux/nospec.h>

#include <asm/mce.h>
#include <asm/trapnr.h>

#include "x86/cpu/event.h"
#include "x86/msr/mce.h"

#define CTL2_BITS	(MCI_CTL2_CMCI_EN | 0x7fffULL)

/* The bits of MCG_CAP that KVM_X86_SETUP_MCE accepts, besides the number of banks. */
static u64 mce_cap(u32 caps)
{
	return MCG_CTL_P | MCG_SER_P | (caps & OKVM_HW_CMCI ? MCG_CMCI_P | MCG_LMCE_P : 0);
}

void okvm_mce_create(struct okvm_vcpu *vcpu)
{
	struct okvm_mce *mce = &vcpu->arch->mce;

	memset(mce, 0, sizeof(*mce));
	mce->cap = OKVM_MCE_BANKS;
}

static unsigned int nr_banks(const struct okvm_mce *mce)
{
	return mce->cap & MCG_BANKCNT_MASK;
}

/* Return the address of bank register @msr's value, or NULL if the guest has no such bank. */
static u64 *bank_field(struct okvm_mce *mce, u32 msr)
{
	u32 n = nr_banks(mce);

	if (msr >= MSR_IA32_MC0_CTL && msr < MSR_IA32_MCx_CTL(n))
		return &mce->bank[array_index_nospec(msr - MSR_IA32_MC0_CTL, 4 * n)];
	if (msr >= MSR_IA32_MC0_CTL2 && msr < MSR_IA32_MCx_CTL2(n))
		return &mce->ctl2[array_index_nospec(msr - MSR_IA32_MC0_CTL2, n)];
	return NULL;
}

static bool is_ctl2(u32 msr)
{
	return msr >= MSR_IA32_MC0_CTL2 && msr < MSR_IA32_MCx_CTL2(OKVM_MCE_BANKS);
}

/* Return true if the guest can access IA32_MCG_EXT_CTL (SDM "IA32_MCG_EXT_CTL MSR"). */
static bool has_ext_ctl(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mce.cap & MCG_LMCE_P && vcpu->arch->feat_ctl & FEAT_CTL_LMCE_ENABLED;
}

int okvm_mce_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host)
{
	struct okvm_mce *mce = &vcpu->arch->mce;
	const u64 *field;

	switch (msr) {
	case MSR_IA32_MCG_CAP:
		*val = mce->cap;
		return OKVM_MSR_OK;
	case MSR_IA32_MCG_STATUS:
		*val = mce->status;
		return OKVM_MSR_OK;
	case MSR_IA32_MCG_CTL:
		*val = mce->ctl;
		return mce->cap & MCG_CTL_P || host ? OKVM_MSR_OK : OKVM_MSR_GP;
	case MSR_IA32_MCG_EXT_CTL:
		*val = mce->ext_ctl;
		return host || has_ext_ctl(vcpu) ? OKVM_MSR_OK : OKVM_MSR_GP;
	}
	field = bank_field(mce, msr);
	if (!field || (is_ctl2(msr) && !(mce->cap & MCG_CMCI_P) && !host))
		return OKVM_MSR_GP;
	*val = *field;
	return OKVM_MSR_OK;
}

/*
 * Return true if @val is legal for bank register @msr. CTL: either 0, or all bits are 1 (but bits 0
 * and 10 may have any value). STATUS: if HWCR.McStatusWrEn is 0, the guest may only write 0.
 */
static bool bank_value_valid(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	if (is_ctl2(msr)) {
		if (!(vcpu->arch->mce.cap & MCG_CMCI_P) && (val || !host))
			return false;
		return !(val & ~CTL2_BITS);
	}
	switch ((msr - MSR_IA32_MC0_CTL) & 3) {
	case 0:
		/*
		 * Bits 0 and 10 may be clear: UnixWare clears bit 0, and Linux clears bit 10 (on
		 * AMD K8), because the CPU reports spurious errors of these kinds.
		 */
		return !val || (val | BIT_ULL(10) | 1) == ~0ULL;
	case 1:
		return host || !val || vcpu->arch->hwcr & BIT_ULL(18);
	default:
		return true;
	}
}

int okvm_mce_set(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	struct okvm_mce *mce = &vcpu->arch->mce;
	u64 *field;

	switch (msr) {
	case MSR_IA32_MCG_STATUS:
		mce->status = val;
		return OKVM_MSR_OK;
	case MSR_IA32_MCG_CTL:
		if (!(mce->cap & MCG_CTL_P) && (val || !host))
			return OKVM_MSR_GP;
		if (val && val != ~0ULL)
			return OKVM_MSR_GP;
		mce->ctl = val;
		return OKVM_MSR_OK;
	case MSR_IA32_MCG_EXT_CTL:
		if ((!host && !has_ext_ctl(vcpu)) || val & ~MCG_EXT_CTL_LMCE_EN)
			return OKVM_MSR_GP;
		mce->ext_ctl = val;
		return OKVM_MSR_OK;
	}
	field = bank_field(mce, msr);
	if (!field || !bank_value_valid(vcpu, msr, val, host))
		return OKVM_MSR_GP;
	*field = val;
	return OKVM_MSR_OK;
}

/* ---- ioctls ---- */

static long ioc_mce_cap_supported(union okvm_ioctl_arg arg)
{
	*(u64 *)arg.data = mce_cap(okvm_default_offer->caps);
	return 0;
}

static long ioc_setup_mce(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct okvm_mce *mce = &vcpu->arch->mce;
	u64 cap = *(u64 *)arg.data;
	unsigned int i, n = cap & MCG_BANKCNT_MASK;

	if (!n || n > OKVM_MCE_BANKS)
		return okvm_refuse_vcpu(vcpu, "KVM_X86_SETUP_MCE: no banks, or more than 32");
	if (cap & ~(mce_cap(vcpu->vm->caps) | 0xffULL | 0xff0000ULL))
		return okvm_refuse_vcpu(vcpu, "KVM_X86_SETUP_MCE: unknown bits");
	mce->cap = cap;
	if (cap & MCG_CTL_P)
		mce->ctl = ~0ULL;
	for (i = 0; i < n; i++)
		mce->bank[4 * i] = ~0ULL;
	memset(mce->ctl2, 0, sizeof(mce->ctl2));
	okvm_mce_apic(vcpu);
	return 0;
}

/* Write an error to a bank, whose registers are CTL, STATUS, ADDR and MISC. */
static void record(u64 *bank, const struct kvm_x86_mce *err, u64 status)
{
	bank[1] = status;
	bank[2] = err->addr;
	bank[3] = err->misc;
}

static bool is_ucna(const struct kvm_x86_mce *err)
{
	return !err->mcg_status && err->status & MCI_STATUS_UC &&
	       !(err->status & (MCI_STATUS_PCC | MCI_STATUS_S | MCI_STATUS_AR));
}

/* Record an uncorrected error without action. If the bank's CTL2 asks for it, send a CMCI. */
static void no_action(struct okvm_vcpu *vcpu, u64 *bank, const struct kvm_x86_mce *err, u64 ctl2)
{
	struct okvm_mce *mce = &vcpu->arch->mce;

	record(bank, err, err->status);
	mce->status = err->mcg_status;
	if (mce->cap & MCG_CMCI_P && ctl2 & MCI_CTL2_CMCI_EN && okvm_lapic_in_kernel(vcpu))
		okvm_apic_cmci(vcpu);
}

static void uncorrected(struct okvm_vcpu *vcpu, u64 *bank, const struct kvm_x86_mce *err)
{
	struct okvm_mce *mce = &vcpu->arch->mce;
	u64 over = bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0;

	/*
	 * Ignore the error unless all bits of the bank's MCi_CTL and, if present, of MCG_CTL are 1.
	 */
	if ((mce->cap & MCG_CTL_P && mce->ctl != ~0ULL) || bank[0] != ~0ULL)
		return;
	if (mce->status & MCG_STATUS_MCIP || !(okvm_cr4(vcpu) & X86_CR4_MCE)) {
		okvm_request(OKVM_REQ_TRIPLE_FAULT, vcpu);
		return;
	}
	record(bank, err, err->status | over);
	mce->status = err->mcg_status;
	okvm_queue_exception(vcpu, X86_TRAP_MC);
}

/* Record a corrected error. If the bank already has an uncorrected one, only set the OVER bit. */
static void corrected(u64 *bank, const struct kvm_x86_mce *err)
{
	u64 over = bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0;

	if (over && bank[1] & MCI_STATUS_UC)
		bank[1] |= MCI_STATUS_OVER;
	else
		record(bank, err, err->status | over);
}

static long ioc_set_mce(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_x86_mce *err = arg.data;
	struct okvm_mce *mce = &vcpu->arch->mce;
	u32 n = nr_banks(mce), i;
	u64 *bank;

	if (err->bank >= n)
		return okvm_refuse_vcpu(vcpu, "KVM_X86_SET_MCE: no such bank");
	if (!(err->status & MCI_STATUS_VAL))
		return okvm_refuse_vcpu(vcpu, "KVM_X86_SET_MCE: status without bit 63 (valid)");
	i = array_index_nospec(err->bank, n);
	bank = &mce->bank[4 * i];
	if (is_ucna(err))
		no_action(vcpu, bank, err, mce->ctl2[i]);
	else if (err->status & MCI_STATUS_UC)
		uncorrected(vcpu, bank, err);
	else
		corrected(bank, err);
	return 0;
}

const struct okvm_ioctl okvm_mce_sys_ioctls[] = {
	{ KVM_X86_GET_MCE_CAP_SUPPORTED,	0, { .sys = ioc_mce_cap_supported } },
	{ }
};

const struct okvm_ioctl okvm_mce_vcpu_ioctls[] = {
	{ KVM_X86_SETUP_MCE,	OKVM_IOC_LOAD, { .vcpu = ioc_setup_mce } },
	{ KVM_X86_SET_MCE,	OKVM_IOC_LOAD, { .vcpu = ioc_set_mce } },
	{ }
};
