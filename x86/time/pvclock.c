// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmclock: okvm writes a base, a pair of TSC value and time, to guest memory. The guest computes
 * the current time from the base and its TSC.
 *
 * If the host's clock source is the TSC and the TSCs of all vCPUs are synchronous, all vCPUs get
 * one base (the "master clock"), and a flag tells the guest that it may compare times of different
 * vCPUs. To take the base, upstream copies the timekeeper's internals, but okvm takes both values
 * by okvm_snapshot_get().
 */
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pvclock_gtod.h>
#include <linux/timekeeper_internal.h>
#include <linux/workqueue.h>

#include <asm/pvclock.h>
#include <asm/tsc.h>
#include <asm/vdso/clocksource.h>

#include "core/trace_kvm.h"
#include "core/arch.h"
#include "core/compat.h"
#include "x86/time/pvclock.h"
#include "x86/time/tsc.h"

/* True if the TSC is the host's clock source. Only the timekeeper's notifier writes this. */
static bool host_clock_is_tsc;

/* List of all VMs, for the notifier's work item; clock_lock guards it. */
static DEFINE_MUTEX(clock_lock);
static LIST_HEAD(clock_vms);

/* ---- the host's clock ---- */

u64 okvm_clock_base_ns(void)
{
	/* Use raw boot time, which NTP does not steer: the guest assumes a constant rate. */
	return ktime_get_raw_ns() + ktime_to_ns(ktime_mono_to_any(0, TK_OFFS_BOOT));
}

static u64 base_ns_of(const struct okvm_snapshot *snap)
{
	return snap->raw_ns + ktime_to_ns(ktime_mono_to_any(0, TK_OFFS_BOOT));
}

static void update_all(struct work_struct *work)
{
	struct okvm_arch_vm *avm;

	mutex_lock(&clock_lock);
	list_for_each_entry(avm, &clock_vms, clock_node)
		okvm_masterclock_update(avm->vm);
	mutex_unlock(&clock_lock);
}

static DECLARE_WORK(update_work, update_all);

static void queue_update(struct irq_work *work)
{
	queue_work(system_long_wq, &update_work);
}

static DEFINE_IRQ_WORK(update_irq_work, queue_update);

/*
 * The host's clock source may have changed. If so, update the VMs later: the timekeeper's lock is
 * held here.
 */
static int clock_changed(struct notifier_block *nb, unsigned long unused, void *priv)
{
	const struct timekeeper *tk = priv;
	bool is_tsc = tk->tkr_mono.clock->vdso_clock_mode == VDSO_CLOCKMODE_TSC;

	if (is_tsc != READ_ONCE(host_clock_is_tsc)) {
		WRITE_ONCE(host_clock_is_tsc, is_tsc);
		irq_work_queue(&update_irq_work);
	}
	return 0;
}

static struct notifier_block clock_nb = { .notifier_call = clock_changed };

int okvm_clock_init(void)
{
	return pvclock_gtod_register_notifier(&clock_nb);
}

void okvm_clock_exit(void)
{
	pvclock_gtod_unregister_notifier(&clock_nb);
	irq_work_sync(&update_irq_work);
	cancel_work_sync(&update_work);
}

bool okvm_clock_pair(u64 *tsc, u64 *realtime_ns)
{
	struct okvm_snapshot snap;

	if (!READ_ONCE(host_clock_is_tsc))
		return false;
	okvm_snapshot_get(&snap);
	*tsc = snap.tsc;
	*realtime_ns = snap.real_ns;
	return true;
}

/* ---- the base of a VM's kvmclock ---- */

bool okvm_masterclock_possible(struct okvm_vm *vm)
{
	const struct okvm_arch_vm *avm = vm->arch;

	lockdep_assert_held(&avm->tsc_lock);
	return READ_ONCE(host_clock_is_tsc) && !check_tsc_unstable() && !avm->boot_old_clock &&
	       avm->nr_vcpus_matched_tsc + 1 == atomic_read(&vm->online_vcpus);
}

/* Take a new base of kvmclock. If @set is true, also set kvmclock to the time @clock. */
static void take_base(struct okvm_vm *vm, bool set, u64 clock)
{
	struct okvm_arch_vm *avm = vm->arch;
	struct okvm_snapshot snap;
	unsigned long flags;
	u64 now;

	raw_spin_lock_irqsave(&avm->tsc_lock, flags);
	okvm_snapshot_get(&snap);
	now = base_ns_of(&snap);
	avm->master_kernel_ns = now;
	avm->master_cycle_now = snap.tsc;
	WRITE_ONCE(avm->use_master_clock, okvm_masterclock_possible(vm));
	if (set)
		avm->kvmclock_offset = clock - now;
	raw_spin_unlock_irqrestore(&avm->tsc_lock, flags);
	okvm_request_all(vm, OKVM_REQ_CLOCK, false);
}

void okvm_masterclock_update(struct okvm_vm *vm)
{
	take_base(vm, false, 0);
}

void okvm_clock_vm_create(struct okvm_vm *vm)
{
	struct okvm_arch_vm *avm = vm->arch;

	raw_spin_lock_init(&avm->tsc_lock);
	avm->vm = vm;
	avm->tsc_lost = READ_ONCE(okvm_tsc_lost);
	avm->default_tsc_khz = max(tsc_khz, 1u);
	avm->kvmclock_offset = -okvm_clock_base_ns();
	mutex_lock(&clock_lock);
	list_add(&avm->clock_node, &clock_vms);
	mutex_unlock(&clock_lock);
}

void okvm_clock_vm_destroy(struct okvm_vm *vm)
{
	struct okvm_arch_vm *avm = vm->arch;

	mutex_lock(&clock_lock);
	if (avm->vm)
		list_del(&avm->clock_node);
	avm->vm = NULL;
	mutex_unlock(&clock_lock);
}

/* ns = ((cycles << shift) * mul) >> 32; shift may be negative */
struct tsc_scale {
	u32 mul;
	s8 shift;
};

/* Choose shift so that bit 31 of mul is set: that is the highest precision. */
static struct tsc_scale scale_of(u32 khz)
{
	struct tsc_scale s = { 0 };
	u64 hz = khz * 1000ULL;

	for (; hz > 2ULL * NSEC_PER_SEC; s.shift--)
		hz >>= 1;
	for (; hz <= NSEC_PER_SEC; s.shift++)
		hz <<= 1;
	s.mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
	return s;
}

static u64 cycles_to_ns(struct tsc_scale s, u64 cycles)
{
	cycles = s.shift < 0 ? cycles >> -s.shift : cycles << s.shift;
	return mul_u64_u32_shr(cycles, s.mul, 32);
}

/*
 * Read the host's TSC into *@tsc and kvmclock into *@ns, both of the same moment.
 * Return: true if the values are the base that all vCPUs share; false if they were read just now
 */
static bool read_base(struct okvm_vm *vm, u64 *tsc, u64 *ns)
{
	struct okvm_arch_vm *avm = vm->arch;
	unsigned long flags;
	bool master;

	okvm_tsc_vm_resume(vm);
	raw_spin_lock_irqsave(&avm->tsc_lock, flags);
	master = avm->use_master_clock;
	if (master) {
		*tsc = avm->master_cycle_now;
		*ns = avm->master_kernel_ns;
	} else {
		*tsc = rdtsc();
		*ns = okvm_clock_base_ns();
	}
	*ns += avm->kvmclock_offset;
	raw_spin_unlock_irqrestore(&avm->tsc_lock, flags);
	return master;
}

static u64 kvmclock_ns(struct okvm_vm *vm)
{
	u64 tsc, ns, now;

	if (!read_base(vm, &tsc, &ns))
		return ns;
	now = rdtsc_ordered();
	return ns + cycles_to_ns(scale_of(tsc_khz), now - tsc);
}

/* ---- the guest's record ---- */

/*
 * Write the guest's kvmclock record. The record's version is odd during the write: the guest then
 * reads again.
 * Return: false if no memory slot contains the record
 */
static bool write_record(struct okvm_vcpu *vcpu, struct pvclock_vcpu_time_info *info)
{
	struct okvm_gpa_cache *cache = &vcpu->arch->pv->clock;
	struct pvclock_vcpu_time_info old;
	struct okvm_vm *vm = vcpu->vm;

	if (okvm_cache_read(vm, cache, &old, 0, sizeof(old)))
		return false;
	info->version = (old.version + 1) | 1;
	info->flags |= old.flags & PVCLOCK_GUEST_STOPPED;
	if (okvm_cache_write(vm, cache, &info->version, 0, sizeof(info->version)))
		return false;
	smp_wmb();	/* version is odd before any value changes */
	okvm_cache_write(vm, cache, info, 0, sizeof(*info));
	smp_wmb();	/* all values have changed before version is even */
	info->version++;
	okvm_cache_write(vm, cache, &info->version, 0, sizeof(info->version));
	trace_kvm_pvclock_update(vcpu->id, info);
	return true;
}

/*
 * Write the kvmclock record. If that fails, set clock_late, so that okvm_arch_slots_changed()
 * retries.
 */
static void write_record_or_wait(struct okvm_vcpu *vcpu, struct pvclock_vcpu_time_info *info)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;

	WRITE_ONCE(pv->clock_late, true);
	/*
	 * Set clock_late before the memory slots are read. okvm_arch_slots_changed() reads
	 * clock_late after they have changed. So either the new slots are seen here, or clock_late
	 * is seen there.
	 */
	smp_mb();
	if (!write_record(vcpu, info))
		return;
	WRITE_ONCE(pv->clock_late, false);
	pv->guest_stopped = false;
}

/* Retry failed writes of kvmclock records: a new memory slot may contain the records. */
void okvm_arch_slots_changed(struct okvm_vm *vm)
{
	struct okvm_vcpu *vcpu;
	unsigned long i;

	/*
	 * Read clock_late after the slots have changed. Pairs with smp_mb() in
	 * write_record_or_wait().
	 */
	smp_mb();
	okvm_for_each_vcpu(i, vcpu, vm)
		if (READ_ONCE(vcpu->arch->pv->clock_late))
			okvm_request_kick(OKVM_REQ_CLOCK, vcpu);
}

void okvm_pvclock_update(struct okvm_vcpu *vcpu)
{
	struct okvm_pv_vcpu *pv = vcpu->arch->pv;
	struct pvclock_vcpu_time_info info = { 0 };
	struct tsc_scale s;
	u64 tsc, ns;
	u32 khz;

	if (!pv->clock_active) {
		WRITE_ONCE(pv->clock_late, false);
		return;
	}
	if (read_base(vcpu->vm, &tsc, &ns))
		info.flags |= PVCLOCK_TSC_STABLE_BIT;
	/*
	 * This is the real frequency of the guest's TSC. It may differ a little from what userspace
	 * set.
	 */
	khz = okvm_tsc_scale(tsc_khz, vcpu->arch->tsc_ratio);
	s = scale_of(max(khz, 1u));
	info.tsc_timestamp = okvm_arch_guest_tsc(vcpu, tsc);
	info.system_time = ns;
	info.tsc_to_system_mul = s.mul;
	info.tsc_shift = s.shift;
	if (pv->guest_stopped)
		info.flags |= PVCLOCK_GUEST_STOPPED;
	write_record_or_wait(vcpu, &info);
}

void okvm_wall_clock_write(struct okvm_vm *vm, gpa_t gpa)
{
	struct pvclock_wall_clock wc = { 0 };
	u32 version, nsec;
	u64 wall;

	if (!gpa || okvm_read_guest(vm, gpa, &version, sizeof(version)))
		return;
	version = (version + 1) | 1;
	if (okvm_write_guest(vm, gpa, &version, sizeof(version)))
		return;
	/* Write the wall-clock time at which kvmclock was 0: the guest adds its kvmclock to it. */
	wall = ktime_get_real_ns() - kvmclock_ns(vm);
	wc.sec = div_u64_rem(wall, NSEC_PER_SEC, &nsec);
	wc.nsec = nsec;
	wc.version = version;
	okvm_write_guest(vm, gpa, &wc, sizeof(wc));
	version++;
	okvm_write_guest(vm, gpa, &version, sizeof(version));
}

/* ---- ioctls ---- */

#define CLOCK_FLAGS	(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

static long ioc_get_clock(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_clock_data *data = arg.data;
	u64 tsc, ns, now, realtime;

	if (!read_base(vm, &tsc, &ns)) {
		data->clock = ns;
		return 0;
	}
	data->flags = KVM_CLOCK_TSC_STABLE;
	if (okvm_clock_pair(&now, &realtime)) {
		data->flags |= KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
		data->realtime = realtime;
		data->host_tsc = now;
	} else {
		now = rdtsc_ordered();
	}
	data->clock = ns + cycles_to_ns(scale_of(tsc_khz), now - tsc);
	return 0;
}

static long ioc_set_clock(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_clock_data *data = arg.data;
	u64 clock = data->clock;
	u64 now;

	if (data->flags & ~CLOCK_FLAGS)
		return okvm_refuse(vm, "KVM_SET_CLOCK: unknown flags");
	if (data->flags & KVM_CLOCK_REALTIME) {
		/* Add the time since the VMM saved the clock, if it is positive. */
		now = ktime_get_real_ns();
		if (now > data->realtime)
			clock += now - data->realtime;
	}
	take_base(vm, true, clock);
	return 0;
}

static long ioc_kvmclock_ctrl(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	if (!vcpu->arch->pv->clock_active)
		return okvm_refuse_vcpu(vcpu, "KVM_KVMCLOCK_CTRL: the guest has no kvmclock");
	vcpu->arch->pv->guest_stopped = true;
	okvm_request(OKVM_REQ_CLOCK, vcpu);
	return 0;
}

const struct okvm_ioctl okvm_pvclock_vm_ioctls[] = {
	{ KVM_GET_CLOCK,	0, { .vm = ioc_get_clock } },
	{ KVM_SET_CLOCK,	0, { .vm = ioc_set_clock } },
	{ }
};

const struct okvm_ioctl okvm_pvclock_vcpu_ioctls[] = {
	{ KVM_KVMCLOCK_CTRL,	OKVM_IOC_LOAD | OKVM_IOC_SCALAR, { .vcpu = ioc_kvmclock_ctrl } },
	{ }
};
