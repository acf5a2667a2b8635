// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers the kernel's emergency callback, which switches VMX or SVM off when the machine crashes
 * or reboots in an emergency.
 *
 * The kernel has room for one callback. Upstream's KVM module registers its callback while it is
 * loaded (6.1) or while it has VMs (later kernels). Upstream's callback switches the hardware off
 * on every CPU, even if okvm uses it. So okvm registers no callback while upstream's module is
 * loaded.
 *
 * okvm registers its callback with its first VM. It unregisters the callback EMERGENCY_LINGER after
 * its last VM is gone, from a work item: unregistering waits for a grace period, and closing a VM
 * should not wait.
 */
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "core/compat.h"
#include "core/hardware.h"
#include "x86/emergency.h"

#define EMERGENCY_LINGER	HZ

static DEFINE_MUTEX(emergency_lock);
static unsigned int emergency_users;
/* The registered callback, or NULL. */
static void (*emergency_off)(void);

static void emergency_unregister_work(struct work_struct *work)
{
	mutex_lock(&emergency_lock);
	if (!emergency_users && emergency_off) {
		okvm_emergency_unregister(emergency_off);
		emergency_off = NULL;
	}
	mutex_unlock(&emergency_lock);
}

static DECLARE_DELAYED_WORK(emergency_work, emergency_unregister_work);

void okvm_emergency_get(void (*off)(void), const char *upstream)
{
	mutex_lock(&emergency_lock);
	if (!emergency_users++ && !emergency_off && !okvm_module_loaded(upstream) &&
	    okvm_emergency_register(off))
		emergency_off = off;
	mutex_unlock(&emergency_lock);
}

void okvm_emergency_put(void)
{
	mutex_lock(&emergency_lock);
	if (!--emergency_users)
		schedule_delayed_work(&emergency_work, EMERGENCY_LINGER);
	mutex_unlock(&emergency_lock);
}

void okvm_emergency_end(void)
{
	cancel_delayed_work_sync(&emergency_work);
	emergency_unregister_work(NULL);
}
