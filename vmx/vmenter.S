/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM entry and VM exit.
 *
 * The first argument points to the guest's general registers, in the order of their machine
 * encoding (struct okvm_arch_vcpu begins with them). RSP, RIP and RFLAGS are in the VMCS.
 */
#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/frame.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "x86/gpr_asm.h"

/* struct vmx_frame; vmx/vmcs.h asserts the offsets. */
#define FRAME_HOST_RSP		0
#define FRAME_FLAGS		8
#define FRAME_GUEST_SPEC	16
#define FRAME_HOST_SPEC		24
#define F_LAUNCHED		0
#define F_SPEC			1
#define F_SPEC_SAVE		2

#define VMCS_HOST_RSP		0x6c14

	.section .noinstr.text, "ax"

/*
 * int vmx_enter(unsigned long *gpr, struct vmx_frame *frame)
 *
 * Return: 0 after a VM exit, 1 if the entry failed without one.
 */
SYM_FUNC_START(vmx_enter)
	push %rbp
	mov %rsp, %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rsi
	push %rdi

	cmp %rsp, FRAME_HOST_RSP(%rsi)
	je .Lrsp_done
	mov $VMCS_HOST_RSP, %eax
.Lwrite_rsp:
	vmwrite %rsp, %rax
	jna .Lfailed
	_ASM_EXTABLE(.Lwrite_rsp, .Lfailed)
	mov %rsp, FRAME_HOST_RSP(%rsi)
.Lrsp_done:

	mov FRAME_FLAGS(%rsi), %ebx
	test $(1 << F_SPEC), %bl
	jz .Lspec_loaded
	/* Until VM entry, execute no return or indirect branch: SPEC_CTRL has the guest's value. */
	mov FRAME_GUEST_SPEC(%rsi), %eax
	cmp FRAME_HOST_SPEC(%rsi), %eax
	je .Lspec_loaded
	mov FRAME_GUEST_SPEC + 4(%rsi), %edx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_loaded:

	mov %rdi, %rax
	/* CF chooses VMRESUME or VMLAUNCH below. The following instructions keep CF. */
	bt $F_LAUNCHED, %ebx
	LOAD_GUEST_RCX_TO_RSI %rax
	mov RDI_(%rax), %rdi
	LOAD_GUEST_R8_TO_R15 %rax
	mov RAX_(%rax), %rax

	/*
	 * CLEAR_CPU_BUFFERS executes VERW, which changes only ZF, so CF is kept. It is switched on
	 * by the feature bit that the kernel sets for Intel CPUs. Do not use the kernel's macro for
	 * VM entries: in older kernels only a bit for AMD CPUs switches it on.
	 */
	CLEAR_CPU_BUFFERS

	jnc .Llaunch
	UNWIND_HINT_SAVE
.Lresume:
	vmresume
	jmp .Lfailed
.Llaunch:
	vmlaunch
	jmp .Lfailed
	_ASM_EXTABLE(.Lresume, .Lfailed)
	_ASM_EXTABLE(.Llaunch, .Lfailed)

/* VM exits continue here (HOST_RIP). RSP is HOST_RSP; other general registers are the guest's. */
SYM_INNER_LABEL(vmx_exited, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR
	push %rax
	mov 8(%rsp), %rax
	pop RAX_(%rax)
	SAVE_GUEST_REGS_BUT_RAX %rax
	xor %ebx, %ebx

.Lclear:
	xor %eax, %eax
	CLEAR_GUEST_REGS_BUT_RAX_RBX

	/* Refill the return stack buffer, which holds the guest's entries, before the first RET. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE

	pop %rdi
	pop %rsi
	testb $(1 << F_SPEC), FRAME_FLAGS(%rsi)
	jz .Lspec_restored
	testb $(1 << F_SPEC_SAVE), FRAME_FLAGS(%rsi)
	jz .Lspec_saved
	mov $MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov %eax, FRAME_GUEST_SPEC(%rsi)
	mov %edx, FRAME_GUEST_SPEC + 4(%rsi)
.Lspec_saved:
	mov FRAME_HOST_SPEC(%rsi), %eax
	/*
	 * Write the host's value if it differs from the guest's. If the kernel uses IBRS on kernel
	 * entry, always write it: then the write itself is needed as a barrier.
	 */
	ALTERNATIVE "", "jmp .Lspec_write", X86_FEATURE_KERNEL_IBRS
	cmp FRAME_GUEST_SPEC(%rsi), %eax
	je .Lspec_restored
.Lspec_write:
	mov FRAME_HOST_SPEC + 4(%rsi), %edx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_restored:
	/* Later branches must not execute speculatively before SPEC_CTRL is restored. */
	ALTERNATIVE "", "lfence", X86_FEATURE_MSR_SPEC_CTRL

	CLEAR_BRANCH_HISTORY_VMEXIT

	mov %ebx, %eax
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET

.Lfailed:
	mov $1, %ebx
	jmp .Lclear
SYM_FUNC_END(vmx_enter)

	.section .text, "ax"

/*
 * Each vector has a stub that executes INT n. vmx_host_interrupt() calls the stub, because the exit
 * has only acknowledged the interrupt at the local APIC: the kernel's handler still has to run, as
 * if the interrupt had been delivered.
 */
	.balign 16
SYM_CODE_START_NOALIGN(vmx_int_stubs)
	vector = 0
	.rept 256
	UNWIND_HINT_FUNC
	.balign 16
	ENDBR
	.byte 0xcd, vector
	RET
	vector = vector + 1
	.endr
SYM_CODE_END(vmx_int_stubs)

	.text

/* vmcs_failed_thunk(unsigned long field, bool write): call vmcs_failed(), preserve registers */
SYM_FUNC_START(vmcs_failed_thunk)
	FRAME_BEGIN
	push %rax
	push %rcx
	push %rdx
	push %r8
	push %r9
	push %r10
	push %r11
	call vmcs_failed
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdx
	pop %rcx
	pop %rax
	FRAME_END
	RET
SYM_FUNC_END(vmcs_failed_thunk)
