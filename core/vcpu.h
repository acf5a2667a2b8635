/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual CPU, as far as the core knows it, with its pending-work word and
 * the protocol by which others make it notice.
 *
 * vcpu->mode says whether an IPI is needed to be noticed. The vCPU stores
 * IN_GUEST, then reads vcpu->requests; a requester sets its bit, then reads
 * the mode: with a full barrier on each side one of the two always sees the
 * other. See Documentation/runloop.rst.
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
 * enum okvm_outcome - what an exit handler or an entry says should come next
 * @OKVM_RESUME: enter the guest again
 * @OKVM_USER: kvm_run is filled in; KVM_RUN returns 0
 *
 * Functions that return an outcome return a negative errno instead to make
 * KVM_RUN fail with it.
 */
enum okvm_outcome {
	OKVM_RESUME = 0,
	OKVM_USER = 1,
};

enum okvm_vcpu_mode {
	OKVM_OUTSIDE_GUEST,
	OKVM_IN_GUEST,		/* may be running guest code: an IPI makes it exit */
	OKVM_EXITING_GUEST,	/* the IPI is already on its way */
};

/**
 * enum okvm_req - bits of vcpu->requests, the one word of pending work
 *
 * The order in which they are served is that of okvm_arch_serve_requests(); it is in
 * Documentation/runloop.rst.
 */
enum okvm_req {
	OKVM_REQ_DEAD,		/* the VM is dead: KVM_RUN answers -EIO */
	OKVM_REQ_LEAVE,		/* OKVM_VCPU_KICK: KVM_RUN answers -EINTR, once */
	OKVM_REQ_PAUSE,		/* the VM may be paused: leave the loop and look */
	OKVM_REQ_UNBLOCK,	/* leave okvm_vcpu_block() and look again */
	OKVM_REQ_EXIT,		/* leave the entry loop and look at signals and mp_state */
	OKVM_REQ_MMU_RELOAD,	/* the root page table changed */
	OKVM_REQ_TLB_FLUSH,	/* all of this vCPU's translations */
	OKVM_REQ_TLB_GUEST,	/* guest-made translations only (PV TLB flush) */
	OKVM_REQ_EVENT,		/* something may be injectable, or a window must open */
	OKVM_REQ_NMI,
	OKVM_REQ_TRIPLE_FAULT,
	OKVM_REQ_CLOCK,		/* write the kvmclock page anew */
	OKVM_REQ_STEAL,		/* write the steal-time record anew */
	OKVM_REQ_APF_READY,	/* an asynchronous page fault has been resolved */
	OKVM_REQ_EOI_MAP,	/* the EOI exit bitmap must be computed anew */
	OKVM_REQ_EOI_EXIT,	/* an EOI that userspace's IOAPIC waits for */
	OKVM_REQ_APICV,		/* APIC virtualization mode changed */
	OKVM_REQ_MSR_FILTER,	/* rebuild the MSR bitmap */
	OKVM_REQ_TIMER,		/* the LAPIC timer fired */
	OKVM_REQ_PV,		/* PV unhalt */
	OKVM_NR_REQS,
};

static_assert(OKVM_NR_REQS <= BITS_PER_LONG);

/** enum okvm_vcpu_stat - counters of a vCPU; plain, written by its own thread only */
enum okvm_vcpu_stat {
	OKVM_STAT_EXITS,		/* VM exits, fast ones included */
	OKVM_STAT_FAST_EXITS,		/* ... that were served with IRQs off */
	OKVM_STAT_USER_EXITS,
	OKVM_STAT_IO_EXITS,
	OKVM_STAT_MMIO_EXITS,
	OKVM_STAT_SIGNAL_EXITS,
	OKVM_STAT_HALT_EXITS,
	OKVM_STAT_HALT_WAKEUP,		/* sleeps that an event has ended, not a signal */
	OKVM_STAT_HALT_POLLS,		/* waits that began with a poll */
	OKVM_STAT_HALT_POLL_OK,		/* ... and ended without a sleep */
	OKVM_STAT_HALT_POLL_INVALID,	/* as upstream's on x86: always 0 */
	OKVM_STAT_HALT_POLL_OK_NS,
	OKVM_STAT_HALT_POLL_FAIL_NS,
	OKVM_STAT_HALT_WAIT_NS,		/* asleep; the poll before is not part of it */
	OKVM_STAT_IRQ_WINDOW,
	OKVM_STAT_NMI_WINDOW,
	OKVM_STAT_IRQ_INJECTED,
	OKVM_STAT_NMI_INJECTED,
	OKVM_STAT_EXC_INJECTED,
	OKVM_STAT_EMULATED,
	OKVM_STAT_EMULATION_FAIL,
	OKVM_STAT_PF_TAKEN,		/* EPT violations or intercepted #PF */
	OKVM_STAT_PF_FIXED,
	OKVM_STAT_PF_SPURIOUS,
	OKVM_STAT_HYPERCALLS,
	OKVM_STAT_TLB_FLUSH,
	OKVM_STAT_YIELD_TRIED,		/* KVM_HC_SCHED_YIELD */
	OKVM_STAT_YIELDED,		/* ... and its target got the CPU */
	OKVM_STAT_PREEMPTION,
	OKVM_NR_VCPU_STATS,
};

/* Ports that are known to be userspace's, by the low bits of their number. */
#define OKVM_EMPTY_PORTS	4

/* Basic exit reasons that get a counter of their own in the stats fd. */
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
	struct okvm_hw_vcpu *hw;	/* vmx/ or soft/ */
	struct kvm_run *run;		/* shared with userspace: never trusted, never an index */
	void *pio_page;			/* second page of the mapping, KVM_PIO_PAGE_OFFSET */
	u32 id;				/* initial APIC id */
	u32 idx;			/* position among online vCPUs */
	pid_t creator;			/* see struct okvm_vm */

	/* Any CPU. */
	unsigned long requests;		/* enum okvm_req, atomic bit operations only */
	int mode;			/* enum okvm_vcpu_mode */
	int cpu;			/* where it is loaded or was last, -1 never */
	bool preempted;			/* was scheduled out while runnable */
	struct rcuwait wait;		/* the vCPU thread, while it blocks */
	struct pid __rcu *pid;		/* the thread that runs it, for directed yield */
	bool spin_dy_eligible;		/* alternate eligibility for directed yield */
	bool in_spin_loop;
	struct okvm_error_box error;

	/* Around changes of @waits, and around the look at it with what ends the wait. */
	spinlock_t wait_lock;
	bool waits;			/* KVM_RUN waits for a page, which a kick may end */

	/* Guarded by @mutex: one ioctl at a time. */
	struct mutex mutex;
	struct preempt_notifier preempt_notifier;
	/* finishes the last user exit; an outcome. Takes vm->srcu itself if it needs it */
	int (*complete_io)(struct okvm_vcpu *vcpu);
	struct file *run_file;		/* by which KVM_RUN was called */
	bool run_file_held;		/* KVM_RUN has a reference to it */
	int srcu_idx;			/* held by slow exit handlers, see okvm_vcpu_srcu_lock() */
	bool ran;			/* KVM_RUN has been entered once */
	bool sigset_active;
	sigset_t sigset;
	u32 halt_poll_ns;
	unsigned int bus_hint[OKVM_NR_BUSES];	/* where the last look-up of each bus began */
	u64 empty_port[OKVM_EMPTY_PORTS];	/* okvm_port_key() of what goes to userspace */

	u64 stat[OKVM_NR_VCPU_STATS];
	u64 exit_count[OKVM_NR_EXIT_REASONS];	/* by basic exit reason */
	struct okvm_times *times;	/* OKVM_CAP_EXIT_TIMES; NULL: not asked for, core/times.h */
};

/**
 * okvm_request() - set a bit of pending work, without making the vCPU look
 *
 * The vCPU looks before it next enters the guest. Follow with okvm_vcpu_kick()
 * if it may be in the guest or blocked.
 */
static inline void okvm_request(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	/* What the bit announces must be visible before the bit. */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

/** okvm_has_requests() - is any work pending? */
static inline bool okvm_has_requests(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) != 0;
}

/** okvm_test_request() - is this work pending? Does not clear it. */
static inline bool okvm_test_request(enum okvm_req req, const struct okvm_vcpu *vcpu)
{
	return test_bit(req, &vcpu->requests);
}

/** okvm_take_request() - true, and the bit is cleared, if this work was pending */
static inline bool okvm_take_request(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* Pairs with smp_wmb() in okvm_request(). */
	smp_mb__after_atomic();
	return true;
}

/**
 * okvm_vcpu_kick() - make the vCPU look at its requests now
 *
 * Wakes it if it blocks; sends an IPI only if it is in guest mode.
 * Context: any, IRQs may be off. Never sleeps.
 */
void okvm_vcpu_kick(struct okvm_vcpu *vcpu);

/** okvm_vcpu_wake() - wake the vCPU if it blocks. Return: whether it did block. */
bool okvm_vcpu_wake(struct okvm_vcpu *vcpu);

/** okvm_request_kick() - okvm_request() and okvm_vcpu_kick() */
void okvm_request_kick(enum okvm_req req, struct okvm_vcpu *vcpu);

/**
 * okvm_request_all() - the same request to every vCPU of the VM
 * @req: what is asked
 * @wait: also wait until none of them is in guest mode with older state
 *
 * Context: process context if @wait, with no lock that a vCPU needs to exit.
 */
void okvm_request_all(struct okvm_vm *vm, enum okvm_req req, bool wait);

/** okvm_vcpu_load() - make this thread's CPU the vCPU's. Caller holds vcpu->mutex. */
void okvm_vcpu_load(struct okvm_vcpu *vcpu);

/** okvm_vcpu_put() - the reverse of okvm_vcpu_load() */
void okvm_vcpu_put(struct okvm_vcpu *vcpu);

/** okvm_running_vcpu() - the vCPU that is loaded on this CPU, or NULL. Preemption is off. */
struct okvm_vcpu *okvm_running_vcpu(void);

/** okvm_vcpu_destroy() - free a vCPU that nobody runs any more; half-built ones too */
void okvm_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_block() - sleep (after adaptive polling) until the vCPU has something to do
 *
 * Ends when okvm_arch_vcpu_runnable(), on a signal, or on OKVM_REQ_UNBLOCK.
 * Caller has the vCPU loaded and holds no SRCU.
 */
void okvm_vcpu_block(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_wait_begin() - KVM_RUN is going to wait for the host, interruptibly
 * Return: false if it must not wait: it was kicked. Else okvm_vcpu_wait_end() follows.
 */
bool okvm_vcpu_wait_begin(struct okvm_vcpu *vcpu);
/** okvm_vcpu_wait_end() - KVM_RUN has waited; nothing is done to its thread from here on */
void okvm_vcpu_wait_end(struct okvm_vcpu *vcpu);

/**
 * okvm_vcpu_on_spin() - a PAUSE loop was noticed: give the CPU to a sibling that may hold the
 * lock
 */
void okvm_vcpu_on_spin(struct okvm_vcpu *vcpu, bool in_kernel_mode_only);

/** okvm_vcpu_yield_to() - directed yield. Return: > 0 if the target got the CPU */
int okvm_vcpu_yield_to(struct okvm_vcpu *target);

/**
 * okvm_vcpu_run() - KVM_RUN
 * Return: 0 with kvm_run filled, -EINTR (exit_reason is KVM_EXIT_INTR), -EAGAIN, -EIO, ...
 */
int okvm_vcpu_run(struct okvm_vcpu *vcpu);

/* Internal, never given to userspace: KVM_RUN stopped for a pause, and begins again. */
#define OKVM_RUN_PAUSED	(-ERESTART)

/** okvm_vcpu_srcu_lock() - begin reading memslots, buses, routing in the vCPU's thread */
static inline void okvm_vcpu_srcu_lock(struct okvm_vcpu *vcpu)
{
	vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
}

/** okvm_vcpu_srcu_unlock() - end of okvm_vcpu_srcu_lock(); not nested */
static inline void okvm_vcpu_srcu_unlock(struct okvm_vcpu *vcpu)
{
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
}

#endif /* OKVM_CORE_VCPU_H */
