// SPDX-License-Identifier: MIT
/* differs.c - the text when options differ from those at creation */
#include <errno.h>
#include <stdio.h>

#include "segment/body.h"
#include "segment/segment.h"

static struct shmipc_text word(const char *const *words, size_t n, uint32_t at)
{
	struct shmipc_text t;

	if (at < n && words[at])
		(void)snprintf(t.s, sizeof(t.s), "%s", words[at]);
	else
		(void)snprintf(t.s, sizeof(t.s), "unknown (%u)", at);
	return t;
}

struct shmipc_text shmipc_kind_text(uint32_t kind)
{
	static const char *const words[] = {
		"none", "raw", "spsc", "bcast", "topic", [SHMIPC_KIND_EVENT] = "event",
		[SHMIPC_KIND_DEADMAN] = "deadman", [SHMIPC_KIND_LOCK] = "lock",
		[SHMIPC_KIND_QUEUE] = "queue" };

	return word(words, sizeof(words) / sizeof(words[0]), kind);
}

struct shmipc_text shmipc_role_text(uint32_t role)
{
	static const char *const words[] = { "end without a role", "producer", "consumer", "reader",
					     "member" };

	return word(words, sizeof(words) / sizeof(words[0]), role);
}

const char *shmipc_end_noun(uint32_t kind, enum shmipc_role role)
{
	bool produces = role == SHMIPC_ROLE_PRODUCER;

	if (kind == SHMIPC_KIND_TOPIC)
		return produces ? "publisher" : "subscriber";
	if (kind == SHMIPC_KIND_EVENT)
		return produces ? "notifier" : "listener";
	if (kind == SHMIPC_KIND_DEADMAN)
		return "holder";
	if (kind == SHMIPC_KIND_LOCK)
		return "peer";
	if (kind == SHMIPC_KIND_QUEUE)
		return produces ? "producer" : "consumer";
	if (role == SHMIPC_ROLE_MEMBER)
		return "member";
	return produces ? "producer" : role == SHMIPC_ROLE_READER ? "reader" : "consumer";
}

/* What users call it. */
static const char *noun(uint32_t kind)
{
	if (kind == SHMIPC_KIND_TOPIC)
		return "topic";
	if (kind == SHMIPC_KIND_EVENT)
		return "event";	/* the noun: "events" are its numbers */
	if (kind == SHMIPC_KIND_DEADMAN)
		return "deadman";
	if (kind == SHMIPC_KIND_LOCK)
		return "lock";
	if (kind == SHMIPC_KIND_QUEUE)
		return "queue";
	return shmipc_kind_is_ring(kind) ? "ring" : "segment";
}

int shmipc_differs(const struct shmipc_seg_hdr *h, const char *name, const char *field,
		   struct shmipc_text asked, struct shmipc_text is)
{
	return shmipc_fail(-EINVAL, "shmipc: %s \"%s\": you asked for %s %s, it was created with %s (EINVAL); ask for the same, or leave it out",
			   noun(h->kind), name ? name : h->name, field, asked.s, is.s);
}

int shmipc_differs_kind(const struct shmipc_seg_hdr *h, const char *name, uint32_t asked)
{
	return shmipc_fail(-EINVAL, "shmipc: %s \"%s\": you asked for kind %s, it was created with kind %s (EINVAL); use another name, or remove it first",
			   noun(h->kind), name ? name : h->name, shmipc_kind_text(asked).s,
			   shmipc_kind_text(h->kind).s);
}
