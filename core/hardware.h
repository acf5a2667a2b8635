/* SPDX-License-Identifier: GPL-2.0-only */
/* The registered backends. The hardware of a backend is enabled while the backend has a VM. */
#ifndef OKVM_CORE_HARDWARE_H
#define OKVM_CORE_HARDWARE_H

#include <linux/export.h>
#include <linux/kconfig.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/types.h>

/* Export symbols to the module of KUnit suites that need okvm.ko. */
#if IS_ENABLED(CONFIG_KUNIT)
#define OKVM_EXPORT_FOR_KUNIT(symbol)	EXPORT_SYMBOL_GPL(symbol)
#else
#define OKVM_EXPORT_FOR_KUNIT(symbol)
#endif

struct okvm_backend;
struct okvm_host;

/** okvm_hardware_init() - install the hotplug, suspend and reboot hooks. Return: 0 or an errno */
int okvm_hardware_init(void);
void okvm_hardware_exit(void);

/**
 * struct okvm_offer - a registered backend, and its capabilities on this computer
 * @backend: NULL if this entry is free
 * @caps: enum okvm_hw_caps
 * @host: features that x86/ offers to the guests of this backend
 * @host_shadow: like @host, but for VMs on shadow paging; the same pointer if the backend has no
 *  EPT or NPT
 * @users: number of the backend's VMs, maintained by core/hardware.c; the other members are
 *  constant while the backend is registered
 */
struct okvm_offer {
	const struct okvm_backend *backend;
	u32 caps;
	struct okvm_host *host, *host_shadow;
	unsigned int users;
};

/**
 * okvm_backend_register() - register a backend, so that VMs can be created on it
 *
 * The first registered backend becomes the default, which system ioctls describe. May sleep.
 *
 * Return: the backend's struct okvm_offer, or an ERR_PTR: -ENOSPC, or an error of the backend's
 * init() or of okvm_arch_offer_create()
 */
struct okvm_offer *okvm_backend_register(const struct okvm_backend *backend);
/**
 * okvm_backend_unregister() - unregister a backend that has no VM
 *
 * For the default backend, no fd of the device node may be open.
 */
void okvm_backend_unregister(struct okvm_offer *offer);
/* The backend of the VMs that KVM_CREATE_VM creates, and the one that system ioctls describe. */
extern struct okvm_offer *okvm_default_offer;

/**
 * okvm_hardware_get() - count a new VM of this backend; the first VM enables VMX or SVM on all CPUs
 * Return: 0; -EBUSY if another hypervisor owns the hardware or the machine reboots; another errno
 * of the backend's cpu_enable(). May sleep.
 */
int okvm_hardware_get(struct okvm_offer *offer);

/** okvm_hardware_put() - uncount a VM; the last one disables VMX or SVM on all CPUs */
void okvm_hardware_put(struct okvm_offer *offer);

/**
 * okvm_module_loaded() - return true if a module of this name is loaded or built in
 *
 * The result may be false while the module is being loaded. The function looks the name up in the
 * kernel's set of module kobjects. Opening /sys/module/NAME instead would be unsafe: in the mount
 * namespace of the caller this path can name a file on a file system that never answers.
 */
static inline bool okvm_module_loaded(const char *name)
{
	struct kobject *module = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);

	kobject_put(module);
	return module;
}

/** okvm_hardware_lost() - return true if a reboot has disabled VMX and SVM, or is about to */
bool okvm_hardware_lost(void);

#endif /* OKVM_CORE_HARDWARE_H */
