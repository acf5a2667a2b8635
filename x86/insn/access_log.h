/* SPDX-License-Identifier: GPL-2.0-only */
/* What an instruction has done to memory, ports and devices, so that it does nothing twice. */
#ifndef OKVM_X86_INSN_ACCESS_LOG_H
#define OKVM_X86_INSN_ACCESS_LOG_H

#include "x86/insn/emulation.h"

/** okvm_log_reset() - nothing has been done, and nothing is waiting */
void okvm_log_reset(struct okvm_emulation *e);
/**
 * okvm_log_access() - the entry of an access that is made now
 *
 * Return: the entry of before, if a former execution has made or begun this access; or a new one;
 * or NULL if there is no room, which no instruction needs.
 */
struct emul_log_entry *okvm_log_access(struct okvm_emulation *e, enum emul_io kind, u64 addr,
				       u32 len);
/** okvm_log_translation() - may @entry use the translation of an access before? Then it does */
bool okvm_log_translation(struct okvm_emulation *e, struct emul_log_entry *entry);

static inline void *okvm_log_data(struct okvm_emulation *e, const struct emul_log_entry *entry)
{
	return e->log_data + entry->data;
}

/**
 * okvm_log_device() - the next bytes of an access to a device, up to the end of its page
 * @gpa: of byte entry->done
 * @data: all bytes of the access, in or out
 * @end: bytes of the access up to the end of the page
 *
 * Reads that userspace must do are EMUL_IO; writes wait for the instruction's end.
 */
enum emul_rc okvm_log_device(struct okvm_emulation *e, struct emul_log_entry *entry, gpa_t gpa,
			     void *data, unsigned int end, bool write);
enum emul_rc okvm_log_port(struct okvm_emulation *e, u16 port, unsigned int size, u32 count,
			   void *data, bool in);
/** okvm_log_answer() - userspace has finished the read that it was asked for */
void okvm_log_answer(struct okvm_emulation *e);
/** okvm_log_ask_post() - give userspace the next write. False: there is none */
bool okvm_log_ask_post(struct okvm_emulation *e);

/**
 * okvm_mmio_bus() - an access of 1..8 bytes by the in-kernel devices, local APIC first: 0 or
 * -EOPNOTSUPP
 */
int okvm_mmio_bus(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write);
/** okvm_mmio_trace() - kvm_mmio; @type: TRACE_MMIO_*; @data: NULL if it is not known yet */
void okvm_mmio_trace(u32 type, gpa_t gpa, const void *data, unsigned int len);
/** okvm_mmio_ask() - fill kvm_run for an access of 1..8 bytes to a device of userspace */
void okvm_mmio_ask(struct okvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len,
		   bool write);

#endif /* OKVM_X86_INSN_ACCESS_LOG_H */
