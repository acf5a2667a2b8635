/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures with an explanation: the last failure of a VM and of each vCPU is kept as text and
 * numbers, and OKVM_GET_ERROR reads it.
 */
#ifndef OKVM_CORE_ERROR_H
#define OKVM_CORE_ERROR_H

#include <linux/compiler.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "uapi/okvm.h"

struct okvm_vcpu;
struct okvm_vm;

/** struct okvm_error_box - the last failure. @lock is a leaf: no other lock is taken inside it. */
struct okvm_error_box {
	spinlock_t lock;
	struct okvm_error error;	/* under @lock */
};

void okvm_error_init(struct okvm_error_box *box);

/** okvm_error_get() - copy the last failure to @out, for OKVM_GET_ERROR */
void okvm_error_get(struct okvm_error_box *box, struct okvm_error *out);

/**
 * okvm_error_set() - store a failure, replacing the last one
 * @error: kind, errno, data and text; the function sets the count
 *
 * Context: process; @box->lock is not taken with IRQs off.
 */
void okvm_error_set(struct okvm_error_box *box, const struct okvm_error *error);

/**
 * okvm_refuse() - store why an ioctl of a VM fd refuses its argument
 * @why: the reason, for OKVM_GET_ERROR
 * Return: -EINVAL
 */
int okvm_refuse(struct okvm_vm *vm, const char *why);

/** okvm_refuse_exists() - like okvm_refuse(), but return -EEXIST: the object exists already */
int okvm_refuse_exists(struct okvm_vm *vm, const char *why);

/** okvm_refuse_vcpu() - okvm_refuse() for ioctls of a vCPU fd. Return: -EINVAL */
int okvm_refuse_vcpu(struct okvm_vcpu *vcpu, const char *why);

#endif /* OKVM_CORE_ERROR_H */
