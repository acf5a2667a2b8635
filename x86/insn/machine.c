// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that the emulator calls. They access linear memory (through the guest's page
 * tables), ports and the vCPU's registers.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <asm/trapnr.h>

#include "core/guestmem.h"
#include "mmu/hw_ops.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/regs.h"
#include "x86/cpuid/cpuid.h"
#include "x86/insn/access_log.h"
#include "x86/insn/machine_fpu.h"
#include "x86/msr/msr.h"
#include "x86/msr/msr_filter.h"
#include "x86/msr/msr_table.h"

static struct okvm_emulation *emul_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct okvm_emulation, ctx);
}

static struct okvm_vcpu *vcpu_of(struct emul_ctx *ctx)
{
	return emul_of(ctx)->vcpu;
}

/* ---- memory ---- */

static u32 access_of(enum emul_access acc, bool write, u8 cpl)
{
	u32 bits = 0;

	if (write || acc == EMUL_DATA_RMW)
		bits |= OKVM_ACC_WRITE;
	if (acc == EMUL_SYSTEM)
		bits |= OKVM_ACC_IMPLICIT;
	else if (cpl == 3)
		bits |= OKVM_ACC_USER;
	return bits;
}

/*
 * Convert the result of a page walk for @la. If the walk failed, raise #PF with the error code in
 * @fault; if it was given up, return EMUL_UNHANDLEABLE. (A page table at a device counts as not
 * present.)
 */
static enum emul_rc translated(struct emul_ctx *ctx, u64 la, gpa_t gpa,
			       const struct walk_fault *fault)
{
	if (gpa != OKVM_INVALID_GPA)
		return EMUL_OK;
	if (fault->gave_up) {
		emul_of(ctx)->raced = true;
		return EMUL_UNHANDLEABLE;
	}
	return emul_fault_page(ctx, la, fault->error_code);
}

/*
 * Signals are pending, but must not end the wait for a page: block these signals until
 * release_signals(). Signals that come later still end the wait, because they may be fatal.
 * OKVM_VCPU_KICK ends it, too.
 */
static void hold_signals(struct okvm_emulation *e)
{
	/* Only the thread itself can replace its sighand, so no RCU read section is needed. */
	struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);
	sigset_t pending;

	if (!e->holds_signals)
		e->blocked = current->blocked;
	e->holds_signals = true;
	spin_lock_irq(&sighand->siglock);
	sigorsets(&pending, &current->pending.signal, &current->signal->shared_pending.signal);
	spin_unlock_irq(&sighand->siglock);
	/*
	 * Do not block SIGBUS: the kernel sends SIGBUS if memory of the host is broken, and kills
	 * a thread that blocks SIGBUS.
	 */
	sigdelsetmask(&pending, sigmask(SIGKILL) | sigmask(SIGBUS));
	sigprocmask(SIG_BLOCK, &pending, NULL);
	/*
	 * Stop a repeated string instruction after this iteration, so that the signals can end
	 * KVM_RUN.
	 */
	e->ctx.stop = true;
	/*
	 * Task work and a stop of the process cannot be blocked: they make signal_pending() true,
	 * which would end each wait at once. With e->repeatable clear, okvm waits in page faults of
	 * the kernel, which only a fatal signal ends.
	 */
	if (signal_pending(current))
		e->repeatable = false;
}

static void release_signals(struct okvm_emulation *e)
{
	if (likely(!e->holds_signals))
		return;
	e->holds_signals = false;
	e->repeatable = true;
	sigprocmask(SIG_SETMASK, &e->blocked, NULL);
}

/*
 * A signal or a race has stopped a walk or a wait. Return true if it must be tried again in this
 * KVM_RUN: the instruction has had effects, so it cannot begin anew, and KVM_RUN need not end.
 */
static bool must_go_on(struct okvm_emulation *e)
{
	if (!okvm_emul_has_effects(e) || okvm_emul_ends_run(e))
		return false;
	if (signal_pending(current))
		hold_signals(e);
	return true;
}

static bool can_give_up(const struct okvm_emulation *e)
{
	return e->repeatable && !(e->once && okvm_emul_has_effects(e));
}

/*
 * A page walk was given up: other vCPUs changed a page-table entry during each try, or there was a
 * signal or a kick. Return true if the walk must begin again in this KVM_RUN. If the emulation
 * cannot be given up, only a fatal signal prevents this.
 */
static bool must_retry_walk(struct okvm_emulation *e)
{
	return can_give_up(e) ? must_go_on(e) : !fatal_signal_pending(current);
}

static u32 walk_access(const struct okvm_emulation *e, u32 acc)
{
	return can_give_up(e) ? acc : acc | OKVM_ACC_PATIENT;
}

static enum emul_rc translate(struct emul_ctx *ctx, u64 la, u32 acc, gpa_t *gpa)
{
	struct walk_fault fault = { };

	do {
		*gpa = okvm_mmu_gva_to_gpa(vcpu_of(ctx), la, walk_access(emul_of(ctx), acc),
					   &fault);
	} while (fault.gave_up && must_retry_walk(emul_of(ctx)));
	release_signals(emul_of(ctx));
	return translated(ctx, la, *gpa, &fault);
}

/*
 * struct mem_access - an access to memory within one page
 * @op: MEM_READ, MEM_WRITE, or MEM_EXCHANGE: write @data if memory holds @old
 * @entry: the log entry of a MEM_WRITE
 */
struct mem_access {
	enum { MEM_READ, MEM_WRITE, MEM_EXCHANGE } op;
	unsigned int len;
	gpa_t gpa;
	void *data;
	const void *old;
	struct emul_log_entry *entry;
};

static int mem_exchange(struct okvm_vm *vm, const struct mem_access *m)
{
	u64 expected[2] = { }, wanted[2] = { };

	memcpy(expected, m->old, m->len);
	memcpy(wanted, m->data, m->len);
	if (m->len == 16)
		return okvm_cmpxchg16_guest(vm, m->gpa, expected, wanted);
	return okvm_cmpxchg_guest(vm, m->gpa, m->len, expected, wanted[0]);
}

static int mem_once(struct okvm_vm *vm, const struct mem_access *m)
{
	switch (m->op) {
	case MEM_READ:
		return okvm_read_guest(vm, m->gpa, m->data, m->len);
	case MEM_WRITE:
		return okvm_write_guest(vm, m->gpa, m->data, m->len);
	default:
		return mem_exchange(vm, m);
	}
}

static int mem_present(struct okvm_vm *vm, const struct mem_access *m)
{
	int ret;

	pagefault_disable();
	ret = mem_once(vm, m);
	pagefault_enable();
	return ret;
}

/*
 * Return true if @m may fail after writing some of its bytes. An aligned word is written at once.
 */
static bool mem_can_tear(const struct mem_access *m)
{
	return m->op == MEM_WRITE &&
	       !(is_power_of_2(m->len) && m->len <= 8 && IS_ALIGNED(m->gpa, m->len));
}

/*
 * Wait for the page of @m.
 * Return: 0: try the access again; 1: make the access with page faults enabled; -EINTR: give up.
 * Once the instruction has had an effect, only a kick or a fatal signal gives -EINTR.
 */
static int mem_wait(struct okvm_emulation *e, const struct mem_access *m, unsigned int *tries)
{
	int wait = okvm_guest_wait(e->vcpu, m->gpa, m->op != MEM_READ, *tries);

	if (wait != -EINTR)
		(*tries)++;
	else if (must_go_on(e))
		wait = !e->repeatable;
	return wait;
}

static int mem_absent(struct okvm_emulation *e, const struct mem_access *m)
{
	unsigned int tries = 0;
	int ret, wait;

	if (mem_can_tear(m))
		m->entry->begun = true;
	do {
		wait = mem_wait(e, m, &tries);
		if (wait < 0)
			ret = wait;
		else
			ret = wait ? mem_once(e->vcpu->vm, m) : mem_present(e->vcpu->vm, m);
	} while (!wait && ret == -EFAULT);
	if (wait < 0)
		e->raced = true;
	release_signals(e);
	return ret;
}

/*
 * Make an access to memory. The host may have to fetch the page first. If this emulation can be
 * given up, a kick or a signal ends the wait for the page. But once the instruction has had
 * effects, only a kick or a fatal signal does.
 * Return: -EINTR if the emulation must be given up, otherwise the result of mem_once()
 */
static int mem_access(struct okvm_emulation *e, const struct mem_access *m)
{
	int ret;

	/* With e->once, do not give up a write, because it may have written some bytes already. */
	if (!can_give_up(e) || (e->once && m->op != MEM_READ))
		return mem_once(e->vcpu->vm, m);
	ret = mem_present(e->vcpu->vm, m);
	return unlikely(ret == -EFAULT) ? mem_absent(e, m) : ret;
}

static enum emul_rc op_fetch(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len, u8 cpl)
{
	const u32 acc = OKVM_ACC_FETCH | (cpl == 3 ? OKVM_ACC_USER : 0);
	struct mem_access fetch = { .op = MEM_READ, .len = len, .data = buf };
	struct okvm_emulation *e = emul_of(ctx);
	struct walk_fault fault = { };
	enum emul_rc rc;

	do {
		fetch.gpa = okvm_mmu_gva_to_gpa_noted(e->vcpu, la, walk_access(e, acc), &fault,
						      &e->note);
	} while (fault.gave_up && must_retry_walk(e));
	release_signals(e);
	rc = translated(ctx, la, fetch.gpa, &fault);
	if (rc != EMUL_OK)
		return rc;
	return mem_access(e, &fetch) ? EMUL_UNHANDLEABLE : EMUL_OK;
}

/* Return how many bytes of an access are in its first page. */
static unsigned int access_first(const struct emul_log_entry *entry)
{
	return min_t(unsigned int, entry->len, PAGE_SIZE - offset_in_page(entry->addr));
}

/*
 * For a batch of items of INS or OUTS (EMUL_DATA_BATCH), return the size of an item: at most 4
 * bytes. Return 0 for other accesses.
 */
static u8 access_unit(const struct emul_ctx *ctx, enum emul_access acc)
{
	return acc == EMUL_DATA_BATCH ? min_t(u8, ctx->insn.op_bytes, 4) : 0;
}

/*
 * Return true if an access wraps from 4 GiB to address 0. In 64-bit mode no access wraps. In
 * compatibility mode, implicit accesses to descriptor tables do not wrap: they have 64-bit
 * addresses.
 */
static bool access_wraps(struct emul_ctx *ctx, const struct emul_log_entry *entry)
{
	if (ctx->mode == EMUL_LONG64 || entry->addr > U32_MAX)
		return false;
	return !(entry->acc & OKVM_ACC_IMPLICIT) || !(vcpu_of(ctx)->arch->efer & EFER_LMA);
}

/* Translate all pages of an access (one or two) before the access touches the first page. */
static enum emul_rc access_translate(struct emul_ctx *ctx, struct emul_log_entry *entry, u32 acc)
{
	unsigned int first = access_first(entry);
	u64 second = entry->addr + first;
	enum emul_rc rc;

	if (entry->translated)
		return EMUL_OK;
	entry->acc = acc;
	if (okvm_log_translation(emul_of(ctx), entry))
		return EMUL_OK;
	if (access_wraps(ctx, entry))
		second = (u32)second;
	rc = translate(ctx, entry->addr, acc, &entry->gpa[0]);
	if (rc == EMUL_OK && first < entry->len)
		rc = translate(ctx, second, acc, &entry->gpa[1]);
	entry->translated = rc == EMUL_OK;
	return rc;
}

/* Return true if guest memory is at @gpa. The local APIC hides memory that is in its page. */
static bool is_memory(struct okvm_vcpu *vcpu, gpa_t gpa, bool write)
{
	if (vcpu->apic && (gpa & PAGE_MASK) == (okvm_apic_base(vcpu) & PAGE_MASK) &&
	    okvm_apic_hw_enabled(vcpu) && !okvm_apic_x2apic_mode(vcpu))
		return false;
	return okvm_guest_has(vcpu->vm, gpa, write);
}

/*
 * Access memory. A memory slot whose host page the VMM has not mapped counts as no memory.
 * Return: 0, -EFAULT if there is no memory, -EINTR if the emulation must be given up
 */
static int in_memory(struct okvm_emulation *e, struct emul_log_entry *entry, gpa_t gpa, void *data,
		     unsigned int len, bool write)
{
	const struct mem_access m = {
		.op = write ? MEM_WRITE : MEM_READ, .len = len, .gpa = gpa, .data = data,
		.entry = entry,
	};
	int ret;

	if (!is_memory(e->vcpu, gpa, write))
		return -EFAULT;
	ret = mem_access(e, &m);
	/*
	 * okvm_mmu_guest_wrote() returns true if the page has just lost its shadow, and with it the
	 * write protection. Stop a repeated string instruction: the CPU can execute the other
	 * iterations. (Often such an instruction clears a page.)
	 */
	if (!ret && write && okvm_mmu_guest_wrote(e->vcpu, gpa, len))
		e->ctx.stop = true;
	return ret;
}

/*
 * Access bytes entry->done to @end - 1, in memory or at a device. @gpa is the address of byte
 * entry->done.
 */
static enum emul_rc access_piece(struct okvm_emulation *e, struct emul_log_entry *entry, gpa_t gpa,
				 void *data, unsigned int end, bool write)
{
	int ret;

	if (!entry->done || entry->done == access_first(entry)) {
		ret = in_memory(e, entry, gpa, data + entry->done, end - entry->done,
				write);
		if (ret == -EINTR)
			return EMUL_UNHANDLEABLE;
		if (!ret) {
			entry->done = end;
			return EMUL_OK;
		}
	}
	return okvm_log_device(e, entry, gpa, data, end, write);
}

/*
 * Do the rest of a translated access, in memory or at a device. The bytes in a page of memory are
 * accessed at once, but those of a device may take several steps. So if only some bytes in a page
 * are done, there is a device. The other bytes then go to the device, too, even if the VMM has
 * added memory there meanwhile.
 */
static enum emul_rc access_bytes(struct emul_ctx *ctx, struct emul_log_entry *entry, void *data,
				 bool write)
{
	unsigned int first = access_first(entry), end;
	enum emul_rc rc;
	gpa_t gpa;

	while (entry->done < entry->len) {
		end = entry->done < first ? first : entry->len;
		gpa = entry->done < first ? entry->gpa[0] + entry->done :
					    entry->gpa[1] + entry->done - first;
		rc = access_piece(emul_of(ctx), entry, gpa, data, end, write);
		if (rc != EMUL_OK)
			return rc;
	}
	return EMUL_OK;
}

/*
 * Return true if the items of a batch must be accessed one by one, because there is no memory.
 * Store the decision in @entry: if the instruction is executed again, it must make the same
 * accesses.
 */
static bool batch_refused(struct emul_ctx *ctx, struct emul_log_entry *entry,
			  enum emul_access acc, bool write)
{
	if (acc == EMUL_DATA_BATCH && !entry->judged) {
		entry->judged = true;
		entry->refused = !is_memory(vcpu_of(ctx), entry->gpa[0], write);
	}
	return entry->refused;
}

static enum emul_rc op_read(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
			    enum emul_access acc, u8 cpl)
{
	struct okvm_emulation *e = emul_of(ctx);
	struct emul_log_entry *entry;
	enum emul_rc rc;

	entry = okvm_log_access(e, EMUL_IO_READ, la, len);
	if (!entry)
		return EMUL_UNHANDLEABLE;
	rc = access_translate(ctx, entry, access_of(acc, false, cpl));
	if (rc != EMUL_OK)
		return rc;
	if (batch_refused(ctx, entry, acc, false))
		return EMUL_RETRY;
	entry->unit = access_unit(ctx, acc);
	rc = access_bytes(ctx, entry, okvm_log_data(e, entry), false);
	if (rc == EMUL_OK)
		memcpy(buf, okvm_log_data(e, entry), len);
	return rc;
}

static enum emul_rc op_write(struct emul_ctx *ctx, u64 la, const void *buf, unsigned int len,
			     enum emul_access acc, u8 cpl)
{
	struct emul_log_entry *entry = okvm_log_access(emul_of(ctx), EMUL_IO_WRITE, la, len);
	enum emul_rc rc;

	if (!entry)
		return EMUL_UNHANDLEABLE;
	entry->unit = access_unit(ctx, acc);
	rc = access_translate(ctx, entry, access_of(acc, true, cpl));
	return rc ?: access_bytes(ctx, entry, (void *)buf, true);
}

static bool probed_page_comes(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	return !is_memory(vcpu, gpa, true) || okvm_guest_wait(vcpu, gpa, true, 0) != -EINTR;
}

/*
 * Wait for the pages that the instruction will write to later. A kick or a signal can end the wait
 * now, but could not do so during the write.
 * Return: false if the wait was ended
 */
static bool probed_pages_come(struct okvm_emulation *e, const struct emul_log_entry *entry)
{
	if (!can_give_up(e))
		return true;
	if (probed_page_comes(e->vcpu, entry->gpa[0]) &&
	    (access_first(entry) == entry->len || probed_page_comes(e->vcpu, entry->gpa[1])))
		return true;
	e->raced = true;
	return false;
}

static enum emul_rc op_probe_write(struct emul_ctx *ctx, u64 la, unsigned int len,
				   enum emul_access acc, u8 cpl)
{
	struct emul_log_entry *entry;
	enum emul_rc rc;

	entry = okvm_log_access(emul_of(ctx), EMUL_IO_PROBE, la, len);
	if (!entry)
		return EMUL_UNHANDLEABLE;
	rc = access_translate(ctx, entry, access_of(acc, true, cpl));
	if (rc == EMUL_OK && batch_refused(ctx, entry, acc, true))
		return EMUL_RETRY;
	if (rc == EMUL_OK && emul_of(ctx)->once && !probed_pages_come(emul_of(ctx), entry))
		return EMUL_UNHANDLEABLE;
	return rc;
}

/*
 * Compare and exchange guest memory by one locked instruction.
 * Return: 0 if exchanged; 1 if the value differed; -EINTR if the emulation must be given up;
 * another negative errno if there is no memory, or if the operand crosses cache lines (a split lock
 * would stall all CPUs of the host).
 */
static int exchange(struct okvm_emulation *e, const struct mem_access *m)
{
	int ret;

	if (!is_memory(e->vcpu, m->gpa, true))
		return -EFAULT;
	ret = mem_access(e, m);
	if (!ret)
		okvm_mmu_guest_wrote(e->vcpu, m->gpa, m->len);
	return ret;
}

/*
 * Try the exchange of @entry by one locked instruction. Return EMUL_RETRY if memory does not hold
 * @old. If no locked instruction can do the exchange, return EMUL_OK with entry->done unchanged.
 */
static enum emul_rc exchange_logged(struct okvm_emulation *e, struct emul_log_entry *entry,
				    const void *old, const void *new)
{
	const struct mem_access m = {
		.op = MEM_EXCHANGE, .len = entry->len, .gpa = entry->gpa[0],
		.data = (void *)new, .old = old,
	};
	int ret;

	/*
	 * An earlier execution of this instruction has found that memory did not hold the expected
	 * value: keep this result.
	 */
	if (entry->refused)
		return EMUL_RETRY;
	if (entry->done || access_first(entry) != entry->len)
		return EMUL_OK;
	ret = exchange(e, &m);
	if (ret == -EINTR)
		return EMUL_UNHANDLEABLE;
	entry->refused = ret > 0;
	if (!ret)
		entry->done = entry->len;
	return ret > 0 ? EMUL_RETRY : EMUL_OK;
}

/*
 * Compare and exchange (emul_ops.cmpxchg). If one locked instruction cannot do the exchange
 * (device, read-only memory, operand across cache lines or pages), write the new value page by page
 * without a comparison, as upstream does.
 */
static enum emul_rc op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new,
			       unsigned int len, enum emul_access acc, u8 cpl)
{
	struct emul_log_entry *entry = okvm_log_access(emul_of(ctx), EMUL_IO_CMPXCHG, la, len);
	enum emul_rc rc;

	if (!entry)
		return EMUL_UNHANDLEABLE;
	rc = access_translate(ctx, entry, access_of(acc, true, cpl)) ?:
	     exchange_logged(emul_of(ctx), entry, old, new);
	return rc ?: access_bytes(ctx, entry, (void *)new, true);
}

/* ---- ports ---- */

static enum emul_rc op_pio_in(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			      void *buf)
{
	return okvm_log_port(emul_of(ctx), port, size, count, buf, true);
}

static enum emul_rc op_pio_out(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			       const void *buf)
{
	return okvm_log_port(emul_of(ctx), port, size, count, (void *)buf, false);
}

/* ---- segments and tables; enum okvm_seg and emul_sreg have the same values ---- */

static enum okvm_seg seg_of(enum emul_sreg nr)
{
	static_assert((int)EMUL_GS == (int)OKVM_SEG_GS);
	static_assert((int)EMUL_LDTR == (int)OKVM_SEG_LDTR && (int)EMUL_TR == (int)OKVM_SEG_TR);
	return (enum okvm_seg)nr;
}

static void op_get_seg(struct emul_ctx *ctx, enum emul_sreg nr, struct emul_seg *seg)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	struct kvm_segment var;

	vcpu->arch->reg_ops->get_segment(vcpu, &var, seg_of(nr));
	seg->base = var.base;
	seg->limit = var.limit;
	seg->sel = var.selector;
	seg->ar = var.type | var.s << 4 | var.dpl << EMUL_AR_DPL_SHIFT | var.present << 7 |
		  var.avl << 12 | var.l << 13 | var.db << 14 | var.g << 15 |
		  (var.unusable ? EMUL_AR_UNUSABLE : 0);
}

static void op_set_seg(struct emul_ctx *ctx, enum emul_sreg nr, const struct emul_seg *seg)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	struct kvm_segment var = {
		.base = seg->base,
		.limit = seg->limit,
		.selector = seg->sel,
		.type = seg->ar & EMUL_AR_TYPE,
		.s = !!(seg->ar & EMUL_AR_S),
		.dpl = (seg->ar & EMUL_AR_DPL) >> EMUL_AR_DPL_SHIFT,
		.present = !!(seg->ar & EMUL_AR_P),
		.avl = !!(seg->ar & EMUL_AR_AVL),
		.l = !!(seg->ar & EMUL_AR_L),
		.db = !!(seg->ar & EMUL_AR_DB),
		.g = !!(seg->ar & EMUL_AR_G),
		.unusable = !!(seg->ar & EMUL_AR_UNUSABLE),
	};

	emul_of(ctx)->altered = true;
	vcpu->arch->reg_ops->set_segment(vcpu, &var, seg_of(nr));
}

static void op_get_table(struct emul_ctx *ctx, enum emul_table nr, struct emul_dtr *dtr)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	struct kvm_dtable dt;

	vcpu->arch->reg_ops->get_dt(vcpu, &dt, nr == EMUL_IDT);
	dtr->base = dt.base;
	dtr->limit = dt.limit;
}

static void op_set_table(struct emul_ctx *ctx, enum emul_table nr, const struct emul_dtr *dtr)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	struct kvm_dtable dt = { .base = dtr->base, .limit = dtr->limit };

	vcpu->arch->reg_ops->set_dt(vcpu, &dt, nr == EMUL_IDT);
}

/* ---- control and debug registers, MSRs, CPUID ---- */

static u64 op_get_cr(struct emul_ctx *ctx, unsigned int nr)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);

	switch (nr) {
	case 0:
		return okvm_cr0(vcpu);
	case 2:
		return vcpu->arch->cr2;
	case 3:
		return okvm_cr3(vcpu);
	case 4:
		return okvm_cr4(vcpu);
	default:
		return okvm_get_cr8(vcpu);
	}
}

static int set_cr(struct okvm_vcpu *vcpu, unsigned int nr, u64 val)
{
	switch (nr) {
	case 0:
		return okvm_set_cr0(vcpu, val);
	case 2:
		vcpu->arch->cr2 = val;
		return 0;
	case 3:
		return okvm_set_cr3(vcpu, val);
	case 4:
		return okvm_set_cr4(vcpu, val);
	default:
		return okvm_set_cr8(vcpu, val);
	}
}

static enum emul_rc gp_if(struct emul_ctx *ctx, bool gp)
{
	return gp ? emul_fault_code(ctx, X86_TRAP_GP, 0) : EMUL_OK;
}

/*
 * Before a load of CR @nr, wait for the guest memory that the load reads. A signal or a kick ends
 * this wait. If the emulation cannot be given up, do not wait here: the load itself waits.
 */
static enum emul_rc wait_cr(struct okvm_emulation *e, unsigned int nr, u64 val)
{
	if (!can_give_up(e) || okvm_emul_has_effects(e) || okvm_cr_pages_come(e->vcpu, nr, val))
		return EMUL_OK;
	e->raced = true;
	return EMUL_UNHANDLEABLE;
}

static enum emul_rc op_set_cr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	enum emul_rc rc = wait_cr(emul_of(ctx), nr, val);

	if (rc != EMUL_OK)
		return rc;
	/*
	 * Accesses after this load must not use earlier translations. (A task switch makes such
	 * accesses.)
	 */
	emul_of(ctx)->tlb_from = emul_of(ctx)->replayed;
	emul_of(ctx)->altered = true;
	return gp_if(ctx, set_cr(vcpu_of(ctx), nr, val));
}

static enum emul_rc op_get_dr(struct emul_ctx *ctx, unsigned int nr, u64 *val)
{
	unsigned long dr = 0;
	bool gp = okvm_get_dr(vcpu_of(ctx), nr, &dr);

	*val = dr;
	return gp_if(ctx, gp);
}

static enum emul_rc op_set_dr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	return gp_if(ctx, okvm_set_dr(vcpu_of(ctx), nr, val));
}

/* Convert the @result of an MSR access: a failed access exits to userspace or raises #GP. */
static enum emul_rc msr_rc(struct emul_ctx *ctx, enum okvm_msr_result result, u32 msr, bool write)
{
	struct okvm_emulation *e = emul_of(ctx);

	if (result == OKVM_MSR_OK)
		return EMUL_OK;
	if (!okvm_msr_ask_user(e->vcpu, result, msr, write, ctx->insn.len))
		return gp_if(ctx, true);
	e->asked_msr = true;
	return EMUL_IO;
}

static enum emul_rc op_get_msr(struct emul_ctx *ctx, u32 msr, u64 *val, enum emul_access acc)
{
	enum okvm_msr_result result = OKVM_MSR_FILTERED;
	struct okvm_vcpu *vcpu = vcpu_of(ctx);

	/* A shortcut, because the emulator reads EFER before each instruction. */
	if (msr == MSR_EFER && acc == EMUL_SYSTEM) {
		*val = vcpu->arch->efer;
		return EMUL_OK;
	}
	if (acc == EMUL_SYSTEM)
		return gp_if(ctx, okvm_get_msr(vcpu, msr, val, true) != OKVM_MSR_OK);
	if (okvm_msr_allowed(vcpu, msr, false))
		result = okvm_get_msr(vcpu, msr, val, false);
	return msr_rc(ctx, result, msr, false);
}

static enum emul_rc op_set_msr(struct emul_ctx *ctx, u32 msr, u64 val, enum emul_access acc)
{
	enum okvm_msr_result result = OKVM_MSR_FILTERED;
	struct okvm_vcpu *vcpu = vcpu_of(ctx);

	if (acc == EMUL_SYSTEM)
		return gp_if(ctx, okvm_set_msr(vcpu, msr, val, false) != OKVM_MSR_OK);
	if (okvm_msr_allowed(vcpu, msr, true))
		result = okvm_set_msr(vcpu, msr, val, false);
	return msr_rc(ctx, result, msr, true);
}

static enum emul_rc op_cpuid(struct emul_ctx *ctx, u32 regs[4])
{
	u32 ecx = regs[2];

	if (okvm_cpuid_faults(vcpu_of(ctx)) && ctx->cpl)
		return gp_if(ctx, true);
	okvm_cpuid(vcpu_of(ctx), &regs[0], &regs[1], &ecx, &regs[3]);
	regs[2] = ecx;
	return EMUL_OK;
}

static enum emul_rc op_get_vec(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr, void *buf)
{
	okvm_vec_get(file, nr, buf);
	return EMUL_OK;
}

static enum emul_rc op_set_vec(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
			       const void *buf)
{
	okvm_vec_set(file, nr, buf);
	return EMUL_OK;
}

static void op_get_fx(struct emul_ctx *ctx, struct emul_fx *fx)
{
	okvm_fx_get(fx);
}

static void op_set_fx(struct emul_ctx *ctx, const struct emul_fx *fx)
{
	okvm_fx_set(fx);
}

static enum emul_rc op_x87(struct emul_ctx *ctx, struct emul_fx *fx, u8 opcode, u8 modrm,
			   void *data)
{
	return okvm_fx_run(fx, &emul_of(ctx)->fx_live, opcode, modrm, data) ? EMUL_OK :
									       EMUL_UNHANDLEABLE;
}

static enum emul_rc op_fpu(struct emul_ctx *ctx, enum emul_fpuop op, u32 *val)
{
	int vector = okvm_x87(op, val);

	if (vector == X86_TRAP_MF)
		return emul_fault(ctx, X86_TRAP_MF);
	return gp_if(ctx, vector);
}

/* ---- everything rare ---- */

static enum emul_rc sys_invpcid(struct emul_ctx *ctx, u64 type, u64 la)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	u8 bits = okvm_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48;
	u64 desc[2];
	enum emul_rc rc;

	rc = op_read(ctx, la, desc, sizeof(desc), EMUL_DATA, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	if (type > 3 || desc[0] >> 12 || (type == 0 && !msr_canonical(desc[1], bits)))
		return gp_if(ctx, true);
	/* With CR4.PCIDE clear, only PCID 0 is legal (SDM "INVPCID"). */
	if (type < 2 && desc[0] && !(okvm_cr4(vcpu) & X86_CR4_PCIDE))
		return gp_if(ctx, true);
	okvm_mmu_invalidate(vcpu, type, desc[0], desc[1]);
	return EMUL_OK;
}

static enum emul_rc op_system(struct emul_ctx *ctx, enum emul_sysop op, u64 arg, u64 arg2,
			      u64 *out)
{
	struct okvm_vcpu *vcpu = vcpu_of(ctx);
	const struct okvm_event_ops *ops = vcpu->arch->event_ops;

	switch (op) {
	case EMUL_SYS_HLT:
	case EMUL_SYS_PAUSE:
	case EMUL_SYS_MONITOR:
	case EMUL_SYS_MWAIT:
	/* Guest memory is write-back and coherent: no cache needs flushing. */
	case EMUL_SYS_WBINVD:
	case EMUL_SYS_INVD:
		return EMUL_OK;
	case EMUL_SYS_INVLPG:
		okvm_mmu_invalidate(vcpu, OKVM_INVLPG, 0, arg);
		return EMUL_OK;
	case EMUL_SYS_INVPCID:
		return sys_invpcid(ctx, arg, arg2);
	case EMUL_SYS_CLTS:
		return gp_if(ctx, okvm_set_cr0(vcpu, okvm_cr0(vcpu) & ~X86_CR0_TS));
	case EMUL_SYS_XGETBV:
		*out = vcpu->arch->xcr0;
		return gp_if(ctx, arg != 0);
	case EMUL_SYS_XSETBV:
		return gp_if(ctx, okvm_set_xcr(vcpu, arg, arg2));
	case EMUL_SYS_SWITCH_NMI:
		ops->set_nmi_masked(vcpu, false);
		return EMUL_OK;
	case EMUL_SYS_WAIT_CR3:
		return wait_cr(emul_of(ctx), 3, arg);
	case EMUL_SYS_RDPMC:
		return gp_if(ctx, true);
	case EMUL_SYS_HYPERCALL:
		/*
		 * Let hardware execute the instruction. The VM exit for the hypercall then handles
		 * it.
		 */
		if (emul_of(ctx)->why == OKVM_EMUL_NATIVE)
			return EMUL_UNHANDLEABLE;
		fallthrough;
	case EMUL_SYS_VMX_SVM:
		return emul_fault(ctx, X86_TRAP_UD);
	}
	return EMUL_UNHANDLEABLE;
}

const struct emul_ops okvm_emul_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.probe_write = op_probe_write,
	.pio_in = op_pio_in,
	.pio_out = op_pio_out,
	.get_seg = op_get_seg,
	.set_seg = op_set_seg,
	.get_table = op_get_table,
	.set_table = op_set_table,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.cpuid = op_cpuid,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
	.get_fx = op_get_fx,
	.set_fx = op_set_fx,
	.x87 = op_x87,
	.fpu = op_fpu,
	.system = op_system,
};
