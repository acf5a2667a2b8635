/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Find out whether a module of upstream's KVM is loaded. okvm must know this for resources that
 * only one module can use at a time: the kernel's emergency callback and the folder kvm/ in
 * debugfs.
 *
 * okvm has a module notifier. The kernel calls it when the upstream module is being loaded, before
 * that module's init function runs, and when that module has been unloaded. Until the first of
 * these calls, okvm looks for the module's sysfs entry each time it needs to know. It must not
 * remember that it has found an entry: if okvm is loaded while the module is being unloaded, the
 * entry is still there, but the notifiers have already been called.
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

/**
 * okvm_rival_tell() - record what a module notifier has reported
 * @loaded: true if the module is loaded or being loaded; false if it has been unloaded
 */
static inline void okvm_rival_tell(struct okvm_rival *rival, bool loaded)
{
	rival->told = true;
	rival->loaded = loaded;
}

/**
 * okvm_rival_loaded() - return true if the module is loaded
 * @in_sysfs: function that returns true if sysfs has an entry for the module of this name
 */
static inline bool okvm_rival_loaded(const struct okvm_rival *rival,
				     bool (*in_sysfs)(const char *name))
{
	return rival->told ? rival->loaded : in_sysfs(rival->name);
}

#endif /* OKVM_CORE_RIVAL_H */
