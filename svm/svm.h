/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of svm/ share. Never included from elsewhere. */
#ifndef OKVM_SVM_SVM_H
#define OKVM_SVM_SVM_H

#include <linux/build_bug.h>
#include <linux/kvm.h>
#include <linux/types.h>

#include "core/compat.h"
#include "irq/apic_ops.h"
#include "irq/irq.h"
#include "mmu/hw_ops.h"
#include "mmu/mmu.h"
#include "svm/caps.h"
#include "svm/vmcb.h"
#include "x86/cpu/regs.h"
#include "x86/insn/insn.h"

/** struct svm_params - module parameters that are not in svm_caps.feats */
struct svm_params {
	unsigned int pause_count, pause_gap;
};

extern struct svm_caps svm_caps;
extern struct svm_params svm_params;

/* What must be done before the next entry: bits of okvm_hw_vcpu.todo. */
#define SVM_TODO_FLUSH		BIT(0)	/* every translation of the vCPU's */
#define SVM_TODO_ASID		BIT(1)	/* the vCPU has none on this CPU */

/**
 * struct okvm_hw_vcpu - SVM's side of a vCPU
 * @id: of no other vCPU, ever
 * @vmcb: read and written freely while the guest does not run; svm_dirty() says what was written
 */
struct okvm_hw_vcpu {
	struct vmcb *vmcb;
	struct okvm_vcpu *vcpu;
	u64 id;
	struct svm_frame frame;
	void *msrpm;		/* two pages */

	/* State of the last exit. */
	u32 exit_code;
	u32 cut_info;		/* the event whose delivery it has cut short, or 0 */
	bool entry_failed;	/* SVM is off: the VMCB is as before the entry */
	u32 host_apf;		/* of a #PF: the host's hypervisor fetches a page of the host's */
	int entry_cpu;
	u64 exit_dr6;		/* DR6 as the exit left it */

	u32 todo;
	u64 asid_generation;	/* of the CPU that the vCPU is loaded on */
	bool host_loaded;	/* TSC_AUX is the guest's */
	u64 host_tsc_aux;
	unsigned long host_debugctl;

	/* Guest state that is in no field of the VMCB. */
	u64 tsc_aux;
	u64 spec_ctrl;
	bool spec_ctrl_direct;	/* no exits on SPEC_CTRL */

	/* Events. */
	bool given;		/* the next entry delivers what is in vmcb->control.event_inj */
	u8 soft_len;		/* ... of an instruction of this length, which is at @soft_rip */
	unsigned long soft_rip;
	bool nmi_masked;	/* until IRET */
	bool irq_window;	/* exit when the guest can take an interrupt */
	bool nmi_behind;	/* an NMI waits for the delivery of what is given */
	bool step;		/* an NMI waits for an interrupt shadow's end: emulate that far */
	bool nmi_late;		/* ... which the emulator cannot: choose again after the stay */
	bool tpr_held;		/* an interrupt waits for a lower TPR */
	u8 tpr;			/* V_TPR as written */
};

static inline struct okvm_hw_vcpu *to_hw(const struct okvm_vcpu *vcpu)
{
	return vcpu->hw;
}

/* The VMCB's copy in the CPU is stale (APM "VMCB Clean Bits"). */
static __always_inline void svm_dirty(struct okvm_hw_vcpu *hw, enum svm_clean part)
{
	hw->vmcb->control.clean &= ~part;
}

/* RIP and RFLAGS without the call through the backend that okvm_rip() makes. */
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

/* ---- enable.c ---- */

int svm_enable_init(void);
void svm_enable_exit(void);
int svm_cpu_enable(void);
void svm_cpu_disable(void);
/** svm_read_cpuid() - of this CPU, fault-tolerant */
void svm_read_cpuid(struct svm_cpuid *cpu);
/** svm_emergency() - a crash or an emergency restart, on each CPU, possibly as an NMI */
void svm_emergency(void);
/** svm_host_save() - host state that VMRUN does not save. Return: false if SVM is off */
bool svm_host_save(void);
/** svm_host_area() - where svm_host_save() puts it on this CPU: a physical address */
u64 svm_host_area(void);
/** svm_asid_load() - the vCPU gets an ASID of this CPU if it has none. IRQs off */
void svm_asid_load(struct okvm_hw_vcpu *hw);
/** svm_tlb_flushed() - an entry has carried out what tlb_ctl says. IRQs off */
void svm_tlb_flushed(struct okvm_hw_vcpu *hw);

/* ---- entry.c, vmrun.S ---- */

int svm_run(struct okvm_vcpu *vcpu);
void svm_vcpu_load(struct okvm_vcpu *vcpu, int cpu);
void svm_vcpu_put(struct okvm_vcpu *vcpu);
/** svm_enter() - Return: 0 after an exit, 1 if SVM is off */
int svm_enter(unsigned long *gpr, struct svm_frame *frame);

/* ---- exit.c, exit_insn.c ---- */

/** svm_exit_fast() - serve the exit with IRQs off. Return: true if the guest can go on */
bool svm_exit_fast(struct okvm_vcpu *vcpu);
/** svm_exit_slow() - serve it with IRQs on. Return: outcome */
int svm_exit_slow(struct okvm_vcpu *vcpu);
void svm_exit_host_mce(struct okvm_vcpu *vcpu);
int svm_exit_exception(struct okvm_vcpu *vcpu);
int svm_exit_cr(struct okvm_vcpu *vcpu);
int svm_exit_dr(struct okvm_vcpu *vcpu);
int svm_exit_insn(struct okvm_vcpu *vcpu);
int svm_exit_iret(struct okvm_vcpu *vcpu);
int svm_exit_task_switch(struct okvm_vcpu *vcpu);

/* ---- inject.c ---- */

extern const struct okvm_event_ops svm_event_ops;
/** svm_events_given() - an entry has taken what it was to deliver */
void svm_events_given(struct okvm_vcpu *vcpu);
/** svm_events_cut_short() - the exit came in the middle of a delivery: deliver again. IRQs off */
void svm_events_cut_short(struct okvm_vcpu *vcpu);
/** svm_soft_event_enter() - before the entry that delivers an instruction's event */
void svm_soft_event_enter(struct okvm_hw_vcpu *hw);
/** svm_soft_event_undo() - the entry has not delivered it */
void svm_soft_event_undo(struct okvm_hw_vcpu *hw);
/** svm_nmi_late() - an NMI waits for the end of a shadow that hardware has to bring about */
void svm_nmi_late(struct okvm_vcpu *vcpu);
/** svm_event_withdraw() - the next entry delivers no event: undo what was given to the VMCB */
void svm_event_withdraw(struct okvm_hw_vcpu *hw);

/* ---- state.c ---- */

extern const struct okvm_reg_ops svm_reg_ops;

/* ---- msr.c ---- */

int svm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int svm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
void svm_msrpm_update(struct okvm_vcpu *vcpu);

/* ---- control.c ---- */

/** svm_intercepts() - what exits, from the vCPU's state; idempotent */
void svm_intercepts(struct okvm_vcpu *vcpu);
void svm_update_intercepts(struct okvm_vcpu *vcpu, u32 what);
void svm_vmcb_init(struct okvm_vcpu *vcpu);
extern const struct okvm_mmu_ops svm_mmu_ops;
extern const struct okvm_apic_ops svm_apic_ops;
int svm_iopm_create(void);
void svm_iopm_destroy(void);

#endif /* OKVM_SVM_SVM_H */
