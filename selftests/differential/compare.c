// SPDX-License-Identifier: GPL-2.0-only
/* Two records of one program, field by field. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "selftests/differential/differential.h"

#define MAX_DIFFERENCES	48

/* Fields of one size that lie one behind the other, with the names of the first of them. */
struct group {
	const char *name, *members;
	size_t offset;
	unsigned int size, count;
};

#define GROUP(label, member, size, count, members) \
	{ label, members, offsetof(struct moment, member), size, count }
#define SEGMENT(seg)							\
	GROUP("sregs." #seg, sregs.seg.base, 8, 1, "base"),		\
	GROUP("sregs." #seg, sregs.seg.limit, 4, 1, "limit"),		\
	GROUP("sregs." #seg, sregs.seg.selector, 2, 1, "selector"),	\
	GROUP("sregs." #seg, sregs.seg.type, 1, 9,			\
	      "type present dpl db s l g avl unusable")

static const struct group groups[] = {
	GROUP("run", error, 8, 2, "error reason"),
	GROUP("exit", exit, 8, 12, ""),
	GROUP("data", data, 8, 8, ""),
	GROUP("regs", regs, 8, 18,
	      "rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags"),
	SEGMENT(cs), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(ss), SEGMENT(tr),
	SEGMENT(ldt),
	GROUP("sregs.gdt", sregs.gdt.base, 8, 1, "base"),
	GROUP("sregs.gdt", sregs.gdt.limit, 2, 1, "limit"),
	GROUP("sregs.idt", sregs.idt.base, 8, 1, "base"),
	GROUP("sregs.idt", sregs.idt.limit, 2, 1, "limit"),
	GROUP("sregs", sregs.cr0, 8, 11,
	      "cr0 cr2 cr3 cr4 cr8 efer apic_base irq0 irq1 irq2 irq3"),
	GROUP("debugregs", debugregs, 8, 6, "dr0 dr1 dr2 dr3 dr6 dr7"),
	GROUP("events.exception", events.exception, 1, 4, "injected nr error pending"),
	GROUP("events.exception", events.exception.error_code, 4, 1, "code"),
	GROUP("events.irq", events.interrupt, 1, 4, "injected nr soft shadow"),
	GROUP("events.nmi", events.nmi, 1, 3, "injected pending masked"),
	GROUP("events", events.sipi_vector, 4, 2, "sipi flags"),
	GROUP("events.smi", events.smi, 1, 4, ""),
	GROUP("mp_state", mp_state, 4, 1, ""),
	GROUP("shared", shared, 8, 5, "ready if flags cr8 apic_base"),
	GROUP("xcr0", xcr0, 8, 1, ""),
	GROUP("msr", msrs, 8, MSRS, ""),
	GROUP("xsave", xsave, 8, 512, ""),
	GROUP("ioctls", ioctls, 8, 1, ""),
	GROUP("mem", pages, 8, PAGES, ""),
};

static void member_name(const struct group *g, unsigned int nr, char *to, size_t size)
{
	const char *at = g->members;
	unsigned int i;

	for (i = 0; i < nr && at; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (at && *at)
		snprintf(to, size, "%s.%.*s", g->name, (int)strcspn(at, " "), at);
	else
		snprintf(to, size, "%s.%u", g->name, nr);
}

static uint64_t member(const struct group *g, const struct moment *m, unsigned int nr)
{
	uint64_t val = 0;

	memcpy(&val, (const uint8_t *)m + g->offset + nr * g->size, g->size);
	return val;
}

static unsigned int differences(const struct moment *a, const struct moment *b,
				struct difference *list)
{
	const struct group *g;
	unsigned int n = 0, i;

	for (g = groups; g < groups + ARRAY_SIZE(groups); g++) {
		if (!memcmp((const uint8_t *)a + g->offset, (const uint8_t *)b + g->offset,
			    g->size * g->count))
			continue;
		for (i = 0; i < g->count && n < MAX_DIFFERENCES; i++) {
			if (member(g, a, i) == member(g, b, i))
				continue;
			list[n].a = member(g, a, i);
			list[n].b = member(g, b, i);
			member_name(g, i, list[n].field, sizeof(list[n].field));
			n++;
		}
	}
	return n;
}

/* ---- known or not ---- */

static void tell_difference(const struct difference *d, const struct known *known, unsigned int at)
{
	printf("#   exit %u: %s %llx | %llx%s%s\n", at, d->field, (unsigned long long)d->a,
	       (unsigned long long)d->b, known ? ": " : "", known ? known->why : "");
}

/* The bytes of memory in which the devices differ, if the records have copies. */
static void tell_memory(const struct moment *a, const struct moment *b)
{
	unsigned int i, n = 0;

	if (!a->mem || !b->mem)
		return;
	for (i = 0; i < AT_END; i++)
		if (a->mem[i] != b->mem[i] && n++ < 48)
			printf("%s[%x]=%02x|%02x", n == 1 ? "#   memory: " : " ", i, a->mem[i],
			       b->mem[i]);
	printf("%s", n ? "\n" : "");
}

/* Judge one moment. */
static void judge(const struct program *p, const struct record *ra, const struct record *rb,
		  unsigned int at, bool tell, struct outcome *o)
{
	const struct moment *a = &ra->moments[at], *b = &rb->moments[at];
	struct difference list[MAX_DIFFERENCES];
	const struct known *known;
	unsigned int n, i;

	/* Where a guest that runs on and on is stopped is chance; one that halts stands still. */
	if (a->timed_out && b->timed_out && a->mp_state.mp_state == KVM_MP_STATE_RUNNABLE &&
	    b->mp_state.mp_state == KVM_MP_STATE_RUNNABLE)
		return;
	n = differences(a, b, list);
	for (i = 0; i < n; i++) {
		known = known_find(p, &list[i], a, b, at ? a - 1 : NULL);
		if (known)
			o->met[known_nr(known)] = true;
		if (known && known->ends && !o->ended)
			o->ended = known;
		if (o->verdict != DIFFERENT)
			o->verdict = known ? KNOWN : DIFFERENT;
		if (tell)
			tell_difference(&list[i], known, at);
	}
	if (tell && n)
		tell_memory(a, b);
}

struct outcome compare(const struct program *p, const struct record *a, const struct record *b,
		       bool tell)
{
	struct outcome o = { .verdict = SAME };
	unsigned int i;

	for (i = 0; i < a->count && i < b->count && !o.ended && o.verdict != DIFFERENT; i++)
		judge(p, a, b, i, tell, &o);
	/* Records differ in length only behind a difference. */
	return o;
}

/* ---- for people ---- */

const char *exit_name(uint64_t reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "UNKNOWN", [KVM_EXIT_EXCEPTION] = "EXCEPTION",
		[KVM_EXIT_IO] = "IO", [KVM_EXIT_HYPERCALL] = "HYPERCALL",
		[KVM_EXIT_DEBUG] = "DEBUG", [KVM_EXIT_HLT] = "HLT", [KVM_EXIT_MMIO] = "MMIO",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN", [KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
		[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY", [KVM_EXIT_INTR] = "INTR",
		[KVM_EXIT_SET_TPR] = "SET_TPR", [KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
		[KVM_EXIT_X86_RDMSR] = "X86_RDMSR", [KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	};

	if (reason == REASON_NONE)
		return "failed";
	return reason < ARRAY_SIZE(names) && names[reason] ? names[reason] : "?";
}

static void print_bytes(const char *what, const uint8_t *bytes, unsigned int len)
{
	printf("# %s", what);
	while (len--)
		printf(" %02x", *bytes++);
	printf("\n");
}

static void print_segment(const char *name, const struct kvm_segment *s)
{
	printf("# %s %04x base %llx limit %x type %u dpl %u db %u l %u g %u%s\n", name, s->selector,
	       s->base, s->limit, s->type, s->dpl, s->db, s->l, s->g,
				s->unusable ? " unusable" : "");
}

void print_program(const struct program *p)
{
	const struct kvm_sregs *s = &p->sregs;
	const uint64_t *gpr = (const uint64_t *)&p->regs;
	unsigned int i;

	printf("# program %u of seed %llu: %s, CPL %u%s%s\n", p->index, (unsigned long long)p->seed,
	       mode_names[p->mode], p->cpl, p->irqchip ? ", irqchip" : "",
	       p->user_msr ? ", MSRs of userspace" : "");
	print_bytes("code", p->mem + p->code_start, p->code_len);
	printf("# rax rbx rcx rdx rsi rdi rsp rbp r8-r15 rip rflags:");
	for (i = 0; i < 18; i++)
		printf(" %llx", (unsigned long long)gpr[i]);
	printf("\n# cr0 %llx cr3 %llx cr4 %llx efer %llx xcr0 %llx gdt %llx/%x idt %llx/%x\n",
	       s->cr0, s->cr3, s->cr4, s->efer, (unsigned long long)p->xcr0, s->gdt.base,
	       s->gdt.limit, s->idt.base, s->idt.limit);
	print_segment("cs", &s->cs);
	print_segment("ds", &s->ds);
	print_segment("es", &s->es);
	print_segment("fs", &s->fs);
	print_segment("gs", &s->gs);
	print_segment("ss", &s->ss);
	printf("# dr %llx %llx %llx %llx dr7 %llx, guest debug %x dr7 %llx\n", p->debugregs.db[0],
	       p->debugregs.db[1], p->debugregs.db[2], p->debugregs.db[3], p->debugregs.dr7,
	       p->guest_debug.control, p->guest_debug.arch.debugreg[7]);
	print_bytes("events", (const uint8_t *)&p->events, 24);
	if (p->mode >= MODE_PAGED32)
		print_bytes("page tables", p->mem + AT_PT + (p->mode == MODE_PAGED32 ? 48 : 96),
			    p->mode == MODE_PAGED32 ? 32 : 64);
}

static void print_changes(const struct moment *from, const struct moment *to)
{
	struct difference list[MAX_DIFFERENCES];
	unsigned int n = differences(from, to, list), i;

	for (i = 0; i < n; i++)
		if (strncmp(list[i].field, "exit.", 5) && strncmp(list[i].field, "data.", 5))
			printf(" %s=%llx", list[i].field, (unsigned long long)list[i].b);
}

static void print_memory(const uint8_t *from, const uint8_t *to)
{
	unsigned int i, n = 0;

	for (i = 0; i < AT_END && n < 96; i++)
		if (from[i] != to[i] && n++ < 96)
			printf(" [%x]=%02x", i, to[i]);
}

/* Every exit, and what it changed. */
void print_record(const struct program *p, const struct record *rec)
{
	const struct moment *m = rec->moments;
	unsigned int i, k;

	for (i = 0; i < rec->count; i++, m++) {
		printf("# %u: %s", i, m->error == EINTR && !m->timed_out ? "completed" :
		       m->timed_out ? "stopped" : exit_name(m->reason));
		for (k = 0; k < 10 && m->reason != REASON_NONE; k++)
			printf(" %llx", (unsigned long long)m->exit[k]);
		printf(" data ");
		for (k = 0; k < 8; k++)
			printf("%02x", m->data[k]);
		printf(" rip %llx rflags %llx debug %x:", m->regs.rip, m->regs.rflags,
		       m->guest_debug);
		if (i)
			print_changes(m - 1, m);
		if (m->mem)
			print_memory(i ? m[-1].mem : p->mem, m->mem);
		printf("\n");
	}
}
