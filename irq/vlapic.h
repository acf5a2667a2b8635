/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations for the local APIC of a vCPU, shared by irq/vlapic.c, irq/apic_deliver.c,
 * irq/apic_regs.c, irq/apic_timer.c and irq/vapic.c. The register model is in irq/model/lapic.h.
 */
#ifndef OKVM_IRQ_VLAPIC_H
#define OKVM_IRQ_VLAPIC_H

#include <linux/hrtimer.h>
#include <linux/rcupdate.h>

#include "core/guestmem.h"
#include "core/vcpu.h"
#include "irq/apic_ops.h"
#include "irq/model/lapic.h"

/** enum okvm_apic_event - bits of okvm_apic.events: pending messages for the vCPU's thread */
enum okvm_apic_event {
	OKVM_APIC_INIT,
	OKVM_APIC_SIPI,
};

/**
 * struct okvm_apic - the local APIC of a vCPU
 *
 * Accessed by the vCPU's thread (vcpu->mutex) only, unless a member's comment says otherwise.
 */
struct okvm_apic {
	struct lapic l;		/* any CPU may change IRR, TMR, irr_hint and esr_pending */
	struct okvm_vcpu *vcpu;
	const struct okvm_apic_ops *ops;	/* the backend's; constant */
	bool posted;		/* senders may use ops->post_irq(). Any CPU reads this member */
	bool online;		/* in the VM's destination map */
	bool lint0_nmi;		/* counted in okvm_irq_vm.apics_lint0_nmi */

	/* At most one of the hrtimer and the backend's timer (hv) is armed. */
	struct hrtimer hrtimer;
	bool can_hv;		/* the backend has a timer */
	bool hv_armed;		/* the backend's timer is armed */
	bool fired;		/* set by the hrtimer's handler: a tick to deliver */
	u32 lead;		/* see apic_timer.c; in ns */

	/* Any CPU accesses these members. */
	bool kick_late;		/* okvm_irq_vm.kick_work is going to kick the vCPU */
	unsigned long events;	/* bits of enum okvm_apic_event, atomic operations */
	u8 sipi_vector;		/* written before OKVM_APIC_SIPI is set */

	/* Paravirtual EOI. */
	bool pv_eoi_pending;	/* okvm has set the PV EOI flag in guest memory */
	bool pv_eoi_done;	/* okvm has done the EOI, but could not clear the flag yet */
	u64 pv_eoi_msr;
	struct okvm_gpa_cache pv_eoi_cache;

	/* The word of KVM_SET_VAPIC_ADDR. */
	bool vapic;		/* userspace has set a word */
	bool watches;		/* userspace has set a word once, so okvm_watch_on() was called */
	struct okvm_gpa_cache vapic_cache;
};

static inline struct okvm_apic *okvm_apic_of(const struct lapic *l)
{
	return container_of((struct lapic *)l, struct okvm_apic, l);
}

/** struct okvm_apic_map - a destination map with its RCU head; read under RCU */
struct okvm_apic_map {
	struct rcu_head rcu;
	struct lapic_map map;
};

/* apic_deliver.c */

/** okvm_apic_map_update() - rebuild the map after an ID, mode or enable bit changed. May sleep */
void okvm_apic_map_update(struct okvm_vm *vm);
/** okvm_apic_map_drop() - remove the map of a VM that is being destroyed. May sleep */
void okvm_apic_map_drop(struct okvm_vm *vm);
/**
 * okvm_apic_local() - deliver a local source's interrupt, in the vCPU's thread
 * Return: 1 if the APIC has accepted the interrupt, otherwise 0
 */
int okvm_apic_local(struct okvm_apic *apic, enum lapic_lvt lvt);

/* apic_regs.c */

/** okvm_apic_apply() - carry out the effects of a register access. Sleeps only for LAPIC_EFF_MAP */
void okvm_apic_apply(struct okvm_apic *apic, const struct lapic_effect *eff);

/* vapic.c */

/** okvm_apic_vapic_destroy() - stop watching exits, because the vCPU is destroyed */
void okvm_apic_vapic_destroy(struct okvm_apic *apic);

/* apic_timer.c */

void okvm_apic_timer_create(struct okvm_apic *apic);
/** okvm_apic_timer_apply() - carry out LAPIC_EFF_TIMER_* effects of a register access */
void okvm_apic_timer_apply(struct okvm_apic *apic, u32 flags);

#define OKVM_APIC_TIMER_EFFECTS	(LAPIC_EFF_TIMER_START | LAPIC_EFF_TIMER_SCALE |	\
				 LAPIC_EFF_TIMER_STOP | LAPIC_EFF_TIMER_DROP | LAPIC_EFF_TIMER_ARM)

#endif /* OKVM_IRQ_VLAPIC_H */
