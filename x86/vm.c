// SPDX-License-Identifier: GPL-2.0-only
/*
 * Create and destroy the x86 part of a VM. Also has the ioctls for the addresses of TSS and
 * identity map, for the boot CPU and for the number of MMU pages.
 */
#include <linux/slab.h>

#include "core/arch.h"
#include "core/error.h"
#include "x86/msr/msr_filter.h"
#include "x86/pv/async_pf.h"
#include "x86/run.h"
#include "x86/time/pvclock.h"

int okvm_arch_vm_create(struct okvm_vm *vm)
{
	int err = -ENOMEM;

	vm->arch = kzalloc(sizeof(*vm->arch), GFP_KERNEL_ACCOUNT);
	if (!vm->arch)
		return -ENOMEM;
	/* Guests may read MSR_PLATFORM_INFO until the VMM forbids it. */
	vm->arch->guest_can_read_platform_info = true;
	okvm_clock_vm_create(vm);
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
	okvm_clock_vm_destroy(vm);
	kfree(vm->arch);
	vm->arch = NULL;
	return err;
}

void okvm_arch_vm_release(struct okvm_vm *vm)
{
	/* Take the VM off the list of x86/time/pvclock.c, whose work item uses the VMs' vCPUs. */
	okvm_clock_vm_destroy(vm);
	okvm_irq_vm_release(vm);
	okvm_mmu_vm_release(vm);
}

void okvm_arch_vm_destroy(struct okvm_vm *vm)
{
	okvm_mmu_vm_destroy(vm);
	okvm_irq_vm_destroy(vm);
	okvm_msr_filter_free(vm);
	okvm_apf_vm_destroy(vm);
	okvm_clock_vm_destroy(vm);
	kfree(vm->arch);
}

/* ---- ioctls ---- */

/*
 * If the CPU cannot run a guest in real mode, upstream KVM needs guest memory for a TSS (three
 * pages below 4 GiB). KVM_SET_TSS_ADDR sets the address. okvm emulates real mode on such CPUs and
 * does not use the address.
 */
static long ioc_set_tss_addr(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (arg.num > 0x100000000ULL - 3 * PAGE_SIZE)
		return okvm_refuse(vm, "KVM_SET_TSS_ADDR: the three pages end above 4 GiB");
	return 0;
}

/*
 * Set where the identity map of a guest without paging is (vmx/apic_page.c). As in upstream, any
 * address is accepted. okvm emulates the guest if the page cannot be there.
 */
static long ioc_set_identity_map_addr(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (vm->created_vcpus)
		return okvm_refuse(vm, "KVM_SET_IDENTITY_MAP_ADDR: the VM has a vCPU already");
	vm->arch->identity_map_addr = *(u64 *)arg.data;
	return 0;
}

static long ioc_set_boot_cpu_id(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (vm->created_vcpus)
		return -EBUSY;
	if (arg.num > vm->max_vcpu_id)
		return okvm_refuse(vm, "KVM_SET_BOOT_CPU_ID: above KVM_CAP_MAX_VCPU_ID");
	vm->bsp_vcpu_id = arg.num;
	return 0;
}

#define MIN_MMU_PAGES		64
#define PAGES_PER_MMU_PAGE	50

static long ioc_set_nr_mmu_pages(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (arg.num < MIN_MMU_PAGES)
		return okvm_refuse(vm, "KVM_SET_NR_MMU_PAGES: fewer than 64");
	vm->arch->nr_mmu_pages = min_t(unsigned long, arg.num, INT_MAX);
	okvm_mmu_set_limit(vm, vm->arch->nr_mmu_pages);
	return 0;
}

/* Return the number that userspace has set, or KVM's default for this amount of guest memory. */
static long ioc_get_nr_mmu_pages(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	unsigned long pages = vm->arch->nr_mmu_pages;
	const struct okvm_memslots *slots;

	if (pages)
		return pages;
	mutex_lock(&vm->slots_lock);
	slots = rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock));
	if (slots->hva_inserted)
		pages = clamp_t(u64, slots->npages / PAGES_PER_MMU_PAGE, MIN_MMU_PAGES, INT_MAX);
	mutex_unlock(&vm->slots_lock);
	return pages;
}

/* okvm implements no kind of device for KVM_CREATE_DEVICE. */
static long ioc_create_device(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return -ENODEV;
}

const struct okvm_ioctl okvm_vm_ioctls[] = {
	{ KVM_SET_TSS_ADDR,		OKVM_IOC_SCALAR | OKVM_IOC_LOCK,
	  { .vm = ioc_set_tss_addr } },
	{ KVM_SET_IDENTITY_MAP_ADDR,	OKVM_IOC_LOCK, { .vm = ioc_set_identity_map_addr } },
	{ KVM_SET_BOOT_CPU_ID,		OKVM_IOC_SCALAR | OKVM_IOC_LOCK,
	  { .vm = ioc_set_boot_cpu_id } },
	{ KVM_SET_NR_MMU_PAGES,		OKVM_IOC_SCALAR | OKVM_IOC_LOCK,
	  { .vm = ioc_set_nr_mmu_pages } },
	{ KVM_GET_NR_MMU_PAGES,		OKVM_IOC_SCALAR, { .vm = ioc_get_nr_mmu_pages } },
	{ KVM_CREATE_DEVICE,		0, { .vm = ioc_create_device } },
	{ }
};
