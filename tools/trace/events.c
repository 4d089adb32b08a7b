// SPDX-License-Identifier: MIT
/* events.c - an event in words, in JSON, and from JSON */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <shmipc/error.h>
#include "events.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/view.h"

/* A type: its word, and the names of its arguments and of its duration in JSON. */
static const struct {
	const char *word;
	const char *arg[TRACE_ARGS];
	const char *took;
} types[TRACE_TYPES] = {
	[TRACE_PUBLISH] = { "publish", { "seq", "bytes", "n" }, NULL },
	[TRACE_PUBLISH_SOME] = { "publish_some", { "seq", "bytes", "n" }, NULL },
	[TRACE_TAKE] = { "take", { "seq", "bytes", "published_ns" }, "latency_ns" },
	[TRACE_TAKE_SOME] = { "take_some", { "seq", "bytes", "published_ns" }, "latency_ns" },
	[TRACE_FULL] = { "full", { "seq", "blocker", "behind" }, NULL },
	[TRACE_WAIT] = { "wait", { "off", "seq", "role" }, NULL },
	[TRACE_WAIT_END] = { "wait_end", { "off", "ret", "role" }, "slept_ns" },
	[TRACE_WAKE] = { "wake", { "off", "seq" }, NULL },
	[TRACE_GAP] = { "gap", { "from", "to", "lost" }, NULL },
	[TRACE_EVICT] = { "evict", { "blocker", "policy" }, NULL },
	[TRACE_ABORT] = { "abort", { "dead", "seq", "n" }, NULL },
	[TRACE_DEATH] = { "death", { "dead", "dead_pid", "role" }, NULL },
	[TRACE_HOLD] = { "hold", { "seq", "bytes" }, NULL },
	[TRACE_RELEASE] = { "release", { "seq" }, "held_ns" },
	[TRACE_ATTACH] = { "attach", { "role", "generation" }, NULL },
	[TRACE_DETACH] = { "detach", { "role", "generation" }, NULL },
	[TRACE_FENCE] = { "fence", { "blocker", "seq", "ret" }, NULL },
	[TRACE_CREATE] = { "create", { "kind", "bytes", "memory_bytes" }, NULL },
	[TRACE_OPEN] = { "open", { "kind", "bytes", "memory_bytes" }, NULL },
	[TRACE_DESTROY] = { "destroy", { "kind", "bytes", "memory_bytes" }, NULL },
	[TRACE_MOD_ATTACH] = { "attach", { "role", "generation", "messages", "attached", "kind" }, NULL },
	[TRACE_MOD_DETACH] = { "detach", { "role", "generation", "messages", "attached", "kind" }, NULL },
	[TRACE_MOD_DEATH] = { "death", { "role", "generation", "messages", "attached", "kind" }, NULL },
	[TRACE_MOD_WAIT] = { "wait", { "off", "val", "messages", "behind", "slowest" }, NULL },
	[TRACE_MOD_WAIT_END] = { "wait_end", { "off", "ret" }, "slept_ns" },
	[TRACE_MOD_WAKE] = { "wake", { "off", "woken" }, NULL },
	[TRACE_SAMPLE] = { "sample", { "messages", "behind", "slowest", "attached", "waiters" }, NULL },
	[TRACE_SAMPLE_PEER] = { "sample_peer",
				{ "role", "behind", "messages", "lost", "waits_for", "policy" }, NULL },
};

static int is_of_module(uint32_t type)
{
	return !!(TRACE_MODULE_TYPES & 1u << type);
}

const char *event_word(uint32_t type)
{
	return type < TRACE_TYPES ? types[type].word : NULL;
}

uint32_t event_types(const char *word, size_t len)
{
	uint32_t found = 0, i;

	for (i = 0; i < TRACE_TYPES; i++)
		if (strlen(types[i].word) == len && !memcmp(types[i].word, word, len))
			found |= 1u << i;
	return found;
}

/* Some words are of both sources: list those of probes, and then the rest. */
const char *event_words(char *text, size_t cap)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < TRACE_TYPES && n < cap; i++)
		if (!is_of_module(i) ||
		    event_types(types[i].word, strlen(types[i].word)) == 1u << i)
			n += (size_t)snprintf(text + n, cap - n, "%s%s", i ? ", " : "",
					      types[i].word);
	return text;
}

uint64_t event_wall_ns(uint64_t mono_ns)
{
	static uint64_t apart;
	struct timespec ts;

	/* Taken once: the lines of a run stay in order if the clock is set. */
	if (!apart) {
		clock_gettime(CLOCK_REALTIME, &ts);
		apart = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - tool_now_ns();
	}
	return mono_ns + apart;
}

const char *format_ns(double ns, char text[TIME_TEXT])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int u = 0;

	while (u < 3 && ns >= 1000) {
		ns /= 1000;
		u++;
	}
	if (!u)
		snprintf(text, TIME_TEXT, "%.0f ns", ns);
	else
		snprintf(text, TIME_TEXT, ns < 10 ? "%.2f %s" : ns < 100 ? "%.1f %s" : "%.0f %s",
			 ns, units[u]);
	return text;
}

const char *id_text(uint64_t id, char text[ID_TEXT])
{
	snprintf(text, ID_TEXT, "%016" PRIx64, __builtin_bswap64(id));
	return text;
}

int id_from_text(const char *text, uint64_t *ret)
{
	char *end;

	*ret = __builtin_bswap64(strtoull(text, &end, 16));
	return *end || end == text ? -EINVAL : 0;
}

/* "slot 66 (pid 4711, reader)", as far as known. */
static void print_peer(FILE *to, uint64_t id, uint64_t slot, struct names *names)
{
	struct names_peer p = { 0 };

	if (slot == TRACE_NOBODY) {
		fprintf(to, "no end in particular");
		return;
	}
	fprintf(to, "slot %" PRIu64, slot);
	if (names)
		p = names_peer(names, id, (uint32_t)slot);
	if (p.pid)
		fprintf(to, " (pid %" PRIu32 ", %s)", p.pid, p.comm);
	else if (*p.comm)
		fprintf(to, " (%s)", p.comm);
}

static void print_messages(FILE *to, const struct trace_event *e)
{
	if (e->arg[2] > 1)
		fprintf(to, "messages %llu to %llu, %llu B", e->arg[0], e->arg[0] + e->arg[2] - 1,
			e->arg[1]);
	else
		fprintf(to, "message %llu, %llu B", e->arg[0], e->arg[1]);
}

static void print_message_args(FILE *to, const struct trace_event *e)
{
	char t[TIME_TEXT];

	switch (e->type) {
	case TRACE_PUBLISH:
		print_messages(to, e);
		break;
	case TRACE_PUBLISH_SOME:
	case TRACE_HOLD:
		fprintf(to, "message %llu, %llu B", e->arg[0], e->arg[1]);
		break;
	case TRACE_TAKE:
	case TRACE_TAKE_SOME:
		fprintf(to, "message %llu, %llu B", e->arg[0], e->arg[1]);
		if (e->took_ns)
			fprintf(to, ", %s after it was published", format_ns((double)e->took_ns, t));
		break;
	case TRACE_RELEASE:
		fprintf(to, "message %llu", e->arg[0]);
		if (e->took_ns)
			fprintf(to, ", held %s", format_ns((double)e->took_ns, t));
		break;
	}
}

static void print_wait_args(FILE *to, const struct trace_event *e)
{
	char t[TIME_TEXT];
	int ret = (int)(int64_t)e->arg[1];

	switch (e->type) {
	case TRACE_WAIT:
		fprintf(to, "sleeps as %s at +0x%llx, for message %llu",
			role_word((uint32_t)e->arg[2]), e->arg[0], e->arg[1]);
		break;
	case TRACE_WAIT_END:
		fprintf(to, "runs again as %s, from +0x%llx", role_word((uint32_t)e->arg[2]),
			e->arg[0]);
		if (e->took_ns)
			fprintf(to, ", slept %s", format_ns((double)e->took_ns, t));
		if (ret)
			fprintf(to, " (%s)", shmipc_error_name(ret));
		break;
	case TRACE_WAKE:
		fprintf(to, "wakes the sleepers at +0x%llx, for message %llu", e->arg[0], e->arg[1]);
		break;
	}
}

static void print_other_args(FILE *to, const struct trace_event *e, struct names *names)
{
	switch (e->type) {
	case TRACE_FULL:
		fprintf(to, "no room for message %llu: ", e->arg[0]);
		print_peer(to, e->id, e->arg[1], names);
		fprintf(to, " is %llu behind", e->arg[2]);
		break;
	case TRACE_GAP:
		fprintf(to, "lost %llu messages, of %llu to %llu", e->arg[2], e->arg[0],
			e->arg[1] - 1);
		break;
	case TRACE_EVICT:
		fprintf(to, "does not wait any longer for ");
		print_peer(to, e->id, e->arg[0], names);
		break;
	case TRACE_FENCE:
		fprintf(to, e->arg[2] ? "could not cut off " : "cut off ");
		print_peer(to, e->id, e->arg[0], names);
		fprintf(to, ", which is stopped in the middle of message %llu", e->arg[1]);
		if (e->arg[2])
			fprintf(to, " (%s)", shmipc_error_name((int)(int64_t)e->arg[2]));
		break;
	case TRACE_ABORT:
		fprintf(to, "%llu messages from %llu on will never be completed, of ", e->arg[2], e->arg[1]);
		if (e->arg[0] == TRACE_NOBODY)
			fprintf(to, "a dead publisher");
		else
			print_peer(to, e->id, e->arg[0], names);
		break;
	case TRACE_DEATH:
		fprintf(to, "saw that slot %llu died: pid %llu, %s", e->arg[0], e->arg[1],
			role_word((uint32_t)e->arg[2]));
		break;
	case TRACE_ATTACH:
	case TRACE_DETACH:
		fprintf(to, "%s as %s, generation %llu", e->type == TRACE_ATTACH ? "comes" : "goes",
			role_word((uint32_t)e->arg[0]), e->arg[1]);
		break;
	}
}

static void print_slowest(FILE *to, uint64_t id, uint64_t slot, uint64_t behind, struct names *names)
{
	if (slot == TRACE_NOBODY)
		return;
	fprintf(to, ", ");
	print_peer(to, id, slot, names);
	fprintf(to, " is %" PRIu64 " behind", behind);
}

static void print_sample(FILE *to, const struct trace_event *e, struct names *names)
{
	if (e->type == TRACE_SAMPLE) {
		fprintf(to, "%llu messages, %llu ends, %llu asleep", e->arg[0], e->arg[3], e->arg[4]);
		print_slowest(to, e->id, e->arg[2], e->arg[1], names);
		return;
	}
	fprintf(to, "%s, %llu messages, %llu behind, %llu lost", role_word((uint32_t)e->arg[0]),
		e->arg[2], e->arg[1], e->arg[3]);
	if (e->arg[4] != TRACE_NOBODY) {
		fprintf(to, ", waits for ");
		print_peer(to, e->id, e->arg[4], names);
	}
}

/* From the kernel module. */
static void print_module_args(FILE *to, const struct trace_event *e, struct names *names)
{
	int ret = (int)(int64_t)e->arg[1];
	char t[TIME_TEXT];

	switch (e->type) {
	case TRACE_CREATE:
	case TRACE_OPEN:
	case TRACE_DESTROY:
		fprintf(to, "%s, %llu B, memory %llu B", kind_word((uint32_t)e->arg[0]), e->arg[1],
			e->arg[2]);
		break;
	case TRACE_MOD_ATTACH:
	case TRACE_MOD_DETACH:
	case TRACE_MOD_DEATH:
		fprintf(to, "%s as %s, generation %llu; %llu messages, %llu ends left",
			e->type == TRACE_MOD_ATTACH ? "comes" :
			e->type == TRACE_MOD_DETACH ? "goes" : "died",
			role_word((uint32_t)e->arg[0]), e->arg[1], e->arg[2], e->arg[3]);
		break;
	case TRACE_MOD_WAIT:
		fprintf(to, "sleeps at +0x%llx; %llu messages", e->arg[0], e->arg[2]);
		print_slowest(to, e->id, e->arg[4], e->arg[3], names);
		break;
	case TRACE_MOD_WAIT_END:
		fprintf(to, "runs again, from +0x%llx, slept %s", e->arg[0],
			format_ns((double)e->took_ns, t));
		if (ret)
			fprintf(to, " (%s)", shmipc_error_name(ret));
		break;
	case TRACE_MOD_WAKE:
		fprintf(to, "woke %llu at +0x%llx", e->arg[1], e->arg[0]);
		break;
	case TRACE_SAMPLE:
	case TRACE_SAMPLE_PEER:
		print_sample(to, e, names);
		break;
	}
}

void event_print(FILE *to, const struct trace_event *e, const char *name, uint64_t wall_ns,
		 struct names *names)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	char when[16], comm[TRACE_COMM + 1], slot[16] = "-", pid[16] = "?";
	struct tm tm;

	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&s, &tm));
	if (e->slot != TRACE_NOBODY)
		snprintf(slot, sizeof(slot), "%u", e->slot);
	if (e->pid)
		snprintf(pid, sizeof(pid), "%d", e->pid);
	fprintf(to, "%s.%06" PRIu64 "  %-20s %-11s slot %-4s pid %-7s %-15s  ", when,
		wall_ns % NS_PER_S / 1000, name, types[e->type].word, slot, pid,
		clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm)));
	print_message_args(to, e);
	print_wait_args(to, e);
	print_other_args(to, e, names);
	print_module_args(to, e, names);
	fputc('\n', to);
}

static int is_word(const char *arg)
{
	return !strcmp(arg, "role") || !strcmp(arg, "policy") || !strcmp(arg, "kind");
}

static int is_slot(const char *arg)
{
	return !strcmp(arg, "blocker") || !strcmp(arg, "dead") || !strcmp(arg, "slowest") ||
	       !strcmp(arg, "waits_for");
}

static json_t *arg_json(const char *arg, uint64_t v)
{
	if (!strcmp(arg, "role"))
		return json_string(role_word((uint32_t)v));
	if (!strcmp(arg, "policy"))
		return json_string(policy_word((uint32_t)v));
	if (!strcmp(arg, "kind"))
		return json_string(kind_word((uint32_t)v));
	if (is_slot(arg) && v == TRACE_NOBODY)
		return json_null();
	return json_integer((json_int_t)v);
}

json_t *event_json(const struct trace_event *e, const char *name, uint64_t wall_ns)
{
	char id[ID_TEXT], comm[TRACE_COMM + 1];
	json_t *obj;
	unsigned int i;

	id_text(e->id, id);
	obj = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:i, s:i, s:s}", "event",
			types[e->type].word, "source",
			is_of_module(e->type) ? "module" : "probes", "mono_ns", json_u64(e->mono_ns), "wall_ns",
			json_u64(wall_ns), "name", name, "id", id, "slot",
			e->slot == TRACE_NOBODY ? json_null() : json_integer(e->slot),
			"pid", e->pid, "tid", e->tid,
			"comm", clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm)));
	for (i = 0; obj && i < TRACE_ARGS && types[e->type].arg[i]; i++)
		json_object_set_new(obj, types[e->type].arg[i],
				    arg_json(types[e->type].arg[i], e->arg[i]));
	if (obj && types[e->type].took && e->took_ns)
		json_object_set_new(obj, types[e->type].took, json_integer(json_u64(e->took_ns)));
	return obj;
}

/* The number for a word of view/view.c. */
static uint64_t word_number(const char *arg, const char *word)
{
	uint32_t i;

	for (i = 0; i < 8; i++)
		if (!strcmp(word, *arg == 'r' ? role_word(i) : *arg == 'k' ? kind_word(i) :
					       policy_word(i)))
			break;
	return i;
}

static uint64_t arg_from_json(const json_t *obj, const char *arg)
{
	const json_t *v = json_object_get(obj, arg);

	if (json_is_null(v))
		return TRACE_NOBODY;
	if (is_word(arg))
		return word_number(arg, json_is_string(v) ? json_string_value(v) : "");
	return (uint64_t)json_integer_value(v);
}

/* A recording without the member "source" is of probes alone, and may have counters. */
static uint32_t type_from_json(const json_t *obj, const char *word)
{
	const char *source = json_string_value(json_object_get(obj, "source"));
	uint32_t of = source && !strcmp(source, "module") ? TRACE_MODULE_TYPES : TRACE_PROBE_TYPES;
	uint32_t found = event_types(word, strlen(word)) & of;

	return found ? (uint32_t)__builtin_ctz(found) : TRACE_TYPES;
}

int event_from_json(const json_t *obj, struct trace_event *ret, const char **ret_name,
		    uint64_t *ret_wall_ns)
{
	const char *word, *id, *comm;
	json_t *slot;
	json_int_t mono, wall;
	unsigned int i;
	uint64_t seg;

	if (json_unpack((json_t *)obj, "{s:s}", "event", &word))
		return -ENOMSG;
	memset(ret, 0, sizeof(*ret));
	ret->type = type_from_json(obj, word);
	if (ret->type == TRACE_TYPES)
		return -ENOMSG;
	if (json_unpack((json_t *)obj, "{s:I, s:I, s:s, s:s, s:o, s:i, s:i, s:s}", "mono_ns", &mono,
			"wall_ns", &wall, "name", ret_name, "id", &id, "slot", &slot,
			"pid", &ret->pid, "tid", &ret->tid, "comm", &comm))
		return -EINVAL;
	ret->mono_ns = (uint64_t)mono;
	*ret_wall_ns = (uint64_t)wall;
	if (id_from_text(id, &seg))
		return -EINVAL;
	ret->id = seg;
	ret->slot = json_is_null(slot) ? TRACE_NOBODY : (uint32_t)json_integer_value(slot);
	snprintf(ret->comm, sizeof(ret->comm), "%s", comm);
	for (i = 0; i < TRACE_ARGS && types[ret->type].arg[i]; i++)
		ret->arg[i] = arg_from_json(obj, types[ret->type].arg[i]);
	if (types[ret->type].took)
		ret->took_ns = (uint64_t)json_integer_value(
			json_object_get(obj, types[ret->type].took));
	return 0;
}
