// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guests and VMMs see of AMD's processors alone, and what SVM leaves to software. Cases that
 * are as true of Intel's run there too.
 */
#include "selftests/lib/pages.h"

/* ---- changes of the paging mode ---- */

#define PD		0x10000u
#define PT		0x11000u
#define UNMAPPED	0x5000u
#define CR0_PG		0x80000000u
#define CR4_PSE		0x10u

/* Touch a page without paging that the page tables do not map; then each bit that matters. */
GUEST(toggles_paging, 32)
	"mov %cr0, %eax\n"
	"and $0x7fffffff, %eax\n"
	"mov %eax, %cr0\n"
	"mov 0x5000, %ebx\n"
	"out %al, $0x10\n"
	"or $0x80000000, %eax\n"
	"mov %eax, %cr0\n"
	"out %al, $0x11\n"
	"mov %cr4, %eax\n"
	"xor $0x10, %eax\n"
	"mov %eax, %cr4\n"
	"out %al, $0x12\n"
	"mov $0xc0000080, %ecx\n"
	"rdmsr\n"
	"xor $0x800, %eax\n"
	"wrmsr\n"
	"out %al, $0x13\n"
	"mov 0x5000, %ebx\n"
	"out %al, $0x14\n"
	"hlt\n"
GUEST_END(toggles_paging);

static void load32_paged(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rsp = 0x7000, .rflags = 2 };
	struct kvm_sregs sregs;
	uint32_t *pt = (uint32_t *)(vm->mem + PT);
	unsigned int i;

	memcpy(vm->mem + VM_CODE, code, end - code);
	*(uint32_t *)(vm->mem + PD) = PT | PTE_P | PTE_W;
	for (i = 0; i < 1024; i++)
		pt[i] = i << 12 | PTE_P | PTE_W;
	pt[UNMAPPED >> 12] = 0;
	sregs = sregs_of(vm);
	sregs.cs = (struct kvm_segment){ .limit = ~0u, .selector = 8, .type = 11, .present = 1,
					 .db = 1, .s = 1, .g = 1 };
	sregs.ds = (struct kvm_segment){ .limit = ~0u, .selector = 16, .type = 3, .present = 1,
					 .db = 1, .s = 1, .g = 1 };
	sregs.es = sregs.ss = sregs.fs = sregs.gs = sregs.ds;
	sregs.cr3 = PD;
	sregs.cr0 = CR0_PG | 0x33;
	sregs.cr4 = CR4_PSE;
	sregs.efer = 0;
	sregs_put(vm, &sregs);
	regs_put(vm, &regs);
}

/* VMRUN flushes nothing by itself: on a CPU the last access would find what the first one left. */
TEST(changes_of_the_paging_mode_flush)
{
	struct vm vm;
	uint64_t before, after;
	uint16_t port;

	vm_create(&vm, 0);
	load32_paged(&vm, guest_toggles_paging, guest_toggles_paging_end);
	run_out(&vm, 0x10);
	before = vcpu_stat(&vm, "tlb_flush");
	for (port = 0x11; port <= 0x13; port++) {
		run_out(&vm, port);
		after = vcpu_stat(&vm, "tlb_flush");
		if (test_on_svm())
			EXPECT(after > before);
		before = after;
	}
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	vm_destroy(&vm);
}
