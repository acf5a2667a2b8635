/* SPDX-License-Identifier: GPL-2.0-only */
/* RIP, RFLAGS and APIC base. The vCPU thread calls these functions. */
#ifndef OKVM_X86_CPU_REGS_H
#define OKVM_X86_CPU_REGS_H

#include <linux/kernel.h>

#include "x86/x86.h"

/** okvm_cs_64bit() - Is the vCPU in 64-bit mode (EFER.LMA and CS.L)? */
bool okvm_cs_64bit(struct okvm_vcpu *vcpu);
/** okvm_linear_rip() - Return CS base + RIP, cut to 32 bits outside 64-bit mode */
unsigned long okvm_linear_rip(struct okvm_vcpu *vcpu);
/** okvm_is_linear_rip() - Is CS base + RIP the linear address @lip? */
bool okvm_is_linear_rip(struct okvm_vcpu *vcpu, unsigned long lip);
/** okvm_guest_rflags() - Return RFLAGS without the TF that KVM_GUESTDBG_SINGLESTEP has set */
unsigned long okvm_guest_rflags(struct okvm_vcpu *vcpu);
/**
 * okvm_guest_rflags_set() - Set RFLAGS; add TF if a debugger single-steps the instruction at RIP
 * (KVM_GUESTDBG_SINGLESTEP)
 */
void okvm_guest_rflags_set(struct okvm_vcpu *vcpu, unsigned long rflags);
/**
 * okvm_rip_carries() - Return true if @old and @rip differ in the upper 32 bits
 *
 * Used to advance RIP from @old to @rip. Outside 64-bit mode RIP has 32 bits. If this function
 * returns false, the caller need not test for that mode, because there is no carry to cut off.
 */
static __always_inline bool okvm_rip_carries(unsigned long old, unsigned long rip)
{
	return unlikely(upper_32_bits(rip ^ old));
}

/**
 * okvm_trap_singlestep() - Raise the single-step #DB after an instruction
 *
 * With KVM_GUESTDBG_SINGLESTEP exit with KVM_EXIT_DEBUG; otherwise queue the #DB for the guest.
 * Return: enum okvm_outcome
 */
int okvm_trap_singlestep(struct okvm_vcpu *vcpu);
/**
 * okvm_skip_insn() - Advance RIP by @len and end an interrupt shadow; raise #DB if TF is set
 * Return: enum okvm_outcome
 */
int okvm_skip_insn(struct okvm_vcpu *vcpu, unsigned int len);
/**
 * okvm_begin_again() - Return to the guest at the instruction that has exited. RF is set: the CPU
 * has looked for a breakpoint before the exit, which may have cleared RF, and must not look again.
 * Return: enum okvm_outcome
 */
static inline int okvm_begin_again(struct okvm_vcpu *vcpu)
{
	okvm_rflags_set(vcpu, okvm_rflags(vcpu) | X86_EFLAGS_RF);
	return OKVM_RESUME;
}

/**
 * okvm_gp_or_skip() - Queue #GP(0) if @gp, otherwise skip the instruction.
 * Return: enum okvm_outcome
 */
int okvm_gp_or_skip(struct okvm_vcpu *vcpu, bool gp, unsigned int insn_len);
/**
 * okvm_set_apic_base() - Set IA32_APIC_BASE
 * @host: true if userspace writes @base; userspace may change from any legal APIC mode to any other
 * Return: 0, or 1 if the caller must queue #GP
 */
int okvm_set_apic_base(struct okvm_vcpu *vcpu, u64 base, bool host);

#endif /* OKVM_X86_CPU_REGS_H */
