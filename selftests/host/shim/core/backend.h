/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OKVM_CORE_BACKEND_H
#define OKVM_CORE_BACKEND_H

#include "core/vcpu.h"

struct okvm_mmu_ops;

struct okvm_backend {
	const struct okvm_mmu_ops *mmu;
};

#endif
