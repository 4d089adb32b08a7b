// SPDX-License-Identifier: MIT
/*
 * watch: processes create and remove segments, take ends and leave, and are killed
 *
 * In step: each action is from a script that the seed determines; the watch must report it,
 * and nothing else, before the next one.
 *
 * At will: for each name, segments appear and go in turn, never with the same id twice; for
 * each slot ends do; generations only grow, and each is reported or counted as missed; ends
 * reported as dead were killed; at the end the reported state is the real one.
 */
#include <shmipc/discover.h>

#include "stress.h"

#define NAMES	6
#define WORKERS	4
#define PEERS	4
#define PIDS	(1u << 22)

static const char *const names[NAMES] = { "a", "b/c", "d.e/f", "g", "b/h", "i" };
static uint8_t *killed;		/* by pid */

struct slot {
	bool here;
	uint64_t generation;
	uint32_t pid;
};

struct name {
	bool there;
	uint8_t id[16];
	struct slot slot[PEERS];
};

static struct name model[NAMES];
static uint64_t told[8];	/* reported, by type of event */

static int take(struct shmipc_channel **ch, uint64_t name, uint64_t role, bool persist)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_BCAST, .bytes = 4096, .peers = PEERS,
		.flags = SHMIPC_CREATE | (persist ? SHMIPC_PERSIST : 0),
	};

	return shmipc_channel_open(ch, names[name], role ? SHMIPC_ROLE_READER :
				   SHMIPC_ROLE_PRODUCER, &o, NULL);
}

/* In step */

enum { DO_JOIN = 1, DO_LEAVE };

/* Holds at most one end, of the name in its orders. */
static int servant(struct other *me, void *arg)
{
	struct shmipc_channel *ch = NULL;
	uint64_t what;

	(void)arg;
	while ((what = hear(me)) != UINT64_MAX) {
		if (what % 8 == DO_LEAVE) {
			shmipc_channel_close(ch);
			ch = NULL;
		} else {
			CHECK(take(&ch, what / 16, what / 8 % 2, true) == 0);
		}
		tell(me, 1);
	}
	return 0;
}

static void wants(struct shmipc_watch *w, uint32_t type, uint64_t name, uint32_t pid)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	int err;

	do	/* our own alarm is also a signal */
		err = shmipc_watch_next(w, &e, shmipc_deadline_in(UINT64_C(30000000000)));
	while (err == -EINTR);
	if (err || e.type != type || strcmp(e.name, names[name]) || (pid && e.end.pid != pid) ||
	    e.missed)
		WRONG("expected event %u of %s pid %u, found %u of %s pid %u missed %llu (%d)", type,
		      names[name], pid, e.type, e.name, e.end.pid, (unsigned long long)e.missed, err);
	told[type < 7 ? type : 7]++;
	beat();
}

static void in_step(struct rng *r)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	struct shmipc_watch *w;
	struct other o;
	uint64_t name, role;
	bool made;
	int err;

	err = shmipc_watch_open(&w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS);
	if (err || other_start(&o, 0, servant, NULL))
		ksft_exit_fail_msg("cannot begin: %s\n", shmipc_error_text());
	shmipc_watch_set_tick(w, 1000000);
	/* Until each kind of action was done. */
	while (stress_goes_on(told[SHMIPC_EVENT_APPEARED] > 10 && told[SHMIPC_EVENT_DIED])) {
		name = rng_below(r, NAMES);
		role = rng_below(r, 2);
		made = !model[name].there;
		tell(&o, name * 16 + role * 8 + DO_JOIN);
		(void)hear(&o);
		if (made)
			wants(w, SHMIPC_EVENT_APPEARED, name, 0);
		model[name].there = true;
		wants(w, SHMIPC_EVENT_JOINED, name, (uint32_t)o.pid);
		if (rng_chance(r, 4)) {
			(void)other_kill(&o);
			wants(w, SHMIPC_EVENT_DIED, name, (uint32_t)o.pid);
			if (other_start(&o, 0, servant, NULL))
				ksft_exit_fail_msg("fork\n");
		} else {
			tell(&o, DO_LEAVE);
			(void)hear(&o);
			wants(w, SHMIPC_EVENT_LEFT, name, (uint32_t)o.pid);
		}
		if (rng_chance(r, 3)) {
			(void)shmipc_segment_unlink(names[name]);
			wants(w, SHMIPC_EVENT_GONE, name, 0);
			model[name].there = false;
		}
		err = shmipc_watch_next(w, &e, 0);
		if (err != -EAGAIN)
			WRONG("an unexpected event of %s, %u", e.name, e.type);
	}
	(void)other_kill(&o);
	for (name = 0; name < NAMES; name++)
		(void)shmipc_segment_unlink(names[name]);
	shmipc_watch_close(w);
}

/* At will */

static int worker(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg) };
	struct shmipc_channel *ch;
	int ret;

	(void)me;
	while (!stopping()) {
		switch (rng_below(&r, 16)) {
		case 0:
			ret = shmipc_segment_unlink(names[rng_below(&r, NAMES)]);
			break;
		case 1:
			ret = shmipc_segment_gc(NULL, NULL);
			ret = ret > 0 ? 0 : ret;
			break;
		default:
			ret = take(&ch, rng_below(&r, NAMES), rng_below(&r, PEERS), false);
			if (!ret && rng_chance(&r, 2))
				nap_ns(rng_below(&r, 3000000));
			if (!ret)
				shmipc_channel_close(ch);
		}
		if (ret && ret != -ENOENT && ret != -EBUSY && ret != -ENOSPC)
			WRONG("%d", ret);
		beat();
	}
	return 0;
}

static void note_segment(struct name *n, const struct shmipc_event *e)
{
	int i;

	if (e->type == SHMIPC_EVENT_APPEARED) {
		if (n->there)
			WRONG("%s appeared twice", e->name);
		if (!memcmp(n->id, e->id, sizeof(n->id)))
			WRONG("%s appeared again with the same id", e->name);
		memset(n, 0, sizeof(*n));
		n->there = true;
		memcpy(n->id, e->id, sizeof(n->id));
		return;
	}
	if (!n->there || memcmp(n->id, e->id, sizeof(n->id)))
		WRONG("%s is gone, but was not there", e->name);
	for (i = 0; i < PEERS; i++)
		if (n->slot[i].here)
			WRONG("%s is gone, but its slot %d is not", e->name, i);
	n->there = false;
}

static void note_end(struct name *n, const struct shmipc_event *e)
{
	struct slot *s = &n->slot[e->end.slot % PEERS];

	if (!n->there || memcmp(n->id, e->id, sizeof(n->id)))
		WRONG("an end of %s, which is not there", e->name);
	if (e->type == SHMIPC_EVENT_JOINED) {
		if (s->here || e->end.generation <= s->generation)
			WRONG("%s slot %u joined twice, generation %llu after %llu", e->name, e->end.slot,
			      (unsigned long long)e->end.generation, (unsigned long long)s->generation);
		if (e->missed != e->end.generation - s->generation - 1)
			WRONG("%s slot %u: %llu missed, generation %llu after %llu", e->name, e->end.slot,
			      (unsigned long long)e->missed, (unsigned long long)e->end.generation,
			      (unsigned long long)s->generation);
		*s = (struct slot){ true, e->end.generation, e->end.pid };
		return;
	}
	if (!s->here || s->generation != e->end.generation || s->pid != e->end.pid)
		WRONG("%s slot %u is gone, but was not there", e->name, e->end.slot);
	if (e->type == SHMIPC_EVENT_DIED && !killed[e->end.pid % PIDS])
		WRONG("%s slot %u died, but %u was not killed", e->name, e->end.slot, e->end.pid);
	s->here = false;
}

/* Take all pending events, waiting a little for the first one. */
static int drain(struct shmipc_watch *w, uint64_t wait_ns)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	uint64_t until = shmipc_deadline_in(wait_ns);
	int i, n;

	for (n = 0; !shmipc_watch_next(w, &e, n ? 0 : until); n++) {
		for (i = 0; i < NAMES && strcmp(names[i], e.name); i++)
			continue;
		if (i == NAMES || e.error || e.type > 6 || !e.type) {
			WRONG("event %u of \"%s\", error %d", e.type, e.name, e.error);
			return n;
		}
		told[e.type]++;
		if (e.type <= SHMIPC_EVENT_GONE)
			note_segment(&model[i], &e);
		else
			note_end(&model[i], &e);
	}
	return n;
}

static int is_told(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	uint32_t *there = arg, i, p;

	for (i = 0; i < NAMES && strcmp(names[i], name); i++)
		continue;
	if (err || i == NAMES || !model[i].there || memcmp(model[i].id, st->info.id, 16))
		WRONG("%s exists, but was not reported (%d)", name, err);
	for (p = 0; !err && p < st->npeers; p++)
		if (st->peer[p].state == SHMIPC_PEER_ATTACHED)
			WRONG("an end of %s is held by a dead process", name);
	*there |= 1u << i;
	return 0;
}

static void compare(void)
{
	uint32_t there = 0, i, s;

	(void)shmipc_discover_each(NULL, SHMIPC_KIND_ANY, is_told, &there);
	for (i = 0; i < NAMES; i++) {
		if (model[i].there != !!(there & 1u << i))
			WRONG("%s: reported %d, exists %d", names[i], model[i].there, !!(there & 1u << i));
		for (s = 0; s < PEERS; s++)
			if (model[i].slot[s].here)
				WRONG("%s slot %u was not reported as gone", names[i], s);
	}
}

static void kill_worker(struct other *o)
{
	killed[(uint32_t)o->pid % PIDS] = 1;
	(void)kill(o->pid, SIGKILL);
}

/* Run for a second; then kill all, and compare the watch with what is left. */
static void at_will(struct rng *r, struct shmipc_watch *w, uint64_t *id)
{
	uint64_t end = now_ns() + 1000000000, i;
	struct other o[WORKERS];

	for (i = 0; i < WORKERS; i++)
		if (other_start(&o[i], 0, worker, (void *)(uintptr_t)++*id))
			ksft_exit_fail_msg("fork\n");
	while (now_ns() < end && !sh->bad) {
		shmipc_watch_set_tick(w, 1000000 + rng_below(r, 20000000));
		(void)drain(w, rng_below(r, 10000000));
		if (!rng_chance(r, 8))
			continue;
		i = rng_below(r, WORKERS);
		kill_worker(&o[i]);
		(void)other_end(&o[i]);
		if (other_start(&o[i], 0, worker, (void *)(uintptr_t)++*id))
			ksft_exit_fail_msg("fork\n");
	}
	for (i = 0; i < WORKERS; i++)
		kill_worker(&o[i]);
	for (i = 0; i < WORKERS; i++)
		(void)other_end(&o[i]);
	shmipc_watch_set_tick(w, 1000000);
	/* The locks of each table are checked every 20 ticks. */
	for (i = 0; i < 3; i++)
		while (drain(w, 40000000))
			continue;
	compare();
}

int main(void)
{
	struct shmipc_watch *w = NULL;
	uint64_t id = 0, i;
	struct rng r;

	stress_begin("stress/watch", 3);
	killed = calloc(PIDS, 1);
	r.state = stress_seed;
	stress_part(40);
	in_step(&r);
	ksft_print_msg("in step: %llu appeared, %llu gone, %llu joined, %llu left, %llu died\n",
		       (unsigned long long)told[1], (unsigned long long)told[2],
		       (unsigned long long)told[3], (unsigned long long)told[4],
		       (unsigned long long)told[5]);
	ksft_test_result(!sh->bad && told[1] > 2 && told[3] > 2 && told[3] == told[4] + told[5],
			 "each action is reported, and nothing else\n");
	stress_part(60);
	memset(told, 0, sizeof(told));
	memset(model, 0, sizeof(model));
	if (shmipc_watch_open(&w, "**", SHMIPC_KIND_BCAST, SHMIPC_WATCH_ENDS))
		ksft_exit_fail_msg("cannot watch: %s\n", shmipc_error_text());
	while (stress_goes_on(told[SHMIPC_EVENT_JOINED] > 10) && !sh->bad)
		at_will(&r, w, &id);
	(void)shmipc_segment_gc(NULL, NULL);
	for (i = 0; i < 3; i++)
		(void)drain(w, 40000000);
	compare();
	shmipc_watch_close(w);
	ksft_print_msg("at will: %llu appeared, %llu gone, %llu joined, %llu left, %llu died, %llu lost\n",
		       (unsigned long long)told[1], (unsigned long long)told[2],
		       (unsigned long long)told[3], (unsigned long long)told[4],
		       (unsigned long long)told[5], (unsigned long long)told[6]);
	ksft_test_result(!sh->bad && told[1] == told[2] && told[3] == told[4] + told[5] + told[6] &&
			 told[3] > 10, "each end that joins goes once, and none is invented\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	free(killed);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
