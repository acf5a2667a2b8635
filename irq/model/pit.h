/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The 8254 interval timer and the speaker port as a register model, without a clock. The caller
 * passes the current time to each function that needs it, and runs the timer of channel 0 as struct
 * pit_todo says.
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
/* Upper limit of missed ticks that are injected later. */
#define PIT_PENDING_MAX		4096

/**
 * enum pit_timer - what the caller does with channel 0's timer
 * @PIT_TIMER_KEEP: leave it unchanged
 * @PIT_TIMER_STOP: stop it
 * @PIT_TIMER_START: restart it with pit_todo.first and pit_todo.period
 */
enum pit_timer {
	PIT_TIMER_KEEP,
	PIT_TIMER_STOP,
	PIT_TIMER_START,
};

/**
 * struct pit_channel - one counter
 * @regs: registers in the form of the ABI; regs.count is 1 to 0x10000, regs.count_load_time is the
 *	time in ns when counting began
 * @held: ns that were counted until the gate went low, if a low gate stops counting in this mode;
 *	otherwise 0
 * @running: the counter has a count, and a trigger if its mode needs one
 * @null_count: a control word was written, but no count since then
 */
struct pit_channel {
	struct kvm_pit_channel_state regs;
	u64 held;
	bool running;
	bool null_count;
};

/**
 * struct pit_reinject - ticks that are injected later, because the guest has missed them
 * @enabled: count ticks, and inject the next one only after the last one is acknowledged
 * @acked: the last injected tick was acknowledged
 * @pending: number of ticks not yet acknowledged, up to PIT_PENDING_MAX
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
 * struct pit_todo - actions for the caller, who zeroes it before the call
 * @timer: what to do with channel 0's timer
 * @first: ns from now to the first expiry
 * @period: ns between later expiries; 0 for a single expiry
 */
struct pit_todo {
	enum pit_timer timer;
	u64 first;
	u64 period;
};

/**
 * pit_reset() - set the model to its power-on state
 * @pit: the model
 * @min_period: shortest period of channel 0's timer in ns, at least 1
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
 * @todo: actions for the caller
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
 * pit_out() - compute the level of a channel's output
 * @pit: the model
 * @channel: 0 to 2
 * @now: time in ns
 */
bool pit_out(const struct pit *pit, unsigned int channel, u64 now);

/**
 * pit_count() - compute the current value of a counter, in BCD if the channel counts in BCD
 * @pit: the model
 * @channel: 0 to 2
 * @now: time in ns
 */
u16 pit_count(const struct pit *pit, unsigned int channel, u64 now);

/**
 * pit_get_state() - get the state for KVM_GET_PIT2
 * @pit: the model
 * @state: result; every byte is written
 */
void pit_get_state(const struct pit *pit, struct kvm_pit_state2 *state);

/**
 * pit_set_state() - restore the state from KVM_SET_PIT2; every channel restarts counting
 * @pit: the model
 * @state: may have any values; impossible register values are corrected
 * @now: time in ns
 * @todo: actions for the caller
 */
void pit_set_state(struct pit *pit, const struct kvm_pit_state2 *state, u64 now,
		   struct pit_todo *todo);

/**
 * pit_reinject_reset() - forget missed ticks; the next tick need not wait for an acknowledgment
 * @re: the state
 */
void pit_reinject_reset(struct pit_reinject *re);

/**
 * pit_reinject_tick() - count @ticks expired periods of the timer
 * @re: the state
 * @ticks: number of periods, 1 or more
 *
 * Return: true if the caller must inject an interrupt.
 */
bool pit_reinject_tick(struct pit_reinject *re, u64 ticks);

/**
 * pit_reinject_ack() - count the guest's acknowledgment of a tick
 * @re: the state
 *
 * Return: true if the caller must inject the next missed tick.
 */
bool pit_reinject_ack(struct pit_reinject *re);

#endif
