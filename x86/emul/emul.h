/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction emulator: one x86 instruction is decoded, then executed on registers that the
 * caller supplied, and everything else (memory, ports, descriptor caches, control registers) is
 * reached through struct emul_ops. It knows neither a vCPU nor a VM nor any lock.
 *
 * The way of one instruction:
 *
 *	emul_init(&ctx, &ops, mode, cpl);	once per instruction or once per run of them
 *	ctx.gpr[], ctx.rip, ctx.rflags = ...	the registers of the guest
 *	rc = emul_decode(&ctx);			fetches once and fills ctx.insn
 *	rc = emul_exec(&ctx);			runs it; may be called again after EMUL_IO
 *
 * or emul_step(), which is both. emul_exec() acts only on what the last successful emul_decode()
 * of the context left behind: after a failed decode it answers EMUL_UNHANDLEABLE.
 *
 * Nothing is committed before an instruction completes. Register writes are staged and become
 * visible in ctx.gpr[], ctx.rip and ctx.rflags only when the instruction, or one iteration of a
 * repeated string instruction, can no longer fail. That is why EMUL_IO needs no continuation: the
 * caller finishes the access that it could not finish at once and calls emul_exec() again, on the
 * same decoded instruction or on one that it decoded anew. The instruction then issues the same
 * calls in the same order, and the caller's ops answer those that are done from its own record.
 * ctx.seq changes with each commit; a record taken under another value of it is stale.
 */
#ifndef OKVM_X86_EMUL_EMUL_H
#define OKVM_X86_EMUL_EMUL_H

#include <linux/types.h>
#include <linux/bits.h>

/** enum emul_rc - the outcome of an op, of emul_decode() and of emul_exec() */
enum emul_rc {
	/** @EMUL_OK: done. From emul_exec(): see ctx.out, RIP may be unchanged (EMUL_OUT_AGAIN) */
	EMUL_OK,
	/** @EMUL_FAULT: an exception is in ctx.exc; the instruction (iteration) has no effect */
	EMUL_FAULT,
	/** @EMUL_IO: the access needs userspace; call emul_exec() again when it is done */
	EMUL_IO,
	/**
	 * @EMUL_RETRY: only from ops: the memory did not hold the old value (emul_ops.cmpxchg), or
	 * a batch has to be done item by item (EMUL_DATA_BATCH)
	 */
	EMUL_RETRY,
	/** @EMUL_UNHANDLEABLE: not emulated (see emul_exec()), or an op gave up */
	EMUL_UNHANDLEABLE,
};

/**
 * enum emul_mode - how the bytes are decoded; see emul_set_mode()
 * @EMUL_REAL: CR0.PE = 0
 * @EMUL_VM86: protected mode with RFLAGS.VM = 1
 * @EMUL_PROT16: protected or compatibility mode, CS.D = 0
 * @EMUL_PROT32: protected or compatibility mode, CS.D = 1
 * @EMUL_LONG64: EFER.LMA = 1 and CS.L = 1
 */
enum emul_mode {
	EMUL_REAL,
	EMUL_VM86,
	EMUL_PROT16,
	EMUL_PROT32,
	EMUL_LONG64,
};

/** enum emul_reg - indexes of emul_ctx.gpr, in the numbering of ModRM and REX */
enum emul_reg {
	EMUL_RAX, EMUL_RCX, EMUL_RDX, EMUL_RBX, EMUL_RSP, EMUL_RBP, EMUL_RSI, EMUL_RDI,
	EMUL_R8, EMUL_R9, EMUL_R10, EMUL_R11, EMUL_R12, EMUL_R13, EMUL_R14, EMUL_R15,
	EMUL_NR_GPR,
};

/** enum emul_sreg - segment registers in the numbering of ModRM.reg, then the system ones */
enum emul_sreg {
	EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS,
	EMUL_NR_SREG,
	EMUL_LDTR = EMUL_NR_SREG,
	EMUL_TR,
};

/** enum emul_table - the descriptor tables for emul_ops.get_table and emul_ops.set_table */
enum emul_table {
	EMUL_GDT,
	EMUL_IDT,
};

/*
 * struct emul_seg.ar has the layout of the VMX guest access rights (SDM "Guest Register State"):
 * bytes 5 and 6 of a descriptor without its limit bits, and "unusable" in bit 16.
 */
#define EMUL_AR_TYPE		0x0000000fu
#define EMUL_AR_ACCESSED	0x00000001u
#define EMUL_AR_WRITE		0x00000002u	/* data segments: writable */
#define EMUL_AR_READ		0x00000002u	/* code segments: readable */
#define EMUL_AR_DOWN		0x00000004u	/* data segments: expand-down */
#define EMUL_AR_CONFORM		0x00000004u	/* code segments: conforming */
#define EMUL_AR_CODE		0x00000008u
#define EMUL_AR_S		0x00000010u	/* code or data, not system */
#define EMUL_AR_DPL_SHIFT	5
#define EMUL_AR_DPL		0x00000060u
#define EMUL_AR_P		0x00000080u
#define EMUL_AR_AVL		0x00001000u
#define EMUL_AR_L		0x00002000u
#define EMUL_AR_DB		0x00004000u
#define EMUL_AR_G		0x00008000u
#define EMUL_AR_UNUSABLE	0x00010000u

/**
 * struct emul_seg - a segment register with its descriptor cache
 * @base: linear base
 * @limit: in bytes, already scaled when EMUL_AR_G is set
 * @sel: the visible selector
 * @ar: EMUL_AR_* bits
 */
struct emul_seg {
	u64 base;
	u32 limit;
	u16 sel;
	u32 ar;
};

/** struct emul_dtr - GDTR or IDTR: linear @base and @limit (bytes - 1) */
struct emul_dtr {
	u64 base;
	u16 limit;
};

/**
 * enum emul_access - on whose behalf linear memory or an MSR is touched
 * @EMUL_DATA: by the instruction as its explicit operand, with the privilege of the given CPL
 * @EMUL_DATA_RMW: (reads only) as EMUL_DATA, and the same bytes are written next: the page must be
 *	writable, and a page fault reports a write
 * @EMUL_DATA_BATCH: as EMUL_DATA, for several items of a port string at once, all in one page. The
 *	op answers EMUL_RETRY unless the page is plain memory; a write, which follows such a probe,
 *	it does in any case. Devices see each item by itself
 * @EMUL_SYSTEM: implicitly by the processor: descriptor tables, TSS, and the MSRs that SYSCALL and
 *	SYSENTER use. Memory: a supervisor access whatever the CPL; RFLAGS.AC does not lift SMAP.
 *	MSRs: never filtered, never a reason for an exit to userspace.
 */
enum emul_access {
	EMUL_DATA,
	EMUL_DATA_RMW,
	EMUL_DATA_BATCH,
	EMUL_SYSTEM,
};

/**
 * enum emul_sysop - what emul_ops.system is asked to do
 * @EMUL_SYS_HLT: nothing; EMUL_OUT_HALT follows. The op may refuse
 * @EMUL_SYS_INVLPG: arg = linear address (canonical)
 * @EMUL_SYS_INVPCID: arg = type, arg2 = linear address of the 16-byte descriptor
 * @EMUL_SYS_WBINVD: also for WBNOINVD
 * @EMUL_SYS_INVD: discard the caches
 * @EMUL_SYS_CLTS: clear CR0.TS
 * @EMUL_SYS_HYPERCALL: VMCALL or VMMCALL (arg = 0 or 1). The op reads and writes ctx.gpr[]
 *	by emul_gpr() and emul_set_gpr()
 * @EMUL_SYS_MONITOR: arg = linear address
 * @EMUL_SYS_MWAIT: arg = EAX hints, arg2 = ECX extensions
 * @EMUL_SYS_PAUSE: spin-loop hint
 * @EMUL_SYS_XGETBV: arg = ECX; the result goes to *out
 * @EMUL_SYS_XSETBV: arg = ECX, arg2 = EDX:EAX
 * @EMUL_SYS_RDPMC: arg = ECX; the result goes to *out
 * @EMUL_SYS_SWITCH_NMI: IRET has completed: NMIs are unblocked
 * @EMUL_SYS_VMX_SVM: a VMX, SVM or SMX instruction, RSM, GETSEC: arg = opcode bytes 0F xx ModRM as
 *	in memory order (0xMMxx0f). The usual answer is emul_fault(ctx, #UD)
 */
enum emul_sysop {
	EMUL_SYS_HLT,
	EMUL_SYS_INVLPG,
	EMUL_SYS_INVPCID,
	EMUL_SYS_WBINVD,
	EMUL_SYS_INVD,
	EMUL_SYS_CLTS,
	EMUL_SYS_HYPERCALL,
	EMUL_SYS_MONITOR,
	EMUL_SYS_MWAIT,
	EMUL_SYS_PAUSE,
	EMUL_SYS_XGETBV,
	EMUL_SYS_XSETBV,
	EMUL_SYS_RDPMC,
	EMUL_SYS_SWITCH_NMI,
	EMUL_SYS_VMX_SVM,
};

/**
 * enum emul_fpuop - the few x87 control instructions that are emulated, for emul_ops.fpu
 * @EMUL_FPU_INIT: FNINIT
 * @EMUL_FPU_CLEX: FNCLEX
 * @EMUL_FPU_GET_CW: FNSTCW
 * @EMUL_FPU_GET_SW: FNSTSW
 * @EMUL_FPU_SET_CW: FLDCW
 * @EMUL_FPU_WAIT: FWAIT: raise a pending x87 exception (#MF by emul_fault()) if there is one
 * @EMUL_FPU_EMMS: EMMS: mark all x87 registers empty
 * @EMUL_FPU_GET_MXCSR: STMXCSR
 * @EMUL_FPU_SET_MXCSR: LDMXCSR; reserved bits are a #GP(0) of the op
 */
enum emul_fpuop {
	EMUL_FPU_INIT,
	EMUL_FPU_CLEX,
	EMUL_FPU_GET_CW,
	EMUL_FPU_GET_SW,
	EMUL_FPU_SET_CW,
	EMUL_FPU_WAIT,
	EMUL_FPU_EMMS,
	EMUL_FPU_GET_MXCSR,
	EMUL_FPU_SET_MXCSR,
};

/** enum emul_vec - which vector register file emul_ops.get_vec and set_vec mean */
enum emul_vec {
	EMUL_MM,	/* 8 registers of 8 bytes; writing also marks the x87 state as MMX does */
	EMUL_XMM,	/* 16 registers of 16 bytes; writing keeps the bits above 127 */
	EMUL_YMM,	/* 16 registers of 32 bytes; writing clears the bits above 255 */
};

/**
 * struct emul_fx - x87 and SSE state as FXSAVE64 lays it out (SDM "FXSAVE")
 * @cwd: control word
 * @swd: status word
 * @twd: abridged tag word: a bit per physical register that is not empty
 * @fop: opcode of the last instruction that is none of control
 * @rip: its instruction pointer
 * @rdp: the pointer to its memory operand
 * @mxcsr: MXCSR
 * @mxcsr_mask: bits that MXCSR has
 * @st: ST(0) to ST(7), 10 bytes each
 * @xmm: XMM0 to XMM15
 * @rest: reserved, and free for software
 */
struct emul_fx {
	u16 cwd;
	u16 swd;
	u16 twd;
	u16 fop;
	u64 rip;
	u64 rdp;
	u32 mxcsr;
	u32 mxcsr_mask;
	u8 st[8][16];
	u8 xmm[16][16];
	u8 rest[96];
} __aligned(16);

struct emul_ctx;

/**
 * struct emul_ops - how the emulator reaches the machine
 *
 * No pointer may be NULL. Every op that returns enum emul_rc may answer EMUL_OK, EMUL_FAULT (after
 * emul_fault(), emul_fault_code() or emul_fault_page()) or EMUL_UNHANDLEABLE; EMUL_IO where it is
 * said. Linear addresses are final: segment base added, limit, canonicality and alignment checked,
 * wrapped to 32 bits outside of 64-bit mode. An access may cross one page boundary; an op that
 * writes checks both pages before it changes the first. Ops do not touch ctx.gpr, rip or rflags.
 */
struct emul_ops {
	/**
	 * @fetch: read @len (1..15) instruction bytes, never across a page boundary. Called at most
	 * twice per decode, the second time for the next page and only if the first page's bytes
	 * did not complete the instruction.
	 */
	enum emul_rc (*fetch)(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len, u8 cpl);
	/** @read: read @len bytes (1..32, or up to ctx.io_buf_size within one page). May EMUL_IO */
	enum emul_rc (*read)(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
			     enum emul_access acc, u8 cpl);
	/**
	 * @write: write @len bytes (as @read). May EMUL_IO. An op that puts a device's write off
	 * until the instruction is done answers EMUL_OK and sets ctx.stop.
	 */
	enum emul_rc (*write)(struct emul_ctx *ctx, u64 la, const void *buf, unsigned int len,
			      enum emul_access acc, u8 cpl);
	/**
	 * @cmpxchg: atomically replace @len (1, 2, 4, 8, 16) bytes that equal @old by @new;
	 * EMUL_RETRY if they differ. It must never issue a locked host access that crosses a cache
	 * line: such an operand, and one that is not plain memory, is written without atomicity
	 * or refused. May EMUL_IO (as a write of @new).
	 */
	enum emul_rc (*cmpxchg)(struct emul_ctx *ctx, u64 la, const void *old, const void *new,
				unsigned int len, enum emul_access acc, u8 cpl);
	/**
	 * @probe_write: would @write of these bytes succeed? Nothing is written. Called before a
	 * port is read for INS, so that no datum is lost to a page fault, and before the second of
	 * two dependent writes.
	 */
	enum emul_rc (*probe_write)(struct emul_ctx *ctx, u64 la, unsigned int len,
				    enum emul_access acc, u8 cpl);
	/**
	 * @pio_in: read @count items of @size (1, 2, 4) bytes from @port to @buf. The privilege was
	 * checked. @count > 1 only for REP INS. May EMUL_IO.
	 */
	enum emul_rc (*pio_in)(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			       void *buf);
	/** @pio_out: write items to @port, as @pio_in. May EMUL_IO */
	enum emul_rc (*pio_out)(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
				const void *buf);
	/** @get_seg: a segment register, LDTR or TR with its cache. Cannot fail */
	void (*get_seg)(struct emul_ctx *ctx, enum emul_sreg nr, struct emul_seg *seg);
	/**
	 * @set_seg: load one; all checks are done. The op derives nothing: a null selector comes
	 * with EMUL_AR_UNUSABLE, the accessed or busy bit is set in @seg and in memory.
	 */
	void (*set_seg)(struct emul_ctx *ctx, enum emul_sreg nr, const struct emul_seg *seg);
	/** @get_table: GDTR or IDTR. Cannot fail */
	void (*get_table)(struct emul_ctx *ctx, enum emul_table nr, struct emul_dtr *dtr);
	/** @set_table: load GDTR or IDTR */
	void (*set_table)(struct emul_ctx *ctx, enum emul_table nr, const struct emul_dtr *dtr);
	/** @get_cr: CR0, CR2, CR3, CR4 or CR8 as the guest sees it. Cannot fail */
	u64 (*get_cr)(struct emul_ctx *ctx, unsigned int nr);
	/** @set_cr: MOV to CR with all checks (reserved bits, mode transitions). May EMUL_IO */
	enum emul_rc (*set_cr)(struct emul_ctx *ctx, unsigned int nr, u64 val);
	/** @get_dr: DR0..DR3, DR6, DR7 (4 and 5 are resolved before) */
	enum emul_rc (*get_dr)(struct emul_ctx *ctx, unsigned int nr, u64 *val);
	/** @set_dr: load a debug register; reserved bits are a #GP(0) of the op */
	enum emul_rc (*set_dr)(struct emul_ctx *ctx, unsigned int nr, u64 val);
	/** @get_msr: RDMSR; also IA32_TSC for RDTSC and IA32_EFER, with EMUL_SYSTEM. May EMUL_IO */
	enum emul_rc (*get_msr)(struct emul_ctx *ctx, u32 msr, u64 *val, enum emul_access acc);
	/** @set_msr: WRMSR. May EMUL_IO */
	enum emul_rc (*set_msr)(struct emul_ctx *ctx, u32 msr, u64 val, enum emul_access acc);
	/** @cpuid: regs[] is EAX, EBX, ECX, EDX: in leaf and subleaf (ECX), out the answer */
	enum emul_rc (*cpuid)(struct emul_ctx *ctx, u32 regs[4]);
	/** @get_vec: read vector register @nr (8, 16 or 32 bytes) */
	enum emul_rc (*get_vec)(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				void *buf);
	/** @set_vec: write vector register @nr (8, 16 or 32 bytes) */
	enum emul_rc (*set_vec)(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				const void *buf);
	/** @get_fx: read the x87 and SSE state. Cannot fail */
	void (*get_fx)(struct emul_ctx *ctx, struct emul_fx *fx);
	/** @set_fx: write it; MXCSR has no bit that @get_fx did not have in its mask */
	void (*set_fx)(struct emul_ctx *ctx, const struct emul_fx *fx);
	/**
	 * @x87: carry out an x87 instruction on the state @fx, which has no exception pending.
	 * @opcode: D8..DF. @modrm: the ModRM byte; memory forms use @data, up to 16 bytes, in or
	 * out. It changes @fx and @data alone
	 */
	enum emul_rc (*x87)(struct emul_ctx *ctx, struct emul_fx *fx, u8 opcode, u8 modrm,
			    void *data);
	/** @fpu: an x87 control operation; CR0.EM, CR0.TS and CR0.MP were checked */
	enum emul_rc (*fpu)(struct emul_ctx *ctx, enum emul_fpuop op, u32 *val);
	/** @system: everything rare; see enum emul_sysop. May EMUL_IO */
	enum emul_rc (*system)(struct emul_ctx *ctx, enum emul_sysop op, u64 arg, u64 arg2,
			       u64 *out);
};

/** enum emul_map - opcode maps (SDM "Opcode Map", appendix A) */
enum emul_map {
	EMUL_MAP_1B,	/* one-byte opcodes */
	EMUL_MAP_0F,
	EMUL_MAP_0F38,
	EMUL_MAP_0F3A,
};

#define EMUL_MAX_INSN	15

struct emul_opcode;	/* internal.h: a row of the opcode tables */

/**
 * struct emul_insn - one decoded instruction. Everything here follows from the bytes and the mode
 * @bytes: as fetched
 * @avail: number of valid @bytes
 * @len: length of the instruction; 0 while there is none
 * @map: opcode map
 * @opcode: last opcode byte
 * @modrm: the ModRM byte (0 if there is none: see @has_modrm)
 * @sib: the SIB byte, if any
 * @rex: the REX prefix, 0 if none (or cancelled by a later legacy prefix)
 * @rep: 0xf2, 0xf3 or 0: the last of them counts
 * @lock: LOCK prefix seen
 * @opsize_prefix: 0x66 seen
 * @vex: it has a VEX prefix, whose W and (in 64-bit mode) R, X and B are in @rex, and its pp in
 *	@rep and @opsize_prefix
 * @vex_l: VEX.L: vectors of 256 bits
 * @vex_v: register that VEX.vvvv names; 0 if it names none
 * @seg: segment override or -1, after the rules of 64-bit mode
 * @has_modrm: the row has a ModRM byte
 * @mod: ModRM.mod
 * @reg: ModRM.reg with REX.R
 * @rm: ModRM.rm with REX.B (register number if @mod is 3)
 * @base: base register of the effective address or -1
 * @index: index register or -1
 * @scale: shift of the index, 0..3
 * @rip_relative: 64-bit mode, displacement counts from the next instruction
 * @disp: displacement, sign-extended
 * @imm: first immediate, extended as the row says; also moffs and relative offsets
 * @imm2: second immediate (ENTER's level, a far pointer's selector)
 * @op_bytes: operand size of the instruction: 1, 2, 4, 8 (means nothing for vectors)
 * @ad_bytes: address size: 2, 4, 8
 * @row: the opcode table's row
 */
struct emul_insn {
	u8 bytes[EMUL_MAX_INSN];
	u8 avail;
	u8 len;
	u8 map;
	u8 opcode;
	u8 modrm;
	u8 sib;
	u8 rex;
	u8 rep;
	bool lock;
	bool opsize_prefix;
	bool vex;
	bool vex_l;
	u8 vex_v;
	s8 seg;
	bool has_modrm;
	u8 mod;
	u8 reg;
	u8 rm;
	s8 base;
	s8 index;
	u8 scale;
	bool rip_relative;
	u8 op_bytes;
	u8 ad_bytes;
	s64 disp;
	u64 imm;
	u64 imm2;
	const struct emul_opcode *row;
};

/**
 * struct emul_exception - what an EMUL_FAULT means
 * @vector: exception vector
 * @has_error: it pushes @error
 * @error: error code
 * @cr2: faulting linear address (#PF only)
 * @payload: DR6 bits (#DB only)
 */
struct emul_exception {
	u8 vector;
	bool has_error;
	u32 error;
	u64 cr2;
	u64 payload;
};

/* emul_ctx.out: what a completed instruction asks of the caller. Valid with EMUL_OK. */
#define EMUL_OUT_AGAIN		BIT(0)	/* RIP still at it: iterations left, lost cmpxchg */
#define EMUL_OUT_STI		BIT(1)	/* interrupts are blocked for one instruction (STI) */
#define EMUL_OUT_MOVSS		BIT(2)	/* as MOV SS and POP SS block: interrupts and #DB */
#define EMUL_OUT_SINGLE_STEP	BIT(3)	/* TF was set: #DB with DR6.BS is due now */
#define EMUL_OUT_HALT		BIT(4)	/* HLT */
#define EMUL_OUT_MODE		BIT(5)	/* mode or CPL may have changed: call emul_set_mode() */
#define EMUL_OUT_TASK_SWITCH	BIT(6)	/* with EMUL_UNHANDLEABLE: ctx.task is to be switched to */
#define EMUL_OUT_ITERATED	BIT(7)	/* with EMUL_OUT_AGAIN: iterations of a string are done */

/**
 * struct emul_operand - internal to one emul_exec()
 * @kind: none, general register, memory, vector register, or a value
 * @bytes: size
 * @reg: register number (or segment, control register)
 * @high: one of AH, CH, DH, BH
 * @seg: segment of the memory operand
 * @ea: offset within the segment
 * @la: linear address
 * @val: value, zero-extended
 * @orig: value as loaded (for LOCK)
 */
struct emul_operand {
	u8 kind;
	u8 bytes;
	u8 reg;
	bool high;
	u8 seg;
	u64 ea;
	u64 la;
	u64 val;
	u64 orig;
};

/** enum emul_task_source - what makes a task switch */
enum emul_task_source {
	EMUL_TASK_CALL,
	EMUL_TASK_IRET,
	EMUL_TASK_JMP,
	EMUL_TASK_GATE,		/* a task gate of the IDT */
};

/**
 * struct emul_task - a task switch, for emul_task_switch()
 * @sel: selector of the new TSS (for a task gate what it holds, for IRET the link)
 * @source: enum emul_task_source
 * @external: by an event that is not an instruction: the EXT bit of error codes
 * @has_error: push @error on the new task's stack
 * @error: error code
 * @switched: (out) the new task is the current one, even if its segments are at fault
 * @trap: (out) the new TSS has its T bit set: a #DB with DR6.BT is due
 */
struct emul_task {
	u16 sel;
	u8 source;
	bool external;
	bool has_error;
	u32 error;
	bool switched;
	bool trap;
};

/**
 * struct emul_ctx - one emulation
 * @ops: the machine; constant
 * @gpr: general registers: in the guest's values, out the new ones. Only completed work shows
 * @rip: offset within CS of the instruction (64-bit: linear)
 * @rflags: RFLAGS
 * @mode: how to decode; set by emul_init() or emul_set_mode(), and by instructions that change it
 * @wide: CS.D as protected mode left it for real mode: operands and addresses of 32 bits
 * @cpl: current privilege level; updated likewise
 * @rep_limit: iterations that one emul_exec() may do of a repeated string instruction (not 0)
 * @io_buf: a buffer that batches REP INS and REP OUTS, or NULL for one item at a time
 * @io_buf_size: its size in bytes
 * @seq: grows with every commit of an instruction or iteration
 * @lock_cr8: LOCK before a MOV with CR0 makes it one with CR8 (APM "CR8"), else #UD
 * @stop: set by an op: a repeated string instruction ends with the iteration in work, and
 *	EMUL_OUT_AGAIN says whether more are left
 * @insn: the decoded instruction. Valid when insn.len is not 0
 * @exc: the exception, with EMUL_FAULT
 * @out: EMUL_OUT_* bits, with EMUL_OK
 * @task: the task switch that EMUL_OUT_TASK_SWITCH asks for: emul_task_switch() makes it, with the
 *	RIP of the next instruction. Gates were checked
 * @dst: operands of the instruction in work, with the staged registers: private
 * @src: private
 * @src2: private
 * @staged: private: new values of the registers in @dirty
 * @dirty: private: bit per register
 * @next_rip: private
 * @flags: private: RFLAGS to be
 * @fx: private: x87 and SSE state that the instruction in work changes
 * @trap: private: a single-step trap follows, by TF as it was before (after SYSCALL, as it is then)
 */
struct emul_ctx {
	const struct emul_ops *ops;
	u64 gpr[EMUL_NR_GPR];
	u64 rip;
	u64 rflags;
	enum emul_mode mode;
	bool wide;
	u8 cpl;
	u32 rep_limit;
	void *io_buf;
	u32 io_buf_size;
	u32 seq;
	bool stop;
	bool lock_cr8;
	struct emul_insn insn;
	struct emul_exception exc;
	u32 out;
	struct emul_task task;
	/* private */
	struct emul_operand dst;
	struct emul_operand src;
	struct emul_operand src2;
	u64 staged[EMUL_NR_GPR];
	u16 dirty;
	u64 next_rip;
	u64 flags;
	bool trap;
	struct emul_fx fx;
};

/**
 * enum emul_event - why emul_deliver() delivers a vector (SDM "Interrupt and Exception Handling")
 * @EMUL_EV_EXTERNAL: external interrupt or NMI
 * @EMUL_EV_EXCEPTION: a fault, trap or abort of the processor, error code as given
 * @EMUL_EV_SOFT: INT n: the gate's DPL is checked against CPL
 * @EMUL_EV_SOFT_EXCEPTION: INT3 or INTO: as EMUL_EV_SOFT
 * @EMUL_EV_PRIV_SOFT: INT1: no DPL check
 */
enum emul_event {
	EMUL_EV_EXTERNAL,
	EMUL_EV_EXCEPTION,
	EMUL_EV_SOFT,
	EMUL_EV_SOFT_EXCEPTION,
	EMUL_EV_PRIV_SOFT,
};

/**
 * emul_init() - prepare a context for use
 * @ctx: set to "no instruction", a rep_limit of 1024 and no io_buf; registers are not touched
 * @ops: the machine, complete
 * @mode: see emul_set_mode()
 * @cpl: 0..3; 0 in real mode, 3 in VM86
 */
void emul_init(struct emul_ctx *ctx, const struct emul_ops *ops, enum emul_mode mode, u8 cpl);

/** emul_set_mode() - compute ctx.mode and ctx.cpl anew through the ops */
void emul_set_mode(struct emul_ctx *ctx);

/**
 * emul_decode() - fetch and decode the instruction at CS:ctx.rip
 * @ctx: uses rip, mode, cpl
 *
 * Return: EMUL_OK and ctx.insn, or EMUL_FAULT (#PF or whatever the fetch op said, #GP(0) past 15
 * bytes or past the code segment's limit, #UD for what the SDM leaves undefined or forbids in this
 * mode, LOCK where it may not be included), or EMUL_UNHANDLEABLE for an instruction that exists but
 * is not emulated (x87 and vector arithmetic, EVEX and XOP). On anything but EMUL_OK ctx.insn.len
 * is 0.
 */
enum emul_rc emul_decode(struct emul_ctx *ctx);

/**
 * emul_decode_call() - as emul_decode(), if the instruction is VMCALL, VMMCALL or SYSCALL
 *
 * Others are EMUL_UNHANDLEABLE, which their opcode tells: no byte after it is fetched, as hardware
 * has fetched none when it raised #UD.
 */
enum emul_rc emul_decode_call(struct emul_ctx *ctx);

/**
 * emul_decode_bytes() - as emul_decode(), on bytes that the caller already has
 * @ctx: uses rip, mode, cpl
 * @bytes: the first bytes of the instruction
 * @len: 0..15; if they do not suffice, the rest is fetched
 */
enum emul_rc emul_decode_bytes(struct emul_ctx *ctx, const u8 *bytes, unsigned int len);

/**
 * emul_exec() - execute the decoded instruction
 * @ctx: as emul_decode() left it, registers included
 *
 * Return: EMUL_OK with ctx.out; EMUL_FAULT with ctx.exc, RIP at the instruction (iterations of a
 * repeated string instruction that came before stay done); EMUL_IO; EMUL_UNHANDLEABLE for task
 * switches (EMUL_OUT_TASK_SWITCH and ctx.task), call gates, and what an op refuses.
 */
enum emul_rc emul_exec(struct emul_ctx *ctx);

/** emul_step() - emul_decode() and, if that succeeds, emul_exec() */
enum emul_rc emul_step(struct emul_ctx *ctx);

/**
 * emul_deliver() - deliver an interrupt or exception through the IVT or IDT
 * @ctx: uses and changes gpr, rip, rflags, mode, cpl; ctx.insn is forgotten
 * @vector: 0..255
 * @ev: kind of the event
 * @has_error: push @error (never in real mode)
 * @error: error code
 * @return_rip: the RIP to push: of the instruction for faults, of the next one for traps
 *
 * CR2, DR6 and DR7.GD are the caller's. Return: EMUL_OK, EMUL_FAULT with the exception that the
 * delivery met (the caller judges double and triple faults), EMUL_UNHANDLEABLE for a task gate,
 * with EMUL_OUT_TASK_SWITCH and ctx.task.
 */
enum emul_rc emul_deliver(struct emul_ctx *ctx, u8 vector, enum emul_event ev, bool has_error,
			  u32 error, u64 return_rip);

/**
 * emul_task_switch() - switch tasks as JMP, CALL, IRET or an event does
 * @ctx: uses and changes gpr, rip, rflags, mode, cpl; RIP is where the old task goes on
 * @task: what and why. The privilege checks of gates were made
 *
 * Return: EMUL_OK; EMUL_FAULT with the exception, of the old task unless task.switched;
 * EMUL_UNHANDLEABLE in real and long mode, which have no tasks, and if an op gave up.
 */
enum emul_rc emul_task_switch(struct emul_ctx *ctx, struct emul_task *task);

/* For ops: record an exception. Each returns EMUL_FAULT. */
enum emul_rc emul_fault(struct emul_ctx *ctx, u8 vector);
enum emul_rc emul_fault_code(struct emul_ctx *ctx, u8 vector, u32 error);
enum emul_rc emul_fault_page(struct emul_ctx *ctx, u64 cr2, u32 error);

/** emul_gpr() - a register as the instruction in work sees it (staged value first) */
static inline u64 emul_gpr(const struct emul_ctx *ctx, unsigned int nr)
{
	return ctx->dirty & BIT(nr) ? ctx->staged[nr] : ctx->gpr[nr];
}

/** emul_set_gpr() - stage a full 64-bit register value; committed with the instruction */
static inline void emul_set_gpr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	ctx->staged[nr] = val;
	ctx->dirty |= BIT(nr);
}

/**
 * struct emul_mov - a plain MOV between memory and a register or immediate
 * @write: register or immediate to memory
 * @bytes: size of the memory access: 1, 2, 4, 8
 * @sign_extend: (reads) MOVSX, MOVSXD
 * @dst_bytes: (reads) size of the destination register: 1, 2, 4, 8
 * @from_reg: (writes) the datum is a register's, else an immediate
 * @reg: the register
 * @high: it is AH, CH, DH or BH
 * @seg: segment of the memory operand
 * @base: base register of its address or -1
 * @index: index register or -1
 * @scale: shift of the index
 * @disp: displacement, to which RIP is added already where it counts from there
 * @val: (writes) the datum
 */
struct emul_mov {
	bool write;
	bool sign_extend;
	bool from_reg;
	bool high;
	u8 bytes;
	u8 dst_bytes;
	u8 reg;
	u8 seg;
	s8 base;
	s8 index;
	u8 scale;
	u64 disp;
	u64 val;
};

/**
 * emul_as_mov() - is the decoded instruction a plain MOV, MOVZX, MOVSX or MOVSXD with memory?
 * @ctx: decoded
 * @mov: filled when true
 *
 * The short way for MMIO whose guest-physical address the hardware has already reported: the
 * caller does the access itself and ends with emul_finish_mov().
 */
bool emul_as_mov(const struct emul_ctx *ctx, struct emul_mov *mov);

/**
 * emul_mov_linear() - the linear address of the memory operand
 * @ctx: decoded
 * @mov: from emul_as_mov()
 * @la: filled with EMUL_OK
 *
 * Return: EMUL_OK, or EMUL_FAULT as emul_exec() would
 */
enum emul_rc emul_mov_linear(struct emul_ctx *ctx, const struct emul_mov *mov, u64 *la);

/**
 * emul_finish_mov() - commit a MOV that the caller has executed
 * @ctx: decoded
 * @mov: from emul_as_mov()
 * @val: (reads) what was read
 *
 * Advances RIP and sets ctx.out exactly as emul_exec() does.
 */
void emul_finish_mov(struct emul_ctx *ctx, const struct emul_mov *mov, u64 val);

/**
 * emul_mov_ea() - the offset of the memory operand in its segment, not cut to the address size
 * @mov: from emul_as_mov()
 * @base: value of the base register, 0 if there is none
 * @index: value of the index register, 0 if there is none
 */
static inline u64 emul_mov_ea(const struct emul_mov *mov, u64 base, u64 index)
{
	return mov->disp + base + (index << mov->scale);
}

/** emul_mov_datum() - what the write stores, @reg being the register's present value */
static inline u64 emul_mov_datum(const struct emul_mov *mov, u64 reg)
{
	if (!mov->from_reg)
		return mov->val;
	reg >>= mov->high ? 8 : 0;
	return mov->bytes == 8 ? reg : reg & (BIT_ULL(mov->bytes * 8) - 1);
}

/** emul_mov_result() - the register after the read of @val, @reg being its value before */
static inline u64 emul_mov_result(const struct emul_mov *mov, u64 reg, u64 val)
{
	unsigned int unused = 64 - mov->bytes * 8, shift = mov->high ? 8 : 0;
	u64 mask = ~0ull >> (64 - mov->dst_bytes * 8) << shift;

	val = mov->sign_extend ? (u64)((s64)(val << unused) >> unused) : val << unused >> unused;
	val = val << shift & mask;
	/* Results of 4 bytes clear the upper half. */
	return mov->dst_bytes < 4 ? val | (reg & ~mask) : val;
}

/** emul_writes_memory() - does the decoded instruction write its memory operand (or a stack)? */
bool emul_writes_memory(const struct emul_ctx *ctx);

/** emul_is_string() - is it a (possibly repeated) string instruction? */
bool emul_is_string(const struct emul_ctx *ctx);

/** emul_is_hypercall() - is it VMCALL or VMMCALL? */
bool emul_is_hypercall(const struct emul_ctx *ctx);

/** emul_is_syscall() - is it SYSCALL, which the vendors define differently outside 64-bit mode? */
bool emul_is_syscall(const struct emul_ctx *ctx);

#endif
