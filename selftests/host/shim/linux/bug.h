/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include <linux/build_bug.h>

#define WARN_ON_ONCE(cond) ({ bool _w = !!(cond); if (_w) __builtin_trap(); _w; })
#define WARN_ON(cond) WARN_ON_ONCE(cond)

#endif
