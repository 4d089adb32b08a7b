/* SPDX-License-Identifier: MIT */
/* wait.h - sleeping on words of shared memory until they change, and waking */
#ifndef SHMIPC_LIB_WAIT_H
#define SHMIPC_LIB_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <shmipc/inline/atomic.h>

#include "base/base.h"

/* futex.c: the kernel's side of sleeping, the same for all of the process */
uint32_t shmipc_wait_caps(void);	/* SHMIPC_CAP_WAITV, SHMIPC_CAP_MEMBARRIER */
bool shmipc_barrier_heavy(void);	/* false: cannot */
void shmipc_wait_after_fork(void);
void shmipc_wait_words_after_fork(void);	/* words.c */

/*
 * Sleep while *@word == @val and *@peer == @peer_val, until @until_ns.
 * 0: woken, or never slept; -ETIMEDOUT; -EINTR.
 */
int shmipc_futex_wait(const uint32_t *word, uint32_t val, const uint32_t *peer,
		      uint32_t peer_val, uint64_t until_ns);
void shmipc_futex_wake(const uint32_t *word, int n);

/* While each of several words has its value; at most FUTEX_WAITV_MAX, 128. */
struct shmipc_word {
	const uint32_t *word;
	uint32_t val;
};

#define SHMIPC_WORDS_MAX	128u

int shmipc_futex_wait_words(const struct shmipc_word *w, uint32_t n, uint64_t until_ns);

/* words.c: of any number, for more than 128 with threads of the library. -ENOMEM */
int shmipc_futex_wait_many(const struct shmipc_word *w, size_t n, uint64_t until_ns);

#endif /* SHMIPC_LIB_WAIT_H */
