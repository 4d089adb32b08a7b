// SPDX-License-Identifier: MIT
/* names.c - segments by the ids that probes carry */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include <shmipc/topic.h>
#include "events.h"
#include "names.h"
#include "../util/util.h"
#include "../view/view.h"
#ifdef WITH_BPF
#include <bpf/bpf.h>
#endif

#define FRESH_NS	(100 * NS_PER_MS)	/* peers are looked up at most so often */

static int by_id(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

void names_init(struct names *names, const struct trace_opts *o)
{
	*names = (struct names){ .opts = o, .map = -1 };
}

static void named_free(void *node)
{
	struct named *n = node;

	free(n->peer);
	free(n);
}

void names_done(struct names *names)
{
	tdestroy(names->tree, named_free);
	names->tree = NULL;
}

uint64_t names_id(const uint8_t id[16])
{
	uint64_t v;

	memcpy(&v, id, sizeof(v));
	return v;
}

static struct named *known(const struct names *names, uint64_t id)
{
	const struct named key = { .id = id };
	struct named **found = tfind(&key, &names->tree, by_id);

	return found ? *found : NULL;
}

#ifdef WITH_BPF
/* The eBPF programs skip segments that are not wanted. */
static void tell_programs(const struct names *names, const struct named *n)
{
	struct trace_name v = { .skip = !n->wanted };

	if (names->map < 0)
		return;
	memcpy(v.name, n->name, sizeof(v.name));
	(void)bpf_map_update_elem(names->map, &n->id, &v, BPF_ANY);
}

static int ask_programs(const struct names *names, uint64_t id, char name[TRACE_NAME])
{
	struct trace_name v;

	if (names->map < 0 || bpf_map_lookup_elem(names->map, &id, &v) || !v.name[0])
		return 0;
	clean_text(v.name, sizeof(v.name), name, TRACE_NAME);
	return 1;
}
#else
static void tell_programs(const struct names *names, const struct named *n)
{
	(void)names;
	(void)n;
}

static int ask_programs(const struct names *names, uint64_t id, char name[TRACE_NAME])
{
	(void)names;
	(void)id;
	(void)name;
	return 0;
}
#endif

/* One that cannot be looked at, as in another directory, counts as stamped. */
static int carries_stamps(const char *name)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	int err = shmipc_topic_look(name, &st);

	return err ? err != -EINVAL : !!(st.opts.meta & SHMIPC_META_MONO);
}

static struct named *add(struct names *names, uint64_t id, const char *name)
{
	struct named *n = known(names, id), **found;

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->id = id;
	clean_text(name, TRACE_NAME - 1, n->name, sizeof(n->name));
	n->wanted = opts_matches(&names->opts->patterns, n->name);
	found = tsearch(n, &names->tree, by_id);
	if (!found) {
		free(n);
		return NULL;
	}
	tell_programs(names, n);
	return n;
}

const struct named *names_add(struct names *names, uint64_t id, const char *name)
{
	int is_new = !known(names, id);
	struct named *n = add(names, id, name);

	if (n && is_new) {
		n->stamped = n->wanted && carries_stamps(name);
		if (names->fn)
			names->fn(n, names->arg);
	}
	return n;
}

#ifdef WITH_BPF
int names_learn(struct names *names)
{
	uint64_t id, *last = NULL;

	while (!bpf_map_get_next_key(names->map, last, &id)) {
		if (!names_find(names, id))
			return -ENOMEM;
		last = &id;
	}
	return 0;
}
#endif

const struct named *names_find(struct names *names, uint64_t id)
{
	const struct named *n = known(names, id);
	char name[TRACE_NAME];

	if (n)
		return n;
	if (!ask_programs(names, id, name))
		id_text(id, name);
	return names_add(names, id, name);
}

void names_on_device(struct names *names, uint64_t id)
{
	struct named *n = known(names, id);

	if (n)
		n->on_device = 1;
}

static int discovered(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	if (err || !st)
		return 0;	/* removed, or not readable */
	if (!names_add(arg, names_id(st->info.id), name))
		return -ENOMEM;
	if (st->info.backend && !strcmp(st->info.backend, "dev"))
		names_on_device(arg, names_id(st->info.id));
	return 0;
}

int names_discover(struct names *names)
{
	return shmipc_discover_each(NULL, SHMIPC_KIND_ANY, discovered, names);
}

static void look_up_peers(struct named *n)
{
	struct shmipc_segment_stat st;
	struct names_peer *p;
	uint32_t i, slot;

	if (view_look(n->name, &st))
		return;
	if (names_id(st.info.id) != n->id)
		st.npeers = 0;	/* another segment has the name now */
	for (i = 0; i < st.npeers; i++) {
		slot = st.peer[i].slot;
		if (slot >= n->npeers) {
			p = realloc(n->peer, (slot + 1) * sizeof(*p));
			if (!p)
				break;
			memset(p + n->npeers, 0, (slot + 1 - n->npeers) * sizeof(*p));
			n->peer = p;
			n->npeers = slot + 1;
		}
		n->peer[slot].pid = st.peer[i].pid;
		clean_text(st.peer[i].comm, sizeof(st.peer[i].comm), n->peer[slot].comm,
			   sizeof(n->peer[slot].comm));
	}
	view_done(&st);
}

struct names_peer names_peer(struct names *names, uint64_t id, uint32_t slot)
{
	static const struct names_peer nobody;
	struct named *n = known(names, id);
	uint64_t now = tool_now_ns();

	if (!n)
		return nobody;
	if (now - n->looked_ns > FRESH_NS) {
		n->looked_ns = now;
		look_up_peers(n);
	}
	return slot < n->npeers ? n->peer[slot] : nobody;
}
