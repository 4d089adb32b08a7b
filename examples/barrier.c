// SPDX-License-Identifier: MIT
/*
 * barrier.c - processes compute in steps, and each step begins when all have done the last one
 *
 * In each step a process needs what its neighbours had after the step before: here, the largest of
 * the three numbers. So after as many steps as there are processes all have the largest of all.
 * Then one of them is killed while it waits: the others are told, and do not wait forever.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define PROCESSES	4

/* Two numbers each: one is read by neighbours while the other one is written. */
struct field {
	struct shmipc_barrier barrier;
	uint64_t number[2][PROCESSES];
};

static char name[64];

static int fail(const char *what, int err)
{
	fprintf(stderr, "barrier: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

static int join(struct shmipc_segment **ret_seg, struct shmipc_peer **ret_peer)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct field), .flags = SHMIPC_CREATE);
	int ret = shmipc_segment_open(ret_seg, name, &make);

	if (!ret)
		ret = shmipc_peer_join(ret_peer, *ret_seg, NULL);
	return ret ? fail("open and join", ret) : 0;
}

static uint64_t largest(const uint64_t *number, int me)
{
	uint64_t left = number[(me + PROCESSES - 1) % PROCESSES], right = number[(me + 1) % PROCESSES];
	uint64_t most = number[me] > left ? number[me] : left;

	return most > right ? most : right;
}

static int compute(int me)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct field *f;
	int step, ret = join(&seg, &peer);

	if (ret)
		return ret;
	f = (struct field *)shmipc_segment_data(seg, NULL);
	for (step = 0; step < PROCESSES && ret >= 0; step++) {
		f->number[!(step % 2)][me] = largest(f->number[step % 2], me);
		ret = shmipc_barrier_wait(peer, &f->barrier, SHMIPC_FOREVER);
	}
	if (ret < 0)
		return fail("wait", ret);
	/* Once more, but the last one does not come. */
	ret = -EOWNERDEAD;
	if (me < PROCESSES - 1)
		ret = shmipc_barrier_wait(peer, &f->barrier, SHMIPC_FOREVER);
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return ret == -EOWNERDEAD ? 0 : fail("wait for a dead one", ret);
}

/* Until all but one wait after the last step. */
static void until_they_wait(struct shmipc_peer *peer, const struct shmipc_barrier *b)
{
	struct shmipc_barrier_info info = SHMIPC_BARRIER_INFO();

	while (!shmipc_barrier_get_info(peer, b, &info) && !info.broken &&
	       (info.round < PROCESSES || info.arrived < PROCESSES - 1))
		(void)usleep(1000);
}

int main(void)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	int i, failed, status;
	struct field *f;
	pid_t pid, first = 0;

	snprintf(name, sizeof(name), "example/barrier-%d", (int)getpid());
	if (join(&seg, &peer))
		return 1;
	f = (struct field *)shmipc_segment_data(seg, NULL);
	failed = shmipc_barrier_init(&f->barrier, PROCESSES) != 0;
	for (i = 0; i < PROCESSES; i++)
		f->number[0][i] = (uint64_t)(i * 7 % PROCESSES);
	fflush(stdout);
	for (i = 0; i < PROCESSES; i++) {
		pid = fork();
		if (!pid)
			return compute(i);
		first = i ? first : pid;
	}
	until_they_wait(peer, &f->barrier);
	(void)kill(first, SIGKILL);
	while ((pid = wait(&status)) > 0)
		if (pid != first && (!WIFEXITED(status) || WEXITSTATUS(status)))
			failed = 1;
	for (i = 0; i < PROCESSES; i++)
		if (f->number[PROCESSES % 2][i] != PROCESSES - 1)
			failed = 1;
	printf("barrier: %d processes agree after %d steps; one died waiting, and all were told: %s\n",
	       PROCESSES, PROCESSES, failed ? "FAILED" : "right");
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
	return failed;
}
