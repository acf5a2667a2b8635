// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handle the paravirtual MSRs, steal time, halt polling and PV unhalt. Asynchronous page faults are
 * in async_pf.c.
 */
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/asm/kvm_para.h>

#include "core/compat.h"
#include "mmu/hw_ops.h"
#include "x86/cpuid/cpuid.h"
#include "x86/pv/async_pf.h"
#include "x86/pv/pv.h"
#include "x86/time/pvclock.h"

#define STEAL_FIELD(field)	offsetof(struct kvm_steal_time, field)
static_assert(sizeof(struct kvm_steal_time) == 64);

int okvm_pv_create(struct okvm_vcpu *vcpu)
{
	vcpu->arch->pv = kzalloc(sizeof(*vcpu->arch->pv), GFP_KERNEL_ACCOUNT);
	if (!vcpu->arch->pv)
		return -ENOMEM;
	vcpu->arch->pv->poll_control = 1;
	vcpu->arch->pv->apf = okvm_apf_create(vcpu);
	return vcpu->arch->pv->apf ? 0 : -ENOMEM;
}

void okvm_pv_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	if (!pv)
		return;
	okvm_apf_destroy(pv->apf);
	kfree(pv);
	vcpu->arch->pv = NULL;
}

void okvm_pv_reset(struct okvm_vcpu *vcpu, bool init)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	/* As in upstream, a reset ends okvm's writes to the paravirtual records in guest memory. */
	pv->clock_active = false;
	pv->clock_msr = 0;
	pv->steal_msr = 0;
	okvm_apf_reset(vcpu);
	WRITE_ONCE(pv->unhalted, false);
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_set_pv_eoi(vcpu, 0);
}

/* ---- steal time ---- */

/* Return the nanoseconds that this thread has waited for a CPU. */
static u64 task_run_delay(void)
{
	return IS_ENABLED(CONFIG_SCHED_INFO) ? current->sched_info.run_delay : 0;
}

static gpa_t steal_gpa(const struct okvm_pv_vcpu *pv)
{
	return pv->steal_msr & KVM_STEAL_VALID_BITS;
}

/*
 * Clear the preempted flag in the guest's steal-time record, because the vCPU runs again. If
 * another vCPU has set KVM_VCPU_FLUSH_TLB in the same byte (instead of sending an IPI), flush the
 * TLB.
 * Return: false if the record cannot be written
 */
static bool clear_preempted(struct okvm_vcpu *vcpu)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;
	gpa_t gpa = steal_gpa(pv) + STEAL_FIELD(preempted);
	u64 old = KVM_VCPU_PREEMPTED;
	int ret, tries;

	for (tries = 0; tries < 16; tries++) {
		ret = okvm_cmpxchg_guest(vcpu->vm, gpa, 1, &old, 0);
		if (ret <= 0)
			break;
	}
	if (ret < 0)
		return false;
	/*
	 * ret is 1 if every try has failed, because the guest kept changing the byte. It may have
	 * set KVM_VCPU_FLUSH_TLB, so flush the TLB in this case, too.
	 */
	if (okvm_pv_has(vcpu, KVM_FEATURE_PV_TLB_FLUSH) && (ret || old & KVM_VCPU_FLUSH_TLB))
		okvm_mmu_invalidate(vcpu, OKVM_INVPCID_ALL, 0, 0);
	pv->told_preempted = false;
	return true;
}

void okvm_steal_update(struct okvm_vcpu *vcpu)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;
	struct okvm_vm *vm = vcpu->vm;
	u64 run_delay, steal;
	u32 version;

	if (!(pv->steal_msr & KVM_MSR_ENABLED) || !clear_preempted(vcpu))
		return;
	if (okvm_cache_read(vm, &pv->steal, &version, STEAL_FIELD(version), sizeof(version)) ||
	    okvm_cache_read(vm, &pv->steal, &steal, STEAL_FIELD(steal), sizeof(steal)))
		return;
	version = (version + 1) | 1;
	if (okvm_cache_write(vm, &pv->steal, &version, STEAL_FIELD(version), sizeof(version)))
		return;
	smp_wmb();	/* version is odd before the value changes */
	run_delay = task_run_delay();
	steal += run_delay - pv->last_run_delay;
	pv->last_run_delay = run_delay;
	okvm_cache_write(vm, &pv->steal, &steal, STEAL_FIELD(steal), sizeof(steal));
	smp_wmb();	/* the value has changed before version is even */
	version++;
	okvm_cache_write(vm, &pv->steal, &version, STEAL_FIELD(version), sizeof(version));
}

/*
 * Set the preempted flag in the guest's steal-time record. Preemption is off, so this function
 * cannot wait for the record's page: if the page is absent, do nothing.
 */
void okvm_pv_put(struct okvm_vcpu *vcpu)
{
	static const u8 preempted = KVM_VCPU_PREEMPTED;
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;
	int idx;

	/*
	 * Set the flag only between instructions. While it is set, another vCPU may change page
	 * tables and leave the TLB flush to this vCPU's next VM entry. If okvm continued the
	 * emulation of an instruction before that, it would use old translations (CVE-2022-39189).
	 */
	if (pv->told_preempted || !vcpu->arch->between_insns || current->mm != vcpu->vm->mm)
		return;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	pagefault_disable();
	if (!okvm_cache_write(vcpu->vm, &pv->steal, &preempted, STEAL_FIELD(preempted), 1))
		pv->told_preempted = true;
	pagefault_enable();
	srcu_read_unlock(&vcpu->vm->srcu, idx);
}

static int set_steal(struct okvm_vcpu *vcpu, u64 val)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	if (!sched_info_on() || val & KVM_STEAL_RESERVED_MASK)
		return OKVM_MSR_GP;
	pv->steal_msr = val;
	pv->told_preempted = false;
	if (!(val & KVM_MSR_ENABLED))
		return OKVM_MSR_OK;
	/*
	 * okvm_cache_init() fails if no memory slot contains the record. A slot may be created
	 * later, so let the cache look for the record at its first use.
	 */
	if (okvm_cache_init(vcpu->vm, &pv->steal, steal_gpa(pv), sizeof(struct kvm_steal_time)))
		pv->steal = (struct okvm_gpa_cache) {
			.gpa = steal_gpa(pv),
			.len = sizeof(struct kvm_steal_time),
		};
	pv->last_run_delay = task_run_delay();
	okvm_request(OKVM_REQ_STEAL, vcpu);
	return OKVM_MSR_OK;
}

/* ---- MSRs ---- */

/* KVM_FEATURE_* that each MSR needs, indexed by the low bits of the MSR's number. */
static const u8 feature_of[] = {
	[MSR_KVM_WALL_CLOCK_NEW & 0xf] = KVM_FEATURE_CLOCKSOURCE2,
	[MSR_KVM_SYSTEM_TIME_NEW & 0xf] = KVM_FEATURE_CLOCKSOURCE2,
	[MSR_KVM_ASYNC_PF_EN & 0xf] = KVM_FEATURE_ASYNC_PF,
	[MSR_KVM_STEAL_TIME & 0xf] = KVM_FEATURE_STEAL_TIME,
	[MSR_KVM_PV_EOI_EN & 0xf] = KVM_FEATURE_PV_EOI,
	[MSR_KVM_POLL_CONTROL & 0xf] = KVM_FEATURE_POLL_CONTROL,
	[MSR_KVM_ASYNC_PF_INT & 0xf] = KVM_FEATURE_ASYNC_PF_INT,
	[MSR_KVM_ASYNC_PF_ACK & 0xf] = KVM_FEATURE_ASYNC_PF_INT,
};

static bool pv_msr_exists(const struct okvm_vcpu *vcpu, u32 msr)
{
	if (msr == MSR_KVM_WALL_CLOCK || msr == MSR_KVM_SYSTEM_TIME)
		return okvm_pv_has(vcpu, KVM_FEATURE_CLOCKSOURCE);
	return okvm_pv_has(vcpu, feature_of[msr & 7]);
}

int okvm_pv_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	const struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	if (!pv_msr_exists(vcpu, msr))
		return OKVM_MSR_UNKNOWN;
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*val = vcpu->vm->arch->wall_clock;
		break;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*val = pv->clock_msr;
		break;
	case MSR_KVM_STEAL_TIME:
		*val = pv->steal_msr;
		break;
	case MSR_KVM_PV_EOI_EN:
		*val = okvm_apic_pv_eoi_msr(vcpu);
		break;
	case MSR_KVM_POLL_CONTROL:
		*val = pv->poll_control;
		break;
	default:
		*val = okvm_apf_get_msr(vcpu, msr);
		break;
	}
	return OKVM_MSR_OK;
}

static void set_system_time(struct okvm_vcpu *vcpu, u64 val, bool old, bool host)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;
	struct okvm_arch_vm *avm = vcpu->vm->arch;

	/*
	 * A VM whose boot vCPU uses the old kvmclock MSRs has no master clock. The boot vCPU has
	 * changed from old to new MSRs or back: decide anew.
	 */
	if (!vcpu->id && !host && avm->boot_old_clock != old) {
		avm->boot_old_clock = old;
		okvm_masterclock_update(vcpu->vm);
	}
	pv->clock_msr = val;
	pv->clock_active = val & 1;
	/*
	 * Look for the kvmclock record later: a VMM may restore MSRs before it creates memory
	 * slots.
	 */
	pv->clock = (struct okvm_gpa_cache) { .gpa = val & ~1ULL, .len = OKVM_PVCLOCK_SIZE };
	okvm_request(OKVM_REQ_CLOCK, vcpu);
}

static int set_pv_eoi(struct okvm_vcpu *vcpu, u64 val)
{
	if (!okvm_lapic_in_kernel(vcpu))
		return val ? OKVM_MSR_GP : OKVM_MSR_OK;
	/* Do a skipped EOI before the flag moves: the flag at the old address tells about it. */
	okvm_apic_pv_eoi_exit(vcpu);
	return okvm_apic_set_pv_eoi(vcpu, val) ? OKVM_MSR_GP : OKVM_MSR_OK;
}

int okvm_pv_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	if (!pv_msr_exists(vcpu, msr))
		return OKVM_MSR_UNKNOWN;
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->vm->arch->wall_clock = val;
		okvm_wall_clock_write(vcpu->vm, val);
		return OKVM_MSR_OK;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		set_system_time(vcpu, val, msr == MSR_KVM_SYSTEM_TIME, host);
		return OKVM_MSR_OK;
	case MSR_KVM_STEAL_TIME:
		return set_steal(vcpu, val);
	case MSR_KVM_PV_EOI_EN:
		return set_pv_eoi(vcpu, val);
	case MSR_KVM_POLL_CONTROL:
		if (val & ~1ULL)
			return OKVM_MSR_GP;
		pv->poll_control = val;
		return OKVM_MSR_OK;
	default:
		return okvm_apf_set_msr(vcpu, msr, val);
	}
}
