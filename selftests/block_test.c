// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that halts: its timer ends the poll as it ends the sleep, and the statistics tell one from
 * the other, as upstream's do.
 */
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define LIMIT		"/sys/module/okvm/parameters/halt_poll_ns"
#define POLL_NS		20000000	/* 20 ms: longer than any wait here */
#define WAIT_NS		1000000
#define SLACK_NS	4000000

/* A one-shot LAPIC timer of EBX counts ends each HLT. */
GUEST(naps, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	mov $0x1b, %ecx\n"
	"	rdmsr\n"
	"	or $0xc00, %eax\n"
	"	wrmsr\n"
	"	xor %edx, %edx\n"
	"	mov $0x80f, %ecx\n"
	"	mov $0x1ff, %eax\n"
	"	wrmsr\n"
	"	mov $0x83e, %ecx\n"		/* divide by 1 */
	"	mov $0xb, %eax\n"
	"	wrmsr\n"
	"	mov $0x832, %ecx\n"
	"	mov $0x40, %eax\n"
	"	wrmsr\n"
	"1:	out %al, $0x10\n"
	"	cli\n"
	"	mov $0x838, %ecx\n"
	"	mov %ebx, %eax\n"
	"	wrmsr\n"
	"	sti\n"
	"	hlt\n"
	"	jmp 1b\n"
	".global guest_naps_irq\n"
	"guest_naps_irq:\n"
	"	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	wrmsr\n"
	"	iret\n"
GUEST_END(naps);
extern const uint8_t guest_naps_irq[];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void naps_create(struct vm *vm)
{
	struct kvm_regs regs;
	uint16_t *vector;

	vm_create(vm, VM_IRQCHIP);
	LOAD16(vm, naps);
	vector = (void *)(vm->mem + 4 * 0x40);
	vector[0] = VM_CODE + (guest_naps_irq - guest_naps);
	vector[1] = 0;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = WAIT_NS;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	run_out(vm, 0x10);
}

/* Return: how long it took */
static uint64_t nap(struct vm *vm)
{
	uint64_t start = now_ns();

	run_out(vm, 0x10);
	return now_ns() - start;
}

/* ---- the parameter ---- */

static char limit_before[32];

static void limit_write(const char *text)
{
	int fd = open(LIMIT, O_WRONLY);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void limit_set(unsigned int ns)
{
	int fd = open(LIMIT, O_RDONLY);
	char text[32];

	if (fd < 0)
		test_skip("no module parameter halt_poll_ns of okvm");
	if (!limit_before[0])
		REQUIRE(read(fd, limit_before, sizeof(limit_before) - 1) > 0);
	close(fd);
	snprintf(text, sizeof(text), "%u", ns);
	limit_write(text);
}

/* ---- statistics by name ---- */

static uint64_t stat_of(struct vm *vm, const char *name)
{
	int fd = ioctl(vm->vcpu, KVM_GET_STATS_FD, 0);
	struct kvm_stats_header head;
	char desc[sizeof(struct kvm_stats_desc) + 256];
	uint64_t val = 0;
	uint32_t i;
	bool found = false;

	REQUIRE(fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head));
	REQUIRE(head.name_size <= 256);
	for (i = 0; i < head.num_desc && !found; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + head.name_size;
		struct kvm_stats_desc *d = (void *)desc;

		REQUIRE(pread(fd, desc, size, head.desc_offset + i * size) == (ssize_t)size);
		found = !strcmp(desc + sizeof(struct kvm_stats_desc), name);
		if (found)
			REQUIRE(pread(fd, &val, 8, head.data_offset + d->offset) == 8);
	}
	if (!found)
		test_fail(__FILE__, __LINE__, "no statistic %s", name);
	close(fd);
	return val;
}

/* ---- tests ---- */

/*
 * Each nap that is longer than the polling time doubles that. A timer that cannot end the poll
 * makes each nap as long as the poll: the last ones take 10 ms and more.
 */
TEST(a_timer_ends_the_poll)
{
	struct vm vm;
	uint64_t ns, longest = 0;
	unsigned int i;

	limit_set(POLL_NS);
	naps_create(&vm);
	for (i = 0; i < 20; i++) {
		ns = nap(&vm);
		EXPECT(ns >= WAIT_NS);
		if (ns > longest)
			longest = ns;
	}
	printf("# the longest of 20 naps of 1 ms took %llu us\n",
	       (unsigned long long)longest / 1000);
	EXPECT(longest < WAIT_NS + SLACK_NS);
	EXPECT(stat_of(&vm, "halt_attempted_poll") > 0);
	vm_destroy(&vm);
	limit_write(limit_before);
}

TEST(polls_and_sleeps_are_counted)
{
	uint64_t polls, good, good_ns, bad_ns, wait_ns, wakeups, start, all_ns;
	struct vm vm;
	unsigned int i;

	limit_set(POLL_NS);
	naps_create(&vm);
	start = now_ns();
	for (i = 0; i < 20; i++)
		nap(&vm);
	all_ns = now_ns() - start;
	polls = stat_of(&vm, "halt_attempted_poll");
	good = stat_of(&vm, "halt_successful_poll");
	good_ns = stat_of(&vm, "halt_poll_success_ns");
	bad_ns = stat_of(&vm, "halt_poll_fail_ns");
	wait_ns = stat_of(&vm, "halt_wait_ns");
	wakeups = stat_of(&vm, "halt_wakeup");
	printf("# %llu polls, %llu good; %llu + %llu us polled, %llu us and %llu times slept\n",
	       (unsigned long long)polls, (unsigned long long)good,
	       (unsigned long long)good_ns / 1000, (unsigned long long)bad_ns / 1000,
	       (unsigned long long)wait_ns / 1000, (unsigned long long)wakeups);
	/* The first one sleeps, having no polling time; some poll in vain; the last ones do not. */
	EXPECT(polls > 5 && polls < 20);
	EXPECT(good > 0 && good < polls);
	EXPECT(good_ns >= good * WAIT_NS / 2);
	EXPECT(bad_ns > 0);
	EXPECT(wakeups >= 1 && wakeups <= 20 - good);
	EXPECT(wait_ns > 0 && good_ns + bad_ns + wait_ns <= all_ns);
	EXPECT_EQ(stat_of(&vm, "halt_poll_invalid"), 0);

	/* A lower limit holds from the next halt on. */
	limit_set(0);
	nap(&vm);
	EXPECT_EQ(stat_of(&vm, "halt_attempted_poll"), polls);
	EXPECT_EQ(stat_of(&vm, "halt_wakeup"), wakeups + 1);
	vm_destroy(&vm);
	limit_write(limit_before);
}
