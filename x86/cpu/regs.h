/* SPDX-License-Identifier: GPL-2.0-only */
/* Instruction pointer, flags and APIC base. Functions run in the vCPU's thread. */
#ifndef OKVM_X86_CPU_REGS_H
#define OKVM_X86_CPU_REGS_H

#include <linux/kernel.h>

#include "x86/x86.h"

/** okvm_cs_64bit() - the code segment is a 64-bit one */
bool okvm_cs_64bit(struct okvm_vcpu *vcpu);
/** okvm_linear_rip() - CS base + RIP, cut to 32 bits outside 64-bit code */
unsigned long okvm_linear_rip(struct okvm_vcpu *vcpu);
/** okvm_is_linear_rip() - does the guest stand at linear address @lip? */
bool okvm_is_linear_rip(struct okvm_vcpu *vcpu, unsigned long lip);
/** okvm_guest_rflags() - RFLAGS without the TF that KVM_GUESTDBG_SINGLESTEP put there */
unsigned long okvm_guest_rflags(struct okvm_vcpu *vcpu);
/** okvm_guest_rflags_set() - the guest's RFLAGS; adds TF while it is being single-stepped */
void okvm_guest_rflags_set(struct okvm_vcpu *vcpu, unsigned long rflags);
/** okvm_rip_carries() - into bit 32: only then does the code segment's size matter to RIP */
static __always_inline bool okvm_rip_carries(unsigned long old, unsigned long rip)
{
	return unlikely(upper_32_bits(rip ^ old));
}

/**
 * okvm_trap_singlestep() - raise the single-step #DB after an instruction
 * Return: outcome; KVM_EXIT_DEBUG with KVM_GUESTDBG_SINGLESTEP, else the guest gets the #DB
 */
int okvm_trap_singlestep(struct okvm_vcpu *vcpu);
/** okvm_skip_insn() - RIP past an instruction of @len bytes; drops STI/MOV SS blocking; TF traps */
int okvm_skip_insn(struct okvm_vcpu *vcpu, unsigned int len);
/** okvm_gp_or_skip() - end of an emulated instruction: #GP(0) if @gp, else past it. Outcome */
int okvm_gp_or_skip(struct okvm_vcpu *vcpu, bool gp, unsigned int insn_len);
/** okvm_set_apic_base() - 0, or 1 for #GP. @host: any legal mode may follow any other */
int okvm_set_apic_base(struct okvm_vcpu *vcpu, u64 base, bool host);

#endif /* OKVM_X86_CPU_REGS_H */
