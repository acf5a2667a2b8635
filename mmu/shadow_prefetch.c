// SPDX-License-Identifier: GPL-2.0-only
/*
 * The neighbours of a page that was faulted in are mapped with it, where that takes no more than a
 * look: the guest's entry is there and accessed, the host's page is there and may be written. The
 * guest's tables are not written to, and the new entries are not accessed, so that neither the
 * guest nor the host takes them for pages in use.
 */
#include <linux/mm.h>

#include "core/compat.h"
#include "mmu/shadow.h"

/* Entries in a row, from a multiple of so many on: one line of the guest's table. */
#define PREFETCH	8

/* The frame to which entry @i of a direct table leads, and what is allowed there */
static bool prefetch_direct(const struct shadow_table *t, unsigned int i, gfn_t *gfn, u8 *access)
{
	*gfn = t->gfn + i;
	*access = role_access(t->role);
	return true;
}

/* As shadow_current() has it: what is made here has to be what a comparison finds right. */
static bool prefetch_guest(struct okvm_vcpu *vcpu, const struct shadow_table *t, unsigned int i,
			   gfn_t *gfn, u8 *access)
{
	gpa_t gpa = (t->gfn << PAGE_SHIFT) + role_offset(t->role, i);
	struct walk_mode mode = role_mode(t->role);
	u64 entry;

	if (gva_peek(vcpu, gpa, role_entry_size(t->role), &entry) ||
	    !walk_entry_frame(&mode, entry, 1, gfn))
		return false;
	*access = shadow_leaf_access(t->role, role_access(t->role), entry, 0);
	return shadow_current(t->role, entry, i, *gfn, *access);
}

static void prefetch_map(struct shadow_fault *f, struct shadow_table *t, unsigned int i,
			 const struct okvm_fault *host, u8 access)
{
	struct shadow_vm *sh = shadow_of(f->vcpu);
	struct shadow_leaf leaf = {
		.pfn = host->pfn,
		.level = 1,
		.access = access,
		.host_write = host->writable,
		/* Pages that are logged or shadowed are written to by a fault first. */
		.write = !(host->slot->flags & KVM_MEM_LOG_DIRTY_PAGES) &&
			 !block_shadowed(f->block, host->gfn),
		.uncached = host->uncached,
	};

	if (rmap_install(sh, f->block, t, i, shadow_leaf(&leaf) & ~SHADOW_A,
			 link_what(host->gfn, access)))
		atomic64_add(1, &sh->mmu->vm->stat[OKVM_VM_STAT_PAGES_4K]);
}

/* Return: false: it is not there at once, as the next one will not be */
static bool prefetch_host(struct shadow_fault *f, struct shadow_table *t, unsigned int i,
			  gfn_t gfn, u8 access)
{
	struct okvm_fault host = { .vcpu = f->vcpu, .gfn = gfn, .slot = f->host->slot };

	host.hva = okvm_slot_hva(host.slot, gfn);
	if (!hostmem_get_fast(&host))
		return false;
	if (!notifier_stale(f->vcpu->vm->mmu, f->host->seq, host.hva))
		prefetch_map(f, t, i, &host, access);
	hostmem_release(&host);
	return true;
}

/* Return: false: the same would come of the next one */
static bool prefetch_one(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	gfn_t gfn;
	u8 access;

	if (!(table_is_direct(t) ? prefetch_direct(t, i, &gfn, &access) :
				   prefetch_guest(f->vcpu, t, i, &gfn, &access)))
		return true;
	/* Of the slot and the block that are known. */
	if (gfn - f->host->slot->base >= f->host->slot->npages ||
	    (gfn ^ f->host->gfn) >> SHADOW_LINK_BITS)
		return true;
	return prefetch_host(f, t, i, gfn, access);
}

void shadow_prefetch(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	unsigned int at = i & ~(PREFETCH - 1), end = at + PREFETCH;

	for (; at < end; at++) {
		if (!READ_ONCE(t->entry[at]) && !prefetch_one(f, t, at))
			return;
	}
}
