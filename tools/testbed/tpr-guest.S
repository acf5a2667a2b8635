/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector for QEMU with the looks of 32-bit Windows: code and data from 2 GB up, an APIC that
 * is reached by absolute addresses, FS at a block that has its own address in word 0x1c and the
 * CPU's number in byte 0x51. QEMU's kvmvapic therefore patches the instructions that access the
 * task priority.
 *
 * The guest raises and lowers the priority 512 times and reads it back. In every 32nd round it
 * sends an interrupt to itself, which must wait while the priority is high, and come once the
 * priority is low. At the end the guest says on the serial port what it has seen, and a triple
 * fault ends QEMU (-no-reboot).
 *
 * Build: gcc -m32 -nostdlib -static -Wl,--build-id=none,-Ttext=0x7c00,--oformat=binary
 */
#define HIGH	0x80000000
#define BLOCK	0x20000
#define TPR	0xfee00080
#define EOI	0xfee000b0
#define SPURIOUS 0xfee000f0
#define ICR	0xfee00300
#define VECTOR	0x61
#define ROUNDS	512

	.code16
	.globl _start
_start:
	ljmp	$0, $1f
1:	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $protected

	.code32
protected:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	/* Pages of 4 MB: 256 MB at 0 and at HIGH, and the APIC where it is. */
	movl	$0x10000, %edi
	xorl	%eax, %eax
	movl	$0x8000, %ecx
	rep stosl
	movl	$0x10000, %edi
	movl	$0x83, %eax
1:	movl	%eax, (%edi)
	movl	%eax, 512 * 4(%edi)
	addl	$4, %edi
	addl	$0x400000, %eax
	cmpl	$0x10000083, %eax
	jne	1b
	movl	$0xfec00093, 0x10000 + 0x3fb * 4
	/* The block of the CPU, whose number is 0. */
	movl	$HIGH + BLOCK, BLOCK + 0x1c
	/* The gate of the interrupt. */
	movl	$0x80000 + (interrupt - _start) + 0x7c00, 0x18000 + VECTOR * 8
	movl	$0x80008e00, 0x18000 + VECTOR * 8 + 4
	movl	$0x10000, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orb	$0x10, %al
	movl	%eax, %cr4
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	lidtl	idtr
	movw	$24, %ax
	movw	%ax, %fs
	movl	$HIGH + 0x7c00, %esp
	movl	$HIGH + high, %eax
	jmp	*%eax

high:
	/* No interrupts of the PICs: there are no gates for them. */
	movb	$0xff, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movl	$0x1ff, SPURIOUS
	movl	$ROUNDS, %ebp
	xorl	%esi, %esi			/* interrupts */
	sti
again:
	movl	$0x70, %eax
	call	set
	movl	%esi, %edi
	testl	$31, %ebp
	jnz	read
	movl	$0x40000 | VECTOR, ICR		/* to itself */
	nop
	cmpl	%esi, %edi
	jne	failed				/* came too early */
	incl	%edi
read:
	movl	TPR, %ebx			/* 8b 1d: patched */
	cmpl	$0x70, %ebx
	jne	failed
	xorl	%eax, %eax
	call	set
	nop
	cmpl	%esi, %edi
	jne	failed				/* did not come, or came unasked */
	decl	%ebp
	jnz	again
	/* Both instructions are calls now. */
	cmpb	$0xe8, HIGH + set
	jne	failed
	cmpb	$0xe8, HIGH + read + 1
	jne	failed
	movl	$HIGH + good, %esi
say:
	movw	$0x3f8, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	ud2					/* no gate: a triple fault */
failed:
	movl	$HIGH + bad, %esi
	jmp	say

set:
	movl	%eax, TPR			/* a3: patched */
	ret

interrupt:
	incl	%esi
	movl	$0, EOI
	iret

	.balign	4
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff
	.quad	0x00cf92000000ffff
	.quad	0x80cf92020000ffff		/* base HIGH + BLOCK */
gdtr:
	.word	. - gdt - 1
	.long	gdt
idtr:
	.word	0x7ff
	.long	0x18000
good:
	.asciz	"guest: patched\n"
bad:
	.asciz	"guest: failed\n"
	.org	510
	.word	0xaa55
