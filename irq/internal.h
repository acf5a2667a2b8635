/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of irq/ share about a VM. Other directories must not include this header. */
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

/** struct okvm_pic_dev - I/O ports of a PIC, or of ELCR, on the PIO bus */
struct okvm_pic_dev {
	struct okvm_io_device dev;
	struct okvm_chips *chips;
};

/**
 * struct okvm_chips - the in-kernel PIC pair and IOAPIC of a VM
 *
 * Both locks (pic_lock, ioapic_lock) are taken with IRQs off, because timers and eventfds raise
 * lines in interrupt context. The locks do not nest, and neither is held while ack notifiers run.
 */
struct okvm_chips {
	struct okvm_vm *vm;

	spinlock_t pic_lock;		/* guards @pic */
	struct pic pic;

	spinlock_t ioapic_lock;		/* guards @ioapic */
	struct ioapic ioapic;

	struct delayed_work reinject;	/* redelivers level interrupts after an EOI storm */
	struct work_struct wake;	/* wakes a vCPU that accepts the PIC's interrupts */
	struct okvm_pic_dev pic_dev[3];		/* master, slave, ELCR */
	struct okvm_io_device ioapic_dev;
};

/** enum okvm_ack_kind - kinds of ack notifiers; a GSI has at most one of each kind */
enum okvm_ack_kind {
	OKVM_ACK_RESAMPLER,	/* lowers the line and signals resamplefds */
	OKVM_ACK_PIT,
	OKVM_NR_ACK_KINDS,
};

/**
 * struct okvm_ack_notifier - callback for acknowledgments of a GSI's interrupt
 * @gsi: the GSI
 * @acked: called under RCU, in any context, without the locks of the chips
 */
struct okvm_ack_notifier {
	u32 gsi;
	void (*acked)(struct okvm_ack_notifier *notifier);
};

/** struct okvm_irq_vm - the interrupt controllers and routes of a VM */
struct okvm_irq_vm {
	struct okvm_vm *vm;

	/*
	 * The mode is set under vm->lock before the first vCPU is created. It does not change
	 * later, and is published after the chips and routes. A PIT that exists already uses the
	 * routes as soon as they are published.
	 */
	enum okvm_irqchip_mode mode;
	struct okvm_chips *chips;	/* OKVM_IRQCHIP_KERNEL only; published before @routes */
	u32 nr_reserved_routes;		/* SPLIT only: lower GSIs are pins of the VMM's IOAPIC */

	/* Set under vm->lock. */
	struct okvm_pit *pit;
	bool x2apic_format;		/* KVM_X2APIC_API_USE_32BIT_IDS */
	u32 apic_tick_ns;		/* KVM_CAP_X86_APIC_BUS_CYCLES_NS, or 0 */
	bool x2apic_no_broadcast_quirk;	/* KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK */

	/*
	 * @lock guards writers of @routes. With a split irqchip it also guards the computation of
	 * @eoi_vectors from @routes. It is the innermost mutex.
	 */
	struct mutex lock;
	struct gsi_table __rcu *routes;		/* read under RCU */

	/* Ack notifiers of the resamplers, indexed by GSI, and of the PIT. Read under RCU. */
	struct xarray resample_acks;		/* written under @resample_lock */
	struct okvm_ack_notifier __rcu *pit_ack;	/* written under the PIT's reinject_lock */

	/* @resample_lock guards resamplers and their lists. It is taken before @lock. */
	struct mutex resample_lock;
	struct list_head resamplers;

	/* Vectors whose EOI the IOAPIC or userspace must see. @eoi_lock guards writers only. */
	spinlock_t eoi_lock;
	u64 eoi_vectors[4];

	/* @irqfd_lock guards @irqfds. Taken with IRQs off, inside the eventfd's wait-queue lock. */
	spinlock_t irqfd_lock;
	struct list_head irqfds;
	struct mutex irqfd_mutex;	/* serializes assignments and deassignments */
	struct workqueue_struct *irqfd_wq;	/* NULL before the first irqfd */

	/* Guarded by vm->bus_lock. */
	struct list_head ioeventfds;
	struct list_head coalesced_zones;

	/* LAPIC destination map: irq/apic_deliver.c */
	struct mutex apic_map_lock;
	struct okvm_apic_map __rcu *apic_map;
	atomic_t apic_map_dirty;
	u64 apic_quirks_off;	/* KVM_X86_QUIRK_* that userspace has disabled */
	struct work_struct kick_work;	/* kicks vCPUs with okvm_apic.kick_late */
	atomic_t apics_lint0_nmi;	/* number of vCPUs whose LINT0 is an unmasked NMI */
};

static inline struct okvm_irq_vm *okvm_irq(const struct okvm_vm *vm)
{
	return vm->irq;
}

/* irqchip.c */

/**
 * okvm_chips_set_pic() - set the level of a PIC pin. Any context
 * Return: enum pic_line
 */
int okvm_chips_set_pic(struct okvm_chips *chips, unsigned int pin, int source, bool high);
/**
 * okvm_chips_set_ioapic() - set the level of an IOAPIC pin. Any context
 * @line_status: the caller is KVM_IRQ_LINE_STATUS, which reports unacknowledged RTC edges
 * Return: if a message was sent, the result of its delivery (okvm_message_deliver()); otherwise
 * enum ioapic_line
 */
int okvm_chips_set_ioapic(struct okvm_chips *chips, unsigned int pin, int source, bool high,
			  bool line_status);

/* route.c */

/**
 * okvm_routes_build() - build a routing table, which is not published yet
 * @chips: routes to pins of PIC and IOAPIC are allowed
 * Return: the table, -EINVAL or -ENOMEM. The caller publishes the table or frees it by kvfree()
 */
struct gsi_table *okvm_routes_build(struct okvm_vm *vm, const struct kvm_irq_routing_entry *ue,
				    u32 nr, bool chips);
/** okvm_routes_publish() - replace the VM's routing table by @table, free the old one. May sleep */
void okvm_routes_publish(struct okvm_vm *vm, struct gsi_table *table);
/** okvm_routes_free() - free the routing table of a VM that is being destroyed */
void okvm_routes_free(struct okvm_irq_vm *irq);
/**
 * okvm_routes_eoi_vectors() - set in @map the vectors whose EOI a split irqchip reports to the VMM:
 * those of level-triggered MSIs among the routes reserved for the VMM's IOAPIC
 */
void okvm_routes_eoi_vectors(struct okvm_vm *vm, u64 map[4]);
/** okvm_ack_register() - register a resampler. May sleep. Return: 0, -EBUSY, -ENOMEM */
int okvm_ack_register(struct okvm_vm *vm, struct okvm_ack_notifier *resampler);
/**
 * okvm_ack_unregister() - unregister a resampler and wait until its callback has ended. May sleep
 */
void okvm_ack_unregister(struct okvm_vm *vm, struct okvm_ack_notifier *resampler);
/**
 * okvm_ack_set_pit() - set the PIT's ack notifier. May sleep
 * @pit: the notifier; NULL: remove the old one and wait until its callback has ended
 */
void okvm_ack_set_pit(struct okvm_vm *vm, struct okvm_ack_notifier *pit);
/**
 * okvm_ack_pins() - call the ack notifiers (resamplers and PIT) of a chip's @pins, with no locks
 * held. Any context
 */
void okvm_ack_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/** okvm_resampled_pins() - Return those of a chip's @pins whose GSI has a resampler. Any context */
u32 okvm_resampled_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/**
 * okvm_resample_pins() - call the resamplers of a chip's @pins, but no other ack notifiers
 *
 * The caller holds no locks. Any context.
 */
void okvm_resample_pins(struct okvm_vm *vm, unsigned int chip, u32 pins);
/**
 * okvm_ack_pin_mask() - Return those of a chip's pins whose GSI has an ack notifier. Any context
 */
u32 okvm_ack_pin_mask(struct okvm_vm *vm, unsigned int chip);
/** okvm_chip_pin_gsi() - Return the GSI routed to a chip's pin, or GSI_NONE. Any context */
int okvm_chip_pin_gsi(struct okvm_vm *vm, unsigned int chip, unsigned int pin);

/* msi.c */

/**
 * okvm_message_deliver() - deliver a message to LAPICs. Any context
 * Return: number of vCPUs that accepted it; 0 if all destinations refused it; -1 if it has no
 * destination
 */
int okvm_message_deliver(struct okvm_vm *vm, const struct gsi_message *msg);
/**
 * okvm_msi_deliver() - deliver an MSI. Any context
 * Return: number of vCPUs that accepted it; 0 if all destinations refused it; -1 if it has no
 * destination; -EINVAL if it is malformed
 */
int okvm_msi_deliver(struct okvm_vm *vm, const struct gsi_msi *msi);

/* pit_timer.c */

/** okvm_pit_unmasked() - after GSI 0 was unmasked, drop the ticks that wait. Any context */
void okvm_pit_unmasked(struct okvm_vm *vm);
/** okvm_pit_stop() - stop the timer when the VM is destroyed: it never runs again. May sleep */
void okvm_pit_stop(struct okvm_vm *vm);
/** okvm_pit_free() - free the PIT after okvm_pit_stop(), when its ports are off the bus */
void okvm_pit_free(struct okvm_vm *vm);

/* apic_deliver.c */

void okvm_apic_kicks_init(struct okvm_irq_vm *irq);
/**
 * okvm_apic_request_all() - send a request to every vCPU of the VM, and kick them
 *
 * With IRQs off the function kicks only a few vCPUs itself; a work item kicks the others.
 */
void okvm_apic_request_all(struct okvm_vm *vm, enum okvm_req req);

/* vlapic.c */

/** okvm_apic_lint0_nmi() - queue an NMI for a PIT edge if LINT0 is an unmasked NMI. Any context */
void okvm_apic_lint0_nmi(struct okvm_vcpu *vcpu);

/* irqfd.c */

/** okvm_irqfd_release() - shut down all irqfds of a VM that is being destroyed. May sleep */
void okvm_irqfd_release(struct okvm_vm *vm);

#endif /* OKVM_IRQ_INTERNAL_H */
