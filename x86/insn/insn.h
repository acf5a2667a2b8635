/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions that hardware leaves to software: emulation and port I/O. */
#ifndef OKVM_X86_INSN_INSN_H
#define OKVM_X86_INSN_INSN_H

#include "x86/x86.h"

/** enum okvm_emul_why - why an instruction is emulated; decides what a failure becomes */
enum okvm_emul_why {
	OKVM_EMUL_MMIO,		/* guest-physical access without memory; arg is the gpa */
	OKVM_EMUL_MMIO_READ,	/* likewise, of a read; write access was not checked */
	OKVM_EMUL_PIO,		/* string or otherwise complex port I/O */
	OKVM_EMUL_INVALID_STATE,	/* hardware cannot run this guest state */
	/* #UD that may be an instruction of the other vendor, or the forced-emulation prefix */
	OKVM_EMUL_UD,
	OKVM_EMUL_OTHER,	/* descriptor-table exits and the like */
	OKVM_EMUL_NATIVE,	/* hardware could run it as well: okvm_emulate_if_known() */
	OKVM_EMUL_DELIVERY,	/* no instruction: an event is delivered, a task switched */
};

/** okvm_emul_create() - vcpu->arch->emul. Return: 0 or -ENOMEM */
int okvm_emul_create(struct okvm_vcpu *vcpu);
void okvm_emul_destroy(struct okvm_vcpu *vcpu);
/** okvm_emulate() - emulate the instruction at RIP. Return: outcome. vm->srcu held, IRQs on. */
int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa);
/**
 * okvm_emulate_known() - MMIO by a plain MOV that was emulated before, if that stands at RIP still
 * @may_write: else it may only read: the guest's tables were not asked for more
 * Return: false if not: nothing has happened. As okvm_emulate().
 */
bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, bool may_write, int *outcome);
/**
 * okvm_emulate_if_known() - emulate an instruction that hardware could run as well
 * Return: false if the emulator cannot: nothing has happened. As okvm_emulate().
 */
bool okvm_emulate_if_known(struct okvm_vcpu *vcpu, int *outcome);
/**
 * okvm_known_mov_cr() - the operand of a MOV with a control register that was emulated before
 * Return: the instruction's length; 0 if another stands at RIP. vm->srcu held
 */
unsigned int okvm_known_mov_cr(struct okvm_vcpu *vcpu, unsigned int *reg);
/**
 * okvm_insn_len() - of the instruction at RIP, where hardware does not tell
 *
 * As okvm_emulate(). Return: 0 if it cannot be read any more: another CPU has changed it
 */
unsigned int okvm_insn_len(struct okvm_vcpu *vcpu);
/** okvm_int_len() - likewise, if that is INT n; else 0 */
unsigned int okvm_int_len(struct okvm_vcpu *vcpu);
/**
 * okvm_emul_deliver() - deliver by software the event that is marked as injected
 *
 * For state that hardware cannot run. Return: outcome. As okvm_emulate().
 */
int okvm_emul_deliver(struct okvm_vcpu *vcpu);
/**
 * okvm_task_switch() - a task switch that hardware leaves to software
 * @source: SDM "Exit Qualification for Task Switches": 0 CALL, 1 IRET, 2 JMP, 3 task gate
 * @insn_len: of the instruction that makes it, past which the old task goes on; 0 for an
 *	exception, interrupt or NMI, which is marked as injected
 * @error: error code to push, or NULL
 * Return: outcome. vm->srcu held, IRQs on.
 */
int okvm_task_switch(struct okvm_vcpu *vcpu, u16 selector, int source, unsigned int insn_len,
		     const u32 *error);

/** okvm_pio_trace() - kvm_pio; @data: the first item at least */
void okvm_pio_trace(u16 port, unsigned int size, u32 count, const void *data, bool in);

/**
 * okvm_pio() - a non-string IN or OUT exit of @size 1, 2, 4
 * @insn_len: to skip. Return: outcome. IRQs on, vm->srcu held.
 */
int okvm_pio(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in, unsigned int insn_len);
/**
 * okvm_pio_fast() - the same with IRQs off, if an in-kernel device takes it
 * Return: true if done; the caller goes past the instruction. False: nothing happened.
 */
bool okvm_pio_fast(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in);
/**
 * okvm_pio_user() - the same exit, when it is known that no device takes it
 *
 * vcpu->arch->pio describes it.
 */
int okvm_pio_user(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_INSN_INSN_H */
