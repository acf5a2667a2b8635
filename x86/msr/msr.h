/* SPDX-License-Identifier: GPL-2.0-only */
/* The MSRs of a vCPU. One validator for guest and ioctl. */
#ifndef OKVM_X86_MSR_MSR_H
#define OKVM_X86_MSR_MSR_H

#include "x86/x86.h"

/** okvm_host_msr_needs() - @host->msr_needs, from what else is known of it */
u32 okvm_host_msr_needs(const struct okvm_host *host);
/** okvm_host_arch_capabilities() - IA32_ARCH_CAPABILITIES that guests may see */
u64 okvm_host_arch_capabilities(void);
/**
 * okvm_msr_create() - MSRs that only creation sets (ARCH_CAPABILITIES, PLATFORM_INFO,
 * UCODE_REV)
 */
void okvm_msr_create(struct okvm_vcpu *vcpu);
/** okvm_msr_reset() - MSRs of RESET, or INIT; not what okvm_set_efer() and the APIC do */
void okvm_msr_reset(struct okvm_vcpu *vcpu, bool init);

/** @host: by ioctl, not by the guest */
enum okvm_msr_result okvm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host);
enum okvm_msr_result okvm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);
/** okvm_emulate_msr() - the guest's RDMSR/WRMSR exits: filter, user exit, #GP; an outcome */
int okvm_emulate_msr(struct okvm_vcpu *vcpu, bool write, unsigned int insn_len);
/**
 * okvm_msr_ask_user() - an access that fails with @result, by an instruction of @insn_len bytes
 *
 * Return: true if userspace has asked for such failures: kvm_run is filled, and the next KVM_RUN
 * completes the instruction. False: it is #GP.
 */
bool okvm_msr_ask_user(struct okvm_vcpu *vcpu, enum okvm_msr_result result, u32 msr, bool write,
		       unsigned int insn_len);
/** okvm_rdmsr_fast() - IRQs off: true if @val is known without sleeping and no filter is set */
bool okvm_rdmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
bool okvm_wrmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val);

extern const struct okvm_ioctl okvm_msr_sys_ioctls[], okvm_msr_vcpu_ioctls[];

#endif /* OKVM_X86_MSR_MSR_H */
