// SPDX-License-Identifier: GPL-2.0-only
/* Guest-virtual addresses: the pure walker of walk.c on the guest's memory. */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/guestmem.h"
#include "mmu/internal.h"

static_assert((int)OKVM_ACC_WRITE == WALK_WRITE && (int)OKVM_ACC_USER == WALK_USER &&
	      (int)OKVM_ACC_FETCH == WALK_FETCH && (int)OKVM_ACC_IMPLICIT == WALK_IMPLICIT);

static int gva_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	struct okvm_vcpu *vcpu = ctx;
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot;
	hva_t hva;
	u32 half;
	u64 gen;

	slot = fault_slot(vcpu, gfn, &gen);
	if (!slot)
		return -EFAULT;
	hva = okvm_slot_hva(slot, gfn) + offset_in_page(gpa);
	if (size == 8)
		return get_user(*val, (u64 __user *)hva);
	if (get_user(half, (u32 __user *)hva))
		return -EFAULT;
	*val = half;
	return 0;
}

static int gva_cmpxchg(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	struct okvm_vcpu *vcpu = ctx;
	struct okvm_memslot *slot;
	u64 gen;

	slot = fault_slot(vcpu, gpa >> PAGE_SHIFT, &gen);
	if (slot && slot->flags & KVM_MEM_READONLY)
		return -EROFS;
	return okvm_cmpxchg_guest(vcpu->vm, gpa, size, &old, new);
}

static const struct walk_ops gva_ops = {
	.read = gva_read,
	.replace = gva_cmpxchg,
};

void okvm_mmu_set_paging(struct okvm_vcpu *vcpu, const struct walk_mode *mode)
{
	vcpu->mmu->mode = *mode;
}

gpa_t okvm_mmu_gva_to_gpa(struct okvm_vcpu *vcpu, gva_t gva, u32 acc, struct walk_fault *fault)
{
	const struct walk_mode *mode = &vcpu->mmu->mode;
	struct walk_regs regs = {};
	struct walk_result result;

	if (mode->levels)
		okvm_arch_walk_regs(vcpu, &regs);
	if (walk(mode, &regs, &gva_ops, vcpu, gva, acc, &result, fault))
		return OKVM_INVALID_GPA;
	return result.gpa;
}

bool okvm_mmu_load_pdptrs(struct okvm_vcpu *vcpu, unsigned long cr3, u64 pdptrs[4])
{
	u64 read[4];
	int i;

	/* 32-byte aligned, below 4 GiB (SDM "PAE Paging"). */
	if (okvm_read_guest(vcpu->vm, cr3 & 0xffffffe0, read, sizeof(read)))
		return false;
	for (i = 0; i < 4; i++) {
		if (!walk_pdpte_ok(&vcpu->mmu->mode, read[i]))
			return false;
	}
	memcpy(pdptrs, read, sizeof(read));
	return true;
}
