/* SPDX-License-Identifier: MIT */
/* more.h - what ls and stat show of a segment besides, by its kind */
#ifndef TOOLS_VIEW_MORE_H
#define TOOLS_VIEW_MORE_H

#include <jansson.h>
#include <shmipc/deadman.h>
#include <shmipc/event.h>
#include <shmipc/named_lock.h>
#include <shmipc/queue.h>
#include <shmipc/topic.h>

struct view_more {
	uint32_t kind;		/* SHMIPC_KIND_ANY: nothing */
	union {
		struct shmipc_topic_stat topic;
		struct shmipc_event_stat event;
		struct shmipc_deadman_info deadman;
		struct shmipc_lock_info lock;
		struct shmipc_queue_stat queue;
	} u;
};

/* view_more_done() it, also after an error. Return: 0, -errno, with the library's text. */
int view_more_look(const char *name, const struct shmipc_segment_stat *st, struct view_more *ret);
void view_more_done(struct view_more *m);

/* Add to an object of ls, or of stat. */
void view_more_add_row(json_t *obj, const struct view_more *m);
void view_more_add_all(json_t *obj, const struct view_more *m);

/* For ls: "1>2", "pid 12"; which process, or how many. @text: TEXT_BYTES. */
void view_more_peers(const struct shmipc_segment_stat *st, const struct view_more *m, char text[32]);

/* As text. 1: with its ends; 0: the peers are to be listed. */
int view_more_print(const struct view_more *m);

#endif /* TOOLS_VIEW_MORE_H */
