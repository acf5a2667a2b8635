// SPDX-License-Identifier: GPL-2.0-only
/* Iterate over page-table entries, see iter.h. */
#include <linux/minmax.h>

#include "mmu/iter.h"

static void iter_at(struct iter *it, int level)
{
	it->level = level;
	it->entry = &it->table[level][spte_index(it->gfn, level)];
	iter_reload(it);
}

void iter_restart(struct iter *it)
{
	it->from = it->gfn;
	if (iter_valid(it))
		iter_at(it, it->root_level);
}

void iter_start(struct iter *it, u64 *root, int root_level, int min, gfn_t start, gfn_t end)
{
	it->gfn = start;
	/* End where the root table ends: for later frames, the index in the root would wrap. */
	it->end = min_t(gfn_t, end, spte_pages(root_level + 1));
	it->min = min;
	it->root_level = root_level;
	it->table[root_level] = root;
	iter_restart(it);
}

void iter_skip(struct iter *it)
{
	int level = it->level;

	it->gfn = iter_base(it) + spte_pages(level);
	if (!iter_valid(it))
		return;
	/* If the index has become 0, the walk is past the table: continue one level higher. */
	while (level < it->root_level && !spte_index(it->gfn, level))
		level++;
	iter_at(it, level);
}

void iter_next(struct iter *it)
{
	if (it->level <= it->min || !spte_is_table(it->val, it->level)) {
		iter_skip(it);
		return;
	}
	it->table[it->level - 1] = iter_table_of(it->val);
	iter_at(it, it->level - 1);
}
