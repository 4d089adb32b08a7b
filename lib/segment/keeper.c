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
 * list. So the page of a peer table is mapped a second time, into an arena, and the
 * node is at the same place in a second, private arena.
 *
 *   words:  | page of segment A | page of segment B | ...   shared
 *   nodes:  | node for A's word | node for B's word | ...   private
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/segment.h"

#define KEEPER_MAX	2000	/* the kernel stops at ROBUST_LIST_LIMIT, 2048 */
#define PAGE		((size_t)SHMIPC_CTL_PAGE)
#define ARENA_BYTES	(KEEPER_MAX * PAGE)
#define KEEPER_STACK	65536	/* PTHREAD_STACK_MIN and room for signal-free code */

static struct {
	pthread_mutex_t mutex;
	bool running;
	bool failed;
	uint32_t tid;
	unsigned char *words;
	unsigned char *nodes;
	struct robust_list_head head;
	struct robust_list *node[KEEPER_MAX];	/* by handle; NULL: free */
	sem_t started;
} keeper = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void *keeper_main(void *arg)
{
	uint32_t never = 0;

	(void)arg;
	(void)prctl(PR_SET_NAME, "shmipc-keeper");
	keeper.failed = syscall(SYS_set_robust_list, &keeper.head, sizeof(keeper.head)) != 0;
	keeper.tid = (uint32_t)syscall(SYS_gettid);
	(void)sem_post(&keeper.started);
	for (;;)
		(void)syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

static int start_thread(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	size_t stack = KEEPER_STACK;
	int ret;

	if (stack < (size_t)sysconf(_SC_THREAD_STACK_MIN))
		stack = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	(void)sem_init(&keeper.started, 0, 0);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, stack);
	/* Signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, &attr, keeper_main, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (ret)
		return -ret;
	while (sem_wait(&keeper.started))
		continue;
	return keeper.failed ? -EOPNOTSUPP : 0;
}

static unsigned char *reserve_arena(int prot)
{
	void *p = mmap(NULL, ARENA_BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Once per process; if a keeper cannot be started, the process has none. */
static bool keeper_ready_locked(void)
{
	if (keeper.running || keeper.failed)
		return keeper.running;
	keeper.words = reserve_arena(PROT_NONE);
	keeper.nodes = reserve_arena(PROT_READ | PROT_WRITE);
	keeper.failed = !keeper.words || !keeper.nodes;
	if (keeper.failed)
		return false;
	keeper.head.list.next = &keeper.head.list;
	keeper.head.list_op_pending = NULL;
	keeper.head.futex_offset = (long)(keeper.words - keeper.nodes);
	keeper.running = !start_thread();
	keeper.failed = !keeper.running;
	return keeper.running;
}

static int free_handle_locked(void)
{
	int i;

	for (i = 0; i < KEEPER_MAX; i++)
		if (!keeper.node[i])
			return i;
	return -1;
}

/**
 * shmipc_keeper_hold - make the kernel mark a peer slot's word when we die
 * @seg:        its peer table is mapped once more
 * @slot:       ours; its word must be set to the thread id afterwards
 * @ret_tid:    the value for the word
 * @ret_handle: for shmipc_keeper_drop()
 *
 * Return: false if this is not possible; then only the lock shows our death.
 */
bool shmipc_keeper_hold(struct shmipc_segment *seg, uint32_t slot, uint32_t *ret_tid,
			int *ret_handle)
{
	size_t at = seg->hdr.peers_off + (size_t)slot * sizeof(struct shmipc_peer_slot);
	struct robust_list *node;
	unsigned char *page;
	bool ok = false;
	int i;

	if (seg->fd < 0)
		return false;
	pthread_mutex_lock(&keeper.mutex);
	i = keeper_ready_locked() ? free_handle_locked() : -1;
	if (i < 0)
		goto out;
	page = keeper.words + (size_t)i * PAGE;
	/* Fails on hugetlbfs, whose pages cannot be mapped in parts. */
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, seg->fd,
		 (off_t)(at - at % PAGE)) == MAP_FAILED)
		goto out;
	node = (struct robust_list *)(void *)(keeper.nodes + (size_t)i * PAGE + at % PAGE);
	/* The list is consistent at every instruction: the kernel may walk it at any time. */
	node->next = keeper.head.list.next;
	shmipc_barrier_light();
	shmipc_store_relaxed(&keeper.head.list.next, node);
	keeper.node[i] = node;
	*ret_tid = keeper.tid;
	*ret_handle = i;
	ok = true;
out:
	pthread_mutex_unlock(&keeper.mutex);
	return ok;
}

/*
 * A peer may free a word and be killed before it has woken the sleepers: for the one word
 * that is pending the kernel wakes one sleeper, even if the word is free. (Linux 5.5)
 */
void shmipc_keeper_leaves(int handle)
{
	pthread_mutex_lock(&keeper.mutex);
	shmipc_store_relaxed(&keeper.head.list_op_pending, keeper.node[handle]);
	shmipc_barrier_light();
}

/* The word is free, and its sleepers are awake: take it off the list. */
void shmipc_keeper_drop(int handle)
{
	struct robust_list *p, *node;

	shmipc_store_relaxed(&keeper.head.list_op_pending, NULL);
	node = keeper.node[handle];
	for (p = &keeper.head.list; p->next != node; p = p->next)
		continue;
	shmipc_store_relaxed(&p->next, node->next);
	shmipc_barrier_light();
	(void)mmap(keeper.words + (size_t)handle * PAGE, PAGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	keeper.node[handle] = NULL;
	pthread_mutex_unlock(&keeper.mutex);
}

/* In a child: the thread does not exist there, and the words are the parent's. */
void shmipc_keeper_after_fork(void)
{
	int i;

	if (keeper.words)
		(void)munmap(keeper.words, ARENA_BYTES);
	if (keeper.nodes)
		(void)munmap(keeper.nodes, ARENA_BYTES);
	keeper.words = NULL;
	keeper.nodes = NULL;
	keeper.running = false;
	keeper.failed = false;
	for (i = 0; i < KEEPER_MAX; i++)
		keeper.node[i] = NULL;
	(void)pthread_mutex_init(&keeper.mutex, NULL);
}
