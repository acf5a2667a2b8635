// SPDX-License-Identifier: GPL-2.0-only
/* What was going on at an exit: its kind, where events go, what a handler finds. */
#include <string.h>

#include "selftests/differential/when.h"

/* ---- what was going on ---- */

/* The linear address of RIP; 64-bit code has no base, whatever its descriptor says. */
uint64_t rip_of(moment_t *m)
{
	return m->sregs.cs.l ? m->regs.rip : (uint32_t)(m->sregs.cs.base + m->regs.rip);
}

struct insn insn_at(program_t *p, moment_t *m)
{
	return insn_from(p, m, rip_of(m));
}

/* Is there an instruction before RIP of which @is holds? Bytes in it may look like another one. */
bool insn_before(program_t *p, moment_t *m, bool (*is)(struct insn insn, moment_t *m))
{
	uint64_t at = rip_of(m);
	unsigned int i;

	for (i = 2; i < 15 && at >= i; i++)
		if (is(insn_from(p, m, at - i), m))
			return true;
	return false;
}

bool is_io(moment_t *m, unsigned int direction)
{
	return m->reason == KVM_EXIT_IO && m->exit[0] == direction;
}

bool is_mmio_write(moment_t *m)
{
	return m->reason == KVM_EXIT_MMIO && m->exit[2];
}

bool is_error(moment_t *m, unsigned int suberror)
{
	return m->reason == KVM_EXIT_INTERNAL_ERROR && m->exit[0] == suberror;
}

/* The vectoring information that an error of the emulation tells, behind the bytes if there are. */
uint64_t delivered_event(moment_t *m)
{
	return m->exit[m->exit[2] & 1 ? 7 : 5];
}

/* ---- where a delivery goes ---- */

/* As the page tables map it at the start; what is large or beyond them is where it is. */
uint64_t guest_physical(program_t *p, uint64_t la)
{
	unsigned int size = p->mode == MODE_PAGED32 ? 4 : 8;
	uint64_t pte = 0;

	if (p->mode < MODE_PAGED32 || la >= 256 * PAGE)
		return la;
	memcpy(&pte, p->mem + AT_PT + la / PAGE * size, size);
	return (pte & 0xfffffffff000ull) | la % PAGE;
}

/* Likewise; a table in read-only memory is a copy. */
bool is_user_page(program_t *p, uint64_t la)
{
	unsigned int size = p->mode == MODE_PAGED32 ? 4 : 8;

	return p->mode >= MODE_PAGED32 && la < 256 * PAGE &&
	       p->mem[AT_PT + la / PAGE * size] & 4;
}

uint64_t stack_top(moment_t *m)
{
	if (m->sregs.efer >> 10 & 1 && m->sregs.cs.l)
		return m->regs.rsp;
	return (uint32_t)(m->sregs.ss.base +
			  (m->sregs.ss.db ? m->regs.rsp : (uint16_t)m->regs.rsp));
}

/* Is some of it not in the RAM that is always there and writable? */
bool leaves_ram(program_t *p, uint64_t la, unsigned int len)
{
	return p->tables_moved || guest_physical(p, la) + len > AT_ROM ||
	       guest_physical(p, la + len - 1) >= AT_ROM;
}

/* May a delivery read the TSS: for another privilege's stack, an IST or the old task? */
static bool uses_tss(program_t *p, moment_t *m)
{
	unsigned int i;

	if (p->cpl || p->mode >= MODE_COMPAT)
		return true;
	for (i = 0; i < 0x80; i++)
		if (gate_is(p, m, i, GATE_TASK))
			return true;
	return false;
}

bool stack_leaves_ram(program_t *p, moment_t *m)
{
	uint64_t inner = 0;

	memcpy(&inner, p->mem + AT_TSS + 4, 4);
	/* A stack of 16 bits goes on at its segment's other end. */
	if (!m->sregs.ss.db && !m->sregs.cs.l && (uint16_t)m->regs.rsp < 64 &&
	    leaves_ram(p, (uint32_t)m->sregs.ss.base + 0x10000 - 64, 64))
		return true;
	return (uses_tss(p, m) && leaves_ram(p, inner - 64, 64)) ||
	       leaves_ram(p, (uint32_t)stack_top(m) - 64, 128);
}

#define IDT_BYTES	0xfff		/* all vectors, in long mode */
#define GDT_USED	0x57		/* code, data and the other task */

static unsigned int at_most(unsigned int val, unsigned int most)
{
	return val < most ? val : most;
}

/* Tables or a stack that an event's delivery uses are in a device, or in read-only memory. */
bool delivery_leaves_ram(program_t *p, moment_t *a, moment_t *b)
{
	if (a->sregs.cr0 >> 31 && a->sregs.cr3 != p->sregs.cr3)
		return true;
	return leaves_ram(p, a->sregs.idt.base, at_most(a->sregs.idt.limit, IDT_BYTES)) ||
	       leaves_ram(p, a->sregs.gdt.base, at_most(a->sregs.gdt.limit, GDT_USED)) ||
	       (uses_tss(p, a) && leaves_ram(p, a->sregs.tr.base, 0x68)) ||
	       stack_leaves_ram(p, a) || stack_leaves_ram(p, b);
}

/* ---- what a handler finds ---- */

bool in_handlers(moment_t *m)
{
	uint64_t at = rip_of(m);

	return at >= AT_HANDLERS && at < AT_HANDLERS + PAGE;
}

/* Its first exit tells the vector, unless userspace waits for an interrupt window. */
bool in_handler_of(moment_t *m, unsigned int vector)
{
	return m->regs.rip == AT_HANDLERS + vector * HANDLER_BYTES && in_handlers(m) &&
	       (m->reason == KVM_EXIT_IRQ_WINDOW_OPEN ||
		(is_io(m, KVM_EXIT_IO_OUT) && m->exit[2] == vector));
}

/* The vector of @m's handler, which has told it or is at its first instruction. */
static unsigned int vector_of(moment_t *m)
{
	if (in_handlers(m) && !(m->regs.rip % HANDLER_BYTES))
		return m->regs.rip % PAGE / HANDLER_BYTES;
	return m->exit[2];
}

/* A handler begins because @vector could not be delivered: the error code has its gate. */
bool in_delivery_fault(moment_t *m, unsigned int vector)
{
	uint16_t code;

	if (!in_handlers(m) || !is_io(m, KVM_EXIT_IO_OUT) || m->exit[2] < VECTOR_TS ||
	    m->exit[2] > VECTOR_GP)
		return false;
	memcpy(&code, m->frame, sizeof(code));
	return (code & ~1u) == (vector << 3 | 2);
}

bool has_code(unsigned int vector)
{
	return vector < 32 && 0x27d00 >> vector & 1;
}

/* Is the gate of @vector in the IDT, as it was at first, of @type? */
bool gate_is(program_t *p, moment_t *m, unsigned int vector, unsigned int type)
{
	uint64_t at = m->sregs.idt.base + vector * 8;

	return p->mode != MODE_REAL && p->mode < MODE_COMPAT && at < AT_END - 8 &&
	       (p->mem[at + 5] & 0x1f) == type;
}

/* Bytes of an item of the frame that a handler has: its gate is of 16 bits at times. */
unsigned int frame_width(program_t *p, moment_t *m)
{
	if (m->sregs.efer >> 10 & 1)
		return 8;
	return !(m->sregs.cr0 & 1) || gate_is(p, m, vector_of(m), GATE_INT16) ||
	       gate_is(p, m, vector_of(m), GATE_TRAP16) ? 2 : 4;
}

/* Where the item @nr of the frame is: 0 is RIP, 2 the flags. */
unsigned int frame_at(program_t *p, moment_t *m, unsigned int nr)
{
	bool code = m->sregs.cr0 & 1 && has_code(vector_of(m));

	return (nr + code) * frame_width(p, m);
}

uint64_t frame_item(program_t *p, moment_t *m, unsigned int nr)
{
	uint64_t val = 0;

	memcpy(&val, m->frame + frame_at(p, m, nr), frame_width(p, m));
	return val;
}

/* The flags that a handler's IRET will load. */
uint64_t flags_behind(program_t *p, moment_t *m)
{
	struct moment x = *m;

	x.exit[2] = (m->regs.rip - AT_HANDLERS) / HANDLER_BYTES;
	return in_handlers(m) ? frame_item(p, &x, 2) : 0;
}

/* The address of the instruction that was interrupted. The code has one segment, or SIPI's. */
uint64_t interrupted(program_t *p, moment_t *m)
{
	uint64_t base = p->sregs.cs.base, sipi = p->events.sipi_vector;

	if (p->mp_state.mp_state == KVM_MP_STATE_SIPI_RECEIVED &&
	    (uint16_t)frame_item(p, m, 1) == sipi << 8)
		base = sipi * PAGE;
	return frame_item(p, m, 0) + base;
}

/*
 * Where has an instruction of @m failed? A handler begins behind it, of its fault or of one that
 * the delivery of its fault has raised; or nothing can be delivered.
 */
uint64_t failed_at(program_t *p, moment_t *m)
{
	if (m->reason == KVM_EXIT_SHUTDOWN || is_error(m, DELIVERY_ERROR))
		return rip_of(m);
	return in_handler_of(m, vector_of(m)) && vector_of(m) < 0x20 ? interrupted(p, m) : NOWHERE;
}

/* Do the same handlers begin, with frames that differ in nothing but RIP and @flags? */
bool same_but_frame(program_t *p, moment_t *a, moment_t *b, uint64_t flags)
{
	unsigned int width = frame_width(p, a);
	struct moment x = *a, y = *b;
	uint64_t diff;

	if (!in_handlers(a) || a->regs.rip != b->regs.rip || a->regs.rsp != b->regs.rsp ||
	    !a->frame_rest || a->frame_rest != b->frame_rest)
		return false;
	diff = frame_item(p, a, 2) ^ frame_item(p, b, 2);
	if (diff & ~flags)
		return false;
	memset(x.frame + frame_at(p, a, 0), 0, width);
	memset(y.frame + frame_at(p, b, 0), 0, width);
	memset(x.frame + frame_at(p, a, 2), 0, width);
	memset(y.frame + frame_at(p, b, 2), 0, width);
	return !memcmp(x.frame, y.frame, sizeof(x.frame));
}

/* In a handler: are all registers the same, and all pages but the stack's? */
bool stack_top_differs(program_t *p, moment_t *a, moment_t *b)
{
	unsigned int stack = guest_physical(p, stack_top(a)) / PAGE, i;

	if (!in_handlers(a) || memcmp(&a->regs, &b->regs, sizeof(a->regs)))
		return false;
	for (i = 0; i < PAGES; i++)
		if (i != stack && a->pages[i] != b->pages[i])
			return false;
	return true;
}

/* In a handler that has interrupted another: is all the same but the frames below its own? */
bool stack_differs(program_t *p, moment_t *a, moment_t *b)
{
	return stack_top_differs(p, a, b) && !memcmp(a->frame, b->frame, sizeof(a->frame));
}
