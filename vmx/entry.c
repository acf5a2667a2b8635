// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM entry on VMX: the functions that x86/stay.h calls to enter and leave the guest. They save and
 * restore host state, flush the L1 data cache, and execute VMLAUNCH or VMRESUME.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>

#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/host_apf.h"
#include "x86/stay.h"

/* ---- the host's segments and KERNEL_GS_BASE: switched once per vcpu_load ---- */

static void host_selectors_set(struct vmx_vmcs *vmcs, u16 fs, u16 gs, unsigned long fs_base)
{
	/* Host selectors must have TI = 0 and RPL = 0 (SDM "Checks on Host Segments"). */
	u16 host_fs = fs & 7 ? 0 : fs;
	u16 host_gs = gs & 7 ? 0 : gs;

	if (vmcs->host_fs_sel != host_fs) {
		vmcs_write(HOST_FS_SELECTOR, host_fs);
		vmcs->host_fs_sel = host_fs;
	}
	if (vmcs->host_gs_sel != host_gs) {
		vmcs_write(HOST_GS_SELECTOR, host_gs);
		vmcs->host_gs_sel = host_gs;
	}
	if (vmcs->host_fs_base != fs_base) {
		vmcs_write(HOST_FS_BASE, fs_base);
		vmcs->host_fs_base = fs_base;
	}
}

/* Called with IRQs off. */
static void host_state_save(struct okvm_hw_vcpu *hw)
{
	current_save_fsgs();
	hw->fs_sel = current->thread.fsindex;
	hw->gs_sel = current->thread.gsindex;
	hw->host_gs_user = current->thread.gsbase;
	savesegment(ds, hw->ds_sel);
	savesegment(es, hw->es_sel);
	host_selectors_set(&hw->vmcs, hw->fs_sel, hw->gs_sel, current->thread.fsbase);
	wrmsrl(MSR_KERNEL_GS_BASE, hw->kernel_gs_base);
	if (this_cpu_read(vmx_uret_owner) != hw || hw->uret_stale)
		vmx_uret_load(hw);
	hw->host_saved = true;
}

/*
 * Reload LDTR, which VM exits make unusable, if the process has an LDT. The LDT's descriptor is
 * still in the GDT.
 */
static void host_ldt_restore(void)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	u16 selector = GDT_ENTRY_LDT * 8;

	if (unlikely(current->mm && READ_ONCE(current->mm->context.ldt)))
		asm volatile("lldt %0" : : "m" (selector));
#endif
}

/* Restore the host's segments and FS and GS bases. The caller has disabled IRQs or preemption. */
static void host_state_restore(struct okvm_hw_vcpu *hw)
{
	if (!hw->host_saved)
		return;
	hw->host_saved = false;
	rdmsrl(MSR_KERNEL_GS_BASE, hw->kernel_gs_base);
	/* Restore LDTR before the segment registers, whose descriptors may be in the LDT. */
	host_ldt_restore();
	if (hw->gs_sel & 7)
		load_gs_index(hw->gs_sel);
	if (hw->fs_sel & 7) {
		loadsegment(fs, hw->fs_sel);
		wrmsrl(MSR_FS_BASE, hw->vmcs.host_fs_base);
	}
	/* VM exits set DS and ES to null selectors: restore the host's selectors. */
	if (unlikely(hw->ds_sel | hw->es_sel)) {
		loadsegment(ds, hw->ds_sel);
		loadsegment(es, hw->es_sel);
	}
	wrmsrl(MSR_KERNEL_GS_BASE, hw->host_gs_user);
	/*
	 * VM exits set TR's limit to 67h, and the limits of GDTR and IDTR to FFFFh. Restore GDTR.
	 * Mark TR's limit as invalid: the kernel restores it when a task needs it. IDTR's limit
	 * does no harm, because the IDT has an entry for every vector.
	 */
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
	vmx_uret_put();
}

static void write_host_cpu_state(int cpu)
{
	unsigned long val;

	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_current_gdt_ro());
	rdmsrl(MSR_GS_BASE, val);
	vmcs_write(HOST_GS_BASE, val);
	rdmsrl(MSR_IA32_SYSENTER_ESP, val);
	vmcs_write(HOST_IA32_SYSENTER_ESP, val);
}

void vmx_vcpu_load(struct okvm_vcpu *vcpu, int cpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (likely(hw->vmcs.cpu == cpu && this_cpu_read(vmx_current_vmcs) == &hw->vmcs))
		return;
	if (!vmx_vmcs_load(vcpu->vm, &hw->vmcs, cpu))
		return;
	write_host_cpu_state(cpu);
	/*
	 * Flush the TLB and load the user-return MSRs again: this CPU may have old translations and
	 * MSR values from an earlier run of this vCPU.
	 */
	hw->todo |= VMX_TODO_FLUSH_ALL;
	hw->uret_stale = true;
}

void vmx_vcpu_put(struct okvm_vcpu *vcpu)
{
	host_state_restore(to_hw(vcpu));
}

/* ---- flush of the L1 data cache: see Intel's "L1 Terminal Fault" guidance ---- */

#define L1D_ORDER	4
static void *l1d_pages;

/*
 * Displace all lines of the cache by reading 64 KiB. The first loop loads the translations into the
 * TLB, so that no page walk uses cache lines during the second loop. CPUID separates the loops.
 * LFENCE waits until the second loop's loads are complete.
 */
static void l1d_flush_software(void)
{
	unsigned int off;

	for (off = 0; off < PAGE_SIZE << L1D_ORDER; off += PAGE_SIZE)
		READ_ONCE(*(u8 *)(l1d_pages + off));
	(void)native_cpuid_eax(0);
	for (off = 0; off < PAGE_SIZE << L1D_ORDER; off += 64)
		READ_ONCE(*(u8 *)(l1d_pages + off));
	asm volatile("lfence" : : : "memory");
}

static void l1d_flush(void)
{
	if (static_cpu_has(X86_FEATURE_FLUSH_L1D))
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	else
		l1d_flush_software();
}

int vmx_l1d_init(void)
{
	struct page *page;
	unsigned int i;

	if (vmx_params.l1d_flush == VMX_L1D_NEVER || boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		return 0;
	page = alloc_pages(GFP_KERNEL, L1D_ORDER);
	if (!page)
		return -ENOMEM;
	l1d_pages = page_address(page);
	/* Make the pages differ, so that a hypervisor below this kernel does not merge them. */
	for (i = 0; i < 1u << L1D_ORDER; i++)
		memset(l1d_pages + i * PAGE_SIZE, i + 1, PAGE_SIZE);
	return 0;
}

void vmx_l1d_exit(void)
{
	free_pages((unsigned long)l1d_pages, L1D_ORDER);
	l1d_pages = NULL;
}

/* ---- state that host code may have changed while IRQs were on ---- */

static void refresh_host_cr(struct okvm_hw_vcpu *hw)
{
	/* Reading CR3 and CR4 is cheaper than computing their values as the kernel does. */
	unsigned long cr3 = __read_cr3();
	unsigned long cr4 = __read_cr4();

	if (unlikely(cr3 != hw->vmcs.host_cr3)) {
		vmcs_write(HOST_CR3, cr3);
		hw->vmcs.host_cr3 = cr3;
	}
	if (unlikely(cr4 != hw->vmcs.host_cr4)) {
		vmcs_write(HOST_CR4, cr4);
		hw->vmcs.host_cr4 = cr4;
		/*
		 * Write GUEST_CR4, because the guest runs with the host's CR4.MCE, which may have
		 * changed. First okvm_cr4() reads the bits that the guest owns from the VMCS.
		 */
		vmx_set_cr4(hw->vcpu, okvm_cr4(hw->vcpu));
	}
}

static void refresh_spec_ctrl(struct okvm_hw_vcpu *hw)
{
	unsigned long flags = hw->vmcs.frame.flags & BIT(VMX_FRAME_LAUNCHED_BIT);

	if (static_cpu_has(X86_FEATURE_MSR_SPEC_CTRL)) {
		hw->vmcs.frame.host_spec = this_cpu_read(x86_spec_ctrl_current);
		hw->vmcs.frame.guest_spec = hw->spec_ctrl;
		flags |= BIT(VMX_FRAME_SPEC_BIT);
		if (hw->spec_ctrl_direct)
			flags |= BIT(VMX_FRAME_SPEC_SAVE_BIT);
	}
	hw->vmcs.frame.flags = flags;
}

/* If KVM_SET_VCPU_EVENTS has removed the event that is in the VMCS, cancel the event there, too. */
static void withdraw_event(struct okvm_hw_vcpu *hw)
{
	const struct okvm_events *ev = &hw->vcpu->arch->ev;

	if (likely(!hw->vmcs.entry_info))
		return;
	if (ev->exc.injected || ev->irq.injected || ev->nmi_injected)
		return;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	hw->vmcs.entry_info = 0;
}

static bool vmx_event_waits(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcs.entry_info;
}

static __always_inline void vmx_host_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/*
	 * Some exits to userspace report the CPU of the last VM entry. Record this CPU now, because
	 * the thread may migrate before such an exit.
	 */
	hw->entry_cpu = hw->vmcs.cpu;
	withdraw_event(hw);
	/*
	 * If vectors have already been posted, notify this CPU. A sender that posts after this
	 * check sees that vcpu->mode is IN_GUEST, and sends the notification itself.
	 */
	if (hw->apicv && vmx_pi_pending(hw))
		vmx_post_self();
	if (!hw->host_saved)
		host_state_save(hw);
	else if (unlikely(hw->uret_stale))
		vmx_uret_load(hw);
	hw->uret_stale = false;
	refresh_host_cr(hw);
	refresh_spec_ctrl(hw);
	/* Save the host's DEBUGCTL, which VM exits clear. With IRQs off perf does not change it. */
	hw->host_debugctl = get_debugctlmsr();
}

/*
 * Stop PEBS before the first VM entry of a stay in the guest. First write all MSRs of the VM-exit
 * MSR-load list: the list's value of GLOBAL_CTRL stops the counters that use PEBS
 * (vmx_perf_hold()). Then switch PEBS off. In the other order, such a counter could overflow while
 * PEBS is off, and cause an NMI whose reason perf does not know.
 */
static void pebs_stop(const struct vmx_perf *p)
{
	unsigned int i;

	for (i = 0; i < p->nr_exit; i++)
		wrmsrl(p->exit[i].index, p->exit[i].value);
	wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
}

/*
 * Write the host's values of perf's MSRs, with PEBS_ENABLE before GLOBAL_CTRL. Ask perf for the
 * values again, because an NMI may have changed perf's events since pebs_stop().
 */
static void pebs_continue(void)
{
	struct perf_guest_switch_msr *msrs;
	int nr;

	msrs = perf_guest_get_msrs(&nr, NULL);
	while (msrs && nr--)
		wrmsrl(msrs[nr].msr, msrs[nr].host);
}

/*
 * Set the MSR-load lists to what perf wants now. IRQs stay off until perf_leave(), so meanwhile
 * only an NMI can change perf's events.
 */
static __always_inline void perf_enter(struct okvm_hw_vcpu *hw)
{
	struct vmx_perf *p = &hw->perf;
	struct perf_guest_switch_msr *msrs;
	int nr;

	/* Without a PMU, perf_guest_get_msrs() returns NULL and does not set nr. */
	msrs = perf_guest_get_msrs(&nr, NULL);
	vmx_perf_make(p, msrs, msrs ? nr : 0);
	if (unlikely(p->nr_entry != p->set_entry)) {
		vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, p->nr_entry);
		p->set_entry = p->nr_entry;
	}
	if (unlikely(p->nr_exit != p->set_exit)) {
		vmcs_write(VM_EXIT_MSR_LOAD_COUNT, p->nr_exit);
		p->set_exit = p->nr_exit;
	}
	if (unlikely(p->pebs))
		pebs_stop(p);
}

static __always_inline void perf_leave(struct okvm_hw_vcpu *hw)
{
	if (unlikely(hw->perf.pebs))
		pebs_continue();
}

static __always_inline void vmx_guest_enter(struct okvm_vcpu *vcpu)
{
	perf_enter(to_hw(vcpu));
	if (vmx_params.l1d_flush == VMX_L1D_COND)
		l1d_flush();
	if (okvm_clear_for_mmio() && READ_ONCE(vcpu->vm->host_mmio))
		to_hw(vcpu)->todo |= VMX_TODO_CLEAR_BUFFERS;
	cr2_enter(vcpu);
}

static __always_inline void vmx_guest_leave(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	cr2_leave(vcpu);
	perf_leave(hw);
	hw->spec_ctrl = hw->vmcs.frame.guest_spec;
}

static void vmx_debug_put(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	get_debugreg(vcpu->arch->dr6, 6);
	vcpu->arch->dr7 = vmcs_read(GUEST_DR7);
	vmcs_exec_set(&hw->vmcs, hw->vmcs.exec | CPU_BASED_MOV_DR_EXITING);
}

/* ---- one VM entry and exit ---- */

static void write_dirty_regs(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	u32 dirty = arch->dirty;

	if (dirty & BIT(OKVM_REG_RIP))
		vmcs_write(GUEST_RIP, arch->rip);
	if (likely(!(dirty & ~(0xffffu ^ BIT(OKVM_REG_RSP)) & ~BIT(OKVM_REG_RIP))))
		return;
	if (dirty & BIT(OKVM_REG_RSP))
		vmcs_write(GUEST_RSP, arch->gpr[OKVM_REG_RSP]);
	if (dirty & BIT(OKVM_REG_RFLAGS))
		vmcs_write(GUEST_RFLAGS, arch->rflags);
	if (vmx_is_shadow(vcpu) || to_hw(vcpu)->identity)
		return;
	if (dirty & BIT(OKVM_REG_CR3))
		vmcs_write(GUEST_CR3, arch->cr3);
	if (dirty & BIT(OKVM_REG_PDPTR)) {
		vmcs_write(GUEST_PDPTR0, arch->pdptrs[0]);
		vmcs_write(GUEST_PDPTR1, arch->pdptrs[1]);
		vmcs_write(GUEST_PDPTR2, arch->pdptrs[2]);
		vmcs_write(GUEST_PDPTR3, arch->pdptrs[3]);
	}
}

/* Write the preemption timer's start value, from which it counts down after each VM entry. */
static void write_preemption_timer(struct okvm_hw_vcpu *hw)
{
	u64 ticks = 0, now;

	if (likely(hw->timer_tsc == ~0ull))
		return;
	now = rdtsc();
	if (hw->timer_tsc > now)
		ticks = ((hw->timer_tsc - now) >> vmx_caps.timer_shift) + 1;
	if (vmx_params.time_bound)
		ticks = min_t(u64, ticks, vmx_params.time_bound >> vmx_caps.timer_shift);
	ticks = min_t(u64, ticks, U32_MAX);
	if (ticks != hw->vmcs.timer_value) {
		hw->vmcs.timer_value = ticks;
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, ticks);
	}
}

/*
 * After a VM exit, the copies of these registers are invalid: each is read from the VMCS when it is
 * first needed. vmx_enter() has stored the other general registers.
 */
#define LAZY_REGS	(BIT(OKVM_REG_RSP) | BIT(OKVM_REG_RIP) | BIT(OKVM_REG_RFLAGS) | \
			 BIT(OKVM_REG_CR0) | BIT(OKVM_REG_CR3) | BIT(OKVM_REG_CR4) | \
			 BIT(OKVM_REG_PDPTR))

static noinline void record_failed_entry(struct okvm_hw_vcpu *hw)
{
	hw->entry_failed = true;
	hw->instruction_error = vmcs_read32(VM_INSTRUCTION_ERROR);
	hw->exit_reason = ~0u;
}

static __always_inline void vmx_enter_once(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	int failed;

	write_dirty_regs(vcpu);
	write_preemption_timer(hw);
	if (unlikely(hw->todo))
		vmx_flush_pending(hw);
	if (unlikely(vmx_params.l1d_flush == VMX_L1D_ALWAYS))
		l1d_flush();
	context_tracking_guest_enter();
	failed = vmx_enter(arch->gpr, &hw->vmcs.frame);
	context_tracking_guest_exit();
	if (unlikely(hw->host_debugctl))
		update_debugctlmsr(hw->host_debugctl);

	arch->avail = ~(u32)LAZY_REGS;
	arch->dirty = 0;
	hw->exit_avail = 0;
	hw->seg_avail = 0;
	if (unlikely(failed)) {
		record_failed_entry(hw);
		return;
	}
	hw->exit_reason = vmcs_read32(VM_EXIT_REASON);
	/* A failed VM entry has neither launched the VMCS nor delivered the event. */
	if (unlikely(hw->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	hw->vmcs.frame.flags |= BIT(VMX_FRAME_LAUNCHED_BIT);
	/*
	 * If the exit is due to a #PF, take the flags that the host's own hypervisor sets for an
	 * async page fault. Do this before IRQs are on: if the flags are still set at the host's
	 * next #PF, the host mistakes it for an async one (x86/host_apf.h).
	 */
	if (host_apf_possible() && unlikely(hw->exit_reason == EXIT_REASON_EXCEPTION_NMI))
		vmx_take_host_apf(hw);
	if (unlikely(hw->vmcs.entry_info)) {
		hw->vmcs.entry_info = 0;
		vmx_events_clear_injected(vcpu);
	}
}

static u32 vmx_exit_reason(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->exit_reason;
}

static void vmx_exit_info(struct okvm_vcpu *vcpu, struct okvm_exit_info *info)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const u32 with_error = INTR_INFO_VALID_MASK | INTR_INFO_DELIVER_CODE_MASK;

	*info = (struct okvm_exit_info){ .reason = hw->exit_reason };
	/*
	 * If VMLAUNCH or VMRESUME failed, there was no VM exit. The other fields of the VMCS still
	 * describe an earlier exit: do not report them.
	 */
	if (hw->entry_failed)
		return;
	info->info1 = vmx_qual(hw);
	if (hw->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return;
	info->info2 = vmcs_read32(IDT_VECTORING_INFO_FIELD);
	info->intr_info = vmx_intr_info(hw);
	if ((info->intr_info & with_error) == with_error)
		info->error_code = vmcs_read32(VM_EXIT_INTR_ERROR_CODE);
}

static bool vmx_only_fast(const struct okvm_vcpu *vcpu)
{
	switch (to_hw(vcpu)->exit_reason) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
	case EXIT_REASON_PREEMPTION_TIMER:
		return true;
	default:
		return false;
	}
}

static bool vmx_host_interrupted(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->exit_reason == EXIT_REASON_EXTERNAL_INTERRUPT;
}

/*
 * An interrupt has caused the exit. The CPU has acknowledged the interrupt at the local APIC
 * ("acknowledge interrupt on exit"), but has not delivered it. Call the host's handler of the
 * interrupt through the IDT, unless fast_kick() has completed the interrupt.
 */
static void vmx_host_interrupt(struct okvm_vcpu *vcpu)
{
	u32 info = vmx_intr_info(to_hw(vcpu));

	if (info & INTR_INFO_VALID_MASK)
		((void (*)(void))(vmx_int_stubs + 16 * (info & INTR_INFO_VECTOR_MASK)))();
	local_irq_enable();
	/*
	 * STI takes effect at the end of the next instruction. If that were CLI, no interrupt would
	 * be delivered.
	 */
	cpu_relax();
	local_irq_disable();
}

/* Emulate one instruction, or the delivery of the event that was to be injected at VM entry. */
static int deliver_or_emulate(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	withdraw_event(hw);
	if (!hw->vmcs.entry_info)
		return okvm_emulate(vcpu, OKVM_EMUL_INVALID_STATE, 0);
	hw->vmcs.entry_info = 0;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	return okvm_emul_deliver(vcpu);
}

/* Return true if an interrupt has waited for a window, and can be delivered now. */
static bool window_opens(struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcs.exec & CPU_BASED_INTR_WINDOW_EXITING && okvm_irq_allowed(vcpu);
}

/*
 * Emulate instructions until hardware can run the guest's state, but at most 256. Stop earlier if
 * the vCPU may not run, or if a request to the vCPU, a signal or other work of the thread is
 * pending. Meanwhile neither the VMX-preemption timer nor a window exit ends the stay: the hrtimer
 * takes the timer's place, and window_opens() that of the exit.
 * Return: enum okvm_outcome
 */
static int emulate_until_valid(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int bound = 256;
	int outcome;

	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_place(vcpu, false);
	okvm_vcpu_srcu_lock(vcpu);
	do {
		outcome = deliver_or_emulate(vcpu);
		hw->emulate = !vmx_state_valid(vcpu);
		if (window_opens(vcpu))
			okvm_request(OKVM_REQ_EVENT, vcpu);
	} while (outcome == OKVM_RESUME && hw->emulate && --bound && !okvm_has_requests(vcpu) &&
		 okvm_arch_vcpu_can_enter(vcpu) &&
		 !(read_thread_flags() & STAY_THREAD_WORK));
	okvm_vcpu_srcu_unlock(vcpu);
	if (okvm_lapic_in_kernel(vcpu) && !hw->emulate)
		okvm_apic_timer_place(vcpu, true);
	hw->todo &= ~VMX_TODO_CHECK_STATE;
	return outcome;
}

static bool must_emulate(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (hw->todo & VMX_TODO_CHECK_STATE) {
		hw->todo &= ~VMX_TODO_CHECK_STATE;
		hw->emulate = !vmx_state_valid(vcpu);
	}
	return hw->emulate;
}

static __always_inline bool vmx_emulate_instead(struct okvm_vcpu *vcpu, int *outcome)
{
	if (likely(!must_emulate(vcpu)))
		return false;
	vcpu->arch->between_insns = false;
	*outcome = emulate_until_valid(vcpu);
	return true;
}

static const struct okvm_stay_ops vmx_stay_ops = {
	.instead = vmx_emulate_instead,
	.event_waits = vmx_event_waits,
	.host_enter = vmx_host_enter,
	.guest_enter = vmx_guest_enter,
	.guest_leave = vmx_guest_leave,
	.enter = vmx_enter_once,
	.exit_reason = vmx_exit_reason,
	.exit_info = vmx_exit_info,
	.only_fast = vmx_only_fast,
	.exit_fast = vmx_exit_fast,
	.exit_slow = vmx_exit_slow,
	.host_interrupted = vmx_host_interrupted,
	.host_interrupt = vmx_host_interrupt,
	.host_nmi_mce = vmx_host_nmi_mce,
	.debug_put = vmx_debug_put,
	.isa = TRACE_ISA_VMX,
};

int vmx_run(struct okvm_vcpu *vcpu)
{
	return stay_run(vcpu, &vmx_stay_ops);
}
