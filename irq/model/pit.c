// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model of the 8254 interval timer. Modes, read-back and latches follow the 82C54 data sheet,
 * with these simplifications: a count takes effect when it is written, not at the next clock or the
 * end of the period; and a count of N makes a period of N clocks in every mode.
 *
 * In contrast to upstream KVM: the gate stops counting in the same modes as in hardware; the
 * hardware-triggered modes wait for their trigger; BCD counts are decimal; the status has its NULL
 * COUNT bit; and the number of missed ticks is limited.
 */
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "irq/model/pit.h"

#define PIT_NS_PER_SEC		1000000000ULL
#define PIT_MODE_UNSET		0xff
#define PIT_MAX_BINARY		0x10000
#define PIT_MAX_BCD		10000
#define PIT_FLAGS		(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON)

#define STATUS_OUT		BIT(7)
#define STATUS_NULL_COUNT	BIT(6)
#define READBACK_NO_COUNT	BIT(5)
#define READBACK_NO_STATUS	BIT(4)
#define SPEAKER_GATE		BIT(0)
#define SPEAKER_DATA		BIT(1)
#define SPEAKER_REFRESH		BIT(4)
#define SPEAKER_OUT		BIT(5)
/* The refresh bit toggles about every 15 us. */
#define REFRESH_SHIFT		14

/*
 * Which byte of a count is read or written next. A count of two bytes begins with ACCESS_WORD0 (the
 * low byte is next) and goes on with ACCESS_WORD1 (the high byte is next). Values 0 to 3 are those
 * of the control word. All values are part of the ABI.
 */
enum pit_access {
	ACCESS_LATCH = 0,
	ACCESS_LSB = 1,
	ACCESS_MSB = 2,
	ACCESS_WORD0 = 3,
	ACCESS_WORD1 = 4,
};

enum pit_mode_flag {
	MODE_PERIODIC = BIT(0),		/* reloads the count automatically */
	MODE_TRIGGERED = BIT(1),	/* starts at a rising edge of the gate */
	MODE_GATED = BIT(2),		/* counts while the gate is high */
	MODE_RESTART = BIT(3),		/* a rising edge of the gate restarts the count */
};

/* 82C54, "Gate Pin Operations Summary". */
static const u8 mode_flags[6] = {
	[0] = MODE_GATED,
	[1] = MODE_TRIGGERED | MODE_RESTART,
	[2] = MODE_PERIODIC | MODE_GATED | MODE_RESTART,
	[3] = MODE_PERIODIC | MODE_GATED | MODE_RESTART,
	[4] = MODE_GATED,
	[5] = MODE_TRIGGERED | MODE_RESTART,
};

static u8 channel_flags(const struct pit_channel *c)
{
	u8 mode = c->regs.mode;

	return mode < 6 ? mode_flags[array_index_nospec(mode, 6)] : 0;
}

/* Return @mode, but 2 for mode 6 and 3 for mode 7: the hardware ignores bit 2 if bit 1 is set. */
static u8 canonical_mode(u8 mode)
{
	if (mode > 7)
		return PIT_MODE_UNSET;
	return mode > 5 ? mode - 4 : mode;
}

static u64 ns_to_clocks(u64 ns)
{
	return ns / PIT_NS_PER_SEC * PIT_HZ + ns % PIT_NS_PER_SEC * PIT_HZ / PIT_NS_PER_SEC;
}

static u64 clocks_to_ns(u32 clocks)
{
	return clocks * PIT_NS_PER_SEC / PIT_HZ;
}

static bool channel_held(const struct pit_channel *c)
{
	return !c->regs.gate && (channel_flags(c) & MODE_GATED);
}

/* Return the clocks since the channel started to count; 0 if it starts later than @now. */
static u64 channel_clocks(const struct pit_channel *c, u64 now)
{
	s64 since = now - (u64)c->regs.count_load_time;

	if (!c->running)
		return 0;
	if (channel_held(c))
		return ns_to_clocks(c->held);
	return since > 0 ? ns_to_clocks(since) : 0;
}

static u32 bin_to_bcd(u32 n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}

/* Convert BCD to binary. Hardware does not check the digits, so a digit may be above 9. */
static u32 bcd_to_bin(u32 n)
{
	return (n & 0xf) + (n >> 4 & 0xf) * 10 + (n >> 8 & 0xf) * 100 + (n >> 12 & 0xf) * 1000;
}

static u32 channel_max(const struct pit_channel *c)
{
	return c->regs.bcd ? PIT_MAX_BCD : PIT_MAX_BINARY;
}

/*
 * Return the counter's value in mode 3 (square wave), @phase clocks after the start of a period. In
 * each half of a period, the counter starts at the count, rounded down to an even number, and
 * counts down by two per clock. If the count is odd, the first half is one clock longer.
 */
static u32 square_count(u32 count, u32 phase)
{
	u32 high = (count + 1) / 2;

	return (count & ~1u) - 2 * (phase < high ? phase : phase - high);
}

static u32 channel_value(const struct pit_channel *c, u64 now)
{
	u32 count = c->regs.count, max = channel_max(c);
	u64 clocks = channel_clocks(c, now);

	if (c->regs.mode == 3)
		return square_count(count, clocks % count);
	if (channel_flags(c) & MODE_PERIODIC)
		return count - clocks % count;
	/* Modes that are not periodic continue from the maximum after they have reached zero. */
	return (count + max - clocks % max) % max;
}

u16 pit_count(const struct pit *pit, unsigned int channel, u64 now)
{
	const struct pit_channel *c = &pit->channel[channel];
	u32 value = channel_value(c, now);

	return c->regs.bcd ? bin_to_bcd(value) : value;
}

bool pit_out(const struct pit *pit, unsigned int channel, u64 now)
{
	const struct pit_channel *c = &pit->channel[channel];
	u64 clocks = channel_clocks(c, now);
	u32 count = c->regs.count;

	/*
	 * A channel is idle if it has no count, or if its mode needs a trigger that has not come.
	 * In a periodic mode a channel is also idle while the gate is low. The output of an idle
	 * channel is high, except in mode 0.
	 */
	if (!c->running || ((channel_flags(c) & MODE_PERIODIC) && !c->regs.gate))
		return c->regs.mode != 0;
	switch (c->regs.mode) {
	case 0:
	case 1:
		return clocks >= count;
	case 2:
		return clocks % count != count - 1;
	case 3:
		return clocks % count < (count + 1) / 2;
	case 4:
	case 5:
		return clocks != count;
	}
	return true;
}

/* Arm the timer for the rising edges of channel 0's output, which drives the interrupt line. */
static void pit_program_timer(const struct pit *pit, struct pit_todo *todo)
{
	const struct pit_channel *c = &pit->channel[0];
	u64 first = clocks_to_ns(c->regs.count);

	todo->timer = PIT_TIMER_STOP;
	if (!c->running || c->regs.mode > 5 || (pit->flags & KVM_PIT_FLAGS_HPET_LEGACY))
		return;
	todo->timer = PIT_TIMER_START;
	todo->first = first;
	todo->period = 0;
	if (channel_flags(c) & MODE_PERIODIC) {
		todo->first = max(first, pit->min_period);
		todo->period = todo->first;
	}
}

static void channel_start(struct pit_channel *c, u64 now)
{
	c->regs.count_load_time = now;
	c->held = 0;
	c->running = true;
}

static void pit_load(struct pit *pit, unsigned int channel, u32 raw, u64 now,
		     struct pit_todo *todo)
{
	struct pit_channel *c = &pit->channel[channel];
	u32 count = c->regs.bcd ? bcd_to_bin(raw) : raw;

	/* A written count of 0 means the longest count, so the stored count is never 0. */
	c->regs.count = count ? min(count, channel_max(c)) : channel_max(c);
	c->null_count = false;
	if (!(channel_flags(c) & MODE_TRIGGERED))
		channel_start(c, now);
	if (channel == 0)
		pit_program_timer(pit, todo);
}

static void channel_latch_count(struct pit *pit, unsigned int channel, u64 now)
{
	struct kvm_pit_channel_state *regs = &pit->channel[channel].regs;

	if (regs->count_latched)
		return;
	regs->latched_count = pit_count(pit, channel, now);
	regs->count_latched = regs->rw_mode;
}

static void channel_latch_status(struct pit *pit, unsigned int channel, u64 now)
{
	struct pit_channel *c = &pit->channel[channel];

	if (c->regs.status_latched)
		return;
	c->regs.status = (pit_out(pit, channel, now) ? STATUS_OUT : 0) |
			 (c->null_count ? STATUS_NULL_COUNT : 0) |
			 (c->regs.rw_mode & 3) << 4 | (c->regs.mode & 7) << 1 | c->regs.bcd;
	c->regs.status_latched = 1;
}

static void pit_read_back(struct pit *pit, u8 val, u64 now)
{
	unsigned int i;

	for (i = 0; i < PIT_CHANNELS; i++) {
		if (!(val & (2 << i)))
			continue;
		if (!(val & READBACK_NO_COUNT))
			channel_latch_count(pit, i, now);
		if (!(val & READBACK_NO_STATUS))
			channel_latch_status(pit, i, now);
	}
}

static void pit_write_control(struct pit *pit, u8 val, u64 now, struct pit_todo *todo)
{
	unsigned int channel = val >> 6;
	enum pit_access access = (val >> 4) & 3;
	struct pit_channel *c;

	if (channel == PIT_CHANNELS) {
		pit_read_back(pit, val, now);
		return;
	}
	channel = array_index_nospec(channel, PIT_CHANNELS);
	if (access == ACCESS_LATCH) {
		channel_latch_count(pit, channel, now);
		return;
	}
	c = &pit->channel[channel];
	c->regs.rw_mode = access;
	c->regs.read_state = access;
	c->regs.write_state = access;
	c->regs.mode = canonical_mode((val >> 1) & 7);
	c->regs.bcd = val & 1;
	c->regs.count_latched = 0;
	c->null_count = true;
	/* A control word stops the counter until a count is written. */
	c->regs.count = min(c->regs.count, channel_max(c));
	c->running = false;
	if (channel == 0)
		todo->timer = PIT_TIMER_STOP;
}

static void pit_write_count(struct pit *pit, unsigned int channel, u8 val, u64 now,
			    struct pit_todo *todo)
{
	struct pit_channel *c = &pit->channel[channel];

	switch ((enum pit_access)c->regs.write_state) {
	default:
		pit_load(pit, channel, val, now, todo);
		break;
	case ACCESS_MSB:
		pit_load(pit, channel, val << 8, now, todo);
		break;
	case ACCESS_WORD0:
		c->regs.write_latch = val;
		c->regs.write_state = ACCESS_WORD1;
		/* In mode 0, the first byte of a count stops the counter. */
		if (c->regs.mode == 0)
			c->running = false;
		if (c->regs.mode == 0 && channel == 0)
			todo->timer = PIT_TIMER_STOP;
		break;
	case ACCESS_WORD1:
		c->regs.write_state = ACCESS_WORD0;
		pit_load(pit, channel, c->regs.write_latch | val << 8, now, todo);
		break;
	}
}

void pit_write(struct pit *pit, u16 port, u8 val, u64 now, struct pit_todo *todo)
{
	if (port < PIT_CHANNELS)
		pit_write_count(pit, array_index_nospec(port, PIT_CHANNELS), val, now, todo);
	else if (port == PIT_CHANNELS)
		pit_write_control(pit, val, now, todo);
}

static u8 channel_read_latch(struct kvm_pit_channel_state *regs)
{
	enum pit_access step = regs->count_latched;

	/* After a read of the low byte, only the high byte is left in the latch. */
	regs->count_latched = step == ACCESS_WORD0 ? ACCESS_MSB : 0;
	return step == ACCESS_MSB ? regs->latched_count >> 8 : regs->latched_count;
}

static u8 channel_read_count(struct pit *pit, unsigned int channel, u64 now)
{
	struct kvm_pit_channel_state *regs = &pit->channel[channel].regs;
	u16 count = pit_count(pit, channel, now);

	switch ((enum pit_access)regs->read_state) {
	default:
		return count;
	case ACCESS_MSB:
		return count >> 8;
	case ACCESS_WORD0:
		regs->read_state = ACCESS_WORD1;
		return count;
	case ACCESS_WORD1:
		regs->read_state = ACCESS_WORD0;
		return count >> 8;
	}
}

u8 pit_read(struct pit *pit, u16 port, u64 now)
{
	struct kvm_pit_channel_state *regs;
	unsigned int channel;

	if (port >= PIT_CHANNELS)
		return 0;
	channel = array_index_nospec(port, PIT_CHANNELS);
	regs = &pit->channel[channel].regs;
	if (regs->status_latched) {
		regs->status_latched = 0;
		return regs->status;
	}
	if (regs->count_latched)
		return channel_read_latch(regs);
	return channel_read_count(pit, channel, now);
}

static void channel_set_gate(struct pit_channel *c, bool gate, u64 now)
{
	u8 flags = channel_flags(c);
	s64 since = now - (u64)c->regs.count_load_time;
	bool rising = gate && !c->regs.gate;
	bool falling = !gate && c->regs.gate;

	c->regs.gate = gate;
	if (falling && (flags & MODE_GATED))
		c->held = c->running && since > 0 ? since : 0;
	if (!rising)
		return;
	if ((flags & MODE_RESTART) && !c->null_count)
		channel_start(c, now);
	else if (flags & MODE_GATED)
		c->regs.count_load_time = now - c->held;
	c->held = 0;
}

u8 pit_speaker_read(const struct pit *pit, u64 now)
{
	return (pit->channel[2].regs.gate ? SPEAKER_GATE : 0) |
	       (pit->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? SPEAKER_DATA : 0) |
	       (now >> REFRESH_SHIFT & 1 ? SPEAKER_REFRESH : 0) |
	       (pit_out(pit, 2, now) ? SPEAKER_OUT : 0);
}

void pit_speaker_write(struct pit *pit, u8 val, u64 now)
{
	pit->flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	if (val & SPEAKER_DATA)
		pit->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	channel_set_gate(&pit->channel[2], val & SPEAKER_GATE, now);
}

void pit_reset(struct pit *pit, u64 min_period, u64 now)
{
	unsigned int i;

	memset(pit, 0, sizeof(*pit));
	pit->min_period = min_period ? min_period : 1;
	for (i = 0; i < PIT_CHANNELS; i++) {
		struct pit_channel *c = &pit->channel[i];

		c->regs.mode = PIT_MODE_UNSET;
		c->regs.gate = i != 2;
		c->regs.count = PIT_MAX_BINARY;
		channel_start(c, now);
	}
}

void pit_get_state(const struct pit *pit, struct kvm_pit_state2 *state)
{
	unsigned int i;

	memset(state, 0, sizeof(*state));
	for (i = 0; i < PIT_CHANNELS; i++)
		state->channels[i] = pit->channel[i].regs;
	state->flags = pit->flags;
}

static void channel_restore(struct pit_channel *c, const struct kvm_pit_channel_state *regs,
			    u64 now)
{
	c->regs = *regs;
	c->regs.mode = canonical_mode(regs->mode);
	c->regs.bcd = !!regs->bcd;
	c->regs.gate = !!regs->gate;
	c->regs.rw_mode = regs->rw_mode & 3;
	c->regs.status_latched = !!regs->status_latched;
	if (regs->count_latched > ACCESS_WORD0)
		c->regs.count_latched = ACCESS_WORD0;
	if (regs->read_state > ACCESS_WORD1)
		c->regs.read_state = ACCESS_LSB;
	if (regs->write_state > ACCESS_WORD1)
		c->regs.write_state = ACCESS_LSB;
	c->regs.count = regs->count ? min(regs->count, channel_max(c)) : channel_max(c);
	c->null_count = false;
	channel_start(c, now);
	c->running = !(channel_flags(c) & MODE_TRIGGERED);
}

void pit_set_state(struct pit *pit, const struct kvm_pit_state2 *state, u64 now,
		   struct pit_todo *todo)
{
	unsigned int i;

	for (i = 0; i < PIT_CHANNELS; i++)
		channel_restore(&pit->channel[i], &state->channels[i], now);
	pit->flags = state->flags & PIT_FLAGS;
	pit_program_timer(pit, todo);
}

void pit_reinject_reset(struct pit_reinject *re)
{
	re->pending = 0;
	re->acked = true;
}

bool pit_reinject_tick(struct pit_reinject *re, u64 ticks)
{
	if (!re->enabled)
		return true;
	re->pending = min_t(u64, re->pending + min_t(u64, ticks, PIT_PENDING_MAX),
			    PIT_PENDING_MAX);
	if (!re->acked)
		return false;
	re->acked = false;
	return true;
}

bool pit_reinject_ack(struct pit_reinject *re)
{
	if (!re->enabled)
		return false;
	re->acked = true;
	if (re->pending)
		re->pending--;
	if (!re->pending)
		return false;
	re->acked = false;
	return true;
}
