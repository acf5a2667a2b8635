// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest-physical faults under two-dimensional paging (EPT violations, nested page faults).
 *
 * There are three handlers, from the fastest to the slowest. okvm_mmu_fault_fast() changes an entry
 * with one compare-and-exchange, without a lock and with IRQs off. okvm_mmu_mmio_cached()
 * recognizes an MMIO entry. okvm_mmu_fault() asks the host for the page.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>

#include "core/compat.h"
#include "mmu/internal.h"
#include "mmu/needs.h"

/* Return true if @gfn is in @slot. Below the slot, the unsigned difference is a huge number. */
static bool slot_has(const struct okvm_memslot *slot, gfn_t gfn)
{
	return slot && gfn - slot->base < slot->npages;
}

/*
 * Find the slot of @gfn for fault_slot() if it is not the slot found last (mv->slot[0]).
 * mv->slot[] caches two slots, because a guest's page tables and its data are often in different
 * slots. If @gfn is in no slot, the cache stays as it is. The function is noinline, so that
 * fault_slot() need not save registers.
 */
static noinline struct okvm_memslot *slot_find(struct okvm_vcpu *vcpu, gfn_t gfn, u64 gen)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;
	struct okvm_memslot *slot;

	if (mv->slot_gen == gen && slot_has(mv->slot[1], gfn)) {
		swap(mv->slot[0], mv->slot[1]);
		return mv->slot[0];
	}
	slot = okvm_slot_find(vcpu->vm, gfn);
	if (!slot || gen & 1)
		return slot;
	mv->slot[1] = mv->slot_gen == gen ? mv->slot[0] : NULL;
	mv->slot[0] = slot;
	mv->slot_gen = gen;
	return slot;
}

struct okvm_memslot *fault_slot(struct okvm_vcpu *vcpu, gfn_t gfn, u64 *gen)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;

	*gen = okvm_slots_generation(vcpu->vm);
	if (mv->slot_gen == *gen && slot_has(mv->slot[0], gfn))
		return mv->slot[0];
	return slot_find(vcpu, gfn, *gen);
}

/* Allocate the spare tables that one fault may need: at most one per level below the root. */
static int fault_fill_spare(struct okvm_vcpu *vcpu)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;
	int want = vcpu->vm->mmu->root.level - 1;

	while (mv->nr_spare < want) {
		u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!table)
			return -ENOMEM;
		mv->spare[mv->nr_spare++] = table;
	}
	return 0;
}

/* Map okvm's own page at f->gfn. Return: false if there is none now. Caller holds mmu->lock. */
static bool fault_hole(struct okvm_fault *f)
{
	f->pfn = fault_hole_pfn(f);
	if (likely(!f->pfn))
		return false;
	f->page = NULL;
	f->writable = true;
	f->level = 1;
	tdp_map(f);
	return true;
}

static int fault_mmio(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	/*
	 * A page walk in okvm's own page: if the page cannot be mapped now, because the slots are
	 * changing, let the guest repeat the access. An event that waits for the walk can then be
	 * delivered.
	 */
	bool hole_walk = f->table && mmu_hole_pfn(mmu, f->gfn) && !f->slot;
	int verdict = hole_walk ? OKVM_FAULT_FIXED : OKVM_FAULT_MMIO;

	/*
	 * Make no MMIO entry in these cases:
	 * - The access is a write to a read-only slot, whose page may be mapped for reading.
	 * - The slots are changing (odd generation).
	 * - The CPU's page walk has made the access. With EPT, an MMIO entry causes an EPT
	 *   misconfiguration, which does not tell whether a walk or an instruction made the access.
	 */
	if (f->slot || f->gen & 1 || (f->table && !hole_walk))
		return verdict;
	if (fault_fill_spare(f->vcpu))
		return hole_walk ? -ENOMEM : verdict;
	read_lock(&mmu->lock);
	if (mmu->dead)
		verdict = hole_walk ? -EIO : verdict;
	else if (unlikely(fault_hole(f)))
		verdict = OKVM_FAULT_FIXED;
	else if (!hole_walk)
		tdp_map_mmio(f);
	read_unlock(&mmu->lock);
	return verdict;
}

int fault_level(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int level = mmu->max_level;

	/* Most faults return here, without reading the host's page tables. */
	if ((f->host_level < 2 && (!f->page || !PageCompound(f->page))) ||
	    f->slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		return 1;
	while (level > 1 && !slot_holds_page(f->slot, f->gfn, level))
		level--;
	if (level > 1)
		level = min(level, f->host_level ?: hostmem_level(mmu->vm, f->hva));
	if (level == 1 || !(f->need & SPTE_EXEC) || !READ_ONCE(mmu->nx_huge))
		return level;
	f->nx_level = level;
	return 1;
}

static int fault_map(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	int verdict = OKVM_FAULT_FIXED;

	/*
	 * If the host has invalidated the page since f->seq was read, map nothing: the guest
	 * repeats the access.
	 */
	if (notifier_stale_unlocked(mmu, f->seq, f->hva))
		return verdict;
	read_lock(&mmu->lock);
	if (mmu->dead)
		verdict = -EIO;
	else if (!notifier_stale(mmu, f->seq, f->hva))
		tdp_map(f);
	read_unlock(&mmu->lock);
	return verdict;
}

static int fault_handle(struct okvm_fault *f)
{
	struct okvm_vcpu *vcpu = f->vcpu;
	int ret;

	f->slot = fault_slot(vcpu, f->gfn, &f->gen);
	if (!f->slot || (f->need & SPTE_WRITE && f->slot->flags & KVM_MEM_READONLY))
		return fault_mmio(f);

	ret = fault_fill_spare(vcpu);
	if (ret)
		return ret;
	f->hva = okvm_slot_hva(f->slot, f->gfn);
	f->seq = notifier_seq(vcpu->vm->mmu);
	ret = hostmem_resolve(f);
	if (ret)
		return ret;
	f->level = fault_level(f);
	ret = fault_map(f);
	hostmem_release(f);
	if (f->nx_level)
		nx_arm(vcpu->vm->mmu);
	return ret;
}

static noinline void fault_tell_user(const struct okvm_fault *f)
{
	struct okvm_vcpu *vcpu = f->vcpu;
	struct okvm_memory_fault info = {
		.gpa = f->gfn << PAGE_SHIFT,
		.size = PAGE_SIZE,
	};
	struct okvm_error error = {
		.kind = OKVM_ERROR_MEMORY,
		.error = EFAULT,
		.ndata = 2,
		.data = { info.gpa, info.size },
	};

	/*
	 * Old kernel headers lack run->memory_fault, a member of the union that begins at run->hw.
	 */
	*(struct okvm_memory_fault *)((void *)vcpu->run + offsetof(struct kvm_run, hw)) = info;
	vcpu->run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	scnprintf(error.text, sizeof(error.text),
		  "%s of guest-physical address %#llx: the page at %#lx (slot %u) is not mapped, or not so",
		  f->need & SPTE_WRITE ? "write" : "read", info.gpa, f->hva, f->slot->id);
	okvm_error_set(&vcpu->error, &error);
}

int fault_verdict(const struct okvm_fault *f, int verdict)
{
	if (unlikely(verdict == -EFAULT))
		fault_tell_user(f);
	return verdict;
}

int okvm_mmu_fault(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc)
{
	struct okvm_fault f = {
		.vcpu = vcpu,
		.gfn = gpa >> PAGE_SHIFT,
		.need = mmu_need(acc),
		.may_defer = okvm_arch_apf_possible(vcpu),
		.table = acc & OKVM_ACC_TABLE,
	};

	vcpu->stat[OKVM_STAT_PF_TAKEN]++;
	return fault_verdict(&f, fault_handle(&f));
}

/*
 * Return the number of bytes from @gpa to the end of the mapped page (of any size) that contains
 * it; 0 if the guest cannot read @gpa.
 */
static long mapped_bytes(struct okvm_mmu_vm *mmu, gpa_t gpa)
{
	long bytes = 0;
	int level;
	u64 val;

	rcu_read_lock();
	if (tdp_leaf(mmu, gpa >> PAGE_SHIFT, &val, &level) && spte_valid(val) &&
	    spte_allows(mmu->fmt, val, SPTE_READ))
		bytes = spte_pages(level) * PAGE_SIZE - (gpa & (spte_pages(level) * PAGE_SIZE - 1));
	rcu_read_unlock();
	return bytes;
}

long tdp_prefault(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	struct okvm_mmu_vm *mmu = vcpu->vm->mmu;
	long bytes;
	int ret;

	/* Fail if @gpa is wider than the addresses that the tables can translate. */
	if (gpa >> PAGE_SHIFT >= spte_pages(mmu->root.level + 1))
		return -ENOENT;
	while (!(bytes = mapped_bytes(mmu, gpa))) {
		struct okvm_fault f = {
			.vcpu = vcpu, .gfn = gpa >> PAGE_SHIFT, .need = SPTE_READ,
			.prefault = true,
		};

		if (signal_pending(current))
			return -EINTR;
		ret = fault_handle(&f);
		if (ret)
			return ret == OKVM_FAULT_MMIO ? -ENOENT :
			       ret == OKVM_FAULT_SIGNAL ? -EINTR : ret;
		cond_resched();
	}
	return bytes;
}

/*
 * Aging or dirty logging may have taken rights from leaf @entry, whose value is @old. Give the
 * rights back if the access @need then succeeds. Caller holds vm->srcu.
 * Return: true if so; false if nothing was changed
 */
static bool fault_repair(struct okvm_vcpu *vcpu, gfn_t gfn, u64 *entry, u64 old, int level,
			 u8 need)
{
	const struct spte_fmt *fmt = vcpu->vm->mmu->fmt;
	bool write = need & SPTE_WRITE && !spte_is_writable(fmt, old);
	struct okvm_memslot *slot = NULL;
	u64 new = spte_unage(fmt, old);
	u64 gen;

	if (write) {
		if (!(old & SPTE_HOST_WRITE))
			return false;
		slot = fault_slot(vcpu, gfn, &gen);
		/* With dirty logging, a huge page has to be split first. */
		if (!slot || (level > 1 && slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
			return false;
		new = spte_make_writable(fmt, new);
	}
	if (!spte_allows(fmt, new, need) || !try_cmpxchg(entry, &old, new))
		return false;
	if (write)
		okvm_mark_dirty(vcpu->vm, slot, gfn);
	vcpu->stat[OKVM_STAT_PF_FIXED]++;
	return true;
}

bool okvm_mmu_fault_fast(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc)
{
	struct okvm_vm *vm = vcpu->vm;
	u8 need = mmu_need(acc);
	bool done = false;
	u64 *entry;
	int level, idx;
	u64 val;

	rcu_read_lock();
	entry = tdp_leaf(vm->mmu, gpa >> PAGE_SHIFT, &val, &level);
	if (!entry || !spte_valid(val))
		goto out;
	if (spte_allows(vm->mmu->fmt, val, need)) {
		vcpu->stat[OKVM_STAT_PF_SPURIOUS]++;
		done = true;
		goto out;
	}
	idx = srcu_read_lock(&vm->srcu);
	done = fault_repair(vcpu, gpa >> PAGE_SHIFT, entry, val, level, need);
	srcu_read_unlock(&vm->srcu, idx);
out:
	rcu_read_unlock();
	return done;
}

bool okvm_mmu_mmio_cached(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;
	struct okvm_vm *vm = vcpu->vm;
	u64 gen = okvm_slots_generation(vm);
	gfn_t gfn = gpa >> PAGE_SHIFT;
	u64 val = 0;
	int level;

	if (gen & 1)
		return false;
	/* There was no memory at @gfn before, and the slots have not changed since. */
	if (mv->mmio_gfn == gfn && mv->mmio_gen == gen)
		return true;
	/* Frames in a slot have no MMIO entries of this generation. */
	if (mv->slot_gen == gen && slot_has(mv->slot[0], gfn))
		return false;
	rcu_read_lock();
	if (!tdp_leaf(vm->mmu, gfn, &val, &level))
		val = 0;
	rcu_read_unlock();
	if (!spte_is_mmio(val) || spte_mmio_gen(val) != (gen >> 1 & SPTE_MMIO_GEN_MASK))
		return false;
	mv->mmio_gfn = gfn;
	mv->mmio_gen = gen;
	return true;
}

/* ---- KVM_PRE_FAULT_MEMORY ---- */

/*
 * Execute KVM_PRE_FAULT_MEMORY: map a range of guest memory. Change the argument to the rest of the
 * range that is not mapped yet. If an error occurs when a part is already mapped, return 0.
 */
static long ioc_pre_fault(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_pre_fault_memory *range = arg.data;
	u64 asked = range->size;
	long ret;

	if (range->flags)
		return okvm_refuse_vcpu(vcpu, "KVM_PRE_FAULT_MEMORY: flags are not 0");
	if ((range->gpa | range->size) & ~PAGE_MASK)
		return okvm_refuse_vcpu(vcpu, "KVM_PRE_FAULT_MEMORY: no whole pages");
	if (range->gpa + range->size <= range->gpa)
		return okvm_refuse_vcpu(vcpu, "KVM_PRE_FAULT_MEMORY: size is 0 or too large");
	do {
		ret = signal_pending(current) ? -EINTR :
		      vcpu->vm->mmu->policy->prefault(vcpu, range->gpa);
		if (ret < 0)
			return range->size == asked ? ret : 0;
		ret = min_t(u64, ret, range->size);
		range->gpa += ret;
		range->size -= ret;
		cond_resched();
	} while (range->size);
	return 0;
}

const struct okvm_ioctl okvm_mmu_ioctls[] = {
	{ KVM_PRE_FAULT_MEMORY,	OKVM_IOC_LOAD | OKVM_IOC_SRCU, { .vcpu = ioc_pre_fault } },
	{ }
};
