/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cursor over a tree of page tables: visits the entries that cover a range
 * of frames, upper ones before those below them, without recursion.
 *
 * The caller holds vm->mmu->lock, or only reads inside an RCU section.
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
 * struct iter - the cursor
 * @gfn: first frame not yet done with; inside what @entry covers
 * @end: frame at which to stop
 * @entry, @val: the entry, and its value when it was read
 * @level: level of @entry
 * @min: entries below this level are not visited
 * @from: frame at which the walk last began from the root
 * @table: the tables from @root_level down to @level, by level
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

/** iter_start() - on the root's entry for @start */
void iter_start(struct iter *it, u64 *root, int root_level, int min, gfn_t start, gfn_t end);

/** iter_restart() - again from the root at the frame reached; after the lock was dropped */
void iter_restart(struct iter *it);

/** iter_next() - below the entry if it is a table (re-read the value first), else past it */
void iter_next(struct iter *it);

/** iter_skip() - past the entry, whatever it is */
void iter_skip(struct iter *it);

/** iter_reload() - read the entry again after it was changed */
static inline void iter_reload(struct iter *it)
{
	it->val = READ_ONCE(*it->entry);
}

static inline bool iter_valid(const struct iter *it)
{
	return it->gfn < it->end;
}

/**
 * iter_moved() - the walk got further since it last began from the root
 *
 * Only then may the lock be dropped: a walk that gives way before it is past one frame does no
 * more after it than before, and may go on like this for ever.
 */
static inline bool iter_moved(const struct iter *it)
{
	return it->gfn != it->from;
}

/** iter_base() - the first frame that the entry covers */
static inline gfn_t iter_base(const struct iter *it)
{
	return it->gfn & ~(spte_pages(it->level) - 1);
}

/** iter_within() - the entry covers nothing outside [@start, @end) */
static inline bool iter_within(const struct iter *it, gfn_t start, gfn_t end)
{
	return iter_base(it) >= start && iter_base(it) + spte_pages(it->level) <= end;
}

/** iter_table_of() - the table that a table entry points to */
static inline u64 *iter_table_of(u64 spte)
{
	return __va(spte & SPTE_ADDR);
}

#define iter_for_each(it, root, root_level, min, start, end)			\
	for (iter_start(it, root, root_level, min, start, end); iter_valid(it); iter_next(it))

#endif /* OKVM_MMU_ITER_H */
