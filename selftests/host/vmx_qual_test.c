// SPDX-License-Identifier: GPL-2.0-only
/* vmx/qual.h: qualifications as the SDM's tables lay them out, one instruction each. */
#include "test.h"
#include "vmx/qual.h"

TEST(io_instructions)
{
	/* IN AL, DX with DX = 3f8h; bit 6 would be an immediate operand. */
	struct qual_io q = qual_io(0x03f80008);

	EXPECT_EQ(q.port, 0x3f8);
	EXPECT_EQ(q.size, 1);
	EXPECT(q.in);
	EXPECT(!q.string);
	/* OUT 64h, AX */
	q = qual_io(0x00640041);
	EXPECT_EQ(q.port, 0x64);
	EXPECT_EQ(q.size, 2);
	EXPECT(!q.in);
	EXPECT(!q.string);
	/* REP OUTSD with DX = FFFFh */
	q = qual_io(0xffff0033);
	EXPECT_EQ(q.port, 0xffff);
	EXPECT_EQ(q.size, 4);
	EXPECT(!q.in);
	EXPECT(q.string);
}

TEST(control_registers)
{
	/* MOV CR4, R15 */
	struct qual_cr q = qual_cr(0xf04);

	EXPECT_EQ(q.type, QUAL_CR_TO);
	EXPECT_EQ(q.cr, 4);
	EXPECT_EQ(q.reg, 15);
	/* MOV RBX, CR8 */
	q = qual_cr(0x318);
	EXPECT_EQ(q.type, QUAL_CR_FROM);
	EXPECT_EQ(q.cr, 8);
	EXPECT_EQ(q.reg, 3);
	/* CLTS */
	q = qual_cr(0x20);
	EXPECT_EQ(q.type, QUAL_CR_CLTS);
	EXPECT_EQ(q.cr, 0);
	/* LMSW from memory (bit 6) */
	q = qual_cr(0xfff10070);
	EXPECT_EQ(q.type, QUAL_CR_LMSW);
	EXPECT_EQ(q.msw, 0xfff1);
}

TEST(debug_registers)
{
	/* MOV DR7, RAX and MOV R9, DR6 */
	struct qual_dr q = qual_dr(0x007);

	EXPECT_EQ(q.dr, 7);
	EXPECT(!q.from);
	EXPECT_EQ(q.reg, 0);
	q = qual_dr(0x916);
	EXPECT_EQ(q.dr, 6);
	EXPECT(q.from);
	EXPECT_EQ(q.reg, 9);
}

TEST(debug_exceptions)
{
	/* A single step on a breakpoint in DR2, in a transaction. */
	struct qual_debug q = qual_debug(0x14004);

	EXPECT_EQ(q.set, 0x4004);
	EXPECT_EQ(q.inverted, 0x10000);
	/* A bus lock; an access to a debug register under DR7.GD. */
	q = qual_debug(0x800);
	EXPECT_EQ(q.set, 0);
	EXPECT_EQ(q.inverted, 0x800);
	q = qual_debug(0x2000);
	EXPECT_EQ(q.set, 0x2000);
	EXPECT_EQ(q.inverted, 0);
	/* Reserved bits say nothing. */
	q = qual_debug(~0ul);
	EXPECT_EQ(q.set, 0x600f);
	EXPECT_EQ(q.inverted, 0x10800);
}

TEST(task_switches)
{
	static const unsigned long quals[] = { 0x00000028, 0x40000028, 0x80000028, 0xc0000028 };
	unsigned int i;

	for (i = QUAL_TASK_CALL; i <= QUAL_TASK_GATE; i++) {
		struct qual_task q = qual_task(quals[i]);

		EXPECT_EQ(q.source, i);
		EXPECT_EQ(q.selector, 0x28);
	}
}

TEST(ept_violations)
{
	/* A write to a page that may be read and fetched from. */
	struct qual_ept q = qual_ept(0x1aa);

	EXPECT(q.write && q.mapped && q.linear && q.translated);
	EXPECT(!q.fetch && !q.nmi_unblocked);
	/* A fetch from where nothing is mapped, by an IRET that has unblocked NMIs. */
	q = qual_ept(0x1184);
	EXPECT(q.fetch && q.linear && q.translated && q.nmi_unblocked);
	EXPECT(!q.write && !q.mapped);
	/* A page walk reads a table that is not there. */
	q = qual_ept(0x81);
	EXPECT(q.linear);
	EXPECT(!q.translated && !q.write && !q.fetch && !q.mapped);
	/* Each of the three permissions makes it a mapped page. */
	EXPECT(qual_ept(BIT(3)).mapped && qual_ept(BIT(4)).mapped && qual_ept(BIT(5)).mapped);
}

TEST(apic_exits)
{
	/* A write of ICR's low half; a read of the version. */
	struct qual_apic q = qual_apic(0x1300);

	EXPECT_EQ(q.offset, 0x300);
	EXPECT_EQ(q.type, QUAL_APIC_WRITE);
	q = qual_apic(0x0030);
	EXPECT_EQ(q.offset, 0x030);
	EXPECT_EQ(q.type, QUAL_APIC_READ);
	/* A delivery pushes to the page, by a linear and by a guest-physical address. */
	EXPECT_EQ(qual_apic(0x3ff8).type, 3);
	EXPECT_EQ(qual_apic(0xaff8).type, 10);
	EXPECT_EQ(qual_apic_write(0x0b0), 0x0b0);
	EXPECT_EQ(qual_eoi(0xec), 0xec);
}
