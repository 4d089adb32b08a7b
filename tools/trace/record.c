// SPDX-License-Identifier: MIT
/* record.c - the file of --record */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../util/json.h"
#include "../util/util.h"
#include "events.h"
#include "trace.h"

#define RECORDING	1	/* version of what --record writes */

int trace_record_head(const struct trace_run *t)
{
	json_line(t->record, json_pack("{s:s, s:i, s:s?, s:I}", "event", "recording", "version",
				       RECORDING, "histogram", hist_word(t->what), "wall_ns",
				       json_u64(event_wall_ns(tool_now_ns()))));
	return trace_flush(t);
}

int trace_flush(const struct trace_run *t)
{
	if (t->record && (fflush(t->record) || ferror(t->record))) {
		tool_error("--record \"%s\": cannot write: %s; what was recorded is not whole",
			   t->o->record, strerror(errno));
		return RC_FAIL;
	}
	return tool_flush();
}
