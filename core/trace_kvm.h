/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints with the names and fields that tools for KVM expect (Documentation/observing.rst).
 * core/trace_names.c registers them in tracefs while no other module has events of these names.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(OKVM_CORE_TRACE_KVM_H) || defined(TRACE_HEADER_MULTI_READ)
#define OKVM_CORE_TRACE_KVM_H

#include <linux/tracepoint.h>

#include <asm/pvclock-abi.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "core/watch.h"

/* VM entry. */
TRACE_EVENT_FN(kvm_entry,
	TP_PROTO(unsigned int vcpu_id, unsigned long rip, bool immediate_exit),
	TP_ARGS(vcpu_id, rip, immediate_exit),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(unsigned long, rip)
		__field(bool, immediate_exit)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->rip = rip;
		__entry->immediate_exit = immediate_exit;
	),
	TP_printk("vcpu %u rip 0x%lx%s", __entry->vcpu_id, __entry->rip,
		  __entry->immediate_exit ? ", to exit at once" : ""),
	okvm_watch_on, okvm_watch_off
);

/*
 * VM exit. isa is TRACE_ISA_*. info1 and info2 are the exit qualification and the IDT-vectoring
 * information on VMX, EXITINFO1 and EXITINFO2 on SVM. BPF programs on the raw tracepoint, such as
 * that of bcc's kvmexit, expect the exit reason as the first argument.
 */
TRACE_EVENT_FN(kvm_exit,
	TP_PROTO(u32 exit_reason, unsigned int vcpu_id, unsigned long guest_rip, u32 isa,
		 const struct okvm_exit_info *info),
	TP_ARGS(exit_reason, vcpu_id, guest_rip, isa, info),
	TP_STRUCT__entry(
		__field(unsigned int, exit_reason)
		__field(unsigned long, guest_rip)
		__field(u32, isa)
		__field(u64, info1)
		__field(u64, info2)
		__field(u32, intr_info)
		__field(u32, error_code)
		__field(unsigned int, vcpu_id)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->guest_rip = guest_rip;
		__entry->isa = isa;
		__entry->exit_reason = exit_reason;
		__entry->info1 = info->info1;
		__entry->info2 = info->info2;
		__entry->intr_info = info->intr_info;
		__entry->error_code = info->error_code;
	),
	TP_printk("vcpu %u reason %s rip 0x%lx info1 0x%llx info2 0x%llx intr_info 0x%x error_code 0x%x",
		  __entry->vcpu_id,
		  __entry->isa == TRACE_ISA_VMX ?
			__print_symbolic(__entry->exit_reason & 0xffff, VMX_EXIT_REASONS) :
			__print_symbolic(__entry->exit_reason, SVM_EXIT_REASONS),
		  __entry->guest_rip, __entry->info1, __entry->info2, __entry->intr_info,
		  __entry->error_code),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(kvm_hypercall,
	TP_PROTO(unsigned long nr, unsigned long a0, unsigned long a1, unsigned long a2,
		 unsigned long a3),
	TP_ARGS(nr, a0, a1, a2, a3),
	TP_STRUCT__entry(
		__field(unsigned long, nr)
		__field(unsigned long, a0)
		__field(unsigned long, a1)
		__field(unsigned long, a2)
		__field(unsigned long, a3)
	),
	TP_fast_assign(
		__entry->nr = nr;
		__entry->a0 = a0;
		__entry->a1 = a1;
		__entry->a2 = a2;
		__entry->a3 = a3;
	),
	TP_printk("nr 0x%lx a0 0x%lx a1 0x%lx a2 0x%lx a3 0x%lx", __entry->nr, __entry->a0,
		  __entry->a1, __entry->a2, __entry->a3),
	okvm_watch_on, okvm_watch_off
);

/* PIO of one item, or of several by a string instruction; val is the value of the first item */
TRACE_EVENT_FN(kvm_pio,
	TP_PROTO(unsigned int rw, unsigned int port, unsigned int size, unsigned int count,
		 unsigned int val),
	TP_ARGS(rw, port, size, count, val),
	TP_STRUCT__entry(
		__field(unsigned int, rw)
		__field(unsigned int, port)
		__field(unsigned int, size)
		__field(unsigned int, count)
		__field(unsigned int, val)
	),
	TP_fast_assign(
		__entry->rw = rw;
		__entry->port = port;
		__entry->size = size;
		__entry->count = count;
		__entry->val = val;
	),
	TP_printk("%s port 0x%x size %u count %u val 0x%x", __entry->rw ? "write" : "read",
		  __entry->port, __entry->size, __entry->count, __entry->val),
	okvm_watch_on, okvm_watch_off
);

/* type: TRACE_MMIO_* */
TRACE_EVENT(kvm_mmio,
	TP_PROTO(u32 type, u32 len, u64 gpa, u64 val),
	TP_ARGS(type, len, gpa, val),
	TP_STRUCT__entry(
		__field(u32, type)
		__field(u32, len)
		__field(u64, gpa)
		__field(u64, val)
	),
	TP_fast_assign(
		__entry->type = type;
		__entry->len = len;
		__entry->gpa = gpa;
		__entry->val = val;
	),
	TP_printk("%s gpa 0x%llx len %u val 0x%llx",
		  __print_symbolic(__entry->type, { TRACE_MMIO_READ_ASKED, "read, by userspace" },
				   { TRACE_MMIO_READ, "read" }, { TRACE_MMIO_WRITE, "write" }),
		  __entry->gpa, __entry->len, __entry->val)
);

/* write to an ioeventfd that accepts any length: handled without decoding the instruction */
TRACE_EVENT(kvm_fast_mmio,
	TP_PROTO(u64 gpa),
	TP_ARGS(gpa),
	TP_STRUCT__entry(
		__field(u64, gpa)
	),
	TP_fast_assign(
		__entry->gpa = gpa;
	),
	TP_printk("gpa 0x%llx", __entry->gpa)
);

TRACE_EVENT_FN(kvm_cpuid,
	TP_PROTO(unsigned int function, unsigned int index, unsigned long rax, unsigned long rbx,
		 unsigned long rcx, unsigned long rdx, bool found, bool used_max_basic),
	TP_ARGS(function, index, rax, rbx, rcx, rdx, found, used_max_basic),
	TP_STRUCT__entry(
		__field(unsigned int, function)
		__field(unsigned int, index)
		__field(unsigned long, rax)
		__field(unsigned long, rbx)
		__field(unsigned long, rcx)
		__field(unsigned long, rdx)
		__field(bool, found)
		__field(bool, used_max_basic)
	),
	TP_fast_assign(
		__entry->function = function;
		__entry->index = index;
		__entry->rax = rax;
		__entry->rbx = rbx;
		__entry->rcx = rcx;
		__entry->rdx = rdx;
		__entry->found = found;
		__entry->used_max_basic = used_max_basic;
	),
	TP_printk("leaf 0x%x.%u rax 0x%lx rbx 0x%lx rcx 0x%lx rdx 0x%lx%s%s", __entry->function,
		  __entry->index, __entry->rax, __entry->rbx, __entry->rcx, __entry->rdx,
		  __entry->found ? "" : ", no such leaf",
		  __entry->used_max_basic ? ", as the highest basic leaf" : ""),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(kvm_msr,
	TP_PROTO(unsigned write, u32 ecx, u64 data, u8 exception),
	TP_ARGS(write, ecx, data, exception),
	TP_STRUCT__entry(
		__field(unsigned, write)
		__field(u32, ecx)
		__field(u64, data)
		__field(u8, exception)
	),
	TP_fast_assign(
		__entry->write = write;
		__entry->ecx = ecx;
		__entry->data = data;
		__entry->exception = exception;
	),
	TP_printk("%s msr 0x%x 0x%llx%s", __entry->write ? "write" : "read", __entry->ecx,
		  __entry->data, __entry->exception ? " #GP" : ""),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(kvm_cr,
	TP_PROTO(unsigned int rw, unsigned int cr, unsigned long val),
	TP_ARGS(rw, cr, val),
	TP_STRUCT__entry(
		__field(unsigned int, rw)
		__field(unsigned int, cr)
		__field(unsigned long, val)
	),
	TP_fast_assign(
		__entry->rw = rw;
		__entry->cr = cr;
		__entry->val = val;
	),
	TP_printk("%s cr%u 0x%lx", __entry->rw ? "write" : "read", __entry->cr, __entry->val),
	okvm_watch_on, okvm_watch_off
);

/* error_code has the format of the #PF error code, even for EPT violations */
TRACE_EVENT_FN(kvm_page_fault,
	TP_PROTO(unsigned int vcpu_id, unsigned long guest_rip, u64 fault_address, u64 error_code),
	TP_ARGS(vcpu_id, guest_rip, fault_address, error_code),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(unsigned long, guest_rip)
		__field(u64, fault_address)
		__field(u64, error_code)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->guest_rip = guest_rip;
		__entry->fault_address = fault_address;
		__entry->error_code = error_code;
	),
	TP_printk("vcpu %u rip 0x%lx address 0x%llx error_code 0x%llx", __entry->vcpu_id,
		  __entry->guest_rip, __entry->fault_address, __entry->error_code),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(kvm_inj_virq,
	TP_PROTO(unsigned int vector, bool soft, bool reinjected),
	TP_ARGS(vector, soft, reinjected),
	TP_STRUCT__entry(
		__field(unsigned int, vector)
		__field(bool, soft)
		__field(bool, reinjected)
	),
	TP_fast_assign(
		__entry->vector = vector;
		__entry->soft = soft;
		__entry->reinjected = reinjected;
	),
	TP_printk("vector 0x%x%s%s", __entry->vector, __entry->soft ? ", of an instruction" : "",
		  __entry->reinjected ? ", again" : ""),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(kvm_inj_exception,
	TP_PROTO(u8 exception, u8 has_error, u32 error_code, bool reinjected),
	TP_ARGS(exception, has_error, error_code, reinjected),
	TP_STRUCT__entry(
		__field(u8, exception)
		__field(u8, has_error)
		__field(u32, error_code)
		__field(bool, reinjected)
	),
	TP_fast_assign(
		__entry->exception = exception;
		__entry->has_error = has_error;
		__entry->error_code = error_code;
		__entry->reinjected = reinjected;
	),
	TP_printk("vector %u error_code %s0x%x%s", __entry->exception,
		  __entry->has_error ? "" : "none, ", __entry->error_code,
		  __entry->reinjected ? ", again" : ""),
	okvm_watch_on, okvm_watch_off
);

/* reg is the register's offset in the xAPIC page, divided by 16 */
TRACE_EVENT(kvm_apic,
	TP_PROTO(unsigned int rw, unsigned int reg, u64 val),
	TP_ARGS(rw, reg, val),
	TP_STRUCT__entry(
		__field(unsigned int, rw)
		__field(unsigned int, reg)
		__field(u64, val)
	),
	TP_fast_assign(
		__entry->rw = rw;
		__entry->reg = reg;
		__entry->val = val;
	),
	TP_printk("%s register 0x%x 0x%llx", __entry->rw ? "write" : "read", __entry->reg,
		  __entry->val)
);

TRACE_EVENT(kvm_apic_ipi,
	TP_PROTO(__u32 icr_low, __u32 dest_id),
	TP_ARGS(icr_low, dest_id),
	TP_STRUCT__entry(
		__field(__u32, icr_low)
		__field(__u32, dest_id)
	),
	TP_fast_assign(
		__entry->icr_low = icr_low;
		__entry->dest_id = dest_id;
	),
	TP_printk("icr 0x%x to 0x%x", __entry->icr_low, __entry->dest_id)
);

TRACE_EVENT(kvm_apic_accept_irq,
	TP_PROTO(__u32 apicid, __u16 dm, __u16 tm, __u8 vec),
	TP_ARGS(apicid, dm, tm, vec),
	TP_STRUCT__entry(
		__field(__u32, apicid)
		__field(__u16, dm)
		__field(__u16, tm)
		__field(__u8, vec)
	),
	TP_fast_assign(
		__entry->apicid = apicid;
		__entry->dm = dm;
		__entry->tm = tm;
		__entry->vec = vec;
	),
	TP_printk("apic %u delivery mode 0x%x trigger 0x%x vector 0x%x", __entry->apicid,
		  __entry->dm, __entry->tm, __entry->vec)
);

TRACE_EVENT(kvm_eoi,
	TP_PROTO(__u32 apicid, int vector),
	TP_ARGS(apicid, vector),
	TP_STRUCT__entry(
		__field(__u32, apicid)
		__field(int, vector)
	),
	TP_fast_assign(
		__entry->apicid = apicid;
		__entry->vector = vector;
	),
	TP_printk("apic %u vector %d", __entry->apicid, __entry->vector)
);

TRACE_EVENT(kvm_pv_eoi,
	TP_PROTO(__u32 apicid, int vector),
	TP_ARGS(apicid, vector),
	TP_STRUCT__entry(
		__field(__u32, apicid)
		__field(int, vector)
	),
	TP_fast_assign(
		__entry->apicid = apicid;
		__entry->vector = vector;
	),
	TP_printk("apic %u vector %d", __entry->apicid, __entry->vector)
);

TRACE_EVENT(kvm_msi_set_irq,
	TP_PROTO(__u64 address, __u64 data),
	TP_ARGS(address, data),
	TP_STRUCT__entry(
		__field(__u64, address)
		__field(__u64, data)
	),
	TP_fast_assign(
		__entry->address = address;
		__entry->data = data;
	),
	TP_printk("address 0x%llx data 0x%llx", __entry->address, __entry->data)
);

TRACE_EVENT(kvm_set_irq,
	TP_PROTO(unsigned int gsi, int level, int irq_source_id),
	TP_ARGS(gsi, level, irq_source_id),
	TP_STRUCT__entry(
		__field(unsigned int, gsi)
		__field(int, level)
		__field(int, irq_source_id)
	),
	TP_fast_assign(
		__entry->gsi = gsi;
		__entry->level = level;
		__entry->irq_source_id = irq_source_id;
	),
	TP_printk("gsi %u level %d source %d", __entry->gsi, __entry->level, __entry->irq_source_id)
);

/* e: the redirection table entry */
TRACE_EVENT(kvm_ioapic_set_irq,
	TP_PROTO(__u64 e, int pin, bool coalesced),
	TP_ARGS(e, pin, coalesced),
	TP_STRUCT__entry(
		__field(__u64, e)
		__field(int, pin)
		__field(bool, coalesced)
	),
	TP_fast_assign(
		__entry->e = e;
		__entry->pin = pin;
		__entry->coalesced = coalesced;
	),
	TP_printk("entry 0x%llx pin %d%s", __entry->e, __entry->pin,
		  __entry->coalesced ? ", coalesced" : "")
);

TRACE_EVENT(kvm_pic_set_irq,
	TP_PROTO(__u8 chip, __u8 pin, __u8 elcr, __u8 imr, bool coalesced),
	TP_ARGS(chip, pin, elcr, imr, coalesced),
	TP_STRUCT__entry(
		__field(__u8, chip)
		__field(__u8, pin)
		__field(__u8, elcr)
		__field(__u8, imr)
		__field(bool, coalesced)
	),
	TP_fast_assign(
		__entry->chip = chip;
		__entry->pin = pin;
		__entry->elcr = elcr;
		__entry->imr = imr;
		__entry->coalesced = coalesced;
	),
	TP_printk("chip %u pin %u elcr 0x%x imr 0x%x%s", __entry->chip, __entry->pin,
		  __entry->elcr, __entry->imr, __entry->coalesced ? ", coalesced" : "")
);

/* irqchip: KVM_IRQCHIP_* */
TRACE_EVENT(kvm_ack_irq,
	TP_PROTO(unsigned int irqchip, unsigned int pin),
	TP_ARGS(irqchip, pin),
	TP_STRUCT__entry(
		__field(unsigned int, irqchip)
		__field(unsigned int, pin)
	),
	TP_fast_assign(
		__entry->irqchip = irqchip;
		__entry->pin = pin;
	),
	TP_printk("chip %u pin %u", __entry->irqchip, __entry->pin)
);

TRACE_EVENT_FN(kvm_userspace_exit,
	TP_PROTO(__u32 reason, int errno),
	TP_ARGS(reason, errno),
	TP_STRUCT__entry(
		__field(__u32, reason)
		__field(int, errno)
	),
	TP_fast_assign(
		__entry->reason = reason;
		__entry->errno = errno;
	),
	TP_printk("reason %u errno %d", __entry->reason, __entry->errno),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT(kvm_vcpu_wakeup,
	TP_PROTO(__u64 ns, bool waited, bool valid),
	TP_ARGS(ns, waited, valid),
	TP_STRUCT__entry(
		__field(__u64, ns)
		__field(bool, waited)
		__field(bool, valid)
	),
	TP_fast_assign(
		__entry->ns = ns;
		__entry->waited = waited;
		__entry->valid = valid;
	),
	TP_printk("%s %llu ns%s", __entry->waited ? "waited" : "polled", __entry->ns,
		  __entry->valid ? "" : ", invalid")
);

TRACE_EVENT(kvm_halt_poll_ns,
	TP_PROTO(bool grow, unsigned int vcpu_id, unsigned int new, unsigned int old),
	TP_ARGS(grow, vcpu_id, new, old),
	TP_STRUCT__entry(
		__field(bool, grow)
		__field(unsigned int, vcpu_id)
		__field(unsigned int, new)
		__field(unsigned int, old)
	),
	TP_fast_assign(
		__entry->grow = grow;
		__entry->vcpu_id = vcpu_id;
		__entry->new = new;
		__entry->old = old;
	),
	TP_printk("vcpu %u from %u to %u ns (%s)", __entry->vcpu_id, __entry->old, __entry->new,
		  __entry->grow ? "grow" : "shrink")
);

/* flags: TRACE_INSN_* */
TRACE_EVENT(kvm_emulate_insn,
	TP_PROTO(const struct okvm_trace_insn *insn),
	TP_ARGS(insn),
	TP_STRUCT__entry(
		__field(__u64, rip)
		__field(__u32, csbase)
		__field(__u8, len)
		__array(__u8, insn, 15)
		__field(__u8, flags)
		__field(__u8, failed)
	),
	TP_fast_assign(
		__entry->rip = insn->rip;
		__entry->csbase = insn->csbase;
		__entry->len = insn->len;
		memcpy(__entry->insn, insn->bytes, 15);
		__entry->flags = insn->flags;
		__entry->failed = insn->failed;
	),
	TP_printk("%x:%llx %s flags 0x%x%s", __entry->csbase, __entry->rip,
		  __print_hex(__entry->insn, __entry->len), __entry->flags,
		  __entry->failed ? ", failed" : "")
);

TRACE_EVENT(kvm_try_async_get_page,
	TP_PROTO(__u64 gva, u64 gfn),
	TP_ARGS(gva, gfn),
	TP_STRUCT__entry(
		__field(__u64, gva)
		__field(u64, gfn)
	),
	TP_fast_assign(
		__entry->gva = gva;
		__entry->gfn = gfn;
	),
	TP_printk("gva 0x%llx gfn 0x%llx", __entry->gva, __entry->gfn)
);

TRACE_EVENT(kvm_async_pf_repeated_fault,
	TP_PROTO(__u64 gva, u64 gfn),
	TP_ARGS(gva, gfn),
	TP_STRUCT__entry(
		__field(__u64, gva)
		__field(u64, gfn)
	),
	TP_fast_assign(
		__entry->gva = gva;
		__entry->gfn = gfn;
	),
	TP_printk("gva 0x%llx gfn 0x%llx", __entry->gva, __entry->gfn)
);

TRACE_EVENT(kvm_async_pf_not_present,
	TP_PROTO(__u64 token, __u64 gva),
	TP_ARGS(token, gva),
	TP_STRUCT__entry(
		__field(__u64, token)
		__field(__u64, gva)
	),
	TP_fast_assign(
		__entry->token = token;
		__entry->gva = gva;
	),
	TP_printk("token 0x%llx gva 0x%llx", __entry->token, __entry->gva)
);

TRACE_EVENT(kvm_async_pf_ready,
	TP_PROTO(__u64 token, __u64 gva),
	TP_ARGS(token, gva),
	TP_STRUCT__entry(
		__field(__u64, token)
		__field(__u64, gva)
	),
	TP_fast_assign(
		__entry->token = token;
		__entry->gva = gva;
	),
	TP_printk("token 0x%llx gva 0x%llx", __entry->token, __entry->gva)
);

TRACE_EVENT(kvm_async_pf_completed,
	TP_PROTO(unsigned long address, u64 gva),
	TP_ARGS(address, gva),
	TP_STRUCT__entry(
		__field(unsigned long, address)
		__field(u64, gva)
	),
	TP_fast_assign(
		__entry->address = address;
		__entry->gva = gva;
	),
	TP_printk("address 0x%lx gva 0x%llx", __entry->address, __entry->gva)
);

TRACE_EVENT(kvm_pvclock_update,
	TP_PROTO(unsigned int vcpu_id, const struct pvclock_vcpu_time_info *clock),
	TP_ARGS(vcpu_id, clock),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(__u32, version)
		__field(__u64, tsc_timestamp)
		__field(__u64, system_time)
		__field(__u32, tsc_to_system_mul)
		__field(__s8, tsc_shift)
		__field(__u8, flags)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->version = clock->version;
		__entry->tsc_timestamp = clock->tsc_timestamp;
		__entry->system_time = clock->system_time;
		__entry->tsc_to_system_mul = clock->tsc_to_system_mul;
		__entry->tsc_shift = clock->tsc_shift;
		__entry->flags = clock->flags;
	),
	TP_printk("vcpu %u version %u tsc 0x%llx system_time 0x%llx mul 0x%x shift %d flags 0x%x",
		  __entry->vcpu_id, __entry->version, __entry->tsc_timestamp, __entry->system_time,
		  __entry->tsc_to_system_mul, __entry->tsc_shift, __entry->flags)
);

TRACE_EVENT(kvm_write_tsc_offset,
	TP_PROTO(unsigned int vcpu_id, __u64 previous_tsc_offset, __u64 next_tsc_offset),
	TP_ARGS(vcpu_id, previous_tsc_offset, next_tsc_offset),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(__u64, previous_tsc_offset)
		__field(__u64, next_tsc_offset)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->previous_tsc_offset = previous_tsc_offset;
		__entry->next_tsc_offset = next_tsc_offset;
	),
	TP_printk("vcpu %u from 0x%llx to 0x%llx", __entry->vcpu_id, __entry->previous_tsc_offset,
		  __entry->next_tsc_offset)
);
#endif /* OKVM_CORE_TRACE_KVM_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH core
#define TRACE_INCLUDE_FILE trace_kvm
#include <trace/define_trace.h>
