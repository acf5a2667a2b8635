/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Macros that load and save the guest's general registers. A macro's argument is a register that
 * holds the address of vcpu->arch->gpr[]. The array has the order of the machine encoding.
 */
#ifndef OKVM_X86_GPR_ASM_H
#define OKVM_X86_GPR_ASM_H

#ifdef __ASSEMBLY__

#define GPR(n)		((n) * 8)
#define RAX_		GPR(0)
#define RCX_		GPR(1)
#define RDX_		GPR(2)
#define RBX_		GPR(3)
#define RBP_		GPR(5)
#define RSI_		GPR(6)
#define RDI_		GPR(7)

/*
 * The next two macros load all registers except RAX, RDI and RSP. The caller loads RAX and RDI
 * itself.
 */
.macro LOAD_GUEST_RCX_TO_RSI from:req
	mov RCX_(\from), %rcx
	mov RDX_(\from), %rdx
	mov RBX_(\from), %rbx
	mov RBP_(\from), %rbp
	mov RSI_(\from), %rsi
.endm

.macro LOAD_GUEST_R8_TO_R15 from:req
	mov GPR(8)(\from), %r8
	mov GPR(9)(\from), %r9
	mov GPR(10)(\from), %r10
	mov GPR(11)(\from), %r11
	mov GPR(12)(\from), %r12
	mov GPR(13)(\from), %r13
	mov GPR(14)(\from), %r14
	mov GPR(15)(\from), %r15
.endm

.macro SAVE_GUEST_REGS_BUT_RAX to:req
	mov %rcx, RCX_(\to)
	mov %rdx, RDX_(\to)
	mov %rbx, RBX_(\to)
	mov %rbp, RBP_(\to)
	mov %rsi, RSI_(\to)
	mov %rdi, RDI_(\to)
	mov %r8, GPR(8)(\to)
	mov %r9, GPR(9)(\to)
	mov %r10, GPR(10)(\to)
	mov %r11, GPR(11)(\to)
	mov %r12, GPR(12)(\to)
	mov %r13, GPR(13)(\to)
	mov %r14, GPR(14)(\to)
	mov %r15, GPR(15)(\to)
.endm

/* Clear registers that hold guest values, so that no host code uses the values speculatively. */
.macro CLEAR_GUEST_REGS_BUT_RAX_RBX
	xor %ecx, %ecx
	xor %edx, %edx
	xor %ebp, %ebp
	xor %esi, %esi
	xor %edi, %edi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
.endm

#endif /* __ASSEMBLY__ */

#endif /* OKVM_X86_GPR_ASM_H */
