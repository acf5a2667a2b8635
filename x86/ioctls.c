// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of x86/ and irq/ as tables; the numbers' own structure says what
 * is copied. A few whose number lies about the direction copy by themselves.
 */
#include <linux/uaccess.h>

#include "core/compat.h"
#include "x86/internal.h"

#define SCALAR	OKVM_IOC_SCALAR
#define RAW	OKVM_IOC_RAW
#define LOCK	OKVM_IOC_LOCK
#define LOAD	OKVM_IOC_LOAD
#define SRCU	OKVM_IOC_SRCU

/* ---- system ---- */

/* The state components that guests may have. */
static int check_sys_attr(const struct kvm_device_attr *attr)
{
	return attr->group == 0 && attr->attr == KVM_X86_XCOMP_GUEST_SUPP ? 0 : -ENXIO;
}

static long sys_has_attr(union okvm_ioctl_arg arg)
{
	return check_sys_attr(arg.data);
}

static long sys_get_attr(union okvm_ioctl_arg arg)
{
	const struct kvm_device_attr *attr = arg.data;
	int ret = check_sys_attr(attr);

	if (ret)
		return ret;
	return put_user(okvm_host.xcr0, (u64 __user *)(unsigned long)attr->addr);
}

static const struct okvm_ioctl sys_rows[] = {
	{ KVM_GET_SUPPORTED_CPUID,		RAW, { .sys = okvm_ioc_get_supported_cpuid } },
	{ KVM_GET_EMULATED_CPUID,		RAW, { .sys = okvm_ioc_get_emulated_cpuid } },
	{ KVM_GET_MSR_INDEX_LIST,		RAW, { .sys = okvm_ioc_get_msr_index_list } },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST,	RAW,
	  { .sys = okvm_ioc_get_msr_feature_index_list } },
	{ KVM_GET_MSRS,				RAW, { .sys = okvm_ioc_sys_get_msrs } },
	{ KVM_X86_GET_MCE_CAP_SUPPORTED,	0, { .sys = okvm_ioc_mce_cap_supported } },
	{ KVM_GET_DEVICE_ATTR,			0, { .sys = sys_get_attr } },
	{ KVM_HAS_DEVICE_ATTR,			0, { .sys = sys_has_attr } },
};

const struct okvm_ioctl_table okvm_arch_sys_ioctls = { sys_rows, ARRAY_SIZE(sys_rows) };

/* ---- VM ---- */

/* Three pages of TSS for a CPU that cannot run real mode end below 4 GiB. */
static long vm_set_tss_addr(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (arg.num > 0x100000000ULL - 3 * PAGE_SIZE)
		return -EINVAL;
	vm->arch->tss_addr = arg.num;
	return 0;
}

static long vm_set_identity_map_addr(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	u64 addr = *(u64 *)arg.data;

	if (vm->created_vcpus)
		return -EINVAL;
	vm->arch->identity_map_addr = addr ? addr : OKVM_IDENTITY_MAP_DEFAULT;
	return 0;
}

static long vm_set_boot_cpu_id(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (vm->created_vcpus)
		return -EBUSY;
	if (arg.num > vm->max_vcpu_id)
		return -EINVAL;
	vm->bsp_vcpu_id = arg.num;
	return 0;
}

#define MIN_MMU_PAGES		64
#define PAGES_PER_MMU_PAGE	50

static long vm_set_nr_mmu_pages(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	if (arg.num < MIN_MMU_PAGES)
		return -EINVAL;
	vm->arch->nr_mmu_pages = min_t(unsigned long, arg.num, INT_MAX);
	return 0;
}

/* What was set; else what KVM takes for a VM with so much memory, once there was a slot. */
static long vm_get_nr_mmu_pages(struct okvm_vm *vm, union okvm_ioctl_arg arg)
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

/* There is no kind of device. */
static long vm_create_device(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return -ENODEV;
}

/* These read their argument although their numbers are _IOR or _IO. */
typedef long (*vm_handler)(struct okvm_vm *vm, union okvm_ioctl_arg arg);

static long vm_copy_in(struct okvm_vm *vm, void *data, void __user *user, size_t size,
		       vm_handler handler)
{
	if (copy_from_user(data, user, size))
		return -EFAULT;
	return handler(vm, (union okvm_ioctl_arg) { .data = data });
}

static long vm_set_irqchip(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_irqchip chip;

	static_assert(sizeof(chip) <= 1024);
	return vm_copy_in(vm, &chip, arg.user, sizeof(chip), okvm_ioc_set_irqchip);
}

static long vm_set_pit(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_pit_state pit;

	return vm_copy_in(vm, &pit, arg.user, sizeof(pit), okvm_ioc_set_pit);
}

static long vm_reinject_control(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_reinject_control control;

	return vm_copy_in(vm, &control, arg.user, sizeof(control), okvm_ioc_reinject_control);
}

static const struct okvm_ioctl vm_rows[] = {
	{ KVM_SET_TSS_ADDR,		SCALAR | LOCK,	{ .vm = vm_set_tss_addr } },
	{ KVM_SET_IDENTITY_MAP_ADDR,	LOCK,		{ .vm = vm_set_identity_map_addr } },
	{ KVM_SET_BOOT_CPU_ID,		SCALAR | LOCK,	{ .vm = vm_set_boot_cpu_id } },
	{ KVM_SET_NR_MMU_PAGES,		SCALAR | LOCK,	{ .vm = vm_set_nr_mmu_pages } },
	{ KVM_GET_NR_MMU_PAGES,		SCALAR,		{ .vm = vm_get_nr_mmu_pages } },
	{ KVM_CREATE_DEVICE,		0,		{ .vm = vm_create_device } },
	{ KVM_GET_CLOCK,		0,		{ .vm = okvm_ioc_get_clock } },
	{ KVM_SET_CLOCK,		0,		{ .vm = okvm_ioc_set_clock } },
	{ KVM_SET_TSC_KHZ,		SCALAR | LOCK,	{ .vm = okvm_ioc_vm_set_tsc_khz } },
	{ KVM_GET_TSC_KHZ,		SCALAR,		{ .vm = okvm_ioc_vm_get_tsc_khz } },
	{ KVM_X86_SET_MSR_FILTER,	LOCK,		{ .vm = okvm_ioc_set_msr_filter } },
	{ KVM_CREATE_IRQCHIP,		SCALAR | LOCK,	{ .vm = okvm_ioc_create_irqchip } },
	{ KVM_GET_IRQCHIP,		0,		{ .vm = okvm_ioc_get_irqchip } },
	{ KVM_SET_IRQCHIP,		RAW,		{ .vm = vm_set_irqchip } },
	{ KVM_IRQ_LINE,			0,		{ .vm = okvm_ioc_irq_line } },
	{ KVM_IRQ_LINE_STATUS,		0,		{ .vm = okvm_ioc_irq_line_status } },
	{ KVM_SET_GSI_ROUTING,		RAW,		{ .vm = okvm_ioc_set_gsi_routing } },
	{ KVM_SIGNAL_MSI,		0,		{ .vm = okvm_ioc_signal_msi } },
	{ KVM_IRQFD,			0,		{ .vm = okvm_ioc_irqfd } },
	{ KVM_IOEVENTFD,		0,		{ .vm = okvm_ioc_ioeventfd } },
	{ KVM_REGISTER_COALESCED_MMIO,	0,		{ .vm = okvm_ioc_register_coalesced } },
	{ KVM_UNREGISTER_COALESCED_MMIO, 0,		{ .vm = okvm_ioc_unregister_coalesced } },
	{ KVM_CREATE_PIT,		SCALAR | LOCK,	{ .vm = okvm_ioc_create_pit } },
	{ KVM_CREATE_PIT2,		LOCK,		{ .vm = okvm_ioc_create_pit2 } },
	{ KVM_GET_PIT,			0,		{ .vm = okvm_ioc_get_pit } },
	{ KVM_SET_PIT,			RAW,		{ .vm = vm_set_pit } },
	{ KVM_GET_PIT2,			0,		{ .vm = okvm_ioc_get_pit2 } },
	{ KVM_SET_PIT2,			0,		{ .vm = okvm_ioc_set_pit2 } },
	{ KVM_REINJECT_CONTROL,		RAW,		{ .vm = vm_reinject_control } },
};

const struct okvm_ioctl_table okvm_arch_vm_ioctls = { vm_rows, ARRAY_SIZE(vm_rows) };

/* ---- vCPU ---- */

/* Only "none" can be said: TPR accesses are not reported, so there is nothing to patch. */
static long vcpu_set_vapic_addr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_vapic_addr *vapic = arg.data;

	return okvm_lapic_in_kernel(vcpu) && !vapic->vapic_addr ? 0 : -EINVAL;
}

/* What was done is success, and the argument says what is left. */
static long vcpu_pre_fault(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_pre_fault_memory *range = arg.data;
	u64 asked = range->size;
	long ret;

	if (range->flags || (range->gpa | range->size) & ~PAGE_MASK ||
	    range->gpa + range->size <= range->gpa)
		return -EINVAL;
	do {
		ret = signal_pending(current) ? -EINTR : okvm_mmu_prefault(vcpu, range->gpa);
		if (ret < 0)
			return range->size == asked ? ret : 0;
		ret = min_t(u64, ret, range->size);
		range->gpa += ret;
		range->size -= ret;
		cond_resched();
	} while (range->size);
	return 0;
}

static const struct okvm_ioctl vcpu_rows[] = {
	{ KVM_GET_REGS,		LOAD,		{ .vcpu = okvm_ioc_get_regs } },
	{ KVM_SET_REGS,		LOAD,		{ .vcpu = okvm_ioc_set_regs } },
	{ KVM_GET_SREGS,	LOAD,		{ .vcpu = okvm_ioc_get_sregs } },
	{ KVM_SET_SREGS,	LOAD | SRCU,	{ .vcpu = okvm_ioc_set_sregs } },
	{ KVM_GET_SREGS2,	LOAD,		{ .vcpu = okvm_ioc_get_sregs2 } },
	{ KVM_SET_SREGS2,	LOAD | SRCU,	{ .vcpu = okvm_ioc_set_sregs2 } },
	{ KVM_TRANSLATE,	LOAD | SRCU,	{ .vcpu = okvm_ioc_translate } },
	{ KVM_GET_FPU,		LOAD,		{ .vcpu = okvm_ioc_get_fpu } },
	{ KVM_SET_FPU,		LOAD,		{ .vcpu = okvm_ioc_set_fpu } },
	{ KVM_GET_XSAVE,	LOAD,		{ .vcpu = okvm_ioc_get_xsave } },
	{ KVM_GET_XSAVE2,	LOAD | RAW,	{ .vcpu = okvm_ioc_get_xsave2 } },
	{ KVM_SET_XSAVE,	LOAD | RAW,	{ .vcpu = okvm_ioc_set_xsave } },
	{ KVM_GET_XCRS,		LOAD,		{ .vcpu = okvm_ioc_get_xcrs } },
	{ KVM_SET_XCRS,		LOAD,		{ .vcpu = okvm_ioc_set_xcrs } },
	{ KVM_GET_VCPU_EVENTS,	LOAD,		{ .vcpu = okvm_ioc_get_vcpu_events } },
	{ KVM_SET_VCPU_EVENTS,	LOAD,		{ .vcpu = okvm_ioc_set_vcpu_events } },
	{ KVM_GET_MP_STATE,	LOAD | SRCU,	{ .vcpu = okvm_ioc_get_mp_state } },
	{ KVM_SET_MP_STATE,	LOAD,		{ .vcpu = okvm_ioc_set_mp_state } },
	{ KVM_INTERRUPT,	LOAD,		{ .vcpu = okvm_ioc_interrupt } },
	{ KVM_NMI,		LOAD | SCALAR,	{ .vcpu = okvm_ioc_nmi } },
	{ KVM_GET_DEBUGREGS,	LOAD,		{ .vcpu = okvm_ioc_get_debugregs } },
	{ KVM_SET_DEBUGREGS,	LOAD,		{ .vcpu = okvm_ioc_set_debugregs } },
	{ KVM_SET_GUEST_DEBUG,	LOAD,		{ .vcpu = okvm_ioc_set_guest_debug } },
	{ KVM_SET_CPUID,	LOAD | RAW,	{ .vcpu = okvm_ioc_set_cpuid } },
	{ KVM_SET_CPUID2,	LOAD | RAW,	{ .vcpu = okvm_ioc_set_cpuid2 } },
	{ KVM_GET_CPUID2,	LOAD | RAW,	{ .vcpu = okvm_ioc_get_cpuid2 } },
	{ KVM_GET_MSRS,		LOAD | RAW | SRCU, { .vcpu = okvm_ioc_get_msrs } },
	{ KVM_SET_MSRS,		LOAD | RAW | SRCU, { .vcpu = okvm_ioc_set_msrs } },
	{ KVM_X86_SETUP_MCE,	LOAD,		{ .vcpu = okvm_ioc_setup_mce } },
	{ KVM_X86_SET_MCE,	LOAD,		{ .vcpu = okvm_ioc_set_mce } },
	{ KVM_SET_TSC_KHZ,	LOAD | SCALAR,	{ .vcpu = okvm_ioc_set_tsc_khz } },
	{ KVM_GET_TSC_KHZ,	SCALAR,		{ .vcpu = okvm_ioc_get_tsc_khz } },
	{ KVM_KVMCLOCK_CTRL,	LOAD | SCALAR,	{ .vcpu = okvm_ioc_kvmclock_ctrl } },
	{ KVM_HAS_DEVICE_ATTR,	LOAD,		{ .vcpu = okvm_ioc_vcpu_has_attr } },
	{ KVM_GET_DEVICE_ATTR,	LOAD,		{ .vcpu = okvm_ioc_vcpu_get_attr } },
	{ KVM_SET_DEVICE_ATTR,	LOAD,		{ .vcpu = okvm_ioc_vcpu_set_attr } },
	{ KVM_SET_VAPIC_ADDR,	LOAD,		{ .vcpu = vcpu_set_vapic_addr } },
	{ KVM_PRE_FAULT_MEMORY,	LOAD | SRCU,	{ .vcpu = vcpu_pre_fault } },
	{ KVM_GET_LAPIC,	LOAD | SRCU,	{ .vcpu = okvm_ioc_get_lapic } },
	{ KVM_SET_LAPIC,	LOAD | SRCU,	{ .vcpu = okvm_ioc_set_lapic } },
};

const struct okvm_ioctl_table okvm_arch_vcpu_ioctls = { vcpu_rows, ARRAY_SIZE(vcpu_rows) };
