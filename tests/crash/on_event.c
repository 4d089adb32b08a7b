// SPDX-License-Identifier: MIT
/*
 * on_event.c - killed while it notifies, listens, takes a role, or gives it back
 *
 * A notification is complete or does not exist, its sleepers wake, and the death is told
 * of once. The next process takes the role, whatever the victim was doing with it.
 */
#include <errno.h>

#include "crash.h"

#define EVENT		3u
#define SHORT_NS	2000000u

static struct shmipc_notifier *notifier;
static struct shmipc_listener *listener;
static struct shmipc_deadman *role;

static void open_notifier(void)
{
	must(!shmipc_notifier_open(&notifier, NAME, NULL), "open a notifier: %s", shmipc_error_text());
}

static void open_listener(void)
{
	must(!shmipc_listener_open(&listener, NAME, NULL, NULL), "open a listener: %s",
	     shmipc_error_text());
}

static void open_role(void)
{
	must(!shmipc_deadman_open(&role, NAME, NULL), "open a role: %s", shmipc_error_text());
}

static void setup_notifier(void)
{
	open_notifier();
	board->entered = 1;
}

static void setup_listener(void)
{
	open_listener();
	board->entered = 1;
}

static void run_notify(void)
{
	board->begun = 1;
	must(!shmipc_notifier_notify(notifier, EVENT, 1), "notify");
	board->done = 1;
}

static void run_notifier_close(void)
{
	shmipc_notifier_close(notifier);
	board->left = 1;
}

static void listen_until(bool one, uint64_t deadline_ns)
{
	struct shmipc_event_got got;
	size_t n;
	int ret = one ? shmipc_listener_wait(listener, EVENT, &got, deadline_ns) :
		  shmipc_listener_wait_any(listener, NULL, 0, &got, 1, &n, deadline_ns);

	must(ret == -ETIMEDOUT, "listen to nothing: %s", shmipc_error_name(ret));
}

static void run_wait(void)
{
	listen_until(true, shmipc_deadline_in(SHORT_NS));
}

static void run_wait_any(void)
{
	listen_until(false, shmipc_deadline_in(SHORT_NS));
}

static void run_wait_forever(void)
{
	listen_until(true, SHMIPC_FOREVER);
}

static void run_wait_any_forever(void)
{
	listen_until(false, SHMIPC_FOREVER);
}

/* How many notifications came, and deaths; waits for either as long as there is none of them. */
static void hear(uint64_t *count, uint64_t *died, uint64_t deadline_ns)
{
	const uint32_t events[] = { EVENT, SHMIPC_LISTEN_DIED };
	struct shmipc_event_got got[2];
	size_t i, n = 0;
	int ret = shmipc_listener_wait_any(listener, events, 2, got, 2, &n, deadline_ns);

	must(!ret || (!deadline_ns && ret == -EAGAIN), "listen: %s", shmipc_error_name(ret));
	for (i = 0; i < n; i++)
		*(got[i].event == EVENT ? count : died) += got[i].count;
}

static void close_all(void)
{
	shmipc_notifier_close(notifier);
	shmipc_listener_close(listener);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* Asleep until the victim notifies or dies. */
static void check_notifier(void)
{
	uint64_t count = 0, died = 0;

	while (!died)
		hear(&count, &died, SHMIPC_FOREVER);
	await_death();
	hear(&count, &died, 0);
	must(count >= board->done && count <= board->begun, "%llu notifications of %llu to %llu",
	     (unsigned long long)count, (unsigned long long)board->done,
	     (unsigned long long)board->begun);
	must(died == 1, "%llu deaths", (unsigned long long)died);
	count = 0;
	open_notifier();
	must(!shmipc_notifier_notify(notifier, EVENT, 1), "notify");
	hear(&count, &died, SHMIPC_FOREVER);
	must(count == 1 && died == 1, "the next notification: %llu, %llu deaths",
	     (unsigned long long)count, (unsigned long long)died);
	close_all();
}

/* Killed while it closes: it has died, or it has left. */
static void check_notifier_left(void)
{
	uint64_t count = 0, died = 0;

	await_death();
	hear(&count, &died, 0);
	must(died <= 1 && !(died && board->left), "%llu deaths", (unsigned long long)died);
	open_notifier();
	must(!shmipc_notifier_notify(notifier, EVENT, 1), "notify");
	hear(&count, &died, SHMIPC_FOREVER);
	must(count == 1 && died <= 1, "%llu notifications, %llu deaths", (unsigned long long)count,
	     (unsigned long long)died);
	close_all();
}

/* A dead listener concerns nobody: at most one notification finds what it wanted. */
static void check_listener(void)
{
	uint64_t count = 0, died = 0;
	int i;

	await_death();
	open_listener();
	for (i = 0; i < 3; i++)
		must(!shmipc_notifier_notify(notifier, EVENT, 1), "notify");
	hear(&count, &died, SHMIPC_FOREVER);
	must(count == 3 && !died, "%llu of 3 notifications", (unsigned long long)count);
	close_all();
}

/* Roles */

static void setup_role(void)
{
	open_role();
	board->entered = 1;
}

static void setup_holder(void)
{
	setup_role();
	must(!shmipc_deadman_take(role, NULL, 0), "take: %s", shmipc_error_text());
	shmipc_store_release(&board->ready, 1u);
}

static void run_take(void)
{
	must(!shmipc_deadman_take(role, NULL, 0), "take: %s", shmipc_error_text());
	board->begun = 1;
}

static void run_release(void)
{
	must(!shmipc_deadman_release(role), "release");
	board->left = 1;
}

static void run_take_forever(void)
{
	(void)shmipc_deadman_take(role, NULL, SHMIPC_FOREVER);
}

static void prepare_held(void)
{
	open_role();
	must(!shmipc_deadman_take(role, NULL, 0), "take: %s", shmipc_error_text());
}

static void take_and_close(uint64_t least, uint64_t most)
{
	struct shmipc_deadman_info info = SHMIPC_DEADMAN_INFO();
	uint64_t term = 0;
	int ret = shmipc_deadman_take(role, &term, SHMIPC_FOREVER);

	must(!ret, "take: %s", shmipc_error_name(ret));
	must(term >= least && term <= most, "term %llu", (unsigned long long)term);
	must(!shmipc_deadman_get_info(role, &info) && info.held && info.term == term, "not held");
	if (term == 2) {
		must(!shmipc_deadman_wait_released(role, 1, &info, 0), "term 1 is not over");
		must(info.end == SHMIPC_DEADMAN_DIED || info.end == SHMIPC_DEADMAN_RELEASED,
		     "term 1 ended by %u", info.end);
		must(info.end == SHMIPC_DEADMAN_RELEASED || !board->left, "it had been released");
	}
	await_death();	/* it may still have the name open */
	shmipc_deadman_close(role);
	must(!count_names(), "%u names exist after the last close", count_names());
}

static void check_take(void)
{
	await_death();
	take_and_close(board->begun ? 2 : 1, 2);
}

/* Asleep, or just too late: the role is ours when the victim has released it or is dead. */
static void check_release(void)
{
	while (!shmipc_load_acquire(&board->ready))
		(void)shmipc_deadman_wait_taken(role, NULL, shmipc_deadline_in(SHORT_NS));
	take_and_close(2, 2);
}

static void check_held(void)
{
	await_death();
	must(shmipc_deadman_holds(role) == 1, "the role is lost");
	must(!shmipc_deadman_release(role), "release");
	take_and_close(2, 2);
}

const struct scenario event_scenarios[] = {
	{ "event-notify", ASLEEP, open_listener, setup_notifier, run_notify, NULL, check_notifier },
	{ "event-close", SAMPLE, open_listener, setup_notifier, run_notifier_close, NULL,
	  check_notifier_left },
	{ "event-wait", SAMPLE, open_notifier, setup_listener, run_wait, NULL, check_listener },
	{ "event-wait-any", SAMPLE, open_notifier, setup_listener, run_wait_any, NULL, check_listener },
	{ "asleep-event", BLOCKS, open_notifier, setup_listener, run_wait_forever, NULL, check_listener },
	{ "asleep-events", BLOCKS, open_notifier, setup_listener, run_wait_any_forever, NULL,
	  check_listener },
	{ "deadman-take", SAMPLE, open_role, setup_role, run_take, NULL, check_take },
	{ "deadman-release", SAMPLE | ASLEEP, open_role, setup_holder, run_release, NULL, check_release },
	{ "asleep-deadman", BLOCKS, prepare_held, setup_role, run_take_forever, NULL, check_held },
	{ 0 }
};
