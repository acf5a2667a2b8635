/* SPDX-License-Identifier: GPL-2.0-only */
/* The backends there are. The hardware of each is on exactly while it has a VM. */
#ifndef OKVM_CORE_HARDWARE_H
#define OKVM_CORE_HARDWARE_H

#include <linux/export.h>
#include <linux/kconfig.h>
#include <linux/types.h>

/* For the KUnit suites that need okvm.ko. */
#if IS_ENABLED(CONFIG_KUNIT)
#define OKVM_EXPORT_FOR_KUNIT(symbol)	EXPORT_SYMBOL_GPL(symbol)
#else
#define OKVM_EXPORT_FOR_KUNIT(symbol)
#endif

struct okvm_backend;
struct okvm_host;

/** okvm_hardware_init() - CPU hotplug, suspend and reboot hooks; 0 or a negative errno */
int okvm_hardware_init(void);
void okvm_hardware_exit(void);

/**
 * struct okvm_offer - a registered backend, and what it can do on this computer
 * @backend: NULL: this place is free
 * @caps: enum okvm_hw_caps
 * @host: what x86/ offers the guests of this backend
 * @host_shadow: the same for VMs without two-dimensional paging; @host itself if there is none
 * @users: its VMs, which core/hardware.c counts; all else is constant while it is registered
 */
struct okvm_offer {
	const struct okvm_backend *backend;
	u32 caps;
	struct okvm_host *host, *host_shadow;
	unsigned int users;
};

/**
 * okvm_backend_register() - VMs can be made on this backend from now on
 *
 * With no default yet it becomes the default, about which system ioctls tell. May sleep.
 * Return: the offer, -ENOSPC, what the backend's init() or okvm_arch_offer_create() answers
 */
struct okvm_offer *okvm_backend_register(const struct okvm_backend *backend);
/** okvm_backend_unregister() - the reverse: it has no VM, and if it is the default no fd is open */
void okvm_backend_unregister(struct okvm_offer *offer);
/* The backend of a VM that asks for no other one. */
extern struct okvm_offer *okvm_default_offer;

/**
 * okvm_hardware_get() - one more VM of this backend exists: the first one switches every CPU on
 * Return: 0, -EBUSY if another hypervisor owns the hardware or the machine goes down, -EIO.
 * May sleep.
 */
int okvm_hardware_get(struct okvm_offer *offer);

/** okvm_hardware_put() - a VM of this backend is gone; the last one switches every CPU off */
void okvm_hardware_put(struct okvm_offer *offer);

/** okvm_hardware_lost() - true once a reboot has switched VMX or SVM off, with VMs alive or not */
bool okvm_hardware_lost(void);

#endif /* OKVM_CORE_HARDWARE_H */
