// SPDX-License-Identifier: GPL-2.0-only
/* Exits that say that something is wrong with the guest, and modes that are built in steps. */
#include "selftests/lib/okvm_test.h"

GUEST(halt64, 64)
	"	hlt\n"
GUEST_END(halt64);

/*
 * A GDTR base that is not canonical is refused by VM entry. Segments that hardware does not run
 * with would be emulated where "unrestricted guest" is missing.
 */
TEST(a_state_that_hardware_refuses_is_fail_entry)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, halt64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	/* VMX refuses that base; SVM does not, but code that has 64 and 32 bits. */
	if (test_on_svm())
		sregs.cs.db = 1;
	else
		sregs.gdt.base = 1ull << 62;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	/* The entry was refused for the guest's state: reason 33 with the bit of a failed entry. */
	EXPECT_EQ(vm.run->fail_entry.hardware_entry_failure_reason,
		  test_on_svm() ? 0xffffffff : 0x80000021);
	EXPECT_EQ(vm.run->fail_entry.cpu, 0);
	/* And again, without a change; then with one it runs. */
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	sregs.gdt.base = VM_TABLES;
	sregs.cs.db = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	/* What the refused entry has left of RIP is the CPU's affair with SVM. */
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

/* Control registers of long mode with the CS of real mode: no error until it is run. */
TEST(segments_may_be_mended_after_the_mode)
{
	struct kvm_sregs sregs, good;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	LOAD64(&vm, halt64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &good) == 0);
	sregs.cr0 = good.cr0;
	sregs.cr3 = good.cr3;
	sregs.cr4 = good.cr4;
	sregs.efer = good.efer;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.cs.selector, 0xf000);
	EXPECT_EQ(sregs.cs.l, 0);
	sregs.cs = good.cs;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(modes_that_no_cpu_has_are_einval)
{
	struct kvm_sregs good, bad;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, halt64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &good) == 0);
#define REFUSED(change)								\
	do {									\
		bad = good;							\
		change;								\
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &bad), EINVAL);	\
	} while (0)
	REFUSED(bad.cr4 &= ~(1ull << 5));		/* long mode without PAE */
	REFUSED(bad.efer &= ~(1ull << 10));		/* paging and LME without LMA */
	REFUSED(bad.efer &= ~(1ull << 8));		/* LMA without LME */
	REFUSED(bad.cr0 &= ~(1ull << 31));		/* LMA without paging */
	REFUSED(bad.cr0 &= ~1ull);			/* paging without protection */
	REFUSED(bad.cr0 |= 1ull << 32);
	REFUSED(bad.cr0 |= 1ull << 29);			/* NW without CD */
	REFUSED(bad.cr3 |= 1ull << 62);
	REFUSED(bad.cr4 |= 1ull << 15);
	/* Upstream leaves reserved bits of EFER to the entry, which fails. */
	if (!getenv("OKVM_DEVICE"))
		REFUSED(bad.efer |= 1ull << 63);
	REFUSED(bad.apic_base |= 0x200);
	REFUSED(bad.apic_base = (bad.apic_base & ~0xc00ull) | 0x400);
#undef REFUSED
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &bad) == 0);
	EXPECT(!memcmp(&good, &bad, sizeof(good)));
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(sregs2_wants_pdptes_with_pae_paging_only)
{
	struct kvm_sregs2 sregs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, halt64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS2, &sregs) == 0);
	EXPECT_EQ(sregs.flags, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS2, &sregs), 0);
	sregs.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS2, &sregs), EINVAL);
	sregs.flags = 2;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS2, &sregs), EINVAL);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

/* ---- what cannot be emulated ---- */

#define EXIT_PF		0x4e	/* SVM's exit code of an intercepted #PF */

GUEST(paddd, 64)
	"	mov %cr4, %rax\n"
	"	or $0x600, %rax\n"
	"	mov %rax, %cr4\n"
	"	mov $0x10000000, %rbx\n"
	"	paddd (%rbx), %xmm0\n"
	"	hlt\n"
GUEST_END(paddd);

TEST(mmio_by_an_instruction_that_is_not_emulated)
{
	static const uint8_t bytes[] = { 0x66, 0x0f, 0xfe, 0x03 };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 1 };
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD64(&vm, paddd);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	/* The flags, two words of the instruction, and the exit: an EPT violation by a read. */
	EXPECT_EQ(vm.run->emulation_failure.ndata, 8);
	if (test_on_svm() && vm_on_shadow(&vm)) {
		/* A page fault by a read, which was intercepted, and its linear address. */
		EXPECT_EQ(vm.run->internal.data[3], EXIT_PF);
		EXPECT_EQ(vm.run->internal.data[4], 0);
		EXPECT_EQ(vm.run->internal.data[5], 0x10000000);
	} else if (test_on_svm()) {
		/* A nested page fault of the access itself, by a read of the guest's. */
		EXPECT_EQ(vm.run->internal.data[3], 0x400);
		EXPECT_EQ(vm.run->internal.data[4], 1ull << 32 | 4);
	} else if (vm_on_shadow(&vm)) {
		/* A page fault at the linear address, which was intercepted. */
		EXPECT_EQ(vm.run->internal.data[3], 0);
		EXPECT_EQ(vm.run->internal.data[4], 0x10000000);
	} else {
		EXPECT_EQ(vm.run->internal.data[3], 48);
		EXPECT_EQ(vm.run->internal.data[4] & 7, 1);
	}
	EXPECT_EQ(vm.run->internal.data[5] >> 31, 0);
	EXPECT_EQ(vm.run->internal.data[6] >> 31, vm_on_shadow(&vm) && !test_on_svm());
	EXPECT_EQ(vm.run->internal.data[7], 0);
	EXPECT(vm.run->emulation_failure.flags &
	       KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	EXPECT(vm.run->emulation_failure.insn_size >= 4);
	EXPECT(!memcmp(vm.run->emulation_failure.insn_bytes, bytes, sizeof(bytes)));
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT(!memcmp(vm.mem + regs.rip, bytes, sizeof(bytes)));
	vm_destroy(&vm);
}

/* FNSTCW is known to every KVM; FLD is what a VMM that asks for failures emulates itself. */
GUEST(flds, 64)
	"	mov $0x10000000, %rbx\n"
	"	fnstcw (%rbx)\n"
	"	flds (%rbx)\n"
	"	hlt\n"
GUEST_END(flds);

static void run_flds(struct vm *vm, bool fail)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = fail };

	vm_create(vm, 0);
	EXPECT_EQ(ioctl(vm->fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD64(vm, flds);
	run_until(vm, KVM_EXIT_MMIO);
	EXPECT(vm->run->mmio.is_write);
	EXPECT_EQ(vm->run->mmio.len, 2);
	REQUIRE(vcpu_run(vm) == 0);
}

TEST(x87_is_left_to_a_vmm_that_asks_for_failures)
{
	static const uint8_t bytes[] = { 0xd9, 0x03 };
	struct vm vm;

	run_flds(&vm, true);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	EXPECT(!memcmp(vm.run->emulation_failure.insn_bytes, bytes, sizeof(bytes)));
	vm_destroy(&vm);
	if (getenv("OKVM_DEVICE") && !strcmp(getenv("OKVM_DEVICE"), "/dev/kvm"))
		return;
	run_flds(&vm, false);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.is_write, 0);
	EXPECT_EQ(vm.run->mmio.len, 4);
	vm_destroy(&vm);
}

/*
 * An exception whose handler's table is not in memory: delivery meets MMIO. The read before makes
 * the address known as such, as upstream does not look for a delivery in progress until it is.
 */
GUEST(ud64, 64)
	"	mov 0x10000000, %al\n"
	"	ud2\n"
GUEST_END(ud64);

TEST(a_delivery_that_meets_mmio)
{
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, ud64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.idt = (struct kvm_dtable) { .base = 0x10000000, .limit = 0xfff };
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	run_until(&vm, KVM_EXIT_MMIO);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
	EXPECT_EQ(vm.run->internal.data[0] & 0xff, 6);
	if (vm_on_shadow(&vm) && !test_on_svm()) {
		/* What was delivered, the page fault, its linear address, and the CPU. */
		EXPECT_EQ(vm.run->internal.ndata, 4);
		EXPECT_EQ(vm.run->internal.data[1], 0);
		EXPECT_EQ(vm.run->internal.data[2] & ~0xfffull, 0x10000000);
	} else {
		const unsigned int svm = vm_on_shadow(&vm) ? EXIT_PF : 0x400;

		/* What was delivered, the EPT misconfiguration, its address, and the CPU. */
		EXPECT_EQ(vm.run->internal.ndata, 5);
		EXPECT_EQ(vm.run->internal.data[1], test_on_svm() ? svm : 49);
		EXPECT_EQ(vm.run->internal.data[3] & ~0xfffull, 0x10000000);
	}
	vm_destroy(&vm);
}

/* Code that is not in memory at all. */
TEST(code_behind_the_memory)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, halt64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = 0x10000000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	vm_destroy(&vm);
}

/* ---- TPR and APIC base through kvm_run, without an in-kernel irqchip ---- */

GUEST(cr8, 64)
	"	mov $8, %eax\n"
	"	mov %rax, %cr8\n"
	"	out %al, $0x10\n"
	"	mov $3, %eax\n"
	"	mov %rax, %cr8\n"
	"	mov %cr8, %rax\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(cr8);

TEST(a_lower_task_priority_is_set_tpr)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, cr8);
	EXPECT_EQ(run_out(&vm, 0x10), 8);
	EXPECT_EQ(vm.run->cr8, 8);
	run_until(&vm, KVM_EXIT_SET_TPR);
	EXPECT_EQ(vm.run->cr8, 3);
	EXPECT_EQ(run_out(&vm, 0x10), 3);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(kvm_runs_cr8_is_the_guests)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, cr8);
	EXPECT_EQ(run_out(&vm, 0x10), 8);
	vm.run->cr8 = 2;
	/* Now 3 is no lowering. */
	EXPECT_EQ(run_out(&vm, 0x10), 3);
	run_until(&vm, KVM_EXIT_HLT);
	vm.run->cr8 = 16;
	EXPECT_ERR(vcpu_run(&vm), EINVAL);
	vm_destroy(&vm);
}

/* ---- MSRs that userspace wants to decide ---- */

GUEST(rdmsr, 16)
	"	movw $0x8000 + 1f - guest_rdmsr, %cs:13 * 4\n"
	"	movw $0, %cs:13 * 4 + 2\n"
	"	mov $0x7000, %sp\n"
	"	mov $0x12345678, %ecx\n"
	"	rdmsr\n"
	"	mov $0x12345678, %ecx\n"
	"	wrmsr\n"
	"	hlt\n"
	"1:	out %al, $0x13\n"
GUEST_END(rdmsr);

TEST(unknown_msrs_can_be_userspaces)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = KVM_MSR_EXIT_REASON_UNKNOWN,
	};
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD16(&vm, rdmsr);
	run_until(&vm, KVM_EXIT_X86_RDMSR);
	EXPECT_EQ(vm.run->msr.index, 0x12345678);
	EXPECT_EQ(vm.run->msr.reason, KVM_MSR_EXIT_REASON_UNKNOWN);
	vm.run->msr.data = 0x1122334455667788;
	vm.run->msr.error = 0;
	run_until(&vm, KVM_EXIT_X86_WRMSR);
	EXPECT_EQ(vm.run->msr.index, 0x12345678);
	EXPECT_EQ(vm.run->msr.data, 0x1122334455667788);
	vm.run->msr.error = 0;
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(a_filtered_msr_exits_or_faults)
{
	static uint8_t deny[1];
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = KVM_MSR_EXIT_REASON_FILTER,
	};
	struct kvm_msr_filter filter = { .ranges[0] = {
		.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .base = 0x12345678,
		.nmsrs = 1, .bitmap = deny,
	} };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), 0);
	LOAD16(&vm, rdmsr);
	run_until(&vm, KVM_EXIT_X86_RDMSR);
	EXPECT_EQ(vm.run->msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	vm.run->msr.error = 1;
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}
