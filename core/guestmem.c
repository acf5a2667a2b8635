// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checked access to guest memory.
 *
 * Guest memory is always accessed as user memory, through the VMM's mapping. So the host's
 * page-fault handler fetches absent pages, and no page is pinned. Upstream KVM also maps guest
 * pages into the kernel, for atomic accesses and for its own caches.
 */
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <asm/asm.h>
#include <asm/cpufeature.h>

#include "core/compat.h"
#include "core/guestmem.h"
#include "core/memslot.h"
#include "core/vcpu.h"

/* enum gm_op - what gm_range() does to each page of guest memory */
enum gm_op { GM_READ, GM_WRITE };

/* Cache line size in bytes of every processor that supports virtualization. */
#define GM_LINE		64

struct gm_wide { u64 half[2]; };

static bool gm_writable(const struct okvm_memslot *slot)
{
	return !(slot->flags & KVM_MEM_READONLY);
}

/*
 * Return true if the access is to one aligned word of 2, 4 or 8 bytes. A processor accesses such a
 * word in one step, so emulation must copy the word with one instruction. copy_from_user() and
 * copy_to_user() do not guarantee that.
 */
static bool gm_is_word(const void __user *at, size_t len)
{
	return (len == 8 || len == 4 || len == 2) && IS_ALIGNED((unsigned long)at, len);
}

static int gm_read_word(const void __user *at, void *data, size_t len)
{
	switch (len) {
	case 8:
		return get_user(*(u64 *)data, (const u64 __user *)at);
	case 4:
		return get_user(*(u32 *)data, (const u32 __user *)at);
	default:
		return get_user(*(u16 *)data, (const u16 __user *)at);
	}
}

static int gm_write_word(void __user *at, const void *data, size_t len)
{
	switch (len) {
	case 8:
		return put_user(*(const u64 *)data, (u64 __user *)at);
	case 4:
		return put_user(*(const u32 *)data, (u32 __user *)at);
	default:
		return put_user(*(const u16 *)data, (u16 __user *)at);
	}
}

/*
 * Copy @len bytes in the direction of @op. Return the number of bytes not copied. If an aligned
 * word cannot be accessed, return -EFAULT; as an unsigned number this is greater than @len.
 */
static unsigned long gm_copy(enum gm_op op, void __user *at, void *data, size_t len)
{
	if (gm_is_word(at, len))
		return op == GM_READ ? gm_read_word(at, data, len) : gm_write_word(at, data, len);
	if (op == GM_READ)
		return copy_from_user(data, at, len);
	return copy_to_user(at, data, len);
}

/* Do @op on @len bytes at @gpa; the bytes must lie within one page. Return: 0 or -EFAULT */
static int gm_page(struct okvm_vm *vm, enum gm_op op, gpa_t gpa, void *data, size_t len)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot = okvm_slot_find(vm, gfn);
	unsigned long left;
	void __user *at;

	if (!slot || (op != GM_READ && !gm_writable(slot)))
		return -EFAULT;
	at = (void __user *)(okvm_slot_hva(slot, gfn) + offset_in_page(gpa));
	left = gm_copy(op, at, data, len);
	/* Even a failed copy may have written some bytes: then left is less than len. */
	if (op != GM_READ && left < len)
		okvm_mark_dirty(vm, slot, gfn);
	return left ? -EFAULT : 0;
}

static int gm_range(struct okvm_vm *vm, enum gm_op op, gpa_t gpa, void *data, size_t len)
{
	size_t n;
	int ret;

	while (len) {
		n = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		ret = gm_page(vm, op, gpa, data, n);
		if (ret)
			return ret;
		gpa += n;
		len -= n;
		data += n;
	}
	return 0;
}

int okvm_read_guest(struct okvm_vm *vm, gpa_t gpa, void *data, size_t len)
{
	return gm_range(vm, GM_READ, gpa, data, len);
}

int okvm_write_guest(struct okvm_vm *vm, gpa_t gpa, const void *data, size_t len)
{
	return gm_range(vm, GM_WRITE, gpa, (void *)data, len);
}

/*
 * Define a compare-and-exchange function for one size. Return: 0 if the value was exchanged; 1 if
 * it differed, with the value found in *@old; -EFAULT. The kernel is 64-bit, so 8 bytes need only
 * one instruction.
 */
#define GM_CMPXCHG(name, type)						\
static int name(void __user *at, u64 *old, u64 new)			\
{									\
	type expected = *old;						\
	int ret;							\
									\
	ret = __try_cmpxchg_user((type __user *)at, &expected, (type)new, fault);	\
	*old = expected;						\
	return ret;							\
}

GM_CMPXCHG(gm_cmpxchg1, u8)
GM_CMPXCHG(gm_cmpxchg2, u16)
GM_CMPXCHG(gm_cmpxchg4, u32)
GM_CMPXCHG(gm_cmpxchg8, u64)

/* Exchange 16 bytes. Return: 0 if exchanged; 1 if different, with the value in @old; -EFAULT */
static int gm_cmpxchg16(void __user *at, u64 old[2], const u64 new[2])
{
	bool same;
	int err = 0;

	if (!user_access_begin(at, 16))
		return -EFAULT;
	asm volatile("1: lock cmpxchg16b %[at]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[err])
		     : "=@ccz" (same), [err] "+r" (err), [at] "+m" (*(__force struct gm_wide *)at),
		       "+a" (old[0]), "+d" (old[1])
		     : "b" (new[0]), "c" (new[1])
		     : "memory");
	user_access_end();
	return err ?: !same;
}

static int gm_cmpxchg(void __user *at, int len, u64 *old, u64 new)
{
	if (!access_ok(at, len))
		return -EFAULT;
	switch (len) {
	case 1:
		return gm_cmpxchg1(at, old, new);
	case 2:
		return gm_cmpxchg2(at, old, new);
	case 4:
		return gm_cmpxchg4(at, old, new);
	default:
		return gm_cmpxchg8(at, old, new);
	}
}

bool okvm_guest_has(struct okvm_vm *vm, gpa_t gpa, bool write)
{
	struct okvm_memslot *slot = okvm_slot_find(vm, gpa >> PAGE_SHIFT);

	return slot && (!write || gm_writable(slot));
}

int okvm_guest_wait(struct okvm_vcpu *vcpu, gpa_t gpa, bool write, unsigned int tries)
{
	unsigned int gup = FOLL_HWPOISON | (write ? FOLL_WRITE : 0);
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot = okvm_slot_find(vcpu->vm, gfn);
	struct page *page;
	hva_t hva;
	long n;

	if (!slot || tries >= OKVM_GUEST_TRIES)
		return 1;
	hva = okvm_slot_hva(slot, gfn);
	/*
	 * First look for the page without taking a lock. The page may be present: some callers call
	 * this function before they have tried the access.
	 */
	if (get_user_page_fast_only(hva, gup & FOLL_WRITE, &page)) {
		put_page(page);
		return 0;
	}
	/* Next, get the page without waiting. Only a wait must be ended by a kick or a signal. */
	n = get_user_pages_unlocked(hva, 1, &page, gup | OKVM_FOLL_NUMA | FOLL_NOWAIT);
	if (!n || n == -EAGAIN) {
		if (!okvm_vcpu_wait_begin(vcpu))
			return -EINTR;
		n = okvm_get_user_page(hva, gup | OKVM_FOLL_NUMA, &page);
		okvm_vcpu_wait_end(vcpu);
	}
	if (n == 1) {
		put_page(page);
		return 0;
	}
	return n == -EINTR || n == -ERESTARTSYS ? -EINTR : 1;
}

/*
 * Return the host address of the @len bytes at @gpa, which is in @slot (NULL: in none). Return an
 * errno if no locked access to these bytes is possible.
 */
static unsigned long gm_locked(const struct okvm_memslot *slot, gpa_t gpa, int len)
{
	/* A locked access across cache lines (split lock) stalls all CPUs or crashes the host. */
	if ((gpa & (GM_LINE - 1)) + len > GM_LINE)
		return -EINVAL;
	if (!slot || !gm_writable(slot))
		return -EFAULT;
	return okvm_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
}

int okvm_cmpxchg_slot(struct okvm_vm *vm, struct okvm_memslot *slot, gpa_t gpa, int len, u64 *old,
		      u64 new)
{
	unsigned long hva;
	int ret;

	if (len != 1 && len != 2 && len != 4 && len != 8)
		return -EINVAL;
	hva = gm_locked(slot, gpa, len);
	if (IS_ERR_VALUE(hva))
		return hva;
	ret = gm_cmpxchg((void __user *)hva, len, old, new);
	/* CMPXCHG writes memory even if the comparison fails, so the frame is dirty in any case. */
	if (ret >= 0)
		okvm_mark_dirty(vm, slot, gpa >> PAGE_SHIFT);
	return ret;
}

int okvm_cmpxchg16_guest(struct okvm_vm *vm, gpa_t gpa, u64 old[2], const u64 new[2])
{
	struct okvm_memslot *slot = okvm_slot_find(vm, gpa >> PAGE_SHIFT);
	unsigned long hva;
	int ret;

	if (gpa & 15 || !boot_cpu_has(X86_FEATURE_CX16))
		return -EINVAL;
	hva = gm_locked(slot, gpa, 16);
	if (IS_ERR_VALUE(hva))
		return hva;
	ret = gm_cmpxchg16((void __user *)hva, old, new);
	if (ret >= 0)
		okvm_mark_dirty(vm, slot, gpa >> PAGE_SHIFT);
	return ret;
}

/*
 * Look up the slot of the cache's range, and store it in the cache. If no single slot contains the
 * range, empty the cache and return -EFAULT.
 */
static int cache_fill(struct okvm_vm *vm, struct okvm_gpa_cache *cache)
{
	u64 generation = okvm_slots_generation(vm);
	gfn_t first = cache->gpa >> PAGE_SHIFT;
	gfn_t last = (cache->gpa + cache->len - 1) >> PAGE_SHIFT;
	struct okvm_memslot *slot = okvm_slot_find(vm, first);

	cache->slot = NULL;
	cache->generation = 0;
	if (!slot || last - slot->base >= slot->npages)
		return -EFAULT;
	cache->slot = slot;
	cache->hva = okvm_slot_hva(slot, first) + offset_in_page(cache->gpa);
	/* An odd generation means that slots are changing: do not cache the result. */
	if (!(generation & 1))
		cache->generation = generation;
	return 0;
}

int okvm_cache_init(struct okvm_vm *vm, struct okvm_gpa_cache *cache, gpa_t gpa, size_t len)
{
	struct okvm_gpa_cache found = { .gpa = gpa, .len = len };

	if (!len || gpa + len - 1 < gpa || cache_fill(vm, &found))
		return -EINVAL;
	*cache = found;
	return 0;
}

static int cache_check(struct okvm_vm *vm, struct okvm_gpa_cache *cache, size_t offset, size_t len)
{
	if (!cache->len || offset > cache->len || len > cache->len - offset)
		return -EFAULT;
	if (cache->generation && cache->generation == okvm_slots_generation(vm))
		return 0;
	return cache_fill(vm, cache);
}

int okvm_cache_read(struct okvm_vm *vm, struct okvm_gpa_cache *cache, void *data,
		    size_t offset, size_t len)
{
	int ret = cache_check(vm, cache, offset, len);

	if (ret)
		return ret;
	return copy_from_user(data, (void __user *)(cache->hva + offset), len) ? -EFAULT : 0;
}

int okvm_cache_write(struct okvm_vm *vm, struct okvm_gpa_cache *cache, const void *data,
		     size_t offset, size_t len)
{
	gfn_t gfn, last;
	int ret;

	ret = cache_check(vm, cache, offset, len);
	if (ret)
		return ret;
	if (!gm_writable(cache->slot) ||
	    copy_to_user((void __user *)(cache->hva + offset), data, len))
		return -EFAULT;
	last = (cache->gpa + offset + len - 1) >> PAGE_SHIFT;
	for (gfn = (cache->gpa + offset) >> PAGE_SHIFT; len && gfn <= last; gfn++)
		okvm_mark_dirty(vm, cache->slot, gfn);
	return 0;
}
