/* SPDX-License-Identifier: GPL-2.0-only */
/* The MSRs of a vCPU. Guest and userspace access them by the same functions. */
#ifndef OKVM_X86_MSR_MSR_H
#define OKVM_X86_MSR_MSR_H

#include "x86/x86.h"

/**
 * okvm_host_msr_needs() - Return BIT(enum msr_need) of all features that the host has
 * @host: its members caps, arch_capabilities and cpuid must be set
 *
 * The caller stores the result in host->msr_needs.
 */
u32 okvm_host_msr_needs(const struct okvm_host *host);
/** okvm_host_arch_capabilities() - Return the IA32_ARCH_CAPABILITIES that guests may see */
u64 okvm_host_arch_capabilities(void);
/** okvm_msr_create() - Set those MSRs of a new vCPU that are not 0 (ARCH_CAPABILITIES, PAT ...) */
void okvm_msr_create(struct okvm_vcpu *vcpu);
/** okvm_msr_reset() - Reset MSRs by RESET or INIT, except EFER and the APIC's */
void okvm_msr_reset(struct okvm_vcpu *vcpu, bool init);

/** okvm_get_msr() - Read @msr for userspace (@host) or for the guest's RDMSR */
enum okvm_msr_result okvm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host);
enum okvm_msr_result okvm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);
/**
 * okvm_emulate_msr() - Emulate RDMSR or WRMSR
 * @insn_len: length of the instruction in bytes
 *
 * If the access fails, the function raises #GP or exits to userspace. Return: enum okvm_outcome
 */
int okvm_emulate_msr(struct okvm_vcpu *vcpu, bool write, unsigned int insn_len);
/**
 * okvm_msr_ask_user() - Fill kvm_run if the VMM wants an exit for failures of kind @result
 * @insn_len: length of the instruction in bytes
 * Return: true if kvm_run is filled (the next KVM_RUN completes the instruction); false if the
 * caller must raise #GP
 */
bool okvm_msr_ask_user(struct okvm_vcpu *vcpu, enum okvm_msr_result result, u32 msr, bool write,
		       unsigned int insn_len);
/**
 * okvm_rdmsr_fast() - Read @msr with IRQs off
 *
 * The function knows only MSRs whose reads do not sleep, and does nothing if userspace has set an
 * MSR filter.
 * Return: true if it has read @msr; false if okvm_emulate_msr() must do that
 */
bool okvm_rdmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
bool okvm_wrmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val);

extern const struct okvm_ioctl okvm_msr_sys_ioctls[], okvm_msr_vcpu_ioctls[];

#endif /* OKVM_X86_MSR_MSR_H */
