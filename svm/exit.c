// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatch of #VMEXITs by exit code (APM "SVM Intercept Exit Codes"): first to the fast
 * handlers, with IRQs off, then to the slow ones.
 */
#include <linux/kvm.h>
#include <linux/moduleparam.h>

#include <asm/processor.h>
#include <asm/trapnr.h>

#include "core/guestmem.h"
#include "core/trace_kvm.h"
#include "svm/entry_read.h"
#include "svm/svm.h"
#include "x86/cpu/event.h"
#include "x86/cpu/user_exit.h"
#include "x86/exits.h"
#include "x86/fast.h"
#include "x86/run.h"

/* ---- fast handlers, called with IRQs off. Return: true to enter the guest again ---- */

/* #VMEXIT saves RF as it was. TF needs a single-step trap, RF must be cleared. */
#define RFLAGS_OF_SLOW	(X86_EFLAGS_TF | X86_EFLAGS_RF)

/*
 * Return true if a fast handler cannot skip the instruction: the next RIP is unknown, or more than
 * RIP has to change.
 */
static __always_inline bool svm_traps(struct okvm_vcpu *vcpu)
{
	return !svm_has(&svm_caps, SVM_FEAT_NRIPS) ||
	       unlikely(!to_hw(vcpu)->vmcb->control.next_rip ||
			svm_rflags(vcpu) & RFLAGS_OF_SLOW);
}

static __always_inline void go_to(struct okvm_vcpu *vcpu, unsigned long rip)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	to_hw(vcpu)->vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	arch->rip = rip;
	arch->avail |= BIT(OKVM_REG_RIP);
	arch->dirty |= BIT(OKVM_REG_RIP);
}

static __always_inline void svm_skip_fast(struct okvm_vcpu *vcpu)
{
	go_to(vcpu, to_hw(vcpu)->vmcb->control.next_rip);
}

static const struct okvm_fast_ops fast_ops = { .traps = svm_traps, .skip = svm_skip_fast };

/*
 * Return true if a fast handler cannot skip an IN or OUT, because more than RIP has to change. The
 * next RIP is always known: every CPU reports it for IN and OUT in EXITINFO2.
 */
static __always_inline bool io_traps(struct okvm_vcpu *vcpu)
{
	return unlikely(svm_rflags(vcpu) & RFLAGS_OF_SLOW);
}

static __always_inline void io_skip(struct okvm_vcpu *vcpu)
{
	go_to(vcpu, to_hw(vcpu)->vmcb->control.exit_info_2);
}

static const struct okvm_fast_ops io_ops = { .traps = io_traps, .skip = io_skip };

static union svm_ioio exit_ioio(const struct okvm_hw_vcpu *hw)
{
	return (union svm_ioio) { hw->vmcb->control.exit_info_1 };
}

static bool fast_io(struct okvm_vcpu *vcpu)
{
	const union svm_ioio io = exit_ioio(to_hw(vcpu));

	return !io.string && fast_pio(vcpu, &io_ops, io.port, io.size, io.in);
}

static bool fast_msr(struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcb->control.exit_info_1 ? fast_wrmsr(vcpu, &fast_ops) :
							fast_rdmsr(vcpu, &fast_ops);
}

static bool fast_window(struct okvm_vcpu *vcpu)
{
	svm_event_ops.want_window(vcpu, false, false);
	vcpu->stat[OKVM_STAT_IRQ_WINDOW]++;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	/*
	 * Leave the loop of fast exits if userspace has requested an interrupt window: KVM_RUN may
	 * have to return now.
	 */
	return !READ_ONCE(vcpu->run->request_interrupt_window);
}

static u32 npf_access(union svm_npf npf)
{
	return OKVM_ACC_USER | (npf.write ? OKVM_ACC_WRITE : 0) |
	       (npf.fetch ? OKVM_ACC_FETCH : 0) | (npf.present ? OKVM_ACC_PRESENT : 0) |
	       (npf.table ? OKVM_ACC_TABLE : 0);
}

/*
 * Return true if the nested page fault is resolved: the leaf entry only lacked rights that dirty
 * logging had removed. If the CPU has found a non-present entry, return false: it may be an MMIO
 * entry, and exit_npf() walks the tables to find out. (Aging leaves entries present, because NPT
 * has accessed bits.)
 */
static bool fast_npf(struct okvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_hw(vcpu)->vmcb->control;
	const union svm_npf npf = { control->exit_info_1 };

	return npf.present && okvm_mmu_fault_fast(vcpu, control->exit_info_2, npf_access(npf));
}

/* ---- fast handlers of shadow paging ---- */

/* Handle a MOV to or from CR3 or CR4. Without decode assists, the slow handler has to decode it. */
static bool fast_cr(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_cr q = { hw->vmcb->control.exit_info_1 };

	if (!svm_is_shadow(vcpu) || !svm_has(&svm_caps, SVM_FEAT_DECODE) || !q.mov)
		return false;
	return fast_mov_cr(vcpu, &fast_ops, hw->exit_code & 15, q.reg,
			   hw->exit_code >= SVM_EXIT_WRITE_CR0);
}

static bool fast_flush(struct okvm_vcpu *vcpu)
{
	return svm_has(&svm_caps, SVM_FEAT_DECODE) &&
	       fast_invlpg(vcpu, &fast_ops, to_hw(vcpu)->vmcb->control.exit_info_1);
}

/*
 * Describe the page fault of this exit. At CPL 3, a supervisor access is the CPU's implicit access
 * to a descriptor table or a TSS.
 */
static struct okvm_page_fault page_fault_of(const struct okvm_hw_vcpu *hw)
{
	struct okvm_page_fault pf = {
		.gva = hw->vmcb->control.exit_info_2,
		.acc = hw->vmcb->control.exit_info_1,
		.gpa = OKVM_INVALID_GPA,
	};

	if (hw->vmcb->save.cpl == 3 && !(pf.acc & OKVM_ACC_USER))
		pf.acc |= OKVM_ACC_IMPLICIT;
	return pf;
}

static bool fast_page_fault(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_page_fault pf;
	int verdict;

	/* With PREEMPT_RT, rwlocks such as mmu->lock sleep, which is forbidden with IRQs off. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || !svm_is_shadow(vcpu) || hw->host_apf)
		return false;
	pf = page_fault_of(hw);
	verdict = okvm_mmu_page_fault_fast(vcpu, &pf);
	if (verdict == OKVM_FAULT_GUEST) {
		okvm_queue_pf(vcpu, pf.gva, pf.guest.error_code);
		/*
		 * Write CR2 here, because svm_guest_enter(), which usually writes it, is not called
		 * between a fast exit and the next VMRUN.
		 */
		hw->vmcb->save.cr2 = vcpu->arch->cr2;
		svm_dirty(hw, SVM_CLEAN_CR2);
	}
	return verdict == OKVM_FAULT_FIXED || verdict == OKVM_FAULT_GUEST;
}

bool svm_exit_fast(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (unlikely(hw->cut_info & SVM_EXITINTINFO_VALID))
		return false;
	switch (hw->exit_code) {
	case SVM_EXIT_CPUID:
		return fast_cpuid(vcpu, &fast_ops);
	case SVM_EXIT_IOIO:
		return fast_io(vcpu);
	case SVM_EXIT_MSR:
		return fast_msr(vcpu);
	case SVM_EXIT_NPF:
		return fast_npf(vcpu);
	case SVM_EXIT_EXCP_BASE + X86_TRAP_PF:
		return fast_page_fault(vcpu);
	case SVM_EXIT_READ_CR3:
	case SVM_EXIT_WRITE_CR3:
	case SVM_EXIT_WRITE_CR4:
		return fast_cr(vcpu);
	case SVM_EXIT_INVLPG:
		return fast_flush(vcpu);
	case SVM_EXIT_VMMCALL:
		return fast_hypercall(vcpu, &fast_ops);
	case SVM_EXIT_VINTR:
		return fast_window(vcpu);
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		return fast_nop(vcpu, &fast_ops);
	default:
		return false;
	}
}

/* ---- slow handlers: IRQs on; those in the table with vm->srcu. Return: enum okvm_outcome ---- */

static int delivery_failed(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 data[] = { hw->cut_info, hw->exit_code, hw->vmcb->control.exit_info_1,
		       hw->vmcb->control.exit_info_2, hw->entry_cpu };

	return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, ARRAY_SIZE(data), data);
}

static bool delivery_cut(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->cut_info & SVM_EXITINTINFO_VALID;
}

/*
 * Let the emulator deliver an event, or execute the instruction that raises the event. The CPU
 * could not deliver it, because there is no memory or only read-only memory at @gpa. If there is no
 * memory at @gpa, report to userspace that the delivery failed.
 */
static int deliver_by_emulator(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	if (!okvm_guest_has(vcpu->vm, gpa, false))
		return delivery_failed(vcpu);
	if (ev->exc.injected || ev->irq.injected || ev->nmi_injected)
		return okvm_emul_deliver(vcpu);
	return okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

/* Emulate an access to an address without memory, or a write to read-only memory. */
static int exit_mmio(struct okvm_vcpu *vcpu, gpa_t gpa, union svm_npf npf)
{
	if (delivery_cut(vcpu))
		return deliver_by_emulator(vcpu, gpa);
	return okvm_emulate(vcpu, OKVM_EMUL_MMIO, npf.fetch || npf.table ? OKVM_INVALID_GPA : gpa);
}

static int exit_npf(struct okvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_hw(vcpu)->vmcb->control;
	const union svm_npf npf = { control->exit_info_1 };
	gpa_t gpa = control->exit_info_2;
	int verdict, outcome;

	if (!npf.present && okvm_mmu_mmio_cached(vcpu, gpa)) {
		if (!npf.fetch && !npf.table && !delivery_cut(vcpu) &&
		    okvm_emulate_known(vcpu, gpa, true, &outcome))
			return outcome;
		return exit_mmio(vcpu, gpa, npf);
	}
	if (trace_kvm_page_fault_enabled())
		trace_kvm_page_fault(vcpu->id, okvm_rip(vcpu), gpa, control->exit_info_1);
	verdict = okvm_mmu_fault(vcpu, gpa, npf_access(npf));
	switch (verdict) {
	case OKVM_FAULT_FIXED:
	case OKVM_FAULT_SIGNAL:
	case OKVM_FAULT_LATER:
		/*
		 * Leave the rest to KVM_RUN: before the next VMRUN it checks for signals, and
		 * whether the vCPU may run.
		 */
		return OKVM_RESUME;
	case OKVM_FAULT_MMIO:
		return exit_mmio(vcpu, gpa, npf);
	default:
		return verdict;
	}
}

int svm_exit_page_fault(struct okvm_vcpu *vcpu)
{
	struct okvm_page_fault pf = page_fault_of(to_hw(vcpu));

	return okvm_exit_page_fault(vcpu, &pf, delivery_cut(vcpu) ? deliver_by_emulator : NULL);
}

static int exit_io(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_ioio io = exit_ioio(hw);

	if (io.string)
		return okvm_emulate(vcpu, OKVM_EMUL_PIO, 0);
	return okvm_pio(vcpu, io.port, io.size, io.in,
			hw->vmcb->control.exit_info_2 - svm_rip(vcpu));
}

/*
 * Exit to userspace for an access to a port. fast_io() has found no device in the kernel at this
 * port. The bus is not searched again, so vm->srcu is not needed.
 */
static int exit_pio_user(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_ioio io = exit_ioio(hw);
	struct okvm_arch_vcpu *arch = vcpu->arch;

	arch->stay.pio_missed = false;
	svm_rflags(vcpu);
	arch->pio.port = io.port;
	arch->pio.size = io.size;
	arch->pio.in = io.in;
	arch->pio.insn_len = hw->vmcb->control.exit_info_2 - svm_rip(vcpu);
	arch->pio.plain = !(hw->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
	return okvm_pio_user(vcpu);
}

/*
 * Report the guest's shutdown to userspace. After a shutdown intercept the VMCB is undefined (APM
 * "Shutdown Intercept"). Therefore clear the VMCB and give the vCPU the state after INIT, as
 * upstream does.
 */
static int exit_shutdown(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	int outcome = okvm_shutdown_exit(vcpu);

	memset(hw->vmcb, 0, sizeof(*hw->vmcb));
	hw->todo |= SVM_TODO_ASID;
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
	okvm_arch_vcpu_init(vcpu);
	return outcome;
}

static int exit_undefined(struct okvm_vcpu *vcpu)
{
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

/*
 * Emulate INVPCID. It exits under shadow paging, and if the guest's CPUID lacks INVPCID. The
 * emulator reads the operand (the descriptor) from guest memory.
 */
static int exit_invpcid(struct okvm_vcpu *vcpu)
{
	if (!vcpu->arch->feat.invpcid)
		return exit_undefined(vcpu);
	return okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

static int exit_unexpected(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 data[2] = { hw->exit_code, hw->entry_cpu };

	return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, 2, data);
}

/* ---- a VMRUN that the CPU refuses ---- */

static bool dump_invalid_vmcb;
module_param(dump_invalid_vmcb, bool, 0644);
MODULE_PARM_DESC(dump_invalid_vmcb, "print fields of a VMCB that the CPU has refused");

#define VMCB_OFFSET(field, offset)	static_assert(offsetof(struct vmcb, field) == (offset))

VMCB_OFFSET(control.intercepts[4], 0x10);
VMCB_OFFSET(control.iopm_base_pa, 0x40);
VMCB_OFFSET(control.msrpm_base_pa, 0x48);
VMCB_OFFSET(control.asid, 0x58);
VMCB_OFFSET(control.event_inj, 0xa8);
VMCB_OFFSET(control.nested_cr3, 0xb0);
VMCB_OFFSET(save.cs.attrib, 0x412);
VMCB_OFFSET(save.efer, 0x4d0);
VMCB_OFFSET(save.cr4, 0x548);
VMCB_OFFSET(save.cr3, 0x550);
VMCB_OFFSET(save.cr0, 0x558);
VMCB_OFFSET(save.dr7, 0x560);
VMCB_OFFSET(save.dr6, 0x568);
VMCB_OFFSET(save.g_pat, 0x668);

/*
 * Add a broken rule, with its field and the field's value, to the error that userspace can read.
 * Return: 1 if the error's text has no room for the rule; otherwise 0
 */
static int note_rule(struct okvm_error *error, const struct svm_entry *e,
		     const struct svm_entry_rule *rule)
{
	const struct svm_entry_field_info *info = &svm_entry_fields[rule->field];
	const struct okvm_broken_rule broken = {
		.name = rule->name, .text = rule->text, .manual = "APM", .section = rule->section,
		.field = info->name, .value = e->f[rule->field], .hosts = info->hosts,
	};

	okvm_error_add_field(error, info->offset, info->hosts ? 0 : e->f[rule->field]);
	return okvm_error_add_rule(error, &broken);
}

/*
 * Limit what is printed, because a VMM can cause any number of refused entries. The long dumps have
 * a limit of their own.
 */
static void log_refusal(const struct okvm_vcpu *vcpu, const struct svm_entry *e, const char *text)
{
	static DEFINE_RATELIMIT_STATE(dumps, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	unsigned int i;

	if (!okvm_vm_may_log(vcpu->vm))
		return;
	pr_err("okvm: vCPU %u of process %d cannot be entered: %s\n", vcpu->id, vcpu->vm->creator,
	       text);
	if (!READ_ONCE(dump_invalid_vmcb) || !__ratelimit(&dumps))
		return;
	for (i = 0; i < SVM_NR_F; i++)
		pr_err("okvm: %03x %s = %#llx\n", svm_entry_fields[i].offset,
		       svm_entry_fields[i].name, e->f[i]);
}

/* Store and print which rules of entry_check.h the VMCB breaks. */
static void explain_refusal(struct okvm_vcpu *vcpu)
{
	const struct vmcb *vmcb = to_hw(vcpu)->vmcb;
	struct okvm_error error = {
		.kind = OKVM_ERROR_ENTRY,
		.ndata = 3,
		.data = { vmcb->control.exit_code },
	};
	struct svm_entry e;
	unsigned int i, hidden = 0;

	svm_entry_read(vmcb, &e);
	for (i = 0; i < SVM_NR_RULES; i++)
		if (svm_entry_rules[i].broken(&e))
			hidden += note_rule(&error, &e, &svm_entry_rules[i]);
	okvm_error_end_rules(&error, hidden);
	okvm_error_set(&vcpu->error, &error);
	log_refusal(vcpu, &e, error.text);
}

static int exit_entry_failed(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (hw->entry_failed) {
		okvm_vm_kill(vcpu->vm, "SVM is off");
		return -EIO;
	}
	explain_refusal(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = hw->vmcb->control.exit_code;
	vcpu->run->fail_entry.cpu = hw->entry_cpu;
	return OKVM_USER;
}

/* ---- dispatch ---- */

static int exit_by_code(struct okvm_vcpu *vcpu)
{
	switch (to_hw(vcpu)->exit_code) {
	case SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_CR0 + 15:
	case SVM_EXIT_CR0_SEL_WRITE:
		return svm_exit_cr(vcpu);
	case SVM_EXIT_READ_DR0 ... SVM_EXIT_WRITE_DR7:
		return svm_exit_dr(vcpu);
	case SVM_EXIT_EXCP_BASE ... SVM_EXIT_LAST_EXCP:
		return svm_exit_exception(vcpu);
	case SVM_EXIT_IOIO:
		return exit_io(vcpu);
	case SVM_EXIT_NPF:
		return exit_npf(vcpu);
	case SVM_EXIT_INVPCID:
		return exit_invpcid(vcpu);
	case SVM_EXIT_IRET:
		return svm_exit_iret(vcpu);
	case SVM_EXIT_TASK_SWITCH:
		return svm_exit_task_switch(vcpu);
	case SVM_EXIT_SHUTDOWN:
		return exit_shutdown(vcpu);
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_INIT:
	case SVM_EXIT_VINTR:
		return OKVM_RESUME;
	case SVM_EXIT_INVLPG:
		/* Without decode assists only the emulator can find the operand of INVLPG. */
		return svm_has(&svm_caps, SVM_FEAT_DECODE) ?
		       svm_exit_insn(vcpu) : okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
	case SVM_EXIT_CPUID:
	case SVM_EXIT_MSR:
	case SVM_EXIT_HLT:
	case SVM_EXIT_VMMCALL:
	case SVM_EXIT_PAUSE:
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
	case SVM_EXIT_XSETBV:
	case SVM_EXIT_RDPMC:
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		return svm_exit_insn(vcpu);
	/*
	 * Raise #UD. Guests have no SVM, SMM and RDPRU. RDTSCP exits only if their CPUID lacks it.
	 */
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_RSM:
	case SVM_EXIT_RDPRU:
	case SVM_EXIT_RDTSCP:
		return exit_undefined(vcpu);
	default:
		return exit_unexpected(vcpu);
	}
}

int svm_exit_slow(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	int outcome;

	if (unlikely(hw->exit_code == (u32)SVM_EXIT_ERR))
		return exit_entry_failed(vcpu);
	if (vcpu->arch->stay.pio_missed)
		return exit_pio_user(vcpu);
	okvm_vcpu_srcu_lock(vcpu);
	outcome = exit_by_code(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}
