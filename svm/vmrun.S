/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into the guest and back.
 *
 * The general registers are at the address in the first argument, in the order of their machine
 * encoding (struct okvm_arch_vcpu begins with them). RAX, RSP, RIP and RFLAGS are in the VMCB.
 *
 * From CLGI to STGI neither interrupts nor NMIs come: between the two VMLOADs FS, GS and TR are the
 * guest's. VMRUN needs RFLAGS.IF, so that a host's interrupt ends the guest's run (APM
 * "Virtualizing RFLAGS.IF"); STI stands far from it, because the shadow that STI casts would reach
 * into the guest.
 */
#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

#define GPR(n)		((n) * 8)
#define RCX_		GPR(1)
#define RDX_		GPR(2)
#define RBX_		GPR(3)
#define RBP_		GPR(5)
#define RSI_		GPR(6)
#define RDI_		GPR(7)

/* struct svm_frame; svm/vmcb.h asserts the offsets. */
#define FRAME_VMCB		0
#define FRAME_HOST		8
#define FRAME_FLAGS		16
#define FRAME_GUEST_SPEC	24
#define FRAME_HOST_SPEC		32
#define F_SPEC			1
#define F_SPEC_SAVE		2

	.section .noinstr.text, "ax"

/*
 * int svm_enter(unsigned long *gpr, struct svm_frame *frame)
 *
 * Return: 0 after an exit; 1, with the guest as it was, if SVM is off.
 */
SYM_FUNC_START(svm_enter)
	push %rbp
	mov %rsp, %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rsi
	push %rdi

.Lclgi:
	clgi
	_ASM_EXTABLE(.Lclgi, .Loff)
	sti

	testb $F_SPEC, FRAME_FLAGS(%rsi)
	jz .Lspec_loaded
	/* No return and no indirect branch from here to the entry. */
	mov FRAME_GUEST_SPEC(%rsi), %eax
	cmp FRAME_HOST_SPEC(%rsi), %eax
	je .Lspec_loaded
	mov FRAME_GUEST_SPEC + 4(%rsi), %edx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_loaded:

	mov FRAME_VMCB(%rsi), %rax
	mov RCX_(%rdi), %rcx
	mov RDX_(%rdi), %rdx
	mov RBX_(%rdi), %rbx
	mov RBP_(%rdi), %rbp
	mov RSI_(%rdi), %rsi
	mov GPR(8)(%rdi), %r8
	mov GPR(9)(%rdi), %r9
	mov GPR(10)(%rdi), %r10
	mov GPR(11)(%rdi), %r11
	mov GPR(12)(%rdi), %r12
	mov GPR(13)(%rdi), %r13
	mov GPR(14)(%rdi), %r14
	mov GPR(15)(%rdi), %r15
	mov RDI_(%rdi), %rdi

	vmload %rax
#ifdef VM_CLEAR_CPU_BUFFERS
	VM_CLEAR_CPU_BUFFERS
#endif
	vmrun %rax
	vmsave %rax

	/* RAX and RSP are the host's again, every other register is still the guest's. */
	mov 8(%rsp), %rax
	mov FRAME_HOST(%rax), %rax
	vmload %rax
	mov (%rsp), %rax
	mov %rcx, RCX_(%rax)
	mov %rdx, RDX_(%rax)
	mov %rbx, RBX_(%rax)
	mov %rbp, RBP_(%rax)
	mov %rsi, RSI_(%rax)
	mov %rdi, RDI_(%rax)
	mov %r8, GPR(8)(%rax)
	mov %r9, GPR(9)(%rax)
	mov %r10, GPR(10)(%rax)
	mov %r11, GPR(11)(%rax)
	mov %r12, GPR(12)(%rax)
	mov %r13, GPR(13)(%rax)
	mov %r14, GPR(14)(%rax)
	mov %r15, GPR(15)(%rax)

	/* Nothing the guest chose may be used speculatively by what follows. */
	xor %ecx, %ecx
	xor %edx, %edx
	xor %ebx, %ebx
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

	/* Before the first return: the guest filled the return stack. */
#ifdef UNTRAIN_RET_VM
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT
#else
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
#endif

	pop %rdi
	pop %rsi
	testb $F_SPEC, FRAME_FLAGS(%rsi)
	jz .Lspec_restored
	testb $F_SPEC_SAVE, FRAME_FLAGS(%rsi)
	jz .Lspec_saved
	mov $MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov %eax, FRAME_GUEST_SPEC(%rsi)
	mov %edx, FRAME_GUEST_SPEC + 4(%rsi)
.Lspec_saved:
	mov FRAME_HOST_SPEC(%rsi), %eax
	cmp FRAME_GUEST_SPEC(%rsi), %eax
	je .Lspec_restored
	mov FRAME_HOST_SPEC + 4(%rsi), %edx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_restored:

	/* Predictions of returns that the guest trained: before the first return. */
#ifdef UNTRAIN_RET_VM
	UNTRAIN_RET_VM
#else
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
#endif
	cli
	stgi
	xor %eax, %eax
.Lreturn:
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET

.Loff:
	pop %rdi
	pop %rsi
	mov $1, %eax
	jmp .Lreturn
SYM_FUNC_END(svm_enter)
