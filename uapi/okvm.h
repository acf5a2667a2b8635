/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The user interface of okvm is that of KVM: <linux/kvm.h>, API version 12.
 * Only what okvm has and KVM has not, and what is newer than the oldest
 * supported kernel's header, is added here.
 */
#ifndef OKVM_UAPI_H
#define OKVM_UAPI_H

#include <linux/kvm.h>

/* The device node's name unless the module parameter device_name says otherwise. */
#define OKVM_DEVICE_NAME "okvm"

#endif /* OKVM_UAPI_H */
