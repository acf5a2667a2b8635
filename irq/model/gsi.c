// SPDX-License-Identifier: GPL-2.0-only
/* Build and read the GSI routing table, and decode MSIs. */
#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "irq/model/gsi.h"

#define PIC_CHIP_PINS		8

static_assert(KVM_IRQCHIP_PIC_MASTER == 0 && KVM_IRQCHIP_PIC_SLAVE == 1 &&
	      KVM_IRQCHIP_IOAPIC == 2);
static_assert(GSI_MAX_ROUTES <= BIT(15));

#define TO_IOAPIC(n)								\
	{ .gsi = (n), .type = KVM_IRQ_ROUTING_IRQCHIP,				\
	  .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = (n) } }
#define TO_BOTH(n)								\
	TO_IOAPIC(n),								\
	{ .gsi = (n), .type = KVM_IRQ_ROUTING_IRQCHIP,				\
	  .u.irqchip = { .irqchip = (n) / PIC_CHIP_PINS, .pin = (n) % PIC_CHIP_PINS } }

static const struct kvm_irq_routing_entry default_routes[] = {
	TO_BOTH(0), TO_BOTH(1), TO_BOTH(2), TO_BOTH(3),
	TO_BOTH(4), TO_BOTH(5), TO_BOTH(6), TO_BOTH(7),
	TO_BOTH(8), TO_BOTH(9), TO_BOTH(10), TO_BOTH(11),
	TO_BOTH(12), TO_BOTH(13), TO_BOTH(14), TO_BOTH(15),
	TO_IOAPIC(16), TO_IOAPIC(17), TO_IOAPIC(18), TO_IOAPIC(19),
	TO_IOAPIC(20), TO_IOAPIC(21), TO_IOAPIC(22), TO_IOAPIC(23),
};

const struct kvm_irq_routing_entry *gsi_default_routes(u32 *nr)
{
	*nr = ARRAY_SIZE(default_routes);
	return default_routes;
}

static u32 count_gsis(const struct kvm_irq_routing_entry *ue, u32 nr)
{
	u32 i, gsis = 0;

	for (i = 0; i < nr; i++)
		gsis = max(gsis, ue[i].gsi + 1);
	return gsis;
}

/*
 * Return the offset of the routes in the memory of a struct gsi_table. The routes follow the array
 * first[], which has @gsis + 1 elements. They are aligned for struct gsi_route.
 */
static size_t routes_offset(u32 gsis)
{
	size_t end = offsetof(struct gsi_table, first) + (gsis + 1) * sizeof(u16);

	return ALIGN(end, __alignof__(struct gsi_route));
}

size_t gsi_table_bytes(const struct kvm_irq_routing_entry *ue, u32 nr)
{
	u32 i;

	if (nr > GSI_MAX_ROUTES)
		return 0;
	for (i = 0; i < nr; i++)
		if (ue[i].gsi >= GSI_MAX_ROUTES)
			return 0;
	return routes_offset(count_gsis(ue, nr)) + nr * sizeof(struct gsi_route);
}

static int gsi_fault(struct gsi_table *table, const char *why)
{
	table->fault = why;
	return -EINVAL;
}

static int chip_route(struct gsi_table *table, struct gsi_route *route,
		      const struct kvm_irq_routing_entry *ue)
{
	unsigned int chip = ue->u.irqchip.irqchip, pin = ue->u.irqchip.pin;
	bool ioapic = chip == KVM_IRQCHIP_IOAPIC;

	if (chip >= GSI_CHIPS)
		return gsi_fault(table, "GSI routes: no such chip");
	if (pin >= (ioapic ? GSI_CHIP_PINS : PIC_CHIP_PINS))
		return gsi_fault(table, "GSI routes: the chip has no such pin");
	chip = array_index_nospec(chip, GSI_CHIPS);
	pin = array_index_nospec(pin, GSI_CHIP_PINS);
	route->kind = ioapic ? GSI_KIND_IOAPIC : GSI_KIND_PIC;
	route->pin = ioapic ? pin : chip * PIC_CHIP_PINS + pin;
	table->chip_gsi[chip][pin] = ue->gsi;
	return 0;
}

static int fill_route(struct gsi_table *table, struct gsi_route *route,
		      const struct kvm_irq_routing_entry *ue, const struct gsi_policy *policy)
{
	route->gsi = ue->gsi;
	switch (ue->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (ue->flags)
			return gsi_fault(table, "GSI routes: flags of a route to a chip");
		if (!policy->chips)
			return gsi_fault(table, "GSI routes: a route to a chip without chips");
		return chip_route(table, route, ue);
	case KVM_IRQ_ROUTING_MSI:
		if (ue->flags & ~KVM_MSI_VALID_DEVID)
			return gsi_fault(table, "GSI routes: unknown flags of an MSI");
		route->kind = GSI_KIND_MSI;
		route->msi.lo = ue->u.msi.address_lo;
		route->msi.hi = ue->u.msi.address_hi;
		route->msi.data = ue->u.msi.data;
		return gsi_msi_valid(&route->msi, policy->x2apic_format) ? 0 :
		       gsi_fault(table, "GSI routes: address_hi of an MSI has bits below 8");
	}
	return gsi_fault(table, "GSI routes: no such kind of route");
}

/* Return the chip that a route leads to, as KVM_IRQCHIP_*; all MSIs count as one more chip. */
static unsigned int route_chip(const struct gsi_route *route)
{
	switch ((enum gsi_kind)route->kind) {
	case GSI_KIND_PIC:
		return route->pin / PIC_CHIP_PINS;
	case GSI_KIND_IOAPIC:
		return KVM_IRQCHIP_IOAPIC;
	case GSI_KIND_MSI:
		break;
	}
	return GSI_CHIPS;
}

/*
 * A GSI may have either one MSI route, or one route to each chip. Return true if @routes, which are
 * all routes of one GSI, break this rule.
 */
static bool routes_conflict(const struct gsi_route *routes, unsigned int nr)
{
	unsigned int i, chips = 0;

	for (i = 0; i < nr; i++) {
		unsigned int chip = route_chip(&routes[i]);

		if (chip == GSI_CHIPS ? nr > 1 : chips & BIT(chip))
			return true;
		chips |= BIT(chip);
	}
	return false;
}

/*
 * At the call, first[i] is the number of routes of GSI i. Set first[i] to the index behind the last
 * route of GSI i. place_routes() then decrements first[i] for each route of the GSI, so that it
 * ends as the index of the first one.
 */
static void sum_counts(struct gsi_table *table)
{
	u32 i;

	for (i = 1; i <= table->nr_gsis; i++)
		table->first[i] += table->first[i - 1];
}

static int place_routes(struct gsi_table *table, const struct kvm_irq_routing_entry *ue, u32 nr,
			const struct gsi_policy *policy)
{
	u32 i, gsi;
	int ret;

	for (i = 0; i < nr; i++)
		table->first[ue[i].gsi]++;
	sum_counts(table);
	table->first[table->nr_gsis] = nr;
	for (i = nr; i-- > 0;) {
		gsi = array_index_nospec(ue[i].gsi, GSI_MAX_ROUTES);
		ret = fill_route(table, &table->routes[--table->first[gsi]], &ue[i], policy);
		if (ret)
			return ret;
	}
	return 0;
}

int gsi_table_build(struct gsi_table *table, const struct kvm_irq_routing_entry *ue, u32 nr,
		    const struct gsi_policy *policy)
{
	u32 gsi;
	int ret;

	table->nr_gsis = count_gsis(ue, nr);
	table->nr_routes = nr;
	table->routes = (void *)table + routes_offset(table->nr_gsis);
	memset(table->chip_gsi, 0xff, sizeof(table->chip_gsi));
	ret = place_routes(table, ue, nr, policy);
	if (ret)
		return ret;
	for (gsi = 0; gsi < table->nr_gsis; gsi++) {
		u32 begin = table->first[gsi];

		if (routes_conflict(&table->routes[begin], table->first[gsi + 1] - begin))
			return gsi_fault(table, "GSI routes: two routes of a GSI exclude another");
	}
	return 0;
}

const struct gsi_route *gsi_lookup(const struct gsi_table *table, u32 gsi, unsigned int *nr)
{
	u32 begin;

	*nr = 0;
	if (gsi >= table->nr_gsis)
		return table->routes;
	gsi = array_index_nospec(gsi, table->nr_gsis);
	begin = table->first[gsi];
	*nr = table->first[gsi + 1] - begin;
	return &table->routes[begin];
}

int gsi_of_pin(const struct gsi_table *table, unsigned int chip, unsigned int pin)
{
	if (chip >= GSI_CHIPS || pin >= GSI_CHIP_PINS)
		return GSI_NONE;
	return table->chip_gsi[array_index_nospec(chip, GSI_CHIPS)]
			      [array_index_nospec(pin, GSI_CHIP_PINS)];
}
