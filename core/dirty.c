// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log has one bit per frame of a slot. The bit is set when the frame is written, and
 * userspace collects the bits.
 *
 * KVM_GET_DIRTY_LOG reads and clears the bits, write-protects their frames again, and flushes the
 * TLBs once before it returns. Until that flush the guest may write to these frames through a stale
 * translation. No such write is lost: userspace copies the frames after the ioctl has returned.
 * With KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, KVM_GET_DIRTY_LOG only copies the bits;
 * KVM_CLEAR_DIRTY_LOG clears them, write-protects their frames and flushes. Upstream KVM keeps a
 * second bitmap per slot as a buffer; okvm uses one page as a buffer, for 32,768 frames at a time.
 */
#include <linux/bitmap.h>
#include <linux/compat.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/internal.h"
#include "core/memslot.h"

#define DIRTY_CHUNK	(PAGE_SIZE / sizeof(long))	/* bitmap words copied per round */

static unsigned long dirty_words(u64 npages)
{
	return DIV_ROUND_UP(npages, BITS_PER_LONG);
}

static u64 dirty_manual(struct okvm_vm *vm)
{
	return rcu_dereference_protected(vm->memslots,
					 lockdep_is_held(&vm->slots_lock))->dirty_manual;
}

int okvm_dirty_manual(struct okvm_vm *vm, u64 flags)
{
	if (flags & ~(u64)(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET))
		return okvm_refuse(vm, "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: unknown flags");
	if ((flags & KVM_DIRTY_LOG_INITIALLY_SET) && !(flags & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
		return okvm_refuse(vm, "DIRTY_LOG_PROTECT2: INITIALLY_SET without ENABLE");
	mutex_lock(&vm->slots_lock);
	rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock))->dirty_manual =
		flags;
	mutex_unlock(&vm->slots_lock);
	return 0;
}

int okvm_dirty_alloc(struct okvm_vm *vm, struct okvm_memslot *slot)
{
	lockdep_assert_held(&vm->slots_lock);
	slot->dirty = __vmalloc(array_size(dirty_words(slot->npages), sizeof(long)),
				GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!slot->dirty)
		return -ENOMEM;
	if (dirty_manual(vm) & KVM_DIRTY_LOG_INITIALLY_SET)
		bitmap_set(slot->dirty, 0, slot->npages);
	return 0;
}

void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn)
{
	unsigned long *dirty = slot->dirty;

	if (!dirty)
		return;
	/*
	 * The bit is usually set already, so test it first, to avoid dirtying its cache line. The
	 * caller has written the frame. The barrier orders this write before the test. So if
	 * another thread clears the bit after the test and then copies the frame, it sees the
	 * write.
	 */
	smp_mb();
	if (!test_bit(gfn - slot->base, dirty))
		set_bit(gfn - slot->base, dirty);
}

static struct okvm_memslot *dirty_slot(struct okvm_vm *vm, u32 id)
{
	struct okvm_memslot *slot;

	if (id >= OKVM_MEMSLOTS_MAX)
		return ERR_PTR(okvm_refuse(vm, "dirty log: slot not below KVM_CAP_NR_MEMSLOTS"));
	slot = okvm_slot_by_id(vm, id);
	if (!slot || !slot->dirty)
		return ERR_PTR(-ENOENT);
	return slot;
}

/*
 * Move the bits of words [@first, @first + @n) to @out, and write-protect the frames of set bits.
 * Return whether any bit was set.
 */
static bool dirty_take(struct okvm_vm *vm, struct okvm_memslot *slot, unsigned long first,
		       unsigned long n, unsigned long *out)
{
	unsigned long i;
	bool any = false;

	for (i = 0; i < n; i++) {
		unsigned long *word = &slot->dirty[first + i];

		out[i] = READ_ONCE(*word) ? xchg(word, 0) : 0;
		if (!out[i])
			continue;
		any = true;
		okvm_mmu_dirty_protect(vm, slot->base + (first + i) * BITS_PER_LONG, out[i]);
	}
	return any;
}

static int dirty_get_taking(struct okvm_vm *vm, struct okvm_memslot *slot,
			    unsigned long __user *to, unsigned long *page)
{
	unsigned long words = dirty_words(slot->npages);
	unsigned long first, n;
	bool flush = false;
	int ret = 0;

	for (first = 0; first < words && !ret; first += n) {
		n = min_t(unsigned long, words - first, DIRTY_CHUNK);
		flush |= dirty_take(vm, slot, first, n, page);
		if (copy_to_user(to + first, page, n * sizeof(long)))
			ret = -EFAULT;
		cond_resched();
	}
	/*
	 * Flush even after a failed copy: the bits are cleared, so the next write must fault and
	 * set the bit again.
	 */
	if (flush)
		okvm_mmu_flush_vm(vm);
	return ret;
}

/*
 * Return the pointer that userspace has passed in a 64-bit field. A 32-bit process sets only half
 * of the field; the other half may be garbage.
 */
static void __user *dirty_user(void __user *ptr)
{
	return in_compat_syscall() ? compat_ptr(ptr_to_compat(ptr)) : ptr;
}

static int dirty_get_locked(struct okvm_vm *vm, const struct kvm_dirty_log *log)
{
	struct okvm_memslot *slot = dirty_slot(vm, log->slot);
	void __user *to = dirty_user(log->dirty_bitmap);
	unsigned long *page;
	int ret;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (dirty_manual(vm) & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		return copy_to_user(to, slot->dirty,
				    dirty_words(slot->npages) * sizeof(long)) ? -EFAULT : 0;
	page = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	ret = dirty_get_taking(vm, slot, to, page);
	free_page((unsigned long)page);
	return ret;
}

long okvm_get_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	int ret;

	mutex_lock(&vm->slots_lock);
	ret = dirty_get_locked(vm, arg.data);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

/* Clear the bits that @mask selects in words [@first, @first + @n). Return true if any was set. */
static bool dirty_clear(struct okvm_vm *vm, struct okvm_memslot *slot, unsigned long first,
			unsigned long n, const unsigned long *mask)
{
	unsigned long i, cleared;
	bool any = false;

	for (i = 0; i < n; i++) {
		if (!mask[i])
			continue;
		/* @mask may have bits beyond the slot's end, where slot->dirty is always 0. */
		cleared = mask[i] & atomic_long_fetch_andnot(mask[i],
				(atomic_long_t *)&slot->dirty[first + i]);
		if (!cleared)
			continue;
		any = true;
		okvm_mmu_dirty_protect(vm, slot->base + (first + i) * BITS_PER_LONG,
				       cleared);
	}
	return any;
}

/* If the range of KVM_CLEAR_DIRTY_LOG is illegal, return the reason; otherwise return NULL. */
static const char *clear_range_fault(const struct okvm_memslot *slot,
				     const struct kvm_clear_dirty_log *log)
{
	u64 left;

	if (log->first_page > slot->npages)
		return "KVM_CLEAR_DIRTY_LOG: first_page is beyond the slot";
	left = slot->npages - log->first_page;
	if (log->num_pages > left)
		return "KVM_CLEAR_DIRTY_LOG: the pages end beyond the slot";
	return log->num_pages == left || !(log->num_pages & 63) ? NULL :
	       "KVM_CLEAR_DIRTY_LOG: num_pages is not a multiple of 64, nor to the slot's end";
}

static int dirty_clear_locked(struct okvm_vm *vm, const struct kvm_clear_dirty_log *log,
			      unsigned long *page)
{
	const unsigned long __user *from = dirty_user(log->dirty_bitmap);
	struct okvm_memslot *slot = dirty_slot(vm, log->slot);
	unsigned long base = log->first_page / BITS_PER_LONG;
	unsigned long words = dirty_words(log->num_pages);
	unsigned long first, n;
	bool flush = false;
	const char *fault;
	int ret = 0;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	fault = clear_range_fault(slot, log);
	if (fault)
		return okvm_refuse(vm, fault);
	for (first = 0; first < words && !ret; first += n) {
		n = min_t(unsigned long, words - first, DIRTY_CHUNK);
		if (copy_from_user(page, from + first, n * sizeof(long)))
			ret = -EFAULT;
		else
			flush |= dirty_clear(vm, slot, base + first, n, page);
		cond_resched();
	}
	if (flush)
		okvm_mmu_flush_vm(vm);
	return ret;
}

long okvm_clear_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_clear_dirty_log *log = arg.data;
	unsigned long *page;
	int ret;

	if (log->slot >= OKVM_MEMSLOTS_MAX)
		return okvm_refuse(vm, "clear dirty log: slot not below KVM_CAP_NR_MEMSLOTS");
	if (log->first_page & 63)
		return okvm_refuse(vm, "KVM_CLEAR_DIRTY_LOG: first_page is not a multiple of 64");
	page = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	mutex_lock(&vm->slots_lock);
	ret = dirty_clear_locked(vm, log, page);
	mutex_unlock(&vm->slots_lock);
	free_page((unsigned long)page);
	return ret;
}
