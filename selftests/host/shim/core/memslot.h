/* SPDX-License-Identifier: GPL-2.0-only */
/* What mmu/tdp.c sees of a memory slot. */
#ifndef OKVM_CORE_MEMSLOT_H
#define OKVM_CORE_MEMSLOT_H

#include "core/vm.h"

struct okvm_memslot {
	gfn_t base;
	u64 npages;
	hva_t hva;
	u32 flags;
};

enum okvm_slot_change {
	OKVM_SLOT_CREATE,
};

static inline hva_t okvm_slot_hva(const struct okvm_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << 12);
}

#define KVM_MEM_LOG_DIRTY_PAGES	(1u << 0)
#define KVM_MEM_READONLY	(1u << 1)

/* The test's. */
u64 okvm_slots_generation(struct okvm_vm *vm);
void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn);

#endif
