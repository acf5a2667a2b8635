/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that irq/ needs from a backend: hardware support for local APICs and their timers. */
#ifndef OKVM_IRQ_APIC_OPS_H
#define OKVM_IRQ_APIC_OPS_H

#include <linux/types.h>

struct okvm_vcpu;

/** enum okvm_apic_sync - what okvm_apic_ops.sync() has to bring up to date */
enum okvm_apic_sync {
	OKVM_APIC_PULL,		/* move posted vectors to IRR; arg ignored */
	OKVM_APIC_IRR,		/* highest vector in IRR changed; arg: that vector, -1 if none */
	OKVM_APIC_ISR,		/* highest vector in ISR changed; arg: that vector, -1 if none */
	/* TPR or IRR changed, so update the TPR threshold; arg: highest vector in IRR, or -1 */
	OKVM_APIC_TPR,
	OKVM_APIC_EOI_MAP,	/* arch->eoi_exit_bitmap changed */
};

#define OKVM_NO_DEADLINE	(~0ULL)

/** struct okvm_apic_ops - a backend's functions for irq/; okvm_apic.ops points to it */
struct okvm_apic_ops {
	/*
	 * Post @vector to the vCPU and, if @notify, make the vCPU notice it. Without @notify the
	 * caller kicks the vCPU. Called on any CPU. Return: false if the caller must set IRR and
	 * make a request instead.
	 */
	bool (*post_irq)(struct okvm_vcpu *vcpu, int vector, bool notify);
	/*
	 * Make the hardware's state and the register page agree. Called before IRR is read, and
	 * after a change of ISR, IRR or TPR.
	 */
	void (*sync)(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg);
	/*
	 * Cause a VM exit when the host's TSC reaches @host_tsc; OKVM_NO_DEADLINE disarms. Called
	 * only with OKVM_HW_HV_TIMER. Return: false if the caller must use an hrtimer instead.
	 */
	bool (*set_timer)(struct okvm_vcpu *vcpu, u64 host_tsc);
};

#endif /* OKVM_IRQ_APIC_OPS_H */
