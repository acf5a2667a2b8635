// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected mode without paging. Hardware runs it: also with EPT and without "unrestricted guest",
 * where okvm's page directory maps each address to itself. The guest's own CR3, CR4 and EFER are
 * what the guest has written, and its own page tables count as soon as it switches paging on.
 */
#include <cpuid.h>
#include <pthread.h>

#include "selftests/lib/okvm_test.h"

#define DATA_GPA	0x20000u	/* what the guests read */
#define OTHER_GPA	0x30000u	/* where their page tables lead that address */
#define TABLES		0x10000u
#define AT_IDENTITY	0x10000000u	/* for KVM_SET_IDENTITY_MAP_ADDR */
#define IDENTITY_4M	0x004000e7u	/* its entry of the address 4 MiB */
#define DEFAULT		0xfffbc000u

GUEST(loop, 32)
	"1:	xor %eax, %eax\n"
	"	mov $1000, %ecx\n"
	"2:	add %ecx, %eax\n"
	"	add %eax, 0x20000\n"
	"	loop 2b\n"
	"	out %eax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(loop);

/* ESI: CR4 for paging; EDI: CR3; EBP: EFER. */
GUEST(switches, 32)
	"1:	mov 0x20000, %eax\n"
	"	out %eax, $0x10\n"
	"	mov %esi, %cr4\n"
	"	mov %edi, %cr3\n"
	"	mov $0xc0000080, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov %ebp, %eax\n"
	"	wrmsr\n"
	"	mov 0x20000, %eax\n"
	"	out %eax, $0x11\n"
	"	mov %cr0, %eax\n"
	"	or $0x80000000, %eax\n"
	"	mov %eax, %cr0\n"
	"	jmp 2f\n"
	"2:	mov 0x20000, %eax\n"
	"	out %eax, $0x12\n"
	"	mov %cr3, %eax\n"
	"	out %eax, $0x13\n"
	"	mov %cr0, %eax\n"
	"	and $0x7fffffff, %eax\n"
	"	mov %eax, %cr0\n"
	"	jmp 3f\n"
	"3:	mov 0x20000, %eax\n"
	"	out %eax, $0x14\n"
	"	mov %cr3, %eax\n"
	"	out %eax, $0x15\n"
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	out %eax, $0x16\n"
	"	mov %cr4, %eax\n"
	"	out %eax, $0x17\n"
	"	xor %eax, %eax\n"
	"	mov $0xc0000080, %ecx\n"
	"	wrmsr\n"
	"	mov %eax, %cr4\n"
	"	jmp 1b\n"
GUEST_END(switches);

GUEST(cr3, 32)
	"1:	mov %cr3, %eax\n"
	"	out %eax, $0x10\n"
	"	mov %ebx, %cr3\n"
	"	mov %cr4, %eax\n"
	"	xor $0x10, %eax\n"
	"	mov %eax, %cr4\n"
	"	mov 0x20000, %eax\n"
	"	mov %cr3, %ecx\n"
	"	mov %cr4, %edx\n"
	"	out %eax, $0x11\n"
	"	jmp 1b\n"
GUEST_END(cr3);

/* To paging and then many loads of CR3. EDI: CR3. */
GUEST(cr3_loads, 32)
	"	mov %edi, %cr3\n"
	"	mov %cr0, %eax\n"
	"	or $0x80000000, %eax\n"
	"	mov %eax, %cr0\n"
	"	jmp 1f\n"
	"1:	out %eax, $0x10\n"
	"	mov $1000, %ecx\n"
	"2:	mov %edi, %cr3\n"
	"	loop 2b\n"
	"	mov 0x20000, %eax\n"
	"	out %eax, $0x11\n"
GUEST_END(cr3_loads);

/* CR4 is EBX in between. */
GUEST(set_cr4, 32)
	"	mov %ebx, %cr4\n"
	"	mov 0x20000, %eax\n"
	"	out %eax, $0x10\n"
	"	mov %cr4, %eax\n"
	"	out %eax, $0x11\n"
GUEST_END(set_cr4);

/* EBX: the identity map. The last entry goes, and what it has mapped is read. */
GUEST(write_map, 32)
	"	mov 4(%ebx), %eax\n"
	"	out %eax, $0x10\n"
	"	movl $0, 0xffc(%ebx)\n"
	"	mov %cr3, %eax\n"
	"	mov %eax, %cr3\n"
	"	mov 0xffc00000, %eax\n"
	"	out %eax, $0x11\n"
GUEST_END(write_map);

/* Counts at 20004h until 20008h is set; each MOV to CR3 drops the translations. */
GUEST(count, 32)
	"1:	incl 0x20004\n"
	"	mov %cr3, %eax\n"
	"	mov %eax, %cr3\n"
	"	cmpl $0, 0x20008\n"
	"	je 1b\n"
	"	mov 0x20000, %eax\n"
	"	out %eax, $0x10\n"
GUEST_END(count);

static void set_segments(struct kvm_sregs *sregs)
{
	struct kvm_segment seg = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1,
		.g = 1,
	};

	sregs->cs = seg;
	seg.selector = 16;
	seg.type = 3;
	sregs->ds = seg;
	sregs->es = seg;
	sregs->fs = seg;
	sregs->gs = seg;
	sregs->ss = seg;
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .selector = 24, .type = 11, .present = 1 };
}

static void start(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = 0x7000 };
	struct kvm_sregs sregs;

	memcpy(vm->mem + VM_CODE, code, end - code);
	*(uint32_t *)(vm->mem + DATA_GPA) = 0x11111111;
	*(uint32_t *)(vm->mem + OTHER_GPA) = 0x22222222;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	set_segments(&sregs);
	sregs.idt.limit = 0;
	sregs.cr0 = 0x31;
	sregs.cr3 = sregs.cr4 = sregs.efer = 0;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

#define START(vm, name) start(vm, guest_##name, guest_##name##_end)

static struct kvm_regs get_regs(struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	return regs;
}

static void set_regs(struct vm *vm, struct kvm_regs *regs)
{
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, regs) == 0);
}

/* A VM whose identity map is at @addr. */
static void vm_with_identity(struct vm *vm, uint64_t addr)
{
	vm_create(vm, VM_BARE);
	REQUIRE(ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &addr) == 0);
	vm->mem = host_pages(VM_MEMORY / 4096);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

static bool on_identity_map(const struct vm *vm)
{
	return no_unrestricted_guest() && !vm_on_shadow(vm);
}

/* Run a loop of 3,000 instructions; few of them are emulated if @few. */
static void run_loop(struct vm *vm, bool few)
{
	uint64_t emulated = vcpu_stat(vm, "insn_emulation"), now;

	EXPECT_EQ(run_out(vm, 0x10), 1000 * 1001 / 2);
	now = vcpu_stat(vm, "insn_emulation");
	EXPECT(few ? now - emulated < 10 : now - emulated > 2500);
}

TEST(a_loop_without_paging_is_not_emulated)
{
	struct vm vm;

	vm_create(&vm, 0);
	START(&vm, loop);
	run_loop(&vm, true);
	run_loop(&vm, true);
	vm_destroy(&vm);
}

TEST(the_guests_cr3_is_its_own)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	START(&vm, cr3);
	regs = get_regs(&vm);
	regs.rbx = 0x12345000;
	set_regs(&vm, &regs);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	for (i = 1; i < 4; i++) {
		EXPECT_EQ(run_out(&vm, 0x11), 0x11111111);
		regs = get_regs(&vm);
		EXPECT_EQ(regs.rcx, 0x12345000);
		EXPECT_EQ(regs.rdx, i & 1 ? 0x10 : 0);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
		EXPECT_EQ(sregs.cr3, 0x12345000);
		EXPECT_EQ(sregs.cr4, i & 1 ? 0x10 : 0);
		EXPECT_EQ(sregs.cr0, 0x31);
		sregs.cr3 = 0x77000 * i;
		REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
		EXPECT_EQ(run_out(&vm, 0x10), 0x77000 * i);
	}
	EXPECT(test_on_svm() || vcpu_stat(&vm, "insn_emulation") < 10);
	vm_destroy(&vm);
}

static uint32_t cpuid_7_ebx(void)
{
	uint32_t a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

/* The identity map has user pages, to which SMEP and SMAP would apply with paging only. */
TEST(protections_of_user_pages_need_paging)
{
	static const struct {
		uint32_t cr4, ebx;	/* the bit of CPUID leaf 7 */
	} cases[] = { { 1 << 20, 1 << 7 }, { 1 << 21, 1 << 20 }, { 1 << 20 | 1 << 5, 1 << 7 } };
	uint32_t ebx = cpuid_7_ebx();
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!(ebx & cases[i].ebx)) {
			printf("# SKIP CR4 %x: the CPU has it not\n", cases[i].cr4);
			continue;
		}
		START(&vm, set_cr4);
		regs = get_regs(&vm);
		regs.rbx = cases[i].cr4;
		set_regs(&vm, &regs);
		EXPECT_EQ(run_out(&vm, 0x10), 0x11111111);
		EXPECT_EQ(run_out(&vm, 0x11), cases[i].cr4);
	}
	vm_destroy(&vm);
}

/* Page tables of @levels at TABLES: the first 2 MiB to themselves, but DATA_GPA to OTHER_GPA. */
static void make_tables(struct vm *vm, unsigned int levels)
{
	uint8_t *table = vm->mem + TABLES;
	unsigned int i, gpa;

	for (i = 0; i + 1 < levels; i++) {
		*(uint64_t *)(table + i * 4096) = TABLES + (i + 1) * 4096 +
						  (levels == 3 && !i ? 1 : 3);
	}
	table += (levels - 1) * 4096;
	for (i = 0; i < 512; i++) {
		gpa = i == DATA_GPA >> 12 ? OTHER_GPA : i << 12;
		if (levels == 2)
			((uint32_t *)table)[i] = gpa | 3;
		else
			((uint64_t *)table)[i] = gpa | 3;
	}
}

static void switch_paging(unsigned int levels, uint32_t cr4, uint32_t efer)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	START(&vm, switches);
	make_tables(&vm, levels);
	regs = get_regs(&vm);
	regs.rsi = cr4;
	regs.rdi = TABLES;
	regs.rbp = efer;
	set_regs(&vm, &regs);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(run_out(&vm, 0x10), 0x11111111);
		EXPECT_EQ(run_out(&vm, 0x11), 0x11111111);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
		EXPECT_EQ(sregs.cr3, TABLES);
		EXPECT_EQ(sregs.cr4, cr4);
		EXPECT_EQ(sregs.efer, efer);
		EXPECT_EQ(run_out(&vm, 0x12), 0x22222222);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
		EXPECT_EQ(sregs.cr3, TABLES);
		EXPECT_EQ(sregs.efer, efer | (efer & 0x100) << 2);
		/* Once, the VMM writes the same state. */
		if (i == 1)
			REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
		EXPECT_EQ(run_out(&vm, 0x13), TABLES);
		EXPECT_EQ(run_out(&vm, 0x14), 0x11111111);
		EXPECT_EQ(run_out(&vm, 0x15), TABLES);
		EXPECT_EQ(run_out(&vm, 0x16), efer);
		EXPECT_EQ(run_out(&vm, 0x17), cr4);
	}
	EXPECT(test_on_svm() || vcpu_stat(&vm, "insn_emulation") < 10);
	vm_destroy(&vm);
}

TEST(paging_with_two_levels_on_and_off)
{
	switch_paging(2, 0, 0);
	switch_paging(2, 0x10, 0);
}

TEST(paging_with_three_levels_on_and_off)
{
	switch_paging(3, 0x20, 0);
	switch_paging(3, 0x30, 0x800);
}

TEST(long_mode_on_and_off)
{
	switch_paging(4, 0x20, 0x100);
	switch_paging(4, 0x20, 0x900);
}

TEST(cr3_is_loaded_without_exits_when_paging_is_on)
{
	struct kvm_regs regs;
	uint64_t exits;
	struct vm vm;

	vm_create(&vm, 0);
	START(&vm, cr3_loads);
	make_tables(&vm, 2);
	regs = get_regs(&vm);
	regs.rdi = TABLES;
	set_regs(&vm, &regs);
	run_out(&vm, 0x10);
	exits = vcpu_stat(&vm, "exits");
	EXPECT_EQ(run_out(&vm, 0x11), 0x22222222);
	EXPECT(vm_on_shadow(&vm) || vcpu_stat(&vm, "exits") - exits < 500);
	vm_destroy(&vm);
}

/* KVM_SET_SREGS goes from a guest without paging to one with it, and back. */
TEST(the_vmm_switches_paging)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	START(&vm, cr3);
	make_tables(&vm, 2);
	regs = get_regs(&vm);
	regs.rbx = TABLES;
	set_regs(&vm, &regs);
	for (i = 0; i < 6; i++) {
		run_out(&vm, 0x10);
		EXPECT_EQ(run_out(&vm, 0x11), i & 1 ? 0x22222222 : 0x11111111);
		EXPECT_EQ(get_regs(&vm).rcx, TABLES);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
		EXPECT_EQ(sregs.cr3, TABLES);
		sregs.cr0 ^= 1u << 31;
		REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	}
	vm_destroy(&vm);
}

TEST(a_write_to_the_identity_map_harms_its_guest)
{
	struct kvm_regs regs;
	struct vm vm, other;

	vm_with_identity(&vm, AT_IDENTITY);
	START(&vm, write_map);
	regs = get_regs(&vm);
	regs.rbx = AT_IDENTITY;
	set_regs(&vm, &regs);
	if (on_identity_map(&vm)) {
		EXPECT_EQ(run_out(&vm, 0x10), IDENTITY_4M);
		run_until(&vm, KVM_EXIT_SHUTDOWN);
	} else {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.phys_addr, AT_IDENTITY + 4);
	}
	vm_with_identity(&other, AT_IDENTITY);
	START(&other, loop);
	run_loop(&other, true);
	vm_destroy(&other);
	vm_destroy(&vm);
}

TEST(any_address_of_the_identity_map_is_accepted)
{
	static const struct {
		uint64_t addr;
		bool usable;
	} cases[] = {
		{ 0, true }, { AT_IDENTITY, true }, { 0xfffff000, true },
		{ AT_IDENTITY + 4, false }, { 1ull << 32, false }, { ~0ull, false },
		{ 0xfee00000, false }, { 0x3ff000, false /* in the slot */ },
	};
	uint64_t addr = AT_IDENTITY;
	struct vm vm;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vm_with_identity(&vm, cases[i].addr);
		EXPECT_ERR(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr), EINVAL);
		START(&vm, loop);
		run_loop(&vm, cases[i].usable || !on_identity_map(&vm));
		vm_destroy(&vm);
	}
}

/* okvm emulates the guest while the VMM's memory is where the identity map would be. */
TEST(a_slot_takes_the_place_of_the_identity_map)
{
	uint8_t *page = host_pages(1);
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	START(&vm, loop);
	for (i = 0; i < 3; i++) {
		run_loop(&vm, true);
		vm_slot(&vm, 1, DEFAULT, 4096, page, 0);
		run_loop(&vm, !on_identity_map(&vm));
		vm_slot_delete(&vm, 1);
	}
	run_loop(&vm, true);
	for (i = 0; i < 4096; i++)
		EXPECT_EQ(page[i], 0);
	vm_destroy(&vm);
}

static void *change_slots(void *arg)
{
	volatile uint32_t *data;
	struct vm *vm = arg;
	uint8_t *page = host_pages(1);
	uint32_t was;
	int i;

	data = (void *)(vm->mem + DATA_GPA);
	for (i = 0; i < 60; i++) {
		if (i & 1)
			vm_slot_delete(vm, 1);
		else
			vm_slot(vm, 1, DEFAULT, 4096, page, 0);
		for (was = data[1]; data[1] - was < 20 && !data[2];)
			usleep(100);
	}
	data[2] = 1;
	return NULL;
}

TEST(slots_come_and_go_while_the_guest_runs)
{
	pthread_t thread;
	struct vm vm;

	vm_create(&vm, 0);
	START(&vm, count);
	REQUIRE(pthread_create(&thread, NULL, change_slots, &vm) == 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0x11111111);
	*(volatile uint32_t *)(vm.mem + DATA_GPA + 8) = 1;
	pthread_join(thread, NULL);
	vm_destroy(&vm);
}
