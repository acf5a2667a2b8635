/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How guest instructions get executed: vmx/ with VT-x, soft/ by interpretation.
 * Everything that is the same for any x86 virtualization
 * hardware is not here but in x86/, mmu/ and irq/.
 *
 * Unless a comment says otherwise calls run in the vCPU's thread with the
 * vCPU loaded; IRQs are on and preemption may be on.
 */
#ifndef OKVM_CORE_BACKEND_H
#define OKVM_CORE_BACKEND_H

#include <linux/types.h>

#include "core/types.h"
#include "core/vcpu.h"
#include "core/vm.h"

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

/** enum okvm_hw_caps - what the CPU has and parameters allow; fixed at module load */
enum okvm_hw_caps {
	OKVM_HW_UNRESTRICTED	= 1 << 0,	/* real mode and unpaged mode run natively */
	/* APIC registers and interrupt delivery virtualized */
	OKVM_HW_APICV		= 1 << 1,
	OKVM_HW_POSTED		= 1 << 2,	/* posted interrupts */
	OKVM_HW_VNMI		= 1 << 3,
	OKVM_HW_HV_TIMER	= 1 << 4,	/* a timer that exits */
	OKVM_HW_TSC_SCALING	= 1 << 5,
	OKVM_HW_TDP		= 1 << 6,	/* two-dimensional paging */
	OKVM_HW_TDP_1G		= 1 << 7,
	OKVM_HW_TDP_AD		= 1 << 8,
	OKVM_HW_TDP_5LEVEL	= 1 << 9,
	OKVM_HW_TDP_2M		= 1 << 10,
	OKVM_HW_XSAVES		= 1 << 11,
	OKVM_HW_INVPCID		= 1 << 12,
	OKVM_HW_RDTSCP		= 1 << 13,
	OKVM_HW_UMWAIT		= 1 << 14,
	/* the host wants huge pages non-executable (iTLB multihit) */
	OKVM_HW_NX_HUGEPAGES	= 1 << 15,
	OKVM_HW_UMIP		= 1 << 16,	/* UMIP natively or by descriptor-table exiting */
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
};

/** enum okvm_tlb_scope - what flush_tlb() drops */
enum okvm_tlb_scope {
	OKVM_TLB_ALL,		/* every translation of the vCPU, guest-physical ones included */
	OKVM_TLB_GUEST,		/* what the guest's own paging structures gave */
	OKVM_TLB_GVA,		/* one guest linear address */
};

/** enum okvm_apic_sync - the moments at which hardware's view of the APIC is updated */
enum okvm_apic_sync {
	OKVM_APIC_PULL,		/* move posted vectors to IRR; arg ignored */
	OKVM_APIC_IRR,		/* highest pending vector changed; arg is it, -1 none */
	OKVM_APIC_ISR,		/* highest vector in service changed; arg is it, -1 none */
	/* TPR or what it holds back changed: TPR threshold; arg is max IRR */
	OKVM_APIC_TPR,
	OKVM_APIC_EOI_MAP,	/* arch->eoi_exit_bitmap changed */
};

/*
 * Words of exit information in KVM_INTERNAL_ERROR_EMULATION: reason, qualification, IDT-vectoring
 * information, interruption information, its error code.
 */
#define OKVM_EXIT_INFO	5

/**
 * struct okvm_backend - one way of running vCPUs
 */
struct okvm_backend {
	const char *name;

	/* Module life. @init returns -ENODEV/-EOPNOTSUPP/-EBUSY after printing one clear line. */
	int (*init)(void);
	void (*exit)(void);
	u32 (*caps)(void);			/* enum okvm_hw_caps */

	/* Per CPU, IRQs off, on that CPU. @cpu_enable: -EBUSY if another hypervisor has it. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);		/* also clears every vCPU loaded on this CPU */

	/* VMs: vm->hw */
	int (*vm_create)(struct okvm_vm *vm);
	void (*vm_destroy)(struct okvm_vm *vm);

	/* vCPUs: vcpu->hw */
	int (*vcpu_create)(struct okvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct okvm_vcpu *vcpu);
	void (*vcpu_reset)(struct okvm_vcpu *vcpu, bool init);	/* RESET, or INIT */
	void (*vcpu_load)(struct okvm_vcpu *vcpu, int cpu);	/* preemption off */
	void (*vcpu_put)(struct okvm_vcpu *vcpu);

	/*
	 * Enter the guest and handle its exits until something needs run.c:
	 * fast exits go straight back to the guest with IRQs off; others are
	 * handled with IRQs on. Called with IRQs on and preemption on.
	 * Returns an outcome; OKVM_RESUME means look at requests and signals.
	 */
	int (*run)(struct okvm_vcpu *vcpu);

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
	void (*set_cr3)(struct okvm_vcpu *vcpu, unsigned long cr3);
	void (*set_cr4)(struct okvm_vcpu *vcpu, unsigned long cr4);
	void (*set_efer)(struct okvm_vcpu *vcpu, u64 efer);
	/*
	 * MSRs that hardware holds (SYSENTER, FS/GS base, PAT, DEBUGCTL ...): -ENOENT if not
	 * its own
	 */
	int (*get_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
	int (*set_msr)(struct okvm_vcpu *vcpu, u32 msr, u64 val);
	/*
	 * Derived controls: exception bitmap, MSR bitmap, secondary controls, DR7, CR8
	 * and CR4 guest/host masks; recomputed from vcpu->arch (CPUID, guest_debug,
	 * filters, disabled exits, APIC mode). One function per kind, all idempotent.
	 */
	void (*update_intercepts)(struct okvm_vcpu *vcpu, u32 what);	/* enum okvm_intercepts */
	void (*set_tsc)(struct okvm_vcpu *vcpu, u64 offset, u64 ratio);

	/* Events; the choice is made in x86/cpu/event.c, from vcpu->arch->ev. */
	void (*inject_exception)(struct okvm_vcpu *vcpu);	/* arch->ev.exc */
	void (*inject_nmi)(struct okvm_vcpu *vcpu);
	void (*inject_irq)(struct okvm_vcpu *vcpu);		/* arch->ev.irq: external or soft */
	u32 (*get_irq_shadow)(struct okvm_vcpu *vcpu);	/* enum okvm_irq_shadow */
	void (*set_irq_shadow)(struct okvm_vcpu *vcpu, u32 shadow);
	bool (*nmi_masked)(struct okvm_vcpu *vcpu);
	void (*set_nmi_masked)(struct okvm_vcpu *vcpu, bool masked);
	/* exit when it opens */
	void (*want_window)(struct okvm_vcpu *vcpu, bool irq, bool nmi);

	/* Two-dimensional paging and TLB */
	void (*set_root)(struct okvm_vcpu *vcpu, hpa_t root, int level);
	void (*flush_tlb)(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva);

	/* Makes the CPU leave the guest, from any other CPU with preemption off. */
	void (*kick)(struct okvm_vcpu *vcpu, int cpu);

	/*
	 * APIC help. @post_irq: from any CPU: make the vector (already recorded by the
	 * caller if not posted) noticed by the target; returns false if it must be
	 * recorded in IRR and requested the slow way; without notify the caller kicks.
	 * @apic_sync: called before IRR is
	 * looked at and after ISR/IRR/TPR changed, so that hardware's copy (PIR, RVI, SVI, TPR
	 * threshold) and the register page agree.
	 */
	bool (*post_irq)(struct okvm_vcpu *vcpu, int vector, bool notify);
	void (*apic_sync)(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg);

	/* VMX preemption timer: exit at guest-TSC-independent host TSC. false: use an hrtimer */
	bool (*set_hv_timer)(struct okvm_vcpu *vcpu, u64 host_tsc);
	void (*cancel_hv_timer)(struct okvm_vcpu *vcpu);
};

extern const struct okvm_backend okvm_vmx_backend;

#endif /* OKVM_CORE_BACKEND_H */
