// SPDX-License-Identifier: MIT
/* topics.c - doctor: is a topic stalled by a publisher that is stopped? */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <shmipc/error.h>
#include "doctor.h"
#include "../look/look.h"

#define APART_NS	(100 * NS_PER_MS)	/* two looks: so long it takes only if it is stopped */

/* A publisher that others wait for. */
struct stall {
	const struct look_seg *seg;
	const struct look_end *by;
	uint64_t generation;
	size_t topics;		/* in which there is one; it is in the first */
	uint32_t waiting;	/* there */
};

/* The publisher that @e waits for; NULL: it waits for none. */
static const struct look_end *blocker(const struct look_seg *s, const struct look_end *e)
{
	const struct look_end *by = e->waits_for == LOOK_NOBODY ? NULL : look_end_at(s, e->waits_for);

	return by && by->role == SHMIPC_ROLE_PRODUCER && by->state == SHMIPC_PEER_ATTACHED ? by : NULL;
}

static void find(const struct look *l, struct stall *ret)
{
	const struct look_seg *s;
	const struct look_end *by;
	uint32_t i, n;
	size_t k;

	*ret = (struct stall){ .seg = NULL };
	for (k = 0; k < l->n; k++) {
		s = l->seg[k];
		for (i = n = 0; !s->err && i < s->nends; i++) {
			by = blocker(s, &s->end[i]);
			if (!by)
				continue;
			if (!n++)
				ret->topics++;
			if (!ret->seg) {
				ret->seg = s;
				ret->by = by;
				ret->generation = by->generation;
			}
		}
		if (ret->seg == s)
			ret->waiting = n;
	}
}

static void tell(struct finding *f, const struct stall *st)
{
	char name[SHMIPC_NAME_MAX + 8], comm[sizeof(st->by->comm) + 1], more[64] = "";

	if (st->topics > 1)
		snprintf(more, sizeof(more), "; so it is in %zu topics", st->topics);
	finding_set(f, FINDING_WARN, "\"%.100s\": the publisher in slot %" PRIu32 " (pid %" PRIu32 " %s) has begun to publish and not finished, and %" PRIu32 " wait for it%s",
		    clean_text(st->seg->name, sizeof(st->seg->name), name, sizeof(name)),
		    st->by->slot, st->by->pid,
		    clean_text(st->by->comm, sizeof(st->by->comm), comm, sizeof(comm)),
		    st->waiting, more);
	finding_advise(f, "if it is stopped: kill -CONT %" PRIu32 ", or end it%s; a topic that is created with pub --abort-after, or with --fence-after on the device, limits how long others wait",
		       st->by->pid, doctor_on_dev() ? ", or shmipc fence NAME PID" : "");
}

void doctor_topics(struct finding *f)
{
	const struct timespec apart = { 0, (long)APART_NS };
	struct stall first, now;
	struct look l;
	uint64_t id;
	uint32_t slot;
	int err;

	look_init(&l, NULL, 0);
	err = look_again(&l);
	if (!err)
		find(&l, &first);
	if (err || !first.seg) {
		if (err)
			finding_set(f, FINDING_WARN, "cannot look at them: %.200s", shmipc_error_text());
		else
			finding_set(f, FINDING_OK, "no publisher waits for another one");
		look_done(&l);
		return;
	}
	id = first.seg->id;
	slot = first.by->slot;
	(void)nanosleep(&apart, NULL);
	err = look_again(&l);
	if (!err)
		find(&l, &now);
	if (!err && now.seg && now.seg->id == id && now.by->slot == slot &&
	    now.generation == first.generation)
		tell(f, &now);
	else
		finding_set(f, FINDING_OK, "publishers wait for each other for moments only");
	look_done(&l);
}
