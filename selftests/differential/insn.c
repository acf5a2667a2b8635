// SPDX-License-Identifier: GPL-2.0-only
/* The instructions of a program, and which of them upstream's emulator has. */
#include <string.h>

#include "selftests/differential/when.h"

static bool is_prefix(uint8_t byte, bool wide)
{
	return strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", byte) ||
	       (wide && (byte & 0xf0) == 0x40);
}

/* The instruction at address @at of the program as it was written. */
struct insn insn_from(program_t *p, moment_t *m, uint64_t at)
{
	const uint8_t *byte = p->mem + at, *end = p->mem + AT_END - 8;
	struct insn insn = { };

	if (at >= AT_END - 8)
		return insn;
	for (; byte < end && *byte && is_prefix(*byte, m->sregs.cs.l); byte++) {
		insn.rep |= *byte == 0xf2 || *byte == 0xf3;
		insn.override |= (*byte & 0xe7) == 0x26;
		insn.wide = m->sregs.cs.l && (*byte & 0xf8) == 0x48;
		insn.high = m->sregs.cs.l && (*byte & 0xf4) == 0x44;
		if (*byte == 0x66 || *byte == 0xf2 || *byte == 0xf3) {
			insn.both |= insn.prefix && (insn.prefix == 0x66) != (*byte == 0x66);
			insn.prefix = *byte;
		}
	}
	insn.opcode = *byte++;
	if (insn.opcode == 0x0f)
		insn.opcode = 0xf00 | *byte++;
	insn.modrm = *byte;
	insn.reg = *byte >> 3 & 7;
	insn.third = byte[2];
	return insn;
}

/*
 * What follows an opcode: m ModRM, b a byte, w two, z as many as an operand has (four at most), a
 * an address, f a far pointer, e ENTER's three bytes; M and Z: ModRM and b or z; g and G likewise,
 * but only for TEST.
 */
static const char *const follows[16] = {
	"mmmmbz..mmmmbz..", "mmmmbz..mmmmbz..", "mmmmbz..mmmmbz..", "mmmmbz..mmmmbz..",
	"................", "................", "..mm....zZbM....", "bbbbbbbbbbbbbbbb",
	"MZMMmmmmmmmmmmmm", "..........f.....", "aaaa....bz......", "bbbbbbbbzzzzzzzz",
	"MMw.mmMZe.w..b..", "mmmmbb..mmmmmmmm", "bbbbbbbbzzfb....", "......gG......mm",
};

static char follows_0f(uint8_t op)
{
	if ((op >= 0x70 && op <= 0x73) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 ||
	    (op >= 0xc4 && op <= 0xc6))
		return 'M';
	if ((op & 0xf0) == 0x80)
		return 'z';
	return (op >= 0x05 && op <= 0x0b) || (op & 0xf8) == 0x30 || op == 0x77 ||
	       (op & 0xf7) == 0xa0 || (op & 0xf7) == 0xa1 || op == 0xa2 || op == 0xaa ||
	       (op >= 0xc8 && op <= 0xcf) ? '.' : 'm';
}

/* Bytes of a ModRM byte and of what belongs to its address. */
static unsigned int modrm_length(const uint8_t *modrm, bool narrow)
{
	unsigned int mod = *modrm >> 6, rm = *modrm & 7, sib = !narrow && rm == 4;
	unsigned int far = narrow ? 2 : 4;

	if (mod == 3)
		return 1;
	if (mod)
		return 1 + sib + (mod == 1 ? 1 : far);
	return 1 + sib + (narrow ? rm == 6 : rm == 5 || (sib && (modrm[1] & 7) == 5) ? 1 : 0) * far;
}

unsigned int insn_length(program_t *p, moment_t *m, uint64_t at)
{
	const uint8_t *start = p->mem + at, *byte = start, *end = p->mem + AT_END - 32;
	bool wide = m->sregs.cs.l || m->sregs.cs.db, narrow = !wide, rex_w = false;
	unsigned int z, len;
	char what;

	if (at >= AT_END - 32)
		return 0;
	for (; byte < end && *byte && is_prefix(*byte, m->sregs.cs.l); byte++) {
		wide ^= *byte == 0x66;
		narrow ^= *byte == 0x67 && !m->sregs.cs.l;
		rex_w = m->sregs.cs.l && (*byte & 0xf8) == 0x48;
	}
	z = rex_w && (*byte & 0xf8) == 0xb8 ? 8 : rex_w || wide ? 4 : 2;
	what = *byte == 0x0f ? follows_0f(byte[1]) : follows[*byte >> 4][*byte & 0xf];
	byte += *byte == 0x0f ? 2 : 1;
	len = byte - start;
	if (strchr("mMZgG", what))
		len += modrm_length(byte, narrow);
	if (strchr("gG", what) && (*byte & 0x30))
		return len;
	if (strchr("bMg", what))
		return len + 1;
	if (strchr("zZGf", what))
		return len + z + (what == 'f' ? 2 : 0);
	return len + (what == 'w' ? 2 : what == 'e' ? 3 : 0) +
	       (what == 'a' ? m->sregs.cs.l ? 8 : narrow ? 2 : 4 : 0);
}

uint64_t defined_flags(struct insn insn)
{
	unsigned int op = insn.opcode;

	if ((op < 0x40 && (op & 7) < 6) || (op & ~3u) == 0x80 || op == 0x9d || op == 0xcf ||
	    (op >= 0xfb0 && op <= 0xfb1) || (op >= 0xfc0 && op <= 0xfc1))
		return 0x8d5;
	if ((op | 1) == 0x85 || (op | 1) == 0xa9 || (op | 1) == 0xd1)
		return 0x8c5;
	if ((op | 1) == 0xf7)
		return insn.reg < 2 ? 0x8c5 : insn.reg == 3 ? 0x8d5 :
		       insn.reg == 4 || insn.reg == 5 ? 0x801 : 0;
	if ((op | 1) == 0xff)
		return insn.reg < 2 ? 0x8d4 : 0;
	if (op == 0x69 || op == 0x6b || op == 0xfaf)
		return 0x801;
	return op == 0x9e ? 0xd5 : op == 0xf5 || (op | 1) == 0xf9 ? 1 : 0;
}

/* The register with number @nr of a ModRM byte. */
static uint64_t reg_value(moment_t *m, unsigned int nr)
{
	static const uint8_t order[8] = { 0, 2, 3, 1, 6, 7, 4, 5 };	/* of struct kvm_regs */

	return ((const uint64_t *)&m->regs)[nr < 8 ? order[nr] : nr];
}

static int64_t displacement(const uint8_t *byte, unsigned int mod, unsigned int wide)
{
	int32_t disp32;
	int16_t disp16;

	if (mod == 1)
		return (int8_t)*byte;
	memcpy(&disp32, byte, 4);
	memcpy(&disp16, byte, 2);
	return mod != 2 ? 0 : wide ? disp32 : disp16;
}

static uint64_t address16(moment_t *m, const uint8_t *modrm)
{
	static const uint8_t base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 }, index[4] = { 6, 7, 6, 7 };
	unsigned int mod = *modrm >> 6, rm = *modrm & 7;
	uint64_t ea;

	if (!mod && rm == 6)
		return (uint16_t)displacement(modrm + 1, 2, false);
	ea = reg_value(m, base[rm]) + (rm < 4 ? reg_value(m, index[rm]) : 0);
	return (uint16_t)(ea + displacement(modrm + 1, mod, false));
}

/* @next: the address behind an operand of a ModRM byte and 32 bits, as of SLDT; for RIP */
static uint64_t address32(moment_t *m, const uint8_t *modrm, unsigned int rex, uint64_t next)
{
	unsigned int mod = *modrm >> 6, rm = *modrm & 7, base = rm, index = 4, scale = 0;
	uint64_t ea;

	if (m->sregs.cs.l && (*modrm & 0xc7) == 5)
		return next + displacement(modrm + 1, 2, true);
	if (rm == 4) {
		base = *++modrm & 7;
		index = (*modrm >> 3 & 7) | (rex & 2) << 2;
		scale = *modrm >> 6;
	}
	ea = index == 4 ? 0 : reg_value(m, index) << scale;
	if (!mod && base == 5)
		mod = 2;
	else
		ea += reg_value(m, base | (rex & 1) << 3);
	ea += displacement(modrm + 1, mod, true);
	return m->sregs.cs.l ? ea : (uint32_t)ea;
}

bool is_based_on_stack(program_t *p, moment_t *m, uint64_t at)
{
	const uint8_t *byte = p->mem + at, *end = p->mem + AT_END - 16;
	unsigned int rex = 0, base, mod;

	if (at >= AT_END - 16 || is_string(insn_from(p, m, at)))
		return false;
	for (; byte < end && *byte && is_prefix(*byte, m->sregs.cs.l); byte++)
		rex = m->sregs.cs.l && (*byte & 0xf0) == 0x40 ? *byte : 0;
	byte += *byte != 0x0f ? 1 : byte[1] == 0x38 ? 3 : 2;
	mod = *byte >> 6;
	base = *byte & 7;
	if (base == 4 && mod < 3)
		base = byte[1] & 7;
	return mod < 3 && !(rex & 1) && (base == 4 || (base == 5 && mod));
}

bool insn_address(program_t *p, moment_t *m, uint64_t at, uint64_t *ea)
{
	const uint8_t *byte = p->mem + at, *end = p->mem + AT_END - 16;
	bool narrow = !m->sregs.cs.l && !m->sregs.cs.db;
	unsigned int rex = 0;

	if (at >= AT_END - 16)
		return false;
	for (; byte < end && *byte && is_prefix(*byte, m->sregs.cs.l); byte++) {
		narrow ^= *byte == 0x67 && !m->sregs.cs.l;
		rex = m->sregs.cs.l && (*byte & 0xf0) == 0x40 ? *byte : 0;
	}
	byte += *byte != 0x0f ? 1 : byte[1] == 0x38 ? 3 : 2;
	if (*byte >= 0xc0)
		return false;
	*ea = narrow ? address16(m, byte) :
		    address32(m, byte, rex, byte + 5 - p->mem);
	return true;
}

bool is_string(struct insn insn)
{
	return (insn.opcode >= 0x6c && insn.opcode <= 0x6f) ||
	       (insn.opcode >= 0xa4 && insn.opcode <= 0xa7) ||
	       (insn.opcode >= 0xaa && insn.opcode <= 0xaf);
}

bool is_string_io(struct insn insn)
{
	return insn.opcode >= 0x6c && insn.opcode <= 0x6f;
}

bool is_port_insn(struct insn insn)
{
	return is_string_io(insn) || (insn.opcode & 0xf4) == 0xe4;
}

/* The flags that the manual leaves undefined after an instruction. */
uint64_t undefined_flags(struct insn insn)
{
	switch (insn.opcode) {
	case 0x69:
	case 0x6b:
	case 0xfaf:
		return 0xd4;
	case 0xf6:
	case 0xf7:
		return insn.reg < 4 ? 0x10 : insn.reg < 6 ? 0xd4 : 0x8d5;
	case 0xc0 ... 0xc1:
	case 0xd0 ... 0xd3:
	case 0xfa4 ... 0xfa5:
	case 0xfac ... 0xfad:
		return 0x810;
	case 0xfa3:
	case 0xfab:
	case 0xfb3:
	case 0xfba:
	case 0xfbb:
		return 0x894;
	case 0xfbc ... 0xfbd:
		return 0x895;
	default:
		return 0;
	}
}

/* Opcodes with 0F that upstream's emulator has, a bit for each. */
static const uint64_t upstream_two_byte[4] = {
	0x013f0b0ff3032363ull, 0x800080000000ffffull, 0xfcffff3fffffffffull, 0x000000800000ff8bull,
};

static bool upstream_lacks_two_byte(struct insn insn)
{
	unsigned int op = insn.opcode & 0xff, last = insn.prefix;

	if (!(upstream_two_byte[op / 64] >> op % 64 & 1))
		return true;
	switch (op) {
	case 0x00:
		return insn.reg >= 4;
	case 0x01:
		/* VMCALL, XSETBV, VMMCALL; SMSW and LMSW of a register. */
		return insn.modrm >= 0xc0 && insn.modrm != 0xc1 && insn.modrm != 0xd1 &&
		       insn.modrm != 0xd9 && insn.reg != 4 && insn.reg != 6;
	case 0x10 ... 0x11:
	case 0x28 ... 0x29:
	case 0x2b:
		return last == 0xf2 || last == 0xf3 || insn.both;
	case 0x38:
		return (insn.modrm & 0xfe) != 0xf0 || last;
	case 0x6f:
	case 0x7f:
		return last == 0xf2 || insn.both;
	case 0xae:
		return insn.reg >= 2 && insn.reg <= 6;
	case 0xc7:
		return insn.reg != 1 || insn.wide;
	case 0xe7:
		return last != 0x66 || insn.both;
	default:
		return false;
	}
}

/* What upstream's emulator has no row for. */
bool upstream_lacks(program_t *p, struct insn insn)
{
	switch (insn.opcode) {
	case 0x27:
	case 0x37:
	case 0x3f:
	case 0x62:
	case 0x9b:
	case 0xf1:
		return true;
	case 0x63:
		return p->mode != MODE_LONG64;
	case 0x8c:
	case 0x8e:
		/* REX.R means nothing for a segment register (SDM "REX Prefixes"). */
		return insn.high;
	case 0x8d:
		return insn.modrm >= 0xc0;
	case 0xc8:
		return insn.third & 0x1f;
	case 0xc4 ... 0xc5:
		return p->mode == MODE_LONG64 || insn.modrm >= 0xc0;
	case 0xd8 ... 0xdf:
		return !((insn.opcode | 4) == 0xdd && insn.opcode & 1 && insn.reg == 7 &&
			 insn.modrm < 0xc0) &&
		       !(insn.opcode == 0xdb && insn.modrm == 0xe3);
	case 0xfae:
		/* FXSAVE and FXRSTOR. */
		if (insn.reg < 2)
			return p->mode == MODE_LONG64;
		return upstream_lacks_two_byte(insn);
	default:
		return insn.opcode >= 0xf00 && upstream_lacks_two_byte(insn);
	}
}

/*
 * Far transfers with a gate, another privilege or a task; INT and IRET in protected mode; SYSENTER
 * in 64-bit mode.
 */
bool upstream_gives_up(program_t *p, struct insn insn)
{
	if (p->mode == MODE_REAL)
		return false;
	return (insn.opcode == 0xf34 && p->mode == MODE_LONG64) || insn.opcode == 0x9a ||
	       insn.opcode == 0xea || (insn.opcode | 1) == 0xcb ||
	       (insn.opcode >= 0xcc && insn.opcode <= 0xcf) || insn.opcode == 0xf1 ||
	       (insn.opcode == 0xff && (insn.reg | 6) == 7 && insn.reg > 1);
}

/* UMIP, which the CPU has not: instructions of descriptor tables are emulated. */
bool is_umip_insn(program_t *p, struct insn insn)
{
	return p->sregs.cr4 & CR4_UMIP && ((insn.opcode == 0xf00 && insn.reg < 4) ||
					   (insn.opcode == 0xf01 && insn.modrm < 0xc0) ||
					   (insn.opcode == 0xf01 && insn.reg == 4));
}
