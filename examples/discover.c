// SPDX-License-Identifier: MIT
/*
 * discover.c - find segments by pattern, and watch segments and their ends
 *
 * One process plays all parts: two logs of a robot, and a watcher of all segments of the
 * robot, however deep.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

static int fail(const char *what, int err)
{
	fprintf(stderr, "discover: %s: %s: %s\n", what, shmipc_error_name(err),
		shmipc_error_text());
	return 1;
}

static int show(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	printf("discover: %s is there, %s, %u ends\n", name,
	       err ? shmipc_error_name(err) : "readable", err ? 0 : st->npeers);
	++*(int *)arg;
	return 0;
}

int main(void)
{
	static const char *const words[] = { "", "appeared", "is gone", "joined", "left", "died",
					     "is lost" };
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_BCAST,
								    .flags = SHMIPC_CREATE);
	struct shmipc_event e = SHMIPC_EVENT();
	char pattern[64], legs[64], arm[64];
	struct shmipc_channel *a, *b;
	struct shmipc_watch *w;
	int found = 0, i, ret;

	snprintf(pattern, sizeof(pattern), "robot-%d/**", (int)getpid());
	snprintf(legs, sizeof(legs), "robot-%d/legs", (int)getpid());
	snprintf(arm, sizeof(arm), "robot-%d/arm/left", (int)getpid());
	ret = shmipc_channel_open(&a, legs, SHMIPC_ROLE_PRODUCER, &make, NULL);
	if (ret)
		return fail("open", ret);
	ret = shmipc_watch_open(&w, pattern, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS);
	if (ret)
		return fail("watch", ret);
	ret = shmipc_channel_open(&b, arm, SHMIPC_ROLE_READER, &make, NULL);
	if (ret)
		return fail("open", ret);
	ret = shmipc_discover_each(pattern, SHMIPC_KIND_ANY, show, &found);
	if (ret || found != 2)
		return fail("discover", ret);

	/* Each appears and is joined; then each is closed, which removes it. */
	for (i = 0; i < 8; i++) {
		if (i == 4) {
			shmipc_channel_close(a);
			shmipc_channel_close(b);
		}
		ret = shmipc_watch_next(w, &e, shmipc_deadline_in(10000000000u));
		if (ret)
			return fail("next", ret);
		printf("discover: %s %s\n", e.name, words[e.type]);
	}
	shmipc_watch_close(w);
	return e.type == SHMIPC_EVENT_GONE ? 0 : 1;
}
