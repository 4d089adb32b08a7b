/* SPDX-License-Identifier: MIT */
/*
 * model_kmod.c - the module's waiting: queue, look, sleep; against store, look into the
 * queue, wake
 *
 * The code is the module's own (kmod/wait.c), with what it needs of the kernel from
 * model_kmod.h. A waker visits one sleeper at a time, where the module visits 64.
 */
#include "model_kmod.h"

uint64_t model_shared[64] __attribute__((aligned(64)));
#define WORD		0		/* a word to wait for, as an offset in the segment */
#define OTHER		8		/* one in the other bucket */
#define SLOT		16		/* the word of the peer in slot 0 */
#define SEQ		24		/* peer_seq */
#define PAGE_OF		(&model_shared[4])	/* a page's mapping */
#define LOCK_OF(i)	(&model_shared[8 + 2 * (i)])	/* each with what it protects */
#define STATE_OF(t)	(&model_shared[16 + (t)])	/* whether a thread is to sleep */

struct task model_task;
static struct shmipc_segment seg;
static struct shmipc_file sf;
static int queues;		/* that were made */
static int impatient;		/* the thread that times out, or is signalled, at any time; or 0 */
static int signals;		/* it is signalled */
static bool has_page;		/* the page of WORD can be removed */
static int ret[MODEL_THREADS];
static int th_waker, th_a, th_b;

static uint32_t *word_of(u64 off)
{
	return (uint32_t *)(void *)((char *)model_shared + off);
}

/* What the module has elsewhere */

void *shmipc_memory_addr(const struct shmipc_memory *mem, u64 off)
{
	(void)mem;
	if (off == SHMIPC_SEG_LIVE_OFF + offsetof(struct shmipc_seg_live, peer_seq))
		return word_of(SEQ);
	return has_page ? NULL : word_of(off);
}

struct page *shmipc_memory_get(struct shmipc_memory *mem, u64 off)
{
	(void)mem;
	(void)off;
	return (struct page *)(void *)PAGE_OF;
}

void *page_address(const struct page *page)
{
	(void)page;
	return (char *)model_shared;
}

struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *s, u32 slot)
{
	(void)s;
	(void)slot;
	return (struct shmipc_peer_slot *)(void *)(word_of(SLOT) -
		offsetof(struct shmipc_peer_slot, word) / sizeof(u32));
}

/* What the kernel has */

static int me(void)
{
	return model_self();
}

void model_queue_init(struct wait_queue_head *wq)
{
	wq->lock.word = LOCK_OF(queues++);
	INIT_LIST_HEAD(&wq->head);
}

void __set_current_state(int state)
{
	shmipc_store_relaxed(STATE_OF(me()), (uint64_t)state);
}

void init_wait(struct wait_queue_entry *e)
{
	*e = (struct wait_queue_entry){ .task = me(), .func = autoremove_wake_function };
	INIT_LIST_HEAD(&e->entry);
}

static void enqueue(struct wait_queue_head *wq, struct wait_queue_entry *e, int state)
{
	spin_lock_irq(&wq->lock);
	if (list_empty(&e->entry)) {
		if (e->flags & WQ_FLAG_EXCLUSIVE)
			list_add_tail(&e->entry, &wq->head);
		else
			list_add_tail(&e->entry, wq->head.next);
	}
	if (state)
		__set_current_state(state);
	spin_unlock_irq(&wq->lock);
}

void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *e, int state)
{
	enqueue(wq, e, state);
}

void prepare_to_wait_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *e, int state)
{
	e->flags |= WQ_FLAG_EXCLUSIVE;
	enqueue(wq, e, state);
}

void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	enqueue(wq, e, 0);
}

void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	spin_lock_irq(&wq->lock);
	list_del_init(&e->entry);
	spin_unlock_irq(&wq->lock);
}

static int wake_task(int t)
{
	if (shmipc_exchange_acq_rel(STATE_OF(t), (uint64_t)TASK_RUNNING) == TASK_RUNNING)
		return 0;
	model_futex_wake(STATE_OF(t));
	return 1;
}

int autoremove_wake_function(struct wait_queue_entry *e, unsigned int mode, int flags, void *key)
{
	(void)mode;
	(void)flags;
	(void)key;
	if (!wake_task(e->task))
		return 0;
	list_del_init(&e->entry);
	return 1;
}

void wake_up_interruptible_poll(struct wait_queue_head *wq, unsigned int events)
{
	struct wait_queue_entry *at, *next;

	(void)events;
	spin_lock_irq(&wq->lock);
	list_for_each_entry_safe(at, next, &wq->head, entry)
		wake_task(at->task);
	spin_unlock_irq(&wq->lock);
}

void poll_wait(struct file *file, struct wait_queue_head *wq, struct poll_table_struct *table)
{
	(void)file;
	init_wait(&table->entry);
	add_wait_queue(wq, &table->entry);
}

void schedule(void)
{
	model_futex_wait(STATE_OF(me()), TASK_INTERRUPTIBLE, -1);
	__set_current_state(TASK_RUNNING);
}

int schedule_hrtimeout_range(ktime_t *until, uint64_t slack, int mode)
{
	(void)until;
	(void)slack;
	(void)mode;
	if (me() == impatient && model_choose(2)) {
		__set_current_state(TASK_RUNNING);
		return 0;
	}
	schedule();
	return -EINTR;
}

int model_signal_pending(void)
{
	return signals && me() == impatient && model_choose(2);
}

/* Tests */

static void setup(void)
{
	model_region(model_shared, sizeof(model_shared), "mem", 0);
}

static void reset(void)
{
	memset(model_shared, 0, sizeof(model_shared));
	memset(ret, 0xff, sizeof(ret));
	memset(&seg, 0, sizeof(seg));
	memset(&sf, 0, sizeof(sf));
	queues = impatient = signals = 0;
	has_page = false;
	seg.peers = 1;
	shmipc_wait_init(&seg);
	shmipc_poll_init(&sf);
	sf.seg = &seg;
}

static struct shmipc_dev_wait request(u32 peer)
{
	return (struct shmipc_dev_wait){ .off = WORD, .peer = peer, .deadline_ns = 1 };
}

static void sleeper(void *arg)
{
	struct shmipc_dev_wait req = request(SHMIPC_DEV_NO_PEER);

	(void)arg;
	ret[me()] = shmipc_wait(&sf, &req);
}

static void exclusive(void *arg)
{
	struct shmipc_dev_wait req = request(SHMIPC_DEV_NO_PEER);

	(void)arg;
	req.flags = SHMIPC_DEV_EXCLUSIVE;
	ret[me()] = shmipc_wait(&sf, &req);
}

static void watcher(void *arg)
{
	struct shmipc_dev_wait req = request(*(u32 *)arg);

	ret[me()] = shmipc_wait(&sf, &req);
}

static void poller(void *arg)
{
	struct file file = { .private_data = &sf };
	struct poll_table_struct table;

	(void)arg;
	__set_current_state(TASK_INTERRUPTIBLE);
	ret[me()] = (int)shmipc_poll(&file, &table);
	if (!ret[me()]) {
		schedule();
		ret[me()] = (int)(EPOLLIN | EPOLLRDNORM);
	}
	remove_wait_queue(&sf.poll_wq, &table.entry);
}

static void waker(void *arg)
{
	shmipc_store_relaxed(word_of(WORD), 1u);
	shmipc_wake(&seg, WORD, *(u32 *)arg);
}

static void ends(void *arg)
{
	(void)arg;
	shmipc_store_relaxed(word_of(SLOT), 1u);
	shmipc_wake_peer(&seg, 0);
}

static void remover(void *arg)
{
	(void)arg;
	shmipc_store_relaxed(PAGE_OF, 0ull);
	shmipc_wake_all(&seg);
}

/* A program that looks at the slots after the number has changed. */
static void reader(void *arg)
{
	(void)arg;
	ret[me()] = shmipc_load_acquire(word_of(SEQ)) ? (int)shmipc_load_relaxed(word_of(SLOT)) : 1;
}

static u32 all = 0, one_of_them = 1, slot = 0, any = SHMIPC_DEV_ANY_PEER;

static void one(void)
{
	reset();
	th_a = th_b = model_spawn("sleeper", sleeper, NULL, 0);
	th_waker = model_spawn("waker", waker, &all, 0);
}

static void two(void)
{
	reset();
	th_a = model_spawn("a", sleeper, NULL, 0);
	th_b = model_spawn("b", sleeper, NULL, 0);
	th_waker = model_spawn("waker", waker, &all, 0);
}

static void exclusives(void)
{
	reset();
	th_a = impatient = model_spawn("a", exclusive, NULL, 0);
	th_b = model_spawn("b", exclusive, NULL, 0);
	th_waker = model_spawn("waker", waker, &one_of_them, 0);
}

static void mixed(void)
{
	reset();
	th_a = model_spawn("ordinary", sleeper, NULL, 0);
	th_b = model_spawn("exclusive", exclusive, NULL, 0);
	th_waker = model_spawn("waker", waker, &one_of_them, 0);
}

static void signalled(void)
{
	exclusives();
	signals = 1;
}

static void peer_ends(void)
{
	reset();
	th_a = model_spawn("sleeper", watcher, &slot, 0);
	th_b = model_spawn("any", watcher, &any, 0);
	th_waker = model_spawn("peer", ends, NULL, 0);
}

static void number_of_peers(void)
{
	reset();
	th_a = th_b = model_spawn("reader", reader, NULL, 0);
	th_waker = model_spawn("peer", ends, NULL, 0);
}

static void polls(void)
{
	struct shmipc_dev_poll req = { .flags = SHMIPC_DEV_POLL_ON, .off = WORD,
				       .peer = SHMIPC_DEV_NO_PEER };

	reset();
	shmipc_poll_set(&sf, &seg, &req);
	th_a = th_b = model_spawn("poller", poller, NULL, 0);
	th_waker = model_spawn("waker", waker, &all, 0);
}

static void page_goes(void)
{
	reset();
	has_page = true;
	*PAGE_OF = 1;
	th_a = th_b = model_spawn("sleeper", sleeper, NULL, 0);
	th_waker = model_spawn("remover", remover, NULL, 0);
}

static void all_are_up(void)
{
	model_check(model_state(th_waker) == MODEL_RETURNED, "the waker is stuck");
	model_check(model_state(th_a) == MODEL_RETURNED, "a sleeps, and its word has changed");
	model_check(model_state(th_b) == MODEL_RETURNED, "b sleeps, and its word has changed");
	model_check(!seg.waiters.n && !sf.waits.n, "%llu waiters left",
		    (unsigned long long)seg.waiters.n);
	model_check(list_empty(&seg.bucket[0].wq.head) || sf.poll_on, "one is still queued");
}

static void wake_is_not_lost(void)
{
	model_check(model_state(th_waker) == MODEL_RETURNED, "the waker is stuck");
	model_check(model_state(th_a) == MODEL_RETURNED || model_state(th_b) == MODEL_RETURNED,
		    "both sleep");
	if (model_state(th_b) == MODEL_ASLEEP)
		model_check(!ret[th_a], "b sleeps, and a, which was woken for it, returned %d",
			    ret[th_a]);
	if (model_state(th_a) == MODEL_ASLEEP)
		model_check(!ret[th_b], "a sleeps, and b, which was woken for it, returned %d",
			    ret[th_b]);
}

static void slot_is_seen(void)
{
	all_are_up();
	model_check(ret[th_a] == 1, "the number has changed, and the slot has not");
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "wait: a sleeper is woken", setup, one, all_are_up, 0 },
		{ "wait: two are woken, one at a time", setup, two, all_are_up, 0 },
		{ "wake(1): not lost with one that times out", setup, exclusives, wake_is_not_lost, 0 },
		{ "wake(1): not lost with one that is signalled", setup, signalled, wake_is_not_lost, 0 },
		{ "wake(1): ordinary sleepers do not count", setup, mixed, all_are_up, 0 },
		{ "wake_peer: sleepers that watch the slot, or all", setup, peer_ends, all_are_up, 0 },
		{ "wake_peer: the slot is written before the number", setup, number_of_peers, slot_is_seen, 0 },
		{ "poll: a poller is woken", setup, polls, all_are_up, 0 },
		{ "wake_all: the word's page goes", setup, page_goes, all_are_up, 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "kmod/wait.c", NULL);
}
