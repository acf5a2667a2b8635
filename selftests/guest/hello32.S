/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hello in 32-bit protected mode without paging. Ends with the exit status 42 by way of port 0xf4.
 *
 *   okvm-run --flat build/guest/hello32.bin --mode protected; echo $?
 */
	.code32
	.globl	_start
_start:
	movw	$0x3f8, %dx
	movl	$message, %esi
	movl	$length, %ecx
	cld
	rep outsb		/* string I/O: one exit for all of it, or one per byte */
	movb	$42, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b

message:
	.ascii	"Hello from protected mode.\n"
	.set	length, . - message
