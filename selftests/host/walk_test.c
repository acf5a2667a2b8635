// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest page-table walker against a second one that is written from the manual without sharing
 * a line: one naive function per paging mode, on a small memory with random tables.
 */
#include <errno.h>
#include <stdint.h>

#include "mmu/walk.h"
#include "test.h"

#define MEM_SIZE	0x20000

static u8 mem[MEM_SIZE];
static unsigned int reads, swaps;
static bool rom, race;
static u64 sealed = ~0ull;	/* readable, and of a host that does not let it be written */

static int mem_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	(void)ctx;
	reads++;
	if (gpa + size > MEM_SIZE)
		return -EFAULT;
	*val = 0;
	memcpy(val, mem + gpa, size);
	return 0;
}

static int mem_cmpxchg(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	u64 now = 0;

	(void)ctx;
	swaps++;
	if (rom)
		return -EROFS;
	if (gpa == sealed)
		return -EFAULT;
	memcpy(&now, mem + gpa, size);
	if (race || now != old)
		return 1;
	memcpy(mem + gpa, &new, size);
	return 0;
}

static const struct walk_ops ops = { .read = mem_read, .replace = mem_cmpxchg };

static u64 rnd_state = 88172645463325252ull;

static u64 rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

/* ---- the reference ---- */

struct ref {
	int verdict;
	u32 code;
	u64 gpa;
};

struct rights {
	bool w, u, x;
	unsigned int key;
};

static u64 ld(u64 gpa, int size, bool *bad)
{
	u64 val = 0;

	if (gpa + size > MEM_SIZE)
		*bad = true;
	else
		memcpy(&val, mem + gpa, size);
	return val;
}

static struct ref ref_pf(const struct walk_mode *m, u32 acc, u32 why)
{
	struct ref r = { WALK_FAULT, why, 0 };

	if (acc & WALK_WRITE)
		r.code |= 2;
	if (acc & WALK_USER)
		r.code |= 4;
	if ((acc & WALK_FETCH) && (m->smep || (m->nx && m->levels >= 3)))
		r.code |= 16;
	return r;
}

static struct ref ref_rights(const struct walk_mode *m, const struct walk_regs *regs, u32 acc,
			     struct rights rt, u64 gpa)
{
	bool u = acc & WALK_USER, w = acc & WALK_WRITE, f = acc & WALK_FETCH;
	bool ok = true, pk = false;

	if (u) {
		if (!rt.u)
			ok = false;
		if (w && !rt.w)
			ok = false;
	} else {
		if (w && !rt.w && m->wp)
			ok = false;
		if (rt.u && f && m->smep)
			ok = false;
		if (rt.u && !f && m->smap) {
			if (acc & WALK_IMPLICIT)
				ok = false;
			else if (!regs->ac)
				ok = false;
		}
	}
	if (f && !rt.x)
		ok = false;
	if (m->levels >= 4 && m->pke && rt.u && !f) {
		bool ad = regs->pkru >> (rt.key * 2) & 1;
		bool wd = regs->pkru >> (rt.key * 2 + 1) & 1;

		if (ad || (w && wd && (u || m->wp)))
			pk = true;
	}
	if (!ok || pk)
		return ref_pf(m, acc, 1 | (pk ? 32 : 0));
	return (struct ref){ WALK_OK, 0, gpa };
}

static struct ref ref_32(const struct walk_mode *m, const struct walk_regs *regs, u32 va, u32 acc)
{
	struct rights rt = { true, true, true, 0 };
	bool bad = false;
	u64 pde, pte;

	pde = ld((regs->cr3 & 0xfffff000) + (va >> 22) * 4, 4, &bad);
	if (bad)
		return (struct ref){ WALK_MEMORY, 0, 0 };
	if (!(pde & 1))
		return ref_pf(m, acc, 0);
	rt.w = pde & 2;
	rt.u = pde & 4;
	if (m->pse && (pde & 0x80)) {
		u64 high = (pde >> 13) & 0xff;
		u64 gpa = (pde & 0xffc00000) | high << 32 | (va & 0x3fffff);

		if (pde & (1 << 21))
			return ref_pf(m, acc, 9);
		if (m->maxphyaddr < 40 && (high << 32) >> m->maxphyaddr)
			return ref_pf(m, acc, 9);
		return ref_rights(m, regs, acc, rt, gpa);
	}
	pte = ld((pde & 0xfffff000) + ((va >> 12) & 0x3ff) * 4, 4, &bad);
	if (bad)
		return (struct ref){ WALK_MEMORY, 0, 0 };
	if (!(pte & 1))
		return ref_pf(m, acc, 0);
	rt.w = rt.w && pte & 2;
	rt.u = rt.u && pte & 4;
	return ref_rights(m, regs, acc, rt, (pte & 0xfffff000) | (va & 0xfff));
}

static struct ref ref_64(const struct walk_mode *m, const struct walk_regs *regs, u64 va, u32 acc)
{
	static const int shift[] = { 0, 12, 21, 30, 39, 48 };
	struct rights rt = { true, true, true, 0 };
	u64 frame = 0xffffffffff000ull;
	u64 table, e;
	int level;

	if (m->levels == 3) {
		va &= 0xffffffff;
		e = regs->pdptrs[va >> 30];
		if (!(e & 1))
			return ref_pf(m, acc, 0);
		table = e & frame;
		level = 2;
	} else {
		table = regs->cr3 & frame & ((1ull << m->maxphyaddr) - 1);
		level = m->levels;
	}
	for (;; level--) {
		bool bad = false, maps;

		e = ld(table + ((va >> shift[level]) & 511) * 8, 8, &bad);
		if (bad)
			return (struct ref){ WALK_MEMORY, 0, 0 };
		if (!(e & 1))
			return ref_pf(m, acc, 0);
		if ((e & 0x000fffffffffffffull) >> m->maxphyaddr)
			return ref_pf(m, acc, 9);
		if (m->levels == 3 && (e >> 52 & 0x7ff))
			return ref_pf(m, acc, 9);
		if (!m->nx && e >> 63)
			return ref_pf(m, acc, 9);
		if ((e & 0x80) && (level >= 4 || (level == 3 && !m->gbpages)))
			return ref_pf(m, acc, 9);
		maps = level == 1 || e & 0x80;
		if (level > 1 && maps && (e & ((1ull << shift[level]) - 1)) >> 13)
			return ref_pf(m, acc, 9);
		if (!(e & 2))
			rt.w = false;
		if (!(e & 4))
			rt.u = false;
		if (e >> 63)
			rt.x = false;
		if (maps) {
			u64 low = (1ull << shift[level]) - 1;

			rt.key = e >> 59 & 15;
			return ref_rights(m, regs, acc, rt, (e & frame & ~low) | (va & low));
		}
		table = e & frame;
	}
}

/* ---- random worlds ---- */

static struct walk_mode random_mode(int levels)
{
	u64 r = rnd();

	return (struct walk_mode){
		.levels = levels, .maxphyaddr = 32 + (r >> 8) % 21,
		.wp = r & 1, .nx = r & 2, .smep = r & 4, .smap = r & 8,
		.pse = r & 16, .pke = r & 32, .gbpages = r & 64,
	};
}

/* Mostly sound entries, so that walks get to their end. */
static u64 random_entry(const struct walk_mode *m)
{
	u64 r = rnd();
	u64 e = (r & 0x1f000) | (r & 0x66) | (r % 16 ? 1 : 0);

	if (r >> 20 & 3)
		e |= 6;
	if (!(r >> 22 & 7))
		e = (e & ~0x1f000ull) | 0x80;
	if (!(r >> 25 & 15))
		e |= 1ull << (r >> 29 & 63);
	if (m->levels > 2 && !(r >> 35 & 7))
		e |= 1ull << 63;
	if (m->levels > 3)
		e |= (r >> 38 & 15) << 59;
	return e;
}

static void random_memory(const struct walk_mode *m)
{
	u64 e;
	u32 i;

	if (m->levels == 2) {
		for (i = 0; i < MEM_SIZE; i += 4) {
			e = random_entry(m);
			memcpy(mem + i, &e, 4);
		}
		return;
	}
	for (i = 0; i < MEM_SIZE; i += 8) {
		e = random_entry(m);
		memcpy(mem + i, &e, 8);
	}
}

/*
 * walk_leaf() with the upper entries of a walk that has come to level 1 gives what the walk gives.
 * Return: 1 if the walk has come there
 */
static unsigned int leaf_agrees(const struct walk_mode *m, const struct walk_regs *regs, u64 va,
				u32 acc)
{
	struct walk_result out = { 0 }, again = { 0 };
	struct walk_fault fault = { 0 }, other = { 0 };
	struct walk_path path = { 0 }, known;
	u64 entry = 0;
	int got;

	got = walk_noted(m, regs, &ops, NULL, va, acc, &path, &out, &fault);
	if (path.level != 1 || mem_read(NULL, path.at[1], 8, &entry))
		return 0;
	known = path;
	known.write = true;
	known.user = true;
	known.exec = true;
	known.key = ~0;
	known.entry[1] = ~0;
	for (int level = path.top; level > 1; level--) {
		known.write &= path.entry[level] >> 1 & 1;
		known.user &= path.entry[level] >> 2 & 1;
		known.exec &= !(path.entry[level] >> 63);
	}
	EXPECT_EQ(walk_leaf(m, regs, &ops, NULL, va, acc, entry, &known, &again, &other), got);
	EXPECT_EQ(other.error_code, fault.error_code);
	EXPECT_EQ(again.gpa, out.gpa);
	EXPECT_EQ(again.level, out.level);
	EXPECT_EQ(again.write, out.write);
	if (got == WALK_OK)
		EXPECT(!memcmp(&known, &path, sizeof(path)));
	return 1;
}

static void sweep(int levels)
{
	unsigned int verdicts[3] = { 0 }, leaves = 0;
	int round, i;

	for (round = 0; round < 60; round++) {
		struct walk_mode m = random_mode(levels);
		struct walk_regs regs = { .cr3 = rnd() & 0x1f000, .pkru = rnd(), .ac = rnd() & 1 };

		for (i = 0; i < 4; i++)
			regs.pdptrs[i] = (rnd() & 0x1f000) | (rnd() % 8 ? 1 : 0);
		random_memory(&m);
		for (i = 0; i < 5000; i++) {
			u32 acc = rnd() & (WALK_WRITE | WALK_USER | WALK_FETCH | WALK_IMPLICIT);
			u64 va = rnd();
			struct walk_result out = { 0 };
			struct walk_fault fault = { 0 };
			struct ref want;
			int got;

			if (acc & WALK_FETCH)
				acc &= ~WALK_WRITE;
			if (acc & WALK_USER)
				acc &= ~WALK_IMPLICIT;
			want = levels == 2 ? ref_32(&m, &regs, va, acc) :
					     ref_64(&m, &regs, va, acc);
			/* Without changing memory, so that every walk sees the same. */
			rom = true;
			got = walk(&m, &regs, &ops, NULL, va, acc, &out, &fault);
			if (levels > 3)
				leaves += leaf_agrees(&m, &regs, va, acc);
			rom = false;
			EXPECT_EQ(got, want.verdict);
			if (got == WALK_FAULT)
				EXPECT_EQ(fault.error_code, want.code);
			if (got == WALK_OK)
				EXPECT_EQ(out.gpa, want.gpa);
			verdicts[got]++;
		}
	}
	/* The sweep is worth something only if it meets both. */
	EXPECT(verdicts[WALK_OK] > 1000);
	EXPECT(verdicts[WALK_FAULT] > 1000);
	EXPECT(levels < 4 || leaves > 1000);
}

TEST(walk_sweep_32bit) { sweep(2); }
TEST(walk_sweep_pae) { sweep(3); }
TEST(walk_sweep_4level) { sweep(4); }
TEST(walk_sweep_5level) { sweep(5); }

/* ---- single rules ---- */

static void put(u64 gpa, u64 val)
{
	memcpy(mem + gpa, &val, 8);
}

static u64 get(u64 gpa)
{
	u64 val;

	memcpy(&val, mem + gpa, 8);
	return val;
}

static const struct walk_mode long_mode = {
	.levels = 4, .maxphyaddr = 46, .wp = true, .nx = true, .gbpages = true,
};

static const struct walk_regs zero_cr3;

/* One 4 KiB page at 0x400000 -> 0x1234000, tables at 0, 0x1000, 0x2000, 0x3000. */
static void plain_tables(u64 pte)
{
	memset(mem, 0, sizeof(mem));
	put(0, 0x1000 | 7);
	put(0x1000, 0x2000 | 7);
	put(0x2000 + 2 * 8, 0x3000 | 7);
	put(0x3000, pte);
}

static int plain(u32 acc, struct walk_result *out, struct walk_fault *fault)
{
	return walk(&long_mode, &zero_cr3, &ops, NULL, 0x400abc, acc, out, fault);
}

TEST(walk_paging_off)
{
	const struct walk_mode off = { .levels = 0 };
	struct walk_result out;
	struct walk_fault fault;

	EXPECT_EQ(walk(&off, &zero_cr3, &ops, NULL, 0x1fffff123ull, WALK_WRITE, &out, &fault), 0);
	EXPECT_EQ(out.gpa, 0xfffff123u);
}

TEST(walk_sets_accessed_and_dirty)
{
	struct walk_result out;
	struct walk_fault fault;

	plain_tables(0x1234000 | 7);
	EXPECT_EQ(plain(WALK_USER, &out, &fault), WALK_OK);
	EXPECT_EQ(out.gpa, 0x1234abcu);
	EXPECT_EQ(get(0), 0x1027u);
	EXPECT_EQ(get(0x3000), 0x1234027u);
	EXPECT_EQ(plain(WALK_WRITE, &out, &fault), WALK_OK);
	EXPECT_EQ(get(0x3000), 0x1234067u);
	EXPECT_EQ(get(0x2000 + 16), 0x3027u);
	/* Nothing left to set: nothing is written. */
	swaps = 0;
	EXPECT_EQ(plain(WALK_WRITE, &out, &fault), WALK_OK);
	EXPECT_EQ(swaps, 0u);
}

TEST(walk_denied_access_sets_nothing)
{
	struct walk_result out;
	struct walk_fault fault;

	plain_tables(0x1234000 | 5);
	EXPECT_EQ(plain(WALK_WRITE, &out, &fault), WALK_FAULT);
	EXPECT_EQ(fault.error_code, 3u);
	EXPECT_EQ(get(0x3000), 0x1234005u);
}

TEST(walk_entry_that_never_settles)
{
	struct walk_result out;
	struct walk_fault fault;

	plain_tables(0x1234000 | 7);
	race = true;
	reads = 0;
	EXPECT_EQ(plain(WALK_USER, &out, &fault), WALK_AGAIN);
	race = false;
	EXPECT_EQ(reads, 4u * WALK_TRIES);
}

/* The table that cannot be written is told, whatever level it is of, and what was wanted of it. */
TEST(walk_entry_that_cannot_be_marked)
{
	static const u64 entries[] = { 0x3000, 0x2000 + 16, 0x1000, 0 };
	struct walk_result out;
	struct walk_fault fault;
	struct walk_path path;
	int level;

	for (level = 1; level <= 4; level++) {
		plain_tables(0x1234000 | 7);
		sealed = entries[level - 1];
		EXPECT_EQ(walk_noted(&long_mode, &zero_cr3, &ops, NULL, 0x400abc, WALK_USER, &path,
				     &out, &fault), WALK_MEMORY);
		EXPECT_EQ(path.level, level);
		EXPECT_EQ(path.at[path.level], sealed);
		EXPECT(path.unmarked);
	}
	sealed = ~0ull;
	plain_tables(0x1234000 | 7);
	put(0x1000, MEM_SIZE | 7);
	EXPECT_EQ(walk_noted(&long_mode, &zero_cr3, &ops, NULL, 0x400abc, WALK_USER, &path, &out,
			     &fault), WALK_MEMORY);
	EXPECT_EQ(path.level, 2);
	EXPECT(!path.unmarked);
}

/* A table whose entries point to itself: the number of levels bounds the walk. */
TEST(walk_self_mapping)
{
	struct walk_mode m = long_mode;
	struct walk_result out;
	struct walk_fault fault;

	memset(mem, 0, sizeof(mem));
	put(511 * 8, 0 | 0x67);
	reads = 0;
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, ~0ull, WALK_WRITE, &out, &fault), WALK_OK);
	EXPECT_EQ(reads, 4u);
	EXPECT_EQ(out.gpa, 0xfffu);
	m.levels = 5;
	reads = 0;
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, ~0ull, 0, &out, &fault), WALK_OK);
	EXPECT_EQ(reads, 5u);
}

TEST(walk_gigabyte_page)
{
	struct walk_mode m = long_mode;
	struct walk_result out;
	struct walk_fault fault;

	memset(mem, 0, sizeof(mem));
	put(0, 0x1000 | 0x27);
	put(0x1008, 0x80000000 | 0xe7);
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, 0x5abcdef0, 0, &out, &fault), WALK_OK);
	EXPECT_EQ(out.gpa, 0x9abcdef0u);
	EXPECT_EQ(out.level, 3);
	m.gbpages = false;
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, 0x5abcdef0, 0, &out, &fault), WALK_FAULT);
	EXPECT_EQ(fault.error_code, 9u);
}

TEST(walk_pse36)
{
	struct walk_mode m = { .levels = 2, .maxphyaddr = 36, .pse = true };
	struct walk_result out;
	struct walk_fault fault;
	u32 pde = 0x00c00000 | 0xf << 13 | 0xe7;

	memset(mem, 0, sizeof(mem));
	memcpy(mem + 4, &pde, 4);
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, 0x412345, WALK_WRITE, &out, &fault), WALK_OK);
	EXPECT_EQ(out.gpa, 0xf00c12345ull);
	m.maxphyaddr = 35;
	EXPECT_EQ(walk(&m, &zero_cr3, &ops, NULL, 0x412345, 0, &out, &fault), WALK_FAULT);
	EXPECT_EQ(fault.error_code, 9u);
}

TEST(walk_protection_keys)
{
	struct walk_mode m = long_mode;
	struct walk_regs regs = { .pkru = 2u << (2 * 5) };
	struct walk_result out;
	struct walk_fault fault;

	m.pke = true;
	plain_tables(0x1234000 | 0x67 | 5ull << 59);
	EXPECT_EQ(walk(&m, &regs, &ops, NULL, 0x400000, WALK_USER, &out, &fault), WALK_OK);
	EXPECT_EQ(walk(&m, &regs, &ops, NULL, 0x400000, WALK_USER | WALK_WRITE, &out, &fault),
		  WALK_FAULT);
	EXPECT_EQ(fault.error_code, 0x27u);
	m.wp = false;
	EXPECT_EQ(walk(&m, &regs, &ops, NULL, 0x400000, WALK_WRITE, &out, &fault), WALK_OK);
	regs.pkru = 1u << (2 * 5);
	EXPECT_EQ(walk(&m, &regs, &ops, NULL, 0x400000, 0, &out, &fault), WALK_FAULT);
	EXPECT_EQ(walk(&m, &regs, &ops, NULL, 0x400000, WALK_USER | WALK_FETCH, &out, &fault),
		  WALK_OK);
}

TEST(walk_pdpte_reserved)
{
	EXPECT(walk_pdpte_ok(&long_mode, 0xfffffffffffffffeull));
	EXPECT(walk_pdpte_ok(&long_mode, 0x1001));
	EXPECT(walk_pdpte_ok(&long_mode, 0x1019));
	EXPECT(!walk_pdpte_ok(&long_mode, 0x1003));
	EXPECT(!walk_pdpte_ok(&long_mode, 0x1101));
	EXPECT(!walk_pdpte_ok(&long_mode, 1ull << 46 | 1));
}
