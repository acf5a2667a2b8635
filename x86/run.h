/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files at the top of x86/ offer each other and the backends. */
#ifndef OKVM_X86_RUN_H
#define OKVM_X86_RUN_H

#include "x86/x86.h"

/**
 * okvm_serve_fast() - after a fast exit: serve pending interrupts and timer ticks, IRQs off
 * Return: true if nothing is pending any more; else the run loop must look
 */
bool okvm_serve_fast(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_init() - what INIT does to the vCPU; vm->srcu held */
void okvm_arch_vcpu_init(struct okvm_vcpu *vcpu);
/** okvm_vcpu_accept_events() - INIT and SIPI that the LAPIC holds change mp_state. vm->srcu held */
void okvm_vcpu_accept_events(struct okvm_vcpu *vcpu);

extern const struct okvm_ioctl okvm_vm_ioctls[], okvm_mp_state_ioctls[];

#endif /* OKVM_X86_RUN_H */
