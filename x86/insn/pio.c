// SPDX-License-Identifier: GPL-2.0-only
/*
 * IN and OUT of one item: an in-kernel device handles them at once. Otherwise userspace handles
 * them, and the next KVM_RUN completes the instruction.
 */
#include "core/iobus.h"
#include "core/trace.h"
#include "core/trace_kvm.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/emulation.h"

#define PIO_QUIRK_PORT	0x7e

/* Copy one item. The compiler makes this one instruction if @size is a constant. */
static __always_inline void pio_copy(void *to, const void *from, unsigned int size)
{
	if (size == 1)
		*(u8 *)to = *(const u8 *)from;
	else if (size == 2)
		*(u16 *)to = *(const u16 *)from;
	else
		*(u32 *)to = *(const u32 *)from;
}

void okvm_pio_trace(u16 port, unsigned int size, u32 count, const void *data, bool in)
{
	u32 val = 0;

	memcpy(&val, data, size);
	trace_kvm_pio(!in, port, size, count, val);
}

static __always_inline void pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size,
				    u32 count, bool in)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = size;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	vcpu->stat[OKVM_STAT_IO_EXITS]++;
	trace_okvm_io(false, !in, port, size * count, false);
}

void okvm_pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
		  const void *data, bool in)
{
	pio_ask(vcpu, port, size, count, in);
	if (!in)
		memcpy(vcpu->pio_page, data, size * count);
	if (!in && trace_kvm_pio_enabled())
		okvm_pio_trace(port, size, count, data, false);
}

/*
 * Write an item that IN has read to AL, AX or EAX. Writes to AL and AX preserve the rest of RAX;
 * writes to EAX clear the upper half of RAX.
 */
static __always_inline void pio_set_rax(struct okvm_vcpu *vcpu, const void *data,
					unsigned int size)
{
	unsigned long *rax = &vcpu->arch->gpr[OKVM_REG_RAX];

	if (size == 4)
		*rax = 0;
	pio_copy(rax, data, size);
}

/*
 * Advance RIP past the instruction. If only RIP has to change, do so here. Otherwise, for example
 * if TF is set, call the slower okvm_skip_insn(). RF is 0 if @plain: fast_pio() leaves an access
 * with RF = 1 to okvm_pio().
 */
static __always_inline int pio_skip(struct okvm_vcpu *vcpu)
{
	const u32 needed = BIT(OKVM_REG_RIP) | BIT(OKVM_REG_RFLAGS);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	unsigned int len = arch->pio.insn_len;
	unsigned long rip = arch->rip + len;

	if (unlikely(!arch->pio.plain || arch->io_touched || ~arch->avail & needed ||
		     okvm_rip_carries(arch->rip, rip) || arch->rflags & X86_EFLAGS_TF))
		return okvm_skip_insn(vcpu, len);
	arch->rip = rip;
	arch->dirty |= BIT(OKVM_REG_RIP);
	return OKVM_RESUME;
}

/*
 * Complete IN. Do nothing if userspace has changed RIP, for example because it has reset the vCPU.
 */
static int pio_complete_in(struct okvm_vcpu *vcpu)
{
	if (unlikely(okvm_io_moved(vcpu)))
		return OKVM_RESUME;
	pio_set_rax(vcpu, vcpu->pio_page, vcpu->arch->pio.size);
	if (trace_kvm_pio_enabled())
		okvm_pio_trace(vcpu->arch->pio.port, vcpu->arch->pio.size, 1, vcpu->pio_page, true);
	return pio_skip(vcpu);
}

static int pio_complete_out(struct okvm_vcpu *vcpu)
{
	if (unlikely(okvm_io_moved(vcpu)))
		return OKVM_RESUME;
	return pio_skip(vcpu);
}

static int pio_user_out(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	int outcome;

	pio_ask(vcpu, arch->pio.port, arch->pio.size, 1, false);
	pio_copy(vcpu->pio_page, &arch->gpr[OKVM_REG_RAX], arch->pio.size);
	if (trace_kvm_pio_enabled())
		okvm_pio_trace(arch->pio.port, arch->pio.size, 1, vcpu->pio_page, false);
	/* Some VMMs expect RIP to be after the OUT already when they get an exit for port 0x7e. */
	if (arch->pio.port == PIO_QUIRK_PORT &&
	    okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
		outcome = okvm_skip_insn(vcpu, arch->pio.insn_len);
		return outcome == OKVM_RESUME ? OKVM_USER : outcome;
	}
	okvm_io_begin(vcpu, pio_complete_out);
	return OKVM_USER;
}

int okvm_pio_user(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (!arch->pio.in)
		return pio_user_out(vcpu);
	okvm_io_begin(vcpu, pio_complete_in);
	pio_ask(vcpu, arch->pio.port, arch->pio.size, 1, true);
	return OKVM_USER;
}

/* Access an in-kernel device, under vm->srcu. Return: 0; -EOPNOTSUPP if none is at @port */
static __always_inline int pio_bus(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in)
{
	unsigned long rax = 0;
	int err;

	if (!in) {
		rax = okvm_gpr(vcpu, OKVM_REG_RAX);
		return okvm_iobus_write(vcpu, OKVM_BUS_PIO, port, size, &rax);
	}
	err = okvm_iobus_read(vcpu, OKVM_BUS_PIO, port, size, &rax);
	if (!err)
		pio_set_rax(vcpu, &rax, size);
	return err;
}

bool okvm_pio_fast(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in)
{
	struct srcu_struct *srcu = &vcpu->vm->srcu;
	int idx, err;

	idx = srcu_read_lock(srcu);
	err = pio_bus(vcpu, port, size, in);
	srcu_read_unlock(srcu, idx);
	if (err)
		return false;
	trace_okvm_io(false, !in, port, size, true);
	return true;
}

int okvm_pio(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in, unsigned int insn_len)
{
	if (pio_bus(vcpu, port, size, in)) {
		vcpu->arch->pio.port = port;
		vcpu->arch->pio.size = size;
		vcpu->arch->pio.in = in;
		vcpu->arch->pio.insn_len = insn_len;
		vcpu->arch->pio.plain = false;
		return okvm_pio_user(vcpu);
	}
	trace_okvm_io(false, !in, port, size, true);
	if (trace_kvm_pio_enabled())
		okvm_pio_trace(port, size, 1, &vcpu->arch->gpr[OKVM_REG_RAX], in);
	return okvm_skip_insn(vcpu, insn_len);
}
