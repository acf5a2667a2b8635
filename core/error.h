/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures with an explanation: the last failure of a VM and of each vCPU is kept as text and
 * numbers, and OKVM_GET_ERROR reads it.
 */
#ifndef OKVM_CORE_ERROR_H
#define OKVM_CORE_ERROR_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "uapi/okvm.h"

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
 * @error: kind, errno, data and text; @error->count is ignored, because the function counts
 *  failures
 *
 * Context: process; takes @box->lock without disabling IRQs.
 */
void okvm_error_set(struct okvm_error_box *box, const struct okvm_error *error);

/** okvm_error_add_field() - add a field and its value to @error->data, if there is room */
static inline void okvm_error_add_field(struct okvm_error *error, u64 field, u64 value)
{
	if (error->ndata + 2 > ARRAY_SIZE(error->data))
		return;
	error->data[error->ndata++] = field;
	error->data[error->ndata++] = value;
}

/**
 * struct okvm_broken_rule - a rule of VM entry that a guest's state breaks
 * @name: short name of the rule
 * @text: the rule itself
 * @manual: "SDM" or "APM"
 * @section: title of the manual's section that contains the rule
 * @field: name of the VMCS or VMCB field whose value breaks the rule
 * @value: value of the field
 * @hosts: @value belongs to the host: do not report it to userspace
 */
struct okvm_broken_rule {
	const char *name, *text, *manual, *section, *field;
	u64 value;
	bool hosts;
};

/* Bytes kept free at the end of the text, for "; and 123 more". */
#define OKVM_ERROR_MORE		16

/**
 * okvm_error_add_rule() - count @rule in @error->data[2], and append it to @error->text
 *
 * Return: 0; or 1 if the text has no room for the whole rule and was left unchanged
 */
static inline int okvm_error_add_rule(struct okvm_error *error,
				      const struct okvm_broken_rule *rule)
{
	size_t used = strlen(error->text);
	int room = sizeof(error->text) - OKVM_ERROR_MORE - used;
	char value[24] = "the host's";

	if (!rule->hosts)
		scnprintf(value, sizeof(value), "%#llx", rule->value);
	error->data[2]++;
	if (snprintf(error->text + used, room, "%s%s: %s; %s is %s (%s \"%s\")", used ? "; " : "",
		     rule->name, rule->text, rule->field, value, rule->manual,
		     rule->section) < room)
		return 0;
	error->text[used] = 0;
	return 1;
}

/**
 * okvm_error_end_rules() - complete @error->text after the last okvm_error_add_rule()
 * @hidden: number of broken rules for which the text had no room
 */
static inline void okvm_error_end_rules(struct okvm_error *error, unsigned int hidden)
{
	size_t used = strlen(error->text);

	if (!error->data[2])
		strscpy(error->text, "no rule that okvm knows is broken", sizeof(error->text));
	else if (hidden)
		scnprintf(error->text + used, sizeof(error->text) - used, "; and %u more", hidden);
}

/**
 * okvm_error_refuse() - store why an ioctl refuses its argument
 * @err: errno of the ioctl, positive
 * @why: the reason, for OKVM_GET_ERROR
 * Return: -@err
 */
int okvm_error_refuse(struct okvm_error_box *box, int err, const char *why);

/* Call okvm_error_refuse() for an ioctl of a VM fd (@vm) or of a vCPU fd (@vcpu). */
#define okvm_refuse(vm, why)		okvm_error_refuse(&(vm)->error, EINVAL, why)
#define okvm_refuse_exists(vm, why)	okvm_error_refuse(&(vm)->error, EEXIST, why)
#define okvm_refuse_vcpu(vcpu, why)	okvm_error_refuse(&(vcpu)->error, EINVAL, why)

#endif /* OKVM_CORE_ERROR_H */
