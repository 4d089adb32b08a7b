/* SPDX-License-Identifier: MIT */
/* topic.h - what ls and stat say of a topic besides what they say of any segment */
#ifndef TOOLS_VIEW_TOPIC_H
#define TOOLS_VIEW_TOPIC_H

#include <jansson.h>
#include <shmipc/topic.h>

/* Those that are attached now. */
uint32_t topic_pubs(const struct shmipc_topic_stat *st);
uint32_t topic_subs(const struct shmipc_topic_stat *st);

/* Into an object of ls, or of stat. */
void topic_add_row(json_t *obj, const struct shmipc_topic_stat *st);
void topic_add_all(json_t *obj, const struct shmipc_topic_stat *st);

/* For people: what it is and how full, then who is there. */
void topic_print(const struct shmipc_topic_stat *st);
void topic_print_ends(const struct shmipc_topic_stat *st);

#endif /* TOOLS_VIEW_TOPIC_H */
