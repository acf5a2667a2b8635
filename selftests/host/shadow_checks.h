/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold after each step: of the shadow tables, the reverse maps, and what TLBs hold.
 * Included once, by shadow_test.c.
 */

static bool is_shadowed_in_sync(u64 gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;

	shadow_for_each(t, next, mmu.shadow, gfn) {
		if (!t->unsync)
			return true;
	}
	return false;
}

/* What the host promises others about memory that a translation leads to. */
static void check_host(const char *where, u64 gfn, u64 pfn, bool write)
{
	struct okvm_memslot *slot = slot_of(gfn);

	if (gfn == HOLE && pfn && pfn == mmu_hole_pfn(&mmu, gfn))
		return;
	if (!slot || pfn != pfn_of(gfn))
		VIOLATION("step %lu: %s leads to frame %#llx's old page", step, where,
			  (unsigned long long)gfn);
	else if (write && !host_writable(gfn))
		VIOLATION("step %lu: %s writes to frame %#llx, which the host forbids", step, where,
			  (unsigned long long)gfn);
	else if (write && slot->flags & KVM_MEM_LOG_DIRTY_PAGES && !host.dirty[gfn])
		VIOLATION("step %lu: %s writes to frame %#llx unlogged", step, where,
			  (unsigned long long)gfn);
	else if (write && is_shadowed_in_sync(gfn))
		VIOLATION("step %lu: %s writes to frame %#llx, a table", step, where,
			  (unsigned long long)gfn);
}

#define MASK_WRITES	(1 << USER_WRITE | 1 << KERNEL_WRITE | 1 << AC_WRITE)

static void check_tlb(struct cpu *cpu, unsigned int id)
{
	for (unsigned int i = 0; i < cpu->nr_tlb[id]; i++) {
		struct translation *t = &cpu->tlb[id][i];
		u8 may = allowed(cpu, id, t->gfn);

		check_host("a TLB", t->gfn, t->pfn, t->mask & MASK_WRITES);
		if (t->mask & ~may)
			VIOLATION("step %lu: cpu %d's TLB: %#llx -> %#llx for %#x, not %#x",
				  step, (int)(cpu - cpus),
				  (unsigned long long)gva_of(cpu, id), (unsigned long long)t->gfn,
				  t->mask, may);
	}
}

static unsigned long live;

/* The guest can write, without a fault, to a page that direct table @t maps. */
static bool maps_writable(const struct shadow_table *t)
{
	for (unsigned int i = 0; role_level(t->role) == 1 && i < 512; i++)
		if (t->entry[i] & SHADOW_P && t->entry[i] & SHADOW_W)
			return true;
	return false;
}

/* A table's entry in sync says what the guest's entry says. */
static void check_child(struct shadow_table *t, unsigned int i, struct shadow_table *child)
{
	struct walk_mode m = role_mode(t->role);
	unsigned int size = role_entry_size(t->role);
	u64 e = 0;
	u8 access;

	if (role_level(child->role) != role_level(t->role) - 1)
		VIOLATION("step %lu: a child of the wrong level", step);
	if (table_is_direct(t)) {
		if (!table_is_direct(child) || role_access(child->role) != role_access(t->role) ||
		    child->gfn != t->gfn + i * 512 * (role_level(t->role) > 2 ? 512 : 1))
			VIOLATION("step %lu: a direct table's child is another's", step);
		return;
	}
	if (mem_read(t->gfn << 12 | role_offset(t->role, i), size, &e) || !(e & 1)) {
		VIOLATION("step %lu: a child where the guest has none", step);
		return;
	}
	access = role_access(t->role) &
		 ((e >> 1 & 3) | (m.levels > 2 && e >> 63 ? 0 : SHADOW_EXEC));
	if (entry_large(&m, e, role_level(t->role)) != table_is_direct(child))
		VIOLATION("step %lu: a table where the guest has a page", step);
	else if (!table_is_direct(child) &&
		 (child->gfn != (m.levels == 2 ? (u32)e >> 12 : e >> 12 & ((1ull << 40) - 1)) ||
		  role_access(child->role) != access))
		VIOLATION("step %lu: a child that is not the guest's", step);
	else if (table_is_direct(child) && role_access(child->role) & ~access && m.wp)
		VIOLATION("step %lu: a large page gives more than the guest's", step);
	else if (table_is_direct(child) && !(e & SHADOW_D) && maps_writable(child) &&
		 !(slot_of(t->gfn)->flags & KVM_MEM_READONLY))
		VIOLATION("step %lu: a large page is written before it is dirty", step);
}

static void check_leaf(struct shadow_table *t, unsigned int i, u64 leaf)
{
	u64 gfn = what_gfn(t->what[i]), e;
	int level = role_level(t->role);
	unsigned int pages = level == 1 ? 1 : 512;

	live++;
	for (unsigned int p = 0; p < pages; p += pages > 1 ? 511 : 1)
		check_host("an entry", gfn + p, spte_pfn(leaf) + p, leaf & SHADOW_W);
	if (level > 1 && block_of(mmu.shadow, gfn)->nr_shadowed)
		VIOLATION("step %lu: a large page over a table", step);
	if (table_is_direct(t)) {
		/* What only CR0.WP = 0 lets be written is no user's meanwhile. */
		if (gfn != t->gfn + i * pages ||
		    (leaf & SHADOW_W && !(t->role & 1 << 8) &&
		     (t->role & ROLE_WP || leaf & SHADOW_U)))
			VIOLATION("step %lu: a direct table's leaf", step);
		return;
	}
	if (!t->unsync && (mem_read(t->gfn << 12 | role_offset(t->role, i),
				    role_entry_size(t->role), &e) || !(e & 1) ||
			   (leaf & SHADOW_W && !(e & 2) && t->role & ROLE_WP)))
		VIOLATION("step %lu: a leaf that the guest has not", step);
}

static void check_table(struct shadow_table *t, unsigned long *leaves, unsigned long *links)
{
	unsigned int i;

	for (i = 0; i < 512; i++) {
		u64 entry = t->entry[i];

		if (!entry || spte_is_mmio(entry))
			continue;
		if (spte_is_table(entry, role_level(t->role))) {
			++*links;
			if (table_child(mmu.shadow, t, i) != table_below(entry))
				VIOLATION("step %lu: an entry names another child", step);
			check_child(t, i, table_below(entry));
		} else {
			++*leaves;
			check_leaf(t, i, entry);
		}
	}
}

/* Members of the chain, which all are leaves (or tables, @child) of what it is for. */
static unsigned long check_chain(u32 nr, u64 gfn, struct shadow_table *child)
{
	unsigned long n = 0;
	u32 prev = 0;

	for (; nr; nr = link_next(mmu.shadow, nr), n++) {
		struct shadow_table *t = link_table(mmu.shadow, nr);
		u32 next = link_next(mmu.shadow, nr);
		u64 entry = t->entry[nr & 511], what = t->what[nr & 511];

		if ((t->link ? t->link[nr & 511].prev : 0) != prev || n >= SHADOW_CHAIN ||
		    (next && what_depth(what) <= link_depth(mmu.shadow, next))) {
			VIOLATION("step %lu: a broken chain", step);
			break;
		}
		prev = nr;
		if (child ? table_below(entry) != child :
			    what_gfn(what) != gfn || !spte_valid(entry))
			VIOLATION("step %lu: a chain has an entry of something else", step);
	}
	return n;
}

/* What all tables have together. */
struct totals {
	unsigned long leaves, links, children, nr, unsync, listed;
	unsigned int shadowed[SLOTS + 1], count[TABLES];
};

static void check_listed(struct shadow_table *t, struct totals *n)
{
	n->nr++;
	n->unsync += t->unsync;
	n->listed += t->nx_split + t->mmio;
	check_table(t, &n->leaves, &n->links);
	n->children += check_chain(t->parents, 0, t);
	if (table_is_direct(t) || t->gfn >= FRAMES)
		return;
	n->shadowed[t->gfn / 512]++;
	if (t->gfn < TABLES)
		n->count[t->gfn]++;
}

static void check_structure(void)
{
	struct totals n = {};
	unsigned long chained = 0, mmio = 0;
	struct shadow_vm *sh = mmu.shadow;
	unsigned int blocks = 0, pool = 0;
	struct shadow_table *t;

	live = 0;
	list_for_each_entry(t, &sh->tables, all)
		check_listed(t, &n);
	list_for_each_entry(t, &sh->condemned, all)
		check_listed(t, &n);
	list_for_each_entry(t, &sh->pool, all)
		pool += !memchr_inv(t->entry, 0, PAGE_SIZE) && !memchr_inv(t->what, 0, PAGE_SIZE);
	if (pool != sh->nr_pool || pool > SHADOW_POOL)
		VIOLATION("step %lu: a table that is kept has entries", step);
	for (unsigned int b = 0; b <= SLOTS; b++) {
		struct shadow_block *block = block_of(sh, b * 512);

		if (!block && n.shadowed[b])
			VIOLATION("step %lu: tables in block %u, which is not there", step, b);
		if (!block)
			continue;
		blocks++;
		if (block->nr_shadowed != n.shadowed[b])
			VIOLATION("step %lu: block %u has %u tables, not %u", step, b,
				  n.shadowed[b], block->nr_shadowed);
		chained += check_chain(block->large, b * 512, NULL);
		for (unsigned int i = 0; i < 512; i++) {
			if (block->rmap && block->rmap[i])
				chained += check_chain(block->rmap[i], b * 512 + i, NULL);
			if (!b && i < TABLES && block_shadowed(block, i) != !!n.count[i])
				VIOLATION("step %lu: frame %u is miscounted", step, i);
		}
	}
	if (n.leaves != chained || n.links != n.children)
		VIOLATION("step %lu: %lu leaves, %lu in reverse maps; %lu links, %lu parents", step,
			  n.leaves, chained, n.links, n.children);
	if (blocks != (unsigned long)atomic64_read(&sh->nr_blocks))
		VIOLATION("step %lu: blocks are miscounted", step);
	list_for_each_entry(t, &sh->mmio, mmio_node)
		n.listed -= t->mmio;
	list_for_each_entry(t, &sh->nx_splits, nx_node)
		n.listed -= t->nx_split;
	if (n.listed)
		VIOLATION("step %lu: a table is not in the list of its kind", step);
	list_for_each_entry(t, &sh->mmio, mmio_node)
		mmio++;
	if (mmio != sh->nr_mmio)
		VIOLATION("step %lu: tables with MMIO entries are miscounted", step);
	if (n.nr != sh->nr_tables || n.unsync != sh->nr_unsync)
		VIOLATION("step %lu: tables are miscounted", step);
	if (atomic64_read(&vm.stat[OKVM_VM_STAT_PAGES_4K]) +
	    atomic64_read(&vm.stat[OKVM_VM_STAT_PAGES_2M]) != (s64)n.leaves)
		VIOLATION("step %lu: leaves are miscounted", step);
}

static void check_all(void)
{
	check_structure();
	for (int c = 0; c < CPUS; c++) {
		for (unsigned int id = 0; id < nr_gvas(mode_of(&cpus[c])->levels); id++)
			check_tlb(&cpus[c], id);
	}
}
