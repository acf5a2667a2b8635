/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of mmu/ share among themselves. */
#ifndef OKVM_MMU_INTERNAL_H
#define OKVM_MMU_INTERNAL_H

#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/rwlock.h>
#include <linux/spinlock.h>
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
 * struct okvm_mmu_vm - guest-physical memory of a VM, as hardware sees it
 * @policy: changes before the first vCPU only (okvm_mmu_choose()); slots_lock keeps it too
 * @root: two-dimensional paging: the one root table, from VM creation to destruction
 * @fmt: format of the entries that @policy makes
 * @shadow: what shadow paging keeps
 * @max_level: largest page that may be mapped, 1..3
 * @nx_huge: huge pages are not executable (iTLB multihit); changes under @lock
 * @nx_exempt: KVM_CAP_VM_DISABLE_NX_HUGE_PAGES; the next three see nx.c
 * @lock: readers change entries by compare-and-exchange and add tables;
 *	only a writer takes tables away
 * @seq: see below
 * @notifier: tells what the host does to the memory behind
 * @hole_gfn, @hole_pfn: see okvm_mmu_set_hole(); under @lock
 *
 * Invalidations by the host, guarded by @inv_lock for writing: between its
 * start and its end @inv_active counts it and [@inv_start, @inv_end) covers
 * it; each end increments @inv_seq. A fault samples @inv_seq before it asks the
 * host for a page and believes the answer only if, under @lock, nothing is
 * active around it and the sequence is the same.
 */
struct okvm_mmu_vm {
	const struct mmu_policy *policy;
	struct okvm_root root;
	struct shadow_vm *shadow;
	int max_level;
	bool nx_huge;
	bool nx_exempt;
	bool dead;
	gfn_t nx_cursor;
	struct list_head nx_node;
	struct delayed_work nx_work;
	const struct spte_fmt *fmt;
	unsigned long limit;		/* KVM_SET_NR_MMU_PAGES, 0 none */

	rwlock_t lock;
	gfn_t hole_gfn;
	u64 hole_pfn;

	spinlock_t inv_lock;
	unsigned long inv_seq;
	unsigned long inv_active;
	hva_t inv_start, inv_end;

	struct okvm_vm *vm;
	struct mmu_notifier notifier;
	bool registered;
};

#define MMU_CACHE_TABLES	ITER_MAX_LEVEL

/**
 * struct okvm_mmu_vcpu - guarded by vcpu->mutex
 * @spare: zeroed pages for tables, filled before @lock is taken
 * @slot, @slot_gen: the two slots found last, good while the generation is the same
 * @mmio_gfn, @mmio_gen: a frame that was found to have an MMIO entry, likewise
 * @note: records the entries of the walk under way, or NULL
 * @shadow: what shadow paging keeps
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
 * struct okvm_fault - one guest-physical fault
 * @vcpu, @gfn, @need: what was accessed and how (enum spte_access)
 * @gen, @slot, @hva, @seq: derived first; @slot NULL if no memory is there
 * @pfn, @page, @writable, @uncached: what the host says is there
 * @level: the page size to map
 * @nx_level: the page size it would be if the access were no fetch; 0 if that is no difference
 * @missed: hostmem_get_fast() has just found nothing
 * @may_defer: the guest can do something else while the host fetches the page
 */
struct okvm_fault {
	struct okvm_vcpu *const vcpu;
	const gfn_t gfn;
	const u8 need;
	const bool may_defer;
	const bool table;	/* a walk of the guest's page tables: OKVM_ACC_TABLE */
	const bool prefault;	/* not KVM_RUN's: KVM_PRE_FAULT_MEMORY */

	u64 gen;
	struct okvm_memslot *slot;
	hva_t hva;
	unsigned long seq;

	u64 pfn;
	struct page *page;
	bool writable;
	bool uncached;

	int level;
	int nx_level;
	bool missed;
};

/* tdp.c */

/** tdp_map() - put what @f found into the tables. Under lock (read), nothing being invalidated */
void tdp_map(struct okvm_fault *f);
/** tdp_map_mmio() - remember that nothing is at @f->gfn. Under lock (read). */
void tdp_map_mmio(struct okvm_fault *f);
/** tdp_leaf() - the leaf or MMIO entry for @gfn, or NULL. Inside an RCU section, or under lock */
u64 *tdp_leaf(struct okvm_mmu_vm *mmu, gfn_t gfn, u64 *val, int *level);
/** tdp_zap_begin() - takes lock for writing; then any number of tdp_zap_range() */
void tdp_zap_begin(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield)
	__acquires(&mmu->lock);
/** tdp_zap_range() - remove all mappings of [@start, @end); TLBs are flushed later */
void tdp_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end);
/** tdp_zap_end() - one flush for all that was removed, and the lock is dropped */
void tdp_zap_end(struct mmu_zap *z) __releases(&z->mmu->lock);
/** tdp_zap_mmio() - remove all MMIO entries */
void tdp_zap_mmio(struct okvm_mmu_vm *mmu);
/** tdp_age() - was a frame accessed? @clear: as not accessed from now on. Takes lock (read) */
bool tdp_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear);
/** tdp_write_protect() - [@start, @end) gets no write access; no flush. Takes lock (read) */
void tdp_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end);
/** tdp_collapse() - drop tables of @slot where the host has huge pages. Takes lock (write) */
void tdp_collapse(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot);
/**
 * tdp_recover_nx() - drop up to @max tables that were made for a fetch in place of a huge page
 *
 * Takes lock (write), and drops it in between.
 */
void tdp_recover_nx(struct okvm_mmu_vm *mmu, u64 max);
/** tdp_free_all() - at the end of the VM: nobody walks the tables any more */
void tdp_free_all(struct okvm_mmu_vm *mmu);
/** tdp_free_tree() - free a table and all below it; nobody walks them any more */
void tdp_free_tree(u64 *table, int level);

/* policy.c */

/** mmu_reaches() - could @policy map all frames of @slot? */
bool mmu_reaches(const struct mmu_policy *policy, const struct okvm_mmu_vm *mmu,
		 const struct okvm_memslot *slot);
/**
 * mmu_zap() - remove all mappings of [@start, @end), flushed when it returns
 * @yield: may drop the lock in between. Takes lock for writing.
 */
void mmu_zap(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool yield);

/* fault.c, hostmem.c */

/** tdp_prefault() - map the page of @gpa as if the guest had read it. See struct mmu_policy */
long tdp_prefault(struct okvm_vcpu *vcpu, gpa_t gpa);
/** fault_verdict() - return @verdict; for -EFAULT, also report @f's page to userspace */
int fault_verdict(const struct okvm_fault *f, int verdict);
/** fault_in_hole() - @f->gfn is okvm_mmu_set_hole()'s frame, and no slot is there. Under lock */
bool fault_in_hole(const struct okvm_fault *f);
/** fault_level() - the page size to map; what is there was resolved. May set @f->nx_level */
int fault_level(struct okvm_fault *f);

/**
 * hostmem_resolve() - find the host frame for @f
 * Return: 0, OKVM_FAULT_SIGNAL, OKVM_FAULT_LATER, OKVM_FAULT_MMIO, or a negative errno
 */
int hostmem_resolve(struct okvm_fault *f);
/**
 * hostmem_get_fast() - the same if the page is there and may be written. Any context
 *
 * Writable even for a read: it saves the fault at the first write.
 */
bool hostmem_get_fast(struct okvm_fault *f);
/** hostmem_release() - give up the reference that resolving took */
void hostmem_release(struct okvm_fault *f);
/** hostmem_level() - the size of the host's own mapping at @hva: 1, 2 or 3 */
int hostmem_level(struct okvm_vm *vm, hva_t hva);
/** fault_slot() - slot of @gfn by the vCPU's hint; @gen the generation that was looked at */
struct okvm_memslot *fault_slot(struct okvm_vcpu *vcpu, gfn_t gfn, u64 *gen);

/* nx.c */

int nx_init(void);
void nx_exit(void);
/** nx_vm_create() - chooses mmu->nx_huge */
void nx_vm_create(struct okvm_mmu_vm *mmu);
/** nx_vm_release() - no vCPU runs any more; may be called twice. May sleep */
void nx_vm_release(struct okvm_mmu_vm *mmu);
/** nx_arm() - a table was made in place of a huge page: see to its end */
void nx_arm(struct okvm_mmu_vm *mmu);

/* notifier.c */

int okvm_notifier_register(struct okvm_mmu_vm *mmu);
void okvm_notifier_unregister(struct okvm_mmu_vm *mmu);

/** notifier_seq() - to be sampled before the host is asked for a page */
static inline unsigned long notifier_seq(struct okvm_mmu_vm *mmu)
{
	/* Pairs with the end of an invalidation: the page is asked for after this read. */
	return smp_load_acquire(&mmu->inv_seq);
}

/**
 * notifier_stale_unlocked() - what was learnt about @hva since @seq was sampled does not hold
 *
 * Without the lock: "no" is a guess. It keeps those who would have to give up anyway from taking
 * the lock, which the host waits for in order to come to an end.
 */
static inline bool notifier_stale_unlocked(struct okvm_mmu_vm *mmu, unsigned long seq, hva_t hva)
{
	if (unlikely(READ_ONCE(mmu->inv_active)) &&
	    hva >= READ_ONCE(mmu->inv_start) && hva < READ_ONCE(mmu->inv_end))
		return true;
	/* The end of an invalidation bumps the sequence before it lowers the count. */
	smp_rmb();
	return READ_ONCE(mmu->inv_seq) != seq;
}

/** notifier_stale() - the same for good: "no" holds until the lock is dropped */
static inline bool notifier_stale(struct okvm_mmu_vm *mmu, unsigned long seq, hva_t hva)
{
	lockdep_assert_held(&mmu->lock);
	return notifier_stale_unlocked(mmu, seq, hva);
}

/** slot_holds_page() - @slot holds all of the page at @level around @gfn, aligned as in the host */
static inline bool slot_holds_page(const struct okvm_memslot *slot, gfn_t gfn, int level)
{
	u64 pages = spte_pages(level);
	gfn_t first = gfn & ~(pages - 1);

	return first >= slot->base && first + pages <= slot->base + slot->npages &&
	       !(((slot->hva >> PAGE_SHIFT) ^ slot->base) & (pages - 1));
}

/* What an access (enum okvm_access) needs of an entry. */
static inline u8 mmu_need(u32 acc)
{
	if (acc & OKVM_ACC_WRITE)
		return SPTE_READ | SPTE_WRITE;
	return acc & OKVM_ACC_FETCH ? SPTE_READ | SPTE_EXEC : SPTE_READ;
}

#endif /* OKVM_MMU_INTERNAL_H */
