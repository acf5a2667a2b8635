/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The x86 state of a vCPU and of a VM that is the same for every backend, and
 * the functions by which backends and x86/ work on it. Only x86/ and the
 * backends include this.
 */
#ifndef OKVM_X86_X86_H
#define OKVM_X86_X86_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/types.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/tsc.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/guestmem.h"
#include "core/vcpu.h"
#include "core/vm.h"

/** enum okvm_reg - what is read from and written to hardware lazily, as bit numbers */
enum okvm_reg {
	OKVM_REG_RAX, OKVM_REG_RCX, OKVM_REG_RDX, OKVM_REG_RBX,
	OKVM_REG_RSP, OKVM_REG_RBP, OKVM_REG_RSI, OKVM_REG_RDI,
	OKVM_REG_R8, OKVM_REG_R9, OKVM_REG_R10, OKVM_REG_R11,
	OKVM_REG_R12, OKVM_REG_R13, OKVM_REG_R14, OKVM_REG_R15,
	OKVM_NR_GPRS,
	OKVM_REG_RIP = OKVM_NR_GPRS,
	OKVM_REG_RFLAGS,
	OKVM_REG_CR0,		/* guest-owned bits of it */
	OKVM_REG_CR3,
	OKVM_REG_CR4,		/* guest-owned bits of it */
	OKVM_REG_PDPTR,
	OKVM_NR_REGS,
};

/** struct okvm_exception - one exception on its way to the guest */
struct okvm_exception {
	bool pending;		/* raised, not yet given to hardware */
	/* given to hardware; must be given again if delivery was cut short */
	bool injected;
	bool has_error;
	bool has_payload;	/* @payload is not yet in CR2/DR6 */
	u8 vector;
	u32 error_code;
	unsigned long payload;	/* CR2 of #PF, DR6 bits of #DB */
};

/** struct okvm_events - what is to be delivered; priorities are decided in x86/event.c */
struct okvm_events {
	struct okvm_exception exc;
	struct {
		bool injected;	/* must be delivered (again) before anything else */
		bool soft;	/* INT n: needs the instruction length */
		u8 vector;
	} irq;
	u8 nmi_pending;		/* 0..2 */
	atomic_t nmi_queued;	/* by other threads, moved to nmi_pending on OKVM_REQ_NMI */
	bool nmi_injected;
	bool exc_payload_enabled;	/* KVM_CAP_EXCEPTION_PAYLOAD is per VM; mirrored */
	bool triple_fault;
	u8 insn_len;		/* of a soft event being re-injected */
	s16 user_irq;		/* KVM_INTERRUPT: vector waiting, -1 none (no in-kernel PIC) */
};

/** struct okvm_mtrr - MTRRs are stored for the guest; memory types follow the host */
struct okvm_mtrr {
	u64 deftype;
	u64 fixed[11];
	u64 var[16];		/* base, mask pairs of 8 ranges */
};

/** struct okvm_mce - machine-check banks as the guest and KVM_X86_SET_MCE see them */
#define OKVM_MCE_BANKS	32
struct okvm_mce {
	u64 cap, status, ctl, ext_ctl;
	u64 bank[OKVM_MCE_BANKS * 4];
	u64 ctl2[OKVM_MCE_BANKS];
};

/** struct okvm_guest_feat - what KVM_SET_CPUID2 gave, digested once; tested on exit paths */
struct okvm_guest_feat {
	u64 cr4_reserved;	/* CR4 bits that #GP */
	u64 efer_reserved;
	u64 xcr0_supported;	/* bits XSETBV may set */
	u64 xss_supported;
	u64 dr6_fixed1;
	u64 dr7_reserved;
	u8 maxphyaddr;
	u64 gpa_reserved;	/* address bits beyond maxphyaddr */
	u32 pv;			/* EAX of leaf 0x40000001 (KVM_FEATURE_*) */
	bool longmode, nx, rdtscp, rdpid, tsc_deadline, tsc_adjust, x2apic, xsave, xsaves;
	bool fsgsbase, smep, smap, umip, pku, la57, pcid, invpcid, mtrr, mce, gbpages, vmx;
	bool spec_ctrl, stibp, ssbd, ibpb, flush_l1d, arch_cap, md_clear, tsx_ctrl;
	bool mwait, bus_lock, intel;
	bool umwait, perfmon;
	bool sse3, rtm, pdcm;
};

struct okvm_cpuid_table;	/* x86/cpuid.h */
struct okvm_emulation;		/* x86/emul_glue.c: emulator context and replayed reads */
struct okvm_apf_queue;		/* x86/async_pf.c */
struct okvm_msr_filter;		/* x86/msr_filter.c */
struct fpu_guest;

/**
 * struct okvm_arch_vcpu - the x86 state of a vCPU
 *
 * Guarded by vcpu->mutex unless a field says otherwise. @gpr, @rip and
 * @rflags come first: vmx/vmenter.S addresses @gpr by the pointer alone.
 */
struct okvm_arch_vcpu {
	unsigned long gpr[OKVM_NR_GPRS];
	unsigned long rip;
	unsigned long rflags;
	u32 avail;		/* enum okvm_reg bits: the copy here is current */
	u32 dirty;		/* ... and hardware's is older */

	unsigned long cr0;
	unsigned long cr0_guest_owned;	/* bits the guest changes without an exit */
	unsigned long cr2;
	unsigned long cr3;
	unsigned long cr4;
	unsigned long cr4_guest_owned;
	unsigned long cr8;	/* only without an in-kernel LAPIC */
	u64 efer;
	u64 pdptrs[4];
	u64 apic_base;		/* only without an in-kernel LAPIC */
	u64 xcr0;
	u64 ia32_xss;
	u32 pkru;
	u32 hflags;		/* reserved for SMM and nested; 0 */

	struct okvm_events ev;

	/* Debug registers: db/dr6/dr7 the guest's; eff_* what hardware gets (guest_debug). */
	unsigned long db[4];
	unsigned long dr6;
	unsigned long dr7;
	unsigned long eff_db[4];
	unsigned long guest_debug_dr7;
	u32 guest_debug;	/* KVM_GUESTDBG_* */
	unsigned long singlestep_rip;
	bool debug_regs_live;	/* the guest's DRs are in hardware; reads need hardware */

	u32 mp_state;		/* KVM_MP_STATE_*; others read it without the mutex */
	bool apf_halted;	/* RUNNABLE, but waits for a page of its memory */
	bool at_reset_vector_ok;

	/* CPUID */
	struct okvm_cpuid_table *cpuid;	/* NULL before KVM_SET_CPUID2 */
	struct okvm_guest_feat feat;
	bool pv_enforce;	/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
	u32 caps;		/* enum okvm_caps of the backend, cached */

	/* MSRs that need no hardware until the guest runs */
	u64 pat;
	u64 misc_enable;
	u64 tsc_adjust;
	u64 spec_ctrl;
	u64 tsx_ctrl;
	u64 arch_capabilities;
	u64 ucode_rev;
	u64 platform_info;
	u64 misc_features;
	u64 perf_capabilities;
	u64 feat_ctl;
	u64 umwait;
	u64 power_ctl;
	u64 hwcr;
	/* unless hardware holds them now */
	u64 star, lstar, cstar, sfmask, tsc_aux, kernel_gs_base;
	struct okvm_mtrr mtrr;
	struct okvm_mce mce;

	/* TSC: guest = host * ratio + offset */
	u64 tsc_offset;
	u64 tsc_ratio;		/* 48-bit fraction, 1ULL << 48 = 1:1 */
	u32 tsc_khz;		/* the guest's */
	u64 last_host_tsc, last_guest_tsc;
	u64 tsc_generation;	/* which group of synchronous TSCs this is of */
	u64 tsc_lost;		/* okvm_tsc_lost as @tsc_offset makes up for it */
	bool tsc_always_catchup;

	/* Paravirtual: x86/pvclock.c, x86/hypercall.c, x86/pv.c */
	struct okvm_pv_vcpu *pv;

	/* FPU */
	struct fpu_guest *fpu;	/* x86/fpu.c through compat.h */
	bool fpu_loaded;
	u64 guest_supported_xcr0;

	/* Emulation and user exits */
	struct okvm_emulation *emul;
	struct {
		u16 port;
		u8 size;
		u8 insn_len;
		bool in;
		bool plain;	/* no STI or MOV SS blocking ends with the instruction */
	} pio;
	bool io_touched;	/* userspace has written registers since the exit under way */
	unsigned long io_linear_rip;	/* ... and where the vCPU stood before it did */
	u32 exit_msr;		/* MSR of a KVM_EXIT_X86_RDMSR/WRMSR under way */
	u8 exit_insn_len;	/* ... and the length of its instruction */
	u8 sipi_vector;		/* KVM_SET_VCPU_EVENTS, for KVM_SET_MP_STATE(SIPI_RECEIVED) */
	u8 eoi_user_vector;
	u64 eoi_exit_bitmap[4];

	/* KVM_GET_VCPU_EVENTS and friends */
	bool preempted_in_kernel;
	bool between_insns;	/* no instruction is being emulated or completed */
	struct {
		bool emulated_pio_string;
	} quirk;
};

/** struct okvm_arch_vm - the x86 state of a VM */
struct okvm_arch_vm {
	u64 disabled_quirks;		/* KVM_CAP_DISABLE_QUIRKS2 */
	u32 disabled_exits;		/* KVM_X86_DISABLE_EXITS_* */
	bool exception_payload;
	bool triple_fault_event;
	bool guest_can_read_platform_info;
	bool exit_on_emulation_error;
	bool hypercall_exit_map_gpa;
	u32 user_space_msr_mask;	/* KVM_CAP_X86_USER_SPACE_MSR: KVM_MSR_EXIT_REASON_* */
	struct okvm_msr_filter __rcu *msr_filter;	/* under vm->srcu */
	struct okvm_apf_queue *apf_queue;	/* set once, by the first guest that asks for it */
	u64 tss_addr;
	u64 identity_map_addr;
	unsigned long nr_mmu_pages;	/* KVM_SET_NR_MMU_PAGES, stored only */
	u32 max_vcpu_id;		/* KVM_CAP_MAX_VCPU_ID, 0 if not given */
	u32 default_tsc_khz;
	bool created_vcpu_cpuid;
	bool steal_time_used;

	/* TSC matching and master clock, guarded by @tsc_lock. */
	raw_spinlock_t tsc_lock;
	u64 last_tsc_nsec, last_tsc_write, last_tsc_offset;
	u64 cur_tsc_nsec, cur_tsc_write, cur_tsc_offset;
	u32 last_tsc_khz;
	u64 cur_tsc_generation;
	u64 nr_vcpus_matched_tsc;
	u64 tsc_lost;			/* okvm_tsc_lost when @master_cycle_now was taken */
	bool use_master_clock;
	u64 master_kernel_ns, master_cycle_now;
	s64 kvmclock_offset;
	bool user_set_tsc;		/* some vCPU's TSC is what userspace wrote */
	bool boot_old_clock;		/* vCPU 0 uses the old kvmclock numbers: no common base */
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK as written */
	struct okvm_vm *vm;
	struct list_head clock_node;	/* on x86/pvclock.c's list of VMs */
};

/* ---- registers, inline because they are on every exit path ---- */

static inline bool okvm_reg_avail(const struct okvm_vcpu *vcpu, enum okvm_reg reg)
{
	return vcpu->arch->avail & BIT(reg);
}

static inline void okvm_reg_mark_dirty(struct okvm_vcpu *vcpu, enum okvm_reg reg)
{
	vcpu->arch->avail |= BIT(reg);
	vcpu->arch->dirty |= BIT(reg);
}

static inline void okvm_reg_fetch(struct okvm_vcpu *vcpu, enum okvm_reg reg)
{
	if (!okvm_reg_avail(vcpu, reg))
		vcpu->vm->backend->cache_reg(vcpu, reg);
}

/** okvm_gpr() - a general register, @nr in machine encoding (0..15) */
static inline unsigned long okvm_gpr(struct okvm_vcpu *vcpu, unsigned int nr)
{
	if (nr == OKVM_REG_RSP)
		okvm_reg_fetch(vcpu, OKVM_REG_RSP);
	return vcpu->arch->gpr[nr & 15];
}

static inline void okvm_gpr_set(struct okvm_vcpu *vcpu, unsigned int nr, unsigned long val)
{
	vcpu->arch->gpr[nr & 15] = val;
	okvm_reg_mark_dirty(vcpu, nr & 15);
}

static inline unsigned long okvm_rip(struct okvm_vcpu *vcpu)
{
	okvm_reg_fetch(vcpu, OKVM_REG_RIP);
	return vcpu->arch->rip;
}

static inline void okvm_rip_set(struct okvm_vcpu *vcpu, unsigned long rip)
{
	vcpu->arch->rip = rip;
	okvm_reg_mark_dirty(vcpu, OKVM_REG_RIP);
}

static inline unsigned long okvm_rflags(struct okvm_vcpu *vcpu)
{
	okvm_reg_fetch(vcpu, OKVM_REG_RFLAGS);
	return vcpu->arch->rflags;
}

static inline void okvm_rflags_set(struct okvm_vcpu *vcpu, unsigned long rflags)
{
	vcpu->arch->rflags = rflags;
	okvm_reg_mark_dirty(vcpu, OKVM_REG_RFLAGS);
}

static inline unsigned long okvm_cr0(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->cr0_guest_owned)
		okvm_reg_fetch(vcpu, OKVM_REG_CR0);
	return vcpu->arch->cr0;
}

static inline unsigned long okvm_cr3(struct okvm_vcpu *vcpu)
{
	okvm_reg_fetch(vcpu, OKVM_REG_CR3);
	return vcpu->arch->cr3;
}

static inline unsigned long okvm_cr4(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->cr4_guest_owned)
		okvm_reg_fetch(vcpu, OKVM_REG_CR4);
	return vcpu->arch->cr4;
}

static inline bool okvm_long_mode(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->efer & EFER_LMA;
}

/** okvm_cs_64bit() - the code segment is a 64-bit one */
bool okvm_cs_64bit(struct okvm_vcpu *vcpu);
/** okvm_linear_rip() - CS base + RIP, cut to 32 bits outside 64-bit code */
unsigned long okvm_linear_rip(struct okvm_vcpu *vcpu);
/** okvm_pass_insn() - RIP past an instruction of @len bytes; drops STI/MOV SS blocking */
void okvm_pass_insn(struct okvm_vcpu *vcpu, unsigned int len);
/** okvm_skip_insn() - likewise, and TF traps */
int okvm_skip_insn(struct okvm_vcpu *vcpu, unsigned int len);

/* EDX:EAX, as RDMSR, XSETBV and RDTSC use it */
static inline u64 okvm_edx_eax(struct okvm_vcpu *vcpu)
{
	return (u32)vcpu->arch->gpr[OKVM_REG_RAX] |
	       (u64)(u32)vcpu->arch->gpr[OKVM_REG_RDX] << 32;
}

static inline void okvm_set_edx_eax(struct okvm_vcpu *vcpu, u64 val)
{
	vcpu->arch->gpr[OKVM_REG_RAX] = (u32)val;
	vcpu->arch->gpr[OKVM_REG_RDX] = val >> 32;
}

/* ---- events: x86/event.c ---- */

void okvm_queue_exception(struct okvm_vcpu *vcpu, u8 vector);
void okvm_queue_exception_err(struct okvm_vcpu *vcpu, u8 vector, u32 error_code);
void okvm_queue_db(struct okvm_vcpu *vcpu, unsigned long dr6);
void okvm_queue_pf(struct okvm_vcpu *vcpu, unsigned long cr2, u32 error_code);
void okvm_queue_triple_fault(struct okvm_vcpu *vcpu);
/** okvm_reinject() - hardware was delivering this when the exit came (IDT vectoring information) */
void okvm_reinject_exception(struct okvm_vcpu *vcpu, u8 vector, bool has_error, u32 error_code);
void okvm_reinject_irq(struct okvm_vcpu *vcpu, u8 vector, bool soft, u8 insn_len);
void okvm_reinject_nmi(struct okvm_vcpu *vcpu);
/**
 * okvm_inject_events() - choose what the next entry delivers and which windows must open;
 * outcome
 */
int okvm_inject_events(struct okvm_vcpu *vcpu);
bool okvm_irq_allowed(struct okvm_vcpu *vcpu);	/* IF set, no shadow, nothing being reinjected */
/** okvm_has_injectable_irq() - an external interrupt waits (LAPIC, PIC or KVM_INTERRUPT) */
bool okvm_has_injectable_irq(struct okvm_vcpu *vcpu);
/** Interrupt or NMI window exits: forget the window, look again */
void okvm_window_opened(struct okvm_vcpu *vcpu);
/**
 * okvm_serve_fast() - after a fast exit: serve pending interrupts and timer ticks, IRQs off
 * Return: true if nothing is pending any more; else the run loop must look
 */
bool okvm_serve_fast(struct okvm_vcpu *vcpu);

/* ---- control registers: x86/cr.c. All return 0, or 1 for #GP (not yet queued). ---- */

int okvm_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0);
int okvm_set_cr3(struct okvm_vcpu *vcpu, unsigned long cr3);
int okvm_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4);
int okvm_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8);
unsigned long okvm_get_cr8(struct okvm_vcpu *vcpu);
int okvm_set_efer(struct okvm_vcpu *vcpu, u64 efer);
int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val);
int okvm_get_dr(struct okvm_vcpu *vcpu, int nr, unsigned long *val);
int okvm_set_dr(struct okvm_vcpu *vcpu, int nr, unsigned long val);
/** okvm_paging_changed() - tell mmu/ the new walk mode after CR0, CR4, EFER or CPUID changed */
void okvm_paging_changed(struct okvm_vcpu *vcpu);
/** okvm_update_dr7() - effective debug registers from guest_debug and DR7 */
void okvm_update_dr7(struct okvm_vcpu *vcpu);

/* ---- CPUID: x86/cpuid.c ---- */

/** okvm_cpuid() - what the guest's CPUID instruction returns; in: *eax, *ecx. Any IRQ state. */
void okvm_cpuid(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/**
 * okvm_cpuid_faults() - the guest has CPUID faulting on (MISC_FEATURES_ENABLES): #GP beyond CPL
 * 0
 */
static inline bool okvm_cpuid_faults(const struct okvm_vcpu *vcpu)
{
	return unlikely(vcpu->arch->misc_features & BIT(0));
}

/** okvm_cpuid_runtime() - bits that follow CR4, XCR0, APIC_BASE, MISC_ENABLE */
void okvm_cpuid_runtime(struct okvm_vcpu *vcpu);

/* ---- MSRs: x86/msr.c. One validator for guest and ioctl. ---- */

/**
 * enum okvm_msr_result
 * @OKVM_MSR_OK: done
 * @OKVM_MSR_GP: the guest gets #GP; an ioctl stops there
 * @OKVM_MSR_UNKNOWN: no such MSR (as #GP, but goes to userspace with KVM_MSR_EXIT_REASON_UNKNOWN)
 * @OKVM_MSR_FILTERED: the VMM's filter denies it
 */
enum okvm_msr_result {
	OKVM_MSR_OK = 0,
	OKVM_MSR_GP,
	OKVM_MSR_UNKNOWN,
	OKVM_MSR_FILTERED,
};

/** @host: by ioctl, not by the guest */
enum okvm_msr_result okvm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host);
enum okvm_msr_result okvm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);
/** okvm_emulate_rdmsr() - the guest's RDMSR/WRMSR exits: filter, user exit, #GP; an outcome */
int okvm_emulate_rdmsr(struct okvm_vcpu *vcpu, unsigned int insn_len);
int okvm_emulate_wrmsr(struct okvm_vcpu *vcpu, unsigned int insn_len);
/**
 * okvm_msr_ask_user() - an access that fails with @result, by an instruction of @insn_len bytes
 *
 * Return: true if userspace has asked for such failures: kvm_run is filled, and the next KVM_RUN
 * completes the instruction. False: it is #GP.
 */
bool okvm_msr_ask_user(struct okvm_vcpu *vcpu, enum okvm_msr_result result, u32 msr, bool write,
		       unsigned int insn_len);
/** okvm_rdmsr_fast() - IRQs off: true if @val is known without sleeping and no filter is set */
bool okvm_rdmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
bool okvm_wrmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val);
/** okvm_msr_allowed() - does the VMM's filter let the guest access @msr? For the MSR bitmap. */
bool okvm_msr_allowed(struct okvm_vcpu *vcpu, u32 msr, bool write);

/* ---- I/O and emulation: x86/emul_glue.c, x86/pio.c ---- */

/**
 * okvm_pio() - a non-string IN or OUT exit of @size 1, 2, 4
 * @insn_len: to skip. Return: outcome. IRQs on, vm->srcu held.
 */
int okvm_pio(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in, unsigned int insn_len);

/**
 * okvm_pio_fast() - the same with IRQs off, if an in-kernel device takes it
 * Return: true if done; the caller goes past the instruction. False: nothing happened.
 */
bool okvm_pio_fast(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in);
/**
 * okvm_pio_user() - the same exit, when it is known that no device takes it
 *
 * vcpu->arch->pio describes it.
 */
int okvm_pio_user(struct okvm_vcpu *vcpu);

/** enum okvm_emul_why - why an instruction is emulated; decides what a failure becomes */
enum okvm_emul_why {
	OKVM_EMUL_MMIO,		/* guest-physical access without memory; arg is the gpa */
	OKVM_EMUL_PIO,		/* string or otherwise complex port I/O */
	OKVM_EMUL_INVALID_STATE,	/* hardware cannot run this guest state */
	/* #UD that may be an instruction of the other vendor, or the forced-emulation prefix */
	OKVM_EMUL_UD,
	OKVM_EMUL_OTHER,	/* descriptor-table exits and the like */
};

/** okvm_emulate() - emulate the instruction at RIP. Return: outcome. vm->srcu held, IRQs on. */
int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa);
/**
 * okvm_emulate_known() - MMIO by the plain MOV that was emulated last, if that stands at RIP still
 * Return: false if not: nothing has happened. As okvm_emulate().
 */
bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, int *outcome);
/**
 * okvm_emul_deliver() - deliver by software the event that is marked as injected
 *
 * For state that hardware cannot run. Return: outcome. As okvm_emulate().
 */
int okvm_emul_deliver(struct okvm_vcpu *vcpu);

/** okvm_hypercall() - VMCALL. Return: outcome */
int okvm_hypercall(struct okvm_vcpu *vcpu, unsigned int insn_len);
/** okvm_hypercall_fast() - IRQs off; true if answered (unknown numbers, KICK_CPU, SEND_IPI) */
bool okvm_hypercall_fast(struct okvm_vcpu *vcpu);
/**
 * okvm_halt() - HLT: HALTED with an in-kernel LAPIC, else KVM_EXIT_HLT
 * @passed: outcome of going past the instruction: a debugger that steps over it gets its exit, and
 *	the vCPU halts all the same
 * Return: outcome
 */
int okvm_halt(struct okvm_vcpu *vcpu, int passed);
/**
 * okvm_task_switch() - a task switch that hardware leaves to software
 * @source: SDM "Exit Qualification for Task Switches": 0 CALL, 1 IRET, 2 JMP, 3 task gate
 * @insn_len: of the instruction that makes it, past which the old task goes on; 0 for an
 *	exception, interrupt or NMI, which is marked as injected
 * @error: error code to push, or NULL
 * Return: outcome. vm->srcu held, IRQs on.
 */
int okvm_task_switch(struct okvm_vcpu *vcpu, u16 selector, int source, unsigned int insn_len,
		     const u32 *error);
/** okvm_internal_error() - fill KVM_EXIT_INTERNAL_ERROR. Return: OKVM_USER */
int okvm_internal_error(struct okvm_vcpu *vcpu, u32 suberror, u32 ndata, const u64 *data);
/** okvm_debug_exit() - KVM_EXIT_DEBUG. Return: OKVM_USER */
int okvm_debug_exit(struct okvm_vcpu *vcpu, u8 vector, unsigned long dr6);

/* ---- reset, FPU, TSC ---- */

void okvm_vcpu_reset(struct okvm_vcpu *vcpu, bool init);
/** okvm_write_tsc_offset() and friends: x86/tsc.c */
void okvm_tsc_set_offset(struct okvm_vcpu *vcpu, u64 offset);
u64 okvm_guest_tsc(struct okvm_vcpu *vcpu, u64 host_tsc);

#endif /* OKVM_X86_X86_H */
