// SPDX-License-Identifier: GPL-2.0-only
/* svm/entry_check.c: each rule of VMRUN is broken alone, and only that rule is named. */
#include <string.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm/entry_check.h"
#include "test.h"

#define CS_L	(1u << 9)
#define CS_D	(1u << 10)
#define EVENT(type, vector)	(1ull << 31 | (type) << 8 | (vector))

/* A 64-bit guest with nested paging on a CPU with 40 bits of physical addresses. */
static struct svm_entry good(void)
{
	struct svm_entry e = { .cr4_reserved = 1 << 13, .efer_reserved = 1 << 9, .phys_bits = 40 };

	e.f[SVM_F_INTERCEPTS] = 1ull << 32 | 1 << 1;
	e.f[SVM_F_INT_CTL] = 1 << 26;
	e.f[SVM_F_IOPM_BASE_PA] = (1ull << 40) - 0x3000;
	e.f[SVM_F_MSRPM_BASE_PA] = (1ull << 40) - 0x2000;
	e.f[SVM_F_GUEST_ASID] = 1;
	e.f[SVM_F_NP_ENABLE] = 1;
	e.f[SVM_F_CS_ATTRIB] = CS_L;
	e.f[SVM_F_EFER] = EFER_SVME | EFER_LME | EFER_LMA;
	e.f[SVM_F_CR4] = X86_CR4_PAE;
	e.f[SVM_F_CR0] = X86_CR0_PG | X86_CR0_PE | X86_CR0_NW | X86_CR0_CD;
	e.f[SVM_F_G_PAT] = 0x0007040600070406ull;
	return e;
}

/* Set the bits @set of the field and clear the bits @clear. */
static const struct {
	const char *rule;
	enum svm_entry_field field;
	u64 clear, set;
} cases[] = {
	{ "efer-svme", SVM_F_EFER, EFER_SVME, 0 },
	{ "efer-reserved", SVM_F_EFER, 0, 1 << 9 },
	{ "cr0-nw", SVM_F_CR0, X86_CR0_CD, 0 },
	{ "cr0-high", SVM_F_CR0, 0, 1ull << 32 },
	{ "cr3-reserved", SVM_F_CR3, 0, 1ull << 40 },
	{ "cr4-reserved", SVM_F_CR4, 0, 1 << 13 },
	{ "dr6-high", SVM_F_DR6, 0, 1ull << 63 },
	{ "dr7-high", SVM_F_DR7, 0, 1ull << 32 },
	{ "long-pae", SVM_F_CR4, X86_CR4_PAE, 0 },
	{ "long-pe", SVM_F_CR0, X86_CR0_PE, 0 },
	{ "cs-l-and-d", SVM_F_CS_ATTRIB, 0, CS_D },
	{ "vmrun-intercept", SVM_F_INTERCEPTS, 1ull << 32, 1ull << 33 | 1 },
	{ "vnmi-intercept", SVM_F_INTERCEPTS, 1 << 1, 1 << 0 },
	{ "iopm-width", SVM_F_IOPM_BASE_PA, 0, 0x1000 | 0x2000 },
	{ "msrpm-width", SVM_F_MSRPM_BASE_PA, 0, 0x1000 },
	{ "asid", SVM_F_GUEST_ASID, 1, 0 },
	{ "event-type", SVM_F_EVENTINJ, 0, EVENT(1, 3) },
	{ "event-type", SVM_F_EVENTINJ, 0, EVENT(7, 3) },
	{ "event-vector", SVM_F_EVENTINJ, 0, EVENT(3, 2) },
	{ "event-vector", SVM_F_EVENTINJ, 0, EVENT(3, 32) },
	{ "ncr3-reserved", SVM_F_N_CR3, 0, 1ull << 51 },
	{ "pat", SVM_F_G_PAT, 4, 3 },
	{ "pat", SVM_F_G_PAT, 0, 8ull << 56 },
};

#define NR_CASES	(sizeof(cases) / sizeof(cases[0]))

/* The rule that @e breaks; "" if none, "several" if more than one. */
static const char *broken(const struct svm_entry *e)
{
	const char *name = "";
	unsigned int i;

	for (i = 0; i < SVM_NR_RULES; i++)
		if (svm_entry_rules[i].broken(e))
			name = *name ? "several" : svm_entry_rules[i].name;
	return name;
}

TEST(a_good_state_breaks_no_rule)
{
	struct svm_entry e = good();

	EXPECT(!strcmp(broken(&e), ""));
	/* Each field has room up to where a rule begins. */
	e.f[SVM_F_CR3] = (1ull << 40) - 1;
	e.f[SVM_F_N_CR3] = (1ull << 40) - 1;
	e.f[SVM_F_EVENTINJ] = EVENT(3, 31);
	e.f[SVM_F_DR7] = e.f[SVM_F_DR6] = 0xffffffff;
	EXPECT(!strcmp(broken(&e), ""));
	/* The vector of an event that is not valid does not count. */
	e.f[SVM_F_EVENTINJ] = EVENT(7, 2) & ~(1ull << 31);
	EXPECT(!strcmp(broken(&e), ""));
}

TEST(each_rule_is_named_alone)
{
	unsigned int i;

	for (i = 0; i < NR_CASES; i++) {
		struct svm_entry e = good();

		e.f[cases[i].field] &= ~cases[i].clear;
		e.f[cases[i].field] |= cases[i].set;
		if (strcmp(broken(&e), cases[i].rule))
			printf("# case %u, %s: %s\n", i, cases[i].rule, broken(&e));
		EXPECT(!strcmp(broken(&e), cases[i].rule));
	}
}

TEST(each_rule_has_a_case_and_names_a_field_that_the_case_changes)
{
	unsigned int i, k, found;

	for (i = 0; i < SVM_NR_RULES; i++) {
		for (k = found = 0; k < NR_CASES; k++)
			if (!strcmp(cases[k].rule, svm_entry_rules[i].name))
				found += cases[k].field == svm_entry_rules[i].field;
		EXPECT(found);
	}
}

/* Without nested paging nobody looks at nCR3 and G_PAT; outside long mode CS.L means nothing. */
TEST(rules_of_a_mode_are_not_of_others)
{
	struct svm_entry e = good();

	e.f[SVM_F_NP_ENABLE] = 0;
	e.f[SVM_F_N_CR3] = ~0ull;
	e.f[SVM_F_G_PAT] = ~0ull;
	EXPECT(!strcmp(broken(&e), ""));
	e.f[SVM_F_EFER] = EFER_SVME;
	e.f[SVM_F_CS_ATTRIB] = CS_L | CS_D;
	e.f[SVM_F_CR4] = 0;
	EXPECT(!strcmp(broken(&e), ""));
}
