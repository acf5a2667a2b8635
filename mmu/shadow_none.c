// SPDX-License-Identifier: GPL-2.0-only
/* A place holder until shadow.c is there: no VM gets this policy. */
#include "mmu/internal.h"

static int none_vm_create(struct okvm_mmu_vm *mmu)
{
	return -EOPNOTSUPP;
}

static void none_vm_destroy(struct okvm_mmu_vm *mmu)
{
}

const struct mmu_policy mmu_policy_shadow = {
	.name = "shadow paging",
	.vm_create = none_vm_create,
	.vm_destroy = none_vm_destroy,
};
