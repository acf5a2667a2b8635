// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics in debugfs. The folder okvm/ always exists. While kvm.ko is not loaded, okvm also has
 * the folder kvm/, for tools that read the folder of kvm.ko.
 *
 * okvm/ has one file with all VMs; kvm/ has a folder for each VM. Tools look at few VMs, so the
 * creation of a VM makes no folder. fsnotify tells okvm when a process opens kvm/ to list it. Then
 * show_opened() makes the missing folders of VMs, before the process can read the list.
 *
 * A file has no reference to its VM. Functions that read a VM call debugfs_file_get() before and
 * debugfs_file_put() after. okvm_show_remove() removes the files of a VM before the VM is
 * destroyed, and waits for all threads between these two calls. Such a thread must not access
 * userspace memory, because a page fault could take for ever. After the removal, reading a file
 * that is still open fails with EIO.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <asm/tsc.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/compat.h"
#include "core/hardware.h"
#include "core/internal.h"
#include "core/rival.h"
#include "core/times.h"

/*
 * show_vms_lock guards the list of all VMs. Lock order: functions that read files call
 * debugfs_file_get() before they take this lock, and debugfs_file_put() after they drop it.
 */
static DEFINE_MUTEX(show_vms_lock);
static LIST_HEAD(show_vms);

/*
 * show_lock guards the folders. To take a VM off the list, hold both locks. A thread that removes a
 * folder holds show_lock and waits for functions that read files, so these functions must not take
 * show_lock.
 */
static DEFINE_MUTEX(show_lock);
static struct dentry *show_okvm;	/* NULL without debugfs */
static struct dentry *show_kvm;		/* okvm's folder kvm/; NULL while kvm.ko may have one */
static struct okvm_rival show_upstream = { .name = "kvm" };

/* ---- files with one value ---- */

/* Return the VM or the vCPU of the folder that contains @file; NULL: the folder is for all VMs. */
static void *show_owner(const struct file *file)
{
	return d_inode(file->f_path.dentry->d_parent)->i_private;
}

static unsigned int show_nr(const struct file *file)
{
	return (unsigned long)file_inode(file)->i_private;
}

static u64 show_sum(unsigned int nr)
{
	struct okvm_vm *vm;
	u64 sum = 0;

	mutex_lock(&show_vms_lock);
	list_for_each_entry(vm, &show_vms, node)
		sum += okvm_stat_read(vm, nr);
	mutex_unlock(&show_vms_lock);
	return sum;
}

static void show_reset_all(unsigned int nr)
{
	struct okvm_vm *vm;

	mutex_lock(&show_vms_lock);
	list_for_each_entry(vm, &show_vms, node)
		okvm_stat_reset(vm, nr);
	mutex_unlock(&show_vms_lock);
}

/*
 * Print a statistic. seq_file keeps the text, so a process that reads it in parts gets one value.
 */
static int show_stat_print(struct seq_file *seq, void *unused)
{
	const struct file *file = seq->file;
	struct okvm_vm *vm;
	u64 value;
	int err;

	err = debugfs_file_get(file->f_path.dentry);
	if (err)
		return err;
	vm = show_owner(file);
	value = vm ? okvm_stat_read(vm, show_nr(file)) : show_sum(show_nr(file));
	debugfs_file_put(file->f_path.dentry);
	seq_printf(seq, "%llu\n", value);
	return 0;
}

static int show_stat_open(struct inode *inode, struct file *file)
{
	return single_open(file, show_stat_print, NULL);
}

/* Writing 0 resets a counter. */
static ssize_t show_stat_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	unsigned int nr = show_nr(file);
	struct okvm_vm *vm;
	bool gauge;
	u64 value;
	int err;

	err = kstrtou64_from_user(user, size, 0, &value);
	if (err)
		return err;
	okvm_stat_name(nr, &gauge);
	if (gauge)
		return -EACCES;
	if (value)
		return -EINVAL;
	err = debugfs_file_get(file->f_path.dentry);
	if (err)
		return err;
	vm = show_owner(file);
	if (vm)
		okvm_stat_reset(vm, nr);
	else
		show_reset_all(nr);
	debugfs_file_put(file->f_path.dentry);
	return size;
}

static const struct file_operations show_stat_fops = {
	.owner = THIS_MODULE,
	.open = show_stat_open,
	.read = seq_read,
	.write = show_stat_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* ---- files of a vCPU ---- */

static s64 show_guest_mode(struct okvm_vcpu *vcpu)
{
	return 0;	/* there are no nested guests */
}

static s64 show_pid(struct okvm_vcpu *vcpu)
{
	s64 pid;

	rcu_read_lock();
	pid = pid_nr(rcu_dereference(vcpu->pid));
	rcu_read_unlock();
	return pid;
}

static const struct okvm_vcpu_file show_vcpu_files[] = {
	{ "guest_mode", show_guest_mode, 0 },
	{ "pid", show_pid, 0 },
	{ }
};

static int show_vcpu_file_show(struct seq_file *seq, void *unused)
{
	struct dentry *dentry = seq->file->f_path.dentry;
	const struct okvm_vcpu_file *row = seq->private;
	s64 value;
	int err;

	err = debugfs_file_get(dentry);
	if (err)
		return err;
	value = row->value(show_owner(seq->file));
	debugfs_file_put(dentry);
	seq_printf(seq, "%lld\n", value);
	return 0;
}

DEFINE_SHOW_ATTRIBUTE(show_vcpu_file);

/* ---- okvm/vms: all VMs with their vCPUs, as lines of words ---- */

static void show_hist(struct seq_file *seq, const char *kind, unsigned int reason, const u64 *hist)
{
	bool empty = true;
	unsigned int i;

	for (i = 0; i < OKVM_TIME_BUCKETS; i++) {
		u64 count = READ_ONCE(hist[i]);

		if (!count)
			continue;
		if (empty)
			seq_printf(seq, "%s %u", kind, reason);
		seq_printf(seq, " %u:%llu", i, count);
		empty = false;
	}
	if (!empty)
		seq_putc(seq, '\n');
}

static void show_times(struct seq_file *seq, const struct okvm_times *times)
{
	unsigned int i;

	for (i = 0; i < OKVM_NR_EXIT_REASONS; i++)
		show_hist(seq, "kernel", i, times->hist[i]);
	for (i = 0; i < OKVM_TIMES_USER; i++)
		show_hist(seq, "user", i, times->hist[OKVM_NR_EXIT_REASONS + i]);
}

static void show_vcpu_lines(struct seq_file *seq, struct okvm_vcpu *vcpu)
{
	unsigned int i;

	seq_printf(seq, "vcpu %u %lld\n", vcpu->id, show_pid(vcpu));
	for (i = 0; i < OKVM_NR_EXIT_REASONS; i++) {
		u64 count = READ_ONCE(vcpu->exit_count[i]);

		if (count)
			seq_printf(seq, "reason %u %llu\n", i, count);
	}
	if (vcpu->times)
		show_times(seq, vcpu->times);
}

static int show_vms_show(struct seq_file *seq, void *at)
{
	struct okvm_vcpu *vcpu;
	struct okvm_vm *vm;
	unsigned long idx;
	unsigned int nr;
	bool gauge;

	if (at == &show_vms) {
		seq_printf(seq, "tsc_khz %u\n", tsc_khz);
		return 0;
	}
	vm = list_entry(at, struct okvm_vm, node);
	seq_printf(seq, "vm %d-%d %s\n", vm->creator, vm->fd, vm->backend->name);
	for (nr = 0; nr < OKVM_NR_STATS; nr++)
		seq_printf(seq, "stat %s %llu\n", okvm_stat_name(nr, &gauge),
			   okvm_stat_read(vm, nr));
	okvm_for_each_vcpu(idx, vcpu, vm)
		show_vcpu_lines(seq, vcpu);
	return 0;
}

static void *show_vms_start(struct seq_file *seq, loff_t *pos)
{
	mutex_lock(&show_vms_lock);
	return seq_list_start_head(&show_vms, *pos);
}

static void *show_vms_next(struct seq_file *seq, void *at, loff_t *pos)
{
	return seq_list_next(at, &show_vms, pos);
}

static void show_vms_stop(struct seq_file *seq, void *at)
{
	mutex_unlock(&show_vms_lock);
}

static const struct seq_operations show_vms_sops = {
	.start = show_vms_start,
	.next = show_vms_next,
	.stop = show_vms_stop,
	.show = show_vms_show,
};

DEFINE_SEQ_ATTRIBUTE(show_vms);

/* ---- folders, under show_lock ---- */

/* Make the folder of @owner. Return NULL if this fails, or if the name exists already. */
static struct dentry *show_folder(const char *name, struct dentry *parent, void *owner)
{
	/* debugfs_lookup() and debugfs_create_dir() return an error in a kernel without debugfs. */
	struct dentry *folder = debugfs_lookup(name, parent);

	if (!IS_ERR_OR_NULL(folder)) {
		dput(folder);
		return NULL;
	}
	folder = debugfs_create_dir(name, parent);
	if (IS_ERR(folder))
		return NULL;
	d_inode(folder)->i_private = owner;
	return folder;
}

static void show_fill(struct dentry *folder)
{
	unsigned long nr;

	for (nr = 0; nr < OKVM_NR_STATS; nr++) {
		bool gauge;
		const char *name = okvm_stat_name(nr, &gauge);

		debugfs_create_file_unsafe(name, gauge ? 0444 : 0644, folder, (void *)nr,
					   &show_stat_fops);
	}
}

static void show_vcpu_fill(struct dentry *folder, const struct okvm_vcpu_file *row, u32 caps)
{
	for (; row->name; row++)
		if (!(row->caps & ~caps))
			debugfs_create_file_unsafe(row->name, 0444, folder, (void *)row,
						   &show_vcpu_file_fops);
}

static void show_vcpu(struct okvm_vm *vm, struct okvm_vcpu *vcpu)
{
	struct dentry *folder;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	folder = show_folder(name, vm->folder, vcpu);
	if (!folder)
		return;
	show_vcpu_fill(folder, show_vcpu_files, vm->caps);
	show_vcpu_fill(folder, okvm_arch_vcpu_files, vm->caps);
}

/* Make the VM's folder in kvm/, and the folders of its vCPUs, if they do not exist yet. */
static void show_vm(struct okvm_vm *vm)
{
	char name[32];

	if (!vm->folder) {
		snprintf(name, sizeof(name), "%d-%d", vm->creator, vm->fd);
		vm->folder = show_folder(name, show_kvm, vm);
		/*
		 * An older VM of this process may have had the same fd number, and may still exist
		 * after its fd was closed. Then the name is that of the older VM's folder.
		 */
		if (!vm->folder)
			return;
		show_fill(vm->folder);
	}
	while (vm->shown_vcpus < atomic_read(&vm->online_vcpus)) {
		/*
		 * Pairs with smp_wmb() in vcpu_publish(): a reader of online_vcpus sees all vCPUs
		 * it counts.
		 */
		smp_rmb();
		show_vcpu(vm, okvm_vcpu_at(vm, vm->shown_vcpus++));
	}
}

/* Return the VM after @vm in the list, or the first VM if @vm is NULL. Return NULL at the end. */
static struct okvm_vm *show_next_vm(struct okvm_vm *vm)
{
	struct list_head *next;

	lockdep_assert_held(&show_lock);
	mutex_lock(&show_vms_lock);
	next = vm ? vm->node.next : show_vms.next;
	mutex_unlock(&show_vms_lock);
	return next == &show_vms ? NULL : list_entry(next, struct okvm_vm, node);
}

/* ---- find out when a process opens the folder kvm/ ---- */

#ifdef CONFIG_FSNOTIFY

static struct fsnotify_group *show_group;
static struct fsnotify_mark *show_mark;		/* under show_lock; NULL without a watched folder */

/*
 * Called in the process that opens the folder. No lock of the folder is held.
 *
 * The caller may have to wait for show_lock for ever, so let SIGKILL end the wait: the holder may
 * wait in show_vm() for the lock of kvm/'s inode. Another process holds the inode's lock while it
 * lists kvm/, and a page fault on that process's memory may never end.
 */
static int show_opened(struct fsnotify_mark *mark, u32 mask, struct inode *inode, struct inode *dir,
		       const struct qstr *name, u32 cookie)
{
	struct okvm_vm *vm;

	if (mutex_lock_killable(&show_lock))
		return 0;
	if (show_kvm)
		for (vm = show_next_vm(NULL); vm; vm = show_next_vm(vm))
			show_vm(vm);
	mutex_unlock(&show_lock);
	return 0;
}

static void show_free_mark(struct fsnotify_mark *mark)
{
	kfree(mark);
}

static const struct fsnotify_ops show_watch_ops = {
	.handle_inode_event = show_opened,
	.free_mark = show_free_mark,
};

/*
 * Let fsnotify call show_opened() when a process opens @folder, which is kvm/. If there is no
 * memory for this, kvm/ has no folders of VMs, only the files with sums over all VMs.
 */
static void show_watch(struct inode *folder)
{
	struct fsnotify_mark *mark = kzalloc(sizeof(*mark), GFP_KERNEL);

	if (!mark)
		return;
	fsnotify_init_mark(mark, show_group);
	mark->mask = FS_OPEN;
	if (fsnotify_add_inode_mark(mark, folder, 0))
		fsnotify_put_mark(mark);
	else
		show_mark = mark;
}

/*
 * End the watch of kvm/. A call of show_opened() that has begun may still run afterwards; it waits
 * for show_lock, which the caller holds.
 */
static void show_unwatch(void)
{
	if (!show_mark)
		return;
	fsnotify_destroy_mark(show_mark, show_group);
	fsnotify_put_mark(show_mark);
	show_mark = NULL;
}

static int show_watch_init(void)
{
	show_group = fsnotify_alloc_group(&show_watch_ops, 0);
	return PTR_ERR_OR_ZERO(show_group);
}

static void show_watch_exit(void)
{
	fsnotify_put_group(show_group);
	/*
	 * fsnotify calls show_opened() and show_free_mark() through the group. After this wait no
	 * thread runs show_opened() or is going to call show_free_mark().
	 */
	fsnotify_wait_marks_destroyed();
}

#else

static void show_watch(struct inode *folder)
{
}

static void show_unwatch(void)
{
}

static int show_watch_init(void)
{
	return 0;
}

static void show_watch_exit(void)
{
}

#endif /* CONFIG_FSNOTIFY */

/* ---- the folder kvm/ itself, under show_lock ---- */

static void show_offer(void)
{
	lockdep_assert_held(&show_lock);
	if (show_kvm || !show_okvm || okvm_rival_loaded(&show_upstream, okvm_module_loaded))
		return;
	show_kvm = show_folder("kvm", NULL, NULL);
	if (!show_kvm)
		return;
	show_fill(show_kvm);
	show_watch(d_inode(show_kvm));
}

static void show_withdraw(void)
{
	struct okvm_vm *vm;

	lockdep_assert_held(&show_lock);
	if (!show_kvm)
		return;
	for (vm = show_next_vm(NULL); vm; vm = show_next_vm(vm)) {
		vm->folder = NULL;
		vm->shown_vcpus = 0;
	}
	show_unwatch();
	debugfs_remove(show_kvm);
	show_kvm = NULL;
}

void okvm_show_add(struct okvm_vm *vm, int fd)
{
	vm->fd = fd;
	mutex_lock(&show_vms_lock);
	list_add_tail(&vm->node, &show_vms);
	mutex_unlock(&show_vms_lock);
	/*
	 * If kvm.ko was being unloaded when okvm was loaded, okvm treated kvm.ko as loaded and made
	 * no folder kvm/. No notifier told okvm when kvm.ko was gone. So try to make the folder
	 * now.
	 */
	mutex_lock(&show_lock);
	show_offer();
	mutex_unlock(&show_lock);
}

void okvm_show_remove(struct okvm_vm *vm)
{
	mutex_lock(&show_lock);
	mutex_lock(&show_vms_lock);
	list_del_init(&vm->node);
	mutex_unlock(&show_vms_lock);
	debugfs_remove(vm->folder);
	mutex_unlock(&show_lock);
}

/* ---- kvm.ko is loaded or unloaded ---- */

static int show_module(struct notifier_block *nb, unsigned long state, void *data)
{
	struct module *module = data;

	if (strcmp(module->name, show_upstream.name))
		return NOTIFY_OK;
	mutex_lock(&show_lock);
	/*
	 * COMING and LIVE both mean "loaded" here. LIVE is needed if okvm was loaded between COMING
	 * and the creation of kvm.ko's sysfs entry: okvm has then missed COMING and found no entry.
	 */
	okvm_rival_tell(&show_upstream, state != MODULE_STATE_GOING);
	if (show_upstream.loaded)
		show_withdraw();
	else
		show_offer();
	mutex_unlock(&show_lock);
	return NOTIFY_OK;
}

static struct notifier_block show_nb = { .notifier_call = show_module };

int okvm_show_init(void)
{
	int err;

	err = show_watch_init();
	if (err)
		return err;
	err = register_module_notifier(&show_nb);
	if (err)
		goto err_watch_exit;
	mutex_lock(&show_lock);
	show_okvm = show_folder("okvm", NULL, NULL);
	if (show_okvm) {
		show_fill(show_okvm);
		debugfs_create_file("vms", 0444, show_okvm, NULL, &show_vms_fops);
	}
	show_offer();
	mutex_unlock(&show_lock);
	return 0;

err_watch_exit:
	show_watch_exit();
	return err;
}

void okvm_show_exit(void)
{
	unregister_module_notifier(&show_nb);
	mutex_lock(&show_lock);
	show_withdraw();
	debugfs_remove(show_okvm);
	mutex_unlock(&show_lock);
	show_watch_exit();
}
