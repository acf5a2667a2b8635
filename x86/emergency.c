// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers the kernel's emergency callback, which switches VMX or SVM off when the machine crashes
 * or reboots in an emergency.
 *
 * The kernel has room for one callback, and warns if a second one is registered. Upstream's KVM
 * module registers its callback while the module is loaded (6.1) or while it has the hardware
 * switched on (later kernels). Upstream's callback switches the hardware off on every CPU, even if
 * okvm uses the hardware. So okvm has no callback registered while upstream's module is loaded. A
 * module notifier tells okvm that upstream's module comes, before that module's init function runs,
 * and that it has gone.
 *
 * okvm registers its callback before it switches the hardware on. A work item unregisters it,
 * EMERGENCY_LINGER after okvm has switched the hardware off. Closing a VM does not unregister it
 * itself, because unregistering waits for a grace period.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/hardware.h"
#include "core/rival.h"
#include "x86/emergency.h"

#define EMERGENCY_LINGER	HZ

static DEFINE_MUTEX(emergency_lock);
static unsigned int emergency_users;
/* The backend's callback, which switches VMX or SVM off. */
static void (*emergency_off)(void);
/* Upstream's module for the same hardware: kvm_intel or kvm_amd. */
static struct okvm_rival emergency_upstream;
static bool emergency_registered;

/*
 * Register the callback, or unregister it. It has to be registered if okvm has a VM and upstream's
 * module is not loaded.
 */
static void emergency_update(void)
{
	lockdep_assert_held(&emergency_lock);
	if (!emergency_users || !emergency_off ||
	    okvm_rival_loaded(&emergency_upstream, okvm_module_loaded)) {
		if (emergency_registered)
			okvm_emergency_unregister(emergency_off);
		emergency_registered = false;
	} else if (!emergency_registered) {
		emergency_registered = okvm_emergency_register(emergency_off);
	}
}

static void emergency_unregister_work(struct work_struct *work)
{
	mutex_lock(&emergency_lock);
	emergency_update();
	mutex_unlock(&emergency_lock);
}

static DECLARE_DELAYED_WORK(emergency_work, emergency_unregister_work);

static int emergency_module(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *module = data;

	if (strcmp(module->name, emergency_upstream.name))
		return NOTIFY_OK;
	mutex_lock(&emergency_lock);
	/*
	 * COMING and LIVE both mean "loaded" here. LIVE is needed if okvm was loaded between COMING
	 * and the creation of the module's sysfs entry: okvm has then missed COMING and found no
	 * entry.
	 */
	okvm_rival_tell(&emergency_upstream, state != MODULE_STATE_GOING);
	emergency_update();
	mutex_unlock(&emergency_lock);
	return NOTIFY_OK;
}

static struct notifier_block emergency_nb = { .notifier_call = emergency_module };

void okvm_arch_emergency(bool needed)
{
	mutex_lock(&emergency_lock);
	if (needed) {
		emergency_users++;
		emergency_update();
	} else if (!--emergency_users) {
		schedule_delayed_work(&emergency_work, EMERGENCY_LINGER);
	}
	mutex_unlock(&emergency_lock);
}

int okvm_emergency_begin(void (*off)(void), const char *upstream)
{
	int err;

	emergency_upstream.name = upstream;
	err = register_module_notifier(&emergency_nb);
	if (err)
		return err;
	mutex_lock(&emergency_lock);
	emergency_off = off;
	mutex_unlock(&emergency_lock);
	return 0;
}

void okvm_emergency_end(void)
{
	unregister_module_notifier(&emergency_nb);
	cancel_delayed_work_sync(&emergency_work);
	emergency_unregister_work(NULL);
}
