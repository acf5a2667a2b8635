/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One entry of a page table that hardware walks for the guest: its bits, and
 * the pure functions that make, change and inspect it.
 *
 * An entry is one of five things:
 *   none      0
 *   table     points to the next lower table
 *   leaf      maps a page; hardware may use it as its permission bits say
 *   aged leaf maps a page, but hardware's permissions are put aside so that the
 *             next access is noticed (CPUs without accessed bits)
 *   MMIO      nothing is there and instructions have to be emulated; carries the
 *             memslot generation it was made in
 *
 * The masks that differ between EPT and ordinary paging structures are in a
 * struct spte_fmt, chosen per root. Software's bits are the same in both: bits
 * 11 and 52..57, which hardware ignores in either (SDM "EPT Paging-Structure
 * Entries", "Paging-Structure Entries").
 */
#ifndef OKVM_MMU_SPTE_H
#define OKVM_MMU_SPTE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

#define SPTE_ADDR		GENMASK_ULL(51, 12)
#define SPTE_HUGE		BIT_ULL(7)	/* a leaf above the lowest level, in both formats */

/* Software's bits. */
#define SPTE_VALID		BIT_ULL(11)	/* table or leaf: neither none nor MMIO */
#define SPTE_HOST_WRITE		BIT_ULL(52)	/* host mapping and slot allow writes */
#define SPTE_PAGE		BIT_ULL(53)	/* GUP gave the frame: it has a struct page */
#define SPTE_AGED		BIT_ULL(54)	/* permissions put aside, see the two below */
#define SPTE_AGED_WRITE		BIT_ULL(55)
#define SPTE_AGED_EXEC		BIT_ULL(56)
#define SPTE_GUEST_WRITE	BIT_ULL(57)	/* shadow paging: guest's tables allow writes */
/* Of entries that point to a table, which have no host's permissions. */
#define SPTE_NX_SPLIT		SPTE_HOST_WRITE	/* for a fetch, in place of a huge page */
#define SPTE_SOFT		(SPTE_VALID | SPTE_HOST_WRITE | SPTE_PAGE | SPTE_AGED |	\
				 SPTE_AGED_WRITE | SPTE_AGED_EXEC | SPTE_GUEST_WRITE)

/* EPT's bits (SDM "Format of an EPT Page-Table Entry that Maps a 4-KByte Page"). */
#define EPT_READ		BIT_ULL(0)
#define EPT_WRITE		BIT_ULL(1)
#define EPT_EXEC		BIT_ULL(2)
#define EPT_MEMTYPE_SHIFT	3
#define EPT_MEMTYPE		GENMASK_ULL(5, 3)
#define EPT_IGNORE_PAT		BIT_ULL(6)
#define EPT_ACCESSED		BIT_ULL(8)
#define EPT_DIRTY		BIT_ULL(9)

/* Bits of ordinary paging (SDM "Format of a Page-Table Entry that Maps a 4-KByte Page"). */
#define PT_PRESENT		BIT_ULL(0)
#define PT_WRITE		BIT_ULL(1)
#define PT_USER			BIT_ULL(2)
#define PT_WRITE_THROUGH	BIT_ULL(3)
#define PT_NO_CACHE		BIT_ULL(4)
#define PT_ACCESSED		BIT_ULL(5)
#define PT_DIRTY		BIT_ULL(6)
#define PT_NX			BIT_ULL(63)

/*
 * MMIO entries have the same bits in every format. In EPT "writable but not readable" is a
 * misconfiguration at any level (SDM "EPT Misconfigurations"), whose exit tells the address. In
 * ordinary paging structures bit 0 is "present": the access makes a #PF, whose handler finds the
 * entry. Upstream uses reserved address bits there, and remembers nothing where all 52 are in use.
 * All frame bits are set: an address above all memory, so that speculation through it finds nothing
 * (L1TF). The generation is split over what is left; the frame that a shadow entry translates to,
 * and the access that the guest allows, are kept beside the table.
 */
#define SPTE_MMIO_MARK		(EPT_WRITE | EPT_EXEC)
#define SPTE_MMIO_GEN_LO	GENMASK_ULL(10, 3)
#define SPTE_MMIO_GEN_HI	GENMASK_ULL(61, 52)
#define SPTE_MMIO_GEN_LO_BITS	8
#define SPTE_MMIO_GEN_BITS	18
#define SPTE_MMIO_GEN_MASK	(BIT_ULL(SPTE_MMIO_GEN_BITS) - 1)

static_assert(!(SPTE_SOFT & (SPTE_ADDR | SPTE_HUGE | EPT_READ | EPT_WRITE | EPT_EXEC |
			     EPT_MEMTYPE | EPT_IGNORE_PAT | EPT_ACCESSED | EPT_DIRTY)));
static_assert(!(SPTE_SOFT & (PT_PRESENT | PT_WRITE | PT_USER | PT_WRITE_THROUGH | PT_NO_CACHE |
			     PT_ACCESSED | PT_DIRTY | PT_NX)));
static_assert(!(SPTE_MMIO_MARK & PT_PRESENT));
static_assert(!(SPTE_MMIO_GEN_LO & (SPTE_VALID | 7)));
static_assert(!(SPTE_MMIO_GEN_HI & (SPTE_ADDR | BIT_ULL(63))));
static_assert(8 + 10 == SPTE_MMIO_GEN_BITS);

/** enum spte_access - what an access needs and an entry gives */
enum spte_access {
	SPTE_READ = 1,
	SPTE_WRITE = 2,
	SPTE_EXEC = 4,
	SPTE_USER = 8,		/* shadow paging: by CPL 3; EPT does not tell */
};

/**
 * struct spte_fmt - what differs between paging-structure formats
 * @read, @write: bits that give the permission
 * @exec: bit that gives execution; 0 where @nx takes it away instead
 * @nx: see @exec
 * @user: bit that lets CPL 3 in; 0 where every access may
 * @accessed, @dirty: 0 if the CPU does not maintain them
 * @wb, @uc: memory type of a leaf for RAM and for a device's memory
 */
struct spte_fmt {
	u64 read, write, exec, nx, user;
	u64 accessed, dirty;
	u64 wb, uc;
};

extern const struct spte_fmt spte_fmt_ept;	/* with accessed and dirty bits */
extern const struct spte_fmt spte_fmt_ept_noad;
extern const struct spte_fmt spte_fmt_pt;	/* ordinary paging: 4 and 5 levels, PAE */

/** spte_pages() - 4 KiB frames that an entry at @level (1 lowest) covers */
static inline u64 spte_pages(int level)
{
	return 1ULL << (9 * (level - 1));
}

/** spte_index() - the entry for @gfn in a table at @level */
static inline unsigned int spte_index(u64 gfn, int level)
{
	return (gfn >> (9 * (level - 1))) & 511;
}

static inline bool spte_valid(u64 spte)
{
	return spte & SPTE_VALID;
}

/** spte_is_leaf() - a valid entry at @level maps a page */
static inline bool spte_is_leaf(u64 spte, int level)
{
	return spte_valid(spte) && (level == 1 || (spte & SPTE_HUGE));
}

/** spte_is_table() - a valid entry at @level points to a table */
static inline bool spte_is_table(u64 spte, int level)
{
	return spte_valid(spte) && level > 1 && !(spte & SPTE_HUGE);
}

static inline u64 spte_pfn(u64 spte)
{
	return (spte & SPTE_ADDR) >> 12;
}

static inline bool spte_is_mmio(u64 spte)
{
	return (spte & (SPTE_VALID | 7)) == SPTE_MMIO_MARK;
}

/** spte_mmio() - an MMIO entry of slot generation @gen (its lowest 18 bits count) */
u64 spte_mmio(u64 gen);
/** spte_mmio_gen() - the generation of an MMIO entry, 18 bits */
u64 spte_mmio_gen(u64 spte);

/** spte_table() - an entry that points to the table at host-physical @pa */
u64 spte_table(const struct spte_fmt *fmt, u64 pa);
/**
 * spte_pdpte() - an entry of a PAE root, of which hardware checks that most bits are 0
 *
 * It has SPTE_VALID, as bits 11:9 are ignored (SDM "Format of a PAE
 * Page-Directory-Pointer-Table Entry").
 */
u64 spte_pdpte(u64 pa);

/**
 * struct spte_leaf - what a leaf is made of
 * @pfn: host frame, aligned to the level's size
 * @level: 1 4 KiB, 2 2 MiB, 3 1 GiB
 * @access: enum spte_access it gives now
 * @host_write: writes may be allowed later without asking the host again
 * @guest_write: nor the guest's tables
 * @page: GUP gave the frame
 * @uncached: a device's memory
 * @dirty: the access that asks for it is a write
 */
struct spte_leaf {
	u64 pfn;
	int level;
	u8 access;
	bool host_write, guest_write, page, uncached, dirty;
};

/** spte_leaf() - make a leaf entry */
u64 spte_leaf(const struct spte_fmt *fmt, const struct spte_leaf *leaf);

/** spte_access() - permissions of a valid leaf, those put aside included (enum spte_access) */
u8 spte_access(const struct spte_fmt *fmt, u64 spte);

/** spte_allows() - hardware would let an access with @need pass right now */
bool spte_allows(const struct spte_fmt *fmt, u64 spte, u8 need);

/** spte_is_writable() - hardware allows writes, or will when the entry stops being aged */
bool spte_is_writable(const struct spte_fmt *fmt, u64 spte);

/** spte_write_protect() - the leaf without write permission; SPTE_HOST_WRITE stays */
u64 spte_write_protect(const struct spte_fmt *fmt, u64 spte);

/** spte_make_writable() - the leaf with write permission; it must have SPTE_HOST_WRITE */
u64 spte_make_writable(const struct spte_fmt *fmt, u64 spte);

/** spte_was_accessed() - the leaf was used since spte_age() */
bool spte_was_accessed(const struct spte_fmt *fmt, u64 spte);

/** spte_age() - the leaf as not used since now */
u64 spte_age(const struct spte_fmt *fmt, u64 spte);

/** spte_unage() - an aged leaf, usable by hardware again */
u64 spte_unage(const struct spte_fmt *fmt, u64 spte);

/**
 * spte_split() - the entry number @i of the table that replaces the huge leaf @spte at @level
 * @exec: give execution to 4 KiB pages (huge ones may have been denied it)
 */
u64 spte_split(const struct spte_fmt *fmt, u64 spte, int level, unsigned int i, bool exec);

#endif /* OKVM_MMU_SPTE_H */
