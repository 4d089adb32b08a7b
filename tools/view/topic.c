// SPDX-License-Identifier: MIT
/* topic.c - a topic in words and in JSON */
#include <inttypes.h>
#include <stdio.h>
#include "../util/json.h"
#include "topic.h"
#include "../util/util.h"
#include "view.h"

uint32_t topic_pubs(const struct shmipc_topic_stat *st)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->npubs; i++)
		n += st->pub[i].peer.state == SHMIPC_PEER_ATTACHED;
	return n;
}

uint32_t topic_subs(const struct shmipc_topic_stat *st)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->nsubs; i++)
		n += st->sub[i].peer.state == SHMIPC_PEER_ATTACHED;
	return n;
}

/* Words for the bits of a set; the first word is for bit @first. */
static const char *const meta_words[] = { "pub-id", "pub-seq", "mono", "wall" };
static const char *const policy_words[] = { "lossy", "lossless", "evict" };

static void print_set(const char *label, uint32_t bits, unsigned int first,
		      const char *const *words, unsigned int n)
{
	unsigned int i;

	printf("%s", label);
	for (i = 0; i < n; i++)
		if (bits & 1u << (first + i))
			printf(" %s", words[i]);
}

static json_t *set_json(uint32_t bits, unsigned int first, const char *const *words, unsigned int n)
{
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i < n; i++)
		if (bits & 1u << (first + i))
			json_array_append_new(array, json_string(words[i]));
	return array;
}

/* JSON */

static void add(json_t *obj, const char *key, uint64_t v)
{
	json_object_set_new(obj, key, json_integer(json_u64(v)));
}

static uint64_t lost_by_all(const struct shmipc_topic_stat *st)
{
	uint64_t lost = 0;
	uint32_t i;

	for (i = 0; i < st->nsubs; i++)
		lost += st->sub[i].lost;
	return lost;
}

static uint64_t max_lag(const struct shmipc_topic_stat *st)
{
	uint64_t lag = 0;
	uint32_t i;

	for (i = 0; i < st->nsubs; i++)
		if (st->sub[i].lag > lag)
			lag = st->sub[i].lag;
	return lag;
}

void topic_add_row(json_t *obj, const struct shmipc_topic_stat *st)
{
	add(obj, "publishers", topic_pubs(st));
	add(obj, "subscribers", topic_subs(st));
	add(obj, "messages", st->tail);
	add(obj, "max_lag", max_lag(st));
	add(obj, "lost", lost_by_all(st));
}

static json_t *peer_json(const struct shmipc_peer_info *p)
{
	char comm[sizeof(p->comm) + 1];

	return json_pack("{s:i, s:s, s:i, s:s}", "slot", (int)p->slot,
			 "state", peer_state_word(p->state), "pid", (int)p->pid,
			 "comm", clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)));
}

static json_t *pub_json(const struct shmipc_topic_pub_info *p)
{
	json_t *obj = peer_json(&p->peer);
	char id[20];

	snprintf(id, sizeof(id), "%016" PRIx64, p->id);
	json_object_set_new(obj, "id", json_string(id));
	add(obj, "sent", p->sent);
	add(obj, "bytes", p->bytes);
	add(obj, "waits", p->waits);
	json_object_set_new(obj, "waits_for", p->waits_for ?
			    json_integer((json_int_t)p->waits_for - 1) : json_null());
	add(obj, "chunks", p->chunks);
	return obj;
}

static json_t *sub_json(const struct shmipc_topic_sub_info *s)
{
	json_t *obj = peer_json(&s->peer);

	json_object_set_new(obj, "policy", json_string(policy_word(s->policy)));
	add(obj, "group", s->group);
	add(obj, "pos", s->pos);
	add(obj, "lag", s->lag);
	add(obj, "received", s->received);
	add(obj, "lost", s->lost);
	add(obj, "holding", s->holding);
	json_object_set_new(obj, "evicted", json_boolean(s->evicted));
	return obj;
}

static void add_shape(json_t *obj, const struct shmipc_topic_stat *st)
{
	const struct shmipc_topic_opts *o = &st->opts;

	add(obj, "publishers_max", o->publishers);
	add(obj, "subscribers_max", o->subscribers);
	add(obj, "history", o->history);
	add(obj, "entries", st->entries);
	add(obj, "inline_bytes", o->inline_bytes);
	add(obj, "max_message", st->max_message);
	add(obj, "align", o->align);
	add(obj, "holds", o->holds);
	json_object_set_new(obj, "meta", set_json(o->meta, 0, meta_words, 4));
	json_object_set_new(obj, "policies", set_json(o->policies, 1, policy_words, 3));
	add(obj, "evict_ns", o->evict_ns);
	add(obj, "abort_ns", o->abort_ns);
	add(obj, "fence_ns", o->fence_ns);
	add(obj, "seal_bytes", o->seal_bytes);
	json_object_set_new(obj, "provisional", json_boolean(st->provisional));
}

void topic_add_all(json_t *obj, const struct shmipc_topic_stat *st)
{
	json_t *pubs = json_array(), *subs = json_array();
	uint32_t i;

	for (i = 0; i < st->npubs; i++)
		json_array_append_new(pubs, pub_json(&st->pub[i]));
	for (i = 0; i < st->nsubs; i++)
		json_array_append_new(subs, sub_json(&st->sub[i]));
	topic_add_row(obj, st);
	add(obj, "oldest", st->floor);
	add_shape(obj, st);
	add(obj, "pool_bytes", st->chunks * st->chunk_bytes);
	add(obj, "chunk_bytes", st->chunk_bytes);
	add(obj, "chunks", st->chunks);
	add(obj, "chunks_free", st->chunks_free);
	add(obj, "chunks_owned", st->chunks_owned);
	add(obj, "chunks_held", st->chunks_held);
	add(obj, "chunks_sealed", st->chunks_sealed);
	json_object_set_new(obj, "publisher", pubs);
	json_object_set_new(obj, "subscriber", subs);
}

/* For people */

static void print_pool(const struct shmipc_topic_stat *st)
{
	char a[TEXT_BYTES], b[TEXT_BYTES];

	if (!st->chunks) {
		printf("pool      none\n");
		return;
	}
	printf("pool      %s in %" PRIu32 " chunks of %s: %" PRIu32 " never used, %" PRIu32
	       " being filled, %" PRIu32 " held\n", format_bytes(st->chunks * st->chunk_bytes, a),
	       st->chunks, format_bytes(st->chunk_bytes, b), st->chunks_free, st->chunks_owned,
	       st->chunks_held);
}

void topic_print(const struct shmipc_topic_stat *st)
{
	const struct shmipc_topic_opts *o = &st->opts;
	char a[TEXT_BYTES], b[TEXT_BYTES];
	uint64_t kept = st->tail > st->floor ? st->tail - st->floor : 0;

	if (st->provisional)
		printf("shape     provisional: the first end that publishes, or states options, decides\n");
	printf("messages  %" PRIu64 " published", st->tail);
	if (kept)
		printf(", numbers %" PRIu64 " to %" PRIu64, st->floor, st->tail - 1);
	printf("; the newest %" PRIu64 " are kept\n", o->history);
	printf("sizes     up to %s, of those up to %s in the log; aligned to %" PRIu32 "\n",
	       format_bytes(st->max_message, a), format_bytes(o->inline_bytes, b), o->align);
	print_pool(st);
	print_set("meta     ", o->meta, 0, meta_words, 4);
	printf("%s\n", o->meta ? "" : " none");
	print_set("policies ", o->policies, 1, policy_words, 3);
	if (o->policies & 1u << SHMIPC_POLICY_EVICT)
		printf(" (after %g s)", (double)o->evict_ns / 1e9);
	putchar('\n');
	if (o->abort_ns)
		printf("aborts    what a publisher that is stopped does not finish, after %g s\n",
		       (double)o->abort_ns / 1e9);
	if (o->fence_ns)
		printf("fences    a publisher that is stopped in the middle of publishing, after %g s\n",
		       (double)o->fence_ns / 1e9);
	if (o->seal_bytes)
		printf("seals     messages of %s or more; sealed chunks: %" PRIu32 "\n",
		       format_bytes(o->seal_bytes, a), st->chunks_sealed);
}

/* "  slot 65  attached  pid 4711     shmipc           " */
static void print_peer(const struct shmipc_peer_info *p)
{
	char comm[sizeof(p->comm) + 1];

	printf("  slot %-4" PRIu32 " %-9s pid %-8" PRIu32 " %-16s", p->slot,
	       peer_state_word(p->state), p->pid,
	       clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)));
}

static void print_pub(const struct shmipc_topic_pub_info *p)
{
	char bytes[TEXT_BYTES];

	print_peer(&p->peer);
	printf(" sent %" PRIu64 ", %s", p->sent, format_bytes(p->bytes, bytes));
	if (p->waits)
		printf(", waited %" PRIu64 " times", p->waits);
	if (p->waits_for)
		printf(", waits for slot %" PRIu32, p->waits_for - 1);
	putchar('\n');
}

static void print_sub(const struct shmipc_topic_sub_info *s)
{
	print_peer(&s->peer);
	printf(" %-8s", policy_word(s->policy));
	if (s->group)
		printf(" group %" PRIu32, s->group);
	printf(" lag %" PRIu64 ", got %" PRIu64 ", lost %" PRIu64, s->lag, s->received, s->lost);
	if (s->holding)
		printf(", holds %" PRIu32, s->holding);
	printf("%s\n", s->evicted ? ", cut off" : "");
}

void topic_print_ends(const struct shmipc_topic_stat *st)
{
	uint32_t i;

	printf("publishers   %" PRIu32 ", room for %" PRIu32 "\n", topic_pubs(st),
	       st->opts.publishers);
	for (i = 0; i < st->npubs; i++)
		print_pub(&st->pub[i]);
	printf("subscribers  %" PRIu32 ", room for %" PRIu32 "\n", topic_subs(st),
	       st->opts.subscribers);
	for (i = 0; i < st->nsubs; i++)
		print_sub(&st->sub[i]);
}
