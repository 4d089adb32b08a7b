// SPDX-License-Identifier: MIT
/* initialisers.c - each initialiser, used as in a C or C++ program; compiled only */
#ifdef __cplusplus	/* the functions in the headers are in C */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <shmipc/shmipc.h>
#pragma GCC diagnostic pop
#else
#include <shmipc/shmipc.h>
#endif

int use(const char *name, uint64_t history, struct shmipc_pub **ret);

int use(const char *name, uint64_t history, struct shmipc_pub **ret)
{
	const struct shmipc_topic_opts none = SHMIPC_TOPIC_OPTS();
	const struct shmipc_topic_opts one = SHMIPC_TOPIC_OPTS(.history = history);
	const struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(
		.gid = 1, .uid = 2, .node = 3, .page = SHMIPC_PAGE_2M, .evict_ns = 5, .mode = 0660,
		.policies = 7, .meta = SHMIPC_META_ALL, .holds = 8, .pool_bytes = 16384,
		.inline_bytes = 100, .history = history, .align = 64, .subscribers = 2,
		.publishers = 1, .flags = SHMIPC_PERSIST | SHMIPC_CHOWN);
	const struct shmipc_copier c = SHMIPC_COPIER(.name = "none", .arg = NULL);
	const struct shmipc_pub_opts p = SHMIPC_PUB_OPTS(.spin_ns = SHMIPC_SPIN_NEVER, .copier = &c);
	const struct shmipc_sub_opts s = SHMIPC_SUB_OPTS(.start = SHMIPC_START_OLDEST, .group = 2);
	const struct shmipc_segment_opts g = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 1);
	const struct shmipc_peer_opts pe = SHMIPC_PEER_OPTS(.spin_ns = 1);
	const struct shmipc_channel_opts h = SHMIPC_CHANNEL_OPTS(.stride = 2, .stride_at = 1);
	struct shmipc_topic_stat ts = SHMIPC_TOPIC_STAT(.pub_cap = 0, .sub_cap = 0);
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();
	struct shmipc_channel_stat cs = SHMIPC_CHANNEL_STAT();
	struct shmipc_pub_stat ps = SHMIPC_PUB_STAT();
	struct shmipc_sub_stat ss = SHMIPC_SUB_STAT();
	struct shmipc_event e = SHMIPC_EVENT();
	const struct shmipc_event_opts eo = SHMIPC_EVENT_OPTS(.events = 4096, .notifiers = 1);
	const struct shmipc_listener_opts lo = SHMIPC_LISTENER_OPTS(.flags = SHMIPC_LISTEN_PAST);
	const struct shmipc_queue_opts qo = SHMIPC_QUEUE_OPTS(.levels = 8, .item_bytes = 64);
	const struct shmipc_queue_how qh = SHMIPC_QUEUE_HOW(.spin_ns = 1);
	struct shmipc_push_stat us = SHMIPC_PUSH_STAT();
	struct shmipc_pop_stat os = SHMIPC_POP_STAT();
	struct shmipc_queue_stat qs = SHMIPC_QUEUE_STAT(.end_cap = 0);
	struct shmipc_dead_letter dl = SHMIPC_DEAD_LETTER();
	const struct shmipc_deadman_opts dm = SHMIPC_DEADMAN_OPTS(.flags = SHMIPC_PERSIST);
	struct shmipc_deadman_info di = SHMIPC_DEADMAN_INFO();
	struct shmipc_listener_stat ls = SHMIPC_LISTENER_STAT();
	struct shmipc_event_stat es = SHMIPC_EVENT_STAT(.end_cap = 0);
	struct shmipc_memory_limit m = SHMIPC_MEMORY_LIMIT();

	if (none.struct_bytes + one.struct_bytes + s.struct_bytes + g.struct_bytes + h.struct_bytes +
	    ts.struct_bytes + i.struct_bytes + cs.struct_bytes + ps.struct_bytes +
	    ss.struct_bytes + eo.struct_bytes + lo.struct_bytes + ls.struct_bytes + es.struct_bytes +
	    dm.struct_bytes + di.struct_bytes + qo.struct_bytes + qh.struct_bytes +
	    us.struct_bytes + os.struct_bytes + qs.struct_bytes + dl.struct_bytes +
	    e.struct_bytes + m.struct_bytes + pe.struct_bytes == 0)
		return -1;
#ifndef __cplusplus
	if (shmipc_pub_open(ret, name, &SHMIPC_TOPIC_OPTS(.history = history), &SHMIPC_PUB_OPTS()))
		return -1;
#endif
	return shmipc_pub_open(ret, name, &t, &p);
}
