/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMRUN and #VMEXIT.
 *
 * The first argument points to the guest's general registers, in the order of their machine
 * encoding (struct okvm_arch_vcpu begins with them). RAX, RSP, RIP and RFLAGS are in the VMCB.
 *
 * CLGI holds interrupts and NMIs pending until STGI, because FS, GS and TR are the guest's between
 * the two VMLOADs. RFLAGS.IF must be 1 at VMRUN: then physical interrupts cause #VMEXIT (APM
 * "Virtualizing RFLAGS.IF"). STI must not directly precede VMRUN: the guest would inherit STI's
 * interrupt shadow.
 */
#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

#include "core/compat.h"
#include "x86/gpr_asm.h"

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
 * Return: 0 after a #VMEXIT; 1, with the guest's state unchanged, if SVM is off.
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
	/* Until VMRUN, execute no return or indirect branch: SPEC_CTRL has the guest's value. */
	mov FRAME_GUEST_SPEC(%rsi), %eax
	cmp FRAME_HOST_SPEC(%rsi), %eax
	je .Lspec_loaded
	mov FRAME_GUEST_SPEC + 4(%rsi), %edx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_loaded:

	mov FRAME_VMCB(%rsi), %rax
	LOAD_GUEST_RCX_TO_RSI %rdi
	LOAD_GUEST_R8_TO_R15 %rdi
	mov RDI_(%rdi), %rdi

	vmload %rax
	OKVM_CLEAR_BUFFERS
	vmrun %rax
	vmsave %rax

	/* #VMEXIT has restored the host's RAX and RSP. The other registers are the guest's. */
	mov 8(%rsp), %rax
	mov FRAME_HOST(%rax), %rax
	vmload %rax
	mov (%rsp), %rax
	SAVE_GUEST_REGS_BUT_RAX %rax

	xor %ebx, %ebx
	CLEAR_GUEST_REGS_BUT_RAX_RBX

	/* Refill the return stack buffer, which holds the guest's entries, before the first RET. */
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

	/* Before the first return, remove return predictions that the guest has trained. */
	OKVM_UNTRAIN_RETURNS
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

#if !OKVM_HAS_KVM_HELPERS
	.text

/* void okvm_write_ibpb(void) */
SYM_FUNC_START(okvm_write_ibpb)
	OKVM_WRITE_IBPB
	RET
SYM_FUNC_END(okvm_write_ibpb)
#endif
