// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other vendor's hypercall instruction is rewritten in the guest, as the guest itself could do
 * it: in the pages that its tables say, with its privilege; and else it is that write's page fault.
 */
#include "selftests/lib/pages.h"

#define VMCALL	0xc1
#define VMMCALL	0xd9

/* The third bytes: of this machine's instruction, and of the other vendor's. */
static uint8_t ours(void)
{
	return test_on_svm() ? VMMCALL : VMCALL;
}

static uint8_t theirs(void)
{
	return test_on_svm() ? VMCALL : VMMCALL;
}

#define FIRST	0x100000u
#define SECOND	0x140000u	/* not behind the first */

GUEST(nothing, 64)
	"hlt\n"
GUEST_END(nothing);

/**
 * struct place - where the instruction is, and how its pages may be used
 * @offset: in the first page
 * @bits: of the entries of both pages
 * @wp: CR0.WP
 */
struct place {
	unsigned int offset;
	uint64_t bits[2];
	bool user, wp;
	int fault;		/* offset of the byte whose write faults, or -1 */
};

#define R	(PTE_P | PTE_AD)
#define RW	(R | PTE_W)
#define UR	(R | PTE_U)
#define URW	(RW | PTE_U)

static const struct place places[] = {
	{ 0x100, { RW, RW }, false, true, -1 },
	{ 0xffd, { RW, RW }, false, true, -1 },
	{ 0xffe, { RW, RW }, false, true, -1 },
	{ 0xfff, { RW, RW }, false, true, -1 },
	{ 0xffe, { RW, R }, false, true, 0x1000 },
	{ 0xffe, { R, RW }, false, true, 0xffe },
	{ 0x100, { R, R }, false, true, 0x100 },
	{ 0xffe, { R, R }, false, false, -1 },
	{ 0x100, { URW, URW }, true, true, -1 },
	{ 0xfff, { URW, URW }, true, true, -1 },
	{ 0x100, { UR, UR }, true, true, 0x100 },
	{ 0x100, { UR, UR }, true, false, 0x100 },
	{ 0xfff, { URW, UR }, true, false, 0x1000 },
};

static uint8_t *byte_of(struct vm *vm, unsigned int offset)
{
	return vm->mem + (offset < PAGE ? FIRST + offset : SECOND + offset - PAGE);
}

static void user_mode(struct vm *vm, struct kvm_sregs *sregs)
{
	uint64_t *tables = (uint64_t *)(vm->mem + VM_TABLES);

	tables[0] |= PTE_U;
	tables[512] |= PTE_U;
	put64(vm, PAGES_GDT + 24, 0x00affb000000ffffull);
	put64(vm, PAGES_GDT + 32, 0x00cff3000000ffffull);
	sregs->gdt.limit = 0x27;
	sregs->cs.selector = 0x1b;
	sregs->cs.dpl = 3;
	sregs->ss.selector = 0x23;
	sregs->ss.dpl = 3;
	/* The stack of the handlers: RSP0. */
	put64(vm, 0x28004, PAGES_STACK);
	sregs->tr.base = 0x28000;
}

static void begin(struct vm *vm, const struct place *place)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint8_t call[5];	/* and OUT to PORT_DONE */
	unsigned int i;

	vm_create(vm, VM_IRQCHIP);
	LOAD64(vm, nothing);
	pages_setup(vm);
	page_map(vm, 0, FIRST, place->bits[0]);
	page_map(vm, 1, SECOND, place->bits[1]);
	memset(vm->mem + FIRST, 0x90, 2 * PAGE);
	memset(vm->mem + SECOND, 0x90, PAGE);
	memcpy(call, (const uint8_t[]) { 0x0f, 0x01, theirs(), 0xe6, 0x10 }, sizeof(call));
	for (i = 0; i < sizeof(call); i++)
		*byte_of(vm, place->offset + i) = call[i];
	sregs = sregs_of(vm);
	sregs.cr0 = (sregs.cr0 & ~(1ull << 16)) | (uint64_t)place->wp << 16;
	if (place->user)
		user_mode(vm, &sregs);
	sregs_put(vm, &sregs);
	regs = regs_of(vm);
	regs.rip = PAGES_VA + place->offset;
	regs.rax = 999;
	regs.rflags = 2 | 3 << 12;
	regs_put(vm, &regs);
}

TEST(vmmcall_is_patched_as_the_guest_could)
{
	unsigned int i;
	struct vm vm;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct place *place = &places[i];
		bool patched = place->fault < 0;

		/* VMCALL is not for user mode: #GP, and nothing is written. */
		if (place->user && test_on_svm())
			continue;
		begin(&vm, place);
		run_until(&vm, KVM_EXIT_IO);
		if (patched ? !at_port(&vm, PORT_DONE) : trap_vector(&vm) != 14)
			test_fail(__FILE__, __LINE__, "row %u: port %x, vector %d", i,
				  vm.run->io.port, trap_vector(&vm));
		EXPECT_EQ(*byte_of(&vm, place->offset), 0x0f);
		EXPECT_EQ(*byte_of(&vm, place->offset + 1), 0x01);
		EXPECT_EQ(*byte_of(&vm, place->offset + 2), patched ? ours() : theirs());
		/* What lies behind the first page in physical memory is somebody else's. */
		EXPECT_EQ(vm.mem[FIRST + PAGE], 0x90);
		EXPECT_EQ(vm.mem[FIRST + PAGE + 1], 0x90);
		if (!patched) {
			EXPECT_EQ(sregs_of(&vm).cr2, PAGES_VA + place->fault);
			/* Under the number: a write to a present page, by the user or not. */
			EXPECT_EQ(vm.mem[regs_of(&vm).rsp + 8], place->user ? 7 : 3);
		}
		vm_destroy(&vm);
	}
}

TEST(vmcall_is_not_patched_in_user_mode)
{
	struct vm vm;

	if (!test_on_svm())
		test_skip("VMCALL is this machine's own");
	begin(&vm, &places[8]);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), 13);
	EXPECT_EQ(*byte_of(&vm, places[8].offset + 2), VMCALL);
	vm_destroy(&vm);
}

TEST(vmmcall_is_undefined_without_the_quirk)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = KVM_X86_QUIRK_FIX_HYPERCALL_INSN,
	};
	struct vm vm;

	begin(&vm, &places[2]);
	REQUIRE(ioctl(vm.fd, KVM_ENABLE_CAP, &cap) == 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), 6);
	EXPECT_EQ(*byte_of(&vm, 0x1000), theirs());
	vm_destroy(&vm);
}

/* In read-only memory the VMM is told what was to be written, and the instruction stays. */
TEST(vmmcall_in_readonly_memory)
{
	uint8_t *rom = host_pages(1);
	struct vm vm;

	begin(&vm, &places[0]);
	memcpy(rom + 0x100, byte_of(&vm, 0x100), 5);
	vm_slot(&vm, 3, 0x900000, PAGE, rom, KVM_MEM_READONLY);
	page_map(&vm, 0, 0x900000, RW);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, 0x900100);
	EXPECT_EQ(vm.run->mmio.len, 3);
	EXPECT(!memcmp(vm.run->mmio.data, "\x0f\x01", 2));
	EXPECT_EQ(vm.run->mmio.data[2], ours());
	EXPECT_EQ(regs_of(&vm).rip, PAGES_VA + 0x100);
	memcpy(rom + 0x100, vm.run->mmio.data, 3);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT(at_port(&vm, PORT_DONE));
	vm_destroy(&vm);
}

GUEST(real, 16)
	"vmmcall\n"
	"hlt\n"
GUEST_END(real);

TEST(vmmcall_is_undefined_in_real_mode)
{
	struct vm vm;

	test_needs_vmx("VMMCALL is legal in real mode");
	vm_create(&vm, 0);
	LOAD16(&vm, real);
	memcpy(vm.mem + 6 * 4, &(uint32_t){ 0x9000 }, 4);
	vm.mem[0x9000] = 0xf4;
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(regs_of(&vm).rip, 0x9001);
	EXPECT_EQ(vm.mem[VM_CODE + 2], theirs());
	vm_destroy(&vm);
}
