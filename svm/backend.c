// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SVM backend: module parameters, initialization, and creation and reset of VMs and vCPUs.
 */
#include <linux/gfp.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <asm/cpufeature.h>
#include <uapi/asm/debugreg.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>

#include "core/backend.h"
#include "svm/svm.h"
#include "x86/cpu/event.h"
#include "x86/stay.h"

struct svm_caps svm_caps;
struct svm_params svm_params;

#define OPTION(name, opt, text)				\
	static bool opt = true;				\
	module_param_named(name, opt, bool, 0444);	\
	MODULE_PARM_DESC(name, text)

OPTION(npt, opt_npt, "SVM: two-dimensional paging; without it guests run on shadow page tables");
OPTION(nrips, opt_nrips, "SVM: the CPU tells where the next instruction is");
OPTION(decode_assists, opt_decode, "SVM: the CPU tells an instruction's operands");
OPTION(flush_asid, opt_flush_asid, "SVM: one vCPU's translations can be flushed alone");
OPTION(vmcb_clean, opt_clean, "SVM: the CPU may keep parts of a VMCB");
OPTION(pause_filter, opt_pause, "SVM: exits on PAUSE loops");
OPTION(lbrv, opt_lbrv, "SVM: guests may record branches");
OPTION(tsc_scaling, opt_tsc_scaling, "SVM: guests may have a TSC of another frequency");

static unsigned short pause_filter_count = 3000;
module_param(pause_filter_count, ushort, 0444);
MODULE_PARM_DESC(pause_filter_count, "SVM: PAUSEs that a loop may have");
static unsigned short pause_filter_gap = 128;
module_param(pause_filter_gap, ushort, 0444);
MODULE_PARM_DESC(pause_filter_gap, "SVM: most TSC ticks between two PAUSEs of a loop");
/* kvm_amd has the same parameter under this name. */
module_param_named(pause_filter_thresh, pause_filter_gap, ushort, 0444);
MODULE_PARM_DESC(pause_filter_thresh, "SVM: another name of pause_filter_gap");

/* ---- initialization ---- */

static u32 features_allowed(void)
{
	return SVM_FEAT_SPEC_CTRL | (opt_npt ? SVM_FEAT_NPT : 0) |
	       (opt_nrips ? SVM_FEAT_NRIPS : 0) | (opt_decode ? SVM_FEAT_DECODE : 0) |
	       (opt_flush_asid ? SVM_FEAT_FLUSH_ASID : 0) | (opt_clean ? SVM_FEAT_CLEAN : 0) |
	       (okvm_vnmi ? SVM_FEAT_VNMI : 0) |
	       (opt_lbrv && boot_cpu_has(X86_FEATURE_LBRV) ? SVM_FEAT_LBRV : 0) |
	       (opt_tsc_scaling && boot_cpu_has(X86_FEATURE_TSCRATEMSR) ? SVM_FEAT_TSC_RATIO : 0) |
	       (opt_pause && pause_filter_count ? SVM_FEAT_PAUSE | SVM_FEAT_PAUSE_GAP : 0);
}

static const char *const caps_errors[] = {
	[SVM_CAPS_NONE] =
		"this CPU has no SVM: an AMD CPU with AMD-V is needed, in a VM nested SVM",
	[SVM_CAPS_DISABLED] =
		"SVM is disabled by the firmware: switch AMD-V (SVM mode) on in its setup",
	[SVM_CAPS_UNLOCKED] =
		"SVM is disabled in VM_CR: switch AMD-V (SVM mode) on in the firmware's setup",
	[SVM_CAPS_ASIDS] = "this CPU's SVM has no ASID for a guest",
	[SVM_CAPS_ENCRYPTED] = "the host's memory is encrypted: boot it with mem_encrypt=off",
	[SVM_CAPS_ERRATUM] =
		"guests can stop this CPU (family 10h, erratum 383): it cannot be used",
};

static int read_caps(void)
{
	struct svm_cpuid cpu;
	enum svm_caps_err err;

	svm_read_cpuid(&cpu);
	err = svm_caps_adjust(&cpu, features_allowed(), &svm_caps);
	if (err) {
		pr_err("okvm: %s\n", caps_errors[err]);
		return -EOPNOTSUPP;
	}
	if (!svm_has(&svm_caps, SVM_FEAT_NPT) && !boot_cpu_has(X86_FEATURE_NX)) {
		pr_err("okvm: there is neither NPT nor the NX bit, which shadow paging needs\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static u32 npt_bits(void)
{
	u32 caps = OKVM_HW_UNRESTRICTED | OKVM_HW_TDP | OKVM_HW_TDP_PT | OKVM_HW_TDP_AD |
		   OKVM_HW_TDP_2M | OKVM_HW_GUEST_PAT;

	if (boot_cpu_has(X86_FEATURE_GBPAGES))
		caps |= OKVM_HW_TDP_1G;
	/* Nested page tables have as many levels as the host's page tables. */
	if (pgtable_l5_enabled())
		caps |= OKVM_HW_TDP_5LEVEL;
	return caps;
}

static u32 caps_bits(void)
{
	u32 caps = svm_has(&svm_caps, SVM_FEAT_NPT) ? npt_bits() : 0;

	/* Shadow paging sets the NX bit in its entries. On a CPU without NX the bit is reserved. */
	if (boot_cpu_has(X86_FEATURE_NX))
		caps |= OKVM_HW_SHADOW;
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		caps |= OKVM_HW_XSAVES;
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		caps |= OKVM_HW_INVPCID;
	if (boot_cpu_has(X86_FEATURE_RDTSCP))
		caps |= OKVM_HW_RDTSCP;
	if (boot_cpu_has(X86_FEATURE_UMIP))
		caps |= OKVM_HW_UMIP;
	if (svm_has(&svm_caps, SVM_FEAT_TSC_RATIO))
		caps |= OKVM_HW_TSC_SCALING;
	if (svm_has(&svm_caps, SVM_FEAT_LBRV))
		caps |= OKVM_HW_LBR;
	return caps;
}

static int svm_init(u32 *caps)
{
	int err;

	err = read_caps();
	if (err)
		return err;
	svm_params.pause_count = pause_filter_count;
	svm_params.pause_gap = pause_filter_gap;
	okvm_stay_init();
	err = svm_iopm_create();
	if (err)
		return err;
	err = svm_enable_init();
	if (err)
		goto err_iopm;
	*caps = caps_bits();
	return 0;

err_iopm:
	svm_iopm_destroy();
	return err;
}

static void svm_exit(void)
{
	svm_enable_exit();
	svm_iopm_destroy();
}

/* ---- VMs and vCPUs ---- */

static int svm_vm_create(struct okvm_vm *vm)
{
	return 0;
}

static void svm_vm_destroy(struct okvm_vm *vm)
{
}

/* The okvm_hw_vcpu.id of the vCPU created last. Each new vCPU gets the next number. */
static atomic64_t last_id;

static void hw_free(struct okvm_hw_vcpu *hw)
{
	free_page((unsigned long)hw->vmcb);
	free_pages((unsigned long)hw->msrpm, 1);
	kfree(hw);
}

static int svm_vcpu_create(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw;

	hw = kzalloc(sizeof(*hw), GFP_KERNEL_ACCOUNT);
	if (!hw)
		return -ENOMEM;
	hw->vmcb = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	hw->msrpm = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT, 1);
	if (!hw->vmcb || !hw->msrpm) {
		hw_free(hw);
		return -ENOMEM;
	}
	hw->vcpu = vcpu;
	hw->id = atomic64_inc_return(&last_id);
	hw->frame.vmcb_pa = __pa(hw->vmcb);
	hw->todo = SVM_TODO_ASID;
	vcpu->hw = hw;
	svm_vmcb_init(vcpu);
	return 0;
}

static void svm_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (!hw)
		return;
	vcpu->hw = NULL;
	hw_free(hw);
}

/*
 * Reset the part of a vCPU's state that x86/ does not reset. The guest's segments, control
 * registers and the like are not reset here: x86/ resets them through okvm_reg_ops.
 */
static void svm_vcpu_reset(struct okvm_vcpu *vcpu, bool init)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct vmcb_save_area *save = &hw->vmcb->save;

	svm_event_withdraw(hw);
	hw->nmi_masked = false;
	hw->irq_window = false;
	hw->nmi_behind = false;
	hw->step = false;
	hw->nmi_late = false;
	hw->tpr_held = false;
	hw->vmcb->control.int_state = 0;
	save->dbgctl = 0;
	save->sysenter_cs = 0;
	save->sysenter_esp = 0;
	save->sysenter_eip = 0;
	save->g_pat = vcpu->arch->pat;
	save->dr6 = DR6_RESERVED;
	svm_vmcb_init(vcpu);
	svm_update_intercepts(vcpu, ~0u);
	hw->todo |= SVM_TODO_FLUSH;
}

static void svm_kick(struct okvm_vcpu *vcpu, int cpu)
{
	smp_send_reschedule(cpu);
}

static const struct okvm_cpu_ops svm_cpu_ops = {
	.hypercall = { 0x0f, 0x01, 0xd9 },
	.tsc_int_bits = 8,
	.tsc_frac_bits = SVM_TSC_RATIO_BITS,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.update_intercepts = svm_update_intercepts,
};

const struct okvm_backend okvm_svm_backend = {
	.name = "svm",
	.cpu = &svm_cpu_ops,
	.regs = &svm_reg_ops,
	.events = &svm_event_ops,
	.mmu = &svm_mmu_ops,
	.apic = &svm_apic_ops,
	.cpuid_leaf = 0x80000001,
	.cpuid_ecx = BIT(2),
	.init = svm_init,
	.exit = svm_exit,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vm_create = svm_vm_create,
	.vm_destroy = svm_vm_destroy,
	.run = svm_run,
	.kick = svm_kick,
};
