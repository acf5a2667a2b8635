// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: the routing table, compiled for the kernel. The full tests are in selftests/host. */
#include <kunit/test.h>

#include "gsi.c"

static const struct gsi_policy gsi_test_policy = { .chips = true };

static void gsi_test_default(struct kunit *test)
{
	const struct kvm_irq_routing_entry *ue;
	struct gsi_table *table;
	unsigned int nr;
	u32 n;

	ue = gsi_default_routes(&n);
	table = kunit_kzalloc(test, gsi_table_bytes(ue, n), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	KUNIT_ASSERT_EQ(test, gsi_table_build(table, ue, n, &gsi_test_policy), 0);
	gsi_lookup(table, 15, &nr);
	KUNIT_EXPECT_EQ(test, nr, 2u);
	gsi_lookup(table, 23, &nr);
	KUNIT_EXPECT_EQ(test, nr, 1u);
	gsi_lookup(table, 24, &nr);
	KUNIT_EXPECT_EQ(test, nr, 0u);
	gsi_lookup(table, ~0u, &nr);
	KUNIT_EXPECT_EQ(test, nr, 0u);
	KUNIT_EXPECT_EQ(test, gsi_of_pin(table, KVM_IRQCHIP_PIC_SLAVE, 7), 15);
}

static void gsi_test_limits(struct kunit *test)
{
	struct kvm_irq_routing_entry ue = { .gsi = GSI_MAX_ROUTES };

	KUNIT_EXPECT_EQ(test, gsi_table_bytes(&ue, 1), (size_t)0);
	ue.gsi = ~0u;
	KUNIT_EXPECT_EQ(test, gsi_table_bytes(&ue, 1), (size_t)0);
	KUNIT_EXPECT_EQ(test, gsi_table_bytes(NULL, GSI_MAX_ROUTES + 1), (size_t)0);
	KUNIT_EXPECT_NE(test, gsi_table_bytes(NULL, 0), (size_t)0);
}

static struct kunit_case gsi_cases[] = {
	KUNIT_CASE(gsi_test_default),
	KUNIT_CASE(gsi_test_limits),
	{}
};

struct kunit_suite okvm_gsi_suite = {
	.name = "okvm-gsi",
	.test_cases = gsi_cases,
};
