/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_CONST_H
#define SHIM_LINUX_CONST_H

#include_next <linux/const.h>

#ifndef _UL
#define _AC(x, y) x##y
#define _UL(x) (x##UL)
#define _ULL(x) (x##ULL)
#endif
#define UL(x) (x##UL)
#define ULL(x) (x##ULL)

#endif
