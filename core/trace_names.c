// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tools know KVM's trace events by the names that kvm.ko gives them (system kvm). Two modules can
 * share a trace system, but not an event name. So okvm registers its events under these names only
 * while kvm.ko is not loaded.
 *
 * The kernel registers a module's events in a module notifier, before the module's init function
 * runs. names_raw_init() makes this registration fail; okvm adds the events later, when it knows
 * that kvm.ko has not registered them. A notifier of higher priority than tracing's removes okvm's
 * events before those of kvm.ko are added. A notifier of lower priority adds them again when those
 * of kvm.ko are gone.
 *
 * The event lock (event_mutex) guards the kernel's list of events. Modules cannot take this lock.
 * But the kernel holds it while it enables an event and calls the reg function of the event's
 * class. So okvm has an event of its own, okvm_names, whose reg function is okvm_names_reg(). To
 * add or remove events, okvm enables okvm_names, and okvm_names_reg() changes the list of events.
 *
 * The kernel calls okvm_names_reg() while it walks through the list, and then continues from the
 * current event. If okvm has enabled okvm_names, that event is okvm_names itself, which stays in
 * the list. So okvm_names_reg() may change the rest of the list. If another thread has enabled
 * okvm_names, for example with all other events, okvm_names_reg() changes nothing, because the
 * current event may be one that would be removed.
 *
 * Records in a trace buffer contain the event's number. If an event of kvm.ko reused that number,
 * old records would be printed with the wrong fields. So names_hold() reserves the numbers of
 * removed events until okvm adds its events again.
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
/* Priorities of okvm's two module notifiers. The module notifier of tracing has priority 1. */
#define NAMES_BEFORE	2
#define NAMES_BEHIND	(-1)

/* The kernel's event lock (event_mutex) guards names_calls and names_nr. */
static struct trace_event_call *names_calls[NAMES_MAX];
static unsigned int names_nr;

/* names_lock guards names_offered and names_taken. Lock order: names_lock, then event_mutex. */
static DEFINE_MUTEX(names_lock);
static bool names_offered;
static bool names_taken;	/* kvm.ko is being loaded, or is loaded */

enum names_job { NAMES_IDLE, NAMES_OFFER, NAMES_WITHDRAW };

static enum names_job names_job;
static struct task_struct *names_worker;

/*
 * The kernel calls this function to register an event of this module for tracing. If
 * names_add_all() adds the event, register it. Otherwise the kernel is loading this module: store
 * the event in names_calls[] for later, and return an error.
 */
static int names_raw_init(struct trace_event_call *call)
{
	if (READ_ONCE(names_job) == NAMES_OFFER && READ_ONCE(names_worker) == current)
		return trace_event_raw_init(call);
	if (names_nr < NAMES_MAX)
		names_calls[names_nr++] = call;
	return -ENOSYS;
}

/* ---- reserved numbers of removed events ---- */

static struct trace_event names_held[NAMES_HELD];
static unsigned int names_nr_held;

static enum print_line_t names_print_gone(struct trace_iterator *iter, int flags,
					  struct trace_event *event)
{
	trace_seq_puts(&iter->seq, "an event of okvm's that is withdrawn\n");
	return trace_handle_return(&iter->seq);
}

static struct trace_event_functions names_gone_funcs = { .trace = names_print_gone };

/*
 * Reserve all free event numbers up to @last. The kernel gives out the lowest free number first, so
 * register dummy events until one gets @last or a higher number.
 */
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

/* ---- called under the kernel's event lock ---- */

static void names_add_all(void)
{
	unsigned int i;

	for (i = 0; i < names_nr; i++) {
		if (names_calls[i]->list.next)
			continue;	/* in use at names_remove_all(), so still registered */
		if (trace_add_event_call(names_calls[i]))
			continue;
		/*
		 * Set the member module: then each user of the event holds a reference to okvm.ko,
		 * and the kernel removes the event when okvm.ko is unloaded.
		 */
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

/* ---- called under names_lock ---- */

/*
 * Make the kernel call okvm_names_reg(), by toggling the event okvm_names: on and off, or off and
 * on if a user has enabled it. Return true if okvm_names_reg() has done the current job
 * (names_job). If okvm_names has a trigger, toggling has no effect, because the event's probe stays
 * registered.
 */
static bool names_switch(struct trace_event_file *file)
{
	const unsigned long was = READ_ONCE(file->flags);
	bool on = was & EVENT_FILE_FL_ENABLED && !(was & EVENT_FILE_FL_SOFT_DISABLED);

	trace_set_clr_event("okvm", "okvm_names", !on);
	trace_set_clr_event("okvm", "okvm_names", on);
	/*
	 * Restore the flag "was enabled": if it stayed set, rmmod okvm would empty the global trace
	 * buffer.
	 */
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

/*
 * Return true if the system kvm has an event kvm_exit that is not okvm's own. It may have okvm's
 * own event, because names_remove_all() leaves an event that is in use.
 */
static bool names_exist(void)
{
	struct trace_event_file *file = trace_get_event_file(NULL, "kvm", "kvm_exit");
	bool other_module;

	if (IS_ERR(file))
		return PTR_ERR(file) == -EBUSY;
	other_module = file->event_call->module != THIS_MODULE;
	trace_put_event_file(file);
	return other_module;
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
	/* Disable okvm's events in the global buffer. Users must enable those of kvm.ko again. */
	trace_set_clr_event("kvm", NULL, 0);
	/*
	 * names_do() fails if okvm cannot get the event okvm_names, or if a user has set a trigger
	 * on that event. Then okvm's events stay registered, and kvm.ko has no events. okvm tries
	 * again when kvm.ko is loaded the next time.
	 */
	if (!names_do(NAMES_WITHDRAW))
		return;
	names_offered = false;
	trace_okvm_names(false);
}

/* ---- module notifiers ---- */

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
 * Add okvm's events again if kvm.ko has been unloaded. Test this whenever any module is loaded or
 * unloaded, because the kernel does not always tell this notifier that kvm.ko is gone. If another
 * notifier refuses to let kvm.ko load, the kernel reports GOING only to the notifiers that it has
 * called before. This notifier would have been called later.
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
