// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest registers in the VMCS: segments, descriptor tables, control registers. Most are read when
 * they are first needed, and their copies are kept until the next VM exit.
 *
 * Without unrestricted guest, upstream runs real mode in virtual-8086 mode with modified segments.
 * okvm keeps the guest's segments in the VMCS and emulates what hardware cannot run.
 */
#include <linux/kvm.h>

#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include "vmx/vmx.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/regs.h"

#define SEG_AR_TYPE		GENMASK(3, 0)
#define SEG_AR_S		BIT(4)
#define SEG_AR_DPL_SHIFT	5
#define SEG_AR_P		BIT(7)
#define SEG_AR_AVL		BIT(12)
#define SEG_AR_L		BIT(13)
#define SEG_AR_DB		BIT(14)
#define SEG_AR_G		BIT(15)
#define SEG_AR_UNUSABLE	BIT(16)
#define SEG_AR_RESERVED	(GENMASK(11, 8) | GENMASK(31, 17))

struct seg_fields {
	u32 sel, base, limit, ar;
};

#define SEG(name, n) [OKVM_SEG_##n] = {						\
	GUEST_##name##_SELECTOR, GUEST_##name##_BASE, GUEST_##name##_LIMIT,	\
	GUEST_##name##_AR_BYTES }

static const struct seg_fields seg_fields[OKVM_NR_SEGS] = {
	SEG(ES, ES), SEG(CS, CS), SEG(SS, SS), SEG(DS, DS), SEG(FS, FS), SEG(GS, GS),
	SEG(LDTR, LDTR), SEG(TR, TR),
};

static u32 seg_bit(enum okvm_seg seg, enum vmx_seg_field field)
{
	return BIT(seg * NR_SEG_FIELDS + field);
}

static_assert(OKVM_NR_SEGS * NR_SEG_FIELDS <= 32);

static unsigned int seg_slot(enum vmx_seg_field field)
{
	return field > SEG_BASE ? field - 1 : field;
}

static u32 seg_read(struct okvm_hw_vcpu *hw, enum okvm_seg seg, enum vmx_seg_field field)
{
	const struct seg_fields *f = &seg_fields[seg];
	u32 *val = &hw->seg[seg][seg_slot(field)];

	if (!(hw->seg_avail & seg_bit(seg, field))) {
		hw->seg_avail |= seg_bit(seg, field);
		*val = vmcs_read32(field == SEG_SEL ? f->sel : field == SEG_AR ? f->ar : f->limit);
	}
	return *val;
}

static unsigned long seg_base_read(struct okvm_hw_vcpu *hw, enum okvm_seg seg)
{
	if (!(hw->seg_avail & seg_bit(seg, SEG_BASE))) {
		hw->seg_avail |= seg_bit(seg, SEG_BASE);
		hw->seg_base[seg] = vmcs_read(seg_fields[seg].base);
	}
	return hw->seg_base[seg];
}

static void vmx_get_segment(struct okvm_vcpu *vcpu, struct kvm_segment *var, enum okvm_seg seg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 ar = seg_read(hw, seg, SEG_AR);

	var->base = seg_base_read(hw, seg);
	var->limit = seg_read(hw, seg, SEG_LIMIT);
	var->selector = seg_read(hw, seg, SEG_SEL);
	var->unusable = !!(ar & SEG_AR_UNUSABLE);
	var->type = ar & SEG_AR_TYPE;
	var->s = !!(ar & SEG_AR_S);
	var->dpl = (ar >> SEG_AR_DPL_SHIFT) & 3;
	/*
	 * Report an unusable segment as not present. Some VMMs ignore "unusable" and would set
	 * the segment as a present one later.
	 */
	var->present = !var->unusable;
	var->avl = !!(ar & SEG_AR_AVL);
	var->l = !!(ar & SEG_AR_L);
	var->db = !!(ar & SEG_AR_DB);
	var->g = !!(ar & SEG_AR_G);
	var->padding = 0;
}

static u32 seg_ar(const struct kvm_segment *var)
{
	/*
	 * Keep the attributes of unusable segments: userspace reads them, and SS.DPL is the CPL.
	 */
	return (var->type & 15) | (var->s ? SEG_AR_S : 0) | (var->dpl & 3) << SEG_AR_DPL_SHIFT |
	       (var->present ? SEG_AR_P : 0) | (var->avl ? SEG_AR_AVL : 0) |
	       (var->l ? SEG_AR_L : 0) | (var->db ? SEG_AR_DB : 0) | (var->g ? SEG_AR_G : 0) |
	       (var->unusable || !var->present ? SEG_AR_UNUSABLE : 0);
}

static void vmx_set_segment(struct okvm_vcpu *vcpu, const struct kvm_segment *var,
			    enum okvm_seg seg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct seg_fields *f = &seg_fields[seg];
	u32 ar = seg_ar(var);

	/*
	 * With unrestricted guest, a VMM may set real-mode segments without the accessed bit in
	 * the type. Set the bit: VM entry requires it (SDM "Checks on Guest Segment Registers").
	 */
	if (vmx_unrestricted(vcpu) && seg != OKVM_SEG_LDTR &&
	    seg != OKVM_SEG_TR && !(ar & SEG_AR_UNUSABLE))
		ar |= 1;
	hw->seg_avail |= 0xfu << (seg * NR_SEG_FIELDS);
	hw->seg[seg][seg_slot(SEG_SEL)] = var->selector;
	hw->seg[seg][seg_slot(SEG_LIMIT)] = var->limit;
	hw->seg[seg][seg_slot(SEG_AR)] = ar;
	hw->seg_base[seg] = var->base;
	hw->todo |= VMX_TODO_CHECK_STATE;
	vmcs_write(f->sel, var->selector);
	vmcs_write(f->base, var->base);
	vmcs_write(f->limit, var->limit);
	vmcs_write(f->ar, ar);
}

static void vmx_get_dt(struct okvm_vcpu *vcpu, struct kvm_dtable *dt, bool idt)
{
	dt->base = vmcs_read(idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE);
	dt->limit = vmcs_read32(idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT);
	memset(dt->padding, 0, sizeof(dt->padding));
}

static void vmx_set_dt(struct okvm_vcpu *vcpu, const struct kvm_dtable *dt, bool idt)
{
	vmcs_write(idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE, dt->base);
	vmcs_write(idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT, dt->limit);
}

/*
 * Set @info to the data of the last exit, in the same order as upstream. After a failed VM entry,
 * only the exit reason and the qualification have a meaning: set the other words to 0. While okvm
 * emulates the guest because VM entry would refuse its state, report a failed VM entry.
 */
static void vmx_exit_info(struct okvm_vcpu *vcpu, u64 info[OKVM_EXIT_INFO])
{
	const u32 with_code = INTR_INFO_VALID_MASK | INTR_INFO_DELIVER_CODE_MASK;
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	memset(info, 0, OKVM_EXIT_INFO * sizeof(*info));
	if (hw->emulate) {
		info[0] = EXIT_REASON_INVALID_STATE | VMX_EXIT_REASONS_FAILED_VMENTRY;
		return;
	}
	info[0] = hw->exit_reason;
	info[1] = vmx_qual(hw);
	if (hw->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return;
	info[2] = vmcs_read32(IDT_VECTORING_INFO_FIELD);
	info[3] = vmx_intr_info(hw);
	if ((info[3] & with_code) == with_code)
		info[4] = vmcs_read32(VM_EXIT_INTR_ERROR_CODE);
}

int vmx_get_cpl(struct okvm_vcpu *vcpu)
{
	/* In long mode there is neither real mode nor virtual-8086 mode: SS.DPL is the CPL. */
	if (!okvm_long_mode(vcpu)) {
		if (!(okvm_cr0(vcpu) & X86_CR0_PE))
			return 0;
		if (vmx_rflags(vcpu) & X86_EFLAGS_VM)
			return 3;
	}
	return (seg_read(to_hw(vcpu), OKVM_SEG_SS, SEG_AR) >> SEG_AR_DPL_SHIFT) & 3;
}

bool vmx_cs_long(struct okvm_vcpu *vcpu)
{
	return okvm_long_mode(vcpu) && seg_read(to_hw(vcpu), OKVM_SEG_CS, SEG_AR) & SEG_AR_L;
}

/*
 * Advance RIP past the exit's instruction and end an interrupt shadow. Raise no single-step trap,
 * whatever RFLAGS.TF is.
 */
void vmx_skip_insn_fast(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long old = vmx_rip(vcpu);
	/*
	 * Do not call vmx_insn_len(), which caches the length: a fast exit needs the length only
	 * once.
	 */
	unsigned long rip = old + vmcs_read32(VM_EXIT_INSTRUCTION_LEN);

	if (okvm_rip_carries(old, rip) && !vmx_cs_long(vcpu))
		rip = (u32)rip;
	if (unlikely(vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & VMX_IRQ_SHADOW))
		vmx_shadow_set(hw, vmx_shadow(hw) & ~VMX_IRQ_SHADOW);
	arch->rip = rip;
	arch->dirty |= BIT(OKVM_REG_RIP);
}

static bool pae_paging(const struct okvm_arch_vcpu *arch)
{
	return arch->cr0 & X86_CR0_PG && arch->cr4 & X86_CR4_PAE && !(arch->efer & EFER_LMA);
}

static void cache_pdptrs(struct okvm_arch_vcpu *arch)
{
	if (!pae_paging(arch))
		return;
	arch->pdptrs[0] = vmcs_read(GUEST_PDPTR0);
	arch->pdptrs[1] = vmcs_read(GUEST_PDPTR1);
	arch->pdptrs[2] = vmcs_read(GUEST_PDPTR2);
	arch->pdptrs[3] = vmcs_read(GUEST_PDPTR3);
}

static void vmx_cache_reg(struct okvm_vcpu *vcpu, int reg)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	arch->avail |= BIT(reg);
	switch (reg) {
	case OKVM_REG_RSP:
		arch->gpr[OKVM_REG_RSP] = vmcs_read(GUEST_RSP);
		break;
	case OKVM_REG_RIP:
		arch->rip = vmcs_read(GUEST_RIP);
		break;
	case OKVM_REG_RFLAGS:
		arch->rflags = vmcs_read(GUEST_RFLAGS);
		break;
	case OKVM_REG_CR0:
		arch->cr0 &= ~arch->cr0_guest_owned;
		arch->cr0 |= vmcs_read(GUEST_CR0) & arch->cr0_guest_owned;
		break;
	case OKVM_REG_CR3:
		if (!vmx_is_shadow(vcpu) && !to_hw(vcpu)->identity)
			arch->cr3 = vmcs_read(GUEST_CR3);
		break;
	case OKVM_REG_CR4:
		arch->cr4 &= ~arch->cr4_guest_owned;
		arch->cr4 |= vmcs_read(GUEST_CR4) & arch->cr4_guest_owned;
		break;
	case OKVM_REG_PDPTR:
		if (!vmx_is_shadow(vcpu))
			cache_pdptrs(arch);
		break;
	default:
		break;
	}
}

/*
 * ---- control registers ----
 *
 * The guest reads its own values from the read shadows. With shadow paging, hardware runs with
 * other values: see x86/cpu/cr.h. So it does with EPT and without unrestricted guest, while the
 * guest's CR0.PG is 0. CR0.PG is 1 in hardware then, and the identity map (apic_page.c) translates.
 */

/* Return CR4 in hardware for the identity map. @cr4: the value that it would have otherwise */
static unsigned long identity_cr4(unsigned long cr4)
{
	return (cr4 | X86_CR4_PSE) & ~(X86_CR4_PAE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP |
				       X86_CR4_PKE | X86_CR4_LA57);
}

/*
 * Begin or end the use of the identity map. Each time request a flush, because the CPU caches the
 * map's translations, too.
 */
static void identity_switch(struct okvm_vcpu *vcpu, bool on)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (on == hw->identity)
		return;
	/* While the map is in use, vcpu->arch keeps the guest's CR3. */
	okvm_cr3(vcpu);
	hw->identity = on;
	hw->todo |= VMX_TODO_FLUSH_GUEST;
	if (on) {
		vmcs_write(GUEST_CR3, vmx_identity_addr(vcpu->vm));
		vmcs_exec_set(&hw->vmcs, hw->vmcs.exec | VMX_CR3_EXITING);
	} else {
		okvm_reg_mark_dirty(vcpu, OKVM_REG_CR3);
		vmcs_exec_set(&hw->vmcs, (hw->vmcs.exec & ~VMX_CR3_EXITING) | vmx_caps.exec_fixed);
	}
}

/*
 * Return the PAT with which the guest runs. With shadow paging this is the host's PAT, because the
 * shadow entries encode memory types for the host's PAT (see spte_fmt_pt).
 */
u64 vmx_guest_pat(const struct okvm_vcpu *vcpu, u64 pat)
{
	if (vmx_is_shadow(vcpu))
		rdmsrl(MSR_IA32_CR_PAT, pat);
	return pat;
}

static void vmx_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long val = cr0 & ~(X86_CR0_CD | X86_CR0_NW);

	/* VMX operation requires NE, PE and PG; with unrestricted guest PE and PG may be 0. */
	val |= X86_CR0_NE;
	if (!vmx_unrestricted(vcpu))
		val |= X86_CR0_PE | X86_CR0_PG;
	if (vmx_is_shadow(vcpu))
		val |= OKVM_SHADOW_CR0;
	arch->cr0 = cr0;
	arch->avail |= BIT(OKVM_REG_CR0);
	vmcs_write(CR0_READ_SHADOW, cr0);
	vmcs_write(GUEST_CR0, val);
	hw->walk_wp = cr0 & X86_CR0_WP;
	hw->todo |= VMX_TODO_CHECK_STATE;
	if (vmx_unrestricted(vcpu))
		return;
	if (!vmx_is_shadow(vcpu))
		identity_switch(vcpu, !(cr0 & X86_CR0_PG));
	vmx_set_cr4(vcpu, okvm_cr4(vcpu));
}

/* Set whether LGDT, SGDT and similar instructions exit, to emulate UMIP on a CPU without it. */
static void desc_exiting(struct okvm_hw_vcpu *hw, bool on)
{
	if (on)
		vmcs_exec2_set(&hw->vmcs, hw->vmcs.exec2 | SECONDARY_EXEC_DESC);
	else if (hw->vmcs.exec2 & SECONDARY_EXEC_DESC)
		vmcs_exec2_set(&hw->vmcs, hw->vmcs.exec2 & ~SECONDARY_EXEC_DESC);
}

void vmx_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long val = (cr4 & ~X86_CR4_MCE) | X86_CR4_VMXE | (hw->vmcs.host_cr4 & X86_CR4_MCE);

	if (!boot_cpu_has(X86_FEATURE_UMIP) && vmx_caps.exec2 & SECONDARY_EXEC_DESC) {
		desc_exiting(hw, cr4 & X86_CR4_UMIP);
		val &= ~X86_CR4_UMIP;
	}
	if (vmx_is_shadow(vcpu))
		val = okvm_shadow_cr4(arch, val);
	else if (hw->identity)
		val = identity_cr4(val);
	arch->cr4 = cr4;
	arch->avail |= BIT(OKVM_REG_CR4);
	vmcs_write(CR4_READ_SHADOW, cr4);
	vmcs_write(GUEST_CR4, val);
	hw->todo |= VMX_TODO_CHECK_STATE;
}

/*
 * Return EFER in hardware, if the guest's EFER is @efer. Without unrestricted guest, CR0.PG in
 * hardware is always 1, and VM entry then requires that LME equals LMA.
 */
static u64 hardware_efer(const struct okvm_vcpu *vcpu, u64 efer)
{
	if (vmx_is_shadow(vcpu))
		return okvm_shadow_efer(efer);
	if (!vmx_unrestricted(vcpu) && !(efer & EFER_LMA))
		efer &= ~(u64)EFER_LME;
	return efer;
}

static void vmx_set_efer(struct okvm_vcpu *vcpu, u64 efer)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->arch->efer = efer;
	hw->uret_stale = true;
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_EFER)
		vmcs_write(GUEST_IA32_EFER, hardware_efer(vcpu, efer));
	if (efer & EFER_LMA)
		vmcs_entry_set(&hw->vmcs, hw->vmcs.entry | VM_ENTRY_IA32E_MODE);
	else
		vmcs_entry_set(&hw->vmcs, hw->vmcs.entry & ~VM_ENTRY_IA32E_MODE);
	hw->todo |= VMX_TODO_CHECK_STATE;
	if (vmx_is_shadow(vcpu))
		vmx_set_cr4(vcpu, okvm_cr4(vcpu));
}

void vmx_sync_wp(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	bool wp = okvm_cr0(vcpu) & X86_CR0_WP;

	if (wp == hw->walk_wp)
		return;
	hw->walk_wp = wp;
	okvm_paging_changed(vcpu);
}

/* ---- checks whether hardware without unrestricted guest can run the guest's state ---- */

static bool ar_sane(u32 ar, u32 limit)
{
	if (!(ar & SEG_AR_P) || ar & SEG_AR_RESERVED)
		return false;
	/* With G = 1, bits 11:0 of the limit must be 1; with G = 0, bits 31:20 must be 0. */
	if ((limit & 0xfff) != 0xfff && ar & SEG_AR_G)
		return false;
	return !(limit >> 20) || ar & SEG_AR_G;
}

static bool data_seg_ok(struct okvm_hw_vcpu *hw, enum okvm_seg seg)
{
	u32 ar = seg_read(hw, seg, SEG_AR);
	u32 rpl = seg_read(hw, seg, SEG_SEL) & 3;
	u32 dpl = (ar >> SEG_AR_DPL_SHIFT) & 3;

	if (ar & SEG_AR_UNUSABLE)
		return true;
	if (!(ar & SEG_AR_S) || !(ar & 1) || !ar_sane(ar, seg_read(hw, seg, SEG_LIMIT)))
		return false;
	/* A code segment in a data segment register must be readable. */
	if (ar & 8 && !(ar & 2))
		return false;
	/* A data or non-conforming code segment must have DPL >= RPL. */
	return (ar & SEG_AR_TYPE) > 11 || dpl >= rpl;
}

static bool stack_seg_ok(struct okvm_hw_vcpu *hw)
{
	u32 ar = seg_read(hw, OKVM_SEG_SS, SEG_AR);
	u32 rpl = seg_read(hw, OKVM_SEG_SS, SEG_SEL) & 3;
	u32 type = ar & SEG_AR_TYPE;

	if (ar & SEG_AR_UNUSABLE)
		return true;
	return ar & SEG_AR_S && (type == 3 || type == 7) && ((ar >> SEG_AR_DPL_SHIFT) & 3) == rpl &&
	       ar_sane(ar, seg_read(hw, OKVM_SEG_SS, SEG_LIMIT));
}

static bool code_seg_ok(struct okvm_hw_vcpu *hw)
{
	u32 ar = seg_read(hw, OKVM_SEG_CS, SEG_AR);
	u32 rpl = seg_read(hw, OKVM_SEG_CS, SEG_SEL) & 3;
	u32 dpl = (ar >> SEG_AR_DPL_SHIFT) & 3;
	u32 type = ar & SEG_AR_TYPE;

	if (ar & SEG_AR_UNUSABLE || !(ar & SEG_AR_S) || !(type & 8) || !(type & 1))
		return false;
	if (ar & SEG_AR_L && ar & SEG_AR_DB)
		return false;
	if (!ar_sane(ar, seg_read(hw, OKVM_SEG_CS, SEG_LIMIT)))
		return false;
	return type & 4 ? dpl <= rpl : dpl == rpl;
}

static bool system_segs_ok(struct okvm_hw_vcpu *hw)
{
	u32 tr = seg_read(hw, OKVM_SEG_TR, SEG_AR);
	u32 ldtr = seg_read(hw, OKVM_SEG_LDTR, SEG_AR);

	if (tr & (SEG_AR_UNUSABLE | SEG_AR_S) || seg_read(hw, OKVM_SEG_TR, SEG_SEL) & 4)
		return false;
	if ((tr & SEG_AR_TYPE) != 3 && (tr & SEG_AR_TYPE) != 11)
		return false;
	if (!ar_sane(tr, seg_read(hw, OKVM_SEG_TR, SEG_LIMIT)))
		return false;
	if (ldtr & SEG_AR_UNUSABLE)
		return true;
	return !(ldtr & SEG_AR_S) && (ldtr & SEG_AR_TYPE) == 2 &&
	       !(seg_read(hw, OKVM_SEG_LDTR, SEG_SEL) & 4);
}

static bool vm86_segs_ok(struct okvm_hw_vcpu *hw)
{
	int seg;

	for (seg = OKVM_SEG_ES; seg <= OKVM_SEG_GS; seg++)
		if (seg_base_read(hw, seg) != seg_read(hw, seg, SEG_SEL) << 4 ||
		    seg_read(hw, seg, SEG_LIMIT) != 0xffff ||
		    seg_read(hw, seg, SEG_AR) != 0xf3)
			return false;
	return true;
}

/*
 * Return true if the CPU can run the guest's current state. Return false if okvm has to emulate the
 * guest. With unrestricted guest, the CPU runs every state. Without it, CR0 and the segments must
 * have values that VM entries accept (SDM "Checks on Guest Segment Registers").
 */
bool vmx_state_valid(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	int seg;

	if (vmx_unrestricted(vcpu))
		return true;
	if (!(okvm_cr0(vcpu) & X86_CR0_PE))
		return false;
	/*
	 * Hardware can run a guest with CR0.PG = 0 if tables map each linear address to the same
	 * guest-physical one: okvm's own with shadow paging, the identity map with EPT.
	 */
	if (hw->identity && !vmx_identity_ready(vcpu))
		return false;
	if (!okvm_long_mode(vcpu) && okvm_rflags(vcpu) & X86_EFLAGS_VM)
		return vm86_segs_ok(hw);
	if (!code_seg_ok(hw) || !stack_seg_ok(hw) || !system_segs_ok(hw))
		return false;
	if ((seg_read(hw, OKVM_SEG_CS, SEG_SEL) & 3) !=
	    (seg_read(hw, OKVM_SEG_SS, SEG_SEL) & 3))
		return false;
	for (seg = OKVM_SEG_ES; seg <= OKVM_SEG_GS; seg++)
		if (seg != OKVM_SEG_CS && seg != OKVM_SEG_SS && !data_seg_ok(hw, seg))
			return false;
	return true;
}

const struct okvm_reg_ops vmx_reg_ops = {
	.cache_reg = vmx_cache_reg,
	.get_segment = vmx_get_segment,
	.set_segment = vmx_set_segment,
	.get_dt = vmx_get_dt,
	.set_dt = vmx_set_dt,
	.get_cpl = vmx_get_cpl,
	.exit_info = vmx_exit_info,
	.cs_long = vmx_cs_long,
	.set_cr0 = vmx_set_cr0,
	.set_cr4 = vmx_set_cr4,
	.set_efer = vmx_set_efer,
};
