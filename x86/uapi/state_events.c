// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET/SET_VCPU_EVENTS, KVM_INTERRUPT and KVM_NMI: userspace reads, writes and adds the events
 * that are pending for the guest or being injected.
 *
 * okvm has no SMM: the SMM fields read as zero, and other values are refused.
 */
#include <linux/minmax.h>
#include <linux/sched.h>

#include <asm/trapnr.h>

#include <uapi/asm/debugreg.h>

#include "irq/needs.h"
#include "x86/cpu/event.h"
#include "x86/cpu/user_exit.h"
#include "x86/uapi/state.h"

int okvm_user_visible_irq(const struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->irq.injected && !ev->irq.soft)
		return ev->irq.vector;
	/*
	 * Without an in-kernel irqchip, the vector of KVM_INTERRUPT counts as injected, because the
	 * VMM's PIC has already acknowledged it.
	 */
	if (ev->user_irq >= 0 && !okvm_lapic_in_kernel(vcpu))
		return ev->user_irq;
	return -1;
}

/* Write an exception's payload to CR2 or DR6. */
static void deliver_payload(struct okvm_vcpu *vcpu, struct okvm_exception *exc)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (!exc->has_payload)
		return;
	if (exc->vector == X86_TRAP_PF) {
		arch->cr2 = exc->payload;
	} else if (exc->vector == X86_TRAP_DB) {
		/* The upper half of DR6 must be 0: a load of DR6 would fault otherwise. */
		arch->dr6 &= ~DR_TRAP_BITS;
		arch->dr6 |= DR6_RESERVED | lower_32_bits(exc->payload);
		arch->dr6 ^= exc->payload & DR6_RESERVED;
		arch->dr6 &= ~BIT(12);
	}
	exc->has_payload = false;
	exc->payload = 0;
}

static void get_exception(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	struct okvm_exception *exc = &vcpu->arch->ev.exc;
	bool payload = vcpu->vm->arch->exception_payload;

	if (!payload && exc->pending)
		deliver_payload(vcpu, exc);
	/* Hide #BP and #OF: this ioctl has no field for their instruction length. */
	if (!okvm_exception_is_soft(exc->vector)) {
		events->exception.injected = exc->injected || (exc->pending && !payload);
		events->exception.pending = exc->pending;
	}
	events->exception.nr = exc->vector;
	events->exception.has_error_code = exc->has_error;
	events->exception.error_code = exc->error_code;
	events->exception_has_payload = exc->has_payload;
	events->exception_payload = exc->payload;
}

void okvm_get_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct okvm_event_ops *ops = vcpu->arch->event_ops;
	const struct okvm_arch_vm *avm = vcpu->vm->arch;
	struct okvm_events *ev = &vcpu->arch->ev;
	int vector = okvm_user_visible_irq(vcpu);

	memset(events, 0, sizeof(*events));
	okvm_take_nmis(vcpu);
	get_exception(vcpu, events);
	events->interrupt.injected = vector >= 0;
	events->interrupt.nr = vector >= 0 ? vector : ev->irq.vector;
	events->interrupt.shadow = ops->get_irq_shadow(vcpu);
	events->nmi.injected = ev->nmi_injected;
	events->nmi.pending = ev->nmi_pending;
	events->nmi.masked = ops->nmi_masked(vcpu);
	events->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
			KVM_VCPUEVENT_VALID_SMM;
	if (avm->exception_payload)
		events->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (avm->triple_fault_event) {
		events->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		events->triple_fault.pending = okvm_test_request(OKVM_REQ_TRIPLE_FAULT, vcpu);
	}
}

#define EVENT_FLAGS	(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | \
			 KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM | \
			 KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT)

/*
 * Check @events, and clear those fields of its exception that have no meaning with its flags.
 * Return: the reason why @events is illegal, or NULL if it is legal
 */
static const char *normalize_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct okvm_arch_vm *avm = vcpu->vm->arch;

	if (events->flags & ~EVENT_FLAGS)
		return "events: unknown flags";
	if (events->flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
		if (!avm->exception_payload)
			return "events: VALID_PAYLOAD without KVM_CAP_EXCEPTION_PAYLOAD";
		if (events->exception.pending)
			events->exception.injected = 0;
		else
			events->exception_has_payload = 0;
	} else {
		events->exception.pending = 0;
		events->exception_has_payload = 0;
	}
	if ((events->exception.injected || events->exception.pending) &&
	    (events->exception.nr > 31 || events->exception.nr == X86_TRAP_NMI))
		return "events: no exception has this exception.nr";
	if (events->flags & KVM_VCPUEVENT_VALID_SMM &&
	    (events->smi.smm || events->smi.pending || events->smi.latched_init))
		return "events: the vCPU has no SMM";
	if (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT && !avm->triple_fault_event)
		return "events: VALID_TRIPLE_FAULT without KVM_CAP_X86_TRIPLE_FAULT_EVENT";
	return NULL;
}

static void set_exception(struct okvm_exception *exc, const struct kvm_vcpu_events *events)
{
	*exc = (struct okvm_exception) {
		.injected = events->exception.injected,
		.pending = events->exception.pending,
		.vector = events->exception.nr,
		.has_error = events->exception.has_error_code,
		.error_code = events->exception.error_code,
		.has_payload = events->exception_has_payload,
		.payload = events->exception_payload,
	};
}

static void set_nmi(struct okvm_vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	ev->nmi_injected = events->nmi.injected;
	vcpu->arch->event_ops->set_nmi_masked(vcpu, events->nmi.masked);
	if (events->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		ev->nmi_pending = min_t(u8, events->nmi.pending, OKVM_MAX_NMIS);
		/* Apply the limit of pending NMIs, which is 1 while NMIs are masked. */
		okvm_take_nmis(vcpu);
	}
}

int okvm_set_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const char *fault = normalize_events(vcpu, events);
	struct okvm_events *ev = &vcpu->arch->ev;

	if (fault)
		return okvm_refuse_vcpu(vcpu, fault);
	okvm_take_nmis(vcpu);
	set_exception(&ev->exc, events);
	ev->irq.injected = events->interrupt.injected;
	ev->irq.vector = events->interrupt.nr;
	ev->irq.soft = events->interrupt.soft;
	/*
	 * ev->insn_len belongs to an earlier event. With 0, okvm decodes the instruction at RIP if
	 * it needs the length.
	 */
	ev->insn_len = 0;
	if (!okvm_lapic_in_kernel(vcpu))
		ev->user_irq = -1;
	if (events->flags & KVM_VCPUEVENT_VALID_SHADOW) {
		okvm_io_touch(vcpu);
		vcpu->arch->event_ops->set_irq_shadow(vcpu, events->interrupt.shadow &
						  (OKVM_IRQ_SHADOW_MOV_SS | OKVM_IRQ_SHADOW_STI));
	}
	set_nmi(vcpu, events);
	if (events->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		vcpu->arch->sipi_vector = events->sipi_vector;
	if (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) {
		if (events->triple_fault.pending)
			okvm_request(OKVM_REQ_TRIPLE_FAULT, vcpu);
		else
			clear_bit(OKVM_REQ_TRIPLE_FAULT, &vcpu->requests);
	}
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

static long ioc_get_vcpu_events(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	okvm_get_vcpu_events(vcpu, arg.data);
	return 0;
}

static long ioc_set_vcpu_events(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return okvm_set_vcpu_events(vcpu, arg.data);
}

/* ---- interrupts from userspace ---- */

static long ioc_interrupt(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_interrupt *irq = arg.data;
	enum okvm_irqchip_mode mode = okvm_irqchip_mode(vcpu->vm);
	struct okvm_events *ev = &vcpu->arch->ev;

	if (irq->irq >= KVM_NR_INTERRUPTS)
		return okvm_refuse_vcpu(vcpu, "KVM_INTERRUPT: the vector is above 255");
	if (mode == OKVM_IRQCHIP_KERNEL)
		return -ENXIO;
	if (mode == OKVM_IRQCHIP_SPLIT && ev->user_irq >= 0)
		return -EEXIST;
	/* As in upstream, the new interrupt replaces one that is pending or being injected. */
	if (!okvm_lapic_in_kernel(vcpu))
		ev->irq.injected = false;
	ev->user_irq = irq->irq;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

static long ioc_nmi(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	okvm_arch_queue_nmi(vcpu);
	return 0;
}

const struct okvm_ioctl okvm_state_events_ioctls[] = {
	{ KVM_GET_VCPU_EVENTS,	OKVM_IOC_LOAD, { .vcpu = ioc_get_vcpu_events } },
	{ KVM_SET_VCPU_EVENTS,	OKVM_IOC_LOAD, { .vcpu = ioc_set_vcpu_events } },
	{ KVM_INTERRUPT,	OKVM_IOC_LOAD, { .vcpu = ioc_interrupt } },
	{ KVM_NMI,		OKVM_IOC_LOAD | OKVM_IOC_SCALAR, { .vcpu = ioc_nmi } },
	{ }
};
