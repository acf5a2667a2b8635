// SPDX-License-Identifier: GPL-2.0-only
/* The walker of the guest's page tables, see walk.h. Quoted titles: sections of SDM "Paging". */
#include <linux/bits.h>
#include <linux/errno.h>

#include "mmu/walk.h"

#define PTE_PRESENT	BIT_ULL(0)
#define PTE_WRITE	BIT_ULL(1)
#define PTE_USER	BIT_ULL(2)
#define PTE_ACCESSED	BIT_ULL(5)
#define PTE_DIRTY	BIT_ULL(6)
#define PTE_PS		BIT_ULL(7)
#define PTE_NX		BIT_ULL(63)
#define PTE_FRAME	GENMASK_ULL(51, 12)

static unsigned int walk_size(const struct walk_mode *mode)
{
	return mode->levels == 2 ? 4 : 8;
}

/* Return the number of the lowest linear-address bit that selects an entry at @level. */
static unsigned int walk_shift(const struct walk_mode *mode, int level)
{
	return 12 + (level - 1) * (mode->levels == 2 ? 10 : 9);
}

static unsigned int walk_index(const struct walk_mode *mode, u64 gva, int level)
{
	return (gva >> walk_shift(mode, level)) & (mode->levels == 2 ? 1023 : 511);
}

/* Return true if @entry at @level maps a page, false if it points to a table. */
static bool walk_maps(const struct walk_mode *mode, u64 entry, int level)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (mode->levels == 2)
		return mode->pse;
	/* If PS is a reserved bit at @level, the walk has already faulted because of it. */
	return level <= 3;
}

static u64 walk_above_maxphyaddr(const struct walk_mode *mode, unsigned int from)
{
	return mode->maxphyaddr < from ? GENMASK_ULL(from - 1, mode->maxphyaddr) : 0;
}

/*
 * Return the reserved bits of a present entry with 32-bit paging. Only the entry of a 4 MiB page
 * has such bits. Bit 21 is reserved. Bits 20:13 stand for address bits 39:32; those above
 * MAXPHYADDR are reserved.
 */
static u64 walk_reserved_32(const struct walk_mode *mode, u64 entry, int level)
{
	u64 high;

	if (level == 1 || !walk_maps(mode, entry, level))
		return 0;
	high = walk_above_maxphyaddr(mode, 40) >> 32;
	return BIT_ULL(21) | high << 13;
}

/* Return the reserved bits of a present entry at @level. */
static u64 walk_reserved(const struct walk_mode *mode, u64 entry, int level)
{
	u64 rsvd;

	if (mode->levels == 2)
		return walk_reserved_32(mode, entry, level);
	rsvd = walk_above_maxphyaddr(mode, 52);
	if (mode->levels == 3)
		rsvd |= GENMASK_ULL(62, 52);
	if (!mode->nx)
		rsvd |= PTE_NX;
	if (level >= 4 || (level == 3 && !mode->gbpages))
		rsvd |= PTE_PS;
	/*
	 * In the entry of a large page, bit 12 is PAT, and the bits from 13 up to the frame are
	 * reserved.
	 */
	if (level > 1 && level < 4 && entry & PTE_PS)
		rsvd |= GENMASK_ULL(walk_shift(mode, level) - 1, 13);
	return rsvd;
}

bool walk_pdpte_ok(const struct walk_mode *mode, u64 pdpte)
{
	u64 rsvd = walk_above_maxphyaddr(mode, 64) | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);

	return !(pdpte & PTE_PRESENT) || !(pdpte & rsvd);
}

/* Return the bits of the error code that describe the access (not the cause of the fault). */
static u32 walk_code(const struct walk_mode *mode, u32 access)
{
	u32 code = access & (WALK_ERR_WRITE | WALK_ERR_USER);

	/* The I/D bit is set only if fetches can be denied: by NX or by SMEP. */
	if (access & WALK_FETCH && ((mode->nx && mode->levels > 2) || mode->smep))
		code |= WALK_ERR_FETCH;
	return code;
}

static enum walk_verdict walk_pf(const struct walk_mode *mode, u32 access, u32 why,
				 struct walk_fault *fault)
{
	fault->error_code = walk_code(mode, access) | why;
	return WALK_FAULT;
}

/* Return true if PKRU denies a data access ("Protection Keys"). Only user-mode pages have keys. */
static bool walk_key_denies(const struct walk_mode *mode, const struct walk_regs *regs,
			    const struct walk_path *path, u32 access)
{
	u32 rights;

	if (!mode->pke || mode->levels < 4 || !path->user || access & WALK_FETCH)
		return false;
	rights = regs->pkru >> (2 * path->key);
	if (rights & 1)
		return true;
	return rights & 2 && access & WALK_WRITE && (access & WALK_USER || mode->wp);
}

/*
 * Return true if the rules of "Determination of Access Rights" deny the access. Protection keys are
 * not tested here.
 */
static bool walk_denied(const struct walk_mode *mode, const struct walk_regs *regs,
			const struct walk_path *path, u32 access)
{
	bool user = access & WALK_USER;

	if (user && !path->user)
		return true;
	if (access & WALK_WRITE && !path->write && (user || mode->wp))
		return true;
	if (access & WALK_FETCH)
		return !path->exec || (!user && path->user && mode->smep);
	/* SMAP protects user pages from data accesses in supervisor mode. */
	if (!user && path->user && mode->smap)
		return access & WALK_IMPLICIT || !regs->ac;
	return false;
}

static enum walk_verdict walk_check(const struct walk_mode *mode, const struct walk_regs *regs,
				    const struct walk_path *path, u32 access,
				    struct walk_fault *fault)
{
	bool key = walk_key_denies(mode, regs, path, access);

	if (key || walk_denied(mode, regs, path, access))
		return walk_pf(mode, access, WALK_ERR_PRESENT | (key ? WALK_ERR_PK : 0), fault);
	return WALK_OK;
}

static u64 walk_frame(const struct walk_mode *mode, u64 entry)
{
	return mode->levels == 2 ? entry & GENMASK_ULL(31, 12) : entry & PTE_FRAME;
}

/*
 * Initialize @path and find the table at which the walk begins. With PAE, a PDPTE register has the
 * table's address. Return: false if the PDPTE is not present
 */
static bool walk_begin(const struct walk_mode *mode, const struct walk_regs *regs, u64 gva,
		       struct walk_path *path, u64 *table)
{
	path->write = true;
	path->user = true;
	path->exec = true;
	path->key = 0;
	path->unmarked = false;
	path->top = mode->levels;
	if (mode->levels != 3) {
		*table = mode->levels == 2 ? regs->cr3 & GENMASK_ULL(31, 12) :
			 regs->cr3 & PTE_FRAME & ~walk_above_maxphyaddr(mode, 52);
		return true;
	}
	path->top = 2;
	*table = regs->pdptrs[gva >> 30 & 3];
	if (!(*table & PTE_PRESENT))
		return false;
	*table &= PTE_FRAME;
	return true;
}

/* Add @entry at @path->level to @path. Return: WALK_FAULT if @entry ends the walk, else WALK_OK */
static __always_inline enum walk_verdict walk_entry(const struct walk_mode *mode, u64 entry,
						    u32 access, struct walk_path *path,
						    struct walk_fault *fault)
{
	if (!(entry & PTE_PRESENT))
		return walk_pf(mode, access, 0, fault);
	if (entry & walk_reserved(mode, entry, path->level))
		return walk_pf(mode, access, WALK_ERR_PRESENT | WALK_ERR_RSVD, fault);
	path->entry[path->level] = entry;
	path->write &= !!(entry & PTE_WRITE);
	path->user &= !!(entry & PTE_USER);
	path->exec &= !(mode->levels > 2 && entry & PTE_NX);
	path->key = entry >> 59 & 15;
	return WALK_OK;
}

/* Walk from the top table to the entry that maps the page. */
static enum walk_verdict walk_down(const struct walk_mode *mode, const struct walk_regs *regs,
				   const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
				   struct walk_path *path, struct walk_fault *fault)
{
	u64 table, entry;
	int level, ret;

	if (!walk_begin(mode, regs, gva, path, &table))
		return walk_pf(mode, access, 0, fault);
	for (level = path->top; level > 0; level--) {
		path->level = level;
		path->at[level] = table + walk_index(mode, gva, level) * walk_size(mode);
		ret = ops->read(ctx, path->at[level], walk_size(mode), &entry);
		if (ret) {
			fault->error_code = walk_code(mode, access);
			return ret == -EINTR ? WALK_AGAIN : WALK_MEMORY;
		}
		if (walk_entry(mode, entry, access, path, fault))
			return WALK_FAULT;
		if (walk_maps(mode, entry, level))
			break;
		table = walk_frame(mode, entry);
	}
	return WALK_OK;
}

/*
 * Set the accessed bits, and for a write the dirty bit, in the entries of @path.
 * Return: 0; 1 if the walk has to be repeated, because an entry has changed; negative if an entry
 * cannot be written
 */
static int walk_mark(const struct walk_mode *mode, const struct walk_ops *ops, void *ctx,
		     u32 access, struct walk_path *path)
{
	int level, ret;

	for (level = path->top; level >= path->level; level--) {
		u64 want = path->entry[level] | PTE_ACCESSED;

		if (level == path->level && access & WALK_WRITE)
			want |= PTE_DIRTY;
		if (want == path->entry[level])
			continue;
		ret = ops->replace(ctx, path->at[level], walk_size(mode), path->entry[level], want);
		if (ret > 0 || ret == -EINTR)
			return ret;
		/* The entry cannot be written: report its level as the end of the walk. */
		if (ret && ret != -EROFS) {
			path->level = level;
			path->unmarked = true;
			return ret;
		}
		if (!ret)
			path->entry[level] = want;
	}
	return 0;
}

static u64 walk_gpa(const struct walk_mode *mode, const struct walk_path *path, u64 gva)
{
	u64 entry = path->entry[path->level];
	u64 below = BIT_ULL(walk_shift(mode, path->level)) - 1;
	u64 frame;

	frame = walk_frame(mode, entry) & ~below;
	/* A 4 MiB page has address bits 39:32 in bits 20:13 (PSE-36). */
	if (mode->levels == 2 && path->level == 2)
		frame |= (entry >> 13 & 0xff) << 32;
	return frame | (gva & below);
}

static void walk_done(const struct walk_mode *mode, const struct walk_path *path, u64 gva,
		      struct walk_result *result)
{
	result->gpa = walk_gpa(mode, path, gva);
	result->level = path->level;
	result->write = path->write;
}

/*
 * Judge the access by all entries of @path. If it is allowed, set accessed and dirty bits in these
 * entries. Return: the walk's verdict; WALK_AGAIN with *@raced = true if an entry has changed since
 * it was read
 */
static __always_inline enum walk_verdict walk_end(const struct walk_mode *mode,
						  const struct walk_regs *regs,
						  const struct walk_ops *ops, void *ctx, u64 gva,
						  u32 access, struct walk_path *path,
						  struct walk_result *result,
						  struct walk_fault *fault, bool *raced)
{
	int ret;

	if (walk_check(mode, regs, path, access, fault))
		return WALK_FAULT;
	ret = walk_mark(mode, ops, ctx, access, path);
	if (!ret) {
		walk_done(mode, path, gva, result);
		return WALK_OK;
	}
	fault->error_code = walk_code(mode, access);
	*raced = ret > 0;
	return ret > 0 || ret == -EINTR ? WALK_AGAIN : WALK_MEMORY;
}

enum walk_verdict walk_leaf(const struct walk_mode *mode, const struct walk_regs *regs,
			    const struct walk_ops *ops, void *ctx, u64 gva, u32 access, u64 entry,
			    struct walk_path *path, struct walk_result *result,
			    struct walk_fault *fault)
{
	bool raced;

	path->level = 1;
	if (walk_entry(mode, entry, access, path, fault))
		return WALK_FAULT;
	return walk_end(mode, regs, ops, ctx, gva, access, path, result, fault, &raced);
}

enum walk_verdict walk_noted(const struct walk_mode *mode, const struct walk_regs *regs,
			     const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
			     struct walk_path *path, struct walk_result *result,
			     struct walk_fault *fault)
{
	enum walk_verdict verdict = WALK_AGAIN;
	bool raced = true;
	int tries;

	if (mode->levels < 4)
		gva = (u32)gva;
	if (!mode->levels) {
		*result = (struct walk_result){ .gpa = gva, .write = true };
		return WALK_OK;
	}
	for (tries = 0; raced && tries < WALK_TRIES; tries++) {
		verdict = walk_down(mode, regs, ops, ctx, gva, access, path, fault);
		if (verdict)
			return verdict;
		raced = false;
		verdict = walk_end(mode, regs, ops, ctx, gva, access, path, result, fault, &raced);
	}
	return verdict;
}

enum walk_verdict walk(const struct walk_mode *mode, const struct walk_regs *regs,
		       const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
		       struct walk_result *result, struct walk_fault *fault)
{
	struct walk_path path;

	return walk_noted(mode, regs, ops, ctx, gva, access, &path, result, fault);
}

bool walk_entry_frame(const struct walk_mode *mode, u64 entry, int level, u64 *frame)
{
	struct walk_path path = { .level = level };

	if (!(entry & PTE_PRESENT) || entry & walk_reserved(mode, entry, level) ||
	    !walk_maps(mode, entry, level))
		return false;
	path.entry[level] = entry;
	*frame = walk_gpa(mode, &path, 0) >> 12;
	return true;
}
