// SPDX-License-Identifier: GPL-2.0-only
/*
 * Find the host frame at a host virtual address, so that a fault can map it.
 *
 * okvm drops the page reference of get_user_pages() as soon as the frame is mapped. After that, the
 * MMU notifier tells okvm when to unmap the frame. okvm takes no reference at all to a frame in a
 * VM_PFNMAP or VM_IO mapping, nor to one that hostmem_peek() has read from the host's tables.
 * Shadow paging also maps frames of a large page that a vCPU has seen before (struct shadow_huge)
 * without a reference. In all cases notifier_stale() decides, under mmu->lock, whether the frame
 * may be mapped.
 */
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/wait_bit.h>

#include "core/compat.h"
#include "mmu/internal.h"
#include "mmu/needs.h"
#include "mmu/memtype.h"

static void hostmem_got_page(struct okvm_fault *f, struct page *page, bool writable)
{
	f->page = page;
	f->has_page = true;
	f->pfn = page_to_pfn(page);
	f->writable = writable;
	f->uncached = false;
}

/*
 * Find the frame in a VM_IO or VM_PFNMAP mapping. Caller holds mmap_lock.
 * Return: 0; -EAGAIN if the caller has to call again; OKVM_FAULT_MMIO; or another negative errno
 */
static int hostmem_follow(struct okvm_fault *f, struct mm_struct *mm)
{
	struct vm_area_struct *vma = vma_lookup(mm, f->hva);
	bool write = f->need & SPTE_WRITE;
	bool unlocked = false;
	int ret;

	if (!vma || !(vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	if (!okvm_follow_pfn(vma, f->hva, &f->pfn, &f->writable)) {
		if (!write || f->writable)
			return 0;
		/*
		 * If the VMA has VM_WRITE, fixup_user_fault() can make the page writable (by
		 * copying it).
		 */
		if (!(vma->vm_flags & VM_WRITE))
			return OKVM_FAULT_MMIO;
	}
	ret = fixup_user_fault(mm, f->hva, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	if (ret)
		return -EFAULT;
	return -EAGAIN;
}

/*
 * Walk the host's tables down to the PMD entry of @hva. With IRQs off, the tables are not freed.
 * Read each entry only once, because it may change between two reads.
 * Return: 2: *@pmd is set, and not none; 3: a leaf is above it; 0: an entry is absent
 */
static __always_inline int hostmem_walk(struct mm_struct *mm, hva_t hva, pmd_t *pmd)
{
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;

	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		return 0;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		return 0;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		return 0;
	if (pud_leaf(pud))
		return 3;
	*pmd = READ_ONCE(*pmd_offset(&pud, hva));
	return pmd_none(*pmd) ? 0 : 2;
}

/* What hostmem_peek() finds in the host's tables. */
enum peek {
	PEEK_FRAME,	/* an anonymous page that the VMM may write */
	PEEK_ABSENT,	/* no entry */
	PEEK_OTHER,	/* something else */
};

/* Return true if @pte maps a page of anonymous memory, writable and dirty. IRQs are off. */
static bool peek_plain(pte_t pte)
{
	struct page *page;

	if (!pte_access_permitted(pte, true) || !pte_dirty(pte) || pte_special(pte))
		return false;
	page = pfn_to_page(pte_pfn(pte));
	return !is_zone_device_page(page) && folio_test_anon(page_folio(page));
}

/*
 * Read the frame from the host's tables, without a reference to its page: fault_map() maps the
 * frame only if the host has not invalidated it since f->seq was read. Do this only for an
 * anonymous page that the host regards as dirty because of its own entry. For all other pages
 * hostmem_get_fast() takes a reference, and hostmem_release() marks the page dirty.
 */
static enum peek hostmem_peek(struct okvm_fault *f)
{
	pte_t pte = { };
	bool plain;
	pmd_t pmd;
	int level;

	if (f->slot->flags & KVM_MEM_READONLY)
		return PEEK_OTHER;
	local_irq_disable();
	level = hostmem_walk(current->mm, f->hva, &pmd);
	if (level == 2 && pmd_present(pmd) && !pmd_leaf(pmd)) {
		pte = READ_ONCE(*pte_offset_kernel(&pmd, f->hva));
		level = 1;
	}
	/* With IRQs off, the host does not free the page's struct page either (memory unplug). */
	plain = level == 1 && peek_plain(pte);
	local_irq_enable();
	f->host_level = level == 2 && !pmd_present(pmd) ? 0 : level;
	if (level > 1)
		return PEEK_OTHER;
	if (pte_none(pte))
		return PEEK_ABSENT;
	if (!plain)
		return PEEK_OTHER;
	f->pfn = pte_pfn(pte);
	f->page = NULL;
	f->has_page = true;
	f->writable = true;
	f->uncached = false;
	return PEEK_FRAME;
}

bool hostmem_get_fast(struct okvm_fault *f)
{
	struct page *page;

	if (f->slot->flags & KVM_MEM_READONLY ||
	    !get_user_page_fast_only(f->hva, FOLL_WRITE, &page))
		return false;
	hostmem_got_page(f, page, true);
	return true;
}

/*
 * Record that the guest can access device memory. The caller maps a device page afterwards. On CPUs
 * with MMIO Stale Data, VM entries must clear CPU buffers from then on: make all vCPUs leave guest
 * mode, so that each does a new VM entry.
 */
static void hostmem_note_device(struct okvm_vm *vm)
{
	if (READ_ONCE(vm->host_mmio))
		return;
	WRITE_ONCE(vm->host_mmio, true);
	okvm_request_all(vm, OKVM_REQ_EXIT, true);
}

static int hostmem_pfnmap(struct okvm_fault *f)
{
	struct mm_struct *mm = f->vcpu->vm->mm;
	int ret, tries = 0;

	do {
		mmap_read_lock(mm);
		ret = hostmem_follow(f, mm);
		mmap_read_unlock(mm);
		/*
		 * fixup_user_fault() may have copied a page of a private mapping.
		 * hostmem_get_fast() finds the copy, which is ordinary memory.
		 */
		if (ret == -EAGAIN && hostmem_get_fast(f))
			return 0;
	} while (ret == -EAGAIN && !signal_pending(current) && ++tries < 16);
	if (ret == -EAGAIN)
		return signal_pending(current) ? OKVM_FAULT_SIGNAL : -EFAULT;
	if (ret)
		return ret;
	f->page = NULL;
	f->has_page = false;
	f->uncached = memtype_is_device(f->pfn);
	if (f->uncached)
		hostmem_note_device(f->vcpu->vm);
	if (f->slot->flags & KVM_MEM_READONLY)
		f->writable = false;
	return 0;
}

static int hostmem_error(struct okvm_fault *f, long err)
{
	if (err == -EHWPOISON) {
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)f->hva, PAGE_SHIFT, current);
		return OKVM_FAULT_SIGNAL;
	}
	if (err == -EINTR || err == -ERESTARTSYS || fatal_signal_pending(current))
		return OKVM_FAULT_SIGNAL;
	return hostmem_pfnmap(f);
}

static unsigned int hostmem_gup(const struct okvm_fault *f)
{
	return FOLL_HWPOISON | OKVM_FOLL_NUMA | (f->need & SPTE_WRITE ? FOLL_WRITE : 0);
}

/*
 * Get the page without waiting.
 * Return: 1 if *@page is set; 0 or -EAGAIN if the host would have to wait for the page; another
 * negative errno on failure
 */
static long hostmem_try(struct okvm_fault *f, struct page **page)
{
	return get_user_pages_unlocked(f->hva, 1, page, hostmem_gup(f) | FOLL_NOWAIT);
}

/*
 * Get the page, and wait for it if needed. Any signal ends the wait.
 * Return: 1 if *@page is set, or a negative errno
 */
static long hostmem_wait(struct okvm_fault *f, struct page **page)
{
	long n = okvm_get_user_page(f->hva, hostmem_gup(f), page);

	return n ? n : -EFAULT;
}

/*
 * Let the host make an anonymous page present for a write, if it can do that without waiting.
 * get_user_pages() would walk the host's tables twice more, and hostmem_get_fast() is faster. If
 * the host refuses, hostmem_get() finds out why.
 */
static bool hostmem_populate(const struct okvm_fault *f)
{
	const unsigned int flags = FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY |
				   FAULT_FLAG_RETRY_NOWAIT;
	struct mm_struct *mm = current->mm;
	vm_fault_t fault = VM_FAULT_ERROR;
	struct vm_area_struct *vma;

	if (!(f->need & SPTE_WRITE) || mm != f->vcpu->vm->mm || !mmap_read_trylock(mm))
		return false;
	vma = vma_lookup(mm, f->hva);
	if (vma && vma_is_anonymous(vma) && vma->vm_flags & VM_WRITE &&
	    !(vma->vm_flags & (VM_IO | VM_PFNMAP)) &&
	    arch_vma_access_permitted(vma, true, false, false))
		fault = handle_mm_fault(vma, f->hva, flags, NULL);
	/* With FAULT_FLAG_RETRY_NOWAIT the handler does not drop the lock. */
	mmap_read_unlock(mm);
	return !(fault & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/*
 * Find the frame without waiting. If the host's tables have no entry, hostmem_get_fast() would not
 * find a page either.
 */
static bool hostmem_quick(struct okvm_fault *f)
{
	enum peek found = hostmem_peek(f);

	if (found == PEEK_ABSENT && hostmem_populate(f))
		found = hostmem_peek(f);
	return found == PEEK_FRAME || (found == PEEK_OTHER && hostmem_get_fast(f));
}

static long hostmem_get(struct okvm_fault *f, struct page **page)
{
	long n;

	if (f->may_defer) {
		n = hostmem_try(f, page);
		if (n == 1)
			return n;
		if ((!n || n == -EAGAIN) &&
		    okvm_arch_apf_start(f->vcpu, f->gfn, f->hva, f->need & SPTE_WRITE))
			return 0;
	}
	/*
	 * In KVM_RUN, a kick must end the wait for the page, too. okvm_vcpu_wait_begin() arranges
	 * this. In KVM_PRE_FAULT_MEMORY (f->prefault), only a signal ends the wait.
	 */
	if (f->prefault)
		return hostmem_wait(f, page);
	if (!okvm_vcpu_wait_begin(f->vcpu))
		return -EINTR;
	n = hostmem_wait(f, page);
	okvm_vcpu_wait_end(f->vcpu);
	return n;
}

/*
 * Wait until no invalidation of f->hva is active: nothing can be mapped there before. If the guest
 * repeated the access at once instead, the vCPU might keep the CPU from the thread that
 * invalidates, for ever if the vCPU's thread has a real-time priority. In KVM_RUN wait one jiffy at
 * most, and then let the guest repeat the access, so that it gets its interrupts meanwhile.
 * Return: 0, or the verdict OKVM_FAULT_SIGNAL (a kick or a signal has ended the wait) or _LATER
 */
static noinline int hostmem_settle(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	long ret;

	if (!f->prefault && !okvm_vcpu_wait_begin(f->vcpu))
		return OKVM_FAULT_SIGNAL;
	ret = ___wait_var_event(&mmu->inv_active,
				___wait_cond_timeout(!notifier_active(mmu, f->hva)),
				TASK_INTERRUPTIBLE, 0, f->prefault ? MAX_SCHEDULE_TIMEOUT : 1,
				__ret = schedule_timeout(__ret));
	if (!f->prefault)
		okvm_vcpu_wait_end(f->vcpu);
	f->seq = notifier_seq(mmu);
	/* What shadow paging's fast handler has found is out of date. */
	f->missed = false;
	if (ret < 0)
		return OKVM_FAULT_SIGNAL;
	return ret ? 0 : OKVM_FAULT_LATER;
}

int hostmem_resolve(struct okvm_fault *f)
{
	bool write = f->need & SPTE_WRITE;
	struct page *page;
	long n = 0;

	if (notifier_active(f->vcpu->vm->mmu, f->hva))
		n = hostmem_settle(f);
	if (n)
		return n;
	if (!f->missed && hostmem_quick(f))
		return 0;
	f->missed = true;
	f->host_level = 0;
	n = hostmem_get(f, &page);
	if (!n)
		return OKVM_FAULT_LATER;
	if (n != 1)
		return hostmem_error(f, n);
	if (!write && hostmem_get_fast(f)) {
		put_page(page);
		return 0;
	}
	hostmem_got_page(f, page, write);
	return 0;
}

void hostmem_release(struct okvm_fault *f)
{
	struct page *page = f->page;

	if (!page)
		return;
	/*
	 * Mark the page dirty when the guest may begin to write to it. Later writes need no mark.
	 * Before the host marks the page clean, it write-protects the page, and the MMU notifier
	 * removes the guest's mapping. So the guest's next write causes a fault, which comes here
	 * again.
	 */
	if (f->writable && !PageReserved(page) && !PageDirty(page))
		SetPageDirty(page);
	put_page(page);
}

int hostmem_level(struct okvm_vm *vm, hva_t hva)
{
	unsigned long flags;
	int level;
	pmd_t pmd;

	/*
	 * The level may be out of date when the caller uses it. A page fault notices that by
	 * notifier_stale(). tdp_collapse() may drop entries in vain, but later faults make them
	 * again.
	 */
	local_irq_save(flags);
	level = hostmem_walk(vm->mm, hva, &pmd);
	local_irq_restore(flags);
	if (level == 2 && !(pmd_present(pmd) && pmd_leaf(pmd)))
		level = 1;
	return max(level, 1);
}
