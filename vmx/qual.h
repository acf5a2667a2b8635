/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exit qualifications: what a VM exit says of its reason beyond the reason's number, for the
 * reasons that okvm handles, after the tables of the SDM's chapter "VM Exits", "Basic VM-Exit
 * Information". Each has one type, whose bit-fields are the table's rows; bits that no handler
 * needs have no name. A handler writes
 *
 *	const union qual_io q = { vmx_qual(hw) };
 *
 * and tests q.in: that costs one test of a bit. Pure.
 */
#ifndef OKVM_VMX_QUAL_H
#define OKVM_VMX_QUAL_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

/** union qual_io - SDM "Exit Qualification for I/O Instructions" */
union qual_io {
	unsigned long raw;
	struct {
		unsigned long size_less_1	: 3;	/* of one item, in bytes */
		unsigned long in		: 1;	/* IN or INS, else OUT or OUTS */
		unsigned long string		: 1;	/* INS or OUTS */
		unsigned long			: 11;
		unsigned long port		: 16;
	};
};

static inline unsigned int qual_io_size(union qual_io q)
{
	return q.size_less_1 + 1;
}

enum qual_cr_type { QUAL_CR_TO, QUAL_CR_FROM, QUAL_CR_CLTS, QUAL_CR_LMSW };

/** union qual_cr - SDM "Exit Qualification for Control-Register Accesses" */
union qual_cr {
	unsigned long raw;
	struct {
		unsigned long cr		: 4;	/* number; 0 for CLTS and LMSW */
		unsigned long type		: 2;	/* enum qual_cr_type */
		unsigned long			: 2;
		unsigned long reg		: 4;	/* general register, as encoded */
		unsigned long			: 4;
		unsigned long msw		: 16;	/* the operand of LMSW */
	};
};

/** union qual_dr - SDM "Exit Qualification for MOV DR" */
union qual_dr {
	unsigned long raw;
	struct {
		unsigned long dr		: 3;
		unsigned long			: 1;
		unsigned long from		: 1;	/* MOV from DR, else to it */
		unsigned long			: 3;
		unsigned long reg		: 4;	/* general register, as encoded */
	};
};

/*
 * SDM "Exit Qualification for Debug Exceptions": the bits of DR6 that the exception would change,
 * at their places there. B0-B3, BD and BS are set in DR6; BLD and RTM are cleared.
 */
#define QUAL_DEBUG_SET		(GENMASK(3, 0) | BIT(13) | BIT(14))
#define QUAL_DEBUG_CLEARED	(BIT(11) | BIT(16))

enum qual_task_source { QUAL_TASK_CALL, QUAL_TASK_IRET, QUAL_TASK_JMP, QUAL_TASK_GATE };

/** union qual_task - SDM "Exit Qualification for Task Switches" */
union qual_task {
	unsigned long raw;
	struct {
		unsigned long selector		: 16;	/* of the new task's TSS */
		unsigned long			: 14;
		unsigned long source		: 2;	/* enum qual_task_source */
	};
};

/** union qual_ept - SDM "Exit Qualification for EPT Violations" */
union qual_ept {
	unsigned long raw;
	struct {
		unsigned long			: 1;
		unsigned long write		: 1;	/* also of accessed and dirty bits */
		unsigned long fetch		: 1;
		unsigned long permissions	: 3;	/* what EPT allows: R, W, X */
		unsigned long			: 1;
		unsigned long linear		: 1;	/* a linear address was accessed */
		unsigned long translated	: 1;	/* ... it is no page walk */
		unsigned long			: 3;
		unsigned long nmi_unblocked	: 1;	/* by an IRET that has faulted */
	};
};

/* Types of accesses that an instruction's operand makes; there are more. */
enum qual_apic_type { QUAL_APIC_READ, QUAL_APIC_WRITE };

/** union qual_apic - SDM "Exit Qualification for APIC-Access VM Exits from Linear Accesses" */
union qual_apic {
	unsigned long raw;
	struct {
		unsigned long offset		: 12;	/* into the page */
		unsigned long type		: 4;	/* enum qual_apic_type and more */
	};
};

static_assert(sizeof(union qual_io) == sizeof(long) && sizeof(union qual_cr) == sizeof(long));
static_assert(sizeof(union qual_dr) == sizeof(long) && sizeof(union qual_task) == sizeof(long));
static_assert(sizeof(union qual_ept) == sizeof(long) && sizeof(union qual_apic) == sizeof(long));

/** qual_apic_write() - SDM "APIC-Write VM Exits": offset of the register in the APIC's page */
static inline unsigned int qual_apic_write(unsigned long qual)
{
	return qual & 0xff0;
}

/** qual_eoi() - SDM "Virtualized EOI": the vector whose EOI exits */
static inline unsigned int qual_eoi(unsigned long qual)
{
	return qual & 0xff;
}

#endif /* OKVM_VMX_QUAL_H */
