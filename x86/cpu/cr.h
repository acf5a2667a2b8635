/* SPDX-License-Identifier: GPL-2.0-only */
/* Control and debug registers. Each okvm_set_*() returns 0, or 1 if the caller must queue #GP. */
#ifndef OKVM_X86_CPU_CR_H
#define OKVM_X86_CPU_CR_H

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "x86/x86.h"

int okvm_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0);
int okvm_set_cr3(struct okvm_vcpu *vcpu, unsigned long cr3);
int okvm_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4);
/**
 * okvm_cr_pages_come() - before a load of @val into CR @cr, wait for the PDPTEs' page
 *
 * Does nothing if the load reads no PDPTEs. Without this call, the load itself would wait for the
 * page, and no kick or signal could end that wait. May sleep. The caller holds vm->srcu.
 *
 * Return: false if KVM_RUN has to end before the page is there
 */
bool okvm_cr_pages_come(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val);
int okvm_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8);
unsigned long okvm_get_cr8(struct okvm_vcpu *vcpu);
int okvm_set_efer(struct okvm_vcpu *vcpu, u64 efer);
/** okvm_load_cr3() - Set CR3 without checks; with PAE paging also mark arch->pdptrs dirty */
void okvm_load_cr3(struct okvm_vcpu *vcpu, unsigned long cr3);
/** okvm_load_efer() - Load @efer without checks; the caller has set LMA in @efer */
void okvm_load_efer(struct okvm_vcpu *vcpu, u64 efer);
int okvm_get_dr(struct okvm_vcpu *vcpu, int nr, unsigned long *val);
int okvm_set_dr(struct okvm_vcpu *vcpu, int nr, unsigned long val);

bool okvm_cr0_valid(unsigned long cr0);
bool okvm_cr4_valid(struct okvm_vcpu *vcpu, unsigned long cr4);
/** okvm_paging_changed() - Tell mmu/ the paging mode after CR0, CR4, EFER or CPUID changed */
void okvm_paging_changed(struct okvm_vcpu *vcpu);
/** okvm_update_dr7() - Recompute the effective debug registers from guest_debug and DR7 */
void okvm_update_dr7(struct okvm_vcpu *vcpu);

/*
 * With shadow paging, the control registers in hardware describe the shadow tables, not the guest's
 * tables. CR0.PG, CR0.WP, CR4.PAE and EFER.NXE are always 1; CR4.PCIDE and CR4.PKE are 0. While the
 * guest's paging is off, CR4.SMEP and CR4.SMAP are 0. While the guest's paging is on, both have the
 * guest's values, and the CPU checks them. CR4.LA57 is 0 unless the guest is in long mode.
 */
#define OKVM_SHADOW_CR0	(X86_CR0_PG | X86_CR0_WP)

/**
 * okvm_shadow_cr4() - Return CR4 in hardware for shadow paging; depends on arch->cr0 and arch->efer
 * @cr4: the value that CR4 in hardware would have with EPT or NPT
 */
static inline unsigned long okvm_shadow_cr4(const struct okvm_arch_vcpu *arch, unsigned long cr4)
{
	cr4 |= X86_CR4_PAE;
	cr4 &= ~(X86_CR4_PCIDE | X86_CR4_PKE);
	if (!(arch->cr0 & X86_CR0_PG))
		cr4 &= ~(X86_CR4_SMEP | X86_CR4_SMAP);
	if (!(arch->efer & EFER_LMA))
		cr4 &= ~X86_CR4_LA57;
	return cr4;
}

/**
 * okvm_shadow_efer() - Return EFER in hardware for shadow paging
 * @efer: the guest's EFER
 *
 * LME in hardware is the guest's LMA, because CR0.PG in hardware is always 1. If LME were 1 while
 * LMA is 0, VM entry would fail on VMX, and the guest would enter long mode on SVM.
 */
static inline u64 okvm_shadow_efer(u64 efer)
{
	efer |= EFER_NX;
	return efer & EFER_LMA ? efer | EFER_LME : efer & ~(u64)EFER_LME;
}

#endif /* OKVM_X86_CPU_CR_H */
