/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walker of the guest's page tables: pure, one loop for all paging modes.
 *
 * Upstream compiles a template header three times, once for each format, and precomputes the access
 * rules as a bitmap. okvm's walker computes shifts and masks from the mode, and its access rules
 * follow the text of the SDM.
 */
#ifndef OKVM_MMU_WALK_H
#define OKVM_MMU_WALK_H

#include <linux/types.h>

/**
 * struct walk_mode - the guest's paging mode, computed when CR0, CR4, EFER or MAXPHYADDR changes
 * @levels: 0 if paging is off, 2 for 32-bit paging, 3 for PAE paging, 4 or 5 in long mode
 * @wp, @nx: CR0.WP, EFER.NXE
 * @smep, @smap, @pse, @pke: bits of CR4; @pse is used if @levels is 2 only
 * @gbpages: the guest's CPUID reports 1 GiB pages
 * @maxphyaddr: the guest's physical-address width in bits, see walk_maxphyaddr()
 */
struct walk_mode {
	u8 levels;
	u8 maxphyaddr;
	bool wp, nx, smep, smap, pse, pke, gbpages;
};

/*
 * Limits of MAXPHYADDR (SDM "Enumeration of Paging Features by CPUID"). Page-table entries have
 * address bits up to bit 51.
 */
#define WALK_MAXPHYADDR_MIN	32
#define WALK_MAXPHYADDR_MAX	52

/** walk_maxphyaddr() - clamp the width that the guest's CPUID reports to the limits of paging */
static inline u8 walk_maxphyaddr(u8 bits)
{
	if (bits < WALK_MAXPHYADDR_MIN)
		return WALK_MAXPHYADDR_MIN;
	return bits > WALK_MAXPHYADDR_MAX ? WALK_MAXPHYADDR_MAX : bits;
}

/** struct walk_fault - output of a failed walk: the guest's #PF, unless the walk was given up */
struct walk_fault {
	u32 error_code;		/* SDM "Page-Fault Exceptions" */
	bool gave_up;		/* okvm_mmu_gva_to_gpa() gave up the walk: no #PF */
};

/** struct walk_regs - registers, besides the paging mode, that a walk depends on */
struct walk_regs {
	u64 cr3;
	u64 pdptrs[4];		/* PAE: the PDPTE registers */
	u32 pkru;
	bool ac;		/* EFLAGS.AC, for SMAP */
};

/** enum walk_access - kind of the access: bits of the #PF error code, and WALK_IMPLICIT */
enum walk_access {
	WALK_WRITE = 1 << 1,
	WALK_USER = 1 << 2,
	WALK_FETCH = 1 << 4,
	WALK_IMPLICIT = 1 << 16,	/* implicit supervisor access (descriptor tables) */
};

/** enum walk_error - bits of the #PF error code (SDM "Page-Fault Exceptions") */
enum walk_error {
	WALK_ERR_PRESENT = 1 << 0,
	WALK_ERR_WRITE = 1 << 1,
	WALK_ERR_USER = 1 << 2,
	WALK_ERR_RSVD = 1 << 3,
	WALK_ERR_FETCH = 1 << 4,
	WALK_ERR_PK = 1 << 5,
};

/**
 * struct walk_ops - how the walker accesses page-table entries in guest-physical memory
 * @read: read an entry of @size (4 or 8) bytes. Return: 0; -EINTR to give up the walk
 *	(WALK_AGAIN); other negative values if there is no memory
 * @replace: compare and exchange an entry. Return: 0 if exchanged; 1 if the entry was not @old;
 *	-EROFS in read-only memory (the walk goes on without setting accessed and dirty bits);
 *	-EINTR to give up the walk; other negative values if the entry cannot be written
 */
struct walk_ops {
	int (*read)(void *ctx, u64 gpa, unsigned int size, u64 *val);
	int (*replace)(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new);
};

/**
 * struct walk_result - result of a successful walk
 * @gpa: guest-physical address of the byte at the linear address
 * @level: 1 for a page of 4 KiB, 2 for 2 or 4 MiB, 3 for 1 GiB; 0 with paging off
 * @write: R/W is 1 in all entries; CR0.WP and protection keys are not considered
 */
struct walk_result {
	u64 gpa;
	u8 level;
	bool write;
};

/** enum walk_verdict - how a walk has ended */
enum walk_verdict {
	WALK_OK = 0,
	WALK_FAULT,		/* the access is denied: #PF with walk_fault.error_code */
	WALK_MEMORY,		/* no memory at a table's address, or an entry cannot be written */
	WALK_AGAIN,		/* given up: -EINTR, or other CPUs change the tables: no #PF */
};

/**
 * walk() - translate @gva, checking permissions and setting accessed and dirty bits
 * @access: enum walk_access
 *
 * If other CPUs change entries during the walk, the function walks again, up to WALK_TRIES times in
 * total.
 */
enum walk_verdict walk(const struct walk_mode *mode, const struct walk_regs *regs,
		       const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
		       struct walk_result *result, struct walk_fault *fault);

#define WALK_LEVELS	5

/**
 * struct walk_path - the page-table entries that a walk has used
 * @at: by level, the guest-physical address of the entry
 * @entry: by level, the value of the entry, with the accessed and dirty bits that the walk has set
 * @top: highest level with an entry in memory; 2 for PAE paging, whose PDPTEs are in registers
 * @level: level of the entry that maps the page; after WALK_MEMORY, of the inaccessible entry
 * @write, @user, @exec: what all entries together allow
 * @unmarked: after WALK_MEMORY: the entry could be read but not be written
 * @key: protection key of the page
 */
struct walk_path {
	u64 at[WALK_LEVELS + 1];
	u64 entry[WALK_LEVELS + 1];
	int top;
	int level;
	bool write, user, exec, unmarked;
	u64 key;
};

/** walk_noted() - walk like walk(); with paging on, also store the entries of the walk in @path */
enum walk_verdict walk_noted(const struct walk_mode *mode, const struct walk_regs *regs,
			     const struct walk_ops *ops, void *ctx, u64 gva, u32 access,
			     struct walk_path *path, struct walk_result *result,
			     struct walk_fault *fault);

/**
 * walk_leaf() - finish a walk of which the caller has read all entries
 * @entry: value of the entry at level 1
 * @path: input: top; unmarked (false); at[] for all levels; entry[] above level 1; in write, user
 *	and exec, what the entries above level 1 allow. Output: all members
 *
 * Checks the access, and sets accessed and dirty bits. If another CPU has changed an entry since it
 * was read, the function does not repeat the walk but returns WALK_AGAIN. Return: enum walk_verdict
 */
enum walk_verdict walk_leaf(const struct walk_mode *mode, const struct walk_regs *regs,
			    const struct walk_ops *ops, void *ctx, u64 gva, u32 access, u64 entry,
			    struct walk_path *path, struct walk_result *result,
			    struct walk_fault *fault);

/** walk_entry_frame() - get the first frame of the page that @entry maps. Return: false if none */
bool walk_entry_frame(const struct walk_mode *mode, u64 entry, int level, u64 *frame);

/* How often a walk is tried, at most, if entries change while it sets accessed and dirty bits. */
#define WALK_TRIES	8

/**
 * walk_pdpte_ok() - return false if @pdpte is present and has a reserved bit set
 *
 * Source: SDM "PDPTE Registers".
 */
bool walk_pdpte_ok(const struct walk_mode *mode, u64 pdpte);

#endif /* OKVM_MMU_WALK_H */
