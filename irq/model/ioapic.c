// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOAPIC's registers and pins. ioapic.h describes how the model and its caller share the work.
 *
 * There are two differences from upstream KVM. If no CPU accepts a level-triggered message, remote
 * IRR stays clear, so the pin does not wait for an EOI that will not come. Only fixed and
 * lowest-priority interrupts are level-triggered, because the 82093AA requires edge triggering for
 * NMI, INIT and ExtINT.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "irq/model/ioapic.h"

#define IOAPIC_VERSION		0x11
#define IOAPIC_ALL_PINS		GENMASK(IOAPIC_PINS - 1, 0)
#define IOAPIC_E_READ_ONLY	(IOAPIC_E_STATUS | IOAPIC_E_REMOTE_IRR)
/* Bits of an entry on which the result of ioapic_eoi_vectors() depends. */
#define IOAPIC_E_EOI_BITS	(IOAPIC_E_VECTOR | IOAPIC_E_MODE | IOAPIC_E_LEVEL)
#define IOAPIC_MODE_LOWEST	1

static_assert(IOAPIC_PINS == KVM_IOAPIC_NUM_PINS);
static_assert(sizeof_field(struct kvm_ioapic_state, redirtbl) == IOAPIC_PINS * sizeof(u64));

static unsigned int entry_mode(u64 entry)
{
	return (entry & IOAPIC_E_MODE) >> IOAPIC_E_MODE_SHIFT;
}

static bool entry_is_level(u64 entry)
{
	return (entry & IOAPIC_E_LEVEL) && entry_mode(entry) <= IOAPIC_MODE_LOWEST;
}

void ioapic_reset(struct ioapic *io)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		io->redir[pin] = IOAPIC_E_MASKED;
	io->base = IOAPIC_BASE;
	io->select = 0;
	io->id = 0;
	io->irr = 0;
	io->sent = 0;
	io->rtc_pending = 0;
	io->rtc_report = false;
	memset(io->streak, 0, sizeof(io->streak));
}

/* Request delivery of a pin whose line is high. Return false if its entry forbids delivery. */
static bool ioapic_service(struct ioapic *io, unsigned int pin, struct ioapic_todo *todo)
{
	u64 entry = io->redir[pin];

	if (entry & IOAPIC_E_MASKED)
		return false;
	if (entry_is_level(entry) && (entry & IOAPIC_E_REMOTE_IRR))
		return false;
	if (!entry_is_level(entry))
		io->sent |= BIT(pin);
	todo->deliver |= BIT(pin);
	return true;
}

static u32 ioapic_read_window(const struct ioapic *io)
{
	u32 index = (io->select - IOAPIC_REDIR) >> 1;
	u64 entry;

	switch (io->select) {
	case IOAPIC_REG_VERSION:
		return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARB:
		return (u32)io->id << 24;
	}
	if (io->select < IOAPIC_REDIR || index >= IOAPIC_PINS)
		return ~0u;
	entry = io->redir[array_index_nospec(index, IOAPIC_PINS)];
	return io->select & 1 ? entry >> 32 : entry;
}

u32 ioapic_read(const struct ioapic *io, u32 offset)
{
	switch (offset) {
	case IOAPIC_SELECT:
		return io->select;
	case IOAPIC_WINDOW:
		return ioapic_read_window(io);
	}
	return 0;
}

static void ioapic_note_change(u64 old, u64 new, unsigned int pin, struct ioapic_todo *todo)
{
	if (~old & new & IOAPIC_E_MASKED)
		todo->masked |= BIT(pin);
	if (old & ~new & IOAPIC_E_MASKED)
		todo->unmasked |= BIT(pin);
	if ((old ^ new) & IOAPIC_E_EOI_BITS)
		todo->rescan = true;
}

static void ioapic_write_entry(struct ioapic *io, unsigned int pin, bool high, u32 val,
			       struct ioapic_todo *todo)
{
	u64 old = io->redir[pin];
	u64 new = high ? (u64)val << 32 | (u32)old : (old & ~(u64)~0u) | val;

	new = (new & ~IOAPIC_E_READ_ONLY) | (old & IOAPIC_E_READ_ONLY);
	/*
	 * This IOAPIC has no EOI register. Instead, guests may clear remote IRR by switching the
	 * entry to edge-triggered and back.
	 */
	if (!entry_is_level(new))
		new &= ~IOAPIC_E_REMOTE_IRR;
	io->redir[pin] = new;
	ioapic_note_change(old, new, pin, todo);
	if (pin == IOAPIC_RTC_PIN)
		io->rtc_pending = 0;
	if (entry_is_level(new) && (io->irr & BIT(pin)) && ioapic_service(io, pin, todo))
		todo->pending |= BIT(pin);
}

static void ioapic_write_window(struct ioapic *io, u32 val, struct ioapic_todo *todo)
{
	u32 index = (io->select - IOAPIC_REDIR) >> 1;

	if (io->select == IOAPIC_REG_ID)
		io->id = (val >> 24) & 0xf;
	if (io->select < IOAPIC_REDIR || index >= IOAPIC_PINS)
		return;
	index = array_index_nospec(index, IOAPIC_PINS);
	ioapic_write_entry(io, index, io->select & 1, val, todo);
}

void ioapic_write(struct ioapic *io, u32 offset, u32 val, struct ioapic_todo *todo)
{
	switch (offset) {
	case IOAPIC_SELECT:
		io->select = val;
		break;
	case IOAPIC_WINDOW:
		ioapic_write_window(io, val, todo);
		break;
	}
}

static enum ioapic_line ioapic_raise(struct ioapic *io, unsigned int pin, bool report,
				     struct ioapic_todo *todo)
{
	bool was_high = io->irr & BIT(pin);
	bool track = report && pin == IOAPIC_RTC_PIN;

	if (track && io->rtc_pending)
		return IOAPIC_LINE_COALESCED;
	io->irr |= BIT(pin);
	if (!entry_is_level(io->redir[pin])) {
		io->sent &= ~BIT(pin);
		if (was_high)
			return IOAPIC_LINE_COALESCED;
	}
	if (!ioapic_service(io, pin, todo))
		return IOAPIC_LINE_IGNORED;
	if (pin == IOAPIC_RTC_PIN)
		io->rtc_report = track;
	return IOAPIC_LINE_TAKEN;
}

enum ioapic_line ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source,
				 bool high, bool report, struct ioapic_todo *todo)
{
	if (pin >= IOAPIC_PINS || source >= IOAPIC_SOURCES)
		return IOAPIC_LINE_IGNORED;
	pin = array_index_nospec(pin, IOAPIC_PINS);
	if (high)
		io->sources[pin] |= BIT_ULL(source);
	else
		io->sources[pin] &= ~BIT_ULL(source);
	if (io->sources[pin])
		return ioapic_raise(io, pin, report, todo);
	io->irr &= ~BIT(pin);
	return IOAPIC_LINE_TAKEN;
}

struct gsi_message ioapic_message(const struct ioapic *io, unsigned int pin)
{
	u64 entry = pin < IOAPIC_PINS ? io->redir[pin] : IOAPIC_E_MASKED;

	return (struct gsi_message) {
		.vector = entry & IOAPIC_E_VECTOR,
		.mode = entry_mode(entry),
		.logical = entry & IOAPIC_E_LOGICAL,
		.level = entry_is_level(entry),
		.dest = entry >> IOAPIC_E_DEST_SHIFT,
	};
}

void ioapic_delivered(struct ioapic *io, unsigned int pin, int cpus)
{
	if (pin >= IOAPIC_PINS)
		return;
	if (cpus > 0 && entry_is_level(io->redir[pin]))
		io->redir[pin] |= IOAPIC_E_REMOTE_IRR;
	if (pin == IOAPIC_RTC_PIN && io->rtc_report) {
		io->rtc_report = false;
		io->rtc_pending = cpus > 0 ? cpus : 0;
		io->rtc_vector = io->redir[pin] & IOAPIC_E_VECTOR;
	}
}

u32 ioapic_eoi_begin(struct ioapic *io, u8 vector)
{
	unsigned int pin;
	u32 pins = 0;

	if (io->rtc_pending && io->rtc_vector == vector)
		io->rtc_pending--;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if ((io->redir[pin] & IOAPIC_E_VECTOR) == vector)
			pins |= BIT(pin);
	return pins;
}

/*
 * Handle an EOI for a pin; nothing happens if the pin is edge-triggered. If the pin's line is still
 * high and the pin is not masked, deliver the interrupt again. Delay this if the line has stayed
 * high after many EOIs in a row.
 */
static void ioapic_eoi_pin(struct ioapic *io, unsigned int pin, struct ioapic_todo *todo)
{
	if (!entry_is_level(io->redir[pin]))
		return;
	io->redir[pin] &= ~IOAPIC_E_REMOTE_IRR;
	if (!(io->irr & BIT(pin)) || (io->redir[pin] & IOAPIC_E_MASKED)) {
		io->streak[pin] = 0;
	} else if (++io->streak[pin] >= IOAPIC_STORM_EOIS) {
		io->streak[pin] = 0;
		todo->delay = true;
	} else {
		ioapic_service(io, pin, todo);
	}
}

void ioapic_eoi_finish(struct ioapic *io, u32 pins, struct ioapic_todo *todo)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (pins & BIT(pin))
			ioapic_eoi_pin(io, pin, todo);
}

void ioapic_reinject(struct ioapic *io, struct ioapic_todo *todo)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if ((io->irr & BIT(pin)) && entry_is_level(io->redir[pin]))
			ioapic_service(io, pin, todo);
}

void ioapic_eoi_vectors(const struct ioapic *io, u32 extra, u64 map[4])
{
	unsigned int pin;

	memset(map, 0, 4 * sizeof(*map));
	extra |= BIT(IOAPIC_RTC_PIN);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u8 vector = io->redir[pin] & IOAPIC_E_VECTOR;

		if (entry_is_level(io->redir[pin]) || (extra & BIT(pin)))
			map[vector / 64] |= BIT_ULL(vector % 64);
	}
}

void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state)
{
	unsigned int pin;

	memset(state, 0, sizeof(*state));
	state->base_address = io->base;
	state->ioregsel = io->select;
	state->id = io->id;
	/* Leave out edges whose message was sent, so that a restore does not deliver them again. */
	state->irr = io->irr & ~io->sent;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		state->redirtbl[pin].bits = io->redir[pin];
}

void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state,
		      struct ioapic_todo *todo)
{
	unsigned int pin;

	io->base = state->base_address;
	io->select = state->ioregsel;
	io->id = state->id & 0xf;
	io->irr = state->irr & IOAPIC_ALL_PINS;
	io->sent = 0;
	io->rtc_pending = 0;
	io->rtc_report = false;
	memset(io->streak, 0, sizeof(io->streak));
	todo->rescan = true;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 entry = state->redirtbl[pin].bits;

		if (!entry_is_level(entry))
			entry &= ~IOAPIC_E_REMOTE_IRR;
		io->redir[pin] = entry;
		if (io->irr & BIT(pin))
			ioapic_service(io, pin, todo);
	}
}
