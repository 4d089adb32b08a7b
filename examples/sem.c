// SPDX-License-Identifier: MIT
/*
 * sem.c - processes share two places; one is killed in its place, which comes back
 *
 * Each opens the segment by its name, as separate programs would.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define PLACES		2
#define PROCESSES	4
#define TIMES		1000

static char name[64];

static int fail(const char *what, int err)
{
	fprintf(stderr, "sem: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

static int join(struct shmipc_segment **ret_seg, struct shmipc_peer **ret_peer)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct shmipc_sem), .flags = SHMIPC_CREATE);
	int ret = shmipc_segment_open(ret_seg, name, &make);

	if (!ret)
		ret = shmipc_peer_join(ret_peer, *ret_seg, NULL);
	return ret ? fail("open and join", ret) : 0;
}

static int use(int dies)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct shmipc_sem *sem;
	int i, ret = join(&seg, &peer);

	if (ret)
		return ret;
	sem = (struct shmipc_sem *)shmipc_segment_data(seg, NULL);
	for (i = 0; i < TIMES && !ret; i++) {
		ret = shmipc_sem_wait(peer, sem, SHMIPC_FOREVER);
		if (ret)
			return fail("wait", ret);
		if (dies)
			(void)raise(SIGKILL);
		ret = shmipc_sem_post(peer, sem, 1);
	}
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return ret ? fail("post", ret) : 0;
}

int main(void)
{
	struct shmipc_sem_info info = SHMIPC_SEM_INFO();
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	int i, failed, status;
	struct shmipc_sem *sem;

	snprintf(name, sizeof(name), "example/sem-%d", (int)getpid());
	if (join(&seg, &peer))
		return 1;
	sem = (struct shmipc_sem *)shmipc_segment_data(seg, NULL);
	failed = shmipc_sem_init(sem, PLACES, SHMIPC_SEM_ROBUST);
	fflush(stdout);
	for (i = 0; i < PROCESSES; i++)
		if (!fork())
			return use(!i);
	while (wait(&status) > 0)
		if (WIFEXITED(status) && WEXITSTATUS(status))
			failed = 1;
	for (i = 0; i < PLACES; i++)
		if (shmipc_sem_wait(peer, sem, 0))
			failed = 1;
	shmipc_sem_get_info(peer, sem, &info);
	if (info.held != PLACES || info.freed != 1)
		failed = 1;
	printf("sem: %u places of %d are free again, %llu came back from a dead process: %s\n", info.held,
	       PLACES, (unsigned long long)info.freed, failed ? "FAILED" : "right");
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return failed;
}
