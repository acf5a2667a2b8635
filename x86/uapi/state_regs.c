// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET/SET_REGS, KVM_GET/SET_SREGS, SREGS2 and KVM_TRANSLATE, and the copies of registers in
 * kvm_run. Each setter refuses illegal values before it changes any register.
 */
#include <linux/bitmap.h>
#include <linux/build_bug.h>
#include <linux/string.h>

#include "x86/cpu/cr.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/uapi/state.h"

/* ---- general registers ---- */

static void get_regs(struct okvm_vcpu *vcpu, struct kvm_regs *regs)
{
	const unsigned long *gpr = vcpu->arch->gpr;

	*regs = (struct kvm_regs) {
		.rax = gpr[OKVM_REG_RAX], .rbx = gpr[OKVM_REG_RBX],
		.rcx = gpr[OKVM_REG_RCX], .rdx = gpr[OKVM_REG_RDX],
		.rsi = gpr[OKVM_REG_RSI], .rdi = gpr[OKVM_REG_RDI],
		.rsp = okvm_gpr(vcpu, OKVM_REG_RSP), .rbp = gpr[OKVM_REG_RBP],
		.r8 = gpr[OKVM_REG_R8], .r9 = gpr[OKVM_REG_R9],
		.r10 = gpr[OKVM_REG_R10], .r11 = gpr[OKVM_REG_R11],
		.r12 = gpr[OKVM_REG_R12], .r13 = gpr[OKVM_REG_R13],
		.r14 = gpr[OKVM_REG_R14], .r15 = gpr[OKVM_REG_R15],
		.rip = okvm_rip(vcpu), .rflags = okvm_guest_rflags(vcpu),
	};
}

static void set_regs(struct okvm_vcpu *vcpu, const struct kvm_regs *regs)
{
	unsigned long *gpr = vcpu->arch->gpr;

	okvm_io_touch(vcpu);
	gpr[OKVM_REG_RAX] = regs->rax;
	gpr[OKVM_REG_RBX] = regs->rbx;
	gpr[OKVM_REG_RCX] = regs->rcx;
	gpr[OKVM_REG_RDX] = regs->rdx;
	gpr[OKVM_REG_RSI] = regs->rsi;
	gpr[OKVM_REG_RDI] = regs->rdi;
	gpr[OKVM_REG_RBP] = regs->rbp;
	gpr[OKVM_REG_R8] = regs->r8;
	gpr[OKVM_REG_R9] = regs->r9;
	gpr[OKVM_REG_R10] = regs->r10;
	gpr[OKVM_REG_R11] = regs->r11;
	gpr[OKVM_REG_R12] = regs->r12;
	gpr[OKVM_REG_R13] = regs->r13;
	gpr[OKVM_REG_R14] = regs->r14;
	gpr[OKVM_REG_R15] = regs->r15;
	okvm_gpr_set(vcpu, OKVM_REG_RSP, regs->rsp);
	okvm_rip_set(vcpu, regs->rip);
	okvm_guest_rflags_set(vcpu, regs->rflags | X86_EFLAGS_FIXED);

	/* Drop a pending exception: the instruction at the old RIP raised it. */
	vcpu->arch->ev.exc.pending = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

static long ioc_get_regs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	get_regs(vcpu, arg.data);
	return 0;
}

static long ioc_set_regs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	set_regs(vcpu, arg.data);
	return 0;
}

/* ---- segments, tables, control registers ---- */

/* Offset of each segment in struct kvm_sregs, indexed by enum okvm_seg. */
static const size_t sregs_seg[OKVM_NR_SEGS] = {
	[OKVM_SEG_ES] = offsetof(struct kvm_sregs, es),
	[OKVM_SEG_CS] = offsetof(struct kvm_sregs, cs),
	[OKVM_SEG_SS] = offsetof(struct kvm_sregs, ss),
	[OKVM_SEG_DS] = offsetof(struct kvm_sregs, ds),
	[OKVM_SEG_FS] = offsetof(struct kvm_sregs, fs),
	[OKVM_SEG_GS] = offsetof(struct kvm_sregs, gs),
	[OKVM_SEG_LDTR] = offsetof(struct kvm_sregs, ldt),
	[OKVM_SEG_TR] = offsetof(struct kvm_sregs, tr),
};

/* struct kvm_sregs and kvm_sregs2 begin with the same fields: one function serves both. */
#define SREGS_SAME(field)	(offsetof(struct kvm_sregs, field) == \
				 offsetof(struct kvm_sregs2, field))
static_assert(SREGS_SAME(cs) && SREGS_SAME(ldt) && SREGS_SAME(gdt) && SREGS_SAME(idt));
static_assert(SREGS_SAME(cr0) && SREGS_SAME(cr8) && SREGS_SAME(efer) && SREGS_SAME(apic_base));

static void get_sregs_common(struct okvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	int seg;

	for (seg = 0; seg < OKVM_NR_SEGS; seg++)
		ops->get_segment(vcpu, (void *)sregs + sregs_seg[seg], seg);
	ops->get_dt(vcpu, &sregs->idt, true);
	ops->get_dt(vcpu, &sregs->gdt, false);
	sregs->cr0 = okvm_cr0(vcpu);
	sregs->cr2 = vcpu->arch->cr2;
	sregs->cr3 = okvm_cr3(vcpu);
	sregs->cr4 = okvm_cr4(vcpu);
	sregs->cr8 = okvm_get_cr8(vcpu);
	sregs->efer = vcpu->arch->efer;
	sregs->apic_base = okvm_get_apic_base(vcpu);
}

static void get_sregs(struct okvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	int vector = okvm_user_visible_irq(vcpu);

	memset(sregs, 0, sizeof(*sregs));
	get_sregs_common(vcpu, sregs);
	if (vector >= 0)
		sregs->interrupt_bitmap[vector / 64] |= BIT_ULL(vector % 64);
}

/* Return why the control registers are illegal, or NULL. (VM entry will check the segments.) */
static const char *sregs_fault(struct okvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	if (!okvm_cr0_valid(sregs->cr0))
		return "sregs: bits of cr0 that are reserved or exclude each other";
	if (!okvm_cr4_valid(vcpu, sregs->cr4))
		return "sregs: bits of cr4 that the guest's CPUID does not have";
	if (sregs->efer & vcpu->vm->host->efer_reserved & ~EFER_LMA)
		return "sregs: reserved bits of efer";
	if (!(sregs->efer & EFER_LME) || !(sregs->cr0 & X86_CR0_PG)) {
		if (sregs->efer & EFER_LMA)
			return "sregs: efer.LMA without efer.LME and cr0.PG";
		return sregs->cs.l ? "sregs: cs.l outside of IA-32e mode" : NULL;
	}
	if (!(sregs->cr4 & X86_CR4_PAE))
		return "sregs: IA-32e mode without cr4.PAE";
	if (!(sregs->efer & EFER_LMA))
		return "sregs: efer.LME and cr0.PG without efer.LMA";
	return sregs->cr3 & vcpu->arch->feat.gpa_reserved ?
	       "sregs: cr3 is wider than the guest's physical addresses" : NULL;
}

static void set_control_regs(struct okvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long old_cr4 = okvm_cr4(vcpu);

	arch->cr2 = sregs->cr2;
	okvm_load_cr3(vcpu, sregs->cr3);
	okvm_set_cr8(vcpu, sregs->cr8);
	ops->set_efer(vcpu, sregs->efer);
	arch->efer = sregs->efer;
	ops->set_cr0(vcpu, sregs->cr0);
	arch->cr0 = sregs->cr0;
	ops->set_cr4(vcpu, sregs->cr4);
	arch->cr4 = sregs->cr4;
	if ((old_cr4 ^ sregs->cr4) & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		okvm_cpuid_runtime(vcpu);
	okvm_paging_changed(vcpu);
	okvm_mmu_restored(vcpu);
	okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
	okvm_request(OKVM_REQ_TLB_GUEST, vcpu);
}

/*
 * Some VMMs reset the BSP by writing its registers, and then expect it to run. So if @sregs and RIP
 * have the values of a reset, make a halted BSP runnable.
 */
static void wake_reset_bsp(struct okvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	if (vcpu->id == vcpu->vm->bsp_vcpu_id && okvm_rip(vcpu) == 0xfff0 &&
	    sregs->cs.selector == 0xf000 && sregs->cs.base == 0xffff0000 &&
	    !(sregs->cr0 & X86_CR0_PE))
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
}

/* Return why okvm_set_apic_base() refuses @base. */
static const char *apic_base_fault(const struct okvm_vcpu *vcpu, u64 base)
{
	if (base & X2APIC_ENABLE && !vcpu->arch->feat.x2apic)
		return "sregs: apic_base has x2APIC mode, which the guest's CPUID does not have";
	if (base & X2APIC_ENABLE && !(base & MSR_IA32_APICBASE_ENABLE))
		return "sregs: apic_base has x2APIC mode in a disabled APIC";
	return "sregs: reserved bits of apic_base";
}

/* Set the state in @sregs. @pdptrs: PDPTEs of a PAE guest; NULL: read them from guest memory */
static int set_sregs_common(struct okvm_vcpu *vcpu, const struct kvm_sregs *sregs,
			    const u64 *pdptrs)
{
	const struct okvm_reg_ops *ops = vcpu->arch->reg_ops;
	const char *fault = sregs_fault(vcpu, sregs);
	int seg;

	if (fault)
		return okvm_refuse_vcpu(vcpu, fault);
	if (okvm_set_apic_base(vcpu, sregs->apic_base, true))
		return okvm_refuse_vcpu(vcpu, apic_base_fault(vcpu, sregs->apic_base));
	okvm_io_touch(vcpu);
	ops->set_dt(vcpu, &sregs->idt, true);
	ops->set_dt(vcpu, &sregs->gdt, false);
	set_control_regs(vcpu, sregs);
	if (okvm_pae_paging(vcpu)) {
		if (pdptrs)
			memcpy(vcpu->arch->pdptrs, pdptrs, sizeof(vcpu->arch->pdptrs));
		else
			okvm_mmu_load_pdptrs(vcpu, sregs->cr3, vcpu->arch->pdptrs);
		okvm_reg_mark_dirty(vcpu, OKVM_REG_PDPTR);
	}
	for (seg = 0; seg < OKVM_NR_SEGS; seg++)
		ops->set_segment(vcpu, (void *)sregs + sregs_seg[seg], seg);
	wake_reset_bsp(vcpu, sregs);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

static int set_sregs(struct okvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct okvm_events *ev = &vcpu->arch->ev;
	unsigned int vector;
	int ret;

	ret = set_sregs_common(vcpu, sregs, NULL);
	if (ret)
		return ret;
	vector = find_first_bit((const unsigned long *)sregs->interrupt_bitmap,
				KVM_NR_INTERRUPTS);
	if (vector < KVM_NR_INTERRUPTS) {
		ev->irq.injected = true;
		ev->irq.soft = false;
		ev->irq.vector = vector;
		/* This may be the interrupt of a pending KVM_INTERRUPT: do not inject it twice. */
		if (!okvm_lapic_in_kernel(vcpu))
			ev->user_irq = -1;
	}
	return 0;
}

static long ioc_get_sregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	get_sregs(vcpu, arg.data);
	return 0;
}

static long ioc_set_sregs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return set_sregs(vcpu, arg.data);
}

static long ioc_get_sregs2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_sregs2 *sregs2 = arg.data;

	get_sregs_common(vcpu, arg.data);
	if (okvm_pae_paging(vcpu)) {
		okvm_reg_fetch(vcpu, OKVM_REG_PDPTR);
		memcpy(sregs2->pdptrs, vcpu->arch->pdptrs, sizeof(sregs2->pdptrs));
		sregs2->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
	}
	return 0;
}

static long ioc_set_sregs2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_sregs2 *sregs2 = arg.data;
	bool valid = sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	bool pae = sregs2->cr0 & X86_CR0_PG && sregs2->cr4 & X86_CR4_PAE &&
		   !(sregs2->efer & EFER_LMA);

	if (sregs2->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_SREGS2: unknown flags");
	if (valid && !pae)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_SREGS2: PDPTEs without PAE paging");
	return set_sregs_common(vcpu, arg.data, valid ? sregs2->pdptrs : NULL);
}

static long ioc_translate(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_translation *tr = arg.data;
	struct walk_fault fault = { };
	gpa_t gpa = OKVM_INVALID_GPA;

	/* Outside long mode linear addresses have 32 bits. */
	if (okvm_long_mode(vcpu) || !(tr->linear_address >> 32))
		gpa = okvm_mmu_gva_to_gpa(vcpu, tr->linear_address, OKVM_ACC_PATIENT, &fault);
	if (fault.gave_up)
		return -EINTR;
	tr->physical_address = gpa;
	tr->valid = gpa != OKVM_INVALID_GPA;
	tr->writeable = 1;
	tr->usermode = 0;
	return 0;
}

/* ---- copies of registers in kvm_run ---- */

static int load_sregs_copy(struct okvm_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	/* Userspace may write to kvm_run at any time: check and use a private copy. */
	memcpy(&sregs, &vcpu->run->s.regs.sregs, sizeof(sregs));
	return set_sregs(vcpu, &sregs);
}

int okvm_sync_regs_load(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 dirty = READ_ONCE(run->kvm_dirty_regs);
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	if (READ_ONCE(run->kvm_valid_regs) & ~(u64)KVM_SYNC_X86_VALID_FIELDS)
		return okvm_refuse_vcpu(vcpu, "kvm_run: unknown bits in kvm_valid_regs");
	if (dirty & ~(u64)KVM_SYNC_X86_VALID_FIELDS)
		return okvm_refuse_vcpu(vcpu, "kvm_run: unknown bits in kvm_dirty_regs");
	if (dirty & KVM_SYNC_X86_REGS) {
		memcpy(&regs, &run->s.regs.regs, sizeof(regs));
		set_regs(vcpu, &regs);
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_REGS;
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		if (load_sregs_copy(vcpu))
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_SREGS;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		memcpy(&events, &run->s.regs.events, sizeof(events));
		if (okvm_set_vcpu_events(vcpu, &events))
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_EVENTS;
	}
	return 0;
}

void okvm_sync_regs_store(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 valid = READ_ONCE(run->kvm_valid_regs);

	if (valid & KVM_SYNC_X86_REGS)
		get_regs(vcpu, &run->s.regs.regs);
	if (valid & KVM_SYNC_X86_SREGS)
		get_sregs(vcpu, &run->s.regs.sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		okvm_get_vcpu_events(vcpu, &run->s.regs.events);
}

const struct okvm_ioctl okvm_state_regs_ioctls[] = {
	{ KVM_GET_REGS,		OKVM_IOC_LOAD, { .vcpu = ioc_get_regs } },
	{ KVM_SET_REGS,		OKVM_IOC_LOAD, { .vcpu = ioc_set_regs } },
	{ KVM_GET_SREGS,	OKVM_IOC_LOAD, { .vcpu = ioc_get_sregs } },
	{ KVM_SET_SREGS,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_set_sregs } },
	{ KVM_GET_SREGS2,	OKVM_IOC_LOAD, { .vcpu = ioc_get_sregs2 } },
	{ KVM_SET_SREGS2,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_set_sregs2 } },
	{ KVM_TRANSLATE,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_translate } },
	{ }
};
