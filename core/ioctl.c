// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctl dispatcher. Each ioctl has a row in a table (ioctl.h). For each call the dispatcher
 * finds the row, refuses dead VMs and other processes, locks, loads the vCPU, copies the argument
 * in, calls the handler, and copies the argument out. The row's flags say which of these steps to
 * do.
 *
 * Upstream KVM codes most of these steps in the cases of switch statements, once for each ioctl.
 */
#include <linux/bsearch.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/internal.h"

/* Arguments of up to IOCTL_STACK_BYTES bytes are copied to the stack, larger ones to the heap. */
#define IOCTL_STACK_BYTES	512

struct ioctl_index {
	unsigned int count;
	const struct okvm_ioctl **rows;		/* sorted by cmd */
};

static struct ioctl_index ioctl_index[OKVM_NR_FDS];

static int ioctl_compare(const void *a, const void *b)
{
	unsigned int x = (*(const struct okvm_ioctl **)a)->cmd;
	unsigned int y = (*(const struct okvm_ioctl **)b)->cmd;

	return x < y ? -1 : x > y;
}

static int ioctl_compare_key(const void *key, const void *row)
{
	unsigned int cmd = *(const unsigned int *)key;
	unsigned int y = (*(const struct okvm_ioctl **)row)->cmd;

	return cmd < y ? -1 : cmd > y;
}

static const struct okvm_ioctl_table ioctl_core_tables[] = {
	{ OKVM_FD_SYS, okvm_core_sys_ioctls },
	{ OKVM_FD_VM, okvm_core_vm_ioctls },
	{ OKVM_FD_VCPU, okvm_core_vcpu_ioctls },
	{ }
};

/* Return the number of rows for fds of kind @fd. If @out is not NULL, store the rows there. */
static unsigned int ioctl_collect(const struct okvm_ioctl_table *table, enum okvm_fd fd,
				  const struct okvm_ioctl **out)
{
	const struct okvm_ioctl *row;
	unsigned int n = 0;

	for (; table->rows; table++)
		for (row = table->rows; table->fd == fd && row->cmd; row++, n++)
			if (out)
				out[n] = row;
	return n;
}

static int ioctl_index_build(struct ioctl_index *index, enum okvm_fd fd)
{
	unsigned int core = ioctl_collect(ioctl_core_tables, fd, NULL);

	index->count = core + ioctl_collect(okvm_arch_ioctls, fd, NULL);
	index->rows = kcalloc(index->count, sizeof(*index->rows), GFP_KERNEL);
	if (!index->rows)
		return -ENOMEM;
	ioctl_collect(ioctl_core_tables, fd, index->rows);
	ioctl_collect(okvm_arch_ioctls, fd, index->rows + core);
	sort(index->rows, index->count, sizeof(*index->rows), ioctl_compare, NULL);
	return 0;
}

int okvm_ioctl_init(void)
{
	enum okvm_fd fd;
	int err = 0;

	for (fd = 0; !err && fd < OKVM_NR_FDS; fd++)
		err = ioctl_index_build(&ioctl_index[fd], fd);
	if (err)
		okvm_ioctl_exit();
	return err;
}

void okvm_ioctl_exit(void)
{
	unsigned int i;

	for (i = 0; i < OKVM_NR_FDS; i++) {
		kfree(ioctl_index[i].rows);
		ioctl_index[i].rows = NULL;
		ioctl_index[i].count = 0;
	}
}

/* Find the row of @cmd for fds of @kind, or NULL. */
static const struct okvm_ioctl *ioctl_find(enum okvm_fd kind, unsigned int cmd)
{
	const struct ioctl_index *index = &ioctl_index[kind];
	const struct okvm_ioctl **row;

	row = bsearch(&cmd, index->rows, index->count, sizeof(*index->rows), ioctl_compare_key);
	return row ? *row : NULL;
}

/* The object on which an ioctl is called. @vm is NULL for a system fd; @vcpu is for vCPU fds. */
struct ioctl_target {
	enum okvm_fd kind;
	struct okvm_vm *vm;
	struct okvm_vcpu *vcpu;
};

static long ioctl_call(const struct okvm_ioctl *row, const struct ioctl_target *to,
		       union okvm_ioctl_arg arg)
{
	switch (to->kind) {
	case OKVM_FD_SYS:
		return row->sys(arg);
	case OKVM_FD_VM:
		return row->vm(to->vm, arg);
	default:
		return row->vcpu(to->vcpu, arg);
	}
}

/* Call the handler with a kernel copy of the argument, which has a fixed size. */
static long ioctl_call_copied(const struct okvm_ioctl *row, const struct ioctl_target *to,
			      void __user *user)
{
	u64 small[IOCTL_STACK_BYTES / sizeof(u64)];
	size_t size = _IOC_SIZE(row->cmd);
	unsigned int dir = row->flags & OKVM_IOC_IN ? _IOC_WRITE : _IOC_DIR(row->cmd);
	union okvm_ioctl_arg arg = { .data = small };
	long ret = -EFAULT;

	if (size > sizeof(small)) {
		arg.data = kmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!arg.data)
			return -ENOMEM;
	}
	if (dir & _IOC_WRITE) {
		if (copy_from_user(arg.data, user, size))
			goto out;
	} else {
		memset(arg.data, 0, size);
	}
	ret = ioctl_call(row, to, arg);
	if (ret >= 0 && (dir & _IOC_READ) && copy_to_user(user, arg.data, size))
		ret = -EFAULT;
out:
	if (arg.data != small)
		kfree(arg.data);
	return ret;
}

/*
 * Store @why for OKVM_GET_ERROR, and return -EINVAL. A system fd has no OKVM_GET_ERROR, so nothing
 * is stored for an ioctl of a system fd.
 */
static long ioctl_refuse(const struct ioctl_target *to, const char *why)
{
	if (to->vcpu)
		return okvm_refuse_vcpu(to->vcpu, why);
	return to->vm ? okvm_refuse(to->vm, why) : -EINVAL;
}

static long ioctl_dispatch(const struct okvm_ioctl *row, const struct ioctl_target *to,
			   unsigned long num)
{
	union okvm_ioctl_arg arg;

	if (row->flags & OKVM_IOC_NOARG && num)
		return ioctl_refuse(to, "the argument of this ioctl is not 0");
	if (row->flags & (OKVM_IOC_SCALAR | OKVM_IOC_NOARG)) {
		arg.num = num;
		return ioctl_call(row, to, arg);
	}
	if (row->flags & OKVM_IOC_RAW) {
		arg.user = (void __user *)num;
		return ioctl_call(row, to, arg);
	}
	return ioctl_call_copied(row, to, (void __user *)num);
}

static long ioctl_dispatch_srcu(const struct okvm_ioctl *row, const struct ioctl_target *to,
				unsigned long num)
{
	long ret;
	int idx;

	if (!(row->flags & OKVM_IOC_SRCU))
		return ioctl_dispatch(row, to, num);
	idx = srcu_read_lock(&to->vm->srcu);
	ret = ioctl_dispatch(row, to, num);
	srcu_read_unlock(&to->vm->srcu, idx);
	return ret;
}

/*
 * Return true if the ioctl of @row must be refused: if the VM is dead, or if the caller's address
 * space is not the one that backs guest memory (vm->mm). Rows with OKVM_IOC_DEAD are never refused.
 */
static bool ioctl_refused(const struct okvm_vm *vm, const struct okvm_ioctl *row)
{
	if (row && row->flags & OKVM_IOC_DEAD)
		return false;
	return vm->mm != current->mm || READ_ONCE(vm->dead);
}

long okvm_sys_ioctl(struct file *file, unsigned int cmd, unsigned long num)
{
	const struct okvm_ioctl *row = ioctl_find(OKVM_FD_SYS, cmd);
	struct ioctl_target to = { .kind = OKVM_FD_SYS };

	return row ? ioctl_dispatch(row, &to, num) : -EINVAL;
}

long okvm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long num)
{
	struct okvm_vm *vm = file->private_data;
	const struct okvm_ioctl *row = ioctl_find(OKVM_FD_VM, cmd);
	struct ioctl_target to = { .kind = OKVM_FD_VM, .vm = vm };
	long ret;

	if (ioctl_refused(vm, row))
		return -EIO;
	if (!row)
		return -ENOTTY;
	if (!(row->flags & OKVM_IOC_LOCK))
		return ioctl_dispatch_srcu(row, &to, num);
	mutex_lock(&vm->lock);
	ret = ioctl_dispatch_srcu(row, &to, num);
	mutex_unlock(&vm->lock);
	return ret;
}

static long ioctl_vcpu_locked(const struct okvm_ioctl *row, const struct ioctl_target *to,
			      unsigned long num)
{
	long ret;

	if (mutex_lock_killable(&to->vcpu->mutex))
		return -EINTR;
	if (row->flags & OKVM_IOC_LOAD)
		okvm_vcpu_load(to->vcpu);
	ret = ioctl_dispatch_srcu(row, to, num);
	if (row->flags & OKVM_IOC_LOAD)
		okvm_vcpu_put(to->vcpu);
	mutex_unlock(&to->vcpu->mutex);
	return ret;
}

/*
 * Execute KVM_RUN. It has no row in the ioctl table, because it must be fast and okvm_vcpu_run()
 * loads the vCPU itself. *@held tells whether a reference to @file is held. The run may take one,
 * so that @file outlives a close() by another thread (run_hold_file()), and then sets *@held. The
 * caller must drop the reference without vcpu->mutex, after its last use of the vCPU.
 */
static long ioctl_vcpu_run(struct file *file, struct okvm_vcpu *vcpu, bool interrupted, bool *held)
{
	long ret = 0;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	vcpu->run_file_held = *held;
	/*
	 * Test only with the mutex held. A later OKVM_VM_PAUSE then waits for the mutex, so it
	 * waits for the end of this KVM_RUN.
	 */
	if (unlikely(READ_ONCE(vcpu->vm->dead_or_paused)))
		ret = okvm_pause_gate(vcpu, interrupted);
	if (likely(!ret)) {
		vcpu->run_file = file;
		ret = okvm_vcpu_run(vcpu);
	}
	*held = vcpu->run_file_held;
	vcpu->run_file_held = false;
	mutex_unlock(&vcpu->mutex);
	return ret;
}

/*
 * Wait for the end of all pauses, then execute KVM_RUN. If a new pause stops this KVM_RUN, wait
 * again.
 */
static noinline long ioctl_vcpu_run_paused(struct file *file, struct okvm_vcpu *vcpu, bool *held)
{
	bool active, interrupted;
	sigset_t mask;
	long ret;

	do {
		if (mutex_lock_killable(&vcpu->mutex))
			return -EINTR;
		active = vcpu->sigset_active;
		mask = vcpu->sigset;
		mutex_unlock(&vcpu->mutex);
		interrupted = okvm_pause_wait(vcpu, active ? &mask : NULL);
		ret = ioctl_vcpu_run(file, vcpu, interrupted, held);
	} while (ret == OKVM_RUN_PAUSED);
	return ret;
}

static noinline long ioctl_vcpu_row(struct okvm_vcpu *vcpu, unsigned int cmd, unsigned long num)
{
	struct ioctl_target to = { .kind = OKVM_FD_VCPU, .vm = vcpu->vm, .vcpu = vcpu };
	const struct okvm_ioctl *row = ioctl_find(OKVM_FD_VCPU, cmd);

	if (ioctl_refused(vcpu->vm, row))
		return -EIO;
	/*
	 * Do not store an error for an unknown ioctl. The VMM may only probe whether the ioctl
	 * exists, and the stored error would replace one that the VMM still wants to read
	 * (OKVM_GET_ERROR).
	 */
	if (!row)
		return -EINVAL;
	if (row->flags & OKVM_IOC_NOLOCK)
		return ioctl_dispatch_srcu(row, &to, num);
	return ioctl_vcpu_locked(row, &to, num);
}

long okvm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long num)
{
	struct okvm_vcpu *vcpu = file->private_data;
	bool held = false;
	long ret;

	if (unlikely(cmd != KVM_RUN))
		return ioctl_vcpu_row(vcpu, cmd, num);
	if (vcpu->vm->mm != current->mm)
		return -EIO;
	if (num)
		return okvm_refuse_vcpu(vcpu, "KVM_RUN: the argument is not 0");
	ret = ioctl_vcpu_run(file, vcpu, false, &held);
	if (unlikely(ret == OKVM_RUN_PAUSED))
		ret = ioctl_vcpu_run_paused(file, vcpu, &held);
	/* run_hold_file()'s reference may be the last: drop it after the last use of the vCPU. */
	if (unlikely(held))
		fput(file);
	return ret;
}
