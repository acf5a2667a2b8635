// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults under shadow paging: decide whether the guest or okvm has to handle a #PF. If okvm
 * has to, fill in the shadow entry. See shadow.h.
 */
#include <linux/mm.h>
#include <linux/srcu.h>

#include "core/compat.h"
#include "mmu/needs.h"
#include "mmu/shadow.h"

/*
 * Result of shadow_map(), instead of an enum okvm_fault_verdict, if mmu->lock has to be held for
 * writing.
 */
#define SHADOW_EXCLUSIVE	(-EAGAIN)

struct shadow_table *shadow_top(struct okvm_vcpu *vcpu, gva_t gva)
{
	struct shadow_root *root = vcpu->mmu->shadow->cur;

	if (!root)
		return NULL;
	return vcpu->mmu->mode.levels >= 4 ? root->top[0] : root->top[gva >> 30 & 3];
}

/* Return true if the guest's entry at @level still has the value that the walk has read. */
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
 * Find out which shadow table an entry at @level of a table of role @role has to point to. Set
 * *@child to the role of this lower table, and *@gfn to its frame: that of the guest's table, or
 * the first frame that a direct table maps. The role and the frame must not depend on the kind of
 * access (read, write, fetch). Otherwise two accesses of one instruction could need different
 * tables at the same entry. Each fault would then replace the table that the other access needs,
 * and the instruction would never complete.
 */
static void map_child(const struct shadow_fault *f, u32 role, int level, gfn_t *gfn, u32 *child)
{
	gfn_t here = f->result.gpa >> PAGE_SHIFT;

	if (level <= f->result.level || !f->mode.levels) {
		*gfn = here & ~(spte_pages(level) - 1);
		*child = role_direct(level - 1, f->page, role, f->dirty);
		return;
	}
	*child = role_child(role, f->above[level - 1], f->gva);
	/*
	 * The walk has read its next entry in the guest's lower table, so take the frame from the
	 * address of that entry.
	 */
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
	 * The guest's table that contains this entry is above level 1 and shadowed, so it is
	 * write-protected. okvm sees each change of the entry after this check.
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
 * Return the table to which entry @i of @t points, if its frame and role match this fault's walk.
 * Otherwise link a new table, for which mmu->lock must be held for writing. Return NULL, with
 * *@verdict set, if the lock is held for reading or no table could be linked.
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
 * How often the user-mode writes of a vCPU to one frame may zap the shadow tables of the frame.
 * Without a limit, an instruction could make and zap the same tables for ever, see
 * fault_gives_up().
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
 * user mode write to page tables in use, so @gfn is probably ordinary memory now. But if it is a
 * page table, another access of the same instruction may need its shadow tables. The limit
 * FAULT_GIVE_UP ensures that zapping and shadowing @gfn do not alternate for ever.
 */
static bool fault_gives_up(const struct shadow_fault *f, gfn_t gfn)
{
	if (!(f->access & WALK_USER))
		return false;
	return (*gave_up_count(f->vcpu->mmu->shadow, gfn))++ < FAULT_GIVE_UP;
}

/*
 * Set *@write to true if the new leaf may be writable. If the frame is a page table of the guest,
 * the leaf may be writable only if the access is a write and the shadow tables of the frame may go
 * out of sync.
 * Return: OKVM_FAULT_FIXED if the leaf can be made; OKVM_FAULT_MMIO if the write has to be
 * emulated; SHADOW_EXCLUSIVE if the fault has to be tried again, because mmu->lock was not held for
 * writing, or because shadow tables were zapped or synchronized here
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
 * Replace the leaf @old by @leaf if this needs no TLB flush: both map the same page, and @leaf
 * denies no access that @old allows.
 * Return: false if the leaf has to be dropped and made anew
 */
static bool map_upgrade(struct shadow_fault *f, struct shadow_table *t, unsigned int i, u64 old,
			u64 leaf, u64 what)
{
	const u64 all = leaf | (old & (SHADOW_A | SHADOW_D)), now = READ_ONCE(t->what[i]);

	/*
	 * If WHAT_SET is 0, another vCPU is just making the leaf and has not set t->what[i] yet: do
	 * not upgrade the leaf then.
	 */
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
	 * If rmap_upgrade() fails, another CPU has changed the entry. The guest then repeats the
	 * access.
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
 * Return true if neighbours of the page shall be mapped, too. Return false where this would
 * probably fail:
 * - The host has just brought in the page, so it probably lacks the neighbours.
 * - The access is a write, and the guest has just got its own #PF for this page (told_page). The
 * guest probably fills in its entries one by one, so the neighbours have no entries yet.
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
	 * fault_reserve_leaf() expected a large page. Then fault_map() allocates it, and tries
	 * again with mmu->lock held for writing. If the array is missing even then, the guest
	 * repeats the access.
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
 * Return true if entry @i of @t points to a table that replaces a large page, because the guest has
 * fetched code from the page. The caller then maps a page of 4 KiB, as large pages are not
 * executable (mmu->nx_huge).
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
 * Return the level of the leaf to make. This is 2 if the page is large for both the guest and the
 * host, and contains none of the page tables of the guest. Otherwise it is 1. Caller holds
 * mmu->lock.
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
 * Return true if entry @i of @t is above the leaf that the fault has to make. If @t is at level 2
 * or 1, first compute f->level, the level of this leaf, anew: when the fault made the tables above
 * @t, a frame of the large page may have become a shadowed page table. Then only small pages may
 * map the large page.
 */
static bool map_above(struct shadow_fault *f, const struct shadow_table *t, unsigned int i)
{
	if (role_level(t->role) > SHADOW_MAX_LEVEL)
		return true;
	/*
	 * If the large page was split for a fetch, map 4 KiB. Keep this in f->host->level for the
	 * next call, whose entry at level 1 does not show the split.
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
	 * A root lacks the top table for f->gva if the frame of the guest's table was in no memory
	 * slot when the root was made. The walk of this fault has read that frame, so it is in a
	 * slot now: request a new root.
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
		 * If the guest changes its entry after this check, it has to flush its TLB. okvm
		 * drops the shadow entry at that flush or at the write.
		 */
		if (!map_same(f, f->result.level))
			return OKVM_FAULT_FIXED;
		return f->mmio ? map_mmio(f, t, i) : map_leaf(f, t, i);
	}
	return verdict;
}

/* ---- before the lock ---- */

/*
 * Return the guest's leaf entry. If the entry is in a read-only slot, the walker cannot set the
 * dirty bit. Then return the entry with the dirty bit set, so that the first write need not fault.
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
 * Compute three sets of rights (enum shadow_access). f->above[level]: rights that the guest's
 * entries above this level give. f->leaf: rights of a shadow leaf made for this access. f->page:
 * rights of a shadow leaf that suits every access.
 */
static void fault_access(struct shadow_fault *f)
{
	u8 above = SHADOW_ALL;
	u64 entry;
	u32 role;
	int level;

	f->leaf = SHADOW_ALL;
	f->page = SHADOW_ALL;
	f->dirty = false;
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
	 * Only a large page of the guest needs f->page and f->dirty: they become part of the role
	 * of the direct table that maps the large page.
	 */
	if (f->path.level > 1) {
		f->page = shadow_leaf_access(role, above, entry, 0);
		f->dirty = entry & SHADOW_D;
	}
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

/*
 * Decide whether to make an MMIO entry, or to map okvm's own page (okvm_mmu_set_hole()). Call this
 * each time mmu->lock is taken, because okvm_mmu_set_hole() may change the page while the lock is
 * not held.
 */
static void fault_hole(struct shadow_fault *f)
{
	f->host->pfn = fault_hole_pfn(f->host);
	f->mmio = !f->host->pfn;
	if (f->mmio)
		return;
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
	 * The block can be missing for three reasons:
	 * - okvm_mmu_set_hole() was called for this frame after the check in fault_mmio().
	 * - A zap has freed the block.
	 * - The fast handler has not allocated the block yet.
	 */
	if (!f->mmio && !f->block)
		return f->fast ? OKVM_FAULT_SLOW : OKVM_FAULT_FIXED;
	return shadow_map(f);
}

static int fault_map(struct shadow_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int verdict = SHADOW_EXCLUSIVE;

	/* Skip the attempt under the read lock if it has failed in the fast handler already. */
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
	 * Make no MMIO entry if the access is a write to a read-only slot: the page may be mapped
	 * for reading. Make none while the slots change (odd generation), either.
	 */
	if (f->host->slot || f->host->gen & 1)
		return OKVM_FAULT_MMIO;
	if (mmu_hole_pfn(mmu, f->host->gfn) &&
	    !block_get(mmu->shadow, f->host->gfn, 1, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	verdict = fault_map(f);
	/* Emulate the access even if there was no memory to make the MMIO entry. */
	return (verdict < 0 && verdict != -ENOMEM) || !f->mmio ? verdict : OKVM_FAULT_MMIO;
}

/*
 * Return true if an MMIO entry with the rights @access allows the access @wanted. If it does not,
 * the caller has to walk the guest's tables.
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

/*
 * Return the level of the host's page. If the guest's page is small, return 1 without looking at
 * the host's page.
 */
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
 * host->seq is the present inv_seq, so fault_stale() finds each invalidation that ends later. While
 * one is active, fault_stale() would refuse the page: hostmem_resolve() has to wait for its end.
 */
static bool huge_known(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	const struct shadow_huge *huge = huge_of(f->vcpu, host->hva);

	if (huge->region != (host->hva >> PMD_SHIFT) + 1 || huge->seq != host->seq ||
	    host->slot->flags & KVM_MEM_READONLY ||
	    notifier_stale_unlocked(f->vcpu->vm->mmu, host->seq, host->hva))
		return false;
	host->pfn = huge->pfn + (host->hva >> PAGE_SHIFT & (SHADOW_ENTRIES - 1));
	host->writable = true;
	host->host_level = 2;
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
 * Return true if okvm has to emulate the access: it is a write of a supervisor, only CR0.WP = 0
 * allows it, and the guest uses CR4.SMAP. A leaf that allows the write would be a supervisor page,
 * which SMAP does not protect.
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
 * Mark the access of @f as implicit (WALK_IMPLICIT) if it is probably an implicit supervisor
 * access, such as one to a descriptor table. SMAP denies such an access to a user page, whatever
 * EFLAGS.AC is. At CPL 3 the error code (U/S = 0) shows that an access is implicit. At CPL 0 to 2
 * it does not. Assume it there if the access has faulted FAULT_IDLE times in a row, although the
 * shadow entry allows it.
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
 * @gva plus 1, the page is probably MMIO. In that case the fast handler does not walk the tables of
 * the guest, but leaves the fault to the slow handler.
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
 * the same access and the same generation of slots. A change of the root discards the walk, see
 * shadow_forget_walk().
 *
 * The guest may have changed its tables since the walk. That does no harm: under mmu->lock,
 * map_same() compares the guest's entries with those that the walk has read. A shadow table that is
 * already in use follows the guest's changes by itself.
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
 * Map the page of @f with IRQs off. Do not wait for mmu->lock, because its holder may be waiting
 * until this CPU handles an IPI.
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
 * Find the host's page with IRQs off, and keep what huge_known() needs. host->seq was sampled
 * before the host's tables are read, so huge_known() uses no page that is changed meanwhile.
 * Return: false if the host has no writable page there at the moment, or is changing its tables
 */
static bool fast_host_page(struct shadow_fault *f)
{
	struct okvm_fault *host = f->host;
	struct shadow_huge *huge = huge_of(f->vcpu, host->hva);

	if (huge_known(f))
		return true;
	if (notifier_active(f->vcpu->vm->mmu, host->hva) || !hostmem_get_fast(host))
		return false;
	if (PageCompound(host->page))
		host->host_level = hostmem_level(f->vcpu->vm, host->hva);
	if (host->host_level < 2)
		return true;
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
	/*
	 * At the first fault in a block of 512 frames, f->block is NULL. Allocate the block without
	 * sleeping.
	 */
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
 * Walk the guest's tables and handle the fault according to the result. Do not look for an MMIO
 * entry first: the guest may have changed its tables since the entry was made.
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

	/* Leave faults with paging off (rare), implicit accesses and MMIO to the slow handler. */
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
