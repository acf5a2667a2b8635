/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checked access to guest-physical memory through the VMM's mapping of it. A page fault is handled
 * as for userspace; no page is pinned. Callers run in a thread of the VMM (current->mm == vm->mm)
 * under vm->srcu.
 */
#ifndef OKVM_CORE_GUESTMEM_H
#define OKVM_CORE_GUESTMEM_H

#include "core/memslot.h"
#include "core/types.h"
#include "core/vm.h"

/**
 * okvm_read_guest() - copy from guest memory, each aligned word in one step. Return: 0 or -EFAULT.
 * May sleep.
 */
int okvm_read_guest(struct okvm_vm *vm, gpa_t gpa, void *data, size_t len);

/** okvm_write_guest() - copy to guest memory and mark it dirty. Return: 0 or -EFAULT. May sleep. */
int okvm_write_guest(struct okvm_vm *vm, gpa_t gpa, const void *data, size_t len);

/*
 * Maximum number of okvm_guest_wait() calls for one access. If the page is still absent after that,
 * the caller makes the access with page faults enabled, and waits as long as the host needs.
 */
#define OKVM_GUEST_TRIES	16

/**
 * okvm_guest_wait() - make the host fetch the page at @gpa; a signal or OKVM_VCPU_KICK ends it
 * @tries: number of earlier calls for the same access
 *
 * Called in KVM_RUN before an access that must not fail, or after an access with page faults
 * disabled has failed with -EFAULT. With page faults enabled the access itself would wait for the
 * page, but only SIGKILL could end that wait. May sleep. The caller holds vm->srcu.
 *
 * Return: 0 if the page is present: try the access again.
 * 1 if the page cannot be fetched here, or if @tries has reached OKVM_GUEST_TRIES: make the access
 * with page faults enabled.
 * -EINTR if a signal or a kick has ended the wait: end KVM_RUN.
 */
int okvm_guest_wait(struct okvm_vcpu *vcpu, gpa_t gpa, bool write, unsigned int tries);

/** okvm_guest_has() - return true if there is memory at @gpa; if @write is set, writable memory */
bool okvm_guest_has(struct okvm_vm *vm, gpa_t gpa, bool write);

/**
 * okvm_cmpxchg_slot() - compare and exchange 1, 2, 4 or 8 bytes within a cache line
 * @slot: the memory slot of @gpa; NULL if there is none
 * @old: in: the expected value; out: the value found
 *
 * Executes one locked instruction on the VMM's mapping; pins no page.
 *
 * Return: 0 if exchanged, 1 if the value differed, -EFAULT, or -EINVAL if the bytes lie in two
 * cache lines (a split lock would stall the host).
 */
int okvm_cmpxchg_slot(struct okvm_vm *vm, struct okvm_memslot *slot, gpa_t gpa, int len, u64 *old,
		      u64 new);

/** okvm_cmpxchg_guest() - like okvm_cmpxchg_slot(), for a caller that has not looked the slot up */
static inline int okvm_cmpxchg_guest(struct okvm_vm *vm, gpa_t gpa, int len, u64 *old, u64 new)
{
	return okvm_cmpxchg_slot(vm, okvm_slot_find(vm, gpa >> PAGE_SHIFT), gpa, len, old, new);
}

/**
 * okvm_cmpxchg16_guest() - compare and exchange 16 bytes
 * @old: in: the expected value; out: the value found
 * Return: 0 if exchanged, 1 if the value differed, -EFAULT, or -EINVAL if @gpa is not a multiple of
 * 16 or the CPU lacks CMPXCHG16B
 */
int okvm_cmpxchg16_guest(struct okvm_vm *vm, gpa_t gpa, u64 old[2], const u64 new[2]);

/**
 * struct okvm_gpa_cache - cached host address of an often used guest range (kvmclock, steal time)
 * @generation: generation of the memslots in which @hva and @slot were looked up; each use compares
 *	it with the current one
 * @gpa, @len: the range
 * @hva: the VMM's address of the range
 * @slot: the memory slot that contains the range
 *
 * A zero-initialized cache is empty.
 */
struct okvm_gpa_cache {
	u64 generation;
	gpa_t gpa;
	hva_t hva;
	size_t len;
	struct okvm_memslot *slot;
};

/**
 * okvm_cache_init() - set the cache's range
 * Return: 0; or -EINVAL if no slot contains the whole range: then the cache does not change
 */
int okvm_cache_init(struct okvm_vm *vm, struct okvm_gpa_cache *cache, gpa_t gpa, size_t len);
int okvm_cache_read(struct okvm_vm *vm, struct okvm_gpa_cache *cache, void *data,
		    size_t offset, size_t len);
int okvm_cache_write(struct okvm_vm *vm, struct okvm_gpa_cache *cache, const void *data,
		     size_t offset, size_t len);

#endif /* OKVM_CORE_GUESTMEM_H */
