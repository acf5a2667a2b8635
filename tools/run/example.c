// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example of Documentation/writing-a-vmm.rst: two 64-bit vCPUs, a timer, and a device that a
 * thread serves while no vCPU leaves the kernel for it. `make tools` builds build/tools/example.
 *
 * vCPU 0 waits for a tick of its local APIC's timer and says so; then it rings the doorbell, port
 * 0x510. That is an ioeventfd: the device's thread reads it, and answers through an irqfd, which is
 * routed as a message to vCPU 1. The handler there says so to vCPU 0, which ends the machine.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../uapi/okvm.h"

#define MEMORY		0x200000ul
#define GDT		0x1000ul
#define IDT		0x2000ul
#define PML4		0x3000ul
#define PDPT		0x4000ul
#define PD		0x5000ul
#define STACKS		0x8000ul	/* 4 KiB each, growing down from the next one's */
#define CODE		0x10000ul

#define PORT_PUTC	0xe9
#define PORT_END	0xf4
#define PORT_DOORBELL	0x510
#define GSI_ANSWER	24		/* the first that no chip has */
#define VECTOR_ANSWER	0x30
#define VECTOR_TIMER	0x31

#define NR_VCPUS	2

/* ---- the guest ---- */

extern const char guest_start[], guest_cpu0[], guest_cpu1[], guest_timer[], guest_answer[],
	guest_end[];

/*
 * Copied to CODE. MSRs of the x2APIC: 0x80b EOI, 0x80f enable, 0x832 the timer's entry, 0x838 its
 * count, 0x83e its divider.
 */
asm(".pushsection .rodata\n"
	".macro x2apic_write msr, value\n"
	"	mov	$\\msr, %ecx\n"
	"	mov	$\\value, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	".endm\n"
	".macro save_and_end_of_interrupt\n"
	"	push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	x2apic_write 0x80b, 0\n"
	"	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	".endm\n"
	/* wait_for WORD: the CPU sleeps until an interrupt handler has changed it. */
	".macro wait_for word\n"
	"10:	cli\n"
	"	cmpl	$0, 0x7000 + \\word(,1)\n"
	"	jne	11f\n"
	"	sti\n"
	"	hlt\n"
	"	jmp	10b\n"
	"11:	sti\n"
	".endm\n"
	".global guest_start, guest_cpu0, guest_cpu1, guest_timer, guest_answer, guest_end\n"
	"guest_start:\n"
	"guest_cpu0:\n"
	"	x2apic_write 0x80f, 0x1ff\n"
	"	x2apic_write 0x83e, 0xb\n"
	"	x2apic_write 0x832, 0x31\n"
	"	x2apic_write 0x838, 1000000\n"
	"	wait_for 0\n"
	"	lea	guest_ticked(%rip), %rsi\n"
	"	call	guest_puts\n"
	"20:	pause\n"			/* vCPU 1 may take messages */
	"	cmpl	$0, 0x7008(,1)\n"
	"	je	20b\n"
	"	mov	$0x510, %edx\n"
	"	mov	$1, %eax\n"
	"	out	%ax, %dx\n"
	"21:	pause\n"			/* vCPU 1 has had its interrupt */
	"	cmpl	$0, 0x7004(,1)\n"
	"	je	21b\n"
	"	lea	guest_answered(%rip), %rsi\n"
	"	call	guest_puts\n"
	"	xor	%eax, %eax\n"
	"	out	%al, $0xf4\n"
	"guest_cpu1:\n"
	"	x2apic_write 0x80f, 0x1ff\n"
	"	movl	$1, 0x7008(,1)\n"
	"30:	sti\n"
	"	hlt\n"
	"	jmp	30b\n"
	"guest_timer:\n"
	"	incl	0x7000(,1)\n"
	"	save_and_end_of_interrupt\n"
	"	iretq\n"
	"guest_answer:\n"
	"	incl	0x7004(,1)\n"
	"	save_and_end_of_interrupt\n"
	"	iretq\n"
	"guest_puts: lodsb\n"
	"	test	%al, %al\n"
	"	je	40f\n"
	"	out	%al, $0xe9\n"
	"	jmp	guest_puts\n"
	"40:	ret\n"
	"guest_ticked: .asciz \"the timer has ticked\\n\"\n"
	"guest_answered: .asciz \"vCPU 1 has the device's answer\\n\"\n"
	"guest_end:\n"
	".popsection\n");

/* ---- the machine ---- */

struct machine {
	int dev, fd;
	uint8_t *ram;
	int doorbell, answer;	/* eventfds: from the guest, to the guest */
	bool stopping;
	struct vcpu {
		struct machine *m;
		int fd;
		struct kvm_run *run;
		pthread_t thread;
	} vcpus[NR_VCPUS];
};

/* What failed and why, in okvm's own words where it has some (Documentation/errors.rst). */
static void __attribute__((noreturn)) fail(int fd, const char *what)
{
	struct okvm_error error;
	int code = errno;

	if (!ioctl(fd, OKVM_GET_ERROR, &error) && error.count)
		warnx("%s", error.text);
	errx(1, "%s: %s", what, strerror(code));
}

static int check(int fd, int result, const char *what)
{
	if (result < 0)
		fail(fd, what);
	return result;
}

/* Page tables that map the memory one to one, a code segment for 64 bits, and two gates. */
static void write_tables(struct machine *m)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff };
	const struct { unsigned int vector; const char *handler; } gates[] = {
		{ VECTOR_TIMER, guest_timer }, { VECTOR_ANSWER, guest_answer },
	};
	uint64_t pml4e = PDPT | 3, pdpte = PD | 3, pde = 0x83;

	memcpy(m->ram + GDT, gdt, sizeof(gdt));
	memcpy(m->ram + PML4, &pml4e, sizeof(pml4e));
	memcpy(m->ram + PDPT, &pdpte, sizeof(pdpte));
	memcpy(m->ram + PD, &pde, sizeof(pde));
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t entry = CODE + (gates[i].handler - guest_start);
		/* An interrupt gate, present, of segment 8. */
		uint64_t gate = (entry & 0xffff) | 8 << 16 | 0x8e00ull << 32 | entry >> 16 << 48;

		memcpy(m->ram + IDT + gates[i].vector * 16, &gate, sizeof(gate));
	}
	memcpy(m->ram + CODE, guest_start, guest_end - guest_start);
}

static void create_memory(struct machine *m)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };

	m->ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->ram == MAP_FAILED)
		err(1, "no memory");
	region.userspace_addr = (uintptr_t)m->ram;
	check(m->fd, ioctl(m->fd, KVM_SET_USER_MEMORY_REGION, &region), "memory");
	write_tables(m);
}

/* A message: to the local APIC 1, with a vector. */
static void route_answer(struct machine *m)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = {
			.gsi = GSI_ANSWER,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = 0xfee00000 | 1 << 12, .data = VECTOR_ANSWER },
		},
	};

	check(m->fd, ioctl(m->fd, KVM_SET_GSI_ROUTING, &table), "routes");
}

static void create_device(struct machine *m)
{
	struct kvm_ioeventfd in = {
		.addr = PORT_DOORBELL, .len = 2, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};
	struct kvm_irqfd out = { .gsi = GSI_ANSWER };

	in.fd = m->doorbell = check(m->fd, eventfd(0, EFD_CLOEXEC), "eventfd");
	out.fd = m->answer = check(m->fd, eventfd(0, EFD_CLOEXEC), "eventfd");
	route_answer(m);
	check(m->fd, ioctl(m->fd, KVM_IOEVENTFD, &in), "ioeventfd");
	check(m->fd, ioctl(m->fd, KVM_IRQFD, &out), "irqfd");
}

/* 64-bit mode at once: no reset vector, no real mode. */
static void set_registers(struct vcpu *vcpu, unsigned int id)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {
		.rip = CODE + ((id ? guest_cpu1 : guest_cpu0) - guest_start),
		.rsp = STACKS + (id + 1) * 4096,
		.rflags = 2,
	};

	check(vcpu->fd, ioctl(vcpu->fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment) {
		.limit = 0xffffffff, .selector = 8, .type = 11,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	sregs.ds = sregs.es = sregs.ss = (struct kvm_segment) {
		.limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	sregs.gdt = (struct kvm_dtable) { .base = GDT, .limit = 15 };
	sregs.idt = (struct kvm_dtable) { .base = IDT, .limit = 4095 };
	sregs.cr3 = PML4;
	sregs.cr4 = 0x20;			/* PAE */
	sregs.cr0 = 0x80000031;			/* PG, NE, ET, PE */
	sregs.efer = 0x500;			/* LMA, LME */
	sregs.apic_base |= 0xc00;		/* enabled, x2APIC */
	check(vcpu->fd, ioctl(vcpu->fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(vcpu->fd, ioctl(vcpu->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void create_vcpu(struct machine *m, unsigned int id, struct kvm_cpuid2 *cpuid)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vcpu *vcpu = &m->vcpus[id];
	int size = check(m->dev, ioctl(m->dev, KVM_GET_VCPU_MMAP_SIZE, 0), "size of kvm_run");

	vcpu->m = m;
	vcpu->fd = check(m->fd, ioctl(m->fd, KVM_CREATE_VCPU, id), "KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		err(1, "kvm_run");
	check(vcpu->fd, ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	set_registers(vcpu, id);
	/* vCPU 1 would wait for INIT and SIPI. */
	check(vcpu->fd, ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable), "KVM_SET_MP_STATE");
}

static void create_machine(struct machine *m, const char *path)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));

	if (!cpuid)
		err(1, "no memory");
	m->dev = open(path, O_RDWR | O_CLOEXEC);
	if (m->dev < 0)
		err(1, "%s", path);
	if (ioctl(m->dev, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		errx(1, "%s is not KVM's interface", path);
	m->fd = check(m->dev, ioctl(m->dev, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	check(m->fd, ioctl(m->fd, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
	check(m->fd, ioctl(m->fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	create_memory(m);
	create_device(m);
	cpuid->nent = 256;
	check(m->dev, ioctl(m->dev, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		create_vcpu(m, i, cpuid);
	free(cpuid);
}

/* ---- running it ---- */

static void *device_thread(void *arg)
{
	struct machine *m = arg;
	uint64_t value;

	while (read(m->doorbell, &value, sizeof(value)) == sizeof(value)) {
		value = 1;
		if (write(m->answer, &value, sizeof(value)) != sizeof(value))
			err(1, "irqfd");
	}
	return NULL;
}

/* False when this vCPU shall not run again. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const uint8_t *data = (uint8_t *)run + run->io.data_offset;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == PORT_PUTC)
			fwrite(data, run->io.size, run->io.count, stdout);
		return run->io.port != PORT_END;
	default:
		/* FAIL_ENTRY, INTERNAL_ERROR, SHUTDOWN, MMIO where nothing is. */
		errno = EIO;
		fprintf(stderr, "exit reason %u\n", run->exit_reason);
		fail(vcpu->fd, "the guest died");
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!__atomic_load_n(&vcpu->m->stopping, __ATOMIC_ACQUIRE)) {
		if (!ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (!handle_exit(vcpu))
				break;
		} else if (errno != EINTR && errno != EAGAIN) {
			fail(vcpu->fd, "KVM_RUN");
		}
	}
	return NULL;
}

/*
 * A signal alone is lost if it comes before KVM_RUN has begun; then immediate_exit makes the call
 * return, and stopping is seen.
 */
static void stop(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->m->stopping, true, __ATOMIC_RELEASE);
	vcpu->run->immediate_exit = 1;
	pthread_kill(vcpu->thread, SIGUSR1);
	pthread_join(vcpu->thread, NULL);
}

static void kicked(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	/* Without SA_RESTART: KVM_RUN has to come back. */
	struct sigaction action = { .sa_handler = kicked };
	struct machine m = { .stopping = false };
	pthread_t device;

	sigaction(SIGUSR1, &action, NULL);
	create_machine(&m, argc > 1 ? argv[1] : "/dev/" OKVM_DEVICE_NAME);
	if (pthread_create(&device, NULL, device_thread, &m) ||
	    pthread_create(&m.vcpus[1].thread, NULL, vcpu_thread, &m.vcpus[1]))
		errx(1, "no thread");
	vcpu_thread(&m.vcpus[0]);
	stop(&m.vcpus[1]);
	puts("the machine has ended");
	return 0;
}
