/* SPDX-License-Identifier: GPL-2.0-only */
/* What known.c asks about an instruction. */
#ifndef OKVM_SELFTESTS_DIFFERENTIAL_INSN_H
#define OKVM_SELFTESTS_DIFFERENTIAL_INSN_H

#include "selftests/differential/differential.h"

typedef const struct program program_t;
typedef const struct moment moment_t;

struct insn {
	bool rep, wide;			/* F2 or F3; REX.W */
	bool high;			/* REX.R */
	bool override;			/* ES, CS, SS or DS named */
	bool both;			/* 66 and F2 or F3 */
	unsigned int prefix;		/* the last of 66, F2, F3 */
	unsigned int opcode;		/* with 0f00h if it has two bytes */
	unsigned int modrm, reg;	/* the byte behind it */
	unsigned int third;		/* and the second behind that */
};

/* The instruction at address @at of the program as it was written; prefixes as in @m's mode. */
struct insn insn_from(program_t *p, moment_t *m, uint64_t at);
/* Where may the memory operand of the instruction at @at be, by @m's registers? Less a segment. */
bool insn_address(program_t *p, moment_t *m, uint64_t at, uint64_t *ea);
/* Is the memory operand of the instruction at @at in SS: has it RSP or RBP as its base? */
bool is_based_on_stack(program_t *p, moment_t *m, uint64_t at);
/* moment.c */
uint64_t rip_of(moment_t *m);
bool is_string(struct insn insn);
bool is_string_io(struct insn insn);
/* IN and OUT, INS and OUTS. */
bool is_port_insn(struct insn insn);
/* The flags that the manual leaves undefined after an instruction. */
uint64_t undefined_flags(struct insn insn);
/* Those of the status flags that it surely defines. */
uint64_t defined_flags(struct insn insn);
/* Its length, 0 if it is beyond the memory. */
unsigned int insn_length(program_t *p, moment_t *m, uint64_t at);
bool is_umip_insn(program_t *p, struct insn insn);
/* What upstream's emulator has no row for. */
bool upstream_lacks(program_t *p, struct insn insn);
/* What it has a row for, and does not carry out. */
bool upstream_gives_up(program_t *p, struct insn insn);

#endif /* OKVM_SELFTESTS_DIFFERENTIAL_INSN_H */
