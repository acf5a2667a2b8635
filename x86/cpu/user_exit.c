// SPDX-License-Identifier: GPL-2.0-only
/* Fill kvm_run for an exit to userspace; detect that userspace has changed RIP after the exit. */
#include <linux/minmax.h>

#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"

/*
 * If an instruction waits for its completion by the next KVM_RUN, save the linear RIP, which the
 * caller is going to change. This is cheaper than saving it at each exit to userspace.
 */
void okvm_io_touch(struct okvm_vcpu *vcpu)
{
	if (!vcpu->complete_io || vcpu->arch->io_touched)
		return;
	vcpu->arch->io_linear_rip = okvm_linear_rip(vcpu);
	vcpu->arch->io_touched = true;
}

int okvm_internal_error(struct okvm_vcpu *vcpu, u32 suberror, u32 ndata, const u64 *data)
{
	struct kvm_run *run = vcpu->run;
	u32 i;

	ndata = min_t(u32, ndata, ARRAY_SIZE(run->internal.data));
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = ndata;
	for (i = 0; i < ndata; i++)
		run->internal.data[i] = data[i];
	return OKVM_USER;
}

int okvm_debug_exit(struct okvm_vcpu *vcpu, u8 vector, unsigned long dr6)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = vector;
	run->debug.arch.pc = okvm_linear_rip(vcpu);
	run->debug.arch.dr6 = dr6;
	run->debug.arch.dr7 = vcpu->arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ?
			      vcpu->arch->guest_debug_dr7 : vcpu->arch->dr7;
	return OKVM_USER;
}
