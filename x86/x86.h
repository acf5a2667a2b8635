/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The x86 state of a vCPU and of a VM, as far as it does not depend on the backend, with inline
 * accessors. The headers of x86's subdirectories declare other functions for this state. Only x86/
 * and the backends include this header.
 */
#ifndef OKVM_X86_X86_H
#define OKVM_X86_X86_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/types.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/tsc.h>

#include "core/backend.h"
#include "core/guestmem.h"
#include "core/hardware.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "x86/cpu_ops.h"

/**
 * struct okvm_host - what a backend can offer guests on this host; constant
 * @caps: capabilities of the backend, enum okvm_hw_caps
 * @cr4_reserved: CR4 bits that no guest may set
 * @efer_reserved: EFER bits that no guest may set
 * @xcr0, @xss: state components that guests may enable
 * @arch_capabilities: IA32_ARCH_CAPABILITIES that guests may see
 * @msr_needs: bits of enum msr_need, which select the MSRs of KVM_GET_MSR_INDEX_LIST
 * @cpuid: the table that KVM_GET_SUPPORTED_CPUID returns
 */
struct okvm_host {
	u32 caps;
	u64 cr4_reserved;
	u64 efer_reserved;
	u64 xcr0;
	u64 xss;
	u64 arch_capabilities;
	u32 msr_needs;
	struct okvm_host_cpuid *cpuid;	/* x86/cpuid/cpuid.c */
};

/** okvm_host_default() - Return what the default backend can offer, for system ioctls */
static inline const struct okvm_host *okvm_host_default(void)
{
	return okvm_default_offer->host;
}

/* DR6.BD and DR7.GD (SDM "Debug Registers"): only <linux/kvm_host.h> defines them in the kernel. */
#define DR6_BD	BIT(13)
#define DR7_GD	BIT(13)

/** enum okvm_reg - registers that are cached lazily, as bit numbers in arch->avail, ->dirty */
enum okvm_reg {
	OKVM_REG_RAX, OKVM_REG_RCX, OKVM_REG_RDX, OKVM_REG_RBX,
	OKVM_REG_RSP, OKVM_REG_RBP, OKVM_REG_RSI, OKVM_REG_RDI,
	OKVM_REG_R8, OKVM_REG_R9, OKVM_REG_R10, OKVM_REG_R11,
	OKVM_REG_R12, OKVM_REG_R13, OKVM_REG_R14, OKVM_REG_R15,
	OKVM_NR_GPRS,
	OKVM_REG_RIP = OKVM_NR_GPRS,
	OKVM_REG_RFLAGS,
	OKVM_REG_CR0,		/* guest-owned bits of CR0 */
	OKVM_REG_CR3,
	OKVM_REG_CR4,		/* guest-owned bits of CR4 */
	OKVM_REG_PDPTR,
};

/** struct okvm_exception - an exception that is pending for the guest or being injected */
struct okvm_exception {
	bool pending;		/* raised, but not yet injected */
	/* being injected; if a VM exit interrupts the delivery, okvm injects it again */
	bool injected;
	bool has_error;
	bool has_payload;	/* @payload is not yet in CR2 or DR6 */
	u8 vector;
	u32 error_code;
	unsigned long payload;	/* value for CR2 (#PF), bits for DR6 (#DB) */
};

/* NMIs that a vCPU keeps: one to be taken next, and one that waits for the end of the first. */
#define OKVM_MAX_NMIS	2

/** struct okvm_events - pending and injected events; x86/cpu/event.c decides their priority */
struct okvm_events {
	struct okvm_exception exc;
	struct {
		bool injected;	/* being delivered: inject it (again) before other events */
		bool soft;	/* INT n: injection needs the instruction length */
		u8 vector;
	} irq;
	u8 nmi_pending;		/* 0..OKVM_MAX_NMIS */
	/* NMIs that any thread has queued; serving OKVM_REQ_NMI moves them to nmi_pending */
	atomic_t nmi_queued;
	bool nmi_injected;
	/*
	 * length of the INT n, INT3 or INTO whose event is injected; 0: unknown, assume no prefixes
	 */
	u8 insn_len;
	/* length and address of the INT3 that caused the last #BP reported to a debugger */
	u8 bp_len;
	unsigned long bp_rip;
	/* pending vector of KVM_INTERRUPT, or -1; unused with an in-kernel PIC */
	s16 user_irq;
};

/** struct okvm_mtrr - the guest's MTRRs, stored only: they do not change memory types */
struct okvm_mtrr {
	u64 deftype;
	u64 fixed[11];
	u64 var[16];		/* PHYSBASE and PHYSMASK of each of 8 variable ranges */
};

/** struct okvm_mce - machine-check banks; the guest accesses them, KVM_X86_SET_MCE writes them */
#define OKVM_MCE_BANKS	32
struct okvm_mce {
	u64 cap, status, ctl, ext_ctl;
	u64 bank[OKVM_MCE_BANKS * 4];
	u64 ctl2[OKVM_MCE_BANKS];
};

/** struct okvm_guest_feat - features of the guest, computed from KVM_SET_CPUID2 */
struct okvm_guest_feat {
	u64 cr4_reserved;	/* CR4 bits that raise #GP if set */
	u64 efer_reserved;
	u64 xcr0_supported;	/* bits that XSETBV may set */
	u64 dr6_fixed1;
	u8 maxphyaddr;
	u64 gpa_reserved;	/* address bits beyond maxphyaddr */
	u32 pv;			/* EAX of leaf 0x40000001 (KVM_FEATURE_*) */
	bool longmode, nx, ffxsr, rdtscp, rdpid, tsc_deadline, tsc_adjust, x2apic, xsave, xsaves;
	bool invpcid, gbpages, spec_ctrl, stibp, ssbd, ibpb, flush_l1d, arch_cap, tsx_ctrl;
	bool mwait, bus_lock, umwait, sse3, rtm, pdcm, lock_cr8, osvw;
};

struct okvm_apf;

/**
 * struct okvm_pv_vcpu - state of kvmclock, steal time, async page faults, halt polling and PV
 * unhalt
 * @unhalted: set by other vCPUs' threads, cleared by the vCPU thread
 */
struct okvm_pv_vcpu {
	u64 clock_msr;
	struct okvm_gpa_cache clock;
	bool clock_active;
	/* a write of the kvmclock record is in progress or has failed; any thread reads the flag */
	bool clock_late;
	bool guest_stopped;	/* KVM_KVMCLOCK_CTRL: set GUEST_STOPPED once */

	u64 steal_msr;
	struct okvm_gpa_cache steal;
	u64 last_run_delay;
	bool told_preempted;	/* the preempted flag in the steal-time record is set */

	u64 poll_control;
	struct okvm_apf *apf;	/* x86/pv/async_pf.c */
	bool unhalted;
};

/**
 * enum okvm_msr_result - result of an MSR access
 * @OKVM_MSR_OK: the access succeeded
 * @OKVM_MSR_GP: RDMSR or WRMSR raises #GP; an ioctl stops at this MSR
 * @OKVM_MSR_UNKNOWN: the vCPU has no such MSR. The effects are those of @OKVM_MSR_GP. But if the
 *	access exits to userspace, run->msr.reason is KVM_MSR_EXIT_REASON_UNKNOWN
 * @OKVM_MSR_FILTERED: the MSR filter of userspace denies the access
 */
enum okvm_msr_result {
	OKVM_MSR_OK = 0,
	OKVM_MSR_GP,
	OKVM_MSR_UNKNOWN,
	OKVM_MSR_FILTERED,
};

/**
 * struct okvm_stay - state of the current stay in the guest
 * @rcu_reported: jiffies at the last quiescent state that was reported to RCU
 * @host_pkru: the host's PKRU, restored at the end of the stay
 * @host_db: the host's DR0 to DR3, if the host uses breakpoints; only for kernels that do not
 *	export hw_breakpoint_restore() to okvm
 * @dr_loaded: the CPU's debug registers hold guest values
 * @pio_missed: the last VM exit was for port I/O that no in-kernel device handled
 *
 * A stay begins when okvm switches IRQs off for a VM entry, and ends when IRQs are on again.
 */
struct okvm_stay {
	unsigned long rcu_reported;
	unsigned long host_db[4];
	u32 host_pkru;
	bool dr_loaded;
	bool pio_missed;
};

struct okvm_cpuid_table;	/* x86/cpuid/cpuid.h */
struct okvm_emulation;		/* x86/insn/emulation.h */
struct okvm_apf_queue;		/* x86/pv/async_pf.c */
struct okvm_msr_filter;		/* x86/msr/msr_filter.c */
struct okvm_fpu;			/* x86/cpu/fpu.h */

/**
 * struct okvm_arch_vcpu - the x86 state of a vCPU
 *
 * Guarded by vcpu->mutex unless a comment says otherwise. The functions in vmx/vmenter.S and
 * svm/vmrun.S get a pointer to @gpr.
 */
struct okvm_arch_vcpu {
	unsigned long gpr[OKVM_NR_GPRS];
	unsigned long rip;
	unsigned long rflags;
	u32 avail;		/* bits of enum okvm_reg: the copy in this struct is valid */
	u32 dirty;		/* bits of enum okvm_reg: the copy is newer than hardware's */
	/* The backend's tables of functions; constant. */
	const struct okvm_cpu_ops *ops;
	const struct okvm_reg_ops *reg_ops;
	const struct okvm_event_ops *event_ops;

	unsigned long cr0;
	unsigned long cr0_guest_owned;	/* CR0 bits that the guest can change without a VM exit */
	unsigned long cr2;
	unsigned long cr3;
	unsigned long cr4;
	unsigned long cr4_guest_owned;
	unsigned long cr8;	/* used only without an in-kernel LAPIC */
	u64 efer;
	u64 pdptrs[4];
	u64 apic_base;		/* used only without an in-kernel LAPIC */
	u64 xcr0;
	u64 ia32_xss;
	u32 pkru;

	struct okvm_events ev;

	/*
	 * db, dr6 and dr7 are the guest's registers. eff_db has the values that okvm loads into the
	 * CPU's DR0-DR3: those of db, or a debugger's breakpoints.
	 */
	unsigned long db[4];
	unsigned long dr6;
	unsigned long dr7;
	unsigned long eff_db[4];
	unsigned long guest_debug_dr7;	/* DR7 with a debugger's breakpoints */
	u32 guest_debug;	/* KVM_GUESTDBG_* */
	unsigned long singlestep_rip;	/* linear RIP at which a debugger's single-step began */
	/* the guest uses the CPU's debug registers: db, dr6 and dr7 are stale */
	bool debug_regs_live;

	u32 mp_state;		/* KVM_MP_STATE_*; other threads read it without the mutex */
	bool apf_halted;	/* halted by an async page fault; mp_state is RUNNABLE */

	/* CPUID */
	struct okvm_cpuid_table *cpuid;	/* NULL before KVM_SET_CPUID2 */
	struct okvm_guest_feat feat;
	bool pv_enforce;	/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */

	/* guest MSRs; those that affect the CPU are loaded into the CPU at VM entry */
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
	u64 hwcr, de_cfg;
	/* more guest MSRs; while the CPU holds the guest's value, the value here may be old */
	u64 star, lstar, cstar, sfmask, tsc_aux, kernel_gs_base;
	struct okvm_mtrr mtrr;
	struct okvm_mce mce;

	/* guest TSC = host TSC * tsc_ratio + tsc_offset */
	u64 tsc_offset;
	u64 tsc_ratio;		/* fixed point, okvm_tsc_ratio() */
	u32 tsc_khz;		/* the guest's */
	u64 last_host_tsc, last_guest_tsc;
	u64 tsc_generation;	/* all vCPUs with the same number have synchronous TSCs */
	u64 tsc_lost;		/* value of okvm_tsc_lost that @tsc_offset compensates */

	/* Paravirtual: x86/time/pvclock.c, x86/pv/hypercall.c, x86/pv/pv.c */
	struct okvm_pv_vcpu *pv;

	struct okvm_stay stay;

	/* FPU */
	struct okvm_fpu *fpu;
	bool fpu_loaded;

	/* Emulation and user exits */
	struct okvm_emulation *emul;
	struct {
		u16 port;
		u8 size;
		u8 insn_len;
		bool in;
		bool plain;	/* the IN or OUT is not in an interrupt shadow */
	} pio;
	bool io_touched;	/* an ioctl has changed registers since the exit to userspace */
	unsigned long io_linear_rip;	/* linear RIP before that change */
	u8 exit_insn_len;	/* length of the RDMSR, WRMSR or hypercall to be completed */
	u8 sipi_vector;		/* set by KVM_SET_VCPU_EVENTS for KVM_SET_MP_STATE(SIPI_RECEIVED) */
	u8 eoi_user_vector;
	bool tpr_write;		/* the TPR access of OKVM_REQ_TPR_EXIT is a write */
	unsigned long tpr_rip;	/* RIP of the instruction that makes this TPR access */
	u64 eoi_exit_bitmap[4];

	/* Whether the vCPU was at CPL 0 when its thread was last preempted */
	bool preempted_in_kernel;
	bool between_insns;	/* last VM exit: between two instructions (host interrupt) */
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
	/* created when a guest first enables async page faults */
	struct okvm_apf_queue *apf_queue;
	unsigned long nr_mmu_pages;	/* KVM_SET_NR_MMU_PAGES, 0 if not given */
	u64 identity_map_addr;		/* KVM_SET_IDENTITY_MAP_ADDR, 0 if not given */
	u32 max_vcpu_id;		/* KVM_CAP_MAX_VCPU_ID, 0 if not given */
	u32 default_tsc_khz;

	/* TSC matching and master clock; guarded by tsc_lock */
	raw_spinlock_t tsc_lock;
	/* last write of any vCPU's TSC: its time, the value, and the resulting TSC offset */
	u64 last_tsc_nsec, last_tsc_write, last_tsc_offset;
	u64 cur_tsc_offset;		/* offset of the newest generation */
	u32 last_tsc_khz;		/* TSC frequency of the vCPU whose TSC was written last */
	u64 cur_tsc_generation;		/* number of the newest generation */
	u64 nr_vcpus_matched_tsc;	/* number of vCPUs of the newest generation, minus 1 */
	u64 tsc_lost;			/* okvm_tsc_lost when @master_cycle_now was taken */
	bool use_master_clock;		/* all vCPUs share one pair of TSC and time */
	/* the shared pair: host's clock (okvm_clock_base_ns()) and host's TSC at one moment */
	u64 master_kernel_ns, master_cycle_now;
	s64 kvmclock_offset;		/* kvmclock minus okvm_clock_base_ns() */
	bool user_set_tsc;		/* userspace has written a vCPU's TSC */
	bool boot_old_clock;		/* vCPU 0 uses the old kvmclock MSRs: use no master clock */
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK as written */
	struct okvm_vm *vm;
	struct list_head clock_node;	/* on x86/time/pvclock.c's list of VMs */
};

/* ---- registers: inline, because every exit path uses them ---- */

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
		vcpu->arch->reg_ops->cache_reg(vcpu, reg);
}

/** okvm_gpr() - Read general register @nr (0..15, machine encoding) */
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

static inline bool okvm_paging(struct okvm_vcpu *vcpu)
{
	return okvm_cr0(vcpu) & X86_CR0_PG;
}

static inline bool okvm_pae_paging(struct okvm_vcpu *vcpu)
{
	return okvm_paging(vcpu) && (okvm_cr4(vcpu) & X86_CR4_PAE) && !okvm_long_mode(vcpu);
}

/** okvm_lapic_in_kernel() - Does the VM have in-kernel local APICs? */
static inline bool okvm_lapic_in_kernel(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic;
}

/** okvm_get_apic_base() - Return IA32_APIC_BASE, with or without an in-kernel LAPIC */
static inline u64 okvm_get_apic_base(struct okvm_vcpu *vcpu)
{
	return okvm_lapic_in_kernel(vcpu) ? okvm_apic_base(vcpu) : vcpu->arch->apic_base;
}

/** okvm_has_quirk() - Is KVM_X86_QUIRK_* enabled, that is, not disabled by userspace? */
static inline bool okvm_has_quirk(const struct okvm_vm *vm, u64 quirk)
{
	return !(vm->arch->disabled_quirks & quirk);
}

/* Return EDX:EAX, an operand of WRMSR and XSETBV. */
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

#endif /* OKVM_X86_X86_H */
