// SPDX-License-Identifier: MIT
/*
 * headers_view.c - reading a block that its publisher may rewrite meanwhile
 *
 * A length is read once, checked against the rest of the block, and then the local copy
 * is used. So a reader may see invalid data, and reports it, but never touches a byte
 * outside the memory that it was given.
 */
#include <errno.h>
#include <string.h>

#include "payload/headers.h"

static uint64_t fetch(const unsigned char *p)
{
	/* Read once: the publisher may rewrite it. */
	return shmipc_load_relaxed((const uint64_t *)(const void *)p);
}

SHMIPC_EXPORT int shmipc_headers_view_init(struct shmipc_headers_view *view, const void *ptr,
					   size_t len)
{
	uint32_t bytes, count;
	uint64_t word;

	if (!view || !ptr)
		return shmipc_null(__func__, "view or ptr");
	if ((uintptr_t)ptr % 8)
		return -EINVAL;
	if (len < SHMIPC_HEADERS_HDR)
		return -EPROTO;
	word = fetch((const unsigned char *)ptr);
	if ((word & 0xffff) != SHMIPC_HEADERS_MAGIC)
		return -EPROTO;
	if ((word >> 16 & 0xffff) != SHMIPC_HEADERS_VERSION)
		return -EPROTONOSUPPORT;
	bytes = (uint32_t)(word >> 32);
	if (bytes % 8 || bytes < SHMIPC_HEADERS_HDR || bytes > SHMIPC_HEADERS_MAX || bytes > len)
		return -EPROTO;
	word = fetch((const unsigned char *)ptr + 8);
	count = (uint32_t)word;
	/* The shortest header has a key of one byte and no value. */
	if (word >> 32 || count > (bytes - SHMIPC_HEADERS_HDR) / shmipc_entry_bytes(1, 0))
		return -EPROTO;
	view->ptr = ptr;
	view->bytes = bytes;
	view->count = count;
	return 0;
}

/* Get the lengths from @word. Return: the header's bytes if it fits into @left, or 0. */
static uint32_t check_entry(uint64_t word, uint32_t left, uint32_t *key_len, uint32_t *len)
{
	uint32_t bytes;

	*key_len = (uint32_t)word;
	*len = (uint32_t)(word >> 32);
	if (!*key_len || *key_len > SHMIPC_HEADERS_KEY_MAX || *len > SHMIPC_HEADERS_VAL_MAX)
		return 0;
	bytes = shmipc_entry_bytes(*key_len, *len);
	return bytes <= left ? bytes : 0;
}

SHMIPC_EXPORT void shmipc_headers_iter_init(struct shmipc_headers_iter *it,
					    const struct shmipc_headers_view *view)
{
	if (!it)
		return;
	memset(it, 0, sizeof(*it));
	if (!view)	/* has no headers */
		return;
	it->ptr = (const unsigned char *)view->ptr;
	it->off = SHMIPC_HEADERS_HDR;
	it->end = view->bytes;
	it->left = view->count;
}

SHMIPC_EXPORT int shmipc_headers_iter_next(struct shmipc_headers_iter *it)
{
	uint32_t bytes, key_len, len;

	if (!it)
		return shmipc_null(__func__, "it");
	if (!it->left)
		return it->off == it->end ? 0 : -EPROTO;
	if (it->off == it->end)		/* off and end are multiples of 8 */
		return -EPROTO;
	bytes = check_entry(fetch(it->ptr + it->off), it->end - it->off, &key_len, &len);
	if (!bytes)
		return -EPROTO;
	shmipc_racy_read(it->key, it->ptr + it->off + ENTRY_HDR, key_len);
	it->key[key_len] = 0;
	if (memchr(it->key, 0, key_len))
		return -EPROTO;
	it->key_len = key_len;
	it->value = it->ptr + it->off + ENTRY_HDR + key_len + 1;
	it->len = len;
	it->off += bytes;
	it->left--;
	return 1;
}

SHMIPC_EXPORT int shmipc_headers_view_get(const struct shmipc_headers_view *view, const char *key,
					  size_t n, void *buf, size_t cap, size_t *ret_len)
{
	struct shmipc_headers_iter it;
	int ret;

	if (!view || !key || !ret_len || (!buf && cap))
		return shmipc_null(__func__, "view, key, buf or ret_len");
	shmipc_headers_iter_init(&it, view);
	while ((ret = shmipc_headers_iter_next(&it)) == 1) {
		if (strcmp(it.key, key) || n--)
			continue;
		*ret_len = it.len;
		if (it.len > cap)
			return -EMSGSIZE;
		shmipc_racy_read(buf, it.value, it.len);
		return 0;
	}
	return ret ? ret : -ENOENT;
}

/* Headers in private memory: are they well formed? Sets the zero bytes. */
static int check_copy(unsigned char *p, uint32_t left, uint32_t count)
{
	uint32_t bytes, key_len, len, end;
	uint64_t word;

	for (; count; count--, p += bytes, left -= bytes) {
		if (left < ENTRY_HDR)
			return -EPROTO;
		memcpy(&word, p, sizeof(word));
		bytes = check_entry(word, left, &key_len, &len);
		if (!bytes || memchr(p + ENTRY_HDR, 0, key_len))
			return -EPROTO;
		end = ENTRY_HDR + key_len + 1 + len;
		p[ENTRY_HDR + key_len] = 0;
		memset(p + end, 0, bytes - end);
	}
	return left ? -EPROTO : 0;
}

SHMIPC_EXPORT int shmipc_headers_load(struct shmipc_headers *h, const void *ptr, size_t len)
{
	struct shmipc_headers_view view;
	unsigned char *copy;
	uint32_t bytes;
	int ret;

	if (!h)
		return shmipc_null(__func__, "h");
	ret = shmipc_headers_view_init(&view, ptr, len);
	if (ret)
		return ret;
	/* Copy it behind the present headers, which stay until the copy has been checked. */
	bytes = view.bytes - SHMIPC_HEADERS_HDR;
	copy = shmipc_headers_room(h, bytes);
	if (!copy)
		return -ENOMEM;
	shmipc_racy_read(copy, (const unsigned char *)ptr + SHMIPC_HEADERS_HDR, bytes);
	ret = check_copy(copy, bytes, view.count);
	if (ret)
		return ret;
	memmove(shmipc_headers_buf(h), copy, bytes);
	h->used = bytes;
	h->count = view.count;
	return 0;
}
