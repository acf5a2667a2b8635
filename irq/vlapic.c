// SPDX-License-Identifier: GPL-2.0-only
/*
 * Create and reset the local APIC of a vCPU, change its mode, and serve the run loop and the ioctls
 * that save and restore it.
 */
#include <linux/kvm.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "core/backend.h"
#include "irq/internal.h"
#include "irq/vlapic.h"

static_assert(LAPIC_STATE_SIZE == KVM_APIC_REG_SIZE);
static_assert(LAPIC_PAGE_SIZE == PAGE_SIZE);

/* ---- creation and reset ---- */

static bool lint0_quirk(struct okvm_vm *vm)
{
	return !(okvm_irq(vm)->apic_quirks_off & KVM_X86_QUIRK_LINT0_REENABLED);
}

int okvm_apic_create(struct okvm_vcpu *vcpu)
{
	struct lapic_config cfg = {
		.id = vcpu->id,
		.bsp = vcpu->id == vcpu->vm->bsp_vcpu_id,
		.lint0_extint = lint0_quirk(vcpu->vm),
		.tick_ns = okvm_irq(vcpu->vm)->apic_tick_ns,
	};
	struct okvm_apic *apic;
	u8 *page;

	if (okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_NONE)
		return 0;
	apic = kzalloc(sizeof(*apic), GFP_KERNEL_ACCOUNT);
	if (!apic)
		return -ENOMEM;
	page = (u8 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		goto err_free_apic;
	apic->vcpu = vcpu;
	apic->ops = vcpu->vm->backend->apic;
	lapic_init(&apic->l, page, &cfg);
	okvm_apic_timer_create(apic);
	vcpu->apic = apic;
	return 0;

err_free_apic:
	kfree(apic);
	return -ENOMEM;
}

void okvm_apic_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!apic)
		return;
	/*
	 * An online vCPU is destroyed only together with its VM, so drop the VM's destination map.
	 * A vCPU that never came online is in no map.
	 */
	if (apic->online)
		okvm_apic_map_drop(vcpu->vm);
	hrtimer_cancel(&apic->hrtimer);
	okvm_apic_vapic_destroy(apic);
	vcpu->apic = NULL;
	free_page((unsigned long)apic->l.regs);
	kfree(apic);
}

void okvm_apic_online(struct okvm_vcpu *vcpu)
{
	vcpu->apic->online = true;
	okvm_apic_map_update(vcpu->vm);
	/*
	 * The set of vectors whose EOI must cause a VM exit may have changed before the vCPU was
	 * online, when it got no request. So make one now.
	 */
	okvm_request(OKVM_REQ_EOI_MAP, vcpu);
}

/* Update the CPU's copies of the highest IRR and ISR vectors, for virtual-interrupt delivery. */
static void sync_hw(struct okvm_vcpu *vcpu)
{
	const struct okvm_apic_ops *ops = vcpu->apic->ops;
	struct lapic *l = &vcpu->apic->l;

	if (!l->hw_irr)
		return;
	ops->sync(vcpu, OKVM_APIC_ISR, lapic_highest_isr(l));
	ops->sync(vcpu, OKVM_APIC_IRR, lapic_highest_irr(l));
}

void okvm_apic_reset(struct okvm_vcpu *vcpu, bool init)
{
	struct okvm_apic *apic = vcpu->apic;
	struct lapic_effect eff = { .flags = 0 };

	apic->l.lint0_extint = lint0_quirk(vcpu->vm);
	/* Move posted vectors to IRR, so that the reset clears them with IRR. */
	if (apic->l.hw_irr)
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_PULL, 0);
	lapic_reset(&apic->l, init, &eff);
	apic->pv_eoi_msr = 0;
	apic->pv_eoi_pending = false;
	apic->pv_eoi_done = false;
	apic->vapic = false;
	okvm_apic_apply(apic, &eff);
	sync_hw(vcpu);
}

void *okvm_apic_page(struct okvm_vcpu *vcpu)
{
	return vcpu->apic ? vcpu->apic->l.regs : NULL;
}

/* ---- modes and configuration ---- */

u64 okvm_apic_base(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic->l.base;
}

void okvm_apic_set_base(struct okvm_vcpu *vcpu, u64 base)
{
	struct okvm_apic *apic = vcpu->apic;
	struct lapic_effect eff = { .flags = 0 };

	lapic_set_base(&apic->l, base, &eff);
	okvm_apic_apply(apic, &eff);
}

bool okvm_apic_x2apic_mode(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic && lapic_x2apic(&vcpu->apic->l);
}

bool okvm_apic_hw_enabled(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic && lapic_hw_enabled(&vcpu->apic->l);
}

bool okvm_apic_sw_enabled(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic && lapic_enabled(&vcpu->apic->l);
}

void okvm_apic_model_changed(struct okvm_vcpu *vcpu, bool x2apic, bool tsc_deadline, bool cmci)
{
	struct okvm_apic *apic = vcpu->apic;
	struct lapic_effect eff = { .flags = 0 };

	/*
	 * Let the guest suppress EOI broadcasts only with a split irqchip. A guest that suppresses
	 * them has to write an EOI register of the IOAPIC instead, which the in-kernel IOAPIC
	 * lacks. A guest that does not check the IOAPIC's version would never complete a
	 * level-triggered interrupt.
	 */
	lapic_set_version(&apic->l, cmci,
			  x2apic && okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_SPLIT);
	apic->l.tsc_deadline = tsc_deadline;
	lapic_put(&apic->l, APIC_LVTT,
		  lapic_get(&apic->l, APIC_LVTT) & lapic_lvt_mask(&apic->l, LAPIC_LVT_TIMER));
	lapic_timer_mode(&apic->l, &eff);
	okvm_apic_apply(apic, &eff);
}

/* ---- functions for the run loop ---- */

int okvm_apic_hand_over(struct okvm_vcpu *vcpu)
{
	const struct okvm_apic_ops *ops = vcpu->apic->ops;
	int irr;

	ops->sync(vcpu, OKVM_APIC_PULL, 0);
	irr = lapic_highest_irr(&vcpu->apic->l);
	ops->sync(vcpu, OKVM_APIC_IRR, irr);
	return irr;
}

int okvm_apic_pending_irq(struct okvm_vcpu *vcpu)
{
	struct lapic *l = &vcpu->apic->l;

	/*
	 * With virtual-interrupt delivery (hw_irr) the APIC is always enabled, so do not test this.
	 */
	return l->hw_irr ? lapic_deliverable(l, okvm_apic_hand_over(vcpu)) : lapic_has_interrupt(l);
}

void okvm_apic_ack_irq(struct okvm_vcpu *vcpu, int vector)
{
	struct okvm_apic *apic = vcpu->apic;

	if (OKVM_BUG_ON(vcpu->vm, vector < 0 || vector > 255))
		return;
	lapic_ack(&apic->l, vector);
	if (unlikely(apic->l.hw_irr)) {
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_ISR, vector);
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_IRR, lapic_highest_irr(&apic->l));
	}
}

int okvm_apic_highest_irr(struct okvm_vcpu *vcpu)
{
	return lapic_highest_irr(&vcpu->apic->l);
}

int okvm_apic_highest_isr(struct okvm_vcpu *vcpu)
{
	return lapic_highest_isr(&vcpu->apic->l);
}

bool okvm_apic_hw_delivers(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic->l.hw_irr;
}

void okvm_apic_sync_tpr(struct okvm_vcpu *vcpu)
{
	struct lapic *l = &vcpu->apic->l;

	/* A TPR below 16 blocks no vector. Then pass -1, because no TPR threshold is needed. */
	if (!l->hw_irr)
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_TPR,
					     lapic_get_tpr(l) >> 4 ? lapic_highest_irr(l) : -1);
}

bool okvm_apic_accepts_pic(struct okvm_vcpu *vcpu)
{
	return vcpu->apic && lapic_accepts_extint(&vcpu->apic->l);
}

void okvm_apic_update_apicv(struct okvm_vcpu *vcpu, bool active)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!active)
		WRITE_ONCE(apic->posted, false);
	lapic_set_hw_irr(&apic->l, active);
	sync_hw(vcpu);
	if (active)
		WRITE_ONCE(apic->posted, vcpu->vm->caps & OKVM_HW_POSTED);
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/* ---- INIT and SIPI ---- */

bool okvm_apic_has_events(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->apic->events);
}

bool okvm_apic_needs_slow(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->apic->events) || vcpu->apic->pv_eoi_pending;
}

bool okvm_apic_take_init(struct okvm_vcpu *vcpu)
{
	return test_bit(OKVM_APIC_INIT, &vcpu->apic->events) &&
	       test_and_clear_bit(OKVM_APIC_INIT, &vcpu->apic->events);
}

bool okvm_apic_take_sipi(struct okvm_vcpu *vcpu, u8 *vector)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!test_bit(OKVM_APIC_SIPI, &apic->events) ||
	    !test_and_clear_bit(OKVM_APIC_SIPI, &apic->events))
		return false;
	*vector = READ_ONCE(apic->sipi_vector);	/* ordered by test_and_clear_bit() */
	return true;
}

void okvm_apic_set_sipi(struct okvm_vcpu *vcpu, u8 vector)
{
	WRITE_ONCE(vcpu->apic->sipi_vector, vector);
	smp_wmb();	/* write the vector before the bit; pairs with okvm_apic_take_sipi() */
	set_bit(OKVM_APIC_SIPI, &vcpu->apic->events);
}

/* ---- ioctls ---- */

static long ioc_get_lapic(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_lapic_state *state = arg.data;
	struct okvm_apic *apic = vcpu->apic;

	if (!apic)
		return okvm_refuse_vcpu(vcpu, "local APIC: none is in the kernel");
	okvm_apic_pv_eoi_exit(vcpu);
	/*
	 * A timer tick may be waiting for the next VM entry. Deliver it first, so that userspace
	 * saves its vector in IRR.
	 */
	okvm_apic_timer_inject(vcpu);
	if (apic->l.hw_irr)
		okvm_apic_hand_over(vcpu);
	lapic_get_state(&apic->l, (u8 *)state->regs, okvm_irq(vcpu->vm)->x2apic_format,
			ktime_get_ns());
	return 0;
}

static long ioc_set_lapic(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_lapic_state *state = arg.data;
	struct okvm_apic *apic = vcpu->apic;
	struct lapic_effect eff = { .flags = 0 };
	int err;

	if (!apic)
		return okvm_refuse_vcpu(vcpu, "local APIC: none is in the kernel");
	okvm_apic_pv_eoi_exit(vcpu);
	if (apic->l.hw_irr)
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_PULL, 0);
	err = lapic_set_state(&apic->l, (const u8 *)state->regs, okvm_irq(vcpu->vm)->x2apic_format,
			      ktime_get_ns(), &eff);
	if (err)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_LAPIC: the id in the page is not the vCPU's");
	okvm_apic_apply(apic, &eff);
	sync_hw(vcpu);
	return 0;
}

const struct okvm_ioctl okvm_lapic_ioctls[] = {
	{ KVM_GET_LAPIC,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_get_lapic } },
	{ KVM_SET_LAPIC,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_set_lapic } },
	{ }
};
