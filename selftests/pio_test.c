// SPDX-License-Identifier: GPL-2.0-only
/* Port I/O that userspace finishes. */
#include "selftests/lib/okvm_test.h"

GUEST(out, 16)
	"	mov $0x5a, %al\n"
	"	mov $0x3f8, %dx\n"
	"	out %al, %dx\n"
	"	hlt\n"
GUEST_END(out);

TEST(out_exits_with_its_byte_and_goes_on_after_it)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, out);
	EXPECT_EQ(run_out(&vm, 0x3f8), 0x5a);
	EXPECT_EQ(vm.run->io.size, 1);
	EXPECT_EQ(vm.run->io.count, 1);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(in, 16)
	"	mov $0x11223344, %eax\n"
	"	mov $0x60, %dx\n"
	"	in %dx, %al\n"
	"	hlt\n"
GUEST_END(in);

TEST(in_of_a_byte_keeps_the_rest_of_eax)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, in);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.direction, KVM_EXIT_IO_IN);
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0xee;
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(get_reg_rax(&vm), 0x112233ee);
	vm_destroy(&vm);
}

/* 64-bit code, as real mode may be emulated, and emulated OUT is done when userspace is asked. */
GUEST(out64, 64)
	"	mov $0x3f8, %edx\n"
	"	out %al, %dx\n"
	"	hlt\n"
GUEST_END(out64);

TEST(rip_stands_at_the_instruction_until_it_is_completed)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, out64);
	run_out(&vm, 0x3f8);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE + 5);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	vm.run->immediate_exit = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE + 6);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(a_moved_rip_drops_the_completion)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, in);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	regs.rip = VM_CODE + 9 + 1;	/* the HLT */
	regs.rax = 7;
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0xee;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(get_reg_rax(&vm), 7);
	vm_destroy(&vm);
}

GUEST(outs, 16)
	"	mov $0x8020, %si\n"
	"	mov $5, %cx\n"
	"	mov $0x3f8, %dx\n"
	"	cld\n"
	"	rep outsb\n"
	"	hlt\n"
	"	.org guest_outs + 0x20\n"
	"	.ascii \"hello\"\n"
GUEST_END(outs);

TEST(rep_outs_is_batched)
{
	char text[16] = "";
	struct vm vm;
	unsigned int n = 0;

	vm_create(&vm, 0);
	LOAD16(&vm, outs);
	while (n < 5) {
		run_until(&vm, KVM_EXIT_IO);
		EXPECT_EQ(vm.run->io.direction, KVM_EXIT_IO_OUT);
		if (n + vm.run->io.count > 5)
			break;
		memcpy(text + n, (uint8_t *)vm.run + vm.run->io.data_offset, vm.run->io.count);
		n += vm.run->io.count;
	}
	EXPECT(!strcmp(text, "hello"));
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(ins, 16)
	"	mov $0x9000, %di\n"
	"	mov $3, %cx\n"
	"	mov $0x60, %dx\n"
	"	cld\n"
	"	rep insw\n"
	"	hlt\n"
GUEST_END(ins);

TEST(rep_ins_stores_what_userspace_gives)
{
	uint16_t next = 0x1001;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD16(&vm, ins);
	do {
		EXPECT_EQ(vcpu_run(&vm), 0);
		if (vm.run->exit_reason != KVM_EXIT_IO)
			break;
		EXPECT_EQ(vm.run->io.size, 2);
		for (i = 0; i < vm.run->io.count; i++, next++)
			((uint16_t *)((uint8_t *)vm.run + vm.run->io.data_offset))[i] = next;
	} while (next < 0x1010);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	EXPECT(!memcmp(vm.mem + 0x9000, "\x01\x10\x02\x10\x03\x10", 6));
	vm_destroy(&vm);
}

#define STRING_VECTOR	0x41

GUEST(ins_interrupted, 16)
	"	mov $0x9000, %di\n"
	"	mov $3000, %cx\n"
	"	mov $0x60, %dx\n"
	"	cld\n"
	"	sti\n"
	"	rep insb\n"
	"	out %al, $0x10\n"
	"	.org guest_ins_interrupted + 0x40\n"
	"	out %al, $0x11\n"
	"	iret\n"
GUEST_END(ins_interrupted);

TEST(an_interrupt_comes_between_two_batches_of_rep_ins)
{
	struct kvm_interrupt irq = { .irq = STRING_VECTOR };
	uint16_t gate[2] = { VM_CODE + 0x40, 0 };
	unsigned int given, handled;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, ins_interrupted);
	memcpy(vm.mem + STRING_VECTOR * 4, gate, sizeof(gate));
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x60);
	given = vm.run->io.count;
	/* Userspace has injected behind the last batch: no other comes before the handler. */
	for (handled = 0; given < 3000; handled++) {
		REQUIRE(ioctl(vm.vcpu, KVM_INTERRUPT, &irq) == 0);
		run_until(&vm, KVM_EXIT_IO);
		REQUIRE(vm.run->io.port == 0x11);
		run_until(&vm, KVM_EXIT_IO);
		REQUIRE(vm.run->io.port == 0x60);
		given += vm.run->io.count;
	}
	EXPECT(handled > 0);
	EXPECT_EQ(given, 3000);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x10);
	vm_destroy(&vm);
}

/* ---- strings between ports and what is not memory ---- */

#define HOLE	0x10000000ull
#define ROM	0x900000u

GUEST(ins_far, 64)
	"	mov $0x20, %edx\n"
	"	cld\n"
	"	rep insb\n"
	"	out %al, $0x10\n"
GUEST_END(ins_far);

GUEST(outs_far, 64)
	"	mov $0x20, %edx\n"
	"	cld\n"
	"	rep outsb\n"
	"	out %al, $0x10\n"
GUEST_END(outs_far);

static void string_begin(struct vm *vm, uint64_t at, uint64_t count, uint8_t *rom)
{
	struct kvm_regs regs;

	vm_slot(vm, 3, ROM, 4096, rom, KVM_MEM_READONLY);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rdi = at;
	regs.rsi = at;
	regs.rcx = count;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static uint8_t *io_data(struct vm *vm)
{
	return (uint8_t *)vm->run + vm->run->io.data_offset;
}

/* A device takes part in each item before the port sees the next. (Upstream reads ahead.) */
static void expect_one_item(struct vm *vm, uint64_t gpa, bool write)
{
	bool memory = gpa < VM_MEMORY || (!write && gpa - ROM < 4096);

	if (!memory && !getenv("OKVM_DEVICE"))
		EXPECT_EQ(vm->run->io.count, 1);
}

/* Gives the bytes 0, 1, 2, ... and takes them again; memory before @at is the guest's. */
static void ins_to(uint64_t at, unsigned int count)
{
	uint8_t *rom = host_pages(1);
	unsigned int given = 0, taken = 0, i;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, ins_far);
	string_begin(&vm, at, count, rom);
	for (;;) {
		REQUIRE(vcpu_run(&vm) == 0);
		if (vm.run->exit_reason == KVM_EXIT_MMIO) {
			/* Each item by itself. */
			EXPECT_EQ(vm.run->mmio.len, 1);
			EXPECT_EQ(vm.run->mmio.phys_addr, at + taken);
			EXPECT_EQ(vm.run->mmio.data[0], (uint8_t)taken);
			taken++;
		} else if (vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x20) {
			expect_one_item(&vm, at + given, true);
			for (i = 0; i < vm.run->io.count; i++)
				io_data(&vm)[i] = given++;
			/* What went to memory before. */
			if (at < VM_MEMORY)
				taken = at + given > VM_MEMORY ? taken : given;
		} else {
			break;
		}
	}
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x10);
	EXPECT_EQ(given, count);
	EXPECT_EQ(taken, count);
	for (i = 0; i < count && at + i < VM_MEMORY; i++)
		EXPECT_EQ(vm.mem[at + i], (uint8_t)i);
	vm_destroy(&vm);
	munmap(rom, 4096);
}

TEST(rep_ins_to_a_device)
{
	ins_to(HOLE, 1);
	ins_to(HOLE + 3, 56);
	ins_to(HOLE + 3, 57);
	ins_to(HOLE + 0xff0, 300);
}

TEST(rep_ins_to_readonly_memory) { ins_to(ROM + 8, 100); }

TEST(rep_ins_from_memory_into_nothing) { ins_to(VM_MEMORY - 40, 70); }

static void outs_from(uint64_t at, unsigned int count)
{
	uint8_t *rom = host_pages(1);
	unsigned int given = 0, taken = 0, i;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, outs_far);
	for (i = 0; i < 4096; i++)
		rom[i] = i - 8;
	for (i = 0; at + i < VM_MEMORY; i++)
		vm.mem[at + i] = i;
	given = i < VM_MEMORY ? i : 0;
	string_begin(&vm, at, count, rom);
	for (;;) {
		REQUIRE(vcpu_run(&vm) == 0);
		if (vm.run->exit_reason == KVM_EXIT_MMIO) {
			EXPECT_EQ(vm.run->mmio.len, 1);
			EXPECT_EQ(vm.run->mmio.phys_addr, at + given);
			vm.run->mmio.data[0] = given++;
		} else if (vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x20) {
			expect_one_item(&vm, at + taken, false);
			for (i = 0; i < vm.run->io.count; i++)
				EXPECT_EQ(io_data(&vm)[i], (uint8_t)taken++);
		} else {
			break;
		}
	}
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x10);
	EXPECT_EQ(taken, count);
	vm_destroy(&vm);
	munmap(rom, 4096);
}

TEST(rep_outs_from_a_device)
{
	outs_from(HOLE, 1);
	outs_from(HOLE + 0xff0, 80);
}

TEST(rep_outs_from_readonly_memory) { outs_from(ROM + 8, 100); }

TEST(rep_outs_from_memory_and_then_nothing) { outs_from(VM_MEMORY - 40, 70); }

/* ---- memory that the VMM has unmapped is none ---- */

TEST(rep_strings_with_unmapped_memory)
{
	uint8_t *rom = host_pages(1);
	uint8_t *gone = host_pages(1);
	unsigned int ins, i, done;
	struct vm vm;

	for (ins = 0; ins < 2; ins++) {
		vm_create(&vm, 0);
		if (ins)
			LOAD64(&vm, ins_far);
		else
			LOAD64(&vm, outs_far);
		string_begin(&vm, HOLE, 20, rom);
		vm_slot(&vm, 4, HOLE, 4096, gone, 0);
		munmap(gone, 4096);
		for (done = 0; vcpu_run(&vm) == 0 && done < 100;) {
			if (vm.run->exit_reason == KVM_EXIT_MMIO) {
				EXPECT_EQ(vm.run->mmio.len, 1);
				EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + done);
				done++;
			} else if (vm.run->exit_reason != KVM_EXIT_IO || vm.run->io.port != 0x20) {
				break;
			} else if (ins) {
				for (i = 0; i < vm.run->io.count; i++)
					io_data(&vm)[i] = i;
			}
		}
		EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_IO);
		EXPECT_EQ(vm.run->io.port, 0x10);
		EXPECT_EQ(done, 20);
		vm_destroy(&vm);
		gone = host_pages(1);
	}
	munmap(gone, 4096);
	munmap(rom, 4096);
}

/* ---- code that needs the I/O permission bit map, here of virtual-8086 mode ---- */

GUEST(ins_down, 16)
	"	mov $0x900f, %di\n"
	"	mov $16, %cx\n"
	"	mov $0x20, %dx\n"
	"	std\n"
	"	rep insb\n"
	"	out %al, $0x10\n"
GUEST_END(ins_down);

static void to_vm86(struct vm *vm)
{
	static const uint8_t map_base = 0x88;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_segment *seg;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	for (seg = &sregs.cs; seg <= &sregs.ss; seg++) {
		seg->base = (uint32_t)seg->selector << 4;
		seg->limit = 0xffff;
		seg->type = 3;
		seg->dpl = 3;
		seg->present = 1;
		seg->s = 1;
	}
	sregs.tr.base = 0x7000;
	sregs.tr.limit = 0xfff;
	sregs.tr.type = 11;
	sregs.tr.present = 1;
	sregs.tr.s = 0;
	sregs.cr0 |= 1;
	regs.rflags |= 1u << 17;
	memset(vm->mem + 0x7000, 0, 0x1000);
	vm->mem[0x7000 + 102] = map_base;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

/* One item after the other, and each is asked for once. */
TEST(rep_ins_by_the_permission_bit_map)
{
	unsigned int given = 0, i;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, ins_down);
	to_vm86(&vm);
	while (vcpu_run(&vm) == 0 && vm.run->exit_reason == KVM_EXIT_IO && given < 100) {
		if (vm.run->io.port != 0x20)
			break;
		for (i = 0; i < vm.run->io.count; i++)
			io_data(&vm)[i] = given++;
	}
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x10);
	EXPECT_EQ(given, 16);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(vm.mem[0x900f - i], i);
	vm_destroy(&vm);
}

/* ---- port 7Eh: RIP has moved, in every mode that OUT can be executed in ---- */

GUEST(quirk16, 16)
	"	out %al, $0x7e\n"
	"	hlt\n"
GUEST_END(quirk16);

GUEST(quirk64, 64)
	"	mov $0x7e, %edx\n"
	"	out %al, %dx\n"
	"	hlt\n"
GUEST_END(quirk64);

GUEST(quirk_string, 64)
	"	mov $0x9000, %esi\n"
	"	mov $0x7e, %edx\n"
	"	outsb\n"
	"	hlt\n"
GUEST_END(quirk_string);

static void quirk(const uint8_t *code, const uint8_t *end, bool real)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	if (real)
		guest_load16(&vm, code, end);
	else
		guest_load64(&vm, code, end);
	run_out(&vm, 0x7e);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, VM_CODE + (end - code) - 1);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(out_to_port_7e_in_each_mode)
{
	quirk(guest_quirk16, guest_quirk16_end, true);
	quirk(guest_quirk64, guest_quirk64_end, false);
	quirk(guest_quirk_string, guest_quirk_string_end, false);
}
