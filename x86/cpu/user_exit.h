/* SPDX-License-Identifier: GPL-2.0-only */
/* Exits to userspace in the middle of an instruction, or because of an instruction. */
#ifndef OKVM_X86_CPU_USER_EXIT_H
#define OKVM_X86_CPU_USER_EXIT_H

#include "x86/cpu/regs.h"

/**
 * okvm_io_begin() - Let the next KVM_RUN complete the current instruction
 * @complete: function that completes the instruction; returns an outcome
 *
 * Called before an exit to userspace, which has to do a part of the instruction (an access).
 */
static inline void okvm_io_begin(struct okvm_vcpu *vcpu, int (*complete)(struct okvm_vcpu *vcpu))
{
	vcpu->complete_io = complete;
	vcpu->arch->io_touched = false;
}

/**
 * okvm_io_touch() - Record the linear RIP before an ioctl changes RIP, CS, mode or interrupt shadow
 *
 * okvm_io_moved() compares the recorded RIP with the new one. Called with the vCPU loaded.
 */
void okvm_io_touch(struct okvm_vcpu *vcpu);

/** okvm_io_moved() - Has userspace moved RIP away from the instruction to be completed? */
static inline bool okvm_io_moved(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->io_touched &&
	       !okvm_is_linear_rip(vcpu, vcpu->arch->io_linear_rip);
}

/**
 * okvm_internal_error() - Fill kvm_run for KVM_EXIT_INTERNAL_ERROR
 * @ndata: number of words of @data, at most 13
 *
 * The function also stores an explanation for OKVM_GET_ERROR. But if @suberror is
 * KVM_INTERNAL_ERROR_EMULATION, the caller has stored an explanation already.
 * Return: OKVM_USER
 */
int okvm_internal_error(struct okvm_vcpu *vcpu, u32 suberror, u32 ndata, const u64 *data);
/**
 * okvm_shutdown_exit() - Fill kvm_run for KVM_EXIT_SHUTDOWN, and store where the guest was
 *
 * Reads the registers, so a caller that also resets the vCPU must call this function before the
 * reset.
 * Return: OKVM_USER
 */
int okvm_shutdown_exit(struct okvm_vcpu *vcpu);
/** okvm_debug_exit() - Fill kvm_run for KVM_EXIT_DEBUG. Return: OKVM_USER */
int okvm_debug_exit(struct okvm_vcpu *vcpu, u8 vector, unsigned long dr6);

#endif /* OKVM_X86_CPU_USER_EXIT_H */
