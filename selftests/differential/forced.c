// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: instructions behind the prefix that asks for emulation. */
#include <string.h>

#include "selftests/differential/when.h"

/* Does some instruction of the program behind the prefix have @is? */
bool forced(program_t *p, moment_t *m, bool (*is)(program_t *p, struct insn insn))
{
	static const uint8_t prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };
	unsigned int i;

	for (i = 0; p->how.prefix && i + sizeof(prefix) < p->code_len; i++)
		if (!memcmp(p->mem + p->code_start + i, prefix, sizeof(prefix)) &&
		    is(p, insn_from(p, m, p->code_start + i + sizeof(prefix))))
			return true;
	return false;
}

bool is_not_emulated(program_t *p, struct insn insn)
{
	return upstream_lacks(p, insn) || upstream_gives_up(p, insn);
}

/* Is the instruction at @at behind the prefix, and does @is hold of it? */
bool forced_at(program_t *p, moment_t *m, uint64_t at,
	       bool (*is)(program_t *p, struct insn insn))
{
	return p->how.prefix && at >= AT_CODE && at < AT_HANDLERS &&
	       !memcmp(p->mem + at - 5, "\x0f\x0bkvm", 5) && is(p, insn_from(p, m, at));
}

bool is_any(program_t *p, struct insn insn)
{
	(void)p;
	(void)insn;
	return true;
}

/* Does the handler of @vector begin on @m, or what has become of its delivery? */
bool faults_with(program_t *p, moment_t *m, unsigned int vector)
{
	return in_handler_of(m, vector) || in_delivery_fault(m, vector) ||
	       in_handler_of(m, VECTOR_DF) || gate_is(p, m, vector, GATE_TASK) ||
	       m->reason == KVM_EXIT_SHUTDOWN ||
	       (is_error(m, DELIVERY_ERROR) && (uint8_t)m->exit[2] == vector);
}

/* Has the program come by an instruction behind the prefix since @before? Jumps may lead back. */
static bool forced_since(program_t *p, moment_t *m, moment_t *before,
			 bool (*is)(program_t *p, struct insn insn))
{
	uint64_t to = in_handlers(m) ? interrupted(p, m) : rip_of(m), at;
	uint64_t from = before && !in_handlers(before) ? rip_of(before) : p->code_start;

	for (at = p->code_start; at < p->code_start + p->code_len; at++)
		if ((from > to || (at >= from && at < to)) && forced_at(p, m, at, is))
			return true;
	return false;
}

/* With SMAP upstream cannot read the prefix in a page of user mode: #UD is that of the prefix. */
bool forced_with_smap(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	bool begins = in_handler_of(a, VECTOR_UD);
	uint64_t at = begins ? interrupted(p, a) : rip_of(a);

	(void)before;
	if (!p->how.prefix || p->cpl || !(p->sregs.cr4 & CR4_SMAP) ||
	    (begins ? frame_item(p, a, 2) : a->regs.rflags) & FLAG_AC)
		return false;
	return (begins || a->reason == KVM_EXIT_SHUTDOWN) && at >= AT_CODE && at < AT_HANDLERS &&
	       is_user_page(p, at) && !memcmp(p->mem + at, "\x0f\x0bkvm", 5) &&
	       (a->reason != b->reason || a->regs.rip != b->regs.rip);
}

/* Likewise if the prefix ends in a page that cannot be executed: okvm does not find it. */
bool forced_without_fetch(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = failed_at(p, b);

	(void)before;
	return p->how.prefix && at >= AT_CODE && at < AT_HANDLERS && at % PAGE > PAGE - 5 &&
	       !memcmp(p->mem + at, "\x0f\x0bkvm", 5) && failed_at(p, a) == at + 5;
}

/*
 * The handler of #UD begins, or a fault in it, or nothing can be delivered any more. Where each
 * handler's OUT faults in turn the frame that tells is deep in the stack.
 */
bool forced_unknown(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t ud = AT_HANDLERS + VECTOR_UD * HANDLER_BYTES;

	(void)before;
	if ((in_handler_of(a, VECTOR_UD) || in_handler_of(a, VECTOR_DF) ||
	     in_delivery_fault(a, VECTOR_UD) || gate_is(p, a, VECTOR_UD, GATE_TASK)) &&
	    forced_at(p, a, failed_at(p, a), is_not_emulated))
		return true;
	if (in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) &&
	    (frame_item(p, a, 0) == ud ||
	     (in_handler_of(a, VECTOR_GP) && frame_item(p, a, 0) == a->regs.rip)))
		return forced(p, a, is_not_emulated);
	/* Handlers in user mode, or that SMEP forbids, fault in turn until none can be entered. */
	if (p->cpl && a->reason == KVM_EXIT_SHUTDOWN && in_handlers(a) &&
	    (b->reason == a->reason || p->sregs.cr4 & CR4_SMEP))
		return forced(p, a, is_not_emulated);
	/* A task is the handler. */
	if (gate_is(p, a, VECTOR_UD, GATE_TASK) && a->sregs.tr.selector != b->sregs.tr.selector)
		return forced(p, a, is_not_emulated);
	return (a->reason == KVM_EXIT_SHUTDOWN || is_error(a, KVM_INTERNAL_ERROR_EMULATION) ||
		a->last_vector == VECTOR_UD) &&
	       forced_at(p, a, p->sregs.cs.base + a->regs.rip, is_not_emulated);
}

/* What upstream refuses by privilege before it finds that there is no such instruction. */
static bool is_undefined(program_t *p, struct insn insn)
{
	/* CR1 and CR5 to CR7. */
	if (insn.opcode == 0xf20 || insn.opcode == 0xf22)
		return insn.reg == 1 || (insn.reg >= 5 && insn.reg <= 7);
	/* DR8 to DR15; DR4 and DR5 with CR4.DE. */
	if (insn.opcode == 0xf21 || insn.opcode == 0xf23)
		return insn.high || ((insn.reg & 6) == 4 && p->sregs.cr4 & CR4_DE);
	if (insn.opcode != 0xf01)
		return false;
	return (insn.modrm | 1) == 0xc9 || (insn.modrm & 0xf8) == 0xd8 ||
	       (insn.modrm == 0xd1 && !(p->sregs.cr4 & CR4_OSXSAVE));
}

bool forced_privileged(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* The faults of handlers fill the stack until nothing can be delivered. */
	if (p->cpl && a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason && in_handlers(a))
		return forced(p, a, is_undefined);
	/* #GP, and #GP as #UD cannot be delivered, have a task: error codes differ. */
	if (p->cpl && gate_is(p, a, VECTOR_GP, GATE_TASK) && stack_top_differs(p, a, b))
		return forced(p, a, is_undefined);
	if (p->cpl && gate_is(p, a, VECTOR_GP, GATE_TASK) && in_handler_of(b, VECTOR_UD) &&
	    a->sregs.tr.selector != b->sregs.tr.selector)
		return forced_at(p, b, interrupted(p, b), is_undefined);
	if (p->cpl && failed_at(p, a) == failed_at(p, b) &&
	    forced_at(p, a, failed_at(p, a), is_undefined))
		return faults_with(p, b, VECTOR_UD);
	if (!p->cpl || !in_handlers(a) || !is_io(a, KVM_EXIT_IO_OUT) || !has_code(a->exit[2]) ||
	    !forced_at(p, a, interrupted(p, a), is_undefined))
		return false;
	return (in_handler_of(b, VECTOR_UD) && interrupted(p, a) == interrupted(p, b)) ||
	       (gate_is(p, b, VECTOR_UD, GATE_TASK) &&
		a->sregs.tr.selector != b->sregs.tr.selector);
}

/* FXSAVE, FXRSTOR, MOVNTI and group 9 with 66, F2 or F3. */
static bool has_bad_prefix(program_t *p, struct insn insn)
{
	(void)p;
	return insn.prefix && (insn.opcode == 0xfae || insn.opcode == 0xfc3 ||
			       insn.opcode == 0xfc7);
}

bool forced_bad_prefix(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)a;
	(void)before;
	/* Handlers are conforming code at times, and their OUT faults, in turn. */
	if (p->cpl == 3 && failed_at(p, b) / PAGE == AT_HANDLERS / PAGE)
		return faults_with(p, b, VECTOR_GP) && forced(p, b, has_bad_prefix);
	return faults_with(p, b, VECTOR_UD) && forced_at(p, b, failed_at(p, b), has_bad_prefix);
}

static bool is_cli_or_sti(program_t *p, struct insn insn)
{
	(void)p;
	return (insn.opcode | 1) == 0xfb;
}

/* Upstream takes IOPL for 0 in virtual-8086 mode, and knows no virtual interrupts. */
bool forced_without_iopl(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	if (p->mode == MODE_VM86 ? ~p->regs.rflags & FLAGS_IOPL && !(p->sregs.cr4 & CR4_VME) :
	    !(p->sregs.cr4 & CR4_PVI) || p->cpl != 3)
		return false;
	return forced_at(p, a, failed_at(p, a), is_cli_or_sti);
}

static bool is_hlt(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode == 0xf4;
}

/* RIP is behind HLT on okvm, which may have prefixes of its own. */
bool forced_halt(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(b);
	unsigned int i;

	(void)before;
	if (b->reason != KVM_EXIT_HLT && b->mp_state.mp_state != KVM_MP_STATE_HALTED)
		return false;
	for (i = 1; i < 5 && at >= i; i++)
		if (forced_at(p, b, at - i, is_hlt))
			return a->reason != KVM_EXIT_HLT || a->regs.rip > b->regs.rip;
	return false;
}

static bool is_sti(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode == 0xfb;
}

/* Upstream holds interrupts off behind STI whatever IF has been. */
bool forced_sti(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(b);
	uint64_t flags = before ? before->regs.rflags | flags_behind(p, before) : p->regs.rflags;
	unsigned int i;

	if (!(flags & FLAG_IF) || !a->events.interrupt.shadow || b->events.interrupt.shadow)
		return false;
	/* It may have prefixes of its own, and RIP be behind the next instruction's prefix. */
	if (forced_at(p, b, at, is_any))
		at -= 5;
	for (i = 1; i < 5 && at >= i; i++)
		if (forced_at(p, b, at - i, is_sti))
			return true;
	return false;
}

bool reads_and_writes(program_t *p, struct insn insn)
{
	(void)p;
	return (insn.opcode < 0x40 && (insn.opcode & 7) < 2) || (insn.opcode | 3) == 0x83 ||
	       (insn.opcode | 1) == 0xf7 || (insn.opcode | 1) == 0xff ||
	       (insn.opcode | 1) == 0xc1 || (insn.opcode | 3) == 0xd3 ||
	       (insn.opcode | 1) == 0x87 || (insn.opcode >= 0xf9f && insn.opcode <= 0xfc7);
}

/* What reads, changes and writes behind the prefix: hardware has not marked its page. */
bool forced_write_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->reason == KVM_EXIT_MMIO && !a->exit[2] && b->reason == a->reason &&
	       a->exit[0] == b->exit[0] && a->regs.rip == b->regs.rip &&
	       forced_at(p, a, rip_of(a), reads_and_writes);
}

/* Or what writes elsewhere: MOVS. */
static bool reads_then_writes(program_t *p, struct insn insn)
{
	return reads_and_writes(p, insn) || (insn.opcode | 1) == 0xa5;
}

/* The same, where okvm faults on what must be written before it reads the device. */
bool forced_write_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(a);

	(void)before;
	/* Upstream's page fault, which it may not deliver, is that of a read. */
	if (failed_at(p, a) == failed_at(p, b) &&
	    (in_handler_of(a, VECTOR_PF) || a->sregs.cr2 != b->sregs.cr2))
		return (in_handler_of(b, VECTOR_PF) ? (b->fault_code & FAULT_WRITE) != 0 :
						      faults_with(p, b, VECTOR_PF)) &&
		       forced_at(p, a, failed_at(p, a), reads_and_writes);
	/* Without unrestricted guest it may be emulated without the prefix. */
	if (a->reason != KVM_EXIT_MMIO || a->exit[2] ||
	    !(forced_at(p, a, at, reads_then_writes) ||
	      (p->how.restricted && reads_then_writes(p, insn_at(p, a)))))
		return false;
	/* Handlers that SMEP forbids, or in user mode, fault in turn. */
	if (b->reason == KVM_EXIT_SHUTDOWN)
		return a->regs.rip == b->regs.rip || (p->cpl && in_handlers(b));
	return (in_handler_of(b, VECTOR_GP) || in_handler_of(b, VECTOR_SS) ||
		in_handler_of(b, VECTOR_PF)) && interrupted(p, b) == at;
}

/* And where both fault: upstream has read memory. */
bool forced_write_has_read(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) && has_code(a->exit[2]) &&
	       same_but_frame(p, a, b, 0) && interrupted(p, a) == interrupted(p, b) &&
	       forced_at(p, a, interrupted(p, a), reads_and_writes);
}

static bool is_pushf(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode == 0x9c;
}

/* With VME and IOPL below 3 PUSHF stores VIF and an IOPL of 3. */
bool forced_pushf(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->mode == MODE_VM86 && p->sregs.cr4 & CR4_VME && ~p->regs.rflags & FLAGS_IOPL &&
	       !memcmp(&a->regs, &b->regs, sizeof(a->regs)) && forced(p, a, is_pushf);
}

static bool is_mmx_move(program_t *p, struct insn insn)
{
	(void)p;
	return !insn.prefix && (insn.opcode == 0xf6f || insn.opcode == 0xf7f);
}

/* MOVQ of an MMX register faults: the FPU's tags are what they were. */
bool forced_mmx_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (memcmp(&a->regs, &b->regs, sizeof(a->regs)))
		return false;
	if (a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason)
		return forced_at(p, a, rip_of(a), is_mmx_move);
	return in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) && has_code(a->exit[2]) &&
	       forced(p, a, is_mmx_move);
}

static bool is_int(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode >= 0xcc && insn.opcode <= 0xce;
}

/* INT clears TF before its step would end: no trap interrupts the handler's first instruction. */
bool forced_int_traps(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return in_handler_of(a, VECTOR_DB) && a->debugregs.dr6 & DR6_BS && in_handlers(b) &&
	       frame_item(p, a, 0) - AT_HANDLERS == b->exit[2] * HANDLER_BYTES &&
	       forced(p, a, is_int);
}

static bool is_clflush(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode == 0xfae && insn.reg == 7;
}

bool forced_clflush(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return !memcmp(&a->regs, &b->regs, sizeof(a->regs)) && forced(p, a, is_clflush);
}

static bool is_rep_in(program_t *p, struct insn insn)
{
	(void)p;
	return insn.rep && ((insn.opcode | 1) == 0xe5 || (insn.opcode | 1) == 0xed);
}

/* IN has nothing to repeat. With page tables in read-only memory it is emulated, too. */
bool forced_rep_in(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->reason == KVM_EXIT_IO && b->reason == a->reason && a->regs.rip == b->regs.rip &&
	       (forced_at(p, a, rip_of(a), is_rep_in) ||
		(p->tables_moved && is_rep_in(p, insn_at(p, a))));
}

/* INS, OUTS, what UMIP is for, and what is behind the prefix: upstream emulates it always. */
bool is_emulated(program_t *p, moment_t *m, uint64_t at)
{
	struct insn insn = insn_from(p, m, at);

	return is_string_io(insn) || is_umip_insn(p, insn) || forced_at(p, m, at, is_any);
}

/* Does @m exit for a device in the midst of the instruction at @at? */
static bool accesses_device(moment_t *m, uint64_t at)
{
	return m && m->reason == KVM_EXIT_MMIO && rip_of(m) == at;
}

/* Upstream's emulator checks no alignment. */
bool forced_alignment(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	if (p->cpl == 3 && p->sregs.cr0 & CR0_AM && b->reason == KVM_EXIT_SHUTDOWN)
		return b->regs.rflags & FLAG_AC &&
		       is_emulated(p, b, p->sregs.cs.base + b->regs.rip);
	/* #AC itself may not be delivered. */
	return (in_handler_of(b, VECTOR_AC) || in_delivery_fault(b, VECTOR_AC)) &&
	       !in_handler_of(a, VECTOR_AC) &&
	       p->sregs.cr0 & CR0_AM && frame_item(p, b, 2) & FLAG_AC &&
	       (is_emulated(p, b, interrupted(p, b)) || accesses_device(a, interrupted(p, b)) ||
		accesses_device(before, interrupted(p, b)));
}

static bool is_enter(program_t *p, struct insn insn)
{
	(void)p;
	return insn.opcode == 0xc8 && insn.prefix == 0x66;
}

/* ENTER with another operand size than that of the stack: upstream pushes by the stack's. */
bool forced_enter(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return forced_since(p, a, before, is_enter) && a->regs.rsp != b->regs.rsp &&
	       (b->regs.rsp - a->regs.rsp + 6) % 2 == 0 && b->regs.rsp - a->regs.rsp + 6 <= 12;
}

/* Upstream gets SF, ZF and PF of AX behind AAM and AAD, the manual's are those of AL. */
static bool is_aam(program_t *p, struct insn insn)
{
	(void)p;
	return (insn.opcode | 1) == 0xd5;
}

bool forced_aam(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags;

	return diff && !(diff & ~FLAGS_OF_RESULT) && a->regs.rip == b->regs.rip &&
	       forced_since(p, a, before, is_aam);
}

static bool leaves_flags_undefined(program_t *p, struct insn insn)
{
	(void)p;
	return undefined_flags(insn);
}

/* Does @m run, or has failed, where neither the program's instructions nor handlers are? */
static bool is_astray(program_t *p, moment_t *m)
{
	uint64_t at = failed_at(p, m) != NOWHERE ? failed_at(p, m) : rip_of(m);

	return at - p->code_start >= p->code_len && (at < AT_CODE || at >= AT_PML4);
}

bool forced_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags;

	(void)before;
	/* Other bytes than instructions look at them, too. */
	if (is_astray(p, a) && is_astray(p, b))
		return forced(p, a, leaves_flags_undefined);
	return diff && !(diff & ~0x8d5ull) && a->regs.rip == b->regs.rip &&
	       forced(p, a, leaves_flags_undefined);
}
