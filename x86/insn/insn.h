/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions that hardware does not execute: emulation and port I/O. */
#ifndef OKVM_X86_INSN_INSN_H
#define OKVM_X86_INSN_INSN_H

#include "x86/x86.h"

/** enum okvm_emul_why - why an instruction is emulated; decides how a failure is handled */
enum okvm_emul_why {
	/* access to an address without memory, or write to a page table that is shadowed */
	OKVM_EMUL_MMIO,
	/* read from an address without memory; write access was not checked */
	OKVM_EMUL_MMIO_READ,
	OKVM_EMUL_PIO,		/* string I/O or other complex port I/O */
	OKVM_EMUL_INVALID_STATE,	/* hardware cannot run the guest's state */
	/* #UD: possibly an instruction of the other vendor, or the forced-emulation prefix */
	OKVM_EMUL_UD,
	OKVM_EMUL_OTHER,	/* another VM exit, such as a descriptor-table access */
	/*
	 * not required: hardware can execute the instruction. If the emulator does not know it,
	 * okvm enters the guest at the instruction
	 */
	OKVM_EMUL_NATIVE,
	OKVM_EMUL_DELIVERY,	/* no instruction: delivery of an event, or a task switch */
};

/** okvm_emul_create() - Allocate vcpu->arch->emul. Return: 0 or -ENOMEM */
int okvm_emul_create(struct okvm_vcpu *vcpu);
void okvm_emul_destroy(struct okvm_vcpu *vcpu);
/** okvm_emulate() - Emulate the instruction at RIP; vm->srcu held, IRQs on. Return: outcome */
int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa);
/**
 * okvm_emulate_known() - Execute a plain MOV to or from a device if it was emulated at RIP before
 * @may_write: the guest's page tables have been checked for write access; if false, the MOV may
 *	only read
 *
 * vm->srcu is held and IRQs are on. Return: false if no such MOV is at RIP; nothing has changed
 * then
 */
bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, bool may_write, int *outcome);
/**
 * okvm_emulate_if_known() - Emulate an instruction that hardware could execute as well
 *
 * vm->srcu is held and IRQs are on. Return: false if the emulator does not know the instruction;
 * nothing has changed then
 */
bool okvm_emulate_if_known(struct okvm_vcpu *vcpu, int *outcome);
/**
 * okvm_known_mov_cr() - Get the operand register of a MOV to or from CR that was emulated before
 *
 * vm->srcu is held. Return: length of the instruction; 0 if another one is at RIP
 */
unsigned int okvm_known_mov_cr(struct okvm_vcpu *vcpu, unsigned int *reg);
/**
 * okvm_insn_len() - Return the length of the instruction at RIP, if hardware does not report it
 *
 * vm->srcu is held and IRQs are on. Return: 0 if another CPU has changed the instruction since the
 * VM exit
 */
unsigned int okvm_insn_len(struct okvm_vcpu *vcpu);
/** okvm_int_len() - Return the length of the INT n at RIP; 0 if another instruction is there */
unsigned int okvm_int_len(struct okvm_vcpu *vcpu);
/**
 * okvm_emul_deliver() - Deliver by software the event that is marked as injected
 *
 * Called if hardware cannot run the guest's state; vm->srcu held, IRQs on. Return: outcome
 */
int okvm_emul_deliver(struct okvm_vcpu *vcpu);
/**
 * okvm_task_switch() - Execute a task switch, which hardware leaves to software
 * @selector: selector of the new TSS
 * @source: SDM "Exit Qualification for Task Switches": 0 CALL, 1 IRET, 2 JMP, 3 task gate
 * @insn_len: length of the instruction that switches: the old task continues after it; 0 for an
 *	exception, interrupt or NMI, which is marked as injected
 * @error: error code to push, or NULL
 *
 * vm->srcu is held and IRQs are on. Return: outcome
 */
int okvm_task_switch(struct okvm_vcpu *vcpu, u16 selector, int source, unsigned int insn_len,
		     const u32 *error);

/** okvm_pio_trace() - Emit the tracepoint kvm_pio; @data contains at least the first item */
void okvm_pio_trace(u16 port, unsigned int size, u32 count, const void *data, bool in);

/**
 * okvm_pio() - Handle a VM exit for IN or OUT of one item
 * @size: 1, 2 or 4 bytes
 * @insn_len: length of the instruction in bytes
 *
 * vm->srcu is held and IRQs are on. Return: outcome
 */
int okvm_pio(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in, unsigned int insn_len);
/**
 * okvm_pio_fast() - Handle IN or OUT of one item with IRQs off, by an in-kernel device
 * Return: true if done; the caller skips the instruction. False: nothing has changed
 */
bool okvm_pio_fast(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in);
/** okvm_pio_user() - Let userspace do the port access in vcpu->arch->pio. Return: outcome */
int okvm_pio_user(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_INSN_INSN_H */
