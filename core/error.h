/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A failure that says why: the last one of a VM and of each vCPU is kept in words and numbers, and
 * OKVM_GET_ERROR reads it.
 */
#ifndef OKVM_CORE_ERROR_H
#define OKVM_CORE_ERROR_H

#include <linux/compiler.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "uapi/okvm.h"

struct okvm_vcpu;
struct okvm_vm;

/** struct okvm_error_box - the last failure; @lock is a leaf: nothing is taken inside it */
struct okvm_error_box {
	spinlock_t lock;
	struct okvm_error error;	/* under @lock */
};

void okvm_error_init(struct okvm_error_box *box);

/** okvm_error_get() - a copy of the last failure, for OKVM_GET_ERROR */
void okvm_error_get(struct okvm_error_box *box, struct okvm_error *out);

/**
 * okvm_error_set() - note a failure, in place of an older one
 * @error: kind, errno, data and text; its count is filled in
 *
 * Context: process; @box->lock is not taken with IRQs off.
 */
void okvm_error_set(struct okvm_error_box *box, const struct okvm_error *error);

/**
 * okvm_refuse() - an ioctl of a VM fd does not like its argument
 * @why: what is wrong, for OKVM_GET_ERROR
 * Return: -EINVAL
 */
int okvm_refuse(struct okvm_vm *vm, const char *why);

/** okvm_refuse_exists() - likewise: what is asked for collides with what is. Return: -EEXIST */
int okvm_refuse_exists(struct okvm_vm *vm, const char *why);

/** okvm_refuse_vcpu() - likewise of a vCPU fd */
int okvm_refuse_vcpu(struct okvm_vcpu *vcpu, const char *why);

#endif /* OKVM_CORE_ERROR_H */
