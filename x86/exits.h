/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handlers of VM exits by instructions and by #PF, for both vendors. The backend has decoded the
 * instruction.
 * @len is the length of the instruction in bytes. Each int function returns an outcome (enum
 * okvm_outcome). The callers hold vm->srcu with IRQs on, unless a comment says "with IRQs off".
 */
#ifndef OKVM_X86_EXITS_H
#define OKVM_X86_EXITS_H

#include "mmu/mmu.h"
#include "x86/cpu/regs.h"
#include "x86/x86.h"

int okvm_exit_cpuid(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_pause(struct okvm_vcpu *vcpu, unsigned int len);
/** okvm_exit_mwait() - Handle MONITOR or MWAIT as a no-op, or raise #UD */
int okvm_exit_mwait(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_xsetbv(struct okvm_vcpu *vcpu, unsigned int len);

int okvm_exit_to_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned long val, unsigned int len);
/**
 * okvm_exit_to_cr3_fast() - With shadow paging: handle MOV to CR3 with IRQs off
 * Return: true if handled; false if okvm_exit_to_cr() must handle it: then nothing has changed
 */
bool okvm_exit_to_cr3_fast(struct okvm_vcpu *vcpu, unsigned long cr3);
/**
 * okvm_exit_to_cr4_fast() - Handle a MOV to CR4 that changes PGE only, with IRQs off
 *
 * Kernels toggle CR4.PGE to flush the TLB.
 * Return: true if it is handled; false if nothing has changed and okvm_exit_to_cr() must handle it
 */
bool okvm_exit_to_cr4_fast(struct okvm_vcpu *vcpu, unsigned long cr4);
/** okvm_exit_from_cr() - Emulate MOV from control register @cr to general register @reg */
int okvm_exit_from_cr(struct okvm_vcpu *vcpu, unsigned int cr, unsigned int reg,
		      unsigned int len);
int okvm_exit_clts(struct okvm_vcpu *vcpu, unsigned int len);
int okvm_exit_lmsw(struct okvm_vcpu *vcpu, u16 msw, unsigned int len);

/**
 * okvm_exit_dr_lend() - Let the guest use the CPU's debug registers without exits, if possible
 *
 * Called at an exit by MOV DR. Guests access several debug registers in a row, so this saves exits.
 * debug_leave() in x86/stay.h ends this state.
 * Return: true if the caller must now disable the intercept of MOV DR; false if the caller must
 * call okvm_exit_mov_dr()
 */
bool okvm_exit_dr_lend(struct okvm_vcpu *vcpu);
/**
 * okvm_exit_mov_dr() - Emulate MOV to or from a debug register
 * @dr: number of the debug register
 * @reg: number of the general register
 * @from: if true, copy from @dr to @reg; otherwise from @reg to @dr
 */
int okvm_exit_mov_dr(struct okvm_vcpu *vcpu, unsigned int dr, unsigned int reg, bool from,
		     unsigned int len);

/**
 * okvm_exit_page_fault() - Handle an intercepted #PF of a guest with shadow paging
 * @pf: address and kind of the access
 * @deliver: NULL if the CPU was not delivering an event. Otherwise a function that delivers the
 *  event in software and returns an outcome. It is called if shadow paging cannot map the page for
 *  the access to @gpa
 */
int okvm_exit_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf,
			 int (*deliver)(struct okvm_vcpu *vcpu, gpa_t gpa));

/** okvm_cut_to_mode() - Cut an operand of MOV CR or MOV DR to 32 bits outside 64-bit mode */
static inline unsigned long okvm_cut_to_mode(struct okvm_vcpu *vcpu, unsigned long val)
{
	return okvm_cs_64bit(vcpu) ? val : (u32)val;
}

#endif /* OKVM_X86_EXITS_H */
