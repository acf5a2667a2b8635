// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET_STATS_FD: a statistics file that describes itself. It consists of a header, an id string,
 * descriptors of the statistics, and the values. Each of these parts is 8-byte aligned.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/compat.h"
#include "core/internal.h"
#include "core/times.h"

#define STATS_NAME_SIZE	48

/*
 * struct stats_desc - struct kvm_stats_desc with the name inside
 *
 * The structure repeats the fields of kvm_stats_desc, because the array size of its member name
 * depends on the kernel version.
 */
struct stats_desc {
	u32 flags;
	s16 exponent;
	u16 size;
	u32 offset;
	u32 bucket_size;
	char name[STATS_NAME_SIZE];
};

static_assert(offsetof(struct stats_desc, offset) == offsetof(struct kvm_stats_desc, offset));
static_assert(offsetof(struct stats_desc, name) == offsetof(struct kvm_stats_desc, name));
static_assert(sizeof(struct stats_desc) == 16 + STATS_NAME_SIZE);

#define STATS_COUNTER (KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define STATS_GAUGE   (KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define STATS_NS      (KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10)

#define STATS_ROW(nr, label, kind, exp)					\
	[nr] = {							\
		.flags = (kind), .exponent = (exp), .size = 1,		\
		.offset = (nr) * sizeof(u64), .name = label,		\
	}

static const struct stats_desc stats_vm_desc[OKVM_NR_VM_STATS] = {
	STATS_ROW(OKVM_VM_STAT_TLB_FLUSHES, "remote_tlb_flush", STATS_COUNTER, 0),
	STATS_ROW(OKVM_VM_STAT_PAGES_4K, "pages_4k", STATS_GAUGE, 0),
	STATS_ROW(OKVM_VM_STAT_PAGES_2M, "pages_2m", STATS_GAUGE, 0),
	STATS_ROW(OKVM_VM_STAT_PAGES_1G, "pages_1g", STATS_GAUGE, 0),
	STATS_ROW(OKVM_VM_STAT_TABLES, "page_tables", STATS_GAUGE, 0),
	STATS_ROW(OKVM_VM_STAT_NX_SPLITS, "nx_lpage_splits", STATS_GAUGE, 0),
};

/* The last statistic of a vCPU is an array, not one value: the number of exits by exit reason. */
#define STATS_REASONS	OKVM_NR_VCPU_STATS

static const struct stats_desc stats_vcpu_desc[OKVM_NR_VCPU_STATS + 1] = {
	STATS_ROW(OKVM_STAT_EXITS, "exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_FAST_EXITS, "fast_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_USER_EXITS, "user_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_IO_EXITS, "io_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_MMIO_EXITS, "mmio_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_SIGNAL_EXITS, "signal_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_EXITS, "halt_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_WAKEUP, "halt_wakeup", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_POLLS, "halt_attempted_poll", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_POLL_OK, "halt_successful_poll", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_POLL_INVALID, "halt_poll_invalid", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HALT_POLL_OK_NS, "halt_poll_success_ns", STATS_NS, -9),
	STATS_ROW(OKVM_STAT_HALT_POLL_FAIL_NS, "halt_poll_fail_ns", STATS_NS, -9),
	STATS_ROW(OKVM_STAT_HALT_WAIT_NS, "halt_wait_ns", STATS_NS, -9),
	STATS_ROW(OKVM_STAT_IRQ_WINDOW, "irq_window_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_NMI_WINDOW, "nmi_window_exits", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_IRQ_INJECTED, "irq_injections", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_NMI_INJECTED, "nmi_injections", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_EXC_INJECTED, "exception_injections", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_EMULATED, "insn_emulation", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_EMULATION_FAIL, "insn_emulation_fail", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_PF_TAKEN, "pf_taken", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_PF_FIXED, "pf_fixed", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_PF_SPURIOUS, "pf_spurious", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_HYPERCALLS, "hypercalls", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_TLB_FLUSH, "tlb_flush", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_YIELD_TRIED, "directed_yield_attempted", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_YIELDED, "directed_yield_successful", STATS_COUNTER, 0),
	STATS_ROW(OKVM_STAT_PREEMPTION, "preemption_reported", STATS_COUNTER, 0),
	[STATS_REASONS] = {
		.flags = STATS_COUNTER, .size = OKVM_NR_EXIT_REASONS,
		.offset = STATS_REASONS * sizeof(u64), .name = "exits_by_reason",
	},
};

/*
 * The contents of a statistics file: named values, followed by one histogram per exit reason if the
 * vCPU measures the time of its exits.
 */
struct stats_layout {
	const struct stats_desc *desc;
	unsigned int nr_desc;
	unsigned int nr_values;
	unsigned int nr_hists;
};

static const struct stats_layout stats_vm_layout = {
	stats_vm_desc, OKVM_NR_VM_STATS, OKVM_NR_VM_STATS, 0,
};

#define STATS_VCPU_VALUES	(OKVM_NR_VCPU_STATS + OKVM_NR_EXIT_REASONS)

#define STATS_ID_OFFSET		sizeof(struct kvm_stats_header)
#define STATS_DESC_OFFSET	(STATS_ID_OFFSET + STATS_NAME_SIZE)
#define STATS_HIST_BYTES	(OKVM_TIME_BUCKETS * sizeof(u64))

/* ---- access to statistics by number: first the statistics of the VM, then those of vCPUs ---- */

static const struct stats_desc *stats_desc_of(unsigned int nr)
{
	return nr < OKVM_NR_VM_STATS ? &stats_vm_desc[nr] : &stats_vcpu_desc[nr - OKVM_NR_VM_STATS];
}

const char *okvm_stat_name(unsigned int nr, bool *gauge)
{
	const struct stats_desc *desc = stats_desc_of(nr);

	*gauge = (desc->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_INSTANT;
	return desc->name;
}

u64 okvm_stat_read(struct okvm_vm *vm, unsigned int nr)
{
	struct okvm_vcpu *vcpu;
	unsigned long idx;
	u64 sum = 0;

	if (nr < OKVM_NR_VM_STATS)
		return atomic64_read(&vm->stat[nr]);
	okvm_for_each_vcpu(idx, vcpu, vm)
		sum += READ_ONCE(vcpu->stat[nr - OKVM_NR_VM_STATS]);
	return sum;
}

/*
 * Reset a statistic to 0. The vCPU's thread increments counters without atomics: if it does so at
 * the same time, the counter may keep its old value.
 */
void okvm_stat_reset(struct okvm_vm *vm, unsigned int nr)
{
	struct okvm_vcpu *vcpu;
	unsigned long idx;

	if (nr < OKVM_NR_VM_STATS) {
		atomic64_set(&vm->stat[nr], 0);
		return;
	}
	okvm_for_each_vcpu(idx, vcpu, vm)
		WRITE_ONCE(vcpu->stat[nr - OKVM_NR_VM_STATS], 0);
}

/* ---- the file ---- */

static size_t stats_data_offset(const struct stats_layout *layout)
{
	return STATS_DESC_OFFSET +
	       (layout->nr_desc + layout->nr_hists) * sizeof(struct stats_desc);
}

static size_t stats_total(const struct stats_layout *layout)
{
	return stats_data_offset(layout) + layout->nr_values * sizeof(u64) +
	       layout->nr_hists * STATS_HIST_BYTES;
}

static void stats_fill_hist(struct stats_desc *desc, const struct stats_layout *layout,
			    unsigned int nr)
{
	bool user = nr >= OKVM_NR_EXIT_REASONS;

	*desc = (struct stats_desc){
		.flags = KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_CYCLES | KVM_STATS_BASE_POW2,
		.size = OKVM_TIME_BUCKETS,
		.offset = layout->nr_values * sizeof(u64) + nr * STATS_HIST_BYTES,
	};
	snprintf(desc->name, sizeof(desc->name), "exit_time_%s_%u", user ? "user" : "kernel",
		 user ? nr - OKVM_NR_EXIT_REASONS : nr);
}

static void stats_fill_head(u8 *image, const struct stats_layout *layout, const char *id)
{
	struct kvm_stats_header *head = (void *)image;
	struct stats_desc *desc = (void *)image + STATS_DESC_OFFSET;
	unsigned int i;

	head->name_size = STATS_NAME_SIZE;
	head->num_desc = layout->nr_desc + layout->nr_hists;
	head->id_offset = STATS_ID_OFFSET;
	head->desc_offset = STATS_DESC_OFFSET;
	head->data_offset = stats_data_offset(layout);
	strscpy(image + STATS_ID_OFFSET, id, STATS_NAME_SIZE);
	memcpy(desc, layout->desc, layout->nr_desc * sizeof(*layout->desc));
	for (i = 0; i < layout->nr_hists; i++)
		stats_fill_hist(&desc[layout->nr_desc + i], layout, i);
}

/*
 * Allocate a copy of the statistics file and fill in all but the values, which the caller adds.
 * This is done for each read: the file is small and rarely read.
 */
static u8 *stats_image(const struct stats_layout *layout, const char *id)
{
	u8 *image = kvzalloc(stats_total(layout), GFP_KERNEL_ACCOUNT);

	if (image)
		stats_fill_head(image, layout, id);
	return image;
}

static ssize_t stats_vm_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	const struct stats_layout *layout = &stats_vm_layout;
	struct okvm_vm *vm = file->private_data;
	char id[STATS_NAME_SIZE];
	unsigned int i;
	ssize_t ret;
	u64 *values;
	u8 *image;

	snprintf(id, sizeof(id), "kvm-%d", vm->creator);
	image = stats_image(layout, id);
	if (!image)
		return -ENOMEM;
	values = (u64 *)(image + stats_data_offset(layout));
	for (i = 0; i < OKVM_NR_VM_STATS; i++)
		values[i] = atomic64_read(&vm->stat[i]);
	ret = simple_read_from_buffer(user, size, pos, image, stats_total(layout));
	kvfree(image);
	return ret;
}

static ssize_t stats_vcpu_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct okvm_vcpu *vcpu = file->private_data;
	const struct stats_layout layout = {
		stats_vcpu_desc, OKVM_NR_VCPU_STATS + 1, STATS_VCPU_VALUES,
		vcpu->times ? OKVM_TIMES_HISTS : 0,
	};
	char id[STATS_NAME_SIZE];
	ssize_t ret;
	u64 *values;
	u8 *image;

	snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", vcpu->creator, vcpu->id);
	image = stats_image(&layout, id);
	if (!image)
		return -ENOMEM;
	values = (u64 *)(image + stats_data_offset(&layout));
	memcpy(values, vcpu->stat, sizeof(vcpu->stat));
	memcpy(values + OKVM_NR_VCPU_STATS, vcpu->exit_count, sizeof(vcpu->exit_count));
	if (vcpu->times)
		memcpy(values + STATS_VCPU_VALUES, vcpu->times->hist, sizeof(vcpu->times->hist));
	ret = simple_read_from_buffer(user, size, pos, image, stats_total(&layout));
	kvfree(image);
	return ret;
}

static int stats_vm_release(struct inode *inode, struct file *file)
{
	okvm_vm_put(file->private_data);
	return 0;
}

static int stats_vcpu_release(struct inode *inode, struct file *file)
{
	struct okvm_vcpu *vcpu = file->private_data;

	okvm_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations stats_vm_fops = {
	.owner = THIS_MODULE,
	.read = stats_vm_read,
	.release = stats_vm_release,
	.llseek = noop_llseek,
};

static const struct file_operations stats_vcpu_fops = {
	.owner = THIS_MODULE,
	.read = stats_vcpu_read,
	.release = stats_vcpu_release,
	.llseek = noop_llseek,
};

static int stats_open(const char *name, const struct file_operations *fops, void *of,
		      struct okvm_vm *vm)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile(name, fops, of, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_PREAD;
	okvm_vm_get(vm);
	fd_install(fd, file);
	return fd;
}

long okvm_vm_stats_fd(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return stats_open("kvm-vm-stats", &stats_vm_fops, vm, vm);
}

long okvm_vcpu_stats_fd(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return stats_open("kvm-vcpu-stats", &stats_vcpu_fops, vcpu, vcpu->vm);
}
