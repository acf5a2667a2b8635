/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction emulator. It decodes one x86 instruction and executes it on registers that the
 * caller supplies. It accesses everything else (memory, ports, descriptor caches, control
 * registers) by the functions of struct emul_ops. It uses no vCPU, no VM and no lock.
 *
 * Emulating one instruction:
 *
 *	emul_init(&ctx, &ops, mode, cpl);	once, for one or several instructions
 *	ctx.gpr[], ctx.rip, ctx.rflags = ...	the registers of the guest
 *	rc = emul_decode(&ctx);			fetches the bytes and fills ctx.insn
 *	rc = emul_exec(&ctx);			executes; may be called again after EMUL_IO
 *
 * emul_step() calls both emul_decode() and emul_exec(). After a failed emul_decode(), emul_exec()
 * returns EMUL_UNHANDLEABLE.
 *
 * An instruction commits nothing before it completes. Register writes are staged. They become
 * visible in ctx.gpr[], ctx.rip and ctx.rflags when the instruction, or one iteration of a repeated
 * string instruction, can no longer fail. So EMUL_IO needs no continuation: the caller finishes the
 * access, and then executes the same instruction again (emul_exec(), perhaps after a new decoding).
 * The instruction then makes the same calls of ops in the same order, and the caller's ops answer
 * finished accesses from a log. Each commit changes ctx.seq: a log from before the commit is then
 * invalid.
 */
#ifndef OKVM_X86_EMUL_EMUL_H
#define OKVM_X86_EMUL_EMUL_H

#include <linux/types.h>
#include <linux/bits.h>

/** enum emul_rc - result of an op, of emul_decode() and of emul_exec() */
enum emul_rc {
	/** @EMUL_OK: success; after emul_exec(), ctx.out has EMUL_OUT_* bits for the caller */
	EMUL_OK,
	/** @EMUL_FAULT: ctx.exc is the exception; the instruction or iteration has no effect */
	EMUL_FAULT,
	/** @EMUL_IO: userspace must do the access; call emul_exec() again after that */
	EMUL_IO,
	/**
	 * @EMUL_RETRY: only ops return this. From emul_ops.cmpxchg: memory did not hold the old
	 *	value. From an access with EMUL_DATA_BATCH: the items must be accessed one by one
	 */
	EMUL_RETRY,
	/** @EMUL_UNHANDLEABLE: the emulator cannot execute the instruction, or an op failed */
	EMUL_UNHANDLEABLE,
};

/**
 * enum emul_mode - CPU mode, which decides how bytes are decoded; see emul_set_mode()
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

/** enum emul_reg - indices of emul_ctx.gpr, numbered as in ModRM and REX */
enum emul_reg {
	EMUL_RAX, EMUL_RCX, EMUL_RDX, EMUL_RBX, EMUL_RSP, EMUL_RBP, EMUL_RSI, EMUL_RDI,
	EMUL_R8, EMUL_R9, EMUL_R10, EMUL_R11, EMUL_R12, EMUL_R13, EMUL_R14, EMUL_R15,
	EMUL_NR_GPR,
};

/** enum emul_sreg - segment registers, numbered as in ModRM.reg; then LDTR and TR */
enum emul_sreg {
	EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS,
	EMUL_NR_SREG,
	EMUL_LDTR = EMUL_NR_SREG,
	EMUL_TR,
};

/** enum emul_table - descriptor tables, for emul_ops.get_table and emul_ops.set_table */
enum emul_table {
	EMUL_GDT,
	EMUL_IDT,
};

/*
 * Bits of struct emul_seg.ar, with the layout of the VMX guest access rights (SDM "Guest Register
 * State"): bytes 5 and 6 of a descriptor without its limit bits, and "unusable" in bit 16.
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
 * @base: linear base address
 * @limit: in bytes, already scaled if EMUL_AR_G is set
 * @sel: the visible selector
 * @ar: EMUL_AR_* bits
 */
struct emul_seg {
	u64 base;
	u32 limit;
	u16 sel;
	u32 ar;
};

/** struct emul_dtr - GDTR or IDTR: linear @base address, and @limit (size in bytes minus 1) */
struct emul_dtr {
	u64 base;
	u16 limit;
};

/**
 * enum emul_access - kind of an access to linear memory or an MSR
 * @EMUL_DATA: an explicit operand of the instruction, accessed with the given CPL
 * @EMUL_DATA_RMW: a read of an operand that the instruction also writes: the page must be writable,
 *	and a page fault reports a write
 * @EMUL_DATA_BATCH: several items of INS or OUTS in one page. If the page is not plain memory, read
 *	and probe_write return EMUL_RETRY. A write comes after a successful probe_write, so it must
 *	not return EMUL_RETRY, even if a device has appeared in the page: the device then gets the
 *	items one by one
 * @EMUL_SYSTEM: an implicit access by the CPU: descriptor tables, TSS, and the MSRs of SYSCALL and
 *	SYSENTER. Such a memory access is a supervisor access at any CPL, and RFLAGS.AC does not
 *	override SMAP. For such an MSR access there is no MSR filter and no exit to userspace
 */
enum emul_access {
	EMUL_DATA,
	EMUL_DATA_RMW,
	EMUL_DATA_BATCH,
	EMUL_SYSTEM,
};

/**
 * enum emul_sysop - operations of emul_ops.system
 * @EMUL_SYS_HLT: HLT. If the op returns EMUL_OK, emul_exec() sets EMUL_OUT_HALT
 * @EMUL_SYS_INVLPG: arg = linear address (canonical)
 * @EMUL_SYS_INVPCID: arg = type, arg2 = linear address of the 16-byte descriptor
 * @EMUL_SYS_WBINVD: also for WBNOINVD
 * @EMUL_SYS_INVD: discard the caches
 * @EMUL_SYS_CLTS: clear CR0.TS
 * @EMUL_SYS_HYPERCALL: arg = 0 for VMCALL, 1 for VMMCALL. The op accesses ctx.gpr[] by emul_gpr()
 *	and emul_set_gpr()
 * @EMUL_SYS_MONITOR: arg = linear address
 * @EMUL_SYS_MWAIT: arg = EAX hints, arg2 = ECX extensions
 * @EMUL_SYS_PAUSE: spin-loop hint
 * @EMUL_SYS_XGETBV: arg = ECX; the result goes to *out
 * @EMUL_SYS_XSETBV: arg = ECX, arg2 = EDX:EAX
 * @EMUL_SYS_RDPMC: arg = ECX; the result goes to *out
 * @EMUL_SYS_SWITCH_NMI: IRET has completed or faulted: unblock NMIs
 * @EMUL_SYS_WAIT_CR3: arg = the next value of CR3. The load of CR3 comes later, and may read guest
 *	memory: wait until this memory is present. Fail if the wait is given up
 * @EMUL_SYS_VMX_SVM: a VMX or SVM instruction, RSM or GETSEC: arg = 0xMMxx0f for the opcode 0F xx
 *	and the ModRM byte MM. If the op does not emulate the instruction, it raises #UD by
 *	emul_fault()
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
	EMUL_SYS_WAIT_CR3,
	EMUL_SYS_VMX_SVM,
};

/**
 * enum emul_fpuop - operations of emul_ops.fpu: the emulated x87 control instructions
 * @EMUL_FPU_INIT: FNINIT
 * @EMUL_FPU_CLEX: FNCLEX
 * @EMUL_FPU_GET_CW: FNSTCW
 * @EMUL_FPU_GET_SW: FNSTSW
 * @EMUL_FPU_SET_CW: FLDCW
 * @EMUL_FPU_WAIT: FWAIT: raise a pending x87 exception (#MF by emul_fault()) if there is one
 * @EMUL_FPU_EMMS: EMMS: mark all x87 registers empty
 * @EMUL_FPU_GET_MXCSR: STMXCSR
 * @EMUL_FPU_SET_MXCSR: LDMXCSR; the op raises #GP(0) for reserved bits
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

/** enum emul_vec - vector register file for emul_ops.get_vec and emul_ops.set_vec */
enum emul_vec {
	EMUL_MM,	/* 8 registers of 8 bytes; a write also changes the x87 state */
	EMUL_XMM,	/* 16 registers of 16 bytes; a write keeps bits above 127 */
	EMUL_YMM,	/* 16 registers of 32 bytes; a write clears bits above 255 */
};

/**
 * struct emul_fx - x87 and SSE state in the layout of FXSAVE64 (SDM "FXSAVE")
 * @cwd: control word
 * @swd: status word
 * @twd: abridged tag word: one bit per physical register, set if the register is not empty
 * @fop: opcode of the last x87 instruction, except control instructions
 * @rip: instruction pointer of the instruction that @fop belongs to
 * @rdp: pointer to the memory operand of the instruction that @fop belongs to
 * @mxcsr: MXCSR
 * @mxcsr_mask: implemented bits of MXCSR
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
 * struct emul_ops - the caller's functions that access memory, devices and registers
 *
 * No pointer may be NULL. Every op that returns enum emul_rc may return EMUL_OK, EMUL_UNHANDLEABLE
 * or EMUL_FAULT (after emul_fault(), emul_fault_code() or emul_fault_page()). EMUL_IO is allowed
 * where an op's comment says so. Linear addresses are final: the emulator has added the segment
 * base, checked limit, canonicality and alignment, and wrapped the address to 32 bits outside
 * 64-bit mode. An access may cross one page boundary; an op that writes checks both pages before it
 * changes the first one. Ops do not touch ctx.gpr, rip or rflags.
 */
struct emul_ops {
	/**
	 * @fetch: read @len (1..15) instruction bytes within one page. Called at most twice per
	 *	decode: the second time for the next page, if the first page's bytes do not complete
	 *	the instruction.
	 */
	enum emul_rc (*fetch)(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len, u8 cpl);
	/**
	 * @read: read @len bytes: 1..32, or with EMUL_DATA_BATCH up to ctx.io_buf_size. May return
	 *	EMUL_IO
	 */
	enum emul_rc (*read)(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
			     enum emul_access acc, u8 cpl);
	/**
	 * @write: write @len bytes; @len as for @read. May return EMUL_IO. The op may delay a write
	 *	to a device until the instruction is done: it then sets ctx.stop and returns
	 *	EMUL_OK.
	 */
	enum emul_rc (*write)(struct emul_ctx *ctx, u64 la, const void *buf, unsigned int len,
			      enum emul_access acc, u8 cpl);
	/**
	 * @cmpxchg: if memory holds @old, atomically write @new; otherwise return EMUL_RETRY. @len
	 *	is 1, 2, 4, 8 or 16. The op must not make a locked host access across cache lines.
	 *	If the operand crosses cache lines or is not in plain memory, the op fails or writes
	 *	@new without atomicity. May return EMUL_IO, as @write may.
	 */
	enum emul_rc (*cmpxchg)(struct emul_ctx *ctx, u64 la, const void *old, const void *new,
				unsigned int len, enum emul_access acc, u8 cpl);
	/**
	 * @probe_write: check that @write of these bytes would succeed, but write nothing. Called
	 *	before an effect that a failed write could not undo: for example before INS reads a
	 *	port, because a page fault after that would lose the data.
	 */
	enum emul_rc (*probe_write)(struct emul_ctx *ctx, u64 la, unsigned int len,
				    enum emul_access acc, u8 cpl);
	/**
	 * @pio_in: read @count items of @size (1, 2, 4) bytes from @port to @buf. The emulator has
	 *	checked the I/O privilege. @count is above 1 for REP INS only. May return EMUL_IO.
	 */
	enum emul_rc (*pio_in)(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			       void *buf);
	/**
	 * @pio_out: write items from @buf to @port; parameters as for @pio_in. May return EMUL_IO
	 */
	enum emul_rc (*pio_out)(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
				const void *buf);
	/** @get_seg: read a segment register, LDTR or TR, with its descriptor cache. Cannot fail */
	void (*get_seg)(struct emul_ctx *ctx, enum emul_sreg nr, struct emul_seg *seg);
	/**
	 * @set_seg: load a segment register that the emulator has checked. @seg is complete: a null
	 *	selector has EMUL_AR_UNUSABLE, and the accessed or busy bit is already set, in
	 *	memory too.
	 */
	void (*set_seg)(struct emul_ctx *ctx, enum emul_sreg nr, const struct emul_seg *seg);
	/** @get_table: read GDTR or IDTR. Cannot fail */
	void (*get_table)(struct emul_ctx *ctx, enum emul_table nr, struct emul_dtr *dtr);
	/** @set_table: load GDTR or IDTR */
	void (*set_table)(struct emul_ctx *ctx, enum emul_table nr, const struct emul_dtr *dtr);
	/** @get_cr: read the guest's CR0, CR2, CR3, CR4 or CR8. Cannot fail */
	u64 (*get_cr)(struct emul_ctx *ctx, unsigned int nr);
	/** @set_cr: MOV to CR; the op checks reserved bits and mode. May return EMUL_IO */
	enum emul_rc (*set_cr)(struct emul_ctx *ctx, unsigned int nr, u64 val);
	/** @get_dr: read DR0..DR3, DR6 or DR7 (the emulator replaces DR4 by DR6, DR5 by DR7) */
	enum emul_rc (*get_dr)(struct emul_ctx *ctx, unsigned int nr, u64 *val);
	/** @set_dr: load a debug register; the op raises #GP(0) for reserved bits */
	enum emul_rc (*set_dr)(struct emul_ctx *ctx, unsigned int nr, u64 val);
	/**
	 * @get_msr: read @msr. Called for RDMSR, for RDTSC (IA32_TSC), and when the emulator itself
	 *	needs an MSR, such as IA32_EFER. May return EMUL_IO
	 */
	enum emul_rc (*get_msr)(struct emul_ctx *ctx, u32 msr, u64 *val, enum emul_access acc);
	/** @set_msr: WRMSR. May return EMUL_IO */
	enum emul_rc (*set_msr)(struct emul_ctx *ctx, u32 msr, u64 val, enum emul_access acc);
	/** @cpuid: execute CPUID. regs[] is EAX, EBX, ECX, EDX; EAX and ECX are inputs */
	enum emul_rc (*cpuid)(struct emul_ctx *ctx, u32 regs[4]);
	/** @get_vec: read vector register @nr (8, 16 or 32 bytes) */
	enum emul_rc (*get_vec)(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				void *buf);
	/** @set_vec: write vector register @nr (8, 16 or 32 bytes) */
	enum emul_rc (*set_vec)(struct emul_ctx *ctx, enum emul_vec file, unsigned int nr,
				const void *buf);
	/** @get_fx: read the x87 and SSE state. Cannot fail */
	void (*get_fx)(struct emul_ctx *ctx, struct emul_fx *fx);
	/** @set_fx: write the x87 and SSE state; MXCSR has only bits of @get_fx's mxcsr_mask */
	void (*set_fx)(struct emul_ctx *ctx, const struct emul_fx *fx);
	/**
	 * @x87: execute an x87 instruction on the state @fx, which has no pending exception.
	 *	@opcode: D8..DF. @modrm: the ModRM byte. Memory forms use @data, up to 16 bytes, in
	 *	or out. The op changes only @fx and @data
	 */
	enum emul_rc (*x87)(struct emul_ctx *ctx, struct emul_fx *fx, u8 opcode, u8 modrm,
			    void *data);
	/** @fpu: execute an x87 control operation; the emulator has checked CR0.EM, TS and MP */
	enum emul_rc (*fpu)(struct emul_ctx *ctx, enum emul_fpuop op, u32 *val);
	/** @system: execute a rare operation, see enum emul_sysop. May return EMUL_IO */
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

struct emul_opcode;	/* a row of the opcode tables, see internal.h */

/**
 * struct emul_insn - a decoded instruction; depends on the instruction's bytes and the mode only
 * @bytes: the fetched bytes
 * @avail: number of bytes fetched into @bytes
 * @len: length of the instruction; 0: no instruction is decoded
 * @map: opcode map
 * @opcode: last opcode byte
 * @modrm: the ModRM byte; 0 if @has_modrm is false
 * @sib: the SIB byte, if any
 * @rex: the REX prefix; 0 if there is none, or if the CPU ignores it (a legacy prefix follows)
 * @rep: 0xf2, 0xf3 or 0: the last REP prefix
 * @lock: there is a LOCK prefix
 * @opsize_prefix: there is an operand-size prefix (66)
 * @vex: there is a VEX prefix. Its W and (in 64-bit mode) R, X and B are in @rex, its pp is in @rep
 *	and @opsize_prefix
 * @vex_l: VEX.L: vectors of 256 bits
 * @vex_v: register that VEX.vvvv names; 0 if it names none
 * @seg: segment of the memory operand (during decoding: the segment prefix, or -1)
 * @has_modrm: there is a ModRM byte
 * @mod: ModRM.mod
 * @reg: ModRM.reg with REX.R
 * @rm: ModRM.rm with REX.B (register number if @mod is 3)
 * @base: base register of the effective address, or -1
 * @index: index register, or -1
 * @scale: shift of the index, 0..3
 * @rip_relative: @disp is relative to the next instruction (64-bit mode only)
 * @disp: displacement, sign-extended
 * @imm: first immediate, or an absolute offset (moffs) or branch offset; extended as @row says
 * @imm2: second immediate (ENTER's level, a far pointer's selector)
 * @op_bytes: operand size: 1, 2, 4, 8 (meaningless for vectors)
 * @ad_bytes: address size: 2, 4, 8
 * @row: row of the opcode table
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
 * struct emul_exception - the exception of an EMUL_FAULT
 * @vector: exception vector
 * @has_error: the exception pushes @error
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

/* Bits of emul_ctx.out. They tell the caller of emul_exec() what to do after the instruction. */
#define EMUL_OUT_AGAIN		BIT(0)	/* execute again: iterations left, or failed cmpxchg */
#define EMUL_OUT_STI		BIT(1)	/* STI: interrupts are blocked for one instruction */
#define EMUL_OUT_MOVSS		BIT(2)	/* MOV SS, POP SS: interrupts and #DB are blocked */
#define EMUL_OUT_SINGLE_STEP	BIT(3)	/* TF was set: deliver #DB with DR6.BS */
#define EMUL_OUT_HALT		BIT(4)	/* HLT */
#define EMUL_OUT_MODE		BIT(5)	/* mode or CPL may differ: call emul_set_mode() */
#define EMUL_OUT_TASK_SWITCH	BIT(6)	/* with EMUL_UNHANDLEABLE: switch to ctx.task */
#define EMUL_OUT_ITERATED	BIT(7)	/* with EMUL_OUT_AGAIN: some string iterations are done */

/**
 * struct emul_operand - operand of an instruction, private to emul_exec()
 * @kind: none, general register, memory or a value (K_* in internal.h)
 * @bytes: size
 * @reg: number of the general register
 * @high: the register is AH, CH, DH or BH
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

/** enum emul_task_source - cause of a task switch */
enum emul_task_source {
	EMUL_TASK_CALL,
	EMUL_TASK_IRET,
	EMUL_TASK_JMP,
	EMUL_TASK_GATE,		/* a task gate in the IDT */
};

/**
 * struct emul_task - a task switch, for emul_task_switch()
 * @sel: selector of the new TSS
 * @source: enum emul_task_source
 * @external: an event causes the switch, not an instruction, so error codes have the EXT bit
 * @has_error: push @error on the new task's stack
 * @error: error code
 * @switched: (output) true from the point on at which faults belong to the new task
 * @trap: (output) the new TSS has its T bit set: the caller must raise #DB with DR6.BT
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
 * struct emul_ctx - state of an emulation
 * @ops: the caller's functions; constant
 * @gpr: general registers: input and output; contains committed values only
 * @rip: offset of the instruction in CS (64-bit mode: linear address)
 * @rflags: RFLAGS
 * @mode: CPU mode; set by emul_init(), emul_set_mode(), and instructions that change it
 * @wide: in real mode: CS.D is still set from protected mode, so code is 32-bit code
 * @cpl: current privilege level; set like @mode
 * @rep_limit: maximum iterations of a repeated string instruction in one emul_exec(); not 0
 * @io_buf: buffer for several items of REP INS or REP OUTS; NULL: one item at a time
 * @io_buf_size: size of @io_buf in bytes
 * @seq: incremented by every commit of an instruction or iteration
 * @lock_cr8: LOCK MOV with CR0 accesses CR8 (APM "CR8"); otherwise it raises #UD
 * @stop: set by an op: a repeated string instruction stops after the current iteration, with
 *	EMUL_OUT_AGAIN if more iterations are left
 * @insn: the decoded instruction; valid if insn.len is not 0
 * @exc: the exception, with EMUL_FAULT
 * @out: EMUL_OUT_* bits, with EMUL_OK
 * @task: with EMUL_OUT_TASK_SWITCH: the task switch to be made. Its gates have been checked. The
 *	caller sets @rip to the address at which the old task will continue, and then calls
 *	emul_task_switch()
 * @dst: private: destination operand
 * @src: private: first source operand
 * @src2: private: second source operand
 * @staged: private: new values of the registers in @dirty
 * @dirty: private: one bit per register
 * @next_rip: private: RIP to be committed
 * @flags: private: RFLAGS to be committed
 * @fx: private: x87 and SSE state that the instruction changes
 * @trap: private: a single-step trap follows the instruction: TF was set before it, or SYSCALL or
 *	SYSRET has set TF
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
 * enum emul_event - kind of an event to deliver (SDM "Interrupt and Exception Handling")
 * @EMUL_EV_EXTERNAL: external interrupt or NMI
 * @EMUL_EV_EXCEPTION: a fault, trap or abort that the CPU raises, with its error code if it has one
 * @EMUL_EV_SOFT: INT n: the gate's DPL is compared with CPL
 * @EMUL_EV_SOFT_EXCEPTION: INT3 or INTO: the gate's DPL is compared with CPL
 * @EMUL_EV_PRIV_SOFT: INT1: no check of the DPL
 */
enum emul_event {
	EMUL_EV_EXTERNAL,
	EMUL_EV_EXCEPTION,
	EMUL_EV_SOFT,
	EMUL_EV_SOFT_EXCEPTION,
	EMUL_EV_PRIV_SOFT,
};

/**
 * emul_init() - Initialize a context, except its registers
 * @ctx: gets no instruction (insn.len is 0), no io_buf, and a rep_limit of 1024
 * @ops: the caller's functions; no pointer may be NULL
 * @mode: the CPU mode; emul_set_mode() can compute it from the registers
 * @cpl: 0..3; 0 in real mode, 3 in VM86
 */
void emul_init(struct emul_ctx *ctx, const struct emul_ops *ops, enum emul_mode mode, u8 cpl);

/** emul_set_mode() - Read CR0, EFER, CS and so on by ctx.ops, and set ctx.mode and ctx.cpl */
void emul_set_mode(struct emul_ctx *ctx);

/**
 * emul_decode() - Fetch and decode the instruction at CS:ctx.rip
 * @ctx: uses rip, mode and cpl
 * Return: EMUL_OK with ctx.insn; after any other result ctx.insn.len is 0.
 * - EMUL_FAULT with an exception: #PF of the fetch op; #GP(0) if the instruction is longer than 15
 *   bytes or exceeds the limit of CS; #UD if the opcode is undefined, or is illegal in this mode or
 *   with LOCK.
 * - EMUL_UNHANDLEABLE if the instruction exists but is not emulated (x87 and vector arithmetic,
 *   EVEX, XOP).
 */
enum emul_rc emul_decode(struct emul_ctx *ctx);

/**
 * emul_decode_call() - Decode the instruction at CS:ctx.rip if it is VMCALL, VMMCALL or SYSCALL
 * Return: EMUL_UNHANDLEABLE for other instructions; for these the caller raises #UD. No bytes after
 * their ModRM byte are fetched, because a fetch can set accessed bits in the guest's page tables.
 */
enum emul_rc emul_decode_call(struct emul_ctx *ctx);

/**
 * emul_decode_bytes() - Decode the instruction at CS:ctx.rip, whose first bytes the caller has read
 * @ctx: uses rip, mode and cpl
 * @bytes: the first bytes of the instruction
 * @len: number of @bytes, 0..15; missing bytes are fetched
 */
enum emul_rc emul_decode_bytes(struct emul_ctx *ctx, const u8 *bytes, unsigned int len);

/**
 * emul_exec() - Execute the decoded instruction
 * @ctx: decoded, with the guest's registers
 * Return:
 * - EMUL_OK with ctx.out.
 * - EMUL_FAULT with ctx.exc; RIP is at the instruction. Earlier iterations of a repeated string
 *   instruction stay done.
 * - EMUL_IO if an op of ctx.ops returned it.
 * - EMUL_UNHANDLEABLE for a call gate, if an op returned it, or for a task switch: then ctx.out has
 *   EMUL_OUT_TASK_SWITCH, and ctx.task describes the switch.
 */
enum emul_rc emul_exec(struct emul_ctx *ctx);

/** emul_step() - Call emul_decode() and, if that succeeds, emul_exec() */
enum emul_rc emul_step(struct emul_ctx *ctx);

/**
 * emul_deliver() - Deliver an interrupt or exception through the IVT or IDT
 * @ctx: uses and changes gpr, rip, rflags, mode, cpl; ctx.insn becomes invalid
 * @vector: 0..255
 * @ev: kind of the event
 * @has_error: push @error (never in real mode)
 * @error: error code
 * @return_rip: the RIP to push: for faults, of the faulting instruction; for traps, of the next one
 *
 * The caller sets CR2, DR6 and DR7.GD, and handles double and triple faults. Return: EMUL_OK;
 * EMUL_FAULT with the exception that the delivery has raised; EMUL_UNHANDLEABLE for a task gate,
 * with EMUL_OUT_TASK_SWITCH and ctx.task.
 */
enum emul_rc emul_deliver(struct emul_ctx *ctx, u8 vector, enum emul_event ev, bool has_error,
			  u32 error, u64 return_rip);

/**
 * emul_task_switch() - Switch tasks for JMP, CALL, IRET or an event
 * @ctx: uses and changes gpr, rip, rflags, mode, cpl. On input, rip is the address at which the old
 *	task will continue; on output, the address at which the new task begins
 * @task: the switch; the caller has made the privilege checks of gates
 * Return: EMUL_OK; EMUL_FAULT with an exception, which belongs to the new task if task.switched is
 * true, otherwise to the old task; EMUL_UNHANDLEABLE in real and long mode, which have no tasks;
 * any other result of an op of ctx.ops.
 */
enum emul_rc emul_task_switch(struct emul_ctx *ctx, struct emul_task *task);

/* Ops call these to record an exception in ctx.exc. Each returns EMUL_FAULT. */
enum emul_rc emul_fault(struct emul_ctx *ctx, u8 vector);
enum emul_rc emul_fault_code(struct emul_ctx *ctx, u8 vector, u32 error);
enum emul_rc emul_fault_page(struct emul_ctx *ctx, u64 cr2, u32 error);

/** emul_gpr() - Return a register's staged value, or its committed value if none is staged */
static inline u64 emul_gpr(const struct emul_ctx *ctx, unsigned int nr)
{
	return ctx->dirty & BIT(nr) ? ctx->staged[nr] : ctx->gpr[nr];
}

/** emul_set_gpr() - Stage a 64-bit register value, to be committed with the instruction */
static inline void emul_set_gpr(struct emul_ctx *ctx, unsigned int nr, u64 val)
{
	ctx->staged[nr] = val;
	ctx->dirty |= BIT(nr);
}

/**
 * struct emul_mov - a plain MOV between memory and a register or immediate
 * @write: from register or immediate to memory
 * @bytes: size of the memory access: 1, 2, 4, 8
 * @sign_extend: (reads) the value is sign-extended: MOVSX, MOVSXD
 * @dst_bytes: (reads) size of the destination register: 1, 2, 4, 8
 * @from_reg: (writes) the value comes from register @reg, not from an immediate
 * @reg: the register
 * @high: the register is AH, CH, DH or BH
 * @seg: segment of the memory operand
 * @base: base register of the address, or -1
 * @index: index register, or -1
 * @scale: shift of the index
 * @disp: displacement, including RIP if the address is RIP-relative
 * @val: (writes) the immediate
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
 * emul_as_mov() - Return true if the instruction is a plain MOV, MOVZX, MOVSX or MOVSXD with memory
 * @ctx: decoded
 * @mov: filled if the result is true
 *
 * Serves fast MMIO: a caller that knows the guest-physical address can make the access itself, and
 * then call emul_finish_mov().
 */
bool emul_as_mov(const struct emul_ctx *ctx, struct emul_mov *mov);

/**
 * emul_mov_linear() - Compute the linear address of the memory operand
 * @ctx: decoded
 * @mov: from emul_as_mov()
 * @la: set with EMUL_OK
 * Return: EMUL_OK, or EMUL_FAULT with ctx.exc if the segment does not allow the access or the
 * address is not canonical or not aligned
 */
enum emul_rc emul_mov_linear(struct emul_ctx *ctx, const struct emul_mov *mov, u64 *la);

/**
 * emul_finish_mov() - Commit a MOV whose memory access the caller has done
 * @ctx: decoded
 * @mov: from emul_as_mov()
 * @val: (reads) the value read
 *
 * Advances RIP and sets ctx.out as emul_exec() does.
 */
void emul_finish_mov(struct emul_ctx *ctx, const struct emul_mov *mov, u64 val);

/**
 * emul_mov_ea() - Return the memory operand's offset in its segment, as 64 bits
 * @mov: from emul_as_mov()
 * @base: value of the base register, 0 if there is none
 * @index: value of the index register, 0 if there is none
 */
static inline u64 emul_mov_ea(const struct emul_mov *mov, u64 base, u64 index)
{
	return mov->disp + base + (index << mov->scale);
}

/**
 * emul_mov_datum() - Return the value that @mov writes to memory
 * @reg: value of the register that @mov writes
 */
static inline u64 emul_mov_datum(const struct emul_mov *mov, u64 reg)
{
	if (!mov->from_reg)
		return mov->val;
	reg >>= mov->high ? 8 : 0;
	return mov->bytes == 8 ? reg : reg & (BIT_ULL(mov->bytes * 8) - 1);
}

/**
 * emul_mov_result() - Return the new value of the register that @mov loads
 * @reg: old value of the register
 * @val: value read from memory
 */
static inline u64 emul_mov_result(const struct emul_mov *mov, u64 reg, u64 val)
{
	unsigned int unused = 64 - mov->bytes * 8, shift = mov->high ? 8 : 0;
	u64 mask = ~0ull >> (64 - mov->dst_bytes * 8) << shift;

	val = mov->sign_extend ? (u64)((s64)(val << unused) >> unused) : val << unused >> unused;
	val = val << shift & mask;
	/* Writes of 4 bytes to a register clear its upper half. */
	return mov->dst_bytes < 4 ? val | (reg & ~mask) : val;
}

/**
 * emul_writes_memory() - Return true if the instruction writes to its memory operand or the stack
 */
bool emul_writes_memory(const struct emul_ctx *ctx);

/**
 * emul_is_string() - Return true if the instruction is a string instruction, with or without REP
 */
bool emul_is_string(const struct emul_ctx *ctx);

/** emul_is_hypercall() - Return true if the instruction is VMCALL or VMMCALL */
bool emul_is_hypercall(const struct emul_ctx *ctx);

/** emul_is_syscall() - Return true if the instruction is SYSCALL, even if illegal in this mode */
bool emul_is_syscall(const struct emul_ctx *ctx);

#endif
