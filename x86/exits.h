/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits by instructions that are the same for every vendor, when a backend has decoded them.
 * @len is the length of the instruction; all return an outcome. IRQs on, vm->srcu held.
 */
#ifndef OKVM_X86_EXITS_H
#define OKVM_X86_EXITS_H

#include "x86/cpu/regs.h"
#include "x86/x86.h"

int okvm_exit_cpuid(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_pause(struct okvm_vcpu *vcpu, unsigned int len);
/** okvm_exit_mwait() - MONITOR and MWAIT do nothing, or are undefined */
int okvm_exit_mwait(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_xsetbv(struct okvm_vcpu *vcpu, unsigned int len);

int okvm_exit_to_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val, unsigned int len);
/** okvm_exit_to_cr3_fast() - shadow paging, IRQs off. Return: false if nothing was done */
bool okvm_exit_to_cr3_fast(struct okvm_vcpu *vcpu, unsigned long cr3);
/** okvm_exit_to_cr4_fast() - likewise, for CR4.PGE alone, which kernels toggle to flush all */
bool okvm_exit_to_cr4_fast(struct okvm_vcpu *vcpu, unsigned long cr4);
/** okvm_exit_from_cr() - to general register @reg */
int okvm_exit_from_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned int reg,
		      unsigned int len);
int okvm_exit_clts(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_lmsw(struct okvm_vcpu *vcpu, u16 msw, unsigned int len);

/**
 * okvm_exit_dr_lend() - may the guest have its debug registers until the stay ends?
 *
 * Accesses come in bunches. Return: true: the caller stops to intercept them
 */
bool okvm_exit_dr_lend(struct okvm_vcpu *vcpu);
/** okvm_exit_mov_dr() - if it may not; @from: to general register @reg, else from it */
int okvm_exit_mov_dr(struct okvm_vcpu *vcpu, unsigned int dr, unsigned int reg, bool from,
		     unsigned int len);

/** okvm_cut_to_mode() - moves of control and debug registers: 32 bits outside 64-bit mode */
static inline unsigned long okvm_cut_to_mode(struct okvm_vcpu *vcpu, unsigned long val)
{
	return okvm_cs_64bit(vcpu) ? val : (u32)val;
}

#endif /* OKVM_X86_EXITS_H */
