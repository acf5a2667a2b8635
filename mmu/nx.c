// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mitigation of iTLB multihit (CVE-2018-12207): huge pages are not executable. When the guest
 * fetches code from a huge page, a table with small pages replaces the huge page. Recovery removes
 * such tables after a while. The next access that is no fetch then maps the huge page again.
 *
 * For recovery, upstream has a kernel thread per VM that wakes up in every period, and a list of
 * the tables. okvm has a delayed work per VM, which is queued only while the VM has such tables.
 * With two-dimensional paging, a bit of the entry that points to a table marks such a table.
 */
#include <linux/capability.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core/compat.h"
#include "mmu/internal.h"

#define NX_PERIOD_MAX_MS	(60u * 60 * 1000)	/* default period: this value / ratio */
#define NX_RATIO_MAX		3600u			/* then the default period is 1 s */

enum nx_mode {
	NX_AUTO,	/* on if the CPU has the bug */
	NX_OFF,
	NX_ON,
};

/* Guards changes of the module parameters, and the list of VMs. */
static DEFINE_MUTEX(nx_lock);
static LIST_HEAD(nx_vms);
static struct workqueue_struct *nx_wq;

static enum nx_mode nx_mode = NX_AUTO;
static unsigned int nx_ratio = 60;
static unsigned int nx_period_ms;

static bool nx_wanted(const struct okvm_mmu_vm *mmu)
{
	enum nx_mode mode = READ_ONCE(nx_mode);

	if (mmu->nx_exempt)
		return false;
	return mode == NX_AUTO ? mmu->vm->caps & OKVM_HW_NX_HUGEPAGES : mode == NX_ON;
}

/* ---- recovery ---- */

/* Compute the recovery period. Return: false if recovery is disabled (ratio 0) */
static bool nx_period(unsigned long *jiffies_out)
{
	unsigned int ratio = READ_ONCE(nx_ratio), ms = READ_ONCE(nx_period_ms);

	if (!ratio)
		return false;
	if (!ms)
		ms = NX_PERIOD_MAX_MS / min(ratio, NX_RATIO_MAX);
	*jiffies_out = msecs_to_jiffies(ms);
	return true;
}

void nx_arm(struct okvm_mmu_vm *mmu)
{
	unsigned long period;

	/* If the work is queued already, queue_delayed_work() does not change its timer. */
	if (atomic64_read(&mmu->vm->stat[OKVM_VM_STAT_NX_SPLITS]) > 0 && nx_period(&period))
		queue_delayed_work(nx_wq, &mmu->nx_work, period);
}

static void nx_work_fn(struct work_struct *work)
{
	struct okvm_mmu_vm *mmu = container_of(to_delayed_work(work), struct okvm_mmu_vm, nx_work);
	u64 splits = atomic64_read(&mmu->vm->stat[OKVM_VM_STAT_NX_SPLITS]);
	unsigned int ratio = READ_ONCE(nx_ratio);

	if (ratio && splits)
		mmu->policy->recover_nx(mmu, DIV_ROUND_UP_ULL(splits, ratio));
	nx_arm(mmu);
}

/* ---- VMs ---- */

void nx_vm_create(struct okvm_mmu_vm *mmu)
{
	INIT_DELAYED_WORK(&mmu->nx_work, nx_work_fn);
	mutex_lock(&nx_lock);
	mmu->nx_huge = nx_wanted(mmu);
	list_add(&mmu->nx_node, &nx_vms);
	mutex_unlock(&nx_lock);
}

void nx_vm_release(struct okvm_mmu_vm *mmu)
{
	mutex_lock(&nx_lock);
	list_del_init(&mmu->nx_node);
	mutex_unlock(&nx_lock);
	/*
	 * The work is not queued again: no vCPU runs, and changes of the module parameters skip
	 * this VM.
	 */
	cancel_delayed_work_sync(&mmu->nx_work);
}

int okvm_mmu_exempt_nx(struct okvm_vm *vm)
{
	lockdep_assert_held(&vm->lock);
	if (vm->created_vcpus)
		return -EINVAL;
	mutex_lock(&nx_lock);
	vm->mmu->nx_exempt = true;
	vm->mmu->nx_huge = false;
	mutex_unlock(&nx_lock);
	return 0;
}

/* ---- parameters ---- */

static void nx_apply(struct okvm_mmu_vm *mmu)
{
	bool want = nx_wanted(mmu);

	if (mmu->nx_huge == want)
		return;
	/* The new setting affects entries made from here on. Zap all older entries. */
	write_lock(&mmu->lock);
	mmu->nx_huge = want;
	write_unlock(&mmu->lock);
	okvm_mmu_zap_all(mmu->vm);
}

static bool nx_parse(const char *val, enum nx_mode *mode)
{
	bool on;

	if (sysfs_streq(val, "auto"))
		*mode = NX_AUTO;
	else if (sysfs_streq(val, "force"))
		*mode = NX_ON;
	else if (sysfs_streq(val, "never"))
		*mode = NX_OFF;
	else if (!kstrtobool(val, &on))		/* includes "on" and "off" */
		*mode = on ? NX_ON : NX_OFF;
	else
		return false;
	return true;
}

static int nx_set_mode(const char *val, const struct kernel_param *kp)
{
	struct okvm_mmu_vm *mmu;
	enum nx_mode mode;

	if (!nx_parse(val, &mode)) {
		pr_err("okvm: nx_huge_pages is auto, on (force) or off (never)\n");
		return -EINVAL;
	}
	mutex_lock(&nx_lock);
	WRITE_ONCE(nx_mode, mode);
	list_for_each_entry(mmu, &nx_vms, nx_node)
		nx_apply(mmu);
	mutex_unlock(&nx_lock);
	return 0;
}

static int nx_get_mode(char *buffer, const struct kernel_param *kp)
{
	static const char * const names[] = {
		[NX_AUTO] = "auto", [NX_OFF] = "off", [NX_ON] = "on",
	};

	return sprintf(buffer, "%s\n", names[READ_ONCE(nx_mode)]);
}

static int nx_set_uint(const char *val, const struct kernel_param *kp)
{
	struct okvm_mmu_vm *mmu;
	unsigned long period;
	int err;

	mutex_lock(&nx_lock);
	err = param_set_uint(val, kp);
	if (!err && nx_period(&period)) {
		list_for_each_entry(mmu, &nx_vms, nx_node) {
			if (atomic64_read(&mmu->vm->stat[OKVM_VM_STAT_NX_SPLITS]) > 0)
				mod_delayed_work(nx_wq, &mmu->nx_work, period);
		}
	}
	mutex_unlock(&nx_lock);
	return err;
}

static const struct kernel_param_ops nx_mode_ops = {
	.set = nx_set_mode,
	.get = nx_get_mode,
};

static const struct kernel_param_ops nx_uint_ops = {
	.set = nx_set_uint,
	.get = param_get_uint,
};

module_param_cb(nx_huge_pages, &nx_mode_ops, NULL, 0644);
__MODULE_PARM_TYPE(nx_huge_pages, "charp");
MODULE_PARM_DESC(nx_huge_pages,
		 "huge pages are not executable (iTLB multihit): auto, on, off (default auto)");
module_param_cb(nx_huge_pages_recovery_ratio, &nx_uint_ops, &nx_ratio, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_ratio, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_ratio,
		 "one in so many huge pages that were split for execution is put together again in each period; 0 none (default 60)");
module_param_cb(nx_huge_pages_recovery_period_ms, &nx_uint_ops, &nx_period_ms, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_period_ms, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_period_ms,
		 "that period; 0: an hour divided by the ratio (default 0)");

int nx_init(void)
{
	nx_wq = alloc_workqueue("okvm_nx", WQ_UNBOUND, 0);
	return nx_wq ? 0 : -ENOMEM;
}

void nx_exit(void)
{
	destroy_workqueue(nx_wq);
}
