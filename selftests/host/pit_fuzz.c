// SPDX-License-Identifier: GPL-2.0-only
/* Any sequence of port accesses, jumps of the clock and restores on one 8254. */
#include <stdint.h>
#include <string.h>

#include "irq/model/pit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void restore(struct pit *pit, const uint8_t *data, size_t size, u64 now,
		    struct pit_todo *todo)
{
	struct kvm_pit_state2 state = { 0 };

	memcpy(&state, data, size < sizeof(state) ? size : sizeof(state));
	pit_set_state(pit, &state, now, todo);
	pit_get_state(pit, &state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pit_reinject re = { .enabled = size & 1 };
	struct pit pit;
	u64 now = 0;

	pit_reset(&pit, 200000, now);
	pit_reinject_reset(&re);
	for (; size >= 3; data += 3, size -= 3) {
		struct pit_todo todo = { 0 };
		u8 op = data[0] & 7, arg = data[1], val = data[2];

		now += (u64)(data[0] >> 3) << (val & 63);
		switch (op) {
		case 0:
		case 1:
			pit_write(&pit, arg & 7, val, now, &todo);
			break;
		case 2:
			pit_read(&pit, arg, now);
			break;
		case 3:
			pit_speaker_write(&pit, val, now);
			break;
		case 4:
			pit_speaker_read(&pit, now);
			break;
		case 5:
			pit_reinject_tick(&re, val);
			break;
		case 6:
			pit_reinject_ack(&re);
			break;
		case 7:
			restore(&pit, data + 1, size - 1, now, &todo);
			break;
		}
		if (todo.timer == PIT_TIMER_START && todo.period && todo.period < 200000)
			__builtin_trap();
		if (re.pending > PIT_PENDING_MAX)
			__builtin_trap();
	}
	return 0;
}
