/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SPTE: an entry of a page table that hardware walks for the guest. Its bits, and pure functions
 * that make, change and inspect it.
 *
 * An entry has one of five forms:
 *   empty     0
 *   table     points to a table of the next lower level
 *   leaf      maps a page with the access rights in its permission bits
 *   aged leaf maps a page, but has no permission bits, so the next access faults; the
 *             rights are in SPTE_AGED_* (for CPUs without accessed bits)
 *   MMIO      no memory is there: an instruction that accesses the page is emulated; the entry
 *             contains the generation of the memory slots
 *
 * struct spte_fmt has the masks that differ between EPT and ordinary paging. Software bits are the
 * same in both formats: bits 11 and 57:52. Hardware ignores them (SDM "EPT Paging-Structure
 * Entries", "Paging-Structure Entries"), because okvm uses neither HLAT paging (bit 11) nor
 * guest-paging verification (bit 57 in EPT).
 */
#ifndef OKVM_MMU_SPTE_H
#define OKVM_MMU_SPTE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

#define SPTE_ADDR		GENMASK_ULL(51, 12)
#define SPTE_HUGE		BIT_ULL(7)	/* a leaf above level 1, in both formats */

/* Software bits, which hardware ignores. */
#define SPTE_VALID		BIT_ULL(11)	/* the entry is a table or a leaf */
#define SPTE_HOST_WRITE		BIT_ULL(52)	/* host mapping and slot allow writes */
#define SPTE_PAGE		BIT_ULL(53)	/* the frame has a struct page */
#define SPTE_AGED		BIT_ULL(54)	/* aged leaf: rights are in SPTE_AGED_* */
#define SPTE_AGED_WRITE		BIT_ULL(55)
#define SPTE_AGED_EXEC		BIT_ULL(56)
#define SPTE_GUEST_WRITE	BIT_ULL(57)	/* shadow paging: guest's tables allow writes */
/*
 * Only in an entry that points to a table: the table replaces a huge page from which the guest has
 * fetched code (see nx.c).
 */
#define SPTE_NX_SPLIT		SPTE_HOST_WRITE	/* the same bit: it is free in such entries */
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
 * MMIO entries have the same bits in all formats. In EPT, "writable but not readable" is a
 * misconfiguration at any level (SDM "EPT Misconfigurations"), and the exit provides the address.
 * In ordinary paging, bit 0 (P) is 0: the access causes a page fault, whose handler finds the
 * entry. Upstream marks MMIO entries of ordinary paging by reserved address bits, and makes none if
 * the CPU uses all 52 address bits.
 *
 * All frame bits of an MMIO entry are 1: no memory is at this address, so speculative accesses read
 * nothing (L1TF). The generation is in other bits. Shadow paging keeps the guest's frame and access
 * rights of an MMIO entry in table->what[].
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

/** enum spte_access - rights that an access needs and that an entry gives */
enum spte_access {
	SPTE_READ = 1,
	SPTE_WRITE = 2,
	SPTE_EXEC = 4,
	SPTE_USER = 8,		/* ordinary paging: access by CPL 3; not used with EPT */
};

/**
 * struct spte_fmt - bit masks of a paging-structure format
 * @read, @write: bits that allow reads and writes
 * @exec: bit that allows fetches; 0 if the format has @nx
 * @nx: bit that forbids fetches; 0 if the format has @exec
 * @user: bit that allows user-mode accesses; 0 if the format has none
 * @accessed, @dirty: accessed and dirty bits; 0 if the CPU does not maintain them
 * @wb, @uc: memory-type bits of a leaf that maps RAM (WB) and device memory (UC)
 */
struct spte_fmt {
	u64 read, write, exec, nx, user;
	u64 accessed, dirty;
	u64 wb, uc;
};

extern const struct spte_fmt spte_fmt_ept;	/* EPT entries with accessed and dirty bits */
extern const struct spte_fmt spte_fmt_ept_noad;
extern const struct spte_fmt spte_fmt_ept_pat;	/* EPT: the guest's PAT has effect */
extern const struct spte_fmt spte_fmt_ept_noad_pat;
extern const struct spte_fmt spte_fmt_pt;	/* not EPT: 4-level, 5-level or PAE paging */

/** spte_pages() - return how many 4 KiB frames an entry at @level covers; 1 is the lowest level */
static inline u64 spte_pages(int level)
{
	return 1ULL << (9 * (level - 1));
}

/** spte_index() - return the index of the entry for @gfn in a table at @level */
static inline unsigned int spte_index(u64 gfn, int level)
{
	return (gfn >> (9 * (level - 1))) & 511;
}

static inline bool spte_valid(u64 spte)
{
	return spte & SPTE_VALID;
}

/** spte_is_leaf() - return true if the entry, which is in a table at @level, maps a page */
static inline bool spte_is_leaf(u64 spte, int level)
{
	return spte_valid(spte) && (level == 1 || (spte & SPTE_HUGE));
}

/** spte_is_table() - return true if the entry, which is in a table at @level, points to a table */
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

/**
 * spte_mmio() - return an MMIO entry that contains the lowest 18 bits of @gen
 * @gen: generation of the memory slots, divided by two
 */
u64 spte_mmio(u64 gen);
/** spte_mmio_gen() - return the 18 bits of the generation that spte_mmio() has put into @spte */
u64 spte_mmio_gen(u64 spte);

/** spte_table() - return an entry that points to the table at host-physical @pa */
u64 spte_table(const struct spte_fmt *fmt, u64 pa);
/**
 * spte_pdpte() - return a PDPTE of a PAE root that points to the table at host-physical @pa
 *
 * Most other bits of a PDPTE are reserved. Bits 11:9 are ignored (SDM "Format of a PAE
 * Page-Directory-Pointer-Table Entry"), so SPTE_VALID (bit 11) may be set.
 */
u64 spte_pdpte(u64 pa);

/**
 * struct spte_leaf - parameters of spte_leaf()
 * @pfn: host frame, aligned to the level's size
 * @level: 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB)
 * @access: rights that the entry gives (enum spte_access)
 * @host_write: the host allows writes: sets SPTE_HOST_WRITE
 * @guest_write: the guest's tables allow writes: sets SPTE_GUEST_WRITE
 * @page: the frame is from get_user_pages()
 * @uncached: the frame is device memory
 * @dirty: the access that has faulted is a write: sets the dirty bit
 */
struct spte_leaf {
	u64 pfn;
	int level;
	u8 access;
	bool host_write, guest_write, page, uncached, dirty;
};

/** spte_leaf() - return a leaf entry with the properties in @leaf */
u64 spte_leaf(const struct spte_fmt *fmt, const struct spte_leaf *leaf);

/** spte_access() - return the rights that a leaf gives, or gave before it was aged */
u8 spte_access(const struct spte_fmt *fmt, u64 spte);

/** spte_allows() - return true if hardware allows an access that needs the rights @need */
bool spte_allows(const struct spte_fmt *fmt, u64 spte, u8 need);

/** spte_is_writable() - return true if a leaf allows writes, or did so before it was aged */
bool spte_is_writable(const struct spte_fmt *fmt, u64 spte);

/**
 * spte_write_protect() - return the leaf without the right to write. SPTE_HOST_WRITE is unchanged
 */
u64 spte_write_protect(const struct spte_fmt *fmt, u64 spte);

/** spte_make_writable() - return the leaf with the right to write. @spte has SPTE_HOST_WRITE set */
u64 spte_make_writable(const struct spte_fmt *fmt, u64 spte);

/** spte_was_accessed() - return true if the guest has accessed the page since spte_age() */
bool spte_was_accessed(const struct spte_fmt *fmt, u64 spte);

/** spte_age() - return the leaf with its accessed state cleared */
u64 spte_age(const struct spte_fmt *fmt, u64 spte);

/** spte_unage() - return the leaf with its accessed state set, so that hardware can use it */
u64 spte_unage(const struct spte_fmt *fmt, u64 spte);

/**
 * spte_split() - return entry @i of the table that replaces the huge leaf @spte at @level
 * @exec: make 4 KiB pages executable, even if the huge leaf is not executable
 */
u64 spte_split(const struct spte_fmt *fmt, u64 spte, int level, unsigned int i, bool exec);

#endif /* OKVM_MMU_SPTE_H */
