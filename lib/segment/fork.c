// SPDX-License-Identifier: MIT
/*
 * fork.c - a child inherits no handle
 *
 * After fork() the child has copies of the parent's descriptors, which would keep the
 * parent's locks when the parent dies, and of its mappings, in which two processes
 * would act as one peer. So in the child the descriptor of each segment is closed and
 * its mapping is replaced by private zeros; every use of a handle there fails with
 * -EINVAL. A child made by clone(2) without the C library does not get here: it keeps
 * the parent's ends alive until it executes a program or exits.
 *
 * fork() in one thread waits while another opens or closes a segment: between the
 * system call and the store to the field that records it, the child would keep a
 * descriptor that holds a lock, or put zeros over memory that has been unmapped and
 * belongs to something else by now.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment/page.h"
#include "segment/probe.h"

/* Read-held by each thread that opens or closes; may be held twice by one. */
static pthread_rwlock_t fork_gate = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;	/* the list */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct shmipc_segment *fork_first;

static void before(void)
{
	pthread_rwlock_wrlock(&fork_gate);
	pthread_mutex_lock(&fork_mutex);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&fork_mutex);
	pthread_rwlock_unlock(&fork_gate);
}

static void die(struct shmipc_segment *seg)
{
	uint32_t i;

	seg->dead = true;
	/* This makes the inline functions refuse it. */
	for (i = 0; seg->live && i < seg->nlive; i++)
		seg->live[i] = 0;
	for (i = 0; seg->live && i < seg->nbusy; i++)
		seg->busy[i] = &shmipc_probe_busy;
	if (seg->base)
		(void)mmap(seg->base, seg->bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	if (seg->fd >= 0)
		(void)close(seg->fd);
	seg->fd = -1;
}

static void in_child(void)
{
	struct shmipc_segment *seg;

	for (seg = fork_first; seg; seg = seg->next)
		die(seg);
	shmipc_keeper_after_fork();
	shmipc_pages_after_fork();
	shmipc_wait_after_fork();
	shmipc_wait_words_after_fork();
	pthread_mutex_unlock(&fork_mutex);
	/* It may count threads that do not exist in the child, so it is initialised again. */
	pthread_rwlock_unlock(&fork_gate);
	(void)pthread_rwlock_init(&fork_gate, NULL);
}

static void install(void)
{
	(void)pthread_atfork(before, in_parent, in_child);
}

void shmipc_fork_hold(void)
{
	pthread_once(&fork_once, install);
	pthread_rwlock_rdlock(&fork_gate);
}

void shmipc_fork_release(void)
{
	pthread_rwlock_unlock(&fork_gate);
}

void shmipc_segment_cut_off(struct shmipc_segment *seg)
{
	shmipc_fork_hold();
	seg->fenced = true;
	die(seg);
	shmipc_fork_release();
}

void shmipc_fork_add(struct shmipc_segment *seg)
{
	pthread_mutex_lock(&fork_mutex);
	seg->next = fork_first;
	if (fork_first)
		fork_first->prev = seg;
	fork_first = seg;
	pthread_mutex_unlock(&fork_mutex);
}

void shmipc_fork_del(struct shmipc_segment *seg)
{
	pthread_mutex_lock(&fork_mutex);
	if (seg->prev)
		seg->prev->next = seg->next;
	else
		fork_first = seg->next;
	if (seg->next)
		seg->next->prev = seg->prev;
	pthread_mutex_unlock(&fork_mutex);
}
