// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control and debug registers: which values are legal, and what okvm must do after a change. This
 * file checks a value, then the backend loads the value.
 *
 * The rules are in the SDM: "Control Registers", "Initializing IA-32e Mode", "Debug Registers" and
 * "Process-Context Identifiers".
 */
#include <linux/bits.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/page.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>

#include "core/guestmem.h"
#include "mmu/needs.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/regs.h"
#include "x86/cpuid/cpuid.h"

#define CR0_KNOWN	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
			 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | \
			 X86_CR0_PG)
#define CR0_PDPTR	(X86_CR0_CD | X86_CR0_NW | X86_CR0_PG)
#define CR3_PDPT	0xffffffe0ul	/* PAE: the address of the four PDPTEs */
#define CR4_PDPTR	(X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP)
#define CR0_WALK	(X86_CR0_PG | X86_CR0_WP)
#define CR4_WALK	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_SMEP | \
			 X86_CR4_SMAP | X86_CR4_PKE)
#define CR3_PCID	GENMASK_ULL(11, 0)
#define CR3_NOFLUSH	BIT_ULL(63)

void okvm_paging_changed(struct okvm_vcpu *vcpu)
{
	unsigned long cr0 = okvm_cr0(vcpu), cr4 = okvm_cr4(vcpu);
	const struct okvm_guest_feat *feat = &vcpu->arch->feat;
	struct walk_mode mode = {
		.maxphyaddr = walk_maxphyaddr(feat->maxphyaddr),
		.wp = cr0 & X86_CR0_WP,
		.nx = vcpu->arch->efer & EFER_NX,
		.smep = cr4 & X86_CR4_SMEP,
		.smap = cr4 & X86_CR4_SMAP,
		.pse = cr4 & X86_CR4_PSE,
		.pke = okvm_long_mode(vcpu) && cr4 & X86_CR4_PKE,
		.gbpages = feat->gbpages,
	};

	if (!(cr0 & X86_CR0_PG))
		mode.levels = 0;
	else if (okvm_long_mode(vcpu))
		mode.levels = cr4 & X86_CR4_LA57 ? 5 : 4;
	else
		mode.levels = cr4 & X86_CR4_PAE ? 3 : 2;
	okvm_mmu_set_paging(vcpu, &mode);
}

void okvm_arch_walk_regs(struct okvm_vcpu *vcpu, struct walk_regs *regs)
{
	regs->cr3 = okvm_cr3(vcpu);
	if (!okvm_long_mode(vcpu)) {
		okvm_reg_fetch(vcpu, OKVM_REG_PDPTR);
		memcpy(regs->pdptrs, vcpu->arch->pdptrs, sizeof(regs->pdptrs));
	}
	regs->pkru = vcpu->arch->pkru;
	regs->ac = okvm_rflags(vcpu) & X86_EFLAGS_AC;
}

/*
 * Tell shadow paging that the guest's root page table has changed. (EPT and NPT do not depend on
 * the guest's root.)
 */
static void root_changed(struct okvm_vcpu *vcpu)
{
	if (!(vcpu->vm->caps & OKVM_HW_TDP))
		okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
}

/* Load the four PDPTE registers (SDM "PAE Paging"). Return: false if an entry is illegal */
static bool load_pdptrs(struct okvm_vcpu *vcpu, unsigned long cr3)
{
	if (!okvm_mmu_load_pdptrs(vcpu, cr3, vcpu->arch->pdptrs))
		return false;
	okvm_reg_mark_dirty(vcpu, OKVM_REG_PDPTR);
	root_changed(vcpu);
	return true;
}

bool okvm_cr0_valid(unsigned long cr0)
{
	if (upper_32_bits(cr0))
		return false;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return false;
	return !(cr0 & X86_CR0_PG) || cr0 & X86_CR0_PE;
}

bool okvm_cr4_valid(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	return !(cr4 & (vcpu->vm->host->cr4_reserved | vcpu->arch->feat.cr4_reserved));
}

/* Does changing CR0 from @old to the legal value @cr0 also load the PDPTEs? */
static bool cr0_loads_pdptrs(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr0)
{
	return cr0 & X86_CR0_PG && !(vcpu->arch->efer & EFER_LME) &&
	       okvm_cr4(vcpu) & X86_CR4_PAE && (cr0 ^ old) & CR0_PDPTR;
}

static bool cr4_loads_pdptrs(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr4)
{
	return !okvm_long_mode(vcpu) && okvm_paging(vcpu) && cr4 & X86_CR4_PAE &&
	       (cr4 ^ old) & CR4_PDPTR;
}

/* If the page of the PDPTEs at @gpa is absent, wait for it. Return: false on a signal or kick */
static bool pdptes_come(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	bool present;
	u64 pdpte;

	pagefault_disable();
	present = !okvm_read_guest(vcpu->vm, gpa, &pdpte, sizeof(pdpte));
	pagefault_enable();
	return present || okvm_guest_wait(vcpu, gpa, false, 0) != -EINTR;
}

bool okvm_cr_pages_come(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val)
{
	unsigned long cr3 = cr == 3 ? val : okvm_cr3(vcpu);
	bool loads;

	if (cr == 0)
		loads = cr0_loads_pdptrs(vcpu, okvm_cr0(vcpu), val);
	else if (cr == 4)
		loads = cr4_loads_pdptrs(vcpu, okvm_cr4(vcpu), val);
	else
		loads = cr == 3 && okvm_pae_paging(vcpu);
	return !loads || pdptes_come(vcpu, cr3 & CR3_PDPT);
}

/* Is @cr0 legal with the current EFER.LME, CR4 and CS? Loads the PDPTEs if necessary. */
static bool cr0_fits_mode(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr0)
{
	bool lme = vcpu->arch->efer & EFER_LME;
	bool pae = okvm_cr4(vcpu) & X86_CR4_PAE;

	if (!(cr0 & X86_CR0_PG))
		return !(okvm_cr4(vcpu) & X86_CR4_PCIDE) && !okvm_cs_64bit(vcpu);
	if (lme && !(old & X86_CR0_PG)) {
		struct kvm_segment cs;

		vcpu->arch->reg_ops->get_segment(vcpu, &cs, OKVM_SEG_CS);
		return pae && !cs.l;
	}
	return !cr0_loads_pdptrs(vcpu, old, cr0) || load_pdptrs(vcpu, okvm_cr3(vcpu));
}

/* Set the type in TR to "busy 64-bit TSS" (SDM "Initializing IA-32e Mode"). */
static void fix_long_mode_tr(struct okvm_vcpu *vcpu)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	struct kvm_segment tr;

	ops->get_segment(vcpu, &tr, OKVM_SEG_TR);
	if (tr.type == 0xb)
		return;
	tr.type = 0xb;
	ops->set_segment(vcpu, &tr, OKVM_SEG_TR);
}

/*
 * After a change of CR0.PG, set EFER.LMA to EFER.LME & CR0.PG (SDM "Initializing IA-32e Mode"). A
 * write of EFER does not change LMA, even if userspace changes LME while paging is on.
 */
static void sync_lma(struct okvm_vcpu *vcpu, unsigned long cr0)
{
	u64 efer = vcpu->arch->efer & ~EFER_LMA;

	if (efer & EFER_LME && cr0 & X86_CR0_PG)
		efer |= EFER_LMA;
	if (efer == vcpu->arch->efer)
		return;
	if (efer & EFER_LMA)
		fix_long_mode_tr(vcpu);
	okvm_load_efer(vcpu, efer);
}

static void cr0_changed(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr0)
{
	if ((old ^ cr0) & X86_CR0_PG) {
		if (!(cr0 & X86_CR0_PG))
			okvm_request(OKVM_REQ_TLB_GUEST, vcpu);
		/*
		 * A guest that restarts itself switches paging off and on. Announce pages of its
		 * async page faults that have come meanwhile.
		 */
		okvm_request(OKVM_REQ_APF_READY, vcpu);
		root_changed(vcpu);
	}
	if ((old ^ cr0) & CR0_WALK)
		okvm_paging_changed(vcpu);
}

int okvm_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0)
{
	unsigned long old = okvm_cr0(vcpu);

	if (!okvm_cr0_valid(cr0))
		return 1;
	cr0 = (cr0 | X86_CR0_ET) & CR0_KNOWN;
	if (!cr0_fits_mode(vcpu, old, cr0))
		return 1;
	vcpu->arch->reg_ops->set_cr0(vcpu, cr0);
	vcpu->arch->cr0 = cr0;
	if ((old ^ cr0) & X86_CR0_PG)
		sync_lma(vcpu, cr0);
	cr0_changed(vcpu, old, cr0);
	return 0;
}

void okvm_load_cr3(struct okvm_vcpu *vcpu, unsigned long cr3)
{
	vcpu->arch->cr3 = cr3;
	okvm_reg_mark_dirty(vcpu, OKVM_REG_CR3);
	if (okvm_pae_paging(vcpu))
		vcpu->arch->dirty |= BIT(OKVM_REG_PDPTR);
}

int okvm_set_cr3(struct okvm_vcpu *vcpu, unsigned long cr3)
{
	bool noflush = false;

	if (okvm_cr4(vcpu) & X86_CR4_PCIDE) {
		noflush = cr3 & CR3_NOFLUSH;
		cr3 &= ~CR3_NOFLUSH;
	}
	if (cr3 != okvm_cr3(vcpu) || okvm_pae_paging(vcpu)) {
		if (cr3 & vcpu->arch->feat.gpa_reserved)
			return 1;
		if (okvm_pae_paging(vcpu) && !load_pdptrs(vcpu, cr3))
			return 1;
		okvm_load_cr3(vcpu, cr3);
	}
	okvm_mmu_cr3_loaded(vcpu, noflush);
	return 0;
}

/* Is @cr4 legal with the current EFER, CR0 and CR3? Loads the PDPTEs if necessary. */
static bool cr4_fits_mode(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr4)
{
	if (okvm_long_mode(vcpu)) {
		if (!(cr4 & X86_CR4_PAE) || (cr4 ^ old) & X86_CR4_LA57)
			return false;
	} else if (cr4_loads_pdptrs(vcpu, old, cr4) && !load_pdptrs(vcpu, okvm_cr3(vcpu))) {
		return false;
	}
	if (cr4 & ~old & X86_CR4_PCIDE)
		return okvm_long_mode(vcpu) && !(okvm_cr3(vcpu) & CR3_PCID);
	return true;
}

static void cr4_changed(struct okvm_vcpu *vcpu, unsigned long old, unsigned long cr4)
{
	unsigned long changed = old ^ cr4;

	/* These changes flush the TLB (SDM "Operations that Invalidate TLBs ..."). */
	if (changed & (X86_CR4_PGE | X86_CR4_PAE) || old & ~cr4 & X86_CR4_PCIDE ||
	    cr4 & ~old & X86_CR4_SMEP)
		okvm_request(OKVM_REQ_TLB_GUEST, vcpu);
	if (changed & CR4_WALK) {
		okvm_paging_changed(vcpu);
		root_changed(vcpu);
	}
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		okvm_cpuid_runtime(vcpu);
}

int okvm_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	unsigned long old = okvm_cr4(vcpu);

	if (!okvm_cr4_valid(vcpu, cr4) || !cr4_fits_mode(vcpu, old, cr4))
		return 1;
	vcpu->arch->reg_ops->set_cr4(vcpu, cr4);
	vcpu->arch->cr4 = cr4;
	cr4_changed(vcpu, old, cr4);
	return 0;
}

int okvm_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8)
{
	if (cr8 & ~0xful)
		return 1;
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_set_cr8(vcpu, cr8);
	else
		vcpu->arch->cr8 = cr8;
	return 0;
}

unsigned long okvm_get_cr8(struct okvm_vcpu *vcpu)
{
	return okvm_lapic_in_kernel(vcpu) ? okvm_apic_get_cr8(vcpu) : vcpu->arch->cr8;
}

/* Load @efer, and tell mmu/ the effects on paging. The caller has set LMA in @efer. */
void okvm_load_efer(struct okvm_vcpu *vcpu, u64 efer)
{
	u64 old = vcpu->arch->efer;

	vcpu->arch->reg_ops->set_efer(vcpu, efer);
	vcpu->arch->efer = efer;
	if ((old ^ efer) & (EFER_NX | EFER_LMA)) {
		okvm_paging_changed(vcpu);
		root_changed(vcpu);
	}
}

int okvm_set_efer(struct okvm_vcpu *vcpu, u64 efer)
{
	u64 old = vcpu->arch->efer;

	if (efer & (vcpu->vm->host->efer_reserved | vcpu->arch->feat.efer_reserved))
		return 1;
	if (okvm_paging(vcpu) && (old ^ efer) & EFER_LME)
		return 1;
	okvm_load_efer(vcpu, (efer & ~EFER_LMA) | (old & EFER_LMA));
	return 0;
}

/* Is @xcr0 legal for XSETBV (SDM "Extended Control Registers")? */
static bool xcr0_valid(u64 xcr0, u64 supported)
{
	if (!(xcr0 & XFEATURE_MASK_FP) || xcr0 & ~(supported | XFEATURE_MASK_FP))
		return false;
	if (xcr0 & XFEATURE_MASK_YMM && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	if (!(xcr0 & XFEATURE_MASK_BNDREGS) != !(xcr0 & XFEATURE_MASK_BNDCSR))
		return false;
	if (!(xcr0 & XFEATURE_MASK_AVX512))
		return true;
	return xcr0 & XFEATURE_MASK_YMM &&
	       (xcr0 & XFEATURE_MASK_AVX512) == XFEATURE_MASK_AVX512;
}

int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val)
{
	if (index != XCR_XFEATURE_ENABLED_MASK ||
	    !xcr0_valid(val, vcpu->arch->feat.xcr0_supported))
		return 1;
	vcpu->arch->xcr0 = val;
	okvm_cpuid_runtime(vcpu);
	return 0;
}

/* ---- debug registers ---- */

#define DR6_WRITABLE	0x0001e80ful
#define DR7_WRITABLE	0xffff2bfful
#define DR7_ONE		0x00000400ul

void okvm_update_dr7(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (!(arch->guest_debug & KVM_GUESTDBG_USE_HW_BP))
		memcpy(arch->eff_db, arch->db, sizeof(arch->eff_db));
	vcpu->arch->ops->update_intercepts(vcpu, OKVM_ICPT_DEBUG);
}

int okvm_get_dr(struct okvm_vcpu *vcpu, int nr, unsigned long *val)
{
	switch (nr) {
	case 0 ... 3:
		*val = vcpu->arch->db[nr];
		return 0;
	case 4:
	case 6:
		*val = vcpu->arch->dr6;
		return 0;
	case 5:
	case 7:
		*val = vcpu->arch->dr7;
		return 0;
	default:
		return 1;
	}
}

int okvm_set_dr(struct okvm_vcpu *vcpu, int nr, unsigned long val)
{
	switch (nr) {
	case 0 ... 3:
		vcpu->arch->db[nr] = val;
		break;
	case 4:
	case 6:
		if (upper_32_bits(val))
			return 1;
		vcpu->arch->dr6 = (val & DR6_WRITABLE) | vcpu->arch->feat.dr6_fixed1;
		return 0;
	case 5:
	case 7:
		if (upper_32_bits(val))
			return 1;
		vcpu->arch->dr7 = (val & DR7_WRITABLE) | DR7_ONE;
		break;
	default:
		return 1;
	}
	okvm_update_dr7(vcpu);
	return 0;
}
