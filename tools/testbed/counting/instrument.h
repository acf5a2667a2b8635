/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counting Bochs: which of Bochs' instrumentation hooks do something. This file and
 * instrument.cc take the place of those of instrument/stubs.
 */
#ifndef OKVM_COUNTING_INSTRUMENT_H
#define OKVM_COUNTING_INSTRUMENT_H

void counting_execute(unsigned int cpu, void *instruction);
void counting_prefetch(unsigned int cpu, unsigned long address);

#define BX_INSTR_BEFORE_EXECUTION(cpu, i)	counting_execute(cpu, i)
#define BX_INSTR_PREFETCH_HINT(cpu, what, segment, offset) counting_prefetch(cpu, offset)

#define BX_INSTR_INIT_ENV(...)
#define BX_INSTR_EXIT_ENV(...)
#define BX_INSTR_INITIALIZE(...)
#define BX_INSTR_EXIT(...)
#define BX_INSTR_RESET(...)
#define BX_INSTR_HLT(...)
#define BX_INSTR_MWAIT(...)
#define BX_INSTR_DEBUG_PROMPT(...)
#define BX_INSTR_DEBUG_CMD(...)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(...)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(...)
#define BX_INSTR_UCNEAR_BRANCH(...)
#define BX_INSTR_FAR_BRANCH(...)
#define BX_INSTR_OPCODE(...)
#define BX_INSTR_EXCEPTION(...)
#define BX_INSTR_INTERRUPT(...)
#define BX_INSTR_HWINTERRUPT(...)
#define BX_INSTR_TLB_CNTRL(...)
#define BX_INSTR_CACHE_CNTRL(...)
#define BX_INSTR_CLFLUSH(...)
#define BX_INSTR_AFTER_EXECUTION(...)
#define BX_INSTR_REPEAT_ITERATION(...)
#define BX_INSTR_LIN_ACCESS(...)
#define BX_INSTR_PHY_ACCESS(...)
#define BX_INSTR_INP(...)
#define BX_INSTR_INP2(...)
#define BX_INSTR_OUTP(...)
#define BX_INSTR_WRMSR(...)
#define BX_INSTR_VMEXIT(...)

#endif
