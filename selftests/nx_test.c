// SPDX-License-Identifier: GPL-2.0-only
/* Huge pages that are not executable: what a fetch splits, and how it is put together again. */
#include <pthread.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define HUGE_GPA	0x800000u
#define HUGE_SIZE	(2u << 20)
#define NR_HUGE		3
#define RET		0xc3

/* RBX: an address; R12: 0 read there, 1 execute there. */
GUEST(touch, 64)
	"1:	test %r12, %r12\n"
	"	jnz 2f\n"
	"	mov (%rbx), %al\n"
	"	jmp 3f\n"
	"2:	call *%rbx\n"
	"3:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(touch);

static const char *parameter_path(const char *name)
{
	static const char * const modules[] = { "okvm", "kvm" };
	static char path[128];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", modules[i], name);
		if (!access(path, W_OK))
			return path;
	}
	test_skip("no parameter %s", name);
}

static void set_parameter(const char *name, const char *val)
{
	int fd = open(parameter_path(name), O_WRONLY);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, val, strlen(val)) == (ssize_t)strlen(val));
	close(fd);
}

static const char * const parameters[] = {
	"nx_huge_pages", "nx_huge_pages_recovery_ratio", "nx_huge_pages_recovery_period_ms",
};

#define NR_PARAMETERS	(sizeof(parameters) / sizeof(parameters[0]))

struct huge {
	struct vm vm;
	uint8_t *space, *mem;
	char before[NR_PARAMETERS][32];	/* the parameters' values */
};

static void parameters_keep(struct huge *h)
{
	unsigned int i;

	memset(h->before, 0, sizeof(h->before));
	for (i = 0; i < NR_PARAMETERS; i++) {
		int fd = open(parameter_path(parameters[i]), O_RDONLY);

		REQUIRE(fd >= 0 && read(fd, h->before[i], sizeof(h->before[i]) - 1) > 0);
		close(fd);
	}
}

static void parameters_restore(const struct huge *h)
{
	unsigned int i;

	for (i = 0; i < NR_PARAMETERS; i++)
		set_parameter(parameters[i], h->before[i]);
}

static void huge_create(struct huge *h, bool exempt)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES };
	size_t size = NR_HUGE * HUGE_SIZE;

	parameters_keep(h);
	set_parameter("nx_huge_pages", "on");
	set_parameter("nx_huge_pages_recovery_ratio", "1");
	set_parameter("nx_huge_pages_recovery_period_ms", "3600000");
	h->space = mmap(NULL, size + HUGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(h->space != MAP_FAILED);
	h->mem = (uint8_t *)(((uintptr_t)h->space + HUGE_SIZE - 1) & -(uintptr_t)HUGE_SIZE);
	if (madvise(h->mem, size, MADV_HUGEPAGE))
		test_skip("no transparent huge pages");
	memset(h->mem, RET, size);
	vm_create(&h->vm, VM_BARE);
	if (exempt) {
		cap.args[0] = 1;
		EXPECT_ERR(ioctl(h->vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
		cap.args[0] = 0;
		EXPECT_EQ(ioctl(h->vm.fd, KVM_ENABLE_CAP, &cap), 0);
	}
	h->vm.mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	REQUIRE(h->vm.mem != MAP_FAILED);
	/* Kernels that use huge pages everywhere would have one here too. */
	madvise(h->vm.mem, VM_MEMORY, MADV_NOHUGEPAGE);
	vm_slot(&h->vm, 0, 0, VM_MEMORY, h->vm.mem, 0);
	vm_slot(&h->vm, 1, HUGE_GPA, size, h->mem, 0);
	h->vm.vcpu = vcpu_add(&h->vm, 0, &h->vm.run);
	vcpu_cpuid(&h->vm, h->vm.vcpu);
	EXPECT_ERR(ioctl(h->vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	LOAD64(&h->vm, touch);
}

static void huge_destroy(struct huge *h)
{
	vm_destroy(&h->vm);
	munmap(h->space, (NR_HUGE + 1) * HUGE_SIZE);
	parameters_restore(h);
}

static void touch(struct huge *h, unsigned int page, bool execute)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(h->vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = HUGE_GPA + page * HUGE_SIZE;
	regs.r12 = execute;
	REQUIRE(ioctl(h->vm.vcpu, KVM_SET_REGS, &regs) == 0);
	run_out(&h->vm, 0x10);
}

static void expect_pages(struct huge *h, uint64_t huge, uint64_t splits)
{
	EXPECT_EQ(vm_stat(&h->vm, "pages_2m"), huge);
	EXPECT_EQ(vm_stat(&h->vm, "nx_lpage_splits"), splits);
}

static void wait_for_splits(struct huge *h, uint64_t splits)
{
	unsigned int i;

	for (i = 0; i < 100 && vm_stat(&h->vm, "nx_lpage_splits") != splits; i++)
		usleep(10000);
}

TEST(a_fetch_splits_and_time_mends)
{
	struct huge h;

	huge_create(&h, false);
	touch(&h, 0, false);
	touch(&h, 1, false);
	expect_pages(&h, 2, 0);
	touch(&h, 0, true);
	expect_pages(&h, 1, 1);
	touch(&h, 2, true);
	expect_pages(&h, 1, 2);
	/* What is split stays it, for the time being. */
	touch(&h, 0, false);
	expect_pages(&h, 1, 2);
	set_parameter("nx_huge_pages_recovery_period_ms", "50");
	wait_for_splits(&h, 0);
	expect_pages(&h, 1, 0);
	touch(&h, 0, false);
	touch(&h, 2, false);
	expect_pages(&h, 3, 0);
	/* And again. */
	touch(&h, 2, true);
	expect_pages(&h, 2, 1);
	wait_for_splits(&h, 0);
	expect_pages(&h, 2, 0);
	huge_destroy(&h);
}

TEST(an_exempt_vm_executes_huge_pages)
{
	struct huge h;

	huge_create(&h, true);
	touch(&h, 0, true);
	touch(&h, 1, false);
	touch(&h, 1, true);
	expect_pages(&h, 2, 0);
	huge_destroy(&h);
}

TEST(the_parameter_changes_vms_that_run)
{
	struct huge h;

	huge_create(&h, false);
	touch(&h, 0, true);
	expect_pages(&h, 0, 1);
	set_parameter("nx_huge_pages", "off");
	touch(&h, 0, true);
	expect_pages(&h, 1, 0);
	set_parameter("nx_huge_pages", "on");
	touch(&h, 0, true);
	expect_pages(&h, 0, 1);
	huge_destroy(&h);
}

TEST(a_ratio_of_0_recovers_nothing)
{
	struct huge h;

	huge_create(&h, false);
	set_parameter("nx_huge_pages_recovery_ratio", "0");
	set_parameter("nx_huge_pages_recovery_period_ms", "20");
	touch(&h, 0, true);
	usleep(100000);
	expect_pages(&h, 0, 1);
	set_parameter("nx_huge_pages_recovery_ratio", "1");
	wait_for_splits(&h, 0);
	expect_pages(&h, 0, 0);
	huge_destroy(&h);
}

/* ---- one vCPU fetches, the other reads, at the same moment ---- */

/*
 * Each counts itself at RDI, waits for the other, and goes to the page at RBX; likewise for all
 * pages. RSI: the count at which both are there, R12: 0 read, 1 execute, RCX: how many pages.
 */
GUEST(meet, 64)
	"	sti\n"	/* nothing comes, but Bochs interrupts no guest that forbids it */
	"1:	lock incq (%rdi)\n"
	"2:	cmp %rsi, (%rdi)\n"
	"	jb 2b\n"
	"	test %r12, %r12\n"
	"	jnz 3f\n"
	"	mov (%rbx), %al\n"
	"	jmp 4f\n"
	"3:	call *%rbx\n"
	"4:	add $0x200000, %rbx\n"
	"	add $2, %rsi\n"
	"	dec %rcx\n"
	"	jnz 1b\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(meet);

#define MEET_COUNT	0x7000
#define MEET_ROUNDS	60

static void meet_prepare(struct vm *vm, int vcpu, bool execute, unsigned int page)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0);
	regs = (struct kvm_regs){
		.rip = VM_CODE, .rflags = 2, .rsp = VM_CODE - (execute ? 0 : 0x400),
		.rbx = HUGE_GPA + page * HUGE_SIZE, .rcx = NR_HUGE, .rdi = MEET_COUNT, .rsi = 2,
		.r12 = execute,
	};
	REQUIRE(ioctl(vcpu, KVM_SET_REGS, &regs) == 0);
}

static void *meet_run(void *arg)
{
	while (ioctl(*(int *)arg, KVM_RUN, 0) && (errno == EINTR || errno == EAGAIN))
		;
	return NULL;
}

/*
 * The table that the one makes and the huge page that the other maps: neither is lost. Shadow
 * tables outlive the slot whose frames they have mapped: empty, one for each huge page.
 */
TEST(a_fetch_and_a_read_at_once_leak_no_table)
{
	struct kvm_run *run;
	pthread_t thread;
	unsigned int i, kept;
	struct huge h;
	int second;

	test_needs_two_cpus();
	huge_create(&h, false);
	kept = vm_on_shadow(&h.vm) ? NR_HUGE : 0;
	LOAD64(&h.vm, meet);
	second = vcpu_add(&h.vm, 1, &run);
	vcpu_cpuid(&h.vm, second);
	for (i = 0; i < MEET_ROUNDS; i++) {
		*(volatile uint64_t *)(h.vm.mem + MEET_COUNT) = 0;
		meet_prepare(&h.vm, h.vm.vcpu, false, 0);
		meet_prepare(&h.vm, second, true, 0);
		REQUIRE(pthread_create(&thread, NULL, meet_run, &second) == 0);
		meet_run(&h.vm.vcpu);
		pthread_join(thread, NULL);
		EXPECT_EQ(h.vm.run->exit_reason, KVM_EXIT_IO);
		/* Every mapping of these pages goes. */
		vm_slot(&h.vm, 1, HUGE_GPA, 0, h.mem, 0);
		EXPECT_EQ(vm_stat(&h.vm, "pages_2m"), 0);
		EXPECT(vm_stat(&h.vm, "nx_lpage_splits") <= kept);
		vm_slot(&h.vm, 1, HUGE_GPA, NR_HUGE * HUGE_SIZE, h.mem, 0);
	}
	vm_slot(&h.vm, 1, HUGE_GPA, 0, h.mem, 0);
	vm_slot(&h.vm, 0, 0, 0, h.vm.mem, 0);
	EXPECT_EQ(vm_stat(&h.vm, "pages_4k"), 0);
	EXPECT(vm_stat(&h.vm, "page_tables") <= 3 + 2 * kept);
	munmap(run, ioctl(h.vm.sys, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(second);
	huge_destroy(&h);
}
