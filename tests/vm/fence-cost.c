// SPDX-License-Identifier: MIT
/*
 * fence-cost.c - how long it takes to cut off a peer; see tests/vm/fence-cost
 *
 * The peer stores the time, as fast as it can. What is there when the call has returned is
 * the time of its last access.
 */
#include "../kmod/fence.h"

#define ROUNDS	101

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

__attribute__((noreturn)) static int stores_the_time(struct victim *v)
{
	run_on(1);
	gate_tell(v->g->to_parent[1], 'v');
	for (;;)
		v->p[0] = now_ns();
}

static void die(const char *what)
{
	fprintf(stderr, "fence-cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *what, uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_size);
	printf("  %s: median %llu us, largest %llu us", what, (unsigned long long)ns[ROUNDS / 2] / 1000,
	       (unsigned long long)ns[ROUNDS - 1] / 1000);
}

/* One peer, and all of its pages mapped. */
static void measure(uint64_t bytes, uint64_t page)
{
	static uint64_t last[ROUNDS], whole[ROUNDS];
	const volatile uint64_t *data;
	struct shmipc_dev_peer peer;
	struct make m;
	int fd, i;

	make_init(&m, "cost", bytes);
	m.req.page = page;
	fd = dev_make(&m);
	data = fd < 0 ? MAP_FAILED : dev_map(fd, m.req.data_off, bytes, PROT_READ);
	if (data == MAP_FAILED)
		die("create");
	for (i = 0; i < ROUNDS; i++) {
		struct gate g;
		pid_t pid = victim_start(&g, "cost", NULL, stores_the_time);
		uint64_t from, at;

		if (pid < 0 || dev_peer(fd, 0, &peer))
			die("attach");
		from = data[0];
		while (data[0] == from)
			continue;
		from = now_ns();
		if (dev_fence(fd, 0, peer.generation))
			die("fence");
		whole[i] = now_ns() - from;
		at = data[0];
		last[i] = at > from ? at - from : 0;
		if (reap(pid) != -SIGBUS)
			die("the peer was not ended by SIGBUS");
		victim_done(&g);
	}
	printf("%6llu KiB in pages of %4llu KiB:", (unsigned long long)bytes >> 10,
	       (unsigned long long)page >> 10);
	print("last access", last);
	print("return", whole);
	printf("\n");
	munmap((void *)(uintptr_t)data, bytes);
	close(fd);
}

int main(void)
{
	run_on(0);
	measure(64 << 10, PAGE);
	measure(4 * MIB, PAGE);
	measure(64 * MIB, PAGE);
	measure(4 * MIB, 2 * MIB);
	measure(64 * MIB, 2 * MIB);
	return 0;
}
