// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: flags that the manual leaves undefined. */
#include <string.h>

#include "selftests/differential/when.h"

/* Has an instruction since @before left the flags of @diff undefined? Jumps may lead back. */
static bool leaves_undefined(program_t *p, moment_t *m, moment_t *before, uint64_t diff)
{
	uint64_t to = in_handlers(m) ? interrupted(p, m) : rip_of(m);
	uint64_t from = before && !in_handlers(before) ?
			rip_of(before) : p->code_start;
	unsigned int i;

	for (i = 0; i < p->code_len; i++)
		if ((from > to || (p->code_start + i >= from && p->code_start + i < to)) &&
		    !(diff & ~undefined_flags(insn_from(p, m, p->code_start + i))))
			return true;
	return false;
}

bool flags_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags, at = rip_of(a);
	unsigned int i;

	if (!diff)
		return false;
	if (before && before->reason == KVM_EXIT_MMIO &&
	    !(diff & ~undefined_flags(insn_at(p, before))))
		return true;
	/* Page tables in read-only memory: all is emulated. The local APIC makes no exit. */
	if ((p->tables_moved || p->irqchip) && a->regs.rip == b->regs.rip &&
	    leaves_undefined(p, a, before, diff))
		return true;
	/* Read-only memory was read without an exit. */
	for (i = 2; is_mmio_write(a) && i < 15 && i <= at; i++)
		if (!(diff & ~undefined_flags(insn_from(p, a, at - i))))
			return true;
	return false;
}

/* The flags that a condition looks at: the low bit of its number turns it round. */
static uint64_t condition_flags(unsigned int condition)
{
	static const uint16_t flags[8] = { 0x800, 0x1, 0x40, 0x41, 0x80, 0x4, 0x880, 0x8c0 };

	return flags[condition >> 1 & 7];
}

/* An instruction on a device has left flags undefined, and a jump behind it looks at them. */
bool jump_by_undefined_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t undefined, at;
	unsigned int opcode;

	if (!before || before->reason != KVM_EXIT_MMIO || a->regs.rip == b->regs.rip)
		return false;
	undefined = undefined_flags(insn_at(p, before));
	for (at = rip_of(before) + 2; at < p->code_start + p->code_len; at++) {
		opcode = insn_from(p, a, at).opcode;
		if (((opcode & 0xf0) == 0x70 || (opcode & 0xff0) == 0xf80) &&
		    undefined & condition_flags(opcode & 0xf))
			return true;
	}
	return false;
}

/* Without unrestricted guest one side emulates what the other lets the CPU run. */
bool restricted_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags;

	return p->how.restricted && diff && a->regs.rip == b->regs.rip &&
	       leaves_undefined(p, a, before, diff);
}
