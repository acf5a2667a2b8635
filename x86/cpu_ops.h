/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions that x86/ calls in a backend: creation and loading of vCPUs, access to registers
 * that hardware holds, and injection of events.
 */
#ifndef OKVM_X86_CPU_OPS_H
#define OKVM_X86_CPU_OPS_H

#include <linux/bits.h>
#include <linux/kvm.h>
#include <linux/types.h>

struct okvm_vcpu;

/** enum okvm_seg - segment registers in the order of their machine encoding, then LDTR and TR */
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

/** enum okvm_irq_shadow - kinds of interrupt shadow, with the values of KVM_GET_VCPU_EVENTS */
enum okvm_irq_shadow {
	OKVM_IRQ_SHADOW_MOV_SS = 1,
	OKVM_IRQ_SHADOW_STI = 2,
};

/**
 * enum okvm_intercepts - groups of VMCS or VMCB controls that update_intercepts() recomputes
 *
 * "from" names the state that a group depends on.
 */
enum okvm_intercepts {
	/* exception bitmap, from guest_debug and VM86 emulation */
	OKVM_ICPT_EXCEPTIONS	= 1 << 0,
	/* MSR bitmap, from CPUID, MSR filter, x2APIC mode and disabled exits */
	OKVM_ICPT_MSRS		= 1 << 1,
	/* execution controls, from CPUID, APIC mode and disabled exits */
	OKVM_ICPT_CONTROLS	= 1 << 2,
	OKVM_ICPT_DEBUG		= 1 << 3,	/* intercept of MOV DR; value of DR7 in hardware */
	OKVM_ICPT_APIC		= 1 << 4,	/* APIC virtualization, EOI exit bitmap */
	OKVM_ICPT_CR		= 1 << 5,	/* guest/host masks of CR0 and CR4 */
	OKVM_ICPT_TSC		= 1 << 6,	/* TSC offset and TSC ratio */
};

/*
 * Number of words that KVM_INTERNAL_ERROR_EMULATION reports about the last VM exit. With VMX: exit
 * reason, exit qualification, IDT-vectoring information, VM-exit interruption information and
 * VM-exit interruption error code. With SVM: exit code, EXITINFO1, EXITINFO2, EXITINTINFO and the
 * error code in EXITINTINFO.
 */
#define OKVM_EXIT_INFO	5

/**
 * struct okvm_cpu_ops - a backend's functions for vCPUs, MSRs and controls
 *
 * vcpu->arch->ops points to this table. The vCPU thread calls the functions of okvm_cpu_ops,
 * okvm_reg_ops and okvm_event_ops. The vCPU is loaded, except for @vcpu_create and @vcpu_destroy.
 * IRQs are on unless a comment says otherwise.
 */
struct okvm_cpu_ops {
	u8 hypercall[3];	/* opcode of VMCALL or VMMCALL, the vendor's hypercall */
	u8 tsc_int_bits, tsc_frac_bits;		/* format of the TSC ratio, if the CPU has one */
	/* Create and destroy vcpu->hw; reset the vCPU; load it on a CPU and put it. */
	int (*vcpu_create)(struct okvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct okvm_vcpu *vcpu);
	void (*vcpu_reset)(struct okvm_vcpu *vcpu, bool init);	/* RESET, or INIT */
	void (*vcpu_load)(struct okvm_vcpu *vcpu, int cpu);	/* preemption off */
	void (*vcpu_put)(struct okvm_vcpu *vcpu);

	/*
	 * Read or write an MSR whose value hardware holds (SYSENTER, FS/GS base, PAT, DEBUGCTL
	 * ...). Return -ENOENT if the backend does not hold @msr.
	 */
	int (*get_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
	int (*set_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 val);
	/*
	 * Recompute the groups of controls in @what (bits of enum okvm_intercepts) from the state
	 * in vcpu->arch. Repeated calls are harmless.
	 */
	void (*update_intercepts)(struct okvm_vcpu *vcpu, u32 what);
};

/** struct okvm_reg_ops - a backend's register accessors; vcpu->arch->reg_ops points to it */
struct okvm_reg_ops {
	/* Read register @reg (enum okvm_reg) from hardware into vcpu->arch. */
	void (*cache_reg)(struct okvm_vcpu *vcpu, int reg);
	void (*get_segment)(struct okvm_vcpu *vcpu, struct kvm_segment *var, enum okvm_seg seg);
	void (*set_segment)(struct okvm_vcpu *vcpu, const struct kvm_segment *var,
			    enum okvm_seg seg);
	void (*get_dt)(struct okvm_vcpu *vcpu, struct kvm_dtable *dt, bool idt);
	void (*set_dt)(struct okvm_vcpu *vcpu, const struct kvm_dtable *dt, bool idt);
	int (*get_cpl)(struct okvm_vcpu *vcpu);
	/* Describe the last VM exit for KVM_INTERNAL_ERROR_EMULATION. */
	void (*exit_info)(struct okvm_vcpu *vcpu, u64 info[OKVM_EXIT_INFO]);
	bool (*cs_long)(struct okvm_vcpu *vcpu);	/* return CS.L; for long mode only */
	/* Load a control register or EFER with a value that x86/cpu/cr.c has found legal. */
	void (*set_cr0)(struct okvm_vcpu *vcpu, unsigned long cr0);
	void (*set_cr4)(struct okvm_vcpu *vcpu, unsigned long cr4);
	void (*set_efer)(struct okvm_vcpu *vcpu, u64 efer);
};

/**
 * struct okvm_event_ops - a backend's functions for events: x86/cpu/event.c chooses an event from
 * vcpu->arch->ev, and these functions inject it
 *
 * vcpu->arch->event_ops points to this table. IRQs may be on or off.
 */
struct okvm_event_ops {
	void (*inject_exception)(struct okvm_vcpu *vcpu);	/* ev.exc */
	void (*inject_nmi)(struct okvm_vcpu *vcpu);
	/* inject ev.irq: an external interrupt or the interrupt of INT n */
	void (*inject_irq)(struct okvm_vcpu *vcpu);
	u32 (*get_irq_shadow)(struct okvm_vcpu *vcpu);	/* enum okvm_irq_shadow */
	void (*set_irq_shadow)(struct okvm_vcpu *vcpu, u32 shadow);
	bool (*nmi_masked)(struct okvm_vcpu *vcpu);
	void (*set_nmi_masked)(struct okvm_vcpu *vcpu, bool masked);
	/* Request a VM exit as soon as the guest can take an interrupt (@irq) or NMI (@nmi). */
	void (*want_window)(struct okvm_vcpu *vcpu, bool irq, bool nmi);
};

#endif /* OKVM_X86_CPU_OPS_H */
