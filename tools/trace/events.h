/* SPDX-License-Identifier: MIT */
/* events.h - an event in words, in JSON, and from JSON */
#ifndef TOOLS_TRACE_EVENTS_H
#define TOOLS_TRACE_EVENTS_H

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>
#include "event.h"
#include "names.h"

/* "publish"; NULL: there is no such type. */
const char *event_word(uint32_t type);

/* The types of a word of @len bytes, 1 << enum trace_type or-ed; 0: unknown word. */
uint32_t event_types(const char *word, size_t len);

/* All words, separated by ", ". */
const char *event_words(char *text, size_t cap);

/* The default: not those of every message. */
#define EVENTS_DEFAULT							\
	(1u << TRACE_FULL | 1u << TRACE_WAIT | 1u << TRACE_WAIT_END |	\
	 1u << TRACE_WAKE | 1u << TRACE_GAP | 1u << TRACE_EVICT |	\
	 1u << TRACE_ABORT | 1u << TRACE_DEATH | 1u << TRACE_ATTACH |	\
	 1u << TRACE_DETACH | 1u << TRACE_CREATE | 1u << TRACE_DESTROY |	\
	 1u << TRACE_FENCE |						\
	 1u << TRACE_MOD_ATTACH | 1u << TRACE_MOD_DETACH |		\
	 1u << TRACE_MOD_DEATH | 1u << TRACE_MOD_WAIT |			\
	 1u << TRACE_MOD_WAIT_END | 1u << TRACE_MOD_WAKE)

/* CLOCK_REALTIME of a CLOCK_MONOTONIC time. */
uint64_t event_wall_ns(uint64_t mono_ns);

/* One line. @names: finds the process in a slot; NULL: for a recording. */
void event_print(FILE *to, const struct trace_event *e, const char *name, uint64_t wall_ns,
		 struct names *names);

/* NULL: no memory. */
json_t *event_json(const struct trace_event *e, const char *name, uint64_t wall_ns);

/**
 * event_from_json - the reverse
 * @obj:         the object
 * @ret:         filled in
 * @ret_name:    in @obj
 * @ret_wall_ns: when it was
 *
 * Return: 0; -ENOMSG: not an event; -EINVAL: a damaged event.
 */
int event_from_json(const json_t *obj, struct trace_event *ret, const char **ret_name,
		    uint64_t *ret_wall_ns);

#define ID_TEXT		20
/* An id as the other commands print it: its bytes in order. */
const char *id_text(uint64_t id, char text[ID_TEXT]);
int id_from_text(const char *text, uint64_t *ret);

#define TIME_TEXT	24
/* "12.3 us", with a unit for few digits. */
const char *format_ns(double ns, char text[TIME_TEXT]);

#endif /* TOOLS_TRACE_EVENTS_H */
