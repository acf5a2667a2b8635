// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual EOI: the guest clears a flag in its memory instead of writing EOI. What becomes of
 * the interrupt in service while the memory of the flag is taken away, and before whatever looks at
 * it: userspace, an EOI of the usual kind, a halt.
 */
#include <asm/kvm_para.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/syscall.h>

#include "selftests/lib/smp.h"

#define PAGE		4096u
#define FLAG_AT		0x30000000u	/* the page of the flag, a slot of its own */
#define AWAY_AT		0x30100000u	/* a page that is not there */
#define RECORD_AT	(FLAG_AT + 0x800)
#define NOWHERE		0x70000000u	/* no memory is there */
#define MSR_EOI		0x4b564d04
#define MSR_APF		0x4b564d02
#define MSR_APF_INT	0x4b564d06
#define MSR_APF_ACK	0x4b564d07
#define APF_BY_INTERRUPT	(KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)
#define FIRST		0x65		/* the interrupt whose EOI may be skipped */
#define SECOND		0x61		/* of the same priority class */
#define PAGE_READY	0x71
#define LOW		0x45
#define LEVEL_PIN	5

#define FLAG		(*(volatile uint32_t *)(uintptr_t)FLAG_AT)

/* What the guest has done, and how far the host lets it go. */
static volatile uint32_t firsts, seconds, lows, skips, offers, told, allowed;
static uint8_t *page;

static GUEST_C void eoi(void)
{
	uint32_t offered = 0;

	__asm__ volatile("xchg %0, %1" : "+r"(offered), "+m"(FLAG));
	if (offered & 1)
		skips++;
	else
		apic_write(AP_EOI, 0);
}

/* Without an exit to userspace, which would end the offer. */
static GUEST_C void tell_and_wait(uint32_t step)
{
	uint64_t tries;

	told = step;
	for (tries = 0; allowed < step && tries < 1ull << 34; tries++)
		__asm__ volatile("pause" : : : "memory");
	GUEST_EXPECT(allowed >= step);
}

static GUEST_C void on_first(struct guest_frame *frame)
{
	(void)frame;
	offers += FLAG & 1;
	firsts++;
	eoi();
}

static GUEST_C void on_second(struct guest_frame *frame)
{
	(void)frame;
	seconds++;
	eoi();
}

static GUEST_C void begin(guest_handler first)
{
	guest_handlers[FIRST] = first;
	guest_handlers[SECOND] = on_second;
	guest_wrmsr(MSR_EOI, FLAG_AT | 1);
	guest_sti();
}

static GUEST_C void end(void)
{
	apic_send(ICR_SELF | SECOND, 0);
	GUEST_WAIT(seconds == 1);
	guest_cli();
	GUEST_EXPECT(!apic_read(AP_ISR + 0x30));
	guest_wrmsr(MSR_EOI, 0);
}

/* It comes once when the guest enables the messages. */
static GUEST_C void on_page_ready(struct guest_frame *frame)
{
	(void)frame;
	*(volatile uint32_t *)(uintptr_t)(RECORD_AT + 4) = 0;
	guest_wrmsr(MSR_APF_ACK, 1);
	eoi();
}

/* ---- the host's side ---- */

static void prepare(struct smp *smp, enum smp_flag mode, void (*main)(void))
{
	firsts = seconds = lows = skips = offers = told = allowed = 0;
	smp_create(smp, 1, mode);
	page = host_pages(1);
	vm_slot(&smp->vm, 2, FLAG_AT, PAGE, page, 0);
	smp_start(smp, 0, main);
}

static void *run(void *arg)
{
	smp_run(arg);
	return NULL;
}

static void wait_for(volatile uint32_t *val, uint32_t want)
{
	unsigned int i;

	for (i = 0; *val < want && i < 20000; i++)
		usleep(1000);
	EXPECT(*val >= want);
}

/* Do @act() when the guest has told of its first step. */
static void meanwhile(enum smp_flag mode, void (*main)(void), void (*act)(struct smp *smp))
{
	pthread_t thread;
	struct smp smp;

	prepare(&smp, mode, main);
	REQUIRE(!pthread_create(&thread, NULL, run, &smp));
	wait_for(&told, 1);
	act(&smp);
	pthread_join(thread, NULL);
	smp_destroy(&smp);
	munmap(page, PAGE);
	if (!offers)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

static void signal_msi(struct smp *smp, uint32_t vector)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = vector };

	EXPECT_EQ(ioctl(smp->vm.fd, KVM_SIGNAL_MSI, &msi), 1);
}

/* ---- the flag's memory is replaced ---- */

static GUEST_C void skip_in_hole(void)
{
	begin(on_first);
	apic_send(ICR_SELF | FIRST, 0);
	while (firsts != 1)
		__asm__ volatile("pause" : : : "memory");
	tell_and_wait(1);
	end();
}

static GUEST_C void on_first_waits(struct guest_frame *frame)
{
	(void)frame;
	offers += FLAG & 1;
	firsts++;
	tell_and_wait(1);
	eoi();
}

static GUEST_C void offer_in_hole(void)
{
	begin(on_first_waits);
	apic_send(ICR_SELF | FIRST, 0);
	GUEST_WAIT(firsts == 1);
	end();
}

/* The guest does not touch the flag meanwhile. The vCPU has time to see that the slot is gone. */
static void replace_slot(struct smp *smp)
{
	vm_slot_delete(&smp->vm, 2);
	usleep(50000);
	vm_slot(&smp->vm, 2, FLAG_AT, PAGE, page, 0);
	allowed = 1;
}

TEST(a_skipped_eoi_counts_though_its_flag_is_away)
{
	meanwhile(SMP_X2APIC, skip_in_hole, replace_slot);
	meanwhile(SMP_XAPIC, skip_in_hole, replace_slot);
}

TEST(an_offered_eoi_is_not_lost_though_its_flag_is_away)
{
	meanwhile(SMP_X2APIC, offer_in_hole, replace_slot);
	meanwhile(SMP_XAPIC, offer_in_hole, replace_slot);
}

/* A flag that could not be cleared is cleared later. Until then it would let an EOI be skipped. */
static GUEST_C void on_first_sees(struct guest_frame *frame)
{
	(void)frame;
	offers += FLAG & 1;
	firsts++;
	tell_and_wait(1);
	guest_out8(PORT_YIELD, 0);
	GUEST_EXPECT(!(FLAG & 1));
	eoi();
}

static GUEST_C void offer_ends_late(void)
{
	begin(on_first_sees);
	apic_send(ICR_SELF | FIRST, 0);
	GUEST_WAIT(firsts == 1);
	end();
}

TEST(an_offer_ends_when_its_flag_is_back)
{
	meanwhile(SMP_X2APIC, offer_ends_late, replace_slot);
}

static GUEST_C bool first_in_service(void)
{
	return apic_read(AP_ISR + 0x30) & 1u << (FIRST & 31);
}

/*
 * The flag can be read, but not cleared. It says that the EOI is not skipped: the interrupt stays
 * in service, before and after the offer ends.
 */
static GUEST_C void on_first_locked(struct guest_frame *frame)
{
	(void)frame;
	offers += FLAG & 1;
	firsts++;
	tell_and_wait(1);
	guest_out8(PORT_YIELD, 0);
	GUEST_EXPECT(first_in_service());
	tell_and_wait(2);
	guest_out8(PORT_YIELD, 0);
	GUEST_EXPECT(!(FLAG & 1));
	GUEST_EXPECT(first_in_service());
	eoi();
}

static GUEST_C void offer_locked(void)
{
	begin(on_first_locked);
	apic_send(ICR_SELF | FIRST, 0);
	GUEST_WAIT(firsts == 1);
	end();
}

static void lock_page(struct smp *smp)
{
	(void)smp;
	EXPECT(!mprotect(page, PAGE, PROT_READ));
	allowed = 1;
	wait_for(&told, 2);
	EXPECT(!mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	allowed = 2;
}

TEST(an_offer_that_cannot_be_withdrawn_is_not_taken_as_used)
{
	meanwhile(SMP_X2APIC, offer_locked, lock_page);
}

/* ---- a WRMSR that is refused changes nothing ---- */

static GUEST_C void refuse_address(void)
{
	begin(on_first);
	guest_handlers[13] = guest_skip;
	GUEST_EXPECT(guest_wrmsr_faults(MSR_EOI, NOWHERE | 1));
	GUEST_EXPECT(guest_rdmsr(MSR_EOI) == (FLAG_AT | 1));
	apic_send(ICR_SELF | FIRST, 0);
	GUEST_WAIT(firsts == 1);
	end();
}

/* Where the CPU virtualizes EOIs, okvm may offer none in memory. */
TEST(a_refused_address_leaves_the_flag_where_it_was)
{
	struct smp smp;

	prepare(&smp, SMP_X2APIC, refuse_address);
	smp_run(&smp);
	smp_destroy(&smp);
	munmap(page, PAGE);
	EXPECT(offers || !test_on_svm());
	if (!offers)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

static GUEST_C void refuse_record(void)
{
	guest_handlers[13] = guest_skip;
	guest_handlers[PAGE_READY] = on_page_ready;
	guest_wrmsr(MSR_APF_INT, PAGE_READY);
	guest_wrmsr(MSR_APF, RECORD_AT | APF_BY_INTERRUPT);
	GUEST_EXPECT(guest_wrmsr_faults(MSR_APF, NOWHERE | APF_BY_INTERRUPT));
	GUEST_EXPECT(guest_rdmsr(MSR_APF) == (RECORD_AT | APF_BY_INTERRUPT));
	guest_wrmsr(MSR_APF, 0);
}

TEST(a_refused_record_leaves_asynchronous_page_faults_on)
{
	struct smp smp;

	prepare(&smp, SMP_X2APIC, refuse_record);
	smp_run(&smp);
	smp_destroy(&smp);
	munmap(page, PAGE);
}

/* ---- userspace looks ---- */

static GUEST_C void on_first_leaves(struct guest_frame *frame)
{
	(void)frame;
	offers += FLAG & 1;
	firsts++;
	guest_out8(PORT_YIELD, 0);
	eoi();
}

static GUEST_C void offer_and_leave(void)
{
	begin(on_first_leaves);
	apic_send(ICR_SELF | FIRST, 0);
	GUEST_WAIT(firsts == 1);
	end();
}

/* A VMM that saves the memory before the APIC would save an offer that the APIC's state has not. */
TEST(userspace_never_sees_an_offer)
{
	struct kvm_run *run;
	struct smp smp;
	bool done = false;

	prepare(&smp, SMP_X2APIC, offer_and_leave);
	run = smp.cpu[0].run;
	while (!done) {
		REQUIRE(ioctl(smp.cpu[0].fd, KVM_RUN, 0) == 0);
		REQUIRE(run->exit_reason == KVM_EXIT_IO);
		EXPECT(!(*(uint32_t *)page & 1));
		EXPECT(run->io.port != PORT_FAIL);
		done = run->io.port == PORT_END;
	}
	EXPECT_EQ(firsts, 1);
	EXPECT_EQ(seconds, 1);
	smp_destroy(&smp);
	munmap(page, PAGE);
	if (!offers)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

/* ---- an EOI of the usual kind comes after a skipped one ---- */

static GUEST_C void io_write(uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)0xfec00000ull = reg;
	*(volatile uint32_t *)0xfec00010ull = val;
}

/*
 * The line stays high. So the EOI brings the interrupt again, if it is the EOI of this interrupt
 * and not of the one that has interrupted it and skipped its own.
 */
static GUEST_C void on_low(struct guest_frame *frame)
{
	uint32_t tries;

	(void)frame;
	if (++lows == 1) {
		guest_sti();
		apic_send(ICR_SELF | FIRST, 0);
		for (tries = 0; firsts != 1 && tries < 100000000; tries++)
			__asm__ volatile("pause" : : : "memory");
		guest_cli();
	} else {
		guest_line(LEVEL_PIN, false);
	}
	apic_write(AP_EOI, 0);
}

static GUEST_C void eoi_after_skip(void)
{
	uint32_t tries;

	begin(on_first);
	guest_handlers[LOW] = on_low;
	io_write(0x10 + 2 * LEVEL_PIN + 1, 0);
	io_write(0x10 + 2 * LEVEL_PIN, LOW | 1 << 15);
	guest_line(LEVEL_PIN, true);
	/* No exit to userspace here. */
	for (tries = 0; lows != 2 && tries < 3000000; tries++)
		__asm__ volatile("pause" : : : "memory");
	GUEST_EXPECT(lows == 2);
	guest_line(LEVEL_PIN, false);
	end();
}

static void after_skip(enum smp_flag mode)
{
	struct smp smp;

	prepare(&smp, mode, eoi_after_skip);
	smp_run(&smp);
	EXPECT_EQ(firsts, 1);
	smp_destroy(&smp);
	munmap(page, PAGE);
	if (!offers)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}

TEST(an_x2apic_eoi_counts_after_a_skipped_one)
{
	after_skip(SMP_X2APIC);
}

TEST(an_xapic_eoi_counts_after_a_skipped_one)
{
	after_skip(SMP_XAPIC);
}

/* ---- the vCPU waits for a page ---- */

static int absent_page(struct smp *smp, uint8_t **away)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		test_skip("no userfaultfd");
	*away = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(*away != MAP_FAILED);
	reg.range.start = (uintptr_t)*away;
	reg.range.len = PAGE;
	REQUIRE(ioctl(uffd, UFFDIO_API, &api) == 0);
	REQUIRE(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0);
	vm_slot(&smp->vm, 3, AWAY_AT, PAGE, *away, 0);
	return uffd;
}

static GUEST_C void skip_and_wait(void)
{
	begin(on_first);
	guest_handlers[PAGE_READY] = on_page_ready;
	guest_wrmsr(MSR_APF_INT, PAGE_READY);
	guest_wrmsr(MSR_APF, RECORD_AT | APF_BY_INTERRUPT);
	apic_send(ICR_SELF | FIRST, 0);
	while (firsts != 1)
		__asm__ volatile("pause" : : : "memory");
	told = *(volatile uint32_t *)(uintptr_t)AWAY_AT;
	guest_cli();
	guest_wrmsr(MSR_APF, 0);
	guest_wrmsr(MSR_EOI, 0);
}

TEST(an_interrupt_ends_the_wait_for_a_page_after_a_skipped_eoi)
{
	static uint32_t data[PAGE / 4] __attribute__((aligned(4096))) = { 1 };
	struct uffdio_copy copy = { .src = (uintptr_t)data, .len = PAGE };
	struct pollfd missing = { .events = POLLIN };
	pthread_t thread;
	struct smp smp;
	uint8_t *away;

	prepare(&smp, SMP_X2APIC, skip_and_wait);
	missing.fd = absent_page(&smp, &away);
	REQUIRE(!pthread_create(&thread, NULL, run, &smp));
	EXPECT_EQ(poll(&missing, 1, 20000), 1);
	/* The vCPU's thread has time to halt. */
	usleep(50000);
	signal_msi(&smp, SECOND);
	wait_for(&seconds, 1);
	copy.dst = (uintptr_t)away;
	REQUIRE(ioctl(missing.fd, UFFDIO_COPY, &copy) == 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(told, 1);
	smp_destroy(&smp);
	close(missing.fd);
	munmap(away, PAGE);
	munmap(page, PAGE);
	if (!offers)
		test_skip("the CPU virtualizes EOIs, so that none is offered in memory");
}
