// SPDX-License-Identifier: MIT
/*
 * keeper.c - a thread whose death the kernel announces in shared memory
 *
 * When a thread ends, the kernel walks its robust list, sets FUTEX_OWNER_DIED in each
 * word that holds its thread id, and wakes a sleeper. This happens before the memory of
 * the process is torn down, so earlier than any lock or pidfd shows the death. A word
 * belongs to a thread, so the process has one thread, the keeper, that only owns the
 * words of all its peer slots and dies with the process.
 *
 * The list is our own (not the C library's, whose nodes would lie in shared
 * memory, where a hostile peer could turn them into writes anywhere). The
 * kernel requires each word at one fixed distance from its list node, for the whole
 * list. So for each word two pages are mapped, one behind the other: a private one with
 * the node, then the page of the peer table, once more, with the word at the same place.
 *
 *   | node for A's word | page of segment A |   ...   | node for B's word | page of segment B |
 *     private             shared                        private             shared
 *
 * The kernel walks a limited number of nodes, so a process with many ends has several
 * keepers. At the end of the program those without words end, too.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/segment.h"

#define KEEPER_MAX	2000	/* words of one; the kernel stops at ROBUST_LIST_LIMIT, 2048 */
#define PAGE		((size_t)SHMIPC_CTL_PAGE)
#define KEEPER_STACK	65536	/* PTHREAD_STACK_MIN and room for signal-free code */

struct keeper {
	struct robust_list_head head;
	struct keeper *next;
	pthread_t thread;
	uint32_t tid;
	uint32_t words;
	uint32_t stop;
	bool failed;
	sem_t started;
};

struct shmipc_kept {
	struct shmipc_kept *next;
	struct keeper *by;
	struct robust_list *node;
	unsigned char *pages;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t refused;	/* one could not be started */
static struct keeper *keepers;
static struct shmipc_kept *all_kept;

static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	long tid;

	(void)prctl(PR_SET_NAME, "shmipc-keeper");
	k->failed = syscall(SYS_set_robust_list, &k->head, sizeof(k->head)) != 0;
	tid = syscall(SYS_gettid);
	k->failed |= tid <= 0 || tid >= SHMIPC_PEER_NO_KEEPER;	/* a sandbox refuses it */
	k->tid = (uint32_t)tid;
	(void)sem_post(&k->started);
	while (!shmipc_load_relaxed(&k->stop))
		(void)syscall(SYS_futex, &k->stop, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

static void stop(struct keeper *k)
{
	shmipc_store_relaxed(&k->stop, 1u);
	(void)syscall(SYS_futex, &k->stop, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	(void)pthread_join(k->thread, NULL);
	(void)sem_destroy(&k->started);
	free(k);
}

static int start_thread(struct keeper *k)
{
	sigset_t all, old;
	pthread_attr_t attr;
	size_t stack = KEEPER_STACK;
	int ret;

	if (stack < (size_t)sysconf(_SC_THREAD_STACK_MIN))
		stack = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, stack);
	/* Signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&k->thread, &attr, keeper_main, k);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return ret;
}

static struct keeper *start_locked(void)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->head.list.next = &k->head.list;
	k->head.futex_offset = (long)PAGE;
	(void)sem_init(&k->started, 0, 0);
	if (start_thread(k)) {
		shmipc_store_relaxed(&refused, 1u);
		(void)sem_destroy(&k->started);
		free(k);
		return NULL;
	}
	while (sem_wait(&k->started))
		continue;
	if (k->failed) {
		shmipc_store_relaxed(&refused, 1u);
		stop(k);
		return NULL;
	}
	k->next = keepers;
	keepers = k;
	return k;
}

bool shmipc_keeper_refused(void)
{
	return shmipc_load_relaxed(&refused);
}

/* One that can hold one more word; NULL: none can be started. */
static struct keeper *find_locked(void)
{
	struct keeper *k;

	for (k = keepers; k; k = k->next)
		if (k->words < KEEPER_MAX)
			return k;
	return start_locked();
}

/* A node, and behind it the page of the peer table with the word. */
static unsigned char *map_pages(const struct shmipc_segment *seg, size_t at)
{
	unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Fails on hugetlbfs, whose pages cannot be mapped in parts. */
	if (mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, seg->fd,
		 (off_t)(at - at % PAGE)) == MAP_FAILED) {
		(void)munmap(p, 2 * PAGE);
		return NULL;
	}
	return p;
}

/**
 * shmipc_keeper_hold - make the kernel mark a peer slot's word when we die
 * @seg:     its peer table is mapped once more
 * @slot:    ours; its word must be set to the thread id afterwards
 * @ret_tid: the value for the word
 *
 * Return: for shmipc_keeper_drop(); NULL if this is not possible: then only the lock
 * shows our death.
 */
struct shmipc_kept *shmipc_keeper_hold(struct shmipc_segment *seg, uint32_t slot, uint32_t *ret_tid)
{
	size_t at = seg->hdr.peers_off + (size_t)slot * sizeof(struct shmipc_peer_slot);
	struct shmipc_kept *kept = seg->fd < 0 ? NULL : calloc(1, sizeof(*kept));
	struct keeper *k;

	if (!kept)
		return NULL;
	pthread_mutex_lock(&mutex);
	k = find_locked();
	kept->pages = k ? map_pages(seg, at) : NULL;
	if (!kept->pages) {
		pthread_mutex_unlock(&mutex);
		free(kept);
		return NULL;
	}
	kept->by = k;
	kept->node = (struct robust_list *)(void *)(kept->pages + at % PAGE);
	/* The list is consistent at every instruction: the kernel may walk it at any time. */
	kept->node->next = k->head.list.next;
	shmipc_barrier_light();
	shmipc_store_relaxed(&k->head.list.next, kept->node);
	k->words++;
	kept->next = all_kept;
	all_kept = kept;
	*ret_tid = k->tid;
	pthread_mutex_unlock(&mutex);
	return kept;
}

/*
 * A peer may free a word and be killed before it has woken the sleepers: for the one word
 * that is pending the kernel wakes one sleeper, even if the word is free. (Linux 5.5)
 */
void shmipc_keeper_leaves(struct shmipc_kept *kept)
{
	pthread_mutex_lock(&mutex);
	shmipc_store_relaxed(&kept->by->head.list_op_pending, kept->node);
	shmipc_barrier_light();
}

/* The word is free, and its sleepers are awake: take it off the list. */
void shmipc_keeper_drop(struct shmipc_kept *kept)
{
	struct keeper *k = kept->by;
	struct shmipc_kept **at = &all_kept;
	struct robust_list *p;

	shmipc_store_relaxed(&k->head.list_op_pending, NULL);
	for (p = &k->head.list; p->next != kept->node; p = p->next)
		continue;
	shmipc_store_relaxed(&p->next, kept->node->next);
	shmipc_barrier_light();
	k->words--;
	while (*at != kept)
		at = &(*at)->next;
	*at = kept->next;
	(void)munmap(kept->pages, 2 * PAGE);
	pthread_mutex_unlock(&mutex);
	free(kept);
}

/* In a child: the threads do not exist there, and the words are the parent's. */
void shmipc_keeper_after_fork(void)
{
	struct shmipc_kept *kept;
	struct keeper *k;

	(void)pthread_mutex_init(&mutex, NULL);
	while ((kept = all_kept)) {
		all_kept = kept->next;
		(void)munmap(kept->pages, 2 * PAGE);
		free(kept);
	}
	while ((k = keepers)) {
		keepers = k->next;
		free(k);
	}
}

/*
 * The program ends: so do the keepers that hold nothing, and nothing of them is lost. The
 * others die with the process, which is what they are for. No waiting: a thread that
 * holds the mutex may be the one that has called exit(), in a signal handler.
 */
__attribute__((destructor)) static void end_keepers(void)
{
	struct keeper **at = &keepers, *k;

	if (pthread_mutex_trylock(&mutex))
		return;
	while ((k = *at)) {
		if (k->words) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		stop(k);
	}
	pthread_mutex_unlock(&mutex);
}
