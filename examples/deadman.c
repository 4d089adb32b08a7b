// SPDX-License-Identifier: MIT
/*
 * deadman.c - leader election among three processes
 *
 * Each wants to be the leader. The one that is does some work, and then is killed, or
 * leaves; the next takes over at once, with the next term.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shmipc/shmipc.h>

#define PROCESSES	3

static int candidate(void)
{
	struct shmipc_deadman *d;
	uint64_t term;

	if (shmipc_deadman_open(&d, "example/leader", NULL) ||
	    shmipc_deadman_take(d, &term, SHMIPC_FOREVER))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	printf("leader of term %llu\n", (unsigned long long)term);
	(void)fflush(stdout);
	if (term < PROCESSES)
		(void)raise(SIGKILL);	/* all but the last one are killed */
	shmipc_deadman_close(d);
	return 0;
}

int main(void)
{
	static const char *const how[] = { "still holds it", "released it", "died", "unknown" };
	struct shmipc_deadman_info info = SHMIPC_DEADMAN_INFO();
	struct shmipc_deadman *d;
	uint64_t term;
	int i, bad = 0, ret = shmipc_deadman_open(&d, "example/leader", NULL);

	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	for (i = 0; i < PROCESSES; i++)
		if (!fork())
			_exit(candidate());
	for (i = 0; i < PROCESSES; i++)
		(void)wait(NULL);
	for (term = 1; term <= PROCESSES && !ret; term++) {
		ret = shmipc_deadman_wait_released(d, term, &info, SHMIPC_FOREVER);
		printf("term %llu: its leader %s\n", (unsigned long long)term, how[info.end & 3]);
		bad += info.end != (term < PROCESSES ? SHMIPC_DEADMAN_DIED : SHMIPC_DEADMAN_RELEASED);
	}
	shmipc_deadman_close(d);
	return ret || bad;
}
