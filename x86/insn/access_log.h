/* SPDX-License-Identifier: GPL-2.0-only */
/* Log of an instruction's accesses to memory, ports and devices: no access is made twice. */
#ifndef OKVM_X86_INSN_ACCESS_LOG_H
#define OKVM_X86_INSN_ACCESS_LOG_H

#include "core/iobus.h"
#include "x86/insn/emulation.h"

/** okvm_log_reset() - Empty the log and the queue of writes */
void okvm_log_reset(struct okvm_emulation *e);
/**
 * okvm_log_access() - Find or create the log entry of the instruction's next access
 * Return: the existing entry if the instruction is executed again and has made or begun this access
 * before; otherwise a new entry. (NULL if the log is full; but it is large enough for any
 * instruction.)
 */
struct emul_log_entry *okvm_log_access(struct okvm_emulation *e, enum emul_io kind, u64 addr,
				       u32 len);
/**
 * okvm_log_translation() - Fill @entry's gpa[] from earlier entries for the same pages
 * Return: false if there are no such entries
 */
bool okvm_log_translation(struct okvm_emulation *e, struct emul_log_entry *entry);

static inline void *okvm_log_data(struct okvm_emulation *e, const struct emul_log_entry *entry)
{
	return e->log_data + entry->data;
}

/**
 * okvm_log_device() - Make a part of an access, from byte @entry->done to byte @end - 1, at a
 * device
 * @gpa: guest-physical address of byte @entry->done
 * @data: buffer for the whole access
 * @end: number of the byte after this part; the part ends at the end of the access or of the page
 * Return: EMUL_OK if all bytes have been read, written or queued for userspace; EMUL_IO if
 *	userspace must do a read, or must do the queued writes because the queue is full.
 */
enum emul_rc okvm_log_device(struct okvm_emulation *e, struct emul_log_entry *entry, gpa_t gpa,
			     void *data, unsigned int end, bool write);
enum emul_rc okvm_log_port(struct okvm_emulation *e, u16 port, unsigned int size, u32 count,
			   void *data, bool in);
/** okvm_log_answer() - Copy into the log the data that userspace has read from a device or port */
void okvm_log_answer(struct okvm_emulation *e);
/** okvm_log_ask_post() - Fill kvm_run with the next queued write. Return: false if none is left */
bool okvm_log_ask_post(struct okvm_emulation *e);

/**
 * okvm_mmio_try() - Access 1..8 bytes of the local APIC or of another in-kernel device, untraced
 * Return: 1 if the local APIC is at @gpa, 0 if another in-kernel device is, otherwise -EOPNOTSUPP
 */
static __always_inline int okvm_mmio_try(struct okvm_vcpu *vcpu, gpa_t gpa, void *data,
					 unsigned int len, bool write)
{
	if (vcpu->apic && !okvm_apic_mmio(vcpu, gpa, data, len, write))
		return 1;
	return write ? okvm_iobus_write(vcpu, OKVM_BUS_MMIO, gpa, len, data) :
		       okvm_iobus_read(vcpu, OKVM_BUS_MMIO, gpa, len, data);
}

/**
 * okvm_mmio_bus() - Access 1..8 bytes of the local APIC or of another in-kernel device
 * Return: 0, or -EOPNOTSUPP if no in-kernel device is at @gpa
 */
int okvm_mmio_bus(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write);
/** okvm_mmio_trace() - Emit tracepoint kvm_mmio. @type: TRACE_MMIO_*. @data: NULL if unknown yet */
void okvm_mmio_trace(u32 type, gpa_t gpa, const void *data, unsigned int len);
/** okvm_mmio_ask() - Fill kvm_run for an access of 1..8 bytes to a device in userspace */
void okvm_mmio_ask(struct okvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len,
		   bool write);

#endif /* OKVM_X86_INSN_ACCESS_LOG_H */
