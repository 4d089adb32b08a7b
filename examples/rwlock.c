// SPDX-License-Identifier: MIT
/*
 * rwlock.c - readers that never see half an update; a writer is killed in the middle of one
 *
 * Each process opens the segment by its name, as separate programs would. The next one after
 * the death, reader or writer, has the lock alone, and repairs what was left.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define READERS		3
#define TIMES		20000

struct state {
	struct shmipc_rwlock lock;	/* zeroes: free */
	uint64_t left, right;		/* equal, unless a writer has the lock */
};

static char name[64];

static int fail(const char *what, int err)
{
	fprintf(stderr, "rwlock: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

/* After read_lock or write_lock, which returned @ret. */
static int repaired(struct shmipc_peer *peer, struct state *s, int ret)
{
	struct shmipc_rwlock_info info = SHMIPC_RWLOCK_INFO();

	if (ret != -EOWNERDEAD)
		return ret;
	shmipc_rwlock_get_info(peer, &s->lock, &info);
	printf("rwlock: process %u repairs what process %u left: %llu and %llu\n", info.writer.pid,
	       info.died.pid, (unsigned long long)s->left, (unsigned long long)s->right);
	s->right = s->left;
	return shmipc_rwlock_consistent(peer, &s->lock);
}

static int read_state(struct shmipc_peer *peer, struct state *s)
{
	int ret = repaired(peer, s, shmipc_rwlock_read_lock(peer, &s->lock, SHMIPC_FOREVER));

	if (ret)
		return fail("read lock", ret);
	if (s->left != s->right)
		return fail("half an update", -EPROTO);
	return shmipc_rwlock_unlock(peer, &s->lock);
}

static int write_state(struct shmipc_peer *peer, struct state *s, int dies)
{
	int ret = repaired(peer, s, shmipc_rwlock_write_lock(peer, &s->lock, SHMIPC_FOREVER));

	if (ret)
		return fail("write lock", ret);
	s->left++;
	if (dies)
		(void)raise(SIGKILL);
	s->right++;
	return shmipc_rwlock_unlock(peer, &s->lock);
}

static int join(struct shmipc_segment **ret_seg, struct shmipc_peer **ret_peer)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct state), .flags = SHMIPC_CREATE);
	int ret = shmipc_segment_open(ret_seg, name, &make);

	if (!ret)
		ret = shmipc_peer_join(ret_peer, *ret_seg, NULL);
	return ret ? fail("open and join", ret) : 0;
}

static int use(int writes, int dies)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct state *s;
	int i, ret = join(&seg, &peer);

	if (ret)
		return ret;
	s = (struct state *)shmipc_segment_data(seg, NULL);
	for (i = 0; i < TIMES && !ret; i++)
		ret = writes ? write_state(peer, s, dies && i == TIMES / 2) : read_state(peer, s);
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return ret != 0;
}

int main(void)
{
	const uint64_t sum = TIMES + TIMES / 2 + 1;
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	int i, failed = 0, status;
	struct state *s;

	snprintf(name, sizeof(name), "example/rwlock-%d", (int)getpid());
	fflush(stdout);
	for (i = 0; i < READERS + 2; i++)
		if (!fork())
			return use(i < 2, i == 0);
	if (join(&seg, &peer))
		return 1;
	while (wait(&status) > 0)
		if (WIFEXITED(status) && WEXITSTATUS(status))
			failed = 1;
	s = (struct state *)shmipc_segment_data(seg, NULL);
	if (read_state(peer, s) || s->left != sum || s->right != sum)
		failed = 1;
	printf("rwlock: counted to %llu and %llu, expected %llu: %s\n", (unsigned long long)s->left,
	       (unsigned long long)s->right, (unsigned long long)sum, failed ? "FAILED" : "right");
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return failed;
}
