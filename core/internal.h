/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of core/ share among themselves. */
#ifndef OKVM_CORE_INTERNAL_H
#define OKVM_CORE_INTERNAL_H

#include <linux/fs.h>
#include <linux/types.h>

#include "core/ioctl.h"
#include "core/vcpu.h"
#include "core/vm.h"

/** okvm_ioctl_init() - build the look-up indices of the three tables; 0 or -ENOMEM */
int okvm_ioctl_init(void);
void okvm_ioctl_exit(void);

/* Entry points of the three kinds of file. */
long okvm_sys_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long okvm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long okvm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

extern const struct okvm_ioctl okvm_core_sys_ioctls[], okvm_core_vm_ioctls[];
extern const struct okvm_ioctl okvm_core_vcpu_ioctls[];

/* Handlers of rows of okvm_core_vm_ioctls. */

/** okvm_vcpu_create() - KVM_CREATE_VCPU. Return: fd, -EINVAL, -EEXIST, -ENOMEM. */
long okvm_vcpu_create(struct okvm_vm *vm, union okvm_ioctl_arg arg);
/** okvm_get_dirty_log() - KVM_GET_DIRTY_LOG. Return: 0, -ENOENT (no bitmap), -EINVAL, -EFAULT */
long okvm_get_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg);
/** okvm_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG. Return: as okvm_get_dirty_log(), -ENOMEM */
long okvm_clear_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg);

/** okvm_check_extension() - KVM_CHECK_EXTENSION; @vm is NULL on the system fd */
int okvm_check_extension(struct okvm_vm *vm, long cap);

/** okvm_vm_stats_fd() - KVM_GET_STATS_FD of a VM; the fd holds a reference to it */
long okvm_vm_stats_fd(struct okvm_vm *vm, union okvm_ioctl_arg arg);
long okvm_vcpu_stats_fd(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

/** okvm_vcpu_init() and okvm_vcpu_exit() - module life of what vcpu.c owns */
void okvm_vcpu_init(void);
void okvm_vcpu_exit(void);

#endif /* OKVM_CORE_INTERNAL_H */
