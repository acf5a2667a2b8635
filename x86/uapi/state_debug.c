// SPDX-License-Identifier: GPL-2.0-only
/* KVM_GET/SET_DEBUGREGS and KVM_SET_GUEST_DEBUG. */
#include <linux/sched.h>

#include <asm/trapnr.h>

#include <uapi/asm/debugreg.h>

#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/uapi/state.h"

static long ioc_get_debugregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_debugregs *dbg = arg.data;
	struct okvm_arch_vcpu *arch = vcpu->arch;

	static_assert(sizeof(dbg->db) == sizeof(arch->db));
	memcpy(dbg->db, arch->db, sizeof(dbg->db));
	dbg->dr6 = arch->dr6;
	dbg->dr7 = arch->dr7;
	return 0;
}

static long ioc_set_debugregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_debugregs *dbg = arg.data;
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (dbg->flags)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_DEBUGREGS: flags are not 0");
	if (upper_32_bits(dbg->dr6))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_DEBUGREGS: dr6 has bits above 31");
	if (upper_32_bits(dbg->dr7))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_DEBUGREGS: dr7 has bits above 31");
	memcpy(arch->db, dbg->db, sizeof(arch->db));
	arch->dr6 = dbg->dr6;
	arch->dr7 = dbg->dr7;
	okvm_update_dr7(vcpu);
	return 0;
}

#define INJECT_FLAGS	(KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)

static long ioc_set_guest_debug(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_guest_debug *dbg = arg.data;
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long rflags;

	if (dbg->control & INJECT_FLAGS) {
		/* The new exception must not replace a pending one. */
		if (arch->ev.exc.pending)
			return -EBUSY;
		arch->ev.insn_len = arch->ev.bp_rip == okvm_rip(vcpu) ? arch->ev.bp_len : 0;
		okvm_queue_exception(vcpu, dbg->control & KVM_GUESTDBG_INJECT_DB ?
				     X86_TRAP_DB : X86_TRAP_BP);
	}
	/*
	 * Cancel a loan of the CPU's debug registers to the guest (okvm_exit_dr_lend()). The
	 * guest's values are still in arch->db.
	 */
	arch->debug_regs_live = false;
	/*
	 * Call this before guest_debug changes: it removes the TF of a debugger that single-steps
	 * now.
	 */
	rflags = okvm_guest_rflags(vcpu);
	arch->guest_debug = dbg->control & KVM_GUESTDBG_ENABLE ? dbg->control : 0;
	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP) {
		memcpy(arch->eff_db, dbg->arch.debugreg, sizeof(arch->eff_db));
		/* VM entries fail if DR7 has bits in its upper half. */
		arch->guest_debug_dr7 = lower_32_bits(dbg->arch.debugreg[7]);
	}
	okvm_update_dr7(vcpu);
	if (arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		arch->singlestep_rip = okvm_linear_rip(vcpu);
	okvm_guest_rflags_set(vcpu, rflags);
	vcpu->arch->ops->update_intercepts(vcpu, OKVM_ICPT_EXCEPTIONS | OKVM_ICPT_DEBUG);
	return 0;
}

const struct okvm_ioctl okvm_state_debug_ioctls[] = {
	{ KVM_GET_DEBUGREGS,	OKVM_IOC_LOAD, { .vcpu = ioc_get_debugregs } },
	{ KVM_SET_DEBUGREGS,	OKVM_IOC_LOAD, { .vcpu = ioc_set_debugregs } },
	{ KVM_SET_GUEST_DEBUG,	OKVM_IOC_LOAD, { .vcpu = ioc_set_guest_debug } },
	{ }
};
