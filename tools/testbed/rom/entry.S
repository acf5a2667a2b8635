/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The option ROM that starts Linux in Bochs.
 *
 * Bochs loads one image with the boot area, the kernel and the initrd straight into memory
 * (optramimage); the BIOS finds this ROM in its scan, after it has set up PCI, the ACPI tables and
 * the MP table. It asks the BIOS for the memory map, gathers the image, and enters the kernel by
 * the 64-bit boot protocol (Documentation/x86/boot.rst of the kernel, "64-bit boot protocol").
 *
 * Gathering: Bochs hands out its memory in blocks, in the order of their first use, and reads an
 * image as if the blocks were handed out in the order of their addresses. Of an image larger than
 * one block only the first block therefore lies where it should; the rest waits in blocks that
 * have not been handed out yet. So the image begins with a gap larger than all that the BIOS can
 * have used, and this ROM touches page after page from IMAGE on: sooner or later the header turns
 * up, and from there on the image is contiguous.
 *
 * The layout is that of benchlib/direct.py, which must agree with the constants below.
 */
	.set	ROM_BASE,	0xd0000		/* where the bochsrc puts this ROM */
	.set	MAP_SEG,	0x8000		/* scratch in low memory for the BIOS' map */
	.set	ZERO_PAGE,	0x200000	/* begin of the boot area */
	.set	ZP_E820_COUNT,	ZERO_PAGE + 0x1e8
	.set	ZP_RAMDISK,	ZERO_PAGE + 0x218
	.set	ZP_E820_TABLE,	ZERO_PAGE + 0x2d0
	.set	GDT,		0x202000
	.set	PAGE_TABLES,	0x203000	/* identity map of 4 GiB */
	.set	ENTRY,		0x209000	/* pointer to the first instruction */
	.set	STACK,		0x20c000
	.set	BOOT_AREA_SIZE,	0xa000

	.set	IMAGE,		0x8000000	/* where Bochs loads the image */
	.set	IMAGE_LIMIT,	0x10000000	/* header below this */
	.set	IMAGE_MAGIC,	0x6d766b6f	/* "okvm" */
	/* Header, one page: offsets are from its begin, lengths in bytes. */
	.set	HDR_PAGES,	4		/* pages of the image, header included */
	.set	HDR_INITRD,	8		/* offset of the initrd */
	.set	HDR_KERNEL,	12	/* offset, length and destination of the kernel */
	.set	HDR_KERNEL_LEN,	16
	.set	HDR_KERNEL_TO,	20
	.set	HDR_BOOT,	4096		/* the boot area follows the header */

	.set	COM1,		0x3f8
	.set	CS32,		0x08
	.set	CS64,		0x10
	.set	DS32,		0x18

	.set	CR0_PE,		1 << 0
	.set	CR0_PG,		1 << 31
	.set	CR4_PAE,	1 << 5
	.set	MSR_EFER,	0xc0000080
	.set	EFER_LME,	1 << 8

	.section .text, "ax"
	.code16
	.globl	rom_start
rom_start:
	.byte	0x55, 0xaa, 1			/* signature, length in 512-byte units */
	jmp	init16

	.balign	8
gdt:						/* flat segments, accessed; the same as in GDT */
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	0x1f
	.long	ROM_BASE + gdt - rom_start
final_gdt_pointer:
	.word	0x1f
	.long	GDT
idt_pointer:
	.word	0
	.long	0

init16:
	cld
	movw	$MAP_SEG, %ax
	movw	%ax, %es
	xorw	%di, %di
	xorw	%bp, %bp			/* entries so far */
	xorl	%ebx, %ebx			/* the BIOS' continuation value */
next_range:
	movl	$0xe820, %eax
	movl	$0x534d4150, %edx		/* "SMAP" */
	movl	$20, %ecx
	int	$0x15
	jc	map_done
	addw	$20, %di
	incw	%bp
	testl	%ebx, %ebx
	jnz	next_range
map_done:
	cli
	inb	$0x92, %al			/* open the A20 gate */
	orb	$2, %al
	outb	%al, $0x92
	lidtl	%cs:idt_pointer - rom_start
	lgdtl	%cs:gdt_pointer - rom_start
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$CS32, $(ROM_BASE + init32 - rom_start)

	.code32
init32:
	movw	$DS32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK, %esp

	movl	$IMAGE, %ebx
find_header:
	cmpl	$IMAGE_MAGIC, (%ebx)
	je	header_found
	addl	$4096, %ebx
	cmpl	$IMAGE_LIMIT, %ebx
	jb	find_header
	movl	$(ROM_BASE + no_image - rom_start), %esi
	movl	$COM1, %edx
	movl	$(no_image_end - no_image), %ecx
	rep	outsb
	hlt

header_found:
	movl	HDR_PAGES(%ebx), %ecx
	movl	%ebx, %esi
touch_page:
	movl	(%esi), %eax
	addl	$4096, %esi
	decl	%ecx
	jnz	touch_page

	leal	HDR_BOOT(%ebx), %esi
	movl	$ZERO_PAGE, %edi
	movl	$(BOOT_AREA_SIZE / 4), %ecx
	rep	movsl
	movl	HDR_INITRD(%ebx), %eax
	addl	%ebx, %eax
	movl	%eax, ZP_RAMDISK

	movl	HDR_KERNEL(%ebx), %esi
	addl	%ebx, %esi
	movl	HDR_KERNEL_TO(%ebx), %edi
	movl	HDR_KERNEL_LEN(%ebx), %ecx
	addl	$3, %ecx
	shrl	$2, %ecx
	rep	movsl

	movzwl	%bp, %eax
	movb	%al, ZP_E820_COUNT
	leal	(%eax, %eax, 4), %ecx		/* 20-byte entries in dwords */
	movl	$(MAP_SEG << 4), %esi
	movl	$ZP_E820_TABLE, %edi
	rep	movsl

	lgdtl	ROM_BASE + final_gdt_pointer - rom_start
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$PAGE_TABLES, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$(CR0_PG | CR0_PE), %eax
	movl	%eax, %cr0
	ljmpl	$CS64, $(ROM_BASE + init64 - rom_start)

	.code64
init64:
	movl	$ZERO_PAGE, %esi
	jmp	*ENTRY

no_image:
	.ascii	"okvm ROM: no image in memory\r\n"
no_image_end:

	.org	511
	.byte	0				/* makes the sum of all bytes zero */
