// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inject events, and recover events whose delivery was interrupted by a VM exit. x86/cpu/event.c
 * chooses the event.
 */
#include <linux/ktime.h>
#include <linux/timekeeping.h>

#include <asm/trapnr.h>

#include "core/trace.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"

/*
 * Without virtual NMIs, okvm does not see the IRET of the guest's NMI handler. After this time okvm
 * assumes that NMIs are unblocked.
 */
#define SOFT_NMI_LIMIT_NS	NSEC_PER_SEC

/*
 * End the guest's HLT before an event is injected. If HLT does not exit, the guest's activity state
 * may be HLT at another VM exit. In this state VM entry cannot inject most exceptions. Any
 * delivered event ends HLT, so set the state to active (SDM "Checks on Guest Non-Register State",
 * "HLT").
 */
static void end_guest_halt(struct okvm_hw_vcpu *hw)
{
	if (likely(!(hw->vcpu->vm->arch->disabled_exits & KVM_X86_DISABLE_EXITS_HLT)))
		return;
	if (vmcs_read32(GUEST_ACTIVITY_STATE) == GUEST_ACTIVITY_HLT)
		vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
}

static void write_entry_event(struct okvm_hw_vcpu *hw, u32 info)
{
	end_guest_halt(hw);
	hw->vmcs.entry_info = info | INTR_INFO_VALID_MASK;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, hw->vmcs.entry_info);
	trace_okvm_inject(hw->vcpu->id, hw->vmcs.entry_info);
}

static void vmx_inject_exception(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct okvm_events *ev = &vcpu->arch->ev;
	u32 info = ev->exc.vector;

	if (ev->exc.has_error) {
		/* Error-code bits 31:16 must be 0 (SDM "Checks on VM-Entry Control Fields"). */
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, (u16)ev->exc.error_code);
		info |= INTR_INFO_DELIVER_CODE_MASK;
	}
	if (okvm_exception_is_soft(ev->exc.vector)) {
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, okvm_exception_len(ev));
		info |= INTR_TYPE_SOFT_EXCEPTION;
	} else {
		info |= INTR_TYPE_HARD_EXCEPTION;
	}
	write_entry_event(hw, info);
}

static void vmx_inject_irq(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct okvm_events *ev = &vcpu->arch->ev;

	if (!ev->irq.soft) {
		write_entry_event(hw, ev->irq.vector | INTR_TYPE_EXT_INTR);
		return;
	}
	vmcs_write(VM_ENTRY_INSTRUCTION_LEN, okvm_irq_len(ev));
	write_entry_event(hw, ev->irq.vector | INTR_TYPE_SOFT_INTR);
}

static void vmx_inject_nmi(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (!vmx_has(&vmx_caps, VMX_OPT_VNMI)) {
		hw->vmcs.soft_nmi_masked = true;
		hw->vmcs.soft_nmi_since = ktime_get_ns();
	}
	/*
	 * VM entry fails if it has to inject an NMI while NMIs are blocked (SDM "Checks on Guest
	 * Non-Register State"): end the blocking.
	 */
	vmx_shadow_set(hw, vmx_shadow(hw) & ~GUEST_INTR_STATE_NMI);
	write_entry_event(hw, X86_TRAP_NMI | INTR_TYPE_NMI_INTR);
}

static u32 vmx_get_irq_shadow(struct okvm_vcpu *vcpu)
{
	u32 shadow = vmx_shadow(to_hw(vcpu));
	u32 out = 0;

	if (shadow & GUEST_INTR_STATE_STI)
		out |= OKVM_IRQ_SHADOW_STI;
	if (shadow & GUEST_INTR_STATE_MOV_SS)
		out |= OKVM_IRQ_SHADOW_MOV_SS;
	return out;
}

static void vmx_set_irq_shadow(struct okvm_vcpu *vcpu, u32 shadow)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 val = vmx_shadow(hw) & ~VMX_IRQ_SHADOW;

	if (likely(!shadow && val == hw->shadow))
		return;
	/* Set only one: VM entry fails if STI and MOV SS both block interrupts. */
	if (shadow & OKVM_IRQ_SHADOW_MOV_SS)
		val |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & OKVM_IRQ_SHADOW_STI)
		val |= GUEST_INTR_STATE_STI;
	vmx_shadow_set(hw, val);
}

/* Return true if NMIs are blocked. The blocking ends after SOFT_NMI_LIMIT_NS. */
static bool soft_nmi_masked(struct vmx_vmcs *vmcs)
{
	if (vmcs->soft_nmi_masked && ktime_get_ns() - vmcs->soft_nmi_since > SOFT_NMI_LIMIT_NS)
		vmcs->soft_nmi_masked = false;
	return vmcs->soft_nmi_masked;
}

static bool vmx_nmi_masked(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (!vmx_has(&vmx_caps, VMX_OPT_VNMI))
		return soft_nmi_masked(&hw->vmcs);
	return vmx_shadow(hw) & GUEST_INTR_STATE_NMI;
}

static void vmx_set_nmi_masked(struct okvm_vcpu *vcpu, bool masked)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 shadow;

	if (!vmx_has(&vmx_caps, VMX_OPT_VNMI)) {
		hw->vmcs.soft_nmi_masked = masked;
		hw->vmcs.soft_nmi_since = ktime_get_ns();
		return;
	}
	shadow = vmx_shadow(hw) & ~GUEST_INTR_STATE_NMI;
	vmx_shadow_set(hw, shadow | (masked ? GUEST_INTR_STATE_NMI : 0));
}

static void vmx_want_window(struct okvm_vcpu *vcpu, bool irq, bool nmi)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 exec = hw->vmcs.exec & ~(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING);

	if (irq)
		exec |= CPU_BASED_INTR_WINDOW_EXITING;
	if (nmi && vmx_has(&vmx_caps, VMX_OPT_VNMI)) {
		/*
		 * While STI blocks interrupts, use interrupt-window exiting: on some CPUs,
		 * NMI-window exiting does not wait for the end of this blocking.
		 */
		exec |= vmx_shadow(hw) & GUEST_INTR_STATE_STI ? CPU_BASED_INTR_WINDOW_EXITING :
								CPU_BASED_NMI_WINDOW_EXITING;
	} else if (nmi) {
		exec |= CPU_BASED_INTR_WINDOW_EXITING;
	}
	vmcs_exec_set(&hw->vmcs, exec);
}

void vmx_events_clear_injected(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	ev->exc.injected = false;
	ev->irq.injected = false;
	ev->nmi_injected = false;
}

/*
 * Return the vector of an external interrupt whose delivery the exit has interrupted. @vector is
 * from the IDT-vectoring information.
 * If VM entry has injected the interrupt (an interrupt of the PIC, for example), return @vector. In
 * this case the VM-entry field for injection still has the vector, because a VM exit clears only
 * the field's valid bit.
 * If virtual-interrupt delivery has delivered the interrupt, Bochs 3.0 may report an older vector
 * as @vector. Return SVI instead: it is the vector that the CPU has begun to deliver.
 */
static u8 external_vector(struct okvm_hw_vcpu *hw, u8 vector)
{
	u32 injected;
	u8 svi;

	if (!hw->apicv)
		return vector;
	injected = vmcs_read32(VM_ENTRY_INTR_INFO_FIELD) & ~INTR_INFO_VALID_MASK;
	if (injected == (vector | INTR_TYPE_EXT_INTR))
		return vector;
	svi = vmcs_read32(GUEST_INTR_STATUS) >> 8;
	return svi ? svi : vector;
}

/* Inject the event of hw->idt_info again (SDM "IDT-Vectoring Information Field"). */
void vmx_events_cut_short(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 info = hw->idt_info;
	u8 vector = info & VECTORING_INFO_VECTOR_MASK;

	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		/* The NMI is delivered again: end the blocking that its first delivery began. */
		vmx_set_nmi_masked(vcpu, false);
		okvm_reinject_nmi(vcpu);
		break;
	case INTR_TYPE_SOFT_EXCEPTION:
		vcpu->arch->ev.insn_len = vmx_insn_len(hw);
		fallthrough;
	case INTR_TYPE_HARD_EXCEPTION:
		okvm_reinject_exception(vcpu, vector, info & VECTORING_INFO_DELIVER_CODE_MASK,
					info & VECTORING_INFO_DELIVER_CODE_MASK ?
					vmcs_read32(IDT_VECTORING_ERROR_CODE) : 0);
		break;
	case INTR_TYPE_SOFT_INTR:
		okvm_reinject_irq(vcpu, vector, true, vmx_insn_len(hw));
		break;
	case INTR_TYPE_EXT_INTR:
		okvm_reinject_irq(vcpu, external_vector(hw, vector), false, 0);
		break;
	default:
		break;
	}
}

void vmx_nmi_unblocked(struct okvm_vcpu *vcpu, bool unblocked)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/* If the exit has interrupted an event's delivery, @unblocked is undefined: ignore it. */
	if (!unblocked || hw->idt_info & VECTORING_INFO_VALID_MASK ||
	    !vmx_has(&vmx_caps, VMX_OPT_VNMI))
		return;
	vmx_shadow_set(hw, vmx_shadow(hw) | GUEST_INTR_STATE_NMI);
}

const struct okvm_event_ops vmx_event_ops = {
	.inject_exception = vmx_inject_exception,
	.inject_nmi = vmx_inject_nmi,
	.inject_irq = vmx_inject_irq,
	.get_irq_shadow = vmx_get_irq_shadow,
	.set_irq_shadow = vmx_set_irq_shadow,
	.nmi_masked = vmx_nmi_masked,
	.set_nmi_masked = vmx_set_nmi_masked,
	.want_window = vmx_want_window,
};
