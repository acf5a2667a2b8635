// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX backend: module parameters, initialization, and creation and reset of VMs and vCPUs.
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>

#include "core/backend.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/stay.h"

struct vmx_caps vmx_caps;
struct vmx_params vmx_params;

#define OPTION_DEFAULT(name, opt, value, text)		\
	static bool opt = value;			\
	module_param_named(name, opt, bool, 0444);	\
	MODULE_PARM_DESC(name, text)
#define OPTION(name, opt, text) OPTION_DEFAULT(name, opt, true, text)

OPTION(ept, opt_ept, "two-dimensional paging; without it guests run on shadow page tables");
OPTION(ept_ad, opt_ept_ad, "accessed and dirty bits in EPT entries");
OPTION(vpid, opt_vpid, "tagged TLB entries");
OPTION(unrestricted_guest, opt_unrestricted, "real mode and unpaged mode without emulation");
OPTION(tpr_shadow, opt_tpr, "CR8 without exits");
OPTION(flexpriority, opt_flex, "accesses to the xAPIC page virtualized");
/* APICv is off by default: it is tested on emulated CPUs only (Documentation/parameters.rst). */
OPTION_DEFAULT(apicv, opt_apicv, false, "APIC registers and interrupt delivery virtualized");
OPTION(posted_interrupts, opt_posted, "interrupts delivered to a running vCPU without an exit");
OPTION(preemption_timer, opt_timer, "LAPIC timer by the VMX preemption timer");
OPTION(ple, opt_ple, "exits on PAUSE loops");

/* kvm_intel has the same parameters under these names. */
module_param_named(eptad, opt_ept_ad, bool, 0444);
MODULE_PARM_DESC(eptad, "another name of ept_ad");
module_param_named(enable_apicv, opt_apicv, bool, 0444);
MODULE_PARM_DESC(enable_apicv, "another name of apicv");

static unsigned int ple_gap = 128;
module_param(ple_gap, uint, 0444);
MODULE_PARM_DESC(ple_gap, "most TSC ticks between two PAUSEs of a loop");
static unsigned int ple_window = 4096;
module_param(ple_window, uint, 0444);
MODULE_PARM_DESC(ple_window, "TSC ticks that a PAUSE loop may last");
static unsigned int guest_time_bound;
module_param(guest_time_bound, uint, 0444);
MODULE_PARM_DESC(guest_time_bound, "TSC ticks after which a guest is interrupted, 0 never");
static char *l1d_flush = "auto";
module_param(l1d_flush, charp, 0444);
MODULE_PARM_DESC(l1d_flush, "L1D flush on entry: auto, never, cond, always");
module_param_named(vmentry_l1d_flush, l1d_flush, charp, 0444);
MODULE_PARM_DESC(vmentry_l1d_flush, "another name of l1d_flush");

/* ---- VPIDs: VPID 0 is the host's; a vCPU with VPID 0 runs with VPIDs disabled ---- */

#define NR_VPIDS	65536
static DEFINE_SPINLOCK(vpid_lock);
static DECLARE_BITMAP(vpids, NR_VPIDS);

static u16 vpid_get(void)
{
	unsigned long vpid;

	if (!vmx_has(&vmx_caps, VMX_OPT_VPID))
		return 0;
	spin_lock(&vpid_lock);
	vpid = find_next_zero_bit(vpids, NR_VPIDS, 1);
	if (vpid < NR_VPIDS)
		__set_bit(vpid, vpids);
	else
		vpid = 0;
	spin_unlock(&vpid_lock);
	return vpid;
}

static void vpid_put(u16 vpid)
{
	if (!vpid)
		return;
	spin_lock(&vpid_lock);
	__clear_bit(vpid, vpids);
	spin_unlock(&vpid_lock);
}

/* ---- initialization ---- */

static u32 options_allowed(void)
{
	return (opt_ept ? VMX_OPT_EPT : 0) | (opt_ept_ad ? VMX_OPT_EPT_AD : 0) |
	       (opt_vpid ? VMX_OPT_VPID : 0) | (opt_unrestricted ? VMX_OPT_UNRESTRICTED : 0) |
	       (opt_tpr ? VMX_OPT_TPR_SHADOW : 0) | (opt_flex ? VMX_OPT_FLEXPRIORITY : 0) |
	       (opt_apicv ? VMX_OPT_APICV : 0) | (opt_posted ? VMX_OPT_POSTED : 0) |
	       (okvm_vnmi ? VMX_OPT_VNMI : 0) | (opt_timer ? VMX_OPT_TIMER : 0) |
	       (opt_ple && ple_gap ? VMX_OPT_PLE : 0);
}

static const char *const caps_errors[] = {
	[VMX_CAPS_PIN]	 = "a pin-based control",
	[VMX_CAPS_EXEC]	 = "a processor-based control",
	[VMX_CAPS_EXIT]	 = "a VM-exit control",
	[VMX_CAPS_ENTRY] = "a VM-entry control",
	[VMX_CAPS_VMCS]	 = "a usable VMCS format",
};

static const char *const host_errors[] = {
	[VMX_HOST_LACKS] =
		"this CPU has no VMX: an Intel CPU with VT-x is needed, in a VM nested VMX",
	[VMX_HOST_DISABLED] =
		"VMX is disabled by the firmware: switch Intel VT-x on in its setup",
	[VMX_HOST_FRED] = "hosts with FRED event delivery are not supported",
};

static int check_cpu(void)
{
	struct vmx_host host = {
		.cpuid = cpuid_ecx(1) & BIT(5),
		.kernel = boot_cpu_has(X86_FEATURE_VMX),
		.cr4 = __read_cr4(),
	};
	enum vmx_host_err err;

	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &host.feat_ctl))
		host.feat_ctl = 0;
	err = vmx_host_check(&host);
	if (!err)
		return 0;
	pr_err("okvm: %s\n", host_errors[err]);
	return -EOPNOTSUPP;
}

static int read_caps(void)
{
	struct vmx_msrs msrs;
	enum vmx_caps_err err;

	vmx_read_msrs(&msrs);
	err = vmx_caps_adjust(&msrs, options_allowed(), &vmx_caps);
	if (err) {
		pr_err("okvm: this CPU's VMX lacks %s\n", caps_errors[err]);
		return -EOPNOTSUPP;
	}
	if (!vmx_has(&vmx_caps, VMX_OPT_EPT) && !boot_cpu_has(X86_FEATURE_NX)) {
		pr_err("okvm: there is neither EPT nor the NX bit, which shadow paging needs\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* l1d_flush=auto: derive the mode from the kernel's parameter l1tf=. */
static enum vmx_l1d l1d_auto(void)
{
	if (!boot_cpu_has_bug(X86_BUG_L1TF))
		return VMX_L1D_NEVER;
	switch (l1tf_mitigation) {
	case L1TF_MITIGATION_OFF:
		return VMX_L1D_NEVER;
	case L1TF_MITIGATION_FULL:
	case L1TF_MITIGATION_FULL_FORCE:
		return VMX_L1D_ALWAYS;
	default:
		return VMX_L1D_COND;
	}
}

static int choose_l1d(void)
{
	if (!strcmp(l1d_flush, "never"))
		vmx_params.l1d_flush = VMX_L1D_NEVER;
	else if (!strcmp(l1d_flush, "cond"))
		vmx_params.l1d_flush = VMX_L1D_COND;
	else if (!strcmp(l1d_flush, "always"))
		vmx_params.l1d_flush = VMX_L1D_ALWAYS;
	else if (!strcmp(l1d_flush, "auto"))
		vmx_params.l1d_flush = l1d_auto();
	else
		goto unknown;
	return 0;

unknown:
	pr_err("okvm: l1d_flush is auto, never, cond or always, not `%s'\n", l1d_flush);
	return -EINVAL;
}

struct cap_row {
	u32 cap;
	u32 opt, exec2, ept;
};

static const struct cap_row cap_rows[] = {
	{ OKVM_HW_UNRESTRICTED, VMX_OPT_UNRESTRICTED, 0, 0 },
	{ OKVM_HW_POSTED, VMX_OPT_POSTED, 0, 0 },
	{ OKVM_HW_HV_TIMER, VMX_OPT_TIMER, 0, 0 },
	{ OKVM_HW_SHADOW, 0, 0, 0 },
	{ OKVM_HW_TDP, VMX_OPT_EPT, 0, 0 },
	{ OKVM_HW_TDP_AD, VMX_OPT_EPT_AD, 0, 0 },
	{ OKVM_HW_TDP_1G, VMX_OPT_EPT, 0, VMX_EPT_1GB_PAGE_BIT },
	{ OKVM_HW_TDP_2M, VMX_OPT_EPT, 0, VMX_EPT_2MB_PAGE_BIT },
	{ OKVM_HW_TDP_5LEVEL, VMX_OPT_EPT, 0, VMX_EPT_PAGE_WALK_5_BIT },
	{ OKVM_HW_TSC_SCALING, 0, SECONDARY_EXEC_TSC_SCALING, 0 },
	{ OKVM_HW_XSAVES, 0, VMX_EXEC2_XSAVES, 0 },
	{ OKVM_HW_INVPCID, 0, SECONDARY_EXEC_ENABLE_INVPCID, 0 },
	{ OKVM_HW_RDTSCP, 0, SECONDARY_EXEC_ENABLE_RDTSCP, 0 },
};

static u32 vmx_caps_bits(void)
{
	u32 caps = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cap_rows); i++) {
		const struct cap_row *r = &cap_rows[i];

		if (!(r->opt & ~vmx_caps.opts) && !(r->exec2 & ~vmx_caps.exec2) &&
		    !(r->ept & ~vmx_caps.ept_cap))
			caps |= r->cap;
	}
	/*
	 * Without self-snooping, host and guest may see different contents of a page that they
	 * access with different memory types. Therefore the guest's PAT is not used on such a CPU.
	 */
	if (caps & OKVM_HW_TDP && vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT &&
	    boot_cpu_has(X86_FEATURE_SELFSNOOP))
		caps |= OKVM_HW_GUEST_PAT;
	/* Shadow paging sets the NX bit in its entries. On a CPU without NX the bit is reserved. */
	if (!boot_cpu_has(X86_FEATURE_NX))
		caps &= ~OKVM_HW_SHADOW;
	if (boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT))
		caps |= OKVM_HW_NX_HUGEPAGES;
	if (boot_cpu_has(X86_FEATURE_UMIP) || vmx_caps.exec2 & SECONDARY_EXEC_DESC)
		caps |= OKVM_HW_UMIP;
	/* These parts of the machine-check architecture exist on Intel's CPUs only. */
	return caps | OKVM_HW_CMCI;
}

static int vmx_init(u32 *caps)
{
	int err;

	err = check_cpu();
	if (!err)
		err = read_caps();
	if (!err)
		err = choose_l1d();
	if (err)
		return err;
	vmx_params.ple_gap = ple_gap;
	vmx_params.ple_window = ple_window;
	vmx_params.time_bound = vmx_has(&vmx_caps, VMX_OPT_TIMER) ? guest_time_bound : 0;
	okvm_stay_init();
	vmx_uret_init();
	err = vmx_l1d_init();
	if (err)
		return err;
	err = vmx_enable_init();
	if (err)
		goto err_l1d;
	*caps = vmx_caps_bits();
	return 0;

err_l1d:
	vmx_l1d_exit();
	return err;
}

static void vmx_exit(void)
{
	vmx_enable_exit();
	vmx_l1d_exit();
}

/* ---- VMs and vCPUs ---- */

static void vmcs_free(struct vmx_vmcs *vmcs)
{
	free_page((unsigned long)vmcs->region);
	free_page((unsigned long)vmcs->msr_bitmap);
}

static int vmcs_alloc(struct vmx_vmcs *vmcs)
{
	vmcs->region = (struct vmcs *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vmcs->msr_bitmap = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmcs->region || !vmcs->msr_bitmap) {
		vmcs_free(vmcs);
		return -ENOMEM;
	}
	vmcs->region->revision = vmx_caps.revision;
	vmcs->pa = __pa(vmcs->region);
	vmcs->cpu = -1;
	memset(vmcs->msr_bitmap, 0xff, PAGE_SIZE);
	return 0;
}

/* Fill in the VMCS at creation, so that it is complete before the vCPU's first ioctl. */
static void fill_vmcs(struct okvm_vcpu *vcpu)
{
	preempt_disable();
	vmx_vcpu_load(vcpu, raw_smp_processor_id());
	vmx_vmcs_init(vcpu);
	preempt_enable();
}

static int vmx_vcpu_create(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw;

	hw = kzalloc(sizeof(*hw), GFP_KERNEL_ACCOUNT);
	if (!hw)
		return -ENOMEM;
	/* Allocate a whole page for the 64 bytes of the descriptor: see struct vmx_pi. */
	hw->pi = (struct vmx_pi *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!hw->pi || vmcs_alloc(&hw->vmcs))
		goto err_hw;
	hw->vcpu = vcpu;
	hw->timer_tsc = ~0ull;
	hw->uret_stale = true;
	hw->vpid = vpid_get();
	vcpu->hw = hw;
	fill_vmcs(vcpu);
	return 0;

err_hw:
	free_page((unsigned long)hw->pi);
	kfree(hw);
	return -ENOMEM;
}

static void vmx_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (!hw)
		return;
	vcpu->hw = NULL;
	vmx_vmcs_unload(&hw->vmcs);
	vpid_put(hw->vpid);
	vmcs_free(&hw->vmcs);
	free_page((unsigned long)hw->pi);
	kfree(hw);
}

/*
 * Reset the part of a vCPU's state that x86/ does not reset. The guest's segments, control
 * registers and the like are not reset here: x86/ resets them through okvm_reg_ops.
 */
static void vmx_vcpu_reset(struct okvm_vcpu *vcpu, bool init)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	hw->exit_avail = 0;
	hw->seg_avail = 0;
	hw->vmcs.soft_nmi_masked = false;
	hw->vmcs.entry_info = 0;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write(GUEST_SYSENTER_CS, 0);
	vmcs_write(GUEST_SYSENTER_ESP, 0);
	vmcs_write(GUEST_SYSENTER_EIP, 0);
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT)
		vmcs_write(GUEST_IA32_PAT, vmx_guest_pat(vcpu, vcpu->arch->pat));
	vmcs_exec_set(&hw->vmcs, hw->vmcs.exec & ~(CPU_BASED_INTR_WINDOW_EXITING |
				      CPU_BASED_NMI_WINDOW_EXITING));
	vmx_update_intercepts(vcpu, OKVM_ICPT_EXCEPTIONS | OKVM_ICPT_CONTROLS | OKVM_ICPT_APIC |
			      OKVM_ICPT_MSRS | OKVM_ICPT_DEBUG | OKVM_ICPT_CR);
	hw->todo |= VMX_TODO_FLUSH_ALL | VMX_TODO_CHECK_STATE;
}

static const struct okvm_cpu_ops vmx_cpu_ops = {
	.hypercall = { 0x0f, 0x01, 0xc1 },
	.tsc_int_bits = 16,
	.tsc_frac_bits = 48,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.update_intercepts = vmx_update_intercepts,
};

const struct okvm_backend okvm_vmx_backend = {
	.name = "vmx",
	.cpu = &vmx_cpu_ops,
	.regs = &vmx_reg_ops,
	.events = &vmx_event_ops,
	.mmu = &vmx_mmu_ops,
	.apic = &vmx_apic_ops,
	.cpuid_leaf = 1,
	.cpuid_ecx = BIT(5),
	.init = vmx_init,
	.exit = vmx_exit,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vm_create = vmx_apic_page_create,
	.vm_destroy = vmx_apic_page_destroy,
	.run = vmx_run,
	.kick = vmx_kick,
};
