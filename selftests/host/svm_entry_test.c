// SPDX-License-Identifier: GPL-2.0-only
/* svm/entry_check.c: each rule of VMRUN is broken alone, and only that rule is named. */
#include <string.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm/entry_kunit.h"
#include "test.h"

/* A CPU: its highest leaves, and a bit of one leaf. */
static u32 max_basic, max_extended, bit_leaf, bit_reg, bit_value;

/* What svm/entry_read.h calls in the kernel. */
static void cpuid_count(u32 leaf, u32 subleaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 *regs[] = { eax, ebx, ecx, edx };

	*eax = *ebx = *ecx = *edx = 0;
	if (!leaf || leaf == 0x80000000)
		*eax = leaf ? max_extended : max_basic;
	if (leaf == 0x80000008)
		*eax = 0x3028;
	if (leaf == bit_leaf)
		*regs[bit_reg] |= bit_value;
}

static u32 cpuid_eax(u32 leaf)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx);
	return eax;
}

#include "svm/entry_read.h"

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

/* ---- what svm_entry_read() takes from CPUID ---- */

static struct svm_entry read_on(u32 leaf, u32 reg, u32 bit)
{
	struct svm_entry e;

	bit_leaf = leaf;
	bit_reg = reg;
	bit_value = 1u << bit;
	svm_entry_read(vmcb, &e);
	return e;
}

enum { EAX, EBX, ECX, EDX };

/* Each bit, and the CPUID bit of its feature (APM volume 3, "Feature Bits for CPUID"). */
static const struct {
	u8 cr4, efer;		/* the other one is 0 */
	u32 leaf;
	u8 reg, bit;
} features[] = {
	{ 11, 0, 7, ECX, 2 }, { 12, 0, 7, ECX, 16 }, { 16, 0, 7, EBX, 0 }, { 17, 0, 1, ECX, 17 },
	{ 18, 0, 1, ECX, 26 }, { 20, 0, 7, EBX, 7 }, { 21, 0, 7, EBX, 20 }, { 22, 0, 7, ECX, 3 },
	{ 23, 0, 7, ECX, 7 }, { 0, 11, 0x80000001, EDX, 20 }, { 0, 14, 0x80000001, EDX, 25 },
	{ 0, 15, 0x80000001, ECX, 17 }, { 0, 17, 0x80000008, EBX, 8 },
	{ 0, 18, 0x80000008, EBX, 13 }, { 0, 20, 0x80000021, EAX, 7 },
	{ 0, 21, 0x80000021, EAX, 8 },
};

TEST(bits_exist_with_the_features_of_the_cpu)
{
	const u64 cr4 = ~0x7ffull, efer = ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_SVME |
						 EFER_LMSLE);
	struct svm_entry e;
	unsigned int i;

	max_basic = 7;
	max_extended = 0x80000021;
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		e = read_on(features[i].leaf, features[i].reg, features[i].bit);
		EXPECT_EQ(e.cr4_reserved, features[i].cr4 ? cr4 & ~(1ull << features[i].cr4) : cr4);
		EXPECT_EQ(e.efer_reserved,
			  features[i].efer ? efer & ~(1ull << features[i].efer) : efer);
		EXPECT_EQ(e.phys_bits, 40);
	}
	EXPECT_EQ(read_on(0x80000008, EBX, 20).efer_reserved, efer | EFER_LMSLE);
	EXPECT_EQ(read_on(0x80000021, EBX, 7).exceptions, 0);
	EXPECT_EQ(read_on(7, ECX, 7).exceptions, 1u << 21);
	EXPECT_EQ(read_on(0x8000001f, EAX, 3).exceptions, 1u << 29);
	EXPECT(read_on(0x8000000a, EDX, 25).vnmi && !read_on(0x8000000a, EDX, 24).vnmi);
}

TEST(leaves_above_the_highest_say_nothing)
{
	max_basic = 6;
	max_extended = 0x80000008;
	EXPECT_EQ(read_on(7, ECX, 7).cr4_reserved, ~0x7ffull);
	EXPECT(!read_on(0x8000000a, EDX, 25).vnmi);
}

/* The fields are where the APM's "VMCB Layout" has them, and have its sizes. */
TEST(fields_are_read_from_the_vmcb)
{
	struct svm_entry e;
	unsigned int i;

	for (i = 0; i < sizeof(vmcb); i++)
		vmcb[i] = next_random() >> 20;
	svm_entry_read(vmcb, &e);
	EXPECT_EQ(e.f[SVM_F_INTERCEPTS], at(0xc, 8));
	EXPECT_EQ(e.f[SVM_F_GUEST_ASID], at(0x58, 4));
	EXPECT_EQ(e.f[SVM_F_CS_ATTRIB], at(0x412, 2));
	EXPECT_EQ(e.f[SVM_F_G_PAT], at(0x668, 8));
}
