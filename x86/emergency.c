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
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "core/compat.h"
#include "x86/emergency.h"

#define EMERGENCY_LINGER	HZ

static DEFINE_MUTEX(emergency_lock);
static unsigned int emergency_users;
/* The registered callback, or NULL. */
static void (*emergency_off)(void);

/*
 * Look the module up in the kernel's own set of modules. A path in /sys would be resolved in the
 * caller's mount namespace, where it can name any file, on a file system that may never answer.
 */
static bool is_loaded(const char *name)
{
	struct kobject *module = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);

	kobject_put(module);
	return module;
}

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
	if (!emergency_users++ && !emergency_off && !is_loaded(upstream) &&
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
