// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one function of core/compat.h that needs upstream's types, and so the only file that may
 * include <linux/kvm_host.h>.
 *
 * The kernel does a thread's pending work before its guest goes on by a function that takes
 * upstream's structure of a vCPU. If a signal ends that work, the function writes an exit reason
 * through vcpu->run and adds 1 to a counter in the structure; it uses nothing else of it. It gets
 * a structure of exactly that type, which all threads share and nobody reads. With
 * CONFIG_MODVERSIONS a module that was built for another layout of it is not loaded.
 */
#include <linux/errno.h>
#include <linux/kconfig.h>

#include "core/compat.h"

#if IS_ENABLED(CONFIG_VIRT_XFER_TO_GUEST_WORK)

/* Since 6.18 the function takes no vCPU. */
#include <linux/entry-virt.h>

int okvm_thread_work(void)
{
	return xfer_to_guest_mode_handle_work();
}

#elif IS_ENABLED(CONFIG_KVM_XFER_TO_GUEST_WORK)

#include <linux/kvm_host.h>
#include <linux/entry-kvm.h>

static struct kvm_run no_run;
static struct kvm_vcpu no_vcpu = { .run = &no_run };

int okvm_thread_work(void)
{
	return xfer_to_guest_mode_handle_work(&no_vcpu);
}

#else

/* A kernel that is built without KVM has no such function. */
int okvm_thread_work(void)
{
	return -ERESTARTNOINTR;
}

#endif
