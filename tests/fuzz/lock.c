// SPDX-License-Identifier: MIT
/*
 * lock: a hostile process writes every byte of a segment while others use locks in it
 *
 * The victims join, lock with deadlines, look, unlock and leave; what they get is what the
 * manual allows, and each call returns by its deadline plus a margin. The attacker writes the
 * words of the locks (anything, or words that look honest: of live and dead peers, of the
 * victims themselves), the peer table and the headers, and takes the locks of slots.
 */
#include "mem/mem.h"	/* of lib/: the places of the locks */
#include "../stress/stress.h"

#define NAME		"victim"
#define VICTIMS		3
#define WORDS		(sizeof(struct locks) / 8)
#define SLACK_NS	10000000000ull	/* beyond every deadline; the machine may be busy */

struct locks {
	struct shmipc_mutex mutex;
	struct shmipc_rwlock rwlock;
	struct shmipc_sem sem;
	struct shmipc_barrier barrier;
};

enum { JOINS, CALLS, LOCKED, TOLD, LOST };	/* sh->word[] */

static const struct shmipc_segment_opts opts = {
	.struct_bytes = sizeof(opts), .kind = SHMIPC_KIND_RAW, .bytes = 4096, .peers = 8,
	.flags = SHMIPC_CREATE,
};

static void count(int i)
{
	__atomic_fetch_add(&sh->word[i], 1, __ATOMIC_RELAXED);
}

static void in_time(uint64_t end, const char *what)
{
	if (now_ns() > end + SLACK_NS)
		WRONG("%s came %.1f s too late", what, (double)(now_ns() - end) / 1e9);
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

static void use(struct rng *r, struct shmipc_peer *p, struct shmipc_mutex *m)
{
	uint64_t end = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 3000000));
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();
	int ret = shmipc_mutex_lock(p, m, end);

	in_time(end ? end : now_ns(), "lock");
	count(CALLS);
	if (!ALLOWED(ret, 0, EOWNERDEAD, ENOTRECOVERABLE, EDEADLK, EAGAIN, ETIMEDOUT))
		WRONG("lock returns %s", shmipc_error_name(ret));
	count(!ret ? LOCKED : ret == -EOWNERDEAD ? TOLD : LOST);
	if (shmipc_mutex_get_info(p, m, &i))
		WRONG("no info");
	if (ret == -EOWNERDEAD && rng_chance(r, 2) &&
	    !ALLOWED(shmipc_mutex_consistent(p, m), 0, EPERM, EINVAL))
		WRONG("consistent");
	if (!ALLOWED(shmipc_mutex_unlock(p, m), 0, EPERM))
		WRONG("unlock");
	if (ret == -ENOTRECOVERABLE && shmipc_mutex_init(m))
		WRONG("init");
	beat();
}

static void use_rwlock(struct rng *r, struct shmipc_peer *p, struct shmipc_rwlock *l)
{
	uint64_t end = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 3000000));
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();
	int ret, reads = rng_chance(r, 2);

	ret = reads ? shmipc_rwlock_read_lock(p, l, end) : shmipc_rwlock_write_lock(p, l, end);
	in_time(end ? end : now_ns(), "rwlock");
	count(CALLS);
	if (!ALLOWED(ret, 0, EOWNERDEAD, ENOTRECOVERABLE, EDEADLK, EAGAIN, ETIMEDOUT, EOVERFLOW))
		WRONG("rwlock returns %s", shmipc_error_name(ret));
	count(!ret ? LOCKED : ret == -EOWNERDEAD ? TOLD : LOST);
	if (shmipc_rwlock_get_info(p, l, &i) || i.readers > SHMIPC_RWLOCK_SHARES)
		WRONG("no info");
	if (ret == -EOWNERDEAD && rng_chance(r, 2) &&
	    !ALLOWED(shmipc_rwlock_consistent(p, l), 0, EPERM, EINVAL))
		WRONG("consistent");
	if (!ALLOWED(shmipc_rwlock_unlock(p, l), 0, EPERM))
		WRONG("unlock");
	if ((ret == -ENOTRECOVERABLE || rng_chance(r, 64)) && shmipc_rwlock_init(l))
		WRONG("init");
	beat();
}

static void use_sem(struct rng *r, struct shmipc_peer *p, struct shmipc_sem *s)
{
	uint64_t end = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 3000000));
	struct shmipc_sem_info i = SHMIPC_SEM_INFO();
	int ret = shmipc_sem_wait(p, s, end);

	in_time(end ? end : now_ns(), "sem");
	count(CALLS);
	if (!ALLOWED(ret, 0, EAGAIN, ETIMEDOUT))
		WRONG("sem returns %s", shmipc_error_name(ret));
	count(!ret ? LOCKED : LOST);
	if (shmipc_sem_get_info(p, s, &i) || i.held > SHMIPC_SEM_UNITS)
		WRONG("no info");
	if (!ALLOWED(shmipc_sem_post(p, s, 1), 0, EPERM, EOVERFLOW))
		WRONG("post");
	if (rng_chance(r, 64) && shmipc_sem_init(s, 2, rng_chance(r, 2) ? SHMIPC_SEM_ROBUST : 0))
		WRONG("init");
	beat();
}

static void use_barrier(struct rng *r, struct shmipc_peer *p, struct shmipc_barrier *b)
{
	uint64_t end = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 1000000));
	struct shmipc_barrier_info i = SHMIPC_BARRIER_INFO();
	int ret;

	if (rng_chance(r, 2) && shmipc_barrier_init(b, (uint32_t)rng_below(r, 3) + 1))
		WRONG("init");
	ret = shmipc_barrier_wait(p, b, end);
	in_time(end ? end : now_ns(), "barrier");
	count(CALLS);
	if (!ALLOWED(ret, 0, -1, EAGAIN, ETIMEDOUT, EOWNERDEAD, ECANCELED, EBUSY, EINVAL))
		WRONG("barrier returns %s", shmipc_error_name(ret));
	count(ret >= 0 ? LOCKED : LOST);
	if (shmipc_barrier_get_info(p, b, &i) || i.arrived > SHMIPC_BARRIER_PLACES)
		WRONG("no info");
	beat();
}

static void use_one(struct rng *r, struct shmipc_peer *p, struct locks *all)
{
	switch (rng_below(r, 5)) {
	case 4:
		use_barrier(r, p, &all->barrier);
		break;
	case 0:
		use_sem(r, p, &all->sem);
		break;
	case 1:
		use_rwlock(r, p, &all->rwlock);
		break;
	default:
		use(r, p, &all->mutex);
	}
}

static int victim(struct other *me, void *arg)
{
	struct rng r = { rng_mix((uintptr_t)arg) };
	struct shmipc_segment *seg;
	struct shmipc_peer_opts po = SHMIPC_PEER_OPTS();
	struct shmipc_peer *p;
	int ret, n;

	(void)me;
	while (!stopping()) {
		ret = shmipc_segment_open(&seg, NAME, &opts);
		if (ret) {
			if (!ALLOWED(ret, EPROTO, EPROTONOSUPPORT, EINVAL, ENOENT, EBUSY, EAGAIN, EACCES))
				WRONG("open returns %s", shmipc_error_name(ret));
			beat();
			nap_ns(100000);
			continue;
		}
		po.spin_ns = rng_chance(&r, 2) ? SHMIPC_SPIN_NEVER : 0;
		ret = shmipc_peer_join(&p, seg, &po);
		if (!ret) {
			count(JOINS);
			for (n = 0; n < 1000 && !stopping() && !rng_chance(&r, 400); n++)
				use_one(&r, p, shmipc_segment_data(seg, NULL));
			shmipc_peer_leave(p);
		} else if (!ALLOWED(ret, ENOSPC, EINVAL)) {
			WRONG("join returns %s", shmipc_error_name(ret));
		}
		shmipc_segment_close(seg);
		beat();
	}
	return 0;
}

/* A word of a lock that may be honest. */
static uint64_t owner(struct rng *r, uint64_t was)
{
	uint64_t word = rng_below(r, 9) << SHMIPC_LOCK_SLOT_SHIFT |
			rng_below(r, 3) << SHMIPC_LOCK_THREAD_SHIFT |
			rng_below(r, 200) << SHMIPC_LOCK_GENERATION_SHIFT;

	switch (rng_below(r, 6)) {
	case 0:
		return rng_next(r);
	case 1:
		return 0;
	case 2:
		return was ^ UINT64_C(1) << rng_below(r, 64);
	case 3:
		return was ^ rng_below(r, 16);
	default:
		return word | rng_below(r, 16);
	}
}

static void take_slots(struct rng *r, int fd, uint64_t *w)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	uint64_t at;

	for (at = 0; at < opts.peers; at++) {
		l.l_start = LOCK_SLOT + (off_t)at;
		(void)fcntl(fd, F_OFD_SETLK, &l);
		__atomic_store_n((uint32_t *)(void *)(w + 512 + at * 8), SHMIPC_PEER_DEAD | 5,
				 __ATOMIC_RELAXED);
	}
	nap_ns(rng_below(r, 20000000));
	l = (struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = LOCK_SLOT,
			    .l_len = 65536 };
	(void)fcntl(fd, F_OFD_SETLK, &l);
}

static int attacker(struct other *me, void *arg)
{
	struct rng r = { rng_mix((uintptr_t)arg) };
	uint64_t at, bytes, data, *w, *whole;
	char path[160];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", stress_env.dir, NAME);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return 1;
	bytes = (uint64_t)st.st_size;
	data = (bytes - 4096) / 8;
	w = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	whole = malloc(bytes);
	if (w == MAP_FAILED || !whole)
		return 1;
	memcpy(whole, w, bytes);
	tell(me, 1);
	while (!stopping()) {
		if (rng_chance(&r, 64))		/* otherwise no process can join any more */
			memcpy(w, whole, bytes - 4096);
		at = rng_chance(&r, 4) ? rng_below(&r, data) :
		     data + (rng_chance(&r, 3) ? rng_below(&r, WORDS) :
			     rng_chance(&r, 2) ? offsetof(struct locks, rwlock) / 8 : 0);
		__atomic_store_n(&w[at], owner(&r, __atomic_load_n(&w[at], __ATOMIC_RELAXED)),
				 __ATOMIC_RELAXED);
		if (rng_chance(&r, 3))
			nap_ns(rng_below(&r, 200000));
		if (rng_chance(&r, 4096))
			take_slots(&r, fd, w);
	}
	return 0;
}

static int round_of(struct rng *r)
{
	uint64_t end = now_ns() + 500000000 + rng_below(r, 500000000);
	struct shmipc_segment *hold;
	struct other a, v[VICTIMS];
	int i, ret, ok = 1;

	sh->stop = 0;
	if (shmipc_segment_open(&hold, NAME, &opts) ||
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
	shmipc_segment_close(hold);
	env_remove(stress_env.dir);
	return ok && !sh->bad;
}

int main(void)
{
	struct rng r;
	int ok = 1;

	stress_begin("fuzz/lock", 2);
	r.state = stress_seed;
	stress_part(100);
	while (ok && stress_time_left())
		ok = round_of(&r);
	ksft_print_msg("%llu joins, %llu calls: %llu locked, %llu told of a death, %llu not locked\n",
		       (unsigned long long)sh->word[JOINS], (unsigned long long)sh->word[CALLS],
		       (unsigned long long)sh->word[LOCKED], (unsigned long long)sh->word[TOLD],
		       (unsigned long long)sh->word[LOST]);
	ksft_test_result(ok && sh->word[LOCKED] && sh->word[TOLD] && sh->word[LOST],
			 "a hostile process\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds, "no descriptor is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
