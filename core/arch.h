/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What x86/ and mmu/ supply to core/, bound at link time. core/ calls up only
 * through this header and backend.h.
 */
#ifndef OKVM_CORE_ARCH_H
#define OKVM_CORE_ARCH_H

#include "core/ioctl.h"
#include "core/memslot.h"
#include "core/vcpu.h"

struct okvm_offer;

/** okvm_arch_init() - once at module load, before any backend is registered */
int okvm_arch_init(void);
void okvm_arch_exit(void);
/** okvm_arch_offer_create() - fill @offer->host for the backend. Return: 0, -ENOMEM, -E2BIG */
int okvm_arch_offer_create(struct okvm_offer *offer);
void okvm_arch_offer_destroy(struct okvm_offer *offer);

/* The ioctls that x86/, mmu/ and irq/ implement; no rows end the list. */
extern const struct okvm_ioctl_table okvm_arch_ioctls[];

/**
 * okvm_arch_check_extension() - KVM_CHECK_EXTENSION for what core/ does not answer
 * @vm: NULL on the system fd: for VMs of the default backend
 * Return: the capability's value; 0 unknown or unfinished
 */
int okvm_arch_check_extension(struct okvm_vm *vm, long cap);

/** okvm_arch_vm_enable_cap() - KVM_ENABLE_CAP on a VM fd; under vm->lock. -EINVAL if unknown */
int okvm_arch_vm_enable_cap(struct okvm_vm *vm, const struct kvm_enable_cap *cap);

/** okvm_arch_vm_create() - creates vm->arch, vm->mmu, vm->irq. vm->hw exists already. */
int okvm_arch_vm_create(struct okvm_vm *vm);
/** okvm_arch_vm_release() - the last user is gone: stop interrupt sources; vCPUs still exist */
void okvm_arch_vm_release(struct okvm_vm *vm);
/** okvm_arch_vm_destroy() - the vCPUs are gone; accepts half-built VMs */
void okvm_arch_vm_destroy(struct okvm_vm *vm);

/** okvm_arch_vcpu_create() - creates vcpu->arch, ->mmu, ->apic and ->hw, in reset state */
int okvm_arch_vcpu_create(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_online() - the vCPU has its index now and can be found by others */
void okvm_arch_vcpu_online(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_destroy() - accepts half-built vCPUs */
void okvm_arch_vcpu_destroy(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_load() - preemption is off; also from the preempt notifier */
void okvm_arch_vcpu_load(struct okvm_vcpu *vcpu, int cpu);
void okvm_arch_vcpu_put(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_run_begin() - start of KVM_RUN: sync regs in, cr8; then guest FPU in
 * Return: 0 or -EINVAL (unknown sync bits, bad cr8 or regs). Vcpu loaded.
 */
int okvm_arch_run_begin(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_run_end() - host FPU back; fill if_flag, cr8, apic_base, ready_for_..., sync regs
 * out
 */
void okvm_arch_run_end(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_serve_requests() - serve vcpu->requests and choose the event to inject
 *
 * Runs preemptible, IRQs on, before an entry, only if a request is pending.
 * Return: outcome; OKVM_USER leaves KVM_RUN with kvm_run filled.
 */
int okvm_arch_serve_requests(struct okvm_vcpu *vcpu);

/** okvm_arch_user_window_open() - userspace asked for an interrupt window and it is open */
bool okvm_arch_user_window_open(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_uninitialized() - an AP that has not had its INIT */
bool okvm_arch_vcpu_uninitialized(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_can_enter() - mp_state says the guest may execute instructions */
bool okvm_arch_vcpu_can_enter(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_runnable() - can enter, or has an event that makes it so (wakes HLT) */
bool okvm_arch_vcpu_runnable(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_vcpu_unblocked() - after okvm_vcpu_block(): HALTED to RUNNABLE, INIT/SIPI
 * Return: OKVM_RESUME to go on (if it can enter), or -EAGAIN for a vCPU that still cannot
 */
int okvm_arch_vcpu_unblocked(struct okvm_vcpu *vcpu);

/** okvm_arch_blocks() - before sleeping: LAPIC timer to software; and the reverse after it */
void okvm_arch_blocks(struct okvm_vcpu *vcpu, bool begins);

/** okvm_arch_in_kernel_mode() - CPL 0, for directed yield; the vCPU may be another thread's */
bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu);

/** okvm_arch_poll_allowed() - false if the guest polls itself (POLL_CONTROL MSR) */
bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu);

/** okvm_arch_sleeps() - the host goes to sleep: one CPU is left, IRQs are off; or it is back */
void okvm_arch_sleeps(bool begins);

/** okvm_arch_slots_changed() - slots are published: there may be memory where none was */
void okvm_arch_slots_changed(struct okvm_vm *vm);

/* ---- what mmu/ supplies: memory slots, under vm->slots_lock ---- */

/** okvm_mmu_slot_prepare() - may the change be made? Return: 0 or a negative errno */
int okvm_mmu_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/** okvm_mmu_slot_commit() - the slot change is made: @new can be looked up; NULL: slot deleted */
void okvm_mmu_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/**
 * okvm_mmu_slots_turn() - the generation of slots, which is odd, becomes @next
 *
 * Entries cached under a number that will come again are removed while no vCPU can take them to be
 * current.
 */
void okvm_mmu_slots_turn(struct okvm_vm *vm, u64 next);
/** okvm_mmu_slot_flush() - zap everything the slot maps; it cannot be looked up any more */
void okvm_mmu_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot);
/** okvm_mmu_dirty_protect() - write-protect the frames of @mask from @gfn on, to log them anew */
void okvm_mmu_dirty_protect(struct okvm_vm *vm, gfn_t gfn, unsigned long mask);
/** okvm_mmu_flush_vm() - tell all vCPUs to flush their TLBs and wait for it */
void okvm_mmu_flush_vm(struct okvm_vm *vm);

#endif /* OKVM_CORE_ARCH_H */
