/* SPDX-License-Identifier: MIT */
/* read.h - between look.c and read.c */
#ifndef TOOLS_LOOK_READ_H
#define TOOLS_LOOK_READ_H

#include <shmipc/queue.h>
#include "look.h"

/* Room for the ends of the largest possible segment. */
#define LOOK_PUBS	SHMIPC_TOPIC_PUBS_MAX
#define LOOK_SUBS	SHMIPC_TOPIC_SUBS_MAX
#define LOOK_ENDS	(LOOK_PUBS + LOOK_SUBS)
#define LOOK_QUEUE_ENDS	(SHMIPC_QUEUE_PRODUCERS_MAX + SHMIPC_QUEUE_CONSUMERS_MAX)

struct look_scratch {
	struct shmipc_topic_pub_info pub[LOOK_PUBS];
	struct shmipc_topic_sub_info sub[LOOK_SUBS];
	struct shmipc_peer_info peer[LOOK_ENDS];
	struct shmipc_queue_end queue[LOOK_QUEUE_ENDS];
	struct look_end end[LOOK_ENDS];
};

/**
 * look_read - read one segment
 * @x:    room
 * @name: of the segment
 * @kind: its kind at the last look, SHMIPC_KIND_ANY if it is new: a hint
 * @ret:  filled in except for rates; its ends are @x->end
 *
 * Return: 0; -ENOENT: it does not exist any longer; other errors are in @ret->err.
 */
int look_read(struct look_scratch *x, const char *name, uint32_t kind, struct look_seg *ret);

#endif /* TOOLS_LOOK_READ_H */
