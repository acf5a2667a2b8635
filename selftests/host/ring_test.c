// SPDX-License-Identifier: GPL-2.0-only
/* The coalesced ring: order, fullness, and indexes that userspace scribbles on meanwhile. */
#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

#include "test.h"

/* Userspace at its worst: right after each read of an index it has another value. */
static u32 *hostile_word;
static u32 hostile_value;

#undef READ_ONCE
#define READ_ONCE(x)								\
	({									\
		typeof(x) read_ = *(const volatile typeof(x) *)&(x);		\
										\
		if (hostile_word)						\
			*(volatile u32 *)hostile_word = hostile_value;		\
		read_;								\
	})

#include "irq/model/ring.h"

#include <pthread.h>

static struct kvm_coalesced_mmio_ring *page_alloc(void)
{
	return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

static bool push(struct kvm_coalesced_mmio_ring *ring, u64 addr)
{
	struct kvm_coalesced_mmio entry = { .phys_addr = addr, .len = 4 };

	return ring_push(ring, &entry);
}

TEST(ring_fills_and_drains)
{
	struct kvm_coalesced_mmio_ring *ring = page_alloc();
	unsigned int i;

	memset(ring, 0, PAGE_SIZE);
	for (i = 0; i < KVM_COALESCED_MMIO_MAX - 1; i++)
		EXPECT(push(ring, i));
	EXPECT(!push(ring, i));
	EXPECT_EQ(ring->last, KVM_COALESCED_MMIO_MAX - 1);
	ring->first = 1;
	EXPECT(push(ring, i));
	EXPECT_EQ(ring->last, 0);
	EXPECT(!push(ring, i));
	for (i = 0; i < KVM_COALESCED_MMIO_MAX; i++)
		EXPECT_EQ(ring->coalesced_mmio[i].phys_addr, i);
	free(ring);
}

/* CVE-2019-14821 */
TEST(ring_hostile_indexes)
{
	static const u32 vals[] = {
		0, 1, KVM_COALESCED_MMIO_MAX - 1, KVM_COALESCED_MMIO_MAX,
		KVM_COALESCED_MMIO_MAX + 1, 0x7fffffff, 0x80000000, ~0u,
	};
	struct kvm_coalesced_mmio_ring *ring = page_alloc();
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(vals); i++) {
		for (j = 0; j < ARRAY_SIZE(vals); j++) {
			memset(ring, 0, PAGE_SIZE);
			ring->last = vals[i];
			ring->first = vals[j];
			if (push(ring, 1)) {
				EXPECT(vals[i] < KVM_COALESCED_MMIO_MAX);
				EXPECT(ring->last < KVM_COALESCED_MMIO_MAX);
			} else {
				EXPECT_EQ(ring->last, vals[i]);
			}
		}
	}
	free(ring);
}

/* CVE-2021-3501: what was checked is what is used, though the word has changed since. */
TEST(ring_changes_between_reads)
{
	static const u32 vals[] = { 0, KVM_COALESCED_MMIO_MAX, 0x7fffffff, ~0u };
	struct kvm_coalesced_mmio_ring *ring = page_alloc();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vals); i++) {
		memset(ring, 0, PAGE_SIZE);
		ring->last = 3;
		hostile_word = &ring->last;
		hostile_value = vals[i];
		EXPECT(push(ring, 77));
		hostile_word = NULL;
		EXPECT_EQ(ring->last, 4);
		EXPECT_EQ(ring->coalesced_mmio[3].phys_addr, 77);
	}
	free(ring);
}

/* No bool: the sanitizer's load of one is not volatile to gcc 12. */
static int scribbling;

static void *scribble(void *arg)
{
	struct kvm_coalesced_mmio_ring *ring = arg;
	u32 x = 1;

	while (READ_ONCE(scribbling)) {
		x = x * 1664525 + 1013904223;
		WRITE_ONCE(ring->last, x >> (x & 31));
		WRITE_ONCE(ring->first, x);
	}
	return NULL;
}

/* The heap's red zones are the oracle: an index that is read twice goes past the page. */
TEST(ring_scribbled_on)
{
	struct kvm_coalesced_mmio_ring *ring = page_alloc();
	pthread_t thread;
	unsigned int i;

	memset(ring, 0, PAGE_SIZE);
	WRITE_ONCE(scribbling, 1);
	ASSERT(!pthread_create(&thread, NULL, scribble, ring));
	for (i = 0; i < 2000000; i++)
		push(ring, i);
	WRITE_ONCE(scribbling, 0);
	pthread_join(thread, NULL);
	free(ring);
}
