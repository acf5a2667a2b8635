// SPDX-License-Identifier: GPL-2.0-only
/* A device whose reader learns what the registers of its CPU hold, those of the kernel included. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/pkru.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "hoststate.h"

/* The names end with q from Linux 6.16 on. */
#if defined(rdmsrq) && !defined(rdmsrl)
#define rdmsrl		rdmsrq
#define rdmsrl_safe	rdmsrq_safe
#define wrmsrl_safe	wrmsrq_safe
#endif

#define SELECTOR(name, reg)	\
	asm volatile("mov %%" #reg ", %0" : "=r" (w[HOSTSTATE_##name]))

static void read_tables(u64 *w)
{
	struct desc_ptr table;
	unsigned long limit = 0;

	native_store_gdt(&table);
	w[HOSTSTATE_GDT_BASE] = table.address;
	w[HOSTSTATE_GDT_LIMIT] = table.size;
	store_idt(&table);
	w[HOSTSTATE_IDT_BASE] = table.address;
	w[HOSTSTATE_IDT_LIMIT] = table.size;
	asm volatile("sldt %0" : "=r" (w[HOSTSTATE_LDTR]));
	asm volatile("str %0" : "=r" (w[HOSTSTATE_TR]));
	asm volatile("lsl %1, %0" : "+r" (limit) : "r" (w[HOSTSTATE_TR]) : "cc");
	w[HOSTSTATE_TSS_LIMIT] = limit;
}

static void read_control(u64 *w)
{
	w[HOSTSTATE_CR0] = native_read_cr0();
	w[HOSTSTATE_CR4] = __read_cr4();
	asm volatile("mov %%cr8, %0" : "=r" (w[HOSTSTATE_CR8]));
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		w[HOSTSTATE_XCR0] = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	w[HOSTSTATE_PKRU] = read_pkru();
}

static void read_debug(u64 *w)
{
	asm volatile("mov %%db0, %0" : "=r" (w[HOSTSTATE_DR0]));
	asm volatile("mov %%db1, %0" : "=r" (w[HOSTSTATE_DR1]));
	asm volatile("mov %%db2, %0" : "=r" (w[HOSTSTATE_DR2]));
	asm volatile("mov %%db3, %0" : "=r" (w[HOSTSTATE_DR3]));
	asm volatile("mov %%db6, %0" : "=r" (w[HOSTSTATE_DR6]));
	asm volatile("mov %%db7, %0" : "=r" (w[HOSTSTATE_DR7]));
}

static const struct {
	u32 word, number;
} msrs[] = {
#define ROW(name, number)	{ HOSTSTATE_MSR_##name, number },
	HOSTSTATE_MSRS(ROW)
};

static void read_msrs(u64 *w)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (rdmsrl_safe(msrs[i].number, &w[msrs[i].word]))
			w[msrs[i].word] = 0;
}

static ssize_t hoststate_read(struct file *file, char __user *user, size_t count, loff_t *pos)
{
	u64 w[HOSTSTATE_WORDS] = { };

	if (count != sizeof(w))
		return -EINVAL;
	local_irq_disable();
	read_control(w);
	read_debug(w);
	read_tables(w);
	SELECTOR(CS, cs);
	SELECTOR(SS, ss);
	SELECTOR(DS, ds);
	SELECTOR(ES, es);
	SELECTOR(FS, fs);
	SELECTOR(GS, gs);
	read_msrs(w);
	local_irq_enable();
	return copy_to_user(user, w, sizeof(w)) ? -EFAULT : count;
}

static const struct file_operations hoststate_fops = {
	.owner = THIS_MODULE,
	.read = hoststate_read,
};

static struct miscdevice hoststate_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hoststate",
	.fops = &hoststate_fops,
};

static unsigned long hsave;
module_param(hsave, ulong, 0444);
MODULE_PARM_DESC(hsave, "physical address that VM_HSAVE_PA holds, as of a hypervisor before");

static unsigned long ratio;
module_param(ratio, ulong, 0444);
MODULE_PARM_DESC(ratio, "TSC ratio of SVM, as of a hypervisor before");

static unsigned long debugctl;
module_param(debugctl, ulong, 0444);
MODULE_PARM_DESC(debugctl, "DEBUGCTL of the host, which has recorded branches before");

static void set_msrs(void *unused)
{
	if (hsave)
		wrmsrl_safe(MSR_VM_HSAVE_PA, hsave);
	if (ratio)
		wrmsrl_safe(MSR_AMD64_TSC_RATIO, ratio);
	if (debugctl) {
		wrmsrl_safe(MSR_IA32_DEBUGCTLMSR, DEBUGCTLMSR_LBR);
		asm volatile("jmp 1f\n\tnop\n1:");
		wrmsrl_safe(MSR_IA32_DEBUGCTLMSR, debugctl);
	}
}

static int __init hoststate_init(void)
{
	on_each_cpu(set_msrs, NULL, 1);
	return misc_register(&hoststate_device);
}
module_init(hoststate_init);

static void __exit hoststate_exit(void)
{
	misc_deregister(&hoststate_device);
}
module_exit(hoststate_exit);

MODULE_DESCRIPTION("Shows the registers of the CPU");
MODULE_LICENSE("GPL");
