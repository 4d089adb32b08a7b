// SPDX-License-Identifier: MIT
/* futex.c - futexes, and the expensive half of the asymmetric fence */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <shmipc/segment.h>

#include "wait/wait.h"

#ifndef __NR_futex_waitv
#define __NR_futex_waitv 449	/* the same on every architecture */
#endif

#define CAPS_KNOWN	0x80000000u

static uint32_t wait_caps;	/* of this process; 0: not asked yet */

/* Features of the kernel for this process, asked once: seccomp may refuse some. */
static uint32_t ask_caps(void)
{
	struct timespec past = { 0, 0 };
	uint32_t word = 0, caps = CAPS_KNOWN;
	struct futex_waitv v = { .val = 1, .uaddr = (uintptr_t)&word, .flags = FUTEX_32 };

	/* The value differs: EAGAIN if the call is known. */
	if (syscall(__NR_futex_waitv, &v, 1, 0, &past, CLOCK_MONOTONIC) < 0 && errno == EAGAIN)
		caps |= SHMIPC_CAP_WAITV;
	if (!syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) &&
	    !syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0))
		caps |= SHMIPC_CAP_MEMBARRIER;
	return caps;
}

uint32_t shmipc_wait_caps(void)
{
	uint32_t caps = shmipc_load_relaxed(&wait_caps);
	int saved = errno;

	if (!caps) {
		caps = ask_caps();
		shmipc_store_relaxed(&wait_caps, caps);
		errno = saved;
	}
	return caps & ~CAPS_KNOWN;
}

/* The registration for membarrier belongs to the address space: a child asks again. */
void shmipc_wait_after_fork(void)
{
	shmipc_store_relaxed(&wait_caps, 0u);
}

bool shmipc_barrier_heavy(void)
{
	/* wait.W1 <- wait.W0, wait.W3 <- wait.W2: our want is visible to a later publish. */
	shmipc_fence_seq_cst();
	if (!(shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER))
		return false;
	return !syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

static int wait_result(long ret)
{
	if (ret >= 0 || errno == EAGAIN)
		return 0;
	return errno == ETIMEDOUT || errno == EINTR ? -errno : 0;
}

int shmipc_futex_wait_words(const struct shmipc_word *w, uint32_t n, uint64_t until_ns)
{
	struct timespec until = { (time_t)(until_ns / 1000000000u),
				  (long)(until_ns % 1000000000u) };
	struct futex_waitv v[SHMIPC_WORDS_MAX];
	int saved = errno, ret;
	uint32_t i;

	for (i = 0; i < n; i++)
		v[i] = (struct futex_waitv){ .val = w[i].val, .uaddr = (uintptr_t)w[i].word,
					     .flags = FUTEX_32 };
	/* Also for one word: a timed FUTEX_WAIT is not restarted after a handler. */
	if (shmipc_wait_caps() & SHMIPC_CAP_WAITV)
		ret = wait_result(syscall(__NR_futex_waitv, v, n, 0, &until, CLOCK_MONOTONIC));
	else	/* absolute, unlike FUTEX_WAIT */
		ret = wait_result(syscall(SYS_futex, w->word, FUTEX_WAIT_BITSET, w->val, &until,
					  NULL, FUTEX_BITSET_MATCH_ANY));
	errno = saved;
	return ret;
}

int shmipc_futex_wait(const uint32_t *word, uint32_t val, uint64_t until_ns)
{
	struct shmipc_word w = { .word = word, .val = val };

	return shmipc_futex_wait_words(&w, 1, until_ns);
}

/*
 * Without it nothing can sleep, and the C library aborts the process as soon as it needs
 * it: at the latest when a thread is started, at the earliest in pthread_once().
 */
int shmipc_futex_check(void)
{
	uint32_t word = 0;

	int err;

	if (syscall(SYS_futex, &word, FUTEX_WAKE, 0, NULL, NULL, 0) >= 0)
		return 0;
	err = shmipc_sys("futex");
	return shmipc_fail(err, "shmipc: %s%s", shmipc_cause(err).s, shmipc_advice(err));
}

void shmipc_futex_wake(const uint32_t *word, int n)
{
	int saved = errno;

	(void)syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
	errno = saved;
}
