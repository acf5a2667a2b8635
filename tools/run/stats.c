// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: --stats, exits to userspace as the vCPU threads counted them, and the hypervisor's own
 * counters through KVM_GET_STATS_FD where it has that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define MAX_COUNTERS 256
#define MAX_HISTS 256
#define MAX_BUCKETS 64

static const char * const reason_names[EXIT_REASONS] = {
	[KVM_EXIT_UNKNOWN] = "UNKNOWN",
	[KVM_EXIT_EXCEPTION] = "EXCEPTION",
	[KVM_EXIT_IO] = "IO",
	[KVM_EXIT_HYPERCALL] = "HYPERCALL",
	[KVM_EXIT_DEBUG] = "DEBUG",
	[KVM_EXIT_HLT] = "HLT",
	[KVM_EXIT_MMIO] = "MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
	[KVM_EXIT_INTR] = "INTR",
	[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
};

/* A counter of the kernel, summed over the vCPUs. */
struct counter {
	char name[64];
	uint64_t value;
};

static struct counter counters[MAX_COUNTERS];
static unsigned int nr_counters;

/* A histogram of the kernel: bucket n counts from 2^(n-1) up to 2^n. */
struct hist {
	char name[64];
	unsigned int nr;
	uint64_t bucket[MAX_BUCKETS];
};

static struct hist hists[MAX_HISTS];
static unsigned int nr_hists;

static struct hist *find_hist(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_hists; i++)
		if (!strcmp(hists[i].name, name))
			return &hists[i];
	if (i == MAX_HISTS)
		return NULL;
	snprintf(hists[i].name, sizeof(hists[i].name), "%s", name);
	nr_hists++;
	return &hists[i];
}

/* Of one vCPU to those of the others; an empty one is not worth a line. */
static void add_hist(const char *name, const uint64_t *bucket, unsigned int nr)
{
	struct hist *hist;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr; i++)
		sum += bucket[i];
	hist = sum ? find_hist(name) : NULL;
	if (!hist)
		return;
	hist->nr = nr;
	for (unsigned int i = 0; i < nr; i++)
		hist->bucket[i] += bucket[i];
}

/* The bucket in which the sample lies that so many percent of all do not exceed. */
static unsigned int percentile(const struct hist *hist, unsigned int percent)
{
	uint64_t sum = 0, below = 0;
	unsigned int i;

	for (i = 0; i < hist->nr; i++)
		sum += hist->bucket[i];
	for (i = 0; i < hist->nr - 1; i++) {
		below += hist->bucket[i];
		if (below * 100 >= sum * percent)
			break;
	}
	return i;
}

static void print_hists(void)
{
	if (!nr_hists)
		return;
	fprintf(stderr, "%-32s %12s  %s\n", "cycles of exits", "count",
		"half, 99 %, all take less than 2 to the power of");
	for (unsigned int i = 0; i < nr_hists; i++) {
		const struct hist *hist = &hists[i];
		uint64_t sum = 0;

		for (unsigned int j = 0; j < hist->nr; j++)
			sum += hist->bucket[j];
		fprintf(stderr, "  %-30s %12llu  %u %u %u\n", hist->name,
			(unsigned long long)sum, percentile(hist, 50), percentile(hist, 99),
			percentile(hist, 100));
	}
}

static void add_counter(const char *name, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < nr_counters && strcmp(counters[i].name, name); i++)
		;
	if (i == MAX_COUNTERS)
		return;
	if (i == nr_counters) {
		snprintf(counters[i].name, sizeof(counters[i].name), "%s", name);
		nr_counters++;
	}
	counters[i].value += value;
}

/* The whole file, of @size bytes. The kernel makes the file anew for each read. */
static char *read_all(int fd, size_t *size)
{
	size_t room = 1 << 16;
	char *image = NULL;
	ssize_t got;

	do {
		char *more = realloc(image, room *= 2);

		if (!more)
			break;
		image = more;
		got = pread(fd, image, room, 0);
		if (got >= 0 && (size_t)got < room) {
			*size = got;
			return image;
		}
	} while (got > 0);
	free(image);
	return NULL;
}

static void add_statistic(const struct kvm_stats_desc *desc, const uint64_t *value)
{
	uint32_t type = desc->flags & KVM_STATS_TYPE_MASK;

	if (type == KVM_STATS_TYPE_LOG_HIST && desc->size <= MAX_BUCKETS)
		add_hist(desc->name, value, desc->size);
	else if (type == KVM_STATS_TYPE_CUMULATIVE && desc->size == 1)
		add_counter(desc->name, *value);
}

/* The layout is that of "KVM_GET_STATS_FD": header, descriptors with names, values. */
static void read_counters(int vcpu_fd)
{
	const struct kvm_stats_header *head;
	int fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL);
	size_t size = 0, step;
	char *image;

	if (fd < 0)
		return;
	image = read_all(fd, &size);
	close(fd);
	head = (const void *)image;
	step = size < sizeof(*head) ? 0 : sizeof(struct kvm_stats_desc) + head->name_size;
	for (uint32_t i = 0; step && i < head->num_desc; i++) {
		const struct kvm_stats_desc *desc;
		uint64_t from = head->desc_offset + i * step;

		if (from + step > size)
			break;
		desc = (const void *)(image + from);
		from = head->data_offset + desc->offset;
		if (from + desc->size * sizeof(uint64_t) <= size)
			add_statistic(desc, (const void *)(image + from));
	}
	free(image);
}

void stats_print(struct machine *m)
{
	uint64_t total = 0;

	fprintf(stderr, "\n%-32s %12s\n", "exits to okvm-run", "count");
	for (unsigned int r = 0; r < EXIT_REASONS; r++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < m->opt->cpus; i++)
			sum += m->vcpus[i].exits[r];
		total += sum;
		if (sum && reason_names[r])
			fprintf(stderr, "  %-30s %12llu\n", reason_names[r],
				(unsigned long long)sum);
		else if (sum)
			fprintf(stderr, "  reason %-23u %12llu\n", r, (unsigned long long)sum);
	}
	fprintf(stderr, "  %-30s %12llu\n", "total", (unsigned long long)total);

	if (ioctl(m->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD) <= 0)
		return;
	for (unsigned int i = 0; i < m->opt->cpus; i++)
		read_counters(m->vcpus[i].fd);
	fprintf(stderr, "%-32s %12s\n", "counted in the kernel", "count");
	for (unsigned int i = 0; i < nr_counters; i++)
		if (counters[i].value)
			fprintf(stderr, "  %-30s %12llu\n", counters[i].name,
				(unsigned long long)counters[i].value);
	print_hists();
}
