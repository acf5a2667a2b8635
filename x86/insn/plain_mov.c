// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast emulation of a plain MOV to or from a device. Drivers make nearly all their accesses by
 * plain MOVs. This path does not walk the guest's page tables for the data. It does not use the log
 * of accesses (access_log.h) either: okvm_emul_direct_done() or known_complete() finishes a MOV for
 * which userspace has read, so that the MOV is not executed again.
 *
 * The VM exit has reported a guest-physical address. It may be that of a page-table entry, of the
 * second page of an access across two pages, or of memory that the VMM backs with pages that EPT
 * cannot map. So this path is only for an address that must be the operand's: see direct_fits().
 */
#include <linux/mm.h>

#include "core/trace_kvm.h"
#include "core/guestmem.h"
#include "core/iobus.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/access_log.h"

/*
 * Is @gpa the address of @mov's operand, and does the whole operand lie in one page? If the operand
 * crosses a page, the exit may have reported the second page: then the page offsets of @gpa and of
 * the linear address @la differ.
 */
static __always_inline bool direct_fits(const struct emul_mov *mov, u64 la, gpa_t gpa)
{
	return offset_in_page(la) == offset_in_page(gpa) &&
	       offset_in_page(gpa) + mov->bytes <= PAGE_SIZE;
}

/* ---- a MOV that has just been decoded ---- */

static int direct_finish(struct okvm_emulation *e, u64 val)
{
	emul_finish_mov(&e->ctx, &e->mov, val);
	return okvm_emul_outcome(e, EMUL_OK);
}

static void mov_trace_answer(struct okvm_vcpu *vcpu, const u64 *val, unsigned int bytes)
{
	if (trace_kvm_mmio_enabled())
		okvm_mmio_trace(TRACE_MMIO_READ, vcpu->run->mmio.phys_addr, val, bytes);
}

int okvm_emul_direct_done(struct okvm_emulation *e)
{
	u64 val = 0;

	memcpy(&val, e->vcpu->run->mmio.data, e->mov.bytes);
	mov_trace_answer(e->vcpu, &val, e->mov.bytes);
	return direct_finish(e, val);
}

static bool direct_can(struct okvm_emulation *e)
{
	u64 la;

	if (!okvm_emul_is_mmio(e) || e->gpa == OKVM_INVALID_GPA || !emul_as_mov(&e->ctx, &e->mov))
		return false;
	/* A load caused the exit, but another vCPU may have changed it into a store. */
	if (e->mov.write && e->why == OKVM_EMUL_MMIO_READ)
		return false;
	/* No device: the VMM backs this address with memory that EPT cannot map. */
	if (okvm_guest_has(e->vcpu->vm, e->gpa, e->mov.write))
		return false;
	return emul_mov_linear(&e->ctx, &e->mov, &la) == EMUL_OK &&
	       direct_fits(&e->mov, la, e->gpa);
}

/*
 * ---- a MOV that was decoded before ----
 *
 * A driver executes the same MOV to its device again and again. A kernel does the same with MOVs to
 * and from control registers, whose operand register not every CPU reports. The MOV need not be
 * decoded again if nothing has changed: not only RIP and the CPU mode are compared, but also the
 * page-table entries that translate RIP and the instruction's bytes, since the guest changes these
 * without an exit. The translation of the MOV's operand is not compared, because hardware has
 * reported the operand's address.
 */

static u64 known_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : BIT_ULL(bytes * 8) - 1;
}

static struct emul_known *known_at(struct okvm_emulation *e, unsigned long rip)
{
	struct emul_known *known;

	for (known = e->known; known < e->known + EMUL_KNOWN; known++)
		if (known->rip == rip)
			return known;
	return NULL;
}

static struct emul_known *known_slot(struct okvm_emulation *e, unsigned long rip)
{
	return known_at(e, rip) ?: &e->known[e->known_next++ % EMUL_KNOWN];
}

/* Remember the decoded MOV in @mov, if all its bytes are in one page whose translation is noted. */
static void emul_know(struct okvm_emulation *e, const struct emul_mov *mov, bool cr)
{
	struct emul_known *known = known_slot(e, e->ctx.rip);
	const struct emul_insn *insn = &e->ctx.insn;
	u8 bytes[16] = { };

	known->len = 0;
	/* Do not remember a MOV with FS or GS: the guest can change their bases without an exit. */
	if (e->ctx.mode != EMUL_LONG64 || !e->note.nr || mov->seg >= EMUL_FS ||
	    offset_in_page(e->ctx.rip) + sizeof(bytes) > PAGE_SIZE)
		return;
	memcpy(bytes, insn->bytes, insn->len);
	memcpy(known->bytes, bytes, sizeof(bytes));
	known->mask[0] = known_mask(insn->len);
	known->mask[1] = known_mask(insn->len > 8 ? insn->len - 8 : 0);
	known->len = insn->len;
	known->cpl = e->ctx.cpl;
	known->cr = cr;
	known->rip = e->ctx.rip;
	known->note = e->note;
	known->mov = *mov;
}

void okvm_emul_know_cr(struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;
	const struct emul_mov mov = { .reg = insn->rm };

	if (insn->map == EMUL_MAP_0F && (insn->opcode & 0xfd) == 0x20)
		emul_know(e, &mov, true);
}

bool okvm_emul_direct(struct okvm_emulation *e, int *outcome)
{
	u64 val;

	if (!direct_can(e))
		return false;
	emul_know(e, &e->mov, false);
	val = e->mov.val;
	if (!okvm_mmio_bus(e->vcpu, e->gpa, &val, e->mov.bytes, e->mov.write)) {
		*outcome = direct_finish(e, val);
	} else if (e->mov.write) {
		e->posts[0] = (struct emul_post){ .gpa = e->gpa, .len = e->mov.bytes };
		memcpy(e->posts[0].data, &val, sizeof(val));
		e->nr_posts = 1;
		*outcome = direct_finish(e, val);
	} else {
		okvm_mmio_ask(e->vcpu, e->gpa, NULL, e->mov.bytes, false);
		e->direct = true;
		*outcome = okvm_emul_user(e);
	}
	return true;
}

static u64 known_linear(struct okvm_vcpu *vcpu, const struct emul_mov *mov)
{
	return emul_mov_ea(mov, mov->base < 0 ? 0 : okvm_gpr(vcpu, mov->base),
			   mov->index < 0 ? 0 : okvm_gpr(vcpu, mov->index));
}

/* Return the remembered MOV if it is still the instruction at RIP, otherwise NULL. */
static const struct emul_known *emul_known(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	const struct emul_known *known = known_at(e, okvm_rip(vcpu));
	u64 bytes[2];

	if (!known || !known->len ||
	    okvm_rflags(vcpu) & X86_EFLAGS_TF || !okvm_cs_64bit(vcpu) ||
	    vcpu->arch->reg_ops->get_cpl(vcpu) != known->cpl ||
	    !okvm_mmu_noted(vcpu, &known->note, okvm_cr3(vcpu), bytes) ||
	    (bytes[0] ^ known->bytes[0]) & known->mask[0] ||
	    (bytes[1] ^ known->bytes[1]) & known->mask[1])
		return NULL;
	return known;
}

static int known_finish(struct okvm_vcpu *vcpu, const struct emul_known *known, u64 val)
{
	const struct emul_mov *mov = &known->mov;

	if (!mov->write)
		okvm_gpr_set(vcpu, mov->reg,
			     emul_mov_result(mov, okvm_gpr(vcpu, mov->reg), val));
	/* Like a fault, this VM exit has set RF; the end of the instruction clears RF. */
	if (okvm_rflags(vcpu) & X86_EFLAGS_RF)
		okvm_rflags_set(vcpu, vcpu->arch->rflags & ~X86_EFLAGS_RF);
	return okvm_skip_insn(vcpu, known->len);
}

static int known_complete(struct okvm_vcpu *vcpu)
{
	u64 val = 0;

	if (unlikely(vcpu->arch->io_touched) && (okvm_io_moved(vcpu) || !okvm_cs_64bit(vcpu)))
		return OKVM_RESUME;
	memcpy(&val, vcpu->run->mmio.data, sizeof(val));
	mov_trace_answer(vcpu, &val, vcpu->arch->emul->again->mov.bytes);
	return known_finish(vcpu, vcpu->arch->emul->again, val);
}

bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, bool may_write, int *outcome)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	const struct emul_known *known = emul_known(e);
	const struct emul_mov *mov;
	u64 val = 0;

	if (!known || known->cr)
		return false;
	mov = &known->mov;
	if ((mov->write && !may_write) || !direct_fits(mov, known_linear(vcpu, mov), gpa))
		return false;
	vcpu->stat[OKVM_STAT_EMULATED]++;
	if (mov->write)
		val = emul_mov_datum(mov, okvm_gpr(vcpu, mov->reg));
	if (!okvm_mmio_bus(vcpu, gpa, &val, mov->bytes, mov->write)) {
		*outcome = known_finish(vcpu, known, val);
		return true;
	}
	okvm_mmio_ask(vcpu, gpa, &val, mov->bytes, mov->write);
	/* Finish a write here: TF is clear, so no single-step trap has to wait for userspace. */
	if (mov->write) {
		known_finish(vcpu, known, val);
	} else {
		e->again = known;
		okvm_io_begin(vcpu, known_complete);
	}
	*outcome = OKVM_USER;
	return true;
}

unsigned int okvm_known_mov_cr(struct okvm_vcpu *vcpu, unsigned int *reg)
{
	const struct emul_known *known = emul_known(vcpu->arch->emul);

	if (!known || !known->cr)
		return 0;
	*reg = known->mov.reg;
	return known->len;
}
