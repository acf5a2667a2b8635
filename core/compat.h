/* SPDX-License-Identifier: GPL-2.0-only */
/* All code that depends on the kernel's version. No other file tests LINUX_VERSION_CODE. */
#ifndef OKVM_CORE_COMPAT_H
#define OKVM_CORE_COMPAT_H

#include <linux/version.h>

/*
 * From Linux 6.19 on the kernel exports some symbols only to the modules kvm, kvm-intel and
 * kvm-amd. VMX needs some of these symbols, so Kbuild does not build vmx/ for these kernels. okvm
 * replaces the others (Documentation/kernels.rst).
 */
#ifndef OKVM_HAS_KVM_HELPERS
#define OKVM_HAS_KVM_HELPERS	1
#endif

#ifdef __ASSEMBLER__

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>

/*
 * Replacement for the kernel's write_ibpb(), which not all kernels export to okvm. Writes
 * IA32_PRED_CMD, and fills the return stack on CPUs whose IBPB does not clear it. Changes RAX, RCX,
 * RDX and RFLAGS.
 */
.macro OKVM_WRITE_IBPB
	mov $MSR_IA32_PRED_CMD, %ecx
	mov $PRED_CMD_IBPB, %eax
	xor %edx, %edx
	wrmsr
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_BUG_IBPB_NO_RET
.endm

/*
 * Remove return predictions that the guest trained. Used on AMD after a VM exit, before the first
 * RET. Changes RAX, RCX and RDX.
 */
.macro OKVM_UNTRAIN_RETURNS
#if !OKVM_HAS_KVM_HELPERS
	CALL_UNTRAIN_RET
	ALTERNATIVE "jmp .Lno_ibpb_\@", "", X86_FEATURE_IBPB_ON_VMEXIT
	OKVM_WRITE_IBPB
.Lno_ibpb_\@:
#elif defined(UNTRAIN_RET_VM)
	UNTRAIN_RET_VM
#else
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
#endif
.endm

/*
 * Clear the CPU's buffers before VMRUN, on CPUs where a guest could infer their contents (TSA).
 * VERW clears the buffers if its operand is a selector in memory. Some kernels do not export their
 * selector x86_verw_sel to okvm: there the macro uses a selector of its own. Changes only RFLAGS.
 */
.macro OKVM_CLEAR_BUFFERS
#if !OKVM_HAS_KVM_HELPERS
	ALTERNATIVE "jmp .Lcleared_\@", "", X86_FEATURE_CLEAR_CPU_BUF_VM
	verw .Lselector_\@(%rip)
.Lcleared_\@:
	.pushsection .rodata
	.balign 2
.Lselector_\@:
	.word __KERNEL_DS
	.popsection
#elif defined(VM_CLEAR_CPU_BUFFERS)
	VM_CLEAR_CPU_BUFFERS
#endif
.endm

#else /* !__ASSEMBLER__ */

#include <linux/mm.h>

/* Since Linux 6.16 the names of 64-bit MSR accessors end with q. Linux 7 has only these names. */
#include <asm/msr.h>
#if defined(rdmsrq) && !defined(rdmsrl)
#define rdmsrl(msr, val)	rdmsrq(msr, val)
#define wrmsrl(msr, val)	wrmsrq(msr, val)
#define rdmsrl_safe(msr, p)	rdmsrq_safe(msr, p)
#define wrmsrl_safe(msr, val)	wrmsrq_safe(msr, val)
#endif

/* Before Linux 6.17 <asm/processor.h> declared the CPUID accessors. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#include <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

/* Linux 7 has no static_cpu_has(), only cpu_feature_enabled(), which is also patched at boot. */
#include <asm/cpufeature.h>
#ifndef static_cpu_has
#define static_cpu_has(bit)	cpu_feature_enabled(bit)
#endif

/* Since Linux 7.2 the MMU notifier callbacks about page age return a bool. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
typedef int okvm_young_t;
#else
typedef bool okvm_young_t;
#endif

/* The host's TSC, monotonic raw time and wall-clock time at one moment; times in ns. */
#include <linux/timekeeping.h>
struct okvm_snapshot {
	u64 tsc, raw_ns, real_ns;
};

static inline void okvm_snapshot_get(struct okvm_snapshot *snap)
{
	struct system_time_snapshot host;

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
	ktime_get_snapshot(&host);
	snap->raw_ns = ktime_to_ns(host.raw);
	snap->real_ns = ktime_to_ns(host.real);
#else
	ktime_get_snapshot_id(CLOCK_REALTIME, &host);
	snap->raw_ns = ktime_to_ns(host.monoraw);
	snap->real_ns = ktime_to_ns(host.systime);
#endif
	snap->tsc = host.cycles;
}

/*
 * Register the callback that disables virtualization when the host crashes or reboots in an
 * emergency. Return true if it is registered. From Linux 6.19 on only the kernel's own KVM can
 * register a callback. In an emergency Linux 7.1 and later disable SVM without a callback; 6.19 and
 * 7.0 leave EFER.SVME set (Documentation/kernels.rst).
 */
#include <asm/reboot.h>
static inline bool okvm_emergency_register(void (*off)(void))
{
#if OKVM_HAS_KVM_HELPERS
	cpu_emergency_register_virt_callback(off);
	return true;
#else
	return false;
#endif
}

static inline void okvm_emergency_unregister(void (*off)(void))
{
#if OKVM_HAS_KVM_HELPERS
	cpu_emergency_unregister_virt_callback(off);
#endif
}

/* Return the host's CR4 of this CPU. With IRQs on, a task switch may change some of its bits. */
#include <asm/tlbflush.h>
static inline unsigned long okvm_host_cr4(void)
{
#if OKVM_HAS_KVM_HELPERS
	return cr4_read_shadow();
#else
	return __read_cr4();
#endif
}

/* Save the host's breakpoints before the guest runs, restore them after. Called with IRQs off. */
#include <asm/debugreg.h>
static __always_inline void okvm_host_breakpoints_save(unsigned long db[4])
{
#if !OKVM_HAS_KVM_HELPERS
	if (likely(!hw_breakpoint_active()))
		return;
	get_debugreg(db[0], 0);
	get_debugreg(db[1], 1);
	get_debugreg(db[2], 2);
	get_debugreg(db[3], 3);
#endif
}

static __always_inline void okvm_host_breakpoints_restore(const unsigned long db[4])
{
#if OKVM_HAS_KVM_HELPERS
	hw_breakpoint_restore();
#else
	set_debugreg(db[0], 0);
	set_debugreg(db[1], 1);
	set_debugreg(db[2], 2);
	set_debugreg(db[3], 3);
	set_debugreg(DR6_RESERVED, 6);
	set_debugreg(this_cpu_read(cpu_dr7), 7);
#endif
}

/* Issue an IBPB, so that earlier code cannot steer the indirect branches of later code. */
#include <asm/nospec-branch.h>
#if !OKVM_HAS_KVM_HELPERS
void okvm_write_ibpb(void);	/* svm/vmrun.S */
#endif
static inline void okvm_forget_branches(void)
{
#if OKVM_HAS_KVM_HELPERS
	indirect_branch_prediction_barrier();
#else
	if (cpu_feature_enabled(X86_FEATURE_IBPB))
		okvm_write_ibpb();
#endif
}

/* Since Linux 6.13 lazy rescheduling has a thread flag of its own. */
#ifdef _TIF_NEED_RESCHED_LAZY
#define OKVM_TIF_RESCHED	(_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#else
#define OKVM_TIF_RESCHED	_TIF_NEED_RESCHED
#endif

/* Linux 6.17 added WQ_PERCPU. Before that, a work queue without flags was per CPU. */
#include <linux/workqueue.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define OKVM_WQ_PERCPU	0
#else
#define OKVM_WQ_PERCPU	WQ_PERCPU
#endif

/* Until Linux 6.7 eventfd_signal() had an argument, the count to add, which was always 1. */
#include <linux/eventfd.h>
static inline void okvm_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/*
 * Add @entry to the queue as an exclusive entry with priority. Until Linux 6.16 this cannot fail.
 * Since 6.17 it fails with -EBUSY if the queue's first entry has priority already.
 */
#include <linux/wait.h>
static inline int okvm_add_wait_queue_priority(struct wait_queue_head *head,
					       struct wait_queue_entry *entry)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	add_wait_queue_priority(head, entry);
	return 0;
#else
	return add_wait_queue_priority_exclusive(head, entry);
#endif
}

/* Linux 6.13 introduced hrtimer_setup(), and 6.15 removed hrtimer_init(). */
#include <linux/hrtimer.h>
#include <linux/sched.h>
static inline void okvm_hrtimer_setup(struct hrtimer *timer,
				      enum hrtimer_restart (*fn)(struct hrtimer *timer),
				      clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#else
	hrtimer_setup(timer, fn, clock, mode);
#endif
}

/* Since Linux 6.7 the kernel allocates shrinkers. */
#include <linux/shrinker.h>
#include <linux/slab.h>
static inline struct shrinker *
okvm_shrinker_add(const char *name,
		  unsigned long (*count)(struct shrinker *s, struct shrink_control *sc),
		  unsigned long (*scan)(struct shrinker *s, struct shrink_control *sc))
{
	struct shrinker *s;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	s = kzalloc(sizeof(*s), GFP_KERNEL);
#else
	s = shrinker_alloc(0, "%s", name);
#endif
	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	if (register_shrinker(s, "%s", name)) {
		kfree(s);
		return NULL;
	}
#else
	shrinker_register(s);
#endif
	return s;
}

static inline void okvm_shrinker_remove(struct shrinker *s)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	unregister_shrinker(s);
	kfree(s);
#else
	shrinker_free(s);
#endif
}

/*
 * Flag for get_user_pages(). NUMA balancing makes pages inaccessible, to find out which CPU uses
 * them. With this flag get_user_pages() makes such a page accessible again. Before Linux 6.6 it
 * does so without a flag.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define OKVM_FOLL_NUMA	FOLL_HONOR_NUMA_FAULT
#else
#define OKVM_FOLL_NUMA	0
#endif

/**
 * okvm_get_user_page() - get a page of this process; any signal ends the wait for the page
 * @gup: FOLL_HWPOISON, FOLL_WRITE, OKVM_FOLL_NUMA
 * Return: 1 if *@page is set; 0 or a negative errno
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
static inline long okvm_get_user_page(unsigned long addr, unsigned int gup, struct page **page)
{
	return get_user_pages_unlocked(addr, 1, page, gup | FOLL_INTERRUPTIBLE);
}
#else
#include <linux/sched/signal.h>

/*
 * Call the host's fault handler for @addr, and wait in the handler. If the VMA does not allow the
 * access, do nothing: the caller calls get_user_pages() again, which reports the error.
 */
static inline int okvm_fault_in_wait(unsigned long addr, bool write)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | (write ? FAULT_FLAG_WRITE : 0);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	vm_fault_t fault = 0;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_flags & (write ? VM_WRITE : VM_READ) &&
	    !(vma->vm_flags & (VM_IO | VM_PFNMAP)))
		fault = handle_mm_fault(vma, addr, flags, NULL);
	if (!(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
		mmap_read_unlock(mm);
	return fault & VM_FAULT_ERROR ? vm_fault_to_errno(fault, FOLL_HWPOISON) : 0;
}

/*
 * Before Linux 6.2 only a fatal signal ends a wait in get_user_pages(). But every signal ends a
 * wait in handle_mm_fault() with FAULT_FLAG_INTERRUPTIBLE. So wait there.
 */
static inline long okvm_get_user_page(unsigned long addr, unsigned int gup, struct page **page)
{
	long n;

	for (;;) {
		n = get_user_pages_unlocked(addr, 1, page, gup | FOLL_NOWAIT);
		if (n && n != -EAGAIN)
			return n;
		if (signal_pending(current))
			return -EINTR;
		n = okvm_fault_in_wait(addr, gup & FOLL_WRITE);
		if (n)
			return n;
		cond_resched();
	}
}
#endif

/*
 * Make the host fault in a page of another mm. May sleep; failures are not reported.
 *
 * Before Linux 6.15 get_user_pages_remote() may spin for ever while a userfaultfd is being closed.
 * It holds mmap_lock and calls the fault handler until the handler has fetched the page or failed.
 * During the close the handler does neither, and the close waits for mmap_lock. fixup_user_fault()
 * does not spin: it calls the handler again only after the lock was dropped. A vCPU's own fault
 * (okvm_get_user_page()) can spin until SIGKILL, as with upstream KVM.
 */
static inline void okvm_fault_in_remote(struct mm_struct *mm, unsigned long addr, bool write)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	bool unlocked = false;

	mmap_read_lock(mm);
	fixup_user_fault(mm, addr, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	mmap_read_unlock(mm);
#else
	int locked = 1;

	mmap_read_lock(mm);
	get_user_pages_remote(mm, addr, 1, write ? FOLL_WRITE : 0, NULL, &locked);
	if (locked)
		mmap_read_unlock(mm);
#endif
}

/** okvm_pfn_is_ram() - return true if the firmware's memory map lists this frame as RAM */
#include <asm/e820/api.h>
static inline bool okvm_pfn_is_ram(u64 pfn)
{
#if OKVM_HAS_KVM_HELPERS
	return e820__mapped_raw_any(PFN_PHYS(pfn), PFN_PHYS(pfn + 1) - 1, E820_TYPE_RAM);
#else
	return e820__mapped_any(PFN_PHYS(pfn), PFN_PHYS(pfn + 1) - 1, E820_TYPE_RAM);
#endif
}

/** okvm_pfn_uncached() - return true if the host maps this frame uncached, or may do so */
#include <asm/memtype.h>
static inline bool okvm_pfn_uncached(u64 pfn)
{
#if OKVM_HAS_KVM_HELPERS
	return !pat_enabled() || pat_pfn_immune_to_uc_mtrr(pfn);
#else
	return !okvm_pfn_is_ram(pfn) &&
	       !e820__mapped_any(PFN_PHYS(pfn), PFN_PHYS(pfn + 1) - 1, E820_TYPE_PMEM);
#endif
}

/**
 * okvm_follow_pfn() - find the frame that a VM_PFNMAP or VM_IO mapping has at @addr
 * @vma: contains @addr; the caller holds the mmap_lock of the mm
 *
 * Sets *@pfn and *@writable, and takes no reference to the page.
 * Return: 0, or an errno if nothing is mapped at @addr.
 */
static inline int okvm_follow_pfn(struct vm_area_struct *vma, unsigned long addr, u64 *pfn,
				  bool *writable)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	int ret = follow_pfnmap_start(&args);

	if (ret)
		return ret;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
	return 0;
#else
	spinlock_t *lock;
	pte_t *ptep;
	int ret = follow_pte(vma->vm_mm, addr, &ptep, &lock);

	if (ret)
		return ret;
	*pfn = pte_pfn(*ptep);
	*writable = pte_write(*ptep);
	/* Tell sparse that follow_pte() has taken the lock: its declaration does not say so. */
	__acquire(lock);
	pte_unmap_unlock(ptep, lock);
	return 0;
#endif
}

/*
 * The word behind kvm_run.hypercall.ret is "longmode" in old kernel headers and "flags" in new
 * ones. Bit 0 of "flags" means the same as "longmode".
 */
#include <linux/kvm.h>
#include <linux/stddef.h>
static inline void okvm_run_set_long_mode(struct kvm_run *run, bool mode64)
{
	*(u64 *)((void *)run + offsetofend(struct kvm_run, hypercall.ret)) = mode64;
}

/* Since Linux 6.4 smp_send_reschedule() is a macro that uses a tracepoint of this header. */
#include <trace/events/ipi.h>

/* ---- functions of the host kernel that vmx/ needs ---- */

#include <asm/mce.h>
#include <asm/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

/* Tell RCU that this CPU enters guest mode, which is a quiescent state, like userspace. */
static inline void okvm_rcu_note_guest(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	rcu_virt_note_context_switch(raw_smp_processor_id());
#else
	rcu_virt_note_context_switch();
#endif
}

/*
 * Mitigate VMSCAPE: make the kernel flush the branch predictor when userspace runs after a guest.
 */
static inline void okvm_note_guest_ran(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/* Report a machine check in guest mode to the host's handler, as if it came from userspace. */
static inline void okvm_host_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

/*
 * Return true if okvm must clear the CPU buffers at VM entries because of MMIO Stale Data. This is
 * so if the CPU is affected and no other mitigation clears the buffers at each VM entry. The kernel
 * reports this by a CPU feature since Linux 6.19, and by a static key before. Linux 6.17 renamed
 * the key.
 */
static __always_inline bool okvm_clear_for_mmio(void)
{
#if defined(X86_FEATURE_CLEAR_CPU_BUF_VM_MMIO)
	return cpu_feature_enabled(X86_FEATURE_CLEAR_CPU_BUF_VM_MMIO);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return static_branch_unlikely(&cpu_buf_vm_clear);
#else
	return static_branch_unlikely(&mmio_stale_data_clear);
#endif
}

#include <asm/apic.h>
static inline void okvm_send_vector(int cpu, int vector)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	apic->send_IPI(cpu, vector);
#else
	__apic_send_IPI_mask(cpumask_of(cpu), vector);
#endif
}

/** okvm_complete_vector() - send EOI for an interrupt whose handler is not called. IRQs are off */
static inline void okvm_complete_vector(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	ack_APIC_irq();
#else
	apic->eoi();
#endif
}

/* 1 if the kernel handles the posted-interrupt vector; 0 if it reports this vector as spurious. */
#if IS_ENABLED(CONFIG_HAVE_KVM) || IS_ENABLED(CONFIG_KVM)
#define OKVM_HAS_POSTED_VECTOR	1
#else
#define OKVM_HAS_POSTED_VECTOR	0
#endif

/*
 * Linux before 6.15, and stable kernels before May 2025, do not know the CPU bug Indirect Target
 * Selection (ITS): assume that the host has it.
 */
#ifdef X86_BUG_ITS
#define OKVM_ARCH_CAP_ITS_NO	ARCH_CAP_ITS_NO
#define okvm_host_has_its()	boot_cpu_has_bug(X86_BUG_ITS)
#else
#define OKVM_ARCH_CAP_ITS_NO	0
#define okvm_host_has_its()	true
#endif

/*
 * The name of kvm_run's member immediate_exit in kernel code. Newer kernels rename the member
 * there, as a warning that userspace can change it at any time. They define this macro; older
 * kernels do not.
 */
#ifndef HINT_UNSAFE_IN_KVM
#define HINT_UNSAFE_IN_KVM(name) name
#endif

/** okvm_immediate_exit() - read kvm_run->immediate_exit once */
#define okvm_immediate_exit(run) READ_ONCE((run)->HINT_UNSAFE_IN_KVM(immediate_exit))

/**
 * okvm_thread_work() - do the thread's TIF_NOTIFY_RESUME work without leaving the kernel
 *
 * Runs task work, throttling and rseq, and reschedules if needed. May sleep. The caller holds no
 * lock that task work may take.
 *
 * Return: 0; -EINTR if a signal is pending; -ERESTARTNOINTR if this kernel can do the work only on
 * the return to userspace: KVM_RUN must then return this error.
 */
int okvm_thread_work(void);

/* Since 6.18, and in some older stable kernels, the syscore_ops callbacks have an argument. */
#include <linux/syscore_ops.h>
#ifdef OKVM_HAS_SYSCORE
#define OKVM_SYSCORE_ARG	void *unused
#define OKVM_SYSCORE(suspend_fn, resume_fn)				\
	static const struct syscore_ops okvm_syscore_ops = {		\
		.suspend = (suspend_fn), .resume = (resume_fn),		\
	};								\
	static struct syscore okvm_syscore = { .ops = &okvm_syscore_ops }
#define okvm_syscore_register()		register_syscore(&okvm_syscore)
#define okvm_syscore_unregister()	unregister_syscore(&okvm_syscore)
#else
#define OKVM_SYSCORE_ARG	void
#define OKVM_SYSCORE(suspend_fn, resume_fn)				\
	static struct syscore_ops okvm_syscore = {			\
		.suspend = (suspend_fn), .resume = (resume_fn),		\
	}
#define okvm_syscore_register()		register_syscore_ops(&okvm_syscore)
#define okvm_syscore_unregister()	unregister_syscore_ops(&okvm_syscore)
#endif

/* Linux 7 renamed the VMCB fields that enable nested paging and LBR virtualization. */
#ifdef OKVM_HAS_VMCB_MISC_CTL
#define okvm_vmcb_enable_nested(control)	((control)->misc_ctl = SVM_MISC_ENABLE_NP)
#define okvm_vmcb_lbr_ctl(control)		((control)->misc_ctl2)
#else
#define okvm_vmcb_enable_nested(control)	((control)->nested_ctl = SVM_NESTED_CTL_NP_ENABLE)
#define okvm_vmcb_lbr_ctl(control)		((control)->virt_ext)
#endif

/* Return true if the host encrypts memory, by SME, SEV or (since Linux 6.9) SEV-SNP. */
#include <linux/cc_platform.h>
static inline bool okvm_memory_encrypted(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	if (cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return true;
#endif
	return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

/*
 * Tell perf whether EFER.SVME is set. perf must know this to count events of the host alone or of
 * the guest alone. Since Linux 6.19 only KVM's own modules can tell perf, so this function does
 * nothing.
 */
#include <asm/perf_event.h>
static inline void okvm_perf_svm(bool on)
{
#if OKVM_HAS_KVM_HELPERS
	if (on)
		amd_pmu_enable_virt();
	else
		amd_pmu_disable_virt();
#endif
}

/*
 * On Zen 5 the MSR bit BP_SPEC_REDUCE mitigates SRSO: it separates return predictions of host and
 * guest. If the kernel relies on this bit, it uses no other mitigation for guests, and the
 * hypervisor must set the bit.
 */
#include <asm/msr.h>
/**
 * okvm_bp_spec_reduce() - set or clear BP_SPEC_REDUCE on this CPU
 * Context: preemption is off.
 * Return: true if the bit was changed
 */
static __always_inline bool okvm_bp_spec_reduce(bool on)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	const u64 bit = BIT_ULL(MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT);
	u64 val;

	if (!cpu_feature_enabled(X86_FEATURE_SRSO_BP_SPEC_REDUCE) ||
	    rdmsrl_safe(MSR_ZEN4_BP_CFG, &val) || !(val & bit) == !on)
		return false;
	return !wrmsrl_safe(MSR_ZEN4_BP_CFG, val ^ bit);
#else
	return false;
#endif
}

/*
 * Return a value for EAX of CPUID leaf 80000021h, built from the kernel's feature flags. The CPU's
 * own value does not suffice: a CPU without this leaf may have the features, and some flags depend
 * on the microcode revision. Some stable kernels lack some of the flags' names, hence each #ifdef.
 */
static inline u32 okvm_host_ext21_eax(void)
{
	u32 bits = BIT(9);	/* bit 9: the MSR SMM_CTL does not exist */

	if (boot_cpu_has(X86_FEATURE_LFENCE_RDTSC))
		bits |= BIT(2);
	if (!boot_cpu_has_bug(X86_BUG_NULL_SEG))
		bits |= BIT(6);
#ifdef X86_FEATURE_VERW_CLEAR
	if (boot_cpu_has(X86_FEATURE_VERW_CLEAR))
		bits |= BIT(5);
#endif
#ifdef X86_FEATURE_SBPB
	if (boot_cpu_has(X86_FEATURE_SBPB))
		bits |= BIT(27);
#endif
#ifdef X86_FEATURE_IBPB_BRTYPE
	if (boot_cpu_has(X86_FEATURE_IBPB_BRTYPE))
		bits |= BIT(28);
#endif
#ifdef X86_FEATURE_SRSO_NO
	if (boot_cpu_has(X86_FEATURE_SRSO_NO))
		bits |= BIT(29);
#endif
	return bits;
}

static inline u32 okvm_host_ext21_ecx(void)
{
	u32 bits = 0;

#ifdef X86_FEATURE_TSA_SQ_NO
	if (boot_cpu_has(X86_FEATURE_TSA_SQ_NO))
		bits |= BIT(1);
#endif
#ifdef X86_FEATURE_TSA_L1_NO
	if (boot_cpu_has(X86_FEATURE_TSA_L1_NO))
		bits |= BIT(2);
#endif
#ifdef X86_FEATURE_TSA_FILL_NO
	if (boot_cpu_has(X86_FEATURE_TSA_FILL_NO))
		bits |= BIT(7);
#endif
	return bits;
}

/*
 * okvm needs a hotplug state whose callback runs on the dying CPU with IRQs off. None of the
 * kernel's dynamic states is of this kind. So okvm uses the fixed state of an ARM timer, which is
 * unused on x86.
 */
#define OKVM_CPUHP_DYING	CPUHP_AP_ARM_TWD_STARTING

#endif /* !__ASSEMBLER__ */

#endif /* OKVM_CORE_COMPAT_H */
