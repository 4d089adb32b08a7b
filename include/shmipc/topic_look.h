/* SPDX-License-Identifier: MIT */
/* topic_look.h - inspecting a topic without joining it */
#ifndef SHMIPC_TOPIC_LOOK_H
#define SHMIPC_TOPIC_LOOK_H

#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of a topic's ends. These two lie in arrays, and grow into @reserved0. */
struct shmipc_topic_pub_info {
	struct shmipc_peer_info peer;
	uint64_t id;
	uint64_t sent;		/* including earlier publishers in this slot */
	uint64_t bytes;
	uint64_t waits;
	uint32_t waits_for;	/* peer slot plus 1; 0: none */
	uint32_t chunks;	/* of the pool that it owns */
	uint64_t reserved0[4];
};

struct shmipc_topic_sub_info {
	struct shmipc_peer_info peer;
	uint32_t policy;
	uint32_t group;		/* 0: none */
	uint64_t pos;
	uint64_t lag;		/* messages */
	uint64_t received;
	uint64_t lost;
	uint32_t holding;
	uint32_t evicted;	/* 1: publishers no longer wait for it */
	uint64_t reserved0[4];
};

/**
 * struct shmipc_topic_stat - properties and state of a topic at one moment
 *
 * @pub and @sub are the caller's arrays of @pub_cap and @sub_cap entries; @npubs and
 * @nsubs are the numbers of those attached, or dead and not yet replaced.
 */
struct shmipc_topic_stat {
	uint64_t struct_bytes;	/* set by the caller */
	struct shmipc_segment_info info;
	int in_use;
	struct shmipc_topic_opts opts;	/* as created; defaults are filled in */
	uint64_t max_message;
	uint64_t tail;		/* number of the next message */
	uint64_t floor;		/* number of the oldest message kept */
	uint64_t entries;
	uint64_t chunk_bytes;
	uint32_t chunks;
	uint32_t chunks_free;	/* not in use */
	uint32_t chunks_owned;	/* being filled */
	uint32_t chunks_held;	/* with a message that a subscriber holds */
	struct shmipc_topic_pub_info *pub;
	struct shmipc_topic_sub_info *sub;
	uint32_t pub_cap;
	uint32_t sub_cap;
	uint32_t npubs;
	uint32_t nsubs;
	/* totals over all publishers since creation, including those that have left */
	uint64_t sent;		/* messages */
	uint64_t bytes;
	uint64_t waits;
	uint64_t aborted;
	uint64_t evictions;
	uint32_t provisional;	/* 1: only subscribers without options have come; @opts may change */
	uint32_t chunks_sealed;
};

#define SHMIPC_TOPIC_STAT(...)	SHMIPC_PRIV_SIZED(struct shmipc_topic_stat, __VA_ARGS__)

/**
 * shmipc_topic_look - inspect a topic by name without joining it
 * @name: as for open
 * @ret:  filled in
 *
 * Needs read permission only.
 *
 * Return: 0; -EINVAL not a topic; otherwise as shmipc_segment_look().
 */
int shmipc_topic_look(const char *name, struct shmipc_topic_stat *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_TOPIC_LOOK_H */
