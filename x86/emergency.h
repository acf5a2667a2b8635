/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's emergency callback, which switches VMX or SVM off when the host crashes. */
#ifndef OKVM_X86_EMERGENCY_H
#define OKVM_X86_EMERGENCY_H

/**
 * okvm_emergency_begin() - Set the callback that okvm_arch_emergency() registers when needed
 * @off: callback that switches VMX or SVM off on the CPU that calls it, possibly from an NMI
 * @upstream: name of upstream's module for this hardware (kvm_intel or kvm_amd); while this module
 *	is loaded, @off is not registered
 *
 * Called when the backend is loaded. Return: 0 or an errno
 */
int okvm_emergency_begin(void (*off)(void), const char *upstream);
/**
 * okvm_emergency_end() - Unregister the callback, and wait until it is unregistered
 *
 * Called when the backend is unloaded: no VM is created after this call.
 */
void okvm_emergency_end(void);

#endif /* OKVM_X86_EMERGENCY_H */
