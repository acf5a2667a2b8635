// SPDX-License-Identifier: GPL-2.0-only
/* The rules of VMRUN: a table at the end, and before it the functions that check the rules. */
#include <linux/bits.h>
#include <linux/kernel.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm/entry_check.h"

const struct svm_entry_field_info svm_entry_fields[SVM_NR_F] = {
#define SVM_ENTRY_INFO(name, offset, size, hosts) [SVM_F_##name] = { #name, offset, size, hosts },
	SVM_ENTRY_FIELDS(SVM_ENTRY_INFO)
#undef SVM_ENTRY_INFO
};

/* APM "VMCB Layout": bits of the two words at 00Ch, and of int_ctl. */
#define INTERCEPT_NMI_BIT	BIT_ULL(1)
#define INTERCEPT_VMRUN_BIT	BIT_ULL(32)
#define V_NMI_ENABLE_BIT	BIT(26)
/* APM "Segment State in the VMCB": L and D/B of CS in the 12 bits of segment attributes. */
#define ATTRIB_L		BIT(9)
#define ATTRIB_DB		BIT(10)
/* APM "I/O Intercepts", "MSR Intercepts": sizes of the permission maps. */
#define IOPM_BYTES		0x3000u
#define MSRPM_BYTES		0x2000u

static bool too_wide(const struct svm_entry *e, u64 addr)
{
	return e->phys_bits < 64 && addr >> e->phys_bits;
}

static bool paging_in_long_mode(const struct svm_entry *e)
{
	return e->f[SVM_F_EFER] & EFER_LME && e->f[SVM_F_CR0] & X86_CR0_PG;
}

static bool svme_clear(const struct svm_entry *e)
{
	return !(e->f[SVM_F_EFER] & EFER_SVME);
}

static bool efer_reserved(const struct svm_entry *e)
{
	return e->f[SVM_F_EFER] & e->efer_reserved;
}

static bool nw_without_cd(const struct svm_entry *e)
{
	return (e->f[SVM_F_CR0] & (X86_CR0_CD | X86_CR0_NW)) == X86_CR0_NW;
}

static bool cr0_high(const struct svm_entry *e)
{
	return e->f[SVM_F_CR0] >> 32;
}

static bool cr3_reserved(const struct svm_entry *e)
{
	return too_wide(e, e->f[SVM_F_CR3]);
}

static bool cr4_reserved(const struct svm_entry *e)
{
	return e->f[SVM_F_CR4] & e->cr4_reserved;
}

static bool dr6_high(const struct svm_entry *e)
{
	return e->f[SVM_F_DR6] >> 32;
}

static bool dr7_high(const struct svm_entry *e)
{
	return e->f[SVM_F_DR7] >> 32;
}

static bool no_pae(const struct svm_entry *e)
{
	return paging_in_long_mode(e) && !(e->f[SVM_F_CR4] & X86_CR4_PAE);
}

static bool no_protection(const struct svm_entry *e)
{
	return paging_in_long_mode(e) && !(e->f[SVM_F_CR0] & X86_CR0_PE);
}

static bool cs_long_and_default(const struct svm_entry *e)
{
	return paging_in_long_mode(e) && e->f[SVM_F_CR4] & X86_CR4_PAE &&
	       !(~e->f[SVM_F_CS_ATTRIB] & (ATTRIB_L | ATTRIB_DB));
}

static bool vmrun_not_intercepted(const struct svm_entry *e)
{
	return !(e->f[SVM_F_INTERCEPTS] & INTERCEPT_VMRUN_BIT);
}

static bool nmi_not_intercepted(const struct svm_entry *e)
{
	return e->vnmi && e->f[SVM_F_INT_CTL] & V_NMI_ENABLE_BIT &&
	       !(e->f[SVM_F_INTERCEPTS] & INTERCEPT_NMI_BIT);
}

/*
 * Return true if a permission map reaches beyond physical memory. The CPU ignores bits 11:0 of
 * @base.
 */
static bool map_beyond(const struct svm_entry *e, u64 base, u64 bytes)
{
	base &= ~0xfffull;
	/*
	 * Check the first byte, too, because the address of the last byte may have wrapped around
	 * to 0.
	 */
	return too_wide(e, base) || too_wide(e, base + bytes - 1);
}

static bool iopm_beyond(const struct svm_entry *e)
{
	return map_beyond(e, e->f[SVM_F_IOPM_BASE_PA], IOPM_BYTES);
}

static bool msrpm_beyond(const struct svm_entry *e)
{
	return map_beyond(e, e->f[SVM_F_MSRPM_BASE_PA], MSRPM_BYTES);
}

static bool asid_zero(const struct svm_entry *e)
{
	return !e->f[SVM_F_GUEST_ASID];
}

/*
 * APM "Vectors": the exceptions of each CPU with SVM. Not among them are vector 9, which no such
 * CPU raises, and 21 and 29, which only some CPUs raise (svm_entry.exceptions).
 */
#define EXCEPTIONS	((GENMASK(8, 0) & ~BIT(2)) | GENMASK(14, 10) | GENMASK(19, 16) | \
			 BIT(28) | BIT(30))

enum event_type { EVENT_INTR = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFT = 4 };

static bool event_valid(const struct svm_entry *e)
{
	return e->f[SVM_F_EVENTINJ] & BIT(31);
}

static unsigned int event_type(const struct svm_entry *e)
{
	return e->f[SVM_F_EVENTINJ] >> 8 & 7;
}

static bool event_reserved(const struct svm_entry *e)
{
	unsigned int type = event_type(e);

	return event_valid(e) && type != EVENT_INTR && type != EVENT_NMI &&
	       type != EVENT_EXCEPTION && type != EVENT_SOFT;
}

static bool event_no_exception(const struct svm_entry *e)
{
	unsigned int vector = e->f[SVM_F_EVENTINJ] & 0xff;

	return event_valid(e) && event_type(e) == EVENT_EXCEPTION &&
	       (vector > 31 || !((EXCEPTIONS | e->exceptions) & BIT(vector)));
}

static bool nested(const struct svm_entry *e)
{
	return e->f[SVM_F_NP_ENABLE] & BIT(0);
}

static bool ncr3_reserved(const struct svm_entry *e)
{
	return nested(e) && too_wide(e, e->f[SVM_F_N_CR3]);
}

/* Types 2 and 3 do not exist, and bits 7:3 of each byte are reserved (APM "PAT Register"). */
static bool bad_pat(const struct svm_entry *e)
{
	u64 pat = e->f[SVM_F_G_PAT];
	unsigned int i;

	for (i = 0; nested(e) && i < 8; i++, pat >>= 8) {
		if (pat & 0xf8 || (pat & 7) == 2 || (pat & 7) == 3)
			return true;
	}
	return false;
}

#define CHECKS	"Canonicalization and Consistency Checks"

const struct svm_entry_rule svm_entry_rules[SVM_NR_RULES] = {
	{ "efer-svme", "EFER.SVME is 1", CHECKS, SVM_F_EFER, svme_clear },
	{ "efer-reserved", "reserved bits of EFER are 0", CHECKS, SVM_F_EFER, efer_reserved },
	{ "cr0-nw", "CR0.NW is 1 only if CR0.CD is 1", CHECKS, SVM_F_CR0, nw_without_cd },
	{ "cr0-high", "bits 63:32 of CR0 are 0", CHECKS, SVM_F_CR0, cr0_high },
	{ "cr3-reserved", "reserved bits of CR3 are 0", CHECKS, SVM_F_CR3, cr3_reserved },
	{ "cr4-reserved", "reserved bits of CR4 are 0", CHECKS, SVM_F_CR4, cr4_reserved },
	{ "dr6-high", "bits 63:32 of DR6 are 0", CHECKS, SVM_F_DR6, dr6_high },
	{ "dr7-high", "bits 63:32 of DR7 are 0", CHECKS, SVM_F_DR7, dr7_high },
	{ "long-pae", "with EFER.LME and CR0.PG, CR4.PAE is 1", CHECKS, SVM_F_CR4, no_pae },
	{ "long-pe", "with EFER.LME and CR0.PG, CR0.PE is 1", CHECKS, SVM_F_CR0, no_protection },
	{ "cs-l-and-d", "in long mode CS.L and CS.D are not both 1", CHECKS, SVM_F_CS_ATTRIB,
	  cs_long_and_default },
	{ "vmrun-intercept", "VMRUN is intercepted", CHECKS, SVM_F_INTERCEPTS,
	  vmrun_not_intercepted },
	{ "vnmi-intercept", "with virtual NMIs, NMIs are intercepted", "Virtual NMI",
	  SVM_F_INTERCEPTS, nmi_not_intercepted },
	{ "iopm-width", "the I/O permission map ends below MAXPHYADDR", CHECKS,
	  SVM_F_IOPM_BASE_PA, iopm_beyond },
	{ "msrpm-width", "the MSR permission map ends below MAXPHYADDR", CHECKS,
	  SVM_F_MSRPM_BASE_PA, msrpm_beyond },
	{ "asid", "the ASID is not 0", CHECKS, SVM_F_GUEST_ASID, asid_zero },
	{ "event-type", "an injected event has type 0, 2, 3 or 4", "Event Injection",
	  SVM_F_EVENTINJ, event_reserved },
	{ "event-vector", "an injected exception has the vector of an exception", "Event Injection",
	  SVM_F_EVENTINJ, event_no_exception },
	{ "ncr3-reserved", "reserved bits of nCR3 are 0", "Nested Paging and VMRUN/#VMEXIT",
	  SVM_F_N_CR3, ncr3_reserved },
	{ "pat", "with nested paging G_PAT has existing memory types",
	  "Nested Paging and VMRUN/#VMEXIT", SVM_F_G_PAT, bad_pat },
};
