/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data for the tests of the rules of VMRUN: guests that can be entered, and for each rule changes
 * that break only this rule. Used by selftests/host without hardware and by entry_kunit.c with it.
 */
#ifndef OKVM_SVM_ENTRY_KUNIT_H
#define OKVM_SVM_ENTRY_KUNIT_H

#include <linux/bits.h>
#include <linux/kernel.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm/entry_check.h"

/** enum svm_entry_kind - kinds of guests that can be entered; each case changes one of them */
enum svm_entry_kind {
	SVM_ENTRY_LONG,		/* 64-bit code */
	SVM_ENTRY_COMPAT,	/* 32-bit code in long mode */
	SVM_ENTRY_PAE,		/* 32-bit code with PAE paging */
	SVM_ENTRY_LEGACY,	/* 32-bit code with 32-bit paging */
	SVM_ENTRY_PAGED_REAL,	/* real mode with paging, which only VMRUN can enter */
	SVM_ENTRY_REAL,
	SVM_NR_ENTRY_KINDS,
};

/* An accessed readable code segment; bits G, D, L (APM "Segment State in the VMCB"). */
#define CASE_CODE	0x9b
#define CASE_L		BIT(9)
#define CASE_D		BIT(10)
#define CASE_G		BIT(11)
#define CASE_INTR	BIT_ULL(0)
#define CASE_NMI	BIT_ULL(1)
#define CASE_SMI	BIT_ULL(2)
#define CASE_INIT	BIT_ULL(3)
#define CASE_SHUTDOWN	BIT_ULL(31)
#define CASE_VMRUN	BIT_ULL(32)
#define CASE_V_MASKING	BIT(24)
#define CASE_V_NMI	BIT(26)
#define CASE_EVENT(type, vector)	(BIT_ULL(31) | (type) << 8 | (vector))

static inline void svm_entry_base_mode(struct svm_entry *e, enum svm_entry_kind kind)
{
	bool is_long = kind == SVM_ENTRY_LONG || kind == SVM_ENTRY_COMPAT;
	u64 *f = e->f;

	f[SVM_F_CS_ATTRIB] = CASE_CODE;
	if (kind == SVM_ENTRY_LONG)
		f[SVM_F_CS_ATTRIB] |= CASE_G | CASE_L;
	else if (kind < SVM_ENTRY_PAGED_REAL)
		f[SVM_F_CS_ATTRIB] |= CASE_G | CASE_D;
	f[SVM_F_EFER] = EFER_SVME | (is_long ? EFER_LME | EFER_LMA : 0);
	f[SVM_F_CR0] = X86_CR0_ET | X86_CR0_NE;
	if (kind != SVM_ENTRY_REAL)
		f[SVM_F_CR0] |= X86_CR0_PG;
	if (kind < SVM_ENTRY_PAGED_REAL)
		f[SVM_F_CR0] |= X86_CR0_PE | X86_CR0_WP;
	f[SVM_F_CR4] = is_long || kind == SVM_ENTRY_PAE ? X86_CR4_PAE : 0;
}

/**
 * svm_entry_base() - set the fields of @e to a guest of @kind that can be entered
 * @page: physical address of a page of zeros, which is all the guest has
 */
static inline void svm_entry_base(struct svm_entry *e, u64 page, enum svm_entry_kind kind)
{
	u64 *f = e->f;

	f[SVM_F_INTERCEPTS] = CASE_INTR | CASE_NMI | CASE_SMI | CASE_INIT | CASE_SHUTDOWN |
			      CASE_VMRUN;
	f[SVM_F_IOPM_BASE_PA] = page;
	f[SVM_F_MSRPM_BASE_PA] = page;
	f[SVM_F_GUEST_ASID] = 1;
	f[SVM_F_INT_CTL] = CASE_V_MASKING | (e->vnmi ? CASE_V_NMI : 0);
	f[SVM_F_NP_ENABLE] = 1;
	f[SVM_F_EVENTINJ] = 0;
	f[SVM_F_N_CR3] = page;
	f[SVM_F_CR3] = page;
	f[SVM_F_DR7] = 0x400;
	f[SVM_F_DR6] = 0xffff0ff0;
	f[SVM_F_G_PAT] = 0x0007040600070406ull;
	svm_entry_base_mode(e, kind);
}

/**
 * struct svm_entry_case - a change of a guest that breaks only one rule
 * @rule: name of the rule; NULL: the guest can still be entered
 * @field: enum svm_entry_field: the field to change
 * @at_end: after @clear and @set, add 1 << MAXPHYADDR (the end of physical memory) to the field
 * @clear, @set: bits to clear and to set in the field
 * @said: part of the message in the log of Bochs; NULL: Bochs does not refuse the guest
 */
struct svm_entry_case {
	const char *rule;
	u8 kind;		/* enum svm_entry_kind */
	u8 field;
	bool at_end;
	u64 clear, set;
	const char *said;
};

static inline void svm_entry_apply(struct svm_entry *e, const struct svm_entry_case *c)
{
	u64 *f = &e->f[c->field];

	*f = (*f & ~c->clear) | c->set;
	if (c->at_end)
		*f += 1ull << e->phys_bits;
}

#define CASE(rule, kind, field, clear, set, said) \
	{ rule, SVM_ENTRY_##kind, SVM_F_##field, false, clear, set, said }
#define CASE_AT_END(rule, kind, field, offset, said) \
	{ rule, SVM_ENTRY_##kind, SVM_F_##field, true, ~0ull, offset, said }

static const struct svm_entry_case svm_entry_cases[] = {
	CASE("efer-svme", LONG, EFER, EFER_SVME, 0, "Guest EFER.SVME = 0"),
	CASE("efer-svme", REAL, EFER, EFER_SVME, 0, "Guest EFER.SVME = 0"),
	CASE("efer-reserved", LONG, EFER, 0, 1u << 9, "Guest EFER reserved bits set"),
	CASE("efer-reserved", REAL, EFER, 0, 1u << 1, "Guest EFER reserved bits set"),
	CASE("efer-reserved", PAE, EFER, 0, 1ull << 32, "Guest EFER[63:32] is not zero"),
	CASE("efer-reserved", PAE, EFER, 0, 1ull << 63, "Guest EFER[63:32] is not zero"),
	CASE("cr0-nw", LONG, CR0, 0, X86_CR0_NW, "VMRUN CR0 is broken"),
	CASE("cr0-nw", REAL, CR0, 0, X86_CR0_NW, "VMRUN CR0 is broken"),
	CASE(NULL, LONG, CR0, 0, X86_CR0_NW | X86_CR0_CD, NULL),
	CASE(NULL, LONG, CR0, 0, X86_CR0_CD, NULL),
	CASE("cr0-high", LONG, CR0, 0, 1ull << 32, "Guest CR0[63:32] is not zero"),
	CASE("cr0-high", REAL, CR0, 0, 1ull << 63, "Guest CR0[63:32] is not zero"),
	CASE("cr3-reserved", LONG, CR3, 0, 1ull << 63, NULL),
	CASE_AT_END("cr3-reserved", LONG, CR3, 0, NULL),
	CASE_AT_END("cr3-reserved", PAE, CR3, 0, NULL),
	CASE_AT_END(NULL, LONG, CR3, -1, NULL),
	CASE("cr4-reserved", LONG, CR4, 0, X86_CR4_VMXE, "Guest CR4 reserved bits set"),
	CASE("cr4-reserved", REAL, CR4, 0, X86_CR4_SMXE, "Guest CR4 reserved bits set"),
	CASE("cr4-reserved", PAE, CR4, 0, 1u << 15, "Guest CR4 reserved bits set"),
	CASE("cr4-reserved", PAE, CR4, 0, 1u << 31, "Guest CR4 reserved bits set"),
	CASE("cr4-reserved", LONG, CR4, 0, 1ull << 32, "Guest CR4[63:32] is not zero"),
	CASE("cr4-reserved", LONG, CR4, 0, 1ull << 63, "Guest CR4[63:32] is not zero"),
	CASE(NULL, LONG, CR4, 0, 0x7ff, NULL),
	CASE("dr6-high", LONG, DR6, 0, 1ull << 32, "Guest DR6[63:32] is not zero"),
	CASE("dr6-high", REAL, DR6, 0, 1ull << 63, "Guest DR6[63:32] is not zero"),
	CASE(NULL, LONG, DR6, 0, 0xffffffff, NULL),
	CASE("dr7-high", LONG, DR7, 0, 1ull << 32, "Guest DR7[63:32] is not zero"),
	CASE("dr7-high", REAL, DR7, 0, 1ull << 63, "Guest DR7[63:32] is not zero"),
	CASE(NULL, LONG, DR7, 0, 0xffffffff, NULL),
	CASE("long-pae", LONG, CR4, X86_CR4_PAE, 0, "VMRUN CR4 is broken"),
	CASE("long-pae", COMPAT, CR4, X86_CR4_PAE, 0, "VMRUN CR4 is broken"),
	CASE("long-pae", LEGACY, EFER, 0, EFER_LME, "VMRUN CR4 is broken"),
	CASE(NULL, REAL, EFER, 0, EFER_LME, NULL),
	CASE("long-pe", LONG, CR0, X86_CR0_PE, 0, NULL),
	CASE("long-pe", COMPAT, CR0, X86_CR0_PE, 0, NULL),
	CASE("cs-l-and-d", LONG, CS_ATTRIB, 0, CASE_D, "CS.D_B/L mismatch"),
	CASE("cs-l-and-d", COMPAT, CS_ATTRIB, 0, CASE_L, "CS.D_B/L mismatch"),
	CASE(NULL, PAE, EFER, 0, EFER_LME, NULL),
	CASE("vmrun-intercept", LONG, INTERCEPTS, CASE_VMRUN, 0, "VMRUN intercept bit is not set"),
	CASE("vmrun-intercept", REAL, INTERCEPTS, CASE_VMRUN, 0xfffffffe00000000ull,
	     "VMRUN intercept bit is not set"),
	CASE("vnmi-intercept", LONG, INTERCEPTS, CASE_NMI, 0, "virtual NMIs without the NMI"),
	CASE("vnmi-intercept", REAL, INTERCEPTS, CASE_NMI, 0, "virtual NMIs without the NMI"),
	CASE(NULL, LONG, INT_CTL, CASE_V_NMI, 0, NULL),
	CASE_AT_END("iopm-width", LONG, IOPM_BASE_PA, 0, "invalid IOPM Base Address"),
	CASE("iopm-width", REAL, IOPM_BASE_PA, 0, 1ull << 63, "invalid IOPM Base Address"),
	CASE("iopm-width", PAE, IOPM_BASE_PA, 0, ~0ull, "invalid IOPM Base Address"),
	CASE_AT_END("iopm-width", LONG, IOPM_BASE_PA, -0x2000, NULL),
	CASE_AT_END("iopm-width", LONG, IOPM_BASE_PA, -1, NULL),
	CASE_AT_END(NULL, LONG, IOPM_BASE_PA, -0x3000, NULL),
	CASE_AT_END(NULL, LONG, IOPM_BASE_PA, -0x2001, NULL),
	CASE_AT_END("msrpm-width", LONG, MSRPM_BASE_PA, 0, "invalid MSRPM Base Address"),
	CASE("msrpm-width", REAL, MSRPM_BASE_PA, 0, 1ull << 63, "invalid MSRPM Base Address"),
	CASE("msrpm-width", PAE, MSRPM_BASE_PA, 0, ~0ull, "invalid MSRPM Base Address"),
	CASE_AT_END("msrpm-width", LONG, MSRPM_BASE_PA, -0x1000, NULL),
	CASE_AT_END("msrpm-width", LONG, MSRPM_BASE_PA, -1, NULL),
	CASE_AT_END(NULL, LONG, MSRPM_BASE_PA, -0x2000, NULL),
	CASE_AT_END(NULL, LONG, MSRPM_BASE_PA, -0x2001, NULL),
	CASE("asid", LONG, GUEST_ASID, ~0ull, 0, "attempt to run guest with host ASID"),
	CASE("asid", REAL, GUEST_ASID, ~0ull, 0, "attempt to run guest with host ASID"),
	CASE("event-type", LONG, EVENTINJ, 0, CASE_EVENT(1, 3), "unsupported event injection type"),
	CASE("event-type", PAE, EVENTINJ, 0, CASE_EVENT(5, 3), "unsupported event injection type"),
	CASE("event-type", REAL, EVENTINJ, 0, CASE_EVENT(6, 3), "unsupported event injection type"),
	CASE("event-type", LONG, EVENTINJ, 0, CASE_EVENT(7, 2), "unsupported event injection type"),
	CASE(NULL, LONG, EVENTINJ, 0, CASE_EVENT(7, 2) & ~BIT_ULL(31), NULL),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 2), "invalid vector 2 "),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 9), NULL),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 15), NULL),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 20), NULL),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 21), NULL),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 22), NULL),
	CASE("event-vector", PAE, EVENTINJ, 0, CASE_EVENT(3, 27), NULL),
	CASE("event-vector", PAE, EVENTINJ, 0, CASE_EVENT(3, 29), NULL),
	CASE("event-vector", REAL, EVENTINJ, 0, CASE_EVENT(3, 31), NULL),
	CASE("event-vector", REAL, EVENTINJ, 0, CASE_EVENT(3, 32), "invalid vector 32 "),
	CASE("event-vector", LONG, EVENTINJ, 0, CASE_EVENT(3, 255), "invalid vector 255 "),
	CASE(NULL, LONG, EVENTINJ, 0, CASE_EVENT(3, 13), NULL),
	CASE(NULL, LONG, EVENTINJ, 0, CASE_EVENT(3, 30), NULL),
	CASE(NULL, PAE, EVENTINJ, 0, CASE_EVENT(0, 15), NULL),
	CASE(NULL, REAL, EVENTINJ, 0, CASE_EVENT(0, 255), NULL),
	CASE(NULL, LONG, EVENTINJ, 0, CASE_EVENT(2, 99), NULL),
	CASE(NULL, LONG, EVENTINJ, 0, CASE_EVENT(4, 99), NULL),
	CASE_AT_END("ncr3-reserved", LONG, N_CR3, 0, "NCR3 reserved bits set"),
	CASE("ncr3-reserved", REAL, N_CR3, 0, 1ull << 63, "NCR3 reserved bits set"),
	CASE("pat", LONG, G_PAT, 7, 2, "invalid memory type in guest PAT_MSR"),
	CASE("pat", LONG, G_PAT, 7, 3, "invalid memory type in guest PAT_MSR"),
	CASE("pat", REAL, G_PAT, 0, 8ull << 56, "invalid memory type in guest PAT_MSR"),
	CASE("pat", REAL, G_PAT, 0, 1ull << 31, "invalid memory type in guest PAT_MSR"),
	CASE(NULL, LONG, G_PAT, ~0ull, 0x0706050401000706ull, NULL),
};

#define SVM_NR_ENTRY_CASES	ARRAY_SIZE(svm_entry_cases)

#endif /* OKVM_SVM_ENTRY_KUNIT_H */
