// SPDX-License-Identifier: MIT
/* module.c - the kernel module's tracepoints and functions: the command's side */
#include <errno.h>
#include <unistd.h>
#include "module.h"
#include "../util/util.h"

enum module_there module_there(void)
{
	if (!access("/sys/kernel/btf/shmipc", R_OK))
		return MODULE_THERE;
	return access("/sys/module/shmipc", F_OK) ? MODULE_NOT_LOADED : MODULE_WITHOUT_BTF;
}

const char *module_why_not(void)
{
	switch (module_there()) {
	case MODULE_NOT_LOADED:
		return "the kernel module is not loaded (modprobe shmipc)";
	case MODULE_WITHOUT_BTF:
		return "the kernel module has no type information (BTF), because it was built without pahole: its tracepoints are only in tracefs, see perf-dev";
	default:
		return "";
	}
}

#ifdef WITH_BPF
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "process.h"
#include "rights.h"
#include "trace/dev.skel.h"

#define RATE	"/sys/module/shmipc/parameters/sample_hz"

#define MOST	8192u		/* hits and samples, the same as in dev.bpf.c */

struct module {
	struct module_want want;
	struct dev *bpf;
	struct ring_buffer *ring;
	double hz;		/* the rate of the sampler that we asked for; 0: none */
	unsigned int hz_before;	/* 0: it is not changed */
	struct slow_key key[MOST];
	uint64_t looked[MOST];	/* ids that the sampler saw */
	unsigned int nlooked;
};

/* The tracepoints of a mode. */
static uint32_t types_of(const struct module_want *w)
{
	switch (w->mode) {
	case TRACE_BEHIND:
		return 1u << TRACE_SAMPLE_PEER;
	case TRACE_WAITS:
		return 1u << TRACE_SAMPLE | 1u << TRACE_SAMPLE_PEER;
	default:
		return w->types & TRACE_MODULE_TYPES;
	}
}

static void choose_programs(const struct dev *b, uint32_t types)
{
	struct bpf_program *const all[TRACE_TYPES] = {
		[TRACE_CREATE] = b->progs.on_create,
		[TRACE_OPEN] = b->progs.on_open,
		[TRACE_DESTROY] = b->progs.on_destroy,
		[TRACE_MOD_ATTACH] = b->progs.on_attach,
		[TRACE_MOD_DETACH] = b->progs.on_detach,
		[TRACE_MOD_DEATH] = b->progs.on_death,
		[TRACE_MOD_WAIT] = b->progs.on_wait,
		[TRACE_MOD_WAIT_END] = b->progs.on_wait_end,
		[TRACE_MOD_WAKE] = b->progs.on_wake,
		[TRACE_SAMPLE] = b->progs.on_sample,
		[TRACE_SAMPLE_PEER] = b->progs.on_sample_peer,
	};
	uint32_t i;

	/* The length of a sleep needs its beginning. */
	if (types & 1u << TRACE_MOD_WAIT_END)
		types |= 1u << TRACE_MOD_WAIT;
	for (i = TRACE_PROBES; i < TRACE_TYPES; i++)
		bpf_program__set_autoload(all[i], !!(types & 1u << i));
}

static int share_maps(const struct dev *b, const struct bpf_object *with)
{
	static const char *const shared[] = { "names", "pids", "cgroups", "prefixes", "events",
					      "hists", "begun", "wakes", "probed" };
	int err = 0;
	size_t i;

	for (i = 0; with && !err && i < sizeof(shared) / sizeof(shared[0]); i++)
		err = bpf_map__reuse_fd(bpf_object__find_map_by_name(b->obj, shared[i]),
					bpf_object__find_map_fd_by_name(with, shared[i]));
	return err;
}

static void fill_in(struct dev *b, const struct module_want *w)
{
	const struct trace_opts *o = w->o;

	b->rodata->mode = w->mode;
	b->rodata->told = types_of(w);
	b->rodata->own_pidns = process_own_ns();
	b->rodata->own_pid = getpid();
	if (!w->with)
		return;
	b->rodata->both = !!trace_source(o, SOURCE_PROBES);
	b->rodata->only_names = o->patterns.n > 0 && o->patterns.n <= TRACE_PREFIXES;
	b->rodata->only_pids = o->pids.n;
	b->rodata->only_cgroup = !!o->cgroup;
}

static int on_event(void *arg, void *data, size_t bytes)
{
	const struct module *m = arg;

	if (bytes >= sizeof(struct trace_event))
		m->want.fn(data, m->want.arg);
	return 0;
}

static int load(struct module *m)
{
	int err;

	rights_begin();
	m->bpf = dev__open();
	if (!m->bpf)
		return -errno;
	fill_in(m->bpf, &m->want);
	choose_programs(m->bpf, types_of(&m->want));
	err = share_maps(m->bpf, m->want.with);
	if (!err)
		err = dev__load(m->bpf);
	if (!err && m->want.fn) {
		m->ring = ring_buffer__new(bpf_map__fd(m->bpf->maps.events), on_event, m, NULL);
		err = m->ring ? 0 : -errno;
	}
	return err ? err : dev__attach(m->bpf);
}

static void unload(struct module *m)
{
	ring_buffer__free(m->ring);
	dev__destroy(m->bpf);
	m->ring = NULL;
	m->bpf = NULL;
}

static int read_rate(void)
{
	FILE *f = fopen(RATE, "re");
	unsigned int hz = 0;

	if (f && fscanf(f, "%u", &hz) != 1)
		hz = 0;
	if (f)
		fclose(f);
	return (int)hz;
}

static int write_rate(unsigned int hz)
{
	FILE *f = fopen(RATE, "we");

	if (!f || fprintf(f, "%u\n", hz) < 0) {
		if (f)
			fclose(f);
		return -errno;
	}
	return fclose(f) ? -errno : 0;
}

static void set_rate(struct module *m)
{
	int before = read_rate(), err;

	if (m->hz <= 0 || before <= 0)
		return;
	err = write_rate(m->hz < 1 ? 1 : (unsigned int)m->hz);
	if (err)
		tool_note("%s: %s: the sampler goes on %d times a second", RATE, strerror(-err),
			  before);
	else
		m->hz_before = (unsigned int)before;
}

void module_rate(struct module *m, double hz)
{
	m->hz = hz;
	if (module_on(m))
		set_rate(m);
}

int module_look(struct module *m)
{
	int err;

	if (m->bpf || module_there() != MODULE_THERE)
		return RC_OK;
	err = load(m);
	if (!err) {
		set_rate(m);
		return RC_OK;
	}
	unload(m);
	/* It was unloaded before we could keep it. */
	if (module_there() != MODULE_THERE)
		return RC_OK;
	rights_refused("listen to the kernel module", err);
	return RC_FAIL;
}

int module_new(struct module **ret, const struct module_want *want)
{
	struct module *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		tool_error("out of memory (ENOMEM)");
		return RC_FAIL;
	}
	m->want = *want;
	rc = module_look(m);
	if (rc)
		module_free(m);
	else
		*ret = m;
	return rc;
}

int module_on(const struct module *m)
{
	return m && m->bpf;
}

int module_fd(const struct module *m)
{
	return m && m->ring ? ring_buffer__epoll_fd(m->ring) : -1;
}

void module_serve(struct module *m)
{
	if (m && m->ring)
		(void)ring_buffer__consume(m->ring);
}

uint64_t module_lost(const struct module *m)
{
	return module_on(m) ? m->bpf->bss->events_lost + m->bpf->bss->hits_lost +
			      m->bpf->bss->hists_lost : 0;
}

void module_name(const struct module *m, uint64_t id, char name[TRACE_NAME])
{
	struct trace_name n;

	*name = 0;
	if (module_on(m) && !bpf_map_lookup_elem(bpf_map__fd(m->bpf->maps.names), &id, &n))
		memcpy(name, n.name, TRACE_NAME);
	name[TRACE_NAME - 1] = 0;
}

int module_ask(const struct module *m, uint64_t id, struct shmipc_bpf_state *ret)
{
	struct module_question q = { .id = id };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &q, .ctx_size_in = sizeof(q));

	if (!module_on(m) || bpf_prog_test_run_opts(bpf_program__fd(m->bpf->progs.ask), &run))
		return -EOPNOTSUPP;
	if (!q.ret)
		*ret = q.state;
	return q.ret;
}

/* The number of samples of each segment since the last time. */
static void take_looks(struct module *m, uint64_t count[MOST])
{
	int fd = bpf_map__fd(m->bpf->maps.looks);
	unsigned int n = 0, i;

	/* Deleting entries while iterating would restart the iteration. */
	while (n < MOST && !bpf_map_get_next_key(fd, n ? &m->looked[n - 1] : NULL, &m->looked[n]))
		n++;
	for (i = 0; i < n; i++)
		if (bpf_map_lookup_and_delete_elem(fd, &m->looked[i], &count[i]))
			count[i] = 0;
	m->nlooked = n;
}

static uint64_t looks_at(const struct module *m, const uint64_t count[MOST], uint64_t id)
{
	unsigned int i;

	for (i = 0; i < m->nlooked; i++)
		if (m->looked[i] == id)
			return count[i];
	return 0;
}

void module_waits(struct module *m,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, double share,
			     void *arg), void *arg)
{
	uint64_t *count = module_on(m) ? calloc(MOST, sizeof(*count)) : NULL, looks;
	struct slow_sum sum;
	unsigned int n = 0;
	int fd;

	if (!count)
		return;
	take_looks(m, count);
	fd = bpf_map__fd(m->bpf->maps.hits);
	while (n < MOST && !bpf_map_get_next_key(fd, n ? &m->key[n - 1] : NULL, &m->key[n]))
		n++;
	while (n--) {
		looks = looks_at(m, count, m->key[n].id);
		if (bpf_map_lookup_and_delete_elem(fd, &m->key[n], &sum) || !looks)
			continue;
		fn(&m->key[n], &sum, sum.times < looks ? (double)sum.times / (double)looks : 1, arg);
	}
	free(count);
}

int module_sampled(const struct module *m, uint64_t id)
{
	unsigned int i;

	for (i = 0; module_on(m) && i < m->nlooked; i++)
		if (m->looked[i] == id)
			return 1;
	return 0;
}

void module_detach(struct module *m)
{
	if (module_on(m))
		dev__detach(m->bpf);
}

void module_free(struct module *m)
{
	if (!m)
		return;
	if (m->hz_before && module_on(m))
		(void)write_rate(m->hz_before);
	unload(m);
	free(m);
}
#else

int module_new(struct module **ret, const struct module_want *want)
{
	(void)want;
	*ret = NULL;
	return RC_OK;
}

int module_look(struct module *m)
{
	(void)m;
	return RC_OK;
}

int module_on(const struct module *m)
{
	(void)m;
	return 0;
}

int module_fd(const struct module *m)
{
	(void)m;
	return -1;
}

void module_serve(struct module *m)
{
	(void)m;
}

uint64_t module_lost(const struct module *m)
{
	(void)m;
	return 0;
}

void module_rate(struct module *m, double hz)
{
	(void)m;
	(void)hz;
}

void module_name(const struct module *m, uint64_t id, char name[TRACE_NAME])
{
	(void)m;
	(void)id;
	*name = 0;
}

int module_ask(const struct module *m, uint64_t id, struct shmipc_bpf_state *ret)
{
	(void)m;
	(void)id;
	(void)ret;
	return -EOPNOTSUPP;
}

void module_waits(struct module *m,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, double share,
			     void *arg), void *arg)
{
	(void)m;
	(void)fn;
	(void)arg;
}

int module_sampled(const struct module *m, uint64_t id)
{
	(void)m;
	(void)id;
	return 0;
}

void module_free(struct module *m)
{
	(void)m;
}
#endif /* WITH_BPF */
