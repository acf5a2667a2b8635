/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame of okvm's kselftests: a small VM, guest code written beside the
 * test in a section of its own, and KTAP output.
 *
 * A test file has one behaviour per TEST(), and its guests between GUEST(name)
 * and GUEST_END(name). main() is in the library. The device is /dev/okvm, or
 * what the environment variable OKVM_DEVICE names, so that every test can be
 * run on upstream's /dev/kvm as well.
 */
#ifndef OKVM_SELFTESTS_LIB_H
#define OKVM_SELFTESTS_LIB_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/okvm.h"

/* ---- tests ---- */

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *test);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Ends the test: it is counted as skipped, with the reason. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/*
 * What the test is about happens on two CPUs at once only. The files that call this run on a
 * machine of two CPUs as well (step "lifecycle"), and nothing may be skipped there.
 */
void test_needs_two_cpus(void);

/* Is the CPU QEMU's interpreted one? */
bool test_on_tcg(void);
/* Do VMs run by SVM here? Else by VMX. */
bool test_on_svm(void);
/* Ends the test where VMs do not run by VMX, which is what it is about. */
void test_needs_vmx(const char *why);

#define TEST(fn)							\
	static void fn(void);						\
	static struct test fn##_test = { #fn, fn, NULL };		\
	__attribute__((constructor)) static void fn##_register(void)	\
	{								\
		test_register(&fn##_test);				\
	}								\
	static void fn(void)

#define EXPECT(cond)							\
	do {								\
		if (!(cond))						\
			test_fail(__FILE__, __LINE__, "%s", #cond);	\
	} while (0)

#define EXPECT_EQ(got, want)						\
	do {								\
		long long got_ = (long long)(got), want_ = (long long)(want); \
									\
		if (got_ != want_)					\
			test_fail(__FILE__, __LINE__,			\
				  "%s is %lld (0x%llx), expected %lld (0x%llx)", \
				  #got, got_, got_, want_, want_);	\
	} while (0)

/* An ioctl that must fail with this errno. */
#define EXPECT_ERR(call, err)						\
	do {								\
		errno = 0;						\
		int ret_ = (int)(call);					\
									\
		if (ret_ != -1 || errno != (err))			\
			test_fail(__FILE__, __LINE__, "%s gives %d, errno %d (%s), expected %s", \
				  #call, ret_, errno, strerror(errno), #err); \
	} while (0)

/* A set-up step: the test cannot go on without it. */
#define REQUIRE(cond)							\
	do {								\
		if (!(cond)) {						\
			test_fail(__FILE__, __LINE__, "%s: %s", #cond, strerror(errno)); \
			test_end();					\
		}							\
	} while (0)

void test_end(void) __attribute__((noreturn));

/* ---- guest code ---- */

#define GUEST(name, bits)						\
	__asm__(".pushsection .guest, \"a\"\n"				\
		".global guest_" #name ", guest_" #name "_end\n"	\
		".code" #bits "\n"					\
		"guest_" #name ":\n"
#define GUEST_END(name)							\
		"guest_" #name "_end:\n"				\
		".code64\n"						\
		".popsection\n");					\
	extern const uint8_t guest_##name[], guest_##name##_end[]

/* ---- a VM with one slot of memory at 0 and one vCPU ---- */

#define VM_MEMORY	(4u << 20)
#define VM_CODE		0x8000u		/* where guests are loaded and started */
#define VM_TABLES	0x1000u		/* page tables of 64-bit guests: identity, 1 GiB */

struct vm {
	int sys, fd, vcpu;
	struct kvm_run *run;
	uint8_t *mem;
};

int open_device(void);
/* VM_IRQCHIP: with in-kernel PIC, IOAPIC, LAPIC. VM_BARE: no memory, no vCPU. */
enum vm_flag { VM_IRQCHIP = 1, VM_BARE = 2 };
void vm_create(struct vm *vm, unsigned int flags);
void vm_destroy(struct vm *vm);
void vm_slot(struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t size, void *hva, uint32_t flags);
void vm_slot_delete(struct vm *vm, uint32_t slot);
/* Memory of the host to be a slot: pages of 4 KiB, zeros. */
uint8_t *host_pages(unsigned int nr);
int vcpu_add(struct vm *vm, uint32_t id, struct kvm_run **run);
void vcpu_cpuid(struct vm *vm, int vcpu);

/* Load @code and set the registers to run it in real mode, or in 64-bit mode at CPL 0. */
void guest_load16(struct vm *vm, const uint8_t *code, const uint8_t *end);
void guest_load64(struct vm *vm, const uint8_t *code, const uint8_t *end);
#define LOAD16(vm, name) guest_load16(vm, guest_##name, guest_##name##_end)
#define LOAD64(vm, name) guest_load64(vm, guest_##name, guest_##name##_end)

/* What the parameter force_emulation_prefix is set to; the test is skipped where it cannot be. */
void force_emulation(const char *value);
/* In assembler text: the emulator carries out the next instruction. */
#define FORCED "ud2\n .ascii \"kvm\"\n"

/* Does @vm, which has chosen nothing, run on shadow page tables? */
bool vm_on_shadow(const struct vm *vm);
/* vm_create() without flags, with shadow page tables; the test is skipped where there are none. */
void vm_create_on_shadow(struct vm *vm);
/* okvm is loaded without "unrestricted guest": the emulator runs what such a CPU would refuse. */
bool no_unrestricted_guest(void);

int vcpu_run(struct vm *vm);
/* Run and require this exit reason. */
void run_until(struct vm *vm, uint32_t reason);
/* Run to an OUT and give its value; the port must be @port. */
uint32_t run_out(struct vm *vm, uint16_t port);
uint64_t get_reg_rax(struct vm *vm);
/* Set one MSR by KVM_SET_MSRS. Return: 1, or 0 if it is refused */
int vcpu_set_msr(const struct vm *vm, uint32_t index, uint64_t val);
/* A statistic (KVM_GET_STATS_FD) of the VM or its vCPU by its name; ~0 if there is none of it. */
uint64_t vm_stat(struct vm *vm, const char *name);
uint64_t vcpu_stat(struct vm *vm, const char *name);

uint64_t now_ns(void);

#endif /* OKVM_SELFTESTS_LIB_H */
