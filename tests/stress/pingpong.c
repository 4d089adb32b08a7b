// SPDX-License-Identifier: MIT
/*
 * pingpong: two very small rings; both sides sleep at every turn
 *
 * A lost wake would show as a turn that takes a tick of the library's safety net (50 ms),
 * or forever. Times are not asserted: the number of slow turns is printed, and a hang is
 * a failure.
 */
#include "site.h"
#include "stress.h"

#define SLOW_NS	40000000ull

enum { TURNS, SLOW, WORST, SLEEPS, WAKES };	/* sh->total[] */

struct pair {
	struct site there, back;
	uint64_t spin_ns;
	uint64_t burst;
};

static int open_both(struct pair *p, struct shmipc_channel **tx, struct shmipc_channel **rx, int who)
{
	struct shmipc_channel_opts co = { .struct_bytes = sizeof(co), .spin_ns = p->spin_ns };

	return site_open(who ? &p->back : &p->there, tx, SHMIPC_ROLE_PRODUCER, &co) ||
	       site_open(who ? &p->there : &p->back, rx, SHMIPC_ROLE_CONSUMER, &co);
}

static void add_stat(struct shmipc_channel *ch)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_channel_get_stat(ch, &st);
	__atomic_fetch_add(&sh->total[SLEEPS], st.sleeps, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[WAKES], st.wakes, __ATOMIC_RELAXED);
}

/* The emulator ends calls for a signal after which they should go on. */
static int receive(struct shmipc_channel *ch, void *buf, size_t cap, size_t *ret_len)
{
	int ret;

	do
		ret = shmipc_channel_recv(ch, buf, cap, ret_len, SHMIPC_FOREVER);
	while (ret == -EINTR && on_qemu());
	return ret;
}

static int transmit(struct shmipc_channel *ch, const void *buf, size_t len)
{
	int ret;

	do
		ret = shmipc_channel_send(ch, buf, len, SHMIPC_FOREVER);
	while (ret == -EINTR && on_qemu());
	return ret;
}

/* Send back what is received, with a ring so small that sending must wait, too. */
static int echo(struct other *me, void *arg)
{
	struct pair *p = arg;
	struct shmipc_channel *tx, *rx;
	unsigned char buf[2048];
	size_t len;
	int ret;

	site_here(&p->there, me);
	site_here(&p->back, me);
	if (open_both(p, &tx, &rx, 1)) {
		WRONG("open");
		return 1;
	}
	for (;;) {
		ret = receive(rx, buf, sizeof(buf), &len);
		if (ret == -EPIPE)
			break;
		if (ret == 0)
			ret = transmit(tx, buf, len);
		if (ret) {
			WRONG("echo: %d", ret);
			break;
		}
	}
	add_stat(tx);
	add_stat(rx);
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
	return 0;
}

static void turn(struct pair *p, struct shmipc_channel *tx, struct shmipc_channel *rx, struct rng *r)
{
	uint64_t n = 1 + rng_below(r, p->burst), i, t, seq = sh->total[TURNS];
	static unsigned char buf[2048];
	size_t want, len = 0;
	int ret;

	t = now_ns();
	for (i = 0; i < n; i++) {
		want = stress_len(seq + i, 900);
		msg_fill(buf, want, stress_seed, seq + i);
		ret = transmit(tx, buf, want);
		if (ret)
			WRONG("send: %d", ret);
	}
	for (i = 0; i < n; i++) {
		ret = receive(rx, buf, sizeof(buf), &len);
		if (ret || len != stress_len(seq + i, 900) || !msg_ok(buf, len, stress_seed, seq + i))
			WRONG("recv: %d, %zu bytes", ret, len);
	}
	t = now_ns() - t;
	sh->total[TURNS] += n;
	sh->total[SLOW] += t > SLOW_NS;
	if (t > sh->total[WORST])
		sh->total[WORST] = t;
	beat();
}

static void one_pair(struct rng *r, enum where where)
{
	static const uint64_t spins[] = { SHMIPC_SPIN_NEVER, SHMIPC_SPIN_NEVER, 1000, 0 };
	uint64_t end = now_ns() + 700000000;
	struct shmipc_channel *tx, *rx;
	struct other o;
	struct pair p;

	if (site_make(&p.there, where, SHMIPC_KIND_SPSC, 4096) ||
	    site_make(&p.back, where, SHMIPC_KIND_SPSC, 4096))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	p.there.name = "there";
	p.back.name = "back";
	p.spin_ns = spins[rng_below(r, 4)];
	p.burst = 1 + rng_below(r, 3);
	if (open_both(&p, &tx, &rx, 0))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	if (other_start(&o, where == PRIVATE, echo, &p))
		ksft_exit_fail_msg("start\n");
	if (where == ANON && (send_fd(o.sock, shmipc_segment_fd(p.there.seg)) ||
			      send_fd(o.sock, shmipc_segment_fd(p.back.seg))))
		ksft_exit_fail_msg("send_fd\n");
	if (shmipc_channel_wait_peer(tx, SHMIPC_FOREVER) || shmipc_channel_wait_peer(rx, SHMIPC_FOREVER))
		WRONG("wait_peer");
	while (now_ns() < end && stress_time_left() && !sh->bad)
		turn(&p, tx, rx, r);
	shmipc_channel_close(tx);
	if (other_end(&o))
		WRONG("echo failed");
	add_stat(rx);
	shmipc_channel_close(rx);
	site_end(&p.there);
	site_end(&p.back);
}

static void part(struct rng *r, enum where where, const char *what)
{
	stress_part(30);
	while (stress_time_left() && !sh->bad)
		one_pair(r, where);
	ksft_print_msg("%s: %llu messages there and back, %llu sleeps, %llu wakes, slowest turn %.3f ms, %llu over 40 ms\n",
		       what, (unsigned long long)sh->total[TURNS],
		       (unsigned long long)sh->total[SLEEPS], (unsigned long long)sh->total[WAKES],
		       (double)sh->total[WORST] / 1e6, (unsigned long long)sh->total[SLOW]);
	ksft_test_result(!sh->bad && sh->total[TURNS], "ping-pong: %s\n", what);
}

int main(void)
{
	struct rng r;

	stress_begin("stress/pingpong", 4);
	r.state = stress_seed;
	part(&r, NAMED, "processes, by name");
	part(&r, ANON, "processes, by descriptor");
	part(&r, PRIVATE, "threads");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
