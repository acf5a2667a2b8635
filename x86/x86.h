/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The x86 state of a vCPU and of a VM that is the same for every backend, and
 * inline accessors. The functions on it are in the headers of the rooms. Only
 * x86/ and the backends include this.
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
 * struct okvm_host - what guests of a backend can be offered on this host; constant
 * @caps: enum okvm_hw_caps of the backend
 * @cr4_reserved: CR4 bits no guest may set
 * @efer_reserved: likewise for EFER
 * @xcr0, @xss: state components that guests may enable
 * @msr_needs: MSRs that KVM_GET_MSR_INDEX_LIST names: bits of enum msr_need
 * @cpuid: what KVM_GET_SUPPORTED_CPUID answers
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

/** okvm_host_default() - of VMs that ask for nothing else: what system ioctls tell about */
static inline const struct okvm_host *okvm_host_default(void)
{
	return okvm_default_offer->host;
}

/* DR6.BD and DR7.GD, which the kernel's headers do not name: SDM "Debug Registers". */
#define DR6_BD	BIT(13)
#define DR7_GD	BIT(13)

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

/** struct okvm_events - what is to be delivered; priorities are decided in x86/cpu/event.c */
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
	u8 insn_len;		/* of a soft event being re-injected; 0: as without prefixes */
	u8 bp_len;		/* of the breakpoint at @bp_rip that a debugger was told of */
	unsigned long bp_rip;
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
 * struct okvm_pv_vcpu - kvmclock, steal time, PV EOI, polling and unhalt
 * @unhalted: written by other vCPUs' threads, cleared by the vCPU's own
 */
struct okvm_pv_vcpu {
	u64 clock_msr;
	struct okvm_gpa_cache clock;
	bool clock_active;
	bool clock_late;	/* its record could not be written: other threads read it */
	bool guest_stopped;	/* tell the guest once that it was paused */

	u64 steal_msr;
	struct okvm_gpa_cache steal;
	u64 last_run_delay;
	bool told_preempted;	/* the record says that the vCPU does not run */

	u64 poll_control;
	struct okvm_apf *apf;	/* x86/pv/async_pf.c */
	bool unhalted;
};

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

/**
 * struct okvm_stay - of the present stay in the guest, x86/stay.h
 * @rcu_reported: jiffies at the last report of a quiescent state
 * @host_db: DR0 to DR3 of the host while it has breakpoints, where the kernel does not restore them
 * @dr_loaded: the CPU's debug registers are the guest's
 * @pio_missed: the exit is port I/O and no device in the kernel took it
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
 * Guarded by vcpu->mutex unless a field says otherwise. @gpr, @rip and
 * @rflags come first: vmx/vmenter.S addresses @gpr by the pointer alone.
 */
struct okvm_arch_vcpu {
	unsigned long gpr[OKVM_NR_GPRS];
	unsigned long rip;
	unsigned long rflags;
	u32 avail;		/* enum okvm_reg bits: the copy here is current */
	u32 dirty;		/* ... and hardware's is older */
	/* The backend's; constant. */
	const struct okvm_cpu_ops *ops;
	const struct okvm_reg_ops *reg_ops;
	const struct okvm_event_ops *event_ops;

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

	/* CPUID */
	struct okvm_cpuid_table *cpuid;	/* NULL before KVM_SET_CPUID2 */
	struct okvm_guest_feat feat;
	bool pv_enforce;	/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */

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
	u64 hwcr, de_cfg;
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
		bool plain;	/* no STI or MOV SS blocking ends with the instruction */
	} pio;
	bool io_touched;	/* userspace has written registers since the exit under way */
	unsigned long io_linear_rip;	/* ... and where the vCPU stood before it did */
	u8 exit_insn_len;	/* of the instruction of a KVM_EXIT_X86_RDMSR/WRMSR under way */
	u8 sipi_vector;		/* KVM_SET_VCPU_EVENTS, for KVM_SET_MP_STATE(SIPI_RECEIVED) */
	u8 eoi_user_vector;
	u64 eoi_exit_bitmap[4];

	/* KVM_GET_VCPU_EVENTS and friends */
	bool preempted_in_kernel;
	bool between_insns;	/* no instruction is being emulated or completed */
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
	unsigned long nr_mmu_pages;	/* KVM_SET_NR_MMU_PAGES, stored only */
	u32 max_vcpu_id;		/* KVM_CAP_MAX_VCPU_ID, 0 if not given */
	u32 default_tsc_khz;

	/* TSC matching and master clock, guarded by @tsc_lock. */
	raw_spinlock_t tsc_lock;
	u64 last_tsc_nsec, last_tsc_write, last_tsc_offset;
	u64 cur_tsc_offset;
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
	struct list_head clock_node;	/* on x86/time/pvclock.c's list of VMs */
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
		vcpu->arch->reg_ops->cache_reg(vcpu, reg);
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

static inline bool okvm_paging(struct okvm_vcpu *vcpu)
{
	return okvm_cr0(vcpu) & X86_CR0_PG;
}

static inline bool okvm_pae_paging(struct okvm_vcpu *vcpu)
{
	return okvm_paging(vcpu) && (okvm_cr4(vcpu) & X86_CR4_PAE) && !okvm_long_mode(vcpu);
}

/** okvm_lapic_in_kernel() - the VM has in-kernel local APICs */
static inline bool okvm_lapic_in_kernel(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic;
}

/** okvm_get_apic_base() - IA32_APIC_BASE, wherever the local APIC lives */
static inline u64 okvm_get_apic_base(struct okvm_vcpu *vcpu)
{
	return okvm_lapic_in_kernel(vcpu) ? okvm_apic_base(vcpu) : vcpu->arch->apic_base;
}

/** okvm_has_quirk() - KVM_X86_QUIRK_*: not switched off by KVM_CAP_DISABLE_QUIRKS2 */
static inline bool okvm_has_quirk(const struct okvm_vm *vm, u64 quirk)
{
	return !(vm->arch->disabled_quirks & quirk);
}

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

#endif /* OKVM_X86_X86_H */
