// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tools know KVM's events by the names that kvm.ko gives them. Two modules can share a trace
 * system, but not an event: okvm has the names while kvm.ko is not loaded.
 *
 * Tracing registers a module's events by a module notifier, before the module begins to run; there
 * they are refused (names_raw_init()), and are added later, when it is known that nobody has them.
 * A notifier of higher priority than tracing's removes them before those of kvm.ko are added, one
 * of lower priority adds them again when those are gone.
 *
 * Adding and removing need the lock of all events, which the kernel keeps to itself. But enabling
 * an event calls the event's class under that lock, and walks a list in which only the event
 * itself must stay where it is. So okvm enables an event of its own, okvm_names, and does the work
 * in okvm_names_reg(). It is done for the thread that asked for it only: another one may stand in
 * the list at an event that would go.
 *
 * What lies in a trace buffer is known by a number, which would go to an event of kvm.ko, whose
 * text is made from other fields. names_hold() keeps the numbers until the buffers are empty.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/trace_events.h>
#include <linux/trace_seq.h>

#include "core/trace.h"
#include "core/trace_names.h"

static int names_raw_init(struct trace_event_call *call);

#define trace_event_raw_init names_raw_init
#define CREATE_TRACE_POINTS
#include "core/trace_kvm.h"
#undef trace_event_raw_init

#ifdef CONFIG_EVENT_TRACING

#define NAMES_MAX	64
#define NAMES_HELD	(4 * NAMES_MAX)
/* Tracing's own notifier has 1. */
#define NAMES_BEFORE	2
#define NAMES_BEHIND	(-1)

/* The kernel's lock of events guards both variables. */
static struct trace_event_call *names_calls[NAMES_MAX];
static unsigned int names_nr;

/* Held from the decision for a change to its end; taken outside of the lock of events. */
static DEFINE_MUTEX(names_lock);
static bool names_offered;
static bool names_taken;	/* kvm.ko comes, or is there */

enum names_job { NAMES_IDLE, NAMES_OFFER, NAMES_WITHDRAW };

static enum names_job names_job;
static struct task_struct *names_worker;

/* Tracing calls this for each event of the module: the event is noted, but not registered. */
static int names_raw_init(struct trace_event_call *call)
{
	if (READ_ONCE(names_job) == NAMES_OFFER && READ_ONCE(names_worker) == current)
		return trace_event_raw_init(call);
	if (names_nr < NAMES_MAX)
		names_calls[names_nr++] = call;
	return -ENOSYS;
}

/* ---- numbers of events that are withdrawn ---- */

static struct trace_event names_held[NAMES_HELD];
static unsigned int names_nr_held;

static enum print_line_t names_print_gone(struct trace_iterator *iter, int flags,
					  struct trace_event *event)
{
	trace_seq_puts(&iter->seq, "an event of okvm's that is withdrawn\n");
	return trace_handle_return(&iter->seq);
}

static struct trace_event_functions names_gone_funcs = { .trace = names_print_gone };

/* The lowest free number is given first: all up to @last are taken when this returns. */
static void names_hold(int last)
{
	struct trace_event *event;

	while (names_nr_held < NAMES_HELD) {
		event = &names_held[names_nr_held];
		*event = (struct trace_event){ .funcs = &names_gone_funcs };
		if (!register_trace_event(event))
			break;
		names_nr_held++;
		if (event->type >= last)
			break;
	}
}

static void names_let_go(void)
{
	while (names_nr_held)
		unregister_trace_event(&names_held[--names_nr_held]);
}

/* ---- under the lock of events ---- */

static void names_add_all(void)
{
	unsigned int i;

	for (i = 0; i < names_nr; i++) {
		if (names_calls[i]->list.next)
			continue;	/* the event was in use and was not removed */
		if (trace_add_event_call(names_calls[i]))
			continue;
		/* Users of the event hold the module, and its end removes the event. */
		names_calls[i]->module = THIS_MODULE;
	}
}

static void names_remove_all(void)
{
	unsigned int i, busy = 0;
	int last = 0;

	for (i = 0; i < names_nr; i++) {
		if (!names_calls[i]->list.next)
			continue;
		last = max(last, names_calls[i]->event.type);
		if (trace_remove_event_call(names_calls[i])) {
			busy++;
			continue;
		}
		names_calls[i]->list.next = NULL;
		names_calls[i]->event.type = 0;
	}
	names_hold(last);
	if (busy)
		pr_warn("okvm: %u events of the system kvm are in use and stay okvm's; those of kvm.ko are missing until it is loaded anew\n",
			busy);
}

int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data)
{
	if (READ_ONCE(names_worker) == current && names_job != NAMES_IDLE) {
		if (names_job == NAMES_OFFER)
			names_add_all();
		else
			names_remove_all();
		WRITE_ONCE(names_job, NAMES_IDLE);
	}
	return trace_event_reg(call, type, data);
}

/* ---- under names_lock ---- */

/*
 * Switching okvm_names calls its class: on and off, or off and on where somebody has enabled it.
 * Not so while it has a trigger, which makes tracing enable it behind a flag.
 */
static bool names_switch(struct trace_event_file *file)
{
	const unsigned long was = READ_ONCE(file->flags);
	bool on = was & EVENT_FILE_FL_ENABLED && !(was & EVENT_FILE_FL_SOFT_DISABLED);

	trace_set_clr_event("okvm", "okvm_names", !on);
	trace_set_clr_event("okvm", "okvm_names", on);
	/* By this flag rmmod empties the buffer of all users, though nobody has traced okvm. */
	if (!(was & EVENT_FILE_FL_WAS_ENABLED))
		clear_bit(EVENT_FILE_FL_WAS_ENABLED_BIT, &file->flags);
	return names_job == NAMES_IDLE;
}

static bool names_do(enum names_job job)
{
	struct trace_event_file *file = trace_get_event_file(NULL, "okvm", "okvm_names");
	bool done;

	lockdep_assert_held(&names_lock);
	if (IS_ERR(file))
		return false;
	WRITE_ONCE(names_worker, current);
	WRITE_ONCE(names_job, job);
	done = names_switch(file);
	WRITE_ONCE(names_job, NAMES_IDLE);
	WRITE_ONCE(names_worker, NULL);
	trace_put_event_file(file);
	if (!done)
		pr_warn("okvm: the event okvm_names has a trigger, so the module that has the events of system kvm keeps them: remove the trigger\n");
	return done;
}

/* Are they another module's? One of okvm's own may have been in use when they were withdrawn. */
static bool names_exist(void)
{
	struct trace_event_file *file = trace_get_event_file(NULL, "kvm", "kvm_exit");
	bool theirs;

	if (IS_ERR(file))
		return PTR_ERR(file) == -EBUSY;
	theirs = file->event_call->module != THIS_MODULE;
	trace_put_event_file(file);
	return theirs;
}

static void names_offer(void)
{
	lockdep_assert_held(&names_lock);
	if (names_offered || names_taken || names_exist())
		return;
	names_let_go();
	names_offered = names_do(NAMES_OFFER);
	if (names_offered)
		trace_okvm_names(true);
}

static void names_withdraw(void)
{
	lockdep_assert_held(&names_lock);
	if (!names_offered)
		return;
	/* Whoever has enabled them in the buffer of all users enables those of kvm.ko anew. */
	trace_set_clr_event("kvm", NULL, 0);
	/* Else it is tried again when kvm.ko comes the next time. */
	if (!names_do(NAMES_WITHDRAW))
		return;
	names_offered = false;
	trace_okvm_names(false);
}

/* ---- other modules ---- */

static bool names_concern(struct module *module)
{
	return !strcmp(module->name, "kvm");
}

static int names_module_before(struct notifier_block *nb, unsigned long state, void *data)
{
	if (state == MODULE_STATE_LIVE || !names_concern(data))
		return NOTIFY_OK;
	mutex_lock(&names_lock);
	names_taken = state == MODULE_STATE_COMING;
	if (names_taken)
		names_withdraw();
	mutex_unlock(&names_lock);
	return NOTIFY_OK;
}

/*
 * Called for every module, not only for kvm.ko: if a notifier after tracing's refuses kvm.ko, only
 * the notifiers before it are called when kvm.ko goes again.
 */
static int names_module_behind(struct notifier_block *nb, unsigned long state, void *data)
{
	mutex_lock(&names_lock);
	names_offer();
	mutex_unlock(&names_lock);
	return NOTIFY_OK;
}

static struct notifier_block names_before_nb = {
	.notifier_call = names_module_before, .priority = NAMES_BEFORE,
};

static struct notifier_block names_behind_nb = {
	.notifier_call = names_module_behind, .priority = NAMES_BEHIND,
};

int okvm_names_init(void)
{
	int err;

	err = register_module_notifier(&names_before_nb);
	if (err)
		return err;
	err = register_module_notifier(&names_behind_nb);
	if (err) {
		unregister_module_notifier(&names_before_nb);
		return err;
	}
	mutex_lock(&names_lock);
	names_offer();
	mutex_unlock(&names_lock);
	return 0;
}

void okvm_names_exit(void)
{
	unregister_module_notifier(&names_behind_nb);
	unregister_module_notifier(&names_before_nb);
	names_let_go();
}

#else

int okvm_names_init(void)
{
	return 0;
}

void okvm_names_exit(void)
{
}

#endif /* CONFIG_EVENT_TRACING */
