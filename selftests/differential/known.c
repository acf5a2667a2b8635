// SPDX-License-Identifier: GPL-2.0-only
/*
 * The differences that are meant, upstream being A and okvm B. A row matches a field and a
 * circumstance, never a field alone; its reason cites the manual by section title.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "selftests/differential/when.h"

/* ---- circumstances ---- */

/* Nothing can be fetched from a device: the exit before that is told, and was of another kind. */
static bool device_is_marked(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t x = a->exit[3], y = b->exit[3];

	(void)p;
	(void)before;
	return is_error(a, KVM_INTERNAL_ERROR_EMULATION) &&
	       is_error(b, KVM_INTERNAL_ERROR_EMULATION) && a->regs.rip == b->regs.rip &&
	       ((x == EXIT_EPT_VIOLATION && y == EXIT_EPT_MISCONFIG) ||
		(x == EXIT_EPT_MISCONFIG && y == EXIT_EPT_VIOLATION));
}

static bool ins_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	(void)before;
	return is_io(a, KVM_EXIT_IO_IN) && is_string_io(insn_at(p, a));
}

/* What reads, changes and writes, or the second page of an operand. */
static bool write_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->reason == KVM_EXIT_MMIO && !a->exit[2] && b->reason == a->reason &&
	       a->exit[0] == b->exit[0] && a->regs.rip == b->regs.rip &&
	       ((a->exit[0] + a->exit[1]) % PAGE < 8 || reads_and_writes(p, insn_at(p, a)));
}

static bool ins_faults_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return ins_looks_first(p, a, b, before) && !is_io(b, KVM_EXIT_IO_IN);
}

static bool unknown_to_upstream(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_from(p, a, (in_handlers(a) ? 0 : p->sregs.cs.base) + a->regs.rip);

	(void)before;
	/* In the local APIC's page upstream tries again and again. */
	if (p->irqchip && a->timed_out && !b->timed_out && a->mp_state.mp_state == 0)
		return upstream_lacks(p, insn_at(p, a));
	if (!is_error(a, KVM_INTERNAL_ERROR_EMULATION) || delivered_event(a) & VECTORING_VALID ||
	    (b->reason == KVM_EXIT_INTERNAL_ERROR && a->regs.rip == b->regs.rip))
		return false;
	/* A far jump in real mode beyond the limit: "not implemented". */
	if (p->mode == MODE_REAL && in_handler_of(b, VECTOR_GP))
		return insn.opcode == 0x9a || insn.opcode == 0xea || (insn.opcode | 1) == 0xcb ||
		       insn.opcode == 0xcf || (insn.opcode == 0xff && (insn.reg | 6) == 7);
	/* A string has written an instruction of the FPU; the exit tells its bytes. */
	if (a->code_changed && a->exit[2] & 1 && (a->exit[3] >> 8 & 0xf8) == 0xd8)
		return true;
	/* SIPI sets CS. */
	return upstream_lacks(p, insn) || upstream_gives_up(p, insn) ||
	       upstream_lacks(p, insn_at(p, a));
}

static bool unknown_in_user_mode(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	/* Read-only memory that the instruction does not write makes no exit. */
	if (p->sregs.ss.dpl == 3 && in_handler_of(a, VECTOR_UD) && b->reason != KVM_EXIT_MMIO &&
	    upstream_lacks(p, insn_from(p, a, interrupted(p, a))))
		return !in_handler_of(b, VECTOR_UD);
	if (p->sregs.ss.dpl == 3 && in_delivery_fault(a, VECTOR_UD) &&
	    upstream_lacks(p, insn_from(p, a, interrupted(p, a))))
		return true;
	/* Nothing can be delivered; okvm is further. */
	if (p->cpl == 3 && a->reason == KVM_EXIT_SHUTDOWN && a->regs.rip != b->regs.rip &&
	    upstream_lacks(p, insn_at(p, a)))
		return true;
	/* A far jump beyond the limit, after its operand has been read. */
	if (p->sregs.ss.dpl == 3 && in_handler_of(a, VECTOR_UD) && before &&
	    before->reason == KVM_EXIT_MMIO && upstream_gives_up(p, insn_at(p, before)) &&
	    interrupted(p, a) == rip_of(before))
		return !in_handler_of(b, VECTOR_UD);
	/* The same where nothing can be delivered: upstream has loaded CS. */
	if (p->cpl == 3 && a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason && before &&
	    before->reason == KVM_EXIT_MMIO && before->regs.rip == a->regs.rip)
		return upstream_gives_up(p, insn_at(p, before)) &&
		       a->sregs.cs.selector != b->sregs.cs.selector;
	if (b->reason != KVM_EXIT_MMIO || b->sregs.ss.dpl != 3)
		return false;
	/* RIP is behind what writes. */
	if (!b->exit[2] && !upstream_lacks(p, insn_at(p, b)) &&
	    !upstream_gives_up(p, insn_at(p, b)))
		return false;
	/* The handler of #UD is conforming code at times, and its OUT faults. */
	if (in_handler_of(a, VECTOR_GP) &&
	    interrupted(p, a) - p->sregs.cs.base == AT_HANDLERS + VECTOR_UD * HANDLER_BYTES)
		return true;
	if (is_error(a, DELIVERY_ERROR) && (uint8_t)a->exit[2] == VECTOR_UD)
		return true;
	if (gate_is(p, a, VECTOR_UD, GATE_TASK) && a->sregs.tr.selector != b->sregs.tr.selector)
		return true;
	/* SMEP forbids the handlers, that of the page fault as well. */
	if (a->timed_out)
		return p->sregs.cr4 & CR4_SMEP && in_handlers(a);
	return a->reason == KVM_EXIT_SHUTDOWN ||
	       (a->last_vector == VECTOR_UD && is_io(a, KVM_EXIT_IO_OUT) &&
		a->exit[2] == VECTOR_UD);
}

/* Far calls and INT n: three writes at most, behind which RIP is somewhere else. */
static bool pushes_frame(program_t *p, moment_t *m)
{
	struct insn insn;
	unsigned int i;

	for (i = 0; i < p->code_len; i++) {
		insn = insn_from(p, m, p->code_start + i);
		if (insn.opcode == 0x9a || (insn.opcode == 0xff && insn.reg == 3) ||
		    (insn.opcode >= 0xcc && insn.opcode <= 0xce))
			return true;
	}
	return false;
}

/* PUSHA, ENTER, far calls: several writes downwards, the last of them at the stack's top. */
static bool only_last_push(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t above = b->exit[0] - a->exit[0], at = rip_of(a);
	bool enter = at >= 4 && at < AT_END && p->mem[at - 4] == 0xc8;
	bool pusha = at && at < AT_END && p->mem[at - 1] == 0x60;
	unsigned int opcode = insn_at(p, a).opcode;

	(void)before;
	if (!is_mmio_write(a) || !is_mmio_write(b) || !a->exit[1] || above % a->exit[1])
		return false;
	above /= a->exit[1];
	/* The first of PUSHA's may have its other part, and others before it, in memory. */
	if (pusha && a->exit[1] >= b->exit[1] && !((b->exit[0] + b->exit[1]) % PAGE))
		return above < 8 && a->regs.rip == b->regs.rip && a->regs.rsp == b->regs.rsp;
	if (a->exit[1] != b->exit[1])
		return false;
	/* INT n, which upstream stands at. */
	if (p->mode == MODE_REAL && opcode >= 0xcc && opcode <= 0xce)
		return above == 2;
	return a->regs.rip == b->regs.rip && a->regs.rsp == b->regs.rsp &&
	       (((above == 1 || above == 2) && pushes_frame(p, a)) || (pusha && above == 7) ||
		(enter && above < 32));
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

/* #UD of an instruction before a page's end: is the next page read before it is known? */
static bool undefined_fetched(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t at;

	(void)before;
	if (in_handler_of(a, VECTOR_UD) && in_handler_of(b, VECTOR_UD))
		at = interrupted(p, a);
	else if (a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason)
		at = rip_of(a);
	else
		return false;
	return at % PAGE > PAGE - 15 && a->regs.rip == b->regs.rip &&
	       frame_item(p, a, 0) == frame_item(p, b, 0);
}

/* The guest has gone to real mode, which hardware does not run then. */
static bool real_mode(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->how.restricted && (!(a->sregs.cr0 & 1) || !(b->sregs.cr0 & 1));
}

/* Only registers that POPA takes, one by one. */
static bool popa_moves_first(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	return insn_at(p, a).opcode == 0x61 && pops_move_first(p, a, b, before);
}

/* Did upstream emulate what @m exited for, or the instruction behind which @m stands? */
static bool emulated_at(program_t *p, moment_t *m)
{
	uint64_t at = rip_of(m);

	return m->reason == KVM_EXIT_MMIO || p->tables_moved ||
	       is_string_io(insn_at(p, m)) ||
	       is_umip_insn(p, insn_at(p, m)) ||
	       (p->how.prefix && at >= AT_CODE && at < AT_HANDLERS &&
		(!memcmp(p->mem + at, "\x0f\x0bkvm", 5) ||
		 !memcmp(p->mem + at - 5, "\x0f\x0bkvm", 5)));
}

/* Has upstream emulated something since the debugger's state was set? */
static bool emulated_since(program_t *p, moment_t *a)
{
	moment_t start = { .regs = p->regs, .sregs = p->sregs };
	unsigned int i;

	for (i = 1; i <= a->nr; i++) {
		/* A task switch is emulated, too. */
		if (emulated_at(p, a - i) ||
		    a[-(int)i].sregs.tr.base != a[1 - (int)i].sregs.tr.base)
			return true;
		if (a[-(int)i].guest_debug != a->guest_debug)
			return false;
	}
	return emulated_at(p, &start) || a[-(int)a->nr].sregs.tr.base != p->sregs.tr.base;
}

static bool only_inner_stack_differs(program_t *p, moment_t *a, moment_t *b)
{
	uint32_t inner;
	unsigned int i;

	memcpy(&inner, p->mem + AT_TSS + 4, 4);
	for (i = 0; i < PAGES; i++)
		if (a->pages[i] != b->pages[i] && i != guest_physical(p, inner - 1) / PAGE)
			return false;
	return !memcmp(&a->regs, &b->regs, sizeof(a->regs));
}

/* The TSS of the same task was written: by an event's switch to another and an IRET back. */
static bool switched_and_back(program_t *p, moment_t *a, moment_t *before)
{
	unsigned int tss = guest_physical(p, a->sregs.tr.base) / PAGE;

	return before && p->mode != MODE_REAL && p->mode < MODE_COMPAT && tss < PAGES &&
	       before->sregs.tr.base == a->sregs.tr.base && a->pages[tss] != before->pages[tss];
}

/* The debugger's TF goes with it: no step, or a frame without TF. */
static bool step_is_lost(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	uint64_t task = before ? before->sregs.tr.base : p->sregs.tr.base;

	/* Upstream may have switched to another task and back. */
	if (!(b->guest_debug & KVM_GUESTDBG_SINGLESTEP) ||
	    !(emulated_since(p, a) || b->sregs.tr.base != task ||
	      switched_and_back(p, a, before)))
		return false;
	if (b->reason == KVM_EXIT_DEBUG)
		return b->exit[2] & DR6_BS &&
		       (a->reason != KVM_EXIT_DEBUG || a->regs.rip != b->regs.rip ||
			!(a->exit[2] & DR6_BS));
	/* No handler can be entered any more; the first frame is on the inner stack. */
	if (a->reason == KVM_EXIT_SHUTDOWN && b->reason == a->reason)
		return only_inner_stack_differs(p, a, b);
	if (a->frame_rest != b->frame_rest)
		return stack_differs(p, a, b);
	return same_but_frame(p, a, b, FLAG_TF) &&
	       frame_item(p, a, 0) == frame_item(p, b, 0) && frame_item(p, b, 2) & FLAG_TF;
}

/* A large page of 32-bit paging: upstream takes its address for one of 36 bits. */
static bool large_page_beyond(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->mode == MODE_PAGED32 && p->sregs.cr4 & CR4_PSE && a->last_vector == VECTOR_PF &&
	       a->fault_code & FAULT_RSVD &&
	       !(b->last_vector == VECTOR_PF && b->fault_code & FAULT_RSVD);
}

/* Is @m at @vector's handler, in another one that has interrupted it, or in that of its fault? */
static bool begins_handler(program_t *p, moment_t *m, unsigned int vector)
{
	uint64_t at = AT_HANDLERS + vector * HANDLER_BYTES;

	return in_handlers(m) && (m->regs.rip - at < HANDLER_BYTES ||
				  (is_io(m, KVM_EXIT_IO_OUT) && frame_item(p, m, 0) == at) ||
				  in_delivery_fault(m, vector));
}

/* Without unrestricted guest: a state that the CPU does not enter, nor upstream emulate. */
static bool state_not_entered(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	if (p->how.restricted && !before && p->events.exception.injected &&
	    a->sregs.cs.selector != b->sregs.cs.selector &&
	    begins_handler(p, b, p->events.exception.nr))
		return true;
	/* And while upstream emulates it injects nothing. */
	if (p->how.restricted &&
	    ((a->events.interrupt.injected && !b->events.interrupt.injected &&
	      begins_handler(p, b, a->events.interrupt.nr)) ||
	     (a->events.nmi.injected && !b->events.nmi.injected &&
	      begins_handler(p, b, VECTOR_NMI))))
		return true;
	return p->how.restricted && is_error(a, KVM_INTERNAL_ERROR_EMULATION) &&
	       a->exit[3] == EXIT_INVALID_STATE && !is_error(b, KVM_INTERNAL_ERROR_EMULATION);
}

/* The I/O permission bit map is in a page of user mode, which SMAP forbids to be read. */
static bool io_map_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (!(p->sregs.cr4 & CR4_SMAP) || b->sregs.cr2 < b->sregs.tr.base + 0x66 ||
	    b->sregs.cr2 > b->sregs.tr.base + b->sregs.tr.limit)
		return false;
	/* Handlers that run in user mode fault in turn. */
	if (p->cpl == 3 && in_handler_of(a, VECTOR_GP) && in_handler_of(b, VECTOR_GP))
		return a->sregs.cr2 != b->sregs.cr2;
	return in_handler_of(a, VECTOR_GP) && in_handler_of(b, VECTOR_PF) &&
	       interrupted(p, a) == interrupted(p, b);
}

/* An instruction before a page's end fails, and its bytes are told. */
static bool fewer_bytes_told(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const uint8_t *x = (const uint8_t *)&a->exit[3], *y = (const uint8_t *)&b->exit[3];

	(void)p;
	(void)before;
	return is_error(a, KVM_INTERNAL_ERROR_EMULATION) && a->exit[2] & 1 &&
	       is_error(b, KVM_INTERNAL_ERROR_EMULATION) && x[0] < y[0] && y[0] < 16 &&
	       !((rip_of(a) + x[0]) % PAGE) && !memcmp(x + 1, y + 1, x[0]);
}

/* Upstream reads the second page of an operand at once, okvm when the first has been answered. */
static bool second_page_later(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	return before && before->slots != a->slots && before->reason == KVM_EXIT_MMIO &&
	       !before->exit[2] && b->reason == KVM_EXIT_MMIO && !b->exit[2] &&
	       !(b->exit[0] % PAGE) && b->exit[0] >= AT_ROM && b->exit[0] < AT_END &&
	       before->exit[0] % PAGE + before->exit[1] == PAGE &&
	       before->regs.rip == b->regs.rip &&
	       !(a->reason == b->reason && a->exit[0] == b->exit[0]);
}

/* The segment that an instruction loads: in the order of moment_t, cs first. None is 0. */
static unsigned int loads_segment(struct insn insn)
{
	static const uint8_t order[8] = { 2, 0, 5, 1, 3, 4 };	/* es, cs, ss, ds, fs, gs */

	switch (insn.opcode) {
	case 0x8e:
		return order[insn.reg];
	case 0x07:
	case 0xc4:
		return 2;
	case 0x1f:
	case 0xc5:
		return 1;
	case 0xfa1:
	case 0xfb4:
		return 3;
	case 0xfa9:
	case 0xfb5:
		return 4;
	default:
		return 0;
	}
}

/* LDS and so on, or MOV: DPL must not be below CPL nor below RPL. */
static bool privilege_is_checked(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const struct kvm_segment *s = &a->sregs.cs, *t = &b->sregs.cs;
	const uint8_t *desc;
	unsigned int i, rpl;
	uint16_t code;

	(void)before;
	if (!in_handler_of(b, VECTOR_GP) && b->reason != KVM_EXIT_SHUTDOWN)
		return false;
	i = loads_segment(insn_from(p, b, failed_at(p, b)));
	/* And then at times because the segment is not present. */
	memcpy(&code, b->frame, sizeof(code));
	desc = descriptor(p, b, code);
	if (i && desc && in_handler_of(a, VECTOR_NP) && interrupted(p, a) == interrupted(p, b))
		return !memcmp(a->frame, b->frame, sizeof(code)) && !(desc[5] & 0x80) &&
		       (desc[5] >> 5 & 3) < p->cpl;
	if (!i || s[i].selector == t[i].selector)
		return false;
	rpl = s[i].selector & 3;
	return s[i].s && (s[i].type & 0xc) != 0xc &&
	       (s[i].dpl < rpl || s[i].dpl < (in_handlers(a) ? p->cpl : a->sregs.ss.dpl));
}

static bool reads_time(struct insn insn, moment_t *m)
{
	return insn.opcode == 0xf31 || (insn.opcode == 0xf32 && m->regs.rcx == MSR_TSC) ||
	       (insn.opcode == 0xf01 && insn.modrm == 0xf9);
}

#define MSR_CLOCK	0x12		/* MSR_KVM_SYSTEM_TIME */
#define MSR_CLOCK_NEW	0x4b564d01
#define CLOCK_BYTES	32

static bool sets_clock_across(struct insn insn, moment_t *m)
{
	uint64_t rcx = (uint32_t)m->regs.rcx, rax = m->regs.rax;

	return insn.opcode == 0xf30 && (rcx == MSR_CLOCK || rcx == MSR_CLOCK_NEW) && rax & 1 &&
	       (rax & (PAGE - 2)) + CLOCK_BYTES > PAGE;
}

/* The guest has put kvmclock where a page ends in it; upstream writes it to address 0 then. */
static bool clock_across_pages(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	unsigned int i;

	(void)b;
	(void)before;
	for (i = 0; i <= a->nr; i++)
		if (insn_before(p, a - i, sets_clock_across))
			return true;
	return false;
}

/* It is not the same twice. */
static bool time_was_read(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->regs.rip == b->regs.rip && insn_before(p, a, reads_time);
}

/* No selector in SS of 64-bit code: upstream's emulator makes a segment of it. */
static bool no_stack_segment(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return p->mode == MODE_LONG64 && a->sregs.ss.selector < 4 && b->sregs.ss.unusable &&
	       !a->sregs.ss.unusable && a->sregs.ss.selector == b->sregs.ss.selector;
}

static bool clflush_reads(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return a->reason == KVM_EXIT_MMIO && a->exit[1] == 1 && !a->exit[2] &&
	       a->regs.rip != b->regs.rip && insn.opcode == 0xfae && insn.reg == 7;
}

/* #GP, or the double fault or the end if #GP cannot be delivered. */
static bool is_gp_or_df(moment_t *m)
{
	return in_handler_of(m, VECTOR_GP) || in_handler_of(m, VECTOR_DF) ||
	       m->reason == KVM_EXIT_SHUTDOWN;
}

/* 64-bit code that is emulated, with a prefix of a segment, at an address that is none. */
static bool override_is_ignored(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	if (p->mode != MODE_LONG64 || failed_at(p, a) != failed_at(p, b) ||
	    !((in_handler_of(a, VECTOR_SS) && is_gp_or_df(b)) ||
	      (is_gp_or_df(a) && in_handler_of(b, VECTOR_SS))))
		return false;
	/* okvm's exception is that of the base register. */
	if (in_handler_of(b, VECTOR_SS) != is_based_on_stack(p, b, failed_at(p, b)) &&
	    b->reason != KVM_EXIT_SHUTDOWN && !in_handler_of(b, VECTOR_DF))
		return false;
	return insn_from(p, b, failed_at(p, b)).override && is_emulated(p, b, failed_at(p, b));
}

static bool compares_string(struct insn insn)
{
	return (insn.opcode & ~9u) == 0xa6;
}

/* Page tables in read-only memory, and an operand in two pages: both are read in one step. */
static bool second_page_misread(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	/* What is read there may have been a table. */
	if (p->tables_moved && b->reason == KVM_EXIT_MMIO && !b->exit[2] && !(b->exit[0] % PAGE))
		return a->regs.rip > b->regs.rip && a->regs.rip - b->regs.rip < 15;
	/* Or the datum is taken from there. */
	if (p->tables_moved && before && before->reason == KVM_EXIT_MMIO && !before->exit[2] &&
	    !((before->exit[0] + before->exit[1]) % PAGE) && a->regs.rip == b->regs.rip)
		return a->regs.rip > before->regs.rip && a->regs.rip - before->regs.rip < 15;
	if (!p->tables_moved || a->regs.rip != b->regs.rip || a->reason != b->reason ||
	    memcmp(a->exit, b->exit, sizeof(a->exit)))
		return false;
	/* Without an exit: CMPS and SCAS have just read across a page's end. */
	if (a->regs.rflags != b->regs.rflags && !((a->regs.rflags ^ b->regs.rflags) & ~0x8d5ull) &&
	    compares_string(insn_from(p, a, rip_of(a) - 1)))
		return b->regs.rdi % PAGE < 8 || b->regs.rsi % PAGE < 8;
	return a->pages[11] != b->pages[11];
}

/* An instruction behind STI or MOV SS has failed, and its exception waits. */
static bool shadow_of_a_fault(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	return before && !a->events.interrupt.shadow && b->events.interrupt.shadow &&
	       before->events.interrupt.shadow && a->regs.rip == b->regs.rip &&
	       a->events.exception.pending && b->events.exception.pending;
}

/* An NMI comes while NMIs are blocked, and the vCPU is halted. */
static bool blocked_nmi_wakes(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return b->timed_out && b->mp_state.mp_state == KVM_MP_STATE_HALTED &&
	       b->events.nmi.masked && b->events.nmi.pending &&
	       !(a->timed_out && a->mp_state.mp_state == KVM_MP_STATE_HALTED) &&
	       !(b->events.interrupt.injected && b->regs.rflags & FLAG_IF) &&
	       /* Nothing but the NMI has ended HLT. */
	       !(in_handlers(a) && is_io(a, KVM_EXIT_IO_OUT) &&
		 (a->exit[2] >= 0x20 || a->exit[2] == VECTOR_NMI) &&
		 interrupted(p, a) == rip_of(b));
}

/* Userspace has set the halted state and blocking by STI or MOV SS, which HLT would have ended. */
static bool blocked_halt(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)b;
	return !before && a->timed_out && a->mp_state.mp_state == KVM_MP_STATE_HALTED &&
	       a->events.interrupt.shadow && a->events.nmi.pending && p->events.interrupt.shadow;
}

/* A vCPU that waits for INIT or SIPI, and an event that cannot wake it. */
static bool waits_for_sipi(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)p;
	(void)before;
	return a->error == EAGAIN && b->timed_out && !memcmp(&a->regs, &b->regs, sizeof(a->regs)) &&
	       a->mp_state.mp_state == b->mp_state.mp_state &&
	       (b->mp_state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
		b->mp_state.mp_state == KVM_MP_STATE_INIT_RECEIVED);
}

/* NMIs that userspace has given until @m, less those whose handlers have told so. */
static unsigned int nmis_left(program_t *p, moment_t *m)
{
	unsigned int given = m->nmis + p->events.nmi.injected + p->events.nmi.pending, i;

	for (i = 0; i <= m->nr; i++)
		given -= given && in_handler_of(m - i, VECTOR_NMI);
	return given;
}

/* Two NMIs wait; upstream 6.1 tells that there are some, later kernels how many. */
static bool second_nmi_is_told(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct utsname name;

	(void)before;
	return a->events.nmi.pending == 1 && b->events.nmi.pending == 2 && nmis_left(p, b) >= 2 &&
	       !uname(&name) && !strncmp(name.release, "6.1.", 4);
}

/* Near CALL and PUSH of memory: the stack is in a device, at the operand's place in its page. */
static bool operand_at_stack(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	struct insn insn = insn_at(p, a);

	(void)before;
	return is_mmio_write(b) && a->reason == KVM_EXIT_MMIO && !a->exit[2] &&
	       a->exit[0] == b->exit[0] && a->exit[1] == b->exit[1] && insn.opcode == 0xff &&
	       (insn.reg == 2 || insn.reg == 6) && insn.modrm < 0xc0;
}

#define AT_APIC		0xfee00000u

/* Does one of the instructions since @m access the local APIC's page but an aligned register? */
static bool meets_no_register(program_t *p, moment_t *m)
{
	const uint64_t strings[] = { m->regs.rsi, m->regs.rdi };
	unsigned int i, j;
	uint64_t ea;

	for (i = 0; i < p->code_len; i++) {
		if (insn_address(p, m, p->code_start + i, &ea) && ea / PAGE == AT_APIC / PAGE &&
		    ea % 16)
			return true;
		for (j = 0; j < 2; j++)
			if (is_string(insn_from(p, m, p->code_start + i)) && strings[j] % 16 &&
			    strings[j] / PAGE == AT_APIC / PAGE)
				return true;
	}
	return false;
}

/* A datum in the local APIC's page that is no aligned register: upstream answers anything. */
static bool apic_has_none(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	const uint64_t *x = (const uint64_t *)&a->regs, *y = (const uint64_t *)&b->regs;
	moment_t start = { .regs = p->regs, .sregs = p->sregs };
	unsigned int i, changed = 0;

	for (i = 0; i < 16; i++)
		changed += x[i] != y[i];
	return p->irqchip && changed == 1 && a->regs.rip == b->regs.rip &&
	       a->regs.rflags == b->regs.rflags && meets_no_register(p, before ?: &start);
}

/* IRET reads its frame from a device; NMIs are blocked until it ends. */
static bool iret_unblocks_early(program_t *p, moment_t *a, moment_t *b, moment_t *before)
{
	(void)before;
	return a->reason == KVM_EXIT_MMIO && b->reason == a->reason && !a->exit[2] &&
	       a->regs.rip == b->regs.rip && b->events.nmi.masked && !a->events.nmi.masked &&
	       insn_at(p, a).opcode == 0xcf;
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
	{ "*", port_before_delivery, true,
	  "upstream emulates the instruction before the event's delivery, which fails",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", delivery_carried_out, true,
	  "okvm carries out the delivery, upstream the instruction that it interrupts",
	  "Information for VM Exits That Occur During Event Delivery" },
	{ "*", walk_is_operand, true,
	  "upstream emulates with the address of the page table that hardware could not write to",
	  "Exit Qualification; EPT Violations" },
	{ "exit.4", qualification_undefined, false,
	  "an EPT misconfiguration has no qualification", "Exit Qualification" },
	{ "exit.3", device_is_marked, false,
	  "whether an address without memory has an EPT entry is each hypervisor's choice",
	  "EPT Misconfigurations" },
	{ "exit.4", device_is_marked, false, "likewise", "EPT Misconfigurations" },
	{ "mem.*", delivery_across_exits, true,
	  "upstream drops all EPT entries with a slot; Bochs saves RF at an exit from a delivery",
	  "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "regs.rflags", rf_across_exits, true,
	  "likewise, and a task's flags have it", "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "mem.*", rf_of_a_trap, true,
	  "an EPT violation saves RF, which Bochs pushes if the instruction then ends with a trap",
	  "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "regs.rflags", rf_at_window, true,
	  "an EPT violation saves RF; which pages have EPT entries is each hypervisor's choice",
	  "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "mem.3", rf_across_exits, true,
	  "likewise, and the image in the old task's TSS", "Saving RIP, RSP, RFLAGS, and SSP" },
	{ "*", halt_is_emulated, true,
	  "upstream forgets to halt when it emulates HLT", "HLT" },
	{ "*", store_reads_first, true,
	  "upstream reads the device before it stores the selector there", "SLDT; STR" },
	{ "mem.11", store_has_read, true,
	  "likewise, and the store is a page fault, or forbidden by UMIP",
	  "SLDT; STR; Accessed and Dirty Flags" },
	{ "*", only_last_push, true,
	  "upstream loses all writes to a device but an instruction's last", "PUSHA; ENTER; CALL" },
	{ "regs.r*", string_has_ended, false,
	  "upstream looks once more at a repeated string whose count is 0",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", string_goes_on, true,
	  "likewise, with a debugger's step or a count that userspace has changed",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", new_task_faults, true,
	  "a fault of the new task finds its registers loaded", "Task Switching" },
	{ "*", task_gate_faults, true,
	  "upstream drops the fault of a task switch by a gate, CALL or JMP", "Task Switching" },
	{ "*", task_switch_traps, true, "upstream knows no trap of a TSS's T flag",
	  "Task-Switch Exception Condition" },
	{ "*", io_map_in_device, true,
	  "upstream raises #GP where it cannot read the I/O map's address or bits",
	  "I/O Permission Bit Map" },
	{ "*", cr3_without_paging, true,
	  "a task switch loads CR3 only if paging is on", "Task Switching" },
	{ "mem.*", software_event_injected, true,
	  "INT3 and INTO are one byte long for okvm, INT n two, none for upstream",
	  "VM-Entry Instruction Length" },
	{ "mem.11", ins_looks_first, false,
	  "okvm translates the destination, with A and D set, before it reads the port",
	  "INS/INSB/INSW/INSD; Accessed and Dirty Flags" },
	{ "mem.8", ins_looks_first, false,
	  "likewise, and all levels of its page tables", "Accessed and Dirty Flags" },
	{ "mem.9", ins_looks_first, false,
	  "likewise, and all levels of its page tables", "Accessed and Dirty Flags" },
	{ "mem.10", ins_looks_first, false,
	  "likewise, and the destination is in a large page",
	  "INS/INSB/INSW/INSD; Accessed and Dirty Flags" },
	{ "mem.11", write_looks_first, false,
	  "likewise for all that writes to what it reads, before it reads a device",
	  "Accessed and Dirty Flags" },
	{ "*", forced_with_smap, true,
	  "with SMAP upstream reads the prefix as data, which a page of user mode is not for",
	  "Determination of Access Rights" },
	{ "*", forced_without_fetch, true,
	  "likewise where the prefix ends in a page that cannot be executed",
	  "Determination of Access Rights" },
	{ "*", forced_enter, true,
	  "behind the prefix: upstream's ENTER pushes by the size of the stack, not the operand's",
	  "ENTER" },
	{ "*", forced_unknown, true,
	  "behind the prefix: upstream's emulator has no such instruction, and raises #UD",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", forced_privileged, true,
	  "behind the prefix: upstream checks the privilege for instructions that it has not",
	  "MWAIT; VMRUN; MOV (Move to/from Control Registers, Debug Registers)" },
	{ "*", forced_bad_prefix, true,
	  "behind the prefix: upstream ignores prefixes that make an instruction undefined",
	  "Instruction Prefixes; FXRSTOR; MOVNTI" },
	{ "*", forced_without_iopl, true,
	  "behind the prefix: upstream takes IOPL for 0 in virtual-8086 mode", "CLI; STI" },
	{ "*", forced_halt, true, "behind the prefix: upstream forgets to halt", "HLT" },
	{ "events.irq.shadow", forced_sti, true,
	  "behind the prefix: upstream blocks interrupts behind STI if they were enabled, too",
	  "STI" },
	{ "shared.ready", forced_sti, true, "likewise, and userspace cannot inject", "STI" },
	{ "*", forced_write_faults, true,
	  "behind the prefix: okvm faults on what it must write before it reads a device",
	  "Type Checking; Access Rights" },
	{ "mem.11", forced_write_has_read, true,
	  "likewise, and upstream has read memory", "Type Checking; Accessed and Dirty Flags" },
	{ "mem.10", forced_write_has_read, true, "likewise in a large page",
	  "Type Checking; Accessed and Dirty Flags" },
	{ "mem.11", forced_clflush, true,
	  "behind the prefix: upstream reads what CLFLUSH names", "CLFLUSH" },
	{ "xsave.0", forced_mmx_faults, true,
	  "behind the prefix: upstream has marked the MMX registers valid, and MOVQ faults",
	  "The MMX State and MMX Register Aliasing" },
	{ "xsave.64", forced_mmx_faults, true, "likewise, and the x87 state in use",
	  "XSAVE-Managed State" },
	{ "*", forced_int_beyond, true,
	  "behind the prefix: upstream does not look at the limit of the interrupt vector table",
	  "INT n/INTO/INT3/INT1; Interrupt and Exception Handling (8086 Emulation)" },
	{ "*", forced_int_traps, true,
	  "behind the prefix: upstream raises a step's trap behind INT, which clears TF",
	  "INT n/INTO/INT3/INT1; Single-Step Exception Condition" },
	{ "mem.*", forced_pushf, true, "behind the prefix: upstream stores IF and IOPL",
	  "PUSHF/PUSHFD/PUSHFQ" },
	{ "*", forced_rep_in, true,
	  "behind the prefix: upstream repeats IN with REP", "IN; Instruction Prefixes" },
	{ "*", forced_alignment, true,
	  "what upstream emulates has no alignment check",
	  "Alignment Check Exception (#AC)" },
	{ "mem.1*", forced_write_looks_first, false,
	  "behind the prefix: okvm translates for writing before it reads a device",
	  "Accessed and Dirty Flags" },
	{ "*", forced_aam, true,
	  "behind the prefix: upstream's flags of AAM and AAD are those of AX instead of AL",
	  "AAM; AAD" },
	{ "*", forced_flags, true,
	  "behind the prefix: flags that the manual leaves undefined", "EFLAGS Cross-Reference" },
	{ "mem.11", undefined_fetched, true,
	  "whether the rest of an undefined instruction is fetched from the next page",
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
	{ "events.nmi.masked", iret_unblocks_early, false,
	  "upstream unblocks NMIs before an IRET has read its frame from a device",
	  "Handling Multiple NMIs" },
	{ "regs.r*", popa_moves_first, true,
	  "upstream has loaded some registers already when POPA reads a device", "POPA" },
	{ "mem.*", string_interrupted, true,
	  "likewise, and the event's frame shows it", "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", string_pauses, true,
	  "after how many iterations others may come in between is each hypervisor's choice",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "regs.rflags", string_pause_shows_flags, false,
	  "and there upstream stores the flags that REP CMPS or SCAS has got so far",
	  "REP/REPE/REPZ/REPNE/REPNZ" },
	{ "*", string_traps_late, true,
	  "upstream's emulator raises the guest's trap behind several iterations",
	  "REP/REPE/REPZ/REPNE/REPNZ; Single-Step Exception Condition" },
	{ "*", interrupt_is_lost, true,
	  "upstream drops an interrupt that is injected when the instruction in work faults",
	  "KVM's API, KVM_INTERRUPT" },
	{ "*", step_is_lost, true,
	  "upstream loses the debugger's TF behind an instruction that it emulates",
	  "KVM's API, KVM_SET_GUEST_DEBUG" },
	{ "*", large_page_beyond, true,
	  "upstream takes addresses of more than 36 bits for reserved ones",
	  "Paging-Structure Entries: 32-Bit Paging, 4-MByte Page" },
	{ "events.irq.shadow", faulting_mov_ss, false,
	  "upstream blocks interrupts behind a MOV to SS or POP SS that faults", "MOV; POP" },
	{ "*", step_behind_mov_ss, true,
	  "upstream raises a step's trap behind a MOV to SS or POP SS that it emulates",
	  "Masking Exceptions and Interrupts When Switching Stacks" },
	{ "*", mov_dr_beyond, true,
	  "under a debugger upstream takes DR8 to DR15 for DR0 to DR7",
	  "MOV (Move to/from Debug Registers)" },
	{ "events.irq.shadow", second_ss_load_blocks, false,
	  "of two loads of SS one behind the other upstream lets only the first block",
	  "MOV; POP; Masking Exceptions and Interrupts When Switching Stacks" },
	{ "shared.ready", second_ss_load_blocks, false, "likewise, and userspace may inject",
	  "MOV; POP; Masking Exceptions and Interrupts When Switching Stacks" },
	{ "*", interrupt_in_the_midst, true,
	  "upstream fails the entry with an interrupt injected in the midst of what blocks it",
	  "Masking Exceptions and Interrupts When Switching Stacks; POPF; IRET" },
	{ "exit.2", breakpoint_insn_told, false,
	  "upstream leaves DR6 of #BP as the exit before has left the memory",
	  "KVM's API, KVM_EXIT_DEBUG" },
	{ "exit.3", breakpoint_insn_told, false, "likewise, DR7", "KVM's API, KVM_EXIT_DEBUG" },
	{ "*", exceptions_meet, true,
	  "upstream gives up when an exception meets another but a page fault",
	  "Interrupt 8 - Double Fault Exception (#DF)" },
	{ "*", debugger_meets_double_fault, true,
	  "upstream shuts down, though #DB and #BP are benign",
	  "Interrupt 8 - Double Fault Exception (#DF)" },
	{ "*", state_not_entered, true,
	  "upstream cannot emulate in a state that the CPU does not enter, okvm goes on",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "regs.rflags", restricted_flags, true,
	  "flags that the manual leaves undefined", "EFLAGS Cross-Reference" },
	{ "events.nmi.masked", nmi_within_nmi, false,
	  "okvm unblocks NMIs for the delivery of one", "Checks on Guest Non-Register State" },
	{ "*", io_map_faults, true,
	  "SMAP holds for the I/O map: upstream makes #GP of it",
	  "Determination of Access Rights; I/O Permission Bit Map" },
	{ "exit.3", fewer_bytes_told, false,
	  "upstream has not fetched the second page of an instruction that it does not know",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "exit.4", fewer_bytes_told, false, "likewise", "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", second_page_later, true,
	  "userspace takes memory away between the pages of one access",
	  "Locked Atomic Operations" },
	{ "*", patched_meets_breakpoint, true,
	  "upstream clears RF when it patches a hypercall: the breakpoint is met again",
	  "Instruction-Breakpoint Exception Condition" },
	{ "*", patched_is_a_step, true,
	  "upstream raises the trap of a step when it patches a hypercall, and behind it once more",
	  "Single-Step Exception Condition" },
	{ "*", patched_elsewhere, true,
	  "upstream patches a hypercall at RIP without CS's base, again and again",
	  "KVM's API, KVM_X86_QUIRK_FIX_HYPERCALL_INSN" },
	{ "*", vmcall_is_emulated, true,
	  "where VMCALL is emulated upstream patches it again and again",
	  "VMCALL; EPT Violations" },
	{ "*", window_at_breakpoint, true,
	  "which of an interrupt window and a breakpoint comes first depends on the host",
	  "Priority Among Concurrent Events" },
	{ "exit.2", breakpoint_not_enabled, false,
	  "the CPU tells a breakpoint that is not enabled; upstream has emulated the MOV to DR7",
	  "Debug Status Register (DR6)" },
	{ "mem.*", table_in_ldt, true,
	  "upstream names no selector if LTR's is one of the LDT", "LTR" },
	{ "events.exception.code", table_in_ldt, true, "likewise, and #GP cannot be delivered",
	  "LTR" },
	{ "*", window_in_delivery, true,
	  "upstream asks for no interrupt window while it injects an interrupt",
	  "KVM's API, request_interrupt_window" },
	{ "*", blocking_ends_early, true,
	  "Bochs forgets blocking by STI at a VM entry; upstream emulates the next instruction",
	  "Interruptibility State" },
	{ "*", privilege_is_checked, true,
	  "upstream faults only if both CPL and RPL are above DPL",
	  "Privilege Level Checking When Accessing Data Segments" },
	{ "*", port_meets_breakpoint, true,
	  "upstream has lost RF when it emulates a port or UMIP: the breakpoint is met again",
	  "Instruction-Breakpoint Exception Condition" },
	{ "mem.0", clock_across_pages, true,
	  "upstream writes kvmclock to address 0 if it is asked for one in two pages",
	  "KVM's API, MSR_KVM_SYSTEM_TIME" },
	{ "regs.r*", time_was_read, true, "the time is not the same twice", "RDTSC; RDMSR" },
	{ "sregs.ss.*", no_stack_segment, true,
	  "upstream makes a segment of no selector",
	  "Segment Loading Instructions in IA-32e Mode" },
	{ "*", int_is_narrow, true, "upstream pushes by the operand size", "INT n/INTO/INT3/INT1" },
	{ "*", clflush_reads, true, "upstream reads what CLFLUSH names", "CLFLUSH" },
	{ "data.0", pushf_with_vme, true, "upstream stores IF and IOPL", "PUSHF/PUSHFD/PUSHFQ" },
	{ "*", popf_with_vme, true, "upstream raises #GP", "POPF/POPFD/POPFQ" },
	{ "*", popf_reads_first, true,
	  "upstream raises #GP only when it has read the stack", "POPF/POPFD/POPFQ" },
	{ "*", override_is_ignored, true,
	  "64-bit code ignores prefixes of ES, CS, SS and DS, upstream picks #GP or #SS by them",
	  "Segment Override Prefixes" },
	{ "*", second_page_misread, true,
	  "upstream emulates with the address of a page table: the second page is another",
	  "Exit Qualification; EPT Violations" },
	{ "events.irq.shadow", shadow_of_a_fault, false,
	  "upstream ends the blocking by STI or MOV SS before it delivers the fault",
	  "Interruptibility State" },
	{ "*", busy_flag_is_lost, true,
	  "upstream loses the write of a TSS's busy flag to read-only memory", "TSS Descriptor" },
	{ "*", step_of_fast_wrmsr, true,
	  "upstream loses the debugger's step over WRMSR that it handles early",
	  "KVM's API, KVM_SET_GUEST_DEBUG" },
	{ "events.nmi.pending", second_nmi_is_told, false,
	  "upstream 6.1 tells of one NMI that waits where there are two, later kernels of both",
	  "KVM's API, KVM_GET_VCPU_EVENTS; Handling Multiple NMIs" },
	{ "events.nmi.injected", one_event_at_entry, false,
	  "upstream forgets the second event when it takes an injection back before the entry",
	  "VM-Entry Controls for Event Injection" },
	{ "events.irq.*", one_event_at_entry, false, "likewise, an interrupt",
	  "VM-Entry Controls for Event Injection" },
	{ "sregs.irq*", one_event_at_entry, false, "likewise, an interrupt",
	  "VM-Entry Controls for Event Injection" },
	{ "*", operand_at_stack, true,
	  "upstream takes the exit's address for any operand that lies there in its page",
	  "Exit Qualification; CALL; PUSH" },
	{ "regs.r*", apic_has_none, true,
	  "upstream leaves the datum as it is if the local APIC has no such register",
	  "Local APIC Register Address Map" },
	{ "*", blocked_nmi_wakes, true,
	  "upstream ends HLT for an NMI that is blocked", "HLT; Nonmaskable Interrupt (NMI)" },
	{ "*", blocked_halt, true,
	  "upstream lets no NMI end a halted state with blocking by STI or MOV SS, which cannot be",
	  "HLT; Checks on Guest Non-Register State" },
	{ "*", waits_for_sipi, true,
	  "upstream's KVM_RUN returns EAGAIN for an event that does not end the wait for SIPI",
	  "KVM's API, KVM_RUN" },
	{ "*", real_mode, true,
	  "okvm emulates real mode, upstream runs it in virtual-8086 mode",
	  "Unrestricted Guests" },
	{ "*", descriptor_in_device, true,
	  "upstream tries for ever to read a descriptor where no memory is",
	  "Segment Descriptor Tables" },
	{ "*", string_overwrites_itself, true,
	  "when a repeated string that overwrites itself is fetched again is chance",
	  "Self-Modifying Code; REP/REPE/REPZ/REPNE/REPNZ" },
	{ "exit.1", selector_stored_wide, false,
	  "upstream stores eight bytes, the instruction always two", "SLDT; STR; MOV" },
	{ "mem.*", umip_comes_first, true,
	  "upstream looks at the page of a store before it looks at UMIP", "SLDT; STR" },
	{ "*", selector_stored_across, true, "likewise, in two pages", "SLDT; STR; MOV" },
	{ "mem.*", selector_stored_for_umip, true,
	  "likewise to memory, where upstream emulates: for UMIP, or behind the prefix",
	  "SLDT; STR" },
	{ "*", unknown_to_upstream, true,
	  "an instruction on a device that upstream's emulator does not know",
	  "KVM's API, KVM_EXIT_INTERNAL_ERROR" },
	{ "*", store_never_ends, true,
	  "upstream tries for ever to store a table's register or the FPU's state in a device",
	  "SGDT; SIDT; FXSAVE; FXRSTOR" },
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
	{ "*", jump_by_undefined_flags, true,
	  "a conditional jump by flags that the manual leaves undefined",
	  "EFLAGS Cross-Reference" },
	{ "*", flags_undefined, true,
	  "flags that the manual leaves undefined", "EFLAGS Cross-Reference" },
};

static_assert(ARRAY_SIZE(rows) <= MAX_ROWS);

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
