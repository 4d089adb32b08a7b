// SPDX-License-Identifier: MIT
/*
 * pub_loan.c - filling a message in place
 *
 * The user's struct has the address, the size and a number. The location of the memory is
 * in a table of the publisher: the number identifies an entry of it and that entry's
 * use, so a loan that was changed, copied and used twice, or never filled in, is refused.
 *
 * In a topic without a pool a loan is private memory, with the headers behind the payload.
 */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

#define LOANS_MIN	8u

struct shmipc_loan_place {
	uint64_t id;		/* number of uses << 32 | index in the table plus 1 */
	bool used;
	uint32_t next;		/* next free entry; the table's size: none */
	void *ptr;
	size_t len;
	struct shmipc_outgoing out;
	struct shmipc_pool_block blk;
	void *block;		/* private memory; NULL: in the pool */
};

static int grow(struct shmipc_pub_priv *p)
{
	uint32_t i, n = p->nloans ? 2 * p->nloans : LOANS_MIN;
	struct shmipc_loan_place *more = realloc(p->loan, n * sizeof(*more));

	if (!more)
		return shmipc_fail(-ENOMEM, "shmipc: publish on \"%s\": no memory for a loan (ENOMEM)",
				   p->t.seg->hdr.name);
	for (i = p->nloans; i < n; i++)
		more[i] = (struct shmipc_loan_place){ .id = i + 1, .next = i + 1 };
	p->loan = more;
	p->loan_free = p->nloans;
	p->nloans = n;
	return 0;
}

/* The table entry of a loan; NULL if @loan is not one of this publisher's. */
static struct shmipc_loan_place *place_of(const struct shmipc_pub_priv *p,
					  const struct shmipc_loan *loan)
{
	uint32_t at = (uint32_t)loan->id - 1;
	struct shmipc_loan_place *pl = at < p->nloans ? &p->loan[at] : NULL;

	return pl && pl->used && pl->id == loan->id && pl->ptr == loan->ptr ? pl : NULL;
}

static void give_back(struct shmipc_pub_priv *p, struct shmipc_loan_place *pl)
{
	free(pl->block);
	pl->block = NULL;
	pl->used = false;
	pl->id += UINT64_C(1) << 32;
	pl->next = p->loan_free;
	p->loan_free = (uint32_t)pl->id - 1;
}

static unsigned char *private_headers(const struct shmipc_loan_place *pl)
{
	return (unsigned char *)pl->block + shmipc_priv_round_up(pl->len, 8);
}

static int loan_private(struct shmipc_pub_priv *p, struct shmipc_loan_place *pl)
{
	size_t align = p->t.seg->log.hdr.align > 64 ? p->t.seg->log.hdr.align : 64;
	size_t bytes = shmipc_priv_round_up(pl->len, 8) + pl->out.headers_len + 1;
	int err = 0;

	if (!shmipc_pub_fits(p->cell_max, pl->out.prefix_len, pl->len))
		return -EMSGSIZE;
	pl->block = aligned_alloc(align, shmipc_priv_round_up(bytes, align));
	if (!pl->block)
		return -ENOMEM;
	pl->ptr = pl->block;
	if (pl->out.headers_len)
		err = shmipc_headers_save(&p->headers, private_headers(pl), pl->out.headers_len);
	if (err) {
		free(pl->block);
		pl->block = NULL;
	}
	return err;
}

SHMIPC_EXPORT int shmipc_pub_loan(struct shmipc_pub *pub, size_t len,
				  const struct shmipc_headers *headers, struct shmipc_loan *ret,
				  uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_loan_place *pl;
	int err;

	if (!pub || !ret)
		return shmipc_null(__func__, "pub or ret");
	if (!pub->live)
		return shmipc_dead(pub_priv(pub)->t.seg);
	if (len > shmipc_topic_max_message(&p->t.seg->log))
		return -EMSGSIZE;
	if (p->loan_free == p->nloans) {
		err = grow(p);
		if (err)
			return err;
	}
	pl = &p->loan[p->loan_free];
	pl->len = len;
	err = shmipc_pub_chain(p, headers, NULL, len, &pl->out);
	if (!err && p->t.seg->log.hdr.chunks)
		err = shmipc_pub_block(p, &pl->out, len, &pl->blk, &pl->ptr, deadline_ns);
	else if (!err)
		err = loan_private(p, pl);
	if (err)
		return err;
	pl->used = true;
	p->loan_free = pl->next;
	*ret = (struct shmipc_loan){ .ptr = pl->ptr, .len = len, .id = pl->id };
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_publish(struct shmipc_pub *pub, struct shmipc_loan *loan, size_t len,
				     uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_loan_place *pl;
	int ret;

	if (!pub || !loan)
		return shmipc_null(__func__, "pub or loan");
	pl = place_of(p, loan);
	if (!pub->live)
		return shmipc_dead(p->t.seg);
	if (!pl || len > pl->len)
		return -EINVAL;
	if (pl->block)
		ret = shmipc_pub_cell(p, &pl->out, pl->out.headers_len ? private_headers(pl) : NULL,
				      pl->block, len, deadline_ns);
	else
		ret = shmipc_pub_block_publish(p, &pl->blk, &pl->out, len, deadline_ns);
	if (ret)
		return ret;
	give_back(p, pl);
	*loan = (struct shmipc_loan){ 0 };
	return 0;
}

SHMIPC_EXPORT void shmipc_pub_drop(struct shmipc_pub *pub, struct shmipc_loan *loan)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_loan_place *pl = pub && loan ? place_of(p, loan) : NULL;

	if (!pl)
		return;
	if (!pl->block && pub->live)
		shmipc_pool_dropped(&p->pool, &pl->blk);
	give_back(p, pl);
	*loan = (struct shmipc_loan){ 0 };
}

void shmipc_loan_free_all(struct shmipc_pub_priv *p)
{
	uint32_t i;

	for (i = 0; i < p->nloans; i++)
		free(p->loan[i].block);
	free(p->loan);
}
