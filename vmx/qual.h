/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exit qualifications: what a VM exit says of its reason beyond the reason's number, for the
 * reasons that okvm handles. One structure and one decoder for each, after the tables of the SDM's
 * chapter "VM Exits", "Basic VM-Exit Information". Bits that no handler needs have no field.
 *
 * Pure; the decoders are inlined, so that a handler that asks for one bit tests one bit.
 */
#ifndef OKVM_VMX_QUAL_H
#define OKVM_VMX_QUAL_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>

/** struct qual_io - SDM "Exit Qualification for I/O Instructions" */
struct qual_io {
	u16 port;
	u8 size;		/* of one item: 1, 2 or 4 bytes */
	bool in;		/* IN or INS, else OUT or OUTS */
	bool string;		/* INS or OUTS */
};

static __always_inline struct qual_io qual_io(unsigned long qual)
{
	return (struct qual_io) {
		.size = (qual & 7) + 1,
		.in = qual & BIT(3),
		.string = qual & BIT(4),
		.port = qual >> 16,
	};
}

enum qual_cr_type { QUAL_CR_TO, QUAL_CR_FROM, QUAL_CR_CLTS, QUAL_CR_LMSW };

/** struct qual_cr - SDM "Exit Qualification for Control-Register Accesses" */
struct qual_cr {
	unsigned int cr;	/* number of the control register, 0 for CLTS and LMSW */
	enum qual_cr_type type;
	unsigned int reg;	/* general register that is moved, in machine encoding */
	u16 msw;		/* LMSW: its operand */
};

static __always_inline struct qual_cr qual_cr(unsigned long qual)
{
	return (struct qual_cr) {
		.cr = qual & 15,
		.type = (qual >> 4) & 3,
		.reg = (qual >> 8) & 15,
		.msw = qual >> 16,
	};
}

/** struct qual_dr - SDM "Exit Qualification for MOV DR" */
struct qual_dr {
	unsigned int dr;	/* number of the debug register */
	bool from;		/* MOV from the debug register, else to it */
	unsigned int reg;	/* general register, in machine encoding */
};

static __always_inline struct qual_dr qual_dr(unsigned long qual)
{
	return (struct qual_dr) {
		.dr = qual & 7,
		.from = qual & BIT(4),
		.reg = (qual >> 8) & 15,
	};
}

/**
 * struct qual_debug - SDM "Exit Qualification for Debug Exceptions"
 *
 * Each bit is at its place in DR6, which has not changed yet.
 */
struct qual_debug {
	unsigned long set;	/* B0-B3, BD, BS: 1 here and in DR6 */
	unsigned long inverted;	/* BLD, RTM: 1 here is 0 in DR6 */
};

static __always_inline struct qual_debug qual_debug(unsigned long qual)
{
	return (struct qual_debug) {
		.set = qual & (GENMASK(3, 0) | BIT(13) | BIT(14)),
		.inverted = qual & (BIT(11) | BIT(16)),
	};
}

enum qual_task_source { QUAL_TASK_CALL, QUAL_TASK_IRET, QUAL_TASK_JMP, QUAL_TASK_GATE };

/** struct qual_task - SDM "Exit Qualification for Task Switches" */
struct qual_task {
	u16 selector;		/* of the new task's TSS */
	enum qual_task_source source;
};

static __always_inline struct qual_task qual_task(unsigned long qual)
{
	return (struct qual_task) {
		.selector = qual,
		.source = (qual >> 30) & 3,
	};
}

/** struct qual_ept - SDM "Exit Qualification for EPT Violations" */
struct qual_ept {
	bool write;		/* data write, or the CPU set an accessed or dirty bit */
	bool fetch;
	bool mapped;		/* the EPT entry allows something: read, write or execute */
	bool linear;		/* a linear address was being accessed */
	bool translated;	/* ... and its translation was found: it is no page walk */
	bool nmi_unblocked;	/* an IRET that faulted has unblocked NMIs before */
};

static __always_inline struct qual_ept qual_ept(unsigned long qual)
{
	return (struct qual_ept) {
		.write = qual & BIT(1),
		.fetch = qual & BIT(2),
		.mapped = qual & GENMASK(5, 3),
		.linear = qual & BIT(7),
		.translated = qual & BIT(8),
		.nmi_unblocked = qual & BIT(12),
	};
}

/* Types of linear accesses; fetches, deliveries of events and guest-physical accesses are others. */
enum { QUAL_APIC_READ, QUAL_APIC_WRITE };

/** struct qual_apic - SDM "Exit Qualification for APIC-Access VM Exits from Linear Accesses" */
struct qual_apic {
	u16 offset;		/* into the page */
	unsigned int type;	/* QUAL_APIC_* */
};

static __always_inline struct qual_apic qual_apic(unsigned long qual)
{
	return (struct qual_apic) {
		.offset = qual & 0xfff,
		.type = (qual >> 12) & 15,
	};
}

/** qual_apic_write() - SDM "APIC-Write VM Exits": offset of the register in the APIC's page */
static __always_inline u16 qual_apic_write(unsigned long qual)
{
	return qual & 0xff0;
}

/** qual_eoi() - SDM "Virtualized EOI": the vector whose EOI exits */
static __always_inline u8 qual_eoi(unsigned long qual)
{
	return qual;
}

#endif /* OKVM_VMX_QUAL_H */
