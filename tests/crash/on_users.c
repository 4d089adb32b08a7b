// SPDX-License-Identifier: MIT
/*
 * on_users.c - killed while it frees a name whose file it may not remove, or begins anew there
 *
 * The file belongs to root, and the directory has the sticky bit. The victim is another
 * user, and so is the checker, after the victim's death: it creates the ring again, in
 * the file that is there, and all works. Then root removes it.
 */
#include <errno.h>
#include <unistd.h>

#include "crash.h"

#define VICTIM	61002u
#define CHECKER	61003u

static bool is_root;

static struct shmipc_channel *open_one(enum shmipc_role role, bool create)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(
		.kind = create ? SHMIPC_KIND_SPSC : 0, .bytes = create ? RING_BYTES : 0,
		.flags = create ? SHMIPC_CREATE : 0, .mode = 0666);
	struct shmipc_channel *ch = NULL;
	int ret = shmipc_channel_open(&ch, NAME, role, &o, NULL);

	must(!ret, "open, %s: %s; %s", create ? "create" : "join", shmipc_error_name(ret),
	     shmipc_error_text());
	return ch;
}

static void become(uid_t uid)
{
	must(!is_root || !seteuid(uid), "become user %u", uid);
}

/* Root has created it, and is the first to leave. */
static void prepare_last(void)
{
	is_root = !geteuid();
	mine = open_one(SHMIPC_ROLE_PRODUCER, true);
}

/* There is a finished one. */
static void prepare_finished(void)
{
	prepare_last();
	become(VICTIM);
	other = open_one(SHMIPC_ROLE_CONSUMER, false);
	become(0);
	shmipc_channel_close(mine);
	become(VICTIM);
	shmipc_channel_close(other);
	become(0);
	mine = other = NULL;
}

static void setup_last(void)
{
	is_root = !geteuid();
	become(VICTIM);
	mine = open_one(SHMIPC_ROLE_CONSUMER, false);
	shmipc_store_release(&board->entered, 1u);
	while (!shmipc_load_acquire(&board->ready))
		continue;
}

static void setup_anew(void)
{
	is_root = !geteuid();
	become(VICTIM);
}

static void run_close(void)
{
	shmipc_channel_close(mine);
}

static void run_create(void)
{
	mine = open_one(SHMIPC_ROLE_PRODUCER, true);
}

static void go_on(void)
{
	char buf[8];
	size_t len;

	await_death();
	become(CHECKER);
	mine = open_one(SHMIPC_ROLE_PRODUCER, true);
	other = open_one(SHMIPC_ROLE_CONSUMER, false);
	must(!shmipc_channel_send(mine, "x", 1, 0), "send");
	must(!shmipc_channel_recv(other, buf, sizeof(buf), &len, 0) && len == 1, "receive");
	must(shmipc_channel_recv(other, buf, sizeof(buf), &len, 0) == -EAGAIN, "one too many");
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	become(0);
	check_gone();
}

static void check_last(void)
{
	while (!shmipc_load_acquire(&board->entered))
		must(!shmipc_load_acquire(&board->dead), "the victim has ended in its set-up");
	shmipc_channel_close(mine);
	shmipc_store_release(&board->ready, 1u);
	go_on();
}

/* Without root, there is one user only, and the file is removed. */
const struct scenario user_scenarios[] = {
	{ "users-close-last", SAMPLE | MEM, prepare_last, setup_last, run_close, NULL, check_last },
	{ "users-begin-anew", SAMPLE | MEM, prepare_finished, setup_anew, run_create, NULL, go_on },
	{ 0 }
};
