// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local-APIC virtualization by the CPU: TPR shadow, virtualized x2APIC registers, virtual-interrupt
 * delivery and posted interrupts (SDM "APIC Virtualization and Virtual Interrupts").
 *
 * Only software of this host posts interrupts (another vCPU's thread, an eventfd), and the software
 * wakes a sleeping vCPU itself. Therefore okvm does not need the wakeup vector that upstream has
 * for interrupts posted by an IOMMU.
 */
#include <linux/irqflags.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/apicdef.h>
#include <asm/irq_vectors.h>

#include "vmx/vmx.h"

static bool pi_set_outstanding(struct vmx_pi *pi)
{
	return test_and_set_bit(0, &pi->control);
}

/*
 * Set @vector in the posted-interrupt descriptor. The sender that changes ON (outstanding
 * notification) from 0 to 1 notifies the target. A vCPU in guest mode then takes the vector without
 * an exit; any other vCPU finds it before its next VM entry. If @notify is false, the caller kicks
 * the target instead.
 * Return: false if interrupts cannot be posted; then the caller sets IRR
 */
static bool vmx_post_irq(struct okvm_vcpu *vcpu, int vector, bool notify)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned long *pir;
	bool notified;

	if (!READ_ONCE(hw->apicv) || !vmx_has(&vmx_caps, VMX_OPT_POSTED))
		return false;
	pir = (unsigned long *)&hw->pi->pir[vector >> 6];
	if (test_and_set_bit(vector & 63, pir))
		return true;
	notified = pi_set_outstanding(hw->pi);
	/*
	 * If hw->apicv is false now, switch_apicv() has switched posting off since the first test
	 * above. It may have moved the vector from PIR to IRR already. If not, the vector is still
	 * in PIR: remove it there, and the caller sets IRR. Pairs with smp_mb() in switch_apicv().
	 */
	if (unlikely(!READ_ONCE(hw->apicv)))
		return !test_and_clear_bit(vector & 63, pir);
	if (notified || !notify)
		return true;
	/* Pairs with smp_store_mb(vcpu->mode) in mode_enter(). */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == OKVM_IN_GUEST)
		okvm_send_vector(READ_ONCE(vcpu->cpu), POSTED_INTR_VECTOR);
	else
		okvm_vcpu_wake(vcpu);
	return true;
}

/*
 * Send the notification vector to this CPU, with IRQs off. The vector stays pending until VM entry.
 * Then the CPU processes the posted interrupts.
 */
void vmx_post_self(void)
{
	okvm_send_vector(raw_smp_processor_id(), POSTED_INTR_VECTOR);
}

/*
 * Kick the vCPU that runs on @cpu. If virtual-interrupt delivery is off, send the notification
 * vector: posting is off, too, so the vector causes a VM exit, and fast_kick() completes the
 * interrupt without calling the host's handler. If virtual-interrupt delivery is on, the
 * notification vector need not cause a VM exit: send the scheduler's IPI instead.
 * The vCPU may switch posting on before the notification vector arrives. Then the vector causes no
 * VM exit. This does no harm, because the vCPU has to leave guest mode to switch posting on, and a
 * kick has to achieve no more than that.
 */
void vmx_kick(struct okvm_vcpu *vcpu, int cpu)
{
	if (OKVM_HAS_POSTED_VECTOR && !READ_ONCE(to_hw(vcpu)->apicv))
		okvm_send_vector(cpu, POSTED_INTR_VECTOR);
	else
		smp_send_reschedule(cpu);
}

static void set_rvi(struct vmx_vmcs *vmcs, int vector)
{
	vmcs_intr_status_set(vmcs, (vmcs->intr_status & 0xff00) | (vector > 0 ? vector : 0));
}

static void set_svi(struct vmx_vmcs *vmcs, int vector)
{
	vmcs_intr_status_set(vmcs, (vmcs->intr_status & 0xff) | (vector > 0 ? vector : 0) << 8);
}

/* Set RVI to @vector, or to 0 while a debugger blocks interrupts (KVM_GUESTDBG_BLOCKIRQ). */
static void set_rvi_unblocked(struct okvm_vcpu *vcpu, int vector)
{
	bool blocked = vcpu->arch->guest_debug & KVM_GUESTDBG_BLOCKIRQ;

	set_rvi(&to_hw(vcpu)->vmcs, blocked ? 0 : vector);
}

/* Read RVI and SVI, once per VM exit: the CPU changes them only in guest mode. */
static void read_intr_status(struct okvm_hw_vcpu *hw)
{
	if (hw->exit_avail & VMX_AVAIL_STATUS)
		return;
	hw->exit_avail |= VMX_AVAIL_STATUS;
	hw->vmcs.intr_status = vmcs_read32(GUEST_INTR_STATUS);
}

/* Move the posted vectors into IRR. The caller sets RVI. */
static void pull_posted(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u8 *page = okvm_apic_page(vcpu);
	unsigned int i;
	u64 bits;

	clear_bit(0, &hw->pi->control);
	/* Clear ON before reading PIR: a sender that posts after the read sets ON again. */
	smp_mb__after_atomic();
	for (i = 0; i < 4; i++) {
		if (!READ_ONCE(hw->pi->pir[i]))
			continue;
		bits = xchg(&hw->pi->pir[i], 0);
		atomic_or((u32)bits, (atomic_t *)(page + APIC_IRR + i * 0x20));
		atomic_or(bits >> 32, (atomic_t *)(page + APIC_IRR + i * 0x20 + 0x10));
	}
}

void vmx_apic_sync(struct okvm_vcpu *vcpu, enum okvm_apic_sync what, int arg)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	switch (what) {
	case OKVM_APIC_PULL:
		/*
		 * Do not move the posted vectors while IRQs are off. A notification may be pending
		 * in the host's local APIC, and the CPU processes it after VM entry. If the
		 * descriptor is empty by then, the emulator Bochs 3.0 delivers vector 255.
		 */
		if (hw->apicv && vmx_pi_pending(hw) && !irqs_disabled())
			pull_posted(vcpu);
		break;
	case OKVM_APIC_IRR:
		if (hw->apicv) {
			read_intr_status(hw);
			set_rvi_unblocked(vcpu, arg);
		}
		break;
	case OKVM_APIC_ISR:
		if (hw->apicv) {
			read_intr_status(hw);
			set_svi(&hw->vmcs, arg);
		}
		break;
	case OKVM_APIC_TPR:
		if (hw->vmcs.exec & CPU_BASED_TPR_SHADOW && !hw->apicv) {
			u8 tpr = *(u8 *)(okvm_apic_page(vcpu) + APIC_TASKPRI);

			/*
			 * Let the guest exit when its TPR no longer blocks the pending interrupt.
			 */
			vmcs_tpr_threshold_set(&hw->vmcs,
					       arg < 0 || tpr >> 4 < arg >> 4 ? 0 : arg >> 4);
		}
		break;
	case OKVM_APIC_EOI_MAP:
		if (hw->apicv) {
			vmcs_write(EOI_EXIT_BITMAP0, vcpu->arch->eoi_exit_bitmap[0]);
			vmcs_write(EOI_EXIT_BITMAP1, vcpu->arch->eoi_exit_bitmap[1]);
			vmcs_write(EOI_EXIT_BITMAP2, vcpu->arch->eoi_exit_bitmap[2]);
			vmcs_write(EOI_EXIT_BITMAP3, vcpu->arch->eoi_exit_bitmap[3]);
		}
		break;
	}
}

const struct okvm_apic_ops vmx_apic_ops = {
	.post_irq = vmx_post_irq,
	.sync = vmx_apic_sync,
	.set_timer = vmx_set_timer,
};

/*
 * Secondary controls of APICv (SDM "APIC Virtualization and Virtual Interrupts").
 * APIC_REGISTER_VIRT: the CPU reads APIC registers from the virtual-APIC page.
 * VIRTUAL_INTR_DELIVERY: the CPU evaluates and delivers interrupts itself, by RVI and IRR.
 */
#define APICV_CONTROLS	(SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

static void switch_posted(struct okvm_hw_vcpu *hw, bool on)
{
	if (!vmx_has(&vmx_caps, VMX_OPT_POSTED))
		return;
	if (on)
		vmcs_pin_set(&hw->vmcs, hw->vmcs.pin | PIN_BASED_POSTED_INTR);
	else
		vmcs_pin_set(&hw->vmcs, hw->vmcs.pin & ~PIN_BASED_POSTED_INTR);
}

static void switch_apicv(struct okvm_vcpu *vcpu, bool on)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (hw->apicv == on)
		return;
	WRITE_ONCE(hw->apicv, on);
	/*
	 * If a vector was posted before this barrier, pull_posted() finds it. If it is posted
	 * later, the sender sees the new hw->apicv.
	 */
	smp_mb();
	if (!on && vmx_pi_pending(hw))
		pull_posted(vcpu);
	switch_posted(hw, on);
	okvm_apic_update_apicv(vcpu, on);
	if (!on)
		return;
	hw->exit_avail |= VMX_AVAIL_STATUS;
	hw->vmcs.intr_status = 0;
	vmcs_write(GUEST_INTR_STATUS, 0);
	set_rvi_unblocked(vcpu, okvm_apic_highest_irr(vcpu));
	set_svi(&hw->vmcs, okvm_apic_highest_isr(vcpu));
	vmcs_tpr_threshold_set(&hw->vmcs, 0);
	vmx_apic_sync(vcpu, OKVM_APIC_EOI_MAP, 0);
}

/*
 * VIRTUALIZE_X2APIC_MODE: the CPU redirects some accesses to x2APIC MSRs to the virtual-APIC page.
 * vmx_apic_bitmap() makes all others exit. VIRTUALIZE_APIC_ACCESSES: accesses to the APIC-access
 * page (apic_page.c) go to the virtual-APIC page, or exit.
 */
#define ACCESS_CONTROLS	(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
			 SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)

/*
 * Return the control that virtualizes the accesses to the vCPU's APIC, which are MSR accesses
 * (x2APIC) or MMIO (xAPIC). Return 0 if no control can be used.
 */
static u32 apic_access_control(struct okvm_vcpu *vcpu)
{
	if (vmx_apic_page_update(vcpu))
		return SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (vcpu->apic && okvm_apic_x2apic_mode(vcpu) &&
	    to_hw(vcpu)->vmcs.exec & CPU_BASED_TPR_SHADOW)
		return vmx_caps.exec2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	return 0;
}

/* Update the controls after a change of the APIC's mode, base address or presence. */
void vmx_apic_update(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 access = apic_access_control(vcpu);
	/* Emulated code gets no virtual interrupts, which only VM entries and the CPU deliver. */
	bool apicv = access && vmx_has(&vmx_caps, VMX_OPT_APICV) && vmx_unrestricted(vcpu);
	u32 exec2 = (hw->vmcs.exec2 & ~(APICV_CONTROLS | ACCESS_CONTROLS)) | access;

	if (apicv)
		exec2 |= APICV_CONTROLS;
	/* Flush: TLB entries record whether a page is the APIC-access page. */
	if ((hw->vmcs.exec2 ^ exec2) & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		hw->todo |= VMX_TODO_FLUSH_ALL;
	vmcs_exec2_set(&hw->vmcs, exec2 | vmx_caps.exec2_fixed);
	switch_apicv(vcpu, apicv);
}

/*
 * The x2APIC registers whose value is in the virtual-APIC page, so the guest may read them
 * without exits. The timer's current count is not one of them.
 */
static const struct {
	u16 first, last;
} x2apic_readable[] = {
	{ APIC_ID, APIC_LVR }, { APIC_TASKPRI, APIC_TASKPRI }, { APIC_PROCPRI, APIC_PROCPRI },
	{ APIC_LDR, APIC_LDR }, { APIC_SPIV, APIC_ESR }, { APIC_ICR, APIC_ICR },
	{ APIC_LVTT, APIC_TMICT }, { APIC_TDCR, APIC_TDCR },
};

/* Set in the MSR bitmap which x2APIC registers the guest accesses without exits. */
void vmx_apic_bitmap(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int i;
	u32 reg;

	if (!(hw->vmcs.exec2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		return;
	vmx_msr_intercept(&hw->vmcs, OKVM_X2APIC_MSR(APIC_TASKPRI), false, false);
	if (!hw->apicv)
		return;
	for (i = 0; i < ARRAY_SIZE(x2apic_readable); i++)
		for (reg = x2apic_readable[i].first; reg <= x2apic_readable[i].last; reg += 0x10)
			vmx_msr_intercept(&hw->vmcs, OKVM_X2APIC_MSR(reg), false, true);
	vmx_msr_intercept(&hw->vmcs, OKVM_X2APIC_MSR(APIC_TASKPRI), false, false);
	vmx_msr_intercept(&hw->vmcs, OKVM_X2APIC_MSR(APIC_EOI), true, false);
	vmx_msr_intercept(&hw->vmcs, OKVM_X2APIC_MSR(APIC_SELF_IPI), true, false);
}
