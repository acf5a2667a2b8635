/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types for the tables of ioctls, which have one row per ioctl. The ioctl number in a row includes
 * the argument's size and copy direction. The row's flags say, among other things, which locks the
 * ioctl needs. The dispatcher (ioctl.c) takes the locks, copies the argument in, calls the row's
 * handler with the kernel copy of the argument, and copies the argument out.
 */
#ifndef OKVM_CORE_IOCTL_H
#define OKVM_CORE_IOCTL_H

#include <linux/types.h>

struct okvm_vcpu;
struct okvm_vm;

/** enum okvm_fd - the kinds of file descriptor that take ioctls */
enum okvm_fd {
	OKVM_FD_SYS,
	OKVM_FD_VM,
	OKVM_FD_VCPU,
	OKVM_NR_FDS,
};

/** enum okvm_ioctl_flag - how the dispatcher treats an ioctl */
enum okvm_ioctl_flag {
	OKVM_IOC_SCALAR	= 1 << 0,	/* the argument is a number, not a pointer */
	/* the argument's size varies: the handler gets the user pointer and does the copying */
	OKVM_IOC_RAW	= 1 << 1,
	/* vCPU ioctls: do not take vcpu->mutex, so any thread may call this during KVM_RUN */
	OKVM_IOC_NOLOCK	= 1 << 2,
	OKVM_IOC_LOAD	= 1 << 3,	/* vCPU ioctls: load the vCPU on this CPU */
	OKVM_IOC_LOCK	= 1 << 4,	/* VM ioctls: take vm->lock */
	OKVM_IOC_SRCU	= 1 << 5,	/* call the handler under vm->srcu */
	OKVM_IOC_DEAD	= 1 << 6,	/* allowed on a dead VM and in other processes */
	OKVM_IOC_NOARG	= 1 << 7,	/* the argument must be 0, else -EINVAL */
	OKVM_IOC_IN	= 1 << 8,	/* the number says _IOR, but copy the argument in only */
};

/**
 * union okvm_ioctl_arg - the argument of a handler
 * @data: kernel copy of the fixed-size argument (_IOC_SIZE bytes), zeroed first for _IOR
 * @user: the user pointer, for OKVM_IOC_RAW
 * @num: the argument itself, for OKVM_IOC_SCALAR
 */
union okvm_ioctl_arg {
	void *data;
	void __user *user;
	unsigned long num;
};

/**
 * struct okvm_ioctl - one row of an ioctl table
 * @cmd: the full ioctl number, with size and direction; 0 ends a list of rows
 * @flags: enum okvm_ioctl_flag
 * @sys, @vm, @vcpu: the handler; one of them is set, according to okvm_ioctl_table.fd
 *
 * Handlers return the ioctl's result, >= 0, or a negative errno.
 */
struct okvm_ioctl {
	unsigned int cmd;
	unsigned int flags;
	union {
		long (*sys)(union okvm_ioctl_arg arg);
		long (*vm)(struct okvm_vm *vm, union okvm_ioctl_arg arg);
		long (*vcpu)(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg);
	};
};

/** struct okvm_ioctl_table - the ioctl rows of one source file, for one kind of file descriptor */
struct okvm_ioctl_table {
	enum okvm_fd fd;
	const struct okvm_ioctl *rows;
};

#endif /* OKVM_CORE_IOCTL_H */
