// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instruction that userspace takes part in is executed once, whatever becomes of memory, page
 * tables and devices in the meantime: what it has read is not read again, nor translated again, and
 * what it has written is not written again.
 */
#include <pthread.h>

#include "selftests/lib/pages.h"

#define DEV	PAGES_HOLE

static void begin(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	vm_create(vm, 0);
	guest_load64(vm, code, end);
	pages_setup(vm);
	page_map(vm, 0, 0x100000, PTE_P | PTE_W | PTE_AD);
	page_map(vm, 1, 0x110000, PTE_P | PTE_W | PTE_AD);
	page_map(vm, 2, DEV, PTE_P | PTE_W | PTE_AD);
	page_map(vm, 3, DEV + PAGE, PTE_P | PTE_W | PTE_AD);
}

#define BEGIN(vm, name) begin(vm, guest_##name, guest_##name##_end)

static void expect_mmio(struct vm *vm, bool write, uint64_t at, uint32_t len)
{
	run_until(vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm->run->mmio.is_write, write);
	EXPECT_EQ(vm->run->mmio.phys_addr, at);
	EXPECT_EQ(vm->run->mmio.len, len);
}

static void expect_done(struct vm *vm)
{
	run_until(vm, KVM_EXIT_IO);
	EXPECT_EQ(vm->run->io.port, PORT_DONE);
}

static uint32_t word(struct vm *vm, uint32_t at)
{
	uint32_t val;

	memcpy(&val, vm->mem + at, 4);
	return val;
}

GUEST(add, 64)
	"mov $0x802000, %ebx\n"
	"mov $5, %eax\n"
	"lock xadd %eax, (%rbx)\n"
	"out %al, $0x10\n"
GUEST_END(add);

/* Memory comes where the device was, after the read, and after the write. */
TEST(memory_comes_where_the_device_was)
{
	static const uint32_t at_read = 1, at_write = 2;
	unsigned int when;

	for (when = at_read; when <= at_write; when++) {
		uint8_t *mem = host_pages(1);
		uint32_t val = 100;
		struct vm vm;

		BEGIN(&vm, add);
		expect_mmio(&vm, false, DEV, 4);
		memcpy(vm.run->mmio.data, &val, 4);
		memset(mem, 0xee, PAGE);
		if (when == at_read) {
			vm_slot(&vm, 3, DEV, PAGE, mem, 0);
			/* Not the value that was read, so the locked instruction begins anew. */
			expect_done(&vm);
			EXPECT_EQ(regs_of(&vm).rax, 0xeeeeeeee);
			EXPECT_EQ(*(uint32_t *)mem, 0xeeeeeef3);
		} else {
			expect_mmio(&vm, true, DEV, 4);
			EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 105);
			vm_slot(&vm, 3, DEV, PAGE, mem, 0);
			expect_done(&vm);
			EXPECT_EQ(regs_of(&vm).rax, 100);
			EXPECT_EQ(*(uint32_t *)mem, 0xeeeeeeee);
		}
		vm_destroy(&vm);
		munmap(mem, PAGE);
	}
}

/* The half in memory is changed while userspace reads the other. */
GUEST(half, 64)
	"mov $0x800ffc, %ebx\n"
	"incq (%rbx)\n"
	"out %al, $0x10\n"
GUEST_END(half);

TEST(the_half_that_was_read_is_not_read_again)
{
	struct vm vm;

	BEGIN(&vm, half);
	page_map(&vm, 1, DEV, PTE_P | PTE_W | PTE_AD);
	memset(vm.mem + 0x100ffc, 0xff, 4);
	expect_mmio(&vm, false, DEV, 4);
	memcpy(vm.run->mmio.data, "\x07\0\0\0", 4);
	/* Another processor's write, which the instruction then overwrites. */
	memset(vm.mem + 0x100ffc, 0x33, 4);
	expect_mmio(&vm, true, DEV, 4);
	EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 8);
	EXPECT_EQ(word(&vm, 0x100ffc), 0);
	memset(vm.mem + 0x100ffc, 0x44, 4);
	expect_done(&vm);
	EXPECT_EQ(word(&vm, 0x100ffc), 0x44444444);
	vm_destroy(&vm);
}

GUEST(xchg, 64)
	"mov $0x802000, %ebx\n"
	"mov $0x55, %eax\n"
	"xchg %eax, (%rbx)\n"
	"out %al, $0x10\n"
GUEST_END(xchg);

/* The guest's page tables change between the read of a device and the write to it. */
TEST(a_translation_holds_until_the_instruction_is_done)
{
	/* Not present; read-only; another page. */
	static const uint64_t entries[] = {
		0, DEV | PTE_P | PTE_AD, 0x100000 | PTE_P | PTE_W | PTE_AD,
	};
	unsigned int i;
	struct vm vm;

	for (i = 0; i < 3; i++) {
		BEGIN(&vm, xchg);
		expect_mmio(&vm, false, DEV, 4);
		memcpy(vm.run->mmio.data, "\x99\0\0\0", 4);
		page_map(&vm, 2, 0, entries[i]);
		expect_mmio(&vm, true, DEV, 4);
		EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 0x55);
		expect_done(&vm);
		EXPECT_EQ(regs_of(&vm).rax, 0x99);
		vm_destroy(&vm);
	}
}

/* Its stack is a device: the pushes are given to userspace in order, and none is lost. */
GUEST(pusha, 64)
	".code32\n"
	"mov $0x802020, %esp\n"
	"pusha\n"
	"mov %esp, %ebp\n"
	"out %al, $0x10\n"
	".code64\n"
GUEST_END(pusha);

TEST(all_pushes_of_one_instruction)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	unsigned int i;
	struct vm vm;

	BEGIN(&vm, pusha);
	sregs = sregs_of(&vm);
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	sregs.ss.db = 1;
	sregs_put(&vm, &sregs);
	regs = regs_of(&vm);
	regs.rax = 0xa0;
	regs.rcx = 0xa1;
	regs.rdx = 0xa2;
	regs.rbx = 0xa3;
	regs.rbp = 0xa5;
	regs.rsi = 0xa6;
	regs.rdi = 0xa7;
	regs_put(&vm, &regs);
	for (i = 0; i < 8; i++) {
		expect_mmio(&vm, true, DEV + 0x1c - 4 * i, 4);
		EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, i == 4 ? 0x802020 : 0xa0 + i);
	}
	expect_done(&vm);
	EXPECT_EQ(regs_of(&vm).rbp, 0x802000);
	vm_destroy(&vm);
}

/* ENTER reads the frames that its own pushes may overwrite: reads and writes alternate. */
GUEST(enter, 64)
	"mov $0x802100, %esp\n"
	"mov $0x802200, %ebp\n"
	"enter $16, $3\n"
	"out %al, $0x10\n"
GUEST_END(enter);

TEST(reads_and_writes_that_alternate_keep_their_order)
{
	struct vm vm;

	BEGIN(&vm, enter);
	expect_mmio(&vm, true, DEV + 0xf8, 8);		/* RBP */
	EXPECT_EQ(*(uint64_t *)vm.run->mmio.data, 0x802200);
	expect_mmio(&vm, false, DEV + 0x1f8, 8);
	memcpy(vm.run->mmio.data, "\x11\0\0\0\0\0\0\0", 8);
	expect_mmio(&vm, true, DEV + 0xf0, 8);
	EXPECT_EQ(*(uint64_t *)vm.run->mmio.data, 0x11);
	expect_mmio(&vm, false, DEV + 0x1f0, 8);
	memcpy(vm.run->mmio.data, "\x22\0\0\0\0\0\0\0", 8);
	expect_mmio(&vm, true, DEV + 0xe8, 8);
	EXPECT_EQ(*(uint64_t *)vm.run->mmio.data, 0x22);
	expect_mmio(&vm, true, DEV + 0xe0, 8);
	EXPECT_EQ(*(uint64_t *)vm.run->mmio.data, 0x8020f8);
	expect_done(&vm);
	EXPECT_EQ(regs_of(&vm).rbp, 0x8020f8);
	EXPECT_EQ(regs_of(&vm).rsp, 0x8020d0);
	vm_destroy(&vm);
}

/* The VMM's memory behind a string changes its place between two items. */
GUEST(movs, 64)
	"mov $0x802000, %esi\n"
	"mov $0x800ffc, %edi\n"
	"mov $8, %ecx\n"
	"rep movsb\n"
	"out %al, $0x10\n"
GUEST_END(movs);

TEST(a_string_from_a_device_goes_on_where_it_was)
{
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;

	BEGIN(&vm, movs);
	page_map(&vm, 1, 0x110000, 0);
	for (i = 0; i < 4; i++) {
		expect_mmio(&vm, false, DEV + i, 1);
		EXPECT_EQ(regs_of(&vm).rcx, 8 - i);
		vm.run->mmio.data[0] = 0xa0 + i;
	}
	/* The datum of the fifth is read, and its destination is away. */
	expect_mmio(&vm, false, DEV + 4, 1);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), 14);
	EXPECT_EQ(word(&vm, 0x100ffc), 0xa3a2a1a0);
	regs = regs_of(&vm);
	EXPECT_EQ(regs.rcx, 4);
	EXPECT_EQ(regs.rsi, PAGES_VA + 0x2004);
	vm_destroy(&vm);
}

/* 8 and 16 bytes, a device of two accesses. */
GUEST(wide, 64)
	"mov $0x802000, %esi\n"
	"mov $0x33, %ebx\n mov $0x44, %ecx\n"
	"mov $1, %eax\n mov $2, %edx\n"
	"lock cmpxchg8b (%rsi)\n"
	"pushf\n pop %r8\n"
	"mov $1, %eax\n mov $2, %edx\n"
	"lock cmpxchg16b 16(%rsi)\n"
	"pushf\n pop %r9\n"
	"lock cmpxchg16b 16(%rsi)\n"
	"pushf\n pop %r10\n"
	"out %al, $0x10\n"
GUEST_END(wide);

TEST(wide_exchanges_with_a_device)
{
	static const uint64_t same[2] = { 1, 2 }, other[2] = { 7, 8 };
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i, k;

	BEGIN(&vm, wide);
	expect_mmio(&vm, false, DEV, 8);
	memcpy(vm.run->mmio.data, "\x01\0\0\0\x02\0\0\0", 8);
	expect_mmio(&vm, true, DEV, 8);
	EXPECT(!memcmp(vm.run->mmio.data, "\x33\0\0\0\x44\0\0\0", 8));
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 2; i++) {
			expect_mmio(&vm, false, DEV + 16 + 8 * i, 8);
			memcpy(vm.run->mmio.data, k ? &other[i] : &same[i], 8);
		}
		for (i = 0; i < 2; i++) {
			expect_mmio(&vm, true, DEV + 16 + 8 * i, 8);
			EXPECT_EQ(*(uint64_t *)vm.run->mmio.data, k ? other[i] : i ? 0x44 : 0x33);
		}
	}
	expect_done(&vm);
	regs = regs_of(&vm);
	EXPECT_EQ(regs.r8 & 0x40, 0x40);
	EXPECT_EQ(regs.r9 & 0x40, 0x40);
	EXPECT_EQ(regs.r10 & 0x40, 0);
	EXPECT_EQ(regs.rax, 7);
	EXPECT_EQ(regs.rdx, 8);
	vm_destroy(&vm);
}

/* Userspace sets registers while it is asked: the instruction is executed with these. */
TEST(registers_that_userspace_sets_meanwhile)
{
	struct kvm_regs regs;
	struct vm vm;

	BEGIN(&vm, xchg);
	expect_mmio(&vm, false, DEV, 4);
	regs = regs_of(&vm);
	regs.rbx = PAGES_VA + 0x2040;
	regs.rax = 0x66;
	regs_put(&vm, &regs);
	memcpy(vm.run->mmio.data, "\x11\0\0\0", 4);
	/* Another operand: that has not been read. */
	expect_mmio(&vm, false, DEV + 0x40, 4);
	memcpy(vm.run->mmio.data, "\x22\0\0\0", 4);
	expect_mmio(&vm, true, DEV + 0x40, 4);
	EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 0x66);
	expect_done(&vm);
	EXPECT_EQ(regs_of(&vm).rax, 0x22);
	vm_destroy(&vm);
}

/* ---- exchanges that another processor takes part in ---- */

#define ROUNDS	1500

/* Both halves count, by an emulated instruction. */
GUEST(count16, 64)
	"mov $0x9000, %esi\n"
	"mov $1500, %edi\n"
	"1: mov (%rsi), %rax\n mov 8(%rsi), %rdx\n"
	"lea 1(%rax), %rbx\n lea 1(%rdx), %rcx\n"
	"ud2\n .byte 'k', 'v', 'm'\n"
	"lock cmpxchg16b (%rsi)\n"
	"jnz 1b\n"
	"dec %edi\n jnz 1b\n"
	"out %al, $0x10\n"
GUEST_END(count16);

/* Two numbers that lie in one cache line, the second one not aligned. */
GUEST(count8, 64)
	"mov $0x9000, %esi\n"
	"mov $1500, %edi\n"
	"1: mov $1, %eax\n"
	"ud2\n .byte 'k', 'v', 'm'\n"
	"lock xadd %rax, (%rsi)\n"
	"mov $1, %eax\n"
	"ud2\n .byte 'k', 'v', 'm'\n"
	"lock add %rax, 13(%rsi)\n"
	"dec %edi\n jnz 1b\n"
	"out %al, $0x10\n"
GUEST_END(count8);

static void *other16(void *arg)
{
	uint64_t *at = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t low, high;
		uint8_t done;

		do {
			low = __atomic_load_n(&at[0], __ATOMIC_RELAXED);
			high = __atomic_load_n(&at[1], __ATOMIC_RELAXED);
			__asm__ volatile("lock cmpxchg16b %1\n setz %0"
					 : "=q"(done), "+m"(*(struct { uint64_t a[2]; } *)at),
					   "+a"(low), "+d"(high)
					 : "b"(low + 1), "c"(high + 1) : "memory", "cc");
		} while (!done);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void *other8(void *arg)
{
	uint8_t *at = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		__asm__ volatile("lock incq %0\n lock incq %1"
				 : "+m"(*(uint64_t *)at), "+m"(*(uint64_t *)(at + 13)) : : "cc");
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static bool force(const char *value)
{
	const char *device = getenv("OKVM_DEVICE");
	bool upstream = device && !strcmp(device, "/dev/kvm");
	int fd = open(upstream ? "/sys/module/kvm/parameters/force_emulation_prefix" :
				 "/sys/module/okvm/parameters/force_emulation_prefix", O_WRONLY);
	bool done = fd >= 0 && write(fd, value, 1) == 1;

	if (fd >= 0)
		close(fd);
	return done;
}

static void count_together(const uint8_t *code, const uint8_t *end, void *(*other)(void *),
			   unsigned int second)
{
	pthread_t thread;
	struct vm vm;

	begin(&vm, code, end);
	REQUIRE(pthread_create(&thread, NULL, other, vm.mem + 0x9000) == 0);
	expect_done(&vm);
	pthread_join(thread, NULL);
	EXPECT_EQ(*(uint64_t *)(vm.mem + 0x9000), 2 * ROUNDS);
	EXPECT_EQ(*(uint64_t *)(vm.mem + 0x9000 + second), 2 * ROUNDS);
	vm_destroy(&vm);
}

TEST(emulated_exchanges_are_atomic)
{
	if (!force("1"))
		test_skip("force_emulation_prefix cannot be set");
	count_together(guest_count16, guest_count16_end, other16, 8);
	count_together(guest_count8, guest_count8_end, other8, 13);
	force("0");
}
