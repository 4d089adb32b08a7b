// SPDX-License-Identifier: MIT
/* objects.c - from the objects that sub --format json writes back to messages */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/error.h>
#include "objects.h"
#include "../util/util.h"

/* The bytes of a string, or of the base64 in it; free() the copy. */
struct bytes {
	const void *ptr;
	size_t len;
	unsigned char *copy;
};

static int digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Return: the number of bytes, or -1: it is not base64. */
static long decode(const char *text, size_t n, unsigned char *to)
{
	uint32_t bits = 0;
	size_t i, pads = 0;
	long len = 0;

	while (pads < 2 && pads < n && text[n - 1 - pads] == '=')
		pads++;
	if (n % 4)
		return -1;
	for (i = 0; i < n - pads; i++) {
		if (digit_of(text[i]) < 0)
			return -1;
		bits = bits << 6 | (uint32_t)digit_of(text[i]);
		if (i % 4)
			to[len++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	return len;
}

static const char *read_base64(const json_t *value, struct bytes *ret)
{
	long len;

	if (!json_is_string(value))
		return "expected base64 in a string";
	ret->copy = malloc(json_string_length(value) + 1);
	if (!ret->copy)
		return "out of memory";
	len = decode(json_string_value(value), json_string_length(value), ret->copy);
	ret->ptr = ret->copy;
	ret->len = (size_t)len;
	return len < 0 ? "found what is not base64" : NULL;
}

/* @text: a string; else @binary: base64. NULL, or what is wrong. */
static const char *read_bytes(const json_t *text, const json_t *binary, struct bytes *ret)
{
	*ret = (struct bytes){ .ptr = "" };
	if (binary)
		return read_base64(binary, ret);
	if (!json_is_string(text))
		return "expected an object with \"payload\" or \"payload_base64\", a string";
	ret->ptr = json_string_value(text);
	ret->len = json_string_length(text);
	return NULL;
}

static const char *add_header(struct stream *s, const char *key, const json_t *value)
{
	const char *wrong;
	struct bytes b;

	wrong = read_bytes(value, json_object_get(value, "base64"), &b);
	if (!wrong && shmipc_headers_add(&s->headers, key, b.ptr, b.len))
		wrong = "a header is too large, or its key is not valid";
	free(b.copy);
	return wrong;
}

static const char *read_headers(struct stream *s, json_t *headers)
{
	const char *key, *wrong = NULL;
	json_t *values, *value;
	size_t i;

	shmipc_headers_clear(&s->headers);
	s->has_headers = headers != NULL;
	json_object_foreach(headers, key, values) {
		if (!json_is_array(values))
			return "expected an array of values for each header";
		json_array_foreach(values, i, value) {
			wrong = add_header(s, key, value);
			if (wrong)
				return wrong;
		}
	}
	return NULL;
}

static int refuse(const struct input *in, const struct stream *s, const char *wrong)
{
	tool_error("input \"%s\": line %" PRIu64 ": %s (EINVAL); %" PRIu64 " messages were sent", in->name,
		   in->lines, wrong, s->messages);
	return RC_FAIL;
}

static int refuse_size(const struct input *in, const struct stream *s, size_t len)
{
	tool_error("input \"%s\": line %" PRIu64 ": its message has %zu bytes, the largest message of this %s has %"
		   PRIu64 " (EMSGSIZE); create it with a larger %s", in->name, in->lines, len,
		   s->ops->what, s->max_payload, s->ops->larger);
	return RC_FAIL;
}

/* Of an item of a queue: its level, if it has one. It has no headers. */
static const char *read_item(struct stream *s, json_t *obj)
{
	json_t *level = json_object_get(obj, "level");

	if (json_object_get(obj, "headers"))
		return "items of a queue have no headers";
	if (!level)
		return NULL;
	if (!json_is_integer(level) || json_integer_value(level) < 0 || json_integer_value(level) > UINT32_MAX)
		return "expected a number as \"level\"";
	s->level = (uint32_t)json_integer_value(level);	/* of this one and, without, of those after it */
	return NULL;
}

int objects_send(struct input *in, struct stream *s, const unsigned char *line, size_t n)
{
	struct bytes payload = { .ptr = NULL };
	json_error_t why = { .line = 0 };
	const char *wrong;
	json_t *obj;
	int rc;

	in->lines++;
	obj = json_loadb((const char *)line, n, JSON_ALLOW_NUL, &why);
	wrong = !obj ? why.text : read_bytes(json_object_get(obj, "payload"),
					     json_object_get(obj, "payload_base64"), &payload);
	if (!wrong)
		wrong = s->push ? read_item(s, obj) : read_headers(s, json_object_get(obj, "headers"));
	if (wrong)
		rc = refuse(in, s, wrong);
	else if (payload.len > s->max_payload)
		rc = refuse_size(in, s, payload.len);
	else
		rc = s->ops->send(s, payload.ptr, payload.len);
	free(payload.copy);
	json_decref(obj);
	return rc;
}
