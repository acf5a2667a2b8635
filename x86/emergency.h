/* SPDX-License-Identifier: GPL-2.0-only */
/* Hardware virtualization must not stay on through a crash: the kernel's one callback for that. */
#ifndef OKVM_X86_EMERGENCY_H
#define OKVM_X86_EMERGENCY_H

/**
 * okvm_emergency_get() - one more VM
 * @off: switches the hardware off on the CPU that calls it, possibly from an NMI; always the same
 * @upstream: the module whose own callback would do it, if that is loaded
 *
 * May sleep.
 */
void okvm_emergency_get(void (*off)(void), const char *upstream);
void okvm_emergency_put(void);
/** okvm_emergency_end() - no VM comes any more; waits until the callback is given back */
void okvm_emergency_end(void);

#endif /* OKVM_X86_EMERGENCY_H */
