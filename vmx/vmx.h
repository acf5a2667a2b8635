/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal header of vmx/: other folders do not include it. */
#ifndef OKVM_VMX_VMX_H
#define OKVM_VMX_VMX_H

#include <linux/build_bug.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/types.h>

#include "core/backend.h"
#include "core/compat.h"
#include "irq/apic_ops.h"
#include "irq/irq.h"
#include "mmu/hw_ops.h"
#include "mmu/mmu.h"
#include "vmx/caps.h"
#include "vmx/perf.h"
#include "vmx/vmcs.h"
#include "x86/cpu/regs.h"
#include "x86/insn/insn.h"

#define VMX_NR_URET	6	/* maximum number of user-return MSRs */

#define VMX_NR_EXITS	78	/* size of exit_table[], whose index is the basic exit reason */

/** struct vmx_params - module parameters except those in vmx_caps.opts */
struct vmx_params {
	unsigned int ple_gap, ple_window;
	unsigned int time_bound;	/* TSC ticks after which a guest exits, 0: never */
	unsigned int l1d_flush;		/* enum vmx_l1d */
};

enum vmx_l1d {
	VMX_L1D_NEVER,
	VMX_L1D_COND,	/* flush before VM entries that do not follow a fast exit */
	VMX_L1D_ALWAYS,	/* flush before every VM entry */
};

extern struct vmx_caps vmx_caps;
extern struct vmx_params vmx_params;

/**
 * struct vmx_pi - posted-interrupt descriptor (SDM "Posted-Interrupt Processing")
 *
 * The SDM requires an alignment of 64 bytes. A whole page is allocated, because some versions of
 * Bochs require the alignment of a page.
 */
struct vmx_pi {
	u64 pir[4];
	unsigned long control;	/* bit 0: outstanding notification */
	u64 reserved[3];
};

static_assert(sizeof(struct vmx_pi) == 64);

/* Bits of okvm_hw_vcpu.exit_avail: which VMCS fields were read since the last VM exit. */
#define VMX_AVAIL_QUAL		BIT(0)
#define VMX_AVAIL_INTR		BIT(1)
#define VMX_AVAIL_LEN		BIT(2)
#define VMX_AVAIL_SHADOW	BIT(3)
#define VMX_AVAIL_GPA		BIT(4)
#define VMX_AVAIL_STATUS	BIT(5)

/* Bits of okvm_hw_vcpu.todo: what must be done before the next VM entry. */
#define VMX_TODO_FLUSH_ALL	BIT(0)
#define VMX_TODO_FLUSH_GUEST	BIT(1)
#define VMX_TODO_CHECK_STATE	BIT(2)	/* find out if hardware can run the guest's state */
#define VMX_TODO_CLEAR_BUFFERS	BIT(3)	/* the guest can access host MMIO: clear the CPU buffers */

enum vmx_seg_field { SEG_SEL, SEG_BASE, SEG_LIMIT, SEG_AR, NR_SEG_FIELDS };

/**
 * struct okvm_hw_vcpu - the VMX backend's state of a vCPU
 * @vmcs: the VMCS and what belongs to it; first member, so that it has the structure's address
 */
struct okvm_hw_vcpu {
	struct vmx_vmcs vmcs;
	struct okvm_vcpu *vcpu;

	/* State of the last VM exit. exit_avail (VMX_AVAIL_*): which of qual to gpa are valid. */
	u32 exit_reason;
	u32 exit_avail;
	unsigned long qual;
	u32 intr_info;
	u32 insn_len;
	u32 shadow;		/* GUEST_INTERRUPTIBILITY_INFO */
	gpa_t gpa;
	u32 idt_info;		/* IDT-vectoring info; 0 if the exit cannot interrupt an event */
	u32 host_apf;		/* flags of the host's own async page fault; 0: there is none */
	u32 instruction_error;	/* VM-instruction error, if VMLAUNCH or VMRESUME failed */
	bool entry_failed;
	int entry_cpu;

	u32 todo;
	bool emulate;		/* hardware cannot run the guest's state: emulate */
	bool identity;		/* hardware uses the identity map: GUEST_CR3 is not the guest's */
	bool walk_wp;		/* the value of CR0.WP that vcpu->mmu->mode has now */
	u8 uret_mask;		/* bit n: the guest can see the user-return MSR of slot n */
	bool uret_stale;	/* user-return MSRs changed since vmx_uret_load() */

	/*
	 * Copies of segment fields. The copy of a segment's field is valid if seg_avail has the bit
	 * with the number seg * NR_SEG_FIELDS + field.
	 */
	u32 seg_avail;
	u32 seg[OKVM_NR_SEGS][NR_SEG_FIELDS - 1];	/* all fields except the base */
	unsigned long seg_base[OKVM_NR_SEGS];

	/* Guest state that is in no VMCS field. */
	u64 kernel_gs_base;
	u64 spec_ctrl;
	bool spec_ctrl_direct;	/* the guest accesses SPEC_CTRL without exits */
	u64 uret[VMX_NR_URET];	/* the guest's values of the user-return MSRs */
	u64 timer_tsc;		/* host TSC at which the preemption timer expires, ~0: never */
	bool apicv;		/* virtual-interrupt delivery is on */
	bool no_apic_window;	/* this vCPU is counted in okvm_hw_vm.without_window */

	/* Accessed only while the vCPU is loaded. */
	bool host_saved;	/* the host's segment state and MSRs are saved below */
	u16 ds_sel, es_sel, fs_sel, gs_sel;
	u64 host_gs_user;
	u64 host_debugctl;

	u16 vpid;
	struct vmx_pi *pi;
	struct vmx_perf perf;
};

static inline struct okvm_hw_vcpu *to_hw(const struct okvm_vcpu *vcpu)
{
	return vcpu->hw;
}

/* Return true if the VM uses shadow paging. Then every #PF makes a VM exit. */
static inline bool vmx_is_shadow(const struct okvm_vcpu *vcpu)
{
	return !(vcpu->vm->caps & OKVM_HW_TDP);
}

/* Return true if hardware runs real mode and unpaged protected mode of this VM. */
static inline bool vmx_unrestricted(const struct okvm_vcpu *vcpu)
{
	return vcpu->vm->caps & OKVM_HW_UNRESTRICTED;
}

/* The controls that make MOV to and from CR3 exit, while CR3 in hardware is not the guest's. */
#define VMX_CR3_EXITING	(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING)

/* ---- VMCS fields that are read at most once per VM exit ---- */

static inline unsigned long vmx_qual(struct okvm_hw_vcpu *hw)
{
	if (!(hw->exit_avail & VMX_AVAIL_QUAL)) {
		hw->exit_avail |= VMX_AVAIL_QUAL;
		hw->qual = vmcs_read(EXIT_QUALIFICATION);
	}
	return hw->qual;
}

static inline u32 vmx_intr_info(struct okvm_hw_vcpu *hw)
{
	if (!(hw->exit_avail & VMX_AVAIL_INTR)) {
		hw->exit_avail |= VMX_AVAIL_INTR;
		hw->intr_info = vmcs_read32(VM_EXIT_INTR_INFO);
	}
	return hw->intr_info;
}

/* Get RIP and RFLAGS faster than okvm_rip() and okvm_rflags(), which call through the backend. */
static __always_inline unsigned long vmx_rip(struct okvm_vcpu *vcpu)
{
	if (!okvm_reg_avail(vcpu, OKVM_REG_RIP)) {
		vcpu->arch->avail |= BIT(OKVM_REG_RIP);
		vcpu->arch->rip = vmcs_read(GUEST_RIP);
	}
	return vcpu->arch->rip;
}

static __always_inline unsigned long vmx_rflags(struct okvm_vcpu *vcpu)
{
	if (!okvm_reg_avail(vcpu, OKVM_REG_RFLAGS)) {
		vcpu->arch->avail |= BIT(OKVM_REG_RFLAGS);
		vcpu->arch->rflags = vmcs_read(GUEST_RFLAGS);
	}
	return vcpu->arch->rflags;
}

/*
 * Return true if the slow handler has to complete the instruction: a single-step trap follows
 * (RFLAGS.TF), or RF must be cleared. Exits of instructions save RF as 0 (SDM "Saving RIP, RSP,
 * RFLAGS, and SSP"), but an outer hypervisor may forward an exit with RF = 1.
 */
static __always_inline bool vmx_single_steps(struct okvm_vcpu *vcpu)
{
	return unlikely(vmx_rflags(vcpu) & (X86_EFLAGS_TF | X86_EFLAGS_RF));
}

static inline u32 vmx_insn_len(struct okvm_hw_vcpu *hw)
{
	if (!(hw->exit_avail & VMX_AVAIL_LEN)) {
		hw->exit_avail |= VMX_AVAIL_LEN;
		hw->insn_len = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
	}
	return hw->insn_len;
}

/* Advance RIP past the instruction that caused the exit. Return: enum okvm_outcome */
static inline int vmx_skip_insn(struct okvm_vcpu *vcpu)
{
	return okvm_skip_insn(vcpu, vmx_insn_len(to_hw(vcpu)));
}

/* Blocking by STI or by MOV SS: no interrupt is delivered until the next instruction has ended. */
#define VMX_IRQ_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

static inline u32 vmx_shadow(struct okvm_hw_vcpu *hw)
{
	if (!(hw->exit_avail & VMX_AVAIL_SHADOW)) {
		hw->exit_avail |= VMX_AVAIL_SHADOW;
		hw->shadow = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	}
	return hw->shadow;
}

static inline void vmx_shadow_set(struct okvm_hw_vcpu *hw, u32 shadow)
{
	if (vmx_shadow(hw) == shadow)
		return;
	hw->shadow = shadow;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, shadow);
}

static inline gpa_t vmx_gpa(struct okvm_hw_vcpu *hw)
{
	if (!(hw->exit_avail & VMX_AVAIL_GPA)) {
		hw->exit_avail |= VMX_AVAIL_GPA;
		hw->gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	}
	return hw->gpa;
}

/* ---- enable.c ---- */

int vmx_enable_init(void);
void vmx_enable_exit(void);
int vmx_cpu_enable(void);
void vmx_cpu_disable(void);
/** vmx_read_msrs() - read this CPU's VMX capability MSRs; a missing MSR reads as 0 */
void vmx_read_msrs(struct vmx_msrs *msrs);
/* The VMCS that is current on this CPU. */
DECLARE_PER_CPU(struct vmx_vmcs *, vmx_current_vmcs);
/**
 * vmx_vmcs_load() - make @vmcs current on this CPU
 * @vm: the VM to kill if VMPTRLD fails
 *
 * Return: true if the VMCS comes from another CPU or was cleared
 */
bool vmx_vmcs_load(struct okvm_vm *vm, struct vmx_vmcs *vmcs, int cpu);
/** vmx_vmcs_unload() - execute VMCLEAR for @vmcs on the CPU where it is loaded. May sleep */
void vmx_vmcs_unload(struct vmx_vmcs *vmcs);

/* ---- entry.c ---- */

int vmx_run(struct okvm_vcpu *vcpu);
void vmx_vcpu_load(struct okvm_vcpu *vcpu, int cpu);
void vmx_vcpu_put(struct okvm_vcpu *vcpu);
int vmx_l1d_init(void);
void vmx_l1d_exit(void);

/* vmenter.S */
int vmx_enter(unsigned long *gpr, struct vmx_frame *frame);
extern const char vmx_exited[];
extern const char vmx_int_stubs[];

/* ---- exit.c ---- */

/** vmx_entry_explain() - tell userspace (OKVM_GET_ERROR) which rules a failed VM entry breaks */
void vmx_entry_explain(struct okvm_vcpu *vcpu, u64 reason);	/* entry_why.c */

/** vmx_exit_fast() - handle the VM exit with IRQs off. Return: true if the guest can be entered */
bool vmx_exit_fast(struct okvm_vcpu *vcpu);
/** vmx_exit_slow() - handle the VM exit with IRQs on. Return: enum okvm_outcome */
int vmx_exit_slow(struct okvm_vcpu *vcpu);

int vmx_exit_exception(struct okvm_vcpu *vcpu);		/* exit_exc.c */
int vmx_exit_task_switch(struct okvm_vcpu *vcpu);
void vmx_host_nmi_mce(struct okvm_vcpu *vcpu);
int vmx_exit_cpuid(struct okvm_vcpu *vcpu);		/* exit_insn.c */
int vmx_exit_cr(struct okvm_vcpu *vcpu);
int vmx_exit_dr(struct okvm_vcpu *vcpu);
int vmx_exit_invlpg(struct okvm_vcpu *vcpu);
int vmx_exit_invpcid(struct okvm_vcpu *vcpu);
int vmx_exit_io(struct okvm_vcpu *vcpu);
int vmx_exit_rdmsr(struct okvm_vcpu *vcpu);
int vmx_exit_wrmsr(struct okvm_vcpu *vcpu);
int vmx_exit_hlt(struct okvm_vcpu *vcpu);
int vmx_exit_vmcall(struct okvm_vcpu *vcpu);
int vmx_exit_pause(struct okvm_vcpu *vcpu);
int vmx_exit_mwait(struct okvm_vcpu *vcpu);
int vmx_exit_xsetbv(struct okvm_vcpu *vcpu);
int vmx_exit_rdpmc(struct okvm_vcpu *vcpu);
int vmx_exit_nop(struct okvm_vcpu *vcpu);
int vmx_exit_ud(struct okvm_vcpu *vcpu);
int vmx_exit_desc(struct okvm_vcpu *vcpu);
int vmx_exit_ept(struct okvm_vcpu *vcpu);		/* exit_mem.c */
int vmx_exit_misconfig(struct okvm_vcpu *vcpu);
int vmx_exit_apic_access(struct okvm_vcpu *vcpu);
int vmx_exit_apic_write(struct okvm_vcpu *vcpu);
int vmx_exit_eoi(struct okvm_vcpu *vcpu);
/*
 * The vmx_fast_*() functions run with IRQs off. They return true if the guest can be entered again,
 * and false if the slow handler has to handle the exit.
 */
/** vmx_fast_apic_access() - handle a write to the xAPIC's EOI register */
bool vmx_fast_apic_access(struct okvm_vcpu *vcpu);
/** vmx_fast_apic_write() - handle an APIC-write exit whose effects are short */
bool vmx_fast_apic_write(struct okvm_vcpu *vcpu);
bool vmx_fast_ept(struct okvm_vcpu *vcpu);
/**
 * vmx_take_host_apf() - set hw->host_apf after an exception exit
 *
 * If the exception is an async page fault of the host, moves its flags from the host's memory to
 * hw->host_apf (x86/host_apf.h). Otherwise sets hw->host_apf to 0. Called with IRQs off.
 */
void vmx_take_host_apf(struct okvm_hw_vcpu *hw);
/** vmx_fast_page_fault() - handle a #PF under shadow paging if that needs no sleep */
bool vmx_fast_page_fault(struct okvm_vcpu *vcpu);
/** vmx_exit_page_fault() - handle a #PF with error code @error. Return: enum okvm_outcome */
int vmx_exit_page_fault(struct okvm_vcpu *vcpu, u32 error);
/** vmx_delivery_failed() - report to userspace that the event in hw->idt_info is undeliverable */
int vmx_delivery_failed(struct okvm_vcpu *vcpu);
/** vmx_emulate() - call okvm_emulate() after updating the walker's copy of CR0.WP */
int vmx_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa);

/* ---- inject.c ---- */

extern const struct okvm_event_ops vmx_event_ops;
/** vmx_events_clear_injected() - forget the injected event: VM entry has begun to deliver it */
void vmx_events_clear_injected(struct okvm_vcpu *vcpu);
/** vmx_events_cut_short() - let the next VM entry inject the event in hw->idt_info again */
void vmx_events_cut_short(struct okvm_vcpu *vcpu);
/** vmx_nmi_unblocked() - if a faulting IRET has unblocked NMIs (@unblocked), block them again */
void vmx_nmi_unblocked(struct okvm_vcpu *vcpu, bool unblocked);

/* ---- state.c ---- */

extern const struct okvm_reg_ops vmx_reg_ops;
void vmx_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4);
/** vmx_guest_pat() - return the value of GUEST_IA32_PAT if the guest's own PAT is @pat */
u64 vmx_guest_pat(const struct okvm_vcpu *vcpu, u64 pat);
int vmx_get_cpl(struct okvm_vcpu *vcpu);
/** vmx_skip_insn_fast() - advance RIP past the exit's instruction, without a #DB for RFLAGS.TF */
void vmx_skip_insn_fast(struct okvm_vcpu *vcpu);
/** vmx_state_valid() - return false if hardware cannot run the guest's state: emulate then */
bool vmx_state_valid(struct okvm_vcpu *vcpu);
bool vmx_cs_long(struct okvm_vcpu *vcpu);
/** vmx_sync_wp() - update the walker's copy of CR0.WP, which the guest changes without exits */
void vmx_sync_wp(struct okvm_vcpu *vcpu);

/* ---- msr.c ---- */

int vmx_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int vmx_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
void vmx_msr_bitmap_update(struct okvm_vcpu *vcpu);
void vmx_uret_init(void);
/* The vCPU whose values are in this CPU's user-return MSRs, or NULL. */
DECLARE_PER_CPU(const struct okvm_hw_vcpu *, vmx_uret_owner);
/** vmx_uret_load() - load the guest's user-return MSRs; the host's are restored before user mode */
void vmx_uret_load(struct okvm_hw_vcpu *hw);
/** vmx_uret_put() - restore the host's MSRs if the kernel has no user-return notifiers */
void vmx_uret_put(void);
/** vmx_uret_cpu_off() - restore this CPU's user-return MSRs at once. Called with IRQs off */
void vmx_uret_cpu_off(void);

/* ---- control.c ---- */

void vmx_update_intercepts(struct okvm_vcpu *vcpu, u32 what);
extern const struct okvm_mmu_ops vmx_mmu_ops;
bool vmx_set_timer(struct okvm_vcpu *vcpu, u64 host_tsc);
void vmx_vmcs_init(struct okvm_vcpu *vcpu);
/** vmx_flush_pending() - before VM entry, do what hw->todo asks: flush TLB, clear CPU buffers */
void vmx_flush_pending(struct okvm_hw_vcpu *hw);

/* ---- apic_page.c ---- */

int vmx_apic_page_create(struct okvm_vm *vm);
void vmx_apic_page_destroy(struct okvm_vm *vm);
phys_addr_t vmx_apic_page_pa(const struct okvm_vm *vm);
/**
 * vmx_apic_page_update() - map or unmap the APIC-access page for the APIC's mode and base address
 *
 * Context: the vCPU's thread, IRQs on; may sleep.
 * Return: true if the vCPU may use "virtualize APIC accesses"
 */
bool vmx_apic_page_update(struct okvm_vcpu *vcpu);

#define VMX_IDENTITY_ADDR	0xfffbc000ull	/* without KVM_SET_IDENTITY_MAP_ADDR */

/* Return the guest-physical address of the identity map, by which CR0.PG = 0 runs under EPT. */
static inline u64 vmx_identity_addr(const struct okvm_vm *vm)
{
	return vm->arch->identity_map_addr ?: VMX_IDENTITY_ADDR;
}

/**
 * vmx_identity_ready() - return true if the vCPU can run on the identity map
 *
 * Makes the page at the first call. Returns false if there is no memory for the page, or if the
 * page cannot be at its address, for example because a memory slot is there. If a slot is added
 * there later, vmx_set_root() is called. Context: the vCPU's thread, IRQs on; may sleep.
 */
bool vmx_identity_ready(struct okvm_vcpu *vcpu);

/* ---- apicv.c ---- */

extern const struct okvm_apic_ops vmx_apic_ops;
void vmx_apic_sync(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg);
void vmx_apic_update(struct okvm_vcpu *vcpu);
void vmx_post_self(void);
void vmx_kick(struct okvm_vcpu *vcpu, int cpu);
/** vmx_apic_bitmap() - update the bits of the x2APIC MSRs in the MSR bitmap */
void vmx_apic_bitmap(struct okvm_vcpu *vcpu);
void vmx_msr_intercept(struct vmx_vmcs *vmcs, u32 msr, bool read, bool write);

static inline bool vmx_pi_pending(const struct okvm_hw_vcpu *hw)
{
	return READ_ONCE(hw->pi->control) & 1;
}

#endif /* OKVM_VMX_VMX_H */
