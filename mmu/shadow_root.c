// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roots: the tables at which hardware begins its walk. A vCPU keeps SHADOW_ROOTS of them.
 *
 * When the guest loads a CR3 value again, the old top table is used again. If the vCPU has kept the
 * root, the table is found at once. Otherwise it is looked up by frame and role, under mmu->lock.
 * Each load synchronizes the tables below the root, even if the guest asks for no flush (bit 63 of
 * the MOV CR3 operand). The reason is that okvm does not record per root which flushes the guest
 * has made.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "mmu/hw_ops.h"
#include "mmu/needs.h"
#include "mmu/shadow.h"

/*
 * Compute frame and role of top table @i (0 to 3) of a root with @key. Return: false if the root
 * has no such table
 */
static bool root_top(const struct shadow_root *key, const struct walk_mode *mode, unsigned int i,
		     gfn_t *gfn, u32 *role)
{
	*role = role_root(mode, (u64)i << 30);
	switch (mode->levels) {
	case 0:
		*gfn = (gfn_t)i << 18;
		return true;
	case 3:
		*gfn = (key->key[i] & SPTE_ADDR) >> PAGE_SHIFT;
		return key->key[i] & 1;
	case 2:
		*gfn = key->key[0];
		return true;
	default:
		*gfn = key->key[0];
		return !i;
	}
}

static gfn_t root_frame(const struct walk_mode *mode, u64 cr3)
{
	return (cr3 & GENMASK_ULL(mode->levels == 2 ? 31 : mode->maxphyaddr - 1, 12)) >>
	       PAGE_SHIFT;
}

static void root_key(struct okvm_vcpu *vcpu, struct shadow_root *key)
{
	const struct walk_mode *mode = &vcpu->mmu->mode;
	struct walk_regs regs = {};

	*key = (struct shadow_root){ .role = role_root(mode, 0) };
	if (!mode->levels)
		return;
	okvm_arch_walk_regs(vcpu, &regs);
	if (mode->levels == 3)
		memcpy(key->key, regs.pdptrs, sizeof(key->key));
	else
		key->key[0] = root_frame(mode, regs.cr3);
}

static bool root_alive(const struct shadow_root *r)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->top); i++) {
		if (r->top[i] && READ_ONCE(r->top[i]->dead))
			return false;
	}
	return r->role && !r->incomplete;
}

static struct shadow_root *root_find(struct shadow_vcpu *sv, const struct shadow_root *key)
{
	struct shadow_root *r;

	for (r = sv->root; r < sv->root + SHADOW_ROOTS; r++) {
		if (r->role == key->role && !memcmp(r->key, key->key, sizeof(key->key)) &&
		    root_alive(r))
			return r;
	}
	return NULL;
}

static void root_put(struct shadow_vm *sh, struct shadow_root *r)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->top); i++) {
		if (r->top[i])
			shadow_put_root(sh, r->top[i]);
	}
	*r = (struct shadow_root){};
}

/*
 * Choose the root to be replaced: an unused or unusable one (root_alive()), or else each in turn.
 */
static struct shadow_root *root_victim(struct shadow_vcpu *sv)
{
	struct shadow_root *r;

	for (r = sv->root; r < sv->root + SHADOW_ROOTS; r++) {
		if (!root_alive(r))
			return r;
	}
	sv->victim = (sv->victim + 1) % SHADOW_ROOTS;
	return &sv->root[sv->victim];
}

/*
 * Allocate what root_fill() needs. Set @there[i] to true if root_fill() shall make top table i. If
 * the frame of a top table is in no memory slot, make no table. Otherwise the guest could make okvm
 * allocate tables for any number of frames.
 */
static int root_reserve(struct okvm_vcpu *vcpu, struct shadow_root *key, bool there[4])
{
	const struct walk_mode *mode = &vcpu->mmu->mode;
	unsigned int i;
	gfn_t gfn;
	u32 role;
	u64 gen;

	for (i = 0; i < 4; i++) {
		there[i] = root_top(key, mode, i, &gfn, &role);
		if (!there[i] || role & ROLE_DIRECT)
			continue;
		there[i] = fault_slot(vcpu, gfn, &gen);
		key->incomplete |= !there[i];
		if (there[i] && !block_get(shadow_of(vcpu), gfn, 2, GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
	}
	return shadow_fill_spare(vcpu);
}

static void root_fill(struct okvm_vcpu *vcpu, struct shadow_root *r, const struct shadow_root *key,
		      const bool there[4])
{
	unsigned int i;
	gfn_t gfn;
	u32 role;

	*r = *key;
	for (i = 0; i < 4; i++) {
		if (!there[i])
			continue;
		root_top(key, &vcpu->mmu->mode, i, &gfn, &role);
		r->top[i] = shadow_get(vcpu, gfn, role);
		if (r->top[i])
			shadow_get_root(shadow_of(vcpu), r->top[i]);
		else
			r->incomplete = true;
	}
}

static struct shadow_root *root_make(struct okvm_vcpu *vcpu, struct shadow_root *key)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_root *r = root_victim(sv);
	bool there[4];
	int ret;

	ret = root_reserve(vcpu, key, there);
	if (ret)
		return ERR_PTR(ret);
	write_lock(&sh->mmu->lock);
	root_put(sh, r);
	shadow_make_room(sh);
	root_fill(vcpu, r, key, there);
	write_unlock(&sh->mmu->lock);
	return r;
}

/*
 * Leave the current root, which has at most @n top tables. Its translations may stay in TLBs until
 * the next root is loaded: the load flushes them before the vCPU enters the guest. Inline, because
 * guests load CR3 often.
 */
static __always_inline void root_leave(struct okvm_vcpu *vcpu, unsigned int n)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_root *r = sv->cur;
	unsigned int i;
	u64 bit;

	/*
	 * A new vCPU has no root. Return before okvm_vcpu_bit(), because a new vCPU has no index,
	 * either.
	 */
	if (!r)
		return;
	sv->cur = NULL;
	bit = okvm_vcpu_bit(vcpu);
	/* vCPUs with a high index share this bit, so it may still be needed: do not clear it. */
	if (bit == OKVM_VCPUS_OTHERS)
		return;
	for (i = 0; i < n; i++) {
		if (r->top[i])
			atomic64_andnot(bit, &r->top[i]->vcpus);
	}
	if (atomic64_read(&sh->stale) & bit)
		atomic64_andnot(bit, &sh->stale);
}

/*
 * Make @r, which has at most @n top tables, the current root. Another thread may zap one of these
 * tables at the same time. Then either shadow_zap_table() finds this vCPU in table->vcpus, or this
 * function finds that the table is dead.
 */
static __always_inline void root_enter(struct okvm_vcpu *vcpu, struct shadow_root *r,
				       unsigned int n)
{
	u64 bit = okvm_vcpu_bit(vcpu);
	bool dead = false;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!r->top[i])
			continue;
		atomic64_or(bit, &r->top[i]->vcpus);
		/*
		 * Write vcpus before reading dead; pairs with smp_mb() in shadow_zap_table(). Also
		 * write vcpus before hardware walks the tables; pairs with xchg() in drop_entry().
		 */
		smp_mb__after_atomic();
		dead |= READ_ONCE(r->top[i]->dead);
	}
	vcpu->mmu->shadow->cur = r;
	if (dead)
		okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
}

/* Fill in the four PDPTEs for @r. Hardware reads them from memory below 4 GiB. */
static u64 *root_pae(struct shadow_vcpu *sv, const struct shadow_root *r)
{
	u64 *pdpte = sv->pae[r - sv->root];
	unsigned int i;

	for (i = 0; i < 4; i++)
		pdpte[i] = r->top[i] ? spte_pdpte(__pa(r->top[i]->entry)) : 0;
	return pdpte;
}

static void root_use(struct okvm_vcpu *vcpu, struct shadow_root *r)
{
	const struct okvm_mmu_ops *ops = vcpu->vm->backend->mmu;
	int levels = vcpu->mmu->mode.levels;
	struct okvm_root root = { .level = 3 };

	if (levels < 4) {
		root.table = root_pae(vcpu->mmu->shadow, r);
	} else {
		root.level = levels;
		root.table = r->top[0] ? r->top[0]->entry : page_address(ZERO_PAGE(0));
	}
	root.pa = __pa(root.table);
	ops->set_root(vcpu, &root);
	ops->flush_tlb(vcpu, OKVM_TLB_GUEST, 0);
}

int shadow_load(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_root key, *r;

	if (vcpu->mmu->mode.levels < 4 && !sv->pae) {
		sv->pae = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT | __GFP_DMA32);
		if (!sv->pae)
			return -ENOMEM;
	}
	shadow_forget_walk(sv);
	root_leave(vcpu, ARRAY_SIZE(sv->cur->top));
	root_key(vcpu, &key);
	r = root_find(sv, &key);
	if (!r) {
		r = root_make(vcpu, &key);
		if (IS_ERR(r))
			return PTR_ERR(r);
	}
	root_enter(vcpu, r, ARRAY_SIZE(r->top));
	sync_root(vcpu);
	root_use(vcpu, r);
	return 0;
}

/*
 * Return the vCPU's kept root for the guest's CR3 and the paging mode of the current root (4 or 5
 * levels), or NULL.
 */
static struct shadow_root *root_find_long(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct walk_regs regs;
	struct shadow_root *r;
	gfn_t gfn;

	okvm_arch_walk_regs(vcpu, &regs);
	gfn = root_frame(&vcpu->mmu->mode, regs.cr3);
	for (r = sv->root; r < sv->root + SHADOW_ROOTS; r++) {
		if (r->role == sv->cur->role && r->key[0] == gfn && !r->incomplete &&
		    r->top[0] && !READ_ONCE(r->top[0]->dead))
			return r;
	}
	return NULL;
}

/*
 * Switch to a kept root for CR3. Return: false if there is none, or if a table is out of sync.
 * mmu->lock is not needed: the tables of the vCPU's own roots are not freed, and a zap of one of
 * them requests a reload (OKVM_REQ_MMU_RELOAD).
 */
bool shadow_cr3_fast(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_root *r;

	/*
	 * Pairs with unsync_frame(), which sets nr_unsync before the guest can write to the
	 * out-of-sync table. So if the guest has written before this flush, this read sees that
	 * nr_unsync is not 0.
	 */
	if (READ_ONCE(shadow_of(vcpu)->nr_unsync) || vcpu->mmu->mode.levels < 4 || !sv->cur)
		return false;
	r = root_find_long(vcpu);
	if (!r)
		return false;
	shadow_forget_walk(sv);
	if (r != sv->cur) {
		root_leave(vcpu, 1);
		root_enter(vcpu, r, 1);
	}
	root_use(vcpu, r);
	return true;
}

void shadow_unload(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_vm *sh = shadow_of(vcpu);
	unsigned int i;

	if (!sv)
		return;
	shadow_forget_walk(sv);
	root_leave(vcpu, ARRAY_SIZE(sv->cur->top));
	write_lock(&sh->mmu->lock);
	for (i = 0; i < SHADOW_ROOTS; i++)
		root_put(sh, &sv->root[i]);
	write_unlock(&sh->mmu->lock);
}

int shadow_vcpu_create(struct okvm_vcpu *vcpu)
{
	vcpu->mmu->shadow = kzalloc(sizeof(*vcpu->mmu->shadow), GFP_KERNEL_ACCOUNT);
	return vcpu->mmu->shadow ? 0 : -ENOMEM;
}

void shadow_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;

	if (!sv)
		return;
	shadow_unload(vcpu);
	while (sv->nr_spare)
		shadow_free_table(shadow_of(vcpu), sv->spare[--sv->nr_spare]);
	while (sv->nr_spare_link)
		kfree(sv->spare_link[--sv->nr_spare_link]);
	free_page((unsigned long)sv->pae);
	vcpu->mmu->shadow = NULL;
	kfree(sv);
}
