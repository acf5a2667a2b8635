// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-top: which exits the VMs of this host take, and how long they last. Reads the file that
 * okvm has in debugfs with all VMs in it, again and again, and shows the differences.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <ncurses.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <asm/svm.h>
#include <asm/vmx.h>
#include <linux/magic.h>

#include "../../uapi/okvm.h"

#define DEBUGFS		"/sys/kernel/debug"
#define REASONS		164	/* exit reasons that okvm counts apart */
#define SVM_NPF		163	/* okvm's number of SVM's nested page faults */
#define USER_REASONS	64
#define BUCKETS		64

enum { STATUS_ERROR = 1, STATUS_USAGE = 2 };

struct options {
	const char *file;
	const char *vm;
	unsigned int batch;	/* 0: on the terminal */
	double delay;
};

/* Exits of one reason; their time is known if the VM measures it. */
struct cause {
	uint64_t count;
	uint64_t timed;
	double cycles;
};

struct vm {
	char name[32];
	bool svm;
	unsigned int vcpus;
	struct cause kernel[REASONS];
	struct cause user[USER_REASONS];
};

struct snapshot {
	double seconds;
	uint64_t tsc_khz;
	struct vm *vms;
	unsigned int nr;
};

static bool on_screen;

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
	va_list args;

	if (on_screen)
		endwin();
	fputs("okvm-top: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\n", stderr);
	exit(STATUS_ERROR);
}

/* ---- the file of all VMs ---- */

static void explain_missing(const char *path, int err)
{
	struct statfs fs;
	struct stat st;

	if (err == EACCES || err == EPERM)
		die("%s: only root may read debugfs (sudo okvm-top)", path);
	if (err != ENOENT || strncmp(path, DEBUGFS "/", strlen(DEBUGFS) + 1))
		die("%s: %s", path, strerror(err));
	if (stat("/sys/module/okvm", &st))
		die("the module okvm is not loaded (modprobe okvm)");
	if (statfs(DEBUGFS, &fs) || fs.f_type != DEBUGFS_MAGIC)
		die("debugfs is not mounted (mount -t debugfs none " DEBUGFS ")");
	die("%s: this okvm has no such file", path);
}

static struct vm *add_vm(struct snapshot *snap, const char *name, bool svm)
{
	struct vm *vm;

	snap->vms = realloc(snap->vms, (snap->nr + 1) * sizeof(*snap->vms));
	if (!snap->vms)
		die("no memory");
	vm = &snap->vms[snap->nr++];
	memset(vm, 0, sizeof(*vm));
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->svm = svm;
	return vm;
}

/* Words BUCKET:COUNT. Bucket n has times from 2^(n-1) to 2^n cycles: about 1.5 times 2^(n-1). */
static void add_times(struct cause *cause, const char *words)
{
	unsigned int bucket;
	uint64_t count;
	int len;

	while (sscanf(words, " %u:%" SCNu64 "%n", &bucket, &count, &len) == 2) {
		cause->timed += count;
		if (bucket && bucket < BUCKETS)
			cause->cycles += 0.75 * count * (1ull << bucket);
		words += len;
	}
}

static void add_line(struct snapshot *snap, struct vm *vm, const char *line)
{
	unsigned int nr;
	uint64_t count;
	int len;

	if (sscanf(line, "tsc_khz %" SCNu64, &count) == 1)
		snap->tsc_khz = count;
	else if (!vm)
		return;
	else if (sscanf(line, "vcpu %u", &nr) == 1)
		vm->vcpus++;
	else if (sscanf(line, "reason %u %" SCNu64, &nr, &count) == 2 && nr < REASONS)
		vm->kernel[nr].count += count;
	else if (sscanf(line, "kernel %u%n", &nr, &len) == 1 && nr < REASONS)
		add_times(&vm->kernel[nr], line + len);
	else if (sscanf(line, "user %u%n", &nr, &len) == 1 && nr < USER_REASONS)
		add_times(&vm->user[nr], line + len);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void take(struct snapshot *snap, const struct options *opt)
{
	FILE *file = fopen(opt->file, "r");
	char *line = NULL, name[32], kind[16];
	struct vm *vm = NULL;
	size_t size = 0;

	if (!file)
		explain_missing(opt->file, errno);
	*snap = (struct snapshot){ .seconds = now() };
	while (getline(&line, &size, file) > 0) {
		if (sscanf(line, "vm %31s %15s", name, kind) != 2)
			add_line(snap, vm, line);
		else if (opt->vm && strcmp(opt->vm, name))
			vm = NULL;
		else
			vm = add_vm(snap, name, !strcmp(kind, "svm"));
	}
	if (ferror(file))
		die("%s: %s", opt->file, strerror(errno));
	free(line);
	fclose(file);
}

/* ---- names ---- */

static const struct {
	unsigned int nr;
	const char *name;
} vmx_names[] = { VMX_EXIT_REASONS }, svm_names[] = { SVM_EXIT_REASONS };

static const char * const user_names[USER_REASONS] = {
	[KVM_EXIT_UNKNOWN] = "UNKNOWN",
	[KVM_EXIT_IO] = "IO",
	[KVM_EXIT_HYPERCALL] = "HYPERCALL",
	[KVM_EXIT_DEBUG] = "DEBUG",
	[KVM_EXIT_HLT] = "HLT",
	[KVM_EXIT_MMIO] = "MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[KVM_EXIT_INTR] = "INTR",
	[KVM_EXIT_SET_TPR] = "SET_TPR",
	[KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
	[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
	[KVM_EXIT_X86_RDMSR] = "RDMSR",
	[KVM_EXIT_X86_WRMSR] = "WRMSR",
};

static const char *hardware_name(bool svm, unsigned int nr)
{
	unsigned int i;

	if (svm && nr == SVM_NPF)
		return "npf";
	for (i = 0; svm && i < sizeof(svm_names) / sizeof(svm_names[0]); i++)
		if (svm_names[i].nr == nr)
			return svm_names[i].name;
	for (i = 0; !svm && i < sizeof(vmx_names) / sizeof(vmx_names[0]); i++)
		if (vmx_names[i].nr == nr)
			return vmx_names[i].name;
	return NULL;
}

/* ---- rows: what happened between two snapshots ---- */

struct row {
	char name[40];
	uint64_t total;
	uint64_t count;		/* since the snapshot before */
	double micros;		/* of one exit; negative if not measured */
	double share;		/* of one CPU's time, in percent */
};

struct table {
	const struct vm *vm;
	uint64_t total, count;
	struct row rows[REASONS + USER_REASONS];
	unsigned int nr;
};

static uint64_t since(uint64_t after, uint64_t before)
{
	return after > before ? after - before : 0;
}

static void fill_row(struct row *row, const struct cause *before, const struct cause *after,
		     const struct snapshot *old, const struct snapshot *new)
{
	uint64_t timed = since(after->timed, before->timed);
	double cycles = after->cycles - before->cycles;
	double seconds = new->seconds - old->seconds;

	row->total = after->count ? after->count : after->timed;
	row->count = after->count ? since(after->count, before->count) : timed;
	row->micros = -1;
	row->share = -1;
	if (!timed || !new->tsc_khz)
		return;
	row->micros = cycles / timed / new->tsc_khz * 1e3;
	if (seconds > 0)
		row->share = cycles / new->tsc_khz / 1e3 / seconds * 100;
}

static void add_rows(struct table *table, bool user, const struct cause *before,
		     const struct cause *after, const struct snapshot *old,
		     const struct snapshot *new)
{
	unsigned int i;

	for (i = 0; i < (user ? USER_REASONS : REASONS); i++) {
		const char *name = user ? user_names[i] : hardware_name(table->vm->svm, i);
		struct row *row = &table->rows[table->nr];

		if (!after[i].count && !after[i].timed)
			continue;
		if (name)
			snprintf(row->name, sizeof(row->name), "%s%s", user ? "user: " : "", name);
		else
			snprintf(row->name, sizeof(row->name), "%s%u", user ? "user: " : "reason ",
				 i);
		fill_row(row, &before[i], &after[i], old, new);
		if (!user) {
			table->total += row->total;
			table->count += row->count;
		}
		table->nr++;
	}
}

static int busier(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void make_table(struct table *table, const struct vm *vm, const struct snapshot *old,
		       const struct snapshot *new)
{
	static const struct vm none;
	const struct vm *before = &none;
	unsigned int i;

	for (i = 0; i < old->nr; i++)
		if (!strcmp(old->vms[i].name, vm->name))
			before = &old->vms[i];
	*table = (struct table){ .vm = vm };
	add_rows(table, false, before->kernel, vm->kernel, old, new);
	add_rows(table, true, before->user, vm->user, old, new);
	qsort(table->rows, table->nr, sizeof(table->rows[0]), busier);
}

/* ---- output ---- */

/* A line for standard output, or for the screen if @scroll lines before it have gone. */
static void put(int *scroll, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(int *scroll, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (!on_screen) {
		vprintf(fmt, args);
		putchar('\n');
	} else if ((*scroll)-- <= 0 && getcury(stdscr) < LINES - 1) {
		vw_printw(stdscr, fmt, args);
		if (getcurx(stdscr))
			addch('\n');
	}
	va_end(args);
}

static void put_row(int *scroll, const struct row *row, double seconds)
{
	char micros[16] = "-", share[16] = "-";

	if (row->micros >= 0)
		snprintf(micros, sizeof(micros), "%.1f", row->micros);
	if (row->share >= 0)
		snprintf(share, sizeof(share), "%.1f", row->share);
	put(scroll, "  %-28s %14" PRIu64 " %12.0f %10s %7s", row->name, row->total,
	    row->count / seconds, micros, share);
}

static void put_all(int scroll, const struct snapshot *old, const struct snapshot *new)
{
	double seconds = new->seconds - old->seconds;
	static struct table table;
	unsigned int i, j;

	if (!new->nr)
		put(&scroll, "okvm has no VM");
	for (i = 0; i < new->nr; i++) {
		make_table(&table, &new->vms[i], old, new);
		put(&scroll, "VM %s: %s, %u vCPU%s, %.0f exits/s", table.vm->name,
		    table.vm->svm ? "SVM" : "VMX", table.vm->vcpus,
		    table.vm->vcpus == 1 ? "" : "s", table.count / seconds);
		put(&scroll, "  %-28s %14s %12s %10s %7s", "exit", "total", "per second",
		    "about us", "% CPU");
		for (j = 0; j < table.nr; j++)
			put_row(&scroll, &table.rows[j], seconds);
	}
}

static void drop(struct snapshot *snap)
{
	free(snap->vms);
	snap->vms = NULL;
}

static void run_batch(const struct options *opt)
{
	struct snapshot old, new;
	unsigned int i;

	take(&old, opt);
	for (i = 0; i < opt->batch; i++) {
		usleep(opt->delay * 1e6);
		take(&new, opt);
		if (i)
			putchar('\n');
		put_all(0, &old, &new);
		fflush(stdout);
		drop(&old);
		old = new;
	}
	drop(&old);
}

static void draw(int scroll, const struct snapshot *old, const struct snapshot *new)
{
	erase();
	move(0, 0);
	put_all(scroll, old, new);
	mvprintw(LINES - 1, 0, "q: leave   arrows: scroll");
	refresh();
}

/* Keys scroll at once; the numbers change once per delay. Return the lines to scroll, or -1. */
static int wait_for_keys(int scroll, double until, const struct snapshot *old,
			 const struct snapshot *new)
{
	double left;

	while ((left = until - now()) > 0) {
		timeout(left * 1e3 + 1);
		switch (getch()) {
		case 'q':
			return -1;
		case KEY_DOWN:
			scroll++;
			break;
		case KEY_UP:
			scroll -= scroll > 0;
			break;
		case ERR:
			continue;
		}
		draw(scroll, old, new);
	}
	return scroll;
}

static void run_screen(const struct options *opt)
{
	struct snapshot old, new;
	int scroll = 0;

	take(&old, opt);
	usleep(200000);
	if (!newterm(NULL, stdout, stdin))
		die("the terminal %s is not known: use --batch", getenv("TERM") ?: "without TERM");
	on_screen = true;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	while (scroll >= 0) {
		take(&new, opt);
		draw(scroll, &old, &new);
		scroll = wait_for_keys(scroll, new.seconds + opt->delay, &old, &new);
		drop(&old);
		old = new;
	}
	drop(&old);
	endwin();
}

/* ---- options ---- */

static double parse_delay(struct argp_state *state, const char *arg)
{
	char *end;
	double delay = strtod(arg, &end);

	if (*end || !(delay >= 0.1 && delay <= 3600))
		argp_error(state, "--delay is 0.1 to 3600 seconds, not '%s'", arg);
	return delay;
}

static unsigned int parse_batch(struct argp_state *state, const char *arg)
{
	char *end;
	unsigned long batch = strtoul(arg, &end, 10);

	if (*end || *arg == '-' || !batch || batch > 1000000000)
		argp_error(state, "--batch is a number of tables, not '%s'", arg);
	return batch;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'b':
		opt->batch = parse_batch(state, arg);
		break;
	case 'd':
		opt->delay = parse_delay(state, arg);
		break;
	case 'f':
		opt->file = arg;
		break;
	case 'v':
		opt->vm = arg;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s' for?", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option argp_options[] = {
	{ "batch", 'b', "N", 0, "print N tables on standard output, then end", 0 },
	{ "delay", 'd', "SECONDS", 0, "time between two tables (1)", 0 },
	{ "vm", 'v', "PID-FD", 0, "show this VM only", 0 },
	{ "file", 'f', "FILE", 0, "read FILE (" DEBUGFS "/okvm/vms)", 0 },
	{ 0 }
};

const char *argp_program_version = "okvm-top " OKVM_VERSION;

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_opt,
	.doc = "Show which exits the VMs of okvm take, and how long they last.",
};

int main(int argc, char **argv)
{
	struct options opt = { .file = DEBUGFS "/okvm/vms", .delay = 1 };

	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &opt);
	if (opt.batch)
		run_batch(&opt);
	else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		die("standard input and output are no terminal: use --batch");
	else
		run_screen(&opt);
	return 0;
}
