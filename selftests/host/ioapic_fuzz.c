// SPDX-License-Identifier: GPL-2.0-only
/* Any sequence of register accesses, line changes, EOIs and restores on one IOAPIC. */
#include <stdint.h>
#include <string.h>

#include "irq/model/ioapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void restore(struct ioapic *io, const uint8_t *data, size_t size, struct ioapic_todo *todo)
{
	struct kvm_ioapic_state state = { 0 };

	memcpy(&state, data, size < sizeof(state) ? size : sizeof(state));
	ioapic_set_state(io, &state, todo);
	ioapic_get_state(io, &state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ioapic io = { 0 };
	unsigned int pin;
	u64 map[4];

	ioapic_reset(&io);
	for (; size >= 6; data += 6, size -= 6) {
		struct ioapic_todo todo = { 0 };
		u32 val;

		memcpy(&val, data + 2, 4);
		switch (data[0] & 7) {
		case 0:
			ioapic_write(&io, data[1], val, &todo);
			break;
		case 1:
			ioapic_write(&io, IOAPIC_WINDOW, val, &todo);
			break;
		case 2:
			ioapic_read(&io, data[1]);
			break;
		case 3:
			ioapic_set_line(&io, data[1], val & 0x7f, val >> 8 & 1, val >> 9 & 1,
					&todo);
			break;
		case 4:
			ioapic_eoi_finish(&io, ioapic_eoi_begin(&io, data[1]), &todo);
			break;
		case 5:
			ioapic_reinject(&io, &todo);
			break;
		case 6:
			ioapic_eoi_vectors(&io, val, map);
			break;
		case 7:
			restore(&io, data + 1, size - 1, &todo);
			break;
		}
		for (pin = 0; pin < 32; pin++) {
			if (!(todo.deliver & BIT(pin)))
				continue;
			if (pin >= IOAPIC_PINS || (io.redir[pin] & IOAPIC_E_MASKED))
				__builtin_trap();
			ioapic_message(&io, pin);
			ioapic_delivered(&io, pin, (int)(val % 4) - 1);
		}
	}
	return 0;
}
