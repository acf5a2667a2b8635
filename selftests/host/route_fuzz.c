// SPDX-License-Identifier: GPL-2.0-only
/* Any array of routes as userspace might give it; every GSI and pin looked up in what results. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "irq/model/gsi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gsi_table *table)
{
	unsigned int nr, i, chip, pin;
	u32 gsi;

	for (gsi = 0; gsi < GSI_MAX_ROUTES + 8; gsi++) {
		const struct gsi_route *r = gsi_lookup(table, gsi, &nr);

		if (nr > GSI_MAX_PER_GSI)
			__builtin_trap();
		for (i = 0; i < nr; i++)
			if (r[i].gsi != gsi)
				__builtin_trap();
	}
	for (chip = 0; chip < 5; chip++)
		for (pin = 0; pin < 30; pin++)
			gsi_of_pin(table, chip, pin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gsi_policy policy = { .chips = size & 1, .x2apic_format = size & 2 };
	u32 nr = size / sizeof(struct kvm_irq_routing_entry);
	struct kvm_irq_routing_entry *ue = calloc(nr + 1, sizeof(*ue));
	struct gsi_table *table;
	size_t bytes;
	u32 i;

	memcpy(ue, data, nr * sizeof(*ue));
	for (i = 0; i < nr; i++) {
		ue[i].gsi &= 0x1fff;
		ue[i].type &= 3;
	}
	bytes = gsi_table_bytes(ue, nr);
	table = bytes ? calloc(1, bytes) : NULL;
	if (table && !gsi_table_build(table, ue, nr, &policy))
		check(table);
	free(table);
	free(ue);
	return 0;
}
