/* SPDX-License-Identifier: MIT */
/* json.h - objects for programs: one a line, keys in a stable order */
#ifndef TOOLS_UTIL_JSON_H
#define TOOLS_UTIL_JSON_H

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

/* Print @obj as one line and release it. NULL (no memory) ends the process. */
void json_line(FILE *to, json_t *obj);

/* jansson's integers are signed; counts above 2^63 do not occur. */
static inline json_int_t json_u64(uint64_t v)
{
	return (json_int_t)v;
}

#endif /* TOOLS_UTIL_JSON_H */
