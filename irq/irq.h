/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of irq/ to x86/ and the backends. irq/ accesses hardware only through
 * irq/apic_ops.h and requests; irq/needs.h declares the functions of upper layers that irq/ calls.
 */
#ifndef OKVM_IRQ_IRQ_H
#define OKVM_IRQ_IRQ_H

#include <linux/types.h>

#include <asm/apicdef.h>

#include "core/ioctl.h"
#include "core/vcpu.h"
#include "core/vm.h"

struct lapic_irq;

/* x2APIC MSR of the APIC register at page offset @reg: SDM "x2APIC Register Address Space" */
#define OKVM_X2APIC_MSR(reg)	(APIC_BASE_MSR + ((reg) >> 4))

/** enum okvm_irqchip_mode - location of the interrupt controllers; set before the first vCPU */
enum okvm_irqchip_mode {
	OKVM_IRQCHIP_NONE,	/* all in userspace */
	OKVM_IRQCHIP_KERNEL,	/* PIC, IOAPIC and LAPIC in the kernel */
	OKVM_IRQCHIP_SPLIT,	/* LAPIC in the kernel, PIC and IOAPIC in userspace */
};

int okvm_irq_vm_create(struct okvm_vm *vm);
/** okvm_irq_vm_release() - stop every interrupt source (irqfds, PIT timer); vCPUs still exist */
void okvm_irq_vm_release(struct okvm_vm *vm);
/** okvm_irq_vm_destroy() - free vm->irq, after vCPUs and buses are freed */
void okvm_irq_vm_destroy(struct okvm_vm *vm);
enum okvm_irqchip_mode okvm_irqchip_mode(const struct okvm_vm *vm);

/* ---- LAPIC of a vCPU: irq/vlapic.c ---- */

/** okvm_apic_create() - allocate vcpu->apic if the LAPIC is in the kernel. Return: 0 or -ENOMEM */
int okvm_apic_create(struct okvm_vcpu *vcpu);
void okvm_apic_destroy(struct okvm_vcpu *vcpu);
/** okvm_apic_online() - add the vCPU, which is in vm->vcpus, to the destination map */
void okvm_apic_online(struct okvm_vcpu *vcpu);
/**
 * okvm_apic_reset() - reset the LAPIC
 * @init: true for INIT, which keeps IA32_APIC_BASE; false for RESET
 */
void okvm_apic_reset(struct okvm_vcpu *vcpu, bool init);

/** okvm_apic_page() - Return the register page (the virtual-APIC page), or NULL without LAPIC */
void *okvm_apic_page(struct okvm_vcpu *vcpu);

u64 okvm_apic_base(const struct okvm_vcpu *vcpu);
/** okvm_apic_set_base() - set IA32_APIC_BASE to a value that lapic_base_legal() accepted */
void okvm_apic_set_base(struct okvm_vcpu *vcpu, u64 base);
bool okvm_apic_x2apic_mode(const struct okvm_vcpu *vcpu);
/**
 * okvm_apic_hw_enabled() - return true if the vCPU's LAPIC is in the kernel and APIC_BASE.EN is set
 */
bool okvm_apic_hw_enabled(const struct okvm_vcpu *vcpu);
bool okvm_apic_sw_enabled(const struct okvm_vcpu *vcpu);
/**
 * okvm_apic_model_changed() - after a change of the guest's CPUID or MCG_CAP, set whether EOI
 * broadcasts can be suppressed, whether the timer has TSC-deadline mode, and whether the LVT has an
 * entry for CMCI
 */
void okvm_apic_model_changed(struct okvm_vcpu *vcpu, bool x2apic, bool tsc_deadline, bool cmci);
/** okvm_apic_cmci() - deliver a corrected machine-check interrupt. Called by the vCPU's thread */
void okvm_apic_cmci(struct okvm_vcpu *vcpu);

/* CR8 is TPR >> 4. */
unsigned long okvm_apic_get_cr8(const struct okvm_vcpu *vcpu);
void okvm_apic_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8);

/** okvm_apic_msr_read() - read x2APIC MSRs 0x800..0x8ff. Return: 0, or 1 for #GP */
int okvm_apic_msr_read(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_apic_msr_write(struct okvm_vcpu *vcpu, u32 msr, u64 val);
/**
 * okvm_apic_msr_write_fast() - write an x2APIC MSR with IRQs off, without sleeping
 * Return: true if done, which is possible for EOI, ICR, SELF_IPI, TMICT and TPR
 */
bool okvm_apic_msr_write_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val);
/* Read and write IA32_TSC_DEADLINE, a value of the guest's TSC. IRQs may be off. */
u64 okvm_apic_get_tsc_deadline(struct okvm_vcpu *vcpu);
void okvm_apic_set_tsc_deadline(struct okvm_vcpu *vcpu, u64 deadline);

/**
 * okvm_apic_mmio() - do an MMIO access of 1 to 8 bytes. Called by the vCPU's own thread
 *
 * If the APIC is disabled or in x2APIC mode, the quirk KVM_X86_QUIRK_LAPIC_MMIO_HOLE decides. With
 * the quirk, reads return all ones and writes are ignored.
 *
 * Return: 0. -EOPNOTSUPP if @gpa is not in this APIC's page, or if the APIC is not in xAPIC mode
 * and the quirk is off
 */
int okvm_apic_mmio(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write);
/* Handle an APIC-write (trap-like) VM exit. */
void okvm_apic_write_nodecode(struct okvm_vcpu *vcpu, u32 offset);
/**
 * okvm_apic_write_fast() - handle an APIC-write VM exit with IRQs off, if that is possible
 * Return: false if not: the caller must call okvm_apic_write_nodecode() with IRQs on
 */
bool okvm_apic_write_fast(struct okvm_vcpu *vcpu, u32 offset);
/** okvm_apic_eoi_fast() - do an EOI with IRQs off. Return: false if that is not possible */
bool okvm_apic_eoi_fast(struct okvm_vcpu *vcpu);
/*
 * Do the EOI of the highest vector in ISR. The guest has written EOI by MMIO, or has skipped the
 * write (PV EOI).
 */
void okvm_apic_eoi(struct okvm_vcpu *vcpu);
void okvm_apic_eoi_induced(struct okvm_vcpu *vcpu, u8 vector);		/* virtualized-EOI exit */

/**
 * okvm_apic_pending_irq() - move posted vectors to IRR, then find the vector to deliver
 * Return: the highest vector in IRR; -1 if IRR is empty or the vector's priority is not above PPR
 */
int okvm_apic_pending_irq(struct okvm_vcpu *vcpu);
/**
 * okvm_apic_hand_over() - move posted vectors to IRR, and set RVI to the highest vector in IRR
 * Return: the highest vector in IRR, or -1
 *
 * Called only if okvm_apic_hw_delivers(): with virtual-interrupt delivery.
 */
int okvm_apic_hand_over(struct okvm_vcpu *vcpu);
/** okvm_apic_ack_irq() - move @vector from IRR to ISR */
void okvm_apic_ack_irq(struct okvm_vcpu *vcpu, int vector);
/**
 * okvm_apic_hw_delivers() - return true if the CPU delivers interrupts (virtual-interrupt delivery)
 */
bool okvm_apic_hw_delivers(const struct okvm_vcpu *vcpu);
/** okvm_apic_sync_tpr() - before a VM entry, set the backend's TPR threshold according to IRR */
void okvm_apic_sync_tpr(struct okvm_vcpu *vcpu);
int okvm_apic_highest_irr(struct okvm_vcpu *vcpu);
int okvm_apic_highest_isr(struct okvm_vcpu *vcpu);
/** okvm_apic_update_apicv() - switch APIC virtualization on or off for the vCPU */
void okvm_apic_update_apicv(struct okvm_vcpu *vcpu, bool active);
/**
 * okvm_apic_eoi_exit_map() - store in @map the vectors whose EOI must cause a VM exit, and load the
 * map into the CPU
 */
void okvm_apic_eoi_exit_map(struct okvm_vcpu *vcpu, u64 map[4]);

/**
 * okvm_apic_needs_slow() - return true if INIT, SIPI or a PV EOI is pending, which needs IRQs on
 */
bool okvm_apic_needs_slow(const struct okvm_vcpu *vcpu);
/** okvm_apic_has_events() - return true if INIT or SIPI is pending. okvm_apic_take_*() clears it */
bool okvm_apic_has_events(const struct okvm_vcpu *vcpu);
bool okvm_apic_take_init(struct okvm_vcpu *vcpu);
bool okvm_apic_take_sipi(struct okvm_vcpu *vcpu, u8 *vector);
/** okvm_apic_set_sipi() - set a pending SIPI (KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE) */
void okvm_apic_set_sipi(struct okvm_vcpu *vcpu, u8 vector);

/**
 * okvm_apic_timer_pending() - return true if the timer has fired, the LAPIC is enabled, and the LVT
 * entry is not masked
 */
bool okvm_apic_timer_pending(struct okvm_vcpu *vcpu);
/** okvm_apic_timer_inject() - deliver the interrupt of a fired timer, for OKVM_REQ_TIMER */
void okvm_apic_timer_inject(struct okvm_vcpu *vcpu);
/* Handle a VM exit of the VMX-preemption timer. IRQs may be off. */
void okvm_apic_hv_timer_expired(struct okvm_vcpu *vcpu);
/**
 * okvm_apic_timer_place() - switch to the backend's timer, or to the hrtimer while the vCPU blocks
 * @hw: switch to the backend's timer, if the backend has one
 */
void okvm_apic_timer_place(struct okvm_vcpu *vcpu, bool hw);
void okvm_apic_timer_restart(struct okvm_vcpu *vcpu);		/* guest TSC offset changed */
void okvm_apic_timer_migrate(struct okvm_vcpu *vcpu);		/* the vCPU moved to another CPU */

/**
 * okvm_apic_accepts_pic() - return true if the vCPU accepts interrupts of the PIC
 *
 * This is so if the vCPU has an APIC in the kernel that is disabled or whose LINT0 is an unmasked
 * ExtINT.
 */
bool okvm_apic_accepts_pic(struct okvm_vcpu *vcpu);
/** okvm_apic_lint0_nmi() - queue an NMI for a PIT edge if LINT0 is an unmasked NMI. Any context */
void okvm_apic_lint0_nmi(struct okvm_vcpu *vcpu);

/** okvm_apic_pv_eoi_msr() - Return MSR_KVM_PV_EOI_EN; KVM_MSR_ENABLED lets the guest skip EOIs */
u64 okvm_apic_pv_eoi_msr(const struct okvm_vcpu *vcpu);
/** okvm_apic_set_pv_eoi() - write MSR_KVM_PV_EOI_EN. Return: 0, or 1 for #GP */
int okvm_apic_set_pv_eoi(struct okvm_vcpu *vcpu, u64 msr);
/**
 * okvm_apic_pv_eoi_enter() - before VM entry, let the guest skip the next EOI if possible
 *
 * After the VM exit, and before ISR is read, okvm_apic_pv_eoi_exit() carries out an EOI that the
 * guest has skipped. Both functions access guest memory: they need vm->srcu and may sleep.
 */
void okvm_apic_pv_eoi_enter(struct okvm_vcpu *vcpu);
void okvm_apic_pv_eoi_exit(struct okvm_vcpu *vcpu);

/**
 * okvm_apic_has_vapic() - return true if the guest's TPR is in a word of guest memory
 * (KVM_SET_VAPIC_ADDR)
 */
bool okvm_apic_has_vapic(const struct okvm_vcpu *vcpu);
/**
 * okvm_apic_vapic_pull() - after a VM exit, read the guest's TPR from the word of
 * KVM_SET_VAPIC_ADDR
 *
 * Called only if okvm_apic_has_vapic(). The caller holds vm->srcu. May sleep.
 */
void okvm_apic_vapic_pull(struct okvm_vcpu *vcpu);
/**
 * okvm_apic_vapic_push() - before a VM entry, write the word of KVM_SET_VAPIC_ADDR, if the vCPU has
 * one
 *
 * The caller holds vm->srcu. May sleep.
 */
void okvm_apic_vapic_push(struct okvm_vcpu *vcpu);

/**
 * okvm_apic_pv_send_ipi() - PV IPI hypercall: send an IPI to a set of physical APIC IDs
 * @low, @high: lower and upper half of the set, a bitmap: bit n is APIC ID @min + n
 * @mode64: each half has 64 bits; otherwise 32
 * Return: number of vCPUs that accepted the IPI, -KVM_EINVAL or -KVM_EOPNOTSUPP
 */
long okvm_apic_pv_send_ipi(struct okvm_vm *vm, u64 low, u64 high, u32 min, u64 icr, bool mode64);
/** okvm_apic_dest() - Return the vCPU whose physical APIC ID is @apic_id, or NULL */
struct okvm_vcpu *okvm_apic_dest(struct okvm_vm *vm, u32 apic_id);

/**
 * okvm_apic_deliver() - deliver an interrupt message to its destinations
 * @src: the vCPU whose thread sends the message as an IPI, or NULL for a device
 * Return: number of vCPUs that accepted it, 0 if all destinations refused it, -1 if the message has
 * no destination
 * Context: any, IRQs may be off
 */
int okvm_apic_deliver(struct okvm_vm *vm, struct okvm_vcpu *src, const struct lapic_irq *irq);
/** okvm_apic_raise() - deliver a fixed interrupt that okvm causes. Called by the vCPU's thread */
void okvm_apic_raise(struct okvm_vcpu *vcpu, u8 vector);

/* ---- PIC: for x86/cpu/event.c ---- */

/** okvm_pic_has_irq() - return true if the in-kernel PIC pair has an interrupt pending */
bool okvm_pic_has_irq(struct okvm_vm *vm);
int okvm_pic_ack_irq(struct okvm_vm *vm);	/* returns the vector */

/* ---- GSI lines and routes ---- */

#define OKVM_SOURCE_USER	0	/* ids of the sources that drive a line */
#define OKVM_SOURCE_IRQFD	1
#define OKVM_SOURCE_RESAMPLE	2
#define OKVM_SOURCE_PIT		3

/**
 * okvm_irq_set() - set the level at which @source drives a GSI. Any context
 * @line_status: the caller is KVM_IRQ_LINE_STATUS, which reports unacknowledged RTC edges
 * Return: the status of KVM_IRQ_LINE_STATUS: number of vCPUs that got the interrupt; 0 if it was
 * coalesced, -1 if it was masked or ignored
 */
int okvm_irq_set(struct okvm_vm *vm, int source, u32 gsi, int level, bool line_status);
/** okvm_irq_pulse() - make an edge on a GSI: raise and lower its pins, or send its MSI once */
void okvm_irq_pulse(struct okvm_vm *vm, int source, u32 gsi);
/**
 * okvm_ioapic_eoi() - report a LAPIC's EOI for @vector, even if SPIV suppresses EOI broadcasts
 * @level: the interrupt was level-triggered
 *
 * The report goes to the in-kernel IOAPIC. With a split irqchip it goes to the VMM, if @level is
 * true.
 */
void okvm_ioapic_eoi(struct okvm_vcpu *vcpu, u8 vector, bool level);
/** okvm_ioapic_scan() - store in @map the vectors whose EOI the IOAPIC or userspace must see */
void okvm_ioapic_scan(struct okvm_vcpu *vcpu, u64 map[4]);
/** okvm_irq_routes_changed() - after a change of IOAPIC or routes, update EOI-exit bitmaps */
void okvm_irq_routes_changed(struct okvm_vm *vm);

/* Tables of the ioctls of irq/, each defined in the file of its handlers. */
extern const struct okvm_ioctl okvm_irqchip_ioctls[], okvm_route_ioctls[], okvm_msi_ioctls[];
extern const struct okvm_ioctl okvm_irqfd_ioctls[], okvm_ioeventfd_ioctls[];
extern const struct okvm_ioctl okvm_coalesced_ioctls[], okvm_pit_ioctls[], okvm_lapic_ioctls[],
	okvm_vapic_ioctls[];

/** okvm_apic_bus_ns() - return the bus cycle of @vm's local APICs in ns: 1, or userspace's value */
u32 okvm_apic_bus_ns(struct okvm_vm *vm);
/* okvm_irq_enable_cap() - KVM_ENABLE_CAP for interrupt capabilities and quirks; under vm->lock */
int okvm_irq_enable_cap(struct okvm_vm *vm, u32 cap, u64 val);

#endif /* OKVM_IRQ_IRQ_H */
