/* SPDX-License-Identifier: MIT */
/* segment.h - an open segment, and the functions of this folder */
#ifndef SHMIPC_LIB_SEGMENT_H
#define SHMIPC_LIB_SEGMENT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shmipc/inline/tlog_lend.h>
#include <shmipc/ring.h>
#include <shmipc/segment.h>

#include "base/base.h"
#include "wait/waiter.h"

struct shmipc_backend;
struct shmipc_pages;
struct shmipc_segment;
struct shmipc_body;
struct shmipc_sides;

/* What a noun with two sides has in the first page of its body, after struct shmipc_sides_hdr. */
#define SHMIPC_SIDES_OWN	272u

/* What is to be made, of a kind that has more in it than struct shmipc_segment_opts says. */
struct shmipc_making {
	const struct shmipc_tlog_opts *log;	/* a topic */
	const struct shmipc_sides *sides;	/* a kind with two sides */
};

/* options.c */
int shmipc_opts_read(struct shmipc_segment_opts *o, const struct shmipc_segment_opts *user);
int shmipc_opts_read_unnamed(struct shmipc_segment_opts *o, const struct shmipc_segment_opts *user);
int shmipc_opts_plan(struct shmipc_seg_hdr *h, struct shmipc_body *b,
		     const struct shmipc_segment_opts *o, const struct shmipc_making *making,
		     const char *name, const struct shmipc_pages *pages);
int shmipc_opts_match(const struct shmipc_segment_opts *o, const struct shmipc_seg_hdr *h,
		      const struct shmipc_ring *ring, const char *name);

/*
 * owner.c: whose segment is joined. A private copy of the options is checked, and changed:
 * no CREATE where only another user's is wanted. The check: 0; -EACCES or -EEXIST with a
 * text. @o: NULL: anybody's.
 */
struct shmipc_owner {
	uint32_t uid, gid;	/* as the kernel says; a header says what its creator wrote */
	uint32_t new_gid;	/* of one that would be created instead */
	bool by_member;		/* only a member of the group can have made it */
};

#define MODE_DEFAULT		0600u

int shmipc_owner_opts(struct shmipc_segment_opts *o);
int shmipc_owner_check(const struct shmipc_segment_opts *o, const char *name,
		       const struct shmipc_owner *is);
uint32_t shmipc_owner_mode(const struct shmipc_segment_opts *o);
uint32_t shmipc_owner_new_gid(const struct shmipc_segment_opts *o);

/*
 * differs.c: -EINVAL with a text that names the @field and both values. @name: what the
 * user called it; NULL: as the header says.
 */
struct shmipc_text shmipc_kind_text(uint32_t kind);
struct shmipc_text shmipc_role_text(uint32_t role);
const char *shmipc_end_noun(uint32_t kind, enum shmipc_role role);	/* "publisher" */
int shmipc_differs(const struct shmipc_seg_hdr *h, const char *name, const char *field,
		   struct shmipc_text asked, struct shmipc_text is);
int shmipc_differs_kind(const struct shmipc_seg_hdr *h, const char *name, uint32_t asked);

/* name.c: -EINVAL with a text if it is not a valid name */
int shmipc_name_read(const char *name);

/* header.c */
int shmipc_hdr_check(const struct shmipc_seg_hdr *h, uint64_t file_bytes, const char *name);
void shmipc_segment_fill(unsigned char *base, const struct shmipc_seg_hdr *h,
			 const struct shmipc_body *b);
/* Take private copies of the headers in the segment, and check them. */
int shmipc_segment_read(struct shmipc_segment *seg, const char *name);
struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, uint32_t slot);

/*
 * An open segment. Private memory may be shared with other handles of the process
 * (@mem, counted); otherwise each handle has its own mapping and its own file
 * description, and with it its own locks.
 */
struct shmipc_memory {
	int refs;
	unsigned char *base;
	size_t bytes;
};

/* May processes of other users write to it? */
enum shmipc_others {
	SHMIPC_OTHERS_UNKNOWN = 0,
	SHMIPC_OTHERS_NONE,
	SHMIPC_OTHERS_WRITE,
};

struct shmipc_segment {
	const struct shmipc_backend *be;
	int fd;				/* -1: private */
	bool dead;			/* inherited through fork, or ... */
	bool fenced;			/* ... others cut it off */
	bool read_only;			/* mapped so: looks, and takes no slot */
	uint32_t others;		/* enum shmipc_others; table_wait.c: found at the first sleep */
	struct shmipc_memory *mem;
	unsigned char *base;
	size_t bytes;
	struct shmipc_seg_hdr hdr;	/* checked private copy */
	struct shmipc_ring ring;	/* kinds with a ring */
	struct shmipc_tlog log;		/* topics */
	struct shmipc_sides_hdr sides;	/* kinds with two sides; checked private copy */
	struct shmipc_tlog_memory memory; /* what its end knows to be there */
	uint64_t huge_from;		/* no huge pages until so many bytes are known */
	bool huge_late;			/* the next block is still to be asked for */
	struct shmipc_making making;	/* while it is created */
	struct shmipc_segment *replaces;	/* likewise: has the name until then */
	const struct shmipc_segment_opts *asks;	/* while it is opened: whose; NULL: anybody's */
	uint32_t *live;			/* words of the end that uses it, or NULL */
	uint32_t nlive;			/* how many of them are 0 after fork */
	uint32_t nbusy;
	const uint32_t **busy;		/* nbusy pointers, to shmipc_probe_busy after fork */
	struct shmipc_segment *prev;	/* fork.c */
	struct shmipc_segment *next;
};

/* open/segment.c */
struct shmipc_segment *shmipc_segment_new(const struct shmipc_backend *be);
void shmipc_segment_free(struct shmipc_segment *seg);
/*
 * The two halves of shmipc_segment_open(): open what has the name, whatever it is, if @o
 * accepts its owner (NULL: anybody's) ...
 */
int shmipc_segment_find(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o);
/*
 * ... and create; -EEXIST if the name is taken, unless by @old, which loses it then.
 * @making: NULL: the options say all.
 */
int shmipc_segment_make(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o, const struct shmipc_making *making,
			struct shmipc_segment *old);
/* Both, for a kind with two sides: open it, or create it as @sides says if @o has CREATE. */
int shmipc_segment_open_sides(struct shmipc_segment **ret, const char *name,
			      const struct shmipc_segment_opts *o,
			      const struct shmipc_sides *sides);
int shmipc_segment_dup(struct shmipc_segment **ret, struct shmipc_segment *from);

/* open/segment_look.c: open @name for looking, whatever it is; fork() waits until it is done. */
int shmipc_segment_look_begin(const char *name, int *ret_in_use, struct shmipc_segment **ret);
void shmipc_segment_look_done(struct shmipc_segment *seg);

/*
 * fork.c: it was fenced, and the memory of the handle is not ours any more. Zeroes of our
 * own take its place, so that a call which is under way does no harm, and later ones are
 * refused.
 */
void shmipc_segment_cut_off(struct shmipc_segment *seg);

/* What a call on a dead handle returns. */
static inline int shmipc_dead(const struct shmipc_segment *seg)
{
	return seg->fenced ? -ECONNRESET : -EINVAL;
}

/* fork.c: the open handles of the process, to be closed in a child */
void shmipc_fork_add(struct shmipc_segment *seg);
/*
 * No fork() happens between the two: from before the first system call that creates or
 * removes what a handle names until its fields record it. Recursive within a thread.
 */
void shmipc_fork_hold(void);
void shmipc_fork_release(void);
void shmipc_fork_del(struct shmipc_segment *seg);

/* keeper.c: robust words that the kernel marks when this process dies */
struct shmipc_kept;
bool shmipc_keeper_refused(void);	/* our death is noticed later, by our locks */
struct shmipc_kept *shmipc_keeper_hold(struct shmipc_segment *seg, uint32_t slot, uint32_t *ret_tid);
void shmipc_keeper_leaves(struct shmipc_kept *kept);	/* the word is about to be freed; then drop */
void shmipc_keeper_drop(struct shmipc_kept *kept);
void shmipc_keeper_after_fork(void);

/* wake.c */
void shmipc_watch_word(struct shmipc_segment *seg, struct shmipc_wait_set *set,
		       const uint32_t *word, uint32_t val);
/* Wake the sleepers of a word; @seq: the message that it is about. */
void shmipc_wake(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq);
/* Wake @n of them, in the order in which they went to sleep; their sets are exclusive. */
void shmipc_wake_some(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq,
		      uint32_t n);

/* peer.c */
struct shmipc_end {
	struct shmipc_segment *seg;
	uint32_t slot;
	enum shmipc_role role;		/* dev: the role whose pages are mapped for writing */
	struct shmipc_kept *kept;	/* its robust word; NULL: none */
	bool pinned;			/* -EBUSY of take: a former holder may still write there */
	uint32_t word;			/* dev: of its slot, as long as it is attached */
};

int shmipc_end_take(struct shmipc_end *e, struct shmipc_segment *seg, enum shmipc_role role);
void shmipc_end_leave(struct shmipc_end *e);
/*
 * The last thing before the segment is closed: leave, unless the handle is dead, and wait a
 * moment until dying processes have released the name.
 */
void shmipc_end_leave_and_wait(struct shmipc_end *e);
/*
 * Is the peer still attached that had @slot with a generation of which these are the bits in
 * @mask? All three may come from another peer. @sure: ask the kernel, too.
 */
bool shmipc_peer_lives(struct shmipc_segment *seg, uint32_t slot, uint64_t generation,
		       uint64_t mask, bool sure);
/* Before it is used once more: if it was fenced, its handle dies now. */
void shmipc_end_check(struct shmipc_end *e);
void shmipc_slot_info(struct shmipc_segment *seg, uint32_t slot, struct shmipc_peer_info *ret);
uint32_t shmipc_my_pidns(void);

/* Changes when a peer attaches that others may have to watch; see shmipc_layout.h. */
static inline uint32_t *shmipc_peer_seq(const struct shmipc_segment *seg)
{
	return &((struct shmipc_seg_live *)(void *)(seg->base + SHMIPC_SEG_LIVE_OFF))->peer_seq;
}

static inline const uint32_t *shmipc_low32(const __u64 *word)
{
	return (const uint32_t *)(const void *)word;
}

#endif /* SHMIPC_LIB_SEGMENT_H */
