// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast emulation of a plain MOV to or from a device. Drivers make nearly all their accesses by
 * plain MOVs.
 *
 * This path takes the operand's guest-physical address from the VM exit and does not walk the
 * guest's page tables. It also needs no log of accesses (access_log.h), because after an exit to
 * userspace it does not execute the MOV again: okvm_emul_direct_done() or cached_mov_complete()
 * executes only the rest.
 *
 * The VM exit's address may be another one than the operand's: the address of a page-table entry,
 * or an address in the second page if the access crosses pages. Or it may be in a memory slot, and
 * not at a device. direct_fits() and direct_can() exclude these cases.
 */
#include <linux/mm.h>

#include "core/trace_kvm.h"
#include "core/guestmem.h"
#include "core/iobus.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/access_log.h"

/*
 * Return true if @mov's operand, at linear address @la, lies in one page, and @gpa is the operand's
 * address. If the operand crosses a page boundary, @gpa may be an address in the second page: then
 * the page offsets of @gpa and @la differ.
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
	/* The exit was for a load, but another vCPU may have changed the instruction to a store. */
	if (e->mov.write && e->why == OKVM_EMUL_MMIO_READ)
		return false;
	/*
	 * In a memory slot there is no device. (An access to a slot can cause this VM exit, too, if
	 * EPT or NPT cannot map the page that the VMM has put there.)
	 */
	if (okvm_guest_has(e->vcpu->vm, e->gpa, e->mov.write))
		return false;
	return emul_mov_linear(&e->ctx, &e->mov, &la) == EMUL_OK &&
	       direct_fits(&e->mov, la, e->gpa);
}

/*
 * ---- a MOV that was decoded before ----
 *
 * A guest executes the same MOVs again and again, so okvm remembers two kinds of decoded MOVs:
 *
 * - A driver's MOV to or from its device.
 * - A kernel's MOV to or from a control register, for CPUs whose VM exit does not report which
 *   general register the MOV uses.
 *
 * okvm uses a remembered MOV again only if the following are as they were: RIP, the CPU mode, CPL,
 * CR3, the generation of the memory slots, the page-table entries that translate RIP, and the
 * instruction's bytes. The translation of the memory operand may have changed: okvm takes the
 * operand's guest-physical address from the VM exit.
 */

static u64 cached_mov_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : BIT_ULL(bytes * 8) - 1;
}

static struct emul_cached_mov *cached_mov_at(struct okvm_emulation *e, unsigned long rip)
{
	struct emul_cached_mov *cached;

	for (cached = e->mov_cache; cached < e->mov_cache + EMUL_MOV_CACHE; cached++)
		if (cached->rip == rip)
			return cached;
	return NULL;
}

static struct emul_cached_mov *cached_mov_slot(struct okvm_emulation *e, unsigned long rip)
{
	return cached_mov_at(e, rip) ?: &e->mov_cache[e->mov_cache_next++ % EMUL_MOV_CACHE];
}

/*
 * Remember the decoded MOV @mov, if okvm_mmu_noted() will be able to check it: the page walk for
 * RIP must have been recorded in e->note, and the 16 bytes at RIP must be in one page.
 */
static void emul_cache_mov(struct okvm_emulation *e, const struct emul_mov *mov, u8 cr)
{
	struct emul_cached_mov *cached = cached_mov_slot(e, e->ctx.rip);
	const struct emul_insn *insn = &e->ctx.insn;
	u8 bytes[16] = { };

	cached->len = 0;
	/* Do not remember a MOV with FS or GS: the guest can change their bases without an exit. */
	if (e->ctx.mode != EMUL_LONG64 || !e->note.nr || mov->seg >= EMUL_FS ||
	    offset_in_page(e->ctx.rip) + sizeof(bytes) > PAGE_SIZE)
		return;
	memcpy(bytes, insn->bytes, insn->len);
	memcpy(cached->bytes, bytes, sizeof(bytes));
	cached->mask[0] = cached_mov_mask(insn->len);
	cached->mask[1] = cached_mov_mask(insn->len > 8 ? insn->len - 8 : 0);
	cached->len = insn->len;
	cached->cpl = e->ctx.cpl;
	cached->cr = cr;
	cached->rip = e->ctx.rip;
	cached->note = e->note;
	cached->mov = *mov;
}

void okvm_emul_cache_mov_cr(struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;
	const struct emul_mov mov = { .reg = insn->rm, .write = insn->opcode == 0x22 };

	if (insn->map == EMUL_MAP_0F && (insn->opcode & 0xfd) == 0x20)
		emul_cache_mov(e, &mov, 1 + insn->reg);
}

bool okvm_emul_direct(struct okvm_emulation *e, int *outcome)
{
	u64 val;

	if (!direct_can(e))
		return false;
	emul_cache_mov(e, &e->mov, 0);
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

static u64 cached_mov_linear(struct okvm_vcpu *vcpu, const struct emul_mov *mov)
{
	return emul_mov_ea(mov, mov->base < 0 ? 0 : okvm_gpr(vcpu, mov->base),
			   mov->index < 0 ? 0 : okvm_gpr(vcpu, mov->index));
}

/* Return the remembered MOV if it is still the instruction at RIP, otherwise NULL. */
static const struct emul_cached_mov *emul_cached_mov(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	const struct emul_cached_mov *cached = cached_mov_at(e, okvm_rip(vcpu));
	u64 bytes[2];

	if (!cached || !cached->len ||
	    okvm_rflags(vcpu) & X86_EFLAGS_TF || !okvm_cs_64bit(vcpu) ||
	    vcpu->arch->reg_ops->get_cpl(vcpu) != cached->cpl ||
	    !okvm_mmu_noted(vcpu, &cached->note, okvm_cr3(vcpu), bytes) ||
	    (bytes[0] ^ cached->bytes[0]) & cached->mask[0] ||
	    (bytes[1] ^ cached->bytes[1]) & cached->mask[1])
		return NULL;
	return cached;
}

static int cached_mov_finish(struct okvm_vcpu *vcpu, const struct emul_cached_mov *cached, u64 val)
{
	const struct emul_mov *mov = &cached->mov;

	if (!mov->write)
		okvm_gpr_set(vcpu, mov->reg,
			     emul_mov_result(mov, okvm_gpr(vcpu, mov->reg), val));
	return okvm_skip_insn(vcpu, cached->len);
}

static int cached_mov_complete(struct okvm_vcpu *vcpu)
{
	u64 val = 0;

	if (unlikely(vcpu->arch->io_touched) && (okvm_io_moved(vcpu) || !okvm_cs_64bit(vcpu)))
		return OKVM_RESUME;
	memcpy(&val, vcpu->run->mmio.data, sizeof(val));
	mov_trace_answer(vcpu, &val, vcpu->arch->emul->read_for->mov.bytes);
	return cached_mov_finish(vcpu, vcpu->arch->emul->read_for, val);
}

/*
 * Trace an access that okvm_emulate_known() has made. @by: 1 for the local APIC, 0 for another
 * device. As in upstream, the tracepoint is kvm_fast_mmio for a write to an ioeventfd without a
 * length, otherwise kvm_mmio.
 */
static noinline void known_trace(struct okvm_vcpu *vcpu, gpa_t gpa, const struct emul_mov *mov,
				 u64 val, int by)
{
	if (mov->write && !by && okvm_iobus_has(vcpu, OKVM_BUS_MMIO, gpa, true))
		trace_kvm_fast_mmio(gpa);
	else if (trace_kvm_mmio_enabled())
		okvm_mmio_trace(mov->write ? TRACE_MMIO_WRITE : TRACE_MMIO_READ, gpa, &val,
				mov->bytes);
}

bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, bool may_write, int *outcome)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	const struct emul_cached_mov *cached = emul_cached_mov(e);
	const struct emul_mov *mov;
	u64 val = 0;
	int by;

	if (!cached || cached->cr)
		return false;
	mov = &cached->mov;
	if ((mov->write && !may_write) || !direct_fits(mov, cached_mov_linear(vcpu, mov), gpa))
		return false;
	vcpu->stat[OKVM_STAT_EMULATED]++;
	if (mov->write)
		val = emul_mov_datum(mov, okvm_gpr(vcpu, mov->reg));
	by = okvm_mmio_try(vcpu, gpa, &val, mov->bytes, mov->write);
	if (by >= 0) {
		if (trace_kvm_mmio_enabled() || trace_kvm_fast_mmio_enabled())
			known_trace(vcpu, gpa, mov, val, by);
		*outcome = cached_mov_finish(vcpu, cached, val);
		return true;
	}
	okvm_mmio_ask(vcpu, gpa, &val, mov->bytes, mov->write);
	/*
	 * Finish a MOV to memory at once: userspace does the write, and nothing is left to do after
	 * it. (There is no single-step trap, because emul_cached_mov() returns no MOV if TF is
	 * set.)
	 */
	if (mov->write) {
		cached_mov_finish(vcpu, cached, val);
	} else {
		e->read_for = cached;
		okvm_io_begin(vcpu, cached_mov_complete);
	}
	*outcome = OKVM_USER;
	return true;
}

unsigned int okvm_known_mov_cr(struct okvm_vcpu *vcpu, unsigned int nr, bool write,
			       unsigned int *reg)
{
	const struct emul_cached_mov *cached = emul_cached_mov(vcpu->arch->emul);

	if (!cached || cached->cr != 1 + nr || cached->mov.write != write)
		return 0;
	*reg = cached->mov.reg;
	return cached->len;
}
