/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the instruction emulator and a vCPU. emul_glue.c runs instructions
 * and deals with their outcome; emul_ops.c is the machine they run on.
 */
#ifndef OKVM_X86_EMUL_GLUE_H
#define OKVM_X86_EMUL_GLUE_H

#include <linux/types.h>

#include "x86/emul/emul.h"
#include "x86/internal.h"

/* Accesses to devices that one instruction (or one iteration) can make. */
#define EMUL_LOG_ENTRIES	8

/** enum emul_io - the kinds of access that may have to be finished by userspace */
enum emul_io {
	EMUL_IO_MMIO_READ,
	EMUL_IO_MMIO_WRITE,
	EMUL_IO_PORT_IN,
	EMUL_IO_PORT_OUT,
};

/**
 * struct emul_log_entry - a device access that is done and must not be done again
 * @addr: guest-physical address or port
 * @len: bytes; for ports of all items together
 * @data: what was read, up to 8 bytes. Ports: bytes that an in-kernel device has done, before
 *	userspace was asked for the rest; the data are in okvm_emulation.io_data
 */
struct emul_log_entry {
	enum emul_io kind;
	u64 addr;
	u32 len;
	u64 data;
};

/**
 * struct okvm_emulation - the emulation of a vCPU; survives user exits, so it lives in the vCPU
 * @log: device accesses of the iteration in work, in order
 * @logged: entries of @log that are done
 * @replayed: entries that the present execution has passed
 * @log_seq: ctx.seq under which the log was taken
 * @waiting: userspace has been asked for log[logged]
 * @direct: userspace was asked for the plain MOV in @mov
 * @asked_msr: userspace was asked for an MSR: okvm_msr_ask_user()
 * @note: how the instruction's bytes were found, if that was noted
 * @known: the plain MOV in 64-bit mode that was emulated last, see emul_know(); no @known.len: none
 */
struct okvm_emulation {
	struct emul_ctx ctx;
	struct okvm_vcpu *vcpu;
	enum okvm_emul_why why;
	gpa_t gpa;

	struct emul_log_entry log[EMUL_LOG_ENTRIES];
	unsigned int logged, replayed;
	u32 log_seq;
	bool waiting;
	bool direct;
	bool asked_msr;
	struct emul_mov mov;

	struct okvm_note note;
	struct {
		u8 len;
		u8 cpl;
		unsigned long rip;
		u64 bytes[2];
		u64 mask[2];	/* bytes of the instruction */
		struct emul_mov mov;
	} known;

	/* String ports: what the emulator batches, and what userspace answered. */
	u8 io_buf[1024];
	u8 io_data[1024];
};

extern const struct emul_ops okvm_emul_ops;

/**
 * okvm_emul_task_switch() - emul_task_switch() for the vCPU's registers
 * @back: RIP at which the old task will go on
 *
 * Return: outcome: the registers, or an exception, are as @task says. As okvm_emulate().
 */
int okvm_emul_task_switch(struct okvm_vcpu *vcpu, struct emul_task *task, u32 back);

/**
 * okvm_emul_mmio() - one access of up to 8 bytes to a device
 *
 * Replayed from the log, else done by an in-kernel device and logged, else
 * userspace is asked (EMUL_IO). @data in or out.
 */
enum emul_rc okvm_emul_mmio(struct okvm_emulation *e, gpa_t gpa, void *data, unsigned int len,
			    bool write);
enum emul_rc okvm_emul_port(struct okvm_emulation *e, u16 port, unsigned int size, u32 count,
			    void *data, bool in);

/**
 * okvm_mmio_bus() - an access of 1..8 bytes by the in-kernel devices, local APIC first: 0 or
 * -EOPNOTSUPP
 */
int okvm_mmio_bus(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write);

/* x86/emul_vec.c: the guest's vector and x87 registers, which are live in this thread */
void okvm_vec_get(enum emul_vec file, unsigned int nr, void *buf);
void okvm_vec_set(enum emul_vec file, unsigned int nr, const void *buf);
/** okvm_x87() - Return: 0, or the vector of the exception that it raises */
int okvm_x87(enum emul_fpuop op, u32 *val);

#endif /* OKVM_X86_EMUL_GLUE_H */
