/* SPDX-License-Identifier: MIT */
/*
 * look.h - repeated looks at all segments, and what changed between two looks
 *
 * A look reads the counters that the ends keep in shared memory: it needs only read
 * permission, does not attach, wakes no process, and keeps no segment from being removed.
 * It takes about 50 us a topic, most of that for mapping and unmapping it: on the dev
 * backend an open descriptor would keep the segment, so none is held between two looks.
 * With 30 topics, shmipc top --plain --count 200 --every 0.01 takes 0.3 s of a CPU: 15 %
 * of one at 100 looks a second.
 */
#ifndef TOOLS_LOOK_LOOK_H
#define TOOLS_LOOK_LOOK_H

#include <stddef.h>
#include <stdint.h>
#include <shmipc/topic.h>

#define LOOK_NOBODY	(~UINT32_C(0))

/* One end. Fields that its kind does not have are 0. */
struct look_end {
	uint32_t slot;		/* of the segment's peer table */
	uint32_t role;		/* enum shmipc_role */
	uint32_t state;		/* enum shmipc_peer_state: attached or died */
	uint32_t pid;		/* 0: not known, in another PID namespace */
	uint64_t generation;	/* another value: another end */
	uint64_t since_ns;
	char comm[16];		/* as the process wrote it: use clean_text() */
	/* of a publisher or producer */
	uint64_t sent;		/* by all that ever had the slot */
	uint64_t bytes;
	uint64_t waits;		/* how often it waited for room */
	uint32_t waits_for;	/* slot of the end that it waits for; LOOK_NOBODY */
	uint32_t chunks;	/* of the pool, being filled */
	/* of a subscriber, consumer or reader */
	uint32_t policy;	/* topics: enum shmipc_policy */
	uint32_t group;
	uint64_t pos;		/* number of its next message */
	uint64_t lag;		/* messages */
	uint64_t received;
	uint64_t lost;
	uint32_t holding;
	uint32_t evicted;
	/* since the last look; 0 at the first look */
	double messages_s;	/* sent, or received */
	double bytes_s;		/* sent */
	double lost_s;
	double waits_s;
	double lag_s;		/* messages a second that it falls further behind; may be negative */
};

struct look_seg {
	char name[SHMIPC_NAME_MAX + 8];
	uint64_t id;		/* first 8 bytes of the segment's id; 0 with @err */
	int err;		/* 0, or -errno: it cannot be looked at, and only the name is known */
	int is_new;		/* did not exist at the last look: no rates yet */
	int in_use;
	struct shmipc_segment_info info;
	uint64_t at_ns;		/* CLOCK_MONOTONIC of this look at it */
	double seconds;		/* since the last look, for rates; 0: it is new */
	/* by all publishers so far; these only grow */
	uint64_t published;	/* messages; of topics including aborted ones */
	uint64_t bytes;		/* topics: payloads; rings: payloads and record headers */
	uint64_t waits;
	uint64_t aborted;
	uint64_t evictions;
	/* by the ends that are attached; queues: by all, items that are done, lost or dropped */
	uint64_t received;
	uint64_t lost;
	double messages_s;
	double bytes_s;
	double lost_s;
	/*
	 * 0 to 1: how full it is for a publisher. Topics: by the slowest subscriber that
	 * publishers wait for, and 1 while one waits; lossless rings: the part that is not
	 * received; queues: the places in use of the fullest producer. 0 for all others.
	 */
	double occupancy;
	uint64_t capacity;	/* topics: messages; rings: bytes; queues: places of a producer */
	uint64_t max_lag;	/* queues: items that are not done */
	uint32_t laggard;	/* index in @end of the end with that lag; LOOK_NOBODY */
	uint32_t publishers;	/* attached */
	uint32_t subscribers;
	uint32_t waiters;	/* publishers that are waiting */
	uint32_t holders;	/* subscribers that hold messages of the pool; consumers that have items */
	uint64_t holding;	/* messages that they hold */
	/* the pool of a topic */
	uint64_t chunk_bytes;
	uint32_t chunks;
	uint32_t chunks_free;
	uint32_t chunks_owned;
	uint32_t chunks_held;
	uint64_t evict_ns;
	uint64_t abort_ns;
	uint64_t fence_ns;
	struct look_end *end;	/* publishers first, by slot */
	uint32_t nends;
	/* private */
	uint32_t end_cap;
	uint32_t old_nends;
	uint32_t old_cap;
	struct look_end *old;
	uint64_t round;
	/* for the caller: NULL at first, free()d with the segment */
	void *user;
};

struct look {
	/*
	 * Sorted by name. A segment has the same pointer as long as it exists; one that
	 * is created anew under the same name has another.
	 */
	struct look_seg **seg;
	size_t n;
	/* of all segments together */
	uint64_t at_ns;
	uint64_t took_ns;	/* of the last look */
	/* private */
	size_t cap;
	uint64_t round;
	char *const *patterns;
	int npatterns;
	void *scratch;
};

/**
 * look_init - prepare; does not look yet
 * @l:         look_done() it
 * @patterns:  names that match one of them; checked. Must outlive @l
 * @npatterns: 0: all
 */
void look_init(struct look *l, char *const *patterns, int npatterns);
void look_done(struct look *l);

/**
 * look_again - look at all of them now
 * @l: has the current state of its segments afterwards, with rates since the last look
 *
 * Return: 0; -ENOMEM; -EACCES the names cannot be listed. The library's text says more.
 */
int look_again(struct look *l);

/* The segment with this id, or NULL. */
struct look_seg *look_by_id(const struct look *l, uint64_t id);
/* Its end in this slot, or NULL. */
struct look_end *look_end_at(const struct look_seg *s, uint32_t slot);

/* First 8 bytes, as the probes and the module's tracepoints give them. */
uint64_t look_id(const uint8_t id[16]);

#endif /* TOOLS_LOOK_LOOK_H */
