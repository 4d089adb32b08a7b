/* SPDX-License-Identifier: MIT */
/* watch.h - what the parts of a watch share */
#ifndef SHMIPC_LIB_WATCH_H
#define SHMIPC_LIB_WATCH_H

#include <sys/queue.h>
#include <sys/types.h>

#include <shmipc/discover.h>

#include "segment/backend.h"

/* What a name is now: mem: inode, time of its last change; dev: the segment's id. */
struct watch_ident {
	uint64_t w[2];
};

/* What is known of the end in a slot. */
enum watch_end {
	END_NONE	= 0,	/* as the slot says: nobody, or gone */
	END_HERE	= 1,	/* was told as joined, and not yet as gone */
	END_BURIED	= 2,	/* the slot says attached, and the kernel that he is dead */
};

struct watch_slot {
	uint64_t generation;	/* the last that was told, or that went before */
	enum watch_end end;
};

/* A name that is there and matches. */
struct watch_seg {
	LIST_ENTRY(watch_seg) list;
	struct watch_ident ident;
	bool pinned;		/* ident.w[0] alone is sure: we hold the inode */
	bool told;		/* is of the kind that is watched */
	int error;		/* cannot be looked at, and has none of the below */
	uint8_t id[16];
	uint32_t kind;
	uint32_t peers;
	unsigned char *map;	/* mem: header and peer table */
	size_t map_bytes;
	struct shmipc_peer_slot *last;	/* as last settled; NULL: ends are not watched */
	struct watch_slot *slot;
	uint32_t unsure;	/* ends here whose death only the lock tells */
	uint64_t round;		/* of the last time that its name was seen */
	uint64_t phase;		/* spreads the sure looks over the ticks */
	char name[SHMIPC_NAME_MAX + 8];	/* tsearch() compares by it */
};

/* How each backend is watched. Names are told by shmipc_watch_name(). */
struct shmipc_watch_ops {
	/* mem: begin to hear of names. 0 or -errno */
	int (*open)(struct shmipc_watch *w);
	void (*close)(struct shmipc_watch *w);
	/*
	 * Tell the names that may have changed: those the kernel spoke of; or all,
	 * if it does not speak or has said too much, or for w->recheck. 0 or -errno.
	 */
	int (*names)(struct shmipc_watch *w, bool tick);
	/* What is @name now? 0, -ENOENT or -errno. */
	int (*ident)(struct shmipc_watch *w, const char *name, struct watch_ident *ret);
	/* Fill in ident, id, kind, peers and map. 0, -ENOENT, or why it cannot be. */
	int (*look)(struct shmipc_watch *w, struct watch_seg *s);
	void (*forget)(struct watch_seg *s);
	/* Copy the peer table as it is now. 0 or -errno: it cannot be had. */
	int (*table)(struct shmipc_watch *w, const struct watch_seg *s,
		     struct shmipc_peer_slot *to);
	/* The locks: a descriptor or -2, and whether slot's is held. NULL: never asked. */
	int (*locks)(struct shmipc_watch *w, const struct watch_seg *s);
	bool (*held)(int locks, uint32_t slot);
};

extern const struct shmipc_watch_ops shmipc_watch_mem;
extern const struct shmipc_watch_ops shmipc_watch_dev;

struct shmipc_watch {
	const struct shmipc_watch_ops *ops;
	const struct shmipc_backend *be;
	pid_t pid;		/* a child after fork() has no use of it */
	char *pattern;
	uint32_t kind;
	uint32_t flags;
	uint32_t pidns;

	LIST_HEAD(, watch_seg) segs;
	void *tree;		/* the same by name, of tsearch() */
	uint64_t round;
	uint64_t phases;
	bool baseline;		/* the first look: what is there, not what came */

	/* found, and not yet fetched */
	struct shmipc_event *event;
	size_t first;
	size_t n;
	size_t cap;
	int failed;		/* events were lost */
	bool recheck;		/* a look failed for a lack of this process: all names again */

	int epoll;		/* what the user polls: these, and inotify */
	int timer;		/* it is time to look */
	int waiting;		/* eventfd: events wait */
	bool ready;		/* what it says */
	uint64_t tick_ns;
	uint64_t next_ns;	/* of the next look */
	uint64_t ticks;

	struct shmipc_peer_slot *now;	/* two copies of a table */
	struct shmipc_peer_slot *again;
	uint32_t slots;		/* room at each */

	/* mem */
	int inotify;		/* -1: names are looked for at every tick */
	int wd;			/* of the directory, or of what will hold it */
	bool dir;		/* it is there, and this one: */
	uint64_t dir_ino;
	uint64_t dir_dev;
};

/* watch.c */
void shmipc_watch_tell(struct shmipc_watch *w, enum shmipc_event_type type,
		       const struct watch_seg *s, const struct shmipc_peer_info *end,
		       uint64_t missed);
/* A name that may have come, gone or changed; @now: what it is, NULL: not known. */
void shmipc_watch_name(struct shmipc_watch *w, const char *name, const struct watch_ident *now);
/* Names that are told until the end of a round are there; the others are asked for. */
void shmipc_watch_round_begin(struct shmipc_watch *w);
void shmipc_watch_round_end(struct shmipc_watch *w);
void shmipc_watch_all_gone(struct shmipc_watch *w);

/* watch_ends.c */
enum watch_how {
	HOW_TICK,	/* what changed */
	HOW_SURE,	/* and ask the kernel who lives */
	HOW_LAST,	/* the name has gone: whoever is left goes too */
};

int shmipc_watch_ends_begin(struct shmipc_watch *w, struct watch_seg *s);
void shmipc_watch_ends(struct shmipc_watch *w, struct watch_seg *s, enum watch_how how);

#endif /* SHMIPC_LIB_WATCH_H */
