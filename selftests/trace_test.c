// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints under KVM's names: which there are, what fields they have, once for each cause; and
 * OKVM_CAP_EXIT_TIMES. What a format has to look like is in the table, and is upstream's: with
 * OKVM_DEVICE=/dev/kvm these tests hold the table against kvm.ko itself.
 */
#include <sys/eventfd.h>

#include "selftests/lib/smp.h"
#include "selftests/lib/tracing.h"

/* ---- formats ---- */

struct format {
	const char *event;
	const char *fields;	/* type, name, offset, size, signed; joined by ";" */
};

/* What the kernel writes behind the fields that all events have. */
static const struct format formats[] = {
	{ "kvm_entry", "unsigned int vcpu_id,8,4,0;unsigned long rip,16,8,0;"
	  "bool immediate_exit,24,1,0;" },
	{ "kvm_exit", "unsigned int exit_reason,8,4,0;unsigned long guest_rip,16,8,0;u32 isa,24,4,0;"
	  "u64 info1,32,8,0;u64 info2,40,8,0;u32 intr_info,48,4,0;u32 error_code,52,4,0;"
	  "unsigned int vcpu_id,56,4,0;" },
	{ "kvm_hypercall", "unsigned long nr,8,8,0;unsigned long a0,16,8,0;unsigned long a1,24,8,0;"
	  "unsigned long a2,32,8,0;unsigned long a3,40,8,0;" },
	{ "kvm_pio", "unsigned int rw,8,4,0;unsigned int port,12,4,0;unsigned int size,16,4,0;"
	  "unsigned int count,20,4,0;unsigned int val,24,4,0;" },
	{ "kvm_mmio", "u32 type,8,4,0;u32 len,12,4,0;u64 gpa,16,8,0;u64 val,24,8,0;" },
	{ "kvm_fast_mmio", "u64 gpa,8,8,0;" },
	{ "kvm_cpuid", "unsigned int function,8,4,0;unsigned int index,12,4,0;unsigned long rax,16,8,0;"
	  "unsigned long rbx,24,8,0;unsigned long rcx,32,8,0;unsigned long rdx,40,8,0;"
	  "bool found,48,1,0;bool used_max_basic,49,1,0;" },
	{ "kvm_msr", "unsigned write,8,4,0;u32 ecx,12,4,0;u64 data,16,8,0;u8 exception,24,1,0;" },
	{ "kvm_cr", "unsigned int rw,8,4,0;unsigned int cr,12,4,0;unsigned long val,16,8,0;" },
	{ "kvm_page_fault", "unsigned int vcpu_id,8,4,0;unsigned long guest_rip,16,8,0;"
	  "u64 fault_address,24,8,0;u64 error_code,32,8,0;" },
	{ "kvm_inj_virq", "unsigned int vector,8,4,0;bool soft,12,1,0;bool reinjected,13,1,0;" },
	{ "kvm_inj_exception", "u8 exception,8,1,0;u8 has_error,9,1,0;u32 error_code,12,4,0;"
	  "bool reinjected,16,1,0;" },
	{ "kvm_apic", "unsigned int rw,8,4,0;unsigned int reg,12,4,0;u64 val,16,8,0;" },
	{ "kvm_apic_ipi", "__u32 icr_low,8,4,0;__u32 dest_id,12,4,0;" },
	{ "kvm_apic_accept_irq", "__u32 apicid,8,4,0;__u16 dm,12,2,0;__u16 tm,14,2,0;"
	  "__u8 vec,16,1,0;" },
	{ "kvm_eoi", "__u32 apicid,8,4,0;int vector,12,4,1;" },
	{ "kvm_pv_eoi", "__u32 apicid,8,4,0;int vector,12,4,1;" },
	{ "kvm_msi_set_irq", "__u64 address,8,8,0;__u64 data,16,8,0;" },
	{ "kvm_set_irq", "unsigned int gsi,8,4,0;int level,12,4,1;int irq_source_id,16,4,1;" },
	{ "kvm_ioapic_set_irq", "__u64 e,8,8,0;int pin,16,4,1;bool coalesced,20,1,0;" },
	{ "kvm_pic_set_irq", "__u8 chip,8,1,0;__u8 pin,9,1,0;__u8 elcr,10,1,0;__u8 imr,11,1,0;"
	  "bool coalesced,12,1,0;" },
	{ "kvm_ack_irq", "unsigned int irqchip,8,4,0;unsigned int pin,12,4,0;" },
	{ "kvm_userspace_exit", "__u32 reason,8,4,0;int errno,12,4,1;" },
	{ "kvm_vcpu_wakeup", "__u64 ns,8,8,0;bool waited,16,1,0;bool valid,17,1,0;" },
	{ "kvm_halt_poll_ns", "bool grow,8,1,0;unsigned int vcpu_id,12,4,0;unsigned int new,16,4,0;"
	  "unsigned int old,20,4,0;" },
	{ "kvm_emulate_insn", "__u64 rip,8,8,0;__u32 csbase,16,4,0;__u8 len,20,1,0;__u8 insn[15],21,15,0;"
	  "__u8 flags,36,1,0;__u8 failed,37,1,0;" },
	{ "kvm_try_async_get_page", "__u64 gva,8,8,0;u64 gfn,16,8,0;" },
	{ "kvm_async_pf_repeated_fault", "__u64 gva,8,8,0;u64 gfn,16,8,0;" },
	{ "kvm_async_pf_not_present", "__u64 token,8,8,0;__u64 gva,16,8,0;" },
	{ "kvm_async_pf_ready", "__u64 token,8,8,0;__u64 gva,16,8,0;" },
	{ "kvm_async_pf_completed", "unsigned long address,8,8,0;u64 gva,16,8,0;" },
	{ "kvm_pvclock_update", "unsigned int vcpu_id,8,4,0;__u32 version,12,4,0;"
	  "__u64 tsc_timestamp,16,8,0;__u64 system_time,24,8,0;__u32 tsc_to_system_mul,32,4,0;"
	  "__s8 tsc_shift,36,1,1;__u8 flags,37,1,0;" },
	{ "kvm_write_tsc_offset", "unsigned int vcpu_id,8,4,0;__u64 previous_tsc_offset,16,8,0;"
	  "__u64 next_tsc_offset,24,8,0;" },
};

static FILE *event_file(const char *event, const char *name, const char *mode)
{
	char path[256];

	snprintf(path, sizeof(path), TRACING "/events/kvm/%s/%s", event, name);
	return fopen(path, mode);
}

/* The fields of an event as the table has them. */
static void read_format(const char *event, char *out, size_t size)
{
	FILE *file = event_file(event, "format", "r");
	unsigned int offset, bytes, is_signed;
	char line[512], field[128];

	out[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " field:%127[^;]; offset:%u; size:%u; signed:%u;", field, &offset,
			   &bytes, &is_signed) != 4 || strstr(field, " common_"))
			continue;
		snprintf(out + strlen(out), size - strlen(out), "%s,%u,%u,%u;", field, offset,
			 bytes, is_signed);
	}
	if (file)
		fclose(file);
}

TEST(formats_are_upstreams)
{
	char got[1024];
	unsigned int i;

	tracing_mount();
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		read_format(formats[i].event, got, sizeof(got));
		if (strcmp(got, formats[i].fields))
			test_fail(__FILE__, __LINE__, "%s: %s, expected %s", formats[i].event, got,
				  formats[i].fields);
	}
}

/* ---- causes ---- */

static volatile uint32_t irqs;

static GUEST_C void on_irq(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	apic_write(AP_EOI, 0);
}

static GUEST_C void cause(void)
{
	uint32_t eax = 0x40000000, ebx, ecx = 0, edx;
	uint64_t call = 77;

	guest_handlers[0x63] = on_irq;
	guest_handlers[13] = guest_skip;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	guest_wrmsr(0x3b, 0x1234);
	GUEST_EXPECT(guest_rdmsr_faults(0x12345));
	__asm__ volatile(GUEST_HYPERCALL : "+a"(call) : "b"(11ul), "c"(12ul), "d"(13ul), "S"(14ul) :
			 "memory", "cc");
	guest_out8(PORT_YIELD, 0x5a);
	guest_sti();
	apic_send(ICR_SELF | 0x63, 0);
	GUEST_WAIT(irqs == 1);
	guest_cli();
}

TEST(each_cause_is_traced_once)
{
	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	irqs = 0;
	tracing_begin();
	smp_run_one(SMP_X2APIC, cause);
	tracing_end();
	EXPECT_EQ(irqs, 1);
	EXPECT_EQ(traced("kvm_cpuid", "leaf 0x40000000.0 "), 1);
	EXPECT_EQ(traced("kvm_msr", "write msr 0x3b 0x1234"), 1);
	EXPECT_EQ(traced("kvm_msr", "read msr 0x12345 0x0 #GP"), 1);
	EXPECT_EQ(traced("kvm_hypercall", "nr 0x4d a0 0xb a1 0xc a2 0xd a3 0xe"), 1);
	EXPECT_EQ(traced("kvm_pio", "write port 0x12 size 1 count 1 val 0x5a"), 1);
	/* A delivery that meets a page that is not mapped yet is made again. */
	EXPECT_EQ(traced("kvm_inj_exception", "vector 13 error_code 0x0") -
		  traced("kvm_inj_exception", "vector 13 error_code 0x0, again"), 1);
	EXPECT_EQ(traced("kvm_apic_ipi", "icr 0x"), 1);
	EXPECT_EQ(traced("kvm_apic_accept_irq", "vector 0x63"), 1);
	EXPECT_EQ(traced("kvm_inj_virq", "vector 0x63") -
		  traced("kvm_inj_virq", "vector 0x63, again"), 1);
	EXPECT_EQ(traced("kvm_eoi", "vector 99"), 1);
	EXPECT(traced("kvm_entry", "vcpu 0 rip 0x") >= traced("kvm_exit", "vcpu 0 reason"));
	EXPECT(traced("kvm_exit", "reason CPUID") + traced("kvm_exit", "reason cpuid") >= 1);
	EXPECT(traced("kvm_userspace_exit", "reason 2 errno 0") >= 1);
	EXPECT(traced("kvm_page_fault", "vcpu 0 rip 0x") >= 1);
	free(trace_text);
	/* Off again: nothing more comes. */
	write_file(TRACING "/trace", "\n");
	irqs = 0;
	smp_run_one(SMP_X2APIC, cause);
	tracing_end();
	EXPECT_EQ(traced("kvm_exit", ""), 0);
	free(trace_text);
}

GUEST(ends, 16)
	"	outb %al, $0x12\n"
GUEST_END(ends);

/* CD is the host's in any mode, EOI a register write, and the timer ends HLT. */
static GUEST_C void cause_more(void)
{
	uint64_t cr0;

	guest_handlers[0x64] = on_irq;
	__asm__ volatile("mov %%cr0, %0; xor $0x40000000, %0; mov %0, %%cr0;"
			 "xor $0x40000000, %0; mov %0, %%cr0" : "=r"(cr0) : : "memory", "cc");
	apic_write(AP_LVTT, 0x64);
	apic_write(AP_TMICT, 50000000);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

TEST(registers_and_wakeups_are_traced_once)
{
	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	irqs = 0;
	tracing_begin();
	smp_run_one(SMP_X2APIC, cause_more);
	tracing_end();
	EXPECT_EQ(irqs, 1);
	/* Without decode assists, as in QEMU's TCG, the emulator executes the moves on SVM. */
	EXPECT(traced("kvm_cr", "write cr0 0x") == 2 ||
	       (test_on_svm() && !traced("kvm_cr", "write cr0 0x")));
	EXPECT_EQ(traced("kvm_apic", "write register 0x380 0x2faf080"), 1);
	EXPECT_EQ(traced("kvm_apic", "write register 0xb0 "), 1);
	EXPECT(traced("kvm_vcpu_wakeup", " ns") >= 1);
	free(trace_text);
}

static volatile uint32_t pv_flag, pv_eois;

static GUEST_C void on_pv_irq(struct guest_frame *frame)
{
	uint32_t offered = 0;

	(void)frame;
	__asm__ volatile("xchg %0, %1" : "+r"(offered), "+m"(pv_flag));
	if (offered & 1)
		pv_eois++;
	else
		apic_write(AP_EOI, 0);
	irqs++;
}

static GUEST_C void end_without_exit(void)
{
	guest_handlers[0x65] = on_pv_irq;
	guest_wrmsr(0x4b564d04, (uintptr_t)&pv_flag | 1);
	guest_sti();
	apic_send(ICR_SELF | 0x65, 0);
	GUEST_WAIT(irqs == 1);
	guest_cli();
	/* ISR: the skipped EOI is done. */
	GUEST_EXPECT(!apic_read(AP_ISR + 0x30));
	guest_wrmsr(0x4b564d04, 0);
}

static volatile uint32_t pv_other;

/*
 * The flag moves to a word that looks as if no EOI had been skipped. The next interrupt has the
 * same priority, so that it needs the EOI of the first.
 */
static GUEST_C void end_and_move(void)
{
	guest_handlers[0x65] = on_pv_irq;
	guest_wrmsr(0x4b564d04, (uintptr_t)&pv_flag | 1);
	guest_sti();
	apic_send(ICR_SELF | 0x65, 0);
	GUEST_WAIT(irqs == 1);
	pv_other = 1;
	guest_wrmsr(0x4b564d04, (uintptr_t)&pv_other | 1);
	apic_send(ICR_SELF | 0x65, 0);
	GUEST_WAIT(irqs == 2);
	guest_cli();
	guest_wrmsr(0x4b564d04, 0);
}

TEST(an_eoi_in_memory_is_traced_once)
{
	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	irqs = pv_eois = 0;
	tracing_begin();
	smp_run_one(SMP_X2APIC, end_without_exit);
	tracing_end();
	EXPECT_EQ(irqs, 1);
	EXPECT_EQ(traced("kvm_pv_eoi", "apic 0 vector 101"), pv_eois);
	EXPECT_EQ(traced("kvm_eoi", "vector 101"), 1);
	free(trace_text);
	if (!pv_eois)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

TEST(an_eoi_in_memory_counts_when_the_flag_moves)
{
	irqs = pv_eois = 0;
	smp_run_one(SMP_X2APIC, end_and_move);
	EXPECT_EQ(irqs, 2);
	irqs = pv_eois = 0;
	smp_run_one(SMP_XAPIC, end_and_move);
	EXPECT_EQ(irqs, 2);
	if (!pv_eois)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

#define LEVEL_PIN	5

static GUEST_C void on_level(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	guest_line(LEVEL_PIN, false);
	apic_write(AP_EOI, 0);
}

static GUEST_C void io_write(uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)0xfec00000ul = reg;
	*(volatile uint32_t *)0xfec00010ul = val;
}

static GUEST_C void raise_level(void)
{
	guest_handlers[0x71] = on_level;
	io_write(0x11 + 2 * LEVEL_PIN, 0);
	io_write(0x10 + 2 * LEVEL_PIN, 1 << 15 | 0x71);
	guest_sti();
	guest_line(LEVEL_PIN, true);
	GUEST_WAIT(irqs == 1);
	guest_cli();
}

TEST(an_acknowledged_line_is_traced_once)
{
	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	irqs = 0;
	tracing_begin();
	smp_run_one(SMP_XAPIC, raise_level);
	tracing_end();
	EXPECT_EQ(irqs, 1);
	EXPECT_EQ(traced("kvm_ack_irq", "chip 2 pin 5"), 1);
	free(trace_text);
}

/* What userspace does to the interrupt controllers and to the clock. */
TEST(lines_messages_and_clocks_are_traced_once)
{
	struct kvm_irq_level line = { .irq = 5, .level = 1 };
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x51 };
	struct vm vm;

	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, ends);
	tracing_begin();
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	line.level = 0;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	EXPECT_EQ(vcpu_set_msr(&vm, 0x10, 1ull << 50), 1);
	EXPECT_EQ(vcpu_set_msr(&vm, 0x4b564d01, 0x9000 | 1), 1);
	run_until(&vm, KVM_EXIT_IO);
	tracing_end();
	EXPECT_EQ(traced("kvm_set_irq", "gsi 5 level 1"), 1);
	EXPECT_EQ(traced("kvm_set_irq", "gsi 5 level 0"), 1);
	EXPECT_EQ(traced("kvm_pic_set_irq", "chip 0 pin 5 "), 2);
	EXPECT_EQ(traced("kvm_ioapic_set_irq", " pin 5"), 2);
	EXPECT_EQ(traced("kvm_msi_set_irq", "address 0xfee00000 data 0x51"), 1);
	EXPECT_EQ(traced("kvm_write_tsc_offset", "vcpu 0 from 0x"), 1);
	EXPECT_EQ(traced("kvm_pvclock_update", "vcpu 0 version "), 1);
	free(trace_text);
	vm_destroy(&vm);
}

GUEST(asks, 64)
	"	movl $0x200000, %ebx\n"
	"	shll $4, %ebx\n"
	"	movl (%rbx), %eax\n"
	"	movl %eax, 4(%rbx)\n"
	"	inb $0x70, %al\n"
	"	hlt\n"
GUEST_END(asks);

TEST(what_userspace_answers_is_traced)
{
	struct vm vm;

	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	vm_create(&vm, 0);
	LOAD64(&vm, asks);
	tracing_begin();
	run_until(&vm, KVM_EXIT_MMIO);
	memcpy(vm.run->mmio.data, "\x78\x56\x34\x12", 4);
	run_until(&vm, KVM_EXIT_MMIO);
	run_until(&vm, KVM_EXIT_IO);
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0x42;
	run_until(&vm, KVM_EXIT_HLT);
	tracing_end();
	EXPECT_EQ(traced("kvm_mmio", "read, by userspace gpa 0x2000000 len 4"), 1);
	EXPECT_EQ(traced("kvm_mmio", "read gpa 0x2000000 len 4 val 0x12345678"), 1);
	EXPECT_EQ(traced("kvm_mmio", "write gpa 0x2000004 len 4 val 0x12345678"), 1);
	EXPECT_EQ(traced("kvm_pio", "read port 0x70 size 1 count 1 val 0x42"), 1);
	EXPECT(traced("kvm_emulate_insn", "8b 03") >= 1);
	EXPECT_EQ(traced("kvm_userspace_exit", "reason 6 errno 0"), 2);
	free(trace_text);
	vm_destroy(&vm);
}

GUEST(rings, 64)
	"	movl $3, %ecx\n"
	"	movl $0x200000, %ebx\n"
	"	shll $4, %ebx\n"
	"1:	movl %ecx, (%rbx)\n"
	"	movw %cx, 4(%rbx)\n"
	"	decl %ecx\n"
	"	jnz 1b\n"
	"	addb %cl, (%rbx)\n"
	"	hlt\n"
GUEST_END(rings);

/*
 * The emulator decodes the first write of each instruction; the others are made without it. ADD
 * reads first, and is no plain MOV.
 */
TEST(a_doorbell_without_the_emulator_is_traced_as_such)
{
	struct kvm_ioeventfd any = { .addr = 0x2000000, .fd = eventfd(0, EFD_NONBLOCK) };
	struct kvm_ioeventfd word = { .addr = 0x2000004, .len = 2, .fd = any.fd };
	uint64_t rung = 0;
	struct vm vm;

	if (!on_okvm())
		test_skip("what okvm's events say in words is okvm's");
	vm_create(&vm, 0);
	LOAD64(&vm, rings);
	REQUIRE(ioctl(vm.fd, KVM_IOEVENTFD, &any) == 0);
	REQUIRE(ioctl(vm.fd, KVM_IOEVENTFD, &word) == 0);
	tracing_begin();
	run_until(&vm, KVM_EXIT_MMIO);
	memset(vm.run->mmio.data, 0, sizeof(vm.run->mmio.data));
	run_until(&vm, KVM_EXIT_HLT);
	tracing_end();
	EXPECT_EQ(read(any.fd, &rung, 8), 8);
	EXPECT_EQ(rung, 7);
	EXPECT_EQ(traced("kvm_fast_mmio", "gpa 0x2000000"), 2);
	EXPECT_EQ(traced("kvm_fast_mmio", "gpa 0x2000004"), 0);
	EXPECT_EQ(traced("kvm_mmio", "write gpa 0x2000000 len 4 val 0x3"), 1);
	EXPECT_EQ(traced("kvm_mmio", "write gpa 0x2000000 len 4"), 1);
	EXPECT_EQ(traced("kvm_mmio", "write gpa 0x2000000 len 1"), 1);
	EXPECT_EQ(traced("kvm_mmio", "write gpa 0x2000004 len 2"), 3);
	free(trace_text);
	close(any.fd);
	vm_destroy(&vm);
}

/* ---- times ---- */

/* The sum of a histogram's buckets, ~0 if there is none of that name. */
static uint64_t hist_sum(int vcpu, const char *name)
{
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	struct {
		struct kvm_stats_desc desc;
		char name[64];
	} at;
	uint64_t bucket, sum = ~0ull;
	unsigned int i, j;

	REQUIRE(fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head));
	for (i = 0; i < head.num_desc; i++) {
		size_t size = sizeof(at.desc) + head.name_size;

		REQUIRE(pread(fd, &at, size, head.desc_offset + i * size) == (ssize_t)size);
		if (strcmp(at.name, name))
			continue;
		EXPECT_EQ(at.desc.flags & KVM_STATS_TYPE_MASK, KVM_STATS_TYPE_LOG_HIST);
		for (j = 0, sum = 0; j < at.desc.size; j++) {
			REQUIRE(pread(fd, &bucket, 8,
				      head.data_offset + at.desc.offset + 8 * j) == 8);
			sum += bucket;
		}
	}
	close(fd);
	return sum;
}

TEST(times_of_exits)
{
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_EXIT_TIMES, .args = { 1 } };
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	if (ioctl(vm.sys, KVM_CHECK_EXTENSION, OKVM_CAP_EXIT_TIMES) != 1)
		test_skip("no OKVM_CAP_EXIT_TIMES");
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	EXPECT_EQ(hist_sum(vm.vcpu, "exit_time_user_6"), ~0ull);
	vm_destroy(&vm);

	vm_create(&vm, VM_BARE);
	cap.args[0] = 2;
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	cap.args[0] = 1;
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	vm.mem = host_pages(VM_MEMORY / 4096);
	vm_slot(&vm, 0, 0, VM_MEMORY, vm.mem, 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	vcpu_cpuid(&vm, vm.vcpu);
	for (i = 0; i < 3; i++) {
		LOAD64(&vm, asks);
		run_until(&vm, KVM_EXIT_MMIO);
		run_until(&vm, KVM_EXIT_MMIO);
		run_until(&vm, KVM_EXIT_IO);
		run_until(&vm, KVM_EXIT_HLT);
	}
	EXPECT_EQ(hist_sum(vm.vcpu, "exit_time_user_6"), 6);
	EXPECT_EQ(hist_sum(vm.vcpu, "exit_time_user_2"), 3);
	/* The last one is not over. */
	EXPECT_EQ(hist_sum(vm.vcpu, "exit_time_user_5"), 2);
	if (!test_on_svm())
		EXPECT_EQ(hist_sum(vm.vcpu, "exit_time_kernel_30"), 3);
	vm_destroy(&vm);
}

/* ---- what watching costs others ---- */

static unsigned int probe_hits(const char *name)
{
	FILE *file = fopen(TRACING "/kprobe_profile", "r");
	char line[256], event[128];
	unsigned int hits = 0, n;

	REQUIRE(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %127s %u", event, &n) == 2 && !strcmp(event, name))
			hits = n;
	fclose(file);
	return hits;
}

/* Each change of a patched branch interrupts all CPUs, and this needs no privilege. */
TEST(times_that_come_and_go_patch_the_kernel_seldom)
{
	static const char probe[] = "p:okvm_flips arch_jump_label_transform_apply\n";
	struct kvm_enable_cap cap = { .cap = OKVM_CAP_EXIT_TIMES, .args = { 1 } };
	unsigned int i, hits;
	struct vm vm;
	int events;

	if (!on_okvm())
		test_skip("upstream has no OKVM_CAP_EXIT_TIMES");
	tracing_mount();
	events = open(TRACING "/kprobe_events", O_WRONLY | O_APPEND);
	if (events < 0)
		test_skip("no events of kprobes");
	if (write(events, probe, strlen(probe)) < 0)
		test_skip("the kernel patches no branches");
	write_file(TRACING "/events/kprobes/okvm_flips/enable", "1");
	/* What the tests before have left is patched out by now. */
	usleep(1500000);
	for (i = 0; i < 50; i++) {
		vm_create(&vm, VM_BARE);
		EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
		vm.vcpu = vcpu_add(&vm, 0, &vm.run);
		vm_destroy(&vm);
	}
	write_file(TRACING "/events/kprobes/okvm_flips/enable", "0");
	hits = probe_hits("okvm_flips");
	printf("# patched %u times\n", hits);
	EXPECT(hits > 0 && hits < 25);
	EXPECT_EQ(write(events, "-:okvm_flips\n", 13), 13);
	close(events);
}
