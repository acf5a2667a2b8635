// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of the accesses that an emulated instruction has made, and its accesses to devices.
 *
 * If userspace must do a read, KVM_RUN returns in the middle of an instruction. The next KVM_RUN
 * executes the instruction again from its start. The log then supplies the data and translations
 * that the instruction already has, and tells which writes the instruction has already made. So the
 * instruction accesses memory, page tables and devices only once, even if they change meanwhile. (A
 * REP string instruction accesses them once in each iteration. A locked instruction whose exchange
 * fails begins anew.)
 *
 * Writes to devices in userspace wait in a queue. Userspace gets these writes when the instruction
 * is done and RIP is after the instruction. So a write makes KVM_RUN execute an instruction again
 * only if the queue is full.
 *
 * Upstream has no log. It keeps a read cache and the fragments of one access: if an instruction
 * makes several writes, only the last one gets to userspace.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "core/iobus.h"
#include "core/trace.h"
#include "core/trace_kvm.h"
#include "x86/insn/access_log.h"

void okvm_log_reset(struct okvm_emulation *e)
{
	e->logged = 0;
	e->replayed = 0;
	e->log_used = 0;
	e->tlb_from = 0;
	e->log_seq = e->ctx.seq;
	e->wait_len = 0;
	e->nr_posts = 0;
	e->posted = 0;
	e->port_out = false;
	e->finished = false;
}

static void log_truncate(struct okvm_emulation *e, unsigned int nr)
{
	if (nr < e->logged)
		e->log_used = e->log[nr].data;
	e->logged = nr;
}

static struct emul_log_entry *log_new(struct okvm_emulation *e, enum emul_io kind, u64 addr,
				      u32 len)
{
	unsigned int keep = kind == EMUL_IO_READ || kind == EMUL_IO_PORT_IN ? len : 0;
	struct emul_log_entry *entry = &e->log[e->logged];

	if (e->logged >= EMUL_LOG_ENTRIES || keep > EMUL_LOG_BYTES - e->log_used)
		return NULL;
	*entry = (struct emul_log_entry){ .kind = kind, .addr = addr, .len = len,
					  .data = e->log_used };
	e->log_used += keep;
	e->replayed = ++e->logged;
	return entry;
}

struct emul_log_entry *okvm_log_access(struct okvm_emulation *e, enum emul_io kind, u64 addr,
				       u32 len)
{
	struct emul_log_entry *entry;

	/* A new iteration of a REP string instruction: forget the accesses of earlier ones. */
	if (e->log_seq != e->ctx.seq) {
		e->log_seq = e->ctx.seq;
		e->tlb_from = 0;
		e->replayed = 0;
		log_truncate(e, 0);
	}
	if (e->replayed < e->logged) {
		entry = &e->log[e->replayed];
		if (entry->kind == kind && entry->addr == addr && entry->len == len) {
			e->replayed++;
			return entry;
		}
		/*
		 * This access differs from the logged one: userspace has changed a register since.
		 * Cut the log here.
		 */
		log_truncate(e, e->replayed);
	}
	return log_new(e, kind, addr, len);
}

/* ---- translations ---- */

/*
 * Return the gpa of the page of @la if this instruction has translated the page for @acc, otherwise
 * OKVM_INVALID_GPA.
 */
static gpa_t log_page(const struct okvm_emulation *e, u64 la, u32 acc)
{
	const struct emul_log_entry *entry = &e->log[e->tlb_from];
	u32 more = acc | OKVM_ACC_WRITE;

	for (; entry < &e->log[e->replayed]; entry++) {
		if (!entry->translated || (entry->acc != acc && entry->acc != more))
			continue;
		if (!((entry->addr ^ la) & PAGE_MASK))
			return entry->gpa[0] & PAGE_MASK;
		if (!(((entry->addr + entry->len - 1) ^ la) & PAGE_MASK))
			return entry->gpa[1];
	}
	return OKVM_INVALID_GPA;
}

/*
 * Use an earlier translation of this instruction again, as a TLB does. INS and XCHG depend on this:
 * they check that a page is writable, then read a device, and then write the page. This write must
 * not fault.
 */
bool okvm_log_translation(struct okvm_emulation *e, struct emul_log_entry *entry)
{
	unsigned int offset = offset_in_page(entry->addr);
	gpa_t gpa = log_page(e, entry->addr, entry->acc), gpa2 = 0;

	if (gpa == OKVM_INVALID_GPA)
		return false;
	if (offset + entry->len > PAGE_SIZE)
		gpa2 = log_page(e, entry->addr + entry->len - 1, entry->acc);
	if (gpa2 == OKVM_INVALID_GPA)
		return false;
	entry->gpa[0] = gpa + offset;
	entry->gpa[1] = gpa2;
	entry->translated = true;
	return true;
}

/* ---- memory-mapped devices ---- */

void okvm_mmio_trace(u32 type, gpa_t gpa, const void *data, unsigned int len)
{
	u64 val = 0;

	if (data)
		memcpy(&val, data, min_t(unsigned int, len, sizeof(val)));
	trace_kvm_mmio(type, len, gpa, val);
}

int okvm_mmio_bus(struct okvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len, bool write)
{
	int by = okvm_mmio_try(vcpu, gpa, data, len, write);

	if (by < 0)
		return by;
	if (trace_kvm_mmio_enabled())
		okvm_mmio_trace(write ? TRACE_MMIO_WRITE : TRACE_MMIO_READ, gpa, data, len);
	return 0;
}

void okvm_mmio_ask(struct okvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len,
		   bool write)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = len;
	run->mmio.is_write = write;
	if (write)
		memcpy(run->mmio.data, data, len);
	vcpu->stat[OKVM_STAT_MMIO_EXITS]++;
	trace_okvm_io(true, write, gpa, len, false);
	if (trace_kvm_mmio_enabled())
		okvm_mmio_trace(write ? TRACE_MMIO_WRITE : TRACE_MMIO_READ_ASKED, gpa,
				write ? data : NULL, len);
}

static bool log_has_posts(const struct okvm_emulation *e)
{
	return e->posted < e->nr_posts;
}

static enum emul_rc log_post(struct okvm_emulation *e, gpa_t gpa, const void *data,
			     unsigned int len)
{
	struct emul_post *post = &e->posts[e->nr_posts];

	if (e->nr_posts == EMUL_POSTS)
		return EMUL_IO;
	post->gpa = gpa;
	post->len = len;
	memcpy(post->data, data, len);
	e->nr_posts++;
	e->ctx.stop = true;
	return EMUL_OK;
}

static enum emul_rc log_ask_read(struct okvm_emulation *e, gpa_t gpa, unsigned int len)
{
	/*
	 * Userspace must do the queued writes before this read: devices see accesses in program
	 * order.
	 */
	if (!log_has_posts(e)) {
		okvm_mmio_ask(e->vcpu, gpa, NULL, len, false);
		e->wait_len = len;
	}
	return EMUL_IO;
}

/* Access a device: a batch item by item, any other access in pieces of at most 8 bytes. */
enum emul_rc okvm_log_device(struct okvm_emulation *e, struct emul_log_entry *entry, gpa_t gpa,
			     void *data, unsigned int end, bool write)
{
	enum emul_rc rc;
	unsigned int now;

	for (; entry->done < end; entry->done += now, gpa += now) {
		void *at = data + entry->done;

		now = min_t(unsigned int, end - entry->done, entry->unit ?: 8);
		entry->device = true;
		if (!okvm_mmio_bus(e->vcpu, gpa, at, now, write))
			continue;
		rc = write ? log_post(e, gpa, at, now) : log_ask_read(e, gpa, now);
		if (rc != EMUL_OK)
			return rc;
	}
	return EMUL_OK;
}

bool okvm_log_ask_post(struct okvm_emulation *e)
{
	const struct emul_post *post = &e->posts[e->posted];

	if (!log_has_posts(e)) {
		e->nr_posts = 0;
		e->posted = 0;
		return false;
	}
	okvm_mmio_ask(e->vcpu, post->gpa, post->data, post->len, true);
	e->posted++;
	return true;
}

/* ---- ports ---- */

/* Access @count items at @port, if an in-kernel device is there. Return: number of items done */
static u32 log_port_bus(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
			void *data, bool in)
{
	u32 i;
	int err;

	for (i = 0; i < count; i++, data += size) {
		err = in ? okvm_iobus_read(vcpu, OKVM_BUS_PIO, port, size, data) :
			   okvm_iobus_write(vcpu, OKVM_BUS_PIO, port, size, data);
		if (err)
			break;
	}
	return i;
}

enum emul_rc okvm_log_port(struct okvm_emulation *e, u16 port, unsigned int size, u32 count,
			   void *data, bool in)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u32 len = size * count, left, taken;
	struct emul_log_entry *entry;
	void *items;

	if (len > EMUL_IO_BATCH)
		return EMUL_UNHANDLEABLE;
	entry = okvm_log_access(e, in ? EMUL_IO_PORT_IN : EMUL_IO_PORT_OUT, port, len);
	if (!entry)
		return EMUL_UNHANDLEABLE;
	items = in ? okvm_log_data(e, entry) : data;
	/*
	 * If the instruction is executed again after an exit to userspace, skip the first
	 * entry->done bytes: they have been transferred already.
	 */
	left = (len - entry->done) / size;
	taken = log_port_bus(vcpu, port, size, left, items + entry->done, in);
	if (taken && trace_kvm_pio_enabled())
		okvm_pio_trace(port, size, taken, items + entry->done, in);
	entry->done += size * taken;
	left = len - entry->done;
	if (left) {
		if (log_has_posts(e))
			return EMUL_IO;
		okvm_pio_ask(vcpu, port, size, left / size, items + entry->done, in);
		if (in) {
			e->wait_len = left;
			return EMUL_IO;
		}
		entry->done = len;
		e->port_out = true;
		e->ctx.stop = true;
	}
	if (in)
		memcpy(data, items, len);
	return EMUL_OK;
}

static void log_trace_answer(const struct okvm_emulation *e, const struct emul_log_entry *entry)
{
	const struct kvm_run *run = e->vcpu->run;

	if (entry->kind != EMUL_IO_PORT_IN && trace_kvm_mmio_enabled())
		okvm_mmio_trace(TRACE_MMIO_READ, run->mmio.phys_addr, run->mmio.data,
				min_t(u32, e->wait_len, sizeof(run->mmio.data)));
	else if (entry->kind == EMUL_IO_PORT_IN && trace_kvm_pio_enabled())
		okvm_pio_trace(run->io.port, clamp_t(u32, run->io.size, 1, 4), run->io.count,
			       e->vcpu->pio_page, true);
}

void okvm_log_answer(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	struct emul_log_entry *entry;

	if (!e->wait_len)
		return;
	/*
	 * Userspace has done the read of the newest entry: the emulator stopped at this read, and
	 * has logged nothing since.
	 */
	entry = &e->log[e->logged - 1];
	memcpy(okvm_log_data(e, entry) + entry->done, entry->kind == EMUL_IO_PORT_IN ?
	       vcpu->pio_page : (void *)vcpu->run->mmio.data, e->wait_len);
	log_trace_answer(e, entry);
	entry->done += e->wait_len;
	e->wait_len = 0;
}
