// SPDX-License-Identifier: MIT
/* deaths_tell.c - deaths, in words and in JSON */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "deaths_tell.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/view.h"

#define HOW_TEXT	128

static void print_time(uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	char text[16] = "";

	if (localtime_r(&s, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s.%03u ", text, (unsigned int)(wall_ns % NS_PER_S / NS_PER_MS));
}

static const char *signal_name(uint32_t sig, char text[16])
{
	const char *name = sigabbrev_np((int)sig);

	if (name)
		snprintf(text, 16, "SIG%.11s", name);
	else
		snprintf(text, 16, "signal %" PRIu32, sig);
	return text;
}

/* "SIGKILL from bash (pid 77)" */
static void how_words(const struct death_exit *how, char text[HOW_TEXT])
{
	char name[16], comm[TRACE_COMM], from[TRACE_COMM + 32] = "";
	uint32_t sig = how->code & 0x7f;

	if (!sig) {
		snprintf(text, HOW_TEXT, "exit code %" PRIu32 " without closing", how->code >> 8 & 0xff);
		return;
	}
	clean_text(how->sender_comm, sizeof(how->sender_comm), comm, sizeof(comm));
	if (how->sender && how->sender == how->pid)
		snprintf(from, sizeof(from), " by itself");
	else if (how->sender)
		snprintf(from, sizeof(from), " from %s (pid %d)", comm, how->sender);
	snprintf(text, HOW_TEXT, "%s%s%s%s", signal_name(sig, name),
		 how->by_oom == 1 ? ", out of memory," : "", from,
		 how->code & 0x80 ? ", core dumped" : "");
}

/* Without eBPF, or if it ended before eBPF was ready. */
static void how_unknown(const struct held *h, char text[HOW_TEXT])
{
	struct process_doing doing;

	process_doing(process_seen(h->process), &doing);
	if (doing.state && doing.state != 'Z' && doing.state != 'X')
		snprintf(text, HOW_TEXT, "it is alive, and detached without closing");
	else
		snprintf(text, HOW_TEXT, "how it ended is not known");
}

/* Its name when it ended, or when it attached. */
static const char *name_of(const struct held *h, const struct death_exit *how, char comm[TRACE_COMM])
{
	return clean_text(how ? how->comm : h->end.comm, TRACE_COMM, comm, TRACE_COMM);
}

static int pid_of(const struct held *h, const struct death_exit *how)
{
	return how && how->pid ? how->pid : (int)h->end.pid;
}

static void print_pid(int pid, const struct held *h)
{
	if (pid)
		printf("pid %d", pid);
	else if (h->process.pid)
		printf("pid %" PRIu32 " of PID namespace %" PRIu32, h->process.pid, h->process.pidns);
	else
		printf("pid not known");
}

static void print_death(const struct held *const *end, unsigned int n,
			const struct death_exit *how)
{
	char comm[TRACE_COMM], text[HOW_TEXT], name[SHMIPC_NAME_MAX + 8];
	unsigned int i;

	if (how)
		how_words(how, text);
	else
		how_unknown(end[0], text);
	print_time(end[0]->noticed_ns);
	printf("died: %s (", name_of(end[0], how, comm));
	print_pid(pid_of(end[0], how), end[0]);
	printf("): %s:", text);
	for (i = 0; i < n && i < TELL_ENDS; i++)
		printf("%s %s of %s %s (slot %" PRIu32 "%s)", i ? "," : "", role_word(end[i]->end.role),
		       end[i]->kind ? kind_word(end[i]->kind) : "segment",
		       clean_text(end[i]->name, sizeof(end[i]->name), name, sizeof(name)),
		       end[i]->end.slot, end[i]->far ? ", of another directory or container" : "");
	if (i < n)
		printf(" and %u more", n - i);
	putchar('\n');
}

static json_t *end_json(const struct held *h)
{
	char id[ID_TEXT];

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:I, s:I, s:I}", "name", h->name, "id",
			 id_text(h->id, id), "kind", kind_word(h->kind), "elsewhere", h->far, "source",
			 h->by_module ? "module" : h->far ? "probes" : "counters", "role",
			 role_word(h->end.role), "slot", json_u64(h->end.slot), "generation",
			 json_u64(h->end.generation), "since_ns", json_u64(h->end.since_ns));
}

static json_t *ends_json(const struct held *const *end, unsigned int n)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; list && i < n && i < TELL_ENDS; i++) {
		if (json_array_append_new(list, end_json(end[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Unknown values are null. */
static json_t *how_json(const struct death_exit *how)
{
	char name[16], comm[TRACE_COMM];
	uint32_t sig = how ? how->code & 0x7f : 0;
	json_t *from = NULL;

	if (how && how->sender)
		from = json_pack("{s:i, s:s}", "pid", how->sender, "comm",
				 clean_text(how->sender_comm, TRACE_COMM, comm, sizeof(comm)));
	if (!how)
		return json_pack("{s:n, s:n, s:n, s:n, s:n}", "signal", "exit_code", "core", "oom",
				 "sender");
	return json_pack("{s:s?, s:o, s:b, s:o, s:o?}", "signal", sig ? signal_name(sig, name) : NULL,
			 "exit_code", sig ? json_null() : json_integer(how->code >> 8 & 0xff),
			 "core", !!(how->code & 0x80), "oom",
			 how->by_oom == DEATH_NOT_KNOWN ? json_null() : json_boolean(how->by_oom),
			 "sender", from);
}

static void json_death(const struct held *const *end, unsigned int n, const struct death_exit *how)
{
	char comm[TRACE_COMM];
	int pid = pid_of(end[0], how);
	json_t *obj, *more;

	obj = json_pack("{s:s, s:I, s:s, s:o}", "event", "died", "wall_ns",
			json_u64(how ? event_wall_ns(how->mono_ns) : end[0]->noticed_ns), "comm",
			name_of(end[0], how, comm), "pid",
			pid ? json_integer(pid) : json_null());
	more = obj ? how_json(how) : NULL;
	if (!more || json_object_update(obj, more) ||
	    json_object_set_new(obj, "noticed_ns", json_integer(json_u64(end[0]->noticed_ns))) ||
	    json_object_set_new(obj, "nends", json_integer(n)) ||
	    json_object_set_new(obj, "ends", ends_json(end, n))) {
		json_decref(obj);
		obj = NULL;
	}
	json_decref(more);
	json_line(stdout, obj);
}

void tell_death(const struct trace_opts *o, const struct held *const *end, unsigned int n,
		const struct death_exit *how)
{
	if (o->json)
		json_death(end, n, how);
	else
		print_death(end, n, how);
}

void tell_abort(const struct trace_opts *o, const struct held *h, const struct death_note *n)
{
	uint64_t now = event_wall_ns(tool_now_ns());
	char comm[TRACE_COMM], by[TRACE_COMM];

	clean_text(n->comm, sizeof(n->comm), by, sizeof(by));
	name_of(h, NULL, comm);
	if (o->json) {
		json_line(stdout, json_pack("{s:s, s:I, s:s, s:I, s:s, s:I, s:I, s:s, s:i}", "event",
					    "aborted", "wall_ns", json_u64(now), "name", h->name,
					    "slot", json_u64(n->dead), "comm", comm, "seq",
					    json_u64(n->seq), "messages", json_u64(n->n),
					    "noticed_by", by, "noticed_by_pid", n->pid));
		return;
	}
	print_time(now);
	printf("aborted: %" PRIu64 " messages of %s from number %" PRIu64 " on, of %s (", (uint64_t)n->n, h->name,
	       (uint64_t)n->seq, comm);
	print_pid((int)h->end.pid, h);
	printf("), will never be completed; noticed by %s (pid %d)\n", by, n->pid);
}

static int before(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	const struct trace_opts *o = arg;
	char comm[TRACE_COMM];
	uint32_t i;

	if (err || !opts_matches(&o->patterns, name))
		return 0;
	for (i = 0; i < st->npeers && i < st->peer_cap; i++) {
		const struct shmipc_peer_info *p = &st->peer[i];
		struct held h = { .kind = st->info.kind, .end = *p };

		if (p->state != SHMIPC_PEER_DIED)
			continue;
		memcpy(&h.id, st->info.id, sizeof(h.id));
		snprintf(h.name, sizeof(h.name), "%s", name);
		h.process = process_of_end(name, p->slot, p->generation, p->pid);
		clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm));
		if (o->json) {
			json_line(stdout, json_pack("{s:s, s:s, s:I, s:[o]}", "event", "died-before",
						    "comm", comm, "pid", json_u64(p->pid), "ends",
						    end_json(&h)));
			continue;
		}
		printf("died before: %s (", comm);
		print_pid((int)p->pid, &h);
		printf("): %s of %s %s (slot %" PRIu32 ")\n", role_word(p->role),
		       kind_word(h.kind), name, p->slot);
	}
	return 0;
}

int tell_before(const struct trace_opts *o)
{
	int err = shmipc_discover_each(NULL, SHMIPC_KIND_ANY, before, (void *)(uintptr_t)o);

	if (!err)
		return tool_flush();
	tool_error_lib("look for segments in", shmipc_segment_dir(), err);
	return RC_FAIL;
}
