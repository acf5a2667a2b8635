// SPDX-License-Identifier: GPL-2.0-only
/* Exits for #UD: instructions of the other vendor, and the forced-emulation prefix. */
#include <linux/moduleparam.h>
#include <linux/mm.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "core/guestmem.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/emulation.h"

/* Bits of the module parameter force_emulation_prefix. If no bit is set, the prefix raises #UD. */
#define FORCE_PREFIX	BIT(0)
#define FORCE_CLEARS_RF	BIT(1)	/* clear RF, so that breakpoints at the instruction hit */

static unsigned int force_emulation_prefix;
module_param(force_emulation_prefix, uint, 0644);
MODULE_PARM_DESC(force_emulation_prefix,
		 "emulate the instruction behind UD2 and the letters kvm: 0 no, 1 yes, 3 with RFLAGS.RF cleared (default 0)");

static const u8 emul_prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };

/*
 * Replace the other vendor's hypercall instruction by this vendor's, which the CPU then executes.
 * If userspace has disabled the quirk FIX_HYPERCALL_INSN, raise #UD instead. okvm writes the new
 * bytes as the guest would: through the guest's page tables, page by page, at the instruction's
 * CPL. If this write faults, the guest gets the #PF.
 */
static int emul_patch_hypercall(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	enum emul_rc rc;

	if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN)) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	/* As in upstream: VMCALL in user mode raises #GP. VMMCALL is patched at every CPL. */
	if (e->ctx.insn.modrm == MODRM_VMCALL && e->ctx.cpl) {
		okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return OKVM_RESUME;
	}
	rc = okvm_emul_ops.write(&e->ctx, okvm_linear_rip(vcpu), vcpu->arch->ops->hypercall,
				 sizeof(vcpu->arch->ops->hypercall), EMUL_DATA, e->ctx.cpl);
	/*
	 * The write was given up, possibly after its first page. Return to the guest: the CPU
	 * executes the instruction again.
	 */
	if (okvm_emul_raced(e))
		return okvm_emul_anew(e);
	if (rc != EMUL_OK)
		return okvm_emul_outcome(e, rc);
	e->ctx.out = EMUL_OUT_AGAIN;
	return okvm_emul_finish(e);
}

/*
 * Return true if the forced-emulation prefix is at RIP. If it returns false, okvm_emul_raced()
 * tells whether the read was given up.
 */
static bool emul_is_forced(struct okvm_emulation *e)
{
	unsigned long la = okvm_linear_rip(e->vcpu);
	unsigned int i;
	u8 byte;

	okvm_emul_begin(e, OKVM_EMUL_UD, 0);
	for (i = 0; i < sizeof(emul_prefix); i++) {
		if (okvm_emul_ops.fetch(&e->ctx, la + i, &byte, 1, e->ctx.cpl) != EMUL_OK ||
		    byte != emul_prefix[i])
			return false;
	}
	return true;
}

/* Return the DR6 bits of the execution breakpoints that @dr7 enables at linear address @la. */
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

bool okvm_emul_at_breakpoint(struct okvm_vcpu *vcpu, int *outcome)
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
	    vcpu->arch->event_ops->get_irq_shadow(vcpu) & OKVM_IRQ_SHADOW_MOV_SS)
		return false;
	hit = emul_breakpoints(arch->db, arch->dr7, la);
	if (hit) {
		okvm_queue_db(vcpu, hit);
		*outcome = OKVM_RESUME;
	}
	return hit;
}

/* Emulate the instruction after the forced-emulation prefix, which is at RIP. */
static int emul_forced(struct okvm_emulation *e, bool clear_rf)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	unsigned long prefix = okvm_rip(vcpu), rip = prefix + sizeof(emul_prefix);
	int outcome;

	e->forced_rip = prefix;
	if (clear_rf)
		okvm_rflags_set(vcpu, okvm_rflags(vcpu) & ~X86_EFLAGS_RF);
	okvm_rip_set(vcpu, okvm_cs_64bit(vcpu) ? rip : (u32)rip);
	/* Look for a breakpoint after the prefix: the CPU has looked for one only at the prefix. */
	if (okvm_emul_at_breakpoint(vcpu, &outcome))
		return outcome;
	okvm_emul_begin(e, OKVM_EMUL_UD, 0);
	e->forced = true;
	if (emul_decode(&e->ctx) != EMUL_OK) {
		if (okvm_emul_raced(e))
			return okvm_emul_anew(e);
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		return OKVM_RESUME;
	}
	vcpu->stat[OKVM_STAT_EMULATED]++;
	if (emul_is_hypercall(&e->ctx))
		return emul_patch_hypercall(e);
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emul_ud(struct okvm_vcpu *vcpu)
{
	unsigned int force = READ_ONCE(force_emulation_prefix);
	struct okvm_emulation *e = vcpu->arch->emul;

	if (force & FORCE_PREFIX) {
		if (emul_is_forced(e))
			return emul_forced(e, force & FORCE_CLEARS_RF);
		if (okvm_emul_raced(e))
			return OKVM_RESUME;
	}
	okvm_emul_begin(e, OKVM_EMUL_UD, 0);
	if (emul_decode_call(&e->ctx) == EMUL_OK) {
		if (emul_is_hypercall(&e->ctx))
			return emul_patch_hypercall(e);
		if (emul_is_syscall(&e->ctx))
			return okvm_emul_outcome(e, emul_exec(&e->ctx));
	}
	if (okvm_emul_raced(e))
		return OKVM_RESUME;
	okvm_queue_exception(vcpu, X86_TRAP_UD);
	return OKVM_RESUME;
}
