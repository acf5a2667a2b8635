// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counting Bochs: what is executed outside guests, for who asks by count.h's marks.
 *
 * With OKVM_PROFILE=FILE in the environment it remembers the address of each instruction between a
 * COUNT_BEGIN and a COUNT_END, and at COUNT_WRITE writes how often each was executed. Samples
 * longer or shorter than usual by a quarter had a tick or something else in them that is not the
 * operation's, and are left out.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "bochs.h"
#include "pc_system.h"
#include "cpu/cpu.h"
#include "cpu/decoder/ia_opcodes.h"
#include "count.h"

typedef std::vector<Bit64u> addresses;

enum { XCHG = NR_COUNTS, NOTHING, NR_KINDS };

static Bit64u counts[NR_KINDS], instructions;
static const char *const profile = getenv("OKVM_PROFILE");
static bool sampling;
static Bit64u sample_from;
static addresses sample;
static std::vector<addresses> samples;

/* The kind of each opcode of Bochs' list, but for LOCK prefixes. */
static const struct kinds {
	Bit8u of[BX_IA_LAST];

	kinds()
	{
		std::fill(of, of + BX_IA_LAST, NOTHING);
		of[BX_IA_VMREAD_EdGd] = of[BX_IA_VMREAD_EqGq] = COUNT_VMREAD;
		of[BX_IA_VMWRITE_GdEd] = of[BX_IA_VMWRITE_GqEq] = COUNT_VMWRITE;
		of[BX_IA_RDMSR] = of[BX_IA_WRMSR] = of[BX_IA_WRMSRNS] = COUNT_MSR;
		of[BX_IA_XCHG_EbGb] = of[BX_IA_XCHG_EwGw] = XCHG;
		of[BX_IA_XCHG_EdGd] = of[BX_IA_XCHG_EqGq] = XCHG;
	}
} kinds;

/* The time of the machine, in ticks of its TSC. */
static Bit64u now(unsigned int cpu)
{
	Bit64u since = BX_CPU(cpu)->get_icount() - BX_CPU(cpu)->get_icount_last_sync();

	return bx_pc_system.time_ticks() + (BX_SMP_PROCESSORS == 1 ? since : 0);
}

void counting_execute(unsigned int cpu, void *instruction)
{
	bxInstruction_c *i = static_cast<bxInstruction_c *>(instruction);
	unsigned int kind;

	if (BX_CPU(cpu)->in_vmx_guest || BX_CPU(cpu)->in_svm_guest)
		return;
	kind = kinds.of[i->getIaOpcode()];
	if (i->getLock() || (kind == XCHG && !i->modC0()))
		kind = COUNT_LOCKED;
	counts[kind]++;
	instructions++;
	if (sampling && now(cpu) >= sample_from)
		sample.push_back(BX_CPU(cpu)->gen_reg[BX_64BIT_REG_RIP].rrx);
}

static void write_profile(void)
{
	std::vector<size_t> lengths;
	std::map<Bit64u, Bit64u> histogram;
	size_t kept = 0, usual;
	FILE *out;

	for (const addresses &s : samples)
		lengths.push_back(s.size());
	std::sort(lengths.begin(), lengths.end());
	usual = lengths.empty() ? 0 : lengths[lengths.size() / 2];
	for (const addresses &s : samples) {
		if (s.size() < usual - usual / 4 || s.size() > usual + usual / 4)
			continue;
		kept++;
		for (Bit64u address : s)
			histogram[address]++;
	}
	out = fopen(profile, "w");
	if (!out)
		return;
	fprintf(out, "samples %zu of %zu\n", kept, samples.size());
	for (const auto &entry : histogram)
		fprintf(out, "%llx %llu\n", entry.first, entry.second);
	fclose(out);
}

void counting_prefetch(unsigned int cpu, unsigned long address)
{
	Bit64u answer = 0;

	if (address - COUNT_ADDRESS >= NR_COUNT_MARKS)
		return;
	switch (address - COUNT_ADDRESS) {
	case COUNT_BEGIN:
		sampling = profile;
		sample_from = 0;
		sample.clear();
		break;
	case COUNT_BEGIN_LATER:
		sampling = profile;
		sample_from = now(cpu) + BX_CPU(cpu)->gen_reg[BX_64BIT_REG_RCX].rrx;
		sample.clear();
		break;
	case COUNT_END:
		if (sampling)
			samples.push_back(sample);
		sampling = false;
		break;
	case COUNT_WRITE:
		if (profile)
			write_profile();
		break;
	case COUNT_HOST:
		answer = instructions;
		break;
	}
	for (unsigned int i = 0; i < NR_COUNTS && address - COUNT_ADDRESS != COUNT_HOST; i++)
		answer += counts[i] << 16 * i;
	BX_CPU(cpu)->gen_reg[BX_64BIT_REG_RAX].rrx = answer;
}
