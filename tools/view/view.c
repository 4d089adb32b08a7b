// SPDX-License-Identifier: MIT
/* view.c - a segment in words */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../util/json.h"
#include "../util/util.h"
#include "view.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* The numbers come from shared memory: any value is possible. */
static const char *word(const char *const *words, size_t n, uint32_t at)
{
	return at < n && words[at] ? words[at] : "unknown";
}

const char *kind_word(uint32_t kind)
{
	static const char *const words[] = {
		"unknown", "raw", "spsc", "bcast", "topic", [SHMIPC_KIND_QUEUE] = "queue",
		[SHMIPC_KIND_EVENT] = "event",
		[SHMIPC_KIND_DEADMAN] = "deadman", [SHMIPC_KIND_LOCK] = "lock" };

	return word(words, COUNT(words), kind);
}

const char *role_word(uint32_t role)
{
	static const char *const words[] = { "none", "producer", "consumer", "reader",
					     "member" };

	return word(words, COUNT(words), role);
}

const char *end_word(uint32_t kind, uint32_t role)
{
	if (kind == SHMIPC_KIND_EVENT && role == SHMIPC_ROLE_PRODUCER)
		return "notifier";
	if (kind == SHMIPC_KIND_EVENT && role == SHMIPC_ROLE_READER)
		return "listener";
	if (kind == SHMIPC_KIND_QUEUE && role == SHMIPC_ROLE_READER)
		return "consumer";
	if (kind == SHMIPC_KIND_DEADMAN && role == SHMIPC_ROLE_PRODUCER)
		return "holder";
	if (kind == SHMIPC_KIND_LOCK)
		return "peer";
	return role_word(role);
}

const char *policy_word(uint32_t policy)
{
	static const char *const words[] = { "unknown", "lossy", "lossless", "evict" };

	return word(words, COUNT(words), policy);
}

const char *peer_state_word(uint32_t state)
{
	static const char *const words[] = { "none", "attached", "left", "died" };

	return word(words, COUNT(words), state);
}

const char *segment_state_word(const struct shmipc_segment_stat *st)
{
	if (st->in_use)
		return "in use";
	return st->info.flags & SHMIPC_SEG_PERSISTENT ? "persistent" : "leftover";
}

const char *cap_word(uint32_t caps, unsigned int n)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words[] = {
		{ SHMIPC_CAP_ROLES, "roles-enforced" },
		{ SHMIPC_CAP_NO_TRUNCATE, "no-truncate" },
		{ SHMIPC_CAP_DEATH_WAKES, "death-wakes" },
		{ SHMIPC_CAP_WAITV, "waitv" },
		{ SHMIPC_CAP_MEMBARRIER, "membarrier" },
		{ SHMIPC_CAP_FENCE, "fence" },
		{ SHMIPC_CAP_SEAL, "seal" },
	};
	size_t i;

	for (i = 0; i < COUNT(words); i++)
		if (caps & words[i].bit && !n--)
			return words[i].word;
	return NULL;
}

void view_when(uint64_t ns, char text[32])
{
	time_t t = (time_t)(ns / NS_PER_S);
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(text, TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, TEXT_BYTES, "%" PRIu64, ns);
}

int view_look(const char *name, struct shmipc_segment_stat *st)
{
	int err;

	memset(st, 0, sizeof(*st));
	st->info.struct_bytes = sizeof(st->info);
	err = shmipc_segment_look(name, st);
	if (err)
		return err;
	/* The library has checked the number of slots against the size of the file. */
	st->peer_cap = st->info.peers;
	st->peer = calloc(st->peer_cap ? st->peer_cap : 1, sizeof(*st->peer));
	if (!st->peer)
		return -ENOMEM;
	err = shmipc_segment_look(name, st);
	if (err)
		view_done(st);
	else if (st->npeers > st->peer_cap)
		st->npeers = st->peer_cap;	/* removed and created anew in between */
	return err;
}

void view_done(struct shmipc_segment_stat *st)
{
	free(st->peer);
	st->peer = NULL;
}

int view_topic_look(const char *name, struct shmipc_topic_stat *st)
{
	int err;

	memset(st, 0, sizeof(*st));
	st->struct_bytes = sizeof(*st);
	err = shmipc_topic_look(name, st);
	if (err)
		return err;
	st->pub_cap = st->opts.publishers;
	st->sub_cap = st->opts.subscribers;
	st->pub = calloc(st->pub_cap + 1, sizeof(*st->pub));
	st->sub = calloc(st->sub_cap + 1, sizeof(*st->sub));
	err = st->pub && st->sub ? shmipc_topic_look(name, st) : -ENOMEM;
	if (err)
		view_topic_done(st);
	if (st->npubs > st->pub_cap)
		st->npubs = st->pub_cap;	/* removed and created anew in between */
	if (st->nsubs > st->sub_cap)
		st->nsubs = st->sub_cap;
	return err;
}

void view_topic_done(struct shmipc_topic_stat *st)
{
	free(st->pub);
	free(st->sub);
	st->pub = NULL;
	st->sub = NULL;
}

uint32_t view_attached(const struct shmipc_segment_stat *st)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->npeers; i++)
		n += st->peer[i].state == SHMIPC_PEER_ATTACHED;
	return n;
}

json_t *view_json(const struct shmipc_segment_stat *st)
{
	const struct shmipc_segment_info *info = &st->info;
	char name[SHMIPC_NAME_MAX + 8], user[TEXT_BYTES], group[TEXT_BYTES], mode[8];

	clean_text(info->name, sizeof(info->name), name, sizeof(name));
	snprintf(mode, sizeof(mode), "%04o", info->mode & 07777);
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:s, s:i, s:i, s:s, s:s}",
			 "name", name, "kind", kind_word(info->kind),
			 "backend", info->backend ? info->backend : "unknown",
			 "state", segment_state_word(st),
			 "persistent", !!(info->flags & SHMIPC_SEG_PERSISTENT),
			 "data_bytes", json_u64(info->data_bytes),
			 "total_bytes", json_u64(info->total_bytes),
			 "memory_bytes", json_u64(info->memory_bytes),
			 "huge_bytes", json_u64(info->huge_bytes),
			 "page_bytes", json_u64(info->page_got),
			 "page_asked", json_u64(info->page_asked),
			 "attached", (int)view_attached(st), "slots", (int)info->peers,
			 "mode", mode, "uid", (int)info->uid, "gid", (int)info->gid,
			 "user", user_name(info->uid, user),
			 "group", group_name(info->gid, group));
}

static int add_name(const char *name, void *arg)
{
	struct view_names *names = arg;
	size_t cap = names->cap ? 2 * names->cap : 64;
	char **p;

	if (names->n == names->cap) {
		p = realloc(names->name, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		names->name = p;
		names->cap = cap;
	}
	names->name[names->n] = strdup(name);
	if (!names->name[names->n])
		return -ENOMEM;
	names->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int view_names(struct view_names *names)
{
	int err;

	memset(names, 0, sizeof(*names));
	err = shmipc_segment_each(add_name, names);
	if (err)
		view_names_done(names);
	else if (names->n)
		qsort(names->name, names->n, sizeof(*names->name), by_name);
	return err;
}

void view_names_done(struct view_names *names)
{
	while (names->n)
		free(names->name[--names->n]);
	free(names->name);
	names->name = NULL;
}
