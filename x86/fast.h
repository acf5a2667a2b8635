/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handlers of fast exits, for both vendors. They run with IRQs off and never sleep. Each fast_*()
 * returns true if it has handled the exit: the guest can then be entered again. If it returns
 * false, it has changed nothing except vcpu->arch->stay.pio_missed, and the backend's slow handler
 * (exit_slow() in struct okvm_stay_ops) must handle the exit.
 */
#ifndef OKVM_X86_FAST_H
#define OKVM_X86_FAST_H

#include "core/iobus.h"
#include "x86/cpuid/cpuid.h"
#include "x86/exits.h"
#include "x86/insn/insn.h"
#include "x86/msr/msr.h"
#include "x86/pv/pv.h"
#include "x86/x86.h"

/**
 * struct okvm_fast_ops - functions of a backend that the handlers in this file call
 * @traps: return true if RFLAGS.TF or RFLAGS.RF is set: then a #DB must follow the instruction, or
 *	RF must be cleared, which only the slow handler does
 * @skip: set RIP past the instruction that exited, after @traps has returned false
 *
 * Each backend defines its table as a constant, so that the compiler inlines the functions.
 */
struct okvm_fast_ops {
	bool (*traps)(struct okvm_vcpu *vcpu);
	void (*skip)(struct okvm_vcpu *vcpu);
};

/* Execute CPUID: read leaf and subleaf from EAX and ECX, write the results to EAX to EDX. */
static __always_inline void okvm_answer_cpuid(struct okvm_vcpu *vcpu)
{
	unsigned long *gpr = vcpu->arch->gpr;
	u32 eax = gpr[OKVM_REG_RAX], ecx = gpr[OKVM_REG_RCX], ebx, edx;

	okvm_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	gpr[OKVM_REG_RAX] = eax;
	gpr[OKVM_REG_RBX] = ebx;
	gpr[OKVM_REG_RCX] = ecx;
	gpr[OKVM_REG_RDX] = edx;
}

static __always_inline bool fast_cpuid(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops)
{
	if (okvm_cpuid_faults(vcpu) || ops->traps(vcpu))
		return false;
	okvm_answer_cpuid(vcpu);
	ops->skip(vcpu);
	return true;
}

static __always_inline bool fast_rdmsr(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops)
{
	u64 val;

	if (ops->traps(vcpu) ||
	    !okvm_rdmsr_fast(vcpu, vcpu->arch->gpr[OKVM_REG_RCX], &val))
		return false;
	okvm_set_edx_eax(vcpu, val);
	ops->skip(vcpu);
	return true;
}

static __always_inline bool fast_wrmsr(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops)
{
	if (ops->traps(vcpu) ||
	    !okvm_wrmsr_fast(vcpu, vcpu->arch->gpr[OKVM_REG_RCX], okvm_edx_eax(vcpu)))
		return false;
	ops->skip(vcpu);
	return true;
}

static __always_inline bool fast_hypercall(struct okvm_vcpu *vcpu,
					   const struct okvm_fast_ops *ops)
{
	if (ops->traps(vcpu) || !okvm_hypercall_fast(vcpu))
		return false;
	ops->skip(vcpu);
	return true;
}

/*
 * Handle IN or OUT of one item with a device in the kernel. If no such device handles the port, set
 * pio_missed and return false. The slow handler then exits to userspace at once (okvm_pio_user()),
 * without looking for a device again. On a real-time kernel always return false, because the
 * devices' locks may sleep.
 */
static __always_inline bool fast_pio(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops,
				     u16 port, unsigned int size, bool in)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || ops->traps(vcpu))
		return false;
	if (okvm_port_empty(vcpu, port, size) || !okvm_pio_fast(vcpu, port, size, in)) {
		vcpu->arch->stay.pio_missed = true;
		return false;
	}
	ops->skip(vcpu);
	return true;
}

/* ---- with shadow paging only ---- */

/* Handle MOV to CR3 or CR4 (@to is true) or MOV from CR3. @reg is the general register. */
static __always_inline bool fast_mov_cr(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops,
					unsigned int cr, unsigned int reg, bool to)
{
	bool done = false;

	if (ops->traps(vcpu))
		return false;
	if (to && cr == 3) {
		done = okvm_exit_to_cr3_fast(vcpu, okvm_gpr(vcpu, reg));
	} else if (to && cr == 4) {
		done = okvm_exit_to_cr4_fast(vcpu, okvm_gpr(vcpu, reg));
	} else if (!to && cr == 3) {
		okvm_gpr_set(vcpu, reg, okvm_cut_to_mode(vcpu, okvm_cr3(vcpu)));
		done = true;
	}
	if (done)
		ops->skip(vcpu);
	return done;
}

static __always_inline bool fast_invlpg(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops,
					gva_t gva)
{
	if (ops->traps(vcpu) || !okvm_mmu_invlpg_fast(vcpu, gva))
		return false;
	ops->skip(vcpu);
	return true;
}

/* ---- instructions that do nothing ---- */

/* INVD and WBINVD: skip the instruction. */
static __always_inline bool fast_nop(struct okvm_vcpu *vcpu, const struct okvm_fast_ops *ops)
{
	if (ops->traps(vcpu))
		return false;
	ops->skip(vcpu);
	return true;
}

#endif /* OKVM_X86_FAST_H */
