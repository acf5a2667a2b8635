// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm_vm_kunit.ko: tests virtual machines of two backends side by side. The test registers a fake
 * backend beside the backend of okvm.ko, and creates a VM with one vCPU on each backend. The vCPUs
 * of the fake backend exit to userspace at once.
 *
 * KUnit runs test cases in kernel threads, but a VM belongs to a process. So the process that loads
 * the module creates, queries and runs the VMs in the suite's init function. The test cases check
 * the recorded results.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "irq/apic_ops.h"
#include "mmu/hw_ops.h"
#include "x86/x86.h"

#define FAKE_EXIT	0x0ddba11	/* kvm_run.hw.hardware_exit_reason of the fake's vCPUs */
#define CPUID_ENTRIES	100
#define RDTSCP_BIT	BIT(27)		/* CPUID 80000001H:EDX */
#define RESET_PAGE	0xfffff000u	/* page of the first instruction after RESET */

/* ---- the fake backend ---- */

struct fake_vcpu {
	struct kvm_segment seg[OKVM_NR_SEGS];
	struct kvm_dtable dt[2];
	u32 shadow;
	bool nmi_masked;
};

static struct fake_vcpu *fake_of(struct okvm_vcpu *vcpu)
{
	return (struct fake_vcpu *)vcpu->hw;
}

static unsigned int fake_cpus_on, fake_vms;
/* Capabilities of the fake backend: okvm.ko's, with TSC scaling and RDTSCP inverted. */
static u32 fake_caps;

static int fake_init(u32 *caps)
{
	*caps = fake_caps;
	return 0;
}

static void fake_exit(void)
{
}

static DEFINE_SPINLOCK(fake_lock);

static int fake_cpu_enable(void)
{
	spin_lock(&fake_lock);
	fake_cpus_on++;
	spin_unlock(&fake_lock);
	return 0;
}

static void fake_cpu_disable(void)
{
	spin_lock(&fake_lock);
	fake_cpus_on--;
	spin_unlock(&fake_lock);
}

static int fake_vm_create(struct okvm_vm *vm)
{
	fake_vms++;
	return 0;
}

static void fake_vm_destroy(struct okvm_vm *vm)
{
	fake_vms--;
}

static int fake_vcpu_create(struct okvm_vcpu *vcpu)
{
	struct fake_vcpu *fake_vcpu = kzalloc(sizeof(*fake_vcpu), GFP_KERNEL);

	vcpu->hw = (struct okvm_hw_vcpu *)fake_vcpu;
	return fake_vcpu ? 0 : -ENOMEM;
}

static void fake_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	kfree(vcpu->hw);
}

static void fake_vcpu_reset(struct okvm_vcpu *vcpu, bool init)
{
}

static void fake_vcpu_load(struct okvm_vcpu *vcpu, int cpu)
{
}

static void fake_vcpu_put(struct okvm_vcpu *vcpu)
{
}

static int fake_run(struct okvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->run->hw.hardware_exit_reason = FAKE_EXIT;
	return OKVM_USER;
}

static void fake_kick(struct okvm_vcpu *vcpu, int cpu)
{
}

static void fake_cache_reg(struct okvm_vcpu *vcpu, int reg)
{
	vcpu->arch->avail |= BIT(reg);
}

static void fake_get_segment(struct okvm_vcpu *vcpu, struct kvm_segment *var, enum okvm_seg seg)
{
	*var = fake_of(vcpu)->seg[seg];
}

static void fake_set_segment(struct okvm_vcpu *vcpu, const struct kvm_segment *var,
			     enum okvm_seg seg)
{
	fake_of(vcpu)->seg[seg] = *var;
}

static void fake_get_dt(struct okvm_vcpu *vcpu, struct kvm_dtable *dt, bool idt)
{
	*dt = fake_of(vcpu)->dt[idt];
}

static void fake_set_dt(struct okvm_vcpu *vcpu, const struct kvm_dtable *dt, bool idt)
{
	fake_of(vcpu)->dt[idt] = *dt;
}

static int fake_get_cpl(struct okvm_vcpu *vcpu)
{
	return fake_of(vcpu)->seg[OKVM_SEG_SS].dpl;
}

static void fake_exit_info(struct okvm_vcpu *vcpu, u64 info[OKVM_EXIT_INFO])
{
	memset(info, 0, OKVM_EXIT_INFO * sizeof(*info));
}

static bool fake_cs_long(struct okvm_vcpu *vcpu)
{
	return fake_of(vcpu)->seg[OKVM_SEG_CS].l;
}

static void fake_set_cr0(struct okvm_vcpu *vcpu, unsigned long cr0)
{
	vcpu->arch->cr0 = cr0;
}

static void fake_set_cr4(struct okvm_vcpu *vcpu, unsigned long cr4)
{
	vcpu->arch->cr4 = cr4;
}

static void fake_set_efer(struct okvm_vcpu *vcpu, u64 efer)
{
	vcpu->arch->efer = efer;
}

static int fake_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	return -ENOENT;
}

static int fake_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	return -ENOENT;
}

static void fake_update_intercepts(struct okvm_vcpu *vcpu, u32 what)
{
}

static void fake_inject_exception(struct okvm_vcpu *vcpu)
{
}

static void fake_inject_nmi(struct okvm_vcpu *vcpu)
{
}

static void fake_inject_irq(struct okvm_vcpu *vcpu)
{
}

static u32 fake_get_irq_shadow(struct okvm_vcpu *vcpu)
{
	return fake_of(vcpu)->shadow;
}

static void fake_set_irq_shadow(struct okvm_vcpu *vcpu, u32 shadow)
{
	fake_of(vcpu)->shadow = shadow;
}

static bool fake_nmi_masked(struct okvm_vcpu *vcpu)
{
	return fake_of(vcpu)->nmi_masked;
}

static void fake_set_nmi_masked(struct okvm_vcpu *vcpu, bool masked)
{
	fake_of(vcpu)->nmi_masked = masked;
}

static void fake_want_window(struct okvm_vcpu *vcpu, bool irq, bool nmi)
{
}

static void fake_set_root(struct okvm_vcpu *vcpu, const struct okvm_root *root)
{
}

static void fake_flush_tlb(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva)
{
}

static bool fake_post_irq(struct okvm_vcpu *vcpu, int vector, bool notify)
{
	return false;
}

static void fake_apic_sync(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg)
{
}

static bool fake_set_timer(struct okvm_vcpu *vcpu, u64 host_tsc)
{
	return false;
}

static const struct okvm_cpu_ops fake_cpu_ops = {
	.tsc_int_bits = 16,
	.tsc_frac_bits = 48,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.vcpu_reset = fake_vcpu_reset,
	.vcpu_load = fake_vcpu_load,
	.vcpu_put = fake_vcpu_put,
	.get_msr = fake_get_msr,
	.set_msr = fake_set_msr,
	.update_intercepts = fake_update_intercepts,
};

static const struct okvm_reg_ops fake_reg_ops = {
	.cache_reg = fake_cache_reg,
	.get_segment = fake_get_segment,
	.set_segment = fake_set_segment,
	.get_dt = fake_get_dt,
	.set_dt = fake_set_dt,
	.get_cpl = fake_get_cpl,
	.exit_info = fake_exit_info,
	.cs_long = fake_cs_long,
	.set_cr0 = fake_set_cr0,
	.set_cr4 = fake_set_cr4,
	.set_efer = fake_set_efer,
};

static const struct okvm_event_ops fake_event_ops = {
	.inject_exception = fake_inject_exception,
	.inject_nmi = fake_inject_nmi,
	.inject_irq = fake_inject_irq,
	.get_irq_shadow = fake_get_irq_shadow,
	.set_irq_shadow = fake_set_irq_shadow,
	.nmi_masked = fake_nmi_masked,
	.set_nmi_masked = fake_set_nmi_masked,
	.want_window = fake_want_window,
};

static const struct okvm_mmu_ops fake_mmu_ops = {
	.set_root = fake_set_root,
	.flush_tlb = fake_flush_tlb,
};

static const struct okvm_apic_ops fake_apic_ops = {
	.post_irq = fake_post_irq,
	.sync = fake_apic_sync,
	.set_timer = fake_set_timer,
};

static const struct okvm_backend fake_backend = {
	.name = "fake",
	.cpu = &fake_cpu_ops,
	.regs = &fake_reg_ops,
	.events = &fake_event_ops,
	.mmu = &fake_mmu_ops,
	.apic = &fake_apic_ops,
	.init = fake_init,
	.exit = fake_exit,
	.cpu_enable = fake_cpu_enable,
	.cpu_disable = fake_cpu_disable,
	.vm_create = fake_vm_create,
	.vm_destroy = fake_vm_destroy,
	.run = fake_run,
	.kick = fake_kick,
};

static struct okvm_offer *fake;

/* ---- create and query a VM of one backend ---- */

/**
 * struct seen - results recorded for the VM of one backend
 * @sys_tsc: KVM_CAP_VM_TSC_CONTROL on the system fd while the backend is the default
 * @vm_tsc: KVM_CAP_VM_TSC_CONTROL on the VM fd
 * @rdtscp: KVM_GET_SUPPORTED_CPUID offers RDTSCP
 * @khz: result of KVM_SET_TSC_KHZ with half the host's frequency
 * @amx: result of KVM_SET_CPUID2 with a state component that no backend supports
 * @run: result of KVM_RUN
 * @exit_reason, @hw_reason: exit reasons that KVM_RUN returned
 */
struct seen {
	u32 caps;
	long sys_tsc, vm_tsc;
	long supported;
	bool rdtscp;
	long khz;
	long amx;
	long run;
	u32 exit_reason;
	u64 hw_reason;
};

static struct seen seen_ours, seen_fake;
static unsigned int fake_cpus_seen, fake_vms_seen;

/* User memory of the process: one page for the guest, the others for ioctl arguments. */
static unsigned long user_page;
#define USER_ARGS	(user_page + PAGE_SIZE)
#define USER_SIZE	(4 * PAGE_SIZE)

static struct file *machine_file;	/* the open /dev/okvm */

static long machine_ioctl(int fd, unsigned int cmd, unsigned long arg)
{
	struct file *file = fget(fd);
	long ret;

	if (!file)
		return -EBADF;
	ret = vfs_ioctl(file, cmd, arg);
	fput(file);
	return ret;
}

static void see_supported(struct seen *s)
{
	struct kvm_cpuid2 __user *user = (void __user *)USER_ARGS;
	struct kvm_cpuid_entry2 e;
	u32 n = CPUID_ENTRIES, i;

	put_user(n, &user->nent);
	s->supported = vfs_ioctl(machine_file, KVM_GET_SUPPORTED_CPUID, USER_ARGS);
	if (s->supported || get_user(n, &user->nent))
		return;
	for (i = 0; i < n; i++)
		if (!copy_from_user(&e, &user->entries[i], sizeof(e)) && e.function == 0x80000001)
			s->rdtscp = e.edx & RDTSCP_BIT;
}

/* Call KVM_SET_CPUID2 with leaf 0xd reporting the state components of AMX tiles. */
static long set_amx(int vcpu)
{
	struct kvm_cpuid2 __user *user = (void __user *)USER_ARGS;
	struct kvm_cpuid_entry2 e = {
		.function = 0xd,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = 3 | BIT(17) | BIT(18),
	};

	if (put_user(1, &user->nent) || copy_to_user(user->entries, &e, sizeof(e)))
		return -EFAULT;
	return machine_ioctl(vcpu, KVM_SET_CPUID2, USER_ARGS);
}

/* Give the VM a page with HLT at the reset vector. */
static long give_memory(int vm)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = RESET_PAGE,
		.memory_size = PAGE_SIZE,
		.userspace_addr = user_page,
	};

	if (put_user(0xf4, (u8 __user *)user_page + 0xff0) ||
	    copy_to_user((void __user *)USER_ARGS, &region, sizeof(region)))
		return -EFAULT;
	return machine_ioctl(vm, KVM_SET_USER_MEMORY_REGION, USER_ARGS);
}

static void see_run(struct seen *s, int vcpu)
{
	struct file *file = fget(vcpu);
	struct kvm_run __user *run;
	unsigned long at;

	at = vm_mmap(file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	fput(file);
	if (IS_ERR_VALUE(at)) {
		s->run = at;
		return;
	}
	run = (void __user *)at;
	s->run = machine_ioctl(vcpu, KVM_RUN, 0);
	if (get_user(s->exit_reason, &run->exit_reason) ||
	    get_user(s->hw_reason, &run->hw.hardware_exit_reason))
		s->run = -EFAULT;
	vm_munmap(at, PAGE_SIZE);
}

static void see_vcpu(struct seen *s, int vm)
{
	int vcpu = machine_ioctl(vm, KVM_CREATE_VCPU, 0);

	if (vcpu < 0) {
		s->run = vcpu;
		return;
	}
	s->khz = machine_ioctl(vcpu, KVM_SET_TSC_KHZ, tsc_khz / 2);
	s->amx = set_amx(vcpu);
	see_run(s, vcpu);
	close_fd(vcpu);
}

/* Record all results of one VM while the other VM exists. */
static void see_vm(struct seen *s, struct okvm_offer *offer, int vm)
{
	s->caps = offer->caps;
	s->run = give_memory(vm);
	if (s->run)
		return;
	s->vm_tsc = machine_ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_VM_TSC_CONTROL);
	see_vcpu(s, vm);
}

static void see_system(struct seen *s)
{
	s->sys_tsc = vfs_ioctl(machine_file, KVM_CHECK_EXTENSION, KVM_CAP_VM_TSC_CONTROL);
	see_supported(s);
}

/* Create both VMs, and record the results of one after the other. */
static int see_both(struct okvm_offer *ours)
{
	int vm_ours = okvm_vm_create(ours, 0), vm_fake = okvm_vm_create(fake, 0);

	if (vm_ours < 0 || vm_fake < 0)
		goto out;
	fake_cpus_seen = fake_cpus_on;
	fake_vms_seen = fake_vms;
	see_system(&seen_ours);
	okvm_default_offer = fake;
	see_system(&seen_fake);
	okvm_default_offer = ours;
	see_vm(&seen_ours, ours, vm_ours);
	see_vm(&seen_fake, fake, vm_fake);
out:
	if (vm_fake >= 0)
		close_fd(vm_fake);
	if (vm_ours >= 0)
		close_fd(vm_ours);
	return min3(vm_ours, vm_fake, 0);
}

/* ---- the suite ---- */

static void vm_both_run(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, seen_ours.run, 0);
	KUNIT_EXPECT_EQ(test, seen_ours.exit_reason, KVM_EXIT_HLT);
	KUNIT_EXPECT_EQ(test, seen_fake.run, 0);
	KUNIT_EXPECT_EQ(test, seen_fake.exit_reason, KVM_EXIT_UNKNOWN);
	KUNIT_EXPECT_EQ(test, seen_fake.hw_reason, FAKE_EXIT);
}

static void vm_answers_for_its_backend(struct kunit *test)
{
	bool ours = seen_ours.caps & OKVM_HW_TSC_SCALING;

	KUNIT_EXPECT_EQ(test, seen_ours.vm_tsc, ours);
	KUNIT_EXPECT_EQ(test, seen_fake.vm_tsc, !ours);
	KUNIT_EXPECT_EQ(test, seen_ours.khz, ours ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, seen_fake.khz, ours ? -EINVAL : 0);
}

static void device_answers_for_the_default(struct kunit *test)
{
	bool scaling = seen_ours.caps & OKVM_HW_TSC_SCALING;
	bool rdtscp = seen_ours.caps & OKVM_HW_RDTSCP;

	KUNIT_EXPECT_EQ(test, seen_ours.sys_tsc, scaling);
	KUNIT_EXPECT_EQ(test, seen_fake.sys_tsc, !scaling);
	KUNIT_EXPECT_EQ(test, seen_ours.supported, 0);
	KUNIT_EXPECT_EQ(test, seen_fake.supported, 0);
	KUNIT_EXPECT_EQ(test, seen_ours.rdtscp, rdtscp && boot_cpu_has(X86_FEATURE_RDTSCP));
	KUNIT_EXPECT_EQ(test, seen_fake.rdtscp, !rdtscp && boot_cpu_has(X86_FEATURE_RDTSCP));
}

static void impossible_state_is_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, seen_ours.amx, -EPERM);
	KUNIT_EXPECT_EQ(test, seen_fake.amx, -EPERM);
}

static void hardware_follows_its_own_vms(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, fake_vms_seen, 1);
	KUNIT_EXPECT_EQ(test, fake_cpus_seen, num_online_cpus());
}

static int suite_begin(struct kunit_suite *suite)
{
	struct okvm_offer *ours = okvm_default_offer;
	int err;

	machine_file = filp_open("/dev/okvm", O_RDWR, 0);
	if (IS_ERR(machine_file))
		return PTR_ERR(machine_file);
	user_page = vm_mmap(NULL, 0, USER_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, 0);
	fake_caps = ours->caps ^ (OKVM_HW_TSC_SCALING | OKVM_HW_RDTSCP);
	fake = okvm_backend_register(&fake_backend);
	err = PTR_ERR_OR_ZERO(fake);
	if (!err)
		err = see_both(ours);
	vm_munmap(user_page, USER_SIZE);
	filp_close(machine_file, NULL);
	return err;
}

static struct kunit_case vm_cases[] = {
	KUNIT_CASE(vm_both_run),
	KUNIT_CASE(vm_answers_for_its_backend),
	KUNIT_CASE(device_answers_for_the_default),
	KUNIT_CASE(impossible_state_is_refused),
	KUNIT_CASE(hardware_follows_its_own_vms),
	{}
};

static struct kunit_suite vm_suite = {
	.name = "okvm_vm",
	.suite_init = suite_begin,
	.test_cases = vm_cases,
};

kunit_test_suite(vm_suite);

/*
 * Check that the backend's hardware is off after its last VM. The suite itself cannot check this,
 * because its VMs exist until the process that loads the module returns to userspace.
 */
static void __exit vm_kunit_exit(void)
{
	bool off = !fake_cpus_on && !fake_vms;

	if (IS_ERR_OR_NULL(fake))
		return;
	pr_info("okvm_vm_kunit: %sok the hardware of a backend is off after its last VM\n",
		off ? "" : "not ");
	if (off)
		okvm_backend_unregister(fake);
}
module_exit(vm_kunit_exit);

MODULE_DESCRIPTION("KUnit suite of VMs of several backends");
MODULE_LICENSE("GPL");
