// SPDX-License-Identifier: MIT
/*
 * tlog: hostile publishers and subscribers write everything that they can map
 *
 * A victim publishes, reads, holds, aborts, evicts and makes room. First invalid data are
 * written between its calls, so that a seed reproduces the run; then another process
 * writes while the victim works. The victim must not crash, must not hang, and must not
 * access anything outside the log: the byte before it and the byte after it are
 * inaccessible. If the log grows, so is each page that has no memory yet: the victim gets
 * it, or is refused, at random, and others get it meanwhile.
 *
 * This program needs the headers alone, so that canary.c can build it against
 * headers with a planted bug, which it must find.
 */
#include <shmipc/inline/tlog_rx.h>
#include <shmipc/inline/tlog_floor.h>
#include <shmipc/inline/tlog_trim.h>
#include <shmipc/inline/tlog_abort.h>
#include "../stress/stress.h"
#include "mem.h"
#include "settle.h"

enum { ENDS, CALLS, DEAD, GOOD, GROWN, REFUSED, UNSEEN };	/* sh->word[] */

#define PUBS	3
#define SUBS	3
#define HOLDS	2
#define PAGE	((uint64_t)SHMIPC_CTL_PAGE)

struct target {
	struct mem m;
	struct shmipc_tlog log;		/* of publishers; the same for subscribers: */
	struct shmipc_tlog rx_log;
	struct shmipc_tlog_opts o;
	/* If it grows */
	struct rng *r;
	struct shmipc_tlog_memory memory, rx_memory;
	uint64_t chunk, rx_chunk;	/* bits */
	unsigned char there[256];	/* pages that have memory */
};

static void wrong(const char *what, int ret)
{
	if (!__atomic_fetch_add(&sh->bad, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "# fuzz/tlog: %s: %d\n", what, ret);
}

/* Memory of a log that grows */

static uint64_t pages_of(const struct target *t)
{
	return (t->m.bytes + PAGE - 1) / PAGE;
}

/* Have [@off, @off + @bytes) memory, all of it? */
static int is_there(const struct target *t, uint64_t off, uint64_t bytes)
{
	uint64_t i;

	if (bytes > t->m.bytes || off > t->m.bytes - bytes)
		return 0;
	for (i = off / PAGE; t->r && i * PAGE < off + bytes; i++)
		if (!t->there[i])
			return 0;
	return 1;
}

static void set_there(struct target *t, uint64_t off, uint64_t bytes, int there)
{
	uint64_t from = off / PAGE, to = (off + bytes + PAGE - 1) / PAGE;

	memset(t->there + from, there, to - from);
	if (mprotect(t->m.ptr + from * PAGE, (to - from) * PAGE,
		     there ? PROT_READ | PROT_WRITE : PROT_NONE))
		wrong("mprotect", (int)from);
}

static int have(void *arg, uint64_t off, uint64_t bytes)
{
	struct target *t = arg;

	if (!bytes || bytes > t->m.bytes || off > t->m.bytes - bytes) {
		wrong("have: outside the log", (int)off);
		return -EINVAL;
	}
	sh->word[REFUSED]++;
	if (rng_chance(t->r, 4))
		return -ENOSPC;
	sh->word[REFUSED]--;
	sh->word[GROWN] += !is_there(t, off, bytes);
	set_there(t, off, bytes, 1);
	return 0;
}

/* What it cannot see others may have got in this moment. */
static int see(void *arg, uint64_t off, uint64_t bytes)
{
	struct target *t = arg;

	if (!bytes || bytes > t->m.bytes || off > t->m.bytes - bytes) {
		wrong("see: outside the log", (int)off);
		return -EINVAL;
	}
	if (is_there(t, off, bytes))
		return 0;
	sh->word[UNSEEN]++;
	if (rng_chance(t->r, 2))
		return -EPROTO;
	set_there(t, off, bytes, 1);
	return 0;
}

static void grown(void *arg)
{
	(void)arg;
}

/* As new: only the control pages and the first entries have memory. */
static void begin_growing(struct target *t)
{
	uint64_t end = t->log.hdr.data_off + shmipc_tlog_entries_bytes(&t->log.hdr, t->o.backed);

	end = (end + PAGE - 1) / PAGE;
	set_there(t, 0, end * PAGE, 1);
	if (end < pages_of(t))
		set_there(t, end * PAGE, (pages_of(t) - end) * PAGE, 0);
}

/* An end that attaches knows nothing yet. */
static void forget(struct target *t)
{
	t->chunk = t->rx_chunk = 0;
	t->memory = (struct shmipc_tlog_memory){ .have = have, .see = see, .grown = grown,
						 .arg = t, .chunk = &t->chunk };
	t->rx_memory = t->memory;
	t->rx_memory.have = see;
	t->rx_memory.chunk = &t->rx_chunk;
	t->log.memory = &t->memory;
	t->rx_log.memory = &t->rx_memory;
}

static int make(struct target *t, struct rng *r, int grows)
{
	struct shmipc_topic_hdr h;
	uint64_t bytes;

	memset(t, 0, sizeof(*t));
	t->o = (struct shmipc_tlog_opts){
		.pubs = rng_chance(r, 3) ? 1 : PUBS, .subs = SUBS,
		.keep = rng_below(r, grows ? 400 : 40),
		.cell_bytes = 8u << rng_below(r, 5), .align = 8u << rng_below(r, 4),
		.holds = HOLDS, .policies = 0xe, .chunk_bytes = 4096,
		.chunks = (uint32_t)rng_below(r, grows ? 9 : 4),
	};
	if (t->o.pubs > 1)
		t->o.abort_ns = rng_below(r, 2);
	if (shmipc_tlog_layout(&t->o, &h, &bytes) || mem_get(&t->m, MEM_SHARED, bytes))
		return -1;
	if (grows)
		t->o.backed = shmipc_tlog_first(&h);
	if (shmipc_tlog_init(t->m.ptr, bytes, &t->o) ||
	    shmipc_tlog_check(t->m.ptr, bytes, &t->log))
		return -1;
	t->rx_log = t->log;
	if (!grows)
		return 0;
	if (pages_of(t) > sizeof(t->there))
		return -1;
	t->r = r;
	begin_growing(t);
	forget(t);
	return 0;
}

/* A number that is more likely than others to cause harm. */
static uint64_t nasty(struct rng *r, const struct target *t)
{
	uint64_t tail = shmipc_load_relaxed(&t->log.pub->tail);

	switch (rng_below(r, 9)) {
	case 0:
		return rng_next(r);
	case 1:
		return 0;
	case 2:
		return UINT64_MAX - rng_below(r, 40);
	case 3:
		return 1ull << rng_below(r, 64);
	case 4:
		return tail + rng_below(r, 80) - 40;
	case 5:
		return (tail + rng_below(r, 40) - 20) << SHMIPC_CLAIM_BITS | rng_below(r, 4096);
	case 6:
		return (tail + rng_below(r, 40) - 20) << 2 | rng_below(r, 4);
	case 7:
		return rng_below(r, 1 << 16);
	default:
		return tail;
	}
}

/* A valid entry, except for the place and the length of its message. */
static void write_entry(struct rng *r, const struct target *t)
{
	uint64_t seq = shmipc_load_relaxed(&t->log.pub->tail) - rng_below(r, 20) + rng_below(r, 4), v;
	struct shmipc_entry *e = shmipc_tlog_entry(&t->log, seq);
	struct shmipc_entry_pool *p = (struct shmipc_entry_pool *)(void *)shmipc_tlog_cell(e);

	if (!is_there(t, (uint64_t)((unsigned char *)e - t->m.ptr), sizeof(*e) + sizeof(*p)))
		return;
	v = rng_chance(r, 2) ? rng_below(r, 200) : rng_next(r);
	if (rng_chance(r, 4))
		v |= rng_below(r, 30) << SHMIPC_INFO_PREFIX;
	shmipc_store_relaxed(&e->info, v);
	v = rng_below(r, (t->o.chunks + 1ull) * t->o.chunk_bytes + 64);
	shmipc_store_relaxed(&p->off, rng_chance(r, 8) ? nasty(r, t) : v);
	shmipc_store_relaxed(&p->chunks, nasty(r, t));
	shmipc_store_relaxed(&e->word, seq << 2 | rng_below(r, 4));
}

static void write_word(struct rng *r, const struct target *t, void *from, uint64_t bytes)
{
	uint64_t *words = from;

	shmipc_store_relaxed(&words[rng_below(r, bytes / 8)], nasty(r, t));
}

/* One hostile write. */
static void scribble(struct rng *r, const struct target *t)
{
	const struct shmipc_topic_hdr *h = &t->log.hdr;
	uint64_t at;

	switch (rng_below(r, 8)) {
	case 0:		/* words that all publishers write */
		write_word(r, t, t->log.pub, sizeof(*t->log.pub));
		break;
	case 1:		/* their lines, who is evicted, the chunks */
		write_word(r, t, t->log.pub_line, h->pubs * sizeof(*t->log.pub_line) +
			   (h->subs + (uint64_t)h->chunks) * 8);
		break;
	case 2:		/* words that subscribers write */
		write_word(r, t, t->log.sub, sizeof(*t->log.sub) + sizeof(*t->log.group));
		break;
	case 3:
		write_word(r, t, t->log.sub_lines, SUBS * t->log.sub_stride);
		break;
	case 4:		/* the description, which is read at the attach only */
		t->m.ptr[rng_below(r, sizeof(*h))] ^= (unsigned char)(1u << rng_below(r, 8));
		break;
	case 5:		/* any byte of the log */
		at = rng_below(r, t->m.bytes);
		if (is_there(t, at, 1))
			t->m.ptr[at] = (unsigned char)rng_next(r);
		break;
	case 6:
		memcpy(t->m.ptr, h, sizeof(*h));
		break;
	default:
		write_entry(r, t);
	}
}

static volatile unsigned char sink;

static int inside(const struct target *t, const unsigned char *p, size_t len)
{
	return p >= t->log.entry && p <= t->m.ptr + t->m.bytes &&
	       len <= (size_t)(t->m.ptr + t->m.bytes - p);
}

/* Read all of it: outside is a guard page, or memory that the sanitizer guards. */
static void touch(const unsigned char *c, size_t len)
{
	unsigned char sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = (unsigned char)(sum + c[i]);
	sink = sum;
}

struct victim {
	struct rng *r;
	struct shmipc_tlog_tx tx;
	struct shmipc_tlog_rx rx;
	int tx_ok, rx_ok;
};

static int alive(void *arg, uint32_t slot)
{
	struct victim *v = arg;

	if (slot >= PUBS)
		wrong("alive: no such slot", (int)slot);
	return rng_chance(v->r, 2);
}

static void attach(struct victim *v, struct target *t)
{
	struct shmipc_tlog log;
	int ret = shmipc_tlog_check(t->m.ptr, t->m.bytes, &log);

	if (ret && ret != -EPROTO && ret != -EPROTONOSUPPORT && ret != -EAGAIN)
		wrong("log_check: unexpected error", ret);
	if (!ret && log.bytes > t->m.bytes)
		wrong("log_check: outside the memory", ret);
	/* It may succeed with different numbers; continue with those. */
	if (t->r) {
		forget(t);
		if (shmipc_tlog_back(&t->log))
			return;
	}
	(void)settle_init(&v->tx, &t->log, (uint32_t)rng_below(v->r, t->o.pubs), alive, v);
	shmipc_tlog_rx_init(&v->rx, &t->rx_log);
	shmipc_tlog_rx_begin(&v->rx, (uint32_t)rng_below(v->r, 3), 1 + rng_below(v->r, 3), 0);
	if (rng_chance(v->r, 2))
		shmipc_tlog_rx_join(&v->rx, (uint32_t)rng_below(v->r, SUBS),
				   1 + (uint32_t)rng_below(v->r, 3), (uint32_t)rng_below(v->r, 2),
				   1 + rng_below(v->r, 5));
	v->tx_ok = v->rx_ok = 1;
	sh->word[ENDS]++;
}

static void publish(struct victim *v, struct target *t)
{
	unsigned char buf[256] = { 3 };
	uint64_t lot = t->log.lot < 4 ? t->log.lot : 4, seq = 0, i;
	uint32_t n = 1 + (uint32_t)rng_below(v->r, lot), wake;
	struct shmipc_tlog_finished f;
	struct shmipc_tlog_block b;
	int ret = shmipc_tlog_claim(&v->tx, n, &seq);

	if (ret == -EAGAIN) {
		ret = shmipc_tlog_make_room(&v->tx, n, &b);
		if (ret == -EPROTO || (t->r && ret == -ENOSPC))
			return;
		if (ret && ret != -EAGAIN)
			wrong("make_room: unexpected error", ret);
		if (ret && b.who == SHMIPC_TLOG_SUB && b.slot >= SUBS)
			wrong("make_room: no such subscriber", (int)b.slot);
		if (ret && b.who == SHMIPC_TLOG_PUB && b.slot >= t->o.pubs)
			wrong("make_room: no such publisher", (int)b.slot);
		if (ret && b.who == SHMIPC_TLOG_SUB)
			shmipc_tlog_evict(&t->log, &b, rng_chance(v->r, 2));
		if (ret && b.who == SHMIPC_TLOG_PUB && t->o.abort_ns)
			(void)shmipc_tlog_abort(&t->log, rng_chance(v->r, 2) ? b.pos : nasty(v->r, t));
		if (ret && b.who == SHMIPC_TLOG_PUB)
			(void)settle_pub(&t->log, b.slot, alive, v);
		return;
	}
	if (ret) {
		wrong("claim: unexpected error", ret);
		return;
	}
	if (t->o.abort_ns && shmipc_tlog_start(&v->tx, seq, n, alive, v, &f))
		return;
	for (i = 0; i < n; i++)
		shmipc_tlog_fill(&v->tx, seq + i, NULL, 0, buf,
				rng_below(v->r, t->log.hdr.cell_bytes < 256 ? t->log.hdr.cell_bytes : 256),
				0);
	wake = 0;
	if (!t->o.abort_ns)
		wake = shmipc_tlog_commit(&v->tx, seq, n, SHMIPC_ENTRY_CELL, 8);
	else if (!shmipc_tlog_finish(&v->tx, seq, n, SHMIPC_ENTRY_CELL, 8, &f))
		wake = f.wake;
	if (wake > n)
		wrong("commit: wakes more messages than there are", (int)wake);
	sh->word[GOOD]++;
}

/* Check that a message that we were given, and its chunks, are inside the log. */
static void use(struct victim *v, struct target *t, const struct shmipc_tlog_ref *ref)
{
	if (!inside(t, ref->ptr, ref->prefix_len + ref->len))
		wrong("peek: outside the log", 0);
	if (ref->in_pool && ((uint32_t)ref->chunks > ref->chunks >> 32 ||
			     ref->chunks >> 32 >= t->o.chunks))
		wrong("peek: chunks that do not exist", 0);
	touch(ref->ptr, ref->prefix_len + ref->len);
	if (v->rx.line && !v->rx.holding && rng_chance(v->r, 4) &&
	    shmipc_tlog_hold_take(&v->rx, 0, ref))
		shmipc_tlog_unhold(&v->rx, 0);
	shmipc_tlog_unread(&v->rx);
}

/* As the pool does with chunks of its own. */
static void write_chunk(struct victim *v, struct target *t)
{
	uint64_t i = rng_below(v->r, t->o.chunks), last = i + rng_below(v->r, t->o.chunks - i);
	int ret = shmipc_tlog_chunks(&t->log, i, last);

	if (ret && ret != -ENOSPC)
		wrong("chunks: unexpected error", ret);
	if (!ret)
		memset(t->log.pool + i * t->o.chunk_bytes, 7, (last + 1 - i) * t->o.chunk_bytes);
}

/* As a publisher does that gives memory back; a subscriber may say that it reads anything. */
static void find_readers(struct victim *v, struct target *t)
{
	uint64_t upto = shmipc_tlog_trim_from(&v->tx), reading, state;
	uint32_t slot, n = shmipc_priv_tlog_subs(&t->log);

	for (slot = 0; slot < n; slot++) {
		reading = shmipc_tlog_reads(&t->log, slot, upto, &state);
		if (reading > upto || (reading && !state))
			wrong("reads: nothing that is in the way", (int)slot);
	}
	if (rng_chance(v->r, 4))
		shmipc_tlog_trimmed(&t->log);
}

static void consume(struct victim *v, struct target *t)
{
	struct shmipc_tlog_ref ref;
	uint64_t seq;
	int ret;

	switch (rng_below(v->r, 8)) {
	case 0:
		seq = nasty(v->r, t);
		ret = shmipc_tlog_look(&v->rx, seq, &ref);
		if (!ret)
			use(v, t, &ref);
		if (ret && ret != -EAGAIN && ret != -ESTALE && ret != -ECANCELED && ret != -EPROTO)
			wrong("look: unexpected error", ret);
		return;
	case 1:
		(void)settle_next(&v->rx, &t->rx_log, alive, v);
		(void)shmipc_tlog_moved(&v->rx);
		return;
	case 2:
		seq = shmipc_tlog_newest(&v->rx, v->rx.seq);
		if (seq != SHMIPC_POS_NONE && rng_chance(v->r, 4))
			shmipc_tlog_jump(&v->rx, seq);
		return;
	default:
		break;
	}
	ret = shmipc_tlog_peek(&v->rx, &ref);
	if (!ret) {
		use(v, t, &ref);
		ret = shmipc_tlog_next(&v->rx);
		if (ret > 0)
			ret = 0;
	}
	sh->word[GOOD] += !ret;
	if (ret && ret != -EAGAIN && ret != -ESTALE && ret != -EPROTO && ret != -ECONNRESET)
		wrong("peek or next: unexpected error", ret);
	if (ret == -EPROTO || ret == -ECONNRESET) {
		v->rx_ok = 0;
		sh->word[DEAD]++;
	}
}

static void step(struct victim *v, struct target *t)
{
	if (!v->tx_ok || !v->rx_ok || rng_chance(v->r, 64))
		attach(v, t);
	if (!v->tx_ok)
		return;		/* it got no memory */
	if (t->r && t->o.chunks && rng_chance(v->r, 8))
		write_chunk(v, t);
	else if (rng_chance(v->r, 16))
		find_readers(v, t);
	else if (rng_chance(v->r, 2))
		publish(v, t);
	else
		consume(v, t);
	if (v->rx.line && rng_chance(v->r, 200)) {
		shmipc_tlog_rx_leave(&v->rx);
		v->rx_ok = 0;
	}
	sh->word[CALLS]++;
	beat();
}

/* Restore the memory; otherwise all words would soon be invalid. */
static void mend(struct target *t, struct victim *v)
{
	if (t->r)
		set_there(t, 0, pages_of(t) * PAGE, 1);
	memset(t->m.ptr, 0, t->m.bytes);
	(void)shmipc_tlog_init(t->m.ptr, t->m.bytes, &t->o);
	if (t->r)
		begin_growing(t);
	v->tx_ok = v->rx_ok = 0;
}

/* Invalid data between the calls: the seed reproduces the run. */
static int run_alone(uint64_t seed, int grows)
{
	struct rng r = { seed };
	struct victim v;
	struct target t;
	uint64_t i;
	int n;

	memset(&v, 0, sizeof(v));
	v.r = &r;
	if (make(&t, &r, grows))
		return 1;
	for (i = 0; i < 100000 && stress_time_left(); i++) {
		for (n = (int)rng_below(&r, 3); n; n--)
			scribble(&r, &t);
		step(&v, &t);
		if (rng_chance(&r, 100))
			mend(&t, &v);
	}
	return 0;
}

static int alone(struct other *me, void *arg)
{
	(void)me;
	return run_alone(*(uint64_t *)arg, 0);
}

static int growing(struct other *me, void *arg)
{
	(void)me;
	return run_alone(*(uint64_t *)arg, 1);
}

static struct target common;

static int attacker(struct other *me, void *arg)
{
	struct rng r = { rng_mix(*(uint64_t *)arg) };

	(void)me;
	while (!stopping()) {	/* until killed */
		scribble(&r, &common);
		if (rng_chance(&r, 1024))
			sched_yield();
	}
	return 0;
}

static int victim(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct victim v;
	uint64_t i;

	(void)me;
	memset(&v, 0, sizeof(v));
	v.r = &r;
	for (i = 0; i < 1000000 && stress_time_left(); i++) {
		step(&v, &common);
		if (rng_chance(&r, 100))
			mend(&common, &v);
	}
	return 0;
}

static int judge(int ret, uint64_t seed)
{
	if (!ret && !sh->bad)
		return 1;
	ksft_print_msg("victim with seed %#llx: %s %d\n", (unsigned long long)seed,
		       ret >= 256 ? "signal" : "exit code", ret >= 256 ? ret - 256 : ret);
	return 0;
}

static void report(const char *what, int ok)
{
	ksft_print_msg("%s: %llu calls, %llu attaches, %llu worked, %llu ends found invalid data\n", what,
		       (unsigned long long)sh->word[CALLS], (unsigned long long)sh->word[ENDS],
		       (unsigned long long)sh->word[GOOD], (unsigned long long)sh->word[DEAD]);
	ksft_test_result(ok && sh->word[GOOD] && sh->word[DEAD], "%s\n", what);
}

static int each_alone(struct rng *r, int (*fn)(struct other *me, void *arg), unsigned int share)
{
	struct other v;
	uint64_t seed;
	int ok = 1;

	stress_part(share);
	while (ok && stress_time_left()) {
		seed = rng_next(r);
		if (other_start(&v, 0, fn, &seed))
			ksft_exit_fail_msg("fork\n");
		ok = judge(other_end(&v), seed);
	}
	return ok;
}

int main(void)
{
	struct other a, v;
	uint64_t seed;
	struct rng r;
	int ok = 1;

	stress_begin("fuzz/log", 3);
	r.state = stress_seed;
	ok = each_alone(&r, alone, 40);
	report("invalid data between the calls", ok);
	ok = ok && each_alone(&r, growing, 30);
	ksft_print_msg("%llu parts got memory, %llu were refused it, %llu were not seen\n",
		       (unsigned long long)sh->word[GROWN], (unsigned long long)sh->word[REFUSED],
		       (unsigned long long)sh->word[UNSEEN]);
	report("invalid data while it grows", ok && sh->word[GROWN] && sh->word[REFUSED] &&
	       sh->word[UNSEEN]);

	stress_part(30);
	while (ok && stress_time_left()) {
		seed = rng_next(&r);
		if (make(&common, &r, 0) || other_start(&a, 0, attacker, &seed) ||
		    other_start(&v, 0, victim, &seed))
			ksft_exit_fail_msg("start\n");
		ok = judge(other_end(&v), seed);
		(void)other_kill(&a);
		mem_put(&common.m);
	}
	report("a process that writes at the same time", ok);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
