// SPDX-License-Identifier: MIT
/*
 * storm.c - SIGKILL at random moments, many times, while messages flow
 *
 * Rounds of a producer and a consumer on a lossless ring, or of a producer and two
 * readers on a log. They open, send, receive, wait, close and open again at random; one
 * after the other is killed and started again, every other time before the dead one has
 * been reaped. A ledger outside of the segment shows that no message is lost, torn or
 * received twice, no number is used twice, no process hangs, and no descriptor and no file
 * is left.
 *
 * CRASH_SEED: repeats a run, roughly; CRASH_KILLS: number of kills.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "driver.h"

#define ROLES		3u
#define KILLS_A_ROUND	25u
#define PATIENCE_NS	UINT64_C(10000000000)	/* wait for a slot whose holder is dying */
#define WATCHDOG_S	40u

/* What has happened, and what may have happened. Each word has one living writer. */
struct ledger {
	uint32_t stop;
	uint32_t persist;
	uint32_t kind;
	uint32_t all_sent;		/* the producer has ended normally */
	uint64_t sent, sending;		/* messages before these are published; may be published */
	uint64_t taken, taking;		/* spsc: messages before these are released; may be */
	uint64_t messages;		/* received in all rounds */
	uint64_t slowest_ns;		/* the longest time that attaching took */
	uint64_t lost;			/* reported as lost to readers in all rounds */
};

static struct ledger *ledger;
static uint64_t chance;
static pid_t pid_of[ROLES];
static volatile sig_atomic_t hung;

static uint64_t roll(uint64_t below)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance % below;
}

static void pause_ns(long ns)
{
	struct timespec ts = { 0, ns };

	(void)nanosleep(&ts, NULL);
}

void await_death(void)
{
}

/* Roles */

static unsigned int count_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static bool stopping(void)
{
	return shmipc_load_acquire(&ledger->stop);
}

/* The previous holder may still be dying; then the end is busy for a moment. */
static void attach(enum shmipc_role role)
{
	struct shmipc_segment_opts so = {
		.struct_bytes = sizeof(so), .kind = ledger->kind, .bytes = RING_BYTES,
		.page = SHMIPC_PAGE_4K,
		.flags = SHMIPC_CREATE | (ledger->persist ? SHMIPC_PERSIST : 0),
		.peers = ledger->kind == SHMIPC_KIND_BCAST ? 3 : 0,
	};
	struct shmipc_channel_opts co = {
		.struct_bytes = sizeof(co), .spin_ns = roll(2) ? SHMIPC_SPIN_NEVER : 0,
		.start = (uint32_t)roll(3),
	};
	uint64_t began = shmipc_deadline_in(0), took;
	int ret;

	do {
		ret = shmipc_channel_open(&mine, NAME, role, &so, &co);
		took = shmipc_deadline_in(0) - began;
		if (ret)
			pause_ns(500000);
	} while ((ret == -EBUSY || ret == -ENOSPC) && took < PATIENCE_NS);
	must(!ret, "attach role %d: %s; %s", role, shmipc_error_name(ret), shmipc_error_text());
	if (took > ledger->slowest_ns)
		ledger->slowest_ns = took;
}

/* Wait without limit, not at all, or for a short time. */
static uint64_t some_deadline(void)
{
	uint64_t r = roll(4);

	return r == 0 ? 0 : r == 1 ? shmipc_deadline_in(roll(2000000)) : SHMIPC_FOREVER;
}

static bool is_no_error(int ret)
{
	return !ret || ret == -EAGAIN || ret == -ETIMEDOUT || ret == -EPIPE;
}

/* A batch of one to three messages; a part of it may be sent when the ring is full. */
static void send_some(uint64_t *seq)
{
	unsigned char buf[MSG_MAX];
	uint64_t n = 1 + roll(3), wrote = 0;
	int ret = 0;

	if (!roll(8)) {
		void *ptr;

		if (!shmipc_channel_reserve(mine, 100, &ptr, 0)) {
			memset(ptr, 0xee, 100);
			shmipc_channel_abort(mine);
		}
	}
	shmipc_store_release(&ledger->sending, *seq + n);
	while (!ret && wrote < n) {
		ret = shmipc_channel_write(mine, buf, message_fill(buf, *seq + wrote),
					   some_deadline());
		wrote += !ret;
	}
	must(is_no_error(ret), "send message %llu: %s", (unsigned long long)(*seq + wrote),
	     shmipc_error_name(ret));
	shmipc_channel_publish(mine);
	*seq += wrote;
	shmipc_store_release(&ledger->sent, *seq);
	if (ret == -EPIPE)
		(void)shmipc_channel_wait_peer(mine, shmipc_deadline_in(1000000));
}

static void be_producer(void)
{
	uint64_t seq;

	attach(SHMIPC_ROLE_PRODUCER);
	seq = next_seq(mine);
	must(!ledger->persist || (seq >= ledger->sent && seq <= ledger->sending),
	     "a producer begins at message %llu; %llu are published, perhaps %llu",
	     (unsigned long long)seq, (unsigned long long)ledger->sent,
	     (unsigned long long)ledger->sending);
	shmipc_store_release(&ledger->sent, seq);
	while (!stopping() && roll(300))
		send_some(&seq);
}

static int take_one(uint64_t *seq, uint64_t deadline_ns)
{
	const void *ptr;
	size_t len;
	int ret = shmipc_channel_peek(mine, &ptr, &len, deadline_ns);

	if (ret)
		return ret;
	message_check(*seq, ptr, len);
	shmipc_store_release(&ledger->taking, *seq + 1);
	must(!shmipc_channel_release(mine), "no release");
	*seq += 1;
	shmipc_store_release(&ledger->taken, *seq);
	ledger->messages++;
	return 0;
}

/*
 * At the end, receive until there are no messages left. As a segment ends with its last
 * peer, the producer's last one may have been another than ours.
 */
static bool is_done(int ret, uint64_t seq)
{
	if (!ret || !shmipc_load_acquire(&ledger->all_sent))
		return false;
	return seq == ledger->sent ||
	       (!ledger->persist && shmipc_channel_peer(mine) != SHMIPC_PEER_ATTACHED);
}

static void be_consumer(void)
{
	uint64_t seq;
	int ret = 0;

	attach(SHMIPC_ROLE_CONSUMER);
	seq = next_seq(mine);
	must(!ledger->persist || (seq >= ledger->taken && seq <= ledger->taking),
	     "a consumer begins at message %llu; %llu are released, perhaps %llu",
	     (unsigned long long)seq, (unsigned long long)ledger->taken,
	     (unsigned long long)ledger->taking);
	while (stopping() || roll(1000)) {
		ret = take_one(&seq, stopping() ? shmipc_deadline_in(20000000) : some_deadline());
		must(is_no_error(ret), "receive message %llu: %s", (unsigned long long)seq,
		     shmipc_error_name(ret));
		if (ret == -EPIPE && !stopping())
			(void)shmipc_channel_wait_peer(mine, shmipc_deadline_in(1000000));
		if (stopping() && is_done(ret, seq))
			break;
	}
}

static void be_reader(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t seq;
	size_t len;
	int ret = 0;

	attach(SHMIPC_ROLE_READER);
	seq = next_seq(mine);
	while (stopping() || roll(1000)) {
		ret = shmipc_channel_recv(mine, buf, sizeof(buf), &len,
					  stopping() ? shmipc_deadline_in(20000000) : some_deadline());
		if (ret == -ESTALE) {
			seq += shmipc_channel_lost(mine);
			ledger->lost += shmipc_channel_lost(mine);
			must(seq == next_seq(mine), "lapped: at message %llu, not %llu",
			     (unsigned long long)next_seq(mine), (unsigned long long)seq);
			continue;
		}
		must(is_no_error(ret), "read message %llu: %s", (unsigned long long)seq,
		     shmipc_error_name(ret));
		if (!ret) {
			message_check(seq++, buf, len);
			ledger->messages++;
		}
		if (ret == -EPIPE && !stopping())
			(void)shmipc_channel_wait_peer(mine, shmipc_deadline_in(1000000));
		if (stopping() && is_done(ret, seq))
			break;
	}
}

static _Noreturn void be(unsigned int role, uint64_t seed)
{
	unsigned int fds = count_fds();
	bool last;

	chance = seed;
	do {
		/* Attach once more after the stop: a sleeper sees us attach and leave. */
		last = stopping();
		if (!role)
			be_producer();
		else if (ledger->kind == SHMIPC_KIND_SPSC)
			be_consumer();
		else
			be_reader();
		shmipc_channel_close(mine);
		must(count_fds() == fds, "%u descriptors, %u before", count_fds(), fds);
	} while (!last);
	if (!role)
		shmipc_store_release(&ledger->all_sent, 1u);
	_exit(0);
}

/* The supervisor; it never uses the library. */

static void on_alarm(int sig)
{
	unsigned int i;

	(void)sig;
	hung = 1;
	if (getenv("CRASH_STOP"))	/* for a debugger */
		pause();
	for (i = 0; i < ROLES; i++)
		if (pid_of[i] > 0)
			(void)kill(pid_of[i], SIGKILL);
}

static void start(unsigned int role)
{
	uint64_t seed = roll(UINT64_MAX) | 1;

	pid_of[role] = fork();
	if (!pid_of[role]) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		be(role, seed);
	}
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

static bool is_fault(int status, int expected)
{
	if (status == expected || hung)
		return hung;
	if (!board->text[0])
		(void)snprintf(board->text, sizeof(board->text), "ended with status %#x",
			       (unsigned int)status);
	return true;
}

static bool kill_one(unsigned int role)
{
	bool early = roll(2);
	pid_t was = pid_of[role];
	int status = 0;

	(void)kill(was, SIGKILL);
	if (early)
		start(role);
	status = reap(was);
	if (!early)
		start(role);
	return !is_fault(status, SIGKILL);
}

static bool remove_persistent(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(shmipc_segment_unlink(NAME) ? 1 : 0);
	return !is_fault(reap(pid), 0);
}

/* False: a failure. */
static bool play_round(unsigned int kills)
{
	static const struct scenario any = { .flags = 0 };
	unsigned int roles, i;
	bool good = true;

	memset(board, 0, sizeof(*board));
	ledger->stop = ledger->all_sent = 0;
	ledger->sent = ledger->sending = ledger->taken = ledger->taking = 0;
	ledger->persist = (uint32_t)roll(4) > 0;
	ledger->kind = roll(2) ? SHMIPC_KIND_SPSC : SHMIPC_KIND_BCAST;
	roles = ledger->kind == SHMIPC_KIND_SPSC ? 2 : 3;
	dir_before(&any);
	(void)alarm(WATCHDOG_S);
	for (i = 0; i < roles; i++)
		start(i);
	for (i = 0; good && i < kills; i++) {
		pause_ns((long)roll(3000000));
		good = kill_one((unsigned int)roll(roles));
	}
	/* Orderly end: first everything is sent, then everything is received. */
	shmipc_store_release(&ledger->stop, 1u);
	for (i = 0; i < roles; i++) {
		if (!good)
			(void)kill(pid_of[i], SIGKILL);
		if (is_fault(reap(pid_of[i]), good ? 0 : SIGKILL))
			good = false;
		pid_of[i] = 0;
	}
	(void)alarm(0);
	if (hung && !board->text[0])
		(void)snprintf(board->text, sizeof(board->text), "hangs: not done after %u s",
			       WATCHDOG_S);
	if (good && ledger->persist && ledger->kind == SHMIPC_KIND_SPSC &&
	    (ledger->taken != ledger->sent || ledger->taking != ledger->taken)) {
		(void)snprintf(board->text, sizeof(board->text), "%llu messages sent, %llu received",
			       (unsigned long long)ledger->sent, (unsigned long long)ledger->taken);
		good = false;
	}
	if (good && ledger->persist)
		good = remove_persistent();
	dir_after(&any);
	return good && !board->text[0];
}

static void *share(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("storm: mmap");
		exit(1);
	}
	return p;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct timespec ts;
	uint64_t seed, kills, done, rounds = 0;
	bool good = true;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	seed = number("CRASH_SEED", (uint64_t)ts.tv_nsec << 16 ^ (uint64_t)ts.tv_sec);
	kills = number("CRASH_KILLS", 2000);
	chance = seed | 1;
	board = share(sizeof(*board));
	ledger = share(sizeof(*ledger));
	(void)sigaction(SIGALRM, &sa, NULL);
	if (!dir_make())
		return 1;
	for (done = 0; good && done < kills; done += KILLS_A_ROUND) {
		good = play_round(KILLS_A_ROUND);
		rounds++;
	}
	dir_remove();
	if (good && ledger->messages < done) {
		(void)snprintf(board->text, sizeof(board->text),
			       "too few messages passed between the kills");
		good = false;
	}
	printf("%-22s seed %#llx: %llu rounds, %llu kills at random, %llu messages received, %llu reported as lost; slowest attach %llu ms\n",
	       "storm", (unsigned long long)seed, (unsigned long long)rounds,
	       (unsigned long long)done, (unsigned long long)ledger->messages,
	       (unsigned long long)ledger->lost,
	       (unsigned long long)(ledger->slowest_ns / 1000000));
	if (!good)
		printf("  storm: round %llu, kind %u%s: %s\n", (unsigned long long)rounds, ledger->kind,
		       ledger->persist ? ", persistent" : "", board->text);
	printf("%d passed, %d failed, 0 skipped\n", good, !good);
	return !good;
}
