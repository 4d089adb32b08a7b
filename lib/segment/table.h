/* SPDX-License-Identifier: MIT */
/* table.h - a peer table that the peers write themselves; the kernel knows only the locks */
#ifndef SHMIPC_LIB_TABLE_H
#define SHMIPC_LIB_TABLE_H

#include "segment/backend.h"

/* Possession of a slot, independent of the table: for files, a lock. */
struct shmipc_locks {
	int (*lock)(struct shmipc_segment *seg, uint32_t slot);	/* -EBUSY: held */
	void (*unlock)(struct shmipc_segment *seg, uint32_t slot);
	bool (*held)(struct shmipc_segment *seg, uint32_t slot);	/* by another */
};

/* Does the word of a slot say that a living peer has it? */
static inline bool shmipc_word_attached(uint32_t word)
{
	return word & SHMIPC_PEER_TID_MASK && !(word & SHMIPC_PEER_DEAD);
}

/* Taken by a peer whose death the kernel would have marked: no need to ask, if it told the truth. */
static inline bool shmipc_word_is_sure(uint32_t word)
{
	return shmipc_word_attached(word) && (word & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER;
}

/* table.c */
int shmipc_table_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to);
void shmipc_table_leave(struct shmipc_end *e);
enum shmipc_peer_state shmipc_table_state(struct shmipc_segment *seg, uint32_t slot, bool lock);
void shmipc_table_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns);

/* table_wait.c */
void shmipc_table_watch_peer(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot);
void shmipc_table_watch_peers(struct shmipc_segment *seg, struct shmipc_wait_set *set,
			     uint32_t slots);
int shmipc_table_sleep(struct shmipc_wait_set *set, uint64_t until_ns);
void shmipc_table_hello(struct shmipc_segment *seg);
void shmipc_table_wake(struct shmipc_segment *seg, const uint32_t *word, uint32_t n);

#endif /* SHMIPC_LIB_TABLE_H */
