// SPDX-License-Identifier: GPL-2.0-only
/*
 * Report TPR accesses to userspace, and let the guest keep its TPR in guest memory.
 *
 * Old 32-bit guests write TPR often, and each write is a VM exit on a CPU that does not virtualize
 * TPR. KVM_TPR_ACCESS_REPORTING tells userspace which instructions access TPR. Userspace may
 * replace such an instruction by code that uses a word in guest memory (KVM_SET_VAPIC_ADDR); QEMU
 * does so with an option ROM.
 *
 * Bits 7:0 of the word are TPR, bits 15:12 the class in service, and bits 31:24 the highest vector
 * in IRR. okvm writes the word before VM entries and reads TPR from it after each VM exit. VM exits
 * test for a word only while the static branch of core/watch.h is on. A vCPU with a word turns the
 * branch on, so VMs without such words do not pay for the test.
 */
#include <linux/kvm.h>
#include <linux/mm.h>

#include "core/guestmem.h"
#include "core/watch.h"
#include "irq/internal.h"
#include "irq/vlapic.h"

bool okvm_apic_has_vapic(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic && vcpu->apic->vapic;
}

void okvm_apic_vapic_pull(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;
	struct lapic_effect eff = { .flags = 0 };
	u32 word;

	if (okvm_cache_read(vcpu->vm, &apic->vapic_cache, &word, 0, sizeof(word)))
		return;
	lapic_set_tpr(&apic->l, word & 0xff, &eff);
	okvm_apic_apply(apic, &eff);
}

void okvm_apic_vapic_push(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;
	const struct lapic *l = &apic->l;
	int irr, isr;
	u32 word;

	if (!apic->vapic || !lapic_enabled(l))
		return;
	irr = max(lapic_highest_irr(l), 0);
	isr = max(lapic_highest_isr(l), 0);
	word = (lapic_get_tpr(l) & 0xff) | (isr & 0xf0) << 8 | (u32)irr << 24;
	okvm_cache_write(vcpu->vm, &apic->vapic_cache, &word, 0, sizeof(word));
}

void okvm_apic_vapic_destroy(struct okvm_apic *apic)
{
	if (apic->watches)
		okvm_watch_off_later();
}

/*
 * Turn on the static branch of core/watch.h at the vCPU's first KVM_SET_VAPIC_ADDR. The vCPU keeps
 * it on until the vCPU is destroyed, because each change may patch the kernel's text.
 */
static void vapic_watch(struct okvm_apic *apic)
{
	if (!apic->watches)
		okvm_watch_on();
	apic->watches = true;
}

static long ioc_set_vapic_addr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const gpa_t gpa = ((const struct kvm_vapic_addr *)arg.data)->vapic_addr;
	struct okvm_apic *apic = vcpu->apic;

	if (!apic)
		return okvm_refuse_vcpu(vcpu, "local APIC: none is in the kernel");
	if (!gpa) {
		apic->vapic = false;
		return 0;
	}
	if (offset_in_page(gpa) > PAGE_SIZE - sizeof(u32))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_VAPIC_ADDR: the word is in two pages");
	/* If this fails, the old address stays in use. */
	if (okvm_cache_init(vcpu->vm, &apic->vapic_cache, gpa, sizeof(u32)))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_VAPIC_ADDR: no memory is there");
	vapic_watch(apic);
	apic->vapic = true;
	/* Make the next VM entry write the word at this address. */
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

/*
 * Execute KVM_TPR_ACCESS_REPORTING. Without an in-kernel LAPIC okvm reports nothing, but the ioctl
 * succeeds.
 */
static long ioc_report_tpr(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_tpr_access_ctl *ctl = arg.data;

	if (ctl->flags)
		return okvm_refuse_vcpu(vcpu, "KVM_TPR_ACCESS_REPORTING: flags are not 0");
	if (vcpu->apic)
		vcpu->apic->l.report_tpr = ctl->enabled;
	return 0;
}

const struct okvm_ioctl okvm_vapic_ioctls[] = {
	{ KVM_TPR_ACCESS_REPORTING, 0, { .vcpu = ioc_report_tpr } },
	{ KVM_SET_VAPIC_ADDR,	OKVM_IOC_SRCU, { .vcpu = ioc_set_vapic_addr } },
	{ }
};
