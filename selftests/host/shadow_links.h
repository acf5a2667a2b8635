/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which shadow tables have arrays of links, and what okvm records of a block without mapped frames.
 * Included once, by shadow_test.c.
 */
#include <linux/slab.h>

static unsigned int nr_tables_of(u64 gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;
	unsigned int n = 0;

	shadow_for_each(t, next, mmu.shadow, gfn)
		n++;
	return n;
}

static struct shadow_table *leaf_table(struct cpu *cpu, u64 gva)
{
	struct shadow_table *t = shadow_top(&cpu->vcpu, gva);

	while (role_level(t->role) > 1)
		t = table_below(t->entry[spte_index(gva >> 12, role_level(t->role))]);
	return t;
}

/* Four page tables of the guest, for addresses 0, 2 MiB, 4 MiB and 6 MiB, are shadowed. */
static struct cpu *start_tables(void)
{
	struct cpu *cpu = start_large(0xe7, true);

	for (u64 i = 0; i < 4; i++) {
		mem[2][i] = (3 + i) << 12 | 0x67;
		mem[3 + i][0] = (100 + i) << 12 | 0x67;
		EXPECT_EQ(touch(cpu, i << 21), OKVM_FAULT_FIXED);
		/* Entry 8 is not in the group of entry 0, which is prefetched. */
		mem[3 + i][8] = 200 << 12 | 0x67;
	}
	return cpu;
}

TEST(only_entries_with_neighbours_have_links)
{
	struct cpu *cpu = start_tables();
	const u64 gva = 8 << 12;

	EXPECT_EQ(touch(cpu, gva), OKVM_FAULT_FIXED);
	EXPECT(!leaf_table(cpu, gva)->link);
	for (u64 i = 1; i < 4; i++) {
		EXPECT(!leaf_table(cpu, gva + (i << 21))->link);
		EXPECT_EQ(touch(cpu, gva + (i << 21)), OKVM_FAULT_FIXED);
		EXPECT(leaf_table(cpu, gva + (i << 21))->link);
		EXPECT(leaf_table(cpu, gva)->link);
		check_structure();
	}
	/* One after the other is alone again, in the order of the chain and against it. */
	mem[5][8] = 0;
	shadow_wrote(&cpu->vcpu, 5 << 12 | 8 * 8, 8);
	check_structure();
	host_move(200);
	check_structure();
	for (u64 i = 4; i-- > 0;) {
		mem[3 + i][8] = 200 << 12 | 0x67;
		EXPECT_EQ(touch(cpu, gva + (i << 21)), OKVM_FAULT_FIXED);
		check_structure();
	}
	EXPECT_EQ(violations, 0);
	end();
}

/* Without a spare array a fault maps nothing, until the handler that may sleep has made some. */
TEST(a_fault_without_spare_arrays)
{
	struct cpu *cpu = start_tables();
	struct shadow_vcpu *sv = cpu->mmu.shadow;
	const u64 gva = 8 << 12;

	EXPECT_EQ(touch(cpu, gva), OKVM_FAULT_FIXED);
	while (sv->nr_spare_link)
		kfree(sv->spare_link[--sv->nr_spare_link]);
	for (unsigned int tries = 0; tries < 20; tries++) {
		struct okvm_page_fault pf = { .gva = gva + (1 << 21) };

		EXPECT_EQ(shadow_page_fault_fast(&cpu->vcpu, &pf), OKVM_FAULT_SLOW);
	}
	EXPECT(!leaf_table(cpu, gva + (1 << 21))->entry[8]);
	EXPECT_EQ(touch(cpu, gva + (1 << 21)), OKVM_FAULT_FIXED);
	EXPECT(leaf_table(cpu, gva + (1 << 21))->entry[8]);
	EXPECT_EQ(sv->nr_spare_link, 0);
	/* The old head has an array already: one for the new entry's table is enough. */
	EXPECT_EQ(touch(cpu, gva + (2 << 21)), OKVM_FAULT_FIXED);
	EXPECT_EQ(sv->nr_spare_link, SHADOW_SPARE_LINKS - 1);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/*
 * A page that is cleared from its beginning was a page directory. Its shadow goes with the third
 * write, or with the first if no entry leads to it. The CPU can make the writes after that.
 */
TEST(a_page_directory_is_cleared)
{
	struct cpu *cpu = start_tables();

	for (unsigned int i = 0; i < 3; i++) {
		EXPECT(rmap_shadowed(mmu.shadow, 2));
		mem[2][i] = 0;
		EXPECT_EQ(shadow_wrote(&cpu->vcpu, 2 << 12 | i * 8, 8), i == 2);
		check_structure();
	}
	EXPECT(!rmap_shadowed(mmu.shadow, 2));
	EXPECT(!shadow_wrote(&cpu->vcpu, 2 << 12 | 3 * 8, 8));
	/* Nothing leads to the page tables below any more. */
	EXPECT(rmap_shadowed(mmu.shadow, 6));
	EXPECT(shadow_wrote(&cpu->vcpu, 6 << 12, 8));
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* A root that no CPU keeps may be that of a process that sleeps: it stays until the third write. */
TEST(a_kernel_writes_to_the_root_of_a_process_that_sleeps)
{
	struct cpu *cpu = start_tables();
	const u64 root = cpu->cr3 >> 12;

	for (u64 i = 0; i <= SHADOW_ROOTS; i++) {
		cpu->cr3 = (10 + i) << 12;
		load(cpu);
	}
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT(rmap_shadowed(mmu.shadow, root));
		mem[root][8 + i] = 0;
		EXPECT_EQ(shadow_wrote(&cpu->vcpu, root << 12 | (8 + i) * 8, 8), i == 2);
		check_structure();
	}
	EXPECT(!rmap_shadowed(mmu.shadow, root));
	EXPECT_EQ(violations, 0);
	end();
}

/*
 * Neighbours are mapped by the way: what faults need is not spent on them. The host lacks some
 * pages at random, so several faults are tried.
 */
TEST(prefetch_takes_no_spare_arrays)
{
	struct cpu *cpu = start_tables();
	struct shadow_vcpu *sv = cpu->mmu.shadow;
	const u64 gva = 1 << 21;
	unsigned int mapped = 0;

	EXPECT_EQ(touch(cpu, 8 << 12), OKVM_FAULT_FIXED);
	for (unsigned int i = 8; i < 72; i += 4) {
		/* The first neighbour's frame is mapped by another table already. */
		mem[4][i] = (201 + i) << 12 | 0x67;
		mem[4][i + 1] = 200 << 12 | 0x67;
		mem[4][i + 2] = (202 + i) << 12 | 0x67;
		EXPECT_EQ(touch(cpu, gva + (i << 12)), OKVM_FAULT_FIXED);
		EXPECT(leaf_table(cpu, gva)->entry[i]);
		EXPECT(!leaf_table(cpu, gva)->entry[i + 1]);
		mapped += !!leaf_table(cpu, gva)->entry[i + 2];
		EXPECT_EQ(sv->nr_spare_link, SHADOW_SPARE_LINKS);
	}
	EXPECT(mapped);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/* No frame of the slot is mapped, but one is the root of a CPU, in two roles. */
TEST(a_slot_goes_that_has_only_tables)
{
	struct cpu *cpu = start_large(0xe7, true);

	cpu->cr3 = 512 << 12;
	load(cpu);
	cpu->mmu.mode.wp = false;
	load(cpu);
	EXPECT(block_of(mmu.shadow, 512));
	EXPECT(!block_rmap(block_of(mmu.shadow, 512)));
	EXPECT_EQ(nr_tables_of(512), 2);
	EXPECT(rmap_shadowed(mmu.shadow, 512));
	slot_change(1, false, 0);
	EXPECT(!block_of(mmu.shadow, 512));
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* One frame as the root of many modes: only so many tables are made of it, and each mode works. */
TEST(one_frame_in_many_roles)
{
	struct cpu *cpu = start_large(0xe7, true);
	unsigned int bits, tries;
	int verdict;

	/* Or the oldest would go before one frame has too many. */
	shadow_set_limit(&mmu, 1000);
	for (bits = 0; bits < 64; bits++) {
		cpu->mmu.mode.wp = bits & 1;
		cpu->mmu.mode.nx = bits & 2;
		cpu->mmu.mode.gbpages = bits & 4;
		cpu->mmu.mode.maxphyaddr = 40 + (bits >> 3);
		load(cpu);
		for (tries = 0; tries < 4; tries++) {
			if (cpu->reload)
				load(cpu);
			verdict = touch(cpu, 0);
			if (!cpu->reload)
				break;
		}
		EXPECT(tries < 4);
		EXPECT_EQ(verdict, OKVM_FAULT_FIXED);
		EXPECT(nr_tables_of(0) <= SHADOW_SAME);
	}
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}
