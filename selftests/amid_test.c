// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_RUN in the middle of an instruction that has read a device and waits for a page: a signal
 * does not end it, and OKVM_RUN_AMID says what a kick has left. Also what a kick does to the wait
 * of an instruction with the forced-emulation prefix.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define FAR		0x10000u	/* what ES reaches: 16 pages */
#define FAR_SIZE	0x10000u
#define DEVICE		(FAR + FAR_SIZE)

/* Copies a byte from a device to what ES reaches. */
GUEST(copy_device, 16)
	"	movsb\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_device);

/*
 * Copies eight bytes downwards to 0x1ffd, the upper four from a device. The lower four go to two
 * pages, three of them to the first.
 */
GUEST(copy_down, 16)
	"	movw $0x2001, %di\n"
	"	movw $2, %cx\n"
	"	std\n"
	"	rep movsl\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_down);

/* Likewise to a page whose page table is waited for: the last entry of the page directory. */
GUEST(copy_by_table, 64)
	"	movl $0x500000, %esi\n"
	"	movl $0x3fe00000, %edi\n"
	"	movsb\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_by_table);

/* Reads a byte by the emulator, from what ES reaches. */
GUEST(read_forced, 16)
	FORCED
	"	movb %es:(%di), %al\n"
	"	outb %al, $0x80\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(read_forced);

#define PAGE_TABLE(vm)	((uint64_t *)((vm)->mem + VM_TABLES))[1024 + 511]

static struct vm vm;
static uint8_t *far, bytes[FAR_SIZE];
static int uffd;

/* Whoever touches @far waits for what give() puts there. */
static void far_create(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	far = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(far != MAP_FAILED);
	REQUIRE(madvise(far, FAR_SIZE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		test_skip("no userfaultfd");
	reg.range.start = (uintptr_t)far;
	reg.range.len = FAR_SIZE;
	REQUIRE(ioctl(uffd, UFFDIO_API, &api) == 0);
	REQUIRE(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0);
}

static void give(unsigned int from, unsigned int len)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)far + from, .src = (uintptr_t)bytes + from, .len = len,
	};

	EXPECT_EQ(ioctl(uffd, UFFDIO_COPY, &copy), 0);
}

static void begin(const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rsi = 0x8000, .rsp = 0x7000, .rflags = 0x202 };
	struct kvm_sregs sregs;

	if (!(ioctl(open_device(), KVM_CHECK_EXTENSION, OKVM_CAP_CONTROL) & OKVM_CONTROL_KICK))
		test_skip("the device has no OKVM_CAP_CONTROL");
	far_create();
	memset(bytes, 0x5a, sizeof(bytes));
	vm_create(&vm, 0);
	memcpy(vm.mem + VM_CODE, code, end - code);
	vm_slot_delete(&vm, 0);
	vm_slot(&vm, 0, 0, FAR, vm.mem, 0);
	vm_slot(&vm, 1, FAR, FAR_SIZE, far, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.es.base = FAR;
	sregs.es.selector = FAR >> 4;
	sregs.ds.base = DEVICE - 0x8000;
	sregs.ds.selector = sregs.ds.base >> 4;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
}

#define BEGIN(name) begin(guest_##name, guest_##name##_end)

static void answer_device(void)
{
	run_until(&vm, KVM_EXIT_MMIO);
	memset(vm.run->mmio.data, 0x77, sizeof(vm.run->mmio.data));
}

static void kick(void)
{
	EXPECT_EQ(ioctl(vm.vcpu, OKVM_VCPU_KICK, 0), 0);
}

static void expect_eintr(uint16_t flags)
{
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	EXPECT_EQ(vm.run->flags, flags);
}

static void expect_copied(void)
{
	struct kvm_regs regs;

	EXPECT_EQ(far[0], 0x77);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, VM_CODE + 1);
	EXPECT_EQ(regs.rsi, 0x8001);
}

static void done(void)
{
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->flags, 0);
	close(uffd);
	vm_destroy(&vm);
	munmap(far, FAR_SIZE);
}

TEST(userspace_is_told)
{
	BEGIN(copy_device);
	EXPECT(ioctl(open_device(), KVM_CHECK_EXTENSION, OKVM_CAP_CONTROL) & OKVM_CONTROL_AMID);
	answer_device();
	kick();
	expect_eintr(OKVM_RUN_AMID);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTR);
	vm.run->immediate_exit = 1;
	kick();
	expect_eintr(OKVM_RUN_AMID);
	give(0, FAR_SIZE);
	expect_eintr(0);
	expect_copied();
	vm.run->immediate_exit = 0;
	done();
}

/* Of three bytes, some may be written when the page goes away: so the write counts as begun. */
TEST(a_write_may_be_half_done)
{
	uint64_t val;

	BEGIN(copy_down);
	give(0x2000, 0x1000);
	give(0xf000, 0x1000);
	answer_device();
	kick();
	expect_eintr(OKVM_RUN_AMID);
	EXPECT_EQ(far[0x2000], 0x5a);
	EXPECT_EQ(far[0x2001], 0x77);
	/* What has been read from memory is not read again. */
	memset(far + 0xfffc, 0x11, 4);
	give(0x1000, 0x1000);
	vm.run->immediate_exit = 1;
	expect_eintr(0);
	vm.run->immediate_exit = 0;
	memcpy(&val, far + 0x1ffd, 8);
	EXPECT_EQ(val, 0x777777775a5a5a5aull);
	done();
}

/* ---- signals ---- */

static volatile unsigned int signals, ends;

static void count_signal(int sig)
{
	(void)sig;
	signals++;
}

/* One KVM_RUN, which a signal or a kick has to end. */
static void *run_once(void *arg)
{
	(void)arg;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	ends++;
	return NULL;
}

/* Send a signal to a thread that waits in KVM_RUN: it waits on. */
static pthread_t signal_run(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	pthread_t thread;

	signals = 0;
	ends = 0;
	sigaction(SIGUSR1, &action, NULL);
	REQUIRE(pthread_create(&thread, NULL, run_once, NULL) == 0);
	usleep(100000);
	EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
	usleep(100000);
	EXPECT_EQ(ends, 0);
	EXPECT_EQ(signals, 0);
	return thread;
}

/* A VMM that knows only KVM saves the vCPU after its signal: so no instruction is half done. */
TEST(a_signal_waits_for_the_end_of_the_instruction)
{
	pthread_t thread;

	BEGIN(copy_device);
	answer_device();
	thread = signal_run();
	give(0, FAR_SIZE);
	pthread_join(thread, NULL);
	EXPECT_EQ(signals, 1);
	EXPECT_EQ(vm.run->flags, 0);
	expect_copied();
	done();
}

/* The emulator's walk of the guest's page tables waits as well, and the device is read once. */
TEST(a_signal_waits_for_a_page_table)
{
	pthread_t thread;

	BEGIN(copy_device);
	LOAD64(&vm, copy_by_table);
	PAGE_TABLE(&vm) = FAR | 7;
	answer_device();
	thread = signal_run();
	memset(bytes, 0, sizeof(bytes));
	*(uint64_t *)bytes = 0xa000 | 7;
	give(0, FAR_SIZE);
	pthread_join(thread, NULL);
	EXPECT_EQ(signals, 1);
	EXPECT_EQ(vm.run->flags, 0);
	EXPECT_EQ(vm.mem[0xa000], 0x77);
	done();
}

/* Kick a thread that waits in KVM_RUN: it comes back although the page does not. */
static void kick_run(void)
{
	uint64_t limit = now_ns() + 4000000000ull;
	pthread_t thread;

	ends = 0;
	REQUIRE(pthread_create(&thread, NULL, run_once, NULL) == 0);
	usleep(100000);
	EXPECT_EQ(ends, 0);
	kick();
	while (!ends && now_ns() < limit)
		usleep(1000);
	EXPECT_EQ(ends, 1);
	if (!ends)
		give(0, FAR_SIZE);
	pthread_join(thread, NULL);
}

/* It has had no effect, so the next KVM_RUN begins with the prefix again. */
TEST(a_kick_ends_the_wait_of_a_forced_instruction)
{
	struct kvm_regs regs;

	if (no_unrestricted_guest())
		test_skip("this guest is emulated from the start, without a prefix");
	force_emulation("1");
	BEGIN(read_forced);
	kick_run();
	EXPECT_EQ(vm.run->flags, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, VM_CODE);
	kick_run();
	give(0, FAR_SIZE);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(*((uint8_t *)vm.run + vm.run->io.data_offset), 0x5a);
	force_emulation("0");
	done();
}

/* RF after a kick has ended the wait of a forced instruction. The guest starts with RF set. */
static uint64_t rf_of_forced(const char *parameter)
{
	struct kvm_regs regs;

	force_emulation(parameter);
	BEGIN(read_forced);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rflags |= 0x10000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	kick_run();
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, VM_CODE);
	give(0, FAR_SIZE);
	run_until(&vm, KVM_EXIT_IO);
	force_emulation("0");
	done();
	return regs.rflags & 0x10000;
}

/*
 * A breakpoint at the prefix that the guest has passed does not hit again. Bochs' SVM forgets RF,
 * so compare with a parameter that does not clear RF.
 */
TEST(a_forced_instruction_that_begins_anew_has_its_rf)
{
	if (no_unrestricted_guest())
		test_skip("this guest is emulated from the start, without a prefix");
	EXPECT_EQ(rf_of_forced("3"), rf_of_forced("1"));
}

TEST(a_kick_does_not_wait_for_a_signal)
{
	uint64_t limit = now_ns() + 4000000000ull;
	pthread_t thread;

	BEGIN(copy_device);
	answer_device();
	thread = signal_run();
	kick();
	while (!ends && now_ns() < limit)
		usleep(1000);
	EXPECT_EQ(ends, 1);
	give(0, FAR_SIZE);
	pthread_join(thread, NULL);
	EXPECT_EQ(signals, 1);
	EXPECT_EQ(vm.run->flags, OKVM_RUN_AMID);
	vm.run->immediate_exit = 1;
	expect_eintr(0);
	expect_copied();
	vm.run->immediate_exit = 0;
	done();
}
