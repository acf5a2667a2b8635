// SPDX-License-Identifier: GPL-2.0-only
/*
 * The differences that are meant. A row matches a field and a circumstance,
 * never a field alone; its reason cites the manual by section title.
 */
#include <string.h>

#include "selftests/differential/differential.h"

typedef const struct program program_t;
typedef const struct moment moment_t;

static const struct known rows[] = {
	{ }
};

static bool field_matches(const char *pattern, const char *field)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, field, len - 1);
	return !strcmp(pattern, field);
}

const struct known *known_find(const struct program *p, const struct difference *d,
			       const struct moment *a, const struct moment *b,
			       const struct moment *before)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].field && field_matches(rows[i].field, d->field) &&
		    rows[i].when(p, a, b, before))
			return &rows[i];
	return NULL;
}
