/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test frame of the userspace builds: TEST() bodies register themselves, main() runs them all
 * and prints KTAP. With arguments, only tests whose name contains one of them are run.
 */
#ifndef OKVM_HOST_TEST_H
#define OKVM_HOST_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host_test {
	const char *name;
	void (*fn)(void);
	struct host_test *next;
};

static struct host_test *host_tests, **host_tests_tail = &host_tests;
static unsigned int host_failures;

#define HOST_MAX_REPORTS 20

/**
 * TEST() - define a test, registered before main() in the order of the file
 * @tname: its identifier, which is also its KTAP name
 */
#define TEST(tname)								\
	static void test_##tname(void);						\
	static struct host_test reg_##tname = { #tname, test_##tname, NULL };	\
	__attribute__((constructor)) static void add_##tname(void)		\
	{									\
		*host_tests_tail = &reg_##tname;				\
		host_tests_tail = &reg_##tname.next;				\
	}									\
	static void test_##tname(void)

#define HOST_FAIL(...)								\
	do {									\
		if (host_failures++ < HOST_MAX_REPORTS) {			\
			printf("# %s:%d: ", __FILE__, __LINE__);		\
			printf(__VA_ARGS__);					\
			printf("\n");						\
		}								\
	} while (0)

/* The EXPECTs record a failure and go on; the ASSERTs leave the test. */
#define EXPECT(cond)								\
	do {									\
		if (!(cond))							\
			HOST_FAIL("expected %s", #cond);			\
	} while (0)

#define EXPECT_EQ(a, b)								\
	do {									\
		uint64_t _ea = (uint64_t)(a), _eb = (uint64_t)(b);		\
										\
		if (_ea != _eb)							\
			HOST_FAIL("%s = %#" PRIx64 ", expected %s = %#" PRIx64,	\
				  #a, _ea, #b, _eb);				\
	} while (0)

#define EXPECT_NE(a, b)								\
	do {									\
		uint64_t _ea = (uint64_t)(a), _eb = (uint64_t)(b);		\
										\
		if (_ea == _eb)							\
			HOST_FAIL("%s = %s = %#" PRIx64, #a, #b, _ea);		\
	} while (0)

#define ASSERT(cond)								\
	do {									\
		if (!(cond)) {							\
			HOST_FAIL("expected %s", #cond);			\
			return;							\
		}								\
	} while (0)

static bool host_selected(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc <= 1;
}

int main(int argc, char **argv)
{
	unsigned int nr = 0, total = 0, failed = 0;
	struct host_test *t;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (t = host_tests; t; t = t->next)
		total += host_selected(t->name, argc, argv);
	printf("KTAP version 1\n1..%u\n", total);
	for (t = host_tests; t; t = t->next) {
		if (!host_selected(t->name, argc, argv))
			continue;
		host_failures = 0;
		t->fn();
		printf("%s %u %s\n", host_failures ? "not ok" : "ok", ++nr, t->name);
		failed += !!host_failures;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
