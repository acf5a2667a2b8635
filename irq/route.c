// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replace the GSI routing table, set the levels of GSIs, and call ack notifiers.
 *
 * Tables are read under plain RCU, because every reader is short and never sleeps. With vm->srcu
 * instead, a change of routes could wait for ever: other readers of vm->srcu sleep in page faults
 * that userspace has to resolve.
 *
 * Irqfds look up their route at each signal, so they need not be notified of a new table.
 */
#include <linux/error-injection.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/trace_kvm.h"
#include "irq/internal.h"

static struct gsi_table *routes_locked(struct okvm_irq_vm *irq)
{
	return rcu_dereference_protected(irq->routes, lockdep_is_held(&irq->lock));
}

struct gsi_table *okvm_routes_build(struct okvm_vm *vm, const struct kvm_irq_routing_entry *ue,
				    u32 nr, bool chips)
{
	struct gsi_policy policy = {
		.chips = chips, .x2apic_format = okvm_irq(vm)->x2apic_format,
	};
	size_t bytes = gsi_table_bytes(ue, nr);
	struct gsi_table *table;
	int err;

	if (!bytes)
		return ERR_PTR(okvm_refuse(vm, "GSI routes: a GSI is not below 4096"));
	table = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	err = gsi_table_build(table, ue, nr, &policy);
	if (err) {
		if (err == -EINVAL)
			okvm_refuse(vm, table->fault);
		kvfree(table);
		return ERR_PTR(err);
	}
	return table;
}

ALLOW_ERROR_INJECTION(okvm_routes_build, ERRNO);

void okvm_routes_publish(struct okvm_vm *vm, struct gsi_table *table)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct gsi_table *old;

	mutex_lock(&irq->lock);
	old = routes_locked(irq);
	/* Publish the chips before the routes that lead to them; pairs with route_chips(). */
	rcu_assign_pointer(irq->routes, table);
	mutex_unlock(&irq->lock);
	/* When the ioctl returns, no interrupt uses an old route. */
	if (old)
		synchronize_rcu_expedited();
	kvfree(old);
	okvm_irq_routes_changed(vm);
}

void okvm_routes_free(struct okvm_irq_vm *irq)
{
	kvfree(rcu_replace_pointer(irq->routes, NULL, true));
}

static long ioc_set_gsi_routing(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_irq_routing __user *user = arg.user;
	struct kvm_irq_routing_entry *ue = NULL;
	enum okvm_irqchip_mode mode = okvm_irqchip_mode(vm);
	struct kvm_irq_routing head;
	struct gsi_table *table;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (mode == OKVM_IRQCHIP_NONE)
		return okvm_refuse(vm, "KVM_SET_GSI_ROUTING: no controllers in the kernel");
	if (head.nr > GSI_MAX_ROUTES)
		return okvm_refuse(vm, "KVM_SET_GSI_ROUTING: more than KVM_CAP_IRQ_ROUTING routes");
	if (head.flags)
		return okvm_refuse(vm, "KVM_SET_GSI_ROUTING: flags are not 0");
	if (head.nr) {
		ue = vmemdup_user(user->entries, array_size(sizeof(*ue), head.nr));
		if (IS_ERR(ue))
			return PTR_ERR(ue);
	}
	table = okvm_routes_build(vm, ue, head.nr, mode == OKVM_IRQCHIP_KERNEL);
	kvfree(ue);
	if (IS_ERR(table))
		return PTR_ERR(table);
	okvm_routes_publish(vm, table);
	return 0;
}

/* ---- lines ---- */

/*
 * Return the chips. They exist: the caller has read a route to one of their pins, and routes to
 * pins are published after the chips.
 */
static struct okvm_chips *route_chips(struct okvm_vm *vm)
{
	smp_rmb();	/* read the chips after the route; pairs with okvm_routes_publish() */
	return okvm_irq(vm)->chips;
}

static int route_set(struct okvm_vm *vm, const struct gsi_route *route, int source, int level,
		     bool line_status)
{
	struct okvm_chips *chips = route_chips(vm);

	switch ((enum gsi_kind)route->kind) {
	case GSI_KIND_PIC:
		return okvm_chips_set_pic(chips, route->pin, source, level);
	case GSI_KIND_IOAPIC:
		return okvm_chips_set_ioapic(chips, route->pin, source, level, line_status);
	case GSI_KIND_MSI:
		return level ? okvm_msi_deliver(vm, &route->msi) : -1;
	}
	return -1;
}

/*
 * Set the level of a GSI. A line goes to the PIC and to the IOAPIC, because okvm does not know
 * which one the guest uses. The guest masks the pin of the one that it does not use.
 */
int okvm_irq_set(struct okvm_vm *vm, int source, u32 gsi, int level, bool line_status)
{
	const struct gsi_route *route;
	const struct gsi_table *table;
	unsigned int nr;
	int ret = -1, r;

	trace_kvm_set_irq(gsi, level, source);
	rcu_read_lock();
	table = rcu_dereference(okvm_irq(vm)->routes);
	if (!table)
		goto out;
	for (route = gsi_lookup(table, gsi, &nr); nr; nr--, route++) {
		r = route_set(vm, route, source, level, line_status);
		if (r >= 0)
			ret = r + max(ret, 0);
	}
out:
	rcu_read_unlock();
	return ret;
}

static noinline void pulse_pins(struct okvm_vm *vm, const struct gsi_route *route, unsigned int nr,
				int source)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		route_set(vm, &route[i], source, 1, false);
	for (i = 0; i < nr; i++)
		route_set(vm, &route[i], source, 0, false);
}

void okvm_irq_pulse(struct okvm_vm *vm, int source, u32 gsi)
{
	const struct gsi_route *route;
	const struct gsi_table *table;
	unsigned int nr = 0;

	trace_kvm_set_irq(gsi, 1, source);
	rcu_read_lock();
	table = rcu_dereference(okvm_irq(vm)->routes);
	if (table)
		route = gsi_lookup(table, gsi, &nr);
	/* A GSI with an MSI route has no other route: look at the first route only. */
	if (nr && likely(route->kind == GSI_KIND_MSI))
		okvm_msi_deliver(vm, &route->msi);
	else if (nr)
		pulse_pins(vm, route, nr, source);
	rcu_read_unlock();
}

int okvm_chip_pin_gsi(struct okvm_vm *vm, unsigned int chip, unsigned int pin)
{
	const struct gsi_table *table;
	int gsi = GSI_NONE;

	rcu_read_lock();
	table = rcu_dereference(okvm_irq(vm)->routes);
	if (table)
		gsi = gsi_of_pin(table, chip, pin);
	rcu_read_unlock();
	return gsi;
}

/*
 * Set in @map the vectors of the level-triggered MSI routes of the reserved GSIs. With a split
 * irqchip the first GSIs are reserved for the pins of the VMM's IOAPIC, and their routes are MSIs.
 */
void okvm_routes_eoi_vectors(struct okvm_vm *vm, u64 map[4])
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	const struct gsi_table *table;
	u32 i;

	rcu_read_lock();
	table = rcu_dereference(irq->routes);
	for (i = 0; table && i < table->nr_routes; i++) {
		const struct gsi_route *route = &table->routes[i];
		struct gsi_message msg;

		if (route->gsi >= irq->nr_reserved_routes)
			break;
		msg = gsi_msi_decode(&route->msi, irq->x2apic_format);
		if (route->kind == GSI_KIND_MSI && msg.level)
			map[msg.vector / 64] |= BIT_ULL(msg.vector % 64);
	}
	rcu_read_unlock();
}

/* ---- acknowledge notifiers ---- */

/*
 * Find the notifier of @kind of a GSI. Resamplers are indexed by GSI and not on a list, because an
 * EOI may look for one with IRQs off. A list could be long: a VMM may have as many resamplers as it
 * has file descriptors.
 */
static struct okvm_ack_notifier *ack_find(struct okvm_irq_vm *irq, u32 gsi, enum okvm_ack_kind kind)
{
	struct okvm_ack_notifier *pit;

	if (kind == OKVM_ACK_RESAMPLER)
		return xa_load(&irq->resample_acks, gsi);
	pit = rcu_dereference(irq->pit_ack);
	return pit && pit->gsi == gsi ? pit : NULL;
}

int okvm_ack_register(struct okvm_vm *vm, struct okvm_ack_notifier *resampler)
{
	int err = xa_insert(&okvm_irq(vm)->resample_acks, resampler->gsi, resampler,
			    GFP_KERNEL_ACCOUNT);

	if (!err)
		okvm_irq_routes_changed(vm);
	return err;
}

ALLOW_ERROR_INJECTION(okvm_ack_register, ERRNO);

void okvm_ack_unregister(struct okvm_vm *vm, struct okvm_ack_notifier *resampler)
{
	xa_erase(&okvm_irq(vm)->resample_acks, resampler->gsi);
	synchronize_rcu_expedited();
	okvm_irq_routes_changed(vm);
}

void okvm_ack_set_pit(struct okvm_vm *vm, struct okvm_ack_notifier *pit)
{
	rcu_assign_pointer(okvm_irq(vm)->pit_ack, pit);
	if (!pit)
		synchronize_rcu_expedited();
	okvm_irq_routes_changed(vm);
}

/*
 * Return the pins in @pins whose GSI has a notifier of @kind. If @acked, also call the notifiers.
 */
static u32 ack_pins(struct okvm_irq_vm *irq, unsigned int chip, u32 pins, enum okvm_ack_kind kind,
		    bool acked)
{
	struct okvm_ack_notifier *notifier;
	const struct gsi_table *table;
	u32 found = 0;
	int gsi;

	rcu_read_lock();
	table = rcu_dereference(irq->routes);
	for (; table && pins; pins &= pins - 1) {
		gsi = gsi_of_pin(table, chip, __ffs(pins));
		if (gsi == GSI_NONE)
			continue;
		notifier = ack_find(irq, gsi, kind);
		if (!notifier)
			continue;
		found |= BIT(__ffs(pins));
		if (acked)
			notifier->acked(notifier);
	}
	rcu_read_unlock();
	return found;
}

static void ack_trace(unsigned int chip, u32 pins)
{
	for (; pins; pins &= pins - 1)
		trace_kvm_ack_irq(chip, __ffs(pins));
}

void okvm_ack_pins(struct okvm_vm *vm, unsigned int chip, u32 pins)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	enum okvm_ack_kind kind;

	if (trace_kvm_ack_irq_enabled())
		ack_trace(chip, pins);
	if (xa_empty(&irq->resample_acks) && !rcu_access_pointer(irq->pit_ack))
		return;
	for (kind = 0; kind < OKVM_NR_ACK_KINDS; kind++)
		ack_pins(irq, chip, pins, kind, true);
}

void okvm_resample_pins(struct okvm_vm *vm, unsigned int chip, u32 pins)
{
	if (pins)
		ack_pins(okvm_irq(vm), chip, pins, OKVM_ACK_RESAMPLER, true);
}

u32 okvm_resampled_pins(struct okvm_vm *vm, unsigned int chip, u32 pins)
{
	return ack_pins(okvm_irq(vm), chip, pins, OKVM_ACK_RESAMPLER, false);
}

u32 okvm_ack_pin_mask(struct okvm_vm *vm, unsigned int chip)
{
	const u32 all = GENMASK(GSI_CHIP_PINS - 1, 0);

	return ack_pins(okvm_irq(vm), chip, all, OKVM_ACK_RESAMPLER, false) |
	       ack_pins(okvm_irq(vm), chip, all, OKVM_ACK_PIT, false);
}

const struct okvm_ioctl okvm_route_ioctls[] = {
	{ KVM_SET_GSI_ROUTING,	OKVM_IOC_RAW, { .vm = ioc_set_gsi_routing } },
	{ }
};
