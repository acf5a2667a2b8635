// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_X86_SET_MSR_FILTER: userspace sets which MSRs the guest may read and write. A new filter
 * replaces the old one completely. Readers of the filter hold vm->srcu.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "x86/msr/msr_filter.h"

struct filter_range {
	u32 flags;		/* KVM_MSR_FILTER_READ, _WRITE */
	u32 base;
	u32 nmsrs;
	unsigned long *allowed;
};

struct okvm_msr_filter {
	bool default_allow;
	unsigned int count;
	struct filter_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

static void filter_free(struct okvm_msr_filter *filter)
{
	unsigned int i;

	if (!filter)
		return;
	for (i = 0; i < filter->count; i++)
		kfree(filter->ranges[i].allowed);
	kfree(filter);
}

void okvm_msr_filter_free(struct okvm_vm *vm)
{
	/* All vCPUs are destroyed, so nothing reads the filter. */
	filter_free(rcu_dereference_protected(vm->arch->msr_filter, true));
	RCU_INIT_POINTER(vm->arch->msr_filter, NULL);
}

static bool filter_allows(const struct okvm_msr_filter *filter, u32 msr, u32 type)
{
	const struct filter_range *r;
	unsigned int i;

	for (i = 0; i < filter->count; i++) {
		r = &filter->ranges[i];
		if (r->flags & type && msr - r->base < r->nmsrs)
			return test_bit(msr - r->base, r->allowed);
	}
	return filter->default_allow;
}

bool okvm_msr_allowed(struct okvm_vcpu *vcpu, u32 msr, bool write)
{
	struct okvm_vm *vm = vcpu->vm;
	const struct okvm_msr_filter *filter;
	bool allowed = true;
	int idx;

	/* MSR filters do not apply to the x2APIC MSRs. */
	if (!rcu_access_pointer(vm->arch->msr_filter) || (msr >= 0x800 && msr <= 0x8ff))
		return true;
	idx = srcu_read_lock(&vm->srcu);
	filter = srcu_dereference(vm->arch->msr_filter, &vm->srcu);
	if (filter)
		allowed = filter_allows(filter, msr,
					write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ);
	srcu_read_unlock(&vm->srcu, idx);
	return allowed;
}

static int filter_add(struct okvm_vm *vm, struct okvm_msr_filter *filter,
		      const struct kvm_msr_filter_range *user)
{
	struct filter_range *r = &filter->ranges[filter->count];
	size_t size;

	if (!user->nmsrs)
		return 0;
	if (user->flags & ~(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE))
		return okvm_refuse(vm, "MSR filter: unknown flags of a range");
	if (!user->flags)
		return okvm_refuse(vm, "MSR filter: a range is for neither reads nor writes");
	size = BITS_TO_LONGS(user->nmsrs) * sizeof(long);
	if (!size || size > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
		return okvm_refuse(vm, "MSR filter: a range has more MSRs than there may be");
	r->allowed = memdup_user((void __user *)user->bitmap, size);
	if (IS_ERR(r->allowed))
		return PTR_ERR(r->allowed);
	r->flags = user->flags;
	r->base = user->base;
	r->nmsrs = user->nmsrs;
	filter->count++;
	return 0;
}

static struct okvm_msr_filter *filter_build(struct okvm_vm *vm,
					    const struct kvm_msr_filter *user)
{
	struct okvm_msr_filter *filter;
	unsigned int i;
	int ret;

	if (user->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return ERR_PTR(okvm_refuse(vm, "MSR filter: unknown flags"));
	filter = kzalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return ERR_PTR(-ENOMEM);
	filter->default_allow = !(user->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (i = 0; i < ARRAY_SIZE(user->ranges); i++) {
		ret = filter_add(vm, filter, &user->ranges[i]);
		if (ret)
			goto err_free;
	}
	/* A filter that denies all MSRs and has no range must be a mistake: refuse it. */
	if (!filter->count && !filter->default_allow) {
		ret = okvm_refuse(vm, "MSR filter: all is denied, without a range");
		goto err_free;
	}
	return filter;

err_free:
	filter_free(filter);
	return ERR_PTR(ret);
}

static long ioc_set_msr_filter(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct okvm_msr_filter *filter, *old;

	filter = filter_build(vm, arg.data);
	if (IS_ERR(filter))
		return PTR_ERR(filter);
	if (!filter->count) {
		filter_free(filter);
		filter = NULL;
	}
	lockdep_assert_held(&vm->lock);
	old = rcu_replace_pointer(vm->arch->msr_filter, filter, lockdep_is_held(&vm->lock));
	synchronize_srcu(&vm->srcu);
	filter_free(old);
	okvm_request_all(vm, OKVM_REQ_MSR_FILTER, false);
	return 0;
}

const struct okvm_ioctl okvm_msr_filter_ioctls[] = {
	{ KVM_X86_SET_MSR_FILTER,	OKVM_IOC_LOCK, { .vm = ioc_set_msr_filter } },
	{ }
};
