// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that are made by instructions: decode the qualification, call x86/.
 */
#include <linux/kvm.h>
#include <linux/sched.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "vmx/vmx.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/msr/msr.h"
#include "x86/pv/pv.h"

/* DR6.BD and DR7.GD, which the kernel's headers do not name. */
#define DR6_ACCESS	BIT(13)
#define DR7_DETECT	BIT(13)

static int skip(struct okvm_vcpu *vcpu)
{
	return okvm_skip_insn(vcpu, vmx_insn_len(to_hw(vcpu)));
}

/* What x86/cpu/cr.c and friends answer: 0 go on, else #GP. */
static int skip_or_gp(struct okvm_vcpu *vcpu, int err)
{
	if (!err)
		return skip(vcpu);
	okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return OKVM_RESUME;
}

int vmx_exit_nop(struct okvm_vcpu *vcpu)
{
	return skip(vcpu);
}

int vmx_exit_ud(struct okvm_vcpu *vcpu)
{
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

int vmx_exit_cpuid(struct okvm_vcpu *vcpu)
{
	unsigned long *gpr = vcpu->arch->gpr;
	u32 eax = gpr[OKVM_REG_RAX], ecx = gpr[OKVM_REG_RCX], ebx, edx;

	if (okvm_cpuid_faults(vcpu) && vcpu->vm->backend->get_cpl(vcpu)) {
		okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return OKVM_RESUME;
	}
	okvm_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	gpr[OKVM_REG_RAX] = eax;
	gpr[OKVM_REG_RBX] = ebx;
	gpr[OKVM_REG_RCX] = ecx;
	gpr[OKVM_REG_RDX] = edx;
	return skip(vcpu);
}

int vmx_exit_rdmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_rdmsr(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_wrmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_wrmsr(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_hlt(struct okvm_vcpu *vcpu)
{
	return okvm_halt(vcpu, skip(vcpu));
}

int vmx_exit_vmcall(struct okvm_vcpu *vcpu)
{
	return okvm_hypercall(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_pause(struct okvm_vcpu *vcpu)
{
	/* Only kernels spin on what another vCPU holds; PLE itself counts CPL 0 only. */
	okvm_vcpu_on_spin(vcpu, vmx_get_cpl(vcpu) == 0);
	return skip(vcpu);
}

/* MONITOR and MWAIT do nothing, unless the quirk is off: then they are undefined. */
int vmx_exit_mwait(struct okvm_vcpu *vcpu)
{
	if (vcpu->vm->arch->disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS &&
	    !vcpu->arch->feat.mwait)
		return vmx_exit_ud(vcpu);
	return skip(vcpu);
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

/* SDM "Exit Qualification for I/O Instructions". */
int vmx_exit_io(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned long qual = vmx_qual(hw);

	if (qual & BIT(4))
		return vmx_emulate(vcpu, OKVM_EMUL_PIO, 0);
	return okvm_pio(vcpu, qual >> 16, (qual & 7) + 1, qual & BIT(3), vmx_insn_len(hw));
}

/* Userspace's APIC hears of a lowered priority; a raised one can wait. */
static int write_cr8(struct okvm_vcpu *vcpu, unsigned long val)
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
static unsigned long natural(struct okvm_vcpu *vcpu, unsigned long val)
{
	return vmx_cs_long(vcpu) ? val : (u32)val;
}

static int move_to_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val)
{
	val = natural(vcpu, val);
	switch (cr) {
	case 0:
		return skip_or_gp(vcpu, okvm_set_cr0(vcpu, val));
	case 3:
		return skip_or_gp(vcpu, okvm_set_cr3(vcpu, val));
	case 4:
		return skip_or_gp(vcpu, okvm_set_cr4(vcpu, val));
	case 8:
		return write_cr8(vcpu, val);
	default:
		return vmx_exit_ud(vcpu);
	}
}

static int move_from_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned int reg)
{
	if (cr == 3)
		okvm_gpr_set(vcpu, reg, natural(vcpu, okvm_cr3(vcpu)));
	else if (cr == 8)
		okvm_gpr_set(vcpu, reg, okvm_get_cr8(vcpu));
	return skip(vcpu);
}

/* LMSW sets the low four bits of CR0, but cannot clear PE. */
static int lmsw(struct okvm_vcpu *vcpu, u16 src)
{
	unsigned long cr0 = okvm_cr0(vcpu);

	return skip_or_gp(vcpu, okvm_set_cr0(vcpu, (cr0 & ~0xeul) | (src & 0xf) |
					     (cr0 & X86_CR0_PE)));
}

/* SDM "Exit Qualification for Control-Register Accesses". */
int vmx_exit_cr(struct okvm_vcpu *vcpu)
{
	unsigned long qual = vmx_qual(to_hw(vcpu));
	unsigned int cr = qual & 15, reg = (qual >> 8) & 15;

	switch ((qual >> 4) & 3) {
	case 0:
		return move_to_cr(vcpu, cr, okvm_gpr(vcpu, reg));
	case 1:
		return move_from_cr(vcpu, cr, reg);
	case 2:
		return skip_or_gp(vcpu, okvm_set_cr0(vcpu, okvm_cr0(vcpu) & ~X86_CR0_TS));
	default:
		return lmsw(vcpu, qual >> 16);
	}
}

/* General detect: the debugger wants to see accesses (SDM "Debug Control Register (DR7)"). */
static int general_detect(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR6_ACCESS | arch->feat.dr6_fixed1);
	okvm_queue_db(vcpu, DR6_ACCESS);
	return OKVM_RESUME;
}

int vmx_exit_dr(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long qual = vmx_qual(hw), val;
	unsigned int dr = qual & 7, reg = (qual >> 8) & 15;

	/*
	 * Accesses come in bunches: the registers are the guest's until the next slow exit,
	 * which takes them over and brings the intercept back.
	 */
	if (!(arch->guest_debug & KVM_GUESTDBG_USE_HW_BP) && !(arch->dr7 & DR7_DETECT) &&
	    vmx_get_cpl(vcpu) == 0) {
		arch->debug_regs_live = true;
		vmx_exec_set(hw, hw->exec & ~CPU_BASED_MOV_DR_EXITING);
		return OKVM_RESUME;
	}
	/* It does not exist: #UD for any privilege (SDM "Debug Registers DR4 and DR5"). */
	if ((dr == 4 || dr == 5) && okvm_cr4(vcpu) & X86_CR4_DE) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	if (vmx_get_cpl(vcpu) != 0)
		return skip_or_gp(vcpu, 1);
	if ((arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ? arch->guest_debug_dr7 : arch->dr7) &
	    DR7_DETECT)
		return general_detect(vcpu);
	if (!(qual & BIT(4)))
		return skip_or_gp(vcpu, okvm_set_dr(vcpu, dr, natural(vcpu, okvm_gpr(vcpu, reg))));
	if (okvm_get_dr(vcpu, dr, &val))
		return skip_or_gp(vcpu, 1);
	okvm_gpr_set(vcpu, reg, natural(vcpu, val));
	return skip(vcpu);
}
