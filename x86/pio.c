// SPDX-License-Identifier: GPL-2.0-only
/*
 * IN and OUT of one item: by an in-kernel device at once, else by userspace,
 * with the rest of the instruction done at the next KVM_RUN.
 */
#include "core/iobus.h"
#include "core/trace.h"
#include "x86/internal.h"

#define PIO_QUIRK_PORT	0x7e

void okvm_pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
		  const void *data, bool in)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = size;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	if (!in)
		memcpy(vcpu->pio_page, data, size * count);
	vcpu->stat[OKVM_STAT_IO_EXITS]++;
	trace_okvm_io(false, !in, port, size * count, false);
}

/* Userspace that moved the vCPU (a reset by port 0x64 or 0xcf9) does not want the rest. */
static bool pio_dropped(struct okvm_vcpu *vcpu)
{
	return okvm_linear_rip(vcpu) != vcpu->arch->pio.linear_rip;
}

/* Writes to AL and AX keep the rest of RAX; writes to EAX clear its upper half. */
static void pio_set_rax(struct okvm_vcpu *vcpu, const void *data, unsigned int size)
{
	unsigned long rax = size < 4 ? okvm_gpr(vcpu, OKVM_REG_RAX) : 0;

	memcpy(&rax, data, size);
	okvm_gpr_set(vcpu, OKVM_REG_RAX, rax);
}

static int pio_complete_in(struct okvm_vcpu *vcpu)
{
	if (pio_dropped(vcpu))
		return OKVM_RESUME;
	pio_set_rax(vcpu, vcpu->pio_page, vcpu->arch->pio.size);
	return okvm_skip_insn(vcpu, vcpu->arch->pio.insn_len);
}

static int pio_complete_out(struct okvm_vcpu *vcpu)
{
	if (pio_dropped(vcpu))
		return OKVM_RESUME;
	return okvm_skip_insn(vcpu, vcpu->arch->pio.insn_len);
}

int okvm_pio_user(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in,
		  unsigned int insn_len)
{
	unsigned long rax = okvm_gpr(vcpu, OKVM_REG_RAX);
	int outcome;

	okvm_pio_ask(vcpu, port, size, 1, &rax, in);
	/* Some VMMs advance RIP themselves at this port: for them it is done before the exit. */
	if (!in && port == PIO_QUIRK_PORT &&
	    okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
		outcome = okvm_skip_insn(vcpu, insn_len);
		return outcome == OKVM_RESUME ? OKVM_USER : outcome;
	}
	vcpu->arch->pio.size = size;
	vcpu->arch->pio.insn_len = insn_len;
	vcpu->arch->pio.linear_rip = okvm_linear_rip(vcpu);
	vcpu->complete_io = in ? pio_complete_in : pio_complete_out;
	return OKVM_USER;
}

/* By an in-kernel device: 0, or -EOPNOTSUPP. Under vm->srcu. */
static int pio_bus(struct okvm_vcpu *vcpu, u16 port, unsigned int size, bool in)
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
	if (pio_bus(vcpu, port, size, in))
		return okvm_pio_user(vcpu, port, size, in, insn_len);
	trace_okvm_io(false, !in, port, size, true);
	return okvm_skip_insn(vcpu, insn_len);
}
