/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory slots: which part of the VMM's address space backs which guest frames.
 *
 * Looked up under vm->srcu, changed under vm->slots_lock. Three indices
 * share the slot objects: a maple tree by gfn range (faults), an xarray by
 * slot id (ioctls) and an interval tree by host address (MMU notifier). A
 * slot object is never changed in place while it can be found, except for
 * its dirty bits: a change installs a new object, bumps the generation,
 * waits for readers and frees the old one.
 */
#ifndef OKVM_CORE_MEMSLOT_H
#define OKVM_CORE_MEMSLOT_H

#include <linux/maple_tree.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "core/types.h"
#include "core/vm.h"

#define OKVM_MEMSLOTS_MAX	32764	/* KVM_CAP_NR_MEMSLOTS */

/**
 * struct okvm_memslot - one slot
 * @base: first guest frame
 * @npages: length in 4 KiB frames, > 0
 * @hva: host virtual address of @base
 * @flags: KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY
 * @id: userspace's slot number
 * @dirty: one bit per frame, set atomically; NULL unless dirty logging is on
 * @hva_node, @hva_last, @hva_subtree: place in okvm_memslots.by_hva, under its lock
 * @hva_nr: slots that begin at the same host address are there in the order of this
 */
struct okvm_memslot {
	gfn_t base;
	u64 npages;
	hva_t hva;
	u32 flags;
	u32 id;
	unsigned long *dirty;
	struct rb_node hva_node;
	unsigned long hva_last;
	unsigned long hva_subtree;
	u64 hva_nr;
};

/**
 * struct okvm_memslots - all slots of a VM
 * @generation: changes with every change of any slot; vCPU caches and MMIO SPTEs compare it.
 *	Bit 0 is set while an update is under way: do not cache then.
 * @by_gfn: slots by frame; read by okvm_slot_find() alone, or under slots_lock
 * @stores: counts the stores into @by_gfn, which readers go by; under slots_lock
 * @npages: sum over all slots, under slots_lock
 * @dirty_manual: KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, KVM_DIRTY_LOG_INITIALLY_SET; under slots_lock
 * @hva_lock: guards @by_hva (slots by host address; they may overlap there) and @hva_version
 * @hva_version: changes when @by_hva does
 * @hva_inserted: counts insertions into @by_hva
 */
struct okvm_memslots {
	u64 generation;
	struct maple_tree by_gfn;
	unsigned long stores;
	struct xarray by_id;
	u64 npages;
	u64 dirty_manual;

	rwlock_t hva_lock;
	struct rb_root_cached by_hva;
	u64 hva_version;
	u64 hva_inserted;
};

/** struct okvm_gfn_span - guest frames [@start, @end) */
struct okvm_gfn_span {
	gfn_t start;
	gfn_t end;
};

/**
 * struct okvm_hva_cursor - where okvm_slots_hva_spans() goes on; zero-initialised at the start
 * @last: the slot given last, while @version is that of the slots
 * @hva, @nr: its place in the order of the tree, which outlives it
 */
struct okvm_hva_cursor {
	struct okvm_memslot *last;
	u64 version;
	hva_t hva;
	u64 nr;
	bool done;
};

/** enum okvm_slot_change - what KVM_SET_USER_MEMORY_REGION asks for */
enum okvm_slot_change {
	OKVM_SLOT_CREATE,
	OKVM_SLOT_DELETE,
	OKVM_SLOT_MOVE,
	OKVM_SLOT_FLAGS,
};

int okvm_memslots_create(struct okvm_vm *vm);
void okvm_memslots_destroy(struct okvm_vm *vm);

/**
 * okvm_set_memory_region() - KVM_SET_USER_MEMORY_REGION(2)
 * Return: 0, -EINVAL, -EEXIST (overlap), -ENOMEM. See Documentation/uapi.rst.
 */
int okvm_set_memory_region(struct okvm_vm *vm, const struct kvm_userspace_memory_region *region);

/** okvm_slot_find() - the slot that holds @gfn, or NULL, never a neighbour. Under vm->srcu. */
struct okvm_memslot *okvm_slot_find(struct okvm_vm *vm, gfn_t gfn);

/** okvm_slot_by_id() - slot by userspace's number, or NULL. Under vm->srcu or slots_lock. */
struct okvm_memslot *okvm_slot_by_id(struct okvm_vm *vm, u32 id);

/** okvm_slots_generation() - for caches; under vm->srcu */
u64 okvm_slots_generation(struct okvm_vm *vm);

/**
 * okvm_slots_hva_spans() - guest frames that host addresses [@start, @end) back
 * @cur: zero-initialised; keeps the position between calls
 * @spans: filled with up to @max spans; slots that share host memory give one span each
 *
 * Call until it returns 0. However often slots change meanwhile, each call goes further: who
 * changes them cannot keep the caller, who may be reclaiming memory for others.
 * Context: any that may take a spinlock; needs no SRCU, spans are copies.
 * Return: number of spans.
 */
int okvm_slots_hva_spans(struct okvm_vm *vm, hva_t start, hva_t end, struct okvm_hva_cursor *cur,
			 struct okvm_gfn_span *spans, int max);

/** okvm_slot_hva() - host address of a frame that is inside @slot */
static inline hva_t okvm_slot_hva(const struct okvm_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/** okvm_mark_dirty() - @gfn of @slot was written by the guest or for it. Any context under srcu. */
void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn);

/**
 * okvm_dirty_manual() - KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 was enabled with @flags
 * Return: 0, or -EINVAL for flags that do not go together
 */
int okvm_dirty_manual(struct okvm_vm *vm, u64 flags);

/** okvm_dirty_alloc() - a dirty bitmap for @slot, all set if userspace chose so. 0 or -ENOMEM */
int okvm_dirty_alloc(struct okvm_vm *vm, struct okvm_memslot *slot);

#endif /* OKVM_CORE_MEMSLOT_H */
