/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations that the files of core/ share. */
#ifndef OKVM_CORE_INTERNAL_H
#define OKVM_CORE_INTERNAL_H

#include <linux/fs.h>
#include <linux/types.h>

#include "core/ioctl.h"
#include "core/vcpu.h"
#include "core/vm.h"

/** okvm_ioctl_init() - build sorted arrays of pointers to all ioctl rows. Return: 0 or -ENOMEM */
int okvm_ioctl_init(void);
void okvm_ioctl_exit(void);

/* Ioctl entry points of the three kinds of fd. */
long okvm_sys_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long okvm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long okvm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

extern const struct okvm_ioctl okvm_core_sys_ioctls[], okvm_core_vm_ioctls[];
extern const struct okvm_ioctl okvm_core_vcpu_ioctls[];

/* Handlers in rows of okvm_core_vm_ioctls. */

/** okvm_vcpu_create() - KVM_CREATE_VCPU. Return: fd, -EINVAL, -EEXIST, -ENOMEM. */
long okvm_vcpu_create(struct okvm_vm *vm, union okvm_ioctl_arg arg);
/** okvm_get_dirty_log() - KVM_GET_DIRTY_LOG. Return: 0, -ENOENT (no bitmap), -EINVAL, -EFAULT */
long okvm_get_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg);
/** okvm_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG. Return: 0, -ENOENT, -EINVAL, -EFAULT, -ENOMEM */
long okvm_clear_dirty_log(struct okvm_vm *vm, union okvm_ioctl_arg arg);

/**
 * okvm_set_memory_regions() - OKVM_SET_MEMORY_REGIONS
 * Return: 0, -EINVAL, -EEXIST, -ENOMEM, -EFAULT
 */
long okvm_set_memory_regions(struct okvm_vm *vm, union okvm_ioctl_arg arg);

/** okvm_check_extension() - KVM_CHECK_EXTENSION; @vm is NULL on the system fd */
int okvm_check_extension(struct okvm_vm *vm, long cap);

/** okvm_vm_stats_fd() - KVM_GET_STATS_FD of a VM. Return: an fd that holds a reference to the VM */
long okvm_vm_stats_fd(struct okvm_vm *vm, union okvm_ioctl_arg arg);
long okvm_vcpu_stats_fd(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);

/*
 * Number of statistics that have one value: those of a VM, then those of vCPUs. okvm_stat_read()
 * and okvm_stat_reset() take a number below this one. For a statistic of vCPUs, the first returns
 * the sum over all vCPUs of the VM, and the second resets all of them. The caller makes sure that
 * the VM is not destroyed meanwhile.
 */
#define OKVM_NR_STATS	(OKVM_NR_VM_STATS + OKVM_NR_VCPU_STATS)

/**
 * okvm_stat_name() - Return the name of statistic @nr
 * @gauge: set to true if the value is a current number of things, which must not be reset;
 *	otherwise set to false
 */
const char *okvm_stat_name(unsigned int nr, bool *gauge);
u64 okvm_stat_read(struct okvm_vm *vm, unsigned int nr);
void okvm_stat_reset(struct okvm_vm *vm, unsigned int nr);

/** okvm_show_init() - make the folders of statistics in debugfs. Return: 0 or an errno */
int okvm_show_init(void);
void okvm_show_exit(void);
/** okvm_show_add() - add a new VM, whose fd is @fd, to the list of all VMs. Makes no file. */
void okvm_show_add(struct okvm_vm *vm, int fd);
/**
 * okvm_show_remove() - take the VM off the list, and remove its files
 *
 * Waits until no thread reads a statistic of the VM. The vCPUs still exist. Does nothing for a VM
 * that was never added.
 */
void okvm_show_remove(struct okvm_vm *vm);

/* Pauses and kicks. */
void okvm_pause_init(struct okvm_vm *vm);
/** okvm_pause_destroy() - wait until vm->pause_work has run, before the VM is freed */
void okvm_pause_destroy(struct okvm_vm *vm);
/**
 * okvm_pause_wake() - make threads in okvm_pause_wait() test if their wait is over. Context: any
 */
void okvm_pause_wake(struct okvm_vm *vm);
/**
 * okvm_pause_gate() - decide whether KVM_RUN may begin; called if the VM is dead or paused
 * @interrupted: result of okvm_pause_wait(), or false before the first wait
 * Return: 0 if KVM_RUN may begin; -EIO if the VM is dead; -EINTR if @interrupted or if a pause has
 * OKVM_PAUSE_EINTR set; OKVM_RUN_PAUSED if the caller must drop vcpu->mutex and call
 * okvm_pause_wait()
 */
int okvm_pause_gate(struct okvm_vcpu *vcpu, bool interrupted);
/**
 * okvm_pause_wait() - wait for the end of all pauses
 * @mask: signals to block during the wait; NULL for the thread's own mask
 * Return: true if a signal ended the wait
 */
bool okvm_pause_wait(struct okvm_vcpu *vcpu, const sigset_t *mask);
/** okvm_vm_pause() - OKVM_VM_PAUSE. Return: fd, -EINVAL, -ENOMEM, -EMFILE, -EINTR */
long okvm_vm_pause(struct okvm_vm *vm, union okvm_ioctl_arg arg);
/** okvm_vcpu_leave() - OKVM_VCPU_KICK */
long okvm_vcpu_leave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
/**
 * okvm_vcpu_stop_waiting() - if OKVM_REQ_LEAVE is pending, end KVM_RUN's wait for a host page
 *
 * Does nothing unless the vCPU thread is between okvm_vcpu_wait_begin() and okvm_vcpu_wait_end().
 */
void okvm_vcpu_stop_waiting(struct okvm_vcpu *vcpu);

/** okvm_vcpu_init() and okvm_vcpu_exit() - set up and tear down vcpu.c with the module */
void okvm_vcpu_init(void);
void okvm_vcpu_exit(void);

#endif /* OKVM_CORE_INTERNAL_H */
