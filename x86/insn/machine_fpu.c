// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulator's accesses to the guest's vector and x87 registers. Between okvm_fpregs_begin() and
 * okvm_fpregs_end() the CPU's registers hold the guest's values.
 */
#include <linux/string.h>
#include <linux/sched.h>

#include <asm/asm.h>
#include <asm/fpu/api.h>
#include <asm/trapnr.h>

#include "x86/cpu/fpu.h"
#include "x86/insn/machine_fpu.h"
#include "x86/insn/x87_insn.h"

/* One case per vector register, because the register's number is a part of each instruction. */
#define VEC_CASES(op)							\
	op(0); op(1); op(2); op(3); op(4); op(5); op(6); op(7)
#define VEC_CASES_HIGH(op)						\
	op(8); op(9); op(10); op(11); op(12); op(13); op(14); op(15)

static void vec_get_xmm(unsigned int nr, void *buf)
{
#define XMM_GET(n) case n: asm volatile("movdqu %%xmm" #n ", (%0)" : : "r" (buf) : "memory"); break
	switch (nr & 15) {
	VEC_CASES(XMM_GET);
	VEC_CASES_HIGH(XMM_GET);
	}
#undef XMM_GET
}

static void vec_set_xmm(unsigned int nr, const void *buf)
{
#define XMM_SET(n) case n: asm volatile("movdqu (%0), %%xmm" #n : : "r" (buf) : "memory"); break
	switch (nr & 15) {
	VEC_CASES(XMM_SET);
	VEC_CASES_HIGH(XMM_SET);
	}
#undef XMM_SET
}

static void vec_get_mm(unsigned int nr, void *buf)
{
#define MM_GET(n) case n: asm volatile("movq %%mm" #n ", (%0)" : : "r" (buf) : "memory"); break
	switch (nr & 7) {
	VEC_CASES(MM_GET);
	}
#undef MM_GET
}

static void vec_set_mm(unsigned int nr, const void *buf)
{
#define MM_SET(n) case n: asm volatile("movq (%0), %%mm" #n : : "r" (buf) : "memory"); break
	switch (nr & 7) {
	VEC_CASES(MM_SET);
	}
#undef MM_SET
}

/* The emulator has checked that the guest has AVX, so the host has AVX. */
static void vec_get_ymm(unsigned int nr, void *buf)
{
#define YMM_GET(n) case n: asm volatile("vmovdqu %%ymm" #n ", (%0)" : : "r" (buf) : "memory"); break
	switch (nr & 15) {
	VEC_CASES(YMM_GET);
	VEC_CASES_HIGH(YMM_GET);
	}
#undef YMM_GET
}

static void vec_set_ymm(unsigned int nr, const void *buf)
{
#define YMM_SET(n) case n: asm volatile("vmovdqu (%0), %%ymm" #n : : "r" (buf) : "memory"); break
	switch (nr & 15) {
	VEC_CASES(YMM_SET);
	VEC_CASES_HIGH(YMM_SET);
	}
#undef YMM_SET
}

void okvm_vec_get(enum emul_vec file, unsigned int nr, void *buf)
{
	okvm_fpregs_begin();
	if (file == EMUL_YMM)
		vec_get_ymm(nr, buf);
	else if (file == EMUL_XMM)
		vec_get_xmm(nr, buf);
	else
		vec_get_mm(nr, buf);
	okvm_fpregs_end();
}

void okvm_vec_set(enum emul_vec file, unsigned int nr, const void *buf)
{
	okvm_fpregs_begin();
	if (file == EMUL_YMM)
		vec_set_ymm(nr, buf);
	else if (file == EMUL_XMM)
		vec_set_xmm(nr, buf);
	else
		vec_set_mm(nr, buf);
	okvm_fpregs_end();
}

static int x87_set_mxcsr(u32 val)
{
	/* LDMXCSR raises #GP for reserved bits, which are the same for the guest and the CPU. */
	asm goto("1: ldmxcsr %0\n" _ASM_EXTABLE(1b, %l[refused]) : : "m" (val) : : refused);
	return 0;
refused:
	return X86_TRAP_GP;
}

/*
 * Return true if an x87 exception of the guest is pending. (Userspace can cause this by
 * KVM_SET_FPU.) Most x87 and MMX instructions raise a pending exception before they do anything.
 * Test this by FWAIT, because the kernel can handle an exception here.
 */
static bool x87_pending(void)
{
	asm goto("1: fwait\n\t"
		 _ASM_EXTABLE(1b, %l[pending])
		 : : : : pending);
	return false;
pending:
	return true;
}

static int x87_live(enum emul_fpuop op, u32 *val)
{
	u16 word = *val;

	switch (op) {
	case EMUL_FPU_INIT:
		asm volatile("fninit");
		break;
	case EMUL_FPU_CLEX:
		asm volatile("fnclex");
		break;
	case EMUL_FPU_GET_CW:
		asm volatile("fnstcw %0" : "=m" (word));
		*val = word;
		break;
	case EMUL_FPU_GET_SW:
		asm volatile("fnstsw %0" : "=m" (word));
		*val = word;
		break;
	case EMUL_FPU_SET_CW:
		if (x87_pending())
			return X86_TRAP_MF;
		asm volatile("fldcw %0" : : "m" (word));
		break;
	case EMUL_FPU_WAIT:
		return x87_pending() ? X86_TRAP_MF : 0;
	case EMUL_FPU_EMMS:
		asm volatile("emms");
		break;
	case EMUL_FPU_GET_MXCSR:
		asm volatile("stmxcsr %0" : "=m" (*val));
		break;
	case EMUL_FPU_SET_MXCSR:
		return x87_set_mxcsr(*val);
	}
	return 0;
}

int okvm_x87(enum emul_fpuop op, u32 *val)
{
	u32 none = 0;
	int vector;

	okvm_fpregs_begin();
	vector = x87_live(op, val ? val : &none);
	okvm_fpregs_end();
	return vector;
}

void okvm_fx_get(struct emul_fx *fx)
{
	okvm_fpregs_begin();
	asm volatile("fxsave64 %0" : "=m" (*fx));
	okvm_fpregs_end();
}

void okvm_fx_set(const struct emul_fx *fx)
{
	okvm_fpregs_begin();
	asm volatile("fxrstor64 %0" : : "m" (*fx));
	okvm_fpregs_end();
}

bool okvm_fx_run(struct emul_fx *fx, struct emul_fx *live, u8 opcode, u8 modrm, void *data)
{
	bool decoded;

	okvm_fpregs_begin();
	asm volatile("fxsave64 %0" : "=m" (*live));
	asm volatile("fxrstor64 %0" : : "m" (*fx));
	decoded = x87_run(opcode, modrm, data);
	asm volatile("fxsave64 %0" : "=m" (*fx));
	asm volatile("fxrstor64 %0" : : "m" (*live));
	okvm_fpregs_end();
	return decoded;
}
