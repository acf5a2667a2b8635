// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intercepts and other control fields of the VMCB: how each is derived from the vCPU's state. All
 * functions are idempotent.
 */
#include <linux/gfp.h>
#include <linux/kvm.h>
#include <linux/string.h>

#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <uapi/asm/debugreg.h>
#include <asm/trapnr.h>

#include "core/compat.h"
#include "svm/svm.h"
#include "x86/cpu/cr.h"

/*
 * The I/O permission map. All bits are set, so accesses to all ports exit. The map has 64 K bits,
 * and three more for accesses that reach beyond the last port.
 */
#define IOPM_ORDER	2
static void *iopm;

int svm_iopm_create(void)
{
	iopm = (void *)__get_free_pages(GFP_KERNEL, IOPM_ORDER);
	if (!iopm)
		return -ENOMEM;
	memset(iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
	return 0;
}

void svm_iopm_destroy(void)
{
	free_pages((unsigned long)iopm, IOPM_ORDER);
	iopm = NULL;
}

/* ---- intercepts ---- */

#define WORD(bit)	((bit) / 32)
#define MASK(bit)	BIT((bit) % 32)

/*
 * Intercepts that are always set (besides exceptions): interrupts of the host, what okvm emulates,
 * and SVM instructions, which guests do not have.
 * INVD, WBINVD: a guest must not flush the host's caches, or even discard their content.
 * RDPMC, RDPRU: guests have no performance counters.
 * CR4 reads: CR4 in hardware has the host's MCE bit, which the guest must not see.
 */
static const u8 always[] = {
	INTERCEPT_CR4_READ, INTERCEPT_CR4_WRITE, INTERCEPT_SELECTIVE_CR0,
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT,
	INTERCEPT_RDPMC, INTERCEPT_CPUID, INTERCEPT_RSM, INTERCEPT_INVD, INTERCEPT_INVLPGA,
	INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT, INTERCEPT_TASK_SWITCH, INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE,
	INTERCEPT_STGI, INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_WBINVD, INTERCEPT_XSETBV,
	INTERCEPT_RDPRU,
};

/*
 * Return the exceptions that cause exits.
 * #UD: instructions that only the emulator can execute, such as the other vendor's hypercall.
 * #MC: the host handles it.
 * #DB, #AC: a guest can make the CPU deliver them in an endless loop, which no interrupt ends.
 * #BP: a debugger has set breakpoints in the guest's code.
 * #PF: with shadow paging, the shadow tables may lack an entry or a right.
 */
static u32 exceptions_wanted(const struct okvm_vcpu *vcpu)
{
	const struct okvm_arch_vcpu *arch = vcpu->arch;
	const u32 debugger = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	u32 bits = BIT(X86_TRAP_UD) | BIT(X86_TRAP_MC) | BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC);

	if (svm_is_shadow(vcpu))
		bits |= BIT(X86_TRAP_PF);
	return (arch->guest_debug & debugger) == debugger ? bits | BIT(X86_TRAP_BP) : bits;
}

static void want(u32 words[MAX_INTERCEPT], unsigned int bit, bool on)
{
	if (on)
		words[WORD(bit)] |= MASK(bit);
}

/*
 * Add the intercepts that depend on the VM's capabilities, on module parameters, and on the guest's
 * CPUID.
 */
static void want_chosen(const struct okvm_vcpu *vcpu, u32 words[MAX_INTERCEPT])
{
	const struct okvm_guest_feat *feat = &vcpu->arch->feat;
	u32 disabled = vcpu->vm->arch->disabled_exits;
	bool mwait = !(disabled & KVM_X86_DISABLE_EXITS_MWAIT);

	want(words, INTERCEPT_HLT, !(disabled & KVM_X86_DISABLE_EXITS_HLT));
	want(words, INTERCEPT_MONITOR, mwait);
	want(words, INTERCEPT_MWAIT, mwait);
	want(words, INTERCEPT_PAUSE, svm_has(&svm_caps, SVM_FEAT_PAUSE) &&
	     !(disabled & KVM_X86_DISABLE_EXITS_PAUSE));
	want(words, INTERCEPT_RDTSCP, !feat->rdtscp);
	want(words, INTERCEPT_INVPCID, (svm_is_shadow(vcpu) || !feat->invpcid) &&
	     boot_cpu_has(X86_FEATURE_INVPCID));
}

/*
 * Add the intercepts of shadow paging. CR3 in hardware is the shadow root, so accesses to CR3 exit.
 * INVLPG exits so that okvm synchronizes the shadow tables. Writes to CR4 exit anyway.
 */
static void want_shadow(const struct okvm_vcpu *vcpu, u32 words[MAX_INTERCEPT])
{
	const bool shadow = svm_is_shadow(vcpu);

	want(words, INTERCEPT_CR3_READ, shadow);
	want(words, INTERCEPT_CR3_WRITE, shadow);
	want(words, INTERCEPT_INVLPG, shadow);
}

/*
 * Return true if the guest's CR0 differs from CR0 in the VMCB. In the VMCB, CD and NW are always 0.
 * With shadow paging, PG and WP are always 1 there.
 */
static bool cr0_differs(const struct okvm_vcpu *vcpu)
{
	const unsigned long cr0 = vcpu->arch->cr0;

	return cr0 & (X86_CR0_CD | X86_CR0_NW) ||
	       (svm_is_shadow(vcpu) && ~cr0 & OKVM_SHADOW_CR0);
}

/*
 * Add the intercepts that depend on the vCPU's state.
 * CR0 reads also exit on a CPU without decode assists. This is for QEMU's TCG, 9.1 to 10.0: it
 * tests this intercept for a MOV from any control register, so without it the guest would read CR3
 * and CR4 of the VMCB.
 */
static void want_now(const struct okvm_hw_vcpu *hw, u32 words[MAX_INTERCEPT])
{
	const struct okvm_vcpu *vcpu = hw->vcpu;
	bool cr0 = cr0_differs(vcpu);

	want(words, INTERCEPT_CR0_READ, cr0 || !svm_has(&svm_caps, SVM_FEAT_DECODE));
	want(words, INTERCEPT_CR0_WRITE, cr0);
	/* The VMM has to see all writes to CR8 if the VM has no in-kernel local APIC. */
	want(words, INTERCEPT_CR8_WRITE, hw->tpr_held || !vcpu->apic);
	want(words, INTERCEPT_IRET, hw->nmi_masked);
	want(words, INTERCEPT_VINTR, hw->irq_window);
	if (!vcpu->arch->debug_regs_live)
		words[INTERCEPT_DR] = ~0u;
}

void svm_intercepts(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 words[MAX_INTERCEPT] = { [INTERCEPT_EXCEPTION] = exceptions_wanted(vcpu) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(always); i++)
		want(words, always[i], true);
	want_chosen(vcpu, words);
	want_shadow(vcpu, words);
	want_now(hw, words);
	if (!memcmp(words, hw->vmcb->control.intercepts, sizeof(words)))
		return;
	memcpy(hw->vmcb->control.intercepts, words, sizeof(words));
	svm_dirty(hw, SVM_CLEAN_CONTROL);
}

static void update_guest_dr7(struct okvm_vcpu *vcpu)
{
	const struct okvm_arch_vcpu *arch = vcpu->arch;
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	bool host = arch->guest_debug & KVM_GUESTDBG_USE_HW_BP;

	hw->vmcb->save.dr7 = host ? arch->guest_debug_dr7 : arch->dr7;
	hw->vmcb->save.dr6 = arch->debug_regs_live ? arch->dr6 : DR6_RESERVED;
	svm_dirty(hw, SVM_CLEAN_DR);
}

/*
 * Set which bits the guest owns, that is, can change without an exit. These are CR0.TS and CR0.MP,
 * or none while all writes to CR0 exit. The guest owns no bit of CR4.
 */
static void update_cr_masks(struct okvm_vcpu *vcpu)
{
	okvm_cr0(vcpu);
	vcpu->arch->cr0_guest_owned = cr0_differs(vcpu) ? 0 : X86_CR0_TS | X86_CR0_MP;
	vcpu->arch->cr4_guest_owned = 0;
}

static void update_tsc(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	hw->vmcb->control.tsc_offset = vcpu->arch->tsc_offset;
	svm_dirty(hw, SVM_CLEAN_CONTROL);
	/* Load the ratio now: svm_vcpu_load() does not load it if the vCPU stays on this CPU. */
	preempt_disable();
	svm_tsc_ratio_load(vcpu);
	preempt_enable();
}

void svm_update_intercepts(struct okvm_vcpu *vcpu, u32 what)
{
	if (what & OKVM_ICPT_MSRS)
		svm_msrpm_update(vcpu);
	if (what & OKVM_ICPT_DEBUG)
		update_guest_dr7(vcpu);
	if (what & OKVM_ICPT_CR)
		update_cr_masks(vcpu);
	if (what & OKVM_ICPT_TSC)
		update_tsc(vcpu);
	if (what != OKVM_ICPT_TSC)
		svm_intercepts(vcpu);
}

/* Initialize control fields. vCPU reset and the update functions write the other fields. */
void svm_vmcb_init(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct vmcb_control_area *control = &hw->vmcb->control;

	control->iopm_base_pa = __pa(iopm);
	control->msrpm_base_pa = __pa(hw->msrpm);
	control->int_ctl = V_INTR_MASKING_MASK |
			   (svm_has(&svm_caps, SVM_FEAT_VNMI) ? SVM_V_NMI_ENABLE : 0);
	hw->nmi_lent = false;
	okvm_vmcb_lbr_ctl(control) = 0;
	if (!svm_is_shadow(vcpu))
		okvm_vmcb_enable_nested(control);
	if (svm_has(&svm_caps, SVM_FEAT_PAUSE))
		control->pause_filter_count = svm_params.pause_count;
	if (svm_has(&svm_caps, SVM_FEAT_PAUSE_GAP))
		control->pause_filter_thresh = svm_params.pause_gap;
	control->tsc_offset = vcpu->arch->tsc_offset;
	control->clean = 0;
	hw->tpr = 0;
}

/* ---- page tables and TLB ---- */

/*
 * Return how many levels of shadow tables hardware walks. It is at least 3, because with shadow
 * paging CR0.PG and CR4.PAE are always 1 in the VMCB.
 */
static int walk_depth(const struct vmcb_save_area *save)
{
	if (!(save->efer & EFER_LMA))
		return 3;
	return save->cr4 & X86_CR4_LA57 ? 5 : 4;
}

/*
 * Set the shadow root, and request a flush. The flush is needed even if CR3 already has the root's
 * address, because the four PDPTEs of a PAE root may have changed.
 */
static void set_shadow_root(struct okvm_hw_vcpu *hw, const struct okvm_root *root)
{
	/*
	 * The root must have as many levels as hardware walks. If hardware walked more levels, it
	 * would go on from a leaf entry into a page of the guest, and use that page as a table.
	 */
	if (OKVM_BUG_ON(hw->vcpu->vm, root->level != walk_depth(&hw->vmcb->save)))
		return;
	hw->vmcb->save.cr3 = root->pa;
	/* The PDPTEs may have changed. With the clean bit set, the CPU could keep the old ones. */
	svm_dirty(hw, SVM_CLEAN_CR);
	hw->todo |= SVM_TODO_FLUSH;
}

static void svm_set_root(struct okvm_vcpu *vcpu, const struct okvm_root *root)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (svm_is_shadow(vcpu)) {
		set_shadow_root(hw, root);
		return;
	}
	if (hw->vmcb->control.nested_cr3 == root->pa)
		return;
	hw->vmcb->control.nested_cr3 = root->pa;
	svm_dirty(hw, SVM_CLEAN_NPT);
	hw->todo |= SVM_TODO_FLUSH;
}

static void svm_flush_tlb(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva)
{
	/* Linear and nested translations have the same ASID: always flush both. */
	vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
	to_hw(vcpu)->todo |= SVM_TODO_FLUSH;
}

const struct okvm_mmu_ops svm_mmu_ops = {
	.set_root = svm_set_root,
	.flush_tlb = svm_flush_tlb,
};

/* ---- local APIC ---- */

static bool svm_post_irq(struct okvm_vcpu *vcpu, int vector, bool notify)
{
	return false;
}

/*
 * If @what is OKVM_APIC_TPR, intercept writes to CR8 while the TPR blocks the pending vector @arg
 * (negative: none is pending). Nothing else needs to be done on SVM.
 */
static void svm_apic_sync(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const u8 *page;
	bool held = false;

	if (what != OKVM_APIC_TPR)
		return;
	if (arg >= 0) {
		page = okvm_apic_page(vcpu);
		held = arg >> 4 <= page[APIC_TASKPRI] >> 4;
	}
	if (held == hw->tpr_held)
		return;
	hw->tpr_held = held;
	svm_intercepts(vcpu);
}

static bool svm_set_timer(struct okvm_vcpu *vcpu, u64 host_tsc)
{
	return false;
}

const struct okvm_apic_ops svm_apic_ops = {
	.post_irq = svm_post_irq,
	.sync = svm_apic_sync,
	.set_timer = svm_set_timer,
};
