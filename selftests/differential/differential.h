/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The differential test: random vCPUs run short random programs on two devices
 * that speak KVM's interface, and all that userspace can see is compared.
 *
 * generate.c and code.c make a program out of a seed and its index, run.c runs
 * it on one device and records every exit, compare.c compares two records,
 * known.c names the differences that are meant. main.c is the command line.
 */
#ifndef OKVM_SELFTESTS_DIFFERENTIAL_H
#define OKVM_SELFTESTS_DIFFERENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/okvm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- random numbers that depend on nothing but their seed ---- */

struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);
struct rng rng_of(uint64_t a, uint64_t b);
/* 0 to @n - 1 */
unsigned int rng_below(struct rng *rng, unsigned int n);
bool rng_percent(struct rng *rng, unsigned int percent);
#define PICK(rng, list)	((list)[rng_below(rng, ARRAY_SIZE(list))])

/* ---- where things are in the guest's physical memory ---- */

#define PAGE		0x1000u
#define PAGES		20u
enum place {
	AT_IVT = 0, AT_GDT = 0x1000, AT_IDT = 0x2000, AT_TSS = 0x3000, AT_STACK = 0x4000,
	AT_CODE = 0x5000,		/* two pages */
	AT_HANDLERS = 0x7000, AT_PML4 = 0x8000, AT_PDPT = 0x9000, AT_PD = 0xa000, AT_PT = 0xb000,
	AT_DATA = 0xc000,		/* two pages */
	AT_ROM = 0xe000,		/* two pages, a read-only slot */
	AT_HOLE = 0x10000,		/* two pages, no slot: devices */
	AT_RAM2 = 0x12000,		/* two pages, a slot that comes and goes */
	AT_END = 0x14000
};

#define AT_TASK		(AT_TSS + 0x800)	/* the state of another task */

/* What gates lead to: OUT of the vector's number, HLT, IRET. */
#define HANDLER_BYTES	8
#define CODE_BYTES	(2 * PAGE)

/* ---- a program ---- */

enum mode {
	MODE_REAL, MODE_VM86, MODE_PROT16, MODE_PROT32, MODE_PAGED32, MODE_PAE, MODE_COMPAT,
	MODE_LONG64, MODES
};

extern const char *const mode_names[MODES];

/* How the modules are loaded, or what is made of it. */
struct how {
	bool prefix;			/* behind the prefix that asks for emulation, some of it */
	bool restricted;		/* without unrestricted guest */
};

struct program {
	uint64_t seed;
	unsigned int index;
	struct how how;
	enum mode mode;
	unsigned int cpl;
	bool user_msr;			/* KVM_CAP_X86_USER_SPACE_MSR */
	bool irqchip;
	bool tables_moved;		/* page tables in read-only memory or nowhere */
	unsigned int code_start, code_len;
	uint64_t answers;		/* seed of what userspace does */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_guest_debug guest_debug;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_fpu fpu;
	uint64_t xcr0;
	uint64_t msrs[8];		/* values for setup_msrs */
	uint8_t mem[AT_END];
};

extern const uint32_t setup_msrs[8];

void generate(struct program *p, uint64_t seed, unsigned int index, struct how how);
/* known.c: where @la is, as the page tables map it at the start. */
uint64_t guest_physical(const struct program *p, uint64_t la);
struct moment;
/* moment.c: the linear address of the stack's top. */
uint64_t stack_top(const struct moment *m);
/* code.c: fill in the instructions. */
void generate_code(struct program *p, struct rng *rng);
/* An address where something is, or where something ends. */
uint64_t some_address(struct rng *rng, enum mode mode);

/* ---- what happened ---- */

#define MAX_MOMENTS	24
#define MSRS		17
extern const uint32_t watched_msrs[MSRS];

/* All that userspace sees when KVM_RUN returns. */
struct moment {
	uint64_t error;			/* errno of KVM_RUN */
	uint64_t reason;		/* enum of KVM_EXIT_*, or ~0 if KVM_RUN failed */
	uint64_t exit[12];		/* fields of the exit, in the structure's order */
	uint8_t data[64];		/* of an access */
	uint64_t shared[5];		/* what struct kvm_run holds for every exit */
	uint64_t ioctls;		/* bit per state ioctl that failed since the last moment */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_xsave xsave;
	uint64_t xcr0;
	uint64_t msrs[MSRS];
	uint64_t pages[PAGES];		/* a hash of each, 0 if it is as it was at first */
	uint8_t *mem;			/* a copy, if asked for */
	bool timed_out;
	bool zapped;			/* a slot was deleted before */
	/* Not compared themselves: */
	unsigned int last_vector;	/* of the last exception */
	uint32_t fault_code;		/* and its error code */
	unsigned int nmis;		/* by KVM_NMI so far */
	unsigned int slots;		/* which slots are there, a bit for each */
	unsigned int nr;		/* which of the record's */
	uint32_t guest_debug;		/* KVM_GUESTDBG_* that KVM_RUN ran with */
	uint64_t flags_before;		/* RFLAGS that KVM_RUN began with */
	bool code_changed;		/* the instructions are not what they were at first */
	uint8_t frame[48];		/* what lies at the stack's top */
	uint64_t frame_rest;		/* the hash of its page without it */
};

struct record {
	unsigned int count;
	struct moment moments[MAX_MOMENTS];
};

/* ---- running ---- */

struct cpuid_table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[120];
};

struct device {
	const char *path;
	int fd;
	struct cpuid_table cpuid;
};

void device_open(struct device *dev, const char *path);
/* Both give their guests what both have, less what differs from run to run. */
void devices_agree(struct device *a, struct device *b);
/* No KVM_RUN takes more than @limit_us. */
void run_program(struct device *dev, const struct program *p, unsigned int limit_us,
		 struct record *rec, bool copy);
const char *exit_name(uint64_t reason);
#define REASON_NONE	~0ull

/* ---- comparing ---- */

struct difference {
	char field[40];
	uint64_t a, b;
};

/* A difference that is meant, and why. */
struct known {
	const char *field;		/* the name, or its beginning and a star */
	bool (*when)(const struct program *p, const struct moment *a, const struct moment *b,
		     const struct moment *before);
	bool ends;			/* what follows is its consequence */
	const char *why, *section;
};

const struct known *known_find(const struct program *p, const struct difference *d,
			       const struct moment *a, const struct moment *b,
			       const struct moment *before);
/* Rows by their number, NULL behind the last. */
const struct known *known_row(unsigned int nr);
unsigned int known_nr(const struct known *row);

enum verdict { SAME, KNOWN, DIFFERENT };

#define MAX_ROWS	192

/* What comparing two records gives. */
struct outcome {
	enum verdict verdict;
	bool met[MAX_ROWS];		/* which rows matched */
	const struct known *ended;	/* the row behind which nothing was compared */
};

struct outcome compare(const struct program *p, const struct record *a, const struct record *b,
		       bool tell);
void print_program(const struct program *p);
void print_record(const struct program *p, const struct record *rec);

#endif /* OKVM_SELFTESTS_DIFFERENTIAL_H */
