// SPDX-License-Identifier: MIT
/* json.c - objects for programs */
#include <stdlib.h>
#include <unistd.h>
#include "json.h"
#include "util.h"

void json_line(FILE *to, json_t *obj)
{
	int failed = !obj || json_dumpf(obj, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0;

	if (failed && to == stdout && tool_reader_gone(STDOUT_FILENO))
		exit(RC_OK);
	if (failed) {
		fputs("shmipc: cannot print JSON: out of memory, or the output is closed\n", stderr);
		exit(RC_FAIL);
	}
	fputc('\n', to);
	json_decref(obj);
}
