/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest, or userspace, does in the middle of okvm's work on the shadow. Included once, by
 * shadow_test.c.
 */

/* By the mapping of the table at frame 3 that the CPU still has in its TLB. */
static void entry_changes(void)
{
	if (mem[3][100] != 0x12c067)
		guest_write(3 << 12 | 100 * 8, 8, 0x12c067);
}

/*
 * Too many tables are out of sync. To compare some of them takes a flush, until which the guest
 * writes to them: to the very table, too, and the entry, that the fault is about.
 */
TEST(an_entry_changes_while_there_is_made_room)
{
	struct okvm_page_fault pf = { .gva = 100 << 12, .acc = WALK_WRITE };
	struct cpu *cpu = start_large(0xe7, true);
	u64 gfn = 0;

	mem[2][0] = 0x3067;
	mem[3][200] = 0x3067;
	mem[3][100] = 0x63067;
	mem[2][100] = 0x63067;
	mem[0x63][0] = 0xc8067;
	EXPECT_EQ(touch(cpu, 100ull << 21), OKVM_FAULT_FIXED);
	for (unsigned int k = 1; k < SHADOW_UNSYNC; k++) {
		mem[3][k] = (100ull + k) << 12 | 0x67;
		mem[2][k] = (100ull + k) << 12 | 0x67;
		mem[100 + k][0] = (200ull + k) << 12 | 0x67;
		EXPECT_EQ(touch(cpu, (u64)k << 21), OKVM_FAULT_FIXED);
	}
	/* The oldest one out of sync is the table at frame 3. */
	EXPECT(write_behind(cpu, 200 << 12));
	for (unsigned int k = 1; k < SHADOW_UNSYNC; k++)
		EXPECT(write_behind(cpu, (u64)k << 12));
	EXPECT_EQ(mmu.shadow->nr_unsync, SHADOW_UNSYNC);
	last_moment = entry_changes;
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	last_moment = NULL;
	EXPECT_EQ(mem[3][100], 0x12c067);
	EXPECT(mmu.shadow->nr_unsync < SHADOW_UNSYNC);
	load(cpu);
	flushed(cpu);
	EXPECT(!hw_walk(cpu, 100 << 12, KERNEL_READ, &gfn) || gfn == 0x12c);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

static u64 gva_between;

static void touch_between(void)
{
	EXPECT_EQ(touch(&cpus[0], gva_between), OKVM_FAULT_FIXED);
}

/*
 * All that is known of a slot's frames goes, piece by piece, but the frames are still in a slot (a
 * set of slots takes the place of another, or large pages become executable): a CPU uses them
 * again at once, by a leaf, a large one or a table.
 */
TEST(a_block_is_used_again_while_it_goes)
{
	static const u64 gva[] = { 1 << 21, 1 << 21, 2 << 21 };
	struct mmu_zap z;

	for (unsigned int i = 0; i < ARRAY_SIZE(gva); i++) {
		struct cpu *cpu = start_large(0xe7, true);

		mem[2][1] = 512 << 12 | 0xe7;
		mem[2][2] = 513 << 12 | 0x67;
		mem[513][0] = 0x20067;
		EXPECT_EQ(touch(cpu, (1 << 21) + 0x20000), OKVM_FAULT_FIXED);
		host.huge[1] = i == 1;
		gva_between = gva[i];
		between = touch_between;
		resched = true;
		shadow_zap_begin(&z, &mmu, true);
		z.frames_leave = true;
		shadow_zap_range(&z, 512, 1024);
		between = NULL;
		shadow_zap_end(&z);
		EXPECT(block_of(mmu.shadow, 512));
		check_structure();
		EXPECT_EQ(violations, 0);
		if (violations)
			return;
		end();
	}
}

static void slot_goes_between(void)
{
	if (slot_there[1])
		slot_change(1, false, 0);
}

/* The host takes pages away one after the other, and meanwhile userspace removes their slot. */
TEST(a_block_goes_while_its_pages_do)
{
	struct cpu *cpu = start_large(0xe7, true);
	struct mmu_zap z;

	mem[2][1] = 512 << 12 | 0xe7;
	for (unsigned int i = 0; i < 4; i++)
		EXPECT_EQ(touch(cpu, (1 << 21) + 0x20000 + i * PAGE_SIZE), OKVM_FAULT_FIXED);
	between = slot_goes_between;
	resched = true;
	shadow_zap_begin(&z, &mmu, true);
	shadow_zap_range(&z, 512, 1024);
	shadow_zap_end(&z);
	EXPECT(!slot_there[1]);
	EXPECT(!block_of(mmu.shadow, 512));
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/*
 * The guest removes an entry and still has to flush. What the entry allowed stays in the TLB, but
 * okvm must not let the TLB write to a page table, nor to a page that the host has taken away.
 */
TEST(a_removed_entry_is_still_in_the_tlb)
{
	for (unsigned int host_takes = 0; host_takes < 2; host_takes++) {
		struct okvm_page_fault pf = { .gva = 0, .acc = WALK_WRITE };
		struct cpu *cpu = start_large(0xe7, true);
		u64 *leaf, gfn = 0;

		mem[2][0] = 0x3067;
		mem[3][0] = 0x20067;
		mem[2][511] = 0x20067;
		mem[0x20][0] = 0x21067;
		EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
		leaf = hw_walk(cpu, gva_of(cpu, 0), KERNEL_WRITE, &gfn);
		EXPECT(leaf);
		if (leaf)
			tlb_fill(cpu, 0, *leaf, gfn);
		guest_write(3 << 12, 8, 0);
		vm.created_vcpus = 1;
		shadow_wrote(&cpu->vcpu, 3 << 12, 8);
		vm.created_vcpus = CPUS;
		/* Nothing has been flushed: else what follows shows nothing. */
		EXPECT(tlb_find(cpu, 0, KERNEL_WRITE));
		if (host_takes)
			host_move(0x20);
		else
			EXPECT_EQ(touch(cpu, gva_of(cpu, 4)), OKVM_FAULT_FIXED);
		check_all();
		EXPECT_EQ(violations, 0);
		end();
	}
}

static unsigned int made, calls_below;

/* A CPU needs a table that is not there: the one of a page that it has not touched. */
static void make_between(void)
{
	struct cpu *cpu = &cpus[1];

	if (++made > 300)
		return;
	if (cpu->reload)
		load(cpu);
	EXPECT_EQ(touch(cpu, (made % 400) << 21), OKVM_FAULT_FIXED);
	/* What is in use goes to the end of the list of tables. */
	shrink(1);
}

/* A CPU that makes tables all the time does not keep okvm from an end. */
TEST(all_tables_go_while_a_cpu_makes_new_ones)
{
	struct cpu *cpu = start_large(0xe7, true), *other = &cpus[1];
	unsigned long there;

	for (unsigned int i = 0; i < 400; i++)
		mem[2][i] = 1ull << 21 | 0xe7;
	other->mmu.mode = cpu->mmu.mode;
	other->cr3 = cpu->cr3;
	load(other);
	for (u64 i = 0; i < 20; i++)
		EXPECT_EQ(touch(cpu, (350 + i) << 21), OKVM_FAULT_FIXED);
	there = mmu.shadow->nr_tables;
	EXPECT(there > 4);
	made = 0;
	between = make_between;
	resched = true;
	shadow_free_all(&mmu);
	between = NULL;
	/* The lock is free once after each table that was there at the call, and no more often. */
	EXPECT(made <= there);
	EXPECT(made > 4);
	EXPECT(list_empty(&mmu.shadow->condemned));
	EXPECT(!list_empty(&mmu.shadow->tables));
	load(cpu);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* A second call comes while the first has all tables on its list, and a CPU makes one between. */
static void call_between(void)
{
	struct shadow_table *t;

	if (calls_below++)
		return;
	if (cpus[1].reload)
		load(&cpus[1]);
	EXPECT_EQ(touch(&cpus[1], 3 << 21), OKVM_FAULT_FIXED);
	shadow_free_all(&mmu);
	list_for_each_entry(t, &mmu.shadow->tables, all)
		EXPECT(!t);
	EXPECT(list_empty(&mmu.shadow->condemned));
	EXPECT_EQ(touch(&cpus[1], 4 << 21), OKVM_FAULT_FIXED);
}

TEST(two_calls_at_once_zap_all_tables)
{
	struct cpu *cpu = start_large(0xe7, true), *other = &cpus[1];

	for (unsigned int i = 0; i < 16; i++)
		mem[2][i] = 1ull << 21 | 0xe7;
	other->mmu.mode = cpu->mmu.mode;
	other->cr3 = cpu->cr3;
	load(other);
	for (u64 i = 5; i < 16; i++)
		EXPECT_EQ(touch(cpu, i << 21), OKVM_FAULT_FIXED);
	calls_below = 0;
	between = call_between;
	resched = true;
	shadow_free_all(&mmu);
	between = NULL;
	EXPECT_EQ(calls_below, 1);
	load(cpu);
	load(other);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}
