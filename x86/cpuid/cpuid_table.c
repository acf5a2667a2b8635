// SPDX-License-Identifier: GPL-2.0-only
/*
 * This file decides which CPUID bits guests may have, and finds the entry that answers a CPUID
 * instruction. All functions are pure: they use no state of a vCPU or of the kernel.
 *
 * Upstream searches the list of entries at each CPUID exit. okvm indexes the list once, when
 * userspace sets it.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "x86/cpuid/cpuid_table.h"

/* Bits of CPUID registers, with the names of the SDM or APM. L1C: leaf 1, ECX, and so on. */
#define L1C_X2APIC	BIT(21)
#define L7B_TSC_ADJUST	BIT(1)
#define L7B_INVPCID	BIT(10)
#define L7C_UMIP	BIT(2)
#define L7C_PKU		BIT(3)
#define L7C_WAITPKG	BIT(5)
#define L7C_LA57	BIT(16)
#define L7C_RDPID	BIT(22)
#define L7D_SPEC_CTRL	BIT(26)
#define L7D_STIBP	BIT(27)
#define L7D_ARCH_CAP	BIT(29)
#define L7D_SSBD	BIT(31)
#define L71A_AVX_VNNI		BIT(4)
#define L71A_AVX_IFMA		BIT(23)
#define L71D_AVX_VNNI_INT8	BIT(4)
#define L71D_AVX_NE_CONVERT	BIT(5)
#define LDA_XSAVEC	BIT(1)
#define LDA_XSAVES	BIT(3)
#define LX1D_GBPAGES	BIT(26)
#define LX1D_RDTSCP	BIT(27)
#define LX1D_LM		BIT(29)
#define LX8B_IBPB	BIT(12)
#define LX8B_IBRS	BIT(14)
#define LX8B_STIBP	BIT(15)
#define LX8B_SSBD	BIT(24)
#define LX8B_SSB_NO	BIT(26)

#define XSTATE_AVX	BIT(2)	/* of XCR0 */

#define ANY_SUB		(~0u)

/*
 * The bits of a leaf that guests may have if the CPU has them. A leaf without a row in cpuid_masks
 * reads as zero, except for bits that adjust() sets. For the names of the bits see SDM "CPUID—CPU
 * Identification".
 */
struct cpuid_mask {
	u32 leaf, sub;
	u32 pass[CPUID_NR_REGS];
};

static const struct cpuid_mask cpuid_masks[] = {
	{ 0x0, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	/*
	 * Guests may have in ECX: SSE3 PCLMULQDQ SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 x2APIC MOVBE
	 * POPCNT AES XSAVE AVX F16C RDRAND. In EDX: all but PSN, DS, ACPI, HTT, TM, PBE.
	 */
	{ 0x1, ANY_SUB, { ~0u, ~0u, 0x76fa3203, 0x0f8bfbff } },
	{ 0x2, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	{ 0x4, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	/*
	 * Guests may have in EBX: FSGSBASE TSC_ADJUST BMI1 HLE AVX2 FDP_EXCPTN_ONLY SMEP BMI2 ERMS
	 * INVPCID RTM ZERO_FCS_FDS AVX512F AVX512DQ RDSEED ADX SMAP AVX512IFMA CLFLUSHOPT CLWB
	 * AVX512PF AVX512ER AVX512CD SHA AVX512BW AVX512VL. In ECX: AVX512VBMI UMIP PKU WAITPKG
	 * AVX512_VBMI2 GFNI VAES VPCLMULQDQ AVX512_VNNI AVX512_BITALG AVX512_VPOPCNTDQ LA57 RDPID
	 * CLDEMOTE MOVDIRI MOVDIR64B. In EDX: AVX512_4VNNIW AVX512_4FMAPS FSRM AVX512_VP2INTERSECT
	 * MD_CLEAR SERIALIZE TSXLDTRK AVX512_FP16 SPEC_CTRL STIBP L1D_FLUSH ARCH_CAPABILITIES SSBD.
	 */
	{ 0x7, 0, { ~0u, 0xfdbf2ffb, 0x1a415f6e, 0xbc81451c } },
	/*
	 * Guests may have in EAX: AVX_VNNI AVX512_BF16 CMPCCXADD FZRM FSRS FSRC AVX_IFMA. Not LAM,
	 * which needs bits of CR3 and CR4, and not AMX. In EDX: AVX_VNNI_INT8 AVX_NE_CONVERT
	 * PREFETCHITI. Not AVX10, because guests do not get leaf 24h with its version.
	 */
	{ 0x7, 1, { 0x00801cb0, 0, 0, 0x00004030 } },
	/* Guests may have in EDX: PSFD IPRED RRSBA DDPD_U BHI MCDT_NO. */
	{ 0x7, 2, { 0, 0, 0, 0x0000003f } },
	{ 0xb, ANY_SUB, { 0, 0, 0, ~0u } },		/* no topology; the x2APIC id */
	{ 0xd, 1, { 0x0000000f, 0, ~0u, ~0u } },	/* XSAVEOPT XSAVEC XGETBV1 XSAVES */
	{ 0xd, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	{ 0x1f, ANY_SUB, { 0, 0, 0, ~0u } },
	{ 0x80000000, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	/*
	 * Guests may have in ECX: LAHF CMP_LEGACY CR8 ABM SSE4A MISALIGNSSE 3DNOWPREFETCH OSVW XOP
	 * FMA4 TBM TOPOEXT.
	 */
	{ 0x80000001, ANY_SUB, { ~0u, 0xf000ffff, 0x00610bf3, 0xefd3fbff } },
	{ 0x80000006, ANY_SUB, { ~0u, ~0u, ~0u, 0xfffcffff } },
	{ 0x80000007, ANY_SUB, { 0, 0, 0, BIT(8) } },	/* invariant TSC */
	/*
	 * Guests may have in EBX: CLZERO XSAVEERPTR WBNOINVD IBPB IBRS STIBP STIBP_ALWAYS_ON SSBD
	 * SSB_NO PSFD. Not VIRT_SSBD: okvm does not implement its MSR.
	 */
	{ 0x80000008, ANY_SUB, { 0x0000ffff, 0x1502d205, 0x0000f0ff, 0 } },
	{ 0x8000001d, ANY_SUB, { ~0u, ~0u, ~0u, ~0u } },
	/*
	 * Guests may have in EAX: NO_NESTED_DATA_BP FS_GS_BASE_NS LFENCE_SERIALIZING VERW_CLEAR
	 * NULL_SEL_CLR_BASE NO_SMM_CTL_MSR SBPB IBPB_BRTYPE SRSO_NO SRSO_USER_KERNEL_NO. Not
	 * AUTOIBRS: guests cannot set its bit in EFER. In ECX: TSA_SQ_NO TSA_L1_NO TSA_FILL_NO.
	 */
	{ 0x80000021, ANY_SUB, { 0x78000267, 0, 0x00000086, 0 } },
};

static const struct cpuid_mask *find_mask(u32 leaf, u32 sub)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpuid_masks); i++)
		if (cpuid_masks[i].leaf == leaf &&
		    (cpuid_masks[i].sub == sub || cpuid_masks[i].sub == ANY_SUB))
			return &cpuid_masks[i];
	return NULL;
}

/* Return true if @leaf has sub-leaves, which ECX selects. */
static bool leaf_has_subs(u32 leaf)
{
	switch (leaf) {
	case 0x4:
	case 0x7:
	case 0xb:
	case 0xd:
	case 0xf:
	case 0x10:
	case 0x12:
	case 0x14:
	case 0x17:
	case 0x18:
	case 0x1d:
	case 0x1e:
	case 0x1f:
	case 0x8000001d:
		return true;
	default:
		return false;
	}
}

/*
 * The CPU's bits and the masks do not suffice for features that okvm emulates, and for features
 * that depend on the backend or the kernel. The adjust_*() functions set or clear the bits of such
 * features.
 */
static void adjust_leaf1(u32 r[CPUID_NR_REGS])
{
	r[CPUID_REG_ECX] |= L1C_X2APIC;
}

static void set_if(u32 *reg, u32 bit, bool cond)
{
	*reg = cond ? *reg | bit : *reg & ~bit;
}

static void adjust_leaf7(const struct cpuid_env *env, u32 r[CPUID_NR_REGS], u32 raw_ecx)
{
	u32 *ecx = &r[CPUID_REG_ECX], *edx = &r[CPUID_REG_EDX];

	r[CPUID_REG_EAX] = min(r[CPUID_REG_EAX], 2u);
	r[CPUID_REG_EBX] |= L7B_TSC_ADJUST;
	if (!env->invpcid)
		r[CPUID_REG_EBX] &= ~L7B_INVPCID;
	set_if(ecx, L7C_UMIP, env->umip);
	/* Guests may have five-level paging even if the host kernel uses four levels. */
	set_if(ecx, L7C_LA57, raw_ecx & L7C_LA57);
	if (!env->pku)
		*ecx &= ~L7C_PKU;
	if (!env->rdtscp)
		*ecx &= ~L7C_RDPID;
	set_if(ecx, L7C_WAITPKG, env->waitpkg && raw_ecx & L7C_WAITPKG);
	*edx |= L7D_ARCH_CAP;
	if (env->ibpb && env->ibrs)
		*edx |= L7D_SPEC_CTRL;
	if (env->stibp)
		*edx |= L7D_STIBP;
	if (env->amd_ssbd)
		*edx |= L7D_SSBD;
}

/* Leaf 7.1: if the host kernel has disabled AVX, clear the bits of AVX instructions. */
static void adjust_leaf7_1(const struct cpuid_env *env, u32 r[CPUID_NR_REGS])
{
	if (env->xcr0 & XSTATE_AVX)
		return;
	r[CPUID_REG_EAX] &= ~(L71A_AVX_VNNI | L71A_AVX_IFMA);
	r[CPUID_REG_EDX] &= ~(L71D_AVX_VNNI_INT8 | L71D_AVX_NE_CONVERT);
}

/*
 * Leaf 80000008H: set AMD's bits of the speculation controls on Intel hosts, too, because some
 * guests test only AMD's bits.
 */
static void adjust_ext8(const struct cpuid_env *env, u32 r[CPUID_NR_REGS])
{
	u32 *ebx = &r[CPUID_REG_EBX];

	/* If the CPU reports less than 48 bits for linear addresses, or nothing, report 48. */
	if (((r[CPUID_REG_EAX] >> 8) & 0xff) < 48)
		r[CPUID_REG_EAX] = (r[CPUID_REG_EAX] & 0xff) | 48 << 8;
	*ebx |= (env->ibpb ? LX8B_IBPB : 0) | (env->ibrs ? LX8B_IBRS : 0) |
		(env->stibp ? LX8B_STIBP : 0) | (env->ssbd ? LX8B_SSBD : 0) |
		(env->ssb_no ? LX8B_SSB_NO : 0);
}

/*
 * Return the guest's highest extended leaf: the CPU's (@eax), but at most 80000021H. If the kernel
 * knows bits of leaf 80000021H, guests get this leaf even if the CPU lacks it. But they do not get
 * it if the CPU lacks leaf 8000001DH, because VMMs expect 8000001DH if a higher leaf exists.
 */
static u32 last_ext_leaf(const struct cpuid_env *env, u32 eax)
{
	if (eax >= 0x8000001d && (env->ext21_eax | env->ext21_ecx))
		return 0x80000021u;
	return min(eax, 0x80000021u);
}

static void adjust_xsave(const struct cpuid_env *env, u32 sub, u32 r[CPUID_NR_REGS])
{
	struct cpuid_xstate xs[CPUID_NR_XSTATES];

	if (sub > 1) {
		r[CPUID_REG_ECX] &= ~BIT(2);	/* no XFD */
		r[CPUID_REG_EDX] = 0;
		return;
	}
	cpuid_xstate_read(env, xs);
	if (sub == 0) {
		r[CPUID_REG_EAX] &= lower_32_bits(env->xcr0);
		r[CPUID_REG_EBX] = cpuid_xstate_size(xs, env->xcr0, false);
		r[CPUID_REG_ECX] = r[CPUID_REG_EBX];
		r[CPUID_REG_EDX] &= upper_32_bits(env->xcr0);
		return;
	}
	if (!env->xsaves)
		r[CPUID_REG_EAX] &= ~LDA_XSAVES;
	r[CPUID_REG_EBX] = r[CPUID_REG_EAX] & (LDA_XSAVES | LDA_XSAVEC) ?
		cpuid_xstate_size(xs, env->xcr0 | env->xss, true) : 0;
	r[CPUID_REG_ECX] &= lower_32_bits(env->xss);
	r[CPUID_REG_EDX] &= upper_32_bits(env->xss);
}

static void adjust(const struct cpuid_env *env, u32 leaf, u32 sub, u32 r[CPUID_NR_REGS],
		   const u32 raw[CPUID_NR_REGS])
{
	switch (leaf) {
	case 0x0:
		r[CPUID_REG_EAX] = min(r[CPUID_REG_EAX], 0x1fu);
		break;
	case 0x1:
		adjust_leaf1(r);
		break;
	case 0x6:
		r[CPUID_REG_EAX] = BIT(2);	/* the APIC timer never stops */
		break;
	case 0x7:
		if (sub == 0)
			adjust_leaf7(env, r, raw[CPUID_REG_ECX]);
		if (sub == 1)
			adjust_leaf7_1(env, r);
		break;
	case 0xd:
		adjust_xsave(env, sub, r);
		break;
	case 0x80000000:
		r[CPUID_REG_EAX] = last_ext_leaf(env, r[CPUID_REG_EAX]);
		break;
	case 0x80000001:
		if (!env->rdtscp)
			r[CPUID_REG_EDX] &= ~LX1D_RDTSCP;
		if (env->gbpages && r[CPUID_REG_EDX] & LX1D_LM)
			r[CPUID_REG_EDX] |= LX1D_GBPAGES;
		break;
	case 0x80000008:
		adjust_ext8(env, r);
		break;
	case 0x80000021:
		r[CPUID_REG_EAX] |= env->ext21_eax;
		r[CPUID_REG_ECX] |= env->ext21_ecx;
		break;
	}
}

struct emitter {
	struct kvm_cpuid_entry2 *out;
	int n, max;
};

/* Append a leaf's entry with the bits that guests may have. Return: NULL if the list is full */
static struct kvm_cpuid_entry2 *emit(struct emitter *em, const struct cpuid_env *env, u32 leaf,
				     u32 sub)
{
	const struct cpuid_mask *mask = find_mask(leaf, sub);
	u32 raw[CPUID_NR_REGS] = { 0 }, r[CPUID_NR_REGS] = { 0 };
	struct kvm_cpuid_entry2 *e;
	int reg;

	if (em->n >= em->max)
		return NULL;
	e = &em->out[em->n++];
	memset(e, 0, sizeof(*e));
	e->function = leaf;
	e->index = sub;
	e->flags = leaf_has_subs(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	env->host(leaf, sub, raw);
	for (reg = 0; mask && reg < CPUID_NR_REGS; reg++)
		r[reg] = raw[reg] & mask->pass[reg] & env->kernel(leaf, sub, reg);
	adjust(env, leaf, sub, r, raw);
	e->eax = r[CPUID_REG_EAX];
	e->ebx = r[CPUID_REG_EBX];
	e->ecx = r[CPUID_REG_ECX];
	e->edx = r[CPUID_REG_EDX];
	return e;
}

static bool emit_caches(struct emitter *em, const struct cpuid_env *env, u32 leaf)
{
	struct kvm_cpuid_entry2 *e;
	u32 sub;

	/* Cache type 0 ends the list. Stop at 16 if a CPU never returns type 0. */
	for (sub = 0; sub < 16; sub++) {
		e = emit(em, env, leaf, sub);
		if (!e)
			return false;
		if (!(e->eax & 0x1f))
			break;
	}
	return true;
}

static bool emit_leaf7(struct emitter *em, const struct cpuid_env *env)
{
	struct kvm_cpuid_entry2 *e = emit(em, env, 0x7, 0);
	u32 sub, last;

	if (!e)
		return false;
	last = e->eax;
	for (sub = 1; sub <= last; sub++)
		if (!emit(em, env, 0x7, sub))
			return false;
	return true;
}

static bool emit_xsave(struct emitter *em, const struct cpuid_env *env)
{
	int i;

	if (!emit(em, env, 0xd, 0))
		return false;
	if (!env->xcr0)
		return true;
	if (!emit(em, env, 0xd, 1))
		return false;
	for (i = 2; i < CPUID_NR_XSTATES; i++)
		if ((env->xcr0 | env->xss) & BIT_ULL(i) && !emit(em, env, 0xd, i))
			return false;
	return true;
}

static bool emit_leaf(struct emitter *em, const struct cpuid_env *env, u32 leaf)
{
	switch (leaf) {
	case 0x4:
	case 0x8000001d:
		return emit_caches(em, env, leaf);
	case 0x7:
		return emit_leaf7(em, env);
	case 0xd:
		return emit_xsave(em, env);
	default:
		return emit(em, env, leaf, 0);
	}
}

/*
 * Emit all leaves of a range, at most 64. @first is its first leaf. EAX of @first is its last leaf.
 */
static bool emit_class(struct emitter *em, const struct cpuid_env *env, u32 first)
{
	struct kvm_cpuid_entry2 *e = emit(em, env, first, 0);
	u32 leaf, last;

	if (!e)
		return false;
	last = e->eax;
	for (leaf = first + 1; leaf <= last && leaf - first < 0x40; leaf++)
		if (!emit_leaf(em, env, leaf))
			return false;
	return true;
}

static bool emit_paravirt(struct emitter *em, u32 features)
{
	struct kvm_cpuid_entry2 *e = &em->out[em->n];

	if (em->max - em->n < 2)
		return false;
	memset(e, 0, 2 * sizeof(*e));
	/* The signature "KVMKVMKVM\0\0\0", by which guests detect KVM's paravirtual interface. */
	e[0].function = 0x40000000;
	e[0].eax = 0x40000001;
	memcpy(&e[0].ebx, "KVMK", 4);
	memcpy(&e[0].ecx, "VMKV", 4);
	memcpy(&e[0].edx, "M\0\0\0", 4);
	e[1].function = 0x40000001;
	e[1].eax = features;
	em->n += 2;
	return true;
}

int cpuid_supported(const struct cpuid_env *env, struct kvm_cpuid_entry2 *out, int max)
{
	struct emitter em = { .out = out, .max = max };

	if (!emit_class(&em, env, 0x0) || !emit_class(&em, env, 0x80000000) ||
	    !emit_paravirt(&em, env->pv))
		return -E2BIG;
	return em.n;
}

/* ---- sizes of the XSAVE area: SDM "Managing State Using the XSAVE Feature Set" ---- */

#define XSAVE_LEGACY_AND_HEADER	(512 + 64)

void cpuid_xstate_read(const struct cpuid_env *env, struct cpuid_xstate xs[CPUID_NR_XSTATES])
{
	u32 r[CPUID_NR_REGS];
	int i;

	memset(xs, 0, CPUID_NR_XSTATES * sizeof(*xs));
	for (i = 2; i < CPUID_NR_XSTATES; i++) {
		if (!((env->xcr0 | env->xss) & BIT_ULL(i)))
			continue;
		env->host(0xd, i, r);
		xs[i].size = r[CPUID_REG_EAX];
		xs[i].offset = r[CPUID_REG_EBX];
		xs[i].aligned = r[CPUID_REG_ECX] & BIT(1);
	}
}

u32 cpuid_xstate_size(const struct cpuid_xstate xs[CPUID_NR_XSTATES], u64 components,
		      bool compact)
{
	u32 end = XSAVE_LEGACY_AND_HEADER;
	u32 offset;
	int i;

	for (i = 2; i < CPUID_NR_XSTATES; i++) {
		if (!(components & BIT_ULL(i)))
			continue;
		if (!compact)
			offset = xs[i].offset;
		else
			offset = xs[i].aligned ? (end + 63) & ~63u : end;
		end = max(end, offset + xs[i].size);
	}
	return end;
}

/* ---- the index ---- */

/* Return the head of the chain that contains the entries of @leaf (see struct cpuid_index). */
static const u16 *slot_of(const struct cpuid_index *idx, u32 leaf)
{
	u32 low = leaf & 0x3fffffff;

	switch (leaf >> 30) {
	case 0:
		return low < CPUID_NR_BASIC ? &idx->basic[low] : &idx->far;
	case 1:
		if (low < 0x200 && (low & 0xff) < CPUID_NR_HYPER)
			return &idx->hyper[low >> 8][low & 0xff];
		return &idx->far;
	case 2:
		return low < CPUID_NR_EXT ? &idx->ext[low] : &idx->far;
	default:
		return &idx->far;
	}
}

static bool vendor_is(const struct kvm_cpuid_entry2 *e, const char vendor[12])
{
	return !memcmp(&e->ebx, vendor, 4) && !memcmp(&e->edx, vendor + 4, 4) &&
	       !memcmp(&e->ecx, vendor + 8, 4);
}

void cpuid_index_build(struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, int n)
{
	u16 *slot;
	int i;

	memset(idx, 0, sizeof(*idx));
	memset(idx->next, 0, n * sizeof(idx->next[0]));
	/* Entries are prepended, so go backwards: the chains then have the array's order. */
	for (i = n - 1; i >= 0; i--) {
		slot = (u16 *)slot_of(idx, e[i].function);
		idx->next[i] = *slot;
		*slot = i + 1;
	}
	i = cpuid_lookup(idx, e, 0, 0);
	idx->amd = i >= 0 && (vendor_is(&e[i], "AuthenticAMD") || vendor_is(&e[i], "HygonGenuine"));
}

int cpuid_lookup(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, u32 leaf,
		 u32 sub)
{
	u16 i;

	for (i = *slot_of(idx, leaf); i; i = idx->next[i - 1]) {
		if (e[i - 1].function != leaf)
			continue;
		if (!(e[i - 1].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e[i - 1].index == sub)
			return i - 1;
	}
	return -1;
}

/*
 * Return the first leaf of @leaf's range. EAX of the first leaf is the highest leaf of the range.
 */
static u32 class_of(u32 leaf)
{
	if (leaf >= 0x40000000 && leaf <= 0x4fffffff)
		return leaf & 0xffffff00;
	if (leaf >= 0xc0000000)
		return 0xc0000000;
	return leaf & 0x80000000;
}

/*
 * Called if @leaf is absent. Return the leaf whose data CPUID returns instead. Return @leaf if
 * CPUID returns zeros.
 */
static u32 redirect(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e, u32 leaf)
{
	int basic = cpuid_lookup(idx, e, 0, 0);
	int class = cpuid_lookup(idx, e, class_of(leaf), 0);

	if (basic < 0 || idx->amd || (class >= 0 && leaf <= e[class].eax))
		return leaf;
	return e[basic].eax;
}

/*
 * Fill @r for an absent leaf or sub-leaf: all registers are 0. An exception are absent sub-leaves
 * of a topology leaf: ECX[7:0] is the sub-leaf's number, and EDX is the x2APIC id.
 */
static void answer_absent(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e,
			  u32 leaf, u32 sub, u32 r[CPUID_NR_REGS])
{
	int i;

	memset(r, 0, CPUID_NR_REGS * sizeof(r[0]));
	if (leaf != 0xb && leaf != 0x1f)
		return;
	i = cpuid_lookup(idx, e, leaf, 1);
	if (i < 0)
		return;
	r[CPUID_REG_ECX] = sub & 0xff;
	r[CPUID_REG_EDX] = e[i].edx;
}

int cpuid_answer(const struct cpuid_index *idx, const struct kvm_cpuid_entry2 *e,
		 u32 r[CPUID_NR_REGS])
{
	u32 leaf = r[CPUID_REG_EAX], sub = r[CPUID_REG_ECX];
	int i = cpuid_lookup(idx, e, leaf, sub);

	if (i < 0) {
		u32 other = redirect(idx, e, leaf);

		if (other != leaf) {
			leaf = other;
			i = cpuid_lookup(idx, e, leaf, sub);
		}
	}
	if (i < 0) {
		answer_absent(idx, e, leaf, sub, r);
		return -1;
	}
	r[CPUID_REG_EAX] = e[i].eax;
	r[CPUID_REG_EBX] = e[i].ebx;
	r[CPUID_REG_ECX] = e[i].ecx;
	r[CPUID_REG_EDX] = e[i].edx;
	return i;
}
