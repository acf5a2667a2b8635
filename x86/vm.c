// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creation and end of the x86 side of a VM, the module's x86 set-up, and the
 * memory-slot hooks, which belong to mmu/.
 */
#include <linux/slab.h>

#include "x86/async_pf.h"
#include "x86/internal.h"

int okvm_arch_init(const struct okvm_backend *backend)
{
	int err;

	err = okvm_mmu_init();
	if (err)
		return err;
	err = okvm_apf_init();
	if (err)
		goto err_exit_mmu;
	err = okvm_host_init(backend);
	if (err)
		goto err_exit_apf;
	return 0;

err_exit_apf:
	okvm_apf_exit();
err_exit_mmu:
	okvm_mmu_exit();
	return err;
}

void okvm_arch_exit(void)
{
	okvm_host_exit();
	okvm_apf_exit();
	okvm_mmu_exit();
}

int okvm_arch_vm_create(struct okvm_vm *vm)
{
	int err = -ENOMEM;

	vm->arch = kzalloc(sizeof(*vm->arch), GFP_KERNEL_ACCOUNT);
	if (!vm->arch)
		return -ENOMEM;
	raw_spin_lock_init(&vm->arch->tsc_lock);
	/* Guests may read PLATFORM_INFO until the VMM says otherwise. */
	vm->arch->guest_can_read_platform_info = true;
	vm->arch->identity_map_addr = OKVM_IDENTITY_MAP_DEFAULT;
	okvm_tsc_vm_create(vm);
	err = okvm_irq_vm_create(vm);
	if (err)
		goto err_destroy_tsc;
	err = okvm_mmu_vm_create(vm);
	if (err)
		goto err_destroy_irq;
	return 0;

err_destroy_irq:
	okvm_irq_vm_destroy(vm);
err_destroy_tsc:
	okvm_tsc_vm_destroy(vm);
	kfree(vm->arch);
	vm->arch = NULL;
	return err;
}

void okvm_arch_vm_release(struct okvm_vm *vm)
{
	/* The host clock's work looks at all vCPUs of the VMs on its list. */
	okvm_tsc_vm_destroy(vm);
	okvm_irq_vm_release(vm);
	okvm_mmu_vm_release(vm);
}

void okvm_arch_vm_destroy(struct okvm_vm *vm)
{
	okvm_mmu_vm_destroy(vm);
	okvm_irq_vm_destroy(vm);
	okvm_msr_filter_free(vm);
	okvm_apf_vm_destroy(vm);
	okvm_tsc_vm_destroy(vm);
	kfree(vm->arch);
}

/* ---- memory slots ---- */

int okvm_arch_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *old,
			   struct okvm_memslot *new, enum okvm_slot_change change)
{
	return okvm_mmu_slot_prepare(vm, old, new, change);
}

void okvm_arch_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *old,
			   const struct okvm_memslot *new, enum okvm_slot_change change)
{
	okvm_mmu_slot_commit(vm, old, new, change);
	if (new)
		okvm_pvclock_slots_changed(vm);
}

void okvm_arch_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot)
{
	okvm_mmu_slot_flush(vm, slot);
}

void okvm_arch_dirty_protect(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn,
			     unsigned long mask)
{
	okvm_mmu_dirty_protect(vm, slot, gfn, mask);
}

void okvm_arch_flush_tlb_vm(struct okvm_vm *vm)
{
	okvm_mmu_flush_vm(vm);
}
