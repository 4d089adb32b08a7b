/* SPDX-License-Identifier: MIT */
/*
 * site.h - one ring, on each backend and in each way to share it
 *
 *   named    a file in SHMIPC_DIR; the other side opens the name
 *   anon     a sealed memfd; the other side gets the descriptor over a socket
 *            (with SHMIPC_BACKEND=dev both are segments of the device)
 *   private  memory of this process; the other side is a thread
 *
 * One side creates the ring, the other one opens it.
 */
#ifndef TEST_SITE_H
#define TEST_SITE_H

#include "env.h"

enum where { NAMED, ANON, PRIVATE };

struct site {
	enum where where;
	const char *name;
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;	/* anon, private: the creator's */
	int fd;				/* anon, in a child: as received; else -1 */
};

/* 0 or -errno. Called in the first process. */
static inline int site_make(struct site *s, enum where where, uint32_t kind, uint64_t bytes)
{
	memset(s, 0, sizeof(*s));
	s->where = where;
	s->name = "ring";
	s->fd = -1;
	s->o.struct_bytes = sizeof(s->o);
	s->o.kind = kind;
	s->o.bytes = bytes;
	if (where == ANON)
		return shmipc_segment_anon(&s->seg, &s->o);
	if (where == PRIVATE)
		return shmipc_segment_private(&s->seg, &s->o);
	s->o.flags = SHMIPC_CREATE;
	return 0;
}

/* A channel in any process or thread that has the site. */
static inline int site_open(struct site *s, struct shmipc_channel **ret, enum shmipc_role role,
			    const struct shmipc_channel_opts *co)
{
	struct shmipc_segment *seg;
	int err;

	if (s->where == NAMED)
		return shmipc_channel_open(ret, s->name, role, &s->o, co);
	if (s->fd < 0)
		return shmipc_channel_attach(ret, s->seg, role, co);
	err = shmipc_segment_from_fd(&seg, s->fd, NULL);
	if (err)
		return err;
	err = shmipc_channel_attach(ret, seg, role, co);
	shmipc_segment_close(seg);
	return err;
}

static inline void site_end(struct site *s)
{
	shmipc_segment_close(s->seg);
	s->seg = NULL;
}

/* Start the other side: a thread if the memory is private. */
static inline int site_start(struct site *s, struct other *o,
			     int (*fn)(struct other *me, void *arg), void *arg)
{
	if (other_start(o, s->where == PRIVATE, fn, arg))
		return -1;
	return s->where == ANON ? send_fd(o->sock, shmipc_segment_fd(s->seg)) : 0;
}

/* The first call of the other side. */
static inline void site_here(struct site *s, struct other *me)
{
	if (s->where == ANON)
		s->fd = recv_fd(me->sock);
}

#endif /* TEST_SITE_H */
