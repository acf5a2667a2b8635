// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connect the register models of the in-kernel PIC pair and IOAPIC to locks, buses and ioctls.
 *
 * A call into a model fills in a todo structure, which lists its side effects. Messages of the
 * IOAPIC to LAPICs are delivered under the lock, because the result changes the model. All other
 * effects follow without the lock, so ack notifiers may raise lines again. Upstream KVM drops and
 * retakes its locks instead.
 */
#include <linux/kernel.h>
#include <linux/slab.h>

#include "core/trace_kvm.h"
#include "irq/internal.h"
#include "irq/model/lapic.h"
#include "irq/needs.h"
#include "irq/vlapic.h"

/* ---- the PIC pair ---- */

/*
 * How many vCPUs pic_do() tests for one that accepts the PIC's interrupts. pic_do() may run with
 * IRQs off, so it must be quick. A work item tests the other vCPUs. Nearly always the first vCPU
 * accepts the interrupts.
 */
#define PIC_LOOKS	16

/*
 * Among the first @nr vCPUs, wake the first one that accepts the PIC's interrupts.
 * Return: true if there is one
 */
static bool pic_wake(struct okvm_vm *vm, unsigned long nr)
{
	struct okvm_vcpu *vcpu;
	unsigned long i;

	okvm_for_each_vcpu(i, vcpu, vm) {
		if (i >= nr)
			break;
		if (okvm_apic_accepts_pic(vcpu)) {
			okvm_request_kick(OKVM_REQ_EVENT, vcpu);
			return true;
		}
	}
	return false;
}

static void pic_wake_work(struct work_struct *work)
{
	pic_wake(container_of(work, struct okvm_chips, wake)->vm, ULONG_MAX);
}

/* The guest has unmasked @pins. Notify the PIT if GSI 0 is routed to one of them. */
static void chips_unmasked(struct okvm_vm *vm, unsigned int chip, u32 pins)
{
	unsigned int pin;

	for (; pins; pins &= pins - 1) {
		pin = __ffs(pins);
		if (okvm_chip_pin_gsi(vm, chip, pin) == 0)
			okvm_pit_unmasked(vm);
	}
}

static void pic_do(struct okvm_chips *chips, const struct pic_todo *todo)
{
	struct okvm_vm *vm = chips->vm;

	if (todo->raised && !pic_wake(vm, PIC_LOOKS) &&
	    atomic_read(&vm->online_vcpus) > PIC_LOOKS)
		queue_work(system_unbound_wq, &chips->wake);
	if (todo->acked) {
		okvm_ack_pins(vm, KVM_IRQCHIP_PIC_MASTER, todo->acked & 0xff);
		okvm_ack_pins(vm, KVM_IRQCHIP_PIC_SLAVE, todo->acked >> 8);
	}
	if (todo->unmasked) {
		chips_unmasked(vm, KVM_IRQCHIP_PIC_MASTER, todo->unmasked & 0xff);
		chips_unmasked(vm, KVM_IRQCHIP_PIC_SLAVE, todo->unmasked >> 8);
	}
}

static inline void pic_carry_out(struct okvm_chips *chips, const struct pic_todo *todo)
{
	if (todo->raised || todo->acked || todo->unmasked)
		pic_do(chips, todo);
}

static void pic_trace(const struct okvm_chips *chips, unsigned int pin, enum pic_line line)
{
	const struct kvm_pic_state *chip = &chips->pic.chip[pin / 8];

	trace_kvm_pic_set_irq(pin / 8, pin % 8, chip->elcr, chip->imr, line == PIC_LINE_COALESCED);
}

int okvm_chips_set_pic(struct okvm_chips *chips, unsigned int pin, int source, bool high)
{
	struct pic_todo todo = {};
	unsigned long flags;
	enum pic_line line;

	spin_lock_irqsave(&chips->pic_lock, flags);
	line = pic_set_line(&chips->pic, pin, source, high, &todo);
	if (trace_kvm_pic_set_irq_enabled() && pin < PIC_PINS)
		pic_trace(chips, pin, line);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
	pic_carry_out(chips, &todo);
	return line;
}

/* Return the complete chips, or NULL if the VM has none (yet). */
static struct okvm_chips *irq_chips(struct okvm_irq_vm *irq)
{
	/* Pairs with irqchip_publish(): a reader that sees the pointer sees complete chips. */
	return smp_load_acquire(&irq->chips);
}

bool okvm_pic_has_irq(struct okvm_vm *vm)
{
	struct okvm_chips *chips = irq_chips(okvm_irq(vm));

	return chips && READ_ONCE(chips->pic.output);
}

int okvm_pic_ack_irq(struct okvm_vm *vm)
{
	struct okvm_chips *chips = okvm_irq(vm)->chips;
	struct pic_todo todo = {};
	unsigned long flags;
	u8 vector;

	spin_lock_irqsave(&chips->pic_lock, flags);
	vector = pic_ack(&chips->pic, &todo);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
	pic_carry_out(chips, &todo);
	return vector;
}

static struct okvm_chips *pic_dev_chips(struct okvm_io_device *dev)
{
	return container_of(dev, struct okvm_pic_dev, dev)->chips;
}

/* The PICs have byte registers: wider reads return 0, and wider writes are ignored. */
static int pic_dev_read(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			void *val)
{
	struct okvm_chips *chips = pic_dev_chips(dev);
	struct pic_todo todo = {};
	unsigned long flags;

	if (len != 1) {
		memset(val, 0, len);
		return 0;
	}
	spin_lock_irqsave(&chips->pic_lock, flags);
	*(u8 *)val = pic_read(&chips->pic, addr, &todo);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
	pic_carry_out(chips, &todo);
	return 0;
}

static int pic_dev_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			 const void *val)
{
	struct okvm_chips *chips = pic_dev_chips(dev);
	struct pic_todo todo = {};
	unsigned long flags;

	if (len != 1)
		return 0;
	spin_lock_irqsave(&chips->pic_lock, flags);
	pic_write(&chips->pic, addr, *(const u8 *)val, &todo);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
	pic_carry_out(chips, &todo);
	return 0;
}

static const struct okvm_io_ops pic_dev_ops = {
	.read = pic_dev_read,
	.write = pic_dev_write,
};

/* ---- the IOAPIC ---- */

/* Send the messages of @todo. Return: the result of the last delivery, or -1 without messages. */
static int ioapic_deliver(struct okvm_chips *chips, const struct ioapic_todo *todo)
{
	u32 pins = todo->deliver;
	int cpus = -1;

	lockdep_assert_held(&chips->ioapic_lock);
	for (; pins; pins &= pins - 1) {
		unsigned int pin = __ffs(pins);
		struct gsi_message msg = ioapic_message(&chips->ioapic, pin);

		cpus = okvm_message_deliver(chips->vm, &msg);
		ioapic_delivered(&chips->ioapic, pin, cpus);
	}
	return cpus;
}

/* Carry out the effects in @todo that do not need the lock. */
static void ioapic_carry_out(struct okvm_chips *chips, const struct ioapic_todo *todo)
{
	if (todo->rescan)
		okvm_irq_routes_changed(chips->vm);
	if (todo->unmasked)
		chips_unmasked(chips->vm, KVM_IRQCHIP_IOAPIC, todo->unmasked);
	if (todo->delay)
		schedule_delayed_work(&chips->reinject, msecs_to_jiffies(IOAPIC_STORM_DELAY_MS));
}

int okvm_chips_set_ioapic(struct okvm_chips *chips, unsigned int pin, int source, bool high,
			  bool line_status)
{
	struct ioapic_todo todo = {};
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ret = ioapic_set_line(&chips->ioapic, pin, source, high, line_status, &todo);
	if (todo.deliver)
		ret = ioapic_deliver(chips, &todo);
	if (pin < IOAPIC_PINS)
		trace_kvm_ioapic_set_irq(chips->ioapic.redir[pin], pin, ret == 0);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	return ret;
}

static void ioapic_reinject_work(struct work_struct *work)
{
	struct okvm_chips *chips = container_of(to_delayed_work(work), struct okvm_chips, reinject);
	struct ioapic_todo todo = {};
	unsigned long flags;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_reinject(&chips->ioapic, &todo);
	ioapic_deliver(chips, &todo);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
}

static void chips_eoi(struct okvm_chips *chips, u8 vector, bool level)
{
	struct ioapic_todo todo = {};
	unsigned long flags;
	u32 pins;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	pins = ioapic_eoi_begin(&chips->ioapic, vector);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	if (!pins)
		return;
	okvm_ack_pins(chips->vm, KVM_IRQCHIP_IOAPIC, pins);
	if (!level)
		return;
	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_eoi_finish(&chips->ioapic, pins, &todo);
	ioapic_deliver(chips, &todo);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	ioapic_carry_out(chips, &todo);
}

void okvm_ioapic_eoi(struct okvm_vcpu *vcpu, u8 vector, bool level)
{
	struct okvm_irq_vm *irq = okvm_irq(vcpu->vm);

	switch (irq->mode) {
	case OKVM_IRQCHIP_KERNEL:
		chips_eoi(irq->chips, vector, level);
		break;
	case OKVM_IRQCHIP_SPLIT:
		if (level)
			okvm_arch_ioapic_eoi_user(vcpu, vector);
		break;
	case OKVM_IRQCHIP_NONE:
		break;
	}
}

static int ioapic_dev_read(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			   void *val)
{
	struct okvm_chips *chips = container_of(dev, struct okvm_chips, ioapic_dev);
	unsigned long flags;
	u64 word;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	word = ioapic_read(&chips->ioapic, addr & (IOAPIC_LENGTH - 1));
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	memcpy(val, &word, min_t(int, len, sizeof(word)));
	return 0;
}

static int ioapic_dev_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr,
			    int len, const void *val)
{
	struct okvm_chips *chips = container_of(dev, struct okvm_chips, ioapic_dev);
	struct ioapic_todo todo = {};
	u32 word = 0, resample = 0;
	unsigned long flags;

	memcpy(&word, val, min_t(int, len, sizeof(word)));
	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_write(&chips->ioapic, addr & (IOAPIC_LENGTH - 1), word, &todo);
	/*
	 * When the guest unmasks the pin, the interrupt may be spurious: the guest may have served
	 * the device while the pin was masked, and a resampler lowers its line only at an EOI. So
	 * do not deliver the interrupt, but run the resamplers. They lower the line, and a device
	 * that still needs service raises it again.
	 */
	if (todo.pending)
		resample = okvm_resampled_pins(chips->vm, KVM_IRQCHIP_IOAPIC, todo.pending);
	todo.deliver &= ~resample;
	ioapic_deliver(chips, &todo);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	okvm_resample_pins(chips->vm, KVM_IRQCHIP_IOAPIC, resample);
	ioapic_carry_out(chips, &todo);
	return 0;
}

static const struct okvm_io_ops ioapic_dev_ops = {
	.read = ioapic_dev_read,
	.write = ioapic_dev_write,
};

/* ---- vectors whose EOI must cause a VM exit ---- */

void okvm_ioapic_scan(struct okvm_vcpu *vcpu, u64 map[4])
{
	struct okvm_irq_vm *irq = okvm_irq(vcpu->vm);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(irq->eoi_vectors); i++)
		map[i] = READ_ONCE(irq->eoi_vectors[i]);
}

static void chips_eoi_vectors(struct okvm_chips *chips, u64 map[4])
{
	u32 extra = okvm_ack_pin_mask(chips->vm, KVM_IRQCHIP_IOAPIC);
	unsigned long flags;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_eoi_vectors(&chips->ioapic, extra, map);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
}

/* Store the set of vectors whose EOI must cause a VM exit. Return: true if the set has changed */
static bool eoi_vectors_store(struct okvm_irq_vm *irq, const u64 map[4])
{
	bool changed = memcmp(map, irq->eoi_vectors, sizeof(irq->eoi_vectors));
	unsigned int i;

	lockdep_assert_held(&irq->eoi_lock);
	for (i = 0; changed && i < ARRAY_SIZE(irq->eoi_vectors); i++)
		WRITE_ONCE(irq->eoi_vectors[i], map[i]);
	return changed;
}

/*
 * For in-kernel chips, compute and store the set of vectors whose EOI must cause a VM exit. Hold
 * one lock during both steps, so that no thread replaces a newer set by an older one.
 * Return: true if the set has changed
 */
static bool eoi_vectors_of_chips(struct okvm_irq_vm *irq, struct okvm_chips *chips)
{
	unsigned long flags;
	u64 map[4] = {};
	bool changed;

	spin_lock_irqsave(&irq->eoi_lock, flags);
	chips_eoi_vectors(chips, map);
	changed = eoi_vectors_store(irq, map);
	spin_unlock_irqrestore(&irq->eoi_lock, flags);
	return changed;
}

/*
 * Compute and store the vectors whose EOI must be reported to the VMM's IOAPIC. A VM may have
 * thousands of routes, so the computation runs with IRQs on. IRQs may be on, because only ioctls
 * change these vectors if there are no in-kernel chips.
 * Return: true if the set has changed
 */
static bool eoi_vectors_of_routes(struct okvm_irq_vm *irq)
{
	bool changed = false;
	u64 map[4] = {};

	mutex_lock(&irq->lock);
	okvm_routes_eoi_vectors(irq->vm, map);
	spin_lock_irq(&irq->eoi_lock);
	/*
	 * If KVM_CREATE_IRQCHIP has published chips in the meantime, it also stores their vectors.
	 */
	if (!irq_chips(irq))
		changed = eoi_vectors_store(irq, map);
	spin_unlock_irq(&irq->eoi_lock);
	mutex_unlock(&irq->lock);
	return changed;
}

/*
 * Compute anew the set of vectors whose EOI must cause a VM exit, and make the vCPUs load it. All
 * vCPUs share one set of vectors, because an EOI message on the APIC bus reaches every IOAPIC and
 * contains only the vector. With one set, okvm also sees the EOI of an interrupt whose route moves
 * to another vCPU while it is in service.
 */
void okvm_irq_routes_changed(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct okvm_chips *chips = irq_chips(irq);

	if (chips ? eoi_vectors_of_chips(irq, chips) : eoi_vectors_of_routes(irq))
		okvm_apic_request_all(vm, OKVM_REQ_EOI_MAP);
}

/* ---- create and destroy ---- */

enum okvm_irqchip_mode okvm_irqchip_mode(const struct okvm_vm *vm)
{
	/* Pairs with irq_publish_mode(): a reader that sees the mode sees the chips and routes. */
	return smp_load_acquire(&okvm_irq(vm)->mode);
}

static void irq_publish_mode(struct okvm_irq_vm *irq, enum okvm_irqchip_mode mode)
{
	/* Pairs with okvm_irqchip_mode(): a reader of the new mode sees the chips and routes. */
	smp_store_release(&irq->mode, mode);
}

int okvm_irq_vm_create(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = kzalloc(sizeof(*irq), GFP_KERNEL_ACCOUNT);

	if (!irq)
		return -ENOMEM;
	irq->vm = vm;
	mutex_init(&irq->lock);
	xa_init(&irq->resample_acks);
	mutex_init(&irq->resample_lock);
	INIT_LIST_HEAD(&irq->resamplers);
	spin_lock_init(&irq->eoi_lock);
	spin_lock_init(&irq->irqfd_lock);
	mutex_init(&irq->irqfd_mutex);
	INIT_LIST_HEAD(&irq->irqfds);
	INIT_LIST_HEAD(&irq->ioeventfds);
	INIT_LIST_HEAD(&irq->coalesced_zones);
	mutex_init(&irq->apic_map_lock);
	okvm_apic_kicks_init(irq);
	vm->irq = irq;
	return 0;
}

void okvm_irq_vm_release(struct okvm_vm *vm)
{
	struct okvm_chips *chips = okvm_irq(vm)->chips;

	okvm_irqfd_release(vm);
	okvm_pit_stop(vm);
	if (chips) {
		cancel_delayed_work_sync(&chips->reinject);
		cancel_work_sync(&chips->wake);
	}
	cancel_work_sync(&okvm_irq(vm)->kick_work);
}

void okvm_irq_vm_destroy(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);

	if (!irq)
		return;
	okvm_pit_free(vm);
	kfree(irq->chips);
	okvm_routes_free(irq);
	xa_destroy(&irq->resample_acks);
	vm->irq = NULL;
	kfree(irq);
}

/* Register the chips' devices on the buses, either all or none. */
static int chips_register(struct okvm_chips *chips)
{
	static const u16 port[] = { PIC_PORT_MASTER, PIC_PORT_SLAVE, PIC_PORT_ELCR };
	struct okvm_io_place place[ARRAY_SIZE(port) + 1] = {
		{ OKVM_BUS_MMIO, IOAPIC_BASE, IOAPIC_LENGTH, &chips->ioapic_dev },
	};
	struct okvm_vm *vm = chips->vm;
	unsigned int i;
	int err;

	chips->ioapic_dev.ops = &ioapic_dev_ops;
	for (i = 0; i < ARRAY_SIZE(port); i++) {
		chips->pic_dev[i].chips = chips;
		chips->pic_dev[i].dev.ops = &pic_dev_ops;
		place[i + 1] = (struct okvm_io_place) {
			OKVM_BUS_PIO, port[i], PIC_PORTS_EACH, &chips->pic_dev[i].dev,
		};
	}
	mutex_lock(&vm->bus_lock);
	err = okvm_iobus_register_all(vm, place, ARRAY_SIZE(place));
	mutex_unlock(&vm->bus_lock);
	return err;
}

static struct okvm_chips *chips_create(struct okvm_vm *vm)
{
	struct okvm_chips *chips = kzalloc(sizeof(*chips), GFP_KERNEL_ACCOUNT);

	if (!chips)
		return NULL;
	chips->vm = vm;
	spin_lock_init(&chips->pic_lock);
	spin_lock_init(&chips->ioapic_lock);
	INIT_DELAYED_WORK(&chips->reinject, ioapic_reinject_work);
	INIT_WORK(&chips->wake, pic_wake_work);
	pic_reset(&chips->pic);
	ioapic_reset(&chips->ioapic);
	return chips;
}

/*
 * Return 0 if userspace may choose an irqchip. Return -EEXIST if it has already chosen one, or else
 * the errno @with_vcpus if the VM has vCPUs.
 */
static int irq_may_choose(struct okvm_vm *vm, int with_vcpus)
{
	lockdep_assert_held(&vm->lock);
	if (okvm_irq(vm)->mode != OKVM_IRQCHIP_NONE)
		return -EEXIST;
	return vm->created_vcpus ? with_vcpus : 0;
}

/* Publish complete chips: a PIT may already tick, and other threads may call ioctls at any time. */
static void irqchip_publish(struct okvm_irq_vm *irq, struct okvm_chips *chips,
			    struct gsi_table *routes)
{
	/*
	 * Pairs with irq_chips(). The chips are published before the routes, because route_chips()
	 * reads the chips after a route.
	 */
	smp_store_release(&irq->chips, chips);
	okvm_routes_publish(irq->vm, routes);
	irq_publish_mode(irq, OKVM_IRQCHIP_KERNEL);
}

/*
 * KVM_CREATE_IRQCHIP: build the chips and routes, register the chips on the buses, then publish
 * chips and routes. Until then no other thread sees them: only vCPUs access the buses, and there
 * are no vCPUs yet. So a step that fails is easy to undo. The publication cannot fail.
 */
static long ioc_create_irqchip(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_irq_routing_entry *ue;
	int err = irq_may_choose(vm, -EINVAL);
	struct okvm_chips *chips;
	struct gsi_table *routes;
	u32 nr;

	if (err == -EINVAL)
		return okvm_refuse(vm, "KVM_CREATE_IRQCHIP: there are vCPUs");
	if (err)
		return err;
	chips = chips_create(vm);
	if (!chips)
		return -ENOMEM;
	ue = gsi_default_routes(&nr);
	routes = okvm_routes_build(vm, ue, nr, true);
	if (IS_ERR(routes)) {
		err = PTR_ERR(routes);
		goto err_free_chips;
	}
	err = chips_register(chips);
	if (err)
		goto err_free_routes;
	irqchip_publish(okvm_irq(vm), chips, routes);
	return 0;

err_free_routes:
	kvfree(routes);
err_free_chips:
	kfree(chips);
	return err;
}

static int irq_enable_split(struct okvm_vm *vm, u64 nr_routes)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct gsi_table *routes;
	int err;

	if (nr_routes > GSI_MAX_ROUTES)
		return okvm_refuse(vm, "KVM_CAP_SPLIT_IRQCHIP: too many routes");
	err = irq_may_choose(vm, -EEXIST);
	if (err)
		return err;
	routes = okvm_routes_build(vm, NULL, 0, false);
	if (IS_ERR(routes))
		return PTR_ERR(routes);
	irq->nr_reserved_routes = nr_routes;
	okvm_routes_publish(vm, routes);
	irq_publish_mode(irq, OKVM_IRQCHIP_SPLIT);
	return 0;
}

static int irq_set_apic_tick(struct okvm_vm *vm, u64 ns)
{
	if (!ns)
		return okvm_refuse(vm, "KVM_CAP_X86_APIC_BUS_CYCLES_NS: args[0] is 0");
	if (ns > LAPIC_MAX_TICK_NS)
		return okvm_refuse(vm, "KVM_CAP_X86_APIC_BUS_CYCLES_NS: too long");
	if (okvm_irqchip_mode(vm) == OKVM_IRQCHIP_NONE)
		return -ENXIO;
	if (vm->created_vcpus)
		return okvm_refuse(vm, "KVM_CAP_X86_APIC_BUS_CYCLES_NS: there are vCPUs");
	WRITE_ONCE(okvm_irq(vm)->apic_tick_ns, ns);
	return 0;
}

u32 okvm_apic_bus_ns(struct okvm_vm *vm)
{
	return READ_ONCE(okvm_irq(vm)->apic_tick_ns) ?: 1;
}

static int irq_enable_x2apic_api(struct okvm_vm *vm, u64 flags)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);

	if (flags & ~(u64)(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
		return okvm_refuse(vm, "KVM_CAP_X2APIC_API: unknown flags");
	if (flags & KVM_X2APIC_API_USE_32BIT_IDS)
		irq->x2apic_format = true;
	if (flags & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)
		irq->x2apic_no_broadcast_quirk = true;
	if (atomic_read(&vm->online_vcpus))
		okvm_apic_map_update(vm);
	return 0;
}

int okvm_irq_enable_cap(struct okvm_vm *vm, u32 cap, u64 val)
{
	switch (cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		return irq_enable_split(vm, val);
	case KVM_CAP_X2APIC_API:
		return irq_enable_x2apic_api(vm, val);
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return irq_set_apic_tick(vm, val);
	case KVM_CAP_DISABLE_QUIRKS2:
		okvm_irq(vm)->apic_quirks_off = val;
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- KVM_GET_IRQCHIP, KVM_SET_IRQCHIP ---- */

static void chips_get_pic(struct okvm_chips *chips, enum pic_chip which, struct kvm_irqchip *arg)
{
	unsigned long flags;

	spin_lock_irqsave(&chips->pic_lock, flags);
	pic_get_state(&chips->pic, which, &arg->chip.pic);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
}

static void chips_set_pic_state(struct okvm_chips *chips, enum pic_chip which,
				const struct kvm_irqchip *arg)
{
	struct pic_todo todo = {};
	unsigned long flags;

	spin_lock_irqsave(&chips->pic_lock, flags);
	pic_set_state(&chips->pic, which, &arg->chip.pic, &todo);
	spin_unlock_irqrestore(&chips->pic_lock, flags);
	pic_carry_out(chips, &todo);
}

static void chips_get_ioapic(struct okvm_chips *chips, struct kvm_irqchip *arg)
{
	unsigned long flags;

	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_get_state(&chips->ioapic, &arg->chip.ioapic);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
}

static void chips_set_ioapic_state(struct okvm_chips *chips, const struct kvm_irqchip *arg)
{
	struct ioapic_todo todo = {};
	unsigned long flags;

	cancel_delayed_work_sync(&chips->reinject);
	spin_lock_irqsave(&chips->ioapic_lock, flags);
	ioapic_set_state(&chips->ioapic, &arg->chip.ioapic, &todo);
	ioapic_deliver(chips, &todo);
	spin_unlock_irqrestore(&chips->ioapic_lock, flags);
	ioapic_carry_out(chips, &todo);
}

static long ioc_get_irqchip(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_irqchip *chip = arg.data;

	if (okvm_irqchip_mode(vm) != OKVM_IRQCHIP_KERNEL)
		return -ENXIO;
	switch (chip->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
		chips_get_pic(okvm_irq(vm)->chips, PIC_MASTER, chip);
		return 0;
	case KVM_IRQCHIP_PIC_SLAVE:
		chips_get_pic(okvm_irq(vm)->chips, PIC_SLAVE, chip);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		chips_get_ioapic(okvm_irq(vm)->chips, chip);
		return 0;
	}
	return okvm_refuse(vm, "irqchip: no such chip_id");
}

static long ioc_set_irqchip(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_irqchip *chip = arg.data;

	if (okvm_irqchip_mode(vm) != OKVM_IRQCHIP_KERNEL)
		return -ENXIO;
	switch (chip->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
		chips_set_pic_state(okvm_irq(vm)->chips, PIC_MASTER, chip);
		return 0;
	case KVM_IRQCHIP_PIC_SLAVE:
		chips_set_pic_state(okvm_irq(vm)->chips, PIC_SLAVE, chip);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		chips_set_ioapic_state(okvm_irq(vm)->chips, chip);
		return 0;
	}
	return okvm_refuse(vm, "irqchip: no such chip_id");
}

/* ---- KVM_IRQ_LINE, KVM_IRQ_LINE_STATUS ---- */

static long irq_line(struct okvm_vm *vm, struct kvm_irq_level *line, bool status)
{
	if (okvm_irqchip_mode(vm) == OKVM_IRQCHIP_NONE)
		return -ENXIO;
	line->status = okvm_irq_set(vm, OKVM_SOURCE_USER, line->irq, line->level, status);
	return 0;
}

static long ioc_irq_line(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return irq_line(vm, arg.data, false);
}

static long ioc_irq_line_status(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return irq_line(vm, arg.data, true);
}

const struct okvm_ioctl okvm_irqchip_ioctls[] = {
	{ KVM_CREATE_IRQCHIP,	OKVM_IOC_SCALAR | OKVM_IOC_LOCK, { .vm = ioc_create_irqchip } },
	{ KVM_GET_IRQCHIP,	0, { .vm = ioc_get_irqchip } },
	{ KVM_SET_IRQCHIP,	OKVM_IOC_IN, { .vm = ioc_set_irqchip } },
	{ KVM_IRQ_LINE,		0, { .vm = ioc_irq_line } },
	{ KVM_IRQ_LINE_STATUS,	0, { .vm = ioc_irq_line_status } },
	{ }
};
