// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions on memory and on devices: what hardware does on memory, the emulator must do on
 * MMIO, also across two pages of it, and where an access is half in memory and half in none.
 * Registers, flags, vectors, x87 and the bytes afterwards are compared. In 64-bit mode.
 */
#include "selftests/lib/okvm_test.h"

#define RAM	0x200000u
#define HOLE	0x500000u
#define EDGE	VM_MEMORY	/* nothing from here on */
#define AREA	0x2000u
#define IN	0x14000u	/* what registers are loaded from */
#define OUT	0x15000u	/* what they are stored to */
#define COPY	0x16000u	/* strings from and to here */

/*
 * Name and code; of some, from where to where the memory is not compared: selectors that not every
 * processor keeps. RBX is the operand's address.
 */
#define VECTOR_MOVES(X)						\
	X(movups_load, "movups (%rbx), %xmm0")				\
	X(movups_store, "movups %xmm1, (%rbx)")				\
	X(movapd_load, "movapd (%rbx), %xmm0")				\
	X(movdqa_store, "movdqa %xmm1, (%rbx)")				\
	X(movntps, "movntps %xmm1, (%rbx)")				\
	X(movss_load, "movss (%rbx), %xmm0")				\
	X(movss_store, "movss %xmm1, 6(%rbx)")				\
	X(movsd_load, "movsd 4(%rbx), %xmm0")				\
	X(movlps, "movlps (%rbx), %xmm0")				\
	X(movhpd_store, "movhpd %xmm1, (%rbx)")				\
	X(movddup, "movddup (%rbx), %xmm0")				\
	X(lddqu, "lddqu 3(%rbx), %xmm0")				\
	X(movq_store, "movq %xmm1, (%rbx)")				\
	X(movd_load, "movd (%rbx), %xmm0")				\
	X(mmx_load, "movq (%rbx), %mm3")				\
	X(mmx_store, "movd %ecx, %mm2\n movq %mm2, (%rbx)")		\
	X(maskmovdqu, "mov %rbx, %rdi\n maskmovdqu %xmm0, %xmm1")	\
	X(stmxcsr, "stmxcsr (%rbx)")					\
	X(vmovdqu_load, "vmovdqu (%rbx), %ymm0")			\
	X(vmovdqu_store, "vmovdqu %ymm1, 3(%rbx)")			\
	X(vmovups_128, "vmovups (%rbx), %xmm0")				\
	X(vmovaps_store, "vmovaps %ymm1, (%rbx)")			\
	X(vmovntdq, "vmovntdq %ymm1, (%rbx)")				\
	X(vmovss_load, "vmovss (%rbx), %xmm0")				\
	X(vmovq_store, "vmovq %xmm1, (%rbx)")				\
	X(vmovhps, "vmovhps (%rbx), %xmm1, %xmm0")			\
	X(vbroadcastsd, "vbroadcastsd (%rbx), %ymm0")			\
	X(vmaskmovps, "vmaskmovps %ymm1, %ymm0, (%rbx)")

#define X87_MOVES(X)						\
	X(flds, "flds (%rbx)")						\
	X(fldl, "fldl 5(%rbx)")						\
	X(fldt, "fldt (%rbx)")						\
	X(fstps, "fldpi\n fstps (%rbx)")				\
	X(fstl, "fldpi\n fstl 2(%rbx)")					\
	X(fstpt, "fldpi\n fstpt (%rbx)")				\
	X(filds, "filds (%rbx)")					\
	X(fildll, "fildll 4(%rbx)")					\
	X(fistpl, "fldpi\n fistpl (%rbx)")				\
	X(fistpll, "fldl2t\n fistpll 1(%rbx)")				\
	X(fisttps, "fldpi\n fisttps (%rbx)")				\
	X(fbstp, "fildl 8(%rsi)\n fbstp (%rbx)")			\
	X(fbld, "fld1\n fbstp (%rbx)\n fbld (%rbx)")			\
	X(fist_unmasked, "movl $0x34000000, (%rsi)\n movw $0x37e, 4(%rsi)\n" \
		"fldt 0x40(%rsi)\n fldcw 4(%rsi)\n fistps (%rbx)\n fnclex") \
	X(fnstcw, "fnstcw (%rbx)")					\
	X(fnstsw, "fld1\n fnstsw 7(%rbx)")				\
	X(fldcw, "movw $0x27f, (%rbx)\n fldcw (%rbx)")			\
	X(fnstenv, "fld1\n fnstenv (%rbx)", 12, 28)			\
	X(fnsave, "fld1\n fldpi\n fnsave (%rbx)", 12, 28)		\
	X(frstor, "fld1\n fldpi\n fnsave (%rbx)\n frstor (%rbx)", 12, 28) \
	X(fxsave, "fld1\n fxsave (%rbx)", 6, 24)			\
	X(fxsave64, "fldpi\n fxsave64 (%rbx)", 6, 24)			\
	X(fxrstor, "fld1\n fxsave (%rbx)\n fninit\n pxor %xmm0, %xmm0\n fxrstor (%rbx)", 6, 24)

#define INTEGER(X)						\
	X(mov_store, "mov %rcx, (%rbx)")				\
	X(mov_load, "mov 3(%rbx), %rax")				\
	X(xchg, "xchg %rax, (%rbx)")					\
	X(lock_xadd, "lock xadd %rax, (%rbx)")				\
	X(lock_inc, "lock incl 6(%rbx)")				\
	X(lock_cmpxchg, "mov (%rbx), %rax\n lock cmpxchg %rcx, (%rbx)")	\
	X(cmpxchg_fails, "lock cmpxchg %rcx, (%rbx)")			\
	X(cmpxchg8b, "mov (%rbx), %eax\n mov 4(%rbx), %edx\n mov %rbx, %rdi\n mov $77, %ebx\n" \
		"lock cmpxchg8b (%rdi)\n mov %rdi, %rbx")		\
	X(cmpxchg16b, "mov (%rbx), %rax\n mov 8(%rbx), %rdx\n mov %rbx, %rdi\n mov $77, %ebx\n" \
		"lock cmpxchg16b (%rdi)\n mov %rdi, %rbx")		\
	X(push, "pushq (%rbx)\n pop %rax")				\
	X(pop, "push %rcx\n popq (%rbx)")				\
	X(rep_movs_to, "mov %rbx, %rdi\n mov $3, %ecx\n rep movsq")	\
	X(rep_movs_from, "mov %rsi, %rdi\n mov %rbx, %rsi\n mov $5, %ecx\n rep movsl") \
	X(rep_movs_within, "lea 40(%rbx), %rdi\n mov %rbx, %rsi\n mov $5, %ecx\n rep movsl") \
	X(rep_movs_down, "std\n lea 31(%rbx), %rsi\n lea 40(%rbx), %rdi\n mov $9, %ecx\n" \
		"rep movsb\n cld")					\
	X(rep_stos, "mov %rbx, %rdi\n mov $9, %ecx\n rep stosw")	\
	X(rep_lods, "mov %rbx, %rsi\n mov $3, %ecx\n rep lodsl")	\
	X(repne_scas, "mov %rbx, %rdi\n mov $40, %ecx\n mov 9(%rbx), %al\n repne scasb") \
	X(repe_cmps, "mov %rbx, %rdi\n mov $16, %ecx\n repe cmpsb")	\
	X(rep_ins_bytes, "mov %rbx, %rdi\n mov $0x20, %edx\n mov $200, %ecx\n rep insb") \
	X(rep_ins_longs, "mov %rbx, %rdi\n mov $0x20, %edx\n mov $33, %ecx\n rep insl") \
	X(rep_ins_down, "std\n lea 64(%rbx), %rdi\n mov $0x20, %edx\n mov $9, %ecx\n" \
		"rep insw\n cld")					\
	X(rep_outs, "mov %rbx, %rsi\n mov $0x20, %edx\n mov $100, %ecx\n rep outsb") \
	X(rep_outs_longs, "mov %rbx, %rsi\n mov $0x20, %edx\n mov $20, %ecx\n rep outsl")

#define ALL(X) VECTOR_MOVES(X) X87_MOVES(X) INTEGER(X)
#define DEFINE(name, text, ...) GUEST(is_##name, 64) text "\n" GUEST_END(is_##name);
ALL(DEFINE)

static const struct insn {
	const char *name;
	const uint8_t *code, *end;
	unsigned int from, to;
} vector_moves[] = {
#define ENTRY(name, text, ...) { #name, guest_is_##name, guest_is_##name##_end, ##__VA_ARGS__ },
	VECTOR_MOVES(ENTRY)
}, x87_moves[] = {
	X87_MOVES(ENTRY)
}, integers[] = {
	INTEGER(ENTRY)
};

GUEST(before, 64)
	"	fninit\n"
	"	movups 0x14000, %xmm0\n"
	"	movups 0x14010, %xmm1\n"
	"	mov $0x16000, %esi\n"
GUEST_END(before);

GUEST(before_avx, 64)
	"	vmovups 0x14040, %ymm0\n"
	"	vmovups 0x14020, %ymm1\n"
GUEST_END(before_avx);

GUEST(after, 64)
	"	pushf\n"
	"	pop 0x15000\n"
	"	movups %xmm0, 0x15020\n"
	"	fnsave 0x15100\n"
GUEST_END(after);

GUEST(after_avx, 64)
	"	vmovups %ymm0, 0x15020\n"
GUEST_END(after_avx);

GUEST(done, 64)
	"	out %al, $0x10\n"
GUEST_END(done);

struct result {
	uint32_t exit;
	struct kvm_regs regs;
	uint8_t out[0x200], copy[0x100], mem[AREA];
	uint8_t port[1024];
	unsigned int ports;
};

static uint8_t device[AREA];

static uint8_t *byte_at(struct vm *vm, uint64_t gpa, uint64_t base)
{
	return gpa < EDGE ? vm->mem + gpa : &device[gpa - (base & ~0xfffull)];
}

static uint8_t *append(uint8_t *to, const uint8_t *from, const uint8_t *end)
{
	memcpy(to, from, end - from);
	return to + (end - from);
}

static void build(struct vm *vm, const struct insn *in, bool avx)
{
	uint8_t *p = vm->mem + VM_CODE;

	p = append(p, guest_before, guest_before_end);
	if (avx)
		p = append(p, guest_before_avx, guest_before_avx_end);
	p = append(p, in->code, in->end);
	p = append(p, guest_after, guest_after_end);
	if (avx)
		p = append(p, guest_after_avx, guest_after_avx_end);
	append(p, guest_done, guest_done_end);
}

static void allow_vectors(struct vm *vm, bool avx)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0].value = 7 };
	struct kvm_sregs s;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &s) == 0);
	s.cr4 |= 3 << 9 | (avx ? 1 << 18 : 0);	/* OSFXSR, OSXMMEXCPT, OSXSAVE */
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &s) == 0);
	if (avx)
		REQUIRE(ioctl(vm->vcpu, KVM_SET_XCRS, &x) == 0);
}

static void serve_mmio(struct vm *vm, uint64_t base)
{
	struct kvm_run *run = vm->run;
	uint8_t *at = &device[run->mmio.phys_addr - (base & ~0xfffull)];

	REQUIRE(run->mmio.phys_addr - (base & ~0xfffull) + run->mmio.len <= AREA);
	if (run->mmio.is_write)
		memcpy(at, run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, at, run->mmio.len);
}

/* Port 20h gives numbers and keeps what it gets. */
static void serve_port(struct vm *vm, struct result *r)
{
	unsigned int n = vm->run->io.size * vm->run->io.count, i;
	uint8_t *data = (uint8_t *)vm->run + vm->run->io.data_offset;

	for (i = 0; i < n && r->ports < sizeof(r->port); i++, r->ports++) {
		if (vm->run->io.direction == KVM_EXIT_IO_IN)
			data[i] = r->ports * 3;
		else
			r->port[r->ports] = data[i];
	}
}

static void run_at(struct vm *vm, const struct insn *in, bool avx, uint64_t base, struct result *r)
{
	struct kvm_regs regs = {
		.rip = VM_CODE, .rflags = 2, .rsp = 0x7000, .rbx = base, .rax = 0x0123456789abcdef,
		.rcx = 0xfedcba9876543210, .rdx = 0x5555,
	};
	unsigned int i;

	memset(r, 0, sizeof(*r));
	guest_load64(vm, guest_done, guest_done_end);
	build(vm, in, avx);
	allow_vectors(vm, avx);
	for (i = 0; i < AREA; i++)
		*byte_at(vm, (base & ~0xfffull) + i, base) = (i * 7 + 0x96) ^ (i >> 3);
	for (i = 0; i < 0x200; i++)
		vm->mem[IN + i] = 0x31 + i * 5;
	for (i = 0; i < sizeof(r->copy); i++)
		vm->mem[COPY + i] = *byte_at(vm, base + i, base) ^ (i > 20);
	memset(vm->mem + OUT, 0, 0x1000);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	for (i = 0; i < 2000; i++) {
		REQUIRE(vcpu_run(vm) == 0);
		r->exit = vm->run->exit_reason;
		if (r->exit == KVM_EXIT_MMIO)
			serve_mmio(vm, base);
		else if (r->exit == KVM_EXIT_IO && vm->run->io.port == 0x20)
			serve_port(vm, r);
		else
			break;
	}
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &r->regs) == 0);
	memcpy(r->out, vm->mem + OUT, sizeof(r->out));
	memcpy(r->copy, vm->mem + COPY, sizeof(r->copy));
	for (i = 0; i < AREA; i++)
		r->mem[i] = *byte_at(vm, (base & ~0xfffull) + i, base);
}

/* Registers that point into the operand differ by where it is. */
static bool same_regs(const struct result *a, const struct result *b, uint64_t from, uint64_t to)
{
	const uint64_t *x = (const uint64_t *)&a->regs, *y = (const uint64_t *)&b->regs;
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (x[i] != y[i] && x[i] - from != y[i] - to)
			return false;
	return a->regs.rip == b->regs.rip;
}

/* The environment of x87 without its pointers, and its registers. */
static bool same_x87(const struct result *a, const struct result *b)
{
	return !memcmp(a->out + 0x100, b->out + 0x100, 12) &&
	       !memcmp(a->out + 0x100 + 28, b->out + 0x100 + 28, 80);
}

static void compare(const struct insn *in, const struct result *a, const struct result *b,
		    uint64_t from, uint64_t to)
{
	unsigned int i, at;

	if (a->exit != b->exit)
		return test_fail(__FILE__, __LINE__, "%s at %llx: exit %u, hardware %u", in->name,
				 (unsigned long long)to, b->exit, a->exit);
	if (a->exit != KVM_EXIT_IO)
		return;
	if (!same_regs(a, b, from, to))
		test_fail(__FILE__, __LINE__, "%s at %llx: registers", in->name,
			  (unsigned long long)to);
	if (memcmp(a->out, b->out, 0x40))
		test_fail(__FILE__, __LINE__, "%s at %llx: flags or vector", in->name,
			  (unsigned long long)to);
	if (!same_x87(a, b))
		test_fail(__FILE__, __LINE__, "%s at %llx: x87", in->name,
			  (unsigned long long)to);
	if (memcmp(a->copy, b->copy, sizeof(a->copy)) || a->ports != b->ports ||
	    memcmp(a->port, b->port, sizeof(a->port)))
		test_fail(__FILE__, __LINE__, "%s at %llx: strings", in->name,
			  (unsigned long long)to);
	for (i = 0; i < AREA; i++) {
		at = i - (from & 0xfff);
		if (a->mem[i] != b->mem[i] && !(at >= in->from && at < in->to))
			return test_fail(__FILE__, __LINE__, "%s at %llx: byte %x is %x, not %x",
					 in->name, (unsigned long long)to, i, b->mem[i],
					 a->mem[i]);
	}
}

static bool has_avx(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));
	bool avx = false;
	unsigned int i;

	cpuid->nent = 256;
	REQUIRE(ioctl(vm->sys, KVM_GET_SUPPORTED_CPUID, cpuid) == 0);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			avx = cpuid->entries[i].ecx >> 28 & 1;
	free(cpuid);
	return avx;
}

/* In one piece, across two pages of MMIO, and half in memory. */
static const uint64_t places[] = { HOLE, HOLE + 0xffc, EDGE - 4 };

static void compare_all(const struct insn *list, unsigned int n)
{
	static struct result hard, soft;
	unsigned int i, j;
	uint64_t base;
	struct vm vm;
	bool avx;

	vm_create(&vm, 0);
	vcpu_cpuid(&vm, vm.vcpu);
	avx = has_avx(&vm);
	if (!avx)
		printf("# SKIP AVX: the host has none\n");
	for (i = 0; i < n; i++) {
		if (!avx && list[i].name[0] == 'v')
			continue;
		for (j = 0; j < sizeof(places) / sizeof(places[0]); j++) {
			base = RAM + (places[j] & 0xfff);
			run_at(&vm, &list[i], avx, base, &hard);
			run_at(&vm, &list[i], avx, places[j], &soft);
			compare(&list[i], &hard, &soft, base, places[j]);
		}
	}
	vm_destroy(&vm);
}

TEST(integers_locks_and_strings)
{
	compare_all(integers, sizeof(integers) / sizeof(integers[0]));
}

TEST(vector_moves_of_devices)
{
	compare_all(vector_moves, sizeof(vector_moves) / sizeof(vector_moves[0]));
}

TEST(x87_moves_of_devices)
{
	compare_all(x87_moves, sizeof(x87_moves) / sizeof(x87_moves[0]));
}
