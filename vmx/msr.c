// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs whose guest values are in hardware: VMCS fields and "user-return MSRs". The kernel itself
 * does not use the user-return MSRs, so the host's values need to be restored only before userspace
 * runs.
 */
#include <linux/percpu.h>
#include <linux/user-return-notifier.h>

#include <asm/msr.h>
#include <asm/nospec-branch.h>

#include "vmx/vmx.h"
#include "x86/msr/msr_filter.h"

/* ---- user-return MSRs ---- */

static const u32 uret_candidates[] = {
	MSR_LSTAR, MSR_STAR, MSR_SYSCALL_MASK, MSR_CSTAR, MSR_TSC_AUX, MSR_IA32_TSX_CTRL,
};

static_assert(ARRAY_SIZE(uret_candidates) <= VMX_NR_URET);

enum { URET_EFER = VMX_NR_URET, URET_SLOTS };

static bool uret_present[VMX_NR_URET];
static bool uret_efer;		/* EFER.SCE is switched here: VM entry cannot load EFER */

struct uret_cpu {
	u64 host[URET_SLOTS];
	u64 now[URET_SLOTS];
	bool host_read;		/* @host has been read on this CPU */
	bool guests;		/* at least one MSR of this CPU has a guest's value */
#ifdef CONFIG_USER_RETURN_NOTIFIER
	struct user_return_notifier urn;
	bool registered;
#endif
};

static DEFINE_PER_CPU(struct uret_cpu, uret_cpu);
DEFINE_PER_CPU(const struct okvm_hw_vcpu *, vmx_uret_owner);

static u32 uret_msr(unsigned int slot)
{
	return slot == URET_EFER ? MSR_EFER : uret_candidates[slot];
}

static bool uret_used(unsigned int slot)
{
	return slot == URET_EFER ? uret_efer : uret_present[slot];
}

/*
 * Return true if guests on this host may have the MSR. If the host has disabled TSX, guests must
 * not have TSX_CTRL: they could enable TSX, which the host's administrator may consider unsafe.
 */
static bool uret_wanted_on_host(u32 msr)
{
	return msr != MSR_IA32_TSX_CTRL || boot_cpu_has(X86_FEATURE_RTM);
}

void vmx_uret_init(void)
{
	unsigned int i;
	u64 val;

	for (i = 0; i < ARRAY_SIZE(uret_candidates); i++)
		uret_present[i] = uret_wanted_on_host(uret_candidates[i]) &&
				  !rdmsrl_safe(uret_candidates[i], &val) &&
				  !wrmsrl_safe(uret_candidates[i], val);
	uret_efer = !(vmx_caps.entry & VM_ENTRY_LOAD_IA32_EFER);
}

/* Restore the host's values. Called with IRQs off. */
static void uret_restore(struct uret_cpu *c)
{
	unsigned int i;

	if (!c->guests)
		return;
	c->guests = false;
	this_cpu_write(vmx_uret_owner, NULL);
	for (i = 0; i < URET_SLOTS; i++) {
		if (!uret_used(i) || c->now[i] == c->host[i])
			continue;
		wrmsrl(uret_msr(i), c->host[i]);
		c->now[i] = c->host[i];
	}
}

#ifdef CONFIG_USER_RETURN_NOTIFIER
static void uret_on_return(struct user_return_notifier *urn)
{
	struct uret_cpu *c = container_of(urn, struct uret_cpu, urn);
	unsigned long flags;

	/* Disable IRQs, because an IPI may call vmx_uret_cpu_off(). */
	local_irq_save(flags);
	if (c->registered) {
		c->registered = false;
		user_return_notifier_unregister(urn);
	}
	uret_restore(c);
	local_irq_restore(flags);
}

static void uret_notifier_register(struct uret_cpu *c)
{
	if (c->registered)
		return;
	c->registered = true;
	c->urn.on_user_return = uret_on_return;
	user_return_notifier_register(&c->urn);
}

void vmx_uret_put(void)
{
}

void vmx_uret_cpu_off(void)
{
	struct uret_cpu *c = this_cpu_ptr(&uret_cpu);

	if (c->registered)
		uret_on_return(&c->urn);
	c->host_read = false;
	this_cpu_write(vmx_uret_owner, NULL);
}
#else
static void uret_notifier_register(struct uret_cpu *c)
{
}

void vmx_uret_put(void)
{
	unsigned long flags;

	local_irq_save(flags);
	uret_restore(this_cpu_ptr(&uret_cpu));
	local_irq_restore(flags);
}

void vmx_uret_cpu_off(void)
{
	uret_restore(this_cpu_ptr(&uret_cpu));
	this_cpu_write(uret_cpu.host_read, false);
	this_cpu_write(vmx_uret_owner, NULL);
}
#endif

static void uret_read_host(struct uret_cpu *c)
{
	unsigned int i;

	for (i = 0; i < URET_SLOTS; i++) {
		if (!uret_used(i))
			continue;
		rdmsrl(uret_msr(i), c->host[i]);
		c->now[i] = c->host[i];
	}
	c->host_read = true;
}

static u64 uret_guest_value(const struct okvm_hw_vcpu *hw, unsigned int slot, u64 host)
{
	if (slot == URET_EFER)
		return (host & ~(u64)EFER_SCE) | (hw->vcpu->arch->efer & EFER_SCE);
	/*
	 * Keep the host's CPUID_CLEAR: it changes only what CPUID reports to the host. The guest's
	 * CPUID is emulated.
	 */
	if (uret_candidates[slot] == MSR_IA32_TSX_CTRL)
		return (host & TSX_CTRL_CPUID_CLEAR) | (hw->uret[slot] & ~TSX_CTRL_CPUID_CLEAR);
	return hw->uret[slot];
}

/* Return false if the MSR need not be loaded, because the guest cannot read or use it. */
static bool uret_visible(const struct okvm_hw_vcpu *hw, unsigned int slot)
{
	const struct okvm_arch_vcpu *arch = hw->vcpu->arch;

	if (slot == URET_EFER || uret_candidates[slot] == MSR_IA32_TSX_CTRL)
		return true;
	if (uret_candidates[slot] == MSR_TSC_AUX)
		return arch->feat.rdtscp || arch->feat.rdpid;
	return arch->efer & EFER_LMA && arch->efer & EFER_SCE;
}

static u8 uret_wanted(const struct okvm_hw_vcpu *hw)
{
	unsigned int i;
	u8 mask = 0;

	for (i = 0; i < URET_SLOTS; i++)
		if (uret_used(i) && uret_visible(hw, i))
			mask |= BIT(i);
	return mask;
}

void vmx_uret_load(struct okvm_hw_vcpu *hw)
{
	struct uret_cpu *c = this_cpu_ptr(&uret_cpu);
	unsigned int i, mask;
	u64 val;

	if (unlikely(!c->host_read))
		uret_read_host(c);
	if (hw->uret_stale)
		hw->uret_mask = uret_wanted(hw);
	this_cpu_write(vmx_uret_owner, hw);
	for (mask = hw->uret_mask; mask; mask &= mask - 1) {
		i = __ffs(mask);
		val = uret_guest_value(hw, i, c->host[i]);
		if (val == c->now[i] || wrmsrl_safe(uret_msr(i), val))
			continue;
		c->now[i] = val;
		c->guests = true;
		uret_notifier_register(c);
	}
}

static int uret_slot(u32 msr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(uret_candidates); i++)
		if (uret_candidates[i] == msr)
			return i;
	return -1;
}

/* ---- the MSR bitmap: accesses whose bit is 1 exit (SDM "MSR-Bitmap Address") ---- */

void vmx_msr_intercept(struct vmx_vmcs *vmcs, u32 msr, bool read, bool write)
{
	unsigned int bit = msr & 0x1fff;
	void *half = vmcs->msr_bitmap;

	if (msr >= 0xc0000000)
		half += 0x400;
	if (read)
		__set_bit(bit, half);
	else
		__clear_bit(bit, half);
	if (write)
		__set_bit(bit, half + 0x800);
	else
		__clear_bit(bit, half + 0x800);
}

static void msr_pass_through(struct okvm_vcpu *vcpu, u32 msr, bool read, bool write)
{
	vmx_msr_intercept(&to_hw(vcpu)->vmcs, msr, !(read && okvm_msr_allowed(vcpu, msr, false)),
			  !(write && okvm_msr_allowed(vcpu, msr, true)));
}

static void pass_spec_ctrl(struct okvm_vcpu *vcpu)
{
	if (static_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) && to_hw(vcpu)->spec_ctrl_direct)
		msr_pass_through(vcpu, MSR_IA32_SPEC_CTRL, true, true);
}

/* ---- MSRs that are VMCS fields ---- */

struct msr_field {
	u32 msr;
	u32 field;
};

static const struct msr_field msr_fields[] = {
	{ MSR_FS_BASE, GUEST_FS_BASE },
	{ MSR_GS_BASE, GUEST_GS_BASE },
	{ MSR_IA32_SYSENTER_CS, GUEST_SYSENTER_CS },
	{ MSR_IA32_SYSENTER_ESP, GUEST_SYSENTER_ESP },
	{ MSR_IA32_SYSENTER_EIP, GUEST_SYSENTER_EIP },
};

static u32 msr_field(u32 msr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msr_fields); i++)
		if (msr_fields[i].msr == msr)
			return msr_fields[i].field;
	return 0;
}

static u64 read_kernel_gs(struct okvm_hw_vcpu *hw)
{
	preempt_disable();
	if (hw->host_saved)
		rdmsrl(MSR_KERNEL_GS_BASE, hw->kernel_gs_base);
	preempt_enable();
	return hw->kernel_gs_base;
}

static void write_kernel_gs(struct okvm_hw_vcpu *hw, u64 val)
{
	preempt_disable();
	hw->kernel_gs_base = val;
	if (hw->host_saved)
		wrmsrl(MSR_KERNEL_GS_BASE, val);
	preempt_enable();
}

int vmx_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 field = msr_field(msr);
	int slot;

	if (field) {
		*val = vmcs_read(field);
		return 0;
	}
	switch (msr) {
	case MSR_KERNEL_GS_BASE:
		*val = read_kernel_gs(hw);
		return 0;
	case MSR_IA32_SPEC_CTRL:
		*val = hw->spec_ctrl;
		return 0;
	case MSR_IA32_CR_PAT:
		*val = vcpu->arch->pat;
		return 0;
	}
	slot = uret_slot(msr);
	if (slot < 0)
		return -ENOENT;
	*val = hw->uret[slot];
	return 0;
}

static void set_spec_ctrl(struct okvm_vcpu *vcpu, u64 val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	hw->spec_ctrl = val;
	vcpu->arch->spec_ctrl = val;
	if (!val || hw->spec_ctrl_direct)
		return;
	/* A guest that writes SPEC_CTRL once will probably write it often: stop intercepting it. */
	hw->spec_ctrl_direct = true;
	pass_spec_ctrl(vcpu);
}

int vmx_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 field = msr_field(msr);
	int slot;

	if (field) {
		vmcs_write(field, val);
		hw->seg_avail &= ~(BIT(OKVM_SEG_FS * NR_SEG_FIELDS + SEG_BASE) |
				   BIT(OKVM_SEG_GS * NR_SEG_FIELDS + SEG_BASE));
		return 0;
	}
	switch (msr) {
	case MSR_KERNEL_GS_BASE:
		write_kernel_gs(hw, val);
		return 0;
	case MSR_IA32_SPEC_CTRL:
		set_spec_ctrl(vcpu, val);
		return 0;
	case MSR_IA32_CR_PAT:
		vcpu->arch->pat = val;
		if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT)
			vmcs_write(GUEST_IA32_PAT, vmx_guest_pat(vcpu, val));
		return 0;
	}
	slot = uret_slot(msr);
	if (slot < 0)
		return -ENOENT;
	hw->uret[slot] = val;
	hw->uret_stale = true;
	return 0;
}

static const u32 passed_through[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

void vmx_msr_bitmap_update(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct okvm_guest_feat *feat = &vcpu->arch->feat;
	unsigned int i;

	memset(hw->vmcs.msr_bitmap, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(passed_through); i++)
		msr_pass_through(vcpu, passed_through[i], true, true);
	msr_pass_through(vcpu, MSR_IA32_TSC, true, false);
	pass_spec_ctrl(vcpu);
	if (boot_cpu_has(X86_FEATURE_IBPB) && feat->ibpb)
		msr_pass_through(vcpu, MSR_IA32_PRED_CMD, false, true);
	if (boot_cpu_has(X86_FEATURE_FLUSH_L1D) && feat->flush_l1d)
		msr_pass_through(vcpu, MSR_IA32_FLUSH_CMD, false, true);
}
