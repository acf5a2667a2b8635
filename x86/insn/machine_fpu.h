/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulator's access to the guest's vector and x87 registers. All functions are called during
 * KVM_RUN.
 */
#ifndef OKVM_X86_INSN_MACHINE_FPU_H
#define OKVM_X86_INSN_MACHINE_FPU_H

#include "x86/emul/emul.h"

void okvm_vec_get(enum emul_vec file, unsigned int nr, void *buf);
void okvm_vec_set(enum emul_vec file, unsigned int nr, const void *buf);
/** okvm_fx_get() - Read the guest's x87 and SSE state */
void okvm_fx_get(struct emul_fx *fx);
void okvm_fx_set(const struct emul_fx *fx);
/**
 * okvm_fx_run() - Execute an x87 data move on the x87 registers in @fx
 * @fx: the x87 registers; the function updates them
 * @live: buffer for the CPU's own registers during the instruction
 * @data: the instruction's memory operand
 * Return: false if the opcode is not supported
 */
bool okvm_fx_run(struct emul_fx *fx, struct emul_fx *live, u8 opcode, u8 modrm, void *data);
/**
 * okvm_x87() - Execute an x87 control instruction on the guest's x87 state
 * @val: the value that the instruction reads or stores; NULL if there is none
 * Return: 0, or the vector of the exception that the instruction raises
 */
int okvm_x87(enum emul_fpuop op, u32 *val);

#endif /* OKVM_X86_INSN_MACHINE_FPU_H */
