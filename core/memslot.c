// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots.
 *
 * Upstream KVM keeps two complete sets of trees and swaps them. It makes each change twice and
 * waits for a grace period. okvm keeps one maple tree by guest frame number, which readers may use
 * while a writer stores into it. A slot object is replaced, never edited. So creating a slot waits
 * for no reader; deleting or moving a slot, or changing its flags, waits for the readers of the old
 * slot.
 *
 * Every change makes the generation odd, updates the slots, and makes the generation even again.
 * Data that was cached under an even generation stays valid while the generation has the same
 * value.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/internal.h"
#include "core/memslot.h"

/* Upper limit of a slot's size, in pages, so that arithmetic with frame numbers cannot overflow. */
#define SLOT_MAX_PAGES	((1UL << 31) - 1)
/* The sum of the sizes of all slots fits in 64 bits, so adding sizes needs no overflow check. */
static_assert(U64_MAX / OKVM_MEMSLOTS_MAX > SLOT_MAX_PAGES);

static unsigned long hva_first(struct okvm_memslot *slot)
{
	return slot->hva;
}

static unsigned long hva_last(struct okvm_memslot *slot)
{
	return slot->hva_last;
}

INTERVAL_TREE_DEFINE(struct okvm_memslot, hva_node, unsigned long, hva_subtree,
		     hva_first, hva_last, static inline, hva_tree)

/*
 * Return the VM's slots. The struct okvm_memslots lives as long as the VM; SRCU (vm->srcu) protects
 * the slots in it.
 */
static struct okvm_memslots *slots_of(struct okvm_vm *vm)
{
	return rcu_dereference_raw(vm->memslots);
}

/*
 * Find the slot of a frame. A writer may move the border between two ranges of the maple tree
 * during the look-up. A look-up first reads the borders of a range, then the slot of the range. If
 * one store comes between these two reads, the look-up finds the old slot or the new one. If two
 * stores come between them, it may find a neighboring slot. So repeat the look-up if slots->stores,
 * the count of stores, has changed.
 */
struct okvm_memslot *okvm_slot_find(struct okvm_vm *vm, gfn_t gfn)
{
	struct okvm_memslots *slots = slots_of(vm);
	struct okvm_memslot *slot;
	unsigned long stores;

	do {
		/*
		 * Pairs with slot_store(), which increments the count before it stores into the
		 * tree. So a reader of the count sees all stores that are counted, except perhaps
		 * the last one.
		 */
		stores = smp_load_acquire(&slots->stores);
		slot = mtree_load(&slots->by_gfn, gfn);
		/*
		 * Pairs with slot_store(): if mtree_load() saw a store, the value of slots->stores
		 * that is read below includes that store.
		 */
		smp_rmb();
	} while (unlikely(READ_ONCE(slots->stores) != stores));
	/* The subtraction is unsigned: a gfn below the slot's base wraps and exceeds npages. */
	if (OKVM_BUG_ON(vm, slot && gfn - slot->base >= slot->npages))
		return NULL;
	return slot;
}

struct okvm_memslot *okvm_slot_by_id(struct okvm_vm *vm, u32 id)
{
	return xa_load(&slots_of(vm)->by_id, id);
}

static void slots_begin(struct okvm_vm *vm)
{
	struct okvm_memslots *slots = slots_of(vm);

	lockdep_assert_held(&vm->slots_lock);
	WRITE_ONCE(slots->generation, slots->generation + 1);
	/* Pairs with okvm_slots_generation(): the generation is odd before any slot changes. */
	smp_wmb();
}

static void slots_end(struct okvm_vm *vm)
{
	struct okvm_memslots *slots = slots_of(vm);

	/* Also called when the slot change has failed: the generation advances in any case. */
	okvm_mmu_generation_changes(vm, slots->generation + 1);
	/* Release: a reader that sees the new generation also sees the changed slots. */
	smp_store_release(&slots->generation, slots->generation + 1);
}

static void slot_hva_insert(struct okvm_memslots *slots, struct okvm_memslot *slot)
{
	write_lock(&slots->hva_lock);
	/*
	 * Slots may begin at the same host address. hva_nr orders such slots in the tree by the
	 * time of their insertion.
	 */
	slot->hva_nr = ++slots->hva_inserted;
	hva_tree_insert(slot, &slots->by_hva);
	slots->hva_version++;
	write_unlock(&slots->hva_lock);
}

static void slot_hva_remove(struct okvm_memslots *slots, struct okvm_memslot *slot)
{
	write_lock(&slots->hva_lock);
	hva_tree_remove(slot, &slots->by_hva);
	slots->hva_version++;
	write_unlock(&slots->hva_lock);
}

/*
 * Find the first slot after the position of @cur, in the order of slots->by_hva. Called if
 * slots->by_hva has changed since the last batch of spans, so that @cur->last is no longer valid.
 *
 * Descend from the root of the tree. To step over all earlier slots instead would be too slow:
 * userspace can change a slot before each batch, and may have 32,764 slots at the same address.
 * Then the time of the search, which the host's memory reclaim waits for, would grow with the
 * square of the number of slots.
 */
static struct okvm_memslot *hva_behind(struct okvm_memslots *slots,
				       const struct okvm_hva_cursor *cur)
{
	struct rb_node *node = slots->by_hva.rb_root.rb_node;
	struct okvm_memslot *slot, *found = NULL;

	while (node) {
		slot = rb_entry(node, struct okvm_memslot, hva_node);
		if (slot->hva < cur->hva || (slot->hva == cur->hva && slot->hva_nr <= cur->nr)) {
			node = node->rb_right;
		} else {
			found = slot;
			node = node->rb_left;
		}
	}
	return found;
}

/*
 * Return the first slot that overlaps host addresses [@start, @last] and comes after the slots that
 * @cur has passed, in the order of slots->by_hva.
 */
static struct okvm_memslot *hva_resume(struct okvm_memslots *slots,
				       const struct okvm_hva_cursor *cur, hva_t start, hva_t last)
{
	struct okvm_memslot *slot;

	if (!cur->nr)
		return hva_tree_iter_first(&slots->by_hva, start, last);
	if (cur->version == slots->hva_version)
		return hva_tree_iter_next(cur->last, start, last);
	slot = hva_behind(slots, cur);
	if (!slot || slot->hva > last)
		return NULL;
	return slot->hva_last >= start ? slot : hva_tree_iter_next(slot, start, last);
}

int okvm_slots_hva_spans(struct okvm_vm *vm, hva_t start, hva_t end, struct okvm_hva_cursor *cur,
			 struct okvm_gfn_span *spans, int max)
{
	struct okvm_memslots *slots = slots_of(vm);
	struct okvm_memslot *slot;
	int n = 0;

	if (cur->done)
		return 0;
	read_lock(&slots->hva_lock);
	slot = hva_resume(slots, cur, start, end - 1);
	for (; slot && n < max; slot = hva_tree_iter_next(slot, start, end - 1)) {
		hva_t first = max(start, slot->hva);
		hva_t last = min(end - 1, slot->hva_last);

		spans[n].start = slot->base + ((first - slot->hva) >> PAGE_SHIFT);
		spans[n].end = slot->base + ((last - slot->hva) >> PAGE_SHIFT) + 1;
		cur->last = slot;
		cur->hva = slot->hva;
		cur->nr = slot->hva_nr;
		n++;
	}
	cur->done = !slot;
	cur->version = slots->hva_version;
	read_unlock(&slots->hva_lock);
	return n;
}

static gfn_t slot_last(const struct okvm_memslot *slot)
{
	return slot->base + slot->npages - 1;
}

/*
 * Make @slot (NULL: no slot) the owner of frames [@first, @last]. All stores into slots->by_gfn are
 * made here.
 */
static int slot_store(struct okvm_vm *vm, gfn_t first, gfn_t last, struct okvm_memslot *slot,
		      gfp_t gfp)
{
	struct okvm_memslots *slots = slots_of(vm);

	lockdep_assert_held(&vm->slots_lock);
	/*
	 * Release: a reader that sees the new count also sees all earlier stores into the tree.
	 * Pairs with smp_load_acquire() in okvm_slot_find().
	 */
	smp_store_release(&slots->stores, slots->stores + 1);
	/* A reader that sees the store into the tree must also see the new count. */
	smp_wmb();
	return mtree_store_range(&slots->by_gfn, first, last, slot, gfp);
}

/* Let okvm_slot_find() find @slot. No other slot has its frames, except one that @slot replaces. */
static int slot_publish(struct okvm_vm *vm, struct okvm_memslot *slot, gfp_t gfp)
{
	return slot_store(vm, slot->base, slot_last(slot), slot, gfp);
}

static int slot_hide(struct okvm_vm *vm, struct okvm_memslot *slot)
{
	return slot_store(vm, slot->base, slot_last(slot), NULL, GFP_KERNEL_ACCOUNT);
}

static void slot_free(struct okvm_memslot *slot)
{
	kvfree(slot->dirty);
	kfree(slot);
}

static void slot_commit(struct okvm_vm *vm, const struct okvm_memslot *new,
			enum okvm_slot_change change)
{
	okvm_mmu_slot_commit(vm, new, change);
	if (new)
		okvm_arch_slots_changed(vm);
}

static bool slot_overlaps(struct okvm_memslots *slots, const struct okvm_memslot *new)
{
	unsigned long at = new->base;
	unsigned long last = new->base + new->npages - 1;
	struct okvm_memslot *other;

	for (other = mt_find(&slots->by_gfn, &at, last); other;
	     other = mt_find_after(&slots->by_gfn, &at, last)) {
		if (other->id != new->id)
			return true;
	}
	return false;
}

static int slot_create(struct okvm_vm *vm, struct okvm_memslot *new)
{
	struct okvm_memslots *slots = slots_of(vm);
	int ret;

	ret = xa_reserve(&slots->by_id, new->id, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	ret = okvm_mmu_slot_prepare(vm, new, OKVM_SLOT_CREATE);
	if (ret)
		goto err_reserve;

	/*
	 * Insert the slot by host address before look-ups by frame can find it. Once a page fault
	 * can map the slot's memory, the MMU notifier must be able to find the slot.
	 */
	slot_hva_insert(slots, new);
	slots_begin(vm);
	ret = slot_publish(vm, new, GFP_KERNEL_ACCOUNT);
	slots_end(vm);
	if (ret)
		goto err_hva;
	xa_store(&slots->by_id, new->id, new, GFP_KERNEL_ACCOUNT);
	slots->npages += new->npages;
	slot_commit(vm, new, OKVM_SLOT_CREATE);
	return 0;

err_hva:
	slot_hva_remove(slots, new);
err_reserve:
	xa_release(&slots->by_id, new->id);
	return ret;
}

/*
 * Remove @old in three steps: hide it from look-ups by frame and by id, wait for SRCU readers that
 * may still use it, and zap its mappings in the page tables. Look-ups by id then find @new (NULL:
 * nothing). @old stays in slots->by_hva until its mappings are zapped, because the MMU notifier
 * must find it until then.
 */
static int slot_vanish(struct okvm_vm *vm, struct okvm_memslot *old, struct okvm_memslot *new)
{
	struct okvm_memslots *slots = slots_of(vm);
	int ret;

	ret = slot_hide(vm, old);
	if (ret)
		return ret;
	if (new)
		xa_store(&slots->by_id, old->id, new, GFP_KERNEL_ACCOUNT);
	else
		xa_erase(&slots->by_id, old->id);
	synchronize_srcu_expedited(&vm->srcu);
	okvm_mmu_slot_flush(vm, old);
	slot_hva_remove(slots, old);
	return 0;
}

static int slot_delete(struct okvm_vm *vm, struct okvm_memslot *old)
{
	int ret;

	ret = okvm_mmu_slot_prepare(vm, NULL, OKVM_SLOT_DELETE);
	if (ret)
		return ret;
	slots_begin(vm);
	ret = slot_vanish(vm, old, NULL);
	slots_end(vm);
	if (ret)
		return ret;
	slots_of(vm)->npages -= old->npages;
	slot_commit(vm, NULL, OKVM_SLOT_DELETE);
	slot_free(old);
	return 0;
}

static int slot_move(struct okvm_vm *vm, struct okvm_memslot *old, struct okvm_memslot *new)
{
	struct okvm_memslots *slots = slots_of(vm);
	int ret;

	ret = okvm_mmu_slot_prepare(vm, new, OKVM_SLOT_MOVE);
	if (ret)
		return ret;
	slots_begin(vm);
	ret = slot_vanish(vm, old, new);
	if (ret)
		goto err_begin;
	slot_hva_insert(slots, new);
	/*
	 * The old slot is gone, so this store must not fail. __GFP_NOFAIL is safe: the store
	 * allocates only a few small tree nodes.
	 */
	ret = slot_publish(vm, new, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	OKVM_BUG_ON(vm, ret);
	slots_end(vm);
	slot_commit(vm, new, OKVM_SLOT_MOVE);
	slot_free(old);
	return 0;

err_begin:
	slots_end(vm);
	return ret;
}

static int slot_reflag(struct okvm_vm *vm, struct okvm_memslot *old, struct okvm_memslot *new)
{
	struct okvm_memslots *slots = slots_of(vm);
	int ret;

	ret = okvm_mmu_slot_prepare(vm, new, OKVM_SLOT_FLAGS);
	if (ret)
		return ret;
	slot_hva_insert(slots, new);
	slots_begin(vm);
	ret = slot_publish(vm, new, GFP_KERNEL_ACCOUNT);
	slots_end(vm);
	if (ret) {
		slot_hva_remove(slots, new);
		return ret;
	}
	xa_store(&slots->by_id, new->id, new, GFP_KERNEL_ACCOUNT);
	/* Wait for page faults that use the old flags before the page tables get the new flags. */
	synchronize_srcu_expedited(&vm->srcu);
	slot_commit(vm, new, OKVM_SLOT_FLAGS);
	slot_hva_remove(slots, old);
	slot_free(old);
	return 0;
}

/* Check what does not depend on existing slots. Return an error text, or NULL if all is valid. */
static const char *region_fault(const struct kvm_userspace_memory_region *region)
{
	u64 end;

	if (region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return "memory region: unknown flags";
	if (region->memory_size & ~PAGE_MASK)
		return "memory region: memory_size is not a multiple of 4096";
	if (region->guest_phys_addr & ~PAGE_MASK)
		return "memory region: guest_phys_addr is not a multiple of 4096";
	if (region->userspace_addr & ~PAGE_MASK)
		return "memory region: userspace_addr is not a multiple of 4096";
	if (region->userspace_addr != untagged_addr(region->userspace_addr) ||
	    !access_ok((void __user *)(unsigned long)region->userspace_addr, region->memory_size))
		return "memory region: userspace_addr and size are not an address of userspace";
	/* Bits 31:16 of the slot number select an address space; okvm has only space 0. */
	if (region->slot >= OKVM_MEMSLOTS_MAX)
		return "memory region: the slot is not below KVM_CAP_NR_MEMSLOTS";
	if (check_add_overflow(region->guest_phys_addr, region->memory_size, &end))
		return "memory region: guest_phys_addr plus size wraps";
	if (region->memory_size >> PAGE_SHIFT > SLOT_MAX_PAGES)
		return "memory region: larger than a slot can be";
	return NULL;
}

/*
 * Find out how the requested @region changes slot @old. Return: enum okvm_slot_change, -EINVAL, or
 * -EALREADY if there is nothing to change
 */
static int region_change(struct okvm_vm *vm, const struct okvm_memslot *old,
			 const struct kvm_userspace_memory_region *region)
{
	u64 npages = region->memory_size >> PAGE_SHIFT;

	if (!npages)
		return old ? OKVM_SLOT_DELETE :
			     okvm_refuse(vm, "memory region: no such slot to delete");
	if (!old)
		return OKVM_SLOT_CREATE;
	if (npages != old->npages)
		return okvm_refuse(vm, "memory region: the size of a slot cannot change");
	if (region->userspace_addr != old->hva)
		return okvm_refuse(vm, "memory region: the userspace_addr of a slot cannot change");
	if ((region->flags ^ old->flags) & KVM_MEM_READONLY)
		return okvm_refuse(vm, "memory region: KVM_MEM_READONLY of a slot cannot change");
	if (region->guest_phys_addr >> PAGE_SHIFT != old->base)
		return OKVM_SLOT_MOVE;
	return region->flags != old->flags ? OKVM_SLOT_FLAGS : -EALREADY;
}

static struct okvm_memslot *slot_alloc(struct okvm_vm *vm,
				       const struct kvm_userspace_memory_region *region)
{
	struct okvm_memslot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return ERR_PTR(-ENOMEM);
	slot->id = region->slot;
	slot->flags = region->flags;
	slot->base = region->guest_phys_addr >> PAGE_SHIFT;
	slot->npages = region->memory_size >> PAGE_SHIFT;
	slot->hva = region->userspace_addr;
	slot->hva_last = region->userspace_addr + region->memory_size - 1;
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES && okvm_dirty_alloc(vm, slot)) {
		kfree(slot);
		return ERR_PTR(-ENOMEM);
	}
	return slot;
}

static int slot_apply(struct okvm_vm *vm, struct okvm_memslot *old, struct okvm_memslot *new,
		      enum okvm_slot_change change)
{
	if (change == OKVM_SLOT_CREATE)
		return slot_create(vm, new);
	if (change == OKVM_SLOT_MOVE)
		return slot_move(vm, old, new);
	return slot_reflag(vm, old, new);
}

static int region_set_locked(struct okvm_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct okvm_memslots *slots = slots_of(vm);
	struct okvm_memslot *old = okvm_slot_by_id(vm, region->slot);
	struct okvm_memslot *new;
	int change, ret;

	change = region_change(vm, old, region);
	if (change < 0)
		return change == -EALREADY ? 0 : change;
	if (change == OKVM_SLOT_DELETE)
		return slot_delete(vm, old);

	new = slot_alloc(vm, region);
	if (IS_ERR(new))
		return PTR_ERR(new);
	if (change != OKVM_SLOT_FLAGS && slot_overlaps(slots, new))
		ret = okvm_refuse_exists(vm, "memory region: overlaps another slot");
	else
		ret = slot_apply(vm, old, new, change);
	if (ret == -EINVAL)
		okvm_refuse(vm, "memory region: beyond guest-physical memory");
	if (ret) {
		kvfree(new->dirty);
		kfree(new);
	}
	return ret;
}

int okvm_set_memory_region(struct okvm_vm *vm, const struct kvm_userspace_memory_region *region)
{
	const char *fault = region_fault(region);
	int ret;

	if (fault)
		return okvm_refuse(vm, fault);
	mutex_lock(&vm->slots_lock);
	ret = region_set_locked(vm, region);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

/* ---- OKVM_SET_MEMORY_REGIONS: changing several slots at once ---- */

/*
 * Everything is checked and allocated before the first step that readers can see, so no such step
 * can fail. New slots are stored over old ones, range by range. So a look-up of a frame that is in
 * an old slot and in a new one always succeeds: it returns one of the two slots. The frame's
 * mappings in the page tables stay if the new slot backs the frame with the same host memory.
 */

/**
 * struct slot_change - one slot's change in a set of changes
 * @old: the slot that has the slot number before the change, or NULL
 * @new: the slot that has the slot number after the change, or NULL
 */
struct slot_change {
	struct okvm_memslot *old;
	struct okvm_memslot *new;
};

struct slot_set {
	struct okvm_vm *vm;
	unsigned int n;
	struct slot_change at[OKVM_REGIONS_MAX];
};

/*
 * Part of the old slot @old in a change of slots: the frames @at to @last. After the change the
 * slot @new has all of these frames; if @new is NULL, no slot has any of them.
 */
struct slot_piece {
	const struct okvm_memslot *old;
	struct okvm_memslot *new;
	gfn_t at;
	gfn_t last;
};

/*
 * Set @piece to the next part of @old, which begins after frame @piece->last. A part is as long as
 * possible, but either one new slot has all its frames, or no new slot has any of them. To get the
 * first part, the caller sets @piece->last to the frame before @old. Return false if there is no
 * further part.
 */
static bool piece_next(const struct slot_set *set, const struct okvm_memslot *old,
		       struct slot_piece *piece)
{
	struct okvm_memslot *new;
	unsigned int i;

	if (piece->last == slot_last(old))
		return false;
	*piece = (struct slot_piece){ old, NULL, piece->last + 1, slot_last(old) };
	for (i = 0; i < set->n; i++) {
		new = set->at[i].new;
		if (!new || piece->at > slot_last(new) || piece->last < new->base)
			continue;
		if (piece->at < new->base) {
			piece->last = min(piece->last, new->base - 1);
			continue;
		}
		piece->new = new;
		piece->last = min(piece->last, slot_last(new));
		break;
	}
	return true;
}

#define for_each_piece(piece, set, old)					\
	for (*(piece) = (struct slot_piece){ .last = (old)->base - 1 };	\
	     piece_next(set, old, piece); )

/* Return true if the new slot backs the frames of @piece with the same memory and access rights. */
static bool piece_stays(const struct slot_piece *piece)
{
	return piece->new && !((piece->new->flags ^ piece->old->flags) & KVM_MEM_READONLY) &&
	       okvm_slot_hva(piece->new, piece->at) == okvm_slot_hva(piece->old, piece->at);
}

static bool piece_keeps_dirty(const struct slot_piece *piece)
{
	return piece_stays(piece) && piece->old->dirty && piece->new->dirty;
}

/*
 * Copy the old slot's dirty bits into the new slot's bitmap. vCPUs set bits of the new bitmap at
 * the same time, so set each bit atomically. No thread sets bits of the old bitmap any more.
 */
static void piece_carry_dirty(const struct slot_piece *piece)
{
	unsigned long end = piece->last - piece->old->base + 1;
	unsigned long bit = piece->at - piece->old->base;

	for (bit = find_next_bit(piece->old->dirty, end, bit); bit < end;
	     bit = find_next_bit(piece->old->dirty, end, bit + 1)) {
		set_bit(piece->old->base + bit - piece->new->base, piece->new->dirty);
		if (!(bit & 0xfff))
			cond_resched();
	}
}

/*
 * If a huge page begins before @piece and contains the first frame of @piece, zap it. A huge page
 * must not contain frames of two slots, because the flags of the slots may differ.
 */
static void piece_split_huge(struct okvm_vm *vm, const struct slot_piece *piece)
{
	struct okvm_memslot edge = { .base = piece->at, .npages = 1 };

	if (piece->at != piece->old->base && piece->at & ((SZ_1G >> PAGE_SHIFT) - 1))
		okvm_mmu_slot_flush(vm, &edge);
}

/*
 * Update the page tables for one range of frames (struct slot_piece). Called after the SRCU grace
 * period: look-ups find the new slots, and no reader uses an old slot any more.
 */
static void piece_follow(struct okvm_vm *vm, const struct slot_piece *piece)
{
	struct okvm_memslot part = {
		.base = piece->at,
		.npages = piece->last - piece->at + 1,
	};

	if (!piece_stays(piece)) {
		okvm_mmu_slot_flush(vm, &part);
		return;
	}
	part.hva = okvm_slot_hva(piece->new, piece->at);
	part.flags = piece->new->flags;
	piece_split_huge(vm, piece);
	if (piece_keeps_dirty(piece))
		piece_carry_dirty(piece);
	else if (piece->old->dirty || piece->new->dirty)
		okvm_mmu_slot_commit(vm, &part, OKVM_SLOT_FLAGS);
}

static bool set_has_old(const struct slot_set *set, const struct okvm_memslot *slot)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (set->at[i].old == slot)
			return true;
	return false;
}

/*
 * Return true if the new slot set->at[@nr].new overlaps an earlier new slot of the set, or an
 * existing slot that the set does not replace.
 */
static bool set_overlaps(const struct slot_set *set, unsigned int nr)
{
	const struct okvm_memslot *new = set->at[nr].new;
	struct okvm_memslot *other;
	unsigned long at = new->base;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		other = set->at[i].new;
		if (other && other->base <= slot_last(new) && new->base <= slot_last(other))
			return true;
	}
	for (other = mt_find(&slots_of(set->vm)->by_gfn, &at, slot_last(new)); other;
	     other = mt_find_after(&slots_of(set->vm)->by_gfn, &at, slot_last(new)))
		if (!set_has_old(set, other))
			return true;
	return false;
}

/* Return the number of pages that all slots of the VM will have after the change @set. */
static u64 set_npages(const struct slot_set *set)
{
	u64 total = slots_of(set->vm)->npages;
	unsigned int i;

	for (i = 0; i < set->n; i++) {
		total -= set->at[i].old ? set->at[i].old->npages : 0;
		total += set->at[i].new ? set->at[i].new->npages : 0;
	}
	return total;
}

static void set_free_new(struct slot_set *set)
{
	unsigned int i;

	for (i = 0; i < set->n; i++) {
		if (!set->at[i].new)
			continue;
		if (!set->at[i].old)
			xa_release(&slots_of(set->vm)->by_id, set->at[i].new->id);
		slot_free(set->at[i].new);
	}
}

/* Add one region to the set. It replaces the slot with this number, which may differ in size. */
static int set_add(struct slot_set *set, const struct kvm_userspace_memory_region *region)
{
	struct slot_change *change = &set->at[set->n];
	int err;

	*change = (struct slot_change){ .old = okvm_slot_by_id(set->vm, region->slot) };
	if (!change->old && !region->memory_size)
		return okvm_refuse(set->vm, "memory regions: no such slot to delete");
	if (region->memory_size) {
		change->new = slot_alloc(set->vm, region);
		if (IS_ERR(change->new))
			return PTR_ERR(change->new);
	}
	if (change->new && !change->old) {
		err = xa_reserve(&slots_of(set->vm)->by_id, region->slot, GFP_KERNEL_ACCOUNT);
		if (err) {
			slot_free(change->new);
			return err;
		}
	}
	set->n++;
	return 0;
}

static int set_check(struct slot_set *set)
{
	struct slot_piece piece;
	unsigned int i;
	int err;

	for (i = 0; i < set->n; i++) {
		if (!set->at[i].new)
			continue;
		if (set_overlaps(set, i))
			return okvm_refuse_exists(set->vm, "memory regions: two slots overlap");
		err = okvm_mmu_slot_prepare(set->vm, set->at[i].new, OKVM_SLOT_CREATE);
		if (err)
			return okvm_refuse(set->vm, "memory regions: beyond guest-physical memory");
	}
	/*
	 * With KVM_DIRTY_LOG_INITIALLY_SET a new bitmap starts with all bits set. If the old slot
	 * has also logged a frame, clear the frame's bit: piece_carry_dirty() is going to copy the
	 * bit from the old bitmap.
	 */
	for (i = 0; i < set->n; i++) {
		if (!set->at[i].old)
			continue;
		for_each_piece(&piece, set, set->at[i].old)
			if (piece_keeps_dirty(&piece))
				bitmap_clear(piece.new->dirty, piece.at - piece.new->base,
					     piece.last - piece.at + 1);
	}
	return 0;
}

static void set_store(struct okvm_vm *vm, gfn_t first, gfn_t last, struct okvm_memslot *slot)
{
	int ret = slot_store(vm, first, last, slot, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);

	OKVM_BUG_ON(vm, ret);
}

static void set_publish(struct slot_set *set)
{
	struct okvm_memslots *slots = slots_of(set->vm);
	struct slot_piece piece;
	unsigned int i;

	for (i = 0; i < set->n; i++) {
		struct okvm_memslot *new = set->at[i].new;

		if (!new) {
			xa_erase(&slots->by_id, set->at[i].old->id);
			continue;
		}
		set_store(set->vm, new->base, slot_last(new), new);
		xa_store(&slots->by_id, new->id, new, GFP_KERNEL_ACCOUNT);
	}
	for (i = 0; i < set->n; i++) {
		if (!set->at[i].old)
			continue;
		for_each_piece(&piece, set, set->at[i].old)
			if (!piece.new)
				set_store(set->vm, piece.at, piece.last, NULL);
	}
}

static void set_follow(struct slot_set *set)
{
	struct slot_piece piece;
	unsigned int i;

	for (i = 0; i < set->n; i++) {
		if (!set->at[i].old)
			continue;
		for_each_piece(&piece, set, set->at[i].old)
			piece_follow(set->vm, &piece);
		slot_hva_remove(slots_of(set->vm), set->at[i].old);
		slot_free(set->at[i].old);
	}
	for (i = 0; i < set->n; i++)
		if (set->at[i].new)
			okvm_mmu_slot_commit(set->vm, set->at[i].new, OKVM_SLOT_CREATE);
	okvm_arch_slots_changed(set->vm);
}

static void set_apply(struct slot_set *set)
{
	struct okvm_memslots *slots = slots_of(set->vm);
	unsigned int i;

	slots->npages = set_npages(set);
	for (i = 0; i < set->n; i++)
		if (set->at[i].new)
			slot_hva_insert(slots, set->at[i].new);
	slots_begin(set->vm);
	set_publish(set);
	/*
	 * Wait for all readers before the generation becomes even. Otherwise a reader could take
	 * the address from an old slot, then read the new even generation in the same SRCU section,
	 * and cache the address as valid in the new generation.
	 */
	synchronize_srcu_expedited(&set->vm->srcu);
	slots_end(set->vm);
	set_follow(set);
}

static int set_build(struct slot_set *set, const struct kvm_userspace_memory_region *regions,
		     u32 nr)
{
	u32 i;
	int err;

	for (i = 0; i < nr; i++) {
		err = set_add(set, &regions[i]);
		if (err)
			return err;
	}
	return set_check(set);
}

/*
 * Check @regions as far as this does not depend on existing slots. Return an error text, or NULL if
 * all is valid.
 */
static const char *regions_fault(const struct kvm_userspace_memory_region *regions, u32 nr)
{
	const char *fault;
	u32 i, j;

	for (i = 0; i < nr; i++) {
		fault = region_fault(&regions[i]);
		if (fault)
			return fault;
		for (j = 0; j < i; j++)
			if (regions[j].slot == regions[i].slot)
				return "memory regions: the same slot twice";
	}
	return NULL;
}

static int regions_set(struct okvm_vm *vm, const struct kvm_userspace_memory_region *regions,
		       u32 nr)
{
	const char *fault = regions_fault(regions, nr);
	struct slot_set *set;
	int err;

	if (fault)
		return okvm_refuse(vm, fault);
	set = kzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);
	if (!set)
		return -ENOMEM;
	set->vm = vm;
	mutex_lock(&vm->slots_lock);
	err = set_build(set, regions, nr);
	if (err)
		set_free_new(set);
	else
		set_apply(set);
	mutex_unlock(&vm->slots_lock);
	kfree(set);
	return err;
}

long okvm_set_memory_regions(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct okvm_memory_regions *from = arg.data;
	struct kvm_userspace_memory_region *regions;
	int err;

	if (!from->nr || from->nr > OKVM_REGIONS_MAX)
		return okvm_refuse(vm, "memory regions: nr is 0 or above OKVM_REGIONS_MAX");
	if (from->pad)
		return okvm_refuse(vm, "memory regions: pad is not 0");
	regions = memdup_user(u64_to_user_ptr(from->regions), from->nr * sizeof(*regions));
	if (IS_ERR(regions))
		return PTR_ERR(regions);
	err = regions_set(vm, regions, from->nr);
	kfree(regions);
	return err;
}

int okvm_memslots_create(struct okvm_vm *vm)
{
	struct okvm_memslots *slots = kzalloc(sizeof(*slots), GFP_KERNEL_ACCOUNT);

	if (!slots)
		return -ENOMEM;
	/*
	 * The first generation is even (no change in progress), and not 0, so that a zeroed cache
	 * entry never matches it.
	 */
	slots->generation = 2;
	mt_init_flags(&slots->by_gfn, MT_FLAGS_USE_RCU);
	xa_init(&slots->by_id);
	rwlock_init(&slots->hva_lock);
	slots->by_hva = RB_ROOT_CACHED;
	rcu_assign_pointer(vm->memslots, slots);
	return 0;
}

void okvm_memslots_destroy(struct okvm_vm *vm)
{
	struct okvm_memslots *slots = slots_of(vm);
	struct okvm_memslot *slot;
	unsigned long id;

	if (!slots)
		return;
	xa_for_each(&slots->by_id, id, slot) {
		slot_free(slot);
		cond_resched();
	}
	xa_destroy(&slots->by_id);
	/* No reader is left, so switch RCU mode off: mtree_destroy() then frees nodes at once. */
	mt_clear_in_rcu(&slots->by_gfn);
	mtree_destroy(&slots->by_gfn);
	RCU_INIT_POINTER(vm->memslots, NULL);
	kfree(slots);
}
