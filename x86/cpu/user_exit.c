// SPDX-License-Identifier: GPL-2.0-only
/* Fill kvm_run for an exit to userspace; detect that userspace has changed RIP after the exit. */
#include <linux/minmax.h>
#include <linux/string.h>

#include "core/error.h"
#include "x86/cpu_ops.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"

/*
 * The caller is going to change registers. If the next KVM_RUN has to complete an instruction, save
 * the instruction's linear RIP. Saving it here is cheaper than at each exit to userspace.
 */
void okvm_io_touch(struct okvm_vcpu *vcpu)
{
	if (!vcpu->complete_io || vcpu->arch->io_touched)
		return;
	vcpu->arch->io_linear_rip = okvm_linear_rip(vcpu);
	vcpu->arch->io_touched = true;
}

/*
 * Store an internal error for OKVM_GET_ERROR. For KVM_INTERNAL_ERROR_DELIVERY_EV, which means that
 * the CPU could not deliver an event, the low byte of data[0] is the event's vector and data[1] is
 * the exit reason.
 */
static void internal_explain(struct okvm_vcpu *vcpu, u32 suberror, u32 ndata, const u64 *data)
{
	struct okvm_error error = {
		.kind = OKVM_ERROR_INTERNAL,
		.ndata = ndata + 2,
		.data = { suberror, okvm_rip(vcpu) },
	};

	memcpy(error.data + 2, data, ndata * sizeof(*data));
	if (suberror == KVM_INTERNAL_ERROR_DELIVERY_EV)
		scnprintf(error.text, sizeof(error.text),
			  "vector %u cannot be delivered at rip %#llx: the IDT, the GDT, a TSS or the stack is not in RAM (exit reason %#llx)",
			  (u8)data[0], error.data[1], data[1]);
	else
		scnprintf(error.text, sizeof(error.text),
			  "okvm does not know the exit reason %#llx, at rip %#llx", data[0],
			  error.data[1]);
	okvm_error_set(&vcpu->error, &error);
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
	if (suberror != KVM_INTERNAL_ERROR_EMULATION)
		internal_explain(vcpu, suberror, ndata, data);
	return OKVM_USER;
}

int okvm_shutdown_exit(struct okvm_vcpu *vcpu)
{
	struct okvm_error error = {
		.kind = OKVM_ERROR_SHUTDOWN,
		.ndata = 6,
		.data = { okvm_rip(vcpu), okvm_gpr(vcpu, OKVM_REG_RSP), vcpu->arch->cr2,
			  okvm_cr3(vcpu) },
	};
	struct kvm_dtable idt;

	vcpu->arch->reg_ops->get_dt(vcpu, &idt, true);
	error.data[4] = idt.base;
	error.data[5] = idt.limit;
	scnprintf(error.text, sizeof(error.text),
		  "triple fault at rip %#llx: neither an exception nor the double fault could be delivered; rsp %#llx, cr2 %#llx, cr3 %#llx, IDT at %#llx with limit %#llx",
		  error.data[0], error.data[1], error.data[2], error.data[3], error.data[4],
		  error.data[5]);
	okvm_error_set(&vcpu->error, &error);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
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
