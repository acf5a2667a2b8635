/* SPDX-License-Identifier: GPL-2.0-only */
/* Execute instructions in place of hardware: by the emulator, or directly for simple IN and OUT. */
#ifndef OKVM_X86_INSN_INSN_H
#define OKVM_X86_INSN_INSN_H

#include "x86/x86.h"

/** enum okvm_emul_why - why an instruction is emulated */
enum okvm_emul_why {
	/*
	 * VM exit for an access to an address without memory, or for a write to a shadowed page
	 * table
	 */
	OKVM_EMUL_MMIO,
	/*
	 * VM exit for a read from an address without memory; the guest's page tables may forbid
	 * writes
	 */
	OKVM_EMUL_MMIO_READ,
	OKVM_EMUL_PIO,		/* string I/O or other complex port I/O */
	OKVM_EMUL_INVALID_STATE,	/* hardware cannot run the guest's state */
	/* #UD: possibly an instruction of the other vendor, or the forced-emulation prefix */
	OKVM_EMUL_UD,
	OKVM_EMUL_OTHER,	/* another VM exit, such as a descriptor-table access */
	/*
	 * hardware can execute the instruction, too: it does so if the emulator does not know the
	 * instruction
	 */
	OKVM_EMUL_NATIVE,
	OKVM_EMUL_DELIVERY,	/* no instruction: delivery of an event, or a task switch */
};

/** okvm_emul_create() - Allocate vcpu->arch->emul. Return: 0 or -ENOMEM */
int okvm_emul_create(struct okvm_vcpu *vcpu);
void okvm_emul_destroy(struct okvm_vcpu *vcpu);
/**
 * okvm_emulate() - Emulate the instruction at RIP, under vm->srcu, IRQs on.
 * @gpa: guest-physical address from the VM exit, if @why is about an access
 * Return: enum okvm_outcome
 */
int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa);
/**
 * okvm_emulate_known() - Emulate the instruction at RIP if it is a MOV that okvm has decoded before
 * @gpa: address of a device, from the VM exit
 * @may_write: emulate a MOV to @gpa, too: the guest's page tables allow writes there
 * @outcome: set if the MOV was emulated
 *
 * The caller holds vm->srcu, with IRQs on.
 * Return: true if the MOV was emulated; false if nothing was done
 */
bool okvm_emulate_known(struct okvm_vcpu *vcpu, gpa_t gpa, bool may_write, int *outcome);
/**
 * okvm_emulate_if_known() - Emulate the instruction at RIP, if the emulator knows it
 * @outcome: set if the instruction was emulated
 *
 * The caller holds vm->srcu, with IRQs on.
 * Return: false if the emulator does not know the instruction: the caller lets hardware execute it
 */
bool okvm_emulate_if_known(struct okvm_vcpu *vcpu, int *outcome);
/**
 * okvm_known_mov_cr() - Get the general register of the MOV to or from CR at RIP
 * @nr: number of the control register, as the VM exit reports it. (QEMU 10's TCG always reports CR0
 *	for a MOV from CR.)
 * @write: the VM exit reports a MOV to CR
 * @reg: set to the number of the general register, if okvm has decoded this MOV before
 *
 * The caller holds vm->srcu.
 * Return: length of the MOV; 0 if okvm has not decoded it before
 */
unsigned int okvm_known_mov_cr(struct okvm_vcpu *vcpu, unsigned int nr, bool write,
			       unsigned int *reg);
/**
 * okvm_insn_len() - Decode the instruction at RIP, whose length hardware does not report
 *
 * The caller holds vm->srcu, with IRQs on. Return: the length; 0 if decoding fails, for example
 * because another CPU has changed the instruction since the VM exit
 */
unsigned int okvm_insn_len(struct okvm_vcpu *vcpu);
/** okvm_int_len() - Return the length of the INT n at RIP; 0 if RIP is not at an INT n */
unsigned int okvm_int_len(struct okvm_vcpu *vcpu);
/**
 * okvm_emul_deliver() - Deliver by software the event that is marked as injected
 *
 * Called if hardware cannot run the guest's state, under vm->srcu, with IRQs on.
 * Return: enum okvm_outcome
 */
int okvm_emul_deliver(struct okvm_vcpu *vcpu);
/**
 * okvm_task_switch() - Execute a task switch, which hardware leaves to software
 * @selector: selector of the new TSS
 * @source: SDM "Exit Qualification for Task Switches": 0 CALL, 1 IRET, 2 JMP, 3 task gate
 * @insn_len: length of the instruction that switches tasks: the old task will continue after this
 *	instruction; 0 for an exception, interrupt or NMI, which is marked as injected
 * @error: error code to push, or NULL
 *
 * The caller holds vm->srcu, with IRQs on. Return: enum okvm_outcome
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
 * The caller holds vm->srcu, with IRQs on. Return: enum okvm_outcome
 */
int okvm_pio(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in, unsigned int insn_len);
/**
 * okvm_pio_fast() - Handle IN or OUT of one item with IRQs off, by an in-kernel device
 * Return: true if done; the caller skips the instruction. False: nothing has changed
 */
bool okvm_pio_fast(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in);
/**
 * okvm_pio_user() - Let userspace do the port access in vcpu->arch->pio.
 * Return: enum okvm_outcome
 */
int okvm_pio_user(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_INSN_INSN_H */
