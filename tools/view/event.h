/* SPDX-License-Identifier: MIT */
/* event.h - what ls and stat show of events in addition to any segment */
#ifndef TOOLS_VIEW_EVENT_H
#define TOOLS_VIEW_EVENT_H

#include <jansson.h>
#include <shmipc/event.h>

/* shmipc_event_look() with room for all events and ends; view_event_done() it. Return: 0; -errno. */
int view_event_look(const char *name, struct shmipc_event_stat *st);
void view_event_done(struct shmipc_event_stat *st);

/* Attached ends of one of the two roles. */
uint32_t view_event_ends(const struct shmipc_event_stat *st, enum shmipc_role role);

/* Add to an object of ls, or of stat. */
void view_event_add_row(json_t *obj, const struct shmipc_event_stat *st);
void view_event_add_all(json_t *obj, const struct shmipc_event_stat *st);

/* As text: how many there are and were notified, then the notifiers and listeners. */
void view_event_print(const struct shmipc_event_stat *st);

#endif /* TOOLS_VIEW_EVENT_H */
