// SPDX-License-Identifier: GPL-2.0-only
/* What KVM_RUN leaves as it was: the registers of the VMM, whatever the guest does to its own. */
#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

GUEST(change, 64)
	"1:	mov %cr4, %rax\n"
	"	or $0x600, %eax\n"		/* OSFXSR, OSXMMEXCPT */
	"	mov %rax, %cr4\n"
	"	mov %cr0, %rax\n"
	"	and $0xfffffffffffffff3, %rax\n"	/* no EM, no TS */
	"	mov %rax, %cr0\n"
	"	fninit\n"
	"	fldpi\n"
	"	pcmpeqd %xmm0, %xmm0\n"
	"	pcmpeqd %xmm15, %xmm15\n"
	"	movl $0x7f80, -4(%rsp)\n"
	"	ldmxcsr -4(%rsp)\n"
	"	xor %edx, %edx\n"
	"	mov $0x1234000, %eax\n"
	"	mov $0xc0000101, %ecx\n"		/* GS base */
	"	wrmsr\n"
	"	mov $0x5678000, %eax\n"
	"	mov $0xc0000102, %ecx\n"		/* the other GS base */
	"	wrmsr\n"
	"	swapgs\n"
	"	mov $0x9abc000, %eax\n"
	"	mov $0xc0000100, %ecx\n"		/* FS base */
	"	wrmsr\n"
	"	mov $0x9abc000, %eax\n"
	"	mov $0xc0000082, %ecx\n"		/* where SYSCALL goes */
	"	wrmsr\n"
	"	xor %eax, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	hlt\n"
	"	jmp 1b\n"
GUEST_END(change);

static long raw_run(int vcpu)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret)
			 : "0"(SYS_ioctl), "D"((long)vcpu), "S"((long)KVM_RUN), "d"(0l)
			 : "rcx", "r11", "memory");
	return ret;
}

TEST(sse_and_x87_state)
{
	uint64_t in[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, low[2], high[2];
	uint32_t mxcsr_in = 0x1fa0, mxcsr_out = 0, mxcsr_old;
	uint16_t cw_in = 0x027f, cw_out = 0, cw_old;
	struct vm vm;
	long ret;

	vm_create(&vm, 0);
	LOAD64(&vm, change);
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr_old), "=m"(cw_old));
	__asm__ volatile("ldmxcsr %[mx]\n\tfldcw %[cw]\n\t"
			 "movups %[in], %%xmm0\n\tmovups %[in], %%xmm15\n\t"
			 "syscall\n\t"
			 "movups %%xmm0, %[low]\n\tmovups %%xmm15, %[high]\n\t"
			 "stmxcsr %[mxo]\n\tfnstcw %[cwo]\n\t"
			 "ldmxcsr %[mxold]\n\tfldcw %[cwold]"
			 : "=a"(ret), [low] "=m"(low), [high] "=m"(high), [mxo] "=m"(mxcsr_out),
			   [cwo] "=m"(cw_out)
			 : "0"(SYS_ioctl), "D"((long)vm.vcpu), "S"((long)KVM_RUN), "d"(0l),
			   [in] "m"(in), [mx] "m"(mxcsr_in), [cw] "m"(cw_in),
			   [mxold] "m"(mxcsr_old), [cwold] "m"(cw_old)
			 : "rcx", "r11", "xmm0", "xmm15", "memory");
	EXPECT_EQ(ret, 0);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	EXPECT_EQ(memcmp(low, in, sizeof(in)), 0);
	EXPECT_EQ(memcmp(high, in, sizeof(in)), 0);
	EXPECT_EQ(mxcsr_out, mxcsr_in);
	EXPECT_EQ(cw_out, cw_in);
	vm_destroy(&vm);
}

TEST(segment_bases)
{
	unsigned long fs_before, fs_after, gs_after = 0;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, change);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7000000ul) == 0);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before) == 0);
	EXPECT_EQ(raw_run(vm.vcpu), 0);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	EXPECT_EQ(raw_run(vm.vcpu), 0);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_after) == 0);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs_after) == 0);
	EXPECT_EQ(fs_after, fs_before);
	EXPECT_EQ(gs_after, 0x7000000);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, 0ul) == 0);
	vm_destroy(&vm);
}

TEST(segment_selectors)
{
	unsigned int ds, es, ds_old, es_old, user_ds = 0x2b;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, change);
	__asm__ volatile("mov %%ds, %0\n\tmov %%es, %1" : "=r"(ds_old), "=r"(es_old));
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(user_ds));
	EXPECT_EQ(raw_run(vm.vcpu), 0);
	__asm__ volatile("mov %%ds, %0\n\tmov %%es, %1" : "=r"(ds), "=r"(es));
	__asm__ volatile("mov %0, %%ds\n\tmov %1, %%es" : : "r"(ds_old), "r"(es_old));
	EXPECT_EQ(ds, user_ds);
	EXPECT_EQ(es, user_ds);
	vm_destroy(&vm);
}

static volatile uint64_t watched __attribute__((aligned(8)));

static uint64_t hits(int event)
{
	uint64_t count = 0;

	REQUIRE(read(event, &count, sizeof(count)) == sizeof(count));
	return count;
}

/* An exit clears the enable bits of DR7. */
TEST(hardware_breakpoints)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched, .bp_len = HW_BREAKPOINT_LEN_8,
		.exclude_kernel = 1, .exclude_hv = 1,
	};
	struct vm vm;
	int event;

	event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (event < 0)
		test_skip("perf_event_open() of a breakpoint: %s", strerror(errno));
	vm_create(&vm, 0);
	LOAD64(&vm, change);
	watched = 1;
	EXPECT_EQ(hits(event), 1);
	EXPECT_EQ(raw_run(vm.vcpu), 0);
	watched = 2;
	EXPECT_EQ(hits(event), 2);
	close(event);
	vm_destroy(&vm);
}
