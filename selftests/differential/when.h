/* SPDX-License-Identifier: GPL-2.0-only */
/* What the circumstances of known.c's rows are made of; upstream is A, okvm B. */
#ifndef OKVM_SELFTESTS_DIFFERENTIAL_WHEN_H
#define OKVM_SELFTESTS_DIFFERENTIAL_WHEN_H

#include "selftests/differential/insn.h"

#define FLAGS_OF_RESULT	0xc4ull	/* SF, ZF, PF */
#define FLAG_TF		(1u << 8)
#define FLAG_IF		(1u << 9)
#define FLAG_NT		(1u << 14)
#define FLAG_RF		(1u << 16)
#define FLAG_AC		(1u << 18)
#define CR0_TS		(1u << 3)
#define CR0_AM		(1u << 18)
#define CR4_DE		(1u << 3)
#define CR4_PSE		(1u << 4)
#define CR4_PVI		(1u << 1)
#define CR4_OSXSAVE	(1u << 18)
#define MSR_TSC		0x10
#define FAULT_WRITE	(1u << 1)
#define FAULT_RSVD	(1u << 3)
#define CR4_SMEP	(1u << 20)
#define CR4_SMAP	(1u << 21)
#define CR4_UMIP	(1u << 11)
#define CR4_VME		(1u << 0)
#define FLAGS_IOPL	(3u << 12)
#define DR6_BS		(1u << 14)
#define DR6_BT		(1u << 15)
#define VECTORING_VALID	(1ull << 31)
#define EXIT_APIC_ACCESS	0x2c
#define EXIT_EPT_VIOLATION	0x30
#define EXIT_EPT_MISCONFIG	0x31
#define GATE_TASK	5
#define GATE_INT16	6
#define GATE_TRAP16	7
#define EXIT_INVALID_STATE	0x80000021
#define SIMULTANEOUS_ERROR	2	/* KVM_INTERNAL_ERROR_SIMUL_EX */
#define DELIVERY_ERROR	3		/* KVM_INTERNAL_ERROR_DELIVERY_EV */

enum vector {
	VECTOR_DB = 1, VECTOR_NMI, VECTOR_BP, VECTOR_OF, VECTOR_UD = 6, VECTOR_DF = 8,
	VECTOR_TS = 10, VECTOR_NP, VECTOR_SS, VECTOR_GP, VECTOR_PF, VECTOR_AC = 17
};

/* moment.c */
struct insn insn_at(program_t *p, moment_t *m);
bool insn_before(program_t *p, moment_t *m, bool (*is)(struct insn insn, moment_t *m));
bool is_io(moment_t *m, unsigned int direction);
bool is_mmio_write(moment_t *m);
bool is_error(moment_t *m, unsigned int suberror);
uint64_t delivered_event(moment_t *m);
bool is_user_page(program_t *p, uint64_t la);
bool leaves_ram(program_t *p, uint64_t la, unsigned int len);
bool stack_leaves_ram(program_t *p, moment_t *m);
bool delivery_leaves_ram(program_t *p, moment_t *a, moment_t *b);
bool in_handlers(moment_t *m);
bool in_handler_of(moment_t *m, unsigned int vector);
bool in_delivery_fault(moment_t *m, unsigned int vector);
bool has_code(unsigned int vector);
bool gate_is(program_t *p, moment_t *m, unsigned int vector, unsigned int type);
unsigned int frame_width(program_t *p, moment_t *m);
unsigned int frame_at(program_t *p, moment_t *m, unsigned int nr);
uint64_t frame_item(program_t *p, moment_t *m, unsigned int nr);
uint64_t flags_behind(program_t *p, moment_t *m);
#define NOWHERE	~0ull
uint64_t failed_at(program_t *p, moment_t *m);
uint64_t interrupted(program_t *p, moment_t *m);
bool stack_top_differs(program_t *p, moment_t *a, moment_t *b);
bool stack_differs(program_t *p, moment_t *a, moment_t *b);
bool same_but_frame(program_t *p, moment_t *a, moment_t *b, uint64_t flags);

/* delivery.c */
bool delivery_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_put_off(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_fails(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_into_device(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_error_told(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool port_before_delivery(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_carried_out(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool walk_is_operand(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool qualification_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool delivery_across_exits(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool rf_of_a_trap(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool rf_at_window(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool rf_across_exits(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool halt_is_emulated(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool software_event_injected(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool interrupt_is_lost(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool exceptions_meet(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool debugger_meets_double_fault(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool nmi_within_nmi(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool one_event_at_entry(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* flags.c */
bool flags_undefined(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool jump_by_undefined_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool restricted_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* debug.c */
bool debug_exit_without_dr7(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool breakpoint_not_enabled(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool patched_meets_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool patched_is_a_step(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool port_meets_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool faulting_mov_ss(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool step_behind_mov_ss(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool mov_dr_beyond(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool second_ss_load_blocks(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool interrupt_in_the_midst(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool breakpoint_insn_told(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool window_in_delivery(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool step_of_fast_wrmsr(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool patched_elsewhere(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool vmcall_is_emulated(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool window_at_breakpoint(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool blocking_ends_early(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* strings.c */
bool string_io_in_batches(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_has_ended(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_goes_on(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool step_of_a_string(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_steps(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_interrupted(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_traps_late(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_pause_shows_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_pauses(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool string_overwrites_itself(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* tasks.c */
const uint8_t *descriptor(program_t *p, moment_t *m, unsigned int selector);
bool new_task_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool task_gate_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool cr3_without_paging(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool busy_flag_is_lost(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool task_switch_traps(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool io_map_in_device(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* tables.c */
bool store_never_ends(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool table_never_loaded(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool store_reads_first(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool store_has_read(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool selector_stored_wide(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool selector_stored_across(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool umip_comes_first(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool selector_stored_for_umip(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool table_in_ldt(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool descriptor_in_device(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* vm86.c */
bool forced_int_beyond(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool int_is_narrow(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool pushf_with_vme(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool popf_with_vme(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool popf_reads_first(program_t *p, moment_t *a, moment_t *b, moment_t *before);

/* forced.c */
bool forced(program_t *p, moment_t *m, bool (*is)(program_t *p, struct insn insn));
bool is_not_emulated(program_t *p, struct insn insn);
bool forced_at(program_t *p, moment_t *m, uint64_t at, bool (*is)(program_t *p, struct insn insn));
bool forced_with_smap(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool is_emulated(program_t *p, moment_t *m, uint64_t at);
bool is_any(program_t *p, struct insn insn);
bool faults_with(program_t *p, moment_t *m, unsigned int vector);
bool forced_without_fetch(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_enter(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_unknown(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_privileged(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_bad_prefix(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_without_iopl(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_halt(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_sti(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_write_looks_first(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_write_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_write_has_read(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool reads_and_writes(program_t *p, struct insn insn);
bool forced_mmx_faults(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_int_traps(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_pushf(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_clflush(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_rep_in(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_alignment(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_aam(program_t *p, moment_t *a, moment_t *b, moment_t *before);
bool forced_flags(program_t *p, moment_t *a, moment_t *b, moment_t *before);

#endif /* OKVM_SELFTESTS_DIFFERENTIAL_WHEN_H */
