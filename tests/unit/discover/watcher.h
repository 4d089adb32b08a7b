/* SPDX-License-Identifier: MIT */
/* watcher.h - events as short texts, and segments to cause them */
#ifndef TEST_WATCHER_H
#define TEST_WATCHER_H

#include "env.h"

#define PATIENCE_NS	UINT64_C(30000000000)	/* only a failure takes this long */

static struct shmipc_event watcher_last;	/* the event that watcher_say() returned last */

/*
 * The next event: "appeared NAME", "gone NAME"; "joined NAME R1.2": a reader, slot
 * 1, generation 2; "+3" if it missed three; "EACCES" and so on for an error.
 */
static inline const char *watcher_text(const struct shmipc_event *e)
{
	static const char *const what[] = { "?", "appeared", "gone", "joined", "left", "died",
					    "lost" };
	static char text[SHMIPC_NAME_MAX + 64];
	int n = snprintf(text, sizeof(text), "%s %s", what[e->type <= 6 ? e->type : 0], e->name);

	if (e->type >= SHMIPC_EVENT_JOINED)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %c%u.%llu",
			      "-PCR?"[e->end.role < 4 ? e->end.role : 4], e->end.slot,
			      (unsigned long long)e->end.generation);
	if (e->missed)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " +%llu",
			      (unsigned long long)e->missed);
	if (e->error)
		(void)snprintf(text + n, sizeof(text) - (size_t)n, " %s",
			       shmipc_error_name(e->error));
	return text;
}

static inline const char *watcher_say_until(struct shmipc_watch *w, uint64_t deadline_ns)
{
	int err;

	watcher_last.struct_bytes = sizeof(watcher_last);
	err = shmipc_watch_next(w, &watcher_last, deadline_ns);
	return err ? shmipc_error_name(err) : watcher_text(&watcher_last);
}

static inline const char *watcher_say(struct shmipc_watch *w)
{
	return watcher_say_until(w, shmipc_deadline_in(PATIENCE_NS));
}

/* With a scan in any case: set_tick() makes the next call scan. */
static inline const char *watcher_say_now(struct shmipc_watch *w)
{
	shmipc_watch_set_tick(w, UINT64_C(3600000000000));
	return watcher_say_until(w, 0);
}

static inline struct shmipc_segment_opts watcher_opts(uint32_t kind, uint32_t flags)
{
	return (struct shmipc_segment_opts){ .struct_bytes = sizeof(struct shmipc_segment_opts),
					     .kind = kind, .flags = SHMIPC_CREATE | flags,
					     .bytes = 4096, .peers = kind == SHMIPC_KIND_BCAST ? 5 : 0 };
}

static inline int watcher_make(struct shmipc_segment **ret, const char *name, uint32_t kind,
			       uint32_t flags)
{
	struct shmipc_segment_opts o = watcher_opts(kind, flags);

	return shmipc_segment_open(ret, name, &o);
}

static inline int watcher_join(struct shmipc_channel **ret, const char *name,
			       enum shmipc_role role, uint32_t flags)
{
	struct shmipc_segment_opts o = watcher_opts(SHMIPC_KIND_BCAST, flags);

	return shmipc_channel_open(ret, name, role, &o, NULL);
}

#endif /* TEST_WATCHER_H */
