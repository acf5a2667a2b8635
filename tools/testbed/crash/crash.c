// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the kernel panic as soon as it is loaded, with gif=0 while the CPU's global interrupt flag
 * is clear, as it is between CLGI and STGI around VMRUN: unless somebody sets it, the crash kernel
 * never gets an interrupt.
 */
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/panic.h>

#include <asm/msr.h>

/* The name ends with q from Linux 6.16 on. */
#if defined(rdmsrq) && !defined(rdmsrl)
#define rdmsrl		rdmsrq
#endif

static bool gif = true;
module_param(gif, bool, 0);
MODULE_PARM_DESC(gif, "whether the CPU takes interrupts");

static int crash_init(void)
{
	u64 efer;

	if (!gif) {
		/* CLGI is an invalid opcode while SVM is off. */
		rdmsrl(MSR_EFER, efer);
		if (!(efer & EFER_SVME))
			return -ENODEV;
		local_irq_disable();
		asm volatile("clgi" ::: "memory");
	}
	panic("crash.ko was loaded");
}
module_init(crash_init);

MODULE_DESCRIPTION("Makes the kernel panic");
MODULE_LICENSE("GPL");
