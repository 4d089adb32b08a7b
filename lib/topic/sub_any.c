// SPDX-License-Identifier: MIT
/* sub_any.c - a subscriber that waits for any of several topics */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

#define ANY_MAX		65536u
#define ANY_FEW		64u	/* without allocating memory */

static int check(struct shmipc_sub *const *subs, size_t n)
{
	const struct shmipc_backend *be;
	size_t i;

	if (!n || n > ANY_MAX)
		return shmipc_fail(-EINVAL, "shmipc: wait for any of %zu subscribers: 1 to %u (EINVAL)",
				   n, ANY_MAX);
	for (i = 0; i < n; i++)
		if (!subs || !subs[i])
			return shmipc_null("shmipc_sub_wait_any", "subs and what is in it");
	be = sub_priv(subs[0])->t.seg->be;
	for (i = 0; i < n; i++) {
		if (sub_priv(subs[i])->t.seg->fenced)
			return shmipc_dead(sub_priv(subs[i])->t.seg);
		if (!subs[i]->live || sub_priv(subs[i])->t.seg->be != be)
			return shmipc_fail(-EINVAL, "shmipc: wait for any: subscriber %zu was inherited through fork, or is of another backend than the first (EINVAL)",
					   i);
	}
	return 0;
}

SHMIPC_EXPORT int shmipc_sub_wait_any(struct shmipc_sub *const *subs, size_t n, size_t *ret_first,
				      uint64_t deadline_ns)
{
	static uint32_t turn;	/* where the search begins: fair enough, despite races */
	struct shmipc_wait_item few[ANY_FEW], *item = few;
	int ret;
	size_t i;

	if (!ret_first)
		return shmipc_null(__func__, "ret_first");
	ret = check(subs, n);
	if (ret)
		return ret;
	if (n > ANY_FEW)
		item = calloc(n, sizeof(*item));
	if (!item)
		return shmipc_fail(-ENOMEM, "shmipc: no memory to wait for %zu subscribers (ENOMEM)", n);
	for (i = 0; i < n; i++) {
		item[i] = (struct shmipc_wait_item){ &shmipc_sub_entry_ops, sub_priv(subs[i]) };
		if (sub_priv(subs[i])->provisional && deadline_ns)
			shmipc_sub_moves(sub_priv(subs[i]));
	}
	ret = shmipc_wait_any(&sub_priv(subs[0])->t.wait, item, n, shmipc_load_relaxed(&turn) % n,
			      ret_first, deadline_ns);
	for (i = 0; i < n && deadline_ns; i++)
		shmipc_sub_moves_later(sub_priv(subs[i]));
	if (!ret)
		shmipc_store_relaxed(&turn, (uint32_t)*ret_first + 1);
	if (item != few)
		free(item);
	return ret;
}
