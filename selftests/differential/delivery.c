// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: events whose delivery leaves RAM, or meets another event. */
#include <string.h>

#include "selftests/differential/when.h"

/* Upstream emulates, round and round, the instruction that was to be interrupted. */
bool delivery_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->timed_out && !b->timed_out &&
	       (a->regs.rflags & FLAG_RF || a->events.exception.injected) &&
	       a->mp_state.mp_state == KVM_MP_STATE_RUNNABLE && delivery_leaves_ram(p, a, b);
}

/* The same with an interrupt: it stays where it is, instruction by instruction. */
bool delivery_put_off(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved &&
	       (a->events.interrupt.injected > b->events.interrupt.injected ||
		a->events.nmi.injected > b->events.nmi.injected);
}

/* The same, but that instruction fails; okvm says that the delivery does. */
bool delivery_fails(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	bool failed = is_error(a, KVM_INTERNAL_ERROR_EMULATION);

	if (p->tables_moved && !before && p->events.exception.injected &&
	    is_error(b, KVM_INTERNAL_ERROR_EMULATION))
		return a->reason == KVM_EXIT_SHUTDOWN && delivery_leaves_ram(p, a, b);
	return failed && delivered_event(a) & VECTORING_VALID &&
	       !(is_error(b, KVM_INTERNAL_ERROR_EMULATION) && b->exit[1]) &&
	       delivery_leaves_ram(p, a, b);
}

/* The same, and that instruction ends in another exit; okvm writes what delivery writes. */
bool delivery_into_device(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t rip = rip_of(b);

	/* The program has written to the vector: the handler is anywhere. */
	if (is_mmio_write(b) && p->mode == MODE_REAL && before && rip_of(a) == rip_of(before) &&
	    (a->events.nmi.injected > b->events.nmi.injected ||
	     a->events.interrupt.injected > b->events.interrupt.injected))
		return rip != rip_of(a) && stack_leaves_ram(p, b);
	return is_mmio_write(b) && delivery_leaves_ram(p, a, b) && rip >= AT_HANDLERS &&
	       rip < AT_HANDLERS + PAGE && rip % HANDLER_BYTES == 0 &&
	       (a->regs.rip != b->regs.rip || in_handler_of(a, rip % PAGE / HANDLER_BYTES));
}

/* Does the exit in which a delivery ended have an address in memory? */
static bool tells_gpa(moment_t *m)
{
	return m->exit[3] == EXIT_EPT_VIOLATION || m->exit[3] == EXIT_EPT_MISCONFIG;
}

bool delivery_error_told(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* The delivery is emulated, and cannot be. */
	if (is_error(b, KVM_INTERNAL_ERROR_EMULATION) && !b->exit[1] &&
	    (b->events.interrupt.injected || b->events.nmi.injected ||
	     b->events.exception.injected))
		return delivery_leaves_ram(p, a, b);
	if (!is_error(b, DELIVERY_ERROR) || !(b->exit[2] & VECTORING_VALID))
		return false;
	/* okvm tells where the access was that failed. */
	if (!is_error(a, DELIVERY_ERROR))
		return p->tables_moved || (tells_gpa(b) && b->exit[5] >= AT_ROM) ||
		       b->exit[3] == EXIT_APIC_ACCESS;
	/* Both tell where the access was. The first time upstream has emulated the instruction. */
	if (a->exit[3] == b->exit[3])
		return tells_gpa(a) && a->exit[2] == b->exit[2] && a->exit[5] == b->exit[5] &&
		       a->exit[5] >= AT_ROM && a->regs.rip - b->regs.rip - 1 < 14;
	return delivery_leaves_ram(p, a, b) ||
	       (tells_gpa(a) && tells_gpa(b) &&
		((a->exit[5] >= AT_END && b->exit[5] >= AT_END) ||
		 (a->exit[2] == b->exit[2] && a->exit[5] == b->exit[5] &&
		  a->exit[5] >= AT_ROM)));
}

/* The same, the instruction accesses a port, and the delivery fails. */
bool port_before_delivery(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return b->reason == KVM_EXIT_SHUTDOWN && a->reason == KVM_EXIT_IO &&
	       is_port_insn(insn_at(p, b)) && a->regs.rip - b->regs.rip < 15 &&
	       delivery_leaves_ram(p, a, b);
}

/*
 * Is there an event that may lead to @b's handler? A fault is one of an instruction at which @a is,
 * or which it has emulated without.
 */
static bool may_be_delivered(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int vector = b->regs.rip % PAGE / HANDLER_BYTES;

	if (vector >= 0x20 || vector <= VECTOR_OF || a->last_vector == vector ||
	    (!before && p->events.exception.injected && p->events.exception.nr == vector))
		return true;
	return has_code(vector) || upstream_lacks(p, insn_from(p, b, interrupted(p, b))) ||
	       rip_of(a) - interrupted(p, b) < 15;
}

/* Has userspace given an event that may be delivered behind @before? */
static bool event_given(program_t *p, moment_t *before)
{
	const struct kvm_vcpu_events *ev = before ? &before->events : &p->events;

	return ev->exception.injected || ev->exception.pending || ev->interrupt.injected ||
	       ev->nmi.injected || ev->nmi.pending || (before && before->shared[0]) ||
	       p->guest_debug.control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
}

/* Page tables in read-only memory: okvm is in the handler, upstream emulates what it interrupts. */
bool delivery_carried_out(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t from = before ? before->regs.rip : p->regs.rip;

	/* Where no handler can be entered it is the end. */
	if (p->tables_moved && b->reason == KVM_EXIT_SHUTDOWN)
		return b->regs.rip == from && a->regs.rip != from && event_given(p, before);
	/* RET and the like lead a program to a handler, but not to its privilege. */
	return p->tables_moved && in_handlers(b) && may_be_delivered(p, a, b, before) &&
	       (!in_handlers(a) || a->sregs.cs.dpl > b->sregs.cs.dpl);
}

/* Page tables in read-only memory: upstream takes an entry of theirs for the operand. */
bool walk_is_operand(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved && a->reason == KVM_EXIT_MMIO && a->exit[0] >= AT_ROM &&
	       a->exit[0] < AT_RAM2 && (b->reason != KVM_EXIT_MMIO || a->exit[0] != b->exit[0]);
}

/* The qualification of an EPT misconfiguration. */
bool qualification_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return is_error(a, DELIVERY_ERROR) && is_error(b, DELIVERY_ERROR) &&
	       a->exit[3] == EXIT_EPT_MISCONFIG && b->exit[3] == EXIT_EPT_MISCONFIG;
}

/* A handler begins whose event was delivered across EPT violations on upstream. */
bool delivery_across_exits(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->zapped && a->regs.rip % HANDLER_BYTES == 0 &&
	       ((same_but_frame(p, a, b, FLAG_RF) &&
		 frame_item(p, a, 0) == frame_item(p, b, 0)) || stack_differs(p, a, b));
}

/* Was there an exit in the instruction that @m's handler has trapped behind, or the prefix? */
static bool ended_by_software(program_t *p, moment_t *m, moment_t *before)
{
	uint64_t at = interrupted(p, m);
	unsigned int i;

	for (i = 1; i < 15; i++)
		if (forced_at(p, m, at - i, is_any))
			return true;
	return before && (before->reason == KVM_EXIT_MMIO || before->reason == KVM_EXIT_IO) &&
	       !in_handlers(before) && at - rip_of(before) < 15;
}

/* A step's trap: the instruction before has met a missing EPT entry on one of them. */
bool rf_of_a_trap(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	/* Not behind an instruction that software has ended: that must have cleared RF. */
	if (ended_by_software(p, a, before))
		return false;
	return in_handler_of(a, VECTOR_DB) && a->debugregs.dr6 & DR6_BS &&
	       a->debugregs.dr6 == b->debugregs.dr6 && same_but_frame(p, a, b, FLAG_RF) &&
	       frame_item(p, a, 0) == frame_item(p, b, 0);
}

/* The CPU has exited at a handler's begin; an EPT entry may be missing for its instruction. */
bool rf_at_window(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return (a->regs.rflags ^ b->regs.rflags) == FLAG_RF && a->regs.rip == b->regs.rip &&
	       in_handlers(a) && !(a->regs.rip % HANDLER_BYTES) &&
	       a->reason == KVM_EXIT_IRQ_WINDOW_OPEN && b->reason == a->reason;
}

/* The same where gates lead to another task, and RF is all that registers differ in. */
bool rf_across_exits(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct kvm_regs regs = b->regs;
	unsigned int i;

	(void)before;
	if ((a->regs.rflags ^ b->regs.rflags) & ~(uint64_t)FLAG_RF)
		return false;
	regs.rflags = a->regs.rflags;
	if (memcmp(&a->regs, &regs, sizeof(regs)))
		return false;
	for (i = 0; i < 0x80; i++)
		if (gate_is(p, a, i, GATE_TASK))
			return true;
	return false;
}

bool halt_is_emulated(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved && insn_from(p, b, rip_of(b) - 1).opcode == 0xf4 &&
	       (b->reason == KVM_EXIT_HLT || b->mp_state.mp_state == KVM_MP_STATE_HALTED) &&
	       ((a->timed_out && a->mp_state.mp_state == KVM_MP_STATE_RUNNABLE) ||
		a->regs.rip > b->regs.rip ||
		(a->reason == KVM_EXIT_DEBUG && a->regs.rip == b->regs.rip));
}

bool software_event_injected(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const struct kvm_vcpu_events *ev = &p->events;

	return !before && !memcmp(&a->regs, &b->regs, sizeof(a->regs)) &&
	       (p->guest_debug.control & KVM_GUESTDBG_INJECT_BP ||
		(ev->exception.injected && (ev->exception.nr == VECTOR_BP ||
					    ev->exception.nr == VECTOR_OF)) ||
		(ev->interrupt.injected && ev->interrupt.soft));
}

/* Userspace has injected an interrupt while an instruction waited for it, which faults. */
bool interrupt_is_lost(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	if (!before || a->events.interrupt.injected ||
	    (before->reason != KVM_EXIT_MMIO && before->reason != KVM_EXIT_IO &&
	     before->reason != KVM_EXIT_X86_RDMSR && before->reason != KVM_EXIT_X86_WRMSR) ||
	    !(before->events.interrupt.injected || before->shared[0]))
		return false;
	/* The fault cannot be delivered. */
	if (is_error(a, DELIVERY_ERROR) && is_error(b, DELIVERY_ERROR))
		return b->events.interrupt.injected && a->exit[2] == b->exit[2] &&
		       !memcmp(&a->regs, &b->regs, sizeof(a->regs));
	/* The fault's handler is interrupted at once. */
	if (in_handlers(b) && is_io(b, KVM_EXIT_IO_OUT) && b->exit[2] >= 0x20 &&
	    a->exit[2] != b->exit[2])
		return in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) && a->exit[2] < 0x20 &&
		       frame_item(p, b, 0) == a->regs.rip;
	return b->events.interrupt.injected &&
	       (in_handlers(b) || b->reason == KVM_EXIT_SHUTDOWN) && a->reason == b->reason &&
	       !memcmp(a->exit, b->exit, sizeof(a->exit)) &&
	       !memcmp(&a->regs, &b->regs, sizeof(a->regs)) &&
	       !memcmp(a->pages, b->pages, sizeof(a->pages));
}

/* An exception while another is being delivered, which is no page fault. */
bool exceptions_meet(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return is_error(a, SIMULTANEOUS_ERROR) && a->exit[2] & VECTORING_VALID &&
	       !is_error(b, SIMULTANEOUS_ERROR);
}

/* #DF is being delivered, and a debugger injects #DB or #BP. */
bool debugger_meets_double_fault(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	return !before && p->events.exception.injected &&
	       p->events.exception.nr == VECTOR_DF && a->reason == KVM_EXIT_SHUTDOWN &&
	       p->guest_debug.control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
}

/* An entry that cannot be: an NMI that is delivered in its own handler. */
bool nmi_within_nmi(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return !before && p->events.nmi.injected && p->events.nmi.masked &&
	       a->reason == KVM_EXIT_FAIL_ENTRY && b->reason == a->reason;
}

/* Two events are injected at once, and the CPU does not enter; upstream has tried before. */
bool one_event_at_entry(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const struct kvm_vcpu_events *ev = &p->events;

	return !before && a->reason == KVM_EXIT_FAIL_ENTRY && b->reason == a->reason &&
	       ev->exception.injected + ev->interrupt.injected + ev->nmi.injected > 1 &&
	       a->events.interrupt.injected + a->events.nmi.injected <
	       b->events.interrupt.injected + b->events.nmi.injected;
}
