// SPDX-License-Identifier: GPL-2.0-only
/* Stores the last failure of a VM or of a vCPU. Upstream KVM only returns an errno, or logs. */
#include <linux/errno.h>
#include <linux/string.h>

#include "core/error.h"
#include "core/vcpu.h"

static_assert(sizeof(struct okvm_error) == 512);

void okvm_error_init(struct okvm_error_box *box)
{
	spin_lock_init(&box->lock);
}

void okvm_error_get(struct okvm_error_box *box, struct okvm_error *out)
{
	spin_lock(&box->lock);
	*out = box->error;
	spin_unlock(&box->lock);
}

void okvm_error_set(struct okvm_error_box *box, const struct okvm_error *error)
{
	u32 count;

	spin_lock(&box->lock);
	count = box->error.count + 1;
	box->error = *error;
	box->error.count = count;
	spin_unlock(&box->lock);
}

int okvm_error_refuse(struct okvm_error_box *box, int err, const char *why)
{
	spin_lock(&box->lock);
	box->error.kind = OKVM_ERROR_ARGUMENT;
	box->error.count++;
	box->error.error = err;
	box->error.ndata = 0;
	memset(box->error.data, 0, sizeof(box->error.data));
	strscpy_pad(box->error.text, why, sizeof(box->error.text));
	spin_unlock(&box->lock);
	return -err;
}
