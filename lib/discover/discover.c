// SPDX-License-Identifier: MIT
/* discover.c - the existing segments, selected by pattern and kind */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shmipc/discover.h>

#include "discover/discover.h"

/* If the name gets another segment with a larger table meanwhile, try again. */
#define LOOK_TRIES	5

int shmipc_glob_read(const char **pattern)
{
	const char *reason;

	if (!*pattern)
		*pattern = "**";
	if (!shmipc_glob_check(*pattern, &reason))
		return 0;
	return shmipc_fail(-EINVAL, "shmipc: \"%.210s\" is not a valid pattern: %s (EINVAL)",
			   *pattern, reason);
}

struct gather {
	struct shmipc_names *names;
	const char *pattern;
};

static int gather_one(const char *name, void *arg)
{
	struct gather *g = arg;
	struct shmipc_names *names = g->names;
	size_t cap = names->cap ? 2 * names->cap : 64;
	void *more;

	if (!shmipc_glob_match(g->pattern, name))
		return 0;
	if (names->n == names->cap) {
		more = realloc(names->name, cap * sizeof(*names->name));
		if (!more)
			return shmipc_fail(-ENOMEM, "shmipc: no memory for %zu names (ENOMEM)", cap);
		names->name = more;
		names->cap = cap;
	}
	strcpy(names->name[names->n++], name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int shmipc_names_get(struct shmipc_names *names, const struct shmipc_backend *be,
		     const char *pattern)
{
	struct gather g = { .names = names, .pattern = pattern };
	int err;

	*names = (struct shmipc_names){ 0 };
	err = be->each(gather_one, &g);
	if (!err && names->n)
		qsort(names->name, names->n, sizeof(*names->name), by_name);
	return err;
}

void shmipc_names_free(struct shmipc_names *names)
{
	free(names->name);
	names->name = NULL;
}

/* shmipc_segment_look() with room for all peers; @st->peer grows, the caller frees it. */
static int look(const char *name, struct shmipc_segment_stat *st)
{
	int err = 0, tries;
	void *more;

	for (tries = 0; tries < LOOK_TRIES; tries++) {
		st->info.struct_bytes = sizeof(st->info);
		err = shmipc_segment_look(name, st);
		if (err || st->npeers <= st->peer_cap)
			return err;
		more = realloc(st->peer, st->info.peers * sizeof(*st->peer));
		if (!more)
			return shmipc_fail(-ENOMEM, "shmipc: look at \"%s\": no memory for %u peers (ENOMEM)",
					   name, st->info.peers);
		st->peer = more;
		st->peer_cap = st->info.peers;
	}
	st->npeers = st->peer_cap;
	return err;
}

static int each(const char *pattern, uint32_t kind,
		int (*fn)(const char *name, int err, const struct shmipc_segment_stat *st, void *arg),
		void *arg)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment_stat st = { .peer = NULL };
	struct shmipc_names names = { 0 };
	size_t i;
	int err;

	if (!fn)
		return shmipc_null("shmipc_discover_each", "fn");
	err = be ? shmipc_glob_read(&pattern) : shmipc_no_backend();
	if (!err)
		err = shmipc_names_get(&names, be, pattern);
	for (i = 0; !err && i < names.n; i++) {
		err = look(names.name[i], &st);
		if (err == -ENOENT)
			err = 0;	/* disappeared meanwhile */
		else if (err)
			err = fn(names.name[i], err, NULL, arg);
		else if (kind == SHMIPC_KIND_ANY || st.info.kind == kind)
			err = fn(names.name[i], 0, &st, arg);
	}
	shmipc_names_free(&names);
	free(st.peer);
	return err;
}

SHMIPC_EXPORT int shmipc_discover_each(const char *pattern, uint32_t kind,
				       int (*fn)(const char *name, int err,
						 const struct shmipc_segment_stat *st, void *arg),
				       void *arg)
{
	return SHMIPC_TOLD(each(pattern, kind, fn, arg));
}
