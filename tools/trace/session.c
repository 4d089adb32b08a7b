// SPDX-License-Identifier: MIT
/* session.c - load the eBPF programs of trace.bpf.c, and attach them to the probes */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <shmipc/discover.h>
#include "events.h"
#include "rights.h"
#include "session.h"
#include "../util/util.h"

void session_signals(sigset_t *open)
{
	sigset_t stops;

	tool_catch_signals();
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &stops, open);
}

int session_code(void)
{
	return tool_stop ? RC_SIGNAL + tool_stop : RC_OK;
}

#ifdef WITH_BPF
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "trace/trace.skel.h"

#define LEARN_NS	(250 * NS_PER_MS)	/* how often to look for other directories' segments */

/* The namespace of the PIDs that are printed. */
static uint32_t own_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

static void choose_programs(struct session *s, uint32_t types)
{
	struct bpf_program *const all[TRACE_PROBES] = {
		[TRACE_PUBLISH] = s->bpf->progs.on_publish,
		[TRACE_PUBLISH_SOME] = s->bpf->progs.on_publish_some,
		[TRACE_TAKE] = s->bpf->progs.on_take,
		[TRACE_TAKE_SOME] = s->bpf->progs.on_take_some,
		[TRACE_FULL] = s->bpf->progs.on_full,
		[TRACE_WAIT] = s->bpf->progs.on_wait,
		[TRACE_WAIT_END] = s->bpf->progs.on_wait_end,
		[TRACE_WAKE] = s->bpf->progs.on_wake,
		[TRACE_GAP] = s->bpf->progs.on_gap,
		[TRACE_EVICT] = s->bpf->progs.on_evict,
		[TRACE_ABORT] = s->bpf->progs.on_abort,
		[TRACE_DEATH] = s->bpf->progs.on_death,
		[TRACE_HOLD] = s->bpf->progs.on_hold,
		[TRACE_RELEASE] = s->bpf->progs.on_release,
		[TRACE_ATTACH] = s->bpf->progs.on_attach,
		[TRACE_DETACH] = s->bpf->progs.on_detach,
		[TRACE_FENCE] = s->bpf->progs.on_fence,
	};
	uint32_t i;

	if (!trace_source(s->o, SOURCE_PROBES))
		types = 0;
	/* The length of a sleep needs its beginning. */
	if (types & 1u << TRACE_WAIT_END)
		types |= 1u << TRACE_WAIT;
	for (i = 0; i < TRACE_PROBES; i++) {
		s->progs[i].probe = event_word(i);
		s->progs[i].obj = s->bpf->obj;
		s->progs[i].prog = types & 1u << i ? all[i] : NULL;
		bpf_program__set_autoload(all[i], !!s->progs[i].prog);
	}
}

/* The beginning that a name must have to match; without wildcards, the whole name. */
static int put_prefixes(struct session *s)
{
	struct {
		uint32_t bits;
		char text[TRACE_NAME];
	} key;
	uint8_t yes = 1;
	size_t len;
	int i;

	for (i = 0; i < s->o->patterns.n && s->o->patterns.n <= TRACE_PREFIXES; i++) {
		memset(&key, 0, sizeof(key));
		len = strcspn(s->o->patterns.text[i], "*?[\\");
		/* "a/ ** /b" without the blanks is a/b, too. */
		if (s->o->patterns.text[i][len] == '*' && len && s->o->patterns.text[i][len - 1] == '/')
			len--;
		if (len >= sizeof(key.text))
			continue;	/* longer than any name */
		memcpy(key.text, s->o->patterns.text[i], len);
		key.bits = (uint32_t)(8 * (len + !s->o->patterns.text[i][len]));
		if (bpf_map_update_elem(bpf_map__fd(s->bpf->maps.prefixes), &key, &yes, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int put_filters(struct session *s)
{
	const struct trace_opts *o = s->o;
	uint64_t pid = 0;
	uint8_t yes = 1;
	uint32_t zero = 0;
	int32_t key;
	unsigned int i;
	int fd, err;

	for (i = 0; i < o->pids.n; i++) {
		(void)parse_number(o->pids.text[i], INT32_MAX, &pid);
		key = (int32_t)pid;
		if (bpf_map_update_elem(bpf_map__fd(s->bpf->maps.pids), &key, &yes, BPF_ANY))
			return -errno;
	}
	if (!o->cgroup)
		return 0;
	fd = open(o->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 || bpf_map_update_elem(bpf_map__fd(s->bpf->maps.cgroups), &zero, &fd, BPF_ANY) ?
		-errno : 0;
	if (fd >= 0)
		close(fd);
	if (err)
		tool_error("--cgroup \"%s\": %s; it must be a directory of cgroup v2, as "
			   "/sys/fs/cgroup/system.slice", o->cgroup, strerror(-err));
	return err;
}

static int load(struct session *s, uint32_t mode, uint32_t types)
{
	int err;

	rights_begin();
	s->bpf = trace__open();
	if (!s->bpf) {
		rights_refused("eBPF programs", -errno);
		return RC_FAIL;
	}
	s->bpf->rodata->mode = mode;
	s->bpf->rodata->told = types;
	s->bpf->rodata->both = trace_source(s->o, SOURCE_PROBES) &&
			       trace_source(s->o, SOURCE_MODULE);
	s->bpf->rodata->only_names = s->o->patterns.n > 0 && s->o->patterns.n <= TRACE_PREFIXES;
	s->bpf->rodata->only_pids = s->o->pids.n;
	s->bpf->rodata->only_cgroup = !!s->o->cgroup;
	s->bpf->rodata->own_pidns = own_pidns();
	s->bpf->rodata->own_pid = getpid();
	choose_programs(s, types);
	attach_prepare(s->bpf->obj);
	if (s->o->buffer)
		(void)bpf_map__set_max_entries(s->bpf->maps.events, (uint32_t)s->o->buffer);
	err = trace__load(s->bpf);
	if (err) {
		rights_refused("load the eBPF programs", err);
		return RC_FAIL;
	}
	err = put_prefixes(s);
	if (!err)
		err = put_filters(s);
	if (err && !s->o->cgroup)
		rights_refused("fill the maps of filters", err);
	return err ? RC_FAIL : RC_OK;
}

/* A message without a stamp is paired with its publication, which needs that probe. */
static void unstamped(const struct named *n, void *arg)
{
	struct session *s = arg;

	if (!n->wanted || n->stamped || s->attach_more || !s->more.prog)
		return;
	if (!attach_new(&s->attach_more, &s->more, 1, 0))
		(void)attach_look(s->attach_more, 0);
}

/* Filters of processes do not apply to programs that only note a beginning. */
static void choose_everybody(struct session *s, uint32_t mode, uint32_t types)
{
	uint32_t publish = types & 1u << TRACE_TAKE ? TRACE_PUBLISH : TRACE_PUBLISH_SOME;

	s->progs[TRACE_WAKE].everybody = mode == TRACE_WAKE_UP;
	if (mode != TRACE_PUBLISH_TO_RECEIVE)
		return;
	s->more = s->progs[publish];
	s->more.everybody = 1;
	s->progs[publish].prog = NULL;
	s->names.fn = unstamped;
	s->names.arg = s;
}

static int look_everywhere(struct session *s)
{
	uint64_t from = tool_now_ns();
	int err = trace_source(s->o, SOURCE_PROBES) ? attach_look(s->attach, 0) : 0;

	if (!err && s->attach_more)
		err = attach_look(s->attach_more, 0);
	s->looked_ns = tool_now_ns();
	s->look_took_ns = s->looked_ns - from;
	s->look_again = 0;
	return err;
}

/* Modes that the module contributes to. */
static int begin_module(struct session *s, uint32_t mode, uint32_t types)
{
	const struct module_want want = { .o = s->o, .mode = mode, .types = types,
					  .with = s->bpf->obj };

	if (!trace_source(s->o, SOURCE_MODULE) || !(types & TRACE_MODULE_TYPES))
		return RC_OK;
	return module_new(&s->module, &want) && s->o->sources == SOURCE_MODULE ? RC_FAIL : RC_OK;
}

static void tell_sources(struct session *s)
{
	unsigned int files = attach_files(s->attach);
	char probes[64] = "";

	if (trace_source(s->o, SOURCE_PROBES))
		snprintf(probes, sizeof(probes), "the probes in %u file%s, and in those that come",
			 files, files == 1 ? "" : "s");
	s->had_module = module_on(s->module);
	if (!s->module)
		tool_note("listens to %s", probes);
	else if (s->had_module)
		tool_note("listens to %s%sthe kernel module", probes, *probes ? "; and to " : "");
	else if (*probes)
		tool_note("listens to %s; %s", probes, module_why_not());
	else
		tool_note("waits for the kernel module: %s", module_why_not());
}

/* It may be loaded while we run. */
static int look_at_module(struct session *s)
{
	if (!s->module || s->had_module)
		return RC_OK;
	if (module_look(s->module)) {	/* a message said that it does not work */
		module_free(s->module);
		s->module = NULL;
		return s->o->sources == SOURCE_MODULE ? RC_FAIL : RC_OK;
	}
	s->had_module = module_on(s->module);
	if (s->had_module)
		tool_note("the kernel module was loaded: listens to it, too; commands that "
			  "are started now find the names on its device");
	return RC_OK;
}

int session_begin(struct session *s, const struct trace_opts *o, uint32_t mode, uint32_t types)
{
	uint64_t pid = 0;
	int err;

	memset(s, 0, sizeof(*s));
	s->o = o;
	names_init(&s->names, o);
	session_signals(&s->open);
	if (rights_check() || load(s, mode, types))
		return RC_FAIL;
	choose_everybody(s, mode, types);
	if (o->pids.n == 1)	/* so that others do not get slower */
		(void)parse_number(o->pids.text[0], INT32_MAX, &pid);
	s->names.map = bpf_map__fd(s->bpf->maps.names);
	err = attach_new(&s->attach, s->progs, TRACE_PROBES, (pid_t)pid);
	if (!err)
		err = shmipc_watch_open(&s->watch, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS);
	if (!err)
		err = names_discover(&s->names);
	if (err) {
		tool_error_lib("look for segments in", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	if (look_everywhere(s) || begin_module(s, mode, types))
		return RC_FAIL;		/* a message was printed */
	tell_sources(s);
	s->end_ns = o->duration_ns ? tool_now_ns() + o->duration_ns : UINT64_MAX;
	return RC_OK;
}

static int joined(struct session *s, const struct shmipc_event *e)
{
	int err;

	if (!trace_source(s->o, SOURCE_PROBES))
		return 0;
	if (!e->end.pid) {
		s->look_again = 1;	/* in another PID namespace: it may be any process */
		return 0;
	}
	err = attach_look(s->attach, (pid_t)e->end.pid);
	if (!err && s->attach_more)
		err = attach_look(s->attach_more, (pid_t)e->end.pid);
	/* The module reports it. */
	if (err || module_on(s->module) || s->noted_pid == e->end.pid ||
	    attach_covers(s->attach, (pid_t)e->end.pid) || kill((pid_t)e->end.pid, 0))
		return err;
	s->noted_pid = e->end.pid;
	tool_note("pid %u has an end of \"%s\" and no probes that can be seen: its library was "
		  "built without <sys/sdt.h>, or the process may not be looked at", e->end.pid,
		  e->name);
	return 0;
}

/*
 * Segments in other directories, as in containers, are seen only by the eBPF programs.
 * If one has messages without a stamp, the probe publish is needed.
 */
static int learn(struct session *s)
{
	static const struct named unknown = { .wanted = 1 };

	if (names_learn(&s->names)) {
		tool_error("out of memory for the names of segments (ENOMEM)");
		return RC_FAIL;
	}
	if (s->bpf->bss->unpaired)
		unstamped(&unknown, s);
	s->learned_ns = tool_now_ns();
	return look_at_module(s);
}

/* Segments and ends that came and went; new ends may have new files. */
static int serve(struct session *s)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	int err;

	while (!(err = shmipc_watch_next(s->watch, &e, 0))) {
		if (e.type == SHMIPC_EVENT_APPEARED && !e.error &&
		    !names_add(&s->names, names_id(e.id), e.name))
			return RC_FAIL;
		if (e.type == SHMIPC_EVENT_JOINED && joined(s, &e))
			return RC_FAIL;
	}
	if (err != -EAGAIN) {
		tool_error_lib("watch", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	/* Looking at all processes takes at most a tenth of the time. */
	if (s->look_again && tool_now_ns() - s->looked_ns > 10 * s->look_took_ns &&
	    look_everywhere(s))
		return RC_FAIL;
	return tool_now_ns() - s->learned_ns >= LEARN_NS ? learn(s) : RC_OK;
}

int session_sleep(struct session *s, uint64_t until_ns, int fd)
{
	struct pollfd p[2] = {
		{ .fd = shmipc_watch_fd(s->watch), .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	uint64_t now = tool_now_ns(), ns;
	struct timespec ts;

	if (until_ns > s->end_ns)
		until_ns = s->end_ns;
	ns = until_ns > now ? until_ns - now : 0;
	if (ns > LEARN_NS)
		ns = LEARN_NS;
	if (s->look_again && ns > 10 * s->look_took_ns)
		ns = 10 * s->look_took_ns;
	ts.tv_sec = (time_t)(ns / NS_PER_S);
	ts.tv_nsec = (long)(ns % NS_PER_S);
	(void)ppoll(p, 2, &ts, &s->open);
	return serve(s);
}

int session_over(const struct session *s)
{
	return tool_stop || tool_now_ns() >= s->end_ns;
}

uint64_t session_events_lost(const struct session *s)
{
	return s->bpf->bss->events_lost + module_lost(s->module);
}

uint64_t session_hists_lost(const struct session *s)
{
	return s->bpf->bss->hists_lost + module_lost(s->module);
}

void session_detach(struct session *s)
{
	module_detach(s->module);
	attach_free(s->attach);
	attach_free(s->attach_more);
	s->attach = NULL;
	s->attach_more = NULL;
}

void session_done(struct session *s)
{
	session_detach(s);
	module_free(s->module);
	shmipc_watch_close(s->watch);
	trace__destroy(s->bpf);
	names_done(&s->names);
}
#endif /* WITH_BPF */
