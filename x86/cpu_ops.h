/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What x86/ needs of a backend: the lives of vCPUs, the registers that hardware holds, and the
 * delivery of events.
 */
#ifndef OKVM_X86_CPU_OPS_H
#define OKVM_X86_CPU_OPS_H

#include <linux/bits.h>
#include <linux/kvm.h>
#include <linux/types.h>

struct okvm_vcpu;

/** enum okvm_seg - segment registers in the order of their machine encoding, then the system's */
enum okvm_seg {
	OKVM_SEG_ES,
	OKVM_SEG_CS,
	OKVM_SEG_SS,
	OKVM_SEG_DS,
	OKVM_SEG_FS,
	OKVM_SEG_GS,
	OKVM_SEG_LDTR,
	OKVM_SEG_TR,
	OKVM_NR_SEGS,
};

/** enum okvm_irq_shadow - interruptibility as KVM_GET_VCPU_EVENTS shows it */
enum okvm_irq_shadow {
	OKVM_IRQ_SHADOW_MOV_SS = 1,
	OKVM_IRQ_SHADOW_STI = 2,
};

/** enum okvm_intercepts - which derived controls update_intercepts() computes anew */
enum okvm_intercepts {
	OKVM_ICPT_EXCEPTIONS	= 1 << 0,	/* exception bitmap: guest_debug, VM86 emulation */
	/* MSR bitmap: CPUID, filter, x2APIC mode, disabled exits */
	OKVM_ICPT_MSRS		= 1 << 1,
	/* execution controls: CPUID, APIC mode, disabled exits */
	OKVM_ICPT_CONTROLS	= 1 << 2,
	OKVM_ICPT_DEBUG		= 1 << 3,	/* DR intercepts and the DR7 in use */
	OKVM_ICPT_APIC		= 1 << 4,	/* APIC access, x2APIC and EOI exit bitmap */
	OKVM_ICPT_CR		= 1 << 5,	/* CR0/CR4 guest/host masks, CR8 */
	OKVM_ICPT_TSC		= 1 << 6,	/* the guest's TSC: offset and ratio */
};

/*
 * Words of exit information in KVM_INTERNAL_ERROR_EMULATION: reason, qualification, IDT-vectoring
 * information, interruption information, its error code.
 */
#define OKVM_EXIT_INFO	5

/**
 * struct okvm_cpu_ops - the lives of vCPUs, MSRs and controls; cached in vcpu->arch->ops
 *
 * As in the tables below, in the vCPU's thread with the vCPU loaded, but for @vcpu_create and
 * @vcpu_destroy; IRQs are on unless a comment says otherwise.
 */
struct okvm_cpu_ops {
	u8 hypercall[3];	/* this vendor's instruction: VMCALL or VMMCALL */
	/* vCPUs: vcpu->hw */
	int (*vcpu_create)(struct okvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct okvm_vcpu *vcpu);
	void (*vcpu_reset)(struct okvm_vcpu *vcpu, bool init);	/* RESET, or INIT */
	void (*vcpu_load)(struct okvm_vcpu *vcpu, int cpu);	/* preemption off */
	void (*vcpu_put)(struct okvm_vcpu *vcpu);

	/*
	 * MSRs that hardware holds (SYSENTER, FS/GS base, PAT, DEBUGCTL ...): -ENOENT if not
	 * its own
	 */
	int (*get_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
	int (*set_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 val);
	/*
	 * Derived controls: exception bitmap, MSR bitmap, secondary controls, DR7, CR8,
	 * CR4 guest/host masks and TSC offset; recomputed from vcpu->arch (CPUID, guest_debug,
	 * filters, disabled exits, APIC mode). One function per kind, all idempotent.
	 */
	void (*update_intercepts)(struct okvm_vcpu *vcpu, u32 what);	/* enum okvm_intercepts */
};

/** struct okvm_reg_ops - registers; cached in vcpu->arch->reg_ops */
struct okvm_reg_ops {
	/* Registers that are read lazily: fill vcpu->arch from hardware (enum okvm_reg). */
	void (*cache_reg)(struct okvm_vcpu *vcpu, int reg);
	void (*get_segment)(struct okvm_vcpu *vcpu, struct kvm_segment *var, enum okvm_seg seg);
	void (*set_segment)(struct okvm_vcpu *vcpu, const struct kvm_segment *var,
			    enum okvm_seg seg);
	void (*get_dt)(struct okvm_vcpu *vcpu, struct kvm_dtable *dt, bool idt);
	void (*set_dt)(struct okvm_vcpu *vcpu, const struct kvm_dtable *dt, bool idt);
	int (*get_cpl)(struct okvm_vcpu *vcpu);
	/* What the last exit was, for a userspace that has to find out why it cannot go on. */
	void (*exit_info)(struct okvm_vcpu *vcpu, u64 info[OKVM_EXIT_INFO]);
	bool (*cs_long)(struct okvm_vcpu *vcpu);	/* CS.L; asked only in long mode */
	/* Take over a new value that x86/cpu/cr.c has found legal (vcpu->arch holds it after). */
	void (*set_cr0)(struct okvm_vcpu *vcpu, unsigned long cr0);
	void (*set_cr4)(struct okvm_vcpu *vcpu, unsigned long cr4);
	void (*set_efer)(struct okvm_vcpu *vcpu, u64 efer);
};

/**
 * struct okvm_event_ops - delivery of events, which x86/cpu/event.c chooses from vcpu->arch->ev
 *
 * Cached in vcpu->arch->event_ops. IRQs on or off.
 */
struct okvm_event_ops {
	void (*inject_exception)(struct okvm_vcpu *vcpu);	/* ev.exc */
	void (*inject_nmi)(struct okvm_vcpu *vcpu);
	void (*inject_irq)(struct okvm_vcpu *vcpu);		/* ev.irq: external or soft */
	u32 (*get_irq_shadow)(struct okvm_vcpu *vcpu);	/* enum okvm_irq_shadow */
	void (*set_irq_shadow)(struct okvm_vcpu *vcpu, u32 shadow);
	bool (*nmi_masked)(struct okvm_vcpu *vcpu);
	void (*set_nmi_masked)(struct okvm_vcpu *vcpu, bool masked);
	/* exit when it opens */
	void (*want_window)(struct okvm_vcpu *vcpu, bool irq, bool nmi);
};

#endif /* OKVM_X86_CPU_OPS_H */
