// SPDX-License-Identifier: MIT
/* child.c - running a command while something is held */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "child.h"
#include "util.h"

/* As it was at the start, for the command. */
static sigset_t mask;
static struct sigaction on_pipe;

/* Those that end this process. One that was ignored at the start, as by nohup(1), stays ignored. */
static void stops(sigset_t *set)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction is;
	size_t i;

	sigemptyset(set);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		if (!sigaction(sigs[i], NULL, &is) && is.sa_handler != SIG_IGN)
			sigaddset(set, sigs[i]);
}

void child_begin(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigaction(SIGPIPE, &sa, &on_pipe);
	sa.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &sa, NULL);
	stops(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, &mask);
}

int child_signal(void)
{
	const struct timespec now = { 0, 0 };
	sigset_t set;
	int sig;

	stops(&set);
	sig = sigtimedwait(&set, NULL, &now);
	return sig > 0 ? sig : 0;
}

static volatile sig_atomic_t came;

static void on_stop(int sig)
{
	came = sig;
	tool_nag();
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* @handler: of those that end this process. */
static void handle(void (*handler)(int), void (*alarm)(int))
{
	struct sigaction sa = { .sa_handler = alarm };
	sigset_t set;
	int sig;

	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGALRM, &sa, NULL);
	sa.sa_handler = handler;
	stops(&set);
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(&set, sig) == 1)
			(void)sigaction(sig, &sa, NULL);
}

void child_wait_begin(void)
{
	sigset_t set;

	stops(&set);
	sigaddset(&set, SIGALRM);
	handle(on_stop, on_alarm);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int child_wait_end(void)
{
	sigset_t set;

	stops(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	tool_nag_end();
	handle(SIG_DFL, SIG_DFL);
	return came ? came : child_signal();
}

/* In the child. @parent: if that is killed, the command is, too; 0: it is not. */
static void execute(const struct child *c, pid_t parent)
{
	char **argv = c->argv;
	int err;

	if (c->in && dup2(c->in, STDIN_FILENO) < 0)
		_exit(RC_NO_EXEC);
	if (parent && !prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() != parent)
		_exit(RC_FAIL);		/* killed before that */
	(void)sigaction(SIGPIPE, &on_pipe, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)execvp(argv[0], argv);
	err = errno;
	tool_error("\"%s\": cannot be executed: %s", argv[0], strerror(err));
	_exit(err == ENOENT ? RC_NOT_FOUND : RC_NO_EXEC);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? RC_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* One wait for a signal, of at most a second. @pid: 0: there is no command. 1: done. */
static int attend(const struct child *c, const sigset_t *set, pid_t pid, int *ret_code)
{
	const struct timespec slice = { 1, 0 };
	siginfo_t info;
	int status, sig = sigtimedwait(set, &info, &slice);

	if (pid && waitpid(pid, &status, WNOHANG) == pid) {
		if (*ret_code < 0)
			*ret_code = exit_code(status);
		return 1;
	}
	if (sig > 0 && sig != SIGCHLD && !pid) {
		*ret_code = RC_SIGNAL + sig;
		return 1;
	}
	if (sig > 0 && sig != SIGCHLD && c->ret_sig)
		*c->ret_sig = sig;
	/* The terminal sends it to all processes of the group. */
	if (sig > 0 && sig != SIGCHLD && info.si_code != SI_KERNEL)
		(void)kill(pid, sig);
	if (*ret_code < 0 && c->holds && !c->holds(c->arg)) {
		*ret_code = RC_FAIL;
		if (!pid)
			return 1;
		(void)kill(pid, SIGTERM);
	}
	if (!pid && tool_reader_gone(STDOUT_FILENO)) {
		*ret_code = RC_GONE;
		return 1;
	}
	return 0;
}

int child_hold(const struct child *c)
{
	pid_t self = getpid(), pid = 0;
	int code = -2;
	sigset_t set;

	stops(&set);
	sigaddset(&set, SIGCHLD);
	(void)fflush(NULL);
	if (c->argv)
		pid = fork();
	if (pid < 0) {
		tool_error("cannot start \"%s\": fork: %s", c->argv[0], strerror(errno));
		return RC_FAIL;
	}
	if (c->argv && !pid)
		execute(c, c->survives ? 0 : self);
	while (!attend(c, &set, pid, &code))
		continue;
	return code;
}
