// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model of the PC's two 8259A interrupt controllers. Names of commands follow the 8259A data
 * sheet. As in PC chip sets, the cascade is fixed, and ICW1's bits SNGL and LTIM have no effect.
 *
 * In contrast to upstream KVM: special mask mode works; the result of a poll has bit 7 set, and the
 * interrupt stays in service; ICW1 clears the in-service register; the slave's output is a line to
 * the master, so a request that the slave withdraws disappears from the master, too.
 */
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "irq/model/pic.h"

#define PIC_NONE		(-1)
#define PIC_CASCADE		BIT(2)
#define PIC_SPURIOUS		7

#define ICW1_INIT		BIT(4)
#define ICW1_IC4		BIT(0)
#define ICW4_AEOI		BIT(1)
#define ICW4_SFNM		BIT(4)
#define OCW3_SELECT		BIT(3)
#define OCW3_POLL		BIT(2)
#define OCW3_READ		BIT(1)
#define OCW3_READ_ISR		BIT(0)
#define OCW3_SMASK_ENABLE	BIT(6)
#define OCW3_SMASK		BIT(5)
#define POLL_VALID		BIT(7)

/* The upper three bits of OCW2: rotate, specific, end of interrupt. */
enum pic_ocw2 {
	OCW2_CLEAR_ROTATE_AEOI = 0,
	OCW2_EOI = 1,
	OCW2_NOP = 2,
	OCW2_EOI_SPECIFIC = 3,
	OCW2_SET_ROTATE_AEOI = 4,
	OCW2_EOI_ROTATE = 5,
	OCW2_SET_PRIORITY = 6,
	OCW2_EOI_SPECIFIC_ROTATE = 7,
};

/* Meaning of the next write to the data port; the values are part of the ABI. */
enum pic_init {
	INIT_DONE = 0,
	INIT_WANT_ICW2 = 1,
	INIT_WANT_ICW3 = 2,
	INIT_WANT_ICW4 = 3,
};

/* Pins that may be level-triggered: all but those of timer, keyboard, cascade, RTC and FPU. */
static const u8 elcr_mask[2] = { 0xf8, 0xde };

static_assert(sizeof(struct kvm_pic_state) == 16);

static u16 global_pins(enum pic_chip chip, u8 pins)
{
	return chip == PIC_SLAVE ? pins << 8 : pins;
}

/*
 * Return the rank of the pin in @pins that has the highest priority: 0 (highest) to 7 (lowest).
 * Return 8 if @pins is 0.
 */
static unsigned int chip_rank(const struct kvm_pic_state *s, u8 pins)
{
	u8 shift = s->priority_add & 7;
	u8 ranked = (u8)(pins >> shift | pins << (8 - shift));

	return ranked ? __ffs(ranked) : 8;
}

static unsigned int rank_pin(const struct kvm_pic_state *s, unsigned int rank)
{
	return (rank + s->priority_add) & 7;
}

/* Return the pin whose interrupt the controller requests, or PIC_NONE. */
static int chip_request(const struct pic *pic, enum pic_chip chip)
{
	const struct kvm_pic_state *s = &pic->chip[chip];
	unsigned int rank = chip_rank(s, s->irr & ~s->imr);
	u8 serving = s->isr;

	/* In special mask mode, a masked pin in service does not block other pins. */
	if (s->special_mask)
		serving &= ~s->imr;
	if (s->special_fully_nested_mode && chip == PIC_MASTER)
		serving &= ~PIC_CASCADE;
	return rank < chip_rank(s, serving) ? (int)rank_pin(s, rank) : PIC_NONE;
}

/* Update both INT outputs; called after every change of a register or line. */
static void pic_update(struct pic *pic, struct pic_todo *todo)
{
	bool cascade = chip_request(pic, PIC_SLAVE) != PIC_NONE;
	bool output;

	if (cascade)
		pic->chip[PIC_MASTER].irr |= PIC_CASCADE;
	else if (pic->cascade)
		pic->chip[PIC_MASTER].irr &= ~PIC_CASCADE;
	pic->cascade = cascade;
	output = chip_request(pic, PIC_MASTER) != PIC_NONE;
	if (output && !pic->output)
		todo->raised = true;
	pic->output = output;
}

static void chip_end(struct pic *pic, enum pic_chip chip, u8 pins, struct pic_todo *todo)
{
	pic->chip[chip].isr &= ~pins;
	todo->acked |= global_pins(chip, pins);
}

void pic_reset(struct pic *pic)
{
	unsigned int i;

	memset(pic->chip, 0, sizeof(pic->chip));
	for (i = 0; i < 2; i++)
		pic->chip[i].elcr_mask = elcr_mask[i];
	pic->cascade = false;
	pic->output = false;
}

/* Put a pin in service. The request of a level-triggered pin stays set until its line falls. */
static void chip_serve(struct pic *pic, enum pic_chip chip, unsigned int pin,
		       struct pic_todo *todo)
{
	struct kvm_pic_state *s = &pic->chip[chip];

	s->isr |= BIT(pin);
	if (!(s->elcr & BIT(pin)))
		s->irr &= ~BIT(pin);
	if (!s->auto_eoi)
		return;
	if (s->rotate_on_auto_eoi)
		s->priority_add = (pin + 1) & 7;
	chip_end(pic, chip, BIT(pin), todo);
}

u8 pic_ack(struct pic *pic, struct pic_todo *todo)
{
	int pin = chip_request(pic, PIC_MASTER);
	enum pic_chip chip = PIC_MASTER;

	pic->output = false;
	if (pin != PIC_NONE)
		chip_serve(pic, PIC_MASTER, pin, todo);
	if (pin == 2) {
		chip = PIC_SLAVE;
		pin = chip_request(pic, PIC_SLAVE);
		if (pin != PIC_NONE)
			chip_serve(pic, PIC_SLAVE, pin, todo);
	}
	if (pin == PIC_NONE)
		pin = PIC_SPURIOUS;
	pic_update(pic, todo);
	return pic->chip[chip].irq_base + pin;
}

/*
 * Answer a read after a poll command: acknowledge the interrupt of this controller and return its
 * pin. The other controller is not involved.
 */
static u8 chip_poll(struct pic *pic, enum pic_chip chip, struct pic_todo *todo)
{
	int pin = chip_request(pic, chip);

	pic->chip[chip].poll = 0;
	if (pin == PIC_NONE)
		return 0;
	chip_serve(pic, chip, pin, todo);
	pic_update(pic, todo);
	return POLL_VALID | pin;
}

static u8 chip_read(struct pic *pic, enum pic_chip chip, bool data, struct pic_todo *todo)
{
	const struct kvm_pic_state *s = &pic->chip[chip];

	if (s->poll)
		return chip_poll(pic, chip, todo);
	if (data)
		return s->imr;
	return s->read_reg_select ? s->isr : s->irr;
}

u8 pic_read(struct pic *pic, u16 port, struct pic_todo *todo)
{
	switch (port & ~1) {
	case PIC_PORT_MASTER:
		return chip_read(pic, PIC_MASTER, port & 1, todo);
	case PIC_PORT_SLAVE:
		return chip_read(pic, PIC_SLAVE, port & 1, todo);
	case PIC_PORT_ELCR:
		return pic->chip[port & 1].elcr;
	}
	return 0;
}

/*
 * Reset the controller by ICW1. This ends the interrupts in service, and drops requests of
 * edge-triggered pins. All these pins are added to pic_todo.acked, so that their ack notifiers are
 * called.
 */
static void chip_icw1(struct pic *pic, enum pic_chip chip, u8 val, struct pic_todo *todo)
{
	struct kvm_pic_state *s = &pic->chip[chip];
	u8 unmasked = s->imr;

	chip_end(pic, chip, s->isr | (s->irr & ~s->elcr), todo);
	todo->unmasked |= global_pins(chip, unmasked);
	s->isr = 0;
	s->irr &= s->elcr;
	s->last_irr = 0;
	s->imr = 0;
	s->priority_add = 0;
	s->special_mask = 0;
	s->read_reg_select = 0;
	s->poll = 0;
	s->rotate_on_auto_eoi = 0;
	s->init4 = val & ICW1_IC4;
	if (!s->init4) {
		s->special_fully_nested_mode = 0;
		s->auto_eoi = 0;
	}
	s->init_state = INIT_WANT_ICW2;
	/*
	 * Only requests of level-triggered pins are left. Their lines are high, so set their bits
	 * in last_irr (the last levels of the lines) again.
	 */
	s->last_irr |= s->irr;
}

static void chip_ocw2(struct pic *pic, enum pic_chip chip, u8 val, struct pic_todo *todo)
{
	struct kvm_pic_state *s = &pic->chip[chip];
	enum pic_ocw2 cmd = val >> 5;
	unsigned int pin = val & 7;

	switch (cmd) {
	case OCW2_CLEAR_ROTATE_AEOI:
	case OCW2_SET_ROTATE_AEOI:
		s->rotate_on_auto_eoi = cmd == OCW2_SET_ROTATE_AEOI;
		break;
	case OCW2_EOI:
	case OCW2_EOI_ROTATE:
		if (!s->isr)
			break;
		pin = rank_pin(s, chip_rank(s, s->isr));
		if (cmd == OCW2_EOI_ROTATE)
			s->priority_add = (pin + 1) & 7;
		chip_end(pic, chip, BIT(pin), todo);
		break;
	case OCW2_EOI_SPECIFIC_ROTATE:
		s->priority_add = (pin + 1) & 7;
		chip_end(pic, chip, BIT(pin), todo);
		break;
	case OCW2_EOI_SPECIFIC:
		chip_end(pic, chip, BIT(pin), todo);
		break;
	case OCW2_SET_PRIORITY:
		s->priority_add = (pin + 1) & 7;
		break;
	case OCW2_NOP:
		break;
	}
}

static void chip_ocw3(struct kvm_pic_state *s, u8 val)
{
	if (val & OCW3_POLL)
		s->poll = 1;
	if (val & OCW3_READ)
		s->read_reg_select = !!(val & OCW3_READ_ISR);
	if (val & OCW3_SMASK_ENABLE)
		s->special_mask = !!(val & OCW3_SMASK);
}

static void chip_write_mask(struct kvm_pic_state *s, enum pic_chip chip, u8 val,
			    struct pic_todo *todo)
{
	todo->masked |= global_pins(chip, val & ~s->imr);
	todo->unmasked |= global_pins(chip, ~val & s->imr);
	s->imr = val;
}

static void chip_write_data(struct pic *pic, enum pic_chip chip, u8 val, struct pic_todo *todo)
{
	struct kvm_pic_state *s = &pic->chip[chip];

	switch ((enum pic_init)s->init_state) {
	case INIT_DONE:
		chip_write_mask(s, chip, val, todo);
		break;
	case INIT_WANT_ICW2:
		s->irq_base = val & 0xf8;
		s->init_state = INIT_WANT_ICW3;
		break;
	case INIT_WANT_ICW3:
		s->init_state = s->init4 ? INIT_WANT_ICW4 : INIT_DONE;
		break;
	case INIT_WANT_ICW4:
		s->special_fully_nested_mode = !!(val & ICW4_SFNM);
		s->auto_eoi = !!(val & ICW4_AEOI);
		s->init_state = INIT_DONE;
		break;
	}
}

static void chip_write(struct pic *pic, enum pic_chip chip, bool data, u8 val,
		       struct pic_todo *todo)
{
	if (data)
		chip_write_data(pic, chip, val, todo);
	else if (val & ICW1_INIT)
		chip_icw1(pic, chip, val, todo);
	else if (val & OCW3_SELECT)
		chip_ocw3(&pic->chip[chip], val);
	else
		chip_ocw2(pic, chip, val, todo);
	pic_update(pic, todo);
}

void pic_write(struct pic *pic, u16 port, u8 val, struct pic_todo *todo)
{
	unsigned int odd = port & 1;

	switch (port & ~1) {
	case PIC_PORT_MASTER:
		chip_write(pic, PIC_MASTER, odd, val, todo);
		break;
	case PIC_PORT_SLAVE:
		chip_write(pic, PIC_SLAVE, odd, val, todo);
		break;
	case PIC_PORT_ELCR:
		pic->chip[odd].elcr = val & elcr_mask[odd];
		pic_update(pic, todo);
		break;
	}
}

static enum pic_line chip_set_line(struct kvm_pic_state *s, u8 bit, bool high)
{
	enum pic_line line = PIC_LINE_TAKEN;
	bool level = s->elcr & bit;

	if (high) {
		if (level || !(s->last_irr & bit)) {
			if (s->irr & bit)
				line = PIC_LINE_COALESCED;
			s->irr |= bit;
		}
		s->last_irr |= bit;
	} else {
		if (level)
			s->irr &= ~bit;
		s->last_irr &= ~bit;
	}
	return s->imr & bit ? PIC_LINE_IGNORED : line;
}

enum pic_line pic_set_line(struct pic *pic, unsigned int pin, unsigned int source, bool high,
			   struct pic_todo *todo)
{
	enum pic_line line;

	if (pin >= PIC_PINS || source >= PIC_SOURCES)
		return PIC_LINE_IGNORED;
	pin = array_index_nospec(pin, PIC_PINS);
	if (high)
		pic->sources[pin] |= BIT_ULL(source);
	else
		pic->sources[pin] &= ~BIT_ULL(source);
	line = chip_set_line(&pic->chip[pin / 8], BIT(pin % 8), pic->sources[pin]);
	pic_update(pic, todo);
	return line;
}

void pic_get_state(const struct pic *pic, enum pic_chip chip, struct kvm_pic_state *state)
{
	*state = pic->chip[chip == PIC_SLAVE];
}

void pic_set_state(struct pic *pic, enum pic_chip chip, const struct kvm_pic_state *state,
		   struct pic_todo *todo)
{
	unsigned int index = chip == PIC_SLAVE;
	struct kvm_pic_state *s = &pic->chip[index];

	/*
	 * Fields that are not sanitized here can do no harm: a vector is the pin plus irq_base,
	 * whatever irq_base is, and elcr_mask is only stored for userspace.
	 */
	*s = *state;
	s->priority_add &= 7;
	s->read_reg_select = !!s->read_reg_select;
	s->poll = !!s->poll;
	s->special_mask = !!s->special_mask;
	s->auto_eoi = !!s->auto_eoi;
	s->rotate_on_auto_eoi = !!s->rotate_on_auto_eoi;
	s->special_fully_nested_mode = !!s->special_fully_nested_mode;
	s->init4 = !!s->init4;
	if (s->init_state > INIT_WANT_ICW4)
		s->init_state = INIT_DONE;
	s->elcr &= elcr_mask[index];
	/*
	 * The restored IRR of the master may contain the slave's request. pic_update() would clear
	 * this request if the cascade line fell. So set the line to low first: then it can only
	 * rise, which it does if the slave has a request.
	 */
	pic->cascade = false;
	pic_update(pic, todo);
}
