/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How guest instructions get executed: vmx/ with VT-x, svm/ with AMD-V.
 *
 * A backend is this table, with what core/ itself calls, and tables for each layer above, which
 * that layer declares: x86/cpu_ops.h, mmu/hw_ops.h, irq/apic_ops.h. At most 40 calls in all.
 * Everything that is the same for any x86 virtualization hardware is not behind them but in these
 * layers.
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

/** enum okvm_hw_caps - what the CPU has and parameters allow: vm->caps, constant */
enum okvm_hw_caps {
	OKVM_HW_UNRESTRICTED	= 1 << 0,	/* real mode and unpaged mode run natively */
	OKVM_HW_POSTED		= 1 << 2,	/* posted interrupts */
	OKVM_HW_SHADOW		= 1 << 3,	/* guests can run on shadow tables */
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
	/* the tables have the format of ordinary ones, and as many levels as the host's */
	OKVM_HW_TDP_PT		= 1 << 17,
};

/* What a VM that is translated by shadow tables does not have, whatever the hardware. */
#define OKVM_HW_ONLY_TDP	(OKVM_HW_TDP | OKVM_HW_TDP_1G | OKVM_HW_TDP_2M | OKVM_HW_TDP_AD | \
				 OKVM_HW_TDP_5LEVEL | OKVM_HW_UNRESTRICTED)

/**
 * struct okvm_backend - one way of running vCPUs
 */
struct okvm_backend {
	const char *name;
	const struct okvm_cpu_ops *cpu;		/* for x86/ */
	const struct okvm_reg_ops *regs;	/* for x86/ */
	const struct okvm_event_ops *events;	/* for x86/ */
	const struct okvm_mmu_ops *mmu;		/* for mmu/ */
	const struct okvm_apic_ops *apic;	/* for irq/ */

	u32 cpuid_leaf, cpuid_ecx;	/* by which a CPU says that it has the hardware */
	/*
	 * Called at registration and at unregistration. @init returns -ENODEV, -EOPNOTSUPP or
	 * -EBUSY after printing one clear line; else it fills @caps.
	 */
	int (*init)(u32 *caps);			/* enum okvm_hw_caps */
	void (*exit)(void);

	/* Per CPU, IRQs off, on that CPU. @cpu_enable: -EBUSY if another hypervisor has it. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);		/* also clears every vCPU loaded on this CPU */

	/* VMs: vm->hw */
	int (*vm_create)(struct okvm_vm *vm);
	void (*vm_destroy)(struct okvm_vm *vm);

	/*
	 * Enter the guest and handle its exits until something needs run.c:
	 * fast exits go straight back to the guest with IRQs off; others are
	 * handled with IRQs on. Called with IRQs on and preemption on, by the vCPU's thread with
	 * the vCPU loaded. Returns an outcome; OKVM_RESUME means look at requests and signals.
	 */
	int (*run)(struct okvm_vcpu *vcpu);
	/* Makes the CPU leave the guest, from any other CPU with preemption off. */
	void (*kick)(struct okvm_vcpu *vcpu, int cpu);
};

extern const struct okvm_backend okvm_vmx_backend, okvm_svm_backend;

#endif /* OKVM_CORE_BACKEND_H */
