// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of the guest to its local APIC registers: MMIO, x2APIC MSRs, CR8, APIC-write VM exits,
 * and the paravirtual EOI without VM exit. Each function calls the model and carries out the
 * effects that the model has filled in.
 */
#include <linux/ktime.h>
#include <linux/kvm_para.h>
#include <linux/string.h>
#include <asm/kvm_para.h>

#include "core/trace_kvm.h"
#include "irq/internal.h"
#include "irq/needs.h"
#include "irq/vlapic.h"

/* ---- effects of register accesses ---- */

/*
 * Return true if the IOAPIC or userspace must see the EOI. Most EOIs are for edge-triggered
 * interrupts, and nobody has to see them.
 */
static bool eoi_wanted(const struct okvm_irq_vm *irq, u8 vector)
{
	return READ_ONCE(irq->eoi_vectors[vector / 64]) & BIT_ULL(vector % 64);
}

static void apply_eoi(struct okvm_vcpu *vcpu, const struct lapic_effect *eff)
{
	struct lapic *l = &vcpu->apic->l;

	trace_kvm_eoi(vcpu->id, eff->eoi_vector);
	/*
	 * With virtual-interrupt delivery, the CPU has a copy of the highest ISR vector. The copy
	 * is out of date if okvm, not the CPU, has done the EOI: update it.
	 */
	if (unlikely(l->hw_irr))
		vcpu->apic->ops->sync(vcpu, OKVM_APIC_ISR, lapic_highest_isr(l));
	if (eoi_wanted(okvm_irq(vcpu->vm), eff->eoi_vector))
		okvm_ioapic_eoi(vcpu, eff->eoi_vector, eff->eoi_level);
}

static void apply_ipi(struct okvm_apic *apic, const struct lapic_effect *eff)
{
	struct lapic_irq irq;

	lapic_ipi(&apic->l, eff, &irq);
	trace_kvm_apic_ipi(lapic_get(&apic->l, APIC_ICR), irq.dest_id);
	okvm_apic_deliver(apic->vcpu->vm, apic->vcpu, &irq);
}

static void apply_lvt0(struct okvm_apic *apic)
{
	struct okvm_irq_vm *irq = okvm_irq(apic->vcpu->vm);
	bool nmi = lapic_lvt0_nmi(&apic->l);

	if (nmi == apic->lint0_nmi)
		return;
	apic->lint0_nmi = nmi;
	if (nmi)
		atomic_inc(&irq->apics_lint0_nmi);
	else
		atomic_dec(&irq->apics_lint0_nmi);
}

static noinline void apply_rare(struct okvm_apic *apic, u32 flags)
{
	struct okvm_vcpu *vcpu = apic->vcpu;

	if (flags & LAPIC_EFF_ERROR)
		okvm_apic_local(apic, LAPIC_LVT_ERROR);
	if (flags & LAPIC_EFF_LVT0) {
		apply_lvt0(apic);
		/*
		 * The new LINT0 entry may let the vCPU accept a pending interrupt of the in-kernel
		 * PIC, or one of the VMM's PIC. Test this before the next VM entry.
		 */
		okvm_request(OKVM_REQ_EVENT, vcpu);
	}
	if (flags & LAPIC_EFF_ENABLED)
		okvm_request(OKVM_REQ_APF_READY, vcpu);
	if (flags & (LAPIC_EFF_MODE | LAPIC_EFF_BASE | LAPIC_EFF_ID))
		okvm_request(OKVM_REQ_APICV, vcpu);
	if (flags & LAPIC_EFF_MAP && apic->online)
		okvm_apic_map_update(vcpu->vm);
	if (flags & (LAPIC_EFF_TPR_READ | LAPIC_EFF_TPR_WRITE))
		okvm_arch_tpr_access(vcpu, flags & LAPIC_EFF_TPR_WRITE);
}

void okvm_apic_apply(struct okvm_apic *apic, const struct lapic_effect *eff)
{
	u32 flags = eff->flags;

	if (flags & LAPIC_EFF_EOI)
		apply_eoi(apic->vcpu, eff);
	if (flags & LAPIC_EFF_IPI)
		apply_ipi(apic, eff);
	if (flags & OKVM_APIC_TIMER_EFFECTS)
		okvm_apic_timer_apply(apic, flags);
	if (flags & LAPIC_EFF_RECHECK)
		okvm_request(OKVM_REQ_EVENT, apic->vcpu);
	if (unlikely(flags & ~(OKVM_APIC_TIMER_EFFECTS | LAPIC_EFF_EOI | LAPIC_EFF_IPI |
			       LAPIC_EFF_RECHECK)))
		apply_rare(apic, flags);
}

/* ---- MMIO ---- */

/*
 * Return 0 if @gpa is in this vCPU's APIC page and okvm handles accesses to it, otherwise
 * -EOPNOTSUPP. Set *@hole to true if the APIC is not in xAPIC mode. In that case okvm handles
 * accesses only with the quirk LAPIC_MMIO_HOLE.
 */
static int mmio_check(struct okvm_vcpu *vcpu, gpa_t gpa, bool *hole)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!apic || (gpa ^ apic->l.base) & LAPIC_BASE_ADDR)
		return -EOPNOTSUPP;
	*hole = apic->l.mode != LAPIC_XAPIC;
	if (*hole && okvm_irq(vcpu->vm)->apic_quirks_off & KVM_X86_QUIRK_LAPIC_MMIO_HOLE)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Called after the guest has read @count from TMCCT. If @count is 0, a one-shot timer has expired,
 * but the host's timer may not have fired yet. Deliver the tick now, because it depends on the
 * timer's LVT entry, and the guest may change this entry next. Leave a periodic timer alone,
 * because a guest that reads in a loop would rearm the host's timer each time.
 */
static void count_was_read(struct okvm_apic *apic, u32 count)
{
	const struct lapic_timer *t = &apic->l.timer;

	if (!count && t->mode == APIC_LVT_TIMER_ONESHOT && t->expiry_ns)
		okvm_apic_timer_apply(apic, LAPIC_EFF_TIMER_ARM);
}

int okvm_apic_mmio(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write)
{
	u32 offset = gpa & ~LAPIC_BASE_ADDR;
	struct lapic_effect eff;
	bool hole;
	int err = mmio_check(vcpu, gpa, &hole);

	if (err)
		return err;
	if (hole) {
		if (!write)
			memset(data, 0xff, len);
		return 0;
	}
	okvm_apic_pv_eoi_exit(vcpu);
	eff.flags = 0;
	if (write)
		lapic_mmio_write(&vcpu->apic->l, offset, len, data, &eff);
	else
		lapic_mmio_read(&vcpu->apic->l, offset, len, data,
				lapic_reads_clock(offset) ? ktime_get_ns() : 0, &eff);
	if (len == sizeof(u32))
		trace_kvm_apic(write, offset, *(const u32 *)data);
	okvm_apic_apply(vcpu->apic, &eff);
	if (!write && len == sizeof(u32) && lapic_reads_clock(offset))
		count_was_read(vcpu->apic, *(const u32 *)data);
	return 0;
}

void okvm_apic_write_nodecode(struct okvm_vcpu *vcpu, u32 offset)
{
	struct lapic_effect eff;

	eff.flags = 0;
	lapic_trap_write(&vcpu->apic->l, offset, &eff);
	trace_kvm_apic(true, offset, lapic_get(&vcpu->apic->l, offset));
	okvm_apic_apply(vcpu->apic, &eff);
}

/* ---- MSRs ---- */

int okvm_apic_msr_read(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	bool clock = lapic_msr_reads_clock(msr);

	if (lapic_msr_read(&vcpu->apic->l, msr, val, clock ? ktime_get_ns() : 0) == LAPIC_GP)
		return 1;
	if (clock)
		count_was_read(vcpu->apic, *val);
	if (unlikely(vcpu->apic->l.report_tpr) && msr == OKVM_X2APIC_MSR(APIC_TASKPRI))
		okvm_arch_tpr_access(vcpu, false);
	trace_kvm_apic(false, (msr - APIC_BASE_MSR) << 4, *val);
	return 0;
}

int okvm_apic_msr_write(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	struct lapic_effect eff;

	eff.flags = 0;
	if (lapic_msr_write(&vcpu->apic->l, msr, val, &eff) == LAPIC_GP)
		return 1;
	trace_kvm_apic(true, (msr - APIC_BASE_MSR) << 4, val);
	okvm_apic_apply(vcpu->apic, &eff);
	return 0;
}

/* Return true if the IPI is no broadcast: it has few targets and can be sent with IRQs off. */
static bool short_ipi(u64 icr)
{
	u32 dest = icr >> 32;

	if (icr & LAPIC_SHORT_MASK)
		return (icr & LAPIC_SHORT_MASK) == APIC_DEST_SELF;
	return dest != LAPIC_X2_BROADCAST;
}

/* Return true if the write of @val to the register @msr can be done with IRQs off. */
static bool fast_enough(struct okvm_apic *apic, u32 msr, u64 val)
{
	int vector;

	switch (msr) {
	case OKVM_X2APIC_MSR(APIC_EOI):
		vector = lapic_highest_isr(&apic->l);
		return vector < 0 || !eoi_wanted(okvm_irq(apic->vcpu->vm), vector);
	case OKVM_X2APIC_MSR(APIC_ICR):
		return short_ipi(val);
	case OKVM_X2APIC_MSR(APIC_SELF_IPI):
	case OKVM_X2APIC_MSR(APIC_TASKPRI):
	case OKVM_X2APIC_MSR(APIC_TMICT):
		return true;
	default:
		return false;
	}
}

bool okvm_apic_eoi_fast(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;
	int vector;

	if (apic->pv_eoi_pending || unlikely(apic->l.hw_irr))
		return false;
	vector = lapic_highest_isr(&apic->l);
	if (vector < 0)
		return true;
	if (eoi_wanted(okvm_irq(vcpu->vm), vector))
		return false;
	trace_kvm_eoi(vcpu->id, vector);
	if (lapic_complete(&apic->l, vector))
		okvm_request(OKVM_REQ_EVENT, vcpu);
	return true;
}

bool okvm_apic_msr_write_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	struct okvm_apic *apic = vcpu->apic;

	/* Test first for a write of 0 to EOI, the most frequent write. Other values cause #GP. */
	if (msr == OKVM_X2APIC_MSR(APIC_EOI) && !val && lapic_x2apic(&apic->l))
		return okvm_apic_eoi_fast(vcpu);
	/* If the guest may have skipped an EOI, okvm_apic_pv_eoi_exit() must handle that first. */
	if (apic->pv_eoi_pending || !fast_enough(apic, msr, val))
		return false;
	return !okvm_apic_msr_write(vcpu, msr, val);
}

/* Return ICR in the x2APIC format; in xAPIC mode the destination is in ICR2. */
static u64 icr_of(const struct lapic *l)
{
	u64 dest;

	if (lapic_x2apic(l))
		return lapic_get_icr64(l);
	dest = lapic_get(l, APIC_ICR2) >> 24;
	return lapic_get(l, APIC_ICR) |
	       (dest == LAPIC_BROADCAST ? LAPIC_X2_BROADCAST : dest) << 32;
}

bool okvm_apic_write_fast(struct okvm_vcpu *vcpu, u32 offset)
{
	struct okvm_apic *apic = vcpu->apic;

	if (apic->pv_eoi_pending || !fast_enough(apic, OKVM_X2APIC_MSR(offset), icr_of(&apic->l)))
		return false;
	okvm_apic_write_nodecode(vcpu, offset);
	return true;
}

/* ---- CR8, EOI ---- */

unsigned long okvm_apic_get_cr8(const struct okvm_vcpu *vcpu)
{
	return lapic_get_cr8(&vcpu->apic->l);
}

void okvm_apic_set_cr8(struct okvm_vcpu *vcpu, unsigned long cr8)
{
	struct lapic_effect eff;

	eff.flags = 0;
	lapic_set_tpr(&vcpu->apic->l, (cr8 & 0xf) << 4, &eff);
	okvm_apic_apply(vcpu->apic, &eff);
}

void okvm_apic_eoi(struct okvm_vcpu *vcpu)
{
	struct lapic_effect eff;

	eff.flags = 0;
	lapic_eoi(&vcpu->apic->l, &eff);
	okvm_apic_apply(vcpu->apic, &eff);
}

void okvm_apic_eoi_induced(struct okvm_vcpu *vcpu, u8 vector)
{
	struct lapic_effect eff;

	eff.flags = 0;
	lapic_eoi_done(&vcpu->apic->l, vector, &eff);
	okvm_apic_apply(vcpu->apic, &eff);
}

void okvm_apic_eoi_exit_map(struct okvm_vcpu *vcpu, u64 map[4])
{
	okvm_ioapic_scan(vcpu, map);
	vcpu->apic->ops->sync(vcpu, OKVM_APIC_EOI_MAP, 0);
}

/* ---- paravirtual EOI: the guest clears a flag in its memory instead of writing EOI ---- */

int okvm_apic_set_pv_eoi(struct okvm_vcpu *vcpu, u64 msr)
{
	struct okvm_apic *apic = vcpu->apic;
	gpa_t gpa = msr & ~(u64)KVM_MSR_ENABLED;

	if (gpa & 3)
		return 1;
	if (msr & KVM_MSR_ENABLED &&
	    okvm_cache_init(vcpu->vm, &apic->pv_eoi_cache, gpa, sizeof(u8)))
		return 1;
	apic->pv_eoi_msr = msr;
	/*
	 * The guest does not use the flag at the old address any more, so okvm need not clear it.
	 */
	apic->pv_eoi_pending = false;
	apic->pv_eoi_done = false;
	return 0;
}

static void pv_eoi_offer(struct okvm_apic *apic)
{
	struct okvm_vcpu *vcpu = apic->vcpu;
	const unsigned long *handled = (const unsigned long *)okvm_irq(vcpu->vm)->eoi_vectors;
	u8 flag = KVM_PV_EOI_ENABLED;

	if (lapic_pv_eoi_vector(&apic->l, handled) < 0)
		return;
	if (!okvm_cache_write(vcpu->vm, &apic->pv_eoi_cache, &flag, 0, sizeof(flag)))
		apic->pv_eoi_pending = true;
}

u64 okvm_apic_pv_eoi_msr(const struct okvm_vcpu *vcpu)
{
	return vcpu->apic ? vcpu->apic->pv_eoi_msr : 0;
}

void okvm_apic_pv_eoi_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (apic->pv_eoi_msr & KVM_MSR_ENABLED && !apic->pv_eoi_pending)
		pv_eoi_offer(apic);
}

/* Read from the flag whether the guest has skipped the EOI. Return: 0 or -EFAULT */
static int pv_eoi_look(struct okvm_apic *apic, bool *skipped)
{
	u8 flag;

	if (okvm_cache_read(apic->vcpu->vm, &apic->pv_eoi_cache, &flag, 0, sizeof(flag)))
		return -EFAULT;
	*skipped = !(flag & KVM_PV_EOI_ENABLED);
	return 0;
}

/* Clear the flag, so that the guest does not skip the EOI. Return: nonzero if this fails */
static int pv_eoi_withdraw(struct okvm_apic *apic)
{
	u8 flag = KVM_PV_EOI_DISABLED;

	return okvm_cache_write(apic->vcpu->vm, &apic->pv_eoi_cache, &flag, 0, sizeof(flag));
}

/*
 * After a VM exit, find out whether the guest has skipped an EOI, and do the EOI in that case. okvm
 * has set the PV EOI flag in guest memory, and a guest that skips its EOI clears the flag. If the
 * flag is still set, the guest has not skipped the EOI, and okvm clears the flag.
 *
 * While the VMM replaces the memory slot, okvm cannot read the flag. Then do the EOI anyway: an
 * interrupt that stays in service would block its priority class for ever. When the slot is back,
 * the flag may still be set, and the guest may still skip this EOI, which okvm has already done. So
 * pv_eoi_done records that the EOI is done, and each later VM exit tries to clear the flag. A guest
 * that finds the flag cleared then writes EOI once more; the APIC takes this for a second EOI.
 *
 * If the flag can be read, but not cleared, the interrupt stays in service. The guest may still
 * skip its EOI, so each later VM exit tests the flag again.
 */
void okvm_apic_pv_eoi_exit(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;
	bool skipped = false, unknown, done;

	if (likely(!apic->pv_eoi_pending))
		return;
	done = apic->pv_eoi_done;
	unknown = pv_eoi_look(apic, &skipped);
	apic->pv_eoi_pending = unknown || (!skipped && pv_eoi_withdraw(apic));
	apic->pv_eoi_done = apic->pv_eoi_pending && (done || unknown);
	if (done || (!unknown && !skipped))
		return;
	trace_kvm_pv_eoi(vcpu->id, lapic_highest_isr(&apic->l));
	okvm_apic_eoi(vcpu);
}
