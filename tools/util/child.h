/* SPDX-License-Identifier: MIT */
/* child.h - running a command while something is held, as flock(1) does */
#ifndef TOOLS_UTIL_CHILD_H
#define TOOLS_UTIL_CHILD_H

#define RC_NO_EXEC	126	/* the command cannot be executed */
#define RC_NOT_FOUND	127

/**
 * child_begin - from now on, signals wait until child_hold() takes them
 *
 * To be called before something is taken, so that no signal ends the process while it is held.
 */
void child_begin(void);

/**
 * child_signal - has one of INT, TERM and HUP come since then? Its number, or 0
 *
 * For calls that wait meanwhile, now and then.
 */
int child_signal(void);

/**
 * child_wait_begin - from now on, those signals interrupt the sleeps of calls
 *
 * Again and again, as one may come just before a call sleeps, until child_wait_end().
 */
void child_wait_begin(void);

/* Signals wait again. Return: the signal that has come since child_begin(), or 0. */
int child_wait_end(void);

/* What is run while it is held. */
struct child {
	char **argv;			/* NULL at the end; NULL: nothing, it is held until a signal */
	int survives;			/* it goes on if this process is killed */
	int in;				/* its standard input; 0: that of this process */
	int *ret_sig;			/* set to a signal that has come meanwhile; NULL: not asked for */
	/* Is it still held? Asked once a second; 0: no, and a message has said why; NULL: it is. */
	int (*holds)(void *arg);
	void *arg;
};

/**
 * child_hold - run a command until it ends, or wait for a signal
 * @c: what to run
 *
 * INT, TERM and HUP are passed on to the command, except those that the terminal has sent to
 * both. Without a command, the process also ends when the reader of standard output has gone.
 *
 * Return: the exit code: that of the command; 128+N of signal N; RC_NO_EXEC, RC_NOT_FOUND;
 * RC_FAIL it is not held any more, and the command was ended.
 */
int child_hold(const struct child *c);

#endif /* TOOLS_UTIL_CHILD_H */
