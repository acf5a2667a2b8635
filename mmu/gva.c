// SPDX-License-Identifier: GPL-2.0-only
/* Translate guest-linear addresses: run the walker of walk.c on the guest's memory. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "core/compat.h"
#include "core/guestmem.h"
#include "mmu/internal.h"
#include "mmu/needs.h"
#include "mmu/shadow.h"

static_assert((int)OKVM_ACC_WRITE == WALK_WRITE && (int)OKVM_ACC_USER == WALK_USER &&
	      (int)OKVM_ACC_FETCH == WALK_FETCH && (int)OKVM_ACC_IMPLICIT == WALK_IMPLICIT);

/*
 * Record one entry that the walk has read. There is no room for more than OKVM_NOTE_LEVELS entries
 * (a repeated walk may read more), and 4-byte entries cannot be recorded. In both cases mark the
 * record as too long, so that note_finish() discards it.
 */
static void gva_note(struct okvm_note *note, hva_t hva, unsigned int size, u64 val)
{
	if (note->nr >= OKVM_NOTE_LEVELS || size != 8) {
		note->nr = OKVM_NOTE_LEVELS + 1;
		return;
	}
	note->at[note->nr] = (const u64 __user *)hva;
	note->val[note->nr++] = val;
}

static int gva_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	struct okvm_vcpu *vcpu = ctx;
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot;
	hva_t hva;
	u32 half;
	u64 gen;

	slot = fault_slot(vcpu, gfn, &gen);
	if (!slot)
		return -EFAULT;
	hva = okvm_slot_hva(slot, gfn) + offset_in_page(gpa);
	if (size == 8) {
		if (get_user(*val, (u64 __user *)hva))
			return -EFAULT;
	} else {
		if (get_user(half, (u32 __user *)hva))
			return -EFAULT;
		*val = half;
	}
	if (vcpu->mmu->note)
		gva_note(vcpu->mmu->note, hva, size, *val);
	return 0;
}

static int gva_cmpxchg(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	struct okvm_vcpu *vcpu = ctx;
	struct okvm_memslot *slot;
	u64 gen;
	int ret;

	slot = fault_slot(vcpu, gpa >> PAGE_SHIFT, &gen);
	if (slot && slot->flags & KVM_MEM_READONLY)
		return -EROFS;
	ret = okvm_cmpxchg_slot(vcpu->vm, slot, gpa, size, &old, new);
	if (!ret && okvm_mmu_is_shadow(vcpu->vm))
		shadow_marked(vcpu, gpa, size);
	return ret;
}

/* For walks with OKVM_ACC_PATIENT: no signal or kick ends a wait for a page of the host. */
static const struct walk_ops gva_ops_patient = {
	.read = gva_read,
	.replace = gva_cmpxchg,
};

static int gva_read_present(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	int ret;

	pagefault_disable();
	ret = gva_read(ctx, gpa, size, val);
	pagefault_enable();
	return ret;
}

/*
 * Read an entry for a walk in KVM_RUN. If the host has to fetch the page, a kick or a signal ends
 * the wait, and the walk is given up.
 */
static int gva_read_run(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	unsigned int tries = 0;
	int ret;

	while (unlikely(gva_read_present(ctx, gpa, size, val))) {
		ret = okvm_guest_wait(ctx, gpa, false, tries++);
		if (ret)
			return ret > 0 ? gva_read(ctx, gpa, size, val) : ret;
	}
	return 0;
}

static int gva_cmpxchg_present(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	int ret;

	pagefault_disable();
	ret = gva_cmpxchg(ctx, gpa, size, old, new);
	pagefault_enable();
	return ret;
}

static int gva_cmpxchg_run(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	unsigned int tries = 0;
	int ret, wait;

	while (unlikely((ret = gva_cmpxchg_present(ctx, gpa, size, old, new)) == -EFAULT)) {
		wait = okvm_guest_wait(ctx, gpa, true, tries++);
		if (wait)
			return wait > 0 ? gva_cmpxchg(ctx, gpa, size, old, new) : wait;
	}
	return ret;
}

static const struct walk_ops gva_ops_run = {
	.read = gva_read_run,
	.replace = gva_cmpxchg_run,
};

/*
 * Set accessed and dirty bits of a guest's entry for gva_walk_fast(), by compare-and-exchange. The
 * caller has disabled page faults, so that the write does not sleep.
 */
static int gva_cmpxchg_fast(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	struct okvm_vcpu *vcpu = ctx;
	struct okvm_memslot *slot;
	int ret = -EROFS;
	u64 gen;

	if (!shadow_mark_begin(shadow_of(vcpu), gpa, size))
		return -EAGAIN;
	slot = fault_slot(vcpu, gpa >> PAGE_SHIFT, &gen);
	if (!slot || !(slot->flags & KVM_MEM_READONLY))
		ret = okvm_cmpxchg_slot(vcpu->vm, slot, gpa, size, &old, new);
	shadow_mark_end(shadow_of(vcpu));
	return ret;
}

static const struct walk_ops gva_ops_fast = {
	.read = gva_read,
	.replace = gva_cmpxchg_fast,
};

void okvm_mmu_set_paging(struct okvm_vcpu *vcpu, const struct walk_mode *mode)
{
	vcpu->mmu->mode = *mode;
	vcpu->vm->mmu->policy->mode_changed(vcpu);
}

gpa_t okvm_mmu_gva_to_gpa(struct okvm_vcpu *vcpu, gva_t gva, u32 acc, struct walk_fault *fault)
{
	const struct walk_ops *ops = acc & OKVM_ACC_PATIENT ? &gva_ops_patient : &gva_ops_run;
	const struct walk_mode *mode = &vcpu->mmu->mode;
	struct walk_regs regs = {};
	struct walk_result result;
	enum walk_verdict verdict;

	if (mode->levels)
		okvm_arch_walk_regs(vcpu, &regs);
	/*
	 * End the loop on a signal or a request: otherwise a guest that changes its tables without
	 * end could keep this thread in the loop for ever, with vm->srcu held.
	 */
	while ((verdict = walk(mode, &regs, ops, vcpu, gva, acc, &result, fault)) == WALK_AGAIN &&
	       !signal_pending(current) && !okvm_has_requests(vcpu))
		cond_resched();
	fault->gave_up = verdict == WALK_AGAIN;
	return verdict ? OKVM_INVALID_GPA : result.gpa;
}

int gva_walk(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault)
{
	struct walk_regs regs = {};

	if (f->mode.levels)
		okvm_arch_walk_regs(vcpu, &regs);
	return walk_noted(&f->mode, &regs, &gva_ops_run, vcpu, f->gva, f->access, &f->path,
			  &f->result, fault);
}

/*
 * Return true if @w, an earlier walk in the same 2 MiB as f->gva, can help the walk for f->gva:
 * CR3, the slots and the paging mode have not changed since. Both walks then read the same entries
 * above level 1, unless the guest has changed one of these entries.
 */
static bool known_applies(const struct shadow_walk *w, const struct shadow_fault *f, u64 cr3)
{
	return w->cr3 == cr3 && w->gen == okvm_slots_generation(f->vcpu->vm) &&
	       !memcmp(&w->mode, &f->mode, sizeof(f->mode));
}

/*
 * Return true if the entries of @w above level 1 still have their recorded values, and set *@entry
 * to the entry at level 1. @leaf: its address in the VMM. The loop uses no array indices, because a
 * sanitizer would insert calls that check them (see note_holds()).
 */
static __always_inline bool known_read(const struct shadow_walk *w, const u64 __user *leaf,
				       u64 *entry)
{
	const u64 __user *const *at = w->at, *const *end = at + w->path.top - 1;
	const u64 *want = w->val;
	u64 val;

	if (!user_read_access_begin(leaf, sizeof(*leaf)))
		return false;
	do {
		unsafe_get_user(val, *at, failed);
		if (val != *want++)
			goto failed;
	} while (++at < end);
	unsafe_get_user(*entry, leaf, failed);
	user_read_access_end();
	return true;

failed:
	user_read_access_end();
	return false;
}

/* Set f->path to the path of @w, except that level 1 gets the address of entry @i. */
static void known_path(const struct shadow_walk *w, struct shadow_fault *f, unsigned int i)
{
	const struct walk_path *from = &w->path;
	struct walk_path *path = &f->path;
	int level;

	for (level = from->top; level > 1; level--) {
		path->at[level] = from->at[level];
		path->entry[level] = from->entry[level];
	}
	path->at[1] = (from->at[1] & PAGE_MASK) + i * sizeof(u64);
	path->top = from->top;
	path->write = from->write;
	path->user = from->user;
	path->exec = from->exec;
	path->unmarked = false;
}

/*
 * Walk the guest's tables for @f with the help of @w, an earlier walk in the same 2 MiB: if the
 * entries above level 1 have not changed, only the entry at level 1 must be examined.
 * Return: enum walk_verdict; WALK_AGAIN if @w is out of date or cannot be read
 */
static noinline int known_walk(const struct shadow_walk *w, struct shadow_fault *f,
			       const struct walk_regs *regs, struct walk_fault *fault)
{
	const unsigned int i = spte_index(f->gva >> PAGE_SHIFT, 1);
	u64 entry;

	if (!known_applies(w, f, regs->cr3) || !known_read(w, w->table + i, &entry))
		return WALK_AGAIN;
	known_path(w, f, i);
	return walk_leaf(&f->mode, regs, &gva_ops_fast, f->vcpu, f->gva, f->access, entry, &f->path,
			 &f->result, fault);
}

/* Set write, user and exec of w->path: the rights that all entries above level 1 allow. */
static void known_rights(struct shadow_walk *w)
{
	u8 all = SHADOW_ALL;
	int level;

	for (level = w->path.top; level > 1; level--)
		all &= shadow_access_of(&w->mode, w->path.entry[level]);
	w->path.write = all & SHADOW_WRITE;
	w->path.user = all & SHADOW_USER;
	w->path.exec = all & SHADOW_EXEC;
}

/*
 * Keep the walk of @f in @w, for later walks in the same 2 MiB of linear addresses. The walk has
 * come to level 1. At the first call for these 2 MiB only record them in w->seen; keep the walk at
 * the second call in a row.
 */
static noinline void known_keep(struct shadow_walk *w, const struct shadow_fault *f, u64 cr3)
{
	const struct walk_path *path = &f->path;
	struct okvm_memslot *slot;
	unsigned int i = 0;
	int level;

	if (f->mode.levels < 4)
		return;
	if (w->seen != (f->gva >> PMD_SHIFT) + 1) {
		w->seen = (f->gva >> PMD_SHIFT) + 1;
		return;
	}
	w->region = 0;
	for (level = path->top; level > 0; level--) {
		const gfn_t gfn = path->at[level] >> PAGE_SHIFT;
		unsigned long hva;

		slot = fault_slot(f->vcpu, gfn, &w->gen);
		if (!slot || w->gen & 1)
			return;
		hva = okvm_slot_hva(slot, gfn);
		if (level == 1) {
			w->table = (const u64 __user *)hva;
			break;
		}
		w->at[i] = (const u64 __user *)(hva + offset_in_page(path->at[level]));
		w->val[i++] = path->entry[level];
	}
	w->cr3 = cr3;
	w->mode = f->mode;
	w->path = *path;
	known_rights(w);
	w->region = w->seen;
}

int gva_walk_fast(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault)
{
	struct shadow_walk *w = &vcpu->mmu->shadow->walk[(f->gva >> PMD_SHIFT) % SHADOW_WALKS];
	int verdict = WALK_AGAIN;
	struct walk_regs regs;

	okvm_arch_walk_regs(vcpu, &regs);
	pagefault_disable();
	if (w->region == (f->gva >> PMD_SHIFT) + 1)
		verdict = known_walk(w, f, &regs, fault);
	if (verdict == WALK_AGAIN) {
		verdict = walk_noted(&f->mode, &regs, &gva_ops_fast, vcpu, f->gva, f->access,
				     &f->path, &f->result, fault);
		if (f->path.level == 1)
			known_keep(w, f, regs.cr3);
	}
	pagefault_enable();
	return verdict;
}

int gva_peek(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot;
	int ret = -EFAULT;
	hva_t hva;
	u32 half;
	u64 gen;

	slot = fault_slot(vcpu, gfn, &gen);
	if (!slot)
		return ret;
	hva = okvm_slot_hva(slot, gfn) + offset_in_page(gpa);
	pagefault_disable();
	if (size == 8) {
		ret = get_user(*val, (u64 __user *)hva);
	} else {
		ret = get_user(half, (u32 __user *)hva);
		*val = half;
	}
	pagefault_enable();
	return ret;
}

static int peek_line(hva_t hva, unsigned int size, u64 *val, unsigned int nr)
{
	unsigned int i;
	u32 half;

	if (!user_read_access_begin((void __user *)hva, nr * size))
		return -EFAULT;
	for (i = 0; i < nr; i++) {
		if (size == 8) {
			unsafe_get_user(val[i], (u64 __user *)hva + i, err_read);
		} else {
			unsafe_get_user(half, (u32 __user *)hva + i, err_read);
			val[i] = half;
		}
	}
	user_read_access_end();
	return 0;

err_read:
	user_read_access_end();
	return -EFAULT;
}

int gva_peek_line(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val, unsigned int nr)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct okvm_memslot *slot;
	int ret;
	u64 gen;

	slot = fault_slot(vcpu, gfn, &gen);
	if (!slot)
		return -EFAULT;
	pagefault_disable();
	ret = peek_line(okvm_slot_hva(slot, gfn) + offset_in_page(gpa), size, val, nr);
	pagefault_enable();
	return ret;
}

/*
 * Complete @note, the record of a walk that has led to @gpa. Set @note->nr to 0, so that nobody
 * uses the record, in these cases: the walk has failed; the guest is not in long mode; no memory
 * slot contains @gpa; the slots are being changed (odd generation); gva_note() could not record all
 * entries.
 */
static void note_finish(struct okvm_vcpu *vcpu, struct okvm_note *note, gpa_t gpa)
{
	struct okvm_memslot *slot = NULL;
	gfn_t gfn = gpa >> PAGE_SHIFT;

	if (gpa != OKVM_INVALID_GPA && vcpu->mmu->mode.levels >= 4)
		slot = fault_slot(vcpu, gfn, &note->gen);
	if (!slot || note->gen & 1 || note->nr > OKVM_NOTE_LEVELS) {
		note->nr = 0;
		return;
	}
	note->mode = vcpu->mmu->mode;
	note->hva = (const u64 __user *)(okvm_slot_hva(slot, gfn) + offset_in_page(gpa));
}

gpa_t okvm_mmu_gva_to_gpa_noted(struct okvm_vcpu *vcpu, gva_t gva, u32 acc,
				struct walk_fault *fault, struct okvm_note *note)
{
	struct walk_regs regs = {};
	gpa_t gpa;

	okvm_arch_walk_regs(vcpu, &regs);
	note->cr3 = regs.cr3;
	note->nr = 0;
	vcpu->mmu->note = note;
	gpa = okvm_mmu_gva_to_gpa(vcpu, gva, acc, fault);
	vcpu->mmu->note = NULL;
	note_finish(vcpu, note, gpa);
	return gpa;
}

/*
 * Return true if each recorded page-table entry still has its recorded value. If so, fill @bytes
 * with the 16 bytes at the address to which the walk leads.
 */
static __always_inline bool note_holds(const struct okvm_note *note, u64 bytes[2])
{
	const u64 __user *const *at = note->at, *const *end = note->at + note->nr;
	const u64 __user *code = note->hva;
	const u64 *want = note->val;
	u64 val;

	/*
	 * Only note->hva is checked to be a user address. The addresses in note->at[] need no
	 * check, because they were computed from memory slots.
	 */
	if (!user_read_access_begin(code, 16))
		return false;
	/*
	 * Use no array indices: a sanitizer would insert calls that check them, and calls are
	 * forbidden while access to user memory is enabled.
	 */
	do {
		unsafe_get_user(val, *at, failed);
		if (val != *want++)
			goto failed;
	} while (++at < end);
	unsafe_get_user(bytes[0], code, failed);
	unsafe_get_user(bytes[1], code + 1, failed);
	user_read_access_end();
	return true;

failed:
	user_read_access_end();
	return false;
}

bool okvm_mmu_noted(struct okvm_vcpu *vcpu, const struct okvm_note *note, u64 cr3, u64 bytes[2])
{
	bool holds;

	if (!note->nr || note->cr3 != cr3 ||
	    memcmp(&note->mode, &vcpu->mmu->mode, sizeof(note->mode)) ||
	    note->gen != okvm_slots_generation(vcpu->vm))
		return false;
	/* If the host has to fetch a page, fail: the caller's slow path waits for the page. */
	pagefault_disable();
	holds = note_holds(note, bytes);
	pagefault_enable();
	return holds;
}

bool okvm_mmu_load_pdptrs(struct okvm_vcpu *vcpu, unsigned long cr3, u64 pdptrs[4])
{
	u64 read[4];
	int i;

	/* The PDPT is 32-byte aligned and below 4 GiB (SDM "PAE Paging"). */
	if (okvm_read_guest(vcpu->vm, cr3 & 0xffffffe0, read, sizeof(read)))
		return false;
	for (i = 0; i < 4; i++) {
		if (!walk_pdpte_ok(&vcpu->mmu->mode, read[i]))
			return false;
	}
	memcpy(pdptrs, read, sizeof(read));
	return true;
}
