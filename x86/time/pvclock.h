/* SPDX-License-Identifier: GPL-2.0-only */
/* Write kvmclock for guests, and read the host clock that kvmclock is based on. */
#ifndef OKVM_X86_TIME_PVCLOCK_H
#define OKVM_X86_TIME_PVCLOCK_H

#include "x86/x86.h"

#define OKVM_PVCLOCK_SIZE	32	/* bytes of struct pvclock_vcpu_time_info */

int okvm_clock_init(void);
void okvm_clock_exit(void);
/** okvm_clock_base_ns() - Return the host clock that kvmclock is based on, in ns */
u64 okvm_clock_base_ns(void);
/**
 * okvm_clock_pair() - Read the host's TSC and wall clock at the same moment
 * Return: false if the host's clock source is not the TSC
 */
bool okvm_clock_pair(u64 *tsc, u64 *realtime_ns);

/** okvm_clock_vm_create() - Initialize vm->arch's TSC and clock members */
void okvm_clock_vm_create(struct okvm_vm *vm);
void okvm_clock_vm_destroy(struct okvm_vm *vm);
/**
 * okvm_masterclock_update() - Take a new pair of TSC and time as kvmclock's base, and ask all vCPUs
 * to write their records anew
 *
 * Does not sleep.
 */
void okvm_masterclock_update(struct okvm_vm *vm);
/**
 * okvm_masterclock_possible() - Return true if all vCPUs can share a base of kvmclock
 *
 * The caller holds vm->arch->tsc_lock.
 */
bool okvm_masterclock_possible(struct okvm_vm *vm);
/**
 * okvm_wall_clock_write() - Write the wall-clock record at @gpa, for MSR_KVM_WALL_CLOCK
 *
 * The caller holds vm->srcu.
 */
void okvm_wall_clock_write(struct okvm_vm *vm, gpa_t gpa);
/** okvm_pvclock_update() - Serve OKVM_REQ_CLOCK, under vm->srcu: write the kvmclock record */
void okvm_pvclock_update(struct okvm_vcpu *vcpu);

extern const struct okvm_ioctl okvm_pvclock_vm_ioctls[], okvm_pvclock_vcpu_ioctls[];

#endif /* OKVM_X86_TIME_PVCLOCK_H */
