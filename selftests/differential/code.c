// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random instructions, mostly such that exit or are emulated.
 *
 * A template is a row of words: two hex digits are a byte; /r, /0 to /7 a ModRM
 * byte with a random or that register in it (m behind it: memory only, r:
 * registers only); ib, iw, iz an immediate value of this size or of the
 * operand's, mo an address of the address size, j8 a short way forward, jz
 * likewise as far as the operand size goes, far a far pointer, cr, dr, sr a
 * ModRM byte that names such a register; =msr, =val, =port and =leaf load a
 * register first, =test defines the flags that a jump looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/differential/differential.h"

#define MAX_INSN	48

struct code {
	const struct program *p;
	struct rng *rng;
	uint8_t bytes[MAX_INSN];
	unsigned int len;
	bool wide_operand, wide_address;	/* 32 bits */
};

static const char *const moves[] = {
	"88 /r", "89 /r", "89 /rm", "8a /r", "8b /r", "8b /rm", "c6 /0 ib", "c7 /0m iz", "a0 mo",
	"a1 mo", "a2 mo", "a3 mo", "0f b6 /r", "0f b7 /r", "0f be /rm", "63 /r", "0f bf /r",
	"86 /rm", "87 /rm", "0f c3 /rm", "0f 38 f0 /rm", "0f 38 f1 /rm", "8d /r", "d7", "0f 45 /rm",
	"0f 92 /0", "c4 /rm", "c5 /rm", "0f b2 /rm", "0f b4 /rm",
};

static const char *const strings[] = {
	"a4", "a5", "a5", "aa", "ab", "ac", "ad", "a6", "a7", "ae", "af", "6c", "6d", "6e", "6f",
	"f3 a4", "f3 a5", "f3 aa", "f3 ab", "f3 ac", "f3 a6", "f2 a7", "f2 ae", "f3 af",
	"=port f3 6c", "=port f3 6d", "=port f3 6e", "=port f3 6f", "=port 6d", "=port 6e",
};

static const char *const read_modify_writes[] = {
	"0f c0 /rm", "0f c1 /rm", "fe /0m", "ff /0m", "ff /1m", "0f ab /rm", "0f b3 /rm",
	"0f bb /rm", "0f a3 /rm", "0f ba /5m ib", "0f ba /6m ib", "0f ba /4m ib", "0f b0 /rm",
	"0f b1 /rm", "0f c7 /1m", "f0 0f c1 /rm", "f0 ff /0m", "f0 0f ab /rm", "f0 0f b1 /rm",
	"f0 0f c7 /1m", "f0 01 /rm", "01 /rm", "11 /rm", "29 /rm", "31 /rm", "09 /rm", "21 /rm",
	"03 /rm", "2b /rm", "39 /rm", "85 /rm", "80 /0m ib", "81 /4m iz", "83 /5m ib", "f6 /2m",
	"f7 /3m", "f7 /4m", "f7 /6m", "f7 /7", "0f af /rm", "69 /rm iz", "d1 /4m", "c1 /5m ib",
	"d3 /0m", "d3 /2m", "0f a4 /rm ib", "0f ad /rm", "83 /7m ib", "0f bc /rm", "f6 /0m ib",
};

static const char *const stack[] = {
	"50", "53", "54", "58", "5b", "5c", "60", "61", "68 iz", "6a ib", "9c", "9d", "9d",
	"c8 iw ib", "c9", "c3", "c2 iw", "cb", "ca iw", "cf", "ff /6", "8f /0", "ff /2m", "ff /4m",
	"ff /3m", "ff /5m", "e8 jz", "eb j8", "=test 74 j8", "=test 75 j8", "e2 j8", "e3 j8",
	"=test 0f 84 jz", "06", "07", "0e", "16", "17", "1e", "1f", "0f a0", "0f a1", "0f a8",
	"0f a9", "ff /6m", "8f /0m",
};

static const char *const ports[] = {
	"e4 ib", "e5 ib", "e6 ib", "e7 ib", "=port ec", "=port ed", "=port ee", "=port ef",
	"=port ef", "ec", "ef", "e6 7e",
};

static const char *const system_ones[] = {
	"f4", "f4", "=leaf 0f a2", "=msr 0f 32", "=msr =val 0f 30", "=msr =val 0f 30", "0f 20 cr",
	"0f 20 cr", "0f 22 cr", "0f 22 cr", "0f 21 dr", "0f 23 dr", "0f 23 dr", "0f 01 /6",
	"0f 01 /4", "0f 06", "0f 01 /2m", "0f 01 /3m", "0f 01 /0m", "0f 01 /1m", "0f 00 /0",
	"0f 00 /1", "0f 00 /2", "0f 00 /3", "0f 00 /4", "0f 00 /5", "0f 01 /7m", "ea far",
	"9a far", "fa", "fb", "fb f4", "8e sr", "8e sr", "8c sr", "0f 02 /r", "0f 03 /r", "=cr0",
};

static const char *const events[] = {
	"cd ib", "cd ib", "cc", "ce", "f1", "0f 0b", "0f 05", "0f 34", "0f 07", "0f 35",
	"0f 01 c1", "0f 01 d9", "0f 01 d1", "=xcr 0f 01 d1", "0f 01 d0", "0f 08", "0f 09", "0f aa",
	"0f 01 f8", "0f 01 ca", "0f 01 cb", "0f 01 ee", "0f 01 ef", "62 /rm", "0f b9 /r", "0f 33",
	"0f ff /r", "fb", "8e d0", "9d", "cf", "f3 90", "0f 01 c8", "0f 01 c9", "66 0f 38 82 /rm",
	"0f c7 /6m", "0f 78 /r", "63 /rm", "0f 37", "0f 04", "0f 01 dd",
};

static const char *const vectors[] = {
	"0f 10 /rm", "0f 11 /rm", "0f 28 /rm", "0f 29 /rm", "66 0f 6f /rm", "66 0f 7f /rm",
	"f3 0f 6f /rm", "f3 0f 7f /rm", "66 0f d6 /rm", "0f e7 /rm", "66 0f e7 /rm", "0f 2b /rm",
	"0f 6f /rm", "0f 7f /rm", "0f 6e /rm", "0f 7e /rm", "66 0f 7e /rm", "f3 0f 7e /rm",
	"f3 0f 10 /rm", "f2 0f 11 /rm", "0f 12 /rm", "0f 13 /rm", "66 0f 16 /rm", "0f 17 /rm",
	"0f ae /0m", "0f ae /1m", "0f ae /2m", "0f ae /3m", "0f ae /4m", "0f ae /5m", "0f c7 /4m",
	"d9 /0m", "d9 /3m", "dd /0m", "dd /3m", "db /7m", "db /5m", "d9 /7m", "d9 /5m", "dd /7m",
	"df e0", "9b", "db e3", "0f 77", "d9 e8", "de c1", "c5 fc 10 /rm", "c5 fc 11 /rm",
	"c5 fd 6f /rm", "c5 fd 7f /rm", "c5 f8 77", "0f ae /7m", "0f 18 /0m", "f3 0f ae /0r",
	"f3 0f ae /3r", "f3 0f c7 f8",
};

static const char *const plain[] = {
	"04 ib", "2d iz", "40", "4b", "91", "98", "99", "0f c8", "f5", "f8", "f9", "fc", "fd",
	"9e", "9f", "27", "37", "d4 ib", "b0 ib", "bb iz", "d1 /1r", "0f 1f /0m", "0f a3 /rr",
	"0f ae f0", "31 /rr", "89 /rr",
};

static const struct {
	const char *const *list;
	unsigned int count, weight;
} kinds[] = {
	{ moves, ARRAY_SIZE(moves), 18 },
	{ strings, ARRAY_SIZE(strings), 12 },
	{ read_modify_writes, ARRAY_SIZE(read_modify_writes), 16 },
	{ stack, ARRAY_SIZE(stack), 13 },
	{ ports, ARRAY_SIZE(ports), 7 },
	{ system_ones, ARRAY_SIZE(system_ones), 17 },
	{ events, ARRAY_SIZE(events), 8 },
	{ vectors, ARRAY_SIZE(vectors), 5 },
	{ plain, ARRAY_SIZE(plain), 4 },
};

/* ---- operands ---- */

static void emit(struct code *c, uint64_t val, unsigned int len)
{
	if (c->len + len > MAX_INSN)
		return;
	memcpy(c->bytes + c->len, &val, len);
	c->len += len;
}

static uint64_t some_value(struct code *c)
{
	switch (rng_below(c->rng, 4)) {
	case 0:
		return rng_below(c->rng, 16);
	case 1:
		return some_address(c->rng, MODE_PROT32);
	case 2:
		return 1ull << rng_below(c->rng, 32);
	default:
		return rng_next(c->rng);
	}
}

/* The bytes of a clock's instructions are 0fh 31h, 0fh 01h f9h and random numbers' 0fh c7h. */
static void emit_value(struct code *c, uint64_t val, unsigned int len)
{
	uint8_t bytes[8];
	unsigned int i;

	memcpy(bytes, &val, 8);
	for (i = 0; i < len; i++)
		emit(c, bytes[i] == 0x0f ? 0x0e : bytes[i], 1);
}

static void emit_memory16(struct code *c, unsigned int reg)
{
	unsigned int mod = rng_below(c->rng, 3), rm = rng_below(c->rng, 8);

	emit(c, mod << 6 | reg << 3 | rm, 1);
	if (mod == 1)
		emit_value(c, rng_next(c->rng), 1);
	else if (mod == 2 || (mod == 0 && rm == 6))
		emit_value(c, some_address(c->rng, MODE_PROT32), 2);
}

static void emit_memory32(struct code *c, unsigned int reg)
{
	unsigned int mod = rng_percent(c->rng, 10) ? 2 : rng_below(c->rng, 2), rm, base = 0;

	rm = rng_percent(c->rng, 10) ? 4 : rng_percent(c->rng, 12) ? 5 : rng_below(c->rng, 8);
	emit(c, mod << 6 | reg << 3 | rm, 1);
	if (rm == 4) {
		base = rng_below(c->rng, 8);
		emit(c, (rng_percent(c->rng, 70) ? 4 : rng_below(c->rng, 8)) << 3 | base, 1);
	}
	if (mod == 1)
		emit_value(c, rng_below(c->rng, 24), 1);
	else if (mod == 2)
		emit_value(c, rng_below(c->rng, 0x1100), 4);
	else if (rm == 5 || (rm == 4 && base == 5))
		emit_value(c, c->p->mode == MODE_LONG64 && rm == 5 ?
			   some_address(c->rng, MODE_PROT32) - c->p->code_start :
			   some_address(c->rng, MODE_PROT32), 4);
}

static void emit_modrm(struct code *c, unsigned int reg, char form)
{
	if (form == 'r' || (form != 'm' && rng_percent(c->rng, 25)))
		emit(c, 0xc0 | reg << 3 | rng_below(c->rng, 8), 1);
	else if (c->wide_address)
		emit_memory32(c, reg);
	else
		emit_memory16(c, reg);
}

static void emit_register(struct code *c, unsigned int reg)
{
	emit(c, 0xc0 | reg << 3 | rng_below(c->rng, 8), 1);
}

/* Load a register with a value, whatever the operand size. */
static void emit_load(struct code *c, unsigned int reg, uint32_t val)
{
	if (c->p->mode <= MODE_PROT16)
		emit(c, 0x66, 1);
	emit(c, 0xb8 + reg, 1);
	emit_value(c, val, 4);
}

static void emit_load_word(struct code *c, const char *word)
{
	static const uint32_t msrs[] = {
		0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0xce, 0xfe, 0x10b, 0x122, 0x140, 0x174, 0x175,
		0x176, 0x179, 0x17a, 0x186, 0x198, 0x1a0, 0x1d9, 0x200, 0x203, 0x250, 0x277, 0x277,
		0x2ff, 0x345, 0x400, 0x480, 0x6e0, 0x802, 0x808, 0x80b, 0xd90, 0xda0, 0xc0000080,
		0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
		0xc0000102, 0xc0000103, 0xc0010015, 0x12345, 0xc0011029,
	};
	static const uint32_t leaves[] = { 0, 1, 1, 2, 4, 6, 7, 7, 0xb, 0xd, 0xd, 0x14, 0x16,
					   0x40000000, 0x40000001, 0x80000000, 0x80000001,
					   0x80000008, 0x80000009, 0x20000000 };
	struct rng *rng = c->rng;

	if (!strcmp(word, "=msr")) {
		emit_load(c, 1, PICK(rng, msrs));
	} else if (!strcmp(word, "=leaf")) {
		emit_load(c, 0, PICK(rng, leaves));
		emit_load(c, 1, rng_below(rng, 3));
	} else if (!strcmp(word, "=port")) {
		emit_load(c, 2, rng_percent(rng, 80) ? 0x100 + rng_below(rng, 64) :
			  rng_below(rng, 0x10000));
	} else if (!strcmp(word, "=xcr")) {
		emit_load(c, 0, 1 | rng_below(rng, 16));
		emit_load(c, 1, rng_below(rng, 10) == 0);
		emit_load(c, 2, 0);
	} else if (!strcmp(word, "=test")) {
		emit(c, 0x84, 1);
		emit_register(c, rng_below(rng, 8));
	} else if (!strcmp(word, "=cr0")) {
		emit(c, 0xc0200f, 3);
		emit(c, 0xf083, 2);		/* XOR EAX, imm8; or the bit of PG, WP */
		emit(c, 1 << rng_below(rng, 7), 1);
		emit(c, 0xc0220f, 3);
	} else {
		emit_load(c, 0, some_value(c));
		emit_load(c, 2, rng_percent(rng, 80) ? 0 : some_value(c));
	}
}

static unsigned int control_register(struct rng *rng, bool debug)
{
	static const uint8_t crs[] = { 0, 0, 2, 3, 3, 4, 4, 0 };

	return debug || rng_percent(rng, 15) ? rng_below(rng, 8) : PICK(rng, crs);
}

static void emit_far(struct code *c, unsigned int operand)
{
	unsigned int selector;

	emit_value(c, AT_CODE + PAGE + rng_below(c->rng, 64), operand);
	selector = 8 * rng_below(c->rng, 18);
	emit_value(c, selector + (rng_percent(c->rng, 30) ? c->p->cpl : 0), 2);
}

static void emit_word(struct code *c, const char *w)
{
	unsigned int operand = c->wide_operand ? 4 : 2;

	if (w[0] == '/')
		emit_modrm(c, w[1] == 'r' ? rng_below(c->rng, 8) : w[1] & 7u, w[2]);
	else if (w[0] == '=')
		emit_load_word(c, w);
	else if (!strcmp(w, "ib"))
		emit_value(c, rng_percent(c->rng, 50) ? rng_below(c->rng, 32) :
			   rng_next(c->rng), 1);
	else if (!strcmp(w, "iw"))
		emit_value(c, rng_below(c->rng, 0x20), 2);
	else if (!strcmp(w, "iz"))
		emit_value(c, some_value(c), operand);
	else if (!strcmp(w, "mo"))
		emit_value(c, some_address(c->rng, MODE_PROT32), c->p->mode == MODE_LONG64 ? 8 :
			   c->wide_address ? 4 : 2);
	else if (!strcmp(w, "j8"))
		emit(c, rng_below(c->rng, 12), 1);
	else if (!strcmp(w, "jz"))
		emit(c, rng_below(c->rng, 12), c->p->mode == MODE_LONG64 ? 4 : operand);
	else if (!strcmp(w, "far"))
		emit_far(c, operand);
	else if (!strcmp(w, "cr"))
		emit_register(c, control_register(c->rng, false));
	else if (!strcmp(w, "dr"))
		emit_register(c, control_register(c->rng, true));
	else if (!strcmp(w, "sr"))
		emit_modrm(c, rng_below(c->rng, 7), 0);
	else
		emit(c, strtoul(w, NULL, 16), 1);
}

/* ---- instructions ---- */

static void emit_prefixes(struct code *c)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool narrow = c->p->mode <= MODE_PROT16;

	c->wide_operand = c->wide_address = !narrow;
	if (c->p->how.prefix && rng_percent(c->rng, 60))
		emit(c, 0x6d766b0b0full, 5);
	if (rng_percent(c->rng, 14)) {
		emit(c, 0x66, 1);
		c->wide_operand = narrow;
	}
	if (rng_percent(c->rng, 8)) {
		emit(c, 0x67, 1);
		c->wide_address = narrow || c->p->mode == MODE_LONG64;
	}
	if (rng_percent(c->rng, 10))
		emit(c, PICK(c->rng, segments), 1);
	if (rng_percent(c->rng, 2))
		emit(c, PICK(c->rng, ((uint8_t[]){ 0xf0, 0xf2, 0xf3 })), 1);
}

/* Words up to the opcode's first are prefixes: REX goes behind them. */
static bool is_prefix(const char *w)
{
	return w[0] == '=' || !strcmp(w, "66") || !strcmp(w, "f0") || !strcmp(w, "f2") ||
	       !strcmp(w, "f3");
}

static void emit_template(struct code *c, const char *template)
{
	char text[64], *save, *word;
	bool opcode = false;

	strcpy(text, template);
	/* Loads are instructions of their own, before the prefixes. */
	word = strtok_r(text, " ", &save);
	for (; word && word[0] == '='; word = strtok_r(NULL, " ", &save))
		emit_word(c, word);
	emit_prefixes(c);
	for (; word; word = strtok_r(NULL, " ", &save)) {
		if (!opcode && !is_prefix(word)) {
			opcode = true;
			if (c->p->mode == MODE_LONG64 && rng_percent(c->rng, 40))
				emit(c, 0x40 | (rng_percent(c->rng, 70) ? 8 : 0) |
				     (rng_percent(c->rng, 25) ? rng_below(c->rng, 8) : 0), 1);
		}
		emit_word(c, word);
	}
}

static void emit_random(struct code *c)
{
	unsigned int n = 1 + rng_below(c->rng, 8), i;

	if (rng_percent(c->rng, 50))
		emit(c, 0x0f, 1);
	for (i = 0; i < n; i++)
		emit(c, rng_next(c->rng) & 0xff, 1);
}

static void emit_instruction(struct code *c)
{
	unsigned int at = rng_below(c->rng, 100), i = 0;

	if (rng_percent(c->rng, 6)) {
		emit_random(c);
		return;
	}
	while (i < ARRAY_SIZE(kinds) - 1 && at >= kinds[i].weight)
		at -= kinds[i++].weight;
	emit_template(c, kinds[i].list[rng_below(c->rng, kinds[i].count)]);
}

/* What reads a clock or a random number differs from run to run: no such instruction. */
static void remove_clocks(uint8_t *code, unsigned int len)
{
	unsigned int i;

	for (i = 0; i + 2 < len; i++) {
		if (code[i] != 0x0f)
			continue;
		if (code[i + 1] == 0x31 || (code[i + 1] == 0x01 && code[i + 2] == 0xf9))
			code[i + 1] = 0xa2;
		if (code[i + 1] == 0xc7 && code[i + 2] >= 0xf0)
			code[i + 1] = 0x0b;
	}
}

void generate_code(struct program *p, struct rng *rng)
{
	static const uint32_t starts[] = {
		0, 0, 0, 0x100, PAGE - 1, PAGE - 3, PAGE - 9, PAGE - 20,
	};
	unsigned int n = 1 + rng_below(rng, 9), at = PICK(rng, starts);
	struct code c;

	p->code_start = AT_CODE + at;
	while (n--) {
		c = (struct code){ .p = p, .rng = rng };
		emit_instruction(&c);
		if (at + c.len > CODE_BYTES - 16)
			break;
		memcpy(p->mem + AT_CODE + at, c.bytes, c.len);
		at += c.len;
	}
	p->code_len = AT_CODE + at - p->code_start;
	remove_clocks(p->mem + AT_CODE, CODE_BYTES);
}
