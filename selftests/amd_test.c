// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guests and VMMs see of AMD's processors alone, and what SVM leaves to software. Cases that
 * are as true of Intel's run there too.
 */
#include "selftests/lib/pages.h"

/* ---- CPUID and MSRs ---- */

static uint32_t offered(struct vm *vm, uint32_t leaf, uint32_t sub, unsigned int reg)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 e[100];
	} list;
	unsigned int i;

	list.head.nent = 100;
	REQUIRE(ioctl(vm->sys, KVM_GET_SUPPORTED_CPUID, &list) == 0);
	for (i = 0; i < list.head.nent; i++)
		if (list.e[i].function == leaf && list.e[i].index == sub)
			return (&list.e[i].eax)[reg];
	return 0;
}

static uint32_t host_cpuid(uint32_t leaf, uint32_t sub, unsigned int reg)
{
	uint32_t r[4];

	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) :
			 "a"(0x80000000u), "c"(0));
	if (leaf > r[0])
		return 0;
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) :
			 "a"(leaf), "c"(sub));
	return r[reg];
}

static bool in_list(int fd, unsigned long request, uint32_t msr)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t msrs[600];
	} list;
	unsigned int i;

	list.head.nmsrs = 600;
	REQUIRE(ioctl(fd, request, &list) == 0);
	for (i = 0; i < list.head.nmsrs; i++)
		if (list.head.indices[i] == msr)
			return true;
	return false;
}

static int msr_ioctl(int fd, unsigned long request, uint32_t msr, uint64_t *val)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} arg = { .head.nmsrs = 1, .e = { .index = msr, .data = *val } };
	int ret = ioctl(fd, request, &arg);

	*val = arg.e.data;
	return ret;
}

static int msr_get(int fd, uint32_t msr, uint64_t *val)
{
	return msr_ioctl(fd, KVM_GET_MSRS, msr, val);
}

static int msr_set(int fd, uint32_t msr, uint64_t val)
{
	return msr_ioctl(fd, KVM_SET_MSRS, msr, &val);
}

#define EXT8_CONTROLS	(1u << 12 | 1u << 14 | 1u << 15 | 1u << 17 | 1u << 24 | 1u << 28)

TEST(speculation_controls_are_offered_with_their_msrs)
{
	uint32_t ext8, l7d;
	uint64_t val = 0;
	struct vm vm;

	vm_create(&vm, 0);
	ext8 = offered(&vm, 0x80000008, 0, 1);
	l7d = offered(&vm, 7, 0, 3);
	EXPECT_EQ(host_cpuid(0x80000008, 0, 1) & EXT8_CONTROLS & ~ext8, 0);
	if (ext8 & (1u << 14 | 1u << 15 | 1u << 24) || l7d & (1u << 26 | 1u << 27 | 1u << 31)) {
		EXPECT(in_list(vm.sys, KVM_GET_MSR_INDEX_LIST, 0x48));
		EXPECT_EQ(msr_get(vm.vcpu, 0x48, &val), 1);
		EXPECT_EQ(msr_set(vm.vcpu, 0x48, val), 1);
	}
	if (ext8 & 1u << 28)
		EXPECT_EQ(msr_set(vm.vcpu, 0x48, 0x80), 1);
	if (ext8 & 1u << 12)
		EXPECT_EQ(msr_set(vm.vcpu, 0x49, 1), 1);
	vm_destroy(&vm);
}

TEST(topology_of_caches_is_offered)
{
	const uint32_t topology = 1u << 22;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(offered(&vm, 0x80000001, 0, 2) & topology,
		  host_cpuid(0x80000001, 0, 2) & topology);
	EXPECT_EQ(offered(&vm, 0x8000001d, 0, 0), host_cpuid(0x8000001d, 0, 0));
	if (offered(&vm, 0x80000000, 0, 0) >= 0x80000021)
		EXPECT(offered(&vm, 0x80000021, 0, 0) & 1u << 9);
	vm_destroy(&vm);
}

TEST(msrs_are_those_of_the_vendor)
{
	const uint32_t de_cfg = 0xc0011029, ratio = 0xc0000104, ext_ctl = 0x4d0;
	bool amd = test_on_svm();
	uint64_t val = 0, feature = 0;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(in_list(vm.sys, KVM_GET_MSR_FEATURE_INDEX_LIST, de_cfg), amd);
	EXPECT_EQ(msr_get(vm.sys, de_cfg, &feature), amd);
	EXPECT_EQ(msr_get(vm.vcpu, de_cfg, &val), amd);
	EXPECT_EQ(val, feature);
	EXPECT_EQ(msr_set(vm.vcpu, de_cfg, 1 << 9), 0);
	EXPECT_EQ(in_list(vm.sys, KVM_GET_MSR_INDEX_LIST, ratio), amd);
	val = 0;
	EXPECT_EQ(msr_get(vm.vcpu, ratio, &val), amd);
	EXPECT_EQ(val, amd ? 1ull << 32 : 0);
	EXPECT_EQ(in_list(vm.sys, KVM_GET_MSR_INDEX_LIST, ext_ctl), !amd);
	EXPECT_EQ(msr_get(vm.vcpu, 0x8b, &val), 1);
	EXPECT_EQ(val, amd ? 0x01000065 : 1ull << 32);
	EXPECT_EQ(msr_set(vm.vcpu, 0x176, 0xffffffff81000000ull), 1);
	EXPECT_EQ(msr_get(vm.vcpu, 0x176, &val), 1);
	EXPECT_EQ(val, amd ? 0x81000000 : 0xffffffff81000000ull);
	vm_destroy(&vm);
}

/* As wide as the guest is told: the host's own may be narrower by the bits of a key. */
TEST(memory_up_to_the_guests_width)
{
	struct vm vm;
	uint32_t bits;

	vm_create(&vm, 0);
	bits = offered(&vm, 0x80000008, 0, 0) & 0xff;
	if (vm_on_shadow(&vm) || bits > 48)
		test_skip("tables of four levels, or the host's width");
	vm_slot(&vm, 1, (1ull << bits) - 0x1000, 0x1000, host_pages(1), 0);
	vm_destroy(&vm);
}

/* ---- changes of the paging mode ---- */

#define PD		0x10000u
#define PT		0x11000u
#define UNMAPPED	0x5000u
#define CR0_PG		0x80000000u
#define CR4_PSE		0x10u

/* Touch a page without paging that the page tables do not map; then each bit that matters. */
GUEST(toggles_paging, 32)
	"mov %cr0, %eax\n"
	"and $0x7fffffff, %eax\n"
	"mov %eax, %cr0\n"
	"mov 0x5000, %ebx\n"
	"out %al, $0x10\n"
	"or $0x80000000, %eax\n"
	"mov %eax, %cr0\n"
	"out %al, $0x11\n"
	"mov %cr4, %eax\n"
	"xor $0x10, %eax\n"
	"mov %eax, %cr4\n"
	"out %al, $0x12\n"
	"mov $0xc0000080, %ecx\n"
	"rdmsr\n"
	"xor $0x800, %eax\n"
	"wrmsr\n"
	"out %al, $0x13\n"
	"mov 0x5000, %ebx\n"
	"out %al, $0x14\n"
	"hlt\n"
GUEST_END(toggles_paging);

static void load32_paged(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rsp = 0x7000, .rflags = 2 };
	struct kvm_sregs sregs;
	uint32_t *pt = (uint32_t *)(vm->mem + PT);
	unsigned int i;

	memcpy(vm->mem + VM_CODE, code, end - code);
	*(uint32_t *)(vm->mem + PD) = PT | PTE_P | PTE_W;
	for (i = 0; i < 1024; i++)
		pt[i] = i << 12 | PTE_P | PTE_W;
	pt[UNMAPPED >> 12] = 0;
	sregs = sregs_of(vm);
	sregs.cs = (struct kvm_segment){ .limit = ~0u, .selector = 8, .type = 11, .present = 1,
					 .db = 1, .s = 1, .g = 1 };
	sregs.ds = (struct kvm_segment){ .limit = ~0u, .selector = 16, .type = 3, .present = 1,
					 .db = 1, .s = 1, .g = 1 };
	sregs.es = sregs.ss = sregs.fs = sregs.gs = sregs.ds;
	sregs.cr3 = PD;
	sregs.cr0 = CR0_PG | 0x33;
	sregs.cr4 = CR4_PSE;
	sregs.efer = 0;
	sregs_put(vm, &sregs);
	regs_put(vm, &regs);
}

/* VMRUN flushes nothing by itself: on a CPU the last access would find what the first one left. */
TEST(changes_of_the_paging_mode_flush)
{
	struct vm vm;
	uint64_t before, after;
	uint16_t port;

	vm_create(&vm, 0);
	load32_paged(&vm, guest_toggles_paging, guest_toggles_paging_end);
	run_out(&vm, 0x10);
	before = vcpu_stat(&vm, "tlb_flush");
	for (port = 0x11; port <= 0x13; port++) {
		run_out(&vm, port);
		after = vcpu_stat(&vm, "tlb_flush");
		if (test_on_svm())
			EXPECT(after > before);
		before = after;
	}
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	vm_destroy(&vm);
}

/* ---- MOVs from control registers ---- */

GUEST(reads_cr, 64)
	"1:	mov %cr4, %rax\n"
	"	out %eax, $0x10\n"
	"	mov %cr0, %rbx\n"
	"	mov %ebx, %eax\n"
	"	out %eax, $0x11\n"
	"	mov %cr3, %rbx\n"
	"	mov %ebx, %eax\n"
	"	out %eax, $0x12\n"
	"	mov %cr2, %rbx\n"
	"	mov %ebx, %eax\n"
	"	out %eax, $0x13\n"
	"	mov %cr8, %rbx\n"
	"	mov %ebx, %eax\n"
	"	out %eax, $0x14\n"
	"	jmp 1b\n"
GUEST_END(reads_cr);

static void reads_the_same_again(uint32_t more_cr0)
{
	struct kvm_sregs sregs;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, reads_cr);
	sregs = sregs_of(&vm);
	sregs.cr0 |= 1u << 16 | more_cr0;	/* WP: with shadow paging CR0 is hardware's */
	sregs.cr2 = 0x12345678;
	sregs.cr8 = 5;
	sregs_put(&vm, &sregs);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(run_out(&vm, 0x10), sregs.cr4);
		EXPECT_EQ(run_out(&vm, 0x11), sregs.cr0);
		EXPECT_EQ(run_out(&vm, 0x12), sregs.cr3);
		EXPECT_EQ(run_out(&vm, 0x13), sregs.cr2);
		EXPECT_EQ(run_out(&vm, 0x14), sregs.cr8);
	}
	vm_destroy(&vm);
}

/*
 * QEMU 10's TCG reports a MOV from any of them as one from CR0, if reads of CR0 exit; and okvm
 * remembers what it has decoded.
 */
TEST(a_control_register_reads_the_same_again)
{
	reads_the_same_again(1u << 30);	/* CD: so reads of CR0 exit everywhere */
}

/* The hardware's CR3 and CR4 have bits of the host. */
TEST(control_registers_read_as_the_guests_own)
{
	reads_the_same_again(0);
}

/* ---- recorded branches: DEBUGCTL.LBR and the last-branch MSRs ---- */

#define DEBUGCTL	0x1d9u
#define BR_FROM		0x1dbu
#define BR_TO		0x1dcu
#define INT_FROM	0x1ddu
#define INT_TO		0x1deu

static bool records_branches(struct vm *vm)
{
	return in_list(vm->sys, KVM_GET_MSR_INDEX_LIST, BR_FROM);
}

static uint64_t msr_of(struct vm *vm, uint32_t msr)
{
	uint64_t val = 0;

	EXPECT_EQ(msr_get(vm->vcpu, msr, &val), 1);
	return val;
}

/* Write @debugctl; after a jump, how far is the pair from it, and what is DEBUGCTL? */
#define JUMPS(debugctl)				\
	"	mov $0x1d9, %ecx\n"		\
	"	xor %edx, %edx\n"		\
	"	mov $" #debugctl ", %eax\n"	\
	"	wrmsr\n"			\
	"7:	jmp 8f\n"			\
	"	nop\n"				\
	"8:	mov $0x1db, %ecx\n"		\
	"	rdmsr\n"			\
	"	lea 7b(%rip), %rbx\n"		\
	"	sub %ebx, %eax\n"		\
	"	out %eax, $0x10\n"		\
	"	inc %ecx\n"			\
	"	rdmsr\n"			\
	"	lea 8b(%rip), %rbx\n"		\
	"	sub %ebx, %eax\n"		\
	"	out %eax, $0x11\n"		\
	"	mov $0x1d9, %ecx\n"		\
	"	rdmsr\n"			\
	"	out %eax, $0x12\n"

GUEST(jumps, 64)
	JUMPS(3)
	"	xor %ecx, %ecx\n"
	"	div %ecx\n"	/* #DE: it does not exit, so the CPU records it */
GUEST_END(jumps);

GUEST(jumps_again, 64)
	JUMPS(0)
GUEST_END(jumps_again);

/* The MSRs follow the guest's branches while it wants that; BTF is ignored, as upstream does. */
TEST(a_guest_records_its_branches)
{
	uint64_t from, to;
	struct vm vm;

	vm_create(&vm, 0);
	if (!records_branches(&vm))
		test_skip("no LBR virtualization");
	LOAD64(&vm, jumps);
	pages_setup(&vm);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0);
	EXPECT_EQ(run_out(&vm, 0x12), 1);
	from = msr_of(&vm, BR_FROM);
	to = msr_of(&vm, BR_TO);
	EXPECT_EQ(to, from + 3);
	run_out(&vm, PORT_TRAP);
	EXPECT_EQ(trap_vector(&vm), 0);
	EXPECT_EQ(msr_of(&vm, INT_FROM), from);
	EXPECT_EQ(msr_of(&vm, INT_TO), to);
	EXPECT_EQ(msr_of(&vm, BR_TO), PAGES_STUBS);
	LOAD64(&vm, jumps_again);
	EXPECT(run_out(&vm, 0x10) != 0);
	EXPECT(run_out(&vm, 0x11) != 0);
	EXPECT_EQ(run_out(&vm, 0x12), 0);
	EXPECT_EQ(msr_of(&vm, BR_TO), PAGES_STUBS);
	vm_destroy(&vm);
}

GUEST(reads_branches, 64)
	"	mov $0x1d9, %ecx\n"
	"	rdmsr\n"
	"	out %eax, $0x10\n"
	"	mov $0x1db, %ecx\n"
	"	.rept 4\n"
	"	rdmsr\n"
	"	out %eax, $0x11\n"
	"	mov %edx, %eax\n"
	"	out %eax, $0x12\n"
	"	inc %ecx\n"
	"	.endr\n"
	"	dec %ecx\n"
	"	wrmsr\n"
	"	out %eax, $0x13\n"
GUEST_END(reads_branches);

#define BRANCH	0x0000123456789000ull	/* canonical: a CPU keeps no other bits */

static void branches_travel(uint64_t debugctl)
{
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	if (!records_branches(&vm))
		test_skip("no LBR virtualization");
	EXPECT(in_list(vm.sys, KVM_GET_MSR_INDEX_LIST, DEBUGCTL));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(msr_set(vm.vcpu, BR_FROM + i, BRANCH + i), 1);
	/* The bits of the external pins are ignored, as by upstream before Linux 7. */
	EXPECT_EQ(msr_set(vm.vcpu, DEBUGCTL, 0x3c | debugctl), 1);
	EXPECT_EQ(msr_set(vm.vcpu, DEBUGCTL, 0x40), 0);
	EXPECT_EQ(msr_of(&vm, DEBUGCTL), debugctl);
	LOAD64(&vm, reads_branches);
	pages_setup(&vm);
	EXPECT_EQ(run_out(&vm, 0x10), debugctl);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(run_out(&vm, 0x11), (uint32_t)BRANCH + i);
		EXPECT_EQ(run_out(&vm, 0x12), BRANCH >> 32);
		EXPECT_EQ(msr_of(&vm, BR_FROM + i), BRANCH + i);
	}
	/* Writes by the guest are the CPU's affair while it has the MSRs. */
	if (!debugctl) {
		run_out(&vm, PORT_TRAP);
		EXPECT_EQ(trap_vector(&vm), 13);
	}
	vm_destroy(&vm);
}

TEST(branches_travel_while_they_are_recorded)
{
	branches_travel(1);
}

/* The CPU has the host's values then. */
TEST(branches_travel_while_none_are_recorded)
{
	branches_travel(0);
}

/* On a CPU without LBR virtualization, and on Intel's. */
TEST(without_recording_the_msrs_read_as_zero)
{
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	if (records_branches(&vm))
		test_skip("LBR virtualization");
	EXPECT(!in_list(vm.sys, KVM_GET_MSR_INDEX_LIST, DEBUGCTL));
	EXPECT_EQ(msr_set(vm.vcpu, DEBUGCTL, 1), 1);
	EXPECT_EQ(msr_set(vm.vcpu, DEBUGCTL, ~0ull), test_on_svm());
	EXPECT_EQ(msr_of(&vm, DEBUGCTL), 0);
	LOAD64(&vm, reads_branches);
	pages_setup(&vm);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(run_out(&vm, 0x11), 0);
		EXPECT_EQ(run_out(&vm, 0x12), 0);
		EXPECT_EQ(msr_of(&vm, BR_FROM + i), 0);
		EXPECT_EQ(msr_set(vm.vcpu, BR_FROM + i, 0), 0);
	}
	run_out(&vm, PORT_TRAP);
	EXPECT_EQ(trap_vector(&vm), 13);
	vm_destroy(&vm);
}
