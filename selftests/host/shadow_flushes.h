/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which CPUs a flush goes to: those whose present root leads to what changed, and no others.
 * Included once, by shadow_test.c.
 */

#define OTHER_CR3	(8ull << 12)

/* Let @cpu, at the root that it has, access its page at address 0 by its TLB. */
static void warm(struct cpu *cpu)
{
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	look(cpu, 0);
	EXPECT_EQ(cpu->nr_tlb[0], 1);
}

/* Load @cr3, which the CPU has had before if @fast. */
static void go(struct cpu *cpu, u64 cr3, bool fast)
{
	cpu->cr3 = cr3;
	if (fast)
		EXPECT(shadow_cr3_fast(&cpu->vcpu));
	else
		load(cpu);
	flushed(cpu);
}

/*
 * Two CPUs in address spaces of their own: that of CPU 0 begins at frame 0 and maps frame 0x20 at
 * address 0, that of CPU 1 begins at frame 8 and maps frame 0x21. With @shared, CPU 1 has the page
 * directory of CPU 0.
 */
static struct cpu *start_two(bool shared)
{
	struct cpu *cpu = start_large(0xe7, true), *other = &cpus[1];

	mem[2][0] = 0x3067;
	mem[3][0] = 0x20067;
	mem[8][0] = 0x9067;
	mem[9][0] = shared ? 0x2067 : 0xa067;
	mem[10][0] = 0xb067;
	mem[11][0] = 0x21067;
	other->mmu.mode = cpu->mmu.mode;
	go(other, OTHER_CR3, false);
	warm(cpu);
	warm(other);
	flushes_asked = 0;
	flush_calls = 0;
	return cpu;
}

/* @asked CPUs were asked to flush since start_two(), and no TLB holds what it must not. */
static void finish_two(unsigned long asked)
{
	EXPECT_EQ(flushes_asked, asked);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

static void write_entry(struct cpu *cpu, u64 gfn, u64 entry)
{
	guest_write(gfn << 12, 8, entry);
	shadow_wrote(&cpu->vcpu, gfn << 12, 8);
}

TEST(a_flush_for_one_address_space)
{
	struct cpu *cpu = start_two(false);

	write_entry(cpu, 2, 0);
	EXPECT_EQ(cpu->nr_tlb[0], 0);
	EXPECT_EQ(cpus[1].nr_tlb[0], 1);
	finish_two(1);
}

TEST(a_flush_for_two_address_spaces_with_one_table)
{
	struct cpu *cpu = start_two(true);

	write_entry(cpu, 2, 0);
	EXPECT_EQ(cpu->nr_tlb[0], 0);
	EXPECT_EQ(cpus[1].nr_tlb[0], 0);
	finish_two(2);
}

TEST(a_flush_for_a_page_that_the_host_takes)
{
	start_two(false);
	host_move(0x21);
	EXPECT_EQ(cpus[0].nr_tlb[0], 1);
	EXPECT_EQ(cpus[1].nr_tlb[0], 0);
	finish_two(1);
	start_two(true);
	host_move(0x20);
	finish_two(2);
}

/* A CPU that has left the root has flushed its TLB; one that has come back has filled it again. */
TEST(a_flush_for_a_root_that_was_left)
{
	struct cpu *cpu = start_two(false);

	go(cpu, OTHER_CR3, false);
	host_move(0x20);
	finish_two(0);
	cpu = start_two(false);
	go(cpu, OTHER_CR3, false);
	go(cpu, 0, true);
	look(cpu, 0);
	host_move(0x20);
	finish_two(1);
}

/*
 * An entry goes without a flush. When the CPU leaves its root, nobody has to flush for the page any
 * more, but when the other CPU leaves its own, the first one still has to.
 */
TEST(a_flush_of_its_own_is_enough)
{
	for (unsigned int who = 0; who <= CPUS; who++) {
		struct cpu *cpu = start_two(false);

		vm.created_vcpus = 1;
		write_entry(cpu, 3, 0);
		vm.created_vcpus = CPUS;
		EXPECT_EQ(flush_calls, 0);
		EXPECT_EQ(cpu->nr_tlb[0], 1);
		if (who < CPUS)
			go(&cpus[who], who ? 0 : OTHER_CR3, false);
		host_move(0x20);
		finish_two(!!who);
	}
}

/* More roots lead to a table than a search looks at: all CPUs flush. */
TEST(a_flush_for_a_table_below_many_roots)
{
	struct cpu *cpu = start_two(true);

	for (u64 i = 0; i < 4; i++) {
		mem[12 + i][0] = 0x1067;
		go(cpu, (12 + i) << 12, false);
		EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	}
	/* The oldest of the links upwards is the last to be followed. */
	go(cpu, 0, false);
	warm(cpu);
	flushes_asked = 0;
	write_entry(cpu, 2, 0);
	finish_two(2);
}

static struct shadow_table *table_of_frame(u64 gfn)
{
	struct shadow_table *t;

	list_for_each_entry(t, &mmu.shadow->tables, all) {
		if (t->gfn == gfn)
			return t;
	}
	return NULL;
}

/*
 * A guest makes okvm look for the roots above a table again and again before one flush. The search
 * is given up, and the flush goes to all.
 */
TEST(a_flush_for_very_many_changes)
{
	struct cpu *cpu = start_two(false);
	struct shadow_table *pt = table_of_frame(3);

	EXPECT(pt);
	for (unsigned int i = 0; pt && i < 2 * SHADOW_CLIMBED; i++) {
		write_lock(&mmu.lock);
		shadow_left(mmu.shadow, pt);
		write_unlock(&mmu.lock);
		EXPECT(mmu.shadow->climbed <= SHADOW_CLIMBED + SHADOW_HOPS + 1);
		if (atomic64_read(&mmu.shadow->stale) == 3)
			break;
		EXPECT_EQ(atomic64_read(&mmu.shadow->stale), 1);
	}
	EXPECT_EQ(atomic64_read(&mmu.shadow->stale), 3);
	write_lock(&mmu.lock);
	shadow_flush(mmu.shadow);
	write_unlock(&mmu.lock);
	EXPECT_EQ(mmu.shadow->climbed, 0);
	flushed(cpu);
	flushed(&cpus[1]);
	finish_two(2);
}

static void zap_all(void)
{
	shadow_free_all(&mmu);
}

/* The tables of a root go before the CPU says that it uses them: it loads a root once more. */
TEST(a_root_dies_before_it_is_entered)
{
	struct cpu *cpu = start_two(false);

	mem[12][0] = 0x1067;
	cpu->cr3 = 12 << 12;
	unlocked = zap_all;
	load(cpu);
	EXPECT(cpu->reload);
	load(cpu);
	EXPECT(!cpu->reload);
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	/* Those who use a root that dies load another one, too, and nobody else. */
	cpu->reload = false;
	cpus[1].reload = false;
	shadow_unprotect(&vm, 12);
	EXPECT(cpu->reload);
	EXPECT(!cpus[1].reload);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* vCPUs from number 63 on have one bit. If one of them leaves a root, another may still use it. */
TEST(a_flush_for_vcpus_with_one_bit)
{
	struct cpu *cpu = start_large(0xe7, true);

	mem[2][0] = 0x3067;
	mem[3][0] = 0x20067;
	vm.created_vcpus = 70;
	for (int c = 0; c < CPUS; c++) {
		unload(&cpus[c]);
		cpus[c].vcpu.idx = 68 + c;
		cpus[c].mmu.mode = cpu->mmu.mode;
		go(&cpus[c], 0, false);
		warm(&cpus[c]);
	}
	go(&cpus[1], OTHER_CR3, false);
	host_move(0x20);
	EXPECT_EQ(cpu->nr_tlb[0], 0);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}
