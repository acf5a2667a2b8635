// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliver interrupt messages to local APICs, and build the map of the APICs in a VM.
 *
 * Delivery runs in any context, reads the map under RCU and takes no lock. A sender that finds the
 * vector's IRR bit clear sets it and kicks the target vCPU, or leaves the kick to a work item. A
 * sender that finds the bit set kicks only if the first kick may come too late for it.
 */
#include <linux/bitops.h>
#include <linux/kvm_para.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "core/trace_kvm.h"
#include "irq/internal.h"
#include "irq/needs.h"
#include "irq/vlapic.h"

/* ---- the map ---- */

static struct okvm_apic_map *map_build(struct okvm_vm *vm)
{
	struct okvm_apic_map *map;
	struct okvm_vcpu *vcpu;
	unsigned long idx;
	u32 max_id = 0, nr = 0;

	okvm_for_each_vcpu(idx, vcpu, vm) {
		max_id = max(max_id, vcpu->id);
		nr++;
	}
	map = kvzalloc(offsetof(struct okvm_apic_map, map) + lapic_map_size(max_id, nr),
		       GFP_KERNEL_ACCOUNT);
	if (!map)
		return NULL;
	lapic_map_init(&map->map, max_id, okvm_irq(vm)->x2apic_no_broadcast_quirk);
	okvm_for_each_vcpu(idx, vcpu, vm) {
		/*
		 * Leave out vCPUs that came online after the first loop: the next map will contain
		 * them.
		 */
		if (map->map.nr == nr || vcpu->id > max_id)
			break;
		if (vcpu->apic)
			lapic_map_add(&map->map, &vcpu->apic->l);
	}
	return map;
}

static void map_publish(struct okvm_irq_vm *irq, struct okvm_apic_map *map)
{
	struct okvm_apic_map *old;

	old = rcu_replace_pointer(irq->apic_map, map, lockdep_is_held(&irq->apic_map_lock));
	if (old)
		kvfree_rcu(old, rcu);
}

void okvm_apic_map_update(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct okvm_apic_map *map;

	/*
	 * The caller has changed an APIC. Set apic_map_dirty before taking the lock: the thread
	 * that clears apic_map_dirty builds a map that includes the caller's change.
	 */
	atomic_set(&irq->apic_map_dirty, 1);
	mutex_lock(&irq->apic_map_lock);
	if (atomic_xchg(&irq->apic_map_dirty, 0)) {
		map = map_build(vm);
		if (map)
			map_publish(irq, map);
		else
			atomic_set(&irq->apic_map_dirty, 1);	/* keep the old map */
	}
	mutex_unlock(&irq->apic_map_lock);
}

void okvm_apic_map_drop(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);

	mutex_lock(&irq->apic_map_lock);
	if (rcu_access_pointer(irq->apic_map)) {
		map_publish(irq, NULL);
		synchronize_rcu();
	}
	mutex_unlock(&irq->apic_map_lock);
}

/* ---- delivery to one target ---- */

/*
 * enum kick - how a message makes its target vCPU notice the request
 *
 * A message to all vCPUs may come from a timer or a line, with IRQs off and perhaps with
 * ioapic_lock held. Setting a request bit in each vCPU is quick, but a kick of each vCPU takes too
 * long then. So a device's message kicks only the first KICKS_AT_ONCE targets at once, and a work
 * item kicks the others. The work item is not bound to a CPU: a vCPU thread with real-time priority
 * could keep a bound work item from running.
 */
enum kick {
	KICK_NONE,	/* the calling thread is the target vCPU's own */
	KICK_NOW,
	KICK_LATE,
};

#define KICKS_AT_ONCE	16

static void kick(struct okvm_apic *apic, enum kick mode)
{
	if (mode == KICK_NOW)
		okvm_vcpu_kick(apic->vcpu);
	else if (mode == KICK_LATE)
		WRITE_ONCE(apic->kick_late, true);
}

static void request_and_kick(struct okvm_apic *apic, enum kick mode, enum okvm_req req)
{
	okvm_request(req, apic->vcpu);
	kick(apic, mode);
}

static void kick_late_work(struct work_struct *work)
{
	struct okvm_irq_vm *irq = container_of(work, struct okvm_irq_vm, kick_work);
	struct okvm_vcpu *vcpu;
	unsigned long i;

	okvm_for_each_vcpu(i, vcpu, irq->vm) {
		/*
		 * Clear kick_late before the kick. A sender that needs a later kick sets
		 * kick_late again and queues the work item again.
		 */
		if (vcpu->apic && READ_ONCE(vcpu->apic->kick_late) &&
		    xchg(&vcpu->apic->kick_late, false))
			okvm_vcpu_kick(vcpu);
		cond_resched();
	}
}

void okvm_apic_kicks_init(struct okvm_irq_vm *irq)
{
	INIT_WORK(&irq->kick_work, kick_late_work);
}

/* Queue the work item; the caller has set kick_late in all targets that it kicks late. */
static void kick_rest(struct okvm_vm *vm)
{
	queue_work(system_unbound_wq, &okvm_irq(vm)->kick_work);
}

void okvm_apic_request_all(struct okvm_vm *vm, enum okvm_req req)
{
	/* With IRQs on, the loop over all vCPUs delays no interrupt: kick all of them here. */
	unsigned long at_once = irqs_disabled() ? KICKS_AT_ONCE : OKVM_MAX_VCPUS;
	struct okvm_vcpu *vcpu;
	unsigned long i;

	okvm_for_each_vcpu(i, vcpu, vm) {
		if (vcpu->apic)
			request_and_kick(vcpu->apic, i < at_once ? KICK_NOW : KICK_LATE, req);
	}
	/* i is now the number of vCPUs. Those with index at_once or higher got KICK_LATE. */
	if (i >= at_once)
		kick_rest(vm);
}

/*
 * After a vector was posted or was found set in IRR, make sure that somebody kicks the vCPU.
 *
 * KICK_LATE: let the work item kick. KICK_NOW: usually there is nothing to do, because post_irq()
 * or the sender that set the IRR bit has kicked. But if that sender has left its kick to the work
 * item (kick_late), kick here: a KICK_NOW message must not wait for the work item. KICK_NONE: do
 * nothing.
 */
static void kick_posted(struct okvm_apic *apic, enum kick mode)
{
	if (mode == KICK_LATE)
		kick(apic, mode);
	else if (mode == KICK_NOW && unlikely(READ_ONCE(apic->kick_late)))
		okvm_vcpu_kick(apic->vcpu);
}

static void post_vector(struct okvm_apic *apic, enum kick mode, u8 vector)
{
	struct okvm_vcpu *vcpu = apic->vcpu;

	/*
	 * The guest receives a posted vector without a VM exit, and the EOI for the vector causes a
	 * VM exit only if the EOI-exit bitmap has the vector. So while the vCPU still has to load a
	 * new bitmap, do not post the vector: use IRR and a request.
	 */
	if (READ_ONCE(apic->posted) && mode != KICK_NONE &&
	    !okvm_test_request(OKVM_REQ_EOI_MAP, vcpu) &&
	    apic->ops->post_irq(vcpu, vector, mode == KICK_NOW)) {
		kick_posted(apic, mode);
		return;
	}
	if (lapic_set_irr(&apic->l, vector))
		request_and_kick(apic, mode, OKVM_REQ_EVENT);
	else
		kick_posted(apic, mode);
}

/*
 * Deliver the error LVT entry. If the vector in the entry is illegal, deliver nothing: the delivery
 * itself would be another error, and so on for ever.
 */
static void error_entry(struct okvm_apic *apic, enum kick mode)
{
	u32 lvt = lapic_get(&apic->l, APIC_LVTERR);

	if (!(lvt & APIC_LVT_MASKED) && (lvt & APIC_VECTOR_MASK) >= 16)
		post_vector(apic, mode, lvt & APIC_VECTOR_MASK);
}

static void accept_init(struct okvm_apic *apic, enum kick mode)
{
	/* INIT discards a pending SIPI. */
	clear_bit(OKVM_APIC_SIPI, &apic->events);
	set_bit(OKVM_APIC_INIT, &apic->events);
	request_and_kick(apic, mode, OKVM_REQ_EVENT);
}

static void accept_sipi(struct okvm_apic *apic, enum kick mode, u8 vector)
{
	WRITE_ONCE(apic->sipi_vector, vector);
	smp_wmb();	/* write the vector before the bit; pairs with okvm_apic_take_sipi() */
	set_bit(OKVM_APIC_SIPI, &apic->events);
	request_and_kick(apic, mode, OKVM_REQ_EVENT);
}

static int accept(struct okvm_apic *apic, enum kick mode, const struct lapic_irq *irq)
{
	trace_kvm_apic_accept_irq(apic->vcpu->id, irq->delivery_mode, irq->trig_mode, irq->vector);
	switch (lapic_accept(&apic->l, irq)) {
	case LAPIC_ACCEPT_IRQ:
		post_vector(apic, mode, irq->vector);
		return 1;
	case LAPIC_ACCEPT_NMI:
		okvm_arch_queue_nmi(apic->vcpu);
		kick(apic, mode);
		return 1;
	case LAPIC_ACCEPT_INIT:
		accept_init(apic, mode);
		return 1;
	case LAPIC_ACCEPT_SIPI:
		accept_sipi(apic, mode, irq->vector);
		return 1;
	case LAPIC_ACCEPT_ERROR:
		error_entry(apic, mode);
		return 0;
	case LAPIC_ACCEPT_SMI:		/* no SMM: KVM_CAP_X86_SMM is 0 */
	case LAPIC_REFUSED:
		return 0;
	}
	return 0;
}

/*
 * Deliver @irq to one APIC. @src is the vCPU whose thread calls, or NULL. Return: 1 if the APIC has
 * accepted the message, otherwise 0
 */
static int apic_accept(struct okvm_apic *apic, const struct okvm_vcpu *src,
		       const struct lapic_irq *irq)
{
	return accept(apic, apic->vcpu == src ? KICK_NONE : KICK_NOW, irq);
}

/*
 * Deliver a tick of the timer, which comes often: the entry has no delivery mode and no trigger
 * mode, so the tick is a vector in IRR. Return: false if the tick needs the general way
 */
static bool deliver_tick(struct okvm_apic *apic)
{
	u32 lvt = lapic_get(&apic->l, APIC_LVTT);
	u8 vector = lvt & APIC_VECTOR_MASK;

	if (lvt & APIC_LVT_MASKED || vector < 16 || !lapic_enabled(&apic->l) ||
	    trace_kvm_apic_accept_irq_enabled())
		return false;
	lapic_set_tmr(&apic->l, vector, false);
	if (lapic_set_irr(&apic->l, vector))
		okvm_request(OKVM_REQ_EVENT, apic->vcpu);
	return true;
}

int okvm_apic_local(struct okvm_apic *apic, enum lapic_lvt lvt)
{
	struct lapic_irq irq;

	if (lvt == LAPIC_LVT_TIMER && likely(deliver_tick(apic)))
		return 1;
	if (lvt == LAPIC_LVT_ERROR) {
		error_entry(apic, KICK_NONE);
		return 1;
	}
	if (!lapic_local(&apic->l, lvt, &irq))
		return 0;
	return apic_accept(apic, apic->vcpu, &irq);
}

void okvm_apic_cmci(struct okvm_vcpu *vcpu)
{
	okvm_apic_local(vcpu->apic, LAPIC_LVT_CMCI);
}

void okvm_apic_lint0_nmi(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (apic && lapic_hw_enabled(&apic->l) && lapic_lvt0_nmi(&apic->l)) {
		okvm_arch_queue_nmi(vcpu);
		okvm_vcpu_kick(vcpu);
	}
}

/* ---- delivery to all targets ---- */

/**
 * struct message - a message during its delivery
 * @src: the vCPU whose thread sends, or NULL
 * @from: the APIC of @src, or NULL
 * @irq: the message
 * @map: the destination map, under RCU
 * @dests: the APICs that may be destinations
 * @sent: number of targets so far
 */
struct message {
	const struct okvm_vcpu *src;
	const struct lapic *from;
	const struct lapic_irq *irq;
	const struct lapic_map *map;
	struct lapic_dests dests;
	u32 sent;
};

static bool addressed(const struct message *m, u32 slot)
{
	return lapic_match_dest(m->dests.slot[slot], m->from, m->irq, m->map->no_quirk);
}

static int send_to(struct message *m, u32 slot)
{
	struct okvm_apic *apic = okvm_apic_of(m->dests.slot[slot]);

	/*
	 * Limit the number of kicks at once, but only for a device's message. An IPI needs no
	 * limit: IRQs are on when a vCPU sends an IPI to many targets.
	 */
	if (!m->src && m->sent++ >= KICKS_AT_ONCE)
		return accept(apic, KICK_LATE, m->irq);
	return apic_accept(apic, m->src, m->irq);
}

static int send_all(struct message *m)
{
	unsigned long mask = m->dests.mask;
	int taken = 0, found = 0;
	u32 i;

	if (!m->dests.search) {
		for_each_set_bit(i, &mask, 16)
			taken += send_to(m, i);
		return taken;
	}
	for (i = 0; i < m->dests.nr; i++) {
		if (addressed(m, i)) {
			taken += send_to(m, i);
			found++;
		}
	}
	return found ? taken : -1;
}

static bool candidate(const struct message *m, u32 slot)
{
	if (!m->dests.search && !(m->dests.mask & BIT(slot)))
		return false;
	if (m->dests.search && !addressed(m, slot))
		return false;
	return lapic_enabled(m->dests.slot[slot]);
}

/*
 * Send the message to one of the candidates. The vector selects which one.
 * Return: number of vCPUs that accepted the message (0 or 1), or -1 if it has no destination
 */
static int send_lowest(struct message *m)
{
	u32 slots = m->dests.search ? m->dests.nr : 16;
	u32 i, nr = 0, pick;

	for (i = 0; i < slots; i++)
		nr += candidate(m, i);
	if (!nr)
		return m->dests.search ? -1 : 0;
	pick = lapic_lowest(m->irq->vector, nr);
	for (i = 0; i < slots; i++)
		if (candidate(m, i) && !pick--)
			return send_to(m, i);
	return 0;	/* a candidate has disabled its APIC since the candidates were counted */
}

/*
 * Return true if only one of the destinations gets the message (lowest-priority delivery). Like
 * upstream KVM, send a physical broadcast to all even with this delivery mode.
 */
static bool wants_lowest(const struct lapic_irq *irq)
{
	return lapic_irq_lowest(irq) &&
	       !(irq->dest_mode == APIC_DEST_PHYSICAL && irq->dest_id == LAPIC_BROADCAST);
}

static noinline int send_to_found(struct okvm_vm *vm, const struct lapic_map *map,
				  const struct okvm_vcpu *src, const struct lapic_irq *irq)
{
	struct message m = { .src = src, .irq = irq, .map = map };
	int taken;

	m.from = src ? &src->apic->l : NULL;
	lapic_map_find(map, m.from, irq, &m.dests);
	taken = wants_lowest(irq) ? send_lowest(&m) : send_all(&m);
	if (m.sent > KICKS_AT_ONCE)
		kick_rest(vm);
	return taken;
}

int okvm_apic_deliver(struct okvm_vm *vm, struct okvm_vcpu *src, const struct lapic_irq *irq)
{
	const struct okvm_apic_map *map;
	struct lapic *one;
	int r = -1;

	if (irq->shorthand == APIC_DEST_SELF)
		return src ? apic_accept(src->apic, src, irq) : -1;
	rcu_read_lock();
	map = rcu_dereference(okvm_irq(vm)->apic_map);
	if (map) {
		one = lapic_map_one(&map->map, irq);
		r = one ? apic_accept(okvm_apic_of(one), src, irq) :
			  send_to_found(vm, &map->map, src, irq);
	}
	rcu_read_unlock();
	return r;
}

void okvm_apic_raise(struct okvm_vcpu *vcpu, u8 vector)
{
	const struct lapic_irq irq = {
		.vector = vector, .delivery_mode = APIC_DM_FIXED, .level = true,
	};

	apic_accept(vcpu->apic, vcpu, &irq);
}

struct okvm_vcpu *okvm_apic_dest(struct okvm_vm *vm, u32 apic_id)
{
	const struct lapic_irq irq = { .dest_id = apic_id, .dest_mode = APIC_DEST_PHYSICAL };
	const struct okvm_apic_map *map;
	struct okvm_vcpu *vcpu = NULL;
	struct lapic_dests dests;

	rcu_read_lock();
	map = rcu_dereference(okvm_irq(vm)->apic_map);
	if (map) {
		lapic_map_find(&map->map, NULL, &irq, &dests);
		if (!dests.search && dests.mask)
			vcpu = okvm_apic_of(dests.slot[0])->vcpu;
	}
	rcu_read_unlock();
	return vcpu;
}

/* ---- the paravirtual IPI hypercall ---- */

static long pv_send(const struct lapic_map *map, u64 bits, u32 min, const struct lapic_irq *irq)
{
	long taken = 0;
	u32 id;

	while (bits) {
		u32 bit = __ffs64(bits);

		bits &= bits - 1;
		if (check_add_overflow(min, bit, &id) || id > map->max_id)
			break;
		id = array_index_nospec(id, map->max_id + 1);
		if (map->phys[id])
			taken += apic_accept(okvm_apic_of(map->phys[id]), NULL, irq);
	}
	return taken;
}

long okvm_apic_pv_send_ipi(struct okvm_vm *vm, u64 low, u64 high, u32 min, u64 icr, bool mode64)
{
	const struct lapic_irq irq = {
		.vector = icr & APIC_VECTOR_MASK,
		.delivery_mode = icr & APIC_MODE_MASK,
		.level = icr & APIC_INT_ASSERT,
		.trig_mode = icr & APIC_INT_LEVELTRIG,
	};
	const struct okvm_apic_map *map;
	u32 width = mode64 ? 64 : 32;
	long taken = -KVM_EOPNOTSUPP;

	if (icr & (LAPIC_DEST_MODE_MASK | LAPIC_SHORT_MASK))
		return -KVM_EINVAL;
	if (!mode64) {
		low = (u32)low;
		high = (u32)high;
	}
	rcu_read_lock();
	map = rcu_dereference(okvm_irq(vm)->apic_map);
	if (map) {
		taken = pv_send(&map->map, low, min, &irq);
		if (min <= U32_MAX - width)
			taken += pv_send(&map->map, high, min + width, &irq);
	}
	rcu_read_unlock();
	return taken;
}
