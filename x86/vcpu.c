// SPDX-License-Identifier: GPL-2.0-only
/* Create, reset, load, put and destroy the x86 part of a vCPU. */
#include <linux/slab.h>
#include <linux/sched.h>

#include <asm/apicdef.h>
#include <asm/debugreg.h>
#include <asm/kvm_para.h>

#include "core/arch.h"
#include "core/hardware.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/insn/insn.h"
#include "x86/msr/mce.h"
#include "x86/msr/msr.h"
#include "x86/msr/mtrr.h"
#include "x86/pv/pv.h"
#include "x86/run.h"
#include "x86/time/tsc.h"

#define RESET_CR0	(X86_CR0_NW | X86_CR0_CD | X86_CR0_ET)
#define RESET_RIP	0xfff0
/* EDX after RESET and INIT if the vCPU has no CPUID leaf 1: family 6, model 0, stepping 0. */
#define RESET_EDX	0x600

/* Reset segments (SDM "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"). */
static void vcpu_reset_segments(struct okvm_vcpu *vcpu)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	struct kvm_segment seg = {
		.limit = 0xffff, .type = 3, .present = 1, .s = 1,
	};
	struct kvm_dtable dt = { .limit = 0xffff };
	enum okvm_seg nr;

	for (nr = OKVM_SEG_ES; nr <= OKVM_SEG_GS; nr++)
		if (nr != OKVM_SEG_CS)
			ops->set_segment(vcpu, &seg, nr);
	seg.type = 11;
	seg.selector = 0xf000;
	seg.base = 0xffff0000;
	ops->set_segment(vcpu, &seg, OKVM_SEG_CS);
	seg = (struct kvm_segment) { .limit = 0xffff, .type = 2, .present = 1 };
	ops->set_segment(vcpu, &seg, OKVM_SEG_LDTR);
	seg.type = 11;
	ops->set_segment(vcpu, &seg, OKVM_SEG_TR);
	ops->set_dt(vcpu, &dt, false);
	ops->set_dt(vcpu, &dt, true);
}

static void vcpu_reset_debug(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	memset(arch->db, 0, sizeof(arch->db));
	arch->dr6 = DR6_RESERVED;
	arch->dr7 = 0x400;
	okvm_update_dr7(vcpu);
}

static void vcpu_reset_events(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	ev->exc = (struct okvm_exception) { };
	ev->irq.injected = false;
	ev->nmi_pending = 0;
	ev->nmi_injected = false;
	ev->user_irq = -1;
	atomic_set(&ev->nmi_queued, 0);
	vcpu->arch->event_ops->set_nmi_masked(vcpu, false);
	vcpu->arch->event_ops->set_irq_shadow(vcpu, 0);
}

static void vcpu_reset_gprs(struct okvm_vcpu *vcpu)
{
	u32 eax = 1, ebx, ecx = 0, edx;
	int reg;

	for (reg = 0; reg < OKVM_NR_GPRS; reg++)
		okvm_gpr_set(vcpu, reg, 0);
	okvm_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	okvm_gpr_set(vcpu, OKVM_REG_RDX, eax ? eax : RESET_EDX);
	okvm_rflags_set(vcpu, X86_EFLAGS_FIXED);
	okvm_rip_set(vcpu, RESET_RIP);
}

static void vcpu_reset(struct okvm_vcpu *vcpu, bool init)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	unsigned long old_cr0 = init ? okvm_cr0(vcpu) : 0;

	/*
	 * An INIT may come while an instruction waits for userspace, because KVM_GET_MP_STATE takes
	 * a pending INIT at any time. The next KVM_RUN must not complete that instruction. It finds
	 * out by comparing RIP with the old value, which this call records.
	 */
	okvm_io_touch(vcpu);
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_reset(vcpu, init);
	else if (!init)
		vcpu->arch->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
					(okvm_is_bsp(vcpu) ? MSR_IA32_APICBASE_BSP : 0);
	okvm_pv_reset(vcpu, init);
	okvm_fpu_reset(vcpu, init);
	okvm_msr_reset(vcpu, init);
	if (!init)
		okvm_mtrr_reset(vcpu);
	vcpu->arch->ops->vcpu_reset(vcpu, init);
	vcpu_reset_gprs(vcpu);
	vcpu->arch->cr2 = 0;
	vcpu->arch->cr3 = 0;
	okvm_reg_mark_dirty(vcpu, OKVM_REG_CR3);
	/* INIT keeps CD and NW. */
	if (init)
		old_cr0 &= X86_CR0_CD | X86_CR0_NW;
	ops->set_cr0(vcpu, init ? X86_CR0_ET | old_cr0 : RESET_CR0);
	ops->set_cr4(vcpu, 0);
	ops->set_efer(vcpu, 0);
	vcpu_reset_segments(vcpu);
	vcpu_reset_events(vcpu);
	vcpu_reset_debug(vcpu);
	okvm_paging_changed(vcpu);
	okvm_mmu_unload(vcpu);
	okvm_cpuid_runtime(vcpu);
	vcpu->arch->ops->update_intercepts(vcpu, OKVM_ICPT_EXCEPTIONS | OKVM_ICPT_CR);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	okvm_request(OKVM_REQ_TLB_FLUSH, vcpu);
}

void okvm_arch_vcpu_init(struct okvm_vcpu *vcpu)
{
	vcpu_reset(vcpu, true);
}

static int vcpu_create_parts(struct okvm_vcpu *vcpu)
{
	int err;

	okvm_cpuid_create(vcpu);
	okvm_msr_create(vcpu);
	okvm_mce_create(vcpu);
	okvm_tsc_vcpu_create(vcpu);
	err = okvm_pv_create(vcpu);
	if (!err)
		err = okvm_fpu_create(vcpu);
	if (!err)
		err = okvm_emul_create(vcpu);
	if (!err && okvm_irqchip_mode(vcpu->vm) != OKVM_IRQCHIP_NONE)
		err = okvm_apic_create(vcpu);
	if (!err)
		err = okvm_mmu_vcpu_create(vcpu);
	if (!err)
		err = vcpu->arch->ops->vcpu_create(vcpu);
	return err;
}

int okvm_arch_vcpu_create(struct okvm_vcpu *vcpu)
{
	int err;

	vcpu->arch = kzalloc(sizeof(*vcpu->arch), GFP_KERNEL_ACCOUNT);
	if (!vcpu->arch)
		return -ENOMEM;
	vcpu->arch->ops = vcpu->vm->backend->cpu;
	vcpu->arch->reg_ops = vcpu->vm->backend->regs;
	vcpu->arch->event_ops = vcpu->vm->backend->events;
	vcpu->arch->ev.user_irq = -1;
	err = vcpu_create_parts(vcpu);
	if (err)
		return err;
	vcpu->arch->mp_state = okvm_is_bsp(vcpu) || !okvm_lapic_in_kernel(vcpu) ?
			       KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	okvm_vcpu_load(vcpu);
	vcpu_reset(vcpu, false);
	okvm_vcpu_put(vcpu);
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
	return 0;
}

void okvm_arch_vcpu_online(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_online(vcpu);
	okvm_tsc_vcpu_online(vcpu);
}

/* Destroy a vCPU, perhaps a half-built one: a part that has not been created is NULL. */
void okvm_arch_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	if (!vcpu->arch)
		return;
	if (vcpu->apic)
		okvm_apic_destroy(vcpu);
	if (vcpu->hw)
		vcpu->arch->ops->vcpu_destroy(vcpu);
	if (vcpu->mmu)
		okvm_mmu_vcpu_destroy(vcpu);
	okvm_emul_destroy(vcpu);
	okvm_fpu_destroy(vcpu);
	okvm_pv_destroy(vcpu);
	okvm_cpuid_free(vcpu);
	kfree(vcpu->arch);
}

static bool steal_on(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->pv->steal_msr & KVM_MSR_ENABLED;
}

void okvm_arch_vcpu_load(struct okvm_vcpu *vcpu, int cpu)
{
	bool moved = vcpu->cpu != cpu;

	vcpu->arch->ops->vcpu_load(vcpu, cpu);
	vcpu->cpu = cpu;
	if (unlikely(vcpu->arch->tsc_lost != READ_ONCE(okvm_tsc_lost)))
		okvm_tsc_resume(vcpu);
	if (moved) {
		okvm_tsc_migrate(vcpu);
		if (vcpu->apic)
			okvm_apic_timer_migrate(vcpu);
	}
	if (steal_on(vcpu))
		okvm_request(OKVM_REQ_STEAL, vcpu);
}

void okvm_arch_vcpu_put(struct okvm_vcpu *vcpu)
{
	/*
	 * The scheduler calls this function when it preempts the thread, with the run queue's lock
	 * held and IRQs off. Do not call get_cpl() after a reboot has switched VMX off: it would
	 * fail and call okvm_vm_kill() under that lock. okvm_hardware_lost() returns true before
	 * VMX is switched off.
	 */
	if (vcpu->preempted && !okvm_hardware_lost())
		vcpu->arch->preempted_in_kernel = !vcpu->arch->reg_ops->get_cpl(vcpu);
	if (steal_on(vcpu))
		okvm_pv_put(vcpu);
	okvm_tsc_put(vcpu);
	vcpu->arch->ops->vcpu_put(vcpu);
}

/* ---- INIT and SIPI ---- */

/* Set CS:IP to an AP's start after a SIPI (SDM "MP Initialization Protocol Algorithm"). */
static void vcpu_start_at_sipi(struct okvm_vcpu *vcpu, u8 vector)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	struct kvm_segment cs;

	ops->get_segment(vcpu, &cs, OKVM_SEG_CS);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	ops->set_segment(vcpu, &cs, OKVM_SEG_CS);
	okvm_rip_set(vcpu, 0);
}

void okvm_vcpu_accept_events(struct okvm_vcpu *vcpu)
{
	u8 vector;

	if (!okvm_lapic_in_kernel(vcpu) || !okvm_apic_has_events(vcpu))
		return;
	if (okvm_apic_take_init(vcpu)) {
		vcpu_reset(vcpu, true);
		okvm_set_mp_state(vcpu, okvm_is_bsp(vcpu) ? KVM_MP_STATE_RUNNABLE :
							    KVM_MP_STATE_INIT_RECEIVED);
	}
	if (okvm_apic_take_sipi(vcpu, &vector) &&
	    vcpu->arch->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		vcpu_start_at_sipi(vcpu, vector);
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	}
}

/* ---- multiprocessor state ---- */

static long ioc_get_mp_state(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_mp_state *mp = arg.data;

	/* Execute an INIT or SIPI that the LAPIC holds, so that a snapshot contains its result. */
	okvm_vcpu_accept_events(vcpu);
	mp->mp_state = vcpu->arch->mp_state;
	if (mp->mp_state == KVM_MP_STATE_HALTED && okvm_pv_unhalted(vcpu))
		mp->mp_state = KVM_MP_STATE_RUNNABLE;
	return 0;
}

static long ioc_set_mp_state(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_mp_state *mp = arg.data;
	u32 state = mp->mp_state;

	switch (state) {
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_HALTED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		if (!okvm_lapic_in_kernel(vcpu))
			return okvm_refuse_vcpu(vcpu, "KVM_SET_MP_STATE: no LAPIC in the kernel");
		break;
	case KVM_MP_STATE_RUNNABLE:
		break;
	default:
		return okvm_refuse_vcpu(vcpu, "KVM_SET_MP_STATE: unknown state");
	}
	if (state == KVM_MP_STATE_SIPI_RECEIVED) {
		state = KVM_MP_STATE_INIT_RECEIVED;
		okvm_apic_set_sipi(vcpu, vcpu->arch->sipi_vector);
	}
	okvm_set_mp_state(vcpu, state);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

const struct okvm_ioctl okvm_mp_state_ioctls[] = {
	{ KVM_GET_MP_STATE,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_get_mp_state } },
	{ KVM_SET_MP_STATE,	OKVM_IOC_LOAD, { .vcpu = ioc_set_mp_state } },
	{ }
};
