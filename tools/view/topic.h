/* SPDX-License-Identifier: MIT */
/* topic.h - what ls and stat show of a topic in addition to any segment */
#ifndef TOOLS_VIEW_TOPIC_H
#define TOOLS_VIEW_TOPIC_H

#include <jansson.h>
#include <shmipc/topic.h>

/* The number of those that are attached. */
uint32_t topic_pubs(const struct shmipc_topic_stat *st);
uint32_t topic_subs(const struct shmipc_topic_stat *st);

/* Add to an object of ls, or of stat. */
void topic_add_row(json_t *obj, const struct shmipc_topic_stat *st);
void topic_add_all(json_t *obj, const struct shmipc_topic_stat *st);

/* As text: what it is and how full, then its publishers and subscribers. */
void topic_print(const struct shmipc_topic_stat *st);
void topic_print_ends(const struct shmipc_topic_stat *st);

#endif /* TOOLS_VIEW_TOPIC_H */
