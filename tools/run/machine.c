// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: the machine, that is VM, memory, interrupt controllers, vCPUs and their CPUID.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

#define CPUID_ENTRIES	256
#define HUGE_PAGE	(2ull << 20)

static void open_device(struct machine *m, const char *path)
{
	m->dev_fd = open(path, O_RDWR | O_CLOEXEC);
	if (m->dev_fd >= 0)
		return;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		die("%s does not exist: 'insmod okvm.ko', or choose another with --device", path);
	case EACCES:
	case EPERM:
		die("no permission to open %s: 'usermod -aG kvm $USER', then log in again", path);
	default:
		die("%s: %s", path, strerror(errno));
	}
}

static int capability(struct machine *m, int cap)
{
	int value = ioctl(m->dev_fd, KVM_CHECK_EXTENSION, cap);

	return value < 0 ? 0 : value;
}

static void check_device(struct machine *m, const struct options *opt)
{
	int version = ioctl(m->dev_fd, KVM_GET_API_VERSION, 0);
	int max;

	if (version != KVM_API_VERSION)
		die("%s is not a KVM device (its API version is %d, not %d)", opt->device, version,
		    KVM_API_VERSION);
	max = capability(m, KVM_CAP_MAX_VCPUS);
	if (max && opt->cpus > (unsigned int)max)
		die("%s supports at most %d CPUs: lower --cpus", opt->device, max);
	if (opt->irqchip && (!capability(m, KVM_CAP_IRQCHIP) || !capability(m, KVM_CAP_PIT2)))
		die("%s has no in-kernel interrupt controllers, which this needs", opt->device);
}

static void choose_mmu(struct machine *m, const struct options *opt)
{
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_MMU, .args = { opt->mmu } };

	if (opt->mmu < 0)
		return;
	if (!(capability(m, OKVM_CAP_MMU) & 1 << opt->mmu))
		die("%s cannot translate memory in this way: leave out --mmu", opt->device);
	if (ioctl(m->fd, KVM_ENABLE_CAP, &cap))
		die("cannot choose how memory is translated: %s", strerror(errno));
}

/* Before the first vCPU; a device without it shows counters alone. */
static void measure_exits(struct machine *m)
{
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_EXIT_TIMES, .args = { 1 } };

	if (capability(m, OKVM_CAP_EXIT_TIMES))
		ioctl(m->fd, KVM_ENABLE_CAP, &cap);
}

static void create_vm(struct machine *m, const struct options *opt)
{
	uint64_t identity = ADDR_IDENTITY;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	m->fd = ioctl(m->dev_fd, KVM_CREATE_VM, 0);
	if (m->fd < 0 && errno == EBUSY)
		die("%s: another hypervisor has the CPU: end its VMs, or unload it", opt->device);
	/* EIO is what the hypervisor answers when a CPU refuses, and then it has logged why. */
	if (m->fd < 0)
		die("%s: cannot create a VM: %s%s", opt->device, strerror(errno),
		    errno == EIO ? " (see 'dmesg')" : "");
	choose_mmu(m, opt);
	m->can_kick = capability(m, OKVM_CAP_CONTROL) > 0;
	if (opt->stats)
		measure_exits(m);
	if (ioctl(m->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) ||
	    ioctl(m->fd, KVM_SET_TSS_ADDR, ADDR_TSS))
		die("cannot place KVM's own pages: %s", strerror(errno));
	if (!opt->irqchip)
		return;
	if (ioctl(m->fd, KVM_CREATE_IRQCHIP, 0) || ioctl(m->fd, KVM_CREATE_PIT2, &pit))
		die("cannot create the interrupt controllers: %s", strerror(errno));
}

static void add_slot(struct machine *m, unsigned int slot, uint64_t gpa, uint64_t size,
		     uint8_t *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (size && ioctl(m->fd, KVM_SET_USER_MEMORY_REGION, &region))
		die("cannot give the guest memory at %#llx: %s", (unsigned long long)gpa,
		    strerror(errno));
}

/* One mapping, 2 MiB aligned so that the host can back it with huge pages. */
static void create_memory(struct machine *m, uint64_t size)
{
	uint8_t *map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		die("cannot get %llu MiB for the guest: %s; lower --memory",
		    (unsigned long long)(size >> 20), strerror(errno));
	m->ram = (uint8_t *)(((uintptr_t)map + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	madvise(m->ram, size, MADV_HUGEPAGE);
	m->ram_low = size < ADDR_HOLE ? size : ADDR_HOLE;
	m->ram_high = size - m->ram_low;
	add_slot(m, 0, 0, m->ram_low, m->ram);
	add_slot(m, 1, ADDR_HIGH, m->ram_high, m->ram + m->ram_low);
}

void *machine_ram(struct machine *m, uint64_t gpa, uint64_t len)
{
	if (gpa <= m->ram_low && len <= m->ram_low - gpa)
		return m->ram + gpa;
	if (gpa < ADDR_HIGH)
		return NULL;
	gpa -= ADDR_HIGH;
	if (gpa <= m->ram_high && len <= m->ram_high - gpa)
		return m->ram + m->ram_low + gpa;
	return NULL;
}

void *machine_place(struct machine *m, uint64_t gpa, uint64_t len, const char *what)
{
	void *host = machine_ram(m, gpa, len);

	if (!host)
		die("%s does not fit: it needs memory from %#llx to %#llx; raise --memory", what,
		    (unsigned long long)gpa, (unsigned long long)(gpa + len));
	return host;
}

void machine_add_region(struct machine *m, const struct region *region)
{
	if (m->nr_regions == MAX_REGIONS)
		die("too many devices");
	m->regions[m->nr_regions++] = *region;
}

void machine_irq(struct machine *m, unsigned int gsi, bool level)
{
	struct kvm_irq_level irq = { .irq = gsi, .level = level };

	if (m->opt->irqchip && ioctl(m->fd, KVM_IRQ_LINE, &irq))
		die("cannot set interrupt line %u: %s", gsi, strerror(errno));
}

void machine_stop(struct machine *m, int status)
{
	uint64_t one = 1;

	if (__atomic_exchange_n(&m->stopping, true, __ATOMIC_ACQ_REL))
		return;
	m->status = status;
	if (write(m->stop_fd, &one, sizeof(one)) != sizeof(one))
		die("cannot wake the main thread");
}

static void get_cpuid(struct machine *m)
{
	m->cpuid = calloc(1, sizeof(*m->cpuid) + CPUID_ENTRIES * sizeof(m->cpuid->entries[0]));
	if (!m->cpuid)
		die("out of memory");
	/* Leaves two entries free for topology. */
	m->cpuid->nent = CPUID_ENTRIES - 2;
	if (ioctl(m->dev_fd, KVM_GET_SUPPORTED_CPUID, m->cpuid))
		die("cannot read the supported CPUID: %s", strerror(errno));
}

/* Drops the topology leaves: the supported ones describe the host or nothing. */
static void drop_topology(struct kvm_cpuid2 *cpuid)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != 0xb && cpuid->entries[i].function != 0x1f)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

/* Intel SDM, "CPUID-CPU Identification", leaf 0BH: one package of single-threaded cores. */
static void add_topology(struct kvm_cpuid2 *cpuid, unsigned int id, unsigned int cpus,
			 unsigned int bits)
{
	struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->nent];

	entry[0] = (struct kvm_cpuid_entry2) {
		.function = 0xb, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = 0, .ebx = 1, .ecx = 1 << 8 | 0, .edx = id,
	};
	entry[1] = (struct kvm_cpuid_entry2) {
		.function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = bits, .ebx = cpus, .ecx = 2 << 8 | 1, .edx = id,
	};
	cpuid->nent += 2;
}

static void set_cpuid(struct machine *m, struct vcpu *vcpu)
{
	unsigned int cpus = m->opt->cpus, bits = 0;
	bool deadline = m->opt->irqchip && capability(m, KVM_CAP_TSC_DEADLINE_TIMER);

	while (1u << bits < cpus)
		bits++;
	drop_topology(m->cpuid);
	for (unsigned int i = 0; i < m->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0xffff) | cpus << 16 | vcpu->id << 24;
			e->ecx |= 1u << 31 | (deadline ? 1u << 24 : 0);	/* hypervisor, deadline */
			e->edx = (e->edx & ~(1u << 28)) | (cpus > 1 ? 1u << 28 : 0);	/* HTT */
			break;
		case 4:	/* cores per package; caches below the third level are not shared */
			if (!(e->eax & 0x1f))
				break;
			e->eax &= 0x3fff;
			e->eax |= ((1u << bits) > 64 ? 63 : (1u << bits) - 1) << 26;
			if ((e->eax >> 5 & 7) >= 3)
				e->eax |= ((1u << bits) - 1) << 14;
			break;
		case 0x8000001d:	/* AMD's leaf 4 */
			if (!(e->eax & 0x1f))
				break;
			e->eax &= ~(0xfffu << 14);
			if ((e->eax >> 5 & 7) >= 3)
				e->eax |= (cpus - 1) << 14;
			break;
		case 0x80000008:	/* AMD: cores and width of the core number */
			e->ecx = bits << 12 | (cpus - 1);
			break;
		case 0x8000001e:
			e->eax = vcpu->id;
			e->ebx = vcpu->id & 0xff;
			e->ecx = 0;
			break;
		}
	}
	add_topology(m->cpuid, vcpu->id, cpus, bits);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, m->cpuid))
		die("the hypervisor refuses its own CPUID: %s", strerror(errno));
}

/* What firmware leaves behind: fast strings on, memory write-back by default. */
static void set_msrs(struct vcpu *vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[2];
	} msrs = {
		.head.nmsrs = 2,
		.entries = {
			{ .index = 0x1a0 /* IA32_MISC_ENABLE */, .data = 1 },
			{ .index = 0x2ff /* IA32_MTRR_DEF_TYPE */, .data = 0x806 },
		},
	};

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) != 2)
		die("cannot set MISC_ENABLE and MTRR_DEF_TYPE of CPU %u", vcpu->id);
}

static void create_vcpu(struct machine *m, unsigned int id)
{
	struct vcpu *vcpu = &m->vcpus[id];

	vcpu->m = m;
	vcpu->id = id;
	vcpu->fd = ioctl(m->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		die("cannot create CPU %u: %s%s", id, strerror(errno),
		    errno == EMFILE ? "; raise 'ulimit -n'" : "");
	vcpu->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("cannot map CPU %u's run page: %s", id, strerror(errno));
	set_cpuid(m, vcpu);
	set_msrs(vcpu);
}

void machine_create(struct machine *m, const struct options *opt)
{
	int size;

	m->opt = opt;
	pthread_mutex_init(&m->io_lock, NULL);
	m->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (m->stop_fd < 0)
		die("eventfd: %s", strerror(errno));
	open_device(m, opt->device);
	check_device(m, opt);
	create_vm(m, opt);
	create_memory(m, opt->memory);
	size = ioctl(m->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		die("%s: the run page is too small (%d)", opt->device, size);
	m->run_size = size;
	get_cpuid(m);
	m->vcpus = calloc(opt->cpus, sizeof(*m->vcpus));
	if (!m->vcpus)
		die("out of memory");
	for (unsigned int i = 0; i < opt->cpus; i++)
		create_vcpu(m, i);
}
