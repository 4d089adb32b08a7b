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
bool shmipc_barrier_heavy(void);	/* false: cannot; whoever sleeps looks again soon */
void shmipc_wait_after_fork(void);
void shmipc_wait_words_after_fork(void);	/* words.c */

/* A word that is slept on, and the value that it has meanwhile. */
struct shmipc_word {
	const uint32_t *word;
	uint32_t val;
	bool of_peer;	/* a peer slot's: whoever wakes for it passes the wake on */
	void *of;	/* the backend's: whose it is */
};

#define SHMIPC_WORDS_MAX	128u	/* FUTEX_WAITV_MAX */

/*
 * Sleep while each word has its value, until @until_ns. 0: woken, or never slept;
 * -ETIMEDOUT; -EINTR. Where futex_waitv(2) is missing only the first word wakes.
 */
int shmipc_futex_wait_words(const struct shmipc_word *w, uint32_t n, uint64_t until_ns);
int shmipc_futex_wait(const uint32_t *word, uint32_t val, uint64_t until_ns);
void shmipc_futex_wake(const uint32_t *word, int n);

/* words.c: of any number, for more than 128 with threads of the library. -ENOMEM */
int shmipc_futex_wait_many(const struct shmipc_word *w, size_t n, uint64_t until_ns);

#endif /* SHMIPC_LIB_WAIT_H */
