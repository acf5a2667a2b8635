/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Find out whether a module of upstream's KVM is loaded. The module and okvm use something that
 * only one of them can use at a time.
 *
 * A module notifier tells okvm when the module comes, before the module's init function runs, and
 * when the module has gone. Until a notifier has told this for the first time, okvm looks for the
 * module's entry in sysfs, each time anew. An earlier look may be outdated: if okvm is loaded while
 * the module is being unloaded, the notifiers have already been called, but the entry may still be
 * there. No notifier tells when the entry goes.
 */
#ifndef OKVM_CORE_RIVAL_H
#define OKVM_CORE_RIVAL_H

#include <linux/types.h>

/**
 * struct okvm_rival - what okvm knows of the module
 * @name: the module's name
 * @told: a notifier has told whether the module is loaded
 * @loaded: whether the module is loaded, if @told
 */
struct okvm_rival {
	const char *name;
	bool told;
	bool loaded;
};

/** okvm_rival_tell() - a module notifier reports that the module comes (@loaded) or has gone */
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
