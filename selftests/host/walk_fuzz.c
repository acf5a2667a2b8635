// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any mode, any registers, any tables: the input is the memory, repeated, so
 * that tables that map themselves are the rule. The number of reads is bounded
 * and every address that comes out is legal.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "mmu/walk.h"

struct world {
	const uint8_t *data;
	size_t size;
	unsigned int reads;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int world_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	struct world *w = ctx;
	uint8_t bytes[8] = { 0 };
	unsigned int i;

	w->reads++;
	if (gpa & (size - 1))
		__builtin_trap();
	if (gpa >> 52)
		__builtin_trap();
	for (i = 0; i < size; i++)
		bytes[i] = w->data[(gpa + i) % w->size];
	memcpy(val, bytes, 8);
	return gpa % 61 == 60 ? -EFAULT : 0;
}

static int world_cmpxchg(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	static const int answers[] = { 0, 0, 0, 1, -EROFS, -EFAULT, 0, 1 };

	(void)ctx;
	if (old == new || (old & ~0x60ull) != (new & ~0x60ull))
		__builtin_trap();
	return answers[(gpa + size) / 8 & 7];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct walk_ops ops = { world_read, world_cmpxchg };
	static const u8 levels[] = { 0, 2, 3, 4, 5, 4, 3, 2 };
	struct world w;
	struct walk_mode mode;
	struct walk_regs regs;
	struct walk_result out;
	struct walk_fault fault;
	uint8_t head[64] = { 0 };
	u32 access;
	u64 gva;

	if (size < 64 + 8)
		return 0;
	memcpy(head, data, 64);
	w = (struct world){ data + 64, size - 64, 0 };
	mode = (struct walk_mode){
		.levels = levels[head[0] & 7],
		.maxphyaddr = 32 + head[1] % 21,
		.wp = head[2] & 1, .nx = head[2] & 2, .smep = head[2] & 4, .smap = head[2] & 8,
		.pse = head[2] & 16, .pke = head[2] & 32, .gbpages = head[2] & 64,
	};
	memcpy(&regs.cr3, head + 8, 8);
	memcpy(regs.pdptrs, head + 16, 32);
	memcpy(&regs.pkru, head + 48, 4);
	regs.ac = head[3] & 1;
	memcpy(&gva, head + 56, 8);
	access = (head[4] & 0x16) | (head[5] & 1 ? WALK_IMPLICIT : 0);
	if (walk(&mode, &regs, &ops, &w, gva, access, &out, &fault) == WALK_OK &&
	    mode.levels > 2 && out.gpa >> mode.maxphyaddr)
		__builtin_trap();
	if (w.reads > 5 * WALK_TRIES)
		__builtin_trap();
	return 0;
}
