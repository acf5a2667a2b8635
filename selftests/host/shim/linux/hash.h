/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_HASH_H
#define SHIM_LINUX_HASH_H

#define hash_64(v, bits) ((unsigned long)(((u64)(v) * 0x61C8864680B583EBull) >> (64 - (bits))))

#endif
