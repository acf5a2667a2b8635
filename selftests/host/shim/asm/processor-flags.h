/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_PROCESSOR_FLAGS_H
#define SHIM_ASM_PROCESSOR_FLAGS_H

#include_next <asm/processor-flags.h>

#endif
