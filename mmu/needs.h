/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that mmu/ calls and x86/ implements (bound at link time). */
#ifndef OKVM_MMU_NEEDS_H
#define OKVM_MMU_NEEDS_H

#include "core/types.h"

struct okvm_vcpu;
struct walk_regs;	/* mmu/walk.h */

/**
 * okvm_arch_walk_regs() - read CR3, PDPTEs, PKRU and EFLAGS.AC of a vCPU for a page-table walk
 *
 * The vCPU must be loaded by the caller's thread or not run at all.
 */
void okvm_arch_walk_regs(struct okvm_vcpu *vcpu, struct walk_regs *regs);

/**
 * okvm_arch_apf_possible() - return true if the vCPU can go on while the host fetches a page
 *
 * Called, like okvm_arch_apf_start(), while a guest-physical fault is handled.
 */
bool okvm_arch_apf_possible(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_apf_start() - fetch the host page at @hva in the background
 *
 * Call it only after okvm_arch_apf_possible() has returned true. Caller holds vm->srcu; may sleep.
 * Return: false if the caller must fetch the page itself. true if the caller need not wait: either
 * a #PF that informs the guest is queued, or okvm does not enter the vCPU until the page is present
 * or an interrupt arrives
 */
bool okvm_arch_apf_start(struct okvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write);

#endif /* OKVM_MMU_NEEDS_H */
