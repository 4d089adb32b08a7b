/* SPDX-License-Identifier: MIT */
/* topic.h - a topic's ends, private parts */
#ifndef SHMIPC_LIB_TOPIC_H
#define SHMIPC_LIB_TOPIC_H

#include <pthread.h>

#include <shmipc/inline/tlog_abort.h>
#include <shmipc/topic.h>

#include "payload/copier.h"
#include "segment/backend.h"
#include "segment/body.h"
#include "topic/pool.h"
#include "segment/probe.h"

#define TOPIC_SURE_NS	50000000u	/* ask the kernel for the others this often */

/* A message that is claimed, and not there: since when, as far as this end has seen it. */
struct shmipc_topic_stall {
	uint64_t seq;			/* its number, plus 1; 0: none */
	uint64_t since_ns;
};

/* A publisher that has claimed a message and not committed it, as far as this end has seen it. */
struct shmipc_topic_suspect {
	uint64_t seq;			/* of the message, plus 1; 0: none */
	uint32_t slot;
	int err;			/* why it could not be cut off */
	uint64_t claim;			/* in its line */
	uint64_t generation;
	uint64_t since_ns;
	uint64_t warned_ns;		/* most of its time was over; 0: it was not */
	uint64_t busy_ns;		/* it is cut off, but the kernel still writes for it; 0: no */
};

/* What publishers and subscribers have in common. */
struct shmipc_topic_end {
	struct shmipc_segment *seg;
	struct shmipc_end end;
	struct shmipc_copier copier;	/* the user's, or "auto" */
	struct shmipc_waiter wait;
	uint64_t wakes;
	struct shmipc_topic_stall stall;
	struct shmipc_topic_suspect suspect;
	uint64_t fenced;		/* publishers that we cut off */
	int fence_err;
};

/* For probes: our slot. */
static inline uint32_t shmipc_topic_slot(const struct shmipc_topic_end *t)
{
	return t->seg->read_only ? SHMIPC_PROBE_NOBODY : t->end.slot;
}

/* A message to be published: the bytes before its payload. */
struct shmipc_outgoing {
	size_t prefix_len;		/* meta fields and headers, a multiple of 8 */
	size_t headers_len;
};

struct shmipc_pub_priv {
	struct shmipc_pub pub;		/* first: the user's part */
	struct shmipc_topic_end t;
	struct shmipc_pool pool;
	const struct shmipc_middleware_chain *chain;
	struct shmipc_headers headers;	/* of the message that is being received */
	unsigned char *prefix;		/* of a message for a cell */
	size_t prefix_cap;
	struct shmipc_loan_place *loan;	/* pub_loan.c: a table of ... */
	uint32_t nloans;
	uint32_t loan_free;		/* ... with a list of free places; nloans: none */
	uint64_t cell_max;		/* payload and prefix that go into a cell */
	uint64_t opened_sent;
	uint64_t opened_bytes;
	bool own_copier;
	struct shmipc_blocked blocked;
	uint64_t waits;
	uint64_t evicted;
	uint64_t patience_state;	/* of the subscriber of policy EVICT that we wait for ... */
	uint64_t patience_need;
	uint64_t patience_from_ns;	/* ... since then */
	uint64_t ask_ns;		/* when to ask the kernel again */
	uint64_t holes;			/* numbers given up in a row: an entry may be filled by another */
	/* topic_want.c: when there were so many sleeps, the next number that was wanted */
	uint64_t sleeps;
	uint64_t next_wanted;
};

/* A message that a subscriber has taken. */
struct shmipc_sub_hold {
	bool used;
	bool in_pool;			/* by the hold of this number in our line */
	unsigned char *copy;
	size_t cap;
	unsigned char *prefix;		/* with a user's copier: meta fields and headers */
	uint64_t chunks;		/* in the pool: where it lies ... */
	uint64_t seal;			/* ... and the number of its seal, when it was taken */
};

struct shmipc_sub_priv {
	struct shmipc_sub sub;		/* first: the user's part */
	struct shmipc_topic_end t;
	bool own_copier;
	uint32_t iter;
	uint32_t policy;
	uint32_t group;			/* 0: none */
	uint32_t nholds;
	struct shmipc_sub_hold *hold;
	uint64_t skipped;
	bool asked_for;			/* the next message is the one requested by the start option */
	bool group_has;			/* the message at our position is ours */
	bool group_lost;		/* the group reached messages that are gone: to be reported */
	/* sub_move.c: from a provisional topic to what the publisher made of it */
	bool provisional;		/* it may still be superseded */
	bool late;			/* it moved too late for all messages: to be reported */
	uint64_t moving_ns;		/* since when the new topic has been missing; 0: not moving */
	uint32_t helped;		/* how often it had to create the topic itself */
	int move_err;			/* it may not join the new topic: to be reported */
	struct shmipc_sub_opts opts;
	struct shmipc_topic_opts topic;
	/* sub_thread.c */
	pthread_t thread;
	pthread_mutex_t thread_mutex;
	pthread_cond_t thread_cond;	/* thread_state has changed */
	uint32_t thread_state;
	uint32_t stop;			/* calls return -EINTR */
	bool closing;			/* its own function has closed it: the thread does the rest */
	uint64_t wanted;		/* number of the message that it is about to sleep for */
	const uint32_t *sleeps_on;	/* the word that it last slept on */
	shmipc_sub_fn fn;
	void *fn_arg;
};

static inline struct shmipc_pub_priv *pub_priv(const struct shmipc_pub *pub)
{
	return (struct shmipc_pub_priv *)(uintptr_t)pub;
}

static inline struct shmipc_sub_priv *sub_priv(const struct shmipc_sub *sub)
{
	return (struct shmipc_sub_priv *)(uintptr_t)sub;
}

/* A topic was superseded: how long others may take to put another one in its place. */
#define TOPIC_PATIENCE_NS	UINT64_C(100000000)
#define TOPIC_NAP_NS		UINT64_C(200000)

/* topic.c: for a subscriber */
int shmipc_topic_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_topic_opts *opts);
/*
 * For a publisher, which then takes its end, and tries again if
 * shmipc_topic_shape_final() is false. *@ret_old: the segment that it has superseded, to
 * be awaited and closed; or NULL.
 */
int shmipc_topic_open_to_publish(struct shmipc_segment **ret, struct shmipc_segment **ret_old,
				 const char *name, const struct shmipc_topic_opts *opts);
/*
 * For a subscriber of one that is superseded; @helps: creates it, too. Of the options only
 * those that say which users share it.
 */
int shmipc_topic_open_moved(struct shmipc_segment **ret, const char *name,
			    const struct shmipc_topic_opts *opts, bool helps);
/* @waits: for what replaces a superseded one, for a moment */
int shmipc_topic_open_read_only(struct shmipc_segment **ret, const char *name,
				const struct shmipc_topic_opts *opts, bool waits, int *ret_in_use);
void shmipc_topic_end_close(struct shmipc_topic_end *t);

/* topic_shape.c: which end determines what a topic is */
enum shmipc_topic_shape shmipc_topic_shape(const struct shmipc_segment *seg);
void shmipc_topic_shape_wake(struct shmipc_segment *seg);
bool shmipc_topic_shape_final(struct shmipc_segment *seg);
int shmipc_topic_shape_decide(struct shmipc_segment *seg, enum shmipc_topic_shape to);
bool shmipc_topic_shape_ours(const struct shmipc_segment *seg);
/* Until the subscribers that sleep in what we superseded have left it, or a while. */
void shmipc_topic_shape_await(struct shmipc_segment *old);

/* topic_opts.c: a private copy of the user's, 0 or -EINVAL with a text */
int shmipc_topic_opts_read(struct shmipc_topic_opts *o, const struct shmipc_topic_opts *user);
int shmipc_topic_opts_bad(const char *what, uint64_t is, const char *should);
void shmipc_topic_opts_plan(struct shmipc_tlog_opts *l, const struct shmipc_topic_opts *o);
/* Do the user's options match the topic? -EINVAL with a text. */
int shmipc_topic_opts_match(const struct shmipc_segment *seg, const struct shmipc_topic_opts *o);
void shmipc_topic_opts_segment(struct shmipc_segment_opts *so, const struct shmipc_topic_opts *o);
void shmipc_topic_opts_of(const struct shmipc_segment *seg, struct shmipc_topic_opts *ret);
uint64_t shmipc_topic_max_message(const struct shmipc_tlog *log);

/* topic_live.c */
/* Wake sleepers for one of @n messages from @seq on; @slot is the caller's. */
void shmipc_topic_wake(struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint32_t n);

/* topic_want.c: a subscriber is about to sleep until message @want - 1 comes */
void shmipc_topic_want(struct shmipc_segment *seg, struct shmipc_sub_line *line, uint64_t want);
/* @n messages from @seq on are there, and a subscriber may sleep for one of them, or a later one. */
void shmipc_topic_wake_wanted(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n);

/* Is the publisher, or the subscriber, in a slot of its kind alive? */
int shmipc_topic_pub_alive(void *seg, uint32_t slot);
bool shmipc_topic_sub_alive(struct shmipc_segment *seg, uint32_t slot, uint64_t generation,
			    bool sure);

/*
 * topic_abort.c: store the words of what publisher @slot has claimed, if it is decided what
 * becomes of it, and wake the sleepers; @me: the caller's slot. Was anything done?
 */
bool shmipc_topic_settle(struct shmipc_segment *seg, uint32_t me, uint32_t slot);
/*
 * Is message @seq in the way of others for longer than the topic allows? Then it is
 * aborted, or its publisher is cut off. *@until_ns is lowered to when to look again, which
 * no one tells us. true: look again now.
 */
bool shmipc_topic_stalled(struct shmipc_topic_end *t, uint64_t seq, uint64_t *until_ns);
/* topic_fence.c: the same in a topic with fence_ns */
bool shmipc_topic_fence(struct shmipc_topic_end *t, uint64_t seq, uint64_t *until_ns);

/*
 * topic_memory.c: prepare an end's view of the topic's memory: a publisher's of all
 * that there is, a subscriber's of its own line, if it has a slot. 0; -errno with a text
 */
#define SHMIPC_TOPIC_LOOKS	UINT32_MAX
int shmipc_topic_memory_pub(struct shmipc_segment *seg);
int shmipc_topic_memory_all(struct shmipc_segment *seg);	/* then: the rest, too */
int shmipc_topic_memory_sub(struct shmipc_segment *seg, uint32_t slot);

/* pub_wait.c */
/* Is @b still in the way? 0: no; the caller may then have got what it wants. */
typedef int (*shmipc_pub_again_fn)(struct shmipc_pub_priv *p, void *arg,
				   struct shmipc_tlog_block *b);

int shmipc_pub_wait(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		    bool pool, shmipc_pub_again_fn again, void *arg, uint64_t deadline_ns);
/* Is the peer in the way dead? Then it no longer is. @sure: ask the kernel. */
bool shmipc_pub_bury(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, bool sure);
/* For shmipc_pub_blocked() */
void shmipc_pub_note(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b);

/* pub.c: collect the headers of a message: the user's, then the chain's */
int shmipc_pub_chain(struct shmipc_pub_priv *p, const struct shmipc_headers *user, const void *buf,
		     size_t len, struct shmipc_outgoing *ret);
/* Does a message of @len bytes, with its prefix, fit a cell of this size? */
bool shmipc_pub_fits(uint64_t cell_bytes, size_t prefix_len, size_t len);
/* @headers: a block built already; NULL: that of p->headers */
int shmipc_pub_cell(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, const void *headers,
		    const void *buf, size_t len, uint64_t deadline_ns);
/* Get room in the pool, with the headers; and publish it. */
int shmipc_pub_block(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, size_t len,
		     struct shmipc_pool_block *ret_blk, void **ret_ptr, uint64_t deadline_ns);
int shmipc_pub_block_publish(struct shmipc_pub_priv *p, const struct shmipc_pool_block *blk,
			     const struct shmipc_outgoing *out, size_t len, uint64_t deadline_ns);

/*
 * topic_seal.c: chunks of the pool. seal, unseal: of a publisher; 0, -errno with a text.
 * check: can @be seal messages, if @seal_bytes say so? seal_of: the number of the seal of
 * @chunks, first | last << 32; 0: they are not sealed, or not by one. sealed: how many.
 */
int shmipc_pub_seal(struct shmipc_segment *seg, uint32_t first, uint32_t last);
int shmipc_pub_unseal(void *seg, uint32_t first, uint32_t n);
int shmipc_topic_seal_check(const char *name, const struct shmipc_backend *be, uint64_t seal_bytes);
uint64_t shmipc_topic_seal_of(const struct shmipc_segment *seg, uint64_t chunks);
uint32_t shmipc_topic_sealed(const struct shmipc_segment *seg);

/* pub_open.c: an existing topic; *@ret is unchanged if it is provisional */
int shmipc_pub_open_to_trim(struct shmipc_pub **ret, const char *name);

/* pub_loan.c */
void shmipc_loan_free_all(struct shmipc_pub_priv *p);

/* sub_wait.c: would a call return at once? Looks only. */
bool shmipc_sub_ready(const struct shmipc_sub_priv *s);
/* What a subscriber waits for; the argument is its struct shmipc_sub_priv. */
extern const struct shmipc_wait_ops shmipc_sub_entry_ops;
/* There is no message. 0: look again; -EAGAIN; -ETIMEDOUT; -EINTR */
int shmipc_sub_wait_entry(struct shmipc_sub_priv *s, uint64_t deadline_ns);

/* sub_move.c: to where the topic is now, if it has been decided. 1: look again; 0: no. */
int shmipc_sub_move(struct shmipc_sub_priv *s);
/* It waits in a call, so a publisher that supersedes the topic waits for it to move. */
void shmipc_sub_moves(struct shmipc_sub_priv *s);
void shmipc_sub_moves_later(struct shmipc_sub_priv *s);
/* What it sleeps on until then; false: look again. */
const __u64 *shmipc_sub_move_poll(const struct shmipc_sub_priv *s, uint64_t *ret_val);
bool shmipc_sub_move_look(struct shmipc_sub_priv *s, struct shmipc_wait_set *set);

/* sub_open.c: take a place in a topic; @from: of the first message, or SHMIPC_POS_NONE: as opts say */
int shmipc_sub_join(struct shmipc_sub_priv *s, uint64_t from);
void shmipc_sub_set_plain(struct shmipc_sub_priv *s);

/* sub_group.c: as shmipc_tlog_peek(), for a member of a group; done: it has been read */
void shmipc_sub_group_join(struct shmipc_sub_priv *s);
void shmipc_sub_group_step(struct shmipc_sub_priv *s, uint64_t seq);
int shmipc_sub_group_peek(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ret);
int shmipc_sub_group_done(struct shmipc_sub_priv *s);

/* sub.c: memory for copies of a message */
void shmipc_sub_free_copy(struct shmipc_sub_priv *s, struct shmipc_sub_hold *h);
/* The next message, in the subscriber's order */
int shmipc_sub_peek(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ret);

/* sub_open.c: the rest of closing, when its own thread no longer runs */
void shmipc_sub_finish(struct shmipc_sub_priv *s);

/* sub_thread.c: false: called on its own thread */
bool shmipc_sub_thread_close(struct shmipc_sub_priv *s);

#endif /* SHMIPC_LIB_TOPIC_H */
