// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the host that a guest has outside its memory slots: the APIC-access page, and the
 * identity map.
 *
 * The APIC-access page (SDM "Virtualizing Memory-Mapped APIC Accesses") is a page of the host that
 * is mapped at the xAPIC's default address. With the control "virtualize APIC accesses", the CPU
 * turns accesses to the page into accesses to the virtual-APIC page, or into exits that report the
 * register's offset. The content of the page is not used.
 *
 * A vCPU without the control would access the content of the page. The control is per vCPU, but the
 * page tables are per VM. Therefore the page is mapped only while every vCPU's APIC is an xAPIC at
 * the default address. At other times no memory is mapped there, and the accesses of all vCPUs exit
 * as MMIO. Upstream adds an internal memory slot at this address instead.
 *
 * The identity map is for EPT without "unrestricted guest", where CR0.PG in hardware must be 1.
 * While the guest's CR0.PG is 0, CR3 in hardware points to a page directory of okvm, which maps
 * each linear address to the same guest-physical address, in pages of 4 MiB. The guest can reach
 * the page, because CR3 is a guest-physical address. A guest that writes to it harms only itself.
 * The page must be writable: if EPT has accessed and dirty flags, the CPU's page walk counts as a
 * write. If the VMM has a memory slot there, the page is not mapped, and okvm emulates the unpaged
 * guest.
 */
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include <asm/apicdef.h>
#include <asm/pgtable_types.h>

#include "core/memslot.h"
#include "core/vm.h"
#include "vmx/vmx.h"

/**
 * struct okvm_hw_vm - the VMX backend's state of a VM
 * @lock: guards @without_window and @mapped; taken after vcpu->mutex and before mmu->lock
 * @without_window: number of vCPUs that do not have an xAPIC at the default address: the APIC is
 *	disabled, in x2APIC mode, or at another address
 * @mapped: okvm_mmu_set_hole() has mapped @page at the xAPIC's default address
 * @page: the APIC-access page; NULL if the CPU cannot virtualize APIC accesses
 * @identity: the page of the identity map; NULL until a guest needs it. Written under @lock
 */
struct okvm_hw_vm {
	struct mutex lock;
	unsigned int without_window;
	bool mapped;
	void *page;
	u32 *identity;
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

/* Free the pages. Called when the VM has no vCPUs any more. */
void vmx_apic_page_destroy(struct okvm_vm *vm)
{
	struct okvm_hw_vm *vm_hw = vm->hw;

	vm->hw = NULL;
	free_page((unsigned long)vm_hw->page);
	free_page((unsigned long)vm_hw->identity);
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
	okvm_mmu_set_hole(vm, OKVM_HOLE_APIC, APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT,
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

/* ---- the identity map ---- */

#define IDENTITY_ENTRIES	(PAGE_SIZE / sizeof(u32))	/* of 4 MiB each */
#define IDENTITY_FLAGS		(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | \
				 _PAGE_DIRTY | _PAGE_PSE)

/* Make the page of the identity map if the VM has none yet. Return: false if there is no memory */
static bool identity_make(struct okvm_vm *vm)
{
	struct okvm_hw_vm *vm_hw = vm->hw;
	unsigned int i;
	u32 *page;

	if (READ_ONCE(vm_hw->identity))
		return true;
	/* If there is no memory, the next emulated instruction tries again. */
	page = (u32 *)__get_free_page(GFP_KERNEL_ACCOUNT | __GFP_NORETRY);
	if (!page)
		return false;
	for (i = 0; i < IDENTITY_ENTRIES; i++)
		page[i] = i << 22 | IDENTITY_FLAGS;
	mutex_lock(&vm_hw->lock);
	if (!vm_hw->identity) {
		okvm_mmu_set_hole(vm, OKVM_HOLE_IDENTITY, vmx_identity_addr(vm) >> PAGE_SHIFT,
				  __pa(page) >> PAGE_SHIFT);
		WRITE_ONCE(vm_hw->identity, page);
		page = NULL;
	}
	mutex_unlock(&vm_hw->lock);
	free_page((unsigned long)page);
	return true;
}

bool vmx_identity_ready(struct okvm_vcpu *vcpu)
{
	struct okvm_vm *vm = vcpu->vm;
	u64 addr = vmx_identity_addr(vm), gen;
	bool covered;
	int idx;

	if (addr & ~PAGE_MASK || addr >> 32 || addr == APIC_DEFAULT_PHYS_BASE)
		return false;
	/* Only now look for a slot: mmu/ reports a slot that comes after okvm_mmu_set_hole(). */
	if (!identity_make(vm))
		return false;
	idx = srcu_read_lock(&vm->srcu);
	gen = okvm_slots_generation(vm);
	/* While a slot vanishes (odd generation), EPT may still map its memory here. */
	covered = gen & 1 || okvm_slot_find(vm, addr >> PAGE_SHIFT) ||
		  okvm_slots_generation(vm) != gen;
	srcu_read_unlock(&vm->srcu, idx);
	return !covered;
}
