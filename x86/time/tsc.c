// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's time-stamp counter: guest TSC = host TSC * ratio + offset.
 *
 * A VMM that wants synchronous TSCs writes about the same value to the TSCs of all vCPUs. okvm
 * recognizes this if the new value differs by less than a second from what the TSC that was written
 * last has reached by now. okvm then gives both vCPUs the same offset. vCPUs with synchronous TSCs
 * form a generation. kvmclock can have a common base (x86/time/pvclock.c) only if all vCPUs are in
 * the newest generation.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/uaccess.h>

#include <asm/tsc.h>

#include "core/trace_kvm.h"
#include "core/arch.h"
#include "core/compat.h"
#include "x86/time/pvclock.h"
#include "x86/time/tsc.h"
#include "x86/time/tsc_ratio.h"

#define RATIO_ONE	BIT_ULL(OKVM_TSC_RATIO_BITS)
#define TOLERANCE_PPM	250		/* a frequency this near the host's needs no scaling */
/*
 * The host TSC of a deadline that does not fit in 64 bits. The value U64_MAX would be
 * OKVM_NO_DEADLINE, which makes the backend disarm the timer.
 */
#define NEVER		(U64_MAX - 1)

u64 okvm_tsc_scale(u64 tsc, u64 ratio)
{
	return ratio == RATIO_ONE ? tsc : mul_u64_u64_shr(tsc, ratio, OKVM_TSC_RATIO_BITS);
}

u64 okvm_arch_guest_tsc(struct okvm_vcpu *vcpu, u64 host_tsc)
{
	return okvm_tsc_scale(host_tsc, vcpu->arch->tsc_ratio) + vcpu->arch->tsc_offset;
}

u64 okvm_arch_host_tsc(struct okvm_vcpu *vcpu, u64 guest_tsc)
{
	u64 ratio = vcpu->arch->tsc_ratio;
	u64 now = rdtsc();
	u64 guest_now = okvm_arch_guest_tsc(vcpu, now);
	u64 delta = guest_tsc - guest_now;

	if (guest_tsc <= guest_now)
		return now;
	/* If the quotient does not fit in 64 bits, DIV would fault: do not divide then. */
	if (ratio != RATIO_ONE)
		delta = delta >> 16 >= ratio ? NEVER : mul_u64_u64_div_u64(delta, RATIO_ONE, ratio);
	return delta < NEVER - now ? now + delta : NEVER;
}

u32 okvm_arch_tsc_khz(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->tsc_khz;
}

static void set_offset(struct okvm_vcpu *vcpu, u64 offset)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	trace_kvm_write_tsc_offset(vcpu->id, arch->tsc_offset, offset);
	arch->tsc_offset = offset;
	arch->ops->update_intercepts(vcpu, OKVM_ICPT_TSC);
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_restart(vcpu);
}

/* Return the TSC offset that makes the guest's TSC equal to @tsc at this moment. */
static u64 offset_for(struct okvm_vcpu *vcpu, u64 tsc)
{
	return tsc - okvm_tsc_scale(rdtsc(), vcpu->arch->tsc_ratio);
}

static u64 ns_to_guest_cycles(const struct okvm_vcpu *vcpu, u64 ns)
{
	u32 rest;
	u64 ms = div_u64_rem(ns, NSEC_PER_MSEC, &rest);

	/* Split @ns into ms and rest, so that no product or quotient has more than 64 bits. */
	return ms * vcpu->arch->tsc_khz + (u64)rest * vcpu->arch->tsc_khz / NSEC_PER_MSEC;
}

/*
 * Record a TSC write: @tsc was written at time @ns, and the vCPU got @offset. @matched: the vCPU
 * joins the newest generation; otherwise it begins a new one.
 * Return: true if the VM's kvmclock base must be updated
 */
static bool note_write(struct okvm_vcpu *vcpu, u64 offset, u64 tsc, u64 ns, bool matched)
{
	struct okvm_arch_vm *avm = vcpu->vm->arch;
	struct okvm_arch_vcpu *arch = vcpu->arch;

	lockdep_assert_held(&avm->tsc_lock);
	avm->last_tsc_nsec = ns;
	avm->last_tsc_write = tsc;
	avm->last_tsc_khz = arch->tsc_khz;
	avm->last_tsc_offset = offset;
	arch->last_guest_tsc = tsc;
	if (!matched) {
		avm->cur_tsc_generation++;
		avm->cur_tsc_offset = offset;
		avm->nr_vcpus_matched_tsc = 0;
	} else if (arch->tsc_generation != avm->cur_tsc_generation) {
		avm->nr_vcpus_matched_tsc++;
	}
	arch->tsc_generation = avm->cur_tsc_generation;
	return avm->use_master_clock != okvm_masterclock_possible(vcpu->vm);
}

/*
 * Return true if a write of @tsc asks for a TSC that is synchronous with the other vCPUs' TSCs. The
 * VM's last TSC write was @elapsed_ns ago. The first rule that applies decides:
 * - The vCPU of the last write has another TSC frequency: no.
 * - @tsc is 0, as for a new vCPU: yes.
 * - Userspace has not written any TSC of the VM yet: no.
 * - Otherwise: yes if @tsc differs by less than a second from the value that the TSC of the last
 *   write has reached by now.
 */
static bool means_sync(const struct okvm_vcpu *vcpu, u64 tsc, u64 elapsed_ns)
{
	const struct okvm_arch_vm *avm = vcpu->vm->arch;
	u64 second = vcpu->arch->tsc_khz * 1000ULL;
	u64 expected;

	if (vcpu->arch->tsc_khz != avm->last_tsc_khz)
		return false;
	if (!tsc)
		return true;
	if (!avm->user_set_tsc)
		return false;
	expected = avm->last_tsc_write + ns_to_guest_cycles(vcpu, elapsed_ns);
	return tsc < expected + second && tsc + second > expected;
}

/*
 * Set the vCPU's TSC to @tsc: the value that userspace has written (@user), or 0 for a new vCPU. If
 * @tsc asks for a synchronous TSC (means_sync()), the vCPU joins the newest generation and gets the
 * offset of the generation. But if the host's TSC is unstable, the vCPU gets its own offset: the
 * TSC becomes @tsc plus the time since the VM's last TSC write.
 */
static void synchronize(struct okvm_vcpu *vcpu, u64 tsc, bool user)
{
	struct okvm_arch_vm *avm = vcpu->vm->arch;
	u64 offset, ns, elapsed;
	unsigned long flags;
	bool matched, update;

	raw_spin_lock_irqsave(&avm->tsc_lock, flags);
	ns = okvm_clock_base_ns();
	elapsed = ns - avm->last_tsc_nsec;
	offset = offset_for(vcpu, tsc);
	matched = means_sync(vcpu, tsc, elapsed);
	avm->user_set_tsc |= user;
	if (matched) {
		if (!check_tsc_unstable())
			offset = avm->cur_tsc_offset;
		else
			offset = offset_for(vcpu, tsc + ns_to_guest_cycles(vcpu, elapsed));
	}
	update = note_write(vcpu, offset, tsc, ns, matched);
	raw_spin_unlock_irqrestore(&avm->tsc_lock, flags);

	set_offset(vcpu, offset);
	if (update)
		okvm_masterclock_update(vcpu->vm);
	okvm_request(OKVM_REQ_CLOCK, vcpu);
}

/* Add @by to the TSC offset, and update what depends on the offset. */
static void move_offset(struct okvm_vcpu *vcpu, u64 by)
{
	set_offset(vcpu, vcpu->arch->tsc_offset + by);
	if (vcpu->arch->pv->clock_active)
		okvm_request(OKVM_REQ_CLOCK, vcpu);
}

void okvm_tsc_write(struct okvm_vcpu *vcpu, u64 tsc, bool host)
{
	u64 by;

	if (host) {
		synchronize(vcpu, tsc, true);
		return;
	}
	/* A write to the TSC also changes TSC_ADJUST (SDM "Time-Stamp Counter Adjustment"). */
	by = offset_for(vcpu, tsc) - vcpu->arch->tsc_offset;
	vcpu->arch->tsc_adjust += by;
	move_offset(vcpu, by);
}

void okvm_tsc_adjust_write(struct okvm_vcpu *vcpu, u64 adjust, bool host)
{
	u64 by = adjust - vcpu->arch->tsc_adjust;

	if (!vcpu->arch->feat.tsc_adjust)
		return;
	vcpu->arch->tsc_adjust = adjust;
	if (!host)
		move_offset(vcpu, by);
}

/* ---- suspend of the host, in which some machines reset the TSC of all CPUs ---- */

/* okvm_arch_sleeps() writes okvm_tsc_lost and tsc_asleep, with one CPU online and IRQs off. */
u64 okvm_tsc_lost;
static u64 tsc_asleep;

void okvm_arch_sleeps(bool begins)
{
	u64 now = rdtsc();

	if (begins)
		tsc_asleep = now;
	else if (now < tsc_asleep && !check_tsc_unstable())
		WRITE_ONCE(okvm_tsc_lost, okvm_tsc_lost + tsc_asleep - now);
}

void okvm_tsc_vm_resume(struct okvm_vm *vm)
{
	struct okvm_arch_vm *avm = vm->arch;
	u64 lost = READ_ONCE(okvm_tsc_lost);
	unsigned long flags;
	bool changed;

	if (likely(READ_ONCE(avm->tsc_lost) == lost))
		return;
	raw_spin_lock_irqsave(&avm->tsc_lock, flags);
	changed = avm->tsc_lost != lost;
	WRITE_ONCE(avm->tsc_lost, lost);
	/*
	 * Make means_sync() return false at the next TSC write: that must not be compared with a
	 * write before the suspend.
	 */
	avm->last_tsc_khz = 0;
	raw_spin_unlock_irqrestore(&avm->tsc_lock, flags);
	if (changed)
		okvm_masterclock_update(vm);
}

/* Arm the LAPIC timer again: a new offset changes the host TSC at which the timer is due. */
static void rearm_timer(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu)) {
		okvm_apic_timer_place(vcpu, false);
		okvm_apic_timer_place(vcpu, true);
	}
}

void okvm_tsc_resume(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	u64 lost = READ_ONCE(okvm_tsc_lost);
	u64 by = lost - arch->tsc_lost;

	arch->tsc_lost = lost;
	move_offset(vcpu, okvm_tsc_scale(by, arch->tsc_ratio));
	rearm_timer(vcpu);
	okvm_tsc_vm_resume(vcpu->vm);
}

/* ---- frequency ---- */

static bool within_tolerance(u32 khz)
{
	u64 slack = div_u64((u64)tsc_khz * TOLERANCE_PPM, 1000000);

	return khz >= tsc_khz - slack && khz <= tsc_khz + slack;
}

/* Compute *@ratio for @khz. Return: 0, or -EINVAL if this CPU cannot scale to @khz */
static int choose_ratio(const struct okvm_vm *vm, u32 khz, u64 *ratio)
{
	const struct okvm_cpu_ops *cpu = vm->backend->cpu;

	*ratio = RATIO_ONE;
	if (!khz || !tsc_khz)
		return -EINVAL;
	if (within_tolerance(khz))
		return 0;
	if (!(vm->caps & OKVM_HW_TSC_SCALING))
		return -EINVAL;
	*ratio = okvm_tsc_ratio(khz, tsc_khz, cpu->tsc_int_bits, cpu->tsc_frac_bits);
	return *ratio ? 0 : -EINVAL;
}

static int set_khz(struct okvm_vcpu *vcpu, u32 khz)
{
	u64 ratio;
	int ret = choose_ratio(vcpu->vm, khz, &ratio);

	if (ret)
		return okvm_refuse_vcpu(vcpu, "TSC frequency: this CPU cannot show guests such a one");
	vcpu->arch->tsc_khz = khz;
	vcpu->arch->tsc_ratio = ratio;
	set_offset(vcpu, vcpu->arch->tsc_offset);
	okvm_request(OKVM_REQ_CLOCK, vcpu);
	return 0;
}

/* Return the frequency that KVM_SET_TSC_KHZ asks for: 0 means the host's. */
static u32 khz_of_arg(unsigned long num)
{
	return num ? min_t(unsigned long, num, U32_MAX) : tsc_khz;
}

static long ioc_set_tsc_khz(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return set_khz(vcpu, khz_of_arg(arg.num));
}

static long ioc_get_tsc_khz(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return vcpu->arch->tsc_khz;
}

static long ioc_vm_set_tsc_khz(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	u32 khz = khz_of_arg(arg.num);
	u64 ratio;

	if (vm->created_vcpus)
		return okvm_refuse(vm, "KVM_SET_TSC_KHZ: there are vCPUs");
	if (choose_ratio(vm, khz, &ratio))
		return okvm_refuse(vm, "KVM_SET_TSC_KHZ: this CPU cannot show that");
	vm->arch->default_tsc_khz = khz;
	return 0;
}

static long ioc_vm_get_tsc_khz(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return vm->arch->default_tsc_khz;
}

/* ---- life cycle ---- */

void okvm_tsc_vcpu_create(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	u32 khz = vcpu->vm->arch->default_tsc_khz;

	arch->tsc_khz = khz;
	arch->tsc_lost = READ_ONCE(okvm_tsc_lost);
	if (choose_ratio(vcpu->vm, khz, &arch->tsc_ratio))
		arch->tsc_khz = max(tsc_khz, 1u);
	arch->tsc_offset = -okvm_tsc_scale(rdtsc(), arch->tsc_ratio);
}

void okvm_tsc_vcpu_online(struct okvm_vcpu *vcpu)
{
	okvm_vcpu_load(vcpu);
	synchronize(vcpu, 0, false);
	okvm_vcpu_put(vcpu);
	/* Decide anew whether all vCPUs can share a kvmclock base: all TSCs must be synchronous. */
	okvm_masterclock_update(vcpu->vm);
}

void okvm_tsc_migrate(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	/*
	 * If the CPUs' TSCs may differ, let the guest's TSC continue from its value at
	 * okvm_tsc_put().
	 */
	if (unlikely(check_tsc_unstable()) && arch->last_guest_tsc) {
		arch->tsc_offset = offset_for(vcpu, arch->last_guest_tsc);
		arch->ops->update_intercepts(vcpu, OKVM_ICPT_TSC);
		rearm_timer(vcpu);
		okvm_request(OKVM_REQ_CLOCK, vcpu);
	}
	/* Without a common base, write the vCPU's kvmclock record anew, from the new CPU's TSC. */
	if (!READ_ONCE(vcpu->vm->arch->use_master_clock))
		okvm_request(OKVM_REQ_CLOCK, vcpu);
}

void okvm_tsc_put(struct okvm_vcpu *vcpu)
{
	vcpu->arch->last_host_tsc = rdtsc();
	vcpu->arch->last_guest_tsc = okvm_arch_guest_tsc(vcpu, vcpu->arch->last_host_tsc);
}

/* ---- KVM_VCPU_TSC_CTRL: get and set the offset itself ---- */

static int check_attr(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET ? 0 : -ENXIO;
}

static long ioc_vcpu_has_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return check_attr(arg.data);
}

static long ioc_vcpu_get_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_device_attr *attr = arg.data;
	int ret = check_attr(attr);

	if (ret)
		return ret;
	return put_user(vcpu->arch->tsc_offset, (u64 __user *)(unsigned long)attr->addr);
}

static long ioc_vcpu_set_attr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct okvm_arch_vm *avm = vcpu->vm->arch;
	const struct kvm_device_attr *attr = arg.data;
	int ret = check_attr(attr);
	unsigned long flags;
	bool matched, update;
	u64 offset, tsc;

	if (ret)
		return ret;
	if (get_user(offset, (u64 __user *)(unsigned long)attr->addr))
		return -EFAULT;
	raw_spin_lock_irqsave(&avm->tsc_lock, flags);
	matched = avm->last_tsc_khz == vcpu->arch->tsc_khz && avm->last_tsc_offset == offset;
	tsc = okvm_tsc_scale(rdtsc(), vcpu->arch->tsc_ratio) + offset;
	update = note_write(vcpu, offset, tsc, okvm_clock_base_ns(), matched);
	avm->user_set_tsc = true;
	raw_spin_unlock_irqrestore(&avm->tsc_lock, flags);

	set_offset(vcpu, offset);
	if (update)
		okvm_masterclock_update(vcpu->vm);
	okvm_request(OKVM_REQ_CLOCK, vcpu);
	return 0;
}

const struct okvm_ioctl okvm_tsc_vm_ioctls[] = {
	{ KVM_SET_TSC_KHZ,	OKVM_IOC_SCALAR | OKVM_IOC_LOCK, { .vm = ioc_vm_set_tsc_khz } },
	{ KVM_GET_TSC_KHZ,	OKVM_IOC_SCALAR, { .vm = ioc_vm_get_tsc_khz } },
	{ }
};

const struct okvm_ioctl okvm_tsc_vcpu_ioctls[] = {
	{ KVM_SET_TSC_KHZ,	OKVM_IOC_LOAD | OKVM_IOC_SCALAR, { .vcpu = ioc_set_tsc_khz } },
	{ KVM_GET_TSC_KHZ,	OKVM_IOC_SCALAR, { .vcpu = ioc_get_tsc_khz } },
	{ KVM_HAS_DEVICE_ATTR,	OKVM_IOC_LOAD, { .vcpu = ioc_vcpu_has_attr } },
	{ KVM_GET_DEVICE_ATTR,	OKVM_IOC_LOAD, { .vcpu = ioc_vcpu_get_attr } },
	{ KVM_SET_DEVICE_ATTR,	OKVM_IOC_LOAD, { .vcpu = ioc_vcpu_set_attr } },
	{ }
};

/* ---- files in debugfs ---- */

static s64 tsc_show_offset(struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch->tsc_offset);
}

static s64 tsc_show_ratio(struct okvm_vcpu *vcpu)
{
	unsigned int frac_bits = vcpu->vm->backend->cpu->tsc_frac_bits;

	return READ_ONCE(vcpu->arch->tsc_ratio) >> (OKVM_TSC_RATIO_BITS - frac_bits);
}

static s64 tsc_show_ratio_bits(struct okvm_vcpu *vcpu)
{
	return vcpu->vm->backend->cpu->tsc_frac_bits;
}

const struct okvm_vcpu_file okvm_arch_vcpu_files[] = {
	{ "tsc-offset", tsc_show_offset, 0 },
	{ "tsc-scaling-ratio", tsc_show_ratio, OKVM_HW_TSC_SCALING },
	{ "tsc-scaling-ratio-frac-bits", tsc_show_ratio_bits, OKVM_HW_TSC_SCALING },
	{ }
};
