/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backends execute guest instructions: vmx/ with VT-x, svm/ with AMD-V.
 *
 * struct okvm_backend has the functions that core/ calls, and points to tables of functions that
 * the upper layers x86/, mmu/ and irq/ call. x86/cpu_ops.h, mmu/hw_ops.h and irq/apic_ops.h declare
 * these tables. All tables together have at most 40 functions. Code that is the same for VMX and
 * SVM is in the layers, not in the backends.
 */
#ifndef OKVM_CORE_BACKEND_H
#define OKVM_CORE_BACKEND_H

#include <linux/types.h>

#include "core/vcpu.h"
#include "core/vm.h"

struct okvm_apic_ops;
struct okvm_cpu_ops;
struct okvm_event_ops;
struct okvm_mmu_ops;
struct okvm_reg_ops;

/** enum okvm_hw_caps - bits of vm->caps: what the CPU supports and module parameters allow */
enum okvm_hw_caps {
	OKVM_HW_UNRESTRICTED	= 1 << 0,	/* guests may use real and unpaged mode */
	OKVM_HW_LBR		= 1 << 1,	/* DEBUGCTL.LBR and the last-branch MSRs */
	OKVM_HW_POSTED		= 1 << 2,	/* posted interrupts */
	OKVM_HW_SHADOW		= 1 << 3,	/* guests can run on shadow page tables */
	OKVM_HW_HV_TIMER	= 1 << 4,	/* a CPU timer whose expiry causes a VM exit */
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
	/* the host wants huge pages to be non-executable (iTLB multihit) */
	OKVM_HW_NX_HUGEPAGES	= 1 << 15,
	OKVM_HW_UMIP		= 1 << 16,	/* UMIP in hardware or by descriptor-table exits */
	/*
	 * nested paging has the same entry format and number of levels as the host's paging (NPT)
	 */
	OKVM_HW_TDP_PT		= 1 << 17,
	OKVM_HW_GUEST_PAT	= 1 << 18,	/* the guest's PAT may determine memory types */
	OKVM_HW_CMCI		= 1 << 19,	/* guests may have CMCI and LMCE (MCG_CAP) */
};

/* Capabilities that a VM on shadow paging does not have, even if the hardware has them. */
#define OKVM_HW_ONLY_TDP	(OKVM_HW_TDP | OKVM_HW_TDP_1G | OKVM_HW_TDP_2M | OKVM_HW_TDP_AD | \
				 OKVM_HW_TDP_5LEVEL | OKVM_HW_TDP_PT | OKVM_HW_UNRESTRICTED | \
				 OKVM_HW_GUEST_PAT)

/** struct okvm_backend - operations that run vCPUs on one kind of hardware */
struct okvm_backend {
	const char *name;
	const struct okvm_cpu_ops *cpu;		/* for x86/ */
	const struct okvm_reg_ops *regs;	/* for x86/ */
	const struct okvm_event_ops *events;	/* for x86/ */
	const struct okvm_mmu_ops *mmu;		/* for mmu/ */
	const struct okvm_apic_ops *apic;	/* for irq/ */

	u32 cpuid_leaf, cpuid_ecx;	/* CPUID leaf and ECX bit that report VMX or SVM */
	/*
	 * Called when the backend is registered and unregistered. @init fills in @caps. @init
	 * returns 0, -ENOMEM, -EOPNOTSUPP, or -EINVAL (bad parameter). With -EOPNOTSUPP and -EINVAL
	 * @init also writes the reason to the kernel log, in one line.
	 */
	int (*init)(u32 *caps);			/* enum okvm_hw_caps */
	void (*exit)(void);

	/*
	 * Enable and disable VMX or SVM on the CPU that calls, with IRQs off. @cpu_enable returns
	 * 0, -EBUSY if another hypervisor is active, or -EIO if the CPU refuses or differs from the
	 * other CPUs. @cpu_disable also saves vCPU state that is only in this CPU (cached VMCSs,
	 * MSRs) to memory.
	 */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	/* VMs: vm->hw */
	int (*vm_create)(struct okvm_vm *vm);
	void (*vm_destroy)(struct okvm_vm *vm);

	/*
	 * Enter the guest and handle its VM exits. Return when a request, a signal or another task
	 * needs core/run.c, or when KVM_RUN has to end. Fast exits are handled with IRQs off, other
	 * exits with IRQs on. Called by the vCPU thread with IRQs and preemption on and the vCPU
	 * loaded. Return: enum okvm_outcome; after OKVM_RESUME the caller tests requests and
	 * signals.
	 */
	int (*run)(struct okvm_vcpu *vcpu);
	/* Make @cpu, which runs @vcpu, leave guest mode. Called on another CPU, preemption off. */
	void (*kick)(struct okvm_vcpu *vcpu, int cpu);
};

extern const struct okvm_backend okvm_vmx_backend, okvm_svm_backend;

#endif /* OKVM_CORE_BACKEND_H */
