// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: what is particular to real and to virtual-8086 mode. */
#include <string.h>

#include "selftests/differential/when.h"

static bool is_wide_int(program_t *p, struct insn insn)
{
	(void)p;
	return insn.prefix == 0x66 && insn.opcode >= 0xcc && insn.opcode <= 0xce;
}

static bool is_int_n(program_t *p, struct insn insn)
{
	/* Its vector is beyond the interrupt vector table. */
	return insn.opcode == 0xcd && insn.modrm * 4 + 3 > p->sregs.idt.limit;
}

/* Behind the prefix: INT n looks at the limit of the interrupt vector table. */
bool forced_int_beyond(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)a;
	(void)before;
	return p->mode == MODE_REAL && faults_with(p, b, VECTOR_GP) &&
	       forced_at(p, b, failed_at(p, b), is_int_n);
}

/* INT pushes 16 bits in real mode, whatever the operand size. */
bool int_is_narrow(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_from(p, a, p->sregs.cs.base + a->regs.rip);

	(void)before;
	/* Behind the prefix, into memory. */
	if (p->mode == MODE_REAL && in_handlers(a) && b->regs.rsp - a->regs.rsp == 6)
		return forced(p, a, is_wide_int);
	return p->mode == MODE_REAL && insn.prefix == 0x66 && insn.opcode >= 0xcc &&
	       insn.opcode <= 0xce && (is_mmio_write(a) || is_mmio_write(b));
}

static bool is_pushf(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.opcode == 0x9c;
}

/* With VME and IOPL below 3 PUSHF stores VIF and an IOPL of 3. */
bool pushf_with_vme(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t x, y;

	(void)before;
	memcpy(&x, a->data, 8);
	memcpy(&y, b->data, 8);
	return p->mode == MODE_VM86 && p->sregs.cr4 & CR4_VME && ~a->regs.rflags & FLAGS_IOPL &&
	       is_mmio_write(a) && is_mmio_write(b) && a->regs.rip == b->regs.rip &&
	       !((x ^ y) & ~(uint64_t)(FLAGS_IOPL | FLAG_IF)) && insn_before(p, a, is_pushf);
}

/* POPF likewise may load the other flags. */
bool popf_with_vme(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return p->mode == MODE_VM86 && p->sregs.cr4 & CR4_VME && before &&
	       in_handler_of(a, VECTOR_GP) && before->reason == KVM_EXIT_MMIO &&
	       ~before->regs.rflags & FLAGS_IOPL &&
	       insn_at(p, before).opcode == 0x9d && frame_item(p, a, 0) == before->regs.rip &&
	       !(in_handler_of(b, VECTOR_GP) && frame_item(p, b, 0) == before->regs.rip);
}

/* POPF with IOPL below 3, which must not be executed: upstream has read the stack. */
bool popf_reads_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (p->mode != MODE_VM86 || a->reason != KVM_EXIT_MMIO || a->exit[2] ||
	    !(~a->regs.rflags & FLAGS_IOPL) || insn_at(p, a).opcode != 0x9d)
		return false;
	return b->reason == KVM_EXIT_SHUTDOWN ? a->regs.rip == b->regs.rip :
	       in_handler_of(b, VECTOR_GP) && interrupted(p, b) == rip_of(a);
}
