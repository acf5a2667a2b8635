// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits caused by instructions: decode the exit qualification and call the handlers of x86/.
 */
#include <asm/trapnr.h>

#include "vmx/qual.h"
#include "vmx/vmx.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/exits.h"
#include "x86/msr/msr.h"
#include "x86/pv/pv.h"

int vmx_exit_nop(struct okvm_vcpu *vcpu)
{
	return vmx_skip_insn(vcpu);
}

int vmx_exit_cpuid(struct okvm_vcpu *vcpu)
{
	return okvm_exit_cpuid(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_ud(struct okvm_vcpu *vcpu)
{
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

int vmx_exit_rdmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_msr(vcpu, false, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_wrmsr(struct okvm_vcpu *vcpu)
{
	return okvm_emulate_msr(vcpu, true, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_hlt(struct okvm_vcpu *vcpu)
{
	return okvm_halt(vcpu, vmx_skip_insn(vcpu));
}

int vmx_exit_vmcall(struct okvm_vcpu *vcpu)
{
	return okvm_hypercall(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_pause(struct okvm_vcpu *vcpu)
{
	return okvm_exit_pause(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_mwait(struct okvm_vcpu *vcpu)
{
	return okvm_exit_mwait(vcpu, vmx_insn_len(to_hw(vcpu)));
}

int vmx_exit_xsetbv(struct okvm_vcpu *vcpu)
{
	return okvm_exit_xsetbv(vcpu, vmx_insn_len(to_hw(vcpu)));
}

/* Raise #GP for RDPMC with any index: guests have no performance counters. */
int vmx_exit_rdpmc(struct okvm_vcpu *vcpu)
{
	return okvm_gp_or_skip(vcpu, true, vmx_insn_len(to_hw(vcpu)));
}

/* Emulate LGDT, SGDT or the like. They exit only if okvm emulates UMIP, on a CPU without UMIP. */
int vmx_exit_desc(struct okvm_vcpu *vcpu)
{
	return vmx_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

int vmx_exit_io(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_io q = { vmx_qual(hw) };

	if (q.string)
		return vmx_emulate(vcpu, OKVM_EMUL_PIO, 0);
	return okvm_pio(vcpu, q.port, qual_io_size(q), q.in, vmx_insn_len(hw));
}

/* Execute INVLPG (exits with shadow paging only). The exit qualification is the linear address. */
int vmx_exit_invlpg(struct okvm_vcpu *vcpu)
{
	okvm_mmu_invalidate(vcpu, OKVM_INVLPG, 0, vmx_qual(to_hw(vcpu)));
	return vmx_skip_insn(vcpu);
}

/* Emulate INVPCID (exits with shadow paging only). The emulator reads INVPCID's descriptor. */
int vmx_exit_invpcid(struct okvm_vcpu *vcpu)
{
	return vmx_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

int vmx_exit_cr(struct okvm_vcpu *vcpu)
{
	const union qual_cr q = { vmx_qual(to_hw(vcpu)) };
	unsigned int len = vmx_insn_len(to_hw(vcpu));

	switch (q.type) {
	case QUAL_CR_TO:
		return okvm_exit_to_cr(vcpu, q.cr, okvm_gpr(vcpu, q.reg), len);
	case QUAL_CR_FROM:
		return okvm_exit_from_cr(vcpu, q.cr, q.reg, len);
	case QUAL_CR_CLTS:
		return okvm_exit_clts(vcpu, len);
	default:
		return okvm_exit_lmsw(vcpu, q.msw, len);
	}
}

int vmx_exit_dr(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_dr q = { vmx_qual(hw) };

	if (okvm_exit_dr_lend(vcpu)) {
		vmcs_exec_set(&hw->vmcs, hw->vmcs.exec & ~CPU_BASED_MOV_DR_EXITING);
		return okvm_begin_again(vcpu);
	}
	return okvm_exit_mov_dr(vcpu, q.dr, q.reg, q.from, vmx_insn_len(hw));
}
