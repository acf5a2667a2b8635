// SPDX-License-Identifier: GPL-2.0-only
/*
 * What creates something, in every order, while what was created before is at work: a PIT ticks, a
 * vCPU runs and programs whatever it finds, the bus is full or becomes so in the middle.
 *
 * What is made is complete before anybody sees it, and what fails leaves nothing behind that a
 * timer or a vCPU could still look at. So most of what these tests expect is that the host lives
 * on, which KASAN and the proofs of the debug kernel watch more closely than they.
 *
 * OKVM_ORDERS in the environment: how many of the 720 orders are tried.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define BUS_RANGES	1000	/* as many as a bus holds */
#define ZONES		0x5000u	/* ports that only fill the bus */
#define TICK		239	/* counts of the PIT: 200 microseconds */
#define ORDERS		90	/* unless the environment says otherwise */

/* Starts the PIT's channel 0 again and again, and looks at the PIC. */
GUEST(program_all, 16)
	"1:	mov $0x34, %al\n"
	"	out %al, $0x43\n"
	"	mov $239, %al\n"
	"	out %al, $0x40\n"
	"	xor %al, %al\n"
	"	out %al, $0x40\n"
	"	in $0x61, %al\n"
	"	in $0x21, %al\n"
	"	mov $0xff, %al\n"
	"	out %al, $0x21\n"
	"	jmp 1b\n"
GUEST_END(program_all);

/* ---- a thread that runs vCPU 0 until it is told to end ---- */

struct runner {
	pthread_t thread;
	struct vm *vm;
	volatile bool over;
};

static void on_signal(int nr)
{
	(void)nr;
}

static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	while (!runner->over)
		vcpu_run(runner->vm);
	return NULL;
}

static void runner_start(struct runner *runner, struct vm *vm)
{
	struct sigaction action = { .sa_handler = on_signal };

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	runner->vm = vm;
	runner->over = false;
	REQUIRE(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
}

static void runner_stop(struct runner *runner)
{
	struct timespec until;

	runner->over = true;
	do {
		pthread_kill(runner->thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(runner->thread, NULL, &until) == ETIMEDOUT);
}

/* ---- pieces ---- */

static int pit_create(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	return ioctl(vm->fd, KVM_CREATE_PIT2, &pit);
}

/* From here on it ticks whether or not anybody takes notice of its interrupts. */
static int pit_start(struct vm *vm)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	struct kvm_pit_state2 state = {
		.channels[0] = { .count = TICK, .mode = 2, .gate = 1, .rw_mode = 3 },
	};

	return ioctl(vm->fd, KVM_REINJECT_CONTROL, &control) ||
	       ioctl(vm->fd, KVM_SET_PIT2, &state);
}

static void zone(struct vm *vm, bool add, unsigned int nr)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = ZONES + nr, .size = 1, .pio = 1 };

	REQUIRE(ioctl(vm->fd, add ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
		      &zone) == 0);
}

/* Leave room for @room more ranges on the bus of ports, which holds @held beside the zones. */
static unsigned int bus_fill(struct vm *vm, unsigned int held, unsigned int room)
{
	unsigned int i;

	for (i = 0; i < BUS_RANGES - held - room; i++)
		zone(vm, true, i);
	return i;
}

static struct kvm_ioeventfd bell(void)
{
	return (struct kvm_ioeventfd) {
		.addr = 0xd0000000, .len = 4, .fd = eventfd(0, EFD_NONBLOCK),
	};
}

static int bell_set(struct vm *vm, struct kvm_ioeventfd *io, bool assign)
{
	io->flags = assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN;
	return ioctl(vm->fd, KVM_IOEVENTFD, io);
}

/* ---- the irqchip while a PIT ticks ---- */

struct bells {
	struct vm *vm;
	volatile bool over;
};

static void *bells_main(void *arg)
{
	struct kvm_ioeventfd io = bell();
	struct bells *bells = arg;

	while (!bells->over) {
		bell_set(bells->vm, &io, true);
		bell_set(bells->vm, &io, false);
	}
	close(io.fd);
	return NULL;
}

/* Whoever makes the irqchip waits for the bus, which the other thread holds most of the time. */
TEST(an_irqchip_while_a_pit_ticks)
{
	unsigned int i;

	for (i = 0; i < 40; i++) {
		struct bells bells = { 0 };
		pthread_t thread;
		struct vm vm;

		vm_create(&vm, VM_BARE);
		REQUIRE(pit_create(&vm) == 0 && pit_start(&vm) == 0);
		bells.vm = &vm;
		REQUIRE(pthread_create(&thread, NULL, bells_main, &bells) == 0);
		usleep(2000);
		EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), 0);
		usleep(1000);
		bells.over = true;
		pthread_join(thread, NULL);
		vm_destroy(&vm);
	}
}

/* Each of its ranges in turn is the first that finds no room; then all find some. */
TEST(an_irqchip_on_a_bus_that_is_full)
{
	struct kvm_irq_level line = { .irq = 0, .level = 1 };
	unsigned int room, zones;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	REQUIRE(pit_create(&vm) == 0 && pit_start(&vm) == 0);
	zones = bus_fill(&vm, 2, 0);
	for (room = 0; room < 3; room++) {
		EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), ENOSPC);
		EXPECT_ERR(ioctl(vm.fd, KVM_IRQ_LINE, &line), ENXIO);
		usleep(2000);
		zone(&vm, false, --zones);
	}
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	vm_destroy(&vm);
}

/* ---- a PIT that finds room for its channels, and none for the speaker's port ---- */

static bool pic_has_seen_a_tick(struct vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	REQUIRE(ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) == 0);
	return chip.chip.pic.irr & 1;
}

/*
 * A guest that finds the channels for a moment starts the timer of something that is then gone: it
 * ticks all the same, if the host lives on.
 */
TEST(a_pit_on_a_bus_that_is_full)
{
	struct runner runner;
	unsigned int i, zones;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, program_all);
	zones = bus_fill(&vm, 3, 1);
	runner_start(&runner, &vm);
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(pit_create(&vm), -1);
		/* Upstream says ENOMEM whatever is missing. */
		EXPECT(errno == ENOSPC || errno == ENOMEM);
		usleep(1000);
	}
	EXPECT(!pic_has_seen_a_tick(&vm));
	zone(&vm, false, --zones);
	EXPECT_EQ(pit_create(&vm), 0);
	runner_stop(&runner);
	vm_destroy(&vm);
}

/* ---- every order, from two threads ---- */

/* struct world - a VM in the making; each thing is made once, whoever comes first */
struct world {
	struct vm vm;
	struct runner runner;
	pthread_barrier_t start;
	const uint8_t *order;
	unsigned int irqchips, pits, vcpus;	/* made, by both threads together */
};

static void made(unsigned int *count, int ret)
{
	if (ret >= 0)
		__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
}

static void make_irqchip(struct world *w)
{
	made(&w->irqchips, ioctl(w->vm.fd, KVM_CREATE_IRQCHIP, 0));
}

static void make_pit(struct world *w)
{
	made(&w->pits, pit_create(&w->vm));
	pit_start(&w->vm);
}

static void make_vcpu(struct world *w)
{
	int fd = ioctl(w->vm.fd, KVM_CREATE_VCPU, 0);

	made(&w->vcpus, fd);
	if (fd < 0)
		return;
	close(ioctl(fd, KVM_GET_STATS_FD, 0));
	w->vm.run = mmap(NULL, ioctl(w->vm.sys, KVM_GET_VCPU_MMAP_SIZE, 0),
			 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(w->vm.run != MAP_FAILED);
	w->vm.vcpu = fd;
	vcpu_cpuid(&w->vm, fd);
	LOAD16(&w->vm, program_all);
	runner_start(&w->runner, &w->vm);
}

static void make_irqfd(struct world *w)
{
	struct kvm_irqfd plain = { .fd = eventfd(0, EFD_NONBLOCK), .gsi = 0 };
	struct kvm_irqfd level = {
		.fd = eventfd(1, EFD_NONBLOCK), .gsi = 0, .flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = eventfd(0, EFD_NONBLOCK),
	};
	uint64_t one = 1;

	ioctl(w->vm.fd, KVM_IRQFD, &level);
	ioctl(w->vm.fd, KVM_IRQFD, &plain);
	EXPECT_EQ(write(plain.fd, &one, 8), 8);
	/* Closing them ends both. */
	close(plain.fd);
	close(level.fd);
	close(level.resamplefd);
}

static void make_bell(struct world *w)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = 0x21, .size = 1, .pio = 1 };
	struct kvm_ioeventfd io = bell();

	ioctl(w->vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	bell_set(&w->vm, &io, true);
	ioctl(w->vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &zone);
	bell_set(&w->vm, &io, false);
	close(io.fd);
}

static void make_rest(struct world *w)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = {
		.head.nr = 1, .entry = { .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { 2, 2 } },
	};
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct kvm_enable_cap ids = { .cap = KVM_CAP_X2APIC_API, .args = { 1 } };
	struct kvm_msr_filter filter = { .flags = 0 };
	struct kvm_userspace_memory_region region = {
		.slot = 1, .guest_phys_addr = 0x10000000, .memory_size = 4096,
		.userspace_addr = (uintptr_t)w->vm.mem,
	};

	ioctl(w->vm.fd, KVM_SET_USER_MEMORY_REGION, &region);
	ioctl(w->vm.fd, KVM_X86_SET_MSR_FILTER, &filter);
	ioctl(w->vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	close(ioctl(w->vm.fd, KVM_GET_STATS_FD, 0));
	ioctl(w->vm.fd, KVM_ENABLE_CAP, &ids);
	ioctl(w->vm.fd, KVM_SET_GSI_ROUTING, &routes);
	made(&w->irqchips, ioctl(w->vm.fd, KVM_ENABLE_CAP, &split));
}

static void (* const steps[])(struct world *w) = {
	make_irqchip, make_pit, make_vcpu, make_irqfd, make_bell, make_rest,
};

#define NR_STEPS	(sizeof(steps) / sizeof(steps[0]))

static void *order_forwards(void *arg)
{
	struct world *w = arg;
	unsigned int i;

	pthread_barrier_wait(&w->start);
	for (i = 0; i < NR_STEPS; i++)
		steps[w->order[i]](w);
	return NULL;
}

static void *order_backwards(void *arg)
{
	struct world *w = arg;
	unsigned int i;

	pthread_barrier_wait(&w->start);
	for (i = NR_STEPS; i-- > 0; )
		steps[w->order[i]](w);
	return NULL;
}

/* Order number @nr: the digits of @nr in the factorial system say which of the rest is next. */
static void order_of(unsigned int nr, uint8_t order[NR_STEPS])
{
	uint8_t rest[NR_STEPS];
	unsigned int i, k;

	for (i = 0; i < NR_STEPS; i++)
		rest[i] = i;
	for (i = NR_STEPS; i > 0; i--) {
		k = nr % i;
		nr /= i;
		order[NR_STEPS - i] = rest[k];
		memmove(rest + k, rest + k + 1, i - k - 1);
	}
}

static void try_order(unsigned int nr, uint8_t *mem)
{
	struct world w = { 0 };
	uint8_t order[NR_STEPS];
	pthread_t one, two;

	order_of(nr, order);
	vm_create(&w.vm, VM_BARE);
	w.vm.mem = mem;
	vm_slot(&w.vm, 0, 0, VM_MEMORY, mem, 0);
	w.order = order;
	pthread_barrier_init(&w.start, NULL, 2);
	REQUIRE(pthread_create(&one, NULL, order_forwards, &w) == 0);
	REQUIRE(pthread_create(&two, NULL, order_backwards, &w) == 0);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	if (w.vcpus)
		runner_stop(&w.runner);
	EXPECT_EQ(w.vcpus, 1);
	EXPECT_EQ(w.pits, 1);
	EXPECT(w.irqchips <= 1);
	/* A broken invariant would have ended the VM. */
	EXPECT_EQ(ioctl(w.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	w.vm.mem = NULL;
	vm_destroy(&w.vm);
	pthread_barrier_destroy(&w.start);
}

TEST(in_every_order_from_two_threads)
{
	uint8_t *mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	const char *orders = getenv("OKVM_ORDERS");
	unsigned int nr, stride = 720 / (orders ? atoi(orders) : ORDERS);

	REQUIRE(mem != MAP_FAILED);
	for (nr = 0; nr < 720; nr += stride)
		try_order(nr, mem);
	munmap(mem, VM_MEMORY);
}
