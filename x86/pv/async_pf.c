// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchronous page faults: while the host fetches a page of guest memory (from swap, a file or
 * userfaultfd), the guest can run other tasks.
 *
 * The guest enables the service by MSR. At an access to an absent page okvm injects a #PF whose CR2
 * is a token, and the guest puts the task that made the access to sleep. A work item, not the vCPU,
 * waits for the page. When the page is present, okvm writes the token to a record in guest memory
 * and raises an interrupt. Most guests do not accept such a #PF in kernel mode. In this case okvm
 * halts the vCPU instead, until the page is present or an interrupt comes. If the guest has
 * interrupts off, or has not enabled the service, okvm handles the fault synchronously.
 *
 * Upstream waits for all outstanding items when the guest disables the service and when a vCPU is
 * destroyed. That wait has no limit: userspace may never resolve a userfaultfd fault. okvm does not
 * wait, but drops the items. A dropped item frees itself when its page is present. Until then the
 * item has references to the mm, the module, its okvm_apf and its okvm_apf_queue, but none to the
 * vCPU.
 *
 * A VM has at most APF_PER_VM items; further faults are synchronous. The VM's own workqueue can run
 * all of them at the same time, so no item has to wait for the page of another item. Items are
 * charged to the VMM's memory cgroup. But the worker threads and their stacks are charged to
 * nobody, and outlive the VM and its process. So APF_PER_USER limits the items of all VMs of one
 * user.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <uapi/asm/kvm_para.h>

#include "core/compat.h"
#include "core/trace_kvm.h"
#include "mmu/needs.h"
#include "x86/cpu/event.h"
#include "x86/cpuid/cpuid.h"
#include "x86/pv/async_pf.h"

#define APF_PER_VCPU	64
/* Limits of unfinished items, including dropped ones and those of destroyed VMs. */
#define APF_PER_VM	128
#define APF_PER_USER	1024
#define APF_ALL		(~0u)	/* token that wakes all tasks of a vCPU */
#define APF_NO_GFN	(~(gfn_t)0)
#define APF_MODE	(KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)
#define APF_RESERVED	0x30ull
#define APF_FIELD(field)	offsetof(struct kvm_vcpu_pv_apf_data, field)
static_assert(APF_FIELD(flags) == 0 && APF_FIELD(token) == 4);
static_assert(OKVM_MAX_VCPU_ID <= 1 << 12);	/* a token's low 12 bits are the vCPU id */

/**
 * struct okvm_apf - asynchronous page faults of a vCPU
 * @users: reference count: one for the vCPU, and one for each item
 * @lock: guards @vcpu, @waiting and @ready; the vCPU thread alone uses the other members
 * @vcpu: NULL once the vCPU is destroyed
 * @waiting: items whose page is absent (dropped items are on no list)
 * @ready: items whose page is present
 * @msr: MSR_KVM_ASYNC_PF_EN
 * @irq_msr: MSR_KVM_ASYNC_PF_INT
 * @data: the record in guest memory
 * @nr: number of items on both lists
 * @last_gfn: gfn of the last item taken from @ready; if the next item would be for this page again,
 *	the fault is handled synchronously
 * @next: counter for tokens
 * @wake_all: announce APF_ALL next. Needed after a migration: tasks may wait for tokens of the old
 *	host, which okvm does not know
 */
struct okvm_apf {
	refcount_t users;

	spinlock_t lock;
	struct okvm_vcpu *vcpu;
	struct list_head waiting;
	struct list_head ready;

	u64 msr;
	u64 irq_msr;
	struct okvm_gpa_cache data;
	unsigned int nr;
	gfn_t last_gfn;
	u32 next;
	bool wake_all;
};

/**
 * struct apf_owner - count of the items of all VMs of one user
 * @node: entry in apf_owners
 * @user: the user, with a reference
 * @queues: number of okvm_apf_queue that point here; apf_owners_lock guards it
 * @running: number of unfinished items
 */
struct apf_owner {
	struct hlist_node node;
	struct user_struct *user;
	unsigned int queues;
	atomic_t running;
};

static DEFINE_MUTEX(apf_owners_lock);
static DEFINE_HASHTABLE(apf_owners, 6);

/**
 * struct okvm_apf_queue - workqueue of a VM's items; created when a guest first enables the service
 * @users: reference count: one for the VM, and one for each item
 * @owner: the VM's user, with a reference
 * @running: number of unfinished items
 * @wq: the workqueue
 * @reap: work item on apf_reaper that destroys @wq (an item on @wq itself cannot do so)
 */
struct okvm_apf_queue {
	refcount_t users;
	struct apf_owner *owner;
	atomic_t running;
	struct workqueue_struct *wq;
	struct work_struct reap;
};

/**
 * struct apf_work - work item that waits for one page
 * @work: fetches the page
 * @node: entry in a list of @apf, under apf->lock; empty if the item has been dropped
 * @apf: the vCPU's state, with a reference
 * @queue: the VM's queue, with a reference
 * @mm: the VMM's address space, with a reference
 * @hva: host virtual address of the page
 * @gfn: guest frame number of the page
 * @token: the token that identifies the page to the guest
 * @write: the access was a write
 * @announced: the guest got the token by #PF; false if the vCPU was halted instead
 */
struct apf_work {
	struct work_struct work;
	struct list_head node;
	struct okvm_apf *apf;
	struct okvm_apf_queue *queue;
	struct mm_struct *mm;
	hva_t hva;
	gfn_t gfn;
	u32 token;
	bool write;
	bool announced;
};

/* Workqueue that executes the work item okvm_apf_queue.reap of every VM. */
static struct workqueue_struct *apf_reaper;

/* ---- the owner ---- */

static struct apf_owner *apf_owner_find(struct user_struct *user)
{
	struct apf_owner *owner;

	lockdep_assert_held(&apf_owners_lock);
	hash_for_each_possible(apf_owners, owner, node, (unsigned long)user)
		if (owner->user == user)
			return owner;
	return NULL;
}

static struct apf_owner *apf_owner_get(void)
{
	struct apf_owner *new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	struct apf_owner *owner;

	if (!new)
		return NULL;
	mutex_lock(&apf_owners_lock);
	owner = apf_owner_find(current_user());
	if (!owner) {
		owner = new;
		new = NULL;
		owner->user = get_uid(current_user());
		hash_add(apf_owners, &owner->node, (unsigned long)owner->user);
	}
	owner->queues++;
	mutex_unlock(&apf_owners_lock);
	kfree(new);
	return owner;
}

static void apf_owner_put(struct apf_owner *owner)
{
	mutex_lock(&apf_owners_lock);
	if (!--owner->queues)
		hash_del(&owner->node);
	else
		owner = NULL;
	mutex_unlock(&apf_owners_lock);
	if (!owner)
		return;
	free_uid(owner->user);
	kfree(owner);
}

/* ---- the queue ---- */

static void apf_queue_reap(struct work_struct *work)
{
	struct okvm_apf_queue *queue = container_of(work, struct okvm_apf_queue, reap);

	/*
	 * The item that dropped the last reference may still run. destroy_workqueue() waits for it.
	 */
	destroy_workqueue(queue->wq);
	apf_owner_put(queue->owner);
	kfree(queue);
}

static void apf_queue_put(struct okvm_apf_queue *queue)
{
	if (refcount_dec_and_test(&queue->users))
		queue_work(apf_reaper, &queue->reap);
}

static struct okvm_apf_queue *apf_queue_new(void)
{
	struct okvm_apf_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);

	if (!queue)
		return NULL;
	refcount_set(&queue->users, 1);
	INIT_WORK(&queue->reap, apf_queue_reap);
	queue->owner = apf_owner_get();
	if (!queue->owner)
		goto err_free;
	queue->wq = alloc_workqueue("okvm_apf/%d", WQ_UNBOUND, APF_PER_VM, task_pid_nr(current));
	if (!queue->wq)
		goto err_put_owner;
	return queue;

err_put_owner:
	apf_owner_put(queue->owner);
err_free:
	kfree(queue);
	return NULL;
}

/* Create the VM's queue if there is none yet. If that fails, page faults stay synchronous. */
static void apf_queue_need(struct okvm_vm *vm)
{
	struct okvm_apf_queue *queue;

	if (READ_ONCE(vm->arch->apf_queue))
		return;
	queue = apf_queue_new();
	/* Publish the complete queue, or free it if another vCPU has published one before. */
	if (queue && cmpxchg(&vm->arch->apf_queue, NULL, queue))
		apf_queue_put(queue);
}

static bool apf_queue_enter(struct okvm_apf_queue *queue)
{
	if (atomic_inc_return(&queue->running) > APF_PER_VM)
		goto err_leave_queue;
	if (atomic_inc_return(&queue->owner->running) > APF_PER_USER)
		goto err_leave_owner;
	return true;

err_leave_owner:
	atomic_dec(&queue->owner->running);
err_leave_queue:
	atomic_dec(&queue->running);
	return false;
}

static void apf_queue_leave(struct okvm_apf_queue *queue)
{
	atomic_dec(&queue->owner->running);
	atomic_dec(&queue->running);
}

static void apf_put(struct okvm_apf *apf)
{
	if (refcount_dec_and_test(&apf->users))
		kfree(apf);
}

static void apf_work_free(struct apf_work *w)
{
	apf_put(w->apf);
	kfree(w);
}

/* Move finished item @w to the ready list; apf->lock is held. Return: false if @w was dropped */
static bool apf_hand_over(struct apf_work *w)
{
	struct okvm_apf *apf = w->apf;

	lockdep_assert_held(&apf->lock);
	if (list_empty(&w->node))
		return false;
	list_move_tail(&w->node, &apf->ready);
	okvm_request(OKVM_REQ_APF_READY, apf->vcpu);
	okvm_request_kick(OKVM_REQ_UNBLOCK, apf->vcpu);
	return true;
}

static void apf_work_fn(struct work_struct *work)
{
	struct apf_work *w = container_of(work, struct apf_work, work);
	struct okvm_apf_queue *queue = w->queue;
	struct okvm_apf *apf = w->apf;
	struct mm_struct *mm = w->mm;
	bool taken;

	/* Ignore an error: when the guest repeats the access, okvm gets the error again. */
	okvm_fault_in_remote(mm, w->hva, w->write);
	trace_kvm_async_pf_completed(w->hva, w->gfn << PAGE_SHIFT);
	spin_lock(&apf->lock);
	taken = apf_hand_over(w);
	spin_unlock(&apf->lock);
	if (!taken)
		apf_work_free(w);
	mmput(mm);
	apf_queue_leave(queue);
	apf_queue_put(queue);
	/*
	 * The module cannot be unloaded before this function returns: apf_queue_reap() waits until
	 * the function has returned, and okvm_apf_exit() waits for apf_queue_reap().
	 */
	module_put(THIS_MODULE);
}

/* Drop all items. Those whose page is absent only leave apf->waiting, and free themselves later. */
static void apf_forget(struct okvm_apf *apf)
{
	struct apf_work *w, *next;
	LIST_HEAD(ready);

	spin_lock(&apf->lock);
	list_for_each_entry_safe(w, next, &apf->waiting, node)
		list_del_init(&w->node);
	list_splice_init(&apf->ready, &ready);
	spin_unlock(&apf->lock);
	list_for_each_entry_safe(w, next, &ready, node)
		apf_work_free(w);
	apf->nr = 0;
	apf->last_gfn = APF_NO_GFN;
	apf->wake_all = false;
}

static bool apf_is_waited_for(struct okvm_apf *apf, gfn_t gfn)
{
	struct apf_work *w;
	bool found = false;

	spin_lock(&apf->lock);
	list_for_each_entry(w, &apf->waiting, node) {
		found = w->gfn == gfn;
		if (found)
			break;
	}
	spin_unlock(&apf->lock);
	return found;
}

/* Return a new token. It is neither 0, which means "no token", nor APF_ALL. */
static u32 apf_token(struct okvm_vcpu *vcpu)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;

	apf->next = apf->next >= 0xffffe ? 1 : apf->next + 1;
	return apf->next << 12 | vcpu->id;
}

static struct apf_work *apf_work_new(struct okvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write)
{
	struct okvm_apf_queue *queue = vcpu->vm->arch->apf_queue;
	struct okvm_apf *apf = vcpu->arch->pv->apf;
	struct apf_work *w;

	/* Do not sleep for memory: without an item the fault is handled synchronously. */
	w = kzalloc(sizeof(*w), GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (!w)
		return NULL;
	INIT_WORK(&w->work, apf_work_fn);
	w->apf = apf;
	w->queue = queue;
	w->mm = current->mm;
	w->hva = hva;
	w->gfn = gfn;
	w->write = write;
	w->token = apf_token(vcpu);
	refcount_inc(&apf->users);
	refcount_inc(&queue->users);
	mmget(w->mm);
	__module_get(THIS_MODULE);
	spin_lock(&apf->lock);
	list_add_tail(&w->node, &apf->waiting);
	spin_unlock(&apf->lock);
	apf->nr++;
	return w;
}

/* ---- a page is absent ---- */

static bool apf_enabled(const struct okvm_vcpu *vcpu)
{
	return (vcpu->arch->pv->apf->msr & APF_MODE) == APF_MODE;
}

/*
 * Return true if the guest accepts a #PF with a token now. In kernel mode, it does so only if it
 * has set SEND_ALWAYS.
 */
static bool apf_can_tell(struct okvm_vcpu *vcpu)
{
	if (!okvm_paging(vcpu))
		return false;
	return vcpu->arch->pv->apf->msr & KVM_ASYNC_PF_SEND_ALWAYS ||
	       vcpu->arch->reg_ops->get_cpl(vcpu);
}

bool okvm_arch_apf_possible(struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	if (!apf_enabled(vcpu) || ev->exc.pending || ev->exc.injected || ev->nmi_injected ||
	    ev->irq.injected)
		return false;
	/*
	 * With HLT exits disabled okvm must not halt the vCPU, so it must be able to inject the
	 * #PF.
	 */
	if (vcpu->vm->arch->disabled_exits & KVM_X86_DISABLE_EXITS_HLT && !apf_can_tell(vcpu))
		return false;
	return okvm_irq_allowed(vcpu);
}

static bool apf_tell(struct okvm_vcpu *vcpu, u32 token)
{
	static const u32 reason = KVM_PV_REASON_PAGE_NOT_PRESENT;
	struct okvm_apf *apf = vcpu->arch->pv->apf;

	if (!apf_can_tell(vcpu) || okvm_cache_write(vcpu->vm, &apf->data, &reason,
						    APF_FIELD(flags), sizeof(reason)))
		return false;
	okvm_queue_pf(vcpu, token, 0);
	return true;
}

/*
 * Halt the vCPU until the page is present or an interrupt comes. If the guest has skipped an EOI
 * (PV EOI), do it now: otherwise the old interrupt would block new ones of the same priority.
 */
static void apf_halt(struct okvm_vcpu *vcpu)
{
	vcpu->arch->apf_halted = true;
	okvm_apic_pv_eoi_exit(vcpu);
}

bool okvm_arch_apf_start(struct okvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write)
{
	struct okvm_apf_queue *queue = READ_ONCE(vcpu->vm->arch->apf_queue);
	struct okvm_apf *apf = vcpu->arch->pv->apf;
	struct apf_work *w;

	if (!queue)
		return false;
	trace_kvm_try_async_get_page(hva, gfn);
	if (apf_is_waited_for(apf, gfn)) {
		trace_kvm_async_pf_repeated_fault(hva, gfn);
		apf_halt(vcpu);
		return true;
	}
	if (apf->nr >= APF_PER_VCPU)
		return false;
	if (apf->last_gfn == gfn) {
		apf->last_gfn = APF_NO_GFN;
		return false;
	}
	if (!apf_queue_enter(queue))
		return false;
	w = apf_work_new(vcpu, gfn, hva, write);
	if (!w) {
		apf_queue_leave(queue);
		return false;
	}
	w->announced = apf_tell(vcpu, w->token);
	vcpu->arch->apf_halted = false;
	if (!w->announced)
		apf_halt(vcpu);
	trace_kvm_async_pf_not_present(w->token, hva);
	queue_work(queue->wq, &w->work);
	return true;
}

/* ---- a page is present ---- */

/*
 * Take the first item with the given value of @announced off apf->ready.
 * Return: the item, or NULL
 */
static struct apf_work *apf_take(struct okvm_apf *apf, bool announced)
{
	struct apf_work *w, *found = NULL;

	spin_lock(&apf->lock);
	list_for_each_entry(w, &apf->ready, node) {
		if (w->announced != announced)
			continue;
		found = w;
		list_del_init(&w->node);
		break;
	}
	spin_unlock(&apf->lock);
	if (found) {
		trace_kvm_async_pf_ready(found->token, found->hva);
		apf->nr--;
		apf->last_gfn = found->gfn;
	}
	return found;
}

static bool apf_record_is_free(struct okvm_vcpu *vcpu)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;
	u32 token;

	return okvm_apic_sw_enabled(vcpu) &&
	       !okvm_cache_read(vcpu->vm, &apf->data, &token, APF_FIELD(token), sizeof(token)) &&
	       !token;
}

static void apf_announce(struct okvm_vcpu *vcpu, u32 token)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;

	/*
	 * If this write fails, the token is lost. okvm has just read the record, so the write fails
	 * only if the record is read-only or the VMM unmaps it at this moment.
	 */
	if (!okvm_cache_write(vcpu->vm, &apf->data, &token, APF_FIELD(token), sizeof(token)))
		okvm_apic_raise(vcpu, apf->irq_msr);
}

void okvm_apf_ready(struct okvm_vcpu *vcpu)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;
	struct apf_work *w;

	/*
	 * Wake the vCPU if it is halted. If the page that it needs is still absent, it halts again.
	 */
	vcpu->arch->apf_halted = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	while ((w = apf_take(apf, false)))
		apf_work_free(w);
	if (!apf_enabled(vcpu) || !apf_record_is_free(vcpu))
		return;
	if (apf->wake_all) {
		apf->wake_all = false;
		apf_announce(vcpu, APF_ALL);
		return;
	}
	w = apf_take(apf, true);
	if (!w)
		return;
	apf_announce(vcpu, w->token);
	apf_work_free(w);
}

/* ---- MSRs ---- */

static int apf_set_enable(struct okvm_vcpu *vcpu, u64 val)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;

	if (val & APF_RESERVED)
		return OKVM_MSR_GP;
	/* DELIVERY_AS_PF_VMEXIT matters to nested guests only, which okvm does not support. */
	if (val & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT &&
	    !okvm_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_VMEXIT))
		return OKVM_MSR_GP;
	if (val & KVM_ASYNC_PF_DELIVERY_AS_INT && !okvm_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_INT))
		return OKVM_MSR_GP;
	if (!okvm_lapic_in_kernel(vcpu))
		return val ? OKVM_MSR_GP : OKVM_MSR_OK;
	if ((val & APF_MODE) == APF_MODE &&
	    okvm_cache_init(vcpu->vm, &apf->data, val & ~0x3full, sizeof(u64)))
		return OKVM_MSR_GP;
	apf->msr = val;
	if (!apf_enabled(vcpu)) {
		apf_forget(apf);
		okvm_request(OKVM_REQ_APF_READY, vcpu);
		return OKVM_MSR_OK;
	}
	apf_queue_need(vcpu->vm);
	apf->wake_all = true;
	okvm_request(OKVM_REQ_APF_READY, vcpu);
	return OKVM_MSR_OK;
}

static int apf_set_vector(struct okvm_vcpu *vcpu, u64 val)
{
	if (val >> 8 || (val && !okvm_lapic_in_kernel(vcpu)))
		return OKVM_MSR_GP;
	vcpu->arch->pv->apf->irq_msr = val;
	return OKVM_MSR_OK;
}

int okvm_apf_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	switch (msr) {
	case MSR_KVM_ASYNC_PF_EN:
		return apf_set_enable(vcpu, val);
	case MSR_KVM_ASYNC_PF_INT:
		return apf_set_vector(vcpu, val);
	default:
		/*
		 * The guest has read the token: the record in guest memory is free for the next
		 * token.
		 */
		if (val & 1)
			okvm_request(OKVM_REQ_APF_READY, vcpu);
		return OKVM_MSR_OK;
	}
}

u64 okvm_apf_get_msr(const struct okvm_vcpu *vcpu, u32 msr)
{
	const struct okvm_apf *apf = vcpu->arch->pv->apf;

	switch (msr) {
	case MSR_KVM_ASYNC_PF_EN:
		return apf->msr;
	case MSR_KVM_ASYNC_PF_INT:
		return apf->irq_msr;
	default:
		return 0;
	}
}

/* ---- life ---- */

struct okvm_apf *okvm_apf_create(struct okvm_vcpu *vcpu)
{
	struct okvm_apf *apf = kzalloc(sizeof(*apf), GFP_KERNEL_ACCOUNT);

	if (!apf)
		return NULL;
	refcount_set(&apf->users, 1);
	spin_lock_init(&apf->lock);
	INIT_LIST_HEAD(&apf->waiting);
	INIT_LIST_HEAD(&apf->ready);
	apf->vcpu = vcpu;
	apf->last_gfn = APF_NO_GFN;
	return apf;
}

void okvm_apf_destroy(struct okvm_apf *apf)
{
	if (!apf)
		return;
	/* Drop all items: a dropped item is on no list and does not use apf->vcpu. */
	apf_forget(apf);
	apf->vcpu = NULL;
	apf_put(apf);
}

void okvm_apf_reset(struct okvm_vcpu *vcpu)
{
	struct okvm_apf *apf = vcpu->arch->pv->apf;

	apf->msr = 0;
	apf->irq_msr = 0;
	apf_forget(apf);
	vcpu->arch->apf_halted = false;
}

void okvm_apf_vm_destroy(struct okvm_vm *vm)
{
	if (vm->arch->apf_queue)
		apf_queue_put(vm->arch->apf_queue);
}

int okvm_apf_init(void)
{
	apf_reaper = alloc_workqueue("okvm_apf_reaper", WQ_UNBOUND, 0);
	return apf_reaper ? 0 : -ENOMEM;
}

void okvm_apf_exit(void)
{
	destroy_workqueue(apf_reaper);
}
