// SPDX-License-Identifier: MIT
/*
 * attend.c - sleeping without end, and hearing of a signal or a closed output all the same
 *
 * A signal that comes just before a sleep is not noticed by it, and a pipe whose reader
 * has gone says nothing to a process that does not write. So whatever ends the command
 * starts a timer, whose signals interrupt sleeps until it is noticed.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "util.h"

static void on_alarm(int sig)
{
	(void)sig;
}

static void *watch_reader(void *arg)
{
	struct pollfd p = { .fd = (int)(intptr_t)arg };

	while (poll(&p, 1, -1) < 0)
		continue;
	tool_nag();
	return NULL;
}

/* Return: 0, or an error number. */
static int start_watch(int fd)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);	/* signals interrupt the sleeper */
	ret = pthread_create(&thread, &attr, watch_reader, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

int tool_attend(int out_fd)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct stat st;

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGALRM, &sa, NULL))
		return 0;
	if (out_fd >= 0 && !fstat(out_fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) &&
	    start_watch(out_fd))
		return 0;
	tool_nags = 1;
	return 1;
}
