/* SPDX-License-Identifier: MIT */
/* access.h - the options that nouns have in common, and the first and last steps of an open */
#ifndef SHMIPC_LIB_ACCESS_H
#define SHMIPC_LIB_ACCESS_H

#include <shmipc/topic.h>

#include "segment/segment.h"

/* Of the private copy of a user's options, what concerns every segment. */
struct shmipc_access {
	const char *what;	/* "event options" */
	uint32_t kind;
	uint32_t more;		/* flags that this noun has besides the common ones */
	uint32_t flags;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
};

#define SHMIPC_ACCESS_OF(o, opts_what, opts_kind)					\
	((struct shmipc_access){ .what = (opts_what), .kind = (opts_kind),		\
		.flags = (o)->flags, .mode = (o)->mode, .uid = (o)->uid,		\
		.gid = (o)->gid, .owner = (o)->owner })

/* Known flags, and @n reserved members that are 0? 0; -EINVAL with a text. */
int shmipc_access_check(const struct shmipc_access *a, const uint64_t *reserved, size_t n);
/* The options of the segment, not yet checked: a noun may add to them. */
void shmipc_access_segment(struct shmipc_segment_opts *ret, const struct shmipc_access *a);
/* Both, checked: for nouns that have nothing to add. */
int shmipc_access_read(struct shmipc_segment_opts *ret, const struct shmipc_access *a,
		       const uint64_t *reserved, size_t n);

/* The result of looking at the header of a noun, "events": @err with a text; or 0. */
int shmipc_access_refused(const char *name, const char *noun, int err);

/* The handle can be used: @live is @value, and 0 after fork, or once it is cut off. */
static inline void shmipc_access_open(struct shmipc_segment *seg, uint32_t *live, uint32_t value)
{
	*live = value;
	seg->live = live;
	seg->nlive = 1;
}

#endif /* SHMIPC_LIB_ACCESS_H */
