// SPDX-License-Identifier: MIT
/*
 * queue: random public calls; and a hostile process that writes every byte of a queue meanwhile
 *
 * First two producers and two consumers of one process make random calls without an attacker,
 * and what the queue says must be what was done: how many items are ready, taken, and in
 * places. Then others push and pop with deadlines while the attacker writes the words of
 * the queue (anything, or words that look honest), its entries, the peer table and the headers.
 * They get what the manual allows, each call returns by its deadline plus a margin, and what a
 * consumer gets can be read.
 */
#include "../stress/stress.h"

#include <shmipc/queue.h>

#define NAME		"victim"
#define VICTIMS		3
#define DEPTH		8u
#define LEVELS		3u
#define ITEM_MOST	3000u
#define HAS_MOST	16u
#define SLACK_NS	10000000000ull	/* beyond every deadline; the machine may be busy */
#define ENDS		2

enum { OPENS, CALLS, PUSHED, TAKEN, REFUSED };	/* sh->word[] */

static const struct shmipc_queue_opts opts = {
	.struct_bytes = sizeof(opts), .producers = 3, .consumers = 3, .depth = DEPTH,
	.levels = LEVELS, .item_bytes = ITEM_MOST,
};

static unsigned char bytes[2 * ITEM_MOST];

static void count(int i)
{
	__atomic_fetch_add(&sh->word[i], 1, __ATOMIC_RELAXED);
}

static void in_time(uint64_t end, const char *what)
{
	if (now_ns() > end + SLACK_NS)
		WRONG("%s came %.1f s too late", what, (double)(now_ns() - end) / 1e9);
	count(CALLS);
}

static int allowed(int ret, const int *code, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ret == -code[i])
			return 1;
	return 0;
}

#define ALLOWED(ret, ...)	allowed(ret, (const int[]){ __VA_ARGS__ },		\
					sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

/* One consumer, and what it has. */
struct popper {
	struct shmipc_pop *rx;
	struct shmipc_queue_item has[HAS_MOST];
	uint32_t n;
};

/* What was done without an attacker */

struct model {
	struct shmipc_push *tx[ENDS];
	struct popper pop[ENDS];
	uint32_t used[ENDS];		/* places of a producer */
	uint32_t ready[LEVELS];
	uint32_t reserved[ENDS];
	uint64_t pushed, acked;
};

static void model_push(struct rng *r, struct model *m, int p)
{
	uint32_t level = (uint32_t)rng_below(r, LEVELS + 1), n = 1, done = 0, room;
	size_t len = (size_t)rng_below(r, rng_chance(r, 8) ? 2 * ITEM_MOST : ITEM_MOST + 1);
	struct shmipc_buf v[4];
	int ret, bad = level >= LEVELS || m->reserved[p];

	room = DEPTH - m->used[p];
	if (rng_chance(r, 2)) {
		ret = shmipc_push_item(m->tx[p], bytes, len, level, 0);
		done = !ret;
	} else {
		for (n = 0; n < 4; n++)
			v[n] = (struct shmipc_buf){ bytes, len };
		n = (uint32_t)rng_below(r, 5);
		ret = shmipc_push_items(m->tx[p], v, n, level, &done, 0);
	}
	if (bad || (len > ITEM_MOST && n)) {
		if (ret != (bad ? -EINVAL : -EMSGSIZE) || done)
			WRONG("push of %zu bytes, level %u: %s, %u done", len, level, shmipc_error_name(ret),
			      done);
		return;
	}
	if (done != (n < room ? n : room) || ret != (done < n ? -EAGAIN : 0))
		WRONG("push of %u into %u places: %s, %u done", n, room, shmipc_error_name(ret), done);
	m->used[p] += done;
	m->ready[level] += done;
	m->pushed += done;
}

static void model_reserve(struct rng *r, struct model *m, int p)
{
	uint32_t level = (uint32_t)rng_below(r, LEVELS);
	void *at;
	int ret;

	if (!m->reserved[p]) {
		ret = shmipc_push_reserve(m->tx[p], &at, 0);
		if (ret != (m->used[p] == DEPTH ? -EAGAIN : 0))
			WRONG("reserve: %s", shmipc_error_name(ret));
		if (!ret)
			memset(at, 7, ITEM_MOST);
		m->reserved[p] = !ret;
		return;
	}
	if (rng_chance(r, 3)) {
		ret = shmipc_push_cancel(m->tx[p]);
	} else {
		ret = shmipc_push_commit(m->tx[p], 10, level);
		m->used[p]++;
		m->ready[level]++;
		m->pushed++;
	}
	if (ret)
		WRONG("commit or cancel: %s", shmipc_error_name(ret));
	m->reserved[p] = 0;
}

static void model_pop(struct rng *r, struct model *m, struct popper *c)
{
	uint32_t n = 0, cap, i, k, ready = 0, best;
	int ret;

	cap = (uint32_t)rng_below(r, HAS_MOST - c->n + 1);
	for (i = 0; i < LEVELS; i++)
		ready += m->ready[i];
	if (!cap)
		return;
	ret = shmipc_pop_items(c->rx, &c->has[c->n], cap, &n, 0);
	if (n != (cap < ready ? cap : ready) || ret != (ready ? 0 : -EAGAIN))
		WRONG("pop of %u, %u were there: %s, %u came", cap, ready, shmipc_error_name(ret), n);
	for (i = 0; i < n; i++) {
		for (best = LEVELS - 1; best && !m->ready[best]; best--)
			continue;
		k = c->has[c->n + i].level;
		if (k != best || !c->has[c->n + i].deliveries || c->has[c->n + i].from >= ENDS) {
			WRONG("an item of level %u before one of %u", k, best);
			return;
		}
		m->ready[k]--;
	}
	c->n += n;
}

static void model_finish(struct rng *r, struct model *m, struct popper *c, struct popper *other)
{
	uint32_t i, n = (uint32_t)rng_below(r, c->n + 1), back = rng_chance(r, 2);
	int ret;

	if (n && !shmipc_pop_ack(other->rx, c->has, n))
		WRONG("ack of what another consumer has");
	ret = back ? shmipc_pop_nack(c->rx, c->has, n) : shmipc_pop_ack(c->rx, c->has, n);
	if (ret)
		WRONG("ack or nack of %u: %s", n, shmipc_error_name(ret));
	if (n && !shmipc_pop_ack(c->rx, c->has, n))
		WRONG("ack of what it has not any more");
	for (i = 0; i < n; i++) {
		if (back)
			m->ready[c->has[i].level]++;
		else
			m->used[c->has[i].from]--;
		m->acked += !back;
	}
	memmove(c->has, c->has + n, (c->n - n) * sizeof(c->has[0]));
	c->n -= n;
}

/* Leave, and come again: what it had is given back. */
static void model_leave(struct model *m, struct popper *c)
{
	uint32_t i;

	shmipc_pop_close(c->rx);
	for (i = 0; i < c->n; i++)
		m->ready[c->has[i].level]++;
	c->n = 0;
	if (shmipc_pop_open(&c->rx, NAME, NULL, NULL))
		ksft_exit_fail_msg("open: %s\n", shmipc_error_text());
}

static void model_look(const struct model *m)
{
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();
	uint32_t i, has = m->pop[0].n + m->pop[1].n;

	if (shmipc_queue_look(NAME, &st))
		WRONG("look: %s", shmipc_error_text());
	for (i = 0; i < LEVELS; i++)
		if (st.ready[i] != m->ready[i])
			WRONG("level %u: %llu are ready, not %u", i, (unsigned long long)st.ready[i],
			      m->ready[i]);
	if (st.taken != has || st.pushed != m->pushed || st.acked != m->acked || st.invalid || st.lost)
		WRONG("%llu taken, %llu pushed, %llu acked, %llu invalid, %llu lost; not %u, %llu, %llu",
		      (unsigned long long)st.taken, (unsigned long long)st.pushed,
		      (unsigned long long)st.acked, (unsigned long long)st.invalid,
		      (unsigned long long)st.lost, has, (unsigned long long)m->pushed,
		      (unsigned long long)m->acked);
}

static void model_call(struct rng *r, struct model *m)
{
	int i = (int)rng_below(r, ENDS);

	count(CALLS);
	switch (rng_below(r, 8)) {
	case 0:
	case 1:
		model_push(r, m, i);
		break;
	case 2:
		model_reserve(r, m, i);
		break;
	case 3:
	case 4:
		model_pop(r, m, &m->pop[i]);
		break;
	case 5:
	case 6:
		model_finish(r, m, &m->pop[i], &m->pop[!i]);
		break;
	default:
		if (rng_chance(r, 16))
			model_leave(m, &m->pop[i]);
	}
	model_look(m);
}

static int without_attacker(struct rng *r)
{
	uint64_t calls = 0;
	struct model m;
	int i;

	memset(&m, 0, sizeof(m));
	for (i = 0; i < ENDS; i++)
		if (shmipc_push_open(&m.tx[i], NAME, &opts, NULL) ||
		    shmipc_pop_open(&m.pop[i].rx, NAME, NULL, NULL))
			ksft_exit_fail_msg("open: %s\n", shmipc_error_text());
	stress_part(30);
	while (stress_goes_on(calls > 500) && !sh->bad) {
		model_call(r, &m);
		beat();
		calls++;
	}
	for (i = 0; i < ENDS; i++) {
		shmipc_push_close(m.tx[i]);
		shmipc_pop_close(m.pop[i].rx);
	}
	ksft_print_msg("%llu calls, %llu items pushed, %llu done\n", (unsigned long long)calls,
		       (unsigned long long)m.pushed, (unsigned long long)m.acked);
	return !sh->bad && m.pushed && m.acked;
}

/* Victims */

static uint64_t deadline(struct rng *r)
{
	return rng_chance(r, 3) ? 0 : shmipc_deadline_in(rng_below(r, 2000000));
}

static void use_push(struct rng *r, struct shmipc_push *tx)
{
	uint64_t end = deadline(r);
	uint32_t level = (uint32_t)rng_below(r, LEVELS), done;
	size_t len = (size_t)rng_below(r, ITEM_MOST + 1);
	struct shmipc_push_stat st = SHMIPC_PUSH_STAT();
	struct shmipc_buf v[2] = { { bytes, len }, { bytes, 8 } };
	void *at;
	int ret;

	switch (rng_below(r, 3)) {
	case 0:
		ret = shmipc_push_items(tx, v, 2, level, &done, end);
		break;
	case 1:
		ret = shmipc_push_reserve(tx, &at, end);
		if (!ret) {
			memset(at, 1, ITEM_MOST);
			ret = rng_chance(r, 4) ? shmipc_push_cancel(tx) : shmipc_push_commit(tx, len, level);
		}
		break;
	default:
		ret = shmipc_push_item(tx, bytes, len, level, end);
	}
	in_time(end ? end : now_ns(), "push");
	if (!ALLOWED(ret, 0, EAGAIN, ETIMEDOUT))
		WRONG("push returns %s", shmipc_error_name(ret));
	count(ret ? REFUSED : PUSHED);
	if (shmipc_push_get_stat(tx, &st) || st.used > DEPTH)
		WRONG("no stat");
}

static volatile unsigned char sink;

static void use_pop(struct rng *r, struct popper *c)
{
	uint64_t end = deadline(r);
	struct shmipc_queue_item any;
	uint32_t n = 0, i, k, first = c->n;
	int ret;

	ret = first == HAS_MOST ? -EAGAIN :
	      shmipc_pop_items(c->rx, &c->has[first], (uint32_t)rng_below(r, HAS_MOST - first) + 1, &n, end);
	in_time(end ? end : now_ns(), "pop");
	if (!ALLOWED(ret, 0, EAGAIN, ETIMEDOUT))
		WRONG("pop returns %s", shmipc_error_name(ret));
	for (i = first; i < first + n; i++) {
		if (c->has[i].bytes > ITEM_MOST || c->has[i].from >= opts.producers) {
			WRONG("an item of %u bytes of producer %u", c->has[i].bytes, c->has[i].from);
			return;
		}
		for (k = 0; k < c->has[i].bytes; k++)
			sink ^= ((const unsigned char *)c->has[i].data)[k];
		count(TAKEN);
	}
	c->n += n;
	if (c->n < HAS_MOST / 2 && rng_chance(r, 2))
		return;
	n = (uint32_t)rng_below(r, c->n + 1);
	ret = rng_chance(r, 3) ? shmipc_pop_nack(c->rx, c->has, n) : shmipc_pop_ack(c->rx, c->has, n);
	if (!ALLOWED(ret, 0, EINVAL))
		WRONG("ack or nack returns %s", shmipc_error_name(ret));
	memmove(c->has, c->has + n, (c->n - n) * sizeof(c->has[0]));
	c->n -= n;
	/* An item that nobody has ever got. */
	for (i = 0; i < sizeof(any) / 8; i++)
		((uint64_t *)(void *)&any)[i] = rng_chance(r, 2) ? rng_next(r) : rng_below(r, 8);
	(void)shmipc_pop_ack(c->rx, &any, 1);
	(void)shmipc_pop_nack(c->rx, &any, 1);
}

#define OPEN_ALLOWED(ret)	ALLOWED(ret, 0, EPROTO, EPROTONOSUPPORT, EINVAL, ENOENT, EBUSY, EAGAIN, \
					EACCES, ENOSPC)

static int victim(struct other *me, void *arg)
{
	struct rng r = { rng_mix((uintptr_t)arg) };
	struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = 0);
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();
	struct shmipc_push *tx;
	struct popper c = { .n = 0 };
	int ret, n;

	(void)me;
	while (!stopping()) {
		how.spin_ns = rng_chance(&r, 2) ? SHMIPC_SPIN_NEVER : 0;
		tx = NULL;
		c.n = 0;
		c.rx = NULL;
		ret = shmipc_push_open(&tx, NAME, &opts, &how);
		if (!ret)
			ret = shmipc_pop_open(&c.rx, NAME, &opts, &how);
		if (!OPEN_ALLOWED(ret))
			WRONG("open returns %s", shmipc_error_name(ret));
		if (!ret)
			count(OPENS);
		else
			nap_ns(100000);
		for (n = 0; !ret && n < 1000 && !stopping() && !rng_chance(&r, 400); n++) {
			if (rng_chance(&r, 2))
				use_push(&r, tx);
			else
				use_pop(&r, &c);
			if (rng_chance(&r, 16))
				(void)shmipc_queue_look(NAME, &st);
			beat();
		}
		shmipc_pop_close(c.rx);
		shmipc_push_close(tx);
		beat();
	}
	return 0;
}

/* The attacker */

/* A word that may be honest: of a cell, a position, a count, an entry. */
static uint64_t honest(struct rng *r, uint64_t was)
{
	switch (rng_below(r, 7)) {
	case 0:
		return rng_next(r);
	case 1:
		return 0;
	case 2:
		return was ^ UINT64_C(1) << rng_below(r, 64);
	case 3:
		return was + rng_below(r, 5) - 2;
	case 4:		/* TAKEN or RETURNED, by a consumer that may be there */
		return (2 + rng_below(r, 2)) | rng_below(r, LEVELS + 1) << SHMIPC_QUEUE_LEVEL_SHIFT |
		       rng_below(r, 4) << SHMIPC_QUEUE_TIMES_SHIFT |
		       rng_below(r, 4) << SHMIPC_QUEUE_SLOT_SHIFT |
		       rng_below(r, 20) << SHMIPC_QUEUE_GENERATION_SHIFT;
	case 5:
		return SHMIPC_QUEUE_READY | rng_below(r, LEVELS) << SHMIPC_QUEUE_LEVEL_SHIFT |
		       rng_below(r, 40) << SHMIPC_QUEUE_POS_SHIFT;
	default:
		return rng_below(r, DEPTH) | rng_below(r, 40) << SHMIPC_QUEUE_ENTRY_SHIFT;
	}
}

static int attacker(struct other *me, void *arg)
{
	struct rng r = { rng_mix((uintptr_t)arg) };
	uint64_t at, len, *w, *whole;
	char path[160];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", stress_env.dir, NAME);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return 1;
	len = (uint64_t)st.st_size;
	w = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* The headers, the peers, the words that both sides write: all before the items. */
	whole = malloc(6 * SHMIPC_CTL_PAGE);
	if (w == MAP_FAILED || !whole || len < 6 * SHMIPC_CTL_PAGE)
		return 1;
	memcpy(whole, w, 6 * SHMIPC_CTL_PAGE);
	tell(me, 1);
	while (!stopping()) {
		if (rng_chance(&r, 64))		/* otherwise no process can join any more */
			memcpy(w, whole, 3 * SHMIPC_CTL_PAGE);
		at = rng_chance(&r, 3) ? rng_below(&r, len / 8) : rng_below(&r, 6 * SHMIPC_CTL_PAGE / 8);
		if (rng_chance(&r, 2))
			__atomic_store_n(&w[at], honest(&r, __atomic_load_n(&w[at], __ATOMIC_RELAXED)),
					 __ATOMIC_RELAXED);
		else
			__atomic_store_n((unsigned char *)w + at * 8 + rng_below(&r, 8),
					 (unsigned char)rng_next(&r), __ATOMIC_RELAXED);
		if (rng_chance(&r, 3))
			nap_ns(rng_below(&r, 200000));
	}
	return 0;
}

static int round_of(struct rng *r)
{
	uint64_t end = now_ns() + 500000000 + rng_below(r, 500000000);
	struct shmipc_push *hold;
	struct other a, v[VICTIMS];
	int i, ret, ok = 1;

	sh->stop = 0;
	if (shmipc_push_open(&hold, NAME, &opts, NULL) ||
	    other_start(&a, 0, attacker, (void *)(uintptr_t)rng_next(r)) || hear(&a) != 1)
		ksft_exit_fail_msg("start: %s\n", shmipc_error_text());
	for (i = 0; i < VICTIMS; i++)
		if (other_start(&v[i], 0, victim, (void *)(uintptr_t)rng_next(r)))
			ksft_exit_fail_msg("start\n");
	while (now_ns() < end && !sh->bad)
		nap_ns(10000000);
	stop_all();
	for (i = 0; i < VICTIMS; i++) {
		ret = other_end(&v[i]);
		if (ret) {
			ksft_print_msg("victim: %s %d\n", ret >= 256 ? "signal" : "exit code",
				       ret >= 256 ? ret - 256 : ret);
			ok = 0;
		}
	}
	(void)other_kill(&a);
	shmipc_push_close(hold);
	env_remove(stress_env.dir);
	return ok && !sh->bad;
}

int main(void)
{
	struct rng r;
	int ok;

	stress_begin("fuzz/queue", 3);
	r.state = stress_seed;
	ksft_test_result(without_attacker(&r), "random calls\n");
	stress_part(70);
	for (ok = 1; ok && stress_time_left();)
		ok = round_of(&r);
	ksft_print_msg("%llu opens, %llu calls: %llu pushed, %llu refused, %llu items taken\n",
		       (unsigned long long)sh->word[OPENS], (unsigned long long)sh->word[CALLS],
		       (unsigned long long)sh->word[PUSHED], (unsigned long long)sh->word[REFUSED],
		       (unsigned long long)sh->word[TAKEN]);
	ksft_test_result(ok && sh->word[PUSHED] && sh->word[REFUSED] && sh->word[TAKEN],
			 "a hostile process\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds, "no descriptor is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
