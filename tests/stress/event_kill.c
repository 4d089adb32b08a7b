// SPDX-License-Identifier: MIT
/*
 * event_kill: notifiers, listeners and holders of a role, and SIGKILL
 *
 * Notifiers are killed at random and replaced, and so is a listener of each kind. At the
 * end: the listeners that lived from start to end have received each notification that was
 * completed, and none that was not begun; both kinds the same; and they were told of
 * each notifier that was killed. No call waits for long: a wake that is lost shows. Then
 * processes compete for a role and are killed: never do two hold it, no term comes twice,
 * and the role is always taken again.
 */
#include "stress.h"

#define NAME		"kill/events"
#define EVENTS		8u
#define LAST		EVENTS	/* one more: nothing comes after it */
#define NOTIFIERS	4
#define LISTENERS	4	/* by turns: for any, for one */
#define KEPT		2	/* the first ones are never killed */
#define CANDIDATES	4
#define KILLS		4	/* at least */
#define TAKEN		11
#define LONG_NS		UINT64_C(30000000000)

/* sh->word[] */
enum { BEGUN, DONE = 8, GOT = 16, DIED = 40, READY = 44, TERM, HOLDER, TAKES };

static void add(int word, uint64_t n)
{
	(void)__atomic_fetch_add(&sh->word[word], n, __ATOMIC_RELAXED);
}

static int no_open(const char *what)
{
	WRONG("%s cannot open", what);
	return 1;
}

static int notify(uint32_t place)
{
	struct rng r = { rng_mix(stress_seed + place + (uint64_t)getpid()) };
	struct shmipc_notifier *n;
	uint32_t e, i;

	if (shmipc_notifier_open(&n, NAME, NULL))
		return no_open("a notifier");
	while (!stopping()) {
		for (i = 0; i < 50; i++) {
			/* The first event comes all the time. */
			e = i % 2 ? 0 : (uint32_t)rng_below(&r, EVENTS);
			add(BEGUN + (int)e, 1);
			if (shmipc_notifier_notify(n, e, 1))
				WRONG("notify");
			add(DONE + (int)e, 1);
		}
		beat();
		nap_ns(rng_below(&r, 200000));
	}
	shmipc_notifier_close(n);
	return 0;
}

/* Until the last one is there, and with it all that others have begun and completed. */
static int hear_all(uint32_t place)
{
	struct shmipc_event_got g[EVENTS + 2];
	uint64_t took[EVENTS + 2] = { 0 }, end;
	int err = 0, last;
	struct shmipc_listener *l;
	size_t n, i;

	if (shmipc_listener_open(&l, NAME, NULL, &SHMIPC_LISTENER_OPTS(.spin_ns = SHMIPC_SPIN_NEVER)))
		return no_open("a listener");
	add(READY, 1);
	do {
		last = took[LAST] != 0;
		end = last ? 0 : shmipc_deadline_in(LONG_NS);
		n = 1;
		if (place % 2 && !stopping())
			err = shmipc_listener_wait(l, 0, g, end);
		else
			err = shmipc_listener_wait_any(l, NULL, 0, g, EVENTS + 2, &n, end);
		if (err)
			n = 0;
		if (err && !(last && err == -EAGAIN))
			WRONG("listener %u: %s", place, shmipc_error_name(err));
		for (i = 0; i < n; i++)
			took[g[i].event == SHMIPC_LISTEN_DIED ? LAST + 1 : g[i].event] += g[i].count;
		beat();
	} while (!last || n);
	for (i = 0; i < EVENTS; i++)
		word_set(GOT + (int)(place * EVENTS + i), took[i]);
	word_set(DIED + (int)place, took[LAST + 1]);
	shmipc_listener_close(l);
	return 0;
}

static int compete(uint32_t place)
{
	struct rng r = { rng_mix(stress_seed + place + (uint64_t)getpid()) };
	uint64_t term, me = (uint64_t)getpid(), was;
	struct shmipc_deadman *d;
	int err;

	if (shmipc_deadman_open(&d, "kill/role", NULL))
		return no_open("a candidate");
	while (!stopping()) {
		err = shmipc_deadman_take(d, &term, shmipc_deadline_in(LONG_NS));
		if (err) {
			WRONG("take: %s", shmipc_error_name(err));
			break;
		}
		was = word_get(TERM);
		if (term <= was)
			WRONG("term %llu after %llu", (unsigned long long)term, (unsigned long long)was);
		word_set(TERM, term);
		/* One that was killed may have left its number; nobody alive changes it. */
		word_set(HOLDER, me);
		nap_ns(rng_below(&r, 100000));
		if (word_get(HOLDER) != me)
			WRONG("two hold the role");
		add(TAKES, 1);
		beat();
		if (shmipc_deadman_release(d))
			WRONG("release");
		nap_ns(rng_below(&r, 200000));
	}
	shmipc_deadman_close(d);
	return 0;
}

static pid_t start(int (*fn)(uint32_t place), uint32_t place)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(fn(place));
}

static void end(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
}

static void end_all(pid_t *pid, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		end(pid[i]);
}

static void kill_all(pid_t *pid, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		(void)kill(pid[i], SIGKILL);
	end_all(pid, n);
}

/*
 * The last notifications: one for those that sleep for the event that came all the time.
 * The notifier stays until the listeners have ended: while it leaves, one death fewer may
 * show for a moment.
 */
static void end_listeners(pid_t *listener)
{
	struct shmipc_notifier *n;

	stop_all();
	kill_all(listener + KEPT, LISTENERS - KEPT);
	add(BEGUN, 1);
	if (shmipc_notifier_open(&n, NAME, NULL)) {
		WRONG("the last notifier");
		kill_all(listener, KEPT);
		return;
	}
	if (shmipc_notifier_notify(n, 0, 1) || shmipc_notifier_notify(n, LAST, 1))
		WRONG("the last notifications");
	add(DONE, 1);
	end_all(listener, KEPT);
	shmipc_notifier_close(n);
}

static uint64_t events(void)
{
	struct rng r = { rng_mix(stress_seed) };
	pid_t notifier[NOTIFIERS], listener[LISTENERS];
	uint64_t kills = 0, got;
	uint32_t i, at;

	for (i = 0; i < LISTENERS; i++)
		listener[i] = start(hear_all, i);
	while (word_get(READY) < LISTENERS)
		nap_ns(100000);
	for (i = 0; i < NOTIFIERS; i++)
		notifier[i] = start(notify, i);
	while (stress_goes_on(kills >= KILLS)) {
		nap_ns(2000000 + rng_below(&r, 10000000));
		at = (uint32_t)rng_below(&r, NOTIFIERS + 1);
		if (at < NOTIFIERS) {
			(void)kill(notifier[at], SIGKILL);
			end(notifier[at]);
			notifier[at] = start(notify, at);
			kills++;
			continue;
		}
		at = KEPT + (uint32_t)rng_below(&r, LISTENERS - KEPT);
		(void)kill(listener[at], SIGKILL);
		end(listener[at]);
		listener[at] = start(hear_all, at);
	}
	/* The notifiers first: the listeners have all when none is left. */
	kill_all(notifier, NOTIFIERS);
	end_listeners(listener);
	for (i = 0; i < EVENTS; i++) {
		got = word_get(GOT + (int)i);
		if (got < word_get(DONE + (int)i) || got > word_get(BEGUN + (int)i))
			WRONG("event %u: received %llu of %llu to %llu", i, (unsigned long long)got,
			      (unsigned long long)word_get(DONE + (int)i),
			      (unsigned long long)word_get(BEGUN + (int)i));
		if (got != word_get(GOT + (int)(EVENTS + i)))
			WRONG("event %u: two listeners differ", i);
	}
	/* Killed before it had opened, a process was no notifier. */
	if (!word_get(DIED) || word_get(DIED) > kills + NOTIFIERS || word_get(DIED) != word_get(DIED + 1))
		WRONG("told of %llu and %llu deaths, of %llu", (unsigned long long)word_get(DIED),
		      (unsigned long long)word_get(DIED + 1), (unsigned long long)kills + NOTIFIERS);
	ksft_print_msg("%llu notifications, %llu kills, %llu deaths told of\n",
		       (unsigned long long)word_get(DONE), (unsigned long long)kills,
		       (unsigned long long)word_get(DIED));
	return kills;
}

static uint64_t roles(void)
{
	struct rng r = { rng_mix(stress_seed + 1) };
	pid_t pid[CANDIDATES];
	uint64_t kills = 0;
	uint32_t i;

	for (i = 0; i < CANDIDATES; i++)
		pid[i] = start(compete, i);
	while (stress_goes_on(kills >= KILLS && word_get(TAKES) >= TAKEN)) {
		nap_ns(2000000 + rng_below(&r, 10000000));
		i = (uint32_t)rng_below(&r, CANDIDATES);
		(void)kill(pid[i], SIGKILL);
		end(pid[i]);
		pid[i] = start(compete, i);
		kills++;
	}
	stop_all();
	end_all(pid, CANDIDATES);
	ksft_print_msg("%llu kills, %llu takes, last term %llu\n", (unsigned long long)kills,
		       (unsigned long long)word_get(TAKES), (unsigned long long)word_get(TERM));
	return word_get(TAKES) >= TAKEN ? kills : 0;
}

int main(void)
{
	struct shmipc_event_opts o = SHMIPC_EVENT_OPTS(.events = EVENTS + 1, .flags = SHMIPC_PERSIST);
	struct shmipc_notifier *n;
	uint64_t kills;

	stress_begin("event_kill", 2);
	if (shmipc_notifier_open(&n, NAME, &o))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	shmipc_notifier_close(n);
	stress_part(60);
	kills = events();
	ksft_test_result(!sh->bad && kills >= KILLS, "killed notifiers and listeners lose nothing\n");
	stress_part(40);
	kills = roles();
	ksft_test_result(!sh->bad && kills >= KILLS, "a role has one holder, and never none for long\n");
	(void)shmipc_segment_unlink(NAME);
	env_remove(stress_env.dir);
	ksft_finished();
}
