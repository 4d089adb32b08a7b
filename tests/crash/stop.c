// SPDX-License-Identifier: MIT
/*
 * stop.c - make a traced process stop where it should
 *
 * A stop is an int3 that is written over the first byte of an instruction and taken
 * out again at the hit. Hardware breakpoints would be faster, but some virtual machines
 * accept them and never deliver them.
 *
 * All threads of a process share its code, and only the first one is traced: an int3 that
 * is hit by another one would end the process. So a new thread first runs alone, with no
 * int3 in the code, until it sleeps, and so do the threads that exist at the first mark;
 * the threads of the library sleep in a futex from then on. As a new thread always sleeps
 * before its creator continues, each victim executes the same instructions.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "driver.h"

#define INT3		0xccul
#define NEWBORN		(SIGTRAP | PTRACE_EVENT_CLONE << 8)

/* The present int3; addr 0: none. */
static struct {
	uint64_t addr;
	unsigned long was;	/* the eight bytes at addr without it */
} stop;

uint64_t stop_pc(pid_t pid)
{
	struct user_regs_struct regs;

	return ptrace(PTRACE_GETREGS, pid, 0, &regs) ? 0 : regs.rip;
}

bool stop_is_mark(pid_t pid, uint64_t pc)
{
	return ((unsigned long)ptrace(PTRACE_PEEKTEXT, pid, pc, 0) & 0xff) == INT3;
}

/* Threads created in its setup may not sleep yet. */
static void settle_threads(pid_t pid)
{
	struct dirent *e;
	char path[40];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (atoi(e->d_name) > 0 && atoi(e->d_name) != pid)
			(void)await_sleep(pid, atoi(e->d_name));
	if (dir)
		(void)closedir(dir);
}

void stop_begin(pid_t pid)
{
	stop.addr = 0;
	settle_threads(pid);
	(void)ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
}

static bool plant(pid_t pid, uint64_t addr)
{
	stop.addr = addr;
	stop.was = (unsigned long)ptrace(PTRACE_PEEKTEXT, pid, addr, 0);
	return !ptrace(PTRACE_POKETEXT, pid, addr, (stop.was & ~0xfful) | INT3);
}

static void take_out(pid_t pid)
{
	if (stop.addr)
		(void)ptrace(PTRACE_POKETEXT, pid, stop.addr, stop.was);
	stop.addr = 0;
}

/* @pid has created a thread: let that run alone until it sleeps. */
static void settle_newborn(pid_t pid)
{
	uint64_t addr = stop.addr;
	unsigned long tid = 0;

	take_out(pid);
	(void)ptrace(PTRACE_GETEVENTMSG, pid, 0, &tid);
	if (waitpid((pid_t)tid, NULL, __WALL) != (pid_t)tid)
		return;
	(void)ptrace(PTRACE_DETACH, (pid_t)tid, 0, 0);
	await_sleep(pid, (pid_t)tid);
	if (addr)
		(void)plant(pid, addr);
}

/* Continue by @request to the next stop. False: it has ended, by itself or by a signal. */
static bool go(pid_t pid, enum __ptrace_request request)
{
	int status;

	do {
		if (ptrace(request, pid, 0, 0) || waitpid(pid, &status, __WALL) != pid)
			return false;
		if (WIFSTOPPED(status) && status >> 8 == NEWBORN)
			settle_newborn(pid);
	} while (WIFSTOPPED(status) && status >> 8 == NEWBORN);
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
		return true;
	if (!WIFSTOPPED(status)) {
		victim.pid = 0;
		if (!board->text[0])
			(void)snprintf(board->text, sizeof(board->text),
				       "the victim ended by itself, status %#x", (unsigned int)status);
	} else if (!board->text[0]) {
		(void)snprintf(board->text, sizeof(board->text), "the victim got signal %d at %#llx",
			       WSTOPSIG(status), (unsigned long long)stop_pc(pid));
	}
	return false;
}

bool stop_step(pid_t pid)
{
	return go(pid, PTRACE_SINGLESTEP);
}

/* After a hit of the int3: set the pc back, to before the original instruction. */
static bool step_back(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) || regs.rip != stop.addr + 1)
		return false;
	regs.rip--;
	take_out(pid);
	return !ptrace(PTRACE_SETREGS, pid, 0, &regs);
}

bool stop_at(pid_t pid, uint64_t addr, uint32_t times)
{
	while (plant(pid, addr) && go(pid, PTRACE_CONT) && step_back(pid)) {
		if (!--times)
			return true;
		/* A repeated string instruction counts as one, and stops once. */
		do {
			if (!stop_step(pid))
				return false;
		} while (stop_pc(pid) == addr);
	}
	if (victim.pid)
		take_out(pid);
	return false;
}
