/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_UAPI_ASM_VMX_H
#define SHIM_UAPI_ASM_VMX_H

#include <arch/x86/include/uapi/asm/vmx.h>

#endif
