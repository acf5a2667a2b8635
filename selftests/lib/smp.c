// SPDX-License-Identifier: GPL-2.0-only
/* See smp.h. */
#include <sched.h>

#include "selftests/lib/smp.h"

#define PAGE	4096ull
#define STACK	16384

/* What of the program is the guest's, too: from its first page to the end of its variables. */
extern const uint8_t __executable_start[], _end[];

guest_handler guest_handlers[256];
uint64_t guest_idt[512] __attribute__((aligned(4096)));
uint64_t guest_gdt[512] __attribute__((aligned(4096)));
static uint8_t stacks[SMP_CPUS][STACK] __attribute__((aligned(4096)));

/* ---- the guest's side ---- */

/* 16 bytes apart; the vectors 8, 10 to 14, 17, 21 bring an error code. */
__asm__(".pushsection .text\n"
	"	.balign 16\n"
	"guest_stubs:\n"
	"	.set vector, 0\n"
	"	.rept 256\n"
	"	.balign 16\n"
	"	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)\n"
	"	push $0\n"
	"	.endif\n"
	"	push $vector\n"
	"	jmp guest_common\n"
	"	.set vector, vector + 1\n"
	"	.endr\n"
	"guest_common:\n"
	"	.irp reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax\n"
	"	push %\\reg\n"
	"	.endr\n"
	"	cld\n"
	"	mov %rsp, %rdi\n"
	"	mov %rsp, %rbp\n"
	"	and $-16, %rsp\n"
	"	call guest_dispatch\n"
	"	mov %rbp, %rsp\n"
	"	.irp reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15\n"
	"	pop %\\reg\n"
	"	.endr\n"
	"	add $16, %rsp\n"
	".global guest_iret\n"
	"guest_iret:\n"
	"	iretq\n"
	".popsection\n");

extern const uint8_t guest_stubs[];
void guest_dispatch(struct guest_frame *frame);

GUEST_C void guest_dispatch(struct guest_frame *frame)
{
	guest_handler handler = guest_handlers[frame->vector];

	if (handler) {
		handler(frame);
		return;
	}
	/* Nobody expects it. */
	guest_out32(PORT_FAIL, 0x10000 | frame->vector);
	guest_out8(PORT_END, 0);
}

GUEST_C void guest_skip(struct guest_frame *frame)
{
	frame->rip = frame->rbx;
	frame->rsi = 1;
}

/* Where a vCPU comes from its first instruction, and goes to if its function returns. */
__asm__(".pushsection .text\n"
	"guest_entry:\n"
	"	call *%rax\n"
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
	".popsection\n");

extern const uint8_t guest_entry[];

/* ---- the host's side ---- */

static void set_gates(void)
{
	unsigned int i;

	memset(guest_handlers, 0, sizeof(guest_handlers));
	guest_gdt[1] = 0x00af9b000000ffffull;
	guest_gdt[2] = 0x00cf93000000ffffull;
	for (i = 0; i < 256; i++) {
		uint64_t at = (uintptr_t)guest_stubs + i * 16;

		/* Present interrupt gate, CS 8. */
		guest_idt[2 * i] = (at & 0xffff) | 8 << 16 | 0x8e00ull << 32 |
				   (at >> 16 & 0xffff) << 48;
		guest_idt[2 * i + 1] = at >> 32;
	}
}

/* The image lies above the memory of the VM and below 1 GiB, where the page tables reach. */
static void add_image(struct smp *smp)
{
	uint64_t first = (uintptr_t)__executable_start & ~(PAGE - 1);
	uint64_t end = ((uintptr_t)_end + PAGE - 1) & ~(PAGE - 1);

	REQUIRE(first >= VM_MEMORY && end <= 1u << 30);
	vm_slot(&smp->vm, 1, first, end - first, (void *)first, 0);
}

/* What KVM supports; and the TSC deadline, which it does not count among that. */
static void set_cpuid(struct smp *smp, int fd)
{
	static uint8_t space[sizeof(struct kvm_cpuid2) + 100 * sizeof(struct kvm_cpuid_entry2)]
		__attribute__((aligned(8)));
	struct kvm_cpuid2 *cpuid = (void *)space;
	unsigned int i;

	cpuid->nent = 100;
	REQUIRE(ioctl(smp->vm.sys, KVM_GET_SUPPORTED_CPUID, cpuid) == 0);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1 << 24;
	REQUIRE(ioctl(fd, KVM_SET_CPUID2, cpuid) == 0);
}

static void enable_apic(int fd, bool x2apic)
{
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;

	REQUIRE(ioctl(fd, KVM_GET_SREGS, &sregs) == 0);
	if (x2apic)
		sregs.apic_base |= BASE_EXTD;
	REQUIRE(ioctl(fd, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(fd, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[AP_SPIV] = 0xff;
	lapic.regs[AP_SPIV + 1] = 1;
	/* The PICs stay out of it. */
	lapic.regs[AP_LVT0 + 2] = 1;
	REQUIRE(ioctl(fd, KVM_SET_LAPIC, &lapic) == 0);
}

bool guest_svm;

void smp_create(struct smp *smp, unsigned int nr, enum smp_flag mode)
{
	unsigned int i;

	memset(smp, 0, sizeof(*smp));
	smp->nr = nr;
	guest_svm = test_on_svm();
	set_gates();
	vm_create(&smp->vm, VM_IRQCHIP);
	add_image(smp);
	/* Page tables, and a first vCPU in 64-bit mode, which is the pattern of the others. */
	guest_load64(&smp->vm, guest_entry, guest_entry);
	for (i = 0; i < nr; i++) {
		struct smp_cpu *cpu = &smp->cpu[i];

		cpu->smp = smp;
		cpu->id = i;
		cpu->fd = smp->vm.vcpu;
		cpu->run = smp->vm.run;
		if (i)
			cpu->fd = vcpu_add(&smp->vm, i, &cpu->run);
		set_cpuid(smp, cpu->fd);
	}
	for (i = 0; i < nr; i++)
		enable_apic(smp->cpu[i].fd, mode == SMP_X2APIC);
}

static void set_sregs(struct smp_cpu *cpu)
{
	struct kvm_sregs sregs, own;

	REQUIRE(ioctl(cpu->smp->vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(cpu->fd, KVM_GET_SREGS, &own) == 0);
	sregs.apic_base = own.apic_base;
	sregs.tr = own.tr;
	sregs.ldt = own.ldt;
	sregs.gs.base = cpu->id;	/* guest_cpu() */
	sregs.cr0 |= 1 << 16;		/* WP */
	sregs.cr4 |= 3 << 9;		/* OSFXSR, OSXMMEXCPT */
	sregs.gdt.base = (uintptr_t)guest_gdt;
	sregs.gdt.limit = 4095;
	sregs.idt.base = (uintptr_t)guest_idt;
	sregs.idt.limit = 4095;
	REQUIRE(ioctl(cpu->fd, KVM_SET_SREGS, &sregs) == 0);
}

void smp_start(struct smp *smp, unsigned int id, void (*main)(void))
{
	struct kvm_mp_state running = { KVM_MP_STATE_RUNNABLE };
	struct smp_cpu *cpu = &smp->cpu[id];
	struct kvm_regs regs = {
		.rip = (uintptr_t)guest_entry, .rax = (uintptr_t)main, .rflags = 2,
		.rsp = (uintptr_t)stacks[id + 1],
	};

	set_sregs(cpu);
	cpu->main = main;
	cpu->done = false;
	REQUIRE(ioctl(cpu->fd, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(cpu->fd, KVM_SET_MP_STATE, &running) == 0);
}

/* Taken away and given back: the contents stay, KVM's translation does not. */
static void zap(uint64_t at)
{
	void *page = (void *)(at & ~(PAGE - 1));

	if (mprotect(page, PAGE, PROT_NONE) || mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		test_fail(__FILE__, __LINE__, "mprotect: %s", strerror(errno));
}

static void set_line(struct smp_cpu *cpu, unsigned int gsi, bool high)
{
	struct kvm_irq_level level = { .irq = gsi, .level = high };

	EXPECT_EQ(ioctl(cpu->smp->vm.fd, KVM_IRQ_LINE, &level), 0);
}

static void serve_port(struct smp_cpu *cpu)
{
	uint16_t port = cpu->run->io.port;
	uint32_t val = 0;

	memcpy(&val, (uint8_t *)cpu->run + cpu->run->io.data_offset, cpu->run->io.size);
	switch (port) {
	case PORT_END:
		cpu->done = true;
		break;
	case PORT_FAIL:
		test_fail("guest", val, "vCPU %u: not as expected in this line of the test",
			  cpu->id);
		break;
	case PORT_YIELD:
		sched_yield();
		break;
	case PORT_ZAP:
		zap(val);
		break;
	default:
		if (port < PORT_LINE || port >= PORT_LINE + 24)
			test_fail(__FILE__, __LINE__, "vCPU %u: port %x", cpu->id, port);
		else
			set_line(cpu, port - PORT_LINE, val);
	}
}

static void *cpu_main(void *arg)
{
	struct smp_cpu *cpu = arg;

	while (!cpu->done) {
		if (ioctl(cpu->fd, KVM_RUN, 0)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			test_fail(__FILE__, __LINE__, "vCPU %u: %s", cpu->id, strerror(errno));
			break;
		}
		if (cpu->run->exit_reason == KVM_EXIT_IO) {
			serve_port(cpu);
			continue;
		}
		test_fail(__FILE__, __LINE__, "vCPU %u: exit %u, suberror %u", cpu->id,
			  cpu->run->exit_reason, cpu->run->internal.suberror);
		break;
	}
	return NULL;
}

void smp_run(struct smp *smp)
{
	unsigned int i;

	for (i = 0; i < smp->nr; i++)
		if (smp->cpu[i].main)
			REQUIRE(!pthread_create(&smp->cpu[i].thread, NULL, cpu_main, &smp->cpu[i]));
	for (i = 0; i < smp->nr; i++)
		if (smp->cpu[i].main)
			pthread_join(smp->cpu[i].thread, NULL);
}

void smp_destroy(struct smp *smp)
{
	int size = ioctl(smp->vm.sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned int i;

	for (i = 1; i < smp->nr; i++) {
		munmap(smp->cpu[i].run, size);
		close(smp->cpu[i].fd);
	}
	vm_destroy(&smp->vm);
}

void smp_run_one(enum smp_flag mode, void (*main)(void))
{
	struct smp smp;

	smp_create(&smp, 1, mode);
	smp_start(&smp, 0, main);
	smp_run(&smp);
	smp_destroy(&smp);
}
