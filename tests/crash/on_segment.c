// SPDX-License-Identifier: MIT
/*
 * on_segment.c - killed while it creates, opens, closes or removes a segment
 *
 * Other processes never see an incomplete segment and are never blocked; the name can
 * be used again at once; a leftover is reaped by the next open or by gc.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

static struct shmipc_segment *seg, *kept, *third;

static int open_segment(struct shmipc_segment **ret, uint32_t kind, uint32_t flags)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = kind, .bytes = RING_BYTES,
		.page = SHMIPC_PAGE_4K, .flags = flags,
	};

	return shmipc_segment_open(ret, NAME, &o);
}

/* The segment is complete, with its ring, or does not exist. */
static bool look_whole(void)
{
	struct shmipc_segment_stat st;
	int ret;

	memset(&st, 0, sizeof(st));
	ret = shmipc_segment_look(NAME, &st);
	if (ret == -ENOENT)
		return false;
	must(!ret, "look: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	must(st.info.data_bytes == RING_BYTES && !strcmp(st.info.name, NAME), "look: %llu bytes, \"%s\"",
	     (unsigned long long)st.info.data_bytes, st.info.name);
	return true;
}

/* Both ends in one process: messages pass, and afterwards nothing is left. */
static void use_anew(uint32_t kind)
{
	bool spsc = kind == SHMIPC_KIND_SPSC;
	uint64_t next = 0;
	int i;

	other = open_end(kind, SHMIPC_ROLE_PRODUCER, true, 0);
	mine = open_end(kind, spsc ? SHMIPC_ROLE_CONSUMER : SHMIPC_ROLE_READER, false,
			SHMIPC_START_OLDEST);
	for (i = 0; i < 3; i++)
		send_next(other);
	drain(mine, &next);
	must(next == 3, "%llu of 3 messages arrived", (unsigned long long)next);
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* No process has it open: it does not exist, or is a leftover that the next open reaps. */
static void expect_reaped(void)
{
	int ret;

	(void)look_whole();
	if (board->kill & 1) {
		check_gone();
		return;
	}
	ret = shmipc_segment_open(&seg, NAME, NULL);
	must(ret == -ENOENT, "open a leftover: %s; %s",
	     ret ? shmipc_error_name(ret) : "is there", shmipc_error_text());
	must(!count_names(), "open leaves %u leftovers", count_names());
}

static void nothing(void)
{
}

/* create */

static void run_create_spsc(void)
{
	must(!open_segment(&seg, SHMIPC_KIND_SPSC, SHMIPC_CREATE | SHMIPC_EXCL), "create: %s",
	     shmipc_error_text());
	board->entered = 1;
}

static void run_create_bcast(void)
{
	must(!open_segment(&seg, SHMIPC_KIND_BCAST, SHMIPC_CREATE), "create: %s",
	     shmipc_error_text());
	board->entered = 1;
}

/* The victim is stopped in mid-creation, which must not block us. */
static void observe_create(void)
{
	bool whole = look_whole();
	int ret;

	must(whole || !board->entered, "created, but the name does not exist");
	must(whole == (count_names() == 1), "%u names, look says %d", count_names(), whole);
	ret = shmipc_segment_open(&kept, NAME, NULL);
	must(ret == (whole ? 0 : -ENOENT), "open in mid-creation: %s, look says %d; %s",
	     ret ? shmipc_error_name(ret) : "0", whole, shmipc_error_text());
	/* Every other time we close before the victim dies, so that leftovers are tested, too. */
	if (!ret && board->kill & 2) {
		shmipc_segment_close(kept);
		kept = NULL;
	}
}

static void check_create(uint32_t kind)
{
	await_death();
	if (kept) {
		shmipc_segment_close(kept);
		must(!count_names(), "the last peer has closed, but %u names exist", count_names());
	}
	/* Use the name again at once, or after gc. */
	if (!(board->kill & 4))
		expect_reaped();
	use_anew(kind);
}

static void check_create_spsc(void)
{
	check_create(SHMIPC_KIND_SPSC);
}

static void check_create_bcast(void)
{
	check_create(SHMIPC_KIND_BCAST);
}

/* open */

static void prepare_kept(void)
{
	must(!open_segment(&kept, SHMIPC_KIND_SPSC, SHMIPC_CREATE), "create: %s",
	     shmipc_error_text());
}

static void run_open(void)
{
	must(!shmipc_segment_open(&seg, NAME, NULL), "open: %s", shmipc_error_text());
}

/* Other peers open it while the victim is stopped in its open. */
static void observe_open(void)
{
	int ret = shmipc_segment_open(&third, NAME, NULL);

	must(!ret, "open while another opens: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	must(look_whole(), "the name is gone, but the segment is in use");
}

/* The last peer closes, which removes the name. */
static void check_kept(void)
{
	await_death();
	shmipc_segment_close(third);
	third = NULL;
	observe_open();
	shmipc_segment_close(third);
	must(look_whole(), "the name is gone, but the segment is in use");
	shmipc_segment_close(kept);
	must(!count_names(), "the last peer has closed, but %u names exist", count_names());
	use_anew(SHMIPC_KIND_SPSC);
}

/* The victim finds and reaps a leftover; the next process completes the reaping. */

/* Make a leftover: a process that ends without closing. */
static void prepare_leftover(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		must(!open_segment(&kept, SHMIPC_KIND_SPSC, SHMIPC_CREATE), "create: %s",
		     shmipc_error_text());
		_exit(0);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "no leftover could be made");
	must(look_whole(), "no leftover to begin with");
}

static void run_reap(void)
{
	must(!open_segment(&seg, SHMIPC_KIND_SPSC, SHMIPC_CREATE), "create: %s",
	     shmipc_error_text());
	board->entered = 1;
}

static void check_reap(void)
{
	await_death();
	expect_reaped();
	use_anew(SHMIPC_KIND_SPSC);
}

static void run_gc(void)
{
	must(shmipc_segment_gc(NULL, NULL) == 1, "gc found nothing");
}

/* close and unlink */

static void setup_create(void)
{
	must(!open_segment(&seg, SHMIPC_KIND_SPSC, SHMIPC_CREATE), "create: %s",
	     shmipc_error_text());
	board->entered = 1;
}

static void run_close(void)
{
	shmipc_segment_close(seg);
	board->left = 1;
}

static void check_close_last(void)
{
	await_death();
	must(!board->left || !count_names(), "closed, but the name exists");
	if (!(board->kill & 4))
		expect_reaped();
	use_anew(SHMIPC_KIND_SPSC);
}

static void run_unlink(void)
{
	must(!shmipc_segment_unlink(NAME), "unlink: %s", shmipc_error_text());
	board->left = 1;
}

static void check_unlink(void)
{
	await_death();
	must(!board->left || !look_whole(), "unlinked, but the name exists");
	shmipc_segment_close(kept);
	must(!count_names(), "the last peer has closed, but %u names exist", count_names());
	use_anew(SHMIPC_KIND_SPSC);
}

const struct scenario segment_scenarios[] = {
	{ "create-spsc", SAMPLE, NULL, nothing, run_create_spsc, observe_create, check_create_spsc },
	{ "create-bcast", SAMPLE, NULL, nothing, run_create_bcast, observe_create,
	  check_create_bcast },
	{ "create-first", SAMPLE | NO_DIR, NULL, nothing, run_create_spsc, observe_create,
	  check_create_spsc },
	{ "open", SAMPLE, prepare_kept, nothing, run_open, observe_open, check_kept },
	{ "reap-by-open", SAMPLE | MEM, prepare_leftover, nothing, run_reap, NULL, check_reap },
	{ "reap-by-gc", SAMPLE | MEM, prepare_leftover, nothing, run_gc, NULL, check_reap },
	{ "close-last", SAMPLE, NULL, setup_create, run_close, NULL, check_close_last },
	{ "close-not-last", SAMPLE, prepare_kept, run_open, run_close, NULL, check_kept },
	{ "unlink", SAMPLE, prepare_kept, nothing, run_unlink, NULL, check_unlink },
	{ 0 }
};
