// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulating instructions of a vCPU: registers in, the emulator, registers out,
 * and what comes of its outcome.
 *
 * An access that userspace must finish ends the KVM_RUN. When it is back, the
 * instruction is executed again from its start, and accesses that were done
 * before are answered from a log. Upstream instead keeps a read cache, a
 * fragment list and four kinds of completion.
 */
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sched.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "core/iobus.h"
#include "core/trace.h"
#include "x86/emul_glue.h"

int okvm_emul_create(struct okvm_vcpu *vcpu)
{
	vcpu->arch->emul = kzalloc(sizeof(*vcpu->arch->emul), GFP_KERNEL_ACCOUNT);
	if (!vcpu->arch->emul)
		return -ENOMEM;
	vcpu->arch->emul->vcpu = vcpu;
	return 0;
}

void okvm_emul_destroy(struct okvm_vcpu *vcpu)
{
	kfree(vcpu->arch->emul);
}

/* ---- device accesses ---- */

int okvm_mmio_bus(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write)
{
	if (vcpu->apic && !okvm_apic_mmio(vcpu, gpa, data, len, write))
		return 0;
	return write ? okvm_iobus_write(vcpu, OKVM_BUS_MMIO, gpa, len, data) :
		       okvm_iobus_read(vcpu, OKVM_BUS_MMIO, gpa, len, data);
}

static void emul_log_refresh(struct okvm_emulation *e)
{
	if (e->log_seq == e->ctx.seq)
		return;
	e->log_seq = e->ctx.seq;
	e->logged = 0;
	e->replayed = 0;
}

/* The entry of an access that was done before, or NULL if this one is new. */
static struct emul_log_entry *emul_log_replay(struct okvm_emulation *e, enum emul_io kind,
					      u64 addr, u32 len)
{
	struct emul_log_entry *entry = &e->log[e->replayed];

	if (e->replayed >= e->logged)
		return NULL;
	/* Userspace changed a register meanwhile: what was logged is another access. */
	if (entry->kind != kind || entry->addr != addr || entry->len != len) {
		e->logged = e->replayed;
		return NULL;
	}
	e->replayed++;
	return entry;
}

static struct emul_log_entry *emul_log_new(struct okvm_emulation *e, enum emul_io kind,
					   u64 addr, u32 len)
{
	struct emul_log_entry *entry = &e->log[e->logged];

	entry->kind = kind;
	entry->addr = addr;
	entry->len = len;
	entry->data = 0;
	return entry;
}

static void emul_log_done(struct okvm_emulation *e)
{
	e->logged++;
	e->replayed = e->logged;
}

static void emul_ask_mmio(struct okvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len,
			  bool write)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = len;
	run->mmio.is_write = write;
	if (write)
		memcpy(run->mmio.data, data, len);
	vcpu->stat[OKVM_STAT_MMIO_EXITS]++;
	trace_okvm_io(true, write, gpa, len, false);
}

enum emul_rc okvm_emul_mmio(struct okvm_emulation *e, gpa_t gpa, void *data, unsigned int len,
			    bool write)
{
	enum emul_io kind = write ? EMUL_IO_MMIO_WRITE : EMUL_IO_MMIO_READ;
	struct emul_log_entry *entry;

	emul_log_refresh(e);
	entry = emul_log_replay(e, kind, gpa, len);
	if (entry) {
		if (!write)
			memcpy(data, &entry->data, len);
		return EMUL_OK;
	}
	if (e->logged >= EMUL_LOG_ENTRIES)
		return EMUL_UNHANDLEABLE;
	entry = emul_log_new(e, kind, gpa, len);
	if (!okvm_mmio_bus(e->vcpu, gpa, data, len, write)) {
		if (!write)
			memcpy(&entry->data, data, len);
		emul_log_done(e);
		return EMUL_OK;
	}
	emul_ask_mmio(e->vcpu, gpa, data, len, write);
	e->waiting = true;
	return EMUL_IO;
}

/* Items that an in-kernel device takes; the rest goes to userspace. */
static u32 emul_port_bus(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
			 void *data, bool in)
{
	u32 i;
	int err;

	for (i = 0; i < count; i++, data += size) {
		err = in ? okvm_iobus_read(vcpu, OKVM_BUS_PIO, port, size, data) :
			   okvm_iobus_write(vcpu, OKVM_BUS_PIO, port, size, data);
		if (err)
			break;
	}
	return i;
}

enum emul_rc okvm_emul_port(struct okvm_emulation *e, u16 port, unsigned int size, u32 count,
			    void *data, bool in)
{
	enum emul_io kind = in ? EMUL_IO_PORT_IN : EMUL_IO_PORT_OUT;
	struct okvm_vcpu *vcpu = e->vcpu;
	u32 len = size * count, done;
	struct emul_log_entry *entry;

	if (len > sizeof(e->io_data))
		return EMUL_UNHANDLEABLE;
	emul_log_refresh(e);
	entry = emul_log_replay(e, kind, port, len);
	if (entry) {
		if (in)
			memcpy(data, e->io_data, len);
		return EMUL_OK;
	}
	if (e->logged >= EMUL_LOG_ENTRIES)
		return EMUL_UNHANDLEABLE;
	entry = emul_log_new(e, kind, port, len);
	done = emul_port_bus(vcpu, port, size, count, data, in);
	if (done == count) {
		if (in)
			memcpy(e->io_data, data, len);
		emul_log_done(e);
		return EMUL_OK;
	}
	/* What a device took that came just now is not done again. */
	entry->data = size * done;
	if (in)
		memcpy(e->io_data, data, entry->data);
	okvm_pio_ask(vcpu, port, size, count - done, data + entry->data, in);
	e->waiting = true;
	return EMUL_IO;
}

/* Userspace has finished the access it was asked for. */
static void emul_log_answer(struct okvm_emulation *e)
{
	struct emul_log_entry *entry = &e->log[e->logged];
	struct okvm_vcpu *vcpu = e->vcpu;

	if (!e->waiting)
		return;
	e->waiting = false;
	if (entry->kind == EMUL_IO_MMIO_READ)
		memcpy(&entry->data, vcpu->run->mmio.data, entry->len);
	else if (entry->kind == EMUL_IO_PORT_IN)
		memcpy(e->io_data + entry->data, vcpu->pio_page, entry->len - entry->data);
	e->logged++;
}

/* ---- registers ---- */

static void emul_load_regs(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	okvm_reg_fetch(vcpu, OKVM_REG_RSP);
	memcpy(e->ctx.gpr, vcpu->arch->gpr, sizeof(e->ctx.gpr));
	e->ctx.rip = okvm_rip(vcpu);
	e->ctx.rflags = okvm_guest_rflags(vcpu);
}

static void emul_store_regs(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	if (vcpu->arch->gpr[OKVM_REG_RSP] != e->ctx.gpr[EMUL_RSP])
		okvm_reg_mark_dirty(vcpu, OKVM_REG_RSP);
	memcpy(vcpu->arch->gpr, e->ctx.gpr, sizeof(e->ctx.gpr));
	if (vcpu->arch->rip != e->ctx.rip)
		okvm_rip_set(vcpu, e->ctx.rip);
	if (e->ctx.rflags != okvm_guest_rflags(vcpu))
		okvm_guest_rflags_set(vcpu, e->ctx.rflags);
}

/* ---- outcomes ---- */

/* The flags, the instruction if it could be read (its bytes fill two words), and the exit. */
static void emul_failure_exit(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	struct kvm_run *run = vcpu->run;
	u64 info[OKVM_EXIT_INFO];
	unsigned int n = e->ctx.insn.avail;
	u32 ndata = 1;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.flags = 0;
	if (n) {
		ndata += 2;
		run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = n;
		memset(run->emulation_failure.insn_bytes, 0x90,
		       sizeof(run->emulation_failure.insn_bytes));
		memcpy(run->emulation_failure.insn_bytes, e->ctx.insn.bytes, n);
	}
	vcpu->vm->backend->exit_info(vcpu, info);
	memcpy(&run->internal.data[ndata], info, sizeof(info));
	run->emulation_failure.ndata = ndata + OKVM_EXIT_INFO;
}

/* The kernel of the guest met something that is not emulated: userspace must know. */
static int emul_failed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	vcpu->stat[OKVM_STAT_EMULATION_FAIL]++;
	if (!vcpu->vm->arch->exit_on_emulation_error) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		if (vcpu->vm->backend->get_cpl(vcpu))
			return OKVM_RESUME;
	}
	emul_failure_exit(e);
	return OKVM_USER;
}

static int emul_faulted(struct okvm_emulation *e)
{
	const struct emul_exception *exc = &e->ctx.exc;

	/* Iterations that came before the fault are done. */
	emul_store_regs(e);
	if (exc->vector == X86_TRAP_PF)
		okvm_queue_pf(e->vcpu, exc->cr2, exc->error);
	else if (exc->vector == X86_TRAP_DB)
		okvm_queue_db(e->vcpu, exc->payload);
	else if (exc->has_error)
		okvm_queue_exception_err(e->vcpu, exc->vector, exc->error);
	else
		okvm_queue_exception(e->vcpu, exc->vector);
	return OKVM_RESUME;
}

static int emul_stepped(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR_STEP | vcpu->arch->feat.dr6_fixed1);
	okvm_queue_db(vcpu, DR_STEP);
	return OKVM_RESUME;
}

static int emul_completed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u32 out = e->ctx.out, shadow = 0;
	int outcome = OKVM_RESUME;

	emul_store_regs(e);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	/* A repeated string traps after each iteration. */
	if (out & EMUL_OUT_AGAIN)
		return out & EMUL_OUT_SINGLE_STEP ? emul_stepped(vcpu) : OKVM_RESUME;
	if (out & EMUL_OUT_STI)
		shadow |= OKVM_SHADOW_STI;
	if (out & EMUL_OUT_MOVSS)
		shadow |= OKVM_SHADOW_MOV_SS;
	vcpu->vm->backend->set_shadow(vcpu, shadow);
	if (out & EMUL_OUT_SINGLE_STEP || vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		outcome = emul_stepped(vcpu);
	return out & EMUL_OUT_HALT ? okvm_halt(vcpu, outcome) : outcome;
}

static int emul_complete(struct okvm_vcpu *vcpu);

static int emul_user(struct okvm_emulation *e)
{
	/* Iterations before this one are done, and userspace may look. */
	emul_store_regs(e);
	/* An MSR that userspace was asked for is completed without the emulator. */
	if (!e->asked_msr)
		okvm_io_begin(e->vcpu, emul_complete);
	return OKVM_USER;
}

static int emul_outcome(struct okvm_emulation *e, enum emul_rc rc)
{
	switch (rc) {
	case EMUL_OK:
		return emul_completed(e);
	case EMUL_FAULT:
		return emul_faulted(e);
	case EMUL_IO:
		return emul_user(e);
	default:
		return emul_failed(e);
	}
}

/* ---- the plain MOV to or from a device: the address is known, no page walk is needed ---- */

static int emul_direct_finish(struct okvm_emulation *e, u64 val)
{
	emul_finish_mov(&e->ctx, &e->mov, val);
	return emul_completed(e);
}

static int emul_direct(struct okvm_emulation *e)
{
	u64 val = e->mov.val;

	if (!okvm_mmio_bus(e->vcpu, e->gpa, &val, e->mov.bytes, e->mov.write))
		return emul_direct_finish(e, val);
	emul_ask_mmio(e->vcpu, e->gpa, &val, e->mov.bytes, e->mov.write);
	e->direct = true;
	return emul_user(e);
}

static bool emul_can_direct(struct okvm_emulation *e)
{
	return e->why == OKVM_EMUL_MMIO && e->gpa != OKVM_INVALID_GPA &&
	       emul_as_mov(&e->ctx, &e->mov) &&
	       offset_in_page(e->gpa) + e->mov.bytes <= PAGE_SIZE;
}

/*
 * ---- the same MOV again ----
 *
 * A driver's access to its device is one instruction, executed again and again. It need not be
 * decoded anew if it is the same: not only RIP and the mode, but the page-table entries that lead
 * to it and its bytes are compared, as the guest changes them without an exit. The data's address
 * plays no part: hardware has reported it.
 */

static u64 known_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : BIT_ULL(bytes * 8) - 1;
}

/* After emul_as_mov(): remember the instruction, if one noted page holds it. */
static void emul_know(struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;
	u8 bytes[16] = { };

	e->known.len = 0;
	if (e->ctx.mode != EMUL_LONG64 || !e->note.nr ||
	    offset_in_page(e->ctx.rip) + sizeof(bytes) > PAGE_SIZE)
		return;
	memcpy(bytes, insn->bytes, insn->len);
	memcpy(e->known.bytes, bytes, sizeof(bytes));
	e->known.mask[0] = known_mask(insn->len);
	e->known.mask[1] = known_mask(insn->len > 8 ? insn->len - 8 : 0);
	e->known.len = insn->len;
	e->known.cpl = e->ctx.cpl;
	e->known.rip = e->ctx.rip;
	e->known.mov = e->mov;
}

static bool emul_known(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u64 bytes[2];

	if (!e->known.len || okvm_rip(vcpu) != e->known.rip ||
	    okvm_rflags(vcpu) & X86_EFLAGS_TF || !okvm_cs_64bit(vcpu) ||
	    vcpu->vm->backend->get_cpl(vcpu) != e->known.cpl)
		return false;
	if (!okvm_mmu_noted(vcpu, &e->note, okvm_cr3(vcpu), bytes))
		return false;
	return !((bytes[0] ^ e->known.bytes[0]) & e->known.mask[0]) &&
	       !((bytes[1] ^ e->known.bytes[1]) & e->known.mask[1]);
}

static int known_finish(struct okvm_emulation *e, u64 val)
{
	const struct emul_mov *mov = &e->known.mov;
	struct okvm_vcpu *vcpu = e->vcpu;

	if (!mov->write)
		okvm_gpr_set(vcpu, mov->reg,
			     emul_mov_result(mov, okvm_gpr(vcpu, mov->reg), val));
	/* The exit came like a fault, which sets it; the instruction's end clears it. */
	if (okvm_rflags(vcpu) & X86_EFLAGS_RF)
		okvm_rflags_set(vcpu, vcpu->arch->rflags & ~X86_EFLAGS_RF);
	return okvm_skip_insn(vcpu, e->known.len);
}

static int known_complete(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	u64 val = 0;

	if (unlikely(vcpu->arch->io_touched) && (okvm_io_moved(vcpu) || !okvm_cs_64bit(vcpu)))
		return OKVM_RESUME;
	memcpy(&val, vcpu->run->mmio.data, sizeof(val));
	return known_finish(e, val);
}

bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, int *outcome)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	const struct emul_mov *mov = &e->known.mov;
	u64 val = 0;

	if (!emul_known(e) || offset_in_page(gpa) + mov->bytes > PAGE_SIZE)
		return false;
	vcpu->stat[OKVM_STAT_EMULATED]++;
	if (mov->write)
		val = emul_mov_datum(mov, okvm_gpr(vcpu, mov->reg));
	if (!okvm_mmio_bus(vcpu, gpa, &val, mov->bytes, mov->write)) {
		*outcome = known_finish(e, val);
		return true;
	}
	emul_ask_mmio(vcpu, gpa, &val, mov->bytes, mov->write);
	okvm_io_begin(vcpu, known_complete);
	*outcome = OKVM_USER;
	return true;
}

/* ---- entry points ---- */

/* Userspace reset or moved the vCPU: nothing is left to complete. */
static bool emul_dropped(struct okvm_emulation *e)
{
	enum emul_mode mode = e->ctx.mode;

	if (likely(!e->vcpu->arch->io_touched))
		return false;
	emul_set_mode(&e->ctx);
	return okvm_io_moved(e->vcpu) || e->ctx.mode != mode;
}

static int emul_go_on(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u64 val = 0;

	if (emul_dropped(e)) {
		e->waiting = false;
		e->direct = false;
		return OKVM_RESUME;
	}
	emul_load_regs(e);
	if (e->direct) {
		e->direct = false;
		if (!e->mov.write)
			memcpy(&val, vcpu->run->mmio.data, e->mov.bytes);
		return emul_direct_finish(e, val);
	}
	emul_log_answer(e);
	e->replayed = 0;
	return emul_outcome(e, emul_exec(&e->ctx));
}

static int emul_complete(struct okvm_vcpu *vcpu)
{
	int outcome;

	okvm_vcpu_srcu_lock(vcpu);
	outcome = emul_go_on(vcpu->arch->emul);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}

static void emul_begin(struct okvm_emulation *e, enum okvm_emul_why why, gpa_t gpa)
{
	e->why = why;
	e->gpa = gpa;
	e->waiting = false;
	e->direct = false;
	e->asked_msr = false;
	emul_init(&e->ctx, &okvm_emul_ops, EMUL_REAL, 0);
	emul_load_regs(e);
	emul_set_mode(&e->ctx);
	/* Of a string that a device may take in part, one item after the other. */
	if (why == OKVM_EMUL_MMIO ||
	    !okvm_iobus_has(e->vcpu, OKVM_BUS_PIO, (u16)e->ctx.gpr[EMUL_RDX])) {
		e->ctx.io_buf = e->io_buf;
		e->ctx.io_buf_size = sizeof(e->io_buf);
	}
	e->log_seq = e->ctx.seq;
	e->logged = 0;
	e->replayed = 0;
}

/* ---- #UD: the other vendor's instructions, and those that ask for the emulator ---- */

/* What force_emulation_prefix says; 0 ignores the prefix. */
#define FORCE_PREFIX	BIT(0)
#define FORCE_CLEARS_RF	BIT(1)	/* as if the instruction had met no breakpoint of its own */

static unsigned int force_emulation_prefix;
module_param(force_emulation_prefix, uint, 0644);
MODULE_PARM_DESC(force_emulation_prefix,
		 "emulate the instruction behind UD2 and the letters kvm: 0 no, 1 yes, 3 with RFLAGS.RF cleared (default 0)");

static const u8 emul_prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };
static const u8 emul_vmcall[] = { 0x0f, 0x01, 0xc1 };

/*
 * The other vendor's hypercall instruction is patched to this one's and executed again, unless
 * userspace has switched that quirk off.
 */
static int emul_patch_hypercall(struct okvm_vcpu *vcpu)
{
	struct walk_fault fault;
	gpa_t gpa;

	if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN)) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	gpa = okvm_mmu_gva_to_gpa(vcpu, okvm_linear_rip(vcpu), 0, &fault);
	if (gpa == OKVM_INVALID_GPA ||
	    okvm_write_guest(vcpu->vm, gpa, emul_vmcall, sizeof(emul_vmcall)))
		okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

/* Is it the forced-emulation prefix that RIP stands at? */
static bool emul_is_forced(struct okvm_vcpu *vcpu, unsigned int force)
{
	unsigned long la = okvm_linear_rip(vcpu);
	struct walk_fault fault;
	unsigned int i;
	gpa_t gpa;
	u8 byte;

	if (!(force & FORCE_PREFIX))
		return false;
	for (i = 0; i < sizeof(emul_prefix); i++) {
		gpa = okvm_mmu_gva_to_gpa(vcpu, la + i,
					  vcpu->vm->backend->get_cpl(vcpu) == 3 ? OKVM_ACC_USER : 0,
					  &fault);
		if (gpa == OKVM_INVALID_GPA || okvm_read_guest(vcpu->vm, gpa, &byte, 1) ||
		    byte != emul_prefix[i])
			return false;
	}
	return true;
}

/* The bits of DR6 for the enabled execution breakpoints of @dr7 that lie at @la. */
static unsigned long emul_breakpoints(const unsigned long db[4], unsigned long dr7,
				      unsigned long la)
{
	unsigned long hit = 0;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (dr7 >> (i * DR_ENABLE_SIZE) & 3 && !(dr7 >> (16 + i * DR_CONTROL_SIZE) & 15) &&
		    db[i] == la)
			hit |= BIT(i);
	}
	return hit;
}

/*
 * Hardware looks for breakpoints at the prefix; those at the instruction itself are looked for
 * here, the debugger's first. Return: true if *outcome is the breakpoint's.
 */
static bool emul_at_breakpoint(struct okvm_vcpu *vcpu, int *outcome)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long la = okvm_linear_rip(vcpu), hit = 0;

	if (arch->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		hit = emul_breakpoints(arch->eff_db, arch->guest_debug_dr7, la);
	if (hit) {
		*outcome = okvm_debug_exit(vcpu, X86_TRAP_DB, hit | DR6_RESERVED);
		return true;
	}
	if (okvm_rflags(vcpu) & X86_EFLAGS_RF ||
	    vcpu->vm->backend->get_shadow(vcpu) & OKVM_SHADOW_MOV_SS)
		return false;
	hit = emul_breakpoints(arch->db, arch->dr7, la);
	if (hit) {
		okvm_queue_db(vcpu, hit);
		*outcome = OKVM_RESUME;
	}
	return hit;
}

/* As if the instruction at RIP were one that exits, without a prefix and without the #UD. */
static int emul_forced(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	int outcome;

	if (emul_at_breakpoint(vcpu, &outcome))
		return outcome;
	emul_begin(e, OKVM_EMUL_UD, 0);
	if (emul_decode(&e->ctx) != EMUL_OK) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	vcpu->stat[OKVM_STAT_EMULATED]++;
	if (emul_is_hypercall(&e->ctx))
		return emul_patch_hypercall(vcpu);
	return emul_outcome(e, emul_exec(&e->ctx));
}

static int emul_ud(struct okvm_vcpu *vcpu)
{
	unsigned int force = READ_ONCE(force_emulation_prefix);
	struct okvm_emulation *e = vcpu->arch->emul;
	unsigned long rip;

	if (emul_is_forced(vcpu, force)) {
		rip = okvm_rip(vcpu) + sizeof(emul_prefix);
		if (force & FORCE_CLEARS_RF)
			okvm_rflags_set(vcpu, okvm_rflags(vcpu) & ~X86_EFLAGS_RF);
		okvm_rip_set(vcpu, okvm_cs_64bit(vcpu) ? rip : (u32)rip);
		return emul_forced(e);
	}
	emul_begin(e, OKVM_EMUL_UD, 0);
	if (emul_decode(&e->ctx) == EMUL_OK) {
		if (emul_is_hypercall(&e->ctx))
			return emul_patch_hypercall(vcpu);
		if (emul_is_syscall(&e->ctx))
			return emul_outcome(e, emul_exec(&e->ctx));
	}
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}

static int emul_one(struct okvm_emulation *e)
{
	enum emul_rc rc = emul_decode(&e->ctx);

	e->vcpu->stat[OKVM_STAT_EMULATED]++;
	if (rc != EMUL_OK)
		return emul_outcome(e, rc);
	if (emul_can_direct(e)) {
		emul_know(e);
		return emul_direct(e);
	}
	return emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa)
{
	struct okvm_emulation *e = vcpu->arch->emul;

	if (why == OKVM_EMUL_UD)
		return emul_ud(vcpu);
	emul_begin(e, why, gpa);
	return emul_one(e);
}

/* ---- delivery by software: what hardware does not run it does not deliver to either ---- */

static enum emul_rc deliver_exception(struct okvm_emulation *e, const struct okvm_exception *exc,
				      u8 insn_len)
{
	enum emul_event kind = EMUL_EV_EXCEPTION;
	u64 rip = e->ctx.rip;

	if (exc->vector == X86_TRAP_BP || exc->vector == X86_TRAP_OF) {
		kind = EMUL_EV_SOFT_EXCEPTION;
		rip += insn_len;
	}
	return emul_deliver(&e->ctx, exc->vector, kind, exc->has_error, exc->error_code, rip);
}

static enum emul_rc deliver_injected(struct okvm_emulation *e)
{
	const struct okvm_events *ev = &e->vcpu->arch->ev;
	u64 rip = e->ctx.rip;

	if (ev->exc.injected)
		return deliver_exception(e, &ev->exc, ev->insn_len);
	if (ev->nmi_injected)
		return emul_deliver(&e->ctx, X86_TRAP_NMI, EMUL_EV_EXTERNAL, false, 0, rip);
	if (!ev->irq.soft)
		return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_EXTERNAL, false, 0, rip);
	return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_SOFT, false, 0, rip + ev->insn_len);
}

int okvm_emul_deliver(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	struct okvm_events *ev = &vcpu->arch->ev;
	enum emul_rc rc;

	emul_begin(e, OKVM_EMUL_INVALID_STATE, 0);
	rc = deliver_injected(e);
	if (rc == EMUL_OK)
		emul_store_regs(e);
	if (ev->nmi_injected)
		vcpu->vm->backend->set_nmi_masked(vcpu, true);
	ev->nmi_injected = false;
	ev->irq.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	/* An exception that was being delivered decides what the new one becomes. */
	if (rc == EMUL_FAULT)
		return emul_faulted(e);
	ev->exc.injected = false;
	return rc == EMUL_OK ? OKVM_RESUME : emul_failed(e);
}

int okvm_emul_task_switch(struct okvm_vcpu *vcpu, struct emul_task *task, u32 back)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	enum emul_rc rc;

	emul_begin(e, OKVM_EMUL_OTHER, 0);
	e->ctx.rip = back;
	rc = emul_task_switch(&e->ctx, task);
	if (!task->switched)
		e->ctx.rip = okvm_rip(vcpu);
	/* With the switch an event has been delivered, whatever the new task meets. */
	if (task->switched)
		vcpu->arch->ev.exc.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (rc == EMUL_FAULT)
		return emul_faulted(e);
	if (rc != EMUL_OK)
		return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, NULL);
	emul_store_regs(e);
	return OKVM_RESUME;
}
