// SPDX-License-Identifier: GPL-2.0-only
/*
 * The APIC-access page (SDM "Virtualizing Memory-Mapped APIC Accesses"): a page
 * of the host that is mapped at the xAPIC's default address, and of which only
 * the address matters. With the control set, the CPU turns accesses to it into
 * accesses to the virtual-APIC page, or into exits that name the register.
 *
 * A vCPU without the control would see the page itself. The page tables are the
 * VM's, the control is the vCPU's; so the page is mapped only while every
 * vCPU's APIC is an xAPIC at its default address. From the moment on when the
 * first one is not, the frame is MMIO for all, and the control of the others is
 * idle. Upstream has a memory slot of its own there, for good.
 */
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include <asm/apicdef.h>

#include "core/vm.h"
#include "vmx/vmx.h"

/**
 * struct okvm_hw_vm - VMX's side of a VM
 * @lock: guards @elsewhere and @mapped. Inside vcpu->mutex, outside mmu->lock
 * @elsewhere: vCPUs whose APIC is off, in x2APIC mode or moved
 * @mapped: the MMU was told of the page
 * @page: NULL if the CPU has no use for it
 */
struct okvm_hw_vm {
	struct mutex lock;
	unsigned int elsewhere;
	bool mapped;
	void *page;
};

int vmx_apic_page_create(struct okvm_vm *vm)
{
	struct okvm_hw_vm *hw = kzalloc(sizeof(*hw), GFP_KERNEL_ACCOUNT);

	if (!hw)
		return -ENOMEM;
	mutex_init(&hw->lock);
	if (vmx_has(&vmx_caps, VMX_OPT_FLEXPRIORITY)) {
		hw->page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!hw->page)
			goto err_hw;
	}
	vm->hw = hw;
	return 0;

err_hw:
	kfree(hw);
	return -ENOMEM;
}

/* No vCPU is left that could use the page. */
void vmx_apic_page_destroy(struct okvm_vm *vm)
{
	struct okvm_hw_vm *hw = vm->hw;

	vm->hw = NULL;
	free_page((unsigned long)hw->page);
	kfree(hw);
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

static void map_or_unmap(struct okvm_vm *vm)
{
	struct okvm_hw_vm *hw = vm->hw;
	bool map = !hw->elsewhere;

	lockdep_assert_held(&hw->lock);
	if (hw->mapped == map)
		return;
	hw->mapped = map;
	okvm_mmu_set_hole(vm, APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT,
			  map ? __pa(hw->page) >> PAGE_SHIFT : 0);
}

bool vmx_apic_page_update(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *mine = to_hw(vcpu);
	struct okvm_hw_vm *hw = vcpu->vm->hw;
	bool elsewhere;

	if (!vcpu->apic || !hw->page)
		return false;
	elsewhere = !at_default_address(vcpu);
	mutex_lock(&hw->lock);
	if (elsewhere != mine->apic_elsewhere)
		hw->elsewhere += elsewhere ? 1 : -1;
	mine->apic_elsewhere = elsewhere;
	map_or_unmap(vcpu->vm);
	mutex_unlock(&hw->lock);
	return !elsewhere;
}
