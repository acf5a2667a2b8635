// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creates and destroys virtual machines, and has the ioctls of a VM fd that belong to core/.
 *
 * Each fd derived from the VM holds one reference. The last close destroys the VM, whichever fd is
 * closed last.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/compat.h"
#include "core/hardware.h"
#include "core/internal.h"
#include "core/iobus.h"
#include "core/memslot.h"

void okvm_vm_kill(struct okvm_vm *vm, const char *what)
{
	if (xchg(&vm->dead, true))
		return;
	if (!okvm_hardware_lost())
		pr_err("okvm: VM of process %d is stopped: broken invariant: %s\n",
		       task_pid_nr(current), what);
	okvm_request_all(vm, OKVM_REQ_DEAD, false);
	okvm_pause_wake(vm);
}

/*
 * Ask the VM's own limit first. If it refuses the line, the line must not count against the limit
 * of all VMs together. Otherwise one VM could use up that limit, and suppress the lines of other
 * VMs.
 */
bool okvm_vm_may_log(struct okvm_vm *vm)
{
	static DEFINE_RATELIMIT_STATE(all, DEFAULT_RATELIMIT_INTERVAL,
				      10 * DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&vm->log_limit) && __ratelimit(&all);
}

static void vm_destroy_vcpus(struct okvm_vm *vm)
{
	struct okvm_vcpu *vcpu;
	unsigned long idx;

	xa_for_each(&vm->vcpus, idx, vcpu)
		okvm_vcpu_destroy(vcpu);
	xa_destroy(&vm->vcpus);
	xa_destroy(&vm->vcpu_by_id);
}

static void vm_destroy(struct okvm_vm *vm)
{
	struct okvm_offer *offer = vm->offer;

	okvm_show_remove(vm);
	okvm_arch_vm_release(vm);
	vm_destroy_vcpus(vm);
	okvm_iobus_destroy(vm);
	okvm_arch_vm_destroy(vm);
	vm->backend->vm_destroy(vm);
	okvm_memslots_destroy(vm);
	cleanup_srcu_struct(&vm->srcu);
	okvm_pause_destroy(vm);
	if (vm->coalesced_page)
		__free_page(vm->coalesced_page);
	mmdrop(vm->mm);
	kfree(vm);
	okvm_hardware_put(offer);
	module_put(THIS_MODULE);
}

void okvm_vm_put(struct okvm_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		vm_destroy(vm);
}

static void vm_init(struct okvm_vm *vm, struct okvm_offer *offer)
{
	vm->offer = offer;
	vm->backend = offer->backend;
	vm->caps = offer->caps;
	vm->host = offer->host;
	vm->max_vcpu_id = OKVM_MAX_VCPU_ID;
	vm->creator = task_pid_nr(current);
	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->bus_lock);
	spin_lock_init(&vm->coalesced_lock);
	okvm_error_init(&vm->error);
	ratelimit_state_init(&vm->log_limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	/*
	 * Without this flag the kernel would print for each VM how many of its lines were
	 * suppressed, and the limit of all VMs together would not apply to these messages.
	 */
	ratelimit_set_flags(&vm->log_limit, RATELIMIT_MSG_ON_RELEASE);
	okvm_pause_init(vm);
	xa_init(&vm->vcpus);
	xa_init(&vm->vcpu_by_id);
	INIT_LIST_HEAD(&vm->node);
	mmgrab(current->mm);
	vm->mm = current->mm;
}

static struct okvm_vm *vm_alloc(struct okvm_offer *offer)
{
	struct okvm_vm *vm;
	int err = -ENOMEM;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm_init(vm, offer);
	vm->coalesced_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vm->coalesced_page)
		goto err_free_vm;
	err = init_srcu_struct(&vm->srcu);
	if (err)
		goto err_free_page;
	err = okvm_memslots_create(vm);
	if (err)
		goto err_cleanup_srcu;
	err = vm->backend->vm_create(vm);
	if (err)
		goto err_destroy_memslots;
	err = okvm_arch_vm_create(vm);
	if (err)
		goto err_destroy_hw;
	return vm;

err_destroy_hw:
	vm->backend->vm_destroy(vm);
err_destroy_memslots:
	okvm_memslots_destroy(vm);
err_cleanup_srcu:
	cleanup_srcu_struct(&vm->srcu);
err_free_page:
	__free_page(vm->coalesced_page);
err_free_vm:
	mmdrop(vm->mm);
	kfree(vm);
	return ERR_PTR(err);
}

static int vm_release(struct inode *inode, struct file *file)
{
	okvm_vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = okvm_vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

int okvm_vm_create(struct okvm_offer *offer, unsigned long type)
{
	struct okvm_vm *vm;
	struct file *file;
	int fd, err;

	if (type)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = okvm_hardware_get(offer);
	if (err)
		goto err_put_fd;
	/* The misc device is open, so the module cannot be unloading. */
	__module_get(THIS_MODULE);
	vm = vm_alloc(offer);
	if (IS_ERR(vm)) {
		err = PTR_ERR(vm);
		goto err_put_module;
	}
	file = anon_inode_getfile("kvm-vm", &vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		/* vm_destroy() also releases the hardware and the module. */
		okvm_vm_put(vm);
		err = PTR_ERR(file);
		goto err_put_fd;
	}
	okvm_show_add(vm, fd);
	fd_install(fd, file);
	return fd;

err_put_module:
	module_put(THIS_MODULE);
	okvm_hardware_put(offer);
err_put_fd:
	put_unused_fd(fd);
	return err;
}

OKVM_EXPORT_FOR_KUNIT(okvm_vm_create);

/* ---- ioctls ---- */

static long vm_ioc_check_extension(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return okvm_check_extension(vm, arg.num);
}

static long vm_ioc_set_memory_region(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return okvm_set_memory_region(vm, arg.data);
}

/*
 * The argument of KVM_SET_USER_MEMORY_REGION2 begins like that of KVM_SET_USER_MEMORY_REGION. The
 * other fields name a guest_memfd. They have effect only with a flag that okvm refuses. Upstream
 * KVM also refuses this flag for VMs without private memory.
 */
static_assert(offsetof(struct kvm_userspace_memory_region2, guest_memfd_offset) ==
	      sizeof(struct kvm_userspace_memory_region));
static_assert(sizeof(struct kvm_userspace_memory_region2) == 160);

static long vm_ioc_set_memory_region2(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_userspace_memory_region2 *from = arg.data;
	struct kvm_userspace_memory_region region = {
		.slot = from->slot,
		.flags = from->flags,
		.guest_phys_addr = from->guest_phys_addr,
		.memory_size = from->memory_size,
		.userspace_addr = from->userspace_addr,
	};

	return okvm_set_memory_region(vm, &region);
}

static int vm_exit_times(struct okvm_vm *vm, const struct kvm_enable_cap *cap)
{
	lockdep_assert_held(&vm->lock);
	if (cap->flags)
		return okvm_refuse(vm, "KVM_ENABLE_CAP: flags are not 0");
	if (cap->args[0] > 1)
		return okvm_refuse(vm, "OKVM_CAP_EXIT_TIMES: args[0] is neither 0 nor 1");
	if (vm->created_vcpus)
		return okvm_refuse(vm, "OKVM_CAP_EXIT_TIMES: after the first vCPU");
	WRITE_ONCE(vm->exit_times, cap->args[0]);
	return 0;
}

static long vm_ioc_enable_cap(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_enable_cap *cap = arg.data;

	if (cap->cap == OKVM_CAP_EXIT_TIMES)
		return vm_exit_times(vm, cap);
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2)
		return cap->flags ? okvm_refuse(vm, "KVM_ENABLE_CAP: flags are not 0") :
				    okvm_dirty_manual(vm, cap->args[0]);
	return okvm_arch_vm_enable_cap(vm, cap);
}

static long vm_ioc_get_error(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	okvm_error_get(&vm->error, arg.data);
	return 0;
}

const struct okvm_ioctl okvm_core_vm_ioctls[] = {
	{ KVM_CREATE_VCPU,		OKVM_IOC_SCALAR, { .vm = okvm_vcpu_create } },
	{ KVM_CHECK_EXTENSION,		OKVM_IOC_SCALAR, { .vm = vm_ioc_check_extension } },
	{ KVM_SET_USER_MEMORY_REGION,	0,		 { .vm = vm_ioc_set_memory_region } },
	{ KVM_SET_USER_MEMORY_REGION2,	0,		 { .vm = vm_ioc_set_memory_region2 } },
	{ OKVM_SET_MEMORY_REGIONS,	0,		 { .vm = okvm_set_memory_regions } },
	{ KVM_GET_DIRTY_LOG,		0,		 { .vm = okvm_get_dirty_log } },
	{ KVM_CLEAR_DIRTY_LOG,		0,		 { .vm = okvm_clear_dirty_log } },
	{ KVM_ENABLE_CAP,		OKVM_IOC_LOCK,	 { .vm = vm_ioc_enable_cap } },
	{ KVM_GET_STATS_FD,		OKVM_IOC_SCALAR | OKVM_IOC_DEAD,
					{ .vm = okvm_vm_stats_fd } },
	{ OKVM_VM_PAUSE,		0,		 { .vm = okvm_vm_pause } },
	{ OKVM_GET_ERROR,		OKVM_IOC_DEAD,	 { .vm = vm_ioc_get_error } },
	{ }
};
