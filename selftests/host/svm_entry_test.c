// SPDX-License-Identifier: GPL-2.0-only
/* svm/entry_check.c: each rule of VMRUN is broken alone, and only that rule is named. */
#include <string.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm/entry_kunit.h"
#include "test.h"

#define PAGE	0x5000u

/* A guest of @kind with nested paging on a CPU with 40 bits of physical addresses. */
static struct svm_entry good(enum svm_entry_kind kind)
{
	struct svm_entry e = {
		.cr4_reserved = ~0x7ffull, .vnmi = true, .phys_bits = 40,
		.efer_reserved = ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME),
	};

	svm_entry_base(&e, PAGE, kind);
	return e;
}

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

TEST(guests_that_can_be_entered_break_no_rule)
{
	enum svm_entry_kind kind;

	for (kind = 0; kind < SVM_NR_ENTRY_KINDS; kind++) {
		struct svm_entry e = good(kind);

		if (*broken(&e))
			HOST_FAIL("kind %u breaks %s", kind, broken(&e));
	}
}

/* A CPU may inject what it raises itself. */
TEST(existing_exceptions_break_no_rule)
{
	static const u8 vectors[] = {
		0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 28, 30,
	};
	struct svm_entry e = good(SVM_ENTRY_LONG);
	unsigned int i;

	for (i = 0; i < sizeof(vectors); i++) {
		e.f[SVM_F_EVENTINJ] = CASE_EVENT(3, vectors[i]);
		EXPECT(!strcmp(broken(&e), ""));
	}
	e.exceptions = 1u << 21 | 1u << 29;
	e.f[SVM_F_EVENTINJ] = CASE_EVENT(3, 21);
	EXPECT(!strcmp(broken(&e), ""));
	e.f[SVM_F_EVENTINJ] = CASE_EVENT(3, 29);
	EXPECT(!strcmp(broken(&e), ""));
}

TEST(each_rule_is_named_alone)
{
	unsigned int i;

	for (i = 0; i < SVM_NR_ENTRY_CASES; i++) {
		const struct svm_entry_case *c = &svm_entry_cases[i];
		struct svm_entry e = good(c->kind);

		svm_entry_apply(&e, c);
		if (strcmp(broken(&e), c->rule ?: ""))
			HOST_FAIL("case %u, %s: %s", i, c->rule ?: "none", broken(&e));
	}
}

TEST(each_rule_has_a_case_and_names_a_field_that_the_case_changes)
{
	unsigned int i, k, found;

	for (i = 0; i < SVM_NR_RULES; i++) {
		for (k = found = 0; k < SVM_NR_ENTRY_CASES; k++)
			if (svm_entry_cases[k].rule &&
			    !strcmp(svm_entry_cases[k].rule, svm_entry_rules[i].name))
				found += svm_entry_cases[k].field == svm_entry_rules[i].field;
		EXPECT(found);
	}
}

/*
 * Without nested paging nobody looks at nCR3 and G_PAT; outside long mode CS.L means nothing, and
 * without virtual NMIs neither does the bit that enables them.
 */
TEST(rules_of_a_mode_are_not_of_others)
{
	struct svm_entry e = good(SVM_ENTRY_LONG);

	e.f[SVM_F_NP_ENABLE] = 0;
	e.f[SVM_F_N_CR3] = ~0ull;
	e.f[SVM_F_G_PAT] = ~0ull;
	EXPECT(!strcmp(broken(&e), ""));
	e.f[SVM_F_EFER] = EFER_SVME;
	e.f[SVM_F_CS_ATTRIB] = CASE_L | CASE_D;
	e.f[SVM_F_CR4] = 0;
	EXPECT(!strcmp(broken(&e), ""));
	e.f[SVM_F_INTERCEPTS] &= ~CASE_NMI;
	EXPECT(!strcmp(broken(&e), "vnmi-intercept"));
	e.vnmi = false;
	EXPECT(!strcmp(broken(&e), ""));
}

/* ---- random VMCBs against the sentences of the APM, read once more ---- */

static u8 vmcb[0x1000];

static u64 at(unsigned int offset, unsigned int size)
{
	u64 val = 0;

	memcpy(&val, vmcb + offset, size);
	return val;
}

/* The table of the PAT's types, by value: 1 is legal. */
static bool pat_is_legal(void)
{
	static const u8 legal[256] = { [0] = 1, [1] = 1, [4] = 1, [5] = 1, [6] = 1, [7] = 1 };
	unsigned int i, nr = 0;

	for (i = 0; i < 8; i++)
		nr += legal[vmcb[0x668 + i]];
	return nr == 8;
}

static bool event_is_legal(void)
{
	static const char exceptions[32] = "11011111101111101111000000001010";
	u32 event = at(0xa8, 4);
	u8 vector = event;

	if (!(event >> 31))
		return true;
	switch (event >> 8 & 7) {
	case 0: case 2: case 4:
		return true;
	case 3:
		return vector < 32 && exceptions[vector] == '1';
	default:
		return false;
	}
}

/* CPUs refuse maps that do not fit below 1 << 40. */
static bool maps_are_legal(void)
{
	return at(0x40, 8) >> 12 <= (1u << 28) - 3 && at(0x48, 8) >> 12 <= (1u << 28) - 2;
}

static bool modes_are_legal(void)
{
	u64 efer = at(0x4d0, 8), cr0 = at(0x558, 8), cr4 = at(0x548, 8);
	bool lme = efer & 0x100, pg = cr0 & 0x80000000, pae = cr4 & 0x20, pe = cr0 & 1;

	if (lme && pg && (!pae || !pe))
		return false;
	return !(lme && pg && pae && (at(0x412, 2) & 0x600) == 0x600);
}

static bool registers_are_legal(void)
{
	u64 cr0 = at(0x558, 8);

	if (at(0x55c, 4) || at(0x564, 4) || at(0x56c, 4) || at(0x54c, 4) || at(0x4d4, 4))
		return false;
	if ((cr0 >> 29 & 3) == 1 || at(0x550, 8) > 0xffffffffffull)
		return false;
	return (at(0x4d0, 4) & 0x1000) && !(at(0x4d0, 4) & 0xffffe2fe) && at(0x548, 4) < 0x800;
}

static bool vmrun_succeeds(void)
{
	bool nested = vmcb[0x90] & 1, vnmi = vmcb[0x63] & 4, nmi = vmcb[0xc] & 2;

	if (!(vmcb[0x10] & 1) || !at(0x58, 4) || (vnmi && !nmi))
		return false;
	if (nested && (!pat_is_legal() || at(0xb0, 8) >= 1ull << 40))
		return false;
	return registers_are_legal() && modes_are_legal() && maps_are_legal() && event_is_legal();
}

static u64 seed = 88172645463325252ull;

static u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void mutate(struct svm_entry *e)
{
	unsigned int n = next_random() >> 20 & 3;
	u64 x = next_random(), mask;
	unsigned int field;

	while (n--)
		svm_entry_apply(e, &svm_entry_cases[(next_random() >> 20) % SVM_NR_ENTRY_CASES]);
	for (n = x >> 30 & 3; n; n--) {
		x = next_random();
		field = (x >> 20) % SVM_NR_F;
		mask = ~0ull >> (64 - 8 * svm_entry_fields[field].size);
		e->f[field] = (x & 3 ? e->f[field] ^ 1ull << (x >> 40 & 63) : next_random()) & mask;
	}
}

TEST(random_states_break_a_rule_where_vmrun_fails)
{
	unsigned int i, f, succeeded = 0;

	for (i = 0; i < 1000000; i++) {
		struct svm_entry e = good(i % SVM_NR_ENTRY_KINDS);

		mutate(&e);
		for (f = 0; f < SVM_NR_F; f++)
			memcpy(vmcb + svm_entry_fields[f].offset, &e.f[f],
			       svm_entry_fields[f].size);
		succeeded += vmrun_succeeds();
		if (vmrun_succeeds() != !*broken(&e))
			HOST_FAIL("state %u: rule \"%s\"", i, broken(&e));
	}
	EXPECT(succeeded > 100000 && succeeded < 900000);
}
