// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instruction pointer, flags and APIC base: what exit handlers need of the
 * registers beyond the inline accessors of x86.h.
 */
#include <linux/compiler.h>
#include <linux/sched.h>

#include <asm/apicdef.h>
#include <asm/trapnr.h>

#include <uapi/asm/debugreg.h>

#include "x86/internal.h"

bool okvm_cs_64bit(struct okvm_vcpu *vcpu)
{
	return okvm_long_mode(vcpu) && vcpu->vm->backend->cs_long(vcpu);
}

unsigned long okvm_linear_rip(struct okvm_vcpu *vcpu)
{
	unsigned long rip = okvm_rip(vcpu);
	struct kvm_segment cs;

	if (okvm_cs_64bit(vcpu))
		return rip;
	vcpu->vm->backend->get_segment(vcpu, &cs, OKVM_SEG_CS);
	return (u32)(cs.base + rip);
}

bool okvm_is_linear_rip(struct okvm_vcpu *vcpu, unsigned long lip)
{
	return okvm_linear_rip(vcpu) == lip;
}

/* Written on the side that is rare: a completion need not compute where it stands. */
void okvm_io_touch(struct okvm_vcpu *vcpu)
{
	if (!vcpu->complete_io || vcpu->arch->io_touched)
		return;
	vcpu->arch->io_linear_rip = okvm_linear_rip(vcpu);
	vcpu->arch->io_touched = true;
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

/* Nothing has happened: SDM "Debug Status Register (DR6)" */
#define DR6_IDLE	0xffff0ff0ul

/* The single-step trap of an instruction that was skipped: the debugger's, or else the guest's. */
static int trap_singlestep(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR_STEP | DR6_IDLE);
	okvm_queue_db(vcpu, DR_STEP);
	return OKVM_RESUME;
}

void okvm_pass_insn(struct okvm_vcpu *vcpu, unsigned int len)
{
	unsigned long old = okvm_rip(vcpu);
	unsigned long rip = old + len;

	/* Only a carry out of bit 31 makes the code segment's size matter. */
	if (unlikely(upper_32_bits(rip ^ old) && !okvm_cs_64bit(vcpu)))
		rip = lower_32_bits(rip);
	okvm_rip_set(vcpu, rip);
	vcpu->vm->backend->set_shadow(vcpu, 0);
}

int okvm_skip_insn(struct okvm_vcpu *vcpu, unsigned int len)
{
	okvm_pass_insn(vcpu, len);
	if (unlikely(okvm_rflags(vcpu) & X86_EFLAGS_TF))
		return trap_singlestep(vcpu);
	return OKVM_RESUME;
}

int okvm_gp_or_skip(struct okvm_vcpu *vcpu, bool gp, unsigned int insn_len)
{
	if (!gp)
		return okvm_skip_insn(vcpu, insn_len);
	okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return OKVM_RESUME;
}

bool okvm_require_cpl0(struct okvm_vcpu *vcpu)
{
	if (vcpu->vm->backend->get_cpl(vcpu) == 0)
		return true;
	okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return false;
}

bool okvm_canonical(struct okvm_vcpu *vcpu, u64 addr)
{
	unsigned int shift = okvm_cr4(vcpu) & X86_CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(addr << shift) >> shift) == addr;
}

u64 okvm_get_apic_base(struct okvm_vcpu *vcpu)
{
	return okvm_lapic_in_kernel(vcpu) ? okvm_apic_base(vcpu) : vcpu->arch->apic_base;
}

#define APIC_BASE_MODE	(X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE)

/* SDM "Local APIC State Transitions": which mode may follow which by WRMSR. */
static bool apic_mode_may_follow(u64 old, u64 new)
{
	old &= APIC_BASE_MODE;
	new &= APIC_BASE_MODE;
	if (old == new)
		return true;
	/* x2APIC is entered from xAPIC only and left for disabled only. */
	if (new == APIC_BASE_MODE)
		return old == MSR_IA32_APICBASE_ENABLE;
	if (new == MSR_IA32_APICBASE_ENABLE)
		return old == 0;
	return true;
}

int okvm_set_apic_base(struct okvm_vcpu *vcpu, u64 base, bool host)
{
	u64 old = okvm_get_apic_base(vcpu);
	u64 reserved = vcpu->arch->feat.gpa_reserved | 0x2ff;

	if (!vcpu->arch->feat.x2apic)
		reserved |= X2APIC_ENABLE;
	if (base & reserved || (base & APIC_BASE_MODE) == X2APIC_ENABLE)
		return 1;
	if (!host && !apic_mode_may_follow(old, base))
		return 1;
	if (okvm_lapic_in_kernel(vcpu)) {
		if (okvm_apic_set_base(vcpu, base, host))
			return 1;
	} else {
		vcpu->arch->apic_base = base;
	}
	if ((old ^ base) & MSR_IA32_APICBASE_ENABLE)
		okvm_cpuid_runtime(vcpu);
	return 0;
}
