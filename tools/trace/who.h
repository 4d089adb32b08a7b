/* SPDX-License-Identifier: MIT */
/* who.h - the parts of `shmipc trace` that name a process; all return an exit code */
#ifndef TOOLS_TRACE_WHO_H
#define TOOLS_TRACE_WHO_H

#include "opts.h"

/* deaths.c: who held an end and died, and how */
int trace_deaths(const struct trace_opts *o);

/* slow.c: who holds whom up */
int trace_slow(const struct trace_opts *o);

#endif /* TOOLS_TRACE_WHO_H */
