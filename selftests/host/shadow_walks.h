/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ways of a shadow fault, with IRQs off and on: the second takes over the first one's walk.
 * Included once, by shadow_test.c.
 */

/* The fast way walks, and finds that tables are to be made. */
static struct okvm_page_fault start_walked(struct cpu **cpu)
{
	struct okvm_page_fault pf = { };

	*cpu = start_large(0xe7, true);
	walks = 0;
	EXPECT_EQ(shadow_page_fault_fast(&(*cpu)->vcpu, &pf), OKVM_FAULT_SLOW);
	return pf;
}

TEST(one_walk_for_two_ways)
{
	struct cpu *cpu;
	struct okvm_page_fault pf = start_walked(&cpu);
	u64 gfn = 0;

	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 0);
	EXPECT(hw_walk(cpu, 0, KERNEL_READ, &gfn));
	EXPECT_EQ(gfn, 512);
	/* Once, and for the same address and kind of access. */
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 1);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

TEST(a_walk_for_another_access)
{
	struct cpu *cpu;
	struct okvm_page_fault pf = start_walked(&cpu);
	struct okvm_page_fault other = { .gva = pf.gva, .acc = WALK_WRITE };

	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &other), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 1);
	end();
	start_walked(&cpu);
	other = (struct okvm_page_fault){ .gva = 0x1000 };
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &other), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 1);
	end();
}

TEST(a_walk_of_older_slots)
{
	struct cpu *cpu;
	struct okvm_page_fault pf = start_walked(&cpu);

	slots_gen += 2;
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 1);
	end();
}

TEST(a_walk_of_another_root)
{
	struct cpu *cpu;
	struct okvm_page_fault pf = start_walked(&cpu);
	u64 gfn = 0;

	mem[8][0] = 0x9067;
	mem[9][0] = 0xa067;
	mem[10][0] = 1024 << 12 | 0xe7;
	cpu->cr3 = 8 << 12;
	load(cpu);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT_EQ(walks, 1);
	EXPECT(hw_walk(cpu, 0, KERNEL_READ, &gfn));
	EXPECT_EQ(gfn, 1024);
	/* Back by the short way. */
	EXPECT_EQ(shadow_page_fault_fast(&cpu->vcpu, &(struct okvm_page_fault){ .gva = 1 << 21 }),
		  OKVM_FAULT_GUEST);
	cpu->mmu.shadow->fault.walked = true;
	cpu->cr3 = 0;
	EXPECT(shadow_cr3_fast(&cpu->vcpu));
	EXPECT(!cpu->mmu.shadow->fault.walked);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* Heads of single frames are made when something needs them. */
TEST(a_large_page_needs_one_head)
{
	struct cpu *cpu = start_large(0xe7, true);

	mem[2][1] = 1024 << 12 | 0xe7;
	host.huge[2] = true;
	/* The page directory is there then. */
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	EXPECT_EQ(touch(cpu, 1 << 21), OKVM_FAULT_FIXED);
	EXPECT(block_of(mmu.shadow, 1024)->large);
	EXPECT(!block_rmap(block_of(mmu.shadow, 1024)));
	check_all();
	shadow_age(&mmu, 0, FRAMES, true);
	shadow_write_protect(&mmu, 0, FRAMES);
	host_move(1024);
	EXPECT_EQ(touch(cpu, 1 << 21), OKVM_FAULT_FIXED);
	EXPECT(block_rmap(block_of(mmu.shadow, 1024)));
	okvm_mmu_flush_vm(&vm);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/*
 * The guest has not accessed its pages yet, so that the walk sets bits in its tables, and okvm has
 * nothing for these frames. Still no fault needs the way that sleeps.
 */
TEST(a_first_write_on_the_fast_way)
{
	struct cpu *cpu = start_large(0xe7, true);

	/* The page directory is there then. */
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	walks = 0;
	for (u64 i = 1; i < SLOTS; i++) {
		struct okvm_page_fault pf = { .gva = i << 21, .acc = WALK_WRITE };
		int verdict = OKVM_FAULT_SLOW;
		u64 gfn = 0;

		mem[2][i] = i << 21 | 0x83;
		host.huge[i] = true;
		/* The lock may be taken, and the host may need longer. */
		for (unsigned int tries = 0; tries < 20 && verdict == OKVM_FAULT_SLOW; tries++)
			verdict = shadow_page_fault_fast(&cpu->vcpu, &pf);
		EXPECT_EQ(verdict, OKVM_FAULT_FIXED);
		EXPECT_EQ(mem[2][i], (i << 21 | 0xe3));
		EXPECT(hw_walk(cpu, pf.gva, KERNEL_WRITE, &gfn));
		EXPECT_EQ(gfn, i * 512);
	}
	EXPECT_EQ(walks, 0);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/* Without memory at hand the fast way maps nothing, and leaves the fault to the one that waits. */
TEST(no_memory_on_the_fast_way)
{
	struct cpu *cpu = start_large(0xe7, true);
	struct okvm_page_fault pf = { .gva = 1 << 21 };
	u64 gfn = 0;

	/* The page directory is there then. */
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	mem[2][1] = 1024 << 12 | 0xe7;
	shim_nowait_fails = true;
	/* The lock may be taken, and the host may need longer. */
	for (unsigned int tries = 0; tries < 20; tries++) {
		EXPECT_EQ(shadow_page_fault_fast(&cpu->vcpu, &pf), OKVM_FAULT_SLOW);
		EXPECT(!hw_walk(cpu, pf.gva, KERNEL_READ, &gfn));
	}
	shim_nowait_fails = false;
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT(hw_walk(cpu, pf.gva, KERNEL_READ, &gfn));
	EXPECT_EQ(gfn, 1024);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/* Two large pages of the guest for the same frames, both read-only, with CR0.WP = 0. */
TEST(each_large_page_gets_its_own_dirty_bit)
{
	struct cpu *cpu = start_large(0xe1, false);
	struct okvm_page_fault write = { .acc = WALK_WRITE };
	u64 gfn;

	mem[2][0] = 512 << 12 | 0xa1;
	mem[2][1] = 512 << 12 | 0xa1;
	EXPECT_EQ(touch(cpu, 2 << 20), OKVM_FAULT_FIXED);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &write), OKVM_FAULT_FIXED);
	EXPECT(hw_walk(cpu, 0, KERNEL_WRITE, &gfn));
	EXPECT_EQ(mem[2][0] & SHADOW_D, SHADOW_D);
	EXPECT_EQ(mem[2][1] & SHADOW_D, 0);
	EXPECT(!hw_walk(cpu, 2 << 20, KERNEL_WRITE, &gfn));
	write.gva = 2 << 20;
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &write), OKVM_FAULT_FIXED);
	EXPECT_EQ(mem[2][1] & SHADOW_D, SHADOW_D);
	EXPECT(hw_walk(cpu, 2 << 20, KERNEL_WRITE, &gfn));
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/* A table whose entries are far apart: end() counts what is left of them. */
TEST(a_table_with_few_entries_is_emptied)
{
	static const u64 pages[] = { 24, 80, 504 };
	struct cpu *cpu = start_large(0xe7, true);
	u64 gfn;

	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(touch(cpu, pages[i] << 12), OKVM_FAULT_FIXED);
	shadow_free_all(&mmu);
	load(cpu);
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	/* The table that is used again has no entries of before. */
	for (unsigned int i = 0; i < 3; i++)
		EXPECT(!hw_walk(cpu, pages[i] << 12, KERNEL_READ, &gfn));
	EXPECT_EQ(violations, 0);
	end();
}

/* ---- large pages of the host that a vCPU knows ---- */

/*
 * Pages of a large page of the guest, and 4 pages further in the VMM: the host has two large pages
 * behind them, and none of the guest's pages can be mapped large.
 */
static struct cpu *start_shifted(void)
{
	struct cpu *cpu = start_large(0xe7, true);

	slots[1].hva += 4 << 12;
	host.huge[1] = true;
	host.huge[2] = true;
	host.block_version[1] = 7;
	host.block_version[2] = 9;
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	return cpu;
}

/* The fast way for a read of page @i, whose tables exist. Return: how often the host was asked */
static unsigned long touch_fast(struct cpu *cpu, u64 i)
{
	struct okvm_page_fault pf = { .gva = i << 12 };
	const unsigned long asked = host_asked;
	unsigned int tries = 0;

	/* The host sometimes has no page at the moment. */
	while (shadow_page_fault_fast(&cpu->vcpu, &pf) != OKVM_FAULT_FIXED && ++tries < 50)
		;
	EXPECT(tries < 50);
	check_all();
	return host_asked - asked;
}

TEST(a_large_page_of_the_host_is_asked_for_once)
{
	struct cpu *cpu = start_shifted();

	EXPECT(touch_fast(cpu, 8) > 0);
	EXPECT_EQ(touch_fast(cpu, 16), 0);
	EXPECT_EQ(touch_fast(cpu, 24), 0);
	/* The host takes a page of it away, and moves it. */
	host_move(600);
	EXPECT(touch_fast(cpu, 32) > 0);
	EXPECT(touch_fast(cpu, 40) > 0);
	EXPECT_EQ(violations, 0);
	end();
}

/* The last group of eight pages is in both large pages of the host. */
TEST(neighbours_in_two_large_pages_of_the_host)
{
	struct cpu *cpu = start_shifted();
	u64 gfn = 0;

	touch_fast(cpu, 504);
	EXPECT(hw_walk(cpu, 507 << 12, KERNEL_READ, &gfn));
	EXPECT_EQ(gfn, 512 + 507);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

/* The slot becomes read-only, as another slot for the same memory might be. */
TEST(a_known_large_page_behind_a_slot_that_is_read_only)
{
	struct cpu *cpu = start_shifted();
	u64 gfn;

	touch_fast(cpu, 8);
	slots[1].flags = KVM_MEM_READONLY;
	slots_gen += 2;
	EXPECT_EQ(touch(cpu, 16 << 12), OKVM_FAULT_FIXED);
	EXPECT(!hw_walk(cpu, 16 << 12, KERNEL_WRITE, &gfn));
	EXPECT(hw_walk(cpu, 16 << 12, KERNEL_READ, &gfn));
	EXPECT_EQ(gfn, 512 + 16);
	EXPECT_EQ(violations, 0);
	end();
}

/* ---- what the host is taking away ---- */

static u64 page_taken;

/* Of the page itself and of its neighbour, by either handler. Nobody can wait for the host here. */
static void touch_taken(void)
{
	struct cpu *cpu = &cpus[0];
	struct okvm_page_fault pf = { .gva = page_taken << 12 };
	u64 gfn;

	EXPECT_EQ(shadow_page_fault_fast(&cpu->vcpu, &pf), OKVM_FAULT_SLOW);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_SIGNAL);
	touch_fast(cpu, page_taken ^ 1);
	EXPECT(hw_walk(cpu, (page_taken ^ 1) << 12, KERNEL_READ, &gfn));
	EXPECT(!hw_walk(cpu, page_taken << 12, KERNEL_READ, &gfn));
}

/* A page is unmapped, and the host has not changed its own tables yet. The host may lack others. */
TEST(a_page_is_not_mapped_while_it_goes)
{
	struct cpu *cpu = start_large(0xe7, true);

	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	invalidating = touch_taken;
	for (page_taken = 17; page_taken < 257; page_taken += 8)
		host_move(512 + page_taken);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

static void touch_taken_huge(void)
{
	struct okvm_page_fault pf = { .gva = page_taken << 12 };

	EXPECT_EQ(shadow_page_fault_fast(&cpus[0].vcpu, &pf), OKVM_FAULT_SLOW);
	EXPECT_EQ(shadow_page_fault(&cpus[0].vcpu, &pf), OKVM_FAULT_SIGNAL);
}

/* The CPU knows the large page of the host, and sleeps all the same until the host is done. */
TEST(a_known_large_page_is_not_mapped_while_it_goes)
{
	struct cpu *cpu = start_shifted();

	touch_fast(cpu, 8);
	EXPECT_EQ(touch_fast(cpu, 16), 0);
	page_taken = 24;
	invalidating = touch_taken_huge;
	notify(512, 1024);
	invalidating = NULL;
	EXPECT(touch_fast(cpu, 24) > 0);
	EXPECT_EQ(violations, 0);
	end();
}
