// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchronous page faults: pages that the host has to wait for are pages of a userfaultfd here,
 * which are there when the test says so.
 *
 * On upstream's KVM the last three tests do not end, nor those about how many pages there are: it
 * waits for them.
 */
#include <asm/kvm_para.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "selftests/lib/tracing.h"
#include "selftests/lib/x2apic.h"

#define IDT		0x5000u
#define RECORD		0x6000u
#define GDT		0x6800u
#define TSS		0x6c00u
#define AWAY		0x1000000u	/* the pages that are not there */
#define NR_AWAY		4
#define PER_VCPU	64	/* pages that are waited for at once */
#define PER_VM		128
#define PER_USER	1024
#define PAGE		4096

#define ENABLE		(RECORD | KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)

/*
 * R12: what is written to MSR_KVM_ASYNC_PF_EN; R13: at CPL 3; R14: further pages to access before
 * it waits for the first; R10: all of them; RBX: the first page; R9: RFLAGS.IF at the access.
 * Ports: 0x10 set up, 0x12 what was read, 0x13 and 0x14 flags and CR2 of a #PF, 0x15 the token of
 * a page that came, 0x16 interrupt 0x41.
 */
GUEST(apf, 64)
	X2_ON("$0x1ff")
	"	mov $0x4b564d06, %ecx\n"
	"	mov $0x40, %eax\n"
	"	wrmsr\n"
	"	mov $0x4b564d02, %ecx\n"
	"	mov %r12d, %eax\n"
	"	wrmsr\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	out %al, $0x10\n"
	"	test %r9, %r9\n"
	"	jnz 1f\n"
	"	cli\n"
	"1:	test %r13, %r13\n"
	"	jz 2f\n"
	"	push $0x23\n"
	"	push $0x7000\n"
	"	push $0x3202\n"
	"	push $0x2b\n"
	"	lea 2f(%rip), %rax\n"
	"	push %rax\n"
	"	iretq\n"
	"2:	mov (%rbx), %eax\n"
	"	out %eax, $0x12\n"
	"	jmp 2b\n"

	".global guest_apf_pf, guest_apf_ready, guest_apf_irq\n"
	"guest_apf_pf:\n"
	"	mov 0x6000, %eax\n"
	"	movl $0, 0x6000\n"
	"	out %eax, $0x13\n"
	"	mov %cr2, %rax\n"
	"	out %eax, $0x14\n"
	"	dec %r14\n"
	"	js 3f\n"
	"	add $0x1000, %rbx\n"
	"	jmp 4f\n"
	"3:	cli\n"
	"	cmp %r10, %r15\n"
	"	ja 4f\n"
	"	sti\n"
	"6:	hlt\n"
	"	jmp 3b\n"
	"4:	add $8, %rsp\n"
	"	iretq\n"

	"guest_apf_ready:\n"
	"	push %rax\n"
	"	push %rcx\n"
	"	push %rdx\n"
	"	mov 0x6004, %eax\n"
	"	movl $0, 0x6004\n"
	"	out %eax, $0x15\n"
	"	inc %r15\n"
	/* An emulator that has lost the shadow of STI may interrupt before HLT: no halt then. */
	"	lea 6b(%rip), %rax\n"
	"	cmp %rax, 24(%rsp)\n"
	"	jne 7f\n"
	"	incq 24(%rsp)\n"
	"7:\n"
	"	mov $0x4b564d07, %ecx\n"
	"	mov $1, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"5:	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	pop %rdx\n"
	"	pop %rcx\n"
	"	pop %rax\n"
	"	iretq\n"

	"guest_apf_irq:\n"
	"	push %rax\n"
	"	push %rcx\n"
	"	push %rdx\n"
	"	out %al, $0x16\n"
	"	jmp 5b\n"
GUEST_END(apf);
extern const uint8_t guest_apf_pf[], guest_apf_ready[], guest_apf_irq[];

struct apf {
	struct vm vm;
	int uffd;
	unsigned int nr;	/* pages in @away */
	uint8_t *away;
};

static void away_create(struct apf *t)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	t->away = mmap(NULL, t->nr * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(t->away != MAP_FAILED);
	t->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (t->uffd < 0)
		test_skip("no userfaultfd");
	REQUIRE(ioctl(t->uffd, UFFDIO_API, &api) == 0);
	reg.range.start = (uintptr_t)t->away;
	reg.range.len = t->nr * PAGE;
	REQUIRE(ioctl(t->uffd, UFFDIO_REGISTER, &reg) == 0);
}

static void away_bring(struct apf *t, unsigned int page, uint32_t val)
{
	static uint32_t data[PAGE / 4] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)t->away + page * PAGE, .src = (uintptr_t)data, .len = PAGE,
	};

	data[0] = val;
	REQUIRE(ioctl(t->uffd, UFFDIO_COPY, &copy) == 0);
}

static void gate(struct apf *t, unsigned int vector, const uint8_t *handler)
{
	uint64_t *entry = (void *)(t->vm.mem + IDT + 16 * vector);

	entry[0] = VM_CODE + (handler - guest_apf) + (8ull << 16) + (0x8e00ull << 32);
}

/* Descriptors for CPL 3, and page tables that let it at everything. */
static void allow_user(struct apf *t)
{
	static const uint64_t gdt[] = {
		0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cff3000000ffff,
		0x00affb000000ffff,
	};
	struct kvm_sregs sregs;
	uint64_t *table = (void *)(t->vm.mem + VM_TABLES);
	unsigned int i;

	memcpy(t->vm.mem + GDT, gdt, sizeof(gdt));
	memset(t->vm.mem + TSS, 0, 0x68);
	*(uint64_t *)(t->vm.mem + TSS + 4) = 0x7800;
	for (i = 0; i < 4 * 512; i++)
		table[i] |= table[i] ? 4 : 0;
	REQUIRE(ioctl(t->vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = sizeof(gdt) - 1;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	sregs.tr.base = TSS;
	sregs.tr.limit = 0x67;
	sregs.tr.type = 11;
	sregs.tr.present = 1;
	REQUIRE(ioctl(t->vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
}

struct apf_how {
	uint32_t enable;
	bool user, cli;
	unsigned int further;	/* pages beyond the first */
};

static void apf_create(struct apf *t, struct apf_how how)
{
	struct kvm_regs regs;

	vm_create(&t->vm, VM_IRQCHIP);
	t->nr = how.further < NR_AWAY ? NR_AWAY : how.further + 1;
	away_create(t);
	vm_slot(&t->vm, 1, AWAY, t->nr * PAGE, t->away, 0);
	LOAD64(&t->vm, apf);
	allow_user(t);
	gate(t, 14, guest_apf_pf);
	gate(t, 0x40, guest_apf_ready);
	gate(t, 0x41, guest_apf_irq);
	REQUIRE(ioctl(t->vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = AWAY;
	regs.r12 = how.enable;
	regs.r13 = how.user;
	regs.r14 = how.further;
	regs.r10 = how.further + 1;
	regs.r9 = !how.cli;
	REQUIRE(ioctl(t->vm.vcpu, KVM_SET_REGS, &regs) == 0);
	/* Switching it on wakes all. */
	EXPECT_EQ(run_out(&t->vm, 0x15), ~0u);
	run_out(&t->vm, 0x10);
}

static void apf_destroy(struct apf *t)
{
	vm_destroy(&t->vm);
	close(t->uffd);
	munmap(t->away, t->nr * PAGE);
}

/* The guest is told that a page is away. Return: the token */
static uint32_t run_not_present(struct apf *t)
{
	uint32_t token;

	EXPECT_EQ(run_out(&t->vm, 0x13), KVM_PV_REASON_PAGE_NOT_PRESENT);
	token = run_out(&t->vm, 0x14);
	EXPECT(token && token != ~0u);
	return token;
}

static void told_and_ready(struct apf_how how)
{
	struct apf t;
	uint32_t token;

	apf_create(&t, how);
	token = run_not_present(&t);
	away_bring(&t, 0, 0x1234567);
	EXPECT_EQ(run_out(&t.vm, 0x15), token);
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x1234567);
	apf_destroy(&t);
}

TEST(user_mode_is_told_and_the_token_comes_again)
{
	told_and_ready((struct apf_how){ .enable = ENABLE, .user = true });
}

TEST(kernel_mode_is_told_if_it_wants_to)
{
	told_and_ready((struct apf_how){ .enable = ENABLE | KVM_ASYNC_PF_SEND_ALWAYS });
}

TEST(a_page_that_comes_later_is_traced)
{
	tracing_begin();
	told_and_ready((struct apf_how){ .enable = ENABLE, .user = true });
	tracing_end();
	EXPECT_EQ(traced("kvm_try_async_get_page", ""), 1);
	EXPECT_EQ(traced("kvm_async_pf_not_present", ""), 1);
	EXPECT_EQ(traced("kvm_async_pf_completed", ""), 1);
	EXPECT_EQ(traced("kvm_async_pf_ready", ""), 1);
	free(trace_text);
}

TEST(tokens_come_one_after_the_other)
{
	struct apf_how how = { .enable = ENABLE, .user = true, .further = 2 };
	uint32_t token[3], got[3];
	unsigned int i, k;
	struct apf t;

	apf_create(&t, how);
	for (i = 0; i < 3; i++)
		token[i] = run_not_present(&t);
	EXPECT(token[0] != token[1] && token[1] != token[2] && token[0] != token[2]);
	for (i = 0; i < 3; i++)
		away_bring(&t, i, 0x100 + i);
	for (i = 0; i < 3; i++)
		got[i] = run_out(&t.vm, 0x15);
	/* In the order in which the host had them. */
	for (i = 0; i < 3; i++) {
		for (k = 0; k < 3 && got[k] != token[i]; k++)
			;
		EXPECT(k < 3);
	}
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x102);
	apf_destroy(&t);
}

/* One instruction, with interrupts off. */
static void step(struct apf *t)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};

	REQUIRE(ioctl(t->vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	run_until(&t->vm, KVM_EXIT_DEBUG);
	debug.control = 0;
	REQUIRE(ioctl(t->vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
}

TEST(a_token_that_nobody_has_read_is_kept)
{
	struct apf_how how = { .enable = ENABLE, .user = true, .further = 1 };
	uint32_t token[2];
	unsigned int i;
	struct apf t;

	apf_create(&t, how);
	token[0] = run_not_present(&t);
	token[1] = run_not_present(&t);
	/* In the handler of the second #PF, past its OUT. */
	step(&t);
	for (i = 0; i < 2; i++) {
		away_bring(&t, i, 0x100 + i);
		usleep(20000);
		step(&t);
		EXPECT_EQ(*(uint32_t *)(t.vm.mem + RECORD + 4), token[0]);
	}
	EXPECT_EQ(run_out(&t.vm, 0x15), token[0]);
	EXPECT_EQ(run_out(&t.vm, 0x15), token[1]);
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x101);
	apf_destroy(&t);
}

/* ---- what happens while the vCPU waits ---- */

static void *send_msi_later(void *arg)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
	struct apf *t = arg;

	usleep(50000);
	ioctl(t->vm.fd, KVM_SIGNAL_MSI, &msi);
	return NULL;
}

static void *bring_later(void *arg)
{
	usleep(50000);
	away_bring(arg, 0, 0x765);
	return NULL;
}

TEST(kernel_mode_waits_but_takes_interrupts)
{
	struct apf_how how = { .enable = ENABLE };
	pthread_t thread;
	struct apf t;

	apf_create(&t, how);
	REQUIRE(!pthread_create(&thread, NULL, send_msi_later, &t));
	run_out(&t.vm, 0x16);
	pthread_join(thread, NULL);
	REQUIRE(!pthread_create(&thread, NULL, bring_later, &t));
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x765);
	pthread_join(thread, NULL);
	apf_destroy(&t);
}

TEST(with_interrupts_off_the_fault_is_an_ordinary_one)
{
	struct apf_how how = { .enable = ENABLE | KVM_ASYNC_PF_SEND_ALWAYS, .cli = true };
	pthread_t thread;
	struct apf t;

	apf_create(&t, how);
	REQUIRE(!pthread_create(&thread, NULL, bring_later, &t));
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x765);
	pthread_join(thread, NULL);
	apf_destroy(&t);
}

/*
 * ---- how many pages ----
 *
 * A vCPU that waits for a page although it need not waits for ever: nobody brings it, and no signal
 * interrupts that but one that ends the process, as alarm() does.
 */

TEST(the_pages_of_other_vms_do_not_count)
{
	struct apf_how how = { .enable = ENABLE, .user = true, .further = PER_VCPU - 1 };
	struct apf t[5];
	unsigned int i, k;

	alarm(20);
	for (i = 0; i < 5; i++) {
		apf_create(&t[i], how);
		for (k = 0; k < PER_VCPU; k++)
			run_not_present(&t[i]);
	}
	for (i = 0; i < 5; i++)
		apf_destroy(&t[i]);
	alarm(0);
}

static void *bring_first_later(void *arg)
{
	usleep(50000);
	away_bring(arg, 0, 0x765);
	return NULL;
}

/*
 * Each VM leaves its pages to threads of the kernel that wait on. When there are as many of them as
 * a user may have, the next VM's vCPU waits for its page itself: it is told of nothing.
 */
TEST(the_pages_of_vms_that_are_gone_count)
{
	struct apf_how how = { .enable = ENABLE, .user = true, .further = PER_VCPU - 1 };
	struct apf_how last = { .enable = ENABLE, .user = true };
	static struct apf t[PER_USER / PER_VCPU + 1];
	unsigned int i, k;
	pthread_t thread;

	alarm(40);
	for (i = 0; i < PER_USER / PER_VCPU; i++) {
		apf_create(&t[i], how);
		for (k = 0; k < PER_VCPU; k++)
			run_not_present(&t[i]);
		vm_destroy(&t[i].vm);
	}
	apf_create(&t[i], last);
	REQUIRE(!pthread_create(&thread, NULL, bring_first_later, &t[i]));
	EXPECT_EQ(run_out(&t[i].vm, 0x12), 0x765);
	pthread_join(thread, NULL);
	apf_destroy(&t[i]);
	for (i = 0; i < PER_USER / PER_VCPU; i++) {
		close(t[i].uffd);
		munmap(t[i].away, t[i].nr * PAGE);
	}
	alarm(0);
}

static void *bring_last_later(void *arg)
{
	struct apf *t = arg;

	usleep(50000);
	away_bring(t, t->nr - 1, 0x765);
	return NULL;
}

static void forget_pages(struct apf *t)
{
	EXPECT_EQ(vcpu_set_msr(&t->vm, MSR_KVM_ASYNC_PF_EN, 0), 1);
	EXPECT_EQ(vcpu_set_msr(&t->vm, MSR_KVM_ASYNC_PF_EN, ENABLE), 1);
	EXPECT_EQ(run_out(&t->vm, 0x15), ~0u);
}

/* Pages that a guest has forgotten are still waited for: they count until they come. */
TEST(a_vm_waits_for_so_many_pages)
{
	struct apf_how how = { .enable = ENABLE, .user = true, .further = PER_VM };
	pthread_t thread;
	unsigned int i;
	struct apf t;

	alarm(20);
	apf_create(&t, how);
	for (i = 1; i <= PER_VM; i++) {
		run_not_present(&t);
		/* Or it would be one of the vCPU too many. */
		if (!(i % PER_VCPU))
			forget_pages(&t);
	}
	REQUIRE(!pthread_create(&thread, NULL, bring_last_later, &t));
	EXPECT_EQ(run_out(&t.vm, 0x12), 0x765);
	pthread_join(thread, NULL);
	alarm(0);
	apf_destroy(&t);
}

/* ---- MSRs ---- */

static uint64_t msr_get(struct vm *vm, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index } };

	REQUIRE(ioctl(vm->vcpu, KVM_GET_MSRS, &msrs) == 1);
	return msrs.entry.data;
}

TEST(its_registers_are_checked)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_ASYNC_PF), 1);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_ASYNC_PF_INT), 1);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_INT, 0x40), 1);
	EXPECT_EQ(msr_get(&vm, MSR_KVM_ASYNC_PF_INT), 0x40);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_INT, 0x100), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, ENABLE), 1);
	EXPECT_EQ(msr_get(&vm, MSR_KVM_ASYNC_PF_EN), ENABLE);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, ENABLE | 0x10), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, ENABLE | 0x20), 0);
	/* No memory there. */
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, 0x80000000ull | ENABLE), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, 0), 1);
	EXPECT_EQ(msr_get(&vm, MSR_KVM_ASYNC_PF_EN), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_ACK, 1), 1);
	EXPECT_EQ(msr_get(&vm, MSR_KVM_ASYNC_PF_ACK), 0);
	vm_destroy(&vm);
}

TEST(without_a_local_apic_it_cannot_be_switched_on)
{
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, ENABLE), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_KVM_ASYNC_PF_EN, 0), 1);
	vm_destroy(&vm);
}

/* ---- ends ---- */

TEST(a_vm_ends_while_a_page_is_waited_for)
{
	struct apf_how how = { .enable = ENABLE, .user = true };
	struct apf t;

	apf_create(&t, how);
	run_not_present(&t);
	/* First the VM: its end must not wait for the page. */
	apf_destroy(&t);
}

TEST(switching_it_off_forgets_the_page)
{
	struct apf_how how = { .enable = ENABLE, .user = true };
	struct apf t;

	apf_create(&t, how);
	run_not_present(&t);
	EXPECT_EQ(vcpu_set_msr(&t.vm, MSR_KVM_ASYNC_PF_EN, 0), 1);
	away_bring(&t, 0, 1);
	usleep(20000);
	EXPECT_EQ(*(uint32_t *)(t.vm.mem + RECORD + 4), 0);
	/* On again: all are woken, as after a migration. */
	EXPECT_EQ(vcpu_set_msr(&t.vm, MSR_KVM_ASYNC_PF_EN, ENABLE), 1);
	EXPECT_EQ(run_out(&t.vm, 0x15), ~0u);
	EXPECT_EQ(run_out(&t.vm, 0x12), 1);
	apf_destroy(&t);
}

TEST(a_process_ends_while_a_page_is_waited_for)
{
	struct apf_how how = { .enable = ENABLE, .user = true };
	struct apf t;

	apf_create(&t, how);
	run_not_present(&t);
	test_end();
}
