// SPDX-License-Identifier: GPL-2.0-only
/* Bounds of shadow paging: tables are made of what a guest likes, and it may like very many. */
#include "selftests/lib/okvm_test.h"
#include "uapi/okvm.h"

#define ROOTS		300u
#define ROOT_AT		0x100000u
#define LEAST_PAGES	64u	/* what KVM_SET_NR_MMU_PAGES takes at least */
#define KEPT		16u	/* roots that the vCPU keeps, and what one fault needs */

/* RBX: the first root, RCX: how many. Each is loaded, and the stack is used behind it. */
GUEST(roots, 64)
	"1:	mov %rbx, %rsi\n"
	"	mov %rcx, %rdi\n"
	"2:	mov %rsi, %cr3\n"
	"	push %rsi\n"
	"	pop %rax\n"
	"	cmp %rax, %rsi\n"
	"	jne 3f\n"
	"	add $0x1000, %rsi\n"
	"	dec %rdi\n"
	"	jnz 2b\n"
	"	out %al, $0x10\n"
	"	jmp 1b\n"
	"3:	out %al, $0x11\n"
GUEST_END(roots);

static void shadow_create(struct vm *vm)
{
	struct kvm_regs regs;

	vm_create_on_shadow(vm);
	LOAD64(vm, roots);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = ROOT_AT;
	regs.rcx = ROOTS;
	regs.rsp = ROOT_AT;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	for (unsigned int i = 0; i < ROOTS; i++)
		memcpy(vm->mem + ROOT_AT + i * 0x1000, vm->mem + VM_TABLES, 0x1000);
}

TEST(endless_roots_end_at_the_limit)
{
	struct vm vm;

	shadow_create(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, LEAST_PAGES), 0);
	for (unsigned int i = 0; i < 3; i++) {
		run_out(&vm, 0x10);
		EXPECT(vm_stat(&vm, "page_tables") <= LEAST_PAGES + KEPT);
	}
	vm_destroy(&vm);
}

TEST(a_limit_takes_what_is_above_it)
{
	struct vm vm;

	shadow_create(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 2 * ROOTS), 0);
	run_out(&vm, 0x10);
	EXPECT(vm_stat(&vm, "page_tables") >= ROOTS);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, LEAST_PAGES), 0);
	EXPECT(vm_stat(&vm, "page_tables") <= LEAST_PAGES + KEPT);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

static void drop_slab(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || write(fd, "2", 1) != 1)
		test_skip("caches cannot be dropped");
	close(fd);
}

TEST(memory_pressure_takes_tables)
{
	struct vm vm;
	uint64_t before;

	shadow_create(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 2 * ROOTS), 0);
	run_out(&vm, 0x10);
	before = vm_stat(&vm, "page_tables");
	for (unsigned int i = 0; i < 4; i++)
		drop_slab();
	EXPECT(vm_stat(&vm, "page_tables") < before / 2);
	run_out(&vm, 0x10);
	EXPECT(vm_stat(&vm, "page_tables") > before / 2);
	vm_destroy(&vm);
}

#define RESTORED_VA	(1ull << 30)
#define PTE_TABLE	0x63ull

/* RBX: an address, which is read again and again, all being flushed in between. */
GUEST(reads, 64)
	"1:	mov (%rbx), %al\n"
	"	out %al, $0x10\n"
	"	mov %cr3, %rcx\n"
	"	mov %rcx, %cr3\n"
	"	jmp 1b\n"
GUEST_END(reads);

/* What userspace writes to the guest's tables counts when it has set the registers. */
TEST(a_snapshot_is_restored)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	uint64_t *table;

	shadow_create(&vm);
	LOAD64(&vm, reads);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = RESTORED_VA;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	table = (void *)(vm.mem + VM_TABLES + 0x1000);
	table[1] = ROOT_AT | PTE_TABLE;
	table = (void *)(vm.mem + ROOT_AT);
	memset(table, 0, 0x2000);
	table[0] = (ROOT_AT + 0x1000) | PTE_TABLE;
	table[512] = (ROOT_AT + 0x2000) | PTE_TABLE;
	vm.mem[ROOT_AT + 0x2000] = 0xa;
	vm.mem[ROOT_AT + 0x3000] = 0xb;
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	table[512] = (ROOT_AT + 0x3000) | PTE_TABLE;
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0xb);
	vm_destroy(&vm);
}

#define CLEARED		(ROOT_AT + 0x10000)

/* RBX: a page that is a root, and that the vCPU still keeps as one when it is cleared and used. */
GUEST(clears, 64)
	"	mov %cr3, %rdx\n"
	"	mov %rbx, %cr3\n"
	"	out %al, $0x10\n"
	"	mov %rdx, %cr3\n"
	"	mov %rbx, %rdi\n"
	"	mov $0x200, %ecx\n"
	"	xor %eax, %eax\n"
	"	rep stosq\n"
	"	out %al, $0x11\n"
	"	movb $1, (%rbx)\n"
	"	out %al, $0x12\n"
GUEST_END(clears);

/* The emulator makes the first writes to a page that was a page table, and the CPU the others. */
TEST(a_page_table_is_cleared)
{
	struct kvm_regs regs;
	uint64_t faults;
	struct vm vm;

	shadow_create(&vm);
	LOAD64(&vm, clears);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = CLEARED;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	memset(vm.mem + CLEARED, 0xff, 0x1000);
	memcpy(vm.mem + CLEARED, vm.mem + VM_TABLES, 0x100);
	run_out(&vm, 0x10);
	run_out(&vm, 0x11);
	for (unsigned int i = 0; i < 0x200; i++)
		EXPECT_EQ(((uint64_t *)(vm.mem + CLEARED))[i], 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rcx, 0);
	EXPECT_EQ(regs.rdi, CLEARED + 0x1000);
	/* The page is writable, as the CPU has made most of the writes. */
	faults = vcpu_stat(&vm, "pf_taken");
	run_out(&vm, 0x12);
	EXPECT_EQ(vcpu_stat(&vm, "pf_taken"), faults);
	EXPECT_EQ(vm.mem[CLEARED], 1);
	vm_destroy(&vm);
}

/*
 * RBX: an address, RDX: the entry of its page directory, RSI: the entry's new value, RDI: another
 * root. Pages are read, each of which only one page table has.
 */
GUEST(walks, 64)
	"	mov 0x20000(%rbx), %al\n"
	"	mov (%rbx), %al\n"
	"	out %al, $0x10\n"
	"	mov %rsi, (%rdx)\n"
	"	invlpg (%rbx)\n"
	"	mov 0x8000(%rbx), %al\n"
	"	out %al, $0x11\n"
	"	mov %rdi, %cr3\n"
	"	mov 0x10000(%rbx), %al\n"
	"	out %al, $0x12\n"
GUEST_END(walks);

static void map_at(struct vm *vm, uint64_t table, unsigned int entry, uint64_t to)
{
	((uint64_t *)(vm->mem + table))[entry] = to | PTE_TABLE;
}

/* The walk of one fault is not used for the next one if an upper entry or CR3 has changed. */
TEST(a_known_walk)
{
	const uint64_t at = CLEARED;
	struct kvm_regs regs;
	struct vm vm;

	shadow_create(&vm);
	LOAD64(&vm, walks);
	memset(vm.mem + at, 0, 0xb000);
	/* Directory, its two page tables; the other root, its three tables; three pages. */
	map_at(&vm, VM_TABLES + 0x1000, 1, at);
	map_at(&vm, at, 0, at + 0x1000);
	map_at(&vm, at + 0x1000, 0, at + 0x7000);
	map_at(&vm, at + 0x1000, 32, at + 0x7000);
	map_at(&vm, at + 0x2000, 8, at + 0x8000);
	map_at(&vm, at + 0x3000, 0, at + 0x4000);
	memcpy(vm.mem + at + 0x4000, vm.mem + VM_TABLES + 0x1000, 8);
	map_at(&vm, at + 0x4000, 1, at + 0x5000);
	map_at(&vm, at + 0x5000, 0, at + 0x6000);
	map_at(&vm, at + 0x6000, 16, at + 0x9000);
	for (unsigned int i = 0; i < 3; i++)
		vm.mem[at + 0x7000 + i * 0x1000] = 0xa + i;
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = RESTORED_VA;
	regs.rdx = at;
	regs.rsi = (at + 0x2000) | PTE_TABLE;
	regs.rdi = at + 0x3000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	EXPECT_EQ(run_out(&vm, 0x11), 0xb);
	EXPECT_EQ(run_out(&vm, 0x12), 0xc);
	vm_destroy(&vm);
}

/* Not of the kept walks of the code: the 2 MiB at 0 and these have different places. */
#define KNOWN_VA	((1ull << 39) + (2u << 20))
#define KNOWN_PDE	(CLEARED + 0x1008)
#define PTE_NO_AD	0x3ull
#define PTE_R		0x61ull

/* RBX: an address. The second read's walk is kept; the write is in the same 2 MiB. */
GUEST(known, 64)
	"	mov 0x20000(%rbx), %al\n"
	"	mov (%rbx), %al\n"
	"	out %al, $0x10\n"
	"	incb 0x8000(%rbx)\n"
	"	mov 0x8000(%rbx), %al\n"
	"	out %al, $0x11\n"
GUEST_END(known);

/*
 * RDX: the page directory's entry. Its accessed bit is cleared before the second read, whose walk
 * is kept, and before the third one.
 */
GUEST(known_marks, 64)
	"	mov 0x20000(%rbx), %al\n"
	"	lock btrq $5, (%rdx)\n"
	"	invlpg 0x20000(%rbx)\n"
	"	mov (%rbx), %al\n"
	"	lock btrq $5, (%rdx)\n"
	"	invlpg (%rbx)\n"
	"	mov 0x8000(%rbx), %al\n"
	"	out %al, $0x10\n"
GUEST_END(known_marks);

static void known_regs(struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = KNOWN_VA;
	regs.rdx = KNOWN_PDE;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

/*
 * Make a VM whose guest has at KNOWN_VA its own tables: PDPT, directory, page table. Three of the
 * pages are mapped, to two frames. A fault that repeats for ever ends the test by a signal.
 */
static void known_create(struct vm *vm)
{
	alarm(20);
	shadow_create(vm);
	memset(vm->mem + CLEARED, 0, 0x6000);
	map_at(vm, VM_TABLES, 1, CLEARED);
	map_at(vm, CLEARED, 0, CLEARED + 0x1000);
	map_at(vm, CLEARED + 0x1000, 1, CLEARED + 0x2000);
	map_at(vm, CLEARED + 0x2000, 0, CLEARED + 0x3000);
	map_at(vm, CLEARED + 0x2000, 32, CLEARED + 0x3000);
	map_at(vm, CLEARED + 0x2000, 8, CLEARED + 0x4000);
	for (unsigned int i = 0; i < 3; i++)
		vm->mem[CLEARED + 0x3000 + i * 0x1000] = 0xa + i;
	LOAD64(vm, known);
	known_regs(vm);
}

/* Set bits of CR0 and EFER, clear others of EFER. */
static void known_control(struct vm *vm, uint64_t cr0, uint64_t efer, uint64_t efer_off)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cr0 |= cr0;
	sregs.efer = (sregs.efer | efer) & ~efer_off;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

static void known_end(struct vm *vm)
{
	vm_destroy(vm);
	alarm(0);
}

TEST(a_known_walk_goes_on)
{
	struct vm vm;

	known_create(&vm);
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	EXPECT_EQ(run_out(&vm, 0x11), 0xc);
	EXPECT_EQ(vm.mem[CLEARED + 0x4000], 0xc);
	known_end(&vm);
}

/* The memory with the guest's tables is replaced by other memory, where they are different. */
TEST(a_known_walk_and_other_memory)
{
	uint8_t *other = host_pages(VM_MEMORY >> 12);
	struct vm vm;

	known_create(&vm);
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	memcpy(other, vm.mem, VM_MEMORY);
	*(uint64_t *)(other + CLEARED + 0x2000 + 8 * 8) = (CLEARED + 0x5000) | PTE_TABLE;
	vm_slot_delete(&vm, 0);
	vm_slot(&vm, 0, 0, VM_MEMORY, other, 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0xd);
	EXPECT_EQ(other[CLEARED + 0x5000], 0xd);
	known_end(&vm);
}

/* With EFER.NXE clear, bit 63 of the directory's entry is reserved. */
TEST(a_known_walk_in_another_mode)
{
	struct vm vm;

	known_create(&vm);
	*(uint64_t *)(vm.mem + KNOWN_PDE) |= 1ull << 63;
	known_control(&vm, 0, 1 << 11, 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	known_control(&vm, 0, 0, 1 << 11);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	EXPECT_EQ(vm.mem[CLEARED + 0x4000], 0xb);
	known_end(&vm);
}

/* Only the entry in the PML4 forbids writes. */
TEST(a_known_walk_forbids_writes)
{
	struct vm vm;

	known_create(&vm);
	((uint64_t *)(vm.mem + VM_TABLES))[1] = CLEARED | PTE_R;
	known_control(&vm, 1 << 16, 0, 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0xa);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	EXPECT_EQ(vm.mem[CLEARED + 0x4000], 0xb);
	known_end(&vm);
}

/* A walk that is kept has set an accessed bit, which the guest clears. */
TEST(a_known_walk_marks_again)
{
	struct vm vm;

	known_create(&vm);
	LOAD64(&vm, known_marks);
	known_regs(&vm);
	*(uint64_t *)(vm.mem + KNOWN_PDE) = (CLEARED + 0x2000) | PTE_NO_AD;
	EXPECT_EQ(run_out(&vm, 0x10), 0xb);
	EXPECT_EQ(*(uint64_t *)(vm.mem + KNOWN_PDE) & 0x20, 0x20);
	known_end(&vm);
}

#define NO_IDT		(2ull << 30)

/* The #PF that ends another's delivery is seen in CR2, though the guest gets #DF, or nothing. */
TEST(cr2_of_a_page_fault_that_becomes_a_double_fault)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	shadow_create(&vm);
	LOAD64(&vm, reads);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = RESTORED_VA;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.idt.base = NO_IDT;
	sregs.idt.limit = 0xfff;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.cr2 >> 12, NO_IDT >> 12);
	vm_destroy(&vm);
}

/* CPUID may say anything of the width of addresses. */
TEST(any_maxphyaddr)
{
	static const uint8_t bits[] = { 0, 1, 12, 30, 53, 63, 64, 65, 255 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 2 * sizeof(cpuid->entries[0]));

	REQUIRE(cpuid);
	cpuid->nent = 2;
	cpuid->entries[0].function = 0x80000000;
	cpuid->entries[0].eax = 0x80000008;
	cpuid->entries[1].function = 0x80000008;
	for (unsigned int i = 0; i < sizeof(bits); i++) {
		struct vm vm;

		shadow_create(&vm);
		cpuid->entries[1].eax = bits[i];
		EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid), 0);
		EXPECT_EQ(vcpu_run(&vm), 0);
		/* Where CR3 is wider than that, its load is a #GP that nobody handles. */
		EXPECT_EQ(vm.run->exit_reason, bits[i] > 21 ? KVM_EXIT_IO : KVM_EXIT_SHUTDOWN);
		vm_destroy(&vm);
	}
	free(cpuid);
}

/* The tables of a slot's frames go with it, and come back. */
TEST(tables_go_with_their_slot)
{
	struct vm vm;
	uint64_t with;

	shadow_create(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 2 * ROOTS), 0);
	run_out(&vm, 0x10);
	with = vm_stat(&vm, "page_tables");
	vm_slot_delete(&vm, 0);
	EXPECT(vm_stat(&vm, "page_tables") < with - ROOTS + KEPT);
	EXPECT_EQ(vm_stat(&vm, "pages_4k"), 0);
	vm_slot(&vm, 0, 0, VM_MEMORY, vm.mem, 0);
	run_out(&vm, 0x10);
	EXPECT(vm_stat(&vm, "page_tables") >= ROOTS);
	vm_destroy(&vm);
}

#define CHANGES		100u
#define OTHER_ROOT	ROOT_AT			/* the second vCPU's PML4, and its PDPT */
#define OWN_TABLES	(ROOT_AT + 0x2000)	/* page directory, page table of the first vCPU */
#define OWN_PAGE	(ROOT_AT + 0x4000)

/*
 * RDI = 1: read at the address in RCX, then write RDX and RSI by turns to the page directory's
 * entry at RBX. RDI = 0: stay away from both.
 */
GUEST(changes, 64)
	"1:	test %rdi, %rdi\n"
	"	jz 2f\n"
	"	mov (%rcx), %al\n"
	"	mov %rdx, (%rbx)\n"
	"	xchg %rdx, %rsi\n"
	"2:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(changes);

/* The second vCPU of @vm, which has the address space at @cr3. */
static struct vm second_vcpu(struct vm *vm, uint64_t cr3)
{
	struct vm other = *vm;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	other.vcpu = vcpu_add(vm, 1, &other.run);
	vcpu_cpuid(&other, other.vcpu);
	sregs.cr3 = cr3;
	regs.rdi = 0;
	REQUIRE(ioctl(other.vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(other.vcpu, KVM_SET_REGS, &regs) == 0);
	return other;
}

static void changes_tables(struct vm *vm)
{
	uint64_t *pdpt = (void *)(vm->mem + VM_TABLES + 0x1000), *root;

	memset(vm->mem + OTHER_ROOT, 0, 0x5000);
	pdpt[1] = OWN_TABLES | PTE_TABLE;
	root = (void *)(vm->mem + OTHER_ROOT);
	root[0] = (OTHER_ROOT + 0x1000) | PTE_TABLE;
	root[512] = pdpt[0];
	root = (void *)(vm->mem + OWN_TABLES);
	root[0] = (OWN_TABLES + 0x1000) | PTE_TABLE;
	root[512] = OWN_PAGE | PTE_TABLE;
}

/*
 * The first vCPU changes its page directory, or the host takes its page away, and each time the
 * second one runs. Return: how often the second one has flushed its TLB
 */
static uint64_t flushes_of_the_other(uint64_t cr3, bool host)
{
	uint64_t before = 0, after;
	struct kvm_regs regs;
	struct vm vm, other;

	vm_create_on_shadow(&vm);
	LOAD64(&vm, changes);
	changes_tables(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rdi = 1;
	regs.rcx = RESTORED_VA;
	regs.rbx = OWN_TABLES;
	/* An ignored bit makes the entry another one. */
	regs.rdx = (OWN_TABLES + 0x1000) | PTE_TABLE | (host ? 0 : 1ull << 9);
	regs.rsi = (OWN_TABLES + 0x1000) | PTE_TABLE;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	other = second_vcpu(&vm, cr3);
	for (unsigned int i = 0; i < CHANGES + 8; i++) {
		if (i == 8)
			before = vcpu_stat(&other, "tlb_flush");
		run_out(&vm, 0x10);
		if (host)
			REQUIRE(madvise(vm.mem + OWN_PAGE, 4096, MADV_DONTNEED) == 0);
		run_out(&other, 0x10);
	}
	after = vcpu_stat(&other, "tlb_flush");
	vm_destroy(&vm);
	return after - before;
}

/* A flush goes to the vCPUs whose address space has the changed table. */
TEST(a_flush_leaves_other_address_spaces_alone)
{
	for (int host = 0; host < 2; host++) {
		uint64_t apart = flushes_of_the_other(OTHER_ROOT, host);
		uint64_t same = flushes_of_the_other(VM_TABLES, host);

		printf("# %u changes by the %s: flushes of another vCPU: %lu, with the same tables %lu\n",
		       CHANGES, host ? "host" : "guest", (unsigned long)apart,
		       (unsigned long)same);
		EXPECT_EQ(apart, 0);
		EXPECT(same >= CHANGES);
	}
}
