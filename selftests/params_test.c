// SPDX-License-Identifier: GPL-2.0-only
/*
 * Values of module parameters: each test takes the module out, tries, and puts it back with the
 * parameters that OKVM_PARAMS names. It needs okvm.ko in the current folder and nobody who uses it.
 */
#include <sys/klog.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define MODULE	"okvm.ko"

static int module_load(const char *params)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	int ret, err;

	REQUIRE(fd >= 0);
	ret = syscall(SYS_finit_module, fd, params, 0);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static int module_unload(void)
{
	return syscall(SYS_delete_module, "okvm", O_NONBLOCK);
}

/* Take it out, or skip where that cannot be. */
static void module_take(void)
{
	if (getenv("OKVM_DEVICE") || access(MODULE, R_OK))
		test_skip("no " MODULE " here");
	REQUIRE(module_unload() == 0);
}

static void module_put_back(void)
{
	const char *params = getenv("OKVM_PARAMS");

	REQUIRE(module_load(params ? params : "") == 0);
}

/* Whether the loaded module has this parameter: vmx/ is not built for Linux 6.19 and later. */
static bool module_has(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/module/okvm/parameters/%s", name);
	return !access(path, F_OK);
}

/* The lines of the kernel's log since the last time that name the module: how many. */
static int log_lines(const char *text, bool *found)
{
	static char log[1 << 17];
	int size = klogctl(4 /* read and clear */, log, sizeof(log) - 1), lines = 0;
	char *line, *next;

	REQUIRE(size >= 0);
	log[size] = 0;
	*found = false;
	for (line = log; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!strstr(line, "okvm: ") || strstr(line, "out-of-tree"))
			continue;
		lines++;
		if (strstr(line, text))
			*found = true;
	}
	return lines;
}

TEST(values_that_do_not_exist_are_einval_and_the_log_says_why)
{
	static const char * const bad[] = {
		"l1d_flush=sometimes", "nx_huge_pages=maybe", "ept=2", "vpid=x", "apicv=",
		"ple_gap=-1", "ple_window=many", "halt_poll_ns=soon", "guest_time_bound=0x",
		"ignore_msrs=7",
	};
	const bool vmx = module_has("ept");
	bool found, known[sizeof(bad) / sizeof(bad[0])];
	char name[32];
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(bad[i], "="), bad[i]);
		known[i] = module_has(name);
		if (known[i])
			continue;
		/* A module with vmx/ has them all. */
		EXPECT(!vmx);
		printf("# not tried, as this module has no vmx/: %s\n", bad[i]);
	}
	module_take();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int ret, lines;

		/* AMD's CPUs have nothing to flush, and nobody reads the value. */
		if ((!i && test_on_svm()) || !known[i])
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(bad[i], "="), bad[i]);
		log_lines("", &found);
		ret = module_load(bad[i]);
		if (ret != -1 || errno != EINVAL)
			test_fail(__FILE__, __LINE__, "%s gives %d, %s", bad[i], ret,
				  strerror(errno));
		/* The kernel has a line of its own for values that a parameter refuses. */
		lines = log_lines(name, &found);
		if (lines > 2 || !found)
			test_fail(__FILE__, __LINE__, "%s: %d lines%s", bad[i], lines,
				  found ? "" : ", none names it");
		if (!ret)
			module_unload();
	}
	module_put_back();
}

/* Each load takes seconds where the machine is emulated, so there are several tests. */
static void load_each(const char * const *good, unsigned int nr)
{
	unsigned int i;

	module_take();
	for (i = 0; i < nr; i++) {
		struct vm vm;

		if (module_load(good[i])) {
			test_fail(__FILE__, __LINE__, "%s: %s", good[i], strerror(errno));
			continue;
		}
		vm_create(&vm, VM_BARE);
		vm.vcpu = vcpu_add(&vm, 0, &vm.run);
		vm_destroy(&vm);
		EXPECT_EQ(module_unload(), 0);
	}
	module_put_back();
}

#define LOAD_EACH(...)								\
	do {									\
		static const char * const good[] = { __VA_ARGS__ };		\
										\
		load_each(good, sizeof(good) / sizeof(good[0]));		\
	} while (0)

TEST(values_that_exist_of_mitigations)
{
	LOAD_EACH("l1d_flush=never", "l1d_flush=cond", "l1d_flush=always", "l1d_flush=auto",
		  "nx_huge_pages=on", "nx_huge_pages=off", "nx_huge_pages=auto");
}

TEST(values_that_exist_of_the_cpus_help)
{
	LOAD_EACH("ept_ad=0", "vpid=0", "unrestricted_guest=0", "tpr_shadow=0", "flexpriority=0",
		  "apicv=1", "apicv=1 posted_interrupts=0", "vnmi=0");
}

TEST(values_that_exist_of_loops_and_times)
{
	LOAD_EACH("preemption_timer=0", "ple=0", "ple_gap=0", "ple_window=4294967295",
		  "halt_poll_ns=0", "guest_time_bound=1000000", "ignore_msrs=1");
}

static void parameter_is(const char *name, const char *value)
{
	char path[80], now[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/module/okvm/parameters/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, now, sizeof(now) - 1) <= 0 || strncmp(now, value, strlen(value)))
		test_fail(__FILE__, __LINE__, "%s is %s, expected %s", name, now, value);
	if (fd >= 0)
		close(fd);
}

TEST(names_of_kvm_intel_and_kvm_amd)
{
	const char *aliases =
		"eptad=0 enable_apicv=1 vmentry_l1d_flush=cond pause_filter_thresh=64";
	const bool vmx = module_has("ept");

	module_take();
	EXPECT_EQ(module_load(aliases), 0);
	parameter_is("pause_filter_gap", "64");
	if (vmx) {
		parameter_is("ept_ad", "N");
		parameter_is("apicv", "Y");
		parameter_is("l1d_flush", "cond");
	}
	EXPECT_EQ(module_unload(), 0);
	module_put_back();
}

/* Those that may be written while the module is in use refuse nonsense, and keep their value. */
TEST(parameters_at_run_time)
{
	static const char folder[] = "/sys/module/okvm/parameters/";
	static const struct {
		const char *name, *good, *bad;
	} rows[] = {
		{ "halt_poll_ns", "1000", "soon" }, { "ignore_msrs", "Y", "7" },
		{ "nx_huge_pages", "off", "maybe" },
	};
	char path[96], was[32], now[32];
	unsigned int i;

	if (getenv("OKVM_DEVICE"))
		test_skip("these are okvm's");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s%s", folder, rows[i].name);
		fd = open(path, O_RDWR);
		REQUIRE(fd >= 0);
		memset(was, 0, sizeof(was));
		memset(now, 0, sizeof(now));
		REQUIRE(pread(fd, was, sizeof(was) - 1, 0) > 0);
		EXPECT_ERR(pwrite(fd, rows[i].bad, strlen(rows[i].bad), 0), EINVAL);
		REQUIRE(pread(fd, now, sizeof(now) - 1, 0) > 0);
		EXPECT(!strcmp(was, now));
		EXPECT_EQ(pwrite(fd, rows[i].good, strlen(rows[i].good), 0),
			  (long long)strlen(rows[i].good));
		memset(now, 0, sizeof(now));
		REQUIRE(pread(fd, now, sizeof(now) - 1, 0) > 0);
		EXPECT(!strncmp(now, rows[i].good, strlen(rows[i].good)));
		EXPECT(pwrite(fd, was, strlen(was), 0) > 0);
		close(fd);
	}
}
