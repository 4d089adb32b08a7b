// SPDX-License-Identifier: MIT
/* topic.c - opening a topic, and letting go of it */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "topic/topic.h"

int shmipc_topic_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_topic_opts *opts)
{
	struct shmipc_segment_opts so;
	struct shmipc_topic_opts o;
	struct shmipc_tlog_opts l;
	struct shmipc_segment *seg;
	int err = shmipc_topic_opts_read(&o, opts);

	if (err)
		return err;
	shmipc_topic_opts_plan(&l, &o);
	shmipc_topic_opts_segment(&so, &o);
	err = shmipc_segment_open_log(&seg, name, &so, &l);
	if (err)
		return err;
	err = shmipc_topic_opts_match(seg, &o);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

int shmipc_topic_open_read_only(struct shmipc_segment **ret, const char *name,
				const struct shmipc_topic_opts *opts, int *ret_in_use)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment_opts so;
	struct shmipc_segment *seg;
	struct shmipc_topic_opts o;
	const char *reason;
	int err = be ? shmipc_topic_opts_read(&o, opts) : -EINVAL;

	if (!err && o.flags & SHMIPC_EXCL)
		err = shmipc_topic_opts_bad("flags", o.flags, "EXCL, but a read-only subscriber creates nothing");
	if (err)
		return err;
	if (shmipc_name_check(name, &reason))
		return shmipc_fail(-EINVAL, "shmipc: \"%.210s\" is not a valid topic name: %s (EINVAL)",
				   name ? name : "", reason);
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = be->look(seg, name, ret_in_use);
	shmipc_fork_release();
	if (err) {
		shmipc_segment_free(seg);
		return err;
	}
	seg->read_only = true;
	if (seg->hdr.kind != SHMIPC_KIND_TOPIC)
		err = shmipc_fail(-EINVAL, "shmipc: open \"%s\": kind %u is not a topic (EINVAL)", name,
				  seg->hdr.kind);
	if (!err) {
		shmipc_topic_opts_segment(&so, &o);
		err = shmipc_opts_match(&so, &seg->hdr, &seg->ring, name);
	}
	if (!err)
		err = shmipc_topic_opts_match(seg, &o);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

/* Leave, wait for what the dead still hold of the name, and let go of it. */
void shmipc_topic_end_close(struct shmipc_topic_end *t)
{
	uint64_t until_ns = shmipc_now_ns() + DYING_PATIENCE_NS;
	uint32_t slot;

	if (!t->seg->dead && !t->seg->read_only) {
		shmipc_end_leave(&t->end);
		for (slot = 0; slot < t->seg->hdr.peers; slot++)
			if (slot != t->end.slot)
				t->seg->be->wait_gone(t->seg, slot, until_ns);
	}
	shmipc_segment_close(t->seg);
}
