// SPDX-License-Identifier: GPL-2.0-only
/* The GSI routing table: limits, conflicts, look-ups at the edges; decoding of MSIs. */
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/errno.h>

#include "irq/model/gsi.h"
#include "test.h"

static const struct gsi_policy full = { .chips = true };
static struct gsi_table *table;

static int build(const struct kvm_irq_routing_entry *ue, u32 nr, const struct gsi_policy *policy)
{
	size_t bytes = gsi_table_bytes(ue, nr);

	free(table);
	table = NULL;
	if (!bytes)
		return -EINVAL;
	table = calloc(1, bytes);
	return gsi_table_build(table, ue, nr, policy);
}

static struct kvm_irq_routing_entry chip(u32 gsi, u32 irqchip, u32 pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = irqchip, .pin = pin },
	};
}

static struct kvm_irq_routing_entry msi(u32 gsi, u32 lo, u32 hi, u32 data)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = lo, .address_hi = hi, .data = data },
	};
}

static unsigned int count(u32 gsi)
{
	unsigned int nr;

	gsi_lookup(table, gsi, &nr);
	return nr;
}

TEST(route_default)
{
	unsigned int nr, gsi;
	const struct gsi_route *r;
	u32 n;
	const struct kvm_irq_routing_entry *ue = gsi_default_routes(&n);

	EXPECT_EQ(n, 40);
	ASSERT(!build(ue, n, &full));
	for (gsi = 0; gsi < 24; gsi++) {
		r = gsi_lookup(table, gsi, &nr);
		EXPECT_EQ(nr, gsi < 16 ? 2 : 1);
		EXPECT_EQ(r->gsi, gsi);
		EXPECT_EQ(gsi_of_pin(table, KVM_IRQCHIP_IOAPIC, gsi), gsi);
	}
	r = gsi_lookup(table, 12, &nr);
	EXPECT_EQ(r[0].kind, GSI_KIND_IOAPIC);
	EXPECT_EQ(r[1].kind, GSI_KIND_PIC);
	EXPECT_EQ(r[1].pin, 12);
	EXPECT_EQ(gsi_of_pin(table, KVM_IRQCHIP_PIC_SLAVE, 4), 12);
	EXPECT_EQ(gsi_of_pin(table, KVM_IRQCHIP_PIC_SLAVE, 8), GSI_NONE);
}

/* CVE-2012-2137, CVE-2017-1000252: 0, the last, one more, the largest. */
TEST(route_gsi_bounds)
{
	struct kvm_irq_routing_entry ue = msi(GSI_MAX_ROUTES - 1, 0, 0, 0x41);
	static const u32 bad[] = { GSI_MAX_ROUTES, GSI_MAX_ROUTES + 1, 0x7fffffff, ~0u };
	unsigned int i;

	ASSERT(!build(&ue, 1, &full));
	EXPECT_EQ(count(GSI_MAX_ROUTES - 1), 1);
	EXPECT_EQ(count(0), 0);
	EXPECT_EQ(count(GSI_MAX_ROUTES), 0);
	EXPECT_EQ(count(~0u), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ue.gsi = bad[i];
		EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	}
}

TEST(route_pin_bounds)
{
	struct kvm_irq_routing_entry ue;

	ue = chip(0, KVM_IRQCHIP_IOAPIC, 23);
	EXPECT(!build(&ue, 1, &full));
	ue = chip(0, KVM_IRQCHIP_IOAPIC, 24);
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = chip(0, KVM_IRQCHIP_PIC_MASTER, 8);
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = chip(0, KVM_IRQCHIP_PIC_SLAVE, ~0u);
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = chip(0, 3, 0);
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = chip(0, ~0u, 0);
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	EXPECT(!build(NULL, 0, &full));
	EXPECT_EQ(gsi_of_pin(table, ~0u, 0), GSI_NONE);
	EXPECT_EQ(gsi_of_pin(table, 0, ~0u), GSI_NONE);
	EXPECT_EQ(gsi_of_pin(table, 0, 0), GSI_NONE);
	EXPECT_EQ(count(0), 0);
}

TEST(route_types_and_flags)
{
	struct kvm_irq_routing_entry ue;

	ue = msi(5, 0, 0, 0);
	ue.flags = KVM_MSI_VALID_DEVID;
	EXPECT(!build(&ue, 1, &full));
	ue.flags = 2;
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = chip(5, KVM_IRQCHIP_IOAPIC, 5);
	ue.flags = 1;
	EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
	ue = msi(5, 0, 0, 0);
	for (ue.type = 0; ue.type < 16; ue.type++)
		if (ue.type != KVM_IRQ_ROUTING_IRQCHIP && ue.type != KVM_IRQ_ROUTING_MSI)
			EXPECT_EQ(build(&ue, 1, &full), -EINVAL);
}

TEST(route_split_has_no_chips)
{
	static const struct gsi_policy split = { .chips = false };
	struct kvm_irq_routing_entry ue = chip(0, KVM_IRQCHIP_IOAPIC, 0);

	EXPECT_EQ(build(&ue, 1, &split), -EINVAL);
	ue = msi(0, 0, 0, 0x41);
	EXPECT(!build(&ue, 1, &split));
}

TEST(route_conflicts)
{
	struct kvm_irq_routing_entry ue[4];

	ue[0] = chip(5, KVM_IRQCHIP_IOAPIC, 5);
	ue[1] = chip(5, KVM_IRQCHIP_PIC_MASTER, 5);
	ue[2] = chip(5, KVM_IRQCHIP_PIC_SLAVE, 5);
	EXPECT(!build(ue, 3, &full));
	EXPECT_EQ(count(5), 3);
	ue[3] = chip(5, KVM_IRQCHIP_IOAPIC, 6);
	EXPECT_EQ(build(ue, 4, &full), -EINVAL);
	ue[3] = msi(5, 0, 0, 0);
	EXPECT_EQ(build(ue, 4, &full), -EINVAL);
	ue[0] = msi(7, 0, 0, 0);
	ue[1] = msi(7, 0, 0, 1);
	EXPECT_EQ(build(ue, 2, &full), -EINVAL);
	ue[1].gsi = 8;
	EXPECT(!build(ue, 2, &full));
}

/* n = 0, 1, max, max + 1, ~0 */
TEST(route_counts)
{
	static struct kvm_irq_routing_entry ue[GSI_MAX_ROUTES + 1];
	u32 i;

	for (i = 0; i <= GSI_MAX_ROUTES; i++)
		ue[i] = msi(GSI_MAX_ROUTES - 1 - i % GSI_MAX_ROUTES, i << 12, 0, i & 0xff);
	EXPECT(!build(ue, 0, &full));
	EXPECT(!build(ue, 1, &full));
	EXPECT(!build(ue, GSI_MAX_ROUTES, &full));
	for (i = 0; i < GSI_MAX_ROUTES; i++) {
		unsigned int nr;
		const struct gsi_route *r = gsi_lookup(table, i, &nr);

		EXPECT_EQ(nr, 1);
		EXPECT_EQ(r->gsi, i);
		EXPECT_EQ(r->msi.lo, (GSI_MAX_ROUTES - 1 - i) << 12);
	}
	EXPECT_EQ(gsi_table_bytes(ue, GSI_MAX_ROUTES + 1), 0);
	EXPECT_EQ(gsi_table_bytes(NULL, ~0u), 0);
}

TEST(route_msi_decode)
{
	struct gsi_msi m = { .lo = 0xfeeabc0c | 0xf << 12, .hi = 0x123456ff, .data = 0xffffc7aa };
	struct gsi_message d = gsi_msi_decode(&m, false);

	EXPECT_EQ(d.dest, 0xaf);
	EXPECT_EQ(d.vector, 0xaa);
	EXPECT_EQ(d.mode, 7);
	EXPECT(d.logical);
	EXPECT(d.redirect);
	EXPECT(d.level);
	d = gsi_msi_decode(&m, true);
	EXPECT_EQ(d.dest, 0x123456af);
	EXPECT(gsi_msi_valid(&m, false));
	EXPECT(!gsi_msi_valid(&m, true));
	m.hi = 0xffffff00;
	EXPECT(gsi_msi_valid(&m, true));
	m.lo = 0;
	m.data = 0;
	d = gsi_msi_decode(&m, false);
	EXPECT(!d.logical && !d.redirect && !d.level && !d.dest && !d.mode);
}
