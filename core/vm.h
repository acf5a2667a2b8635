/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual machine, as far as core/ knows it. Each upper layer keeps its own state behind an
 * opaque pointer (vm->arch, vm->mmu, vm->irq, vm->hw), so that no layer can access another layer's
 * state.
 */
#ifndef OKVM_CORE_VM_H
#define OKVM_CORE_VM_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/ratelimit_types.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "core/error.h"
#include "core/types.h"
#include "uapi/okvm.h"

#define OKVM_MAX_VCPUS		1024	/* vCPUs of one VM */
#define OKVM_MAX_VCPU_ID	4096	/* exclusive limit of vCPU ids (initial APIC ids) */

struct dentry;
struct file;
struct okvm_arch_vm;
struct okvm_backend;
struct okvm_coalesced;
struct okvm_host;
struct okvm_hw_vm;
struct okvm_iobus;
struct okvm_irq_vm;
struct okvm_memslots;
struct okvm_mmu_vm;
struct okvm_offer;
struct okvm_vcpu;

/** enum okvm_bus - the address spaces a device can be registered on */
enum okvm_bus {
	OKVM_BUS_MMIO,
	OKVM_BUS_PIO,
	OKVM_NR_BUSES,
};

/** enum okvm_vm_stat - counters of a VM, in the order in which KVM_GET_STATS_FD has them */
enum okvm_vm_stat {
	OKVM_VM_STAT_TLB_FLUSHES,
	OKVM_VM_STAT_PAGES_4K,
	OKVM_VM_STAT_PAGES_2M,
	OKVM_VM_STAT_PAGES_1G,
	OKVM_VM_STAT_TABLES,
	OKVM_VM_STAT_NX_SPLITS,		/* huge pages replaced by tables (iTLB multihit) */
	OKVM_NR_VM_STATS,
};

/**
 * struct okvm_vm - one virtual machine
 * @offer: the registered backend that runs the vCPUs, with its capabilities
 * @backend: @offer->backend
 * @caps, @host: capabilities and CPU features for the VM's kind of paging (EPT/NPT or shadow), from
 *  @offer; userspace can choose the kind of paging until the first vCPU is created (OKVM_CAP_MMU)
 * @mm: the address space that backs guest memory; constant, holds an mm_count reference
 * @users: number of references; the VM fd, each vCPU fd and each derived fd hold one
 * @host_mmio: set once, never cleared; read without a lock
 * @dead: a broken invariant was found; later ioctls return -EIO, except OKVM_GET_ERROR and
 *  KVM_GET_STATS_FD
 * @paused: true while @pauses is not 0; KVM_RUN then executes nothing for the guest
 * @dead_or_paused: @dead and @paused in one word, so that KVM_RUN tests both with one load
 * @srcu: protects readers of @memslots, @bus and the MSR filter; plain RCU protects IRQ routes
 */
struct okvm_vm {
	/* Constant after creation. */
	struct okvm_offer *offer;
	const struct okvm_backend *backend;
	u32 caps;
	struct okvm_host *host;		/* x86/ */
	struct mm_struct *mm;
	struct okvm_arch_vm *arch;	/* x86/ */
	struct okvm_mmu_vm *mmu;	/* mmu/ */
	struct okvm_irq_vm *irq;	/* irq/ */
	struct okvm_hw_vm *hw;		/* vmx/ or svm/ */

	refcount_t users;
	union {
		struct {
			bool dead;
			bool paused;
		};
		u16 dead_or_paused;
	};
	bool host_mmio;			/* a host device's memory has been mapped into the guest */
	pid_t creator;			/* creator's global pid; names the stats file */
	int fd;				/* fd from KVM_CREATE_VM, which may be closed by now */
	atomic64_t stat[OKVM_NR_VM_STATS];

	struct okvm_error_box error;
	struct ratelimit_state log_limit;	/* of okvm_vm_may_log() */

	struct srcu_struct srcu;

	/* @lock guards vCPU creation, and settings that may change only before the first vCPU. */
	struct mutex lock;
	u32 max_vcpu_id;		/* KVM_CAP_MAX_VCPU_ID, else OKVM_MAX_VCPU_ID */
	u32 created_vcpus;		/* vCPUs online or in creation */
	u32 bsp_vcpu_id;
	bool exit_times;		/* OKVM_CAP_EXIT_TIMES: new vCPUs get vcpu->times */

	/*
	 * The vCPUs by index: written under @lock, read without @lock. The last step of creating a
	 * vCPU increments online_vcpus, which makes the vCPU visible.
	 */
	atomic_t online_vcpus;
	struct xarray vcpus;		/* by index, 0..online_vcpus-1 */
	struct xarray vcpu_by_id;

	/* @slots_lock serializes writers of memslots. Taken inside @lock. */
	struct mutex slots_lock;
	struct okvm_memslots __rcu *memslots;	/* read under @srcu */

	/*
	 * @bus_lock serializes writers of buses, ioeventfds and coalesced zones. Taken inside
	 * @lock.
	 */
	struct mutex bus_lock;
	struct okvm_iobus __rcu *bus[OKVM_NR_BUSES];	/* read under @srcu */
	u32 bus_gen;			/* grows with each change of @bus */

	/* The ring of coalesced MMIO and PIO writes is in one page, which all vCPUs share. */
	struct page *coalesced_page;
	spinlock_t coalesced_lock;

	/* @pause_lock guards @pauses, the number of the VM's pauses, and @pauses_eintr. */
	spinlock_t pause_lock;
	unsigned int pauses;
	unsigned int pauses_eintr;	/* number of pauses with OKVM_PAUSE_EINTR */
	struct wait_queue_head pause_wait;	/* KVM_RUNs that wait until @pauses is 0 */
	struct irq_work pause_work;	/* with PREEMPT_RT, wakes the waiters of @pause_wait */

	struct list_head node;		/* in core/show.c's list of all VMs, under show_vms_lock */

	/* Statistics in debugfs (core/show.c), under show_lock. */
	struct dentry *folder;		/* kvm/PID-FD, or NULL */
	unsigned int shown_vcpus;	/* number of vCPUs that have a debugfs folder */
};

/** okvm_vm_get() - take a reference to a VM; the caller makes sure that the VM still exists */
static inline void okvm_vm_get(struct okvm_vm *vm)
{
	refcount_inc(&vm->users);
}

/**
 * okvm_vm_put() - drop a reference; the last one destroys the VM
 * Context: may sleep.
 */
void okvm_vm_put(struct okvm_vm *vm);

/**
 * okvm_vm_create() - KVM_CREATE_VM: create a VM and its fd
 * @offer: the backend (VMX or SVM) that runs the VM's vCPUs, and what it offers on this host
 * @type: the ioctl's argument
 *
 * Return: the fd; -EINVAL if @type is not 0; -EBUSY if another hypervisor uses the hardware or the
 * machine reboots; -EIO if a CPU refuses VMXON or differs from the other CPUs; -ENOMEM; -EMFILE.
 */
int okvm_vm_create(struct okvm_offer *offer, unsigned long type);

/**
 * okvm_vm_kill() - mark the VM dead because an invariant of okvm's is broken; the host continues
 * @what: one line for the kernel log, printed once per VM
 *
 * Every later ioctl on the VM and its vCPUs returns -EIO; running vCPUs leave the guest.
 *
 * Context: any, locks may be held.
 */
void okvm_vm_kill(struct okvm_vm *vm, const char *what);

/**
 * okvm_vm_may_log() - return true if a line that @vm has caused may go to the kernel log
 *
 * Used for lines that a guest or a VMM can cause as often as it likes. Each VM has its own rate
 * limit, so one VM does not suppress the lines of other VMs. A higher limit for all VMs together
 * stops a process that creates many VMs. For this higher limit the kernel prints, at most once in
 * each interval, how many lines were suppressed.
 *
 * Context: any.
 */
bool okvm_vm_may_log(struct okvm_vm *vm);

/** OKVM_BUG_ON() - if @cond is true, an invariant is broken: mark the VM dead. Return: @cond */
#define OKVM_BUG_ON(vm, cond)						\
({									\
	bool __broken = (cond);						\
									\
	if (unlikely(__broken))						\
		okvm_vm_kill(vm, #cond);				\
	unlikely(__broken);						\
})

/** okvm_vcpu_at() - Return the vCPU with index @idx, or NULL if there is none */
static inline struct okvm_vcpu *okvm_vcpu_at(struct okvm_vm *vm, unsigned long idx)
{
	return xa_load(&vm->vcpus, idx);
}

/** okvm_for_each_vcpu() - iterate over all online vCPUs; none is removed while the VM exists */
#define okvm_for_each_vcpu(idx, vcpu, vm)				\
	xa_for_each_range(&(vm)->vcpus, idx, vcpu, 0,			\
			  (unsigned long)atomic_read(&(vm)->online_vcpus) - 1)

#endif /* OKVM_CORE_VM_H */
