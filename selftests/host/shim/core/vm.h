/* SPDX-License-Identifier: GPL-2.0-only */
/* What mmu/tdp.c sees of a VM. */
#ifndef OKVM_CORE_VM_H
#define OKVM_CORE_VM_H

#include <assert.h>

#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/types.h>

#include "core/types.h"

enum okvm_vm_stat {
	OKVM_VM_STAT_TLB_FLUSHES,
	OKVM_VM_STAT_PAGES_4K,
	OKVM_VM_STAT_PAGES_2M,
	OKVM_VM_STAT_PAGES_1G,
	OKVM_VM_STAT_TABLES,
	OKVM_VM_STAT_NX_SPLITS,
	OKVM_NR_VM_STATS,
};

struct kvm_enable_cap;
struct okvm_backend;

struct okvm_vm {
	const struct okvm_backend *backend;
	struct srcu_struct srcu;
	struct okvm_mmu_vm *mmu;
	u32 created_vcpus;
	atomic64_t stat[OKVM_NR_VM_STATS];
};

#define OKVM_BUG_ON(vm, cond) ({ bool bug_ = (cond); assert(!bug_); (void)(vm); bug_; })

#endif
