/* SPDX-License-Identifier: MIT */
/* queue.h - what ls and stat show of a work queue in addition to any segment */
#ifndef TOOLS_VIEW_QUEUE_H
#define TOOLS_VIEW_QUEUE_H

#include <jansson.h>
#include <shmipc/queue.h>

/* shmipc_queue_look() with room for all ends; view_queue_done() it. Return: 0; -errno. */
int view_queue_look(const char *name, struct shmipc_queue_stat *st);
void view_queue_done(struct shmipc_queue_stat *st);

/* Attached ends of one of the two roles. */
uint32_t view_queue_ends(const struct shmipc_queue_stat *st, enum shmipc_role role);

/* Items that nobody has, of all levels. */
uint64_t view_queue_ready(const struct shmipc_queue_stat *st);

/* Add to an object of ls, or of stat. */
void view_queue_add_row(json_t *obj, const struct shmipc_queue_stat *st);
void view_queue_add_all(json_t *obj, const struct shmipc_queue_stat *st);

/* As text: how full it is and what was done, then the producers and consumers. */
void view_queue_print(const struct shmipc_queue_stat *st);

#endif /* TOOLS_VIEW_QUEUE_H */
