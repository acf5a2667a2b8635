// SPDX-License-Identifier: GPL-2.0-only
/* Execute hardware task switches by x86/emul/task.c, because no CPU executes them in guest mode. */
#include <uapi/asm/debugreg.h>

#include "x86/cpu/event.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/emulation.h"

#define DR6_TASK	BIT(15)	/* BT: the new TSS has its T bit set */

/* The task switch has completed the delivery of an NMI or interrupt: do not inject it again. */
static void task_end_delivery(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->nmi_injected)
		vcpu->arch->event_ops->set_nmi_masked(vcpu, true);
	ev->nmi_injected = false;
	ev->irq.injected = false;
}

/*
 * Execute the task switch @task. The caller has called okvm_emul_begin(). @return_rip: RIP at which
 * the old task will continue. A fault belongs to the new task if task->switched is true, otherwise
 * to the old task. *@gave_up is set if the switch was given up before it had any effect: then the
 * instruction or the delivery of the event has to begin again.
 */
static int task_emulate(struct okvm_vcpu *vcpu, struct emul_task *task, u32 return_rip,
			bool *gave_up)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	enum emul_rc rc;

	e->once = true;
	e->ctx.rip = return_rip;
	rc = emul_task_switch(&e->ctx, task);
	*gave_up = okvm_emul_raced(e) && !okvm_emul_has_effects(e);
	if (*gave_up) {
		okvm_request(OKVM_REQ_EVENT, vcpu);
		if (task->source != EMUL_TASK_GATE)
			okvm_begin_again(vcpu);
		return okvm_emul_anew(e);
	}
	/* An exception that caused the switch has been delivered, even if the new task faults. */
	if (task->switched)
		vcpu->arch->ev.exc.injected = false;
	else
		e->ctx.rip = okvm_rip(vcpu);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (rc != EMUL_OK && rc != EMUL_FAULT)
		return okvm_emul_impossible(e);
	/* A debugger's step ends here if an instruction has switched, not if an event has. */
	e->ctx.out = task->external ? EMUL_OUT_AGAIN : 0;
	return okvm_emul_outcome(e, rc);
}

/* Execute @task, and update the NMI, interrupt and debug state for the cause of the switch. */
static int task_switch(struct okvm_vcpu *vcpu, struct emul_task *task, unsigned int insn_len,
		       bool *gave_up)
{
	int outcome;

	task->external = !insn_len;
	outcome = task_emulate(vcpu, task, okvm_rip(vcpu) + insn_len, gave_up);
	if (*gave_up)
		return outcome;
	if (task->source == EMUL_TASK_GATE)
		task_end_delivery(vcpu);
	/* IRET unblocks NMIs even if it faults. */
	if (task->source == EMUL_TASK_IRET)
		vcpu->arch->event_ops->set_nmi_masked(vcpu, false);
	if (!task->switched)
		return outcome;
	/* An interrupt shadow of the old task does not apply to the new task. */
	vcpu->arch->event_ops->set_irq_shadow(vcpu, 0);
	/*
	 * If the new TSS has its T bit set, queue a #DB, provided that the switch is finished. The
	 * outcome of a finished switch may be an exit: if a TSS is at a device in userspace,
	 * userspace has to do the writes.
	 */
	if (task->trap && (outcome == OKVM_RESUME || vcpu->arch->emul->finished) &&
	    !vcpu->arch->ev.exc.pending)
		okvm_queue_db(vcpu, DR6_TASK);
	return outcome;
}

int okvm_task_switch(struct okvm_vcpu *vcpu, u16 selector, int source, unsigned int insn_len,
		     const u32 *error)
{
	struct emul_task task = {
		.sel = selector, .source = source,
		.has_error = error, .error = error ? *error : 0,
	};
	bool gave_up;
	int outcome;

	static_assert(EMUL_TASK_CALL == 0 && EMUL_TASK_IRET == 1 && EMUL_TASK_JMP == 2 &&
		      EMUL_TASK_GATE == 3);
	okvm_emul_begin(vcpu->arch->emul, OKVM_EMUL_DELIVERY, 0);
	outcome = task_switch(vcpu, &task, insn_len, &gave_up);
	/*
	 * The IRET will be repeated. Until then block NMIs: if the IRET ends the task of an NMI
	 * handler, this task is still busy, and another NMI could not switch to it. VMX has already
	 * unblocked NMIs and does not tell whether they were blocked. So block them for every IRET.
	 */
	if (gave_up && source == EMUL_TASK_IRET)
		vcpu->arch->event_ops->set_nmi_masked(vcpu, true);
	return outcome;
}

int okvm_emul_switch_task(struct okvm_emulation *e, unsigned int insn_len)
{
	bool altered = okvm_emul_has_effects(e), forced = e->forced, gave_up;
	struct emul_task task = e->ctx.task;

	okvm_emul_begin(e, OKVM_EMUL_DELIVERY, 0);
	/*
	 * The instruction must not begin anew if it already had effects, for example has read a
	 * device. The log showed these effects, but okvm_emul_begin() has emptied it: set
	 * e->altered.
	 */
	e->altered = altered;
	e->forced = forced;
	return task_switch(e->vcpu, &task, insn_len, &gave_up);
}
