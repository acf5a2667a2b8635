// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-bench: what operations of a guest cost, in ticks of the TSC.
 *
 * In Bochs with "clock: sync=none" a tick is an instruction of host or guest, so the figures are
 * exact and repeatable; on a real CPU they are cycles. Each operation runs in a VM and a process of
 * its own, so that one that fails or hangs does not take the others with it. The figure is the
 * median of the samples, less the measurement's own cost. With --counts the figures are what a
 * machine that counts (count.h) has counted of the host's instructions.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "count.h"

#define HUGE_PAGE	(2ul << 20)
#define TOUCH_PAGES	512
#define TOUCH_HUGE	16
#define WARMUP		8
#define CREATE_ROUNDS	16
#define UNMAP_ROUNDS	16
#define UNMAP_AT	0x10000ul	/* the pages of a real-mode guest */
#define UNMAP_SIZE	0x80000ul
#define MAX_CPUS	4

#define EXIT_FAILED	1
#define EXIT_SKIPPED	4

extern const uint8_t guest_blob[], guest_blob_end[];

static const struct op {
	const char *name, *text;
	unsigned int cpus;
} ops[NR_OPS] = {
#define BENCH_OP_ROW(number, name, cpus, text) { name, text, cpus },
	BENCH_OPS(BENCH_OP_ROW)
#undef BENCH_OP_ROW
};

static const char create_name[] = "create";
static const char destroy_name[] = "destroy";

/* What the host pays to take memory away from vCPUs that fault it in all the time. */
static const struct unmap {
	const char *name, *text;
	unsigned int faulting;
} unmaps[] = {
	{ "unmap_1", "unmap 128 pages that a vCPU faults in", 1 },
	{ "unmap_3", "unmap 128 pages that three vCPUs fault in", 3 },
};

#define NR_UNMAPS	(sizeof(unmaps) / sizeof(unmaps[0]))

static struct options {
	const char *device, *op, *tsv;
	unsigned int samples, timeout;
	bool list, count;
} opt = { .device = "/dev/okvm", .samples = 200, .timeout = 120 };

struct vm {
	int dev, fd, cpu[MAX_CPUS];
	struct kvm_run *run[MAX_CPUS];
	struct bench_shared *shared;
	int event;		/* irqfd */
	enum bench_op op;
};

struct result {
	int64_t figure[NR_COUNTS];	/* the first alone, unless counting */
	int64_t destroy[NR_COUNTS];	/* of the rounds of creation */
	bool own;			/* not measured around the operation */
};

static void fail(const char *what)
{
	fprintf(stderr, "okvm-bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILED);
}

static void skip(const char *why)
{
	fprintf(stderr, "okvm-bench: skipped: %s\n", why);
	exit(EXIT_SKIPPED);
}

/* --op is a list with commas, or everything. */
static bool chosen(const char *name)
{
	const char *p = opt.op;
	size_t len = strlen(name);

	while (p && *p) {
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
		p = strchr(p, ',');
		if (p)
			p++;
	}
	return !opt.op;
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

static uint64_t stamp(enum count_mark mark)
{
	return opt.count ? count_mark(mark) : rdtsc();
}

static uint64_t ticks_per_ms(void)
{
	struct timespec from, to;
	uint64_t t0, t1;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &from);
	t0 = rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec;
	} while (ns < 5000000);
	t1 = rdtsc();
	return (t1 - t0) * 1000000 / ns;
}

static void add_slot(struct vm *vm, unsigned int slot, uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		fail("memory slot");
}

/* Anonymous memory whose address is a multiple of 2 MiB. */
static void *get_memory(uint64_t size, int advice, bool populate)
{
	uint8_t *map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		fail("guest memory");
	map = (uint8_t *)(((uintptr_t)map + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	madvise(map, size, advice);
	for (uint64_t i = 0; populate && i < size; i += 4096)
		map[i] = 1;
	return map;
}

/* Transparent huge pages if the host has them, else a reserved pool of them. */
static void *get_huge_memory(uint64_t size)
{
	char line[256];
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
	bool thp = f && fgets(line, sizeof(line), f) && !strstr(line, "[never]");
	void *map;

	if (f)
		fclose(f);
	if (thp)
		return get_memory(size, MADV_HUGEPAGE, true);
	f = fopen("/proc/sys/vm/nr_hugepages", "w");
	if (f) {
		fprintf(f, "%lu\n", size / HUGE_PAGE);
		fclose(f);
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (map == MAP_FAILED)
		skip("the host has no 2 MiB pages");
	return map;
}

static void build_tables(uint8_t *ram)
{
	uint64_t *table = (uint64_t *)(ram + GUEST_TABLES);
	const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };

	table[0] = (GUEST_TABLES + 0x1000) | 3;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (GUEST_TABLES + (2 + i) * 0x1000) | 3;
	for (uint64_t i = 0; i < 2048; i++)
		table[1024 + i] = i << 21 | 0x83;
	memcpy(ram + GUEST_GDT, gdt, sizeof(gdt));
}

static void set_long_mode(struct vm *vm, unsigned int cpu)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x10, .type = 0xb, .present = 1, .s = 1, .g = 1,
		.l = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x18, .type = 0x3, .present = 1, .s = 1, .g = 1,
		.db = 1,
	};
	struct kvm_regs regs = {
		.rip = GUEST_CODE, .rsp = GUEST_STACK(cpu), .rflags = 2, .rdi = cpu,
	};
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs s;

	if (ioctl(vm->cpu[cpu], KVM_GET_SREGS, &s))
		fail("KVM_GET_SREGS");
	s.cs = code;
	s.ds = data;
	s.es = data;
	s.fs = data;
	s.gs = data;
	s.ss = data;
	s.gdt.base = GUEST_GDT;
	s.gdt.limit = 31;
	s.cr3 = GUEST_TABLES;
	s.cr4 = 0x20;			/* PAE */
	s.cr0 = 0x80010031;		/* PG, WP, NE, ET, PE */
	s.efer = 0x500;			/* LME, LMA */
	if (ioctl(vm->cpu[cpu], KVM_SET_SREGS, &s) || ioctl(vm->cpu[cpu], KVM_SET_REGS, &regs) ||
	    ioctl(vm->cpu[cpu], KVM_SET_MP_STATE, &state))
		fail("the CPU's state");
}

static void set_cpuid(struct vm *vm, unsigned int cpu)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));

	if (!cpuid)
		fail("memory");
	cpuid->nent = 256;
	if (ioctl(vm->dev, KVM_GET_SUPPORTED_CPUID, cpuid))
		fail("KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 0)
			vm->shared->amd = e->ebx == 0x68747541;	/* "Auth" */
		if (e->function != 1)
			continue;
		e->ebx = (e->ebx & 0xffff) | 2 << 16 | cpu << 24;
		e->ecx |= 1u << 31 | 1u << 24 | 1u << 21;	/* hypervisor, deadline, x2APIC */
		e->edx |= 1u << 28;
	}
	if (ioctl(vm->cpu[cpu], KVM_SET_CPUID2, cpuid))
		fail("KVM_SET_CPUID2");
	free(cpuid);
}

static void add_cpu(struct vm *vm, unsigned int cpu, size_t run_size)
{
	vm->cpu[cpu] = ioctl(vm->fd, KVM_CREATE_VCPU, cpu);
	if (vm->cpu[cpu] < 0)
		fail("KVM_CREATE_VCPU");
	vm->run[cpu] = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->cpu[cpu], 0);
	if (vm->run[cpu] == MAP_FAILED)
		fail("run page");
}

/* An eventfd that interrupts CPU @cpu. */
static void add_irqfd(struct vm *vm, unsigned int cpu)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = {
			.gsi = IRQFD_GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = 0xfee00000 | cpu << 12, .data = VECTOR_EVENT },
		},
	};
	struct kvm_irqfd irqfd = { .gsi = IRQFD_GSI };

	vm->event = eventfd(0, EFD_NONBLOCK);
	irqfd.fd = vm->event;
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing) || ioctl(vm->fd, KVM_IRQFD, &irqfd))
		fail("irqfd");
}

static void add_ioeventfd(struct vm *vm, int fd, uint64_t addr, uint32_t len, uint32_t flags)
{
	struct kvm_ioeventfd kick = {
		.addr = addr, .len = len, .flags = flags, .fd = fd,
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &kick))
		fail("ioeventfd");
}

/* What only one operation needs, so that a hypervisor without it can run the others. */
static void add_extras(struct vm *vm)
{
	switch (vm->op) {
	case OP_IRQFD:
		add_irqfd(vm, 0);
		break;
	case OP_IPI_KICKED:
		add_irqfd(vm, 1);
		add_ioeventfd(vm, vm->event, PORT_EVENTFD, 1, KVM_IOEVENTFD_FLAG_PIO);
		break;
	case OP_EVENTFD_PIO:
		add_ioeventfd(vm, eventfd(0, EFD_NONBLOCK), PORT_EVENTFD, 1,
			      KVM_IOEVENTFD_FLAG_PIO);
		break;
	case OP_EVENTFD_MMIO:
		add_ioeventfd(vm, eventfd(0, EFD_NONBLOCK), MMIO_EVENTFD, 4, 0);
		break;
	case OP_TOUCH4K:
	case OP_PF_MAPPED:
		add_slot(vm, 1, TOUCH_4K, TOUCH_PAGES * 4096,
			 get_memory(TOUCH_PAGES * 4096, MADV_NOHUGEPAGE, true));
		break;
	case OP_TOUCH4K_FRESH:
		add_slot(vm, 1, TOUCH_4K_FRESH, TOUCH_PAGES * 4096,
			 get_memory(TOUCH_PAGES * 4096, MADV_NOHUGEPAGE, false));
		break;
	case OP_TOUCH2M:
		add_slot(vm, 1, TOUCH_2M, TOUCH_HUGE * HUGE_PAGE,
			 get_huge_memory(TOUCH_HUGE * HUGE_PAGE));
		break;
	default:
		break;
	}
}

static void open_vm(struct vm *vm)
{
	uint64_t identity = 0xfffbc000;

	vm->dev = open(opt.device, O_RDWR | O_CLOEXEC);
	if (vm->dev < 0)
		fail(opt.device);
	vm->fd = ioctl(vm->dev, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		fail("KVM_CREATE_VM");
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, identity + 0x1000))
		fail("KVM_SET_TSS_ADDR");
}

static void create_vm(struct vm *vm)
{
	struct kvm_pit_config pit = { 0 };
	uint8_t *ram;
	int run_size;

	open_vm(vm);
	run_size = ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) || ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
		fail("interrupt controllers");
	ram = get_memory(GUEST_SIZE, MADV_NOHUGEPAGE, true);
	memset(ram, 0, GUEST_SIZE);
	memcpy(ram + GUEST_CODE, guest_blob, guest_blob_end - guest_blob);
	build_tables(ram);
	add_slot(vm, 0, 0, GUEST_SIZE, ram);
	vm->shared = (struct bench_shared *)(ram + GUEST_SHARED);
	add_extras(vm);
	for (unsigned int i = 0; i < ops[vm->op].cpus; i++) {
		add_cpu(vm, i, run_size);
		set_cpuid(vm, i);
		set_long_mode(vm, i);
	}
}

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *peer_thread(void *arg)
{
	struct vm *vm = arg;

	pin(vm->op != OP_IPI_ROUND);
	for (;;)
		if (ioctl(vm->cpu[1], KVM_RUN, 0) && errno != EINTR && errno != EAGAIN)
			fail("KVM_RUN of the second CPU");
	return NULL;
}

static void start_peer(struct vm *vm)
{
	pthread_t thread;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		fail("sched_getaffinity");
	if (vm->op != OP_IPI_ROUND && (!CPU_ISSET(0, &set) || !CPU_ISSET(1, &set)))
		skip("needs two host CPUs");
	pin(0);
	if (pthread_create(&thread, NULL, peer_thread, vm))
		fail("pthread_create");
}

/* The exit path of userspace: as short as a VMM's can be. */
static void run_guest(struct vm *vm)
{
	struct kvm_run *run = vm->run[0];
	const uint64_t one = 1;

	for (;;) {
		if (ioctl(vm->cpu[0], KVM_RUN, 0)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			fail("KVM_RUN");
		}
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_DONE)
			return;
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_IRQFD &&
		    write(vm->event, &one, sizeof(one)) != sizeof(one))
			fail("eventfd");
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_YIELD)
			sched_yield();
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_FAULT) {
			fprintf(stderr, "okvm-bench: the guest took exception %u\n",
				*((uint8_t *)run + run->io.data_offset));
			exit(EXIT_FAILED);
		}
		if (run->exit_reason != KVM_EXIT_IO && run->exit_reason != KVM_EXIT_MMIO &&
		    run->exit_reason != KVM_EXIT_INTR) {
			fprintf(stderr, "okvm-bench: unexpected exit %u\n", run->exit_reason);
			exit(EXIT_FAILED);
		}
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(int64_t *sample, unsigned int n)
{
	qsort(sample, n, sizeof(*sample), compare);
	return sample[n / 2];
}

/* The figures of so many samples: the median of each count, or that of the ticks. */
static void medians(const uint64_t *sample, unsigned int n, int64_t figure[NR_COUNTS])
{
	int64_t each[MAX_SAMPLES];

	for (int what = 0; what < (opt.count ? NR_COUNTS : 1); what++) {
		for (unsigned int i = 0; i < n; i++)
			each[i] = opt.count ? count_of(sample[i], what) : (int64_t)sample[i];
		figure[what] = median(each, n);
	}
}

static void measure_guest(enum bench_op op, struct result *result)
{
	struct vm vm = { .op = op };
	unsigned int limit = op == OP_TOUCH2M ? TOUCH_HUGE : TOUCH_PAGES;

	create_vm(&vm);
	vm.shared->op = op;
	vm.shared->cpus = ops[op].cpus;
	vm.shared->warmup = op == OP_TOUCH2M ? 2 : WARMUP;
	vm.shared->samples = opt.samples + vm.shared->warmup > limit ?
			     limit - vm.shared->warmup : opt.samples;
	vm.shared->counting = opt.count;
	vm.shared->ticks_per_ms = ticks_per_ms();
	if (ops[op].cpus > 1)
		start_peer(&vm);
	run_guest(&vm);
	result->own = vm.shared->own;
	medians((const uint64_t *)vm.shared->sample, vm.shared->samples, result->figure);
}

/*
 * From KVM_CREATE_VM to the first exit of a real-mode guest, and from there until all is closed.
 * A profile has either the one or the other.
 */
static void create_rounds(uint64_t *create, uint64_t *destroy)
{
	static const uint8_t code[] = { 0xe6, 0x10, 0xf4 };	/* out %al, $0x10; hlt */
	enum count_mark middle = chosen(create_name) ? COUNT_END : COUNT_BEGIN;

	for (unsigned int i = 0; i < CREATE_ROUNDS; i++) {
		uint8_t *ram = get_memory(GUEST_SIZE, MADV_NOHUGEPAGE, true);
		struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
		struct kvm_sregs sregs;
		struct vm vm = { 0 };
		uint64_t t0, t1, t2;

		memcpy(ram + 0x1000, code, sizeof(code));
		t0 = stamp(COUNT_BEGIN);
		open_vm(&vm);
		add_slot(&vm, 0, 0, GUEST_SIZE, ram);
		add_cpu(&vm, 0, ioctl(vm.dev, KVM_GET_VCPU_MMAP_SIZE, 0));
		if (ioctl(vm.cpu[0], KVM_GET_SREGS, &sregs))
			fail("KVM_GET_SREGS");
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
		if (ioctl(vm.cpu[0], KVM_SET_SREGS, &sregs) ||
		    ioctl(vm.cpu[0], KVM_SET_REGS, &regs) || ioctl(vm.cpu[0], KVM_RUN, 0) ||
		    vm.run[0]->exit_reason != KVM_EXIT_IO)
			fail("first exit");
		t1 = stamp(middle);
		munmap(vm.run[0], ioctl(vm.dev, KVM_GET_VCPU_MMAP_SIZE, 0));
		close(vm.cpu[0]);
		close(vm.fd);
		close(vm.dev);
		t2 = stamp(COUNT_END);
		create[i] = t1 - t0;
		destroy[i] = t2 - t1;
	}
}

/* Real mode, from @rip with interrupts on. */
static void set_real_mode(struct vm *vm, unsigned int cpu, uint64_t rip)
{
	struct kvm_regs regs = { .rip = rip, .rflags = 0x202 };
	struct kvm_sregs sregs;

	if (ioctl(vm->cpu[cpu], KVM_GET_SREGS, &sregs))
		fail("KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vm->cpu[cpu], KVM_SET_SREGS, &sregs) || ioctl(vm->cpu[cpu], KVM_SET_REGS, &regs))
		fail("the CPU's state");
}

struct faulting {
	struct vm *vm;
	unsigned int nr;
};

static void *faulting_thread(void *arg)
{
	struct faulting *f = arg;

	pin(1 + f->nr);
	for (;;)
		if (ioctl(f->vm->cpu[f->nr], KVM_RUN, 0) && errno != EINTR && errno != EAGAIN)
			fail("KVM_RUN of a CPU that faults");
	return NULL;
}

static void need_cpus(unsigned int nr)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		fail("sched_getaffinity");
	while (nr--)
		if (!CPU_ISSET(nr, &set))
			skip("needs more host CPUs");
}

/* vCPUs that write to each of the pages, over and over, on CPUs of their own. */
static uint8_t *start_faulting(struct vm *vm, struct faulting *each, unsigned int nr)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x10,		/* start: mov $0x1000, %ax */
		0x8e, 0xd8,			/* 1: mov %ax, %ds */
		0xc6, 0x06, 0x00, 0x00, 0x01,	/* movb $1, 0 */
		0x05, 0x00, 0x01,		/* add $0x100, %ax */
		0x3d, 0x00, 0x90,		/* cmp $0x9000, %ax */
		0x72, 0xf1,			/* jb 1b */
		0xeb, 0xec,			/* jmp start */
	};
	uint8_t *ram = get_memory(GUEST_SIZE, MADV_NOHUGEPAGE, true);
	pthread_t thread;

	memcpy(ram + 0x1000, code, sizeof(code));
	open_vm(vm);
	add_slot(vm, 0, 0, GUEST_SIZE, ram);
	for (unsigned int i = 0; i < nr; i++) {
		add_cpu(vm, i, ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0));
		set_real_mode(vm, i, 0x1000);
		each[i] = (struct faulting){ vm, i };
		if (pthread_create(&thread, NULL, faulting_thread, &each[i]))
			fail("pthread_create");
	}
	return ram;
}

/* Wait until the host has all pages of [@mem, @mem + @size), which vCPUs access. */
static void wait_present(uint8_t *mem, size_t size)
{
	static unsigned char there[UNMAP_SIZE / 4096];

	do {
		usleep(2000);
		if (mincore(mem, size, there))
			fail("mincore");
	} while (memchr(there, 0, size / 4096));
}

static void measure_unmap(const struct unmap *unmap, struct result *result)
{
	static uint64_t took[UNMAP_ROUNDS];
	struct faulting each[MAX_CPUS];
	struct vm vm = { 0 };
	uint8_t *ram;
	uint64_t t0;

	need_cpus(1 + unmap->faulting);
	pin(0);
	ram = start_faulting(&vm, each, unmap->faulting);
	for (unsigned int i = 0; i < UNMAP_ROUNDS; i++) {
		wait_present(ram + UNMAP_AT, UNMAP_SIZE);
		t0 = rdtsc();
		if (madvise(ram + UNMAP_AT, UNMAP_SIZE, MADV_DONTNEED))
			fail("madvise");
		took[i] = rdtsc() - t0;
	}
	medians(took, UNMAP_ROUNDS, result->figure);
}

/* What @op is: an operation, NR_OPS for creation, or behind that an unmapping. */
static void child(int fd, int op)
{
	struct result result = { 0 };

	if (op > NR_OPS) {
		measure_unmap(&unmaps[op - NR_OPS - 1], &result);
	} else if (op == NR_OPS) {
		static uint64_t create[CREATE_ROUNDS], destroy[CREATE_ROUNDS];

		create_rounds(create, destroy);
		medians(create, CREATE_ROUNDS, result.figure);
		medians(destroy, CREATE_ROUNDS, result.destroy);
	} else {
		measure_guest(op, &result);
	}
	if (write(fd, &result, sizeof(result)) != sizeof(result))
		fail("pipe");
	exit(0);
}

/* Returns 0 with the result, EXIT_FAILED or EXIT_SKIPPED. */
static int in_child(int op, const char *name, struct result *result)
{
	int pipefd[2], status;
	struct pollfd pfd;
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	if (pipe2(pipefd, O_CLOEXEC))
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid)
		child(pipefd[1], op);
	close(pipefd[1]);
	pfd = (struct pollfd) { .fd = pipefd[0], .events = POLLIN };
	if (!poll(&pfd, 1, opt.timeout * 1000)) {
		fprintf(stderr, "okvm-bench: %s: no result after %u s\n", name, opt.timeout);
		kill(pid, SIGKILL);
	}
	n = read(pipefd[0], result, sizeof(*result));
	close(pipefd[0]);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		return EXIT_SKIPPED;
	if (n == (ssize_t)sizeof(*result))
		return 0;
	fprintf(stderr, "okvm-bench: %s failed\n", name);
	return EXIT_FAILED;
}

static void report(FILE *tsv, const char *name, const char *text, uint64_t value)
{
	printf("%-16s %10llu  %s\n", name, (unsigned long long)value, text);
	fflush(stdout);
	if (!tsv)
		return;
	fprintf(tsv, "%s\t%llu\n", name, (unsigned long long)value);
	fflush(tsv);
}

static void report_counts(const char *name, const int64_t count[NR_COUNTS])
{
	printf("counts %-16s", name);
	for (int what = 0; what < NR_COUNTS; what++)
		printf(" %lld", (long long)count[what]);
	printf("\n");
	fflush(stdout);
}

/* The ticks of the measurement itself are not the operation's; it has no counts. */
static void report_op(FILE *tsv, int op, const struct result *result, int64_t empty)
{
	int64_t ticks = result->figure[0];

	if (opt.count) {
		report_counts(ops[op].name, result->figure);
		return;
	}
	if (op != OP_EMPTY && !result->own)
		ticks = ticks > empty ? ticks - empty : 0;
	report(tsv, ops[op].name, ops[op].text, ticks);
}

static int run_create(FILE *tsv)
{
	struct result result;

	if (in_child(NR_OPS, create_name, &result))
		return EXIT_FAILED;
	if (opt.count) {
		report_counts(create_name, result.figure);
		report_counts(destroy_name, result.destroy);
		return 0;
	}
	report(tsv, create_name, "create VM and vCPU, up to the first exit", result.figure[0]);
	report(tsv, destroy_name, "close them", result.destroy[0]);
	return 0;
}

/* There are no counts: what others do at the same time would be among them. */
static int run_unmaps(FILE *tsv)
{
	int worst = 0;

	for (unsigned int i = 0; i < NR_UNMAPS && !opt.count; i++) {
		struct result result;
		int status;

		if (!chosen(unmaps[i].name))
			continue;
		status = in_child(NR_OPS + 1 + i, unmaps[i].name, &result);
		if (status == EXIT_FAILED)
			worst = status;
		if (!status)
			report(tsv, unmaps[i].name, unmaps[i].text, result.figure[0]);
	}
	return worst;
}

static int run_all(FILE *tsv)
{
	int64_t empty = 0;
	int worst = 0;

	for (int op = 0; op < NR_OPS; op++) {
		struct result result;
		int status;

		if (!chosen(ops[op].name) && (op != OP_EMPTY || opt.count))
			continue;
		status = in_child(op, ops[op].name, &result);
		if (status == EXIT_FAILED)
			worst = status;
		if (status)
			continue;
		if (op == OP_EMPTY)
			empty = result.figure[0];
		report_op(tsv, op, &result, empty);
	}
	if ((chosen(create_name) || chosen(destroy_name)) && run_create(tsv))
		worst = EXIT_FAILED;
	return run_unmaps(tsv) ? EXIT_FAILED : worst;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'D':
		opt.device = arg;
		break;
	case 'o':
		opt.op = arg;
		break;
	case 't':
		opt.tsv = arg;
		break;
	case 'n':
		opt.samples = atoi(arg);
		if (opt.samples < 1 || opt.samples > MAX_SAMPLES)
			argp_error(state, "--samples is 1 to %d", MAX_SAMPLES);
		break;
	case 'T':
		opt.timeout = atoi(arg);
		break;
	case 'l':
		opt.list = true;
		break;
	case 'c':
		opt.count = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option argp_options[] = {
	{ "device", 'D', "PATH", 0, "hypervisor (/dev/okvm)", 0 },
	{ "op", 'o', "NAME,...", 0, "these operations only", 0 },
	{ "tsv", 't', "FILE", 0, "write 'name<TAB>value' lines to FILE as well", 0 },
	{ "samples", 'n', "N", 0, "samples per operation (200)", 0 },
	{ "timeout", 'T', "SEC", 0, "for each operation (120)", 0 },
	{ "list", 'l', NULL, 0, "name the operations", 0 },
	{ "counts", 'c', NULL, 0, "count VMREADs, VMWRITEs, MSR accesses, locked instructions", 0 },
	{ 0 }
};

static const struct argp argp = {
	.options = argp_options, .parser = parse_opt,
	.doc = "Measure what operations of a guest cost, in ticks of the TSC.",
};

int main(int argc, char **argv)
{
	FILE *tsv = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &opt);
	if (opt.list) {
		for (unsigned int i = 0; i < NR_OPS; i++)
			printf("%-16s %s\n", ops[i].name, ops[i].text);
		printf("%-16s\n%-16s\n", create_name, destroy_name);
		for (unsigned int i = 0; i < NR_UNMAPS; i++)
			printf("%-16s %s\n", unmaps[i].name, unmaps[i].text);
		return 0;
	}
	if (opt.count && count_mark(COUNT_END) == COUNT_ADDRESS + COUNT_END) {
		fprintf(stderr, "okvm-bench: this machine does not count\n");
		return EXIT_SKIPPED;
	}
	if (opt.tsv) {
		tsv = fopen(opt.tsv, "w");
		if (!tsv)
			fail(opt.tsv);
	}
	status = run_all(tsv);
	if (opt.count)
		count_mark(COUNT_WRITE);
	return status;
}
