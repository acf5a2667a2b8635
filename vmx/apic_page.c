// SPDX-License-Identifier: GPL-2.0-only
/*
 * The APIC-access page (SDM "Virtualizing Memory-Mapped APIC Accesses"): a page of the host that is
 * mapped at the xAPIC's default address. With the control "virtualize APIC accesses", the CPU turns
 * accesses to the page into accesses to the virtual-APIC page, or into exits that report the
 * register's offset. The content of the page is not used.
 *
 * A vCPU without the control would access the content of the page. The control is per vCPU, but the
 * page tables are per VM. Therefore the page is mapped only while every vCPU's APIC is an xAPIC at
 * the default address. At other times no memory is mapped there, and the accesses of all vCPUs exit
 * as MMIO. Upstream adds an internal memory slot at this address instead.
 */
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include <asm/apicdef.h>

#include "core/vm.h"
#include "vmx/vmx.h"

/**
 * struct okvm_hw_vm - the VMX backend's state of a VM
 * @lock: guards @without_window and @mapped; taken after vcpu->mutex and before mmu->lock
 * @without_window: number of vCPUs that do not have an xAPIC at the default address: the APIC is
 *	disabled, in x2APIC mode, or at another address
 * @mapped: okvm_mmu_set_hole() has mapped @page at the xAPIC's default address
 * @page: the APIC-access page; NULL if the CPU cannot virtualize APIC accesses
 */
struct okvm_hw_vm {
	struct mutex lock;
	unsigned int without_window;
	bool mapped;
	void *page;
};

int vmx_apic_page_create(struct okvm_vm *vm)
{
	struct okvm_hw_vm *vm_hw = kzalloc(sizeof(*vm_hw), GFP_KERNEL_ACCOUNT);

	if (!vm_hw)
		return -ENOMEM;
	mutex_init(&vm_hw->lock);
	if (vmx_has(&vmx_caps, VMX_OPT_FLEXPRIORITY)) {
		vm_hw->page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!vm_hw->page)
			goto err_hw;
	}
	vm->hw = vm_hw;
	return 0;

err_hw:
	kfree(vm_hw);
	return -ENOMEM;
}

/* Free the APIC-access page. Called when the VM has no vCPUs any more. */
void vmx_apic_page_destroy(struct okvm_vm *vm)
{
	struct okvm_hw_vm *vm_hw = vm->hw;

	vm->hw = NULL;
	free_page((unsigned long)vm_hw->page);
	kfree(vm_hw);
}

phys_addr_t vmx_apic_page_pa(const struct okvm_vm *vm)
{
	return __pa(vm->hw->page);
}

static bool at_default_address(const struct okvm_vcpu *vcpu)
{
	return okvm_apic_hw_enabled(vcpu) && !okvm_apic_x2apic_mode(vcpu) &&
	       (okvm_apic_base(vcpu) & PAGE_MASK) == APIC_DEFAULT_PHYS_BASE;
}

static void map_or_unmap_page(struct okvm_vm *vm)
{
	struct okvm_hw_vm *vm_hw = vm->hw;
	bool map = !vm_hw->without_window;

	lockdep_assert_held(&vm_hw->lock);
	if (vm_hw->mapped == map)
		return;
	vm_hw->mapped = map;
	okvm_mmu_set_hole(vm, APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT,
			  map ? __pa(vm_hw->page) >> PAGE_SHIFT : 0);
}

bool vmx_apic_page_update(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_hw_vm *vm_hw = vcpu->vm->hw;
	bool no_window;

	if (!vcpu->apic || !vm_hw->page)
		return false;
	no_window = !at_default_address(vcpu);
	mutex_lock(&vm_hw->lock);
	if (no_window != hw->no_apic_window)
		vm_hw->without_window += no_window ? 1 : -1;
	hw->no_apic_window = no_window;
	map_or_unmap_page(vcpu->vm);
	mutex_unlock(&vm_hw->lock);
	return !no_window;
}
