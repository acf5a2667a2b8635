// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: destinations of a message.
 *
 * lapic_match_dest() defines which APICs a message addresses. For most messages a table of the
 * destination map gives the same result. For the others (broadcasts, mixed modes, IDs used twice)
 * the caller of lapic_map_find() has to test each enabled APIC by lapic_match_dest(). If two APICs
 * claim one slot of a table, okvm does not use the table. Upstream KVM's map forgets one of the two
 * APICs.
 */
#include <linux/kernel.h>
#include <linux/nospec.h>

#include "irq/model/lapic.h"

/* ---- one target ---- */

static bool match_physical(const struct lapic *t, u32 mda)
{
	if (mda == (lapic_x2apic(t) ? LAPIC_X2_BROADCAST : LAPIC_BROADCAST))
		return true;
	/*
	 * An APIC whose ID is above 0xff is addressed by its whole ID, even in xAPIC mode: a
	 * hot-plugged CPU is in xAPIC mode when it has to receive its INIT. The low 8 bits of the
	 * ID do not address the APIC, because another vCPU may have them as its ID.
	 */
	if (lapic_x2apic(t) || t->id > 0xff)
		return mda == t->id;
	return mda == lapic_get(t, APIC_ID) >> 24;
}

static bool match_logical(const struct lapic *t, u32 mda)
{
	u32 ldr = lapic_get(t, APIC_LDR);

	if (mda == (lapic_x2apic(t) ? LAPIC_X2_BROADCAST : LAPIC_BROADCAST))
		return true;
	if (lapic_x2apic(t))
		return ldr >> 16 == mda >> 16 && (ldr & mda & 0xffff);
	if (mda > 0xff)
		return false;
	ldr = GET_APIC_LOGICAL_ID(ldr);
	switch (lapic_get(t, APIC_DFR)) {
	case APIC_DFR_FLAT:
		return ldr & mda;
	case APIC_DFR_CLUSTER:
		return ldr >> 4 == mda >> 4 && (ldr & mda & 0xf);
	default:
		return false;
	}
}

bool lapic_match_dest(const struct lapic *t, const struct lapic *src,
		      const struct lapic_irq *irq, bool no_quirk)
{
	u32 mda = irq->dest_id;

	switch (irq->shorthand) {
	case APIC_DEST_SELF:
		return t == src;
	case APIC_DEST_ALLINC:
		return true;
	case APIC_DEST_ALLBUT:
		return t != src;
	}
	/*
	 * Without interrupt remapping, 0xff is a device's only way to address all APICs, so x2APICs
	 * take it as a broadcast, too.
	 */
	if (!no_quirk && !src && mda == LAPIC_BROADCAST && lapic_x2apic(t))
		mda = LAPIC_X2_BROADCAST;
	if (irq->dest_mode == APIC_DEST_PHYSICAL)
		return match_physical(t, mda);
	return match_logical(t, mda);
}

/* ---- the map ---- */

size_t lapic_map_size(u32 max_id, u32 nr)
{
	size_t slots = (size_t)max(max_id, LAPIC_BROADCAST) + 1 + nr;

	return sizeof(struct lapic_map) + slots * sizeof(struct lapic *);
}

void lapic_map_init(struct lapic_map *map, u32 max_id, bool no_quirk)
{
	map->max_id = max(max_id, LAPIC_BROADCAST);
	map->all = map->phys + map->max_id + 1;
	map->no_quirk = no_quirk;
}

static void take_logical(struct lapic_map *map, struct lapic **slot, struct lapic *l)
{
	if (*slot)
		map->mode |= LAPIC_MAP_ALIAS;
	*slot = l;
}

static void add_logical(struct lapic_map *map, struct lapic *l)
{
	u32 id = GET_APIC_LOGICAL_ID(lapic_get(l, APIC_LDR));
	u32 i;

	if (lapic_x2apic(l)) {
		map->mode |= LAPIC_MAP_X2APIC;	/* found by the table @phys */
		return;
	}
	if (!id)
		return;
	if (lapic_get(l, APIC_DFR) == APIC_DFR_FLAT) {
		map->mode |= LAPIC_MAP_FLAT;
		for (i = 0; i < 8; i++)
			if (id & BIT(i))
				take_logical(map, &map->flat[i], l);
	} else {
		map->mode |= LAPIC_MAP_CLUSTER;
		for (i = 0; i < 4; i++)
			if (id & BIT(i))
				take_logical(map, &map->cluster[id >> 4][i], l);
		/*
		 * If an APIC is in cluster 0xf or has an invalid DFR, use no table for logical
		 * destinations: lapic_match_dest() has to test every APIC.
		 */
		if (lapic_get(l, APIC_DFR) != APIC_DFR_CLUSTER || id >> 4 == 0xf)
			map->mode |= LAPIC_MAP_ALIAS;
	}
}

void lapic_map_add(struct lapic_map *map, struct lapic *l)
{
	u32 id = l->id;

	if (!lapic_hw_enabled(l))
		return;
	map->all[map->nr++] = l;
	map->xapic |= !lapic_x2apic(l);
	if (!lapic_x2apic(l) && l->id <= 0xff)
		id = lapic_get(l, APIC_ID) >> 24;
	if (id <= map->max_id) {
		if (map->phys[id])
			map->phys_alias = true;
		map->phys[id] = l;
	}
	add_logical(map, l);
}

/*
 * Return the bits n of @want for which @slot[n] holds an APIC. If @x2 is true, the APIC also has to
 * be in x2APIC mode.
 */
static u32 present(struct lapic *const *slot, u32 want, bool x2)
{
	u32 have = 0;

	while (want) {
		u32 bit = want & -want;
		const struct lapic *l = slot[ffs(bit) - 1];

		want &= ~bit;
		if (l && (!x2 || lapic_x2apic(l)))
			have |= bit;
	}
	return have;
}

static void search(const struct lapic_map *map, struct lapic_dests *out)
{
	out->slot = map->all;
	out->nr = map->nr;
	out->mask = 0;
	out->search = true;
}

static void find_physical(const struct lapic_map *map, u32 dest, struct lapic_dests *out)
{
	if (dest > map->max_id)
		return;
	out->slot = &map->phys[array_index_nospec(dest, map->max_id + 1)];
	out->mask = *out->slot ? 1 : 0;
}

static void find_x2_cluster(const struct lapic_map *map, u32 dest, struct lapic_dests *out)
{
	u32 first = (dest >> 16) * 16;
	u32 want = dest & 0xffff;

	if (first > map->max_id)
		return;
	first = array_index_nospec(first, map->max_id + 1);
	if (map->max_id - first < 15)
		want &= GENMASK(map->max_id - first, 0);
	out->slot = &map->phys[first];
	out->mask = present(out->slot, want, true);
}

static bool maybe_broadcast(const struct lapic_map *map, const struct lapic *src, u32 dest)
{
	if (dest == LAPIC_X2_BROADCAST)
		return true;
	if (dest != LAPIC_BROADCAST)
		return false;
	if (map->xapic)
		return true;
	return !src && !map->no_quirk;
}

void lapic_map_find(const struct lapic_map *map, const struct lapic *src,
		    const struct lapic_irq *irq, struct lapic_dests *out)
{
	out->slot = map->all;
	out->mask = 0;
	out->nr = 0;
	out->search = false;
	/*
	 * If two APICs have the same ID (phys_alias), map->phys has only one of them, so test every
	 * APIC instead. This also applies to logical destinations, because find_x2_cluster() uses
	 * map->phys.
	 */
	if (irq->shorthand || map->phys_alias || maybe_broadcast(map, src, irq->dest_id)) {
		search(map, out);
	} else if (irq->dest_mode == APIC_DEST_PHYSICAL) {
		find_physical(map, irq->dest_id, out);
	} else if (map->mode == LAPIC_MAP_X2APIC) {
		find_x2_cluster(map, irq->dest_id, out);
	} else if (irq->dest_id > 0xff) {
		search(map, out);
	} else if (map->mode == LAPIC_MAP_FLAT) {
		out->slot = map->flat;
		out->mask = present(out->slot, irq->dest_id & 0xff, false);
	} else if (map->mode == LAPIC_MAP_CLUSTER) {
		out->slot = map->cluster[irq->dest_id >> 4];
		out->mask = present(out->slot, irq->dest_id & 0xf, false);
	} else {
		search(map, out);
	}
}
