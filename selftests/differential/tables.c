// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: descriptor tables, and what loads or stores their registers. */
#include <string.h>

#include "selftests/differential/when.h"

static bool stores_table(struct insn insn, moment_t *m)
{
	(void)m;
	return (insn.opcode == 0xf01 && insn.reg < 2) || (insn.opcode == 0xfae && !insn.reg);
}

/* SGDT, SIDT and FXSAVE; a step may come between, or the guest's own trap. */
bool store_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	/* FXRSTOR is a load. */
	if (a->timed_out && b->reason == KVM_EXIT_MMIO && !b->exit[2] &&
	    a->regs.rip == b->regs.rip)
		return insn_at(p, b).opcode == 0xfae && insn_at(p, b).reg == 1;
	/* The second page of the operand may fault. */
	if (a->timed_out && in_handler_of(b, VECTOR_PF))
		return stores_table(insn_at(p, a), a) &&
		       interrupted(p, b) == rip_of(a);
	/* And that page fault ends elsewhere. */
	if (a->timed_out && !b->timed_out && a->sregs.cr2 != b->sregs.cr2 &&
	    !(b->sregs.cr2 % PAGE))
		return stores_table(insn_at(p, a), a);
	if (!is_mmio_write(b) || !insn_before(p, b, stores_table))
		return false;
	/* The guest's trap cannot be delivered. */
	if ((a->reason == KVM_EXIT_SHUTDOWN || is_error(a, DELIVERY_ERROR)) &&
	    a->debugregs.dr6 & DR6_BS)
		return stores_table(insn_at(p, a), a);
	if (a->timed_out || a->reason == KVM_EXIT_DEBUG)
		return stores_table(insn_at(p, a), a) && b->regs.rip - a->regs.rip < 15;
	return (in_handler_of(a, VECTOR_DB) || in_delivery_fault(a, VECTOR_DB)) &&
	       stores_table(insn_from(p, a, interrupted(p, a)), a);
}

/* LGDT and LIDT: two bytes, then the rest, of which upstream never gets the answer. */
static bool loads_table(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.opcode == 0xf01 && (insn.reg == 2 || insn.reg == 3);
}

bool table_never_loaded(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = rip_of(a);

	(void)before;
	/* Each try of upstream's lets an event come in between. */
	if (in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) && b->reason == KVM_EXIT_MMIO)
		return loads_table(insn_at(p, b), b) &&
		       interrupted(p, a) == rip_of(b);
	if (!loads_table(insn_at(p, a), a))
		return false;
	/* The rest may be beyond the segment's end, or no address. */
	if (in_handlers(b) && is_io(b, KVM_EXIT_IO_OUT))
		return (a->reason == KVM_EXIT_MMIO || a->reason == KVM_EXIT_DEBUG) &&
		       interrupted(p, b) == at;
	return a->regs.rip == b->regs.rip &&
	       (b->reason == KVM_EXIT_MMIO || a->reason == KVM_EXIT_MMIO);
}

/* SLDT and STR, which UMIP may forbid. */
bool store_reads_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	if (a->reason != KVM_EXIT_MMIO || a->exit[2] || insn.opcode != 0xf00 || insn.reg > 1)
		return false;
	if (in_handler_of(b, VECTOR_GP))
		return is_emulated(p, b, interrupted(p, b)) && interrupted(p, b) == rip_of(a);
	/* Its second page cannot be written. */
	if (in_handler_of(b, VECTOR_PF))
		return interrupted(p, b) == rip_of(a);
	if (b->reason == KVM_EXIT_SHUTDOWN)
		return a->regs.rip == b->regs.rip &&
		       (a->sregs.cr2 != b->sregs.cr2 ||
			(p->cpl == 3 && p->sregs.cr4 & CR4_UMIP));
	return is_mmio_write(b) && a->exit[0] - b->exit[0] < 8;
}

/* The same where the store faults, or UMIP forbids it: the page was read. */
bool store_has_read(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = before ? rip_of(before) : p->code_start;
	bool forbidden = in_handler_of(a, VECTOR_GP) && in_handler_of(b, VECTOR_GP) &&
			 p->sregs.cr4 & CR4_UMIP && interrupted(p, a) == interrupted(p, b);
	struct insn insn = insn_from(p, a, forbidden ? interrupted(p, a) : at);

	return (forbidden || (a->last_vector == VECTOR_PF && b->last_vector == VECTOR_PF)) &&
	       in_handlers(a) && in_handlers(b) && insn.opcode == 0xf00 && insn.reg < 2;
}

static bool stores_selector_wide(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.wide && (insn.opcode == 0x8c || (insn.opcode == 0xf00 && insn.reg < 2));
}

/* SLDT, STR and MOV from a segment register with REX.W. */
bool selector_stored_wide(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return is_mmio_write(a) && is_mmio_write(b) && a->exit[1] == 8 && b->exit[1] == 2 &&
	       insn_before(p, a, stores_selector_wide);
}

/*
 * The same, and some of the eight bytes are in another page. Those in a device may all be behind
 * the selector's two: then okvm has no exit.
 */
bool selector_stored_across(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	bool same = is_mmio_write(b) && b->exit[0] == a->exit[0];

	(void)before;
	if (!is_mmio_write(a) || a->exit[1] <= 2 || a->exit[1] >= 8 ||
	    !insn_before(p, a, stores_selector_wide))
		return false;
	if (a->exit[0] % PAGE || a->exit[1] == 7)
		return same && b->exit[1] == (a->exit[0] % PAGE ? 2 : 1);
	return !same && b->reason != KVM_EXIT_SHUTDOWN && a->regs.rip != b->regs.rip &&
	       !(in_handlers(b) && rip_of(a) - interrupted(p, b) < 15 &&
		 rip_of(a) != interrupted(p, b));
}

/* May one of @len bytes at @ea be in page @nr? @ea lacks the base of one of the segments. */
static bool reaches_page(program_t *p, moment_t *m, uint64_t ea, unsigned int len, unsigned int nr)
{
	const struct kvm_segment *seg = &m->sregs.cs;
	unsigned int i;
	uint64_t la;

	for (i = 0; i < 6; i++) {
		la = seg[i].base + ea;
		if (!m->sregs.cs.l)
			la = (uint32_t)la;
		if (guest_physical(p, la) / PAGE == nr ||
		    guest_physical(p, la + len - 1) / PAGE == nr)
			return true;
	}
	return false;
}

/* Do no other pages differ than what the operand of the instruction at @at may reach? */
static bool only_operand_differs(program_t *p, moment_t *a, moment_t *b, moment_t *before,
				 uint64_t at)
{
	moment_t start = { .regs = p->regs, .sregs = p->sregs }, *m[] = { before ?: &start, a };
	unsigned int i, j;
	bool reached;
	uint64_t ea;

	for (i = 0; i < PAGES; i++) {
		reached = a->pages[i] == b->pages[i];
		for (j = 0; j < 2; j++)
			reached |= insn_address(p, m[j], at, &ea) &&
				   reaches_page(p, m[j], ea, 8, i);
		if (!reached)
			return false;
	}
	return true;
}

/* SLDT and STR to memory, which are emulated for UMIP. */
bool selector_stored_for_umip(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn;
	unsigned int i;

	if (!(p->sregs.cr4 & CR4_UMIP || p->how.prefix) ||
	    memcmp(&a->regs, &b->regs, sizeof(a->regs)))
		return false;
	for (i = 0; i < p->code_len; i++) {
		insn = insn_from(p, a, p->code_start + i);
		if (stores_selector_wide(insn, a) && insn.opcode == 0xf00 && insn.modrm < 0xc0 &&
		    only_operand_differs(p, a, b, before, p->code_start + i))
			return true;
	}
	return false;
}

/* LTR of a selector of the LDT. */
bool table_in_ldt(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn;
	uint32_t x, y;

	(void)before;
	/* The delivery of #GP fails. */
	if (is_error(a, DELIVERY_ERROR) && is_error(b, DELIVERY_ERROR)) {
		insn = insn_at(p, a);
		return insn.opcode == 0xf00 && insn.reg == 3 && a->last_vector == VECTOR_GP &&
		       b->last_vector == VECTOR_GP && !a->fault_code && b->fault_code & 4;
	}
	if (!in_handler_of(a, VECTOR_GP) || !in_handler_of(b, VECTOR_GP) ||
	    interrupted(p, a) != interrupted(p, b))
		return false;
	insn = insn_from(p, b, interrupted(p, b));
	memcpy(&x, a->frame, 4);
	memcpy(&y, b->frame, 4);
	return insn.opcode == 0xf00 && insn.reg == 3 && !(uint16_t)x && y & 4;
}

/* LGDT has put the GDT, or LLDT the LDT, where no memory is. */
bool descriptor_in_device(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t from = b->exit[0];

	(void)before;
	/* A debugger's step ends at each try. */
	if (!a->timed_out && !(a->reason == KVM_EXIT_DEBUG && a->exit[2] & DR6_BS &&
			       a->guest_debug & KVM_GUESTDBG_SINGLESTEP &&
			       a->regs.rip == b->regs.rip))
		return false;
	return b->reason == KVM_EXIT_MMIO && !b->exit[2] &&
	       ((from >= guest_physical(p, a->sregs.gdt.base) &&
		 from <= guest_physical(p, a->sregs.gdt.base) + a->sregs.gdt.limit) ||
		(from >= guest_physical(p, a->sregs.ldt.base) &&
		 from <= guest_physical(p, a->sregs.ldt.base) + a->sregs.ldt.limit));
}

/* SLDT or STR in user mode: #GP for UMIP or the page fault of its store, and then the end. */
bool umip_comes_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int i, stack;
	struct insn insn;
	uint32_t inner;

	(void)before;
	if (p->cpl != 3 || !(p->sregs.cr4 & CR4_UMIP) || a->reason != KVM_EXIT_SHUTDOWN ||
	    b->reason != a->reason || memcmp(&a->regs, &b->regs, sizeof(a->regs)))
		return false;
	/* What upstream has looked at shows in the page tables, the fault in its frame. */
	memcpy(&inner, p->mem + AT_TSS + 4, 4);
	stack = guest_physical(p, inner - 1) / PAGE;
	for (i = 0; i < PAGES; i++)
		if (a->pages[i] != b->pages[i] && i != stack &&
		    (i < AT_PML4 / PAGE || i > AT_PT / PAGE))
			return false;
	/* The end may have come in a handler. */
	for (i = 0; i < p->code_len; i++) {
		insn = insn_from(p, a, p->code_start + i);
		if (insn.opcode == 0xf00 && insn.reg < 2 && insn.modrm < 0xc0)
			return true;
	}
	return false;
}
