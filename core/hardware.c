// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers backends and enables their hardware. okvm enables the hardware of a backend on all CPUs
 * for the first VM of the backend, and disables it after the last VM. okvm also enables and
 * disables the hardware on a CPU that goes online or offline, and on all online CPUs for suspend,
 * resume and reboot.
 *
 * Upstream KVM keeps a per-CPU "enabled" mask, a global count and CPU hotplug states of its own.
 * okvm uses other hotplug states, because upstream's modules may be loaded at the same time.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cpu.h>
#include <linux/error-injection.h>
#include <linux/cpuhotplug.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/smp.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/compat.h"
#include "core/hardware.h"

#define HW_MAX_OFFERS	4

/* hw_lock guards hw_offers. Lock order: hw_lock, then the CPU hotplug lock. */
static DEFINE_MUTEX(hw_lock);
static struct okvm_offer hw_offers[HW_MAX_OFFERS];
struct okvm_offer *okvm_default_offer;
OKVM_EXPORT_FOR_KUNIT(okvm_default_offer);
static enum cpuhp_state hw_cpuhp_state;
/*
 * True once a reboot has begun. VMX and SVM are then disabled, so VMs that still exist cannot run.
 */
static bool hw_lost;
/* The errno of the first CPU whose cpu_enable() failed. */
static atomic_t hw_error;
/* The backends whose hardware is enabled on this CPU: bit n is for hw_offers[n]. */
static DEFINE_PER_CPU(unsigned long, hw_on);

/* ---- backends ---- */

static struct okvm_offer *hw_free_offer(void)
{
	struct okvm_offer *offer;

	for (offer = hw_offers; offer < hw_offers + HW_MAX_OFFERS; offer++)
		if (!offer->backend)
			return offer;
	return NULL;
}

struct okvm_offer *okvm_backend_register(const struct okvm_backend *backend)
{
	struct okvm_offer *offer;
	int err = -ENOSPC;

	mutex_lock(&hw_lock);
	offer = hw_free_offer();
	if (!offer)
		goto err_unlock;
	err = backend->init(&offer->caps);
	if (err)
		goto err_unlock;
	offer->backend = backend;
	err = okvm_arch_offer_create(offer);
	if (err)
		goto err_exit;
	if (!okvm_default_offer)
		okvm_default_offer = offer;
	mutex_unlock(&hw_lock);
	return offer;

err_exit:
	offer->backend = NULL;
	backend->exit();
err_unlock:
	mutex_unlock(&hw_lock);
	return ERR_PTR(err);
}

OKVM_EXPORT_FOR_KUNIT(okvm_backend_register);

void okvm_backend_unregister(struct okvm_offer *offer)
{
	mutex_lock(&hw_lock);
	if (offer == okvm_default_offer)
		okvm_default_offer = NULL;
	okvm_arch_offer_destroy(offer);
	offer->backend->exit();
	offer->backend = NULL;
	mutex_unlock(&hw_lock);
}

OKVM_EXPORT_FOR_KUNIT(okvm_backend_unregister);

/* ---- enabling and disabling the hardware ---- */

static void hw_enable_this_cpu(void *data)
{
	struct okvm_offer *offer = data;
	unsigned long bit = BIT(offer - hw_offers);
	int err;

	if (__this_cpu_read(hw_on) & bit)
		return;
	err = offer->backend->cpu_enable();
	if (err) {
		atomic_cmpxchg(&hw_error, 0, err);
		return;
	}
	__this_cpu_or(hw_on, bit);
}

static void hw_disable_this_cpu(void *data)
{
	struct okvm_offer *offer = data;
	unsigned long bit = BIT(offer - hw_offers);

	if (!(__this_cpu_read(hw_on) & bit))
		return;
	offer->backend->cpu_disable();
	__this_cpu_and(hw_on, ~bit);
}

/* On this CPU, enable the hardware of each backend that has a VM. */
static void hw_enable_all_this_cpu(void *unused)
{
	struct okvm_offer *offer;

	for (offer = hw_offers; offer < hw_offers + HW_MAX_OFFERS; offer++)
		if (offer->users)
			hw_enable_this_cpu(offer);
}

static void hw_disable_all_this_cpu(void *unused)
{
	struct okvm_offer *offer;

	for (offer = hw_offers; offer < hw_offers + HW_MAX_OFFERS; offer++)
		hw_disable_this_cpu(offer);
}

int okvm_hardware_get(struct okvm_offer *offer)
{
	int err = 0;

	mutex_lock(&hw_lock);
	cpus_read_lock();
	if (hw_lost) {
		err = -EBUSY;
	} else if (offer->users++ == 0) {
		/* Register the emergency callback before VMX or SVM is switched on. */
		okvm_arch_emergency(true);
		atomic_set(&hw_error, 0);
		on_each_cpu(hw_enable_this_cpu, offer, 1);
		err = atomic_read(&hw_error);
		if (err) {
			offer->users = 0;
			on_each_cpu(hw_disable_this_cpu, offer, 1);
			okvm_arch_emergency(false);
		}
	}
	cpus_read_unlock();
	mutex_unlock(&hw_lock);
	return err;
}

OKVM_EXPORT_FOR_KUNIT(okvm_hardware_get);

ALLOW_ERROR_INJECTION(okvm_hardware_get, ERRNO);

void okvm_hardware_put(struct okvm_offer *offer)
{
	mutex_lock(&hw_lock);
	cpus_read_lock();
	if (--offer->users == 0) {
		on_each_cpu(hw_disable_this_cpu, offer, 1);
		okvm_arch_emergency(false);
	}
	cpus_read_unlock();
	mutex_unlock(&hw_lock);
}

OKVM_EXPORT_FOR_KUNIT(okvm_hardware_put);

bool okvm_hardware_lost(void)
{
	return READ_ONCE(hw_lost);
}

/*
 * CPU hotplug callback, called before the CPU gets tasks: enable VMX or SVM on it if there are VMs.
 * offer->users is read without hw_lock here. This is safe: the CPU hotplug lock is held for writing
 * here, and okvm changes offer->users only while it holds that lock for reading.
 */
static int hw_cpu_online(unsigned int cpu)
{
	int err;

	if (hw_lost)
		return 0;
	atomic_set(&hw_error, 0);
	smp_call_function_single(cpu, hw_enable_all_this_cpu, NULL, 1);
	err = atomic_read(&hw_error);
	if (err)
		pr_err("okvm: CPU %u: virtualization cannot be switched on (%d): the CPU stays offline\n",
		       cpu, err);
	return err;
}

/*
 * CPU hotplug callback, called with IRQs off on the CPU that goes offline: disable VMX or SVM. This
 * must be a callback of a "dying" state, because only then no vCPU thread runs on the CPU any more.
 * When callbacks of "online" states run, vCPU threads may still run on the CPU.
 */
static int hw_cpu_dying(unsigned int cpu)
{
	hw_disable_all_this_cpu(NULL);
	return 0;
}

/* Suspend the host. Only the boot CPU is online, and IRQs are off. */
static int hw_suspend(OKVM_SYSCORE_ARG)
{
	hw_disable_all_this_cpu(NULL);
	okvm_arch_sleeps(true);
	return 0;
}

static void hw_resume(OKVM_SYSCORE_ARG)
{
	okvm_arch_sleeps(false);
	hw_enable_all_this_cpu(NULL);
}

OKVM_SYSCORE(hw_suspend, hw_resume);

/*
 * Reboot notifier: disable VMX or SVM on all CPUs. If a CPU stays in VMX operation, some firmware
 * hangs, and so does a kernel that kexec starts. vCPU threads may still run during this function.
 * Their next VMX or SVM instruction faults, and okvm then marks the thread's VM dead.
 */
static int hw_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&hw_lock);
	cpus_read_lock();
	WRITE_ONCE(hw_lost, true);
	on_each_cpu(hw_disable_all_this_cpu, NULL, 1);
	cpus_read_unlock();
	mutex_unlock(&hw_lock);
	return NOTIFY_OK;
}

static struct notifier_block hw_reboot_notifier = {
	.notifier_call = hw_reboot,
};

int okvm_hardware_init(void)
{
	int state, err;

	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "okvm:online", hw_cpu_online, NULL);
	if (state < 0)
		return state;
	hw_cpuhp_state = state;
	err = cpuhp_setup_state_nocalls(OKVM_CPUHP_DYING, "okvm:dying", NULL, hw_cpu_dying);
	if (err)
		goto err_online_state;
	register_reboot_notifier(&hw_reboot_notifier);
	okvm_syscore_register();
	return 0;

err_online_state:
	cpuhp_remove_state_nocalls(hw_cpuhp_state);
	return err;
}

void okvm_hardware_exit(void)
{
	okvm_syscore_unregister();
	unregister_reboot_notifier(&hw_reboot_notifier);
	cpuhp_remove_state_nocalls(OKVM_CPUHP_DYING);
	cpuhp_remove_state_nocalls(hw_cpuhp_state);
}
