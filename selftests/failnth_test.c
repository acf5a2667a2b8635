// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of the creating ioctls fails once, by /proc/self/fail-nth: the ioctl fails with
 * ENOMEM, or copes, and leaves nothing behind. Then every registration: the functions of okvm that
 * are marked with ALLOW_ERROR_INJECTION, by refuse.ko (tools/testbed/refuse), which lies beside
 * this program.
 *
 * What was left behind is seen where the allocator keeps account of who has what, that is if the
 * host was booted with slub_debug=U,kmalloc-*.
 */
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define MOST_ALLOCATIONS	400

GUEST(out, 16)
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(out);

/* ---- what okvm has allocated ---- */

#define SLAB_TRACES	"/sys/kernel/debug/slab"

static bool write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/*
 * A record is a line with the number of objects and who asked for them, and the stack below.
 * Return: how many objects of this cache were asked for by okvm or on its behalf.
 */
static unsigned long objects_in(const char *cache, bool tell)
{
	unsigned long total = 0, count = 0;
	char path[512], line[512], who[512] = "";
	FILE *file;

	/* KASAN holds back what was freed; this makes it let go. */
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	REQUIRE(write_file(path, "1"));
	snprintf(path, sizeof(path), SLAB_TRACES "/%s/alloc_traces", cache);
	file = fopen(path, "r");
	REQUIRE(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long nr;
		char *end;

		nr = strtoul(line, &end, 10);
		if (end != line && *end == ' ') {
			count = nr;
			snprintf(who, sizeof(who), "%s", line);
		}
		if (!strstr(line, "[okvm]"))
			continue;
		if (tell && count)
			printf("# %s: %s", cache, who);
		total += count;
		count = 0;
	}
	fclose(file);
	return total;
}

static unsigned long okvm_objects(bool tell)
{
	DIR *dir = opendir(SLAB_TRACES);
	unsigned long total = 0;
	struct dirent *entry;

	REQUIRE(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			total += objects_in(entry->d_name, tell);
	closedir(dir);
	return total;
}

/* Without them a leak is not seen, all else is. */
static bool have_traces(void)
{
	return access(SLAB_TRACES "/kmalloc-64/alloc_traces", R_OK) == 0;
}

/* Some things are freed after a grace period, or by a worker. To count takes seconds in Bochs. */
static void expect_objects(unsigned long want)
{
	unsigned int tries;

	for (tries = 0; tries < 3; tries++) {
		if (okvm_objects(false) <= want)
			return;
		usleep(500000);
	}
	/* A line for each, and it is over if the last of them went meanwhile. */
	EXPECT(okvm_objects(true) <= want);
}

/* ---- allocations ---- */

static int fail_fd = -1;

static void fail_set(const char *file, const char *val)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0)
		return;
	EXPECT_EQ(write(fd, val, 1), 1);
	close(fd);
}

static void fail_setup(void)
{
	static const char * const files[] = {
		"/sys/kernel/debug/failslab/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem",
	};
	unsigned int i;

	fail_fd = open("/proc/self/fail-nth", O_RDWR);
	if (fail_fd < 0)
		test_skip("the kernel has no fault injection");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		fail_set(files[i], "N");
	/* Single pages too. */
	fail_set("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	/* A stack trace for each failure would take the console minutes. */
	fail_set("/sys/kernel/debug/failslab/verbose", "0");
	fail_set("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	fail_set("/sys/kernel/debug/fail_usercopy/verbose", "0");
}

/* Let the @nth allocation from now on fail. */
static void fail_arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	EXPECT_EQ(pwrite(fail_fd, text, len, 0), len);
}

/* Return: true if an allocation did fail since fail_arm(). */
static bool fail_disarm(void)
{
	char text[16] = "";

	/* Copies to and from here may fail too: then the step left the failure over. */
	if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0)
		text[0] = '1';
	while (pwrite(fail_fd, "0", 1, 0) != 1)
		;
	return atoi(text) == 0;
}

/* What the steps need of others is there before, as its failures are not okvm's. */
static int event = -1, resample = -1;

static void events_create(void)
{
	event = eventfd(1, 0);
	resample = eventfd(0, 0);
	REQUIRE(event >= 0 && resample >= 0);
}

static void events_close(void)
{
	close(event);
	close(resample);
}

static void prepare_bare(struct vm *vm)
{
	vm_create(vm, VM_BARE);
	vm->mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void prepare_irqchip(struct vm *vm)
{
	prepare_bare(vm);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) == 0);
}

static void prepare_vcpu(struct vm *vm)
{
	vm_create(vm, VM_IRQCHIP);
}

/* A PIT that ticks looks at whatever is half made. */
static void prepare_ticking_pit(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	struct kvm_pit_state2 state = {
		.channels[0] = { .count = 239, .mode = 2, .gate = 1, .rw_mode = 3 },
	};

	prepare_bare(vm);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_PIT2, &pit) == 0);
	REQUIRE(ioctl(vm->fd, KVM_REINJECT_CONTROL, &control) == 0);
	REQUIRE(ioctl(vm->fd, KVM_SET_PIT2, &state) == 0);
}

static void prepare_device(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->vcpu = -1;
	vm->fd = -1;
	vm->sys = open_device();
}

static int step_vm(struct vm *vm)
{
	vm->fd = ioctl(vm->sys, KVM_CREATE_VM, 0);
	return vm->fd;
}

static int step_vcpu(struct vm *vm)
{
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	return vm->vcpu;
}

static int step_irqchip(struct vm *vm)
{
	return ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0);
}

static int step_slot(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = VM_MEMORY, .userspace_addr = (uintptr_t)vm->mem,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int step_split(struct vm *vm)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &split);
}

static int step_pit(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	return ioctl(vm->fd, KVM_CREATE_PIT2, &pit);
}

static int step_irqfd(struct vm *vm)
{
	struct kvm_irqfd irqfd = { .fd = event, .gsi = 5 };

	return ioctl(vm->fd, KVM_IRQFD, &irqfd);
}

static int step_resampled_irqfd(struct vm *vm)
{
	struct kvm_irqfd irqfd = {
		.fd = event, .gsi = 5, .flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = resample,
	};

	return ioctl(vm->fd, KVM_IRQFD, &irqfd);
}

static int step_ioeventfd(struct vm *vm)
{
	struct kvm_ioeventfd io = { .addr = 0xd0000000, .len = 4, .fd = event };

	return ioctl(vm->fd, KVM_IOEVENTFD, &io);
}

static int step_zone(struct vm *vm)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = 0xd0000000, .size = 4096 };

	return ioctl(vm->fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

static int step_routes(struct vm *vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = {
		.head.nr = 1, .entry = { .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { 2, 2 } },
	};

	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routes);
}

static int step_stats(struct vm *vm)
{
	int of_vm = ioctl(vm->fd, KVM_GET_STATS_FD, 0);
	int of_vcpu = of_vm < 0 ? of_vm : ioctl(vm->vcpu, KVM_GET_STATS_FD, 0);
	int err = errno;

	close(of_vcpu);
	close(of_vm);
	errno = err;
	return of_vcpu;
}

/* okvm's own, and what they must have left as it was. */

static void prepare_timed(struct vm *vm)
{
	struct kvm_enable_cap times = { .cap = OKVM_CAP_EXIT_TIMES, .args = { 1 } };

	prepare_bare(vm);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &times) == 0);
}

/* If that fails, nobody holds the VM paused, and it runs. */
static int step_pause(struct vm *vm)
{
	struct okvm_pause pause = { .flags = OKVM_PAUSE_EINTR };
	int fd = ioctl(vm->fd, OKVM_VM_PAUSE, &pause);
	int err = errno;

	if (fd >= 0)
		close(fd);
	else
		EXPECT_EQ(ioctl(vm->vcpu, KVM_RUN, 0), 0);
	errno = err;
	return fd;
}

static void prepare_running(struct vm *vm)
{
	prepare_vcpu(vm);
	LOAD16(vm, out);
}

/* Slot 0 becomes two. If that fails, slot 0 is what it was, and there is no slot 1. */
static int step_regions(struct vm *vm)
{
	struct kvm_userspace_memory_region gone = { .slot = 1 }, two[] = {
		{ .memory_size = 0x10000, .userspace_addr = (uintptr_t)vm->mem },
		{
			.slot = 1, .guest_phys_addr = 0x10000, .memory_size = VM_MEMORY - 0x10000,
			.userspace_addr = (uintptr_t)vm->mem + 0x10000,
		},
	};
	struct okvm_memory_regions regions = { .nr = 2, .regions = (uintptr_t)two };
	int ret = ioctl(vm->fd, OKVM_SET_MEMORY_REGIONS, &regions);
	int err = errno;

	if (ret < 0) {
		EXPECT_EQ(step_slot(vm), 0);
		EXPECT_ERR(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &gone), EINVAL);
	}
	errno = err;
	return ret;
}

/* What creates or registers something, and what was there before. */
static const struct step {
	const char *name;
	void (*prepare)(struct vm *vm);
	int (*run)(struct vm *vm);
	unsigned int registrations;	/* that it cannot do without */
} steps[] = {
	{ "VM", prepare_device, step_vm, 1 },
	{ "vCPU", prepare_bare, step_vcpu, 1 },
	{ "vCPU with a local APIC", prepare_irqchip, step_vcpu, 1 },
	{ "irqchip", prepare_bare, step_irqchip, 2 },
	{ "irqchip while a PIT ticks", prepare_ticking_pit, step_irqchip, 2 },
	{ "split irqchip while a PIT ticks", prepare_ticking_pit, step_split, 1 },
	{ "PIT", prepare_irqchip, step_pit, 1 },
	{ "irqfd", prepare_irqchip, step_irqfd, 1 },
	{ "resampled irqfd", prepare_irqchip, step_resampled_irqfd, 2 },
	{ "ioeventfd", prepare_bare, step_ioeventfd, 1 },
	{ "coalesced zone", prepare_bare, step_zone, 1 },
	{ "routes", prepare_irqchip, step_routes, 1 },
	{ "memory slot", prepare_bare, step_slot, 0 },
	{ "statistics", prepare_vcpu, step_stats, 0 },
	{ "vCPU whose exits are timed", prepare_timed, step_vcpu, 1 },
	{ "pause", prepare_running, step_pause, 0 },
	{ "several memory slots", prepare_vcpu, step_regions, 0 },
};

#define NR_STEPS	(sizeof(steps) / sizeof(steps[0]))

static void step_prepare(const struct step *step, struct vm *vm)
{
	events_create();
	step->prepare(vm);
}

/* The VM first: an irqfd of another that comes later must not find its eventfd in use. */
static void step_undo(struct vm *vm)
{
	vm_destroy(vm);
	events_close();
}

/* Call @step with its first, second, ... allocation failing until none fails any more. */
static void fail_each_allocation(const struct step *step)
{
	unsigned int nth, refused = 0;
	bool hit = true;

	for (nth = 1; hit && nth < MOST_ALLOCATIONS; nth++) {
		struct vm vm;
		int ret, err;

		step_prepare(step, &vm);
		fail_arm(nth);
		ret = step->run(&vm);
		err = errno;
		hit = fail_disarm();
		if (ret < 0) {
			EXPECT(hit);
			EXPECT(err == ENOMEM || err == EFAULT || err == EAGAIN || err == EINTR);
			refused++;
		}
		step_undo(&vm);
	}
	printf("# %u allocations, %u of them needed\n", nth - 2, refused);
	EXPECT(!hit);
	/* All of them create something, so if nothing was refused, nothing did fail. */
	EXPECT(refused > 0);
}

/* Each of them once, and nothing fails: what the kernel keeps for a process is there then. */
static unsigned long objects_before(void)
{
	unsigned int i;

	if (!have_traces())
		return 0;
	for (i = 0; i < NR_STEPS; i++) {
		struct vm vm;

		step_prepare(&steps[i], &vm);
		EXPECT(steps[i].run(&vm) >= 0);
		step_undo(&vm);
	}
	usleep(500000);
	return okvm_objects(false);
}

static void expect_no_leak(unsigned long before)
{
	if (have_traces())
		expect_objects(before);
}

TEST(what_okvm_holds_is_seen)
{
	unsigned long before;
	struct vm vm;

	if (!have_traces())
		test_skip("the host was not booted with slub_debug=U,kmalloc-*");
	before = objects_before();
	vm_create(&vm, VM_IRQCHIP);
	EXPECT(okvm_objects(false) > before);
	vm_destroy(&vm);
	expect_objects(before);
}

TEST(each_allocation_fails)
{
	unsigned long before;
	unsigned int i;

	fail_setup();
	before = objects_before();
	for (i = 0; i < NR_STEPS; i++) {
		printf("# %s\n", steps[i].name);
		fail_each_allocation(&steps[i]);
	}
	expect_no_leak(before);
}

/* ---- registrations ---- */

#define MODULE		"refuse"
#define COUNTDOWN	"/sys/module/" MODULE "/parameters/countdown"
#define MARKED		"/sys/kernel/debug/error_injection/list"
#define MOST_CALLS	20

static long read_number(const char *file)
{
	char text[32] = "";
	int fd = open(file, O_RDONLY);

	REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtol(text, NULL, 0);
}

/* "functions=okvm:ONE,okvm:OTHER,...": all of okvm that are marked. */
static void marked_functions(char *text, size_t size)
{
	size_t len = snprintf(text, size, "functions=");
	char line[256];
	FILE *file = fopen(MARKED, "r");

	if (!file)
		test_skip("the kernel has no list of functions that may fail");
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, "[okvm]"))
			continue;
		/* "NAME [okvm]", or with an offset. */
		line[strcspn(line, "+ ")] = 0;
		len += snprintf(text + len, size - len, "okvm:%s,", line);
		REQUIRE(len < size);
	}
	fclose(file);
	/* A comma, unless there is none. */
	text[len - 1] = 0;
	REQUIRE(strchr(text, ':'));
}

/* From here on each of them fails when its time comes. */
static void registrations_begin(void)
{
	int fd = open(MODULE ".ko", O_RDONLY);
	char params[1024];

	if (fd < 0)
		test_skip("there is no " MODULE ".ko here");
	marked_functions(params, sizeof(params));
	printf("# %s\n", params);
	/* One that a run before may have left has not found this okvm. */
	syscall(SYS_delete_module, MODULE, 0);
	REQUIRE(syscall(SYS_finit_module, fd, params, 0) == 0);
	close(fd);
}

static void count_down(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	REQUIRE(write_file(COUNTDOWN, text));
}

/* Call a step with its first, second, ... registration failing until none fails any more. */
static void fail_each_registration(const struct step *step)
{
	unsigned int nth, refused = 0;
	bool hit = true;

	for (nth = 1; hit && nth < MOST_CALLS; nth++) {
		struct vm vm;
		int ret, err;

		step_prepare(step, &vm);
		count_down(nth);
		ret = step->run(&vm);
		err = errno;
		hit = read_number(COUNTDOWN) == 0;
		count_down(0);
		EXPECT_EQ(ret < 0, hit);
		if (ret < 0) {
			EXPECT_EQ(err, ENOMEM);
			refused++;
			/* A tick or two may see what was left behind. */
			usleep(500);
			EXPECT(step->run(&vm) >= 0);
		}
		step_undo(&vm);
	}
	printf("# %s: %u registrations\n", step->name, refused);
	EXPECT(!hit);
	EXPECT_EQ(refused, step->registrations);
}

TEST(each_registration_fails)
{
	unsigned long before;
	unsigned int i;

	before = objects_before();
	registrations_begin();
	for (i = 0; i < NR_STEPS; i++)
		fail_each_registration(&steps[i]);
	EXPECT(syscall(SYS_delete_module, MODULE, 0) == 0);
	expect_no_leak(before);
}
