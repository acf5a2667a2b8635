// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: string instructions, repeated ones above all. */
#include <errno.h>
#include <string.h>

#include "selftests/differential/when.h"

static bool is_repeated(program_t *p, moment_t *m, uint64_t at)
{
	struct insn insn = insn_from(p, m, at);

	return insn.rep && is_string(insn);
}

bool string_io_in_batches(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_IO && b->reason == KVM_EXIT_IO &&
	       !memcmp(a->exit, b->exit, 3 * sizeof(a->exit[0])) && a->exit[3] != b->exit[3] &&
	       insn.rep && is_string_io(insn);
}

bool string_has_ended(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == b->reason && insn.rep && is_string(insn) &&
	       a->regs.rcx == b->regs.rcx && !(uint16_t)a->regs.rcx && b->regs.rip > a->regs.rip;
}

/* The same, and now a debugger's step ends there, or userspace has changed the count. */
bool string_goes_on(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = before ? before->regs.rip : 0;
	struct insn insn;

	if (!before || (uint16_t)before->regs.rcx)
		return false;
	insn = insn_at(p, before);
	if (!insn.rep || !is_string(insn))
		return false;
	if (a->reason == KVM_EXIT_DEBUG)
		return a->regs.rip > at && a->regs.rip - at < 15;
	return a->regs.rcx && a->regs.rip == at && b->regs.rip > at && b->regs.rip - at < 15;
}

bool step_of_a_string(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_DEBUG && b->reason == KVM_EXIT_DEBUG && a->regs.rcx == 0 &&
	       insn.rep && insn.opcode >= 0x6c && b->regs.rip > a->regs.rip;
}

static bool is_repeated_string(program_t *p, struct insn insn)
{
	(void)p;
	return insn.rep && is_string(insn);
}

/* A debugger steps through a repeated string that userspace answers piece by piece. */
bool string_steps(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, b);

	if (!(p->tables_moved && a->reason == KVM_EXIT_DEBUG) &&
	    !forced_at(p, b, rip_of(b), is_repeated_string) &&
	    !(before && (before->reason == KVM_EXIT_IO || before->reason == KVM_EXIT_MMIO) &&
	      before->regs.rip == b->regs.rip))
		return false;
	return b->reason == KVM_EXIT_DEBUG && b->exit[2] & DR6_BS && insn.rep && is_string(insn) &&
	       a->regs.rip == b->regs.rip;
}

/* @m without the frame of an interrupt or NMI whose handler interrupts another one at its begin. */
static struct moment without_frame(program_t *p, moment_t *m)
{
	uint64_t from = frame_item(p, m, 0);
	struct moment x = *m;
	unsigned int len, vector = m->regs.rip % PAGE / HANDLER_BYTES;

	if (!in_handlers(m) || from < AT_HANDLERS || from >= AT_HANDLERS + PAGE ||
	    from % HANDLER_BYTES || (vector != VECTOR_NMI && vector < 0x20))
		return x;
	len = frame_width(p, &x) * (m->sregs.efer >> 10 & 1 ? 5 : 3);
	memmove(x.frame, x.frame + len, sizeof(x.frame) - len);
	memset(x.frame + sizeof(x.frame) - len, 0, len);
	x.regs.rip = from;
	return x;
}

/* The same, and an event came at once: its frame tells where; perhaps below another one's. */
bool string_interrupted(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct moment x = without_frame(p, a), y = without_frame(p, b);
	uint64_t from = frame_item(p, &x, 0), to = frame_item(p, &y, 0);

	/* In 64-bit mode the other frame is further up than what is known of the stack. */
	if (a->sregs.efer >> 10 & 1 && before && stack_differs(p, a, b))
		return !(uint16_t)a->regs.rcx && !(frame_item(p, a, 0) % HANDLER_BYTES) &&
		       is_repeated(p, before, rip_of(before));
	return !(uint16_t)a->regs.rcx && same_but_frame(p, &x, &y, FLAG_RF) && to > from &&
	       to - from < 8 && is_repeated(p, before ?: &(struct moment){ .sregs = p->sregs },
					    interrupted(p, &x));
}

/* Each iteration of a repeated string traps; upstream's emulator goes on to its end. */
bool string_traps_late(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	moment_t start = { .sregs = p->sregs, .regs = p->regs };
	moment_t *from = before ?: &start;
	uint64_t at;

	if (!(from->regs.rflags & FLAG_TF || p->how.prefix))
		return false;
	/* The trap cannot be delivered, or an NMI interrupts its handler at once. */
	if (b->reason == KVM_EXIT_SHUTDOWN && a->reason == b->reason && a->regs.rip == b->regs.rip)
		return b->debugregs.dr6 & DR6_BS && a->regs.rcx < b->regs.rcx &&
		       forced_at(p, b, rip_of(b), is_repeated_string);
	at = rip_of(from);
	if (b->reason == KVM_EXIT_SHUTDOWN ||
	    (in_handler_of(b, VECTOR_NMI) &&
	     frame_item(p, b, 0) == AT_HANDLERS + VECTOR_DB * HANDLER_BYTES))
		return b->debugregs.dr6 & DR6_BS && is_repeated(p, from, at) &&
		       a->reason == KVM_EXIT_MMIO && rip_of(a) == at;
	/* It waits, as userspace has only had the iteration completed. */
	if (b->events.exception.pending && b->events.exception.nr == VECTOR_DB)
		return b->debugregs.dr6 & DR6_BS && is_repeated(p, from, at) &&
		       rip_of(b) == at && a->reason == KVM_EXIT_MMIO;
	/* What its delivery raises has the same address. */
	if (!in_handler_of(b, VECTOR_DB) &&
	    !(b->debugregs.dr6 & DR6_BS && (in_handler_of(b, VECTOR_DF) ||
					    in_delivery_fault(b, VECTOR_DB))))
		return false;
	at = interrupted(p, b);
	if (!is_repeated(p, from, at) || !(frame_item(p, b, 2) & FLAG_TF))
		return false;
	return a->regs.rcx < b->regs.rcx || rip_of(a) == at || failed_at(p, a) == at ||
	       (in_handler_of(a, VECTOR_DB) && interrupted(p, a) > at);
}

/*
 * A repeated string lets others come between two iterations: on upstream when the low ten bits of
 * the count are 0, on okvm after 1,024 iterations.
 */
bool string_pauses(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = before ? rip_of(before) : 0;
	bool in_handler = in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT);

	if (!before || before->reason != KVM_EXIT_MMIO || !is_repeated(p, before, at) ||
	    a->regs.rcx & 0x3ff || a->regs.rcx == before->regs.rcx)
		return false;
	if (a->reason == REASON_NONE && b->reason == REASON_NONE)
		return a->regs.rip == before->regs.rip && b->regs.rip == before->regs.rip;
	return a->reason != KVM_EXIT_MMIO &&
	       (a->regs.rip == before->regs.rip || (in_handler && interrupted(p, a) == at));
}

/* At each of those pauses upstream stores the flags that CMPS or SCAS has got so far. */
bool string_pause_shows_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	if (!insn.rep || (insn.opcode & ~9u) != 0xa6 || a->regs.rip != b->regs.rip || !before ||
	    (a->regs.rflags ^ b->regs.rflags) & ~0x8d5ull)
		return false;
	return !(a->regs.rcx & 0x3ff) ||
	       (a[-1].regs.rflags != b[-1].regs.rflags && a[-1].regs.rip == a->regs.rip);
}

static bool string_to_memory(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.rep && (insn.opcode == 0x6c || insn.opcode == 0x6d || insn.opcode == 0xa4 ||
			    insn.opcode == 0xa5 || insn.opcode == 0xaa || insn.opcode == 0xab);
}

static bool is_code(program_t *p, moment_t *m, uint64_t di)
{
	/* A handler of virtual-8086 mode has lost ES. */
	uint64_t base = p->mode == MODE_LONG64 ? 0 :
			m->sregs.es.unusable ? p->sregs.es.base : m->sregs.es.base;
	uint64_t at = guest_physical(p, base + di);
	unsigned int large = p->mode == MODE_PAGED32 ? 0x400000 : 0x200000;

	/* The large page is the same memory. */
	if (p->mode >= MODE_PAGED32 && at >= large && at < 2 * large)
		at -= large;
	return at >= AT_CODE - 8 && at <= AT_HANDLERS + 8;
}

/*
 * Does a string's destination, which it has come to, lie where the instructions are? It may have
 * another address size than its code.
 */
static bool writes_code(program_t *p, moment_t *m)
{
	return is_code(p, m, (uint16_t)m->regs.rdi) ||
	       (p->mode > MODE_PROT16 && is_code(p, m, m->regs.rdi));
}

/* Instructions are not what they were, and a string has come to another end on each device. */
bool string_overwrites_itself(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int i;

	(void)before;
	if (!(a->code_changed || b->code_changed) || !(writes_code(p, a) || writes_code(p, b)))
		return false;
	/* When the count is 0 upstream looks once more, and finds another instruction. */
	if (a->regs.rdi == b->regs.rdi && a->regs.rcx == b->regs.rcx &&
	    a->regs.rip == b->regs.rip && (a->regs.rcx || !p->how.prefix))
		return false;
	for (i = 0; i < p->code_len; i++)
		if (string_to_memory(insn_from(p, a, p->code_start + i), a))
			return true;
	return false;
}
