/* SPDX-License-Identifier: MIT */
/*
 * topic_stop.h - a publisher that is stopped between claim and commit
 *
 * It is a process of its own. The page of its next entry is made read-only in it, so the first
 * store after the claim is a fault, and the handler stops the process. When it is continued,
 * the page can be written, and the call goes on.
 */
#ifndef TEST_TOPIC_STOP_H
#define TEST_TOPIC_STOP_H

#include "topic_ends.h"

#define ENTRIES		64u
#define LAPS		3u

static unsigned char *page;		/* of the next entry */

static void on_fault(int sig)
{
	(void)sig;
	(void)raise(SIGSTOP);
	if (mprotect(page, 4096, PROT_READ | PROT_WRITE))
		_exit(99);
}

static int fault_stops(void)
{
	struct sigaction sa = { .sa_handler = on_fault };

	return sigaction(SIGSEGV, &sa, NULL);
}

static int protect(const struct shmipc_pub *pub)
{
	const struct shmipc_tlog *log = log_of(pub);
	uintptr_t at = (uintptr_t)shmipc_tlog_entry(log, shmipc_tlog_tail(log));

	page = (unsigned char *)(at & ~(uintptr_t)4095);
	return mprotect(page, 4096, PROT_READ);
}

static int batch(struct shmipc_pub *pub)
{
	static const uint64_t n[2] = { 7001, 7002 };
	const struct shmipc_buf v[2] = { { &n[0], 8 }, { &n[1], 8 } };

	return shmipc_pub_send_batch(pub, v, 2, 0);
}

/* Tell it what to do, in the middle of which it is stopped. */
static int stop(struct other *child, uint64_t what)
{
	int status;

	tell(child, what);
	return waitpid(child->pid, &status, WUNTRACED) != child->pid ||
	       !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP ? -1 : 0;
}

/* It continues. Return: the result of its call. */
static int go_on(struct other *child)
{
	(void)kill(child->pid, SIGCONT);
	return -(int)hear(child);
}

static uint64_t aborted(const struct shmipc_pub *pub)
{
	return shmipc_load_relaxed(&log_of(pub)->pub->aborted);
}

#endif /* TEST_TOPIC_STOP_H */
