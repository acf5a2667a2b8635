// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has registered the kernel's one callback that switches VMX or SVM off in a crash: seen by
 * kprobes on the kernel's functions, as nothing else shows it.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define TRACING	"/sys/kernel/tracing"
#define PROBES	TRACING "/kprobe_events"

GUEST(outs, 16)
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(outs);

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good;
}

/* The function that okvm or upstream's module calls on each CPU to switch the hardware on. */
static const char *enable_probe(void)
{
	return test_on_svm() ? "p:okvmtest/on okvm:svm_cpu_enable\n" :
			       "p:okvmtest/on okvm:vmx_cpu_enable\n";
}

static void probes_begin(void)
{
	char text[512];
	struct stat st;

	if (stat(TRACING "/events", &st))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	snprintf(text, sizeof(text), "%s%s%s", enable_probe(),
		 "p:okvmtest/set cpu_emergency_register_virt_callback by=%di:symbol\n",
		 "p:okvmtest/clear cpu_emergency_unregister_virt_callback by=%di:symbol\n");
	if (!put(PROBES, text))
		test_skip("no kprobes on these functions");
	/* The callback stays registered for a second after the last VM. */
	sleep(3);
	REQUIRE(put(TRACING "/trace", "\n"));
	REQUIRE(put(TRACING "/events/okvmtest/enable", "1"));
}

static char *probes_read(void)
{
	static char text[1 << 16];
	FILE *file = fopen(TRACING "/trace", "r");
	size_t got;

	REQUIRE(file);
	got = fread(text, 1, sizeof(text) - 1, file);
	text[got] = 0;
	fclose(file);
	REQUIRE(put(TRACING "/trace", "\n"));
	return text;
}

static void probes_end(void)
{
	put(TRACING "/events/okvmtest/enable", "0");
	put(PROBES, "\n");
}

/* How often does okvm (or another one) do this? */
static unsigned int count(const char *text, const char *event, bool okvms)
{
	const char *own = test_on_svm() ? "by=svm_emergency+" : "by=vmx_emergency+";
	const char *line, *end;
	unsigned int n = 0;

	for (line = strstr(text, event); line; line = strstr(end, event)) {
		const char *by = strstr(line, own);

		end = strchr(line, '\n');
		if (!end)
			end = line + strlen(line);
		n += (by && by < end) == okvms;
	}
	return n;
}

TEST(the_callback_comes_before_the_hardware_is_on)
{
	const char *text, *set, *on;
	struct vm vm;

	probes_begin();
	vm_create(&vm, 0);
	text = probes_read();
	set = strstr(text, " set: ");
	on = strstr(text, " on: ");
	EXPECT(set && on && set < on);
	EXPECT_EQ(count(text, " set: ", true), 1);
	vm_destroy(&vm);
	sleep(3);
	text = probes_read();
	EXPECT_EQ(count(text, " clear: ", true), 1);
	probes_end();
}

static int load(const char *path, const char *params)
{
	int fd = open(path, O_RDONLY), ret;

	if (fd < 0)
		test_skip("no %s in this machine", path);
	ret = syscall(SYS_finit_module, fd, params, 0);
	close(fd);
	return ret;
}

/* kvm.ko needs irqbypass.ko, which may be loaded already. */
static void load_kvm(const char *params)
{
	if (!access("/modules/irqbypass.ko", R_OK))
		load("/modules/irqbypass.ko", "");
	REQUIRE(load("/modules/kvm.ko", params) == 0);
}

static void unload(const char *name)
{
	EXPECT_EQ(syscall(SYS_delete_module, name, O_NONBLOCK), 0);
}

/* Newer modules switch the hardware on at once without this. Older ones do not know it. */
#define IDLE	"enable_virt_at_load=0"

static const char *module_path(void)
{
	const char *path = test_on_svm() ? "/modules/kvm_amd.ko" : "/modules/kvm_intel.ko";

	if (access(path, R_OK))
		test_skip("no %s in this machine", path);
	return path;
}

static void unload_all(void)
{
	unload(test_on_svm() ? "kvm_amd" : "kvm_intel");
	unload("kvm");
}

/* Upstream's module comes and goes while okvm has a VM. */
static void come_and_go(const char *params)
{
	const char *path = module_path(), *text;
	struct vm vm;

	probes_begin();
	vm_create(&vm, 0);
	LOAD16(&vm, outs);
	probes_read();
	load_kvm(params);
	if (load(path, "")) {
		/* It wants the hardware at once. okvm has its callback again. */
		text = probes_read();
		EXPECT_EQ(count(text, " clear: ", true), 1);
		unload("kvm");
	} else {
		text = probes_read();
		EXPECT_EQ(count(text, " set: ", true), 0);
		EXPECT_EQ(count(text, " clear: ", true), 1);
		unload_all();
		text = probes_read();
		EXPECT_EQ(count(text, " clear: ", true), 0);
	}
	EXPECT_EQ(count(text, " set: ", true), 1);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
	probes_end();
}

/*
 * The kernel warns if a second callback is registered, and the one of upstream's module is lost
 * then. When the module goes, okvm's VMs must not be left without.
 */
TEST(upstreams_module_finds_no_callback_and_leaves_okvm_its_own)
{
	come_and_go("");
	come_and_go(IDLE);
}

/* Upstream's module was there first. */
TEST(okvm_gets_the_callback_when_upstreams_module_goes)
{
	const char *path = module_path();
	struct vm vm;

	load_kvm(IDLE);
	REQUIRE(load(path, "") == 0);
	probes_begin();
	vm_create(&vm, 0);
	EXPECT_EQ(count(probes_read(), " set: ", true), 0);
	unload_all();
	EXPECT_EQ(count(probes_read(), " set: ", true), 1);
	vm_destroy(&vm);
	probes_end();
}
