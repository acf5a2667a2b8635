/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory slots: a slot says which memory of the VMM backs a range of guest frames.
 *
 * Readers hold vm->srcu; writers hold vm->slots_lock. Three indices refer to the slot objects: a
 * maple tree by gfn range (for page faults), an xarray by slot id (for ioctls) and an interval tree
 * by host address (for the MMU notifier). While a slot object can be found, only its dirty bits are
 * changed in place. For any other change the writer installs a new object, advances the generation,
 * waits for readers and frees the old object.
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
 * @hva_node, @hva_last, @hva_subtree: node of okvm_memslots.by_hva, under okvm_memslots.hva_lock
 * @hva_nr: sequence number of the insertion into by_hva; orders slots with the same @hva
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
 * @generation: grows with every change of any slot; vCPU caches and MMIO SPTEs record it. Bit 0 is
 *  set while a change is in progress: readers must not cache then.
 * @by_gfn: slots by frame; without slots_lock, only okvm_slot_find() may read it
 * @stores: number of stores into @by_gfn; if it changes, okvm_slot_find() repeats its look-up;
 *  written under slots_lock
 * @npages: sum of the sizes of all slots, under slots_lock
 * @dirty_manual: KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, KVM_DIRTY_LOG_INITIALLY_SET; under slots_lock
 * @hva_lock: guards @by_hva, @hva_version and @hva_inserted
 * @by_hva: slots by host address; their address ranges may overlap
 * @hva_version: grows with each change of @by_hva
 * @hva_inserted: number of insertions into @by_hva so far
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
 * struct okvm_hva_cursor - position of okvm_slots_hva_spans(); the caller zero-initializes it
 * @last: the slot of the last span returned; valid while @version equals okvm_memslots.hva_version
 * @hva, @nr: hva and hva_nr of @last, which are its position in the tree; valid even if the slot is
 *	freed
 */
struct okvm_hva_cursor {
	struct okvm_memslot *last;
	u64 version;
	hva_t hva;
	u64 nr;
	bool done;
};

/** enum okvm_slot_change - kinds of change that KVM_SET_USER_MEMORY_REGION makes to a slot */
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

/** okvm_slot_find() - Return the slot that contains @gfn, or NULL. Under vm->srcu. */
struct okvm_memslot *okvm_slot_find(struct okvm_vm *vm, gfn_t gfn);

/**
 * okvm_slot_by_id() - Return the slot with userspace's number @id. Under vm->srcu or slots_lock.
 */
struct okvm_memslot *okvm_slot_by_id(struct okvm_vm *vm, u32 id);

/**
 * okvm_slots_generation() - Return the generation of the VM's slots. Under vm->srcu.
 *
 * A cache of slot data is valid while this number equals the number stored with the data.
 */
static inline u64 okvm_slots_generation(struct okvm_vm *vm)
{
	/* Pairs with slots_end(): a reader that sees the new generation also sees the new slots. */
	return smp_load_acquire(&rcu_dereference_raw(vm->memslots)->generation);
}

/**
 * okvm_slots_hva_spans() - find the guest frames whose memory is at host addresses [@start, @end)
 * @cur: position of the search; zero-initialized by the caller before the first call
 * @spans: filled with up to @max spans, one for each slot that contains some of the addresses
 *
 * The caller repeats the call until it returns 0. Each call makes progress even if slots change
 * between the calls. So a thread that keeps changing slots cannot delay the caller, which may be
 * reclaiming the host's memory.
 *
 * Context: any that may take a spinlock; needs no SRCU, because the spans are copies.
 * Return: number of spans.
 */
int okvm_slots_hva_spans(struct okvm_vm *vm, hva_t start, hva_t end, struct okvm_hva_cursor *cur,
			 struct okvm_gfn_span *spans, int max);

/** okvm_slot_hva() - Return the host virtual address of @gfn, which must lie inside @slot. */
static inline hva_t okvm_slot_hva(const struct okvm_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/** okvm_mark_dirty() - log that @gfn of @slot was written. Any context, under vm->srcu. */
void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn);

/**
 * okvm_dirty_manual() - enable KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 with @flags
 * Return: 0, or -EINVAL for unknown flags or a combination that is not allowed
 */
int okvm_dirty_manual(struct okvm_vm *vm, u64 flags);

/**
 * okvm_dirty_alloc() - allocate the dirty bitmap of @slot. All bits start set if userspace chose
 * KVM_DIRTY_LOG_INITIALLY_SET. Return: 0 or -ENOMEM
 */
int okvm_dirty_alloc(struct okvm_vm *vm, struct okvm_memslot *slot);

#endif /* OKVM_CORE_MEMSLOT_H */
