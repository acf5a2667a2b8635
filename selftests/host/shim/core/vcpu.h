/* SPDX-License-Identifier: GPL-2.0-only */
/* What mmu/tdp.c sees of a vCPU. */
#ifndef OKVM_CORE_VCPU_H
#define OKVM_CORE_VCPU_H

#include <linux/bits.h>

#include "core/vm.h"

enum okvm_vcpu_stat {
	OKVM_STAT_PF_TAKEN,
	OKVM_STAT_PF_FIXED,
	OKVM_STAT_PF_SPURIOUS,
	OKVM_NR_VCPU_STATS,
};

struct okvm_vcpu {
	struct okvm_vm *vm;
	struct okvm_mmu_vcpu *mmu;
	u32 idx;
	u64 stat[OKVM_NR_VCPU_STATS];
};

enum okvm_req {
	OKVM_REQ_MMU_RELOAD,
	OKVM_REQ_TLB_FLUSH,
};

#define OKVM_VCPUS_OTHERS	BIT_ULL(63)
#define OKVM_VCPUS_ALL		(~0ULL)

static inline u64 okvm_vcpu_bit(const struct okvm_vcpu *vcpu)
{
	return vcpu->idx < 63 ? BIT_ULL(vcpu->idx) : OKVM_VCPUS_OTHERS;
}

/* The test's. */
void okvm_request(enum okvm_req req, struct okvm_vcpu *vcpu);
void okvm_request_some(struct okvm_vm *vm, enum okvm_req req, u64 vcpus, bool wait);

#endif
