// SPDX-License-Identifier: GPL-2.0-only
/*
 * The differences that are meant, upstream being A and okvm B. A row matches a field and a
 * circumstance, never a field alone; its reason cites the manual by section title.
 */
#include <assert.h>
#include <string.h>

#include "selftests/differential/differential.h"

typedef const struct program program_t;
typedef const struct moment moment_t;

#define CODE_SPAN	128		/* bytes that a program has at most before the next exit */
#define FLAG_TF		(1u << 8)
#define FLAG_NT		(1u << 14)
#define FLAG_RF		(1u << 16)
#define DR6_BS		(1u << 14)
#define VECTORING_VALID	(1ull << 31)
#define EXIT_EPT_MISCONFIG	0x31
#define DELIVERY_ERROR	3		/* KVM_INTERNAL_ERROR_DELIVERY_EV */

enum vector { VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_UD = 6, VECTOR_PF = 14 };

/* ---- what was going on ---- */

struct insn {
	bool rep, wide;			/* F2 or F3; REX.W */
	unsigned int prefix;		/* the last of 66, F2, F3 */
	unsigned int opcode;		/* with 0f00h if it has two bytes */
	unsigned int modrm, reg;	/* the byte behind it */
	unsigned int third;		/* and the second behind that */
};

static bool is_prefix(uint8_t byte, bool wide)
{
	return strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", byte) ||
	       (wide && (byte & 0xf0) == 0x40);
}

/* The instruction at address @at of the program as it was written. */
static struct insn insn_from(program_t *p, moment_t *m, uint64_t at)
{
	const uint8_t *byte = p->mem + at, *end = p->mem + AT_END - 8;
	struct insn insn = { };

	if (at >= AT_END - 8)
		return insn;
	for (; byte < end && *byte && is_prefix(*byte, m->sregs.cs.l); byte++) {
		insn.rep |= *byte == 0xf2 || *byte == 0xf3;
		insn.wide = m->sregs.cs.l && (*byte & 0xf8) == 0x48;
		if (*byte == 0x66 || *byte == 0xf2 || *byte == 0xf3)
			insn.prefix = *byte;
	}
	insn.opcode = *byte++;
	if (insn.opcode == 0x0f)
		insn.opcode = 0xf00 | *byte++;
	insn.modrm = *byte;
	insn.reg = *byte >> 3 & 7;
	insn.third = byte[2];
	return insn;
}

static struct insn insn_at(program_t *p, moment_t *m)
{
	return insn_from(p, m, m->sregs.cs.base + m->regs.rip);
}

/* Is there an instruction before RIP of which @is holds? Bytes in it may look like another one. */
static bool insn_before(program_t *p, moment_t *m, bool (*is)(struct insn insn, moment_t *m))
{
	uint64_t at = m->sregs.cs.base + m->regs.rip;
	unsigned int i;

	for (i = 2; i < 15 && at >= i; i++)
		if (is(insn_from(p, m, at - i), m))
			return true;
	return false;
}

static bool is_string(struct insn insn)
{
	return (insn.opcode >= 0x6c && insn.opcode <= 0x6f) ||
	       (insn.opcode >= 0xa4 && insn.opcode <= 0xa7) ||
	       (insn.opcode >= 0xaa && insn.opcode <= 0xaf);
}

static bool is_string_io(struct insn insn)
{
	return insn.opcode >= 0x6c && insn.opcode <= 0x6f;
}

/* The flags that the manual leaves undefined after an instruction. */
static uint64_t undefined_flags(struct insn insn)
{
	switch (insn.opcode) {
	case 0x69:
	case 0x6b:
	case 0xfaf:
		return 0xd4;
	case 0xf6:
	case 0xf7:
		return insn.reg < 4 ? 0x10 : insn.reg < 6 ? 0xd4 : 0x8d5;
	case 0xc0 ... 0xc1:
	case 0xd0 ... 0xd3:
	case 0xfa4 ... 0xfa5:
	case 0xfac ... 0xfad:
		return 0x810;
	case 0xfa3:
	case 0xfab:
	case 0xfb3:
	case 0xfba:
	case 0xfbb:
		return 0x894;
	case 0xfbc ... 0xfbd:
		return 0x895;
	default:
		return 0;
	}
}

static bool is_io(moment_t *m, unsigned int direction)
{
	return m->reason == KVM_EXIT_IO && m->exit[0] == direction;
}

static bool is_mmio_write(moment_t *m)
{
	return m->reason == KVM_EXIT_MMIO && m->exit[2];
}

static bool is_error(moment_t *m, unsigned int suberror)
{
	return m->reason == KVM_EXIT_INTERNAL_ERROR && m->exit[0] == suberror;
}

/* ---- where a delivery goes ---- */

/* As the page tables map it at the start; what is large or beyond them is where it is. */
static uint64_t physical(program_t *p, uint64_t la)
{
	unsigned int size = p->mode == MODE_PAGED32 ? 4 : 8;
	uint64_t pte = 0;

	if (p->mode < MODE_PAGED32 || la >= 256 * PAGE)
		return la;
	memcpy(&pte, p->mem + AT_PT + la / PAGE * size, size);
	return (pte & 0xfffffffff000ull) | la % PAGE;
}

/* Is some of it not in the RAM that is always there and writable? */
static bool leaves_ram(program_t *p, uint64_t la, unsigned int len)
{
	return p->tables_moved || physical(p, la) + len > AT_ROM ||
	       physical(p, la + len - 1) >= AT_ROM;
}

static bool stack_leaves_ram(program_t *p, moment_t *m)
{
	uint64_t inner = 0;

	memcpy(&inner, p->mem + AT_TSS + 4, 4);
	return leaves_ram(p, inner - 64, 64) ||
	       leaves_ram(p, (uint32_t)(m->sregs.ss.base + m->regs.rsp) - 64, 128);
}

/* Tables or a stack that an event's delivery uses are in a device, or in read-only memory. */
static bool delivery_leaves_ram(program_t *p, moment_t *a, moment_t *b)
{
	if (a->sregs.cr0 >> 31 && a->sregs.cr3 != p->sregs.cr3)
		return true;
	return leaves_ram(p, a->sregs.idt.base, a->sregs.idt.limit) ||
	       leaves_ram(p, a->sregs.gdt.base, a->sregs.gdt.limit) ||
	       leaves_ram(p, a->sregs.tr.base, 0x68) || stack_leaves_ram(p, a) ||
	       stack_leaves_ram(p, b);
}

/* ---- circumstances ---- */

static bool debug_exit_without_dr7(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->reason == KVM_EXIT_DEBUG && !memcmp(a->exit, b->exit, 3 * sizeof(a->exit[0])) &&
	       !(a->regs.rflags & FLAG_TF && a->exit[3] == a->debugregs.dr7);
}

/* Upstream emulates, round and round, the instruction that was to be interrupted. */
static bool delivery_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->timed_out && !b->timed_out && a->regs.rflags & FLAG_RF &&
	       a->mp_state.mp_state == KVM_MP_STATE_RUNNABLE && delivery_leaves_ram(p, a, b);
}

/* The same with an interrupt: it stays where it is, instruction by instruction. */
static bool delivery_put_off(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved &&
	       (a->events.interrupt.injected > b->events.interrupt.injected ||
		a->events.nmi.injected > b->events.nmi.injected);
}

/* The same, but that instruction fails. */
static bool delivery_fails(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return is_error(a, KVM_INTERNAL_ERROR_EMULATION) && a->exit[7] & VECTORING_VALID &&
	       !is_error(b, KVM_INTERNAL_ERROR_EMULATION) && delivery_leaves_ram(p, a, b);
}

/* The same, and that instruction ends in another exit; okvm writes what delivery writes. */
static bool delivery_into_device(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t rip = b->sregs.cs.base + b->regs.rip;

	(void)before;
	return is_mmio_write(b) && delivery_leaves_ram(p, a, b) && rip >= AT_HANDLERS &&
	       rip < AT_HANDLERS + PAGE && rip % HANDLER_BYTES == 0 && a->regs.rip != b->regs.rip;
}

static bool delivery_error_told(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return is_error(b, DELIVERY_ERROR) && b->exit[2] & VECTORING_VALID &&
	       (!is_error(a, DELIVERY_ERROR) || a->exit[3] != b->exit[3]) &&
	       delivery_leaves_ram(p, a, b);
}

static bool in_handlers(moment_t *m)
{
	uint64_t at = m->sregs.cs.base + m->regs.rip;

	return at >= AT_HANDLERS && at < AT_HANDLERS + PAGE;
}

/* Page tables in read-only memory: okvm is in the handler, upstream emulates what it interrupts. */
static bool delivery_carried_out(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved && in_handlers(b) && !in_handlers(a);
}

/* Page tables in read-only memory: upstream takes an entry of theirs for the operand. */
static bool walk_is_operand(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved && a->reason == KVM_EXIT_MMIO && a->exit[0] >= AT_ROM &&
	       a->exit[0] < AT_RAM2 && (b->reason != KVM_EXIT_MMIO || a->exit[0] != b->exit[0]);
}

/* The qualification of an EPT misconfiguration. */
static bool qualification_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return is_error(a, DELIVERY_ERROR) && is_error(b, DELIVERY_ERROR) &&
	       a->exit[3] == EXIT_EPT_MISCONFIG && b->exit[3] == EXIT_EPT_MISCONFIG;
}

/* A handler begins whose event was delivered across EPT violations on upstream. */
static bool delivery_across_exits(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->zapped && in_handlers(a) && a->regs.rip == b->regs.rip &&
	       a->regs.rip % HANDLER_BYTES == 0 && a->regs.rsp == b->regs.rsp;
}

static bool halt_is_emulated(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->tables_moved && b->reason == KVM_EXIT_HLT &&
	       (a->timed_out || a->regs.rip > b->regs.rip);
}

static bool software_exception_injected(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const struct kvm_vcpu_events *ev = &p->events;

	(void)a;
	(void)b;
	return !before && (p->guest_debug.control & KVM_GUESTDBG_INJECT_BP ||
			   (ev->exception.injected && (ev->exception.nr == VECTOR_BP ||
						       ev->exception.nr == VECTOR_OF)));
}

static bool ins_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	return is_io(a, KVM_EXIT_IO_IN) && is_string_io(insn_at(p, a));
}

/* What reads, changes and writes: the second page of its operand. */
static bool write_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->reason == KVM_EXIT_MMIO && !a->exit[2] && b->reason == a->reason &&
	       a->exit[0] == b->exit[0] && a->regs.rip == b->regs.rip &&
	       (a->exit[0] + a->exit[1]) % PAGE < 8;
}

static bool ins_faults_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return ins_looks_first(p, a, b, before) && !is_io(b, KVM_EXIT_IO_IN);
}

static bool string_io_in_batches(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_IO && b->reason == KVM_EXIT_IO &&
	       !memcmp(a->exit, b->exit, 3 * sizeof(a->exit[0])) && a->exit[3] != b->exit[3] &&
	       insn.rep && is_string_io(insn);
}

static bool compare_again(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_MMIO && b->reason == KVM_EXIT_MMIO &&
	       a->regs.rip == b->regs.rip &&
	       insn.rep && (insn.opcode & ~9u) == 0xa6 &&
	       !((a->regs.rflags ^ b->regs.rflags) & ~0x8d5ull);
}

/* Opcodes with 0F that upstream's emulator has, a bit for each. */
static const uint64_t upstream_two_byte[4] = {
	0x013f0b0fff032363ull, 0x800080000000ffffull, 0xfcffff3fffffffffull, 0x000000800000ff8bull,
};

static bool upstream_lacks_two_byte(struct insn insn)
{
	unsigned int op = insn.opcode & 0xff, last = insn.prefix;

	if (!(upstream_two_byte[op / 64] >> op % 64 & 1))
		return true;
	switch (op) {
	case 0x00:
		return insn.reg >= 4;
	case 0x10 ... 0x11:
	case 0x28 ... 0x29:
	case 0x2b:
		return last == 0xf2 || last == 0xf3;
	case 0x38:
		return (insn.modrm & 0xfe) != 0xf0 || last;
	case 0x6f:
	case 0x7f:
		return last == 0xf2;
	case 0xae:
		return insn.reg >= 2 && insn.reg <= 6;
	case 0xc7:
		return insn.reg != 1;
	case 0xe7:
		return last != 0x66;
	default:
		return false;
	}
}

/* What upstream's emulator has no row for. */
static bool upstream_lacks(program_t *p, struct insn insn)
{
	switch (insn.opcode) {
	case 0x62:
		return true;
	case 0x63:
		return p->mode != MODE_LONG64;
	case 0xc8:
		return insn.third & 0x1f;
	case 0xc4 ... 0xc5:
		return p->mode == MODE_LONG64 || insn.modrm >= 0xc0;
	case 0xd8 ... 0xdf:
		return !((insn.opcode | 4) == 0xdd && insn.opcode & 1 && insn.reg == 7 &&
			 insn.modrm < 0xc0) &&
		       !(insn.opcode == 0xdb && insn.modrm == 0xe3);
	default:
		return insn.opcode >= 0xf00 && upstream_lacks_two_byte(insn);
	}
}

/* Far transfers with a gate, another privilege or a task; INT and IRET in protected mode. */
static bool upstream_gives_up(program_t *p, struct insn insn)
{
	if (p->mode == MODE_REAL)
		return false;
	return insn.opcode == 0x9a || insn.opcode == 0xea || (insn.opcode | 1) == 0xcb ||
	       (insn.opcode >= 0xcc && insn.opcode <= 0xcf) || insn.opcode == 0xf1 ||
	       (insn.opcode == 0xff && (insn.reg | 6) == 7 && insn.reg > 1);
}

static bool unknown_to_upstream(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return is_error(a, KVM_INTERNAL_ERROR_EMULATION) && !(a->exit[7] & VECTORING_VALID) &&
	       b->reason != KVM_EXIT_INTERNAL_ERROR &&
	       (upstream_lacks(p, insn) || upstream_gives_up(p, insn));
}

static bool stores_table(struct insn insn, moment_t *m)
{
	(void)m;
	return (insn.opcode == 0xf01 && insn.reg < 2) || (insn.opcode == 0xfae && !insn.reg);
}

/* SGDT, SIDT and FXSAVE; a step may come between, or the guest's own trap. */
static bool store_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (!is_mmio_write(b))
		return false;
	if (a->timed_out || a->reason == KVM_EXIT_DEBUG)
		return stores_table(insn_at(p, a), a);
	return a->last_vector == VECTOR_DB && insn_before(p, b, stores_table);
}

/* LGDT and LIDT: two bytes, then the rest, of which upstream never gets the answer. */
static bool loads_table(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.opcode == 0xf01 && (insn.reg == 2 || insn.reg == 3);
}

static bool table_never_loaded(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->regs.rip == b->regs.rip && loads_table(insn_at(p, a), a) &&
	       (b->reason == KVM_EXIT_MMIO || a->reason == KVM_EXIT_MMIO);
}

static bool unknown_in_user_mode(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (b->reason != KVM_EXIT_MMIO || b->sregs.ss.dpl != 3)
		return false;
	/* RIP is behind what writes. */
	if (!b->exit[2] && !upstream_lacks(p, insn_at(p, b)))
		return false;
	return a->reason == KVM_EXIT_SHUTDOWN ||
	       (a->last_vector == VECTOR_UD && is_io(a, KVM_EXIT_IO_OUT) &&
		a->exit[2] == VECTOR_UD);
}

/* SLDT and STR. */
static bool store_reads_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_MMIO && !a->exit[2] && is_mmio_write(b) &&
	       a->exit[0] == b->exit[0] && insn.opcode == 0xf00 && insn.reg < 2;
}

/* The same where the store faults: the page was read. */
static bool store_has_read(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = before ? before->sregs.cs.base + before->regs.rip : p->code_start;
	struct insn insn = insn_from(p, a, at);

	return a->last_vector == VECTOR_PF && b->last_vector == VECTOR_PF && in_handlers(a) &&
	       in_handlers(b) && insn.opcode == 0xf00 && insn.reg < 2;
}

/* PUSHA, ENTER, far calls: several writes downwards, the last of them at the stack's top. */
static bool only_last_push(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t above = b->exit[0] - a->exit[0], at = a->sregs.cs.base + a->regs.rip;
	bool enter = at >= 4 && at < AT_END && p->mem[at - 4] == 0xc8;

	(void)before;
	if (!a->exit[1] || a->exit[1] != b->exit[1] || above % a->exit[1])
		return false;
	above /= a->exit[1];
	return is_mmio_write(a) && is_mmio_write(b) && a->regs.rip == b->regs.rip &&
	       a->regs.rsp == b->regs.rsp &&
	       (above == 1 || above == 2 || above == 7 || (enter && above < 32)) &&
	       (uint16_t)a->exit[0] == (uint16_t)(a->sregs.ss.base + a->regs.rsp);
}

static bool string_has_ended(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == b->reason && insn.rep && is_string(insn) &&
	       a->regs.rcx == b->regs.rcx && !(uint16_t)a->regs.rcx && b->regs.rip > a->regs.rip;
}

/* An IRET that switches tasks and faults in the new one; the fault may switch back. */
static bool new_task_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	if (p->mode >= MODE_COMPAT || !before || !(before->regs.rflags & FLAG_NT) ||
	    !in_handlers(before))
		return false;
	return (a->reason == KVM_EXIT_SHUTDOWN && b->reason == KVM_EXIT_SHUTDOWN) ||
	       (before->sregs.tr.base != AT_TSS && in_handlers(a) && in_handlers(b));
}

static bool cr3_without_paging(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	return p->mode < MODE_PAGED32 && !(a->sregs.cr0 >> 31) && !b->sregs.cr3 && a->sregs.cr3;
}

static bool step_after_device_write(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)a;
	if (!before || (!is_mmio_write(before) && !is_io(before, KVM_EXIT_IO_OUT)))
		return false;
	if (b->reason == KVM_EXIT_DEBUG)
		return b->exit[2] & DR6_BS && b->regs.rip == before->regs.rip;
	/* The trap waits, is in its handler, or could not be delivered. */
	return before->regs.rflags & FLAG_TF &&
	       (b->last_vector == VECTOR_DB || b->reason == KVM_EXIT_SHUTDOWN ||
		b->debugregs.dr6 & DR6_BS);
}

static bool step_of_a_string(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_DEBUG && b->reason == KVM_EXIT_DEBUG && a->regs.rcx == 0 &&
	       insn.rep && insn.opcode >= 0x6c && b->regs.rip > a->regs.rip;
}

static bool flags_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags, at = a->sregs.cs.base + a->regs.rip;
	unsigned int i;

	if (!diff)
		return false;
	if (before && before->reason == KVM_EXIT_MMIO)
		return !(diff & ~undefined_flags(insn_at(p, before)));
	/* Read-only memory was read without an exit. */
	for (i = 2; is_mmio_write(a) && i < 15 && i <= at; i++)
		if (!(diff & ~undefined_flags(insn_from(p, a, at - i))))
			return true;
	return false;
}

/* A debugger steps through a repeated string that userspace answers piece by piece. */
static bool string_steps(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, b);

	return before && (before->reason == KVM_EXIT_IO || before->reason == KVM_EXIT_MMIO) &&
	       b->reason == KVM_EXIT_DEBUG && b->exit[2] & DR6_BS && insn.rep && is_string(insn) &&
	       before->regs.rip == b->regs.rip && a->regs.rip == b->regs.rip;
}

/* LEAVE, far returns, IRET, POPA: what takes more than one datum from the stack. */
static bool pops_move_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int opcode = insn_at(p, a).opcode;

	(void)before;
	return a->reason == KVM_EXIT_MMIO && !a->exit[2] && a->regs.rip == b->regs.rip &&
	       a->exit[0] == b->exit[0] &&
	       (opcode == 0x61 || opcode == 0xc9 || opcode == 0xca || opcode == 0xcb ||
		opcode == 0xcf);
}

/* Does some instruction of the program behind the prefix have @is? */
static bool forced(program_t *p, moment_t *m, bool (*is)(program_t *p, struct insn insn))
{
	static const uint8_t prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };
	unsigned int i;

	for (i = 0; p->how.prefix && i + sizeof(prefix) < p->code_len; i++)
		if (!memcmp(p->mem + p->code_start + i, prefix, sizeof(prefix)) &&
		    is(p, insn_from(p, m, p->code_start + i + sizeof(prefix))))
			return true;
	return false;
}

static bool is_not_emulated(program_t *p, struct insn insn)
{
	return upstream_lacks(p, insn) || upstream_gives_up(p, insn);
}

/* In the handler of #UD, or failing there. */
static bool forced_unknown(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	if (is_io(a, KVM_EXIT_IO_OUT) ? a->exit[2] != VECTOR_UD : a->last_vector != VECTOR_UD)
		return false;
	return forced(p, a, is_not_emulated);
}

static bool leaves_flags_undefined(program_t *p, struct insn insn)
{
	(void)p;
	return undefined_flags(insn);
}

static bool forced_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t diff = a->regs.rflags ^ b->regs.rflags;

	(void)before;
	return diff && !(diff & ~0x8d5ull) && a->regs.rip == b->regs.rip &&
	       forced(p, a, leaves_flags_undefined);
}

/* In the handler of #UD: the instruction lay before a page's end. */
static bool undefined_fetched(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at = before ? before->sregs.cs.base + before->regs.rip : p->code_start;

	return is_io(a, KVM_EXIT_IO_OUT) && is_io(b, KVM_EXIT_IO_OUT) && a->exit[2] == VECTOR_UD &&
	       b->exit[2] == VECTOR_UD && at / PAGE != (at + CODE_SPAN) / PAGE;
}

/* The guest has switched paging off, which hardware does not run then. */
static bool unpaged(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->how.restricted && (!(a->sregs.cr0 >> 31) || !(b->sregs.cr0 >> 31));
}

/* LGDT has put the GDT, or LLDT the LDT, where no memory is. */
static bool descriptor_in_device(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t from = b->exit[0];

	(void)before;
	return a->timed_out && b->reason == KVM_EXIT_MMIO && !b->exit[2] &&
	       ((from >= physical(p, a->sregs.gdt.base) &&
		 from <= physical(p, a->sregs.gdt.base) + a->sregs.gdt.limit) ||
		(from >= physical(p, a->sregs.ldt.base) &&
		 from <= physical(p, a->sregs.ldt.base) + a->sregs.ldt.limit));
}

static bool stores_selector_wide(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.wide && (insn.opcode == 0x8c || (insn.opcode == 0xf00 && insn.reg < 2));
}

/* SLDT, STR and MOV from a segment register with REX.W. */
static bool selector_stored_wide(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return is_mmio_write(a) && is_mmio_write(b) && a->exit[1] == 8 && b->exit[1] == 2 &&
	       insn_before(p, a, stores_selector_wide);
}

static bool string_to_memory(struct insn insn, moment_t *m)
{
	(void)m;
	return insn.rep && (insn.opcode == 0x6c || insn.opcode == 0x6d || insn.opcode == 0xa4 ||
			    insn.opcode == 0xa5 || insn.opcode == 0xaa || insn.opcode == 0xab);
}

/* Pages of code are not what they were, and on each device something else. */
static bool string_overwrites_itself(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int i;

	(void)before;
	if (!memcmp(&a->pages[AT_CODE / PAGE], &b->pages[AT_CODE / PAGE], 2 * sizeof(a->pages[0])))
		return false;
	for (i = 0; i + 4 < p->code_len; i++)
		if (string_to_memory(insn_from(p, a, p->code_start + i), a))
			return true;
	return false;
}

/* ---- the rows ---- */

#define XSTATE_BV	64	/* "xsave.64": 8 bytes each */
#define XSTATE_PKRU	(1ull << 9)
#define PKRU_AT		0xa80

/* PKRU is 0 for both. Upstream has saved the FPU since, with the host's PKRU in the CPU. */
static bool pkru_in_use(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const uint64_t *x = (const uint64_t *)&a->xsave, *y = (const uint64_t *)&b->xsave;

	(void)p;
	(void)before;
	return (x[XSTATE_BV] ^ y[XSTATE_BV]) == XSTATE_PKRU && !x[PKRU_AT / 8] && !y[PKRU_AT / 8];
}

static const struct known rows[] = {
	{ "xsave.64", pkru_in_use, false,
	  "XSTATE_BV may name a component that is in its initial configuration",
	  "XSAVE-Managed State" },
	{ "exit.3", debug_exit_without_dr7, false,
	  "upstream fills in DR7 only if the CPU raised #DB", "KVM's API, KVM_EXIT_DEBUG" },
	{ "*", delivery_never_ends, true,
	  "upstream emulates the instruction instead of the event's delivery, for ever",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_put_off, true,
	  "likewise, the event of an interrupt waits until an instruction needs no page walk",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_fails, true,
	  "upstream emulates the instruction instead of the event's delivery, and fails",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_into_device, true,
	  "okvm carries out the delivery, upstream the instruction that it interrupts",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_error_told, true,
	  "okvm tells at the first exit of a delivery, upstream at a later one or emulates",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_carried_out, true,
	  "okvm carries out the delivery, upstream the instruction that it interrupts",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", walk_is_operand, true,
	  "upstream emulates with the address of the page table that hardware could not write to",
	  "Exit Qualification; EPT Violations" },
	{ "exit.4", qualification_undefined, false,
	  "an EPT misconfiguration has no qualification", "Exit Qualification" },
	{ "mem.*", delivery_across_exits, true,
	  "upstream drops all EPT entries with a slot; Bochs saves RF at an exit from a delivery",
	  "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "*", halt_is_emulated, true,
	  "upstream forgets to halt when it emulates HLT", "HLT" },
	{ "*", store_reads_first, true,
	  "upstream reads the device before it stores the selector there", "SLDT; STR" },
	{ "mem.11", store_has_read, true,
	  "likewise, and the store is a page fault", "SLDT; STR; Accessed and Dirty Flags" },
	{ "*", only_last_push, true,
	  "upstream loses all writes to a device but an instruction's last", "PUSHA; ENTER; CALL" },
	{ "regs.r*", string_has_ended, false,
	  "upstream looks once more at a repeated string whose count is 0",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", new_task_faults, true,
	  "a fault of the new task finds its registers loaded", "Task Switching" },
	{ "*", cr3_without_paging, true,
	  "a task switch loads CR3 only if paging is on", "Task Switching" },
	{ "*", software_exception_injected, true,
	  "INT3 and INTO are one byte long for okvm, none for upstream",
	  "VM-Entry Instruction Length" },
	{ "mem.11", ins_looks_first, false,
	  "okvm translates the destination, with A and D set, before it reads the port",
	  "INS/INSB/INSW/INSD; Accessed and Dirty Flags" },
	{ "mem.10", ins_looks_first, false,
	  "likewise, and the destination is in a large page",
	  "INS/INSB/INSW/INSD; Accessed and Dirty Flags" },
	{ "mem.11", write_looks_first, false,
	  "likewise for all that writes to what it reads, before it reads a device",
	  "Accessed and Dirty Flags" },
	{ "*", forced_unknown, true,
	  "behind the prefix: upstream's emulator has no such instruction, and raises #UD",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", forced_flags, true,
	  "behind the prefix: flags that the manual leaves undefined", "EFLAGS Cross-Reference" },
	{ "mem.11", undefined_fetched, true,
	  "upstream fetches the rest of an undefined instruction, from the next page",
	  "Accessed and Dirty Flags" },
	{ "*", ins_faults_first, true,
	  "okvm faults on the destination before it reads the port", "INS/INSB/INSW/INSD" },
	{ "*", string_io_in_batches, true,
	  "upstream batches INS only, okvm INS and OUTS upwards and without TF",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", string_steps, true,
	  "a debugger's step ends after some iterations on upstream, after one on okvm",
	  "REP/REPE/REPZ/REPNE/REPNZ; Single-Step Exception Condition" },
	{ "regs.rsp", pops_move_first, true,
	  "upstream has moved RSP already when LEAVE, RETF, IRET or POPA reads a device",
	  "LEAVE; RET; IRET; POPA" },
	{ "*", unpaged, true,
	  "okvm emulates unpaged code, upstream runs it in virtual-8086 mode or on an identity map",
	  "Unrestricted Guests" },
	{ "*", descriptor_in_device, true,
	  "upstream tries for ever to read a descriptor where no memory is",
	  "Segment Descriptor Tables" },
	{ "*", string_overwrites_itself, true,
	  "when a repeated string that overwrites itself is fetched again is chance",
	  "Self-Modifying Code; REP/REPE/REPZ/REPNE/REPNZ" },
	{ "exit.1", selector_stored_wide, false,
	  "upstream stores eight bytes, the instruction always two", "SLDT; STR; MOV" },
	{ "regs.rflags", compare_again, false,
	  "okvm shows the flags of the last comparison between iterations",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", unknown_to_upstream, true,
	  "an instruction on a device that upstream's emulator does not know",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", store_never_ends, true,
	  "upstream tries for ever to store a table's register or the FPU's state in a device",
	  "SGDT; SIDT; FXSAVE" },
	{ "*", table_never_loaded, true,
	  "upstream cannot load GDTR or IDTR from a device", "LGDT/LIDT" },
	{ "*", unknown_in_user_mode, true,
	  "the same in user mode: upstream raises #UD", "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", step_after_device_write, true,
	  "upstream forgets the single step behind a write that userspace carries out",
	  "Single-Step Exception Condition" },
	{ "*", step_of_a_string, true,
	  "upstream stops once more at a repeated string whose count is 0",
	  "Single-Step Exception Condition" },
	{ "*", flags_undefined, true,
	  "flags that the manual leaves undefined", "EFLAGS Cross-Reference" },
};

static_assert(ARRAY_SIZE(rows) <= 64, "struct outcome has a bit for each");

const struct known *known_row(unsigned int nr)
{
	return nr < ARRAY_SIZE(rows) ? &rows[nr] : NULL;
}

unsigned int known_nr(const struct known *row)
{
	return row - rows;
}

static bool field_matches(const char *pattern, const char *field)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, field, len - 1);
	return !strcmp(pattern, field);
}

const struct known *known_find(const struct program *p, const struct difference *d,
			       const struct moment *a, const struct moment *b,
			       const struct moment *before)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (field_matches(rows[i].field, d->field) && rows[i].when(p, a, b, before))
			return &rows[i];
	return NULL;
}
