// SPDX-License-Identifier: MIT
/*
 * pub_loan.c - loans of a topic without a pool: private memory
 *
 * The headers lie behind the payload, and behind them what links the loans of a
 * publisher, so that those that were not published go with it.
 */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

struct shmipc_loan_node {
	struct shmipc_loan_node *next;
	struct shmipc_loan_node **at;	/* where it is linked */
	void *block;
};

unsigned char *shmipc_loan_headers(const struct shmipc_loan *loan)
{
	return (unsigned char *)loan->block + shmipc_priv_round_up(loan->len, 8);
}

static struct shmipc_loan_node *node_of(const struct shmipc_loan *loan)
{
	return (struct shmipc_loan_node *)(void *)(shmipc_loan_headers(loan) +
						   shmipc_priv_round_up(loan->headers_len, 8));
}

int shmipc_loan_alloc(struct shmipc_pub_priv *p, struct shmipc_loan *loan)
{
	size_t align = p->t.seg->log.hdr.align > 64 ? p->t.seg->log.hdr.align : 64;
	size_t bytes = shmipc_priv_round_up(loan->len, 8) + sizeof(struct shmipc_loan_node) +
		       shmipc_priv_round_up(loan->headers_len, 8);
	struct shmipc_loan_node *n;

	loan->block = aligned_alloc(align, shmipc_priv_round_up(bytes, align));
	if (!loan->block)
		return -ENOMEM;
	loan->ptr = loan->block;
	n = node_of(loan);
	*n = (struct shmipc_loan_node){ p->loans, &p->loans, loan->block };
	if (n->next)
		n->next->at = &n->next;
	p->loans = n;
	return 0;
}

static void node_free(struct shmipc_loan_node *n)
{
	*n->at = n->next;
	if (n->next)
		n->next->at = n->at;
	free(n->block);
}

void shmipc_loan_free(struct shmipc_loan *loan)
{
	node_free(node_of(loan));
}

void shmipc_loan_free_all(struct shmipc_pub_priv *p)
{
	while (p->loans)
		node_free(p->loans);
}
