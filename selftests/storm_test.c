// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads do anything to one VM, for some seconds: its chips, timer and vCPUs are made when it
 * suits some thread, its guests run, its memory comes and goes, its interrupts are wired and
 * unwired, states are read, garbled and restored, descriptors are copied, closed and inherited.
 * What the ioctls answer does not matter. Everything must end, the VM must not be declared broken,
 * and the host must have nothing to say (the bench looks for that).
 *
 * OKVM_STORM_SEED and OKVM_STORM_MS in the environment choose the numbers and the time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define STORM_MS	3000	/* unless the environment says otherwise */
#define STORM_VCPUS	3
#define STORM_FDS	8
#define AREA_GPA	0x100000u	/* slots come and go from here on */
#define AREA_PAGES	256u
#define AREA_SIZE	(AREA_PAGES * 4096u)
#define DOORBELL	0xd0000000u	/* no memory there */

struct storm {
	struct vm vm;
	int vcpu[STORM_VCPUS];	/* -1 until it is there; then its @run is, too */
	struct kvm_run *run[STORM_VCPUS];
	pthread_t runner[STORM_VCPUS];
	int event[STORM_FDS];
	uint8_t *area;		/* host memory behind the slots */
	int memfd;
};

static struct storm storm;
static unsigned int storm_seed;
static volatile bool storm_over;

/* ---- random numbers: a sequence for each thread ---- */

static __thread uint64_t random_state;

static uint32_t rnd(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % n;
}

static uint32_t rnd32(void)
{
	return rnd(1u << 16) << 16 | rnd(1u << 16);
}

static uint64_t rnd64(void)
{
	return (uint64_t)rnd32() << 32 | rnd32();
}

/* A number that some limit is near to. */
static uint64_t odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 23, 24, 255, 256, 4095, 4096, 0x7fffffff, ~0ull };

	return odd[rnd(sizeof(odd) / sizeof(odd[0]))] + rnd(3) - 1;
}

static void garble(void *data, size_t size)
{
	unsigned int n = rnd(6);
	uint8_t *bytes = data;

	if (!rnd(8))
		memset(bytes, rnd(2) ? 0xff : 0, size);
	for (; n; n--)
		bytes[rnd(size)] = rnd(256);
}

/* ---- the guest: 32-bit, flat, without paging ---- */

GUEST(wander, 32)
	"1:	imul $1664525, %esi\n"
	"	add $1013904223, %esi\n"
	"	mov %esi, %eax\n"
	"	shr $12, %eax\n"
	"	and $0xffffc, %eax\n"
	"	incl 0x100000(%eax)\n"		/* memory that may not be there */
	"	mov %esi, %ebx\n"
	"	shr $25, %ebx\n"
	"	jz 2f\n"
	"	cmp $1, %ebx\n"
	"	je 3f\n"
	"	cmp $2, %ebx\n"
	"	je 4f\n"
	"	cmp $3, %ebx\n"
	"	je 5f\n"
	"	cmp $4, %ebx\n"
	"	je 6f\n"
	"	cmp $5, %ebx\n"
	"	je 7f\n"
	"	jmp 1b\n"
	"2:	mov %esi, 0xd0000000\n"		/* the doorbell */
	"	mov %al, %dl\n"
	"	mov $0xd000, %dx\n"
	"	out %eax, %dx\n"
	"	jmp 1b\n"
	"3:	mov %esi, %edx\n"
	"	shr $8, %edx\n"
	"	and $0x3f, %edx\n"		/* PIC, PIT and what lies between */
	"	in %dx, %al\n"
	"	mov $0x43, %edx\n"
	"	out %al, %dx\n"
	"	jmp 1b\n"
	"4:	mov %esi, %edx\n"
	"	shr $8, %edx\n"
	"	and $0x3f0, %edx\n"
	"	mov 0xfee00000(%edx), %eax\n"
	"	and $0x1f, %esi\n"
	"	mov %esi, 0xfec00000\n"
	"	mov %eax, 0xfec00010\n"
	"	jmp 1b\n"
	"5:	mov $0x4b564d00, %ecx\n"
	"	and $7, %al\n"
	"	mov %al, %cl\n"
	"	mov %esi, %eax\n"
	"	and $0x1fffc1, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"			/* records in memory that may not be there */
	"	jmp 1b\n"
	"6:	mov $5, %eax\n"			/* a hypercall */
	"	mov %esi, %ebx\n"
	"	vmcall\n"
	"	cpuid\n"
	"	jmp 1b\n"
	"7:	sti\n"
	"	hlt\n"
	"	cli\n"
	"	jmp 1b\n"
GUEST_END(wander);

/* Interrupts are acknowledged to everybody; exceptions end in a fault of their handler. */
GUEST(acknowledge, 32)
	"	push %eax\n"
	"	movl $0, 0xfee000b0\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x20\n"
	"	out %al, $0xa0\n"
	"	pop %eax\n"
	"	iret\n"
GUEST_END(acknowledge);

#define GUEST_IDT	0x4000u
#define GUEST_HANDLER	0x6000u

static void guest_write(void)
{
	uint64_t gate = (uint64_t)(GUEST_HANDLER & 0xffff) | 8ull << 16 | 0x8e00ull << 32;
	uint64_t *idt = (void *)(storm.vm.mem + GUEST_IDT);
	unsigned int i;

	memcpy(storm.vm.mem + VM_CODE, guest_wander, guest_wander_end - guest_wander);
	memcpy(storm.vm.mem + GUEST_HANDLER, guest_acknowledge,
	       guest_acknowledge_end - guest_acknowledge);
	for (i = 0; i < 256; i++)
		idt[i] = gate;
}

/* A state in which the guest runs. */
static void guest_reset(int vcpu)
{
	struct kvm_segment cs = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1,
		.g = 1,
	}, ds = cs;
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = VM_CODE, .rsi = rnd32() };
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) || ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events))
		return;
	ds.type = 3;
	ds.selector = 16;
	sregs.cs = cs;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = ds;
	sregs.idt.base = GUEST_IDT;
	sregs.idt.limit = 0x7ff;
	sregs.cr0 = 0x31;
	sregs.cr4 = 0x600;
	sregs.efer = 0;
	sregs.apic_base = 0xfee00800;
	events.exception.injected = 0;
	events.interrupt.injected = 0;
	events.nmi.injected = 0;
	ioctl(vcpu, KVM_SET_MP_STATE, &mp);
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* ---- what the threads do: one step each ---- */

static void vcpu_anyhow(unsigned int i)
{
	int fd = ioctl(storm.vm.fd, KVM_CREATE_VCPU, i);

	if (fd < 0)
		return;		/* it is there */
	storm.run[i] = mmap(NULL, ioctl(storm.vm.sys, KVM_GET_VCPU_MMAP_SIZE, 0),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(storm.run[i] != MAP_FAILED);
	vcpu_cpuid(&storm.vm, fd);
	guest_reset(fd);
	__atomic_store_n(&storm.vcpu[i], fd, __ATOMIC_RELEASE);
}

/* Mostly the chips come before the first vCPU: afterwards they cannot. */
static void create_anyhow(void)
{
	struct kvm_pit_config pit = { .flags = rnd(4) ? KVM_PIT_SPEAKER_DUMMY : rnd(4) };
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	unsigned int what = rnd(16);

	if (what < 6)
		ioctl(storm.vm.fd, KVM_CREATE_IRQCHIP, 0);
	else if (what < 7)
		ioctl(storm.vm.fd, KVM_ENABLE_CAP, &split);
	else if (what < 12)
		ioctl(storm.vm.fd, KVM_CREATE_PIT2, &pit);
	else if (what < 14)
		vcpu_anyhow(rnd(STORM_VCPUS));
	usleep(rnd(500));
}

static __thread unsigned int runs;

static void do_run(void)
{
	unsigned int i;

	for (i = 0; i < STORM_VCPUS - 1; i++)
		if (pthread_equal(storm.runner[i], pthread_self()))
			break;
	if (storm.vcpu[i] < 0 || !rnd(512)) {
		create_anyhow();
		return;
	}
	if (ioctl(storm.vcpu[i], KVM_RUN, 0) == 0 && runs++ % 32 &&
	    (storm.run[i]->exit_reason == KVM_EXIT_IO ||
	     storm.run[i]->exit_reason == KVM_EXIT_MMIO))
		return;
	guest_reset(storm.vcpu[i]);
}

static void slot_anyhow(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1 + rnd(6),
		.flags = rnd(4),
		.guest_phys_addr = AREA_GPA + rnd(AREA_PAGES) * 4096,
		.memory_size = rnd(3) ? rnd(64) * 4096 : 0,
		.userspace_addr = (uintptr_t)storm.area + rnd(AREA_PAGES / 2) * 4096,
	};

	/* But no other memory of this process: its guests would write to it. */
	if (!rnd(16)) {
		region.flags = rnd32();
		region.guest_phys_addr = odd_number() << (rnd(2) ? 12 : 0);
	}
	if (!rnd(32))
		region.userspace_addr = rnd(2) ? 1ull << 47 : ~0xfffull;
	/* Slot 0 holds the guest's code. */
	region.slot += !region.slot;
	ioctl(storm.vm.fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void log_anyhow(void)
{
	static uint64_t bitmap[1024];
	struct kvm_dirty_log get = { .slot = rnd(8), .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = rnd(8), .num_pages = rnd(3) * 64, .first_page = rnd(2) * 64,
		.dirty_bitmap = bitmap,
	};
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { rnd(4) },
	};

	ioctl(storm.vm.fd, KVM_GET_DIRTY_LOG, &get);
	ioctl(storm.vm.fd, KVM_CLEAR_DIRTY_LOG, &clear);
	if (!rnd(8))
		ioctl(storm.vm.fd, KVM_ENABLE_CAP, &cap);
}

static void host_memory_anyhow(void)
{
	unsigned int page = rnd(AREA_PAGES), n = 1 + rnd(AREA_PAGES - page);
	uint8_t *at = storm.area + page * 4096;
	size_t size = n * 4096;

	switch (rnd(6)) {
	case 0:
		madvise(at, size, MADV_DONTNEED);
		break;
	case 1:
		mprotect(at, size, PROT_READ);
		break;
	case 2:
		mprotect(at, size, PROT_READ | PROT_WRITE);
		break;
	case 3:
		/* Not a hole, which the C library might take. */
		mmap(at, size, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 4:
		fallocate(storm.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * 4096,
			  size);
		break;
	default:
		if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_FIXED |
			 (rnd(2) ? MAP_SHARED : MAP_PRIVATE), storm.memfd, page * 4096) ==
		    MAP_FAILED)
			madvise(at, size, MADV_WILLNEED);
	}
}

static void do_memory(void)
{
	unsigned int what = rnd(8);

	if (what < 3)
		slot_anyhow();
	else if (what < 4)
		log_anyhow();
	else
		host_memory_anyhow();
}

static void irqfd_anyhow(void)
{
	struct kvm_irqfd args = {
		.fd = storm.event[rnd(STORM_FDS)], .gsi = rnd(8) ? rnd(30) : odd_number(),
		.flags = rnd(4), .resamplefd = storm.event[rnd(STORM_FDS)],
	};
	struct kvm_ioeventfd io = {
		.addr = rnd(4) ? DOORBELL : odd_number(), .len = rnd(4) * 4 / 2,
		.fd = storm.event[rnd(STORM_FDS)], .flags = rnd(8), .datamatch = rnd(2),
	};
	struct kvm_coalesced_mmio_zone zone = {
		.addr = DOORBELL, .size = rnd(3) * 8, .pio = rnd(3),
	};

	if (io.flags & KVM_IOEVENTFD_FLAG_PIO)
		io.addr = 0xd000;
	ioctl(storm.vm.fd, KVM_IRQFD, &args);
	ioctl(storm.vm.fd, KVM_IOEVENTFD, &io);
	ioctl(storm.vm.fd, rnd(2) ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
	      &zone);
}

/* Another eventfd in the place of one that may be in use. */
static void event_anyhow(void)
{
	int *fd = &storm.event[rnd(STORM_FDS)], new;
	uint64_t one = 1;

	if (write(*fd, &one, sizeof(one)) < 0 || rnd(8))
		return;
	new = eventfd(rnd(2), EFD_NONBLOCK);
	dup2(new, *fd);
	close(new);
}

static void routes_anyhow(void)
{
	static __thread struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[64];
	} table;
	unsigned int i, nr = rnd(65);

	memset(&table, 0, sizeof(table));
	table.head.nr = rnd(32) ? nr : odd_number();
	for (i = 0; i < nr; i++) {
		struct kvm_irq_routing_entry *e = &table.entry[i];

		e->gsi = i;
		e->type = rnd(32) ? KVM_IRQ_ROUTING_IRQCHIP + (i & 1) : rnd(6);
		if (e->type == KVM_IRQ_ROUTING_MSI) {
			e->u.msi.address_lo = 0xfee00000 | rnd(3) << 12 | rnd(16);
			e->u.msi.data = rnd32() & 0xffff;
		} else {
			e->u.irqchip.irqchip = rnd(32) ? KVM_IRQCHIP_IOAPIC : rnd(5);
			e->u.irqchip.pin = rnd(32) ? i % 24 : odd_number();
		}
	}
	ioctl(storm.vm.fd, KVM_SET_GSI_ROUTING, &table);
}

static void chips_anyhow(void)
{
	struct kvm_irqchip chip = { .chip_id = rnd(4) };
	struct kvm_reinject_control control = { .pit_reinject = rnd(2) };
	struct kvm_clock_data clock = { .clock = rnd64(), .flags = rnd(16) };
	struct kvm_pit_state2 pit;

	if (!ioctl(storm.vm.fd, KVM_GET_IRQCHIP, &chip)) {
		garble(&chip.chip, sizeof(chip.chip));
		ioctl(storm.vm.fd, KVM_SET_IRQCHIP, &chip);
	}
	if (!ioctl(storm.vm.fd, KVM_GET_PIT2, &pit)) {
		garble(&pit, sizeof(pit));
		ioctl(storm.vm.fd, KVM_SET_PIT2, &pit);
	}
	ioctl(storm.vm.fd, KVM_REINJECT_CONTROL, &control);
	ioctl(storm.vm.fd, KVM_SET_CLOCK, &clock);
}

static void do_interrupts(void)
{
	struct kvm_irq_level line = { .irq = rnd(8) ? rnd(24) : odd_number(), .level = rnd(2) };
	struct kvm_msi msi = {
		.address_lo = 0xfee00000 | rnd(3) << 12, .data = rnd32() & 0xffff,
	};

	if (!rnd(8))
		garble(&msi, sizeof(msi));
	if (!rnd(64))
		create_anyhow();
	switch (rnd(8)) {
	case 0:
		irqfd_anyhow();
		break;
	case 1:
		routes_anyhow();
		break;
	case 2:
		chips_anyhow();
		break;
	case 3:
		ioctl(storm.vm.fd, KVM_SIGNAL_MSI, &msi);
		break;
	case 4:
	case 5:
		ioctl(storm.vm.fd, rnd(2) ? KVM_IRQ_LINE : KVM_IRQ_LINE_STATUS, &line);
		break;
	default:
		event_anyhow();
	}
}

static const struct {
	unsigned long get, set;
	size_t size;
} states[] = {
#define STATE(name, type) { KVM_GET_##name, KVM_SET_##name, sizeof(struct type) }
	STATE(REGS, kvm_regs), STATE(SREGS, kvm_sregs), STATE(FPU, kvm_fpu),
	STATE(XSAVE, kvm_xsave), STATE(XCRS, kvm_xcrs), STATE(DEBUGREGS, kvm_debugregs),
	STATE(VCPU_EVENTS, kvm_vcpu_events), STATE(MP_STATE, kvm_mp_state),
	STATE(LAPIC, kvm_lapic_state),
};

static void msrs_anyhow(int vcpu)
{
	static const uint32_t numbers[] = {
		0x10, 0x1b, 0x3a, 0x3b, 0x48, 0x122, 0x174, 0x175, 0x1a0, 0x1d9, 0x277, 0x2ff,
		0x400, 0x6e0, 0x80b, 0x830, 0xda0, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03,
		0x4b564d04, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000100, 0xc0000102, 0xc0000103,
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1 };

	msrs.entry.index = numbers[rnd(sizeof(numbers) / sizeof(numbers[0]))];
	msrs.entry.data = rnd(2) ? rnd64() : rnd(0x200000);
	ioctl(vcpu, KVM_SET_MSRS, &msrs);
}

/* The vCPU's own thread holds it most of the time. */
static void interrupt_runner(unsigned int i)
{
	if (i < STORM_VCPUS - 1 && storm.runner[i])
		pthread_kill(storm.runner[i], SIGUSR1);
}

static void do_states(void)
{
	static __thread uint8_t data[4096] __attribute__((aligned(64)));
	unsigned int i = rnd(STORM_VCPUS), s = rnd(sizeof(states) / sizeof(states[0]));
	struct kvm_guest_debug debug = { .control = rnd(2) ? rnd32() : 0 };
	struct kvm_interrupt irq = { .irq = rnd(300) };

	interrupt_runner(i);
	switch (rnd(8)) {
	case 0:
		msrs_anyhow(storm.vcpu[i]);
		break;
	case 1:
		ioctl(storm.vcpu[i], KVM_NMI, 0);
		ioctl(storm.vcpu[i], KVM_INTERRUPT, &irq);
		break;
	case 2:
		ioctl(storm.vcpu[i], KVM_SET_GUEST_DEBUG, &debug);
		ioctl(storm.vcpu[i], KVM_SET_TSC_KHZ, rnd32());
		break;
	case 3:
		/* Whoever maps kvm_run may write to it at any time. */
		if (storm.vcpu[i] >= 0)
			garble(storm.run[i], sizeof(struct kvm_run));
		break;
	default:
		if (ioctl(storm.vcpu[i], states[s].get, data))
			break;
		garble(data, states[s].size);
		ioctl(storm.vcpu[i], states[s].set, data);
	}
}

static void child_anyhow(void)
{
	pid_t pid = fork();

	if (!pid) {
		alarm(20);
		ioctl(storm.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP);
		ioctl(storm.vcpu[0], KVM_RUN, 0);
		close(storm.vm.fd);
		if (storm.vcpu[0] >= 0)
			storm.run[0]->request_interrupt_window = rnd(2);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* A second VM, in the same slots of the kernel's caches. */
static void other_vm_anyhow(void)
{
	int vm = ioctl(storm.vm.sys, KVM_CREATE_VM, 0), vcpu, stats;
	char text[64];

	if (rnd(2))
		ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, rnd(3));
	stats = ioctl(vm, KVM_GET_STATS_FD, 0);
	if (rnd(2)) {
		close(vm);
		vm = -1;
	}
	if (pread(stats, text, sizeof(text), rnd(4096)) < 0)
		ioctl(vcpu, KVM_RUN, 0);
	close(stats);
	close(vcpu);
	close(vm);
}

static void do_descriptors(void)
{
	/* Larger than what any ioctl writes back. */
	static uint8_t argument[1 << 18] __attribute__((aligned(64)));
	int copy = dup(rnd(2) ? storm.vm.fd : storm.vcpu[rnd(STORM_VCPUS)]), stats;
	void *map;

	switch (rnd(6)) {
	case 0:
		child_anyhow();
		break;
	case 1:
		other_vm_anyhow();
		break;
	case 2:
		map = mmap(NULL, 4 * 4096, PROT_READ, MAP_SHARED, copy, 0);
		if (map != MAP_FAILED)
			munmap(map, 4 * 4096);
		break;
	case 3:
		stats = ioctl(copy, KVM_GET_STATS_FD, 0);
		if (read(stats, argument, 512) < 0)
			usleep(1);
		close(stats);
		break;
	default:
		/* Any ioctl, with any argument, but for the one that waits. */
		memset(argument, 0, 512);
		garble(argument, 512);
		ioctl(copy, _IOC(rnd(4), KVMIO, rnd(0xd0), rnd(2) ? rnd(512) : rnd(64)), argument);
	}
	close(copy);
}

/* ---- the threads ---- */

struct role {
	const char *name;
	void (*step)(void);
	unsigned int pause_us;
};

static const struct role roles[] = {
	{ "vcpu 0", do_run }, { "vcpu 1", do_run },
	{ "memory", do_memory, 100 }, { "interrupts", do_interrupts, 100 },
	{ "states", do_states, 200 }, { "descriptors", do_descriptors, 200 },
};

#define NR_ROLES	(sizeof(roles) / sizeof(roles[0]))

static unsigned long steps[NR_ROLES];

static void *play(void *arg)
{
	unsigned int i = (uintptr_t)arg;

	random_state = storm_seed * 64ull + i;
	if (i < STORM_VCPUS - 1)
		storm.runner[i] = pthread_self();
	while (!storm_over) {
		roles[i].step();
		steps[i]++;
		if (roles[i].pause_us)
			usleep(rnd(roles[i].pause_us));
	}
	return NULL;
}

static void on_signal(int nr)
{
	(void)nr;
}

static unsigned int number_from(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void storm_create(void)
{
	unsigned int i;

	vm_create(&storm.vm, VM_BARE);
	storm.vm.mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	storm.memfd = memfd_create("area", 0);
	REQUIRE(storm.vm.mem != MAP_FAILED && storm.memfd >= 0);
	REQUIRE(ftruncate(storm.memfd, AREA_SIZE) == 0);
	storm.area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, storm.memfd, 0);
	REQUIRE(storm.area != MAP_FAILED);
	vm_slot(&storm.vm, 0, 0, AREA_GPA, storm.vm.mem, 0);
	guest_write();
	for (i = 0; i < STORM_VCPUS; i++)
		storm.vcpu[i] = -1;
	for (i = 0; i < STORM_FDS; i++)
		storm.event[i] = eventfd(0, EFD_NONBLOCK);
}

/* Wake who waits in the kernel until all have noticed that it is over. */
static void storm_end(pthread_t *threads)
{
	struct timespec until;
	unsigned int i;
	int ret;

	storm_over = true;
	for (i = 0; i < NR_ROLES; i++) {
		do {
			pthread_kill(threads[i], SIGUSR1);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 20000000;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
			ret = pthread_timedjoin_np(threads[i], NULL, &until);
		} while (ret == ETIMEDOUT);
		printf("# %s: %lu steps\n", roles[i].name, steps[i]);
	}
}

TEST(a_storm)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t threads[NR_ROLES];
	unsigned int i;

	if (getrandom(&storm_seed, sizeof(storm_seed), 0) != sizeof(storm_seed))
		storm_seed = time(NULL);
	storm_seed = number_from("OKVM_STORM_SEED", storm_seed);
	printf("# OKVM_STORM_SEED=%u\n", storm_seed);
	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	storm_create();
	for (i = 0; i < NR_ROLES; i++)
		REQUIRE(pthread_create(&threads[i], NULL, play, (void *)(uintptr_t)i) == 0);
	usleep(number_from("OKVM_STORM_MS", STORM_MS) * 1000);
	storm_end(threads);
	/* A broken invariant would have ended it. */
	EXPECT(ioctl(storm.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP) == 1);
}
