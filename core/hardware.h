/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtualization hardware is on exactly while a VM exists. */
#ifndef OKVM_CORE_HARDWARE_H
#define OKVM_CORE_HARDWARE_H

#include <linux/types.h>

struct okvm_backend;

/** okvm_hardware_init() - CPU hotplug, suspend and reboot hooks; 0 or a negative errno */
int okvm_hardware_init(const struct okvm_backend *backend);
void okvm_hardware_exit(void);

/**
 * okvm_hardware_get() - one more VM exists: the first one switches every CPU on
 * Return: 0, -EBUSY if another hypervisor owns the hardware or the machine goes down, -EIO.
 * May sleep.
 */
int okvm_hardware_get(void);

/** okvm_hardware_put() - one VM less: after the last one every CPU is off again */
void okvm_hardware_put(void);

/** okvm_hardware_lost() - switched off under the VMs that exist: the machine goes down */
bool okvm_hardware_lost(void);

#endif /* OKVM_CORE_HARDWARE_H */
