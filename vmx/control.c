// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM-execution controls: their initial values, and how each is derived from the vCPU's state. All
 * functions are idempotent. TLB flushes and the preemption timer are in this file, too.
 */
#include <linux/kvm.h>

#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include "vmx/vmx.h"

/*
 * Return the exceptions that cause VM exits (SDM "Exception Bitmap").
 * #UD: instructions that only the emulator can execute, such as the other vendor's hypercall.
 * #MC: the host handles it.
 * #DB, #AC: a guest can make the CPU deliver them in an endless loop, which no interrupt ends.
 * #BP: a debugger has set breakpoints in the guest's code.
 * #PF: with shadow paging, the shadow tables may lack an entry or a right.
 */
static u32 exceptions_wanted(const struct okvm_vcpu *vcpu)
{
	u32 bits = BIT(X86_TRAP_UD) | BIT(X86_TRAP_MC) | BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC);
	const struct okvm_arch_vcpu *arch = vcpu->arch;

	if (vmx_is_shadow(vcpu))
		bits |= BIT(X86_TRAP_PF);
	if ((arch->guest_debug & (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP)) ==
	    (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP))
		bits |= BIT(X86_TRAP_BP);
	return bits;
}

/*
 * Processor-based controls that every vCPU has (SDM "Processor-Based VM-Execution Controls").
 * UNCOND_IO_EXITING: okvm or userspace emulates every port.
 * USE_TSC_OFFSETTING: the guest's TSC is the host's plus TSC_OFFSET.
 * RDPMC_EXITING: guests have no performance counters.
 * USE_MSR_BITMAPS: the bitmap says which MSR accesses exit (msr.c); without it, all exit.
 * ACTIVATE_SECONDARY_CONTROLS: without it, the CPU treats the secondary controls as 0.
 */
#define EXEC_ALWAYS	(CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_TSC_OFFSETTING | \
			 CPU_BASED_RDPMC_EXITING | CPU_BASED_USE_MSR_BITMAPS | \
			 CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)

/*
 * Return the processor-based controls, including those that depend on the VM's or vCPU's state:
 * HLT_EXITING: the thread of a halted vCPU sleeps, so that other threads can use the CPU.
 * MWAIT_EXITING, MONITOR_EXITING: MWAIT would occupy the CPU; okvm handles both as NOP or #UD.
 * MOV_DR_EXITING: the first access makes okvm load the guest's debug registers (vmx_exit_dr()).
 * TPR_SHADOW: CR8 is the TPR in the virtual-APIC page.
 * CR8_LOAD_EXITING, CR8_STORE_EXITING: without a TPR shadow, okvm emulates accesses to CR8.
 * CR3_LOAD_EXITING, CR3_STORE_EXITING, INVLPG_EXITING: with shadow paging, CR3 is the shadow root,
 *	and the guest's flushes make okvm synchronize the shadow tables. INVLPG_EXITING makes
 *	INVPCID exit, too. The identity map needs the first two, because CR3 is the map's address.
 * INTR_WINDOW_EXITING, NMI_WINDOW_EXITING: exit when a pending event can be injected.
 */
static u32 exec_wanted(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 disabled = vcpu->vm->arch->disabled_exits;
	u32 exec = EXEC_ALWAYS;

	if (!(disabled & KVM_X86_DISABLE_EXITS_HLT))
		exec |= CPU_BASED_HLT_EXITING;
	if (!(disabled & KVM_X86_DISABLE_EXITS_MWAIT))
		exec |= CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING;
	if (!vcpu->arch->debug_regs_live)
		exec |= CPU_BASED_MOV_DR_EXITING;
	if (vcpu->apic && vmx_has(&vmx_caps, VMX_OPT_TPR_SHADOW))
		exec |= CPU_BASED_TPR_SHADOW;
	else
		exec |= CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	if (vmx_is_shadow(vcpu))
		exec |= VMX_CR3_EXITING | CPU_BASED_INVLPG_EXITING;
	if (hw->identity)
		exec |= VMX_CR3_EXITING;
	/* Keep the two window controls as vmx_want_window() has set them. */
	exec |= hw->vmcs.exec & (CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING);
	return (exec & vmx_caps.exec) | vmx_caps.exec_fixed;
}

/*
 * Return the secondary controls (SDM "Secondary Processor-Based VM-Execution Controls").
 * ENABLE_EPT: the tables of mmu/tdp.c translate guest-physical addresses.
 * UNRESTRICTED_GUEST: the CPU runs real mode and unpaged protected mode itself.
 * WBINVD_EXITING: a guest must not flush the host's caches.
 * TSC_SCALING: the guest's TSC may have another rate than the host's.
 * ENCLS_EXITING, ENCLV_EXITING: guests have no SGX: its instructions exit and get #UD.
 * ENABLE_VPID: TLB entries are tagged, so that VM entries and exits need not flush them.
 * PAUSE_LOOP_EXITING: a vCPU that spins on a lock yields to the vCPU that may hold the lock.
 * ENABLE_RDTSCP, ENABLE_INVPCID, XSAVES: while its control is 0, the instruction causes #UD.
 */
static u32 exec2_wanted(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct okvm_guest_feat *feat = &vcpu->arch->feat;
	u32 exec2 = SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_TSC_SCALING |
		    SECONDARY_EXEC_ENCLS_EXITING | VMX_EXEC2_ENCLV_EXITING;

	if (!vmx_is_shadow(vcpu))
		exec2 |= SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST;
	if (hw->vpid)
		exec2 |= SECONDARY_EXEC_ENABLE_VPID;
	if (!(vcpu->vm->arch->disabled_exits & KVM_X86_DISABLE_EXITS_PAUSE))
		exec2 |= SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (feat->rdtscp || feat->rdpid)
		exec2 |= SECONDARY_EXEC_ENABLE_RDTSCP;
	if (feat->invpcid)
		exec2 |= SECONDARY_EXEC_ENABLE_INVPCID;
	if (feat->xsaves)
		exec2 |= VMX_EXEC2_XSAVES;
	/* Keep these controls as vmx_apic_update() and vmx_set_cr4() have set them. */
	exec2 |= hw->vmcs.exec2 & (SECONDARY_EXEC_DESC | SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
			      SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
			      SECONDARY_EXEC_APIC_REGISTER_VIRT |
			      SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	return (exec2 & vmx_caps.exec2) | vmx_caps.exec2_fixed;
}

static void update_controls(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vmcs_exec_set(&hw->vmcs, exec_wanted(vcpu));
	vmcs_exec2_set(&hw->vmcs, exec2_wanted(vcpu));
}

static void update_guest_dr7(struct okvm_vcpu *vcpu)
{
	const struct okvm_arch_vcpu *arch = vcpu->arch;
	bool host = arch->guest_debug & KVM_GUESTDBG_USE_HW_BP;
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/* If the guest's debug registers are not loaded, MOV DR has to exit. */
	if (!arch->debug_regs_live)
		vmcs_exec_set(&hw->vmcs, hw->vmcs.exec | CPU_BASED_MOV_DR_EXITING);
	vmcs_write(GUEST_DR7, host ? arch->guest_debug_dr7 : arch->dr7);
	/* The debugger may have changed KVM_GUESTDBG_BLOCKIRQ: update RVI. */
	if (vcpu->apic)
		vmx_apic_sync(vcpu, OKVM_APIC_IRR, okvm_apic_highest_irr(vcpu));
}

/*
 * Set which bits of CR0 and CR4 the guest owns, that is, can change without an exit. The guest owns
 * CR0.TS, CR0.WP, and the bits of CR4 that do not matter to okvm. It does not own a bit of CR4 that
 * its CPUID makes reserved, because setting this bit must cause #GP. With shadow paging, it owns
 * neither CR0.WP nor CR4.PGE. (A change of PGE flushes the TLB, and at a TLB flush okvm has to
 * synchronize its tables.)
 */
static void update_cr_masks(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	/* Before the masks change, read the bits that the guest has changed under the old masks. */
	okvm_cr0(vcpu);
	okvm_cr4(vcpu);
	arch->cr0_guest_owned = X86_CR0_TS | X86_CR0_WP;
	arch->cr4_guest_owned = (X86_CR4_PVI | X86_CR4_DE | X86_CR4_PCE | X86_CR4_OSFXSR |
				 X86_CR4_OSXMMEXCPT | X86_CR4_TSD | X86_CR4_PGE |
				 X86_CR4_FSGSBASE) & ~arch->feat.cr4_reserved;
	if (vmx_is_shadow(vcpu)) {
		arch->cr0_guest_owned = X86_CR0_TS;
		arch->cr4_guest_owned &= ~X86_CR4_PGE;
	}
	vmcs_write(CR0_GUEST_HOST_MASK, ~arch->cr0_guest_owned);
	vmcs_write(CR4_GUEST_HOST_MASK, ~arch->cr4_guest_owned);
}

static void update_tsc(const struct okvm_arch_vcpu *arch)
{
	vmcs_write(TSC_OFFSET, arch->tsc_offset);
	if (vmx_caps.exec2 & SECONDARY_EXEC_TSC_SCALING)
		vmcs_write(TSC_MULTIPLIER, arch->tsc_ratio);
}

void vmx_update_intercepts(struct okvm_vcpu *vcpu, u32 what)
{
	if (what & OKVM_ICPT_EXCEPTIONS)
		vmcs_exceptions_set(&to_hw(vcpu)->vmcs, exceptions_wanted(vcpu));
	if (what & OKVM_ICPT_APIC)
		vmx_apic_update(vcpu);
	if (what & OKVM_ICPT_CONTROLS) {
		update_controls(vcpu);
		/* A new CPUID may change which user-return MSRs the guest sees. */
		to_hw(vcpu)->uret_stale = true;
	}
	if (what & (OKVM_ICPT_MSRS | OKVM_ICPT_APIC)) {
		vmx_msr_bitmap_update(vcpu);
		vmx_apic_bitmap(vcpu);
	}
	if (what & OKVM_ICPT_DEBUG)
		update_guest_dr7(vcpu);
	if (what & OKVM_ICPT_CR)
		update_cr_masks(vcpu);
	if (what & OKVM_ICPT_TSC)
		update_tsc(vcpu->arch);
}

/* ---- EPT and TLB ---- */

/* Write the shadow root to GUEST_CR3, and request a flush of the old root's translations. */
static void set_shadow_root(struct okvm_hw_vcpu *hw, u64 pa)
{
	if (pa == hw->vmcs.shadow_root)
		return;
	hw->vmcs.shadow_root = pa;
	vmcs_write(GUEST_CR3, pa);
	hw->todo |= VMX_TODO_FLUSH_GUEST;
}

static void vmx_set_root(struct okvm_vcpu *vcpu, const struct okvm_root *root)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	bool ia32e = root->level >= 4;
	u64 eptp = root->pa | VMX_MEMTYPE_WB | (u64)(root->level - 1) << 3;

	if (vmx_is_shadow(vcpu)) {
		/*
		 * The root must have as many levels as hardware walks: four or more in long mode,
		 * fewer outside of it. If hardware walked more levels, it would go on from a leaf
		 * entry into a page of the guest, and use that page as a table.
		 */
		if (!OKVM_BUG_ON(vcpu->vm, ia32e != !!(hw->vmcs.entry & VM_ENTRY_IA32E_MODE)))
			set_shadow_root(hw, root->pa);
		return;
	}
	/* A memory slot may have taken the place of the identity map (okvm_mmu_set_hole()). */
	if (hw->identity)
		hw->todo |= VMX_TODO_CHECK_STATE;
	if (vmx_has(&vmx_caps, VMX_OPT_EPT_AD))
		eptp |= VMX_EPTP_AD_ENABLE_BIT;
	if (eptp == hw->vmcs.eptp)
		return;
	hw->vmcs.eptp = eptp;
	vmcs_write(EPT_POINTER, eptp);
	hw->todo |= VMX_TODO_FLUSH_ALL;
}

/*
 * Flush the translations of one linear address on this CPU. If the vCPU moves to another CPU,
 * vmx_vcpu_load() requests a full flush there.
 * Return: false if the caller has to flush all addresses instead. INVVPID also fails for a
 * non-canonical address. The caller's full flush is then unnecessary, but harmless
 */
static bool invalidate_address(struct okvm_hw_vcpu *hw, gva_t gva)
{
	bool done;

	if (!hw->vpid || !(vmx_caps.vpid_cap & VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT))
		return false;
	preempt_disable();
	done = vmx_insn_invvpid(VMX_VPID_EXTENT_INDIVIDUAL_ADDR, hw->vpid, gva);
	preempt_enable();
	return done;
}

static void vmx_flush_tlb(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
	if (scope == OKVM_TLB_GVA && invalidate_address(hw, gva))
		return;
	hw->todo |= scope == OKVM_TLB_ALL ? VMX_TODO_FLUSH_ALL : VMX_TODO_FLUSH_GUEST;
}

const struct okvm_mmu_ops vmx_mmu_ops = {
	.set_root = vmx_set_root,
	.flush_tlb = vmx_flush_tlb,
};

static void invalidate_ept(u64 eptp)
{
	if (vmx_caps.ept_cap & VMX_EPT_EXTENT_CONTEXT_BIT && eptp)
		vmx_insn_invept(VMX_EPT_EXTENT_CONTEXT, eptp);
	else
		vmx_insn_invept(VMX_EPT_EXTENT_GLOBAL, 0);
}

static void invalidate_vpid(u16 vpid)
{
	/*
	 * Without a VPID there is nothing to do: VM entries and exits flush all linear
	 * translations.
	 */
	if (!vpid)
		return;
	if (vmx_caps.vpid_cap & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT)
		vmx_insn_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vpid, 0);
	else
		vmx_insn_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0, 0);
}

void vmx_flush_pending(struct okvm_hw_vcpu *hw)
{
	/*
	 * Another vCPU may have used the VPID before. Therefore FLUSH_ALL flushes not only EPT
	 * translations, but also the linear translations of the VPID.
	 */
	if (hw->todo & VMX_TODO_FLUSH_ALL && hw->vmcs.eptp)
		invalidate_ept(hw->vmcs.eptp);
	if (hw->todo & (VMX_TODO_FLUSH_ALL | VMX_TODO_FLUSH_GUEST))
		invalidate_vpid(hw->vpid);
	hw->todo &= ~(VMX_TODO_FLUSH_ALL | VMX_TODO_FLUSH_GUEST);
	/*
	 * If IA32_FLUSH_CMD flushes the L1D before each VM entry, do not clear the CPU buffers
	 * here, because this command clears them, too.
	 */
	if (vmx_params.l1d_flush == VMX_L1D_ALWAYS && static_cpu_has(X86_FEATURE_FLUSH_L1D))
		return;
	if (hw->todo & VMX_TODO_CLEAR_BUFFERS)
		x86_clear_cpu_buffers();
}

/* ---- preemption timer ---- */

static void preemption_timer_switch(struct okvm_hw_vcpu *hw, bool on)
{
	if (on || vmx_params.time_bound)
		vmcs_pin_set(&hw->vmcs, hw->vmcs.pin | PIN_BASED_VMX_PREEMPTION_TIMER);
	else
		vmcs_pin_set(&hw->vmcs, hw->vmcs.pin & ~PIN_BASED_VMX_PREEMPTION_TIMER);
}

/*
 * Set the deadline of the preemption timer. If there is no deadline, but the parameter
 * guest_time_bound is set, the timer counts down from guest_time_bound.
 * Return: false if the CPU has no usable timer
 */
bool vmx_set_timer(struct okvm_vcpu *vcpu, u64 host_tsc)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	hw->timer_tsc = host_tsc;
	if (!vmx_has(&vmx_caps, VMX_OPT_TIMER))
		return false;
	preemption_timer_switch(hw, host_tsc != OKVM_NO_DEADLINE);
	if (host_tsc == OKVM_NO_DEADLINE && vmx_params.time_bound) {
		hw->vmcs.timer_value = vmx_params.time_bound >> vmx_caps.timer_shift;
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, hw->vmcs.timer_value);
	}
	return true;
}

/* ---- initialization of a VMCS ---- */

static void init_host_state(struct okvm_hw_vcpu *hw)
{
	struct desc_ptr idt;
	unsigned long val;

	store_idt(&idt);
	hw->vmcs.host_cr3 = __get_current_cr3_fast();
	hw->vmcs.host_cr4 = cr4_read_shadow();
	vmcs_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write(HOST_CR3, hw->vmcs.host_cr3);
	vmcs_write(HOST_CR4, hw->vmcs.host_cr4);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_FS_BASE, 0);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmcs_write(HOST_IDTR_BASE, idt.address);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exited);
	rdmsrl(MSR_IA32_SYSENTER_CS, val);
	vmcs_write(HOST_IA32_SYSENTER_CS, val);
	rdmsrl(MSR_IA32_SYSENTER_EIP, val);
	vmcs_write(HOST_IA32_SYSENTER_EIP, val);
	if (vmx_caps.exit & VM_EXIT_LOAD_IA32_PAT) {
		rdmsrl(MSR_IA32_CR_PAT, val);
		vmcs_write(HOST_IA32_PAT, val);
	}
	if (vmx_caps.exit & VM_EXIT_LOAD_IA32_EFER) {
		rdmsrl(MSR_EFER, val);
		vmcs_write(HOST_IA32_EFER, val);
	}
}

static u32 pin_wanted(void)
{
	u32 pin = vmx_caps.pin & ~(PIN_BASED_POSTED_INTR | PIN_BASED_VMX_PREEMPTION_TIMER);

	return pin | vmx_caps.pin_fixed;
}

/*
 * Write the fields that never change, and the first values of the controls. vCPU reset and the
 * update functions write the other fields.
 */
void vmx_vmcs_init(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vmcs_pin_set(&hw->vmcs, pin_wanted());
	vmcs_exit_set(&hw->vmcs, vmx_caps.exit | vmx_caps.exit_fixed);
	vmcs_entry_set(&hw->vmcs, (vmx_caps.entry & ~VM_ENTRY_IA32E_MODE) | vmx_caps.entry_fixed);
	update_controls(vcpu);
	init_host_state(hw);
	vmcs_write(MSR_BITMAP, __pa(hw->vmcs.msr_bitmap));
	vmcs_write(VMCS_LINK_POINTER, ~0ul);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_ADDR, __pa(hw->perf.exit));
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, hw->perf.set_exit);
	vmcs_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(hw->perf.entry));
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, hw->perf.set_entry);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	if (hw->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, hw->vpid);
	if (vmx_caps.exec2 & VMX_EXEC2_XSAVES)
		vmcs_write(XSS_EXIT_BITMAP, 0);
	/* No guest has SGX: every leaf function of ENCLS and ENCLV exits. */
	if (vmx_caps.exec2 & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ul);
	if (vmx_caps.exec2 & VMX_EXEC2_ENCLV_EXITING)
		vmcs_write(VMX_ENCLV_EXITING_BITMAP, ~0ul);
	if (vmx_has(&vmx_caps, VMX_OPT_PLE)) {
		vmcs_write(PLE_GAP, vmx_params.ple_gap);
		vmcs_write(PLE_WINDOW, vmx_params.ple_window);
	}
	if (vcpu->apic && vmx_has(&vmx_caps, VMX_OPT_TPR_SHADOW)) {
		vmcs_write(VIRTUAL_APIC_PAGE_ADDR, __pa(okvm_apic_page(vcpu)));
		vmcs_write(TPR_THRESHOLD, 0);
	}
	if (vmx_has(&vmx_caps, VMX_OPT_FLEXPRIORITY))
		vmcs_write(APIC_ACCESS_ADDR, vmx_apic_page_pa(vcpu->vm));
	if (vmx_has(&vmx_caps, VMX_OPT_POSTED)) {
		vmcs_write(POSTED_INTR_NV, POSTED_INTR_VECTOR);
		vmcs_write(POSTED_INTR_DESC_ADDR, __pa(hw->pi));
	}
	vmx_set_timer(vcpu, OKVM_NO_DEADLINE);
}
