// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults under shadow paging: decide whether the guest or okvm handles a #PF, and fill in the
 * shadow entry in the second case. See shadow.h.
 */
#include <linux/mm.h>
#include <linux/srcu.h>

#include "core/compat.h"
#include "mmu/needs.h"
#include "mmu/shadow.h"

/* shadow_map() returns this instead of a verdict if mmu->lock has to be held for writing. */
#define SHADOW_EXCLUSIVE	(-EAGAIN)

struct shadow_table *shadow_top(struct okvm_vcpu *vcpu, gva_t gva)
{
	struct shadow_root *root = vcpu->mmu->shadow->cur;

	if (!root)
		return NULL;
	return vcpu->mmu->mode.levels >= 4 ? root->top[0] : root->top[gva >> 30 & 3];
}

/* Does guest memory still contain the page-table entry that the walk has read at @level? */
static bool map_same(struct shadow_fault *f, int level)
{
	unsigned int size = f->mode.levels == 2 ? 4 : 8;
	u64 entry;

	if (!f->mode.levels)
		return true;
	return !gva_peek(f->vcpu, f->path.at[level], size, &entry) &&
	       entry == f->path.entry[level];
}

/*
 * Compute which shadow table belongs below an entry at @level of a table of role @role. Set *@gfn
 * to the frame and *@child to the role of the lower table. Frame and role must not depend on the
 * kind of access (read, write, fetch). Otherwise two accesses of one instruction could need
 * different tables at the same entry: the fault of each access would replace the table of the other
 * access, and the instruction would never complete.
 */
static void map_child(const struct shadow_fault *f, u32 role, int level, gfn_t *gfn, u32 *child)
{
	gfn_t here = f->result.gpa >> PAGE_SHIFT;

	if (level <= f->result.level || !f->mode.levels) {
		*gfn = here & ~(spte_pages(level) - 1);
		*child = role_direct(level - 1, f->page, role);
		return;
	}
	*child = role_child(role, f->above[level - 1], f->gva);
	/* The next entry that the walk has read is an entry of the guest's next lower table. */
	*gfn = f->path.at[level - 1] >> PAGE_SHIFT;
}

/*
 * Link the table for @gfn and @role into entry @i of @t, in place of the old content of the entry.
 * Return: the table, or NULL if the fault has to be retried with a new walk
 */
static struct shadow_table *map_table(struct shadow_fault *f, struct shadow_table *t,
				      unsigned int i, gfn_t gfn, u32 role)
{
	int level = role_level(t->role);
	struct shadow_vm *sh = shadow_of(f->vcpu);
	struct shadow_table *child = shadow_get(f->vcpu, gfn, role);

	/*
	 * The guest's entry is in a shadowed table above level 1, which is always write-protected:
	 * okvm sees each change after this check.
	 */
	if (!child || !map_same(f, max_t(int, level, f->result.level)))
		return NULL;
	if (t->entry[i])
		shadow_drop(sh, t, i);
	if (!shadow_link(f->vcpu, t, i, child))
		return NULL;
	if (f->host->nx_level >= level && role & ROLE_DIRECT)
		shadow_mark_nx_split(sh, child);
	return child;
}

/*
 * Return the table below entry @i of @t, or NULL with *@verdict set. If a table is linked there
 * already, use it only if both its frame and its whole role match this fault's walk.
 */
static struct shadow_table *map_descend(struct shadow_fault *f, struct shadow_table *t,
					unsigned int i, int *verdict)
{
	int level = role_level(t->role);
	u64 entry = READ_ONCE(t->entry[i]);
	struct shadow_table *child;
	gfn_t gfn;
	u32 role;

	map_child(f, t->role, level, &gfn, &role);
	if (spte_is_table(entry, level)) {
		child = table_child(shadow_of(f->vcpu), t, i);
		if (child->gfn == gfn && child->role == role)
			return child;
	}
	*verdict = f->exclusive ? OKVM_FAULT_FIXED : SHADOW_EXCLUSIVE;
	return f->exclusive ? map_table(f, t, i, gfn, role) : NULL;
}

/*
 * How often a vCPU's user-mode writes to a frame may zap the frame's shadow tables. Without a
 * limit, an instruction could zap and make the same tables for ever, see fault_gives_up().
 */
#define FAULT_GIVE_UP	2

/*
 * Return the address of the counter of user-mode writes to @gfn in @sv->gave_up. If @gfn has no
 * counter, replace the oldest one by a counter of 0 for @gfn.
 */
static unsigned int *gave_up_count(struct shadow_vcpu *sv, gfn_t gfn)
{
	unsigned int i;

	for (i = 0; i < SHADOW_GAVE_UP; i++) {
		if (sv->gave_up[i].gfn == gfn)
			return &sv->gave_up[i].times;
	}
	i = sv->gave_up_next++ % SHADOW_GAVE_UP;
	sv->gave_up[i].gfn = gfn;
	sv->gave_up[i].times = 0;
	return &sv->gave_up[i].times;
}

/*
 * Return true if a user-mode write to @gfn shall zap the shadow tables of @gfn. Kernels do not let
 * user mode write to page tables in use, so @gfn is probably ordinary memory now. But @gfn may be a
 * page table that another access of the same instruction needs: without the limit FAULT_GIVE_UP,
 * zapping and shadowing @gfn could alternate for ever.
 */
static bool fault_gives_up(const struct shadow_fault *f, gfn_t gfn)
{
	if (!(f->access & WALK_USER))
		return false;
	return (*gave_up_count(f->vcpu->mmu->shadow, gfn))++ < FAULT_GIVE_UP;
}

/*
 * Set *@write if the new leaf may be writable. A frame that is a page table of the guest is mapped
 * writable only for a write access, and only if its shadow tables can go out of sync. Return:
 * OKVM_FAULT_FIXED if the leaf can be made; OKVM_FAULT_MMIO if the write has to be emulated;
 * SHADOW_EXCLUSIVE if the fault has to be tried again with mmu->lock held for writing, also because
 * the shadow tables of the frame were zapped
 */
static int map_writable(struct shadow_fault *f, bool *write)
{
	struct shadow_vm *sh = shadow_of(f->vcpu);
	gfn_t gfn = f->host->gfn;
	struct mmu_zap z;

	*write = f->leaf & SHADOW_WRITE && f->host->writable;
	if (!*write || f->level > 1 || !block_shadowed(f->block, gfn))
		return OKVM_FAULT_FIXED;
	*write = false;
	if (!(f->access & WALK_WRITE))
		return OKVM_FAULT_FIXED;
	if (!f->exclusive)
		return SHADOW_EXCLUSIVE;
	if (unsync_make_room(f->vcpu, gfn))
		return SHADOW_EXCLUSIVE;
	*write = unsync_frame(sh, gfn);
	if (*write)
		return OKVM_FAULT_FIXED;
	if (!fault_gives_up(f, gfn))
		return OKVM_FAULT_MMIO;
	shadow_zap_start(&z, sh);
	shadow_zap_frame(&z, gfn);
	shadow_zap_finish(&z);
	return SHADOW_EXCLUSIVE;
}

static u64 map_make_leaf(const struct shadow_fault *f, bool write)
{
	struct okvm_fault *host = f->host;
	struct shadow_leaf leaf = {
		.pfn = host->pfn & ~(spte_pages(f->level) - 1),
		.level = f->level,
		.access = f->leaf,
		.host_write = host->writable,
		.write = write,
		.no_exec = f->level > 1 && f->vcpu->vm->mmu->nx_huge,
		.uncached = host->uncached,
	};

	return shadow_leaf(&leaf);
}

/*
 * Replace the leaf @old by @leaf if both map the same page and @leaf denies no access that @old
 * allows: such a change needs no TLB flush.
 * Return: false if the leaf has to be dropped and made anew
 */
static bool map_upgrade(struct shadow_fault *f, struct shadow_table *t, unsigned int i, u64 old,
			u64 leaf, u64 what)
{
	const u64 all = leaf | (old & (SHADOW_A | SHADOW_D)), now = READ_ONCE(t->what[i]);

	/* If WHAT_SET is 0, another vCPU has set the leaf, but has not set t->what[i] yet. */
	if (!spte_is_leaf(old, f->level) || what_gfn(now) != what >> 8 || !(now & WHAT_SET) ||
	    spte_pfn(old) != spte_pfn(leaf))
		return false;
	if (old == all) {
		f->vcpu->stat[OKVM_STAT_PF_SPURIOUS]++;
		return true;
	}
	if (shadow_reduces(old, all))
		return what_access(now) == what_access(what);
	/*
	 * If the upgrade fails, another CPU has changed the entry: the guest's access faults again.
	 */
	if (rmap_upgrade(shadow_of(f->vcpu), t, i, old, all, what))
		f->vcpu->stat[OKVM_STAT_PF_FIXED]++;
	return true;
}

static int map_put(struct shadow_fault *f, struct shadow_table *t, unsigned int i, u64 leaf,
		   u64 what)
{
	struct shadow_vm *sh = shadow_of(f->vcpu);
	u64 old = READ_ONCE(t->entry[i]);

	if (old && map_upgrade(f, t, i, old, leaf, what))
		return OKVM_FAULT_FIXED;
	if (old && !f->exclusive)
		return SHADOW_EXCLUSIVE;
	if (old)
		shadow_drop(sh, t, i);
	if (f->exclusive)
		rmap_trim(sh, t, what >> 8);
	if (!rmap_install(f->vcpu, f->block, t, i, leaf, what))
		return SHADOW_EXCLUSIVE;
	f->vcpu->stat[OKVM_STAT_PF_FIXED]++;
	atomic64_add(1, &sh->mmu->vm->stat[OKVM_VM_STAT_PAGES_4K + f->level - 1]);
	return OKVM_FAULT_FIXED;
}

/*
 * Return true if it is worth looking for neighbours of the page. If the host lacked the page, the
 * host probably lacks the neighbours, too. If the guest's last own #PF was for this page, and the
 * access is a write, the guest has just made its entry, and makes such entries one by one.
 */
static bool map_prefetches(const struct shadow_fault *f)
{
	if (f->level > 1 || !f->host->slot || f->host->missed)
		return false;
	return !(f->access & WALK_WRITE) ||
	       f->vcpu->mmu->shadow->told_page != f->gva >> PAGE_SHIFT;
}

static int map_leaf(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	struct okvm_fault *host = f->host;
	gfn_t gfn = host->gfn & ~(spte_pages(f->level) - 1);
	int verdict, ret;
	bool write;
	u64 leaf;

	/*
	 * A leaf of 4 KiB needs the array f->block->rmap. The array is missing if
	 * fault_reserve_leaf() expected a large page. fault_reserve_tables() then allocates the
	 * array, before the attempt with mmu->lock held for writing. If the array is missing even
	 * in that attempt, the guest repeats the access.
	 */
	if (f->level == 1 && !block_rmap(f->block))
		return f->exclusive ? OKVM_FAULT_FIXED : SHADOW_EXCLUSIVE;
	verdict = map_writable(f, &write);
	if (verdict == SHADOW_EXCLUSIVE)
		return verdict;
	leaf = map_make_leaf(f, write);
	ret = map_put(f, t, i, leaf, what_make(gfn, f->leaf));
	if (ret)
		return ret;
	/*
	 * Mark the page dirty after the entry is set: a thread that clears the mark
	 * (KVM_GET_DIRTY_LOG) then finds the entry and write-protects it.
	 */
	if (leaf & SHADOW_W && host->slot)
		okvm_mark_dirty(f->vcpu->vm, host->slot, host->gfn);
	if (map_prefetches(f))
		shadow_prefetch(f, t, i);
	return verdict;
}

static int map_mmio(struct shadow_fault *f, struct shadow_table *t, unsigned int i)
{
	struct shadow_vm *sh = shadow_of(f->vcpu);
	u64 entry = spte_mmio(f->host->gen >> 1);

	if (!f->exclusive)
		return SHADOW_EXCLUSIVE;
	/* Do not overwrite a leaf: it would stay in the frame's reverse-map chain. */
	if (t->entry[i])
		shadow_drop(sh, t, i);
	WRITE_ONCE(t->what[i], what_make(f->host->gfn, f->leaf));
	WRITE_ONCE(t->entry[i], entry);
	table_uses(t, i);
	shadow_mark_mmio(sh, t);
	return OKVM_FAULT_MMIO;
}

/*
 * Does entry @i of @t point to a table that replaces a large page because the guest has fetched
 * code from the page? If so, map a page of 4 KiB again: large pages are not executable
 * (mmu->nx_huge).
 */
static bool fault_split(const struct shadow_fault *f, const struct shadow_table *t, unsigned int i)
{
	u64 entry = READ_ONCE(t->entry[i]);
	const struct shadow_table *child;

	if (role_level(t->role) != 2 || !f->vcpu->vm->mmu->nx_huge || !spte_is_table(entry, 2))
		return false;
	child = table_child(shadow_of(f->vcpu), t, i);
	return child->nx_split && child->gfn == (f->host->gfn & ~(spte_pages(2) - 1));
}

/*
 * Return the level of the leaf to make: 2 if the page is large for both the guest and the host and
 * contains none of the guest's page tables, else 1. Caller holds mmu->lock.
 */
static int fault_level_now(struct shadow_fault *f)
{
	int level = f->mmio ? 1 : min(f->host->level, SHADOW_MAX_LEVEL);

	if (f->mode.levels)
		level = min_t(int, level, f->result.level);
	if (level < 2)
		return 1;
	return READ_ONCE(f->block->nr_shadowed) ? 1 : level;
}

/*
 * Return true if entry @i of @t is above the leaf. If @t is at level 2 or 1, also compute f->level
 * anew. The descent calls this for each table: when it made the tables above, a frame of the large
 * page may have become shadowed, and then no large page may be mapped.
 */
static bool map_above(struct shadow_fault *f, const struct shadow_table *t, unsigned int i)
{
	if (role_level(t->role) > SHADOW_MAX_LEVEL)
		return true;
	/*
	 * If the large page was split for a fetch, map 4 KiB. Record this in f->host->level: the
	 * entry at level 1, for which this function is called next, does not show the split.
	 */
	if (fault_split(f, t, i))
		f->host->level = 1;
	f->level = fault_level_now(f);
	return role_level(t->role) > f->level;
}

/*
 * Fill in the shadow tables from the top one down to the leaf for f->gva. Caller holds mmu->lock
 * and has checked fault_stale().
 */
static int shadow_map(struct shadow_fault *f)
{
	struct shadow_table *t = shadow_top(f->vcpu, f->gva);
	int verdict = OKVM_FAULT_FIXED;
	unsigned int i;

	/*
	 * A root for PAE paging has one top table per PDPTE of the guest. If the root lacks the top
	 * table for f->gva, build the root anew: the walk of the guest's tables has succeeded, so
	 * the frame of the guest's table is now in a memory slot.
	 */
	if (!t)
		okvm_request(OKVM_REQ_MMU_RELOAD, f->vcpu);
	while (t && !t->dead) {
		if (READ_ONCE(t->writes))
			WRITE_ONCE(t->writes, 0);
		if (!READ_ONCE(t->used))
			WRITE_ONCE(t->used, true);
		i = spte_index(f->gva >> PAGE_SHIFT, role_level(t->role));
		if (map_above(f, t, i)) {
			t = map_descend(f, t, i, &verdict);
			continue;
		}
		/*
		 * If the guest changes its entry after this check, the guest must still flush its
		 * TLB, and okvm then drops the shadow entry.
		 */
		if (!map_same(f, f->result.level))
			return OKVM_FAULT_FIXED;
		return f->mmio ? map_mmio(f, t, i) : map_leaf(f, t, i);
	}
	return verdict;
}

/* ---- before the lock ---- */

/*
 * Return the guest's leaf entry. If the entry is in a read-only slot, the walker cannot set its
 * dirty bit: then treat the entry as dirty, so that the first write need not fault.
 */
static u64 fault_entry(const struct shadow_fault *f)
{
	u64 entry = f->path.entry[f->path.level];
	struct okvm_memslot *slot;
	u64 gen;

	if (entry & SHADOW_D)
		return entry;
	slot = fault_slot(f->vcpu, f->path.at[f->path.level] >> PAGE_SHIFT, &gen);
	return slot && slot->flags & KVM_MEM_READONLY ? entry | SHADOW_D : entry;
}

/*
 * Compute three sets of rights (enum shadow_access). f->above[]: what the guest's entries above
 * each level grant. f->leaf: what the shadow leaf may give, if made for this access. f->page: what
 * the leaf may give to every kind of access.
 */
static void fault_access(struct shadow_fault *f)
{
	u8 above = SHADOW_ALL;
	u64 entry;
	u32 role;
	int level;

	f->leaf = SHADOW_ALL;
	f->page = SHADOW_ALL;
	if (!f->mode.levels)
		return;
	for (level = f->path.top; level > f->path.level; level--) {
		f->above[level] = above;
		above &= shadow_access_of(&f->mode, f->path.entry[level]);
	}
	f->above[level] = above;
	role = role_root(&f->mode, f->gva);
	entry = fault_entry(f);
	f->leaf = shadow_leaf_access(role, above, entry, f->access);
	/*
	 * Only a large page of the guest needs f->page: these rights become part of the role of the
	 * direct table that maps the large page.
	 */
	if (f->path.level > 1)
		f->page = shadow_leaf_access(role, above, entry, 0);
}

/*
 * Allocate what map_leaf() needs: the mapped frame's struct shadow_block and its parts. This is
 * enough for a fault that needs no new table. Return: false if memory could not be allocated
 */
static bool fault_reserve_leaf(const struct shadow_fault *f, gfp_t gfp)
{
	const int level = min(f->mode.levels ? f->result.level : SHADOW_MAX_LEVEL, f->host->level);

	return block_get(shadow_of(f->vcpu), f->host->gfn, level, gfp);
}

/*
 * Allocate what fault_map() may need with mmu->lock held for writing: spare tables, and a struct
 * shadow_block for the mapped frame and for each page table of the guest.
 * Return: false if memory could not be allocated
 */
static bool fault_reserve_tables(const struct shadow_fault *f)
{
	struct shadow_vm *sh = shadow_of(f->vcpu);
	int level;

	if (shadow_fill_spare(f->vcpu) ||
	    (!f->mmio && !block_get(sh, f->host->gfn, 1, GFP_KERNEL_ACCOUNT)))
		return false;
	for (level = f->path.top; f->mode.levels && level >= f->path.level; level--) {
		if (!block_get(sh, f->path.at[level] >> PAGE_SHIFT, 2, GFP_KERNEL_ACCOUNT))
			return false;
	}
	return true;
}

static bool fault_stale(struct shadow_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	struct okvm_fault *host = f->host;

	if (!host->slot)
		return okvm_slots_generation(mmu->vm) != host->gen;
	return notifier_stale(mmu, host->seq, host->hva);
}

/* Call this each time mmu->lock is taken: okvm_mmu_set_hole() may change the hole in between. */
static void fault_hole(struct shadow_fault *f)
{
	f->mmio = !fault_in_hole(f->host);
	if (f->mmio)
		return;
	f->host->pfn = f->vcpu->vm->mmu->hole_pfn;
	f->host->writable = true;
	f->host->level = 1;
}

static int fault_map_locked(struct shadow_fault *f)
{
	if (f->vcpu->vm->mmu->dead)
		return -EIO;
	if (fault_stale(f))
		return OKVM_FAULT_FIXED;
	if (!f->host->slot)
		fault_hole(f);
	f->block = f->mmio ? NULL : block_of(shadow_of(f->vcpu), f->host->gfn);
	/*
	 * f->block may be NULL for three reasons: okvm_mmu_set_hole() was called after
	 * fault_mmio()'s check; a zap has freed the block; or this is the fast handler's first
	 * attempt, before it has allocated anything.
	 */
	if (!f->mmio && !f->block)
		return f->fast ? OKVM_FAULT_SLOW : OKVM_FAULT_FIXED;
	return shadow_map(f);
}

static int fault_map(struct shadow_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int verdict = SHADOW_EXCLUSIVE;

	/*
	 * Skip the attempt under the read lock if the fast handler has already made it and failed.
	 */
	if (!f->unlinked) {
		read_lock(&mmu->lock);
		verdict = fault_map_locked(f);
		read_unlock(&mmu->lock);
	}
	if (verdict != SHADOW_EXCLUSIVE)
		return verdict;

	if (!fault_reserve_tables(f))
		return -ENOMEM;
	f->exclusive = true;
	write_lock(&mmu->lock);
	/* Make room before shadow_map() reads shadow tables: shadow_make_room() may zap some. */
	shadow_make_room(mmu->shadow);
	verdict = fault_map_locked(f);
	write_unlock(&mmu->lock);
	return verdict == SHADOW_EXCLUSIVE ? OKVM_FAULT_FIXED : verdict;
}

/* ---- MMIO: no memory slot ---- */

static int fault_mmio(struct shadow_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int verdict;

	f->mmio = true;
	/*
	 * Make no MMIO entry for a write to a read-only slot, whose page may be mapped for reading,
	 * nor while the slots change (odd generation).
	 */
	if (f->host->slot || f->host->gen & 1)
		return OKVM_FAULT_MMIO;
	if (READ_ONCE(mmu->hole_pfn) && mmu->hole_gfn == f->host->gfn &&
	    !block_get(mmu->shadow, f->host->gfn, 1, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	verdict = fault_map(f);
	/* Emulate the access even if there was no memory to make the MMIO entry. */
	return (verdict < 0 && verdict != -ENOMEM) || !f->mmio ? verdict : OKVM_FAULT_MMIO;
}

/*
 * Do the rights @access of an MMIO entry allow the access @wanted? If not, the guest's tables have
 * to be walked.
 */
static bool mmio_grants(const struct okvm_vcpu *vcpu, u32 wanted, u8 access)
{
	if (wanted & OKVM_ACC_FETCH || (wanted & OKVM_ACC_WRITE && !(access & SHADOW_WRITE)))
		return false;
	if (wanted & OKVM_ACC_USER)
		return access & SHADOW_USER;
	return !(access & SHADOW_USER && vcpu->mmu->mode.smap);
}

/*
 * Return true, with @pf->gpa and @pf->readonly set, if @pf->gva has an MMIO entry that allows the
 * access and that was made with the current generation of the memory slots.
 */
static bool mmio_current(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	struct okvm_mmu_vm *mmu = vcpu->vm->mmu;
	u64 gen = okvm_slots_generation(mmu->vm), entry = 0, what = 0;
	struct shadow_table *t;
	unsigned int i;
	u8 access;

	read_lock(&mmu->lock);
	for (t = shadow_top(vcpu, pf->gva); t; t = table_child(mmu->shadow, t, i)) {
		i = spte_index(pf->gva >> PAGE_SHIFT, role_level(t->role));
		entry = READ_ONCE(t->entry[i]);
		if (spte_is_table(entry, role_level(t->role)))
			continue;
		what = READ_ONCE(t->what[i]);
		break;
	}
	read_unlock(&mmu->lock);
	access = what_access(what);
	if (gen & 1 || !spte_is_mmio(entry) || !mmio_grants(vcpu, pf->acc, access) ||
	    spte_mmio_gen(entry) != (gen >> 1 & SPTE_MMIO_GEN_MASK))
		return false;
	pf->gpa = what_gfn(what) << PAGE_SHIFT | offset_in_page(pf->gva);
	pf->readonly = !(access & SHADOW_WRITE);
	pf->device = true;
	return true;
}

/* ---- the slow handler, shadow_page_fault() ---- */

/* Return the level of the host's page; 1 without looking at it if the guest's page is small. */
static int fault_host_level(const struct shadow_fault *f)
{
	return f->mode.levels && f->result.level == 1 ? 1 : fault_level(f->host);
}

/* Return the element of huge[] for the host virtual address @hva. */
static struct shadow_huge *huge_of(struct okvm_vcpu *vcpu, hva_t hva)
{
	return &vcpu->mmu->shadow->huge[(hva >> PMD_SHIFT) % SHADOW_HUGES];
}

/*
 * Find the host's page, without a reference, if it is a part of a large page that the vCPU knows.
 * host->seq is the present inv_seq, so fault_stale() finds each invalidation that ends later.
 */
static bool huge_known(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	const struct shadow_huge *huge = huge_of(f->vcpu, host->hva);

	if (huge->region != (host->hva >> PMD_SHIFT) + 1 || huge->seq != host->seq ||
	    host->slot->flags & KVM_MEM_READONLY)
		return false;
	host->pfn = huge->pfn + (host->hva >> PAGE_SHIFT & (SHADOW_ENTRIES - 1));
	host->writable = true;
	host->huge = true;
	return true;
}

static int fault_page(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	int ret;

	host->slot = fault_slot(f->vcpu, host->gfn, &host->gen);
	if (!host->slot || (host->need & SPTE_WRITE && host->slot->flags & KVM_MEM_READONLY))
		return fault_mmio(f);
	host->hva = okvm_slot_hva(host->slot, host->gfn);
	host->seq = notifier_seq(f->vcpu->vm->mmu);
	ret = huge_known(f) ? 0 : hostmem_resolve(host);
	if (ret)
		return ret;
	host->level = fault_host_level(f);
	ret = fault_reserve_leaf(f, GFP_KERNEL_ACCOUNT) ? fault_map(f) : -ENOMEM;
	hostmem_release(host);
	if (host->nx_level)
		nx_arm(f->vcpu->vm->mmu);
	return ret;
}

/*
 * Return true if CR4.SMAP is 1 and the access is a supervisor's write that only CR0.WP = 0 allows.
 * Such a write is emulated: to allow it, the leaf would have to be a supervisor page, which SMAP
 * does not protect.
 */
static bool fault_unmappable(const struct shadow_fault *f)
{
	int level = f->path.level;

	return f->mode.levels && f->mode.smap &&
	       shadow_kernel_write(f->above[level], f->path.entry[level], f->access);
}

static int fault_walked(struct shadow_fault *f)
{
	struct okvm_vcpu *vcpu = f->vcpu;
	struct okvm_fault host = {
		.vcpu = vcpu, .gfn = f->result.gpa >> PAGE_SHIFT, .need = mmu_need(f->access),
		.may_defer = okvm_arch_apf_possible(vcpu), .missed = f->missed,
	};

	f->host = &host;
	return fault_unmappable(f) ? OKVM_FAULT_MMIO : fault_verdict(&host, fault_page(f));
}

/*
 * Return the verdict (enum okvm_fault_verdict) for a fault whose walk did not succeed, or an errno.
 * @verdict: enum walk_verdict
 */
static int fault_no_walk(const struct shadow_fault *f, int verdict)
{
	struct okvm_fault host = {
		.vcpu = f->vcpu, .gfn = f->path.at[f->path.level] >> PAGE_SHIFT,
		.need = f->path.unmarked ? SPTE_WRITE : SPTE_READ,
	};
	u64 gen;

	if (verdict == WALK_FAULT)
		return OKVM_FAULT_GUEST;
	/* Another CPU has changed the page tables during the walk: the guest repeats the access. */
	if (verdict == WALK_AGAIN)
		return OKVM_FAULT_FIXED;
	host.slot = fault_slot(f->vcpu, host.gfn, &gen);
	if (!host.slot)
		return OKVM_FAULT_GUEST;
	host.hva = okvm_slot_hva(host.slot, host.gfn);
	return fault_verdict(&host, -EFAULT);
}

/* After this many spurious faults in a row on one address, fault_implicit() may take effect. */
#define FAULT_IDLE	8

static void fault_count(const struct shadow_fault *f, bool spurious)
{
	struct shadow_vcpu *sv = f->vcpu->mmu->shadow;

	if (!spurious || sv->idle_gva != f->gva)
		sv->idle = 0;
	sv->idle_gva = f->gva;
	sv->idle += spurious;
}

/*
 * Find out whether the access of @f is an implicit supervisor access (to a descriptor table): SMAP
 * denies it a user page, whatever EFLAGS.AC says. Only at CPL 3 does the error code tell that an
 * access is implicit (U/S = 0). At CPL 0 to 2, take an access for implicit if it faults again and
 * again although the shadow entry allows it.
 */
static void fault_implicit(struct shadow_fault *f)
{
	if (f->vcpu->mmu->shadow->idle >= FAULT_IDLE && f->mode.smap &&
	    f->vcpu->mmu->shadow->idle_gva == f->gva && !(f->access & (WALK_USER | WALK_FETCH)))
		f->access |= WALK_IMPLICIT;
}

#define FAULT_ACCESS	(WALK_WRITE | WALK_USER | WALK_FETCH | WALK_IMPLICIT)

static void fault_begin(struct shadow_fault *f, struct okvm_vcpu *vcpu,
			const struct okvm_page_fault *pf)
{
	f->vcpu = vcpu;
	f->gva = vcpu->mmu->mode.levels < 4 ? (u32)pf->gva : pf->gva;
	f->access = pf->acc & FAULT_ACCESS;
	f->mode = vcpu->mmu->mode;
	f->mmio = false;
	f->exclusive = false;
	f->fast = false;
	f->walked = false;
	f->missed = false;
	f->unlinked = false;
	f->block = NULL;
}

/*
 * Return the address of the element of mmio_page[] for @gva. If the element is the page number of
 * @gva plus 1, the page is probably MMIO. The fast handler then does not walk the guest's tables,
 * because MMIO needs the slow handler anyway.
 */
static u64 *mmio_hint(struct okvm_vcpu *vcpu, gva_t gva)
{
	return &vcpu->mmu->shadow->mmio_page[gva >> PAGE_SHIFT & (SHADOW_MMIO_HINTS - 1)];
}

static bool mmio_hinted(struct okvm_vcpu *vcpu, gva_t gva)
{
	return *mmio_hint(vcpu, gva) == (gva >> PAGE_SHIFT) + 1;
}

/*
 * Return true if the slow handler may use the fast handler's walk. The walk must have been made for
 * the same access and the same generation of slots; a change of the root discards it
 * (shadow_forget_walk()). The walk may be used even if the guest has changed its tables since:
 * map_same() compares the entries under mmu->lock, and shadow tables that are linked follow the
 * guest's changes.
 */
static bool fault_resume(struct shadow_fault *f, const struct okvm_vcpu *vcpu,
			 const struct okvm_page_fault *pf)
{
	const bool walked = f->walked;

	f->walked = false;
	f->fast = false;
	return walked && f->gva == pf->gva && f->access == (pf->acc & FAULT_ACCESS) &&
	       f->gen == okvm_slots_generation(vcpu->vm);
}

/*
 * Walk the guest's tables for the slow handler. Return: OKVM_FAULT_SLOW if @f contains a successful
 * walk and the handler has to go on; otherwise the verdict that the handler has to return
 */
static int fault_walk(struct shadow_fault *f, struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	int verdict;

	if (mmio_current(vcpu, pf)) {
		*mmio_hint(vcpu, pf->gva) = (pf->gva >> PAGE_SHIFT) + 1;
		return OKVM_FAULT_MMIO;
	}
	if (mmio_hinted(vcpu, pf->gva))
		*mmio_hint(vcpu, pf->gva) = 0;
	fault_begin(f, vcpu, pf);
	fault_implicit(f);
	verdict = gva_walk(vcpu, f, &pf->guest);
	if (verdict)
		return fault_no_walk(f, verdict);
	fault_access(f);
	return OKVM_FAULT_SLOW;
}

int shadow_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	struct shadow_fault *f = &vcpu->mmu->shadow->fault;
	u64 spurious = vcpu->stat[OKVM_STAT_PF_SPURIOUS];
	int verdict;

	if (!fault_resume(f, vcpu, pf)) {
		verdict = fault_walk(f, vcpu, pf);
		if (verdict != OKVM_FAULT_SLOW)
			return verdict;
	}
	verdict = fault_walked(f);
	fault_count(f, spurious != vcpu->stat[OKVM_STAT_PF_SPURIOUS]);
	pf->gpa = f->result.gpa;
	pf->readonly = !(f->leaf & SHADOW_WRITE);
	return verdict;
}

/* ---- the fast handler, shadow_page_fault_fast() (IRQs off): no sleep, no new table ---- */

#define FAST_GFP	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)

/*
 * Map the page of @f with IRQs off. Only try to take the lock: its holder may be waiting for this
 * CPU to take an IPI.
 */
static int fast_map(struct shadow_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int verdict;

	if (!read_trylock(&mmu->lock))
		return OKVM_FAULT_SLOW;
	verdict = fault_map_locked(f);
	read_unlock(&mmu->lock);
	f->unlinked = verdict == SHADOW_EXCLUSIVE;
	return verdict == OKVM_FAULT_FIXED ? verdict : OKVM_FAULT_SLOW;
}

/* Let the slow handler use the walk of @f, unless the slots are changing (odd generation). */
static int fast_hand_over(struct shadow_fault *f)
{
	f->gen = f->host->gen;
	f->walked = !(f->gen & 1);
	return OKVM_FAULT_SLOW;
}

/*
 * Find the host's page with IRQs off, and keep what huge_known() needs.
 * Return: false if the host has no writable page there at the moment
 */
static bool fast_host_page(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	struct shadow_huge *huge = huge_of(f->vcpu, host->hva);

	if (huge_known(f))
		return true;
	if (!hostmem_get_fast(host))
		return false;
	if (!PageCompound(host->page) || hostmem_level(f->vcpu->vm, host->hva) < 2)
		return true;
	host->huge = true;
	huge->region = (host->hva >> PMD_SHIFT) + 1;
	huge->seq = host->seq;
	huge->pfn = host->pfn & ~(SHADOW_ENTRIES - 1ull);
	return true;
}

static int fast_page(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	int verdict = OKVM_FAULT_SLOW;

	host->slot = fault_slot(f->vcpu, host->gfn, &host->gen);
	if (!host->slot || (host->need & SPTE_WRITE && host->slot->flags & KVM_MEM_READONLY))
		return verdict;
	host->hva = okvm_slot_hva(host->slot, host->gfn);
	host->seq = notifier_seq(f->vcpu->vm->mmu);
	f->missed = !fast_host_page(f);
	if (f->missed)
		return fast_hand_over(f);
	host->level = fault_host_level(f);
	if (!host->nx_level)
		verdict = fast_map(f);
	/* f->block is NULL at the first fault in its 512 frames: allocate it without sleeping. */
	if (!host->nx_level && !f->block && fault_reserve_leaf(f, FAST_GFP))
		verdict = fast_map(f);
	hostmem_release(host);
	return verdict == OKVM_FAULT_FIXED ? verdict : fast_hand_over(f);
}

static int fast_walked(struct shadow_fault *f)
{
	u64 spurious = f->vcpu->stat[OKVM_STAT_PF_SPURIOUS];
	struct okvm_fault host = {
		.vcpu = f->vcpu, .gfn = f->result.gpa >> PAGE_SHIFT, .need = mmu_need(f->access),
	};
	int verdict;

	f->host = &host;
	fault_access(f);
	if (fault_unmappable(f))
		return OKVM_FAULT_SLOW;
	verdict = fast_page(f);
	if (verdict == OKVM_FAULT_FIXED)
		fault_count(f, spurious != f->vcpu->stat[OKVM_STAT_PF_SPURIOUS]);
	return verdict;
}

/*
 * Do what a new walk of the guest's tables says. Do not look for an MMIO entry, because the guest
 * may have changed its tables since the entry was made.
 */
static int fast_verdict(struct shadow_fault *f, struct walk_fault *guest)
{
	switch (gva_walk_fast(f->vcpu, f, guest)) {
	case WALK_OK:
		return fast_walked(f);
	case WALK_FAULT:
		f->vcpu->mmu->shadow->told_page = f->gva >> PAGE_SHIFT;
		return OKVM_FAULT_GUEST;
	default:
		return OKVM_FAULT_SLOW;
	}
}

int shadow_page_fault_fast(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	struct shadow_fault *f = &vcpu->mmu->shadow->fault;
	int verdict, idx;

	/* Do not handle faults with paging off (rare), implicit accesses and MMIO here. */
	if (!vcpu->mmu->mode.levels || vcpu->mmu->shadow->idle >= FAULT_IDLE ||
	    mmio_hinted(vcpu, pf->gva)) {
		f->walked = false;
		return OKVM_FAULT_SLOW;
	}
	fault_begin(f, vcpu, pf);
	f->fast = true;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	verdict = fast_verdict(f, &pf->guest);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	vcpu->stat[OKVM_STAT_PF_TAKEN] += verdict != OKVM_FAULT_SLOW;
	return verdict;
}
