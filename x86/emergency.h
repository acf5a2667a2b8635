/* SPDX-License-Identifier: GPL-2.0-only */
/* Switch VMX or SVM off when the host crashes, by the kernel's one emergency callback. */
#ifndef OKVM_X86_EMERGENCY_H
#define OKVM_X86_EMERGENCY_H

/**
 * okvm_emergency_get() - Count a new VM; with the first VM, register the emergency callback
 * @off: callback that switches VMX or SVM off on the CPU that calls it, possibly from an NMI; the
 *	same function in each call
 * @upstream: name of upstream's module; if it is loaded, @off is not registered
 *
 * May sleep.
 */
void okvm_emergency_get(void (*off)(void), const char *upstream);
void okvm_emergency_put(void);
/**
 * okvm_emergency_end() - Unregister the callback, and wait until that is done
 *
 * Called when the backend is unloaded: no VM is created after that.
 */
void okvm_emergency_end(void);

#endif /* OKVM_X86_EMERGENCY_H */
