// SPDX-License-Identifier: GPL-2.0-only
/* OKVM_GET_ERROR: refused entries, emulation, ioctls and faults say why. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/klog.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define GDTR_BASE	0x6816	/* encodings of VMCS fields */
#define TR_RIGHTS	0x4822
#define CONSOLE_OFF	6	/* types of klogctl() */
#define CONSOLE_ON	7

GUEST(stay64, 64)
	"	hlt\n"
GUEST_END(stay64);

static struct okvm_error last_error(int fd)
{
	struct okvm_error error;

	memset(&error, 0xaa, sizeof(error));
	REQUIRE(ioctl(fd, OKVM_GET_ERROR, &error) == 0);
	EXPECT_EQ(error.text[sizeof(error.text) - 1], 0);
	return error;
}

TEST(before_the_first_failure_there_is_none)
{
	struct okvm_error error;
	struct vm vm;

	vm_create(&vm, 0);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.count, 0);
	EXPECT_EQ(error.kind, OKVM_ERROR_NONE);
	EXPECT_EQ(last_error(vm.fd).count, 0);
	vm_destroy(&vm);
}

/* ---- entries ---- */

static void run_with(struct vm *vm, void (*spoil)(struct kvm_sregs *sregs), uint32_t reason)
{
	struct kvm_sregs sregs;

	vm_create(vm, 0);
	LOAD64(vm, stay64);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	spoil(&sregs);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	run_until(vm, reason);
}

static void spoil_gdt(struct kvm_sregs *sregs)
{
	sregs->gdt.base = 1ull << 62;
}

TEST(a_refused_entry_names_the_rule_and_the_field)
{
	struct okvm_error error;
	struct vm vm;

	test_needs_vmx("VMRUN has no such rule");
	run_with(&vm, spoil_gdt, KVM_EXIT_FAIL_ENTRY);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_ENTRY);
	EXPECT_EQ(error.count, 1);
	EXPECT_EQ(error.error, 0);
	EXPECT_EQ(error.data[0], vm.run->fail_entry.hardware_entry_failure_reason);
	EXPECT_EQ(error.data[2], 1);
	EXPECT_EQ(error.data[3], GDTR_BASE);
	EXPECT_EQ(error.data[4], 1ull << 62);
	EXPECT(!strncmp(error.text, "tables-canonical: ", 18));
	EXPECT(strstr(error.text, "GUEST_GDTR_BASE is 0x4000000000000000"));
	EXPECT(strstr(error.text, "Checks on Guest Descriptor-Table Registers"));
	vm_destroy(&vm);
}

/* Without "unrestricted guest", the emulator runs what such a CPU would refuse for its segments. */
static void refused_for_tr(struct vm *vm, void (*spoil)(struct kvm_sregs *sregs))
{
	if (!no_unrestricted_guest()) {
		run_with(vm, spoil, KVM_EXIT_FAIL_ENTRY);
		return;
	}
	run_with(vm, spoil, KVM_EXIT_HLT);
	EXPECT_EQ(last_error(vm->vcpu).count, 0);
	test_skip("this task register is emulated without unrestricted guest");
}

static void spoil_tr(struct kvm_sregs *sregs)
{
	sregs->tr.type = 9;
}

TEST(an_available_tss_is_refused_as_such)
{
	struct okvm_error error;
	struct vm vm;

	test_needs_vmx("VMRUN has no such rule");
	refused_for_tr(&vm, spoil_tr);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.data[2], 1);
	EXPECT_EQ(error.data[3], TR_RIGHTS);
	EXPECT(!strncmp(error.text, "tr-type: ", 9));
	vm_destroy(&vm);
}

static void spoil_both(struct kvm_sregs *sregs)
{
	spoil_gdt(sregs);
	spoil_tr(sregs);
}

TEST(two_broken_rules_are_both_named)
{
	struct okvm_error error;
	struct vm vm;

	test_needs_vmx("VMRUN has no such rule");
	refused_for_tr(&vm, spoil_both);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.count, 2);
	EXPECT_EQ(error.data[2], 2);
	EXPECT(strstr(error.text, "tr-type: "));
	EXPECT(strstr(error.text, "; tables-canonical: "));
	vm_destroy(&vm);
}

static void spoil_much(struct kvm_sregs *sregs)
{
	spoil_both(sregs);
	sregs->fs.base = 1ull << 62;
	sregs->cs.db = 1;
	sregs->ldt.present = 1;
	sregs->ldt.unusable = 0;
	sregs->ldt.type = 9;
}

/* The text ends with a whole rule and how many others there are. */
TEST(many_broken_rules_are_counted)
{
	struct okvm_error error;
	unsigned int whole = 0, more;
	const char *end, *at;
	struct vm vm;

	test_needs_vmx("VMRUN has no such rules");
	refused_for_tr(&vm, spoil_much);
	error = last_error(vm.vcpu);
	end = strstr(error.text, "; and ");
	REQUIRE(end);
	REQUIRE(sscanf(end, "; and %u more", &more) == 1);
	for (at = error.text; (at = strstr(at, "\")")); at += 2)
		whole++;
	EXPECT_EQ(whole + more, error.data[2]);
	EXPECT(end[-1] == ')');
	vm_destroy(&vm);
}

static void spoil_cs(struct kvm_sregs *sregs)
{
	sregs->cs.db = 1;
}

TEST(a_refused_vmrun_names_the_rule_and_the_field)
{
	struct okvm_error error;
	struct vm vm;

	if (!test_on_svm())
		test_skip("needs SVM");
	run_with(&vm, spoil_cs, KVM_EXIT_FAIL_ENTRY);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_ENTRY);
	EXPECT_EQ(error.data[0], vm.run->fail_entry.hardware_entry_failure_reason);
	EXPECT_EQ(error.data[2], 1);
	EXPECT_EQ(error.data[3], 0x412);	/* APM "VMCB Layout": attributes of CS */
	EXPECT_EQ(error.data[4] & 0x600, 0x600);	/* L, D */
	EXPECT(!strncmp(error.text, "cs-l-and-d: ", 12));
	EXPECT(strstr(error.text, "CS_ATTRIB is 0x"));
	vm_destroy(&vm);
}

/* QEMU's TCG refuses vector 31. Other vectors without an exception are refused by CPUs only. */
TEST(a_refused_exception_is_named)
{
	struct kvm_vcpu_events events;
	struct okvm_error error;
	struct vm vm;

	if (!test_on_svm())
		test_skip("needs SVM");
	vm_create(&vm, 0);
	LOAD64(&vm, stay64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.exception.injected = 1;
	events.exception.nr = 31;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.data[2], 1);
	EXPECT(!strncmp(error.text, "event-vector: ", 14));
	vm_destroy(&vm);
}

GUEST(caught64, 64)
	"	hlt\n"
	"	.global caught64_ud\n"
	"caught64_ud:\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(caught64);
extern const uint8_t caught64_ud[];

/* A GDT, and an IDT with a gate for #UD only. */
static void set_tables(struct vm *vm, struct kvm_sregs *sregs)
{
	uint64_t *gdt = (uint64_t *)(vm->mem + 0x5000), *idt = (uint64_t *)(vm->mem + 0x6000);
	uint64_t at = VM_CODE + (caught64_ud - guest_caught64);

	gdt[1] = 0x00af9b000000ffffull;
	gdt[2] = 0x00cf93000000ffffull;
	idt[2 * 6] = at | 8 << 16 | 0x8e00ull << 32;
	sregs->gdt.base = 0x5000;
	sregs->gdt.limit = 23;
	sregs->idt.base = 0x6000;
	sregs->idt.limit = 0xfff;
}

TEST(an_event_waits_for_the_entry_that_is_not_refused)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs, bad;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, caught64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	set_tables(&vm, &sregs);
	bad = sregs;
	if (test_on_svm())
		spoil_cs(&bad);
	else
		spoil_gdt(&bad);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = 0x7f00;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.exception.injected = 1;
	events.exception.nr = 6;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &bad) == 0);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

/* ---- the kernel log ---- */

struct log {
	int fd;
	unsigned int entries;		/* of the vCPU that is looked for */
	unsigned int dumps;		/* of a VMCS or a VMCB */
	unsigned int suppressions;	/* lines about lines that have been suppressed */
};

static struct log log_open(void)
{
	struct log log = { .fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK) };

	if (log.fd < 0)
		test_skip("no /dev/kmsg");
	lseek(log.fd, 0, SEEK_END);
	return log;
}

/* A dump has one line for each field. */
static bool is_dump(const char *line)
{
	return strstr(line, test_on_svm() ? " EFER = " : " GUEST_RFLAGS = ");
}

static void log_count(struct log *log, unsigned int id)
{
	char line[1024], want[32];
	ssize_t got;

	snprintf(want, sizeof(want), "okvm: vCPU %u of process ", id);
	while ((got = read(log->fd, line, sizeof(line) - 1)) > 0 || (got < 0 && errno == EPIPE)) {
		line[got > 0 ? got : 0] = 0;
		log->entries += !!strstr(line, want);
		log->dumps += is_dump(line);
		log->suppressions += !!strstr(line, "okvm_vm_may_log: ");
	}
}

struct failing {
	struct vm vm;
	unsigned int id;
	int fd;
	struct kvm_run *run;
};

static void failing_create(struct failing *f, unsigned int id)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	f->id = id;
	vm_create(&f->vm, 0);
	LOAD64(&f->vm, stay64);
	f->fd = vcpu_add(&f->vm, id, &f->run);
	REQUIRE(ioctl(f->vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	if (test_on_svm())
		spoil_cs(&sregs);
	else
		spoil_gdt(&sregs);
	REQUIRE(ioctl(f->fd, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(f->vm.vcpu, KVM_GET_REGS, &regs) == 0);
	REQUIRE(ioctl(f->fd, KVM_SET_REGS, &regs) == 0);
}

/* Count the lines at once: the log does not keep many. */
static void failing_run(struct failing *f, struct log *log, unsigned int times)
{
	while (times--) {
		REQUIRE(ioctl(f->fd, KVM_RUN, 0) == 0);
		REQUIRE(f->run->exit_reason == KVM_EXIT_FAIL_ENTRY);
		log_count(log, f->id);
	}
}

static void failing_destroy(struct failing *f)
{
	close(f->fd);
	vm_destroy(&f->vm);
}

static unsigned int lines_of_vm(struct log *log, unsigned int id, unsigned int times)
{
	unsigned int before = log->entries;
	struct failing f;

	failing_create(&f, id);
	failing_run(&f, log, times);
	failing_destroy(&f);
	return log->entries - before;
}

TEST(the_log_of_a_vm_does_not_suppress_anothers)
{
	struct log log = log_open();
	unsigned int first = lines_of_vm(&log, 41, 30);

	EXPECT(first >= 1 && first < 30);
	EXPECT_EQ(lines_of_vm(&log, 42, 1), 1);
	close(log.fd);
}

/* The kernel's limits do so when the next line comes after their interval. */
TEST(no_line_tells_of_the_suppressed_lines_of_each_vm)
{
	struct log log = log_open();
	struct failing f;

	failing_create(&f, 43);
	failing_run(&f, &log, 30);
	EXPECT(log.entries < 30);
	sleep(6);
	log.entries = 0;
	failing_run(&f, &log, 1);
	EXPECT_EQ(log.entries, 1);
	EXPECT_EQ(log.suppressions, 0);
	failing_destroy(&f);
	close(log.fd);
}

static bool dump_entries(char on)
{
	int fd = open(test_on_svm() ? "/sys/module/okvm/parameters/dump_invalid_vmcb" :
				      "/sys/module/okvm/parameters/dump_invalid_vmcs", O_WRONLY);
	bool done = fd >= 0 && write(fd, &on, 1) == 1;

	close(fd);
	return done;
}

/* Each VM may print ten lines in five seconds. The console would make this slow. */
TEST(all_vms_together_dump_ten_states_in_five_seconds)
{
	struct log log = log_open();
	time_t begin;
	unsigned int id;

	REQUIRE(dump_entries('1'));
	klogctl(CONSOLE_OFF, NULL, 0);
	begin = time(NULL);
	for (id = 44; id < 47; id++)
		EXPECT_EQ(lines_of_vm(&log, id, 9), 9);
	klogctl(CONSOLE_ON, NULL, 0);
	EXPECT(dump_entries('0'));
	close(log.fd);
	EXPECT(log.dumps >= 1);
	if (time(NULL) - begin > 4)
		test_skip("the machine is too slow");
	EXPECT(log.dumps <= 10);
}

/* ---- emulation ---- */

GUEST(paddd64, 64)
	"	mov %cr4, %rax\n"
	"	or $0x600, %rax\n"
	"	mov %rax, %cr4\n"
	"	mov $0x10000000, %rbx\n"
	"	paddd (%rbx), %xmm0\n"
	"	hlt\n"
GUEST_END(paddd64);

TEST(a_failed_emulation_says_the_bytes_and_the_mode)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 1 };
	struct okvm_error error;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD64(&vm, paddd64);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_EMULATION);
	EXPECT_EQ(error.data[0], regs.rip);
	EXPECT(strstr(error.text, "64-bit code, CPL 0"));
	EXPECT(strstr(error.text, "bytes: 66 0f fe 03"));
	EXPECT(strstr(error.text, "does not know the opcode"));
	/* Whoever looks for an ioctl that is not there can still read why. */
	EXPECT_ERR(ioctl(vm.vcpu, KVM_CREATE_VM, 0), EINVAL);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_EMULATION);
	EXPECT_EQ(error.count, 1);
	vm_destroy(&vm);
}

TEST(code_that_is_nowhere_is_said_to_be)
{
	struct okvm_error error;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, stay64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = 0x10000000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_EMULATION);
	EXPECT(strstr(error.text, "cannot be read"));
	vm_destroy(&vm);
}

GUEST(deliver16, 16)
	"	nop\n"
	"	nop\n"
	"	hlt\n"
	"	.org guest_deliver16 + 0x10\n"
	"	out %al, $0x11\n"
GUEST_END(deliver16);

static void set_idt_base(struct vm *vm, uint64_t base)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.idt.base = base;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

static void start_with_ud(struct vm *vm)
{
	const uint16_t entry[2] = { VM_CODE + 0x10, 0 };
	struct kvm_vcpu_events events;

	LOAD16(vm, deliver16);
	memcpy(vm->mem + 4 * 6, entry, sizeof(entry));
	REQUIRE(ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.exception.injected = 1;
	events.exception.nr = 6;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
}

static void expect_undelivered(struct vm *vm)
{
	struct okvm_error error = last_error(vm->vcpu);
	unsigned int i;

	EXPECT_EQ(error.kind, OKVM_ERROR_INTERNAL);
	EXPECT_EQ(error.count, 3);
	EXPECT_EQ(error.data[0], KVM_INTERNAL_ERROR_DELIVERY_EV);
	EXPECT_EQ(error.data[1], VM_CODE);
	REQUIRE(error.ndata == vm->run->internal.ndata + 2);
	for (i = 2; i < error.ndata; i++)
		EXPECT_EQ(error.data[i], vm->run->internal.data[i - 2]);
	EXPECT(strstr(error.text, "vector 6 cannot be delivered at rip 0x8000:"));
}

/* Nothing but the registers is looked at between: asking for events would have them chosen anew. */
TEST(an_event_that_cannot_be_delivered_stays)
{
	struct okvm_error error;
	struct kvm_regs regs;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	start_with_ud(&vm);
	set_idt_base(&vm, 0x10000000);
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
		EXPECT_EQ(regs.rip, VM_CODE);
	}
	if (no_unrestricted_guest()) {
		error = last_error(vm.vcpu);
		EXPECT_EQ(error.kind, OKVM_ERROR_EMULATION);
		EXPECT_EQ(error.count, 3);
		EXPECT(strstr(error.text, "delivery or task switch"));
		EXPECT(!strstr(error.text, "bytes"));
	} else {
		expect_undelivered(&vm);
	}
	set_idt_base(&vm, 0);
	run_out(&vm, 0x11);
	vm_destroy(&vm);
}

GUEST(triple16, 16)
	"	mov $0x7654, %sp\n"
	"	ud2\n"
GUEST_END(triple16);

/* SVM resets the vCPU afterwards: only this record has the registers. */
TEST(a_triple_fault_tells_where_the_guest_was)
{
	struct okvm_error error;
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, triple16);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cr2 = 0x1234;
	sregs.idt.base = 0x2000;
	sregs.idt.limit = 0;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_SHUTDOWN);
	EXPECT_EQ(error.count, 1);
	EXPECT_EQ(error.ndata, 6);
	EXPECT_EQ(error.data[0], VM_CODE + 3);
	EXPECT_EQ(error.data[1], 0x7654);
	EXPECT_EQ(error.data[2], 0x1234);
	EXPECT_EQ(error.data[3], 0);
	EXPECT_EQ(error.data[4], 0x2000);
	EXPECT_EQ(error.data[5], 0);
	EXPECT(strstr(error.text, "triple fault at rip 0x8003:"));
	vm_destroy(&vm);
}

/* ---- ioctls ---- */

static void expect_refusal(int fd, uint32_t count, const char *part)
{
	struct okvm_error error = last_error(fd);

	EXPECT_EQ(error.kind, OKVM_ERROR_ARGUMENT);
	EXPECT_EQ(error.error, EINVAL);
	EXPECT_EQ(error.count, count);
	if (!strstr(error.text, part))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.text, part);
}

TEST(a_memory_region_is_refused_for_its_reason)
{
	struct kvm_userspace_memory_region region = { .slot = 1, .guest_phys_addr = 1 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), EINVAL);
	expect_refusal(vm.fd, 1, "not a multiple of 4096");
	region.guest_phys_addr = 0;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), EINVAL);
	expect_refusal(vm.fd, 2, "no such slot");
	region.flags = 1u << 31;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), EINVAL);
	expect_refusal(vm.fd, 3, "unknown flags");
	region = (struct kvm_userspace_memory_region) {
		.memory_size = VM_MEMORY / 2, .userspace_addr = (uintptr_t)vm.mem,
	};
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), EINVAL);
	expect_refusal(vm.fd, 4, "size of a slot");
	region.slot = 1;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), EEXIST);
	EXPECT_EQ(last_error(vm.fd).error, EEXIST);
	EXPECT(strstr(last_error(vm.fd).text, "overlaps"));
	vm_destroy(&vm);
}

TEST(registers_are_refused_for_their_reason)
{
	struct kvm_sregs good, sregs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, stay64);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &good) == 0);
	sregs = good;
	sregs.efer &= ~0x400ull;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	expect_refusal(vm.vcpu, 1, "without efer.LMA");
	sregs = good;
	sregs.cr4 &= ~0x20ull;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	expect_refusal(vm.vcpu, 2, "cr4.PAE");
	sregs = good;
	sregs.apic_base = ~0ull;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	expect_refusal(vm.vcpu, 3, "apic_base");
	/* The VM's failures are others. */
	EXPECT_EQ(last_error(vm.fd).count, 0);
	vm_destroy(&vm);
}

TEST(a_vcpu_id_and_a_capability_are_refused_for_their_reason)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 6 };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 1 << 20), EINVAL);
	expect_refusal(vm.fd, 1, "KVM_CAP_MAX_VCPU_ID");
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	expect_refusal(vm.fd, 2, "args[0]");
	cap.flags = 1;
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	expect_refusal(vm.fd, 3, "flags");
	vm_destroy(&vm);
}

TEST(more_that_is_refused)
{
	struct kvm_coalesced_mmio_zone zone = { .size = 4096, .pio = 2 };
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };
	struct kvm_interrupt irq = { .irq = 256 };
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_pre_fault_memory range = { .gpa = 1 };
	struct kvm_lapic_state apic;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone), EINVAL);
	expect_refusal(vm.fd, 1, "pio");
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	expect_refusal(vm.fd, 2, "without a range");
	filter.flags = 1u << 31;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	expect_refusal(vm.fd, 3, "unknown flags");
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_LAPIC, &apic), EINVAL);
	expect_refusal(vm.vcpu, 1, "none is in the kernel");
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EINVAL);
	expect_refusal(vm.vcpu, 2, "above 255");
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	expect_refusal(vm.vcpu, 3, "no LAPIC");
	state.mp_state = 100;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	expect_refusal(vm.vcpu, 4, "unknown state");
	EXPECT_ERR(ioctl(vm.vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	expect_refusal(vm.vcpu, 5, "whole pages");
	range.gpa = 0;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	expect_refusal(vm.vcpu, 6, "size is 0");
	vm_destroy(&vm);
}

TEST(an_mmu_is_refused_for_its_reason)
{
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_MMU, .args[0] = 77 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	expect_refusal(vm.fd, 1, "no kind of MMU");
	cap.args[0] = OKVM_MMU_SHADOW;
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	expect_refusal(vm.fd, 2, "has a vCPU already");
	vm_destroy(&vm);
}

/* ---- faults that userspace must put right ---- */

GUEST(touch64, 64)
	"	mov $0x20000000, %rbx\n"
	"	mov %al, 0x1234(%rbx)\n"
	"	hlt\n"
GUEST_END(touch64);

TEST(a_fault_tells_the_guest_address)
{
	struct okvm_memory_fault fault;
	struct okvm_error error;
	uint8_t *mem = host_pages(4);
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_FAULT_INFO), 1);
	vm_slot(&vm, 1, 0x20000000, 4 * 4096, mem, 0);
	LOAD64(&vm, touch64);
	REQUIRE(munmap(mem, 4 * 4096) == 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EFAULT);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	memcpy(&fault, &vm.run->hw, sizeof(fault));
	EXPECT_EQ(fault.flags, 0);
	EXPECT_EQ(fault.gpa, 0x20001000);
	EXPECT_EQ(fault.size, 0x1000);
	error = last_error(vm.vcpu);
	EXPECT_EQ(error.kind, OKVM_ERROR_MEMORY);
	EXPECT_EQ(error.error, EFAULT);
	EXPECT_EQ(error.data[0], 0x20001000);
	EXPECT(strstr(error.text, "write of guest-physical address 0x20001000"));
	REQUIRE(mmap(mem, 4 * 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(an_address_that_cannot_be_written_is_efault)
{
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.vcpu, OKVM_GET_ERROR, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.fd, OKVM_GET_ERROR, 8), EFAULT);
	vm_destroy(&vm);
}
