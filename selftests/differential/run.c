// SPDX-License-Identifier: GPL-2.0-only
/* One program on one device: the VM, the answers of userspace, and the record. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "selftests/differential/differential.h"

#define MAX_HALTS	3

const uint32_t watched_msrs[MSRS] = {
	0x3b, 0xc0000103, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x200, 0x203, 0x250, 0x277, 0x2ff,
				0xda0,
	0xc0000081, 0xc0000082, 0xc0000084, 0xc0000102,
};

enum slot { SLOT_LOW, SLOT_ROM, SLOT_RAM2 };

struct vm {
	const struct program *p;
	int fd, vcpu;
	struct kvm_run *run;
	int run_size;
	struct rng rng;			/* what userspace does at the exits */
	bool ram2, rom_writable, zapped;
	unsigned int nmis;
	uint32_t guest_debug;		/* KVM_GUESTDBG_* */
	uint64_t rflags;		/* as userspace has seen or set them last */
	uint64_t ioctls;		/* failed ones */
	unsigned int halts, reads;
	unsigned int limit_us;		/* of one KVM_RUN */
	uint64_t pages[PAGES];		/* hashes of what is in seen_memory, 0 if nothing is */
};

static uint8_t *guest_memory;
static uint8_t seen_memory[AT_END];	/* as it was when it was last hashed */
static struct kvm_run *volatile running;

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- devices ---- */

static void on_alarm(int sig)
{
	(void)sig;
	if (running)
		running->immediate_exit = 1;
}

void device_open(struct device *dev, const char *path)
{
	struct sigaction action = { .sa_handler = on_alarm };

	dev->path = path;
	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		give_up(path);
	dev->cpuid.head.nent = ARRAY_SIZE(dev->cpuid.entries);
	if (ioctl(dev->fd, KVM_GET_SUPPORTED_CPUID, &dev->cpuid))
		give_up("KVM_GET_SUPPORTED_CPUID");
	sigaction(SIGALRM, &action, NULL);
	if (guest_memory)
		return;
	guest_memory = mmap(NULL, AT_END, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	if (guest_memory == MAP_FAILED)
		give_up("mmap");
}

static const struct kvm_cpuid_entry2 *cpuid_find(const struct device *dev,
						 const struct kvm_cpuid_entry2 *like)
{
	unsigned int i;

	for (i = 0; i < dev->cpuid.head.nent; i++)
		if (dev->cpuid.entries[i].function == like->function &&
		    dev->cpuid.entries[i].index == like->index)
			return &dev->cpuid.entries[i];
	return NULL;
}

/* Features that both have; no random numbers, no clock, no counters. */
static void cpuid_common(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_entry2 *other)
{
	switch (e->function) {
	case 1:
		e->ecx &= other->ecx & ~(1u << 30 | 1u << 15 | 1u << 5 | 1u << 3);
		e->edx &= other->edx;
		break;
	case 7:
		e->ebx &= other->ebx & ~(1u << 18);
		/* LA57: Bochs dies at an exit from a guest that has it, on a host without. */
		e->ecx &= other->ecx & ~(1u << 16);
		e->edx &= other->edx;
		break;
	case 0xa:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xd:
		if (e->index == 1)
			e->eax &= other->eax;
		break;
	case 0x40000001:
		e->eax = 0;
		break;
	case 0x80000001:
		e->ecx &= other->ecx;
		e->edx &= other->edx;
		break;
	}
}

void devices_agree(struct device *a, struct device *b)
{
	const struct kvm_cpuid_entry2 *other;
	struct cpuid_table common = { };
	unsigned int i, n = 0;

	for (i = 0; i < a->cpuid.head.nent; i++) {
		other = cpuid_find(b, &a->cpuid.entries[i]);
		if (!other)
			continue;
		common.entries[n] = a->cpuid.entries[i];
		cpuid_common(&common.entries[n++], other);
	}
	common.head.nent = n;
	a->cpuid = common;
	b->cpuid = common;
}

/* ---- the VM ---- */

/* A state ioctl; that it failed is part of the record. */
static void state_ioctl(struct vm *vm, unsigned int bit, unsigned long nr, void *arg)
{
	if (ioctl(vm->vcpu, nr, arg) < 0)
		vm->ioctls |= 1ull << bit;
}

static void set_slot(struct vm *vm, enum slot nr, uint32_t from, uint32_t to, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = nr, .flags = flags, .guest_phys_addr = from, .memory_size = to - from,
		.userspace_addr = (uintptr_t)(guest_memory + from),
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		give_up("KVM_SET_USER_MEMORY_REGION");
}

static void toggle_ram2(struct vm *vm)
{
	vm->ram2 = !vm->ram2;
	vm->zapped |= !vm->ram2;
	set_slot(vm, SLOT_RAM2, AT_RAM2, vm->ram2 ? AT_END : AT_RAM2, 0);
}

static void toggle_rom(struct vm *vm)
{
	set_slot(vm, SLOT_ROM, AT_ROM, AT_ROM, 0);
	vm->rom_writable = !vm->rom_writable;
	vm->zapped = true;
	set_slot(vm, SLOT_ROM, AT_ROM, AT_HOLE, vm->rom_writable ? 0 : KVM_MEM_READONLY);
}

/* The other device may still hold the CPU for a moment. */
static int create_vm(struct device *dev)
{
	int fd, tries = 0;

	do {
		fd = ioctl(dev->fd, KVM_CREATE_VM, 0);
		if (fd >= 0)
			return fd;
		usleep(1000);
	} while (errno == EBUSY && ++tries < 2000);
	give_up(dev->path);
}

static void enable_user_msr(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { 7 } };

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		give_up("KVM_CAP_X86_USER_SPACE_MSR");
}

static void vm_make(struct vm *vm, struct device *dev, const struct program *p)
{
	uint64_t identity = 0xfeffc000;

	*vm = (struct vm){ .p = p, .fd = create_vm(dev), .rng = rng_of(p->answers, 1) };
	memcpy(guest_memory, p->mem, AT_END);
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfeffd000ul))
		give_up("KVM_SET_TSS_ADDR");
	set_slot(vm, SLOT_LOW, 0, AT_ROM, 0);
	set_slot(vm, SLOT_ROM, AT_ROM, AT_HOLE, KVM_MEM_READONLY);
	toggle_ram2(vm);
	if (p->user_msr)
		enable_user_msr(vm);
	if (p->irqchip && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		give_up("KVM_CREATE_IRQCHIP");
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu < 0)
		give_up("KVM_CREATE_VCPU");
	vm->run_size = ioctl(dev->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		give_up("mmap of the vCPU");
	if (ioctl(vm->vcpu, KVM_SET_CPUID2, &dev->cpuid))
		give_up("KVM_SET_CPUID2");
}

static void vm_end(struct vm *vm)
{
	munmap(vm->run, vm->run_size);
	close(vm->vcpu);
	close(vm->fd);
}

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[MSRS];
};

static void set_state(struct vm *vm)
{
	const struct program *p = vm->p;
	struct msr_list msrs = { .head.nmsrs = ARRAY_SIZE(setup_msrs) };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = p->xcr0 };
	struct kvm_guest_debug debug = p->guest_debug;
	struct kvm_debugregs debugregs = p->debugregs;
	struct kvm_vcpu_events events = p->events;
	struct kvm_mp_state mp_state = p->mp_state;
	struct kvm_sregs sregs = p->sregs;
	struct kvm_regs regs = p->regs;
	struct kvm_fpu fpu = p->fpu;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(setup_msrs); i++)
		msrs.entries[i] = (struct kvm_msr_entry){ .index = setup_msrs[i],
							  .data = p->msrs[i] };
	sregs.apic_base = 0xfee00900;
	state_ioctl(vm, 0, KVM_SET_SREGS, &sregs);
	state_ioctl(vm, 1, KVM_SET_REGS, &regs);
	state_ioctl(vm, 2, KVM_SET_FPU, &fpu);
	state_ioctl(vm, 3, KVM_SET_XCRS, &xcrs);
	state_ioctl(vm, 4, KVM_SET_MSRS, &msrs);
	state_ioctl(vm, 5, KVM_SET_DEBUGREGS, &debugregs);
	state_ioctl(vm, 6, KVM_SET_VCPU_EVENTS, &events);
	state_ioctl(vm, 8, KVM_SET_MP_STATE, &mp_state);
	if (debug.control)
		state_ioctl(vm, 7, KVM_SET_GUEST_DEBUG, &debug);
	vm->guest_debug = debug.control;
	vm->rflags = regs.rflags;
}

/* ---- what is seen ---- */

static uint64_t hash_page(const uint8_t *page)
{
	const uint64_t *words = (const uint64_t *)page;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < PAGE / 8; i++)
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 29;
}

static void see_exit(const struct vm *vm, struct moment *m)
{
	const struct kvm_run *run = vm->run;
	unsigned int i, size;

	switch (m->reason) {
	case KVM_EXIT_IO:
		size = run->io.size * run->io.count;
		m->exit[0] = run->io.direction;
		m->exit[1] = run->io.size;
		m->exit[2] = run->io.port;
		m->exit[3] = run->io.count;
		if (run->io.direction == KVM_EXIT_IO_OUT)
			memcpy(m->data, (uint8_t *)run + run->io.data_offset,
			       size > 64 ? 64 : size);
		break;
	case KVM_EXIT_MMIO:
		m->exit[0] = run->mmio.phys_addr;
		m->exit[1] = run->mmio.len;
		m->exit[2] = run->mmio.is_write;
		if (run->mmio.is_write)
			memcpy(m->data, run->mmio.data, run->mmio.len);
		break;
	case KVM_EXIT_DEBUG:
		m->exit[0] = run->debug.arch.exception;
		m->exit[1] = run->debug.arch.pc;
		m->exit[2] = run->debug.arch.dr6;
		m->exit[3] = run->debug.arch.dr7;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		m->exit[0] = run->internal.suberror;
		m->exit[1] = run->internal.ndata;
		for (i = 0; i < run->internal.ndata && i < 8; i++)
			m->exit[2 + i] = run->internal.data[i];
		break;
	case KVM_EXIT_FAIL_ENTRY:
		m->exit[0] = run->fail_entry.hardware_entry_failure_reason;
		m->exit[1] = run->fail_entry.cpu;
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		m->exit[0] = run->msr.reason;
		m->exit[1] = run->msr.index;
		m->exit[2] = m->reason == KVM_EXIT_X86_WRMSR ? run->msr.data : 0;
		break;
	case KVM_EXIT_EXCEPTION:
		m->exit[0] = run->ex.exception;
		m->exit[1] = run->ex.error_code;
		break;
	}
}

/* Hashing takes an emulated machine longer than comparing: only what has changed is hashed. */
static void see_pages(struct vm *vm, struct moment *m)
{
	const uint8_t *at_first = vm->p->mem, *now = guest_memory;
	uint8_t *seen = seen_memory;
	unsigned int i;

	for (i = 0; i < PAGES; i++, at_first += PAGE, seen += PAGE, now += PAGE) {
		if (!memcmp(at_first, now, PAGE)) {
			m->pages[i] = 0;
			continue;
		}
		if (!vm->pages[i] || memcmp(seen, now, PAGE)) {
			memcpy(seen, now, PAGE);
			vm->pages[i] = hash_page(seen) | 1;
		}
		m->pages[i] = vm->pages[i];
	}
}

/* What means nothing is not compared: the parts of an unusable segment, of no event. */
static void forget_meaningless(struct moment *m)
{
	struct kvm_segment *segs = &m->sregs.cs;
	unsigned int i;

	/* cs, ds, es, fs, gs, ss, tr, ldt lie in this order. */
	for (i = 0; i < 8; i++)
		if (segs[i].unusable)
			segs[i] = (struct kvm_segment){ .unusable = 1,
						.selector = segs[i].selector };
	m->last_vector = m->events.exception.nr;
	m->fault_code = m->events.exception.error_code;
	if (!m->events.exception.injected && !m->events.exception.pending) {
		m->events.exception.nr = 0;
		m->events.exception.has_error_code = 0;
	}
	if (!m->events.exception.has_error_code)
		m->events.exception.error_code = 0;
	if (!m->events.interrupt.injected)
		m->events.interrupt.nr = 0;
}

/* The top of the stack by itself: an exception's frame, if a handler begins. */
static void see_frame(const struct vm *vm, struct moment *m)
{
	uint64_t la = stack_top(m), at;
	unsigned int len = sizeof(m->frame);
	uint8_t page[PAGE];

	m->code_changed = memcmp(guest_memory + vm->p->code_start,
				 vm->p->mem + vm->p->code_start, vm->p->code_len);
	at = guest_physical(vm->p, la);
	if (at >= AT_END)
		return;
	/* No more than there is in the page. */
	if (at % PAGE > PAGE - len)
		len = PAGE - at % PAGE;
	memcpy(m->frame, guest_memory + at, len);
	memcpy(page, guest_memory + (at & -PAGE), PAGE);
	memset(page + at % PAGE, 0, len);
	m->frame_rest = hash_page(page) | 1;	/* 0 is no frame */
}

static void see_state(struct vm *vm, struct moment *m, bool copy)
{
	struct msr_list msrs = { .head.nmsrs = MSRS };
	struct kvm_xcrs xcrs = { };
	unsigned int i;

	state_ioctl(vm, 16, KVM_GET_REGS, &m->regs);
	state_ioctl(vm, 17, KVM_GET_SREGS, &m->sregs);
	state_ioctl(vm, 18, KVM_GET_DEBUGREGS, &m->debugregs);
	state_ioctl(vm, 19, KVM_GET_VCPU_EVENTS, &m->events);
	if (ioctl(vm->vcpu, KVM_GET_MP_STATE, &m->mp_state))
		vm->ioctls |= 1 << 20;
	state_ioctl(vm, 21, KVM_GET_XSAVE, &m->xsave);
	state_ioctl(vm, 22, KVM_GET_XCRS, &xcrs);
	m->xcr0 = xcrs.xcrs[0].value;
	for (i = 0; i < MSRS; i++)
		msrs.entries[i].index = watched_msrs[i];
	if (ioctl(vm->vcpu, KVM_GET_MSRS, &msrs) != MSRS)
		vm->ioctls |= 1 << 23;
	for (i = 0; i < MSRS; i++)
		m->msrs[i] = msrs.entries[i].data;
	see_pages(vm, m);
	m->shared[0] = vm->run->ready_for_interrupt_injection;
	m->shared[1] = vm->run->if_flag;
	m->shared[2] = vm->run->flags;
	m->shared[3] = vm->run->cr8;
	m->shared[4] = vm->run->apic_base;
	m->ioctls = vm->ioctls;
	m->zapped = vm->zapped;
	m->nmis = vm->nmis;
	m->slots = vm->ram2 | vm->rom_writable << 1;
	m->guest_debug = vm->guest_debug;
	m->flags_before = vm->rflags;
	vm->rflags = m->regs.rflags;
	see_frame(vm, m);
	forget_meaningless(m);
	vm->ioctls = 0;
	if (copy) {
		m->mem = malloc(AT_END);
		memcpy(m->mem, guest_memory, AT_END);
	}
}

/* KVM_RUN, for a bounded time, and what is to be seen then. */
static void run_once(struct vm *vm, struct moment *m, bool at_once, bool copy)
{
	struct itimerval limit = { .it_value.tv_usec = vm->limit_us }, never = { };
	int ret;

	memset(m, 0, sizeof(*m));
	vm->run->immediate_exit = at_once;
	vm->run->exit_reason = KVM_EXIT_UNKNOWN;
	running = vm->run;
	setitimer(ITIMER_REAL, &limit, NULL);
	ret = ioctl(vm->vcpu, KVM_RUN, 0);
	m->error = ret < 0 ? errno : 0;
	setitimer(ITIMER_REAL, &never, NULL);
	running = NULL;
	m->timed_out = m->error == EINTR && !at_once;
	m->reason = ret < 0 ? REASON_NONE : vm->run->exit_reason;
	see_exit(vm, m);
	see_state(vm, m, copy);
}

/* ---- what userspace does ---- */

static void answer(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	struct rng rng = rng_of(vm->p->answers, 2 + vm->reads);
	uint8_t *to = NULL;
	unsigned int i, len = 0;

	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
		to = (uint8_t *)run + run->io.data_offset;
		len = run->io.size * run->io.count;
	} else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) {
		to = run->mmio.data;
		len = run->mmio.len;
	} else if (run->exit_reason == KVM_EXIT_X86_RDMSR) {
		to = (uint8_t *)&run->msr.data;
		len = 8;
		run->msr.error = rng_percent(&rng, 30);
	} else if (run->exit_reason == KVM_EXIT_X86_WRMSR) {
		run->msr.error = rng_percent(&rng, 30);
	}
	vm->reads++;
	for (i = 0; i < len; i++)
		to[i] = rng_next(&rng) & 0xf0;
}

static void change_register(struct vm *vm)
{
	struct kvm_regs regs;

	state_ioctl(vm, 24, KVM_GET_REGS, &regs);
	((uint64_t *)&regs)[rng_below(&vm->rng, 6)] = some_address(&vm->rng, vm->p->mode);
	if (rng_percent(&vm->rng, 20))
		regs.rflags ^= 1ull << PICK(&vm->rng, ((uint8_t[]){ 0, 6, 8, 9, 10, 16 }));
	state_ioctl(vm, 24, KVM_SET_REGS, &regs);
	vm->rflags = regs.rflags;
}

static void change_memory(struct vm *vm)
{
	uint64_t val = rng_next(&vm->rng) & 0xf0f0f0f0f0f0f0f0ull;
	unsigned int at = (rng_percent(&vm->rng, 80) ? AT_DATA : AT_CODE) +
			  rng_below(&vm->rng, CODE_BYTES - 8);

	memcpy(guest_memory + at, &val, 8);
}

static void inject(struct vm *vm)
{
	struct kvm_interrupt irq = { .irq = 0x20 + rng_below(&vm->rng, 64) };

	/* Upstream fails the next entry if userspace injects when it must not. */
	if (vm->run->ready_for_interrupt_injection)
		state_ioctl(vm, 25, KVM_INTERRUPT, &irq);
}

static void change_debug(struct vm *vm)
{
	struct kvm_guest_debug debug = { };
	unsigned int i;

	if (rng_percent(&vm->rng, 60))
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	else if (rng_percent(&vm->rng, 50))
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	for (i = 0; i < 4; i++)
		debug.arch.debugreg[i] = AT_CODE + rng_below(&vm->rng, 64);
	debug.arch.debugreg[7] = 0x401;
	state_ioctl(vm, 26, KVM_SET_GUEST_DEBUG, &debug);
	vm->guest_debug = debug.control;
}

static void change_mp_state(struct vm *vm)
{
	static const uint32_t states[] = {
		KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED,
		KVM_MP_STATE_SIPI_RECEIVED,
	};
	struct kvm_mp_state state = { .mp_state = PICK(&vm->rng, states) };

	state_ioctl(vm, 30, KVM_SET_MP_STATE, &state);
}

static void restore_same(struct vm *vm)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	if (rng_percent(&vm->rng, 50)) {
		state_ioctl(vm, 27, KVM_GET_VCPU_EVENTS, &events);
		state_ioctl(vm, 27, KVM_SET_VCPU_EVENTS, &events);
	} else {
		state_ioctl(vm, 28, KVM_GET_SREGS, &sregs);
		state_ioctl(vm, 28, KVM_SET_SREGS, &sregs);
	}
}

static bool is_pending(uint32_t reason)
{
	return reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO || reason == KVM_EXIT_X86_RDMSR ||
	       reason == KVM_EXIT_X86_WRMSR;
}

static void give_nmi(struct vm *vm)
{
	state_ioctl(vm, 29, KVM_NMI, NULL);
	vm->nmis++;
}

/* Sometimes userspace does more than answer. Gives whether it only completes what is pending. */
static bool interfere(struct vm *vm)
{
	unsigned int what = rng_below(&vm->rng, 100);

	/* Registers are the guest's when nothing is pending, says KVM's API. */
	if ((what < 6 || (what >= 29 && what < 34)) && is_pending(vm->run->exit_reason))
		return false;
	if (what < 6)
		change_register(vm);
	else if (what < 11)
		change_memory(vm);
	else if (what < 14)
		toggle_ram2(vm);
	else if (what < 16)
		toggle_rom(vm);
	else if (what < 21)
		inject(vm);
	else if (what < 23)
		give_nmi(vm);
	else if (what < 26)
		vm->run->request_interrupt_window ^= 1;
	else if (what < 29)
		change_debug(vm);
	else if (what < 33)
		restore_same(vm);
	else if (what < 34)
		change_mp_state(vm);
	return what >= 34 && what < 42;
}

static bool at_end(struct vm *vm, const struct moment *m)
{
	if (m->timed_out || (m->error && m->error != EINTR))
		return true;
	switch (m->reason) {
	case KVM_EXIT_HLT:
		return ++vm->halts >= MAX_HALTS;
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_EXCEPTION:
		return true;
	default:
		return false;
	}
}

void run_program(struct device *dev, const struct program *p, unsigned int limit_us,
		 struct record *rec, bool copy)
{
	bool at_once = false;
	struct moment *m;
	struct vm vm;

	vm_make(&vm, dev, p);
	vm.limit_us = limit_us;
	set_state(&vm);
	rec->count = 0;
	while (rec->count < MAX_MOMENTS) {
		m = &rec->moments[rec->count++];
		run_once(&vm, m, at_once, copy);
		m->nr = rec->count - 1;
		if (at_end(&vm, m))
			break;
		if (at_once) {
			at_once = false;
			continue;
		}
		answer(&vm);
		at_once = interfere(&vm);
	}
	vm_end(&vm);
}
