/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_PRINTK_H
#define SHIM_LINUX_PRINTK_H

#include <stdio.h>

#define printk(fmt, ...) fprintf(stderr, fmt, ##__VA_ARGS__)
#define pr_err printk
#define pr_warn printk
#define pr_info printk
#define pr_debug(fmt, ...) ((void)0)

#endif
