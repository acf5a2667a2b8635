// SPDX-License-Identifier: GPL-2.0-only
/* Any sequence of port accesses, line changes, acknowledges and restores on one pair of 8259A. */
#include <stdint.h>
#include <string.h>

#include "irq/model/pic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void restore(struct pic *pic, const uint8_t *data, size_t size, struct pic_todo *todo)
{
	struct kvm_pic_state state = { 0 };

	memcpy(&state, data, size < sizeof(state) ? size : sizeof(state));
	pic_set_state(pic, size & 1, &state, todo);
	pic_get_state(pic, size & 1, &state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u16 ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0, 0xffff };
	struct pic pic = { 0 };

	pic_reset(&pic);
	for (; size >= 3; data += 3, size -= 3) {
		struct pic_todo todo = { 0 };

		switch (data[0] & 7) {
		case 0:
		case 1:
			pic_write(&pic, ports[data[1] & 7], data[2], &todo);
			break;
		case 2:
			pic_read(&pic, ports[data[1] & 7], &todo);
			break;
		case 3:
		case 4:
			pic_set_line(&pic, data[1], data[2] >> 1, data[2] & 1, &todo);
			break;
		case 5:
			pic_ack(&pic, &todo);
			break;
		case 7:
			restore(&pic, data + 1, size - 1, &todo);
			break;
		}
		if (pic.chip[0].init_state > 3 || pic.chip[1].init_state > 3)
			__builtin_trap();
	}
	return 0;
}
