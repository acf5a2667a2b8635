// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CHECK_EXTENSION and KVM_ENABLE_CAP. Only capabilities that work are reported. */
#include <linux/capability.h>
#include <linux/sched/stat.h>

#include <asm/cpufeature.h>

#include <uapi/linux/kvm_para.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/hardware.h"
#include "x86/cpu/fpu.h"
#include "x86/uapi/state.h"

/* Return the KVM_X86_DISABLE_EXITS_* bits that userspace may set. */
static u64 exits_that_can_go(void)
{
	u64 exits = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE;

	if (boot_cpu_has(X86_FEATURE_MWAIT) && !boot_cpu_has_bug(X86_BUG_MONITOR) &&
	    boot_cpu_has(X86_FEATURE_ARAT))
		exits |= KVM_X86_DISABLE_EXITS_MWAIT;
	return exits;
}

/* Return true if @cap is about interrupts, and KVM_CHECK_EXTENSION returns 1 on all hosts. */
static bool irq_cap(long cap)
{
	switch (cap) {
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_SPLIT_IRQCHIP:
	case KVM_CAP_IRQ_INJECT_STATUS:
	case KVM_CAP_IOAPIC_POLARITY_IGNORED:
	case KVM_CAP_PIT:
	case KVM_CAP_PIT2:
	case KVM_CAP_PIT_STATE2:
	case KVM_CAP_REINJECT_CONTROL:
	case KVM_CAP_SIGNAL_MSI:
	case KVM_CAP_IRQFD:
	case KVM_CAP_IRQFD_RESAMPLE:
	case KVM_CAP_VAPIC:
	case KVM_CAP_IOEVENTFD:
	case KVM_CAP_IOEVENTFD_NO_LENGTH:
	case KVM_CAP_IOEVENTFD_ANY_LENGTH:
		return true;
	default:
		return false;
	}
}

/* Return true if @cap is not about interrupts, and KVM_CHECK_EXTENSION returns 1 on all hosts. */
static bool plain_cap(long cap)
{
	switch (cap) {
	/* registers and state */
	case KVM_CAP_MP_STATE:
	case KVM_CAP_VCPU_EVENTS:
	case KVM_CAP_DEBUGREGS:
	case KVM_CAP_SREGS2:
	case KVM_CAP_XSAVE:
	case KVM_CAP_USER_NMI:
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
	case KVM_CAP_SET_GUEST_DEBUG:
	case KVM_CAP_X86_ROBUST_SINGLESTEP:
	case KVM_CAP_VCPU_ATTRIBUTES:
	case KVM_CAP_SYS_ATTRIBUTES:
	case KVM_CAP_ENABLE_CAP:
	/* CPUID and MSRs */
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_EXT_EMUL_CPUID:
	case KVM_CAP_GET_MSR_FEATURES:
	case KVM_CAP_MSR_PLATFORM_INFO:
	case KVM_CAP_X86_USER_SPACE_MSR:
	case KVM_CAP_X86_MSR_FILTER:
	case KVM_CAP_ENFORCE_PV_FEATURE_CPUID:
	case KVM_CAP_ASYNC_PF:
	case KVM_CAP_ASYNC_PF_INT:
	/* time */
	case KVM_CAP_CLOCKSOURCE:
	case KVM_CAP_KVMCLOCK_CTRL:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_TSC_DEADLINE_TIMER:
	case KVM_CAP_NOP_IO_DELAY:
	/* machine */
	case KVM_CAP_HLT:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_SET_IDENTITY_MAP_ADDR:
	case KVM_CAP_SET_BOOT_CPU_ID:
	case KVM_CAP_MMU_SHADOW_CACHE_CONTROL:
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
	/*
	 * This promises a bit of kvm_run.flags for nested guests. There are none, so it is never
	 * set.
	 */
	case KVM_CAP_X86_GUEST_MODE:
	case KVM_CAP_LAST_CPU:
	case KVM_CAP_PCI_SEGMENT:
		return true;
	default:
		return false;
	}
}

#define GUESTDBG_VALID	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | \
			 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_USE_SW_BP | \
			 KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_BLOCKIRQ)

#define VALID_QUIRKS	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | \
			 KVM_X86_QUIRK_LAPIC_MMIO_HOLE | KVM_X86_QUIRK_OUT_7E_INC_RIP | \
			 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_FIX_HYPERCALL_INSN | \
			 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)
static_assert(VALID_QUIRKS == 0x7f);

/* Quirks of kernels after 6.1. Unlike older quirks, they stay disabled once they are disabled. */
#define LATER_QUIRKS	(KVM_X86_QUIRK_SLOT_ZAP_ALL | KVM_X86_QUIRK_STUFF_FEATURE_MSRS | \
			 KVM_X86_QUIRK_IGNORE_GUEST_PAT)
static_assert(LATER_QUIRKS == 0x380);

static u64 quirks_of(u32 caps)
{
	return VALID_QUIRKS | (caps & OKVM_HW_GUEST_PAT ? LATER_QUIRKS :
			       LATER_QUIRKS & ~KVM_X86_QUIRK_IGNORE_GUEST_PAT);
}

#define VALID_MSR_REASONS	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
				 KVM_MSR_EXIT_REASON_FILTER)

int okvm_arch_check_extension(struct okvm_vm *vm, long cap)
{
	const struct okvm_offer *offer = vm ? vm->offer : okvm_default_offer;
	const struct okvm_host *host = vm ? vm->host : okvm_host_default();

	if (plain_cap(cap) || irq_cap(cap))
		return 1;
	switch (cap) {
	case KVM_CAP_VM_TYPES:
		return BIT(KVM_X86_DEFAULT_VM);
	case KVM_CAP_IRQ_ROUTING:
		return 4096;
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return vm ? okvm_apic_bus_ns(vm) : 1;
	case KVM_CAP_X2APIC_API:
		return KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	case KVM_CAP_SET_GUEST_DEBUG2:
		return GUESTDBG_VALID;
	case KVM_CAP_SYNC_REGS:
		return KVM_SYNC_X86_VALID_FIELDS;
	case KVM_CAP_ADJUST_CLOCK:
		return KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	case KVM_CAP_MCE:
		return OKVM_MCE_BANKS;
	case KVM_CAP_XCRS:
		return !!boot_cpu_has(X86_FEATURE_XSAVE);
	case KVM_CAP_XSAVE2:
		/* Size of the buffer for KVM_GET_XSAVE2, at least sizeof(struct kvm_xsave). */
		return okvm_fpu_uabi_size(host);
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return !!(host->caps & OKVM_HW_TSC_SCALING);
	case KVM_CAP_STEAL_TIME:
		return !!sched_info_on();
	case KVM_CAP_DISABLE_QUIRKS2:
		return quirks_of(vm ? vm->caps : offer->caps);
	case KVM_CAP_X86_DISABLE_EXITS:
		return exits_that_can_go();
	case KVM_CAP_EXIT_HYPERCALL:
		return BIT(KVM_HC_MAP_GPA_RANGE);
	case KVM_CAP_PRE_FAULT_MEMORY:
		return !!(host->caps & OKVM_HW_TDP);
	case OKVM_CAP_MMU:
		return (offer->caps & OKVM_HW_SHADOW ? BIT(OKVM_MMU_SHADOW) : 0) |
		       (offer->caps & OKVM_HW_TDP ? BIT(OKVM_MMU_TDP) : 0);
	default:
		return 0;
	}
}

/* Set the limit of vCPU ids. Userspace may set it once, and may repeat the same value. */
static int set_max_vcpu_id(struct okvm_vm *vm, u64 limit)
{
	struct okvm_arch_vm *avm = vm->arch;

	if (limit > OKVM_MAX_VCPU_ID)
		return okvm_refuse(vm, "KVM_CAP_MAX_VCPU_ID: above what KVM_CHECK_EXTENSION says");
	if (vm->bsp_vcpu_id > limit)
		return okvm_refuse(vm, "KVM_CAP_MAX_VCPU_ID: below the id of KVM_SET_BOOT_CPU_ID");
	if (avm->max_vcpu_id && avm->max_vcpu_id != limit)
		return okvm_refuse(vm, "KVM_CAP_MAX_VCPU_ID: another limit was set");
	if (!limit)
		return 0;
	avm->max_vcpu_id = limit;
	vm->max_vcpu_id = limit;
	return 0;
}

/* Store @val in @where, or refuse if it has bits outside @valid. */
#define SET_MASKED(where, val, valid)	\
	((val) & ~(u64)(valid) ? okvm_refuse(vm, "KVM_ENABLE_CAP: unknown bits in args[0]") :	\
				 ((where) = (val), 0))

static int disable_quirks(struct okvm_vm *vm, u64 quirks, u64 valid)
{
	const u64 before = vm->arch->disabled_quirks;

	if (quirks & ~valid)
		return okvm_refuse(vm, "KVM_CAP_DISABLE_QUIRKS2: unknown quirks");
	/* KVM_CAP_DISABLE_QUIRKS accepts unknown quirks and ignores them. */
	quirks = (quirks & quirks_of(vm->caps)) | (before & LATER_QUIRKS);
	vm->arch->disabled_quirks = quirks;
	if (quirks & ~before & KVM_X86_QUIRK_IGNORE_GUEST_PAT)
		okvm_mmu_honor_pat(vm);
	return okvm_irq_enable_cap(vm, KVM_CAP_DISABLE_QUIRKS2, quirks);
}

/*
 * Make the VM's huge pages executable. A guest that executes huge pages can halt some machines
 * (iTLB multihit). So this needs CAP_SYS_BOOT in the initial user namespace.
 */
static int disable_nx(struct okvm_vm *vm, u64 val)
{
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (val)
		return okvm_refuse(vm, "KVM_ENABLE_CAP: args[0] is not 0");
	return okvm_mmu_exempt_nx(vm) ?
	       okvm_refuse(vm, "KVM_CAP_VM_DISABLE_NX_HUGE_PAGES: there are vCPUs") : 0;
}

static int choose_mmu(struct okvm_vm *vm, u64 mmu)
{
	int err;

	if (mmu > OKVM_MMU_SHADOW)
		return okvm_refuse(vm, "OKVM_CAP_MMU: args[0] is no kind of MMU");
	err = okvm_mmu_choose(vm, mmu == OKVM_MMU_TDP ? OKVM_MMU_KIND_TDP : OKVM_MMU_KIND_SHADOW);
	if (!err)
		WRITE_ONCE(vm->host, mmu == OKVM_MMU_TDP ? vm->offer->host :
							   vm->offer->host_shadow);
	return err;
}

int okvm_arch_vm_enable_cap(struct okvm_vm *vm, const struct kvm_enable_cap *cap)
{
	struct okvm_arch_vm *avm = vm->arch;
	u64 val = cap->args[0];

	lockdep_assert_held(&vm->lock);
	if (cap->flags)
		return okvm_refuse(vm, "KVM_ENABLE_CAP: flags are not 0");
	switch (cap->cap) {
	case KVM_CAP_DISABLE_QUIRKS2:
		return disable_quirks(vm, val, quirks_of(vm->caps));
	case KVM_CAP_DISABLE_QUIRKS:
		return disable_quirks(vm, val, ~0ULL);
	case KVM_CAP_SPLIT_IRQCHIP:
	case KVM_CAP_X2APIC_API:
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return okvm_irq_enable_cap(vm, cap->cap, val);
	case KVM_CAP_MSR_PLATFORM_INFO:
		avm->guest_can_read_platform_info = val;
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		avm->exception_payload = val;
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		avm->triple_fault_event = val;
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		return SET_MASKED(avm->user_space_msr_mask, val, VALID_MSR_REASONS);
	case KVM_CAP_X86_DISABLE_EXITS:
		if (val & ~exits_that_can_go())
			return okvm_refuse(vm, "KVM_CAP_X86_DISABLE_EXITS: unknown exits");
		avm->disabled_exits |= val;
		return 0;
	case KVM_CAP_EXIT_HYPERCALL:
		return SET_MASKED(avm->hypercall_exit_map_gpa, val, BIT(KVM_HC_MAP_GPA_RANGE));
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		return SET_MASKED(avm->exit_on_emulation_error, val, 1);
	case KVM_CAP_MAX_VCPU_ID:
		return set_max_vcpu_id(vm, val);
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
		return disable_nx(vm, val);
	case OKVM_CAP_MMU:
		return choose_mmu(vm, val);
	default:
		return okvm_refuse(vm, "KVM_ENABLE_CAP: not a capability that a VM can enable");
	}
}

static long ioc_vcpu_enable_cap(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_enable_cap *cap = arg.data;

	if (cap->flags)
		return okvm_refuse_vcpu(vcpu, "KVM_ENABLE_CAP: flags are not 0");
	if (cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return okvm_refuse_vcpu(vcpu, "KVM_ENABLE_CAP: not one that a vCPU can enable");
	vcpu->arch->pv_enforce = cap->args[0];
	return 0;
}

const struct okvm_ioctl okvm_extensions_ioctls[] = {
	{ KVM_ENABLE_CAP,	OKVM_IOC_LOAD, { .vcpu = ioc_vcpu_enable_cap } },
	{ }
};
