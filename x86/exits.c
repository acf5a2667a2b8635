// SPDX-License-Identifier: GPL-2.0-only
/* Handlers of VM exits by instructions and, with shadow paging, by #PF. Both backends call them. */
#include <linux/kvm.h>

#include <asm/trapnr.h>

#include "core/guestmem.h"
#include "core/trace_kvm.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/exits.h"
#include "x86/fast.h"

/* The headers of the oldest supported kernel lack the quirk MWAIT_NEVER_UD_FAULTS. */
#ifndef KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS
#define KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS	BIT(6)
#endif

static int exit_cpl(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->reg_ops->get_cpl(vcpu);
}

static int exit_undefined(struct okvm_vcpu *vcpu)
{
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

static void answer_cpuid_traced(struct okvm_vcpu *vcpu)
{
	const unsigned long *gpr = vcpu->arch->gpr;
	u32 leaf = gpr[OKVM_REG_RAX], sub = gpr[OKVM_REG_RCX];
	bool highest = false;
	bool found = okvm_cpuid_has(vcpu, leaf, sub, &highest);

	okvm_answer_cpuid(vcpu);
	trace_kvm_cpuid(leaf, sub, gpr[OKVM_REG_RAX], gpr[OKVM_REG_RBX], gpr[OKVM_REG_RCX],
			gpr[OKVM_REG_RDX], found, highest);
}

int okvm_exit_cpuid(struct okvm_vcpu *vcpu, unsigned int len)
{
	if (okvm_cpuid_faults(vcpu) && exit_cpl(vcpu)) {
		okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return OKVM_RESUME;
	}
	if (trace_kvm_cpuid_enabled())
		answer_cpuid_traced(vcpu);
	else
		okvm_answer_cpuid(vcpu);
	return okvm_skip_insn(vcpu, len);
}

int okvm_exit_pause(struct okvm_vcpu *vcpu, unsigned int len)
{
	/*
	 * If this vCPU spins at CPL 0, it probably waits for a spin lock of the guest's kernel. The
	 * vCPU that holds such a lock is at CPL 0, too: yield only to vCPUs preempted at CPL 0.
	 */
	okvm_vcpu_on_spin(vcpu, exit_cpl(vcpu) == 0);
	return okvm_skip_insn(vcpu, len);
}

/*
 * Skip MWAIT or MONITOR without any other effect. Raise #UD instead if userspace has disabled the
 * quirk MWAIT_NEVER_UD_FAULTS and the guest's CPUID does not report MONITOR.
 */
int okvm_exit_mwait(struct okvm_vcpu *vcpu, unsigned int len)
{
	if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) &&
	    !vcpu->arch->feat.mwait)
		return exit_undefined(vcpu);
	return okvm_skip_insn(vcpu, len);
}

int okvm_exit_xsetbv(struct okvm_vcpu *vcpu, unsigned int len)
{
	int err = exit_cpl(vcpu) != 0;

	if (!err)
		err = okvm_set_xcr(vcpu, okvm_gpr(vcpu, OKVM_REG_RCX), okvm_edx_eax(vcpu));
	return okvm_gp_or_skip(vcpu, err, len);
}

/* ---- control registers ---- */

/*
 * Execute MOV to CR8. If userspace emulates the local APIC and the MOV lowers the task priority,
 * exit to userspace.
 */
static int exit_to_cr8(struct okvm_vcpu *vcpu, unsigned long val, unsigned int len)
{
	unsigned long old = okvm_get_cr8(vcpu);
	int err = okvm_set_cr8(vcpu, val);
	int outcome = okvm_gp_or_skip(vcpu, err, len);

	if (err || outcome != OKVM_RESUME || vcpu->apic || old <= (u8)val)
		return outcome;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return OKVM_USER;
}

int okvm_exit_to_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val, unsigned int len)
{
	val = okvm_cut_to_mode(vcpu, val);
	if (!okvm_cr_pages_come(vcpu, cr, val))
		return okvm_begin_again(vcpu);
	trace_kvm_cr(true, cr, val);
	switch (cr) {
	case 0:
		return okvm_gp_or_skip(vcpu, okvm_set_cr0(vcpu, val), len);
	case 3:
		return okvm_gp_or_skip(vcpu, okvm_set_cr3(vcpu, val), len);
	case 4:
		return okvm_gp_or_skip(vcpu, okvm_set_cr4(vcpu, val), len);
	case 8:
		return exit_to_cr8(vcpu, val, len);
	default:
		return exit_undefined(vcpu);
	}
}

bool okvm_exit_to_cr3_fast(struct okvm_vcpu *vcpu, unsigned long cr3)
{
	unsigned long old = okvm_cr3(vcpu);

	cr3 = okvm_cut_to_mode(vcpu, cr3);
	if (okvm_cr4(vcpu) & X86_CR4_PCIDE)
		cr3 &= ~X86_CR3_PCID_NOFLUSH;
	if (!okvm_long_mode(vcpu) || cr3 & vcpu->arch->feat.gpa_reserved)
		return false;
	okvm_load_cr3(vcpu, cr3);
	if (okvm_mmu_cr3_fast(vcpu))
		return true;
	okvm_load_cr3(vcpu, old);
	return false;
}

bool okvm_exit_to_cr4_fast(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	cr4 = okvm_cut_to_mode(vcpu, cr4);
	if (!okvm_long_mode(vcpu) || (cr4 ^ okvm_cr4(vcpu)) != X86_CR4_PGE ||
	    !okvm_cr4_valid(vcpu, cr4) || !okvm_mmu_cr3_fast(vcpu))
		return false;
	vcpu->arch->reg_ops->set_cr4(vcpu, cr4);
	vcpu->arch->cr4 = cr4;
	return true;
}

int okvm_exit_from_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned int reg,
		      unsigned int len)
{
	if (cr == 0)
		okvm_gpr_set(vcpu, reg, okvm_cut_to_mode(vcpu, okvm_cr0(vcpu)));
	else if (cr == 3)
		okvm_gpr_set(vcpu, reg, okvm_cut_to_mode(vcpu, okvm_cr3(vcpu)));
	else if (cr == 4)
		okvm_gpr_set(vcpu, reg, okvm_cut_to_mode(vcpu, okvm_cr4(vcpu)));
	else if (cr == 8)
		okvm_gpr_set(vcpu, reg, okvm_get_cr8(vcpu));
	else
		return exit_undefined(vcpu);
	trace_kvm_cr(false, cr, okvm_gpr(vcpu, reg));
	return okvm_skip_insn(vcpu, len);
}

int okvm_exit_clts(struct okvm_vcpu *vcpu, unsigned int len)
{
	trace_kvm_cr(true, 0, okvm_cr0(vcpu) & ~X86_CR0_TS);
	return okvm_gp_or_skip(vcpu, okvm_set_cr0(vcpu, okvm_cr0(vcpu) & ~X86_CR0_TS), len);
}

/* Execute LMSW, which writes the low four bits of CR0, but cannot clear PE. */
int okvm_exit_lmsw(struct okvm_vcpu *vcpu, u16 msw, unsigned int len)
{
	unsigned long cr0 = okvm_cr0(vcpu);

	cr0 = (cr0 & ~0xeul) | (msw & 0xf) | (cr0 & X86_CR0_PE);
	trace_kvm_cr(true, 0, cr0);
	return okvm_gp_or_skip(vcpu, okvm_set_cr0(vcpu, cr0), len);
}

/* ---- debug registers ---- */

bool okvm_exit_dr_lend(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	/*
	 * If this function returns true, the guest uses the CPU's debug registers directly, until
	 * debug_leave() (x86/stay.h) saves them and intercepts MOV DR again.
	 */
	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP || arch->dr7 & DR7_GD || exit_cpl(vcpu))
		return false;
	arch->debug_regs_live = true;
	return true;
}

/*
 * General detect: with DR7.GD set, MOV to or from a debug register raises #DB and does not execute
 * (SDM "Debug Control Register (DR7)").
 */
static int exit_general_detect(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR6_BD | arch->feat.dr6_fixed1);
	okvm_queue_db(vcpu, DR6_BD);
	return OKVM_RESUME;
}

int okvm_exit_mov_dr(struct okvm_vcpu *vcpu, unsigned int dr, unsigned int reg, bool from,
		     unsigned int len)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long val;

	/* With CR4.DE set, DR4 and DR5 raise #UD at any CPL (SDM "Debug Registers DR4 and DR5"). */
	if ((dr == 4 || dr == 5) && okvm_cr4(vcpu) & X86_CR4_DE)
		return exit_undefined(vcpu);
	if (exit_cpl(vcpu) != 0)
		return okvm_gp_or_skip(vcpu, true, len);
	if ((arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ? arch->guest_debug_dr7 : arch->dr7) &
	    DR7_GD)
		return exit_general_detect(vcpu);
	if (!from) {
		val = okvm_cut_to_mode(vcpu, okvm_gpr(vcpu, reg));
		return okvm_gp_or_skip(vcpu, okvm_set_dr(vcpu, dr, val), len);
	}
	if (okvm_get_dr(vcpu, dr, &val))
		return okvm_gp_or_skip(vcpu, true, len);
	okvm_gpr_set(vcpu, reg, okvm_cut_to_mode(vcpu, val));
	return okvm_skip_insn(vcpu, len);
}

/* ---- page faults: shadow paging ---- */

/*
 * Emulate the instruction that caused a #PF, because shadow paging cannot map the page for this
 * access. Either there is no memory at the address, or the access is a write to read-only memory or
 * to a page table of the guest. After a write to a page table the emulator calls
 * okvm_mmu_guest_wrote().
 */
static int emulate_access(struct okvm_vcpu *vcpu, const struct okvm_page_fault *pf)
{
	bool device = pf->device ||
		      (pf->gpa != OKVM_INVALID_GPA &&
		       !okvm_guest_has(vcpu->vm, pf->gpa, pf->acc & OKVM_ACC_WRITE));
	const bool fetch = pf->acc & OKVM_ACC_FETCH;
	int outcome;

	if (device && !fetch && okvm_emulate_known(vcpu, pf->gpa, !pf->readonly, &outcome))
		return outcome;
	if (fetch)
		return okvm_emulate(vcpu, OKVM_EMUL_MMIO, OKVM_INVALID_GPA);
	return okvm_emulate(vcpu, pf->readonly ? OKVM_EMUL_MMIO_READ : OKVM_EMUL_MMIO, pf->gpa);
}

int okvm_exit_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf,
			 int (*deliver)(struct okvm_vcpu *vcpu, gpa_t gpa))
{
	int verdict;

	trace_kvm_page_fault(vcpu->id, okvm_rip(vcpu), pf->gva, pf->acc & ~OKVM_ACC_IMPLICIT);
	verdict = okvm_mmu_page_fault(vcpu, pf);
	switch (verdict) {
	case OKVM_FAULT_GUEST:
		okvm_queue_pf(vcpu, pf->gva, pf->guest.error_code);
		return OKVM_RESUME;
	case OKVM_FAULT_MMIO:
		if (likely(!deliver))
			return emulate_access(vcpu, pf);
		/*
		 * The fault interrupted the delivery of an event, so let the emulator deliver the
		 * event. The CPU may be unable to: if the guest's stack is in a page that the guest
		 * also uses as a page table, okvm write-protects the page again and again, and each
		 * delivery by the CPU faults.
		 */
		return deliver(vcpu, pf->gpa);
	case OKVM_FAULT_FIXED:
	case OKVM_FAULT_SIGNAL:
	case OKVM_FAULT_LATER:
		return OKVM_RESUME;
	default:
		return verdict;
	}
}
