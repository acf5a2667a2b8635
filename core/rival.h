/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a module of upstream's KVM loaded, with which okvm does not share something?
 *
 * A module notifier tells when the module comes, before its init function runs, and when it has
 * gone. Before the first time the module's entry in sysfs tells. That entry is looked for at each
 * question: if okvm is loaded while the module is being unloaded, the entry may still be there
 * although the notifiers have been called, and no notifier tells when the entry goes.
 */
#ifndef OKVM_CORE_RIVAL_H
#define OKVM_CORE_RIVAL_H

#include <linux/types.h>

/**
 * struct okvm_rival - what okvm knows of the module
 * @name: the module's name
 * @told: a notifier has told whether the module is loaded
 * @loaded: what the notifier has told
 */
struct okvm_rival {
	const char *name;
	bool told;
	bool loaded;
};

/** okvm_rival_tell() - a module notifier tells that the module comes, or that it has gone */
static inline void okvm_rival_tell(struct okvm_rival *rival, bool loaded)
{
	rival->told = true;
	rival->loaded = loaded;
}

/** okvm_rival_loaded() - is the module loaded? @in_sysfs(): does sysfs have the module? */
static inline bool okvm_rival_loaded(const struct okvm_rival *rival,
				     bool (*in_sysfs)(const char *name))
{
	return rival->told ? rival->loaded : in_sysfs(rival->name);
}

#endif /* OKVM_CORE_RIVAL_H */
