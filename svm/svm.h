/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal header of svm/: other folders do not include it. */
#ifndef OKVM_SVM_SVM_H
#define OKVM_SVM_SVM_H

#include <linux/build_bug.h>
#include <linux/kvm.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include <asm/msr.h>

#include "core/backend.h"
#include "core/compat.h"
#include "irq/apic_ops.h"
#include "irq/irq.h"
#include "mmu/hw_ops.h"
#include "mmu/mmu.h"
#include "svm/caps.h"
#include "svm/vmcb.h"
#include "x86/cpu/regs.h"
#include "x86/insn/insn.h"
#include "x86/time/tsc_ratio.h"

/** struct svm_params - module parameters except those in svm_caps.feats */
struct svm_params {
	unsigned int pause_count, pause_gap;
};

extern struct svm_caps svm_caps;
extern struct svm_params svm_params;

/* Bits of okvm_hw_vcpu.todo: what must be done before the next VMRUN. */
#define SVM_TODO_FLUSH		BIT(0)	/* flush all translations of the vCPU */
#define SVM_TODO_ASID		BIT(1)	/* assign a new ASID to the vCPU */

/**
 * struct okvm_hw_vcpu - the SVM backend's state of a vCPU
 * @id: a number that no other vCPU has or ever had
 * @vmcb: okvm may write it while the guest does not run, and calls svm_dirty() after a write
 */
struct okvm_hw_vcpu {
	struct vmcb *vmcb;
	struct okvm_vcpu *vcpu;
	u64 id;
	struct svm_frame frame;
	void *msrpm;		/* MSR permission map, two pages */

	/* State of the last #VMEXIT. */
	u32 exit_code;
	u32 cut_info;		/* EXITINTINFO: the event whose delivery the exit has interrupted */
	bool entry_failed;	/* SVM was off, so VMRUN was not executed */
	u32 host_apf;		/* flags of the host's own async page fault; 0: there is none */
	int entry_cpu;
	u64 exit_dr6;		/* the guest's DR6 at the exit */

	u32 todo;
	u64 asid_generation;	/* the CPU's ASID generation when it assigned the ASID */
	bool host_loaded;	/* TSC_AUX has the guest's value, host_tsc_aux the host's */
	u64 host_tsc_aux;
	unsigned long host_debugctl;

	/* Guest state that is not in the VMCB. */
	u64 tsc_aux;
	u64 spec_ctrl;
	bool spec_ctrl_direct;	/* the guest accesses SPEC_CTRL without exits */

	/* State of event injection. */
	bool event_written;	/* vmcb->control.event_inj has an event for the next VMRUN */
	u32 event_info;		/* that event */
	u8 soft_len;		/* length of the instruction that causes the event, or 0 */
	unsigned long soft_rip;	/* address of the instruction that causes the event */
	bool nmi_masked;	/* NMIs are masked until IRET; not used with virtual NMIs */
	bool nmi_lent;		/* the CPU has to deliver an NMI (SVM_V_NMI_PENDING was set) */
	bool irq_window;	/* exit when the guest can take an interrupt */
	bool nmi_behind;	/* an NMI has to be injected after the event in event_inj */
	bool step;		/* emulate one instruction to end the shadow that blocks an NMI */
	bool nmi_late;		/* @step was not possible: inject the NMI after a later exit */
	bool tpr_held;		/* the TPR blocks a pending interrupt */
	u8 tpr;			/* V_TPR as written to the VMCB */
};

static inline struct okvm_hw_vcpu *to_hw(const struct okvm_vcpu *vcpu)
{
	return vcpu->hw;
}

/* Return true if the VM uses shadow paging. Then every #PF makes a #VMEXIT. */
static inline bool svm_is_shadow(const struct okvm_vcpu *vcpu)
{
	return !(vcpu->vm->caps & OKVM_HW_TDP);
}

/* Tell the CPU that its cached copy of @part of the VMCB is stale (APM "VMCB Clean Bits"). */
static __always_inline void svm_dirty(struct okvm_hw_vcpu *hw, enum svm_clean part)
{
	hw->vmcb->control.clean &= ~part;
}

/* Get RIP and RFLAGS faster than okvm_rip() and okvm_rflags(), which call through the backend. */
static __always_inline unsigned long svm_rip(struct okvm_vcpu *vcpu)
{
	if (!okvm_reg_avail(vcpu, OKVM_REG_RIP)) {
		vcpu->arch->avail |= BIT(OKVM_REG_RIP);
		vcpu->arch->rip = to_hw(vcpu)->vmcb->save.rip;
	}
	return vcpu->arch->rip;
}

static __always_inline unsigned long svm_rflags(struct okvm_vcpu *vcpu)
{
	if (!okvm_reg_avail(vcpu, OKVM_REG_RFLAGS)) {
		vcpu->arch->avail |= BIT(OKVM_REG_RFLAGS);
		vcpu->arch->rflags = to_hw(vcpu)->vmcb->save.rflags;
	}
	return vcpu->arch->rflags;
}

/* ---- the TSC ratio, by which each CPU multiplies the TSC that guests read ---- */

#define SVM_TSC_RATIO_BITS	32	/* fraction bits; 8 more bits are the integer part */
#define SVM_TSC_RATIO_ONE	BIT_ULL(SVM_TSC_RATIO_BITS)

/*
 * Value of the CPU's MSR TSC_RATIO. A guest's ratio may stay in the MSR, because it does not change
 * the host's TSC.
 */
DECLARE_PER_CPU(u64, svm_tsc_ratio);

static inline void svm_tsc_ratio_write(u64 ratio)
{
	if (ratio == this_cpu_read(svm_tsc_ratio))
		return;
	wrmsrl(MSR_AMD64_TSC_RATIO, ratio);
	this_cpu_write(svm_tsc_ratio, ratio);
}

/* Load the vCPU's TSC ratio on this CPU. Preemption is off. */
static inline void svm_tsc_ratio_load(const struct okvm_vcpu *vcpu)
{
	if (svm_has(&svm_caps, SVM_FEAT_TSC_RATIO))
		svm_tsc_ratio_write(vcpu->arch->tsc_ratio >>
				    (OKVM_TSC_RATIO_BITS - SVM_TSC_RATIO_BITS));
}

/* ---- enable.c ---- */

/*
 * okvm_hw_vcpu.id of the last vCPU on this CPU. The vCPU's address would not identify it, because a
 * new vCPU may get the address of a freed one.
 */
DECLARE_PER_CPU(u64, svm_last_id);
int svm_enable_init(void);
void svm_enable_exit(void);
int svm_cpu_enable(void);
void svm_cpu_disable(void);
/** svm_read_cpuid() - read this CPU's CPUID and VM_CR; a missing leaf or MSR reads as 0 */
void svm_read_cpuid(struct svm_cpuid *cpu);
/** svm_host_area() - return the physical address of this CPU's area for VMSAVE of host state */
u64 svm_host_area(void);
/**
 * svm_asid_load() - do what hw->todo asks for: assign an ASID or request a flush
 * Called with IRQs off.
 */
void svm_asid_load(struct okvm_hw_vcpu *hw);
/** svm_tlb_flushed() - clear tlb_ctl after VMRUN has flushed the TLB. Called with IRQs off */
void svm_tlb_flushed(struct okvm_hw_vcpu *hw);

/* ---- entry.c, vmrun.S ---- */

int svm_run(struct okvm_vcpu *vcpu);
void svm_vcpu_load(struct okvm_vcpu *vcpu, int cpu);
void svm_vcpu_put(struct okvm_vcpu *vcpu);
/** svm_enter() - execute VMRUN. Return: 0 after a #VMEXIT, 1 if SVM is off */
int svm_enter(unsigned long *gpr, struct svm_frame *frame);

/* ---- exit.c, exit_insn.c ---- */

/** svm_exit_fast() - handle the exit with IRQs off. Return: true if the guest can be entered */
bool svm_exit_fast(struct okvm_vcpu *vcpu);
/** svm_exit_slow() - handle the exit with IRQs on. Return: enum okvm_outcome */
int svm_exit_slow(struct okvm_vcpu *vcpu);
/** svm_exit_page_fault() - shadow paging: handle an intercepted #PF. Return: enum okvm_outcome */
int svm_exit_page_fault(struct okvm_vcpu *vcpu);
int svm_exit_exception(struct okvm_vcpu *vcpu);
int svm_exit_cr(struct okvm_vcpu *vcpu);
int svm_exit_dr(struct okvm_vcpu *vcpu);
int svm_exit_insn(struct okvm_vcpu *vcpu);
int svm_exit_iret(struct okvm_vcpu *vcpu);
int svm_exit_task_switch(struct okvm_vcpu *vcpu);

/* ---- inject.c ---- */

extern const struct okvm_event_ops svm_event_ops;
/** svm_events_clear_injected() - forget the injected event: VMRUN has begun to deliver it */
void svm_events_clear_injected(struct okvm_vcpu *vcpu);
/** svm_events_cut_short() - let the next VMRUN inject the event in hw->cut_info again; IRQs off */
void svm_events_cut_short(struct okvm_vcpu *vcpu);
/** svm_soft_event_enter() - set the RIPs of the VMCB for the event of INT n, INT3 or INTO */
void svm_soft_event_enter(struct okvm_hw_vcpu *hw);
/** svm_soft_event_undo() - set RIP back to the INT n, INT3 or INTO if its event is not delivered */
void svm_soft_event_undo(struct okvm_hw_vcpu *hw);
/** svm_nmi_late() - inject the pending NMI only after the instruction of an interrupt shadow */
void svm_nmi_late(struct okvm_vcpu *vcpu);
/** svm_event_withdraw() - remove the event from the VMCB before the next VMRUN */
void svm_event_withdraw(struct okvm_hw_vcpu *hw);

/* ---- state.c ---- */

extern const struct okvm_reg_ops svm_reg_ops;

/* ---- msr.c ---- */

int svm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int svm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
void svm_msrpm_update(struct okvm_vcpu *vcpu);

/* ---- control.c ---- */

/** svm_intercepts() - compute the intercepts from the vCPU's state and write them. Idempotent */
void svm_intercepts(struct okvm_vcpu *vcpu);
void svm_update_intercepts(struct okvm_vcpu *vcpu, u32 what);
void svm_vmcb_init(struct okvm_vcpu *vcpu);
extern const struct okvm_mmu_ops svm_mmu_ops;
extern const struct okvm_apic_ops svm_apic_ops;
int svm_iopm_create(void);
void svm_iopm_destroy(void);

#endif /* OKVM_SVM_SVM_H */
