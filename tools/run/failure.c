// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: what the two exits mean after which a guest cannot go on. The numbers are Intel's and
 * those of <linux/kvm.h>.
 */
#include <stdio.h>

#include "run.h"

struct meaning {
	uint64_t code;
	const char *text;
};

static const char *find(const struct meaning *table, size_t nr, uint64_t code)
{
	for (size_t i = 0; i < nr; i++)
		if (table[i].code == code)
			return table[i].text;
	return "not a number that okvm-run knows";
}

#define FIND(table, code)	find(table, sizeof(table) / sizeof((table)[0]), code)

/* SDM "VM-Entry Failures During or After Loading Guest State": the exit reason, bit 31 set. */
static const struct meaning entry_failures[] = {
	{ 33, "the guest state breaks a rule of VM entry: see segments, CRs, RFLAGS and RIP" },
	{ 34, "an MSR of the entry's list could not be loaded" },
	{ 41, "a machine check came with the entry" },
};

/* SDM "VM-Instruction Error Numbers" */
static const struct meaning instruction_errors[] = {
	{ 4, "VMLAUNCH with a VMCS that was launched already" },
	{ 5, "VMRESUME with a VMCS that was not launched" },
	{ 7, "a control field is invalid" },
	{ 8, "the host state is invalid" },
	{ 26, "an event was blocked by MOV SS" },
};

void say_fail_entry(const struct kvm_run *run)
{
	uint64_t reason = run->fail_entry.hardware_entry_failure_reason;
	bool failed = reason >> 31 & 1;

	say("CPU %u of the host refused to enter the guest (%#llx): %s", run->fail_entry.cpu,
	    (unsigned long long)reason,
	    failed ? FIND(entry_failures, reason & 0xffff) : FIND(instruction_errors, reason));
}

static const struct meaning suberrors[] = {
	{ KVM_INTERNAL_ERROR_EMULATION, "an instruction that the emulator does not know" },
	{ KVM_INTERNAL_ERROR_SIMUL_EX, "two events at once" },
	{ KVM_INTERNAL_ERROR_DELIVERY_EV, "an exit while an event was delivered" },
	{ KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, "an exit reason nobody knows" },
};

/* "0f 0b" */
static void hex_bytes(char *out, const uint8_t *bytes, size_t nr)
{
	*out = 0;
	for (size_t i = 0; i < nr; i++)
		out += sprintf(out, "%02x%s", bytes[i], i + 1 < nr ? " " : "");
}

void say_internal_error(const struct kvm_run *run)
{
	uint32_t nr = run->internal.ndata < 16 ? run->internal.ndata : 16;
	char bytes[3 * 15 + 1];

	say("the hypervisor gave up, internal error %u: %s", run->internal.suberror,
	    FIND(suberrors, run->internal.suberror));
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && nr >= 4 &&
	    run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES &&
	    run->emulation_failure.insn_size && run->emulation_failure.insn_size <= 15) {
		hex_bytes(bytes, run->emulation_failure.insn_bytes,
			  run->emulation_failure.insn_size);
		say("the bytes at rip: %s", bytes);
	}
	for (uint32_t i = 0; i < nr; i++)
		say("data[%u] %#llx", i, (unsigned long long)run->internal.data[i]);
}
