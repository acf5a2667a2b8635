// SPDX-License-Identifier: GPL-2.0-only
/*
 * Define shadow paging as a struct mmu_policy, and handle TLB flushes of the guest. See shadow.h.
 */
#include <linux/mm.h>

#include "core/compat.h"
#include "mmu/shadow.h"

/*
 * Request a reload of the root. Ignore @noflush, because the reload (shadow_load()) always
 * synchronizes tables and flushes.
 */
static void policy_cr3_loaded(struct okvm_vcpu *vcpu, bool noflush)
{
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
}

static void policy_mode_changed(struct okvm_vcpu *vcpu)
{
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
}

/*
 * Return what INVLPG must flush. Shadow paging may map a large page of the guest by smaller pages.
 * A TLB may then hold several entries for the large page, and the guest's INVLPG must flush all of
 * them. So after the removal of shadow entries for a large page (shadow_vm.wide), INVLPG flushes
 * the whole TLB, until the next shadow_flush().
 */
static enum okvm_tlb_scope invlpg_scope(struct okvm_vcpu *vcpu)
{
	return READ_ONCE(shadow_of(vcpu)->wide) ? OKVM_TLB_GUEST : OKVM_TLB_GVA;
}

/*
 * Synchronize only tables below the vCPU's current root: tables below another root are synchronized
 * when the guest loads that root. @pcid is not needed: flush_tlb() covers all PCIDs of the vCPU.
 */
static void policy_invalidate(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid,
			      gva_t gva)
{
	bool one = what == OKVM_INVLPG || what == OKVM_INVPCID_ADDRESS;

	if (one)
		shadow_invlpg(vcpu, gva);
	else
		sync_root(vcpu);
	vcpu->vm->backend->mmu->flush_tlb(vcpu, one ? invlpg_scope(vcpu) : OKVM_TLB_GUEST, gva);
}

static bool policy_invlpg_fast(struct okvm_vcpu *vcpu, gva_t gva)
{
	/*
	 * Pairs with unsync_frame(), which sets nr_unsync before the guest can write to the
	 * out-of-sync table. So if the guest has written before this flush, this read sees that
	 * nr_unsync is not 0.
	 */
	if (READ_ONCE(shadow_of(vcpu)->nr_unsync))
		return false;
	vcpu->vm->backend->mmu->flush_tlb(vcpu, invlpg_scope(vcpu), gva);
	return true;
}

static long policy_prefault(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	return -EOPNOTSUPP;
}

/* Drop all leaves of the slot: page faults then map large pages where possible. */
static void policy_collapse(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot)
{
	struct mmu_zap z;

	shadow_zap_begin(&z, mmu, true);
	shadow_zap_range(&z, slot->base, slot->base + slot->npages);
	shadow_zap_end(&z);
}

static int policy_gpa_bits(const struct okvm_mmu_vm *mmu)
{
	return boot_cpu_data.x86_phys_bits;
}

const struct mmu_policy mmu_policy_shadow = {
	.name = "shadow paging",
	.vm_create = shadow_vm_create,
	.vm_destroy = shadow_vm_destroy,
	.vcpu_create = shadow_vcpu_create,
	.vcpu_destroy = shadow_vcpu_destroy,
	.load = shadow_load,
	.unload = shadow_unload,
	.page_fault = shadow_page_fault,
	.page_fault_fast = shadow_page_fault_fast,
	.cr3_loaded = policy_cr3_loaded,
	.cr3_fast = shadow_cr3_fast,
	.mode_changed = policy_mode_changed,
	.invalidate = policy_invalidate,
	.invlpg_fast = policy_invlpg_fast,
	.guest_wrote = shadow_wrote,
	.unprotect = shadow_unprotect,
	.prefault = policy_prefault,
	.zap_begin = shadow_zap_begin,
	.zap_range = shadow_zap_range,
	.zap_end = shadow_zap_end,
	.zap_mmio = shadow_zap_mmio,
	.age = shadow_age,
	.write_protect = shadow_write_protect,
	.collapse = policy_collapse,
	.recover_nx = shadow_recover_nx,
	.free_all = shadow_free_all,
	.set_limit = shadow_set_limit,
	.gpa_bits = policy_gpa_bits,
};
