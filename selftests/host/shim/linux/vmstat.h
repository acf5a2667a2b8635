/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_VMSTAT_H
#define SHIM_LINUX_VMSTAT_H

struct page;

enum { NR_SECONDARY_PAGETABLE };

/* The test's. */
void mod_lruvec_page_state(struct page *page, int item, int n);

#endif
