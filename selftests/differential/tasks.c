// SPDX-License-Identifier: GPL-2.0-only
/* Circumstances of differences: task switches, and what lies in a TSS. */
#include <string.h>

#include "selftests/differential/when.h"

static bool has_iret(program_t *p, moment_t *m)
{
	unsigned int i;

	for (i = 0; i < p->code_len; i++)
		if (insn_from(p, m, p->code_start + i).opcode == 0xcf)
			return true;
	return false;
}

/* A handler's flags, or those in its frame, which its IRET loads for an IRET of the program. */
static bool nested_task(program_t *p, moment_t *m)
{
	return m->regs.rflags & FLAG_NT || (flags_behind(p, m) & FLAG_NT && has_iret(p, m));
}

/* The instruction that a fault of @m has interrupted is the first of a task, as its TSS was. */
static bool at_task_start(program_t *p, moment_t *m)
{
	uint64_t rip = in_handlers(m) && m->reason != KVM_EXIT_SHUTDOWN ? frame_item(p, m, 0) :
									 m->regs.rip;
	static const unsigned int from[] = { AT_TSS, AT_TASK };
	uint32_t eip;
	unsigned int i;
	uint16_t ip;

	for (i = 0; i < 2; i++) {
		memcpy(&eip, p->mem + from[i] + 0x20, 4);
		memcpy(&ip, p->mem + from[i] + 0x0e, 2);
		if (rip == eip || rip == ip)
			return true;
	}
	return false;
}

/* Has @m switched tasks? Its handlers may switch again. */
static bool has_switched(program_t *p, moment_t *m)
{
	unsigned int i;

	if (!(m->sregs.cr0 & CR0_TS))
		return false;
	for (i = 0; i < 0x20; i++)
		if (gate_is(p, m, i, GATE_TASK))
			return true;
	return m->sregs.tr.base != p->sregs.tr.base || at_task_start(p, m);
}

/* Does @m execute what is none of the program's instructions? */
static bool is_elsewhere(program_t *p, moment_t *m)
{
	return rip_of(m) - p->code_start >= p->code_len;
}

/* An IRET that switches tasks and faults in the new one; the fault may switch back. */
bool new_task_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	if (p->mode >= MODE_COMPAT)
		return false;
	/* Before the first exit. */
	if (!before)
		return p->regs.rflags & FLAG_NT && has_switched(p, b) && has_iret(p, a) &&
		       (b->reason == KVM_EXIT_SHUTDOWN || in_handlers(b));
	/* An IRET of the program itself. */
	if (!in_handlers(before))
		return b->reason == KVM_EXIT_SHUTDOWN && before->regs.rflags & FLAG_NT &&
		       has_switched(p, b) && a->sregs.cr0 & CR0_TS &&
		       (has_iret(p, a) || is_elsewhere(p, before));
	/* From a handler to the task that IRET then leaves. */
	if (a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason && a->regs.rflags & FLAG_NT)
		return has_switched(p, b);
	if (!nested_task(p, before))
		return false;
	if (b->reason == KVM_EXIT_SHUTDOWN)
		return a->reason == KVM_EXIT_SHUTDOWN ||
		       (in_handlers(a) && b->sregs.cr0 & CR0_TS &&
			b->regs.rsp != before->regs.rsp);
	return before->sregs.tr.base != AT_TSS && in_handlers(a) && in_handlers(b) &&
	       has_switched(p, b) && (b->sregs.tr.base != before->sregs.tr.base ||
				      a->sregs.tr.base != before->sregs.tr.base ||
				      a->sregs.cr2 != b->sregs.cr2 || at_task_start(p, b));
}

static bool is_far_transfer(struct insn insn)
{
	return insn.opcode == 0x9a || insn.opcode == 0xea ||
	       (insn.opcode == 0xff && (insn.reg == 3 || insn.reg == 5));
}

/* The descriptor that @selector names, as it was at first. */
const uint8_t *descriptor(program_t *p, moment_t *m, unsigned int selector)
{
	uint64_t from = selector & 4 ? m->sregs.ldt.base : m->sregs.gdt.base;
	uint64_t at = guest_physical(p, from + (selector & ~7u));

	return at < AT_END - 8 ? p->mem + at : NULL;
}

static bool is_tss(const uint8_t *desc)
{
	return (desc[5] & 0x15) == 1;
}

/* Is the fault of @m's handler one of a TSS: of its selector or task gate, or at its address? */
static bool is_fault_of_tss(program_t *p, moment_t *m)
{
	const uint8_t *desc;
	unsigned int i;
	uint16_t code;
	uint64_t base;

	memcpy(&code, m->frame, sizeof(code));
	desc = descriptor(p, m, code);
	if (m->exit[2] != VECTOR_PF)
		return desc && (is_tss(desc) || (desc[5] & 0x1f) == GATE_TASK);
	for (i = 8; i + 7 <= m->sregs.gdt.limit; i += 8) {
		desc = descriptor(p, m, i);
		if (!desc || !is_tss(desc))
			continue;
		base = desc[2] | desc[3] << 8 | desc[4] << 16 | (uint64_t)desc[7] << 24;
		if (m->sregs.cr2 - base < 0x68)
			return true;
	}
	return false;
}

/* The same with a far CALL or JMP; upstream has saved the old task's state before. */
static bool task_transfer_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int tss = guest_physical(p, b->sregs.tr.base) / PAGE;

	return in_handlers(b) && is_io(b, KVM_EXIT_IO_OUT) && has_code(b->exit[2]) &&
	       is_far_transfer(insn_from(p, b, interrupted(p, b))) && is_fault_of_tss(p, b) &&
	       tss < PAGES && a->pages[tss] != b->pages[tss] &&
	       (!before || before->pages[tss] == b->pages[tss]);
}

/* The vector whose delivery is under way, or was last. */
static unsigned int delivered(program_t *p, moment_t *a, moment_t *before)
{
	return !before && p->events.exception.injected ? p->events.exception.nr : a->last_vector;
}

/* A gate leads to a task that cannot be entered: upstream goes on as if nothing had been. */
bool task_gate_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	static const uint8_t faults[] = {
		VECTOR_DF, VECTOR_TS, VECTOR_NP, VECTOR_SS, VECTOR_GP, VECTOR_PF
	};
	unsigned int i;

	if (p->mode < MODE_COMPAT && task_transfer_faults(p, a, b, before))
		return true;
	/* What the last fault was before the end is not told, nor what upstream has dropped. */
	if (b->reason == KVM_EXIT_SHUTDOWN && a->events.exception.injected &&
	    gate_is(p, a, a->events.exception.nr, GATE_TASK))
		return true;
	if (b->reason == KVM_EXIT_SHUTDOWN && a->reason == b->reason)
		for (i = 0; i < sizeof(faults); i++)
			if (gate_is(p, a, faults[i], GATE_TASK))
				return true;
	/* The new task of any other exception has failed. */
	for (i = 0; i < 0x20 && b->reason == KVM_EXIT_SHUTDOWN && a->reason == b->reason; i++)
		if (gate_is(p, a, i, GATE_TASK) && b->sregs.tr.base != a->sregs.tr.base)
			return true;
	if (!gate_is(p, a, delivered(p, a, before), GATE_TASK) &&
	    !(a->events.nmi.masked > (before ? before->events.nmi.masked : p->events.nmi.masked) &&
	      gate_is(p, a, VECTOR_NMI, GATE_TASK)))
		return false;
	if (b->reason == KVM_EXIT_SHUTDOWN)
		return true;
	for (i = 0; i < sizeof(faults); i++)
		if (in_handler_of(b, faults[i]))
			return !in_handler_of(a, faults[i]) || a->sregs.cr2 != b->sregs.cr2;
	return false;
}

bool cr3_without_paging(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	return p->mode < MODE_PAGED32 && !(a->sregs.cr0 >> 31) && !b->sregs.cr3 && a->sregs.cr3;
}

/* The GDT is in read-only memory: a task switch changes the busy flag of a TSS there. */
bool busy_flag_is_lost(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t off = b->exit[0] - guest_physical(p, b->sregs.gdt.base);

	(void)before;
	return is_mmio_write(b) && b->exit[1] == 1 && off <= b->sregs.gdt.limit && off % 8 == 5 &&
	       (b->data[0] & 0x9d) == 0x89 && !(is_mmio_write(a) && a->exit[0] == b->exit[0]);
}

/* The I/O map is in a device: okvm reads it there, upstream raises #GP without, again and again. */
bool io_map_in_device(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t off = b->exit[0] - guest_physical(p, b->sregs.tr.base);

	(void)before;
	return b->reason == KVM_EXIT_MMIO && !b->exit[2] && b->exit[1] == 2 && off >= 0x66 &&
	       off < b->sregs.tr.limit && is_port_insn(insn_at(p, b)) &&
	       (a->last_vector == VECTOR_GP || in_handler_of(a, VECTOR_GP));
}

/* The T flag of the TSS at @base, as it was at first; the 16-bit format has none. */
static bool has_trap_flag(program_t *p, moment_t *m, uint64_t base)
{
	uint64_t at = guest_physical(p, base) + 0x64;

	return m->sregs.tr.type & 8 && at < AT_END && p->mem[at] & 1;
}

/* The new task's TSS has its T flag set. The handler of #DB may be a task in turn. */
bool task_switch_traps(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	bool set = gate_is(p, b, VECTOR_DB, GATE_TASK) ?
		   has_trap_flag(p, b, AT_TSS) || has_trap_flag(p, b, AT_TASK) :
		   has_trap_flag(p, b, b->sregs.tr.base);

	(void)before;
	return set && b->debugregs.dr6 & DR6_BT && !(a->debugregs.dr6 & DR6_BT) &&
	       (in_handler_of(b, VECTOR_DB) || b->reason == KVM_EXIT_SHUTDOWN);
}
