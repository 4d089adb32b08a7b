// SPDX-License-Identifier: MIT
/*
 * on_topic.c - killed while it publishes on a topic, or subscribes to one
 *
 * The checker has a publisher, a lossless subscriber and a lossy one; the log has gone
 * round, and all of the pool has been used, when the victim starts. After its death:
 * all that it had published arrives, whole and in order; each number is received or
 * aborted; no peer waits for it; its slot, its chunks and its holds can be used again.
 */
#include <errno.h>
#include <string.h>

#include <shmipc/topic.h>

#include "crash.h"

#define TOPIC		"crash/topic"
#define BEFORE		34u		/* messages, all in the pool: 16 entries, 16 chunks */
#define POOL_BYTES	65536u
#define LATER		40u		/* messages of the checker: more than once round the log */
#define SOON		shmipc_deadline_in(UINT64_C(5000000000))
#define MINE		100000u		/* numbers of the victim's messages begin here */

static struct shmipc_pub *pub;
static struct shmipc_sub *sub, *lossy;
static uint64_t pubs = 4, history = 8, before = BEFORE, aborted, next_number = 1, abort_ns, fence_ns;
static bool lends;		/* the tail, to the checker's publisher */

static size_t len_of(uint64_t n)
{
	static const uint16_t len[] = { 24, 130, 0, 300, 8, 90, 700 };

	return n < MINE ? 3000 : 8 + len[n % 7];
}

/* A message: @n, then bytes derived from it. */
static size_t fill_in(unsigned char *buf, uint64_t n)
{
	size_t i, len = len_of(n);

	memcpy(buf, &n, 8);
	for (i = 8; i < len; i++)
		buf[i] = (unsigned char)(n * 31 + i * 7 + 1);
	return len;
}

static uint64_t number_of(const unsigned char *buf, size_t len)
{
	unsigned char good[4096];
	uint64_t n = 0;

	must(len >= 8, "a message of %zu bytes", len);
	memcpy(&n, buf, 8);
	must(len == len_of(n), "message %llu has %zu bytes", (unsigned long long)n, len);
	(void)fill_in(good, n);
	must(!memcmp(buf, good, len), "message %llu is torn", (unsigned long long)n);
	return n;
}

static struct shmipc_topic_opts topic_opts(void)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = sizeof(struct shmipc_topic_opts), .publishers = (uint32_t)pubs,
		.subscribers = 5, .history = history, .inline_bytes = 104, .pool_bytes = POOL_BYTES,
		.holds = 4, .page = SHMIPC_PAGE_4K, .abort_ns = abort_ns,
		.fence_ns = fence_ns,
	};
}

static struct shmipc_pub *open_pub(void)
{
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_topic_opts t = topic_opts();
	struct shmipc_pub *p = NULL;
	int ret = shmipc_pub_open(&p, TOPIC, &t, &o);

	must(!ret, "publish: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	return p;
}

static struct shmipc_sub *open_sub(uint32_t policy, uint32_t group, uint32_t start)
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER,
				     .policy = policy, .group = group, .start = start };
	struct shmipc_topic_opts t = topic_opts();
	struct shmipc_sub *s = NULL;
	int ret = shmipc_sub_open(&s, TOPIC, &t, &o);

	must(!ret, "subscribe: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	return s;
}

static void put(struct shmipc_pub *p, uint64_t n)
{
	unsigned char buf[4096];
	struct shmipc_blocked b = { 0 };
	int ret = shmipc_pub_send(p, buf, fill_in(buf, n), SOON);

	if (ret)
		(void)shmipc_pub_blocked(p, &b);
	must(!ret, "publish message %llu: %s; role %u slot %u is in the way", (unsigned long long)n,
	     shmipc_error_name(ret), b.role, b.slot);
}

/* The next number, or 0 if there is none until the deadline. */
static uint64_t get(struct shmipc_sub *s, uint64_t deadline_ns)
{
	unsigned char buf[4096];
	size_t len = 0;
	int ret;

	do
		ret = shmipc_sub_recv(s, buf, sizeof(buf), &len, deadline_ns);
	while (ret == -ESTALE && s == lossy);
	must(!ret || ret == -EAGAIN || ret == -ETIMEDOUT, "receive: %s", shmipc_error_name(ret));
	return ret ? 0 : number_of(buf, len);
}

/* Each number has been received, aborted or, by the lossy subscriber, lost. */
static void check_sums(struct shmipc_sub *s)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	must(!shmipc_sub_get_stat(s, &st), "no stat of a subscriber");
	must(st.next == st.received + st.aborted + st.lost, "%llu: %llu received, %llu aborted, %llu lost",
	     (unsigned long long)st.next, (unsigned long long)st.received, (unsigned long long)st.aborted,
	     (unsigned long long)st.lost);
	must(s == lossy || !st.lost, "%llu lost by a lossless subscriber", (unsigned long long)st.lost);
	if (s == sub)
		aborted = st.aborted;
}

static void prepare(void)
{
	uint64_t n;

	pub = open_pub();
	if (lends)
		pub->tx.lend_after = 1;
	sub = open_sub(SHMIPC_POLICY_LOSSLESS, 0, SHMIPC_START_NEW);
	lossy = open_sub(SHMIPC_POLICY_LOSSY, 0, SHMIPC_START_NEW);
	for (n = 1; n <= before; n++) {
		put(pub, n);
		must(get(sub, 0) == n && get(lossy, 0) == n, "message %llu is missing", (unsigned long long)n);
	}
	next_number = n;
}

/* The checker's publisher has the tail: the victim recalls it. */
static void prepare_lent(void)
{
	lends = true;
	prepare();
	must(pub->tx.lent, "the tail is not lent");
}

/* The victim's messages need more entries than the first page has. */
static void prepare_grow(void)
{
	history = 400;
	before = 30;
	prepare();
}

/* The victim is the only publisher. */
static void prepare_single(void)
{
	pubs = 1;
	prepare();
	shmipc_pub_close(pub);
	pub = NULL;
}

/*
 * Receive the victim's messages. Returns those that arrived, a bit for each.
 */
static uint32_t take_the_victims(uint64_t deadline_ns)
{
	uint64_t n, was = MINE - 1, done, got = 0;
	uint32_t which = 0;

	while ((n = get(sub, deadline_ns)) != 0) {
		must(n >= MINE && n > was, "message %llu after %llu", (unsigned long long)n,
		     (unsigned long long)was);
		was = n;
		got++;
		which |= 1u << (n - MINE);
	}
	check_sums(sub);
	done = shmipc_load_acquire(&board->done);
	must(got >= done && got + aborted <= board->begun,
	     "%llu arrived and %llu were aborted; %llu or %llu were published",
	     (unsigned long long)got, (unsigned long long)aborted, (unsigned long long)done,
	     (unsigned long long)board->begun);
	return which;
}

/* Messages flow, and everything that the victim had can be used again. */
static void go_on(void)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_sub *more[3];
	struct shmipc_pub *each[3];
	static unsigned char big[POOL_BYTES];
	uint64_t i, n;
	size_t len;

	for (i = 0; i < LATER; i++) {
		put(pub, n = next_number++);
		must(get(sub, SOON) == n, "message %llu did not arrive", (unsigned long long)n);
		if (i % 9 == 0)
			while (get(lossy, 0))
				continue;
	}
	for (i = 0; i < pubs - 1; i++) {
		each[i] = open_pub();
		put(each[i], next_number);
		must(get(sub, SOON) == next_number++, "the next publisher's message did not arrive");
	}
	for (i = 0; i < 3; i++)
		more[i] = open_sub(SHMIPC_POLICY_LOSSLESS, 0, SHMIPC_START_NEW);
	must(!shmipc_pub_send(pub, big, sizeof(big), SOON), "the largest message does not fit");
	must(!shmipc_sub_recv(sub, big, sizeof(big), &len, SOON) && len == sizeof(big),
	     "the largest message did not arrive");
	must(!shmipc_topic_look(TOPIC, &st), "look: %s", shmipc_error_text());
	must(!st.chunks_owned && !st.chunks_held, "%u chunks are owned, %u held", st.chunks_owned,
	     st.chunks_held);
	for (i = 0; i < 3; i++)
		shmipc_sub_close(more[i]);
	for (i = 0; i < pubs - 1; i++)
		shmipc_pub_close(each[i]);
	/* Nobody that is dead is still copying, and nothing is left of the pool's memory. */
	must(!shmipc_pub_trim(pub, 0, &n, SOON), "trim: %s", shmipc_error_text());
	must(n == POOL_BYTES, "%llu bytes given back", (unsigned long long)n);
	put(pub, n = next_number++);
	must(get(sub, SOON) == n, "message %llu did not come", (unsigned long long)n);
	while (!shmipc_sub_recv(lossy, big, sizeof(big), &len, 0))
		continue;
	check_sums(sub);
}

static void end_all(void)
{
	shmipc_sub_close(lossy);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* The victim publishes */

static unsigned char store[16][4096];
static size_t store_len[16];
static unsigned int at;

static void setup_pub(void)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		store_len[i] = fill_in(store[i], MINE + i);
	pub = open_pub();
	board->entered = 1;
}

/* The tail is lent to the victim at its third message. */
static void setup_lent(void)
{
	setup_pub();
	pub->tx.lend_after = 1;
}

static void setup_single(void)
{
	pubs = 1;
	setup_pub();
}

static void setup_grow(void)
{
	history = 400;
	setup_pub();
	must(pub->tx.log->memory->entries < 40, "all entries have memory before the victim needs them");
}

static void begin(unsigned int n)
{
	shmipc_store_release(&board->begun, board->done + n);
}

static void end(unsigned int n)
{
	at += n;
	shmipc_store_release(&board->done, board->done + n);
}

static void send_one(void)
{
	begin(1);
	must(!shmipc_pub_send(pub, store[at], store_len[at], 0), "no room");
	end(1);
}

static void run_sends(void)
{
	unsigned int i;

	for (i = 0; i < 7; i++)		/* in cells, and in the pool */
		send_one();
}

/* Numbers 0, and 4; then 7, and 11: those that fit a cell. */
static void run_batches(void)
{
	struct shmipc_buf v[2];

	for (at = 0; at < 14; at += 7) {
		v[0] = (struct shmipc_buf){ store[at], store_len[at] };
		v[1] = (struct shmipc_buf){ store[at + 4], store_len[at + 4] };
		begin(2);
		must(!shmipc_pub_send_batch(pub, v, 2, 0), "no room");
		shmipc_store_release(&board->done, board->done + 2);
	}
}

static void run_loans(void)
{
	struct shmipc_loan l, m, d;

	must(!shmipc_pub_loan(pub, store_len[0], NULL, &l, 0), "no room");
	must(!shmipc_pub_loan(pub, 9000, NULL, &d, 0), "no room");
	must(!shmipc_pub_loan(pub, 4096, NULL, &m, 0), "no room");
	memcpy(l.ptr, store[0], store_len[0]);
	begin(1);
	must(!shmipc_pub_publish(pub, &l, store_len[0], 0), "no room");
	end(1);
	shmipc_pub_drop(pub, &d);
	memcpy(m.ptr, store[1], store_len[1]);
	begin(1);
	must(!shmipc_pub_publish(pub, &m, store_len[1], 0), "no room");
	end(1);
}

static void check_pub(void)
{
	await_death();
	if (!pub)	/* the only publisher: the next one settles its claim */
		pub = open_pub();
	(void)take_the_victims(0);
	go_on();
	end_all();
}

static void check_batches(void)
{
	uint32_t which;

	await_death();
	which = take_the_victims(0);	/* a single publisher has no successor yet */
	if (!pub)
		pub = open_pub();
	must(!(which & 1u << 0) == !(which & 1u << 4) && !(which & 1u << 7) == !(which & 1u << 11),
	     "one message of a batch arrived, but the other did not: %#x", which);
	go_on();
	end_all();
}

/* The subscriber sleeps meanwhile: it must be woken, or see that there is no message. */
static void check_pub_wakes(void)
{
	uint64_t n = 0, until;

	while (!n && !shmipc_load_acquire(&board->dead))
		n = get(sub, shmipc_deadline_in(1500000));
	await_death();
	if (!n) {
		until = shmipc_deadline_in(board->done ? UINT64_C(5000000000) : 1);
		n = get(sub, until);
	}
	must(n || !board->done, "it was published, but did not arrive");
	check_sums(sub);
	go_on();
	end_all();
}

/* Its topic has abort_ns: at each of its instructions the others go on; then it is killed. */
static uint32_t arrived;	/* the victim's messages, a bit for each */

static void note_the_victims(uint64_t n)
{
	must(n >= MINE && n < MINE + 16 && !(arrived >> (n - MINE)), "message %llu after %#x",
	     (unsigned long long)n, arrived);
	arrived |= 1u << (n - MINE);
}

static void prepare_stopped(void)
{
	abort_ns = 1000000;
	prepare();
}

/* Or fence_ns: it is cut off. */
static void prepare_fenced(void)
{
	fence_ns = 10000000;
	prepare();
}

static void observe_stopped(void)
{
	uint64_t n, last = next_number + 20;	/* more than a lap */

	for (; next_number < last; next_number++) {
		put(pub, next_number);
		while ((n = get(sub, SOON)) != next_number)
			note_the_victims(n);
	}
}

static void check_stopped(void)
{
	uint64_t n;

	await_death();
	while ((n = get(sub, 0)) != 0)
		note_the_victims(n);
	n = (uint64_t)__builtin_popcount(arrived);
	/* Of a batch both, or none. */
	must(n == board->done || n == board->begun, "%#x arrived; %llu or %llu were published", arrived,
	     (unsigned long long)board->done, (unsigned long long)board->begun);
	go_on();
	end_all();
}

static void setup_nothing(void)
{
}

static void run_open_pub(void)
{
	pub = open_pub();
}

static void run_close_pub(void)
{
	shmipc_pub_close(pub);
}

static void setup_close_pub(void)
{
	struct shmipc_loan l;

	setup_pub();
	send_one();
	at = 3;
	must(!shmipc_pub_loan(pub, 9000, NULL, &l, 0), "no room");
}

static void check_others(void)
{
	await_death();
	while (get(sub, 0))
		continue;
	check_sums(sub);
	go_on();
	end_all();
}

/* The victim gives memory back. On the device it must be the only publisher */

#define KEPT	3u

static void prepare_trim(void)
{
	prepare();
	shmipc_pub_close(pub);
	pub = NULL;
}

static void run_trim(void)
{
	uint64_t n = 0;

	must(!shmipc_pub_trim(pub, KEPT, &n, 0), "trim: %s", shmipc_error_text());
	must(n == POOL_BYTES - KEPT * 4096, "%llu bytes given back", (unsigned long long)n);
}

/* What was to be kept is, and all others go on in what was given back. */
static void check_trim(void)
{
	uint64_t oldest, next, n;
	struct shmipc_msg m;

	await_death();
	pub = open_pub();
	must(!shmipc_sub_range(sub, &oldest, &next) && oldest <= next - KEPT, "%llu to %llu are kept",
	     (unsigned long long)oldest, (unsigned long long)next);
	for (n = oldest; n < next; n++) {
		must(!shmipc_sub_read_at(sub, n, &m), "message %llu is lost", (unsigned long long)n);
		must(number_of(m.ptr, m.len) == n + 1, "message %llu is another", (unsigned long long)n);
		shmipc_sub_release(sub, &m);
	}
	go_on();
	end_all();
}

/* The log is full because of a lossless subscriber, which reads only after the death. */
static void setup_full(void)
{
	setup_pub();
	while (!shmipc_pub_send(pub, store[0], store_len[0], 0))
		continue;
}

static void run_send_forever(void)
{
	(void)shmipc_pub_send(pub, store[1], store_len[1], SHMIPC_FOREVER);
}

static void run_send_soon(void)
{
	int ret = shmipc_pub_send(pub, store[1], store_len[1], shmipc_deadline_in(2000000));

	must(ret == -ETIMEDOUT, "publish without room: %s", shmipc_error_name(ret));
}

/* The victim creates the topic */

static void check_create(void)
{
	await_death();
	prepare();
	go_on();
	end_all();
}

/* The victim subscribes */

static struct shmipc_msg held[4];

static void publish_some(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		put(pub, MINE + i);
		must(get(sub, 0) == MINE + i, "message %u did not arrive", i);
	}
}

static void prepare_history(void)
{
	prepare();
	publish_some();
}

static void setup_sub(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS, 0, SHMIPC_START_OLDEST);
	board->entered = 1;
}

static void setup_sub_new(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS, 0, SHMIPC_START_NEW);
	board->entered = 1;
}

static void run_receives(void)
{
	unsigned char buf[4096];
	unsigned int i;
	size_t len;
	int ret;

	/* From the oldest message: first the large ones, then the others. */
	for (i = 0; i < 8; i++) {
		if (i % 2)
			ret = shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0);
		else
			ret = shmipc_sub_take(sub, &held[i / 2], 0);
		must(!ret, "receive: %s", shmipc_error_name(ret));
		if (i == 4)
			shmipc_sub_release(sub, &held[0]);
	}
	must(!shmipc_sub_read_at(sub, shmipc_sub_seq(sub), &held[0]), "read at");
	for (i = 0; i < 4; i++)
		shmipc_sub_release(sub, &held[i]);
}

static void run_open_sub(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS, 0, SHMIPC_START_OLDEST);
}

static void setup_close_sub(void)
{
	unsigned int i;

	setup_sub();
	for (i = 0; i < 4; i++)
		must(!shmipc_sub_take(sub, &held[i], 0), "take");
}

static void run_close_sub(void)
{
	shmipc_sub_close(sub);
}

static void run_recv_forever(void)
{
	(void)get(sub, SHMIPC_FOREVER);
}

static void run_recv_soon(void)
{
	must(!get(sub, shmipc_deadline_in(2000000)), "a message that was not sent");
}

/* The victim and the checker are members of one group */

static struct shmipc_sub *member;

static void prepare_group(void)
{
	prepare();
	member = open_sub(SHMIPC_POLICY_LOSSLESS, 1, SHMIPC_START_NEW);
	publish_some();
}

static void setup_group(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS, 1, SHMIPC_START_NEW);
	board->entered = 1;
}

static void run_group(void)
{
	static unsigned char buf[4096];	/* not checked here: the check would be stepped through */
	unsigned int i;
	size_t len;

	for (i = 0; i < 4; i++) {
		begin(1);
		must(!shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0), "message %u", i);
		end(1);
	}
}

/* Only the message that it was receiving may be lost. */
static void check_group(void)
{
	uint64_t n;

	await_death();
	n = get(member, SOON);
	must(n == MINE + board->done || n == MINE + board->begun,
	     "the group continues with message %llu; %llu or %llu had been received",
	     (unsigned long long)(n - MINE), (unsigned long long)board->done,
	     (unsigned long long)board->begun);
	for (n++; n < MINE + 8; n++)
		must(get(member, 0) == n, "message %llu did not come", (unsigned long long)(n - MINE));
	must(!get(member, 0), "one too many");
	shmipc_sub_close(member);
	go_on();
	end_all();
}

const struct scenario topic_scenarios[] = {
	{ "topic-send", 0, prepare, setup_pub, run_sends, NULL, check_pub },
	{ "topic-send-lent", 0, prepare, setup_lent, run_sends, NULL, check_pub },
	{ "topic-send-recalls", 0, prepare_lent, setup_pub, run_sends, NULL, check_pub },
	{ "topic-send-stopped", 0, prepare_stopped, setup_pub, run_sends, observe_stopped, check_stopped },
	{ "topic-batch-stopped", 0, prepare_stopped, setup_pub, run_batches, observe_stopped, check_stopped },
	{ "topic-send-fenced", DEV, prepare_fenced, setup_pub, run_sends, observe_stopped, check_stopped },
	{ "topic-batch-fenced", DEV, prepare_fenced, setup_pub, run_batches, observe_stopped, check_stopped },
	{ "topic-send-single", 0, prepare_single, setup_single, run_sends, NULL, check_pub },
	{ "topic-send-wakes", ASLEEP, prepare, setup_pub, send_one, NULL, check_pub_wakes },
	{ "topic-batch", 0, prepare, setup_pub, run_batches, NULL, check_batches },
	{ "topic-batch-single", 0, prepare_single, setup_single, run_batches, NULL, check_batches },
	{ "topic-grow", 0, prepare_grow, setup_grow, run_sends, NULL, check_pub },
	{ "topic-trim", 0, prepare_trim, setup_pub, run_trim, NULL, check_trim },
	{ "topic-loan", 0, prepare, setup_pub, run_loans, NULL, check_pub },
	{ "topic-pub-open", SAMPLE, prepare, setup_nothing, run_open_pub, NULL, check_others },
	{ "topic-pub-close", SAMPLE, prepare, setup_close_pub, run_close_pub, NULL, check_others },
	{ "topic-create", SAMPLE, NULL, setup_nothing, run_open_pub, NULL, check_create },
	{ "topic-full", SAMPLE, prepare, setup_full, run_send_soon, NULL, check_others },
	{ "topic-full-asleep", BLOCKS, prepare, setup_full, run_send_forever, NULL, check_others },
	{ "topic-recv", 0, prepare_history, setup_sub, run_receives, NULL, check_others },
	{ "topic-recv-waits", SAMPLE, prepare, setup_sub_new, run_recv_soon, NULL, check_others },
	{ "topic-recv-asleep", BLOCKS, prepare, setup_sub_new, run_recv_forever, NULL, check_others },
	{ "topic-sub-open", SAMPLE, prepare_history, setup_nothing, run_open_sub, NULL, check_others },
	{ "topic-sub-close", SAMPLE, prepare_history, setup_close_sub, run_close_sub, NULL, check_others },
	{ "topic-group", 0, prepare_group, setup_group, run_group, NULL, check_group },
	{ 0 }
};
