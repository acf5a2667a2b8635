// SPDX-License-Identifier: GPL-2.0-only
/* Choose a VM's policy, call its callbacks, and define the policy of two-dimensional paging. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>

#include <asm/processor.h>

#include "core/compat.h"
#include "core/error.h"
#include "core/hardware.h"
#include "core/memslot.h"
#include "mmu/internal.h"

/* ---- two-dimensional paging: the rest is in tdp.c and fault.c ---- */

/*
 * Return the width of guest-physical addresses: the host's CPUID value for physical addresses.
 * x86_phys_bits may be less: with memory encryption, the kernel subtracts the key's bits.
 */
static int guest_phys_bits(void)
{
	if (boot_cpu_data.extended_cpuid_level < 0x80000008)
		return boot_cpu_data.x86_phys_bits;
	return cpuid_eax(0x80000008) & 0xff;
}

static const struct spte_fmt *policy_ept_format(const struct okvm_mmu_vm *mmu, bool ad)
{
	if (mmu->guest_pat)
		return ad ? &spte_fmt_ept_pat : &spte_fmt_ept_noad_pat;
	return ad ? &spte_fmt_ept : &spte_fmt_ept_noad;
}

static void policy_tdp_format(struct okvm_mmu_vm *mmu, u32 caps)
{
	bool five = caps & OKVM_HW_TDP_5LEVEL;

	if (caps & OKVM_HW_TDP_PT) {
		mmu->root.level = five ? 5 : 4;
		mmu->fmt = &spte_fmt_pt;
		return;
	}
	/*
	 * Four levels translate 48 bits. Use five levels only for wider addresses, because
	 * each walk of five levels takes longer.
	 */
	mmu->root.level = five && guest_phys_bits() > 48 ? 5 : 4;
	mmu->fmt = policy_ept_format(mmu, caps & OKVM_HW_TDP_AD);
}

/*
 * Let RAM have the guest's memory types. With nested paging of SVM (OKVM_HW_TDP_PT) the guest's
 * memory types always have effect, so no entry has to be changed.
 */
void okvm_mmu_honor_pat(struct okvm_vm *vm)
{
	struct okvm_mmu_vm *mmu = vm->mmu;

	lockdep_assert_held(&vm->lock);
	/* If the VM chooses two-dimensional paging later, policy_tdp_format() reads guest_pat. */
	mmu->guest_pat = true;
	if (okvm_mmu_is_shadow(vm) || vm->caps & OKVM_HW_TDP_PT)
		return;
	/* Leaves made with the new format have the guest's memory type. Older leaves are zapped. */
	write_lock(&mmu->lock);
	mmu->fmt = policy_ept_format(mmu, mmu->fmt->accessed);
	write_unlock(&mmu->lock);
	okvm_mmu_zap_all(vm);
}

static int policy_tdp_vm_create(struct okvm_mmu_vm *mmu)
{
	u32 caps = mmu->vm->offer->caps;

	if (!mmu->root.table)
		mmu->root.table = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!mmu->root.table)
		return -ENOMEM;
	mmu->root.pa = __pa(mmu->root.table);
	policy_tdp_format(mmu, caps);
	mmu->max_level = 1;
	if (caps & OKVM_HW_TDP_2M)
		mmu->max_level = caps & OKVM_HW_TDP_1G ? 3 : 2;
	return 0;
}

static void policy_tdp_vm_destroy(struct okvm_mmu_vm *mmu)
{
	if (mmu->root.table)
		tdp_free_tree(mmu->root.table, mmu->root.level);
	mmu->root.table = NULL;
}

static int policy_tdp_vcpu_create(struct okvm_vcpu *vcpu)
{
	return 0;
}

static void policy_tdp_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;

	while (mv->nr_spare)
		free_page((unsigned long)mv->spare[--mv->nr_spare]);
}

static int policy_tdp_load(struct okvm_vcpu *vcpu)
{
	vcpu->vm->backend->mmu->set_root(vcpu, &vcpu->vm->mmu->root);
	return 0;
}

static void policy_tdp_nothing(struct okvm_vcpu *vcpu)
{
}

/*
 * Never called, because no #PF is intercepted with two-dimensional paging. The function exists
 * because no callback may be NULL. If it were called, the guest would handle the #PF.
 */
static int policy_tdp_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	pf->guest.error_code = pf->acc & 0xffff;
	return OKVM_FAULT_GUEST;
}

static void policy_tdp_cr3_loaded(struct okvm_vcpu *vcpu, bool noflush)
{
	if (!noflush)
		okvm_request(OKVM_REQ_TLB_GUEST, vcpu);
}

static bool policy_tdp_cr3_fast(struct okvm_vcpu *vcpu)
{
	return false;
}

static void policy_tdp_invalidate(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid,
				  gva_t gva)
{
	bool one = what == OKVM_INVLPG || what == OKVM_INVPCID_ADDRESS;

	vcpu->vm->backend->mmu->flush_tlb(vcpu, one ? OKVM_TLB_GVA : OKVM_TLB_GUEST, gva);
}

static bool policy_tdp_invlpg_fast(struct okvm_vcpu *vcpu, gva_t gva)
{
	return false;
}

static bool policy_tdp_guest_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes)
{
	return false;
}

static bool policy_tdp_unprotect(struct okvm_vm *vm, gfn_t gfn)
{
	return false;
}

static void policy_tdp_set_limit(struct okvm_mmu_vm *mmu, unsigned long pages)
{
}

static int policy_tdp_gpa_bits(const struct okvm_mmu_vm *mmu)
{
	return min(mmu->root.level == 5 ? 57 : 48, guest_phys_bits());
}

const struct mmu_policy mmu_policy_tdp = {
	.name = "two-dimensional paging",
	.vm_create = policy_tdp_vm_create,
	.vm_destroy = policy_tdp_vm_destroy,
	.vcpu_create = policy_tdp_vcpu_create,
	.vcpu_destroy = policy_tdp_vcpu_destroy,
	.load = policy_tdp_load,
	.unload = policy_tdp_nothing,
	.page_fault = policy_tdp_page_fault,
	.page_fault_fast = policy_tdp_page_fault,
	.cr3_loaded = policy_tdp_cr3_loaded,
	.cr3_fast = policy_tdp_cr3_fast,
	.mode_changed = policy_tdp_nothing,
	.invalidate = policy_tdp_invalidate,
	.invlpg_fast = policy_tdp_invlpg_fast,
	.guest_wrote = policy_tdp_guest_wrote,
	.unprotect = policy_tdp_unprotect,
	.prefault = tdp_prefault,
	.zap_begin = tdp_zap_begin,
	.zap_range = tdp_zap_range,
	.zap_end = tdp_zap_end,
	.zap_mmio = tdp_zap_mmio,
	.age = tdp_age,
	.write_protect = tdp_write_protect,
	.collapse = tdp_collapse,
	.recover_nx = tdp_recover_nx,
	.free_all = tdp_free_all,
	.set_limit = policy_tdp_set_limit,
	.gpa_bits = policy_tdp_gpa_bits,
};

/* ---- choosing a policy ---- */

/* Return true if @policy can map all existing memory slots. */
static bool choose_reaches(struct okvm_vm *vm, const struct mmu_policy *policy)
{
	struct okvm_memslots *slots =
		rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock));
	const struct okvm_memslot *slot;
	unsigned long id;

	xa_for_each(&slots->by_id, id, slot) {
		if (!mmu_reaches(policy, vm->mmu, slot))
			return false;
	}
	return true;
}

static int choose_locked(struct okvm_vm *vm, const struct mmu_policy *policy)
{
	struct okvm_mmu_vm *mmu = vm->mmu;

	if (!choose_reaches(vm, policy))
		return okvm_refuse(vm, "OKVM_CAP_MMU: memory is beyond what this kind reaches");
	write_lock(&mmu->lock);
	WRITE_ONCE(mmu->policy, policy);
	write_unlock(&mmu->lock);
	return 0;
}

/*
 * Choose the VM's policy. A callback of the MMU notifier that runs at the same time may use the old
 * policy until it returns. This is safe: the old policy has mapped nothing, and its structures
 * exist until the end of the VM. The new policy maps no page of the invalidated range before the
 * invalidation ends.
 */
int okvm_mmu_choose(struct okvm_vm *vm, enum okvm_mmu_kind kind)
{
	const struct mmu_policy *policy = kind == OKVM_MMU_KIND_TDP ? &mmu_policy_tdp :
								      &mmu_policy_shadow;
	struct okvm_mmu_vm *mmu = vm->mmu;
	const u32 need = kind == OKVM_MMU_KIND_TDP ? OKVM_HW_TDP : OKVM_HW_SHADOW;
	int err;

	lockdep_assert_held(&vm->lock);
	if (vm->created_vcpus)
		return okvm_refuse(vm, "OKVM_CAP_MMU: the VM has a vCPU already");
	if (!(vm->offer->caps & need))
		return okvm_refuse(vm, "OKVM_CAP_MMU: not a kind that this CPU and module have");
	if (policy == mmu->policy)
		return 0;
	err = policy->vm_create(mmu);
	if (err)
		return err;
	mutex_lock(&vm->slots_lock);
	err = choose_locked(vm, policy);
	mutex_unlock(&vm->slots_lock);
	if (err)
		return err;
	vm->caps = vm->offer->caps & (kind == OKVM_MMU_KIND_TDP ? ~0u : ~(u32)OKVM_HW_ONLY_TDP);
	return 0;
}

bool okvm_mmu_is_shadow(const struct okvm_vm *vm)
{
	return vm->mmu->policy == &mmu_policy_shadow;
}

/* The types of INVPCID, as the instruction encodes them (SDM "INVPCID"). */
static_assert(OKVM_INVPCID_ADDRESS == 0 && OKVM_INVPCID_SINGLE == 1 && OKVM_INVPCID_ALL == 2 &&
	      OKVM_INVPCID_NOT_GLOBAL == 3);

/* ---- calls of the policy's callbacks ---- */

void mmu_zap(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool yield)
{
	const struct mmu_policy *policy = READ_ONCE(mmu->policy);
	struct mmu_zap z;

	policy->zap_begin(&z, mmu, yield);
	z.frames_leave = true;
	policy->zap_range(&z, start, end);
	policy->zap_end(&z);
}

void okvm_mmu_restored(struct okvm_vcpu *vcpu)
{
	struct okvm_mmu_vm *mmu = vcpu->vm->mmu;

	if (okvm_mmu_is_shadow(vcpu->vm))
		mmu->policy->free_all(mmu);
}

int okvm_mmu_load(struct okvm_vcpu *vcpu)
{
	return vcpu->vm->mmu->policy->load(vcpu);
}

void okvm_mmu_unload(struct okvm_vcpu *vcpu)
{
	vcpu->vm->mmu->policy->unload(vcpu);
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
}

int okvm_mmu_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	vcpu->stat[OKVM_STAT_PF_TAKEN]++;
	return vcpu->vm->mmu->policy->page_fault(vcpu, pf);
}

int okvm_mmu_page_fault_fast(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf)
{
	return vcpu->vm->mmu->policy->page_fault_fast(vcpu, pf);
}

void okvm_mmu_invalidate(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid, gva_t gva)
{
	vcpu->vm->mmu->policy->invalidate(vcpu, what, pcid, gva);
}

bool okvm_mmu_invlpg_fast(struct okvm_vcpu *vcpu, gva_t gva)
{
	return vcpu->vm->mmu->policy->invlpg_fast(vcpu, gva);
}

void okvm_mmu_cr3_loaded(struct okvm_vcpu *vcpu, bool noflush)
{
	vcpu->vm->mmu->policy->cr3_loaded(vcpu, noflush);
}

bool okvm_mmu_cr3_fast(struct okvm_vcpu *vcpu)
{
	return vcpu->vm->mmu->policy->cr3_fast(vcpu);
}

bool okvm_mmu_guest_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes)
{
	return vcpu->vm->mmu->policy->guest_wrote(vcpu, gpa, bytes);
}

bool okvm_mmu_unprotect(struct okvm_vcpu *vcpu, gfn_t gfn)
{
	return vcpu->vm->mmu->policy->unprotect(vcpu->vm, gfn);
}

void okvm_mmu_set_limit(struct okvm_vm *vm, unsigned long pages)
{
	/* Keep the limit for a policy that is chosen later. */
	vm->mmu->limit = pages;
	vm->mmu->policy->set_limit(vm->mmu, pages);
}
