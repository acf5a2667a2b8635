// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map the neighbours of a page that a fault has just mapped. Map a neighbour only if this is cheap:
 * the guest's entry is present and accessed, and the host's page is present and writable.
 * Prefetching does not write to the guest's tables, and the accessed bits of its shadow entries are
 * 0. So neither the guest nor the host believes that a prefetched page is in use.
 */
#include <linux/mm.h>

#include "core/compat.h"
#include "mmu/shadow.h"

/*
 * Neighbours are mapped inside an aligned group of this many entries: PREFETCH in the shadow of a
 * guest's page table, PREFETCH_DIRECT in a direct table. PREFETCH is small, because a short-lived
 * process never uses most of what is mapped in advance.
 */
#define PREFETCH	4
#define PREFETCH_DIRECT	8

/*
 * Compute frame and rights of the leaf for the guest's entry @entry, whose accessed bit is set.
 * shadow_current() must compute the same values, or sync_compare() would drop the leaf. Return:
 * false if @entry maps no page
 */
static bool prefetch_guest(const struct shadow_table *t, u64 entry, gfn_t *gfn, u8 *access)
{
	struct walk_mode mode = role_mode(t->role);

	*access = shadow_leaf_access(t->role, role_access(t->role), entry, 0);
	return walk_entry_frame(&mode, entry, 1, gfn);
}

/*
 * Return true if a new leaf for @gfn in @t needs a spare array of links to join the reverse-map
 * chain of @gfn. Prefetching must not use up the vCPU's spare arrays, because a fault that finds
 * none needs mmu->lock for writing. Other vCPUs change chains at the same time, so the result is
 * only a guess.
 */
static bool prefetch_needs_links(struct shadow_fault *f, const struct shadow_table *t, gfn_t gfn)
{
	const u32 head = READ_ONCE(f->block->rmap[gfn & (SHADOW_ENTRIES - 1)]);

	return head && !(READ_ONCE(t->link) &&
			 READ_ONCE(link_table(shadow_of(f->vcpu), head)->link));
}

static void prefetch_map(struct shadow_fault *f, struct shadow_table *t, unsigned int i,
			 const struct okvm_fault *host, u8 access)
{
	struct shadow_leaf leaf = {
		.pfn = host->pfn,
		.level = 1,
		.access = access,
		.host_write = host->writable,
		/* A write to a page under dirty logging, or to a page table, has to fault. */
		.write = !(host->slot->flags & KVM_MEM_LOG_DIRTY_PAGES) &&
			 !block_shadowed(f->block, host->gfn),
		.uncached = host->uncached,
	};

	if (rmap_install(f->vcpu, f->block, t, i, shadow_leaf(&leaf) & ~SHADOW_A,
			 what_make(host->gfn, access)))
		atomic64_add(1, &f->vcpu->vm->stat[OKVM_VM_STAT_PAGES_4K]);
}

/*
 * Find the host's page for @host. If the same large page of the host also backs the page that @f
 * has mapped, the frame follows from the other page's frame.
 */
static bool prefetch_host_page(const struct shadow_fault *f, struct okvm_fault *host)
{
	if (f->host->host_level < 2 || (host->hva ^ f->host->hva) >> PMD_SHIFT)
		return hostmem_get_fast(host);
	host->pfn = (f->host->pfn & ~(SHADOW_ENTRIES - 1ull)) +
		    (host->hva >> PAGE_SHIFT & (SHADOW_ENTRIES - 1));
	host->writable = true;
	return true;
}

/* Map @gfn by entry @i of @t if possible. Return: false if the caller should stop prefetching */
static bool prefetch_one(struct shadow_fault *f, struct shadow_table *t, unsigned int i, gfn_t gfn,
			 u8 access)
{
	struct okvm_fault host = { .vcpu = f->vcpu, .gfn = gfn, .slot = f->host->slot };

	/*
	 * Skip a frame outside the slot or outside the block of the faulting frame. Also skip a
	 * frame whose leaf would need a spare array.
	 */
	if (gfn - host.slot->base >= host.slot->npages ||
	    (gfn ^ f->host->gfn) >> SHADOW_LINK_BITS || prefetch_needs_links(f, t, gfn))
		return true;
	host.hva = okvm_slot_hva(host.slot, gfn);
	if (!prefetch_host_page(f, &host))
		return false;
	if (!notifier_stale(f->vcpu->vm->mmu, f->host->seq, host.hva))
		prefetch_map(f, t, i, &host, access);
	hostmem_release(&host);
	return true;
}

static void prefetch_direct(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	const unsigned int first = i & ~(PREFETCH_DIRECT - 1);

	for (i = first; i < first + PREFETCH_DIRECT; i++) {
		if (!READ_ONCE(t->entry[i]) &&
		    !prefetch_one(f, t, i, t->gfn + i, role_access(t->role)))
			return;
	}
}

void shadow_prefetch(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	unsigned int first = i & ~(PREFETCH - 1), n;
	u64 entry[PREFETCH];
	u8 access;
	gfn_t gfn;

	if (table_is_direct(t)) {
		prefetch_direct(f, t, i);
		return;
	}
	if (gva_peek_line(f->vcpu, (t->gfn << PAGE_SHIFT) + role_offset(t->role, first),
			  role_entry_size(t->role), entry, PREFETCH))
		return;
	for (n = 0; n < PREFETCH; n++) {
		if (!(entry[n] & SHADOW_A) || READ_ONCE(t->entry[first + n]) ||
		    !prefetch_guest(t, entry[n], &gfn, &access))
			continue;
		if (!prefetch_one(f, t, first + n, gfn, access))
			return;
	}
}
