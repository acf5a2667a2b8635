// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: debug exceptions, and what interrupts wait for. */
#include <string.h>

#include "selftests/differential/when.h"

#define BREAKPOINTS		0xf		/* DR6: B0 to B3 */
#define DR7_FIXED		0x400
#define MSR_TSC_DEADLINE	0x6e0

bool debug_exit_without_dr7(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->reason == KVM_EXIT_DEBUG && !memcmp(a->exit, b->exit, 2 * sizeof(a->exit[0])) &&
	       (a->exit[2] == b->exit[2] || breakpoint_not_enabled(p, a, b, before)) &&
	       !(a->regs.rflags & FLAG_TF && a->exit[3] == a->debugregs.dr7);
}

/* A step ends where a breakpoint is that DR7 does not enable. */
bool breakpoint_not_enabled(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->exit[2] ^ b->exit[2];
	unsigned int i;

	(void)p;
	(void)before;
	if (a->reason != KVM_EXIT_DEBUG || b->reason != a->reason || diff & ~BREAKPOINTS ||
	    !(b->exit[2] & DR6_BS) || diff & a->exit[2])
		return false;
	for (i = 0; i < 4; i++)
		if (diff >> i & 1 && b->debugregs.dr7 >> 2 * i & 3)
			return false;
	return true;
}

static bool is_hypercall(struct insn insn)
{
	return insn.opcode == 0xf01 && (insn.modrm == 0xd9 || insn.modrm == 0xc1);
}

/* A breakpoint at VMMCALL: it has been reported, and the hypercall patched. */
bool patched_meets_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* Its #DB may end in another handler. */
	if (a->reason != KVM_EXIT_DEBUG &&
	    !(in_handlers(a) && a->debugregs.dr6 & BREAKPOINTS))
		return false;
	return is_hypercall(insn_from(p, b, a->reason == KVM_EXIT_DEBUG ?
				      p->sregs.cs.base + a->regs.rip : interrupted(p, a)));
}

/* The same with the guest's TF. */
bool patched_is_a_step(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* Neither trap can be delivered. */
	if (a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason)
		return is_hypercall(insn_at(p, a)) && b->regs.rip - a->regs.rip == 3 &&
		       a->debugregs.dr6 & DR6_BS;
	return (in_handler_of(a, VECTOR_DB) || in_delivery_fault(a, VECTOR_DB)) &&
	       a->debugregs.dr6 & DR6_BS &&
	       frame_item(p, a, 2) & FLAG_TF && is_hypercall(insn_from(p, b, interrupted(p, a)));
}

static bool is_patched(program_t *p, struct insn insn)
{
	(void)p;
	return is_hypercall(insn);
}

/* The hypercall's segment does not begin at 0. */
bool patched_elsewhere(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* Behind the prefix it may be the right one: the patch is all that differs. */
	if (p->sregs.cs.base && !memcmp(&a->regs, &b->regs, sizeof(a->regs)) &&
	    !memcmp(a->exit, b->exit, sizeof(a->exit)))
		return forced(p, a, is_patched);
	return a->timed_out && a->sregs.cs.base && a->sregs.cs.base == p->sregs.cs.base &&
	       is_hypercall(insn_at(p, a));
}

/* Page tables in read-only memory: VMCALL is emulated; okvm goes on behind it. */
bool vmcall_is_emulated(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(a);

	(void)before;
	return p->tables_moved && a->timed_out && !b->timed_out && is_hypercall(insn_at(p, a)) &&
	       rip_of(b) != at &&
	       !(in_handlers(b) && is_io(b, KVM_EXIT_IO_OUT) && interrupted(p, b) == at);
}

/* Both are at the same instruction; an interrupt of the host lets userspace look first. */
bool window_at_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	moment_t *m = a->reason == KVM_EXIT_DEBUG ? a : b, *n = m == a ? b : a;

	(void)p;
	(void)before;
	return m->reason == KVM_EXIT_DEBUG && m->exit[2] & BREAKPOINTS &&
	       n->reason == KVM_EXIT_IRQ_WINDOW_OPEN && a->regs.rip == b->regs.rip;
}

/* Where KVM_RUN has begun behind @before. */
static uint64_t rip_before(program_t *p, moment_t *before)
{
	moment_t start = { .regs = p->regs, .sregs = p->sregs };

	return rip_of(before ?: &start);
}

/* Does @before's handler go back to @at with RF set, or userspace begin there with it? */
static bool begins_with_rf(program_t *p, moment_t *a, moment_t *before, uint64_t at)
{
	if (before && in_handlers(before))
		return flags_behind(p, before) & FLAG_RF && interrupted(p, before) == at;
	return a->flags_before & FLAG_RF && rip_before(p, before) == at;
}

/* Was the breakpoint at @at met before, or has RF kept it from being met? */
static bool was_met(program_t *p, moment_t *a, moment_t *before, uint64_t at)
{
	unsigned int i;

	for (i = 1; i <= a->nr; i++)
		if ((in_handler_of(a - i, VECTOR_DB) && interrupted(p, a - i) == at) ||
		    (a[-(int)i].reason == KVM_EXIT_DEBUG && a[-(int)i].exit[2] & BREAKPOINTS &&
		     a[-(int)i].sregs.cs.base + a[-(int)i].regs.rip == at))
			return true;
	return begins_with_rf(p, a, before, at);
}

/* Is the instruction at @a in work, or has it begun with RF? An IRET may have loaded RF. */
static bool keeps_from_breakpoint(program_t *p, moment_t *a, moment_t *before)
{
	return begins_with_rf(p, a, before, rip_of(a)) ||
	       (before && before->regs.rip == a->regs.rip &&
		(before->reason == KVM_EXIT_IO || before->reason == KVM_EXIT_MMIO));
}

/* INS and OUTS: upstream meets the breakpoint once more when the port's part is to be done. */
bool port_meets_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = interrupted(p, a);

	/* A debugger's breakpoint. */
	if (a->reason == KVM_EXIT_DEBUG)
		return a->exit[2] & BREAKPOINTS && keeps_from_breakpoint(p, a, before) &&
		       (is_string_io(insn_at(p, a)) || is_umip_insn(p, insn_at(p, a))) &&
		       !(b->reason == a->reason && a->regs.rip == b->regs.rip);
	if (!in_handler_of(a, VECTOR_DB))
		return false;
	if (before && before->reason == KVM_EXIT_IO && is_string_io(insn_at(p, before)) &&
	    rip_of(before) == at)
		return a->debugregs.dr6 & BREAKPOINTS;
	/* The same with what is emulated for UMIP. */
	if (is_umip_insn(p, insn_from(p, a, at)) && a->debugregs.dr6 & BREAKPOINTS)
		return was_met(p, a, before, at) &&
		       !(in_handler_of(b, VECTOR_DB) && interrupted(p, b) == at);
	if (b->reason != KVM_EXIT_IO)
		return false;
	return p->sregs.cs.base + b->regs.rip - at < 5 && is_string_io(insn_from(p, a, at)) &&
	       a->debugregs.dr6 & BREAKPOINTS;
}

/* MOV of DR8 to DR15, for which there is no VM exit, says the manual, but Bochs makes one. */
bool mov_dr_beyond(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_from(p, b, interrupted(p, b));

	(void)before;
	return a->guest_debug && in_handler_of(b, VECTOR_UD) && insn.high &&
	       (insn.opcode == 0xf21 || insn.opcode == 0xf23);
}

static bool loads_ss(struct insn insn)
{
	return insn.opcode == 0x17 || (insn.opcode == 0x8e && insn.reg == 2) ||
	       insn.opcode == 0xfb2;
}

static bool is_ss_load(program_t *p, struct insn insn)
{
	(void)p;
	return loads_ss(insn);
}

/* MOV to SS or POP SS from a device with TF: the trap waits for the instruction behind it. */
bool step_behind_mov_ss(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = interrupted(p, a);
	unsigned int i;

	/* Or behind the prefix. */
	for (i = 1; i < 8 && p->how.prefix && in_handler_of(a, VECTOR_DB); i++)
		if (frame_item(p, a, 2) & FLAG_TF && forced_at(p, a, at - i, is_ss_load))
			return a->debugregs.dr6 & DR6_BS;
	return in_handler_of(a, VECTOR_DB) && a->debugregs.dr6 & DR6_BS && before &&
	       before->reason == KVM_EXIT_MMIO && loads_ss(insn_at(p, before)) &&
	       frame_item(p, a, 2) & FLAG_TF && a->sregs.tr.base == b->sregs.tr.base &&
	       interrupted(p, a) - before->sregs.cs.base - before->regs.rip < 15;
}

/* A load of SS behind another one: only the first is sure to block. */
bool second_ss_load_blocks(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return before && before->events.interrupt.shadow && !a->events.interrupt.shadow &&
	       b->events.interrupt.shadow && a->regs.rip == b->regs.rip &&
	       before->reason == KVM_EXIT_MMIO && loads_ss(insn_at(p, before));
}

/* A load of SS, and userspace has injected an interrupt meanwhile. POPF and IRET may clear IF. */
bool interrupt_in_the_midst(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn;

	if (a->reason != KVM_EXIT_FAIL_ENTRY || !before || before->reason != KVM_EXIT_MMIO ||
	    !b->events.interrupt.injected)
		return false;
	insn = insn_at(p, before);
	if (insn.opcode == 0x9d || insn.opcode == 0xcf)
		return before->shared[1] && !(a->regs.rflags & FLAG_IF);
	return loads_ss(insn) && b->events.interrupt.shadow;
}

/* #BP, which a debugger has asked for: the exit has no debug registers. */
bool breakpoint_insn_told(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t dr7 = b->debugregs.dr7;

	(void)before;
	if (b->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		dr7 = p->guest_debug.arch.debugreg[7];
	return a->reason == KVM_EXIT_DEBUG && a->exit[0] == VECTOR_BP &&
	       !memcmp(a->exit, b->exit, 2 * sizeof(a->exit[0])) &&
	       !b->exit[2] && (b->exit[3] | DR7_FIXED) == (dr7 | DR7_FIXED);
}

/* MOV to SS that faults: no instruction has ended that interrupts could wait behind. */
bool faulting_mov_ss(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, b);

	(void)before;
	return a->events.interrupt.shadow && !b->events.interrupt.shadow &&
	       a->regs.rip == b->regs.rip && b->events.exception.pending &&
	       loads_ss(insn);
}

/* The handler of an interrupt begins with IF set, and userspace waits for a window. */
bool window_in_delivery(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	return before && before->shared[0] && b->reason == KVM_EXIT_IRQ_WINDOW_OPEN &&
	       in_handlers(b) && is_io(a, KVM_EXIT_IO_OUT) && a->exit[2] >= 0x20 &&
	       in_handler_of(a, a->exit[2]) && a->regs.rip == b->regs.rip;
}

/* STI; MOV DR, which okvm lets the CPU execute again after an exit. */
bool blocking_ends_early(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(b);
	struct insn insn = insn_at(p, b);

	(void)before;
	return b->reason == KVM_EXIT_IRQ_WINDOW_OPEN && a->regs.rip > b->regs.rip &&
	       (insn.opcode == 0xf21 || insn.opcode == 0xf23) && at &&
	       insn_from(p, b, at - 1).opcode == 0xfb;
}

/* WRMSR to the deadline of the LAPIC's timer. */
bool step_of_fast_wrmsr(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return b->reason == KVM_EXIT_DEBUG && b->exit[2] & DR6_BS &&
	       a->regs.rip != b->regs.rip && b->regs.rcx == MSR_TSC_DEADLINE &&
	       insn_from(p, b, rip_of(b) - 2).opcode == 0xf30;
}
