/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMCS accessors and the other VMX instructions.
 *
 * An access that fails (no current VMCS, no such field, or VMX switched off
 * under us by an emergency) kills the VM whose vCPU is loaded; upstream BUGs or
 * spins there. VMX instructions set CF or ZF on failure (SDM "VMX Instruction
 * Reference", "Conventions").
 */
#ifndef OKVM_VMX_VMCS_H
#define OKVM_VMX_VMCS_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/asm.h>
#include <asm/vmx.h>

/* A VMCS region; only the first word is software's. */
struct vmcs {
	u32 revision;
	u32 abort;
	u8 data[];
};

/** vmcs_failed() - an access to @field failed: the VM whose vCPU is loaded here dies */
void vmcs_failed(unsigned long field, bool write);

/*
 * The same by vmcs_failed_thunk() in vmenter.S, which keeps all registers but the arguments': the
 * hundreds of accesses are no calls to the compiler, and what makes no others saves no registers.
 */
static __always_inline void vmcs_access_failed(unsigned long field, unsigned long write)
{
	asm volatile("call vmcs_failed_thunk"
		     : "+D" (field), "+S" (write), ASM_CALL_CONSTRAINT : : "cc", "memory");
}

#ifdef CONFIG_PROVE_LOCKING
/** vmcs_check_owner() - debug kernels: is the current VMCS that of the loaded vCPU? */
void vmcs_check_owner(void);
#else
static inline void vmcs_check_owner(void) { }
#endif

static __always_inline unsigned long vmcs_read(unsigned long field)
{
	unsigned long val;

	vmcs_check_owner();
	asm volatile goto("1: vmread %[field], %[val]\n\t"
			  "jna %l[failed]\n\t"
			  _ASM_EXTABLE(1b, %l[failed])
			  : [val] "=r" (val) : [field] "r" (field) : "cc" : failed);
	/* Older compilers place code between an asm goto and its outputs wrongly without it. */
	asm("");
	return val;
failed:
	vmcs_access_failed(field, false);
	return 0;
}

static __always_inline void vmcs_write(unsigned long field, unsigned long val)
{
	vmcs_check_owner();
	asm goto("1: vmwrite %[val], %[field]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [field] "r" (field), [val] "r" (val) : "cc", "memory" : failed);
	return;
failed:
	vmcs_access_failed(field, true);
}

static inline u32 vmcs_read32(unsigned long field)
{
	return (u32)vmcs_read(field);
}

/* Each of these returns false if the CPU refuses. */

static inline bool vmx_insn_vmclear(u64 pa)
{
	asm goto("1: vmclear %[pa]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool vmx_insn_vmptrld(u64 pa)
{
	asm goto("1: vmptrld %[pa]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool vmx_insn_vmxon(u64 pa)
{
	asm goto("1: vmxon %[pa]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool vmx_insn_vmxoff(void)
{
	asm goto("1: vmxoff\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool vmx_insn_invept(unsigned long type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} desc = { eptp, 0 };

	asm goto("1: invept %[desc], %[type]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [desc] "m" (desc), [type] "r" (type) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool vmx_insn_invvpid(unsigned long type, u16 vpid, unsigned long gva)
{
	struct {
		u64 vpid, gva;
	} desc = { vpid, gva };

	asm goto("1: invvpid %[desc], %[type]\n\t"
		 "jna %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [desc] "m" (desc), [type] "r" (type) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

#endif /* OKVM_VMX_VMCS_H */
