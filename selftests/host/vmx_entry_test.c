// SPDX-License-Identifier: GPL-2.0-only
/* vmx/entry_check.c: each rule is broken alone, and what is near a rule breaks none. */
#include "test.h"
#include "vmx/caps_sets.h"
#include "vmx/entry_kunit.h"

#define PAGE	0x5000u

static struct vmx_entry_cpu cpu(const struct vmx_msrs *msrs)
{
	return (struct vmx_entry_cpu) {
		.msrs = *msrs, .vmfunc = 1, .efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX,
		.phys_bits = 40, .linear_bits = 48,
	};
}

/* What the case is about, the CPU has. */
static void give(struct vmx_entry_cpu *c, const char *rule)
{
	if (!strcmp(rule, "guest-cet-wp"))
		c->msrs.cr4_fixed1 |= 1 << 23;
	c->rtm = !strcmp(rule, "pending-transaction");
}

static unsigned int nr_rules(void)
{
	unsigned int nr = 0;

	while (vmx_entry_rule(nr))
		nr++;
	return nr;
}

TEST(guests_that_can_be_entered_break_no_rule)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);
	const struct vmx_entry_rule *rule;
	struct vmx_entry e;
	unsigned int kind;
	u32 field;

	for (kind = 0; kind < NR_ENTRY_KINDS; kind++) {
		entry_base(&e, &c, PAGE, kind);
		rule = entry_check(&e, &field);
		if (rule)
			HOST_FAIL("kind %u breaks %s by %s = %#" PRIx64, kind, rule->name,
				  vmx_entry_fields[field].name, (uint64_t)e.f[field]);
	}
}

/* The rules that are broken are @want and no others. */
static void judge(const struct vmx_entry *e, const char *want, unsigned int nr)
{
	const struct vmx_entry_rule *rule;
	bool found = !want;
	unsigned int i;
	u32 field;

	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		field = vmx_entry_broken(e, rule);
		if (field == VMX_F_NONE)
			continue;
		if (want && !strcmp(rule->name, want))
			found = true;
		else
			HOST_FAIL("case %u (%s) breaks %s by %s = %#" PRIx64, nr, want ?: "none",
				  rule->name, vmx_entry_fields[field].name, (uint64_t)e->f[field]);
	}
	if (!found)
		HOST_FAIL("case %u does not break %s", nr, want);
}

TEST(each_case_breaks_its_rule_alone)
{
	struct vmx_entry_cpu c;
	struct vmx_entry e;
	unsigned int i;

	for (i = 0; i < NR_ENTRY_CASES; i++) {
		c = cpu(&caps_sets[0].msrs);
		if (entry_cases[i].rule)
			give(&c, entry_cases[i].rule);
		entry_base(&e, &c, PAGE, entry_cases[i].kind);
		entry_apply(&e, &entry_cases[i]);
		judge(&e, entry_cases[i].rule, i);
	}
}

TEST(every_rule_has_a_case_a_name_and_a_section)
{
	const struct vmx_entry_rule *rule;
	unsigned int i, j, found;

	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		found = 0;
		for (j = 0; j < NR_ENTRY_CASES; j++)
			found += entry_cases[j].rule && !strcmp(entry_cases[j].rule, rule->name);
		if (!found)
			HOST_FAIL("no case breaks %s", rule->name);
		for (j = 0; j < i; j++)
			if (!strcmp(vmx_entry_rule(j)->name, rule->name))
				HOST_FAIL("two rules are called %s", rule->name);
		EXPECT(rule->text && rule->section && rule->broken);
	}
	EXPECT(nr_rules() > 100);
}

/* A rule that names no field of its own gives the one that breaks it. */
TEST(the_field_that_breaks_a_rule_is_named)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);
	struct vmx_entry e;
	u32 field;

	entry_base(&e, &c, PAGE, ENTRY_LONG);
	e.f[VMX_F_GUEST_GS_BASE] = NONCANONICAL;
	EXPECT(!strcmp(entry_check(&e, &field)->name, "base-canonical"));
	EXPECT_EQ(field, VMX_F_GUEST_GS_BASE);
	entry_base(&e, &c, PAGE, ENTRY_LONG);
	e.f[VMX_F_GUEST_SYSENTER_EIP] = NONCANONICAL;
	EXPECT(!strcmp(entry_check(&e, &field)->name, "guest-sysenter"));
	EXPECT_EQ(field, VMX_F_GUEST_SYSENTER_EIP);
}

/* The CPU looks at controls first, and at the guest last. */
TEST(rules_come_in_the_order_of_the_checks)
{
	enum vmx_entry_area area = VMX_AREA_CONTROLS;
	const struct vmx_entry_rule *rule;
	unsigned int i;

	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		EXPECT(rule->area >= area);
		area = rule->area;
	}
	EXPECT_EQ(area, VMX_AREA_GUEST);
}

TEST(a_field_that_the_cpu_lacks_is_not_read)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);

	EXPECT(vmx_entry_field_exists(&c, VMX_F_EPTP));
	EXPECT(vmx_entry_field_exists(&c, VMX_F_GUEST_RIP));
	EXPECT(!vmx_entry_field_exists(&c, VMX_F_NONE));
	c.msrs.exec2 &= ~((u64)SECONDARY_EXEC_ENABLE_EPT << 32);
	EXPECT(!vmx_entry_field_exists(&c, VMX_F_EPTP));
	EXPECT(!vmx_entry_field_exists(&c, VMX_F_PDPTE3));
	c.msrs.exec &= ~((u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS << 32);
	EXPECT(!vmx_entry_field_exists(&c, VMX_F_EXEC2));
}

/* CPUs with #CP let hardware exceptions come with or without an error code. */
TEST(error_codes_are_free_where_the_cpu_says_so)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);
	struct vmx_entry e;
	u32 field;

	c.msrs.basic |= 1ull << 56;
	entry_base(&e, &c, PAGE, ENTRY_LONG);
	e.f[VMX_F_EVENT] = EVENT(3, 13);
	EXPECT(!entry_check(&e, &field));
	e.f[VMX_F_EVENT] = EVENT(0, 0x20) | INTR_INFO_DELIVER_CODE_MASK;
	EXPECT(!strcmp(entry_check(&e, &field)->name, "event-error-bit"));
}

/* Any values can be judged. */
TEST(garbage_is_judged_without_a_fault)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);
	unsigned int i, j, broken = 0;
	struct vmx_entry e;
	u64 x = 88172645463325252ull;
	u32 field;

	for (i = 0; i < 20000; i++) {
		entry_base(&e, &c, PAGE, i % NR_ENTRY_KINDS);
		for (j = 0; j < VMX_NR_F; j++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			if (!(x >> 60))
				e.f[j] = x << (x >> 8 & 63);
		}
		broken += !!entry_check(&e, &field);
	}
	EXPECT(broken > 19000);
}

TEST(secondary_controls_count_when_they_are_activated)
{
	struct vmx_entry_cpu c = cpu(&caps_sets[0].msrs);
	struct vmx_entry e;
	u32 field;

	entry_base(&e, &c, PAGE, ENTRY_PLAIN);
	e.f[VMX_F_VPID] = 0;
	EXPECT(!strcmp(entry_check(&e, &field)->name, "vpid"));
	e.f[VMX_F_EXEC] &= ~(u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	EXPECT(!entry_check(&e, &field));
}
