/* SPDX-License-Identifier: GPL-2.0-only */
/* The events of the system kvm, for tests of what they tell. */
#ifndef OKVM_SELFTESTS_TRACING_H
#define OKVM_SELFTESTS_TRACING_H

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "selftests/lib/okvm_test.h"

#define TRACING "/sys/kernel/tracing"

static inline bool on_okvm(void)
{
	const char *device = getenv("OKVM_DEVICE");

	return !device || !strcmp(device, "/dev/okvm");
}

static inline void tracing_mount(void)
{
	struct stat st;

	if (stat(TRACING "/events", &st))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (stat(TRACING "/events/kvm", &st))
		test_skip("no events of the system kvm: no tracefs, or another module's");
	if (on_okvm() && !access("/sys/module/kvm", F_OK))
		test_skip("kvm.ko is loaded, and has the events");
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline void tracing_begin(void)
{
	tracing_mount();
	write_file(TRACING "/trace", "\n");
	write_file(TRACING "/events/kvm/enable", "1");
}

static char *trace_text;

static inline void tracing_end(void)
{
	FILE *file;
	size_t size = 4u << 20, got;

	write_file(TRACING "/events/kvm/enable", "0");
	file = fopen(TRACING "/trace", "r");
	REQUIRE(file);
	trace_text = malloc(size);
	got = fread(trace_text, 1, size - 1, file);
	trace_text[got] = 0;
	fclose(file);
}

/* Lines of an event that hold a text. */
static inline unsigned int traced(const char *event, const char *text)
{
	char name[64], *line, *next;
	unsigned int n = 0;

	snprintf(name, sizeof(name), " %s: ", event);
	for (line = trace_text; line; line = next) {
		char *end = strchr(line, '\n');
		char *at = strstr(line, name);

		next = end ? end + 1 : NULL;
		if (!at || (end && at > end))
			continue;
		at = strstr(at, text);
		n += at && (!end || at < end);
	}
	return n;
}

#endif /* OKVM_SELFTESTS_TRACING_H */
