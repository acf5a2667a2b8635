/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual CPU, as far as core/ knows it, and requests to vCPUs.
 *
 * A requester is a thread that sets a bit in vcpu->requests. vcpu->mode tells the requester whether
 * it must send an IPI. Before a VM entry the vCPU stores IN_GUEST in vcpu->mode, then reads
 * vcpu->requests. A requester sets its bit, then reads vcpu->mode. There is a full barrier between
 * the two steps on each side. So either the vCPU sees the request, or the requester sees IN_GUEST
 * and sends an IPI. See Documentation/runloop.rst.
 */
#ifndef OKVM_CORE_VCPU_H
#define OKVM_CORE_VCPU_H

#include <linux/bitops.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "core/vm.h"

struct kvm_run;
struct okvm_apic;
struct okvm_arch_vcpu;
struct okvm_hw_vcpu;
struct okvm_mmu_vcpu;
struct okvm_times;

/**
 * enum okvm_outcome - what an exit handler or a VM entry wants KVM_RUN to do next
 * @OKVM_RESUME: enter the guest again
 * @OKVM_USER: return 0 from KVM_RUN; kvm_run is filled in
 *
 * Functions that return an outcome may also return a negative errno. KVM_RUN then fails with it.
 */
enum okvm_outcome {
	OKVM_RESUME = 0,
	OKVM_USER = 1,
};

enum okvm_vcpu_mode {
	OKVM_OUTSIDE_GUEST,
	OKVM_IN_GUEST,		/* may be in guest mode: an IPI causes a VM exit */
	OKVM_EXITING_GUEST,	/* a requester has already sent the IPI */
};

/**
 * enum okvm_req - requests, as bit numbers in vcpu->requests
 *
 * A request is work that the vCPU has to do before its next VM entry. Documentation/runloop.rst
 * describes the order in which okvm_arch_serve_requests() does this work.
 */
enum okvm_req {
	OKVM_REQ_DEAD,		/* the VM is dead: KVM_RUN returns -EIO */
	OKVM_REQ_LEAVE,		/* OKVM_VCPU_KICK: KVM_RUN returns -EINTR, once */
	OKVM_REQ_PAUSE,		/* leave backend->run(), then test vm->paused */
	OKVM_REQ_UNBLOCK,	/* end okvm_vcpu_block(), then test for work again */
	OKVM_REQ_EXIT,		/* leave backend->run(), then test signals and mp_state */
	OKVM_REQ_MMU_RELOAD,	/* the root page table changed */
	OKVM_REQ_TLB_FLUSH,	/* flush all translations of the vCPU */
	OKVM_REQ_TLB_GUEST,	/* flush translations of guest-linear addresses (PV TLB flush) */
	OKVM_REQ_EVENT,		/* inject an event now, or as soon as the guest can take it */
	OKVM_REQ_NMI,
	OKVM_REQ_TRIPLE_FAULT,
	OKVM_REQ_CLOCK,		/* update the kvmclock page */
	OKVM_REQ_STEAL,		/* update the steal-time record */
	OKVM_REQ_APF_READY,	/* tell the guest that a page it waits for is present */
	OKVM_REQ_EOI_MAP,	/* recompute the EOI-exit bitmap */
	OKVM_REQ_EOI_EXIT,	/* report an EOI for the VMM's IOAPIC to userspace */
	OKVM_REQ_TPR_EXIT,	/* report an access to TPR to userspace */
	OKVM_REQ_APICV,		/* the APIC virtualization mode changed */
	OKVM_REQ_MSR_FILTER,	/* rebuild the MSR bitmap */
	OKVM_REQ_TIMER,		/* the LAPIC timer fired */
	OKVM_REQ_PV,		/* KVM_HC_KICK_CPU: end HLT */
	OKVM_NR_REQS,
};

static_assert(OKVM_NR_REQS <= BITS_PER_LONG);

/** enum okvm_vcpu_stat - counters of a vCPU, which its thread increments without atomics */
enum okvm_vcpu_stat {
	OKVM_STAT_EXITS,		/* VM exits, including fast ones */
	OKVM_STAT_FAST_EXITS,		/* VM exits handled with IRQs off */
	OKVM_STAT_USER_EXITS,
	OKVM_STAT_IO_EXITS,
	OKVM_STAT_MMIO_EXITS,
	OKVM_STAT_SIGNAL_EXITS,
	OKVM_STAT_HALT_EXITS,
	OKVM_STAT_HALT_WAKEUP,		/* sleeps ended by an event, not by a signal */
	OKVM_STAT_HALT_POLLS,		/* calls of okvm_vcpu_block() that began with polling */
	OKVM_STAT_HALT_POLL_OK,		/* polls after which the vCPU did not sleep */
	OKVM_STAT_HALT_POLL_INVALID,	/* always 0, as in upstream KVM on x86 */
	OKVM_STAT_HALT_POLL_OK_NS,
	OKVM_STAT_HALT_POLL_FAIL_NS,
	OKVM_STAT_HALT_WAIT_NS,		/* ns asleep, not counting polls */
	OKVM_STAT_IRQ_WINDOW,
	OKVM_STAT_NMI_WINDOW,
	OKVM_STAT_IRQ_INJECTED,
	OKVM_STAT_NMI_INJECTED,
	OKVM_STAT_EXC_INJECTED,
	OKVM_STAT_EMULATED,
	OKVM_STAT_EMULATION_FAIL,
	/* EPT violations, NPFs and intercepted #PFs that okvm_mmu_fault_fast() does not handle */
	OKVM_STAT_PF_TAKEN,
	OKVM_STAT_PF_FIXED,
	OKVM_STAT_PF_SPURIOUS,
	OKVM_STAT_HYPERCALLS,
	OKVM_STAT_TLB_FLUSH,
	OKVM_STAT_YIELD_TRIED,		/* KVM_HC_SCHED_YIELD */
	OKVM_STAT_YIELDED,		/* KVM_HC_SCHED_YIELDs whose target got the CPU */
	OKVM_STAT_PREEMPTION,
	OKVM_NR_VCPU_STATS,
};

/* Number of entries of vcpu->empty_port[], which caches ports without a device by low port bits. */
#define OKVM_EMPTY_PORTS	4

/* Number of basic exit reasons that have a counter of their own in the stats fd. */
#define OKVM_NR_EXIT_REASONS	164

/**
 * struct okvm_vcpu - one virtual CPU
 */
struct okvm_vcpu {
	/* Constant after creation. */
	struct okvm_vm *vm;
	struct okvm_arch_vcpu *arch;	/* x86/ */
	struct okvm_mmu_vcpu *mmu;	/* mmu/ */
	struct okvm_apic *apic;		/* irq/; NULL without an in-kernel LAPIC */
	struct okvm_hw_vcpu *hw;	/* vmx/ or svm/ */
	struct kvm_run *run;		/* shared with userspace: never trust it */
	void *pio_page;			/* second mapped page, KVM_PIO_PAGE_OFFSET */
	u32 id;				/* initial APIC id */
	u32 idx;			/* index among online vCPUs */
	pid_t creator;			/* creator's global pid; names the stats file */

	/* Accessed by any thread. */
	unsigned long requests;		/* bits of enum okvm_req; atomic operations only */
	int mode;			/* enum okvm_vcpu_mode */
	int cpu;			/* CPU of the last load; -1: never loaded */
	bool preempted;			/* was scheduled out while runnable */
	struct rcuwait wait;		/* the vCPU thread sleeps here while it blocks */
	struct pid __rcu *pid;		/* last thread that ran the vCPU, for directed yield */
	/*
	 * Directed yield toggles this, so that it chooses a spinning vCPU at most every second
	 * time.
	 */
	bool spin_dy_eligible;
	bool in_spin_loop;
	struct okvm_error_box error;

	/* Guards @waits. OKVM_VCPU_KICK holds this lock while it tests @waits and ends the wait. */
	spinlock_t wait_lock;
	/* Set while KVM_RUN waits for a page of the host. OKVM_VCPU_KICK may end this wait. */
	bool waits;

	/* The members from here on are guarded by @mutex, which admits one ioctl at a time. */
	struct mutex mutex;
	struct preempt_notifier preempt_notifier;
	/*
	 * Called by the next KVM_RUN to complete the last exit to userspace, without vm->srcu; NULL
	 * if there is nothing to complete. Returns enum okvm_outcome.
	 */
	int (*complete_io)(struct okvm_vcpu *vcpu);
	struct file *run_file;		/* the vCPU's file in the current KVM_RUN */
	bool run_file_held;		/* KVM_RUN holds a reference to @run_file */
	int srcu_idx;			/* SRCU index of okvm_vcpu_srcu_lock() */
	bool ran;			/* KVM_RUN has been called at least once */
	bool sigset_active;
	sigset_t sigset;
	u32 halt_poll_ns;
	/*
	 * For each bus, the index of the range at which the last look-up began. The next look-up
	 * tries this range first.
	 */
	unsigned int bus_hint[OKVM_NR_BUSES];
	u64 empty_port[OKVM_EMPTY_PORTS];	/* keys (okvm_port_key()) of ports without device */

	u64 stat[OKVM_NR_VCPU_STATS];
	u64 exit_count[OKVM_NR_EXIT_REASONS];	/* index: exit reason of the backend */
	/* Exit histograms (core/times.h), or NULL without OKVM_CAP_EXIT_TIMES. */
	struct okvm_times *times;
};

/**
 * okvm_request() - set a request bit of the vCPU, without a kick
 *
 * The vCPU serves the request before its next VM entry. If the vCPU may be in the guest or blocked,
 * the caller must also call okvm_vcpu_kick().
 */
static inline void okvm_request(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	/* A reader that sees the request bit must also see the data that the caller has written. */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

/** okvm_has_requests() - return true if any request is pending */
static inline bool okvm_has_requests(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) != 0;
}

/** okvm_test_request() - return true if the request @req is pending, and do not clear it */
static inline bool okvm_test_request(enum okvm_req req, const struct okvm_vcpu *vcpu)
{
	return test_bit(req, &vcpu->requests);
}

/** okvm_take_request() - clear the request @req. Return: true if it was pending */
static inline bool okvm_take_request(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* Pairs with smp_wmb() in okvm_request(): the request's data is visible from here on. */
	smp_mb__after_atomic();
	return true;
}

/**
 * okvm_vcpu_kick() - make the vCPU serve its requests soon
 *
 * Wakes the vCPU if it blocks. Sends an IPI only if the vCPU is in guest mode.
 *
 * Context: any, IRQs may be off. Never sleeps.
 */
void okvm_vcpu_kick(struct okvm_vcpu *vcpu);

/** okvm_vcpu_wake() - wake the vCPU if it sleeps in okvm_vcpu_block(). Return: true if it slept */
bool okvm_vcpu_wake(struct okvm_vcpu *vcpu);

/** okvm_request_kick() - okvm_request(), then okvm_vcpu_kick() */
void okvm_request_kick(enum okvm_req req, struct okvm_vcpu *vcpu);

/*
 * Some functions take a set of vCPUs as a u64. Bits 0-62 are for the first 63 vCPUs of the VM, bit
 * 63 is for all others. Do not clear bit 63 to remove a vCPU from a set: other vCPUs of the set may
 * share this bit.
 */
#define OKVM_VCPUS_OTHERS	BIT_ULL(63)
#define OKVM_VCPUS_ALL		(~0ULL)

/** okvm_vcpu_bit() - return the bit that stands for @vcpu in a set of vCPUs; @vcpu is online */
static inline u64 okvm_vcpu_bit(const struct okvm_vcpu *vcpu)
{
	return vcpu->idx < 63 ? BIT_ULL(vcpu->idx) : OKVM_VCPUS_OTHERS;
}

/**
 * okvm_request_some() - send the same request to a set of vCPUs of the VM
 * @req: the request
 * @vcpus: set of vCPUs; each bit is from okvm_vcpu_bit()
 * @wait: also wait until the vCPUs that were in guest mode at the request have left guest mode
 *
 * Context: any, but process context if @wait is set. With @wait the caller must not hold a lock
 * that a vCPU may have to take before it leaves guest mode.
 */
void okvm_request_some(struct okvm_vm *vm, enum okvm_req req, u64 vcpus, bool wait);

/**
 * okvm_request_all() - send the same request to every vCPU of the VM
 * @wait: also wait until the vCPUs that were in guest mode at the request have left guest mode
 */
static inline void okvm_request_all(struct okvm_vm *vm, enum okvm_req req, bool wait)
{
	okvm_request_some(vm, req, OKVM_VCPUS_ALL, wait);
}

/** okvm_vcpu_load() - load the vCPU on the current CPU. The caller holds vcpu->mutex. */
void okvm_vcpu_load(struct okvm_vcpu *vcpu);

/** okvm_vcpu_put() - unload the vCPU that okvm_vcpu_load() loaded */
void okvm_vcpu_put(struct okvm_vcpu *vcpu);

/** okvm_running_vcpu() - Return the vCPU loaded on this CPU, or NULL. Preemption is off. */
struct okvm_vcpu *okvm_running_vcpu(void);

/** okvm_vcpu_destroy() - free a vCPU that no thread runs; accepts half-built vCPUs */
void okvm_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_block() - poll adaptively, then sleep, until the vCPU has something to do
 *
 * It returns when okvm_arch_vcpu_runnable() is true, on a signal, or on OKVM_REQ_UNBLOCK,
 * OKVM_REQ_DEAD, OKVM_REQ_LEAVE or OKVM_REQ_PAUSE. The caller has the vCPU loaded and does not hold
 * vm->srcu.
 * Return: true if the vCPU can enter the guest or an event ends its HLT
 */
bool okvm_vcpu_block(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_wait_begin() - announce that KVM_RUN is going to wait interruptibly for a host page
 * Return: true if the caller may wait, and must call okvm_vcpu_wait_end() after that; false if the
 * caller must not wait, because OKVM_VCPU_KICK has requested the end of KVM_RUN
 */
bool okvm_vcpu_wait_begin(struct okvm_vcpu *vcpu);
/**
 * okvm_vcpu_wait_end() - announce the end of a wait for a host page
 *
 * From now on OKVM_VCPU_KICK does not interrupt the thread.
 */
void okvm_vcpu_wait_end(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_on_spin() - after a PAUSE-loop exit, yield to a vCPU that may hold the awaited lock
 * @in_kernel_mode_only: consider only vCPUs that were preempted at CPL 0
 */
void okvm_vcpu_on_spin(struct okvm_vcpu *vcpu, bool in_kernel_mode_only);

/** okvm_vcpu_yield_to() - yield the CPU to @target's thread. Return: > 0 if that thread got it */
int okvm_vcpu_yield_to(struct okvm_vcpu *target);

/**
 * okvm_vcpu_run() - KVM_RUN
 * Return: 0 with kvm_run filled, -EINTR (exit_reason is KVM_EXIT_INTR), -EAGAIN, -EIO, ...
 */
int okvm_vcpu_run(struct okvm_vcpu *vcpu);

/** okvm_run_interrupted() - fill in kvm_run for a KVM_RUN that fails with EINTR. Return: -EINTR */
int okvm_run_interrupted(struct okvm_vcpu *vcpu);

/* KVM_RUN has stopped for a pause and begins again after it. Userspace never sees this value. */
#define OKVM_RUN_PAUSED	(-ERESTART)

/** okvm_vcpu_srcu_lock() - lock vm->srcu in the vCPU thread, to read memslots, buses, routes */
static inline void okvm_vcpu_srcu_lock(struct okvm_vcpu *vcpu)
{
	vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
}

/** okvm_vcpu_srcu_unlock() - unlock vm->srcu after okvm_vcpu_srcu_lock(), which does not nest */
static inline void okvm_vcpu_srcu_unlock(struct okvm_vcpu *vcpu)
{
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
}

#endif /* OKVM_CORE_VCPU_H */
