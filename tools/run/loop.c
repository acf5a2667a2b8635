// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: one thread per vCPU around KVM_RUN, and what is done about each exit.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "../../uapi/okvm.h"

#define KICK_SIGNAL SIGUSR1

static void kick_handler(int sig)
{
	(void)sig;	/* its arrival alone takes the thread out of KVM_RUN */
}

/* Finds the device; nobody there reads as ones and swallows writes, as on a PC's bus. */
static void bus_access(struct machine *m, bool pio, uint64_t addr, uint8_t *data, unsigned int len,
		       bool write)
{
	if (!write)
		memset(data, 0xff, len);
	for (unsigned int i = 0; i < m->nr_regions; i++) {
		const struct region *r = &m->regions[i];

		if (r->pio != pio || addr < r->base || addr - r->base >= r->len)
			continue;
		pthread_mutex_lock(&m->io_lock);
		r->access(r->dev, addr - r->base, data, len, write);
		pthread_mutex_unlock(&m->io_lock);
		return;
	}
}

static void exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(vcpu->m, true, run->io.port, data, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT);
}

static void exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	bus_access(vcpu->m, false, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
		   run->mmio.is_write);
}

static void dump_registers(struct vcpu *vcpu)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return;
	say("CPU %u: rip %#llx rsp %#llx rflags %#llx cs %#x", vcpu->id, regs.rip, regs.rsp,
	    regs.rflags, sregs.cs.selector);
	say("rax %#llx rbx %#llx rcx %#llx rdx %#llx rsi %#llx rdi %#llx", regs.rax, regs.rbx,
	    regs.rcx, regs.rdx, regs.rsi, regs.rdi);
	say("cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx", sregs.cr0, sregs.cr2, sregs.cr3,
	    sregs.cr4, sregs.efer);
}

/* okvm's own words, which other modules behind the same interface do not have. */
static bool say_error(int fd)
{
	struct okvm_error error;

	if (ioctl(fd, OKVM_GET_ERROR, &error) || !error.count)
		return false;
	say("%s", error.text);
	return true;
}

static void exit_failure(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		say_fail_entry(run);
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		say_internal_error(run);
	else
		say("exit reason %u, which okvm-run does not know", run->exit_reason);
	say_error(vcpu->fd);
	dump_registers(vcpu);
	machine_stop(vcpu->m, STATUS_ERROR);
}

/* What KVM_RUN's errno means, where the name does not tell. */
static const char *why(int err)
{
	switch (err) {
	case EFAULT:
		return ": the memory behind a guest address is gone or cannot be written";
	case EIO:
		return ": the VM is dead after a broken invariant, which the kernel log tells";
	case EHWPOISON:
		return ": the guest touched memory that the hardware has given up";
	default:
		return "";
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;

	vcpu->exits[reason < EXIT_REASONS ? reason : 0]++;
	switch (reason) {
	case KVM_EXIT_IO:
		exit_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_HLT:	/* only without interrupt controllers: nothing can wake it */
		machine_stop(vcpu->m, STATUS_OFF);
		break;
	case KVM_EXIT_SHUTDOWN:
		if (!say_error(vcpu->fd))
			say("triple fault: neither an exception nor the double fault could be delivered");
		say("look at the guest's IDT, stack and page tables");
		dump_registers(vcpu);
		machine_stop(vcpu->m, STATUS_TRIPLE);
		break;
	default:
		exit_failure(vcpu);
		break;
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct machine *m = vcpu->m;

	while (!__atomic_load_n(&m->stopping, __ATOMIC_ACQUIRE)) {
		if (!ioctl(vcpu->fd, KVM_RUN, 0)) {
			handle_exit(vcpu);
		} else if (errno == EINTR) {
			vcpu->exits[KVM_EXIT_INTR]++;
		} else if (errno != EAGAIN) {
			say("CPU %u cannot run: %s%s", vcpu->id, strerror(errno), why(errno));
			say_error(vcpu->fd);
			dump_registers(vcpu);
			machine_stop(m, STATUS_ERROR);
		}
	}
	return NULL;
}

void vcpus_start(struct machine *m)
{
	struct sigaction action = { .sa_handler = kick_handler };

	sigaction(KICK_SIGNAL, &action, NULL);
	for (unsigned int i = 0; i < m->opt->cpus; i++) {
		int err = pthread_create(&m->vcpus[i].thread, NULL, vcpu_thread, &m->vcpus[i]);

		if (err)
			die("cannot start the thread of CPU %u: %s", i, strerror(err));
	}
}

/*
 * A kick is kept for the next KVM_RUN. Where there is none, immediate_exit closes the gap between a
 * thread's look at stopping and its entry into the guest: KVM_RUN looks at it after it can be
 * interrupted by the signal.
 */
static void vcpu_kick(struct machine *m, struct vcpu *vcpu)
{
	/* Upstream waits for the end of KVM_RUN before it says that it does not know an ioctl. */
	if (m->can_kick && !ioctl(vcpu->fd, OKVM_VCPU_KICK, 0))
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpus_join(struct machine *m)
{
	for (unsigned int i = 0; i < m->opt->cpus; i++)
		vcpu_kick(m, &m->vcpus[i]);
	for (unsigned int i = 0; i < m->opt->cpus; i++)
		pthread_join(m->vcpus[i].thread, NULL);
}
