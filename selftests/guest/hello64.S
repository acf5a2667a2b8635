/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hello in 64-bit long mode. Prints the hypervisor's signature too: CPUID leaf 0x40000000 holds
 * "KVMKVMKVM" in ebx, ecx, edx.
 *
 *   okvm-run --flat build/guest/hello64.bin --mode long
 */
	.code64
	.globl	_start
_start:
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, signature(%rip)
	movl	%ecx, signature+4(%rip)
	movl	%edx, signature+8(%rip)
	leaq	message(%rip), %rsi
	movw	$0x3f8, %dx
	cld
1:	lodsb
	cmpb	$0xff, %al
	je	2f
	testb	%al, %al
	jz	1b
	outb	%al, %dx
	jmp	1b
2:	xorl	%eax, %eax
	outb	%al, $0xf4
3:	hlt
	jmp	3b

message:
	.ascii	"Hello from long mode on "
signature:
	.fill	12, 1, 0
	.ascii	"\n\377"
