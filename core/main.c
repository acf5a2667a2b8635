// SPDX-License-Identifier: GPL-2.0-only
/*
 * This file loads and unloads the module. It has the module's parameters, the device node, and
 * those ioctls of /dev/okvm itself that do not depend on the CPU.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/processor.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/compat.h"
#include "core/hardware.h"
#include "core/internal.h"
#include "core/memslot.h"
#include "core/trace_names.h"

static char *device_name = OKVM_DEVICE_NAME;
module_param(device_name, charp, 0444);
MODULE_PARM_DESC(device_name, "name of the device node under /dev: okvm, or kvm for unmodified clients");

/* ---- ioctls of the system fd ---- */

static long sys_get_api_version(union okvm_ioctl_arg arg)
{
	return KVM_API_VERSION;
}

static long sys_create_vm(union okvm_ioctl_arg arg)
{
	return okvm_vm_create(okvm_default_offer, arg.num);
}

/* Return the size in bytes of a vCPU fd's mapping: pages of kvm_run, PIO and the coalesced ring. */
static long sys_get_vcpu_mmap_size(union okvm_ioctl_arg arg)
{
	return 3 * PAGE_SIZE;
}

static long sys_check_extension(union okvm_ioctl_arg arg)
{
	return okvm_check_extension(NULL, arg.num);
}

const struct okvm_ioctl okvm_core_sys_ioctls[] = {
	{ KVM_GET_API_VERSION,	   OKVM_IOC_NOARG,  { .sys = sys_get_api_version } },
	{ KVM_CREATE_VM,	   OKVM_IOC_SCALAR, { .sys = sys_create_vm } },
	{ KVM_GET_VCPU_MMAP_SIZE,  OKVM_IOC_NOARG,  { .sys = sys_get_vcpu_mmap_size } },
	{ KVM_CHECK_EXTENSION,	   OKVM_IOC_SCALAR, { .sys = sys_check_extension } },
	{ }
};

/* Return the values of capabilities that core/ implements; ask x86/ about all others. */
int okvm_check_extension(struct okvm_vm *vm, long cap)
{
	switch (cap) {
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_USER_MEMORY2:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_SYNC_MMU:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_ENABLE_CAP_VM:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_INTERNAL_ERROR_DATA:
	case KVM_CAP_BINARY_STATS_FD:
	case KVM_CAP_MEMORY_FAULT_INFO:
		return 1;
	case OKVM_CAP_EXIT_TIMES:
		return 1;
	case OKVM_CAP_CONTROL:
		return OKVM_CONTROL_KICK | OKVM_CONTROL_PAUSE | OKVM_CONTROL_REGIONS |
		       OKVM_CONTROL_AMID;
	case KVM_CAP_COALESCED_MMIO:
		return KVM_COALESCED_MMIO_PAGE_OFFSET;
	case KVM_CAP_COALESCED_PIO:
		return 1;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	case KVM_CAP_NR_MEMSLOTS:
		return OKVM_MEMSLOTS_MAX;
	case KVM_CAP_NR_VCPUS:
		return min_t(unsigned int, num_online_cpus(), OKVM_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS:
		return OKVM_MAX_VCPUS;
	case KVM_CAP_MAX_VCPU_ID:
		return OKVM_MAX_VCPU_ID;
	default:
		return okvm_arch_check_extension(vm, cap);
	}
}

/* ---- the device ---- */

static const struct file_operations main_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = okvm_sys_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice main_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &main_fops,
	.mode = 0660,
};

static int main_register_device(void)
{
	int err;

	main_device.name = device_name;
	if (!strcmp(device_name, "kvm"))
		main_device.minor = KVM_MINOR;
	err = misc_register(&main_device);
	if (err)
		pr_err("okvm: /dev/%s cannot be created (%d): if another module holds it, unload that (rmmod kvm_intel kvm_amd kvm) or choose another device_name=\n",
		       device_name, err);
	return err;
}

/*
 * Choose the backend by CPUID. If the CPU has neither VMX nor SVM, choose the first backend: its
 * init() reports the error.
 */
static const struct okvm_backend *main_choose_backend(void)
{
	static const struct okvm_backend *const backends[] = {
#if OKVM_HAS_KVM_HELPERS
		&okvm_vmx_backend,
#endif
		&okvm_svm_backend,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(backends); i++)
		if (cpuid_ecx(backends[i]->cpuid_leaf) & backends[i]->cpuid_ecx)
			return backends[i];
	return backends[0];
}

/*
 * Refuse to load on a CPU with VMX if this kernel is Linux 6.19 or later. Since 6.19 only the
 * kernel's own KVM can call the exported functions that VMX needs, so okvm has no VMX backend
 * there.
 */
static int main_check_kernel(void)
{
	if (OKVM_HAS_KVM_HELPERS || !(cpuid_ecx(1) & BIT(5)))
		return 0;
	pr_err("okvm: this kernel lets only its own KVM use VMX: on this CPU okvm needs a kernel before Linux 6.19 (Documentation/kernels.rst)\n");
	return -EOPNOTSUPP;
}

static int __init okvm_init(void)
{
	struct okvm_offer *offer;
	int err;

	err = main_check_kernel();
	if (err)
		return err;
	okvm_vcpu_init();
	err = okvm_arch_init();
	if (err)
		goto err_vcpu_exit;
	err = okvm_ioctl_init();
	if (err)
		goto err_arch_exit;
	err = okvm_hardware_init();
	if (err)
		goto err_ioctl_exit;
	offer = okvm_backend_register(main_choose_backend());
	err = PTR_ERR_OR_ZERO(offer);
	if (err)
		goto err_hardware_exit;
	err = okvm_names_init();
	if (err)
		goto err_unregister;
	err = okvm_show_init();
	if (err)
		goto err_names_exit;
	err = main_register_device();
	if (err)
		goto err_show_exit;
	return 0;

err_show_exit:
	okvm_show_exit();
err_names_exit:
	okvm_names_exit();
err_unregister:
	okvm_backend_unregister(offer);
err_hardware_exit:
	okvm_hardware_exit();
err_ioctl_exit:
	okvm_ioctl_exit();
err_arch_exit:
	okvm_arch_exit();
err_vcpu_exit:
	okvm_vcpu_exit();
	return err;
}

/* Undo okvm_init(). Every VM holds a reference to the module, so no VM exists here. */
static void __exit okvm_exit(void)
{
	misc_deregister(&main_device);
	okvm_show_exit();
	okvm_names_exit();
	okvm_backend_unregister(okvm_default_offer);
	okvm_hardware_exit();
	okvm_ioctl_exit();
	okvm_arch_exit();
	okvm_vcpu_exit();
}

module_init(okvm_init);
module_exit(okvm_exit);

MODULE_DESCRIPTION("A KVM-style hypervisor core for x86-64");
MODULE_AUTHOR("okvm maintainers");
MODULE_LICENSE("GPL");
