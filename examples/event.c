// SPDX-License-Identifier: MIT
/* event.c - a process notifies, another counts; then it is killed, which is an event, too */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shmipc/shmipc.h>

enum { TICK = 3, ALARM = 5 };

static int notify(void)
{
	struct shmipc_notifier *n;
	int i;

	if (shmipc_notifier_open(&n, "example/event", NULL))
		return 1;
	for (i = 0; i < 1000; i++)
		(void)shmipc_notifier_notify(n, TICK, 1);
	(void)shmipc_notifier_notify(n, ALARM, 1);
	return raise(SIGKILL);		/* without closing */
}

int main(void)
{
	struct shmipc_event_got got[8];
	struct shmipc_listener *l;
	unsigned long long ticks = 0, died = 0;
	size_t i, n;
	pid_t pid;
	int ret = shmipc_listener_open(&l, "example/event", NULL, NULL);

	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	pid = fork();
	if (!pid)
		_exit(notify());
	while (!ret && !died) {	/* all events, until one tells of the death */
		ret = shmipc_listener_wait_any(l, NULL, 0, got, 8, &n, SHMIPC_FOREVER);
		for (i = 0; !ret && i < n; i++) {
			if (got[i].event == TICK)
				ticks += got[i].count;
			else if (got[i].event == ALARM)
				printf("alarm\n");
			else if (got[i].event == SHMIPC_LISTEN_DIED)
				died = got[i].count;
		}
	}
	/* What it notified before it died may be found after that. */
	if (!ret && !shmipc_listener_wait(l, TICK, got, 0))
		ticks += got[0].count;
	printf("%llu ticks, %llu notifier died\n", ticks, died);
	shmipc_listener_close(l);
	(void)waitpid(pid, NULL, 0);
	return ret || ticks != 1000 || died != 1;
}
