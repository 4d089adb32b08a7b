// SPDX-License-Identifier: MIT
/*
 * channel: a hostile process writes every byte of a segment while others use it
 *
 * Two victims open, send, receive, look and close through the library. The attacker maps
 * the whole file, including header and peer table, writes anything, and now and then
 * takes the locks that peers hold. The victims must not crash; each call must return
 * within its deadline plus a margin, or, if it has none, within the library's patience;
 * each result must be one that the manual allows. (Truncating a named file is not tried:
 * on this backend a peer can, as the capabilities say. A sealed memfd cannot be
 * truncated.)
 */
#include "mem/mem.h"	/* of lib/: the places of the locks */
#include "site.h"
#include "../stress/stress.h"

#define NAME	"victim"
#define SLACK_NS	10000000000ull	/* beyond every deadline; the machine may be busy */

enum { OPENS, CALLS, GOOD, NONSENSE };	/* sh->word[] */

static struct site site;

static void count(int i)
{
	__atomic_fetch_add(&sh->word[i], 1, __ATOMIC_RELAXED);
}

static void in_time(uint64_t from, uint64_t limit_ns, const char *what)
{
	uint64_t took = now_ns() - from;

	if (took > limit_ns + SLACK_NS)
		WRONG("%s took %.1f s", what, (double)took / 1e9);
}

static int can_open(int ret)
{
	switch (ret) {
	case 0:
	case -EBUSY:
	case -ENOSPC:
	case -EPROTO:
	case -EPROTONOSUPPORT:
	case -EINVAL:
	case -ENOENT:
	case -EAGAIN:
		return 1;
	}
	return 0;
}

static int can_message(int ret)
{
	switch (ret) {
	case 0:
	case -EAGAIN:
	case -ETIMEDOUT:
	case -EMSGSIZE:
	case -EPIPE:
	case -ESTALE:
	case -EPROTO:
	case -EINVAL:	/* as in fuzz/ring.c */
		return 1;
	}
	return 0;
}

static volatile unsigned char sink;

/* One call on a channel. */
static int call(struct shmipc_channel *ch, struct rng *r, int producer)
{
	static unsigned char buf[32768];
	uint64_t wait = rng_chance(r, 4) ? rng_below(r, 3000000) : 0;
	uint64_t deadline = wait ? shmipc_deadline_in(wait) : 0, t = now_ns();
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	size_t len = rng_len(r, 3000), i;
	const void *p = NULL;
	void *q = NULL;
	int ret;

	switch (rng_below(r, 16)) {
	case 0:
		ret = shmipc_channel_wait_peer(ch, deadline);
		break;
	case 1:
		ret = shmipc_channel_get_stat(ch, &st);
		break;
	case 2:
		(void)shmipc_channel_peer(ch);
		ret = producer ? shmipc_channel_drain(ch, deadline) : 0;
		break;
	case 3 ... 6:
		if (producer) {
			ret = shmipc_channel_reserve(ch, len, &q, deadline);
			if (!ret) {
				memset(q, 7, len);
				ret = shmipc_channel_commit(ch, len);
			}
			break;
		}
		ret = shmipc_channel_peek(ch, &p, &len, deadline);
		if (!ret) {
			for (i = 0; i < len; i++)
				sink = ((const unsigned char *)p)[i];
			ret = shmipc_channel_release(ch);
		}
		break;
	default:
		ret = producer ? shmipc_channel_send(ch, buf, len, deadline) :
				 shmipc_channel_recv(ch, buf, sizeof(buf), &len, deadline);
	}
	in_time(t, wait, "a call");
	if (!can_message(ret))
		WRONG("a call on a channel returns %d", ret);
	count(CALLS);
	if (!ret)
		count(GOOD);
	if (ret == -EPROTO)
		count(NONSENSE);
	beat();
	return ret;
}

static void look_around(void)
{
	struct shmipc_peer_info pi[8];
	struct shmipc_segment_stat st = { .peer = pi, .peer_cap = 8 };
	uint64_t t = now_ns();
	int ret = shmipc_segment_look(NAME, &st);

	if (ret != -EACCES && !can_open(ret))
		WRONG("look returns %d", ret);
	if (!ret && st.npeers <= 8)
		sink = (unsigned char)pi[0].comm[0];
	if (shmipc_segment_gc(NULL, NULL) < 0)
		WRONG("gc");
	in_time(t, 2000000000, "look and gc");
}

static int victim(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg) };
	int producer = (int)((uintptr_t)arg & 1), n, ret;
	struct shmipc_channel_opts co = { .struct_bytes = sizeof(co) };
	struct shmipc_channel *ch;
	uint64_t t;

	site_here(&site, me);
	while (!stopping()) {
		co.spin_ns = rng_chance(&r, 2) ? SHMIPC_SPIN_NEVER : 0;
		co.start = (uint32_t)rng_below(&r, 3);
		co.stride = 1 + rng_below(&r, 3);
		t = now_ns();
		ret = site_open(&site, &ch, producer ? SHMIPC_ROLE_PRODUCER :
				site.o.kind == SHMIPC_KIND_SPSC ? SHMIPC_ROLE_CONSUMER :
				SHMIPC_ROLE_READER, &co);
		in_time(t, 4000000000, "open");
		if (!can_open(ret))
			WRONG("open returns %d", ret);
		beat();
		if (ret) {
			nap_ns(100000);
			continue;
		}
		count(OPENS);
		for (n = 0; n < 2000 && !stopping(); n++) {
			ret = call(ch, &r, producer);
			if (ret == -EPROTO || rng_chance(&r, 500))
				break;
		}
		t = now_ns();
		shmipc_channel_close(ch);
		in_time(t, 4000000000, "close");
		if (site.where == NAMED && rng_chance(&r, 16))
			look_around();
	}
	return 0;
}

static uint64_t nasty(struct rng *r, uint64_t was)
{
	switch (rng_below(r, 6)) {
	case 0:
		return rng_next(r);
	case 1:
		return 0;
	case 2:
		return was ^ 1ull << rng_below(r, 64);
	case 3:
		return was + 8 * rng_below(r, 2048);
	case 4:
		return was - 8 * rng_below(r, 2048);
	default:
		return UINT64_MAX - rng_below(r, 4096);
	}
}

/* Writes into the file, but spares the parts in @arg: 1 headers, 2 data. */
static int attacker(struct other *me, void *arg)
{
	struct rng r = { rng_mix((uintptr_t)arg) };
	uint64_t bytes, at, *w, mercy = (uintptr_t)arg & 3, i;
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_SLOT,
			   .l_len = 65536 };
	char path[160];
	struct stat st;
	void *whole;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", stress_env.dir, NAME);
	fd = site.where == ANON ? recv_fd(me->sock) : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return 1;
	bytes = (uint64_t)st.st_size;
	w = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w == MAP_FAILED)
		return 1;
	whole = malloc(bytes);
	if (!whole)
		return 1;
	memcpy(whole, w, bytes);
	tell(me, 1);
	for (i = 0; !stopping(); i++) {
		if (rng_chance(&r, 256))	/* otherwise nobody can attach any more */
			memcpy(w, whole, bytes);
		at = rng_chance(&r, 2) ? rng_below(&r, bytes / 8) :
		     rng_chance(&r, 2) ? rng_below(&r, 4096 * 6 / 8) : 512 + rng_below(&r, 16 * 8);
		if (at < 512 && mercy & 1)
			continue;	/* the header of the segment */
		if (at >= 512 * 6 && mercy & 2)
			continue;
		__atomic_store_n(&w[at], nasty(&r, __atomic_load_n(&w[at], __ATOMIC_RELAXED)),
				 __ATOMIC_RELAXED);
		if (rng_chance(&r, 8))
			nap_ns(rng_below(&r, 200000));
		/* All slots are mine, and all peers that had them are "dead". */
		if (rng_chance(&r, 4096)) {
			l.l_type = F_WRLCK;
			for (at = 0; at < 64; at++) {
				l.l_start = LOCK_SLOT + (off_t)at;
				l.l_len = 1;
				(void)fcntl(fd, F_OFD_SETLK, &l);
				__atomic_store_n((uint32_t *)(void *)(w + 512 + at * 8),
						 SHMIPC_PEER_DEAD | 5, __ATOMIC_RELAXED);
			}
			nap_ns(rng_below(&r, 20000000));
			if (rng_chance(&r, 2)) {
				l.l_type = F_UNLCK;
				l.l_start = LOCK_SLOT;
				l.l_len = 65536;
				(void)fcntl(fd, F_OFD_SETLK, &l);
			}
		}
	}
	return 0;
}

static int round_of(struct rng *r, enum where where)
{
	uint64_t end = now_ns() + 500000000 + rng_below(r, 500000000);
	uintptr_t id = (uintptr_t)rng_next(r) & ~(uintptr_t)3;
	struct other a, v[2];
	struct shmipc_segment *hold = NULL;
	int i, ret, ok = 1;

	if (site_make(&site, where, rng_chance(r, 2) ? SHMIPC_KIND_SPSC : SHMIPC_KIND_BCAST, 16384))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	site.name = NAME;
	sh->stop = 0;
	if (where == NAMED && shmipc_segment_open(&hold, NAME, &site.o))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	site.o.flags = SHMIPC_CREATE;
	if (other_start(&a, 0, attacker, (void *)(id | rng_below(r, 4))))
		ksft_exit_fail_msg("start\n");
	if (where == ANON)
		(void)send_fd(a.sock, shmipc_segment_fd(site.seg));
	if (hear(&a) != 1)
		ksft_exit_fail_msg("the attacker does not start\n");
	for (i = 0; i < 2; i++)
		if (site_start(&site, &v[i], victim, (void *)(id | (uintptr_t)i)))
			ksft_exit_fail_msg("start\n");
	while (now_ns() < end && !sh->bad)
		nap_ns(10000000);
	stop_all();
	for (i = 0; i < 2; i++) {
		ret = other_end(&v[i]);
		if (ret) {
			ksft_print_msg("victim: %s %d\n", ret >= 256 ? "signal" : "exit code",
				       ret >= 256 ? ret - 256 : ret);
			ok = 0;
		}
	}
	(void)other_kill(&a);
	shmipc_segment_close(hold);
	site_end(&site);
	env_remove(stress_env.dir);
	return ok && !sh->bad;
}

static void part(struct rng *r, enum where where, const char *what)
{
	int ok = 1;

	stress_part(50);
	while (ok && stress_time_left())
		ok = round_of(r, where);
	ksft_print_msg("%s: %llu opens, %llu calls, %llu worked, %llu saw invalid data\n", what,
		       (unsigned long long)sh->word[OPENS], (unsigned long long)sh->word[CALLS],
		       (unsigned long long)sh->word[GOOD], (unsigned long long)sh->word[NONSENSE]);
	ksft_test_result(ok && sh->word[GOOD] && sh->word[NONSENSE], "a hostile process, %s\n", what);
}

int main(void)
{
	struct rng r;

	stress_begin("fuzz/channel", 3);
	r.state = stress_seed;
	part(&r, NAMED, "by name");
	part(&r, ANON, "by descriptor");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds, "no descriptor is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
