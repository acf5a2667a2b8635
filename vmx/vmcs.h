/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMCS accessors, the other VMX instructions, and struct vmx_vmcs.
 *
 * A VMCS access fails if there is no current VMCS, if the field does not exist, or if
 * vmx_emergency() has left VMX operation. Then okvm kills the VM whose vCPU is loaded. Upstream
 * calls BUG() or spins. A VMX instruction that fails sets CF or ZF (SDM "VMX Instruction
 * Reference", "Conventions").
 */
#ifndef OKVM_VMX_VMCS_H
#define OKVM_VMX_VMCS_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/asm.h>
#include <asm/vmx.h>

/* A VMCS region. Software writes only the revision identifier. */
struct vmcs {
	u32 revision;
	u32 abort;
	u8 data[];
};

/** vmcs_failed() - kill the VM whose vCPU is loaded, after a failed access to @field */
void vmcs_failed(unsigned long field, bool write);

/*
 * Call vmcs_failed() through vmcs_failed_thunk() in vmenter.S, which preserves all registers except
 * its arguments. So the compiler sees no call in a VMCS access, and functions that only access the
 * VMCS need not save registers.
 */
static __always_inline void vmcs_access_failed(unsigned long field, unsigned long write)
{
	asm volatile("call vmcs_failed_thunk"
		     : "+D" (field), "+S" (write), ASM_CALL_CONSTRAINT : : "cc", "memory");
}

#ifdef CONFIG_PROVE_LOCKING
/** vmcs_check_owner() - debug kernels: check that the current VMCS is the loaded vCPU's */
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
	/* This asm works around compilers that misplace code after an asm goto with outputs. */
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

/* Each of the following functions executes one VMX instruction; it returns false on failure. */

#define VMX_INSN_OF_REGION(insn)					\
static inline bool vmx_insn_##insn(u64 pa)				\
{									\
	asm goto("1: " #insn " %[pa]\n\t"				\
		 "jna %l[failed]\n\t"					\
		 _ASM_EXTABLE(1b, %l[failed])				\
		 : : [pa] "m" (pa) : "cc", "memory" : failed);		\
	return true;							\
failed:									\
	return false;							\
}

VMX_INSN_OF_REGION(vmclear)
VMX_INSN_OF_REGION(vmptrld)
VMX_INSN_OF_REGION(vmxon)

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

/* ---- a VMCS ---- */

/* Flags of struct vmx_frame, tested by vmenter.S. */
#define VMX_FRAME_LAUNCHED_BIT	0	/* VMCS is launched: enter with VMRESUME */
#define VMX_FRAME_SPEC_BIT	1	/* the CPU has SPEC_CTRL: switch it */
#define VMX_FRAME_SPEC_SAVE_BIT	2	/* the guest writes SPEC_CTRL without exits */

/**
 * struct vmx_frame - parameters of vmx_enter(); vmenter.S knows the layout
 * @host_rsp: value of the VMCS field HOST_RSP
 * @flags: VMX_FRAME_*_BIT
 * @guest_spec: the guest's SPEC_CTRL, before VM entry and after VM exit
 * @host_spec: the host's SPEC_CTRL, read with IRQs off before the first VM entry
 */
struct vmx_frame {
	unsigned long host_rsp;
	unsigned long flags;
	u64 guest_spec;
	u64 host_spec;
};

static_assert(offsetof(struct vmx_frame, host_rsp) == 0);
static_assert(offsetof(struct vmx_frame, flags) == 8);
static_assert(offsetof(struct vmx_frame, guest_spec) == 16);
static_assert(offsetof(struct vmx_frame, host_spec) == 24);

/**
 * struct vmx_vmcs - a VMCS: its memory, the CPU where it is loaded, and copies of its fields
 * @frame: HOST_RSP, launch state, and SPEC_CTRL for VM entry
 * @cpu: CPU on which the VMCS is loaded; -1: none. Only that CPU changes @cpu and @node, with
 *	IRQs off
 * @node: node in that CPU's list of loaded VMCSs
 * @pin, @exec, @exec2, @entry, @exit, @exceptions: copies of the control fields
 * @intr_status: copy of GUEST_INTR_STATUS (RVI and SVI)
 * @entry_info: VM_ENTRY_INTR_INFO_FIELD as written for the next VM entry; 0 after a VM exit
 * @host_fs_sel, @host_gs_sel, @host_cr3, @host_cr4, @host_fs_base: copies of host-state fields
 * @timer_value: copy of the preemption timer's start value
 * @tpr_threshold: copy of TPR_THRESHOLD
 * @eptp: copy of the EPT pointer
 * @soft_nmi_masked: NMIs are blocked; used without virtual NMIs
 * @soft_nmi_since: time of the last change of @soft_nmi_masked, in ns
 *
 * The copies avoid writes of unchanged values. What belongs to the vCPU rather than to a VMCS is in
 * struct okvm_hw_vcpu.
 */
struct vmx_vmcs {
	struct vmx_frame frame;
	u32 pin, exec, exec2, entry, exit;
	u32 exceptions;
	u32 tpr_threshold;
	u32 entry_info;
	u16 intr_status;
	u16 host_fs_sel, host_gs_sel;
	bool soft_nmi_masked;
	u64 soft_nmi_since;
	unsigned long host_cr3, host_cr4;
	unsigned long host_fs_base;
	u64 timer_value;
	u64 eptp;
	u64 shadow_root;	/* value of GUEST_CR3 under shadow paging */

	struct vmcs *region;
	u64 pa;			/* physical address of @region */
	void *msr_bitmap;
	int cpu;
	struct list_head node;
};

#define VMCS_CACHED(name, field)						\
static inline void vmcs_##name##_set(struct vmx_vmcs *vmcs, u32 val)		\
{										\
	if (vmcs->name == val)							\
		return;								\
	vmcs->name = val;							\
	vmcs_write(field, val);							\
}

VMCS_CACHED(pin, PIN_BASED_VM_EXEC_CONTROL)
VMCS_CACHED(exec, CPU_BASED_VM_EXEC_CONTROL)
VMCS_CACHED(exec2, SECONDARY_VM_EXEC_CONTROL)
VMCS_CACHED(entry, VM_ENTRY_CONTROLS)
VMCS_CACHED(exit, VM_EXIT_CONTROLS)
VMCS_CACHED(exceptions, EXCEPTION_BITMAP)
VMCS_CACHED(tpr_threshold, TPR_THRESHOLD)
VMCS_CACHED(intr_status, GUEST_INTR_STATUS)

#endif /* OKVM_VMX_VMCS_H */
