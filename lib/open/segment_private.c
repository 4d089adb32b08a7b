// SPDX-License-Identifier: MIT
/* segment_private.c - segments of one process */
#include <errno.h>

#include "segment/private.h"

static int open_private(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_segment_private", "ret");
	err = shmipc_futex_check();
	if (!err)
		err = shmipc_opts_read_unnamed(&o, opts);
	if (err)
		return err;
	seg = shmipc_segment_new(&shmipc_private);
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = shmipc_private_create(seg, &o);
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	shmipc_fork_release();
	return err;
}

SHMIPC_EXPORT int shmipc_segment_private(struct shmipc_segment **ret,
					 const struct shmipc_segment_opts *opts)
{
	return SHMIPC_TOLD(open_private(ret, opts));
}
