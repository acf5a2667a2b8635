/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The 8254 interval timer and the speaker port as a register model. It has no clock: every call
 * that depends on time is told the time, and asks its caller to run channel 0's timer.
 */
#ifndef OKVM_IRQ_PIT_H
#define OKVM_IRQ_PIT_H

#include <linux/kvm.h>
#include <linux/types.h>

#define PIT_HZ			1193182
#define PIT_CHANNELS		3
#define PIT_PORT_BASE		0x40
#define PIT_PORTS		4
#define PIT_PORT_SPEAKER	0x61
/* Ticks that a guest has missed are made up for, but no more than this many. */
#define PIT_PENDING_MAX		4096

/**
 * enum pit_timer - what is to become of channel 0's timer
 * @PIT_TIMER_KEEP: let it be
 * @PIT_TIMER_STOP: stop it
 * @PIT_TIMER_START: start it anew with pit_todo.first and pit_todo.period
 */
enum pit_timer {
	PIT_TIMER_KEEP,
	PIT_TIMER_STOP,
	PIT_TIMER_START,
};

/**
 * struct pit_channel - one counter
 * @regs: its registers in the form of the ABI; regs.count is 1 to 0x10000, and
 *	regs.count_load_time the time in ns at which counting began
 * @running: it has a count and, in the modes that want one, a trigger
 * @held: ns counted when the gate went low in a mode that the gate stops, else 0
 * @null_count: a control word was written and no count since
 */
struct pit_channel {
	struct kvm_pit_channel_state regs;
	u64 held;
	bool running;
	bool null_count;
};

/**
 * struct pit_reinject - makes up for ticks that the guest was too slow to take
 * @enabled: ticks are counted and injected one by one, each after the last was acknowledged
 * @acked: the last injected tick was acknowledged
 * @pending: ticks not yet acknowledged, up to PIT_PENDING_MAX
 */
struct pit_reinject {
	bool enabled;
	bool acked;
	u32 pending;
};

/**
 * struct pit - the three channels and the speaker port
 * @channel: the counters
 * @flags: KVM_PIT_FLAGS_*
 * @min_period: shortest period of channel 0's timer in ns, at least 1
 */
struct pit {
	struct pit_channel channel[PIT_CHANNELS];
	u32 flags;
	u64 min_period;
};

/**
 * struct pit_todo - what a call leaves to its caller; zeroed by the caller before the call
 * @timer: the order
 * @first: ns from now to the first expiry
 * @period: ns between later expiries; 0 for a single one
 */
struct pit_todo {
	enum pit_timer timer;
	u64 first;
	u64 period;
};

/**
 * pit_reset() - put the model into its state after power on
 * @pit: the model
 * @min_period: see struct pit
 * @now: time in ns
 */
void pit_reset(struct pit *pit, u64 min_period, u64 now);

/**
 * pit_read() - read one byte of ports 0x40 to 0x43
 * @pit: the model
 * @port: 0 to 3, relative to PIT_PORT_BASE
 * @now: time in ns
 */
u8 pit_read(struct pit *pit, u16 port, u64 now);

/**
 * pit_write() - write one byte of ports 0x40 to 0x43
 * @pit: the model
 * @port: 0 to 3, relative to PIT_PORT_BASE
 * @val: the value
 * @now: time in ns
 * @todo: filled for the caller
 */
void pit_write(struct pit *pit, u16 port, u8 val, u64 now, struct pit_todo *todo);

/**
 * pit_speaker_read() - read port 0x61
 * @pit: the model
 * @now: time in ns
 */
u8 pit_speaker_read(const struct pit *pit, u64 now);

/**
 * pit_speaker_write() - write port 0x61: gate of channel 2 and speaker data
 * @pit: the model
 * @val: the value
 * @now: time in ns
 */
void pit_speaker_write(struct pit *pit, u8 val, u64 now);

/**
 * pit_out() - the level of a channel's output
 * @pit: the model
 * @channel: 0 to 2
 * @now: time in ns
 */
bool pit_out(const struct pit *pit, unsigned int channel, u64 now);

/**
 * pit_count() - the current value of a counter, in BCD if the channel is
 * @pit: the model
 * @channel: 0 to 2
 * @now: time in ns
 */
u16 pit_count(const struct pit *pit, unsigned int channel, u64 now);

/**
 * pit_get_state() - the registers in the form of KVM_GET_PIT2
 * @pit: the model
 * @state: every byte is written
 */
void pit_get_state(const struct pit *pit, struct kvm_pit_state2 *state);

/**
 * pit_set_state() - restore the registers from KVM_SET_PIT2; every channel starts counting anew
 * @pit: the model
 * @state: any values: what the registers cannot hold is dropped
 * @now: time in ns
 * @todo: filled for the caller
 */
void pit_set_state(struct pit *pit, const struct kvm_pit_state2 *state, u64 now,
		   struct pit_todo *todo);

/**
 * pit_reinject_reset() - forget missed ticks; the next one is injected at once
 * @re: the state
 */
void pit_reinject_reset(struct pit_reinject *re);

/**
 * pit_reinject_tick() - the timer has expired
 * @re: the state
 * @ticks: how many periods have passed, 1 or more
 *
 * Return: whether to inject an interrupt now.
 */
bool pit_reinject_tick(struct pit_reinject *re, u64 ticks);

/**
 * pit_reinject_ack() - the guest has acknowledged a tick
 * @re: the state
 *
 * Return: whether to inject the next of the missed ticks now.
 */
bool pit_reinject_ack(struct pit_reinject *re);

#endif
