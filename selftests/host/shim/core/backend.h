/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OKVM_CORE_BACKEND_H
#define OKVM_CORE_BACKEND_H

#include "core/vcpu.h"

#endif
