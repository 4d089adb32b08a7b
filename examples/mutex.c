// SPDX-License-Identifier: MIT
/*
 * mutex.c - processes count together; one is killed while it owns the mutex
 *
 * Each opens the segment by its name, as separate programs would. The one that is killed
 * leaves its count half done, and the next one repairs that.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define PROCESSES	4
#define TIMES		10000

struct state {
	struct shmipc_mutex mutex;	/* zeroes: unlocked */
	uint64_t counter;
	uint64_t twice;			/* twice the counter, unless the mutex is owned */
};

static char name[64];

static int fail(const char *what, int err)
{
	fprintf(stderr, "mutex: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

static int lock(struct shmipc_peer *peer, struct state *s)
{
	struct shmipc_mutex_info info = SHMIPC_MUTEX_INFO();
	int ret = shmipc_mutex_lock(peer, &s->mutex, SHMIPC_FOREVER);

	if (ret != -EOWNERDEAD)
		return ret;
	shmipc_mutex_get_info(peer, &s->mutex, &info);
	printf("mutex: process %u repairs what process %u left: %llu, twice %llu\n", info.owner.pid,
	       info.died.pid, (unsigned long long)s->counter, (unsigned long long)s->twice);
	s->twice = 2 * s->counter;
	return shmipc_mutex_consistent(peer, &s->mutex);
}

static int count(int times, int dies)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct state), .flags = SHMIPC_CREATE);
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct state *s;
	int ret = shmipc_segment_open(&seg, name, &make);

	if (!ret)
		ret = shmipc_peer_join(&peer, seg, NULL);
	if (ret)
		return fail("open and join", ret);
	s = (struct state *)shmipc_segment_data(seg, NULL);
	while (times-- && !ret) {
		ret = lock(peer, s);
		if (ret)
			return fail("lock", ret);
		s->counter++;
		if (dies)
			(void)raise(SIGKILL);
		s->twice += 2;
		ret = shmipc_mutex_unlock(peer, &s->mutex);
	}
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return ret ? fail("unlock", ret) : 0;
}

int main(void)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct state), .flags = SHMIPC_CREATE);
	const uint64_t sum = PROCESSES * TIMES + 2;
	struct shmipc_segment *seg;
	const struct state *s;
	int i, ret, status;

	snprintf(name, sizeof(name), "example/mutex-%d", (int)getpid());
	ret = shmipc_segment_open(&seg, name, &make);
	if (ret)
		return fail("create", ret);
	fflush(stdout);
	for (i = 0; i <= PROCESSES; i++)
		if (!fork())
			return count(i ? TIMES : 1, !i);
	while (wait(&status) > 0)
		if (WIFEXITED(status) && WEXITSTATUS(status))
			ret = 1;
	/* If the one that was killed came last, what it left is repaired here. */
	ret |= count(1, 0);
	s = (const struct state *)shmipc_segment_data(seg, NULL);
	if (s->counter != sum || s->twice != 2 * sum)
		ret = 1;
	printf("mutex: counted to %llu, expected %llu: %s\n", (unsigned long long)s->counter,
	       (unsigned long long)sum, ret ? "FAILED" : "right");
	shmipc_segment_close(seg);
	return ret;
}
