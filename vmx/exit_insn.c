// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that are made by instructions: decode the qualification, call x86/.
 */
#include <linux/kvm.h>
#include <linux/sched.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "vmx/qual.h"
#include "vmx/vmx.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/msr/msr.h"
#include "x86/pv/pv.h"

/* @err: what the setter of a register answered: 0 to go on, else #GP. */
static int skip_or_gp(struct okvm_vcpu *vcpu, int err)
{
	return okvm_gp_or_skip(vcpu, err, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_nop(struct okvm_vcpu *vcpu)
{
	return vmx_skip_insn(vcpu);
}

int vmx_exit_ud(struct okvm_vcpu *vcpu)
{
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

int vmx_exit_rdmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_msr(vcpu, false, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_wrmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_msr(vcpu, true, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_hlt(struct okvm_vcpu *vcpu)
{
	return okvm_halt(vcpu, vmx_skip_insn(vcpu));
}

int vmx_exit_vmcall(struct okvm_vcpu *vcpu)
{
	return okvm_hypercall(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_pause(struct okvm_vcpu *vcpu)
{
	/* Only kernels spin on what another vCPU holds; PLE itself counts CPL 0 only. */
	okvm_vcpu_on_spin(vcpu, vmx_get_cpl(vcpu) == 0);
	return vmx_skip_insn(vcpu);
}

/* MONITOR and MWAIT do nothing, unless the quirk is off: then they are undefined. */
int vmx_exit_mwait(struct okvm_vcpu *vcpu)
{
	if (vcpu->vm->arch->disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS &&
	    !vcpu->arch->feat.mwait)
		return vmx_exit_ud(vcpu);
	return vmx_skip_insn(vcpu);
}

int vmx_exit_xsetbv(struct okvm_vcpu *vcpu)
{
	int err = vmx_get_cpl(vcpu) != 0;

	if (!err)
		err = okvm_set_xcr(vcpu, okvm_gpr(vcpu, OKVM_REG_RCX), okvm_edx_eax(vcpu));
	return skip_or_gp(vcpu, err);
}

/* No performance counters: every index is illegal. */
int vmx_exit_rdpmc(struct okvm_vcpu *vcpu)
{
	return skip_or_gp(vcpu, 1);
}

/* UMIP without hardware support. */
int vmx_exit_desc(struct okvm_vcpu *vcpu)
{
	return vmx_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

int vmx_exit_io(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_io q = { vmx_qual(hw) };

	if (q.string)
		return vmx_emulate(vcpu, OKVM_EMUL_PIO, 0);
	return okvm_pio(vcpu, q.port, qual_io_size(q), q.in, vmx_insn_len(hw));
}

/* Only with shadow paging. The qualification is the linear address. */
int vmx_exit_invlpg(struct okvm_vcpu *vcpu)
{
	okvm_mmu_invalidate(vcpu, OKVM_INVLPG, 0, vmx_qual(to_hw(vcpu)));
	return vmx_skip_insn(vcpu);
}

bool vmx_fast_invlpg(struct okvm_vcpu *vcpu)
{
	if (vmx_single_steps(vcpu) || !okvm_mmu_invlpg_fast(vcpu, vmx_qual(to_hw(vcpu))))
		return false;
	vmx_skip_insn_fast(vcpu);
	return true;
}

/* The descriptor is in memory, which the emulator reads. */
int vmx_exit_invpcid(struct okvm_vcpu *vcpu)
{
	return vmx_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

/* An APIC in userspace is told of a lowered priority at once; of a raised one at the next exit. */
static int exit_move_to_cr8(struct okvm_vcpu *vcpu, unsigned long val)
{
	unsigned long old = okvm_get_cr8(vcpu);
	int err = okvm_set_cr8(vcpu, val);
	int outcome = skip_or_gp(vcpu, err);

	if (err || outcome != OKVM_RESUME || vcpu->apic || old <= (u8)val)
		return outcome;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return OKVM_USER;
}

/* Moves to and from control and debug registers have 32 bits outside of 64-bit mode. */
static unsigned long cut_to_mode(struct okvm_vcpu *vcpu, unsigned long val)
{
	return vmx_cs_long(vcpu) ? val : (u32)val;
}

static int exit_move_to_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val)
{
	val = cut_to_mode(vcpu, val);
	switch (cr) {
	case 0:
		return skip_or_gp(vcpu, okvm_set_cr0(vcpu, val));
	case 3:
		return skip_or_gp(vcpu, okvm_set_cr3(vcpu, val));
	case 4:
		return skip_or_gp(vcpu, okvm_set_cr4(vcpu, val));
	case 8:
		return exit_move_to_cr8(vcpu, val);
	default:
		return vmx_exit_ud(vcpu);
	}
}

static int exit_move_from_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned int reg)
{
	if (cr == 3)
		okvm_gpr_set(vcpu, reg, cut_to_mode(vcpu, okvm_cr3(vcpu)));
	else if (cr == 8)
		okvm_gpr_set(vcpu, reg, okvm_get_cr8(vcpu));
	return vmx_skip_insn(vcpu);
}

/* LMSW sets the low four bits of CR0, but cannot clear PE. */
static int exit_lmsw(struct okvm_vcpu *vcpu, u16 src)
{
	unsigned long cr0 = okvm_cr0(vcpu);

	return skip_or_gp(vcpu, okvm_set_cr0(vcpu, (cr0 & ~0xeul) | (src & 0xf) |
					     (cr0 & X86_CR0_PE)));
}

bool vmx_fast_cr(struct okvm_vcpu *vcpu)
{
	const union qual_cr q = { vmx_qual(to_hw(vcpu)) };

	if (!vmx_is_shadow(vcpu) || q.cr != 3 || q.type != QUAL_CR_FROM || vmx_single_steps(vcpu))
		return false;
	okvm_gpr_set(vcpu, q.reg, cut_to_mode(vcpu, okvm_cr3(vcpu)));
	vmx_skip_insn_fast(vcpu);
	return true;
}

int vmx_exit_cr(struct okvm_vcpu *vcpu)
{
	const union qual_cr q = { vmx_qual(to_hw(vcpu)) };

	switch (q.type) {
	case QUAL_CR_TO:
		return exit_move_to_cr(vcpu, q.cr, okvm_gpr(vcpu, q.reg));
	case QUAL_CR_FROM:
		return exit_move_from_cr(vcpu, q.cr, q.reg);
	case QUAL_CR_CLTS:
		return skip_or_gp(vcpu, okvm_set_cr0(vcpu, okvm_cr0(vcpu) & ~X86_CR0_TS));
	default:
		return exit_lmsw(vcpu, q.msw);
	}
}

/* General detect: the debugger wants to see accesses (SDM "Debug Control Register (DR7)"). */
static int exit_general_detect(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR6_BD | arch->feat.dr6_fixed1);
	okvm_queue_db(vcpu, DR6_BD);
	return OKVM_RESUME;
}

int vmx_exit_dr(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	const union qual_dr q = { vmx_qual(hw) };
	unsigned long val;

	/*
	 * Accesses come in bunches: the registers are the guest's until the next slow exit,
	 * which takes them over and brings the intercept back.
	 */
	if (!(arch->guest_debug & KVM_GUESTDBG_USE_HW_BP) && !(arch->dr7 & DR7_GD) &&
	    vmx_get_cpl(vcpu) == 0) {
		arch->debug_regs_live = true;
		vmcs_exec_set(&hw->vmcs, hw->vmcs.exec & ~CPU_BASED_MOV_DR_EXITING);
		return OKVM_RESUME;
	}
	/* They do not exist: #UD at any privilege (SDM "Debug Registers DR4 and DR5"). */
	if ((q.dr == 4 || q.dr == 5) && okvm_cr4(vcpu) & X86_CR4_DE) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	if (vmx_get_cpl(vcpu) != 0)
		return skip_or_gp(vcpu, 1);
	if ((arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ? arch->guest_debug_dr7 : arch->dr7) &
	    DR7_GD)
		return exit_general_detect(vcpu);
	if (!q.from)
		return skip_or_gp(vcpu, okvm_set_dr(vcpu, q.dr,
						    cut_to_mode(vcpu, okvm_gpr(vcpu, q.reg))));
	if (okvm_get_dr(vcpu, q.dr, &val))
		return skip_or_gp(vcpu, 1);
	okvm_gpr_set(vcpu, q.reg, cut_to_mode(vcpu, val));
	return vmx_skip_insn(vcpu);
}
