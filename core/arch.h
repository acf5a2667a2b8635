/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What x86/ supplies to core/, bound at link time. core/ calls up only
 * through this header and backend.h.
 */
#ifndef OKVM_CORE_ARCH_H
#define OKVM_CORE_ARCH_H

#include "core/ioctl.h"
#include "core/memslot.h"
#include "core/vcpu.h"

/** okvm_arch_init() - once at module load, after a backend was chosen */
int okvm_arch_init(const struct okvm_backend *backend);
void okvm_arch_exit(void);

/* The ioctls that x86/, mmu/ and irq/ implement; no rows end the list. */
extern const struct okvm_ioctl_table okvm_arch_ioctls[];

/**
 * okvm_arch_check_extension() - KVM_CHECK_EXTENSION for what core/ does not answer
 * @vm: NULL on the system fd
 * Return: the capability's value; 0 unknown or unfinished
 */
int okvm_arch_check_extension(struct okvm_vm *vm, long cap);

/** okvm_arch_vm_enable_cap() - KVM_ENABLE_CAP on a VM fd; under vm->lock. -EINVAL if unknown */
int okvm_arch_vm_enable_cap(struct okvm_vm *vm, const struct kvm_enable_cap *cap);
int okvm_arch_vcpu_enable_cap(struct okvm_vcpu *vcpu, const struct kvm_enable_cap *cap);

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

/**
 * okvm_arch_apf_possible() - may the guest, now, do something else while a page is fetched?
 *
 * From the handling of a guest-physical fault, as okvm_arch_apf_start().
 */
bool okvm_arch_apf_possible(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_apf_start() - fetch the page at @hva in the background
 *
 * Possible just now. The guest has been told (a #PF is queued), or the vCPU can not be entered
 * until the page is there or an interrupt comes. Caller holds vm->srcu; may sleep.
 * Return: false if the fault must be handled here and now
 */
bool okvm_arch_apf_start(struct okvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write);

/** okvm_arch_block_prepare() - LAPIC timer to software etc. before sleeping; and the reverse */
void okvm_arch_block_prepare(struct okvm_vcpu *vcpu);
void okvm_arch_block_finish(struct okvm_vcpu *vcpu);

/** okvm_arch_in_kernel_mode() - CPL 0, for directed yield; the vCPU may be another thread's */
bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu);

/** okvm_arch_poll_allowed() - false if the guest polls itself (POLL_CONTROL MSR) */
bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu);

/*
 * Memory slots. prepare may fail; commit may not.
 * Both run under vm->slots_lock.
 */
int okvm_arch_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *old,
			   struct okvm_memslot *new, enum okvm_slot_change change);
void okvm_arch_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *old,
			   const struct okvm_memslot *new, enum okvm_slot_change change);
/** okvm_arch_slot_flush() - zap everything the slot maps; it cannot be looked up any more */
void okvm_arch_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot);
/** okvm_arch_dirty_protect() - write-protect the frames of @mask from @gfn on, to log them anew */
void okvm_arch_dirty_protect(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn,
			     unsigned long mask);
/** okvm_arch_flush_tlb_vm() - all vCPUs, waited for */
void okvm_arch_flush_tlb_vm(struct okvm_vm *vm);

struct walk_regs;	/* mmu/walk.h */

/**
 * okvm_arch_walk_regs() - CR3, PDPTEs, PKRU and EFLAGS.AC, for a walk. Vcpu loaded or not
 * running
 */
void okvm_arch_walk_regs(struct okvm_vcpu *vcpu, struct walk_regs *regs);

/** okvm_arch_suspend() - the host goes to sleep: one CPU is left, IRQs are off; and it is back */
void okvm_arch_suspend(void);
void okvm_arch_resume(void);

/* What irq/ needs of x86/: time and NMI. */

/** okvm_arch_guest_tsc() - the guest's TSC at host TSC @host_tsc; any context */
u64 okvm_arch_guest_tsc(struct okvm_vcpu *vcpu, u64 host_tsc);
/** okvm_arch_host_tsc() - the host TSC at which the guest's will be @guest_tsc */
u64 okvm_arch_host_tsc(struct okvm_vcpu *vcpu, u64 guest_tsc);
/** okvm_arch_tsc_khz() - the guest's TSC frequency, never 0 */
u32 okvm_arch_tsc_khz(struct okvm_vcpu *vcpu);
/** okvm_arch_queue_nmi() - one more NMI for the vCPU, and a request (no kick). Any context */
void okvm_arch_queue_nmi(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_ioapic_eoi_user() - leave KVM_RUN with KVM_EXIT_IOAPIC_EOI for @vector at the next
 * chance
 */
void okvm_arch_ioapic_eoi_user(struct okvm_vcpu *vcpu, u8 vector);

#endif /* OKVM_CORE_ARCH_H */
