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

/**
 * okvm_arch_init() - initialize x86/ and mmu/; called at module load, before a backend is
 * registered
 */
int okvm_arch_init(void);
void okvm_arch_exit(void);
/**
 * okvm_arch_offer_create() - compute which features a backend's VMs can offer guests on this host
 * @offer: describes the backend; the function reads @offer->caps, and fills in @offer->host and
 *  @offer->host_shadow
 * Return: 0, -ENOMEM, or -E2BIG if the CPUID table is too small
 */
int okvm_arch_offer_create(struct okvm_offer *offer);
void okvm_arch_offer_destroy(struct okvm_offer *offer);
/**
 * okvm_arch_emergency() - register the callback that disables VMX or SVM if the host crashes
 * @needed: true before a backend's hardware is enabled; false after the hardware is disabled
 *
 * The function counts the calls: the callback stays registered while a backend needs it. May sleep.
 */
void okvm_arch_emergency(bool needed);

/* The ioctl tables of x86/, mmu/ and irq/. The array ends with a table that has no rows. */
extern const struct okvm_ioctl_table okvm_arch_ioctls[];

/**
 * okvm_arch_check_extension() - KVM_CHECK_EXTENSION for capabilities that core/ does not answer
 * @vm: the VM; NULL if userspace asks on the system fd: the function then answers for a VM of the
 *  default backend
 * Return: the capability's value; 0 if it is unknown or not supported
 */
int okvm_arch_check_extension(struct okvm_vm *vm, long cap);

/**
 * okvm_arch_vm_enable_cap() - KVM_ENABLE_CAP on a VM fd; the caller holds vm->lock
 * Return: 0 or a negative errno; -EINVAL if the capability is unknown
 */
int okvm_arch_vm_enable_cap(struct okvm_vm *vm, const struct kvm_enable_cap *cap);

/** okvm_arch_vm_create() - create vm->arch, vm->mmu and vm->irq. vm->hw exists already. */
int okvm_arch_vm_create(struct okvm_vm *vm);
/** okvm_arch_vm_release() - stop interrupt sources before the vCPUs and the VM are destroyed */
void okvm_arch_vm_release(struct okvm_vm *vm);
/** okvm_arch_vm_destroy() - free vm->arch, ->mmu, ->irq, which may be NULL. No vCPU exists */
void okvm_arch_vm_destroy(struct okvm_vm *vm);

/** okvm_arch_vcpu_create() - create vcpu->arch, ->mmu, ->apic and ->hw, in their reset state */
int okvm_arch_vcpu_create(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_vcpu_online() - tell the LAPIC and TSC code about a vCPU that has become visible
 */
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

/**
 * okvm_arch_user_window_open() - return true if userspace may inject an interrupt now
 *
 * This is so if the PIC is not in the kernel and the guest can take an interrupt at once.
 */
bool okvm_arch_user_window_open(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_uninitialized() - return true if the vCPU is an AP that waits for INIT */
bool okvm_arch_vcpu_uninitialized(struct okvm_vcpu *vcpu);

/** okvm_arch_vcpu_can_enter() - return true if mp_state lets the guest execute instructions */
bool okvm_arch_vcpu_can_enter(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_vcpu_runnable() - return true if the vCPU need not block
 *
 * Either the vCPU can enter the guest, or an INIT, a SIPI or an event that ends HLT is pending.
 */
bool okvm_arch_vcpu_runnable(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_vcpu_unblocked() - update mp_state after okvm_vcpu_block() has returned
 * @runnable: what okvm_vcpu_block() has returned
 *
 * Takes a pending INIT or SIPI. Ends HLT if okvm_vcpu_block() has seen an event that ends HLT, or
 * if one is pending now.
 *
 * Return: OKVM_RESUME if the vCPU can enter the guest, otherwise -EAGAIN
 */
int okvm_arch_vcpu_unblocked(struct okvm_vcpu *vcpu, bool runnable);

/**
 * okvm_arch_blocks() - choose the host timer that implements the guest's LAPIC timer
 * @begins: true before the vCPU blocks, false after it
 *
 * While the vCPU blocks, this is a timer of the host kernel; otherwise it is the VMX preemption
 * timer, if there is one.
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

/**
 * okvm_arch_in_kernel_mode() - return true if the vCPU was at CPL 0 when it was last preempted
 *
 * Any thread may call this function.
 */
bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_poll_allowed() - return true if okvm_vcpu_block() may poll before it sleeps
 *
 * The vCPU must be halted. With MSR_KVM_POLL_CONTROL the guest can forbid polling.
 */
bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu);

/**
 * okvm_arch_sleeps() - measure by how much a suspend of the host has set the TSC back
 * @begins: true when the host suspends, false when it resumes
 *
 * Some machines reset the TSC during a suspend. On resume the function adds the difference between
 * the TSC values before and after the suspend to okvm_tsc_lost. Called with one CPU online and IRQs
 * off.
 */
void okvm_arch_sleeps(bool begins);

/**
 * okvm_arch_slots_changed() - after a memory slot change, retry failed writes of kvmclock records
 *
 * If there was no memory at the address of a vCPU's record, the vCPU could not write the record.
 * The change may have added the memory.
 */
void okvm_arch_slots_changed(struct okvm_vm *vm);

/* ---- memory slot functions that mmu/ implements; called under vm->slots_lock ---- */

/** okvm_mmu_slot_prepare() - check if the slot change is allowed. Return: 0 or a negative errno */
int okvm_mmu_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/**
 * okvm_mmu_slot_commit() - update page tables after a slot change
 * @new: the new slot, or NULL if the slot was deleted; okvm_slot_find() already finds @new
 */
void okvm_mmu_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change);
/**
 * okvm_mmu_generation_changes() - zap all MMIO SPTEs before the generation in them wraps
 * @next: the generation that the caller is going to set
 *
 * An MMIO SPTE holds only the low bits of the slots' generation. When these bits wrap, an old MMIO
 * SPTE would look current again. The generation is odd during the call, so no MMIO SPTE is made.
 */
void okvm_mmu_generation_changes(struct okvm_vm *vm, u64 next);
/** okvm_mmu_slot_flush() - zap all mappings of @slot, which okvm_slot_find() no longer finds */
void okvm_mmu_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot);
/**
 * okvm_mmu_dirty_protect() - write-protect frames, so that the next write to them is logged
 * @mask: bit n selects frame @gfn + n
 */
void okvm_mmu_dirty_protect(struct okvm_vm *vm, gfn_t gfn, unsigned long mask);
/** okvm_mmu_flush_vm() - make all vCPUs flush their TLBs, and wait until they have */
void okvm_mmu_flush_vm(struct okvm_vm *vm);

#endif /* OKVM_CORE_ARCH_H */
