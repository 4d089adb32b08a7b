// SPDX-License-Identifier: MIT
/*
 * watch.c - segments and ends that appear and disappear, as a sequence of events
 *
 * The kernel reports which names may have changed, or a timer that it is time to scan;
 * but the events always result from comparing the present state with the one before.
 * So if the kernel reports something twice, late or not at all, there is no event too
 * many, and none is missing for long.
 */
#include <errno.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "discover/discover.h"
#include "discover/watch.h"

#define TICK_MIN_NS	UINT64_C(1000000)
#define TICK_MAX_NS	UINT64_C(1000000000000000)
#define WORK_SHARE	20u	/* scanning takes at most this part of the time */
/* The locks of each table are checked every so many ticks, for deaths without a mark. */
#define SURE_TICKS	20u

/* Events */

static int grow(struct shmipc_watch *w)
{
	size_t cap = w->cap ? 2 * w->cap : 16;
	struct shmipc_event *more;

	if (w->first) {		/* there is room at the front */
		memmove(w->event, w->event + w->first, (w->n - w->first) * sizeof(*w->event));
		w->n -= w->first;
		w->first = 0;
	}
	if (w->n < w->cap)
		return 0;
	more = realloc(w->event, cap * sizeof(*more));
	if (!more)
		return -ENOMEM;
	w->event = more;
	w->cap = cap;
	return 0;
}

void shmipc_watch_tell(struct shmipc_watch *w, enum shmipc_event_type type,
		       const struct watch_seg *s, const struct shmipc_peer_info *end,
		       uint64_t missed)
{
	struct shmipc_event *e;

	if (w->baseline && w->flags & SHMIPC_WATCH_NEW)
		return;
	if (w->n == w->cap && grow(w)) {
		w->failed = -ENOMEM;
		return;
	}
	e = &w->event[w->n++];
	*e = (struct shmipc_event){
		.struct_bytes = sizeof(*e),
		.type = type,
		.error = s->error,
		.noticed_ns = shmipc_realtime_ns(),
		.kind = s->kind,
		.missed = missed,
	};
	memcpy(e->name, s->name, sizeof(e->name));
	memcpy(e->id, s->id, sizeof(e->id));
	if (end)
		e->end = *end;
}

/* Names */

static int by_name(const void *a, const void *b)
{
	const struct watch_seg *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct watch_seg *find(struct shmipc_watch *w, const char *name)
{
	struct watch_seg key;
	void *node;

	strcpy(key.name, name);
	node = tfind(&key, &w->tree, by_name);
	return node ? *(struct watch_seg **)node : NULL;
}

static void seg_free(struct shmipc_watch *w, struct watch_seg *s)
{
	if (w->pid == getpid())	/* a child does not have its memory */
		w->ops->forget(s);
	free(s->last);
	free(s->slot);
	free(s);
}

static void enlist(struct shmipc_watch *w, struct watch_seg *s)
{
	s->next = w->segs;
	s->link = &w->segs;
	if (s->next)
		s->next->link = &s->next;
	w->segs = s;
}

static void unlist(struct watch_seg *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
}

static void gone(struct shmipc_watch *w, struct watch_seg *s)
{
	if (s->last)
		shmipc_watch_ends(w, s, HOW_LAST);
	if (s->told)
		shmipc_watch_tell(w, SHMIPC_EVENT_GONE, s, NULL, 0);
	(void)tdelete(s, &w->tree, by_name);
	unlist(s);
	seg_free(w, s);
}

/* Did it fail because of a limit of this process, and not because of the segment? */
static bool is_ours(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

/* The segment that has this name, or NULL: none any more, or not known now. */
static struct watch_seg *look_at_name(struct shmipc_watch *w, const char *name,
				      const struct watch_ident *now)
{
	struct watch_seg *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		strcpy(s->name, name);
		s->ident = *now;
		s->round = w->round;
		s->phase = w->phases++;
		err = w->ops->look(w, s);
		s->error = err;
		s->told = err || w->kind == SHMIPC_KIND_ANY || s->kind == w->kind;
	}
	if (!err && s->told && w->flags & SHMIPC_WATCH_ENDS)
		err = shmipc_watch_ends_begin(w, s);
	if (err == -ENOENT || is_ours(err)) {
		w->recheck |= err != -ENOENT;
		if (s)
			seg_free(w, s);
		return NULL;
	}
	return s;
}

static void appeared(struct shmipc_watch *w, struct watch_seg *s)
{
	if (!tsearch(s, &w->tree, by_name)) {
		w->recheck = true;
		seg_free(w, s);
		return;
	}
	enlist(w, s);
	if (s->told)
		shmipc_watch_tell(w, SHMIPC_EVENT_APPEARED, s, NULL, 0);
	if (s->last)
		shmipc_watch_ends(w, s, HOW_SURE);
}

static bool is_same(const struct watch_seg *s, const struct watch_ident *now)
{
	return s->ident.w[0] == now->w[0] && (s->pinned || s->ident.w[1] == now->w[1]);
}

void shmipc_watch_name(struct shmipc_watch *w, const char *name, const struct watch_ident *now)
{
	struct watch_seg *s, *new = NULL;
	struct watch_ident asked;
	int err = 0;

	if (!shmipc_glob_match(w->pattern, name))
		return;
	s = find(w, name);
	if (!now) {
		err = w->ops->ident(w, name, &asked);
		now = &asked;
	}
	if (err && err != -ENOENT) {
		w->recheck = true;
		return;
	}
	if (s && !err && is_same(s, now)) {
		s->round = w->round;
		return;
	}
	if (!err)
		new = look_at_name(w, name, now);
	if (s && new && s->error && s->error == new->error) {
		s->ident = new->ident;	/* still not a segment, only written to */
		s->round = w->round;
		seg_free(w, new);
		return;
	}
	if (s)
		gone(w, s);
	if (new)
		appeared(w, new);
}

void shmipc_watch_round_begin(struct shmipc_watch *w)
{
	w->round++;
}

void shmipc_watch_round_end(struct shmipc_watch *w)
{
	struct watch_seg *s, *next;

	for (s = w->segs; s; s = next) {
		next = s->next;
		if (s->round != w->round)
			shmipc_watch_name(w, s->name, NULL);
	}
}

void shmipc_watch_all_gone(struct shmipc_watch *w)
{
	while (w->segs)
		gone(w, w->segs);
}

/* Scanning */

/* If the kernel reports all that is watched, an occasional scan is enough. */
static uint64_t period_ns(const struct shmipc_watch *w)
{
	bool told = w->inotify >= 0 && !(w->flags & SHMIPC_WATCH_ENDS);

	return told ? SURE_TICKS * w->tick_ns : w->tick_ns;
}

static void set_timer(struct shmipc_watch *w, uint64_t at_ns)
{
	struct itimerspec t = { .it_value = { (time_t)(at_ns / 1000000000u),
					      (long)(at_ns % 1000000000u) } };

	(void)timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* CPU time of this thread, without that of others. */
static uint64_t worked_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int look(struct shmipc_watch *w)
{
	uint64_t began = shmipc_now_ns(), worked = worked_ns(), pause;
	bool tick = began >= w->next_ns;
	struct watch_seg *s;
	int err;

	err = w->ops->names(w, tick);
	if (!tick)
		return err;
	for (s = w->segs; s; s = s->next)
		if (s->last)
			shmipc_watch_ends(w, s, (s->phase + w->ticks) % SURE_TICKS ? HOW_TICK :
										     HOW_SURE);
	w->ticks++;
	pause = w->baseline ? 0 : WORK_SHARE * (worked_ns() - worked);
	w->next_ns = began + (pause > period_ns(w) ? pause : period_ns(w));
	set_timer(w, w->next_ns);
	return err;
}

/* The descriptor that users poll must also show whether events are pending. */
static void show_ready(struct shmipc_watch *w)
{
	bool ready = w->first < w->n || w->failed;
	eventfd_t none;

	if (ready == w->ready)
		return;
	w->ready = ready;
	if (ready)
		(void)eventfd_write(w->waiting, 1);
	else
		(void)eventfd_read(w->waiting, &none);
}

static int fetch(struct shmipc_watch *w, struct shmipc_event *ret)
{
	shmipc_sized_write(ret, &w->event[w->first++], sizeof(*ret));
	if (w->first == w->n)
		w->first = w->n = 0;
	show_ready(w);
	return 0;
}

static int sleep_until(struct shmipc_watch *w, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = w->epoll, .events = POLLIN };
	uint64_t now = shmipc_now_ns(), ns;
	struct timespec t;

	if (now >= deadline_ns)
		return -ETIMEDOUT;
	ns = deadline_ns - now;
	t = (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	if (ppoll(&p, 1, deadline_ns == UINT64_MAX ? NULL : &t, NULL) < 0)
		return shmipc_sys("ppoll");
	return 0;
}

SHMIPC_EXPORT int shmipc_watch_next(struct shmipc_watch *w, struct shmipc_event *ret,
				    uint64_t deadline_ns)
{
	SHMIPC_NO_CANCEL;
	int err;

	if (!w || !ret)
		return shmipc_null(__func__, "w or ret");
	err = shmipc_sized_check(ret, sizeof(*ret), "event of a watch");
	if (err)
		return err;
	if (w->pid != getpid())
		return shmipc_fail(-EINVAL, "shmipc: a watch inherited through fork (EINVAL); open one in the child");
	while (!err) {
		if (w->first < w->n)
			return fetch(w, ret);
		if (w->failed)
			return shmipc_fail(w->failed, "shmipc: watch \"%s\": no memory, events were lost (%s); close it and open it again",
					   w->pattern, shmipc_error_name(w->failed));
		err = look(w);
		if (w->first < w->n || w->failed) {
			show_ready(w);
			err = 0;
		} else if (!err) {
			err = deadline_ns ? sleep_until(w, deadline_ns) : -EAGAIN;
		}
	}
	return err;
}

/* Opening and closing */

SHMIPC_EXPORT int shmipc_watch_fd(const struct shmipc_watch *w)
{
	return w ? w->epoll : shmipc_null(__func__, "w");
}

SHMIPC_EXPORT void shmipc_watch_set_tick(struct shmipc_watch *w, uint64_t tick_ns)
{
	if (!w)
		return;
	w->tick_ns = !tick_ns ? SHMIPC_WATCH_TICK_NS : tick_ns < TICK_MIN_NS ? TICK_MIN_NS :
		     tick_ns > TICK_MAX_NS ? TICK_MAX_NS : tick_ns;
	w->next_ns = 0;		/* scan soon, and at this interval from then on */
	set_timer(w, 1);
}

SHMIPC_EXPORT void shmipc_watch_close(struct shmipc_watch *w)
{
	SHMIPC_NO_CANCEL;
	struct watch_seg *s;

	if (!w)
		return;
	while ((s = w->segs)) {
		(void)tdelete(s, &w->tree, by_name);
		unlist(s);
		seg_free(w, s);
	}
	w->ops->close(w);
	if (w->waiting >= 0)
		(void)close(w->waiting);
	if (w->timer >= 0)
		(void)close(w->timer);
	if (w->epoll >= 0)
		(void)close(w->epoll);
	free(w->event);
	free(w->now);
	free(w->again);
	free(w->pattern);
	free(w);
}

static int fail_open(const struct shmipc_watch *w, int err)
{
	return shmipc_fail(err, "shmipc: watch \"%s\": %s%s", w->pattern, shmipc_cause(err).s,
			   shmipc_advice(err));
}

static int make_descriptors(struct shmipc_watch *w)
{
	struct epoll_event in = { .events = EPOLLIN };

	w->epoll = shmipc_fd(epoll_create1(EPOLL_CLOEXEC));
	if (w->epoll >= 0)
		w->timer = shmipc_fd(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	if (w->timer >= 0)
		w->waiting = shmipc_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	if (w->waiting < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &in) ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->waiting, &in))
		return fail_open(w, shmipc_sys("epoll_create1, timerfd_create, eventfd2 or epoll_ctl"));
	return 0;
}

static struct shmipc_watch *new_watch(const struct shmipc_backend *be, const char *pattern)
{
	struct shmipc_watch *w = calloc(1, sizeof(*w));
	char *copy = strdup(pattern);

	if (!w || !copy) {
		(void)shmipc_fail(-ENOMEM, "shmipc: watch \"%s\": no memory (ENOMEM)", pattern);
		free(w);
		free(copy);
		return NULL;
	}
	w->be = be;
	w->ops = be == &shmipc_dev ? &shmipc_watch_dev : &shmipc_watch_mem;
	w->pattern = copy;
	w->pid = getpid();
	w->pidns = shmipc_my_pidns();
	w->tick_ns = SHMIPC_WATCH_TICK_NS;
	w->epoll = w->timer = w->waiting = w->inotify = w->wd = -1;
	return w;
}

static int open_watch(struct shmipc_watch **ret, const char *pattern, uint32_t kind, uint32_t flags)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_watch *w;
	int err;

	if (!ret)
		return shmipc_null("shmipc_watch_open", "ret");
	err = be ? shmipc_glob_read(&pattern) : shmipc_no_backend();
	if (err)
		return err;
	if (flags & ~(SHMIPC_WATCH_ENDS | SHMIPC_WATCH_NEW))
		return shmipc_fail(-EINVAL, "shmipc: watch \"%s\": flags %#x, expected SHMIPC_WATCH_ENDS and SHMIPC_WATCH_NEW only (EINVAL)",
				   pattern, flags);
	w = new_watch(be, pattern);
	if (!w)
		return -ENOMEM;
	w->kind = kind;
	w->flags = flags;
	err = make_descriptors(w);
	if (!err)
		err = w->ops->open(w);
	w->baseline = true;
	if (!err)
		err = look(w);
	w->baseline = false;
	if (!err && w->failed)
		err = fail_open(w, w->failed);
	if (err) {
		shmipc_watch_close(w);
		return err;
	}
	show_ready(w);
	*ret = w;
	return 0;
}

SHMIPC_EXPORT int shmipc_watch_open(struct shmipc_watch **ret, const char *pattern, uint32_t kind,
				    uint32_t flags)
{
	return SHMIPC_TOLD(open_watch(ret, pattern, kind, flags));
}
