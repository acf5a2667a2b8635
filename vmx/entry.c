// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the guest, round the fast exits, and out again.
 *
 * Upstream prepares everything for each entry. Here an entry has two parts:
 * what host code that runs with IRQs on could have changed is checked once
 * (enter_guest()), what a fast exit can change is checked each time
 * (enter_once()). Thread flags are among the latter: others who set one for a
 * CPU in guest mode send an IPI, but a fast exit that wakes a task may set one
 * for its own CPU.
 */
#include <linux/context_tracking.h>
#include <linux/gfp.h>
#include <linux/hw_breakpoint.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/thread_info.h>
#include <linux/vtime.h>

#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>

#include "core/arch.h"
#include "core/trace.h"
#include "vmx/vmx.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/regs.h"
#include "x86/run.h"

#define THREAD_WORK	(OKVM_TIF_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | \
			 _TIF_NOTIFY_RESUME)

/* ---- the host's segments and KERNEL_GS_BASE: once per vcpu_load ---- */

static void host_selectors_set(struct vmx_vmcs *vmcs, u16 fs, u16 gs, unsigned long fs_base)
{
	/* VM exits load only selectors of the GDT with RPL 0 (SDM "Checks on Host Segments"). */
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

/* IRQs off. */
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

/* Exits leave LDTR unusable; its descriptor is in the GDT for as long as the process has one. */
static void host_ldt_restore(void)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	u16 selector = GDT_ENTRY_LDT * 8;

	if (unlikely(current->mm && READ_ONCE(current->mm->context.ldt)))
		asm volatile("lldt %0" : : "m" (selector));
#endif
}

/* IRQs off or preemption off. */
static void host_state_restore(struct okvm_hw_vcpu *hw)
{
	if (!hw->host_saved)
		return;
	hw->host_saved = false;
	rdmsrl(MSR_KERNEL_GS_BASE, hw->kernel_gs_base);
	/* Before the segments, whose descriptors may be in the LDT. */
	host_ldt_restore();
	if (hw->gs_sel & 7)
		load_gs_index(hw->gs_sel);
	if (hw->fs_sel & 7) {
		loadsegment(fs, hw->fs_sel);
		wrmsrl(MSR_FS_BASE, hw->vmcs.host_fs_base);
	}
	/* The exit loaded null selectors where userspace may have had others. */
	if (unlikely(hw->ds_sel | hw->es_sel)) {
		loadsegment(ds, hw->ds_sel);
		loadsegment(es, hw->es_sel);
	}
	wrmsrl(MSR_KERNEL_GS_BASE, hw->host_gs_user);
	/* Exits leave limits of 67h and FFFFh behind. */
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
	/* This CPU may hold translations, and values of MSRs, from when the vCPU was here last. */
	hw->todo |= VMX_TODO_FLUSH_ALL;
	hw->uret_stale = true;
}

void vmx_vcpu_put(struct okvm_vcpu *vcpu)
{
	host_state_restore(to_hw(vcpu));
}

/* ---- L1 data cache: SDM-external, Intel's "L1 Terminal Fault" guidance ---- */

#define L1D_ORDER	4
static void *l1d_pages;

/*
 * The first loop fetches the translations, so that no page walk takes lines while the second fills
 * the cache. CPUID lets no load of the second loop begin before the translations are there, and
 * LFENCE lets nothing after that loop begin before the cache is full.
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
	/* A hypervisor below this kernel must not merge them: they would be one page's lines. */
	for (i = 0; i < 1u << L1D_ORDER; i++)
		memset(l1d_pages + i * PAGE_SIZE, i + 1, PAGE_SIZE);
	return 0;
}

void vmx_l1d_exit(void)
{
	free_pages((unsigned long)l1d_pages, L1D_ORDER);
	l1d_pages = NULL;
}

/* ---- extended state: only while the guest's differs ---- */

static u64 host_xcr0, host_xss;

void vmx_xstate_init(void)
{
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, host_xss);
}

static noinline void xcr_switch(const struct okvm_arch_vcpu *arch, bool guest)
{
	if (!static_cpu_has(X86_FEATURE_XSAVE))
		return;
	if (unlikely(arch->xcr0 != host_xcr0))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, guest ? arch->xcr0 : host_xcr0);
	if (unlikely(arch->ia32_xss != host_xss) && static_cpu_has(X86_FEATURE_XSAVES))
		wrmsrl(MSR_IA32_XSS, guest ? arch->ia32_xss : host_xss);
}

static __always_inline void xcr_load(const struct okvm_arch_vcpu *arch, bool guest)
{
	if (arch->cr4 & X86_CR4_OSXSAVE &&
	    unlikely(arch->xcr0 != host_xcr0 || arch->ia32_xss != host_xss))
		xcr_switch(arch, guest);
}

/*
 * RDPKRU and WRPKRU need CR4.PKE; XSAVE and XRSTOR, with their kin, reach PKRU without it, by
 * XCR0 alone. Neither bit of CR4 is the guest's own, so that the copy is current.
 */
static __always_inline bool guest_reaches_pkru(const struct okvm_arch_vcpu *arch)
{
	if (!static_cpu_has(X86_FEATURE_OSPKE))
		return false;
	return arch->cr4 & X86_CR4_PKE ||
	       (arch->cr4 & X86_CR4_OSXSAVE && arch->xcr0 & XFEATURE_MASK_PKRU);
}

static void xstate_load_guest(struct okvm_hw_vcpu *hw)
{
	struct okvm_arch_vcpu *arch = hw->vcpu->arch;

	xcr_load(arch, true);
	if (!guest_reaches_pkru(arch))
		return;
	hw->host_pkru = rdpkru();
	if (arch->pkru != hw->host_pkru)
		wrpkru(arch->pkru);
}

static void xstate_load_host(struct okvm_hw_vcpu *hw)
{
	struct okvm_arch_vcpu *arch = hw->vcpu->arch;

	if (guest_reaches_pkru(arch)) {
		arch->pkru = rdpkru();
		if (arch->pkru != hw->host_pkru)
			wrpkru(hw->host_pkru);
	}
	xcr_load(arch, false);
}

/* ---- debug registers ---- */

static bool debug_regs_wanted(const struct okvm_arch_vcpu *arch)
{
	unsigned long dr7 = arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ? arch->guest_debug_dr7 :
									 arch->dr7;

	return arch->debug_regs_live || dr7 & DR_GLOBAL_ENABLE_MASK ||
	       dr7 & DR_LOCAL_ENABLE_MASK;
}

static void debug_regs_load(struct okvm_hw_vcpu *hw)
{
	struct okvm_arch_vcpu *arch = hw->vcpu->arch;

	if (likely(!debug_regs_wanted(arch)))
		return;
	set_debugreg(0, 7);
	set_debugreg(arch->eff_db[0], 0);
	set_debugreg(arch->eff_db[1], 1);
	set_debugreg(arch->eff_db[2], 2);
	set_debugreg(arch->eff_db[3], 3);
	if (arch->debug_regs_live)
		set_debugreg(arch->dr6, 6);
	hw->dr_loaded = true;
}

/* The guest moved to and from its registers without exits: take them over and intercept again. */
static void debug_regs_take_over(struct okvm_hw_vcpu *hw)
{
	struct okvm_arch_vcpu *arch = hw->vcpu->arch;

	get_debugreg(arch->db[0], 0);
	get_debugreg(arch->db[1], 1);
	get_debugreg(arch->db[2], 2);
	get_debugreg(arch->db[3], 3);
	get_debugreg(arch->dr6, 6);
	arch->dr7 = vmcs_read(GUEST_DR7);
	arch->debug_regs_live = false;
	vmcs_exec_set(&hw->vmcs, hw->vmcs.exec | CPU_BASED_MOV_DR_EXITING);
	okvm_update_dr7(hw->vcpu);
}

/*
 * The CPU adds to DR6 and never clears it: what the guest left there would be taken for the reason
 * of the host's next #DB. Addresses in DR0-DR3 are compared with the host's accesses even if DR7
 * enables none of them.
 */
static void debug_regs_neutral(void)
{
	set_debugreg(0, 0);
	set_debugreg(0, 1);
	set_debugreg(0, 2);
	set_debugreg(0, 3);
	set_debugreg(DR6_RESERVED, 6);
}

static void debug_regs_unload(struct okvm_hw_vcpu *hw)
{
	if (unlikely(hw->dr_loaded)) {
		hw->dr_loaded = false;
		if (hw->vcpu->arch->debug_regs_live)
			debug_regs_take_over(hw);
		debug_regs_neutral();
	}
	/* Exits leave 400h in DR7 (SDM "Loading Host Control Registers, Debug Registers, MSRs"). */
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
}

/* ---- what host code with IRQs on may have changed ---- */

static void refresh_host_cr(struct okvm_hw_vcpu *hw)
{
	/* Reading the registers is cheaper than asking the kernel what they should hold. */
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
		 * The guest runs with the host's CR4.MCE. okvm_cr4(), since the bits that the
		 * guest owns are current in the VMCS only.
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

/*
 * An exception waits behind an event that the next entry delivers: enter, so that the event is
 * delivered, and exit at once.
 */
static bool event_behind_event(const struct okvm_hw_vcpu *hw)
{
	return hw->vmcs.entry_info && hw->vcpu->arch->ev.exc.pending;
}

static bool must_not_enter(struct okvm_hw_vcpu *hw)
{
	unsigned long requests = READ_ONCE(hw->vcpu->requests);

	if (unlikely(requests)) {
		if (requests != BIT(OKVM_REQ_EVENT) || !event_behind_event(hw))
			return true;
		smp_send_reschedule(raw_smp_processor_id());
	}
	return read_thread_flags() & THREAD_WORK;
}

/* KVM_SET_VCPU_EVENTS may have withdrawn an event that was written for the next entry. */
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

/* Running a guest is a quiescent state of RCU. One report per tick is enough. */
static void report_quiescent_state(struct okvm_hw_vcpu *hw)
{
	unsigned long now = READ_ONCE(jiffies);

	if (likely(hw->rcu_reported == now) || context_tracking_enabled_this_cpu())
		return;
	hw->rcu_reported = now;
	okvm_rcu_note_guest();
}

/* IRQs off, mode is IN_GUEST. */
static void enter_guest(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;

	withdraw_event(hw);
	/* Looked at after mode became IN_GUEST: whoever posts later notifies. */
	if (hw->apicv && vmx_pi_pending(hw))
		vmx_post_self();
	if (!hw->host_saved)
		host_state_save(hw);
	else if (unlikely(hw->uret_stale))
		vmx_uret_load(hw);
	hw->uret_stale = false;
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
	refresh_host_cr(hw);
	refresh_spec_ctrl(hw);
	/* Exits clear it, and perf changes it from interrupts. */
	hw->host_debugctl = get_debugctlmsr();
	xstate_load_guest(hw);
	debug_regs_load(hw);
	if (unlikely(arch->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		vmx_set_irq_shadow(vcpu, 0);
	if (vmx_params.l1d_flush == VMX_L1D_COND)
		l1d_flush();
	if (okvm_clear_for_mmio() && READ_ONCE(vcpu->vm->host_mmio))
		hw->todo |= VMX_TODO_CLEAR_BUFFERS;
	vtime_account_guest_enter();
	report_quiescent_state(hw);
	if (arch->cr2 != native_read_cr2())
		native_write_cr2(arch->cr2);
}

/* IRQs off. */
static void leave_guest(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->arch->cr2 = native_read_cr2();
	hw->spec_ctrl = hw->vmcs.frame.guest_spec;
	debug_regs_unload(hw);
	xstate_load_host(hw);
	okvm_note_guest_ran();
	/* Pairs with the barriers of request.c: from here on requesters need not send an IPI. */
	smp_store_release(&vcpu->mode, OKVM_OUTSIDE_GUEST);
}

/* ---- each entry ---- */

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
	if (vmx_is_shadow(vcpu))
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

/* The preemption timer counts from what the VMCS holds at each entry. */
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

/* Registers that every exit makes stale; the general ones are always current. */
#define LAZY_REGS	(BIT(OKVM_REG_RSP) | BIT(OKVM_REG_RIP) | BIT(OKVM_REG_RFLAGS) | \
			 BIT(OKVM_REG_CR0) | BIT(OKVM_REG_CR3) | BIT(OKVM_REG_CR4) | \
			 BIT(OKVM_REG_PDPTR))

static noinline void record_failed_entry(struct okvm_hw_vcpu *hw)
{
	hw->entry_failed = true;
	hw->instruction_error = vmcs_read32(VM_INSTRUCTION_ERROR);
	hw->exit_reason = ~0u;
}

static __always_inline void enter_once(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	int failed;

	if (trace_okvm_entry_enabled())
		trace_okvm_entry(vcpu->id, okvm_rip(vcpu));
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
	/* A failed entry has not launched the VMCS and has not delivered its event. */
	if (unlikely(hw->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	hw->vmcs.frame.flags |= BIT(VMX_FRAME_LAUNCHED_BIT);
	if (unlikely(hw->vmcs.entry_info)) {
		hw->vmcs.entry_info = 0;
		vmx_events_given(vcpu);
	}
}

static void count_exit(struct okvm_vcpu *vcpu, u32 reason)
{
	if (unlikely(reason >= OKVM_NR_EXIT_REASONS))
		reason = OKVM_NR_EXIT_REASONS - 1;
	vcpu->exit_count[reason]++;
}

/*
 * A fast handler that kicks this very vCPU leaves the mode at EXITING although no interrupt is on
 * its way; later requesters would believe that one is, and not kick. So the mode is set again after
 * the requests have been served (serving may kick too), and then requests are looked for once more:
 * either this look finds a later request, or the requester finds the new mode
 * (request_leave_guest()).
 */
static noinline bool serve_requests_fast(struct okvm_vcpu *vcpu)
{
	do {
		if (!okvm_serve_fast(vcpu))
			return false;
		if (READ_ONCE(vcpu->mode) == OKVM_IN_GUEST)
			return true;
		/* Pairs with smp_mb() in request.c. */
		smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
	} while (okvm_has_requests(vcpu));
	return true;
}

/* IRQs off. Return: true if the last exit was served and only requests stop the guest. */
static bool run_fast_exits(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int served = 0;
	bool slow;

	do {
		enter_once(vcpu);
		if (trace_okvm_exit_enabled())
			trace_okvm_exit(vcpu->id, hw->exit_reason, okvm_rip(vcpu), vmx_qual(hw));
		count_exit(vcpu, hw->exit_reason);
		slow = !vmx_exit_fast(vcpu);
		if (slow)
			break;
		served++;
		/* A wakeup by this thread's own device or IPI sets flags without an interrupt. */
	} while ((likely(!okvm_has_requests(vcpu)) || serve_requests_fast(vcpu)) &&
		 likely(!(read_thread_flags() & THREAD_WORK)));
	vcpu->stat[OKVM_STAT_FAST_EXITS] += served;
	vcpu->stat[OKVM_STAT_EXITS] += served + slow;
	return !slow;
}

static bool exit_is_host_interrupt(const struct okvm_hw_vcpu *hw)
{
	return hw->exit_reason == EXIT_REASON_EXTERNAL_INTERRUPT;
}

/*
 * "Acknowledge interrupt on exit" has taken it from the local APIC: its vector's handler is called
 * through the IDT as the CPU would have done, unless the fast loop has completed it.
 */
static void take_host_interrupt(struct okvm_hw_vcpu *hw)
{
	u32 info = vmx_intr_info(hw);

	if (info & INTR_INFO_VALID_MASK)
		((void (*)(void))(vmx_int_stubs + 16 * (info & INTR_INFO_VECTOR_MASK)))();
	local_irq_enable();
	/* STI holds interrupts back for one instruction. */
	cpu_relax();
	local_irq_disable();
}

/* The interrupt is taken before guest time ends, so that a host tick is accounted to the guest. */
static void irqs_on_after_exit(struct okvm_hw_vcpu *hw)
{
	/* After any other exit some of the guest's instruction may be left to do. */
	hw->vcpu->arch->between_insns = exit_is_host_interrupt(hw);
	if (exit_is_host_interrupt(hw))
		take_host_interrupt(hw);
	vtime_account_guest_exit();
	local_irq_enable();
}

/* The event that waits for the next entry, which does not happen, is delivered by the emulator. */
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

static int emulate_until_valid(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int bound = 256;
	int outcome;

	okvm_vcpu_srcu_lock(vcpu);
	do {
		outcome = deliver_or_emulate(vcpu);
		hw->emulate = !vmx_state_valid(vcpu);
	} while (outcome == OKVM_RESUME && hw->emulate && --bound && !okvm_has_requests(vcpu) &&
		 okvm_arch_vcpu_can_enter(vcpu) && !(read_thread_flags() & THREAD_WORK));
	okvm_vcpu_srcu_unlock(vcpu);
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

int vmx_run(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	bool served;
	int outcome;

	for (;;) {
		if (unlikely(must_emulate(vcpu))) {
			vcpu->arch->between_insns = false;
			return emulate_until_valid(vcpu);
		}
		local_irq_disable();
		/* Pairs with smp_mb() in request.c. */
		smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
		if (unlikely(must_not_enter(hw))) {
			WRITE_ONCE(vcpu->mode, OKVM_OUTSIDE_GUEST);
			local_irq_enable();
			return OKVM_RESUME;
		}
		enter_guest(vcpu);
		served = run_fast_exits(vcpu);
		leave_guest(vcpu);
		vmx_host_nmi_mce(hw);
		irqs_on_after_exit(hw);
		if (served || exit_is_host_interrupt(hw))
			return OKVM_RESUME;
		outcome = vmx_exit_slow(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
		if (!okvm_arch_vcpu_can_enter(vcpu) ||
		    READ_ONCE(vcpu->run->request_interrupt_window))
			return OKVM_RESUME;
	}
}
