/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of irq/ share about one VM. Never included from elsewhere.
 */
#ifndef OKVM_IRQ_INTERNAL_H
#define OKVM_IRQ_INTERNAL_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "core/iobus.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "irq/irq.h"
#include "irq/model/gsi.h"
#include "irq/model/ioapic.h"
#include "irq/model/pic.h"

struct okvm_apic_map;
struct okvm_chips;
struct okvm_pit;

/** struct okvm_pic_dev - the ports of a PIC, or of ELCR, on the bus */
struct okvm_pic_dev {
	struct okvm_io_device dev;
	struct okvm_chips *chips;
};

/**
 * struct okvm_chips - the in-kernel PIC pair and IOAPIC of a VM
 *
 * The locks are taken with IRQs off: timers and eventfds raise lines from their own context.
 * Neither is held while notifiers run; the order is any, they never nest.
 */
struct okvm_chips {
	struct okvm_vm *vm;

	spinlock_t pic_lock;		/* guards @pic */
	struct pic pic;

	spinlock_t ioapic_lock;		/* guards @ioapic */
	struct ioapic ioapic;

	struct delayed_work reinject;	/* level interrupts held back from an EOI storm */
	struct work_struct wake;	/* of whoever takes the PIC's interrupts */
	struct okvm_pic_dev pic_dev[3];		/* master, slave, ELCR */
	struct okvm_io_device ioapic_dev;
};

/** enum okvm_ack_kind - kinds of notifiers; a GSI has at most one of each */
enum okvm_ack_kind {
	OKVM_ACK_RESAMPLER,	/* lowers the line and asks who still holds it */
	OKVM_ACK_PIT,
	OKVM_NR_ACK_KINDS,
};

/**
 * struct okvm_ack_notifier - somebody wants to know when a GSI's interrupt is acknowledged
 * @gsi: which
 * @acked: called under RCU, in any context, without locks of the chips
 */
struct okvm_ack_notifier {
	u32 gsi;
	void (*acked)(struct okvm_ack_notifier *notifier);
};

/**
 * struct okvm_irq_vm - the interrupt side of a VM
 */
struct okvm_irq_vm {
	struct okvm_vm *vm;

	/*
	 * Chosen under vm->lock before the first vCPU, then constant. @mode is published last,
	 * but the PIT, which may be older, follows the routes as soon as there are any.
	 */
	enum okvm_irqchip_mode mode;
	struct okvm_chips *chips;	/* only with OKVM_IRQCHIP_KERNEL; before the routes */
	u32 nr_reserved_routes;		/* only with OKVM_IRQCHIP_SPLIT */

	/* Set under vm->lock. */
	struct okvm_pit *pit;
	bool x2apic_format;		/* KVM_X2APIC_API_USE_32BIT_IDS */
	u32 apic_tick_ns;		/* KVM_CAP_X86_APIC_BUS_CYCLES_NS, or 0 */
	bool x2apic_no_broadcast_quirk;	/* KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK */

	/* Guards writers of routes and notifiers. Innermost of the mutexes. */
	struct mutex lock;
	struct gsi_table __rcu *routes;		/* read under RCU */

	/* Notifiers of acknowledgments, read under RCU; those of resamplers by GSI. */
	struct xarray resample_acks;		/* written under @resample_lock */
	struct okvm_ack_notifier __rcu *pit_ack;	/* written under the PIT's reinject_lock */

	/* Guards resamplers and their lists. Outside @lock. */
	struct mutex resample_lock;
	struct list_head resamplers;

	/* Vectors whose EOI somebody wants; written under @eoi_lock, read without. */
	spinlock_t eoi_lock;
	u64 eoi_vectors[4];

	spinlock_t irqfd_lock;		/* IRQs off; inside the eventfd's wait-queue lock */
	struct list_head irqfds;
	struct mutex irqfd_mutex;	/* one assignment or deassignment at a time */
	struct workqueue_struct *irqfd_wq;	/* made with the first irqfd, under @irqfd_mutex */

	/* Guarded by vm->bus_lock. */
	struct list_head ioeventfds;
	struct list_head coalesced_zones;

	/* LAPIC destination map: irq/apic_deliver.c */
	struct mutex apic_map_lock;
	struct okvm_apic_map __rcu *apic_map;
	atomic_t apic_map_dirty;
	u64 apic_quirks_off;	/* KVM_X86_QUIRK_* that userspace disabled */
	struct work_struct kick_work;	/* for those with okvm_apic.kick_late */
	atomic_t apics_lint0_nmi;	/* vCPUs whose LINT0 delivers NMIs (PIT as NMI watchdog) */
};

static inline struct okvm_irq_vm *okvm_irq(const struct okvm_vm *vm)
{
	return vm->irq;
}

/* irqchip.c */

/** okvm_chips_set_pic() - drive a PIC pin. Any context. Return: as KVM_IRQ_LINE_STATUS */
int okvm_chips_set_pic(struct okvm_chips *chips, unsigned int pin, int source, bool high);
/** okvm_chips_set_ioapic() - likewise a pin of the IOAPIC */
int okvm_chips_set_ioapic(struct okvm_chips *chips, unsigned int pin, int source, bool high,
			  bool line_status);

/* route.c */

/**
 * okvm_routes_build() - a table, which nobody sees yet
 * @chips: there are pins that routes may lead to
 * Return: the table, -EINVAL or -ENOMEM; kvfree() it, or publish it
 */
struct gsi_table *okvm_routes_build(struct okvm_vm *vm, const struct kvm_irq_routing_entry *ue,
				    u32 nr, bool chips);
/** okvm_routes_publish() - put @table into use, and free the table before it. May sleep */
void okvm_routes_publish(struct okvm_vm *vm, struct gsi_table *table);
/** okvm_routes_free() - free the routing table of a VM that nobody uses any more */
void okvm_routes_free(struct okvm_irq_vm *irq);
/** okvm_routes_eoi_vectors() - split irqchip: vectors of level-triggered reserved routes */
void okvm_routes_eoi_vectors(struct okvm_vm *vm, u64 map[4]);
/** okvm_ack_register() - add a resampler. May sleep. Return: 0, -EBUSY, -ENOMEM */
int okvm_ack_register(struct okvm_vm *vm, struct okvm_ack_notifier *resampler);
/** okvm_ack_unregister() - remove it, and wait until it is not running. May sleep */
void okvm_ack_unregister(struct okvm_vm *vm, struct okvm_ack_notifier *resampler);
/** okvm_ack_set_pit() - the PIT's notifier; NULL: none, and it is not running. May sleep */
void okvm_ack_set_pit(struct okvm_vm *vm, struct okvm_ack_notifier *pit);
/** okvm_ack_pins() - run the notifiers of a chip's @pins (KVM_IRQCHIP_*). Any context, no locks */
void okvm_ack_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/** okvm_resampled_pins() - those of a chip's @pins whose GSI has a resampler. Any context */
u32 okvm_resampled_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/** okvm_resample_pins() - run the resamplers of @pins. Any context, no locks */
void okvm_resample_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/** okvm_ack_pin_mask() - pins of a chip whose GSI has a notifier. Any context */
u32 okvm_ack_pin_mask(struct okvm_vm *vm, unsigned int chip);
/** okvm_chip_pin_gsi() - the GSI of a chip's pin, or GSI_NONE. Any context */
int okvm_chip_pin_gsi(struct okvm_vm *vm, unsigned int chip, unsigned int pin);

/* msi.c */

/** okvm_message_deliver() - hand a message over. Any context. Return: as okvm_apic_deliver() */
int okvm_message_deliver(struct okvm_vm *vm, const struct gsi_message *msg);
/** okvm_msi_deliver() - deliver a message. Any context. Return: as okvm_apic_deliver(), -EINVAL */
int okvm_msi_deliver(struct okvm_vm *vm, const struct gsi_msi *msi);

/* pit_timer.c */

/** okvm_pit_unmasked() - GSI 0 was unmasked: earlier ticks do not count. Any context */
void okvm_pit_unmasked(struct okvm_vm *vm);
/** okvm_pit_stop() - of a dying VM: the timer does not fire any more. May sleep */
void okvm_pit_stop(struct okvm_vm *vm);
/** okvm_pit_free() - after okvm_pit_stop(); the ports are off the bus */
void okvm_pit_free(struct okvm_vm *vm);

/* apic_deliver.c */

void okvm_apic_kicks_init(struct okvm_irq_vm *irq);
/** okvm_apic_request_all() - okvm_request_all() in bounded time: most kicks come late */
void okvm_apic_request_all(struct okvm_vm *vm, enum okvm_req req);

/* vlapic.c */

/** okvm_apic_lint0_nmi() - the PIT fired: an NMI if LINT0 is an unmasked NMI. Any context */
void okvm_apic_lint0_nmi(struct okvm_vcpu *vcpu);

/* irqfd.c */

/** okvm_irqfd_release() - detach every eventfd from a dying VM, once. May sleep */
void okvm_irqfd_release(struct okvm_vm *vm);

#endif /* OKVM_IRQ_INTERNAL_H */
