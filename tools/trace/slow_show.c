// SPDX-License-Identifier: MIT
/* slow_show.c - the report of slow ends, as text and in JSON */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "events.h"
#include "slow_show.h"
#include "stack.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/view.h"

#define VERDICT		1024
#define PUBS_TOLD	3u	/* shown by name; of more only the number */

/* Append; the rest is cut off if it does not fit. */
struct text {
	char s[VERDICT];
	size_t n;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->n, sizeof(t->s) - t->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->n += (size_t)n < sizeof(t->s) - t->n ? (size_t)n : sizeof(t->s) - t->n - 1;
}

static const char *what_end(const struct look_seg *s, const struct look_end *e)
{
	if (s->info.kind != SHMIPC_KIND_TOPIC)
		return role_word(e->role);
	return e->role == SHMIPC_ROLE_PRODUCER ? "publisher" : "subscriber";
}

static void put_process(struct text *t, const char *from, size_t cap, uint32_t pid)
{
	char comm[TRACE_COMM];

	put(t, "%s (", clean_text(from, cap, comm, sizeof(comm)));
	if (pid)
		put(t, "pid %" PRIu32, pid);
	else
		put(t, "pid not known");
}

/* "subscriber mapper (pid 1234, slot 65, lossless)" */
static void put_culprit(struct text *t, const struct slow_finding *f)
{
	put(t, "%s ", what_end(f->seg, &f->end));
	put_process(t, f->end.comm, sizeof(f->end.comm), f->pid);
	if (f->end.slot != LOOK_NOBODY)
		put(t, ", slot %" PRIu32, f->end.slot);
	if (f->end.policy)
		put(t, ", %s", policy_word(f->end.policy));
	put(t, ")");
}

/* "publisher driver (pid 1200) 93 % of the time" */
static void put_victims(struct text *t, const struct slow_report *r, const struct slow_finding *f)
{
	const struct look_end *e;
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < r->npairs; i++) {
		const struct slow_pair *p = &r->pair[i];

		if (p->id != f->seg->id || p->blocker != f->end.slot)
			continue;
		if (n++ >= PUBS_TOLD)
			continue;
		e = look_end_at(f->seg, p->slot);
		put(t, "%s%s ", n > 1 ? ", " : "",
		    f->seg->info.kind == SHMIPC_KIND_TOPIC ? "publisher" : "producer");
		put_process(t, p->comm, sizeof(p->comm), p->pid || !e ? p->pid : slow_pid(f->seg, e));
		put(t, ") %s%.0f %% of the time", p->traced ? "" : "about ", 100 * p->share);
	}
	if (n > PUBS_TOLD)
		put(t, " and %u more", n - PUBS_TOLD);
}

/* Return: 1 if that is known. */
static int put_lag(struct text *t, const struct slow_finding *f)
{
	/* Read-only subscribers and readers of a broadcast ring do not publish their position. */
	if (f->end.slot == LOOK_NOBODY || f->seg->info.kind == SHMIPC_KIND_BCAST)
		return 0;
	put(t, " is %" PRIu64 " messages behind", f->end.lag);
	if (f->end.lag_s >= 1 || f->end.lag_s <= -1)
		put(t, " (%+.0f/s)", f->end.lag_s);
	if (f->gone)
		put(t, ", of which %" PRIu64 " are gone,", f->gone);
	return 1;
}

static void put_losses(struct text *t, const struct slow_report *r, const struct slow_finding *f)
{
	uint64_t all = f->end.lost + f->gone;
	int lag = put_lag(t, f);

	put(t, "%s loses %.0f messages/s", lag ? " and" : "", (double)f->lost / r->seconds);
	if (all > f->lost)
		put(t, " (%" PRIu64 " in all)", all);
}

static void put_held(struct text *t, const struct slow_finding *f)
{
	const struct look_seg *s = f->seg;
	char bytes[TEXT_BYTES];

	put(t, " holds %" PRIu32 " message%s of the pool", f->end.holding,
	    f->end.holding == 1 ? "" : "s");
	put(t, " (%s, %" PRIu32 " of %" PRIu32 " chunks free)",
	    format_bytes(s->chunks * s->chunk_bytes, bytes), s->chunks_free, s->chunks);
}

static void put_when_full(struct text *t, const struct slow_finding *f)
{
	double left = (double)f->seg->capacity - (double)f->end.lag;

	if (f->seg->info.kind != SHMIPC_KIND_TOPIC || f->end.lag_s <= 0 || left <= 0)
		return;
	put(t, "; in %.1f s %s", left / f->end.lag_s,
	    f->end.policy == SHMIPC_POLICY_LOSSY ? "it will lose messages" :
						    "publishers will wait for it");
}

/* For how long others wait for a publisher that is stopped. */
static void put_limit(struct text *t, const struct look_seg *s)
{
	if (s->abort_ns)
		put(t, "; its message is aborted after %g s", (double)s->abort_ns / 1e9);
	else if (s->fence_ns)
		put(t, "; it is cut off after %g s, by an end that may do that", (double)s->fence_ns / 1e9);
	else
		put(t, "; a topic that is created with pub --abort-after, or with --fence-after on the device, limits that");
}

static void put_why(struct text *t, const struct slow_report *r, const struct slow_finding *f)
{
	switch (f->why) {
	case SLOW_BLOCKS:
		put(t, "%s holds up ", put_lag(t, f) ? " and" : "");
		put_victims(t, r, f);
		break;
	case SLOW_HOLDS:
		put_held(t, f);
		put(t, " and holds up ");
		put_victims(t, r, f);
		break;
	case SLOW_CLAIMS:
		put(t, " has begun to publish and not finished, and holds up ");
		put_victims(t, r, f);
		put_limit(t, f->seg);
		break;
	case SLOW_LOSES:
		put_losses(t, r, f);
		break;
	case SLOW_CUT_OFF:
		put(t, " was too slow and is cut off: publishers do not wait for it any longer");
		break;
	case SLOW_STOPPED:
		(void)put_lag(t, f);
		if (f->end.holding)
			put_held(t, f);
		break;
	case SLOW_BEHIND:
		(void)put_lag(t, f);
		put_when_full(t, f);
		break;
	}
}

static void verdict(struct text *t, const struct slow_report *r, const struct slow_finding *f)
{
	char name[SHMIPC_NAME_MAX + 8];

	t->n = 0;
	put(t, "slow: %s %s: ", f->seg->info.kind == SHMIPC_KIND_TOPIC ? "topic" : "ring",
	    clean_text(f->seg->name, sizeof(f->seg->name), name, sizeof(name)));
	put_culprit(t, f);
	put_why(t, r, f);
	if (!f->doing.state)
		return;
	put(t, "; it %s", f->doing.text);
	if (f->doing.state == 'T')
		put(t, ": kill -CONT %" PRIu32 " lets it go on", f->pid);
}

/* The end with the largest lag; NULL: none. */
static const struct look_end *slowest(const struct look_seg *s)
{
	return s->laggard != LOOK_NOBODY && s->laggard < s->nends ? &s->end[s->laggard] : NULL;
}

/* Publishers that waited, and the largest share of them. */
static unsigned int waiting(const struct slow_report *r, const struct look_seg *s, double *ret_share)
{
	unsigned int n = 0;
	size_t i;

	*ret_share = 0;
	for (i = 0; i < r->npairs; i++) {
		if (r->pair[i].id != s->id)
			continue;
		n++;
		*ret_share = fmax(*ret_share, r->pair[i].share);
	}
	return n;
}

static void print_seg(const struct slow_report *r, const struct look_seg *s)
{
	char name[SHMIPC_NAME_MAX + 8], comm[TRACE_COMM], process[64] = "-";
	const struct look_end *e = slowest(s);
	double share;
	unsigned int n = waiting(r, s, &share);

	if (e)
		snprintf(process, sizeof(process), "%s (%" PRIu32 ")",
			 clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm)), slow_pid(s, e));
	printf("%-24s %-5s %9.0f  %-24s %8" PRIu64 " %+8.0f %9" PRIu64 " %8.0f %3u %3.0f %%\n",
	       clean_text(s->name, sizeof(s->name), name, sizeof(name)), kind_word(s->info.kind),
	       s->messages_s, process, e ? e->lag : 0, e ? e->lag_s : 0, s->lost, s->lost_s, n, 100 * share);
}

/* "slow: lidar (of another directory or container): ..." */
static void far_verdict(struct text *t, const struct slow_far *f)
{
	char name[TRACE_NAME];

	t->n = 0;
	put(t, "slow: %s (of another directory or container): ",
	    clean_text(f->name, sizeof(f->name), name, sizeof(name)));
	if (*f->blocker.comm) {
		put_process(t, f->blocker.comm, sizeof(f->blocker.comm), (uint32_t)f->blocker.pid);
		put(t, ", slot %" PRIu32 ")", f->pair->blocker);
	} else {
		put(t, "slot %" PRIu32, f->pair->blocker);
	}
	put(t, " holds up ");
	put_process(t, f->pair->comm, sizeof(f->pair->comm), f->pair->pid);
	put(t, ", slot %" PRIu32 ") %.0f %% of the time", f->pair->slot, 100 * f->pair->share);
}

static void print_report(const struct slow_report *r, const struct look *l)
{
	struct text t;
	size_t i, ends = 0;

	printf("%-24s %-5s %9s  %-24s %8s %8s %9s %8s %9s\n", "NAME", "KIND", "MSG/S",
	       "SLOWEST (PID)", "BEHIND", "GROWS/S", "LOST", "LOST/S", "WAITING");
	for (i = 0; i < l->n; i++) {
		ends += l->seg[i]->nends;
		if (l->seg[i]->err)
			printf("%-24s cannot be looked at: %s\n", l->seg[i]->name,
			       strerror(-l->seg[i]->err));
		else if (l->seg[i]->nends)
			print_seg(r, l->seg[i]);
	}
	for (i = 0; i < r->nfound; i++) {
		verdict(&t, r, &r->found[i]);
		printf("%s\n", t.s);
		if (r->found[i].stack)
			stack_print(r->found[i].stack);
	}
	for (i = 0; i < r->nfar; i++) {
		far_verdict(&t, &r->far[i]);
		printf("%s\n", t.s);
	}
	if (!r->nfound && !r->nfar)
		printf("slow: none: of %zu ends none loses messages, holds up others or falls behind\n", ends);
	putchar('\n');
}

/* JSON */

static json_t *end_json(const struct look_seg *s, const struct look_end *e, uint32_t pid)
{
	char comm[TRACE_COMM];

	return json_pack("{s:s, s:o, s:o, s:s, s:s?, s:I, s:f, s:I, s:f, s:i}", "role", what_end(s, e),
			 "slot", e->slot == LOOK_NOBODY ? json_null() : json_integer(e->slot), "pid",
			 pid ? json_integer(pid) : json_null(),
			 "comm", clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm)), "policy",
			 e->policy ? policy_word(e->policy) : NULL, "lag", json_u64(e->lag), "lag_s",
			 e->lag_s, "lost", json_u64(e->lost), "lost_s", e->lost_s, "holding",
			 (int)e->holding);
}

/* The publishers that waited in this segment for @blocker; LOOK_NOBODY: for any end. */
static json_t *waits_json(const struct slow_report *r, const struct look_seg *s, uint32_t blocker)
{
	json_t *list = json_array(), *one;
	char comm[TRACE_COMM];
	size_t i;

	for (i = 0; list && i < r->npairs; i++) {
		const struct slow_pair *p = &r->pair[i];

		if (p->id != s->id || (blocker != LOOK_NOBODY && p->blocker != blocker))
			continue;
		one = json_pack("{s:I, s:I, s:s, s:I, s:f, s:b, s:s}", "slot", json_u64(p->slot), "pid",
				json_u64(p->pid), "comm",
				clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)), "for_slot",
				json_u64(p->blocker), "share", p->share, "traced", p->traced,
				"source", p->traced ? "probes" : p->sampled ? "module" : "counters");
		if (json_array_append_new(list, one)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The kernel module's present view. */
static json_t *kernel_json(const struct slow_report *r, const struct look_seg *s)
{
	struct shmipc_bpf_state now;

	if (module_ask(r->module, s->id, &now))
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I}", "messages",
			 json_u64(now.messages), "published", json_u64(now.published), "capacity",
			 json_u64(now.capacity), "behind", json_u64(now.behind), "slot",
			 now.slot == SHMIPC_BPF_NO_SLOT ? json_null() : json_integer(now.slot),
			 "pid", json_u64(now.pid), "attached", json_u64(now.attached), "waiters",
			 json_u64(now.waiters));
}

static json_t *seg_json(const struct slow_report *r, const struct look_seg *s)
{
	const struct look_end *e = slowest(s);
	char id[ID_TEXT];

	return json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:f, s:o?, s:o?, s:o}", "name", s->name, "id",
			 id_text(s->id, id), "kind", kind_word(s->info.kind), "messages_s",
			 s->messages_s, "occupancy", s->occupancy, "lost", json_u64(s->lost),
			 "lost_s", s->lost_s, "slowest", e ? end_json(s, e, slow_pid(s, e)) : NULL,
			 "kernel", kernel_json(r, s), "waiting", waits_json(r, s, LOOK_NOBODY));
}

static json_t *finding_json(const struct slow_report *r, const struct slow_finding *f)
{
	struct text t;

	verdict(&t, r, f);
	return json_pack("{s:s, s:s, s:s, s:o, s:f, s:I, s:I, s:b, s:s?, s:o, s:s, s:O*}", "why",
			 slow_why_word(f->why), "name", f->seg->name, "kind",
			 kind_word(f->seg->info.kind), "end", end_json(f->seg, &f->end, f->pid),
			 "share", f->share, "lost", json_u64(f->lost), "gone", json_u64(f->gone), "stopped", process_stopped(&f->doing), "doing",
			 f->doing.state ? f->doing.text : NULL, "publishers",
			 waits_json(r, f->seg, f->end.slot), "text", t.s, "stack",
			 f->stack);
}

static json_t *far_json(const struct slow_far *f)
{
	char comm[TRACE_COMM], blocker[TRACE_COMM], id[ID_TEXT];
	struct text t;

	far_verdict(&t, f);
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:s, s:f, s:s}", "name", f->name, "id",
			 id_text(f->pair->id, id), "slot", json_u64(f->pair->slot), "pid",
			 json_u64(f->pair->pid), "comm",
			 clean_text(f->pair->comm, sizeof(f->pair->comm), comm, sizeof(comm)),
			 "for_slot", json_u64(f->pair->blocker), "for_pid", (json_int_t)f->blocker.pid,
			 "for_comm", clean_text(f->blocker.comm, sizeof(f->blocker.comm), blocker, sizeof(blocker)),
			 "share", f->pair->share, "text", t.s);
}

static void json_report(const struct slow_report *r, const struct look *l)
{
	json_t *segs = json_array(), *found = json_array(), *far = json_array();
	size_t i;

	for (i = 0; segs && i < l->n; i++)
		if (!l->seg[i]->err && l->seg[i]->nends)
			(void)json_array_append_new(segs, seg_json(r, l->seg[i]));
	for (i = 0; found && i < r->nfound; i++)
		(void)json_array_append_new(found, finding_json(r, &r->found[i]));
	for (i = 0; far && i < r->nfar; i++)
		(void)json_array_append_new(far, far_json(&r->far[i]));
	json_line(stdout, json_pack("{s:s, s:I, s:f, s:o, s:o, s:o}", "event", "slow", "wall_ns",
				    json_u64(event_wall_ns(tool_now_ns())), "seconds", r->seconds,
				    "findings", found, "elsewhere", far, "segments", segs));
}

void slow_show(const struct trace_opts *o, const struct slow_report *r, const struct look *l)
{
	if (o->json)
		json_report(r, l);
	else
		print_report(r, l);
}
