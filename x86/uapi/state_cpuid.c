// SPDX-License-Identifier: GPL-2.0-only
/* KVM_SET_CPUID(2) and KVM_GET_CPUID2, and the updates that a new CPUID needs. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/compat.h"
#include "x86/cpu/cr.h"
#include "x86/cpuid/cpuid.h"
#include "x86/msr/mce.h"
#include "x86/uapi/state.h"

/* Update the LAPIC, the paging mode and the backend's controls after CPUID has changed. */
static void after_set(struct okvm_vcpu *vcpu)
{
	okvm_mce_apic(vcpu);
	okvm_paging_changed(vcpu);
	vcpu->arch->ops->update_intercepts(vcpu, OKVM_ICPT_MSRS | OKVM_ICPT_CONTROLS |
					     OKVM_ICPT_CR | OKVM_ICPT_DEBUG);
}

/*
 * Set CPUID to @entries. The caller must not use or free @entries afterwards, even if this function
 * fails. If the vCPU has run, @entries must be the CPUID that it has.
 */
static int set_cpuid(struct okvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int nent)
{
	int err = okvm_cpuid_set(vcpu, entries, nent);

	if (!err && !vcpu->ran)
		after_set(vcpu);
	return err;
}

static long ioc_set_cpuid2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_cpuid2 __user *user = arg.user;
	struct kvm_cpuid_entry2 *entries = NULL;
	u32 nent;

	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent > OKVM_MAX_CPUID_ENTRIES)
		return -E2BIG;
	if (nent) {
		entries = vmemdup_user(user->entries, nent * sizeof(*entries));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	return set_cpuid(vcpu, entries, nent);
}

static long ioc_set_cpuid(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_cpuid __user *user = arg.user;
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid_entry *old;
	u32 nent, i;

	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent > OKVM_MAX_CPUID_ENTRIES)
		return -E2BIG;
	if (!nent)
		return set_cpuid(vcpu, NULL, 0);
	old = vmemdup_user(user->entries, nent * sizeof(*old));
	if (IS_ERR(old))
		return PTR_ERR(old);
	entries = kvcalloc(nent, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	for (i = 0; entries && i < nent; i++) {
		entries[i].function = old[i].function;
		entries[i].eax = old[i].eax;
		entries[i].ebx = old[i].ebx;
		entries[i].ecx = old[i].ecx;
		entries[i].edx = old[i].edx;
	}
	kvfree(old);
	return entries ? set_cpuid(vcpu, entries, nent) : -ENOMEM;
}

static long ioc_get_cpuid2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	struct kvm_cpuid2 __user *user = arg.user;
	u32 have = t ? t->nent : 0;
	u32 nent;

	/* Like upstream, do not write nent if the array is too small. */
	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent < have)
		return -E2BIG;
	if (have && copy_to_user(user->entries, t->entries, have * sizeof(*t->entries)))
		return -EFAULT;
	return put_user(have, &user->nent);
}

const struct okvm_ioctl okvm_state_cpuid_ioctls[] = {
	{ KVM_SET_CPUID,	OKVM_IOC_LOAD | OKVM_IOC_RAW, { .vcpu = ioc_set_cpuid } },
	{ KVM_SET_CPUID2,	OKVM_IOC_LOAD | OKVM_IOC_RAW, { .vcpu = ioc_set_cpuid2 } },
	{ KVM_GET_CPUID2,	OKVM_IOC_LOAD | OKVM_IOC_RAW, { .vcpu = ioc_get_cpuid2 } },
	{ }
};
