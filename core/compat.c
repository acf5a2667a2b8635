// SPDX-License-Identifier: GPL-2.0-only
/*
 * Defines okvm_thread_work(), which is declared in core/compat.h and needs the types of upstream
 * KVM. No other file may include <linux/kvm_host.h>.
 *
 * Before Linux 6.18 the kernel function xfer_to_guest_mode_handle_work() takes a struct kvm_vcpu.
 * If a signal ends the work, the function writes an exit reason to vcpu->run and increments a
 * counter in the structure. It uses no other member. So okvm passes a dummy structure, which all
 * threads share and no code reads. If the kernel has another layout of the structure,
 * CONFIG_MODVERSIONS makes it refuse to load the module.
 */
#include <linux/errno.h>
#include <linux/kconfig.h>

#include "core/compat.h"

#if IS_ENABLED(CONFIG_VIRT_XFER_TO_GUEST_WORK)

/* Since Linux 6.18 xfer_to_guest_mode_handle_work() has no vCPU argument. */
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

/*
 * A kernel that is built without KVM has no xfer_to_guest_mode_handle_work(). So make KVM_RUN
 * return to userspace. The kernel does the work on this return, and then restarts KVM_RUN.
 */
int okvm_thread_work(void)
{
	return -ERESTARTNOINTR;
}

#endif
