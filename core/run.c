// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_RUN. The order of its steps is part of the ABI: userspace completes an I/O exit by calling
 * KVM_RUN with immediate_exit set, so the completion must precede the test of immediate_exit.
 *
 * A host thread may have pending work, which the kernel normally does on the return to userspace.
 * okvm_thread_work() does this work inside the ioctl. KVM_RUN could also return to userspace for
 * the work, and be restarted. But then another thread could close or replace the file descriptor
 * before the restart, and the signals that KVM_SET_SIGNAL_MASK blocks would be unblocked in
 * between. So okvm_vcpu_run() does that only on a kernel that is built without KVM.
 */
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>

#include "core/arch.h"
#include "core/backend.h"
#include "core/compat.h"
#include "core/internal.h"
#include "core/times.h"
#include "core/trace_kvm.h"

#define RUN_SIGNAL_WORK	(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL)
#define RUN_THREAD_WORK	(OKVM_TIF_RESCHED | RUN_SIGNAL_WORK | _TIF_NOTIFY_RESUME)

int okvm_run_interrupted(struct okvm_vcpu *vcpu)
{
	/*
	 * Clear a pending kick (OKVM_VCPU_KICK). It asks for the end of KVM_RUN, which happens
	 * here.
	 */
	okvm_take_request(OKVM_REQ_LEAVE, vcpu);
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	vcpu->stat[OKVM_STAT_SIGNAL_EXITS]++;
	return -EINTR;
}

/*
 * Take a reference to the vCPU's file before task work, which may close the file descriptor
 * (io_uring does). A single-threaded process holds no reference to the file during the ioctl, so
 * the vCPU and the VM could otherwise be freed while the vCPU runs.
 */
static void run_hold_file(struct okvm_vcpu *vcpu)
{
	lockdep_assert_held(&vcpu->mutex);
	if (vcpu->run_file_held)
		return;
	get_file(vcpu->run_file);
	vcpu->run_file_held = true;
}

/* Handle signals, rescheduling and pending work of the host thread. Return enum okvm_outcome. */
static int run_thread_work(struct okvm_vcpu *vcpu)
{
	int err = 0;

	if (read_thread_flags() & RUN_SIGNAL_WORK)
		return okvm_run_interrupted(vcpu);
	cond_resched();
	if (need_resched())
		schedule();
	/* Read the flags after schedule(), which may add work: rseq does so at each switch. */
	if (read_thread_flags() & _TIF_NOTIFY_RESUME) {
		run_hold_file(vcpu);
		err = okvm_thread_work();
	}
	return err == -EINTR ? okvm_run_interrupted(vcpu) : err;
}

/* Block a vCPU that is halted or waits for INIT and SIPI. Return enum okvm_outcome. */
static int run_blocked(struct okvm_vcpu *vcpu)
{
	bool runnable = okvm_vcpu_block(vcpu);
	int outcome = okvm_arch_vcpu_unblocked(vcpu, runnable);

	return outcome == -EAGAIN ? OKVM_RESUME : outcome;
}

static bool run_window_open(struct okvm_vcpu *vcpu)
{
	if (likely(!READ_ONCE(vcpu->run->request_interrupt_window)))
		return false;
	return okvm_arch_user_window_open(vcpu);
}

/* Serve the requests of other userspace threads: kicks and pauses. Return enum okvm_outcome. */
static int run_controlled(struct okvm_vcpu *vcpu)
{
	if (okvm_test_request(OKVM_REQ_LEAVE, vcpu))
		return okvm_run_interrupted(vcpu);
	/* Take the request before testing vm->paused: a later pause sets the request again. */
	if (okvm_take_request(OKVM_REQ_PAUSE, vcpu) && READ_ONCE(vcpu->vm->paused))
		return OKVM_RUN_PAUSED;
	return OKVM_RESUME;
}

static int run_once(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (okvm_has_requests(vcpu)) {
		outcome = run_controlled(vcpu);
		if (outcome == OKVM_RESUME)
			outcome = okvm_arch_serve_requests(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
	}
	if (likely(okvm_arch_vcpu_can_enter(vcpu)))
		return vcpu->vm->backend->run(vcpu);
	return run_blocked(vcpu);
}

static int run_loop(struct okvm_vcpu *vcpu)
{
	int outcome;

	for (;;) {
		outcome = run_once(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
		if (run_window_open(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return OKVM_USER;
		}
		if (unlikely(read_thread_flags() & RUN_THREAD_WORK)) {
			outcome = run_thread_work(vcpu);
			if (outcome != OKVM_RESUME)
				return outcome;
		}
	}
}

/*
 * End KVM_RUN with -EINTR because userspace has set immediate_exit. If a kick is pending, the same
 * end of KVM_RUN serves it, so clear its request.
 */
static int run_immediate_exit(struct okvm_vcpu *vcpu)
{
	return okvm_test_request(OKVM_REQ_LEAVE, vcpu) ? okvm_run_interrupted(vcpu) : -EINTR;
}

/*
 * Execute KVM_RUN for an AP that waits for INIT: sleep until an INIT comes or KVM_RUN has to end.
 * Return: -EINTR if a signal, a kick or immediate_exit ends KVM_RUN; OKVM_RUN_PAUSED if a pause has
 * ended the sleep; otherwise -EAGAIN
 */
static int run_uninitialized(struct okvm_vcpu *vcpu)
{
	if (okvm_immediate_exit(vcpu->run))
		return run_immediate_exit(vcpu);
	okvm_arch_vcpu_unblocked(vcpu, okvm_vcpu_block(vcpu));
	if (signal_pending(current) || okvm_test_request(OKVM_REQ_LEAVE, vcpu))
		return okvm_run_interrupted(vcpu);
	/*
	 * If OKVM_REQ_PAUSE is set, a pause has ended the sleep. Userspace must not notice this, so
	 * let KVM_RUN begin again, even if the pause is over already.
	 */
	return okvm_take_request(OKVM_REQ_PAUSE, vcpu) ? OKVM_RUN_PAUSED : -EAGAIN;
}

/* Call the completion of the last exit to userspace. Return enum okvm_outcome. */
static int run_complete_io(struct okvm_vcpu *vcpu)
{
	int (*complete)(struct okvm_vcpu *vcpu) = vcpu->complete_io;

	vcpu->complete_io = NULL;
	return complete(vcpu);
}

static int run_begun(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (vcpu->complete_io) {
		outcome = run_complete_io(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
	}
	if (okvm_immediate_exit(vcpu->run))
		return run_immediate_exit(vcpu);
	/* A signal that came before the first VM entry ends KVM_RUN without an entry. */
	if (unlikely(read_thread_flags() & RUN_SIGNAL_WORK))
		return okvm_run_interrupted(vcpu);
	return run_loop(vcpu);
}

static int run_loaded(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (unlikely(okvm_arch_vcpu_uninitialized(vcpu))) {
		outcome = run_uninitialized(vcpu);
	} else {
		outcome = okvm_arch_run_begin(vcpu);
		if (!outcome)
			outcome = run_begun(vcpu);
	}
	okvm_arch_run_end(vcpu);
	return outcome;
}

/* Store the thread's pid in vcpu->pid, where directed yield finds it. */
static void run_note_thread(struct okvm_vcpu *vcpu)
{
	struct pid *old = rcu_dereference_protected(vcpu->pid, lockdep_is_held(&vcpu->mutex));
	struct pid *now = task_pid(current);

	if (likely(old == now))
		return;
	rcu_assign_pointer(vcpu->pid, get_pid(now));
	if (old)
		synchronize_rcu();
	put_pid(old);
}

static noinline void run_watch_end(struct okvm_vcpu *vcpu, int outcome)
{
	if (outcome == OKVM_RUN_PAUSED)
		return;
	trace_kvm_userspace_exit(vcpu->run->exit_reason, min(outcome, 0));
	if (vcpu->times)
		okvm_times_to_user(vcpu);
}

int okvm_vcpu_run(struct okvm_vcpu *vcpu)
{
	sigset_t saved;
	int outcome;

	if (okvm_watching() && vcpu->times)
		okvm_times_from_user(vcpu);
	run_note_thread(vcpu);
	vcpu->ran = true;
	okvm_vcpu_load(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &saved);
	vcpu->run->flags = 0;
	outcome = run_loaded(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &saved, NULL);
	/*
	 * A kernel that is built without KVM does task work only on the return to userspace
	 * (core/compat.c). KVM_RUN then returns -ERESTARTNOINTR. The kernel restarts a system call
	 * only if it looks for a signal and finds none. TIF_SIGPENDING makes it look. Set the flag
	 * after sigprocmask(), which recomputes the flag.
	 */
	if (outcome == -ERESTARTNOINTR)
		set_thread_flag(TIF_SIGPENDING);
	okvm_vcpu_put(vcpu);
	if (okvm_watching())
		run_watch_end(vcpu, outcome);
	if (outcome == OKVM_USER) {
		vcpu->stat[OKVM_STAT_USER_EXITS]++;
		return 0;
	}
	return outcome;
}
