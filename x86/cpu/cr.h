/* SPDX-License-Identifier: GPL-2.0-only */
/* Control and debug registers. Each okvm_set_*() returns 0, or 1 if the caller must queue #GP. */
#ifndef OKVM_X86_CPU_CR_H
#define OKVM_X86_CPU_CR_H

#include "x86/x86.h"

int okvm_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0);
int okvm_set_cr3(struct okvm_vcpu *vcpu, unsigned long cr3);
int okvm_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4);
int okvm_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8);
unsigned long okvm_get_cr8(struct okvm_vcpu *vcpu);
int okvm_set_efer(struct okvm_vcpu *vcpu, u64 efer);
/** okvm_load_cr3() - Set CR3 without checks; with PAE paging also mark arch->pdptrs dirty */
void okvm_load_cr3(struct okvm_vcpu *vcpu, unsigned long cr3);
/** okvm_load_efer() - Load EFER, with LMA, without checks (KVM_SET_SREGS, KVM_SET_MSRS) */
void okvm_load_efer(struct okvm_vcpu *vcpu, u64 efer);
int okvm_get_dr(struct okvm_vcpu *vcpu, int nr, unsigned long *val);
int okvm_set_dr(struct okvm_vcpu *vcpu, int nr, unsigned long val);

bool okvm_cr0_valid(unsigned long cr0);
bool okvm_cr4_valid(struct okvm_vcpu *vcpu, unsigned long cr4);
/** okvm_paging_changed() - Give mmu/ the walk mode after CR0, CR4, EFER or CPUID changed */
void okvm_paging_changed(struct okvm_vcpu *vcpu);
/** okvm_update_dr7() - Recompute the effective debug registers from guest_debug and DR7 */
void okvm_update_dr7(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_CPU_CR_H */
