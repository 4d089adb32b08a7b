/* SPDX-License-Identifier: MIT */
/*
 * stream.h - one end of a ring (send, recv), of a topic (pub, sub) or of a queue
 *
 * Functions that return an exit code (RC_*) have printed a message if it is not
 * RC_OK.
 */
#ifndef TOOLS_STREAM_STREAM_H
#define TOOLS_STREAM_STREAM_H

#include <stdint.h>
#include <jansson.h>
#include <shmipc/queue.h>
#include <shmipc/topic.h>
#include "opts.h"
#include "progress.h"

struct stream;

#define MOVED_BYTES	160
#define BLOCKED_BYTES	160

/* What differs between a ring and a topic. */
struct stream_ops {
	/* Of a sender: reserve room for a message in place; publish it; give the room back. */
	int (*reserve)(struct stream *s, size_t len, void **ret_ptr);
	int (*commit)(struct stream *s, size_t len);
	void (*abort)(struct stream *s);
	/* Copy a message in and publish it. */
	int (*send)(struct stream *s, const void *buf, size_t len);
	/* While there is no input: is the other side still there? RC_OK: yes. */
	int (*check)(struct stream *s);
	/* "N messages, N bytes were sent" */
	const char *(*moved)(struct stream *s, char text[MOVED_BYTES]);
	/* More for the summary: into @obj, or as text if that is NULL. */
	void (*tell)(struct stream *s, json_t *obj);
	/* Leave; @rc is the exit code. */
	void (*close)(struct stream *s, int rc);
	int room_costs;		/* reserved room that is not filled is lost */
	const char *what;	/* "ring" */
	const char *larger;	/* the option that allows larger messages */
};

struct publish_opts;

struct stream {
	const struct stream_opts *o;
	const char *name;
	const struct stream_ops *ops;
	enum shmipc_role role;
	struct shmipc_channel *ch;	/* one of these five */
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_push *push;
	struct shmipc_pop *pop;
	uint32_t level;			/* push */
	struct shmipc_queue_item item;	/* pop: the last one */
	uint32_t item_pid;		/* of its producer; 0: not known */
	struct shmipc_dead_letter dead;	/* where it comes from; .reason 0: it was pushed */
	struct shmipc_segment_info info;
	uint64_t max_payload;
	uint32_t meta;		/* sub: SHMIPC_META_* that each message has */
	uint64_t messages;	/* sent, or taken */
	uint64_t bytes;
	uint64_t lost;		/* sub */
	uint64_t filtered;	/* sub: taken, and not written */
	uint64_t begin_ns;	/* 0: no message has been moved yet */
	uint64_t end_ns;
	uint64_t idle_since_ns;	/* no message has been moved since then */
	uint64_t name_look_ns;	/* when to look again whether its name is there */
	int name_due;		/* it was too early to look */
	uint64_t idle_mark;	/* the mark of stream_idle() at that time */
	int out_fd;		/* checked while idle: has its reader closed it? -1: none */
	const char *out_name;
	int attends;		/* tool_attend(): 0 not asked for yet, 1 yes, -1 it cannot */
	int noted;		/* ring_note_alone() was here */
	int no_drain;		/* send: do not wait until all is taken */
	struct progress progress;
	/* pub */
	struct shmipc_headers headers;
	int has_headers;		/* the message to be sent has some */
	struct shmipc_loan loan;
	const struct publish_opts *publish;
	uint64_t pace_from_ns;	/* --rate counts from here */
};

/* The common part of ring_open() and so on. */
void stream_begin(struct stream *s, const struct stream_opts *o, const struct stream_ops *ops,
		  enum shmipc_role role, const char *name);

/*
 * There was nothing to do. Check for a signal, --timeout, and an output that its
 * reader has closed. @mark: changes if messages have been moved.
 */
int stream_idle(struct stream *s, uint64_t mark, const char *waiting_for);

/* Deadline of one call of the library; signals and --timeout are checked in between. */
uint64_t stream_slice(const struct stream *s);
/*
 * The same for a receiver, which may sleep for long: it costs nothing while nothing
 * comes. A signal or a closed output interrupts the sleep.
 */
uint64_t stream_long_slice(struct stream *s);

/* To be called now and then: says once that the name of what it is attached to was removed. */
void stream_note_unnamed(struct stream *s);

/* Did the call return because there was nothing to do? Then call stream_idle(). */
static inline int stream_is_idle(int err)
{
	return err == -EAGAIN || err == -ETIMEDOUT || err == -EINTR;
}

/* A message has moved. */
static inline void stream_moved(struct stream *s, size_t len)
{
	if (shmipc_unlikely(!s->begin_ns))
		s->begin_ns = shmipc_deadline_in(0);
	s->messages++;
	s->bytes += len;
}

/*
 * The reader of our output has closed it. What a sender sends is lost then; a
 * subscriber's reader has what it wanted, as head(1): RC_GONE, and no message.
 */
int stream_output_gone(struct stream *s);

/* Report that moving a message failed with @err. Return: RC_FAIL. */
int stream_fail(struct stream *s, int err);

/* Print the summary and close; @rc is the exit code so far. Return: the exit code. */
int stream_close(struct stream *s, int rc);

/* Add a value to a summary, in JSON or in words. */
void stream_tell(json_t *obj, const char *key, const char *words, uint64_t v);

/* ring.c: one end of a lossless ring, created if it is not there. */
int ring_open(struct stream *s, const char *name, const struct stream_opts *o,
	      const struct create_opts *create, const struct ring_opts *ring, enum shmipc_role role);
/* Before it waits for the first time: says once that nobody has the other end. */
void ring_note_alone(struct stream *s);
/* Wait until a process holds the other end. */
int ring_wait_peer(struct stream *s);
/* Wait until the receiver has taken all. */
int ring_drain(struct stream *s);
/* The other side has gone. RC_OK: in order. */
int ring_gone(struct stream *s);

/* How a publisher publishes. */
struct publish_opts {
	double rate;			/* messages a second; 0: no limit */
	struct opts_many headers;	/* KEY=VALUE, with each message */
};

struct start_at {
	uint32_t how;			/* SHMIPC_START_* */
	uint64_t seq;
};

struct stride {
	uint64_t n;
	uint64_t at;
};

/* How a subscriber takes messages. */
struct take_opts {
	struct start_at from;
	int newest;
	uint32_t policy;		/* 0: the library's default */
	uint32_t group;			/* 0: none */
	struct stride stride;
	int read_only;
};

/* topic.c: publish on a topic, or subscribe to it; created if it is not there. */
int topic_pub_open(struct stream *s, const char *name, const struct stream_opts *o,
		   const struct create_opts *create, const struct topic_opts *topic,
		   const struct publish_opts *publish);
int topic_sub_open(struct stream *s, const char *name, const struct stream_opts *o,
		   const struct create_opts *create, const struct topic_opts *topic,
		   const struct take_opts *take);

/* What the topic is; of a provisional one known with the first message. */
void topic_sub_look(struct stream *s);

#endif /* TOOLS_STREAM_STREAM_H */
