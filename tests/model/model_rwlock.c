// SPDX-License-Identifier: MIT
/*
 * model_rwlock.c - a read-write lock whose readers and writers may die at any step
 *
 * It is the library's own (lib/lock), with two shares; the rest is in model_lock.h. What it
 * protects is plain memory, so a reader beside a writer is a data race.
 */
#include "model_lock.h"

static struct shmipc_rwlock lock __attribute__((aligned(64)));
static uint64_t data[2] __attribute__((aligned(64)));	/* what it protects: equal, if whole */

static int result[MOST];		/* of its last call */
static int inside;			/* bit for each peer that has it for writing */
static int deaths_told;
static int repairs;			/* whether the next owner declares it consistent */

static void setup(void)
{
	model_region(&lock, sizeof(lock), "lock", 0);
	model_region(peer, sizeof(peer), "peer", 0);
	model_region(data, sizeof(data), "data", 1);
}

static void reset(void)
{
	int i;

	memset(&lock, 0, sizeof(lock));
	memset(data, 0, sizeof(data));
	shmipc_rwlock_strays = 0;
	deaths_told = inside = 0;
	repairs = 1;
	reset_peers(&lock);
	for (i = 0; i < MOST; i++)
		result[i] = 1;
}

static int is_dead(int i)
{
	return model_state(thread[i]) == MODEL_DIED;
}

static void read_both(uint64_t *a, uint64_t *b)
{
	shmipc_payload_read(a, &data[0], sizeof(*a));
	shmipc_payload_read(b, &data[1], sizeof(*b));
}

static void write_both(uint64_t a)
{
	shmipc_payload_write(&data[0], &a, sizeof(a));
	shmipc_payload_write(&data[1], &a, sizeof(a));
}

/* The caller has it alone, and was told that a writer died. False: it gives up. */
static int repair(int i)
{
	uint64_t a, b;
	int who = (int)shmipc_lock_peer(shmipc_load_relaxed(&lock.writer.died)).slot;

	model_check(is_dead(who), "told that peer %d died, which lives", who);
	deaths_told++;
	read_both(&a, &b);
	write_both(a);
	if (repairs)
		model_check(!shmipc_rwlock_consistent(&peer[i], &lock), "not consistent");
	return repairs;
}

static void leave_lock(int i)
{
	model_check(!shmipc_rwlock_unlock(&peer[i], &lock), "unlock by %d fails", i);
}

static void use_read(int i, uint64_t deadline_ns)
{
	int ret = shmipc_rwlock_read_lock(&peer[i], &lock, deadline_ns);
	uint64_t a, b;

	result[i] = ret;
	if (ret && ret != -EOWNERDEAD)
		return;
	if (!ret || repair(i)) {
		read_both(&a, &b);
		model_check(a == b, "half written, and not told: %llu and %llu", (unsigned long long)a,
			    (unsigned long long)b);
	}
	leave_lock(i);
}

static void use_write(int i, uint64_t deadline_ns)
{
	int ret = shmipc_rwlock_write_lock(&peer[i], &lock, deadline_ns);
	uint64_t a, b;

	result[i] = ret;
	if (ret && ret != -EOWNERDEAD)
		return;
	if (!ret || repair(i)) {
		read_both(&a, &b);
		model_check(a == b, "half written, and not told: %llu and %llu", (unsigned long long)a,
			    (unsigned long long)b);
		write_both(a + 1);
	}
	leave_lock(i);
}

static void reader(void *arg)
{
	use_read(*(const int *)arg, UINT64_MAX);
}

static void reader_twice(void *arg)
{
	reader(arg);
	reader(arg);
}

/* Once more while it reads: it waits for no writer. */
static void reader_nested(void *arg)
{
	int i = *(const int *)arg;

	result[i] = shmipc_rwlock_read_lock(&peer[i], &lock, UINT64_MAX);
	model_check(!result[i], "read");
	use_read(i, UINT64_MAX);
	leave_lock(i);
}

static void writer(void *arg)
{
	use_write(*(const int *)arg, UINT64_MAX);
}

static void writer_timed(void *arg)
{
	use_write(*(const int *)arg, DEADLINE_NS);
}

static void reader_timed(void *arg)
{
	use_read(*(const int *)arg, DEADLINE_NS);
}

/* It has a share from the beginning. */
static void reads(void *arg)
{
	uint64_t a, b;

	read_both(&a, &b);
	result[*(const int *)arg] = 0;
	leave_lock(*(const int *)arg);
}

/* It has all of it from the beginning. */
static void writes(void *arg)
{
	write_both(1);
	result[*(const int *)arg] = 0;
	leave_lock(*(const int *)arg);
}

/* It comes when all others have ended: the search is short. */
static void await_others(int i)
{
	while (i--)
		(void)model_join(thread[i]);
}

static void late_reader(void *arg)
{
	await_others(*(const int *)arg);
	reader(arg);
}

static void late_writer(void *arg)
{
	await_others(*(const int *)arg);
	writer(arg);
}

static void start(const char *name, void (*fn)(void *), int mortal)
{
	static int number[MOST] = { 0, 1, 2, 3 };
	int i = threads++;

	/* As shmipc_rwlock_read_lock() finds a place, among two. */
	if (fn == reads)
		lock.share[(i + 1) % 2] = shmipc_lock_self(&peer[i]);
	if (fn == writes)
		lock.writer.word = lock.inside = shmipc_lock_self(&peer[i]);
	thread[i] = model_spawn(name, fn, &number[i], mortal);
}

static void both(void)
{
	reset();
	start("reader", reader_twice, 0);
	start("writer", writer, 0);
}

static void nested(void)
{
	reset();
	start("reader", reader_nested, 0);
	start("writer", writer, 0);
}

static void reader_first(void)
{
	reset();
	start("reads", reads, 0);
	start("writer", writer, 0);
	start("reader", model_deep ? reader : late_reader, 0);
}

/* Both readers sleep; one is woken, and wakes the other. */
static void writer_first(void)
{
	reset();
	start("writes", writes, 0);
	start("reader", reader, 0);
	start("reader", reader, 0);
}

static void two_writers(void)
{
	reset();
	start("writes", writes, 0);
	start("writer", writer, 0);
	start("reader", model_deep ? reader : late_reader, 0);
}

static void writer_gives_up(void)
{
	reset();
	start("reads", reads, 0);
	start("timed", writer_timed, 0);
	start("reader", reader, 0);
}

static void reader_gives_up(void)
{
	reset();
	start("writes", writes, 0);
	start("timed", reader_timed, 0);
	start("reader", reader, 0);
}

static void more_readers(void)
{
	reset();
	start("reads", reads, 0);
	start("reads", reads, 0);
	start("reader", reader, 0);
}

static void reader_dies(void)
{
	reset();
	start("reader", reader, 1);
	start("writer", writer, 0);
	start("later", late_writer, 0);
}

static void writer_dies(void)
{
	reset();
	start("writer", writer, 1);
	start("reader", reader_twice, 0);
}

/* The one that waits for a reader dies, while another reader waits for it. */
static void waiting_writer_dies(void)
{
	reset();
	start("reads", reads, 0);
	start("writer", writer, 1);
	start("reader", model_deep ? reader : late_reader, 0);
}

static void woken_reader_dies(void)
{
	reset();
	start("writes", writes, 0);
	start("reader", reader, 1);
	start("reader", reader, 0);
}

static void sharing_reader_dies(void)
{
	reset();
	start("reads", reads, 1);
	start("reads", reads, 0);
	start("reader", reader, 0);
}

static void two_die(void)
{
	reset();
	start("writes", writes, 1);
	start("reader", reader, 1);
	start("later", model_deep ? writer : late_writer, 0);
}

static void is_given_up(void)
{
	reset();
	repairs = 0;
	start("writes", writes, 1);
	start("reader", reader, 0);
	start("later", model_deep ? writer : late_writer, 0);
}

/* Each that lives has had it, and nothing is left. */
static void all_had_it(void)
{
	int i, dead = 0;

	for (i = 0; i < threads; i++) {
		if (is_dead(i)) {
			dead++;
			continue;
		}
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i] || result[i] == -EOWNERDEAD, "peer %d: %d", i, result[i]);
	}
	model_check(deaths_told <= dead, "told of %d deaths", deaths_told);
	model_check(shmipc_load_relaxed(&lock.freed) <= (uint64_t)dead, "a share was freed twice");
	if (dead)
		return;
	model_check(!shmipc_load_relaxed(&lock.writer.word) && !shmipc_load_relaxed(&lock.inside),
		    "a writer is left");
	model_check(!shmipc_load_relaxed(&lock.share[0]) && !shmipc_load_relaxed(&lock.share[1]),
		    "a reader is left");
}

/* One that gives up may sleep until its deadline; no one else may be left asleep. */
static void all_but_timed(void)
{
	int i;

	for (i = 0; i < threads; i++) {
		if (i == 1 && (model_state(thread[i]) == MODEL_ASLEEP || result[i] == -ETIMEDOUT))
			continue;
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i], "peer %d: %d", i, result[i]);
	}
}

/* After the death none gets it for good any more, and none sleeps. */
static void all_are_told(void)
{
	int i;

	for (i = 0; i < threads; i++) {
		if (is_dead(i))
			continue;
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i] || result[i] == -EOWNERDEAD || result[i] == -ENOTRECOVERABLE,
			    "peer %d: %d", i, result[i]);
	}
	model_check(deaths_told <= 1, "told of %d deaths", deaths_told);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "rwlock: a reader and a writer", setup, both, all_had_it, 0 },
		{ "rwlock: a reader that reads twice", setup, nested, all_had_it, 0 },
		{ "rwlock: a writer waits for a reader", setup, reader_first, all_had_it, 0 },
		{ "rwlock: readers that sleep", setup, writer_first, all_had_it, 0 },
		{ "rwlock: a writer and a reader that sleep", setup, two_writers, all_had_it, 0 },
		{ "rwlock: a writer gives up", setup, writer_gives_up, all_but_timed, 0, 1 },
		{ "rwlock: a reader gives up", setup, reader_gives_up, all_but_timed, 0 },
		{ "rwlock: more readers than shares", setup, more_readers, all_had_it, 0 },
		{ "rwlock: a reader dies at any step", setup, reader_dies, all_had_it, 1 },
		{ "rwlock: a writer dies at any step", setup, writer_dies, all_had_it, 1 },
		{ "rwlock: a waiting writer dies", setup, waiting_writer_dies, all_had_it, 1 },
		{ "rwlock: a reader that was woken dies", setup, woken_reader_dies, all_had_it, 1 },
		{ "rwlock: one of the readers that share it dies", setup, sharing_reader_dies, all_had_it, 1 },
		{ "rwlock: two of three die", setup, two_die, all_had_it, 2 },
		{ "rwlock: it is given up", setup, is_given_up, all_are_told, 1 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "leave", MODEL_CAS, "it reads nothing of others", 1 },
		{ "again", MODEL_CAS, "only a number of its owner's", 0 },
		{ "take_share", MODEL_CAS, "the fence after it orders it", 0 },
		{ "shmipc_rwlock_read_lock", MODEL_CAS, "the fence after it orders it", 0 },
		{ "wake_more", MODEL_CAS, "only a flag, in a word that others have released", 0 },
		{ "emptied", MODEL_CAS, "the kernel's word of the death orders it", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "lock/rwlock.c", excepts);
}
