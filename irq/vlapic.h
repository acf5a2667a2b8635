/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC of a vCPU: the shell around the pure model of irq/lapic.h.
 */
#ifndef OKVM_IRQ_VLAPIC_H
#define OKVM_IRQ_VLAPIC_H

#include <linux/types.h>
#include "irq/lapic.h"

struct okvm_vm;
struct okvm_vcpu;

/**
 * okvm_apic_deliver() - send an interrupt message of a device to the local APICs
 * @vm: the VM
 * @irq: the message
 * @dests: NULL, or a bitmap of vCPU indexes in which every vCPU that took it is marked
 *
 * Context: any, IRQs may be off. Takes no lock that sleeps.
 *
 * Return: number of vCPUs that took it; 0 when it was coalesced or the target refused it; -1
 * when nobody is addressed. This is KVM_IRQ_LINE_STATUS's answer.
 */
int okvm_apic_deliver(struct okvm_vm *vm, const struct lapic_irq *irq, unsigned long *dests);

#endif /* OKVM_IRQ_VLAPIC_H */
