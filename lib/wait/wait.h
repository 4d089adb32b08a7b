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
bool shmipc_barrier_heavy(void);	/* false: not possible; a sleeper must check again soon */
void shmipc_wait_after_fork(void);
void shmipc_wait_words_after_fork(void);	/* words.c */

/* A word to sleep on, and the value that it has meanwhile. */
struct shmipc_word {
	const uint32_t *word;
	uint32_t val;
	bool of_peer;	/* of a peer slot: a waiter woken by it passes the wake on */
	void *of;	/* for the backend: the owner of the word */
};

#define SHMIPC_WORDS_MAX	128u	/* FUTEX_WAITV_MAX */

/*
 * Sleep while each word has its value, until @until_ns. 0: woken, or never slept;
 * -ETIMEDOUT; -EINTR. Without futex_waitv(2) only the first word wakes.
 */
int shmipc_futex_wait_words(const struct shmipc_word *w, uint32_t n, uint64_t until_ns);
int shmipc_futex_wait(const uint32_t *word, uint32_t val, uint64_t until_ns);
void shmipc_futex_wake(const uint32_t *word, int n);
int shmipc_futex_check(void);		/* 0; -errno with a text: a sandbox refuses futex(2) */

/* words.c: any number of words; beyond 128 with threads of the library. -ENOMEM */
int shmipc_futex_wait_many(const struct shmipc_word *w, size_t n, uint64_t until_ns);

#endif /* SHMIPC_LIB_WAIT_H */
