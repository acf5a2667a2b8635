// SPDX-License-Identifier: GPL-2.0-only
/* OKVM_VCPU_KICK, OKVM_VM_PAUSE and OKVM_SET_MEMORY_REGIONS: control from other threads. */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "selftests/lib/okvm_test.h"

#define CROWD	16u
#define COUNTS	0x4000u		/* one 32-bit counter for each vCPU */
#define FAR	0x10000u	/* what ES reaches: 16 pages */
#define FAR_SIZE 0x10000u

GUEST(count, 16)
	"1:	incl (%bx)\n"
	"	jmp 1b\n"
GUEST_END(count);

GUEST(halt, 16)
	"	hlt\n"
	"	jmp guest_halt\n"
GUEST_END(halt);

GUEST(out_then_count, 16)
	"	outb %al, $0x80\n"
	"1:	incl (%bx)\n"
	"	jmp 1b\n"
GUEST_END(out_then_count);

/* Counts in every page of what ES reaches. */
GUEST(roam, 16)
	"1:	lock incl %es:(%bx)\n"
	"	addw $0x1000, %bx\n"
	"	jmp 1b\n"
GUEST_END(roam);

/* Writes every other page of what ES reaches. */
GUEST(odd_pages, 16)
	"	movw $0x1000, %bx\n"
	"1:	movb $1, %es:(%bx)\n"
	"	addw $0x2000, %bx\n"
	"	cmpw $0x1000, %bx\n"
	"	jne 1b\n"
	"	outb %al, $0x80\n"
	"	jmp guest_odd_pages\n"
GUEST_END(odd_pages);

/*
 * Expects in each page of what ES reaches a word of its own, where the vCPU's start is in the page,
 * and counts 256 bytes behind it.
 */
GUEST(expect_words, 16)
	"1:	cmpw %bx, %es:(%bx)\n"
	"	jne 2f\n"
	"	incl %es:0x100(%bx)\n"
	"	addw $0x1000, %bx\n"
	"	jmp 1b\n"
	"2:	outb %al, $0x80\n"
	"	jmp 1b\n"
GUEST_END(expect_words);

GUEST(touch_far, 16)
	"	movb %es:(%bx), %al\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(touch_far);

GUEST(change_far, 16)
	"	movb $0x77, %es:1(%bx); movb %es:(%bx), %al\n"
	"	outb %al, $0x80; 1: jmp 1b\n"
GUEST_END(change_far);

/* Copies a byte from a device to what ES reaches. */
GUEST(copy_device, 16)
	"	movsb\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_device);

/* Copies what ES reaches, from the last byte of a page on, to bytes behind it. */
GUEST(copy_pages, 16)
	"	movw $0xfff, %si\n"
	"	movw $0x3fff, %di\n"
	"	movw $0x1004, %cx\n"
	"	rep movsb %es:(%si), %es:(%di)\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_pages);

/* Adds to a number that two pages contain, each of which is waited for. */
GUEST(add_across, 16)
	"	addl $0x01010101, %es:0x1ffe\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(add_across);

#define TABLE_VA	0x3fe00000u	/* the last entry of the page directory */

GUEST(copy_device_by_table, 64)
	"	movl $0x500000, %esi\n"
	"	movl $0x3fe00000, %edi\n"
	"	movsb\n"
	"	outb %al, $0x80\n"
	"1:	jmp 1b\n"
GUEST_END(copy_device_by_table);

/* ---- vCPUs with a thread each ---- */

struct cpu {
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	volatile unsigned int eintr, eagain, mmio, other;
	unsigned int sleeps_cut;	/* of run_and_sleep() */
	int err;
};

static struct vm vm;
static struct cpu cpus[CROWD];
static unsigned int nr_cpus;
static volatile bool stop;

static volatile uint32_t *counter(unsigned int i)
{
	return (volatile uint32_t *)(vm.mem + COUNTS) + i;
}

static void need_control(int what)
{
	int have = ioctl(open_device(), KVM_CHECK_EXTENSION, OKVM_CAP_CONTROL);

	if (!(have & what))
		test_skip("the device has no OKVM_CAP_CONTROL");
}

static void set_start(int fd, uint16_t bx)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = VM_CODE, .rbx = bx, .rsp = 0x7000, .rflags = 0x202 };

	REQUIRE(ioctl(fd, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.es.base = FAR;
	sregs.es.selector = FAR >> 4;
	REQUIRE(ioctl(fd, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(fd, KVM_SET_REGS, &regs) == 0);
}

static void crowd_create(unsigned int nr, unsigned int flags, const uint8_t *code,
			 const uint8_t *end)
{
	unsigned int i;

	vm_create(&vm, flags);
	memcpy(vm.mem + VM_CODE, code, end - code);
	nr_cpus = nr;
	stop = false;
	memset(cpus, 0, sizeof(cpus));
	for (i = 0; i < nr; i++) {
		cpus[i].fd = vm.vcpu;
		cpus[i].run = vm.run;
		if (i)
			cpus[i].fd = vcpu_add(&vm, i, &cpus[i].run);
		set_start(cpus[i].fd, COUNTS + 4 * i);
	}
}

#define CROWD_CREATE(nr, flags, name) \
	crowd_create(nr, flags, guest_##name, guest_##name##_end)

static void *run_cpu(void *arg)
{
	struct cpu *cpu = arg;

	while (!stop) {
		if (!ioctl(cpu->fd, KVM_RUN, 0)) {
			cpu->mmio += cpu->run->exit_reason == KVM_EXIT_MMIO;
			cpu->other++;
		} else if (errno == EINTR) {
			cpu->eintr++;
		} else if (errno == EAGAIN) {
			cpu->eagain++;
		} else {
			cpu->err = errno;
			break;
		}
	}
	return NULL;
}

/* Sleeps between two calls of KVM_RUN, which nothing has reason to cut short. */
static void *run_and_sleep(void *arg)
{
	const struct timespec moment = { .tv_nsec = 1000 };
	struct cpu *cpu = arg;

	while (!stop) {
		if (!ioctl(cpu->fd, KVM_RUN, 0))
			cpu->other++;
		else if (errno == EINTR)
			cpu->eintr++;
		else
			cpu->err = errno;
		if (ppoll(NULL, 0, &moment, NULL) && errno == EINTR)
			cpu->sleeps_cut++;
	}
	return NULL;
}

static void crowd_start(void)
{
	unsigned int i;

	for (i = 0; i < nr_cpus; i++)
		REQUIRE(pthread_create(&cpus[i].thread, NULL, run_cpu, &cpus[i]) == 0);
}

static int kick(unsigned int i)
{
	return ioctl(cpus[i].fd, OKVM_VCPU_KICK, 0);
}

static void crowd_stop(void)
{
	unsigned int i;

	stop = true;
	for (i = 0; i < nr_cpus; i++)
		EXPECT_EQ(kick(i), 0);
	for (i = 0; i < nr_cpus; i++) {
		pthread_join(cpus[i].thread, NULL);
		EXPECT_EQ(cpus[i].err, 0);
	}
	for (i = 1; i < nr_cpus; i++)
		close(cpus[i].fd);
	vm_destroy(&vm);
}

/* Slot 0 has code and counters, slot 1 what ES reaches. */
static void far_create(unsigned int nr, const uint8_t *code, const uint8_t *end, uint32_t flags)
{
	crowd_create(nr, 0, code, end);
	vm_slot_delete(&vm, 0);
	vm_slot(&vm, 0, 0, FAR, vm.mem, 0);
	vm_slot(&vm, 1, FAR, FAR_SIZE, vm.mem + FAR, flags);
}

#define FAR_CREATE(nr, name, flags) far_create(nr, guest_##name, guest_##name##_end, flags)

static bool moves(unsigned int i)
{
	uint32_t before = *counter(i);
	uint64_t end = now_ns() + 4000000000ull;

	while (*counter(i) == before && now_ns() < end)
		usleep(1000);
	return *counter(i) != before;
}

static bool stands(unsigned int i)
{
	uint32_t before = *counter(i);

	usleep(20000);
	return *counter(i) == before;
}

static bool becomes(volatile unsigned int *what, unsigned int value)
{
	uint64_t end = now_ns() + 4000000000ull;

	while (*what != value && now_ns() < end)
		usleep(1000);
	return *what == value;
}

/* ---- kicks ---- */

TEST(a_kick_before_the_run_is_kept_and_taken_once)
{
	need_control(OKVM_CONTROL_KICK);
	CROWD_CREATE(1, 0, out_then_count);
	EXPECT_EQ(kick(0), 0);
	EXPECT_EQ(kick(0), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTR);
	run_until(&vm, KVM_EXIT_IO);
	/* What userspace has answered is finished first. */
	EXPECT_EQ(kick(0), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	{
		struct kvm_regs regs;

		REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
		EXPECT_EQ(regs.rip, VM_CODE + 2);
	}
	EXPECT_ERR(ioctl(vm.vcpu, OKVM_VCPU_KICK, 1), EINVAL);
	vm_destroy(&vm);
}

TEST(a_kick_takes_a_running_vcpu_out)
{
	need_control(OKVM_CONTROL_KICK);
	CROWD_CREATE(1, 0, count);
	crowd_start();
	EXPECT(moves(0));
	EXPECT_EQ(kick(0), 0);
	EXPECT(becomes(&cpus[0].eintr, 1));
	EXPECT(moves(0));
	EXPECT_EQ(cpus[0].eintr, 1);
	crowd_stop();
}

TEST(a_kick_takes_a_halted_vcpu_and_a_waiting_ap_out)
{
	need_control(OKVM_CONTROL_KICK);
	CROWD_CREATE(2, VM_IRQCHIP, halt);
	crowd_start();
	usleep(50000);
	EXPECT_EQ(cpus[0].eintr + cpus[1].eintr, 0);
	EXPECT_EQ(kick(0), 0);
	EXPECT_EQ(kick(1), 0);
	EXPECT(becomes(&cpus[0].eintr, 1));
	EXPECT(becomes(&cpus[1].eintr, 1));
	crowd_stop();
}

/* Nothing is there until it is touched. */
static uint8_t *untouched_far(void)
{
	uint8_t *far = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	REQUIRE(far != MAP_FAILED);
	REQUIRE(madvise(far, FAR_SIZE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	vm_slot_delete(&vm, 1);
	vm_slot(&vm, 1, FAR, FAR_SIZE, far, 0);
	return far;
}

/* Whoever touches @far waits for what UFFDIO_* puts there. */
static int uffd_open(uint8_t *far)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)far, .len = FAR_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		test_skip("no userfaultfd");
	REQUIRE(ioctl(uffd, UFFDIO_API, &api) == 0);
	REQUIRE(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0);
	return uffd;
}

static uint8_t uffd_bytes[FAR_SIZE];

/* @len bytes of @far that are waited for come: those of uffd_bytes. */
static void uffd_give(int uffd, uint8_t *far, unsigned int from, unsigned int len)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)far + from, .src = (uintptr_t)uffd_bytes + from, .len = len,
	};

	EXPECT_EQ(ioctl(uffd, UFFDIO_COPY, &copy), 0);
}

/* What all wait for comes: bytes 0x5a. */
static void uffd_fill(int uffd, uint8_t *far)
{
	memset(uffd_bytes, 0x5a, sizeof(uffd_bytes));
	uffd_give(uffd, far, 0, FAR_SIZE);
}

static void wait_for_userfaultfd(void)
{
	const struct kvm_run *run;
	uint8_t *far = untouched_far();
	int uffd = uffd_open(far);

	crowd_start();
	usleep(50000);
	EXPECT_EQ(kick(0), 0);
	EXPECT(becomes(&cpus[0].eintr, 1));
	/* The kick has effect once: the next KVM_RUN waits for the page, and the access is done. */
	usleep(50000);
	EXPECT_EQ(cpus[0].eintr, 1);
	EXPECT_EQ(cpus[0].other, 0);
	uffd_fill(uffd, far);
	EXPECT(becomes(&cpus[0].other, 1));
	run = cpus[0].run;
	EXPECT_EQ(*((const uint8_t *)run + run->io.data_offset), 0x5a);
	EXPECT_EQ(cpus[0].eintr, 1);
	close(uffd);
	crowd_stop();
}

TEST(a_kick_ends_a_wait_for_userfaultfd)
{
	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, touch_far, 0);
	wait_for_userfaultfd();
	FAR_CREATE(1, change_far, 0);
	wait_for_userfaultfd();
}

static void *run_with_device(void *arg)
{
	struct cpu *cpu = arg;

	while (!stop) {
		if (ioctl(cpu->fd, KVM_RUN, 0)) {
			cpu->eintr += errno == EINTR;
			cpu->err = errno == EINTR ? 0 : errno;
		} else if (cpu->run->exit_reason == KVM_EXIT_MMIO) {
			memset(cpu->run->mmio.data, 0x77, sizeof(cpu->run->mmio.data));
			cpu->mmio++;
		} else {
			cpu->other++;
		}
	}
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/*
 * The vCPU waits; a kick, or each second time a signal if it is not amid an instruction, ends one
 * KVM_RUN; the next waits again.
 */
static void end_wait(unsigned int nth, bool amid)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	usleep(50000);
	EXPECT_EQ(amid || nth % 2 ? kick(0) : pthread_kill(cpus[0].thread, SIGUSR1), 0);
	EXPECT(becomes(&cpus[0].eintr, nth));
	usleep(50000);
	EXPECT_EQ(cpus[0].eintr, nth);
	EXPECT_EQ(cpus[0].other, 0);
	EXPECT_EQ(cpus[0].err, 0);
}

static void device_start(void)
{
	REQUIRE(pthread_create(&cpus[0].thread, NULL, run_with_device, &cpus[0]) == 0);
}

static void set_data_segment(uint32_t base)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.ds.base = base;
	sregs.ds.selector = base >> 4;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
}

/* What has been read from the device is kept while the page for it is not there. */
TEST(a_kick_ends_a_wait_amid_an_instruction)
{
	uint8_t *far;
	int uffd;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, copy_device, 0);
	set_data_segment(0x90000);
	far = untouched_far();
	uffd = uffd_open(far);
	device_start();
	end_wait(1, true);
	end_wait(2, true);
	EXPECT_EQ(cpus[0].mmio, 1);
	uffd_fill(uffd, far);
	EXPECT(becomes(&cpus[0].other, 1));
	EXPECT_EQ(far[0], 0x77);
	EXPECT_EQ(cpus[0].mmio, 1);
	EXPECT_EQ(cpus[0].eintr, 2);
	close(uffd);
	crowd_stop();
}

/* The page is new to the host, but nobody has to wait for it. */
TEST(a_kick_lets_io_complete_whose_page_is_new)
{
	uint8_t *far;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, copy_device, 0);
	set_data_segment(0x90000);
	far = untouched_far();
	run_until(&vm, KVM_EXIT_MMIO);
	memset(vm.run->mmio.data, 0x77, sizeof(vm.run->mmio.data));
	EXPECT_EQ(kick(0), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	EXPECT_EQ(far[0], 0x77);
	vm_destroy(&vm);
}

TEST(a_kick_ends_a_wait_for_a_page_table)
{
	uint64_t *tables;
	uint8_t *far;
	int uffd;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, halt, 0);
	LOAD64(&vm, copy_device_by_table);
	tables = (uint64_t *)(vm.mem + VM_TABLES);
	tables[1024 + 511] = FAR | 7;
	far = untouched_far();
	uffd = uffd_open(far);
	device_start();
	end_wait(1, true);
	end_wait(2, true);
	EXPECT(cpus[0].mmio <= 1);
	memset(uffd_bytes, 0, sizeof(uffd_bytes));
	*(uint64_t *)uffd_bytes = 0xa000 | 7;
	uffd_give(uffd, far, 0, FAR_SIZE);
	EXPECT(becomes(&cpus[0].other, 1));
	EXPECT_EQ(vm.mem[0xa000], 0x77);
	EXPECT_EQ(cpus[0].mmio, 1);
	EXPECT_EQ(cpus[0].eintr, 2);
	close(uffd);
	crowd_stop();
}

/* Pages come one by one, each after the end of a KVM_RUN that waits for it. */
static void give_pages(int uffd, uint8_t *far, unsigned int first, unsigned int last)
{
	unsigned int page;

	for (page = first; page <= last; page++) {
		end_wait(cpus[0].eintr + 1, false);
		uffd_give(uffd, far, page << 12, 1 << 12);
	}
}

TEST(kicks_repeat_no_part_of_a_string)
{
	unsigned int i;
	uint8_t *far;
	int uffd;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, copy_pages, 0);
	far = untouched_far();
	uffd = uffd_open(far);
	for (i = 0; i < FAR_SIZE; i++)
		uffd_bytes[i] = i * 7 + (i >> 8);
	device_start();
	/* Byte 0xfff is in page 0 and goes to page 3; then pages 1 and 4, 2 and 5. */
	give_pages(uffd, far, 0, 0);
	give_pages(uffd, far, 3, 3);
	give_pages(uffd, far, 1, 1);
	give_pages(uffd, far, 4, 4);
	give_pages(uffd, far, 2, 2);
	give_pages(uffd, far, 5, 5);
	EXPECT(becomes(&cpus[0].other, 1));
	EXPECT_EQ(cpus[0].eintr, 6);
	EXPECT(!memcmp(far + 0x3fff, uffd_bytes + 0xfff, 0x1004));
	close(uffd);
	crowd_stop();
}

TEST(kicks_repeat_no_part_of_an_addition)
{
	uint8_t *far;
	int uffd;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, add_across, 0);
	far = untouched_far();
	uffd = uffd_open(far);
	memset(uffd_bytes, 0x5a, sizeof(uffd_bytes));
	device_start();
	end_wait(1, false);
	uffd_give(uffd, far, 0x1000, 0x1000);
	end_wait(2, false);
	uffd_give(uffd, far, 0x2000, 0x1000);
	EXPECT(becomes(&cpus[0].other, 1));
	EXPECT_EQ(*(uint32_t *)(far + 0x1ffe), 0x5b5b5b5b);
	close(uffd);
	crowd_stop();
}

static volatile bool uffd_stop;

/* Zeros at once for each page that is waited for. */
static void *uffd_serve(void *arg)
{
	int uffd = *(int *)arg;
	struct pollfd wait = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	while (!uffd_stop) {
		struct uffdio_zeropage zero = { .range.len = 0x1000 };

		if (poll(&wait, 1, 10) != 1 || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		zero.range.start = msg.arg.pagefault.address & ~0xfffull;
		ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	}
	return NULL;
}

/* Kicks come while the vCPU waits for pages, and when such a wait has just ended. */
TEST(a_kick_hits_nothing_but_its_run)
{
	unsigned int kicks;
	pthread_t server;
	uint8_t *far;
	int uffd;

	need_control(OKVM_CONTROL_KICK);
	FAR_CREATE(1, roam, 0);
	far = untouched_far();
	uffd = uffd_open(far);
	uffd_stop = false;
	REQUIRE(pthread_create(&server, NULL, uffd_serve, &uffd) == 0);
	REQUIRE(pthread_create(&cpus[0].thread, NULL, run_and_sleep, &cpus[0]) == 0);
	for (kicks = 0; kicks < 1000; kicks++) {
		EXPECT_EQ(kick(0), 0);
		if (kicks % 8 == 0)
			madvise(far, FAR_SIZE, MADV_DONTNEED);
		usleep(kicks * 7 % 200);
	}
	crowd_stop();
	uffd_stop = true;
	pthread_join(server, NULL);
	close(uffd);
	printf("# %u kicks, %u ends\n", kicks, cpus[0].eintr);
	EXPECT(cpus[0].eintr && cpus[0].eintr <= kicks + 1);
	EXPECT_EQ(cpus[0].sleeps_cut, 0);
	EXPECT_EQ(cpus[0].other, 0);
}

TEST(a_kick_is_kept_by_pre_fault)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR, .size = FAR_SIZE };

	need_control(OKVM_CONTROL_KICK);
	CROWD_CREATE(1, 0, halt);
	if (!ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY))
		test_skip("no KVM_PRE_FAULT_MEMORY");
	vm_destroy(&vm);
	FAR_CREATE(1, halt, 0);
	untouched_far();
	EXPECT_EQ(kick(0), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_PRE_FAULT_MEMORY, &range), 0);
	EXPECT_EQ(range.size, 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTR);
	vm_destroy(&vm);
}

/* ---- pauses ---- */

static int vm_pause(uint32_t flags)
{
	struct okvm_pause pause = { .flags = flags };

	return ioctl(vm.fd, OKVM_VM_PAUSE, &pause);
}

TEST(a_pause_stops_all_until_it_is_closed)
{
	struct kvm_regs regs;
	int pause, inner;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(2, 0, count);
	crowd_start();
	EXPECT(moves(0) && moves(1));
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	EXPECT(stands(0) && stands(1));
	EXPECT(fcntl(pause, F_GETFD) & FD_CLOEXEC);
	/* The threads are in KVM_RUN, and the vCPUs are free. */
	EXPECT_EQ(ioctl(cpus[0].fd, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(ioctl(cpus[0].fd, KVM_SET_REGS, &regs), 0);
	inner = vm_pause(0);
	REQUIRE(inner >= 0);
	EXPECT_EQ(close(pause), 0);
	EXPECT(stands(0) && stands(1));
	EXPECT_ERR(ioctl(inner, OKVM_VM_RESUME, 1), EINVAL);
	EXPECT_ERR(ioctl(inner, OKVM_VM_PAUSE, 0), ENOTTY);
	EXPECT_EQ(ioctl(inner, OKVM_VM_RESUME, 0), 0);
	EXPECT(moves(0) && moves(1));
	EXPECT_EQ(ioctl(inner, OKVM_VM_RESUME, 0), 0);
	EXPECT_EQ(close(inner), 0);
	EXPECT(moves(0) && moves(1));
	EXPECT_EQ(cpus[0].eintr + cpus[1].eintr, 0);
	EXPECT_ERR(vm_pause(2), EINVAL);
	crowd_stop();
}

TEST(a_pause_stops_halted_vcpus_and_those_yet_to_run)
{
	int pause;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(2, VM_IRQCHIP, halt);
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	crowd_start();
	usleep(20000);
	EXPECT_EQ(close(pause), 0);
	usleep(20000);
	/* Asleep in HLT, and waiting for INIT. */
	pause = vm_pause(OKVM_PAUSE_EINTR);
	REQUIRE(pause >= 0);
	usleep(20000);
	EXPECT(cpus[0].eintr > 0);
	EXPECT_EQ(close(pause), 0);
	crowd_stop();
}

/* KVM_RUN of an AP that waits for INIT fails with EAGAIN when that is woken. No pause does it. */
TEST(an_ap_hears_nothing_of_a_pause)
{
	unsigned int i;
	int pause;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(2, VM_IRQCHIP, halt);
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	EXPECT_EQ(close(pause), 0);
	crowd_start();
	for (i = 0; i < 10; i++) {
		usleep(2000);
		pause = vm_pause(0);
		REQUIRE(pause >= 0);
		EXPECT_EQ(close(pause), 0);
	}
	usleep(20000);
	EXPECT_EQ(cpus[1].eagain, 0);
	EXPECT_EQ(cpus[1].eintr, 0);
	crowd_stop();
}

TEST(a_pause_can_make_runs_fail)
{
	int waits, fails;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(1, 0, out_then_count);
	run_until(&vm, KVM_EXIT_IO);
	crowd_start();
	EXPECT(moves(0));
	waits = vm_pause(0);
	REQUIRE(waits >= 0);
	EXPECT(stands(0));
	EXPECT_EQ(cpus[0].eintr, 0);
	fails = vm_pause(OKVM_PAUSE_EINTR);
	REQUIRE(fails >= 0);
	usleep(20000);
	EXPECT(cpus[0].eintr > 0);
	EXPECT_EQ(close(fails), 0);
	EXPECT(stands(0));
	EXPECT_EQ(close(waits), 0);
	EXPECT(moves(0));
	crowd_stop();
}

TEST(signals_kicks_and_immediate_exit_end_the_wait)
{
	struct sigaction action = { .sa_handler = nothing };
	struct kvm_regs regs;
	int pause;

	need_control(OKVM_CONTROL_PAUSE);
	sigaction(SIGUSR1, &action, NULL);
	CROWD_CREATE(1, 0, out_then_count);
	run_until(&vm, KVM_EXIT_IO);
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	vm.run->immediate_exit = 0;
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, VM_CODE + 2);
	crowd_start();
	usleep(20000);
	pthread_kill(cpus[0].thread, SIGUSR1);
	EXPECT(becomes(&cpus[0].eintr, 1));
	EXPECT_EQ(kick(0), 0);
	EXPECT(becomes(&cpus[0].eintr, 2));
	EXPECT_EQ(*counter(0), 0);
	EXPECT_EQ(close(pause), 0);
	EXPECT(moves(0));
	crowd_stop();
}

static volatile bool began, done;

static void *run_one_round(void *arg)
{
	struct cpu *cpu = arg;

	began = true;
	if (ioctl(cpu->fd, KVM_RUN, 0) == 0 || errno != EINTR)
		cpu->err = errno;
	done = true;
	return NULL;
}

/*
 * KVM_RUN begins, as it will only finish and fail, and then is to go on. A thread that has not run
 * the vCPU before waits for a grace period in between, where there is more than one CPU.
 */
TEST(immediate_exit_that_is_taken_back_starts_no_paused_guest)
{
	struct sigaction action = { .sa_handler = nothing };
	unsigned int i;
	int pause;

	need_control(OKVM_CONTROL_PAUSE);
	sigaction(SIGUSR1, &action, NULL);
	CROWD_CREATE(1, 0, count);
	crowd_start();
	EXPECT(moves(0));
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	stop = true;
	EXPECT_EQ(kick(0), 0);
	pthread_join(cpus[0].thread, NULL);
	for (i = 0; i < 10; i++) {
		began = false;
		done = false;
		vm.run->immediate_exit = 1;
		REQUIRE(pthread_create(&cpus[0].thread, NULL, run_one_round, &cpus[0]) == 0);
		while (!began)
			usleep(10);
		usleep(50 * i);
		vm.run->immediate_exit = 0;
		EXPECT(stands(0));
		while (!done) {
			pthread_kill(cpus[0].thread, SIGUSR1);
			usleep(1000);
		}
		pthread_join(cpus[0].thread, NULL);
	}
	EXPECT_EQ(close(pause), 0);
	stop = false;
	crowd_start();
	EXPECT(moves(0));
	crowd_stop();
}

/* A copy of the file in another process holds the pause; the end of that process ends it. */
TEST(who_paused_may_die)
{
	int pause, status;
	pid_t child;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(1, 0, count);
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	child = fork();
	REQUIRE(child >= 0);
	if (!child) {
		for (;;)
			sleep(1);
	}
	EXPECT_EQ(close(pause), 0);
	crowd_start();
	EXPECT(stands(0));
	kill(child, SIGKILL);
	EXPECT_EQ(waitpid(child, &status, 0), child);
	EXPECT(moves(0));
	crowd_stop();
}

/* The VM goes with the last of its files, whichever that is. */
TEST(a_pause_outlives_the_other_files)
{
	int pause;

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(1, 0, count);
	pause = vm_pause(0);
	REQUIRE(pause >= 0);
	vm_destroy(&vm);
	EXPECT_EQ(ioctl(pause, OKVM_VM_RESUME, 0), 0);
	EXPECT_EQ(close(pause), 0);
}

/* ---- storms ---- */

static void *storm_pauses(void *arg)
{
	unsigned int *rounds = arg, seed = (uintptr_t)arg;

	while (!stop) {
		int pause = vm_pause(rand_r(&seed) % 4 ? 0 : OKVM_PAUSE_EINTR);

		if (pause < 0) {
			EXPECT_EQ(errno, EINTR);
			continue;
		}
		if (rand_r(&seed) % 2)
			EXPECT_EQ(ioctl(pause, OKVM_VM_RESUME, 0), 0);
		close(pause);
		++*rounds;
	}
	return NULL;
}

static void *storm_kicks(void *arg)
{
	unsigned int *rounds = arg, seed = (uintptr_t)arg;

	while (!stop) {
		EXPECT_EQ(kick(rand_r(&seed) % nr_cpus), 0);
		if (rand_r(&seed) % 8 == 0)
			usleep(rand_r(&seed) % 500);
		++*rounds;
	}
	return NULL;
}

TEST(a_storm_of_pauses_and_kicks)
{
	unsigned int rounds[4] = { 0 }, i;
	pthread_t threads[4];

	need_control(OKVM_CONTROL_PAUSE);
	CROWD_CREATE(CROWD, 0, count);
	crowd_start();
	for (i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, i < 2 ? storm_pauses : storm_kicks,
				       &rounds[i]) == 0);
	for (i = 0; i < 5; i++) {
		int pause = vm_pause(0);
		uint32_t before[CROWD];
		unsigned int j;

		REQUIRE(pause >= 0);
		for (j = 0; j < CROWD; j++)
			before[j] = *counter(j);
		usleep(10000);
		for (j = 0; j < CROWD; j++)
			EXPECT_EQ(*counter(j), before[j]);
		close(pause);
		usleep(100000);
	}
	stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("# %u and %u pauses, %u and %u kicks\n", rounds[0], rounds[1], rounds[2],
	       rounds[3]);
	EXPECT(rounds[0] && rounds[1] && rounds[2] && rounds[3]);
	crowd_stop();
}

/* ---- several slots at once ---- */

static struct kvm_userspace_memory_region region(uint32_t slot, uint32_t flags, uint64_t gpa,
						 uint64_t size, void *hva)
{
	return (struct kvm_userspace_memory_region) {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};
}

static int regions_set(const struct kvm_userspace_memory_region *regions, uint32_t nr)
{
	struct okvm_memory_regions arg = { .nr = nr, .regions = (uintptr_t)regions };

	return ioctl(vm.fd, OKVM_SET_MEMORY_REGIONS, &arg);
}

static int split(uint32_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region two[] = {
		region(1, flags, FAR, size, vm.mem + FAR),
		region(2, flags, FAR + size, FAR_SIZE - size, vm.mem + FAR + size),
	};

	return regions_set(two, 2);
}

static int join(uint32_t flags)
{
	struct kvm_userspace_memory_region two[] = {
		region(2, 0, 0, 0, NULL),
		region(1, flags, FAR, FAR_SIZE, vm.mem + FAR),
	};

	return regions_set(two, 2);
}

TEST(a_guest_sees_no_hole)
{
	unsigned int changes = getenv("OKVM_LONG") ? 100000 : 1000, i, mmio = 0, writes = 0;

	need_control(OKVM_CONTROL_REGIONS);
	FAR_CREATE(4, roam, 0);
	crowd_start();
	for (i = 0; i < changes; i += 2) {
		EXPECT_EQ(split(0x1000 + i % 15 * 0x1000, i & 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0), 0);
		EXPECT_EQ(join(i & 4 ? KVM_MEM_LOG_DIRTY_PAGES : 0), 0);
		if (i % 64 == 0)
			usleep(1000);
	}
	for (i = 0; i < 4; i++) {
		mmio += cpus[i].mmio;
		EXPECT_EQ(cpus[i].other, 0);
		EXPECT(*(uint32_t *)(vm.mem + FAR + COUNTS % 0x1000 + 4 * i));
		writes += *(uint32_t *)(vm.mem + FAR + COUNTS % 0x1000 + 4 * i);
	}
	printf("# %u changes, %u writes to a page, %u MMIO exits\n", changes, writes, mmio);
	EXPECT_EQ(mmio, 0);
	crowd_stop();
}

/* What a slot of the next test has: pages with words in them, far from anything else of value. */
#define AROUND	0x10000u

struct area {
	unsigned int first, nr;		/* pages of what ES reaches */
	uint8_t *mem;			/* AROUND bytes of poison on both sides */
};

static void area_fill(struct area *area)
{
	uint32_t size = area->nr * 0x1000, page, i;

	area->mem = host_pages(area->nr + 2 * AROUND / 0x1000);
	memset(area->mem, 0xee, AROUND);
	memset(area->mem + AROUND + size, 0xee, AROUND);
	for (page = 0; page < size; page += 0x1000)
		for (i = 0; i < 4; i++)
			*(uint16_t *)(area->mem + AROUND + page + 4 * i) =
				area->first * 0x1000 + page + 4 * i;
}

static bool area_is_alone(const struct area *area)
{
	uint32_t i;

	for (i = 0; i < AROUND; i++)
		if (area->mem[i] != 0xee || area->mem[AROUND + area->nr * 0x1000 + i] != 0xee)
			return false;
	return true;
}

static struct kvm_userspace_memory_region area_region(const struct area *area, uint32_t slot)
{
	return region(slot, KVM_MEM_LOG_DIRTY_PAGES, FAR + area->first * 0x1000,
		      area->nr * 0x1000, area->mem + AROUND);
}

/*
 * The border of two neighbours moves by less than either. Who takes one for the other is led to
 * memory that is in no slot, as no two of these lie side by side in the host.
 */
TEST(a_border_moves_under_guests)
{
	struct area areas[2][2] = { { { 0, 8, NULL }, { 8, 8, NULL } },
				    { { 0, 12, NULL }, { 12, 4, NULL } } };
	unsigned int changes = getenv("OKVM_LONG") ? 100000 : 1000, i;

	need_control(OKVM_CONTROL_REGIONS);
	FAR_CREATE(4, expect_words, 0);
	for (i = 0; i < 4; i++)
		area_fill(&areas[i / 2][i % 2]);
	for (i = 0; i <= changes; i++) {
		struct kvm_userspace_memory_region two[2];

		/* The lower one first, then the upper one first. */
		two[i / 2 % 2] = area_region(&areas[i % 2][0], 1);
		two[!(i / 2 % 2)] = area_region(&areas[i % 2][1], 2);
		EXPECT_EQ(regions_set(two, 2), 0);
		if (!i)
			crowd_start();
		if (i % 64 == 0)
			usleep(1000);
	}
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(cpus[i].mmio, 0);
		EXPECT_EQ(cpus[i].other, 0);
		EXPECT(area_is_alone(&areas[i / 2][i % 2]));
		EXPECT(*(uint32_t *)(areas[0][0].mem + AROUND + 0x100 + 4 * i) ||
		       *(uint32_t *)(areas[1][0].mem + AROUND + 0x100 + 4 * i));
	}
	crowd_stop();
}

static uint64_t dirty_log(uint32_t slot)
{
	uint64_t bits = 0;
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = &bits };

	REQUIRE(ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log) == 0);
	return bits;
}

TEST(dirty_bits_are_kept_by_split_and_join)
{
	const uint32_t log = KVM_MEM_LOG_DIRTY_PAGES;

	need_control(OKVM_CONTROL_REGIONS);
	FAR_CREATE(1, odd_pages, log);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(split(0x5000, log), 0);
	EXPECT_EQ(dirty_log(1), 0xa);		/* pages 1 and 3 */
	EXPECT_EQ(dirty_log(2), 0x555);		/* pages 5, 7, ... are 0, 2, ... of the second */
	/* Logged anew in both parts. */
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(join(log), 0);
	EXPECT_EQ(dirty_log(1), 0xaaaa);
	EXPECT_EQ(dirty_log(1), 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(dirty_log(1), 0xaaaa);
	/* Of what was not logged before, only what is written later. */
	EXPECT_EQ(join(0), -1);
	EXPECT_EQ(split(0x8000, 0), 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(join(log), 0);
	EXPECT_EQ(dirty_log(1), 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(dirty_log(1), 0xaaaa);
	vm_destroy(&vm);
}

TEST(memory_behind_a_slot_can_change)
{
	struct kvm_userspace_memory_region swap[2];
	uint8_t *other = host_pages(16);

	need_control(OKVM_CONTROL_REGIONS);
	FAR_CREATE(1, touch_far, 0);
	vm.mem[FAR + COUNTS] = 1;
	other[COUNTS] = 2;
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(get_reg_rax(&vm) & 0xff, 1);
	swap[0] = region(1, KVM_MEM_READONLY, FAR, FAR_SIZE, other);
	swap[1] = region(7, 0, 0x100000, FAR_SIZE, vm.mem + FAR);
	EXPECT_EQ(regions_set(swap, 2), 0);
	set_start(vm.vcpu, COUNTS);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(get_reg_rax(&vm) & 0xff, 2);
	vm_destroy(&vm);
}

TEST(all_or_nothing)
{
	struct kvm_userspace_memory_region list[OKVM_REGIONS_MAX + 1];
	struct okvm_error error;
	unsigned int i;

	need_control(OKVM_CONTROL_REGIONS);
	FAR_CREATE(1, touch_far, 0);
	/* The second overlaps what is not in the list; two of the list; the same number twice. */
	list[0] = region(1, 0, FAR, 0x1000, vm.mem + FAR);
	list[1] = region(2, 0, FAR - 0x1000, 0x1000, vm.mem);
	EXPECT_ERR(regions_set(list, 2), EEXIST);
	list[1] = region(2, 0, FAR, 0x1000, vm.mem);
	EXPECT_ERR(regions_set(list, 2), EEXIST);
	REQUIRE(ioctl(vm.fd, OKVM_GET_ERROR, &error) == 0);
	EXPECT_EQ(error.error, EEXIST);
	EXPECT(strstr(error.text, "two slots overlap"));
	list[1] = region(1, 0, FAR, 0x1000, vm.mem);
	EXPECT_ERR(regions_set(list, 2), EINVAL);
	/* Nothing to delete; a bad address; none; too many. */
	list[1] = region(3, 0, 0, 0, NULL);
	EXPECT_ERR(regions_set(list, 2), EINVAL);
	list[1] = region(3, 0, 1ull << 52, 0x1000, vm.mem);
	EXPECT_ERR(regions_set(list, 2), EINVAL);
	EXPECT_ERR(regions_set(list, 0), EINVAL);
	for (i = 0; i <= OKVM_REGIONS_MAX; i++)
		list[i] = region(10 + i, 0, 0x100000 + i * 0x1000, 0x1000, vm.mem);
	EXPECT_ERR(regions_set(list, OKVM_REGIONS_MAX + 1), EINVAL);
	EXPECT_ERR(regions_set((void *)8, 1), EFAULT);
	/* Slot 1 is as it was, and numbers that were to be new are free. */
	vm.mem[FAR + COUNTS] = 3;
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(get_reg_rax(&vm) & 0xff, 3);
	EXPECT_EQ(regions_set(list, OKVM_REGIONS_MAX), 0);
	for (i = 0; i < OKVM_REGIONS_MAX; i++)
		list[i].memory_size = 0;
	EXPECT_EQ(regions_set(list, OKVM_REGIONS_MAX), 0);
	EXPECT_ERR(regions_set(list, 1), EINVAL);
	vm_destroy(&vm);
}
