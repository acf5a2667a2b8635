// SPDX-License-Identifier: GPL-2.0-only
/* Local APIC: registers, priority, messages, destinations, state. */
#include <stdlib.h>
#include "lapic_test.h"

static struct bench b, c, d;

static void send(struct bench *t, u8 vector, bool level)
{
	const struct lapic_irq irq = { .vector = vector, .level = true, .trig_mode = level };

	if (lapic_accept(&t->l, &irq) == LAPIC_ACCEPT_IRQ)
		lapic_set_irr(&t->l, vector);
}

TEST(reset_state)
{
	bench_init(&b, 0);
	EXPECT(lapic_sane(&b.l));
	EXPECT_EQ(xread(&b, APIC_ID), 0);
	EXPECT_EQ(xread(&b, APIC_LVR), 0x50014);
	EXPECT_EQ(xread(&b, APIC_SPIV), 0xff);
	EXPECT_EQ(xread(&b, APIC_DFR), 0xffffffff);
	EXPECT_EQ(xread(&b, APIC_LVT0), APIC_DM_EXTINT);
	EXPECT_EQ(xread(&b, APIC_LVT1), APIC_LVT_MASKED);
	EXPECT_EQ(b.l.base, 0xfee00900);
	EXPECT(lapic_accepts_extint(&b.l));
	bench_init(&b, 3);
	EXPECT_EQ(xread(&b, APIC_ID), 3u << 24);
	EXPECT_EQ(xread(&b, APIC_LVT0), APIC_LVT_MASKED);
	EXPECT_EQ(b.l.base, 0xfee00800);
	EXPECT(!lapic_accepts_extint(&b.l));
}

TEST(version_follows_cmci_and_directed_eoi)
{
	bench_init(&b, 0);
	EXPECT_EQ(xread(&b, APIC_LVTCMCI), 0);
	EXPECT(xwrite(&b, APIC_SPIV, 0x11ff) & LAPIC_EFF_ENABLED);
	EXPECT_EQ(xread(&b, APIC_SPIV), 0x1ff);
	lapic_set_version(&b.l, true, true);
	EXPECT_EQ(xread(&b, APIC_LVR), 0x01060014);
	EXPECT_EQ(xread(&b, APIC_LVTCMCI), APIC_LVT_MASKED);
	xwrite(&b, APIC_SPIV, 0x11ff);
	EXPECT_EQ(xread(&b, APIC_SPIV), 0x11ff);
	xwrite(&b, APIC_LVTCMCI, 0xffffffff);
	EXPECT_EQ(xread(&b, APIC_LVTCMCI), APIC_LVT_MASKED | APIC_SEND_PENDING | 0x7ff);
}

TEST(lvt_bits_and_soft_disable)
{
	static const struct { u32 reg, keep; } rows[] = {
		{ APIC_LVTT, 0x710ff }, { APIC_LVTTHMR, 0x117ff }, { APIC_LVTPC, 0x117ff },
		{ APIC_LVT0, 0x1f7ff }, { APIC_LVT1, 0x1f7ff }, { APIC_LVTERR, 0x110ff },
	};
	unsigned int i;

	bench_init(&b, 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		xwrite(&b, rows[i].reg, 0);
		EXPECT_EQ(xread(&b, rows[i].reg), APIC_LVT_MASKED);	/* still disabled */
	}
	bench_enable(&b);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		xwrite(&b, rows[i].reg, 0xffffffff);
		EXPECT_EQ(xread(&b, rows[i].reg), rows[i].keep);
		xwrite(&b, rows[i].reg, 0x41);
		EXPECT_EQ(xread(&b, rows[i].reg), 0x41);
	}
	EXPECT(xwrite(&b, APIC_SPIV, 0xff) & LAPIC_EFF_TIMER_DROP);
	EXPECT(b.eff.flags & LAPIC_EFF_MAP);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(xread(&b, rows[i].reg), APIC_LVT_MASKED | 0x41);
	b.l.tsc_deadline = false;
	bench_enable(&b);
	xwrite(&b, APIC_LVTT, 0xffffffff);
	EXPECT_EQ(xread(&b, APIC_LVTT), 0x310ff);
}

TEST(priority_and_eoi)
{
	bench_init(&b, 0);
	bench_enable(&b);
	EXPECT_EQ(lapic_has_interrupt(&b.l), -1);
	send(&b, 0x31, false);
	send(&b, 0x52, true);
	EXPECT_EQ(lapic_has_interrupt(&b.l), 0x52);
	lapic_ack(&b.l, 0x52);
	EXPECT(lapic_sane(&b.l));
	EXPECT_EQ(xread(&b, APIC_PROCPRI), 0x50);
	EXPECT_EQ(lapic_has_interrupt(&b.l), -1);
	send(&b, 0x5f, false);
	EXPECT_EQ(lapic_has_interrupt(&b.l), -1);
	send(&b, 0x60, false);
	EXPECT_EQ(lapic_has_interrupt(&b.l), 0x60);
	lapic_ack(&b.l, 0x60);
	EXPECT(xwrite(&b, APIC_EOI, 77) & LAPIC_EFF_EOI);
	EXPECT_EQ(b.eff.eoi_vector, 0x60);
	EXPECT(!b.eff.eoi_level);
	EXPECT(!(b.eff.flags & LAPIC_EFF_RECHECK));
	EXPECT(xwrite(&b, APIC_EOI, 0) & LAPIC_EFF_EOI);
	EXPECT_EQ(b.eff.eoi_vector, 0x52);
	EXPECT(b.eff.eoi_level);
	EXPECT(b.eff.flags & LAPIC_EFF_RECHECK);
	EXPECT_EQ(lapic_has_interrupt(&b.l), 0x5f);
	EXPECT_EQ(xwrite(&b, APIC_EOI, 0), 0);
	EXPECT(lapic_sane(&b.l));
}

TEST(neighbours_in_one_word)
{
	int vector, seen = 0;

	bench_init(&b, 0);
	bench_enable(&b);
	for (vector = 16; vector < 256; vector++)
		send(&b, vector, vector & 1);
	for (vector = 255; vector >= 16; vector--) {
		EXPECT_EQ(lapic_has_interrupt(&b.l), vector);
		lapic_ack(&b.l, vector);
		EXPECT(lapic_sane(&b.l));
		xwrite(&b, APIC_EOI, 0);
		EXPECT_EQ(b.eff.eoi_vector, vector);
		EXPECT_EQ(b.eff.eoi_level, vector & 1);
		seen++;
	}
	EXPECT_EQ(seen, 240);
	EXPECT_EQ(b.l.irr_hint.all, 0);
	EXPECT_EQ(b.l.isr_words, 0);
}

TEST(tpr_and_cr8)
{
	bench_init(&b, 0);
	bench_enable(&b);
	send(&b, 0x45, false);
	EXPECT(xwrite(&b, APIC_TASKPRI, 0x147) & LAPIC_EFF_RECHECK);
	EXPECT_EQ(xread(&b, APIC_TASKPRI), 0x47);
	EXPECT_EQ(lapic_get_cr8(&b.l), 4);
	EXPECT_EQ(xread(&b, APIC_PROCPRI), 0x47);
	EXPECT_EQ(lapic_has_interrupt(&b.l), -1);
	b.eff.flags = 0;
	lapic_set_tpr(&b.l, 0x30, &b.eff);
	EXPECT(b.eff.flags & LAPIC_EFF_RECHECK);
	EXPECT_EQ(lapic_has_interrupt(&b.l), 0x45);
	lapic_ack(&b.l, 0x45);
	EXPECT_EQ(xwrite(&b, APIC_TASKPRI, 0), 0);
}

TEST(accesses_to_tpr_are_told)
{
	const u32 told = LAPIC_EFF_TPR_READ | LAPIC_EFF_TPR_WRITE;
	u8 data[4];

	bench_init(&b, 0);
	bench_enable(&b);
	EXPECT_EQ(xwrite(&b, APIC_TASKPRI, 0x40) & told, 0);
	b.l.report_tpr = true;
	EXPECT_EQ(xwrite(&b, APIC_TASKPRI, 0x40) & told, LAPIC_EFF_TPR_WRITE);
	EXPECT_EQ(xwrite(&b, APIC_LDR, 0) & told, 0);
	b.eff.flags = 0;
	lapic_mmio_read(&b.l, APIC_PROCPRI, 4, data, 0, &b.eff);
	lapic_mmio_read(&b.l, APIC_TASKPRI + 1, 4, data, 0, &b.eff);
	EXPECT_EQ(b.eff.flags & told, 0);
	lapic_mmio_read(&b.l, APIC_TASKPRI + 1, 1, data, 0, &b.eff);
	EXPECT_EQ(b.eff.flags & told, LAPIC_EFF_TPR_READ);
}

/* VMMs rely on it. */
TEST(an_eoi_is_told_of_although_broadcasts_are_suppressed)
{
	bench_init(&b, 0);
	lapic_set_version(&b.l, false, true);
	xwrite(&b, APIC_SPIV, 0x11ff);
	send(&b, 0x40, true);
	lapic_ack(&b.l, 0x40);
	xwrite(&b, APIC_EOI, 0);
	EXPECT(b.eff.flags & LAPIC_EFF_EOI);
	EXPECT(b.eff.eoi_level);
}

TEST(tmr_follows_the_last_message)
{
	bench_init(&b, 0);
	bench_enable(&b);
	send(&b, 0x80, true);
	EXPECT_EQ(xread(&b, APIC_TMR + 0x40), 1);
	send(&b, 0x80, false);
	EXPECT_EQ(xread(&b, APIC_TMR + 0x40), 0);
}

TEST(disabled_apic_refuses)
{
	const struct lapic_irq fixed = { .vector = 0x30, .level = true };
	const struct lapic_irq nmi = { .delivery_mode = APIC_DM_NMI, .level = true };

	bench_init(&b, 1);
	EXPECT_EQ(lapic_accept(&b.l, &fixed), LAPIC_REFUSED);
	EXPECT_EQ(lapic_accept(&b.l, &nmi), LAPIC_ACCEPT_NMI);
	bench_enable(&b);
	EXPECT_EQ(lapic_accept(&b.l, &fixed), LAPIC_ACCEPT_IRQ);
	lapic_set_irr(&b.l, 0x30);
	b.eff.flags = 0;
	lapic_set_base(&b.l, LAPIC_BASE_DEFAULT, &b.eff);
	EXPECT(b.eff.flags & LAPIC_EFF_MODE);
	EXPECT_EQ(lapic_has_interrupt(&b.l), -1);
	EXPECT_EQ(lapic_accept(&b.l, &fixed), LAPIC_REFUSED);
	EXPECT(lapic_accepts_extint(&b.l));
}

TEST(delivery_modes)
{
	static const struct { u32 dm; bool trig, level; enum lapic_accepted want; } rows[] = {
		{ APIC_DM_FIXED, false, true, LAPIC_ACCEPT_IRQ },
		{ APIC_DM_FIXED, true, true, LAPIC_ACCEPT_IRQ },
		{ APIC_DM_FIXED, true, false, LAPIC_REFUSED },
		{ APIC_DM_FIXED, false, false, LAPIC_ACCEPT_IRQ },
		{ APIC_DM_LOWEST, false, true, LAPIC_ACCEPT_IRQ },
		{ APIC_DM_SMI, false, true, LAPIC_ACCEPT_SMI },
		{ APIC_DM_REMRD, false, true, LAPIC_REFUSED },
		{ APIC_DM_NMI, false, true, LAPIC_ACCEPT_NMI },
		{ APIC_DM_INIT, false, true, LAPIC_ACCEPT_INIT },
		{ APIC_DM_INIT, true, true, LAPIC_ACCEPT_INIT },
		{ APIC_DM_INIT, true, false, LAPIC_REFUSED },
		{ APIC_DM_STARTUP, false, true, LAPIC_ACCEPT_SIPI },
		{ APIC_DM_EXTINT, false, true, LAPIC_REFUSED },
		{ 0x12345, false, true, LAPIC_REFUSED },
	};
	unsigned int i;

	bench_init(&b, 0);
	bench_enable(&b);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct lapic_irq irq = { .delivery_mode = rows[i].dm, .vector = 0x30,
			.trig_mode = rows[i].trig, .level = rows[i].level };

		EXPECT_EQ(lapic_accept(&b.l, &irq), rows[i].want);
	}
}

TEST(esr_latches_and_error_entry)
{
	const struct lapic_irq low = { .vector = 15, .level = true };

	bench_init(&b, 0);
	bench_enable(&b);
	EXPECT_EQ(xwrite(&b, APIC_ICR, APIC_DEST_SELF | 5), 0);		/* no IPI, masked entry */
	EXPECT_EQ(xread(&b, APIC_ICR), APIC_DEST_SELF | 5);
	EXPECT_EQ(xread(&b, APIC_ESR), 0);
	xwrite(&b, APIC_LVTERR, 0x70);
	EXPECT_EQ(xwrite(&b, APIC_ICR, APIC_DEST_SELF | 5), LAPIC_EFF_ERROR);
	EXPECT_EQ(lapic_accept(&b.l, &low), LAPIC_ACCEPT_ERROR);
	xread(&b, 0x40);
	EXPECT_EQ(b.eff.flags, LAPIC_EFF_ERROR);
	xwrite(&b, APIC_ESR, 0xff);
	EXPECT_EQ(xread(&b, APIC_ESR), APIC_ESR_SENDILL | APIC_ESR_RECVILL | APIC_ESR_ILLREGA);
	xwrite(&b, APIC_ESR, 0);
	EXPECT_EQ(xread(&b, APIC_ESR), 0);
	EXPECT_EQ(xwrite(&b, APIC_SELF_IPI, 0x40), LAPIC_EFF_ERROR);
	EXPECT_EQ(xwrite(&b, APIC_LVR, 0x40), 0);			/* read-only: ignored */
	xread(&b, APIC_EOI);
	EXPECT_EQ(b.eff.flags, 0);					/* write-only: no error */
}

TEST(mmio_shapes)
{
	u8 buf[16];
	u32 off, len, val = 0x1ff;

	bench_init(&b, 7);
	b.eff.flags = 0;
	lapic_mmio_write(&b.l, APIC_SPIV + 1, 4, &val, &b.eff);
	lapic_mmio_write(&b.l, APIC_SPIV, 2, &val, &b.eff);
	EXPECT(!b.l.sw_enabled);
	lapic_mmio_read(&b.l, APIC_ID + 3, 1, buf, 0, &b.eff);
	EXPECT_EQ(buf[0], 7);
	for (off = 0; off < 4096; off++)
		for (len = 1; len <= 8; len++) {
			memset(buf, 0xaa, sizeof(buf));
			lapic_mmio_read(&b.l, off, len, buf, 0, &b.eff);
			EXPECT_EQ(buf[len], 0xaa);
		}
}

/* What lies behind the page of registers is nothing, and no other register is meant. */
TEST(mmio_writes_behind_the_registers)
{
	u8 before[LAPIC_STATE_SIZE];
	u32 off, val = 0x1ff;

	bench_init(&b, 7);
	bench_enable(&b);
	memcpy(before, b.regs, sizeof(before));
	b.eff.flags = 0;
	for (off = LAPIC_STATE_SIZE; off < 4096; off += 4)
		lapic_mmio_write(&b.l, off, 4, &val, &b.eff);
	EXPECT_EQ(b.eff.flags, 0);
	EXPECT(!memcmp(before, b.regs, sizeof(before)));
}

TEST(icr_xapic)
{
	struct lapic_irq irq;

	bench_init(&b, 0);
	bench_enable(&b);
	xwrite(&b, APIC_ICR2, 0xa5ffffff);
	EXPECT_EQ(xread(&b, APIC_ICR2), 0xa5000000);
	EXPECT_EQ(xwrite(&b, APIC_ICR, 0xfff3fffd & ~(u32)APIC_MODE_MASK), LAPIC_EFF_IPI);
	EXPECT_EQ(xread(&b, APIC_ICR), 0xfff3e8fd);
	lapic_ipi(&b.l, &b.eff, &irq);
	EXPECT_EQ(irq.dest_id, 0xa5);
	EXPECT_EQ(irq.vector, 0xfd);
	EXPECT_EQ(irq.dest_mode, APIC_DEST_LOGICAL);
	EXPECT_EQ(irq.shorthand, 0);
	EXPECT(irq.trig_mode && irq.level);
}

TEST(x2apic_registers)
{
	static const u32 gp_write[] = { APIC_ID, APIC_LVR, APIC_ARBPRI, APIC_PROCPRI, APIC_LDR,
		APIC_DFR, APIC_ISR, APIC_TMR, APIC_IRR, APIC_ICR2, APIC_TMCCT, APIC_RRR,
		APIC_LVTCMCI, 0x40, 0x290, 0x400, 0xff0 };
	static const u32 gp_read[] = { APIC_EOI, APIC_ARBPRI, APIC_DFR, APIC_ICR2, APIC_RRR,
		APIC_SELF_IPI, APIC_LVTCMCI, 0x00, 0x40, 0x400, 0xff0 };
	struct lapic_irq irq;
	unsigned int i;
	u64 val;

	bench_init(&b, 0x123);
	EXPECT_EQ(x2write(&b, APIC_SPIV, 0x1ff), LAPIC_GP);	/* not in xAPIC mode */
	EXPECT_EQ(xread(&b, APIC_ID), 0x23000000);
	bench_x2apic(&b);
	EXPECT(b.eff.flags & LAPIC_EFF_MODE);
	bench_enable(&b);
	for (i = 0; i < ARRAY_SIZE(gp_write); i++)
		EXPECT_EQ(x2write(&b, gp_write[i], 0), LAPIC_GP);
	for (i = 0; i < ARRAY_SIZE(gp_read); i++)
		EXPECT_EQ(lapic_msr_read(&b.l, 0x800 + (gp_read[i] >> 4), &val, 0), LAPIC_GP);
	EXPECT_EQ(lapic_msr_read(&b.l, 0x802, &val, 0), LAPIC_OK);
	EXPECT_EQ(val, 0x123);
	EXPECT_EQ(lapic_msr_read(&b.l, 0x80d, &val, 0), LAPIC_OK);
	EXPECT_EQ(val, 0x120008);
	EXPECT_EQ(x2write(&b, APIC_EOI, 1), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_EOI, 0), LAPIC_OK);
	EXPECT_EQ(x2write(&b, APIC_ESR, 1), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_TASKPRI, 0x100), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_TMICT, 1ull << 32), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_TMICT, 0xffffffff), LAPIC_OK);
	EXPECT_EQ(x2write(&b, APIC_SELF_IPI, 0x141), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_SELF_IPI, 0x41), LAPIC_OK);
	EXPECT_EQ(b.eff.flags, LAPIC_EFF_IPI);
	lapic_ipi(&b.l, &b.eff, &irq);
	EXPECT_EQ(irq.shorthand, APIC_DEST_SELF);
	EXPECT_EQ(x2write(&b, APIC_ICR, 0x1234567800011041ull), LAPIC_GP);
	EXPECT_EQ(x2write(&b, APIC_ICR, 0x1234567800005041ull), LAPIC_OK);
	EXPECT_EQ(b.eff.dest, 0x12345678);
	EXPECT_EQ(lapic_msr_read(&b.l, 0x830, &val, 0), LAPIC_OK);
	EXPECT_EQ(val, 0x1234567800004041ull);
}

/* PITFALLS 42: no x2APIC MSR answers in another mode, and no MSR does that has no register. */
TEST(x2apic_msrs_need_the_mode)
{
	unsigned int msr, ok_read = 0, ok_write = 0;
	u64 val;
	int i;

	bench_init(&b, 0);
	for (i = 0; i < 2; i++) {
		for (msr = 0x800; msr < 0x900; msr++) {
			EXPECT_EQ(lapic_msr_read(&b.l, msr, &val, 0), LAPIC_GP);
			EXPECT_EQ(lapic_msr_write(&b.l, msr, 0, &b.eff), LAPIC_GP);
		}
		lapic_set_base(&b.l, LAPIC_BASE_DEFAULT, &b.eff);
	}
	lapic_set_base(&b.l, LAPIC_BASE_DEFAULT | XAPIC_ENABLE, &b.eff);
	bench_x2apic(&b);
	for (msr = 0x800; msr < 0x900; msr++) {
		ok_read += lapic_msr_read(&b.l, msr, &val, 0) == LAPIC_OK;
		ok_write += lapic_msr_write(&b.l, msr, 0, &b.eff) == LAPIC_OK;
	}
	/* SDM, "Local APIC Register Address Map Supported by x2APIC", without CMCI. */
	EXPECT_EQ(ok_read, 41);
	EXPECT_EQ(ok_write, 14);
}

TEST(base_transitions)
{
	const u64 off = LAPIC_BASE_DEFAULT, x = off | XAPIC_ENABLE, x2 = x | X2APIC_ENABLE;
	static const struct { int from, to; bool ok; } rows[] = {
		{ 0, 0, true }, { 0, 1, true }, { 0, 2, false }, { 0, 3, false },
		{ 1, 0, true }, { 1, 1, true }, { 1, 2, true }, { 1, 3, false },
		{ 2, 0, true }, { 2, 1, false }, { 2, 2, true }, { 2, 3, false },
	};
	const u64 vals[] = { off, x, x2, off | X2APIC_ENABLE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 from = vals[rows[i].from], to = vals[rows[i].to];

		EXPECT_EQ(lapic_base_legal(from, to, 0, false), rows[i].ok);
		EXPECT_EQ(lapic_base_legal(from, to, 0, true), rows[i].to != 3);
	}
	EXPECT(!lapic_base_legal(x, x | 1, 0, true));
	EXPECT(!lapic_base_legal(x, x | BIT(9), 0, true));
	EXPECT(lapic_base_legal(x, x | BIT(8), 0, false));
	EXPECT(!lapic_base_legal(x, x | 1ull << 40, ~0ull << 40, false));
	EXPECT(!lapic_base_legal(x, x2, X2APIC_ENABLE, false));
}

TEST(base_move_and_reenable)
{
	bench_init(&b, 5);
	xwrite(&b, APIC_ID, 0x42000000);
	EXPECT(b.eff.flags & LAPIC_EFF_ID);
	EXPECT_EQ(xread(&b, APIC_ID), 0x42000000);
	b.eff.flags = 0;
	lapic_set_base(&b.l, 0xfed00000 | XAPIC_ENABLE, &b.eff);
	EXPECT_EQ(b.eff.flags, LAPIC_EFF_BASE);
	lapic_set_base(&b.l, LAPIC_BASE_DEFAULT, &b.eff);
	EXPECT(!lapic_hw_enabled(&b.l));
	lapic_set_base(&b.l, LAPIC_BASE_DEFAULT | XAPIC_ENABLE, &b.eff);
	EXPECT_EQ(xread(&b, APIC_ID), 5u << 24);
	EXPECT(lapic_sane(&b.l));
}

TEST(init_keeps_base_and_id)
{
	bench_init(&b, 0x21);
	bench_x2apic(&b);
	bench_enable(&b);
	send(&b, 0x55, false);
	b.eff.flags = 0;
	lapic_reset(&b.l, true, &b.eff);
	EXPECT(b.eff.flags & LAPIC_EFF_TIMER_STOP);
	EXPECT(lapic_x2apic(&b.l));
	EXPECT_EQ(lapic_get(&b.l, APIC_ID), 0x21);
	EXPECT_EQ(lapic_get(&b.l, APIC_LDR), 0x20002);
	EXPECT_EQ(lapic_highest_irr(&b.l), -1);
	EXPECT(lapic_sane(&b.l));
	lapic_reset(&b.l, false, &b.eff);
	EXPECT(!lapic_x2apic(&b.l));
	EXPECT_EQ(lapic_get(&b.l, APIC_ID), 0x21000000);
	EXPECT_EQ(lapic_get(&b.l, APIC_LDR), 0);
}

TEST(local_vector_table)
{
	struct lapic_irq irq;

	bench_init(&b, 0);
	EXPECT(!lapic_local(&b.l, LAPIC_LVT_TIMER, &irq));
	EXPECT(!lapic_local(&b.l, LAPIC_LVT_CMCI, &irq));
	bench_enable(&b);
	xwrite(&b, APIC_LVTPC, APIC_DM_NMI);
	EXPECT(lapic_local(&b.l, LAPIC_LVT_PERF, &irq));
	EXPECT_EQ(irq.delivery_mode, APIC_DM_NMI);
	EXPECT(!lapic_local(&b.l, LAPIC_LVT_PERF, &irq));		/* masked itself */
	EXPECT(xwrite(&b, APIC_LVT0, APIC_DM_NMI) & LAPIC_EFF_LVT0);
	EXPECT(lapic_lvt0_nmi(&b.l));
	xwrite(&b, APIC_LVTT, 0x33);
	EXPECT(lapic_local(&b.l, LAPIC_LVT_TIMER, &irq));
	EXPECT_EQ(irq.vector, 0x33);
	EXPECT_EQ(irq.delivery_mode, APIC_DM_FIXED);
}

/* Requests that come in by themselves, as posted ones do. */
TEST(requests_that_the_cpu_takes)
{
	bench_init(&b, 0);
	bench_enable(&b);
	send(&b, 0x30, false);
	lapic_set_irr(&b.l, 65);
	lapic_set_irr(&b.l, 255);
	EXPECT_EQ(lapic_highest_irr(&b.l), 255);
	EXPECT(lapic_sane(&b.l));
	lapic_set_hw_irr(&b.l, true);
	lapic_put(&b.l, APIC_IRR + 0x70, 0);		/* the CPU takes 255 */
	EXPECT_EQ(lapic_highest_irr(&b.l), 65);
	lapic_put(&b.l, APIC_ISR + 0x70, 1u << 31);
	EXPECT_EQ(lapic_highest_isr(&b.l), 255);
	lapic_set_hw_irr(&b.l, false);
	EXPECT_EQ(lapic_highest_irr(&b.l), 65);
	EXPECT(lapic_sane(&b.l));
	lapic_eoi(&b.l, &b.eff);
	EXPECT_EQ(lapic_highest_isr(&b.l), -1);
	lapic_ack(&b.l, 65);				/* drops the stale hint of word 7 */
	EXPECT_EQ(b.l.irr_hint.word[7], 0);
	EXPECT_EQ(lapic_highest_irr(&b.l), 0x30);
}

TEST(trapped_writes)
{
	bench_init(&b, 9);
	bench_x2apic(&b);
	bench_enable(&b);
	lapic_put_icr64(&b.l, 0x500000041ull);
	b.eff.flags = 0;
	lapic_trap_write(&b.l, APIC_ICR, &b.eff);
	EXPECT_EQ(b.eff.flags, LAPIC_EFF_IPI);
	EXPECT_EQ(b.eff.dest, 5);
	lapic_put(&b.l, APIC_SPIV, 0xff);
	lapic_trap_write(&b.l, APIC_SPIV, &b.eff);
	EXPECT(lapic_sane(&b.l) && !b.l.sw_enabled);
	lapic_trap_write(&b.l, 0xff0, &b.eff);
	bench_init(&b, 9);
	lapic_put(&b.l, APIC_ESR, 0xff);
	lapic_trap_write(&b.l, APIC_ESR, &b.eff);
	EXPECT_EQ(lapic_get(&b.l, APIC_ESR), 0);
}

TEST(pv_eoi_conditions)
{
	unsigned long handled[4] = { 0 };

	bench_init(&b, 0);
	bench_enable(&b);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), -1);
	send(&b, 0x41, false);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), -1);
	lapic_ack(&b.l, 0x41);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), 0x41);
	__set_bit(0x41, handled);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), -1);
	__clear_bit(0x41, handled);
	send(&b, 0x51, false);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), -1);
	lapic_set_hw_irr(&b.l, true);
	EXPECT_EQ(lapic_pv_eoi_vector(&b.l, handled), -1);
}

TEST(state_round_trip)
{
	u8 state[LAPIC_STATE_SIZE];

	bench_init(&b, 2);
	bench_enable(&b);
	xwrite(&b, APIC_LDR, 0x04000000);
	xwrite(&b, APIC_ICR2, 0x03000000);
	xwrite(&b, APIC_ICR, 0x4000 | 0x41);
	xwrite(&b, APIC_TASKPRI, 0x20);
	send(&b, 0x99, true);
	send(&b, 0x21, false);
	lapic_ack(&b.l, 0x99);
	lapic_get_state(&b.l, state, false, 0);
	EXPECT_EQ(*(u32 *)(state + APIC_PROCPRI), 0x90);
	bench_init(&c, 2);
	EXPECT_EQ(lapic_set_state(&c.l, state, false, 0, &c.eff), 0);
	EXPECT(lapic_sane(&c.l));
	EXPECT_EQ(lapic_highest_isr(&c.l), 0x99);
	EXPECT_EQ(lapic_highest_irr(&c.l), 0x21);
	EXPECT(c.l.sw_enabled);
	EXPECT(!memcmp(b.regs, c.regs, LAPIC_STATE_SIZE));
}

TEST(state_low_vectors_survive)
{
	u8 state[LAPIC_STATE_SIZE];
	u32 i;

	/* A VMM passes data in IRR this way; illegal vectors stay put and are never delivered. */
	bench_init(&b, 0);
	bench_enable(&b);
	for (i = 0; i < 32; i++) {
		lapic_get_state(&b.l, state, false, 0);
		*(u32 *)(state + APIC_IRR) = 1u << i;
		EXPECT_EQ(lapic_set_state(&b.l, state, false, 0, &b.eff), 0);
		EXPECT_EQ(xread(&b, APIC_IRR), 1u << i);
		EXPECT_EQ(lapic_has_interrupt(&b.l), i < 16 ? -1 : (int)i);
	}
}

TEST(state_x2apic_formats)
{
	u8 state[LAPIC_STATE_SIZE];

	bench_init(&b, 0x1234);
	bench_x2apic(&b);
	bench_enable(&b);
	x2write(&b, APIC_ICR, 0xdeadbeef00004041ull);
	lapic_get_state(&b.l, state, false, 0);
	EXPECT_EQ(*(u32 *)(state + APIC_ID), 0x34000000);
	EXPECT_EQ(*(u32 *)(state + APIC_ICR), 0x4041);
	EXPECT_EQ(*(u32 *)(state + APIC_ICR2), 0xdeadbeef);
	EXPECT_EQ(lapic_set_state(&b.l, state, false, 0, &b.eff), 0);
	EXPECT_EQ(lapic_get_icr64(&b.l), 0xdeadbeef00004041ull);
	EXPECT(lapic_sane(&b.l));
	lapic_get_state(&b.l, state, true, 0);
	EXPECT_EQ(*(u32 *)(state + APIC_ID), 0x1234);
	*(u32 *)(state + APIC_LDR) = 0xffffffff;
	EXPECT_EQ(lapic_set_state(&b.l, state, true, 0, &b.eff), 0);
	EXPECT_EQ(lapic_get(&b.l, APIC_LDR), 0x1230010);
	*(u32 *)(state + APIC_ID) = 0x1235;
	*(u32 *)(state + APIC_TASKPRI) = 0x77;
	EXPECT_EQ(lapic_set_state(&b.l, state, true, 0, &b.eff), (u64)-EINVAL);
	EXPECT_EQ(lapic_get(&b.l, APIC_TASKPRI), 0);
}

/* PITFALLS 31, 32, 36: whatever a restore ioctl is fed with, the invariants hold. */
TEST(state_garbage)
{
	u8 state[LAPIC_STATE_SIZE];
	int round, i;

	srandom(1);
	for (round = 0; round < 3000; round++) {
		bench_init(&b, random() & 0xfff);
		b.l.tsc_deadline = random() & 1;
		lapic_set_version(&b.l, random() & 1, random() & 1);
		if (random() & 1)
			bench_x2apic(&b);
		for (i = 0; i < LAPIC_STATE_SIZE; i++)
			state[i] = round < 2 ? -round : random();
		EXPECT_EQ(lapic_set_state(&b.l, state, false, random(), &b.eff), 0);
		ASSERT(lapic_sane(&b.l));
		EXPECT_EQ(lapic_get(&b.l, APIC_SPIV) & ~lapic_spiv_mask(&b.l), 0);
		EXPECT_EQ(lapic_get(&b.l, APIC_TDCR) & ~0xb, 0);
		EXPECT_EQ(lapic_get(&b.l, APIC_LVTERR) & ~lapic_lvt_mask(&b.l, LAPIC_LVT_ERROR), 0);
		EXPECT_EQ(lapic_get_icr64(&b.l) & APIC_ICR_BUSY, 0);
		lapic_timer_fired(&b.l.timer, random());
		lapic_timer_current(&b.l.timer, random());
		while (lapic_has_interrupt(&b.l) >= 0)
			lapic_ack(&b.l, lapic_has_interrupt(&b.l));
		for (i = 0; i < 300 && lapic_highest_isr(&b.l) >= 0; i++)
			lapic_eoi(&b.l, &b.eff);
		ASSERT(i < 300);
		ASSERT(lapic_sane(&b.l));
	}
}

/* ---- destinations ---- */

static struct lapic_map *make_map(struct bench **list, u32 nr, u32 max_id, bool no_quirk)
{
	struct lapic_map *map = calloc(1, lapic_map_size(max_id, nr));
	u32 i;

	lapic_map_init(map, max_id, no_quirk);
	for (i = 0; i < nr; i++)
		lapic_map_add(map, &list[i]->l);
	return map;
}

/* The short way, where it answers, names the only target. */
static void check_one(const struct lapic_map *map, struct bench **list, u32 nr,
		      const struct lapic_irq *irq, u32 want)
{
	const struct lapic *one = lapic_map_one(map, irq);
	u32 j;

	for (j = 0; one && j < nr; j++)
		EXPECT_EQ(!!(want & BIT(j)), one == &list[j]->l);
}

/* Set of the list's APICs that a message reaches, by map and then by definition. */
static u32 reach(const struct lapic_map *map, struct bench **list, u32 nr,
		 const struct lapic *src, const struct lapic_irq *irq)
{
	struct lapic_dests out;
	u32 got = 0, want = 0, i, j;

	lapic_map_find(map, src, irq, &out);
	for (i = 0; i < (out.search ? out.nr : 32); i++) {
		if (!out.search && !(out.mask & BIT(i)))
			continue;
		if (out.search && !lapic_match_dest(out.slot[i], src, irq, map->no_quirk))
			continue;
		for (j = 0; j < nr; j++)
			if (out.slot[i] == &list[j]->l)
				got |= BIT(j);
	}
	for (j = 0; j < nr; j++)
		if (lapic_hw_enabled(&list[j]->l) &&
		    lapic_match_dest(&list[j]->l, src, irq, map->no_quirk))
			want |= BIT(j);
	EXPECT_EQ(got, want);
	check_one(map, list, nr, irq, want);
	return got;
}

static struct lapic_irq to(u32 dest, bool logical)
{
	return (struct lapic_irq){ .dest_id = dest, .level = true, .vector = 0x40,
		.dest_mode = logical ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL };
}

TEST(dest_flat)
{
	struct bench *list[] = { &b, &c, &d };
	struct lapic_irq irq;
	struct lapic_map *map;
	int i;

	for (i = 0; i < 3; i++) {
		bench_init(list[i], i);
		xwrite(list[i], APIC_LDR, 1u << (24 + i));
		bench_enable(list[i]);
	}
	map = make_map(list, 3, 2, false);
	irq = to(1, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 2);
	irq = to(3, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 0);
	irq = to(6, true);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 6);
	irq = to(0xff, true);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 7);
	irq = to(0xff, false);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 7);
	irq.shorthand = APIC_DEST_ALLBUT;
	EXPECT_EQ(reach(map, list, 3, &c.l, &irq), 5);
	irq.shorthand = APIC_DEST_ALLINC;
	EXPECT_EQ(reach(map, list, 3, &c.l, &irq), 7);
	free(map);
}

TEST(dest_cluster)
{
	struct bench *list[] = { &b, &c, &d };
	static const u8 ldr[] = { 0x11, 0x12, 0x21 };
	struct lapic_irq irq;
	struct lapic_map *map;
	int i;

	for (i = 0; i < 3; i++) {
		bench_init(list[i], i);
		xwrite(list[i], APIC_DFR, APIC_DFR_CLUSTER);
		xwrite(list[i], APIC_LDR, (u32)ldr[i] << 24);
	}
	map = make_map(list, 3, 2, false);
	EXPECT_EQ(map->mode, LAPIC_MAP_CLUSTER);
	irq = to(0x13, true);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 3);
	irq = to(0x2f, true);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 4);
	irq = to(0x31, true);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 0);
	free(map);
}

TEST(dest_x2apic)
{
	struct bench *list[] = { &b, &c, &d };
	struct lapic_irq irq;
	struct lapic_map *map;

	bench_init(&b, 0);
	bench_init(&c, 17);
	bench_init(&d, 300);
	bench_x2apic(&b);
	bench_x2apic(&c);
	bench_x2apic(&d);
	map = make_map(list, 3, 300, false);
	irq = to(300, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 4);
	irq = to(lapic_x2apic_ldr(300), true);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 4);
	irq = to(0x1ffff, true);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 2);
	irq = to(0x12ffff, true);		/* the last, partial cluster */
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 4);
	irq = to(0xffffffff, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 7);
	irq = to(0xff, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 0);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 7);		/* the quirk */
	free(map);
	map = make_map(list, 3, 300, true);
	irq = to(0xff, true);
	EXPECT_EQ(reach(map, list, 3, NULL, &irq), 1);		/* cluster 0, CPUs 0-7 */
	free(map);
}

/* An x2APIC may have the number that is xAPIC's broadcast. */
TEST(dest_id_of_the_broadcast)
{
	struct bench *list[] = { &b, &c };
	struct lapic_irq irq = to(0xff, false);
	struct lapic_map *map;

	bench_init(&b, 0);
	bench_init(&c, 255);
	bench_x2apic(&b);
	bench_x2apic(&c);
	map = make_map(list, 2, 255, false);
	EXPECT_EQ(reach(map, list, 2, &b.l, &irq), 2);
	EXPECT_EQ(reach(map, list, 2, NULL, &irq), 3);
	free(map);
	map = make_map(list, 2, 255, true);
	EXPECT_EQ(reach(map, list, 2, NULL, &irq), 2);
	free(map);
}

TEST(dest_plugged_and_aliased)
{
	struct bench *list[] = { &b, &c, &d };
	struct lapic_irq irq;
	struct lapic_map *map;

	/* 256 is still in xAPIC mode: reachable, and does not answer for 0. */
	bench_init(&b, 0);
	bench_x2apic(&b);
	bench_init(&c, 256);
	bench_init(&d, 1);
	map = make_map(list, 3, 256, false);
	irq = to(256, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 2);
	irq = to(0, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 1);
	irq = to(1, true);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 1);
	free(map);
	/* A guest gives two CPUs the same IDs: both hear it. */
	bench_init(&b, 0);
	xwrite(&d, APIC_ID, 0);
	xwrite(&b, APIC_LDR, 0x01000000);
	xwrite(&d, APIC_LDR, 0x01000000);
	map = make_map(list, 3, 256, false);
	EXPECT(map->phys_alias);
	irq = to(0, false);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 5);
	irq = to(1, true);
	EXPECT_EQ(reach(map, list, 3, &b.l, &irq), 5);
	free(map);
}

/* The tables must answer as the definition does, whatever the guest programs. */
TEST(dest_random)
{
	static struct bench many[8];
	struct bench *list[8];
	u32 round, i, k;

	srandom(2);
	for (i = 0; i < 8; i++)
		list[i] = &many[i];
	for (round = 0; round < 2000; round++) {
		struct lapic_map *map;
		u32 max_id = 0;

		for (i = 0; i < 8; i++) {
			u32 id = i * (random() & 1 ? 1 : 40);

			bench_init(list[i], id);
			max_id = max(max_id, id);
			if (random() % 4 == 0)
				xwrite(list[i], APIC_DFR, random());
			if (random() % 4 == 0)
				xwrite(list[i], APIC_DFR, APIC_DFR_CLUSTER);
			xwrite(list[i], APIC_LDR, random() % 3 ? 1u << (24 + i) : random());
			if (random() % 8 == 0)
				xwrite(list[i], APIC_ID, random());
			if (round & 1 || random() % 8 == 0)
				bench_x2apic(list[i]);
			if (random() % 16 == 0)
				lapic_set_base(&list[i]->l, LAPIC_BASE_DEFAULT, &b.eff);
		}
		map = make_map(list, 8, max_id, random() & 1);
		for (k = 0; k < 32; k++) {
			static const u32 edge[] = { 0, 1, 0xff, 0x100, 0xffff, 0x10001,
				0xffffffff, 0x7fffffff, 0x80000000, 0xf0, 0xfff };
			struct lapic_irq irq = to(random() & 1 ? edge[random() % 11] :
						  random() & 0x1ff, random() & 1);
			const struct lapic *src = random() & 1 ? &list[random() % 8]->l : NULL;

			if (src && random() % 4 == 0)
				irq.shorthand = random() & 1 ? APIC_DEST_ALLBUT : APIC_DEST_ALLINC;
			reach(map, list, 8, src, &irq);
			if (host_failures)
				break;
		}
		free(map);
		ASSERT(!host_failures);
	}
}

/* PITFALLS 34: a destination at and beyond the end of the map is nobody's. */
TEST(dest_bounds)
{
	struct bench *list[] = { &b };
	static const u32 ids[] = { 254, 256, 257, 4095, 4096, 0x7fffffff, 0xfffffffe };
	struct lapic_map *map;
	unsigned int i;

	bench_init(&b, 0);
	bench_x2apic(&b);
	map = make_map(list, 1, 0, true);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		struct lapic_irq irq = to(ids[i], false);

		EXPECT_EQ(reach(map, list, 1, &b.l, &irq), 0);
		irq = to(ids[i] << 16 | 1, true);
		reach(map, list, 1, &b.l, &irq);
	}
	free(map);
}

/* The last cluster may be cut short by the highest ID: what lies behind the table is not its. */
TEST(dest_last_cluster_is_cut)
{
	static struct bench three[3];
	struct bench *list[] = { &three[0], &three[1], &three[2] };
	struct lapic_map *map;
	struct lapic_irq irq;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		bench_init(&three[i], i ? 255 + i : 0);
		bench_x2apic(&three[i]);
	}
	map = make_map(list, 3, 257, true);
	irq = to(16u << 16 | 0xffff, true);
	EXPECT_EQ(reach(map, list, 3, &three[0].l, &irq), 6);
	irq = to(16u << 16 | 0xfffc, true);
	EXPECT_EQ(reach(map, list, 3, &three[0].l, &irq), 0);
	free(map);
}

TEST(lowest_priority_spreads)
{
	EXPECT_EQ(lapic_lowest(0x30, 0), 0);
	EXPECT_EQ(lapic_lowest(0x30, 1), 0);
	EXPECT_EQ(lapic_lowest(0x31, 2), 1);
	EXPECT_EQ(lapic_lowest(0x35, 4), 1);
}
