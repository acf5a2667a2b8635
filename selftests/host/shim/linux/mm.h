/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of a test: what is known of a page table is behind it. */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <linux/container_of.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#include <asm/page.h>

#define GFP_KERNEL_ACCOUNT	0
#define GFP_KERNEL		0
#define GFP_NOWAIT		1
#define __GFP_ACCOUNT		0
#define __GFP_NOWARN		0
#define __GFP_NOFAIL		0
#define __GFP_DMA32		0

#define PMD_SHIFT		21
/* The test's hostmem_level() tells which pages are large. */
#define PageCompound(page)	((void)(page), true)

#define offset_in_page(a) ((unsigned long)(a) & (PAGE_SIZE - 1))

struct page {
	unsigned long private;
	struct list_head lru;
	struct rcu_head rcu_head;
};

struct folio {
	bool referenced;
};

/* The test's: see selftests/host/tdp_test.c. */
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);
struct page *pfn_to_page(unsigned long pfn);
struct folio *page_folio(struct page *page);

static inline struct page *virt_to_page(const void *table)
{
	return (struct page *)((char *)table + PAGE_SIZE);
}

static inline void __free_page(struct page *page)
{
	free_page((unsigned long)page - PAGE_SIZE);
}

static inline void clear_page(void *page)
{
	__builtin_memset(page, 0, PAGE_SIZE);
}

#define page_private(page) ((page)->private)
#define set_page_private(page, v) ((void)((page)->private = (v)))

/* The test's. */
extern u8 shim_zero_page[PAGE_SIZE];
#define ZERO_PAGE(va) shim_zero_page
#define page_address(page) ((void *)(page))

#define folio_test_referenced(folio) ((folio)->referenced)
#define folio_set_referenced(folio) ((void)((folio)->referenced = true))

#endif
