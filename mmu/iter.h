/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An iterator over the page-table entries that cover a range of frames, without recursion. It
 * visits an entry before the entries of the table below it.
 *
 * The caller holds vm->mmu->lock, or only reads and is inside an RCU section.
 */
#ifndef OKVM_MMU_ITER_H
#define OKVM_MMU_ITER_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/page.h>

#include "core/types.h"
#include "mmu/spte.h"

#define ITER_MAX_LEVEL	5

/**
 * struct iter - position of an iteration
 * @gfn: first frame not yet visited; the current entry covers it
 * @end: the iteration ends at this frame
 * @from: frame at which the iteration has begun, or has begun anew after iter_restart()
 * @entry, @val: the current entry, and its value when it was read
 * @level: level of the current entry
 * @min: entries below this level are not visited
 * @root_level: level of the root table
 * @table: by level, the tables on the path from the root to the current entry
 */
struct iter {
	gfn_t gfn;
	gfn_t end;
	gfn_t from;
	u64 *entry;
	u64 val;
	int level;
	int min;
	int root_level;
	u64 *table[ITER_MAX_LEVEL + 1];
};

/** iter_start() - begin an iteration over [@start, @end) with the root's entry for @start */
void iter_start(struct iter *it, u64 *root, int root_level, int min, gfn_t start, gfn_t end);

/** iter_restart() - go back to the root's entry for @it->gfn, after the lock was dropped */
void iter_restart(struct iter *it);

/** iter_next() - go to the table below the current entry; if there is none, to the next entry */
void iter_next(struct iter *it);

/** iter_skip() - go past the current entry without visiting the table below this entry */
void iter_skip(struct iter *it);

/** iter_reload() - read the current entry into @it->val again, after the entry was changed */
static inline void iter_reload(struct iter *it)
{
	it->val = READ_ONCE(*it->entry);
}

static inline bool iter_valid(const struct iter *it)
{
	return it->gfn < it->end;
}

/**
 * iter_moved() - return true if the iteration has advanced since iter_start() or iter_restart()
 *
 * Drop the lock only if the result is true. Otherwise the iteration could drop the lock and restart
 * at the same frame again and again.
 */
static inline bool iter_moved(const struct iter *it)
{
	return it->gfn != it->from;
}

/** iter_base() - return the first frame that the current entry covers */
static inline gfn_t iter_base(const struct iter *it)
{
	return it->gfn & ~(spte_pages(it->level) - 1);
}

/** iter_within() - return true if the current entry covers no frame outside of [@start, @end) */
static inline bool iter_within(const struct iter *it, gfn_t start, gfn_t end)
{
	return iter_base(it) >= start && iter_base(it) + spte_pages(it->level) <= end;
}

/** iter_table_of() - return the table that @spte, which must be a table entry, points to */
static inline u64 *iter_table_of(u64 spte)
{
	return __va(spte & SPTE_ADDR);
}

#define iter_for_each(it, root, root_level, min, start, end)			\
	for (iter_start(it, root, root_level, min, start, end); iter_valid(it); iter_next(it))

#endif /* OKVM_MMU_ITER_H */
