// SPDX-License-Identifier: MIT
/* deaths_tell.c - deaths, in words and in JSON */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "deaths_tell.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/death.h"
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
	snprintf(text, HOW_TEXT, "%s%s%s%s", death_signal(sig, name),
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

/* The receipt of one of its ends; NULL: there is none. */
static const struct shmipc_death_info *receipt_of(const struct held *const *end, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && i < TELL_ENDS; i++)
		if (end[i]->receipt.seq)
			return &end[i]->receipt;
	return NULL;
}

/* The end that it is about, as it was. */
void held_of_receipt(struct held *h, const struct shmipc_death_info *d)
{
	h->receipt = *d;
	h->by_module = 1;
	h->pidfd = -1;
	h->gone = SHMIPC_EVENT_DIED;
	h->noticed_ns = d->at_ns;
	h->end.slot = d->slot;
	h->end.role = d->role;
	h->end.state = SHMIPC_PEER_DIED;
	h->end.pid = d->pid;
	h->end.generation = d->generation;
	h->end.since_ns = d->since_ns;
	memcpy(h->end.comm, d->comm, sizeof(h->end.comm));
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
	const struct shmipc_death_info *receipt = receipt_of(end, n);
	char comm[TRACE_COMM], text[HOW_TEXT], name[SHMIPC_NAME_MAX + 8], where[DEATH_TEXT];
	unsigned int i;

	if (how)
		how_words(how, text);
	else if (receipt)
		death_how(receipt, text);
	else
		how_unknown(end[0], text);
	print_time(end[0]->noticed_ns);
	printf("died: %s (", name_of(end[0], how, comm));
	print_pid(pid_of(end[0], how), end[0]);
	printf("): %s:", text);
	for (i = 0; i < n && i < TELL_ENDS; i++) {
		death_where(&end[i]->receipt, where);
		printf("%s %s of %s %s (slot %" PRIu32 "%s%s%s)", i ? "," : "",
		       role_word(end[i]->end.role), end[i]->kind ? kind_word(end[i]->kind) : "segment",
		       clean_text(end[i]->name, sizeof(end[i]->name), name, sizeof(name)),
		       end[i]->end.slot, end[i]->far ? ", of another directory or container" : "",
		       end[i]->receipt.seq && *where ? ", " : "", end[i]->receipt.seq ? where : "");
	}
	if (i < n)
		printf(" and %u more", n - i);
	putchar('\n');
}

static json_t *end_json(const struct held *h)
{
	char id[ID_TEXT];

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:o}", "name", h->name, "id",
			 id_text(h->id, id), "kind", kind_word(h->kind), "elsewhere", h->far, "source",
			 h->by_module ? "module" : h->far ? "probes" : "counters", "role",
			 role_word(h->end.role), "slot", json_u64(h->end.slot), "generation",
			 json_u64(h->end.generation), "since_ns", json_u64(h->end.since_ns), "receipt",
			 h->receipt.seq ? death_json(&h->receipt) : json_null());
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

/* The same of the kernel module's receipt, which does not know the sender. */
static json_t *receipt_json(const struct shmipc_death_info *d)
{
	static const char *const key[] = { "how", "signal", "exit_code", "core", "oom" };
	json_t *all = death_json(d), *obj = json_pack("{s:n}", "sender");
	size_t i;

	for (i = 0; all && i < sizeof(key) / sizeof(key[0]); i++)
		json_object_set(obj, key[i], json_object_get(all, key[i]));
	json_decref(all);
	return obj;
}

/* Unknown values are null. */
static json_t *how_json(const struct death_exit *how, const struct shmipc_death_info *receipt)
{
	char name[16], comm[TRACE_COMM];
	uint32_t sig = how ? how->code & 0x7f : 0;
	json_t *from = NULL;

	if (how && how->sender)
		from = json_pack("{s:i, s:s}", "pid", how->sender, "comm",
				 clean_text(how->sender_comm, TRACE_COMM, comm, sizeof(comm)));
	if (!how && receipt)
		return receipt_json(receipt);
	if (!how)
		return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n}", "how", "signal", "exit_code",
				 "core", "oom", "sender");
	return json_pack("{s:s, s:s?, s:o, s:b, s:o, s:o?}", "how", sig ? "signal" : "exit", "signal",
			 sig ? death_signal(sig, name) : NULL,
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
	more = obj ? how_json(how, receipt_of(end, n)) : NULL;
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

/* Of one segment. */
struct before {
	const struct trace_opts *o;
	struct receipts *receipts;
	struct held h;
	/* Whose receipts were shown. */
	struct shmipc_death_info shown[SHMIPC_DEV_DEATHS_KEPT];
	unsigned int n;
};

static void print_before(const struct before *b)
{
	const struct held *h = &b->h;
	char comm[TRACE_COMM], how[DEATH_TEXT], where[DEATH_TEXT], at[32] = "";
	time_t s = (time_t)(h->receipt.at_ns / NS_PER_S);
	struct tm tm;

	clean_text(h->end.comm, sizeof(h->end.comm), comm, sizeof(comm));
	if (b->o->json) {
		json_t *obj = json_pack("{s:s, s:s, s:I, s:[o]}", "event", "died-before", "comm", comm,
					"pid", json_u64(h->end.pid), "ends", end_json(h));
		json_t *more = how_json(NULL, h->receipt.seq ? &h->receipt : NULL);

		json_object_update(obj, more);
		json_decref(more);
		json_line(stdout, obj);
		return;
	}
	printf("died before: %s (", comm);
	print_pid((int)h->end.pid, h);
	printf("):");
	if (h->receipt.seq && localtime_r(&s, &tm)) {
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
		printf(" %s, %s:", at, death_how(&h->receipt, how));
	}
	death_where(&h->receipt, where);
	printf(" %s of %s %s (slot %" PRIu32 "%s%s)\n", role_word(h->end.role), kind_word(h->kind),
	       h->name, h->end.slot, h->receipt.seq && *where ? ", " : "",
	       h->receipt.seq ? where : "");
}

static void before_receipt(const struct shmipc_death_info *d, void *arg)
{
	struct before *b = arg;
	struct held *h = &b->h;

	held_of_receipt(h, d);
	if (b->n < SHMIPC_DEV_DEATHS_KEPT)
		b->shown[b->n++] = *d;
	print_before(b);
}

static int is_shown(const struct before *b, const struct shmipc_peer_info *p)
{
	unsigned int i;

	for (i = 0; i < b->n; i++)
		if (b->shown[i].slot == p->slot && b->shown[i].generation == p->generation)
			return 1;
	return 0;
}

static int before(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	struct before *b = arg;
	uint64_t lost;
	uint32_t i;

	if (err || !opts_matches(&b->o->patterns, name))
		return 0;
	memset(&b->h, 0, sizeof(b->h));
	b->n = 0;
	b->h.kind = st->info.kind;
	memcpy(&b->h.id, st->info.id, sizeof(b->h.id));
	snprintf(b->h.name, sizeof(b->h.name), "%s", name);
	lost = receipts_read(b->receipts, b->h.id, name, before_receipt, b);
	if (lost)
		tool_note("%s: of %" PRIu64 " earlier deaths no receipts are kept any more", name, lost);
	memset(&b->h.receipt, 0, sizeof(b->h.receipt));
	for (i = 0; i < st->npeers && i < st->peer_cap; i++) {
		const struct shmipc_peer_info *p = &st->peer[i];

		if (p->state != SHMIPC_PEER_DIED || is_shown(b, p))
			continue;
		b->h.end = *p;
		b->h.process = process_of_end(name, p->slot, p->generation, p->pid);
		print_before(b);
	}
	return 0;
}

int tell_before(const struct trace_opts *o, struct receipts *receipts)
{
	struct before b = { .o = o, .receipts = receipts };
	int err = shmipc_discover_each(NULL, SHMIPC_KIND_ANY, before, &b);

	if (!err)
		return tool_flush();
	tool_error_lib("look for segments in", shmipc_segment_dir(), err);
	return RC_FAIL;
}
