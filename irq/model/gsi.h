/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The GSI routing table as plain data: built once from userspace's routes, then read-only.
 *
 * Upstream KVM has a linked list per GSI and allocates each entry. Here the routes are one array
 * sorted by GSI, with an index: a look-up is two loads, and a table is one allocation.
 */
#ifndef OKVM_IRQ_GSI_H
#define OKVM_IRQ_GSI_H

#include <linux/bits.h>
#include <linux/kvm.h>
#include <linux/types.h>

/* Upper limit of GSI numbers and of the number of routes; also the value of KVM_CAP_IRQ_ROUTING. */
#define GSI_MAX_ROUTES		4096
#define GSI_CHIPS		3
#define GSI_CHIP_PINS		24
/* A GSI can have a route to one pin of each chip. */
#define GSI_MAX_PER_GSI		GSI_CHIPS
#define GSI_NONE		(-1)

/**
 * enum gsi_kind - target of a route
 * @GSI_KIND_PIC: pin 0 to 15 of the PIC pair
 * @GSI_KIND_IOAPIC: pin 0 to 23 of the IOAPIC
 * @GSI_KIND_MSI: an MSI
 */
enum gsi_kind {
	GSI_KIND_PIC,
	GSI_KIND_IOAPIC,
	GSI_KIND_MSI,
};

/**
 * struct gsi_msi - an MSI as a device writes it
 * @lo: lower half of the address
 * @hi: upper half of the address
 * @data: the data
 */
struct gsi_msi {
	u32 lo;
	u32 hi;
	u32 data;
};

/**
 * struct gsi_route - one route
 * @gsi: 0 to GSI_MAX_ROUTES - 1
 * @kind: an enum gsi_kind
 * @pin: for GSI_KIND_PIC and GSI_KIND_IOAPIC
 * @msi: for GSI_KIND_MSI
 */
struct gsi_route {
	u16 gsi;
	u8 kind;
	u8 pin;
	struct gsi_msi msi;
};

/**
 * struct gsi_message - an interrupt message to the local APICs
 * @dest: destination ID, 8 bits, or 32 bits with the x2APIC format
 * @vector: 0 to 255
 * @mode: delivery mode, 0 (fixed) to 7 (ExtINT)
 * @logical: destination mode is logical
 * @level: trigger mode is level
 * @redirect: redirection hint: deliver to one of the destinations only
 */
struct gsi_message {
	u32 dest;
	u8 vector;
	u8 mode;
	bool logical;
	bool level;
	bool redirect;
};

/**
 * struct gsi_policy - what the VM allows in its routing table
 * @chips: routes to in-kernel PIC and IOAPIC
 * @x2apic_format: MSIs in the format of KVM_X2APIC_API_USE_32BIT_IDS
 */
struct gsi_policy {
	bool chips;
	bool x2apic_format;
};

/**
 * struct gsi_table - a GSI routing table
 * @nr_gsis: highest GSI with a route, plus 1
 * @nr_routes: number of entries in @routes
 * @chip_gsi: the GSI routed to each chip's pin (KVM_IRQCHIP_*), or GSI_NONE
 * @routes: sorted by GSI; behind @first in the same allocation
 * @fault: the reason if gsi_table_build() has returned -EINVAL
 * @first: per GSI, index of its first route; @first[@nr_gsis] is @nr_routes
 */
struct gsi_table {
	u32 nr_gsis;
	u32 nr_routes;
	s16 chip_gsi[GSI_CHIPS][GSI_CHIP_PINS];
	struct gsi_route *routes;
	const char *fault;
	u16 first[];
};

/**
 * gsi_table_bytes() - compute the memory that gsi_table_build() needs
 * @ue: routes as given by userspace
 * @nr: number of routes
 *
 * Return: bytes; 0 if there are too many routes or a GSI is out of range.
 */
size_t gsi_table_bytes(const struct kvm_irq_routing_entry *ue, u32 nr);

/**
 * gsi_table_build() - check the routes and build the table
 * @table: gsi_table_bytes() bytes, zeroed
 * @ue: the routes given to gsi_table_bytes()
 * @nr: number of routes
 * @policy: what is allowed
 *
 * Return: 0, or -EINVAL for a route that is malformed, not allowed or in conflict with another one.
 */
int gsi_table_build(struct gsi_table *table, const struct kvm_irq_routing_entry *ue, u32 nr,
		    const struct gsi_policy *policy);

/**
 * gsi_lookup() - find the routes of a GSI
 * @table: the table
 * @gsi: any number
 * @nr: set to the number of routes, 0 to GSI_MAX_PER_GSI
 *
 * Return: the first route; only valid if @nr is not 0.
 */
const struct gsi_route *gsi_lookup(const struct gsi_table *table, u32 gsi, unsigned int *nr);

/**
 * gsi_of_pin() - find the GSI that is routed to a chip's pin
 * @table: the table
 * @chip: KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE or _IOAPIC
 * @pin: pin of that chip
 *
 * Return: the GSI, or GSI_NONE.
 */
int gsi_of_pin(const struct gsi_table *table, unsigned int chip, unsigned int pin);

/**
 * gsi_default_routes() - Return the routes that KVM_CREATE_IRQCHIP sets
 * @nr: set to the number of routes
 */
const struct kvm_irq_routing_entry *gsi_default_routes(u32 *nr);

/* Intel SDM, "Message Address Register Format" and "Message Data Register Format". */
#define GSI_MSI_LO_DEST_SHIFT	12
#define GSI_MSI_LO_REDIRECT	BIT(3)
#define GSI_MSI_LO_LOGICAL	BIT(2)
#define GSI_MSI_HI_DEST_MASK	0xffffff00u
#define GSI_MSI_DATA_MODE_SHIFT	8
#define GSI_MSI_DATA_LEVEL	BIT(15)

/**
 * gsi_msi_valid() - check if an MSI is valid
 * @msi: the MSI
 * @x2apic_format: see struct gsi_policy
 */
static inline bool gsi_msi_valid(const struct gsi_msi *msi, bool x2apic_format)
{
	return !x2apic_format || !(msi->hi & ~GSI_MSI_HI_DEST_MASK);
}

/**
 * gsi_msi_decode() - convert an MSI to an interrupt message
 * @msi: the MSI
 * @x2apic_format: the upper half of the address contains destination bits 31 to 8
 */
static inline struct gsi_message gsi_msi_decode(const struct gsi_msi *msi, bool x2apic_format)
{
	return (struct gsi_message) {
		.dest = ((msi->lo >> GSI_MSI_LO_DEST_SHIFT) & 0xff) |
			(x2apic_format ? msi->hi & GSI_MSI_HI_DEST_MASK : 0),
		.vector = msi->data,
		.mode = (msi->data >> GSI_MSI_DATA_MODE_SHIFT) & 7,
		.logical = msi->lo & GSI_MSI_LO_LOGICAL,
		.level = msi->data & GSI_MSI_DATA_LEVEL,
		.redirect = msi->lo & GSI_MSI_LO_REDIRECT,
	};
}

#endif
