// SPDX-License-Identifier: MIT
/* message.c - a message of a topic in bytes, lines, hexadecimal digits or JSON */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../util/json.h"
#include "message.h"
#include "../util/util.h"

#define HEX_ROW		16u
#define LINE_BYTES	512u

/* A person or a program reads as we write; a file is kept, and is to have the bytes only. */
static int reads_lines(int fd)
{
	struct stat st;

	return isatty(fd) || (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

void message_init(struct message *m, const struct message_opts *o, const struct output *out)
{
	memset(m, 0, sizeof(*m));
	m->o = o;
	m->terminal = isatty(out->fd);
	m->format = o->format;
	if (!m->format)
		m->format = o->lines || reads_lines(out->fd) ? FORMAT_LINES : FORMAT_RAW;
	if (m->format == FORMAT_RAW && o->headers)
		opts_refuse("--headers needs --format lines, hex or json");
	if (o->lines && m->format != FORMAT_LINES)
		opts_refuse("--lines cannot be combined with another --format");
}

void message_done(struct message *m)
{
	free(m->copy);
	free(m->block);
}

static int copy_payload(struct message *m)
{
	unsigned char *more;

	if (m->len >= m->cap) {
		more = realloc(m->copy, m->len + 1);
		if (!more)
			return -ENOMEM;
		m->copy = more;
		m->cap = m->len + 1;
	}
	if (m->len)
		memcpy(m->copy, m->msg->ptr, m->len);
	m->copy[m->len] = 0;
	m->payload = m->copy;
	return 0;
}

static int copy_headers(struct message *m)
{
	uint64_t *more;

	m->view.ptr = NULL;
	m->bad_headers = 0;
	if (!m->msg->headers)
		return 0;
	if (m->msg->headers_len > m->block_cap) {
		more = realloc(m->block, m->msg->headers_len);
		if (!more)
			return -ENOMEM;
		m->block = more;
		m->block_cap = m->msg->headers_len;
	}
	memcpy(m->block, m->msg->headers, m->msg->headers_len);
	if (shmipc_headers_view_init(&m->view, m->block, m->msg->headers_len)) {
		m->view.ptr = NULL;
		m->bad_headers = 1;
	}
	return 0;
}

/* The next header; the byte behind its value, within our copy, is set to zero. */
static int next_header(struct message *m, struct shmipc_headers_iter *it)
{
	int ret = shmipc_headers_iter_next(it);

	if (ret < 0)
		m->bad_headers = 1;
	if (ret <= 0)
		return 0;
	((char *)(uintptr_t)it->value)[it->len] = 0;
	return 1;
}

static int has_header(struct message *m, const char *filter)
{
	const char *glob = strchr(filter, '=') + 1;
	size_t key_len = (size_t)(glob - 1 - filter);
	struct shmipc_headers_iter it;

	if (!m->view.ptr)
		return 0;
	shmipc_headers_iter_init(&it, &m->view);
	while (next_header(m, &it))
		if (it.key_len == key_len && !memcmp(it.key, filter, key_len) &&
		    strlen(it.value) == it.len && !fnmatch(glob, it.value, 0))
			return 1;
	return 0;
}

/* The payload without its last newline, as text. */
static int is_like(struct message *m, const char *glob)
{
	size_t len = m->len;
	int like;

	if (len && m->copy[len - 1] == '\n')
		m->copy[--len] = 0;
	like = strlen((char *)m->copy) == len && !fnmatch(glob, (char *)m->copy, 0);
	if (len < m->len)
		m->copy[len] = '\n';
	return like;
}

int message_take(struct message *m, const struct shmipc_msg *msg)
{
	const struct message_opts *o = m->o;
	unsigned int i;
	int err = 0;

	m->msg = msg;
	m->payload = msg->ptr;
	m->len = msg->len;
	if (m->format != FORMAT_RAW || o->match)
		err = copy_payload(m);
	if (!err && (m->format != FORMAT_RAW || o->filters.n))
		err = copy_headers(m);
	if (err)
		return err;
	for (i = 0; i < o->filters.n; i++)
		if (!has_header(m, o->filters.text[i]))
			return 0;
	return !o->match || is_like(m, o->match);
}

/* As text */

/* Bytes of the UTF-8 character at @p; 0: invalid, or a control character. */
static size_t shown_bytes(const unsigned char *p, size_t n)
{
	size_t len = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
	size_t i;

	if (len == 1)
		return (*p >= ' ' && *p != 0x7f) || *p == '\t' || *p == '\n';
	if (!len || len > n || (*p == 0xc2 && p[1] < 0xa0))
		return 0;
	for (i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static int put_text(struct message *m, struct output *out, struct stream *s,
		    const unsigned char *p, size_t n)
{
	char hex[8];
	size_t same;
	int rc = RC_OK;

	if (!m->terminal)
		return output_put(out, s, p, n);
	while (n && !rc) {
		for (same = 0; same < n && shown_bytes(p + same, n - same);)
			same += shown_bytes(p + same, n - same);
		if (same) {
			rc = output_put(out, s, p, same);
		} else {
			snprintf(hex, sizeof(hex), "\\x%02x", *p);
			rc = output_put(out, s, hex, 4);
			same = 1;
		}
		p += same;
		n -= same;
	}
	return rc;
}

static int put_words(struct output *out, struct stream *s, const char *text)
{
	return output_put(out, s, text, strlen(text));
}

static void time_text(uint64_t ns, char text[TEXT_BYTES])
{
	time_t t = (time_t)(ns / NS_PER_S);
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&t, &tm))
		n = strftime(text, TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, TEXT_BYTES - n, ".%09" PRIu64 "Z", ns % NS_PER_S);
}

/* "# 12  5 B  pub 00000000000000ff/3  2026-11-21T09:30:00.123456789Z" */
static int put_meta(const struct shmipc_msg *msg, struct output *out, struct stream *s)
{
	uint32_t meta = s->meta;
	char text[LINE_BYTES], when[TEXT_BYTES], size[TEXT_BYTES], queue[sizeof(s->dead.queue)];
	int n;

	n = snprintf(text, sizeof(text), "# %" PRIu64 "  %s", msg->seq,
		     format_bytes(msg->len, size));
	if (s->pop)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  level=%" PRIu32 "  deliveries=%" PRIu32
			      "  from=%" PRIu32 "  pid=%" PRIu32, s->item.level, s->item.deliveries,
			      s->item.from, s->item_pid);
	if (s->pop && s->dead.reason)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  dead=%s/%" PRIu32,
			      clean_text(s->dead.queue, sizeof(s->dead.queue), queue, sizeof(queue)),
			      s->dead.deliveries);
	if (meta & SHMIPC_META_PUB_ID)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  pub-id=%016" PRIx64,
			      msg->pub_id);
	if (meta & SHMIPC_META_PUB_SEQ)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  pub-seq=%" PRIu64,
			      msg->pub_seq);
	if (meta & SHMIPC_META_MONO)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  mono=%" PRIu64 ".%09" PRIu64,
			      msg->mono_ns / NS_PER_S, msg->mono_ns % NS_PER_S);
	if (meta & SHMIPC_META_WALL) {
		time_text(msg->wall_ns, when);
		snprintf(text + n, sizeof(text) - (size_t)n, "  wall=%s", when);
	}
	return put_words(out, s, text);
}

/* The line before a message. */
static int put_head(struct message *m, struct output *out, struct stream *s)
{
	struct shmipc_headers_iter it;
	int rc = put_meta(m->msg, out, s);

	if (m->view.ptr) {
		shmipc_headers_iter_init(&it, &m->view);
		while (!rc && next_header(m, &it)) {
			rc = put_words(out, s, "  ");
			if (!rc)
				rc = put_text(m, out, s, (unsigned char *)it.key, it.key_len);
			if (!rc)
				rc = put_words(out, s, "=");
			if (!rc)
				rc = put_text(m, out, s, it.value, it.len);
		}
	}
	if (!rc && m->bad_headers)
		rc = put_words(out, s, "  (headers are invalid)");
	return rc ? rc : put_words(out, s, "\n");
}

static int put_lines(struct message *m, struct output *out, struct stream *s)
{
	int rc = m->o->headers ? put_head(m, out, s) : RC_OK;

	if (!rc)
		rc = put_text(m, out, s, m->payload, m->len);
	if (!rc && (!m->len || m->payload[m->len - 1] != '\n'))
		rc = put_words(out, s, "\n");
	return rc;
}

/* "00000010  68 65 6c 6c 6f                                    |hello|" */
static void hex_row(const unsigned char *p, size_t n, size_t at, char text[LINE_BYTES])
{
	int len = snprintf(text, LINE_BYTES, "%08zx ", at);
	size_t i;

	for (i = 0; i < HEX_ROW; i++)
		len += i < n ? snprintf(text + len, 8, "%s%02x ", i % 8 ? "" : " ", p[i]) :
			       snprintf(text + len, 8, "%s   ", i % 8 ? "" : " ");
	text[len++] = ' ';
	text[len++] = '|';
	for (i = 0; i < n; i++)
		text[len++] = p[i] >= ' ' && p[i] <= '~' ? (char)p[i] : '.';
	text[len++] = '|';
	text[len++] = '\n';
	text[len] = 0;
}

static int put_hex(struct message *m, struct output *out, struct stream *s)
{
	char row[LINE_BYTES];
	size_t at;
	int rc = put_head(m, out, s);

	for (at = 0; at < m->len && !rc; at += HEX_ROW) {
		hex_row(m->payload + at, m->len - at < HEX_ROW ? m->len - at : HEX_ROW, at, row);
		rc = put_words(out, s, row);
	}
	return rc;
}

/* As JSON */

static json_t *base64(const unsigned char *p, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc(4 * (n / 3 + 1) + 1), *to = text;
	json_t *ret;
	uint32_t v;
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < n; i += 3) {
		v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
		    (i + 2 < n ? p[i + 2] : 0);
		*to++ = digit[v >> 18];
		*to++ = digit[v >> 12 & 63];
		*to++ = i + 1 < n ? digit[v >> 6 & 63] : '=';
		*to++ = i + 2 < n ? digit[v & 63] : '=';
	}
	ret = json_stringn_nocheck(text, (size_t)(to - text));
	free(text);
	return ret;
}

/* Text if it is valid UTF-8, otherwise {"base64": "..."}. */
static json_t *header_value(const void *p, size_t n)
{
	json_t *v = json_stringn(p, n);

	return v ? v : json_pack("{s:o}", "base64", base64(p, n));
}

/* {"key": ["value", ...], ...}, the keys in the order of their first value. */
static json_t *headers_json(struct message *m)
{
	char key[4 * SHMIPC_HEADERS_KEY_MAX];
	json_t *obj = json_object(), *values;
	struct shmipc_headers_iter it;

	if (!m->view.ptr)
		return obj;
	shmipc_headers_iter_init(&it, &m->view);
	while (obj && next_header(m, &it)) {
		clean_text(it.key, it.key_len, key, sizeof(key));
		values = json_object_get(obj, key);
		if (!values) {
			values = json_array();
			json_object_set_new(obj, key, values);
		}
		json_array_append_new(values, header_value(it.value, it.len));
	}
	return obj;
}

/* What an item of a queue has besides. */
static void add_item(json_t *obj, const struct stream *s)
{
	json_t *more = json_pack("{s:i, s:i, s:i, s:o}", "level", (int)s->item.level, "deliveries",
				 (int)s->item.deliveries, "from", (int)s->item.from, "pid",
				 s->item_pid ? json_integer((json_int_t)s->item_pid) : json_null());

	const struct shmipc_dead_letter *d = &s->dead;
	char queue[sizeof(d->queue)];

	json_object_update(obj, more);
	json_decref(more);
	if (!d->reason)
		return;
	clean_text(d->queue, sizeof(d->queue), queue, sizeof(queue));
	more = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "queue", queue, "reason",
			 d->reason == SHMIPC_DEAD_DELIVERIES ? "deliveries" : "unknown", "deliveries",
			 (json_int_t)d->deliveries, "copies", (json_int_t)d->copies, "level",
			 (json_int_t)d->level, "from", (json_int_t)d->from, "number", json_u64(d->number),
			 "at_ns", json_u64(d->at_ns));
	json_object_set_new(obj, "dead", more);
}

static json_t *message_json(struct message *m, const struct stream *s)
{
	const struct shmipc_msg *msg = m->msg;
	json_t *payload = json_stringn((const char *)m->payload, m->len), *obj;
	const char *key = payload ? "payload" : "payload_base64";
	char id[20];

	if (!payload)
		payload = base64(m->payload, m->len);
	obj = json_pack("{s:s, s:I, s:I, s:o}", s->ops->what, s->name, s->pop ? "number" : "seq",
			json_u64(msg->seq), "bytes", json_u64(m->len), key, payload);
	if (!obj)
		return NULL;
	if (s->pop)
		add_item(obj, s);
	snprintf(id, sizeof(id), "%016" PRIx64, msg->pub_id);
	if (s->meta & SHMIPC_META_PUB_ID)
		json_object_set_new(obj, "pub_id", json_string(id));
	if (s->meta & SHMIPC_META_PUB_SEQ)
		json_object_set_new(obj, "pub_seq", json_integer(json_u64(msg->pub_seq)));
	if (s->meta & SHMIPC_META_MONO)
		json_object_set_new(obj, "mono_ns", json_integer(json_u64(msg->mono_ns)));
	if (s->meta & SHMIPC_META_WALL)
		json_object_set_new(obj, "wall_ns", json_integer(json_u64(msg->wall_ns)));
	if (msg->headers)
		json_object_set_new(obj, "headers", headers_json(m));
	if (m->bad_headers)
		json_object_set_new(obj, "headers_error", json_string("EPROTO"));
	return obj;
}

static int put_json(struct message *m, struct output *out, struct stream *s)
{
	json_t *obj = message_json(m, s);
	char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;
	int rc;

	json_decref(obj);
	if (!text) {
		tool_error("%s \"%s\": message %" PRIu64 ": out of memory for its %zu bytes (ENOMEM)",
			   s->ops->what, s->name, m->msg->seq, m->len);
		return RC_FAIL;
	}
	rc = put_words(out, s, text);
	free(text);
	return rc ? rc : put_words(out, s, "\n");
}

int message_put(struct message *m, struct output *out, struct stream *s)
{
	switch (m->format) {
	case FORMAT_LINES:
		return put_lines(m, out, s);
	case FORMAT_HEX:
		return put_hex(m, out, s);
	case FORMAT_JSON:
		return put_json(m, out, s);
	default:
		return output_put(out, s, m->payload, m->len);
	}
}
