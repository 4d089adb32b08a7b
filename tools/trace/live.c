// SPDX-License-Identifier: MIT
/* live.c - events, as they come */
#include "trace.h"
#ifdef WITH_BPF
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "events.h"
#include "rights.h"
#include "session.h"
#include "trace/trace.skel.h"
#include "../util/json.h"
#include "../util/util.h"

#define LOOK_NS		(250 * NS_PER_MS)	/* how often lost events are looked for */

struct live {
	const struct trace_run *t;
	struct session s;
	struct ring_buffer *ring;
	uint64_t shown;
	uint64_t lost;		/* reported so far */
	int failed;		/* the output failed */
};

static int enough(const struct live *l)
{
	return l->t->o->count && l->shown >= l->t->o->count;
}

/* Add the process that it is about: it cannot be looked up when a recording is read. */
static json_t *whole_json(struct live *l, const struct trace_event *e, const char *name,
			  uint64_t wall)
{
	json_t *obj = event_json(e, name, wall);
	uint64_t slot = e->type == TRACE_FULL ? e->arg[1] : e->arg[0];
	struct names_peer p;

	if (!obj || slot == TRACE_NOBODY ||
	    (e->type != TRACE_FULL && e->type != TRACE_EVICT && e->type != TRACE_FENCE))
		return obj;
	p = names_peer(&l->s.names, e->id, (uint32_t)slot);
	json_object_set_new(obj, "blocker_pid", json_integer(p.pid));
	json_object_set_new(obj, "blocker_comm", json_string(p.comm));
	return obj;
}

/* Attaching, leaving and dying is reported once: for segments of the module, by it. */
static int told_by_module(struct live *l, const struct trace_event *e, const struct named *n)
{
	if (TRACE_MODULE_TYPES & 1u << e->type)
		names_on_device(&l->s.names, e->id);
	return n->on_device && module_on(l->s.module) &&
	       (e->type == TRACE_ATTACH || e->type == TRACE_DETACH || e->type == TRACE_DEATH);
}

static int on_event(void *arg, void *data, size_t bytes)
{
	const struct trace_event *e = data;
	struct live *l = arg;
	const struct named *n;
	uint64_t wall;

	if (bytes < sizeof(*e) || e->type >= TRACE_TYPES || enough(l))
		return 0;
	n = names_find(&l->s.names, e->id);
	if (!n || !n->wanted || told_by_module(l, e, n))
		return 0;
	wall = event_wall_ns(e->mono_ns);
	if (l->t->record)
		json_line(l->t->record, whole_json(l, e, n->name, wall));
	if (l->t->o->json)
		json_line(stdout, whole_json(l, e, n->name, wall));
	else
		event_print(stdout, e, n->name, wall, &l->s.names);
	l->shown++;
	return 0;
}

static json_t *lost_json(uint64_t n, uint64_t total)
{
	return json_pack("{s:s, s:I, s:I, s:I}", "event", "lost", "wall_ns",
			 json_u64(event_wall_ns(tool_now_ns())), "lost", json_u64(n), "total",
			 json_u64(total));
}

static void tell_lost(struct live *l)
{
	uint64_t total = session_events_lost(&l->s), n = total - l->lost;

	if (!n)
		return;
	l->lost = total;
	if (l->t->record)
		json_line(l->t->record, lost_json(n, total));
	if (l->t->o->json)
		json_line(stdout, lost_json(n, total));
	else
		printf("-- %" PRIu64 " events lost: they came faster than they could be shown "
		       "(%" PRIu64 " in all); --events, PATTERNs, --histogram or a larger "
		       "--buffer help\n", n, total);
}

static int go_on(struct live *l)
{
	int rc = RC_OK;

	while (!rc && !session_over(&l->s) && !enough(l)) {
		/* Its reader waits for it. */
		rc = trace_flush(l->t);
		if (rc)
			return rc;
		rc = session_sleep(&l->s, tool_now_ns() + LOOK_NS, ring_buffer__epoll_fd(l->ring));
		(void)ring_buffer__consume(l->ring);
		tell_lost(l);
	}
	return rc;
}

int trace_live(const struct trace_run *t)
{
	struct live l = { .t = t };
	int rc = session_begin(&l.s, t->o, TRACE_EVENTS, t->types);

	if (rc)
		goto done;
	l.ring = ring_buffer__new(bpf_map__fd(l.s.bpf->maps.events), on_event, &l, NULL);
	if (!l.ring) {
		rights_refused("map the ring buffer", -errno);
		rc = RC_FAIL;
		goto done;
	}
	rc = go_on(&l);
	(void)ring_buffer__consume(l.ring);
	tell_lost(&l);
	if (!rc)
		rc = trace_flush(t);
	if (!rc && !enough(&l))
		rc = session_code();
	ring_buffer__free(l.ring);
done:
	session_done(&l.s);
	return rc;
}
#else
#include "rights.h"

int trace_live(const struct trace_run *t)
{
	(void)t;
	return rights_check();
}
#endif
