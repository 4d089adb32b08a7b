/* SPDX-License-Identifier: MIT */
/* death.h - receipts of deaths, in words and in JSON */
#ifndef TOOLS_VIEW_DEATH_H
#define TOOLS_VIEW_DEATH_H

#include <jansson.h>
#include <shmipc/segment.h>

#define DEATH_TEXT	128

/* "SIGKILL", or "signal 34". */
const char *death_signal(uint32_t sig, char text[16]);

/* "SIGKILL, out of memory" */
const char *death_how(const struct shmipc_death_info *d, char text[DEATH_TEXT]);

/* "sent 10 messages"; "" if nothing is known. */
const char *death_where(const struct shmipc_death_info *d, char text[DEATH_TEXT]);

json_t *death_json(const struct shmipc_death_info *d);

/**
 * death_receipts - all receipts of a segment
 * @name:  of it
 * @after: only those with a larger number
 * @ret:   filled in; death_done() it
 *
 * Return: 0; 1: the backend keeps none, @ret is empty; -errno as shmipc_segment_deaths(),
 * or -ENOMEM.
 */
int death_receipts(const char *name, uint64_t after, struct shmipc_deaths *ret);
void death_done(struct shmipc_deaths *ret);

#endif /* TOOLS_VIEW_DEATH_H */
