/* SPDX-License-Identifier: MIT */
/* fence.h - a peer in another process, to be fenced */
#ifndef TESTS_KMOD_FENCE_H
#define TESTS_KMOD_FENCE_H

#include <sys/epoll.h>
#include <sys/prctl.h>

#include "dev.h"

#define RW	(PROT_READ | PROT_WRITE)
#define DATA	(2 * MIB)	/* offset of the data of a large segment */

/* What the processes of a test share, beside the segment. */
struct shared {
	uint64_t writes;	/* how often a writer has come round */
	int result;
	uint32_t stop;
};

static inline struct shared *share(void)
{
	return mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* A segment with up to SLOTS producers. */
static inline int make_shared_role(const char *name, uint64_t bytes, uint32_t mode)
{
	struct make m;

	make_init(&m, name, bytes);
	m.req.role_max[SHMIPC_ROLE_PRODUCER] = SLOTS;
	m.req.mode = mode;
	return dev_make(&m);
}

/* In the victim: a producer with all data mapped, which has told the test so. */
struct victim {
	struct gate *g;
	struct shared *sh;
	int fd;
	volatile uint64_t *p;
	uint64_t off, bytes;
};

static inline void victim_attach(struct victim *v, const char *name)
{
	struct shmipc_dev_stat s;

	/* It does not stay when the test fails. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	v->fd = dev_open(name);
	if (v->fd < 0 || dev_stat(v->fd, &s) || dev_attach(v->fd, SHMIPC_ROLE_PRODUCER) < 0)
		_exit(90);
	v->off = s.data_off;
	v->bytes = s.data_bytes;
	v->p = dev_map(v->fd, v->off, v->bytes, RW);
	if (v->p == MAP_FAILED)
		_exit(91);
	v->p[0] = 1;
}

/* Start @fn in a child; returns when it has told that it is ready. */
static inline pid_t victim_start(struct gate *g, const char *name, struct shared *sh,
				 int (*fn)(struct victim *v))
{
	struct victim v = { .g = g, .sh = sh };
	pid_t pid;

	gate_make(g);
	pid = fork();
	if (!pid) {
		close(g->to_parent[0]);
		close(g->to_child[1]);
		victim_attach(&v, name);
		_exit(fn(&v));
	}
	close(g->to_parent[1]);
	close(g->to_child[0]);
	if (gate_hear(g->to_parent[0]) == 'v')
		return pid;
	waitpid(pid, NULL, 0);
	return -1;
}

static inline void victim_done(struct gate *g)
{
	close(g->to_parent[0]);
	close(g->to_child[1]);
}

/* In the victim: ready; wait for the test. */
static inline void victim_ready(struct victim *v)
{
	gate_tell(v->g->to_parent[1], 'v');
	gate_hear(v->g->to_child[0]);
}

/* How a child ended: its exit code, or -signal. */
static inline int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif /* TESTS_KMOD_FENCE_H */
