// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes, any registers, any mode: decode and execute must end, stay in their memory and leave
 * nothing half done. The input is mode, CPL, flags, registers, then memory from which the code is
 * fetched as well.
 */
#include <stdlib.h>

#include "emul_env.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 memory[65536];

static void check(struct emul_env *e, enum emul_rc rc, const u64 *gpr)
{
	bool string = emul_is_string(&e->ctx);

	if (rc > EMUL_UNHANDLEABLE || rc == EMUL_RETRY)
		abort();
	if (rc != EMUL_OK && !string && memcmp(gpr, e->ctx.gpr, sizeof(e->ctx.gpr)))
		abort();
	if (e->ctx.dirty)
		abort();
}

static enum emul_rc switch_task(struct emul_env *e, const u8 *data)
{
	struct emul_task task = {
		.sel = data[14] | (data[15] & 1) << 8, .source = data[12] & 3,
		.external = data[12] >> 2 & 1, .has_error = data[12] >> 3 & 1, .error = data[11],
	};

	return emul_task_switch(&e->ctx, &task);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct emul_env e;
	static u8 io[4096];
	u64 gpr[16];
	enum emul_rc rc;
	int i;

	if (size < 16)
		return 0;
	env_init(&e, data[0] % 5, data[0] % 5 == EMUL_REAL ? 0 : data[0] % 5 == EMUL_VM86 ? 3 :
		 data[1] & 3);
	for (i = 0; i < 16; i++)
		e.ctx.gpr[i] = data[i % 8 + 2] * (i & 1 ? 0x101 : 0x41) & 0xffff;
	e.ctx.rflags |= (data[10] | data[11] << 8 | data[12] << 16) & 0x3c7fd5;
	e.ctx.rflags = (e.ctx.rflags & ~(u64)X86_EFLAGS_VM) |
		       (e.ctx.mode == EMUL_VM86 ? X86_EFLAGS_VM : 0);
	e.xcr0 = 7;
	e.cr[4] |= data[9] & 1 ? X86_CR4_OSXSAVE : 0;
	e.fx.cwd = 0x340 | data[8];
	e.mem = memory;
	e.size = sizeof(memory);
	e.mmio = data[13] & 1 ? 0x4000 : 0;
	e.races = data[13] >> 1 & 3;
	e.ctx.rep_limit = 1 + (data[13] >> 4);
	if (data[14] & 1) {
		e.ctx.io_buf = io;
		e.ctx.io_buf_size = sizeof(io);
	}
	memset(memory, data[15], sizeof(memory));
	memcpy(memory + 0x1000, data + 16, size - 16 < 4096 ? size - 16 : 4096);
	memcpy(memory, data + 16, size - 16 < 512 ? size - 16 : 512);
	e.ctx.rip = 0x1000;
	for (i = 0; i < 64; i++) {
		memcpy(gpr, e.ctx.gpr, sizeof(gpr));
		rc = emul_step(&e.ctx);
		check(&e, rc, gpr);
		if (rc == EMUL_UNHANDLEABLE && e.ctx.out & EMUL_OUT_TASK_SWITCH)
			rc = switch_task(&e, data);
		if (rc == EMUL_FAULT)
			rc = emul_deliver(&e.ctx, e.ctx.exc.vector, EMUL_EV_EXCEPTION,
					  e.ctx.exc.has_error, e.ctx.exc.error, e.ctx.rip);
		if (rc != EMUL_OK && rc != EMUL_IO)
			break;
	}
	return 0;
}
