/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of x86/ offer each other; never included from elsewhere.
 * Functions on a vCPU run in its thread (vcpu->mutex) unless they say otherwise.
 */
#ifndef OKVM_X86_INTERNAL_H
#define OKVM_X86_INTERNAL_H

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include <asm/fpu/api.h>

#include "irq/irq.h"
#include "mmu/mmu.h"
#include "x86/x86.h"

#define OKVM_IDENTITY_MAP_DEFAULT	0xfffbc000ULL	/* KVM_SET_IDENTITY_MAP_ADDR(0) */
#define OKVM_MAX_CPUID_ENTRIES	256	/* KVM_SET_CPUID2 accepts this many */

/**
 * struct okvm_host - what this host can offer any guest; constant after okvm_host_init()
 * @cr4_reserved: CR4 bits no guest may set
 * @efer_reserved: likewise for EFER
 * @xcr0, @xss: state components that guests may enable
 */
struct okvm_host {
	const struct okvm_backend *backend;
	u32 caps;			/* enum okvm_caps */
	u64 cr4_reserved;
	u64 efer_reserved;
	u64 xcr0;
	u64 xss;
	u64 arch_capabilities;
};

extern struct okvm_host okvm_host;

/**
 * okvm_host_init() - fill okvm_host, the supported CPUID and the MSR lists; clock notifier
 *
 * For okvm_arch_init(). Return: 0 or negative errno; nothing to undo on failure.
 */
int okvm_host_init(const struct okvm_backend *backend);
void okvm_host_exit(void);

/* ---- creation, reset and the end of a vCPU's and a VM's state, one set per subject ---- */

/** okvm_cpuid_create() - the guest's features before KVM_SET_CPUID2: all that the host offers */
void okvm_cpuid_create(struct okvm_vcpu *vcpu);
void okvm_cpuid_free(struct okvm_vcpu *vcpu);

/**
 * okvm_msr_create() - MSRs that only creation sets (ARCH_CAPABILITIES, PLATFORM_INFO,
 * UCODE_REV)
 */
void okvm_msr_create(struct okvm_vcpu *vcpu);
/** okvm_msr_reset() - MSRs of RESET, or INIT; not what okvm_set_efer() and the APIC do */
void okvm_msr_reset(struct okvm_vcpu *vcpu, bool init);
void okvm_mtrr_reset(struct okvm_vcpu *vcpu);
/** okvm_mce_create() - the banks as they are before KVM_X86_SETUP_MCE */
void okvm_mce_create(struct okvm_vcpu *vcpu);

/** okvm_fpu_create() - vcpu->arch->fpu. Return: 0 or -ENOMEM */
int okvm_fpu_create(struct okvm_vcpu *vcpu);
void okvm_fpu_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL fpu */
/** okvm_fpu_reset() - XCR0, XSS, and for INIT the components that INIT clears */
void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init);
/**
 * okvm_fpu_load() - the guest's registers in, the VMM's out; from run_begin, preemptible
 *
 * PKRU of the VMM stays in place: the kernel accesses its memory meanwhile.
 */
static inline void okvm_fpu_load(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(vcpu->arch->fpu, true);
	vcpu->arch->fpu_loaded = true;
}

static inline void okvm_fpu_put(struct okvm_vcpu *vcpu)
{
	if (!vcpu->arch->fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(vcpu->arch->fpu, false);
	vcpu->arch->fpu_loaded = false;
}

/** okvm_fpu_uabi_size() - bytes of KVM_GET_XSAVE2 */
unsigned int okvm_fpu_uabi_size(void);

/** okvm_pv_create() - vcpu->arch->pv. Return: 0 or -ENOMEM */
int okvm_pv_create(struct okvm_vcpu *vcpu);
void okvm_pv_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL pv */
void okvm_pv_reset(struct okvm_vcpu *vcpu, bool init);
/** okvm_pv_put() - the vCPU of a guest with steal time is unloaded: tell it so */
void okvm_pv_put(struct okvm_vcpu *vcpu);

/**
 * okvm_pv_unhalted() - KVM_HC_KICK_CPU named this vCPU: a HALTED one becomes runnable
 *
 * okvm_set_mp_state() calls okvm_pv_clear_unhalted() whenever the vCPU becomes runnable.
 */
bool okvm_pv_unhalted(const struct okvm_vcpu *vcpu);
void okvm_pv_clear_unhalted(struct okvm_vcpu *vcpu);
/** okvm_pv_set_unhalted() - another vCPU's thread does; any context */
void okvm_pv_set_unhalted(struct okvm_vcpu *target);

/** okvm_task_run_delay() - ns that this thread has waited for a CPU */
static inline u64 okvm_task_run_delay(void)
{
	return IS_ENABLED(CONFIG_SCHED_INFO) ? current->sched_info.run_delay : 0;
}

/** okvm_pv_poll_allowed() - for okvm_arch_poll_allowed(): POLL_CONTROL is not switched off */
bool okvm_pv_poll_allowed(const struct okvm_vcpu *vcpu);

/** okvm_tsc_vm_create() - vm->arch's TSC and clock fields */
void okvm_tsc_vm_create(struct okvm_vm *vm);
void okvm_tsc_vm_destroy(struct okvm_vm *vm);
/** okvm_tsc_vcpu_create() - frequency and ratio; before the backend's vcpu_create() */
void okvm_tsc_vcpu_create(struct okvm_vcpu *vcpu);
/** okvm_tsc_vcpu_online() - a new vCPU's TSC starts near 0, matched with its siblings' */
void okvm_tsc_vcpu_online(struct okvm_vcpu *vcpu);
/** okvm_tsc_migrate() - the vCPU is loaded on another CPU than last time. Preemption is off */
void okvm_tsc_migrate(struct okvm_vcpu *vcpu);
void okvm_tsc_put(struct okvm_vcpu *vcpu);
/** okvm_tsc_resume() - the host's TSC went back in sleep, the guest's does not. Preemption off */
void okvm_tsc_resume(struct okvm_vcpu *vcpu);
/** okvm_tsc_vm_resume() - likewise for what the VM's vCPUs have in common. Any context */
void okvm_tsc_vm_resume(struct okvm_vm *vm);
/* How far the host's TSC has gone back in all its sleeps since the module was loaded. */
extern u64 okvm_tsc_lost;

/** okvm_msr_filter_free() - of a dying VM */
void okvm_msr_filter_free(struct okvm_vm *vm);

/* ---- work of okvm_arch_serve_requests() ---- */

void okvm_pvclock_update(struct okvm_vcpu *vcpu);	/* OKVM_REQ_CLOCK; vm->srcu held */
void okvm_steal_update(struct okvm_vcpu *vcpu);		/* OKVM_REQ_STEAL; vm->srcu held */
void okvm_apf_ready(struct okvm_vcpu *vcpu);		/* OKVM_REQ_APF_READY; vm->srcu held */

/* ---- registers ---- */

/** okvm_guest_rflags() - RFLAGS without the TF that KVM_GUESTDBG_SINGLESTEP put there */
unsigned long okvm_guest_rflags(struct okvm_vcpu *vcpu);
/** okvm_guest_rflags_set() - the guest's RFLAGS; adds TF while it is being single-stepped */
void okvm_guest_rflags_set(struct okvm_vcpu *vcpu, unsigned long rflags);
/** okvm_is_linear_rip() - does the guest stand at linear address @lip? */
bool okvm_is_linear_rip(struct okvm_vcpu *vcpu, unsigned long lip);

/** okvm_io_begin() - userspace is asked to finish an access; @complete is an outcome */
static inline void okvm_io_begin(struct okvm_vcpu *vcpu, int (*complete)(struct okvm_vcpu *vcpu))
{
	vcpu->complete_io = complete;
	vcpu->arch->io_touched = false;
}

/** okvm_io_touch() - an ioctl is about to write RIP, CS, the mode or the shadow. Vcpu loaded */
void okvm_io_touch(struct okvm_vcpu *vcpu);

/** okvm_io_moved() - the vCPU does not stand any more at the instruction that is to be finished */
static inline bool okvm_io_moved(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->io_touched &&
	       !okvm_is_linear_rip(vcpu, vcpu->arch->io_linear_rip);
}

/** okvm_require_cpl0() - queues #GP(0) and returns false at CPL > 0 */
bool okvm_require_cpl0(struct okvm_vcpu *vcpu);
/** okvm_gp_or_skip() - end of an emulated instruction: #GP(0) if @gp, else past it. Outcome */
int okvm_gp_or_skip(struct okvm_vcpu *vcpu, bool gp, unsigned int insn_len);
/** okvm_canonical() - is @addr canonical for the guest's paging mode (CR4.LA57)? */
bool okvm_canonical(struct okvm_vcpu *vcpu, u64 addr);

/** okvm_get_apic_base() - IA32_APIC_BASE, wherever the local APIC lives */
u64 okvm_get_apic_base(struct okvm_vcpu *vcpu);
/** okvm_set_apic_base() - 0, or 1 for #GP. @host: any legal mode may follow any other */
int okvm_set_apic_base(struct okvm_vcpu *vcpu, u64 base, bool host);

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

/** okvm_has_quirk() - KVM_X86_QUIRK_*: not switched off by KVM_CAP_DISABLE_QUIRKS2 */
static inline bool okvm_has_quirk(const struct okvm_vm *vm, u64 quirk)
{
	return !(vm->arch->disabled_quirks & quirk);
}

/* ---- control registers: x86/cpu/cr.c ---- */

bool okvm_cr0_valid(unsigned long cr0);
bool okvm_cr4_valid(struct okvm_vcpu *vcpu, unsigned long cr4);
/** okvm_xcr0_valid() - would XSETBV take @xcr0 if @supported components exist? */
bool okvm_xcr0_valid(u64 xcr0, u64 supported);
/** okvm_load_efer() - EFER without checks, LMA as given (KVM_SET_SREGS, KVM_SET_MSRS) */
void okvm_load_efer(struct okvm_vcpu *vcpu, u64 efer);

/* ---- kvm_run's copies of the registers (KVM_CAP_SYNC_REGS) ---- */

/**
 * okvm_sync_regs_load() - take what kvm_dirty_regs names; first thing of KVM_RUN
 * Return: 0, or -EINVAL for unknown bits or refused registers. Vcpu loaded, vm->srcu held.
 */
int okvm_sync_regs_load(struct okvm_vcpu *vcpu);
/** okvm_sync_regs_store() - fill what kvm_valid_regs names; vcpu loaded */
void okvm_sync_regs_store(struct okvm_vcpu *vcpu);

/* ---- events as userspace sees them: x86/uapi/state_events.c ---- */

/** okvm_user_visible_irq() - vector of the interrupt that counts as injected, or -1 */
int okvm_user_visible_irq(const struct okvm_vcpu *vcpu);
void okvm_get_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);
/** okvm_set_vcpu_events() - 0 or -EINVAL; @events is normalised in place */
int okvm_set_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);

/* ---- CPUID ---- */

/** okvm_cpuid_find() - the entry KVM_SET_CPUID2 gave for @leaf, @sub; NULL if absent */
struct kvm_cpuid_entry2 *okvm_cpuid_find(struct okvm_vcpu *vcpu, u32 leaf, u32 sub);
/** okvm_host_cpuid_reg() - a register of the supported CPUID; 0 if absent. @reg 0..3: EAX..EDX */
u32 okvm_host_cpuid_reg(u32 leaf, u32 sub, int reg);
int okvm_cpuid_init(void);
/** okvm_host_cr4_reserved() - CR4 bits that the supported CPUID does not cover */
u64 okvm_host_cr4_reserved(void);
#define OKVM_DR6_FIXED1	0xfffe07f0ul	/* but for RTM (16) and bus lock (11): 1 if absent */
/** okvm_pv_has() - may the guest use KVM_FEATURE_@feature? */
bool okvm_pv_has(const struct okvm_vcpu *vcpu, u32 feature);

/* ---- MSRs by subject; results are enum okvm_msr_result ---- */

void okvm_msr_init_lists(void);
/** okvm_host_arch_capabilities() - IA32_ARCH_CAPABILITIES that guests may see */
u64 okvm_host_arch_capabilities(void);
int okvm_mtrr_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_mtrr_set(struct okvm_vcpu *vcpu, u32 msr, u64 val);
int okvm_mce_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host);
int okvm_mce_set(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);
int okvm_pv_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_pv_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);

/* ---- TSC and clock ---- */

/** okvm_tsc_write() - WRMSR IA32_TSC or KVM_SET_MSRS of it */
void okvm_tsc_write(struct okvm_vcpu *vcpu, u64 tsc, bool host);
/** okvm_tsc_adjust_write() - the guest wrote IA32_TSC_ADJUST: the offset moves along */
void okvm_tsc_adjust_write(struct okvm_vcpu *vcpu, u64 adjust, bool host);
int okvm_tsc_set_khz(struct okvm_vcpu *vcpu, u32 khz);
u64 okvm_tsc_scale(u64 tsc, u64 ratio);
/** okvm_masterclock_update() - take a new base of kvmclock; all vCPUs write it. May not sleep. */
void okvm_masterclock_update(struct okvm_vm *vm);
/** okvm_masterclock_possible() - can all vCPUs share one base now? Under arch->tsc_lock */
bool okvm_masterclock_possible(struct okvm_vm *vm);
/** okvm_clock_base_ns() - the host clock that kvmclock follows */
u64 okvm_clock_base_ns(void);
/** okvm_clock_pair() - host TSC and wall clock of one moment; false if the TSC is not the clock */
bool okvm_clock_pair(u64 *tsc, u64 *realtime_ns);
/** okvm_wall_clock_write() - MSR_KVM_WALL_CLOCK: the record at @gpa. vm->srcu held */
void okvm_wall_clock_write(struct okvm_vm *vm, gpa_t gpa);
/** okvm_pvclock_slots_changed() - slots are published: a vCPU's clock may have its memory */
void okvm_pvclock_slots_changed(struct okvm_vm *vm);
#define OKVM_PVCLOCK_SIZE	32	/* bytes of struct pvclock_vcpu_time_info */
/** okvm_kvmclock_ns() - the VM's kvmclock now, in ns */
u64 okvm_kvmclock_ns(struct okvm_vm *vm);
int okvm_clock_init(void);
void okvm_clock_exit(void);

/* ---- of the run loop (x86/run.c) ---- */

/** okvm_set_mp_state() - every change of mp_state; by the vCPU's own thread */
void okvm_set_mp_state(struct okvm_vcpu *vcpu, u32 state);
/** okvm_vcpu_accept_events() - INIT and SIPI that the LAPIC holds change mp_state. 0 or negative */
int okvm_vcpu_accept_events(struct okvm_vcpu *vcpu);

/* ---- I/O and emulation ---- */

/** okvm_pio_ask() - fill kvm_run for a port access; @data is what OUT writes */
void okvm_pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
		  const void *data, bool in);
/** okvm_emul_create() - vcpu->arch->emul. Return: 0 or -ENOMEM */
int okvm_emul_create(struct okvm_vcpu *vcpu);
void okvm_emul_destroy(struct okvm_vcpu *vcpu);

/** okvm_take_nmis() - queued NMIs become pending ones; OKVM_REQ_NMI */
void okvm_take_nmis(struct okvm_vcpu *vcpu);
/** okvm_is_bsp() - the vCPU that starts without INIT and SIPI */
bool okvm_is_bsp(const struct okvm_vcpu *vcpu);
/** okvm_ready_for_irq() - KVM_INTERRUPT would be taken at once (ready_for_interrupt_injection) */
bool okvm_ready_for_irq(struct okvm_vcpu *vcpu);

/* ---- ioctl handlers that x86/ioctls.c names, by file ---- */

long okvm_ioc_get_regs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_regs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_sregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_sregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_sregs2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_sregs2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_translate(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_get_fpu(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_fpu(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_xsave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_xsave2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_xsave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_xcrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_xcrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_get_vcpu_events(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_vcpu_events(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_mp_state(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_mp_state(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_interrupt(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_nmi(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_get_debugregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_debugregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_guest_debug(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_get_supported_cpuid(union okvm_ioctl_arg arg);
long okvm_ioc_get_emulated_cpuid(union okvm_ioctl_arg arg);
long okvm_ioc_set_cpuid(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_cpuid2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_cpuid2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_get_msr_index_list(union okvm_ioctl_arg arg);
long okvm_ioc_get_msr_feature_index_list(union okvm_ioctl_arg arg);
long okvm_ioc_sys_get_msrs(union okvm_ioctl_arg arg);
long okvm_ioc_get_msrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_msrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_msr_filter(struct okvm_vm *vm, union okvm_ioctl_arg arg);

long okvm_ioc_mce_cap_supported(union okvm_ioctl_arg arg);
long okvm_ioc_setup_mce(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_set_mce(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

long okvm_ioc_set_tsc_khz(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_tsc_khz(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_vm_set_tsc_khz(struct okvm_vm *vm, union okvm_ioctl_arg arg);
long okvm_ioc_vm_get_tsc_khz(struct okvm_vm *vm, union okvm_ioctl_arg arg);
long okvm_ioc_vcpu_has_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_vcpu_get_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_vcpu_set_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_kvmclock_ctrl(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
long okvm_ioc_get_clock(struct okvm_vm *vm, union okvm_ioctl_arg arg);
long okvm_ioc_set_clock(struct okvm_vm *vm, union okvm_ioctl_arg arg);

#endif /* OKVM_X86_INTERNAL_H */
