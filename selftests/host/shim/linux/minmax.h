/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MINMAX_H
#define SHIM_LINUX_MINMAX_H

#define min(a, b) ({ __auto_type _mi_a = (a); __auto_type _mi_b = (b); \
	_mi_a < _mi_b ? _mi_a : _mi_b; })
#define max(a, b) ({ __auto_type _ma_a = (a); __auto_type _ma_b = (b); \
	_ma_a > _ma_b ? _ma_a : _ma_b; })
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define min3(a, b, c) min(min(a, b), c)
#define max3(a, b, c) max(max(a, b), c)
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define swap(a, b) do { __auto_type _sw = (a); (a) = (b); (b) = _sw; } while (0)

#endif
