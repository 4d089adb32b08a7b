// SPDX-License-Identifier: MIT
/* segment.c - the public functions of segments, for all backends */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <shmipc/bcast.h>

#include "segment/backend.h"
#include "segment/body.h"

#define OPEN_TRIES	200

struct shmipc_segment *shmipc_segment_new(const struct shmipc_backend *be)
{
	struct shmipc_segment *seg = calloc(1, sizeof(*seg));

	if (!seg) {
		(void)shmipc_fail(-ENOMEM, "shmipc: no memory for a handle (ENOMEM)");
		return NULL;
	}
	seg->be = be;
	seg->fd = -1;
	shmipc_fork_add(seg);
	return seg;
}

void shmipc_segment_free(struct shmipc_segment *seg)
{
	shmipc_fork_del(seg);
	free(seg->memory.chunk);
	free(seg);
}

int shmipc_segment_find(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment *seg;
	int err = be ? shmipc_name_read(name) : shmipc_no_backend();

	if (err)
		return err;
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	seg->asks = o;
	shmipc_fork_hold();
	err = be->open(seg, name);
	shmipc_fork_release();
	seg->asks = NULL;
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

int shmipc_segment_make(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o, const struct shmipc_making *making,
			struct shmipc_segment *old)
{
	struct shmipc_segment *seg = shmipc_segment_new(shmipc_backend_named());
	int err;

	if (!seg)
		return -ENOMEM;
	if (making)
		seg->making = *making;
	seg->replaces = old;
	shmipc_fork_hold();
	err = seg->be->create(seg, name, o);
	shmipc_fork_release();
	seg->making = (struct shmipc_making){ NULL, NULL };
	seg->replaces = NULL;
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

/* Open an existing segment, if it is as the user asked for. */
static int find_fitting(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o)
{
	struct shmipc_segment *seg;
	int err = shmipc_segment_find(&seg, name, o);

	if (err)
		return err;
	if (o->flags & SHMIPC_EXCL)
		err = shmipc_fail(-EEXIST, "shmipc: create \"%s\": it exists already (EEXIST); remove it, or open it",
				  name);
	else
		err = shmipc_opts_match(o, &seg->hdr, &seg->ring, name);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

/* Open it, or create it, or open what another created at the same moment. */
static int find_or_make(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *o, const struct shmipc_making *making)
{
	int tries, err = 0;

	for (tries = 0; tries < OPEN_TRIES; tries++) {
		err = find_fitting(ret, name, o);
		if (err != -ENOENT || !(o->flags & SHMIPC_CREATE))
			return err;
		err = shmipc_segment_make(ret, name, o, making, NULL);
		if (err != -EEXIST)
			return err;
	}
	return err;
}

int shmipc_segment_open_sides(struct shmipc_segment **ret, const char *name,
			      const struct shmipc_segment_opts *o,
			      const struct shmipc_sides *sides)
{
	const struct shmipc_making making = { .sides = sides };

	return find_or_make(ret, name, o, &making);
}

static int open_segment(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment_opts o;
	int err;

	if (!ret)
		return shmipc_null("shmipc_segment_open", "ret");
	err = shmipc_opts_read(&o, opts);
	if (!err && o.flags & SHMIPC_EXCL && !(o.flags & SHMIPC_CREATE))
		err = shmipc_fail(-EINVAL, "shmipc: open \"%.210s\": SHMIPC_EXCL without SHMIPC_CREATE (EINVAL)",
				  name ? name : "");
	return err ? err : find_or_make(ret, name, &o, NULL);
}

SHMIPC_EXPORT int shmipc_segment_open(struct shmipc_segment **ret, const char *name,
				      const struct shmipc_segment_opts *opts)
{
	return SHMIPC_TOLD(open_segment(ret, name, opts));
}

static int open_anon(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_segment_anon", "ret");
	err = be ? shmipc_opts_read_unnamed(&o, opts) : shmipc_no_backend();
	if (err)
		return err;
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = be->anon(seg, &o);
	shmipc_fork_release();
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT int shmipc_segment_anon(struct shmipc_segment **ret,
				      const struct shmipc_segment_opts *opts)
{
	return SHMIPC_TOLD(open_anon(ret, opts));
}

static int open_fd(struct shmipc_segment **ret, int fd, const struct shmipc_segment_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_segment_from_fd", "ret");
	err = shmipc_futex_check();
	if (!err)
		err = shmipc_opts_read_unnamed(&o, opts);
	if (err)
		return err;
	seg = shmipc_segment_new(shmipc_backend_of_fd(fd));
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = seg->be->from_fd(seg, fd);
	shmipc_fork_release();
	if (err) {
		shmipc_segment_free(seg);
		return err;
	}
	err = shmipc_opts_match(&o, &seg->hdr, &seg->ring, NULL);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT int shmipc_segment_from_fd(struct shmipc_segment **ret, int fd,
					 const struct shmipc_segment_opts *opts)
{
	return SHMIPC_TOLD(open_fd(ret, fd, opts));
}

int shmipc_segment_dup(struct shmipc_segment **ret, struct shmipc_segment *from)
{
	struct shmipc_segment *seg;
	int err;

	if (from->dead)
		return shmipc_fail(-EINVAL, "shmipc: a handle inherited through fork (EINVAL); open the segment again in the child");
	seg = shmipc_segment_new(from->be);
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = from->be->dup(seg, from);
	shmipc_fork_release();
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT void shmipc_segment_close(struct shmipc_segment *seg)
{
	SHMIPC_NO_CANCEL;
	if (!seg)
		return;
	shmipc_fork_hold();
	if (!seg->dead)
		seg->be->close(seg);
	else if (!seg->mem && seg->base)
		(void)munmap(seg->base, seg->bytes);
	shmipc_segment_free(seg);
	shmipc_fork_release();
}

SHMIPC_EXPORT int shmipc_segment_fd(const struct shmipc_segment *seg)
{
	if (!seg)
		return shmipc_null(__func__, "seg");
	if (seg->dead)
		return -EINVAL;
	return seg->hdr.flags & SHMIPC_SEG_ANON ? seg->fd : -EOPNOTSUPP;
}

SHMIPC_EXPORT void *shmipc_segment_data(const struct shmipc_segment *seg, size_t *ret_bytes)
{
	bool raw = seg && seg->hdr.kind == SHMIPC_KIND_RAW && !seg->dead;

	if (ret_bytes)
		*ret_bytes = raw ? seg->hdr.data_bytes : 0;
	return raw ? seg->base + seg->hdr.data_off : NULL;
}
