// SPDX-License-Identifier: GPL-2.0-only
/* Accessors of RIP, RFLAGS and the APIC base for exit handlers, beyond x86.h's inline ones. */
#include <linux/compiler.h>
#include <linux/sched.h>

#include <asm/apicdef.h>
#include <asm/trapnr.h>

#include <uapi/asm/debugreg.h>

#include "irq/model/lapic.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"

bool okvm_cs_64bit(struct okvm_vcpu *vcpu)
{
	return okvm_long_mode(vcpu) && vcpu->arch->reg_ops->cs_long(vcpu);
}

unsigned long okvm_linear_rip(struct okvm_vcpu *vcpu)
{
	unsigned long rip = okvm_rip(vcpu);
	struct kvm_segment cs;

	if (okvm_cs_64bit(vcpu))
		return rip;
	vcpu->arch->reg_ops->get_segment(vcpu, &cs, OKVM_SEG_CS);
	return (u32)(cs.base + rip);
}

bool okvm_is_linear_rip(struct okvm_vcpu *vcpu, unsigned long lip)
{
	return okvm_linear_rip(vcpu) == lip;
}

unsigned long okvm_guest_rflags(struct okvm_vcpu *vcpu)
{
	unsigned long rflags = okvm_rflags(vcpu);

	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		rflags &= ~X86_EFLAGS_TF;
	return rflags;
}

void okvm_guest_rflags_set(struct okvm_vcpu *vcpu, unsigned long rflags)
{
	if ((vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP) &&
	    okvm_is_linear_rip(vcpu, vcpu->arch->singlestep_rip))
		rflags |= X86_EFLAGS_TF;
	okvm_rflags_set(vcpu, rflags);
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

int okvm_trap_singlestep(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR_STEP | DR6_RESERVED);
	okvm_queue_db(vcpu, DR_STEP);
	return OKVM_RESUME;
}

int okvm_skip_insn(struct okvm_vcpu *vcpu, unsigned int len)
{
	unsigned long old = okvm_rip(vcpu);
	unsigned long rip = old + len, rflags;

	if (okvm_rip_carries(old, rip) && !okvm_cs_64bit(vcpu))
		rip = lower_32_bits(rip);
	okvm_rip_set(vcpu, rip);
	vcpu->arch->event_ops->set_irq_shadow(vcpu, 0);
	rflags = okvm_rflags(vcpu);
	if (likely(!(rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF))))
		return OKVM_RESUME;
	/*
	 * A completed instruction clears RF. On VMX an exit of an instruction has saved RF as 0,
	 * and an exit of a memory access as 1, as for a fault. On SVM RF is what it was before the
	 * instruction. Userspace may have set RF meanwhile.
	 */
	if (rflags & X86_EFLAGS_RF)
		okvm_rflags_set(vcpu, rflags & ~X86_EFLAGS_RF);
	return rflags & X86_EFLAGS_TF ? okvm_trap_singlestep(vcpu) : OKVM_RESUME;
}

int okvm_gp_or_skip(struct okvm_vcpu *vcpu, bool gp, unsigned int insn_len)
{
	if (!gp)
		return okvm_skip_insn(vcpu, insn_len);
	okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return OKVM_RESUME;
}

int okvm_set_apic_base(struct okvm_vcpu *vcpu, u64 base, bool host)
{
	u64 old = okvm_get_apic_base(vcpu);
	u64 reserved = vcpu->arch->feat.gpa_reserved;

	if (!vcpu->arch->feat.x2apic)
		reserved |= X2APIC_ENABLE;
	if (!lapic_base_legal(old, base, reserved, host))
		return 1;
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_set_base(vcpu, base);
	else
		vcpu->arch->apic_base = base;
	if ((old ^ base) & MSR_IA32_APICBASE_ENABLE)
		okvm_cpuid_runtime(vcpu);
	return 0;
}
