/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt side as x86/ and the backends see it. irq/ reaches hardware
 * only through irq/apic_ops.h and requests; what it needs from above is in
 * irq/needs.h.
 */
#ifndef OKVM_IRQ_IRQ_H
#define OKVM_IRQ_IRQ_H

#include <linux/types.h>

#include <asm/apicdef.h>

#include "core/ioctl.h"
#include "core/vcpu.h"
#include "core/vm.h"

struct lapic_irq;

/* The x2APIC MSR of the APIC register at offset @reg: SDM "x2APIC Register Address Space" */
#define OKVM_X2APIC_MSR(reg)	(APIC_BASE_MSR + ((reg) >> 4))

/** enum okvm_irqchip_mode - where the interrupt controllers live; chosen before the first vCPU */
enum okvm_irqchip_mode {
	OKVM_IRQCHIP_NONE,	/* all in userspace */
	OKVM_IRQCHIP_KERNEL,	/* PIC, IOAPIC and LAPIC in the kernel */
	OKVM_IRQCHIP_SPLIT,	/* LAPIC in the kernel, the rest in userspace */
};

int okvm_irq_vm_create(struct okvm_vm *vm);
/** okvm_irq_vm_release() - stop every source (irqfds, PIT timer); vCPUs still exist */
void okvm_irq_vm_release(struct okvm_vm *vm);
/** okvm_irq_vm_destroy() - vCPUs and buses are gone */
void okvm_irq_vm_destroy(struct okvm_vm *vm);
enum okvm_irqchip_mode okvm_irqchip_mode(const struct okvm_vm *vm);

/* ---- LAPIC of a vCPU: irq/vlapic.c ---- */

/** okvm_apic_create() - vcpu->apic if the VM has an in-kernel LAPIC. Return: 0 or -ENOMEM */
int okvm_apic_create(struct okvm_vcpu *vcpu);
void okvm_apic_destroy(struct okvm_vcpu *vcpu);
/** okvm_apic_online() - the vCPU is in vm->vcpus now: put it on the destination map */
void okvm_apic_online(struct okvm_vcpu *vcpu);
/** okvm_apic_reset() - RESET, or INIT (keeps APIC base) */
void okvm_apic_reset(struct okvm_vcpu *vcpu, bool init);

/** okvm_apic_page() - the register page (virtual-APIC page for hardware), NULL without LAPIC */
void *okvm_apic_page(struct okvm_vcpu *vcpu);

u64 okvm_apic_base(const struct okvm_vcpu *vcpu);
/** okvm_apic_set_base() - a value that lapic_base_legal() let pass */
void okvm_apic_set_base(struct okvm_vcpu *vcpu, u64 base);
bool okvm_apic_x2apic_mode(const struct okvm_vcpu *vcpu);
/** okvm_apic_hw_enabled() - present and APIC_BASE.EN set */
bool okvm_apic_hw_enabled(const struct okvm_vcpu *vcpu);
bool okvm_apic_sw_enabled(const struct okvm_vcpu *vcpu);
/** okvm_apic_cpuid_changed() - version, max id, TSC-deadline and x2APIC follow guest CPUID */
void okvm_apic_cpuid_changed(struct okvm_vcpu *vcpu, bool x2apic, bool tsc_deadline);

/* CR8 is TPR >> 4. */
unsigned long okvm_apic_get_cr8(const struct okvm_vcpu *vcpu);
void okvm_apic_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8);

/** okvm_apic_msr_read() - x2APIC MSRs 0x800..0x8ff. Return: 0 or 1 for #GP */
int okvm_apic_msr_read(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_apic_msr_write(struct okvm_vcpu *vcpu, u32 msr, u64 val);
/**
 * okvm_apic_msr_write_fast() - x2APIC writes that need neither sleeping nor IRQs on
 * Return: true if done (EOI, ICR fixed/physical, SELF_IPI, TMICT, TPR); IRQs off.
 */
bool okvm_apic_msr_write_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val);
/* IA32_TSC_DEADLINE; the deadline is a guest TSC. IRQs may be off. */
u64 okvm_apic_get_tsc_deadline(struct okvm_vcpu *vcpu);
void okvm_apic_set_tsc_deadline(struct okvm_vcpu *vcpu, u64 deadline);

/**
 * okvm_apic_mmio() - an MMIO access of 1..8 bytes, by the vCPU's own thread
 *
 * In x2APIC mode, and off, the page reads as all ones and ignores writes, if the quirk
 * KVM_X86_QUIRK_LAPIC_MMIO_HOLE is on.
 * Return: 0, or -EOPNOTSUPP if @gpa is not this APIC's page, or without the quirk not answered
 */
int okvm_apic_mmio(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write);
/* APIC-write (trap-like) exit */
void okvm_apic_write_nodecode(struct okvm_vcpu *vcpu, u32 offset);
/** okvm_apic_write_fast() - the same with IRQs off. Return: false if it was not done */
bool okvm_apic_write_fast(struct okvm_vcpu *vcpu, u32 offset);
/** okvm_apic_eoi_fast() - an EOI with IRQs off. Return: false if somebody waits for it: not done */
bool okvm_apic_eoi_fast(struct okvm_vcpu *vcpu);
/* EOI by MSR, MMIO or fast path */
void okvm_apic_eoi(struct okvm_vcpu *vcpu);
void okvm_apic_eoi_induced(struct okvm_vcpu *vcpu, u8 vector);		/* virtualized-EOI exit */

/** okvm_apic_pending_irq() - highest vector above PPR, or -1; pulls posted ones first */
int okvm_apic_pending_irq(struct okvm_vcpu *vcpu);
/**
 * okvm_apic_hand_over() - virtual-interrupt delivery: the CPU learns what is posted and requested
 * Return: the highest requested vector or -1. Only while okvm_apic_hw_delivers().
 */
int okvm_apic_hand_over(struct okvm_vcpu *vcpu);
/** okvm_apic_ack_irq() - move that vector from IRR to ISR */
void okvm_apic_ack_irq(struct okvm_vcpu *vcpu, int vector);
/** okvm_apic_hw_delivers() - virtual-interrupt delivery: the CPU takes LAPIC interrupts itself */
bool okvm_apic_hw_delivers(const struct okvm_vcpu *vcpu);
/** okvm_apic_sync_tpr() - before an entry: the backend's TPR threshold follows IRR */
void okvm_apic_sync_tpr(struct okvm_vcpu *vcpu);
int okvm_apic_highest_irr(struct okvm_vcpu *vcpu);
int okvm_apic_highest_isr(struct okvm_vcpu *vcpu);
/** okvm_apic_update_apicv() - APIC virtualization was switched on or off for this vCPU */
void okvm_apic_update_apicv(struct okvm_vcpu *vcpu, bool active);
/** okvm_apic_eoi_exit_map() - store in @map the vectors whose EOI must exit, and in hardware */
void okvm_apic_eoi_exit_map(struct okvm_vcpu *vcpu, u64 map[4]);

/** okvm_apic_needs_slow() - INIT, SIPI or an EOI in guest memory waits: not with IRQs off */
bool okvm_apic_needs_slow(const struct okvm_vcpu *vcpu);
/** INIT and SIPI that wait. okvm_apic_take_* clear what they return. */
bool okvm_apic_has_events(const struct okvm_vcpu *vcpu);
bool okvm_apic_take_init(struct okvm_vcpu *vcpu);
bool okvm_apic_take_sipi(struct okvm_vcpu *vcpu, u8 *vector);
/** okvm_apic_set_sipi() - KVM_SET_VCPU_EVENTS / KVM_SET_MP_STATE(SIPI_RECEIVED) */
void okvm_apic_set_sipi(struct okvm_vcpu *vcpu, u8 vector);

/** okvm_apic_timer_pending() - the timer fired, the LAPIC is enabled, and its LVT is unmasked */
bool okvm_apic_timer_pending(struct okvm_vcpu *vcpu);
/** okvm_apic_timer_inject() - deliver the interrupt of a timer that fired; for OKVM_REQ_TIMER */
void okvm_apic_timer_inject(struct okvm_vcpu *vcpu);
/* preemption-timer exit, IRQs may be off */
void okvm_apic_hv_timer_expired(struct okvm_vcpu *vcpu);
/* the vCPU blocks: hrtimer takes over */
void okvm_apic_timer_to_sw(struct okvm_vcpu *vcpu);
void okvm_apic_timer_to_hw(struct okvm_vcpu *vcpu);
void okvm_apic_timer_restart(struct okvm_vcpu *vcpu);		/* guest TSC offset changed */
void okvm_apic_timer_migrate(struct okvm_vcpu *vcpu);		/* now on another CPU */

/** LINT0 in ExtINT mode and unmasked (or APIC disabled): PIC interrupts reach this vCPU */
bool okvm_apic_accepts_pic(struct okvm_vcpu *vcpu);
/** okvm_apic_lint0_nmi() - the PIT's edge at LINT0, for a vCPU that has it as NMI. Any context */
void okvm_apic_lint0_nmi(struct okvm_vcpu *vcpu);

/** okvm_apic_pv_eoi_msr() - MSR_KVM_PV_EOI_EN: with KVM_MSR_ENABLED entries offer to skip an EOI */
u64 okvm_apic_pv_eoi_msr(const struct okvm_vcpu *vcpu);
/** PV EOI (KVM paravirtual MSR): @msr as the guest wrote it; 0 or 1 for #GP */
int okvm_apic_set_pv_eoi(struct okvm_vcpu *vcpu, u64 msr);
/**
 * Before entry: set the flag if one EOI may be skipped; after exit: was it used?
 * Both touch guest memory: vm->srcu held, may sleep. Before anything looks at ISR.
 */
void okvm_apic_pv_eoi_enter(struct okvm_vcpu *vcpu);
void okvm_apic_pv_eoi_exit(struct okvm_vcpu *vcpu);

/** PV IPI hypercall: bitmaps of APIC ids from @min on. Return: CPUs reached or -KVM_EINVAL */
long okvm_apic_pv_send_ipi(struct okvm_vm *vm, u64 low, u64 high, u32 min, u64 icr, bool mode64);
/** vCPU by physical APIC id as IPIs see it, or NULL */
struct okvm_vcpu *okvm_apic_dest(struct okvm_vm *vm, u32 apic_id);

/**
 * okvm_apic_deliver() - an interrupt message to whom it addresses
 * @src: the vCPU whose thread sends it (shorthands, IPIs), or NULL for a device
 * Return: number of vCPUs that took it, 0 if the addressed ones refused it, -1 nobody is addressed.
 * Context: any, IRQs may be off.
 */
int okvm_apic_deliver(struct okvm_vm *vm, struct okvm_vcpu *src, const struct lapic_irq *irq);
/** okvm_apic_raise() - a fixed interrupt from KVM itself for this vCPU, by its own thread */
void okvm_apic_raise(struct okvm_vcpu *vcpu, u8 vector);

/* ---- PIC: for x86/cpu/event.c ---- */

/** okvm_pic_has_irq() - the 8259A pair has an interrupt for the BSP (in-kernel PIC only) */
bool okvm_pic_has_irq(struct okvm_vm *vm);
int okvm_pic_ack_irq(struct okvm_vm *vm);	/* the vector */

/* ---- GSI lines and routes ---- */

#define OKVM_SOURCE_USER	0	/* irq source ids: who drives a line */
#define OKVM_SOURCE_IRQFD	1
#define OKVM_SOURCE_RESAMPLE	2
#define OKVM_SOURCE_PIT		3

/** okvm_irq_set() - drive a GSI. Return: as okvm_apic_deliver(). Process context or under srcu. */
int okvm_irq_set(struct okvm_vm *vm, int source, u32 gsi, int level, bool line_status);
/** okvm_irq_pulse() - raise a GSI and lower it again, as edges are; a message is sent once */
void okvm_irq_pulse(struct okvm_vm *vm, int source, u32 gsi);
/** okvm_ioapic_eoi() - a wanted EOI for @vector at a LAPIC, suppressed broadcasts included */
void okvm_ioapic_eoi(struct okvm_vcpu *vcpu, u8 vector, bool level);
/** okvm_ioapic_scan() - set in @map each vector whose EOI the (user or kernel) IOAPIC must see */
void okvm_ioapic_scan(struct okvm_vcpu *vcpu, u64 map[4]);
/** okvm_irq_routes_changed() - IOAPIC entries or routes changed: vCPUs recompute EOI maps */
void okvm_irq_routes_changed(struct okvm_vm *vm);

/* Their ioctls: rows stand beside the handlers. */
extern const struct okvm_ioctl okvm_irqchip_ioctls[], okvm_route_ioctls[], okvm_msi_ioctls[];
extern const struct okvm_ioctl okvm_irqfd_ioctls[], okvm_ioeventfd_ioctls[];
extern const struct okvm_ioctl okvm_coalesced_ioctls[], okvm_pit_ioctls[], okvm_lapic_ioctls[];

/* okvm_irq_enable_cap() - KVM_ENABLE_CAP of what concerns interrupts, quirks too; under vm->lock */
int okvm_irq_enable_cap(struct okvm_vm *vm, u32 cap, u64 val);

#endif /* OKVM_IRQ_IRQ_H */
