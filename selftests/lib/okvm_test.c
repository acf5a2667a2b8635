// SPDX-License-Identifier: GPL-2.0-only
/* See okvm_test.h. */
#include <cpuid.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

/* How long one test may take, in seconds, unless OKVM_CASE_LIMIT in the environment says so */
#define TEST_LIMIT	120
#define TEST_LIMIT_LONG	3600	/* with OKVM_LONG=1 */

enum test_exit { TEST_PASSED, TEST_FAILED, TEST_SKIPPED = 4 };

/* A test of what a machine's CPU does otherwise than those that are made. */
struct known {
	const char *name, *why;
};

#define LOSES	"forgets what was being delivered at each exit"
#define INT1	"has no INT1"
#define SHADOW	"drops an interrupt shadow at VMRUN"
#define NO_RF	"does not set RF in the frame of a fault"
#define ARMED	"does not arm the breakpoints of the VMCB's DR7"
#define TOO	"fails upstream's kvm_amd in this, too"

static const struct known tcg_known[] = {
	{ "a_shadow_of_sti_that_was_restored", SHADOW },
	{ "interrupts_whose_delivery_faults_in_the_host", SHADOW },
	{ "a_contributory_fault_within_a_benign_one_is_delivered",
	  "gives error codes of long mode's IDT as 16 times the vector" },
	{ "a_contributory_fault_within_a_page_fault_is_double", LOSES },
	{ "two_contributory_faults_are_double", LOSES },
	{ "a_fault_within_a_double_fault_is_shutdown", LOSES },
	{ "a_restored_page_fault_that_cannot_be_delivered_is_double", LOSES },
	{ "faults_whose_delivery_faults_in_the_host", NO_RF },
	{ "forced_is_as_native", NO_RF },
	{ "breakpoint_behind_prefix", NO_RF },
	{ "a_debuggers_dr7_has_32_bits", ARMED },
	{ "breakpoint_at_mov_dr", ARMED },
	{ "debug_registers_of_32_bit_code", TOO },
	{ "local_breakpoints_end_with_the_task", TOO },
	{ "an_int_that_faults_twice_stays_where_it_is",
	  "tells an INT that has faulted from the INT itself by nothing" },
	{ "a_failed_entry_leaves_an_events_instruction",
	  "leaves the host's RIP in a VMCB that VMRUN refuses" },
	{ "a_failed_entry_keeps_registers", "leaves the host's RIP in a VMCB that VMRUN refuses" },
	{ "step_while_sti_blocks", TOO },
	{ "step_over_hlt", TOO },
	{ "breakpoint_behind_eoi", TOO },
	{ "state_is_restored_in_each_order", TOO },
	{ "an_unusable_segment_keeps_its_attributes", TOO },
	{ "x87_moves_of_devices", TOO },
	{ "cpuid_follows_xcr0", TOO },
	{ "rep_ins_by_the_permission_bit_map", TOO },
	{ "an_exception_pushes_its_error_code_in_the_new_task", TOO },
	{ "a_bad_data_segment_is_an_exception_of_the_new_task", TOO },
	{ "an_absent_data_segment_is_an_exception_of_the_new_task", TOO },
	{ "the_new_task_has_its_page_tables", TOO },
	{ "the_trap_bit_is_a_debug_exception", TOO },
	{ "a_busy_task_is_not_called", TOO },
	{ "paging_with_three_levels_on_and_off", TOO },
	{ "an_absent_handler_segment", "sets no EXT in error codes" },
	{ "software_interrupts_whose_delivery_faults_in_the_host", INT1 },
	{ "int1_while_mov_ss_blocks", INT1 },
	{ "a_guest_without_xsave", TOO },
	{ "a_guest_with_every_component", TOO },
	{ "a_guest_with_protection_keys", TOO },
	{ "a_guest_with_protection_keys_without_xsave", TOO },
	{ "a_guest_with_breakpoints", TOO },
	{ "a_guest_beside_an_ldt", TOO },
	{ "watchpoints_and_int1", INT1 },
	{ "watchpoint_of_mov_ss_before_int1", INT1 },
	{ }
};

static struct test *test_first, **test_last = &test_first;
static bool test_failed;
static char *test_reason;		/* shared with the process that runs the test */

void test_register(struct test *test)
{
	*test_last = test;
	test_last = &test->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	test_failed = true;
	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void test_end(void)
{
	fflush(stdout);
	_exit(test_failed ? TEST_FAILED : TEST_PASSED);
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(test_reason, 160, fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(test_failed ? TEST_FAILED : TEST_SKIPPED);
}

void test_needs_two_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		test_skip("needs two CPUs");
}

/* Is this QEMU's emulation of a CPU, which says its name? */
bool test_on_tcg(void)
{
	unsigned int a, b, c, d;

	__cpuid(1, a, b, c, d);
	if (!(c & 1u << 31))
		return false;
	__cpuid(0x40000000, a, b, c, d);
	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447;
}

/* Documentation/svm.rst, "What fails where", has the reasons at length, and how they were found. */
static void test_skip_known(const struct test *test)
{
	const struct known *known;

	if (!test_on_tcg() || getenv("OKVM_RUN_KNOWN"))
		return;
	for (known = tcg_known; known->name; known++)
		if (!strcmp(known->name, test->name))
			test_skip("QEMU TCG %s", known->why);
}

bool test_on_svm(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1u << 2;
}

void test_needs_vmx(const char *why)
{
	if (test_on_svm())
		test_skip("of VMX: %s", why);
}

static time_t test_limit(void)
{
	const char *seconds = getenv("OKVM_CASE_LIMIT");

	if (seconds)
		return atoi(seconds);
	return getenv("OKVM_LONG") ? TEST_LIMIT_LONG : TEST_LIMIT;
}

/*
 * A test runs in a process of its own: whatever it leaves open is closed, and
 * a guest that hangs or a fault ends this test only. Gives an enum test_exit.
 */
static int test_run(struct test *test, const sigset_t *chld)
{
	struct timespec limit = { .tv_sec = test_limit() };
	int status, sig;
	pid_t pid;

	test_reason[0] = 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_UNBLOCK, chld, NULL);
		test_skip_known(test);
		test->run();
		test_end();
	}
	/* A suspend interrupts it. */
	do
		sig = sigtimedwait(chld, NULL, &limit);
	while (sig < 0 && errno == EINTR);
	if (sig < 0) {
		printf("# no end within %ld s\n", (long)limit.tv_sec);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	printf("# ended by signal %d\n", WTERMSIG(status));
	return TEST_FAILED;
}

/* Whether @test is among those named on the command line, or none is named. */
static bool test_wanted(const struct test *test, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strstr(test->name, *names))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct test *test;
	int nr = 0, failed = 0;
	sigset_t chld;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	test_reason = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("KTAP version 1\n");
	for (test = test_first; test; test = test->next) {
		int code;

		if (!test_wanted(test, argv + 1))
			continue;
		code = test_run(test, &chld);
		nr++;
		if (code == TEST_SKIPPED) {
			printf("ok %d %s # SKIP %s\n", nr, test->name, test_reason);
			continue;
		}
		failed += code != TEST_PASSED;
		printf("%s %d %s\n", code == TEST_PASSED ? "ok" : "not ok", nr, test->name);
	}
	printf("1..%d\n", nr);
	return failed ? 1 : 0;
}

/* ---- VMs ---- */

int open_device(void)
{
	const char *name = getenv("OKVM_DEVICE");
	int fd = open(name ? name : "/dev/okvm", O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0);
	return fd;
}

void vm_slot(struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t size, void *hva, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	REQUIRE(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) == 0);
}

void vm_slot_delete(struct vm *vm, uint32_t slot)
{
	vm_slot(vm, slot, 0, 0, NULL, 0);
}

uint8_t *host_pages(unsigned int nr)
{
	void *at = mmap(NULL, nr * 4096ul, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	REQUIRE(at != MAP_FAILED);
	return at;
}

int vcpu_add(struct vm *vm, uint32_t id, struct kvm_run **run)
{
	int size = ioctl(vm->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	int fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	void *map;

	REQUIRE(fd >= 0);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(map != MAP_FAILED);
	*run = map;
	return fd;
}

void vcpu_cpuid(struct vm *vm, int vcpu)
{
	static uint8_t space[sizeof(struct kvm_cpuid2) + 100 * sizeof(struct kvm_cpuid_entry2)]
		__attribute__((aligned(8)));
	struct kvm_cpuid2 *cpuid = (void *)space;

	cpuid->nent = 100;
	REQUIRE(ioctl(vm->sys, KVM_GET_SUPPORTED_CPUID, cpuid) == 0);
	REQUIRE(ioctl(vcpu, KVM_SET_CPUID2, cpuid) == 0);
}

void vm_create(struct vm *vm, unsigned int flags)
{
	memset(vm, 0, sizeof(*vm));
	vm->vcpu = -1;
	vm->sys = open_device();
	vm->fd = ioctl(vm->sys, KVM_CREATE_VM, 0);
	REQUIRE(vm->fd >= 0);
	if (flags & VM_BARE)
		return;
	vm->mem = host_pages(VM_MEMORY / 4096);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	if (flags & VM_IRQCHIP)
		REQUIRE(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) == 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

void vm_destroy(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, ioctl(vm->sys, KVM_GET_VCPU_MMAP_SIZE, 0));
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	if (vm->mem)
		munmap(vm->mem, VM_MEMORY);
	close(vm->fd);
	close(vm->sys);
}

/* ---- guests ---- */

static void guest_start(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = VM_CODE };

	memcpy(vm->mem + VM_CODE, code, end - code);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

void guest_load16(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	guest_start(vm, code, end);
}

#define PTE_TABLE	0x3ull			/* present, writable */
#define PTE_LARGE	0x83ull

static void guest_tables(struct vm *vm)
{
	uint64_t *pml4 = (void *)(vm->mem + VM_TABLES);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512;
	unsigned int i;

	pml4[0] = (VM_TABLES + 0x1000) | PTE_TABLE;
	pdpt[0] = (VM_TABLES + 0x2000) | PTE_TABLE;
	/* The last GiB below 4 GiB too, for the APICs. */
	pdpt[3] = (VM_TABLES + 0x3000) | PTE_TABLE;
	for (i = 0; i < 512; i++) {
		pd[i] = i * (2ull << 20) | PTE_LARGE;
		pd[512 + i] = (3ull << 30) | i * (2ull << 20) | PTE_LARGE;
	}
}

void guest_load64(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_segment cs = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1,
		.l = 1, .g = 1,
	};
	struct kvm_segment ds = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1,
		.db = 1, .g = 1,
	};
	struct kvm_sregs sregs;

	guest_tables(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs = cs;
	sregs.ds = ds;
	sregs.es = ds;
	sregs.ss = ds;
	sregs.fs = ds;
	sregs.gs = ds;
	sregs.cr3 = VM_TABLES;
	sregs.cr4 = 1 << 5;				/* PAE */
	sregs.cr0 = 1u << 31 | 1 << 5 | 1 << 1 | 1;	/* PG, NE, MP, PE */
	sregs.efer = 1 << 10 | 1 << 8;			/* LMA, LME */
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	guest_start(vm, code, end);
}

void force_emulation(const char *value)
{
	static const char * const paths[] = {
		"/sys/module/okvm/parameters/force_emulation_prefix",
		"/sys/module/kvm/parameters/force_emulation_prefix",
	};
	const char *device = getenv("OKVM_DEVICE");
	int fd = open(paths[device && !strcmp(device, "/dev/kvm")], O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		test_skip("force_emulation_prefix cannot be set");
	close(fd);
}

static bool is_off(const char *path)
{
	int fd = open(path, O_RDONLY);
	char answer = 'Y';

	if (fd < 0)
		return false;
	if (read(fd, &answer, 1) != 1)
		answer = 'Y';
	close(fd);
	return answer == 'N';
}

bool no_unrestricted_guest(void)
{
	return is_off("/sys/module/okvm/parameters/unrestricted_guest") ||
	       is_off("/sys/module/okvm/parameters/ept");
}

bool vm_on_shadow(const struct vm *vm)
{
	int mmus = ioctl(vm->fd, KVM_CHECK_EXTENSION, OKVM_CAP_MMU);

	return mmus > 0 && !(mmus >> OKVM_MMU_TDP & 1);
}

void vm_create_on_shadow(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_MMU, .args = { OKVM_MMU_SHADOW } };

	vm_create(vm, VM_BARE);
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		test_skip("no shadow paging");
	vm->mem = host_pages(VM_MEMORY / 4096);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

int vcpu_run(struct vm *vm)
{
	return ioctl(vm->vcpu, KVM_RUN, 0);
}

void run_until(struct vm *vm, uint32_t reason)
{
	REQUIRE(vcpu_run(vm) == 0);
	if (vm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR && reason != KVM_EXIT_INTERNAL_ERROR)
		printf("# internal error %u\n", vm->run->internal.suberror);
	EXPECT_EQ(vm->run->exit_reason, reason);
	if (vm->run->exit_reason != reason)
		test_end();
}

uint32_t run_out(struct vm *vm, uint16_t port)
{
	uint32_t val = 0;

	run_until(vm, KVM_EXIT_IO);
	EXPECT_EQ(vm->run->io.direction, KVM_EXIT_IO_OUT);
	EXPECT_EQ(vm->run->io.port, port);
	memcpy(&val, (uint8_t *)vm->run + vm->run->io.data_offset, vm->run->io.size);
	return val;
}

uint64_t get_reg_rax(struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	return regs.rax;
}

static uint64_t stat_of(int owner, const char *name)
{
	int fd = ioctl(owner, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	uint64_t val = ~0ull;
	unsigned int i;

	REQUIRE(fd >= 0);
	REQUIRE(pread(fd, &head, sizeof(head), 0) == sizeof(head));
	for (i = 0; i < head.num_desc; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + head.name_size;
		struct kvm_stats_desc *desc = alloca(size);

		REQUIRE(pread(fd, desc, size, head.desc_offset + i * size) == (ssize_t)size);
		if (!strcmp(desc->name, name))
			REQUIRE(pread(fd, &val, 8, head.data_offset + desc->offset) == 8);
	}
	close(fd);
	return val;
}

uint64_t vm_stat(struct vm *vm, const char *name)
{
	return stat_of(vm->fd, name);
}

int vcpu_set_msr(const struct vm *vm, uint32_t index, uint64_t val)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} arg = { .head.nmsrs = 1, .entry = { .index = index, .data = val } };

	return ioctl(vm->vcpu, KVM_SET_MSRS, &arg);
}

uint64_t vcpu_stat(struct vm *vm, const char *name)
{
	return stat_of(vm->vcpu, name);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}
