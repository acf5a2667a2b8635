// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest registers in the VMCB: segments, descriptor tables, control registers.
 */
#include <linux/kvm.h>
#include <linux/string.h>

#include <asm/tlbflush.h>

#include "core/compat.h"
#include "svm/svm.h"
#include "x86/cpu/cr.h"

static struct vmcb_seg *seg_of(struct okvm_hw_vcpu *hw, enum okvm_seg seg)
{
	struct vmcb_save_area *save = &hw->vmcb->save;

	switch (seg) {
	case OKVM_SEG_ES: return &save->es;
	case OKVM_SEG_CS: return &save->cs;
	case OKVM_SEG_SS: return &save->ss;
	case OKVM_SEG_DS: return &save->ds;
	case OKVM_SEG_FS: return &save->fs;
	case OKVM_SEG_GS: return &save->gs;
	case OKVM_SEG_LDTR: return &save->ldtr;
	default: return &save->tr;
	}
}

/*
 * Complete the attributes of a segment as an Intel CPU would have them, so that userspace can
 * migrate the state to one. AMD CPUs do not keep all attributes of a descriptor in the hidden part
 * of a segment register (APM "Segment State in the VMCB").
 */
static void fit_for_userspace(struct kvm_segment *var, enum okvm_seg seg,
			      const struct vmcb_save_area *save)
{
	/* Some CPUs do not keep G: derive it from the limit. */
	var->g = var->limit > 0xfffff;
	switch (seg) {
	case OKVM_SEG_TR:
		/* The TSS in TR is in use: set its busy bit. */
		var->type |= 2;
		break;
	case OKVM_SEG_DS:
	case OKVM_SEG_ES:
	case OKVM_SEG_FS:
	case OKVM_SEG_GS:
		/* The segment is loaded: set its accessed bit. */
		if (!var->unusable)
			var->type |= 1;
		break;
	case OKVM_SEG_SS:
		/* Clear bit B: AMD CPUs keep it set when a null selector is loaded into SS. */
		if (var->unusable)
			var->db = 0;
		var->dpl = save->cpl;
		break;
	default:
		break;
	}
}

static void svm_get_segment(struct okvm_vcpu *vcpu, struct kvm_segment *var, enum okvm_seg seg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct vmcb_seg *s = seg_of(hw, seg);

	*var = (struct kvm_segment) {
		.base = s->base, .limit = s->limit, .selector = s->selector,
		.type = s->attrib & SVM_SELECTOR_TYPE_MASK,
		.s = s->attrib >> SVM_SELECTOR_S_SHIFT & 1,
		.dpl = s->attrib >> SVM_SELECTOR_DPL_SHIFT & 3,
		.present = s->attrib >> SVM_SELECTOR_P_SHIFT & 1,
		.avl = s->attrib >> SVM_SELECTOR_AVL_SHIFT & 1,
		.l = s->attrib >> SVM_SELECTOR_L_SHIFT & 1,
		.db = s->attrib >> SVM_SELECTOR_DB_SHIFT & 1,
	};
	var->unusable = !var->present;
	fit_for_userspace(var, seg, &hw->vmcb->save);
}

static void svm_set_segment(struct okvm_vcpu *vcpu, const struct kvm_segment *var,
			    enum okvm_seg seg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct vmcb_seg *s = seg_of(hw, seg);

	s->base = var->base;
	s->limit = var->limit;
	s->selector = var->selector;
	s->attrib = (var->type & SVM_SELECTOR_TYPE_MASK) |
		    (var->s & 1) << SVM_SELECTOR_S_SHIFT |
		    (var->dpl & 3) << SVM_SELECTOR_DPL_SHIFT |
		    (var->present && !var->unusable) << SVM_SELECTOR_P_SHIFT |
		    (var->avl & 1) << SVM_SELECTOR_AVL_SHIFT |
		    (var->l & 1) << SVM_SELECTOR_L_SHIFT |
		    (var->db & 1) << SVM_SELECTOR_DB_SHIFT |
		    (var->g & 1) << SVM_SELECTOR_G_SHIFT;
	/* The VMCB has a field for the CPL, which must be equal to SS.DPL. */
	if (seg == OKVM_SEG_SS)
		hw->vmcb->save.cpl = var->dpl & 3;
	svm_dirty(hw, SVM_CLEAN_SEG);
}

static void svm_get_dt(struct okvm_vcpu *vcpu, struct kvm_dtable *dt, bool idt)
{
	const struct vmcb_save_area *save = &to_hw(vcpu)->vmcb->save;
	const struct vmcb_seg *s = idt ? &save->idtr : &save->gdtr;

	*dt = (struct kvm_dtable) { .base = s->base, .limit = s->limit };
}

static void svm_set_dt(struct okvm_vcpu *vcpu, const struct kvm_dtable *dt, bool idt)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct vmcb_seg *s = idt ? &hw->vmcb->save.idtr : &hw->vmcb->save.gdtr;

	s->base = dt->base;
	s->limit = dt->limit;
	svm_dirty(hw, SVM_CLEAN_DT);
}

static int svm_get_cpl(struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcb->save.cpl;
}

static bool svm_cs_long(struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcb->save.cs.attrib & SVM_SELECTOR_L_MASK;
}

/* Set @info to the data of the last exit, in the order in which upstream has them. */
static void svm_exit_info(struct okvm_vcpu *vcpu, u64 info[OKVM_EXIT_INFO])
{
	const struct vmcb_control_area *control = &to_hw(vcpu)->vmcb->control;

	info[0] = control->exit_code;
	info[1] = control->exit_info_1;
	info[2] = control->exit_info_2;
	info[3] = control->exit_int_info;
	info[4] = control->exit_int_info & SVM_EXITINTINFO_VALID &&
		  control->exit_int_info & SVM_EXITINTINFO_VALID_ERR ?
		  control->exit_int_info_err : 0;
}

static void svm_cache_reg(struct okvm_vcpu *vcpu, int reg)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	const struct vmcb_save_area *save = &to_hw(vcpu)->vmcb->save;

	arch->avail |= BIT(reg);
	switch (reg) {
	case OKVM_REG_RSP:
		arch->gpr[OKVM_REG_RSP] = save->rsp;
		break;
	case OKVM_REG_RIP:
		arch->rip = save->rip;
		break;
	case OKVM_REG_RFLAGS:
		arch->rflags = save->rflags;
		break;
	case OKVM_REG_CR0:
		arch->cr0 &= ~arch->cr0_guest_owned;
		arch->cr0 |= save->cr0 & arch->cr0_guest_owned;
		break;
	case OKVM_REG_CR3:
		if (!svm_is_shadow(vcpu))
			arch->cr3 = save->cr3;
		break;
	case OKVM_REG_PDPTR:
		/*
		 * With nested paging, the CPU keeps no copy of the PDPTEs, but reads them from
		 * memory at each walk: read them from memory here, too.
		 */
		if (!svm_is_shadow(vcpu) && okvm_pae_paging(vcpu))
			okvm_mmu_load_pdptrs(vcpu, okvm_cr3(vcpu), arch->pdptrs);
		break;
	default:
		break;
	}
}

/* ---- control registers ---- */

/*
 * If one of the following bits changes in a guest, the CPU flushes the TLB (APM "Implicit
 * Invalidations"). VMRUN loads a new value without a flush, so okvm has to request the flush.
 * CR0.PG is one of these bits, because the guest makes TLB entries under its ASID with paging off,
 * too.
 */
#define FLUSH_CR0	X86_CR0_PG
#define FLUSH_CR4	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCIDE | X86_CR4_LA57 | \
			 X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE)
#define FLUSH_EFER	(EFER_NX | EFER_LME | EFER_LMA)

/* Request a TLB flush if one of @bits differs between @old, the value in the VMCB, and @val. */
static void flush_if_changed(struct okvm_vcpu *vcpu, u64 old, u64 val, u64 bits)
{
	if ((old ^ val) & bits)
		svm_mmu_ops.flush_tlb(vcpu, OKVM_TLB_GUEST, 0);
}

/* Write CR4 to the VMCB. With shadow paging the value also depends on the guest's CR0 and EFER. */
static void write_cr4(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	/* Use the host's CR4.MCE: if MCE were 0, a machine check would shut down the CPU. */
	unsigned long val = (vcpu->arch->cr4 & ~X86_CR4_MCE) | (okvm_host_cr4() & X86_CR4_MCE);

	if (svm_is_shadow(vcpu))
		val = okvm_shadow_cr4(vcpu->arch, val);
	flush_if_changed(vcpu, hw->vmcb->save.cr4, val, FLUSH_CR4);
	hw->vmcb->save.cr4 = val;
	svm_dirty(hw, SVM_CLEAN_CR);
}

/*
 * Set the guest's CR0. In the VMCB, CD and NW are always 0: otherwise hardware would not cache the
 * guest's accesses. With shadow paging, PG and WP are always 1 there, even if PE is 0: VMRUN allows
 * this (APM "Paged Real Mode"). While the guest's own CR0 differs in one of these bits, reads and
 * writes of CR0 exit.
 */
static void svm_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long val = cr0 & ~(X86_CR0_CD | X86_CR0_NW);

	if (svm_is_shadow(vcpu))
		val |= OKVM_SHADOW_CR0;
	flush_if_changed(vcpu, hw->vmcb->save.cr0, val, FLUSH_CR0);
	arch->cr0 = cr0;
	arch->avail |= BIT(OKVM_REG_CR0);
	hw->vmcb->save.cr0 = val;
	svm_dirty(hw, SVM_CLEAN_CR);
	svm_update_intercepts(vcpu, OKVM_ICPT_CR);
	if (svm_is_shadow(vcpu))
		write_cr4(vcpu);
}

static void svm_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	vcpu->arch->cr4 = cr4;
	write_cr4(vcpu);
}

static void svm_set_efer(struct okvm_vcpu *vcpu, u64 efer)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 val = svm_is_shadow(vcpu) ? okvm_shadow_efer(efer) : efer;

	flush_if_changed(vcpu, hw->vmcb->save.efer, val, FLUSH_EFER);
	vcpu->arch->efer = efer;
	/* VMRUN requires EFER.SVME. The guest does not see it: RDMSR returns vcpu->arch->efer. */
	hw->vmcb->save.efer = val | EFER_SVME;
	svm_dirty(hw, SVM_CLEAN_CR);
	if (svm_is_shadow(vcpu))
		write_cr4(vcpu);
}

const struct okvm_reg_ops svm_reg_ops = {
	.cache_reg = svm_cache_reg,
	.get_segment = svm_get_segment,
	.set_segment = svm_set_segment,
	.get_dt = svm_get_dt,
	.set_dt = svm_set_dt,
	.get_cpl = svm_get_cpl,
	.exit_info = svm_exit_info,
	.cs_long = svm_cs_long,
	.set_cr0 = svm_set_cr0,
	.set_cr4 = svm_set_cr4,
	.set_efer = svm_set_efer,
};
