/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the files directly in x86/. These files and the backends call them. */
#ifndef OKVM_X86_RUN_H
#define OKVM_X86_RUN_H

#include "x86/x86.h"

/**
 * okvm_serve_fast() - Serve requests, if all pending ones are for interrupts or LAPIC timer ticks
 * Return: true if no request is pending any more; false if okvm_arch_serve_requests() must serve
 * the rest. Never sleeps; IRQs may be on or off.
 */
bool okvm_serve_fast(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_init() - Reset the vCPU as INIT does; the caller holds vm->srcu */
void okvm_arch_vcpu_init(struct okvm_vcpu *vcpu);
/** okvm_vcpu_accept_events() - Take the LAPIC's pending INIT and SIPI; called under vm->srcu */
void okvm_vcpu_accept_events(struct okvm_vcpu *vcpu);

extern const struct okvm_ioctl okvm_vm_ioctls[], okvm_mp_state_ioctls[];

#endif /* OKVM_X86_RUN_H */
