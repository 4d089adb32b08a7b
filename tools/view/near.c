// SPDX-License-Identifier: MIT
/* near.c - a name that is not there, or a topic that nobody publishes: what may have been meant */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include <shmipc/error.h>
#include "../opts/opts.h"
#include "../util/util.h"
#include "topic.h"
#include "view.h"

#define TRIES	8u	/* of names that are similar, but are not topics with messages */

#define WORDS_BYTES	(SHMIPC_NAME_MAX + 32)

/* Does anybody publish @name? 1; 0 nobody, and *@ret_messages were published; or -errno. */
static int is_published(const char *name, uint64_t *ret_messages)
{
	struct shmipc_topic_stat st;
	uint32_t pubs;
	int err = view_topic_look(name, &st);

	if (err)
		return err;
	pubs = topic_pubs(&st);
	*ret_messages = st.tail;
	view_topic_done(&st);
	return pubs > 0;
}

/* A name that somebody only waits for is as wrong as the one that is not there. */
static int is_meant(const char *name, int published)
{
	uint64_t messages = 0;

	return !published || is_published(name, &messages) > 0 || messages;
}

/* The most similar of @n names, which are used up. */
static const char *nearest_of(const char *name, const char **names, size_t n, int published)
{
	unsigned int tries;
	const char *near;
	size_t i;

	for (tries = 0; tries < TRIES; tries++) {
		near = opts_nearest(name, names, n);
		if (!near || (strcmp(near, name) && is_meant(near, published)))
			return near;
		for (i = 0; names[i] != near; i++)
			continue;
		names[i] = names[--n];
	}
	return NULL;
}

/* "; did you mean NAME?", or nothing. */
static const char *meant(const char *name, int published, char text[WORDS_BYTES])
{
	struct view_names names;
	const char *near, **copy;

	*text = 0;
	if (view_names(&names))
		return text;
	copy = calloc(names.n + 1, sizeof(*copy));
	if (copy) {
		memcpy(copy, names.name, names.n * sizeof(*copy));
		near = nearest_of(name, copy, names.n, published);
		if (near)
			snprintf(text, WORDS_BYTES, "; did you mean %s?", near);
	}
	free(copy);
	view_names_done(&names);
	return text;
}

int view_note_nobody(const char *name)
{
	char words[WORDS_BYTES];
	uint64_t messages = 0;
	int ret = is_published(name, &messages);

	if (ret && ret != -ENOENT)
		return ret < 0 ? ret : 0;
	tool_note("nobody publishes \"%s\" %s%s", name, messages ? "at the moment" : "yet",
		  meant(name, 1, words));
	return 0;
}

static int is_there(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	(void)name;
	(void)err;
	(void)st;
	(void)arg;
	return 1;
}

void view_note_unmatched(char *const *pattern, int n, uint32_t kind)
{
	const char *what = kind == SHMIPC_KIND_TOPIC ? "topic" : "segment";
	char words[WORDS_BYTES];
	int i;

	for (i = 0; i < n; i++) {
		if (shmipc_discover_each(pattern[i], kind, is_there, NULL))
			continue;
		if (!pattern[i])
			tool_note("there is no %s yet", what);
		else if (opts_is_pattern(pattern[i]))
			tool_note("no %s matches \"%s\"", what, pattern[i]);
		else
			tool_note("there is no %s \"%s\" yet%s", what, pattern[i], meant(pattern[i], 0, words));
	}
}

int view_error_look(const char *what, const char *name, int err)
{
	char words[WORDS_BYTES];

	if (err != -ENOENT)
		tool_error_lib(what, name, err);
	else
		tool_error("there is no \"%s\" in %s (ENOENT): nobody publishes it yet, or its last peer has gone%s",
			   name, shmipc_segment_dir(), meant(name, 0, words));
	return RC_FAIL;
}
