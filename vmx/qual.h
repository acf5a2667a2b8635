/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types for exit qualifications, which give details of a VM exit (SDM "Basic VM-Exit Information").
 * If the SDM describes a qualification by a table, a union has a bit-field for each row. Bits
 * that no handler needs have no name. A handler writes
 *
 *	const union qual_io q = { vmx_qual(hw) };
 *
 * and tests q.in, which the compiler turns into the test of one bit.
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
		unsigned long size_less_1	: 3;	/* size of one item in bytes, minus 1 */
		unsigned long in		: 1;	/* 1: IN or INS, 0: OUT or OUTS */
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
		unsigned long cr		: 4;	/* CR number; 0 for CLTS and LMSW */
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
		unsigned long from		: 1;	/* 1: MOV from DR, 0: MOV to DR */
		unsigned long			: 3;
		unsigned long reg		: 4;	/* general register, as encoded */
	};
};

/*
 * SDM "Exit Qualification for Debug Exceptions". Each bit has the position of the DR6 bit that the
 * exception changes: the exception sets B0-B3, BD and BS in DR6, and clears BLD and RTM.
 */
#define QUAL_DEBUG_SET		(GENMASK(3, 0) | BIT(13) | BIT(14))
#define QUAL_DEBUG_CLEARED	(BIT(11) | BIT(16))

enum qual_task_source { QUAL_TASK_CALL, QUAL_TASK_IRET, QUAL_TASK_JMP, QUAL_TASK_GATE };

/** union qual_task - SDM "Exit Qualification for Task Switches" */
union qual_task {
	unsigned long raw;
	struct {
		unsigned long selector		: 16;	/* selector of the new task's TSS */
		unsigned long			: 14;
		unsigned long source		: 2;	/* enum qual_task_source */
	};
};

/** union qual_ept - SDM "Exit Qualification for EPT Violations" */
union qual_ept {
	unsigned long raw;
	struct {
		unsigned long			: 1;
		unsigned long write		: 1;	/* includes setting A or D bits */
		unsigned long fetch		: 1;
		unsigned long permissions	: 3;	/* R, W, X: AND of all EPT entries used */
		unsigned long			: 1;
		unsigned long linear		: 1;	/* the linear address is valid */
		unsigned long translated	: 1;	/* 0: access by the page walk */
		unsigned long			: 3;
		unsigned long nmi_unblocked	: 1;	/* IRET unblocked NMIs and faulted */
	};
};

/* The APIC-access types of an instruction's linear data accesses. Other types have no name here. */
enum qual_apic_type { QUAL_APIC_READ, QUAL_APIC_WRITE };

/** union qual_apic - SDM "Exit Qualification for APIC-Access VM Exits from Linear Accesses" */
union qual_apic {
	unsigned long raw;
	struct {
		unsigned long offset		: 12;	/* offset in the APIC-access page */
		unsigned long type		: 4;	/* enum qual_apic_type, or others */
	};
};

static_assert(sizeof(union qual_io) == sizeof(long) && sizeof(union qual_cr) == sizeof(long));
static_assert(sizeof(union qual_dr) == sizeof(long) && sizeof(union qual_task) == sizeof(long));
static_assert(sizeof(union qual_ept) == sizeof(long) && sizeof(union qual_apic) == sizeof(long));

/** qual_apic_write() - return the offset of the written register (SDM "APIC-Write VM Exits") */
static inline unsigned int qual_apic_write(unsigned long qual)
{
	return qual & 0xff0;
}

/** qual_eoi() - return the vector of the EOI that caused the exit (SDM "Virtualized EOI") */
static inline unsigned int qual_eoi(unsigned long qual)
{
	return qual & 0xff;
}

#endif /* OKVM_VMX_QUAL_H */
