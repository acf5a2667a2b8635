// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creates and destroys vCPUs, and loads them on a CPU. This file also has the pages that a vCPU
 * shares with userspace, and the vCPU ioctls of core/.
 */
#include <linux/anon_inodes.h>
#include <linux/error-injection.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/internal.h"
#include "core/times.h"
#include "core/watch.h"

static DEFINE_PER_CPU(struct okvm_vcpu *, running_vcpu);
static void vcpu_sched_in(struct preempt_notifier *pn, int cpu);
static void vcpu_sched_out(struct preempt_notifier *pn, struct task_struct *next);

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = vcpu_sched_in,
	.sched_out = vcpu_sched_out,
};

/* ---- load and put ---- */

struct okvm_vcpu *okvm_running_vcpu(void)
{
	return __this_cpu_read(running_vcpu);
}

static void vcpu_load_here(struct okvm_vcpu *vcpu, int cpu)
{
	__this_cpu_write(running_vcpu, vcpu);
	okvm_arch_vcpu_load(vcpu, cpu);
}

static void vcpu_put_here(struct okvm_vcpu *vcpu)
{
	okvm_arch_vcpu_put(vcpu);
	__this_cpu_write(running_vcpu, NULL);
}

void okvm_vcpu_load(struct okvm_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->preempt_notifier);
	vcpu_load_here(vcpu, cpu);
	put_cpu();
}

void okvm_vcpu_put(struct okvm_vcpu *vcpu)
{
	preempt_disable();
	vcpu_put_here(vcpu);
	preempt_notifier_unregister(&vcpu->preempt_notifier);
	preempt_enable();
}

static struct okvm_vcpu *vcpu_of_notifier(struct preempt_notifier *pn)
{
	return container_of(pn, struct okvm_vcpu, preempt_notifier);
}

static void vcpu_sched_in(struct preempt_notifier *pn, int cpu)
{
	struct okvm_vcpu *vcpu = vcpu_of_notifier(pn);

	WRITE_ONCE(vcpu->preempted, false);
	vcpu_load_here(vcpu, cpu);
}

static void vcpu_sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct okvm_vcpu *vcpu = vcpu_of_notifier(pn);

	if (task_is_running(current)) {
		WRITE_ONCE(vcpu->preempted, true);
		vcpu->stat[OKVM_STAT_PREEMPTION]++;
	}
	vcpu_put_here(vcpu);
}

/* ---- pages that userspace maps ---- */

static vm_fault_t vcpu_mmap_fault(struct vm_fault *vmf)
{
	struct okvm_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page;

	switch (vmf->pgoff) {
	case 0:
		page = virt_to_page(vcpu->run);
		break;
	case KVM_PIO_PAGE_OFFSET:
		page = virt_to_page(vcpu->pio_page);
		break;
	case KVM_COALESCED_MMIO_PAGE_OFFSET:
		page = vcpu->vm->coalesced_page;
		break;
	default:
		return VM_FAULT_SIGBUS;
	}
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_mmap_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct okvm_vcpu *vcpu = file->private_data;

	if (vcpu)
		okvm_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = okvm_vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

/* ---- creation ---- */

void okvm_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	okvm_arch_vcpu_destroy(vcpu);
	okvm_times_destroy(vcpu);
	put_pid(rcu_dereference_protected(vcpu->pid, 1));
	free_page((unsigned long)vcpu->pio_page);
	free_page((unsigned long)vcpu->run);
	kfree(vcpu);
}

static struct okvm_vcpu *vcpu_alloc(struct okvm_vm *vm, u32 id)
{
	struct okvm_vcpu *vcpu;
	int err = -ENOMEM;

	vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->creator = task_pid_nr(current);
	vcpu->cpu = -1;
	mutex_init(&vcpu->mutex);
	spin_lock_init(&vcpu->wait_lock);
	okvm_error_init(&vcpu->error);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt_notifier, &vcpu_preempt_ops);
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (vcpu->run && vcpu->pio_page)
		err = okvm_times_create(vcpu);
	if (!err)
		err = okvm_arch_vcpu_create(vcpu);
	if (err) {
		okvm_vcpu_destroy(vcpu);
		return ERR_PTR(err);
	}
	return vcpu;
}

/*
 * Check the id, and count the vCPU in vm->created_vcpus. From here on, userspace cannot change
 * settings that must be made before the first vCPU.
 */
static int vcpu_reserve(struct okvm_vm *vm, unsigned long id)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (id >= vm->max_vcpu_id)
		err = okvm_refuse(vm, "KVM_CREATE_VCPU: the id is not below KVM_CAP_MAX_VCPU_ID");
	else if (vm->created_vcpus >= OKVM_MAX_VCPUS)
		err = okvm_refuse(vm, "KVM_CREATE_VCPU: the VM has KVM_CAP_MAX_VCPUS vCPUs");
	else if (xa_load(&vm->vcpu_by_id, id))
		err = -EEXIST;
	else
		vm->created_vcpus++;
	mutex_unlock(&vm->lock);
	return err;
}

static void vcpu_unreserve(struct okvm_vm *vm)
{
	mutex_lock(&vm->lock);
	vm->created_vcpus--;
	mutex_unlock(&vm->lock);
}

/*
 * Make the vCPU visible to other threads: by id, by index, and at last in online_vcpus. No step can
 * fail after the vCPU has become visible.
 */
static noinline int vcpu_publish(struct okvm_vcpu *vcpu)
{
	struct okvm_vm *vm = vcpu->vm;
	int err;

	lockdep_assert_held(&vm->lock);
	vcpu->idx = atomic_read(&vm->online_vcpus);
	err = xa_reserve(&vm->vcpus, vcpu->idx, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	err = xa_insert(&vm->vcpu_by_id, vcpu->id, vcpu, GFP_KERNEL_ACCOUNT);
	if (err) {
		xa_release(&vm->vcpus, vcpu->idx);
		return err == -EBUSY ? -EEXIST : err;
	}
	/* xa_reserve() has allocated the entry, so this store cannot fail. */
	xa_store(&vm->vcpus, vcpu->idx, vcpu, 0);
	/* A reader that sees the new online_vcpus also sees the vCPU. */
	smp_wmb();
	atomic_inc(&vm->online_vcpus);
	okvm_arch_vcpu_online(vcpu);
	return 0;
}

ALLOW_ERROR_INJECTION(vcpu_publish, ERRNO);

long okvm_vcpu_create(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct okvm_vcpu *vcpu;
	struct file *file;
	int fd, err;

	err = vcpu_reserve(vm, arg.num);
	if (err)
		return err;
	vcpu = vcpu_alloc(vm, arg.num);
	if (IS_ERR(vcpu)) {
		err = PTR_ERR(vcpu);
		goto err_unreserve;
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto err_destroy_vcpu;
	}
	okvm_vm_get(vm);
	file = anon_inode_getfile("kvm-vcpu", &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_put_vm;
	}
	mutex_lock(&vm->lock);
	err = vcpu_publish(vcpu);
	mutex_unlock(&vm->lock);
	if (err)
		goto err_put_file;
	fd_install(fd, file);
	return fd;

err_put_file:
	/*
	 * fput() calls vcpu_release() later, when the vCPU has been freed. vcpu_release() does
	 * nothing if private_data is NULL.
	 */
	file->private_data = NULL;
	fput(file);
err_put_vm:
	okvm_vm_put(vm);
	put_unused_fd(fd);
err_destroy_vcpu:
	okvm_vcpu_destroy(vcpu);
err_unreserve:
	vcpu_unreserve(vm);
	return err;
}

/* ---- ioctls ---- */

/* Set the signals to block during KVM_RUN. Without an argument use the thread's own mask again. */
static long vcpu_ioc_set_signal_mask(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_signal_mask head;
	sigset_t set;

	if (!arg.user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&head, arg.user, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(set))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_SIGNAL_MASK: len is not 8");
	if (copy_from_user(&set, arg.user + sizeof(head), sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

static long vcpu_ioc_get_error(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	okvm_error_get(&vcpu->error, arg.data);
	return 0;
}

const struct okvm_ioctl okvm_core_vcpu_ioctls[] = {
	{ KVM_SET_SIGNAL_MASK, OKVM_IOC_RAW,   { .vcpu = vcpu_ioc_set_signal_mask } },
	{ KVM_GET_STATS_FD,    OKVM_IOC_SCALAR | OKVM_IOC_DEAD, { .vcpu = okvm_vcpu_stats_fd } },
	{ OKVM_VCPU_KICK,      OKVM_IOC_NOARG | OKVM_IOC_NOLOCK, { .vcpu = okvm_vcpu_leave } },
	{ OKVM_GET_ERROR,      OKVM_IOC_NOLOCK | OKVM_IOC_DEAD, { .vcpu = vcpu_ioc_get_error } },
	{ }
};

void okvm_vcpu_init(void)
{
	preempt_notifier_inc();
}

void okvm_vcpu_exit(void)
{
	preempt_notifier_dec();
	okvm_watch_flush();
}
