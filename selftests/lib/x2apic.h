/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For guests in assembler whose local APIC is in x2APIC mode: what sets it up, its timer, and an
 * interrupt of a 16-bit guest. The pieces of text use EAX, ECX and EDX.
 */
#ifndef OKVM_SELFTESTS_X2APIC_H
#define OKVM_SELFTESTS_X2APIC_H

#include "selftests/lib/okvm_test.h"

#define X2_VECTOR	0x41

#define X2_WRITE(msr, val)						\
	"	mov $" #msr ", %ecx\n"					\
	"	mov " val ", %eax\n"					\
	"	xor %edx, %edx\n"					\
	"	wrmsr\n"

/* Segments at 0 and a stack, of a 16-bit guest. */
#define X2_FLAT16							\
	"	xor %ax, %ax\n"						\
	"	mov %ax, %ds\n"						\
	"	mov %ax, %ss\n"						\
	"	mov $0x7000, %sp\n"

/* @spiv: an operand, "$0x1ff" switches the APIC on. */
#define X2_ON(spiv)							\
	"	mov $0x1b, %ecx\n"					\
	"	rdmsr\n"						\
	"	or $0xc00, %eax\n"					\
	"	wrmsr\n"						\
	X2_WRITE(0x80f, spiv)

#define X2_EOI		X2_WRITE(0x80b, "$0")

/* The timer is one-shot and counts nanoseconds: X2_TIMER once, X2_TIMER_ARM(count) each time. */
#define X2_TIMER	X2_WRITE(0x83e, "$0xb") X2_WRITE(0x832, "$0x41")
#define X2_TIMER_ARM(count)	X2_WRITE(0x838, count)

/* Load 16-bit code whose handler of X2_VECTOR is at @irq; EBX is @ebx. */
static inline void x2apic_load16(struct vm *vm, const uint8_t *code, const uint8_t *end,
				 const uint8_t *irq, uint32_t ebx)
{
	uint16_t vector[2] = { VM_CODE + (irq - code), 0 };
	struct kvm_regs regs;

	guest_load16(vm, code, end);
	memcpy(vm->mem + 4 * X2_VECTOR, vector, sizeof(vector));
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = ebx;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

/* The guest @name has a label guest_NAME_irq. */
#define X2_LOAD16(vm, name, ebx)					\
	x2apic_load16(vm, guest_##name, guest_##name##_end, guest_##name##_irq, ebx)

#endif /* OKVM_SELFTESTS_X2APIC_H */
