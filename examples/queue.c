// SPDX-License-Identifier: MIT
/* queue.c - one process pushes work, two do it; one of them is killed, and nothing is lost */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shmipc/shmipc.h>

enum { JOBS = 100, NORMAL = 0, URGENT = 1 };

/* Takes a few, and is killed with the last one in its hands. */
static int worker_that_dies(void)
{
	struct shmipc_queue_item job;
	struct shmipc_pop *rx;
	int i;

	if (shmipc_pop_open(&rx, "example/queue", NULL, NULL))
		return 1;
	for (i = 0; i < 5; i++) {
		if (shmipc_pop_item(rx, &job, SHMIPC_FOREVER))
			return 1;
		if (i < 4)
			(void)shmipc_pop_ack(rx, &job, 1);
	}
	return raise(SIGKILL);
}

int main(void)
{
	const struct shmipc_queue_opts opts = SHMIPC_QUEUE_OPTS(.levels = 2, .depth = 128);
	struct shmipc_queue_item job;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	int i, n, done = 0, again = 0;
	void *place;
	pid_t pid;

	if (shmipc_push_open(&tx, "example/queue", &opts, NULL) ||
	    shmipc_pop_open(&rx, "example/queue", &opts, NULL))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	for (i = 0; i < JOBS; i++)
		if (shmipc_push_item(tx, &i, sizeof(i), NORMAL, 0))
			return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	/* The same without a copy: written where it will be read. This one is done first. */
	if (shmipc_push_reserve(tx, &place, 0))
		return 1;
	memcpy(place, &i, sizeof(i));
	(void)shmipc_push_commit(tx, sizeof(i), URGENT);

	pid = fork();
	if (!pid)
		_exit(worker_that_dies());
	(void)waitpid(pid, NULL, 0);
	while (!shmipc_pop_item(rx, &job, 0)) {
		memcpy(&n, job.data, sizeof(n));
		if (job.deliveries > 1)
			printf("job %d: again, as a worker died\n", n);
		again += job.deliveries > 1;
		done++;
		(void)shmipc_pop_ack(rx, &job, 1);
	}
	printf("%d jobs done, 4 by the worker that died\n", done);
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
	return done != JOBS + 1 - 4 || again != 1;
}
