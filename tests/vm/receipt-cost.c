// SPDX-License-Identifier: MIT
/*
 * receipt-cost.c - what a death and its receipt cost; see tests/vm/receipt-cost
 *
 * The time from SIGKILL until another process sees the death, which includes making the
 * receipt, until the parent can reap the process, and how long it takes to read receipts.
 */
#include "../kmod/dev.h"

#define ROUNDS	401

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_us(uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	return (double)ns[ROUNDS / 2] / 1e3;
}

static pid_t start(int fd, struct gate *g)
{
	pid_t pid = fork();

	if (pid)
		return gate_hear(g->to_parent[0]) == 'a' ? pid : -1;
	fd = dev_join(fd, 0);
	gate_tell(g->to_parent[1], dev_attach(fd, SHMIPC_ROLE_PRODUCER) == 0 ? 'a' : 'x');
	for (;;)
		pause();
}

int main(void)
{
	static uint64_t seen[ROUNDS], reaped[ROUNDS], one[ROUNDS], all[ROUNDS];
	struct shmipc_dev_death d[SHMIPC_DEV_DEATHS_KEPT];
	const struct shmipc_peer_slot *slot;
	int fd = dev_create(NULL, PAGE), i, got = 0;
	struct gate g;
	uint64_t from;
	pid_t pid;

	if (fd < 0)
		return 1;
	slot = hdr_slot(dev_map_hdr(fd), 0);
	gate_make(&g);
	for (i = 0; i < ROUNDS; i++) {
		pid = start(fd, &g);
		from = now_ns();
		if (pid < 0 || kill(pid, SIGKILL))
			return 1;
		while (__atomic_load_n(&slot->state, __ATOMIC_RELAXED) != SHMIPC_PEER_DIED)
			sched_yield();
		seen[i] = now_ns() - from;
		waitpid(pid, NULL, 0);
		reaped[i] = now_ns() - from;
		from = now_ns();
		(void)dev_deaths(fd, (uint64_t)i, d, 1, NULL);
		one[i] = now_ns() - from;
		from = now_ns();
		got = dev_deaths(fd, 0, d, SHMIPC_DEV_DEATHS_KEPT, NULL);
		all[i] = now_ns() - from;
	}
	printf("from SIGKILL until another process sees the death: median %.2f us", median_us(seen));
	printf(", least %.2f us; until it is reaped: median %.1f us\n", (double)seen[0] / 1e3,
	       median_us(reaped));
	printf("reading the last receipt: %.2f us, %d receipts: %.2f us\n", median_us(one), got,
	       median_us(all));
	return 0;
}
