/* SPDX-License-Identifier: GPL-2.0-only */
/* Userspace has one version only. */
#ifndef OKVM_CORE_COMPAT_H
#define OKVM_CORE_COMPAT_H

#include <linux/atomic.h>

#endif
