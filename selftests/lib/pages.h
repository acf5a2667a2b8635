/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of accesses that do not simply go to memory: a window of 4 KiB pages in a 64-bit guest
 * that each test maps as it likes, exceptions that end at a port, and a device that the host plays.
 */
#ifndef OKVM_SELFTESTS_PAGES_H
#define OKVM_SELFTESTS_PAGES_H

#include "selftests/lib/okvm_test.h"

#define PAGE		0x1000u
#define PAGES_VA	0x800000u	/* 512 pages from here; nothing is mapped at first */
#define PAGES_TABLE	0x20000u	/* their page table */
#define PAGES_GDT	0x21000u
#define PAGES_IDT	0x22000u
#define PAGES_STUBS	0x23000u	/* 8 bytes per vector */
#define PAGES_STACK	0x27000u
#define PAGES_HOLE	0x10000000ull	/* nothing is there, nor behind */

#define PORT_DONE	0x10
#define PORT_TRAP	0x77		/* behind an exception's stub */

#define PTE_P		1u
#define PTE_W		2u
#define PTE_U		4u
#define PTE_AD		0x60u

static inline void put64(struct vm *vm, uint64_t at, uint64_t val)
{
	memcpy(vm->mem + at, &val, 8);
}

static inline void page_map(struct vm *vm, unsigned int nr, uint64_t gpa, uint64_t bits)
{
	put64(vm, PAGES_TABLE + 8 * nr, gpa | bits);
}

static inline struct kvm_regs regs_of(struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	return regs;
}

static inline void regs_put(struct vm *vm, const struct kvm_regs *regs)
{
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, regs) == 0);
}

static inline struct kvm_sregs sregs_of(struct vm *vm)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	return sregs;
}

static inline void sregs_put(struct vm *vm, const struct kvm_sregs *sregs)
{
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, sregs) == 0);
}

static inline void pages_gate(struct vm *vm, unsigned int vector, uint32_t to)
{
	put64(vm, PAGES_IDT + 16 * vector, (to & 0xffff) | 8ull << 16 | 0x8e00ull << 32 |
	      (uint64_t)(to >> 16) << 48);
	put64(vm, PAGES_IDT + 16 * vector + 8, 0);
}

/* After LOAD64(): the window, and a stub for each exception: push its number, OUT. */
static inline void pages_setup(struct vm *vm)
{
	struct kvm_sregs sregs = sregs_of(vm);
	struct kvm_regs regs = regs_of(vm);
	unsigned int i;

	for (i = 0; i < 32; i++) {
		memcpy(vm->mem + PAGES_STUBS + 8 * i, "\x6a\x00\xe6\x77\xf4", 5);
		vm->mem[PAGES_STUBS + 8 * i + 1] = i;
		pages_gate(vm, i, PAGES_STUBS + 8 * i);
	}
	put64(vm, PAGES_GDT + 8, 0x00af9b000000ffffull);
	put64(vm, PAGES_GDT + 16, 0x00cf93000000ffffull);
	put64(vm, VM_TABLES + 0x2000 + 8 * (PAGES_VA >> 21), PAGES_TABLE | PTE_P | PTE_W | PTE_U);
	sregs.gdt = (struct kvm_dtable){ .base = PAGES_GDT, .limit = 0x17 };
	sregs.idt = (struct kvm_dtable){ .base = PAGES_IDT, .limit = 0x1ff };
	sregs.cr4 |= 3 << 9;	/* OSFXSR, OSXMMEXCPT */
	sregs_put(vm, &sregs);
	regs.rsp = PAGES_STACK;
	regs_put(vm, &regs);
}

/* The exception whose stub the guest stands behind, or -1. */
static inline int trap_vector(struct vm *vm)
{
	struct kvm_regs regs;

	if (vm->run->exit_reason != KVM_EXIT_IO || vm->run->io.port != PORT_TRAP)
		return -1;
	regs = regs_of(vm);
	return vm->mem[regs.rsp];
}

static inline bool at_port(struct vm *vm, uint16_t port)
{
	return vm->run->exit_reason == KVM_EXIT_IO && vm->run->io.port == port;
}

#endif
