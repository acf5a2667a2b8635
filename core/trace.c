// SPDX-License-Identifier: GPL-2.0-only
/* The one file in which the tracepoints are made. */
#define CREATE_TRACE_POINTS
#include "core/trace.h"
