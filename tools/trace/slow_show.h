/* SPDX-License-Identifier: MIT */
/* slow_show.h - the report of slow ends, as text and in JSON */
#ifndef TOOLS_TRACE_SLOW_SHOW_H
#define TOOLS_TRACE_SLOW_SHOW_H

#include "slow_find.h"
#include "opts.h"

/* One report on standard output, about the segments of @l. */
void slow_show(const struct trace_opts *o, const struct slow_report *r, const struct look *l);

#endif /* TOOLS_TRACE_SLOW_SHOW_H */
