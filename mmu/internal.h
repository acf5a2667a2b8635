/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal header of mmu/: structures and functions that other folders do not use. */
#ifndef OKVM_MMU_INTERNAL_H
#define OKVM_MMU_INTERNAL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/rwlock.h>
#include <linux/workqueue.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/vm.h"
#include "mmu/iter.h"
#include "mmu/hw_ops.h"
#include "mmu/mmu.h"
#include "mmu/policy.h"
#include "mmu/spte.h"

/**
 * struct okvm_mmu_vm - a VM's MMU: the tables by which hardware translates for its vCPUs
 * @policy: two-dimensional or shadow paging. okvm_mmu_choose() changes it before there is a vCPU,
 *	under slots_lock and @lock (write)
 * @root: two-dimensional paging: the root table, which exists as long as the VM
 * @fmt: format of the entries that @policy makes; okvm_mmu_honor_pat() changes it under @lock
 * @guest_pat: okvm_mmu_honor_pat() was called; under vm->lock
 * @shadow: the state of shadow paging
 * @max_level: largest page that may be mapped, 1..3
 * @nx_huge: huge pages are not executable (iTLB multihit). Written under nx_lock (nx.c); once vCPUs
 *	may exist, also under @lock
 * @nx_exempt: userspace has enabled KVM_CAP_VM_DISABLE_NX_HUGE_PAGES
 * @dead: set when the VM or the VMM's address space ends: nothing is mapped any more; under @lock
 * @nx_cursor: frame at which the next recovery of huge pages begins (see nx.c)
 * @nx_node, @nx_work: node in nx.c's list of VMs, and the delayed work that does the recovery
 * @limit: maximum number of shadow tables, from KVM_SET_NR_MMU_PAGES; 0: no limit set
 * @lock: with two-dimensional paging, vCPUs hold the lock for reading to change entries (by
 *	compare-and-exchange) and to add tables. Tables are removed with the lock held for writing
 * @notifier: the host's MM reports changes of the VMM's address space through it; NULL: not
 *	registered (any more)
 * @hole: okvm's own pages (okvm_mmu_set_hole()): a frame in no memory slot, and the host frame that
 *	okvm maps there; 0: none; under @lock
 *
 * The host's invalidations are recorded under @inv_lock. @inv_active counts the invalidations that
 * have begun and not ended yet; [@inv_start, @inv_end) contains all their ranges. The end of an
 * invalidation increments @inv_seq. A fault samples @inv_seq before it asks the host for a page. It
 * maps the page only if, under @lock, no active invalidation contains the page's address and
 * @inv_seq has not changed.
 */
struct okvm_mmu_vm {
	const struct mmu_policy *policy;
	struct okvm_root root;
	struct shadow_vm *shadow;
	int max_level;
	bool nx_huge;
	bool nx_exempt;
	bool guest_pat;
	bool dead;
	gfn_t nx_cursor;
	struct list_head nx_node;
	struct delayed_work nx_work;
	const struct spte_fmt *fmt;
	unsigned long limit;

	rwlock_t lock;
	struct mmu_hole {
		gfn_t gfn;
		u64 pfn;
	} hole[OKVM_NR_HOLES];

	spinlock_t inv_lock;
	unsigned long inv_seq;
	unsigned long inv_active;
	hva_t inv_start, inv_end;

	struct okvm_vm *vm;
	struct notifier *notifier;
};

#define MMU_CACHE_TABLES	ITER_MAX_LEVEL

/**
 * struct okvm_mmu_vcpu - a vCPU's MMU state, guarded by vcpu->mutex
 * @spare, @nr_spare: zeroed pages for new tables, allocated before mmu->lock is taken; their number
 * @slot, @slot_gen: the two memory slots found last; valid while the slots' generation is @slot_gen
 * @mmio_gfn, @mmio_gen: the frame last found to have an MMIO entry; valid while the slots'
 *	generation is @mmio_gen
 * @mode: the guest's paging mode
 * @note: the record to which the current walk adds each entry that it reads; NULL: make no record
 * @shadow: the vCPU's state of shadow paging
 */
struct okvm_mmu_vcpu {
	u64 *spare[MMU_CACHE_TABLES];
	int nr_spare;
	struct okvm_memslot *slot[2];
	u64 slot_gen;
	gfn_t mmio_gfn;
	u64 mmio_gen;
	struct walk_mode mode;
	struct okvm_note *note;
	struct shadow_vcpu *shadow;
};

/**
 * struct okvm_fault - one guest-physical fault that is being handled; a local variable
 * @vcpu, @gfn, @need: who accessed what frame, and the rights needed (enum spte_access)
 * @gen, @slot: generation of the slots, and the frame's slot (NULL: none)
 * @hva: the frame's address in the VMM
 * @seq: value of inv_seq in struct okvm_mmu_vm before the host was asked for the page
 * @pfn, @page: host frame, and its struct page if a reference to it is held; else NULL: the frame
 *	has no struct page, or hostmem_peek() has read it, or it is part of a known large page
 *	(struct shadow_huge)
 * @has_page: the frame is ordinary memory, which has a struct page
 * @writable, @uncached: the host allows writes to the frame; the frame is device memory
 * @host_level: level of the host's entry, 1..3, if it is known already; else 0
 * @level: level of the leaf to make, 1..3
 * @nx_level: level of the leaf that a read would get, if this fetch gets a 4 KiB page only because
 *	huge pages are not executable; else 0
 * @missed: hostmem_get_fast() has failed for this fault, so it is not tried again
 * @may_defer: result of okvm_arch_apf_possible(): the fault need not wait for the host's page
 */
struct okvm_fault {
	struct okvm_vcpu *const vcpu;
	const gfn_t gfn;
	const u8 need;
	const bool may_defer;
	const bool table;	/* the CPU accessed a page table of the guest: OKVM_ACC_TABLE */
	const bool prefault;	/* called by KVM_PRE_FAULT_MEMORY, not by KVM_RUN */

	u64 gen;
	struct okvm_memslot *slot;
	hva_t hva;
	unsigned long seq;

	u64 pfn;
	struct page *page;
	bool has_page;
	bool writable;
	bool uncached;

	int host_level;
	int level;
	int nx_level;
	bool missed;
};

/* tdp.c */

/** tdp_map() - map the host page of @f. mmu->lock: read; the caller has checked notifier_stale() */
void tdp_map(struct okvm_fault *f);
/** tdp_map_mmio() - make an MMIO entry for @f->gfn, where no memory is. mmu->lock: read */
void tdp_map_mmio(struct okvm_fault *f);
/**
 * tdp_leaf() - return the entry at which the walk for @gfn ends; NULL if the tables are too small
 * @val, @level: output: value and level of the entry
 *
 * Under RCU or mmu->lock.
 */
u64 *tdp_leaf(struct okvm_mmu_vm *mmu, gfn_t gfn, u64 *val, int *level);
/** tdp_zap_begin() - take mmu->lock for writing and initialize @z for calls of tdp_zap_range() */
void tdp_zap_begin(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield)
	__acquires(&mmu->lock);
/** tdp_zap_range() - remove all mappings of [@start, @end); tdp_zap_end() flushes the TLBs */
void tdp_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end);
/** tdp_zap_end() - flush the TLBs once for all that was removed, and drop mmu->lock */
void tdp_zap_end(struct mmu_zap *z) __releases(&z->mmu->lock);
/** tdp_zap_mmio() - remove all MMIO entries */
void tdp_zap_mmio(struct okvm_mmu_vm *mmu);
/**
 * tdp_age() - test the accessed state of frames [@start, @end) and, with @clear, clear it
 *
 * Takes mmu->lock for reading; the caller flushes. Return: true if any frame was accessed
 */
bool tdp_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear);
/**
 * tdp_write_protect() - write-protect frames [@start, @end)
 *
 * Takes mmu->lock for reading; the caller flushes.
 */
void tdp_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end);
/**
 * tdp_collapse() - drop tables of @slot where the host has huge pages, so that faults map these
 *
 * Takes mmu->lock for writing.
 */
void tdp_collapse(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot);
/**
 * tdp_recover_nx() - remove up to @max tables that replaced huge pages for fetches (see nx.c)
 *
 * Takes mmu->lock for writing, and yields it from time to time.
 */
void tdp_recover_nx(struct okvm_mmu_vm *mmu, u64 max);
/** tdp_free_all() - free all tables but the root, when the VM or the VMM's address space ends */
void tdp_free_all(struct okvm_mmu_vm *mmu);
/** tdp_free_tree() - free @table and all tables below it; no CPU may still walk any of them */
void tdp_free_tree(u64 *table, int level);

/* policy.c */

/** mmu_reaches() - return true if @policy's tables can map all frames of @slot */
bool mmu_reaches(const struct mmu_policy *policy, const struct okvm_mmu_vm *mmu,
		 const struct okvm_memslot *slot);
/**
 * mmu_zap() - remove all mappings of [@start, @end) and flush the TLBs
 * @yield: mmu->lock, which the function takes for writing, may be yielded from time to time
 */
void mmu_zap(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool yield);

/* fault.c, hostmem.c */

/**
 * tdp_prefault() - map the page of @gpa as if the guest had read it
 * Return: number of bytes from @gpa to the end of the page, or a negative errno
 */
long tdp_prefault(struct okvm_vcpu *vcpu, gpa_t gpa);
/** fault_verdict() - return @verdict; for -EFAULT, also report @f's page to userspace */
int fault_verdict(const struct okvm_fault *f, int verdict);
/** mmu_hole_pfn() - return the host frame of okvm's own page at @gfn, or 0 if none is there */
static inline u64 mmu_hole_pfn(const struct okvm_mmu_vm *mmu, gfn_t gfn)
{
	unsigned int i;

	for (i = 0; i < OKVM_NR_HOLES; i++)
		if (READ_ONCE(mmu->hole[i].pfn) && mmu->hole[i].gfn == gfn)
			return mmu->hole[i].pfn;
	return 0;
}

/**
 * fault_hole_pfn() - return the host frame of okvm's own page that has to be mapped for @f
 *
 * Caller holds mmu->lock.
 *
 * Return: 0 if there is no such page at f->gfn, or if the slots have changed since f->gen was read:
 * a slot may contain f->gfn now. (If a slot is added later, okvm zaps the frame.)
 */
static inline u64 fault_hole_pfn(const struct okvm_fault *f)
{
	const struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;

	return !mmu->dead && okvm_slots_generation(mmu->vm) == f->gen ?
	       mmu_hole_pfn(mmu, f->gfn) : 0;
}

/**
 * fault_level() - choose the level of the leaf for @f; may set @f->nx_level
 *
 * Called after hostmem_resolve().
 */
int fault_level(struct okvm_fault *f);

/**
 * hostmem_resolve() - find the host frame for @f
 *
 * While an invalidation of @f->hva is active, wait: nothing can be mapped there. After the wait
 * @f->seq is sampled anew.
 * Return: 0, OKVM_FAULT_SIGNAL, OKVM_FAULT_LATER, OKVM_FAULT_MMIO, or a negative errno
 */
int hostmem_resolve(struct okvm_fault *f);
/**
 * hostmem_get_fast() - resolve @f if the host's page is present and writable. Any context
 *
 * A page that is not writable is refused even for a read. So each page that the function finds can
 * be mapped writable at once, and the guest's first write needs no fault.
 * Return: true if the page was found
 */
bool hostmem_get_fast(struct okvm_fault *f);
/** hostmem_release() - drop the page reference that hostmem_resolve() or hostmem_get_fast() took */
void hostmem_release(struct okvm_fault *f);
/** hostmem_level() - return the level (1, 2 or 3) of the host's own mapping at @hva */
int hostmem_level(struct okvm_vm *vm, hva_t hva);
/** fault_slot() - find the slot of @gfn, or NULL; set *@gen to the slots' generation */
struct okvm_memslot *fault_slot(struct okvm_vcpu *vcpu, gfn_t gfn, u64 *gen);

/* nx.c */

int nx_init(void);
void nx_exit(void);
/** nx_vm_create() - set mmu->nx_huge from the module parameter */
void nx_vm_create(struct okvm_mmu_vm *mmu);
/** nx_vm_release() - stop recovery when no vCPU runs any more. Idempotent. May sleep */
void nx_vm_release(struct okvm_mmu_vm *mmu);
/** nx_arm() - start the timer of huge-page recovery if the VM has tables for it to remove */
void nx_arm(struct okvm_mmu_vm *mmu);

/* notifier.c */

int okvm_notifier_register(struct okvm_mmu_vm *mmu);
void okvm_notifier_unregister(struct okvm_mmu_vm *mmu);
/** okvm_notifier_exit() - wait until the host has freed the notifiers of all VMs */
void okvm_notifier_exit(void);

/** notifier_seq() - return inv_seq, which a fault samples before it asks the host for a page */
static inline unsigned long notifier_seq(struct okvm_mmu_vm *mmu)
{
	/* Acquire: the caller's lookup of the host's page must not move before this read. */
	return smp_load_acquire(&mmu->inv_seq);
}

/** notifier_active() - return true if an invalidation by the host that contains @hva is active */
static inline bool notifier_active(const struct okvm_mmu_vm *mmu, hva_t hva)
{
	return unlikely(READ_ONCE(mmu->inv_active)) &&
	       hva >= READ_ONCE(mmu->inv_start) && hva < READ_ONCE(mmu->inv_end);
}

/**
 * notifier_stale_unlocked() - return true if the host has invalidated @hva since @seq was sampled
 *
 * The caller need not hold mmu->lock. If the result is true, a fault can give up without waiting
 * for the lock. If the result is false, it may be out of date at once.
 */
static inline bool notifier_stale_unlocked(struct okvm_mmu_vm *mmu, unsigned long seq, hva_t hva)
{
	if (notifier_active(mmu, hva))
		return true;
	/*
	 * Pairs with inv_finish(), which increments inv_seq before it decrements inv_active. If
	 * this thread has seen the new inv_active, it sees the new inv_seq, too.
	 */
	smp_rmb();
	return READ_ONCE(mmu->inv_seq) != seq;
}

/**
 * notifier_stale() - return true if the host has invalidated @hva since @seq was sampled
 *
 * Caller holds mmu->lock. If the result is false, the caller may map the page before it drops the
 * lock. An invalidation that begins later waits for the lock and then removes the mapping.
 */
static inline bool notifier_stale(struct okvm_mmu_vm *mmu, unsigned long seq, hva_t hva)
{
	lockdep_assert_held(&mmu->lock);
	return notifier_stale_unlocked(mmu, seq, hva);
}

/**
 * slot_holds_page() - return true if a leaf at @level can map the page around @gfn
 *
 * @slot must contain the whole page. The page must also be aligned in the VMM's address space,
 * because otherwise the host cannot map it by one entry.
 */
static inline bool slot_holds_page(const struct okvm_memslot *slot, gfn_t gfn, int level)
{
	u64 pages = spte_pages(level);
	gfn_t first = gfn & ~(pages - 1);

	return first >= slot->base && first + pages <= slot->base + slot->npages &&
	       !(((slot->hva >> PAGE_SHIFT) ^ slot->base) & (pages - 1));
}

/* Convert enum okvm_access to the rights (enum spte_access) that the entry must give. */
static inline u8 mmu_need(u32 acc)
{
	if (acc & OKVM_ACC_WRITE)
		return SPTE_READ | SPTE_WRITE;
	return acc & OKVM_ACC_FETCH ? SPTE_READ | SPTE_EXEC : SPTE_READ;
}

#endif /* OKVM_MMU_INTERNAL_H */
