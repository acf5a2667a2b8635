/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_ERRNO_H
#define SHIM_LINUX_ERRNO_H

/* The C library reads its numbers from here. */
#include_next <linux/errno.h>
#include <errno.h>

#endif
