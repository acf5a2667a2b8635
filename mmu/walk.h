/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest page-table walker: pure, one loop for every paging mode.
 *
 * Upstream compiles a template header three times, once per entry size, and
 * keeps permission rules as a precomputed bitmap; here the modes are a table
 * of shifts and the rules are written as the manual has them.
 */
#ifndef OKVM_MMU_WALK_H
#define OKVM_MMU_WALK_H

#include <linux/types.h>

/**
 * struct walk_mode - how the guest translates, derived from CR0, CR4, EFER once per change
 * @levels: 0 paging off, 2 32-bit, 3 PAE, 4 or 5 long mode
 * @wp: CR0.WP; @nx: EFER.NXE
 * @smep, @smap, @pse, @pke: CR4 (pse is implied beyond 2 levels)
 * @gbpages: CPUID says 1 GiB pages
 * @maxphyaddr: guest's physical address width in bits, see walk_maxphyaddr()
 */
struct walk_mode {
	u8 levels;
	u8 maxphyaddr;
	bool wp, nx, smep, smap, pse, pke, gbpages;
};

/*
 * Widths that paging knows (SDM "Enumeration of Paging Features by CPUID"): entries have no more
 * bits of an address, and without PAE they have 32.
 */
#define WALK_MAXPHYADDR_MIN	32
#define WALK_MAXPHYADDR_MAX	52

/** walk_maxphyaddr() - struct walk_mode's, of what CPUID says, which may be anything */
static inline u8 walk_maxphyaddr(u8 bits)
{
	if (bits < WALK_MAXPHYADDR_MIN)
		return WALK_MAXPHYADDR_MIN;
	return bits > WALK_MAXPHYADDR_MAX ? WALK_MAXPHYADDR_MAX : bits;
}

/** struct walk_fault - the #PF that a failed walk means for the guest */
struct walk_fault {
	u32 error_code;		/* SDM "Page-Fault Exceptions" */
	bool again;		/* okvm_mmu_gva_to_gpa(): no #PF, the walk was given up */
};

/** struct walk_regs - what else a translation depends on, read when one is needed */
struct walk_regs {
	u64 cr3;
	u64 pdptrs[4];		/* PAE: the PDPTE registers */
	u32 pkru;
	bool ac;		/* EFLAGS.AC, for SMAP */
};

/** enum walk_access - what the access is: error-code bits, and one more */
enum walk_access {
	WALK_WRITE = 1 << 1,
	WALK_USER = 1 << 2,
	WALK_FETCH = 1 << 4,
	WALK_IMPLICIT = 1 << 16,	/* by the CPU itself (descriptor tables) */
};

/** enum walk_error - error-code bits (SDM "Page-Fault Exceptions") */
enum walk_error {
	WALK_ERR_PRESENT = 1 << 0,
	WALK_ERR_WRITE = 1 << 1,
	WALK_ERR_USER = 1 << 2,
	WALK_ERR_RSVD = 1 << 3,
	WALK_ERR_FETCH = 1 << 4,
	WALK_ERR_PK = 1 << 5,
};

/**
 * struct walk_ops - access to guest-physical memory
 * @read: an entry of @size (4 or 8) bytes. 0, or negative if there is no memory
 * @replace: compare and exchange: 0 exchanged; 1 differed; -EROFS if it is read-only memory, where
 *	accessed and dirty bits are not kept; other negative values: no memory
 */
struct walk_ops {
	int (*read)(void *ctx, u64 gpa, unsigned int size, u64 *val);
	int (*replace)(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new);
};

/**
 * struct walk_result - a translation
 * @gpa: guest-physical address of the byte asked for
 * @level: 1 4 KiB, 2 2 or 4 MiB, 3 1 GiB page; 0 with paging off
 * @write: whether all entries on the way allow it, CR0.WP and keys aside
 */
struct walk_result {
	u64 gpa;
	u8 level;
	bool write;
};

/** enum walk_verdict */
enum walk_verdict {
	WALK_OK = 0,
	WALK_FAULT,		/* the guest gets #PF: struct walk_fault */
	WALK_MEMORY,		/* a table is not in memory, which the error code cannot tell */
	WALK_AGAIN,		/* other CPUs change the tables all the time: no #PF */
};

/**
 * walk() - translate @gva, checking permissions and setting accessed and dirty bits
 * @access: enum walk_access
 *
 * At most WALK_TRIES times the number of levels of entries are read.
 */
enum walk_verdict walk(const struct walk_mode *mode, const struct walk_regs *regs,
		       const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
		       struct walk_result *result, struct walk_fault *fault);

#define WALK_LEVELS	5

/**
 * struct walk_path - one walk on its way: the entries used, and what they allow together
 * @at: guest-physical address of the entry, by level
 * @entry: what it held when it was used, accessed and dirty bits as the walk has left them
 * @top: first level with an entry in memory
 * @level: level of the entry that maps the page; after WALK_MEMORY, of the one that is in no memory
 * @unmarked: after WALK_MEMORY: that entry could be read, and not be written
 */
struct walk_path {
	u64 at[WALK_LEVELS + 1];
	u64 entry[WALK_LEVELS + 1];
	int top;
	int level;
	bool write, user, exec, unmarked;
	u64 key;
};

/** walk_noted() - walk(), and tell the way: @path is undefined with paging off */
enum walk_verdict walk_noted(const struct walk_mode *mode, const struct walk_regs *regs,
			     const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
			     struct walk_path *path, struct walk_result *result,
			     struct walk_fault *fault);

/** walk_entry_frame() - does @entry at @level map a page? Then @frame is its first frame */
bool walk_entry_frame(const struct walk_mode *mode, u64 entry, int level, u64 *frame);

/* Walks that are begun anew because an entry changed under the walker. */
#define WALK_TRIES	8

/** walk_pdpte_ok() - no reserved bit is set in a PDPTE (SDM "PDPTE Registers") */
bool walk_pdpte_ok(const struct walk_mode *mode, u64 pdpte);

#endif /* OKVM_MMU_WALK_H */
