/* SPDX-License-Identifier: GPL-2.0-only */
/* okvm-bench, guest side: the first byte of the blob. The VMM has set the stack and rdi. */
	.section .text.entry, "ax"
	.globl	_start
_start:
	cld
	call	guest_main
1:	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
