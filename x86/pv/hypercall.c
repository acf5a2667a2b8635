// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's hypercalls: the number is in RAX, the arguments are in RBX, RCX, RDX and RSI, and the
 * result goes to RAX. A hypercall that does not sleep, yield or exit to userspace is answered in a
 * fast exit, with IRQs off.
 */
#include <asm/tsc.h>

#include <uapi/asm/kvm_para.h>
#include <uapi/linux/kvm_para.h>

#include "core/trace_kvm.h"
#include "core/compat.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/pv/pv.h"
#include "x86/time/pvclock.h"
#include "x86/time/tsc.h"

/* A hypercall's number and arguments; outside 64-bit mode registers are cut to 32 bits. */
struct hypercall {
	unsigned long nr, a[4];
	bool mode64;
};

static struct hypercall read_call(struct okvm_vcpu *vcpu)
{
	const unsigned long *gpr = vcpu->arch->gpr;
	struct hypercall call = {
		.nr = gpr[OKVM_REG_RAX],
		.a = { gpr[OKVM_REG_RBX], gpr[OKVM_REG_RCX], gpr[OKVM_REG_RDX],
		       gpr[OKVM_REG_RSI] },
		.mode64 = okvm_cs_64bit(vcpu),
	};
	int i;

	if (!call.mode64) {
		call.nr = (u32)call.nr;
		for (i = 0; i < 4; i++)
			call.a[i] = (u32)call.a[i];
	}
	return call;
}

static void write_result(struct okvm_vcpu *vcpu, const struct hypercall *call, long ret)
{
	vcpu->arch->gpr[OKVM_REG_RAX] = call->mode64 ? ret : (u32)ret;
}

static long kick_cpu(struct okvm_vcpu *vcpu, u32 apic_id)
{
	struct okvm_vcpu *target;

	if (!okvm_pv_has(vcpu, KVM_FEATURE_PV_UNHALT))
		return -KVM_ENOSYS;
	/*
	 * Without an in-kernel LAPIC there is no target, but the hypercall still returns success.
	 */
	target = okvm_lapic_in_kernel(vcpu) ? okvm_apic_dest(vcpu->vm, apic_id) : NULL;
	if (target) {
		WRITE_ONCE(target->arch->pv->unhalted, true);
		okvm_request_kick(OKVM_REQ_PV, target);
	}
	return 0;
}

static long send_ipi(struct okvm_vcpu *vcpu, const struct hypercall *call)
{
	if (!okvm_pv_has(vcpu, KVM_FEATURE_PV_SEND_IPI))
		return -KVM_ENOSYS;
	return okvm_apic_pv_send_ipi(vcpu->vm, call->a[0], call->a[1], call->a[2], call->a[3],
				     call->mode64);
}

static long sched_yield_to(struct okvm_vcpu *vcpu, u32 apic_id)
{
	struct okvm_vcpu *target;

	if (!okvm_pv_has(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
		return -KVM_ENOSYS;
	vcpu->stat[OKVM_STAT_YIELD_TRIED]++;
	target = okvm_lapic_in_kernel(vcpu) ? okvm_apic_dest(vcpu->vm, apic_id) : NULL;
	/* Yield only to another vCPU, and only if the scheduler has preempted its thread. */
	if (target && target != vcpu && READ_ONCE(target->preempted) &&
	    okvm_vcpu_yield_to(target) > 0)
		vcpu->stat[OKVM_STAT_YIELDED]++;
	return 0;
}

static long clock_pairing(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned long type)
{
	struct kvm_clock_pairing pair = { 0 };
	u64 tsc, realtime;
	u32 nsec;

	if (type != KVM_CLOCK_PAIRING_WALLCLOCK || !okvm_clock_pair(&tsc, &realtime))
		return -KVM_EOPNOTSUPP;
	pair.sec = div_u64_rem(realtime, NSEC_PER_SEC, &nsec);
	pair.nsec = nsec;
	pair.tsc = okvm_arch_guest_tsc(vcpu, tsc);
	return okvm_write_guest(vcpu->vm, gpa, &pair, sizeof(pair)) ? -KVM_EFAULT : 0;
}

/* ---- KVM_HC_MAP_GPA_RANGE: userspace answers ---- */

static int complete_user_call(struct okvm_vcpu *vcpu)
{
	struct hypercall call = read_call(vcpu);

	if (unlikely(okvm_io_moved(vcpu)))
		return OKVM_RESUME;
	write_result(vcpu, &call, READ_ONCE(vcpu->run->hypercall.ret));
	return okvm_skip_insn(vcpu, vcpu->arch->exit_insn_len);
}

static bool map_range_legal(const struct hypercall *call)
{
	u64 gpa = call->a[0], npages = call->a[1], end;

	return npages && !(gpa & ~PAGE_MASK) && npages <= U64_MAX >> PAGE_SHIFT &&
	       !check_add_overflow(gpa, npages << PAGE_SHIFT, &end);
}

static int exit_map_range(struct okvm_vcpu *vcpu, const struct hypercall *call,
			  unsigned int insn_len)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = call->a[0];
	run->hypercall.args[1] = call->a[1];
	run->hypercall.args[2] = call->a[2];
	okvm_run_set_long_mode(run, call->mode64);
	vcpu->arch->exit_insn_len = insn_len;
	okvm_io_begin(vcpu, complete_user_call);
	return OKVM_USER;
}

/* ---- dispatch ---- */

/* Answer a hypercall with IRQs off. Return: false if @call needs IRQs on */
static bool answer_fast(struct okvm_vcpu *vcpu, const struct hypercall *call, long *ret)
{
	switch (call->nr) {
	case KVM_HC_VAPIC_POLL_IRQ:
		*ret = 0;
		return true;
	case KVM_HC_KICK_CPU:
		*ret = kick_cpu(vcpu, call->a[1]);
		return true;
	case KVM_HC_SEND_IPI:
		*ret = send_ipi(vcpu, call);
		return true;
	case KVM_HC_CLOCK_PAIRING:
	case KVM_HC_SCHED_YIELD:
	case KVM_HC_MAP_GPA_RANGE:
		return false;
	default:
		*ret = -KVM_ENOSYS;
		return true;
	}
}

static long answer_slow(struct okvm_vcpu *vcpu, const struct hypercall *call)
{
	switch (call->nr) {
	case KVM_HC_CLOCK_PAIRING:
		return clock_pairing(vcpu, call->a[0], call->a[1]);
	case KVM_HC_SCHED_YIELD:
		return sched_yield_to(vcpu, call->a[0]);
	case KVM_HC_MAP_GPA_RANGE:
		return vcpu->vm->arch->hypercall_exit_map_gpa ? -KVM_EINVAL : -KVM_ENOSYS;
	default:
		return -KVM_ENOSYS;
	}
}

int okvm_hypercall(struct okvm_vcpu *vcpu, unsigned int insn_len)
{
	struct hypercall call = read_call(vcpu);
	long ret;

	trace_kvm_hypercall(call.nr, call.a[0], call.a[1], call.a[2], call.a[3]);
	vcpu->stat[OKVM_STAT_HYPERCALLS]++;
	if (vcpu->arch->reg_ops->get_cpl(vcpu))
		ret = -KVM_EPERM;
	else if (call.nr == KVM_HC_MAP_GPA_RANGE && vcpu->vm->arch->hypercall_exit_map_gpa &&
		 map_range_legal(&call))
		return exit_map_range(vcpu, &call, insn_len);
	else if (!answer_fast(vcpu, &call, &ret))
		ret = answer_slow(vcpu, &call);
	write_result(vcpu, &call, ret);
	return okvm_skip_insn(vcpu, insn_len);
}

bool okvm_hypercall_fast(struct okvm_vcpu *vcpu)
{
	struct hypercall call = read_call(vcpu);
	long ret = -KVM_EPERM;

	if (!vcpu->arch->reg_ops->get_cpl(vcpu) && !answer_fast(vcpu, &call, &ret))
		return false;
	vcpu->stat[OKVM_STAT_HYPERCALLS]++;
	write_result(vcpu, &call, ret);
	return true;
}
