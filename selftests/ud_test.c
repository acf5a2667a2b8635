// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of undefined opcodes: the prefix that hands an instruction to the emulator, which
 * must do what the processor does, and the other vendor's SYSCALL.
 */
#include "selftests/lib/okvm_test.h"

#define GDT		0x4000u
#define HANDLERS	0x5000u		/* HLT at HANDLERS + 16 * vector */
#define IDT		0x6000u
#define DATA		0x9000u
#define USER_GDT	0x200000u
#define HOLE		0x600000u	/* no memory: userspace answers */
#define INSN		(VM_CODE + 0x100)	/* behind its prefix, if it has one */

#define EFLAGS_TF	(1u << 8)
#define EFLAGS_AC	(1u << 18)
#define CR4_SMAP	(1ul << 21)
#define NO_FAULT	255

static const uint8_t prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };

/* ---- the parameter ---- */

/* ---- one instruction in 64-bit mode at CPL 0, or 3 if the test changes CS and SS ---- */

/**
 * struct insn - an instruction and the state before it
 * @smap: with SMAP, and the GDT on a page of the user's
 */
struct insn {
	const char *name;
	uint8_t bytes[16];
	uint8_t len;
	uint64_t rflags, rcx, rbx;
	uint64_t dr7;
	bool smap;
};

/* What it did. @vector: of the exception, or NO_FAULT. */
struct outcome {
	uint32_t reason;
	uint8_t vector;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	struct kvm_fpu fpu;
	uint8_t memory[0x2000];		/* code, stack and data */
	uint64_t device;
};

static void put64(struct vm *vm, uint32_t at, uint64_t val)
{
	memcpy(vm->mem + at, &val, sizeof(val));
}

static void fill_tables(struct vm *vm)
{
	static const uint32_t gdts[] = { GDT, USER_GDT };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		put64(vm, gdts[i] + 8, 0x00af9b000000ffffull);		/* code, 64 bits */
		put64(vm, gdts[i] + 16, 0x00cf93000000ffffull);
		put64(vm, gdts[i] + 24, 0x00cffb000000ffffull);		/* code, 32 bits, DPL 3 */
		put64(vm, gdts[i] + 32, 0x00cff3000000ffffull);
	}
	for (i = 0; i < 256; i++)
		put64(vm, IDT + 16 * i, (HANDLERS + 16 * i) | 8ull << 16 | 0x8e00ull << 32);
	memset(vm->mem + HANDLERS, 0xf4, 0x1000);
}

/* The tables' pages may be the user's; the code's and the data's may not, with SMAP. */
static void user_tables(struct vm *vm)
{
	uint64_t *tables = (uint64_t *)(vm->mem + VM_TABLES);

	tables[0] |= 4;
	tables[512] |= 4;
	tables[1024 + 1] |= 4;
}

static const uint8_t no_code[1];

static void insn_state(struct vm *vm, const struct insn *insn)
{
	struct kvm_debugregs debug = { .db = { INSN }, .dr6 = 0xffff0ff0,
				       .dr7 = insn->dr7 | 0x400 };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = insn->smap ? USER_GDT : GDT;
	sregs.gdt.limit = 0x27;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	sregs.cr0 |= 0x10;
	sregs.cr4 |= 0x600 | (insn->smap ? CR4_SMAP : 0);
	sregs.efer |= 1;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_DEBUGREGS, &debug) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_FPU, &fpu) == 0);
}

static void insn_load(struct vm *vm, const struct insn *insn, bool forced)
{
	struct kvm_regs regs = {
		.rip = INSN - (forced ? sizeof(prefix) : 0), .rflags = insn->rflags | 2,
		.rsp = DATA - 0x100, .rcx = insn->rcx, .rbx = insn->rbx ? insn->rbx : DATA,
		.rsi = DATA + 0x40, .rdi = DATA + 0x80, .rax = 0x123456789abcdef0, .rdx = 1,
	};

	guest_load64(vm, no_code, no_code);
	fill_tables(vm);
	if (insn->smap)
		user_tables(vm);
	memset(vm->mem + VM_CODE, 0xf4, 0x1000);
	memset(vm->mem + DATA, 0x5a, 0x1000);
	memcpy(vm->mem + INSN, insn->bytes, insn->len);
	if (forced)
		memcpy(vm->mem + INSN - sizeof(prefix), prefix, sizeof(prefix));
	insn_state(vm, insn);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

/* Reads of the device give its address; what is written is folded into @device. */
static void insn_run(struct vm *vm, struct outcome *out)
{
	struct kvm_run *run = vm->run;
	unsigned int i;

	out->device = 0;
	while (!vcpu_run(vm) && run->exit_reason == KVM_EXIT_MMIO) {
		for (i = 0; i < run->mmio.len; i++) {
			if (run->mmio.is_write)
				out->device = out->device * 31 + run->mmio.data[i] + i;
			else
				run->mmio.data[i] = run->mmio.phys_addr + i;
		}
	}
	out->reason = run->exit_reason;
}

/*
 * RF in the flags that an event without an error code has pushed. On shadow paging tables go when
 * registers are set, so that the instruction's own page is mapped anew while it runs.
 */
static void forget_rf(struct outcome *out)
{
	uint64_t at = out->regs.rsp + 16 - VM_CODE;

	if (at < sizeof(out->memory) - 8)
		out->memory[at + 2] &= ~1;
}

/* Done twice: the first time pages are mapped, and such exits are seen in RFLAGS.RF. */
static void insn_do(const struct insn *insn, bool forced, struct outcome *out)
{
	struct vm vm;

	memset(out, 0, sizeof(*out));
	vm_create(&vm, 0);
	vcpu_cpuid(&vm, vm.vcpu);
	insn_load(&vm, insn, forced);
	insn_run(&vm, out);
	insn_load(&vm, insn, forced);
	insn_run(&vm, out);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &out->regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &out->sregs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &out->debug) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_FPU, &out->fpu) == 0);
	memcpy(out->memory, vm.mem + VM_CODE, sizeof(out->memory));
	memset(out->memory + INSN - VM_CODE - sizeof(prefix), 0, sizeof(prefix));
	if (vm_on_shadow(&vm))
		forget_rf(out);
	out->vector = out->regs.rip - HANDLERS < 0x1000 ? (out->regs.rip - HANDLERS) / 16 :
							   NO_FAULT;
	vm_destroy(&vm);
}

/* ---- the emulator does what the processor does ---- */

#define I(...) { __VA_ARGS__ }, sizeof((uint8_t []){ __VA_ARGS__ })

static const struct insn insns[] = {
	{ "NOP", I(0x90) },
	{ "MOV RCX, imm64", I(0x48, 0xb9, 1, 2, 3, 4, 5, 6, 7, 8) },
	{ "LEA with a register", I(0x8d, 0xc0) },
	{ "MOVBE with a register", I(0x0f, 0x38, 0xf0, 0xc0) },
	{ "LOCK MOV", I(0xf0, 0x89, 0x03) },
	{ "LOCK CMPXCHG8B", I(0xf0, 0x0f, 0xc7, 0x0b) },
	{ "SMSW RAX", I(0x48, 0x0f, 0x01, 0xe0) },
	{ "SMSW to a device", I(0x0f, 0x01, 0x23), .rbx = HOLE },
	{ "LMSW", I(0x0f, 0x01, 0xf1), .rcx = 0x3a },
	{ "MOV RAX, CR1", I(0x0f, 0x20, 0xc8) },
	{ "MOV CR4 with a reserved bit", I(0x0f, 0x22, 0xe1), .rcx = 1ull << 40 },
	{ "MOV CR8", I(0x44, 0x0f, 0x20, 0xc0) },
	{ "MOV DR6", I(0x0f, 0x23, 0xf1) },
	{ "MOV DR7 with high bits", I(0x0f, 0x23, 0xf9), .rcx = 1ull << 32 },
	{ "MOV DR0 that is detected", I(0x0f, 0x23, 0xc1), .dr7 = 1 << 13 },
	{ "MOV SS, null", I(0x8e, 0xd1) },
	{ "MOV SS, null of another RPL", I(0x8e, 0xd1), .rcx = 3 },
	{ "MOV DS past the GDT", I(0x8e, 0xd9), .rcx = 0x30 },
	{ "LTR of code", I(0x0f, 0x00, 0xd9), .rcx = 8 },
	{ "JMP to no canonical address", I(0xff, 0xe1), .rcx = 1ull << 47 },
	{ "PUSH and POP of 16 bits", I(0x66, 0xff, 0x33) },
	{ "ENTER with levels", I(0xc8, 0x10, 0, 3) },
	{ "MOVUPS", I(0x0f, 0x11, 0x43, 0x08) },
	{ "MOVAPS unaligned", I(0x0f, 0x29, 0x43, 0x08) },
	{ "MOVDQA from a device", I(0x66, 0x0f, 0x6f, 0x03), .rbx = HOLE + 0x10 },
	{ "MOVQ of MMX", I(0x0f, 0x7f, 0x03) },
	{ "EMMS with an operand-size prefix", I(0x66, 0x0f, 0x77) },
	{ "XSETBV without OSXSAVE", I(0x0f, 0x01, 0xd1) },
	{ "INT3", I(0xcc) },
	{ "INT3 under TF", I(0xcc), .rflags = EFLAGS_TF },
	{ "INT n under TF", I(0xcd, 0x21), .rflags = EFLAGS_TF },
	{ "REP STOSB under TF", I(0xf3, 0xaa), .rcx = 3, .rflags = EFLAGS_TF },
	{ "REPNE SCASB", I(0xf2, 0xae), .rcx = 3 },
	{ "15 bytes", I(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
			0x66, 0x66, 0x90) },
	{ "far JMP past the limit", I(0xff, 0x2b), .rbx = DATA },
	{ "IRETQ to garbage", I(0x48, 0xcf) },
};

#define SAME(field)								\
	do {									\
		if (memcmp(&want.field, &got.field, sizeof(want.field)))	\
			test_fail(__FILE__, __LINE__, "%s: " #field " differs", insn->name); \
	} while (0)

static void insn_compare(const struct insn *insn)
{
	static struct outcome want, got;

	insn_do(insn, false, &want);
	insn_do(insn, true, &got);
	if (want.vector != got.vector)
		test_fail(__FILE__, __LINE__, "%s: vector %u, forced %u", insn->name, want.vector,
			  got.vector);
	SAME(reason);
	SAME(regs);
	SAME(debug);
	SAME(memory);
	SAME(device);
	SAME(fpu.xmm);
	SAME(fpu.fpr);
	SAME(fpu.ftwx);
	SAME(sregs.cr0);
	SAME(sregs.cr2);
	SAME(sregs.cr4);
	SAME(sregs.cs.selector);
	SAME(sregs.ss.selector);
	SAME(sregs.ds);
	SAME(sregs.tr);
}

TEST(forced_is_as_native)
{
	unsigned int i;

	force_emulation("3");
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
		insn_compare(&insns[i]);
	force_emulation("0");
}

/* RFLAGS.AC lets the program read the user's pages, not the processor for itself. */
TEST(descriptor_on_a_page_of_the_users)
{
	static const struct insn insn = { "MOV DS", I(0x8e, 0xd9), .rcx = 16,
					  .rflags = EFLAGS_AC, .smap = true };
	static struct outcome out;

	force_emulation("1");
	insn_do(&insn, true, &out);
	EXPECT_EQ(out.sregs.cr2, USER_GDT + 16);
	force_emulation("0");
}

static const struct insn nop = { "NOP", I(0x90) };

TEST(prefix_is_undefined_by_default)
{
	static struct outcome out;

	force_emulation("0");
	insn_do(&nop, true, &out);
	EXPECT_EQ(out.vector, 6);
	/* The frame's RIP is that of UD2. */
	EXPECT_EQ(*(uint64_t *)(out.memory + out.regs.rsp - VM_CODE), INSN - sizeof(prefix));
}

/* The processor has looked for breakpoints at the prefix; the #UD sets RF. */
TEST(breakpoint_behind_prefix)
{
	struct insn insn = nop;
	static struct outcome out;

	insn.dr7 = 1;
	force_emulation("1");
	insn_do(&insn, true, &out);
	EXPECT_EQ(out.vector, NO_FAULT);
	force_emulation("3");
	insn_do(&insn, true, &out);
	EXPECT_EQ(out.vector, 1);
	EXPECT_EQ(out.debug.dr6, 0xffff0ff1);
	EXPECT_EQ(*(uint64_t *)(out.memory + out.regs.rsp - VM_CODE), INSN);
	force_emulation("0");
}

TEST(undecodable_behind_prefix)
{
	static const struct insn vaddps = { "VADDPS", I(0xc5, 0xf0, 0x58, 0xc2) };
	static struct outcome out;

	force_emulation("1");
	insn_do(&vaddps, true, &out);
	EXPECT_EQ(out.vector, 6);
	EXPECT_EQ(*(uint64_t *)(out.memory + out.regs.rsp - VM_CODE), INSN);
	force_emulation("0");
}

/* ---- SYSCALL of 32-bit programs, which Intel's processors have not ---- */

static void vendor_amd(struct vm *vm)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[128];
	} cpuid = { .head.nent = 128 };
	unsigned int i;

	REQUIRE(ioctl(vm->sys, KVM_GET_SUPPORTED_CPUID, &cpuid) == 0);
	for (i = 0; i < cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid.entries[i];

		if (entry->function != 0 && entry->function != 0x80000000)
			continue;
		memcpy(&entry->ebx, "Auth", 4);
		memcpy(&entry->edx, "enti", 4);
		memcpy(&entry->ecx, "cAMD", 4);
	}
	REQUIRE(ioctl(vm->vcpu, KVM_SET_CPUID2, &cpuid) == 0);
}

static void enter_compatibility(struct vm *vm)
{
	struct kvm_sregs sregs;

	user_tables(vm);
	((uint64_t *)(vm->mem + VM_TABLES))[1024] |= 4;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.selector = 0x1b;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	sregs.cs.dpl = 3;
	sregs.ss.selector = 0x23;
	sregs.ss.dpl = 3;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

TEST(syscall_of_32_bit_programs)
{
	static const struct insn insn = { "SYSCALL", I(0x0f, 0x05), .rflags = 1 << 10 };
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[3];
	} msrs = { .head.nmsrs = 3, .entries = {
		{ .index = 0xc0000081, .data = 8ull << 32 },
		{ .index = 0xc0000083, .data = HANDLERS },
		{ .index = 0xc0000084, .data = 1 << 10 },
	} };
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	vendor_amd(&vm);
	insn_load(&vm, &insn, false);
	enter_compatibility(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_MSRS, &msrs) == 3);
	run_until(&vm, KVM_EXIT_HLT);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(regs.rip, HANDLERS + 1);
	EXPECT_EQ(regs.rcx, INSN + 2);
	EXPECT_EQ(regs.r11, 0x402);
	EXPECT_EQ(regs.rflags, 2);
	EXPECT_EQ(sregs.cs.selector, 8);
	EXPECT_EQ(sregs.cs.l, 1);
	vm_destroy(&vm);
}
