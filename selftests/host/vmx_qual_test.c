// SPDX-License-Identifier: GPL-2.0-only
/* vmx/qual.h: qualifications as the SDM's tables lay them out, one instruction each. */
#include "test.h"
#include "vmx/qual.h"

TEST(io_instructions)
{
	/* IN AL, DX with DX = 3f8h; bit 6 would be an immediate operand. */
	union qual_io q = { 0x03f80008 };

	EXPECT_EQ(q.port, 0x3f8);
	EXPECT_EQ(qual_io_size(q), 1);
	EXPECT(q.in);
	EXPECT(!q.string);
	/* OUT 64h, AX */
	q.raw = 0x00640041;
	EXPECT_EQ(q.port, 0x64);
	EXPECT_EQ(qual_io_size(q), 2);
	EXPECT(!q.in);
	EXPECT(!q.string);
	/* REP OUTSD with DX = FFFFh */
	q.raw = 0xffff0033;
	EXPECT_EQ(q.port, 0xffff);
	EXPECT_EQ(qual_io_size(q), 4);
	EXPECT(!q.in);
	EXPECT(q.string);
}

TEST(control_registers)
{
	/* MOV CR4, R15 */
	union qual_cr q = { 0xf04 };

	EXPECT_EQ(q.type, QUAL_CR_TO);
	EXPECT_EQ(q.cr, 4);
	EXPECT_EQ(q.reg, 15);
	/* MOV RBX, CR8 */
	q.raw = 0x318;
	EXPECT_EQ(q.type, QUAL_CR_FROM);
	EXPECT_EQ(q.cr, 8);
	EXPECT_EQ(q.reg, 3);
	/* CLTS */
	q.raw = 0x20;
	EXPECT_EQ(q.type, QUAL_CR_CLTS);
	EXPECT_EQ(q.cr, 0);
	/* LMSW from memory (bit 6) */
	q.raw = 0xfff10070;
	EXPECT_EQ(q.type, QUAL_CR_LMSW);
	EXPECT_EQ(q.msw, 0xfff1);
}

TEST(debug_registers)
{
	/* MOV DR7, RAX and MOV R9, DR6 */
	union qual_dr q = { 0x007 };

	EXPECT_EQ(q.dr, 7);
	EXPECT(!q.from);
	EXPECT_EQ(q.reg, 0);
	q.raw = 0x916;
	EXPECT_EQ(q.dr, 6);
	EXPECT(q.from);
	EXPECT_EQ(q.reg, 9);
}

TEST(debug_exceptions)
{
	/* Breakpoints 0 and 3, BD, BS; a bus lock, in a transaction; BT and the rest are none. */
	EXPECT_EQ(QUAL_DEBUG_SET & 0x6009, 0x6009);
	EXPECT_EQ(QUAL_DEBUG_CLEARED & 0x10800, 0x10800);
	EXPECT_EQ((QUAL_DEBUG_SET | QUAL_DEBUG_CLEARED) & 0x197f0, 0x10000);
	EXPECT_EQ(QUAL_DEBUG_SET & QUAL_DEBUG_CLEARED, 0);
}

TEST(task_switches)
{
	static const unsigned long quals[] = { 0x00000028, 0x40000028, 0x80000028, 0xc0000028 };
	unsigned int i;

	for (i = QUAL_TASK_CALL; i <= QUAL_TASK_GATE; i++) {
		union qual_task q = { quals[i] };

		EXPECT_EQ(q.source, i);
		EXPECT_EQ(q.selector, 0x28);
	}
}

TEST(ept_violations)
{
	/* A write to a page that may be read and fetched from. */
	union qual_ept q = { 0x1aa };

	EXPECT(q.write && q.permissions && q.linear && q.translated);
	EXPECT(!q.fetch && !q.nmi_unblocked);
	/* A fetch from where nothing is mapped, by an IRET that has unblocked NMIs. */
	q.raw = 0x1184;
	EXPECT(q.fetch && q.linear && q.translated && q.nmi_unblocked);
	EXPECT(!q.write && !q.permissions);
	/* A page walk reads a table that is not there. */
	q.raw = 0x81;
	EXPECT(q.linear);
	EXPECT(!q.translated && !q.write && !q.fetch && !q.permissions);
	q.raw = BIT(5);
	EXPECT(q.permissions);
}

TEST(apic_exits)
{
	/* A write of ICR's low half; a read of the version. */
	union qual_apic q = { 0x1300 };

	EXPECT_EQ(q.offset, 0x300);
	EXPECT_EQ(q.type, QUAL_APIC_WRITE);
	q.raw = 0x0030;
	EXPECT_EQ(q.offset, 0x030);
	EXPECT_EQ(q.type, QUAL_APIC_READ);
	/* A delivery pushes to the page, by a linear and by a guest-physical address. */
	q.raw = 0x3ff8;
	EXPECT_EQ(q.type, 3);
	q.raw = 0xaff8;
	EXPECT_EQ(q.type, 10);
	EXPECT_EQ(qual_apic_write(0x0b0), 0x0b0);
	EXPECT_EQ(qual_eoi(0xec), 0xec);
}
