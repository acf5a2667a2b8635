/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring of coalesced I/O. Userspace maps it, so its indices may have any value at any time. */
#ifndef OKVM_IRQ_RING_H
#define OKVM_IRQ_RING_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <linux/types.h>

#include <asm/page_types.h>

/**
 * ring_push() - add an entry to the ring
 * @ring: one page, shared with userspace
 * @entry: the entry, which is copied
 *
 * The caller serializes producers. One slot always stays empty, because equal indices mean an empty
 * ring, not a full one.
 *
 * Return: false if the ring is full, or its indices are invalid.
 */
static inline bool ring_push(struct kvm_coalesced_mmio_ring *ring,
			     const struct kvm_coalesced_mmio *entry)
{
	u32 last = READ_ONCE(ring->last), next;

	if (last >= KVM_COALESCED_MMIO_MAX)
		return false;
	last = array_index_nospec(last, KVM_COALESCED_MMIO_MAX);
	next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	if (next == READ_ONCE(ring->first) % KVM_COALESCED_MMIO_MAX)
		return false;
	ring->coalesced_mmio[last] = *entry;
	/* Userspace must see the entry before the index that includes it. */
	smp_wmb();
	WRITE_ONCE(ring->last, next);
	return true;
}

#endif
