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

static bool is_prefix_of_force(program_t *p, uint64_t at)
{
	return p->how.prefix && at < AT_END - 5 && !memcmp(p->mem + at, "\x0f\x0bkvm", 5);
}

/* An instruction on a device has left flags undefined, and a jump looks at them before all else. */
bool jump_by_undefined_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t undefined, at;
	struct insn insn;

	if (!before || before->reason != KVM_EXIT_MMIO || a->regs.rip == b->regs.rip)
		return false;
	undefined = undefined_flags(insn_at(p, before));
	for (at = rip_of(before); undefined && at < p->code_start + p->code_len;) {
		at += is_prefix_of_force(p, at) ? 5 : insn_length(p, before, at);
		insn = insn_from(p, a, at);
		if (((insn.opcode & ~0xfu) == 0x70 || (insn.opcode & ~0xfu) == 0xf80) &&
		    undefined & condition_flags(insn.opcode & 0xf))
			return true;
		undefined &= ~defined_flags(insn);
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
