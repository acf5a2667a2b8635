// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware task switches are left to userspace as an internal error: no
 * operating system that is in use makes them in the course of its work.
 */
#include "x86/internal.h"

int okvm_task_switch(struct okvm_vcpu *vcpu, u16 selector, int idt_index, int reason,
		     bool has_error, u32 error_code)
{
	u64 data[4] = { selector, idt_index, reason, has_error ? error_code : 0 };

	return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, ARRAY_SIZE(data), data);
}
