// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics in debugfs: the folder kvm/ as upstream has it, and okvm's own folder. With
 * OKVM_DEVICE=/dev/kvm the tests that are not about okvm's own hold against kvm.ko.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define DEBUG	"/sys/kernel/debug"
#define KVM	DEBUG "/kvm"
#define OKVM	DEBUG "/okvm"

GUEST(halts, 64)
	"1:	hlt\n"
	"	jmp 1b\n"
GUEST_END(halts);

static bool on_okvm(void)
{
	const char *device = getenv("OKVM_DEVICE");

	return !device || !strcmp(device, "/dev/okvm");
}

static void debugfs_mount(void)
{
	struct stat st;

	if (stat(OKVM, &st) && stat(KVM, &st))
		mount("debugfs", DEBUG, "debugfs", 0, NULL);
	if (stat(KVM, &st))
		test_skip("no folder kvm in debugfs: no debugfs, or kvm.ko has the name");
}

static void needs_okvm(void)
{
	if (!on_okvm())
		test_skip("it is about okvm's own ways");
	debugfs_mount();
}

/* ---- files ---- */

static char *path_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *path_of(const char *fmt, ...)
{
	static char path[4][512];
	static unsigned int turn;
	va_list args;

	turn = (turn + 1) % 4;
	va_start(args, fmt);
	vsnprintf(path[turn], sizeof(path[turn]), fmt, args);
	va_end(args);
	return path[turn];
}

/* The number in a file, which must be all that is in it; -1 if there is none. */
static long long number_in(const char *path)
{
	char text[64] = "", *end;
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	long long value;

	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return -1;
	value = strtoll(text, &end, 10);
	return !strcmp(end, "\n") ? value : -1;
}

/* Return 0 or the errno. */
static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

/* As tools do; okvm makes the folders of VMs now. Return the number of folders. */
static unsigned int list_kvm(void)
{
	DIR *dir = opendir(KVM);
	struct dirent *entry;
	unsigned int n = 0;

	REQUIRE(dir);
	while ((entry = readdir(dir)))
		n += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* The folder of a VM whose fd was this when it was created. */
static char *folder_of(int fd)
{
	return path_of(KVM "/%d-%d", getpid(), fd);
}

static char *file_of(const struct vm *vm, const char *name)
{
	return path_of(KVM "/%d-%d/%s", getpid(), vm->fd, name);
}

static void run_halts(struct vm *vm, unsigned int times)
{
	LOAD64(vm, halts);
	while (times--)
		run_until(vm, KVM_EXIT_HLT);
}

/* ---- contents ---- */

/* Call @check with each statistic of one value that the fd describes. Return how many. */
static unsigned int each_stat(int owner, void (*check)(const struct vm *vm, const char *name,
						       uint64_t value), const struct vm *vm)
{
	int fd = ioctl(owner, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc;
	unsigned int i, n = 0;
	uint64_t value;
	size_t size;

	REQUIRE(fd >= 0);
	REQUIRE(pread(fd, &head, sizeof(head), 0) == sizeof(head));
	size = sizeof(*desc) + head.name_size;
	desc = calloc(1, size + 1);
	for (i = 0; i < head.num_desc; i++) {
		REQUIRE(pread(fd, desc, size, head.desc_offset + i * size) == (ssize_t)size);
		if (desc->size != 1)
			continue;
		REQUIRE(pread(fd, &value, 8, head.data_offset + desc->offset) == 8);
		check(vm, desc->name, value);
		n++;
	}
	free(desc);
	close(fd);
	return n;
}

static void same_in_folder(const struct vm *vm, const char *name, uint64_t value)
{
	if (number_in(file_of(vm, name)) != (long long)value)
		test_fail(__FILE__, __LINE__, "%s is %lld in the folder, %llu in the statistics fd",
			  name, number_in(file_of(vm, name)), (unsigned long long)value);
}

static void same_in_sum(const struct vm *vm, const char *name, uint64_t value)
{
	(void)vm;
	if (number_in(path_of(KVM "/%s", name)) != (long long)value)
		test_fail(__FILE__, __LINE__, "%s is %lld in the sum, %llu in the statistics fd",
			  name, number_in(path_of(KVM "/%s", name)), (unsigned long long)value);
}

TEST(files_say_what_the_statistics_fd_says)
{
	struct vm vm;

	debugfs_mount();
	vm_create(&vm, 0);
	run_halts(&vm, 7);
	list_kvm();
	EXPECT(number_in(file_of(&vm, "exits")) >= 7);
	EXPECT(each_stat(vm.fd, same_in_folder, &vm) >= 5);
	EXPECT(each_stat(vm.vcpu, same_in_folder, &vm) >= 20);
	/* It is the only VM. */
	each_stat(vm.fd, same_in_sum, &vm);
	each_stat(vm.vcpu, same_in_sum, &vm);
	vm_destroy(&vm);
	EXPECT_EQ(number_in(KVM "/exits"), 0);
}

/* Also for a reader who takes one byte at a time. */
TEST(a_value_is_one_line)
{
	char text[32] = "";
	unsigned int len = 0;
	struct vm vm;
	int fd;

	debugfs_mount();
	vm_create(&vm, 0);
	run_halts(&vm, 9);
	fd = open(KVM "/exits", O_RDONLY);
	REQUIRE(fd >= 0);
	while (len < sizeof(text) - 1 && read(fd, text + len, 1) == 1) {
		if (!len++)
			run_halts(&vm, 9);
	}
	EXPECT(len > 1 && strchr(text, '\n') == text + len - 1);
	close(fd);
	vm_destroy(&vm);
}

TEST(sums_are_over_all_vms_and_vcpus)
{
	struct kvm_run *run;
	struct vm vm, other, second;

	debugfs_mount();
	vm_create(&vm, 0);
	vm_create(&other, 0);
	second = vm;
	second.vcpu = vcpu_add(&vm, 1, &run);
	second.run = run;
	run_halts(&vm, 3);
	run_halts(&second, 4);
	run_halts(&other, 5);
	list_kvm();
	EXPECT_EQ(number_in(file_of(&vm, "exits")),
		  vcpu_stat(&vm, "exits") + vcpu_stat(&second, "exits"));
	EXPECT_EQ(number_in(KVM "/exits"), number_in(file_of(&vm, "exits")) +
					   number_in(file_of(&other, "exits")));
	EXPECT(number_in(KVM "/exits") >= 12);
	if (on_okvm())
		EXPECT_EQ(number_in(OKVM "/exits"), number_in(KVM "/exits"));
	close(second.vcpu);
	vm_destroy(&other);
	EXPECT_EQ(number_in(KVM "/exits"), number_in(file_of(&vm, "exits")));
	vm_destroy(&vm);
}

TEST(writing_0_resets)
{
	struct vm vm, other;

	debugfs_mount();
	vm_create(&vm, 0);
	vm_create(&other, 0);
	run_halts(&vm, 3);
	run_halts(&other, 3);
	list_kvm();
	EXPECT_EQ(write_to(file_of(&vm, "exits"), "1"), EINVAL);
	EXPECT_EQ(write_to(file_of(&vm, "exits"), "x"), EINVAL);
	EXPECT(number_in(file_of(&vm, "exits")) >= 3);
	EXPECT_EQ(write_to(file_of(&vm, "exits"), "0\n"), 0);
	EXPECT_EQ(number_in(file_of(&vm, "exits")), 0);
	EXPECT_EQ(vcpu_stat(&vm, "exits"), 0);
	EXPECT(vcpu_stat(&other, "exits") >= 3);
	run_halts(&vm, 2);
	EXPECT(number_in(file_of(&vm, "exits")) >= 2);
	/* A present number is no counter. */
	EXPECT_EQ(write_to(file_of(&vm, "pages_4k"), "0"), EACCES);
	EXPECT_EQ(write_to(KVM "/pages_4k", "0"), EACCES);
	EXPECT_EQ(write_to(KVM "/exits", "0"), 0);
	EXPECT_EQ(number_in(file_of(&vm, "exits")) + number_in(file_of(&other, "exits")), 0);
	vm_destroy(&vm);
	vm_destroy(&other);
}

/* VMX has 48 fraction bits of the ratio, SVM 32; the ratio that is shown is hardware's. */
TEST(the_ratio_of_a_vcpus_tsc)
{
	unsigned int bits = test_on_svm() ? 32 : 48;
	struct vm vm;
	int khz;

	debugfs_mount();
	vm_create(&vm, 0);
	list_kvm();
	if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0) {
		EXPECT(!exists(file_of(&vm, "vcpu0/tsc-scaling-ratio")));
		EXPECT(!exists(file_of(&vm, "vcpu0/tsc-scaling-ratio-frac-bits")));
		vm_destroy(&vm);
		return;
	}
	khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	EXPECT_EQ(number_in(file_of(&vm, "vcpu0/tsc-scaling-ratio-frac-bits")), bits);
	EXPECT_EQ(number_in(file_of(&vm, "vcpu0/tsc-scaling-ratio")), 1ll << bits);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz / 3 + 1), 0);
	EXPECT_EQ(number_in(file_of(&vm, "vcpu0/tsc-scaling-ratio")),
		  ((unsigned __int128)(khz / 3 + 1) << bits) / khz);
	vm_destroy(&vm);
}

TEST(a_vcpu_has_a_folder)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};
	struct kvm_run *run;
	struct vm vm;

	debugfs_mount();
	vm_create(&vm, 0);
	list_kvm();
	EXPECT(exists(file_of(&vm, "vcpu0")));
	EXPECT(!exists(file_of(&vm, "vcpu5")));
	close(vcpu_add(&vm, 5, &run));
	list_kvm();
	EXPECT(exists(file_of(&vm, "vcpu5")));
	run_halts(&vm, 1);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEVICE_ATTR, &attr) == 0);
	EXPECT_EQ(number_in(file_of(&vm, "vcpu0/tsc-offset")), offset);
	EXPECT_EQ(number_in(file_of(&vm, "vcpu0/guest_mode")), 0);
	if (on_okvm()) {
		EXPECT_EQ(number_in(file_of(&vm, "vcpu0/pid")), syscall(SYS_gettid));
		EXPECT_EQ(number_in(file_of(&vm, "vcpu5/pid")), 0);
	}
	vm_destroy(&vm);
}

/* A line of okvm/vms that begins so; the number behind it, or -1. Lines before @after are not. */
static long long line_in(const char *text, const char *after, const char *begin)
{
	const char *at = strstr(text, after);
	size_t len = strlen(begin);

	while (at && strncmp(at, begin, len)) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoll(at + len, NULL, 10) : -1;
}

static char *read_vms(void)
{
	size_t len = 0, size = 1 << 16;
	char *text = calloc(1, size);
	int fd = open(OKVM "/vms", O_RDONLY);
	ssize_t got;

	REQUIRE(fd >= 0 && text);
	while ((got = read(fd, text + len, size - 1 - len)) > 0)
		len += got;
	close(fd);
	return text;
}

TEST(one_file_lists_all_vms)
{
	char *text, name[64];
	struct vm vm;

	needs_okvm();
	vm_create(&vm, 0);
	run_halts(&vm, 6);
	snprintf(name, sizeof(name), "vm %d-%d %s\n", getpid(), vm.fd,
		 test_on_svm() ? "svm" : "vmx");
	text = read_vms();
	EXPECT(line_in(text, text, "tsc_khz ") > 0);
	EXPECT_EQ(line_in(text, name, "stat exits "), vcpu_stat(&vm, "exits"));
	EXPECT_EQ(line_in(text, name, "stat pages_4k "), vm_stat(&vm, "pages_4k"));
	EXPECT_EQ(line_in(text, name, "vcpu 0 "), syscall(SYS_gettid));
	EXPECT_EQ(line_in(text, name, test_on_svm() ? "reason 120 " : "reason 12 "), 6);
	free(text);
	vm_destroy(&vm);
	text = read_vms();
	EXPECT(!strstr(text, "vm "));
	free(text);
}

/* ---- lifetimes ---- */

TEST(creating_a_vm_makes_no_file)
{
	unsigned int before;
	struct vm vm;

	needs_okvm();
	before = list_kvm();
	vm_create(&vm, 0);
	EXPECT(!exists(folder_of(vm.fd)));
	EXPECT_EQ(list_kvm(), before + 1);
	EXPECT(exists(folder_of(vm.fd)));
	vm_destroy(&vm);
	EXPECT(!exists(folder_of(vm.fd)));
	EXPECT_EQ(list_kvm(), before);
}

static bool read_fails_with(int fd, int err)
{
	char c;

	errno = 0;
	return pread(fd, &c, 1, 0) < 0 && errno == err;
}

/* Whoever has a file open neither keeps the VM nor sees what is left of it. */
TEST(a_vm_goes_while_its_files_are_open)
{
	int exits, offset, sum;
	struct vm vm;
	char c;

	needs_okvm();
	vm_create(&vm, 0);
	run_halts(&vm, 1);
	list_kvm();
	exits = open(file_of(&vm, "exits"), O_RDWR);
	offset = open(file_of(&vm, "vcpu0/tsc-offset"), O_RDONLY);
	sum = open(KVM "/exits", O_RDONLY);
	REQUIRE(exits >= 0 && offset >= 0 && sum >= 0);
	EXPECT(pread(exits, &c, 1, 0) == 1);
	vm_destroy(&vm);
	EXPECT(!exists(folder_of(vm.fd)));
	EXPECT(read_fails_with(exits, EIO));
	EXPECT(read_fails_with(offset, EIO));
	EXPECT_ERR(write(exits, "0", 1), EIO);
	EXPECT(pread(sum, &c, 1, 0) == 1 && c == '0');
	close(exits);
	close(offset);
	close(sum);
}

/* A process can close a VM's fd, keep the VM by another one, and get the same number again. */
TEST(a_name_that_is_taken_is_nobody_elses)
{
	struct vm vm, other;
	int kept;

	needs_okvm();
	vm_create(&vm, 0);
	run_halts(&vm, 4);
	list_kvm();
	kept = dup(vm.fd);
	close(vm.fd);
	other.fd = ioctl(vm.sys, KVM_CREATE_VM, 0);
	REQUIRE(other.fd == vm.fd);
	list_kvm();
	EXPECT(number_in(file_of(&vm, "exits")) >= 4);
	vm.fd = kept;
	vm_destroy(&vm);
	EXPECT(!exists(folder_of(other.fd)));
	list_kvm();
	EXPECT_EQ(number_in(file_of(&other, "exits")), 0);
	close(other.fd);
}

static volatile bool storm_over;

static void read_folder(const char *path, unsigned int depth)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[512], text[64];

	while (dir && (entry = readdir(dir))) {
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR && depth < 3) {
			read_folder(name, depth + 1);
			continue;
		}
		fd = open(name, O_RDONLY);
		while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
	}
	if (dir)
		closedir(dir);
}

static void *reads_all(void *folder)
{
	while (!storm_over)
		read_folder(folder, 0);
	return NULL;
}

TEST(vms_come_and_go_while_all_is_read)
{
	uint64_t end = now_ns() + 1500000000ull;
	static char first[] = KVM, second[] = OKVM;
	pthread_t reader[2];
	struct vm vm;
	int i;

	needs_okvm();
	storm_over = false;
	REQUIRE(!pthread_create(&reader[0], NULL, reads_all, first));
	REQUIRE(!pthread_create(&reader[1], NULL, reads_all, second));
	for (i = 0; i < 10 || now_ns() < end; i++) {
		vm_create(&vm, 0);
		run_halts(&vm, 2);
		vm_destroy(&vm);
	}
	storm_over = true;
	pthread_join(reader[0], NULL);
	pthread_join(reader[1], NULL);
	EXPECT_EQ(number_in(KVM "/exits"), 0);
	EXPECT_EQ(list_kvm(), 0);
}

/* ---- kvm.ko ---- */

static int load(const char *path)
{
	int fd = open(path, O_RDONLY), ret;

	if (fd < 0)
		test_skip("no %s in this machine", path);
	ret = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return ret;
}

static void unload(const char *name)
{
	EXPECT_EQ(syscall(SYS_delete_module, name, O_NONBLOCK), 0);
}

/* kvm.ko makes the folder when kvm-intel.ko or kvm-amd.ko comes. Until then there is none. */
TEST(kvm_ko_takes_the_name_and_gives_it_back)
{
	struct vm vm;
	int fd;

	needs_okvm();
	vm_create(&vm, 0);
	run_halts(&vm, 2);
	list_kvm();
	fd = open(file_of(&vm, "exits"), O_RDONLY);
	REQUIRE(fd >= 0);
	REQUIRE(load("/modules/kvm.ko") == 0);
	EXPECT(!exists(folder_of(vm.fd)));
	EXPECT(!exists(KVM "/fast_exits"));
	EXPECT(read_fails_with(fd, EIO));
	close(fd);
	EXPECT(number_in(OKVM "/exits") >= 2);
	unload("kvm");
	EXPECT(number_in(KVM "/exits") >= 2);
	EXPECT_EQ(list_kvm(), 1);
	EXPECT(number_in(file_of(&vm, "exits")) >= 2);
	vm_destroy(&vm);
}
