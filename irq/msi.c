// SPDX-License-Identifier: GPL-2.0-only
/* Deliver message-signaled interrupts to LAPICs, and handle KVM_SIGNAL_MSI. */
#include <linux/errno.h>

#include "core/trace_kvm.h"
#include "irq/internal.h"
#include "irq/model/lapic.h"

int okvm_message_deliver(struct okvm_vm *vm, const struct gsi_message *msg)
{
	struct lapic_irq irq = {
		.dest_id = msg->dest,
		.delivery_mode = msg->mode << 8,
		.dest_mode = msg->logical ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL,
		.vector = msg->vector,
		.level = true,
		.trig_mode = msg->level,
		.msi_redir_hint = msg->redirect,
	};

	return okvm_apic_deliver(vm, NULL, &irq);
}

int okvm_msi_deliver(struct okvm_vm *vm, const struct gsi_msi *msi)
{
	bool x2apic_format = READ_ONCE(okvm_irq(vm)->x2apic_format);
	struct gsi_message msg = gsi_msi_decode(msi, x2apic_format);

	trace_kvm_msi_set_irq(msi->lo | (u64)(x2apic_format ? msi->hi : 0) << 32, msi->data);
	return gsi_msi_valid(msi, x2apic_format) ? okvm_message_deliver(vm, &msg) : -EINVAL;
}

static long ioc_signal_msi(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_msi *user = arg.data;
	struct gsi_msi msi = {
		.lo = user->address_lo,
		.hi = user->address_hi,
		.data = user->data,
	};
	int err;

	if (okvm_irqchip_mode(vm) == OKVM_IRQCHIP_NONE)
		return okvm_refuse(vm, "KVM_SIGNAL_MSI: no controllers in the kernel");
	if (user->flags & ~KVM_MSI_VALID_DEVID)
		return okvm_refuse(vm, "KVM_SIGNAL_MSI: unknown flags");
	err = okvm_msi_deliver(vm, &msi);
	return err == -EINVAL ?
	       okvm_refuse(vm, "KVM_SIGNAL_MSI: address_hi has bits below 8") : err;
}

const struct okvm_ioctl okvm_msi_ioctls[] = {
	{ KVM_SIGNAL_MSI,	0, { .vm = ioc_signal_msi } },
	{ }
};
