// SPDX-License-Identifier: GPL-2.0-only
/*
 * Follow the guest's writes to its page tables: emulated writes, and writes to tables that are out
 * of sync. See shadow.h.
 */
#include <linux/mm.h>

#include "core/compat.h"
#include "mmu/shadow.h"

/* ---- out of sync ---- */

static bool table_is_orphan(const struct shadow_table *t)
{
	return !t->parents && !t->roots;
}

/*
 * Zap the tables of @gfn that have no parent and are no root. They are of no use, and would make
 * unsync_allowed() return false.
 */
static void unsync_zap_orphans(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;
	struct mmu_zap z;

	shadow_zap_start(&z, sh);
	shadow_for_each(t, next, sh, gfn) {
		if (table_is_orphan(t))
			shadow_zap_table(&z, t);
	}
	if (z.flush)
		shadow_zap_finish(&z);
}

/*
 * Return true if the shadow tables of @gfn may go out of sync: all are at level 1, and no two of
 * them shadow the same part of @gfn.
 */
static bool unsync_allowed(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;
	unsigned int seen = 0, part;

	shadow_for_each(t, next, sh, gfn) {
		part = 1 << role_quadrant(t->role);
		if (role_level(t->role) > 1 || seen & part)
			return false;
		seen |= part;
	}
	return true;
}

bool unsync_frame(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!unsync_allowed(sh, gfn))
		unsync_zap_orphans(sh, gfn);
	if (!unsync_allowed(sh, gfn))
		return false;
	shadow_for_each(t, next, sh, gfn) {
		if (t->unsync)
			continue;
		t->unsync = true;
		list_add(&t->unsynced, &sh->unsync);
		WRITE_ONCE(sh->nr_unsync, sh->nr_unsync + 1);
	}
	/* Set nr_unsync before the guest can write, so that the guest's next flush sees it. */
	smp_wmb();
	return true;
}

void sync_forget(struct shadow_vm *sh, struct shadow_table *t)
{
	if (!t->unsync)
		return;
	t->unsync = false;
	list_del(&t->unsynced);
	WRITE_ONCE(sh->nr_unsync, sh->nr_unsync - 1);
}

/* ---- in sync again ---- */

/* Return true if leaf or MMIO entry @i of @t still agrees with the guest's entry. */
static bool sync_entry_holds(struct okvm_vcpu *vcpu, struct shadow_table *t, unsigned int i)
{
	gpa_t gpa = (t->gfn << PAGE_SHIFT) + role_offset(t->role, i);
	const u64 what = t->what[i];
	u64 entry;

	return !gva_peek(vcpu, gpa, role_entry_size(t->role), &entry) &&
	       shadow_current(t->role, entry, i, what_gfn(what), what_access(what));
}

/*
 * Drop the entries of @t that differ from the guest's table. The caller has write-protected the
 * guest's table and flushed TLBs.
 */
static void sync_compare(struct okvm_vcpu *vcpu, struct shadow_table *t)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	unsigned int i;

	for (i = shadow_used(t, 0); i < SHADOW_ENTRIES; i = shadow_used(t, i + 1)) {
		if (!sync_entry_holds(vcpu, t, i))
			shadow_drop(sh, t, i);
	}
	sync_forget(sh, t);
}

/* Drop the entries of @t that differ from the guest's entries. */
static void sync_table(struct okvm_vcpu *vcpu, struct shadow_table *t)
{
	struct shadow_vm *sh = shadow_of(vcpu);

	lockdep_assert_held_write(&sh->mmu->lock);
	/* Stop the guest's writes (also through TLBs) before comparing. */
	if (rmap_protect(sh, t->gfn))
		shadow_flush(sh);
	sync_compare(vcpu, t);
}

static bool root_has(const struct shadow_root *root, const struct shadow_table *t)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(root->top); i++) {
		if (root->top[i] == t)
			return true;
	}
	return false;
}

/* Return true if a walk from @root may reach @t. The search goes up from @t, level by level. */
static bool sync_reached(struct shadow_vm *sh, struct shadow_table *t,
			 const struct shadow_root *root)
{
	struct shadow_climb climb = climb_start(t);

	while ((t = climb_next(sh, &climb))) {
		if (root_has(root, t) || climb.hops > SHADOW_HOPS)
			return true;
	}
	return false;
}

/*
 * Sync the tables on the list @work, and flush TLBs once for all of them. Zap instead each table
 * that is no root and has no parent, because the guest process that used it has probably ended.
 */
static void sync_all(struct okvm_vcpu *vcpu, struct list_head *work)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_table *t, *next;
	struct mmu_zap z;

	shadow_zap_start(&z, sh);
	list_for_each_entry_safe(t, next, work, unsynced) {
		if (table_is_orphan(t))
			shadow_zap_table(&z, t);
		else
			z.flush |= rmap_protect(sh, t->gfn);
	}
	if (z.flush)
		shadow_zap_finish(&z);
	list_for_each_entry_safe(t, next, work, unsynced)
		sync_compare(vcpu, t);
}

static void sync_reachable(struct okvm_vcpu *vcpu, const struct shadow_root *root)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_table *t, *next;
	LIST_HEAD(work);

	list_for_each_entry_safe(t, next, &sh->unsync, unsynced) {
		if (table_is_orphan(t) || sync_reached(sh, t, root))
			list_move_tail(&t->unsynced, &work);
	}
	if (!list_empty(&work))
		sync_all(vcpu, &work);
}

/*
 * Return true if a shadow table of @gfn is in sync, so that unsync_frame() would add it to
 * sh->unsync.
 */
static bool unsync_adds(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;

	shadow_for_each(t, next, sh, gfn) {
		if (!t->unsync)
			return true;
	}
	return false;
}

/*
 * Make room in sh->unsync before unsync_frame() adds a table of @gfn. If SHADOW_UNSYNC tables are
 * out of sync already, synchronize the older half. Some of these tables may belong to processes
 * that have stopped: these no longer flush, so nothing else synchronizes their tables.
 * Return: true if tables were synchronized
 */
bool unsync_make_room(struct okvm_vcpu *vcpu, gfn_t gfn)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	unsigned int n = SHADOW_UNSYNC / 2;
	LIST_HEAD(work);

	lockdep_assert_held_write(&sh->mmu->lock);
	if (likely(sh->nr_unsync < SHADOW_UNSYNC) || !unsync_adds(sh, gfn))
		return false;
	while (n--)
		list_move(sh->unsync.prev, &work);
	sync_all(vcpu, &work);
	return true;
}

void sync_below(struct okvm_vcpu *vcpu, struct shadow_table *t)
{
	struct shadow_root root = { .top = { t } };

	if (t->unsync)
		sync_table(vcpu, t);
	else if (shadow_of(vcpu)->nr_unsync && role_level(t->role) > 1)
		sync_reachable(vcpu, &root);
}

void sync_root(struct okvm_vcpu *vcpu)
{
	struct shadow_root *root = vcpu->mmu->shadow->cur;
	struct shadow_vm *sh = shadow_of(vcpu);

	/*
	 * Pairs with unsync_frame(), which sets nr_unsync before the guest can write to the
	 * out-of-sync table. So if the guest has written before this flush, this read sees that
	 * nr_unsync is not 0.
	 */
	if (!root || !READ_ONCE(sh->nr_unsync))
		return;
	write_lock(&sh->mmu->lock);
	sync_reachable(vcpu, root);
	write_unlock(&sh->mmu->lock);
}

static void invlpg_locked(struct okvm_vcpu *vcpu, gva_t gva)
{
	struct shadow_table *t = shadow_top(vcpu, gva);
	unsigned int i;
	u64 entry;

	while (t) {
		int level = role_level(t->role);

		i = spte_index(gva >> PAGE_SHIFT, level);
		entry = t->entry[i];
		if (!spte_is_table(entry, level))
			break;
		t = table_child(shadow_of(vcpu), t, i);
	}
	/* Only a table that is out of sync can have an entry that differs from the guest's. */
	if (t && t->unsync && entry && !sync_entry_holds(vcpu, t, i))
		shadow_drop(shadow_of(vcpu), t, i);
}

void shadow_invlpg(struct okvm_vcpu *vcpu, gva_t gva)
{
	struct shadow_vm *sh = shadow_of(vcpu);

	if (!READ_ONCE(sh->nr_unsync))
		return;
	write_lock(&sh->mmu->lock);
	invlpg_locked(vcpu, gva);
	write_unlock(&sh->mmu->lock);
}

/* ---- an emulated write ---- */

/*
 * Return true if okvm has to flush TLBs after an emulated write. This is needed if the VM has
 * several vCPUs. The write reaches guest memory before okvm drops the shadow entry. In between,
 * another vCPU may see the write, flush its TLB, and use the old shadow entry again. That vCPU does
 * not flush a second time.
 */
static bool wrote_too_late(const struct okvm_vm *vm)
{
	return READ_ONCE(vm->created_vcpus) > 1;
}

static void wrote_entries(struct okvm_vcpu *vcpu, struct mmu_zap *z, struct shadow_table *t,
			  unsigned int first, unsigned int last)
{
	unsigned int i;

	for (i = first; i <= last; i++) {
		u64 entry = t->entry[i];

		if (!entry)
			continue;
		if (!spte_is_table(entry, role_level(t->role)) && sync_entry_holds(vcpu, t, i))
			continue;
		z->flush |= shadow_drop(shadow_of(vcpu), t, i) && wrote_too_late(vcpu->vm);
	}
}

/*
 * Return true if the guest has probably freed the page table that @t shadows: @t is no top table,
 * and no entry points to @t. For a top table the function cannot tell, so it returns false: no
 * entry ever points to a top table, and a guest process may use one that no vCPU keeps as a root.
 */
static bool wrote_freed(const struct shadow_table *t)
{
	const int levels = role_levels(t->role);

	return table_is_orphan(t) && role_level(t->role) != (levels < 4 ? 2 : levels);
}

static void wrote_table(struct okvm_vcpu *vcpu, struct mmu_zap *z, struct shadow_table *t,
			unsigned int offset, unsigned int bytes)
{
	unsigned int first, last;

	if (wrote_freed(t)) {
		shadow_zap_table(z, t);
		return;
	}
	switch (shadow_write(t->role, offset, bytes, ++t->writes, &first, &last)) {
	case SHADOW_WRITE_NONE:
		break;
	case SHADOW_WRITE_ENTRIES:
		wrote_entries(vcpu, z, t, first, last);
		break;
	case SHADOW_WRITE_TABLE:
		shadow_zap_table(z, t);
		break;
	}
}

void shadow_marked(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	bool other;

	if (!rmap_shadowed(sh, gpa >> PAGE_SHIFT))
		return;
	read_lock(&sh->mmu->lock);
	other = shadow_mixed(sh, gpa, size);
	read_unlock(&sh->mmu->lock);
	if (other)
		shadow_wrote(vcpu, gpa, size);
}

bool shadow_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct shadow_table *t;
	struct hlist_node *next;
	struct mmu_zap z;
	bool gone;

	/*
	 * Pairs with table_protect(): if rmap_shadowed() does not see a new table yet, the vCPU
	 * that makes the table reads what was written.
	 */
	smp_mb();
	if (!rmap_shadowed(sh, gfn))
		return false;
	write_lock(&sh->mmu->lock);
	shadow_zap_start(&z, sh);
	shadow_for_each(t, next, sh, gfn)
		wrote_table(vcpu, &z, t, offset_in_page(gpa), bytes);
	/*
	 * Always flush after a zap of tables. For dropped entries alone, z.flush is set only if the
	 * VM has several vCPUs: with one vCPU the guest's own flush is enough.
	 */
	if (z.flush)
		shadow_zap_finish(&z);
	gone = !rmap_shadowed(sh, gfn);
	write_unlock(&sh->mmu->lock);
	return gone;
}
