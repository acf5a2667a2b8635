// SPDX-License-Identifier: GPL-2.0-only
/* The caller's view of the file system is the caller's: nothing is looked up in it. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "selftests/lib/okvm_test.h"

static struct timespec access_time(const char *path)
{
	struct stat stat;

	REQUIRE(lstat(path, &stat) == 0);
	return stat.st_atim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* A link where /sys/module was notes who goes through it; a mute file system would hold them. */
TEST(a_vm_is_created_without_a_look_at_sys)
{
	struct timespec before;
	struct vm vm;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/sys", "tmpfs", MS_STRICTATIME, NULL))
		test_skip("a file system on /sys: %s", strerror(errno));
	REQUIRE(mkdir("/sys/real", 0755) == 0);
	REQUIRE(mkdir("/sys/real/kvm_intel", 0755) == 0);
	REQUIRE(symlink("real", "/sys/module") == 0);
	before = access_time("/sys/module");
	/* What was found out for earlier VMs is forgotten after a second. */
	usleep(1500000);
	vm_create(&vm, 0);
	EXPECT(same_time(access_time("/sys/module"), before));
	vm_destroy(&vm);
	REQUIRE(access("/sys/module/kvm_intel", F_OK) == 0);
	if (same_time(access_time("/sys/module"), before))
		test_skip("the file system keeps no access times");
}
