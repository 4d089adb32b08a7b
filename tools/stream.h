/* SPDX-License-Identifier: MIT */
/*
 * stream.h - one end of a ring, as send, recv, pub and sub use it
 *
 * Functions that return an exit code (RC_*) have said what went wrong; RC_OK
 * means: go on.
 */
#ifndef TOOLS_STREAM_H
#define TOOLS_STREAM_H

#include <stdint.h>
#include <shmipc/channel.h>
#include "opts.h"
#include "progress.h"

struct stream {
	const struct opts *o;
	const char *name;
	enum shmipc_role role;
	struct shmipc_channel *ch;
	struct shmipc_segment_info info;
	uint64_t max_payload;
	uint64_t messages;	/* committed, or taken */
	uint64_t bytes;
	uint64_t lost;		/* sub */
	uint64_t begin_ns;	/* 0: nothing has moved yet */
	uint64_t end_ns;
	uint64_t idle_since_ns;	/* nothing has moved since then */
	uint64_t idle_mark;	/* and this is where it stood */
	int out_fd;		/* looked at while idle: has its reader gone? -1: none */
	struct progress progress;
};

/* Open or make the ring, and take the end. */
int stream_open(struct stream *s, const struct opts *o, enum shmipc_role role);

/*
 * Nothing could be done just now. Has somebody asked us to end, has --timeout
 * passed, has the reader of our output gone? @mark: grows when something moves.
 */
int stream_idle(struct stream *s, uint64_t mark, const char *waiting_for);

/* How long a call of the library may sleep: signals and --timeout are seen in between. */
uint64_t stream_slice(const struct stream *s);

/* Did the call only find nothing to do? Then stream_idle() is next. */
static inline int stream_is_idle(int err)
{
	return err == -EAGAIN || err == -ETIMEDOUT || err == -EINTR;
}

/* Wait until somebody holds the other end. */
int stream_wait_peer(struct stream *s);

/* Room in the ring for a message in place. */
int stream_reserve(struct stream *s, size_t len, void **ret_ptr);
/* The message in the room is @len bytes: show it. */
int stream_commit(struct stream *s, size_t len);
/* Copy a message in and show it. */
int stream_send(struct stream *s, const void *buf, size_t len);
/* Wait until the receiver has taken all. */
int stream_drain(struct stream *s);

/* A message has moved. */
static inline void stream_moved(struct stream *s, size_t len)
{
	if (shmipc_unlikely(!s->begin_ns))
		s->begin_ns = shmipc_deadline_in(0);
	s->messages++;
	s->bytes += len;
}

/* The library says @err on the way of a message: tell it, and the exit code. */
int stream_fail(struct stream *s, int err);

/* Summary, then leave; @rc is the exit code so far. Return: the exit code. */
int stream_close(struct stream *s, int rc);

#endif /* TOOLS_STREAM_H */
