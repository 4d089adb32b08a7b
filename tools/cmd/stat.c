// SPDX-License-Identifier: MIT
/* stat.c - shmipc stat: all about one segment */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../view/death.h"
#include "../view/more.h"
#include "../util/util.h"
#include "../view/view.h"

#define DEATHS_SHOWN	8u	/* as text */

struct stat_opts {
	int json;
};

static const struct opt options[] = {
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct stat_opts, json),
	  .help = "write one object" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static int is_ring(const struct shmipc_segment_stat *st)
{
	return st->info.kind == SHMIPC_KIND_SPSC || st->info.kind == SHMIPC_KIND_BCAST;
}

/* Peers move on between two reads, and may write nonsense: never below 0. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void id_text(const uint8_t id[16], char text[33])
{
	int i;

	for (i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

static json_t *peer_json(const struct shmipc_peer_info *p)
{
	char comm[sizeof(p->comm) + 1];

	return json_pack("{s:i, s:s, s:s, s:i, s:I, s:I, s:s}", "slot", (int)p->slot,
			 "role", role_word(p->role), "state", peer_state_word(p->state),
			 "pid", (int)p->pid, "generation", json_u64(p->generation),
			 "since_ns", json_u64(p->since_ns),
			 "comm", clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)));
}

static void add(json_t *obj, const char *key, uint64_t v)
{
	json_object_set_new(obj, key, json_integer(json_u64(v)));
}

static void add_lists(json_t *obj, const struct shmipc_segment_stat *st)
{
	json_t *caps = json_array(), *peers = json_array();
	const char *word;
	uint32_t i;

	for (i = 0; (word = cap_word(st->info.caps, i)); i++)
		json_array_append_new(caps, json_string(word));
	for (i = 0; i < st->npeers; i++)
		json_array_append_new(peers, peer_json(&st->peer[i]));
	json_object_set_new(obj, "caps", caps);
	json_object_set_new(obj, "peers", peers);
}

/* Null: the backend keeps no receipts. */
static void add_deaths(json_t *obj, const struct shmipc_deaths *d)
{
	json_t *list;
	uint32_t i;

	if (!d) {
		json_object_set_new(obj, "deaths", json_null());
		return;
	}
	list = json_array();
	for (i = 0; i < d->ndeaths; i++)
		json_array_append_new(list, death_json(&d->death[i]));
	json_object_set_new(obj, "deaths", json_pack("{s:I, s:I, s:o}", "total",
						     json_u64(d->total), "overwritten",
						     json_u64(d->lost), "receipts", list));
}

static void print_json(const struct shmipc_segment_stat *st, const struct view_more *more,
		       const struct shmipc_deaths *deaths)
{
	json_t *obj = view_json(st);
	char id[33];

	id_text(st->info.id, id);
	json_object_set_new(obj, "id", json_string(id));
	add(obj, "created_ns", st->info.created_ns);
	json_object_set_new(obj, "node_asked", json_integer(st->info.node_asked));
	json_object_set_new(obj, "node", json_integer(st->info.node_got));
	if (is_ring(st)) {
		add(obj, "align", st->info.align);
		add(obj, "meta_bytes", st->info.meta_bytes);
		add(obj, "tail_pos", st->tail_pos);
		add(obj, "tail_seq", st->tail_seq);
		add(obj, "head_pos", st->head_pos);
		add(obj, "head_seq", st->head_seq);
		add(obj, "used_bytes", minus(st->tail_pos, st->head_pos));
		add(obj, "backlog", minus(st->tail_seq, st->head_seq));
	}
	view_more_add_all(obj, more);
	add_lists(obj, st);
	add_deaths(obj, deaths);
	json_line(stdout, obj);
}

static void print_segment(const struct shmipc_segment_stat *st)
{
	const struct shmipc_segment_info *info = &st->info;
	char a[TEXT_BYTES], b[TEXT_BYTES], name[sizeof(info->name)];
	const char *word;
	uint32_t i;

	printf("name      %s\n", clean_text(info->name, sizeof(info->name), name, sizeof(name)));
	printf("kind      %s\n", kind_word(info->kind));
	printf("state     %s%s\n", segment_state_word(st),
	       info->flags & SHMIPC_SEG_PERSISTENT && st->in_use ? ", persistent" : "");
	printf("size      %s, %s with its control pages\n", format_bytes(info->data_bytes, a),
	       format_bytes(info->total_bytes, b));
	printf("memory    %s taken so far", format_bytes(info->memory_bytes, a));
	if (info->huge_bytes)
		printf(", %s of it in huge pages", format_bytes(info->huge_bytes, a));
	printf("\n");
	printf("page      %s, asked for %s\n", format_bytes(info->page_got, a),
	       info->page_asked ? format_bytes(info->page_asked, b) : "auto");
	printf("node      ");
	if (info->node_got < 0)
		printf("unknown");
	else
		printf("%" PRId32, info->node_got);
	if (info->node_asked < 0)
		printf(", asked for any\n");
	else
		printf(", asked for %" PRId32 "\n", info->node_asked);
	printf("owner     %s, group %s, mode %04o\n", user_name(info->uid, a),
	       group_name(info->gid, b), info->mode & 07777);
	view_when(info->created_ns, a);
	printf("created   %s\n", a);
	printf("backend   %s:", info->backend ? info->backend : "unknown");
	for (i = 0; (word = cap_word(info->caps, i)); i++)
		printf(" %s", word);
	printf("%s\n", i ? "" : " no capabilities");
}

static void print_ring(const struct shmipc_segment_stat *st)
{
	uint64_t used = minus(st->tail_pos, st->head_pos);
	char a[TEXT_BYTES];

	printf("messages  of any length, aligned to %" PRIu32 "\n", st->info.align);
	printf("tail      message %" PRIu64 ", position %" PRIu64 "\n", st->tail_seq, st->tail_pos);
	printf("head      message %" PRIu64 ", position %" PRIu64 "%s\n", st->head_seq,
	       st->head_pos, st->info.kind == SHMIPC_KIND_BCAST ? " (oldest kept)" : "");
	printf("backlog   %" PRIu64 " messages, %s, %.1f%% of the ring\n",
	       minus(st->tail_seq, st->head_seq), format_bytes(used, a),
	       st->info.data_bytes ? 100.0 * (double)used / (double)st->info.data_bytes : 0.0);
}

static void print_peers(const struct shmipc_segment_stat *st)
{
	const struct shmipc_peer_info *p;
	char since[TEXT_BYTES], comm[sizeof(p->comm) + 1];
	uint32_t i;

	printf("peers     %" PRIu32 " attached, room for %" PRIu32 "\n", view_attached(st),
	       st->info.peers);
	for (i = 0; i < st->npeers; i++) {
		p = &st->peer[i];
		view_when(p->since_ns, since);
		printf("  slot %-3" PRIu32 " %-9s %-9s pid %-8" PRIu32 " %-16s since %s\n", p->slot,
		       end_word(st->info.kind, p->role), peer_state_word(p->state), p->pid,
		       clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)), since);
	}
}

static void print_deaths(const struct shmipc_deaths *ds)
{
	uint32_t i = ds->ndeaths > DEATHS_SHOWN ? ds->ndeaths - DEATHS_SHOWN : 0;
	char at[TEXT_BYTES], how[DEATH_TEXT], where[DEATH_TEXT], user[TEXT_BYTES], comm[17];

	printf("deaths    %" PRIu64, ds->total);
	if (ds->ndeaths - i < ds->total)
		printf(", the last %" PRIu32 " of them%s:", ds->ndeaths - i,
		       i ? "; --json shows more" : "");
	printf("\n");
	for (; i < ds->ndeaths; i++) {
		const struct shmipc_death_info *d = &ds->death[i];

		view_when(d->at_ns, at);
		death_where(d, where);
		printf("  slot %-3" PRIu32 " %-9s pid %-8" PRIu32 " %-16s %s: %s%s%s, user %s\n", d->slot,
		       role_word(d->role), d->pid,
		       clean_text(d->comm, sizeof(d->comm), comm, sizeof(comm)), at,
		       death_how(d, how), *where ? ", " : "", where, user_name(d->uid, user));
	}
}

static void print_text(const struct shmipc_segment_stat *st, const struct view_more *more,
		       const struct shmipc_deaths *deaths)
{
	print_segment(st);
	if (is_ring(st))
		print_ring(st);
	if (!view_more_print(more))
		print_peers(st);
	if (deaths)
		print_deaths(deaths);
}

/* Everything besides @st, and print it. */
static int tell(const char *name, const struct shmipc_segment_stat *st,
		const struct view_more *more, int json)
{
	struct shmipc_deaths deaths;
	int err = death_receipts(name, 0, &deaths);

	if (err < 0) {
		tool_error_lib("stat", name, err);
		return err;
	}
	if (json)
		print_json(st, more, err ? NULL : &deaths);
	else
		print_text(st, more, err ? NULL : &deaths);
	death_done(&deaths);
	return 0;
}

static int run_stat(int argc, char **argv)
{
	struct shmipc_segment_stat st;
	struct view_more more;
	const char *name;
	struct stat_opts o = { .json = 0 };
	struct opts_args args;
	int err;

	opts_parse(&cmd_stat, argc, argv, &o, &args);
	name = opts_name(&args, 0);
	err = view_look(name, &st);
	if (err)
		return view_error_look("stat", name, err);
	err = view_more_look(name, &st, &more);
	if (err)
		tool_error_lib("stat", name, err);
	else if (more.kind == SHMIPC_KIND_TOPIC && !more.u.topic.tail && !o.json)
		view_note_nobody(name);
	if (!err)
		err = tell(name, &st, &more, o.json);
	view_more_done(&more);
	view_done(&st);
	return err ? RC_FAIL : tool_flush();
}

const struct command cmd_stat = {
	.name = "stat", .brief = "all about one segment",
	.args = "NAME", .args_of = ARGS_SEGMENT, .min_args = 1, .max_args = 1,
	.about =
	"Says what the segment NAME is, which processes are attached, and how far they are; of "
	"a segment of the kernel module also which processes died, and how. It only looks: read "
	"permission is enough, and the segment can still be removed.\n",
	.groups = groups, .run = run_stat,
};
