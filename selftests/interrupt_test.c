// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts where the manual leaves room, or KVM was mended after 6.1: a pending line that is
 * unmasked is sampled again (right in 6.12), an EOI reaches userspace's IOAPIC whatever the guest
 * says of broadcasts (as in 6.1), a timer that was delivered does not fire again when its APIC is
 * restored (right in later kernels than 6.12).
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include "selftests/lib/smp.h"
#include "selftests/lib/x2apic.h"

/* ---- resampling at unmasking ---- */

#define IOAPIC	0xfec00000ull
#define PIN	5
#define V	X2_VECTOR

enum redir { LEVEL = 1 << 15, MASKED = 1 << 16 };

static volatile uint32_t hits;
static volatile bool user_line;

static GUEST_C void io_write(uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)IOAPIC = reg;
	*(volatile uint32_t *)(IOAPIC + 0x10) = val;
}

static GUEST_C void count_it(struct guest_frame *frame)
{
	(void)frame;
	hits++;
	if (user_line)
		guest_line(PIN, false);
	apic_write(AP_EOI, 0);
}

static GUEST_C void settle(void)
{
	uint32_t i;

	for (i = 0; i < 16; i++)
		guest_out8(PORT_YIELD, 0);
}

/* The line went high before the pin was set up, and is high in the IOAPIC still. */
static GUEST_C void unmask(void)
{
	guest_handlers[V] = count_it;
	io_write(0x11 + 2 * PIN, 0);
	io_write(0x10 + 2 * PIN, LEVEL | MASKED | V);
	guest_sti();
	io_write(0x10 + 2 * PIN, LEVEL | V);
	settle();
	guest_cli();
}

static GUEST_C void unmask_with_another_source(void)
{
	guest_line(PIN, true);
	unmask();
	GUEST_EXPECT(hits == 1);
}

static GUEST_C void unmask_and_wait(void)
{
	unmask();
	guest_sti();
	GUEST_WAIT(hits);
	settle();
	guest_cli();
	GUEST_EXPECT(hits == 1);
}

struct level {
	struct smp smp;
	int trigger, resample;
};

/* An irqfd whose eventfd was signalled already: the line rises at once. */
static void level_create(struct level *t, void (*main)(void), int resample_flags)
{
	struct kvm_irqfd irqfd = { .gsi = PIN, .flags = KVM_IRQFD_FLAG_RESAMPLE };

	hits = 0;
	user_line = false;
	t->trigger = eventfd(1, EFD_NONBLOCK);
	t->resample = eventfd(0, resample_flags);
	smp_create(&t->smp, 1, SMP_XAPIC);
	irqfd.fd = t->trigger;
	irqfd.resamplefd = t->resample;
	REQUIRE(ioctl(t->smp.vm.fd, KVM_IRQFD, &irqfd) == 0);
	smp_start(&t->smp, 0, main);
}

static void level_destroy(struct level *t)
{
	smp_destroy(&t->smp);
	close(t->trigger);
	close(t->resample);
}

/* As if a thread of the guest had served the device while the pin was masked. */
TEST(a_line_that_nobody_holds_is_asked_at_unmasking)
{
	uint64_t times = 0;
	struct level t;

	level_create(&t, unmask, EFD_NONBLOCK);
	smp_run(&t.smp);
	EXPECT_EQ(hits, 0);
	EXPECT_EQ(read(t.resample, &times, 8), 8);
	EXPECT_EQ(times, 1);
	level_destroy(&t);
}

static void *hold_it_once(void *arg)
{
	struct level *t = arg;
	uint64_t times;

	if (read(t->resample, &times, 8) == 8 && times == 1)
		EXPECT_EQ(write(t->trigger, &times, 8), 8);
	/* At the EOI. */
	EXPECT_EQ(read(t->resample, &times, 8), 8);
	return NULL;
}

TEST(a_line_that_is_held_comes_through)
{
	pthread_t thread;
	struct level t;

	level_create(&t, unmask_and_wait, 0);
	REQUIRE(pthread_create(&thread, NULL, hold_it_once, &t) == 0);
	smp_run(&t.smp);
	pthread_join(thread, NULL);
	EXPECT_EQ(hits, 1);
	level_destroy(&t);
}

/* KVM_IRQ_LINE holds the same line: upstream forgets that. */
TEST(a_line_that_another_source_holds_comes_through)
{
	struct level t;

	level_create(&t, unmask_with_another_source, EFD_NONBLOCK);
	user_line = true;
	smp_run(&t.smp);
	EXPECT_EQ(hits, 1);
	level_destroy(&t);
}

/* ---- EOIs of level-triggered interrupts, split irqchip ---- */

/* Broadcasts are suppressed by what is in EBX; interrupt 0x41 ends with an EOI. */
GUEST(suppress, 16)
	X2_FLAT16
	X2_ON("%ebx")
	"	rdmsr\n"
	"	out %eax, $0x10\n"
	"	sti\n"
	"	nop\n"
	"	cli\n"
	"	out %al, $0x13\n"
	"	hlt\n"
	".global guest_suppress_irq\n"
	"guest_suppress_irq:\n"
	"	out %al, $0x11\n"
	X2_EOI
	"	out %al, $0x12\n"
	"	iret\n"
GUEST_END(suppress);
extern const uint8_t guest_suppress_irq[];

static void split_create(struct vm *vm, uint32_t spiv)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = {
		.head.nr = 1, .entry = {
			.gsi = PIN, .type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = 0xfee00000, .data = 0xc000 | V },
		},
	};

	vm_create(vm, VM_BARE);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &cap) == 0);
	vm->mem = host_pages(VM_MEMORY / 4096);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
	REQUIRE(ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routes) == 0);
	X2_LOAD16(vm, suppress, spiv);
}

static void eoi_of(uint32_t spiv)
{
	struct kvm_irq_level line = { .irq = PIN, .level = 1 };
	struct vm vm;

	split_create(&vm, spiv);
	EXPECT_EQ(run_out(&vm, 0x10), spiv);
	REQUIRE(ioctl(vm.fd, KVM_IRQ_LINE, &line) == 0);
	run_out(&vm, 0x11);
	run_until(&vm, KVM_EXIT_IOAPIC_EOI);
	EXPECT_EQ(vm.run->eoi.vector, V);
	run_out(&vm, 0x12);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(an_eoi_reaches_the_ioapic_of_userspace)
{
	eoi_of(0x1ff);
}

TEST(an_eoi_reaches_it_although_broadcasts_are_suppressed)
{
	eoi_of(0x11ff);
}

/* ---- a one-shot timer that is restored ---- */

/* The timer of EBX counts; ports: 0x10 when it runs, 0x11 after a while the number of ticks. */
GUEST(ticks, 16)
	X2_FLAT16
	"	xor %edi, %edi\n"
	X2_ON("$0x1ff")
	X2_TIMER
	X2_TIMER_ARM("%ebx")
	"1:	out %al, $0x10\n"
	"	sti\n"
	"	mov $20000, %ecx\n"
	"2:	dec %ecx\n"
	"	jnz 2b\n"
	"	cli\n"
	"	mov %edi, %eax\n"
	"	out %eax, $0x11\n"
	"	jmp 1b\n"
	".global guest_ticks_irq\n"
	"guest_ticks_irq:\n"
	"	push %ecx\n"
	"	inc %edi\n"
	X2_EOI
	"	pop %ecx\n"
	"	iret\n"
GUEST_END(ticks);
extern const uint8_t guest_ticks_irq[];

static void ticks_create(struct vm *vm, uint32_t count)
{
	vm_create(vm, VM_IRQCHIP);
	X2_LOAD16(vm, ticks, count);
	run_out(vm, 0x10);
}

static void restore_apic(struct vm *vm)
{
	struct kvm_lapic_state state;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &state) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &state) == 0);
}

TEST(a_timer_that_was_delivered_does_not_fire_again)
{
	unsigned int i;
	struct vm vm;

	ticks_create(&vm, 1000);
	EXPECT_EQ(run_out(&vm, 0x11), 1);
	for (i = 0; i < 3; i++) {
		restore_apic(&vm);
		run_out(&vm, 0x10);
		EXPECT_EQ(run_out(&vm, 0x11), 1);
	}
	vm_destroy(&vm);
}

/* Due while the vCPU was outside, its interrupt nowhere yet: it comes, and once. */
TEST(a_timer_that_was_not_delivered_does)
{
	struct vm vm;

	ticks_create(&vm, 1000000);
	usleep(3000);
	restore_apic(&vm);
	EXPECT_EQ(run_out(&vm, 0x11), 1);
	restore_apic(&vm);
	run_out(&vm, 0x10);
	EXPECT_EQ(run_out(&vm, 0x11), 1);
	vm_destroy(&vm);
}

/* ---- a timer that fires while its interrupt cannot be delivered ---- */

GUEST(halts_deaf, 16)
	X2_FLAT16
	X2_ON("$0x1ff")
	X2_TIMER
	X2_TIMER_ARM("%ebx")
	"	out %al, $0x10\n"
	"	hlt\n"
	".global guest_halts_deaf_irq\n"
	"guest_halts_deaf_irq:\n"
	"	out %al, $0x11\n"
GUEST_END(halts_deaf);
extern const uint8_t guest_halts_deaf_irq[];

static void on_alarm(int nr)
{
	(void)nr;
}

TEST(a_timer_does_not_end_a_halt_without_interrupts)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	struct kvm_mp_state state;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	X2_LOAD16(&vm, halts_deaf, 1000000);
	run_out(&vm, 0x10);
	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
	REQUIRE(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_MP_STATE, &state) == 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_HALTED);
	vm_destroy(&vm);
}

/* ---- code that okvm emulates if the CPU cannot run real mode ---- */

GUEST(loops, 16)
	X2_FLAT16
	X2_ON("$0x1ff")
	X2_TIMER
	X2_TIMER_ARM("$100000")
	"	sti\n"
	"1:	jmp 1b\n"
	".global guest_loops_irq\n"
	"guest_loops_irq: out %al, $0x10\n"
	"	hlt\n"
GUEST_END(loops);

GUEST(shadow, 16)
	X2_FLAT16
	X2_ON("$0x1ff")
	X2_WRITE(0x83f, "$0x41")
	"	mov $-1, %eax\n"
	"	sti\n"
	"	vmcall\n"		/* no such hypercall: it ends the shadow of STI */
	"1:	jmp 1b\n"
	".global guest_shadow_irq\n"
	"guest_shadow_irq: out %al, $0x11\n"
	"	hlt\n"
GUEST_END(shadow);

extern const uint8_t guest_loops_irq[], guest_shadow_irq[];

TEST(emulated_code_gets_a_tick_in_a_loop)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	X2_LOAD16(&vm, loops, 0);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

TEST(emulated_code_gets_an_interrupt_behind_a_shadow)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	X2_LOAD16(&vm, shadow, 0);
	run_out(&vm, 0x11);
	vm_destroy(&vm);
}
