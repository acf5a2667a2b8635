// SPDX-License-Identifier: GPL-2.0-only
/* What a VM tells of itself beside its ioctls: the name of its statistics, and its page tables. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "selftests/lib/okvm_test.h"

static void stats_id(int fd, char id[64])
{
	struct kvm_stats_header head;

	memset(id, 0, 64);
	REQUIRE(pread(fd, &head, sizeof(head), 0) == sizeof(head));
	REQUIRE(pread(fd, id, 63 < head.name_size ? 63 : head.name_size, head.id_offset) > 0);
}

static void expect_ids(int vm_stats, int vcpu_stats, int pid)
{
	char want[64], id[64];

	snprintf(want, sizeof(want), "kvm-%d", pid);
	stats_id(vm_stats, id);
	EXPECT(!strcmp(id, want));
	snprintf(want, sizeof(want), "kvm-%d/vcpu-0", pid);
	stats_id(vcpu_stats, id);
	EXPECT(!strcmp(id, want));
}

/* Whoever reads them. */
TEST(statistics_are_named_by_the_creator)
{
	int vm_stats, vcpu_stats, status = -1, pid = getpid();
	struct vm vm;

	vm_create(&vm, 0);
	vm_stats = ioctl(vm.fd, KVM_GET_STATS_FD, 0);
	vcpu_stats = ioctl(vm.vcpu, KVM_GET_STATS_FD, 0);
	expect_ids(vm_stats, vcpu_stats, pid);
	if (!fork()) {
		char id[64], want[64];

		snprintf(want, sizeof(want), "kvm-%d/vcpu-0", pid);
		stats_id(vcpu_stats, id);
		_exit(!!strcmp(id, want));
	}
	REQUIRE(wait(&status) > 0);
	EXPECT_EQ(status, 0);
	close(vm_stats);
	close(vcpu_stats);
	vm_destroy(&vm);
}

/* Kilobytes of SecPageTables in /proc/meminfo, with what each CPU has counted for itself. */
static long secondary_tables(void)
{
	char text[4096] = "", *at;
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	ssize_t len;

	if (fd >= 0) {
		len = write(fd, "1", 1);
		close(fd);
	}
	fd = open("/proc/meminfo", O_RDONLY);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	at = len > 0 ? strstr(text, "SecPageTables:") : NULL;
	if (!at)
		test_skip("no SecPageTables in /proc/meminfo");
	return atol(at + strlen("SecPageTables:"));
}

#define NR_TABLES	256u
#define TABLE_SPAN	(2ull << 20)	/* what one table of the lowest level translates */
#define SPARSE_GPA	(4ull << 30)

TEST(page_tables_are_accounted_as_secondary)
{
	struct kvm_pre_fault_memory range;
	long before, with, after;
	unsigned int i;
	struct vm vm;
	void *mem;

	mem = mmap(NULL, NR_TABLES * TABLE_SPAN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(mem != MAP_FAILED);
	madvise(mem, NR_TABLES * TABLE_SPAN, MADV_NOHUGEPAGE);
	vm_create(&vm, 0);
	if (vm_on_shadow(&vm))
		test_skip("shadow page tables are not made before the guest's");
	vm_slot(&vm, 1, SPARSE_GPA, NR_TABLES * TABLE_SPAN, mem, 0);
	before = secondary_tables();
	for (i = 0; i < NR_TABLES; i++) {
		range = (struct kvm_pre_fault_memory){
			.gpa = SPARSE_GPA + i * TABLE_SPAN, .size = 0x1000,
		};
		REQUIRE(ioctl(vm.vcpu, KVM_PRE_FAULT_MEMORY, &range) == 0);
	}
	with = secondary_tables();
	EXPECT(with - before >= NR_TABLES * 4);
	EXPECT(with - before <= NR_TABLES * 4 + 32);
	vm_slot(&vm, 1, SPARSE_GPA, 0, mem, 0);
	after = secondary_tables();
	EXPECT(after - before <= 16);
	vm_destroy(&vm);
	after = secondary_tables();
	EXPECT(after <= before);
	munmap(mem, NR_TABLES * TABLE_SPAN);
}
