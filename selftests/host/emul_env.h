/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine for the emulator's tests: a piece of linear memory, segment registers, control
 * registers, ports that record. Addresses outside of the memory are page faults.
 */
#ifndef OKVM_HOST_EMUL_ENV_H
#define OKVM_HOST_EMUL_ENV_H

#include <linux/types.h>
#include <linux/string.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "x86/emul/emul.h"
#include "x86/insn/x87_insn.h"

struct emul_env {
	struct emul_ctx ctx;	/* first: the ops cast */
	u8 *mem;
	u64 base;		/* linear address of mem[0] */
	u64 size;
	u64 ro, ro_len;		/* linear addresses that are not writable */
	u64 awaited;		/* if not 0: reads from here on are given up */
	u64 mmio;		/* linear address of 4096 bytes that answer EMUL_IO first */
	bool mmio_ready;	/* the access at mmio_seq was completed */
	u32 mmio_seq;
	unsigned int mmio_exits;
	u64 mmio_val;		/* read value, last written value */
	struct emul_seg seg[8];
	struct emul_dtr table[2];
	u64 cr[16], dr[8];
	u64 efer, star, lstar, cstar, fmask, sysenter[3], kgs;
	u32 vendor;		/* EBX of CPUID leaf 0, or 0 for what other leaves answer */
	struct emul_fx fx;	/* x87, MMX, and the low halves of YMM */
	u8 high[16][16];	/* the upper halves */
	u64 xcr0;
	u8 bytes[15];		/* instruction; fetched from here when nbytes is not 0 */
	unsigned int nbytes;
	u64 pio[64];
	unsigned int pios, pio_items;
	unsigned int fetches, races;
	int sysop;
	u64 sysarg;
};

static inline struct emul_env *env_of(struct emul_ctx *ctx)
{
	return (struct emul_env *)ctx;
}

static inline u8 *env_at(struct emul_env *e, u64 la, unsigned int len)
{
	if (la < e->base || la - e->base > e->size || len > e->size - (la - e->base))
		return NULL;
	return e->mem + (la - e->base);
}

static inline bool env_is_mmio(struct emul_env *e, u64 la)
{
	return e->mmio && la - e->mmio < 4096;
}

/* The first call of an instruction exits, the repetition is answered. */
static inline bool env_mmio_pending(struct emul_env *e)
{
	if (e->mmio_ready && e->mmio_seq == e->ctx.seq)
		return false;
	e->mmio_ready = true;
	e->mmio_seq = e->ctx.seq;
	e->mmio_exits++;
	return true;
}

static inline enum emul_rc env_fetch(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
				     u8 cpl)
{
	struct emul_env *e = env_of(ctx);
	unsigned int off = ctx->insn.avail;
	u8 *p;

	e->fetches++;
	if (e->nbytes) {
		memset(buf, 0xcc, len);
		if (off < e->nbytes)
			memcpy(buf, e->bytes + off, len < e->nbytes - off ? len : e->nbytes - off);
		return EMUL_OK;
	}
	p = env_at(e, la, len);
	if (!p)
		return emul_fault_page(ctx, la, 0x10 | (cpl == 3 ? 4 : 0));
	memcpy(buf, p, len);
	return EMUL_OK;
}

static inline enum emul_rc env_read(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
				    enum emul_access acc, u8 cpl)
{
	struct emul_env *e = env_of(ctx);
	u8 *p = env_at(e, la, len);

	if (env_is_mmio(e, la)) {
		if (env_mmio_pending(e))
			return EMUL_IO;
		memcpy(buf, &e->mmio_val, len < 8 ? len : 8);
		return EMUL_OK;
	}
	if (e->awaited && la >= e->awaited)
		return EMUL_UNHANDLEABLE;
	if (!p)
		return emul_fault_page(ctx, la, (cpl == 3 && acc != EMUL_SYSTEM ? 4 : 0) |
					      (acc == EMUL_DATA_RMW ? 2 : 0));
	memcpy(buf, p, len);
	return EMUL_OK;
}

static inline bool env_is_ro(const struct emul_env *e, u64 la, unsigned int len)
{
	return la < e->ro + e->ro_len && la + len > e->ro;
}

static inline enum emul_rc env_write(struct emul_ctx *ctx, u64 la, const void *buf,
				     unsigned int len, enum emul_access acc, u8 cpl)
{
	struct emul_env *e = env_of(ctx);
	u8 *p = env_at(e, la, len);

	if (env_is_mmio(e, la)) {
		if (env_mmio_pending(e))
			return EMUL_IO;
		memcpy(&e->mmio_val, buf, len < 8 ? len : 8);
		return EMUL_OK;
	}
	if (!p)
		return emul_fault_page(ctx, la, 2 | (cpl == 3 && acc != EMUL_SYSTEM ? 4 : 0));
	if (env_is_ro(e, la, len))
		return emul_fault_page(ctx, la, 3 | (cpl == 3 && acc != EMUL_SYSTEM ? 4 : 0));
	memcpy(p, buf, len);
	return EMUL_OK;
}

static inline enum emul_rc env_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old,
				       const void *new, unsigned int len, enum emul_access acc,
				       u8 cpl)
{
	struct emul_env *e = env_of(ctx);
	u8 *p = env_at(e, la, len);

	if (env_is_mmio(e, la) || !p || env_is_ro(e, la, len))
		return env_write(ctx, la, new, len, acc, cpl);
	if (e->races) {
		e->races--;
		p[0]++;
	}
	if (memcmp(p, old, len))
		return EMUL_RETRY;
	memcpy(p, new, len);
	return EMUL_OK;
}

static inline enum emul_rc env_probe(struct emul_ctx *ctx, u64 la, unsigned int len,
				     enum emul_access acc, u8 cpl)
{
	struct emul_env *e = env_of(ctx);

	if (env_is_ro(e, la, len))
		return emul_fault_page(ctx, la, 3 | (cpl == 3 ? 4 : 0));
	if (env_is_mmio(e, la) || env_at(e, la, len))
		return EMUL_OK;
	return emul_fault_page(ctx, la, 2 | (cpl == 3 ? 4 : 0));
}

static inline enum emul_rc env_in(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
				  void *buf)
{
	struct emul_env *e = env_of(ctx);
	u8 *p = buf;
	u32 i;

	e->pios++;
	for (i = 0; i < size * count; i++)
		p[i] = port + e->pio_items + i / size;
	e->pio_items += count;
	return EMUL_OK;
}

static inline enum emul_rc env_out(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
				   const void *buf)
{
	struct emul_env *e = env_of(ctx);
	u32 i;

	e->pios++;
	for (i = 0; i < count; i++, e->pio_items++)
		memcpy(&e->pio[e->pio_items % 64], (const u8 *)buf + i * size, size);
	return EMUL_OK;
}

static inline void env_get_seg(struct emul_ctx *ctx, enum emul_sreg nr, struct emul_seg *seg)
{
	*seg = env_of(ctx)->seg[nr];
}

static inline void env_set_seg(struct emul_ctx *ctx, enum emul_sreg nr, const struct emul_seg *seg)
{
	env_of(ctx)->seg[nr] = *seg;
}

static inline void env_get_table(struct emul_ctx *ctx, enum emul_table nr, struct emul_dtr *dtr)
{
	*dtr = env_of(ctx)->table[nr];
}

static inline void env_set_table(struct emul_ctx *ctx, enum emul_table nr,
				 const struct emul_dtr *dtr)
{
	env_of(ctx)->table[nr] = *dtr;
}

static inline u64 env_get_cr(struct emul_ctx *ctx, unsigned int nr)
{
	return env_of(ctx)->cr[nr];
}

static inline enum emul_rc env_set_cr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	env_of(ctx)->cr[nr] = val;
	return EMUL_OK;
}

static inline enum emul_rc env_get_dr(struct emul_ctx *ctx, unsigned int nr, u64 *val)
{
	*val = env_of(ctx)->dr[nr];
	return EMUL_OK;
}

static inline enum emul_rc env_set_dr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	env_of(ctx)->dr[nr] = val;
	return EMUL_OK;
}

static inline u64 *env_msr(struct emul_env *e, u32 msr)
{
	switch (msr) {
	case MSR_EFER:
		return &e->efer;
	case MSR_STAR:
		return &e->star;
	case MSR_LSTAR:
		return &e->lstar;
	case MSR_CSTAR:
		return &e->cstar;
	case MSR_SYSCALL_MASK:
		return &e->fmask;
	case MSR_IA32_SYSENTER_CS:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		return &e->sysenter[msr - MSR_IA32_SYSENTER_CS];
	case MSR_KERNEL_GS_BASE:
		return &e->kgs;
	case MSR_IA32_TSC:
		return &e->mmio_val;
	default:
		return NULL;
	}
}

static inline enum emul_rc env_get_msr(struct emul_ctx *ctx, u32 msr, u64 *val,
				       enum emul_access acc)
{
	u64 *p = env_msr(env_of(ctx), msr);

	if (!p)
		return emul_fault_code(ctx, 13, 0);
	*val = *p;
	return EMUL_OK;
}

static inline enum emul_rc env_set_msr(struct emul_ctx *ctx, u32 msr, u64 val,
				       enum emul_access acc)
{
	u64 *p = env_msr(env_of(ctx), msr);

	if (!p)
		return emul_fault_code(ctx, 13, 0);
	*p = val;
	return EMUL_OK;
}

static inline enum emul_rc env_cpuid(struct emul_ctx *ctx, u32 regs[4])
{
	regs[1] = regs[0] || !env_of(ctx)->vendor ? regs[0] + 1 : env_of(ctx)->vendor;
	regs[3] = regs[2] + 1;
	return EMUL_OK;
}

/* MMX registers are the mantissas of the physical registers; whoever touches one sets TOP to 0. */
static inline u8 *env_mmx(struct emul_env *e, unsigned int nr)
{
	u8 st[8][16];
	unsigned int i, top = e->fx.swd >> 11 & 7;

	memcpy(st, e->fx.st, sizeof(st));
	for (i = 0; i < 8; i++)
		memcpy(e->fx.st[i], st[(i - top) & 7], 16);
	e->fx.swd &= ~0x3800;
	e->fx.twd = 0xff;
	return e->fx.st[nr];
}

static inline enum emul_rc env_get_vec(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				       void *buf)
{
	struct emul_env *e = env_of(ctx);

	if (file == EMUL_MM)
		memcpy(buf, env_mmx(e, nr), 8);
	else
		memcpy(buf, e->fx.xmm[nr], 16);
	if (file == EMUL_YMM)
		memcpy((u8 *)buf + 16, e->high[nr], 16);
	return EMUL_OK;
}

static inline enum emul_rc env_set_vec(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				       const void *buf)
{
	struct emul_env *e = env_of(ctx);
	u8 *mm;

	if (file == EMUL_MM) {
		mm = env_mmx(e, nr);
		memcpy(mm, buf, 8);
		memset(mm + 8, 0xff, 2);
	} else {
		memcpy(e->fx.xmm[nr], buf, 16);
	}
	if (file == EMUL_YMM)
		memcpy(e->high[nr], (const u8 *)buf + 16, 16);
	return EMUL_OK;
}

static inline void env_get_fx(struct emul_ctx *ctx, struct emul_fx *fx)
{
	*fx = env_of(ctx)->fx;
}

static struct emul_fx env_own_fx;

/* As the processor takes it: reserved bits are forced. Pointers are not kept by every processor. */
static inline void env_set_fx(struct emul_ctx *ctx, const struct emul_fx *fx)
{
	struct emul_fx *to = &env_of(ctx)->fx;

	asm volatile("fxsave64 %0" : "=m" (env_own_fx));
	asm volatile("fxrstor64 %0" : : "m" (*fx));
	asm volatile("fxsave64 %0" : "=m" (*to));
	asm volatile("fxrstor64 %0" : : "m" (env_own_fx));
	to->rip = fx->rip;
	to->rdp = fx->rdp;
	to->fop = fx->fop;
}

/* On the processor's own registers, which nobody uses meanwhile. */
static inline enum emul_rc env_x87(struct emul_ctx *ctx, struct emul_fx *fx, u8 opcode, u8 modrm,
				   void *data)
{
	bool known;

	asm volatile("fxsave64 %0" : "=m" (env_own_fx));
	asm volatile("fxrstor64 %0" : : "m" (*fx));
	known = x87_run(opcode, modrm, data);
	asm volatile("fxsave64 %0" : "=m" (*fx));
	asm volatile("fxrstor64 %0" : : "m" (env_own_fx));
	/* Addresses of its own, as Intel's processors leave them. */
	fx->rip = 0xbad1;
	fx->rdp = 0xbad2;
	fx->fop = 0x7ff;
	return known ? EMUL_OK : EMUL_UNHANDLEABLE;
}

static inline enum emul_rc env_fpu(struct emul_ctx *ctx, enum emul_fpuop op, u32 *val)
{
	struct emul_env *e = env_of(ctx);
	struct emul_fx fx;
	u16 cw;

	switch (op) {
	case EMUL_FPU_GET_MXCSR:
		*val = e->fx.mxcsr;
		return EMUL_OK;
	case EMUL_FPU_SET_MXCSR:
		if (*val & ~e->fx.mxcsr_mask)
			return emul_fault_code(ctx, 13, 0);
		e->fx.mxcsr = *val;
		return EMUL_OK;
	case EMUL_FPU_SET_CW:
		fx = e->fx;
		cw = *val;
		env_x87(ctx, &e->fx, 0xd9, 5 << 3, &cw);
		e->fx.rip = fx.rip;
		e->fx.rdp = fx.rdp;
		e->fx.fop = fx.fop;
		return EMUL_OK;
	case EMUL_FPU_GET_CW:
		*val = e->fx.cwd;
		return EMUL_OK;
	case EMUL_FPU_GET_SW:
		*val = e->fx.swd;
		return EMUL_OK;
	case EMUL_FPU_WAIT:
		return e->fx.swd & ~e->fx.cwd & 0x3f ? emul_fault(ctx, 16) : EMUL_OK;
	default:
		return EMUL_OK;
	}
}

static inline enum emul_rc env_system(struct emul_ctx *ctx, enum emul_sysop op, u64 arg, u64 arg2,
				      u64 *out)
{
	env_of(ctx)->sysop = op;
	env_of(ctx)->sysarg = arg;
	*out = arg + 1;
	if (op == EMUL_SYS_XGETBV)
		*out = env_of(ctx)->xcr0;
	return op == EMUL_SYS_VMX_SVM ? emul_fault(ctx, 6) : EMUL_OK;
}

static const struct emul_ops env_ops = {
	.fetch = env_fetch, .read = env_read, .write = env_write, .cmpxchg = env_cmpxchg,
	.probe_write = env_probe, .pio_in = env_in, .pio_out = env_out, .get_seg = env_get_seg,
	.set_seg = env_set_seg, .get_table = env_get_table, .set_table = env_set_table,
	.get_cr = env_get_cr, .set_cr = env_set_cr, .get_dr = env_get_dr, .set_dr = env_set_dr,
	.get_msr = env_get_msr, .set_msr = env_set_msr, .cpuid = env_cpuid,
	.get_vec = env_get_vec, .set_vec = env_set_vec, .get_fx = env_get_fx, .set_fx = env_set_fx,
	.x87 = env_x87, .fpu = env_fpu, .system = env_system,
};

#define ENV_DATA_AR	0xc093u		/* P, DPL 0, writable, accessed, 32 bits, pages */
#define ENV_CODE_AR	0xc09bu

/* Flat segments and the control registers of @mode; everything else zero. */
static inline void env_init(struct emul_env *e, enum emul_mode mode, u8 cpl)
{
	bool flat = mode >= EMUL_PROT16;
	int i;

	memset(e, 0, sizeof(*e));
	emul_init(&e->ctx, &env_ops, mode, cpl);
	e->ctx.rflags = 2;
	for (i = 0; i < 6; i++) {
		e->seg[i].limit = flat ? 0xffffffff : 0xffff;
		e->seg[i].ar = (flat ? ENV_DATA_AR : 0x93) | cpl << 5;
	}
	e->seg[EMUL_CS].ar = (flat ? ENV_CODE_AR : 0x9b) | cpl << 5;
	if (mode == EMUL_LONG64)
		e->seg[EMUL_CS].ar ^= EMUL_AR_L | EMUL_AR_DB;
	if (mode == EMUL_PROT16)
		e->seg[EMUL_CS].ar &= ~EMUL_AR_DB;
	e->seg[EMUL_LDTR].ar = EMUL_AR_UNUSABLE;
	e->seg[EMUL_TR].ar = 0x8b;
	e->seg[EMUL_TR].limit = 0x67;
	e->cr[0] = mode == EMUL_REAL ? 0x10 : 0x11;
	e->cr[4] = X86_CR4_OSFXSR;
	e->fx.cwd = 0x37f;
	e->fx.mxcsr = 0x1f80;
	e->fx.mxcsr_mask = 0xffff;
	e->efer = mode == EMUL_LONG64 ? EFER_LME | EFER_LMA | EFER_SCE : 0;
	if (mode == EMUL_VM86)
		e->ctx.rflags |= X86_EFLAGS_VM;
	e->table[0].limit = 0xffff;
	e->table[1].limit = 0xffff;
}

/* Run @n instruction bytes. */
static inline enum emul_rc env_run(struct emul_env *e, const void *bytes, unsigned int n)
{
	memcpy(e->bytes, bytes, n);
	e->nbytes = n;
	return emul_step(&e->ctx);
}

#define RUN(e, ...) env_run(e, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

#endif
