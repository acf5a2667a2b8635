// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line of the differential test. Its output is KTAP: one result
 * for so many programs; what differs is told before it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "selftests/differential/differential.h"

#define BATCH		24		/* programs that are run before the device is changed */
#define RESULT		250		/* programs of one result */
#define SHORT_US	30000		/* of one KVM_RUN, most of which take far less */
#define LONG_US		400000		/* and when that has made a difference */

struct options {
	const char *a, *b;
	uint64_t seed;
	unsigned int first, count, tell;
	struct how how;
	bool only, until_different, known;
};

static struct program programs[BATCH];
static struct record records[2][BATCH];

static void usage(void)
{
	fprintf(stderr,
		"usage: differential [--device PATH --device PATH] [--seed N] [--first N]\n"
		"                    [--count N] [--tell N] [--prefix] [--restricted]\n"
		"                    [--known] [--until-different] [--only INDEX]\n"
		"--seed     of all programs; printed if it is not given\n"
		"--first    index of the first program (0)\n"
		"--count    how many programs (1000)\n"
		"--tell     how many that differ are told in full (10)\n"
		"--prefix   some instructions behind the prefix that asks for emulation\n"
		"--restricted  the modules are loaded with unrestricted_guest=0\n"
		"--known    tell what has a row as well\n"
		"--until-different  no further than to the first that differs\n"
		"--only     one program, and all that it does on both devices\n");
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "device", 1, NULL, 'd' }, { "seed", 1, NULL, 's' }, { "first", 1, NULL, 'f' },
		{ "count", 1, NULL, 'c' }, { "tell", 1, NULL, 't' }, { "prefix", 0, NULL, 'p' },
		{ "restricted", 0, NULL, 'r' },
		{ "only", 1, NULL, 'o' }, { "until-different", 0, NULL, 'u' },
		{ "known", 0, NULL, 'k' }, { },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (opt == 'd' && !o->a)
			o->a = optarg;
		else if (opt == 'd' && !o->b)
			o->b = optarg;
		else if (opt == 's')
			o->seed = strtoull(optarg, NULL, 0);
		else if (opt == 'f' || opt == 'o')
			o->first = strtoul(optarg, NULL, 0);
		else if (opt == 'c')
			o->count = strtoul(optarg, NULL, 0);
		else if (opt == 't')
			o->tell = strtoul(optarg, NULL, 0);
		else if (opt == 'p')
			o->how.prefix = true;
		else if (opt == 'r')
			o->how.restricted = true;
		else if (opt == 'u')
			o->until_different = true;
		else if (opt == 'k')
			o->known = true;
		else
			usage();
		if (opt == 'o') {
			o->only = true;
			o->count = 1;
		}
	}
	if (optind < argc || (o->a && !o->b))
		usage();
	if (!o->a) {
		o->a = "/dev/kvm";
		o->b = "/dev/okvm";
	}
}

static void run_batch(const struct options *o, struct device *devs, unsigned int first,
		      unsigned int n, bool copy)
{
	unsigned int i, dev;

	for (i = 0; i < n; i++)
		generate(&programs[i], o->seed, first + i, o->how);
	for (dev = 0; dev < 2; dev++)
		for (i = 0; i < n; i++)
			run_program(&devs[dev], &programs[i], copy ? LONG_US : SHORT_US,
				    &records[dev][i], copy);
}

static bool was_stopped(const struct record *rec)
{
	return rec->moments[rec->count - 1].timed_out;
}

/* A guest may run long before it exits: what differs has to differ when it is given more time. */
static struct outcome compare_one(struct device *devs, unsigned int i)
{
	struct record *a = &records[0][i], *b = &records[1][i];
	struct outcome outcome = compare(&programs[i], a, b, false);

	if (outcome.verdict != DIFFERENT || !(was_stopped(a) || was_stopped(b)))
		return outcome;
	run_program(&devs[0], &programs[i], LONG_US, a, false);
	run_program(&devs[1], &programs[i], LONG_US, b, false);
	return compare(&programs[i], a, b, false);
}

/* One program again: what differs, and how both ran. */
static struct outcome tell_again(const struct options *o, struct device *devs, unsigned int index)
{
	run_batch(o, devs, index, 1, true);
	print_program(&programs[0]);
	printf("# on %s:\n", o->a);
	print_record(&programs[0], &records[0][0]);
	printf("# on %s:\n", o->b);
	print_record(&programs[0], &records[1][0]);
	return compare(&programs[0], &records[0][0], &records[1][0], true);
}

struct tally {
	unsigned int known, ended, different, exits, reasons[64], stopped, met[MAX_ROWS], ended_by[MAX_ROWS];
};

static void count(struct tally *tally, const struct outcome *outcome, const struct record *rec)
{
	unsigned int i;

	tally->known += outcome->verdict == KNOWN;
	tally->ended += outcome->verdict == KNOWN && outcome->ended;
	tally->different += outcome->verdict == DIFFERENT;
	for (i = 0; known_row(i); i++)
		tally->met[i] += outcome->met[i];
	if (outcome->ended)
		tally->ended_by[known_nr(outcome->ended)]++;
	for (i = 0; i < rec->count; i++) {
		tally->exits++;
		tally->stopped += rec->moments[i].timed_out;
		if (rec->moments[i].reason < ARRAY_SIZE(tally->reasons))
			tally->reasons[rec->moments[i].reason]++;
	}
}

static void compare_batch(const struct options *o, struct device *devs, unsigned int first,
			  unsigned int n, struct tally *tally)
{
	unsigned int bad[BATCH], nbad = 0, i;
	struct outcome outcome;

	run_batch(o, devs, first, n, false);
	for (i = 0; i < n; i++) {
		outcome = compare_one(devs, i);
		count(tally, &outcome, &records[0][i]);
		if (outcome.verdict == SAME || (outcome.verdict == KNOWN && !o->known))
			continue;
		printf("# program %u %s\n", first + i,
		       outcome.verdict == KNOWN ? "meets a row" : "differs");
		compare(&programs[i], &records[0][i], &records[1][i], true);
		if (outcome.verdict == DIFFERENT)
			bad[nbad++] = first + i;
	}
	for (i = 0; i < nbad; i++)
		if (tally->different - nbad + i < o->tell)
			tell_again(o, devs, bad[i]);
}

static void print_tally(const struct tally *t, unsigned int done)
{
	unsigned int i;

	printf("# %u exits:", t->exits);
	for (i = 0; i < ARRAY_SIZE(t->reasons); i++)
		if (t->reasons[i])
			printf(" %s %u", exit_name(i), t->reasons[i]);
	printf(" stopped %u\n", t->stopped);
	for (i = 0; known_row(i); i++)
		if (t->met[i])
			printf("# row met %u times, the end %u times: %s: %s\n", t->met[i],
			       t->ended_by[i], known_row(i)->field, known_row(i)->why);
	printf("# %u programs: %u meet a row, %u were compared to their end, %u differ\n", done,
	       t->known, done - t->ended - t->different, t->different);
}

static int compare_all(const struct options *o, struct device *devs)
{
	unsigned int done = 0, nr = 0, part, n, before;
	struct tally tally = { };

	printf("KTAP version 1\n# seed %llu\n", (unsigned long long)o->seed);
	while (done < o->count && !(o->until_different && tally.different)) {
		before = tally.different;
		for (part = 0; part < RESULT && done < o->count; part += n, done += n) {
			if (o->until_different && tally.different)
				break;
			n = o->count - done < BATCH ? o->count - done : BATCH;
			n = RESULT - part < n ? RESULT - part : n;
			compare_batch(o, devs, o->first + done, n, &tally);
		}
		printf("%sok %u programs %u to %u of seed %llu%s\n",
		       tally.different == before ? "" : "not ", ++nr, o->first + done - part,
		       o->first + done - 1, (unsigned long long)o->seed,
		       o->how.prefix ? ", emulated" : o->how.restricted ? ", restricted" : "");
	}
	print_tally(&tally, done);
	printf("1..%u\n", nr);
	return tally.different ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1000, .tell = 10, .seed = time(NULL) };
	struct device devs[2];

	parse(argc, argv, &o);
	setvbuf(stdout, NULL, _IOLBF, 0);
	device_open(&devs[0], o.a);
	device_open(&devs[1], o.b);
	devices_agree(&devs[0], &devs[1]);
	if (!o.only)
		return compare_all(&o, devs);
	return tell_again(&o, devs, o.first).verdict == DIFFERENT;
}
