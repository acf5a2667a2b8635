/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that x86/ and mmu/ implement for core/, bound at link time. core/ calls the upper
 * layers only through this header and backend.h.
 */
#ifndef OKVM_CORE_ARCH_H
#define OKVM_CORE_ARCH_H

#include "core/ioctl.h"
#include "core/memslot.h"
#include "core/vcpu.h"

struct okvm_offer;

/** okvm_arch_init() - called once at module load, before any backend is registered */
int okvm_arch_init(void);
void okvm_arch_exit(void);
/**
 * okvm_arch_offer_create() - set @offer->host and @offer->host_shadow, from @offer->caps
 * Return: 0, -ENOMEM, or -E2BIG
 */
int okvm_arch_offer_create(struct okvm_offer *offer);
void okvm_arch_offer_destroy(struct okvm_offer *offer);
/**
 * okvm_arch_emergency() - say whether a crash of the host must switch VMX or SVM off
 *
 * Called with @needed = true before a backend's hardware is enabled, and with false after it is
 * disabled. The answer is yes while calls with true outnumber those with false. May sleep.
 */
void okvm_arch_emergency(bool needed);

/* The ioctl tables of x86/, mmu/ and irq/. The array ends with a table that has no rows. */
extern const struct okvm_ioctl_table okvm_arch_ioctls[];

/**
 * okvm_arch_check_extension() - KVM_CHECK_EXTENSION for capabilities that core/ does not answer
 * @vm: the VM; NULL on the system fd, which answers for VMs of the default backend
 * Return: the capability's value; 0 if it is unknown or not supported
 */
int okvm_arch_check_extension(struct okvm_vm *vm, long cap);

/** okvm_arch_vm_enable_cap() - KVM_ENABLE_CAP on a VM fd; under vm->lock. -EINVAL if unknown */
int okvm_arch_vm_enable_cap(struct okvm_vm *vm, const struct kvm_enable_cap *cap);

/** okvm_arch_vm_create() - create vm->arch, vm->mmu and vm->irq. vm->hw exists already. */
int okvm_arch_vm_create(struct okvm_vm *vm);
/** okvm_arch_vm_release() - stop interrupt sources before the vCPUs and the VM are destroyed */
void okvm_arch_vm_release(struct okvm_vm *vm);
/** okvm_arch_vm_destroy() - free vm->arch, ->mmu, ->irq, which may be NULL. No vCPU exists */
void okvm_arch_vm_destroy(struct okvm_vm *vm);

/** okvm_arch_vcpu_create() - create vcpu->arch, ->mmu, ->apic and ->hw, in their reset state */
int okvm_arch_vcpu_create(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_online() - called when vcpu->idx is set and other threads can find the vCPU */
void okvm_arch_vcpu_online(struct okvm_vcpu *vcpu);
/** okvm_arch_vcpu_destroy() - free vcpu->arch, ->mmu, ->apic and ->hw; accepts half-built vCPUs */
void okvm_arch_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_vcpu_load() - load the vCPU on @cpu. Preemption is off.
 *
 * Called by okvm_vcpu_load(), and each time the scheduler switches back to the thread that has the
 * vCPU loaded.
 */
void okvm_arch_vcpu_load(struct okvm_vcpu *vcpu, int cpu);
void okvm_arch_vcpu_put(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_run_begin() - prepare KVM_RUN: load the guest's FPU state, and copy cr8 and synced
 * registers from kvm_run
 *
 * The vCPU is loaded.
 *
 * Return: 0, or -EINVAL for unknown sync bits, a bad cr8 or bad registers
 */
int okvm_arch_run_begin(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_run_end() - end KVM_RUN: restore the host's FPU; write if_flag, cr8, apic_base,
 * ready_for_interrupt_injection and synced registers to kvm_run
 */
void okvm_arch_run_end(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_serve_requests() - serve vcpu->requests and choose the event to inject
 *
 * Called before a VM entry if a request is pending. Preemption and IRQs are enabled.
 *
 * Return: enum okvm_outcome; OKVM_USER ends KVM_RUN, with kvm_run filled in
 */
int okvm_arch_serve_requests(struct okvm_vcpu *vcpu);

/** okvm_arch_user_window_open() - does userspace inject interrupts, and can the guest take one? */
bool okvm_arch_user_window_open(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_uninitialized() - is the vCPU an AP that has not received INIT yet? */
bool okvm_arch_vcpu_uninitialized(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_can_enter() - does mp_state allow the guest to execute instructions? */
bool okvm_arch_vcpu_can_enter(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_runnable() - can the vCPU enter the guest, or does an event end its HLT? */
bool okvm_arch_vcpu_runnable(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_vcpu_unblocked() - update mp_state after okvm_vcpu_block()
 * @runnable: okvm_vcpu_block() found that the vCPU can enter the guest or an event ends its HLT
 *
 * Accepts a pending INIT or SIPI, and ends HLT if an event is pending.
 *
 * Return: OKVM_RESUME to continue, or -EAGAIN if the vCPU still cannot enter the guest
 */
int okvm_arch_vcpu_unblocked(struct okvm_vcpu *vcpu, bool runnable);

/**
 * okvm_arch_blocks() - change the timer behind the LAPIC timer when the vCPU blocks
 * @begins: the vCPU is going to block: use a timer of the host; false: use the CPU's timer again
 */
void okvm_arch_blocks(struct okvm_vcpu *vcpu, bool begins);

/**
 * struct okvm_vcpu_file - a file with one number, in the folder of a vCPU in debugfs
 * @value: returns the number; any thread may call it while the vCPU exists
 * @caps: bits of enum okvm_hw_caps; the file exists if the VM has all of them
 */
struct okvm_vcpu_file {
	const char *name;
	s64 (*value)(struct okvm_vcpu *vcpu);
	u32 caps;
};

/* The debugfs files that x86/ adds for each vCPU. The last element of the array has no name. */
extern const struct okvm_vcpu_file okvm_arch_vcpu_files[];

/** okvm_arch_in_kernel_mode() - was the vCPU at CPL 0 when last preempted? Called by any thread. */
bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu);

/** okvm_arch_poll_allowed() - may okvm_vcpu_block() poll? No if the guest polls (POLL_CONTROL) */
bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_sleeps() - read the TSC when the host suspends and resumes, and note how much the TSC
 * lost
 * @begins: the host suspends; false: it resumes
 *
 * Some machines reset the TSC during a suspend. Called with one CPU online and IRQs off.
 */
void okvm_arch_sleeps(bool begins);

/**
 * okvm_arch_slots_changed() - called after a memory slot change
 *
 * Makes vCPUs write kvmclock records for which there was no memory before the change.
 */
void okvm_arch_slots_changed(struct okvm_vm *vm);

/* ---- memory slot functions that mmu/ implements; called under vm->slots_lock ---- */

/** okvm_mmu_slot_prepare() - check if the slot change is allowed. Return: 0 or a negative errno */
int okvm_mmu_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/**
 * okvm_mmu_slot_commit() - update page tables after a slot change
 * @new: the new slot, which look-ups already find, or NULL if the slot was deleted
 */
void okvm_mmu_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/**
 * okvm_mmu_generation_changes() - zap all MMIO SPTEs before the low bits of the generation wrap
 *
 * An MMIO SPTE contains only these bits of the slots' generation, so after a wrap an old MMIO SPTE
 * could look current. Called before the generation, which is odd, becomes @next.
 */
void okvm_mmu_generation_changes(struct okvm_vm *vm, u64 next);
/** okvm_mmu_slot_flush() - zap all mappings of the slot's frames. Look-ups no longer find @slot. */
void okvm_mmu_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot);
/**
 * okvm_mmu_dirty_protect() - write-protect the frames that @mask selects, counted from @gfn, so
 * that the next write to them is logged
 */
void okvm_mmu_dirty_protect(struct okvm_vm *vm, gfn_t gfn, unsigned long mask);
/** okvm_mmu_flush_vm() - make all vCPUs flush their TLBs, and wait until they have */
void okvm_mmu_flush_vm(struct okvm_vm *vm);

#endif /* OKVM_CORE_ARCH_H */
