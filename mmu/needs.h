/* SPDX-License-Identifier: GPL-2.0-only */
/* What mmu/ needs from above: x86/ supplies it, bound at link time. */
#ifndef OKVM_MMU_NEEDS_H
#define OKVM_MMU_NEEDS_H

#include "core/types.h"

struct okvm_vcpu;
struct walk_regs;	/* mmu/walk.h */

/**
 * okvm_arch_walk_regs() - CR3, PDPTEs, PKRU and EFLAGS.AC, for a walk. Vcpu loaded or not
 * running
 */
void okvm_arch_walk_regs(struct okvm_vcpu *vcpu, struct walk_regs *regs);

/**
 * okvm_arch_apf_possible() - may the guest, now, do something else while a page is fetched?
 *
 * From the handling of a guest-physical fault, as okvm_arch_apf_start().
 */
bool okvm_arch_apf_possible(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_apf_start() - fetch the page at @hva in the background
 *
 * To be called after okvm_arch_apf_possible() has said yes. Caller holds vm->srcu; may sleep.
 * Return: true if a #PF that tells the guest is queued, or the vCPU cannot be entered until the
 * page is there or an interrupt comes; false if the fault must be handled here and now
 */
bool okvm_arch_apf_start(struct okvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write);

#endif /* OKVM_MMU_NEEDS_H */
