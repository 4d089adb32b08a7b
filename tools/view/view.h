/* SPDX-License-Identifier: MIT */
/* view.h - a segment in words, for ls, stat, rm and gc */
#ifndef TOOLS_VIEW_VIEW_H
#define TOOLS_VIEW_VIEW_H

#include <jansson.h>
#include <shmipc/topic.h>

const char *kind_word(uint32_t kind);
const char *role_word(uint32_t role);
const char *policy_word(uint32_t policy);
const char *peer_state_word(uint32_t state);

/* The same for people, by the kind: "notifier", "listener", "consumer", "holder". */
const char *end_word(uint32_t kind, uint32_t role);

/* "in use", "persistent" (and no process attached) or "leftover". */
const char *segment_state_word(const struct shmipc_segment_stat *st);

/* A time since 1970, "2026-11-30 12:00:00"; @text: TEXT_BYTES. */
void view_when(uint64_t ns, char text[32]);

/* Capabilities, one after the other; NULL after the last. */
const char *cap_word(uint32_t caps, unsigned int n);

/**
 * view_look - shmipc_segment_look() with room for all peers
 * @name: of the segment
 * @st:   filled in; view_done() it
 *
 * Return: as shmipc_segment_look(), or -ENOMEM.
 */
int view_look(const char *name, struct shmipc_segment_stat *st);
void view_done(struct shmipc_segment_stat *st);

/* The same of a topic: shmipc_topic_look(). */
int view_topic_look(const char *name, struct shmipc_topic_stat *st);
void view_topic_done(struct shmipc_topic_stat *st);

/* The number of peers that are attached. */
uint32_t view_attached(const struct shmipc_segment_stat *st);

/* What ls prints of a segment; stat adds to it. */
json_t *view_json(const struct shmipc_segment_stat *st);

/* The names of all segments, sorted. */
struct view_names {
	char **name;
	size_t n;
	size_t cap;
};

/* Return: 0 or -errno, and the library's text says why. */
int view_names(struct view_names *names);
void view_names_done(struct view_names *names);

/*
 * near.c. A note if nobody publishes the topic @name, with the most similar topic that
 * somebody does publish. Nothing is created. Return: 0, or -errno if it cannot be looked at.
 */
int view_note_nobody(const char *name);

/* A note for each of @n patterns or names that no segment of @kind matches; NULL: there is none at all. */
void view_note_unmatched(char *const *pattern, int n, uint32_t kind);

/* @name cannot be looked at; if it is not there, the most similar one is named. RC_FAIL. */
int view_error_look(const char *what, const char *name, int err);

#endif /* TOOLS_VIEW_VIEW_H */
