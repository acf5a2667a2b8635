/* SPDX-License-Identifier: GPL-2.0-only */
/* What irq/ needs of a backend: hardware's help with local APICs and their timers. */
#ifndef OKVM_IRQ_APIC_OPS_H
#define OKVM_IRQ_APIC_OPS_H

#include <linux/types.h>

struct okvm_vcpu;

/** enum okvm_apic_sync - the moments at which hardware's view of the APIC is updated */
enum okvm_apic_sync {
	OKVM_APIC_PULL,		/* move posted vectors to IRR; arg ignored */
	OKVM_APIC_IRR,		/* highest pending vector changed; arg is it, -1 none */
	OKVM_APIC_ISR,		/* highest vector in service changed; arg is it, -1 none */
	/* TPR or what it holds back changed: TPR threshold; arg is max IRR */
	OKVM_APIC_TPR,
	OKVM_APIC_EOI_MAP,	/* arch->eoi_exit_bitmap changed */
};

#define OKVM_NO_DEADLINE	(~0ULL)

/** struct okvm_apic_ops - irq/'s part of a backend, cached in struct okvm_apic */
struct okvm_apic_ops {
	/*
	 * Make the target notice the vector; on any CPU. Without @notify the caller kicks.
	 * Return: false if it must be recorded in IRR and requested the slow way
	 */
	bool (*post_irq)(struct okvm_vcpu *vcpu, int vector, bool notify);
	/*
	 * Before IRR is looked at and after ISR, IRR or TPR changed, so that hardware's copy and
	 * the register page agree.
	 */
	void (*sync)(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg);
	/*
	 * Exit when the host's TSC is @host_tsc, whatever the guest's is; OKVM_NO_DEADLINE: never.
	 * Only with OKVM_HW_HV_TIMER. Return: false: use an hrtimer
	 */
	bool (*set_timer)(struct okvm_vcpu *vcpu, u64 host_tsc);
};

#endif /* OKVM_IRQ_APIC_OPS_H */
