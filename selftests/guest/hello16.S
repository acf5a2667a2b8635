/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The smallest guest: real mode, flat, loaded and started at 0x1000. Prints a line at the serial
 * port and halts, which without interrupt controllers ends the VMM with status 0.
 *
 *   okvm-run --flat build/guest/hello16.bin
 */
	.code16
	.globl	_start
_start:
	movw	$0x3f8, %dx
	movw	$message, %si
	cld
1:	cs lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	hlt
	jmp	2b

message:
	.asciz	"Hello from real mode.\n"
