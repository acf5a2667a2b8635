// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: a 16550A at 0x3f8, IRQ 4.
 *
 * Output leaves at once, so the transmitter is always empty. Input waits in a ring that the main
 * thread fills; the ring stands for the wire, so a reset of the FIFO leaves it alone. Registers
 * are named as in <linux/serial_reg.h>.
 */
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <unistd.h>

#include "run.h"

#define RING	1024	/* a power of two */

struct serial {
	struct machine *m;
	uint8_t ier, lcr, mcr, scr, fcr;
	uint8_t divisor[2];
	bool thr_empty;		/* the interrupt of that name is pending */
	bool line;
	uint8_t ring[RING];
	unsigned int head, tail;
};

static uint8_t interrupt_id(const struct serial *s)
{
	if (s->ier & UART_IER_RDI && s->head != s->tail)
		return UART_IIR_RDI;
	if (s->ier & UART_IER_THRI && s->thr_empty)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* The ISA line is edge triggered; an unchanged level needs no ioctl. */
static void update_line(struct serial *s)
{
	bool level = interrupt_id(s) != UART_IIR_NO_INT;

	if (level == s->line)
		return;
	s->line = level;
	machine_irq(s->m, IRQ_SERIAL, level);
}

static uint8_t receive(struct serial *s)
{
	return s->head == s->tail ? 0 : s->ring[s->tail++ % RING];
}

static uint8_t modem_status(const struct serial *s)
{
	uint8_t msr = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;

	if (!(s->mcr & UART_MCR_LOOP))
		return msr;
	/* In loopback the modem outputs are the modem inputs. */
	msr = 0;
	msr |= s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	msr |= s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	msr |= s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	msr |= s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return msr;
}

static uint8_t serial_read(struct serial *s, unsigned int reg)
{
	uint8_t iir;

	if (reg <= UART_DLM && s->lcr & UART_LCR_DLAB)
		return s->divisor[reg];
	switch (reg) {
	case UART_RX:
		return receive(s);
	case UART_IER:
		return s->ier;
	case UART_IIR:
		iir = interrupt_id(s);
		if (iir == UART_IIR_THRI)
			s->thr_empty = false;
		return iir | (s->fcr & UART_FCR_ENABLE_FIFO ? 0xc0 : 0);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE | (s->head != s->tail ? UART_LSR_DR : 0);
	case UART_MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void transmit(struct serial *s, uint8_t byte)
{
	s->thr_empty = true;
	if (s->mcr & UART_MCR_LOOP) {
		if (s->head - s->tail < RING)
			s->ring[s->head++ % RING] = byte;
	} else if (write(STDOUT_FILENO, &byte, 1) < 0) {
		return;	/* nobody reads: the guest must not mind */
	}
}

static void serial_write(struct serial *s, unsigned int reg, uint8_t value)
{
	if (reg <= UART_DLM && s->lcr & UART_LCR_DLAB) {
		s->divisor[reg] = value;
		return;
	}
	switch (reg) {
	case UART_TX:
		transmit(s, value);
		break;
	case UART_IER:
		if (value & ~s->ier & UART_IER_THRI)
			s->thr_empty = true;
		s->ier = value & 0x0f;
		break;
	case UART_FCR:
		s->fcr = value;
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		s->mcr = value & 0x1f;
		break;
	case UART_SCR:
		s->scr = value;
		break;
	}
}

/* Wide accesses touch consecutive registers, as a PC's bus splits them. */
static void serial_access(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	struct serial *s = dev;

	for (unsigned int i = 0; i < len && off + i < 8; i++) {
		if (write)
			serial_write(s, off + i, data[i]);
		else
			data[i] = serial_read(s, off + i);
	}
	update_line(s);
}

/*
 * Hardware flow control: nothing is sent before the guest asserts RTS. Linux does so once its
 * driver has emptied the receiver, so that input which is there from the start is not lost.
 */
size_t serial_room(struct machine *m)
{
	struct serial *s = m->serial;
	size_t room = 0;

	pthread_mutex_lock(&m->io_lock);
	if (s->mcr & UART_MCR_RTS && !(s->mcr & UART_MCR_LOOP))
		room = RING - (s->head - s->tail);
	pthread_mutex_unlock(&m->io_lock);
	return room;
}

void serial_input(struct machine *m, const uint8_t *data, size_t len)
{
	struct serial *s = m->serial;

	pthread_mutex_lock(&m->io_lock);
	for (size_t i = 0; i < len && s->head - s->tail < RING; i++)
		s->ring[s->head++ % RING] = data[i];
	update_line(s);
	pthread_mutex_unlock(&m->io_lock);
}

void serial_create(struct machine *m)
{
	m->serial = calloc(1, sizeof(*m->serial));
	if (!m->serial)
		die("out of memory");
	m->serial->m = m;
	machine_add_region(m, &(struct region) {
		.pio = true,
		.base = 0x3f8,
		.len = 8,
		.access = serial_access,
		.dev = m->serial,
	});
}
