// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID of guests. KVM_GET_SUPPORTED_CPUID reports what the host offers, and userspace sets a
 * vCPU's CPUID. From a vCPU's CPUID this file computes struct okvm_guest_feat, which tells the rest
 * of okvm the guest's features.
 */
#include <linux/mm.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include <asm/xen/hypervisor.h>
#include <uapi/asm/debugreg.h>
#include <uapi/asm/kvm_para.h>

#include "core/compat.h"
#include "x86/cpuid/cpuid.h"

#define OKVM_SUPPORTED_MAX	80	/* entries; some VMMs pass small buffers */

/**
 * struct okvm_host_cpuid - CPUID that a backend offers guests on this host; constant
 * @xstates: sizes and offsets of the XSAVE state components
 * @nr: number of entries of @supported
 * @supported: result of KVM_GET_SUPPORTED_CPUID
 */
struct okvm_host_cpuid {
	struct cpuid_xstate xstates[CPUID_NR_XSTATES];
	int nr;
	struct kvm_cpuid_entry2 supported[OKVM_SUPPORTED_MAX];
};

/* ---- what the host offers ---- */

static void host_cpuid(u32 leaf, u32 sub, u32 r[CPUID_NR_REGS])
{
	cpuid_count(leaf, sub, &r[0], &r[1], &r[2], &r[3]);
}

/* CPUID registers that the kernel stores in boot_cpu_data, without the features it disables. */
static const struct {
	u32 leaf, sub;
	u8 reg, word;
} kernel_words[] = {
	{ 0x1, 0, CPUID_REG_EDX, CPUID_1_EDX },
	{ 0x1, 0, CPUID_REG_ECX, CPUID_1_ECX },
	{ 0x7, 0, CPUID_REG_EBX, CPUID_7_0_EBX },
	{ 0x7, 0, CPUID_REG_ECX, CPUID_7_ECX },
	{ 0x7, 0, CPUID_REG_EDX, CPUID_7_EDX },
	{ 0x7, 1, CPUID_REG_EAX, CPUID_7_1_EAX },
	{ 0xd, 1, CPUID_REG_EAX, CPUID_D_1_EAX },
	{ 0x80000001, 0, CPUID_REG_EDX, CPUID_8000_0001_EDX },
	{ 0x80000001, 0, CPUID_REG_ECX, CPUID_8000_0001_ECX },
	{ 0x80000008, 0, CPUID_REG_EBX, CPUID_8000_0008_EBX },
	{ 0x80000021, 0, CPUID_REG_EAX, CPUID_8000_0021_EAX },
};

static u32 kernel_cpuid(u32 leaf, u32 sub, enum cpuid_reg reg)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernel_words); i++)
		if (kernel_words[i].leaf == leaf && kernel_words[i].sub == sub &&
		    kernel_words[i].reg == reg)
			return boot_cpu_data.x86_capability[kernel_words[i].word];
	return ~0u;
}

static u32 pv_features(void)
{
	u32 features = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		       BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
		       BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) |
		       BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_PV_SEND_IPI) |
		       BIT(KVM_FEATURE_POLL_CONTROL) | BIT(KVM_FEATURE_PV_SCHED_YIELD) |
		       BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_ASYNC_PF_INT);

	if (sched_info_on())
		features |= BIT(KVM_FEATURE_STEAL_TIME);
	return features;
}

/* CR4 bits that are reserved if CPUID lacks the given bit (SDM "Control Registers"). */
static const struct {
	u32 cr4;
	u32 leaf;
	u8 reg, bit;
} cr4_features[] = {
	{ X86_CR4_PCIDE, 0x1, CPUID_REG_ECX, 17 },
	{ X86_CR4_OSXSAVE, 0x1, CPUID_REG_ECX, 26 },
	{ X86_CR4_FSGSBASE, 0x7, CPUID_REG_EBX, 0 },
	{ X86_CR4_SMEP, 0x7, CPUID_REG_EBX, 7 },
	{ X86_CR4_SMAP, 0x7, CPUID_REG_EBX, 20 },
	{ X86_CR4_UMIP, 0x7, CPUID_REG_ECX, 2 },
	{ X86_CR4_PKE, 0x7, CPUID_REG_ECX, 3 },
	{ X86_CR4_LA57, 0x7, CPUID_REG_ECX, 16 },
};

/* CR4 bits that the guest may set even if its CPUID lacks them: old VMMs set too few CPUID bits. */
#define CR4_ALWAYS	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
			 X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_OSFXSR | \
			 X86_CR4_OSXMMEXCPT | X86_CR4_PCE)

/* Compute the reserved bits of CR4 for @who, a vCPU or the host. @reg_of() reads its CPUID. */
#define CR4_RESERVED(reg_of, who)						\
({										\
	u64 __ok = CR4_ALWAYS;							\
	unsigned int __i;							\
										\
	for (__i = 0; __i < ARRAY_SIZE(cr4_features); __i++)			\
		if (reg_of(who, cr4_features[__i].leaf, 0, cr4_features[__i].reg) & \
		    BIT(cr4_features[__i].bit))					\
			__ok |= cr4_features[__i].cr4;				\
	~__ok;									\
})

u32 okvm_host_cpuid_reg(const struct okvm_host *host, u32 leaf, u32 sub, int reg)
{
	const struct kvm_cpuid_entry2 *e = host->cpuid->supported;
	int i;

	for (i = 0; i < host->cpuid->nr; i++, e++)
		if (e->function == leaf && e->index == sub)
			return (&e->eax)[reg];
	return 0;
}

int okvm_host_cpuid_create(struct okvm_host *host)
{
	struct okvm_host_cpuid *c;
	u32 caps = host->caps;
	struct cpuid_env env = {
		.host = host_cpuid,
		.kernel = kernel_cpuid,
		.xcr0 = host->xcr0,
		.xss = host->xss,
		.pv = pv_features(),
		.invpcid = caps & OKVM_HW_INVPCID,
		.rdtscp = caps & OKVM_HW_RDTSCP,
		.xsaves = caps & OKVM_HW_XSAVES,
		.waitpkg = caps & OKVM_HW_UMWAIT,
		.umip = caps & OKVM_HW_UMIP,
		.pku = caps & OKVM_HW_TDP && boot_cpu_has(X86_FEATURE_OSPKE),
		.gbpages = !(caps & OKVM_HW_TDP),
		.ibpb = boot_cpu_has(X86_FEATURE_IBPB),
		.ibrs = boot_cpu_has(X86_FEATURE_IBRS),
		.stibp = boot_cpu_has(X86_FEATURE_STIBP),
		.ssbd = boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD) ||
			boot_cpu_has(X86_FEATURE_AMD_SSBD),
		.amd_ssbd = boot_cpu_has(X86_FEATURE_AMD_SSBD),
		.ssb_no = !boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS),
		.ext21_eax = okvm_host_ext21_eax(),
		.ext21_ecx = okvm_host_ext21_ecx(),
	};

	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	get_cpu();	/* execute all CPUID instructions on one CPU */
	cpuid_xstate_read(&env, c->xstates);
	c->nr = cpuid_supported(&env, c->supported, OKVM_SUPPORTED_MAX);
	put_cpu();
	if (c->nr < 0) {
		int err = c->nr;

		kfree(c);
		return err;
	}
	host->cpuid = c;
	host->cr4_reserved = CR4_RESERVED(okvm_host_cpuid_reg, host);
	return 0;
}

/* Copy all entries to userspace, or return -E2BIG without writing nent. */
static long copy_list(struct kvm_cpuid2 __user *user, const struct kvm_cpuid_entry2 *list, u32 n)
{
	u32 nent;

	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent < n)
		return -E2BIG;
	if (copy_to_user(user->entries, list, n * sizeof(*list)) || put_user(n, &user->nent))
		return -EFAULT;
	return 0;
}

static long ioc_get_supported_cpuid(union okvm_ioctl_arg arg)
{
	const struct okvm_host_cpuid *c = okvm_host_default()->cpuid;

	return copy_list(arg.user, c->supported, c->nr);
}

/* Refuse entries of userspace whose padding is not 0: a later version may use the padding. */
static long check_padding(const struct kvm_cpuid2 __user *user)
{
	u32 nent, pad[3], i;

	if (get_user(nent, &user->nent))
		return -EFAULT;
	for (i = 0; i < min_t(u32, nent, OKVM_MAX_CPUID_ENTRIES); i++)
		if (copy_from_user(pad, user->entries[i].padding, sizeof(pad)) ||
		    pad[0] | pad[1] | pad[2])
			return -EINVAL;
	return 0;
}

static long ioc_get_emulated_cpuid(union okvm_ioctl_arg arg)
{
	struct kvm_cpuid2 __user *user = arg.user;
	long err = check_padding(user);
	u32 nent;
	/* The emulated features are MOVBE and, if the CPU has the MSR TSC_AUX, RDPID. */
	struct kvm_cpuid_entry2 list[3] = {
		{ .function = 0, .eax = 7 },
		{ .function = 1, .ecx = BIT(22) },
		{ .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
	};

	if (err)
		return err;
	if (okvm_host_default()->caps & OKVM_HW_RDTSCP)
		list[2].ecx = BIT(22);
	/*
	 * Like upstream, return -E2BIG even if userspace's array has room for exactly these
	 * entries.
	 */
	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent == ARRAY_SIZE(list))
		return -E2BIG;
	return copy_list(user, list, ARRAY_SIZE(list));
}

/* ---- the guest's table ---- */

void okvm_cpuid_free(struct okvm_vcpu *vcpu)
{
	struct okvm_cpuid_table *t = vcpu->arch->cpuid;

	vcpu->arch->cpuid = NULL;
	if (!t)
		return;
	kvfree(t->entries);
	kvfree(t);
}

static struct kvm_cpuid_entry2 *cpuid_find(struct okvm_vcpu *vcpu, u32 leaf, u32 sub)
{
	struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	int i;

	if (!t)
		return NULL;
	i = cpuid_lookup(&t->index, t->entries, leaf, sub);
	return i < 0 ? NULL : &t->entries[i];
}

/*
 * Execute CPUID in the less common cases: the leaf is not basic, has sub-leaves or is absent, or
 * userspace has not set any CPUID.
 */
static noinline void cpuid_odd(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	const struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	u32 r[CPUID_NR_REGS] = { [CPUID_REG_EAX] = *eax, [CPUID_REG_ECX] = *ecx };
	int i;

	if (unlikely(!t)) {
		*eax = 0;
		*ebx = 0;
		*ecx = 0;
		*edx = 0;
		return;
	}
	i = cpuid_answer(&t->index, t->entries, r);
	if (unlikely(i >= 0 && i == t->e7 && vcpu->arch->tsx_ctrl & TSX_CTRL_CPUID_CLEAR))
		r[CPUID_REG_EBX] &= ~(BIT(4) | BIT(11));	/* HLE, RTM */
	*eax = r[CPUID_REG_EAX];
	*ebx = r[CPUID_REG_EBX];
	*ecx = r[CPUID_REG_ECX];
	*edx = r[CPUID_REG_EDX];
}

void okvm_cpuid(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	const struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	const struct kvm_cpuid_entry2 *e = NULL;

	if (likely(t))
		e = cpuid_plain(&t->index, t->entries, *eax);
	if (unlikely(!e)) {
		cpuid_odd(vcpu, eax, ebx, ecx, edx);
		return;
	}
	*eax = e->eax;
	*ebx = e->ebx;
	*ecx = e->ecx;
	*edx = e->edx;
}

bool okvm_cpuid_has(const struct okvm_vcpu *vcpu, u32 leaf, u32 sub, bool *highest)
{
	const struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	u32 r[CPUID_NR_REGS] = { [CPUID_REG_EAX] = leaf, [CPUID_REG_ECX] = sub };
	bool found = t && cpuid_lookup(&t->index, t->entries, leaf, sub) >= 0;

	*highest = t && !found && cpuid_answer(&t->index, t->entries, r) >= 0;
	return found;
}

static void change_bit_to(u32 *reg, u32 bit, bool on)
{
	*reg = on ? *reg | bit : *reg & ~bit;
}

/*
 * Remove protection keys from the CPUID of a guest without TDP, because such a guest cannot have
 * them. Userspace may have copied them from KVM_GET_SUPPORTED_CPUID, which describes guests with
 * TDP.
 */
static void drop_keys(struct okvm_cpuid_table *t, const struct cpuid_xstate *xstates)
{
	struct kvm_cpuid_entry2 *e = t->entries;
	int pkru = cpuid_lookup(&t->index, e, 0xd, XFEATURE_PKRU);

	if (t->e7 >= 0)
		e[t->e7].ecx &= ~(BIT(3) | BIT(4));
	if (t->ed0 >= 0 && e[t->ed0].eax & XFEATURE_MASK_PKRU) {
		e[t->ed0].eax &= ~(u32)XFEATURE_MASK_PKRU;
		e[t->ed0].ecx = cpuid_xstate_size(xstates, e[t->ed0].eax |
						  (u64)e[t->ed0].edx << 32, false);
	}
	if (pkru >= 0)
		e[pkru] = (struct kvm_cpuid_entry2){
			.function = 0xd, .index = XFEATURE_PKRU, .flags = e[pkru].flags,
		};
}

static void update_runtime(struct okvm_vcpu *vcpu, struct okvm_cpuid_table *t)
{
	const struct cpuid_xstate *xstates = vcpu->vm->host->cpuid->xstates;
	const struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned long cr4 = okvm_cr4(vcpu);
	struct kvm_cpuid_entry2 *e = t->entries;

	if (t->e1 >= 0) {
		if (vcpu->vm->host->xcr0)
			change_bit_to(&e[t->e1].ecx, BIT(27), cr4 & X86_CR4_OSXSAVE);
		change_bit_to(&e[t->e1].edx, BIT(9),
			      okvm_get_apic_base(vcpu) & MSR_IA32_APICBASE_ENABLE);
		if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
			change_bit_to(&e[t->e1].ecx, BIT(3),
				      arch->misc_enable & MSR_IA32_MISC_ENABLE_MWAIT);
	}
	if (!(vcpu->vm->caps & OKVM_HW_TDP))
		drop_keys(t, xstates);
	else if (t->e7 >= 0 && boot_cpu_has(X86_FEATURE_PKU))
		change_bit_to(&e[t->e7].ecx, BIT(4), cr4 & X86_CR4_PKE);
	if (t->ed0 >= 0)
		e[t->ed0].ebx = cpuid_xstate_size(xstates, arch->xcr0, false);
	if (t->ed1 >= 0 && e[t->ed1].eax & (BIT(1) | BIT(3)))
		e[t->ed1].ebx = cpuid_xstate_size(xstates, arch->xcr0 | arch->ia32_xss, true);
	if (t->epv >= 0 && vcpu->vm->arch->disabled_exits & KVM_X86_DISABLE_EXITS_HLT)
		e[t->epv].eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
}

void okvm_cpuid_runtime(struct okvm_vcpu *vcpu)
{
	struct okvm_cpuid_table *t = vcpu->arch->cpuid;

	if (!t)
		return;
	update_runtime(vcpu, t);
	if (t->e1 >= 0)
		vcpu->arch->feat.mwait = t->entries[t->e1].ecx & BIT(3);
}

/*
 * Find the leaf with KVM_FEATURE_* bits. This leaf follows the leaf with the KVM signature. The
 * number of the signature's leaf is 40000000h, 40000100h, 40000200h and so on, up to 4000FF00h.
 */
static int find_pv_leaf(const struct okvm_cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e;
	u32 base;
	int i;

	for (base = 0x40000000; base < 0x40010000; base += 0x100) {
		i = cpuid_lookup(&t->index, t->entries, base, 0);
		if (i < 0)
			continue;
		e = &t->entries[i];
		if (!memcmp(&e->ebx, "KVMKVMKVM\0\0\0", 12))
			return cpuid_lookup(&t->index, t->entries, base + 1, 0);
	}
	return -1;
}

/* Build a table, which keeps @entries. If that fails, the caller must free @entries. */
static struct okvm_cpuid_table *make_table(struct kvm_cpuid_entry2 *entries, int nent)
{
	struct okvm_cpuid_table *t;

	t = kvzalloc(struct_size(t, index.next, nent), GFP_KERNEL_ACCOUNT);
	if (!t)
		return NULL;
	t->nent = nent;
	t->entries = entries;
	cpuid_index_build(&t->index, entries, nent);
	t->e1 = cpuid_lookup(&t->index, entries, 0x1, 0);
	t->e7 = cpuid_lookup(&t->index, entries, 0x7, 0);
	t->ed0 = cpuid_lookup(&t->index, entries, 0xd, 0);
	t->ed1 = cpuid_lookup(&t->index, entries, 0xd, 1);
	t->epv = find_pv_leaf(t);
	return t;
}

/* ---- struct okvm_guest_feat, computed from the guest's CPUID ---- */

static u32 guest_reg(struct okvm_vcpu *vcpu, u32 leaf, u32 sub, enum cpuid_reg reg)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(vcpu, leaf, sub);

	return e ? (&e->eax)[reg] : 0;
}

static u64 gpa_reserved(u8 maxphyaddr)
{
	return maxphyaddr >= 64 ? 0 : ~0ULL << maxphyaddr;
}

/*
 * Width of physical addresses if CPUID does not report it (SDM "Enumeration of Paging Features by
 * CPUID", which says 32 for CPUs without PAE).
 */
#define DEFAULT_MAXPHYADDR	36

static u8 guest_maxphyaddr(struct okvm_vcpu *vcpu)
{
	u8 bits = guest_reg(vcpu, 0x80000008, 0, CPUID_REG_EAX);

	if (guest_reg(vcpu, 0x80000000, 0, CPUID_REG_EAX) < 0x80000008 ||
	    !cpuid_find(vcpu, 0x80000008, 0))
		return DEFAULT_MAXPHYADDR;
	return bits;
}

static void digest_leaf1(struct okvm_guest_feat *f, u32 ecx, u32 edx)
{
	f->mwait = ecx & BIT(3);
	f->x2apic = ecx & BIT(21);
	f->tsc_deadline = ecx & BIT(24);
	f->xsave = ecx & BIT(26);
	f->sse3 = ecx & BIT(0);
	f->pdcm = ecx & BIT(15);
}

static void digest_leaf7(struct okvm_guest_feat *f, u32 ebx, u32 ecx, u32 edx)
{
	f->tsc_adjust = ebx & BIT(1);
	f->invpcid = ebx & BIT(10);
	f->rtm = ebx & BIT(11);
	f->umwait = ecx & BIT(5);
	f->rdpid = ecx & BIT(22);
	f->bus_lock = ecx & BIT(24);
	f->spec_ctrl = edx & BIT(26);
	f->ibpb = edx & BIT(26);
	f->stibp = edx & BIT(27);
	f->flush_l1d = edx & BIT(28);
	f->arch_cap = edx & BIT(29);
	f->ssbd = edx & BIT(31);
}

static void digest_amd_bits(struct okvm_guest_feat *f, u32 ebx)
{
	f->ibpb |= ebx & BIT(12);
	f->spec_ctrl |= ebx & BIT(14);
	f->stibp |= ebx & BIT(15);
	f->ssbd |= ebx & BIT(24);
}

static void digest_ext1(struct okvm_guest_feat *f, u32 ecx, u32 edx)
{
	f->lock_cr8 = ecx & BIT(4);
	f->osvw = ecx & BIT(9);
	f->nx = edx & BIT(20);
	f->ffxsr = edx & BIT(25);
	f->gbpages = edx & BIT(26);
	f->rdtscp = edx & BIT(27);
	f->longmode = edx & BIT(29);
}

static void digest_derived(struct okvm_vcpu *vcpu, struct okvm_guest_feat *f)
{
	f->maxphyaddr = guest_maxphyaddr(vcpu);
	f->gpa_reserved = gpa_reserved(f->maxphyaddr);
	f->efer_reserved = (f->longmode ? 0 : EFER_LME | EFER_LMA) | (f->nx ? 0 : EFER_NX) |
			   (f->ffxsr ? 0 : EFER_FFXSR);
	f->xcr0_supported = vcpu->vm->host->xcr0 &
		(guest_reg(vcpu, 0xd, 0, CPUID_REG_EAX) |
		 (u64)guest_reg(vcpu, 0xd, 0, CPUID_REG_EDX) << 32);
	f->xsaves = f->xsave && guest_reg(vcpu, 0xd, 1, CPUID_REG_EAX) & BIT(3) &&
		    vcpu->vm->caps & OKVM_HW_XSAVES;
	f->dr6_fixed1 = DR6_RESERVED & ~((f->rtm ? BIT(16) : 0) | (f->bus_lock ? BIT(11) : 0));
}

static void digest(struct okvm_vcpu *vcpu)
{
	const struct okvm_cpuid_table *t = vcpu->arch->cpuid;
	struct okvm_guest_feat *f = &vcpu->arch->feat;

#define REG(leaf, sub, reg)	guest_reg(vcpu, leaf, sub, CPUID_REG_##reg)
	memset(f, 0, sizeof(*f));
	digest_leaf1(f, REG(0x1, 0, ECX), REG(0x1, 0, EDX));
	digest_leaf7(f, REG(0x7, 0, EBX), REG(0x7, 0, ECX), REG(0x7, 0, EDX));
	digest_amd_bits(f, REG(0x80000008, 0, EBX));
	digest_ext1(f, REG(0x80000001, 0, ECX), REG(0x80000001, 0, EDX));
	digest_derived(vcpu, f);
	f->cr4_reserved = CR4_RESERVED(guest_reg, vcpu);
	f->pv = t->epv < 0 ? 0 : t->entries[t->epv].eax;
	f->tsx_ctrl = vcpu->arch->arch_capabilities & ARCH_CAP_TSX_CTRL_MSR;
#undef REG
}

void okvm_cpuid_create(struct okvm_vcpu *vcpu)
{
	struct okvm_guest_feat *f = &vcpu->arch->feat;

	/*
	 * Before KVM_SET_CPUID2 the guest has no optional feature, and the default width of
	 * physical addresses. But userspace may already set any CR4 bit that the host offers.
	 */
	memset(f, 0, sizeof(*f));
	f->cr4_reserved = vcpu->vm->host->cr4_reserved;
	f->maxphyaddr = DEFAULT_MAXPHYADDR;
	f->gpa_reserved = gpa_reserved(f->maxphyaddr);
	f->dr6_fixed1 = DR6_RESERVED;
	f->tsx_ctrl = vcpu->arch->arch_capabilities & ARCH_CAP_TSX_CTRL_MSR;
}

bool okvm_pv_has(const struct okvm_vcpu *vcpu, u32 feature)
{
	return !vcpu->arch->pv_enforce || vcpu->arch->feat.pv & BIT(feature);
}

/* ---- a new table ---- */

static bool same_cpuid(const struct okvm_cpuid_table *a, const struct okvm_cpuid_table *b)
{
	const struct kvm_cpuid_entry2 *x, *y;
	int i;

	if (!a || a->nent != b->nent)
		return !a && !b->nent;
	for (i = 0; i < a->nent; i++) {
		x = &a->entries[i];
		y = &b->entries[i];
		if (x->function != y->function || x->index != y->index || x->flags != y->flags ||
		    x->eax != y->eax || x->ebx != y->ebx || x->ecx != y->ecx || x->edx != y->edx)
			return false;
	}
	return true;
}

/* Return true if okvm can virtualize the width of linear addresses: 48 or 57 bits, or 0 (unset). */
static bool address_width_valid(const struct okvm_cpuid_table *t)
{
	int i = cpuid_lookup(&t->index, t->entries, 0x80000008, 0);
	u32 bits = i < 0 ? 0 : (t->entries[i].eax >> 8) & 0xff;

	return bits == 48 || bits == 57 || bits == 0;
}

/* Return false if the CPUID @t contains AMX's tile data, which okvm does not offer to guests. */
static bool xstates_possible(const struct okvm_vcpu *vcpu, const struct okvm_cpuid_table *t)
{
	u64 xcr0 = t->ed0 < 0 ? 0 : t->entries[t->ed0].eax | (u64)t->entries[t->ed0].edx << 32;

	return !(xcr0 & XFEATURE_MASK_XTILE_DATA & ~vcpu->vm->host->xcr0);
}

int okvm_cpuid_set(struct okvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int nent)
{
	struct okvm_cpuid_table *t = make_table(entries, nent);
	int ret = 0;

	if (!t) {
		kvfree(entries);
		return -ENOMEM;
	}
	update_runtime(vcpu, t);
	if (vcpu->ran) {
		/* A vCPU that has run must keep its CPUID: accept only the same CPUID. */
		if (!same_cpuid(vcpu->arch->cpuid, t))
			ret = okvm_refuse_vcpu(vcpu, "CPUID: the vCPU has run with another");
	} else if (!address_width_valid(t)) {
		ret = okvm_refuse_vcpu(vcpu, "CPUID: linear addresses of neither 48 nor 57 bits");
	} else if (!xstates_possible(vcpu, t)) {
		ret = -EPERM;
	} else {
		swap(vcpu->arch->cpuid, t);
		digest(vcpu);
	}
	if (t) {
		kvfree(t->entries);
		kvfree(t);
	}
	return ret;
}

const struct okvm_ioctl okvm_cpuid_ioctls[] = {
	{ KVM_GET_SUPPORTED_CPUID,	OKVM_IOC_RAW, { .sys = ioc_get_supported_cpuid } },
	{ KVM_GET_EMULATED_CPUID,	OKVM_IOC_RAW, { .sys = ioc_get_emulated_cpuid } },
	{ }
};
