/* SPDX-License-Identifier: MIT */
/* watch.h - shared by the parts of a watch */
#ifndef SHMIPC_LIB_WATCH_H
#define SHMIPC_LIB_WATCH_H

#include <sys/types.h>

#include <shmipc/discover.h>

#include "segment/backend.h"

/* Identity of a name's object. mem: inode, time of its last change; dev: the segment's id. */
struct watch_ident {
	uint64_t w[2];
};

/* The known state of the end in a slot. */
enum watch_end {
	END_NONE	= 0,	/* as the slot says: none, or gone */
	END_HERE	= 1,	/* reported as joined, and not yet as gone */
	END_BURIED	= 2,	/* the slot says attached, but the kernel says dead */
};

struct watch_slot {
	uint64_t generation;	/* the last one that was reported, or had gone before */
	enum watch_end end;
};

/* An existing name that matches. */
struct watch_seg {
	struct watch_seg *next, **link;	/* of watch.segs; *link is this one */
	struct watch_ident ident;
	bool pinned;		/* ident.w[0] alone is enough: we hold the inode */
	bool told;		/* its kind is watched, so it is reported */
	int error;		/* cannot be inspected; the fields below are not set */
	uint8_t id[16];
	uint32_t kind;
	uint32_t peers;
	unsigned char *map;	/* mem: header and peer table */
	size_t map_bytes;
	struct shmipc_peer_slot *last;	/* as last determined; NULL: ends are not watched */
	struct watch_slot *slot;
	uint32_t unsure;	/* ends here whose death only the lock shows */
	uint64_t round;		/* the last one in which its name was seen */
	uint64_t phase;		/* spreads the lock checks over the ticks */
	char name[SHMIPC_NAME_MAX + 8];	/* tsearch() compares by it */
};

/* How each backend is watched. Names are reported by shmipc_watch_name(). */
struct shmipc_watch_ops {
	/* mem: begin to listen for names. 0 or -errno */
	int (*open)(struct shmipc_watch *w);
	void (*close)(struct shmipc_watch *w);
	/*
	 * Report the names that may have changed: those that the kernel reported; or all,
	 * if it reports none or too many, or for w->recheck. 0 or -errno.
	 */
	int (*names)(struct shmipc_watch *w, bool tick);
	/* The present identity of @name. 0, -ENOENT or -errno. */
	int (*ident)(struct shmipc_watch *w, const char *name, struct watch_ident *ret);
	/* Fill in ident, id, kind, peers and map. 0, -ENOENT, or the reason why it cannot be read. */
	int (*look)(struct shmipc_watch *w, struct watch_seg *s);
	void (*forget)(struct watch_seg *s);
	/* Copy the peer table as it is now. 0 or -errno. */
	int (*table)(struct shmipc_watch *w, const struct watch_seg *s,
		     struct shmipc_peer_slot *to);
	/* The locks: a descriptor or -2, and whether a slot's is held. NULL: no locks. */
	int (*locks)(struct shmipc_watch *w, const struct watch_seg *s);
	bool (*held)(int locks, uint32_t slot);
};

extern const struct shmipc_watch_ops shmipc_watch_mem;
extern const struct shmipc_watch_ops shmipc_watch_dev;

struct shmipc_watch {
	const struct shmipc_watch_ops *ops;
	const struct shmipc_backend *be;
	pid_t pid;		/* a child after fork() cannot use it */
	char *pattern;
	uint32_t kind;
	uint32_t flags;
	uint32_t pidns;

	struct watch_seg *segs;
	void *tree;		/* the same, by name, for tsearch() */
	uint64_t round;
	uint64_t phases;
	bool baseline;		/* the first scan: what exists, not what appeared */

	/* pending */
	struct shmipc_event *event;
	size_t first;
	size_t n;
	size_t cap;
	int failed;		/* events were lost */
	bool recheck;		/* a limit of this process made a scan fail: check all names again */

	int epoll;		/* what the user polls: these, and inotify */
	int timer;		/* it is time to scan */
	int waiting;		/* eventfd: events are pending */
	bool ready;		/* its state */
	uint64_t tick_ns;
	uint64_t next_ns;	/* of the next scan */
	uint64_t ticks;

	struct shmipc_peer_slot *now;	/* two copies of a table */
	struct shmipc_peer_slot *again;
	uint32_t slots;		/* room at each */

	/* mem */
	int inotify;		/* -1: names are scanned for at every tick */
	int wd;			/* of the directory, or of the one that will contain it */
	bool dir;		/* the directory exists; its inode: */
	uint64_t dir_ino;
	uint64_t dir_dev;
};

/* watch.c */
void shmipc_watch_tell(struct shmipc_watch *w, enum shmipc_event_type type,
		       const struct watch_seg *s, const struct shmipc_peer_info *end,
		       uint64_t missed);
/* A name that may have appeared, gone or changed; @now: its identity, NULL: not known. */
void shmipc_watch_name(struct shmipc_watch *w, const char *name, const struct watch_ident *now);
/* Names reported until the end of a round exist; all others are checked. */
void shmipc_watch_round_begin(struct shmipc_watch *w);
void shmipc_watch_round_end(struct shmipc_watch *w);
void shmipc_watch_all_gone(struct shmipc_watch *w);

/* watch_ends.c */
enum watch_how {
	HOW_TICK,	/* changes only */
	HOW_SURE,	/* and ask the kernel which peers are alive */
	HOW_LAST,	/* the name is gone: the remaining ends are, too */
};

int shmipc_watch_ends_begin(struct shmipc_watch *w, struct watch_seg *s);
void shmipc_watch_ends(struct shmipc_watch *w, struct watch_seg *s, enum watch_how how);

#endif /* SHMIPC_LIB_WATCH_H */
