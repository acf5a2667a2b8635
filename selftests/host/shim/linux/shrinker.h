/* SPDX-License-Identifier: GPL-2.0-only */
/* The test calls what was registered. */
#ifndef SHIM_LINUX_SHRINKER_H
#define SHIM_LINUX_SHRINKER_H

#define SHRINK_STOP	(~0UL)
#define SHRINK_EMPTY	(~0UL - 1)

struct shrink_control {
	unsigned long nr_to_scan;
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *s, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *s, struct shrink_control *sc);
};

/* The test's. */
struct shrinker *okvm_shrinker_add(const char *name,
				   unsigned long (*count)(struct shrinker *s,
							  struct shrink_control *sc),
				   unsigned long (*scan)(struct shrinker *s,
							 struct shrink_control *sc));
void okvm_shrinker_remove(struct shrinker *s);

#endif
